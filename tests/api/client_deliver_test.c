/* SPDX-License-Identifier: Apache-2.0 */
/* client_deliver_test.c - on_completion gets every completion exactly once, also of a client that is closed or freed
 * right after its calls have been started. */
/* label: threaded */
#include "api/client_rows.h"

#include "client/client.h"

#include <check.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define STARTERS 4
#define EACH 16
#define CALLS (STARTERS * EACH)
#define ROUNDS (UNDER_TSAN ? 10 : 60)

static struct harness harness;
static mesh_client *client;
static atomic_int told[CALLS]; /* how often each call has completed */
static atomic_int completed, cancelled, call_spans;
static atomic_bool held, released;

static const char *const quick[] = { "/echo", "/status/503", "/chunked", "/delay/1" };
static const char *const slow[] = { "/echo", "/never" };
static const char *const *paths; /* of two */

static void note(const mesh_completion *completion)
{
    atomic_fetch_add((atomic_int *)completion->user, 1);
    if (completion->status == MESH_CANCELLED)
        atomic_fetch_add(&cancelled, 1);
    mesh_result_free(completion->result);
    atomic_fetch_add(&completed, 1);
}

static void count_completion(const mesh_completion *completion, void *user)
{
    (void)user;
    note(completion);
}

static void count_span(const mesh_span *span, void *user)
{
    (void)user;
    if (span->kind == MESH_SPAN_CALL)
        atomic_fetch_add(&call_spans, 1);
}

static mesh_options options_of(int row, void (*on_completion)(const mesh_completion *, void *))
{
    mesh_options options = MESH_OPTIONS_INIT;
    options.shards = 2;
    options.threads = row == 1 ? 2 : 0;
    options.mode = row == 2 ? MESH_EXTERNAL : MESH_OWNED;
    options.on_completion = on_completion;
    return options;
}

static void reset(void)
{
    for (int i = 0; i < CALLS; i++)
        atomic_store(&told[i], 0);
    atomic_store(&completed, 0);
    atomic_store(&cancelled, 0);
    atomic_store(&call_spans, 0);
    atomic_store(&held, false);
    atomic_store(&released, false);
}

static void open_client(const mesh_options *options)
{
    reset();
    mesh_config *config = harness_config(&harness, TEST_SERVICE);
    ck_assert_int_eq(mesh_client_open(config, options, &client, NULL), MESH_OK);
    mesh_config_free(config);
}

static void *start_calls(void *argument)
{
    atomic_int *mine = argument;
    for (int i = 0; i < EACH; i++) {
        mesh_request request = request_of("GET", paths[i % 2], NULL);
        EXPECT_INT(&harness, mesh_call_start(client, "test", &request, &mine[i], NULL), MESH_OK);
    }
    return NULL;
}

static void start_under_load(const char *const *which)
{
    pthread_t starters[STARTERS];
    paths = which;
    for (int i = 0; i < STARTERS; i++)
        ck_assert_int_eq(pthread_create(&starters[i], NULL, start_calls, &told[i * EACH]), 0);
    for (int i = 0; i < STARTERS; i++)
        ck_assert_int_eq(pthread_join(starters[i], NULL), 0);
}

static void expect_all_told(int round)
{
    for (int i = 0; i < CALLS; i++)
        ck_assert_msg(atomic_load(&told[i]) == 1, "call %d of client %d has completed %d times; %d of %d have", i,
                      round, atomic_load(&told[i]), atomic_load(&completed), CALLS);
}

static void begin(void)
{
    struct cell cell = { DRIVER_DISPATCHER, NETWORK_SOCKETS, 1, false, false };
    harness_begin(&harness, &cell);
}

static void end(void)
{
    ck_assert_msg(harness.message[0] == '\0', "%s", harness.message);
    harness_end(&harness);
}

/* ---- short lives ---- */

START_TEST(close_delivers_all)
{
    mesh_options options = options_of(_i, count_completion);
    options.on_span = count_span;
    begin();
    for (int round = 0; round < ROUNDS; round++) {
        open_client(&options);
        start_under_load(&quick[round % 2 * 2]);
        ck_assert_int_eq(mesh_client_close(client, -1), MESH_OK);
        expect_all_told(round);
        ck_assert_int_eq(atomic_load(&call_spans), CALLS); /* the ring has room for all */
        mesh_client_free(client);
        expect_all_told(round);
    }
    end();
}
END_TEST

/* In a callback of a client that is being freed nothing waits, and everything may be called. */
static void look_around(const mesh_completion *completion, void *user)
{
    (void)user;
    mesh_counters counters = MESH_COUNTERS_INIT;
    EXPECT_INT(&harness, mesh_client_counters(client, "test", NULL, &counters), MESH_OK);
    char *json = mesh_client_inspect(client, "test");
    EXPECT(&harness, json != NULL, "no JSON");
    mesh_string_free(json);
    EXPECT_INT(&harness, mesh_cancel(client, completion->id), MESH_ESTALE);
    if (completion->status == MESH_CANCELLED) /* so the free has begun */
        EXPECT_INT(&harness, mesh_call_start(client, "test", NULL, NULL, NULL), MESH_ECLOSED);
    note(completion);
}

START_TEST(free_delivers_all)
{
    mesh_options options = options_of(_i, look_around);
    begin();
    for (int round = 0; round < ROUNDS; round++) {
        open_client(&options);
        start_under_load(slow);
        mesh_client_free(client);
        expect_all_told(round);
        ck_assert_int_ge(atomic_load(&cancelled), CALLS / 2);
    }
    end();
}
END_TEST

/* ---- a callback that takes its time ---- */

static void hold(const mesh_completion *completion, void *user)
{
    (void)user;
    atomic_store(&held, true);
    while (!atomic_load(&released))
        sched_yield();
    note(completion);
}

static void wait_until_held(void)
{
    while (!atomic_load(&held))
        sched_yield();
}

START_TEST(close_ends_in_time)
{
    static const int64_t timeouts[] = { 0, 5 * NANOS_MS };
    mesh_options options = options_of(0, hold);
    begin();
    open_client(&options);
    start_under_load(quick);
    wait_until_held();
    ck_assert_int_eq(mesh_client_close(client, timeouts[_i]), MESH_DEADLINE);
    ck_assert_int_eq(atomic_load(&completed), 0);
    atomic_store(&released, true);
    ck_assert_int_eq(mesh_client_close(client, -1), MESH_OK); /* waits for the rest */
    expect_all_told(0);
    ck_assert_int_eq(mesh_client_close(client, 0), MESH_OK); /* there is nothing to wait for */
    mesh_client_free(client);
    end();
}
END_TEST

/* After a close that was too short the free still delivers. */
START_TEST(free_after_deadline)
{
    mesh_options options = options_of(_i, hold);
    begin();
    open_client(&options);
    start_under_load(slow);
    wait_until_held();
    ck_assert_int_eq(mesh_client_close(client, 1), MESH_DEADLINE);
    atomic_store(&released, true);
    mesh_client_free(client);
    expect_all_told(0);
    ck_assert_int_ge(atomic_load(&cancelled), CALLS / 2);
    end();
}
END_TEST

/* ---- ends from inside a callback ---- */

static mesh_status closed_with;
static int told_meanwhile;

static void close_here(const mesh_completion *completion, void *user)
{
    (void)user;
    if (!atomic_load(&held)) {
        while (!atomic_load(&released))
            sched_yield();
        closed_with = mesh_client_close(client, -1);
        told_meanwhile = atomic_load(&completed);
        atomic_store(&held, true);
    }
    note(completion);
}

/* It waits for the calls; no callback runs inside another one, so the others come afterwards. */
START_TEST(close_in_a_callback)
{
    mesh_options options = options_of(_i, close_here);
    begin();
    open_client(&options);
    start_under_load(quick);
    atomic_store(&released, true);
    wait_until_held();
    ck_assert_int_eq(mesh_client_close(client, -1), MESH_OK);
    expect_all_told(0);
    mesh_client_free(client);
    ck_assert_int_eq(closed_with, MESH_OK);
    ck_assert_int_eq(told_meanwhile, 0);
    end();
}
END_TEST

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

static void *close_it(void *argument)
{
    (void)argument;
    EXPECT_INT(&harness, mesh_client_close(client, -1), MESH_OK);
    return NULL;
}

static void free_here(const mesh_completion *completion, void *user)
{
    (void)user;
    EXPECT(&harness, atomic_load(&completed) == 0, "a callback came after the free");
    while (atomic_load(&client->state) != CLIENT_CLOSED) /* then the other thread waits for callbacks */
        sched_yield();
    note(completion);
    mesh_client_free(client);
}

/* A close in another thread waits for this callback, which waits in free until nobody is inside: the close gives way.
 */
START_TEST(free_in_a_callback_under_close)
{
    mesh_allocator allocator = { sizeof(allocator), 0, count_allocate, count_resize, count_release, NULL };
    mesh_options options = options_of(_i % 2, free_here);
    options.allocator = &allocator;
    atomic_store(&wholly_gone, false);
    begin();
    open_client(&options);
    start_under_load(quick);
    pthread_t closer;
    ck_assert_int_eq(pthread_create(&closer, NULL, close_it, NULL), 0);
    ck_assert_int_eq(pthread_join(closer, NULL), 0);
    while (!atomic_load(&wholly_gone))
        sched_yield();
    ck_assert_int_eq(atomic_load(&completed), 1);
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client, delivery at the end");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 40);
    tcase_add_loop_test(tcase, close_delivers_all, 0, 2);
    tcase_add_loop_test(tcase, free_delivers_all, 0, 3);
    tcase_add_loop_test(tcase, close_ends_in_time, 0, 2);
    tcase_add_loop_test(tcase, free_after_deadline, 0, 2);
    tcase_add_loop_test(tcase, close_in_a_callback, 0, 2);
    tcase_add_loop_test(tcase, free_in_a_callback_under_close, 0, 4);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
