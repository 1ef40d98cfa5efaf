/* SPDX-License-Identifier: Apache-2.0 */
/* stamp.h - the 32-bit milliseconds that estimate and budget carry, and the time between two of them. Pure. */
#ifndef MESH__POLICY_STAMP_H
#define MESH__POLICY_STAMP_H

#include "base/time.h"

/* Clocks of shards differ by less than this; so much below 2^32 means "a little earlier". */
#define STAMP_SKEW_MS 60000u

/* 0 stands for "never", so time 0 is 1. */
static inline uint32_t mesh__stamp_of(mesh_nanos now)
{
    uint32_t ms = (uint32_t)mesh__nanos_to_ms(now);
    return ms ? ms : 1;
}

/* Milliseconds from `*stamp` to `now`, and moves `*stamp` there; 0, and the stamp stays, when `now` is a little
 * earlier.
 */
static inline uint32_t mesh__stamp_advance(uint32_t *stamp, mesh_nanos now)
{
    uint32_t at = mesh__stamp_of(now);
    uint32_t elapsed = at - *stamp;
    if (elapsed > UINT32_MAX - STAMP_SKEW_MS)
        return 0;
    *stamp = at;
    return elapsed;
}

#endif
