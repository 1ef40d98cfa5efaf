/* SPDX-License-Identifier: Apache-2.0 */
/* http1_framing.h - what a head means for its connection: how long its body is, and whether another message may follow
 * (RFC 9112 6.3 and 9.3). Whatever two readers could understand in two ways is refused. Pure. */
#ifndef MESH__WIRE_HTTP1_FRAMING_H
#define MESH__WIRE_HTTP1_FRAMING_H

#include "wire/http1.h"

enum http1_body {
    BODY_NONE,
    BODY_LENGTH, /* content_length bytes, more than 0 */
    BODY_CHUNKED,
    BODY_TO_CLOSE /* of a response, up to the end of the connection */
};

/* Reads "GET /path HTTP/1.1": method, target and version are filled in. NULL, or why the line is refused. */
const char *mesh__http1_read_request_line(struct view line, struct http1_head *head);

/* `head` has its headers; the rest of it is filled in from them and from the start line (without CR LF). The values are
 * without spaces at their ends and lie in the head as it came, so that the byte behind one can be looked at. NULL, or
 * static words that say why the message is refused. */
const char *mesh__http1_frame(enum http1_role role, bool to_head, struct view start_line, struct http1_head *head,
                              enum http1_body *body);

#endif
