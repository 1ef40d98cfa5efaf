/* SPDX-License-Identifier: Apache-2.0 */
/* rng_test.c - the published sequence, seeds, and bounds. */
#include "base/rng.h"

#include <check.h>
#include <stdlib.h>

/* The sequence from the state {1, 2, 3, 4}, as the authors' code gives it. */
START_TEST(published_sequence)
{
    static const uint64_t expected[] = {
        11520,
        0,
        1509978240,
        1215971899390074240u,
        1216172134540287360u,
        607988272756665600u,
        16172922978634559625u,
        8476171486693032832u,
        10595114339597558777u,
        2904607092377533576u,
    };
    struct rng rng = { { 1, 2, 3, 4 } };
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        ck_assert_msg(mesh__rng_next(&rng) == expected[i], "number %zu", i);
}
END_TEST

START_TEST(seeds)
{
    struct rng a, b, c;
    mesh__rng_init(&a, 0);
    ck_assert_msg(a.state[0] == 0xe220a8397b1dcdafu, "splitmix64 of 0");
    mesh__rng_init(&b, 0);
    mesh__rng_init(&c, 1);
    int differ = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t from_a = mesh__rng_next(&a);
        ck_assert_uint_eq(from_a, mesh__rng_next(&b));
        differ += from_a != mesh__rng_next(&c);
    }
    ck_assert_int_eq(differ, 1000);
}
END_TEST

START_TEST(below)
{
    ck_assert_uint_eq(mesh__rng_below(UINT32_MAX, 0), 0);
    ck_assert_uint_eq(mesh__rng_below(UINT32_MAX, 1), 0);
    ck_assert_uint_eq(mesh__rng_below(UINT32_MAX, 7), 6);
    ck_assert_uint_eq(mesh__rng_below(0, 7), 0);
    ck_assert_uint_eq(mesh__rng_below(UINT32_MAX, UINT32_MAX), UINT32_MAX - 1);
    struct rng rng;
    mesh__rng_init(&rng, 9);
    int counts[7] = { 0 };
    for (int i = 0; i < 70000; i++)
        counts[mesh__rng_below((uint32_t)(mesh__rng_next(&rng) >> 32), 7)]++;
    for (int i = 0; i < 7; i++)
        ck_assert_msg(counts[i] > 9600 && counts[i] < 10400, "%d: %d times", i, counts[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rng");
    TCase *tcase = tcase_create("rng");
    tcase_add_test(tcase, published_sequence);
    tcase_add_test(tcase, seeds);
    tcase_add_test(tcase, below);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
