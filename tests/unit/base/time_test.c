/* SPDX-License-Identifier: Apache-2.0 */
/* time_test.c - saturating arithmetic at its edges, and the decay against known values. */
#include "base/time.h"

#include <check.h>
#include <stdlib.h>

START_TEST(add)
{
    static const mesh_nanos rows[][3] = {
        { 1, 2, 3 },
        { 5, -7, -2 },
        { INT64_MAX - 1, 1, NANOS_NEVER },
        { INT64_MAX - 1, 2, NANOS_NEVER },
        { INT64_MAX - 1, -1, INT64_MAX - 2 },
        { INT64_MIN, -1, INT64_MIN },
        { INT64_MIN + 1, -1, INT64_MIN },
        { INT64_MIN, INT64_MIN, INT64_MIN },
        { NANOS_NEVER, INT64_MIN, NANOS_NEVER },
        { -5, NANOS_NEVER, NANOS_NEVER },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_msg(mesh__nanos_add(rows[i][0], rows[i][1]) == rows[i][2], "row %zu", i);
        ck_assert_msg(mesh__nanos_add(rows[i][1], rows[i][0]) == rows[i][2], "row %zu, the other way", i);
    }
}
END_TEST

START_TEST(sub)
{
    static const mesh_nanos rows[][3] = {
        { 3, 2, 1 },
        { 2, 3, -1 },
        { NANOS_NEVER, 5, NANOS_NEVER },
        { NANOS_NEVER, NANOS_NEVER, NANOS_NEVER },
        { 5, NANOS_NEVER, 5 - INT64_MAX },
        { -2, NANOS_NEVER, INT64_MIN },
        { INT64_MIN, 1, INT64_MIN },
        { 0, INT64_MIN, NANOS_NEVER },
        { -1, INT64_MIN, INT64_MAX },
        { -5, INT64_MIN, INT64_MAX - 4 },
        { INT64_MIN, INT64_MIN, 0 },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        ck_assert_msg(mesh__nanos_sub(rows[i][0], rows[i][1]) == rows[i][2], "row %zu", i);
}
END_TEST

START_TEST(order_and_units)
{
    ck_assert_int_eq(mesh__nanos_min(NANOS_NEVER, 3), 3);
    ck_assert_int_eq(mesh__nanos_max(NANOS_NEVER, 3), NANOS_NEVER);
    ck_assert_int_eq(mesh__nanos_to_ms(1999999), 1);
    ck_assert_int_eq(mesh__nanos_to_ms(-1), 0);
    ck_assert_int_eq(mesh__nanos_to_ms(NANOS_S), 1000);
}
END_TEST

START_TEST(decay_known)
{
    static const double rows[][2] = {
        { 0, 1 },
        { -3, 1 },
        { 1e-9, 0.999999999 },
        { 0.0005, 0.99950012497916927 },
        { 0.0625, 0.93941306281347581 },
        { 0.1, 0.90483741803595957 },
        { 0.69314718055994531, 0.5 },
        { 1, 0.36787944117144232 },
        { 2.5, 0.0820849986238988 },
        { 10, 4.5399929762484854e-05 },
        { 50, 1.9287498479639178e-22 },
        { 79, 4.9060947306492808e-35 },
        { 80, 0 },
        { 1e300, 0 },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        double is = mesh__decay(rows[i][0]), error = is - rows[i][1];
        ck_assert_msg(error <= rows[i][1] * 1e-6 && -error <= rows[i][1] * 1e-6, "e^-%g is not %.17g", rows[i][0], is);
    }
    ck_assert_double_eq(mesh__decay(__builtin_nan("")), 1.0);
}
END_TEST

START_TEST(decay_falls)
{
    double last = 1;
    for (int i = 1; i < 80000; i++) {
        double is = mesh__decay(i / 1000.0);
        double step = mesh__decay(0.001);
        if (!(is < last && is > 0 && is > last * step * (1 - 2e-6) && is < last * step * (1 + 2e-6)))
            ck_abort_msg("at %d/1000: %.17g after %.17g", i, is, last);
        last = is;
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("time");
    TCase *tcase = tcase_create("time");
    tcase_add_test(tcase, add);
    tcase_add_test(tcase, sub);
    tcase_add_test(tcase, order_and_units);
    tcase_add_test(tcase, decay_known);
    tcase_add_test(tcase, decay_falls);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
