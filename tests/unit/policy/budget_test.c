/* SPDX-License-Identifier: Apache-2.0 */
/* budget_test.c - the bucket against its formula, under any clock. */
#include "policy/budget.h"

#include "base/rng.h"

#include <check.h>
#include <stdlib.h>

static const struct budget_config config = { .ratio = 0.2, .per_second = 10 };

static uint32_t drain(struct budget *b, mesh_nanos now)
{
    uint32_t granted = 0;
    struct budget_answer answer;
    while ((answer = mesh__budget_withdraw(*b, &config, now)).granted) {
        *b = answer.next;
        ck_assert_msg(++granted < 3000000, "the bucket has a bottom");
    }
    *b = answer.next;
    return granted;
}

START_TEST(starts_full_and_empties)
{
    struct budget b = mesh__budget_initial(&config, 5 * NANOS_S);
    ck_assert_uint_eq(mesh__budget_balance(b), 100);
    ck_assert_uint_eq(drain(&b, 5 * NANOS_S), 100);
    ck_assert_uint_eq(mesh__budget_balance(b), 0);
}
END_TEST

START_TEST(follows_its_formula)
{
    static const struct {
        uint32_t tokens, requests;
        mesh_nanos elapsed;
        double expected;
    } rows[] = {
        { 0, 0, NANOS_S, 10 },
        { 0, 5, 0, 1 },
        { 0, 32, 0, 6.4 },
        { 100, 0, NANOS_S, 100 },
        { 200, 0, NANOS_S, 190 },
        { 50, 10, 2 * NANOS_S, 62 },
        { 0, 0, 10 * NANOS_S, 100 },
        { 5000, 0, 10 * NANOS_S, 100 },
        { 5000, 0, 86400 * NANOS_S, 100 },
        { 5000, 10, 11 * NANOS_S, 102 },
        { 0, 0, 9999 * NANOS_MS, 99.99 },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct budget b = { rows[i].tokens * 4096, 1000 };
        b = mesh__budget_deposit(b, &config, rows[i].requests, NANOS_S + rows[i].elapsed);
        double tokens = (double)b.tokens / 4096;
        ck_assert_msg(tokens > rows[i].expected - 0.001 && tokens < rows[i].expected + 0.001, "row %zu: %f", i, tokens);
    }
}
END_TEST

START_TEST(late_stamp_never_refills)
{
    struct rng rng;
    mesh__rng_init(&rng, 3);
    for (int i = 0; i < 20000; i++) {
        uint32_t stamp = (uint32_t)mesh__rng_next(&rng);
        uint32_t behind = (uint32_t)(mesh__rng_next(&rng) % 60000);
        struct budget b = { (uint32_t)(mesh__rng_next(&rng) % 4096), stamp };
        mesh_nanos now = (mesh_nanos)(uint32_t)(stamp - behind) * NANOS_MS;
        struct budget_answer answer = mesh__budget_withdraw(b, &config, now);
        ck_assert_msg(!answer.granted && answer.next.tokens == b.tokens, "stamp %u, %u behind", stamp, behind);
        ck_assert_msg(behind == 0 || answer.next.stamp == stamp || stamp - behind == 0, "the stamp stays");
    }
}
END_TEST

START_TEST(saturates)
{
    struct budget b = mesh__budget_deposit(mesh__budget_initial(&config, 0), &config, UINT32_MAX, 0);
    for (int i = 0; i < 10; i++)
        b = mesh__budget_deposit(b, &config, UINT32_MAX, 0);
    ck_assert_uint_eq(b.tokens, UINT32_MAX);
    static const struct budget_config none = { 0, 0 };
    b = mesh__budget_initial(&none, 0);
    ck_assert(!mesh__budget_withdraw(b, &none, 100 * NANOS_S).granted);
    static const struct budget_config vast = { 1e30, UINT32_MAX };
    b = mesh__budget_deposit(mesh__budget_initial(&vast, 0), &vast, 7, NANOS_S);
    ck_assert_uint_eq(b.tokens, UINT32_MAX);
}
END_TEST

/* Whoever asks all the time gets at most ratio * requests + per_second * time + what the bucket held. */
START_TEST(grants_stay_within_the_budget)
{
    struct rng rng;
    mesh__rng_init(&rng, (uint64_t)_i);
    struct budget b = mesh__budget_initial(&config, 0);
    mesh_nanos now = 0;
    double requests = 0, granted = 0;
    while (now < 60 * NANOS_S) {
        uint64_t r = mesh__rng_next(&rng);
        now += (mesh_nanos)(r % 20) * NANOS_MS;
        mesh_nanos seen = now - (mesh_nanos)((r >> 20) % 30) * NANOS_MS;
        uint32_t more = (uint32_t)(r >> 40) % 32;
        b = mesh__budget_deposit(b, &config, more, mesh__nanos_max(seen, 0));
        requests += more;
        granted += drain(&b, mesh__nanos_max(seen, 0));
        double limit = 100 + 0.2 * requests + 10 * (double)now / 1e9;
        ck_assert_msg(granted <= limit + 1, "at %lld: %f of %f", (long long)now, granted, limit);
    }
    ck_assert_msg(granted >= 0.95 * (0.2 * requests + 600), "and hardly less: %f", granted);
}
END_TEST

START_TEST(settles_where_inflow_meets_leak)
{
    struct budget b = mesh__budget_initial(&config, 0);
    for (mesh_nanos now = 0; now < 100 * NANOS_S; now += 10 * NANOS_MS)
        b = mesh__budget_deposit(b, &config, 10, now);
    /* 1000/s * 0.2 + 10/s = tokens / 10 s */
    ck_assert_uint_ge(mesh__budget_balance(b), 2090);
    ck_assert_uint_le(mesh__budget_balance(b), 2110);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("budget");
    TCase *tcase = tcase_create("budget");
    tcase_add_test(tcase, starts_full_and_empties);
    tcase_add_test(tcase, follows_its_formula);
    tcase_add_test(tcase, late_stamp_never_refills);
    tcase_add_test(tcase, saturates);
    tcase_add_loop_test(tcase, grants_stay_within_the_budget, 1, 4);
    tcase_add_test(tcase, settles_where_inflow_meets_leak);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
