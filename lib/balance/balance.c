/* SPDX-License-Identifier: Apache-2.0 */
/* balance.c - the order of preference, then the algorithm. */
#include "balance/balance.h"

#include "balance/algorithm.h"
#include "base/rng.h"

/* The first endpoint, from a random one on, that is due for a probe and not tried; -1 when there is none. */
static int32_t find_probe(struct draw *draw)
{
    const struct balance_view *view = draw->view;
    uint32_t start = mesh__rng_below(mesh__draw_bits(draw), view->count);
    for (uint32_t i = 0; i < view->count; i++) {
        uint32_t index = (uint32_t)(((uint64_t)start + i) % view->count);
        struct candidate candidate = view->read(view->context, index);
        if (candidate.probe_due && !candidate.tried)
            return (int32_t)index;
    }
    return -1;
}

static struct choice run(enum balancer balancer, struct draw *draw, uint64_t *cursor)
{
    switch (balancer) {
    case BALANCER_ROUND_ROBIN:
        return mesh__round_robin(draw, cursor);
    case BALANCER_LEAST_REQUEST:
        return mesh__least_request(draw);
    case BALANCER_PEAK_EWMA:
        break;
    }
    return mesh__peak_ewma(draw);
}

struct choice mesh__balance_choose(enum balancer balancer, const struct balance_view *view, uint64_t *cursor,
                                   uint64_t random)
{
    struct choice choice = { -1, MESH_PICK_NONE };
    if (view->count == 0)
        return choice;
    struct draw draw = { .view = view, .random = random };
    if (view->look_for_probe && (choice.index = find_probe(&draw)) >= 0) {
        choice.reason = MESH_PICK_PROBE;
        return choice;
    }
    for (int tier = TIER_NEW; choice.index < 0; tier++) {
        draw.tier = (enum tier)tier;
        choice = run(balancer, &draw, cursor);
    }
    if (view->panic && choice.reason != MESH_PICK_ONLY)
        choice.reason = MESH_PICK_PANIC;
    return choice;
}
