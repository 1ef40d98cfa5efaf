/* SPDX-License-Identifier: Apache-2.0 */
/* server_http2_test.c - requests over HTTP/2 with prior knowledge: what each is answered, many at once, time limits. */
/* label: threaded */
#include "api/server_http2_peer.h"

#include <check.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define LARGE ((size_t)3000000)
#define MANY 50

static char *large; /* LARGE bytes */

static void setup(void)
{
    large = malloc(LARGE);
    ck_assert_ptr_nonnull(large);
    for (size_t i = 0; i < LARGE; i++)
        large[i] = (char)(i % 251);
}

static void teardown(void)
{
    free(large);
}

/* ---- one request ---- */

static void reply(mesh_exchange *exchange, int32_t status, const char *name, size_t value_size, const void *body,
                  size_t body_size)
{
    const mesh_header header = { name, strlen(name), large, value_size };
    mesh_reply answer = MESH_REPLY_INIT;
    answer.status = status;
    answer.headers = &header;
    answer.header_count = value_size > 0 ? 1 : 0;
    answer.body = body;
    answer.body_size = body_size;
    mesh_status said = mesh_exchange_reply(exchange, &answer);
    ck_assert_msg(said == MESH_OK || value_size > 0, "%d", (int)said);
}

static void serve(mesh_exchange *exchange, void *user)
{
    char text[64];
    const char *path = mesh_exchange_path(exchange);
    (void)user;
    if (strcmp(path, "/drop") == 0)
        mesh_exchange_drop(exchange);
    else if (strcmp(path, "/large") == 0)
        reply(exchange, 200, "x", 0, large, LARGE);
    else if (strcmp(path, "/none") == 0)
        reply(exchange, 204, "x", 0, NULL, 0);
    else if (strcmp(path, "/wide") == 0)
        reply(exchange, 200, "x-control-characters", 70000, NULL, 0);
    else if (strcmp(path, "/who?a=b") == 0)
        reply(exchange, 201, "x", 0, text,
              (size_t)snprintf(text, sizeof(text), "%s %s %s", mesh_exchange_method(exchange),
                               mesh_exchange_authority(exchange), mesh_exchange_header_value(exchange, "X-Name")));
    else
        reply(exchange, 200, "x", 0, mesh_exchange_body(exchange), mesh_exchange_body_size(exchange));
}

#define GRPC "application/grpc+proto"

static const struct {
    const char *method, *path, *name, *value; /* one field */
    size_t size;                              /* of the body */
    int status;
    const char *field, *said; /* of the response */
    const char *body;         /* NULL: as long as what was sent */
} rows[] = {
    { "GET", "/who?a=b", "x-name", "me", 0, 201, "content-length", "8", "GET x me" },
    { "POST", "/echo", NULL, NULL, 5, 200, "content-length", "5", NULL },
    { "POST", "/echo", NULL, NULL, 65536, 200, "content-length", "65536", NULL },
    { "POST", "/echo", NULL, NULL, 100000, 200, "content-length", "100000", NULL },
    { "HEAD", "/large", NULL, NULL, 0, 200, "content-length", "3000000", "" },
    { "GET", "/none", NULL, NULL, 0, 204, "content-length", "", "" },
    { "GET", "/drop", NULL, NULL, 0, 500, "content-length", "0", "" },
    { "GET", "/wide", NULL, NULL, 0, 500, "content-length", "0", "" },
    { "POST", "/echo", "expect", "100-continue", 5, 200, "content-length", "5", NULL },
    { "POST", "/echo", "expect", "miracles", 5, 417, "content-type", "text/plain",
      "an expectation other than 100-continue\n" },
    { "POST", "/echo", NULL, NULL, 100001, 413, "content-type", "text/plain", "a body beyond max_body" },
    { "GET", "/echo", "x-long", "LONG", 0, 431, "content-type", "text/plain", "a header beyond max_header" },
    { "GET", "/echo", "x-envoy-expected-rq-timeout-ms", "0", 0, 504, "content-type", "text/plain",
      "the deadline passed before the request was looked at\n" },
    { "POST", "/secret", NULL, NULL, 100000, 403, "content-type", "text/plain", "denied by policy\n" },
    { "GET", "/secret", "content-type", "application/grpcx", 0, 403, "content-type", "text/plain",
      "denied by policy\n" },
    { "POST", "/secret", "content-type", GRPC, 5, 200, "grpc-status", "7", "" },
    { "POST", "/secret", "content-type", GRPC, 0, 200, "grpc-message", "denied by policy", "" },
    { "POST", "/secret", "content-type", GRPC, 0, 200, "content-type", "application/grpc", "" },
    { "POST", "/secret", "content-type", GRPC, 0, 200, "content-length", "", "" },
    { "POST", "/drop", "content-type", "application/grpc", 5, 200, "grpc-status", "2", "" },
    { "POST", "/echo", "content-type", GRPC, 0, 200, "content-length", "0", "" },
};

static const char settings_of_rows[] =
    "{\"workers\": %d, \"max_body\": \"100000B\", \"max_header\": \"4KiB\", \"authorize\": {\"rules\": [{\"name\": "
    "\"secrets\", \"action\": \"deny\", \"paths\": [\"/secret\"]}]}}";

static mesh_server *open_for_rows(int workers)
{
    char settings[400];
    (void)snprintf(settings, sizeof(settings), settings_of_rows, workers);
    return open_server(settings, NULL, serve, NULL);
}

static void check_row(struct caller *caller, size_t row)
{
    char text[128], wide[6000];
    struct call call = { .method = rows[row].method, .path = rows[row].path, .body = large };
    memset(wide, 'w', sizeof(wide));
    wide[sizeof(wide) - 1] = '\0';
    call.body_size = rows[row].size;
    if (rows[row].name != NULL)
        call_field(&call, rows[row].name, strcmp(rows[row].value, "LONG") == 0 ? wide : rows[row].value);
    int status = caller_ask(caller, &call);
    ck_assert_msg(status == rows[row].status, "row %zu: %d", row, status);
    (void)call_value(&call, rows[row].field, text);
    ck_assert_msg(strcmp(text, rows[row].said) == 0, "row %zu: %s", row, call.fields);
    const char *body = rows[row].body != NULL ? rows[row].body : large;
    size_t size = rows[row].body != NULL ? strlen(body) : rows[row].size;
    ck_assert_msg(call.ended && call.received.size == size, "row %zu: %.*s", row, (int)call.received.size,
                  call.received.data);
    ck_assert_msg(size == 0 || memcmp(call.received.data, body, size) == 0, "row %zu", row);
    ck_assert_msg(strcmp(call_value(&call, "date", text), "") != 0 || strcmp(rows[row].body ? body : "", "") == 0 ||
                      status >= 400,
                  "row %zu", row);
    call_free(&call);
}

/* All on one connection, which no refusal ends. */
START_TEST(test_rows)
{
    mesh_server *server = open_for_rows(_i);
    struct caller caller;
    caller_connect(&caller, mesh_server_address(server));
    for (size_t row = 0; row < LENGTH(rows); row++)
        check_row(&caller, row);
    ck_assert(!caller.gone);
    ck_assert_uint_eq(caller.goaways, 0);
    caller_close(&caller);
    mesh_server_free(server);
}
END_TEST

START_TEST(test_large_answer)
{
    mesh_server *server = open_for_rows(_i);
    struct caller caller;
    struct call calls[8];
    caller_connect(&caller, mesh_server_address(server));
    for (size_t i = 0; i < LENGTH(calls); i++) {
        calls[i] = (struct call){ .path = "/large" };
        ck_assert_int_eq(caller_start(&caller, &calls[i]), MESH_OK);
    }
    caller_finish(&caller);
    for (size_t i = 0; i < LENGTH(calls); i++) {
        ck_assert_uint_eq(calls[i].received.size, LARGE);
        ck_assert_int_eq(memcmp(calls[i].received.data, large, LARGE), 0);
        ck_assert_int_eq(calls[i].outcome, MESH_OK);
        call_free(&calls[i]);
    }
    caller_close(&caller);
    mesh_server_free(server);
}
END_TEST

/* ---- exchanges that the test answers ---- */

struct keeper {
    _Atomic(mesh_exchange *) kept[MANY];
    atomic_int count;
    sem_t came, go, span;
    atomic_int span_status;
};

static void keep(mesh_exchange *exchange, void *user)
{
    struct keeper *keeper = user;
    keeper->kept[atoi(mesh_exchange_path(exchange) + 1)] = exchange;
    keeper->count++;
    sem_post(&keeper->came);
}

static void on_span(const mesh_span *span, void *user)
{
    struct keeper *keeper = user;
    keeper->span_status = span->status;
    sem_post(&keeper->span);
}

static mesh_server *open_keeper(struct keeper *keeper, const char *settings, mesh_handler handler)
{
    mesh_options options = MESH_OPTIONS_INIT;
    memset(keeper, 0, sizeof(*keeper));
    sem_init(&keeper->came, 0, 0);
    sem_init(&keeper->go, 0, 0);
    sem_init(&keeper->span, 0, 0);
    options.on_span = on_span;
    options.user = keeper;
    return open_server(settings, &options, handler, keeper);
}

static const char *const by_workers[] = { "{\"workers\": 0}", "{\"workers\": 4}" };

static void start_many(struct caller *caller, struct call calls[MANY], char paths[MANY][8])
{
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(paths[i], sizeof(paths[i]), "/%d", i);
        calls[i] = (struct call){ .path = paths[i] };
        ck_assert_int_eq(caller_start(caller, &calls[i]), MESH_OK);
    }
    caller_flush(caller);
}

START_TEST(test_answers_in_any_order)
{
    struct keeper keeper;
    struct caller caller;
    struct call calls[MANY];
    char paths[MANY][8];
    mesh_server *server = open_keeper(&keeper, by_workers[_i], keep);
    caller_connect(&caller, mesh_server_address(server));
    start_many(&caller, calls, paths);
    for (int i = 0; i < MANY; i++)
        await(&keeper.came);
    for (int i = MANY - 1; i >= 0; i--) {
        mesh_reply answer = MESH_REPLY_INIT;
        answer.body = paths[i];
        answer.body_size = strlen(paths[i]);
        ck_assert_int_eq(mesh_exchange_reply(keeper.kept[i], &answer), MESH_OK);
    }
    caller_finish(&caller);
    for (int i = 0; i < MANY; i++) {
        ck_assert_uint_eq(calls[i].received.size, strlen(paths[i]));
        ck_assert_int_eq(memcmp(calls[i].received.data, paths[i], strlen(paths[i])), 0);
        call_free(&calls[i]);
    }
    caller_close(&caller);
    mesh_server_free(server);
}
END_TEST

/* The exchange of a stream that was reset stays valid; its answer goes nowhere, and the others' arrive. */
START_TEST(test_reset)
{
    struct keeper keeper;
    struct caller caller;
    struct call calls[MANY];
    char paths[MANY][8];
    mesh_server *server = open_keeper(&keeper, by_workers[_i], keep);
    caller_connect(&caller, mesh_server_address(server));
    start_many(&caller, calls, paths);
    for (int i = 0; i < MANY; i++)
        await(&keeper.came);
    for (int i = 0; i < MANY; i += 2) {
        mesh__http2_reset(calls[i].stream, HTTP2_CANCEL);
        caller.open--;
    }
    caller_flush(&caller);
    for (int i = 0; i < MANY; i += 2) {
        await(&keeper.span);
        ck_assert_int_eq(keeper.span_status, MESH_CANCELLED);
    }
    for (int i = 0; i < MANY; i++) {
        ck_assert_str_eq(mesh_exchange_path(keeper.kept[i]), paths[i]);
        ck_assert_int_eq(mesh_exchange_reply(keeper.kept[i], &(mesh_reply)MESH_REPLY_INIT),
                         i % 2 ? MESH_OK : MESH_ECLOSED);
    }
    caller_finish(&caller);
    for (int i = 0; i < MANY; i++) {
        ck_assert_int_eq(calls[i].status, i % 2 ? 200 : 0);
        call_free(&calls[i]);
    }
    caller_close(&caller);
    mesh_server_free(server);
}
END_TEST

static void block(mesh_exchange *exchange, void *user)
{
    struct keeper *keeper = user;
    sem_post(&keeper->came);
    await(&keeper->go);
    reply(exchange, 200, "x", 0, NULL, 0);
}

/* One is with the worker and one waits; the others are answered at once, on a connection that stays. */
START_TEST(test_full_queue)
{
    struct keeper keeper;
    struct caller caller;
    struct call calls[4] = { { .path = "/0" }, { .path = "/1" }, { .path = "/2" }, { .path = "/3" } };
    char text[128];
    mesh_server *server = open_keeper(&keeper, "{\"workers\": 1, \"max_pending\": 1}", block);
    caller_connect(&caller, mesh_server_address(server));
    call_field(&calls[3], "content-type", "application/grpc");
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(caller_start(&caller, &calls[i]), MESH_OK);
        caller_flush(&caller);
        if (i == 0)
            await(&keeper.came);
    }
    caller_await(&caller, &calls[2]);
    ck_assert_int_eq(calls[2].status, 503);
    caller_await(&caller, &calls[3]);
    ck_assert_str_eq(call_value(&calls[3], "grpc-status", text), "14");
    ck_assert(!calls[0].closed && !calls[1].closed);
    sem_post(&keeper.go);
    sem_post(&keeper.go);
    caller_finish(&caller);
    ck_assert_int_eq(calls[0].status, 200);
    ck_assert_int_eq(calls[1].status, 200);
    for (int i = 0; i < 4; i++)
        call_free(&calls[i]);
    caller_close(&caller);
    mesh_server_free(server);
}
END_TEST

/* ---- time ---- */

static enum body_next nothing_yet(void *user, size_t most, struct view *bytes, struct http1_field_group *trailers)
{
    (void)user;
    (void)most;
    (void)trailers;
    *bytes = mesh__view("", 0);
    return BODY_LATER;
}

/* A request that never ends is answered; what else is on the connection goes on. */
START_TEST(test_request_timeout)
{
    struct caller caller;
    struct call slow = { .method = "POST", .next = nothing_yet }, grpc = slow, quick = { .path = "/who" };
    char text[128];
    mesh_server *server = open_server("{\"request_timeout\": \"50ms\"}", NULL, serve, NULL);
    caller_connect(&caller, mesh_server_address(server));
    call_field(&grpc, "content-type", "application/grpc");
    ck_assert_int_eq(caller_start(&caller, &slow), MESH_OK);
    ck_assert_int_eq(caller_start(&caller, &grpc), MESH_OK);
    ck_assert_int_eq(caller_ask(&caller, &quick), 200);
    ck_assert_int_eq(slow.status, 408);
    ck_assert_str_eq(call_value(&grpc, "grpc-status", text), "4");
    call_free(&slow);
    call_free(&grpc);
    call_free(&quick);
    caller_close(&caller);
    mesh_server_free(server);
}
END_TEST

/* One GOAWAY that refuses nothing, and, once the PING beside it is back, one that names the last stream. */
START_TEST(test_idle_timeout)
{
    struct peer peer;
    struct buf bytes;
    struct frame frame;
    mesh_server *server = open_server("{\"idle_timeout\": \"50ms\"}", NULL, serve, NULL);
    mesh__buf_init(&bytes, &mesh__mem_system, 1000);
    peer = peer_connect(mesh_server_address(server));
    frame_open(&bytes);
    if (_i == 1)
        frame_put(&bytes, FRAME_HEADERS, FLAG_END_STREAM | FLAG_END_HEADERS, 1, GET_BLOCK, 6);
    ck_assert(peer_send(&peer, bytes.data, bytes.size));
    ck_assert(frame_await(&peer, FRAME_PING, &frame));
    ck_assert(frame_await(&peer, FRAME_GOAWAY, &frame));
    ck_assert_uint_eq(frame.last, INT32_MAX);
    mesh__buf_clear(&bytes);
    frame_put(&bytes, FRAME_PING, FLAG_ACK, 0, "\0\0\0\0\0\0\0", 8);
    ck_assert(peer_send(&peer, bytes.data, bytes.size));
    ck_assert(frame_await(&peer, FRAME_GOAWAY, &frame));
    ck_assert_uint_eq(frame.last, (uint32_t)_i);
    ck_assert_uint_eq(frame.code, HTTP2_NO_ERROR);
    ck_assert(peer_at_end(&peer));
    mesh__buf_fini(&bytes);
    peer_close(&peer);
    mesh_server_free(server);
}
END_TEST

/* A preface that stops half-way is a request that takes too long; a header block that does is a silent connection. */
START_TEST(test_stops_half_way)
{
    struct answer answer;
    struct frame frame;
    struct buf bytes;
    mesh_server *server = open_server("{\"request_timeout\": \"50ms\", \"idle_timeout\": \"60ms\"}", NULL, serve, NULL);
    struct peer peer = peer_connect(mesh_server_address(server));
    mesh__buf_init(&bytes, &mesh__mem_system, 1000);
    if (_i == 0) {
        ck_assert(peer_send(&peer, PREFACE, 20));
        ck_assert(peer_read(&peer, false, &answer));
        ck_assert_int_eq(answer.status, 408);
        answer_free(&answer);
    } else {
        frame_open(&bytes);
        frame_put(&bytes, FRAME_HEADERS, FLAG_END_STREAM, 1, GET_BLOCK, 6);
        ck_assert(peer_send(&peer, bytes.data, bytes.size));
        ck_assert(frame_await(&peer, FRAME_GOAWAY, &frame));
    }
    ck_assert(peer_at_end(&peer));
    mesh__buf_fini(&bytes);
    peer_close(&peer);
    mesh_server_free(server);
}
END_TEST

/* One that gives no window for its answer loses that stream; the connection and its other streams stay. */
START_TEST(test_window_that_stays_shut)
{
    struct caller caller;
    struct call shut = { .path = "/large" }, quick = { .path = "/who" };
    mesh_server *server = open_server("{\"idle_timeout\": \"100ms\"}", NULL, serve, NULL);
    caller_connect(&caller, mesh_server_address(server));
    caller.hold = true;
    ck_assert_int_eq(caller_start(&caller, &shut), MESH_OK);
    ck_assert_int_eq(caller_start(&caller, &quick), MESH_OK);
    caller_await(&caller, &quick);
    ck_assert_int_eq(quick.status, 200);
    ck_assert(!shut.closed);
    caller_await(&caller, &shut);
    ck_assert(shut.by_peer && !shut.ended);
    ck_assert_uint_eq(shut.code, HTTP2_CANCEL);
    ck_assert_uint_lt(shut.received.size, LARGE);
    call_free(&shut);
    call_free(&quick);
    caller_close(&caller);
    mesh_server_free(server);
}
END_TEST

/* What the configuration says is what clients are told. */
START_TEST(test_max_streams)
{
    struct caller caller;
    struct call call = { .path = "/none" };
    mesh_server *server = open_server("{\"workers\": 0, \"max_streams\": 3}", NULL, serve, NULL);
    caller_connect(&caller, mesh_server_address(server));
    ck_assert_int_eq(caller_ask(&caller, &call), 204);
    ck_assert_uint_eq(mesh__http2_room(caller.conn), 3);
    call_free(&call);
    caller_close(&caller);
    mesh_server_free(server);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server: HTTP/2");
    TCase *tcase = tcase_create("all");
    tcase_add_checked_fixture(tcase, setup, teardown);
    suite_add_tcase(suite, tcase);
    tcase_add_loop_test(tcase, test_rows, 0, 2);
    tcase_add_loop_test(tcase, test_large_answer, 0, 2);
    tcase_add_loop_test(tcase, test_answers_in_any_order, 0, 2);
    tcase_add_loop_test(tcase, test_reset, 0, 2);
    tcase_add_test(tcase, test_full_queue);
    tcase_add_test(tcase, test_max_streams);
    tcase_add_test(tcase, test_request_timeout);
    tcase_add_loop_test(tcase, test_idle_timeout, 0, 2);
    tcase_add_loop_test(tcase, test_stops_half_way, 0, 2);
    tcase_add_test(tcase, test_window_that_stays_shut);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
