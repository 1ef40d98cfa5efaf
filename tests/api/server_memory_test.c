/* SPDX-License-Identifier: Apache-2.0 */
/* server_memory_test.c - every block comes from the user's allocator and goes back to it, also when memory runs out. */
/* label: threaded */
#include "api/server_http2_peer.h"

#include <check.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GET(path) "GET " path " HTTP/1.1\r\nhost: x\r\n\r\n"

static const char *const by_workers[] = { "{\"workers\": 0}", "{\"workers\": 4}" };

struct scene {
    mesh_server *server;
    sem_t freed;
};

static void handle(mesh_exchange *exchange, void *user)
{
    (void)user;
    mesh_reply reply = MESH_REPLY_INIT;
    (void)mesh_exchange_reply(exchange, &reply);
}

static void on_log(int32_t level, const char *line, void *user)
{
    (void)level;
    (void)line;
    (void)user;
}

struct counted {
    atomic_long live;
    atomic_long left; /* allocations that still succeed; below 0: all do */
};

static bool may_allocate(struct counted *counted)
{
    long left = counted->left;
    while (left > 0 && !atomic_compare_exchange_weak(&counted->left, &left, left - 1))
        continue;
    return left != 0;
}

static void *counted_allocate(size_t bytes, void *user)
{
    struct counted *counted = user;
    void *block = may_allocate(counted) ? malloc(bytes) : NULL;
    if (block != NULL)
        counted->live++;
    return block;
}

static void *counted_resize(void *block, size_t old_bytes, size_t bytes, void *user)
{
    (void)old_bytes;
    return may_allocate(user) ? realloc(block, bytes) : NULL;
}

static void counted_release(void *block, void *user)
{
    struct counted *counted = user;
    counted->live--;
    free(block);
}

static void free_on_span(const mesh_span *span, void *user)
{
    struct scene *scene = user;
    (void)span;
    mesh_server_free(scene->server);
    sem_post(&scene->freed);
}

START_TEST(test_free_from_a_callback)
{
    struct scene scene = { .server = NULL };
    struct counted counted = { 0, -1 };
    mesh_allocator allocator = { sizeof(allocator), 0, counted_allocate, counted_resize, counted_release, &counted };
    mesh_options options = MESH_OPTIONS_INIT;
    options.on_span = free_on_span;
    options.allocator = &allocator;
    options.user = &scene;
    sem_init(&scene.freed, 0, 0);
    scene.server = open_server(by_workers[_i], &options, handle, &scene);
    struct peer peer = peer_connect(mesh_server_address(scene.server));
    ck_assert_int_eq(peer_ask(&peer, GET("/"), NULL, 0), 200);
    await(&scene.freed);
    ck_assert(peer_at_end(&peer));
    while (counted.live > 0) /* the last piece goes when the callback has returned */
        sched_yield();
    peer_close(&peer);
}
END_TEST

/* One exchange under scarcity: whatever comes, the server survives it and gives every block back. */
static bool exchange_once(struct counted *counted, mesh_server *server, long left)
{
    struct peer peer = peer_connect(mesh_server_address(server));
    ck_assert(peer_say(&peer, "POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\nbaggage: a=b\r\n"
                              "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
                              "tracestate: a=b\r\ncontent-length: 4\r\n"));
    counted->left = left;
    struct answer answer;
    bool ok = false;
    if (peer_say(&peer, "\r\n") && peer_read(&peer, false, &answer)) {
        bool go_on = answer.status == 100;
        answer_free(&answer);
        if (go_on && peer_say(&peer, "body") && peer_read(&peer, false, &answer)) {
            ok = answer.status == 200;
            answer_free(&answer);
        }
    }
    counted->left = -1;
    peer_close(&peer);
    return ok;
}

START_TEST(test_memory_runs_out_while_serving)
{
    struct scene scene = { .server = NULL };
    struct counted counted = { 0, -1 };
    mesh_allocator allocator = { sizeof(allocator), 0, counted_allocate, counted_resize, counted_release, &counted };
    mesh_options options = MESH_OPTIONS_INIT;
    options.allocator = &allocator;
    mesh_server *server = open_server(by_workers[_i], &options, handle, &scene);
    long left = 0;
    while (!exchange_once(&counted, server, left) && left < 200)
        left++;
    ck_assert_int_gt(left, 2);
    ck_assert_int_lt(left, 200);
    ck_assert(exchange_once(&counted, server, -1));
    mesh_server_free(server);
    ck_assert_int_eq(counted.live, 0);
}
END_TEST

/* The same over HTTP/2; the peer's own memory is not scarce. */
static bool exchange_over_http2(struct counted *counted, mesh_server *server, long left)
{
    struct caller caller;
    struct call call = { .method = "POST", .body = "body", .body_size = 4 };
    call_field(&call, "baggage", "a=b");
    call_field(&call, "tracestate", "a=b");
    call_field(&call, "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    caller_connect(&caller, mesh_server_address(server));
    counted->left = left;
    bool ok = caller_ask(&caller, &call) == 200;
    counted->left = -1;
    call_free(&call);
    caller_close(&caller);
    return ok;
}

START_TEST(test_memory_runs_out_over_http2)
{
    struct scene scene = { .server = NULL };
    struct counted counted = { 0, -1 };
    mesh_allocator allocator = { sizeof(allocator), 0, counted_allocate, counted_resize, counted_release, &counted };
    mesh_options options = MESH_OPTIONS_INIT;
    options.allocator = &allocator;
    mesh_server *server = open_server(by_workers[_i], &options, handle, &scene);
    long left = 0;
    while (!exchange_over_http2(&counted, server, left) && left < 400)
        left++;
    ck_assert_int_gt(left, 2);
    ck_assert_int_lt(left, 400);
    ck_assert(exchange_over_http2(&counted, server, -1));
    mesh_server_free(server);
    ck_assert_int_eq(counted.live, 0);
}
END_TEST

static mesh_status open_once(const char *listen, const char *name, struct counted *counted, mesh_server **out,
                             char *why, size_t room)
{
    mesh_config *config;
    mesh_error *error = NULL;
    mesh_allocator allocator = { sizeof(allocator), 0, counted_allocate, counted_resize, counted_release, counted };
    mesh_options options = MESH_OPTIONS_INIT;
    options.allocator = &allocator;
    options.on_log = on_log;
    ck_assert_int_eq(mesh_config_new(&config), MESH_OK);
    ck_assert_int_eq(mesh_config_set_string(config, "/servers/test/listen", listen), MESH_OK);
    mesh_status status = mesh_server_open(config, name, &options, handle, NULL, out, &error);
    ck_assert_int_eq(status, mesh_error_status(error));
    ck_assert((status == MESH_OK) == (*out != NULL));
    (void)snprintf(why, room, "%s", mesh_error_text(error));
    mesh_error_free(error);
    mesh_config_free(config);
    return status;
}

START_TEST(test_memory_runs_out_while_opening)
{
    struct counted counted = { 0, 0 };
    char why[400];
    mesh_server *server = NULL;
    mesh_status status = MESH_NO_MEMORY;
    long left = 0;
    for (; status != MESH_OK && left < 5000; left++) {
        counted.left = left;
        status = open_once("127.0.0.1:0", "test", &counted, &server, why, sizeof(why));
        ck_assert_msg(status == MESH_OK || status == MESH_NO_MEMORY, "%d: %s", (int)status, why);
        if (status != MESH_OK)
            ck_assert_msg(counted.live == 0, "%ld blocks are lost after %ld", (long)counted.live, left);
    }
    ck_assert_int_eq(status, MESH_OK);
    ck_assert_int_gt(left, 5);
    mesh_server_free(server);
    ck_assert_int_eq(counted.live, 0);
}
END_TEST

START_TEST(test_open_fails)
{
    ck_assert_int_eq(mesh_server_close(NULL, 0), MESH_EINVAL);
    mesh_server_free(NULL);
    ck_assert_str_eq(mesh_server_address(NULL), "");
    struct counted counted = { 0, -1 };
    char why[400];
    mesh_server *server = NULL, *again = NULL;
    ck_assert_int_eq(open_once("127.0.0.1:0", "tets", &counted, &server, why, sizeof(why)), MESH_ESERVICE);
    ck_assert_ptr_nonnull(strstr(why, "tets"));
    ck_assert_int_eq(open_once("no address", "test", &counted, &server, why, sizeof(why)), MESH_ECONFIG);
    ck_assert_int_eq(open_once("127.0.0.1:0", "test", &counted, &server, why, sizeof(why)), MESH_OK);
    ck_assert_int_eq(open_once(mesh_server_address(server), "test", &counted, &again, why, sizeof(why)), MESH_SYSTEM);
    ck_assert_ptr_nonnull(strstr(why, "Address already in use"));
    mesh_server_free(server);
    ck_assert_int_eq(counted.live, 0);

    mesh_config *config;
    mesh_options bad = MESH_OPTIONS_INIT;
    mesh_allocator half = { sizeof(half), 0, counted_allocate, NULL, NULL, NULL };
    ck_assert_int_eq(mesh_config_new(&config), MESH_OK);
    ck_assert_int_eq(mesh_server_open(NULL, "test", NULL, handle, NULL, &server, NULL), MESH_EINVAL);
    ck_assert_int_eq(mesh_server_open(config, NULL, NULL, handle, NULL, &server, NULL), MESH_EINVAL);
    ck_assert_int_eq(mesh_server_open(config, "test", NULL, NULL, NULL, &server, NULL), MESH_EINVAL);
    ck_assert_int_eq(mesh_server_open(config, "test", NULL, handle, NULL, NULL, NULL), MESH_EINVAL);
    bad.allocator = &half;
    ck_assert_int_eq(mesh_server_open(config, "test", &bad, handle, NULL, &server, NULL), MESH_EINVAL);
    mesh_config_free(config);
}
END_TEST

/* Smaller than the first version of the struct: nobody has set it up. The same words as the client's. */
START_TEST(test_options_are_not_set_up)
{
    static const uint32_t sizes[] = { 0, 1, offsetof(mesh_options, user), sizeof(mesh_options) };
    mesh_config *config;
    ck_assert_int_eq(mesh_config_new(&config), MESH_OK);
    ck_assert_int_eq(mesh_config_set_string(config, "/servers/test/listen", "127.0.0.1:0"), MESH_OK);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        mesh_options options = MESH_OPTIONS_INIT;
        mesh_server *server = NULL;
        mesh_client *client = NULL;
        mesh_error *why[2] = { NULL, NULL };
        options.size = sizes[i];
        mesh_status expected = sizes[i] < sizeof(options) ? MESH_EINVAL : MESH_OK;
        mesh_status served = mesh_server_open(config, "test", &options, handle, NULL, &server, &why[0]);
        mesh_status opened = mesh_client_open(config, &options, &client, &why[1]);
        ck_assert_msg(served == expected && opened == expected, "size %u: %s and %s", sizes[i],
                      mesh_status_name(served), mesh_status_name(opened));
        ck_assert_int_eq(server != NULL, expected == MESH_OK);
        ck_assert_str_eq(mesh_error_text(why[0]), mesh_error_text(why[1]));
        ck_assert_int_eq(strstr(mesh_error_text(why[0]), "options.size") != NULL, expected != MESH_OK);
        mesh_error_free(why[0]);
        mesh_error_free(why[1]);
        mesh_server_free(server);
        mesh_client_free(client);
    }
    mesh_config_free(config);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server: memory");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    tcase_add_loop_test(tcase, test_free_from_a_callback, 0, 2);
    tcase_add_loop_test(tcase, test_memory_runs_out_while_serving, 0, 2);
    tcase_add_loop_test(tcase, test_memory_runs_out_over_http2, 0, 2);
    tcase_add_test(tcase, test_memory_runs_out_while_opening);
    tcase_add_test(tcase, test_open_fails);
    tcase_add_test(tcase, test_options_are_not_set_up);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
