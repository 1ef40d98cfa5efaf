/* SPDX-License-Identifier: Apache-2.0 */
/* http1_lines.h - the lines of a message head, byte by byte: where they end, and none that a lenient parser would read
 * in another way than a strict one. Pure.
 *
 * Every line ends with CR LF, neither occurs alone, no line but the first is empty before the head's end, and no line
 * begins with a space or tab (obs-fold).
 */
#ifndef MESH__WIRE_HTTP1_LINES_H
#define MESH__WIRE_HTTP1_LINES_H

#include <stdbool.h>
#include <stddef.h>

struct http1_lines {
    bool may_lead;     /* one empty line may come before the first: RFC 9112 2.2, for requests */
    bool any;          /* a line that is not empty has begun */
    bool inside;       /* the current line has bytes */
    bool cr;           /* the last byte was CR */
    bool ended;        /* the empty line that ends the head has come */
    const char *fault; /* static words: the byte behind those returned is wrong */
};

/* The number of bytes that are right: all, or those up to the end of the head, or up to a fault. */
size_t mesh__http1_lines_scan(struct http1_lines *lines, const char *bytes, size_t size);

#endif
