/* SPDX-License-Identifier: Apache-2.0 */
/* pool_tls_test.c - how many hands are shaken at once, and what becomes of connections when security changes. */
#include "tls_peer.h"

#define MANY 20
#define DIALS_MOST 4 /* on the loop, and for each thread */

static struct talk talks[MANY];

static void ask_many(int count)
{
    memset(talks, 0, sizeof(talks));
    for (int i = 0; i < count; i++)
        ask(&talks[i], 0, "");
}

static int count_of(const char *story)
{
    int count = 0;
    for (int i = 0; i < MANY; i++)
        count += strcmp(talks[i].story, story) == 0;
    return count;
}

/* One exchange from begin to end; the spec of its connection. */
static const struct tls_spec *one(bool reused)
{
    struct talk talk = { 0 };
    ask(&talk, 0, "");
    pass(PATIENCE);
    ck_assert_msg(strcmp(talk.story, "rshbe") == 0, "%s: %s", talk.story, mesh_status_name(talk.failure.status));
    ck_assert_int_eq(talk.exchange.reused, reused);
    struct list *idle = &scene.pools[0]->idle;
    return mesh__list_empty(idle) ? NULL : CONTAINER_OF(idle->next, struct channel, link)->spec;
}

/* The peer speaks twice in TLS 1.2, and once in TLS 1.3 until the client is done. */
static mesh_nanos whole_handshake(void)
{
    return strstr(mesh__tls_backend(), " 2.") ? 2 * FLIGHT : FLIGHT;
}

/* ---- dials at once ---- */

START_TEST(hands_shaken_at_once)
{
    uint32_t most = 0;
    scene.group.protocol = POOL_HTTP1;
    secure(secured.old);
    ask_many(MANY);
    ck_assert_uint_eq(scene.pools[0]->dialing, DIALS_MOST);
    for (int i = 0; i < 40; i++) {
        most = scene.pools[0]->dialing > most ? scene.pools[0]->dialing : most;
        pass(FLIGHT / 4);
    }
    ck_assert_uint_eq(most, DIALS_MOST);
    ck_assert_int_eq(count_of("rshbe"), MANY);
    ck_assert_uint_lt(scene.line_count, MANY); /* connections that came free served the others */
    ck_assert_uint_eq(scene.pending, 0);
    ask(&talks[0], 1, ""); /* another endpoint's dials are its own */
    ck_assert_uint_eq(scene.pools[1]->dialing, 1);
}
END_TEST

START_TEST(with_more_threads_there_are_more)
{
    struct handshaker *threads = mesh__handshaker_new(&mesh__mem_system, 3);
    secured.desk.threads = threads;
    scene.group.protocol = POOL_HTTP1;
    secure(secured.old);
    ask_many(MANY);
    ck_assert_uint_eq(scene.pools[0]->dialing, 3 * DIALS_MOST);
    mesh__pool_free(scene.pools[0]); /* before any hand was shaken */
    scene.pools[0] = NULL;
    secured.desk.threads = NULL;
    mesh__handshaker_free(threads);
}
END_TEST

/* As long as it may be HTTP/2, one dial serves all; then the limit is what it is over HTTP/1.1. */
START_TEST(until_the_peer_has_chosen)
{
    secure(secured.old);
    ask_many(MANY);
    ck_assert_uint_eq(scene.pools[0]->dialing, 1);
    pass(2 * FLIGHT);
    ck_assert_uint_eq(scene.pools[0]->dialing, DIALS_MOST);
    pass(PATIENCE);
    ck_assert_int_eq(count_of("rshbe"), MANY);
}
END_TEST

/* In plain text a dial costs nothing worth saving: one for each. */
START_TEST(plain_text_has_no_limit)
{
    ask_many(MANY);
    ck_assert_uint_eq(scene.pools[0]->dialing, MANY);
    pass(PATIENCE);
    ck_assert_int_eq(count_of("rshbe"), MANY);
}
END_TEST

/* Nobody waits for dials of others to fail first: each takes its part of those who wait with it. */
START_TEST(dials_that_fail)
{
    static const struct {
        bool silent, refuses, wrong;
        mesh_status status;
        mesh_nanos shaking;
    } rows[] = {
        { .refuses = true, .status = MESH_CONNECT_REFUSED },
        { .silent = true, .status = MESH_TLS_TIMEOUT, .shaking = PATIENCE },
        { .wrong = true, .status = MESH_TLS_WRONG_ID, .shaking = FLIGHT },
    };
    scene.group.protocol = POOL_HTTP1;
    for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
        uint64_t before = scene.counters[0].connect_failures;
        secured.silent = rows[row].silent;
        mesh__memory_set(scene.network, "10.0.0.1:80", rows[row].refuses ? MEMORY_REFUSE : MEMORY_ACCEPT, 0);
        secure(rows[row].wrong ? secured.choosy : secured.old);
        ask_many(10);
        pass(rows[row].shaking);
        for (int i = 0; i < 10; i++) {
            ck_assert_msg(strcmp(talks[i].story, "f") == 0, "row %zu, %d: %s", row, i, talks[i].story);
            ck_assert_msg(talks[i].failure.status == rows[row].status, "row %zu: %s", row,
                          mesh_status_name(talks[i].failure.status));
            ck_assert_int_eq(talks[i].exchange.shaking, rows[row].shaking);
        }
        ck_assert_uint_eq(scene.counters[0].connect_failures - before, DIALS_MOST);
        ck_assert_uint_eq(scene.connections, 0);
    }
}
END_TEST

START_TEST(one_dial_of_four_fails)
{
    scene.group.protocol = POOL_HTTP1;
    secure(secured.old);
    mesh__memory_set(scene.network, "10.0.0.1:80", MEMORY_REFUSE, 0);
    ask_many(1);
    mesh__memory_set(scene.network, "10.0.0.1:80", MEMORY_ACCEPT, 0);
    for (int i = 1; i < 10; i++)
        ask(&talks[i], 0, "");
    pass(PATIENCE);
    ck_assert_int_eq(count_of("f"), 3); /* a quarter of ten: those who waited longest */
    ck_assert_int_eq(count_of("rshbe"), 7);
    for (int i = 0; i < 3; i++)
        ck_assert_str_eq(talks[i].story, "f");
}
END_TEST

START_TEST(a_dial_that_fails_at_once)
{
    scene.group.protocol = POOL_HTTP1;
    secure(secured.old);
    ask_many(8);
    scene.connect_error[0] = EMFILE; /* for the dials that follow */
    pass(PATIENCE);
    ck_assert_int_eq(count_of("rshbe") + count_of("f"), 8);
    ck_assert_int_ge(count_of("rshbe"), 4);
    ck_assert_uint_eq(scene.pending, 0);
}
END_TEST

/* Of many who wait only the first four are starved. Whoever of them goes leaves that to the next. */
START_TEST(places_reach_all_who_wait)
{
    scene.group.protocol = POOL_HTTP1;
    scene.answer = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    secure(secured.old);
    for (int cancelled = 0; cancelled < 2; cancelled++) {
        scene.connections_max = 4;
        ask_many(16);
        scene.connections_max = 0; /* there are no more, once these have closed */
        pass(PATIENCE);
        ck_assert_int_eq(count_of("rshe"), 4);
        ck_assert_uint_eq(scene.connections, 0);
        for (int i = 4; cancelled && i < 10; i++)
            mesh__exchange_cancel(&talks[i].exchange);
        scene.connections_max = 1; /* which closes with each exchange, and so on */
        mesh__pool_group_feed(&scene.group);
        pass(16 * 4 * FLIGHT);
        ck_assert_int_eq(count_of("rshe"), cancelled ? 10 : 16);
        ck_assert_uint_eq(scene.pending, 0);
    }
}
END_TEST

/* ---- security changes ---- */

/* What is idle closes at once; nothing is sent on it any more. */
START_TEST(idle_connections_close)
{
    secure(secured.old);
    ck_assert_ptr_eq(one(false), secured.old);
    ck_assert_ptr_eq(one(true), secured.old);
    secure(secured.new);
    ck_assert_uint_eq(scene.connections, 0);
    ck_assert_ptr_null(scene.lines[0].connection);
    ck_assert_ptr_eq(one(false), secured.new);
    ck_assert_uint_eq(scene.line_count, 2);
}
END_TEST

START_TEST(what_stays_the_same_closes_nothing)
{
    struct access_rule rule = { .name = "nobody", .action = ACCESS_DENY };
    struct access_policy nobody = { &rule, 1, false };
    struct pool_security security = { .spec = secured.old, .handshake_timeout = 2 * PATIENCE };
    secure(secured.old);
    (void)one(false);
    secure(secured.old);
    (void)one(true);
    mesh__pool_group_secure(&scene.group, &security);
    (void)one(true);
    /* A policy is judged before the next use. */
    security.access = &nobody;
    mesh__pool_group_secure(&scene.group, &security);
    ck_assert_uint_eq(scene.connections, 1);
    ask_many(1);
    pass(PATIENCE);
    ck_assert_str_eq(talks[0].story, "f");
    ck_assert_int_eq(talks[0].failure.status, MESH_DENIED);
    ck_assert_int_eq(talks[0].exchange.shaking, whole_handshake());
    ck_assert_uint_eq(scene.connections, 0);
}
END_TEST

/* What is busy ends what it is at, and closes. */
START_TEST(busy_connections_end_their_exchange)
{
    secure(secured.old);
    (void)one(false);
    ask_many(1);
    pass(0);
    ck_assert_str_eq(talks[0].story, "rs");
    secure(secured.new);
    pass(0);
    ck_assert_uint_eq(scene.connections, 1);
    ask(&talks[1], 0, "");
    pass(FLIGHT);
    ck_assert_str_eq(talks[0].story, "rshbe");
    ck_assert_ptr_null(scene.lines[0].connection);
    pass(PATIENCE);
    ck_assert_str_eq(talks[1].story, "rshbe");
    ck_assert(!talks[1].exchange.reused); /* the connection that became free was not for it */
    ck_assert_uint_eq(scene.line_count, 2);
    ck_assert_ptr_eq(one(true), secured.new);
}
END_TEST

/* What is being dialled serves nobody under what is not in force any more; who waits for it is dialled for anew. */
START_TEST(dials_under_way_begin_anew)
{
    for (int protocol = POOL_AUTO; protocol <= POOL_HTTP1; protocol++) {
        scene.group.protocol = (enum pool_protocol)protocol;
        secure(secured.old);
        uint32_t before = scene.line_count;
        ask_many(2);
        pass(FLIGHT / 2);
        secure(secured.new);
        ck_assert_uint_eq(scene.connections, protocol == POOL_AUTO ? 1 : 2);
        ck_assert_uint_eq(scene.pending, 2);
        pass(PATIENCE);
        ck_assert_int_eq(count_of("rshbe"), 2);
        ck_assert_uint_eq(scene.line_count - before, protocol == POOL_AUTO ? 3 : 4);
        ck_assert_ptr_eq(one(true), secured.new);
    }
}
END_TEST

/* A dial that failed under it fails nobody either. */
START_TEST(old_dials_fail_nobody)
{
    for (int protocol = POOL_AUTO; protocol <= POOL_HTTP1; protocol++) {
        scene.group.protocol = (enum pool_protocol)protocol;
        secure(secured.choosy);
        ask_many(2);
        pass(0);
        secure(secured.new);
        pass(PATIENCE);
        ck_assert_int_eq(count_of("rshbe"), 2);
        ck_assert_uint_eq(scene.counters[0].connect_failures, protocol == POOL_AUTO ? 1 : 3);
    }
}
END_TEST

/* Who has no place yet is dialled for as things are when there is one. */
START_TEST(the_starved_are_dialled_for_as_things_are)
{
    scene.connections_max = 0;
    secure(secured.old);
    ask_many(2);
    secure(secured.new);
    scene.connections_max = 1;
    mesh__pool_group_feed(&scene.group);
    pass(PATIENCE);
    ck_assert_int_eq(count_of("rshbe"), 2);
    ck_assert_ptr_eq(one(true), secured.new);
}
END_TEST

/* To TLS and back, with a connection in each state. */
START_TEST(from_and_to_plain_text)
{
    for (int i = 0; i < 4; i++) {
        struct tls_spec *from = i % 2 ? secured.old : NULL, *to = i % 2 ? NULL : secured.old;
        secure(from);
        scene.answer = NULL;
        ask_many(1); /* stays busy */
        pass(PATIENCE);
        scene.answer = OK_RESPONSE;
        ask(&talks[1], 0, "");
        pass(PATIENCE); /* idle */
        mesh__memory_set(scene.network, "10.0.0.1:80", MEMORY_ACCEPT, 2 * FLIGHT);
        ask(&talks[2], 0, "");
        ask(&talks[3], 0, "");
        secure(to);
        mesh__memory_set(scene.network, "10.0.0.1:80", MEMORY_ACCEPT, 0);
        ck_assert_str_eq(talks[0].story, "rs");
        pass(PATIENCE);
        ck_assert_int_eq(count_of("rshbe"), 3);
        ck_assert_ptr_eq(one(true), to);
        mesh__exchange_cancel(&talks[0].exchange);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        hands_shaken_at_once,
        with_more_threads_there_are_more,
        until_the_peer_has_chosen,
        plain_text_has_no_limit,
        dials_that_fail,
        one_dial_of_four_fails,
        a_dial_that_fails_at_once,
        places_reach_all_who_wait,
        idle_connections_close,
        what_stays_the_same_closes_nothing,
        busy_connections_end_their_exchange,
        dials_under_way_begin_anew,
        old_dials_fail_nobody,
        the_starved_are_dialled_for_as_things_are,
        from_and_to_plain_text,
    };
    return run_suite_in("pool: TLS", tests, sizeof(tests) / sizeof(tests[0]), tls_setup, tls_teardown);
}
