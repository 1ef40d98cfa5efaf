/* SPDX-License-Identifier: Apache-2.0 */
/* client_steady_test.c - a call like the one before it takes no memory, whoever drives, over both protocols, in plain
 * text and over mutual TLS. */
#include "api/client_rows.h"
#include "client/client.h"

#include <check.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SANITIZED
#endif
#endif

/* Until both connections' header tables are full: each answer has a field with a value of its own, x-request, of which
 * an HTTP/2 peer has the client keep the latest hundred. */
#define WARM_CALLS 600

static _Atomic uint64_t allocations;

/* Whatever this process asks the C library for counts, also by libraries below ours, but for what the peer asks for.
 * Sanitizers have allocators of their own: there it is what the client asks its allocator for. */
#ifndef SANITIZED
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);

void *malloc(size_t size)
{
    if (!http_peer_is_here())
        atomic_fetch_add(&allocations, 1);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    if (!http_peer_is_here())
        atomic_fetch_add(&allocations, 1);
    return __libc_calloc(count, size);
}

void *realloc(void *block, size_t size)
{
    if (!http_peer_is_here())
        atomic_fetch_add(&allocations, 1);
    return __libc_realloc(block, size);
}
#endif

static void *count_allocate(size_t bytes, void *user)
{
    (void)user;
    atomic_fetch_add(&allocations, 1);
    return malloc(bytes);
}

static void *count_resize(void *block, size_t old_bytes, size_t bytes, void *user)
{
    (void)old_bytes;
    (void)user;
    atomic_fetch_add(&allocations, 1);
    return realloc(block, bytes);
}

static void count_release(void *block, void *user)
{
    (void)user;
    free(block);
}

/* One shard, or for permanent drivers, of which there are two, always the same one: that of this thread's CPU. */
static void stay_on_one_cpu(void)
{
    cpu_set_t all, one;
    ck_assert_int_eq(sched_getaffinity(0, sizeof(all), &all), 0);
    CPU_ZERO(&one);
    for (size_t i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &one);
    ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
}

/* Permanent drivers have their shards once they have started; before that a caller may use either. */
static bool all_are_driven(void *user)
{
    const struct mesh_client *client = user;
    uint32_t driven = 0;
    for (uint32_t i = 0; i < client->shard_count; i++)
        driven += atomic_load(&client->shards[i]->locked);
    return driven == client->shard_count;
}

/* Pinned ones ask each endpoint in turn. */
static void make_calls(struct harness *harness, int count, bool pinned)
{
    static const char *const paths[] = { "/echo", "/chunked", "/big/2000", "/status/204" };
    for (int i = 0; i < count; i++) {
        mesh_request request = request_of("POST", paths[i % 4], "some bytes");
        request.endpoint = pinned ? harness->endpoints[i / 4 % 2] : NULL;
        mesh_result *result = harness_call(harness, "test", &request);
        EXPECT(harness, mesh_result_code(result) == MESH_OK, "%s", mesh_result_message(result));
        mesh_result_free(result);
    }
}

START_TEST(calls_take_no_memory)
{
    struct cell cell = { (enum driver)(_i % DRIVERS), NETWORK_SOCKETS, 1, _i / DRIVERS % 2 == 1, _i / DRIVERS > 1 };
    mesh_allocator allocator = { sizeof(allocator), 0, count_allocate, count_resize, count_release, NULL };
    struct harness harness;
    harness_begin(&harness, &cell);
    harness.options.allocator = &allocator;
    harness.options.shards = cell.driver == DRIVER_THREADS ? 0 : 1;
    harness_open(&harness, "{'test': {'endpoints': ['@0', '@1'], 'timeout': '60s'}}");
    stay_on_one_cpu();
    if (cell.driver == DRIVER_THREADS)
        harness_until(&harness, all_are_driven, harness.client);
    make_calls(&harness, WARM_CALLS, true);
    uint64_t before = atomic_load(&allocations);
    make_calls(&harness, 400, false);
    uint64_t after = atomic_load(&allocations); /* libcheck takes memory of its own */
    ck_assert_uint_gt(before, 0);
    ck_assert_uint_eq(after, before);
    harness_close(&harness);
    ck_assert_msg(harness.message[0] == '\0', "%s", harness.message);
    harness_end(&harness);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client, steady state");
    TCase *tcase = tcase_create("steady");
    tcase_set_timeout(tcase, 20);
    tcase_add_loop_test(tcase, calls_take_no_memory, 0, DRIVERS * 4);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    harness_make_certificates();
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    harness_remove_certificates();
    return failed ? 1 : 0;
}
