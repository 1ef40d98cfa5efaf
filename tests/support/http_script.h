/* SPDX-License-Identifier: Apache-2.0 */
/* http_script.h - what the HTTP peers of the tests answer: the path of a request says it, whatever carries the bytes.
 *
 *   /echo              200 with the request's body, and x-method
 *   /headers           200; the body has the request line and the header fields, one a line
 *   /status/N          N
 *   /after/N/S         N with Retry-After: S
 *   /chunked           200, "abcdef" in three chunks
 *   /big/N             200 with N bytes
 *   /fields/N          200 with N header fields more
 *   /two               200 with two fields x-two
 *   /delay/MS          200 after so many milliseconds
 *   /never             nothing, ever
 *   /close /reset      the connection ends without an answer
 *   /partial           the connection ends in the middle of the body
 *   /garbage           no HTTP
 *   /stale             200, then the connection ends without having been announced
 *   /seq/KEY/A,B       the n-th request of this KEY is answered as the n-th word says ("503" is short for
 * "status/503"), later ones as the last
 *
 * Each answer has x-endpoint (the number of the endpoint) and x-request (how many requests its connection has brought).
 */
#ifndef TESTS_SUPPORT_HTTP_SCRIPT_H
#define TESTS_SUPPORT_HTTP_SCRIPT_H

#include "base/time.h"

#include <stdbool.h>
#include <stddef.h>

#define SCRIPT_ENDPOINTS 8

enum script_end { SCRIPT_KEEP, SCRIPT_FINISH, SCRIPT_RESET };

/* Bytes to send after a delay, and what becomes of the connection then. Valid during the call only. */
struct script_answer {
    const char *bytes;
    size_t size;
    mesh_nanos delay;
    enum script_end end;
};

/* What all endpoints of a test share. Any thread. */
struct http_script;

struct http_script *script_new(void);
void script_free(struct http_script *);

/* How many requests have come to an endpoint, and how many connections are open and were opened. */
uint64_t script_requests(struct http_script *, int endpoint);
uint64_t script_opened(struct http_script *, int endpoint);
uint64_t script_open_now(struct http_script *, int endpoint);

/* One connection to an endpoint. `answer` may be called by script_feed() only. */
struct script_reader;

struct script_reader *script_connect(struct http_script *, int endpoint,
                                     void (*answer)(void *user, const struct script_answer *), void *user);
void script_feed(struct script_reader *, const char *bytes, size_t size);
void script_disconnect(struct script_reader *);

#endif
