/* SPDX-License-Identifier: Apache-2.0 */
/* channel_test.c - one connection through its states: what an exchange is told, however it ends: over a network in
 * memory. */
#include "scene.h"

static struct line *last_line(void)
{
    ck_assert_uint_gt(scene.line_count, 0);
    return &scene.lines[scene.line_count - 1];
}

static void say(const char *text)
{
    mesh__memory_send(last_line()->connection, text, strlen(text), 0);
}

START_TEST(events_come_in_order_and_once)
{
    struct talk talk = { 0 };
    scene.answer = NULL;
    ask(&talk, 0, "body");
    ck_assert_str_eq(talk.story, "");
    pass(0);
    ck_assert_str_eq(talk.story, "rs");
    ck_assert_uint_eq(last_line()->received, strlen(HEAD_WITH(4)) + 4);
    pass(NANOS_MS);
    say("HTTP/1.1 200 OK\r\ncontent-le");
    pass(NANOS_MS);
    ck_assert_str_eq(talk.story, "rs");
    say("ngth: 2\r\n\r\n");
    pass(NANOS_MS);
    ck_assert_str_eq(talk.story, "rsh");
    say("o");
    pass(NANOS_MS);
    say("k");
    pass(NANOS_MS);
    ck_assert_str_eq(talk.story, "rshbbe");
    const struct exchange *exchange = &talk.exchange;
    ck_assert(exchange->asked_at <= exchange->ready_at && exchange->ready_at <= exchange->sent_at);
    ck_assert_int_eq(exchange->first_at - exchange->sent_at, NANOS_MS);
    ck_assert_int_eq(exchange->end_at - exchange->first_at, 3 * NANOS_MS);
    ck_assert_int_eq(scene.pools[0]->channels, 1);
}
END_TEST

/* How a response can break off, and what is said about it. */
START_TEST(ends_and_resets)
{
    static const struct {
        const char *begun; /* of the response */
        bool reset, used;  /* used: on a connection that has carried an exchange */
        mesh_status status;
        bool stale;
        const char *story;
    } rows[] = {
        { "", false, false, MESH_RESET, false, "rsf" },
        { "", true, false, MESH_RESET, false, "rsf" },
        { "", false, true, MESH_RESET, true, "rsf" },
        { "", true, true, MESH_RESET, true, "rsf" },
        { "H", false, true, MESH_PARTIAL_RESPONSE, false, "rsf" },
        { "HTTP/1.1 100 Continue\r\n\r\n", true, true, MESH_PARTIAL_RESPONSE, false, "rsf" },
        { "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", false, false, MESH_PARTIAL_RESPONSE, false, "rshf" },
        { "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no", true, true, MESH_PARTIAL_RESPONSE, false, "rshbf" },
        { "HTTP/1.1 200 OK\r\n\r\nabc", false, false, MESH_OK, false, "rshbe" },
        { "HTTP/1.1 200 OK\r\n\r\nabc", true, false, MESH_PARTIAL_RESPONSE, false, "rshbf" },
        { "SSH-2.0\r\n", false, false, MESH_PROTOCOL, false, "rsf" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct talk first = { 0 }, talk = { 0 };
        scene.answer = OK_RESPONSE;
        if (rows[i].used) {
            ask(&first, 0, "");
            pass(2 * NANOS_MS);
        }
        scene.answer = NULL;
        ask(&talk, 0, "");
        pass(0);
        ck_assert_int_eq(talk.exchange.reused, rows[i].used);
        if (rows[i].begun[0])
            say(rows[i].begun);
        if (rows[i].reset)
            mesh__memory_reset(last_line()->connection, 0);
        else
            mesh__memory_finish(last_line()->connection, 0);
        pass(0);
        ck_assert_msg(strcmp(talk.story, rows[i].story) == 0, "row %zu: %s", i, talk.story);
        ck_assert_msg(talk.failure.status == rows[i].status, "row %zu: %s", i, mesh_status_name(talk.failure.status));
        ck_assert_msg(talk.failure.stale == rows[i].stale && !talk.failure.unsent, "row %zu", i);
        bool broke = rows[i].reset && rows[i].status != MESH_OK;
        ck_assert_msg(talk.failure.error_number == (broke ? ECONNRESET : 0), "row %zu", i);
        ck_assert_uint_eq(scene.connections, 0);
    }
}
END_TEST

/* An exchange that cancels itself when it is told something is told nothing more, and its connection goes. */
START_TEST(cancelled_from_inside_each_event)
{
    static const struct {
        char on;
        const char *story;
        uint32_t connections; /* left */
    } rows[] = {
        { 'r', "r!", 0 },    { 's', "rs!", 0 },    { 'h', "rsh!", 0 },
        { 'b', "rshb!", 0 }, { 'e', "rshbe!", 1 }, { 'f', "f!", 0 },
    };
    for (int used = 0; used < 2; used++)
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            struct talk first = { 0 }, talk = { .cancel_on = rows[i].on };
            bool fails = rows[i].on == 'f';
            if (fails && used)
                continue;
            if (used) {
                ask(&first, 0, "");
                pass(2 * NANOS_MS);
            }
            mesh__memory_set(scene.network, "10.0.0.1:80", fails ? MEMORY_REFUSE : MEMORY_ACCEPT, 0);
            ask(&talk, 0, "");
            pass(2 * NANOS_MS);
            ck_assert_msg(strcmp(talk.story, rows[i].story) == 0, "%c: %s", rows[i].on, talk.story);
            ck_assert_msg(scene.connections == rows[i].connections, "%c: %u connections", rows[i].on,
                          scene.connections);
            ck_assert_uint_eq(scene.pending, 0);
            pass(200 * NANOS_MS);
            ck_assert_uint_eq(scene.connections, 0);
        }
}
END_TEST

START_TEST(cancelled_between_events)
{
    static const char *const begun[] = { "", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n",
                                         "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab" };
    static const char *const stories[] = { "rs", "rs", "rsh", "rshb" };
    scene.answer = NULL;
    for (int i = 0; i < 4; i++) {
        struct talk talk = { 0 };
        ask(&talk, 0, "");
        pass(0);
        if (begun[i][0])
            say(begun[i]);
        pass(0);
        mesh__exchange_cancel(&talk.exchange);
        ck_assert_ptr_null(last_line()->connection); /* one that was under way costs its connection */
        pass(NANOS_MS);
        ck_assert_str_eq(talk.story, stories[i]);
    }
    struct talk talk = { 0 };
    scene.write_room = 10;
    ask(&talk, 0, "body");
    pass(0);
    ck_assert_str_eq(talk.story, "rp");
    mesh__exchange_cancel(&talk.exchange);
    ck_assert_ptr_null(last_line()->connection);
    scene.write_room = 0;
    ask(&talk, 0, "body");
    pass(0);
    ck_assert_str_eq(talk.story, "r");
    mesh__exchange_cancel(&talk.exchange);
    pass(NANOS_MS);
    ck_assert_uint_eq(scene.connections, 0);
}
END_TEST

START_TEST(the_request_goes_on_where_the_connection_stopped)
{
    struct talk talk = { 0 };
    scene.write_room = 5;
    ask(&talk, 0, "a body");
    pass(0);
    ck_assert_str_eq(talk.story, "rp");
    ck_assert_uint_eq(last_line()->received, 5);
    for (size_t i = 6; i < strlen(HEAD_WITH(6)) + 6; i++) { /* byte by byte over the border between head and body */
        scene.write_room = 1;
        pass(0);
        ck_assert_uint_eq(last_line()->received, i);
        ck_assert_int_eq(talk.story[strlen(talk.story) - 1], 'p');
    }
    scene.write_room = SIZE_MAX;
    pass(2 * NANOS_MS);
    ck_assert_int_eq(talk.story[strlen(talk.story) - 1], 's');
    ck_assert_uint_eq(talk.exchange.sent, strlen(HEAD_WITH(6)) + 6);
    say(OK_RESPONSE); /* whoever asked goes: nothing may be under way then */
    pass(0);
    ck_assert_int_eq(talk.story[strlen(talk.story) - 1], 'e');
    ck_assert_uint_eq(scene.connections, 1);
}
END_TEST

/* Row 57: the answer to a request that is still being sent is taken, and the connection is not used again. */
START_TEST(an_answer_before_the_request_is_sent)
{
    struct talk talk = { 0 };
    scene.write_room = 10;
    ask(&talk, 0, "body");
    pass(0);
    say("HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno");
    pass(0);
    ck_assert_str_eq(talk.story, "rphbe");
    ck_assert_int_eq(talk.http_status, 413);
    ck_assert_uint_eq(scene.connections, 0);
    /* The same with a broken write: what the peer said is read first. */
    scene.write_room = 10;
    ask(&talk, 0, "body");
    pass(0);
    scene.write_error = EPIPE;
    say("HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno");
    mesh__memory_finish(last_line()->connection, 0);
    pass(0);
    ck_assert_str_eq(talk.story, "rphbe");
    ck_assert_int_eq(talk.http_status, 413);
    ck_assert_uint_eq(scene.connections, 0);
}
END_TEST

START_TEST(a_write_that_breaks)
{
    static const struct {
        size_t room;
        bool unsent;
        const char *story;
    } rows[] = { { 0, true, "rf" }, { 10, false, "rpf" } };
    for (int i = 0; i < 2; i++) {
        struct talk talk = { 0 };
        scene.write_room = rows[i].room;
        scene.write_error = EPIPE;
        ask(&talk, 0, "body");
        pass(0);
        ck_assert_str_eq(talk.story, rows[i].story);
        ck_assert_int_eq(talk.failure.status, MESH_RESET);
        ck_assert_int_eq(talk.failure.error_number, EPIPE);
        ck_assert_int_eq(talk.failure.unsent, rows[i].unsent);
        ck_assert_uint_eq(scene.connections, 0);
    }
}
END_TEST

/* A reset that a write was told of reads as an orderly end: a body delimited by the end is not whole then. */
START_TEST(a_reset_that_only_the_write_has_seen)
{
    struct talk talk = { 0 };
    scene.write_room = 10;
    ask(&talk, 0, "body");
    pass(0);
    say("HTTP/1.1 200 OK\r\n\r\nabc");
    pass(0);
    ck_assert_str_eq(talk.story, "rphb");
    scene.write_error = ECONNRESET;
    mesh__memory_finish(last_line()->connection, 0);
    pass(0);
    ck_assert_str_eq(talk.story, "rphbf");
    ck_assert_int_eq(talk.failure.status, MESH_PARTIAL_RESPONSE);
    ck_assert_int_eq(talk.failure.error_number, ECONNRESET);
}
END_TEST

/* A fresh connection has no earlier request that an answer could belong to: what comes first is the answer. */
START_TEST(an_answer_that_waits_already)
{
    struct talk talk = { 0 };
    scene.answer = NULL;
    mesh__memory_set(scene.network, "10.0.0.1:80", MEMORY_ACCEPT, NANOS_MS);
    ask(&talk, 0, "");
    pass(0);
    mesh__exchange_cancel(&talk.exchange); /* the connection is made without anybody to use it */
    pass(2 * NANOS_MS);
    ck_assert_uint_eq(scene.connections, 1);
    say(OK_RESPONSE);
    pass(0);
    ck_assert_uint_eq(scene.connections, 0); /* and what it says then is answer to nothing */
    ck_assert_str_eq(talk.story, "");
}
END_TEST

/* Rows 54 and 55. */
START_TEST(bytes_nobody_asked_for)
{
    static const char *const extra[] = { OK_RESPONSE OK_RESPONSE, OK_RESPONSE "\n",
                                         "HTTP/1.1 204 No\r\ncontent-length: 2\r\n\r\nok" };
    struct talk talk = { 0 };
    for (size_t i = 0; i < sizeof(extra) / sizeof(extra[0]); i++) {
        scene.answer = extra[i];
        ask(&talk, 0, "");
        pass(2 * NANOS_MS);
        ck_assert_str_eq(talk.story, talk.http_status == 204 ? "rshe" : "rshbe");
        ck_assert_uint_eq(scene.connections, 0);
    }
    static const char *const idle[] = { OK_RESPONSE, "x" };
    scene.answer = OK_RESPONSE;
    for (size_t i = 0; i < sizeof(idle) / sizeof(idle[0]); i++) {
        ask(&talk, 0, "");
        pass(2 * NANOS_MS);
        ck_assert_uint_eq(scene.connections, 1);
        say(idle[i]);
        pass(0);
        ck_assert_uint_eq(scene.connections, 0);
        ck_assert_str_eq(talk.story, "rshbe");
    }
}
END_TEST

START_TEST(no_memory_for_a_head_ends_the_exchange)
{
    struct talk talk = { .refuse_head = true };
    ask(&talk, 0, "");
    pass(2 * NANOS_MS);
    ck_assert_str_eq(talk.story, "rshf");
    ck_assert_int_eq(talk.failure.status, MESH_NO_MEMORY);
    ck_assert_uint_eq(scene.connections, 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        events_come_in_order_and_once,
        ends_and_resets,
        cancelled_from_inside_each_event,
        cancelled_between_events,
        the_request_goes_on_where_the_connection_stopped,
        an_answer_before_the_request_is_sent,
        a_write_that_breaks,
        a_reset_that_only_the_write_has_seen,
        an_answer_that_waits_already,
        bytes_nobody_asked_for,
        no_memory_for_a_head_ends_the_exchange,
    };
    return run_suite("channel", tests, sizeof(tests) / sizeof(tests[0]));
}
