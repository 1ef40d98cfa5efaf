/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.h - gRPC on a call that is handed on whole: its message goes out framed, comes in unframed, and the call ends
 * with a gRPC status, whatever ended it. Streams use what does not touch bodies: fields, outcome, status. */
#ifndef MESH__CLIENT_GRPC_H
#define MESH__CLIENT_GRPC_H

#include "client/call.h"

/* What keeps a request with MESH_GRPC from being sent, or NULL. */
const char *mesh__grpc_problem(const mesh_request *);

static inline bool mesh__grpc_is(const struct call *call)
{
    return (call->flags & MESH_GRPC) != 0;
}

/* The fields of the next attempt, at most GRPC_OWN_FIELDS, which the caller has not set: te, content-type,
 * grpc-timeout, grpc-previous-rpc-attempts. How many. */
size_t mesh__grpc_fields(struct call *, mesh_nanos until, mesh_header *out);

/* The next attempt's body, and nothing known of its response yet. */
void mesh__grpc_begin(struct call *);

/* What a response's head and its trailers say; trailers have the last word. False: memory is out. */
bool mesh__grpc_take_head(struct call *, const struct http1_head *);
bool mesh__grpc_take_trailers(struct call *, const mesh_header *trailers, size_t count);

/* Appends what these bytes have of the message to the result. GRPC_MORE; GRPC_FAILED when the body is none that a unary
 * call can have: then decoder.status and .reason tell. False in `memory`: it is out. */
enum grpc_event mesh__grpc_take_body(struct call *, struct view bytes, bool *memory);

/* The response is whole. NULL and the result's gRPC status, or why it is none that a unary call can have. */
const char *mesh__grpc_finish(struct call *);

/* What an attempt's outcome amounts to. `http2_code`: of RST_STREAM from the peer; -1: none came. */
int32_t mesh__grpc_of_failure(mesh_status status, int64_t http2_code);

/* The status of a call that has none yet: one that failed. Its words are those of the result. */
void mesh__grpc_conclude(struct call *);

#endif
