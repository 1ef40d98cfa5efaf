/* SPDX-License-Identifier: Apache-2.0 */
/* server_test.c - requests and answers of a server: what handlers see, what peers get, and limits. */
/* label: threaded */
#include "api/server_peer.h"
#include "net/reentry.h"

#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define GET(path) "GET " path " HTTP/1.1\r\nhost: x\r\n\r\n"

static const char *const by_workers[] = { "{\"workers\": 0}", "{\"workers\": 4}" };

struct scene {
    sem_t begun, go; /* of /hold */
    atomic_int handled;
    atomic_int replied; /* what the last reply returned */
    atomic_bool in_turn;
};

static void reply_text(mesh_exchange *exchange, int status, const char *text, size_t size, struct scene *scene)
{
    mesh_reply reply = MESH_REPLY_INIT;
    reply.status = status;
    reply.body = text;
    reply.body_size = size;
    scene->replied = mesh_exchange_reply(exchange, &reply);
}

static void describe(mesh_exchange *exchange, struct scene *scene)
{
    char text[600];
    const char *field = mesh_exchange_header_value(exchange, "X-Test");
    mesh_header header;
    ck_assert_int_eq(mesh_exchange_header(exchange, 0, &header), MESH_OK);
    ck_assert_int_eq(mesh_exchange_header(exchange, mesh_exchange_header_count(exchange), &header), MESH_EINVAL);
    ck_assert_int_eq(mesh_exchange_header(exchange, 0, NULL), MESH_EINVAL);
    ck_assert_ptr_null(mesh_exchange_header_value(exchange, "x-absent"));
    int size = snprintf(text, sizeof(text), "%s %s %s %zu %s %.*s", mesh_exchange_method(exchange),
                        mesh_exchange_path(exchange), mesh_exchange_authority(exchange),
                        mesh_exchange_header_count(exchange), field ? field : "-",
                        (int)mesh_exchange_body_size(exchange), (const char *)mesh_exchange_body(exchange));
    reply_text(exchange, 200, text, (size_t)size, scene);
}

static void handle(mesh_exchange *exchange, void *user)
{
    struct scene *scene = user;
    const char *path = mesh_exchange_path(exchange);
    scene->handled++;
    scene->in_turn = mesh__in_turn();
    if (strncmp(path, "/status/", 8) == 0) {
        reply_text(exchange, atoi(path + 8), "body", 4, scene);
    } else if (strncmp(path, "/drop", 5) == 0) {
        mesh_exchange_drop(exchange);
    } else if (strncmp(path, "/echo", 5) == 0) {
        reply_text(exchange, 200, mesh_exchange_body(exchange), mesh_exchange_body_size(exchange), scene);
    } else if (strncmp(path, "/hold", 5) == 0) {
        sem_post(&scene->begun);
        await(&scene->go);
        reply_text(exchange, 200, "held", 4, scene);
    } else {
        describe(exchange, scene);
    }
}

static void prepare(struct scene *scene)
{
    memset(scene, 0, sizeof(*scene));
    sem_init(&scene->begun, 0, 0);
    sem_init(&scene->go, 0, 0);
}

START_TEST(test_what_a_handler_sees)
{
    static const struct {
        const char *request, *seen;
    } rows[] = {
        { "GET /a?b=c HTTP/1.1\r\nhost: shop:80\r\n\r\n", "GET /a?b=c shop:80 1 - " },
        { "POST / HTTP/1.1\r\nhost: x\r\nX-TEST:  some value \r\ncontent-length: 4\r\n\r\nbody",
          "POST / x 3 some value body" },
        { "PUT / HTTP/1.1\r\nhost: x\r\nx-test: 1\r\nx-test: 2\r\ntransfer-encoding: chunked\r\n\r\n"
          "2\r\nab\r\n3;x=y\r\ncde\r\n0\r\ntrailer: t\r\n\r\n",
          "PUT / x 4 1 abcde" },
        { "DELETE / HTTP/1.0\r\nx-test:\r\n\r\n", "DELETE /  1  " },
        { "GET http://shop:80/a?b HTTP/1.1\r\nhost: x\r\n\r\n", "GET /a?b shop:80 1 - " },
        { "GET http://shop?b HTTP/1.1\r\nhost: x\r\n\r\n", "GET /?b shop 1 - " },
        { "GET HTTP://shop HTTP/1.0\r\nx-test: 1\r\n\r\n", "GET / shop 1 1 " },
    };
    struct scene scene;
    prepare(&scene);
    mesh_server *server = open_server(by_workers[_i], NULL, handle, &scene);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (size_t step = 1; step <= 4096; step *= 4096) {
            struct peer peer = peer_connect(mesh_server_address(server));
            struct answer answer;
            for (size_t at = 0, size = strlen(rows[i].request); at < size; at += step)
                ck_assert(peer_send(&peer, rows[i].request + at, size - at < step ? size - at : step));
            ck_assert(peer_read(&peer, false, &answer));
            ck_assert_str_eq(answer.body, rows[i].seen);
            answer_free(&answer);
            peer_close(&peer);
        }
    ck_assert_int_eq(scene.replied, MESH_OK);
    ck_assert_int_eq(scene.in_turn, _i == 0);
    mesh_server_free(server);
}
END_TEST

START_TEST(test_keep_alive)
{
    struct scene scene;
    prepare(&scene);
    mesh_server *server = open_server(by_workers[_i], NULL, handle, &scene);
    struct peer peer = peer_connect(mesh_server_address(server));
    struct answer answer;
    char value[32];
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(peer_ask(&peer, GET("/"), NULL, 0), 200);
    ck_assert(peer_say(&peer, "GET / HTTP/1.0\r\nconnection: Keep-Alive\r\n\r\n"));
    ck_assert(peer_read(&peer, false, &answer));
    ck_assert(answer_field(&answer, "connection", value, sizeof(value)));
    ck_assert_str_eq(value, "keep-alive"); /* an old peer wants to be told */
    answer_free(&answer);
    ck_assert_int_eq(peer_ask(&peer, "GET / HTTP/1.0\r\nhost: x\r\n\r\n", NULL, 0), 200);
    ck_assert(peer_at_end(&peer));
    peer_close(&peer);
    ck_assert_int_eq(scene.handled, 22);
    mesh_server_free(server);
}
END_TEST

START_TEST(test_answers_without_a_body)
{
    static const struct {
        const char *request;
        int status;
        const char *length; /* NULL: none */
    } rows[] = {
        { "HEAD /status/200 HTTP/1.1\r\nhost: x\r\n\r\n", 200, "4" },
        { "HEAD /drop HTTP/1.1\r\nhost: x\r\n\r\n", 500, "0" },
        { GET("/status/204"), 204, NULL },
        { GET("/status/304"), 304, NULL },
        { GET("/status/200"), 200, "4" },
        { GET("/status/599"), 599, "4" },
    };
    struct scene scene;
    prepare(&scene);
    mesh_server *server = open_server(by_workers[_i], NULL, handle, &scene);
    struct peer peer = peer_connect(mesh_server_address(server));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct answer answer;
        char value[32];
        bool head = strncmp(rows[i].request, "HEAD", 4) == 0;
        ck_assert(peer_say(&peer, rows[i].request));
        ck_assert(peer_read(&peer, head, &answer)); /* a stray body would spoil the next status line */
        ck_assert_int_eq(answer.status, rows[i].status);
        ck_assert_int_eq(answer_field(&answer, "content-length", value, sizeof(value)), rows[i].length != NULL);
        if (rows[i].length)
            ck_assert_str_eq(value, rows[i].length);
        answer_free(&answer);
    }
    peer_close(&peer);
    mesh_server_free(server);
}
END_TEST

START_TEST(test_pipelining)
{
    enum { REQUESTS = 300 };
    struct scene scene;
    prepare(&scene);
    mesh_server *server = open_server(by_workers[_i], NULL, handle, &scene);
    struct peer peer = peer_connect(mesh_server_address(server));
    char *all = calloc(REQUESTS, 128);
    size_t size = 0;
    for (int i = 0; i < REQUESTS; i++)
        size += (size_t)snprintf(all + size, 128, "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\n%03d", i);
    ck_assert(peer_send(&peer, all, size));
    for (int i = 0; i < REQUESTS; i++) {
        struct answer answer;
        ck_assert_msg(peer_read(&peer, false, &answer), "answer %d", i);
        ck_assert_int_eq(atoi(answer.body), i);
        answer_free(&answer);
    }
    free(all);
    peer_close(&peer);
    mesh_server_free(server);
}
END_TEST

START_TEST(test_large_bodies)
{
    enum { SIZE = 6 << 20 };
    struct scene scene;
    prepare(&scene);
    mesh_server *server = open_server(by_workers[_i], NULL, handle, &scene);
    struct peer peer = peer_connect(mesh_server_address(server));
    char *body = malloc(SIZE);
    ck_assert_ptr_nonnull(body);
    for (int i = 0; i < SIZE; i++)
        body[i] = (char)(i * 7 + i / 1000);
    for (int round = 0; round < 2; round++) {
        struct answer answer;
        ck_assert(peer_say(&peer, "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 6291456\r\n\r\n"));
        ck_assert(peer_send(&peer, body, SIZE));
        ck_assert(peer_read(&peer, false, &answer));
        ck_assert_uint_eq(answer.size, SIZE);
        ck_assert_int_eq(memcmp(answer.body, body, SIZE), 0);
        answer_free(&answer);
    }
    free(body);
    peer_close(&peer);
    mesh_server_free(server);
}
END_TEST

START_TEST(test_expect_continue)
{
    struct scene scene;
    prepare(&scene);
    mesh_server *server = open_server(by_workers[_i], NULL, handle, &scene);
    struct peer peer = peer_connect(mesh_server_address(server));
    struct answer answer;
    ck_assert(peer_say(&peer, "POST /echo HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n"));
    ck_assert(peer_read(&peer, false, &answer));
    ck_assert_int_eq(answer.status, 100);
    answer_free(&answer);
    char body[16];
    ck_assert_int_eq(peer_ask(&peer, "body", body, sizeof(body)), 200);
    ck_assert_str_eq(body, "body");
    /* A peer that does not wait is not told to go on. */
    ck_assert_int_eq(peer_ask(&peer,
                              "POST /echo HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\nbody",
                              body, sizeof(body)),
                     200);
    peer_close(&peer);
    mesh_server_free(server);
}
END_TEST

struct unfit {
    const char *what;
    mesh_reply reply;
};

static void reply_unfit(mesh_exchange *exchange, void *user)
{
    static const mesh_header crlf = { "a", 1, "b\r\nc: d", 7 }, name = { "a b", 3, "c", 1 }, empty = { "", 0, "c", 1 },
                             reserved = { "Content-Length", 14, "5", 1 },
                             te = { "transfer-encoding", 17, "chunked", 7 };
    const uint32_t size = (uint32_t)sizeof(mesh_reply);
    const struct unfit rows[] = {
        { "status 199", { size, 199, NULL, 0, NULL, 0 } },    { "status 600", { size, 600, NULL, 0, NULL, 0 } },
        { "status 0", { size, 0, NULL, 0, NULL, 0 } },        { "no headers", { size, 200, NULL, 1, NULL, 0 } },
        { "no body", { size, 200, NULL, 0, NULL, 1 } },       { "a line end", { size, 200, &crlf, 1, NULL, 0 } },
        { "no token", { size, 200, &name, 1, NULL, 0 } },     { "no name", { size, 200, &empty, 1, NULL, 0 } },
        { "reserved", { size, 200, &reserved, 1, NULL, 0 } }, { "framing", { size, 200, &te, 1, NULL, 0 } },
        { "no size", { 0, 200, NULL, 0, NULL, 0 } },
    };
    struct scene *scene = user;
    size_t row = (size_t)scene->handled++;
    scene->replied = mesh_exchange_reply(exchange, row < sizeof(rows) / sizeof(rows[0]) ? &rows[row].reply : NULL);
}

START_TEST(test_unfit_replies)
{
    struct scene scene;
    prepare(&scene);
    mesh_server *server = open_server("{\"workers\": 0}", NULL, reply_unfit, &scene);
    struct peer peer = peer_connect(mesh_server_address(server));
    for (int i = 0; i < 12; i++) {
        scene.replied = MESH_OK;
        ck_assert_msg(peer_ask(&peer, GET("/"), NULL, 0) == 500, "row %d", i);
        ck_assert_msg(scene.replied == MESH_EINVAL, "row %d", i);
    }
    peer_close(&peer);
    mesh_server_free(server);
    ck_assert_int_eq(mesh_exchange_reply(NULL, NULL), MESH_EINVAL);
    mesh_exchange_drop(NULL);
}
END_TEST

static void reply_with_fields(mesh_exchange *exchange, void *user)
{
    (void)user;
    const mesh_header headers[] = { { "X-One", 5, "1", 1 },
                                    { "date", 4, "Sun, 06 Nov 1994 08:49:37 GMT", 29 },
                                    { "x-empty", 7, "", 0 } };
    mesh_reply reply;
    mesh_reply_init(&reply);
    reply.status = 418;
    reply.headers = headers;
    reply.header_count = 3;
    (void)mesh_exchange_reply(exchange, &reply);
}

START_TEST(test_fields_of_a_reply)
{
    mesh_server *server = open_server(by_workers[_i], NULL, reply_with_fields, NULL);
    struct peer peer = peer_connect(mesh_server_address(server));
    struct answer answer;
    char value[64];
    ck_assert(peer_say(&peer, GET("/")));
    ck_assert(peer_read(&peer, false, &answer));
    ck_assert_int_eq(answer.status, 418);
    ck_assert(answer_field(&answer, "x-one", value, sizeof(value)));
    ck_assert_str_eq(value, "1");
    ck_assert(answer_field(&answer, "x-empty", value, sizeof(value)));
    ck_assert(answer_field(&answer, "date", value, sizeof(value)));
    ck_assert_str_eq(value, "Sun, 06 Nov 1994 08:49:37 GMT");
    ck_assert_ptr_null(strstr(strstr(answer.head, "date:") + 1, "date:"));
    answer_free(&answer);
    peer_close(&peer);
    mesh_server_free(server);
}
END_TEST

START_TEST(test_full_queue)
{
    struct scene scene;
    prepare(&scene);
    mesh_server *server = open_server("{\"workers\": 1, \"max_pending\": 1}", NULL, handle, &scene);
    struct peer first = peer_connect(mesh_server_address(server));
    struct peer others[2] = { peer_connect(mesh_server_address(server)), peer_connect(mesh_server_address(server)) };
    struct answer answer;
    ck_assert(peer_say(&first, GET("/hold")));
    await(&scene.begun); /* the worker is busy: one may wait, the next is turned away, and may ask again */
    ck_assert(peer_say(&others[0], GET("/")));
    ck_assert(peer_say(&others[1], GET("/")));
    fd_set set;
    FD_ZERO(&set);
    FD_SET(others[0].fd, &set);
    FD_SET(others[1].fd, &set);
    struct timeval patience = { PEER_PATIENCE_S, 0 };
    int highest = others[0].fd > others[1].fd ? others[0].fd : others[1].fd;
    ck_assert_int_eq(select(highest + 1, &set, NULL, NULL, &patience), 1);
    struct peer *refused = FD_ISSET(others[0].fd, &set) ? &others[0] : &others[1];
    struct peer *waiting = refused == &others[0] ? &others[1] : &others[0];
    ck_assert(peer_read(refused, false, &answer));
    ck_assert_int_eq(answer.status, 503);
    answer_free(&answer);
    ck_assert_int_eq(peer_ask(refused, GET("/"), NULL, 0), 503);
    sem_post(&scene.go);
    ck_assert(peer_read(&first, false, &answer));
    ck_assert_int_eq(answer.status, 200);
    answer_free(&answer);
    ck_assert(peer_read(waiting, false, &answer));
    ck_assert_int_eq(answer.status, 200);
    answer_free(&answer);
    ck_assert_int_eq(peer_ask(refused, GET("/"), NULL, 0), 200);
    ck_assert_int_eq(scene.handled, 3);
    peer_close(&first);
    peer_close(&others[0]);
    peer_close(&others[1]);
    mesh_server_free(server);
}
END_TEST

START_TEST(test_deadline_passed)
{
    struct scene scene;
    prepare(&scene);
    mesh_server *server = open_server(by_workers[_i], NULL, handle, &scene);
    struct peer peer = peer_connect(mesh_server_address(server));
    static const char ms[] = "GET / HTTP/1.1\r\nhost: x\r\nx-envoy-expected-rq-timeout-ms: 0\r\n\r\n";
    static const char grpc[] = "GET / HTTP/1.1\r\nhost: x\r\ngrpc-timeout: 1n\r\n\r\n";
    static const char ample[] = "GET / HTTP/1.1\r\nhost: x\r\ngrpc-timeout: 1H\r\n\r\n";
    ck_assert_int_eq(peer_ask(&peer, ms, NULL, 0), 504);
    ck_assert_int_eq(peer_ask(&peer, grpc, NULL, 0), 504);
    ck_assert_int_eq(scene.handled, 0);
    ck_assert_int_eq(peer_ask(&peer, ample, NULL, 0), 200);
    ck_assert_int_eq(scene.handled, 1);
    peer_close(&peer);
    mesh_server_free(server);
}
END_TEST

START_TEST(test_unix_socket)
{
    struct scene scene;
    prepare(&scene);
    char path[64], settings[160], address[80];
    (void)snprintf(path, sizeof(path), "/tmp/mesh-server-test-%d", (int)getpid());
    (void)snprintf(address, sizeof(address), "unix:%s", path);
    (void)snprintf(settings, sizeof(settings), "{\"listen\": \"%s\"}", address);
    for (int round = 0; round < 2; round++) {
        mesh_server *server = open_server(settings, NULL, handle, &scene);
        ck_assert_str_eq(mesh_server_address(server), address);
        struct peer peer = peer_connect(address);
        ck_assert_int_eq(peer_ask(&peer, GET("/"), NULL, 0), 200);
        peer_close(&peer);
        mesh_server_free(server);
        ck_assert_int_ne(access(path, F_OK), 0); /* the path goes with the server */
    }
}
END_TEST

START_TEST(test_max_connections)
{
    struct scene scene;
    prepare(&scene);
    mesh_server *server = open_server("{\"max_connections\": 1}", NULL, handle, &scene);
    struct peer first = peer_connect(mesh_server_address(server));
    ck_assert_int_eq(peer_ask(&first, GET("/"), NULL, 0), 200);
    struct peer second = peer_connect(mesh_server_address(server)); /* by the kernel */
    ck_assert(peer_say(&second, GET("/")));
    ck_assert_int_eq(peer_ask(&first, GET("/"), NULL, 0), 200);
    ck_assert_int_eq(recv(second.fd, &(char){ 0 }, 1, MSG_DONTWAIT), -1);
    peer_close(&first);
    struct answer answer;
    ck_assert(peer_read(&second, false, &answer));
    ck_assert_int_eq(answer.status, 200);
    answer_free(&answer);
    peer_close(&second);
    mesh_server_free(server);
}
END_TEST

static void on_log(int32_t level, const char *line, void *user)
{
    if (level == MESH_LOG_WARN && strstr(line, "accepting is paused"))
        sem_post(user);
}

START_TEST(test_descriptors_run_out)
{
    struct scene scene;
    sem_t paused;
    prepare(&scene);
    sem_init(&paused, 0, 0);
    mesh_options options = MESH_OPTIONS_INIT;
    options.on_log = on_log;
    options.log_level = MESH_LOG_WARN;
    options.user = &paused;
    mesh_server *server = open_server("{}", &options, handle, &scene);
    struct rlimit few = { 64, 64 };
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    struct peer warm = peer_connect(mesh_server_address(server)); /* both ends: 2 descriptors */
    ck_assert_int_eq(peer_ask(&warm, GET("/"), NULL, 0), 200);
    int taken[64], count = 0;
    while (count < 64 && (taken[count] = dup(0)) >= 0)
        count++;
    ck_assert_int_lt(count, 64);
    close(taken[--count]);
    struct peer peer = peer_connect(mesh_server_address(server)); /* takes the last descriptor */
    ck_assert(peer_say(&peer, GET("/")));
    await(&paused);
    await(&paused); /* tried again after a pause */
    int more;
    ck_assert_int_eq(sem_getvalue(&paused, &more), 0);
    ck_assert_int_lt(more, 5);                                 /* a loop that spins says it thousands of times */
    ck_assert_int_eq(peer_ask(&warm, GET("/"), NULL, 0), 200); /* who is there is served */
    while (count > 0)
        close(taken[--count]);
    struct answer answer;
    ck_assert(peer_read(&peer, false, &answer));
    ck_assert_int_eq(answer.status, 200);
    answer_free(&answer);
    peer_close(&peer);
    peer_close(&warm);
    mesh_server_free(server);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    tcase_add_loop_test(tcase, test_what_a_handler_sees, 0, 2);
    tcase_add_loop_test(tcase, test_keep_alive, 0, 2);
    tcase_add_loop_test(tcase, test_answers_without_a_body, 0, 2);
    tcase_add_loop_test(tcase, test_pipelining, 0, 2);
    tcase_add_loop_test(tcase, test_large_bodies, 0, 2);
    tcase_add_loop_test(tcase, test_expect_continue, 0, 2);
    tcase_add_test(tcase, test_unfit_replies);
    tcase_add_loop_test(tcase, test_fields_of_a_reply, 0, 2);
    tcase_add_test(tcase, test_full_queue);
    tcase_add_loop_test(tcase, test_deadline_passed, 0, 2);
    tcase_add_test(tcase, test_unix_socket);
    tcase_add_test(tcase, test_max_connections);
    tcase_add_test(tcase, test_descriptors_run_out);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
