/* SPDX-License-Identifier: Apache-2.0 */
/* server_hostile_test.c - what the server answers to bytes that no decent peer sends, in one piece and byte by byte. */
/* label: threaded */
#include "api/server_peer.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define HOST "host: x\r\n"
#define FIRST "GET /1 HTTP/1.1\r\n" HOST "\r\n"

struct row {
    const char *what;
    const char *bytes;
    int status[3]; /* in this order; 0: no more */
    bool stays;    /* the connection can still be used */
};

static const struct row rows[] = {
    { "a plain request", FIRST, { 200 }, true },
    { "two in one", FIRST FIRST, { 200, 200 }, true },
    { "an empty line before", "\r\n" FIRST, { 200 }, true },
    { "a good one before", FIRST "GET / HTTP/1.1\r\nbad\r\n\r\n", { 200, 400 }, false },
    { "nothing behind a bad one", "GET / HTTP/1.1\r\nbad\r\n\r\n" FIRST, { 400 }, false },
    { "no Host", "GET / HTTP/1.1\r\n\r\n", { 400 }, false },
    { "two Hosts", "GET / HTTP/1.1\r\n" HOST HOST "\r\n", { 400 }, false },
    { "HTTP/1.0 needs none", "GET / HTTP/1.0\r\n\r\n", { 200 }, false },
    { "HTTP/2.0", "GET / HTTP/2.0\r\n" HOST "\r\n", { 400 }, false },
    { "almost the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\rX", { 400 }, false },
    { "a method that begins like it", "PROPFIND / HTTP/1.1\r\n" HOST "\r\n", { 200 }, true },
    { "the preface of HTTP/2 behind a request", FIRST "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", { 200, 400 }, false },
    { "HTTP/0.9", "GET /\r\n\r\n", { 400 }, false },
    { "no words", "\x16\x03\x01\x02\x05\x01\x02\x03\x04\r\n\r\n", { 400 }, false },
    { "bare LF", "GET / HTTP/1.1\n" HOST "\r\n", { 400 }, false },
    { "a space before the colon", "GET / HTTP/1.1\r\nhost : x\r\n\r\n", { 400 }, false },
    { "a folded line", "GET / HTTP/1.1\r\n" HOST "a: b\r\n c\r\n\r\n", { 400 }, false },
    { "a name that is no token", "GET / HTTP/1.1\r\n" HOST "a(b: c\r\n\r\n", { 400 }, false },
    { "absolute form", "GET http://x/ HTTP/1.1\r\n" HOST "\r\n", { 200 }, true },
    { "absolute form with https", "GET https://x/ HTTP/1.1\r\n" HOST "\r\n", { 400 }, false },
    { "absolute form with user information", "GET http://me@x/ HTTP/1.1\r\n" HOST "\r\n", { 400 }, false },
    { "CONNECT to a URL", "CONNECT http://x/ HTTP/1.1\r\n" HOST "\r\n", { 400 }, false },
    { "CONNECT to a path", "CONNECT / HTTP/1.1\r\n" HOST "\r\n", { 400 }, false },
    { "a method of another protocol", "PLAY / HTTP/1.1\r\n" HOST "\r\n", { 501 }, false },
    { "an unknown method", "BREW / HTTP/1.1\r\n" HOST "\r\n", { 501 }, false },
    { "nothing behind an unknown method", "BREW / HTTP/1.1\r\n" HOST "\r\n" FIRST, { 501 }, false },
    { "an unknown method in a bad line", "BREW / HTTP\r\n" HOST "\r\n", { 400 }, false },
    { "CONNECT", "CONNECT x:443 HTTP/1.1\r\n" HOST "\r\n", { 400 }, false },
    { "OPTIONS *", "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", { 200 }, true },
    { "an upgrade is not taken",
      "GET / HTTP/1.1\r\n" HOST "connection: upgrade\r\nupgrade: websocket\r\n\r\n" FIRST,
      { 200, 200 },
      true },
    { "a rare method", "PROPFIND / HTTP/1.1\r\n" HOST "\r\n", { 200 }, true },
    { "two lengths", "POST / HTTP/1.1\r\n" HOST "content-length: 1\r\ncontent-length: 1\r\n\r\na", { 400 }, false },
    { "a list of lengths", "POST / HTTP/1.1\r\n" HOST "content-length: 1, 1\r\n\r\na", { 400 }, false },
    { "a negative length", "POST / HTTP/1.1\r\n" HOST "content-length: -1\r\n\r\n", { 400 }, false },
    { "a signed length", "POST / HTTP/1.1\r\n" HOST "content-length: +1\r\n\r\na", { 400 }, false },
    { "a length beside chunks",
      "POST / HTTP/1.1\r\n" HOST "content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
      { 400 },
      false },
    { "an unknown coding", "POST / HTTP/1.1\r\n" HOST "transfer-encoding: gzip\r\n\r\n", { 400 }, false },
    { "a coding before chunked",
      "POST / HTTP/1.1\r\n" HOST "transfer-encoding: gzip, chunked\r\n\r\n",
      { 400 },
      false },
    { "chunks in HTTP/1.0", "POST / HTTP/1.0\r\n" HOST "transfer-encoding: chunked\r\n\r\n0\r\n\r\n", { 400 }, false },
    { "chunks", "POST / HTTP/1.1\r\n" HOST "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", { 200 }, true },
    { "a chunk's size that is none",
      "POST / HTTP/1.1\r\n" HOST "transfer-encoding: chunked\r\n\r\nxyz\r\n",
      { 400 },
      false },
    { "a chunk that is too long for its size",
      "POST / HTTP/1.1\r\n" HOST "transfer-encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
      { 400 },
      false },
    { "the size of the universe",
      "POST / HTTP/1.1\r\n" HOST "transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
      { 400 },
      false },
    { "a chunk beyond max_body",
      "POST / HTTP/1.1\r\n" HOST "transfer-encoding: chunked\r\n\r\nfffff\r\n",
      { 413 },
      false },
    { "chunks beyond max_body",
      "POST / HTTP/1.1\r\n" HOST
      "transfer-encoding: chunked\r\n\r\n8\r\n12345678\r\n8\r\n12345678\r\n1\r\n9\r\n0\r\n\r\n",
      { 413 },
      false },
    { "a length beyond max_body", "POST / HTTP/1.1\r\n" HOST "content-length: 17\r\n\r\n", { 413 }, false },
    { "as long as max_body", "POST / HTTP/1.1\r\n" HOST "content-length: 16\r\n\r\n1234567890123456", { 200 }, true },
    { "too many fields",
      "GET / HTTP/1.1\r\n" HOST "a: 1\r\nb: 1\r\nc: 1\r\nd: 1\r\ne: 1\r\nf: 1\r\ng: 1\r\nh: 1\r\n\r\n",
      { 431 },
      false },
    { "an expectation that is unknown",
      "POST / HTTP/1.1\r\n" HOST "expect: miracles\r\ncontent-length: 1\r\n\r\na",
      { 417 },
      false },
    { "an expectation in HTTP/1.0",
      "POST / HTTP/1.0\r\n" HOST "expect: miracles\r\ncontent-length: 1\r\n\r\na",
      { 200 },
      false },
    { "waiting for 100 in HTTP/1.0",
      "POST / HTTP/1.0\r\n" HOST "expect: 100-continue\r\ncontent-length: 1\r\n\r\na",
      { 200 },
      false },
    { "waiting for 100",
      "POST / HTTP/1.1\r\n" HOST "expect: 100-Continue\r\ncontent-length: 20\r\n\r\n",
      { 413 },
      false },
    { "nothing to wait for", "GET / HTTP/1.1\r\n" HOST "expect: 100-continue\r\n\r\n", { 200 }, true },
    { "connection: close", "GET / HTTP/1.1\r\n" HOST "connection: close\r\n\r\n" FIRST, { 200 }, false },
    { "Close among others", "GET / HTTP/1.1\r\n" HOST "connection: x, Close\r\n\r\n", { 200 }, false },
};

static void answer_ok(mesh_exchange *exchange, void *user)
{
    (void)user;
    mesh_reply reply = MESH_REPLY_INIT;
    reply.body = "ok";
    reply.body_size = 2;
    (void)mesh_exchange_reply(exchange, &reply);
}

static void send_row(struct peer *peer, const struct row *row, bool in_pieces)
{
    size_t size = strlen(row->bytes), step = in_pieces ? 1 : size;
    for (size_t at = 0; at < size; at += step)
        if (!peer_send(peer, row->bytes + at, step))
            return; /* refused in the middle: the answer tells */
}

static void check_row(const struct row *row, const char *address, bool in_pieces)
{
    struct peer peer = peer_connect(address);
    struct answer answer;
    send_row(&peer, row, in_pieces);
    for (int i = 0; i < 3 && row->status[i]; i++) {
        ck_assert_msg(peer_read(&peer, false, &answer), "%s: no answer %d", row->what, i);
        ck_assert_msg(answer.status == row->status[i], "%s: answer %d is %d", row->what, i, answer.status);
        bool last = i == 2 || row->status[i + 1] == 0;
        char value[32] = "";
        bool closes = answer_field(&answer, "connection", value, sizeof(value)) && strcmp(value, "close") == 0;
        ck_assert_msg(closes == (last && !row->stays), "%s: answer %d says '%s'", row->what, i, value);
        ck_assert_msg(answer_field(&answer, "date", value, sizeof(value)), "%s: no date", row->what);
        answer_free(&answer);
    }
    if (row->stays)
        ck_assert_msg(peer_ask(&peer, FIRST, NULL, 0) == 200, "%s: the connection is lost", row->what);
    else
        ck_assert_msg(peer_at_end(&peer), "%s: the connection is still there", row->what);
    peer_close(&peer);
}

START_TEST(test_rows)
{
    const struct row *row = &rows[_i];
    for (int workers = 0; workers <= 2; workers += 2) {
        char settings[160];
        (void)snprintf(settings, sizeof(settings),
                       "{\"workers\": %d, \"max_body\": \"16B\", \"max_headers\": 8, \"max_header\": \"1KiB\"}",
                       workers);
        mesh_server *server = open_server(settings, NULL, answer_ok, NULL);
        check_row(row, mesh_server_address(server), false);
        check_row(row, mesh_server_address(server), true);
        mesh_server_free(server);
    }
}
END_TEST

START_TEST(test_header_too_large)
{
    mesh_server *server = open_server("{\"max_header\": \"1KiB\"}", NULL, answer_ok, NULL);
    struct peer peer = peer_connect(mesh_server_address(server));
    char line[4000];
    (void)snprintf(line, sizeof(line), "GET / HTTP/1.1\r\n" HOST "a: %02000d\r\n\r\n", 7);
    ck_assert_int_eq(peer_ask(&peer, line, NULL, 0), 431);
    ck_assert(peer_at_end(&peer));
    peer_close(&peer);
    mesh_server_free(server);
}
END_TEST

/* The answer to a body that nobody wants arrives although the peer sends on. */
START_TEST(test_refusal_survives_a_talking_peer)
{
    enum { SIZE = 4 << 20 };
    mesh_server *server = open_server("{\"max_body\": \"1KiB\"}", NULL, answer_ok, NULL);
    struct peer peer = peer_connect(mesh_server_address(server));
    char *body = calloc(1, SIZE);
    ck_assert_ptr_nonnull(body);
    ck_assert(peer_say(&peer, "POST / HTTP/1.1\r\n" HOST "content-length: 4194304\r\n\r\n"));
    ck_assert(peer_send(&peer, body, SIZE));
    struct answer answer;
    ck_assert(peer_read(&peer, false, &answer));
    ck_assert_int_eq(answer.status, 413);
    answer_free(&answer);
    ck_assert(peer_at_end(&peer));
    peer_close(&peer);
    free(body);
    mesh_server_free(server);
}
END_TEST

static const char *const slow_rows[] = { "G", "GET / HTTP/1.1\r\nho",
                                         "POST / HTTP/1.1\r\n" HOST "content-length: 5\r\n\r\nab",
                                         "POST / HTTP/1.1\r\n" HOST "transfer-encoding: chunked\r\n\r\n5\r\nab" };

START_TEST(test_slow_request)
{
    mesh_server *server = open_server("{\"request_timeout\": \"20ms\"}", NULL, answer_ok, NULL);
    struct peer peer = peer_connect(mesh_server_address(server));
    ck_assert_int_eq(peer_ask(&peer, FIRST, NULL, 0), 200); /* the time between requests does not count */
    ck_assert_int_eq(peer_ask(&peer, slow_rows[_i], NULL, 0), 408);
    ck_assert(peer_at_end(&peer));
    peer_close(&peer);
    mesh_server_free(server);
}
END_TEST

START_TEST(test_idle_connection)
{
    mesh_server *server = open_server("{\"idle_timeout\": \"200ms\"}", NULL, answer_ok, NULL);
    struct peer peer = peer_connect(mesh_server_address(server));
    if (_i == 1)
        ck_assert_int_eq(peer_ask(&peer, FIRST, NULL, 0), 200);
    if (_i == 2)
        ck_assert(peer_say(&peer, "\r\n")); /* is no request: no 408 */
    ck_assert(peer_at_end(&peer));
    peer_close(&peer);
    mesh_server_free(server);
}
END_TEST

static void answer_much(mesh_exchange *exchange, void *user)
{
    size_t size = *(size_t *)user;
    mesh_reply reply = MESH_REPLY_INIT;
    char *body = calloc(1, size);
    reply.body = body;
    reply.body_size = size;
    (void)mesh_exchange_reply(exchange, &reply);
    free(body);
}

START_TEST(test_peer_that_does_not_read)
{
    size_t size = 32u << 20; /* more than socket buffers take */
    mesh_server *server = open_server("{\"idle_timeout\": \"200ms\"}", NULL, answer_much, &size);
    struct peer lazy = peer_connect(mesh_server_address(server));
    ck_assert(peer_say(&lazy, FIRST));
    /* With the only connection gone the drain ends by itself: nothing is left to cut. */
    ck_assert(recv(lazy.fd, &(char){ 0 }, 1, MSG_PEEK) == 1);
    ck_assert_int_eq(mesh_server_close(server, (int64_t)PEER_PATIENCE_S * 1000000000), MESH_OK);
    struct answer answer;
    ck_assert(!peer_read(&lazy, false, &answer));
    answer_free(&answer);
    peer_close(&lazy);
    mesh_server_free(server);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server: hostile peers");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    tcase_add_loop_test(tcase, test_rows, 0, sizeof(rows) / sizeof(rows[0]));
    tcase_add_test(tcase, test_header_too_large);
    tcase_add_test(tcase, test_refusal_survives_a_talking_peer);
    tcase_add_loop_test(tcase, test_slow_request, 0, sizeof(slow_rows) / sizeof(slow_rows[0]));
    tcase_add_loop_test(tcase, test_idle_connection, 0, 3);
    tcase_add_test(tcase, test_peer_that_does_not_read);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
