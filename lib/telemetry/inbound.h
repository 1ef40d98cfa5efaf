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
    struct trace_context trace; /* span_id: the caller's span */
    mesh_nanos deadline;        /* on the real world's monotonic clock; NANOS_NEVER: none */
    const char *tracestate;     /* joined by commas, valid; "" when there is none */
    const char *baggage;        /* likewise */
    bool borrowed;              /* belongs to an exchange: mesh_inbound_free() leaves it alone */
    struct mem mem;             /* where the two texts, and unless borrowed the struct, come from */
};

/* Fills `out` (all but `borrowed`) from header fields. False when memory is out. */
bool mesh__inbound_init(struct mesh_inbound *out, const struct mem *, const mesh_header *headers, size_t count,
                        mesh_nanos now);

/* Frees the texts. */
void mesh__inbound_fini(struct mesh_inbound *);

#endif
