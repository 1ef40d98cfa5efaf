/* SPDX-License-Identifier: Apache-2.0 */
/* breaker_test.c - every (state, event) of the breaker, and what must hold whatever happens to it. */
#include "policy/breaker.h"

#include "base/rng.h"

#include <check.h>
#include <stdlib.h>

static const struct breaker_config config = {
    .failures = 7, .shut = NANOS_S, .max_shut = 60 * NANOS_S, .jitter = 0.5, .lease = 5 * NANOS_S
};

#define NO_JITTER 0x80000000u /* the middle of the range, within 1e-9 */

static struct breaker shut_at(mesh_nanos now)
{
    return mesh__breaker_record(mesh__breaker_initial(), &config, 0, BREAKER_SHUT_NOW, now, NO_JITTER);
}

static struct breaker_ask probe_at(mesh_nanos now)
{
    struct breaker_ask ask = mesh__breaker_ask(shut_at(0), &config, now);
    ck_assert_int_eq(ask.answer, BREAKER_TRY);
    return ask;
}

START_TEST(starts_closed)
{
    struct breaker b = mesh__breaker_initial();
    struct breaker_ask ask = mesh__breaker_ask(b, &config, 0);
    ck_assert_int_eq(ask.answer, BREAKER_ADMIT);
    ck_assert_uint_eq(ask.ticket, 0);
    ck_assert_uint_eq(ask.next.word, b.word);
    ck_assert_int_eq(mesh__breaker_state(b), BREAKER_CLOSED);
    ck_assert(mesh__breaker_healthy(b));
    ck_assert_int_eq(mesh__breaker_next(b), NANOS_NEVER);
}
END_TEST

START_TEST(seventh_failure_in_a_row_shuts)
{
    struct breaker b = mesh__breaker_initial();
    for (uint32_t i = 1; i <= 6; i++) {
        b = mesh__breaker_record(b, &config, 0, BREAKER_FAILURE, NANOS_S, NO_JITTER);
        ck_assert_int_eq(mesh__breaker_state(b), BREAKER_CLOSED);
        ck_assert_uint_eq(mesh__breaker_failures(b), i);
    }
    struct breaker forgiven = mesh__breaker_record(b, &config, 0, BREAKER_SUCCESS, NANOS_S, NO_JITTER);
    ck_assert_uint_eq(mesh__breaker_failures(forgiven), 0);
    b = mesh__breaker_record(b, &config, 0, BREAKER_FAILURE, NANOS_S, NO_JITTER);
    ck_assert_int_eq(mesh__breaker_state(b), BREAKER_SHUT);
    ck_assert(!mesh__breaker_healthy(b));
    ck_assert_int_ge(mesh__breaker_next(b), 2 * NANOS_S - NANOS_MS);
    ck_assert_int_le(mesh__breaker_next(b), 2 * NANOS_S);
}
END_TEST

/* One row a (state, event): the state after it, under a valid ticket. */
static const struct {
    enum breaker_state from;
    enum breaker_event event;
    enum breaker_state to;
} transitions[] = {
    { BREAKER_CLOSED, BREAKER_NEUTRAL, BREAKER_CLOSED },   { BREAKER_CLOSED, BREAKER_SUCCESS, BREAKER_CLOSED },
    { BREAKER_CLOSED, BREAKER_FAILURE, BREAKER_CLOSED },   { BREAKER_CLOSED, BREAKER_SHUT_NOW, BREAKER_SHUT },
    { BREAKER_SHUT, BREAKER_NEUTRAL, BREAKER_SHUT },       { BREAKER_SHUT, BREAKER_SUCCESS, BREAKER_CLOSED },
    { BREAKER_SHUT, BREAKER_FAILURE, BREAKER_SHUT },       { BREAKER_SHUT, BREAKER_SHUT_NOW, BREAKER_SHUT },
    { BREAKER_PROBE, BREAKER_NEUTRAL, BREAKER_SHUT },      { BREAKER_PROBE, BREAKER_SUCCESS, BREAKER_CLOSED },
    { BREAKER_PROBE, BREAKER_FAILURE, BREAKER_SHUT },      { BREAKER_PROBE, BREAKER_SHUT_NOW, BREAKER_SHUT },
    { BREAKER_RETIRED, BREAKER_NEUTRAL, BREAKER_RETIRED }, { BREAKER_RETIRED, BREAKER_SUCCESS, BREAKER_RETIRED },
    { BREAKER_RETIRED, BREAKER_FAILURE, BREAKER_RETIRED }, { BREAKER_RETIRED, BREAKER_SHUT_NOW, BREAKER_RETIRED },
};

static struct breaker in_state(enum breaker_state state, uint16_t *ticket)
{
    struct breaker b = mesh__breaker_initial();
    *ticket = 0;
    if (state == BREAKER_SHUT) {
        b = shut_at(0);
        *ticket = mesh__breaker_ask(b, &config, 0).ticket;
    } else if (state == BREAKER_PROBE) {
        struct breaker_ask ask = probe_at(2 * NANOS_S);
        b = ask.next;
        *ticket = ask.ticket;
    } else if (state == BREAKER_RETIRED) {
        b = mesh__breaker_retire(b);
        *ticket = mesh__breaker_ask(b, &config, 0).ticket;
    }
    return b;
}

START_TEST(every_state_and_event)
{
    uint16_t ticket;
    struct breaker b = in_state(transitions[_i].from, &ticket);
    ck_assert_int_eq(mesh__breaker_state(b), transitions[_i].from);
    struct breaker next = mesh__breaker_record(b, &config, ticket, transitions[_i].event, 3 * NANOS_S, NO_JITTER);
    ck_assert_int_eq(mesh__breaker_state(next), transitions[_i].to);
    uint16_t fresh = mesh__breaker_ask(next, &config, 0).ticket;
    if (transitions[_i].from != transitions[_i].to && transitions[_i].to != BREAKER_SHUT)
        ck_assert_msg(fresh != ticket, "row %d: a change of state takes a new generation", _i);
    for (uint32_t stale = 0; stale < 1024; stale++) {
        if (stale == ticket)
            continue;
        next = mesh__breaker_record(b, &config, (uint16_t)stale, transitions[_i].event, 3 * NANOS_S, NO_JITTER);
        ck_assert_msg(next.word == b.word, "row %d: stale ticket %u changed the breaker", _i, stale);
        ck_assert_uint_eq(mesh__breaker_abandon(b, (uint16_t)stale).word, b.word);
        ck_assert_uint_eq(mesh__breaker_freeze(b, &config, (uint16_t)stale, 0, NANOS_S).word, b.word);
    }
}
END_TEST

START_TEST(one_probe_then_the_lease)
{
    struct breaker shut = shut_at(0);
    ck_assert_int_eq(mesh__breaker_ask(shut, &config, 990 * NANOS_MS).answer, BREAKER_REJECT);
    struct breaker_ask first = probe_at(NANOS_S);
    ck_assert_int_eq(mesh__breaker_state(first.next), BREAKER_PROBE);
    ck_assert(!mesh__breaker_healthy(first.next));
    ck_assert_int_eq(mesh__breaker_next(first.next), 6 * NANOS_S);

    struct breaker_ask during = mesh__breaker_ask(first.next, &config, 6 * NANOS_S - NANOS_MS);
    ck_assert_int_eq(during.answer, BREAKER_REJECT);
    struct breaker same = mesh__breaker_record(first.next, &config, during.ticket, BREAKER_FAILURE, NANOS_S, 0);
    ck_assert_msg(same.word == first.next.word, "who goes there while a probe is out does not speak for the probe");

    struct breaker_ask second = mesh__breaker_ask(first.next, &config, 6 * NANOS_S);
    ck_assert_int_eq(second.answer, BREAKER_TRY);
    same = mesh__breaker_record(second.next, &config, first.ticket, BREAKER_SUCCESS, 7 * NANOS_S, 0);
    ck_assert_msg(same.word == second.next.word, "a probe whose lease is over no longer counts");
}
END_TEST

START_TEST(abandoned_probe_gives_its_place_back)
{
    struct breaker_ask probe = probe_at(NANOS_S);
    struct breaker b = mesh__breaker_abandon(probe.next, probe.ticket);
    ck_assert_int_eq(mesh__breaker_state(b), BREAKER_SHUT);
    struct breaker_ask again = mesh__breaker_ask(b, &config, NANOS_S);
    ck_assert_int_eq(again.answer, BREAKER_TRY);
    ck_assert_uint_ne(again.ticket, probe.ticket);
    uint16_t ticket;
    b = in_state(BREAKER_CLOSED, &ticket);
    ck_assert_uint_eq(mesh__breaker_abandon(b, ticket).word, b.word);
}
END_TEST

START_TEST(stays_shut_twice_as_long_each_time)
{
    mesh_nanos expected = NANOS_S;
    mesh_nanos now = 0;
    struct breaker b = shut_at(0);
    for (int i = 0; i < 80; i++) {
        mesh_nanos length = mesh__breaker_next(b) - now;
        ck_assert_msg(length <= expected && length >= expected - 2 * NANOS_MS, "time %d: %lld ns", i,
                      (long long)length);
        now += length;
        struct breaker_ask probe = mesh__breaker_ask(b, &config, now);
        ck_assert_int_eq(probe.answer, BREAKER_TRY);
        b = mesh__breaker_record(probe.next, &config, probe.ticket, BREAKER_FAILURE, now, NO_JITTER);
        expected = mesh__nanos_min(expected * 2, 60 * NANOS_S);
    }
    struct breaker_ask probe = mesh__breaker_ask(b, &config, mesh__breaker_next(b));
    now = mesh__breaker_next(b);
    b = mesh__breaker_record(probe.next, &config, probe.ticket, BREAKER_SUCCESS, now, 0);
    b = mesh__breaker_record(b, &config, mesh__breaker_ask(b, &config, now).ticket, BREAKER_SHUT_NOW, now, NO_JITTER);
    ck_assert_msg(mesh__breaker_next(b) - now <= NANOS_S, "a success starts over");
}
END_TEST

START_TEST(jitter_spans_half_to_one_and_a_half)
{
    static const struct {
        uint32_t random;
        mesh_nanos least, most;
    } rows[] = { { 0, 500 * NANOS_MS, 500 * NANOS_MS },
                 { UINT32_MAX, 1500 * NANOS_MS, 1500 * NANOS_MS },
                 { UINT32_MAX / 4, 749 * NANOS_MS, 751 * NANOS_MS } };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct breaker b =
            mesh__breaker_record(mesh__breaker_initial(), &config, 0, BREAKER_SHUT_NOW, 0, rows[i].random);
        mesh_nanos until = mesh__breaker_next(b);
        ck_assert_msg(until >= rows[i].least && until <= rows[i].most, "row %zu: %lld", i, (long long)until);
    }
}
END_TEST

START_TEST(freeze_shuts_without_a_failure)
{
    struct breaker b = mesh__breaker_freeze(mesh__breaker_initial(), &config, 0, NANOS_S, 3 * NANOS_S);
    ck_assert_int_eq(mesh__breaker_state(b), BREAKER_SHUT);
    ck_assert_uint_eq(mesh__breaker_failures(b), 0);
    ck_assert_int_eq(mesh__breaker_next(b), 4 * NANOS_S);
    ck_assert_msg(mesh__breaker_record(b, &config, 0, BREAKER_FAILURE, NANOS_S, 0).word == b.word,
                  "the record that follows changes nothing");
    b = mesh__breaker_freeze(mesh__breaker_initial(), &config, 0, 0, 300 * NANOS_S);
    ck_assert_int_eq(mesh__breaker_next(b), config.max_shut);
    ck_assert_uint_eq(mesh__breaker_freeze(mesh__breaker_initial(), &config, 0, 0, 0).word, 0);
    struct breaker shut = shut_at(0);
    uint16_t ticket = mesh__breaker_ask(shut, &config, 0).ticket;
    ck_assert_uint_eq(mesh__breaker_freeze(shut, &config, ticket, 0, 30 * NANOS_S).word, shut.word);
    struct breaker_ask probe = probe_at(NANOS_S);
    b = mesh__breaker_freeze(probe.next, &config, probe.ticket, NANOS_S, 2 * NANOS_S);
    ck_assert_int_eq(mesh__breaker_state(b), BREAKER_SHUT);
    ck_assert_int_eq(mesh__breaker_next(b), 3 * NANOS_S);
}
END_TEST

START_TEST(retired_is_the_end)
{
    struct breaker b = mesh__breaker_retire(shut_at(0));
    uint16_t ticket = mesh__breaker_ask(b, &config, 0).ticket;
    ck_assert_int_eq(mesh__breaker_ask(b, &config, 0).answer, BREAKER_ADMIT);
    ck_assert(mesh__breaker_healthy(b));
    ck_assert_int_eq(mesh__breaker_next(b), NANOS_NEVER);
    ck_assert_uint_eq(mesh__breaker_retire(b).word, b.word);
    ck_assert_uint_eq(mesh__breaker_abandon(b, ticket).word, b.word);
    ck_assert_uint_eq(mesh__breaker_freeze(b, &config, ticket, 0, NANOS_S).word, b.word);
}
END_TEST

START_TEST(generation_wraps)
{
    struct breaker b = mesh__breaker_initial();
    mesh_nanos now = 0;
    bool seen[1024] = { false };
    for (int i = 0; i < 2000; i++) {
        uint16_t ticket = mesh__breaker_ask(b, &config, now).ticket;
        ck_assert_uint_lt(ticket, 1024);
        seen[ticket] = true;
        b = mesh__breaker_record(b, &config, ticket, BREAKER_SHUT_NOW, now, 0);
        now += 60 * NANOS_S;
        struct breaker_ask probe = mesh__breaker_ask(b, &config, now);
        ck_assert_int_eq(probe.answer, BREAKER_TRY);
        seen[probe.ticket] = true;
        b = mesh__breaker_record(probe.next, &config, probe.ticket, BREAKER_SUCCESS, now, 0);
        ck_assert_int_eq(mesh__breaker_state(b), BREAKER_CLOSED);
        ck_assert_uint_eq(mesh__breaker_failures(b), 0);
    }
    for (int i = 0; i < 1024; i++)
        ck_assert_msg(seen[i], "generation %d was never used", i);
}
END_TEST

START_TEST(times_saturate)
{
    static const mesh_nanos times[] = { INT64_MIN, -1, 0, NANOS_NEVER - 1, NANOS_NEVER };
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        struct breaker b =
            mesh__breaker_record(mesh__breaker_initial(), &config, 0, BREAKER_SHUT_NOW, times[i], UINT32_MAX);
        ck_assert_int_eq(mesh__breaker_state(b), BREAKER_SHUT);
        ck_assert_int_eq(mesh__breaker_ask(b, &config, NANOS_NEVER).answer, BREAKER_TRY);
        ck_assert_int_ge(mesh__breaker_next(b), 0);
    }
}
END_TEST

START_TEST(odd_configs_still_end)
{
    static const struct breaker_config odd[] = {
        { 1, 0, 0, 0, 0 },
        { 0, -1, -1, 1, -1 },
        { 255, NANOS_NEVER, NANOS_NEVER, 1, NANOS_NEVER },
        { 1, 10 * NANOS_S, NANOS_S, 1, NANOS_S },
    };
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        struct breaker b = mesh__breaker_record(mesh__breaker_initial(), &odd[i], 0, BREAKER_SHUT_NOW, 0, UINT32_MAX);
        struct breaker_ask ask = mesh__breaker_ask(b, &odd[i], NANOS_NEVER);
        ck_assert_msg(ask.answer == BREAKER_TRY, "row %zu", i);
        if (odd[i].max_shut == NANOS_S)
            ck_assert_int_le(mesh__breaker_next(b), NANOS_S);
    }
}
END_TEST

/* The clock goes anywhere at any time; from then on SHUT ends within max_shut and the skew. */
START_TEST(clock_jumps_never_extend_beyond_max_shut)
{
    struct rng rng;
    mesh__rng_init(&rng, 11);
    for (int i = 0; i < 20000; i++) {
        mesh_nanos set_at = (mesh_nanos)(mesh__rng_next(&rng) % (uint64_t)(1000 * NANOS_S));
        mesh_nanos jump_to = (mesh_nanos)(mesh__rng_next(&rng) % (uint64_t)(1000 * NANOS_S));
        struct breaker b = mesh__breaker_record(mesh__breaker_initial(), &config, 0, BREAKER_SHUT_NOW, set_at,
                                                (uint32_t)mesh__rng_next(&rng));
        mesh_nanos longest = config.max_shut + BREAKER_SKEW_MS * NANOS_MS;
        bool due = mesh__breaker_ask(b, &config, jump_to).answer == BREAKER_TRY;
        mesh_nanos wait = mesh__breaker_next(b) - jump_to;
        ck_assert_msg(due || wait <= longest, "set at %lld, read at %lld: waits %lld", (long long)set_at,
                      (long long)jump_to, (long long)wait);
        ck_assert_msg(!due || wait <= 0 || wait > config.max_shut, "nothing ends early without a jump");
    }
}
END_TEST

/* Random events from several callers with late reports: at most one live probe, SHUT ends, stale tickets are inert. */
START_TEST(random_walk)
{
    struct rng rng;
    mesh__rng_init(&rng, (uint64_t)_i + 1);
    struct breaker b = mesh__breaker_initial();
    uint16_t held[16] = { 0 };
    mesh_nanos now = 0, lease_end = 0;
    bool probing = false;
    for (int step = 0; step < 50000; step++) {
        uint64_t r = mesh__rng_next(&rng);
        now += (mesh_nanos)(r % 400) * NANOS_MS;
        uint32_t who = (uint32_t)(r >> 32) % 16;
        if (r >> 60 < 8) {
            struct breaker_ask ask = mesh__breaker_ask(b, &config, now);
            held[who] = ask.ticket;
            if (ask.answer == BREAKER_TRY) {
                ck_assert_msg(!probing || now >= lease_end, "step %d: two probes at once", step);
                probing = true;
                lease_end = now + config.lease;
                b = ask.next;
            }
            if (mesh__breaker_state(b) == BREAKER_SHUT)
                ck_assert_int_le(mesh__breaker_next(b) - now, config.max_shut);
            continue;
        }
        enum breaker_event event = (enum breaker_event)((r >> 40) % 4);
        uint32_t generation = (uint32_t)(b.word >> 16) & 1023;
        struct breaker next = mesh__breaker_record(b, &config, held[who], event, now, (uint32_t)(r >> 8));
        if (held[who] != generation)
            ck_assert_msg(next.word == b.word, "step %d: a stale ticket changed the breaker", step);
        if (mesh__breaker_state(next) != BREAKER_PROBE)
            probing = false;
        b = next;
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("breaker");
    TCase *tcase = tcase_create("breaker");
    tcase_add_test(tcase, starts_closed);
    tcase_add_test(tcase, seventh_failure_in_a_row_shuts);
    tcase_add_loop_test(tcase, every_state_and_event, 0, (int)(sizeof(transitions) / sizeof(transitions[0])));
    tcase_add_test(tcase, one_probe_then_the_lease);
    tcase_add_test(tcase, abandoned_probe_gives_its_place_back);
    tcase_add_test(tcase, stays_shut_twice_as_long_each_time);
    tcase_add_test(tcase, jitter_spans_half_to_one_and_a_half);
    tcase_add_test(tcase, freeze_shuts_without_a_failure);
    tcase_add_test(tcase, retired_is_the_end);
    tcase_add_test(tcase, generation_wraps);
    tcase_add_test(tcase, times_saturate);
    tcase_add_test(tcase, odd_configs_still_end);
    tcase_add_test(tcase, clock_jumps_never_extend_beyond_max_shut);
    tcase_add_loop_test(tcase, random_walk, 0, 4);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
