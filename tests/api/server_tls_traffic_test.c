/* SPDX-License-Identifier: Apache-2.0 */
/* server_tls_traffic_test.c - what travels over a server's TLS in both protocols, and memory that runs out. */
/* label: threaded */
#include "api/server_scarce.h"
#include "api/server_tls_scene.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const by_protocol[] = { MUTUAL ", \"alpn\": [\"http/1.1\"]", MUTUAL ", \"alpn\": [\"h2\"]" };
static const char *const handshakes[] = { ", \"tls\": {\"handshake_threads\": 0}",
                                          ", \"tls\": {\"handshake_threads\": 2}" };

/* ---- what travels over it ---- */

static void echo(mesh_exchange *exchange, void *user)
{
    (void)user;
    mesh_reply reply = MESH_REPLY_INIT;
    reply.body = mesh_exchange_body(exchange);
    reply.body_size = mesh_exchange_body_size(exchange);
    (void)mesh_exchange_reply(exchange, &reply);
}

/* All requests come in one record, so that only the first makes the socket readable. */
START_TEST(test_requests_in_one_record)
{
    enum { REQUESTS = 30 };
    char out[20000];
    mesh_server *server = open_tls("mutual", echo, NULL);
    (void)papers_run(&papers, out, sizeof(out),
                     "(for i in $(seq 10 %d); do printf 'POST / HTTP/1.1\\r\\nhost: x\\r\\ncontent-length: "
                     "3\\r\\n\\r\\n<%%s' $i; done; printf 'GET / HTTP/1.1\\r\\nhost: x\\r\\nconnection: "
                     "close\\r\\n\\r\\n') > requests; timeout 20 openssl s_client -connect %s -quiet -ign_eof "
                     "-cert order.pem -key order.key 2>/dev/null < requests",
                     10 + REQUESTS - 1, mesh_server_address(server));
    const char *at = out;
    for (int i = 10; i < 10 + REQUESTS; i++) {
        char body[8];
        (void)snprintf(body, sizeof(body), "<%d", i);
        at = strstr(at, body);
        ck_assert_msg(at != NULL, "no %s in: %s", body, out);
    }
    ck_assert_ptr_nonnull(strstr(at, "connection: close"));
    mesh_server_free(server);
}
END_TEST

START_TEST(test_large_bodies)
{
    enum { SIZE = 3 << 20 };
    mesh_server *server = open_tls("mutual", echo, NULL);
    mesh_client *client = papers_client(&papers, "order", mesh_server_address(server), by_protocol[_i % 2]);
    char *body = malloc(SIZE);
    ck_assert_ptr_nonnull(body);
    for (int i = 0; i < SIZE; i++)
        body[i] = (char)(i * 7 + i / 1000);
    for (int round = 0; round < 3; round++) {
        mesh_request request = MESH_REQUEST_INIT;
        mesh_result *result = NULL;
        request.method = "POST";
        request.body = body;
        request.body_size = SIZE;
        ck_assert_msg(mesh_call(client, "test", &request, &result) == MESH_OK, "%s", mesh_result_message(result));
        ck_assert_uint_eq(mesh_result_body_size(result), SIZE);
        ck_assert_int_eq(memcmp(mesh_result_body(result), body, SIZE), 0);
        mesh_result_free(result);
    }
    free(body);
    mesh_client_free(client);
    mesh_server_free(server);
}
END_TEST

/* An exchange knows its peer longer than the server lives. */
static void keep(mesh_exchange *exchange, void *user)
{
    mesh_exchange **kept = user;
    *kept = exchange;
    lines_log(0, "kept", &lines);
}

START_TEST(test_peer_outlives_all)
{
    mesh_exchange *kept = NULL;
    mesh_server *server = open_tls("mutual", keep, &kept);
    mesh_client *client = papers_client(&papers, "order", mesh_server_address(server), by_protocol[_i % 2]);
    mesh_call_id id;
    mesh_request request = MESH_REQUEST_INIT;
    ck_assert_int_eq(mesh_call_start(client, "test", &request, NULL, &id), MESH_OK);
    lines_await(&lines, "kept");
    mesh_server_free(server);
    mesh_client_free(client);
    ck_assert_str_eq(mesh_exchange_peer_id(kept), "spiffe://shop/order");
    ck_assert_int_eq(mesh_exchange_is_secure(kept), 1);
    ck_assert_int_eq(strncmp(mesh_exchange_peer_address(kept), "127.0.0.1:", 10), 0);
    mesh_reply reply = MESH_REPLY_INIT;
    ck_assert_int_eq(mesh_exchange_reply(kept, &reply), MESH_ECLOSED);
}
END_TEST

/* ---- memory ---- */

START_TEST(test_memory_runs_out_while_opening)
{
    struct scarce scarce;
    mesh_server *server = NULL;
    mesh_status status = MESH_NO_MEMORY;
    long left = 0;
    scarce_init(&scarce);
    options.allocator = &scarce.allocator;
    mesh_config *config = papers_config(
        &papers, "payment", "\"servers\": {\"test\": {\"listen\": \"127.0.0.1:0\", \"tls\": {\"mode\": \"mutual\"}}}");
    for (; status != MESH_OK && left < 5000; left++) {
        scarce.left = left;
        status = mesh_server_open(config, "test", &options, tell_peer, NULL, &server, NULL);
        ck_assert_msg(status == MESH_OK || status == MESH_NO_MEMORY, "%ld: %s", left, mesh_status_name(status));
        if (status != MESH_OK)
            ck_assert_msg(scarce.live == 0, "%ld blocks are lost after %ld", (long)scarce.live, left);
    }
    ck_assert_int_eq(status, MESH_OK);
    ck_assert_int_gt(left, 20);
    scarce.left = -1;
    mesh_server_free(server);
    mesh_config_free(config);
    ck_assert_int_eq(scarce.live, 0);
}
END_TEST

/* Whatever is missing for a connection, nobody gets through unproved, and the next connection is as good as ever. */
START_TEST(test_memory_runs_out_while_shaking)
{
    struct scarce scarce;
    char text[400];
    mesh_status status = MESH_NO_MEMORY;
    long left = 0;
    scarce_init(&scarce);
    options.allocator = &scarce.allocator;
    options.on_log = NULL;
    mesh_server *server = papers_server(&papers, "payment", "\"tls\": {\"mode\": \"mutual\"}", handshakes[_i / 2],
                                        &options, tell_peer, NULL);
    for (; status != MESH_OK && left < 300; left++) {
        mesh_client *client = papers_client(&papers, "order", mesh_server_address(server), by_protocol[_i % 2]);
        scarce.left = left;
        status = papers_call(client, "GET", "/", text);
        scarce.left = -1;
        ck_assert(status != MESH_OK || strcmp(text, "200 1 spiffe://shop/order") == 0 || strncmp(text, "503", 3) == 0);
        if (status == MESH_OK && text[0] == '5')
            status = MESH_NO_MEMORY;
        mesh_client_free(client);
    }
    ck_assert_int_eq(status, MESH_OK);
    ck_assert_int_gt(left, 5);
    mesh_client *client = papers_client(&papers, "order", mesh_server_address(server), by_protocol[_i % 2]);
    ck_assert_int_eq(papers_call(client, "GET", "/", text), MESH_OK);
    mesh_client_free(client);
    mesh_server_free(server);
    ck_assert_int_eq(scarce.live, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server: what TLS carries");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    suite_add_tcase(suite, tcase);
    tcase_add_test(tcase, test_requests_in_one_record);
    tcase_add_loop_test(tcase, test_large_bodies, 0, 2);
    tcase_add_loop_test(tcase, test_peer_outlives_all, 0, 2);
    tcase_add_test(tcase, test_memory_runs_out_while_opening);
    tcase_add_loop_test(tcase, test_memory_runs_out_while_shaking, 0, 4);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
