/* SPDX-License-Identifier: Apache-2.0 */
/* http2_frames_test.c - what a client's connection makes of broken frames, of floods and of windows, by the rows of the
 * catalogue of faults. */
#include "http2_script.h"

/* A header block in so many CONTINUATION frames of one field each. */
static void continuations(int count)
{
    struct buf block;
    mesh__buf_init(&block, &mesh__mem_system, 1 << 20);
    hpack_field(&block, ":status", "200");
    frame(&script, HEADERS, END_STREAM, 1, block.data, block.size);
    for (int i = 1; i <= count; i++) {
        mesh__buf_clear(&block);
        hpack_field(&block, "a", "b");
        frame(&script, CONTINUATION, i == count ? END_HEADERS : 0, 1, block.data, block.size);
    }
    mesh__buf_fini(&block);
}

/* Row 69: a flood of CONTINUATION ends the connection; as many as are allowed do not. */
START_TEST(row69_continuations)
{
    open_client(1);
    continuations(HTTP2_CONTINUATIONS_MAX);
    feed();
    ck_assert_ptr_nonnull(strstr(peer_told(&client), "1 closed OK"));
    close_client();
    open_client(1);
    continuations(HTTP2_CONTINUATIONS_MAX + 1);
    feed();
    ck_assert_int_eq(client.last_closed.status, MESH_PROTOCOL);
    ck_assert(mesh__http2_draining(client.conn));
    close_client();
}
END_TEST

/* Row 70: SETTINGS with too many entries; SETTINGS without end that nobody lets us answer. */
START_TEST(row70_settings_flood)
{
    open_client(1);
    frame_head(&script, 6 * (HTTP2_SETTINGS_MAX + 1), SETTINGS, 0, 0);
    for (int i = 0; i < HTTP2_SETTINGS_MAX + 1; i++)
        mesh__buf_append(&script, "\0\4\0\0\xff\xff", 6);
    broken_after(HTTP2_ENHANCE_YOUR_CALM);
    open_client(1);
    for (int i = 0; i < HTTP2_ACKS_MAX + 10; i++)
        frame(&script, SETTINGS, 0, 0, NULL, 0);
    ck_assert_int_eq(peer_read(&client, script.data, script.size, SIZE_MAX), MESH_PROTOCOL);
    ck_assert_int_eq(client.last_closed.status, MESH_PROTOCOL);
    close_client();
}
END_TEST

/* Row 71: PING without end that nobody lets us answer; the same number of them with room to answer is fine. */
START_TEST(row71_ping_flood)
{
    open_client(1);
    for (int turn = 0; turn < 3; turn++) {
        for (int i = 0; i < HTTP2_ACKS_MAX; i++)
            frame(&script, PING, 0, 0, "12345678", 8);
        feed();
        ck_assert_uint_eq(client.out.size, (size_t)HTTP2_ACKS_MAX * 17);
    }
    expect("");
    for (int i = 0; i < HTTP2_ACKS_MAX + 10; i++)
        frame(&script, PING, 0, 0, "12345678", 8);
    ck_assert_int_eq(peer_read(&client, script.data, script.size, SIZE_MAX), MESH_PROTOCOL);
    expect("1 closed PROTOCOL INTERNAL_ERROR\n");
    close_client();
}
END_TEST

/* Row 72: empty DATA without end; padding alone is empty too. */
START_TEST(row72_empty_data)
{
    open_client(1);
    frame_headers(&script, 1, 0, ":status=200\n");
    for (int i = 0; i < HTTP2_EMPTY_DATA_MAX; i++)
        frame(&script, DATA, 0, 1, NULL, 0);
    frame(&script, DATA, 0, 1, "x", 1);
    feed();
    expect("1 head 200 len=-1\n1 {x}\n");
    for (int i = 0; i < HTTP2_EMPTY_DATA_MAX + 1; i++)
        frame(&script, DATA, PADDED, 1, "\2\0\0", 3);
    broken_after(HTTP2_ENHANCE_YOUR_CALM);
}
END_TEST

/* Row 72: what comes behind the flood in the same piece, errors too, is read by nobody. */
START_TEST(row72_error_behind_a_flood)
{
    open_client(1);
    frame_headers(&script, 1, 0, ":status=200\n");
    for (int i = 0; i < HTTP2_EMPTY_DATA_MAX + 1; i++)
        frame(&script, DATA, 0, 1, NULL, 0);
    frame(&script, DATA, 0, 0, "x", 1);
    frame(&script, SETTINGS, 0, 1, NULL, 0);
    feed();
    ck_assert_int_eq(mesh__http2_read(client.conn, "", 0), MESH_PROTOCOL);
    ck_assert(written_code(GOAWAY, 0) > 0);
    close_client();
}
END_TEST

static void feed_by(size_t piece)
{
    peer_read(&client, script.data, script.size, piece);
    mesh__buf_clear(&script);
    mesh__buf_clear(&client.out);
    peer_write(&client);
}

/* Row 73: WINDOW_UPDATE of 0 breaks its stream only, in whatever pieces it comes; what looks like one within DATA is
 * none, and of a stream that is over nothing is said. */
START_TEST(row73_window_update_of_a_stream)
{
    size_t piece = (size_t)_i;
    open_client(4);
    frame32(&script, WINDOW_UPDATE, 3, 0);
    frame_headers(&script, 1, 0, ":status=200\n");
    frame(&script, DATA, 0, 1, "\0\0\4\x08\0\0\0\0\5\0\0\0\0", 13);
    frame32(&script, WINDOW_UPDATE, 5, 1);
    frame32(&script, WINDOW_UPDATE, 7, 0x80000000); /* a reserved bit is no number */
    frame(&script, DATA, END_STREAM, 1, "ab", 2);
    feed_by(piece);
    ck_assert_int_eq(written_code(RST_STREAM, 3), HTTP2_PROTOCOL_ERROR);
    ck_assert_int_eq(written_code(RST_STREAM, 7), HTTP2_PROTOCOL_ERROR);
    ck_assert_int_eq(written_code(GOAWAY, 0), -1);
    ck_assert_int_eq(client.last_closed.status, MESH_PROTOCOL);
    ck_assert_uint_eq(mesh__http2_open_streams(client.conn), 1);
    ck_assert_ptr_nonnull(strstr(peer_told(&client), "b}\n1 end\n1 closed OK"));
    frame32(&script, WINDOW_UPDATE, 3, 0);
    frame32(&script, WINDOW_UPDATE, 1, 0);
    frame_headers(&script, 5, END_STREAM, ":status=200\n");
    frame32(&script, WINDOW_UPDATE, 5, 0);
    feed_by(piece);
    expect("5 head 200 len=0\n5 end\n5 closed OK NO_ERROR\n");
    ck_assert_uint_eq(client.out.size, 0);
    close_client();
}
END_TEST

/* Of a stream that has not begun, and within a header block, it is an error of the connection. */
START_TEST(row73_window_update_out_of_place)
{
    size_t piece = (size_t)_i;
    for (int i = 0; i < 3; i++) {
        open_client(1);
        if (i == 2)
            frame(&script, HEADERS, 0, 1, "\x88", 1);
        frame32(&script, WINDOW_UPDATE, i == 0 ? 3 : i == 1 ? 2 : 1, 0);
        feed_by(piece);
        expect_broken(HTTP2_PROTOCOL_ERROR);
        close_client();
    }
}
END_TEST

/* Row 73: WINDOW_UPDATE of 0 breaks what it is for; so does one that makes a window larger than 2^31-1. */
START_TEST(row73_window_update)
{
    open_client(2);
    frame32(&script, WINDOW_UPDATE, 3, 0x7fffffff);
    feed();
    expect("3 closed PROTOCOL FLOW_CONTROL_ERROR\n");
    ck_assert_int_eq(written_code(RST_STREAM, 3), HTTP2_FLOW_CONTROL_ERROR);
    frame32(&script, WINDOW_UPDATE, 1, 0);
    feed();
    expect("1 closed PROTOCOL PROTOCOL_ERROR\n");
    frame32(&script, WINDOW_UPDATE, 0, 0);
    broken_after(HTTP2_PROTOCOL_ERROR);
    open_client(1);
    frame32(&script, WINDOW_UPDATE, 0, 0x7fffffff);
    broken_after(HTTP2_FLOW_CONTROL_ERROR);
}
END_TEST

static char large[200000];

static void post_large(void)
{
    memset(large, 'l', sizeof large);
    const struct body_source body = { .bytes = mesh__view(large, sizeof large) };
    ck_assert_ptr_nonnull(peer_request(&client, "POST", "/", &body));
}

/* Bytes of DATA payload in what was written. */
static size_t written_data(void)
{
    const unsigned char *at = (const unsigned char *)client.out.data, *end = at + client.out.size;
    size_t data = 0;
    while (end - at >= 9) {
        size_t size = (size_t)at[0] << 16 | (size_t)at[1] << 8 | at[2];
        data += at[3] == DATA ? size : 0;
        at += 9 + size;
    }
    return data;
}

/* Rows 74, 75: a window that closes, also below zero, is waited for; nothing is kept meanwhile, and nothing is sent. */
START_TEST(rows74_75_window_closes)
{
    open_client(0);
    post_large();
    mesh__buf_clear(&client.out);
    peer_write(&client);
    ck_assert_uint_eq(written_data(), 65535);
    frame_setting(&script, 4, 0); /* now the stream's window is -65535 */
    frame32(&script, WINDOW_UPDATE, 0, 1000000);
    feed();
    ck_assert_uint_eq(written_data(), 0);
    ck_assert(!mesh__http2_wants_write(client.conn));
    frame32(&script, WINDOW_UPDATE, 1, 65535);
    feed();
    ck_assert_uint_eq(written_data(), 0); /* it is 0 */
    frame32(&script, WINDOW_UPDATE, 1, 10);
    feed();
    ck_assert_uint_eq(written_data(), 10);
    frame_setting(&script, 4, 1000000);
    feed();
    ck_assert_uint_eq(written_data(), sizeof large - 65545);
    close_client();
}
END_TEST

/* Row 74: a stream that waits for its window can be given up. */
START_TEST(row74_window_stays_closed)
{
    open_client(0);
    frame_setting(&script, 4, 0);
    feed();
    peer_told(&client);
    const struct body_source body = body_of("hello");
    struct http2_stream *stream = peer_request(&client, "POST", "/", &body);
    peer_write(&client);
    ck_assert(mesh__http2_stream_sent(stream) && !mesh__http2_stream_finished(stream));
    mesh__http2_reset(stream, HTTP2_CANCEL);
    mesh__buf_clear(&client.out);
    peer_write(&client);
    ck_assert_int_eq(written_code(RST_STREAM, 1), HTTP2_CANCEL);
    ck_assert_uint_eq(mesh__http2_open_streams(client.conn), 0);
    expect("");
    close_client();
}
END_TEST

/* Rows 76, 77, 78, 82, 83: what breaks the connection at once, and with which code. */
static const struct broken_row {
    int row;
    uint32_t code;
    int type, flags;
    uint32_t id;
    struct view payload;
} broken_rows[] = {
    { 76, HTTP2_FLOW_CONTROL_ERROR, SETTINGS, 0, 0, { "\0\4\x80\0\0\0", 6 } },
    { 77, HTTP2_FRAME_SIZE_ERROR, SETTINGS, 0, 0, { "\0\4\0\0\0", 5 } },
    { 77, HTTP2_FRAME_SIZE_ERROR, SETTINGS, ACK, 0, { "\0\4\0\0\0\0", 6 } },
    { 77, HTTP2_FRAME_SIZE_ERROR, PING, 0, 0, { "1234567", 7 } },
    { 77, HTTP2_FRAME_SIZE_ERROR, WINDOW_UPDATE, 0, 1, { "\0\0\1", 3 } },
    { 77, HTTP2_FRAME_SIZE_ERROR, RST_STREAM, 0, 1, { "\0\0\0\0\0", 5 } },
    { 77, HTTP2_FRAME_SIZE_ERROR, GOAWAY, 0, 0, { "\0\0\0\0\0\0\0", 7 } },
    { 77, HTTP2_FRAME_SIZE_ERROR, DATA, 0, 1, { large, 16385 } },
    { 77, HTTP2_PROTOCOL_ERROR, SETTINGS, 0, 1, { NULL, 0 } },
    { 77, HTTP2_PROTOCOL_ERROR, PING, 0, 1, { "12345678", 8 } },
    { 77, HTTP2_PROTOCOL_ERROR, DATA, PADDED, 1, { "\5ab", 3 } },
    { 78, HTTP2_COMPRESSION_ERROR, HEADERS, END_HEADERS, 1, { "\x80", 1 } },          /* index 0 */
    { 78, HTTP2_COMPRESSION_ERROR, HEADERS, END_HEADERS, 1, { "\xff\x80\x01", 3 } },  /* an index beyond the table */
    { 78, HTTP2_COMPRESSION_ERROR, HEADERS, END_HEADERS, 1, { "\x3f\xe1\x7f", 3 } },  /* a table beyond ours */
    { 78, HTTP2_COMPRESSION_ERROR, HEADERS, END_HEADERS, 1, { "\0\x81\xff\1b", 5 } }, /* Huffman padding */
    { 78, HTTP2_COMPRESSION_ERROR, HEADERS, END_HEADERS, 1, { "\0\x84\xff\xff\xff\xff\1b", 8 } }, /* Huffman EOS */
    { 78,
      HTTP2_COMPRESSION_ERROR,
      HEADERS,
      END_HEADERS,
      1,
      { "\0\x05"
        "ab",
        4 } }, /* cut off */
    { 78, HTTP2_COMPRESSION_ERROR, HEADERS, END_HEADERS, 1, { "\xff\xff\xff\xff\xff\xff\xff\xff", 8 } },
    { 82, HTTP2_PROTOCOL_ERROR, PUSH_PROMISE, END_HEADERS, 1, { "\0\0\0\2\x82\x84\x86\x41\1a", 10 } },
    { 83, HTTP2_PROTOCOL_ERROR, DATA, 0, 3, { "x", 1 } }, /* idle */
    { 83, HTTP2_PROTOCOL_ERROR, DATA, 0, 2, { "x", 1 } }, /* even */
    { 83, HTTP2_PROTOCOL_ERROR, DATA, 0, 0, { "x", 1 } },
    { 83, HTTP2_PROTOCOL_ERROR, HEADERS, END_HEADERS, 2, { "\x88", 1 } },
    { 83, HTTP2_PROTOCOL_ERROR, HEADERS, END_HEADERS, 5, { "\x88", 1 } },
    { 83, HTTP2_PROTOCOL_ERROR, CONTINUATION, END_HEADERS, 1, { "\x88", 1 } },
    { 83, HTTP2_PROTOCOL_ERROR, WINDOW_UPDATE, 0, 3, { "\0\0\0\1", 4 } },
    { 83, HTTP2_PROTOCOL_ERROR, RST_STREAM, 0, 3, { "\0\0\0\1", 4 } },
};

START_TEST(rows76_77_78_82_83_broken)
{
    const struct broken_row *row = &broken_rows[_i];
    open_client(1);
    frame(&script, row->type, row->flags, row->id, row->payload.data, row->payload.size);
    feed();
    ck_assert_msg(mesh__http2_read(client.conn, "", 0) == MESH_PROTOCOL, "row %d, entry %d", row->row, _i);
    ck_assert_msg(written_code(GOAWAY, 0) == (int64_t)row->code, "row %d, entry %d: %d", row->row, _i,
                  (int)written_code(GOAWAY, 0));
    ck_assert_int_eq(client.closed, 1);
    ck_assert_int_eq(client.last_closed.status, MESH_PROTOCOL);
    close_client();
}
END_TEST

/* Row 82: a push that comes before our SETTINGS were answered is refused; nothing else happens. */
START_TEST(row82_early_push)
{
    peer_open(&client, HTTP2_CLIENT);
    mesh__buf_init(&script, &mesh__mem_system, 1 << 20);
    ck_assert_ptr_nonnull(peer_request(&client, "GET", "/", NULL));
    peer_write(&client);
    frame(&script, SETTINGS, 0, 0, NULL, 0);
    frame(&script, PUSH_PROMISE, END_HEADERS, 1, "\0\0\0\2\x82\x84\x86\x41\1a", 10);
    frame_headers(&script, 2, END_STREAM, ":status=200\n");
    frame_headers(&script, 1, END_STREAM, ":status=200\n");
    feed();
    expect("settings 4294967295\n1 head 200 len=0\n1 end\n1 closed OK NO_ERROR\n");
    ck_assert_int_eq(written_code(RST_STREAM, 2), HTTP2_CANCEL);
    close_client();
}
END_TEST

/* Row 83: frames behind END_STREAM and behind our own reset are read over: the peer may not have known. */
START_TEST(row83_frames_of_closed_streams)
{
    open_client(2);
    frame_headers(&script, 1, END_STREAM, ":status=200\n");
    feed();
    peer_told(&client);
    frame(&script, DATA, 0, 1, "late", 4);
    frame_headers(&script, 3, END_STREAM, ":status=200\n");
    feed();
    expect("3 head 200 len=0\n3 end\n3 closed OK NO_ERROR\n");
    close_client();
    open_client(1);
    struct http2_stream *stream = peer_request(&client, "GET", "/", NULL);
    peer_write(&client);
    mesh__http2_reset(stream, HTTP2_CANCEL);
    feed();
    frame_headers(&script, 3, 0, ":status=200\nx=y\n");
    frame(&script, DATA, END_STREAM, 3, "late", 4);
    frame_headers(&script, 1, END_STREAM, ":status=200\nx=y\n");
    feed();
    expect("1 head 200 len=0 [x: y]\n1 end\n1 closed OK NO_ERROR\n");
    close_client();
}
END_TEST

#define COUNT(rows) ((int)(sizeof(rows) / sizeof *(rows)))

static Suite *suite(void)
{
    Suite *s = suite_create("http2_frames");
    TCase *tcase = tcase_create("rows");
    tcase_add_test(tcase, row69_continuations);
    tcase_add_test(tcase, row70_settings_flood);
    tcase_add_test(tcase, row71_ping_flood);
    tcase_add_test(tcase, row72_empty_data);
    tcase_add_test(tcase, row72_error_behind_a_flood);
    tcase_add_test(tcase, row73_window_update);
    tcase_add_loop_test(tcase, row73_window_update_of_a_stream, 1, 40);
    tcase_add_loop_test(tcase, row73_window_update_out_of_place, 1, 20);
    tcase_add_test(tcase, rows74_75_window_closes);
    tcase_add_test(tcase, row74_window_stays_closed);
    tcase_add_loop_test(tcase, rows76_77_78_82_83_broken, 0, COUNT(broken_rows));
    tcase_add_test(tcase, row82_early_push);
    tcase_add_test(tcase, row83_frames_of_closed_streams);
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
