/* SPDX-License-Identifier: Apache-2.0 */
/* client_rows_stream.c - what only one of the protocols has: streams that share a connection and are refused alone. */
#include "api/client_rows.h"

#include <stdio.h>

static const char *needs_streams(const struct cell *cell)
{
    return cell->http2 ? NULL : "HTTP/1.1 has no streams";
}

#define TRIES "'retry': {'attempts': 3, 'on': ['reset'], 'backoff': {'base': '1ms', 'max': '1ms'}}"
#define CALM_THREE "{'test': {'endpoints': ['@0', '@1', '@2'], 'circuit_breaker': {'enabled': false}, " TRIES "}}"

/* What was refused had no effect: it is repeated for any method, once at no cost, and no breaker hears of it. */
static void refused_stream(struct harness *harness, int thread)
{
    char path[60];
    (void)snprintf(path, sizeof(path), "/seq/refuse-%d/refuse,echo", thread);
    mesh_request request = request_of("POST", path, "body");
    mesh_result *result = harness_call(harness, "test", &request);
    EXPECT_RESULT(harness, result, MESH_OK, 200);
    EXPECT_INT(harness, attempt_of(result, 0).status, MESH_REFUSED);
    expect_attempts(harness, result, 2, MESH_RETRY_UNSENT, MESH_STOP_NONE);
    mesh_result_free(result);
}

/* One shard, so one connection for all; two where there are two drivers. */
static void use_few_shards(struct harness *harness)
{
    bool two = harness->cell.driver == DRIVER_THREADS ||
               (harness->cell.driver == DRIVER_EXTERNAL && harness->cell.threads > 1);
    harness->options.shards = two ? 2 : 1;
}

static void expect_few_connections(struct harness *harness)
{
    uint64_t opened = script_opened(harness->script, 0);
    EXPECT(harness, opened >= 1 && opened <= harness->options.shards, "%llu connections", (unsigned long long)opened);
}

/* Streams that end badly leave those beside them alone. */
static void neighbours(struct harness *harness)
{
    static const char *const paths[] = { "/delay/10", "/reset", "/delay/10", "/garbage", "/partial", "/delay/10" };
    static const mesh_status statuses[] = {
        MESH_OK, MESH_RESET, MESH_OK, MESH_PROTOCOL, MESH_PARTIAL_RESPONSE, MESH_OK
    };
    struct ticket tickets[6];
    use_few_shards(harness);
    harness_open_quiet(harness, "{'test': {'endpoints': ['@0'], 'circuit_breaker': {'enabled': false}, 'retry': "
                                "{'attempts': 1}}}");
    for (int i = 0; i < 6; i++) {
        mesh_request request = request_of("POST", paths[i], "body");
        harness_start(harness, &tickets[i], "test", &request);
    }
    for (int i = 0; i < 6; i++) {
        mesh_result *result = harness_wait(&tickets[i]);
        EXPECT_RESULT(harness, result, statuses[i], statuses[i] == MESH_OK ? 200 : 0);
        mesh_result_free(result);
    }
    harness_close(harness);
    expect_few_connections(harness);
}

/* A peer that takes no more streams ends those it has: the next call has another connection, and none fails. */
static void leaving_peer(struct harness *harness)
{
    use_few_shards(harness);
    harness_open_quiet(harness, "{'test': {'endpoints': ['@0'], 'retry': {'attempts': 1}}}");
    for (int i = 0; i < 4; i++) {
        mesh_result *result = harness_get(harness, i % 2 ? "/echo" : "/leave");
        EXPECT_RESULT(harness, result, MESH_OK, 200);
        expect_attempts(harness, result, 1, MESH_RETRY_NONE, MESH_STOP_NONE);
        mesh_result_free(result);
    }
    harness_close(harness);
    EXPECT(harness, script_opened(harness->script, 0) >= 2, "a connection that was left is still used");
}

/* A stream that is wanted over HTTP/1.1 is repeated so, and what its shard asks for later goes that way at once. */
static void fall_back(struct harness *harness)
{
    uint32_t repeated = 0;
    use_few_shards(harness);
    harness->falls_back = true;
    harness_open_quiet(harness, "{'test': {'endpoints': ['@0'], 'circuit_breaker': {'enabled': false}, " TRIES "}}");
    for (int i = 0; i < 6; i++) {
        mesh_request request = request_of("POST", "/http1", "body");
        mesh_result *result = harness_call(harness, "test", &request);
        EXPECT_RESULT(harness, result, MESH_OK, 200);
        bool again = mesh_result_attempt_count(result) == 2;
        expect_attempts(harness, result, again ? 2 : 1, MESH_RETRY_UNSENT, MESH_STOP_NONE);
        repeated += again;
        mesh_result_free(result);
    }
    EXPECT(harness, repeated >= 1 && repeated <= harness->options.shards, "%u calls were repeated", repeated);
    harness_close(harness);
}

/* Many calls at once, over one connection of each shard. */
static void shared_connection(struct harness *harness)
{
    struct ticket tickets[24];
    mesh_request request = request_of("GET", "/delay/2", NULL);
    use_few_shards(harness);
    harness_open_quiet(harness, "{'test': {'endpoints': ['@0']}}");
    for (int i = 0; i < 24; i++)
        harness_start(harness, &tickets[i], "test", &request);
    for (int i = 0; i < 24; i++) {
        mesh_result *result = harness_wait(&tickets[i]);
        EXPECT_RESULT(harness, result, MESH_OK, 200);
        mesh_result_free(result);
    }
    harness_close(harness);
    expect_few_connections(harness);
}

const struct row stream_rows[] = {
    { "a refused stream", CALM_THREE, refused_stream, NULL, needs_streams },
    { "streams beside bad ones", NULL, NULL, neighbours, needs_streams },
    { "a peer that leaves", NULL, NULL, leaving_peer, needs_streams },
    { "HTTP_1_1_REQUIRED", NULL, NULL, fall_back, needs_streams },
    { "24 calls, one connection", NULL, NULL, shared_connection, needs_streams },
    { NULL, NULL, NULL, NULL, NULL },
};
