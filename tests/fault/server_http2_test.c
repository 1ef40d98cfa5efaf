/* SPDX-License-Identifier: Apache-2.0 */
/* server_http2_test.c - what HTTP/2 clients may do to a server's streams and windows: rows 75, 83, 85 and 89 of the
 * fault catalogue. Floods and frames that break a connection are in api/server_http2_hostile_test.c. */
/* label: threaded */
#include "api/server_http2_peer.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define HEADERS_END (FLAG_END_STREAM | FLAG_END_HEADERS)
#define WINDOW 65535
#define LARGE 200000

static mesh_server *server;
static struct peer peer;
static struct buf out;

static void answer(mesh_exchange *exchange, void *user)
{
    static const char body[LARGE];
    mesh_reply reply = MESH_REPLY_INIT;
    reply.body = body;
    reply.body_size = user != NULL ? sizeof(body) : 0;
    (void)mesh_exchange_reply(exchange, &reply);
}

static void flush(void)
{
    ck_assert(peer_send(&peer, out.data, out.size));
    mesh__buf_clear(&out);
}

static void setup(void)
{
    mesh__buf_init(&out, &mesh__mem_system, 1 << 20);
    frame_open(&out);
}

static void open_with(void *user)
{
    server = open_server("{\"workers\": 0}", NULL, answer, user);
    peer = peer_connect(mesh_server_address(server));
}

static void teardown(void)
{
    mesh__buf_fini(&out);
    peer_close(&peer);
    mesh_server_free(server);
}

static void put_window(uint32_t stream, uint32_t size)
{
    const unsigned char bytes[4] = { (unsigned char)(size >> 24), (unsigned char)(size >> 16),
                                     (unsigned char)(size >> 8), (unsigned char)size };
    frame_put(&out, FRAME_WINDOW, 0, stream, bytes, 4);
}

static void put_first_window(uint32_t size)
{
    const unsigned char entry[6] = {
        0, 4, 0, (unsigned char)(size >> 16), (unsigned char)(size >> 8), (unsigned char)size
    };
    frame_put(&out, FRAME_SETTINGS, 0, 0, entry, 6);
}

static uint32_t data_of(uint32_t size)
{
    struct frame frame;
    uint32_t got = 0;
    while (got < size) {
        ck_assert(frame_await(&peer, FRAME_DATA, &frame));
        got += frame.size;
    }
    return got;
}

/* What was said to the server until now makes it send no frame of this type. */
static void expect_none(int type)
{
    unsigned char head[9];
    frame_put(&out, FRAME_PING, 0, 0, "12345678", 8);
    flush();
    for (;;) {
        size_t size = 0;
        while (size < sizeof(head)) {
            ssize_t got = recv(peer.fd, head + size, sizeof(head) - size, 0);
            ck_assert_int_gt(got, 0);
            size += (size_t)got;
        }
        ck_assert_msg(head[3] != type, "a frame of type %d, of %d bytes", type, head[1] << 8 | head[2]);
        char payload[64];
        ck_assert_uint_le(head[2], sizeof(payload));
        ck_assert(head[2] == 0 || recv(peer.fd, payload, head[2], MSG_WAITALL) == head[2]);
        if (head[3] == FRAME_PING)
            return;
    }
}

START_TEST(row_75_a_window_that_shrinks)
{
    open_with(&out);
    frame_put(&out, FRAME_HEADERS, HEADERS_END, 1, GET_BLOCK, 6);
    flush();
    ck_assert_uint_eq(data_of(WINDOW), WINDOW);
    put_first_window(10000); /* 10000 - 65535 are left */
    put_window(0, 1000000);
    expect_none(FRAME_DATA);
    put_window(1, WINDOW - 10000); /* 0 */
    expect_none(FRAME_DATA);
    put_window(1, 1);
    flush();
    ck_assert_uint_eq(data_of(1), 1);
    put_first_window(10100);
    flush();
    ck_assert_uint_eq(data_of(100), 100);
    expect_none(FRAME_DATA);
    put_window(1, LARGE);
    flush();
    ck_assert_uint_eq(data_of(LARGE - WINDOW - 101), LARGE - WINDOW - 101);
}
END_TEST

static const struct {
    const char *name;
    uint8_t type, flags;
    uint32_t stream;
    const char *payload;
    size_t size;
} ignored[] = {
    { "an unknown frame", 0x20, 0xff, 0, "whatever", 8 },
    { "an unknown frame of a stream", 0xfe, 0x55, 1, "whatever", 8 },
    { "an unknown setting", FRAME_SETTINGS, 0, 0, "\0\x99\0\0\0\1", 6 },
    { "unknown flags", FRAME_PING, 0xfe, 0, "12345678", 8 },
    { "PRIORITY of an idle stream", FRAME_PRIORITY, 0, 77, "\0\0\0\3\1", 5 },
    { "PRIORITY of a closed stream", FRAME_PRIORITY, 0, 1, "\0\0\0\3\1", 5 },
    { "WINDOW_UPDATE of a closed stream", FRAME_WINDOW, 0, 1, "\0\0\0\1", 4 },
    { "RST_STREAM of a closed stream", FRAME_RST, 0, 1, "\0\0\0\x08", 4 },
};

/* Row 85, and the frames that may cross the end of a stream (row 83). */
START_TEST(row_85_what_is_ignored)
{
    struct frame frame;
    open_with(NULL);
    frame_put(&out, FRAME_HEADERS, HEADERS_END, 1, GET_BLOCK, 6);
    flush();
    ck_assert(frame_await(&peer, FRAME_HEADERS, &frame));
    for (size_t i = 0; i < LENGTH(ignored); i++)
        frame_put(&out, ignored[i].type, ignored[i].flags, ignored[i].stream, ignored[i].payload, ignored[i].size);
    frame_put(&out, FRAME_HEADERS, HEADERS_END | 0x40, 3, GET_BLOCK, 6);
    flush();
    ck_assert(frame_await(&peer, FRAME_HEADERS, &frame));
    ck_assert_uint_eq(frame.stream, 3);
}
END_TEST

static const struct {
    const char *name;
    uint8_t type, flags;
    const char *payload;
    size_t size;
} behind[] = {
    { "DATA", FRAME_DATA, 0, "more", 4 },
    { "HEADERS", FRAME_HEADERS, HEADERS_END, GET_BLOCK, 6 },
};

/* Row 83: behind END_STREAM. While the answer is going out it ends the connection; once the stream has gone it is read
 * over, whatever it is. */
START_TEST(row_83_frames_behind_the_end)
{
    struct frame frame;
    bool open = _i % 2 == 0;
    size_t row = (size_t)_i / 2;
    open_with(open ? &out : NULL);
    frame_put(&out, FRAME_HEADERS, HEADERS_END, 1, GET_BLOCK, 6);
    flush();
    ck_assert(frame_await(&peer, FRAME_HEADERS, &frame));
    frame_put(&out, behind[row].type, behind[row].flags, 1, behind[row].payload, behind[row].size);
    if (open) {
        flush();
        ck_assert_msg(frame_await(&peer, FRAME_GOAWAY, &frame), "%s", behind[row].name);
        ck_assert_msg(frame.code == HTTP2_STREAM_CLOSED, "%s: %u", behind[row].name, frame.code);
        ck_assert(peer_at_end(&peer));
        return;
    }
    expect_none(FRAME_HEADERS);
    frame_put(&out, FRAME_HEADERS, HEADERS_END, 3, GET_BLOCK, 6);
    flush();
    ck_assert_msg(frame_await(&peer, FRAME_HEADERS, &frame), "%s", behind[row].name);
    ck_assert_uint_eq(frame.stream, 3);
}
END_TEST

/* Row 89: the highest id is answered; all lower ones are closed by it. */
START_TEST(row_89_the_last_stream)
{
    struct frame frame;
    open_with(NULL);
    frame_put(&out, FRAME_HEADERS, HEADERS_END, INT32_MAX, GET_BLOCK, 6);
    flush();
    ck_assert(frame_await(&peer, FRAME_HEADERS, &frame));
    ck_assert_uint_eq(frame.stream, INT32_MAX);
    frame_put(&out, FRAME_HEADERS, HEADERS_END, 3, GET_BLOCK, 6);
    expect_none(FRAME_HEADERS);
}
END_TEST

/* Row 71: PINGs whose answers are read are no flood. */
START_TEST(row_71_many_pings)
{
    struct frame frame;
    open_with(NULL);
    for (int i = 0; i < 3000; i++) {
        frame_put(&out, FRAME_PING, 0, 0, "12345678", 8);
        flush();
        ck_assert(frame_await(&peer, FRAME_PING, &frame));
    }
    frame_put(&out, FRAME_HEADERS, HEADERS_END, 1, GET_BLOCK, 6);
    flush();
    ck_assert(frame_await(&peer, FRAME_HEADERS, &frame));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server: HTTP/2 clients' faults");
    TCase *tcase = tcase_create("all");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, row_71_many_pings);
    tcase_add_test(tcase, row_75_a_window_that_shrinks);
    tcase_add_loop_test(tcase, row_83_frames_behind_the_end, 0, 2 * (int)LENGTH(behind));
    tcase_add_test(tcase, row_85_what_is_ignored);
    tcase_add_test(tcase, row_89_the_last_stream);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
