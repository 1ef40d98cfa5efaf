/* SPDX-License-Identifier: Apache-2.0 */
/* machine_property_test.c - what holds for every sequence of events, sensible or not. */
/* long */
#include "call/machine.h"

#include "base/rng.h"

#include <check.h>
#include <stdlib.h>

enum { STEPS = 100000 };

/* One call under random events, with what a shell would have to keep. */
struct trial {
    struct rng rng;
    struct retry_config retry;
    struct machine_config config;
    struct machine machine;
    mesh_nanos now, timer;
    uint32_t started, reported, stopped, frees;
    bool live_attempt, admitted, released, done, committed, delivered, judged;
    int retry_places;
    int32_t next_answer; /* the event that has to come next; -1: any */
    mesh_status answer;
};

static uint32_t below(struct trial *t, uint32_t bound)
{
    return mesh__rng_below((uint32_t)(mesh__rng_next(&t->rng) >> 32), bound);
}

static void new_call(struct trial *t)
{
    struct rng rng = t->rng;
    *t = (struct trial){ .rng = rng, .timer = NANOS_NEVER, .next_answer = -1 };
    t->retry = (struct retry_config){ .attempts = 1 + below(t, RETRY_ATTEMPTS_MAX),
                                      .on = below(t, 4096),
                                      .non_idempotent = below(t, 4) == 0,
                                      .per_try_timeout = (mesh_nanos)below(t, 3) * 100 * NANOS_MS,
                                      .backoff_base = (mesh_nanos)below(t, 30) * NANOS_MS,
                                      .backoff_max = 250 * NANOS_MS };
    if (below(t, 2))
        t->retry.statuses[503 / 64] = (uint64_t)1 << (503 % 64);
    mesh_nanos deadline = below(t, 20) ? (mesh_nanos)below(t, 2000) * NANOS_MS : NANOS_NEVER;
    t->config = (struct machine_config){ .retry = &t->retry,
                                         .deadline = { deadline, below(t, 2) == 0 },
                                         .resolve_timeout = (mesh_nanos)below(t, 500) * NANOS_MS,
                                         .idempotent = below(t, 3) > 0,
                                         .no_retry = below(t, 10) == 0,
                                         .commit_on_head = below(t, 3) == 0 };
    mesh__machine_init(&t->machine);
}

static void give_retry_place_back(struct trial *t)
{
    t->retry_places--;
    ck_assert_msg(t->retry_places >= 0, "a place among the retries is given back twice");
}

static void on_report(struct trial *t, uint8_t attempt)
{
    ck_assert_msg(t->live_attempt && attempt == t->started - 1, "REPORT without an attempt under way");
    ck_assert_int_eq(t->machine.attempts[attempt].phase, ATTEMPT_ENDED);
    t->live_attempt = false;
    t->reported++;
    if (t->machine.attempts[attempt].holds_retry)
        give_retry_place_back(t);
}

static void on_done(struct trial *t, const struct effect *effect)
{
    ck_assert_msg(!t->done, "DONE twice");
    ck_assert_uint_eq(t->started, t->reported);
    ck_assert_msg(t->admitted == t->released, "RELEASE exactly if admitted");
    ck_assert_msg(t->retry_places == 0, "a place among the retries is lost");
    ck_assert_int_eq(t->machine.state, MACHINE_DONE);
    t->done = true;
    const struct machine_attempt *last = t->started ? &t->machine.attempts[t->started - 1] : NULL;
    if (effect->status == MESH_OK)
        ck_assert_msg(last != NULL && last->has_response && effect->attempt == t->started - 1, "OK has a response");
    else if (effect->status != MESH_CANCELLED)
        ck_assert_msg(last == NULL || last->report.status == effect->status, "else the last attempt's error");
    if (last != NULL)
        ck_assert_msg(last->retry == MESH_RETRY_NONE, "nothing followed the last attempt");
}

static void on_effect(struct trial *t, const struct effect *effect)
{
    ck_assert_msg(!t->done, "an effect after DONE");
    switch (effect->kind) {
    case EFFECT_ARM:
        ck_assert_msg(effect->at <= t->config.deadline.at, "armed later than the deadline");
        t->timer = effect->at;
        break;
    case EFFECT_RESOLVE:
        break;
    case EFFECT_ADMIT:
        t->next_answer = EVENT_ADMITTED;
        break;
    case EFFECT_PICK:
        ck_assert_uint_eq(effect->attempt, t->started);
        t->next_answer = EVENT_PICKED;
        break;
    case EFFECT_ASK_RETRY:
        t->next_answer = EVENT_RETRY_ADMITTED;
        break;
    case EFFECT_START:
        ck_assert_msg(!t->live_attempt && effect->attempt == t->started, "one attempt at a time");
        ck_assert_msg(mesh__deadline_fits(t->config.deadline.at, t->now, 0), "started with less than 1 ms left");
        ck_assert_msg(!t->committed, "an attempt behind one that was the last");
        t->live_attempt = true;
        t->started++;
        break;
    case EFFECT_STOP:
        ck_assert_msg(t->live_attempt && effect->attempt == t->started - 1, "STOP of nothing");
        t->stopped++;
        break;
    case EFFECT_REPORT:
        on_report(t, effect->attempt);
        break;
    case EFFECT_JUDGE:
        ck_assert_msg(t->live_attempt && !t->judged && !t->delivered, "JUDGE twice, or too late");
        ck_assert(t->machine.attempts[effect->attempt].report.probe && t->config.commit_on_head);
        t->judged = true;
        break;
    case EFFECT_DELIVER:
        ck_assert(t->live_attempt && !t->delivered && t->config.commit_on_head);
        t->committed = t->delivered = true;
        break;
    case EFFECT_RELEASE:
        ck_assert_msg(t->admitted && !t->released, "RELEASE twice or for nothing");
        t->released = true;
        if (t->machine.holds_retry)
            give_retry_place_back(t);
        break;
    case EFFECT_DONE:
        on_done(t, effect);
        break;
    }
}

static const mesh_status failures[] = {
    MESH_RESET,    MESH_CONNECT_REFUSED, MESH_CONNECT_TIMEOUT, MESH_PARTIAL_RESPONSE, MESH_REFUSED,
    MESH_PROTOCOL, MESH_NO_DESCRIPTORS,  MESH_OVERLOADED,      MESH_DEADLINE,         MESH_OK
};
static const int32_t responses[] = { 200, 404, 429, 500, 502, 503 };

static struct machine_input any_input(struct trial *t)
{
    struct machine_input input = {
        .event = (enum machine_event)below(t, EVENT_CANCEL + (below(t, 8) == 0)),
        .attempt = (uint8_t)(below(t, 4) ? t->machine.count - 1 : (int)below(t, 14)),
        .http_status = responses[below(t, 6)],
        .sent = (enum sent)below(t, 3),
        .unsent = below(t, 3) == 0,
        .stale = below(t, 3) == 0,
        .probe = below(t, 3) == 0,
        .others = below(t, 2) == 0,
        .ticket = (uint16_t)below(t, 1024),
        .retry_after = (mesh_nanos)below(t, 4) * 100 * NANOS_MS - 1,
        .grpc_status = (int32_t)below(t, 18),
        .pushed_back = below(t, 4) == 0,
        .pushback = (mesh_nanos)below(t, 4) * 100 * NANOS_MS - 1,
        .random = below(t, UINT32_MAX),
    };
    if (below(t, 20) == 0)
        input.event = EVENT_COMMIT;
    if (t->machine.state == MACHINE_NEW && below(t, 4))
        input.event = EVENT_START;
    if (t->machine.state == MACHINE_RESOLVING && below(t, 2))
        input.event = EVENT_RESOLVED;
    if (t->machine.state == MACHINE_TRYING && below(t, 3) == 0)
        input.event = EVENT_FAILED;
    if (input.event == EVENT_FAILED)
        input.status = failures[below(t, 10)];
    else if (input.event == EVENT_RESOLVED)
        input.status = below(t, 10) ? MESH_OK : MESH_NO_SUCH_NAME;
    /* Places are taken only when asked for. */
    if (input.event == EVENT_ADMITTED || input.event == EVENT_PICKED || input.event == EVENT_RETRY_ADMITTED)
        input.event = EVENT_BODY;
    if (t->next_answer >= 0) {
        input.event = (enum machine_event)t->next_answer;
        input.status = below(t, 10) ? MESH_OK : input.event == EVENT_PICKED ? MESH_NO_ENDPOINT : MESH_OVERLOADED;
    }
    return input;
}

static void step(struct trial *t)
{
    struct machine_input input = any_input(t);
    if (t->next_answer < 0 && below(t, 2))
        t->now += (mesh_nanos)below(t, 60) * NANOS_MS;
    if (t->next_answer < 0 && input.event == EVENT_TIMER && below(t, 2) && t->timer != NANOS_NEVER)
        t->now = mesh__nanos_max(t->now, t->timer);
    t->next_answer = -1;
    t->admitted |= input.event == EVENT_ADMITTED && input.status == MESH_OK;
    t->retry_places += input.event == EVENT_RETRY_ADMITTED && input.status == MESH_OK;
    t->timer = input.event == EVENT_TIMER ? NANOS_NEVER : t->timer;
    bool picked = input.event == EVENT_PICKED && input.status == MESH_OK;
    uint32_t before = t->started;
    struct effects effects;
    mesh__machine_step(&t->machine, &t->config, &input, t->now, &effects);
    ck_assert_uint_le(effects.count, MACHINE_EFFECTS);
    for (uint32_t i = 0; i < effects.count; i++)
        on_effect(t, &effects.list[i]);
    ck_assert_msg(!picked || t->started == before + 1, "a pick is followed by START");
    t->committed |= t->machine.state == MACHINE_COMMITTED;
    if (!t->done && t->machine.state != MACHINE_NEW)
        ck_assert_msg(t->timer <= t->config.deadline.at && t->timer == t->machine.armed, "the timer is set");
    ck_assert_uint_le(t->machine.counted, t->retry.attempts);
    ck_assert_uint_le(t->started, t->retry.attempts + 1);
}

START_TEST(invariants)
{
    struct trial t = { .next_answer = -1 };
    mesh__rng_init(&t.rng, (uint64_t)_i);
    uint32_t calls = 0, tries = 0, deepest = 0, delivered = 0, undelivered = 0, judged = 0;
    new_call(&t);
    uint32_t after = 0;
    for (int i = 0; i < STEPS; i++) {
        step(&t);
        if (!t.done || after++ < 3)
            continue;
        calls++;
        tries += t.started;
        delivered += t.delivered;
        judged += t.judged;
        undelivered += t.committed && !t.delivered;
        deepest = t.started > deepest ? t.started : deepest;
        after = 0;
        new_call(&t);
    }
    ck_assert_msg(
        calls > 1000 && tries > calls / 2 && deepest > 4 && delivered > 50 && undelivered > 50 && judged > 10,
        "the walk is worth something: %u calls, %u tries, at most %u, %u delivered, %u committed before that, "
        "%u judged",
        calls, tries, deepest, delivered, undelivered, judged);
}
END_TEST

/* Equal inputs, equal outputs: the machine keeps nothing outside its struct. */
START_TEST(deterministic)
{
    uint32_t started[2], stopped[2];
    mesh_nanos now[2];
    for (int run = 0; run < 2; run++) {
        struct trial t = { .next_answer = -1 };
        mesh__rng_init(&t.rng, 99);
        new_call(&t);
        started[run] = stopped[run] = 0;
        now[run] = 0;
        for (int i = 0; i < 5000; i++) {
            step(&t);
            if (!t.done)
                continue;
            started[run] = started[run] * 31 + t.started;
            stopped[run] = stopped[run] * 31 + t.stopped;
            now[run] += t.now;
            new_call(&t);
        }
    }
    ck_assert(started[0] == started[1] && stopped[0] == stopped[1] && now[0] == now[1]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("machine_property");
    TCase *tcase = tcase_create("machine_property");
    tcase_add_loop_test(tcase, invariants, 1, 4);
    tcase_add_test(tcase, deterministic);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
