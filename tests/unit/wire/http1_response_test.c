/* SPDX-License-Identifier: Apache-2.0 */
/* http1_response_test.c - what is read from responses, right ones and hostile ones, however their bytes are cut. */
#include "http1_transcript.h"

#include <check.h>

#define H "HTTP/1.1 200 OK\r\n"
#define CHUNKED H "Transfer-Encoding: chunked\r\n\r\n"
#define IN_CHUNKS "200 keep -1 [Transfer-Encoding: chunked] {"
#define FAULT "! PROTOCOL\n"
#define CUT "! PARTIAL_RESPONSE\n"
#define T(text) text, sizeof(text) - 1

struct row {
    const char *label;
    const char *bytes;
    size_t size;
    const char *expected;
    bool to_head, eof;
};

static const struct row rows[] = {
    { "length", T(H "Content-Length: 5\r\n\r\nhello"), "200 keep 5 [Content-Length: 5] {hello} keep\n", 0, 0 },
    { "no body", T(H "Content-Length: 0\r\n\r\n"), "200 keep 0 [Content-Length: 0] {} keep\n", 0, 0 },
    { "no reason", T("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"), "200 keep 0 [Content-Length: 0] {} keep\n", 0, 0 },
    { "no space either", T("HTTP/1.1 200\r\nContent-Length:0\r\n\r\n"), "200 keep 0 [Content-Length: 0] {} keep\n", 0,
      0 },
    { "latin reason", T("HTTP/1.1 200 \xe4\t!\r\nContent-Length:0\r\n\r\n"), "200 keep 0 [Content-Length: 0] {} keep\n",
      0, 0 },
    { "spaces around values", T(H "A:\r\nB:  \t \r\nC: \t c  d \t\r\nContent-Length:\t0\r\n\r\n"),
      "200 keep 0 [A: ] [B: ] [C: c  d] [Content-Length: 0] {} keep\n", 0, 0 },
    { "bytes above ASCII in a value", T(H "A: \xc3\xa4\xff\r\nContent-Length: 0\r\n\r\n"),
      "200 keep 0 [A: \xc3\xa4\xff] [Content-Length: 0] {} keep\n", 0, 0 },
    { "two messages", T(H "Content-Length: 1\r\n\r\na" CHUNKED "1\r\nb\r\n0\r\n\r\n"),
      "200 keep 1 [Content-Length: 1] {a} keep\n" IN_CHUNKS "b} keep\n", 0, 0 },
    { "to the close", T(H "A: b\r\n\r\nhello"), "200 close -1 [A: b] {hello} close\n", 0, 1 },
    { "to the close, empty", T(H "\r\n"), "200 close -1 {} close\n", 0, 1 },
    { "to the close, which does not come", T(H "\r\nhello"), "200 close -1 {hello", 0, 0 },
    { "HTTP/1.0 to the close", T("HTTP/1.0 200 OK\r\n\r\nhi"), "200 close -1 {hi} close\n", 0, 1 },
    { "HTTP/1.0", T("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi"), "200 close 2 [Content-Length: 2] {hi} close\n",
      0, 0 },
    { "HTTP/1.0 keep-alive", T("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nhi"),
      "200 keep 2 [Connection: Keep-Alive] [Content-Length: 2] {hi} keep\n", 0, 0 },
    { "chunks", T(CHUNKED "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"), IN_CHUNKS "hello world} keep\n", 0, 0 },
    { "hex sizes",
      T(CHUNKED "00000000000000aA\r\n"
                "12345678901234567890123456789012345678901234567890"
                "12345678901234567890123456789012345678901234567890"
                "12345678901234567890123456789012345678901234567890"
                "12345678901234567890\r\n000\r\n\r\n"),
      IN_CHUNKS "12345678901234567890123456789012345678901234567890"
                "12345678901234567890123456789012345678901234567890"
                "12345678901234567890123456789012345678901234567890"
                "12345678901234567890} keep\n",
      0, 0 },
    { "data like framing", T(CHUNKED "7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n"), IN_CHUNKS "\r\n0\r\n\r\n} keep\n", 0, 0 },
    { "upper case coding", T(H "TRANSFER-ENCODING: Chunked\r\n\r\n0\r\n\r\n"),
      "200 keep -1 [TRANSFER-ENCODING: Chunked] {} keep\n", 0, 0 },

    { "34 length beside coding", T(H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), FAULT, 0, 0 },
    { "34 coding beside length", T(H "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"), FAULT, 0, 0 },
    { "34 also to HEAD", T(H "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"), FAULT, 1, 0 },
    { "35 two lengths", T(H "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"), FAULT, 0, 0 },
    { "35 equal lengths", T(H "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"), FAULT, 0, 0 },
    { "36 list", T(H "Content-Length: 5, 5\r\n\r\nhello"), FAULT, 0, 0 },
    { "36 list without space", T(H "Content-Length: 5,5\r\n\r\nhello"), FAULT, 0, 0 },
    { "37 negative", T(H "Content-Length: -1\r\n\r\n"), FAULT, 0, 0 },
    { "37 plus", T(H "Content-Length: +5\r\n\r\nhello"), FAULT, 0, 0 },
    { "37 hex", T(H "Content-Length: 0x5\r\n\r\nhello"), FAULT, 0, 0 },
    { "37 space behind", T(H "Content-Length: 5 \r\n\r\nhello"), FAULT, 0, 0 },
    { "37 space inside", T(H "Content-Length: 5 0\r\n\r\nhello"), FAULT, 0, 0 },
    { "37 underscore", T(H "Content-Length: 1_0\r\n\r\nhello"), FAULT, 0, 0 },
    { "37 empty", T(H "Content-Length:\r\n\r\nhello"), FAULT, 0, 0 },
    { "37 2^64", T(H "Content-Length: 18446744073709551616\r\n\r\n"), FAULT, 0, 0 },
    { "37 2^64 + 5", T(H "Content-Length: 18446744073709551621\r\n\r\nhello"), FAULT, 0, 0 },
    { "37 2^63", T(H "Content-Length: 9223372036854775808\r\n\r\n"), FAULT, 0, 0 },
    { "37 also on 204", T("HTTP/1.1 204 No Content\r\nContent-Length: +5\r\n\r\n"), FAULT, 0, 0 },
    { "38 chunked is not last", T(H "Transfer-Encoding: chunked, identity\r\n\r\n"), FAULT, 0, 1 },
    { "38 another coding", T(H "Transfer-Encoding: xchunked\r\n\r\n"), FAULT, 0, 1 },
    { "38 gzip before", T(H "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), FAULT, 0, 1 },
    { "38 gzip", T(H "Transfer-Encoding: gzip\r\n\r\n"), FAULT, 0, 1 },
    { "38 identity", T(H "Transfer-Encoding: identity\r\n\r\n"), FAULT, 0, 1 },
    { "38 empty", T(H "Transfer-Encoding:\r\n\r\n"), FAULT, 0, 1 },
    { "38 chunked twice", T(H "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"), FAULT, 0, 0 },
    { "38 two fields", T(H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), FAULT, 0, 0 },
    { "38 parameter", T(H "Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n"), FAULT, 0, 0 },
    { "38 vertical tab",
      T(H "Transfer-Encoding: \x0b"
          "chunked\r\n\r\n0\r\n\r\n"),
      FAULT, 0, 0 },
    { "39 coding in HTTP/1.0", T("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), FAULT, 0, 0 },
    { "40 0x", T(CHUNKED "0x5\r\nhello\r\n0\r\n\r\n"), IN_CHUNKS FAULT, 0, 0 },
    { "40 negative", T(CHUNKED "-1\r\nhello\r\n0\r\n\r\n"), IN_CHUNKS FAULT, 0, 0 },
    { "40 plus", T(CHUNKED "+5\r\nhello\r\n0\r\n\r\n"), IN_CHUNKS FAULT, 0, 0 },
    { "40 17 digits", T(CHUNKED "10000000000000000\r\n"), IN_CHUNKS FAULT, 0, 0 },
    { "40 17 digits, small", T(CHUNKED "00000000000000005\r\nhello\r\n0\r\n\r\n"), IN_CHUNKS FAULT, 0, 0 },
    { "40 2^64 - 1", T(CHUNKED "ffffffffffffffff\r\nhello"), IN_CHUNKS "! BODY_TOO_LARGE\n", 0, 0 },
    { "40 2^64 - 1 behind some", T(CHUNKED "5\r\nhello\r\nffffffffffffffff\r\nhello"),
      IN_CHUNKS "hello! BODY_TOO_LARGE\n", 0, 0 },
    { "40 empty", T(CHUNKED "\r\nhello\r\n0\r\n\r\n"), IN_CHUNKS FAULT, 0, 0 },
    { "40 only an extension", T(CHUNKED ";a\r\nhello\r\n0\r\n\r\n"), IN_CHUNKS FAULT, 0, 0 },
    { "40 space before", T(CHUNKED " 5\r\nhello\r\n0\r\n\r\n"), IN_CHUNKS FAULT, 0, 0 },
    { "40 space behind", T(CHUNKED "5 \r\nhello\r\n0\r\n\r\n"), IN_CHUNKS FAULT, 0, 0 },
    { "40 bare LF", T(CHUNKED "5\nhello\r\n0\r\n\r\n"), IN_CHUNKS FAULT, 0, 0 },
    { "40 bare CR", T(CHUNKED "5\rhello\r\n0\r\n\r\n"), IN_CHUNKS FAULT, 0, 0 },
    { "41 extensions", T(CHUNKED "5;a;b=c;d=\"e f\"\r\nhello\r\n0;x=\"\r\n\r\n"), IN_CHUNKS "hello} keep\n", 0, 0 },
    { "41 LF in an extension", T(CHUNKED "5;a\nhello\r\n0\r\n\r\n"), IN_CHUNKS FAULT, 0, 0 },
    { "41 NUL in an extension", T(CHUNKED "5;a\0\r\nhello\r\n0\r\n\r\n"), IN_CHUNKS FAULT, 0, 0 },
    { "42 more data than said", T(CHUNKED "5\r\nhelloX\r\n0\r\n\r\n"), IN_CHUNKS "hello" FAULT, 0, 0 },
    { "42 LF behind data", T(CHUNKED "5\r\nhello\n0\r\n\r\n"), IN_CHUNKS "hello" FAULT, 0, 0 },
    { "42 CR behind data", T(CHUNKED "5\r\nhello\rX0\r\n\r\n"), IN_CHUNKS "hello" FAULT, 0, 0 },
    { "42 nothing behind data", T(CHUNKED "5\r\nhello0\r\n\r\n"), IN_CHUNKS "hello" FAULT, 0, 0 },
    { "43 no last chunk", T(CHUNKED "5\r\nhello\r\n"), IN_CHUNKS "hello" CUT, 0, 1 },
    { "43 no last empty line", T(CHUNKED "5\r\nhello\r\n0\r\n"), IN_CHUNKS "hello" CUT, 0, 1 },
    { "43 half a chunk", T(CHUNKED "5\r\nhel"), IN_CHUNKS "hel" CUT, 0, 1 },
    { "44 trailers", T(CHUNKED "0\r\nContent-Length: 5\r\nHost: a\r\nTransfer-Encoding: x\r\nA:\r\n\r\n"),
      IN_CHUNKS "} + [Content-Length: 5] [Host: a] [Transfer-Encoding: x] [A: ] {} keep\n", 0, 0 },
    { "44 spaces around a value and colons in it", T(CHUNKED "5\r\nhello\r\n0\r\nA: \t b:c \t\r\nB::\r\n\r\n"),
      IN_CHUNKS "hello} + [A: b:c] [B: :] {} keep\n", 0, 0 },
    { "44 space before the colon", T(CHUNKED "0\r\nA : b\r\n\r\n"), IN_CHUNKS FAULT, 0, 0 },
    { "44 folded", T(CHUNKED "0\r\nA: b\r\n c\r\n\r\n"), IN_CHUNKS FAULT, 0, 0 },
    { "44 no name", T(CHUNKED "0\r\n: b\r\n\r\n"), IN_CHUNKS FAULT, 0, 0 },
    { "44 no colon", T(CHUNKED "0\r\nA\r\n\r\n"), IN_CHUNKS FAULT, 0, 0 },
    { "44 bare LF", T(CHUNKED "0\r\nA: b\n\r\n"), IN_CHUNKS FAULT, 0, 0 },
    { "44 bare CR", T(CHUNKED "0\r\nA: b\rc\r\n\r\n"), IN_CHUNKS FAULT, 0, 0 },
    { "44 bare LF at the end", T(CHUNKED "0\r\n\n"), IN_CHUNKS FAULT, 0, 0 },
    { "45 folded", T(H "A: b\r\n c\r\nContent-Length: 0\r\n\r\n"), FAULT, 0, 0 },
    { "45 folded by a tab", T(H "A: b\r\n\tc\r\nContent-Length: 0\r\n\r\n"), FAULT, 0, 0 },
    { "45 folded length", T(H "Content-Length:\r\n 5\r\n\r\nhello"), FAULT, 0, 0 },
    { "45 folded behind the status line", T(H " A: b\r\nContent-Length: 0\r\n\r\n"), FAULT, 0, 0 },
    { "45 folded empty line", T(H "A: b\r\n \r\n\r\n"), FAULT, 0, 0 },
    { "46 LF behind the status line", T("HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n"), FAULT, 0, 0 },
    { "46 LF behind the status", T("HTTP/1.1 200\nContent-Length: 0\r\n\r\n"), FAULT, 0, 0 },
    { "46 LF behind a field", T(H "A: b\nContent-Length: 0\r\n\r\n"), FAULT, 0, 0 },
    { "46 LF behind an empty field", T(H "A:\nContent-Length: 0\r\n\r\n"), FAULT, 0, 0 },
    { "46 LF behind a length", T(H "Content-Length: 0\n\r\n"), FAULT, 0, 0 },
    { "46 LF at the end", T(H "Content-Length: 0\r\n\n"), FAULT, 0, 0 },
    { "46 only LF", T("HTTP/1.1 200 OK\nContent-Length: 0\n\n"), FAULT, 0, 0 },
    { "47 CR in a value", T(H "A: b\rc\r\nContent-Length: 0\r\n\r\n"), FAULT, 0, 0 },
    { "47 CR CR LF", T(H "A: b\r\r\nContent-Length: 0\r\n\r\n"), FAULT, 0, 0 },
    { "47 CR in the reason", T("HTTP/1.1 200 O\rK\r\nContent-Length: 0\r\n\r\n"), FAULT, 0, 0 },
    { "47 CR for a line end", T(H "A: b\rContent-Length: 0\r\n\r\n"), FAULT, 0, 0 },
    { "47 NUL in a value", T(H "A: b\0c\r\nContent-Length: 0\r\n\r\n"), FAULT, 0, 0 },
    { "47 NUL in the reason", T("HTTP/1.1 200 O\0K\r\nContent-Length: 0\r\n\r\n"), FAULT, 0, 0 },
    { "47 DEL in a value", T(H "A: b\x7f\r\nContent-Length: 0\r\n\r\n"), FAULT, 0, 0 },
    { "47 vertical tab in a value", T(H "A: b\x0b\r\nContent-Length: 0\r\n\r\n"), FAULT, 0, 0 },
    { "48 space before the colon", T(H "A : b\r\nContent-Length: 0\r\n\r\n"), FAULT, 0, 0 },
    { "48 tab before the colon", T(H "A\t: b\r\nContent-Length: 0\r\n\r\n"), FAULT, 0, 0 },
    { "48 space in a name, which a loose parser takes", T(H "A B: c\r\nContent-Length: 0\r\n\r\n"), FAULT, 0, 0 },
    { "48 no name", T(H ": b\r\nContent-Length: 0\r\n\r\n"), FAULT, 0, 0 },
    { "48 no colon", T(H "novalue\r\nContent-Length: 0\r\n\r\n"), FAULT, 0, 0 },
    { "48 no token", T(H "A(B): c\r\nContent-Length: 0\r\n\r\n"), FAULT, 0, 0 },
    { "48 name above ASCII", T(H "\xc3\xa4: c\r\nContent-Length: 0\r\n\r\n"), FAULT, 0, 0 },
    { "48 NUL in a name", T(H "A\0B: c\r\nContent-Length: 0\r\n\r\n"), FAULT, 0, 0 },
    { "50 two digits", T("HTTP/1.1 20\r\nContent-Length: 0\r\n\r\n"), FAULT, 0, 0 },
    { "50 two digits and a reason", T("HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"), FAULT, 0, 0 },
    { "50 four digits", T("HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"), FAULT, 0, 0 },
    { "50 letters", T("HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n"), FAULT, 0, 0 },
    { "50 no status", T("HTTP/1.1\r\nContent-Length: 0\r\n\r\n"), FAULT, 0, 0 },
    { "50 099", T("HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n"), FAULT, 0, 0 },
    { "50 999", T("HTTP/1.1 999 OK\r\nContent-Length: 0\r\n\r\n"), "999 keep 0 [Content-Length: 0] {} keep\n", 0, 0 },
    { "50 600", T("HTTP/1.1 600 OK\r\nContent-Length: 0\r\n\r\n"), "600 keep 0 [Content-Length: 0] {} keep\n", 0, 0 },
    { "50 two spaces", T("HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n"), FAULT, 0, 0 },
    { "50 tab", T("HTTP/1.1\t200 OK\r\nContent-Length: 0\r\n\r\n"), FAULT, 0, 0 },
    { "50 HTTP/3.0", T("HTTP/3.0 200 OK\r\nContent-Length: 0\r\n\r\n"), FAULT, 0, 0 },
    { "50 HTTP/2.0", T("HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"), FAULT, 0, 0 },
    { "50 HTTP/0.9", T("HTTP/0.9 200 OK\r\nContent-Length: 0\r\n\r\n"), FAULT, 0, 0 },
    { "50 HTTP/1.2", T("HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n"), FAULT, 0, 0 },
    { "50 HTTP/1.10", T("HTTP/1.10 200 OK\r\nContent-Length: 0\r\n\r\n"), FAULT, 0, 0 },
    { "50 http/1.1", T("http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), FAULT, 0, 0 },
    { "50 ICY", T("ICY 200 OK\r\nContent-Length: 0\r\n\r\n"), FAULT, 0, 0 },
    { "50 a request", T("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), FAULT, 0, 0 },
    { "50 an HTTP/2 preface", T("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), FAULT, 0, 0 },
    { "50 a TLS alert", T("\x15\x03\x01\x00\x02\x02\x0a"), FAULT, 0, 0 },
    { "50 an HTTP/2 SETTINGS frame", T("\0\0\0\x04\0\0\0\0\0"), FAULT, 0, 0 },
    { "50 an empty line first", T("\r\n" H "Content-Length: 0\r\n\r\n"), FAULT, 0, 0 },
    { "50 a space first", T(" " H "Content-Length: 0\r\n\r\n"), FAULT, 0, 0 },
    { "51 some 1xx",
      T("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" H "Content-Length: 2\r\n\r\nhi"),
      "200 keep 2 [Content-Length: 2] {hi} keep\n", 0, 0 },
    { "51 1xx with a length", T("HTTP/1.1 199 X\r\nContent-Length: 9\r\n\r\n" H "Content-Length: 2\r\n\r\nhi"),
      "200 keep 2 [Content-Length: 2] {hi} keep\n", 0, 0 },
    { "51 1xx with close", T("HTTP/1.1 100 X\r\nConnection: close\r\n\r\n" H "Content-Length: 2\r\n\r\nhi"),
      "200 keep 2 [Content-Length: 2] {hi} keep\n", 0, 0 },
    { "51 1xx and the end", T("HTTP/1.1 100 Continue\r\n\r\n"), CUT, 0, 1 },
    { "52 101", T("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n"), FAULT, 0, 0 },
    { "53 204", T("HTTP/1.1 204 No Content\r\nContent-Length: 10\r\n\r\n"), "204 keep 0 [Content-Length: 10] {} keep\n",
      0, 0 },
    { "53 204 chunked", T("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n"),
      "204 keep 0 [Transfer-Encoding: chunked] {} keep\n", 0, 0 },
    { "53 204 bare", T("HTTP/1.1 204 No Content\r\n\r\n"), "204 keep 0 {} keep\n", 0, 0 },
    { "53 304", T("HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n"),
      "304 keep 0 [Content-Length: 10] {} keep\n", 0, 0 },
    { "53 HEAD", T(H "Content-Length: 10\r\n\r\n"), "200 keep 0 [Content-Length: 10] {} keep\n", 1, 0 },
    { "53 HEAD chunked", T(H "Transfer-Encoding: chunked\r\n\r\n"), "200 keep 0 [Transfer-Encoding: chunked] {} keep\n",
      1, 0 },
    { "53 HEAD without a length", T(H "\r\n"), "200 keep 0 {} keep\n", 1, 0 },
    { "54 nothing", T(""), "! RESET\n", 0, 1 },
    { "54 half a status line", T("HTTP/1.1 2"), CUT, 0, 1 },
    { "54 half a head", T(H "A: b\r\n"), CUT, 0, 1 },
    { "55 garbage behind the body", T(H "Content-Length: 2\r\n\r\nhiX"),
      "200 keep 2 [Content-Length: 2] {hi} keep\n" FAULT, 0, 0 },
    { "55 garbage behind close", T(H "Connection: close\r\nContent-Length: 2\r\n\r\nhiX"),
      "200 close 2 [Connection: close] [Content-Length: 2] {hi} close\n" FAULT, 0, 0 },
    { "56 half a body", T(H "Content-Length: 5\r\n\r\nhel"), "200 keep 5 [Content-Length: 5] {hel" CUT, 0, 1 },
    { "57 early 413", T("HTTP/1.1 413 X\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig"),
      "413 close 3 [Connection: close] [Content-Length: 3] {big} close\n", 0, 1 },
    { "61 close", T(H "Connection: close\r\nContent-Length: 0\r\n\r\n"),
      "200 close 0 [Connection: close] [Content-Length: 0] {} close\n", 0, 0 },
    { "61 close in a list", T(H "Connection: a,, CLOSE ,b\r\nContent-Length: 0\r\n\r\n"),
      "200 close 0 [Connection: a,, CLOSE ,b] [Content-Length: 0] {} close\n", 0, 0 },
    { "61 close in a second field", T(H "Connection: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"),
      "200 close 0 [Connection: a] [Connection: close] [Content-Length: 0] {} close\n", 0, 0 },
    { "61 close wins", T(H "Connection: keep-alive, close\r\nContent-Length: 0\r\n\r\n"),
      "200 close 0 [Connection: keep-alive, close] [Content-Length: 0] {} close\n", 0, 0 },
    { "61 closed is not close", T(H "Connection: closed\r\nContent-Length: 0\r\n\r\n"),
      "200 keep 0 [Connection: closed] [Content-Length: 0] {} keep\n", 0, 0 },
    { "61 chunked and close", T(H "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"),
      "200 close -1 [Connection: close] [Transfer-Encoding: chunked] {a} close\n", 0, 0 },
    { "61 timeout", T(H "Keep-Alive: timeout=5, max=100\r\nContent-Length: 0\r\n\r\n"),
      "200 keep 0 timeout=5 [Keep-Alive: timeout=5, max=100] [Content-Length: 0] {} keep\n", 0, 0 },
    { "61 timeout behind", T(H "Keep-Alive: max=100,Timeout=7\r\nContent-Length: 0\r\n\r\n"),
      "200 keep 0 timeout=7 [Keep-Alive: max=100,Timeout=7] [Content-Length: 0] {} keep\n", 0, 0 },
    { "61 timeout 0", T(H "Keep-Alive: timeout=0\r\nContent-Length: 0\r\n\r\n"),
      "200 close 0 timeout=0 [Keep-Alive: timeout=0] [Content-Length: 0] {} close\n", 0, 0 },
    { "61 malformed timeout", T(H "Keep-Alive: timeout=-1\r\nContent-Length: 0\r\n\r\n"),
      "200 keep 0 [Keep-Alive: timeout=-1] [Content-Length: 0] {} keep\n", 0, 0 },
    { "61 empty timeout", T(H "Keep-Alive: timeout=\r\nContent-Length: 0\r\n\r\n"),
      "200 keep 0 [Keep-Alive: timeout=] [Content-Length: 0] {} keep\n", 0, 0 },
};

#define ROW_COUNT ((int)(sizeof rows / sizeof *rows))

static struct transcript_input input_of(const struct row *row)
{
    return (struct transcript_input){ HTTP1_RESPONSES,         row->to_head, row->eof,
                                      { 61440, 100, 8388608 }, row->bytes,   row->size };
}

START_TEST(reads_what_came)
{
    const struct row *row = &rows[_i];
    struct transcript_input input = input_of(row);
    struct transcript whole;
    transcript_run(&whole, &input, 0, 0);
    ck_assert_msg(strcmp(mesh__buf_text(&whole.text), row->expected) == 0, "%s: %s, not %s (%s)", row->label,
                  mesh__buf_text(&whole.text), row->expected, whole.reason != NULL ? whole.reason : "no reason");
    ck_assert_msg((strchr(row->expected, '!') != NULL) == (whole.reason != NULL), "%s: a reason with an error",
                  row->label);
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

/* Every row that is refused for a byte of its own is refused before that byte's line could end. */
START_TEST(refuses_other_protocols_at_once)
{
    static const char *const starts[] = {
        "ICY", "GET ", "PRI ", "\x15\x03", "SSH-2.0", "220 smtp", "<html>", "\r", "\n"
    };
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        struct transcript_input input = { HTTP1_RESPONSES,     false,     false,
                                          { 61440, 100, 100 }, starts[i], strlen(starts[i]) };
        struct transcript out;
        transcript_run(&out, &input, 0, 0);
        ck_assert_msg(strcmp(mesh__buf_text(&out.text), FAULT) == 0, "%s", starts[i]);
        transcript_free(&out);
    }
}
END_TEST

/* `count` 1xx responses and a final one. */
static void run_informational(size_t count, struct transcript *out)
{
    struct buf bytes;
    mesh__buf_init(&bytes, &mesh__mem_system, 1 << 20);
    for (size_t i = 0; i < count; i++)
        mesh__buf_append_text(&bytes, "HTTP/1.1 102 Processing\r\n\r\n");
    mesh__buf_append_text(&bytes, H "Content-Length: 0\r\n\r\n");
    struct transcript_input input = { HTTP1_RESPONSES, false, false, { 1000, 10, 100 }, bytes.data, bytes.size };
    transcript_run(out, &input, 7, 11);
    mesh__buf_fini(&bytes);
}

START_TEST(skips_a_bounded_number_of_1xx)
{
    struct transcript out;
    run_informational(HTTP1_INFORMATIONAL_MAX, &out);
    ck_assert_str_eq(mesh__buf_text(&out.text), "200 keep 0 [Content-Length: 0] {} keep\n");
    transcript_free(&out);
    run_informational(HTTP1_INFORMATIONAL_MAX + 1, &out);
    ck_assert_str_eq(mesh__buf_text(&out.text), FAULT);
    transcript_free(&out);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http1 responses");
    TCase *tcase = tcase_create("responses");
    tcase_add_loop_test(tcase, reads_what_came, 0, ROW_COUNT);
    tcase_add_loop_test(tcase, reads_the_same_in_pieces, 0, ROW_COUNT);
    tcase_add_test(tcase, refuses_other_protocols_at_once);
    tcase_add_test(tcase, skips_a_bounded_number_of_1xx);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
