/* SPDX-License-Identifier: Apache-2.0 */
/* channel_http2_ids_test.c - row 89: connections whose stream ids are used up (RFC 9113 5.1.1). */
#include "http2_scene.h"

/* Two are left on each connection: so many exchanges take half as many connections, and none is told of it. */
START_TEST(ids_used_up)
{
    struct talk talks[7] = { 0 };
    scene.group.policy.first_id = INT32_MAX - 2;
    for (int i = 0; i < 7; i++)
        ask(&talks[i], 0, "");
    for (int i = 0; i < 4; i++)
        pass_a_little();
    for (int i = 0; i < 7; i++) {
        ck_assert_msg(strcmp(talks[i].story, "rshbe") == 0, "%d: %s", i, talks[i].story);
        ck_assert_int_eq(talks[i].http_status, 200);
    }
    ck_assert_uint_eq(peer.count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        ck_assert_uint_eq(peer.ends[i].answered, i < 3 ? 2 : 1);
        ck_assert_uint_eq(peer.ends[i].cancelled, 0);
        ck_assert_msg((peer.ends[i].connection == NULL) == (i < 3), "connection %u", i); /* those used up went */
    }
    ck_assert_uint_eq(scene.pending, 0);
    ck_assert_uint_eq(scene.connections, 1);
}
END_TEST

/* The last stream goes on as long as it takes; who comes meanwhile gets another connection. */
START_TEST(the_last_stream_goes_on)
{
    struct talk last = { 0 }, next = { 0 };
    scene.group.policy.first_id = INT32_MAX;
    peer.hold = true;
    ask(&last, 0, "");
    pass_a_little();
    ck_assert_str_eq(last.story, "rs");
    ck_assert_int_eq(mesh__http2_stream_id(peer.ends[0].held[0]), INT32_MAX);
    peer.hold = false;
    ask(&next, 0, "");
    pass_a_little();
    ck_assert_str_eq(next.story, "rshbe");
    ck_assert_uint_eq(peer.count, 2);
    ck_assert_ptr_nonnull(peer.ends[0].connection);
    (void)answer(&peer.ends[0], peer.ends[0].held[0]);
    peer_flush(&peer.ends[0]);
    pass_a_little();
    ck_assert_str_eq(last.story, "rshbe");
    ck_assert_ptr_null(peer.ends[0].connection);
    ck_assert_uint_eq(peer.ends[0].counts[GOAWAY], 1);
}
END_TEST

/* One connection at most: those who wait get theirs one after the other. */
START_TEST(one_connection_at_a_time)
{
    struct talk talks[5] = { 0 };
    scene.group.policy.first_id = INT32_MAX;
    scene.connections_max = 1;
    for (int i = 0; i < 5; i++)
        ask(&talks[i], 0, "");
    for (int i = 0; i < 12; i++)
        pass_a_little();
    for (int i = 0; i < 5; i++)
        ck_assert_msg(strcmp(talks[i].story, "rshbe") == 0, "%d: %s", i, talks[i].story);
    ck_assert_uint_eq(peer.count, 5);
    ck_assert_uint_eq(scene.pending, 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = { ids_used_up, the_last_stream_goes_on, one_connection_at_a_time };
    return run_suite_in("channel, HTTP/2 ids", tests, sizeof(tests) / sizeof(tests[0]), http2_setup, http2_teardown);
}
