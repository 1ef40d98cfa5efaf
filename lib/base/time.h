/* SPDX-License-Identifier: Apache-2.0 */
/* time.h - nanoseconds that saturate instead of wrapping, and the decay e^(-x) without libm.
 *
 * A mesh_nanos is a point on a monotonic clock or a length of time; NANOS_NEVER is later than everything. Pure. */
#ifndef MESH__BASE_TIME_H
#define MESH__BASE_TIME_H

#include <stdint.h>

typedef int64_t mesh_nanos;

#define NANOS_NEVER INT64_MAX
#define NANOS_US ((mesh_nanos)1000)
#define NANOS_MS ((mesh_nanos)1000000)
#define NANOS_S ((mesh_nanos)1000000000)

/* a + b, clamped to the range of the type; NEVER plus anything is NEVER. */
static inline mesh_nanos mesh__nanos_add(mesh_nanos a, mesh_nanos b)
{
    if (a == NANOS_NEVER || b == NANOS_NEVER)
        return NANOS_NEVER;
    if (b > 0 && a > INT64_MAX - b)
        return NANOS_NEVER;
    if (b < 0 && a < INT64_MIN - b)
        return INT64_MIN;
    return a + b;
}

/* a - b for two points in time, clamped to the range of the type; NEVER minus anything is NEVER. */
static inline mesh_nanos mesh__nanos_sub(mesh_nanos a, mesh_nanos b)
{
    if (a == NANOS_NEVER)
        return NANOS_NEVER;
    if (b == INT64_MIN) /* has no negative */
        return a >= 0 ? NANOS_NEVER : a + INT64_MAX + 1;
    return mesh__nanos_add(a, -b);
}

static inline mesh_nanos mesh__nanos_min(mesh_nanos a, mesh_nanos b)
{
    return a < b ? a : b;
}

static inline mesh_nanos mesh__nanos_max(mesh_nanos a, mesh_nanos b)
{
    return a > b ? a : b;
}

/* Whole milliseconds, rounded towards 0. */
static inline int64_t mesh__nanos_to_ms(mesh_nanos t)
{
    return t / NANOS_MS;
}

/* e^(-x) for x >= 0, with a relative error below 1e-6; 1 for x <= 0 and for NaN, 0 from x = 80 on. */
double mesh__decay(double x);

#endif
