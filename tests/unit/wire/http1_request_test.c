/* SPDX-License-Identifier: Apache-2.0 */
/* http1_request_test.c - what is read from requests, right ones and hostile ones, however their bytes are cut. */
#include "http1_transcript.h"

#include <check.h>
#include <stdio.h>

#define FAULT "! PROTOCOL\n"
#define UNKNOWN "! PROTOCOL 501\n"
#define CUT "! PARTIAL_RESPONSE\n"
#define T(text) text, sizeof(text) - 1
#define HOST "Host: a\r\n"
#define POST "POST /x HTTP/1.1\r\n" HOST

struct row {
    const char *label;
    const char *bytes;
    size_t size;
    const char *expected;
    bool eof;
};

static const struct row rows[] = {
    { "GET", T("GET / HTTP/1.1\r\n" HOST "\r\n"), "GET / keep 0 [Host: a] {} keep\n", 0 },
    { "query", T("GET /a/%20b?c=d&e='f'|{} HTTP/1.1\r\n" HOST "\r\n"),
      "GET /a/%20b?c=d&e='f'|{} keep 0 [Host: a] {} keep\n", 0 },
    { "POST", T(POST "Content-Length: 5\r\n\r\nhello"), "POST /x keep 5 [Host: a] [Content-Length: 5] {hello} keep\n",
      0 },
    { "POST of nothing", T(POST "Content-Length: 0\r\n\r\n"), "POST /x keep 0 [Host: a] [Content-Length: 0] {} keep\n",
      0 },
    { "no length is no body", T(POST "\r\n"), "POST /x keep 0 [Host: a] {} keep\n", 0 },
    { "chunked", T(POST "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n"),
      "POST /x keep -1 [Host: a] [Transfer-Encoding: chunked] {hello} + [A: b] {} keep\n", 0 },
    { "pipelined", T("GET /1 HTTP/1.1\r\n" HOST "\r\nGET /2 HTTP/1.1\r\n" HOST "\r\n"),
      "GET /1 keep 0 [Host: a] {} keep\nGET /2 keep 0 [Host: a] {} keep\n", 0 },
    { "an empty line before", T("\r\nGET / HTTP/1.1\r\n" HOST "\r\n"), "GET / keep 0 [Host: a] {} keep\n", 0 },
    { "an empty line behind a body", T(POST "Content-Length: 1\r\n\r\na\r\nGET / HTTP/1.1\r\n" HOST "\r\n"),
      "POST /x keep 1 [Host: a] [Content-Length: 1] {a} keep\nGET / keep 0 [Host: a] {} keep\n", 0 },
    { "two empty lines before", T("\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n"), FAULT, 0 },
    { "an LF before", T("\nGET / HTTP/1.1\r\n" HOST "\r\n"), FAULT, 0 },
    { "only an empty line", T("\r\n"), "! RESET\n", 1 },
    { "close", T("GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n"),
      "GET / close 0 [Host: a] [Connection: close] {} close\n", 0 },
    { "HTTP/1.0", T("GET / HTTP/1.0\r\n\r\n"), "GET / 1.0 close 0 {} close\n", 0 },
    { "HTTP/1.0 keep-alive", T("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
      "GET / 1.0 keep 0 [Connection: keep-alive] {} keep\n", 0 },
    { "OPTIONS *", T("OPTIONS * HTTP/1.1\r\n" HOST "\r\n"), "OPTIONS * keep 0 [Host: a] {} keep\n", 0 },
    { "Expect is not acted on", T(POST "Expect: 100-continue\r\nContent-Length: 1\r\n\r\na"),
      "POST /x keep 1 [Host: a] [Expect: 100-continue] [Content-Length: 1] {a} keep\n", 0 },
    { "Upgrade is not acted on",
      T("GET / HTTP/1.1\r\n" HOST "Connection: upgrade\r\nUpgrade: h2c\r\n\r\n"
        "GET /2 HTTP/1.1\r\n" HOST "\r\n"),
      "GET / keep 0 [Host: a] [Connection: upgrade] [Upgrade: h2c] {} keep\nGET /2 keep 0 [Host: a] {} keep\n", 0 },
    { "Upgrade with a body", T(POST "Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 1\r\n\r\na"),
      "POST /x keep 1 [Host: a] [Connection: upgrade] [Upgrade: h2c] [Content-Length: 1] {a} keep\n", 0 },
    { "Upgrade with chunks",
      T(POST "Connection: upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"),
      "POST /x keep -1 [Host: a] [Connection: upgrade] [Upgrade: h2c] [Transfer-Encoding: chunked] {a} keep\n", 0 },
    { "host with port", T("GET / HTTP/1.1\r\nHost: a.b:80\r\n\r\n"), "GET / keep 0 [Host: a.b:80] {} keep\n", 0 },
    { "host as an address", T("GET / HTTP/1.1\r\nhost: [::1]:80\r\n\r\n"), "GET / keep 0 [host: [::1]:80] {} keep\n",
      0 },
    { "empty host", T("GET / HTTP/1.1\r\nHost:\r\n\r\n"), "GET / keep 0 [Host: ] {} keep\n", 0 },
    { "no host", T("GET / HTTP/1.1\r\n\r\n"), FAULT, 0 },
    { "two hosts", T("GET / HTTP/1.1\r\n" HOST HOST "\r\n"), FAULT, 0 },
    { "two hosts in HTTP/1.0", T("GET / HTTP/1.0\r\n" HOST HOST "\r\n"), FAULT, 0 },
    { "host with a path", T("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), FAULT, 0 },
    { "host with a user", T("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"), FAULT, 0 },
    { "host with a space", T("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), FAULT, 0 },
    { "absolute form", T("GET http://a/b?c HTTP/1.1\r\n" HOST "\r\n"), "GET /b?c keep 0 [Host: a] {} keep\n", 0 },
    { "absolute form goes before Host", T("GET HTTP://b.c:80/ HTTP/1.1\r\n" HOST "\r\n"),
      "GET / @b.c:80 keep 0 [Host: a] {} keep\n", 0 },
    { "absolute form in HTTP/1.0", T("GET http://[::1]:80/ HTTP/1.0\r\n\r\n"), "GET / @[::1]:80 1.0 close 0 {} close\n",
      0 },
    { "absolute form without a path", T("GET http://a HTTP/1.1\r\n" HOST "\r\n"), "GET / keep 0 [Host: a] {} keep\n",
      0 },
    { "absolute form with only a query", T("GET http://a?b/c HTTP/1.1\r\n" HOST "\r\n"),
      "GET ?b/c keep 0 [Host: a] {} keep\n", 0 },
    { "OPTIONS of a whole server", T("OPTIONS http://a HTTP/1.1\r\n" HOST "\r\n"),
      "OPTIONS * keep 0 [Host: a] {} keep\n", 0 },
    { "absolute form does without no Host", T("GET http://a/ HTTP/1.1\r\n\r\n"), FAULT, 0 },
    { "absolute form of another scheme", T("GET https://a/ HTTP/1.1\r\n" HOST "\r\n"), FAULT, 0 },
    { "absolute form with a user", T("GET http://b@a/ HTTP/1.1\r\n" HOST "\r\n"), FAULT, 0 },
    { "absolute form without an authority", T("GET http:///a HTTP/1.1\r\n" HOST "\r\n"), FAULT, 0 },
    { "absolute form of nothing", T("GET http:// HTTP/1.1\r\n" HOST "\r\n"), FAULT, 0 },
    { "absolute form with a fragment", T("GET http://a/b#c HTTP/1.1\r\n" HOST "\r\n"), FAULT, 0 },
    { "absolute form with a fragment in the query", T("GET http://a?b#c HTTP/1.1\r\n" HOST "\r\n"), FAULT, 0 },
    { "authority form", T("CONNECT a:80 HTTP/1.1\r\n" HOST "\r\n"), FAULT, 0 },
    { "asterisk", T("GET * HTTP/1.1\r\n" HOST "\r\n"), FAULT, 0 },
    { "asterisk and more", T("OPTIONS *x HTTP/1.1\r\n" HOST "\r\n"), FAULT, 0 },
    { "no slash", T("GET x HTTP/1.1\r\n" HOST "\r\n"), FAULT, 0 },
    { "fragment", T("GET /a#b HTTP/1.1\r\n" HOST "\r\n"), FAULT, 0 },
    { "tab in the path", T("GET /a\tb HTTP/1.1\r\n" HOST "\r\n"), FAULT, 0 },
    { "NUL in the path", T("GET /a\0b HTTP/1.1\r\n" HOST "\r\n"), FAULT, 0 },
    { "path above ASCII", T("GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n"), FAULT, 0 },
    { "two spaces", T("GET  / HTTP/1.1\r\n" HOST "\r\n"), FAULT, 0 },
    { "two spaces before the version", T("GET /  HTTP/1.1\r\n" HOST "\r\n"), FAULT, 0 },
    { "space behind the version", T("GET / HTTP/1.1 \r\n" HOST "\r\n"), FAULT, 0 },
    { "space in the path", T("GET /a b HTTP/1.1\r\n" HOST "\r\n"), FAULT, 0 },
    { "no version", T("GET /\r\n" HOST "\r\n"), FAULT, 0 },
    { "no path", T("GET HTTP/1.1\r\n" HOST "\r\n"), FAULT, 0 },
    { "HTTP/0.9", T("GET / HTTP/0.9\r\n" HOST "\r\n"), FAULT, 0 },
    { "HTTP/2.0", T("GET / HTTP/2.0\r\n" HOST "\r\n"), FAULT, 0 },
    { "HTTP/1.2", T("GET / HTTP/1.2\r\n" HOST "\r\n"), FAULT, 0 },
    { "HTTP/2 preface", T("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), FAULT, 0 },
    { "ICE", T("SOURCE / ICE/1.0\r\n" HOST "\r\n"), FAULT, 0 },
    { "RTSP", T("PLAY / RTSP/1.0\r\n" HOST "\r\n"), FAULT, 0 },
    { "lower case method", T("get / HTTP/1.1\r\n" HOST "\r\n"), UNKNOWN, 0 },
    { "method that nobody knows", T("BREW /pot HTTP/1.1\r\n" HOST "\r\n"), UNKNOWN, 0 },
    { "method that goes on", T("GETS / HTTP/1.1\r\n" HOST "\r\n"), UNKNOWN, 0 },
    { "method that ends too soon", T("GE / HTTP/1.1\r\n" HOST "\r\n"), UNKNOWN, 0 },
    { "method of RTSP", T("PLAY / HTTP/1.1\r\n" HOST "\r\n"), UNKNOWN, 0 },
    { "method of the HTTP/2 preface", T("PRI / HTTP/1.1\r\n" HOST "\r\n"), FAULT, 0 },
    { "unknown method behind an empty line", T("\r\nBREW / HTTP/1.1\r\n" HOST "\r\n"), UNKNOWN, 0 },
    { "unknown method, then a fault", T("BREW / HTTP/1.1\r\nHost : a\r\n\r\n"), UNKNOWN, 0 },
    { "unknown method that breaks off", T("BREW / HTTP/1.1"), CUT, 1 },
    { "unknown method, no version", T("BREW /\r\n" HOST "\r\n"), FAULT, 0 },
    { "unknown method, another version", T("BREW / HTTP/2.0\r\n" HOST "\r\n"), FAULT, 0 },
    { "unknown method, no path", T("BREW pot HTTP/1.1\r\n" HOST "\r\n"), FAULT, 0 },
    { "unknown method, bare LF", T("BREW / HTTP/1.1\n" HOST "\r\n"), FAULT, 0 },
    { "unknown method with an odd byte", T("BREW\x01 / HTTP/1.1\r\n" HOST "\r\n"), FAULT, 0 },
    { "SSH", T("SSH-2.0-x\r\n"), FAULT, 0 },
    { "method that is no token", T("G(T / HTTP/1.1\r\n" HOST "\r\n"), FAULT, 0 },
    { "a response", T("HTTP/1.1 200 OK\r\n\r\n"), FAULT, 0 },
    { "a TLS hello", T("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), FAULT, 0 },
    { "length beside coding", T(POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), FAULT, 0 },
    { "coding beside length", T(POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"), FAULT, 0 },
    { "two lengths", T(POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"), FAULT, 0 },
    { "length list", T(POST "Content-Length: 5, 5\r\n\r\nhello"), FAULT, 0 },
    { "length with a plus", T(POST "Content-Length: +5\r\n\r\nhello"), FAULT, 0 },
    { "gzip", T(POST "Transfer-Encoding: gzip\r\n\r\n"), FAULT, 0 },
    { "gzip, chunked", T(POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), FAULT, 0 },
    { "chunked, identity", T(POST "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"), FAULT, 0 },
    { "chunked twice", T(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), FAULT, 0 },
    { "coding in HTTP/1.0", T("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), FAULT, 0 },
    { "folded", T("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n"), FAULT, 0 },
    { "bare LF", T("GET / HTTP/1.1\nHost: a\n\n"), FAULT, 0 },
    { "space before the colon", T("GET / HTTP/1.1\r\nHost : a\r\n\r\n"), FAULT, 0 },
    { "nothing", T(""), "! RESET\n", 1 },
    { "half a request line", T("GET /"), CUT, 1 },
    { "half a head", T("GET / HTTP/1.1\r\n"), CUT, 1 },
    { "half a body", T(POST "Content-Length: 5\r\n\r\nhel"), "POST /x keep 5 [Host: a] [Content-Length: 5] {hel" CUT,
      1 },
};

#define ROW_COUNT ((int)(sizeof rows / sizeof *rows))

static struct transcript_input input_of(const struct row *row)
{
    return (struct transcript_input){ HTTP1_REQUESTS, false, row->eof, { 61440, 100, 8388608 }, row->bytes, row->size };
}

START_TEST(reads_what_came)
{
    const struct row *row = &rows[_i];
    struct transcript_input input = input_of(row);
    struct transcript whole;
    transcript_run(&whole, &input, 0, 0);
    ck_assert_msg(strcmp(mesh__buf_text(&whole.text), row->expected) == 0, "%s: %s, not %s (%s)", row->label,
                  mesh__buf_text(&whole.text), row->expected, whole.reason != NULL ? whole.reason : "no reason");
    transcript_free(&whole);
}
END_TEST

START_TEST(reads_the_same_in_pieces)
{
    const struct row *row = &rows[_i];
    struct transcript_input input = input_of(row);
    struct transcript whole;
    transcript_run(&whole, &input, 0, 0);
    for (size_t first = 1; first <= row->size; first++) {
        for (size_t size = 0; size <= 3; size++) {
            struct transcript pieces;
            transcript_run(&pieces, &input, first, size);
            ck_assert_msg(transcript_equal(&whole, &pieces),
                          "%s: cut at %zu, then every %zu bytes: %s (%s), not %s (%s)", row->label, first, size,
                          mesh__buf_text(&pieces.text), pieces.reason, mesh__buf_text(&whole.text), whole.reason);
            transcript_free(&pieces);
        }
    }
    transcript_free(&whole);
}
END_TEST

/* The methods of RFC 9110 and 5789 but CONNECT. */
START_TEST(knows_the_methods)
{
    static const char *const methods[] = { "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH" };
    const char *method = methods[_i];
    char bytes[64], expected[64];
    (void)snprintf(bytes, sizeof bytes, "%s / HTTP/1.1\r\n" HOST "\r\n", method);
    (void)snprintf(expected, sizeof expected, "%s / keep 0 [Host: a] {} keep\n", method);
    struct transcript_input input = { HTTP1_REQUESTS, false, false, { 1000, 10, 10 }, bytes, strlen(bytes) };
    struct transcript out;
    transcript_run(&out, &input, 0, 0);
    ck_assert_str_eq(mesh__buf_text(&out.text), expected);
    transcript_free(&out);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http1 requests");
    TCase *tcase = tcase_create("requests");
    tcase_add_loop_test(tcase, reads_what_came, 0, ROW_COUNT);
    tcase_add_loop_test(tcase, reads_the_same_in_pieces, 0, ROW_COUNT);
    tcase_add_loop_test(tcase, knows_the_methods, 0, 8);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
