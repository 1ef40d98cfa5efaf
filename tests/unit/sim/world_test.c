/* SPDX-License-Identifier: Apache-2.0 */
/* world_test.c - thousands of calls in virtual time: published results are met, faults are contained, runs repeat. */
#include "world.h"

static bool is_between(mesh_nanos t, int64_t from_s, int64_t to_s)
{
    return t >= from_s * NANOS_S && t < to_s * NANOS_S;
}

static struct reply good(mesh_nanos after)
{
    return (struct reply){ .after = after, .http_status = 200, .retry_after = -1 };
}

static const struct reply refusal = { .after = NANOS_MS / 10, .status = MESH_CONNECT_REFUSED, .retry_after = -1 };

/* ---- "Beyond round robin" (Buoyant, 2016): 11 endpoints, one of them takes 2 s from 15 to 45 s ---- */

static struct reply serve_beyond_round_robin(struct world *w, uint32_t endpoint)
{
    if (endpoint == 0 && is_between(w->now, 15, 45))
        return good(2 * NANOS_S);
    return good((mesh_nanos)(world_normal(w, 167, 5) * (double)NANOS_MS));
}

static double beyond_round_robin(enum balancer balancer, uint64_t seed)
{
    struct world w;
    world_init(&w, seed);
    w.endpoint_count = 11;
    w.balancer = balancer;
    w.calls_per_second = 1000;
    w.length = 60 * NANOS_S;
    w.serve = serve_beyond_round_robin;
    world_run(&w);
    ck_assert_uint_gt(w.begun, 59000);
    ck_assert_uint_eq(w.ok, w.begun);
    return 100.0 * w.in_time / w.begun;
}

START_TEST(beyond_round_robin_is_met)
{
    double round_robin = beyond_round_robin(BALANCER_ROUND_ROBIN, 1);
    double expected = 100 * (1 - 30.0 / 60 / 11);
    ck_assert_msg(round_robin > expected - 0.2 && round_robin < expected + 0.2, "round robin: %f %%", round_robin);
    double least = beyond_round_robin(BALANCER_LEAST_REQUEST, 1);
    ck_assert_msg(least >= 99.3, "least request: %f %%", least);
    double ewma = beyond_round_robin(BALANCER_PEAK_EWMA, 1);
    ck_assert_msg(ewma >= 99.9, "peak EWMA: %f %%", ewma);
}
END_TEST

/* ---- Three endpoints, one slow and one refusing, both from 10 to 16 s ---- */

static struct reply serve_shop(struct world *w, uint32_t endpoint)
{
    mesh_nanos usual = (mesh_nanos)(world_normal(w, 20, 2) * (double)NANOS_MS);
    if (endpoint == 1 && is_between(w->now, 10, 16))
        return good(usual + 200 * NANOS_MS);
    if (endpoint == 2 && is_between(w->now, 10, 16))
        return refusal;
    return good(usual);
}

/* The endpoint's share of the attempts begun in these seconds. */
static double share(const struct world *w, uint32_t endpoint, int64_t from_s, int64_t to_s)
{
    double mine = 0, all = 0;
    for (int64_t s = from_s; s < to_s; s++) {
        mine += w->endpoints[endpoint].attempts_in[s];
        for (uint32_t i = 0; i < w->endpoint_count; i++)
            all += w->endpoints[i].attempts_in[s];
    }
    return all > 0 ? mine / all : 0;
}

static bool is_back(const struct world *w, uint32_t endpoint, int64_t from_s, int64_t to_s)
{
    for (int64_t s = from_s; s + 3 <= to_s; s++)
        if (share(w, endpoint, s, s + 3) > 0.25)
            return true;
    return false;
}

START_TEST(one_slow_and_one_refusing)
{
    struct world w;
    world_init(&w, (uint64_t)_i);
    w.endpoint_count = 3;
    w.calls_per_second = 60;
    w.length = 40 * NANOS_S;
    w.serve = serve_shop;
    world_run(&w);
    ck_assert_msg(w.ok == w.begun, "seed %d: %u calls are lost", _i, w.begun - w.ok);
    for (int s = 11; s < 16; s++)
        ck_assert_msg(w.endpoints[2].attempts_in[s] == w.endpoints[2].probes_in[s],
                      "seed %d, second %d: %u attempts at the dead endpoint, %u of them probes", _i, s,
                      w.endpoints[2].attempts_in[s], w.endpoints[2].probes_in[s]);
    double slow = share(&w, 1, 12, 16);
    ck_assert_msg(slow < 0.1, "seed %d: the slow endpoint gets %f", _i, slow);
    for (uint32_t i = 1; i < 3; i++)
        ck_assert_msg(is_back(&w, i, 16, 36), "seed %d: endpoint %u is not back", _i, i);
}
END_TEST

/* ---- Noise: answers take 1 ms and an exponential 20 ms, everywhere alike ---- */

static struct reply serve_noise(struct world *w, uint32_t endpoint)
{
    (void)endpoint;
    return good(NANOS_MS + (mesh_nanos)(world_exponential(w) * 20 * (double)NANOS_MS));
}

/* Shares of single seconds stray hardly further than by mere chance, which is 6.1 % here. */
START_TEST(noise_does_not_herd)
{
    struct world w;
    world_init(&w, (uint64_t)_i);
    w.endpoint_count = 3;
    w.calls_per_second = 60;
    w.length = 120 * NANOS_S;
    w.serve = serve_noise;
    world_run(&w);
    double squares = 0;
    for (int64_t s = 3; s < 120; s++)
        for (uint32_t i = 0; i < 3; i++)
            squares += (share(&w, i, s, s + 1) - 1 / 3.0) * (share(&w, i, s, s + 1) - 1 / 3.0);
    double mean = squares / (117 * 3);
    ck_assert_msg(mean < 0.07 * 0.07, "seed %d: mean square %f", _i, mean);
}
END_TEST

/* ---- Anything may happen to anybody ---- */

struct chaos {
    struct world *world;
    mesh_nanos change_at;
    uint32_t mood[WORLD_ENDPOINTS];
};

static struct reply serve_chaos(struct world *w, uint32_t endpoint)
{
    struct chaos *chaos = w->script;
    if (w->now >= chaos->change_at) {
        chaos->change_at = w->now + 2 * NANOS_S;
        for (uint32_t i = 0; i < w->endpoint_count; i++)
            chaos->mood[i] = world_random(w) % 3 ? 0 : (uint32_t)(world_random(w) % 8);
    }
    mesh_nanos usual = (mesh_nanos)(world_exponential(w) * 20 * (double)NANOS_MS) + NANOS_MS;
    switch (chaos->mood[endpoint]) {
    case 1:
        return refusal;
    case 2:
        return (struct reply){ .after = usual, .status = MESH_RESET, .retry_after = -1 };
    case 3:
        return (struct reply){ .after = usual, .http_status = 503, .retry_after = NANOS_S };
    case 4:
        return (struct reply){ .after = NANOS_NEVER };
    case 5:
        return (struct reply){ .after = usual, .http_status = 500, .retry_after = -1 };
    case 6:
        return good(usual + 300 * NANOS_MS);
    case 7:
        return world_random(w) % 2 ? good(usual)
                                   : (struct reply){ .after = 0, .http_status = 429, .retry_after = 30 * NANOS_S };
    default:
        return good(usual);
    }
}

static struct world run_chaos(uint64_t seed, uint32_t endpoints, enum balancer balancer)
{
    struct world w;
    struct chaos chaos = { .world = &w };
    world_init(&w, seed);
    w.endpoint_count = endpoints;
    w.balancer = balancer;
    w.calls_per_second = 100;
    w.length = 60 * NANOS_S;
    w.timeout = 2 * NANOS_S;
    w.breaker_config.lease = w.timeout;
    w.serve = serve_chaos;
    w.script = &chaos;
    w.retry.attempts = 4;
    w.retry.on |= RETRY_ON_RESET | RETRY_ON_5XX | RETRY_ON_PER_TRY_TIMEOUT;
    w.retry.per_try_timeout = 500 * NANOS_MS;
    world_run(&w);
    w.script = NULL;
    return w;
}

static void assert_contained(const struct world *w, uint64_t seed)
{
    double seconds = (double)w->now / 1e9;
    double limit = 0.2 * w->begun + 10 * seconds + 100;
    ck_assert_msg(w->paid_retries <= limit, "seed %u: %u retries, %f allowed", (unsigned)seed, w->paid_retries, limit);
    ck_assert_msg(w->free_repeats <= w->begun, "at most one free repeat a call");
    ck_assert_uint_le(w->attempts, w->begun + w->paid_retries + w->free_repeats);
    ck_assert_uint_le(w->most_places, mesh__gate_cap(w->endpoint_count));
}

START_TEST(chaos_is_contained)
{
    static const enum balancer balancers[] = { BALANCER_PEAK_EWMA, BALANCER_ROUND_ROBIN, BALANCER_LEAST_REQUEST };
    uint32_t probes = 0, paid = 0, failed = 0, panics = 0, places = 0;
    for (uint32_t endpoints = 1; endpoints <= 7; endpoints++) {
        struct world w = run_chaos((uint64_t)_i * 10 + endpoints, endpoints, balancers[_i]);
        assert_contained(&w, (uint64_t)_i);
        probes += w.probes;
        paid += w.paid_retries;
        failed += w.begun - w.ok;
        panics += w.panics;
        places += w.most_places;
    }
    ck_assert_msg(probes > 50 && paid > 100 && failed > 10 && panics > 0 && places > 5,
                  "chaos is chaotic: %u probes, %u retries, %u failures, %u panics, %u places", probes, paid, failed,
                  panics, places);
}
END_TEST

START_TEST(retries_stay_within_the_budget_when_all_fail)
{
    struct world w;
    struct chaos chaos = { .world = &w, .change_at = NANOS_NEVER };
    world_init(&w, 7);
    for (int i = 0; i < 4; i++)
        chaos.mood[i] = 5;
    w.endpoint_count = 4;
    w.calls_per_second = 500;
    w.length = 60 * NANOS_S;
    w.serve = serve_chaos;
    w.script = &chaos;
    w.retry.attempts = 10;
    w.retry.on |= RETRY_ON_5XX;
    world_run(&w);
    assert_contained(&w, 7);
    double ratio = (double)w.attempts / w.begun;
    ck_assert_msg(ratio > 1.2 && ratio < 1.2 + (600 + 100) / (double)w.begun + 0.001, "attempts a call: %f", ratio);
    ck_assert_msg(w.ok == w.begun, "a response is a response");
}
END_TEST

START_TEST(equal_seeds_give_equal_runs)
{
    struct world first = run_chaos(42, 5, BALANCER_PEAK_EWMA);
    struct world again = run_chaos(42, 5, BALANCER_PEAK_EWMA);
    struct world other = run_chaos(43, 5, BALANCER_PEAK_EWMA);
    ck_assert_msg(first.trace == again.trace && first.attempts == again.attempts, "equal seeds differ");
    ck_assert_msg(first.trace != other.trace, "different seeds do not");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("world");
    TCase *tcase = tcase_create("world");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, beyond_round_robin_is_met);
    tcase_add_loop_test(tcase, one_slow_and_one_refusing, 1, 9);
    tcase_add_loop_test(tcase, noise_does_not_herd, 1, 4);
    tcase_add_loop_test(tcase, chaos_is_contained, 0, 3);
    tcase_add_test(tcase, retries_stay_within_the_budget_when_all_fail);
    tcase_add_test(tcase, equal_seeds_give_equal_runs);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
