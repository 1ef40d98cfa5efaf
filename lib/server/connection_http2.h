/* SPDX-License-Identifier: Apache-2.0 */
/* connection_http2.h - between connection_http2.c, which has the bytes and the time, and exchange_http2.c. */
#ifndef MESH__SERVER_CONNECTION_HTTP2_H
#define MESH__SERVER_CONNECTION_HTTP2_H

#include "server/connection.h"

/* Has the connection flushed at the end of the turn. */
void mesh__http2_side_touch(struct connection *);

/* The codec's events; their user is the connection. */
extern const struct http2_events mesh__http2_side_events;

/* The exchange at the head of one of the connection's lists; NULL when it is empty. */
mesh_exchange *mesh__http2_side_first(const struct list *);

bool mesh__http2_side_has_exchanges(const struct connection_http2 *);

/* Answers an exchange for the server, and logs why. */
void mesh__http2_side_refuse(struct connection *, mesh_exchange *, int32_t status, mesh_status outcome,
                             const char *reason);

/* Gives up the stream of an exchange, which is lost to whoever has it. */
void mesh__http2_side_reset(struct connection *, mesh_exchange *, uint32_t code);

/* Nothing has moved of an exchange that waits for its peer for `idle_timeout`: it is given up if the peer takes
 * nothing, or if its handler waits as long for something to come. */
void mesh__http2_side_stand(struct connection *, mesh_exchange *);

#endif
