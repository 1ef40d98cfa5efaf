/* SPDX-License-Identifier: Apache-2.0 */
/* server_end_test.c - late answers, peers that go, draining, closing and freeing. */
/* label: threaded */
#include "api/server_peer.h"
#include "server/server.h"

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define GET(path) "GET " path " HTTP/1.1\r\nhost: x\r\n\r\n"
#define SECOND 1000000000
#define LONG (PEER_PATIENCE_S * (int64_t)SECOND)

static const char *const by_workers[] = { "{\"workers\": 0}", "{\"workers\": 4}", "{\"workers\": 1}" };

/* A handler that keeps its exchange for the test to answer. */
struct scene {
    mesh_server *server;
    _Atomic(mesh_exchange *) kept;
    sem_t begun, go, span, log;
    atomic_int span_status, span_http_status, close_status, reply_status;
};

static mesh_status reply_with(mesh_exchange *exchange, const char *text)
{
    mesh_reply reply = MESH_REPLY_INIT;
    reply.body = text;
    reply.body_size = strlen(text);
    return mesh_exchange_reply(exchange, &reply);
}

static void keep(mesh_exchange *exchange, void *user)
{
    struct scene *scene = user;
    if (strcmp(mesh_exchange_path(exchange), "/now") == 0) {
        (void)reply_with(exchange, "now");
        return;
    }
    scene->kept = exchange;
    sem_post(&scene->begun);
}

static void on_span(const mesh_span *span, void *user)
{
    struct scene *scene = user;
    scene->span_status = span->status;
    scene->span_http_status = span->http_status;
    sem_post(&scene->span);
}

static void on_log(int32_t level, const char *line, void *user)
{
    struct scene *scene = user;
    if (level == MESH_LOG_ERROR && strstr(line, "mesh_server_free() in a handler"))
        sem_post(&scene->log);
}

static void start(struct scene *scene, const char *settings, mesh_handler handler)
{
    mesh_options options = MESH_OPTIONS_INIT;
    options.on_span = on_span;
    options.on_log = on_log;
    options.user = scene;
    memset(scene, 0, sizeof(*scene));
    sem_init(&scene->begun, 0, 0);
    sem_init(&scene->go, 0, 0);
    sem_init(&scene->span, 0, 0);
    sem_init(&scene->log, 0, 0);
    scene->server = open_server(settings, &options, handler, scene);
}

static void *reply_late(void *argument)
{
    struct scene *scene = argument;
    ck_assert_int_eq(reply_with(scene->kept, "late"), MESH_OK);
    return NULL;
}

START_TEST(test_late_reply)
{
    struct scene scene;
    start(&scene, by_workers[_i], keep);
    struct peer peer = peer_connect(mesh_server_address(scene.server));
    for (int i = 0; i < 20; i++) {
        struct answer answer;
        pthread_t thread;
        ck_assert(peer_say(&peer, GET("/later")));
        await(&scene.begun);
        if (_i == 1) { /* the one worker does not wait with the exchange */
            struct peer other = peer_connect(mesh_server_address(scene.server));
            ck_assert_int_eq(peer_ask(&other, GET("/now"), NULL, 0), 200);
            peer_close(&other);
        }
        ck_assert_int_eq(pthread_create(&thread, NULL, reply_late, &scene), 0);
        ck_assert(peer_read(&peer, false, &answer));
        ck_assert_str_eq(answer.body, "late");
        answer_free(&answer);
        pthread_join(thread, NULL);
    }
    ck_assert(peer_say(&peer, GET("/later")));
    await(&scene.begun);
    mesh_exchange_drop(scene.kept);
    struct answer answer;
    ck_assert(peer_read(&peer, false, &answer));
    ck_assert_int_eq(answer.status, 500);
    answer_free(&answer);
    peer_close(&peer);
    mesh_server_free(scene.server);
}
END_TEST

START_TEST(test_peer_goes)
{
    struct scene scene;
    start(&scene, by_workers[_i], keep);
    struct peer peer = peer_connect(mesh_server_address(scene.server));
    ck_assert(peer_say(&peer, "POST /gone HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nbody"));
    await(&scene.begun);
    peer_reset(&peer);
    await(&scene.span);
    ck_assert_int_eq(scene.span_status, MESH_CANCELLED);
    ck_assert_int_eq(scene.span_http_status, 0);
    ck_assert_str_eq(mesh_exchange_path(scene.kept), "/gone"); /* it lives on */
    ck_assert_uint_eq(mesh_exchange_body_size(scene.kept), 4);
    ck_assert_int_eq(reply_with(scene.kept, "too late"), MESH_ECLOSED);
    mesh_server_free(scene.server);
    ck_assert_int_eq(sem_trywait(&scene.span), -1); /* one span */
}
END_TEST

START_TEST(test_peer_goes_in_the_middle_of_a_request)
{
    struct scene scene;
    start(&scene, by_workers[_i], keep);
    struct peer peer = peer_connect(mesh_server_address(scene.server));
    ck_assert(peer_say(&peer, "POST /gone HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nbo"));
    peer_close(&peer);
    await(&scene.span);
    ck_assert_int_eq(scene.span_status, MESH_CANCELLED);
    mesh_server_free(scene.server);
    ck_assert_int_eq(sem_trywait(&scene.begun), -1);
}
END_TEST

START_TEST(test_peer_closes_its_half)
{
    struct scene scene;
    start(&scene, by_workers[_i], keep);
    struct peer peer = peer_connect(mesh_server_address(scene.server));
    ck_assert(peer_say(&peer, GET("/half")));
    ck_assert_int_eq(shutdown(peer.fd, SHUT_WR), 0);
    await(&scene.begun);
    ck_assert_int_eq(reply_with(scene.kept, "still"), MESH_OK);
    struct answer answer;
    ck_assert(peer_read(&peer, false, &answer));
    ck_assert_str_eq(answer.body, "still");
    answer_free(&answer);
    ck_assert(peer_at_end(&peer));
    peer_close(&peer);
    mesh_server_free(scene.server);
}
END_TEST

static void wait_in_handler(mesh_exchange *exchange, void *user)
{
    struct scene *scene = user;
    sem_post(&scene->begun);
    await(&scene->go);
    scene->reply_status = reply_with(exchange, "done");
}

/* A request whose peer went while it waited for a worker never reaches the handler. */
START_TEST(test_gone_while_queued)
{
    struct scene scene;
    start(&scene, "{\"workers\": 1}", wait_in_handler);
    struct peer first = peer_connect(mesh_server_address(scene.server));
    struct peer second = peer_connect(mesh_server_address(scene.server));
    ck_assert(peer_say(&first, GET("/")));
    await(&scene.begun);
    ck_assert(peer_say(&second, "GET / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\n"));
    struct answer answer;
    ck_assert(peer_read(&second, false, &answer)); /* so the server has it before the reset */
    ck_assert_int_eq(answer.status, 100);
    answer_free(&answer);
    ck_assert(peer_say(&second, "x"));
    peer_reset(&second);
    await(&scene.span);
    ck_assert_int_eq(scene.span_status, MESH_CANCELLED);
    sem_post(&scene.go);
    ck_assert(peer_read(&first, false, &answer));
    answer_free(&answer);
    ck_assert(peer_say(&first, GET("/")));
    await(&scene.begun); /* the next that a handler sees is this one */
    sem_post(&scene.go);
    ck_assert(peer_read(&first, false, &answer));
    answer_free(&answer);
    ck_assert_int_eq(sem_trywait(&scene.begun), -1);
    peer_close(&first);
    mesh_server_free(scene.server);
}
END_TEST

static void *close_server(void *argument)
{
    struct scene *scene = argument;
    scene->close_status = mesh_server_close(scene->server, LONG);
    return NULL;
}

START_TEST(test_drain)
{
    struct scene scene;
    start(&scene, by_workers[_i], keep);
    struct peer idle = peer_connect(mesh_server_address(scene.server));
    struct peer busy = peer_connect(mesh_server_address(scene.server));
    struct peer coming = peer_connect(mesh_server_address(scene.server));
    struct answer answer;
    char value[32];
    pthread_t thread;
    ck_assert_int_eq(peer_ask(&idle, GET("/now"), NULL, 0), 200);
    ck_assert(peer_say(&coming, "POST /now HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\n"));
    ck_assert(peer_read(&coming, false, &answer)); /* half a request has arrived */
    answer_free(&answer);
    ck_assert(peer_say(&busy, GET("/later")));
    await(&scene.begun);
    scene.close_status = -1;
    ck_assert_int_eq(pthread_create(&thread, NULL, close_server, &scene), 0);
    ck_assert(peer_at_end(&idle));
    ck_assert_int_eq(scene.close_status, -1);
    ck_assert_int_eq(reply_with(scene.kept, "in time"), MESH_OK);
    ck_assert(peer_read(&busy, false, &answer));
    ck_assert_str_eq(answer.body, "in time");
    ck_assert(answer_field(&answer, "connection", value, sizeof(value)));
    ck_assert_str_eq(value, "close");
    answer_free(&answer);
    ck_assert(peer_at_end(&busy));
    ck_assert(peer_say(&coming, "x"));
    ck_assert(peer_read(&coming, false, &answer));
    ck_assert_int_eq(answer.status, 200);
    ck_assert(answer_field(&answer, "connection", value, sizeof(value)));
    answer_free(&answer);
    ck_assert(peer_at_end(&coming));
    pthread_join(thread, NULL);
    ck_assert_int_eq(scene.close_status, MESH_OK);
    ck_assert_int_eq(mesh_server_close(scene.server, 0), MESH_OK);
    peer_close(&idle);
    peer_close(&busy);
    peer_close(&coming);
    mesh_server_free(scene.server);
}
END_TEST

/* Peers whom the kernel has accepted, while the loop was busy, are served before the end. */
START_TEST(test_drain_serves_the_backlog)
{
    enum { PEERS = 6 };
    struct scene scene;
    start(&scene, "{\"workers\": 0}", wait_in_handler);
    struct peer peers[PEERS];
    pthread_t thread;
    for (int i = 0; i < PEERS; i++) {
        peers[i] = peer_connect(mesh_server_address(scene.server));
        ck_assert(peer_say(&peers[i], GET("/")));
        if (i == 0)
            await(&scene.begun); /* from here on the loop does nothing else */
    }
    ck_assert_int_eq(pthread_create(&thread, NULL, close_server, &scene), 0);
    while (!mesh__server_is_draining(scene.server))
        sched_yield();
    for (int i = 0; i < PEERS; i++)
        sem_post(&scene.go);
    for (int i = 0; i < PEERS; i++) {
        struct answer answer;
        ck_assert_msg(peer_read(&peers[i], false, &answer), "peer %d", i);
        ck_assert_int_eq(answer.status, 200);
        answer_free(&answer);
        ck_assert(peer_at_end(&peers[i]));
        peer_close(&peers[i]);
    }
    pthread_join(thread, NULL);
    ck_assert_int_eq(scene.close_status, MESH_OK);
    mesh_server_free(scene.server);
}
END_TEST

START_TEST(test_drain_takes_too_long)
{
    struct scene scene;
    start(&scene, by_workers[_i], keep);
    struct peer peer = peer_connect(mesh_server_address(scene.server));
    ck_assert(peer_say(&peer, GET("/later")));
    await(&scene.begun);
    ck_assert_int_eq(mesh_server_close(scene.server, SECOND / 50), MESH_DEADLINE);
    ck_assert(peer_at_end(&peer));
    ck_assert_int_eq(mesh_server_close(scene.server, -1), MESH_DEADLINE);
    ck_assert_int_eq(reply_with(scene.kept, "too late"), MESH_ECLOSED);
    peer_close(&peer);
    mesh_server_free(scene.server);
}
END_TEST

START_TEST(test_exchange_outlives_its_server)
{
    struct scene scene;
    start(&scene, by_workers[_i], keep);
    struct peer peer = peer_connect(mesh_server_address(scene.server));
    ck_assert(peer_say(&peer, "POST /later HTTP/1.1\r\nhost: x\r\nbaggage: a=b\r\ncontent-length: 4\r\n\r\nbody"));
    await(&scene.begun);
    mesh_server_free(scene.server);
    ck_assert(peer_at_end(&peer));
    ck_assert_str_eq(mesh_exchange_method(scene.kept), "POST");
    ck_assert_str_eq(mesh_exchange_header_value(scene.kept, "host"), "x");
    ck_assert_int_eq(memcmp(mesh_exchange_body(scene.kept), "body", 4), 0);
    ck_assert_int_eq(mesh_inbound_remaining_ns(mesh_exchange_inbound(scene.kept)), -1);
    if (_i == 0)
        ck_assert_int_eq(reply_with(scene.kept, "too late"), MESH_ECLOSED);
    else
        mesh_exchange_drop(scene.kept);
    peer_close(&peer);
}
END_TEST

static void close_from_handler(mesh_exchange *exchange, void *user)
{
    struct scene *scene = user;
    scene->close_status = mesh_server_close(scene->server, LONG);
    mesh_server_free(scene->server); /* is ignored, and said so */
    (void)reply_with(exchange, "alive");
}

START_TEST(test_close_from_a_handler)
{
    struct scene scene;
    start(&scene, by_workers[_i], close_from_handler);
    struct peer peer = peer_connect(mesh_server_address(scene.server));
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(peer_ask(&peer, GET("/"), NULL, 0), 200);
        ck_assert_int_eq(scene.close_status, MESH_EREENTRY);
        await(&scene.log);
    }
    peer_close(&peer);
    mesh_server_free(scene.server);
}
END_TEST

/* The handler that runs is waited for; those behind it never run. */
static void *let_go(void *argument)
{
    struct scene *scene = argument;
    await(&scene->span); /* the loop has cut the first connection: the server is ending */
    sem_post(&scene->go);
    return NULL;
}

START_TEST(test_free_waits_for_handlers)
{
    struct scene scene;
    pthread_t thread;
    start(&scene, "{\"workers\": 1}", wait_in_handler);
    struct peer peers[4];
    for (int i = 0; i < 4; i++) {
        struct answer answer;
        peers[i] = peer_connect(mesh_server_address(scene.server));
        ck_assert(
            peer_say(&peers[i], "POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\n"));
        ck_assert(peer_read(&peers[i], false, &answer));
        answer_free(&answer);
        ck_assert(peer_say(&peers[i], "x"));
        if (i == 0)
            await(&scene.begun);
    }
    ck_assert_int_eq(pthread_create(&thread, NULL, let_go, &scene), 0);
    mesh_server_free(scene.server);
    pthread_join(thread, NULL);
    ck_assert_int_eq(scene.reply_status, MESH_ECLOSED);
    ck_assert_int_eq(sem_trywait(&scene.begun), -1);
    for (int i = 0; i < 4; i++)
        peer_close(&peers[i]);
}
END_TEST

struct crowd {
    const char *address;
    atomic_int good;
};

static void *ask_often(void *argument)
{
    struct crowd *crowd = argument;
    for (int i = 0; i < 5; i++) {
        struct peer peer = peer_connect(crowd->address);
        for (int j = 0; j < 40; j++)
            crowd->good += peer_ask(&peer, GET("/now"), NULL, 0) == 200;
        peer_close(&peer);
    }
    return NULL;
}

START_TEST(test_many_peers)
{
    struct scene scene;
    pthread_t threads[6];
    start(&scene, by_workers[_i], keep);
    struct crowd crowd = { mesh_server_address(scene.server), 0 };
    for (int i = 0; i < 6; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, ask_often, &crowd), 0);
    for (int i = 0; i < 6; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(crowd.good, 6 * 5 * 40);
    ck_assert_int_eq(mesh_server_close(scene.server, LONG), MESH_OK);
    mesh_server_free(scene.server);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server: ends");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    tcase_add_loop_test(tcase, test_late_reply, 0, 3);
    tcase_add_loop_test(tcase, test_peer_goes, 0, 2);
    tcase_add_loop_test(tcase, test_peer_goes_in_the_middle_of_a_request, 0, 2);
    tcase_add_loop_test(tcase, test_peer_closes_its_half, 0, 2);
    tcase_add_test(tcase, test_gone_while_queued);
    tcase_add_loop_test(tcase, test_drain, 0, 2);
    tcase_add_test(tcase, test_drain_serves_the_backlog);
    tcase_add_loop_test(tcase, test_drain_takes_too_long, 0, 2);
    tcase_add_loop_test(tcase, test_exchange_outlives_its_server, 0, 2);
    tcase_add_loop_test(tcase, test_close_from_a_handler, 0, 2);
    tcase_add_test(tcase, test_free_waits_for_handlers);
    tcase_add_loop_test(tcase, test_many_peers, 0, 2);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
