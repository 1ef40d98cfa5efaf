/* SPDX-License-Identifier: Apache-2.0 */
/* tls_stream_test.c - each phase of a TLS stream under each event, with hands shaken on the loop and on threads. */
/* label: threaded */
#include "tls_scene.h"

static const int threads_of[] = { 0, 1, 3 };
#define DESKS ((int)(sizeof(threads_of) / sizeof(threads_of[0])))

static bool speaks_13(void)
{
    return strstr(mesh__tls_backend(), " 2.") == NULL;
}

static void open_both(void)
{
    side_open(TLS_CLIENT);
    side_open(TLS_SERVER);
}

static ssize_t say(enum tls_side side, const char *text)
{
    struct iovec one = { (char *)(uintptr_t)text, strlen(text) };
    return scene.sides[side].stream->ops->write(scene.sides[side].stream, &one, 1);
}

static ssize_t hear(enum tls_side side, char *bytes, size_t size)
{
    return scene.sides[side].stream->ops->read(scene.sides[side].stream, bytes, size);
}

/* A text from one side to the other, turn by turn. */
static void expect_heard(enum tls_side side, const char *text)
{
    char bytes[100];
    size_t size = 0;
    for (int turns = 0; size < strlen(text); turns++) {
        ck_assert_msg(turns < 2000, "%zu bytes of \"%s\" came", size, text);
        ssize_t got = hear(side, bytes + size, sizeof(bytes) - size);
        ck_assert_msg(got > 0 || got == -EAGAIN, "read gave %zd", got);
        size += got > 0 ? (size_t)got : 0;
        turn();
    }
    ck_assert(size == strlen(text) && memcmp(bytes, text, size) == 0);
}

/* ---- SHAKING to OPEN ---- */

START_TEST(shakes)
{
    scene_begin(threads_of[_i % DESKS]);
    bool hoards = _i / DESKS / 2 % 2 == 1;
    for (int i = 0; i < 2; i++) {
        scene.halves[i].most = (size_t)(_i / DESKS % 2); /* byte by byte */
        scene.halves[i].hoards = hoards;
    }
    open_both();
    ck_assert_int_eq(side_connected(TLS_CLIENT), -EINPROGRESS);
    shake();
    for (int i = 0; i < 2; i++) {
        struct tls_state state = side_state((enum tls_side)i);
        ck_assert_int_eq(side_connected((enum tls_side)i), 0);
        ck_assert(!state.shaking && state.status == MESH_OK && state.report != NULL);
        ck_assert_str_eq(state.report->peer_id, i == TLS_CLIENT ? "spiffe://shop/payment" : "spiffe://shop/order");
        ck_assert_uint_ge(scene.sides[i].calls, 2); /* the stream below is up; hands are shaken */
    }
    ck_assert_uint_eq(scene.loop.timers.size, 0);
    ck_assert_int_eq(say(TLS_CLIENT, "ping"), 4);
    expect_heard(TLS_SERVER, "ping");
    ck_assert_int_eq(say(TLS_SERVER, "pong"), 4);
    expect_heard(TLS_CLIENT, "pong");
    scene_end();
}
END_TEST

/* What took time is told: the test's clock moves while the peer is silent. */
START_TEST(took)
{
    scene_begin(threads_of[_i]);
    side_open(TLS_CLIENT);
    for (int i = 0; i < 3; i++)
        turn();
    scene.now += 3 * NANOS_MS;
    side_open(TLS_SERVER);
    shake();
    ck_assert_int_eq(side_state(TLS_CLIENT).took, 3 * NANOS_MS);
    ck_assert_int_eq(side_state(TLS_SERVER).took, 0);
    scene_end();
}
END_TEST

/* Little room below: what a step wrote is sent when there is some. */
START_TEST(little_room)
{
    scene_begin(threads_of[_i]);
    for (int i = 0; i < 2; i++)
        scene.halves[i].room = 0;
    open_both();
    for (int turns = 0; !is_settled(TLS_CLIENT) || !is_settled(TLS_SERVER); turns++) {
        ck_assert_int_lt(turns, 60000);
        turn();
        for (int i = 0; i < 2; i++) {
            scene.halves[i].room = turns % 3 == 2 ? 7 : scene.halves[i].room;
            half_notice(&scene.halves[i]);
        }
    }
    ck_assert_int_eq(side_connected(TLS_CLIENT), 0);
    ck_assert_int_eq(side_connected(TLS_SERVER), 0);
    scene_end();
}
END_TEST

/* ---- BELOW ---- */

START_TEST(below_comes_up_late)
{
    scene_begin(threads_of[_i]);
    scene.halves[TLS_CLIENT].status = -EINPROGRESS;
    open_both();
    for (int i = 0; i < 5; i++)
        turn();
    scene.now += 10 * TIMEOUT; /* this is not the handshake's time */
    turn();
    ck_assert_int_eq(side_connected(TLS_CLIENT), -EINPROGRESS);
    ck_assert(!side_state(TLS_CLIENT).shaking);
    ck_assert_uint_eq(scene.sides[TLS_CLIENT].calls, 0);
    scene.halves[TLS_CLIENT].status = 0;
    half_notice(&scene.halves[TLS_CLIENT]);
    turn();
    ck_assert_uint_ge(scene.sides[TLS_CLIENT].calls, 1);
    side_close(TLS_SERVER); /* whose time is over */
    scene_end();
}
END_TEST

START_TEST(below_fails)
{
    scene_begin(threads_of[_i]);
    scene.halves[TLS_CLIENT].status = -EINPROGRESS;
    side_open(TLS_CLIENT);
    turn();
    scene.halves[TLS_CLIENT].status = -ECONNREFUSED;
    half_notice(&scene.halves[TLS_CLIENT]);
    turn();
    ck_assert_uint_eq(scene.sides[TLS_CLIENT].calls, 1);
    ck_assert_int_eq(side_connected(TLS_CLIENT), -ECONNREFUSED);
    struct tls_state state = side_state(TLS_CLIENT);
    ck_assert(!state.shaking && state.status == MESH_OK && state.report == NULL && state.took == 0);
    scene_end();
}
END_TEST

/* ---- SHAKING to BROKEN ---- */

START_TEST(silent_peer)
{
    enum tls_side side = _i / DESKS ? TLS_SERVER : TLS_CLIENT;
    scene_begin(threads_of[_i % DESKS]);
    side_open(side);
    for (int i = 0; i < 20; i++)
        turn();
    ck_assert(side_state(side).shaking);
    scene.now += TIMEOUT - 1;
    turn();
    ck_assert_int_eq(side_connected(side), -EINPROGRESS);
    scene.now += 1;
    turn();
    ck_assert_int_eq(side_connected(side), -ETIMEDOUT);
    ck_assert_int_eq(side_state(side).status, MESH_TLS_TIMEOUT);
    ck_assert_int_eq(side_state(side).took, TIMEOUT);
    ck_assert_uint_eq(scene.halves[side].events, 0);
    scene_end();
}
END_TEST

/* The timer while a step waits for its thread, which finds the stream closed or broken when it is back. */
START_TEST(timer_while_at_work)
{
    scene_begin(1);
    hold_thread();
    side_open(TLS_CLIENT);
    turn();
    turn();
    scene.now += TIMEOUT;
    turn();
    ck_assert_int_eq(side_state(TLS_CLIENT).status, MESH_TLS_TIMEOUT);
    ck_assert_ptr_null(side_state(TLS_CLIENT).report); /* the thread's, for now */
    if (_i == 0)
        side_close(TLS_CLIENT);
    uint32_t calls = scene.sides[TLS_CLIENT].calls;
    release_thread();
    for (int i = 0; i < 20; i++)
        turn();
    ck_assert_uint_eq(scene.sides[TLS_CLIENT].calls, calls);
    ck_assert_uint_eq(scene.halves[TLS_CLIENT].received, 0);
    scene_end();
}
END_TEST

/* How many bytes each side receives until its hands are shaken: in TLS 1.3 tickets follow. */
static void measure(size_t sizes[2])
{
    scene_begin(0);
    open_both();
    sizes[TLS_CLIENT] = sizes[TLS_SERVER] = 0;
    while (sizes[TLS_CLIENT] == 0 || sizes[TLS_SERVER] == 0) {
        turn();
        for (int i = 0; i < 2; i++)
            if (sizes[i] == 0 && is_settled((enum tls_side)i))
                sizes[i] = scene.halves[i].received;
    }
    scene_end();
}

/* The peer ends or resets the connection after so many bytes of its handshake. */
START_TEST(peer_goes)
{
    size_t sizes[2];
    measure(sizes);
    enum tls_side side = _i % 2 ? TLS_SERVER : TLS_CLIENT;
    bool resets = _i / 2 % 2 == 1;
    size_t cuts[] = { 0, 1, 5, sizes[side] / 3, sizes[side] / 2, sizes[side] * 9 / 10 };
    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        scene_begin(threads_of[i % DESKS]);
        open_both();
        scene.halves[1 - side].room = cuts[i];
        while (scene.halves[1 - side].room > 0)
            turn();
        if (resets)
            scene.halves[side].read_error = -ECONNRESET;
        half_end(&scene.halves[side]);
        for (int turns = 0; !is_settled(side); turns++) {
            ck_assert_msg(turns < 5000, "cut %zu: not told", i);
            turn();
        }
        struct tls_state state = side_state(side);
        ck_assert_msg(state.status == MESH_TLS_PROTOCOL, "cut %zu: %s", i, mesh_status_name(state.status));
        ck_assert_int_eq(side_connected(side), resets ? -ECONNRESET : -EPROTO);
        ck_assert_msg(state.words && state.words[0], "cut %zu", i);
        scene_end();
    }
}
END_TEST

/* A wrong peer: this side says why, that one is told by an alert, and what still comes is read away. */
START_TEST(wrong_peer)
{
    char bytes[100];
    scene_begin(threads_of[_i]);
    struct tls_identity *identity = certificates_identity(&scene.leaves[0], scene.stranger.certificate);
    mesh__tls_spec_unref(scene.specs[TLS_CLIENT]);
    scene.specs[TLS_CLIENT] = certificates_spec(identity, TLS_CLIENT, NULL);
    mesh__tls_identity_unref(identity);
    open_both();
    shake();
    ck_assert_int_eq(side_connected(TLS_CLIENT), -EPROTO);
    struct tls_state state = side_state(TLS_CLIENT);
    ck_assert_int_eq(state.status, MESH_TLS_UNKNOWN_AUTHORITY);
    ck_assert_ptr_nonnull(state.report);
    ck_assert_str_eq(state.words, state.report->words);
    ck_assert_int_eq(side_state(TLS_SERVER).status, MESH_TLS_REFUSED_BY_PEER);
    ck_assert_str_eq(side_state(TLS_SERVER).report->alert, "unknown_ca");
    half_bring(&scene.halves[TLS_CLIENT], "more", 4);
    mesh__stream_arm(scene.sides[TLS_CLIENT].stream, LOOP_READ | LOOP_WRITE);
    ck_assert_uint_eq(scene.halves[TLS_CLIENT].events, LOOP_READ);
    uint32_t calls = scene.sides[TLS_CLIENT].calls;
    turn();
    ck_assert_uint_gt(scene.sides[TLS_CLIENT].calls, calls);
    ck_assert_int_eq(hear(TLS_CLIENT, bytes, sizeof(bytes)), -EAGAIN);
    half_end(&scene.halves[TLS_CLIENT]);
    ck_assert_int_eq(hear(TLS_CLIENT, bytes, sizeof(bytes)), 0);
    scene_end();
}
END_TEST

/* A write that breaks is not the end: the peer's alert may be there to be read. */
START_TEST(alert_behind_a_broken_write)
{
    static const unsigned char alert[] = { 21, 3, 3, 0, 2, 2, 48 };
    scene_begin(threads_of[_i]);
    side_open(TLS_CLIENT);
    while (scene.halves[TLS_SERVER].received == 0)
        turn();
    scene.halves[TLS_CLIENT].write_error = -EPIPE; /* from its second flight on */
    side_open(TLS_SERVER);
    for (int i = 0; i < 200 && !is_settled(TLS_CLIENT) && (i < 20 || scene.halves[0].events != LOOP_READ); i++)
        turn();
    if (!speaks_13()) { /* there it has no more to write than that flight, and is over */
        ck_assert_int_eq(side_connected(TLS_CLIENT), -EINPROGRESS);
        ck_assert_uint_eq(scene.halves[TLS_CLIENT].events, LOOP_READ);
        half_bring(&scene.halves[TLS_CLIENT], alert, sizeof(alert));
    }
    for (int turns = 0; !is_settled(TLS_CLIENT); turns++) {
        ck_assert_int_lt(turns, 5000);
        turn();
    }
    struct tls_state state = side_state(TLS_CLIENT);
    ck_assert_int_eq(state.status, speaks_13() ? MESH_TLS_PROTOCOL : MESH_TLS_REFUSED_BY_PEER);
    if (!speaks_13())
        ck_assert_str_eq(state.report->alert, "unknown_ca");
    scene_end();
}
END_TEST

/* More bytes than any handshake has. */
START_TEST(endless_handshake)
{
    static char bytes[600 * 1024]; /* records of an unfinished handshake message */
    for (size_t at = 0; at + 16384 + 5 <= sizeof(bytes); at += 16384 + 5) {
        memcpy(bytes + at, "\x16\x03\x03\x40\x00", 5);
        memcpy(bytes + at + 5, "\x02\xff\xff\xf0", 4);
    }
    scene_begin(threads_of[_i]);
    side_open(TLS_CLIENT);
    half_bring(&scene.halves[TLS_CLIENT], bytes, sizeof(bytes));
    for (int turns = 0; !is_settled(TLS_CLIENT); turns++) {
        ck_assert_int_lt(turns, 5000);
        turn();
    }
    ck_assert_int_eq(side_state(TLS_CLIENT).status, MESH_TLS_PROTOCOL);
    scene_end();
}
END_TEST

/* ---- OPEN ---- */

START_TEST(readiness_passes)
{
    char bytes[100];
    scene_begin(threads_of[_i]);
    open_both();
    shake();
    for (int i = 0; i < 5; i++)
        turn(); /* tickets come */
    struct stream *client = scene.sides[TLS_CLIENT].stream;
    ck_assert(client->ops->is_quiet(client)); /* which are no data */
    ck_assert_int_eq(hear(TLS_CLIENT, bytes, sizeof(bytes)), -EAGAIN);
    mesh__stream_arm(client, LOOP_READ);
    ck_assert_uint_eq(scene.halves[TLS_CLIENT].events, LOOP_READ);
    uint32_t calls = scene.sides[TLS_CLIENT].calls;
    turn();
    ck_assert_uint_eq(scene.sides[TLS_CLIENT].calls, calls);
    ck_assert_int_eq(say(TLS_SERVER, "hello"), 5);
    ck_assert(!client->ops->is_quiet(client) || client->ops->has_buffered_input(client));
    turn();
    ck_assert_uint_eq(scene.sides[TLS_CLIENT].events & LOOP_READ, LOOP_READ);
    scene.sides[TLS_SERVER].stream->ops->finish(scene.sides[TLS_SERVER].stream);
    turn();
    ck_assert_uint_eq(scene.sides[TLS_CLIENT].events, LOOP_READ | LOOP_END);
    ck_assert(scene.halves[TLS_SERVER].finished);
    scene_end();
}
END_TEST

/* An end is close_notify; one without it is a reset, also where the stream below ends in order. */
START_TEST(ends)
{
    char bytes[100];
    scene_begin(threads_of[_i % DESKS]);
    open_both();
    shake();
    expect_heard(TLS_SERVER, "");
    ck_assert_int_eq(say(TLS_CLIENT, "last"), 4);
    if (_i / DESKS == 1)
        half_end(&scene.halves[TLS_SERVER]);
    if (_i / DESKS == 2)
        mesh__tls_stream_silence(scene.sides[TLS_CLIENT].stream);
    if (_i / DESKS != 1)
        side_close(TLS_CLIENT);
    ck_assert_int_eq(hear(TLS_SERVER, bytes, sizeof(bytes)), 4);
    ck_assert_int_eq(hear(TLS_SERVER, bytes, sizeof(bytes)), _i / DESKS ? -ECONNRESET : 0);
    scene_end();
}
END_TEST

/* ---- close ---- */

enum moment { NOT_UP, POSTED, WAITS_TO_READ, WAITS_TO_WRITE, IS_OPEN, IS_BROKEN, MOMENTS };

static void reach(enum moment moment, enum tls_side side)
{
    struct half *half = &scene.halves[side];
    half->status = moment == NOT_UP ? -EINPROGRESS : 0;
    half->room = moment == WAITS_TO_WRITE ? 1 : SIZE_MAX;
    if (moment == POSTED && scene.threads)
        hold_thread();
    side_open(side);
    if (moment == POSTED) {
        if (side == TLS_SERVER)
            half_bring(half, "\x16\x03\x01", 3);
        turn();
        turn();
        return;
    }
    if (moment == IS_OPEN || moment == WAITS_TO_WRITE || moment == IS_BROKEN)
        side_open(side == TLS_CLIENT ? TLS_SERVER : TLS_CLIENT);
    if (moment == IS_BROKEN)
        scene.halves[side].read_error = -ECONNRESET;
    if (moment == IS_BROKEN)
        half_end(half);
    for (int i = 0; i < 30; i++)
        turn();
    if (moment == IS_OPEN)
        shake();
}

START_TEST(closed_at_any_moment)
{
    enum moment moment = (enum moment)(_i % MOMENTS);
    enum tls_side side = _i / MOMENTS % 2 ? TLS_SERVER : TLS_CLIENT;
    scene_begin(_i / MOMENTS / 2 ? 1 : 0);
    reach(moment, side);
    uint32_t calls = scene.sides[side].calls;
    side_close(side);
    ck_assert_uint_eq(scene.halves[side].closed, 1);
    if (scene.gated)
        release_thread();
    for (int i = 0; i < 10; i++)
        turn();
    ck_assert_uint_eq(scene.sides[side].calls, calls);
    scene_end();
}
END_TEST

/* Inside its n-th `ready`: the stream below is up, hands are shaken or refused. */
START_TEST(closed_from_inside)
{
    int wanted = _i % 2;
    bool refused = _i / 2 % 2 == 1;
    scene_begin(_i / 4 ? 1 : 0);
    open_both();
    while (scene.sides[TLS_CLIENT].calls < (uint32_t)wanted)
        turn();
    if (refused) {
        scene.halves[TLS_CLIENT].read_error = -ECONNRESET;
        half_end(&scene.halves[TLS_CLIENT]);
    }
    scene.sides[TLS_CLIENT].close_inside = true;
    for (int turns = 0; scene.sides[TLS_CLIENT].stream; turns++) {
        ck_assert_int_lt(turns, 5000);
        turn();
    }
    uint32_t calls = scene.sides[TLS_CLIENT].calls;
    for (int i = 0; i < 10; i++)
        turn();
    ck_assert_uint_eq(scene.sides[TLS_CLIENT].calls, calls);
    scene_end();
}
END_TEST

/* ---- no thread, no memory ---- */

START_TEST(nobody_to_work)
{
    scene_begin(1);
    mesh__handshaker_stop(scene.threads);
    side_open(TLS_CLIENT);
    for (int i = 0; i < 3; i++)
        turn();
    ck_assert_int_eq(side_connected(TLS_CLIENT), -ENOMEM);
    ck_assert_int_eq(side_state(TLS_CLIENT).status, MESH_NO_MEMORY);
    scene_end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tls stream");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 30);
    tcase_add_loop_test(tcase, shakes, 0, 4 * DESKS);
    tcase_add_loop_test(tcase, took, 0, DESKS);
    tcase_add_loop_test(tcase, little_room, 0, DESKS);
    tcase_add_loop_test(tcase, below_comes_up_late, 0, DESKS);
    tcase_add_loop_test(tcase, below_fails, 0, DESKS);
    tcase_add_loop_test(tcase, silent_peer, 0, 2 * DESKS);
    tcase_add_loop_test(tcase, timer_while_at_work, 0, 2);
    tcase_add_loop_test(tcase, peer_goes, 0, 4);
    tcase_add_loop_test(tcase, wrong_peer, 0, DESKS);
    tcase_add_loop_test(tcase, alert_behind_a_broken_write, 0, DESKS);
    tcase_add_loop_test(tcase, endless_handshake, 0, DESKS);
    tcase_add_loop_test(tcase, readiness_passes, 0, DESKS);
    tcase_add_loop_test(tcase, ends, 0, 3 * DESKS);
    tcase_add_loop_test(tcase, closed_at_any_moment, 0, 4 * MOMENTS);
    tcase_add_loop_test(tcase, closed_from_inside, 0, 8);
    tcase_add_test(tcase, nobody_to_work);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
