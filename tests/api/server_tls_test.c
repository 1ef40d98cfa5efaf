/* SPDX-License-Identifier: Apache-2.0 */
/* server_tls_test.c - a server that speaks TLS: whom it takes in each mode, whom it refuses, and new certificates. */
/* label: threaded */
/* long */
#include "api/server_tls_scene.h"

#include <check.h>
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define GET(path) "GET " path " HTTP/1.1\r\nhost: x\r\n\r\n"

/* ---- modes ---- */

#define SIMPLE "\"mode\": \"simple\", \"peers\": [\"spiffe://shop/payment\"]"
#define PLAIN "\"mode\": \"disable\""

static const struct {
    const char *server, *client;
    const char *said; /* NULL: refused */
    const char *why;  /* in the log */
} modes[] = {
    { "mutual", MUTUAL, "200 1 spiffe://shop/order", NULL },
    { "mutual", SIMPLE, NULL, "was refused: the peer showed no certificate" },
    { "mutual", PLAIN, NULL, "was refused: the TLS handshake failed" },
    { "permissive", MUTUAL, "200 1 spiffe://shop/order", NULL },
    { "permissive", SIMPLE, NULL, "was refused: the peer showed no certificate" },
    { "permissive", PLAIN, "200 0 ", NULL },
    { "simple", MUTUAL, "200 1 ", NULL }, /* nobody asks for the certificate, so nothing is proved */
    { "simple", SIMPLE, "200 1 ", NULL },
    { "simple", PLAIN, NULL, "was refused: the TLS handshake failed" },
    { "disable", PLAIN, "200 0 ", NULL },
};

static const char *const by_threads[] = {
    "\"workers\": 0, \"tls\": {\"mode\": \"%s\"}",
    "\"workers\": 4, \"tls\": {\"mode\": \"%s\"}",
};
static const char *const handshakes[] = { ", \"tls\": {\"handshake_threads\": 0}",
                                          ", \"tls\": {\"handshake_threads\": 2}" };

START_TEST(test_modes)
{
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        char settings[200], text[400];
        bool tls = strcmp(modes[i].server, "disable") != 0;
        (void)snprintf(settings, sizeof(settings), by_threads[_i], modes[i].server);
        mesh_server *server =
            papers_server(&papers, "payment", settings, tls ? handshakes[_i] : "", &options, tell_peer, NULL);
        mesh_client *client = papers_client(&papers, "order", mesh_server_address(server), modes[i].client);
        for (int round = 0; round < 3; round++) {
            mesh_status status = papers_call(client, "GET", "/", text);
            ck_assert_msg((status == MESH_OK) == (modes[i].said != NULL), "%s %s: %s", modes[i].server, modes[i].client,
                          text);
            if (modes[i].said)
                ck_assert_msg(strcmp(text, modes[i].said) == 0, "%s %s: %s", modes[i].server, modes[i].client, text);
            else
                lines_await(&lines, modes[i].why);
        }
        mesh_client_free(client);
        ck_assert_int_eq(mesh_server_close(server, 10 * PAPERS_SECOND), MESH_OK);
        mesh_server_free(server);
    }
}
END_TEST

/* ---- wrong peers ---- */

static const struct {
    const char *what;
    const char *certificate; /* as openssl is told; empty: none */
    const char *logged;
} wrong[] = {
    { "no certificate", "", "was refused: the peer showed no certificate" },
    { "of a stranger", "-cert stranger.pem -key stranger.key",
      "was refused: the peer's certificate comes from no authority that is trusted" },
    { "a wrong id", "-cert thief.pem -key thief.key",
      ", spiffe://shop/thief was refused: the peer is not one of the expected peers" },
    { "a wrong trust domain", "-cert bank.pem -key bank.key", "was refused: the peer's trust domain is not trusted" },
    { "expired", "-cert expired.pem -key expired.key", "was refused: the peer's certificate has expired" },
    { "not yet valid", "-cert early.pem -key early.key", "was refused: the peer's certificate is not valid yet" },
};

/* `openssl s_client` asks once and prints what it is answered, or which alert has come. */
static bool is_served(const char *address, const char *certificate, char *out, size_t room)
{
    (void)papers_run(&papers, out, room,
                     "printf 'GET / HTTP/1.1\\r\\nhost: x\\r\\nconnection: close\\r\\n\\r\\n' | "
                     "timeout 20 openssl s_client -connect %s -quiet %s",
                     address, certificate);
    return strstr(out, "HTTP/1.1 200 OK") != NULL && strstr(out, "1 spiffe://shop/order") != NULL;
}

START_TEST(test_wrong_peers)
{
    static const char *const server_modes[] = { "mutual", "permissive" };
    char settings[300], out[4000];
    int64_t now = (int64_t)time(NULL);
    papers_write(&papers, "stranger", "spiffe://shop/order", &papers.stranger);
    papers_write(&papers, "thief", "spiffe://shop/thief", &papers.authority);
    papers_write(&papers, "bank", "spiffe://bank/order", &papers.authority);
    papers_write_between(&papers, "expired", "spiffe://shop/order", &papers.authority, now - 3000, now - 1000);
    papers_write_between(&papers, "early", "spiffe://shop/order", &papers.authority, now + 1000, now + 3000);
    (void)snprintf(settings, sizeof(settings), "\"tls\": {\"mode\": \"%s\", \"peers\": [\"spiffe://shop/order\"]}",
                   server_modes[_i]);
    mesh_server *server = papers_server(&papers, "payment", settings, "", &options, tell_peer, NULL);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        ck_assert_msg(!is_served(mesh_server_address(server), wrong[i].certificate, out, sizeof(out)), "%s: %s",
                      wrong[i].what, out);
        ck_assert_msg(strstr(out, "alert") != NULL, "%s: %s", wrong[i].what, out); /* it arrives */
        lines_await(&lines, wrong[i].logged);
        ck_assert_msg(is_served(mesh_server_address(server), "-cert order.pem -key order.key", out, sizeof(out)), "%s",
                      out);
        lines_await(&lines, "and is spiffe://shop/order");
    }
    mesh_server_free(server);
}
END_TEST

/* ---- identities ---- */

START_TEST(test_identity_at_open)
{
    static const struct {
        const char *file, *text; /* NULL: of another service */
        const char *said;
    } rows[] = {
        { "payment.pem", "garbage", "payment.pem: " },
        { "payment.key", "garbage", "payment.key: " },
        { "payment.key", NULL, "payment.key: " },
        { "shop.ca", "", "shop.ca: " },
    };
    char path[128], out[4000];
    mesh_error *error = NULL;
    mesh_server *server = NULL;
    if (rows[_i].text != NULL)
        papers_put(&papers, rows[_i].file, rows[_i].text);
    else
        ck_assert_int_eq(papers_run(&papers, out, sizeof(out), "cp order.key payment.key"), 0);
    mesh_config *config = papers_config(
        &papers, "payment", "\"servers\": {\"test\": {\"listen\": \"127.0.0.1:0\", \"tls\": {\"mode\": \"mutual\"}}}");
    ck_assert_int_eq(mesh_server_open(config, "test", &options, tell_peer, NULL, &server, &error), MESH_ECONFIG);
    ck_assert_ptr_null(server);
    ck_assert_msg(strstr(mesh_error_text(error), rows[_i].said) != NULL, "%s", mesh_error_text(error));
    mesh_error_free(error);
    (void)snprintf(path, sizeof(path), "%s/%s", papers.folder, rows[_i].file);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mesh_server_open(config, "test", &options, tell_peer, NULL, &server, &error), MESH_ECONFIG);
    ck_assert_msg(strstr(mesh_error_text(error), rows[_i].said) != NULL, "%s", mesh_error_text(error));
    mesh_error_free(error);
    mesh_config_free(config);
}
END_TEST

struct caller {
    pthread_t thread;
    mesh_client *client;
    atomic_bool *stop;
    long calls;
    mesh_status failed;
    char text[400];
};

static void *call_on(void *argument)
{
    struct caller *caller = argument;
    while (!*caller->stop && caller->failed == MESH_OK) {
        caller->failed = papers_call(caller->client, "POST", "/", caller->text);
        caller->calls++;
    }
    return NULL;
}

/* The fingerprint of the certificate that the server shows, and of the one in the file. */
static bool shows_its_file(const char *address)
{
    char shown[400], there[400];
    (void)papers_run(&papers, shown, sizeof(shown),
                     "timeout 20 openssl s_client -connect %s -cert order.pem -key order.key 2>/dev/null | "
                     "openssl x509 -noout -fingerprint",
                     address);
    ck_assert_int_eq(papers_run(&papers, there, sizeof(there), "openssl x509 -in payment.pem -noout -fingerprint"), 0);
    ck_assert_ptr_nonnull(strstr(there, "ingerprint="));
    return strcmp(shown, there) == 0;
}

START_TEST(test_rotation_under_load)
{
    enum { CALLERS = 4, ROTATIONS = 4 };
    mesh_server *server = open_tls(_i == 0 ? "mutual" : "permissive", tell_peer, NULL);
    mesh_client *client = papers_client(&papers, "order", mesh_server_address(server), MUTUAL);
    atomic_bool stop = false;
    struct caller callers[CALLERS];
    for (int i = 0; i < CALLERS; i++) {
        callers[i] = (struct caller){ .client = client, .stop = &stop };
        ck_assert_int_eq(pthread_create(&callers[i].thread, NULL, call_on, &callers[i]), 0);
    }
    ck_assert(shows_its_file(mesh_server_address(server)));
    for (int i = 0; i < ROTATIONS; i++) {
        papers_write(&papers, "payment", "spiffe://shop/payment", &papers.authority);
        lines_await(&lines, "a new identity is in force");
        ck_assert(shows_its_file(mesh_server_address(server)));
    }
    stop = true;
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(callers[i].thread, NULL);
        ck_assert_msg(callers[i].failed == MESH_OK, "%s after %ld calls: %s", mesh_status_name(callers[i].failed),
                      callers[i].calls, callers[i].text);
        ck_assert_str_eq(callers[i].text, "200 1 spiffe://shop/order");
        ck_assert_int_gt(callers[i].calls, ROTATIONS);
    }
    mesh_client_free(client);
    mesh_server_free(server);
}
END_TEST

struct held {
    sem_t begun, go;
};

static void hold(mesh_exchange *exchange, void *user)
{
    struct held *held = user;
    mesh_reply reply = MESH_REPLY_INIT;
    sem_post(&held->begun);
    await(&held->go);
    (void)mesh_exchange_reply(exchange, &reply);
}

struct asker {
    pthread_t thread;
    mesh_client *client;
    char connection[40];
};

static void *ask_once(void *argument)
{
    struct asker *asker = argument;
    mesh_request request = MESH_REQUEST_INIT;
    mesh_result *result = NULL;
    (void)mesh_call(asker->client, "test", &request, &result);
    const char *value = mesh_result_header_value(result, "connection");
    (void)snprintf(asker->connection, sizeof(asker->connection), "%d %s", (int)mesh_result_status(result),
                   value ? value : "-");
    mesh_result_free(result);
    return NULL;
}

static uint64_t open_connections(mesh_client *client)
{
    mesh_counters counters = MESH_COUNTERS_INIT;
    ck_assert_int_eq(mesh_client_counters(client, "test", NULL, &counters), MESH_OK);
    return counters.connections;
}

/* An exchange that was under way is the last of its connection; a connection that stays idle goes by itself. HTTP/1.1
 * says so with the answer, HTTP/2 beside it. */
START_TEST(test_old_connections_end)
{
    static const char *const tls[] = { MUTUAL ", \"alpn\": [\"http/1.1\"]", MUTUAL ", \"alpn\": [\"h2\"]" };
    static const char *const last[] = { "200 close", "200 -" };
    struct held held;
    sem_init(&held.begun, 0, 0);
    sem_init(&held.go, 0, 0);
    mesh_server *server = open_tls("mutual", hold, &held);
    struct asker busy = { .client = papers_client(&papers, "order", mesh_server_address(server), tls[_i]) };
    struct asker idle = { .client = papers_client(&papers, "order", mesh_server_address(server), tls[_i]) };
    sem_post(&held.go);
    (void)ask_once(&idle);
    await(&held.begun);
    ck_assert_str_eq(idle.connection, "200 -");
    ck_assert_uint_eq(open_connections(idle.client), 1);
    ck_assert_int_eq(pthread_create(&busy.thread, NULL, ask_once, &busy), 0);
    await(&held.begun);
    papers_write(&papers, "payment", "spiffe://shop/payment", &papers.authority);
    lines_await(&lines, "a new identity is in force");
    sem_post(&held.go);
    pthread_join(busy.thread, NULL);
    ck_assert_str_eq(busy.connection, last[_i]);
    while (open_connections(busy.client) > 0)
        sched_yield();
    time_t until = time(NULL) + 4 * PEER_PATIENCE_S; /* before the idle timeout of either side, unless that is cut */
    while (open_connections(idle.client) > 0) {
        ck_assert_msg(time(NULL) < until, "an idle connection of the old identity stays");
        sched_yield();
    }
    sem_post(&held.go);
    (void)ask_once(&busy); /* a new connection is kept */
    ck_assert_str_eq(busy.connection, "200 -");
    mesh_client_free(busy.client);
    mesh_client_free(idle.client);
    mesh_server_free(server);
}
END_TEST

START_TEST(test_bad_files_change_nothing)
{
    char text[400];
    mesh_server *server = open_tls("mutual", tell_peer, NULL);
    mesh_client *client = papers_client(&papers, "order", mesh_server_address(server), MUTUAL);
    ck_assert_int_eq(papers_call(client, "GET", "/", text), MESH_OK);
    papers_put(&papers, "payment.pem", "garbage");
    lines_await(&lines, "payment.pem");
    ck_assert_int_eq(papers_call(client, "GET", "/", text), MESH_OK);
    mesh_client_free(client);
    client = papers_client(&papers, "order", mesh_server_address(server), MUTUAL);
    ck_assert_int_eq(papers_call(client, "GET", "/", text), MESH_OK);
    papers_write(&papers, "payment", "spiffe://shop/payment", &papers.authority);
    lines_await(&lines, "a new identity is in force");
    ck_assert(shows_its_file(mesh_server_address(server)));
    mesh_client_free(client);
    mesh_server_free(server);
}
END_TEST

/* ---- beginnings and ends ---- */

/* What a peer may send before it goes silent or away: nothing, a part of a record, all of one that is nonsense. */
static const struct {
    const char *mode, *bytes;
    size_t size;
} beginnings[] = {
    { "mutual", "", 0 },
    { "mutual", "\x16", 1 },
    { "mutual", "\x16\x03\x01\x02", 4 },
    { "permissive", "\x16", 1 },
    { "permissive", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11 },
};

START_TEST(test_handshake_timeout)
{
    char settings[200];
    (void)snprintf(settings, sizeof(settings), "\"tls\": {\"mode\": \"%s\", \"handshake_timeout\": \"30ms\"}",
                   beginnings[_i].mode);
    mesh_server *server = papers_server(&papers, "payment", settings, "", &options, tell_peer, NULL);
    struct peer peer = peer_connect(mesh_server_address(server));
    ck_assert(peer_send(&peer, beginnings[_i].bytes, beginnings[_i].size));
    ck_assert(peer_at_end(&peer));
    lines_await(&lines, "was refused: the TLS handshake took too long");
    peer_close(&peer);
    mesh_server_free(server);
}
END_TEST

START_TEST(test_peers_that_leave)
{
    mesh_server *server = open_tls(beginnings[_i].mode, tell_peer, NULL);
    for (int round = 0; round < 20; round++) {
        struct peer peer = peer_connect(mesh_server_address(server));
        ck_assert(peer_send(&peer, beginnings[_i].bytes, beginnings[_i].size));
        if (round % 2 == 0)
            peer_reset(&peer);
        else
            peer_close(&peer);
    }
    char text[400];
    mesh_client *client = papers_client(&papers, "order", mesh_server_address(server), MUTUAL);
    ck_assert_int_eq(papers_call(client, "GET", "/", text), MESH_OK);
    mesh_client_free(client);
    mesh_server_free(server);
}
END_TEST

/* What has not been read when the handshake is refused does not become a reset, which could destroy the alert. */
START_TEST(test_refusal_ends_in_order)
{
    char bytes[20000], in[200];
    memset(bytes, 'x', sizeof(bytes));
    memcpy(bytes, "\x16\x03\x01\x00\x10", 5);
    mesh_server *server = open_tls("mutual", tell_peer, NULL);
    struct peer peer = peer_connect(mesh_server_address(server));
    ck_assert(peer_send(&peer, bytes, sizeof(bytes)));
    lines_await(&lines, "was refused: the TLS handshake failed");
    ssize_t got;
    while ((got = recv(peer.fd, in, sizeof(in), 0)) > 0)
        continue;
    ck_assert_msg(got == 0, "not an end, but %s", strerrorname_np(errno));
    peer_close(&peer);
    mesh_server_free(server);
}
END_TEST

/* The server goes while handshakes are at every step. */
START_TEST(test_end_while_shaking)
{
    enum { CALLERS = 4 };
    for (int round = 0; round < 10; round++) {
        mesh_server *server = papers_server(&papers, "payment", "\"workers\": 1, \"tls\": {\"mode\": \"permissive\"}",
                                            handshakes[_i], &options, tell_peer, NULL);
        struct peer peer = peer_connect(mesh_server_address(server));
        ck_assert(peer_send(&peer, "\x16\x03", 2));
        mesh_client *clients[CALLERS];
        mesh_call_id id;
        mesh_request request = MESH_REQUEST_INIT;
        for (int i = 0; i < CALLERS; i++) {
            clients[i] = papers_client(&papers, "order", mesh_server_address(server), MUTUAL);
            ck_assert_int_eq(mesh_call_start(clients[i], "test", &request, NULL, &id), MESH_OK);
        }
        if (round % 2 == 0)
            (void)mesh_server_close(server, 0);
        mesh_server_free(server);
        for (int i = 0; i < CALLERS; i++)
            mesh_client_free(clients[i]);
        peer_close(&peer);
    }
}
END_TEST

START_TEST(test_close_with_idle_connections)
{
    char text[400];
    mesh_server *server = open_tls(_i == 0 ? "mutual" : "permissive", tell_peer, NULL);
    mesh_client *client = papers_client(&papers, "order", mesh_server_address(server), MUTUAL);
    struct peer silent = peer_connect(mesh_server_address(server));
    ck_assert_int_eq(papers_call(client, "GET", "/", text), MESH_OK);
    if (_i == 0)
        peer_close(&silent); /* it would be waited for: hands are being shaken */
    ck_assert_int_eq(mesh_server_close(server, 20 * PAPERS_SECOND), MESH_OK);
    if (_i == 1) {
        ck_assert(peer_at_end(&silent));
        peer_close(&silent);
    }
    mesh_client_free(client);
    mesh_server_free(server);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server: TLS");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    suite_add_tcase(suite, tcase);
    tcase_add_loop_test(tcase, test_modes, 0, 2);
    tcase_add_loop_test(tcase, test_wrong_peers, 0, 2);
    tcase_add_loop_test(tcase, test_identity_at_open, 0, 4);
    tcase_add_loop_test(tcase, test_rotation_under_load, 0, 2);
    tcase_add_loop_test(tcase, test_old_connections_end, 0, 2);
    tcase_add_test(tcase, test_bad_files_change_nothing);
    tcase_add_loop_test(tcase, test_handshake_timeout, 0, sizeof(beginnings) / sizeof(beginnings[0]));
    tcase_add_loop_test(tcase, test_peers_that_leave, 0, sizeof(beginnings) / sizeof(beginnings[0]));
    tcase_add_test(tcase, test_refusal_ends_in_order);
    tcase_add_loop_test(tcase, test_end_while_shaking, 0, 2);
    tcase_add_loop_test(tcase, test_close_with_idle_connections, 0, 2);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
