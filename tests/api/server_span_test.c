/* SPDX-License-Identifier: Apache-2.0 */
/* server_span_test.c - what a server tells of its exchanges, and what an exchange hands on: trace and deadline. */
/* label: threaded */
#include "api/server_peer.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GET(path) "GET " path " HTTP/1.1\r\nhost: x\r\n\r\n"
#define TRACE_ID "0af7651916cd43dd8448eb211c80319c"

static const char *const by_workers[] = { "{\"workers\": 0}", "{\"workers\": 4}" };

/* The status is what the path says: "/404". */
static void handle(mesh_exchange *exchange, void *user)
{
    (void)user;
    mesh_reply reply = MESH_REPLY_INIT;
    reply.status = atoi(mesh_exchange_path(exchange) + 1);
    (void)mesh_exchange_reply(exchange, &reply);
}

struct spans {
    sem_t came;
    mesh_span last;
    char service[64], endpoint[64], method[16], path[96];
};

static void on_span(const mesh_span *span, void *user)
{
    struct spans *spans = user;
    spans->last = *span;
    (void)snprintf(spans->service, sizeof(spans->service), "%s", span->service);
    (void)snprintf(spans->endpoint, sizeof(spans->endpoint), "%s", span->endpoint);
    (void)snprintf(spans->method, sizeof(spans->method), "%s", span->method);
    (void)snprintf(spans->path, sizeof(spans->path), "%s", span->path);
    sem_post(&spans->came);
}

static void hex(const uint8_t *bytes, size_t size, char *out)
{
    for (size_t i = 0; i < size; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

START_TEST(test_spans)
{
    struct spans spans = { .service = "" };
    sem_init(&spans.came, 0, 0);
    mesh_options options = MESH_OPTIONS_INIT;
    options.on_span = on_span;
    options.user = &spans;
    mesh_server *server = open_server(by_workers[_i], &options, handle, NULL);
    struct peer peer = peer_connect(mesh_server_address(server));
    static const uint8_t none[8];
    char text[33];
    ck_assert_int_eq(peer_ask(&peer,
                              "GET /404?secret=1 HTTP/1.1\r\nhost: x\r\ntraceparent: 00-" TRACE_ID
                              "-b7ad6b7169203331-00\r\n\r\n",
                              NULL, 0),
                     404);
    await(&spans.came);
    ck_assert_int_eq(spans.last.kind, MESH_SPAN_SERVER);
    hex(spans.last.trace_id, 16, text);
    ck_assert_str_eq(text, TRACE_ID);
    hex(spans.last.parent_id, 8, text);
    ck_assert_str_eq(text, "b7ad6b7169203331");
    hex(spans.last.span_id, 8, text);
    ck_assert_str_ne(text, "b7ad6b7169203331");
    ck_assert_int_eq(spans.last.sampled, 0);
    ck_assert_int_eq(spans.last.status, MESH_OK);
    ck_assert_int_eq(spans.last.http_status, 404);
    ck_assert_int_eq(spans.last.grpc_status, -1);
    ck_assert(spans.last.duration_ns >= 0 && spans.last.start_unix_ns > 0);
    ck_assert_str_eq(spans.service, "test");
    ck_assert_str_eq(spans.endpoint, mesh_server_address(server));
    ck_assert_str_eq(spans.method, "GET");
    ck_assert_str_eq(spans.path, "/404");

    ck_assert_int_eq(peer_ask(&peer, GET("/200"), NULL, 0), 200); /* no trace: a root */
    await(&spans.came);
    ck_assert_mem_eq(spans.last.parent_id, none, 8);
    ck_assert_mem_ne(spans.last.span_id, none, 8);
    ck_assert_int_eq(spans.last.sampled, 1);

    ck_assert_int_eq(peer_ask(&peer, "GET /200 HTTP/1.1\r\nhost: x\r\ngrpc-timeout: 0n\r\n\r\n", NULL, 0), 504);
    await(&spans.came);
    ck_assert_int_eq(spans.last.status, MESH_DEADLINE);
    ck_assert_int_eq(spans.last.http_status, 504);
    peer_close(&peer);
    mesh_server_free(server);
}
END_TEST

static void look_at_inbound(mesh_exchange *exchange, void *user)
{
    (void)user;
    const mesh_inbound *inbound = mesh_exchange_inbound(exchange);
    int64_t left = mesh_inbound_remaining_ns(inbound);
    mesh_inbound_free((mesh_inbound *)(uintptr_t)inbound); /* legal, and without effect */
    char text[32];
    int size = snprintf(text, sizeof(text), "%d", left > 3000000000000 && left <= 3600000000000 ? 1 : (int)left);
    mesh_reply reply = MESH_REPLY_INIT;
    reply.body = text;
    reply.body_size = (size_t)size;
    (void)mesh_exchange_reply(exchange, &reply);
}

START_TEST(test_inbound)
{
    mesh_server *server = open_server(by_workers[_i], NULL, look_at_inbound, NULL);
    struct peer peer = peer_connect(mesh_server_address(server));
    char body[32];
    ck_assert_int_eq(peer_ask(&peer, GET("/200"), body, sizeof(body)), 200);
    ck_assert_str_eq(body, "-1");
    ck_assert_int_eq(peer_ask(&peer,
                              "GET /200 HTTP/1.1\r\nhost: x\r\nx-envoy-expected-rq-timeout-ms: 3600000\r\n"
                              "baggage: a=b\r\ntracestate: a=b\r\n\r\n",
                              body, sizeof(body)),
                     200);
    ck_assert_str_eq(body, "1");
    peer_close(&peer);
    mesh_server_free(server);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server: spans");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    tcase_add_loop_test(tcase, test_spans, 0, 2);
    tcase_add_loop_test(tcase, test_inbound, 0, 2);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
