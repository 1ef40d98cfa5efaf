/* SPDX-License-Identifier: Apache-2.0 */
/* connection_http1.h - between connection_http1.c, one whole request and one whole answer at a time, and
 * connection_http1_stream.c, for exchanges that come or go in pieces. */
#ifndef MESH__SERVER_CONNECTION_HTTP1_H
#define MESH__SERVER_CONNECTION_HTTP1_H

#include "server/connection.h"

#define HTTP1_CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"

/* Reads while something is buffered and wanted. */
void mesh__http1_side_read(struct connection *);

/* Writes what is left of an answer that is whole, and goes on when all of it is out. */
void mesh__http1_side_write(struct connection *);

/* In STREAMING: something was read (NULL: before it was handed over); something is ready; time is up. */
void mesh__http1_stream_read(struct connection *, const struct http1_progress *);
void mesh__http1_stream_ready(struct connection *, uint32_t events);
void mesh__http1_stream_timeout(struct connection *);

/* Something was posted of an exchange that is in pieces, or may be yet. */
void mesh__http1_stream_follow(struct connection *, mesh_exchange *, uint32_t posts);

#endif
