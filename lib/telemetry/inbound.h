/* SPDX-License-Identifier: Apache-2.0 */
/* inbound.h - what came in with the request that this process is serving: trace, baggage, deadline. Immutable. */
#ifndef MESH__TELEMETRY_INBOUND_H
#define MESH__TELEMETRY_INBOUND_H

#include "base/mem.h"
#include "base/time.h"
#include "wire/trace.h"

#include <mesh/call.h>

struct mesh_inbound {
    bool has_trace;
    struct trace_context trace; /* span_id: the parent of calls made: the caller's span, or in an exchange of a server
                                   that reports spans the server's own */
    mesh_nanos deadline;        /* on the real world's monotonic clock; NANOS_NEVER: none */
    const char *tracestate;     /* joined by commas, valid; "" when there is none */
    const char *baggage;        /* likewise */
    bool borrowed;              /* belongs to an exchange: mesh_inbound_free() leaves it alone */
    struct mem mem;             /* where the two texts, and unless borrowed the struct, come from */
};

/* Fills `out` (all but `borrowed`) from header fields; the deadline counts from `now`. Fields that are malformed, and
 * a traceparent that comes twice, count as absent; tracestate counts only beside a valid traceparent; of several
 * deadlines the least. False when memory is out: then there is nothing to free. */
bool mesh__inbound_init(struct mesh_inbound *out, const struct mem *, const mesh_header *headers, size_t count,
                        mesh_nanos now);

/* Frees the texts. */
void mesh__inbound_fini(struct mesh_inbound *);

#endif
