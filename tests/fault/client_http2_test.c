/* SPDX-License-Identifier: Apache-2.0 */
/* client_http2_test.c - what HTTP/2 peers may do to streams and connections, at the public API: rows 63 to 68, 84, 87
 * and 90 of the fault catalogue. */
#include "fault/hostile.h"
#include "fault/hostile_http2.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define NO_RETRIES "'retry':{'attempts':1,'budget':{'ratio':0,'per_second':0}}"
#define NO_BREAKER "'circuit_breaker':{'enabled':false}"

static mesh_attempt attempt_of(const mesh_result *result, size_t index)
{
    mesh_attempt attempt = MESH_ATTEMPT_INIT;
    ck_assert_int_eq(mesh_result_attempt(result, index, &attempt), MESH_OK);
    return attempt;
}

static void expect_ok(void)
{
    fault_expect(hostile_http2_next(), MESH_OK, 200, 1, NULL);
}

static void start_many(int count)
{
    for (int i = 0; i < count; i++)
        hostile_http2_start("POST", NULL, 0);
}

/* ---- rows 63 and 64: GOAWAY ---- */

static uint32_t goaway_code;

/* The first connection goes away behind its first stream, when three have come. */
static void go_away(struct hostile_end *end, const struct hostile_frame *frame)
{
    if (end != &h2.ends[0]) {
        answer_all(end, frame);
    } else if (is_request(frame) && frame->stream == 5) {
        say_goaway(end, 1, goaway_code);
        say_ok(end, 1);
    }
}

/* POSTs, without any retry in the budget: what was above the last stream was never sent. */
START_TEST(row_63_goaway_repeats_elsewhere_what_was_never_sent)
{
    static const uint32_t codes[] = { HTTP2_NO_ERROR, HTTP2_INTERNAL_ERROR, HTTP2_ENHANCE_YOUR_CALM };
    goaway_code = codes[_i];
    hostile_http2_open(2, NO_RETRIES, go_away);
    start_many(6);
    uint32_t repeated = 0;
    for (int i = 0; i < 6; i++) {
        mesh_result *result = hostile_http2_next();
        if (mesh_result_attempt_count(result) == 2) {
            mesh_attempt first = attempt_of(result, 0), second = attempt_of(result, 1);
            ck_assert_int_eq(first.status, MESH_REFUSED);
            ck_assert_int_eq(first.retry, MESH_RETRY_UNSENT);
            ck_assert_str_ne(first.endpoint, second.endpoint);
            repeated++;
        }
        fault_expect(result, MESH_OK, 200, mesh_result_attempt_count(result), NULL);
    }
    ck_assert_uint_eq(repeated, 2);
    mesh_counters counters = fault_counters(h2.client);
    ck_assert_uint_eq(counters.retries, 2);
    ck_assert_uint_eq(counters.retries_denied, 0);
    ck_assert_uint_eq(counters.shuts, 0);
    hostile_http2_close();
}
END_TEST

START_TEST(row_64_two_goaways)
{
    hostile_http2_open(1, NO_RETRIES, NULL);
    start_many(2);
    hostile_http2_pass(0);
    say_goaway(&h2.ends[0], INT32_MAX, HTTP2_NO_ERROR);
    hostile_http2_pass(0);
    ck_assert_uint_eq(hostile_http2_responses(), 0); /* both go on */
    h2.script = answer_all;
    start_many(1); /* on a connection of its own */
    expect_ok();
    ck_assert_uint_eq(h2.count, 2);
    ck_assert_uint_eq(h2.ends[0].last, 3);
    say_goaway(&h2.ends[0], 1, HTTP2_NO_ERROR);
    say_ok(&h2.ends[0], 1);
    hostile_http2_pass(0);
    ck_assert_uint_eq(hostile_http2_responses(), 2);
    ck_assert_uint_eq(h2.ends[1].last, 3); /* what was above it went there */
    ck_assert_ptr_null(h2.ends[0].connection);
    ck_assert_uint_eq(fault_counters(h2.client).retries, 1);
    hostile_http2_close();
}
END_TEST

/* ---- rows 65 to 68: RST_STREAM ---- */

static int refusals; /* that are still to come */

static void refuse(struct hostile_end *end, const struct hostile_frame *frame)
{
    if (is_request(frame) && refusals > 0) {
        refusals--;
        say_reset(end, frame->stream, HTTP2_REFUSED_STREAM);
    } else {
        answer_all(end, frame);
    }
}

/* A refused stream is repeated once at no cost, then as `retry` says. */
START_TEST(row_65_refused_streams_are_repeated_once_uncounted)
{
    static const struct {
        const char *retry;
        int refusals;
        mesh_status status;
        size_t attempts;
    } rows[] = {
        { NO_RETRIES, 1, MESH_OK, 2 },
        { NO_RETRIES, 2, MESH_REFUSED, 2 },
        { "'retry':{'attempts':2}", 2, MESH_OK, 3 },
        { "'retry':{'attempts':2}", 3, MESH_REFUSED, 3 },
        { "'retry':{'attempts':3}", 3, MESH_OK, 4 },
        { "'retry':{'attempts':3,'on':['reset']}", 2, MESH_REFUSED, 2 },
        { "'retry':{'attempts':3,'budget':{'ratio':0,'per_second':0}}", 2, MESH_REFUSED, 2 },
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        hostile_http2_open(1, rows[i].retry, refuse);
        refusals = rows[i].refusals;
        mesh_result *result = hostile_http2_call("POST");
        ck_assert_msg(mesh_result_attempt_count(result) == rows[i].attempts, "row %zu: %s", i,
                      mesh_result_message(result));
        ck_assert_int_eq(attempt_of(result, 0).retry, MESH_RETRY_UNSENT);
        fault_expect(result, rows[i].status, rows[i].status == MESH_OK ? 200 : 0, rows[i].attempts, NULL);
        ck_assert_uint_eq(h2.count, 1); /* the connection is as good as before */
        hostile_http2_close();
    }
}
END_TEST

static uint32_t reset_code;

static void reset_within_data(struct hostile_end *end, const struct hostile_frame *frame)
{
    if (is_request(frame) && frame->stream == 1) {
        say_head(end, 1);
        say_frame(end, DATA, 0, 1, "part", 4);
        say_reset(end, 1, reset_code);
    } else {
        answer_all(end, frame);
    }
}

START_TEST(row_66_a_reset_within_the_body_ends_the_stream_only)
{
    static const uint32_t codes[] = { HTTP2_NO_ERROR, HTTP2_CANCEL, HTTP2_INTERNAL_ERROR, HTTP2_REFUSED_STREAM, 99 };
    reset_code = codes[_i];
    hostile_http2_open(1, "", reset_within_data);
    start_many(3);
    fault_expect(hostile_http2_next(), MESH_PARTIAL_RESPONSE, 0, 1, "reset");
    expect_ok();
    expect_ok();
    ck_assert_uint_eq(h2.count, 1);
    hostile_http2_close();
}
END_TEST

/* The answer comes before the request has been sent: the window is shut. */
static void answer_early(struct hostile_end *end, const struct hostile_frame *frame)
{
    if (frame->type == DATA && end->data == 65535) {
        say_frame(end, HEADERS, END_HEADERS, frame->stream, "\x88", 1);
        say_frame(end, DATA, END_STREAM, frame->stream, "whole", 5);
        say_reset(end, frame->stream, HTTP2_NO_ERROR);
    }
}

START_TEST(row_67_a_response_that_is_whole_outlives_its_reset)
{
    static char body[300000];
    hostile_http2_open(1, "", answer_early);
    hostile_http2_start("POST", body, sizeof(body));
    mesh_result *result = hostile_http2_next();
    ck_assert_str_eq(mesh_result_body(result), "whole");
    fault_expect(result, MESH_OK, 200, 1, NULL);
    h2.script = answer_all;
    hostile_http2_pass(0);
    say_window(&h2.ends[0], 0, 65535);
    hostile_http2_start("POST", "after", 5);
    expect_ok();
    ck_assert_uint_eq(h2.count, 1);
    hostile_http2_close();
}
END_TEST

static void reset_all(struct hostile_end *end, const struct hostile_frame *frame)
{
    for (int i = 0; is_request(frame) && i < 3; i++) /* two of them of a closed stream */
        say_reset(end, frame->stream, HTTP2_CANCEL);
}

START_TEST(row_68_a_peer_that_resets_every_stream)
{
    hostile_http2_open(1, NO_BREAKER, reset_all);
    for (int i = 0; i < 3000; i++)
        fault_expect(hostile_http2_call("POST"), MESH_RESET, 0, 1, "reset");
    h2.script = answer_all;
    start_many(1);
    expect_ok();
    ck_assert_uint_eq(h2.count, 1);
    hostile_http2_close();
}
END_TEST

/* ---- row 84: MAX_CONCURRENT_STREAMS ---- */

static void hold(struct hostile_end *end, const struct hostile_frame *frame)
{
    (void)end;
    (void)frame;
}

static void set_max_streams(uint32_t most)
{
    const uint32_t entries[][2] = { { 3, most } };
    hostile_http2_set(entries, 1);
}

static uint32_t most_streams, waiting[HOSTILE_ENDS], waiting_count[HOSTILE_ENDS];

/* Holds what comes until nothing more can come, and has the limit kept. */
static void hold_and_count(struct hostile_end *end, const struct hostile_frame *frame)
{
    size_t at = (size_t)(end - h2.ends);
    if (!is_request(frame))
        return;
    if (waiting_count[at]++ == 0)
        waiting[at] = frame->stream;
    ck_assert_msg(waiting_count[at] <= most_streams, "%u streams of %u", waiting_count[at], most_streams);
}

static void answer_held(void)
{
    for (uint32_t k = 0; k < h2.count; k++) {
        for (uint32_t i = 0; i < waiting_count[k]; i++)
            say_ok(&h2.ends[k], waiting[k] + 2 * i);
        waiting_count[k] = 0;
    }
    hostile_http2_pass(0);
}

/* Streams used up: another connection; no place for one: the calls wait. */
START_TEST(row_84_few_streams)
{
    static const struct {
        uint32_t streams;
        const char *limits;
        uint32_t connections;
    } rows[] = {
        { 1, "", 6 },
        { 2, "", 3 },
        { 3, "'limits':{'max_connections':1}", 1 },
        { 1, "'limits':{'max_connections':2}", 2 },
        { 100, "", 1 },
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        hostile_http2_open(1, rows[i].limits, hold_and_count);
        most_streams = rows[i].streams;
        set_max_streams(most_streams);
        start_many(1); /* which learns the limit */
        hostile_http2_pass(0);
        answer_held();
        ck_assert_uint_eq(hostile_http2_responses(), 1);
        start_many(6);
        uint32_t done = 0;
        for (int round = 0; round < 6; round++) {
            hostile_http2_pass(0);
            answer_held();
            done += hostile_http2_responses();
        }
        ck_assert_msg(done == 6, "row %zu: %u calls ended", i, done);
        ck_assert_msg(h2.count == rows[i].connections, "row %zu: %u connections", i, h2.count);
        ck_assert_uint_eq(fault_counters(h2.client).attempt_failures, 0);
        hostile_http2_close();
    }
}
END_TEST

/* Streams that are open stay; others begin elsewhere until there is room again. */
START_TEST(row_84_lowered_on_the_way)
{
    for (uint32_t most = 0; most < 3; most++) {
        hostile_http2_open(1, "", hold);
        start_many(4);
        hostile_http2_pass(0);
        say_settings(&h2.ends[0], 3, most);
        hostile_http2_pass(0);
        start_many(1);
        hostile_http2_pass(0);
        ck_assert_uint_eq(h2.count, 2);
        ck_assert_uint_eq(h2.ends[0].last, 7);
        say_ok(&h2.ends[1], 1);
        for (uint32_t id = 1; id <= 7; id += 2)
            say_ok(&h2.ends[0], id);
        hostile_http2_pass(0);
        ck_assert_uint_eq(hostile_http2_responses(), 5);
        ck_assert_uint_eq(fault_counters(h2.client).attempt_failures, 0);
        hostile_http2_close();
    }
}
END_TEST

/* A connection that takes no stream at all is none to wait for, nor one to fail on. */
START_TEST(row_84_no_streams_at_all)
{
    hostile_http2_open(1, "", answer_all);
    for (int i = 0; i < 3; i++) {
        start_many(1);
        expect_ok();
        for (uint32_t k = 0; k < h2.count; k++)
            if (h2.ends[k].connection != NULL)
                say_settings(&h2.ends[k], 3, 0);
        hostile_http2_pass(0);
    }
    set_max_streams(0); /* from now on they say so at once, and answer what came before they did */
    for (int i = 0; i < 10; i++) {
        start_many(3);
        for (int k = 0; k < 3; k++)
            fault_expect(hostile_http2_next(), MESH_OK, 200, 1, NULL);
    }
    ck_assert_uint_le(h2.count, 40);
    hostile_http2_close();
}
END_TEST

/* The only connection takes none for a while. */
START_TEST(row_84_none_and_then_some)
{
    hostile_http2_open(1, "'limits':{'max_connections':1}", hold);
    start_many(1);
    hostile_http2_pass(0);
    say_settings(&h2.ends[0], 3, 0);
    hostile_http2_pass(0);
    start_many(2);
    hostile_http2_pass(NANOS_S);
    ck_assert_uint_eq(h2.ends[0].last, 1);
    ck_assert_uint_eq(h2.count, 1);
    h2.script = answer_all;
    say_settings(&h2.ends[0], 3, 5);
    hostile_http2_pass(0);
    ck_assert_uint_eq(hostile_http2_responses(), 2);
    say_ok(&h2.ends[0], 1);
    hostile_http2_pass(0);
    ck_assert_uint_eq(hostile_http2_responses(), 1);
    ck_assert_uint_eq(h2.count, 1);
    hostile_http2_close();
}
END_TEST

/* ---- rows 87 and 90 ---- */

static void want_http1(struct hostile_end *end, const struct hostile_frame *frame)
{
    if (is_request(frame))
        say_reset(end, frame->stream, HTTP2_HTTP_1_1_REQUIRED);
}

static void want_http1_for_all(struct hostile_end *end, const struct hostile_frame *frame)
{
    if (is_request(frame))
        say_goaway(end, 0, HTTP2_HTTP_1_1_REQUIRED);
}

START_TEST(row_87_http1_required)
{
    hostile_http2_open(1, NO_RETRIES, _i == 0 ? want_http1 : want_http1_for_all);
    start_many(3);
    for (int i = 0; i < 3; i++) {
        mesh_result *result = hostile_http2_next();
        ck_assert_int_eq(attempt_of(result, 0).http_version, 20);
        ck_assert_int_eq(attempt_of(result, 0).retry, MESH_RETRY_UNSENT);
        ck_assert_int_eq(fault_last(result).http_version, 11);
        fault_expect(result, MESH_OK, 200, 2, NULL);
    }
    for (int i = 0; i < 3; i++) {
        mesh_result *result = hostile_http2_call("POST");
        ck_assert_int_eq(fault_last(result).http_version, 11);
        fault_expect(result, MESH_OK, 200, 1, NULL); /* it is remembered */
    }
    ck_assert_uint_eq(fault_counters(h2.client).shuts, 0);
    ck_assert(h2.ends[1].http1);
    ck_assert_ptr_null(h2.ends[0].connection);
    hostile_http2_close();
}
END_TEST

/* Each call completes once, whoever was first. */
START_TEST(row_90_cancelling_races_the_end)
{
    static const char *const orders[] = { "cancel", "cancel, then the end", "the end, then cancel",
                                          "a part, cancel, the rest" };
    for (size_t i = 0; i < LENGTH(orders); i++) {
        mesh_call_id id;
        hostile_http2_open(1, "", hold);
        ck_assert_int_eq(mesh_call_start(h2.client, "s", NULL, NULL, &id), MESH_OK);
        hostile_http2_pass(0);
        if (i == 2)
            say_ok(&h2.ends[0], 1);
        if (i == 3) {
            say_head(&h2.ends[0], 1);
            hostile_http2_pass(0);
        }
        ck_assert_int_eq(mesh_cancel(h2.client, id), MESH_OK);
        if (i == 1)
            say_ok(&h2.ends[0], 1);
        if (i == 3)
            say_frame(&h2.ends[0], DATA, END_STREAM, 1, "late", 4);
        mesh_result *result = hostile_http2_next();
        if (i != 2 || mesh_result_code(result) != MESH_OK)
            fault_expect(result, MESH_CANCELLED, 0, 1, NULL);
        else
            fault_expect(result, MESH_OK, 200, 1, NULL);
        ck_assert_int_eq(mesh_cancel(h2.client, id), MESH_ESTALE);
        hostile_http2_pass(NANOS_S);
        ck_assert_uint_eq(hostile_http2_responses(), 0); /* nothing more, of either kind */
        h2.script = answer_all;
        start_many(1);
        expect_ok();
        ck_assert_msg(h2.count == 1, "%s: %u connections", orders[i], h2.count);
        hostile_http2_close();
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client: hostile HTTP/2 peers");
    TCase *tcase = tcase_create("streams");
    tcase_add_loop_test(tcase, row_63_goaway_repeats_elsewhere_what_was_never_sent, 0, 3);
    tcase_add_test(tcase, row_64_two_goaways);
    tcase_add_test(tcase, row_65_refused_streams_are_repeated_once_uncounted);
    tcase_add_loop_test(tcase, row_66_a_reset_within_the_body_ends_the_stream_only, 0, 5);
    tcase_add_test(tcase, row_67_a_response_that_is_whole_outlives_its_reset);
    tcase_add_test(tcase, row_68_a_peer_that_resets_every_stream);
    tcase_add_test(tcase, row_84_few_streams);
    tcase_add_test(tcase, row_84_lowered_on_the_way);
    tcase_add_test(tcase, row_84_no_streams_at_all);
    tcase_add_test(tcase, row_84_none_and_then_some);
    tcase_add_loop_test(tcase, row_87_http1_required, 0, 2);
    tcase_add_test(tcase, row_90_cancelling_races_the_end);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
