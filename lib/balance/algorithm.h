/* SPDX-License-Identifier: Apache-2.0 */
/* algorithm.h - what the balancing algorithms share: which endpoints are eligible, and drawing from them. Pure. */
#ifndef MESH__BALANCE_ALGORITHM_H
#define MESH__BALANCE_ALGORITHM_H

#include "balance/balance.h"

/* Which endpoints are eligible; each tier holds the one before. */
enum tier { TIER_NEW /* in use, not tried by this call */, TIER_IN_USE, TIER_ALL };

/* One call's choice in the making. */
struct draw {
    const struct balance_view *view;
    enum tier tier;
    uint64_t random; /* state of the sequence below */
};

/* The next 32 random bits. */
uint32_t mesh__draw_bits(struct draw *draw);

bool mesh__draw_eligible(const struct draw *draw, const struct candidate *candidate);

/* The eligible endpoint of this rank, from 0; reads up to there. -1 when there are not so many. */
int32_t mesh__draw_nth(const struct draw *draw, uint32_t rank);

struct pair {
    int32_t index[2]; /* -1: there is none */
    struct candidate candidate[2];
};

/* Two different eligible endpoints, each pair as likely as any other; fewer when there are fewer. */
struct pair mesh__draw_pair(struct draw *draw);

/* Below 0 when `a` is the better one, above 0 when `b` is, 0 when they are as good as each other. */
typedef int balance_order(const struct candidate *a, const struct candidate *b);

/* The better of a drawn pair; among equals chance decides, in proportion to the weights. */
struct choice mesh__draw_better(struct draw *draw, balance_order *order);

/* By attempts under way for their weight. */
int mesh__order_by_active(const struct candidate *a, const struct candidate *b);

/* The algorithms; index -1 when nothing is eligible. */
struct choice mesh__round_robin(struct draw *draw, uint64_t *cursor);
struct choice mesh__least_request(struct draw *draw);
struct choice mesh__peak_ewma(struct draw *draw);

#endif
