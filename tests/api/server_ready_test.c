/* SPDX-License-Identifier: Apache-2.0 */
/* server_ready_test.c - mesh_exchange_on_ready() of exchanges whose peer or server has gone. */
/* label: threaded */
#include "api/server_peer.h"

#include <check.h>
#include <stdatomic.h>

#define OPEN_REQUEST "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"

struct scene {
    mesh_server *server;
    sem_t entered, called;
    atomic_int asked; /* what on_ready() answered */
    atomic_int calls;
    mesh_exchange *kept;
};

static void drop(mesh_exchange *exchange, void *user)
{
    struct scene *scene = user;
    scene->calls++;
    mesh_exchange_drop(exchange);
    sem_post(&scene->called);
}

/* Waits for the end of the peer, or of the server, and asks only then. */
static void ask_late(mesh_exchange *exchange, void *user)
{
    struct scene *scene = user;
    char byte;
    size_t got;
    sem_post(&scene->entered);
    ck_assert_int_eq(mesh_exchange_read(exchange, &byte, 1, -1, &got), MESH_ECLOSED);
    mesh_status status = mesh_exchange_on_ready(exchange, drop, scene);
    scene->asked = status;
    if (status != MESH_OK)
        mesh_exchange_drop(exchange);
}

static void keep(mesh_exchange *exchange, void *user)
{
    struct scene *scene = user;
    scene->kept = exchange;
    sem_post(&scene->entered);
}

static struct peer begin(struct scene *scene, mesh_handler handler)
{
    mesh_options options = MESH_OPTIONS_INIT;
    *scene = (struct scene){ .asked = -1 };
    sem_init(&scene->entered, 0, 0);
    sem_init(&scene->called, 0, 0);
    options.flags = MESH_STREAM_REQUESTS;
    scene->server = open_server("{\"workers\": 1}", &options, handler, scene);
    struct peer peer = peer_connect(mesh_server_address(scene->server));
    ck_assert(peer_say(&peer, OPEN_REQUEST));
    await(&scene->entered);
    return peer;
}

START_TEST(test_peer_has_gone)
{
    struct scene scene;
    struct peer peer = begin(&scene, ask_late);
    peer_reset(&peer);
    await(&scene.called);
    mesh_server_free(scene.server);
    ck_assert_int_eq(scene.asked, MESH_OK);
    ck_assert_int_eq(scene.calls, 1);
}
END_TEST

/* Whichever it is told, it comes true before the server has gone. */
START_TEST(test_server_goes)
{
    struct scene scene;
    struct peer peer = begin(&scene, ask_late);
    mesh_server_free(scene.server);
    ck_assert(scene.asked == MESH_OK || scene.asked == MESH_ECLOSED);
    ck_assert_int_eq(scene.calls, scene.asked == MESH_OK ? 1 : 0);
    peer_close(&peer);
}
END_TEST

START_TEST(test_server_has_gone)
{
    struct scene scene;
    struct peer peer = begin(&scene, keep);
    const void *message;
    char byte;
    size_t got;
    mesh_server_free(scene.server);
    ck_assert_int_eq(mesh_exchange_read(scene.kept, &byte, 1, 0, &got), MESH_ECLOSED);
    ck_assert_int_eq(mesh_exchange_receive(scene.kept, 0, &message, &got), MESH_ECLOSED);
    ck_assert_int_eq(mesh_exchange_on_ready(scene.kept, drop, &scene), MESH_ECLOSED);
    ck_assert_int_eq(scene.calls, 0);
    mesh_exchange_drop(scene.kept);
    peer_close(&peer);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server: on_ready of what has gone");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, test_peer_has_gone);
    tcase_add_test(tcase, test_server_goes);
    tcase_add_test(tcase, test_server_has_gone);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
