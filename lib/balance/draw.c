/* SPDX-License-Identifier: Apache-2.0 */
/* draw.c - random eligible endpoints: a few blind draws, enough when nearly all are in use, then one look at all. */
#include "balance/algorithm.h"

#include "base/rng.h"

#define BLIND_DRAWS 4

/* splitmix64: one word of random bits gives as many draws as a choice needs. */
uint32_t mesh__draw_bits(struct draw *draw)
{
    uint64_t z = (draw->random += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)(z >> 32);
}

bool mesh__draw_eligible(const struct draw *draw, const struct candidate *candidate)
{
    if (draw->tier == TIER_ALL)
        return true;
    bool in_use = draw->view->panic || !candidate->out;
    return in_use && (draw->tier == TIER_IN_USE || !candidate->tried);
}

static struct candidate read_at(const struct draw *draw, uint32_t index)
{
    return draw->view->read(draw->view->context, index);
}

int32_t mesh__draw_nth(const struct draw *draw, uint32_t rank)
{
    for (uint32_t i = 0; i < draw->view->count; i++) {
        struct candidate candidate = read_at(draw, i);
        if (mesh__draw_eligible(draw, &candidate) && rank-- == 0)
            return (int32_t)i;
    }
    return -1;
}

/* Two different numbers below `count`, which is at least 2. */
static void two_below(struct draw *draw, uint32_t count, uint32_t out[2])
{
    out[0] = mesh__rng_below(mesh__draw_bits(draw), count);
    out[1] = mesh__rng_below(mesh__draw_bits(draw), count - 1);
    out[1] += out[1] >= out[0];
}

static bool draw_blind(struct draw *draw, struct pair *pair)
{
    if (draw->view->count < 2)
        return false;
    for (int tries = 0; tries < BLIND_DRAWS; tries++) {
        uint32_t at[2];
        two_below(draw, draw->view->count, at);
        for (int i = 0; i < 2; i++) {
            pair->index[i] = (int32_t)at[i];
            pair->candidate[i] = read_at(draw, at[i]);
        }
        if (mesh__draw_eligible(draw, &pair->candidate[0]) && mesh__draw_eligible(draw, &pair->candidate[1]))
            return true;
    }
    return false;
}

/* Reads each endpoint once, since others change them meanwhile: the k-th eligible one displaces one of the two with a
 * chance of 2 in k, which leaves each pair as likely as any other (reservoir sampling, Vitter 1985). */
struct pair mesh__draw_pair(struct draw *draw)
{
    struct pair pair;
    if (draw_blind(draw, &pair))
        return pair;
    pair = (struct pair){ .index = { -1, -1 } };
    uint32_t eligible = 0;
    for (uint32_t i = 0; i < draw->view->count; i++) {
        struct candidate candidate = read_at(draw, i);
        if (!mesh__draw_eligible(draw, &candidate))
            continue;
        uint32_t place = eligible < 2 ? eligible : mesh__rng_below(mesh__draw_bits(draw), eligible + 1);
        eligible++;
        if (place > 1)
            continue;
        pair.index[place] = (int32_t)i;
        pair.candidate[place] = candidate;
    }
    return pair;
}

struct choice mesh__draw_better(struct draw *draw, balance_order *order)
{
    struct pair pair = mesh__draw_pair(draw);
    if (pair.index[1] < 0)
        return (struct choice){ pair.index[0], MESH_PICK_ONLY };
    int sign = order(&pair.candidate[0], &pair.candidate[1]);
    if (sign != 0)
        return (struct choice){ pair.index[sign < 0 ? 0 : 1], MESH_PICK_LEAST };
    double weight = (double)pair.candidate[0].weight;
    double both = weight + (double)pair.candidate[1].weight;
    bool take_first = (double)mesh__draw_bits(draw) * both < weight * ((double)UINT32_MAX + 1);
    return (struct choice){ pair.index[take_first ? 0 : 1], MESH_PICK_TIE };
}
