/* SPDX-License-Identifier: Apache-2.0 */
/* least_request.c - of two random endpoints the one with fewer attempts under way for its weight (the power of two
 * choices, Mitzenmacher 2001). With nothing under way chance decides by weight. */
#include "balance/algorithm.h"

static double load(const struct candidate *candidate)
{
    return (double)candidate->active / (double)(candidate->weight ? candidate->weight : 1);
}

struct choice mesh__least_request(struct draw *draw)
{
    return mesh__draw_lighter(draw, load, 1.0);
}
