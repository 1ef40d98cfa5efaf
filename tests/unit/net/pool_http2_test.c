/* SPDX-License-Identifier: Apache-2.0 */
/* pool_http2_test.c - how exchanges share HTTP/2 connections, and when there is another one: over a network in memory,
 * in virtual time. */
#include "http2_scene.h"

START_TEST(exchanges_share_a_connection)
{
    struct talk talks[30] = { 0 };
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 30; i++)
            ask(&talks[i], 0, i % 2 ? "a body" : "");
        pass_a_little();
        for (int i = 0; i < 30; i++) {
            ck_assert_msg(strcmp(talks[i].story, "rshbe") == 0, "round %d, %d: %s", round, i, talks[i].story);
            ck_assert_int_eq(talks[i].http_status, 200);
            ck_assert_int_eq(talks[i].exchange.reused, round > 0 || i > 0);
        }
    }
    ck_assert_uint_eq(peer.count, 1);
    ck_assert_uint_eq(peer.ends[0].answered, 90);
    ck_assert_uint_eq(scene.counters[0].connects, 1);
    ck_assert_uint_eq(scene.pending, 0);
}
END_TEST

START_TEST(a_turn_is_one_send)
{
    struct talk talks[30] = { 0 };
    ask(&talks[0], 0, "");
    pass_a_little();
    uint32_t before = peer.ends[0].reads;
    for (int i = 0; i < 30; i++)
        ask(&talks[i], 0, "");
    pass(0);
    ck_assert_str_eq(talks[29].story, "rs");
    ck_assert_uint_eq(peer.ends[0].reads, before + 1);
    pass_a_little();
    ck_assert_str_eq(talks[29].story, "rshbe");
}
END_TEST

/* Row 66: the peer's limit. */
START_TEST(no_more_streams_than_the_peer_takes)
{
    struct talk first = { 0 }, talks[6] = { 0 };
    peer.max_streams = 1;
    ask(&first, 0, "");
    pass_a_little();
    scene.connections_max = 2;
    for (int i = 0; i < 6; i++)
        ask(&talks[i], 0, "");
    ck_assert_uint_eq(scene.pending, 5);
    for (int i = 0; i < 10; i++)
        pass_a_little();
    for (int i = 0; i < 6; i++)
        ck_assert_msg(strcmp(talks[i].story, "rshbe") == 0, "%d: %s", i, talks[i].story);
    ck_assert_uint_eq(peer.count, 2);
    ck_assert_uint_eq(peer.ends[0].cancelled + peer.ends[1].cancelled, 0);
    ck_assert_uint_eq(scene.pending, 0);
}
END_TEST

START_TEST(a_full_connection_and_no_place_for_another)
{
    struct talk first = { 0 }, talks[4] = { 0 };
    peer.max_streams = 2;
    scene.connections_max = 1;
    ask(&first, 0, "");
    pass_a_little();
    peer.hold = true;
    for (int i = 0; i < 4; i++)
        ask(&talks[i], 0, "");
    pass_a_little();
    ck_assert_str_eq(talks[1].story, "rs");
    ck_assert_str_eq(talks[2].story, "");
    mesh__exchange_cancel(&talks[0].exchange); /* the place of a stream that was reset is free once that is written */
    pass_a_little();
    ck_assert_str_eq(talks[2].story, "rs");
    ck_assert_str_eq(talks[3].story, "");
    (void)answer(&peer.ends[0], peer.ends[0].held[1]);
    peer_flush(&peer.ends[0]);
    pass_a_little();
    ck_assert_str_eq(talks[1].story, "rshbe");
    ck_assert_str_eq(talks[3].story, "rs");
    ck_assert_uint_eq(peer.count, 1);
    mesh__exchange_cancel(&talks[2].exchange);
    mesh__exchange_cancel(&talks[3].exchange);
    pass_a_little();
    ck_assert_uint_eq(scene.connections, 1);
}
END_TEST

/* An idle connection's GOAWAY that has not been read yet is read before its use. */
START_TEST(goaway_on_an_idle_connection)
{
    struct talk talk = { 0 };
    ask(&talk, 0, "");
    pass_a_little();
    mesh__http2_drain(peer.ends[0].conn);
    peer_flush(&peer.ends[0]);
    pass_a_little();
    ck_assert_ptr_null(peer.ends[0].connection);
    ask(&talk, 0, "");
    pass_a_little();
    ck_assert_str_eq(talk.story, "rshbe");
    ck_assert_uint_eq(peer.count, 2);
}
END_TEST

START_TEST(a_dial_that_fails_fails_all_that_wait)
{
    struct talk talks[5] = { 0 };
    mesh__memory_set(scene.network, "10.0.0.1:80", MEMORY_REFUSE, 0);
    talks[1].cancel_on = 'f';
    for (int i = 0; i < 5; i++)
        ask(&talks[i], 0, "");
    pass(0);
    for (int i = 0; i < 5; i++) {
        ck_assert_str_eq(talks[i].story, i == 1 ? "f!" : "f");
        ck_assert_int_eq(talks[i].failure.status, MESH_CONNECT_REFUSED);
        ck_assert(talks[i].failure.unsent);
    }
    ck_assert_uint_eq(scene.counters[0].connect_failures, 1);
    ck_assert_uint_eq(scene.pending, 0);
}
END_TEST

START_TEST(age_number_and_retirement)
{
    struct talk talks[8] = { 0 };
    scene.group.policy.max_exchanges = 3;
    for (int i = 0; i < 8; i++)
        ask(&talks[i], 0, "");
    for (int i = 0; i < 4; i++)
        pass_a_little();
    for (int i = 0; i < 8; i++)
        ck_assert_msg(strcmp(talks[i].story, "rshbe") == 0, "%d: %s", i, talks[i].story);
    ck_assert_uint_eq(peer.count, 3);
    scene.group.policy.max_exchanges = 0;
    scene.group.policy.max_age = 10 * NANOS_MS;
    pass(20 * NANOS_MS);
    ask(&talks[0], 0, "");
    pass_a_little();
    ck_assert_uint_eq(peer.count, 4);
    peer.hold = true;
    ask(&talks[0], 0, "");
    pass_a_little();
    mesh__pool_retire(scene.pools[0]);
    pass_a_little();
    ck_assert_str_eq(talks[0].story, "rs"); /* what is under way goes on */
    ck_assert_uint_eq(scene.connections, 1);
    struct end *end = &peer.ends[peer.count - 1];
    (void)answer(end, end->held[0]);
    peer_flush(end);
    pass_a_little();
    ck_assert_str_eq(talks[0].story, "rshbe");
    ck_assert_uint_eq(scene.connections, 0);
    ck_assert(mesh__pool_is_empty(scene.pools[0]));
}
END_TEST

START_TEST(an_idle_connection_makes_room)
{
    struct talk talk = { 0 };
    scene.connections_max = 1;
    ask(&talk, 0, "");
    pass_a_little();
    ask(&talk, 1, "");
    pass_a_little();
    ck_assert_str_eq(talk.story, "rshbe");
    ck_assert_uint_eq(peer.count, 2);
    ck_assert_ptr_null(peer.ends[0].connection);
}
END_TEST

/* In the end of one exchange another begins, over and over: no memory is asked for by then. */
START_TEST(steady_exchanges_take_no_memory)
{
    struct talk talks[10] = { 0 };
    size_t used = 0, kept = 0;
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 10; i++)
            ask(&talks[i], 0, "a body");
        pass_a_little();
        if (round == 10) {
            used = scene.http2.pool.used_bytes;
            kept = scene.http2.pool.kept_bytes;
        }
    }
    ck_assert_uint_eq(scene.http2.pool.used_bytes, used);
    ck_assert_uint_eq(scene.http2.pool.kept_bytes, kept);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        exchanges_share_a_connection,        a_turn_is_one_send,
        no_more_streams_than_the_peer_takes, a_full_connection_and_no_place_for_another,
        goaway_on_an_idle_connection,        a_dial_that_fails_fails_all_that_wait,
        age_number_and_retirement,           an_idle_connection_makes_room,
        steady_exchanges_take_no_memory,
    };
    return run_suite_in("pool, HTTP/2", tests, sizeof(tests) / sizeof(tests[0]), http2_setup, http2_teardown);
}
