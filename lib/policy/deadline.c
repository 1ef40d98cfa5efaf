/* SPDX-License-Identifier: Apache-2.0 */
/* deadline.c - the least of what is known, saturating. */
#include "policy/deadline.h"

static mesh_nanos end_of(mesh_nanos start, mesh_nanos timeout)
{
    return timeout > 0 ? mesh__nanos_add(start, timeout) : NANOS_NEVER;
}

struct deadline mesh__deadline_of_call(mesh_nanos start, mesh_nanos request_timeout, mesh_nanos inbound_at,
                                       mesh_nanos service_timeout)
{
    mesh_nanos service_at = end_of(start, service_timeout);
    mesh_nanos caller_at = mesh__nanos_min(end_of(start, request_timeout), inbound_at);
    return (struct deadline){ mesh__nanos_min(caller_at, service_at), caller_at < service_at };
}

mesh_nanos mesh__deadline_of_attempt(mesh_nanos deadline, mesh_nanos per_try_timeout, mesh_nanos now)
{
    return mesh__nanos_min(deadline, end_of(now, per_try_timeout));
}

bool mesh__deadline_fits(mesh_nanos deadline, mesh_nanos now, mesh_nanos pause)
{
    mesh_nanos start = mesh__nanos_add(now, mesh__nanos_max(pause, 0));
    return mesh__nanos_add(start, DEADLINE_FLOOR) <= deadline;
}

int64_t mesh__deadline_left_ms(mesh_nanos at, mesh_nanos now)
{
    if (at == NANOS_NEVER)
        return -1;
    return at > now ? mesh__nanos_to_ms(mesh__nanos_sub(at, now)) : 0;
}
