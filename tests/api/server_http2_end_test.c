/* SPDX-License-Identifier: Apache-2.0 */
/* server_http2_end_test.c - how HTTP/2 connections end: draining without losing a request, cutting, peers that go. */
/* label: threaded */
#include "api/server_http2_peer.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define SECOND 1000000000
#define LONG (PEER_PATIENCE_S * (int64_t)SECOND)
#define CALLERS 3
#define IN_FLIGHT 20
#define ENOUGH 600 /* calls that are answered before the server begins to drain */

static const char *const by_workers[] = { "{\"workers\": 0}", "{\"workers\": 4}" };

/* A handler that keeps its exchange for the test to answer. */
struct scene {
    mesh_server *server;
    _Atomic(mesh_exchange *) kept;
    sem_t begun, answered, span, speaking;
    atomic_int close_status;
};

static void keep(mesh_exchange *exchange, void *user)
{
    struct scene *scene = user;
    scene->kept = exchange;
    sem_post(&scene->begun);
}

static void on_span(const mesh_span *span, void *user)
{
    struct scene *scene = user;
    if (span->status == MESH_CANCELLED)
        sem_post(&scene->span);
}

static void start(struct scene *scene, const char *settings, mesh_handler handler)
{
    mesh_options options = MESH_OPTIONS_INIT;
    options.on_span = on_span;
    options.user = scene;
    memset(scene, 0, sizeof(*scene));
    sem_init(&scene->begun, 0, 0);
    sem_init(&scene->answered, 0, 0);
    sem_init(&scene->span, 0, 0);
    sem_init(&scene->speaking, 0, 0);
    scene->close_status = -1;
    scene->server = open_server(settings, &options, handler, scene);
}

static void *close_server(void *argument)
{
    struct scene *scene = argument;
    scene->close_status = mesh_server_close(scene->server, LONG);
    return NULL;
}

static bool told_to_go(void *user)
{
    const struct caller *caller = user;
    return caller->goaways > 0;
}

/* What is under way is answered, and the connection is of no further use. */
START_TEST(test_drain)
{
    struct scene scene;
    struct caller busy, idle;
    struct call call = { 0 }, late = { 0 };
    pthread_t thread;
    start(&scene, by_workers[_i], keep);
    caller_connect(&busy, mesh_server_address(scene.server));
    caller_connect(&idle, mesh_server_address(scene.server));
    caller_flush(&idle);
    ck_assert_int_eq(caller_start(&busy, &call), MESH_OK);
    caller_flush(&busy);
    await(&scene.begun);
    ck_assert_int_eq(pthread_create(&thread, NULL, close_server, &scene), 0);
    caller_run(&busy, told_to_go, &busy);
    ck_assert_int_eq(caller_start(&busy, &late), MESH_ECLOSED);
    caller_until_gone(&idle);
    ck_assert_int_eq(scene.close_status, -1);
    ck_assert_int_eq(mesh_exchange_reply(scene.kept, &(mesh_reply)MESH_REPLY_INIT), MESH_OK);
    caller_until_gone(&busy);
    ck_assert_int_eq(call.status, 200);
    ck_assert(call.ended && call.outcome == MESH_OK);
    pthread_join(thread, NULL);
    ck_assert_int_eq(scene.close_status, MESH_OK);
    call_free(&call);
    call_free(&late);
    caller_close(&busy);
    caller_close(&idle);
    mesh_server_free(scene.server);
}
END_TEST

static void answer_and_count(mesh_exchange *exchange, void *user)
{
    struct scene *scene = user;
    (void)mesh_exchange_reply(exchange, &(mesh_reply)MESH_REPLY_INIT);
    sem_post(&scene->answered);
}

/* One client that calls until it is told to go. */
struct load {
    struct scene *scene;
    struct caller caller;
    struct call calls[IN_FLIGHT];
    uint32_t well, lost;
    bool refused; /* the connection takes no more calls */
};

/* Takes what has ended, and calls again. */
static bool call_again(void *user)
{
    struct load *load = user;
    for (int i = 0; i < IN_FLIGHT; i++) {
        struct call *call = &load->calls[i];
        if (call->closed) {
            bool well = call->outcome == MESH_OK && call->status == 200;
            if (well && load->well++ == 0)
                sem_post(&load->scene->speaking);
            load->lost += !well;
            call_free(call);
            *call = (struct call){ 0 };
        }
        if (call->stream == NULL && !load->refused) {
            mesh_status status = caller_start(&load->caller, call);
            ck_assert(status == MESH_OK || status == MESH_ECLOSED);
            load->refused = status == MESH_ECLOSED;
        }
    }
    caller_flush(&load->caller); /* a call that is still here when the connection drains never goes out */
    return load->refused && load->caller.open == 0;
}

static void *run_load(void *argument)
{
    struct load *load = argument;
    caller_connect(&load->caller, mesh_server_address(load->scene->server));
    caller_run(&load->caller, call_again, load);
    (void)call_again(load); /* what the end of the connection has ended */
    caller_close(&load->caller);
    return NULL;
}

/* Not one call fails, none has to be sent again. */
START_TEST(test_drain_under_load)
{
    struct scene scene;
    struct load loads[CALLERS];
    pthread_t threads[CALLERS];
    uint32_t well = 0, lost = 0;
    start(&scene, by_workers[_i], answer_and_count);
    memset(loads, 0, sizeof(loads));
    for (int i = 0; i < CALLERS; i++) {
        loads[i].scene = &scene;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, run_load, &loads[i]), 0);
    }
    for (int i = 0; i < CALLERS; i++)
        await(&scene.speaking);
    for (int i = 0; i < ENOUGH; i++)
        await(&scene.answered);
    ck_assert_int_eq(mesh_server_close(scene.server, LONG), MESH_OK);
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(threads[i], NULL);
        well += loads[i].well;
        lost += loads[i].lost;
    }
    ck_assert_uint_eq(lost, 0);
    ck_assert_uint_ge(well, ENOUGH);
    mesh_server_free(scene.server);
}
END_TEST

START_TEST(test_drain_takes_too_long)
{
    struct scene scene;
    struct caller caller;
    struct call call = { 0 };
    start(&scene, by_workers[_i], keep);
    caller_connect(&caller, mesh_server_address(scene.server));
    ck_assert_int_eq(caller_start(&caller, &call), MESH_OK);
    caller_flush(&caller);
    await(&scene.begun);
    ck_assert_int_eq(mesh_server_close(scene.server, SECOND / 50), MESH_DEADLINE);
    ck_assert_int_eq(mesh_exchange_reply(scene.kept, &(mesh_reply)MESH_REPLY_INIT), MESH_ECLOSED);
    caller_until_gone(&caller);
    ck_assert_int_eq(call.status, 0);
    call_free(&call);
    caller_close(&caller);
    mesh_server_free(scene.server);
}
END_TEST

/* A peer that never acknowledges does not keep the server from ending. */
START_TEST(test_drain_of_the_deaf)
{
    struct scene scene;
    struct buf bytes;
    struct frame frame;
    start(&scene, by_workers[_i], keep);
    struct peer peer = peer_connect(mesh_server_address(scene.server));
    mesh__buf_init(&bytes, &mesh__mem_system, 1000);
    frame_open(&bytes);
    ck_assert(peer_send(&peer, bytes.data, bytes.size));
    ck_assert(frame_await(&peer, FRAME_SETTINGS, &frame));
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, close_server, &scene), 0);
    ck_assert(frame_await(&peer, FRAME_GOAWAY, &frame));
    ck_assert(!frame_await(&peer, FRAME_DATA, &frame));
    peer_close(&peer);
    pthread_join(thread, NULL);
    ck_assert_int_eq(scene.close_status, MESH_OK);
    mesh__buf_fini(&bytes);
    mesh_server_free(scene.server);
}
END_TEST

START_TEST(test_exchange_outlives_its_server)
{
    struct scene scene;
    struct caller caller;
    struct call call = { .method = "POST", .body = "body", .body_size = 4 };
    start(&scene, by_workers[_i], keep);
    caller_connect(&caller, mesh_server_address(scene.server));
    ck_assert_int_eq(caller_start(&caller, &call), MESH_OK);
    caller_flush(&caller);
    await(&scene.begun);
    mesh_server_free(scene.server);
    caller_until_gone(&caller);
    ck_assert_str_eq(mesh_exchange_method(scene.kept), "POST");
    ck_assert_str_eq(mesh_exchange_authority(scene.kept), "x");
    ck_assert_int_eq(memcmp(mesh_exchange_body(scene.kept), "body", 4), 0);
    ck_assert_int_eq(mesh_exchange_reply(scene.kept, &(mesh_reply)MESH_REPLY_INIT), MESH_ECLOSED);
    call_free(&call);
    caller_close(&caller);
}
END_TEST

/* The connection is reset while its exchange is with a handler. */
START_TEST(test_peer_goes)
{
    struct scene scene;
    struct buf bytes;
    start(&scene, by_workers[_i], keep);
    struct peer peer = peer_connect(mesh_server_address(scene.server));
    mesh__buf_init(&bytes, &mesh__mem_system, 1000);
    frame_open(&bytes);
    frame_put(&bytes, FRAME_HEADERS, FLAG_END_STREAM | FLAG_END_HEADERS, 1, GET_BLOCK, 6);
    ck_assert(peer_send(&peer, bytes.data, bytes.size));
    await(&scene.begun);
    peer_reset(&peer);
    await(&scene.span); /* it says that the request was lost */
    ck_assert_int_eq(mesh_exchange_reply(scene.kept, &(mesh_reply)MESH_REPLY_INIT), MESH_ECLOSED);
    mesh__buf_fini(&bytes);
    mesh_server_free(scene.server);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server: the end of HTTP/2 connections");
    TCase *tcase = tcase_create("all");
    suite_add_tcase(suite, tcase);
    tcase_add_loop_test(tcase, test_drain, 0, 2);
    tcase_add_loop_test(tcase, test_drain_under_load, 0, 2);
    tcase_add_loop_test(tcase, test_drain_takes_too_long, 0, 2);
    tcase_add_loop_test(tcase, test_drain_of_the_deaf, 1, 2);
    tcase_add_loop_test(tcase, test_exchange_outlives_its_server, 0, 2);
    tcase_add_loop_test(tcase, test_peer_goes, 0, 2);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
