/* SPDX-License-Identifier: Apache-2.0 */
/* result_test.c - blocks of results: each belongs to one holder at a time, comes back from any thread, and none is lost
 * or made in vain, whatever threads do at once. */
/* label: threaded */
#include "client/result.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>

static _Atomic int64_t blocks;      /* not yet given back */
static _Atomic int64_t allocations; /* of any kind */

static void *count_allocate(size_t bytes, void *user)
{
    (void)user;
    atomic_fetch_add(&blocks, 1);
    atomic_fetch_add(&allocations, 1);
    return malloc(bytes);
}

static void *count_resize(void *block, size_t old_bytes, size_t bytes, void *user)
{
    (void)block;
    (void)old_bytes;
    (void)bytes;
    (void)user;
    abort(); /* no block changes its size */
}

static void count_release(void *block, void *user)
{
    (void)user;
    atomic_fetch_sub(&blocks, 1);
    free(block);
}

static const struct mem counting = { count_allocate, count_resize, count_release, NULL };
static struct store *store;

static void setup(void)
{
    store = mesh__store_new(&counting);
    ck_assert_ptr_nonnull(store);
    atomic_store(&allocations, 0);
}

START_TEST(a_block_that_came_back_is_used_again)
{
    for (int i = 0; i < 1000; i++) {
        struct mesh_result *first = mesh__result_take(store), *second = mesh__result_take(store);
        ck_assert_ptr_nonnull(first);
        ck_assert_ptr_nonnull(second);
        ck_assert_ptr_ne(first, second);
        ck_assert_uint_eq(first->body_size + first->header_count + first->attempt_count + first->used, 0);
        ck_assert_ptr_nonnull(mesh__result_alloc(first, 100)); /* within the block */
        mesh__result_release(i % 2 ? first : second);
        mesh__result_release(i % 2 ? second : first);
    }
    ck_assert_int_eq(atomic_load(&allocations), 2);
    mesh__store_close(store);
    ck_assert_int_eq(atomic_load(&blocks), 0);
}
END_TEST

START_TEST(each_store_gets_its_own_back)
{
    struct store *other = mesh__store_new(&counting);
    struct mesh_result *here = mesh__result_take(store), *there = mesh__result_take(other);
    mesh__result_release(there);
    mesh__result_release(here);
    ck_assert_ptr_eq(mesh__result_take(other), there);
    ck_assert_ptr_eq(mesh__result_take(store), here);
    mesh__result_release(there);
    mesh__result_release(here);
    mesh__store_close(store);
    mesh__store_close(other);
    ck_assert_int_eq(atomic_load(&blocks), 0);
}
END_TEST

START_TEST(blocks_outlive_their_store)
{
    enum { COUNT = 5 };
    struct mesh_result *results[COUNT];
    for (int i = 0; i < COUNT; i++)
        results[i] = mesh__result_take(store);
    mesh__result_release(results[0]); /* lies in the store when that is closed */
    mesh__store_close(store);
    for (int i = 1; i < COUNT; i++) {
        ck_assert_int_eq(atomic_load(&blocks), COUNT + 1 - i); /* those and the store */
        ck_assert_ptr_nonnull(mesh__result_alloc(results[i], 2 * (size_t)BLOCK_SIZE));
        mesh__result_release(results[i]);
    }
    ck_assert_int_eq(atomic_load(&blocks), 0);
}
END_TEST

START_TEST(static_results_belong_to_nobody)
{
    mesh__result_release(NULL);
    mesh__result_release(mesh__result_static(MESH_NO_MEMORY));
    ck_assert_int_eq(mesh__result_static(MESH_NO_MEMORY)->status, MESH_NO_MEMORY);
    mesh__store_close(NULL);
    mesh__store_close(store);
    ck_assert_int_eq(atomic_load(&blocks), 0);
}
END_TEST

static void look_at_fields(const struct mesh_result *result, size_t headers, size_t trailers)
{
    mesh_header field;
    ck_assert_uint_eq(mesh_result_header_count(result), headers);
    ck_assert_uint_eq(mesh_result_trailer_count(result), trailers);
    ck_assert_int_eq(mesh_result_header(result, headers, &field), MESH_EINVAL);
    ck_assert_int_eq(mesh_result_trailer(result, trailers, &field), MESH_EINVAL);
    ck_assert_int_eq(mesh_result_trailer(result, 0, NULL), MESH_EINVAL);
    ck_assert_int_eq(mesh_result_trailer(result, 0, &field), trailers > 0 ? MESH_OK : MESH_EINVAL);
    ck_assert_ptr_null(mesh_result_trailer_value(result, NULL));
    ck_assert_ptr_null(mesh_result_trailer_value(result, "x")); /* a header only */
    ck_assert_ptr_null(mesh_result_header_value(result, "grpc-status"));
}

START_TEST(headers_and_trailers_are_copies_of_their_own)
{
    static const mesh_header headers[] = { { "x", 1, "head", 4 } };
    static const mesh_header trailers[] = { { "Grpc-Status", 11, "0", 1 }, { "empty", 5, NULL, 0 } };
    struct mesh_result *result = mesh__result_take(store);
    look_at_fields(NULL, 0, 0);
    look_at_fields(result, 0, 0);
    ck_assert(mesh__result_set_trailers(result, trailers, 2));
    look_at_fields(result, 0, 2);
    ck_assert(mesh__result_set_headers(result, headers, 1));
    look_at_fields(result, 1, 2);
    ck_assert_str_eq(mesh_result_trailer_value(result, "grpc-status"), "0");
    ck_assert_str_eq(mesh_result_trailer_value(result, "EMPTY"), "");
    ck_assert_str_eq(mesh_result_header_value(result, "X"), "head");
    mesh__result_drop_response(result);
    look_at_fields(result, 0, 0);
    mesh__result_release(result);
    mesh__store_close(store);
    ck_assert_int_eq(atomic_load(&blocks), 0);
}
END_TEST

/* ---- many threads ---- */

#define THREADS 8
#define PLACES 4

enum { ROUNDS = 20000 };
static _Atomic(struct mesh_result *) places[PLACES]; /* on their way from one thread to another */
static _Atomic int64_t wanted, peak;                 /* blocks in hand or asked for, and the most of it */
static _Atomic uint32_t shared_by_two;

static struct mesh_result *take_marked(uint64_t mark)
{
    int64_t now = atomic_fetch_add(&wanted, 1) + 1, most = atomic_load(&peak);
    while (most < now && !atomic_compare_exchange_weak(&peak, &most, now))
        ;
    struct mesh_result *result = mesh__result_take(store);
    ck_assert_ptr_nonnull(result);
    result->tag = mark;
    return result;
}

static void release_marked(struct mesh_result *result)
{
    result->tag = 0;
    mesh__result_release(result);
    atomic_fetch_sub(&wanted, 1);
}

/* Holds up to two blocks, gives some to other threads, and looks that nobody else has written into its own. */
static void *use_blocks(void *argument)
{
    const uint64_t self = (uint64_t)(uintptr_t)argument;
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t mark = self << 32 | (uint64_t)i << 1;
        struct mesh_result *first = take_marked(mark), *second = i % 3 ? take_marked(mark + 1) : NULL;
        if (first->tag != mark || (second && second->tag != mark + 1))
            atomic_fetch_add(&shared_by_two, 1);
        struct mesh_result *given = second ? atomic_exchange(&places[(self + (uint64_t)i) % PLACES], second) : NULL;
        if (given)
            release_marked(given);
        release_marked(first);
    }
    return NULL;
}

static void run_threads(pthread_t threads[THREADS])
{
    for (uintptr_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, use_blocks, (void *)(i + 1)), 0);
}

static void join_threads(const pthread_t threads[THREADS])
{
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

START_TEST(no_block_has_two_holders_and_none_is_made_in_vain)
{
    pthread_t threads[THREADS];
    run_threads(threads);
    join_threads(threads);
    ck_assert_uint_eq(atomic_load(&shared_by_two), 0);
    ck_assert_int_le(atomic_load(&allocations), atomic_load(&peak));
    mesh__store_close(store);
    for (int i = 0; i < PLACES; i++)
        mesh__result_release(atomic_load(&places[i]));
    ck_assert_int_eq(atomic_load(&blocks), 0);
}
END_TEST

static void *release_all(void *argument)
{
    struct mesh_result **results = argument;
    for (int i = 0; results[i]; i++)
        mesh__result_release(results[i]);
    return NULL;
}

START_TEST(a_store_is_closed_while_blocks_come_back)
{
    enum { EACH = 50 };
    for (int round = 0; round < 100; round++) {
        struct mesh_result *results[THREADS][EACH + 1];
        pthread_t threads[THREADS];
        for (int i = 0; i < THREADS; i++) {
            for (int j = 0; j < EACH; j++)
                results[i][j] = mesh__result_take(store);
            results[i][EACH] = NULL;
        }
        for (int i = 0; i < THREADS; i++)
            ck_assert_int_eq(pthread_create(&threads[i], NULL, release_all, results[i]), 0);
        mesh__store_close(store);
        join_threads(threads);
        ck_assert_int_eq(atomic_load(&blocks), 0);
        setup();
    }
    mesh__store_close(store);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_block_that_came_back_is_used_again,
        each_store_gets_its_own_back,
        blocks_outlive_their_store,
        static_results_belong_to_nobody,
        headers_and_trailers_are_copies_of_their_own,
        no_block_has_two_holders_and_none_is_made_in_vain,
        a_store_is_closed_while_blocks_come_back,
    };
    Suite *suite = suite_create("results");
    TCase *tcase = tcase_create("results");
    tcase_add_checked_fixture(tcase, setup, NULL);
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
