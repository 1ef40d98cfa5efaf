/* SPDX-License-Identifier: Apache-2.0 */
/* client_grpc_test.c - unary gRPC calls against a peer that answers whatever a row says: what goes out, what comes
 * back, which status it is, and what is tried again. Time is the test's own. */
#include "api/client_rows.h"
#include "api/grpc_scene.h"

#include <check.h>
#include <mesh/stream.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_TIMED(words) HTTP2 ", 'retry': {'per_try_timeout': '1s', 'non_idempotent': true, 'on': [" words "]}"

/* What becomes of them. */
#define RETURNS(message, body) MESH_OK, 0, message, body, 1, 0, 0
#define ENDS(grpc_status, message) MESH_OK, grpc_status, message, "", 1, 0, 0
#define FAILS(code, grpc_status) MESH_##code, grpc_status, NULL, "", 1, 0, MESH_STOP_NOT_RETRYABLE
#define REPEATED(word) MESH_OK, 0, "", "hello", 2, MESH_RETRY_##word, 0

static void open_client(const char *members)
{
    (void)grpc_scene_open("'10.0.0.1:80'", members);
}

/* ---- what a response amounts to ---- */

#define ANSWERS 3

static const struct row_of_grpc {
    const char *name, *members;
    struct grpc_answer answers[ANSWERS];
    mesh_status code;
    int32_t grpc_status;
    const char *message; /* NULL: that of the result */
    const char *body;
    size_t attempts;
    int32_t retry, stop; /* of the first, of the last */
} rows[] = {
    /* clang-format off */
    { "a message", HTTP2, { OK }, RETURNS("", "hello") },
    { "an empty message", HTTP2, { BODY(FRAME("\0", ""), "grpc-status: 0") }, RETURNS("", "") },
    { "a content-type with more to it", HTTP2,
      { { 200, "content-type: application/grpc+proto", HELLO, "grpc-status: 0", false, 0 } }, RETURNS("", "hello") },
    { "words with OK", HTTP2, { BODY(FRAME("\5", "hello"), "grpc-status: 0\ngrpc-message: fine") },
      RETURNS("fine", "hello") },
    { "words with a status", HTTP2, { SAID("grpc-status: 5\ngrpc-message: no such%20%E2%82%AC %zz") },
      ENDS(5, "no such \xe2\x82\xac %zz") },
    { "trailers only", HTTP2, { ONLY("grpc-status: 12\ngrpc-message: what?") }, ENDS(12, "what?") },
    { "a message, then an error", HTTP2, { BODY(FRAME("\5", "hello"), "grpc-status: 13") }, ENDS(13, "") },
    { "trailers have the last word", HTTP2, { { 200, GRPC "\ngrpc-status: 3", HELLO, "grpc-status: 9", false, 0 } },
      ENDS(9, "") },
    { "a status above all", HTTP2, { SAID("grpc-status: 17") }, ENDS(2, "") },
    { "a status that is none", HTTP2, { SAID("grpc-status: x") }, ENDS(2, "the response has no grpc-status") },
    { "no status", HTTP2, { BODY(FRAME("\5", "hello"), "x: y") }, ENDS(2, "the response has no grpc-status") },
    { "a page", HTTP2, { { 200, "content-type: text/html", TEXT("<p>"), NULL, false, 0 } },
      ENDS(2, "the response is no gRPC: its content-type is \"text/html\"") },
    { "503", HTTP2, { { 503, "content-type: text/html", TEXT("<p>"), NULL, false, 0 } },
      ENDS(14, "the response has HTTP status 503 and no grpc-status") },
    { "404", HTTP2, { { 404, "x: y", TEXT(""), NULL, false, 0 } },
      ENDS(12, "the response has HTTP status 404 and no grpc-status") },
    { "401 with a grpc-status", HTTP2, { { 401, "grpc-status: 16", TEXT(""), NULL, false, 0 } }, ENDS(16, "") },
    /* Bodies that a unary call cannot have. */
    { "two messages", HTTP2, { BODY(FRAME("\1", "a") FRAME("\1", "b"), "grpc-status: 0") }, FAILS(PROTOCOL, 13) },
    { "no message", HTTP2, { SAID("grpc-status: 0") }, FAILS(PROTOCOL, 13) },
    { "OK in the head and no message", HTTP2, { ONLY("grpc-status: 0") }, FAILS(PROTOCOL, 13) },
    { "half a message", HTTP2, { BODY(FRAME("\5", "hel"), "grpc-status: 0") }, FAILS(PROTOCOL, 13) },
    { "half a frame's head", HTTP2, { BODY("\0\0", "grpc-status: 0") }, FAILS(PROTOCOL, 13) },
    { "a message and one byte", HTTP2, { BODY(FRAME("\1", "a") "\0", "grpc-status: 0") }, FAILS(PROTOCOL, 13) },
    { "compressed, out of the blue", HTTP2, { BODY("\1\0\0\0\1a", "grpc-status: 0") }, FAILS(PROTOCOL, 13) },
    { "compressed", HTTP2, { { 200, GRPC "\ngrpc-encoding: gzip", TEXT("\1\0\0\0\1a"), "grpc-status: 0", false, 0 } },
      FAILS(PROTOCOL, 12) },
    { "an encoding that is not used", HTTP2,
      { { 200, GRPC "\ngrpc-encoding: gzip", HELLO, "grpc-status: 0", false, 0 } }, RETURNS("", "hello") },
    { "a flag that there is not", HTTP2, { BODY("\2\0\0\0\1a", "grpc-status: 0") }, FAILS(PROTOCOL, 13) },
    { "a message as large as may be", HTTP2 ", 'max_body': '5B'", { OK }, RETURNS("", "hello") },
    { "a larger one", HTTP2 ", 'max_body': '4B'", { OK }, FAILS(BODY_TOO_LARGE, 8) },
    /* Streams that end otherwise. */
    { "reset: cancelled", HTTP2, { RESET(HTTP2_CANCEL) }, FAILS(RESET, 1) },
    { "reset: internal", HTTP2, { RESET(HTTP2_INTERNAL_ERROR) }, FAILS(RESET, 13) },
    { "reset: calm", HTTP2, { RESET(HTTP2_ENHANCE_YOUR_CALM) }, FAILS(RESET, 8) },
    { "reset: security", HTTP2, { RESET(HTTP2_INADEQUATE_SECURITY) }, FAILS(RESET, 7) },
    { "reset behind the message", HTTP2, { { 200, GRPC, HELLO, NULL, true, 0 } }, FAILS(PARTIAL_RESPONSE, 13) },
    { "refused, then a message", HTTP2, { RESET(HTTP2_REFUSED_STREAM), OK }, REPEATED(UNSENT) },
    { "refused for ever", HTTP2 ", 'retry': {'on': []}", { RESET(HTTP2_REFUSED_STREAM) },
      MESH_REFUSED, 14, NULL, "", 2, MESH_RETRY_UNSENT, MESH_STOP_NOT_RETRYABLE },
    { "silence", HTTP2, { SILENCE }, MESH_DEADLINE, 4, NULL, "", 1, 0, MESH_STOP_DEADLINE },
    { "silence, twice", RETRY_TIMED("'per-try-timeout'"), { SILENCE },
      MESH_PER_TRY_TIMEOUT, 4, NULL, "", 2, MESH_RETRY_PER_TRY_TIMEOUT, MESH_STOP_ATTEMPTS },
    { "silence, by the word of its status", RETRY_TIMED("'deadline-exceeded'"), { SILENCE }, MESH_PER_TRY_TIMEOUT, 4,
      NULL, "", 1, 0, MESH_STOP_NOT_RETRYABLE },
    /* Retries. */
    { "unavailable, then a message", RETRY, { SAID("grpc-status: 14"), OK }, REPEATED(UNAVAILABLE) },
    { "exhausted in the head, then one", RETRY, { ONLY("grpc-status: 8"), OK }, REPEATED(RESOURCE_EXHAUSTED) },
    { "503, then a message", RETRY, { { 503, "x: y", TEXT(""), NULL, false, 0 }, OK }, REPEATED(UNAVAILABLE) },
    { "internal, then a message", RETRY, { BODY(FRAME("\1", "x"), "grpc-status: 13"), OK }, REPEATED(INTERNAL) },
    { "cancelled, then a message", RETRY, { RESET(HTTP2_CANCEL), OK }, REPEATED(CANCELLED) },
    { "late, then a message", RETRY, { SAID("grpc-status: 4"), OK }, REPEATED(DEADLINE_EXCEEDED) },
    { "two messages, then one", RETRY, { BODY(FRAME("\1", "a") FRAME("\1", "b"), "grpc-status: 0"), OK },
      REPEATED(INTERNAL) },
    { "pushed back in the head", RETRY, { ONLY("grpc-status: 14\ngrpc-retry-pushback-ms: 5000"), OK },
      REPEATED(UNAVAILABLE) },
    { "aborted is no word", RETRY, { SAID("grpc-status: 10\ngrpc-message: no"), OK }, ENDS(10, "no") },
    { "unavailable for ever", RETRY, { SAID("grpc-status: 14\ngrpc-message: gone") },
      MESH_OK, 14, "gone", "", 3, MESH_RETRY_UNAVAILABLE, MESH_STOP_ATTEMPTS },
    { "pushed back for good", RETRY, { SAID("grpc-status: 14\ngrpc-retry-pushback-ms: -1"), OK },
      MESH_OK, 14, "", "", 1, 0, MESH_STOP_PUSHBACK },
    { "pushed back with no number", RETRY, { SAID("grpc-status: 14\ngrpc-retry-pushback-ms: x"), OK },
      MESH_OK, 14, "", "", 1, 0, MESH_STOP_PUSHBACK },
    { "pushed back too far", RETRY, { SAID("grpc-status: 14\ngrpc-retry-pushback-ms: 20000"), OK },
      MESH_OK, 14, "", "", 1, 0, MESH_STOP_DEADLINE },
    { "not idempotent", HTTP2 ", 'retry': {'on': ['unavailable']}", { SAID("grpc-status: 14"), OK },
      MESH_OK, 14, "", "", 1, 0, MESH_STOP_NOT_IDEMPOTENT },
    { "HTTP/1.1", "", { OK }, FAILS(EUNSUPPORTED, 13) },
    /* clang-format on */
};

static void look(size_t i, mesh_result *result)
{
    const char *words = mesh_result_message(result);
    size_t count = mesh_result_attempt_count(result);
    mesh_attempt first = attempt_of(result, 0), last = attempt_of(result, count - 1);
    ck_assert_msg(mesh_result_code(result) == rows[i].code, "%s: %s", rows[i].name, words);
    ck_assert_msg(mesh_result_grpc_status(result) == rows[i].grpc_status, "%s: %d: %s", rows[i].name,
                  (int)mesh_result_grpc_status(result), words);
    ck_assert_str_eq(mesh_result_grpc_message(result), rows[i].message ? rows[i].message : words);
    ck_assert_str_eq(mesh_result_body(result), rows[i].body);
    ck_assert_uint_eq(mesh_result_body_size(result), strlen(rows[i].body));
    ck_assert_msg(count == rows[i].attempts, "%s: %zu attempts: %s", rows[i].name, count, words);
    ck_assert_msg(first.retry == rows[i].retry && last.stop == rows[i].stop, "%s: %s, %s", rows[i].name,
                  mesh_retry_name(first.retry), mesh_stop_name(last.stop));
    ck_assert_int_eq(last.grpc_status, rows[i].grpc_status);
    char expected[64];
    (void)snprintf(expected, sizeof(expected), "test: grpc-status %d %s: ", (int)rows[i].grpc_status,
                   mesh_grpc_status_name(rows[i].grpc_status));
    if (rows[i].grpc_status == 0)
        ck_assert_str_eq(words, "a response arrived");
    else
        ck_assert_msg(strncmp(words, expected, strlen(expected)) == 0, "%s: %s", rows[i].name, words);
    mesh_result_free(result);
}

START_TEST(outcomes)
{
    static const size_t pieces[] = { 0, 1, 3 };
    mesh_request request = grpc_scene_request("ask");
    open_client(rows[_i].members);
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        grpc_scene_answer(rows[_i].answers, ANSWERS);
        grpc_scene.peer.piece = pieces[i];
        look((size_t)_i, grpc_scene_call(&request));
        grpc_scene.now += 400 * NANOS_S; /* whatever was shut is open again */
    }
}
END_TEST

/* ---- what goes out ---- */

START_TEST(requests_are_framed)
{
    static const struct grpc_answer ok[] = { OK };
    static const size_t sizes[] = { 0, 1, 250, 251, 252, 300, 16384, 100000, 3000000 };
    char *message = malloc(sizes[8]);
    ck_assert_ptr_nonnull(message);
    for (size_t i = 0; i < sizes[8]; i++)
        message[i] = (char)(i * 7 + i / 251);
    open_client(HTTP2);
    grpc_scene_answer(ok, 1);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        mesh_request request = grpc_scene_request(NULL);
        request.body = message;
        request.body_size = sizes[i];
        mesh_result *result = grpc_scene_call(&request);
        ck_assert_int_eq(mesh_result_grpc_status(result), 0);
        mesh_result_free(result);
        const unsigned char *sent = (const unsigned char *)grpc_scene.peer.body.data;
        ck_assert_uint_eq(grpc_scene.peer.body.size, 5 + sizes[i]);
        ck_assert_uint_eq(sent[0], 0);
        ck_assert_uint_eq((size_t)sent[1] << 24 | (size_t)sent[2] << 16 | (size_t)sent[3] << 8 | sent[4], sizes[i]);
        ck_assert_mem_eq(sent + 5, message, sizes[i]);
    }
    free(message);
}
END_TEST

START_TEST(requests_have_the_fields_of_grpc)
{
    static const struct grpc_answer ok[] = { OK };
    static const mesh_header own[] = { { "Content-Type", 12, "application/grpc+proto", 22 },
                                       { "grpc-timeout", 12, "7S", 2 } };
    open_client(HTTP2);
    grpc_scene_answer(ok, 1);
    mesh_request request = grpc_scene_request("ask");
    mesh_result_free(grpc_scene_call(&request));
    ck_assert_str_eq(grpc_scene.peer.path, "/pkg.Echo/Say");
    ck_assert(grpc_peer_saw(&grpc_scene.peer, "te: trailers"));
    ck_assert(grpc_peer_saw(&grpc_scene.peer, "content-type: application/grpc"));
    ck_assert(grpc_peer_saw(&grpc_scene.peer, "grpc-timeout: 10000000u"));
    ck_assert_ptr_null(strstr(grpc_scene.peer.fields, "content-length"));
    ck_assert_ptr_null(strstr(grpc_scene.peer.fields, "x-envoy-expected-rq-timeout-ms"));
    ck_assert_ptr_null(strstr(grpc_scene.peer.fields, "grpc-previous-rpc-attempts"));
    request.headers = own;
    request.header_count = 2;
    mesh_result_free(grpc_scene_call(&request));
    ck_assert(grpc_peer_saw(&grpc_scene.peer, "content-type: application/grpc+proto"));
    ck_assert(!grpc_peer_saw(&grpc_scene.peer, "content-type: application/grpc"));
    ck_assert(grpc_peer_saw(&grpc_scene.peer, "grpc-timeout: 7S"));
    ck_assert(!grpc_peer_saw(&grpc_scene.peer, "grpc-timeout: 10000000u"));
}
END_TEST

/* The attempts before it that count, the pause that the peer asked for, and what is left of the time. */
START_TEST(retries_say_how_many_there_were)
{
    static const struct grpc_answer answers[] = { SAID("grpc-status: 14"),
                                                  SAID("grpc-status: 14\ngrpc-retry-pushback-ms: 3000"), OK };
    open_client(RETRY);
    grpc_scene_answer(answers, 3);
    mesh_request request = grpc_scene_request("ask");
    mesh_result *result = grpc_scene_call(&request);
    ck_assert_int_eq(mesh_result_grpc_status(result), 0);
    ck_assert_uint_eq(mesh_result_attempt_count(result), 3);
    ck_assert_int_eq(attempt_of(result, 2).backoff_ns, 3 * NANOS_S);
    ck_assert(grpc_peer_saw(&grpc_scene.peer, "grpc-previous-rpc-attempts: 2"));
    mesh_result_free(result);
    const char *left = strstr(grpc_scene.peer.fields, "grpc-timeout: ");
    ck_assert_ptr_nonnull(left);
    ck_assert_int_le(strtoll(left + 14, NULL, 10), 7000000);

    static const struct grpc_answer free_repeat[] = { RESET(HTTP2_REFUSED_STREAM), OK };
    grpc_scene_answer(free_repeat, 2);
    result = grpc_scene_call(&request);
    ck_assert_uint_eq(mesh_result_attempt_count(result), 2);
    ck_assert_ptr_null(strstr(grpc_scene.peer.fields, "grpc-previous-rpc-attempts"));
    mesh_result_free(result);
}
END_TEST

START_TEST(requests_that_are_none)
{
    static const mesh_header json[] = { { "content-type", 12, "application/json", 16 } };
    static const struct {
        const char *method, *path;
        const mesh_header *headers;
        const char *words;
    } refused[] = {
        { "GET", "/a/b", NULL, "EINVAL: request.method: a gRPC call is a POST; NULL was expected" },
        { NULL, NULL, NULL, "EINVAL: request.path: \"/package.Service/Method\" was expected" },
        { NULL, "/a/b", json, "EINVAL: request.headers: the content-type of a gRPC call is \"application/grpc\"" },
    };
    static const struct grpc_answer ok[] = { OK };
    open_client(HTTP2);
    grpc_scene_answer(ok, 1);
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        mesh_request request = request_of(refused[i].method, refused[i].path, "ask");
        request.flags = MESH_GRPC;
        request.headers = refused[i].headers;
        request.header_count = refused[i].headers ? 1 : 0;
        ck_assert_int_eq(mesh_call_start(grpc_scene.client, "test", &request, NULL, NULL), MESH_EINVAL);
    }
    mesh_request request = request_of("POST", "/a/b", "ask");
    request.flags = MESH_GRPC | MESH_COPY_BODY;
    mesh_result *result = grpc_scene_call(&request);
    ck_assert_str_eq(mesh_result_body(result), "hello");
    mesh_result_free(result);
}
END_TEST

/* ---- what comes back ---- */

START_TEST(headers_and_trailers)
{
    static const struct grpc_answer answers[] = { { 200, GRPC "\nx-a: head", HELLO,
                                                    "x-b: one\nx-b: two\ngrpc-status: 0", false, 0 },
                                                  ONLY("x-c: 3\ngrpc-status: 5") };
    open_client(HTTP2);
    grpc_scene_answer(answers, 2);
    mesh_request request = grpc_scene_request("ask");
    mesh_result *result = grpc_scene_call(&request);
    mesh_header field;
    ck_assert_str_eq(mesh_result_header_value(result, "x-a"), "head");
    ck_assert_ptr_null(mesh_result_header_value(result, "x-b"));
    ck_assert_uint_eq(mesh_result_trailer_count(result), 3);
    ck_assert_int_eq(mesh_result_trailer(result, 1, &field), MESH_OK);
    ck_assert_str_eq(field.value, "two");
    ck_assert_str_eq(mesh_result_trailer_value(result, "grpc-status"), "0");
    mesh_result_free(result);
    result = grpc_scene_call(&request); /* with nothing but a head, that is as well the trailers */
    ck_assert_str_eq(mesh_result_trailer_value(result, "x-c"), "3");
    ck_assert_str_eq(mesh_result_header_value(result, "x-c"), "3");
    mesh_result_free(result);
}
END_TEST

START_TEST(a_body_that_is_wrong_is_reset_and_the_connection_lives)
{
    static const struct grpc_answer answers[] = { BODY(FRAME("\1", "a") FRAME("\1", "b"), "grpc-status: 0"), OK };
    open_client(HTTP2);
    grpc_scene_answer(answers, 2);
    grpc_scene.peer.piece = 1;
    mesh_request request = grpc_scene_request("ask");
    mesh_result_free(grpc_scene_call(&request));
    mesh_result *result = grpc_scene_call(&request);
    ck_assert_int_eq(mesh_result_grpc_status(result), 0);
    mesh_result_free(result);
    ck_assert_uint_eq(grpc_scene.peer.connections, 1);
}
END_TEST

/* Without an endpoint, and without a service, there is a status all the same; without MESH_GRPC there is none. */
START_TEST(every_grpc_call_has_a_status)
{
    static const struct grpc_answer ok[] = { OK };
    open_client(HTTP2);
    grpc_scene_answer(ok, 1);
    mesh_request request = grpc_scene_request("ask");
    request.endpoint = "10.0.0.9:80";
    mesh_result *result = grpc_scene_call(&request);
    ck_assert_int_eq(mesh_result_code(result), MESH_NO_ENDPOINT);
    ck_assert_int_eq(mesh_result_grpc_status(result), MESH_GRPC_UNAVAILABLE);
    ck_assert_str_eq(mesh_result_grpc_message(result), mesh_result_message(result));
    mesh_result_free(result);
    request = request_of("POST", "/pkg.Echo/Say", "ask");
    result = grpc_scene_call(&request);
    ck_assert_int_eq(mesh_result_code(result), MESH_OK);
    ck_assert_int_eq(mesh_result_grpc_status(result), -1);
    ck_assert_int_eq(attempt_of(result, 0).grpc_status, -1);
    ck_assert_str_eq(mesh_result_grpc_message(result), "");
    ck_assert_uint_eq(mesh_result_body_size(result), 10);
    ck_assert_str_eq(mesh_result_trailer_value(result, "grpc-status"), "0");
    mesh_result_free(result);
    ck_assert_int_eq(mesh_result_grpc_status(NULL), -1);
    ck_assert_str_eq(mesh_result_grpc_message(NULL), "");
}
END_TEST

/* Nobody was unavailable but this side: another attempt would only take more of what there is too little of. */
START_TEST(what_our_own_limit_turned_away_is_not_repeated)
{
    static const struct grpc_answer ok[] = { OK };
    open_client(RETRY ", 'limits': {'max_pending': 1}");
    grpc_scene_answer(ok, 1);
    mesh_request request = grpc_scene_request("ask");
    for (int i = 0; i < 2; i++) /* the first one waits for the connection */
        ck_assert_int_eq(mesh_call_start(grpc_scene.client, "test", &request, NULL, NULL), MESH_OK);
    mesh_result *result = grpc_scene_next();
    ck_assert_int_eq(mesh_result_code(result), MESH_OVERLOADED);
    ck_assert_int_eq(mesh_result_grpc_status(result), MESH_GRPC_UNAVAILABLE);
    ck_assert_uint_eq(mesh_result_attempt_count(result), 1);
    ck_assert_int_eq(attempt_of(result, 0).grpc_status, MESH_GRPC_UNAVAILABLE);
    ck_assert_int_eq(attempt_of(result, 0).stop, MESH_STOP_NOT_RETRYABLE);
    mesh_result_free(result);
    result = grpc_scene_next();
    ck_assert_int_eq(mesh_result_grpc_status(result), MESH_GRPC_OK);
    mesh_result_free(result);
}
END_TEST

static struct {
    size_t count;
    int32_t rows[8][2]; /* kind and gRPC status */
} spans;

static void on_span(const mesh_span *span, void *user)
{
    (void)user;
    ck_assert_uint_lt(spans.count, 8);
    spans.rows[spans.count][0] = span->kind;
    spans.rows[spans.count++][1] = span->grpc_status;
}

START_TEST(spans_carry_the_status)
{
    static const struct grpc_answer answers[] = { SAID("grpc-status: 14"), SAID("grpc-status: 5"), OK };
    static const int32_t expected[][2] = { { MESH_SPAN_ATTEMPT, 14 },
                                           { MESH_SPAN_ATTEMPT, 5 },
                                           { MESH_SPAN_CALL, 5 },
                                           { MESH_SPAN_ATTEMPT, -1 },
                                           { MESH_SPAN_CALL, -1 } };
    grpc_scene.on_span = on_span;
    open_client(RETRY);
    grpc_scene_answer(answers, 3);
    mesh_request request = grpc_scene_request("ask");
    mesh_result_free(grpc_scene_call(&request));
    request = request_of("POST", "/pkg.Echo/Say", "ask");
    mesh_result_free(grpc_scene_call(&request));
    mesh_client_free(grpc_scene.client);
    grpc_scene.client = NULL;
    ck_assert_uint_eq(spans.count, 5);
    ck_assert_mem_eq(spans.rows, expected, sizeof(expected));
}
END_TEST

/* UNAVAILABLE shuts the breaker as 503 does; NOT_FOUND does not. */
START_TEST(breakers_look_at_grpc_statuses)
{
    static const struct {
        struct grpc_answer answer;
        bool shuts;
    } kinds[] = { { SAID("grpc-status: 14"), true },
                  { SAID("grpc-status: 5"), false },
                  { SAID("grpc-status: 8"), false } };
    grpc_peer_listen(&grpc_scene.peer, grpc_scene.memory, "10.0.0.2:80");
    (void)grpc_scene_open("'10.0.0.1:80', '10.0.0.2:80'", HTTP2 ", 'circuit_breaker': {'failures': 3}");
    grpc_scene_answer(&kinds[_i].answer, 1);
    mesh_request request = grpc_scene_request("ask");
    for (int i = 0; i < 20; i++)
        mesh_result_free(grpc_scene_call(&request));
    mesh_counters counters = MESH_COUNTERS_INIT;
    ck_assert_int_eq(mesh_client_counters(grpc_scene.client, "test", NULL, &counters), MESH_OK);
    ck_assert_int_eq(counters.shuts > 0, kinds[_i].shuts);
}
END_TEST

static bool breaker_is(const char *state)
{
    char expected[64];
    char *text = mesh_client_inspect(grpc_scene.client, "test");
    ck_assert_ptr_nonnull(text);
    (void)snprintf(expected, sizeof(expected), "\"breaker\":\"%s\"", state);
    bool is = strstr(text, expected) != NULL;
    ck_assert_msg(is || strstr(text, "\"breaker\":\"") != NULL, "%s", text);
    mesh_string_free(text);
    return is;
}

/* A stream stays open for as long as it likes, and is cancelled in the end: its endpoint is back at its head. */
START_TEST(a_probe_that_stays_open_brings_its_endpoint_back)
{
    static const struct grpc_answer answers[] = { SAID("grpc-status: 14"), OPEN };
    open_client(HTTP2 ", 'circuit_breaker': {'failures': 1}");
    grpc_scene_answer(answers, 2);
    mesh_request request = grpc_scene_request("ask");
    mesh_result_free(grpc_scene_call(&request));
    ck_assert(breaker_is("shut"));
    grpc_scene.now += 2 * NANOS_S; /* the jitter of the first second included */
    request.timeout_ns = -1;
    request.flags |= (uint32_t)MESH_STREAM_WHOLE;
    mesh_stream *stream;
    const mesh_result *head;
    ck_assert_int_eq(mesh_stream_open(grpc_scene.client, "test", &request, NULL, &stream), MESH_OK);
    for (int turns = 0; turns < 100 && mesh_stream_head(stream, 0, &head) == MESH_EAGAIN; turns++)
        ck_assert_int_eq(mesh_loop_process(grpc_scene.client, 0), MESH_OK);
    ck_assert_int_eq(mesh_stream_head(stream, 0, &head), MESH_OK);
    ck_assert(breaker_is("closed"));
    grpc_scene.now += 3600 * NANOS_S;
    ck_assert_int_eq(mesh_stream_finish(stream, NULL), MESH_CANCELLED);
    while (grpc_scene.peer.cancelled == 0)
        ck_assert_int_eq(mesh_loop_process(grpc_scene.client, 0), MESH_OK);
    ck_assert(breaker_is("closed"));
    mesh_counters counters = MESH_COUNTERS_INIT;
    ck_assert_int_eq(mesh_client_counters(grpc_scene.client, "test", NULL, &counters), MESH_OK);
    ck_assert_uint_eq(counters.probes, 1);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        requests_are_framed,
        requests_have_the_fields_of_grpc,
        retries_say_how_many_there_were,
        requests_that_are_none,
        headers_and_trailers,
        a_body_that_is_wrong_is_reset_and_the_connection_lives,
        every_grpc_call_has_a_status,
        what_our_own_limit_turned_away_is_not_repeated,
        spans_carry_the_status,
        a_probe_that_stays_open_brings_its_endpoint_back,
    };
    Suite *suite = suite_create("gRPC calls");
    TCase *tcase = tcase_create("gRPC calls");
    tcase_add_checked_fixture(tcase, grpc_scene_begin, grpc_scene_end);
    tcase_add_loop_test(tcase, outcomes, 0, (int)(sizeof(rows) / sizeof(rows[0])));
    tcase_add_loop_test(tcase, breakers_look_at_grpc_statuses, 0, 3);
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
