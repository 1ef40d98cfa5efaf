/* SPDX-License-Identifier: Apache-2.0 */
/* http2_goaway_test.c - nginx and haproxy are reloaded and shut down in order while calls are in flight over HTTP/2:
 * they go away with GOAWAY, and no call fails. The client is as it is by default, and the calls are idempotent. */
#include "interop/peers.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define IN_FLIGHT 20
#define RELOADS 5
#define MORE 1000

static struct papers papers;
static struct peer_server servers[2], behind;

static void setup(void)
{
    peers_make(&papers);
    peers_nghttpd(&behind, &papers, false);
}

static void teardown(void)
{
    peers_kill(&servers[0]);
    peers_kill(&servers[1]);
    peers_kill(&behind);
    papers_remove(&papers);
}

static const struct row {
    bool haproxy;
    const char *listens, *members;
    int reload, quit; /* signals */
} rows[] = {
    { false, "http2; keepalive_requests 1000000", ", \"protocol\": \"http2\"", SIGHUP, SIGQUIT },
    { false, "ssl http2; keepalive_requests 1000000", PEER_MUTUAL, SIGHUP, SIGQUIT },
    { true, "proto h2", ", \"protocol\": \"http2\"", SIGUSR2, SIGUSR1 },
    { true, "ssl crt both.pem alpn h2", PEER_MUTUAL, SIGUSR2, SIGUSR1 },
};

static void start(const struct row *row, struct peer_server *server)
{
    if (row->haproxy)
        peers_haproxy(server, &papers, row->listens, &behind);
    else
        peers_nginx(server, &papers, row->listens);
}

struct watch {
    mesh_client *client;
    int signal;
    uint64_t connects, stop; /* before; at so many calls */
    int status;
};

/* A signal that comes while haproxy's master is still starting is lost, so it is sent again now and then. */
static void urge(struct watch *watch, uint64_t started)
{
    ck_assert_msg(started < 2000000, "the signal does nothing");
    if (started % 20000 == 0)
        ck_assert_int_eq(kill(servers[0].pid, watch->signal), 0);
}

/* Until the client has opened another connection, and then some more. */
static bool is_reloading(uint64_t started, void *user)
{
    struct watch *watch = user;
    if (watch->stop == 0 && started % 100 == 0 && peers_counters(watch->client).connects > watch->connects)
        watch->stop = started + MORE;
    if (watch->stop == 0)
        urge(watch, started);
    return watch->stop == 0 || started < watch->stop;
}

/* Until the server has exited, and then some more. */
static bool is_stopping(uint64_t started, void *user)
{
    struct watch *watch = user;
    if (watch->stop == 0 && waitpid(servers[0].pid, &watch->status, WNOHANG) != 0) {
        servers[0].pid = 0;
        watch->stop = started + MORE;
    }
    if (watch->stop == 0)
        urge(watch, started);
    return watch->stop == 0 || started < watch->stop;
}

static void report(const struct row *row, const char *what, mesh_client *client)
{
    mesh_counters counters = peers_counters(client);
    ck_assert_uint_eq(counters.failures, 0);
    ck_assert_uint_eq(counters.responses, counters.calls);
    ck_assert_uint_eq(counters.attempt_failures, counters.retries);
    (void)printf("%s, %s, %s: %llu calls, none failed; %llu connections, %llu attempts repeated\n",
                 row->haproxy ? "haproxy" : "nginx", strstr(row->listens, "ssl") ? "TLS" : "plain text", what,
                 (unsigned long long)counters.calls, (unsigned long long)counters.connects,
                 (unsigned long long)counters.retries);
}

START_TEST(reloads_under_load)
{
    const struct row *row = &rows[_i];
    start(row, &servers[0]);
    mesh_client *client = peers_client(&papers, servers, 1, NULL, row->members);
    peers_many(client, "/small", IN_FLIGHT, MORE);
    for (int i = 0; i < RELOADS; i++) {
        struct watch watch = { client, row->reload, peers_counters(client).connects, 0, 0 };
        peers_while(client, "/small", IN_FLIGHT, is_reloading, &watch);
    }
    ck_assert_uint_eq(peers_counters(client).shuts, 0);
    report(row, "reloaded", client);
    mesh_client_free(client);
}
END_TEST

/* One of two shuts down: the other one takes over. */
START_TEST(shutdown_under_load)
{
    const struct row *row = &rows[_i];
    start(row, &servers[0]);
    start(row, &servers[1]);
    mesh_client *client = peers_client(&papers, servers, 2, NULL, row->members);
    peers_many(client, "/small", IN_FLIGHT, MORE);
    struct watch watch = { client, row->quit, 0, 0, 0 };
    peers_while(client, "/small", IN_FLIGHT, is_stopping, &watch);
    ck_assert_msg(WIFEXITED(watch.status), "it did not exit in order");
    report(row, "shut down", client);
    mesh_client_free(client);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client: HTTP/2 servers that go away in order");
    TCase *tcase = tcase_create("goaway");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, reloads_under_load, 0, sizeof(rows) / sizeof(rows[0]));
    tcase_add_loop_test(tcase, shutdown_under_load, 0, sizeof(rows) / sizeof(rows[0]));
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
