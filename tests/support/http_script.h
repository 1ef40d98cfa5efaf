/* SPDX-License-Identifier: Apache-2.0 */
/* http_script.h - what the HTTP peers of the tests answer: the path of a request says it, whatever the protocol is and
 * whatever carries it.
 *
 *   /echo              200 with the request's body
 *   /headers           200; the body has the request line and the header fields, one a line
 *   /status/N          N
 *   /after/N/S         N with Retry-After: S
 *   /chunked           200, "abcdef" in three chunks or frames, and a trailer
 *   /big/N             200 with N bytes
 *   /fields/N          200 with N header fields more
 *   /two               200 with two fields x-two
 *   /delay/MS          200 after so many milliseconds
 *   /never             nothing, ever
 *   /stale             200, then the connection ends without having been announced
 *   /cut               the connection ends without an answer
 *   /seq/KEY/A,B       the n-th request of this KEY is answered as the n-th word says ("503" is short for
 *                      "status/503"), later ones as the last
 *
 * Where a protocol carries many requests at once, what ends one of them leaves the others alone:
 *
 *                      HTTP/1.1                                  HTTP/2
 *   /close             the connection ends                       the stream is cancelled
 *   /reset             the connection is reset                   the stream is reset, for an error
 *   /partial           the connection ends within the body       the stream is reset within the body
 *   /garbage           no HTTP, then the connection ends         a head without a status
 *   /refuse            400                                       the stream is refused: it was not processed
 *   /leave             400                                       200; no more streams on this connection
 *   /http1             200                                       the stream is reset: only over HTTP/1.1
 *
 * Each answer has x-endpoint (the number of the endpoint) and x-request (how many requests its connection has brought).
 */
#ifndef TESTS_SUPPORT_HTTP_SCRIPT_H
#define TESTS_SUPPORT_HTTP_SCRIPT_H

#include "base/time.h"
#include "wire/http1.h"

#include <stdbool.h>
#include <stddef.h>

#define SCRIPT_ENDPOINTS 8
#define SCRIPT_FIELDS 200
#define SCRIPT_BODY_MAX ((size_t)64 << 20)

enum script_kind {
    SCRIPT_WHOLE,
    SCRIPT_CHUNKED,
    SCRIPT_PARTIAL,
    SCRIPT_GARBAGE,
    SCRIPT_NEVER,
    SCRIPT_CLOSE,
    SCRIPT_RESET,
    SCRIPT_CUT,
    SCRIPT_STALE, /* as SCRIPT_WHOLE before the connection ends */
    SCRIPT_REFUSE,
    SCRIPT_LEAVE, /* as SCRIPT_WHOLE */
    SCRIPT_HTTP1
};

/* A request and its answer. Stays in place. */
struct script_exchange {
    char path[256];
    bool to_head;
    struct buf head, body; /* of the request; the head as /headers tells it */

    enum script_kind kind;
    mesh_nanos delay; /* before anything of the answer */
    int32_t status;
    mesh_header headers[SCRIPT_FIELDS];
    size_t header_count;
    struct view answer;
    char endpoint[12], count[12];
};

void script_begin(struct script_exchange *);
void script_head(struct script_exchange *, const struct http1_head *);
void script_body(struct script_exchange *, struct view bytes);
void script_end(struct script_exchange *);

/* What all endpoints of a test share. Any thread. */
struct http_script;

struct http_script *script_new(void);
void script_free(struct http_script *);

/* How many requests have come to an endpoint, and how many connections are open and were opened. */
uint64_t script_requests(struct http_script *, int endpoint);
uint64_t script_opened(struct http_script *, int endpoint);
uint64_t script_open_now(struct http_script *, int endpoint);

/* A connection to an endpoint begins and ends. */
void script_connect(struct http_script *, int endpoint);
void script_disconnect(struct http_script *, int endpoint);

/* The request is whole, the nth of its connection: says what is answered. */
void script_answer(struct http_script *, int endpoint, unsigned nth, struct script_exchange *);

#endif
