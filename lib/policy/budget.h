/* SPDX-License-Identifier: Apache-2.0 */
/* budget.h - how many retries a service can stand: a leaky bucket that requests fill and retries empty. Pure.
 *
 * tokens += ratio * requests + (per_second - tokens / 10 s) * elapsed: a floor per second, and a memory of 10 s. Starts
 * at what the floor alone fills, per_second * 10 s (100); elapsed >= 10 s sets that again. A retry takes one token.
 * One 64-bit word: {tokens 20.12 fixed point, u32 stamp in ms since the client opened}; elapsed as in estimate.h. */
#ifndef MESH__POLICY_BUDGET_H
#define MESH__POLICY_BUDGET_H

#include "base/time.h"

#include <stdbool.h>

struct budget {
    uint32_t tokens; /* in 1/4096 */
    uint32_t stamp;
};

struct budget_config {
    double ratio;        /* of requests; 0.2 */
    uint32_t per_second; /* at any load; 10 */
};

struct budget mesh__budget_initial(const struct budget_config *, mesh_nanos now);

/* Counts `requests` first attempts. */
struct budget mesh__budget_deposit(struct budget, const struct budget_config *, uint32_t requests, mesh_nanos now);

struct budget_answer {
    bool granted;
    struct budget next; /* to be published by compare-and-swap, also when refused */
};

/* Takes one token if there is one. */
struct budget_answer mesh__budget_withdraw(struct budget, const struct budget_config *, mesh_nanos now);

/* Whole tokens, for people. */
uint32_t mesh__budget_balance(struct budget);

#endif
