/* SPDX-License-Identifier: Apache-2.0 */
/* machine_test.c - what a call promises about deadlines and retries, sentence by sentence. */
#include "script.h"

#include <stdlib.h>

static void make(struct script *s)
{
    script_init(s);
    script_try(s, 0);
}

/* Fails attempt 0 with a reset at `ms` and begins attempt 1 at once. */
static void second_try(struct script *s, int64_t ms)
{
    make(s);
    FEED(s, ms, FAILED, .status = MESH_RESET);
    ck_assert_str_eq(FEED(s, ms, RETRY_ADMITTED, .others = true), "PICKING: PICK1");
    FEED(s, ms, PICKED, .status = MESH_OK);
    ck_assert_int_eq(s->machine.state, MACHINE_TRYING);
}

/* ---- Deadlines ---- */

START_TEST(deadline_covers_resolving)
{
    struct script s;
    script_init(&s);
    s.config.resolve_timeout = 5000 * NANOS_MS;
    ck_assert_str_eq(FEED(&s, 0, START, .status = 0), "RESOLVING: ARM@1000 RESOLVE");
    ck_assert_str_eq(FEED(&s, 1000, TIMER, .status = 0), "DONE: DONE0:30");
    script_init(&s);
    FEED(&s, 0, START, .status = 0);
    ck_assert_str_eq(FEED(&s, 200, TIMER, .status = 0), "DONE: DONE0:42");
    script_init(&s);
    s.config.resolve_timeout = 1000 * NANOS_MS;
    FEED(&s, 0, START, .status = 0);
    ck_assert_str_eq(FEED(&s, 1000, TIMER, .status = 0), "DONE: DONE0:30");
}
END_TEST

START_TEST(per_try_timeout_starts_at_the_pick_and_includes_dialling)
{
    struct script s;
    make(&s);
    ck_assert_int_eq(s.machine.attempts[0].cut_at, 400 * NANOS_MS);
    FEED(&s, 390, READY, .attempt = 0);
    ck_assert_str_eq(FEED(&s, 400, TIMER, .status = 0), "ASKING: STOP0 REPORT0 ARM@1000 ASK_RETRY");
    ck_assert_int_eq(s.machine.attempts[0].report.status, MESH_PER_TRY_TIMEOUT);
    ck_assert_int_eq(s.machine.attempts[0].retry, MESH_RETRY_PER_TRY_TIMEOUT);
    ck_assert_int_eq(s.machine.attempts[0].report.elapsed, 400 * NANOS_MS);
}
END_TEST

START_TEST(per_try_timeout_is_capped_by_what_is_left)
{
    struct script s;
    second_try(&s, 350);
    FEED(&s, 350, READY, .attempt = 1);
    ck_assert_int_eq(s.machine.armed, 750 * NANOS_MS);
    script_init(&s);
    s.retry.per_try_timeout = 800 * NANOS_MS;
    script_try(&s, 0);
    FEED(&s, 350, FAILED, .status = MESH_RESET);
    FEED(&s, 350, RETRY_ADMITTED, .others = true);
    ck_assert_str_eq(FEED(&s, 350, PICKED, .status = 0), "TRYING: START1");
    ck_assert_int_eq(s.machine.attempts[1].cut_at, 1000 * NANOS_MS);
    ck_assert_str_eq(FEED(&s, 1000, TIMER, .status = 0), "DONE: STOP1 REPORT1 RELEASE DONE1:30");
}
END_TEST

START_TEST(backoff_that_does_not_fit_ends_the_call_now)
{
    struct script s;
    make(&s);
    s.config.deadline.at = 25 * NANOS_MS;
    ck_assert_str_eq(script_respond(&s, 5, 0, 503, -1), "ASKING: REPORT0 ARM@25 ASK_RETRY");
    ck_assert_str_eq(FEED(&s, 5, RETRY_ADMITTED, .random = UINT32_MAX, .others = true), "DONE: RELEASE DONE0:0");
    ck_assert_int_eq(s.machine.attempts[0].stop, MESH_STOP_DEADLINE);
    ck_assert_int_eq(s.machine.attempts[0].retry, MESH_RETRY_NONE);
    ck_assert(s.machine.attempts[0].has_response);
    ck_assert_msg(s.machine.holds_retry, "the place is given back with RELEASE");

    make(&s);
    s.config.deadline.at = 25 * NANOS_MS;
    FEED(&s, 5, FAILED, .status = MESH_RESET);
    ck_assert_str_eq(FEED(&s, 5, RETRY_ADMITTED, .random = UINT32_MAX, .others = true), "DONE: RELEASE DONE0:80");
}
END_TEST

START_TEST(retry_after_that_does_not_fit_ends_the_call_now)
{
    struct script s;
    make(&s);
    script_respond(&s, 10, 0, 503, 2000);
    ck_assert_str_eq(FEED(&s, 10, RETRY_ADMITTED, .others = false), "DONE: RELEASE DONE0:0");
    ck_assert_int_eq(s.machine.attempts[0].stop, MESH_STOP_DEADLINE);
}
END_TEST

START_TEST(deadline_is_the_answer_only_when_something_was_cut)
{
    struct script s;
    second_try(&s, 10);
    FEED(&s, 20, READY, .attempt = 1);
    s.retry.attempts = 5;
    FEED(&s, 410, TIMER, .status = 0);
    FEED(&s, 410, RETRY_ADMITTED, .others = true);
    FEED(&s, 410, PICKED, .status = 0);
    FEED(&s, 810, TIMER, .status = 0);
    FEED(&s, 810, PICKED, .status = 0);
    ck_assert_msg(s.machine.state == MACHINE_TRYING, "the try that never had a connection is repeated at no cost");
    ck_assert_str_eq(FEED(&s, 1000, TIMER, .status = 0), "DONE: STOP3 REPORT3 RELEASE DONE3:30");
    ck_assert_int_eq(s.machine.attempts[3].stop, MESH_STOP_DEADLINE);
}
END_TEST

START_TEST(no_attempt_starts_with_less_than_1_ms_left)
{
    struct script s;
    make(&s);
    s.config.deadline.at = 10 * NANOS_MS;
    ck_assert_str_eq(FEED(&s, 10, FAILED, .status = MESH_CONNECT_REFUSED, .unsent = true),
                     "DONE: REPORT0 RELEASE DONE0:70");
    ck_assert_int_eq(s.machine.attempts[0].stop, MESH_STOP_DEADLINE);
    make(&s);
    s.config.deadline.at = 11 * NANOS_MS;
    FEED(&s, 10, FAILED, .status = MESH_CONNECT_REFUSED, .unsent = true);
    ck_assert_int_eq(s.machine.state, MACHINE_PICKING);
}
END_TEST

START_TEST(a_deadline_proves_something_only_to_whom_had_time)
{
    struct script s;
    script_init(&s);
    s.retry.per_try_timeout = 0;
    script_try(&s, 0);
    FEED(&s, 1000, TIMER, .status = 0);
    ck_assert(!s.machine.attempts[0].report.short_deadline);
    ck_assert_int_eq(s.machine.attempts[0].verdict.breaker, BREAKER_FAILURE);

    script_init(&s);
    s.retry.per_try_timeout = 0;
    s.config.deadline.is_short = true;
    script_try(&s, 0);
    FEED(&s, 1000, TIMER, .status = 0);
    ck_assert(s.machine.attempts[0].report.short_deadline);
    ck_assert_int_eq(s.machine.attempts[0].verdict.breaker, BREAKER_NEUTRAL);

    script_init(&s);
    s.retry.per_try_timeout = 0;
    script_try(&s, 0);
    FEED(&s, 900, FAILED, .status = MESH_RESET);
    FEED(&s, 900, RETRY_ADMITTED, .others = true);
    FEED(&s, 900, PICKED, .status = 0);
    FEED(&s, 1000, TIMER, .status = 0);
    ck_assert_msg(s.machine.attempts[1].report.short_deadline, "100 of 1000 ms are little");
}
END_TEST

/* ---- Retries ---- */

START_TEST(attempts_is_the_total)
{
    struct script s;
    second_try(&s, 10);
    ck_assert_str_eq(script_respond(&s, 20, 1, 503, -1), "DONE: REPORT1 RELEASE DONE1:0");
    ck_assert_int_eq(s.machine.attempts[1].stop, MESH_STOP_ATTEMPTS);
    ck_assert_int_eq(s.machine.attempts[0].retry, MESH_RETRY_RESET_BEFORE_REQUEST);
    ck_assert_int_eq(s.machine.attempts[0].stop, MESH_STOP_NONE);
}
END_TEST

START_TEST(not_idempotent_is_not_repeated)
{
    struct script s;
    make(&s);
    s.config.idempotent = false;
    ck_assert_str_eq(script_respond(&s, 10, 0, 503, -1), "DONE: REPORT0 RELEASE DONE0:0");
    ck_assert_int_eq(s.machine.attempts[0].stop, MESH_STOP_NOT_IDEMPOTENT);
    make(&s);
    s.config.idempotent = false;
    FEED(&s, 10, SENT, .sent = SENT_PART);
    ck_assert_str_eq(FEED(&s, 10, FAILED, .status = MESH_RESET), "DONE: REPORT0 RELEASE DONE0:80");
    make(&s);
    s.config.idempotent = false;
    ck_assert_str_eq(FEED(&s, 10, FAILED, .status = MESH_RESET), "ASKING: REPORT0 ARM@1000 ASK_RETRY");
    ck_assert_int_eq(s.machine.attempts[0].retry, MESH_RETRY_RESET_BEFORE_REQUEST);
}
END_TEST

START_TEST(free_repeat_once_at_once_at_no_cost)
{
    struct script s;
    make(&s);
    ck_assert_str_eq(FEED(&s, 1, FAILED, .status = MESH_CONNECT_REFUSED, .unsent = true),
                     "PICKING: REPORT0 ARM@1000 PICK1");
    FEED(&s, 1, PICKED, .status = 0);
    ck_assert_uint_eq(s.machine.count, 2);
    ck_assert_uint_eq(s.machine.counted, 1);
    ck_assert(!s.machine.attempts[1].holds_retry);
    ck_assert_int_eq(s.machine.attempts[0].retry, MESH_RETRY_UNSENT);
    ck_assert_str_eq(FEED(&s, 2, FAILED, .attempt = 1, .status = MESH_CONNECT_REFUSED, .unsent = true),
                     "ASKING: REPORT1 ARM@1000 ASK_RETRY");
    FEED(&s, 2, RETRY_ADMITTED, .others = true);
    FEED(&s, 2, PICKED, .status = 0);
    ck_assert_uint_eq(s.machine.counted, 2);
    ck_assert(s.machine.attempts[2].holds_retry);
    ck_assert_str_eq(FEED(&s, 3, FAILED, .attempt = 2, .status = MESH_CONNECT_REFUSED, .unsent = true),
                     "DONE: REPORT2 RELEASE DONE2:70");
    ck_assert_int_eq(s.machine.attempts[2].stop, MESH_STOP_ATTEMPTS);
}
END_TEST

START_TEST(stale_connection_is_repeated_if_idempotent)
{
    struct script s;
    make(&s);
    FEED(&s, 1, SENT, .sent = SENT_ALL);
    ck_assert_str_eq(FEED(&s, 1, FAILED, .status = MESH_RESET, .stale = true), "PICKING: REPORT0 ARM@1000 PICK1");
    make(&s);
    s.config.idempotent = false;
    FEED(&s, 1, SENT, .sent = SENT_ALL);
    ck_assert_str_eq(FEED(&s, 1, FAILED, .status = MESH_RESET, .stale = true), "DONE: REPORT0 RELEASE DONE0:80");
    make(&s);
    FEED(&s, 1, HEAD, .http_status = 200, .retry_after = -1);
    FEED(&s, 1, FAILED, .status = MESH_RESET, .stale = true, .unsent = true);
    ck_assert_msg(!s.machine.attempts[0].report.stale && !s.machine.attempts[0].report.unsent,
                  "who has begun to answer has acted");
}
END_TEST

START_TEST(no_retry_means_one_attempt)
{
    struct script s;
    make(&s);
    s.config.no_retry = true;
    ck_assert_str_eq(FEED(&s, 1, FAILED, .status = MESH_CONNECT_REFUSED, .unsent = true),
                     "DONE: REPORT0 RELEASE DONE0:70");
    ck_assert_int_eq(s.machine.attempts[0].stop, MESH_STOP_ASKED);
}
END_TEST

START_TEST(budget_denies)
{
    struct script s;
    make(&s);
    script_respond(&s, 10, 0, 500, -1);
    ck_assert_str_eq(FEED(&s, 10, RETRY_ADMITTED, .status = MESH_OVERLOADED), "DONE: RELEASE DONE0:0");
    ck_assert_int_eq(s.machine.attempts[0].stop, MESH_STOP_BUDGET);
    ck_assert(!s.machine.holds_retry);
}
END_TEST

START_TEST(backoff_doubles_with_full_jitter)
{
    struct script s;
    make(&s);
    s.retry.attempts = 10;
    s.retry.per_try_timeout = 0;
    s.config.deadline.at = 100 * NANOS_S;
    int64_t ms = 10, expected = 25;
    for (uint8_t i = 0; i < 9; i++) {
        FEED(&s, ms, FAILED, .attempt = i, .status = MESH_RESET);
        FEED(&s, ms, RETRY_ADMITTED, .random = UINT32_MAX, .others = true);
        ck_assert_int_eq(s.machine.state, MACHINE_BACKOFF);
        ck_assert_int_eq(s.machine.armed, (ms + expected) * NANOS_MS);
        ck_assert_int_eq(s.machine.backoff, expected * NANOS_MS);
        ms += expected;
        FEED(&s, ms, TIMER, .status = 0);
        FEED(&s, ms, PICKED, .status = 0);
        expected = expected * 2 < 250 ? expected * 2 : 250;
    }
    ck_assert_str_eq(FEED(&s, ms, FAILED, .attempt = 9, .status = MESH_RESET), "DONE: REPORT9 RELEASE DONE9:80");
}
END_TEST

START_TEST(retry_after_is_honoured_where_there_is_no_other_endpoint)
{
    static const struct {
        int64_t retry_after;
        bool others;
        uint32_t random;
        const char *answer;
    } rows[] = {
        { 300, false, UINT32_MAX, "BACKOFF: ARM@310" },
        { 300, true, UINT32_MAX, "BACKOFF: ARM@35" },
        { 10, false, UINT32_MAX, "BACKOFF: ARM@35" },
        { -1, false, UINT32_MAX, "BACKOFF: ARM@35" },
        { 0, false, 0, "PICKING: PICK1" },
        { 10, false, 0, "BACKOFF: ARM@20" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct script s;
        make(&s);
        script_respond(&s, 10, 0, 503, rows[i].retry_after);
        const char *answer = FEED(&s, 10, RETRY_ADMITTED, .random = rows[i].random, .others = rows[i].others);
        ck_assert_msg(strcmp(answer, rows[i].answer) == 0, "row %zu gives \"%s\"", i, answer);
    }
}
END_TEST

START_TEST(retry_after_is_clamped)
{
    struct script s;
    make(&s);
    script_respond(&s, 10, 0, 503, 1000000000);
    ck_assert_int_eq(s.machine.attempts[0].report.retry_after, 300 * NANOS_S);
    ck_assert_int_eq(s.machine.attempts[0].verdict.freeze, 300 * NANOS_S);
}
END_TEST

/* A gRPC response of UNAVAILABLE at `ms` with this push-back in ms. */
static const char *push_back(struct script *s, int64_t ms, uint8_t attempt, int64_t pushback)
{
    FEED(s, ms, HEAD, .attempt = attempt, .http_status = 200, .retry_after = -1);
    return FEED(s, ms, END, .attempt = attempt, .grpc_status = MESH_GRPC_UNAVAILABLE, .pushed_back = true,
                .pushback = pushback < 0 ? -1 : pushback * NANOS_MS);
}

START_TEST(grpc_pushback_names_the_pause_and_backing_off_begins_anew)
{
    struct script s;
    script_init(&s);
    s.retry.on |= RETRY_ON_UNAVAILABLE;
    s.retry.attempts = 5;
    script_try(&s, 0);
    ck_assert_str_eq(push_back(&s, 10, 0, 70), "ASKING: REPORT0 ARM@1000 ASK_RETRY");
    ck_assert_str_eq(FEED(&s, 10, RETRY_ADMITTED, .random = 0, .others = true), "BACKOFF: ARM@80");
    ck_assert_int_eq(s.machine.attempts[0].retry, MESH_RETRY_UNAVAILABLE);
    FEED(&s, 80, TIMER, .status = 0);
    FEED(&s, 80, PICKED, .status = 0);
    push_back(&s, 90, 1, 0);
    ck_assert_str_eq(FEED(&s, 90, RETRY_ADMITTED, .random = UINT32_MAX, .others = true), "PICKING: PICK2");
    FEED(&s, 90, PICKED, .status = 0);
    FEED(&s, 100, HEAD, .attempt = 2, .http_status = 200, .retry_after = -1);
    FEED(&s, 100, END, .attempt = 2, .grpc_status = MESH_GRPC_UNAVAILABLE);
    ck_assert_str_eq(FEED(&s, 100, RETRY_ADMITTED, .random = UINT32_MAX, .others = true), "BACKOFF: ARM@125");
}
END_TEST

START_TEST(grpc_pushback_may_forbid_a_retry_or_not_fit)
{
    struct script s;
    script_init(&s);
    s.retry.on |= RETRY_ON_UNAVAILABLE;
    script_try(&s, 0);
    ck_assert_str_eq(push_back(&s, 10, 0, -1), "DONE: REPORT0 RELEASE DONE0:0");
    ck_assert_int_eq(s.machine.attempts[0].stop, MESH_STOP_PUSHBACK);
    ck_assert_int_eq(s.machine.attempts[0].report.grpc_status, MESH_GRPC_UNAVAILABLE);
    script_init(&s);
    s.retry.on |= RETRY_ON_UNAVAILABLE;
    script_try(&s, 0);
    push_back(&s, 10, 0, 1000000);
    ck_assert_int_eq(s.machine.attempts[0].report.pushback, 300 * NANOS_S);
    ck_assert_str_eq(FEED(&s, 10, RETRY_ADMITTED, .others = true), "DONE: RELEASE DONE0:0");
    ck_assert_int_eq(s.machine.attempts[0].stop, MESH_STOP_DEADLINE);
}
END_TEST

/* A head that is all of a gRPC response may say that a retry is wanted. */
START_TEST(grpc_status_in_the_head_is_looked_at_before_it_is_handed_on)
{
    static const struct {
        int32_t grpc_status;
        const char *answer;
    } rows[] = { { MESH_GRPC_OK, "COMMITTED: ARM@1000 DELIVER0" },
                 { MESH_GRPC_ABORTED, "COMMITTED: ARM@1000 DELIVER0" },
                 { MESH_GRPC_UNAVAILABLE, "TRYING:" } };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct script s;
        script_init(&s);
        s.retry.on |= RETRY_ON_UNAVAILABLE;
        s.config.commit_on_head = true;
        script_try(&s, 0);
        ck_assert_str_eq(FEED(&s, 10, HEAD, .http_status = 200, .retry_after = -1, .grpc_status = rows[i].grpc_status),
                         rows[i].answer);
    }
}
END_TEST

START_TEST(last_outcome_is_that_of_the_attempt_that_just_ended)
{
    struct script s;
    make(&s);
    script_respond(&s, 10, 0, 503, -1);
    FEED(&s, 10, RETRY_ADMITTED, .others = true);
    FEED(&s, 10, PICKED, .status = 0);
    FEED(&s, 20, SENT, .attempt = 1, .sent = SENT_ALL);
    ck_assert_str_eq(FEED(&s, 20, FAILED, .attempt = 1, .status = MESH_RESET), "DONE: REPORT1 RELEASE DONE1:80");
}
END_TEST

START_TEST(half_a_response_may_be_repeated_when_buffered)
{
    struct script s;
    make(&s);
    FEED(&s, 10, SENT, .sent = SENT_ALL);
    FEED(&s, 10, HEAD, .http_status = 200, .retry_after = -1);
    ck_assert_str_eq(FEED(&s, 11, BODY, .attempt = 0), "TRYING:");
    ck_assert_str_eq(FEED(&s, 12, FAILED, .status = MESH_PARTIAL_RESPONSE), "ASKING: REPORT0 ARM@1000 ASK_RETRY");
    ck_assert_int_eq(s.machine.attempts[0].retry, MESH_RETRY_RESET);
    ck_assert(!s.machine.attempts[0].has_response);
}
END_TEST

/* ---- Streaming ---- */

static void make_stream(struct script *s)
{
    script_init(s);
    s->config.commit_on_head = true;
    script_try(s, 0);
}

START_TEST(head_commits)
{
    struct script s;
    make_stream(&s);
    ck_assert_str_eq(FEED(&s, 10, HEAD, .http_status = 200, .retry_after = -1), "COMMITTED: ARM@1000 DELIVER0");
    ck_assert_str_eq(FEED(&s, 11, HEAD, .http_status = 200, .retry_after = -1), "COMMITTED:");
    ck_assert_str_eq(FEED(&s, 12, FAILED, .status = MESH_PARTIAL_RESPONSE), "DONE: REPORT0 RELEASE DONE0:81");
    ck_assert_int_eq(s.machine.attempts[0].stop, MESH_STOP_NOT_RETRYABLE);
}
END_TEST

START_TEST(head_that_may_be_retried_is_withheld)
{
    struct script s;
    make_stream(&s);
    ck_assert_str_eq(FEED(&s, 10, HEAD, .http_status = 503, .retry_after = -1), "TRYING:");
    ck_assert_str_eq(FEED(&s, 11, END, .attempt = 0), "ASKING: REPORT0 ARM@1000 ASK_RETRY");
    FEED(&s, 11, RETRY_ADMITTED, .others = true);
    FEED(&s, 11, PICKED, .status = 0);
    ck_assert_str_eq(FEED(&s, 12, HEAD, .attempt = 1, .http_status = 503, .retry_after = -1),
                     "COMMITTED: ARM@1000 DELIVER1");
    make_stream(&s);
    s.config.idempotent = false;
    ck_assert_str_eq(FEED(&s, 10, HEAD, .http_status = 503, .retry_after = -1), "COMMITTED: ARM@1000 DELIVER0");
}
END_TEST

/* An open stream is no slow endpoint, and one that lasts until the deadline, or is cancelled, no broken one. A probe
 * speaks at its head, since it may stay open for longer than anybody can wait for its word, and then only of failure.
 */
START_TEST(an_endpoint_is_judged_by_its_head)
{
    static const struct {
        bool probe;
        int32_t head;
        struct machine_input end;
        const char *at_head;
        struct verdict verdict; /* at the end */
    } rows[] = {
        { false, 200, { .event = EVENT_END }, "DELIVER0", { BREAKER_SUCCESS, 0, SAMPLE_RECORD, 10 * NANOS_MS } },
        { false, 200, { .event = EVENT_TIMER }, "DELIVER0", { BREAKER_SUCCESS, 0, SAMPLE_RECORD, 10 * NANOS_MS } },
        { false, 200, { .event = EVENT_CANCEL }, "DELIVER0", { BREAKER_SUCCESS, 0, SAMPLE_RECORD, 10 * NANOS_MS } },
        { false, 500, { .event = EVENT_CANCEL }, "DELIVER0", { BREAKER_FAILURE, 0, SAMPLE_RECORD, NANOS_S } },
        { false,
          200,
          { .event = EVENT_FAILED, .status = MESH_PARTIAL_RESPONSE },
          "DELIVER0",
          { BREAKER_FAILURE, 0, SAMPLE_RECORD, NANOS_S } },
        { true, 200, { .event = EVENT_END }, "JUDGE0 DELIVER0", { BREAKER_NEUTRAL, 0, SAMPLE_NONE, 0 } },
        { true, 200, { .event = EVENT_TIMER }, "JUDGE0 DELIVER0", { BREAKER_NEUTRAL, 0, SAMPLE_NONE, 0 } },
        { true, 200, { .event = EVENT_CANCEL }, "JUDGE0 DELIVER0", { BREAKER_NEUTRAL, 0, SAMPLE_NONE, 0 } },
        { true,
          200,
          { .event = EVENT_FAILED, .status = MESH_PARTIAL_RESPONSE },
          "JUDGE0 DELIVER0",
          { BREAKER_FAILURE, 0, SAMPLE_RECORD, NANOS_S } },
        { true,
          200,
          { .event = EVENT_END, .grpc_status = MESH_GRPC_INTERNAL },
          "JUDGE0 DELIVER0",
          { BREAKER_FAILURE, 0, SAMPLE_RECORD, NANOS_S } },
        { true, 500, { .event = EVENT_CANCEL }, "DELIVER0", { BREAKER_FAILURE, 0, SAMPLE_RECORD, NANOS_S } },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct script s;
        char expected[64];
        script_init(&s);
        s.config.commit_on_head = true;
        s.config.idempotent = false;
        FEED(&s, 0, START, .status = MESH_OK);
        FEED(&s, 0, RESOLVED, .status = MESH_OK);
        FEED(&s, 0, ADMITTED, .status = MESH_OK);
        FEED(&s, 0, PICKED, .probe = rows[i].probe);
        const struct machine_attempt *attempt = &s.machine.attempts[0];
        (void)snprintf(expected, sizeof(expected), "COMMITTED: ARM@1000 %s", rows[i].at_head);
        ck_assert_str_eq(FEED(&s, 10, HEAD, .http_status = rows[i].head, .retry_after = -1), expected);
        if (attempt->judged) {
            ck_assert_int_eq(attempt->verdict.breaker, BREAKER_SUCCESS);
            ck_assert_int_eq(attempt->verdict.sample, SAMPLE_RESET);
            ck_assert_int_eq(attempt->verdict.sample_ns, 10 * NANOS_MS);
        }
        script_feed(&s, 1000, rows[i].end);
        ck_assert_int_eq(s.machine.state, MACHINE_DONE);
        ck_assert_msg(attempt->verdict.breaker == rows[i].verdict.breaker, "row %zu", i);
        ck_assert_msg(attempt->verdict.sample == rows[i].verdict.sample, "row %zu", i);
        ck_assert_int_eq(attempt->verdict.sample_ns, rows[i].verdict.sample_ns);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("machine");
    TCase *tcase = tcase_create("machine");
    tcase_add_test(tcase, deadline_covers_resolving);
    tcase_add_test(tcase, per_try_timeout_starts_at_the_pick_and_includes_dialling);
    tcase_add_test(tcase, per_try_timeout_is_capped_by_what_is_left);
    tcase_add_test(tcase, backoff_that_does_not_fit_ends_the_call_now);
    tcase_add_test(tcase, retry_after_that_does_not_fit_ends_the_call_now);
    tcase_add_test(tcase, deadline_is_the_answer_only_when_something_was_cut);
    tcase_add_test(tcase, no_attempt_starts_with_less_than_1_ms_left);
    tcase_add_test(tcase, a_deadline_proves_something_only_to_whom_had_time);
    tcase_add_test(tcase, attempts_is_the_total);
    tcase_add_test(tcase, not_idempotent_is_not_repeated);
    tcase_add_test(tcase, free_repeat_once_at_once_at_no_cost);
    tcase_add_test(tcase, stale_connection_is_repeated_if_idempotent);
    tcase_add_test(tcase, no_retry_means_one_attempt);
    tcase_add_test(tcase, budget_denies);
    tcase_add_test(tcase, backoff_doubles_with_full_jitter);
    tcase_add_test(tcase, retry_after_is_honoured_where_there_is_no_other_endpoint);
    tcase_add_test(tcase, retry_after_is_clamped);
    tcase_add_test(tcase, grpc_pushback_names_the_pause_and_backing_off_begins_anew);
    tcase_add_test(tcase, grpc_pushback_may_forbid_a_retry_or_not_fit);
    tcase_add_test(tcase, grpc_status_in_the_head_is_looked_at_before_it_is_handed_on);
    tcase_add_test(tcase, last_outcome_is_that_of_the_attempt_that_just_ended);
    tcase_add_test(tcase, half_a_response_may_be_repeated_when_buffered);
    tcase_add_test(tcase, head_commits);
    tcase_add_test(tcase, head_that_may_be_retried_is_withheld);
    tcase_add_test(tcase, an_endpoint_is_judged_by_its_head);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
