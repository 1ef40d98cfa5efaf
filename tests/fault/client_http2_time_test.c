/* SPDX-License-Identifier: Apache-2.0 */
/* client_http2_time_test.c - HTTP/2 peers that keep a client waiting: windows that stay shut, PINGs that nobody answers
 * or that are too many; rows 74, 75, 86 and 88 of the fault catalogue, in the client's own time. */
#include "fault/hostile.h"
#include "fault/hostile_http2.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW 65535
#define INTERVAL (30 * NANOS_S) /* without a byte, until a PING */
#define PATIENCE (10 * NANOS_S) /* for its answer */

static char body[200000];

static mesh_result *call_for(mesh_nanos timeout)
{
    mesh_request request = MESH_REQUEST_INIT;
    request.method = "PUT";
    request.body = body;
    request.body_size = sizeof(body);
    request.timeout_ns = timeout;
    request.flags = MESH_NO_RETRY;
    ck_assert_int_eq(mesh_call_start(h2.client, "s", &request, NULL, NULL), MESH_OK);
    return hostile_http2_next();
}

static void answer_pings(struct hostile_end *end, const struct hostile_frame *frame)
{
    if (frame->type == PING)
        say_frame(end, PING, ACK, 0, frame->payload, frame->size);
    else if (frame->type == HEADERS && (frame->flags & END_STREAM) != 0)
        say_ok(end, frame->stream);
}

/* A window that never opens ends the call by its deadline; calls without a body go on beside it. */
START_TEST(row_74_a_window_that_stays_shut)
{
    hostile_http2_open(1, "", answer_pings);
    for (int i = 0; i < 3; i++) {
        mesh_nanos before = h2.now;
        mesh_result *result = call_for(120 * NANOS_S);
        ck_assert_int_eq(mesh_result_duration_ns(result), 120 * NANOS_S);
        fault_expect(result, MESH_DEADLINE, 0, 1, NULL);
        ck_assert_int_eq(h2.now - before, 120 * NANOS_S);
        ck_assert_uint_eq(h2.ends[0].data, WINDOW); /* of the connection: none was given back */
        ck_assert_uint_eq(h2.ends[0].code, HTTP2_CANCEL);
        fault_expect(hostile_http2_call("GET"), MESH_OK, 200, 1, NULL);
    }
    ck_assert_uint_eq(h2.count, 1);
    ck_assert_uint_ge(h2.ends[0].counts[PING], 9);
    hostile_http2_close();
}
END_TEST

/* No window at all, from the first frame on. */
START_TEST(row_74_no_window)
{
    static const uint32_t none[][2] = { { 4, 0 } };
    hostile_http2_open(1, "", answer_pings);
    hostile_http2_set(none, 1);
    fault_expect(hostile_http2_call("GET"), MESH_OK, 200, 1, NULL);
    fault_expect(call_for(10 * NANOS_S), MESH_DEADLINE, 0, 1, NULL);
    ck_assert_uint_eq(h2.ends[0].data, 0);
    fault_expect(hostile_http2_call("GET"), MESH_OK, 200, 1, NULL);
    hostile_http2_close();
}
END_TEST

static void answer_requests_and_pings(struct hostile_end *end, const struct hostile_frame *frame)
{
    if (frame->type == PING)
        say_frame(end, PING, ACK, 0, frame->payload, frame->size);
    else
        answer_all(end, frame);
}

/* The first window shrinks while a body is on its way: what is left of it falls below 0, and grows from there. */
START_TEST(row_75_a_window_that_shrinks)
{
    hostile_http2_open(1, "", answer_requests_and_pings);
    hostile_http2_start("PUT", body, sizeof(body));
    hostile_http2_pass(0);
    struct hostile_end *end = &h2.ends[0];
    ck_assert_uint_eq(end->data, WINDOW);
    say_settings(end, 4, 10000); /* 10000 - 65535 are left */
    say_window(end, 0, 1000000);
    hostile_http2_pass(0);
    ck_assert_uint_eq(end->data, WINDOW);
    say_window(end, 1, WINDOW - 10000);
    hostile_http2_pass(0);
    ck_assert_uint_eq(end->data, WINDOW); /* 0 */
    say_window(end, 1, 1);
    hostile_http2_pass(0);
    ck_assert_uint_eq(end->data, WINDOW + 1);
    say_settings(end, 4, 10100);
    hostile_http2_pass(0);
    ck_assert_uint_eq(end->data, WINDOW + 1 + 100);
    say_window(end, 1, sizeof(body));
    fault_expect(hostile_http2_next(), MESH_OK, 200, 1, NULL);
    ck_assert_uint_eq(end->data, sizeof(body));
    hostile_http2_close();
}
END_TEST

/* A byte at a time. */
START_TEST(row_74_a_window_that_drips)
{
    static const uint32_t none[][2] = { { 4, 0 } };
    hostile_http2_open(1, "", answer_all);
    hostile_http2_set(none, 1);
    fault_expect(hostile_http2_call("GET"), MESH_OK, 200, 1, NULL);
    hostile_http2_start("PUT", body, 500);
    for (uint32_t i = 0; i < 500; i++) {
        hostile_http2_pass(0);
        ck_assert_uint_eq(h2.ends[0].data, i);
        say_window(&h2.ends[0], 3, 1);
    }
    fault_expect(hostile_http2_next(), MESH_OK, 200, 1, NULL);
    hostile_http2_close();
}
END_TEST

/* ---- PING ---- */

static void answer_pings_only(struct hostile_end *end, const struct hostile_frame *frame)
{
    if (frame->type == PING)
        say_frame(end, PING, ACK, 0, frame->payload, frame->size);
}

START_TEST(row_88_a_ping_is_never_answered)
{
    hostile_http2_open(1, "'retry':{'attempts':1}", NULL);
    mesh_nanos before = h2.now;
    hostile_http2_start("GET", NULL, 0);
    hostile_http2_pass(INTERVAL - 1);
    hostile_http2_start("GET", NULL, 0);
    ck_assert_uint_eq(h2.ends[0].counts[PING], 0);
    for (int i = 0; i < 2; i++) {
        mesh_result *result = hostile_http2_next();
        ck_assert_str_eq(fault_last(result).reason, "the peer has not answered a PING in time");
        fault_expect(result, MESH_RESET, 0, 1, "PING");
        ck_assert_int_eq(h2.now - before, INTERVAL + PATIENCE);
    }
    ck_assert_uint_eq(h2.ends[0].counts[PING], 1);
    ck_assert_ptr_null(h2.ends[0].connection);
    h2.script = answer_all;
    fault_expect(hostile_http2_call("GET"), MESH_OK, 200, 1, NULL);
    ck_assert_uint_eq(h2.count, 2);
    hostile_http2_close();
}
END_TEST

/* Such an outcome may be tried again, elsewhere, as any reset. */
START_TEST(row_88_the_next_endpoint)
{
    hostile_http2_open(2, "'retry':{'on':['reset'],'backoff':{'base':'1ms','max':'1ms'}}", NULL);
    hostile_http2_start("GET", NULL, 0);
    hostile_http2_pass(0);
    h2.script = answer_all;
    mesh_result *result = hostile_http2_next();
    ck_assert_uint_eq(mesh_result_attempt_count(result), 2);
    fault_expect(result, MESH_OK, 200, 2, NULL);
    ck_assert_int_ne(h2.ends[0].endpoint, h2.ends[1].endpoint);
    hostile_http2_close();
}
END_TEST

/* Who answers is waited for; the pings stop with the last call. */
START_TEST(row_88_pings_are_answered)
{
    hostile_http2_open(1, "", answer_pings_only);
    hostile_http2_start("GET", NULL, 0);
    hostile_http2_pass(1000 * NANOS_S);
    ck_assert_uint_ge(h2.ends[0].counts[PING], 33 - 1);
    ck_assert_uint_le(h2.ends[0].counts[PING], 33);
    say_ok(&h2.ends[0], 1);
    fault_expect(hostile_http2_next(), MESH_OK, 200, 1, NULL);
    uint32_t before = h2.ends[0].counts[PING];
    hostile_http2_pass(29 * NANOS_S);
    ck_assert_ptr_nonnull(h2.ends[0].connection);
    hostile_http2_pass(2 * NANOS_S); /* idle_timeout */
    ck_assert_ptr_null(h2.ends[0].connection);
    ck_assert_uint_eq(h2.ends[0].counts[PING], before);
    hostile_http2_close();
}
END_TEST

/* Each ENHANCE_YOUR_CALM doubles the interval, to 32 times the first at most. */
START_TEST(row_86_too_many_pings)
{
    hostile_http2_open(1, "'retry':{'attempts':1}", answer_pings_only);
    mesh_nanos interval = INTERVAL;
    for (uint32_t i = 0; i < 8; i++) {
        hostile_http2_start("GET", NULL, 0);
        hostile_http2_pass(0);
        ck_assert_uint_eq(h2.count, i + 1);
        struct hostile_end *end = &h2.ends[i];
        hostile_http2_pass(interval - 1);
        ck_assert_msg(end->counts[PING] == 0, "connection %u: too early", i);
        hostile_http2_pass(1);
        ck_assert_msg(end->counts[PING] == 1, "connection %u: too late", i);
        static const unsigned char too_many[] = "\0\0\0\1\0\0\0\x0btoo_many_pings";
        say_frame(end, GOAWAY, 0, 0, too_many, sizeof(too_many) - 1);
        hostile_http2_pass(0);
        say_ok(end, 1);
        fault_expect(hostile_http2_next(), MESH_OK, 200, 1, NULL);
        ck_assert_ptr_null(end->connection);
        interval = i < 5 ? interval * 2 : interval;
    }
    ck_assert_uint_eq(fault_counters(h2.client).attempt_failures, 0);
    hostile_http2_close();
}
END_TEST

/* A stream that is reset so is the stream's business: the connection and its interval stay. */
START_TEST(row_86_calm_for_a_stream)
{
    hostile_http2_open(1, "'retry':{'attempts':1}", answer_pings_only);
    hostile_http2_start("GET", NULL, 0);
    hostile_http2_pass(0);
    say_reset(&h2.ends[0], 1, HTTP2_ENHANCE_YOUR_CALM);
    fault_expect(hostile_http2_next(), MESH_RESET, 0, 1, NULL);
    hostile_http2_start("GET", NULL, 0);
    hostile_http2_pass(INTERVAL);
    ck_assert_uint_eq(h2.ends[0].counts[PING], 1);
    say_ok(&h2.ends[0], 3);
    fault_expect(hostile_http2_next(), MESH_OK, 200, 1, NULL);
    hostile_http2_close();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        row_74_a_window_that_stays_shut, row_74_no_window,         row_74_a_window_that_drips,
        row_75_a_window_that_shrinks,    row_86_too_many_pings,    row_86_calm_for_a_stream,
        row_88_a_ping_is_never_answered, row_88_the_next_endpoint, row_88_pings_are_answered,
    };
    Suite *suite = suite_create("client: HTTP/2 peers that keep it waiting");
    TCase *tcase = tcase_create("time");
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
