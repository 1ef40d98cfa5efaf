/* SPDX-License-Identifier: Apache-2.0 */
/* budget.c - a leaky bucket in 20.12 fixed point; arithmetic in doubles, rounded to the nearest 1/4096 of a token. */
#include "policy/budget.h"

#include "policy/stamp.h"

#define ONE 4096u
#define MEMORY_MS 10000u

static uint32_t to_tokens(double tokens)
{
    if (!(tokens > 0))
        return 0;
    return tokens < (double)(UINT32_MAX - 1) ? (uint32_t)(tokens + 0.5) : UINT32_MAX;
}

/* What the floor alone fills. */
static uint32_t full(const struct budget_config *config)
{
    return to_tokens((double)config->per_second * (MEMORY_MS / 1000) * ONE);
}

static struct budget advance(struct budget b, const struct budget_config *config, uint32_t requests, mesh_nanos now)
{
    double elapsed = (double)mesh__stamp_advance(&b.stamp, now);
    double tokens = (double)b.tokens;
    if (elapsed >= MEMORY_MS)
        tokens = (double)full(config);
    else
        tokens += ((double)config->per_second * ONE / 1000 - tokens / MEMORY_MS) * elapsed;
    b.tokens = to_tokens(tokens + config->ratio * (double)requests * ONE);
    return b;
}

struct budget mesh__budget_initial(const struct budget_config *config, mesh_nanos now)
{
    return (struct budget){ full(config), mesh__stamp_of(now) };
}

struct budget mesh__budget_deposit(struct budget b, const struct budget_config *config, uint32_t requests,
                                   mesh_nanos now)
{
    return advance(b, config, requests, now);
}

struct budget_answer mesh__budget_withdraw(struct budget b, const struct budget_config *config, mesh_nanos now)
{
    struct budget_answer answer = { false, advance(b, config, 0, now) };
    if (answer.next.tokens >= ONE) {
        answer.next.tokens -= ONE;
        answer.granted = true;
    }
    return answer;
}

uint32_t mesh__budget_balance(struct budget b)
{
    return b.tokens / ONE;
}
