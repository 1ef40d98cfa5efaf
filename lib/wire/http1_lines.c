/* SPDX-License-Identifier: Apache-2.0 */
/* http1_lines.c - a search for CR and LF in each line; the state of a line that is cut is five flags. */
#include "wire/http1_lines.h"

#include <string.h>

/* The byte behind a CR. False when it is not LF. */
static bool line_feed(struct http1_lines *lines, char c)
{
    if (c != '\n') {
        lines->fault = "a CR without LF";
        return false;
    }
    lines->cr = false;
    if (lines->inside)
        lines->inside = false;
    else if (lines->any)
        lines->ended = true;
    else
        lines->may_lead = false;
    return true;
}

/* The first byte of a line. */
static bool line_start(struct http1_lines *lines, char c)
{
    if (c == ' ' || c == '\t')
        lines->fault = lines->any ? "a header field that is folded" : "a space before the start line";
    else if (c == '\r' && !lines->any && !lines->may_lead)
        lines->fault = "an empty line before the start line";
    else if (c != '\r' && c != '\n')
        lines->any = lines->inside = true;
    return lines->fault == NULL;
}

/* The bytes of a line up to and with its CR; fewer than given only at a bare LF or behind the CR. */
static size_t line_rest(struct http1_lines *lines, const char *bytes, size_t size)
{
    const char *lf = memchr(bytes, '\n', size);
    size_t room = lf != NULL ? (size_t)(lf - bytes) : size;
    const char *cr = memchr(bytes, '\r', room);
    if (cr != NULL) {
        lines->cr = true;
        return (size_t)(cr - bytes) + 1;
    }
    if (lf != NULL)
        lines->fault = "an LF without CR";
    return room;
}

size_t mesh__http1_lines_scan(struct http1_lines *lines, const char *bytes, size_t size)
{
    size_t at = 0;
    while (at < size && !lines->ended && lines->fault == NULL) {
        if (lines->cr) {
            if (line_feed(lines, bytes[at]))
                at++;
        } else if (lines->inside || line_start(lines, bytes[at])) {
            at += line_rest(lines, bytes + at, size - at);
        }
    }
    return at;
}
