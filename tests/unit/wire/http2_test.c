/* SPDX-License-Identifier: Apache-2.0 */
/* http2_test.c - our own client and server talk to each other in memory, in pieces of any size. */
#include "http2_pair.h"

#include <check.h>

static struct peer client, server;
static size_t piece; /* the size of the pieces that bytes come in */

static const size_t pieces[] = { 1, 2, 7, 100, SIZE_MAX };
#define PIECES ((int)(sizeof pieces / sizeof *pieces))

static void open_pair(int row)
{
    piece = pieces[row];
    peer_open(&client, HTTP2_CLIENT);
    peer_open(&server, HTTP2_SERVER);
}

static void close_pair(void)
{
    peer_close(&client);
    peer_close(&server);
}

static void expect(struct peer *peer, const char *text)
{
    ck_assert_str_eq(peer_told(peer), text);
}

static void settle(void)
{
    pair_run(&client, &server, piece);
    expect(&client, "settings 100\n");
    expect(&server, "settings 4294967295\n");
}

START_TEST(get)
{
    open_pair(_i);
    settle();
    ck_assert_ptr_nonnull(peer_request(&client, "GET", "/x?y=1", NULL));
    pair_run(&client, &server, piece);
    expect(&server, "1 head GET /x?y=1@a.test len=0\n1 end\n");
    ck_assert(peer_answer(server.last, 200, "hello"));
    pair_run(&client, &server, piece);
    const char *told = peer_told(&client);
    struct buf bodies;
    mesh__buf_init(&bodies, &mesh__mem_system, 4096);
    /* The body comes in as many pieces as the bytes did. */
    for (const char *at = strchr(told, '{'); at != NULL; at = strchr(at + 1, '{'))
        mesh__buf_append(&bodies, at + 1, (size_t)(strchr(at, '}') - at - 1));
    ck_assert_str_eq(mesh__buf_text(&bodies), "hello");
    ck_assert_ptr_nonnull(strstr(told, "1 head 200 len=5 [content-length: 5]\n"));
    ck_assert_ptr_nonnull(strstr(told, "1 end\n1 closed OK NO_ERROR\n"));
    expect(&server, "1 closed OK NO_ERROR\n");
    ck_assert_uint_eq(mesh__http2_open_streams(client.conn), 0);
    mesh__buf_fini(&bodies);
    close_pair();
}
END_TEST

START_TEST(post_with_fields)
{
    open_pair(_i);
    settle();
    const mesh_header own[] = { { "X-One", 5, "1", 1 }, { "te", 2, "trailers", 8 } }, more[] = { { "x-2", 3, "", 0 } };
    const struct http1_field_group groups[] = { { own, 2 }, { more, 1 } };
    struct http2_request request = { VIEW_LITERAL("POST"), VIEW_LITERAL("/"), VIEW_LITERAL("a.test"), groups, 2,
                                     body_of("ping"),      peer_limits };
    struct http2_stream *stream;
    ck_assert_int_eq(mesh__http2_request(client.conn, &request, &client, &stream), MESH_OK);
    ck_assert(!mesh__http2_stream_sent(stream));
    peer_write(&client);
    ck_assert(mesh__http2_stream_sent(stream) && mesh__http2_stream_finished(stream));
    peer_pass(&client, &server, SIZE_MAX);
    expect(&server,
           "1 head POST /@a.test len=4 [x-one: 1] [te: trailers] [x-2: ] [content-length: 4]\n1 {ping}\n1 end\n");
    struct http2_response response = { .status = 204, .groups = groups + 1, .group_count = 1, .date = "today" };
    ck_assert(mesh__http2_respond(server.last, &response));
    pair_run(&client, &server, piece);
    expect(&client, "1 head 204 len=0 [date: today] [x-2: ]\n1 end\n1 closed OK NO_ERROR\n");
    close_pair();
}
END_TEST

/* A source that gives one piece each time it was told to. */
struct source {
    const char *ready; /* NULL: nothing yet */
    bool last, broken;
    const mesh_header *trailers;
    int asked;
};

static enum body_next next(void *user, size_t most, struct view *bytes, struct http1_field_group *trailers)
{
    struct source *source = user;
    source->asked++;
    if (source->broken)
        return BODY_BROKEN;
    if (source->ready == NULL && !source->last)
        return BODY_LATER;
    *bytes = mesh__view_of(source->ready);
    ck_assert_uint_ge(most, bytes->size);
    source->ready = NULL;
    if (!source->last)
        return BODY_MORE;
    *trailers = (struct http1_field_group){ source->trailers, source->trailers != NULL };
    return BODY_LAST;
}

START_TEST(streams_both_ways)
{
    static const mesh_header trailer = { "grpc-status", 11, "0", 1 };
    open_pair(4);
    settle();
    struct source up = { .ready = "one" }, down = { .ready = NULL };
    struct body_source body = { .next = next, .next_user = &up, .size = -1 };
    struct http2_stream *stream = peer_request(&client, "POST", "/s", &body);
    pair_run(&client, &server, piece);
    expect(&server, "1 head POST /s@a.test len=-1\n1 {one}\n");
    struct http2_response response = { .status = 200, .no_size = true };
    response.body = (struct body_source){ .next = next, .next_user = &down, .size = -1 };
    ck_assert(mesh__http2_respond(server.last, &response));
    pair_run(&client, &server, piece);
    expect(&client, "1 head 200 len=-1\n");
    int asked = up.asked;
    pair_run(&client, &server, piece);
    ck_assert_int_eq(up.asked, asked); /* not asked again before it is resumed */
    up.ready = "two";
    mesh__http2_resume(stream);
    down.ready = "eins";
    mesh__http2_resume(server.last);
    pair_run(&client, &server, piece);
    expect(&server, "1 {two}\n");
    expect(&client, "1 {eins}\n");
    up.last = true;
    up.trailers = &trailer;
    mesh__http2_resume(stream);
    pair_run(&client, &server, piece);
    expect(&server, "1 trailers [grpc-status: 0]\n1 end\n");
    down = (struct source){ .ready = "zwei", .last = true, .trailers = &trailer };
    mesh__http2_resume(server.last);
    pair_run(&client, &server, piece);
    expect(&client, "1 {zwei}\n1 trailers [grpc-status: 0]\n1 end\n1 closed OK NO_ERROR\n");
    expect(&server, "1 closed OK NO_ERROR\n");
    close_pair();
}
END_TEST

START_TEST(source_without_bytes)
{
    open_pair(4);
    settle();
    struct source up = { .last = true };
    struct body_source body = { .next = next, .next_user = &up, .size = 0 };
    ck_assert_ptr_nonnull(peer_request(&client, "POST", "/s", &body));
    pair_run(&client, &server, piece);
    expect(&server, "1 head POST /s@a.test len=0 [content-length: 0]\n1 end\n");
    close_pair();
}
END_TEST

START_TEST(source_broken)
{
    open_pair(4);
    settle();
    struct source up = { .ready = "one" };
    struct body_source body = { .next = next, .next_user = &up, .size = -1 };
    struct http2_stream *stream = peer_request(&client, "POST", "/s", &body);
    pair_run(&client, &server, piece);
    peer_told(&server);
    up.broken = true;
    mesh__http2_resume(stream);
    pair_run(&client, &server, piece);
    expect(&client, "1 closed EINTERNAL INTERNAL_ERROR\n");
    expect(&server, "1 closed RESET INTERNAL_ERROR by-peer\n");
    close_pair();
}
END_TEST

/* The server answers before the request has come whole: the response counts, the rest is not sent. */
START_TEST(early_answer)
{
    open_pair(4);
    settle();
    struct source up = { .ready = "one" };
    struct body_source body = { .next = next, .next_user = &up, .size = -1 };
    ck_assert_ptr_nonnull(peer_request(&client, "POST", "/s", &body));
    pair_run(&client, &server, piece);
    peer_told(&server);
    ck_assert(peer_answer(server.last, 413, "no"));
    pair_run(&client, &server, piece);
    ck_assert_ptr_nonnull(strstr(peer_told(&client), "1 {no}\n1 end\n1 closed OK "));
    expect(&server, "1 closed OK NO_ERROR\n");
    close_pair();
}
END_TEST

static bool answer_at_once(struct peer *peer, struct http2_stream *stream, const struct http1_head *head)
{
    (void)peer;
    (void)head;
    ck_assert(mesh__http2_continue(stream));
    return peer_answer(stream, 200, "ok");
}

START_TEST(many_at_once)
{
    enum { STREAMS = 100 };
    open_pair(_i);
    settle();
    server.on_head = answer_at_once;
    client.quiet = server.quiet = true;
    ck_assert_uint_eq(mesh__http2_room(client.conn), STREAMS);
    for (int i = 0; i < STREAMS; i++)
        ck_assert_ptr_nonnull(peer_request(&client, "GET", "/", NULL));
    ck_assert_uint_eq(mesh__http2_room(client.conn), 0);
    struct http2_request request = { .method = VIEW_LITERAL("GET") };
    struct http2_stream *stream;
    ck_assert_int_eq(mesh__http2_request(client.conn, &request, NULL, &stream), MESH_OVERLOADED);
    pair_run(&client, &server, piece);
    ck_assert_uint_eq(client.closed, STREAMS);
    ck_assert_uint_eq(server.closed, STREAMS);
    ck_assert_uint_eq(client.received, 2 * STREAMS);
    ck_assert_uint_eq(mesh__http2_room(client.conn), STREAMS);
    close_pair();
}
END_TEST

START_TEST(answer_to_head)
{
    open_pair(4);
    settle();
    ck_assert_ptr_nonnull(peer_request(&client, "HEAD", "/", NULL));
    pair_run(&client, &server, piece);
    struct http2_response response = { .status = 200, .body = body_of("hello"), .no_body = true };
    ck_assert(mesh__http2_respond(server.last, &response));
    pair_run(&client, &server, piece);
    expect(&client, "1 head 200 len=0 [content-length: 5]\n1 end\n1 closed OK NO_ERROR\n");
    close_pair();
}
END_TEST

/* The output can be taken in parts: a frame at a time beyond the mark, and every byte comes. */
START_TEST(output_in_parts)
{
    enum { SIZE = 300000 };
    open_pair(4);
    settle();
    char *bytes = malloc(SIZE);
    ck_assert_ptr_nonnull(bytes);
    memset(bytes, 'b', SIZE);
    server.quiet = true;
    struct body_source body = { .bytes = mesh__view(bytes, SIZE) };
    ck_assert_ptr_nonnull(peer_request(&client, "PUT", "/", &body));
    for (int turn = 0; turn < 1000 && server.received < SIZE; turn++) {
        mesh__http2_write(client.conn, &client.out, 20000);
        ck_assert_uint_le(client.out.size, 20000 + 16384 + 9);
        peer_pass(&client, &server, piece);
        peer_write(&server);
        peer_pass(&server, &client, piece);
    }
    ck_assert_uint_eq(server.received, SIZE);
    ck_assert_uint_eq(server.ended, 1);
    free(bytes);
    close_pair();
}
END_TEST

START_TEST(ping)
{
    open_pair(_i);
    settle();
    ck_assert(mesh__http2_ping(client.conn) && !mesh__http2_ping(client.conn));
    ck_assert(mesh__http2_ping_waiting(client.conn));
    pair_run(&client, &server, piece);
    expect(&client, "pong\n");
    ck_assert(!mesh__http2_ping_waiting(client.conn) && mesh__http2_ping(client.conn));
    close_pair();
}
END_TEST

/* A server that drains lets what is under way end, and takes what was sent before the client knew. */
START_TEST(drain_of_a_server)
{
    open_pair(_i);
    settle();
    ck_assert_ptr_nonnull(peer_request(&client, "GET", "/1", NULL));
    pair_run(&client, &server, piece);
    struct http2_stream *first = server.last;
    mesh__http2_drain(server.conn);
    ck_assert_ptr_nonnull(peer_request(&client, "GET", "/2", NULL));
    peer_write(&client);
    pair_run(&server, &client, piece);
    ck_assert_ptr_nonnull(strstr(peer_told(&server), "3 head GET /2@a.test"));
    expect(&client, "goaway 2147483647 NO_ERROR \ngoaway 3 NO_ERROR \n");
    ck_assert(mesh__http2_draining(client.conn) && mesh__http2_room(client.conn) == 0);
    struct http2_request request = { .method = VIEW_LITERAL("GET") };
    struct http2_stream *stream;
    ck_assert_int_eq(mesh__http2_request(client.conn, &request, NULL, &stream), MESH_ECLOSED);
    ck_assert(!mesh__http2_done(server.conn));
    ck_assert(peer_answer(first, 200, "") && peer_answer(server.last, 200, ""));
    pair_run(&client, &server, piece);
    ck_assert_uint_eq(client.closed, 2);
    ck_assert_int_eq(client.last_closed.status, MESH_OK);
    ck_assert(mesh__http2_done(server.conn) && mesh__http2_done(client.conn));
    close_pair();
}
END_TEST

START_TEST(drain_of_a_client)
{
    open_pair(4);
    settle();
    ck_assert_ptr_nonnull(peer_request(&client, "GET", "/1", NULL));
    mesh__http2_drain(client.conn);
    pair_run(&client, &server, piece);
    expect(&server, "1 head GET /1@a.test len=0\n1 end\n");
    ck_assert(peer_answer(server.last, 200, ""));
    pair_run(&client, &server, piece);
    expect(&server, "1 closed OK NO_ERROR\ngoaway 0 NO_ERROR \n");
    ck_assert_ptr_nonnull(strstr(peer_told(&client), "1 closed OK"));
    ck_assert(mesh__http2_done(client.conn));
    close_pair();
}
END_TEST

START_TEST(lost)
{
    open_pair(4);
    settle();
    ck_assert_ptr_nonnull(peer_request(&client, "GET", "/1", NULL));
    pair_run(&client, &server, piece);
    struct http2_response response = { .status = 200 };
    struct source down = { .ready = "part" };
    response.body = (struct body_source){ .next = next, .next_user = &down, .size = 10 };
    ck_assert(mesh__http2_respond(server.last, &response));
    pair_run(&client, &server, piece);
    ck_assert_ptr_nonnull(peer_request(&client, "GET", "/2", NULL));
    peer_write(&client);
    ck_assert_ptr_nonnull(peer_request(&client, "GET", "/3", NULL));
    peer_told(&client);
    mesh__http2_lost(client.conn, MESH_RESET, "the peer closed");
    expect(&client, "1 closed PARTIAL_RESPONSE INTERNAL_ERROR\n3 closed RESET INTERNAL_ERROR\n"
                    "5 closed RESET INTERNAL_ERROR unprocessed\n");
    ck_assert_int_eq(mesh__http2_read(client.conn, "x", 1), MESH_RESET);
    ck_assert_str_eq(mesh__http2_reason(client.conn), "the peer closed");
    close_pair();
}
END_TEST

/* Whatever event a stream is reset from, it is gone at once. */
static int reset_at;

static bool reset_on_head(struct peer *peer, struct http2_stream *stream, const struct http1_head *head)
{
    (void)head;
    if (reset_at == 0) {
        mesh__http2_reset(stream, HTTP2_CANCEL);
        peer->last = NULL;
    }
    return true;
}

static void reset_on_end(struct peer *peer, struct http2_stream *stream)
{
    if (reset_at == 1) {
        mesh__http2_reset(stream, HTTP2_CANCEL);
        peer->last = NULL;
    }
}

START_TEST(reset_from_an_event)
{
    open_pair(4);
    settle();
    reset_at = _i;
    client.on_head = reset_on_head;
    client.on_end = reset_on_end;
    ck_assert_ptr_nonnull(peer_request(&client, "GET", "/1", NULL));
    pair_run(&client, &server, piece);
    ck_assert(peer_answer(server.last, 200, "hello"));
    pair_run(&client, &server, piece);
    expect(&client, _i == 0 ? "1 head 200 len=5 [content-length: 5]\n"
                            : "1 head 200 len=5 [content-length: 5]\n1 {hello}\n1 end\n");
    ck_assert_uint_eq(client.closed, 0);
    ck_assert_uint_eq(mesh__http2_open_streams(client.conn), 0);
    close_pair();
}
END_TEST

START_TEST(reset_before_it_was_sent)
{
    open_pair(4);
    settle();
    struct http2_stream *stream = peer_request(&client, "GET", "/1", NULL);
    ck_assert_ptr_nonnull(peer_request(&client, "GET", "/2", NULL));
    mesh__http2_reset(stream, HTTP2_CANCEL);
    pair_run(&client, &server, piece);
    expect(&server, "3 head GET /2@a.test len=0\n3 end\n");
    ck_assert_uint_eq(mesh__http2_open_streams(client.conn), 1);
    close_pair();
}
END_TEST

/* An event that finds no memory ends its stream, and no other. */
START_TEST(event_without_memory)
{
    open_pair(4);
    settle();
    server.refuse_body = 1;
    const struct body_source body = body_of("x");
    ck_assert_ptr_nonnull(peer_request(&client, "POST", "/1", &body));
    ck_assert_ptr_nonnull(peer_request(&client, "GET", "/2", NULL));
    pair_run(&client, &server, piece);
    ck_assert_ptr_nonnull(strstr(peer_told(&server), "1 closed NO_MEMORY INTERNAL_ERROR\n"));
    expect(&client, "1 closed RESET INTERNAL_ERROR by-peer\n");
    ck_assert(peer_answer(server.last, 200, ""));
    pair_run(&client, &server, piece);
    ck_assert_ptr_nonnull(strstr(peer_told(&client), "3 closed OK"));
    close_pair();
}
END_TEST

START_TEST(header_to_send_too_large)
{
    open_pair(4);
    settle();
    static char value[80000];
    memset(value, 'v', sizeof value);
    const mesh_header header = { "x", 1, value, sizeof value };
    const struct http1_field_group group = { &header, 1 };
    struct http2_request request = { VIEW_LITERAL("GET"), VIEW_LITERAL("/"), VIEW_LITERAL("a"), &group, 1,
                                     { .size = 0 },       peer_limits };
    struct http2_stream *stream;
    ck_assert_int_eq(mesh__http2_request(client.conn, &request, NULL, &stream), MESH_OK);
    pair_run(&client, &server, piece);
    expect(&client, "1 closed EINVAL REFUSED_STREAM\n");
    close_pair();
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("http2");
    TCase *tcase = tcase_create("pair");
    tcase_add_loop_test(tcase, get, 0, PIECES);
    tcase_add_loop_test(tcase, post_with_fields, 0, PIECES);
    tcase_add_test(tcase, streams_both_ways);
    tcase_add_test(tcase, source_without_bytes);
    tcase_add_test(tcase, source_broken);
    tcase_add_test(tcase, early_answer);
    tcase_add_loop_test(tcase, many_at_once, 0, PIECES);
    tcase_add_test(tcase, answer_to_head);
    tcase_add_test(tcase, output_in_parts);
    tcase_add_loop_test(tcase, ping, 0, PIECES);
    tcase_add_loop_test(tcase, drain_of_a_server, 0, PIECES);
    tcase_add_test(tcase, drain_of_a_client);
    tcase_add_test(tcase, lost);
    tcase_add_loop_test(tcase, reset_from_an_event, 0, 2);
    tcase_add_test(tcase, reset_before_it_was_sent);
    tcase_add_test(tcase, event_without_memory);
    tcase_add_test(tcase, header_to_send_too_large);
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
