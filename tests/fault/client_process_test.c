/* SPDX-License-Identifier: Apache-2.0 */
/* client_process_test.c - what the process and its system do to a client: descriptors and ports run out, signals, and
 * results that outlive everything. Rows 30, 31 and 129 of the fault catalogue. */
/* label: threaded */
#include "client/client.h"
#include "fault/hostile.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

static mesh_client *client;
static struct hostile *peer;

static void end(void)
{
    mesh_client_free(client);
    if (peer)
        hostile_stop(peer);
    client = NULL;
    peer = NULL;
}

static void serve(struct hostile_connection *connection)
{
    while (hostile_request(connection) && hostile_say(connection, HOSTILE_OK))
        ;
}

/* Row 30 as it happens: no descriptor is left for a connection. */
START_TEST(row_30_no_descriptors)
{
    peer = hostile_start(serve, NULL);
    client = fault_client(NULL, "\"endpoints\":[\"%s\"]", hostile_address(peer));
    int fillers[1024], count = 0;
    struct rlimit before, none;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 256;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    while (count < 1024 && (fillers[count] = dup(0)) >= 0)
        count++;
    for (int i = 0; i < 20; i++) {
        mesh_result *result = fault_call(client, "GET");
        ck_assert_int_eq(fault_last(result).error_number, EMFILE);
        fault_expect(result, MESH_NO_DESCRIPTORS, 0, 1, "Too many open files");
    }
    mesh_counters counters = fault_counters(client);
    ck_assert_uint_eq(counters.shuts, 0); /* not the endpoint's fault */
    ck_assert_uint_eq(counters.attempts, 20);
    mesh_client *second = NULL;
    mesh_error *error = NULL;
    mesh_config *config;
    ck_assert_int_eq(mesh_config_new(&config), MESH_OK);
    ck_assert_int_eq(mesh_client_open(config, NULL, &second, &error), MESH_NO_DESCRIPTORS);
    ck_assert_ptr_null(second);
    ck_assert_ptr_nonnull(strstr(mesh_error_text(error), "Too many open files"));
    mesh_error_free(error);
    mesh_config_free(config);
    while (count > 0)
        close(fillers[--count]);
    fault_expect(fault_call(client, "GET"), MESH_OK, 200, 1, NULL);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
}
END_TEST

/* Connecting fails at once with this errno. */
static int connect_error;

static int fail_to_connect(const struct world *world, struct loop *loop, const struct address *address,
                           struct stream **out)
{
    (void)world;
    (void)loop;
    (void)address;
    (void)out;
    return -connect_error;
}

START_TEST(rows_30_31_what_the_system_says_to_connecting)
{
    static const struct {
        int error;
        mesh_status status;
        size_t attempts;
        bool shuts;
    } rows[] = {
        { EMFILE, MESH_NO_DESCRIPTORS, 1, false },
        { ENFILE, MESH_NO_DESCRIPTORS, 1, false },
        { ENOBUFS, MESH_NO_DESCRIPTORS, 1, false },
        { EADDRNOTAVAIL, MESH_NO_DESCRIPTORS, 1, false },
        { ENOMEM, MESH_NO_MEMORY, 1, false },
        { ECONNREFUSED, MESH_CONNECT_REFUSED, 3, true },
        { ENOENT, MESH_CONNECT_REFUSED, 3, true },
        { ENETUNREACH, MESH_CONNECT_UNREACHABLE, 3, true },
        { EHOSTUNREACH, MESH_CONNECT_UNREACHABLE, 3, true },
        { ENETDOWN, MESH_CONNECT_UNREACHABLE, 3, true },
        { EACCES, MESH_CONNECT_UNREACHABLE, 3, true },
        { EPERM, MESH_CONNECT_UNREACHABLE, 3, true },
        { EHOSTDOWN, MESH_CONNECT_UNREACHABLE, 3, true },
        { EAFNOSUPPORT, MESH_CONNECT_UNREACHABLE, 3, true },
        { ETIMEDOUT, MESH_CONNECT_TIMEOUT, 3, false },
        { EPROTO, MESH_SYSTEM, 1, false },
    };
    struct world world = mesh__world_real;
    world.connect = fail_to_connect;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        connect_error = rows[i].error;
        mesh_config *config;
        ck_assert_int_eq(mesh_config_new(&config), MESH_OK);
        ck_assert_int_eq(mesh_config_set_json(config, "/services/s/endpoints", "[\"10.0.0.1:80\",\"10.0.0.2:80\"]"),
                         MESH_OK);
        ck_assert_int_eq(mesh_config_set_string(config, "/services/s/retry/backoff/base", "1ms"), MESH_OK);
        ck_assert_int_eq(mesh_config_set_string(config, "/services/s/balancer", "round-robin"), MESH_OK);
        ck_assert_int_eq(mesh__client_open(&world, config, NULL, &client, NULL), MESH_OK);
        mesh_config_free(config);
        mesh_result *result = fault_call(client, "POST");
        const char *message = mesh_result_message(result);
        ck_assert_msg(mesh_result_code(result) == rows[i].status, "%s: %s", strerror(rows[i].error), message);
        ck_assert_msg(fault_last(result).error_number == rows[i].error, "%s", message);
        fault_expect(result, rows[i].status, 0, rows[i].attempts, strerror(rows[i].error));
        mesh_counters counters = fault_counters(client);
        ck_assert_msg((counters.shuts > 0) == rows[i].shuts, "%s: %d shuts", strerror(rows[i].error),
                      (int)counters.shuts);
        ck_assert_uint_eq(counters.connect_failures, rows[i].attempts);
        ck_assert_uint_eq(counters.connections, 0);
        end();
    }
}
END_TEST

/* ---- signals ---- */

static volatile sig_atomic_t signals;

static void on_signal(int number)
{
    (void)number;
    signals = signals + 1;
}

static void close_at_once(struct hostile_connection *connection)
{
    char byte;
    (void)!read(connection->fd, &byte, 1);
    hostile_reset(connection);
}

START_TEST(row_129_sigpipe_is_never_raised)
{
    struct sigaction action = { .sa_handler = on_signal }, after;
    ck_assert_int_eq(sigaction(SIGPIPE, &action, NULL), 0);
    peer = hostile_start(close_at_once, NULL);
    client =
        fault_client(NULL, "\"endpoints\":[\"%s\"],\"circuit_breaker\":{\"enabled\":false}", hostile_address(peer));
    enum { SIZE = 4 * 1024 * 1024 };
    char *body = calloc(1, SIZE);
    mesh_request request = MESH_REQUEST_INIT;
    request.method = "PUT";
    request.body = body;
    request.body_size = SIZE;
    for (int i = 0; i < 50; i++) {
        mesh_result *result;
        (void)mesh_call(client, "s", &request, &result);
        fault_expect(result, MESH_RESET, 0, mesh_result_attempt_count(result), NULL);
    }
    free(body);
    ck_assert_int_eq(signals, 0);
    ck_assert_int_eq(sigaction(SIGPIPE, NULL, &after), 0);
    ck_assert(after.sa_handler == on_signal); /* nor did anybody change the handler */
}
END_TEST

START_TEST(row_129_signal_storm)
{
    peer = hostile_start(serve, NULL);
    client = fault_client(NULL, "\"endpoints\":[\"%s\"]", hostile_address(peer));
    struct sigaction action = { .sa_handler = on_signal };
    ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
    struct itimerval storm = { { 0, 1000 }, { 0, 1000 } }, calm = { { 0, 0 }, { 0, 0 } };
    ck_assert_int_eq(setitimer(ITIMER_REAL, &storm, NULL), 0);
    int calls = 0;
    for (; calls < 1000 || signals < 20; calls++)
        fault_expect(fault_call(client, calls % 2 ? "POST" : "GET"), MESH_OK, 200, 1, NULL);
    ck_assert_int_eq(setitimer(ITIMER_REAL, &calm, NULL), 0);
    mesh_counters counters = fault_counters(client);
    ck_assert_uint_eq(counters.responses, (uint64_t)calls);
    ck_assert_uint_eq(counters.connects, 1);
}
END_TEST

/* ---- results ---- */

enum { THREADS = 4, RESULTS = 200 };

static mesh_result *results[THREADS][RESULTS];

static void *call_many(void *argument)
{
    mesh_result **mine = argument;
    for (int i = 0; i < RESULTS; i++) {
        mesh_request request = MESH_REQUEST_INIT;
        (void)mesh_call(client, "s", &request, &mine[i]);
        if (i % 3 == 0) {
            mesh_result_free(mine[i]); /* back into the store, while others take out */
            mine[i] = NULL;
        }
    }
    return NULL;
}

static void *free_many(void *argument)
{
    mesh_result **theirs = argument;
    intptr_t wrong = 0;
    for (int i = 0; i < RESULTS; i++) {
        wrong += theirs[i] && (mesh_result_status(theirs[i]) != 200 || strcmp(mesh_result_body(theirs[i]), "ok") != 0 ||
                               fault_last(theirs[i]).endpoint == NULL);
        mesh_result_free(theirs[i]);
    }
    return (void *)wrong; /* a count, not a pointer */
}

/* Read and freed on other threads than they came on, once before their client goes and once after. */
START_TEST(results_outlive_their_client)
{
    for (int after = 0; after < 2; after++) {
        peer = hostile_start(serve, NULL);
        mesh_options options = MESH_OPTIONS_INIT;
        options.shards = 2;
        client = fault_client(&options, "\"endpoints\":[\"%s\"]", hostile_address(peer));
        pthread_t threads[THREADS];
        for (int i = 0; i < THREADS; i++)
            ck_assert_int_eq(pthread_create(&threads[i], NULL, call_many, results[i]), 0);
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        if (after)
            end();
        for (int i = 0; i < THREADS; i++)
            ck_assert_int_eq(pthread_create(&threads[i], NULL, free_many, results[(i + 1) % THREADS]), 0);
        if (!after)
            end(); /* while they are being freed */
        for (int i = 0; i < THREADS; i++) {
            void *wrong;
            pthread_join(threads[i], &wrong);
            ck_assert_ptr_null(wrong);
        }
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        row_30_no_descriptors,           rows_30_31_what_the_system_says_to_connecting,
        row_129_sigpipe_is_never_raised, row_129_signal_storm,
        results_outlive_their_client,
    };
    Suite *suite = suite_create("client_process");
    TCase *tcase = tcase_create("client_process");
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, NULL, end);
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
