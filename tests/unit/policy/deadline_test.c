/* SPDX-License-Identifier: Apache-2.0 */
/* deadline_test.c - the least of all deadlines, and what fits into it. */
#include "policy/deadline.h"

#include <check.h>
#include <stdlib.h>

START_TEST(of_call)
{
    static const struct {
        mesh_nanos start, request, inbound, service, at;
        bool is_short;
    } rows[] = {
        { 100, 0, NANOS_NEVER, 50, 150, false },
        { 100, 50, NANOS_NEVER, 50, 150, false },
        { 100, 20, NANOS_NEVER, 50, 120, true },
        { 100, 70, NANOS_NEVER, 50, 150, false },
        { 100, 0, 130, 50, 130, true },
        { 100, 20, 130, 50, 120, true },
        { 100, 20, 110, 50, 110, true },
        { 100, 0, 90, 50, 90, true },
        { 100, -1, NANOS_NEVER, 0, NANOS_NEVER, false },
        { 100, NANOS_NEVER, NANOS_NEVER, NANOS_NEVER, NANOS_NEVER, false },
        { NANOS_NEVER - 5, 10, NANOS_NEVER, 20, NANOS_NEVER, false },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct deadline d = mesh__deadline_of_call(rows[i].start, rows[i].request, rows[i].inbound, rows[i].service);
        ck_assert_msg(d.at == rows[i].at && d.is_short == rows[i].is_short, "row %zu: %lld", i, (long long)d.at);
    }
}
END_TEST

START_TEST(of_attempt)
{
    ck_assert_int_eq(mesh__deadline_of_attempt(100, 0, 10), 100);
    ck_assert_int_eq(mesh__deadline_of_attempt(100, 50, 10), 60);
    ck_assert_int_eq(mesh__deadline_of_attempt(100, 95, 10), 100);
    ck_assert_int_eq(mesh__deadline_of_attempt(NANOS_NEVER, 0, 10), NANOS_NEVER);
    ck_assert_int_eq(mesh__deadline_of_attempt(NANOS_NEVER, 5, 10), 15);
}
END_TEST

START_TEST(fits)
{
    ck_assert(mesh__deadline_fits(10 * NANOS_MS, 9 * NANOS_MS, 0));
    ck_assert_msg(!mesh__deadline_fits(10 * NANOS_MS, 9 * NANOS_MS + 1, 0), "less than 1 ms is left");
    ck_assert(mesh__deadline_fits(10 * NANOS_MS, 4 * NANOS_MS, 5 * NANOS_MS));
    ck_assert(!mesh__deadline_fits(10 * NANOS_MS, 4 * NANOS_MS, 5 * NANOS_MS + 1));
    ck_assert(!mesh__deadline_fits(10 * NANOS_MS, 11 * NANOS_MS, -NANOS_S));
    ck_assert(mesh__deadline_fits(NANOS_NEVER, NANOS_NEVER - 1, NANOS_NEVER));
    ck_assert(!mesh__deadline_fits(NANOS_NEVER - 1, 0, NANOS_NEVER));
}
END_TEST

START_TEST(left)
{
    ck_assert_int_eq(mesh__deadline_left_ms(NANOS_NEVER, 5), -1);
    ck_assert_int_eq(mesh__deadline_left_ms(10 * NANOS_MS, 0), 10);
    ck_assert_int_eq(mesh__deadline_left_ms(10 * NANOS_MS, 1), 9);
    ck_assert_int_eq(mesh__deadline_left_ms(10 * NANOS_MS, 10 * NANOS_MS), 0);
    ck_assert_int_eq(mesh__deadline_left_ms(10 * NANOS_MS, 90 * NANOS_MS), 0);
    ck_assert_int_eq(mesh__deadline_left_ms(0, INT64_MIN), NANOS_NEVER / NANOS_MS);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("deadline");
    TCase *tcase = tcase_create("deadline");
    tcase_add_test(tcase, of_call);
    tcase_add_test(tcase, of_attempt);
    tcase_add_test(tcase, fits);
    tcase_add_test(tcase, left);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
