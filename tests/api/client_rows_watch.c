/* SPDX-License-Identifier: Apache-2.0 */
/* client_rows_watch.c - what can be seen of a client: connections, counters, spans and log lines, every completion. */
#include "api/client_rows.h"

#include "base/rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static mesh_counters counters_of(struct harness *harness, const char *endpoint)
{
    mesh_counters counters = MESH_COUNTERS_INIT;
    EXPECT_INT(harness, mesh_client_counters(harness->client, "test", endpoint, &counters), MESH_OK);
    return counters;
}

static void keep_alive(struct harness *harness)
{
    harness->options.shards = 2; /* each with a connection of its own */
    int reused = 0;
    harness_open(harness, "{'test': {'endpoints': ['@0']}}");
    for (int i = 0; i < 10; i++) {
        mesh_result *result = harness_get(harness, "/echo");
        EXPECT_RESULT(harness, result, MESH_OK, 200);
        reused += attempt_of(result, 0).reused;
        mesh_result_free(result);
    }
    uint64_t opened = script_opened(harness->script, 0);
    EXPECT(harness, opened >= 1 && opened <= 2 && reused + (int)opened == 10,
           "%llu connections for calls one after the other, %d over a used one", (unsigned long long)opened, reused);
    harness_close(harness);
}

struct closing {
    struct harness *harness;
    int endpoint;
};

static bool is_closed(void *user)
{
    const struct closing *closing = user;
    return script_open_now(closing->harness->script, closing->endpoint) == 0;
}

#define ON_RESET                                                                                                       \
    "{'test': {'endpoints': ['@0', '@1', '@2'], 'circuit_breaker': {'enabled': false}, 'retry': {'on': ['reset'], "    \
    "'backoff': {'base': '1ms', 'max': '1ms'}}}}"

/* A connection that the peer has closed is found out before it is used. Only where a stream that has ended cannot be
 * read at once, behind frames or records, it may be used, and the call is repeated on another. */
static void stale_connection(struct harness *harness)
{
    bool may_miss = harness->cell.network == NETWORK_INVERTING && (harness->cell.http2 || harness->cell.secured);
    harness_open(harness, ON_RESET);
    for (int i = 0; i < 3; i++) {
        mesh_request request = request_of("GET", "/stale", NULL);
        request.endpoint = harness->endpoints[i];
        mesh_result *result = harness_call(harness, "test", &request);
        EXPECT_RESULT(harness, result, MESH_OK, 200);
        mesh_result_free(result);
        harness_until(harness, is_closed, &(struct closing){ harness, i });
        request = request_of(may_miss ? "GET" : "POST", "/echo", "body");
        request.endpoint = harness->endpoints[i];
        result = harness_call(harness, "test", &request);
        EXPECT_RESULT(harness, result, MESH_OK, 200);
        EXPECT(harness, mesh_result_attempt_count(result) <= (may_miss ? 2 : 1), "%s", mesh_result_message(result));
        mesh_result_free(result);
    }
    harness_close(harness);
}

#define IN_FLIGHT 32

static void few_connections(struct harness *harness)
{
    harness_open(harness, "{'test': {'endpoints': ['@0', '@1'], 'limits': {'max_connections': 2}}}");
    struct ticket tickets[IN_FLIGHT];
    mesh_request request = request_of("GET", "/delay/1", NULL);
    for (int i = 0; i < IN_FLIGHT; i++)
        harness_start(harness, &tickets[i], "test", &request);
    for (int i = 0; i < IN_FLIGHT; i++) {
        mesh_result *result = harness_wait(&tickets[i]);
        EXPECT_RESULT(harness, result, MESH_OK, 200);
        mesh_result_free(result);
        mesh_counters counters = counters_of(harness, NULL);
        EXPECT(harness, counters.connections <= 2, "%llu connections", (unsigned long long)counters.connections);
    }
    EXPECT_INT(harness, counters_of(harness, NULL).pending, 0);
    harness_close(harness);
}

/* ---- counters ---- */

/* A connection that is being opened has its place among the service's already. */
static bool none_is_opened(void *user)
{
    mesh_counters all = counters_of(user, NULL);
    return all.connections == all.connects - all.disconnects;
}

static void count(struct harness *harness)
{
    harness_open(harness, "{'test': {'endpoints': ['@0', '@1'], 'circuit_breaker': {'enabled': false}, 'retry': "
                          "{'on': ['503'], 'backoff': {'base': '1ms', 'max': '1ms'}}}}");
    static const char *const paths[] = { "/echo", "/echo", "/status/500", "/seq/count/503,200", "/partial" };
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        mesh_result_free(harness_get(harness, paths[i]));
    mesh_token *token;
    EXPECT_INT(harness, mesh_token_new(&token), MESH_OK);
    mesh_token_cancel(token);
    mesh_request request = request_of("GET", "/never", NULL);
    request.token = token;
    mesh_result_free(harness_call(harness, "test", &request));
    mesh_token_free(token);
    request.token = NULL;
    request.timeout_ns = 5 * NANOS_MS;
    mesh_result *late = harness_call(harness, "test", &request);
    size_t cut = mesh_result_attempt_count(late); /* 1; 0 when it began too late for one */
    mesh_result_free(late);
    harness_stop_load(harness);
    harness_until(harness, none_is_opened, harness);
    mesh_counters all = counters_of(harness, NULL), sum = MESH_COUNTERS_INIT;
    for (int i = 0; i < 2; i++) {
        mesh_counters each = counters_of(harness, harness->endpoints[i]);
        sum.attempts += each.attempts;
        sum.connects += each.connects;
        sum.bytes_received += each.bytes_received;
    }
    EXPECT_INT(harness, all.calls, 7);
    EXPECT_INT(harness, all.responses, 4);
    EXPECT_INT(harness, all.failures, 3);
    EXPECT_INT(harness, all.cancelled, 1);
    EXPECT_INT(harness, all.deadlines, 1);
    EXPECT_INT(harness, all.attempts, 6 + cut);
    EXPECT_INT(harness, all.retries, 1);
    EXPECT_INT(harness, all.attempt_failures, 1 + cut);
    EXPECT_INT(harness, all.responses_5xx, 2);
    EXPECT_INT(harness, all.active, 0);
    EXPECT_INT(harness, all.pending, 0);
    EXPECT_INT(harness, all.connections, all.connects - all.disconnects);
    EXPECT_INT(harness, sum.attempts, all.attempts);
    EXPECT_INT(harness, sum.connects, all.connects);
    EXPECT_INT(harness, sum.bytes_received, all.bytes_received);
    mesh_counters none = MESH_COUNTERS_INIT;
    EXPECT_INT(harness, mesh_client_counters(harness->client, "none", NULL, &none), MESH_ESERVICE);
    EXPECT_INT(harness, mesh_client_counters(harness->client, "test", "1.2.3.4:5", &none), MESH_NO_ENDPOINT);
    char *json = mesh_client_inspect(harness->client, "test");
    EXPECT(harness, json && strstr(json, "\"calls\":7") && strstr(json, harness->endpoints[0]), "%s",
           json ? json : "no JSON");
    mesh_string_free(json);
    EXPECT(harness, mesh_client_inspect(harness->client, "none") == NULL, "JSON of a service that is none");
    harness_close(harness);
}

/* ---- spans and log lines ---- */

struct watch_log {
    pthread_mutex_t lock;
    int calls, attempts, lines;
    uint8_t call_span[8], trace[16];
    bool nested;
};
static struct watch_log seen = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void on_span(const mesh_span *span, void *user)
{
    (void)user;
    if (strcmp(span->service, "test") != 0 || span->tag != 77)
        return;
    pthread_mutex_lock(&seen.lock);
    if (span->kind == MESH_SPAN_ATTEMPT) {
        seen.attempts++;
        memcpy(seen.call_span, span->parent_id, 8);
        memcpy(seen.trace, span->trace_id, 16);
    } else if (span->kind == MESH_SPAN_CALL) {
        seen.calls++;
        seen.nested = memcmp(seen.call_span, span->span_id, 8) == 0 && memcmp(seen.trace, span->trace_id, 16) == 0 &&
                      span->status == MESH_OK && span->http_status == 200 && strcmp(span->method, "GET") == 0 &&
                      strncmp(span->path, "/seq/", 5) == 0 && strchr(span->path, '?') == NULL;
    }
    pthread_mutex_unlock(&seen.lock);
}

static void on_log(int32_t level, const char *line, void *user)
{
    (void)level;
    (void)user;
    pthread_mutex_lock(&seen.lock);
    seen.lines += strstr(line, "breaker of") != NULL;
    pthread_mutex_unlock(&seen.lock);
}

static bool all_seen(void *user)
{
    (void)user;
    pthread_mutex_lock(&seen.lock);
    bool all = seen.calls > 0 && seen.lines > 0;
    pthread_mutex_unlock(&seen.lock);
    return all;
}

static void spans(struct harness *harness)
{
    harness->options.on_span = on_span;
    harness->options.on_log = on_log;
    harness->options.log_level = MESH_LOG_DEBUG;
    harness_open(harness, "{'test': {'endpoints': ['@0', '@1'], 'retry': {'on': ['503'], 'backoff': {'base': '1ms', "
                          "'max': '1ms'}}}, 'down': {'endpoints': ['!0', '@2']}}");
    mesh_request request = request_of("GET", "/seq/span/503,echo?q=1", NULL);
    request.tag = 77;
    mesh_result *result = harness_call(harness, "test", &request);
    EXPECT_RESULT(harness, result, MESH_OK, 200);
    EXPECT_INT(harness, mesh_result_tag(result), 77);
    mesh_result_free(result);
    mesh_request refused = request_of("GET", "/echo", NULL);
    refused.endpoint = harness->refusing[0];
    mesh_result_free(harness_call(harness, "down", &refused));
    harness_until(harness, all_seen, NULL);
    EXPECT_INT(harness, seen.calls, 1);
    EXPECT_INT(harness, seen.attempts, 2);
    EXPECT(harness, seen.nested, "the span of the call is not the parent of its attempts', or says something else");
    harness_close(harness);
}

/* ---- every started call completes exactly once ---- */

#define MIX_MAX 2000

/* Cheap where the network is in memory and nothing slows it down; what ends connections costs handshakes. */
static int mix_size(const struct harness *harness)
{
    if (UNDER_TSAN || harness->cell.secured)
        return 60;
    return harness->cell.network == NETWORK_MEMORY ? MIX_MAX : 300;
}

static void mix(struct harness *harness)
{
    static const char *const paths[] = { "/echo",  "/echo",      "/chunked", "/status/503", "/close",
                                         "/reset", "/partial",   "/garbage", "/delay/1",    "/never",
                                         "/stale", "/big/20000", "/echo",    "/status/204" };
    harness_open(harness, "{'test': {'endpoints': ['@0', '@1', '@2', '!0'], 'retry': {'attempts': 3, 'on': ['5xx', "
                          "'reset', 'connect-failure'], 'backoff': {'base': '1ms', 'max': '2ms'}}}}");
    static struct ticket tickets[MIX_MAX];
    const int size = mix_size(harness);
    struct rng rng;
    mesh__rng_init(&rng, 42);
    const int wave = harness->cell.driver == DRIVER_BLOCKING ? 20 : 50;
    int count_by_code[256] = { 0 };
    for (int from = 0; from < size; from += wave) {
        int to = from + wave < size ? from + wave : size;
        for (int i = from; i < to; i++) {
            uint64_t random = mesh__rng_next(&rng);
            mesh_request request = request_of("GET", paths[random % (sizeof(paths) / sizeof(paths[0]))], NULL);
            request.timeout_ns = (int64_t)(1 + (random >> 8) % 20) * NANOS_MS;
            harness_start(harness, &tickets[i], "test", &request);
            if ((random >> 16) % 3 == 0)
                harness_cancel(&tickets[from + (int)((random >> 24) % (uint64_t)(i - from + 1))]);
        }
        for (int i = from; i < to; i++) {
            mesh_result *result = harness_wait(&tickets[i]);
            count_by_code[mesh_result_code(result) & 255]++;
            EXPECT(harness, mesh_result_code(result) != MESH_EINTERNAL, "%s", mesh_result_message(result));
            mesh_result_free(result);
        }
    }
    for (int i = 0; i < size; i++)
        EXPECT_INT(harness, atomic_load(&tickets[i].completions), 1);
    harness_stop_load(harness);
    mesh_counters counters = counters_of(harness, NULL);
    EXPECT_INT(harness, counters.calls, size);
    EXPECT_INT(harness, counters.responses, count_by_code[MESH_OK]);
    EXPECT_INT(harness, counters.cancelled, count_by_code[MESH_CANCELLED]);
    EXPECT_INT(harness, counters.deadlines, count_by_code[MESH_DEADLINE]);
    EXPECT_INT(harness, counters.responses + counters.failures, size);
    EXPECT_INT(harness, counters.active, 0);
    EXPECT_INT(harness, counters.pending, 0);
    harness_close(harness);
    for (int i = 0; i < 3; i++)
        EXPECT(harness, harness->peer || script_open_now(harness->script, i) == 0, "a connection is left");
}

const struct row watch_rows[] = {
    { "keep-alive", NULL, NULL, keep_alive, NULL },
    { "stale connection", NULL, NULL, stale_connection, NULL },
    { "32 calls, 2 connections", NULL, NULL, few_connections, NULL },
    { "counters add up", NULL, NULL, count, NULL },
    { "spans and log lines", NULL, NULL, spans, NULL },
    { "each completes once", NULL, NULL, mix, NULL },
    { NULL, NULL, NULL, NULL, NULL },
};
