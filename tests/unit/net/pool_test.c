/* SPDX-License-Identifier: Apache-2.0 */
/* pool_test.c - which connection serves which exchange, and when there is one: over a network in memory. */
#include "scene.h"

/* One exchange from begin to end. */
static bool one(int pool)
{
    struct talk talk = { 0 };
    ask(&talk, pool, "");
    pass(2 * NANOS_MS);
    ck_assert_str_eq(talk.story, "rshbe");
    return talk.exchange.reused;
}

START_TEST(an_idle_connection_is_used_again)
{
    ck_assert(!one(0));
    ck_assert(one(0));
    ck_assert(one(0));
    ck_assert(!one(1));
    ck_assert_uint_eq(scene.line_count, 2);
    ck_assert_uint_eq(scene.lines[0].answered, 3);
    ck_assert_uint_eq(scene.counters[0].connects, 1);
    ck_assert_uint_eq(scene.counters[0].disconnects, 0);
    ck_assert_uint_eq(scene.counters[0].bytes_sent, 3 * strlen(HEAD));
    ck_assert_uint_eq(scene.counters[0].bytes_received, 3 * strlen(OK_RESPONSE));
}
END_TEST

START_TEST(the_connection_used_last_comes_first)
{
    struct talk talks[2] = { 0 };
    ask(&talks[0], 0, "");
    pass(0);
    ask(&talks[1], 0, "");
    pass(2 * NANOS_MS);
    ck_assert_uint_eq(scene.line_count, 2);
    for (int i = 0; i < 3; i++)
        ck_assert(one(0));
    ck_assert_uint_eq(scene.lines[0].answered + scene.lines[1].answered, 5);
    ck_assert(scene.lines[0].answered == 4 || scene.lines[1].answered == 4);
    pass(96 * NANOS_MS); /* so the other one has been idle for long enough to go */
    ck_assert_uint_eq(scene.connections, 1);
}
END_TEST

/* Acquires in the middle of a turn: what has just arrived has not been told to the channel yet. */
struct late {
    struct loop_timer timer;
    struct talk talk;
};

static void ask_late(struct loop_timer *timer)
{
    ask(&CONTAINER_OF(timer, struct late, timer)->talk, 0, "");
}

START_TEST(what_happened_to_an_idle_connection_is_seen_before_its_use)
{
    for (int kind = 0; kind < 3; kind++) {
        (void)one(0);
        uint32_t lines = scene.line_count;
        struct memory_connection *connection = scene.lines[lines - 1].connection;
        if (kind == 0)
            mesh__memory_finish(connection, NANOS_MS);
        else if (kind == 1)
            mesh__memory_reset(connection, NANOS_MS);
        else
            mesh__memory_send(connection, OK_RESPONSE, strlen(OK_RESPONSE), NANOS_MS);
        struct late late = { .timer.fire = ask_late };
        ck_assert(mesh__loop_timer_set(&scene.loop, &late.timer, scene.now + NANOS_MS + 1));
        scene.now += 2 * NANOS_MS; /* both in one turn, in this order */
        pass(2 * NANOS_MS);
        ck_assert_str_eq(late.talk.story, "rshbe");
        ck_assert(!late.talk.exchange.reused);
        ck_assert_uint_eq(scene.line_count, lines + 1);
        ck_assert_uint_eq(scene.connections, 1);
        pass(200 * NANOS_MS);
        ck_assert_uint_eq(scene.connections, 0);
    }
}
END_TEST

START_TEST(idle_connections_go_in_time)
{
    static const struct {
        const char *answer;
        mesh_nanos limit;
    } rows[] = {
        { OK_RESPONSE, 3 * NANOS_S },
        { "HTTP/1.1 200 OK\r\nkeep-alive: timeout=2\r\ncontent-length: 0\r\n\r\n", NANOS_S },
        { "HTTP/1.1 200 OK\r\nkeep-alive: timeout=1\r\ncontent-length: 0\r\n\r\n", 0 },
        { "HTTP/1.1 200 OK\r\nkeep-alive: timeout=0\r\ncontent-length: 0\r\n\r\n", 0 },
        { "HTTP/1.1 200 OK\r\nkeep-alive: timeout=3\r\ncontent-length: 0\r\n\r\n", 2 * NANOS_S },
        { "HTTP/1.1 200 OK\r\nkeep-alive: timeout=4\r\ncontent-length: 0\r\n\r\n", 3 * NANOS_S },
        { "HTTP/1.1 200 OK\r\nkeep-alive: timeout=60\r\ncontent-length: 0\r\n\r\n", 3 * NANOS_S },
        { "HTTP/1.1 200 OK\r\nkeep-alive: timeout=999999999999999999\r\ncontent-length: 0\r\n\r\n", 3 * NANOS_S },
    };
    scene.group.policy.idle_timeout = 3 * NANOS_S;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct talk talk = { 0 };
        scene.answer = rows[i].answer;
        ask(&talk, 0, "");
        pass(NANOS_MS); /* the answer's way: idle from now on */
        ck_assert_msg(talk.http_status == 200, "row %zu", i);
        if (rows[i].limit > 0)
            pass(rows[i].limit - 1);
        ck_assert_msg(scene.connections == (rows[i].limit > 0), "row %zu: gone too soon", i);
        pass(1);
        ck_assert_msg(scene.connections == 0, "row %zu: still there", i);
    }
}
END_TEST

START_TEST(a_connection_has_an_age_and_a_number_of_exchanges)
{
    scene.group.policy.max_exchanges = 3;
    for (int i = 0; i < 6; i++)
        ck_assert_int_eq(one(0), i % 3 != 0);
    ck_assert_uint_eq(scene.line_count, 2);
    ck_assert_uint_eq(scene.connections, 0); /* the last exchange closed it */
    scene.group.policy.max_exchanges = 0;
    scene.group.policy.max_age = 10 * NANOS_MS;
    for (int i = 0; i < 10; i++) /* 2 ms each */
        ck_assert_int_eq(one(0), i % 5 != 0);
    ck_assert_uint_eq(scene.line_count, 4);
}
END_TEST

START_TEST(exchanges_that_wait_are_served_in_their_order)
{
    struct talk talks[5] = { 0 };
    scene.connections_max = 1;
    for (int i = 0; i < 5; i++)
        ask(&talks[i], 0, "");
    ck_assert_uint_eq(scene.pending, 5);
    for (int i = 0; i < 5; i++) {
        pass(NANOS_MS);
        for (int j = 0; j < 5; j++) {
            const char *expected = j <= i ? "rshbe" : j == i + 1 ? "rs" : "";
            ck_assert_msg(strcmp(talks[j].story, expected) == 0, "after %d, talk %d: %s", i, j, talks[j].story);
        }
    }
    ck_assert_uint_eq(scene.line_count, 1);
    ck_assert_uint_eq(scene.pending, 0);
}
END_TEST

START_TEST(each_dial_that_fails_fails_one_exchange)
{
    struct talk talks[3] = { 0 };
    mesh__memory_set(scene.network, "10.0.0.1:80", MEMORY_REFUSE, 0);
    for (int i = 0; i < 3; i++)
        ask(&talks[i], 0, "");
    pass(0);
    for (int i = 0; i < 3; i++) {
        ck_assert_str_eq(talks[i].story, "f");
        ck_assert_int_eq(talks[i].failure.status, MESH_CONNECT_REFUSED);
        ck_assert_int_eq(talks[i].failure.error_number, ECONNREFUSED);
        ck_assert(talks[i].failure.unsent && !talks[i].failure.stale);
    }
    ck_assert_uint_eq(scene.counters[0].connect_failures, 3);
    /* A dial whose exchange was served by another connection fails nobody. */
    mesh__memory_set(scene.network, "10.0.0.1:80", MEMORY_ACCEPT, 0);
    ask(&talks[0], 0, "");
    pass(0);
    mesh__memory_set(scene.network, "10.0.0.1:80", MEMORY_REFUSE, 3 * NANOS_MS);
    ask(&talks[1], 0, "");
    pass(4 * NANOS_MS);
    ck_assert_str_eq(talks[0].story, "rshbe");
    ck_assert_str_eq(talks[1].story, "rshbe");
    ck_assert_uint_eq(scene.counters[0].connect_failures, 4);
}
END_TEST

/* What this side ran out of is not the endpoint's fault, whether it is known at once or later. */
START_TEST(why_a_dial_failed)
{
    static const struct {
        int error;
        mesh_status status, later;
    } rows[] = {
        { ECONNREFUSED, MESH_CONNECT_REFUSED, MESH_CONNECT_REFUSED },
        { ENOENT, MESH_CONNECT_REFUSED, MESH_CONNECT_REFUSED },
        { ETIMEDOUT, MESH_CONNECT_TIMEOUT, MESH_CONNECT_TIMEOUT },
        { EHOSTUNREACH, MESH_CONNECT_UNREACHABLE, MESH_CONNECT_UNREACHABLE },
        { EPROTO, MESH_SYSTEM, MESH_CONNECT_UNREACHABLE },
        { ENOMEM, MESH_NO_MEMORY, MESH_NO_MEMORY },
        { ENOBUFS, MESH_NO_DESCRIPTORS, MESH_NO_DESCRIPTORS },
        { EADDRNOTAVAIL, MESH_NO_DESCRIPTORS, MESH_NO_DESCRIPTORS },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (int later = 0; later < 2; later++) {
            struct talk talk = { 0 };
            scene.connect_error[0] = later ? 0 : rows[i].error;
            scene.connected_error = later ? rows[i].error : 0;
            ask(&talk, 0, "");
            pass(NANOS_MS);
            ck_assert_str_eq(talk.story, "f");
            ck_assert_msg(talk.failure.status == (later ? rows[i].later : rows[i].status), "%s, %s: %s",
                          strerror(rows[i].error), later ? "later" : "at once", mesh_status_name(talk.failure.status));
            ck_assert_int_eq(talk.failure.error_number, rows[i].error);
            ck_assert(talk.failure.unsent);
            ck_assert_uint_eq(scene.connections, 0);
        }
}
END_TEST

START_TEST(dialling_takes_no_longer_than_connect_timeout)
{
    struct talk talk = { 0 };
    mesh__memory_set(scene.network, "10.0.0.1:80", MEMORY_IGNORE, 0);
    ask(&talk, 0, "");
    pass(5 * NANOS_MS - 1);
    ck_assert_str_eq(talk.story, "");
    pass(1);
    ck_assert_str_eq(talk.story, "f");
    ck_assert_int_eq(talk.failure.status, MESH_CONNECT_TIMEOUT);
    ck_assert(talk.failure.unsent);
    ck_assert_uint_eq(scene.connections, 0);
}
END_TEST

START_TEST(an_idle_connection_to_another_endpoint_makes_room)
{
    scene.connections_max = 1;
    ck_assert(!one(0));
    ck_assert(!one(1));
    ck_assert(!one(0));
    ck_assert_uint_eq(scene.connections, 1);
    ck_assert_uint_eq(scene.counters[0].disconnects, 1);
    ck_assert_uint_eq(scene.counters[1].disconnects, 1);
}
END_TEST

START_TEST(the_connection_idle_for_longest_makes_room)
{
    struct talk talks[3] = { 0 };
    scene.connections_max = 2;
    ask(&talks[0], 0, "");
    pass(NANOS_US);
    ask(&talks[1], 0, "");
    pass(2 * NANOS_MS);
    ck_assert_uint_eq(scene.connections, 2);
    ask(&talks[2], 1, "");
    pass(2 * NANOS_MS);
    ck_assert_str_eq(talks[2].story, "rshbe");
    ck_assert_ptr_null(scene.lines[0].connection);
    ck_assert_ptr_nonnull(scene.lines[1].connection);
}
END_TEST

START_TEST(a_starved_exchange_takes_the_place_of_one_that_ends)
{
    struct talk first = { 0 }, second = { 0 }, third = { 0 };
    scene.connections_max = 1;
    ask(&first, 0, "");
    pass(0);
    ask(&second, 1, "");
    ask(&third, 0, "");
    pass(NANOS_MS); /* `first` ends; its connection serves `third`, which waits for that very endpoint */
    ck_assert_str_eq(first.story, "rshbe");
    ck_assert_str_eq(third.story, "rs");
    ck_assert_str_eq(second.story, "");
    pass(2 * NANOS_MS);
    ck_assert_str_eq(third.story, "rshbe");
    ck_assert_str_eq(second.story, "rshbe");
    ck_assert_uint_eq(scene.pending, 0);
}
END_TEST

START_TEST(a_place_from_elsewhere_feeds_the_starved)
{
    struct talk talk = { 0 };
    scene.connections_max = 0;
    ask(&talk, 0, "");
    pass(NANOS_MS);
    mesh__pool_group_feed(&scene.group);
    ck_assert_uint_eq(scene.connections, 0);
    scene.connections_max = 1;
    mesh__pool_group_feed(&scene.group);
    mesh__pool_group_feed(&scene.group);
    ck_assert_uint_eq(scene.connections, 1);
    pass(2 * NANOS_MS);
    ck_assert_str_eq(talk.story, "rshbe");
}
END_TEST

/* A peer that answers and closes, without a word about it: where its end came with the answer, nobody uses that
 * connection again, though it becomes free in the very turn in which somebody waits for one. */
START_TEST(an_end_that_came_with_the_answer_is_seen)
{
    struct talk first = { 0 }, second = { 0 };
    scene.connections_max = 1;
    scene.answer = NULL;
    ask(&first, 0, "");
    ask(&second, 0, "");
    pass(0);
    mesh__memory_send(scene.lines[0].connection, OK_RESPONSE, strlen(OK_RESPONSE), 0);
    mesh__memory_finish(scene.lines[0].connection, 0);
    scene.answer = OK_RESPONSE;
    pass(2 * NANOS_MS);
    ck_assert_str_eq(first.story, "rshbe");
    ck_assert_str_eq(second.story, "rshbe");
    ck_assert(!second.exchange.reused);
    ck_assert_uint_eq(scene.line_count, 2);
}
END_TEST

/* The connection that makes room feeds the starved by itself; their dials fail at once and give the place back. */
START_TEST(dials_that_fail_at_once_while_room_is_made)
{
    struct talk busy = { 0 }, starved[3] = { 0 };
    scene.connections_max = 1;
    ask(&busy, 0, "");
    pass(0);
    scene.connect_error[1] = EMFILE;
    for (int i = 0; i < 3; i++)
        ask(&starved[i], 1, "");
    pass(2 * NANOS_MS);
    ck_assert_str_eq(busy.story, "rshbe");
    for (int i = 0; i < 3; i++) {
        ck_assert_str_eq(starved[i].story, "f");
        ck_assert_int_eq(starved[i].failure.status, MESH_NO_DESCRIPTORS);
        ck_assert_int_eq(starved[i].failure.error_number, EMFILE);
    }
    ck_assert_uint_eq(scene.connections, 0);
    ck_assert_uint_eq(scene.pending, 0);
}
END_TEST

START_TEST(a_place_that_others_want_is_given_up)
{
    struct talk first = { 0 }, second = { 0 };
    scene.connections_max = 1;
    scene.wanted_elsewhere = true;
    ask(&first, 0, "");
    ask(&second, 0, "");
    pass(NANOS_MS);
    ck_assert_uint_eq(scene.connections, 1); /* not while an exchange waits for this very connection */
    pass(NANOS_MS);
    ck_assert_str_eq(first.story, "rshbe");
    ck_assert_str_eq(second.story, "rshbe");
    ck_assert_uint_eq(scene.connections, 0);
    scene.wanted_elsewhere = false;
    ck_assert(!one(0));
    ck_assert_uint_eq(scene.connections, 1);
    mesh__pool_group_yield(&scene.group);
    mesh__pool_group_yield(&scene.group);
    ck_assert_uint_eq(scene.connections, 0);
}
END_TEST

START_TEST(more_than_max_pending_are_turned_away)
{
    struct talk talks[3] = { 0 };
    scene.pending_max = 2;
    for (int i = 0; i < 3; i++)
        ask(&talks[i], 0, "");
    ck_assert_str_eq(talks[2].story, "f");
    ck_assert_int_eq(talks[2].failure.status, MESH_OVERLOADED);
    ck_assert(talks[2].failure.unsent);
    pass(2 * NANOS_MS);
    ck_assert_str_eq(talks[0].story, "rshbe");
    ck_assert_str_eq(talks[1].story, "rshbe");
}
END_TEST

START_TEST(cancelled_while_it_waits)
{
    struct talk dialling = { 0 }, starved = { 0 };
    scene.connections_max = 1;
    ask(&dialling, 0, "");
    ask(&starved, 1, "");
    mesh__exchange_cancel(&dialling.exchange);
    mesh__exchange_cancel(&dialling.exchange);
    mesh__exchange_cancel(&starved.exchange);
    ck_assert_uint_eq(scene.pending, 0);
    pass(2 * NANOS_MS);
    ck_assert_str_eq(dialling.story, "");
    ck_assert_str_eq(starved.story, "");
    ck_assert_uint_eq(scene.line_count, 1); /* the dial goes on and its connection waits for the next one */
    ck_assert(one(0) == false && scene.line_count == 1);
}
END_TEST

START_TEST(a_retired_pool_closes_as_it_becomes_idle)
{
    struct talk busy = { 0 }, waiting = { 0 };
    scene.connections_max = 2;
    ask(&busy, 0, "");
    ask(&waiting, 0, "");
    pass(2 * NANOS_MS); /* two connections, idle */
    ask(&busy, 0, "");
    ck_assert(!mesh__pool_is_empty(scene.pools[0]));
    mesh__pool_retire(scene.pools[0]);
    ck_assert_uint_eq(scene.connections, 1);
    pass(2 * NANOS_MS);
    ck_assert_str_eq(busy.story, "rshbe");
    ck_assert_uint_eq(scene.connections, 0);
    ck_assert(mesh__pool_is_empty(scene.pools[0]));
}
END_TEST

START_TEST(a_freed_pool_forgets_its_exchanges)
{
    struct talk busy = { 0 }, dialling = { 0 }, starved = { 0 }, other = { 0 };
    scene.connections_max = 2;
    ask(&busy, 0, "");
    pass(0);
    mesh__memory_set(scene.network, "10.0.0.1:80", MEMORY_IGNORE, 0);
    ask(&dialling, 0, "");
    ask(&starved, 0, "");
    ask(&other, 1, "");
    mesh__pool_free(scene.pools[0]);
    scene.pools[0] = NULL;
    ck_assert_str_eq(busy.story, "rs");
    ck_assert_str_eq(dialling.story, "");
    ck_assert_str_eq(starved.story, "");
    pass(2 * NANOS_MS); /* the places go to whoever else is starved */
    ck_assert_str_eq(other.story, "rshbe");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        an_idle_connection_is_used_again,
        the_connection_used_last_comes_first,
        what_happened_to_an_idle_connection_is_seen_before_its_use,
        idle_connections_go_in_time,
        a_connection_has_an_age_and_a_number_of_exchanges,
        exchanges_that_wait_are_served_in_their_order,
        each_dial_that_fails_fails_one_exchange,
        why_a_dial_failed,
        dialling_takes_no_longer_than_connect_timeout,
        an_idle_connection_to_another_endpoint_makes_room,
        the_connection_idle_for_longest_makes_room,
        a_starved_exchange_takes_the_place_of_one_that_ends,
        a_place_from_elsewhere_feeds_the_starved,
        an_end_that_came_with_the_answer_is_seen,
        dials_that_fail_at_once_while_room_is_made,
        a_place_that_others_want_is_given_up,
        more_than_max_pending_are_turned_away,
        cancelled_while_it_waits,
        a_retired_pool_closes_as_it_becomes_idle,
        a_freed_pool_forgets_its_exchanges,
    };
    return run_suite("pool", tests, sizeof(tests) / sizeof(tests[0]));
}
