/* SPDX-License-Identifier: Apache-2.0 */
/* reply.h - answers as bytes: what a handler says, checked; what the server says itself; and refusals. */
#ifndef MESH__SERVER_REPLY_H
#define MESH__SERVER_REPLY_H

#include "server/exchange.h"

/* Makes the exchange's reply of what a handler gave; any thread. MESH_EINVAL when it cannot be sent: then the reply is
 * a 500. MESH_NO_MEMORY: there is none, and the connection will be closed. */
mesh_status mesh__reply_build(mesh_exchange *, const mesh_reply *given);

/* Makes the head of a reply whose body comes in pieces; `given` has what is known of it. MESH_OK; MESH_EINVAL or
 * MESH_NO_MEMORY: it is as if nothing had been given. */
mesh_status mesh__reply_begin(mesh_exchange *, const mesh_reply *given);

/* True when the fields may be sent, in a head or as trailers. */
bool mesh__reply_fit(const mesh_exchange *, const mesh_header *headers, size_t count);

/* Notes what a drop is to answer if it comes because reading ended so. */
void mesh__reply_note_refusal(mesh_exchange *, mesh_status status);

/* What whoever gives up the exchange has left: 500, a status that says more, or half a response. */
void mesh__reply_drop(mesh_exchange *);

/* Makes it of a status and a line of text ("": no body); `outcome` is the span's. To a gRPC request it says the gRPC
 * status that stands for the other, and the text as its message, in a head without anything behind it. */
void mesh__reply_own(mesh_exchange *, int32_t status, mesh_status outcome, const char *text);

/* Appends a whole answer to a request of which not even the head could be read. False when memory is out. */
bool mesh__reply_refusal(struct buf *out, const struct world *, int32_t status, const char *text);

#endif
