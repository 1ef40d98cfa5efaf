/* SPDX-License-Identifier: Apache-2.0 */
/* http2_server_test.c - what a server's connection makes of clients that lie, reset and flood: frames made by hand. */
#include "http2_pair.h"

#include <check.h>
#include <stdio.h>

static struct peer server;
static struct buf script;

static mesh_status feed(void)
{
    peer_read(&server, script.data, script.size, SIZE_MAX);
    mesh__buf_clear(&script);
    mesh__buf_clear(&server.out);
    return peer_write(&server);
}

static void open_server_unacknowledged(void)
{
    peer_open(&server, HTTP2_SERVER);
    mesh__buf_init(&script, &mesh__mem_system, 1 << 24);
    mesh__buf_append_text(&script, PREFACE);
    frame(&script, SETTINGS, 0, 0, NULL, 0);
    ck_assert_int_eq(feed(), MESH_OK);
    peer_told(&server);
}

static void open_server(void)
{
    open_server_unacknowledged();
    frame(&script, SETTINGS, ACK, 0, NULL, 0);
    ck_assert_int_eq(feed(), MESH_OK);
    peer_told(&server);
}

static void close_server(void)
{
    peer_close(&server);
    mesh__buf_fini(&script);
}

static void expect(const char *text)
{
    ck_assert_str_eq(peer_told(&server), text);
}

#define GET ":method=GET\n:scheme=http\n:path=/\n:authority=a\n"

/* The code of the first RST_STREAM or GOAWAY that was written; -1 when there is none. */
static int written(int type)
{
    const unsigned char *at = (const unsigned char *)server.out.data, *end = at + server.out.size;
    while (end - at >= 9) {
        size_t size = (size_t)at[0] << 16 | (size_t)at[1] << 8 | at[2];
        if (at[3] == type)
            return at[9 + (type == GOAWAY ? 7 : 3)];
        at += 9 + size;
    }
    return -1;
}

/* Row 80: malformed requests; and what HTTP/1.1 would refuse is refused here. */
static const char *const malformed[] = {
    "",
    ":scheme=http\n:path=/\n:authority=a\n",
    ":method=GET\n:path=/\n:authority=a\n",
    ":method=GET\n:scheme=http\n:authority=a\n",
    ":method=GET\n:scheme=http\n:path=/\n",
    ":method=GET\n:scheme=http\n:path=/\n:authority=\n",
    ":method=GET\n:method=GET\n:scheme=http\n:path=/\n:authority=a\n",
    ":method=G T\n:scheme=http\n:path=/\n:authority=a\n",
    ":method=\n:scheme=http\n:path=/\n:authority=a\n",
    ":method=GET\n:scheme=ftp\n:path=/\n:authority=a\n",
    ":method=GET\n:scheme=http\n:path=\n:authority=a\n",
    ":method=GET\n:scheme=http\n:path=x\n:authority=a\n",
    ":method=GET\n:scheme=http\n:path=/a b\n:authority=a\n",
    ":method=GET\n:scheme=http\n:path=/#x\n:authority=a\n",
    ":method=GET\n:scheme=http\n:path=*\n:authority=a\n",
    ":method=GET\n:scheme=http\n:path=/\n:authority=u@a\n",
    ":method=GET\n:scheme=http\n:path=/\n:authority=a/b\n",
    ":method=CONNECT\n:authority=a:1\n",
    ":method=CONNECT\n:protocol=websocket\n:scheme=http\n:path=/\n:authority=a\n",
    GET "host=b\n",
    GET "host=a\nhost=a\n",
    GET "X=y\n",
    GET "connection=close\n",
    GET "te=gzip\n",
    GET "transfer-encoding=chunked\n",
    GET "upgrade=h2c\n",
    GET "x=a\nb=\001\n:path=/\n",
    GET "x=\x7f\n",
    GET ":status=200\n",
    GET "content-length=1x\n",
    GET "content-length=5\n", /* and END_STREAM */
};

START_TEST(row80_malformed_request)
{
    open_server();
    frame_headers(&script, 1, END_STREAM, malformed[_i]);
    frame_headers(&script, 3, END_STREAM, GET "te=trailers\nhost=A\n");
    ck_assert_int_eq(feed(), MESH_OK);
    const char *told = peer_told(&server);
    ck_assert_msg(strcmp(told, "3 head GET /@a len=0 [te: trailers] [host: A]\n3 end\n"
                               "1 closed PROTOCOL PROTOCOL_ERROR\n") == 0,
                  "%s: %s", malformed[_i], told);
    ck_assert_int_eq(written(RST_STREAM), HTTP2_PROTOCOL_ERROR);
    close_server();
}
END_TEST

START_TEST(targets)
{
    open_server();
    frame_headers(&script, 1, END_STREAM, ":method=OPTIONS\n:scheme=https\n:path=*\n:authority=a\n");
    frame_headers(&script, 3, END_STREAM, ":method=GET\n:scheme=http\n:path=/?q\nhost=b:1\n");
    feed();
    expect("1 head OPTIONS *@a len=0\n1 end\n3 head GET /?q@b:1 len=0 [host: b:1]\n3 end\n");
    close_server();
}
END_TEST

/* Row 68: streams that are opened and reset at once, again and again. */
START_TEST(row68_rapid_reset)
{
    open_server();
    for (uint32_t i = 0; i < HTTP2_SPOILED_MAX; i++) {
        frame_headers(&script, 2 * i + 1, END_STREAM, GET);
        frame32(&script, RST_STREAM, 2 * i + 1, HTTP2_CANCEL);
    }
    server.quiet = true;
    ck_assert_int_eq(feed(), MESH_OK);
    frame_headers(&script, 2 * HTTP2_SPOILED_MAX + 1, END_STREAM, GET);
    frame32(&script, RST_STREAM, 2 * HTTP2_SPOILED_MAX + 1, HTTP2_CANCEL);
    ck_assert_int_eq(feed(), MESH_PROTOCOL);
    ck_assert_int_eq(written(GOAWAY), HTTP2_ENHANCE_YOUR_CALM);
    ck_assert_str_eq(mesh__http2_reason(server.conn), "too many streams were reset, refused or malformed");
    close_server();
}
END_TEST

/* Rows 68 and 69: the reason is told also when all of a flood comes in one read. */
START_TEST(floods_at_once)
{
    for (int row = 0; row < 2; row++) {
        open_server();
        server.quiet = true;
        if (row == 1)
            frame(&script, HEADERS, END_STREAM, 1, "", 0);
        for (uint32_t i = 0; i < 5000; i++) {
            if (row == 1) {
                frame(&script, CONTINUATION, 0, 1, "", 0);
            } else {
                frame_headers(&script, 2 * i + 1, END_STREAM, GET);
                frame32(&script, RST_STREAM, 2 * i + 1, HTTP2_CANCEL);
            }
        }
        ck_assert_int_eq(feed(), MESH_PROTOCOL);
        ck_assert_int_eq(written(GOAWAY), HTTP2_ENHANCE_YOUR_CALM);
        close_server();
    }
}
END_TEST

/* Row 68: a client that makes the server reset its streams is the same thing. */
START_TEST(row68_made_to_reset)
{
    open_server();
    server.quiet = true;
    for (uint32_t i = 0; i <= HTTP2_SPOILED_MAX; i++) {
        frame_headers(&script, 2 * i + 1, 0, GET);
        frame32(&script, WINDOW_UPDATE, 2 * i + 1, 0x7fffffff);
        ck_assert_int_eq(feed(), i < HTTP2_SPOILED_MAX ? MESH_OK : MESH_PROTOCOL);
    }
    close_server();
}
END_TEST

/* Row 68: so is one that begins more and more, and is refused, because it does not acknowledge how many it may. */
START_TEST(row68_made_to_refuse)
{
    open_server_unacknowledged();
    server.quiet = true;
    for (uint32_t i = 0; i <= 100 + HTTP2_SPOILED_MAX; i++) {
        frame_headers(&script, 2 * i + 1, 0, GET);
        ck_assert_int_eq(feed(), i < 100 + HTTP2_SPOILED_MAX ? MESH_OK : MESH_PROTOCOL);
    }
    ck_assert_int_eq(written(GOAWAY), HTTP2_ENHANCE_YOUR_CALM);
    close_server();
}
END_TEST

static bool answer(struct peer *peer, struct http2_stream *stream, const struct http1_head *head)
{
    (void)peer;
    (void)head;
    return peer_answer(stream, 200, "");
}

/* Row 68: one who cancels no more than he completes may do so for ever. */
START_TEST(row68_half_are_cancelled)
{
    open_server();
    server.quiet = true;
    for (uint32_t i = 0; i < 3 * HTTP2_SPOILED_MAX; i++) {
        server.on_head = i % 2 == 0 ? answer : NULL;
        frame_headers(&script, 2 * i + 1, END_STREAM, GET);
        ck_assert_int_eq(feed(), MESH_OK);
        if (i % 2 == 1)
            frame32(&script, RST_STREAM, 2 * i + 1, HTTP2_CANCEL);
    }
    ck_assert_int_eq(feed(), MESH_OK);
    close_server();
}
END_TEST

/* More streams at once than the server said. */
START_TEST(too_many_streams)
{
    open_server();
    server.quiet = true;
    for (uint32_t i = 0; i < 100; i++)
        frame_headers(&script, 2 * i + 1, END_STREAM, GET);
    ck_assert_int_eq(feed(), MESH_OK);
    frame_headers(&script, 201, END_STREAM, GET);
    ck_assert_int_eq(feed(), MESH_PROTOCOL);
    ck_assert_int_eq(written(GOAWAY), HTTP2_PROTOCOL_ERROR);
    close_server();
}
END_TEST

/* Limits can be answered: the request is read no further, and cut off behind the answer. */
static void answer_refused(int32_t status, const char *told)
{
    ck_assert_int_eq(feed(), MESH_OK);
    expect(told);
    ck_assert(peer_answer(server.last, status, ""));
    frame(&script, DATA, 0, 1, "more", 4);
    ck_assert_int_eq(feed(), MESH_OK);
    expect("1 closed OK NO_ERROR\n");
    ck_assert_int_eq(written(RST_STREAM), HTTP2_NO_ERROR);
    close_server();
}

START_TEST(limits)
{
    static char lines[6000];
    open_server();
    (void)snprintf(lines, sizeof lines, GET "x=%04096d\n", 0);
    frame_headers(&script, 1, 0, lines);
    answer_refused(431, "1 refused HEADER_TOO_LARGE\n");

    open_server();
    (void)snprintf(lines, sizeof lines, GET);
    for (uint32_t i = 0; i <= peer_limits.max_headers; i++)
        memcpy(lines + strlen(lines), "a=b\n", 5);
    frame_headers(&script, 1, 0, lines);
    answer_refused(431, "1 refused TOO_MANY_HEADERS\n");

    open_server();
    frame_headers(&script, 1, 0, GET "content-length=1048577\n");
    answer_refused(413, "1 refused BODY_TOO_LARGE\n");
}
END_TEST

/* A body that goes on beyond its limit is granted no more than a byte beyond it. */
START_TEST(body_limit)
{
    struct http2_config config = { .role = HTTP2_SERVER, .limits = { 4096, 16, 70000 }, .max_streams = 1 };
    static const char bytes[16384];
    ck_assert(peer_open_with(&server, &mesh__mem_system, &config));
    mesh__buf_init(&script, &mesh__mem_system, 1 << 24);
    server.quiet = true;
    mesh__buf_append_text(&script, PREFACE);
    frame(&script, SETTINGS, 0, 0, NULL, 0);
    frame_headers(&script, 1, 0, GET);
    for (int i = 0; i < 3; i++)
        frame(&script, DATA, 0, 1, bytes, 16384);
    frame(&script, DATA, 0, 1, bytes, 16383);
    ck_assert_int_eq(feed(), MESH_OK);
    ck_assert_uint_eq(server.received, 65535);
    peer_told(&server);
    frame(&script, DATA, 0, 1, bytes, 4465);
    ck_assert_int_eq(feed(), MESH_OK);
    expect("");
    frame(&script, DATA, 0, 1, bytes, 1);
    ck_assert_int_eq(feed(), MESH_OK);
    expect("1 refused BODY_TOO_LARGE\n");
    frame(&script, DATA, 0, 1, bytes, 1);
    feed();
    ck_assert_int_eq(written(RST_STREAM), HTTP2_FLOW_CONTROL_ERROR);
    close_server();
}
END_TEST

/* A client's bytes that are no preface. */
START_TEST(no_preface)
{
    peer_open(&server, HTTP2_SERVER);
    ck_assert_int_eq(peer_read(&server, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27, 1), MESH_PROTOCOL);
    peer_close(&server);
}
END_TEST

/* Row 83, to a server: ids that go back, even ids, DATA for what never was. */
static const struct frame_row {
    int type;
    uint32_t id;
} frame_rows[] = { { HEADERS, 3 }, { HEADERS, 2 }, { DATA, 9 }, { PUSH_PROMISE, 1 }, { RST_STREAM, 9 } };

START_TEST(row83_wrong_streams)
{
    open_server();
    frame_headers(&script, 5, END_STREAM, GET);
    ck_assert_int_eq(feed(), MESH_OK);
    if (frame_rows[_i].type == HEADERS)
        frame_headers(&script, frame_rows[_i].id, END_STREAM, GET);
    else
        frame(&script, frame_rows[_i].type, END_HEADERS, frame_rows[_i].id, "\0\0\0\2", 4);
    if (_i == 0) /* RFC 9113 5.1.1 lets a server see this one as a stream that was closed */
        ck_assert_int_ge(feed(), MESH_OK);
    else
        ck_assert_int_eq(feed(), MESH_PROTOCOL);
    ck_assert_uint_le(server.ended, 1);
    close_server();
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("http2_server");
    TCase *tcase = tcase_create("rows");
    tcase_add_loop_test(tcase, row80_malformed_request, 0, (int)(sizeof malformed / sizeof *malformed));
    tcase_add_test(tcase, targets);
    tcase_add_test(tcase, row68_rapid_reset);
    tcase_add_test(tcase, floods_at_once);
    tcase_add_test(tcase, row68_made_to_reset);
    tcase_add_test(tcase, row68_made_to_refuse);
    tcase_add_test(tcase, row68_half_are_cancelled);
    tcase_add_test(tcase, too_many_streams);
    tcase_add_test(tcase, limits);
    tcase_add_test(tcase, body_limit);
    tcase_add_test(tcase, no_preface);
    tcase_add_loop_test(tcase, row83_wrong_streams, 0, (int)(sizeof frame_rows / sizeof *frame_rows));
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
