/* SPDX-License-Identifier: Apache-2.0 */
/* client_http2_frames_test.c - frames that no decent server sends, at the public API: rows 69 to 83 and 85 of the fault
 * catalogue. Each comes while two calls are under way, and costs its stream, its connection or nothing. */
#include "fault/hostile.h"
#include "fault/hostile_http2.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* ---- what comes ---- */

static void continuations(struct hostile_end *end)
{
    say_frame(end, HEADERS, END_STREAM, 1, "\x88", 1);
    for (int i = 0; i < 100; i++)
        say_frame(end, CONTINUATION, 0, 1, "", 0);
}

static void settings_of_many(struct hostile_end *end)
{
    unsigned char entries[6 * 33] = { 0 };
    for (size_t i = 0; i < sizeof(entries); i += 6)
        entries[i + 1] = 3;
    say_frame(end, SETTINGS, 0, 0, entries, sizeof(entries));
}

/* In one piece, so that the answers cannot go out between. */
static void flood(struct hostile_end *end, int type, size_t size)
{
    static unsigned char bytes[2000 * 17];
    size_t at = 0;
    for (int i = 0; i < 2000; i++, at += 9 + size) {
        memset(bytes + at, 0, 9 + size);
        bytes[at + 2] = (unsigned char)size;
        bytes[at + 3] = (unsigned char)type;
    }
    say_bytes(end, bytes, at);
}

static void settings_flood(struct hostile_end *end)
{
    flood(end, SETTINGS, 0);
}

static void ping_flood(struct hostile_end *end)
{
    flood(end, PING, 8);
}

static void empty_data(struct hostile_end *end)
{
    say_head(end, 1);
    for (int i = 0; i < 100; i++)
        say_frame(end, DATA, 0, 1, "", 0);
}

static void padding_only(struct hostile_end *end)
{
    static const char padding[101] = { 100 };
    say_head(end, 1);
    for (int i = 0; i < 100; i++)
        say_frame(end, DATA, PADDED, 1, padding, sizeof(padding));
}

static void no_window(struct hostile_end *end)
{
    say_window(end, 0, 0);
}

static void no_stream_window(struct hostile_end *end)
{
    say_window(end, 1, 0);
}

static void wide_window(struct hostile_end *end)
{
    say_window(end, 0, INT32_MAX);
}

static void wide_stream_window(struct hostile_end *end)
{
    say_window(end, 1, INT32_MAX);
}

static void wide_first_window(struct hostile_end *end)
{
    say_settings(end, 4, UINT32_C(1) << 31);
}

static void push_on(struct hostile_end *end)
{
    say_settings(end, 2, 1);
}

static void small_frames(struct hostile_end *end)
{
    say_settings(end, 5, 100);
}

static void large_frame(struct hostile_end *end)
{
    static char bytes[16385];
    say_head(end, 1);
    say_frame(end, DATA, 0, 1, bytes, sizeof(bytes));
}

static void short_ping(struct hostile_end *end)
{
    say_frame(end, PING, 0, 0, "1234567", 7);
}

static void odd_settings(struct hostile_end *end)
{
    say_frame(end, SETTINGS, 0, 0, "12345", 5);
}

static void full_acknowledgement(struct hostile_end *end)
{
    say_frame(end, SETTINGS, ACK, 0, "\0\3\0\0\0\1", 6);
}

static void settings_of_a_stream(struct hostile_end *end)
{
    say_frame(end, SETTINGS, 0, 1, NULL, 0);
}

static void long_reset(struct hostile_end *end)
{
    say_frame(end, RST_STREAM, 0, 1, "\0\0\0\x08\0", 5);
}

static void reset_of_nothing(struct hostile_end *end)
{
    say_reset(end, 0, HTTP2_CANCEL);
}

static void hpack_index_0(struct hostile_end *end)
{
    say_frame(end, HEADERS, END_HEADERS, 1, "\x88\x80", 2);
}

static void hpack_unknown_index(struct hostile_end *end)
{
    say_frame(end, HEADERS, END_HEADERS, 1, "\x88\xff\xff\x0f", 4);
}

static void hpack_huffman(struct hostile_end *end)
{
    say_frame(end, HEADERS, END_HEADERS, 1, "\x88\x40\x84\xff\xff\xff\xff\x01y", 9);
}

static void hpack_table(struct hostile_end *end)
{
    say_frame(end, HEADERS, END_HEADERS, 1, "\x3f\xe2\x1f\x88", 4); /* 4097 */
}

static void hpack_cut(struct hostile_end *end)
{
    say_frame(end, HEADERS, END_HEADERS, 1, "\x88\x40\x0a", 3);
}

/* One field of 3000 bytes goes into the table, and then is meant 8000 times. */
static void hpack_bomb(struct hostile_end *end)
{
    static char block[3000 + 8000 + 16] = { '\x88', 0x40, 1, 'a', 0x7f, (char)(0x80 | (2873 & 0x7f)), 2873 >> 7 };
    memset(block + 7, 'b', 3000);
    memset(block + 3007, 0xbe, 8000);
    say_frame(end, HEADERS, END_HEADERS | END_STREAM, 1, block, 11007);
}

/* The same, only as much as breaks this client's limit but attacks nobody. */
static void large_head(struct hostile_end *end)
{
    static char block[3000 + 64] = { '\x88', 0x40, 1, 'a', 0x7f, (char)(0x80 | (2873 & 0x7f)), 2873 >> 7 };
    memset(block + 7, 'b', 3000);
    memset(block + 3007, 0xbe, 30);
    say_frame(end, HEADERS, END_HEADERS | END_STREAM, 1, block, 3037);
}

static void many_fields(struct hostile_end *end)
{
    char block[1 + 200 * 5] = "\x88";
    for (size_t i = 0; i < 200; i++)
        memcpy(block + 1 + 5 * i, "\x40\x01x\x01y", 5);
    say_frame(end, HEADERS, END_HEADERS | END_STREAM, 1, block, sizeof(block));
}

static void push(struct hostile_end *end)
{
    say_frame(end, PUSH_PROMISE, END_HEADERS, 1, "\0\0\0\2\x82\x84\x86\x41\x01x", 10);
}

static void data_of_an_idle_stream(struct hostile_end *end)
{
    say_frame(end, DATA, 0, 99, "x", 1);
}

static void headers_of_an_idle_stream(struct hostile_end *end)
{
    say_ok(end, 99);
}

static void headers_of_an_even_stream(struct hostile_end *end)
{
    say_ok(end, 2);
}

static void data_of_no_stream(struct hostile_end *end)
{
    say_frame(end, DATA, 0, 0, "x", 1);
}

static void reset_of_an_idle_stream(struct hostile_end *end)
{
    say_reset(end, 99, HTTP2_CANCEL);
}

static void data_before_the_head(struct hostile_end *end)
{
    say_frame(end, DATA, 0, 1, "x", 1);
}

static void frames_within_a_header(struct hostile_end *end)
{
    say_frame(end, HEADERS, 0, 1, "\x88", 1);
    say_frame(end, PING, 0, 0, "12345678", 8);
}

static void lone_continuation(struct hostile_end *end)
{
    say_frame(end, CONTINUATION, END_HEADERS, 1, "\x88", 1);
}

static void padding_beyond(struct hostile_end *end)
{
    say_head(end, 1);
    say_frame(end, DATA, PADDED, 1, "\x09zzz", 4);
}

/* Row 83: behind the end of its stream. */
static void data_behind_the_end(struct hostile_end *end)
{
    say_ok(end, 1);
    say_frame(end, DATA, 0, 1, "more", 4);
}

static void headers_behind_the_end(struct hostile_end *end)
{
    say_ok(end, 1);
    say_ok(end, 1);
}

static void wrong_length(struct hostile_end *end)
{
    say_frame(end, HEADERS, END_HEADERS, 1, "\x88\x5c\x01\x35", 4); /* content-length: 5 */
    say_frame(end, DATA, END_STREAM, 1, "four", 4);
}

static void passed_length(struct hostile_end *end)
{
    say_frame(end, HEADERS, END_HEADERS, 1, "\x88\x5c\x01\x35", 4);
    say_frame(end, DATA, END_STREAM, 1, "sixsix", 6);
}

static void length_without_body(struct hostile_end *end)
{
    say_frame(end, HEADERS, END_HEADERS | END_STREAM, 1, "\x88\x5c\x01\x35", 4);
}

static void body_too_large(struct hostile_end *end)
{
    static char bytes[16384];
    say_head(end, 1);
    for (int i = 0; i < 3; i++)
        say_frame(end, DATA, 0, 1, bytes, sizeof(bytes));
}

static void informational_flood(struct hostile_end *end)
{
    for (int i = 0; i < 150; i++)
        say_frame(end, HEADERS, END_HEADERS, 1, "\x48\x03\x31\x30\x33", 5); /* :status 103 */
}

static void unknown_things(struct hostile_end *end)
{
    say_frame(end, 0x20, 0xff, 0, "whatever", 8);
    say_frame(end, 0xfe, 0x55, 1, "whatever", 8);
    say_frame(end, 10, 0, 0, "\0\0x", 3); /* ALTSVC, which nobody asked for */
    say_settings(end, 0x99, 12345);
    say_frame(end, HEADERS, END_HEADERS | END_STREAM | 0x40 | 0x80, 1, "\x88", 1);
    say_frame(end, PRIORITY, 0, 1, "\0\0\0\3\1", 5);
    say_frame(end, PRIORITY, 0, 77, "\0\0\0\3\1", 5);
}

static void window_behind_the_end(struct hostile_end *end)
{
    say_ok(end, 1);
    say_window(end, 1, 10);
    say_reset(end, 1, HTTP2_NO_ERROR);
}

static void pings(struct hostile_end *end)
{
    for (int i = 0; i < 500; i++)
        say_frame(end, PING, 0, 0, "12345678", 8);
    say_ok(end, 1);
}

#define NOTHING UINT32_MAX /* the connection and its streams go on */

static const struct row {
    const char *name;
    void (*come)(struct hostile_end *);
    mesh_status status; /* of the first call */
    bool breaks;        /* the connection: then the second call ends so, too */
    uint32_t code;      /* of the client's GOAWAY, or of its RST_STREAM */
} rows[] = {
    { "69 CONTINUATION without end", continuations, MESH_PROTOCOL, true, HTTP2_ENHANCE_YOUR_CALM },
    { "70 33 settings", settings_of_many, MESH_PROTOCOL, true, HTTP2_ENHANCE_YOUR_CALM },
    { "70 a flood of SETTINGS", settings_flood, MESH_PROTOCOL, true, HTTP2_ENHANCE_YOUR_CALM },
    { "71 a flood of PING", ping_flood, MESH_PROTOCOL, true, HTTP2_ENHANCE_YOUR_CALM },
    { "72 empty DATA", empty_data, MESH_PROTOCOL, true, HTTP2_ENHANCE_YOUR_CALM },
    { "72 DATA that is padding", padding_only, MESH_PROTOCOL, true, HTTP2_ENHANCE_YOUR_CALM },
    { "73 WINDOW_UPDATE of 0", no_window, MESH_PROTOCOL, true, HTTP2_PROTOCOL_ERROR },
    { "73 WINDOW_UPDATE of 0 for a stream", no_stream_window, MESH_PROTOCOL, false, HTTP2_PROTOCOL_ERROR },
    { "73 a window beyond 2^31", wide_window, MESH_PROTOCOL, true, HTTP2_FLOW_CONTROL_ERROR },
    { "73 a stream's window beyond 2^31", wide_stream_window, MESH_PROTOCOL, false, HTTP2_FLOW_CONTROL_ERROR },
    { "76 a first window beyond 2^31", wide_first_window, MESH_PROTOCOL, true, HTTP2_FLOW_CONTROL_ERROR },
    { "76 pushes allowed by a server", push_on, MESH_PROTOCOL, true, HTTP2_PROTOCOL_ERROR },
    { "76 frames below 2^14", small_frames, MESH_PROTOCOL, true, HTTP2_PROTOCOL_ERROR },
    { "77 a frame beyond the limit", large_frame, MESH_PROTOCOL, true, HTTP2_FRAME_SIZE_ERROR },
    { "77 PING of 7 bytes", short_ping, MESH_PROTOCOL, true, HTTP2_FRAME_SIZE_ERROR },
    { "77 SETTINGS of 5 bytes", odd_settings, MESH_PROTOCOL, true, HTTP2_FRAME_SIZE_ERROR },
    { "77 an acknowledgement with settings", full_acknowledgement, MESH_PROTOCOL, true, HTTP2_FRAME_SIZE_ERROR },
    { "77 SETTINGS of a stream", settings_of_a_stream, MESH_PROTOCOL, true, HTTP2_PROTOCOL_ERROR },
    { "77 RST_STREAM of 5 bytes", long_reset, MESH_PROTOCOL, true, HTTP2_FRAME_SIZE_ERROR },
    { "77 RST_STREAM of no stream", reset_of_nothing, MESH_PROTOCOL, true, HTTP2_PROTOCOL_ERROR },
    { "77 padding beyond the frame", padding_beyond, MESH_PROTOCOL, true, HTTP2_PROTOCOL_ERROR },
    { "78 index 0", hpack_index_0, MESH_PROTOCOL, true, HTTP2_COMPRESSION_ERROR },
    { "78 an index beyond the table", hpack_unknown_index, MESH_PROTOCOL, true, HTTP2_COMPRESSION_ERROR },
    { "78 Huffman's end of string", hpack_huffman, MESH_PROTOCOL, true, HTTP2_COMPRESSION_ERROR },
    { "78 a table beyond the limit", hpack_table, MESH_PROTOCOL, true, HTTP2_COMPRESSION_ERROR },
    { "78 a block cut short", hpack_cut, MESH_PROTOCOL, true, HTTP2_COMPRESSION_ERROR },
    { "79 a header bomb", hpack_bomb, MESH_PROTOCOL, true, HTTP2_ENHANCE_YOUR_CALM },
    { "79 a header beyond max_header", large_head, MESH_HEADER_TOO_LARGE, false, HTTP2_CANCEL },
    { "79 more fields than max_headers", many_fields, MESH_TOO_MANY_HEADERS, false, HTTP2_CANCEL },
    { "81 less than Content-Length", wrong_length, MESH_PROTOCOL, false, HTTP2_PROTOCOL_ERROR },
    { "81 more than Content-Length", passed_length, MESH_PROTOCOL, false, HTTP2_PROTOCOL_ERROR },
    { "81 Content-Length and no body", length_without_body, MESH_PROTOCOL, false, HTTP2_PROTOCOL_ERROR },
    { "29 a body beyond max_body", body_too_large, MESH_BODY_TOO_LARGE, false, HTTP2_CANCEL },
    { "51 informational responses", informational_flood, MESH_PROTOCOL, false, HTTP2_ENHANCE_YOUR_CALM },
    { "82 PUSH_PROMISE", push, MESH_PROTOCOL, true, HTTP2_PROTOCOL_ERROR },
    { "83 DATA of an idle stream", data_of_an_idle_stream, MESH_PROTOCOL, true, HTTP2_PROTOCOL_ERROR },
    { "83 HEADERS of an idle stream", headers_of_an_idle_stream, MESH_PROTOCOL, true, HTTP2_PROTOCOL_ERROR },
    { "83 HEADERS of an even stream", headers_of_an_even_stream, MESH_PROTOCOL, true, HTTP2_PROTOCOL_ERROR },
    { "83 DATA of no stream", data_of_no_stream, MESH_PROTOCOL, true, HTTP2_PROTOCOL_ERROR },
    { "83 RST_STREAM of an idle stream", reset_of_an_idle_stream, MESH_PROTOCOL, true, HTTP2_PROTOCOL_ERROR },
    { "83 DATA before the head", data_before_the_head, MESH_PROTOCOL, true, HTTP2_PROTOCOL_ERROR },
    { "83 a frame within a header", frames_within_a_header, MESH_PROTOCOL, true, HTTP2_PROTOCOL_ERROR },
    { "83 a lone CONTINUATION", lone_continuation, MESH_PROTOCOL, true, HTTP2_PROTOCOL_ERROR },
    { "83 DATA behind the end", data_behind_the_end, MESH_OK, false, NOTHING },
    { "83 HEADERS behind the end", headers_behind_the_end, MESH_OK, false, NOTHING },
    { "83 WINDOW_UPDATE and RST_STREAM behind the end", window_behind_the_end, MESH_OK, false, NOTHING },
    { "85 what is unknown", unknown_things, MESH_OK, false, NOTHING },
    { "71 500 PINGs, each by itself", pings, MESH_OK, false, NOTHING },
};

static void (*coming)(struct hostile_end *);

/* Once both calls are there. */
static void come_once(struct hostile_end *end, const struct hostile_frame *frame)
{
    if (end != &h2.ends[0])
        answer_all(end, frame);
    else if (is_request(frame) && frame->stream == 3)
        coming(end);
    else if (is_request(frame) && frame->stream > 3)
        say_ok(end, frame->stream);
}

static void run_row(const struct row *row)
{
    coming = row->come;
    hostile_http2_open(1, "'max_body':'32KiB'", come_once);
    hostile_http2_start("POST", NULL, 0);
    hostile_http2_start("POST", NULL, 0);
    hostile_http2_pass(0);
    struct hostile_end *end = &h2.ends[0];
    ck_assert_msg((end->connection == NULL) == row->breaks, "%s: the connection is %s", row->name,
                  end->connection ? "open" : "closed");
    if (row->code != NOTHING) {
        ck_assert_msg(end->counts[GOAWAY] == row->breaks && end->code == row->code, "%s: code %u, %u GOAWAY", row->name,
                      end->code, end->counts[GOAWAY]);
        ck_assert_msg(end->code_stream == (row->breaks ? 0 : 1), "%s: stream %u", row->name, end->code_stream);
    }
    if (!row->breaks)
        say_ok(end, 3);
    for (int i = 0; i < 2; i++) {
        mesh_result *result = hostile_http2_next();
        mesh_status status = i == 1 && !row->breaks ? MESH_OK : row->status;
        ck_assert_msg(mesh_result_code(result) == status, "%s: %s", row->name, mesh_result_message(result));
        ck_assert_msg(status == MESH_OK || fault_last(result).reason != NULL, "%s: no reason", row->name);
        fault_expect(result, status, status == MESH_OK ? 200 : 0, 1, NULL);
    }
    fault_expect(hostile_http2_call("POST"), MESH_OK, 200, 1, NULL); /* the endpoint is not given up */
    ck_assert_msg(h2.count == (row->breaks ? 2 : 1), "%s: %u connections", row->name, h2.count);
    hostile_http2_close();
}

START_TEST(rows_69_to_85_hostile_frames)
{
    run_row(&rows[_i]);
}
END_TEST

/* ---- row 80 ---- */

static const struct {
    const char *name, *block;
    size_t size;
} malformed[] = {
    { "a name in upper case", "\x88\x40\x01X\x01y", 6 },
    { "Connection",
      "\x88\x40\x0a"
      "connection\x05"
      "close",
      19 },
    { "Transfer-Encoding",
      "\x88\x40\x11"
      "transfer-encoding\x07"
      "chunked",
      28 },
    { "no status", "\x40\x01x\x01y", 5 },
    { "two statuses", "\x88\x88", 2 },
    { "a status of two digits", "\x48\x02\x32\x30", 4 },
    { "a status behind other fields", "\x40\x01x\x01y\x88", 6 },
    { "status 101", "\x48\x03\x31\x30\x31", 5 },
    { "a pseudo-field of requests", "\x88\x84", 2 },
    { "an unknown pseudo-field", "\x88\x40\x02:x\x01y", 7 },
    { "a line end in a value", "\x88\x40\x01x\x03y\r\n", 8 },
    { "two lengths", "\x88\x5c\x01\x35\x5c\x01\x36", 7 },
};

static size_t malformed_row;

static void malformed_head(struct hostile_end *end)
{
    say_frame(end, HEADERS, END_HEADERS | END_STREAM, 1, malformed[malformed_row].block, malformed[malformed_row].size);
}

START_TEST(row_80_malformed_heads)
{
    malformed_row = (size_t)_i;
    run_row(&(struct row){ malformed[_i].name, malformed_head, MESH_PROTOCOL, false, HTTP2_PROTOCOL_ERROR });
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client: hostile HTTP/2 frames");
    TCase *tcase = tcase_create("frames");
    tcase_add_loop_test(tcase, rows_69_to_85_hostile_frames, 0, (int)LENGTH(rows));
    tcase_add_loop_test(tcase, row_80_malformed_heads, 0, (int)LENGTH(malformed));
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
