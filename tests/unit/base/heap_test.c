/* SPDX-License-Identifier: Apache-2.0 */
/* heap_test.c - timers come out in order whatever was added, moved and removed before. */
#include "base/heap.h"

#include "base/rng.h"
#include "poor_mem.h"

#include <check.h>
#include <stdlib.h>

enum { TIMERS = 300 };

START_TEST(empty)
{
    struct heap heap;
    struct timer timer = { 0 };
    mesh__heap_init(&heap, &mesh__mem_system);
    ck_assert_ptr_null(mesh__heap_first(&heap));
    mesh__heap_remove(&heap, &timer);
    ck_assert_ptr_null(mesh__heap_first(&heap));
    mesh__heap_fini(&heap);
    mesh__heap_fini(&heap);
}
END_TEST

static mesh_nanos earliest(const struct timer *timers)
{
    mesh_nanos least = NANOS_NEVER;
    for (int i = 0; i < TIMERS; i++)
        if (timers[i].place != 0)
            least = mesh__nanos_min(least, timers[i].due);
    return least;
}

static size_t count(const struct timer *timers)
{
    size_t in = 0;
    for (int i = 0; i < TIMERS; i++)
        in += timers[i].place != 0;
    return in;
}

START_TEST(against_a_plain_search)
{
    static struct timer timers[TIMERS];
    struct heap heap;
    struct rng rng;
    mesh__heap_init(&heap, &mesh__mem_system);
    mesh__rng_init(&rng, 4);
    for (int step = 0; step < 20000; step++) {
        uint64_t r = mesh__rng_next(&rng);
        struct timer *timer = &timers[r % TIMERS];
        if ((r >> 32) % 3 == 0)
            mesh__heap_remove(&heap, timer);
        else if (!mesh__heap_set(&heap, timer, (mesh_nanos)(r >> 40) % 500))
            ck_abort_msg("memory");
        struct timer *first = mesh__heap_first(&heap);
        if (heap.size != count(timers) || (first ? first->due : NANOS_NEVER) != earliest(timers))
            ck_abort_msg("step %d", step);
        if (timer->place != 0 && heap.slots[timer->place - 1] != timer)
            ck_abort_msg("step %d: a timer does not know its place", step);
    }
    mesh_nanos last = 0;
    for (struct timer *timer; (timer = mesh__heap_first(&heap)) != NULL; mesh__heap_remove(&heap, timer)) {
        ck_assert_int_ge(timer->due, last);
        last = timer->due;
    }
    ck_assert_uint_eq(count(timers), 0);
    mesh__heap_fini(&heap);
}
END_TEST

START_TEST(without_memory)
{
    struct poor_mem poor;
    struct heap heap;
    struct timer timers[65] = { { 0 } };
    poor_init(&poor, 0);
    mesh__heap_init(&heap, &poor.mem);
    ck_assert(!mesh__heap_set(&heap, &timers[0], 5));
    ck_assert(timers[0].place == 0 && heap.size == 0);
    poor.left = 1;
    ck_assert(mesh__heap_reserve(&heap, 64));
    for (int i = 0; i < 64; i++)
        ck_assert_msg(mesh__heap_set(&heap, &timers[i], 100 - i), "reserved: timer %d", i);
    ck_assert(!mesh__heap_set(&heap, &timers[64], 1));
    ck_assert_ptr_eq(mesh__heap_first(&heap), &timers[63]);
    ck_assert_msg(mesh__heap_set(&heap, &timers[0], 1), "moving needs no memory");
    ck_assert_ptr_eq(mesh__heap_first(&heap), &timers[0]);
    mesh__heap_fini(&heap);
    ck_assert_int_eq(poor.blocks, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("heap");
    TCase *tcase = tcase_create("heap");
    tcase_add_test(tcase, empty);
    tcase_add_test(tcase, against_a_plain_search);
    tcase_add_test(tcase, without_memory);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
