/* SPDX-License-Identifier: Apache-2.0 */
/* client_end_test.c - freeing a client that other threads are in, or from its own callbacks; and who delivers when
 * several threads drive loops. */
/* label: threaded */
#include "api/client_rows.h"

#include "client/client.h"

#include <check.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

struct scene {
    struct harness harness;
    mesh_client *client;
    mesh_status status;
};

static void open_client(struct scene *scene, mesh_options *options)
{
    struct cell cell = { DRIVER_BLOCKING, NETWORK_MEMORY, 1, false, false };
    memset(scene, 0, sizeof(*scene));
    harness_begin(&scene->harness, &cell);
    mesh_config *config = harness_config(&scene->harness, TEST_SERVICE);
    options->user = scene;
    ck_assert_int_eq(mesh__client_open(scene->harness.world, config, options, &scene->client, NULL), MESH_OK);
    mesh_config_free(config);
}

static void end_scene(struct scene *scene)
{
    ck_assert_msg(scene->harness.message[0] == '\0', "%s", scene->harness.message);
    harness_end(&scene->harness);
}

/* ---- free waits for whoever is inside ---- */

static void *close_it(void *argument)
{
    struct scene *scene = argument;
    scene->status = mesh_client_close(scene->client, -1);
    return NULL;
}

START_TEST(free_under_close)
{
    static struct scene scene;
    mesh_options options = MESH_OPTIONS_INIT;
    options.shards = 2;
    options.threads = _i % 2 ? 2 : 0;
    open_client(&scene, &options);
    mesh_request never = request_of("GET", "/never", NULL);
    ck_assert_int_eq(mesh_call_start(scene.client, "test", &never, NULL, NULL), MESH_OK);
    pthread_t closer;
    ck_assert_int_eq(pthread_create(&closer, NULL, close_it, &scene), 0);
    while (atomic_load(&scene.client->state) == CLIENT_OPEN)
        sched_yield();
    mesh_client_free(scene.client); /* the call never ends by itself, so the closer is inside for certain */
    ck_assert_int_eq(pthread_join(closer, NULL), 0);
    ck_assert_int_eq(scene.status, MESH_OK); /* nothing was cut: the call ended in time */
    end_scene(&scene);
}
END_TEST

static void *count_it(void *argument)
{
    struct scene *scene = argument;
    mesh_counters counters = MESH_COUNTERS_INIT;
    scene->status = mesh_client_counters(scene->client, "test", NULL, &counters);
    return NULL;
}

static void *inspect_it(void *argument)
{
    struct scene *scene = argument;
    char *json = mesh_client_inspect(scene->client, NULL);
    scene->status = json ? MESH_OK : MESH_EINTERNAL;
    mesh_string_free(json);
    return NULL;
}

static void *reload_it(void *argument)
{
    struct scene *scene = argument;
    mesh_config *config = harness_config(&scene->harness, TEST_SERVICE);
    scene->status = mesh_client_reload(scene->client, config, NULL);
    mesh_config_free(config);
    return NULL;
}

static void *free_it(void *argument)
{
    struct scene *scene = argument;
    mesh_client_free(scene->client);
    return NULL;
}

/* The lock of what is published keeps the function inside until the client is being freed. */
START_TEST(free_under_others)
{
    static void *(*const functions[])(void *) = { count_it, inspect_it, reload_it };
    static struct scene scene;
    mesh_options options = MESH_OPTIONS_INIT;
    options.shards = 1;
    open_client(&scene, &options);
    pthread_t inside, outside;
    pthread_mutex_lock(&scene.client->publish);
    ck_assert_int_eq(pthread_create(&inside, NULL, functions[_i], &scene), 0);
    while (atomic_load(&scene.client->shards[0]->inside) == 0)
        sched_yield();
    ck_assert_int_eq(pthread_create(&outside, NULL, free_it, &scene), 0);
    while (atomic_load(&scene.client->state) != CLIENT_FREEING)
        sched_yield();
    pthread_mutex_unlock(&scene.client->publish);
    ck_assert_int_eq(pthread_join(inside, NULL), 0);
    ck_assert_int_eq(pthread_join(outside, NULL), 0);
    ck_assert_int_eq(scene.status, MESH_OK);
    end_scene(&scene);
}
END_TEST

/* ---- nothing comes after a free in a callback ---- */

static atomic_bool all_started, freed;
static atomic_int late;

static void free_here(struct scene *scene)
{
    while (!atomic_load(&all_started)) /* no function may begin once the client is being freed */
        sched_yield();
    if (atomic_exchange(&freed, true))
        return;
    mesh_client_free(scene->client);
}

static void on_completion(const mesh_completion *completion, void *user)
{
    atomic_fetch_add(&late, atomic_load(&freed));
    mesh_result_free(completion->result);
    free_here(user);
}

static void on_span(const mesh_span *span, void *user)
{
    (void)span;
    (void)user;
    atomic_fetch_add(&late, atomic_load(&freed));
}

static void on_span_free(const mesh_span *span, void *user)
{
    on_span(span, user);
    free_here(user);
}

static _Atomic int64_t blocks;
static atomic_bool wholly_gone; /* the last block came back */

static void *count_allocate(size_t bytes, void *user)
{
    (void)user;
    void *block = malloc(bytes);
    atomic_fetch_add(&blocks, block != NULL);
    return block;
}

static void *count_resize(void *block, size_t old_bytes, size_t bytes, void *user)
{
    (void)old_bytes;
    (void)user;
    void *moved = realloc(block, bytes);
    atomic_fetch_add(&blocks, block == NULL && moved != NULL);
    return moved;
}

static void count_release(void *block, void *user)
{
    (void)user;
    free(block);
    if (block != NULL && atomic_fetch_sub(&blocks, 1) == 1)
        atomic_store(&wholly_gone, true);
}

START_TEST(silence_after_free)
{
    static struct scene scene;
    bool external = _i % 2 == 1;
    mesh_allocator allocator = { sizeof(allocator), 0, count_allocate, count_resize, count_release, NULL };
    mesh_options options = MESH_OPTIONS_INIT;
    options.mode = external ? MESH_EXTERNAL : MESH_OWNED;
    options.allocator = &allocator;
    options.on_span = _i < 2 ? on_span : on_span_free;
    options.on_completion = _i < 2 ? on_completion : NULL;
    atomic_store(&all_started, false);
    atomic_store(&freed, false);
    atomic_store(&wholly_gone, false);
    atomic_store(&late, 0);
    open_client(&scene, &options);
    for (int i = 0; i < 8; i++) /* each has two spans */
        ck_assert_int_eq(mesh_call_start(scene.client, "test", NULL, NULL, NULL), MESH_OK);
    atomic_store(&all_started, true);
    while (external && !atomic_load(&freed))
        ck_assert_int_eq(mesh_loop_process(scene.client, 0), MESH_OK);
    while (!atomic_load(&wholly_gone))
        sched_yield();
    ck_assert_int_eq(atomic_load(&late), 0);
    end_scene(&scene);
}
END_TEST

static atomic_int completed;

/* ---- close delivers ---- */

static void complete_slowly(const mesh_completion *completion, void *user)
{
    (void)user;
    for (int i = 0; i < 20; i++)
        sched_yield();
    mesh_result_free(completion->result);
    atomic_fetch_add(&completed, 1);
}

START_TEST(close_delivers)
{
    static struct scene scene;
    mesh_options options = MESH_OPTIONS_INIT;
    options.on_completion = complete_slowly;
    atomic_store(&completed, 0);
    open_client(&scene, &options);
    mesh_request never = request_of("GET", "/never", NULL);
    for (int i = 0; i < 50; i++)
        ck_assert_int_eq(mesh_call_start(scene.client, "test", _i == 1 && i % 5 == 0 ? &never : NULL, NULL, NULL),
                         MESH_OK);
    ck_assert_int_eq(mesh_client_close(scene.client, _i == 1 ? 0 : -1), _i == 1 ? MESH_DEADLINE : MESH_OK);
    if (_i == 0)
        ck_assert_int_eq(atomic_load(&completed), 50);
    mesh_client_free(scene.client); /* gives out what close had no time for */
    ck_assert_int_eq(atomic_load(&completed), 50);
    end_scene(&scene);
}
END_TEST

static void close_here(const mesh_completion *completion, void *user)
{
    struct scene *scene = user;
    mesh_result_free(completion->result);
    scene->status = mesh_client_close(scene->client, -1); /* does not wait for itself */
    atomic_fetch_add(&completed, 1);
}

START_TEST(close_in_a_callback)
{
    static struct scene scene;
    mesh_options options = MESH_OPTIONS_INIT;
    options.on_completion = close_here;
    atomic_store(&completed, 0);
    open_client(&scene, &options);
    ck_assert_int_eq(mesh_call_start(scene.client, "test", NULL, NULL, NULL), MESH_OK);
    while (atomic_load(&completed) == 0)
        sched_yield();
    mesh_client_free(scene.client);
    ck_assert_int_eq(scene.status, MESH_OK);
    end_scene(&scene);
}
END_TEST

/* ---- two loops, one deliverer ---- */

static atomic_bool held, released;

static void hold(int32_t level, const char *line, void *user)
{
    (void)level;
    (void)line;
    (void)user;
    if (atomic_exchange(&held, true))
        return;
    while (!atomic_load(&released))
        sched_yield();
}

static void count_completion(const mesh_completion *completion, void *user)
{
    (void)user;
    mesh_result_free(completion->result);
    atomic_fetch_add(&completed, 1);
}

static void *process_first(void *argument)
{
    struct scene *scene = argument;
    while (!atomic_load(&held))
        EXPECT_INT(&scene->harness, mesh_loop_process(scene->client, 0), MESH_OK);
    return NULL;
}

static void start_on(struct scene *scene, uint32_t loop)
{
    uint64_t id;
    /* A call takes a loop that nobody drives: the other one is held by this thread meanwhile. */
    atomic_store(&scene->client->shards[1 - loop]->locked, 1);
    ck_assert_int_eq(mesh_call_start(scene->client, "test", NULL, NULL, &id), MESH_OK);
    atomic_store(&scene->client->shards[1 - loop]->locked, 0);
    ck_assert_uint_eq(id >> 56, loop);
}

static bool is_readable(struct scene *scene, uint32_t loop)
{
    struct pollfd fd = { mesh_loop_fd(scene->client, loop), POLLIN, 0 };
    return poll(&fd, 1, 0) == 1;
}

/* While one thread is in a callback another one's loop completes a call, and leaves it to the first, whose descriptor
 * must then ask for one more turn: nobody would come back otherwise. */
START_TEST(left_to_the_deliverer)
{
    static struct scene scene;
    mesh_options options = MESH_OPTIONS_INIT;
    options.mode = MESH_EXTERNAL;
    options.shards = 2;
    options.on_log = hold;
    options.on_completion = count_completion;
    atomic_store(&held, false);
    atomic_store(&released, false);
    atomic_store(&completed, 0);
    open_client(&scene, &options);
    mesh__outbox_log(scene.client->outbox, MESH_LOG_ERROR, "log lines come after completions");
    pthread_t first;
    ck_assert_int_eq(pthread_create(&first, NULL, process_first, &scene), 0);
    while (!atomic_load(&held))
        sched_yield();
    start_on(&scene, 1);
    while (atomic_load(&scene.client->shards[1]->live_calls) > 0)
        ck_assert_int_eq(mesh_loop_process(scene.client, 1), MESH_OK);
    ck_assert_int_eq(atomic_load(&completed), 0); /* left to the first thread */
    atomic_store(&released, true);
    ck_assert_int_eq(pthread_join(first, NULL), 0);
    for (int turns = 0; atomic_load(&completed) == 0; turns++) {
        ck_assert_msg(turns < 10 && is_readable(&scene, 0), "nobody is asked to deliver the completion");
        ck_assert_int_eq(mesh_loop_process(scene.client, 0), MESH_OK);
    }
    mesh_client_free(scene.client);
    end_scene(&scene);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client, end");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 20);
    tcase_add_loop_test(tcase, free_under_close, 0, 40);
    tcase_add_loop_test(tcase, free_under_others, 0, 3);
    tcase_add_loop_test(tcase, silence_after_free, 0, 4);
    tcase_add_loop_test(tcase, close_delivers, 0, 2);
    tcase_add_test(tcase, close_in_a_callback);
    tcase_add_test(tcase, left_to_the_deliverer);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
