/* SPDX-License-Identifier: Apache-2.0 */
/* balance_test.c - the order of preference for every algorithm, then what is particular to each. */
/* long */
#include "balance/balance.h"

#include "base/rng.h"

#include <check.h>
#include <stdlib.h>

#define MAX 64

static struct candidate fleet[MAX];
static uint32_t reads;
static const enum balancer balancers[] = { BALANCER_PEAK_EWMA, BALANCER_ROUND_ROBIN, BALANCER_LEAST_REQUEST };

static struct candidate read_fleet(const void *context, uint32_t index)
{
    reads++;
    return ((const struct candidate *)context)[index];
}

static struct balance_view view_of(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        fleet[i] = (struct candidate){ .cost = 1e6, .weight = 1 };
    reads = 0;
    return (struct balance_view){ .read = read_fleet, .context = fleet, .count = count, .max_weight = 1 };
}

/* Chooses `n` times, counts the choices by endpoint, and checks that each has the reason; MESH_PICK_NONE: any. */
static void choose(enum balancer balancer, const struct balance_view *view, int n, int counts[MAX],
                   enum mesh_pick reason)
{
    struct rng rng;
    mesh__rng_init(&rng, 1);
    uint64_t cursor = 0;
    for (int i = 0; i < MAX; i++)
        counts[i] = 0;
    for (int i = 0; i < n; i++) {
        struct choice choice = mesh__balance_choose(balancer, view, &cursor, mesh__rng_next(&rng));
        ck_assert_int_ge(choice.index, 0);
        ck_assert_uint_lt((uint32_t)choice.index, view->count);
        ck_assert_msg(reason == MESH_PICK_NONE || choice.reason == reason, "balancer %d: reason %d, not %d",
                      (int)balancer, (int)choice.reason, (int)reason);
        counts[choice.index]++;
    }
}

static void assert_share(const int counts[MAX], int index, int n, double share, double tolerance)
{
    double is = (double)counts[index] / n;
    ck_assert_msg(is > share - tolerance && is < share + tolerance, "endpoint %d has %f, not %f", index, is, share);
}

START_TEST(nothing_and_one)
{
    int counts[MAX];
    struct balance_view view = view_of(0);
    uint64_t cursor = 0;
    struct choice none = mesh__balance_choose(balancers[_i], &view, &cursor, 7);
    ck_assert_int_eq(none.index, -1);
    ck_assert_int_eq(none.reason, MESH_PICK_NONE);
    view = view_of(1);
    choose(balancers[_i], &view, 100, counts, MESH_PICK_ONLY);
    fleet[0].out = fleet[0].tried = true;
    choose(balancers[_i], &view, 100, counts, MESH_PICK_ONLY);
    view.panic = true;
    choose(balancers[_i], &view, 100, counts, MESH_PICK_ONLY);
}
END_TEST

START_TEST(probe_goes_first)
{
    int counts[MAX];
    struct balance_view view = view_of(5);
    fleet[3].out = fleet[3].probe_due = true;
    view.look_for_probe = true;
    choose(balancers[_i], &view, 100, counts, MESH_PICK_PROBE);
    ck_assert_int_eq(counts[3], 100);
    view.panic = true;
    choose(balancers[_i], &view, 100, counts, MESH_PICK_PROBE);
    fleet[1].out = fleet[1].probe_due = true;
    choose(balancers[_i], &view, 1000, counts, MESH_PICK_PROBE);
    ck_assert_int_eq(counts[1] + counts[3], 1000);
    ck_assert_int_gt(counts[1], 0);
    view.panic = false;
    fleet[1].tried = true;
    choose(balancers[_i], &view, 100, counts, MESH_PICK_PROBE);
    ck_assert_int_eq(counts[3], 100);
    view.look_for_probe = false;
    choose(balancers[_i], &view, 1000, counts, MESH_PICK_NONE);
    ck_assert_int_eq(counts[1] + counts[3], 0);
}
END_TEST

START_TEST(out_and_tried_are_avoided)
{
    int counts[MAX];
    struct balance_view view = view_of(5);
    fleet[0].out = true;
    fleet[1].tried = true;
    choose(balancers[_i], &view, 3000, counts, MESH_PICK_NONE);
    ck_assert_int_eq(counts[0] + counts[1], 0);
    for (int i = 2; i < 5; i++)
        assert_share(counts, i, 3000, 1 / 3.0, 0.05);
    fleet[2].out = fleet[3].out = true;
    choose(balancers[_i], &view, 100, counts, MESH_PICK_ONLY);
    ck_assert_int_eq(counts[4], 100);
    fleet[4].tried = true;
    choose(balancers[_i], &view, 2000, counts, MESH_PICK_NONE);
    ck_assert_msg(counts[1] + counts[4] == 2000, "tried ones that are in use come next");
    assert_share(counts, 1, 2000, 0.5, 0.1);
    for (int i = 0; i < 5; i++)
        fleet[i].out = true;
    choose(balancers[_i], &view, 2000, counts, MESH_PICK_NONE);
    for (int i = 0; i < 5; i++)
        ck_assert_msg(counts[i] > 200, "with none in use all are");
}
END_TEST

START_TEST(panic_uses_all)
{
    int counts[MAX];
    struct balance_view view = view_of(4);
    view.panic = true;
    fleet[0].out = fleet[1].out = fleet[2].out = true;
    choose(balancers[_i], &view, 4000, counts, MESH_PICK_PANIC);
    for (int i = 0; i < 4; i++)
        assert_share(counts, i, 4000, 0.25, 0.05);
    fleet[3].tried = true;
    choose(balancers[_i], &view, 1000, counts, MESH_PICK_PANIC);
    ck_assert_int_eq(counts[3], 0);
}
END_TEST

START_TEST(constant_time_when_all_are_in_use)
{
    int counts[MAX];
    struct balance_view view = view_of(MAX);
    choose(balancers[_i], &view, 1000, counts, MESH_PICK_NONE);
    ck_assert_uint_le(reads, 2000);
    ck_assert_msg(counts[0] > 0 && counts[MAX - 1] > 0, "all get their share");
    fleet[5].tried = true;
    reads = 0;
    choose(balancers[_i], &view, 1000, counts, MESH_PICK_NONE);
    ck_assert_msg(reads < 4000, "one that is out costs little: %u", reads);
}
END_TEST

START_TEST(equal_inputs_equal_choices)
{
    struct balance_view view = view_of(9);
    struct rng rng;
    mesh__rng_init(&rng, 3);
    for (int i = 0; i < 1000; i++) {
        uint64_t random = mesh__rng_next(&rng);
        uint64_t a = random >> 7, b = random >> 7;
        fleet[random % 9].active = (uint32_t)(random >> 40) % 5;
        struct choice first = mesh__balance_choose(balancers[_i], &view, &a, random);
        struct choice second = mesh__balance_choose(balancers[_i], &view, &b, random);
        ck_assert(first.index == second.index && first.reason == second.reason && a == b);
    }
}
END_TEST

START_TEST(round_robin_takes_turns)
{
    struct balance_view view = view_of(7);
    uint64_t cursor = 0;
    for (int i = 0; i < 70; i++) {
        struct choice choice = mesh__balance_choose(BALANCER_ROUND_ROBIN, &view, &cursor, 0);
        ck_assert_int_eq(choice.index, i % 7);
        ck_assert_int_eq(choice.reason, MESH_PICK_ROUND_ROBIN);
    }
    cursor = UINT64_MAX;
    ck_assert_int_ge(mesh__balance_choose(BALANCER_ROUND_ROBIN, &view, &cursor, 0).index, 0);
}
END_TEST

START_TEST(round_robin_honours_weights_exactly)
{
    int counts[MAX];
    struct balance_view view = view_of(4);
    static const uint32_t weights[] = { 5, 1, 3, 2 };
    for (int i = 0; i < 4; i++)
        fleet[i].weight = weights[i];
    for (uint32_t known = 0; known <= 5; known += 5) {
        view.max_weight = known;
        choose(BALANCER_ROUND_ROBIN, &view, 11 * 20, counts, MESH_PICK_ROUND_ROBIN);
        for (int i = 0; i < 4; i++)
            ck_assert_int_eq(counts[i], (int)weights[i] * 20);
    }
    uint64_t cursor = 0;
    int last = -1, run = 0;
    for (int i = 0; i < 110; i++) {
        int index = mesh__balance_choose(BALANCER_ROUND_ROBIN, &view, &cursor, 0).index;
        run = index == last ? run + 1 : 1;
        last = index;
        ck_assert_msg(run <= 2, "turns are spread");
    }
}
END_TEST

START_TEST(round_robin_honours_weights_on_average_when_the_heaviest_is_out)
{
    int counts[MAX];
    struct balance_view view = view_of(3);
    fleet[0] = (struct candidate){ .weight = 1000, .out = true };
    fleet[1].weight = 10;
    fleet[2].weight = 30;
    view.max_weight = 1000;
    choose(BALANCER_ROUND_ROBIN, &view, 8000, counts, MESH_PICK_ROUND_ROBIN);
    assert_share(counts, 2, 8000, 0.75, 0.03);
    ck_assert_int_eq(counts[0], 0);
}
END_TEST

/* Two endpoints: which is chosen, and why; -1: chance. */
static const struct {
    enum balancer balancer;
    struct candidate a, b;
    int winner;
} duels[] = {
    { BALANCER_LEAST_REQUEST, { .active = 1, .weight = 1 }, { .active = 2, .weight = 1 }, 0 },
    { BALANCER_LEAST_REQUEST, { .active = 3, .weight = 1 }, { .active = 2, .weight = 1 }, 1 },
    { BALANCER_LEAST_REQUEST, { .active = 3, .weight = 2 }, { .active = 2, .weight = 1 }, 0 },
    { BALANCER_LEAST_REQUEST, { .active = 4, .weight = 2 }, { .active = 2, .weight = 1 }, -1 },
    { BALANCER_LEAST_REQUEST, { .active = 0, .weight = 1 }, { .active = 0, .weight = 1 }, -1 },
    { BALANCER_LEAST_REQUEST, { .cost = 1e9, .active = 0, .weight = 1 }, { .active = 1, .weight = 1 }, 0 },
    { BALANCER_PEAK_EWMA, { .cost = 1e6, .weight = 1 }, { .cost = 1e6, .weight = 1 }, -1 },
    { BALANCER_PEAK_EWMA, { .cost = 1e6, .weight = 1 }, { .cost = 2e6, .weight = 1 }, -1 },
    { BALANCER_PEAK_EWMA, { .cost = 1e6, .weight = 1 }, { .cost = 2.01e6, .weight = 1 }, 0 },
    { BALANCER_PEAK_EWMA, { .cost = 2.01e6, .weight = 1 }, { .cost = 1e6, .weight = 1 }, 1 },
    { BALANCER_PEAK_EWMA, { .cost = 1e6, .active = 1, .weight = 1 }, { .cost = 2e6, .weight = 1 }, 1 },
    { BALANCER_PEAK_EWMA, { .cost = 2e6, .active = 3, .weight = 1 }, { .cost = 1e6, .active = 4, .weight = 1 }, 0 },
    { BALANCER_PEAK_EWMA, { .cost = 1e6, .active = 4, .weight = 2 }, { .cost = 2e6, .active = 2, .weight = 1 }, -1 },
    { BALANCER_PEAK_EWMA, { .cost = 1e6, .active = 4, .weight = 1 }, { .cost = 4e6, .weight = 1 }, 1 },
    { BALANCER_PEAK_EWMA, { .cost = 1e6, .active = 2, .weight = 1 }, { .cost = 4e6, .weight = 1 }, 0 },
    { BALANCER_PEAK_EWMA, { .cost = 1e6, .active = 3, .weight = 1 }, { .cost = 4e6, .weight = 1 }, -1 },
    { BALANCER_PEAK_EWMA, { .cost = 1e6, .active = 4, .weight = 2 }, { .cost = 4e6, .weight = 1 }, 0 },
    { BALANCER_PEAK_EWMA, { .cost = -1, .weight = 1 }, { .cost = 1, .weight = 1 }, 0 },
    { BALANCER_PEAK_EWMA, { .cost = 0, .weight = 1 }, { .cost = -1, .weight = 1 }, 1 },
    { BALANCER_PEAK_EWMA, { .cost = -1, .weight = 1 }, { .cost = -1, .weight = 1 }, -1 },
    { BALANCER_PEAK_EWMA, { .cost = -1, .active = 1, .weight = 1 }, { .cost = 1e18, .active = 900, .weight = 1 }, 1 },
    { BALANCER_PEAK_EWMA, { .cost = -1, .active = 1, .weight = 1 }, { .cost = -1, .weight = 1 }, 1 },
    { BALANCER_PEAK_EWMA, { .cost = -1, .active = 1, .weight = 1 }, { .cost = -1, .active = 9, .weight = 1 }, 0 },
    { BALANCER_PEAK_EWMA, { .cost = 0, .weight = 1 }, { .cost = 0, .weight = 1 }, -1 },
    { BALANCER_PEAK_EWMA, { .cost = 0, .weight = 1 }, { .cost = 1, .weight = 1 }, 0 },
};

START_TEST(two_candidates)
{
    int counts[MAX];
    struct balance_view view = view_of(2);
    fleet[0] = duels[_i].a;
    fleet[1] = duels[_i].b;
    int winner = duels[_i].winner;
    choose(duels[_i].balancer, &view, 2000, counts, winner < 0 ? MESH_PICK_TIE : MESH_PICK_LEAST);
    if (winner >= 0)
        ck_assert_int_eq(counts[winner], 2000);
    else if (fleet[0].weight == fleet[1].weight)
        assert_share(counts, 0, 2000, 0.5, 0.05);
}
END_TEST

START_TEST(ties_follow_the_weights)
{
    int counts[MAX];
    struct balance_view view = view_of(2);
    fleet[1].weight = 2;
    choose(BALANCER_LEAST_REQUEST, &view, 6000, counts, MESH_PICK_TIE);
    assert_share(counts, 1, 6000, 2 / 3.0, 0.03);
    choose(BALANCER_PEAK_EWMA, &view, 6000, counts, MESH_PICK_TIE);
    assert_share(counts, 1, 6000, 2 / 3.0, 0.03);
    fleet[0].weight = fleet[1].weight = 0;
    choose(BALANCER_LEAST_REQUEST, &view, 6000, counts, MESH_PICK_TIE);
    ck_assert_msg(counts[0] + counts[1] == 6000, "a weight of 0 does no harm");
}
END_TEST

START_TEST(the_worst_of_many_is_never_the_better_of_two)
{
    int counts[MAX];
    struct balance_view view = view_of(10);
    fleet[4].cost = 1e9;
    fleet[7].active = 50;
    choose(BALANCER_PEAK_EWMA, &view, 5000, counts, MESH_PICK_NONE);
    ck_assert_int_eq(counts[4], 0);
    for (int i = 0; i < 10; i++)
        if (i != 4 && i != 7)
            ck_assert_int_gt(counts[i], 400);
}
END_TEST

static uint64_t weather; /* what changes from one read to the next */

static struct candidate read_changing(const void *context, uint32_t index)
{
    const struct balance_view *view = context;
    ck_assert_uint_lt(index, view->count);
    struct rng rng;
    mesh__rng_init(&rng, weather++);
    uint64_t bits = mesh__rng_next(&rng);
    uint32_t active = (uint32_t)(bits >> 8) % 3;
    return (struct candidate){ .cost = active * 1e6 - 1,
                               .active = active,
                               .weight = 1 + index % 3,
                               .out = (bits & 1) != 0,
                               .tried = (bits & 2) != 0,
                               .probe_due = (bits & 12) == 0 };
}

/* Other shards take endpoints out and back while one chooses: a choice is one of them all the same. */
START_TEST(endpoints_change_while_they_are_read)
{
    for (uint32_t count = 1; count <= 6; count++)
        for (uint64_t i = 0; i < 5000; i++) {
            struct balance_view view = { .read = read_changing, .count = count, .max_weight = 3 };
            uint64_t cursor = i;
            view.context = &view;
            view.panic = i % 5 == 0;
            view.look_for_probe = i % 7 == 0;
            struct choice choice = mesh__balance_choose(balancers[_i], &view, &cursor, i * 0x9e3779b97f4a7c15u);
            ck_assert_msg(choice.index >= 0 && (uint32_t)choice.index < count, "%d of %u", (int)choice.index, count);
        }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("balance");
    TCase *tcase = tcase_create("balance");
    int all = (int)(sizeof(balancers) / sizeof(balancers[0]));
    tcase_add_loop_test(tcase, nothing_and_one, 0, all);
    tcase_add_loop_test(tcase, probe_goes_first, 0, all);
    tcase_add_loop_test(tcase, out_and_tried_are_avoided, 0, all);
    tcase_add_loop_test(tcase, panic_uses_all, 0, all);
    tcase_add_loop_test(tcase, constant_time_when_all_are_in_use, 0, all);
    tcase_add_loop_test(tcase, equal_inputs_equal_choices, 0, all);
    tcase_add_test(tcase, round_robin_takes_turns);
    tcase_add_test(tcase, round_robin_honours_weights_exactly);
    tcase_add_test(tcase, round_robin_honours_weights_on_average_when_the_heaviest_is_out);
    tcase_add_loop_test(tcase, two_candidates, 0, (int)(sizeof(duels) / sizeof(duels[0])));
    tcase_add_loop_test(tcase, endpoints_change_while_they_are_read, 0, all);
    tcase_add_test(tcase, ties_follow_the_weights);
    tcase_add_test(tcase, the_worst_of_many_is_never_the_better_of_two);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
