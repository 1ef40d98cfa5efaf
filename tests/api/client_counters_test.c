/* SPDX-License-Identifier: Apache-2.0 */
/* client_counters_test.c - counters of a service never fall, and calls that begin after a reload obey it, while threads
 * call and endpoints come and go. */
/* label: threaded */
#include "api/client_rows.h"

#include "client/client.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#define CALLERS 4
#define RELOADS (UNDER_TSAN ? 30 : 300)

struct load {
    struct harness harness;
    mesh_client *client;
    atomic_bool stop;
    _Atomic uint64_t called, reads;
};

static mesh_counters read_counters(struct load *load)
{
    mesh_counters counters = MESH_COUNTERS_INIT;
    EXPECT_INT(&load->harness, mesh_client_counters(load->client, "test", NULL, &counters), MESH_OK);
    return counters;
}

/* Every counter but those of "right now". */
static void expect_not_less(struct load *load, const mesh_counters *before, const mesh_counters *after)
{
#define NOT_LESS(name)                                                                                                 \
    EXPECT(&load->harness, after->name >= before->name, #name " fell from %llu to %llu",                               \
           (unsigned long long)before->name, (unsigned long long)after->name);
    NOT_LESS(calls)
    NOT_LESS(responses)
    NOT_LESS(failures)
    NOT_LESS(attempts)
    NOT_LESS(retries)
    NOT_LESS(attempt_failures)
    NOT_LESS(responses_5xx)
    NOT_LESS(connects)
    NOT_LESS(connect_failures)
    NOT_LESS(disconnects)
    NOT_LESS(shuts)
    NOT_LESS(probes)
    NOT_LESS(panics)
    NOT_LESS(bytes_sent)
    NOT_LESS(bytes_received)
#undef NOT_LESS
}

static void *run_reader(void *argument)
{
    struct load *load = argument;
    mesh_counters before = read_counters(load);
    while (!atomic_load(&load->stop)) {
        mesh_counters after = read_counters(load);
        expect_not_less(load, &before, &after);
        before = after;
        atomic_fetch_add(&load->reads, 1);
    }
    return NULL;
}

static void *run_caller(void *argument)
{
    struct load *load = argument;
    static const char *const paths[] = { "/echo", "/status/503", "/reset", "/close" };
    for (uint64_t i = 0; !atomic_load(&load->stop); i++) {
        mesh_request request = request_of("GET", paths[i % 4], NULL);
        mesh_result *result = NULL;
        (void)mesh_call(load->client, "test", &request, &result);
        mesh_result_free(result);
        atomic_fetch_add(&load->called, 1);
    }
    return NULL;
}

/* The endpoint that is left is the one that a call gets which begins now. */
static void expect_new_endpoint(struct load *load, int endpoint)
{
    mesh_request request = request_of("GET", "/echo", NULL);
    mesh_result *result = NULL;
    EXPECT_INT(&load->harness, mesh_call(load->client, "test", &request, &result), MESH_OK);
    EXPECT(&load->harness, strcmp(attempt_of(result, 0).endpoint, load->harness.endpoints[endpoint]) == 0,
           "%s was asked after a reload without it", attempt_of(result, 0).endpoint);
    mesh_result_free(result);
    atomic_fetch_add(&load->called, 1);
}

static void reload(struct load *load, int endpoint)
{
    char services[200];
    (void)snprintf(services, sizeof(services),
                   "{'test': {'endpoints': ['@%d'], 'circuit_breaker': {'enabled': false}}}", endpoint);
    mesh_config *config = harness_config(&load->harness, services);
    EXPECT_INT(&load->harness, mesh_client_reload(load->client, config, NULL), MESH_OK);
    mesh_config_free(config);
}

static void open_client(struct load *load, uint32_t shards)
{
    mesh_config *config = harness_config(&load->harness, "{'test': {'endpoints': ['@0']}}");
    mesh_options options = MESH_OPTIONS_INIT;
    options.shards = shards;
    ck_assert_int_eq(mesh__client_open(load->harness.world, config, &options, &load->client, NULL), MESH_OK);
    mesh_config_free(config);
}

START_TEST(never_fall)
{
    static struct load load;
    struct cell cell = { DRIVER_BLOCKING, NETWORK_MEMORY, 1, false, false };
    pthread_t callers[CALLERS], reader;
    memset(&load, 0, sizeof(load));
    harness_begin(&load.harness, &cell);
    open_client(&load, _i == 0 ? 1 : 3);
    ck_assert_int_eq(pthread_create(&reader, NULL, run_reader, &load), 0);
    for (int i = 0; i < CALLERS; i++)
        ck_assert_int_eq(pthread_create(&callers[i], NULL, run_caller, &load), 0);
    for (int i = 1; i <= RELOADS || atomic_load(&load.reads) < 100; i++) {
        reload(&load, i % 3);
        expect_new_endpoint(&load, i % 3);
    }
    atomic_store(&load.stop, true);
    pthread_join(reader, NULL);
    for (int i = 0; i < CALLERS; i++)
        pthread_join(callers[i], NULL);
    mesh_counters counters = read_counters(&load);
    EXPECT_INT(&load.harness, counters.calls, atomic_load(&load.called));
    EXPECT(&load.harness, counters.attempts >= counters.calls, "an endpoint that left took its counts along");
    mesh_client_free(load.client);
    ck_assert_msg(load.harness.message[0] == '\0', "%s", load.harness.message);
    harness_end(&load.harness);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client, counters");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 20);
    tcase_add_loop_test(tcase, never_fall, 0, 2);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
