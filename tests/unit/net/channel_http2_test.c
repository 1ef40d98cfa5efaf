/* SPDX-License-Identifier: Apache-2.0 */
/* channel_http2_test.c - many exchanges on one connection, through what its peer may do to them: over a network in
 * memory, in virtual time. */
#include "http2_scene.h"

/* Rows 63 and 64: what was above the last stream is unsent; what was not goes on; nothing new begins there. */
START_TEST(goaway_with_exchanges_in_flight)
{
    for (uint32_t code = 0; code < 2; code++) {
        struct talk talks[3] = { 0 }, next = { 0 };
        ask_by_hand(talks, 3);
        say_goaway(1, code);
        pass(0);
        ck_assert_str_eq(talks[0].story, "rs");
        for (int i = 1; i < 3; i++) {
            ck_assert_str_eq(talks[i].story, "rsf");
            ck_assert_int_eq(talks[i].failure.status, MESH_REFUSED);
            ck_assert(talks[i].failure.unsent);
            ck_assert_int_eq(talks[i].failure.stale, code == 0);
        }
        struct end *old = &peer.ends[peer.count - 1];
        uint32_t before = peer.count;
        ask(&next, 0, "");
        pass(0);
        ck_assert_uint_eq(peer.count, before + 1);
        mesh__exchange_cancel(&next.exchange);
        ck_assert_ptr_nonnull(old->connection);
        mesh__memory_send(old->connection, "\0\0\1\1\5\0\0\0\1\x88", 10, 0);
        pass(0);
        ck_assert_str_eq(talks[0].story, "rshe");
        ck_assert_ptr_null(old->connection); /* empty: it goes */
        mesh__pool_free(scene.pools[0]);
        scene.pools[0] = NULL;
        if (code == 1)
            return;
        struct address address;
        ck_assert_int_eq(mesh__address_parse(VIEW_LITERAL("10.0.0.1:80"), false, &address), ADDRESS_OK);
        scene.pools[0] = mesh__pool_new(&scene.group, &address, &scene.counters[0]);
    }
}
END_TEST

struct late {
    struct loop_timer timer;
    struct talk talk;
    bool moved;
};

static void ask_late(struct loop_timer *timer)
{
    struct late *late = CONTAINER_OF(timer, struct late, timer);
    ask(&late->talk, 0, "");
    late->talk.exchange.moved = late->moved;
}

/* A connection that went away in order before it took anything of an exchange is no attempt at all: another one does.
 * Once; then it is told. */
START_TEST(goaway_before_anything_was_sent)
{
    static const struct {
        uint32_t code;
        bool moved;
        const char *story;
    } rows[] = { { HTTP2_NO_ERROR, false, "rrs" },
                 { HTTP2_NO_ERROR, true, "rf" },
                 { HTTP2_INTERNAL_ERROR, false, "rf" } };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct talk busy = { 0 };
        ask_by_hand(&busy, 1);
        struct late late = { .timer.fire = ask_late, .moved = rows[i].moved };
        scene.now += NANOS_MS;
        say_goaway(1, rows[i].code); /* read in this turn, before what is asked in it is sent */
        ck_assert(mesh__loop_timer_set(&scene.loop, &late.timer, scene.now));
        pass(0);
        ck_assert_msg(strcmp(late.talk.story, rows[i].story) == 0, "row %zu: %s", i, late.talk.story);
        ck_assert_str_eq(busy.story, "rs");
        ck_assert_uint_eq(scene.connections, late.talk.story[1] == 'f' ? 1 : 2);
        mesh__exchange_cancel(&late.talk.exchange);
        mesh__exchange_cancel(&busy.exchange);
        mesh__pool_group_yield(&scene.group);
        pass_a_little();
    }
}
END_TEST

START_TEST(how_streams_are_reset)
{
    static const struct {
        uint32_t code;
        bool headed;
        mesh_status status;
        bool unsent;
        const char *story;
    } rows[] = {
        { HTTP2_REFUSED_STREAM, false, MESH_REFUSED, true, "rsf" },
        { HTTP2_CANCEL, false, MESH_RESET, false, "rsf" },
        { HTTP2_INTERNAL_ERROR, false, MESH_RESET, false, "rsf" },
        { HTTP2_NO_ERROR, false, MESH_RESET, false, "rsf" },
        { HTTP2_ENHANCE_YOUR_CALM, false, MESH_RESET, false, "rsf" },
        { HTTP2_CANCEL, true, MESH_PARTIAL_RESPONSE, false, "rshf" },
        { HTTP2_REFUSED_STREAM, true, MESH_PARTIAL_RESPONSE, false, "rshf" },
    };
    for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct talk talk = { 0 };
        peer.by_hand = true;
        ask(&talk, 0, "");
        pass(0);
        if (i == 0)
            say_frame(SETTINGS, 0, 0, "", 0);
        if (rows[i].headed)
            say_status_200(2 * i + 1, false);
        say_reset(2 * i + 1, rows[i].code);
        pass(0);
        ck_assert_msg(strcmp(talk.story, rows[i].story) == 0, "row %u: %s", i, talk.story);
        ck_assert_msg(talk.failure.status == rows[i].status, "row %u: %s", i, mesh_status_name(talk.failure.status));
        ck_assert_msg(talk.failure.unsent == rows[i].unsent && !talk.failure.stale, "row %u", i);
    }
    ck_assert_uint_eq(peer.count, 1); /* each on the same connection */
    ck_assert_uint_eq(scene.connections, 1);
}
END_TEST

START_TEST(the_peer_wants_http1)
{
    struct talk talk = { 0 };
    ask_by_hand(&talk, 1);
    say_reset(1, HTTP2_HTTP_1_1_REQUIRED);
    pass(0);
    ck_assert_str_eq(talk.story, "rsf");
    ck_assert_int_eq(talk.failure.status, MESH_REFUSED);
    ck_assert(talk.failure.unsent);
    ck_assert_uint_eq(scene.connections, 0); /* the connection is of no use any more */
    ask(&talk, 0, "");
    pass_a_little();
    ck_assert_str_eq(talk.story, "rshbe");
    ck_assert(peer.ends[1].http1);
}
END_TEST

START_TEST(the_peer_speaks_http1_only)
{
    static const char *const greetings[] = { "HTTP/1.1 400 Bad Request\r\n\r\n", "SSH-2.0-x\r\nssssssssssssssssssss" };
    for (int i = 0; i < 2; i++) {
        struct talk talk = { 0 };
        peer.by_hand = true;
        ask(&talk, 0, "");
        pass(0);
        mesh__memory_send(peer.ends[peer.count - 1].connection, greetings[i], strlen(greetings[i]), 0);
        pass(0);
        ck_assert_str_eq(talk.story, "rsf");
        ck_assert_int_eq(talk.failure.status, MESH_PROTOCOL);
        ck_assert_uint_eq(scene.connections, 0);
    }
}
END_TEST

/* Rows 57 and 70: whatever it is told, an exchange may go; the connection stays, for it and the others. */
START_TEST(cancelled_from_inside_each_event)
{
    static const char *const stories[] = { "r!", "rs!", "rsh!", "rshb!", "rshbe!" };
    static const char on[] = "rshbe";
    for (int i = 0; i < 5; i++) {
        struct talk other = { 0 }, talk = { .cancel_on = on[i] };
        ask(&other, 0, "");
        ask(&talk, 0, "");
        pass_a_little();
        ck_assert_msg(strcmp(talk.story, stories[i]) == 0, "%c: %s", on[i], talk.story);
        ck_assert_str_eq(other.story, "rshbe");
        ck_assert_uint_eq(scene.connections, 1);
    }
    ck_assert_uint_eq(peer.count, 1);
}
END_TEST

START_TEST(cancelled_between_events)
{
    struct talk talks[2] = { 0 };
    ask_by_hand(talks, 2);
    mesh__exchange_cancel(&talks[0].exchange);
    pass(0);
    ck_assert_uint_eq(peer.ends[0].counts[RST_STREAM], 1);
    say_status_200(1, false); /* it crossed the reset: nobody is told */
    say_frame(DATA, END_STREAM, 1, "late", 4);
    say_status_200(3, true);
    pass(0);
    ck_assert_str_eq(talks[0].story, "rs");
    ck_assert_str_eq(talks[1].story, "rshe");
    ck_assert_uint_eq(scene.connections, 1);
    ask(&talks[0], 0, "");
    mesh__exchange_cancel(&talks[0].exchange); /* before it was written: it never is */
    pass(0);
    ck_assert_uint_eq(peer.ends[0].counts[HEADERS], 2);
}
END_TEST

/* Rows 68 and 69. */
START_TEST(a_peer_that_says_nothing_is_asked)
{
    struct talk talks[2] = { 0 };
    ask_by_hand(talks, 2);
    pass(29 * NANOS_MS);
    ck_assert_uint_eq(peer.ends[0].counts[PING], 0);
    pass(2 * NANOS_MS);
    ck_assert_uint_eq(peer.ends[0].counts[PING], 1);
    pass(8 * NANOS_MS);
    ck_assert_str_eq(talks[0].story, "rs");
    pass(2 * NANOS_MS);
    for (int i = 0; i < 2; i++) {
        ck_assert_str_eq(talks[i].story, "rsf");
        ck_assert_int_eq(talks[i].failure.status, MESH_RESET);
        ck_assert_int_eq(talks[i].failure.error_number, ETIMEDOUT);
        ck_assert(!talks[i].failure.unsent && !talks[i].failure.stale);
    }
    ck_assert_uint_eq(scene.connections, 0);
}
END_TEST

START_TEST(a_peer_that_answers_pings_is_waited_for)
{
    struct talk talk = { 0 };
    peer.hold = true;
    ask(&talk, 0, "");
    pass(300 * NANOS_MS);
    ck_assert_str_eq(talk.story, "rs");
    ck_assert_uint_ge(peer.ends[0].counts[PING], 8);
    ck_assert_uint_le(peer.ends[0].counts[PING], 10);
    (void)answer(&peer.ends[0], peer.ends[0].held[0]);
    peer_flush(&peer.ends[0]);
    pass_a_little();
    ck_assert_str_eq(talk.story, "rshbe");
    uint32_t before = peer.ends[0].counts[PING];
    pass(90 * NANOS_MS); /* idle: nobody is asked */
    ck_assert_uint_eq(peer.ends[0].counts[PING], before);
    pass(20 * NANOS_MS);
    ck_assert_uint_eq(scene.connections, 0); /* and it goes in time */
    ck_assert_uint_eq(peer.ends[0].counts[GOAWAY], 1);
}
END_TEST

/* ENHANCE_YOUR_CALM: who finds PINGs too many gets half as many. */
START_TEST(a_peer_that_wants_calm)
{
    struct talk talk = { 0 };
    ask_by_hand(&talk, 1);
    say_goaway(1, HTTP2_ENHANCE_YOUR_CALM);
    pass(0);
    mesh__exchange_cancel(&talk.exchange);
    ck_assert_uint_eq(scene.connections, 0);
    ask_by_hand(&talk, 1);
    pass(59 * NANOS_MS);
    ck_assert_uint_eq(peer.ends[1].counts[PING], 0);
    pass(2 * NANOS_MS);
    ck_assert_uint_eq(peer.ends[1].counts[PING], 1);
    mesh__exchange_cancel(&talk.exchange);
}
END_TEST

START_TEST(connections_that_end)
{
    static const struct {
        bool used, heard, headed, reset;
        mesh_status status;
        bool stale;
    } rows[] = {
        { false, false, false, false, MESH_RESET, false },
        { false, false, false, true, MESH_RESET, false },
        { true, false, false, false, MESH_RESET, true },
        { true, false, false, true, MESH_RESET, true },
        { true, true, false, false, MESH_RESET, false },
        { false, false, true, false, MESH_PARTIAL_RESPONSE, false },
        { true, false, true, true, MESH_PARTIAL_RESPONSE, false },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct talk first = { 0 }, talks[2] = { 0 };
        uint32_t id = 1;
        peer.by_hand = true;
        if (rows[i].used) {
            ask_by_hand(&first, 1);
            say_status_200(1, true);
            pass(0);
            id = 3;
        }
        ask(&talks[0], 0, "");
        ask(&talks[1], 0, "");
        pass(0);
        if (rows[i].headed) {
            say_frame(SETTINGS, 0, 0, "", 0);
            say_status_200(id, false);
            say_status_200(id + 2, false);
        } else if (rows[i].heard) {
            say_frame(PING, 0, 0, "12345678", 8);
        }
        struct memory_connection *connection = peer.ends[peer.count - 1].connection;
        if (rows[i].reset)
            mesh__memory_reset(connection, 0);
        else
            mesh__memory_finish(connection, 0);
        pass(0);
        for (int k = 0; k < 2; k++) {
            ck_assert_msg(talks[k].story[strlen(talks[k].story) - 1] == 'f', "row %zu: %s", i, talks[k].story);
            ck_assert_msg(talks[k].failure.status == rows[i].status, "row %zu: %s", i,
                          mesh_status_name(talks[k].failure.status));
            ck_assert_msg(talks[k].failure.stale == rows[i].stale && !talks[k].failure.unsent, "row %zu", i);
            ck_assert_msg(talks[k].failure.error_number == (rows[i].reset ? ECONNRESET : 0), "row %zu", i);
        }
        ck_assert_uint_eq(scene.connections, 0);
    }
}
END_TEST

START_TEST(a_connection_that_takes_little)
{
    struct talk first = { 0 }, talks[3] = { 0 };
    ask(&first, 0, "");
    pass_a_little();
    scene.write_room = 0;
    for (int i = 0; i < 3; i++)
        ask(&talks[i], 0, "some body");
    pass(0);
    ck_assert_str_eq(talks[0].story, "r");
    for (int i = 0; i < 200; i++) { /* a byte at a time */
        scene.write_room = 1;
        pass(0);
    }
    ck_assert_str_eq(talks[0].story, "rps");
    scene.write_room = SIZE_MAX;
    pass_a_little();
    for (int i = 0; i < 3; i++)
        ck_assert_msg(strcmp(talks[i].story, "rpshbe") == 0, "%d: %s", i, talks[i].story);
    /* And one that takes nothing any more. */
    for (int partly = 0; partly < 2; partly++) {
        ask(&first, 0, "");
        pass_a_little();
        scene.write_room = partly ? 5 : 0;
        scene.write_error = EPIPE;
        ask(&talks[0], 0, "some body");
        pass(0);
        ck_assert_str_eq(talks[0].story, partly ? "rpf" : "rf");
        ck_assert_int_eq(talks[0].failure.status, MESH_RESET);
        ck_assert_int_eq(talks[0].failure.unsent, !partly);
        ck_assert_uint_eq(scene.connections, 0);
        scene.write_room = SIZE_MAX;
        scene.write_error = 0;
    }
}
END_TEST

/* Row 67: the answer to a request that is still being sent ends both. */
START_TEST(an_answer_before_the_request_is_sent)
{
    static char body[200000];
    struct talk talk = { 0 }, next = { 0 };
    memset(body, 'x', sizeof(body) - 1);
    peer.by_hand = true;
    ask(&talk, 0, body);
    pass(0);
    say_frame(SETTINGS, 0, 0, "", 0);
    pass(0);
    ck_assert_str_eq(talk.story, "rp"); /* as much as the window takes */
    say_status_200(1, true);
    pass(0);
    ck_assert_str_eq(talk.story, "rphe");
    ck_assert_uint_eq(peer.ends[0].counts[RST_STREAM], 1);
    ask(&next, 0, "");
    pass(0);
    say_status_200(3, true);
    pass(0);
    ck_assert_str_eq(next.story, "rshe");
    ck_assert_uint_eq(peer.count, 1);
}
END_TEST

START_TEST(no_memory_for_a_head_ends_the_exchange_only)
{
    struct talk talk = { .refuse_head = true }, other = { 0 };
    ask(&talk, 0, "");
    ask(&other, 0, "");
    pass_a_little();
    ck_assert_str_eq(talk.story, "rshf");
    ck_assert_int_eq(talk.failure.status, MESH_NO_MEMORY);
    ck_assert_str_eq(other.story, "rshbe");
    ck_assert_uint_eq(scene.connections, 1);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        goaway_with_exchanges_in_flight,
        goaway_before_anything_was_sent,
        how_streams_are_reset,
        the_peer_wants_http1,
        the_peer_speaks_http1_only,
        cancelled_from_inside_each_event,
        cancelled_between_events,
        a_peer_that_says_nothing_is_asked,
        a_peer_that_answers_pings_is_waited_for,
        a_peer_that_wants_calm,
        connections_that_end,
        a_connection_that_takes_little,
        an_answer_before_the_request_is_sent,
        no_memory_for_a_head_ends_the_exchange_only,
    };
    return run_suite_in("channel, HTTP/2", tests, sizeof(tests) / sizeof(tests[0]), http2_setup, http2_teardown);
}
