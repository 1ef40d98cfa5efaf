/* SPDX-License-Identifier: Apache-2.0 */
/* channel_http2_flow_test.c - HTTP/2 exchanges whose bodies come and go in pieces: both ways at once, early answers,
 * and streams that nobody takes from beside others that go on. */
#include "flow.h"
#include "http2_scene.h"

#define MIB ((size_t)1 << 20)

static char large[16 << 20];

static struct end *last_end(void)
{
    return &peer.ends[peer.count - 1];
}

static void give(struct flow *flow, const char *text, bool last)
{
    flow_give(flow, text, last);
    mesh__exchange_resume(&flow->exchange);
    pass_a_little();
}

/* The server's source: what the test puts there. */
static struct {
    const char *ready;
    bool last;
    struct http1_field_group trailers;
} down;

static enum body_next down_next(void *user, size_t most, struct view *bytes, struct http1_field_group *trailers)
{
    (void)user;
    (void)most;
    if (down.ready == NULL && !down.last)
        return BODY_LATER;
    *bytes = mesh__view_of(down.ready);
    *trailers = down.trailers;
    down.ready = NULL;
    return down.last ? BODY_LAST : BODY_MORE;
}

static void give_down(struct http2_stream *stream, const char *text, bool last)
{
    down.ready = text;
    down.last = last;
    mesh__http2_resume(stream);
    peer_flush(last_end());
    pass_a_little();
}

static struct http2_stream *only_stream(void)
{
    ck_assert_uint_eq(last_end()->held_count, 1);
    ck_assert_ptr_nonnull(last_end()->held[0]);
    return last_end()->held[0];
}

/* The request goes on after the response's head, and beside its body. */
START_TEST(both_ways_at_once)
{
    static const mesh_header trailer = { "grpc-status", 11, "0", 1 };
    struct flow flow = { 0 };
    peer.hold = true;
    memset(&down, 0, sizeof(down));
    down.trailers = (struct http1_field_group){ &trailer, 1 };
    flow_begin(&flow, "POST", -1, true);
    pass_a_little();
    ck_assert_str_eq(flow.story, "rp");
    int asked = flow.asked;
    give(&flow, "hello", false);
    ck_assert_int_ge(flow.asked, asked + 1);
    ck_assert_uint_eq(last_end()->counts[DATA], 1);
    give(&flow, "", false); /* no bytes are no frame */
    ck_assert_uint_eq(last_end()->counts[DATA], 1);
    const struct http2_response response = { .status = 200, .body = { .next = down_next, .size = -1 } };
    ck_assert(mesh__http2_respond(only_stream(), &response));
    give_down(only_stream(), "hi", false);
    ck_assert_str_eq(flow.story, "rphb");
    give(&flow, "more", false);
    ck_assert_uint_eq(last_end()->counts[DATA], 2);
    give(&flow, "bye", true);
    ck_assert_str_eq(flow.story, "rphbs");
    give_down(only_stream(), "bye", true);
    ck_assert_str_eq(flow.story, "rphbsbte");
    ck_assert_str_eq(flow.trailers, "[grpc-status: 0]");
    ck_assert_uint_eq(flow.received, 5);
    ck_assert_uint_eq(last_end()->counts[RST_STREAM], 0);
    mesh__exchange_resume(&flow.exchange); /* harmless, as this is */
    mesh__exchange_consume(&flow.exchange, 5);
    flow_over(&flow);
}
END_TEST

/* The response is whole before the request is: the exchange ends well, the stream is reset, and others go on. */
START_TEST(early_answer)
{
    for (uint32_t i = 0; i < 3; i++) {
        struct flow flow = { 0 };
        struct talk talk = { 0 };
        peer.by_hand = true;
        flow_begin(&flow, "POST", -1, false);
        pass(0);
        if (i == 0)
            say_frame(SETTINGS, 0, 0, "", 0);
        give(&flow, "hello", false);
        uint32_t id = 4 * i + 1;
        say_status_200(id, i == 2);
        if (i == 0)
            say_frame(DATA, END_STREAM, id, "no", 2);
        if (i == 1) /* RST_STREAM with NO_ERROR comes with it */
            mesh__memory_send(last_end()->connection, "\0\0\2\0\1\0\0\0\5no\0\0\4\3\0\0\0\0\5\0\0\0\0", 24, 0);
        pass(0);
        ck_assert_str_eq(flow.story, i == 2 ? "rphe" : "rphbe");
        ck_assert_uint_eq(last_end()->counts[RST_STREAM], i + 1);
        flow_over(&flow);
        ask(&talk, 0, "");
        pass(0);
        say_status_200(id + 2, true);
        pass(0);
        ck_assert_str_eq(talk.story, "rshe");
    }
    ck_assert_uint_eq(peer.count, 1);
}
END_TEST

/* A peer that answers early and reads no more: the exchange does not wait for it. */
START_TEST(early_answer_of_a_peer_that_does_not_read)
{
    struct flow flow = { 0 };
    peer.by_hand = true;
    flow_begin(&flow, "POST", -1, false);
    pass(0);
    say_frame(SETTINGS, 0, 0, "", 0);
    scene.write_room = 1000;
    flow.ready = large;
    flow.size = sizeof(large);
    mesh__exchange_resume(&flow.exchange);
    pass_a_little();
    say_status_200(1, true);
    pass_a_little();
    ck_assert_str_eq(flow.story, "rphe");
    ck_assert_uint_eq(last_end()->counts[RST_STREAM], 0);
    scene.write_room = SIZE_MAX;
    pass_a_little();
    ck_assert_uint_eq(last_end()->counts[RST_STREAM], 1);
    flow_over(&flow);
}
END_TEST

START_TEST(sources_that_break)
{
    for (int i = 0; i < 3; i++) {
        struct flow flow = { 0 };
        peer.hold = true;
        flow_begin(&flow, "POST", i == 2 ? 4 : -1, false);
        pass_a_little();
        give(&flow, "abc", false);
        flow.broken = i == 0;
        flow.cancel = i == 1;
        give(&flow, "defg", true);
        ck_assert_str_eq(flow.story, i == 1 ? "rp" : "rpf");
        ck_assert(i == 1 || (flow.failure.status == MESH_EINTERNAL && !flow.failure.unsent));
        ck_assert_uint_eq(last_end()->counts[RST_STREAM], (uint32_t)i + 1);
        ck_assert_uint_eq(last_end()->cancelled, (uint32_t)i + 1);
        flow_over(&flow);
    }
    ck_assert_uint_eq(peer.count, 1);
}
END_TEST

/* Frames that were made of an exchange, and that the connection then did not take, have used its source up: it does not
 * move to another connection when this one goes away, though it is unsent. */
START_TEST(goaway_behind_frames_that_were_not_taken)
{
    struct flow busy = { 0 }, flow = { 0 };
    peer.by_hand = true;
    flow_begin(&busy, "GET", 0, false);
    pass(0);
    say_frame(SETTINGS, 0, 0, "", 0);
    pass(0);
    scene.write_room = 0;
    flow_give(&flow, "all there is", true);
    flow_begin(&flow, "POST", -1, false);
    pass(0);
    ck_assert_int_eq(flow.asked, 1);
    ck_assert_str_eq(flow.story, "r");
    say_goaway(1, HTTP2_NO_ERROR);
    pass_a_little();
    ck_assert_str_eq(flow.story, "rf");
    ck_assert_int_eq(flow.failure.status, MESH_REFUSED);
    ck_assert(flow.failure.unsent && flow.failure.stale);
    ck_assert_int_eq(flow.asked, 1);
    scene.write_room = SIZE_MAX;
    flow_over(&flow);
    flow_over(&busy);
}
END_TEST

/* Gives what was told back, until as much has come; false: it stands still. */
static bool take(struct flow *flow, uint64_t size)
{
    int still = 0;
    while (flow->received < size && still < 10) {
        uint64_t before = flow->received;
        pass(2 * NANOS_MS);
        mesh__exchange_consume(&flow->exchange, SIZE_MAX); /* all of it */
        still = flow->received == before ? still + 1 : 0;
    }
    return flow->received >= size;
}

static void begin_all(struct flow *flows, int count)
{
    peer.hold = true;
    for (int i = 0; i < count; i++)
        flow_begin(&flows[i], "GET", 0, true);
    pass_a_little();
    ck_assert_uint_eq(last_end()->held_count, (uint32_t)count);
    const struct http2_response response = { .status = 200, .body.bytes = mesh__view(large, sizeof(large)) };
    for (int i = 0; i < count; i++)
        ck_assert(mesh__http2_respond(last_end()->held[i], &response));
    peer_flush(last_end());
}

/* Streams that nobody takes from hold a window each, which is at most a quarter of the connection's however wide it has
 * become: one more goes on beside three of them. What they held is there for others once they are gone. */
START_TEST(stalled_streams)
{
    struct flow flows[4] = { 0 };
    begin_all(flows, 4);
    size_t grown = _i == 0 ? 0 : 8 * MIB;
    uint64_t taken[3], at[3];
    for (int i = 0; i < 3; i++) {
        ck_assert(take(&flows[i], grown));
        taken[i] = _i > 0 ? flows[i].received : 0;
    }
    pass(50 * NANOS_MS);
    for (int i = 0; i < 3; i++)
        at[i] = flows[i].received;
    ck_assert(take(&flows[3], sizeof(large)));
    ck_assert_str_eq(flows[3].story, "rshbe");
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(flows[i].received, at[i]);
        ck_assert_uint_le(at[i], taken[i] + HTTP2_WINDOW_MAX);
        ck_assert(_i > 0 || flows[i].received == HTTP2_WINDOW_FIRST);
        flow_over(&flows[i]);
    }
    flow_over(&flows[3]);
    for (int round = 0; round < 40; round++) { /* far beyond the connection's window, were it not given back */
        struct flow flow = { 0 };
        last_end()->held_count = 0;
        begin_all(&flow, 1);
        pass(10 * NANOS_MS);
        ck_assert_msg(flow.received == HTTP2_WINDOW_FIRST, "round %d: %llu", round, (unsigned long long)flow.received);
        flow_over(&flow);
        pass_a_little();
    }
    ck_assert_uint_eq(peer.count, 1);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = { both_ways_at_once, early_answer, early_answer_of_a_peer_that_does_not_read,
                                   sources_that_break, goaway_behind_frames_that_were_not_taken };
    int failed = run_suite_in("http2 flow", tests, sizeof(tests) / sizeof(tests[0]), http2_setup, http2_teardown);
    Suite *suite = suite_create("stalled");
    TCase *tcase = tcase_create("stalled");
    tcase_add_checked_fixture(tcase, http2_setup, http2_teardown);
    tcase_add_loop_test(tcase, stalled_streams, 0, 2);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed += srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
