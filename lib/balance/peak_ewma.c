/* SPDX-License-Identifier: Apache-2.0 */
/* peak_ewma.c - of two random endpoints the one where an answer is to be expected sooner: load = cost x (active + 1) /
 * weight.
 *
 * Costs within a factor of 2 count as equal, since they are estimates: else the noise of single samples would send
 * every caller the same way. Then the attempts under way decide, which are counted and not estimated, and after them
 * chance. To leave it to chance whenever the loads are within a factor of 2 would let an endpoint that has just become
 * slow take on twice as much as the others before anybody turns away. An endpoint without history is tried at once
 * while it is idle, and by nobody else until it has answered. */
#include "balance/algorithm.h"

#define NOISE 2.0

static bool are_alike(double cost, double other)
{
    if (cost < 0 || other < 0)
        return cost < 0 && other < 0;
    return cost <= other ? other <= cost * NOISE : cost <= other * NOISE;
}

/* Against one that has a cost: idle better than any, busy worse than any. */
static int order_without_history(const struct candidate *unknown)
{
    return unknown->active > 0 ? 1 : -1;
}

static double load(const struct candidate *candidate)
{
    return candidate->cost * ((double)candidate->active + 1.0) / (double)(candidate->weight ? candidate->weight : 1);
}

static int order(const struct candidate *a, const struct candidate *b)
{
    if (are_alike(a->cost, b->cost))
        return mesh__order_by_active(a, b);
    if (a->cost < 0)
        return order_without_history(a);
    if (b->cost < 0)
        return -order_without_history(b);
    return (load(a) > load(b)) - (load(a) < load(b));
}

struct choice mesh__peak_ewma(struct draw *draw)
{
    return mesh__draw_better(draw, order);
}
