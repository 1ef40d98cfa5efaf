/* SPDX-License-Identifier: Apache-2.0 */
/* client_reuse_test.c - connections that end, or talk, while nobody uses them: rows 24 and 54 of the fault catalogue.
 */
/* label: threaded */
#include "fault/hostile.h"

#include <check.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

enum { CALLS = 1000 };

static _Atomic int seen[CALLS]; /* how often the request with this number has arrived */

static bool take_numbered(struct hostile_connection *connection)
{
    int number;
    if (!hostile_request(connection))
        return false;
    if (sscanf(connection->in, "%*s /%d ", &number) == 1 && number >= 0 && number < CALLS)
        atomic_fetch_add(&seen[number], 1);
    return true;
}

static mesh_result *call_number(const char *method, int number)
{
    char path[16];
    (void)snprintf(path, sizeof(path), "/%d", number);
    mesh_request request = MESH_REQUEST_INIT;
    request.method = method;
    request.path = path;
    mesh_result *result;
    (void)mesh_call(client, "s", &request, &result);
    return result;
}

/* Says nothing of closing, and closes after each response. */
static void close_silently(struct hostile_connection *connection)
{
    if (take_numbered(connection))
        (void)hostile_say(connection, HOSTILE_OK);
}

static void reset_silently(struct hostile_connection *connection)
{
    if (take_numbered(connection) && hostile_say(connection, HOSTILE_OK)) {
        sched_yield();
        hostile_reset(connection);
    }
}

/* Keeps the connection for some requests, then closes on reading the next one: the race that no look can see. */
static void close_on_the_third(struct hostile_connection *connection)
{
    for (int i = 0; i < 2; i++)
        if (!take_numbered(connection) || !hostile_say(connection, HOSTILE_OK))
            return;
    (void)hostile_request(connection);
}

START_TEST(row_24_stale_connections_cost_no_get)
{
    static const hostile_script scripts[] = { close_silently, close_on_the_third };
    for (size_t s = 0; s < sizeof(scripts) / sizeof(scripts[0]); s++) {
        peer = hostile_start(scripts[s], NULL);
        client = fault_client(NULL, "\"endpoints\":[\"%s\"]", hostile_address(peer));
        for (int i = 0; i < CALLS; i++) {
            mesh_result *result = call_number("GET", i);
            fault_expect(result, MESH_OK, 200, mesh_result_attempt_count(result), NULL);
        }
        mesh_counters counters = fault_counters(client);
        ck_assert_uint_eq(counters.responses, CALLS);
        ck_assert_uint_eq(counters.shuts, 0); /* that a connection was stale says nothing of the endpoint */
        end();
    }
}
END_TEST

START_TEST(row_24_stale_connections_never_repeat_a_post)
{
    static const hostile_script scripts[] = { close_silently, reset_silently };
    for (size_t s = 0; s < sizeof(scripts) / sizeof(scripts[0]); s++) {
        for (int i = 0; i < CALLS; i++)
            atomic_store(&seen[i], 0);
        peer = hostile_start(scripts[s], NULL);
        client =
            fault_client(NULL, "\"endpoints\":[\"%s\"],\"circuit_breaker\":{\"enabled\":false}", hostile_address(peer));
        int answered = 0;
        for (int i = 0; i < CALLS; i++) {
            mesh_result *result = call_number("POST", i);
            answered += mesh_result_code(result) == MESH_OK;
            mesh_attempt last = fault_last(result);
            ck_assert_msg(mesh_result_code(result) == MESH_OK || mesh_result_code(result) == MESH_RESET ||
                              mesh_result_code(result) == MESH_PARTIAL_RESPONSE,
                          "%s", mesh_result_message(result));
            ck_assert_msg(mesh_result_code(result) == MESH_OK || last.stop != MESH_STOP_NONE, "%s",
                          mesh_result_message(result));
            mesh_result_free(result);
        }
        for (int i = 0; i < CALLS; i++)
            ck_assert_msg(atomic_load(&seen[i]) <= 1, "request %d arrived %d times", i, atomic_load(&seen[i]));
        (void)fault_counters(client);
        ck_assert_int_gt(answered, 0);
        (void)printf("script %zu: %d of %d answered\n", s, answered, CALLS);
        end();
    }
}
END_TEST

static sem_t said;

/* After the first response, and once told to: something nobody asked for; an end; a reset. */
static void disturb(struct hostile_connection *connection)
{
    const char *what = connection->user;
    if (!hostile_request(connection) || !hostile_say(connection, HOSTILE_OK))
        return;
    if (connection->number == 0) {
        if (strcmp(what, "reset") == 0)
            hostile_reset(connection);
        else if (strcmp(what, "end") != 0)
            (void)hostile_say(connection, what);
        else
            return;
        if (strcmp(what, "reset") != 0)
            hostile_await_end(connection);
        return;
    }
    while (hostile_request(connection) && hostile_say(connection, HOSTILE_OK))
        ;
}

/* Row 54: bytes on an idle connection are never taken as a response, whoever sees them first: the loop or the next
 * call. The second call comes when the disturbance has arrived, which the client's own counter tells if control saw it.
 */
START_TEST(row_54_an_idle_connection_is_disturbed)
{
    static const char *const disturbances[] = { "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison",
                                                "HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n", "\r\n",
                                                "end", "reset" };
    for (size_t i = 0; i < sizeof(disturbances) / sizeof(disturbances[0]); i++) {
        peer = hostile_start(disturb, (void *)(uintptr_t)disturbances[i]);
        client = fault_client(NULL, "\"endpoints\":[\"%s\"]", hostile_address(peer));
        fault_expect(fault_call(client, "GET"), MESH_OK, 200, 1, NULL);
        mesh_counters counters;
        do { /* control looks at idle connections in time */
            counters = fault_counters(client);
            sched_yield();
        } while (counters.connections > 0);
        mesh_result *result = fault_call(client, "POST");
        ck_assert_str_eq(mesh_result_body(result), "ok");
        ck_assert_int_eq(fault_last(result).reused, 0);
        fault_expect(result, MESH_OK, 200, 1, NULL);
        ck_assert_uint_eq(hostile_connections(peer), 2);
        end();
    }
}
END_TEST

static void disturb_when_told(struct hostile_connection *connection)
{
    if (!hostile_request(connection) || !hostile_say(connection, HOSTILE_OK))
        return;
    if (connection->number > 0)
        return;
    (void)hostile_say(connection, "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison");
    (void)sem_post(&said);
    hostile_await_end(connection);
}

/* The same when the next call comes at once: what has arrived by then is seen before the connection is used. */
START_TEST(row_54_the_next_call_comes_at_once)
{
    (void)sem_init(&said, 0, 0);
    for (int i = 0; i < 20; i++) {
        peer = hostile_start(disturb_when_told, NULL);
        client = fault_client(NULL, "\"endpoints\":[\"%s\"]", hostile_address(peer));
        fault_expect(fault_call(client, "GET"), MESH_OK, 200, 1, NULL);
        while (sem_wait(&said) != 0)
            ;
        mesh_result *result = fault_call(client, "GET");
        ck_assert_str_eq(mesh_result_body(result), "ok");
        fault_expect(result, MESH_OK, 200, 1, NULL);
        end();
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        row_24_stale_connections_cost_no_get,
        row_24_stale_connections_never_repeat_a_post,
        row_54_an_idle_connection_is_disturbed,
        row_54_the_next_call_comes_at_once,
    };
    Suite *suite = suite_create("client_reuse");
    TCase *tcase = tcase_create("client_reuse");
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
