/* SPDX-License-Identifier: Apache-2.0 */
/* http2_hostile_test.c - what a client's connection makes of servers that go away, refuse, and answer with malformed
 * messages, by the rows of the catalogue of faults. Broken frames and floods are in http2_frames_test.c, what hostile
 * clients do to a server in http2_server_test.c. */
#include "http2_script.h"

/* Row 63: GOAWAY with a last stream: those above are provably unprocessed, those below go on. */
START_TEST(row63_goaway)
{
    open_client(3);
    frame_goaway(&script, 3, HTTP2_NO_ERROR, "bye");
    feed();
    expect("goaway 3 NO_ERROR bye\n5 closed REFUSED REFUSED_STREAM unprocessed\n");
    frame_headers(&script, 1, END_STREAM, ":status=200\n");
    frame_headers(&script, 3, END_STREAM, ":status=201\n");
    feed();
    expect("1 head 200 len=0\n1 end\n1 closed OK NO_ERROR\n3 head 201 len=0\n3 end\n3 closed OK NO_ERROR\n");
    ck_assert(mesh__http2_done(client.conn));
    close_client();
}
END_TEST

/* Row 63: a request that was asked for and not yet written when GOAWAY came was never sent. */
START_TEST(row63_goaway_before_sending)
{
    open_client(0);
    ck_assert_ptr_nonnull(peer_request(&client, "GET", "/", NULL));
    frame_goaway(&script, 0x7fffffff, HTTP2_NO_ERROR, "");
    feed();
    expect("goaway 2147483647 NO_ERROR \n1 closed REFUSED REFUSED_STREAM unprocessed\n");
    close_client();
}
END_TEST

/* Row 64: the two steps of a graceful end; then a GOAWAY that takes back what it said. */
START_TEST(row64_two_goaways)
{
    open_client(2);
    frame_goaway(&script, 0x7fffffff, HTTP2_NO_ERROR, "");
    feed();
    expect("goaway 2147483647 NO_ERROR \n");
    ck_assert_uint_eq(mesh__http2_room(client.conn), 0);
    frame_goaway(&script, 1, HTTP2_NO_ERROR, "");
    feed();
    expect("goaway 1 NO_ERROR \n3 closed REFUSED REFUSED_STREAM unprocessed\n");
    frame_goaway(&script, 3, HTTP2_NO_ERROR, "");
    feed();
    expect_broken(HTTP2_PROTOCOL_ERROR);
    close_client();
}
END_TEST

/* Rows 65, 66, 67, 87: RST_STREAM, by its code and by what had come before. */
static const struct reset_row {
    uint32_t code;
    int before; /* 0: nothing, 1: the head, 2: part of the body */
    const char *told;
} reset_rows[] = {
    { HTTP2_REFUSED_STREAM, 0, "1 closed REFUSED REFUSED_STREAM by-peer unprocessed\n" },
    { HTTP2_REFUSED_STREAM, 1, "1 closed PARTIAL_RESPONSE REFUSED_STREAM by-peer\n" },
    { HTTP2_CANCEL, 0, "1 closed RESET CANCEL by-peer\n" },
    { HTTP2_INTERNAL_ERROR, 1, "1 closed PARTIAL_RESPONSE INTERNAL_ERROR by-peer\n" },
    { HTTP2_CANCEL, 2, "1 closed PARTIAL_RESPONSE CANCEL by-peer\n" },
    { HTTP2_NO_ERROR, 2, "1 closed PARTIAL_RESPONSE NO_ERROR by-peer\n" },
    { HTTP2_HTTP_1_1_REQUIRED, 0, "1 closed RESET HTTP_1_1_REQUIRED by-peer http1\n" },
    { 0x1234, 0, "1 closed RESET unknown by-peer\n" },
};

START_TEST(rows65_66_87_reset)
{
    const struct reset_row *row = &reset_rows[_i];
    open_client(2);
    if (row->before > 0)
        frame_headers(&script, 1, 0, ":status=200\n");
    if (row->before > 1)
        frame(&script, DATA, 0, 1, "part", 4);
    feed();
    peer_told(&client);
    frame32(&script, RST_STREAM, 1, row->code);
    feed();
    expect(row->told);
    frame_headers(&script, 3, END_STREAM, ":status=200\n"); /* the stream alone has failed */
    feed();
    expect("3 head 200 len=0\n3 end\n3 closed OK NO_ERROR\n");
    close_client();
}
END_TEST

/* Row 67: NO_ERROR behind a whole response, while the request is still being sent, takes nothing from it. */
static enum body_next later(void *user, size_t most, struct view *bytes, struct http1_field_group *trailers)
{
    (void)user;
    (void)most;
    (void)bytes;
    (void)trailers;
    return BODY_LATER;
}

START_TEST(row67_reset_behind_the_response)
{
    open_client(0);
    const struct body_source body = { .next = later, .size = -1 };
    ck_assert_ptr_nonnull(peer_request(&client, "POST", "/", &body));
    peer_write(&client);
    frame_headers(&script, 1, 0, ":status=413\n");
    frame(&script, DATA, END_STREAM, 1, "no", 2);
    frame32(&script, RST_STREAM, 1, HTTP2_NO_ERROR);
    feed();
    expect("1 head 413 len=-1\n1 {no}\n1 end\n1 closed OK CANCEL\n");
    close_client();
}
END_TEST

/* Row 79: a header block that decodes to far more than it is: the stream ends, then, if it goes on, the connection. */
static void bomb(uint32_t id, size_t references)
{
    static char value[2000];
    struct buf block;
    memset(value, 'v', sizeof value);
    mesh__buf_init(&block, &mesh__mem_system, 1 << 20);
    mesh__buf_append_char(&block, (char)0x88);
    mesh__buf_append_char(&block, 0x40); /* indexed from now on */
    hpack_string(&block, VIEW_LITERAL("x"));
    hpack_string(&block, mesh__view(value, sizeof value));
    for (size_t i = 0; i < references; i++)
        mesh__buf_append_char(&block, (char)0xbe);
    frame(&script, HEADERS, END_HEADERS | END_STREAM, id, block.data, block.size);
    mesh__buf_fini(&block);
}

START_TEST(row79_header_bomb)
{
    open_client(3);
    bomb(1, 5);
    feed();
    expect("1 closed HEADER_TOO_LARGE NO_ERROR\n");
    frame_headers(&script, 3, END_STREAM, ":status=200\n");
    feed();
    expect("3 head 200 len=0\n3 end\n3 closed OK NO_ERROR\n");
    bomb(5, 10000);
    broken_after(HTTP2_ENHANCE_YOUR_CALM);
}
END_TEST

/* Row 79: more fields than max_headers. */
START_TEST(row79_too_many_fields)
{
    open_client(2);
    struct buf lines;
    mesh__buf_init(&lines, &mesh__mem_system, 4096);
    mesh__buf_append_text(&lines, ":status=200\n");
    for (uint32_t i = 0; i < peer_limits.max_headers; i++)
        mesh__buf_append_text(&lines, "a=b\n");
    frame_headers(&script, 1, END_STREAM, mesh__buf_text(&lines));
    mesh__buf_append_text(&lines, "a=b\n");
    frame_headers(&script, 3, END_STREAM, mesh__buf_text(&lines));
    feed();
    const char *told = peer_told(&client);
    ck_assert_ptr_nonnull(strstr(told, "1 closed OK"));
    ck_assert_ptr_nonnull(strstr(told, "3 closed TOO_MANY_HEADERS NO_ERROR\n"));
    ck_assert_ptr_null(strstr(told, "3 head"));
    mesh__buf_fini(&lines);
    close_client();
}
END_TEST

/* Row 80: malformed heads: the stream fails, and no other. */
static const char *const malformed[] = {
    "",
    "x=y\n",
    ":status=200\nX-Upper=1\n",
    ":status=200\nconnection=close\n",
    ":status=200\nkeep-alive=timeout=5\n",
    ":status=200\nproxy-connection=close\n",
    ":status=200\ntransfer-encoding=chunked\n",
    ":status=200\nupgrade=h2c\n",
    ":status=200\n:status=200\n",
    "x=y\n:status=200\n",
    ":status=200\n:path=/\n",
    ":status=200\n:other=/\n",
    ":status=\n",
    ":status=20\n",
    ":status=2000\n",
    ":status=abc\n",
    ":status=099\n",
    ":status=101\n",
    ":status=200\n=empty\n",
    ":status=200\na b=c\n",
    ":status=200\na=b\rc\n",
    ":status=200\na=b\001c\n",
    ":status=200\na= b\n",
    ":status=200\na=b \n",
    ":status=200\ncontent-length=-1\n",
    ":status=200\ncontent-length=+1\n",
    ":status=200\ncontent-length=\n",
    ":status=200\ncontent-length=1,1\n",
    ":status=200\ncontent-length=99999999999999999999\n",
    ":status=200\ncontent-length=1\ncontent-length=1\n",
    ":status=200\ncontent-length=1\ncontent-length=2\n",
};
#define MALFORMED ((int)(sizeof malformed / sizeof *malformed))

START_TEST(row80_malformed_head)
{
    open_client(2);
    frame_headers(&script, 1, 0, malformed[_i]);
    frame_headers(&script, 3, END_STREAM, ":status=200\n");
    feed();
    ck_assert_msg(strcmp(peer_told(&client), "3 head 200 len=0\n3 end\n3 closed OK NO_ERROR\n"
                                             "1 closed PROTOCOL PROTOCOL_ERROR\n") == 0,
                  "entry %d: %s", _i, malformed[_i]);
    ck_assert_int_eq(written_code(RST_STREAM, 1), HTTP2_PROTOCOL_ERROR);
    close_client();
}
END_TEST

/* Row 80: trailers are checked as heads are; a pseudo-field has no place there. */
START_TEST(row80_malformed_trailers)
{
    open_client(2);
    for (uint32_t id = 1; id <= 3; id += 2) {
        frame_headers(&script, id, 0, ":status=200\n");
        frame_headers(&script, id, END_STREAM, id == 1 ? ":status=200\n" : "A=b\n");
    }
    feed();
    expect("1 head 200 len=-1\n3 head 200 len=-1\n1 closed PROTOCOL PROTOCOL_ERROR\n"
           "3 closed PROTOCOL PROTOCOL_ERROR\n");
    close_client();
}
END_TEST

/* Row 80, RFC 9113 8.1: trailers that do not end the stream. */
START_TEST(row80_trailers_without_end)
{
    open_client(1);
    frame_headers(&script, 1, 0, ":status=200\n");
    frame_headers(&script, 1, 0, "a=b\n");
    feed();
    expect("1 head 200 len=-1\n1 closed PROTOCOL PROTOCOL_ERROR\n");
    close_client();
}
END_TEST

/* Row 51, over HTTP/2: any number of 1xx up to a cap. */
START_TEST(row51_informational)
{
    open_client(2);
    for (int i = 0; i < HTTP1_INFORMATIONAL_MAX; i++)
        frame_headers(&script, 1, 0, ":status=103\n");
    frame_headers(&script, 1, END_STREAM, ":status=200\n");
    for (int i = 0; i <= HTTP1_INFORMATIONAL_MAX; i++)
        frame_headers(&script, 3, 0, ":status=103\n");
    feed();
    expect("1 head 200 len=0\n1 end\n1 closed OK NO_ERROR\n3 closed PROTOCOL ENHANCE_YOUR_CALM\n");
    close_client();
}
END_TEST

/* Row 81: a Content-Length that the DATA does not add up to. */
START_TEST(row81_content_length)
{
    open_client(4);
    frame_headers(&script, 1, 0, ":status=200\ncontent-length=3\n");
    frame(&script, DATA, END_STREAM, 1, "ab", 2);
    frame_headers(&script, 3, 0, ":status=200\ncontent-length=1\n");
    frame(&script, DATA, END_STREAM, 3, "ab", 2);
    frame_headers(&script, 5, END_STREAM, ":status=200\ncontent-length=1\n");
    frame_headers(&script, 7, END_STREAM, ":status=204\ncontent-length=0\n");
    feed();
    const char *told = peer_told(&client);
    ck_assert_ptr_nonnull(strstr(told, "1 closed PROTOCOL PROTOCOL_ERROR\n"));
    ck_assert_ptr_nonnull(strstr(told, "3 closed PROTOCOL PROTOCOL_ERROR\n"));
    ck_assert_ptr_nonnull(strstr(told, "5 closed PROTOCOL PROTOCOL_ERROR\n"));
    ck_assert_ptr_nonnull(strstr(told, "7 closed OK NO_ERROR\n"));
    ck_assert_ptr_null(strstr(told, "1 end"));
    ck_assert_ptr_null(strstr(told, "5 head"));
    close_client();
}
END_TEST

/* Row 29, over HTTP/2: a body beyond max_body, said and not said beforehand. */
START_TEST(row29_body_too_large)
{
    open_client(0);
    struct http2_request request = { .method = VIEW_LITERAL("GET"),
                                     .path = VIEW_LITERAL("/"),
                                     .authority = VIEW_LITERAL("a"),
                                     .limits = { 4096, 16, 3 } };
    struct http2_stream *stream;
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(mesh__http2_request(client.conn, &request, NULL, &stream), MESH_OK);
    peer_write(&client);
    frame_headers(&script, 1, 0, ":status=200\ncontent-length=4\n");
    frame_headers(&script, 3, 0, ":status=200\n");
    frame(&script, DATA, 0, 3, "abc", 3);
    frame(&script, DATA, 0, 3, "d", 1);
    frame_headers(&script, 5, 0, ":status=200\n");
    frame(&script, DATA, END_STREAM, 5, "abc", 3);
    feed();
    expect("3 head 200 len=-1\n3 {abc}\n5 head 200 len=-1\n5 {abc}\n5 end\n5 closed OK NO_ERROR\n"
           "1 closed BODY_TOO_LARGE CANCEL\n3 closed BODY_TOO_LARGE CANCEL\n");
    close_client();
}
END_TEST

/* Row 84: MAX_CONCURRENT_STREAMS 0, 1, lowered below what is open, and raised again. */
START_TEST(row84_max_concurrent_streams)
{
    open_client(2);
    ck_assert_uint_eq(mesh__http2_room(client.conn), UINT32_MAX - 2); /* SETTINGS said nothing of it */
    frame_setting(&script, 3, 3);
    feed();
    expect("settings 3\n");
    ck_assert_uint_eq(mesh__http2_room(client.conn), 1);
    frame_setting(&script, 3, 1);
    feed();
    ck_assert_uint_eq(mesh__http2_room(client.conn), 0);
    ck_assert_ptr_null(peer_request(&client, "GET", "/", NULL));
    frame_headers(&script, 1, END_STREAM, ":status=200\n");
    frame_headers(&script, 3, END_STREAM, ":status=200\n");
    feed();
    ck_assert_uint_eq(mesh__http2_room(client.conn), 1);
    frame_setting(&script, 3, 0);
    feed();
    ck_assert_uint_eq(mesh__http2_room(client.conn), 0);
    ck_assert(!mesh__http2_draining(client.conn));
    close_client();
}
END_TEST

/* Row 84: a request whose turn to be written finds the limit lowered waits, and is known as unsent. */
START_TEST(row84_lowered_before_sending)
{
    open_client(0);
    struct http2_stream *stream = peer_request(&client, "GET", "/", NULL);
    frame_setting(&script, 3, 0);
    feed();
    expect("settings 0\n");
    ck_assert(!mesh__http2_stream_sent(stream));
    frame_setting(&script, 3, 1);
    feed();
    ck_assert(mesh__http2_stream_sent(stream));
    close_client();
}
END_TEST

/* Row 85: frames, flags and settings that nobody knows. */
START_TEST(row85_unknown)
{
    open_client(1);
    frame(&script, 0x21, 0xff, 0, "anything", 8);
    static const char anything[16384];
    frame(&script, 0xff, 0x01, 1, anything, sizeof anything);
    frame(&script, PING, 0xf0, 0, "12345678", 8);
    frame_setting(&script, 0x77, 5);
    frame(&script, PRIORITY, 0, 9, "\0\0\0\1\5", 5);
    frame_headers(&script, 1, END_STREAM | 0xc0, ":status=200\n");
    feed();
    expect("settings 4294967295\n1 head 200 len=0\n1 end\n1 closed OK NO_ERROR\n");
    close_client();
}
END_TEST

/* Row 86: ENHANCE_YOUR_CALM is told with its words. */
START_TEST(row86_enhance_your_calm)
{
    open_client(1);
    frame_goaway(&script, 1, HTTP2_ENHANCE_YOUR_CALM, "too_many_pings");
    feed();
    expect("goaway 1 ENHANCE_YOUR_CALM too_many_pings\n");
    close_client();
}
END_TEST

/* Row 87: the same wish for all streams. */
START_TEST(row87_goaway_http1_required)
{
    open_client(1);
    frame_goaway(&script, 0, HTTP2_HTTP_1_1_REQUIRED, "");
    feed();
    expect("goaway 0 HTTP_1_1_REQUIRED \n1 closed REFUSED REFUSED_STREAM unprocessed\n");
    close_client();
}
END_TEST

/* Row 88: an answer to a PING that was not sent, or not with these bytes, is none; and one PING waits at a time. */
START_TEST(row88_ping_never_answered)
{
    open_client(0);
    ck_assert(mesh__http2_ping(client.conn));
    peer_write(&client);
    frame(&script, PING, ACK, 0, "12345678", 8);
    feed();
    expect("");
    ck_assert(mesh__http2_ping_waiting(client.conn) && !mesh__http2_ping(client.conn));
    close_client();
}
END_TEST

/* Row 89: the last stream id can be used, and then no more. */
START_TEST(row89_ids_exhausted)
{
    struct http2_config config = { .role = HTTP2_CLIENT, .limits = peer_limits, .first_id = 0x7fffffff };
    ck_assert(peer_open_with(&client, &mesh__mem_system, &config));
    ck_assert(!mesh__http2_draining(client.conn) && mesh__http2_room(client.conn) > 0);
    struct http2_stream *stream = peer_request(&client, "GET", "/", NULL);
    ck_assert_ptr_nonnull(stream);
    ck_assert_int_eq(mesh__http2_stream_id(stream), 0x7fffffff);
    ck_assert(mesh__http2_draining(client.conn));
    ck_assert_uint_eq(mesh__http2_room(client.conn), 0);
    peer_write(&client);
    mesh__buf_init(&script, &mesh__mem_system, 1 << 20);
    frame(&script, SETTINGS, 0, 0, NULL, 0);
    frame_headers(&script, 0x7fffffff, END_STREAM, ":status=200\n");
    feed();
    ck_assert_int_eq(client.last_closed.status, MESH_OK);
    close_client();
}
END_TEST

/* Row 90: our reset and the peer's END_STREAM cross: one end is told, whichever came first. */
START_TEST(row90_cancel_races_end)
{
    open_client(0);
    struct http2_stream *first = peer_request(&client, "GET", "/", NULL);
    ck_assert_ptr_nonnull(peer_request(&client, "GET", "/", NULL));
    peer_write(&client);
    mesh__http2_reset(first, HTTP2_CANCEL);
    frame_headers(&script, 1, END_STREAM, ":status=200\n");
    frame32(&script, RST_STREAM, 1, HTTP2_CANCEL);
    frame_headers(&script, 3, END_STREAM, ":status=200\n");
    frame32(&script, RST_STREAM, 3, HTTP2_NO_ERROR);
    feed();
    expect("3 head 200 len=0\n3 end\n3 closed OK NO_ERROR\n");
    ck_assert_uint_eq(client.closed, 1);
    close_client();
}
END_TEST

/* Row 62: an HTTP/1 server's answer to the preface. */
static const struct greeting_row {
    const char *text;
    bool http1;
} greetings[] = { { "HTTP/1.1 400 Bad Request\r\n\r\n", true },
                  { "HTTP/1.0 505 No\r\n\r\n", true },
                  { "HTTP:1.1 400\r\n and more", false },
                  { "SSH-2.0-OpenSSH_9.2p1 and so on\r\n", false } };

START_TEST(row62_http1_answer)
{
    const struct greeting_row *row = &greetings[_i];
    for (size_t piece = 1; piece < 60; piece += 58) {
        peer_open(&client, HTTP2_CLIENT);
        ck_assert_ptr_nonnull(peer_request(&client, "GET", "/", NULL));
        peer_write(&client);
        peer_read(&client, row->text, strlen(row->text), piece);
        mesh__buf_clear(&client.out);
        ck_assert_int_eq(peer_write(&client), MESH_PROTOCOL);
        ck_assert_int_eq(mesh__http2_peer_is_http1(client.conn), row->http1);
        ck_assert_int_eq(client.last_closed.status, MESH_PROTOCOL);
        peer_close(&client);
    }
}
END_TEST

#define COUNT(rows) ((int)(sizeof(rows) / sizeof *(rows)))

static Suite *suite(void)
{
    Suite *s = suite_create("http2_hostile");
    TCase *tcase = tcase_create("rows");
    tcase_add_loop_test(tcase, row62_http1_answer, 0, COUNT(greetings));
    tcase_add_test(tcase, row63_goaway);
    tcase_add_test(tcase, row63_goaway_before_sending);
    tcase_add_test(tcase, row64_two_goaways);
    tcase_add_loop_test(tcase, rows65_66_87_reset, 0, COUNT(reset_rows));
    tcase_add_test(tcase, row67_reset_behind_the_response);
    tcase_add_test(tcase, row79_header_bomb);
    tcase_add_test(tcase, row79_too_many_fields);
    tcase_add_loop_test(tcase, row80_malformed_head, 0, MALFORMED);
    tcase_add_test(tcase, row80_malformed_trailers);
    tcase_add_test(tcase, row80_trailers_without_end);
    tcase_add_test(tcase, row51_informational);
    tcase_add_test(tcase, row81_content_length);
    tcase_add_test(tcase, row29_body_too_large);
    tcase_add_test(tcase, row84_max_concurrent_streams);
    tcase_add_test(tcase, row84_lowered_before_sending);
    tcase_add_test(tcase, row85_unknown);
    tcase_add_test(tcase, row86_enhance_your_calm);
    tcase_add_test(tcase, row87_goaway_http1_required);
    tcase_add_test(tcase, row88_ping_never_answered);
    tcase_add_test(tcase, row89_ids_exhausted);
    tcase_add_test(tcase, row90_cancel_races_end);
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
