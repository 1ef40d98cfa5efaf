/* SPDX-License-Identifier: Apache-2.0 */
/* client_virtual_test.c - what takes time, to the nanosecond: an external client whose clock the test moves, over a
 * network in memory. Nothing waits; the same seed gives the same run. */
#include "api/client_rows.h"

#include "base/buf.h"
#include "base/rng.h"
#include "client/client.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START (1000 * NANOS_S)

struct clock_of_ours {
    struct world world;
    mesh_nanos now;
};

struct scene {
    struct clock_of_ours clock;
    struct http_script *script;
    struct memory_network *memory;
    struct http_memory_peer *peer;
    mesh_client *client;
};

static mesh_nanos read_now(const struct world *world)
{
    return ((const struct clock_of_ours *)world->user)->now;
}

static int64_t read_unix(const struct world *world)
{
    return INT64_C(1700000000) * NANOS_S + read_now(world);
}

static uint64_t read_random(const struct world *world)
{
    (void)world;
    return 7;
}

static void scene_open(struct scene *scene, uint64_t seed, const char *service)
{
    char address[PEER_TEXT], text[2048];
    memset(scene, 0, sizeof(*scene));
    scene->clock.world = (struct world){ read_now, read_unix, read_random, NULL, &scene->clock };
    scene->clock.now = START;
    scene->script = script_new();
    scene->memory = mesh__memory_new(&scene->clock.world);
    ck_assert_ptr_nonnull(scene->memory);
    scene->peer = http_memory_peer_new(scene->memory, scene->script, &(struct http_layers){ NULL, false });
    for (int i = 0; i < 3; i++) {
        (void)snprintf(address, sizeof(address), "10.0.0.%d:80", i + 1);
        http_memory_peer_listen(scene->peer, address, i);
    }
    size_t size = 0;
    for (; service[size]; size++)
        text[size] = service[size] == '\'' ? '"' : service[size];
    text[size] = '\0';
    mesh_config *config;
    mesh_error *error = NULL;
    ck_assert_int_eq(mesh_config_new(&config), MESH_OK);
    ck_assert_int_eq(mesh_config_set_json(config, "/services/test", text), MESH_OK);
    mesh_options options = MESH_OPTIONS_INIT;
    options.mode = MESH_EXTERNAL;
    options.seed = seed;
    mesh_status status = mesh__client_open(mesh__memory_world(scene->memory), config, &options, &scene->client, &error);
    ck_assert_msg(status == MESH_OK, "%s", mesh_error_text(error));
    mesh_config_free(config);
}

static void scene_close(struct scene *scene)
{
    mesh_client_free(scene->client);
    http_memory_peer_free(scene->peer);
    mesh__memory_free(scene->memory);
    script_free(scene->script);
}

/* Lets the client go on until `until`, jumping from one thing that is due to the next. A result ends it, if asked for.
 */
static mesh_result *run_until(struct scene *scene, mesh_nanos until, bool for_result)
{
    for (int turns = 0; turns < 100000; turns++) {
        ck_assert_int_eq(mesh_loop_process(scene->client, 0), MESH_OK);
        mesh_completion completion = MESH_COMPLETION_INIT;
        uint32_t count = 0;
        if (for_result && mesh_client_next(scene->client, &completion, 1, 0, &count) == MESH_OK)
            return completion.result;
        int64_t timeout = mesh_loop_timeout(scene->client, 0);
        if (timeout == 0)
            continue;
        if (timeout < 0 || timeout > until - scene->clock.now) {
            scene->clock.now = until;
            ck_assert_int_eq(mesh_loop_process(scene->client, 0), MESH_OK);
            ck_assert_msg(!for_result, "no result by then");
            return NULL;
        }
        scene->clock.now += timeout;
    }
    ck_abort_msg("the client turns without end at %lld", (long long)scene->clock.now);
    return NULL;
}

static mesh_result *call(struct scene *scene, const mesh_request *request)
{
    ck_assert_int_eq(mesh_call_start(scene->client, "test", request, NULL, NULL), MESH_OK);
    return run_until(scene, NANOS_NEVER, true);
}

static mesh_result *get(struct scene *scene, const char *path)
{
    mesh_request request = request_of("GET", path, NULL);
    return call(scene, &request);
}

#define ONE "'endpoints': ['10.0.0.1:80']"
#define TWO "'endpoints': ['10.0.0.1:80', '10.0.0.2:80']"
#define NO_BREAKER "'circuit_breaker': {'enabled': false}"

START_TEST(backoff)
{
    static const mesh_nanos most[] = { 0, 100 * NANOS_MS, 200 * NANOS_MS, 250 * NANOS_MS, 250 * NANOS_MS };
    struct scene scene;
    mesh_nanos sum = 0;
    scene_open(&scene, (uint64_t)_i + 1,
               "{" TWO "," NO_BREAKER ", 'retry': {'attempts': 5, 'on': ['503'], 'backoff': {'base': '100ms', "
               "'max': '250ms'}}}");
    mesh_result *result = get(&scene, "/status/503");
    ck_assert_int_eq(mesh_result_status(result), 503);
    ck_assert_uint_eq(mesh_result_attempt_count(result), 5);
    for (size_t i = 0; i < 5; i++) {
        mesh_attempt attempt = attempt_of(result, i);
        ck_assert_msg(attempt.backoff_ns >= 0 && attempt.backoff_ns <= most[i], "pause %zu: %lld", i,
                      (long long)attempt.backoff_ns);
        sum += attempt.backoff_ns;
        ck_assert_int_eq(attempt.start_ns, sum); /* the network takes no time */
    }
    ck_assert_int_eq(mesh_result_duration_ns(result), sum);
    ck_assert_int_gt(sum, 0);
    mesh_result_free(result);
    scene_close(&scene);
}
END_TEST

START_TEST(retry_after)
{
    struct scene scene;
    scene_open(&scene, 1, "{" ONE "," NO_BREAKER ", 'retry': {'on': ['503']}}");
    mesh_result *result = get(&scene, "/seq/a/after/503/2,200");
    ck_assert_int_eq(mesh_result_status(result), 200);
    ck_assert_int_eq(attempt_of(result, 1).backoff_ns, 2 * NANOS_S);
    ck_assert_int_eq(mesh_result_duration_ns(result), 2 * NANOS_S);
    mesh_result_free(result);
    mesh_request request = request_of("GET", "/seq/b/after/503/2,200", NULL);
    request.timeout_ns = NANOS_S; /* it does not fit: the call ends now, with what it has */
    result = call(&scene, &request);
    ck_assert_int_eq(mesh_result_status(result), 503);
    ck_assert_int_eq(attempt_of(result, 0).stop, MESH_STOP_DEADLINE);
    ck_assert_int_eq(mesh_result_duration_ns(result), 0);
    mesh_result_free(result);
    scene_close(&scene);
}
END_TEST

START_TEST(deadlines)
{
    struct scene scene;
    scene_open(&scene, 1,
               "{" TWO "," NO_BREAKER ", 'timeout': '3s', 'retry': {'attempts': 3, 'on': "
               "['per-try-timeout'], 'per_try_timeout': '500ms', 'backoff': {'base': '1ms', 'max': '1ms'}}}");
    mesh_result *result = get(&scene, "/never");
    ck_assert_int_eq(mesh_result_code(result), MESH_PER_TRY_TIMEOUT);
    ck_assert_uint_eq(mesh_result_attempt_count(result), 3);
    mesh_nanos at = 0;
    for (size_t i = 0; i < 3; i++) {
        at += attempt_of(result, i).backoff_ns;
        ck_assert_int_eq(attempt_of(result, i).start_ns, at);
        at += 500 * NANOS_MS;
    }
    ck_assert_int_eq(mesh_result_duration_ns(result), at);
    mesh_result_free(result);
    mesh_request request = request_of("GET", "/never", NULL);
    request.timeout_ns = 123456789;
    result = call(&scene, &request);
    ck_assert_int_eq(mesh_result_code(result), MESH_DEADLINE);
    ck_assert_int_eq(mesh_result_duration_ns(result), 123456789);
    mesh_result_free(result);
    scene_close(&scene);
}
END_TEST

START_TEST(connect_timeout)
{
    struct scene scene;
    scene_open(&scene, 1, "{" TWO "," NO_BREAKER ", 'connect_timeout': '700ms', 'retry': {'attempts': 1}}");
    mesh__memory_set(scene.memory, "10.0.0.1:80", MEMORY_IGNORE, 0);
    mesh__memory_set(scene.memory, "10.0.0.2:80", MEMORY_ACCEPT, 40 * NANOS_MS);
    mesh_request request = request_of("GET", "/delay/5", NULL);
    request.endpoint = "10.0.0.1:80";
    request.flags = MESH_NO_RETRY;
    mesh_result *result = call(&scene, &request);
    ck_assert_int_eq(mesh_result_code(result), MESH_CONNECT_TIMEOUT);
    ck_assert_int_eq(mesh_result_duration_ns(result), 700 * NANOS_MS);
    mesh_result_free(result);
    request.endpoint = "10.0.0.2:80";
    result = call(&scene, &request);
    ck_assert_int_eq(mesh_result_status(result), 200);
    ck_assert_int_eq(attempt_of(result, 0).connect_ns, 40 * NANOS_MS);
    ck_assert_int_eq(attempt_of(result, 0).wait_ns, 5 * NANOS_MS);
    ck_assert_int_eq(mesh_result_duration_ns(result), 45 * NANOS_MS);
    mesh_result_free(result);
    scene_close(&scene);
}
END_TEST

/* One call each 50 ms; notes when the first endpoint was tried. */
static int calls_at_first(struct scene *scene, mesh_nanos length, mesh_nanos *times, int room)
{
    int count = 0;
    for (mesh_nanos end = scene->clock.now + length; scene->clock.now < end;) {
        mesh_result *result = get(scene, "/echo");
        ck_assert_int_eq(mesh_result_status(result), 200);
        mesh_attempt attempt = attempt_of(result, 0);
        if (strcmp(attempt.endpoint, "10.0.0.1:80") == 0 && count < room) {
            ck_assert_int_eq(attempt.pick, count == 0 ? attempt.pick : MESH_PICK_PROBE);
            times[count++] = scene->clock.now - START;
        }
        mesh_result_free(result);
        (void)run_until(scene, scene->clock.now + 50 * NANOS_MS, false);
    }
    return count;
}

START_TEST(breaker)
{
    struct scene scene;
    mesh_nanos times[20];
    scene_open(&scene, 3,
               "{" TWO ", 'balancer': 'round-robin', 'circuit_breaker': {'shut': '1s', 'max_shut': '4s', "
               "'jitter': 0}, 'retry': {'on': ['connect-failure']}}");
    mesh__memory_set(scene.memory, "10.0.0.1:80", MEMORY_REFUSE, 0);
    int count = calls_at_first(&scene, 20 * NANOS_S, times, 20);
    static const mesh_nanos pauses[] = { 1, 2, 4, 4, 4 }; /* seconds */
    ck_assert_int_ge(count, 6);
    for (int i = 0; i < 5; i++) {
        mesh_nanos pause = times[i + 1] - times[i];
        ck_assert_msg(pause >= pauses[i] * NANOS_S && pause <= pauses[i] * NANOS_S + 50 * NANOS_MS, "pause %d: %lld ms",
                      i, (long long)(pause / NANOS_MS));
    }
    mesh__memory_set(scene.memory, "10.0.0.1:80", MEMORY_ACCEPT, 0);
    (void)run_until(&scene, scene.clock.now + 5 * NANOS_S, false);
    mesh_result *result = get(&scene, "/echo"); /* the probe, which finds it back */
    ck_assert_int_eq(attempt_of(result, 0).pick, MESH_PICK_PROBE);
    ck_assert_int_eq(mesh_result_status(result), 200);
    mesh_result_free(result);
    uint64_t before = script_requests(scene.script, 0);
    for (int i = 0; i < 10; i++)
        mesh_result_free(get(&scene, "/echo"));
    ck_assert_uint_eq(script_requests(scene.script, 0) - before, 5);
    scene_close(&scene);
}
END_TEST

START_TEST(seven_failures)
{
    struct scene scene;
    scene_open(&scene, 3, "{" TWO ", 'circuit_breaker': {'jitter': 0}, 'retry': {'attempts': 1}}");
    for (int i = 0; i < 7; i++) {
        mesh_request request = request_of("GET", "/status/500", NULL);
        request.endpoint = "10.0.0.1:80";
        mesh_result_free(call(&scene, &request));
    }
    mesh_counters counters = MESH_COUNTERS_INIT;
    ck_assert_int_eq(mesh_client_counters(scene.client, "test", "10.0.0.1:80", &counters), MESH_OK);
    ck_assert_uint_eq(counters.shuts, 1);
    for (int i = 0; i < 20; i++)
        mesh_result_free(get(&scene, "/echo"));
    ck_assert_uint_eq(script_requests(scene.script, 0), 7);
    ck_assert_uint_eq(script_requests(scene.script, 1), 20);
    (void)run_until(&scene, scene.clock.now + NANOS_S, false);
    mesh_result *result = get(&scene, "/echo");
    ck_assert_int_eq(attempt_of(result, 0).pick, MESH_PICK_PROBE);
    mesh_result_free(result);
    scene_close(&scene);
}
END_TEST

START_TEST(idle_timeout)
{
    struct scene scene;
    scene_open(&scene, 1, "{" ONE ", 'idle_timeout': '5s'}");
    mesh_result_free(get(&scene, "/echo"));
    (void)run_until(&scene, scene.clock.now + 3 * NANOS_S, false);
    mesh_result_free(get(&scene, "/echo")); /* it counts anew from here */
    (void)run_until(&scene, scene.clock.now + 5 * NANOS_S - 1, false);
    ck_assert_uint_eq(script_open_now(scene.script, 0), 1);
    (void)run_until(&scene, scene.clock.now + 1, false);
    ck_assert_uint_eq(script_open_now(scene.script, 0), 0);
    ck_assert_uint_eq(script_opened(scene.script, 0), 1);
    scene_close(&scene);
}
END_TEST

START_TEST(connection_age)
{
    struct scene scene;
    scene_open(&scene, 1, "{" ONE ", 'max_connection_age': '10s', 'max_requests_per_connection': 3}");
    for (int i = 0; i < 6; i++)
        mesh_result_free(get(&scene, "/echo"));
    ck_assert_uint_eq(script_opened(scene.script, 0), 2);
    mesh_result_free(get(&scene, "/echo"));
    (void)run_until(&scene, scene.clock.now + 10 * NANOS_S, false);
    mesh_result_free(get(&scene, "/echo"));
    ck_assert_uint_eq(script_opened(scene.script, 0), 4);
    scene_close(&scene);
}
END_TEST

/* ---- replay ---- */

static void write_trace(struct buf *out, const mesh_result *result, mesh_nanos now)
{
    mesh__buf_printf(out, "%lld %d %d %s\n", (long long)now, (int)mesh_result_code(result),
                     (int)mesh_result_status(result), mesh_result_trace_id(result));
    for (size_t i = 0; i < mesh_result_attempt_count(result); i++) {
        mesh_attempt at = attempt_of(result, i);
        mesh__buf_printf(out, "  %s %s %d %d %s %lld %lld %llx\n", at.endpoint, mesh_pick_name(at.pick), (int)at.status,
                         (int)at.http_status, mesh_retry_name(at.retry), (long long)at.start_ns,
                         (long long)at.backoff_ns, (unsigned long long)at.span_id);
    }
}

static void record(uint64_t seed, struct buf *out)
{
    static const char *const paths[] = { "/echo",  "/delay/30",   "/status/503", "/reset",
                                         "/never", "/status/500", "/delay/200",  "/partial" };
    struct scene scene;
    struct rng rng;
    mesh__rng_init(&rng, 99); /* the load is the same whatever the client's seed */
    scene_open(&scene, seed,
               "{'endpoints': ['10.0.0.1:80', '10.0.0.2:80', '10.0.0.3:80'], 'timeout': '1s', 'retry': "
               "{'attempts': 3, 'on': ['5xx', 'reset', 'connect-failure']}}");
    for (int i = 0; i < 300; i++) {
        uint64_t random = mesh__rng_next(&rng);
        mesh__memory_set(scene.memory, "10.0.0.2:80", i / 60 % 2 ? MEMORY_REFUSE : MEMORY_ACCEPT, 0);
        mesh_result *result = get(&scene, paths[random % 8]);
        write_trace(out, result, scene.clock.now);
        mesh_result_free(result);
        (void)run_until(&scene, scene.clock.now + (mesh_nanos)(random >> 32) % (50 * NANOS_MS), false);
    }
    scene_close(&scene);
}

START_TEST(replay)
{
    struct buf runs[3];
    static const uint64_t seeds[] = { 5, 5, 6 };
    for (int i = 0; i < 3; i++) {
        mesh__buf_init(&runs[i], &mesh__mem_system, 1 << 20);
        record(seeds[i], &runs[i]);
    }
    ck_assert_str_eq(mesh__buf_text(&runs[0]), mesh__buf_text(&runs[1]));
    ck_assert_str_ne(mesh__buf_text(&runs[0]), mesh__buf_text(&runs[2]));
    for (int i = 0; i < 3; i++)
        mesh__buf_fini(&runs[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client, virtual time");
    TCase *tcase = tcase_create("virtual time");
    tcase_add_loop_test(tcase, backoff, 0, 8);
    tcase_add_test(tcase, retry_after);
    tcase_add_test(tcase, deadlines);
    tcase_add_test(tcase, connect_timeout);
    tcase_add_test(tcase, breaker);
    tcase_add_test(tcase, seven_failures);
    tcase_add_test(tcase, idle_timeout);
    tcase_add_test(tcase, connection_age);
    tcase_add_test(tcase, replay);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
