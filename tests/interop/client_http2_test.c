/* SPDX-License-Identifier: Apache-2.0 */
/* client_http2_test.c - the client over HTTP/2 against servers that others wrote: nghttpd, nginx and haproxy, in plain
 * text and over TLS, as `protocol` and ALPN say. */
/* label: threaded */
/* long */
#include "interop/peers.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HTTP2 ", \"protocol\": \"http2\""
#define HTTP1 ", \"protocol\": \"http1\""

static struct papers papers;
static struct peer_server server, behind;

static void setup(void)
{
    peers_make(&papers);
}

static void teardown(void)
{
    peers_kill(&server);
    peers_kill(&behind);
    papers_remove(&papers);
}

static atomic_ullong allocations;

static void *take(size_t bytes, void *user)
{
    (void)user;
    atomic_fetch_add(&allocations, 1);
    return malloc(bytes);
}

static void *resize(void *block, size_t old_bytes, size_t bytes, void *user)
{
    (void)old_bytes;
    (void)user;
    atomic_fetch_add(&allocations, 1);
    return realloc(block, bytes);
}

static void give(void *block, void *user)
{
    (void)user;
    free(block);
}

/* A client whose allocations are counted. */
static mesh_client *open_client(const char *members)
{
    static mesh_allocator allocator = { sizeof(allocator), 0, take, resize, give, NULL };
    return peers_client(&papers, &server, 1, &allocator, members);
}

enum kind { NGHTTPD, NGHTTPD_TLS, NGINX_PLAIN, NGINX_TLS, NGINX_H2C, NGINX_H2, HAPROXY_PLAIN, HAPROXY_H2C, HAPROXY_H2 };

static void start_server(enum kind kind)
{
    static const char *const listens[] = {
        [NGINX_PLAIN] = "",
        [NGINX_TLS] = "ssl",
        [NGINX_H2C] = "http2; keepalive_requests 100",
        [NGINX_H2] = "ssl http2",
        [HAPROXY_PLAIN] = "",
        [HAPROXY_H2C] = "proto h2",
        [HAPROXY_H2] = "ssl crt both.pem alpn h2,http/1.1 ca-file shop.ca verify required",
    };
    if (kind == NGHTTPD || kind == NGHTTPD_TLS) {
        peers_nghttpd(&server, &papers, kind == NGHTTPD_TLS);
    } else if (kind < HAPROXY_PLAIN) {
        peers_nginx(&server, &papers, listens[kind]);
    } else {
        peers_nghttpd(&behind, &papers, false);
        peers_haproxy(&server, &papers, listens[kind], &behind);
    }
}

static const struct {
    enum kind kind;
    const char *members;
    int32_t version;
} works[] = {
    { NGHTTPD, HTTP2, 20 },        { NGHTTPD_TLS, PEER_MUTUAL, 20 },    { NGHTTPD_TLS, HTTP2 PEER_MUTUAL, 20 },
    { NGINX_PLAIN, "", 11 },       { NGINX_TLS, PEER_MUTUAL, 11 },      { NGINX_H2C, HTTP2, 20 },
    { NGINX_H2, PEER_MUTUAL, 20 }, { NGINX_H2, HTTP1 PEER_MUTUAL, 11 }, { HAPROXY_PLAIN, "", 11 },
    { HAPROXY_H2C, HTTP2, 20 },    { HAPROXY_H2, PEER_MUTUAL, 20 },     { HAPROXY_H2, HTTP1 PEER_MUTUAL, 11 },
};

START_TEST(calls_as_the_protocol_says)
{
    start_server(works[_i].kind);
    mesh_client *client = open_client(works[_i].members);
    mesh_request request = peers_request("GET", "/small");
    ck_assert_uint_eq(peers_call(client, &request, works[_i].version), strlen(PEER_SMALL));
    request = peers_request("GET", "/large");
    ck_assert_uint_eq(peers_call(client, &request, works[_i].version), PEER_LARGE);
    peers_many(client, "/small", 50, 1000);
    peers_many(client, "/large", 10, 20);
    mesh_counters counters = peers_counters(client);
    ck_assert_uint_eq(counters.attempt_failures, counters.retries);
    if (works[_i].kind == NGHTTPD || works[_i].kind == NGHTTPD_TLS)
        ck_assert_uint_eq(counters.connects, 1);
    mesh_client_free(client);
}
END_TEST

static const struct {
    enum kind kind;
    const char *members;
    mesh_status status;
} refuses[] = {
    { NGINX_PLAIN, HTTP2, MESH_PROTOCOL },
    { NGINX_TLS, HTTP2 PEER_MUTUAL, MESH_TLS_REFUSED_BY_PEER },
    { NGHTTPD, "", MESH_PROTOCOL },
};

START_TEST(a_peer_that_speaks_something_else)
{
    start_server(refuses[_i].kind);
    mesh_client *client = open_client(refuses[_i].members);
    mesh_request request = peers_request("GET", "/small");
    mesh_result *result;
    mesh_status status = mesh_call(client, "s", &request, &result);
    /* Over TLS it says no_application_protocol, or, as older ones, goes on without a choice. */
    bool silent = refuses[_i].kind == NGINX_TLS && status == MESH_PROTOCOL;
    ck_assert_msg(status == refuses[_i].status || silent, "%s: %s", mesh_status_name(status),
                  mesh_result_message(result));
    mesh_result_free(result);
    mesh_client_free(client);
}
END_TEST

/* nghttpd takes 100 streams a connection: what is beyond gets a second one. */
START_TEST(more_calls_than_streams)
{
    start_server(NGHTTPD);
    mesh_client *client = open_client(HTTP2);
    peers_many(client, "/small", 90, 2000);
    ck_assert_uint_eq(peers_counters(client).connects, 1);
    peers_many(client, "/small", 190, 4000);
    ck_assert_uint_eq(peers_counters(client).connects, 2);
    ck_assert_uint_eq(peers_counters(client).attempt_failures, 0);
    mesh_client_free(client);
}
END_TEST

/* But for what the peer has kept: each second brings another "date", of which the header table keeps the latest, two
 * blocks each, until its 4 KiB are full. */
START_TEST(steady_calls_take_no_memory)
{
    start_server(_i == 1 ? NGHTTPD_TLS : NGHTTPD);
    mesh_client *client = open_client(_i == 1 ? PEER_MUTUAL : HTTP2);
    peers_many(client, "/small", 80, 4000); /* more at once than later, so that no peak is a new one */
    unsigned long long before = atomic_load(&allocations);
    ck_assert_uint_gt(before, 0);
    time_t began = time(NULL);
    peers_many(client, "/small", 20, 2000);
    unsigned long long dates = (unsigned long long)(time(NULL) - began) + 1;
    ck_assert_uint_le(atomic_load(&allocations) - before, 2 * dates);
    mesh_client_free(client);
}
END_TEST

static void *caller(void *user)
{
    mesh_request request = peers_request("GET", "/small");
    for (int i = 0; i < 200; i++)
        ck_assert_uint_eq(peers_call(user, &request, 20), strlen(PEER_SMALL));
    return NULL;
}

START_TEST(threads_share_a_connection)
{
    pthread_t threads[8];
    start_server(NGHTTPD);
    mesh_client *client = open_client(HTTP2);
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, caller, client), 0);
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    mesh_counters counters = peers_counters(client);
    ck_assert_uint_eq(counters.responses, 1600);
    ck_assert_uint_eq(counters.connects, 1);
    mesh_client_free(client);
}
END_TEST

/* nginx goes away from a connection after 100 requests, with a GOAWAY: no call is lost by it, none repeated in vain. */
START_TEST(connections_that_end_in_order)
{
    start_server(NGINX_H2C);
    mesh_client *client = open_client(HTTP2);
    peers_many(client, "/small", 20, 3000);
    mesh_counters counters = peers_counters(client);
    ck_assert_uint_eq(counters.responses, 3000);
    ck_assert_uint_ge(counters.connects, 20);
    ck_assert_uint_eq(counters.shuts, 0);
    mesh_client_free(client);
}
END_TEST

/* What is cancelled, or has no time left, ends its stream only. */
START_TEST(deadlines_and_cancelled_calls)
{
    start_server(NGHTTPD);
    mesh_client *client = open_client(HTTP2);
    mesh_request request = peers_request("GET", "/large"), small = peers_request("GET", "/small");
    ck_assert_uint_gt(peers_call(client, &small, 20), 0);
    for (int i = 0; i < 20; i++) {
        mesh_call_id id;
        mesh_completion completion = { .size = sizeof(completion) };
        uint32_t count;
        ck_assert_int_eq(mesh_call_start(client, "s", &request, NULL, &id), MESH_OK);
        ck_assert_int_eq(mesh_cancel(client, id), MESH_OK);
        ck_assert_int_eq(mesh_client_next(client, &completion, 1, PAPERS_SECOND * 20, &count), MESH_OK);
        ck_assert_int_eq(completion.status, MESH_CANCELLED);
        mesh_result_free(completion.result);
        request.timeout_ns = 1000;
        mesh_result *result;
        ck_assert_int_eq(mesh_call(client, "s", &request, &result), MESH_DEADLINE);
        mesh_result_free(result);
        request.timeout_ns = 0;
        ck_assert_uint_gt(peers_call(client, &small, 20), 0);
    }
    ck_assert_uint_eq(peers_counters(client).connects, 1);
    mesh_client_free(client);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client, HTTP/2");
    TCase *tcase = tcase_create("http2");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, calls_as_the_protocol_says, 0, sizeof(works) / sizeof(works[0]));
    tcase_add_loop_test(tcase, a_peer_that_speaks_something_else, 0, sizeof(refuses) / sizeof(refuses[0]));
    tcase_add_test(tcase, more_calls_than_streams);
    tcase_add_loop_test(tcase, steady_calls_take_no_memory, 0, 2);
    tcase_add_test(tcase, threads_share_a_connection);
    tcase_add_test(tcase, connections_that_end_in_order);
    tcase_add_test(tcase, deadlines_and_cancelled_calls);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
