/* SPDX-License-Identifier: Apache-2.0 */
/* gate_test.c - the cap, panic, and the gate word. */
#include "policy/gate.h"

#include <check.h>
#include <stdlib.h>

START_TEST(cap)
{
    static const uint32_t rows[][2] = { { 0, 0 }, { 1, 0 }, { 2, 1 }, { 3, 1 }, { 4, 2 }, { 5, 2 }, { 11, 5 } };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        ck_assert_msg(mesh__gate_cap(rows[i][0]) == rows[i][1], "%u endpoints", rows[i][0]);
    for (uint32_t n = 1; n < 5000; n++) {
        ck_assert_msg(mesh__gate_cap(n) < n, "never the last of %u", n);
        ck_assert_msg(mesh__gate_cap(n) * 2 <= n, "at most half of %u", n);
        ck_assert_msg(n < 2 || mesh__gate_cap(n) >= 1, "at least one of %u", n);
    }
    ck_assert_uint_eq(mesh__gate_cap(UINT32_MAX), UINT32_MAX / 2);
}
END_TEST

START_TEST(panic)
{
    static const struct {
        uint32_t endpoints, unhealthy;
        bool panic;
    } rows[] = { { 0, 0, false }, { 0, 5, false },  { 1, 0, false }, { 1, 1, true },          { 2, 1, false },
                 { 2, 2, true },  { 3, 1, false },  { 3, 2, true },  { 4, 2, false },         { 4, 3, true },
                 { 4, 9, true },  { 11, 5, false }, { 11, 6, true }, { UINT32_MAX, 0, false } };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        ck_assert_msg(mesh__gate_panic(rows[i].endpoints, rows[i].unhealthy) == rows[i].panic, "row %zu", i);
}
END_TEST

START_TEST(word)
{
    enum gate_reason other = (enum gate_reason)2;
    struct gate g = { 0 };
    ck_assert(!mesh__gate_has_place(g) && !mesh__gate_has_reason(g));
    ck_assert_msg(mesh__gate_with_place(g).word == 0, "no place without a reason");
    g = mesh__gate_with_place(mesh__gate_with_reason(g, GATE_BREAKER));
    ck_assert(mesh__gate_has_place(g) && mesh__gate_has_reason(g));
    g = mesh__gate_with_reason(g, other);
    g = mesh__gate_without_reason(g, GATE_BREAKER);
    ck_assert_msg(mesh__gate_has_place(g), "one place whatever the reasons");
    g = mesh__gate_without_reason(g, other);
    ck_assert_msg(g.word == 0, "the last reason cleared frees the place");
    ck_assert_uint_eq(mesh__gate_without_reason(g, GATE_BREAKER).word, 0);
    struct gate waiting = mesh__gate_with_reason(g, GATE_BREAKER);
    ck_assert(!mesh__gate_has_place(waiting) && mesh__gate_has_reason(waiting));
    ck_assert_uint_eq(mesh__gate_without_reason(waiting, GATE_BREAKER).word, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gate");
    TCase *tcase = tcase_create("gate");
    tcase_add_test(tcase, cap);
    tcase_add_test(tcase, panic);
    tcase_add_test(tcase, word);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
