/* SPDX-License-Identifier: Apache-2.0 */
/* client_http2_tls_test.c - hostile HTTP/2 peers behind TLS, where ALPN has chosen the protocol: row 87 of the fault
 * catalogue, over sockets. */
/* label: threaded */
#include "api/server_papers.h"
#include "base/view.h"
#include "fault/hostile.h"
#include "support/certificates.h"

#include <check.h>
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct papers papers;
static struct issued leaf;
static struct tls_identity *identity;
static struct tls_spec *spec;
static _Atomic int talked;    /* answers with something behind */
static _Atomic int spoken[2]; /* connections that ALPN chose HTTP/1.1 for; HTTP/2 */

static ssize_t read_below(void *user, void *bytes, size_t size)
{
    ssize_t got = recv(((struct hostile_connection *)user)->fd, bytes, size, 0);
    return got < 0 ? -errno : got;
}

static ssize_t write_below(void *user, const void *bytes, size_t size)
{
    ssize_t put = send(((struct hostile_connection *)user)->fd, bytes, size, MSG_NOSIGNAL);
    return put < 0 ? -errno : put;
}

static bool say(struct tls_connection *tls, const char *bytes, size_t size)
{
    struct iovec vector = { (void *)(uintptr_t)bytes, size };
    return mesh__tls_write(tls, &vector, 1) == (ssize_t)size;
}

/* Reads until `end` has come; false when the client has closed. */
static bool await(struct tls_connection *tls, struct hostile_connection *connection, const char *end, size_t size)
{
    connection->size = 0;
    while (memmem(connection->in, connection->size, end, size) == NULL) {
        ssize_t got = mesh__tls_read(tls, connection->in + connection->size, sizeof(connection->in) - connection->size);
        if (got <= 0)
            return false;
        connection->size += (size_t)got;
    }
    return true;
}

/* HTTP/2: answers requests one after the other, and speaks behind each answer while nobody listens. */
static void talk(struct tls_connection *tls, struct hostile_connection *connection)
{
    static const char settings[] = "\0\0\0\4\0\0\0\0\0";
    static const char ping[] = "\0\0\x08\6\0\0\0\0\0"
                               "12345678";
    bool open = say(tls, settings, sizeof(settings) - 1);
    for (char id = 1; open; id = (char)(id + 2)) {
        const char request[] = { 1, 5, 0, 0, 0, id }, answer[] = { 0, 0, 1, 1, 5, 0, 0, 0, id, '\x88' };
        open = await(tls, connection, request, sizeof(request)) && say(tls, answer, sizeof(answer)) &&
               say(tls, id % 4 == 1 ? ping : settings, id % 4 == 1 ? sizeof(ping) - 1 : sizeof(settings) - 1);
        atomic_fetch_add(&talked, 1);
    }
}

/* HTTP/2: the first stream ends, or all do, with HTTP_1_1_REQUIRED. HTTP/1.1: 200. */
static void serve(struct tls_connection *tls, struct hostile_connection *connection)
{
    static const char reset[] = "\0\0\0\4\0\0\0\0\0\0\0\4\3\0\0\0\0\1\0\0\0\x0d";
    static const char goaway[] = "\0\0\0\4\0\0\0\0\0\0\0\x08\7\0\0\0\0\0\0\0\0\0\0\0\0\x0d";
    bool http2 = strcmp(mesh__tls_report(tls)->alpn, "h2") == 0, all = connection->user == &papers;
    if (connection->user == &talked) {
        talk(tls, connection);
        return;
    }
    atomic_fetch_add(&spoken[http2], 1);
    if (http2) {
        /* The head of the request, which is whole: type, flags and stream of its frame. */
        if (await(tls, connection, "\1\5\0\0\0\1", 6) &&
            say(tls, all ? goaway : reset, all ? sizeof(goaway) - 1 : sizeof(reset) - 1))
            while (mesh__tls_read(tls, connection->in, sizeof(connection->in)) > 0)
                ;
        return;
    }
    while (await(tls, connection, "\r\n\r\n", 4) && say(tls, HOSTILE_OK, strlen(HOSTILE_OK)))
        ;
}

static void script(struct hostile_connection *connection)
{
    static const struct tls_io io = { read_below, write_below };
    struct tls_bench *bench = mesh__tls_bench_new(&mesh__mem_system);
    struct tls_connection *tls = mesh__tls_accept(bench, spec);
    mesh__tls_set_io(tls, &io, connection);
    enum tls_want want;
    do
        want = mesh__tls_handshake(tls, certificates_now() * PAPERS_SECOND);
    while (want == TLS_WANTS_READ || want == TLS_WANTS_WRITE);
    if (want == TLS_DONE)
        serve(tls, connection);
    mesh__tls_close(tls);
    mesh__tls_bench_free(bench);
}

static void setup(void)
{
    static const char *const alpn[] = { "h2", "http/1.1" };
    struct tls_settings settings = { .with_certificate = true, .alpn = alpn, .alpn_count = 2, .resume = true };
    papers_make(&papers);
    papers_write(&papers, "order", "spiffe://shop/order", &papers.authority);
    certificates_svid(&papers.authority, "payment", &leaf);
    identity = certificates_identity(&leaf, papers.authority.certificate);
    spec = certificates_spec(identity, TLS_SERVER, &settings);
    atomic_store(&spoken[0], 0);
    atomic_store(&spoken[1], 0);
}

static void teardown(void)
{
    mesh__tls_spec_unref(spec);
    mesh__tls_identity_unref(identity);
    issued_free(&leaf);
    papers_remove(&papers);
}

static mesh_client *open_client(const struct hostile *peer)
{
    char rest[400];
    mesh_client *client;
    mesh_error *error;
    mesh_options options = MESH_OPTIONS_INIT;
    options.shards = 1;
    (void)snprintf(rest, sizeof(rest),
                   "\"services\":{\"s\":{\"endpoints\":[\"%s\"],\"timeout\":\"20s\",\"connect_timeout\":\"20s\","
                   "\"retry\":{\"attempts\":1},\"tls\":{\"mode\":\"mutual\",\"peers\":[\"spiffe://shop/payment\"]}}}",
                   hostile_address(peer));
    mesh_config *config = papers_config(&papers, "order", rest);
    ck_assert_msg(mesh_client_open(config, &options, &client, &error) == MESH_OK, "%s", mesh_error_text(error));
    mesh_config_free(config);
    return client;
}

START_TEST(row_87_http1_required_over_tls)
{
    struct hostile *peer = hostile_start(script, _i == 0 ? NULL : &papers);
    mesh_client *client = open_client(peer);
    mesh_result *result = fault_call(client, "POST");
    mesh_attempt first = MESH_ATTEMPT_INIT, last = fault_last(result);
    ck_assert_msg(mesh_result_attempt_count(result) == 2, "%s", mesh_result_message(result));
    ck_assert_int_eq(mesh_result_attempt(result, 0, &first), MESH_OK);
    ck_assert_int_eq(first.http_version, 20);
    ck_assert_int_eq(first.retry, MESH_RETRY_UNSENT);
    ck_assert_str_eq(first.alpn, "h2");
    ck_assert_int_eq(last.http_version, 11);
    ck_assert_str_eq(last.alpn, "http/1.1");
    fault_expect(result, MESH_OK, 200, 2, NULL);
    for (int i = 0; i < 20; i++) {
        result = fault_call(client, "POST");
        ck_assert_int_eq(fault_last(result).http_version, 11);
        fault_expect(result, MESH_OK, 200, 1, NULL);
    }
    mesh_counters counters = fault_counters(client);
    ck_assert_uint_eq(counters.connects, 2);
    ck_assert_uint_eq(counters.shuts, 0);
    mesh_client_free(client);
    hostile_stop(peer);
    ck_assert_int_eq(atomic_load(&spoken[1]), 1);
    ck_assert_int_eq(atomic_load(&spoken[0]), 1);
}
END_TEST

/* What an idle connection has to read is read before its next use, to the last byte. */
START_TEST(an_idle_connection_has_something_to_say)
{
    struct hostile *peer = hostile_start(script, &talked);
    mesh_client *client = open_client(peer);
    atomic_store(&talked, 0);
    for (int i = 0; i < 60; i++) {
        fault_expect(fault_call(client, "POST"), MESH_OK, 200, 1, NULL);
        while (atomic_load(&talked) == i)
            sched_yield();
    }
    ck_assert_uint_eq(fault_counters(client).connects, 1);
    mesh_client_free(client);
    hostile_stop(peer);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client: hostile HTTP/2 peers, TLS");
    TCase *tcase = tcase_create("tls");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, row_87_http1_required_over_tls, 0, 2);
    tcase_add_test(tcase, an_idle_connection_has_something_to_say);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
