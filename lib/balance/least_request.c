/* SPDX-License-Identifier: Apache-2.0 */
/* least_request.c - of two random endpoints the one with fewer attempts under way for its weight (the power of two
 * choices, Mitzenmacher 2001). With nothing under way chance decides by weight. */
#include "balance/algorithm.h"

int mesh__order_by_active(const struct candidate *a, const struct candidate *b)
{
    uint64_t left = (uint64_t)a->active * (b->weight ? b->weight : 1);
    uint64_t right = (uint64_t)b->active * (a->weight ? a->weight : 1);
    return (left > right) - (left < right);
}

struct choice mesh__least_request(struct draw *draw)
{
    return mesh__draw_better(draw, mesh__order_by_active);
}
