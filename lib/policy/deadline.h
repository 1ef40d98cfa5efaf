/* SPDX-License-Identifier: Apache-2.0 */
/* deadline.h - until when a call and its attempts may take. Pure. */
#ifndef MESH__POLICY_DEADLINE_H
#define MESH__POLICY_DEADLINE_H

#include "base/time.h"

#include <stdbool.h>

/* No attempt starts with less than this left. */
#define DEADLINE_FLOOR NANOS_MS

struct deadline {
    mesh_nanos at;
    bool is_short; /* earlier than the service's own timeout would put it */
};

/* The least of the request's timeout (0: none), the inbound deadline (a point in time; NANOS_NEVER: none) and the
 * service's timeout, all from `start`. */
struct deadline mesh__deadline_of_call(mesh_nanos start, mesh_nanos request_timeout, mesh_nanos inbound_at,
                                       mesh_nanos service_timeout);

/* The end of an attempt that starts now: per_try_timeout (0: none) capped by the deadline. */
mesh_nanos mesh__deadline_of_attempt(mesh_nanos deadline, mesh_nanos per_try_timeout, mesh_nanos now);

/* True when an attempt may still start after a pause. */
bool mesh__deadline_fits(mesh_nanos deadline, mesh_nanos now, mesh_nanos pause);

/* Whole milliseconds left for the peer, rounded down, at least 0; -1 for NANOS_NEVER. */
int64_t mesh__deadline_left_ms(mesh_nanos at, mesh_nanos now);

#endif
