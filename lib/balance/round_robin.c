/* SPDX-License-Identifier: Apache-2.0 */
/* round_robin.c - each in its turn; a weight is how many turns an endpoint takes in a cycle of as many rounds as the
 * highest weight.
 *
 * The cursor counts places: place p is endpoint p mod n in round p / n. An endpoint of weight w takes its turn in w of
 * every max_weight rounds, evenly spread, so over a whole cycle the shares are exact. An endpoint that is passed over
 * loses its turn. With equal weights a choice reads one endpoint. Where weights differ widely or many endpoints are
 * out, a choice that has passed 2 n places draws by weight instead: then the shares hold on average. */
#include "balance/algorithm.h"

#include "base/rng.h"

static uint32_t weight_of(const struct candidate *candidate)
{
    return candidate->weight ? candidate->weight : 1;
}

static uint32_t find_max_weight(const struct balance_view *view)
{
    uint32_t max = 1;
    for (uint32_t i = 0; i < view->count; i++) {
        struct candidate candidate = view->read(view->context, i);
        max = weight_of(&candidate) > max ? weight_of(&candidate) : max;
    }
    return max;
}

/* True in `weight` of every `max` rounds, evenly spread. */
static bool has_turn(uint64_t round, uint32_t weight, uint32_t max)
{
    uint64_t at = round % max;
    return weight >= max || (at + 1) * weight / max != at * weight / max;
}

static int32_t draw_by_weight(struct draw *draw)
{
    const struct balance_view *view = draw->view;
    uint64_t total = 0;
    for (uint32_t i = 0; i < view->count; i++) {
        struct candidate candidate = view->read(view->context, i);
        total += mesh__draw_eligible(draw, &candidate) ? weight_of(&candidate) : 0;
    }
    if (total == 0)
        return -1;
    uint64_t ticket = (uint64_t)mesh__draw_bits(draw) << 32;
    ticket = (ticket | mesh__draw_bits(draw)) % total;
    for (uint32_t i = 0; i < view->count; i++) {
        struct candidate candidate = view->read(view->context, i);
        if (!mesh__draw_eligible(draw, &candidate))
            continue;
        if (ticket < weight_of(&candidate))
            return (int32_t)i;
        ticket -= weight_of(&candidate);
    }
    return -1;
}

static bool is_only(const struct draw *draw)
{
    return mesh__draw_nth(draw, 1) < 0;
}

struct choice mesh__round_robin(struct draw *draw, uint64_t *cursor)
{
    const struct balance_view *view = draw->view;
    uint32_t max = view->max_weight ? view->max_weight : find_max_weight(view);
    bool passed_over = view->count == 1;
    for (uint32_t places = 0; places < 2 * view->count; places++) {
        uint64_t place = (*cursor)++;
        uint32_t index = (uint32_t)(place % view->count);
        struct candidate candidate = view->read(view->context, index);
        if (!mesh__draw_eligible(draw, &candidate))
            passed_over = true;
        else if (has_turn(place / view->count, weight_of(&candidate), max))
            return (struct choice){ (int32_t)index,
                                    passed_over && is_only(draw) ? MESH_PICK_ONLY : MESH_PICK_ROUND_ROBIN };
    }
    int32_t index = draw_by_weight(draw);
    return (struct choice){ index, is_only(draw) ? MESH_PICK_ONLY : MESH_PICK_ROUND_ROBIN };
}
