/* SPDX-License-Identifier: Apache-2.0 */
/* estimate_test.c - peaks count at once, good news by and by, and clocks that differ do no harm. */
#include "policy/estimate.h"

#include "base/rng.h"

#include <check.h>
#include <stdlib.h>

static double kept(mesh_nanos elapsed)
{
    return mesh__decay((double)elapsed / (double)(2 * NANOS_S));
}

START_TEST(no_history)
{
    struct estimate e = mesh__estimate_initial();
    ck_assert(mesh__estimate_fresh(e));
    ck_assert_double_eq(mesh__estimate_read(e, false, NANOS_S), 0);
    ck_assert_double_eq(mesh__estimate_read(e, true, NANOS_S), 0);
    e = mesh__estimate_record(e, 0, 0);
    ck_assert_msg(!mesh__estimate_fresh(e), "a sample of nothing at time 0 is history");
    e = mesh__estimate_record(mesh__estimate_initial(), 5 * NANOS_MS, 3000 * NANOS_S);
    ck_assert_double_eq_tol(mesh__estimate_read(e, true, 3000 * NANOS_S), 5e6, 1);
}
END_TEST

START_TEST(higher_replaces_lower_pulls)
{
    struct estimate e = mesh__estimate_record(mesh__estimate_initial(), 100 * NANOS_MS, NANOS_S);
    e = mesh__estimate_record(e, 300 * NANOS_MS, NANOS_S);
    ck_assert_double_eq_tol(mesh__estimate_read(e, true, NANOS_S), 300e6, 32);
    e = mesh__estimate_record(e, 100 * NANOS_MS, 3 * NANOS_S);
    ck_assert_double_eq_tol(mesh__estimate_read(e, true, 0), 100e6 + 200e6 * kept(2 * NANOS_S), 100);
    e = mesh__estimate_record(e, 100 * NANOS_MS, 200 * NANOS_S);
    ck_assert_double_eq_tol(mesh__estimate_read(e, true, 0), 100e6, 100);
}
END_TEST

START_TEST(samples_of_one_turn_weigh_one_unit_each)
{
    struct estimate e = mesh__estimate_record(mesh__estimate_initial(), NANOS_S, NANOS_S);
    double expected = 1e9;
    for (int i = 0; i < 50; i++) {
        e = mesh__estimate_record(e, 0, NANOS_S);
        expected *= kept(NANOS_MS);
        ck_assert_double_eq_tol(mesh__estimate_read(e, true, NANOS_S), expected, 1e3);
    }
}
END_TEST

START_TEST(decays_only_while_nothing_is_in_flight)
{
    struct estimate e = mesh__estimate_record(mesh__estimate_initial(), NANOS_S, NANOS_S);
    ck_assert_double_eq_tol(mesh__estimate_read(e, true, 9 * NANOS_S), 1e9, 1);
    ck_assert_double_eq_tol(mesh__estimate_read(e, false, 9 * NANOS_S), 1e9 * kept(8 * NANOS_S), 1e4);
    ck_assert_double_eq(mesh__estimate_read(e, false, 900 * NANOS_S), 0);
}
END_TEST

START_TEST(raise_and_reset)
{
    struct estimate fresh = mesh__estimate_initial();
    struct estimate e = mesh__estimate_raise(fresh, 10 * NANOS_MS, NANOS_S);
    ck_assert_double_eq_tol(mesh__estimate_read(e, true, 0), 10e6, 1);
    struct estimate same = mesh__estimate_raise(e, 5 * NANOS_MS, 2 * NANOS_S);
    ck_assert(same.cost >= e.cost && same.cost <= e.cost && same.stamp == e.stamp);
    e = mesh__estimate_raise(e, 20 * NANOS_MS, 2 * NANOS_S);
    ck_assert_double_eq_tol(mesh__estimate_read(e, true, 0), 20e6, 1);
    e = mesh__estimate_reset(e, NANOS_MS, 2 * NANOS_S);
    ck_assert_double_eq_tol(mesh__estimate_read(e, true, 0), 1e6, 1);
    ck_assert(!mesh__estimate_fresh(mesh__estimate_reset(fresh, 0, 0)));
}
END_TEST

/* now - stamp in ms, and how much time that is taken for. */
START_TEST(stamps_of_other_clocks)
{
    static const struct {
        uint32_t stamp, now, elapsed;
        bool stamp_stays;
    } rows[] = {
        { 5000, 5000, 0, false },      { 5000, 7000, 2000, false },        { 5000, 4999, 0, true },
        { 70000, 10001, 0, true },     { 70000, 9999, 0xffff159f, false }, { UINT32_MAX, 1000, 1001, false },
        { 1000, UINT32_MAX, 0, true },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct estimate e = { 1e9F, rows[i].stamp };
        mesh_nanos now = (mesh_nanos)rows[i].now * NANOS_MS;
        double expected = 1e9 * mesh__decay((double)rows[i].elapsed / ESTIMATE_TAU_MS);
        double read = mesh__estimate_read(e, false, now);
        ck_assert_msg(read > expected - 1e3 && read < expected + 1e3, "row %zu: %f, not %f", i, read, expected);
        uint32_t stamp = mesh__estimate_record(e, 0, now).stamp;
        ck_assert_msg(stamp == (rows[i].stamp_stays ? rows[i].stamp : rows[i].now), "row %zu: stamp %u", i, stamp);
    }
}
END_TEST

/* Beyond 2^32 ms the stamp wraps and the estimate goes on. */
START_TEST(stamp_wraps)
{
    mesh_nanos wrap = ((mesh_nanos)UINT32_MAX + 1) * NANOS_MS;
    struct estimate e = mesh__estimate_record(mesh__estimate_initial(), NANOS_S, wrap - NANOS_S);
    ck_assert_double_eq_tol(mesh__estimate_read(e, false, wrap + NANOS_S), 1e9 * kept(2 * NANOS_S), 1e5);
    e = mesh__estimate_record(e, 0, wrap);
    ck_assert_msg(!mesh__estimate_fresh(e), "a stamp of 0 would mean no history");
}
END_TEST

START_TEST(stays_between_its_samples)
{
    struct rng rng;
    mesh__rng_init(&rng, 5);
    struct estimate e = mesh__estimate_initial();
    mesh_nanos now = NANOS_S;
    for (int i = 0; i < 100000; i++) {
        uint64_t r = mesh__rng_next(&rng);
        now += (mesh_nanos)(r % 5000000) - 1000000;
        mesh_nanos sample = 10 * NANOS_MS + (mesh_nanos)((r >> 32) % 1000000000);
        double before = mesh__estimate_read(e, true, now);
        e = mesh__estimate_record(e, sample, now);
        double after = mesh__estimate_read(e, true, now);
        ck_assert(after >= 9.99e6 && after <= 1.02e9);
        ck_assert_msg(after >= (double)sample - 64, "step %d: a peak is not lost", i);
        ck_assert_msg(after <= before + 64 || after <= (double)sample + 64, "step %d: rises to the sample at most", i);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("estimate");
    TCase *tcase = tcase_create("estimate");
    tcase_add_test(tcase, no_history);
    tcase_add_test(tcase, higher_replaces_lower_pulls);
    tcase_add_test(tcase, samples_of_one_turn_weigh_one_unit_each);
    tcase_add_test(tcase, decays_only_while_nothing_is_in_flight);
    tcase_add_test(tcase, raise_and_reset);
    tcase_add_test(tcase, stamps_of_other_clocks);
    tcase_add_test(tcase, stamp_wraps);
    tcase_add_test(tcase, stays_between_its_samples);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
