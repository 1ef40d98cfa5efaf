/* SPDX-License-Identifier: Apache-2.0 */
/* client_stress_test.c - 32 threads, on 1, 2 and 4 shards, that call, start, take, cancel and look at one client while
 * it is reloaded; then it is closed under them. Every call that was started completes once. */
/* label: threaded */
#include "api/client_rows.h"

#include "base/rng.h"
#include "client/client.h"

#include <check.h>

#define THREADS 32
#define ROUNDS (UNDER_TSAN ? 50 : 100)
#define TAKERS 4

struct stress {
    struct harness harness;
    mesh_client *client;
    mesh_token *token; /* cancelled half-way */
    _Atomic uint64_t started, completed, called, closed;
    _Atomic uint64_t by_code[256];
};

static const char *const paths[] = { "/echo", "/status/503", "/chunked", "/delay/1", "/close", "/stale", "/never" };

static void note(struct stress *stress, mesh_result *result)
{
    mesh_status code = mesh_result_code(result);
    atomic_fetch_add(&stress->by_code[code & 255], 1);
    EXPECT(&stress->harness, code != MESH_EINTERNAL && code != MESH_EINVAL, "%s", mesh_result_message(result));
    mesh_result_free(result);
}

static void take(struct stress *stress, mesh_completion *completions, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        EXPECT(&stress->harness, completions[i].user == stress, "another user pointer came back");
        note(stress, completions[i].result);
    }
    atomic_fetch_add(&stress->completed, count);
}

static void *run_taker(void *argument)
{
    struct stress *stress = argument;
    mesh_completion completions[4];
    completions[0] = (mesh_completion)MESH_COMPLETION_INIT;
    uint32_t count, capacity = 1;
    mesh_status status;
    while ((status = mesh_client_next(stress->client, completions, capacity, -1, &count)) == MESH_OK) {
        take(stress, completions, count);
        capacity = capacity % 4 + 1;
    }
    EXPECT_INT(&stress->harness, status, MESH_ECLOSED);
    return NULL;
}

static void call_once(struct stress *stress, const mesh_request *request)
{
    mesh_result *result;
    mesh_status status = mesh_call(stress->client, "test", request, &result);
    if (status == MESH_ECLOSED)
        atomic_fetch_add(&stress->closed, 1);
    else
        atomic_fetch_add(&stress->called, 1);
    note(stress, result);
}

static void start_once(struct stress *stress, const mesh_request *request, bool cancel)
{
    mesh_call_id id;
    mesh_status status = mesh_call_start(stress->client, "test", request, stress, &id);
    if (status == MESH_OK)
        atomic_fetch_add(&stress->started, 1);
    else
        EXPECT_INT(&stress->harness, status, MESH_ECLOSED);
    if (status == MESH_OK && cancel) {
        status = mesh_cancel(stress->client, id);
        EXPECT(&stress->harness, status == MESH_OK || status == MESH_ESTALE, "mesh_cancel: %s",
               mesh_status_name(status));
    }
}

static void look(struct stress *stress)
{
    mesh_counters counters = MESH_COUNTERS_INIT;
    char *json = mesh_client_inspect(stress->client, NULL);
    EXPECT(&stress->harness, json != NULL && json[0] == '{', "no JSON");
    mesh_string_free(json);
    EXPECT_INT(&stress->harness, mesh_client_counters(stress->client, "test", NULL, &counters), MESH_OK);
}

static void reload(struct stress *stress, uint64_t random)
{
    static const char *const services[] = { "{'test': {'endpoints': ['@0', '@1', '!0']}}",
                                            "{'test': {'endpoints': ['@1', '@2'], 'limits': {'max_connections': 2}}}" };
    mesh_config *config = harness_config(&stress->harness, services[random % 2]);
    mesh_status status = mesh_client_reload(stress->client, config, NULL);
    EXPECT(&stress->harness, status == MESH_OK || status == MESH_ECLOSED, "%s", mesh_status_name(status));
    mesh_config_free(config);
}

static void *run_worker(void *argument)
{
    struct stress *stress = argument;
    static _Atomic uint64_t seeds = 1;
    struct rng rng;
    mesh__rng_init(&rng, atomic_fetch_add(&seeds, 1));
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t random = mesh__rng_next(&rng);
        mesh_request request = request_of("GET", paths[random % (sizeof(paths) / sizeof(paths[0]))], NULL);
        request.timeout_ns = (int64_t)(1 + (random >> 8) % 30) * NANOS_MS;
        request.token = (random >> 16) % 8 == 0 ? stress->token : NULL;
        if ((random >> 24) % 2)
            start_once(stress, &request, (random >> 32) % 3 == 0);
        else
            call_once(stress, &request);
        if ((random >> 40) % 64 == 0)
            look(stress);
        if ((random >> 48) % 64 == 0)
            reload(stress, random >> 56);
        if (i == ROUNDS / 2)
            mesh_token_cancel(stress->token);
    }
    return NULL;
}

static void stress_open(struct stress *stress, const struct cell *cell, uint32_t shards, uint32_t threads)
{
    harness_begin(&stress->harness, cell);
    mesh_config *config = harness_config(&stress->harness, "{'test': {'endpoints': ['@0', '@1', '!0']}}");
    mesh_options options = MESH_OPTIONS_INIT;
    options.shards = shards;
    options.threads = threads;
    ck_assert_int_eq(mesh__client_open(stress->harness.world, config, &options, &stress->client, NULL), MESH_OK);
    mesh_config_free(config);
    ck_assert_int_eq(mesh_token_new(&stress->token), MESH_OK);
}

static const struct row_of_stress {
    uint32_t shards, threads;
    enum network network;
    bool close_early;
} rows[] = {
    { 1, 0, NETWORK_SOCKETS, false },  { 2, 0, NETWORK_SOCKETS, false }, { 4, 0, NETWORK_SOCKETS, false },
    { 1, 0, NETWORK_MEMORY, true },    { 2, 0, NETWORK_MEMORY, true },   { 4, 0, NETWORK_MEMORY, true },
    { 2, 2, NETWORK_SOCKETS, false },  { 4, 4, NETWORK_MEMORY, true },   { 2, 0, NETWORK_INVERTING, false },
    { 4, 0, NETWORK_INVERTING, true },
};

static void stop(struct stress *stress, pthread_t *workers, pthread_t *takers, bool early)
{
    if (early) { /* while the workers still call */
        mesh_status status = mesh_client_close(stress->client, 5 * NANOS_MS);
        EXPECT(&stress->harness, status == MESH_OK || status == MESH_DEADLINE, "%s", mesh_status_name(status));
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(workers[i], NULL);
    (void)mesh_client_close(stress->client, -1);
    for (int i = 0; i < TAKERS; i++)
        pthread_join(takers[i], NULL);
}

START_TEST(on_shards)
{
    static struct stress stress;
    const struct row_of_stress *row = &rows[_i];
    struct cell cell = { DRIVER_BLOCKING, row->network, 1, false, false };
    stress_open(&stress, &cell, row->shards, row->threads);
    pthread_t workers[THREADS], takers[TAKERS];
    for (int i = 0; i < TAKERS; i++)
        ck_assert_int_eq(pthread_create(&takers[i], NULL, run_taker, &stress), 0);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&workers[i], NULL, run_worker, &stress), 0);
    stop(&stress, workers, takers, row->close_early);
    mesh_counters counters = MESH_COUNTERS_INIT;
    EXPECT_INT(&stress.harness, mesh_client_counters(stress.client, "test", NULL, &counters), MESH_OK);
    EXPECT_INT(&stress.harness, stress.completed, stress.started);
    EXPECT_INT(&stress.harness, counters.calls, stress.called + stress.started);
    EXPECT_INT(&stress.harness, counters.responses + counters.failures, counters.calls);
    EXPECT_INT(&stress.harness, counters.responses, stress.by_code[MESH_OK]);
    EXPECT_INT(&stress.harness, counters.active, 0);
    EXPECT_INT(&stress.harness, counters.pending, 0);
    mesh_client_free(stress.client);
    mesh_token_free(stress.token);
    ck_assert_msg(stress.harness.message[0] == '\0', "%s", stress.harness.message);
    harness_end(&stress.harness);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client, stress");
    TCase *tcase = tcase_create("stress");
    tcase_set_timeout(tcase, 20);
    tcase_add_loop_test(tcase, on_shards, 0, (int)(sizeof(rows) / sizeof(rows[0])));
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
