/* SPDX-License-Identifier: Apache-2.0 */
/* client_rows_end.c - calls that end early: deadlines, cancellation, arguments and limits. */
#include "api/client_rows.h"

#include "policy/deadline.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void deadline(struct harness *harness, int thread)
{
    (void)thread;
    mesh_request request = request_of("GET", "/never", NULL);
    request.timeout_ns = 10 * NANOS_MS;
    mesh_result *result = harness_call(harness, "test", &request);
    EXPECT_RESULT(harness, result, MESH_DEADLINE, 0);
    int64_t least = request.timeout_ns;
    if (mesh_result_attempt_count(result) > 0)
        expect_attempts(harness, result, 1, MESH_RETRY_NONE, MESH_STOP_DEADLINE);
    else
        least -= DEADLINE_FLOOR; /* begun so late that no attempt was worth it, on a machine that is busy elsewhere */
    EXPECT(harness, mesh_result_duration_ns(result) >= least, "it took %lld ns",
           (long long)mesh_result_duration_ns(result));
    mesh_result_free(result);
}

static void inbound_deadline(struct harness *harness, int thread)
{
    (void)thread;
    mesh_header header = { "x-envoy-expected-rq-timeout-ms", 30, "8", 1 };
    mesh_inbound *inbound;
    EXPECT_INT(harness, mesh_inbound_parse(&header, 1, &inbound), MESH_OK);
    mesh_request request = request_of("GET", "/never", NULL);
    request.inbound = inbound;
    mesh_result *result = harness_call(harness, "test", &request);
    EXPECT_RESULT(harness, result, MESH_DEADLINE, 0);
    mesh_result_free(result);
    result = harness_call(harness, "test", &request); /* nothing is left: not even tried */
    EXPECT_RESULT(harness, result, MESH_DEADLINE, 0);
    EXPECT_INT(harness, mesh_result_attempt_count(result), 0);
    mesh_result_free(result);
    mesh_inbound_free(inbound);
}

static void per_try_timeout(struct harness *harness, int thread)
{
    char path[60];
    (void)snprintf(path, sizeof(path), "/seq/try-%d/never,200", thread);
    mesh_result *result = harness_get(harness, path);
    EXPECT_RESULT(harness, result, MESH_OK, 200);
    /* Two; a machine that is busy elsewhere may cut the second as well. */
    EXPECT(harness, mesh_result_attempt_count(result) >= 2, "%s", mesh_result_message(result));
    EXPECT_INT(harness, attempt_of(result, 0).status, MESH_PER_TRY_TIMEOUT);
    EXPECT_INT(harness, attempt_of(result, 0).retry, MESH_RETRY_PER_TRY_TIMEOUT);
    mesh_result_free(result);
}

static const char *has_slow_connects(const struct cell *cell)
{
    return cell->secured ? "a handshake may take as long as a try" : NULL;
}

static void token_before(struct harness *harness, int thread)
{
    (void)thread;
    mesh_token *token;
    EXPECT_INT(harness, mesh_token_new(&token), MESH_OK);
    mesh_token_cancel(token);
    mesh_request request = request_of("GET", "/echo", NULL);
    request.token = token;
    for (int i = 0; i < 2; i++) { /* it is sticky */
        mesh_result *result = harness_call(harness, "test", &request);
        EXPECT_RESULT(harness, result, MESH_CANCELLED, 0);
        EXPECT_INT(harness, mesh_result_attempt_count(result), 0);
        mesh_result_free(result);
    }
    mesh_token_free(token);
}

/* The peer has got the request, so that it is under way. */
struct arrival {
    struct harness *harness;
    uint64_t wanted;
};

static bool has_arrived(void *user)
{
    const struct arrival *arrival = user;
    uint64_t sum = 0;
    for (int i = 0; i < 3; i++)
        sum += script_requests(arrival->harness->script, i);
    return sum >= arrival->wanted;
}

static void token_during(struct harness *harness)
{
    harness_open(harness, TEST_SERVICE);
    mesh_token *token;
    EXPECT_INT(harness, mesh_token_new(&token), MESH_OK);
    mesh_request request = request_of("GET", "/never", NULL);
    request.token = token;
    struct ticket tickets[3];
    for (int i = 0; i < 3; i++)
        harness_start(harness, &tickets[i], "test", &request);
    harness_until(harness, has_arrived, &(struct arrival){ harness, 3 });
    mesh_token_cancel(token);
    mesh_token_free(token); /* calls have references of their own */
    for (int i = 0; i < 3; i++) {
        mesh_result *result = harness_wait(&tickets[i]);
        EXPECT_RESULT(harness, result, MESH_CANCELLED, 0);
        EXPECT_INT(harness, attempt_of(result, 0).status, MESH_CANCELLED);
        mesh_result_free(result);
    }
    harness_close(harness);
}

static void cancel_one(struct harness *harness)
{
    harness_open(harness, TEST_SERVICE);
    mesh_request never = request_of("GET", "/never", NULL), delayed = request_of("GET", "/delay/10", NULL);
    struct ticket tickets[2];
    harness_start(harness, &tickets[0], "test", &never);
    harness_start(harness, &tickets[1], "test", &delayed);
    harness_until(harness, has_arrived, &(struct arrival){ harness, 2 });
    harness_cancel(&tickets[0]);
    mesh_call_id id = tickets[0].id;
    mesh_result *result = harness_wait(&tickets[0]);
    EXPECT_RESULT(harness, result, MESH_CANCELLED, 0);
    if (id)
        EXPECT_INT(harness, mesh_cancel(harness->client, id), MESH_ESTALE);
    EXPECT_INT(harness, mesh_cancel(harness->client, mesh_result_id(result)), MESH_ESTALE);
    mesh_result_free(result);
    result = harness_wait(&tickets[1]);
    EXPECT_RESULT(harness, result, MESH_OK, 200);
    mesh_result_free(result);
    EXPECT_INT(harness, mesh_cancel(harness->client, 0), MESH_ESTALE);
    EXPECT_INT(harness, mesh_cancel(harness->client, UINT64_MAX), MESH_ESTALE);
    harness_close(harness);
}

static void unknown_service(struct harness *harness, int thread)
{
    (void)thread;
    mesh_request request = request_of("GET", "/echo", NULL);
    mesh_result *result = harness_call(harness, "tset", &request);
    EXPECT_RESULT(harness, result, MESH_ESERVICE, 0);
    EXPECT_INT(harness, mesh_result_attempt_count(result), 0);
    EXPECT(harness, strstr(mesh_result_message(result), "did you mean \"test\"?") != NULL, "%s",
           mesh_result_message(result));
    mesh_result_free(result);
}

static void expect_refused(struct harness *harness, const mesh_request *request, const char *word)
{
    mesh_result *result = NULL;
    if (harness->options.mode != MESH_EXTERNAL) {
        EXPECT_INT(harness, mesh_call(harness->client, "test", request, &result), MESH_EINVAL);
        EXPECT(harness, strstr(mesh_result_message(result), word) != NULL, "no %s in: %s", word,
               mesh_result_message(result));
        mesh_result_free(result);
    }
    mesh_call_id id = 7;
    EXPECT(harness, mesh_call_start(harness->client, "test", request, NULL, &id) == MESH_EINVAL, "%s was taken", word);
    EXPECT_INT(harness, id, 0);
}

/* A head that could not be sent, and structs that nobody has set up. */
static void refused_sizes(struct harness *harness, int thread)
{
    (void)thread;
    const size_t long_size = 1024 * 1024 + 1;
    char *long_value = malloc(long_size);
    EXPECT(harness, long_value != NULL, "memory ran out");
    if (long_value == NULL)
        return;
    memset(long_value, 'a', long_size);
    const mesh_header long_header = { "x", 1, long_value, long_size };
    mesh_request request = MESH_REQUEST_INIT;
    request.headers = &long_header;
    request.header_count = 1;
    expect_refused(harness, &request, "1 MiB");
    free(long_value);
    request = (mesh_request){ .size = 0, .path = "/echo" }; /* never set up */
    expect_refused(harness, &request, "request.size");
    request = (mesh_request)MESH_REQUEST_INIT;
    request.size = offsetof(mesh_request, tag);
    expect_refused(harness, &request, "request.size");
    mesh_completion completions[2] = { { .size = sizeof(mesh_completion) + 4 } };
    uint32_t count;
    EXPECT_INT(harness, mesh_client_next(harness->client, completions, 2, 0, &count), MESH_EINVAL);
    mesh_counters counters = { .size = 0 };
    EXPECT_INT(harness, mesh_client_counters(harness->client, "test", NULL, &counters), MESH_EINVAL);
    mesh_options options = { .size = 0 };
    mesh_client *client;
    mesh_config *config = harness_config(harness, TEST_SERVICE);
    EXPECT_INT(harness, mesh_client_open(config, &options, &client, NULL), MESH_EINVAL);
    EXPECT(harness, client == NULL, "a client in spite of EINVAL");
    mesh_config_free(config);
}

static void refused_arguments(struct harness *harness, int thread)
{
    (void)thread;
    static const mesh_header bad[] = { { "Host", 4, "x", 1 },
                                       { "bad name", 8, "x", 1 },
                                       { "x-a", 3, "line\nfeed", 9 },
                                       { "content-length", 14, "1", 1 },
                                       { "Connection", 10, "close", 5 },
                                       { "", 0, "x", 1 },
                                       { "transfer-encoding", 17, "chunked", 7 } };
    static const struct {
        const char *method, *path, *authority, *word;
    } texts[] = {
        { "G ET", NULL, NULL, "request.method" },     { "", NULL, NULL, "request.method" },
        { "CONNECT", NULL, NULL, "CONNECT" },         { NULL, "", NULL, "request.path" },
        { NULL, "x", NULL, "request.path" },          { NULL, "/a b", NULL, "request.path" },
        { NULL, "/a\r\nx: y", NULL, "request.path" }, { NULL, "/#f", NULL, "request.path" },
        { NULL, NULL, "a b", "request.authority" },   { NULL, NULL, "a/b", "request.authority" },
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        mesh_request request = request_of(texts[i].method, texts[i].path, NULL);
        request.authority = texts[i].authority;
        expect_refused(harness, &request, texts[i].word);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        mesh_request request = MESH_REQUEST_INIT;
        request.headers = &bad[i];
        request.header_count = 1;
        expect_refused(harness, &request, "request.headers[0]");
    }
    mesh_request request = MESH_REQUEST_INIT;
    request.flags = 128;
    expect_refused(harness, &request, "request.flags");
    request = (mesh_request)MESH_REQUEST_INIT;
    request.idempotent = 3;
    expect_refused(harness, &request, "request.idempotent");
    request = (mesh_request)MESH_REQUEST_INIT;
    request.body_size = 1;
    expect_refused(harness, &request, "size");
    EXPECT_INT(harness, mesh_call_start(harness->client, NULL, NULL, NULL, NULL), MESH_EINVAL);
    EXPECT_INT(harness, mesh_call_start(NULL, "test", NULL, NULL, NULL), MESH_EINVAL);
    EXPECT_INT(harness, mesh_call(NULL, "test", NULL, NULL), MESH_EINVAL);
    EXPECT_INT(harness, mesh_cancel(NULL, 1), MESH_EINVAL);
}

static void answer_limits(struct harness *harness, int thread)
{
    (void)thread;
    static const struct {
        const char *path;
        mesh_status status;
    } rows[] = {
        { "/big/1000", MESH_OK },
        { "/big/1025", MESH_BODY_TOO_LARGE },
        { "/fields/5", MESH_OK },
        { "/fields/30", MESH_TOO_MANY_HEADERS },
        { "/fields/180", MESH_HEADER_TOO_LARGE },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        mesh_result *result = harness_get(harness, rows[i].path);
        bool good = mesh_result_code(result) == rows[i].status ||
                    (rows[i].status == MESH_HEADER_TOO_LARGE && mesh_result_code(result) == MESH_TOO_MANY_HEADERS);
        EXPECT(harness, good, "%s: %s", rows[i].path, mesh_result_message(result));
        EXPECT(harness, rows[i].status == MESH_OK || mesh_result_body_size(result) == 0, "%s: half a body",
               rows[i].path);
        mesh_result_free(result);
    }
}

static void overload(struct harness *harness)
{
    harness_open(harness, "{'test': {'endpoints': ['@0'], 'limits': {'max_requests': 1}}}");
    mesh_request never = request_of("GET", "/never", NULL);
    struct ticket ticket;
    harness_start(harness, &ticket, "test", &never);
    harness_until(harness, has_arrived, &(struct arrival){ harness, 1 });
    mesh_result *result = harness_get(harness, "/echo");
    EXPECT_RESULT(harness, result, MESH_OVERLOADED, 0);
    EXPECT_INT(harness, mesh_result_attempt_count(result), 0);
    mesh_result_free(result);
    harness_cancel(&ticket);
    result = harness_wait(&ticket);
    EXPECT_RESULT(harness, result, MESH_CANCELLED, 0);
    mesh_result_free(result);
    result = harness_get(harness, "/echo");
    EXPECT_RESULT(harness, result, MESH_OK, 200);
    mesh_result_free(result);
    mesh_counters counters = MESH_COUNTERS_INIT;
    EXPECT_INT(harness, mesh_client_counters(harness->client, "test", NULL, &counters), MESH_OK);
    EXPECT_INT(harness, counters.overloaded, 1);
    EXPECT_INT(harness, counters.active, 0);
    harness_close(harness);
}

static void pending_limit(struct harness *harness)
{
    harness_open(harness, "{'test': {'endpoints': ['@0'], 'limits': {'max_connections': 1, 'max_pending': 1}}}");
    mesh_request never = request_of("GET", "/never", NULL);
    struct ticket tickets[2];
    harness_start(harness, &tickets[0], "test", &never);
    harness_until(harness, has_arrived, &(struct arrival){ harness, 1 });
    never.timeout_ns = 20 * NANOS_MS;
    harness_start(harness, &tickets[1], "test", &never); /* waits for the connection, in vain */
    mesh_result *result = harness_wait(&tickets[1]);
    EXPECT_RESULT(harness, result, MESH_DEADLINE, 0);
    mesh_result_free(result);
    harness_cancel(&tickets[0]);
    result = harness_wait(&tickets[0]);
    EXPECT_RESULT(harness, result, MESH_CANCELLED, 0);
    mesh_result_free(result);
    harness_close(harness);
}

static void pinned(struct harness *harness, int thread)
{
    for (int i = 0; i < 3; i++) {
        mesh_request request = request_of("GET", "/echo", NULL);
        request.endpoint = harness->endpoints[(thread + i) % 3];
        mesh_result *result = harness_call(harness, "test", &request);
        EXPECT_RESULT(harness, result, MESH_OK, 200);
        EXPECT_INT(harness, attempt_of(result, 0).pick, MESH_PICK_PINNED);
        mesh_attempt unset = { .size = 0 };
        EXPECT_INT(harness, mesh_result_attempt(result, 0, &unset), MESH_EINVAL);
        EXPECT(harness, strcmp(attempt_of(result, 0).endpoint, request.endpoint) == 0, "%s was asked",
               attempt_of(result, 0).endpoint);
        mesh_result_free(result);
    }
    mesh_request request = request_of("GET", "/echo", NULL);
    request.endpoint = "127.0.0.1:1";
    mesh_result *result = harness_call(harness, "test", &request);
    EXPECT_RESULT(harness, result, MESH_NO_ENDPOINT, 0);
    EXPECT(harness, strstr(mesh_result_message(result), "127.0.0.1:1") != NULL, "%s", mesh_result_message(result));
    mesh_result_free(result);
}

#define TRY                                                                                                            \
    "{'test': {'endpoints': ['@0', '@1', '@2'], 'circuit_breaker': {'enabled': false}, 'timeout': '60s', "             \
    "'retry': {'attempts': 4, 'on': ['per-try-timeout'], 'per_try_timeout': '100ms', "                                 \
    "'backoff': {'base': '1ms', 'max': '1ms'}, 'budget': {'per_second': 100000}}}}"

const struct row end_rows[] = {
    { "deadline", TEST_SERVICE, deadline, NULL, NULL },
    { "inbound deadline", TEST_SERVICE, inbound_deadline, NULL, NULL },
    { "per_try_timeout", TRY, per_try_timeout, NULL, has_slow_connects },
    { "token cancelled before", TEST_SERVICE, token_before, NULL, NULL },
    { "token cancelled during", NULL, NULL, token_during, NULL },
    { "cancel one of two", NULL, NULL, cancel_one, NULL },
    { "unknown service", TEST_SERVICE, unknown_service, NULL, NULL },
    { "EINVAL", TEST_SERVICE, refused_arguments, NULL, NULL },
    { "EINVAL for sizes", TEST_SERVICE, refused_sizes, NULL, NULL },
    { "max_body, max_header(s)",
      "{'test': {'endpoints': ['@0'], 'circuit_breaker': {'enabled': false}, 'max_body': '1KiB', "
      "'max_header': '1KiB', 'max_headers': 20}}",
      answer_limits, NULL, NULL },
    { "max_requests", NULL, NULL, overload, NULL },
    { "max_connections of one", NULL, NULL, pending_limit, NULL },
    { "pinned endpoint", TEST_SERVICE, pinned, NULL, NULL },
    { NULL, NULL, NULL, NULL, NULL },
};
