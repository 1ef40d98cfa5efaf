/* SPDX-License-Identifier: Apache-2.0 */
/* trace.h - W3C trace context (traceparent, tracestate, baggage) and the deadline and Retry-After fields. Pure. */
#ifndef MESH__WIRE_TRACE_H
#define MESH__WIRE_TRACE_H

#include "base/time.h"
#include "base/view.h"

#include <mesh/base.h>

#define TRACEPARENT_SIZE 55
#define TRACE_SAMPLED 0x01
#define TRACE_RANDOM 0x02 /* level 2: passed on unchanged */

struct trace_context {
    uint8_t trace_id[16];
    uint8_t span_id[8];
    uint8_t flags; /* only TRACE_SAMPLED and TRACE_RANDOM are ever set */
};

/* False for anything malformed: wrong length of version 00, upper case, all-zero ids, version ff. Of a higher version
 * the first 55 characters count, if the text ends there or a '-' follows. */
bool mesh__trace_parse(struct view text, struct trace_context *out);

/* Writes exactly TRACEPARENT_SIZE characters of version 00, without a NUL. */
void mesh__trace_format(const struct trace_context *context, char out[TRACEPARENT_SIZE]);

/* Writes 2 * size lower-case hex digits, without a NUL. */
void mesh__hex(const uint8_t *bytes, size_t size, char *out);

/* True when a tracestate field may be passed on: 1 to 32 members, each well-formed, no key twice; empty members are
 * allowed. The caller joins several fields by commas. There is no limit on the whole but the members' own. */
bool mesh__tracestate_valid(struct view text);

/* True when a baggage field may be passed on: 1 to 64 members, each well-formed, in at most 8,192 bytes. Empty members
 * are allowed. The caller joins several fields by commas. */
bool mesh__baggage_valid(struct view text);

/* x-envoy-expected-rq-timeout-ms: 1 to 10 digits; -1 when malformed. In nanoseconds. */
mesh_nanos mesh__envoy_timeout_parse(struct view text);

/* grpc-timeout: 1 to 8 digits and one of H M S m u n; -1 when malformed. */
mesh_nanos mesh__grpc_timeout_parse(struct view text);

/* Retry-After: delta-seconds, or an HTTP-date in its three forms against `unix_now_s`; clamped to 0..300 s; -1 when
 * malformed. */
mesh_nanos mesh__retry_after_parse(struct view text, int64_t unix_now_s);

/* "Sun, 06 Nov 1994 08:49:37 GMT"; `out` has room for 30 bytes with the NUL. Clamped to the years 1970 to 9999. */
void mesh__http_date(int64_t unix_s, char out[30]);

#endif
