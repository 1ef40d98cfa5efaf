/* SPDX-License-Identifier: Apache-2.0 */
/* http2_window_test.c - flow control: what a peer is allowed to send, and how it grows. */
#include "http2_pair.h"

#include <check.h>

static struct peer client, server;
static char *bytes;
#define BODY_SIZE ((size_t)24 << 20)

static void open_pair_with(uint64_t max_body, bool apart)
{
    struct http2_config config = { .role = HTTP2_CLIENT, .limits = { 4096, 16, max_body }, .apart = apart };
    ck_assert(peer_open_with(&client, &mesh__mem_system, &config));
    peer_open(&server, HTTP2_SERVER);
    client.quiet = server.quiet = true;
    bytes = malloc(BODY_SIZE);
    ck_assert_ptr_nonnull(bytes);
    for (size_t i = 0; i < BODY_SIZE; i++)
        bytes[i] = (char)(i * 7 >> 3);
    pair_run(&client, &server, SIZE_MAX);
}

static void open_pair(uint64_t max_body)
{
    open_pair_with(max_body, false);
}

static void close_pair(void)
{
    peer_close(&client);
    peer_close(&server);
    free(bytes);
}

static struct http2_stream *get(uint64_t max_body)
{
    struct http2_request request = { .method = VIEW_LITERAL("GET"),
                                     .path = VIEW_LITERAL("/"),
                                     .authority = VIEW_LITERAL("a"),
                                     .limits = { 4096, 16, max_body } };
    struct http2_stream *stream;
    ck_assert_int_eq(mesh__http2_request(client.conn, &request, &client, &stream), MESH_OK);
    return stream;
}

static void answer(size_t size)
{
    struct http2_response response = { .status = 200, .body = { .bytes = mesh__view(bytes, size) }, .no_size = true };
    ck_assert(mesh__http2_respond(server.last, &response));
}

/* Bytes of one flight, while nobody consumes. */
static size_t flight(void)
{
    uint64_t before = client.received;
    pair_run(&client, &server, SIZE_MAX);
    return (size_t)(client.received - before);
}

/* What is not consumed is not granted again: a stream stalls at its window. */
START_TEST(stalls)
{
    open_pair(BODY_SIZE);
    client.hold = true;
    struct http2_stream *stream = get(BODY_SIZE);
    pair_run(&client, &server, SIZE_MAX);
    answer(BODY_SIZE);
    ck_assert_uint_eq(flight(), HTTP2_WINDOW_FIRST);
    ck_assert_uint_eq(flight(), 0);
    mesh__http2_consume(stream, 1000); /* less than half a window is not worth a frame */
    ck_assert_uint_eq(flight(), 0);
    mesh__http2_consume(stream, 40000);
    ck_assert_uint_eq(flight(), 41000);
    close_pair();
}
END_TEST

#define STREAMS 8

/* Streams that nobody consumes share the connection's window, which ends with the fourth; kept apart each has its own,
 * and what they held is not granted twice when they go. */
START_TEST(unread_streams)
{
    struct http2_stream *streams[STREAMS];
    open_pair_with(BODY_SIZE, _i == 1);
    client.hold = true;
    size_t sum = 0;
    for (size_t i = 0; i < STREAMS; i++) {
        streams[i] = get(BODY_SIZE);
        pair_run(&client, &server, SIZE_MAX);
        answer(BODY_SIZE);
        sum += flight();
    }
    ck_assert_uint_eq(sum, (size_t)(_i == 1 ? STREAMS : 4) * HTTP2_WINDOW_FIRST);
    for (size_t i = 0; i < STREAMS; i++)
        mesh__http2_reset(streams[i], HTTP2_CANCEL);
    pair_run(&client, &server, SIZE_MAX);
    (void)get(BODY_SIZE);
    pair_run(&client, &server, SIZE_MAX);
    answer(BODY_SIZE);
    ck_assert_uint_eq(flight(), HTTP2_WINDOW_FIRST);
    ck_assert_int_eq(mesh__http2_read(server.conn, "", 0), MESH_OK);
    close_pair();
}
END_TEST

/* A window doubles with each windowful consumed, up to its cap. */
START_TEST(grows)
{
    open_pair(BODY_SIZE);
    client.hold = true;
    struct http2_stream *stream = get(BODY_SIZE);
    pair_run(&client, &server, SIZE_MAX);
    answer(BODY_SIZE);
    size_t window = HTTP2_WINDOW_FIRST, total = 0;
    for (int round = 0; round < 12; round++) {
        size_t size = flight();
        ck_assert_msg(size == window, "round %d: %zu, not %zu", round, size, window);
        mesh__http2_consume(stream, size);
        total += size;
        window = window * 2 < HTTP2_WINDOW_MAX ? window * 2 : HTTP2_WINDOW_MAX;
    }
    ck_assert_uint_gt(total, (size_t)6 << 20);
    client.hold = false;
    while (client.ended == 0 && flight() > 0)
        ;
    ck_assert_uint_eq(client.received, BODY_SIZE);
    close_pair();
}
END_TEST

/* Streams that nobody consumes hold up their share, and one that is consumed goes on beside three of them. */
START_TEST(stalled_beside)
{
    open_pair(BODY_SIZE);
    client.hold = true;
    struct http2_stream *streams[4];
    for (int i = 0; i < 4; i++) {
        streams[i] = get(BODY_SIZE);
        pair_run(&client, &server, SIZE_MAX);
        answer(BODY_SIZE);
    }
    (void)flight();
    ck_assert_uint_eq(client.received, 4 * HTTP2_WINDOW_FIRST);
    for (int round = 0; round < 10; round++) {
        mesh__http2_consume(streams[3], SIZE_MAX);
        ck_assert_uint_ge(flight(), HTTP2_WINDOW_FIRST);
    }
    /* Given up, they give back what they held. */
    for (int i = 0; i < 3; i++)
        mesh__http2_reset(streams[i], HTTP2_CANCEL);
    client.hold = false;
    mesh__http2_consume(streams[3], SIZE_MAX);
    while (client.ended == 0 && flight() > 0)
        ;
    ck_assert_uint_eq(client.ended, 1);
    close_pair();
}
END_TEST

/* Of a body that may not be long, no more than a byte beyond it is granted, in the end all of it. */
START_TEST(grants_no_more_than_the_limit)
{
    enum { LIMIT = 200000 };
    open_pair(LIMIT);
    (void)get(LIMIT);
    pair_run(&client, &server, SIZE_MAX);
    answer(BODY_SIZE);
    pair_run(&client, &server, SIZE_MAX);
    ck_assert_uint_le(client.received, LIMIT);
    ck_assert_uint_gt(client.received, LIMIT - 16384);
    ck_assert_int_eq(client.last_closed.status, MESH_BODY_TOO_LARGE);
    (void)get(LIMIT);
    pair_run(&client, &server, SIZE_MAX);
    answer(LIMIT);
    pair_run(&client, &server, SIZE_MAX);
    ck_assert_int_eq(client.last_closed.status, MESH_OK);
    close_pair();
}
END_TEST

/* A body whose length is known and fits the window costs no WINDOW_UPDATE of its stream. */
START_TEST(known_length_needs_no_grant)
{
    open_pair(BODY_SIZE);
    (void)get(BODY_SIZE);
    pair_run(&client, &server, SIZE_MAX);
    struct http2_response response = { .status = 200, .body = { .bytes = mesh__view(bytes, 60000) } };
    ck_assert(mesh__http2_respond(server.last, &response));
    peer_write(&server);
    peer_pass(&server, &client, 20000);
    peer_write(&client);
    ck_assert_uint_eq(client.out.size, 0);
    ck_assert_int_eq(client.last_closed.status, MESH_OK);
    close_pair();
}
END_TEST

/* Many megabytes over many streams, cancelled at any point: the connection's window is never used up. */
START_TEST(returns_what_was_cancelled)
{
    open_pair(BODY_SIZE);
    client.hold = true;
    for (int i = 0; i < 200; i++) {
        struct http2_stream *stream = get(BODY_SIZE);
        pair_run(&client, &server, SIZE_MAX);
        answer(BODY_SIZE);
        size_t size = flight();
        ck_assert_uint_eq(size, HTTP2_WINDOW_FIRST);
        if (i % 2 == 0)
            mesh__http2_consume(stream, size / 3);
        mesh__http2_reset(stream, HTTP2_CANCEL);
        pair_run(&client, &server, SIZE_MAX);
        if (i % 2 == 1) { /* else the server would think that it is attacked */
            (void)get(BODY_SIZE);
            pair_run(&client, &server, SIZE_MAX);
            answer(0);
            pair_run(&client, &server, SIZE_MAX);
        }
    }
    close_pair();
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("http2_window");
    TCase *tcase = tcase_create("window");
    tcase_add_test(tcase, stalls);
    tcase_add_loop_test(tcase, unread_streams, 0, 2);
    tcase_add_test(tcase, grows);
    tcase_add_test(tcase, stalled_beside);
    tcase_add_test(tcase, grants_no_more_than_the_limit);
    tcase_add_test(tcase, known_length_needs_no_grant);
    tcase_add_test(tcase, returns_what_was_cancelled);
    suite_add_tcase(s, tcase);
    return s;
}

int main(void)
{
    SRunner *runner = srunner_create(suite());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
