/* SPDX-License-Identifier: Apache-2.0 */
/* peak_ewma.c - of two random endpoints the one where an answer is to be expected sooner: cost x (active + 1) / weight.
 *
 * Loads within a factor of 2 count as equal and chance decides, or the noise of single samples would send every caller
 * the same way. An endpoint without history is tried at once while it is idle, and by nobody else until it answers. */
#include "balance/algorithm.h"

#define NOISE 2.0

/* More than any cost of an endpoint with history: 292 years in ns are below 1e19. */
#define UNKNOWN_COST 1e30

static double load(const struct candidate *candidate)
{
    double cost = candidate->cost;
    if (cost < 0)
        cost = candidate->active > 0 ? UNKNOWN_COST : 0;
    return cost * ((double)candidate->active + 1.0) / (double)(candidate->weight ? candidate->weight : 1);
}

struct choice mesh__peak_ewma(struct draw *draw)
{
    return mesh__draw_lighter(draw, load, NOISE);
}
