/* SPDX-License-Identifier: Apache-2.0 */
/* estimate.c - up at once, down by and by (the peak EWMA of Twitter's Finagle). */
#include "policy/estimate.h"

#include "policy/stamp.h"

/* Costs are compared as the floats they are kept as, or a sample could be "higher" than itself. */
static float to_cost(mesh_nanos sample)
{
    return (float)mesh__nanos_max(sample, 0);
}

struct estimate mesh__estimate_initial(void)
{
    return (struct estimate){ 0, 0 };
}

struct estimate mesh__estimate_record(struct estimate e, mesh_nanos sample, mesh_nanos now)
{
    if (mesh__estimate_fresh(e))
        return mesh__estimate_reset(e, sample, now);
    float cost = to_cost(sample);
    uint32_t elapsed = mesh__stamp_advance(&e.stamp, now);
    if (cost >= e.cost) {
        e.cost = cost;
    } else {
        double keep = mesh__decay((elapsed > 0 ? (double)elapsed : 1.0) / ESTIMATE_TAU_MS);
        e.cost = (float)((double)e.cost * keep + (double)cost * (1.0 - keep));
    }
    return e;
}

struct estimate mesh__estimate_raise(struct estimate e, mesh_nanos sample, mesh_nanos now)
{
    return !mesh__estimate_fresh(e) && to_cost(sample) <= e.cost ? e : mesh__estimate_record(e, sample, now);
}

struct estimate mesh__estimate_reset(struct estimate e, mesh_nanos sample, mesh_nanos now)
{
    if (mesh__estimate_fresh(e))
        e.stamp = mesh__stamp_of(now);
    else
        mesh__stamp_advance(&e.stamp, now);
    e.cost = to_cost(sample);
    return e;
}

double mesh__estimate_read(struct estimate e, bool in_flight, mesh_nanos now)
{
    if (in_flight)
        return (double)e.cost;
    return (double)e.cost * mesh__decay((double)mesh__stamp_advance(&e.stamp, now) / ESTIMATE_TAU_MS);
}

bool mesh__estimate_fresh(struct estimate e)
{
    return e.stamp == 0 && !(e.cost > 0);
}
