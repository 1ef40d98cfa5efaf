/* SPDX-License-Identifier: Apache-2.0 */
/* server_http2_hostile_test.c - frames that no decent client sends: what they cost it, and that others are served on.
 */
/* label: threaded */
/* long */
#include "api/server_http2_peer.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define HEADERS_END (FLAG_END_STREAM | FLAG_END_HEADERS)
#define POST_BLOCK "\x83\x84\x86\x41\x01x" /* POST / http x */
#define FRAME_UNKNOWN 0x20
#define ENDLESS 100000
#define FLOOD 20000
#define SOCKETS_HOLD ((size_t)256 << 20) /* more than makes acknowledgements that fill the buffers of both sockets */

static void answer_ok(mesh_exchange *exchange, void *user)
{
    (void)user;
    (void)mesh_exchange_reply(exchange, &(mesh_reply)MESH_REPLY_INIT);
}

static void get(struct buf *out, uint32_t stream)
{
    frame_put(out, FRAME_HEADERS, HEADERS_END, stream, GET_BLOCK, 6);
}

/* ---- floods: piece after piece, until the server has had enough ---- */

static void rapid_reset(struct buf *out, uint32_t round)
{
    get(out, 2 * round + 1);
    frame_put(out, FRAME_RST, 0, 2 * round + 1, "\0\0\0\x08", 4);
}

static void malformed_streams(struct buf *out, uint32_t round)
{
    frame_put(out, FRAME_HEADERS, HEADERS_END, 2 * round + 1, "\x82\x84\x86\x41\x01x\x40\x01X\x01y", 11);
}

static void refused_streams(struct buf *out, uint32_t round)
{
    frame_put(out, FRAME_HEADERS, FLAG_END_HEADERS, 2 * round + 1, POST_BLOCK, 6);
}

static void continuations(struct buf *out, uint32_t round)
{
    if (round == 0)
        frame_put(out, FRAME_HEADERS, FLAG_END_STREAM, 1, GET_BLOCK, 6);
    frame_put(out, FRAME_CONTINUATION, 0, 1, "", 0);
}

static void settings_of_many(struct buf *out, uint32_t round)
{
    unsigned char entries[6 * 100] = { 0 };
    (void)round;
    for (size_t i = 0; i < sizeof(entries); i += 6)
        entries[i + 1] = 3;
    frame_put(out, FRAME_SETTINGS, 0, 0, entries, sizeof(entries));
}

static void empty_data(struct buf *out, uint32_t round)
{
    if (round == 0)
        frame_put(out, FRAME_HEADERS, FLAG_END_HEADERS, 1, POST_BLOCK, 6);
    frame_put(out, FRAME_DATA, 0, 1, "", 0);
}

static void header_bomb(struct buf *out, uint32_t round)
{
    /* One field of 3000 bytes goes into the table; then 2000 times a byte that means it. */
    static char block[6 + 8 + 3000 + 6000];
    size_t at = 6;
    memcpy(block, GET_BLOCK, 6);
    block[at++] = 0x40;
    block[at++] = 1;
    block[at++] = 'a';
    block[at++] = 0x7f; /* 127 + 2873 */
    block[at++] = (char)(0x80 | (2873 & 0x7f));
    block[at++] = 2873 >> 7;
    memset(block + at, 'b', 3000);
    at += 3000;
    memset(block + at, 0xbe, 2000);
    at += 2000;
    frame_put(out, FRAME_HEADERS, HEADERS_END, 2 * round + 1, block, at);
}

static void window_of_none(struct buf *out, uint32_t round)
{
    if (round == 0)
        get(out, 1);
    frame_put(out, FRAME_WINDOW, 0, 0, "\0\0\0\0", 4);
}

static void window_too_wide(struct buf *out, uint32_t round)
{
    (void)round;
    frame_put(out, FRAME_WINDOW, 0, 0, "\x7f\xff\xff\xff", 4);
}

static void initial_window_too_wide(struct buf *out, uint32_t round)
{
    (void)round;
    frame_put(out, FRAME_SETTINGS, 0, 0, "\0\x04\x80\0\0\0", 6);
}

static void frame_too_large(struct buf *out, uint32_t round)
{
    static char bytes[16385];
    (void)round;
    frame_put(out, FRAME_DATA, 0, 1, bytes, sizeof(bytes));
}

static void broken_hpack(struct buf *out, uint32_t round)
{
    (void)round;
    frame_put(out, FRAME_HEADERS, HEADERS_END, 1, "\xff\xff\xff\xff\xff\xff", 6);
}

static void stream_of_the_server(struct buf *out, uint32_t round)
{
    (void)round;
    get(out, 2);
}

static void data_of_no_stream(struct buf *out, uint32_t round)
{
    (void)round;
    frame_put(out, FRAME_DATA, 0, 7, "abc", 3);
}

static void push(struct buf *out, uint32_t round)
{
    (void)round;
    frame_put(out, FRAME_PUSH, FLAG_END_HEADERS, 1, "\0\0\0\x02\x82\x84\x86\x41\x01x", 10);
}

static void headers_within_headers(struct buf *out, uint32_t round)
{
    (void)round;
    frame_put(out, FRAME_HEADERS, FLAG_END_STREAM, 1, GET_BLOCK, 6);
    frame_put(out, FRAME_PING, 0, 0, "12345678", 8);
}

static void padding_beyond(struct buf *out, uint32_t round)
{
    (void)round;
    frame_put(out, FRAME_HEADERS, FLAG_END_HEADERS, 1, POST_BLOCK, 6);
    frame_put(out, FRAME_DATA, FLAG_PADDED, 1,
              "\x09"
              "abc",
              4);
}

static void no_settings(struct buf *out, uint32_t round)
{
    (void)round;
    mesh__buf_clear(out);
    mesh__buf_append_text(out, PREFACE);
    get(out, 1);
}

static const struct {
    const char *what;
    void (*piece)(struct buf *out, uint32_t round);
    uint32_t code; /* of GOAWAY */
} floods[] = {
    { "rapid reset", rapid_reset, HTTP2_ENHANCE_YOUR_CALM },
    { "streams that are malformed", malformed_streams, HTTP2_ENHANCE_YOUR_CALM },
    { "streams beyond those allowed", refused_streams, HTTP2_ENHANCE_YOUR_CALM },
    { "CONTINUATION without end", continuations, HTTP2_ENHANCE_YOUR_CALM },
    { "SETTINGS of many entries", settings_of_many, HTTP2_ENHANCE_YOUR_CALM },
    { "empty DATA", empty_data, HTTP2_ENHANCE_YOUR_CALM },
    { "a header bomb", header_bomb, HTTP2_ENHANCE_YOUR_CALM },
    { "WINDOW_UPDATE of 0", window_of_none, HTTP2_PROTOCOL_ERROR },
    { "a window beyond 2^31", window_too_wide, HTTP2_FLOW_CONTROL_ERROR },
    { "a first window beyond 2^31", initial_window_too_wide, HTTP2_FLOW_CONTROL_ERROR },
    { "a frame beyond the limit", frame_too_large, HTTP2_FRAME_SIZE_ERROR },
    { "a header that cannot be decoded", broken_hpack, HTTP2_COMPRESSION_ERROR },
    { "a stream of the server's", stream_of_the_server, HTTP2_PROTOCOL_ERROR },
    { "DATA of a stream that is idle", data_of_no_stream, HTTP2_PROTOCOL_ERROR },
    { "PUSH_PROMISE", push, HTTP2_PROTOCOL_ERROR },
    { "a frame inside of a header", headers_within_headers, HTTP2_PROTOCOL_ERROR },
    { "padding beyond its frame", padding_beyond, HTTP2_PROTOCOL_ERROR },
    { "no SETTINGS first", no_settings, HTTP2_PROTOCOL_ERROR },
};

static void check_flood(mesh_server *server, size_t row)
{
    struct buf bytes;
    struct frame frame;
    struct peer peer = peer_connect(mesh_server_address(server));
    mesh__buf_init(&bytes, &mesh__mem_system, SIZE_MAX / 2);
    frame_open(&bytes);
    bool open = true;
    for (uint32_t round = 0; open && round < FLOOD; round++) {
        floods[row].piece(&bytes, round);
        if (bytes.size > 30000 || round == FLOOD - 1 || floods[row].code != HTTP2_ENHANCE_YOUR_CALM) {
            open = peer_send(&peer, bytes.data, bytes.size) && floods[row].code == HTTP2_ENHANCE_YOUR_CALM;
            mesh__buf_clear(&bytes);
        }
    }
    bool told = frame_await(&peer, FRAME_GOAWAY, &frame);
    ck_assert_msg(told && frame.code == floods[row].code, "%s: %s %u", floods[row].what, told ? "GOAWAY" : "no GOAWAY",
                  told ? (unsigned)frame.code : 0);
    ck_assert_msg(peer_at_end(&peer), "%s", floods[row].what);
    mesh__buf_fini(&bytes);
    peer_close(&peer);
}

START_TEST(test_floods)
{
    static const char *const by_workers[] = { "{\"workers\": 0, \"max_header\": \"4KiB\"}",
                                              "{\"workers\": 2, \"max_header\": \"4KiB\"}" };
    mesh_server *server = open_server(by_workers[_i % 2], NULL, answer_ok, NULL);
    struct caller other;
    struct call call = { 0 };
    caller_connect(&other, mesh_server_address(server));
    ck_assert_int_eq(caller_ask(&other, &call), 200);
    check_flood(server, (size_t)_i / 2);
    call_free(&call);
    call = (struct call){ 0 };
    ck_assert_int_eq(caller_ask(&other, &call), 200);
    call_free(&call);
    caller_close(&other);
    mesh_server_free(server);
}
END_TEST

/* ---- answers that nobody reads ---- */

/* Too many acknowledgements for one read end the connection. Where they are thinned by frames that ask for nothing they
 * pile up, first in the sockets, then in the server; then it is enough: the server stops reading, so that no more is
 * sent than the sockets take, and closes when the peer still takes nothing. */
static void flood_unread(const char *what, uint8_t type, const void *payload, size_t size, bool thin)
{
    static const char unknown[200];
    struct buf bytes;
    const int narrow = 4096;
    mesh_server *server = open_server("{\"idle_timeout\": \"1s\"}", NULL, answer_ok, NULL);
    struct peer peer = peer_connect(mesh_server_address(server));
    ck_assert_int_eq(setsockopt(peer.fd, SOL_SOCKET, SO_RCVBUF, &narrow, sizeof(narrow)), 0);
    mesh__buf_init(&bytes, &mesh__mem_system, SIZE_MAX / 2);
    frame_open(&bytes);
    for (int i = 0; i < 5000; i++) {
        frame_put(&bytes, type, 0, 0, payload, size);
        if (thin)
            frame_put(&bytes, FRAME_UNKNOWN, 0, 0, unknown, sizeof(unknown));
    }
    bool open = true;
    size_t sent = 0;
    for (int i = 0; open && i < ENDLESS; i++) {
        open = peer_send(&peer, bytes.data + (i > 0 ? 33 : 0), bytes.size - (i > 0 ? 33 : 0));
        sent += bytes.size;
    }
    ck_assert_msg(!open && (!thin || sent < SOCKETS_HOLD), "%s: %zu bytes", what, sent);
    mesh__buf_fini(&bytes);
    peer_close(&peer);
    mesh_server_free(server);
}

START_TEST(test_unread_acknowledgements)
{
    if (_i % 2 == 0)
        flood_unread("PING", FRAME_PING, "12345678", 8, _i / 2 == 1);
    else
        flood_unread("SETTINGS", FRAME_SETTINGS, "\0\x03\0\0\0\x64", 6, _i / 2 == 1);
}
END_TEST

/* ---- single streams ---- */

static const struct {
    const char *what, *block;
    size_t size;
} malformed[] = {
    { "a name in upper case", GET_BLOCK "\x40\x01X\x01y", 11 },
    { "no path", "\x82\x86\x41\x01x", 5 },
    { "two paths", "\x82\x84\x84\x86\x41\x01x", 7 },
    { "connection",
      GET_BLOCK "\x40\x0a"
                "connection\x05"
                "close",
      24 },
    { "transfer-encoding",
      GET_BLOCK "\x40\x11"
                "transfer-encoding\x07"
                "chunked",
      33 },
    { "a line end in a value",
      GET_BLOCK "\x40\x01"
                "a\x03"
                "b\r\n",
      13 },
    { "Host beside another authority", GET_BLOCK "\x40\x04host\x01y", 14 },
    { "a pseudo-field behind others",
      "\x82\x84\x86\x40\x01"
      "a\x01"
      "b\x41\x01x",
      11 },
    { "CONNECT",
      "\x42\x07"
      "CONNECT\x41\x01x",
      12 },
    { "a path that is none",
      "\x82\x44\x02"
      "ab\x86\x41\x01x",
      9 },
    { "a length that is not what comes",
      "\x83\x84\x86\x41\x01x\x5c\x01"
      "5",
      9 },
};

/* Only the stream ends: the next request on the connection is answered. */
START_TEST(test_malformed)
{
    struct buf bytes;
    struct frame frame;
    mesh_server *server = open_server("{\"workers\": 0}", NULL, answer_ok, NULL);
    struct peer peer = peer_connect(mesh_server_address(server));
    mesh__buf_init(&bytes, &mesh__mem_system, 1000);
    frame_open(&bytes);
    frame_put(&bytes, FRAME_HEADERS, HEADERS_END, 1, malformed[_i].block, malformed[_i].size);
    get(&bytes, 3);
    ck_assert(peer_send(&peer, bytes.data, bytes.size));
    ck_assert_msg(frame_await(&peer, FRAME_RST, &frame), "%s", malformed[_i].what);
    ck_assert_msg(frame.stream == 1 && frame.code == HTTP2_PROTOCOL_ERROR, "%s", malformed[_i].what);
    ck_assert_msg(frame_await(&peer, FRAME_HEADERS, &frame), "%s", malformed[_i].what);
    ck_assert_uint_eq(frame.stream, 3);
    mesh__buf_fini(&bytes);
    peer_close(&peer);
    mesh_server_free(server);
}
END_TEST

/* Streams beyond the limit, which the client may not know yet, are refused as never processed; the others stay. */
START_TEST(test_too_many_streams)
{
    struct buf bytes;
    struct frame frame;
    mesh_server *server = open_server("{}", NULL, answer_ok, NULL);
    struct peer peer = peer_connect(mesh_server_address(server));
    mesh__buf_init(&bytes, &mesh__mem_system, 100000);
    frame_open(&bytes);
    for (uint32_t i = 0; i < 101; i++)
        frame_put(&bytes, FRAME_HEADERS, FLAG_END_HEADERS, 2 * i + 1, POST_BLOCK, 6);
    for (uint32_t i = 0; i < 100; i++)
        frame_put(&bytes, FRAME_DATA, FLAG_END_STREAM, 2 * i + 1, "", 0);
    ck_assert(peer_send(&peer, bytes.data, bytes.size));
    ck_assert(frame_await(&peer, FRAME_RST, &frame));
    ck_assert_uint_eq(frame.stream, 201);
    ck_assert_uint_eq(frame.code, HTTP2_REFUSED_STREAM);
    for (int i = 0; i < 100; i++)
        ck_assert(frame_await(&peer, FRAME_HEADERS, &frame));
    mesh__buf_fini(&bytes);
    peer_close(&peer);
    mesh_server_free(server);
}
END_TEST

/* The preface and a request, one byte at a time. */
START_TEST(test_byte_by_byte)
{
    struct buf bytes;
    struct frame frame;
    mesh_server *server = open_server("{}", NULL, answer_ok, NULL);
    struct peer peer = peer_connect(mesh_server_address(server));
    mesh__buf_init(&bytes, &mesh__mem_system, 1000);
    frame_open(&bytes);
    get(&bytes, 1);
    for (size_t i = 0; i < bytes.size; i++)
        ck_assert(peer_send(&peer, bytes.data + i, 1));
    ck_assert(frame_await(&peer, FRAME_HEADERS, &frame));
    ck_assert_uint_eq(frame.stream, 1);
    mesh__buf_fini(&bytes);
    peer_close(&peer);
    mesh_server_free(server);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server: hostile HTTP/2 clients");
    TCase *tcase = tcase_create("all");
    suite_add_tcase(suite, tcase);
    tcase_add_loop_test(tcase, test_floods, 0, 2 * (int)LENGTH(floods));
    tcase_add_loop_test(tcase, test_unread_acknowledgements, 0, 4);
    tcase_add_loop_test(tcase, test_malformed, 0, (int)LENGTH(malformed));
    tcase_add_test(tcase, test_too_many_streams);
    tcase_add_test(tcase, test_byte_by_byte);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
