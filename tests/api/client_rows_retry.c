/* SPDX-License-Identifier: Apache-2.0 */
/* client_rows_retry.c - what is tried again, what is not, and what the attempts say about it. */
#include "api/client_rows.h"

#include <stdio.h>
#include <string.h>

#define NO_BREAKER "'circuit_breaker': {'enabled': false}"
#define RETRY(on)                                                                                                      \
    "'retry': {'attempts': 3, 'on': [" on "], 'backoff': {'base': '1ms', 'max': '1ms'}, "                              \
    "'budget': {'per_second': 100000}}"

mesh_attempt attempt_of(const mesh_result *result, size_t index)
{
    mesh_attempt attempt = MESH_ATTEMPT_INIT;
    if (mesh_result_attempt(result, index, &attempt) != MESH_OK)
        attempt = (mesh_attempt)MESH_ATTEMPT_INIT;
    return attempt;
}

void expect_attempts(struct harness *harness, const mesh_result *result, size_t count, enum mesh_retry retry,
                     enum mesh_stop stop)
{
    EXPECT(harness, mesh_result_attempt_count(result) == count, "%zu attempts, not %zu: %s",
           mesh_result_attempt_count(result), count, mesh_result_message(result));
    for (size_t i = 0; i < count; i++) {
        mesh_attempt attempt = attempt_of(result, i);
        enum mesh_retry wanted = i + 1 < count ? retry : MESH_RETRY_NONE;
        enum mesh_stop wanted_stop = i + 1 < count ? MESH_STOP_NONE : stop;
        EXPECT(harness, attempt.retry == (int32_t)wanted, "attempt %zu: retry %s, not %s", i,
               mesh_retry_name(attempt.retry), mesh_retry_name((int32_t)wanted));
        EXPECT(harness, attempt.stop == (int32_t)wanted_stop, "attempt %zu: stop %s, not %s", i,
               mesh_stop_name(attempt.stop), mesh_stop_name((int32_t)wanted_stop));
        EXPECT(harness, i == 0 || attempt.backoff_ns <= NANOS_MS, "attempt %zu: a pause of %lld ns", i,
               (long long)attempt.backoff_ns);
    }
}

/* A path whose key nobody else uses. */
static void own_path(char *out, size_t room, const char *name, int thread, const char *words)
{
    (void)snprintf(out, room, "/seq/%s-%d/%s", name, thread, words);
}

static void on_status(struct harness *harness, int thread)
{
    char path[80];
    own_path(path, sizeof(path), "once", thread, "503,200");
    mesh_result *result = harness_get(harness, path);
    EXPECT_RESULT(harness, result, MESH_OK, 200);
    expect_attempts(harness, result, 2, MESH_RETRY_STATUS, MESH_STOP_NONE);
    EXPECT_INT(harness, attempt_of(result, 0).http_status, 503);
    EXPECT(harness, strcmp(attempt_of(result, 0).endpoint, attempt_of(result, 1).endpoint) != 0,
           "the next attempt went to the same endpoint");
    EXPECT(harness, attempt_of(result, 0).span_id != attempt_of(result, 1).span_id, "one span for two attempts");
    mesh_result_free(result);
    own_path(path, sizeof(path), "always", thread, "503");
    result = harness_get(harness, path);
    EXPECT_RESULT(harness, result, MESH_OK, 503);
    expect_attempts(harness, result, 3, MESH_RETRY_STATUS, MESH_STOP_ATTEMPTS);
    mesh_result_free(result);
}

struct method_row {
    const char *method, *header;
    int32_t idempotent;
    uint32_t flags;
    int attempts;
    enum mesh_stop stop; /* when there is one attempt */
};

static void by_method(struct harness *harness, int thread)
{
    static const struct method_row rows[] = {
        { "GET", NULL, MESH_UNSET, 0, 2, MESH_STOP_NONE },
        { "PUT", NULL, MESH_UNSET, 0, 2, MESH_STOP_NONE },
        { "DELETE", NULL, MESH_UNSET, 0, 2, MESH_STOP_NONE },
        { "POST", NULL, MESH_UNSET, 0, 1, MESH_STOP_NOT_IDEMPOTENT },
        { "PATCH", NULL, MESH_UNSET, 0, 1, MESH_STOP_NOT_IDEMPOTENT },
        { "POST", "Idempotency-Key", MESH_UNSET, 0, 2, MESH_STOP_NONE },
        { "POST", NULL, MESH_YES, 0, 2, MESH_STOP_NONE },
        { "GET", NULL, MESH_NO, 0, 1, MESH_STOP_NOT_IDEMPOTENT },
        { "GET", NULL, MESH_UNSET, MESH_NO_RETRY, 1, MESH_STOP_ASKED },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct method_row *row = &rows[i];
        char path[80], name[20];
        (void)snprintf(name, sizeof(name), "method%zu", i);
        own_path(path, sizeof(path), name, thread, "503,200");
        mesh_request request = request_of(row->method, path, "body");
        mesh_header header = { row->header, row->header ? strlen(row->header) : 0, "k", 1 };
        request.headers = row->header ? &header : NULL;
        request.header_count = row->header ? 1 : 0;
        request.idempotent = row->idempotent;
        request.flags = row->flags;
        mesh_result *result = harness_call(harness, "test", &request);
        EXPECT_RESULT(harness, result, MESH_OK, row->attempts == 2 ? 200 : 503);
        expect_attempts(harness, result, (size_t)row->attempts, MESH_RETRY_STATUS, row->stop);
        mesh_result_free(result);
    }
}

static void non_idempotent(struct harness *harness, int thread)
{
    char path[80];
    own_path(path, sizeof(path), "post", thread, "503,200");
    mesh_request request = request_of("POST", path, "body");
    mesh_result *result = harness_call(harness, "test", &request);
    EXPECT_RESULT(harness, result, MESH_OK, 200);
    expect_attempts(harness, result, 2, MESH_RETRY_STATUS, MESH_STOP_NONE);
    mesh_result_free(result);
}

struct outcome_row {
    const char *words; /* the first attempt's */
    enum mesh_retry retry;
    mesh_status status;
};

static void by_outcome(struct harness *harness, int thread)
{
    static const struct outcome_row rows[] = {
        { "500,200", MESH_RETRY_5XX, MESH_OK },
        { "502,200", MESH_RETRY_GATEWAY_ERROR, MESH_OK },
        { "close,200", MESH_RETRY_RESET, MESH_RESET },
        { "reset,200", MESH_RETRY_RESET, MESH_RESET },
        { "partial,200", MESH_RETRY_RESET, MESH_PARTIAL_RESPONSE },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char path[80], name[20];
        (void)snprintf(name, sizeof(name), "outcome%zu", i);
        own_path(path, sizeof(path), name, thread, rows[i].words);
        mesh_result *result = harness_get(harness, path);
        EXPECT_RESULT(harness, result, MESH_OK, 200);
        EXPECT_INT(harness, attempt_of(result, 0).status, rows[i].status);
        /* Over a used connection, its close without a byte proves nothing: that is repeated at no cost. */
        bool stale = !harness->cell.http2 && attempt_of(result, 0).reused && rows[i].status == MESH_RESET;
        expect_attempts(harness, result, 2, stale ? MESH_RETRY_UNSENT : rows[i].retry, MESH_STOP_NONE);
        mesh_result_free(result);
    }
}

static void not_retryable(struct harness *harness, int thread)
{
    static const struct {
        const char *path;
        mesh_status status;
        enum mesh_stop stop;
    } rows[] = {
        { "/garbage", MESH_PROTOCOL, MESH_STOP_NOT_RETRYABLE },
        { "/partial", MESH_PARTIAL_RESPONSE, MESH_STOP_NOT_RETRYABLE },
    };
    (void)thread;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        mesh_result *result = harness_get(harness, rows[i].path);
        EXPECT_RESULT(harness, result, rows[i].status, 0);
        EXPECT_INT(harness, mesh_result_body_size(result), 0);
        expect_attempts(harness, result, 1, MESH_RETRY_NONE, rows[i].stop);
        EXPECT(harness, strstr(mesh_result_message(result), attempt_of(result, 0).endpoint) != NULL, "%s",
               mesh_result_message(result));
        mesh_result_free(result);
    }
}

static void refused_then_other(struct harness *harness, int thread)
{
    (void)thread;
    for (int i = 0; i < 4; i++) {
        mesh_request request = request_of("POST", "/echo", "body"); /* safe for every method */
        mesh_result *result = harness_call(harness, "test", &request);
        EXPECT_RESULT(harness, result, MESH_OK, 200);
        if (mesh_result_attempt_count(result) == 2) {
            mesh_attempt first = attempt_of(result, 0);
            EXPECT_INT(harness, first.status, MESH_CONNECT_REFUSED);
            EXPECT_INT(harness, first.retry, MESH_RETRY_UNSENT);
            EXPECT(harness, strcmp(first.endpoint, harness->refusing[0]) == 0, "%s refused", first.endpoint);
        }
        EXPECT(harness, mesh_result_attempt_count(result) <= 2, "%s", mesh_result_message(result));
        mesh_result_free(result);
    }
}

static void all_refused(struct harness *harness, int thread)
{
    (void)thread;
    mesh_result *result = harness_get(harness, "/echo");
    EXPECT_RESULT(harness, result, MESH_CONNECT_REFUSED, 0);
    /* The first repeat is free, then one by the word connect-failure. */
    EXPECT_INT(harness, mesh_result_attempt_count(result), 3);
    EXPECT_INT(harness, attempt_of(result, 0).retry, MESH_RETRY_UNSENT);
    EXPECT_INT(harness, attempt_of(result, 1).retry, MESH_RETRY_CONNECT_FAILURE);
    EXPECT_INT(harness, attempt_of(result, 2).stop, MESH_STOP_ATTEMPTS);
    const char *message = mesh_result_message(result);
    for (int i = 0; i < HARNESS_REFUSING; i++)
        EXPECT(harness, strstr(message, harness->refusing[i]) != NULL, "%s is not in: %s", harness->refusing[i],
               message);
    EXPECT(harness, strstr(message, "CONNECT_REFUSED") && strstr(message, "attempts"), "%s", message);
    mesh_result_free(result);
}

static void budget_ends(struct harness *harness)
{
    harness_open(harness, "{'test': {'endpoints': ['@0', '@1'], " NO_BREAKER ", 'retry': {'attempts': 2, 'on': ['503'],"
                          "'backoff': {'base': '1ms', 'max': '1ms'}, 'budget': {'ratio': 0, 'per_second': 0}}}}");
    mesh_result *result = harness_get(harness, "/status/503");
    EXPECT_RESULT(harness, result, MESH_OK, 503);
    expect_attempts(harness, result, 1, MESH_RETRY_NONE, MESH_STOP_BUDGET);
    mesh_result_free(result);
    mesh_counters counters = MESH_COUNTERS_INIT;
    EXPECT_INT(harness, mesh_client_counters(harness->client, "test", NULL, &counters), MESH_OK);
    EXPECT_INT(harness, counters.retries_denied, 1);
    harness_close(harness);
}

static void traced_attempts(struct harness *harness, int thread)
{
    /* The second attempt answers with the headers it got. */
    char path[80];
    own_path(path, sizeof(path), "trace", thread, "503,headers");
    mesh_result *result = harness_get(harness, path);
    EXPECT_RESULT(harness, result, MESH_OK, 200);
    const char *parent = strstr(mesh_result_body(result), "traceparent: ");
    char span[17] = "";
    (void)snprintf(span, sizeof(span), "%016llx", (unsigned long long)attempt_of(result, 1).span_id);
    EXPECT(harness, parent && strncmp(parent + 13 + 3, mesh_result_trace_id(result), 32) == 0, "another trace");
    EXPECT(harness, parent && strncmp(parent + 13 + 36, span, 16) == 0, "the span is %s: %s", span,
           parent ? parent : "");
    mesh_result_free(result);
}

#define THREE "{'test': {'endpoints': ['@0', '@1', '@2'], " NO_BREAKER ", "

const struct row retry_rows[] = {
    { "retry on a status", THREE RETRY("'503'") "}}", on_status, NULL, NULL },
    { "retry by method", THREE RETRY("'503'") "}}", by_method, NULL, NULL },
    { "retry.non_idempotent",
      THREE "'retry': {'on': ['503'], 'non_idempotent': true, 'backoff': {'base': '1ms', 'max': '1ms'}, "
            "'budget': {'per_second': 100000}}}}",
      non_idempotent, NULL, NULL },
    { "retry by outcome", THREE RETRY("'5xx', 'gateway-error', 'reset'") "}}", by_outcome, NULL, NULL },
    { "outcomes that are final", THREE RETRY("'connect-failure'") "}}", not_retryable, NULL, NULL },
    { "refused, then another", "{'test': {'endpoints': ['!0', '@1'], " RETRY("'connect-failure'") "}}",
      refused_then_other, NULL, NULL },
    { "all refused",
      "{'test': {'endpoints': ['!0', '!1'], " NO_BREAKER ", 'retry': {'on': ['connect-failure'], "
      "'backoff': {'base': '1ms', 'max': '1ms'}, 'budget': {'per_second': 100000}}}}",
      all_refused, NULL, NULL },
    { "the budget ends it", NULL, NULL, budget_ends, NULL },
    { "each attempt has its span", THREE RETRY("'503'") "}}", traced_attempts, NULL, NULL },
    { NULL, NULL, NULL, NULL, NULL },
};
