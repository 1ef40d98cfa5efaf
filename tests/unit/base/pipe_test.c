/* SPDX-License-Identifier: Apache-2.0 */
/* pipe_test.c - what went in comes out at its position, stays where it lies, and memory is used again. */
#include "base/pipe.h"

#include "base/rng.h"
#include "poor_mem.h"

#include <check.h>
#include <stdlib.h>

enum { MOST = 3 * (int)PIPE_CHUNK };

/* The byte at a position. */
static char byte_at(uint64_t at)
{
    return (char)(at * 31 + at / 251);
}

static void fill(char *space, uint64_t at, size_t size)
{
    for (size_t i = 0; i < size; i++)
        space[i] = byte_at(at + i);
}

static void check_bytes(const char *bytes, uint64_t at, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != byte_at(at + i))
            ck_abort_msg("byte %llu", (unsigned long long)(at + i));
}

static size_t below(struct rng *rng, size_t bound)
{
    return mesh__rng_below((uint32_t)(mesh__rng_next(rng) >> 32), (uint32_t)bound);
}

START_TEST(any_sizes)
{
    struct rng rng;
    struct pipe pipe;
    static char space[MOST];
    mesh__rng_init(&rng, (uint64_t)_i);
    mesh__pipe_init(&pipe, &mesh__mem_system);
    for (int step = 0; step < 3000; step++) {
        size_t size = below(&rng, below(&rng, 2) ? 100 : MOST);
        if (mesh__pipe_size(&pipe) < 4 * MOST && below(&rng, 2)) {
            fill(space, pipe.end, size);
            ck_assert(mesh__pipe_append(&pipe, space, size));
        } else if (below(&rng, 2)) {
            uint64_t from = pipe.begin;
            size_t taken = mesh__pipe_take(&pipe, space, size);
            ck_assert(taken == size || pipe.begin == pipe.end);
            check_bytes(space, from, taken);
        } else {
            uint64_t at = pipe.begin + below(&rng, mesh__pipe_size(&pipe) + 1);
            struct view piece = mesh__pipe_at(&pipe, at, size);
            ck_assert(piece.size <= size && piece.size <= pipe.end - at);
            ck_assert_msg(piece.size > 0 || size == 0 || at == pipe.end, "nothing although there is something");
            check_bytes(piece.data, at, piece.size);
            mesh__pipe_release(&pipe, at);
        }
    }
    mesh__pipe_fini(&pipe);
    mesh__pipe_fini(&pipe);
}
END_TEST

START_TEST(kept_bytes_do_not_move)
{
    struct pipe pipe;
    static char space[MOST];
    mesh__pipe_init(&pipe, &mesh__mem_system);
    fill(space, 0, MOST);
    ck_assert(mesh__pipe_append(&pipe, space, 10));
    struct view lent = mesh__pipe_at(&pipe, 0, 10);
    ck_assert(mesh__pipe_append(&pipe, space + 10, MOST - 10));
    ck_assert_ptr_eq(mesh__pipe_at(&pipe, 0, 10).data, lent.data);
    mesh__pipe_release(&pipe, 9);
    ck_assert_ptr_eq(mesh__pipe_at(&pipe, 9, 1).data, lent.data + 9);
    check_bytes(lent.data + 9, 9, 1);
    mesh__pipe_fini(&pipe);
}
END_TEST

START_TEST(memory_serves_again)
{
    struct poor_mem poor;
    struct pipe pipe;
    static char space[MOST];
    poor_init(&poor, 4);
    mesh__pipe_init(&pipe, &poor.mem);
    for (int round = 0; round < 100; round++) {
        fill(space, pipe.end, MOST);
        ck_assert(mesh__pipe_append(&pipe, space, MOST));
        ck_assert_uint_eq(mesh__pipe_take(&pipe, space, MOST - 5), MOST - 5);
        mesh__pipe_release(&pipe, pipe.end);
    }
    ck_assert_int_le(poor.blocks, 4);
    mesh__pipe_fini(&pipe);
    ck_assert_int_eq(poor.blocks, 0);
}
END_TEST

START_TEST(all_or_nothing)
{
    static char space[MOST];
    for (int left = 0; left < 3; left++) {
        struct poor_mem poor;
        struct pipe pipe;
        poor_init(&poor, left);
        mesh__pipe_init(&pipe, &poor.mem);
        fill(space, 0, MOST);
        ck_assert(!mesh__pipe_append(&pipe, space, MOST));
        ck_assert_uint_eq(mesh__pipe_size(&pipe), 0);
        ck_assert(mesh__pipe_reserve(&pipe, (size_t)left * PIPE_CHUNK));
        ck_assert(mesh__pipe_append(&pipe, space, (size_t)left * PIPE_CHUNK));
        ck_assert_uint_eq(mesh__pipe_take(&pipe, space, MOST), (size_t)left * PIPE_CHUNK);
        mesh__pipe_fini(&pipe);
        ck_assert_int_eq(poor.blocks, 0);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pipe");
    TCase *tcase = tcase_create("pipe");
    tcase_add_loop_test(tcase, any_sizes, 0, 5);
    tcase_add_test(tcase, kept_bytes_do_not_move);
    tcase_add_test(tcase, memory_serves_again);
    tcase_add_test(tcase, all_or_nothing);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
