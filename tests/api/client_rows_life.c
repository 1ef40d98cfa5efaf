/* SPDX-License-Identifier: Apache-2.0 */
/* client_rows_life.c - reload, close, free, and what may not be called where. */
#include "api/client_rows.h"

#include "client/client.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

static void outlive(struct harness *harness)
{
    harness_open(harness, TEST_SERVICE);
    mesh_request request = request_of("POST", "/echo", "outlives");
    mesh_result *good = harness_call(harness, "test", &request);
    mesh_result *bad = harness_get(harness, "/partial");
    harness_close(harness);
    EXPECT_RESULT(harness, good, MESH_OK, 200);
    EXPECT(harness, strcmp(mesh_result_body(good), "outlives") == 0, "%s", (const char *)mesh_result_body(good));
    EXPECT(harness, mesh_result_header_value(good, "x-endpoint") != NULL, "the header fields have gone");
    EXPECT(harness, strncmp(attempt_of(good, 0).endpoint, "1", 1) == 0, "%s", attempt_of(good, 0).endpoint);
    EXPECT_RESULT(harness, bad, MESH_PARTIAL_RESPONSE, 0);
    mesh_result_free(bad);
    mesh_result_free(good);
    mesh_result_free(NULL);
}

/* ---- reload ---- */

static mesh_counters counters_of(struct harness *harness, const char *endpoint)
{
    mesh_counters counters = MESH_COUNTERS_INIT;
    (void)mesh_client_counters(harness->client, "test", endpoint, &counters);
    return counters;
}

static mesh_status reload(struct harness *harness, const char *services)
{
    mesh_config *config = harness_config(harness, services);
    mesh_error *error;
    mesh_status status = mesh_client_reload(harness->client, config, &error);
    EXPECT(harness, status == MESH_OK || status == MESH_ECONFIG, "%s", mesh_error_text(error));
    EXPECT_INT(harness, mesh_error_status(error), status);
    mesh_error_free(error);
    mesh_config_free(config);
    return status;
}

struct drained {
    struct harness *harness;
    int endpoint;
};

static bool has_drained(void *user)
{
    const struct drained *drained = user;
    return script_open_now(drained->harness->script, drained->endpoint) == 0;
}

/* What an endpoint that left has counted is the service's once no shard holds it. */
static bool has_counted(void *user)
{
    return counters_of(user, NULL).attempts == 40;
}

static void reload_under_load(struct harness *harness)
{
    static const char *const configs[] = { "{'test': {'endpoints': ['@0', '@1'], " CALM "}}}",
                                           "{'test': {'endpoints': ['@1', '@2'], " CALM "}}}" };
    harness_open(harness, configs[0]);
    struct ticket tickets[8];
    mesh_request request = request_of("GET", "/delay/1", NULL);
    for (int round = 1; round <= 5; round++) {
        for (int i = 0; i < 8; i++)
            harness_start(harness, &tickets[i], "test", &request);
        uint64_t before = counters_of(harness, harness->endpoints[1]).attempts;
        EXPECT_INT(harness, reload(harness, configs[round % 2]), MESH_OK);
        EXPECT(harness, counters_of(harness, harness->endpoints[1]).attempts >= before,
               "an endpoint that stays lost its counters");
        for (int i = 0; i < 8; i++) {
            mesh_result *result = harness_wait(&tickets[i]);
            EXPECT_RESULT(harness, result, MESH_OK, 200);
            mesh_result_free(result);
        }
        int gone = round % 2 ? 0 : 2;
        mesh_counters none = MESH_COUNTERS_INIT;
        EXPECT_INT(harness, mesh_client_counters(harness->client, "test", harness->endpoints[gone], &none),
                   MESH_NO_ENDPOINT);
        harness_until(harness, has_drained, &(struct drained){ harness, gone });
    }
    harness_until(harness, has_counted, harness);
    EXPECT_INT(harness, counters_of(harness, NULL).failures, 0);
    harness_close(harness);
}

static void reload_refused(struct harness *harness)
{
    harness_open(harness, TEST_SERVICE);
    EXPECT_INT(harness, reload(harness, "{'test': {'endpoints': ['@0'], 'timeuot': '1s'}}"), MESH_ECONFIG);
    EXPECT_INT(harness, reload(harness, "{'test': {'endpoints': ['no.address:80']}}"), MESH_ECONFIG);
    mesh_error *error;
    EXPECT_INT(harness, mesh_client_reload_file(harness->client, "/nonexistent/mesh.json", &error), MESH_ECONFIG);
    EXPECT(harness, strstr(mesh_error_text(error), "/nonexistent/mesh.json") != NULL, "%s", mesh_error_text(error));
    mesh_error_free(error);
    EXPECT_INT(harness, mesh_client_reload(harness->client, NULL, NULL), MESH_EINVAL);
    mesh_result *result = harness_get(harness, "/echo");
    EXPECT_RESULT(harness, result, MESH_OK, 200);
    mesh_result_free(result);
    EXPECT_INT(harness, reload(harness, "{'other': {'endpoints': ['@0']}}"), MESH_OK);
    result = harness_get(harness, "/echo");
    EXPECT_RESULT(harness, result, MESH_ESERVICE, 0);
    mesh_result_free(result);
    harness_close(harness);
}

/* ---- the end ---- */

static const char *needs_started_calls(const struct cell *cell)
{
    return cell->driver == DRIVER_BLOCKING ? "no call may begin while it closes, which a blocking one does" : NULL;
}

static void close_drains(struct harness *harness)
{
    harness_open(harness, TEST_SERVICE);
    harness_stop_load(harness);
    struct ticket tickets[4];
    mesh_request request = request_of("GET", "/delay/10", NULL);
    for (int i = 0; i < 4; i++)
        harness_start(harness, &tickets[i], "test", &request);
    EXPECT_INT(harness, mesh_client_close(harness->client, -1), MESH_OK);
    EXPECT_INT(harness, mesh_call_start(harness->client, "test", NULL, NULL, NULL), MESH_ECLOSED);
    for (int i = 0; i < 4; i++) {
        mesh_result *result = harness_wait(&tickets[i]);
        EXPECT_RESULT(harness, result, MESH_OK, 200);
        mesh_result_free(result);
    }
    harness_close(harness);
}

static void close_cuts(struct harness *harness)
{
    harness_open(harness, TEST_SERVICE);
    harness_stop_load(harness);
    struct ticket tickets[4];
    mesh_request request = request_of("GET", "/never", NULL);
    for (int i = 0; i < 4; i++)
        harness_start(harness, &tickets[i], "test", &request);
    bool external = harness->options.mode == MESH_EXTERNAL;
    EXPECT_INT(harness, mesh_client_close(harness->client, 5 * NANOS_MS), external ? MESH_OK : MESH_DEADLINE);
    for (int i = 0; i < 4; i++) {
        mesh_result *result = harness_wait(&tickets[i]);
        EXPECT_RESULT(harness, result, MESH_CANCELLED, 0);
        mesh_result_free(result);
    }
    harness_close(harness);
}

/* Nobody takes completions here, so that free drops them. */
static void free_cancels(struct harness *harness)
{
    char body[] = "borrowed until it completes";
    mesh_options options = harness->options;
    options.mode = harness->cell.driver == DRIVER_EXTERNAL ? MESH_EXTERNAL : MESH_OWNED;
    options.threads = harness->cell.driver == DRIVER_THREADS ? 2 : 0;
    mesh_config *config = harness_config(harness, TEST_SERVICE);
    mesh_client *client;
    EXPECT_INT(harness, mesh__client_open(harness->world, config, &options, &client, NULL), MESH_OK);
    mesh_config_free(config);
    for (int i = 0; i < 8; i++) {
        mesh_request request = request_of("POST", i % 2 ? "/never" : "/echo", body);
        EXPECT_INT(harness, mesh_call_start(client, "test", &request, NULL, NULL), MESH_OK);
    }
    mesh_client_free(client);
    memset(body, 0, sizeof(body));
    mesh_client_free(NULL);
}

static const char *needs_callbacks(const struct cell *cell)
{
    bool has = cell->driver == DRIVER_DISPATCHER || (cell->driver == DRIVER_EXTERNAL && cell->threads > 1);
    return has ? NULL : "it has no completion callback";
}

static atomic_bool freed;

static void free_client(struct harness *harness)
{
    if (atomic_exchange(&freed, true))
        return;
    mesh_client_free(harness->client);
}

static _Atomic int64_t blocks; /* of memory that the client and its results have */

static void *count_allocate(size_t bytes, void *user)
{
    (void)user;
    void *block = malloc(bytes);
    atomic_fetch_add(&blocks, block != NULL);
    return block;
}

static void *count_resize(void *block, size_t old_bytes, size_t bytes, void *user)
{
    (void)old_bytes;
    (void)user;
    void *moved = realloc(block, bytes);
    atomic_fetch_add(&blocks, block == NULL && moved != NULL);
    return moved;
}

static void count_release(void *block, void *user)
{
    (void)user;
    atomic_fetch_sub(&blocks, block != NULL);
    free(block);
}

static void free_in_callback(struct harness *harness)
{
    mesh_allocator allocator = { sizeof(allocator), 0, count_allocate, count_resize, count_release, NULL };
    struct cell cell = harness->cell;
    harness->options.allocator = &allocator;
    harness->options.shards = cell.driver == DRIVER_EXTERNAL ? 1 : 0;
    harness->on_callback = free_client;
    harness->cell.threads = 1; /* neither pumps nor others: nothing else may run while the client goes */
    harness_use_callback(harness);
    atomic_store(&freed, false);
    harness_open(harness, TEST_SERVICE);
    struct ticket tickets[2];
    mesh_request request = request_of("GET", "/echo", NULL), never = request_of("GET", "/never", NULL);
    harness_start(harness, &tickets[0], "test", &never);
    harness_start(harness, &tickets[1], "test", &request);
    while (cell.driver == DRIVER_EXTERNAL && !atomic_load(&freed))
        EXPECT_INT(harness, mesh_loop_process(harness->client, 0), MESH_OK);
    while (sem_wait(&tickets[1].done) != 0)
        ;
    mesh_result_free(tickets[1].result);
    while (atomic_load(&blocks) > 0) /* the client goes, with all that it had */
        sched_yield();
    harness->client = NULL;
    harness->cell = cell;
}

static void next_is_closed(struct harness *harness)
{
    harness_open(harness, TEST_SERVICE);
    mesh_result_free(harness_get(harness, "/echo"));
    harness_stop_load(harness);
    EXPECT_INT(harness, mesh_client_close(harness->client, -1), MESH_OK);
    mesh_completion completion = MESH_COMPLETION_INIT;
    uint32_t count;
    while (harness->options.mode == MESH_EXTERNAL && harness->pump_count == 0 &&
           mesh_client_next(harness->client, &completion, 1, 0, &count) == MESH_DEADLINE)
        (void)mesh_loop_process(harness->client, 0);
    for (int i = 0; i < harness->pump_count; i++)
        pthread_join(harness->pumps[i], NULL); /* they end when there is nothing more to take */
    harness->pump_count = 0;
    EXPECT_INT(harness, mesh_client_next(harness->client, &completion, 1, 0, &count), MESH_ECLOSED);
    if (harness->options.mode == MESH_OWNED)
        EXPECT_INT(harness, mesh_client_next(harness->client, &completion, 1, -1, &count), MESH_ECLOSED);
    mesh_result *result = NULL;
    EXPECT_INT(harness, mesh_call(harness->client, "test", NULL, &result), MESH_ECLOSED);
    EXPECT_INT(harness, mesh_result_code(result), MESH_ECLOSED);
    mesh_result_free(result);
    EXPECT_INT(harness, mesh_client_ready(harness->client, "test", 0), MESH_ECLOSED);
    EXPECT_INT(harness, mesh_client_close(harness->client, -1), MESH_OK);
    mesh_client_free(harness->client);
    harness->client = NULL;
}

/* ---- MESH_EREENTRY ---- */

static const char *is_external_only(const struct cell *cell)
{
    return cell->driver == DRIVER_EXTERNAL ? NULL : "only an external client never waits";
}

static void reentry(struct harness *harness)
{
    harness_open(harness, TEST_SERVICE);
    mesh_result *result = NULL;
    mesh_completion completion = MESH_COMPLETION_INIT;
    uint32_t count;
    EXPECT_INT(harness, mesh_call(harness->client, "test", NULL, &result), MESH_EREENTRY);
    EXPECT_INT(harness, mesh_result_code(result), MESH_EREENTRY);
    mesh_result_free(result);
    EXPECT_INT(harness, mesh_client_ready(harness->client, "test", NANOS_S), MESH_EREENTRY);
    EXPECT_INT(harness, mesh_client_ready(harness->client, "test", 0), MESH_OK);
    if (harness->cell.threads == 1)
        EXPECT_INT(harness, mesh_client_next(harness->client, &completion, 1, -1, &count), MESH_EREENTRY);
    EXPECT_INT(harness, mesh_loop_fd(harness->client, 9), -1);
    EXPECT_INT(harness, mesh_loop_process(harness->client, 9), MESH_EINVAL);
    EXPECT_INT(harness, mesh_loop_timeout(harness->client, 9), -1);
    harness_close(harness);
}

static const char *is_owned_only(const struct cell *cell)
{
    return cell->driver == DRIVER_EXTERNAL ? "it has loops" : NULL;
}

static void no_loops(struct harness *harness)
{
    harness_open(harness, TEST_SERVICE);
    EXPECT_INT(harness, mesh_client_loops(harness->client), 0);
    EXPECT_INT(harness, mesh_loop_fd(harness->client, 0), -1);
    EXPECT_INT(harness, mesh_loop_process(harness->client, 0), MESH_EINVAL);
    EXPECT_INT(harness, mesh_client_ready(harness->client, NULL, -1), MESH_OK);
    EXPECT_INT(harness, mesh_client_ready(harness->client, "none", -1), MESH_ESERVICE);
    harness_close(harness);
}

const struct row life_rows[] = {
    { "results outlive the client", NULL, NULL, outlive, NULL },
    { "reload under load", NULL, NULL, reload_under_load, NULL },
    { "reload refused", NULL, NULL, reload_refused, NULL },
    { "close drains", NULL, NULL, close_drains, needs_started_calls },
    { "close cuts", NULL, NULL, close_cuts, needs_started_calls },
    { "free cancels", NULL, NULL, free_cancels, NULL },
    { "free in a callback", NULL, NULL, free_in_callback, needs_callbacks },
    { "next is closed", NULL, NULL, next_is_closed, NULL },
    { "EREENTRY", NULL, NULL, reentry, is_external_only },
    { "no loops", NULL, NULL, no_loops, is_owned_only },
    { NULL, NULL, NULL, NULL, NULL },
};
