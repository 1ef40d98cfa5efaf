/* SPDX-License-Identifier: Apache-2.0 */
/* exchange_test.c - an exchange keeps copies that end with a NUL, its reference of the server, and one span. */
#include "server/reply.h"

#include "net/world.h"

#include <check.h>
#include <stdlib.h>

struct heard {
    int count;
    size_t method, path;
    int32_t status, http_status;
    int64_t duration;
};

static void on_span(const mesh_span *span, void *user)
{
    struct heard *heard = user;
    heard->count++;
    heard->method = strlen(span->method);
    heard->path = strlen(span->path);
    heard->status = span->status;
    heard->http_status = span->http_status;
    heard->duration = span->duration_ns;
}

static int64_t now = 1000;

static int64_t fixed_now(const struct world *world)
{
    (void)world;
    return now;
}

static int64_t fixed_unix(const struct world *world)
{
    (void)world;
    return 784111777 * (int64_t)1000000000; /* Sun, 06 Nov 1994 08:49:37 GMT */
}

static const struct world fixed_world = { .now = fixed_now, .unix_now = fixed_unix };

/* Only what an exchange looks at. */
static mesh_server *new_server(struct heard *heard)
{
    static const struct server_config settings = { .name = "test", .max_body = 100 };
    mesh_server *server = calloc(1, sizeof(*server));
    mesh_options options = MESH_OPTIONS_INIT;
    options.on_span = heard ? on_span : NULL;
    options.user = heard;
    ck_assert_ptr_nonnull(server);
    mesh__refs_init(&server->refs);
    server->mem = mesh__mem_system;
    server->settings = &settings;
    server->own.loop.world = &fixed_world;
    server->own.loop.now = 1000;
    server->outbox = mesh__outbox_new(&server->mem, &options, NULL, NULL);
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->changed, NULL);
    mesh__rng_init(&server->own.rng, 1);
    return server;
}

static void free_server(mesh_server *server)
{
    mesh__outbox_free(server->outbox);
    ck_assert_uint_eq(server->refs.count, 1); /* each exchange has given up its own */
    mesh__server_unref(server);
}

static mesh_exchange *receive_from(mesh_server *server, bool secure, const char *method, const char *path,
                                   bool keep_alive)
{
    char name[] = "Host", value[] = "shop";
    const mesh_header headers[] = { { name, 4, value, 4 }, { "x-a", 3, "one", 3 }, { "X-A", 3, "two", 3 } };
    struct http1_head head = { .method = mesh__view_of(method),
                               .path = mesh__view_of(path),
                               .authority = mesh__view(value, 4),
                               .minor = 1,
                               .headers = headers,
                               .header_count = 3,
                               .keep_alive = keep_alive };
    struct peer *peer = mesh__peer_new(&server->mem, "127.0.0.1:1", secure, 0, secure ? "spiffe://shop/order" : "");
    ck_assert_ptr_nonnull(peer);
    mesh_exchange *exchange = mesh__exchange_new(server, NULL, NULL, peer, &head);
    ck_assert_ptr_nonnull(exchange);
    mesh__peer_unref(&server->mem, peer); /* it has a reference of its own */
    memset(name, '#', sizeof(name));      /* it has copies */
    memset(value, '#', sizeof(value));
    return exchange;
}

static mesh_exchange *receive(mesh_server *server, const char *method, const char *path, bool keep_alive)
{
    return receive_from(server, false, method, path, keep_alive);
}

START_TEST(test_peer)
{
    mesh_server *server = new_server(NULL);
    mesh_exchange *exchange = receive_from(server, _i, "GET", "/", true);
    ck_assert_str_eq(mesh_exchange_peer_id(exchange), _i ? "spiffe://shop/order" : "");
    ck_assert_str_eq(mesh_exchange_peer_address(exchange), "127.0.0.1:1");
    ck_assert_int_eq(mesh_exchange_is_secure(exchange), _i);
    ck_assert(!mesh__exchange_is_outdated(exchange));
    server->epoch = 1; /* another identity: a connection that was met with none is not concerned */
    ck_assert_int_eq(mesh__exchange_is_outdated(exchange), _i);
    mesh__reply_own(exchange, 200, MESH_OK, "");
    ck_assert_int_eq(strstr(mesh__buf_text(&exchange->reply), "connection: close\r\n") != NULL, _i);
    mesh__exchange_unref(exchange);
    free_server(server);
}
END_TEST

START_TEST(test_copies)
{
    mesh_server *server = new_server(NULL);
    mesh_exchange *exchange = receive(server, "GET", "/a?b", true);
    ck_assert_uint_eq(server->refs.count, 2);
    ck_assert_str_eq(mesh_exchange_method(exchange), "GET");
    ck_assert_str_eq(mesh_exchange_path(exchange), "/a?b");
    ck_assert_str_eq(mesh_exchange_authority(exchange), "shop");
    ck_assert_uint_eq(mesh_exchange_header_count(exchange), 3);
    ck_assert_str_eq(mesh_exchange_header_value(exchange, "hOST"), "shop");
    ck_assert_str_eq(mesh_exchange_header_value(exchange, "x-a"), "one"); /* the first */
    ck_assert_ptr_null(mesh_exchange_header_value(exchange, "x"));
    ck_assert_ptr_null(mesh_exchange_header_value(exchange, NULL));
    ck_assert_uint_eq(mesh_exchange_body_size(exchange), 0);
    ck_assert_ptr_nonnull(mesh_exchange_body(exchange));
    ck_assert(!exchange->close);
    ck_assert(!exchange->inbound.has_trace); /* nobody listens: nothing is made up */
    mesh__exchange_unref(exchange);
    free_server(server);
}
END_TEST

/* Pieces of a cookie are one field again, in place of the first; over HTTP/1.1 nothing is taken for a piece. */
START_TEST(test_cookies)
{
    static const mesh_header headers[] = { { "a", 1, "1", 1 },        { "cookie", 6, "x=1", 3 }, { "b", 1, "2", 1 },
                                           { "cookie", 6, "y=2", 3 }, { "cookie", 6, "", 0 },    { "c", 1, "3", 1 } };
    struct http1_head head = { .method = mesh__view_of("GET"), .path = mesh__view_of("/"), .minor = 1 };
    mesh_server *server = new_server(NULL);
    struct peer *peer = mesh__peer_new(&server->mem, "", false, 0, "");
    char stream; /* which only has to be there */
    bool is_http2 = _i == 1;
    head.headers = headers;
    head.header_count = 6;
    mesh_exchange *exchange =
        mesh__exchange_new(server, NULL, is_http2 ? (struct http2_stream *)(void *)&stream : NULL, peer, &head);
    ck_assert_ptr_nonnull(exchange);
    ck_assert_uint_eq(mesh_exchange_header_count(exchange), is_http2 ? 4 : 6);
    ck_assert_str_eq(mesh_exchange_header_value(exchange, "cookie"), is_http2 ? "x=1; y=2; " : "x=1");
    ck_assert_uint_eq(exchange->headers[1].value_size, strlen(exchange->headers[1].value));
    ck_assert_str_eq(exchange->headers[2].name, "b");
    ck_assert_str_eq(exchange->headers[2].value, "2");
    ck_assert_str_eq(mesh_exchange_header_value(exchange, "c"), "3");
    mesh__exchange_unref(exchange);
    mesh__peer_unref(&server->mem, peer);
    free_server(server);
}
END_TEST

START_TEST(test_span)
{
    struct heard heard = { 0 };
    mesh_server *server = new_server(&heard);
    char path[300];
    memset(path, 'a', sizeof(path));
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    mesh_exchange *exchange = receive(server, "VERSION-CONTROL-AND-MORE", path, true);
    ck_assert(exchange->inbound.has_trace);
    ck_assert_mem_eq(exchange->inbound.trace.span_id, exchange->span.span_id, 8);
    mesh__exchange_report(exchange, MESH_CANCELLED, 0, 1700);
    mesh__exchange_unref(exchange);
    exchange = receive(server, "GET", "/?secret", true);
    mesh__exchange_report(exchange, MESH_OK, 200, 500); /* a clock that another thread read */
    mesh__exchange_unref(exchange);
    ck_assert_int_eq(heard.count, 0);
    mesh__outbox_drain(server->outbox);
    ck_assert_int_eq(heard.count, 2);
    ck_assert_uint_eq(heard.method, 3);
    ck_assert_uint_eq(heard.path, 1);
    ck_assert_int_eq(heard.http_status, 200);
    ck_assert_int_eq(heard.duration, 0);
    free_server(server);
}
END_TEST

static const struct {
    const char *what, *method;
    bool keep_alive, draining;
    int32_t status;
    const char *bytes;
} rows[] = {
    { "kept", "GET", true, false, 200,
      "HTTP/1.1 200 OK\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\ncontent-length: 2\r\n\r\nhi" },
    { "closed", "GET", false, false, 200,
      "HTTP/1.1 200 OK\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi" },
    { "draining", "GET", true, true, 200,
      "HTTP/1.1 200 OK\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi" },
    { "HEAD", "HEAD", true, false, 200,
      "HTTP/1.1 200 OK\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\ncontent-length: 2\r\n\r\n" },
    { "no content", "GET", true, false, 204, "HTTP/1.1 204 No Content\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n" },
    { "unfit", "GET", true, false, 100,
      "HTTP/1.1 500 Internal Server Error\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\ncontent-length: 0\r\n\r\n" },
};

START_TEST(test_replies)
{
    mesh_server *server = new_server(NULL);
    mesh_exchange *exchange = receive(server, rows[_i].method, "/", rows[_i].keep_alive);
    mesh_reply reply = MESH_REPLY_INIT;
    server->phase = rows[_i].draining ? SERVER_DRAINING : SERVER_SERVING;
    reply.status = rows[_i].status;
    reply.body = "hi";
    reply.body_size = 2;
    ck_assert_int_eq(mesh__reply_build(exchange, &reply), rows[_i].status == 100 ? MESH_EINVAL : MESH_OK);
    ck_assert_msg(strcmp(mesh__buf_text(&exchange->reply), rows[_i].bytes) == 0, "%s: %s", rows[_i].what,
                  mesh__buf_text(&exchange->reply));
    ck_assert_int_eq(exchange->answered, 1000);
    mesh__exchange_unref(exchange);
    free_server(server);
}
END_TEST

/* A program that was built when the struct was shorter. */
START_TEST(test_older_reply)
{
    mesh_server *server = new_server(NULL);
    mesh_exchange *exchange = receive(server, "GET", "/", true);
    mesh_reply reply = { .size = 8, .status = 404, .body = "not looked at", .body_size = 100000 };
    ck_assert_int_eq(mesh__reply_build(exchange, &reply), MESH_OK);
    ck_assert_int_eq(exchange->status, 404);
    ck_assert_ptr_nonnull(strstr(mesh__buf_text(&exchange->reply), "content-length: 0\r\n"));
    mesh__exchange_unref(exchange);
    free_server(server);
}
END_TEST

/* What was wrong with the request is what a drop answers, whichever function met it. */
static const struct {
    mesh_status fault;
    int32_t refusal;
} faults[] = {
    { MESH_PROTOCOL, 400 },         { MESH_DEADLINE, 408 },         { MESH_BODY_TOO_LARGE, 413 },
    { MESH_HEADER_TOO_LARGE, 431 }, { MESH_TOO_MANY_HEADERS, 431 },
};

START_TEST(test_refusal_of_a_drop)
{
    mesh_server *server = new_server(NULL);
    const void *message;
    size_t size;
    char byte;
    for (int i = 0; i < 2; i++) {
        mesh_exchange *exchange = receive(server, "POST", "/", true);
        exchange->in_pieces = true;
        mesh__flow_end(exchange, faults[_i].fault);
        mesh_status status = i == 0 ? mesh_exchange_read(exchange, &byte, 1, 0, &size)
                                    : mesh_exchange_receive(exchange, 0, &message, &size);
        ck_assert_int_eq(status, faults[_i].fault);
        ck_assert_int_eq(exchange->refusal, faults[_i].refusal);
        mesh__exchange_unref(exchange);
    }
    free_server(server);
}
END_TEST

static void ignore(mesh_exchange *exchange, void *user)
{
    (void)exchange;
    (void)user;
}

/* Of a peer that sends nothing only the time counts at which somebody waits for it. */
START_TEST(test_reading_since)
{
    mesh_server *server = new_server(NULL);
    mesh_exchange *exchange = receive(server, "POST", "/", true);
    char byte;
    size_t got;
    exchange->in_pieces = true;
    ck_assert_int_eq(mesh__flow_reading_since(exchange), NANOS_NEVER);
    ck_assert_int_eq(mesh_exchange_read(exchange, &byte, 1, 0, &got), MESH_EAGAIN);
    ck_assert_int_eq(mesh__flow_reading_since(exchange), NANOS_NEVER);
    now = 3000;
    ck_assert_int_eq(mesh_exchange_on_ready(exchange, ignore, NULL), MESH_OK);
    ck_assert_int_eq(mesh__flow_reading_since(exchange), 3000);
    now = 3500;
    ck_assert_int_eq(mesh_exchange_read(exchange, &byte, 1, 0, &got), MESH_EAGAIN);
    ck_assert_int_eq(mesh__flow_reading_since(exchange), NANOS_NEVER);
    now = 9000;
    ck_assert_int_eq(mesh_exchange_on_ready(exchange, ignore, NULL), MESH_OK);
    ck_assert_int_eq(mesh__flow_reading_since(exchange), 8500); /* it had waited for 500 before */
    ck_assert(mesh__flow_put(exchange, mesh__view("a", 1)));
    ck_assert_int_eq(mesh__flow_reading_since(exchange), NANOS_NEVER);
    now = 1000;
    mesh__exchange_unref(exchange);
    free_server(server);
}
END_TEST

/* An exchange outlives the server's settings. */
START_TEST(test_receive_without_settings)
{
    mesh_server *server = new_server(NULL);
    mesh_exchange *exchange = receive(server, "POST", "/", true);
    const void *message;
    size_t size;
    server->settings = NULL;
    mesh__buf_append(&exchange->body, "\0\0\0\0\2hi\0\0\0\0\x65", 12);
    ck_assert_int_eq(mesh_exchange_receive(exchange, 0, &message, &size), MESH_OK);
    ck_assert_uint_eq(size, 2);
    ck_assert_mem_eq(message, "hi", 2);
    ck_assert_int_eq(mesh_exchange_receive(exchange, 0, &message, &size), MESH_BODY_TOO_LARGE);
    mesh__exchange_unref(exchange);
    free_server(server);
}
END_TEST

START_TEST(test_refusal)
{
    struct buf out;
    mesh__buf_init(&out, &mesh__mem_system, 1000);
    ck_assert(mesh__reply_refusal(&out, &fixed_world, 400, "why\n"));
    ck_assert_str_eq(mesh__buf_text(&out),
                     "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                     "content-length: 4\r\nconnection: close\r\n\r\nwhy\n");
    mesh__buf_fini(&out);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("exchange");
    TCase *tcase = tcase_create("all");
    suite_add_tcase(suite, tcase);
    tcase_add_test(tcase, test_copies);
    tcase_add_loop_test(tcase, test_peer, 0, 2);
    tcase_add_loop_test(tcase, test_cookies, 0, 2);
    tcase_add_test(tcase, test_span);
    tcase_add_loop_test(tcase, test_replies, 0, sizeof(rows) / sizeof(rows[0]));
    tcase_add_test(tcase, test_older_reply);
    tcase_add_test(tcase, test_refusal);
    tcase_add_loop_test(tcase, test_refusal_of_a_drop, 0, sizeof(faults) / sizeof(faults[0]));
    tcase_add_test(tcase, test_reading_since);
    tcase_add_test(tcase, test_receive_without_settings);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
