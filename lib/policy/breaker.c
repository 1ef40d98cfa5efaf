/* SPDX-License-Identifier: Apache-2.0 */
/* breaker.c - the breaker's word, taken apart and put together; every verb is a function of its arguments alone. */
#include "policy/breaker.h"

#define UNTIL_MAX (((uint64_t)1 << 38) - 1)
#define GENERATIONS 1024u
#define FAILURES_MAX 255u
#define SHUTS_MAX 63u

struct parts {
    enum breaker_state state;
    uint32_t failures, shuts, generation;
    uint64_t until_ms;
};

static struct parts unpack(struct breaker b)
{
    return (struct parts){
        .state = (enum breaker_state)(b.word & 3),
        .failures = (uint32_t)(b.word >> 2) & FAILURES_MAX,
        .shuts = (uint32_t)(b.word >> 10) & SHUTS_MAX,
        .generation = (uint32_t)(b.word >> 16) & (GENERATIONS - 1),
        .until_ms = b.word >> 26,
    };
}

static struct breaker pack(struct parts p)
{
    uint64_t low = (uint64_t)p.state | (uint64_t)p.failures << 2 | (uint64_t)p.shuts << 10;
    return (struct breaker){ low | (uint64_t)p.generation << 16 | p.until_ms << 26 };
}

static uint64_t to_ms(mesh_nanos t)
{
    uint64_t ms = t > 0 ? (uint64_t)mesh__nanos_to_ms(t) : 0;
    return ms < UNTIL_MAX ? ms : UNTIL_MAX;
}

/* At least one millisecond later, so that a pause is never nothing. */
static uint64_t later_ms(mesh_nanos now, mesh_nanos pause)
{
    return to_ms(mesh__nanos_add(mesh__nanos_max(now, 0), mesh__nanos_max(pause, NANOS_MS)));
}

static void enter(struct parts *p, enum breaker_state state, uint64_t until_ms)
{
    p->state = state;
    p->generation = (p->generation + 1) % GENERATIONS;
    p->until_ms = until_ms;
}

/* How long to stay shut for the (shuts + 1)-th time in a row. */
static mesh_nanos shut_time(const struct breaker_config *config, uint32_t shuts, uint32_t random)
{
    mesh_nanos max = mesh__nanos_max(config->max_shut, 0);
    mesh_nanos base = mesh__nanos_min(mesh__nanos_max(config->shut, 0), max);
    while (shuts-- > 0 && base < max)
        base = base > max / 2 ? max : base * 2;
    double spread = config->jitter * (2.0 * (double)random / (double)UINT32_MAX - 1.0);
    double drawn = (double)base * (1.0 + spread);
    return drawn < (double)max ? (mesh_nanos)drawn : max;
}

static void shut(struct parts *p, const struct breaker_config *config, mesh_nanos now, uint32_t random)
{
    enter(p, BREAKER_SHUT, later_ms(now, shut_time(config, p->shuts, random)));
    if (p->shuts < SHUTS_MAX)
        p->shuts++;
}

/* The time is over, or lies so far ahead that the clock must have gone back since it was set. */
static bool is_over(uint64_t until_ms, mesh_nanos now, mesh_nanos longest)
{
    uint64_t now_ms = to_ms(now);
    return now_ms >= until_ms || until_ms > to_ms(mesh__nanos_add(mesh__nanos_max(now, 0), longest)) + BREAKER_SKEW_MS;
}

struct breaker mesh__breaker_initial(void)
{
    return (struct breaker){ 0 };
}

struct breaker_ask mesh__breaker_ask(struct breaker b, const struct breaker_config *config, mesh_nanos now)
{
    struct parts p = unpack(b);
    struct breaker_ask ask = { BREAKER_ADMIT, (uint16_t)p.generation, b };
    if (p.state == BREAKER_CLOSED || p.state == BREAKER_RETIRED)
        return ask;
    mesh_nanos longest = mesh__nanos_max(p.state == BREAKER_SHUT ? config->max_shut : config->lease, NANOS_MS);
    if (!is_over(p.until_ms, now, longest)) {
        ask.answer = BREAKER_REJECT;
        /* Whoever goes there all the same must not speak for the probe: its ticket is an old one. */
        if (p.state == BREAKER_PROBE)
            ask.ticket = (uint16_t)((p.generation + GENERATIONS - 1) % GENERATIONS);
        return ask;
    }
    enter(&p, BREAKER_PROBE, later_ms(now, config->lease));
    return (struct breaker_ask){ BREAKER_TRY, (uint16_t)p.generation, pack(p) };
}

static bool is_current(struct parts p, uint16_t ticket)
{
    return p.state != BREAKER_RETIRED && p.generation == ticket;
}

static struct breaker record_success(struct parts p)
{
    if (p.state != BREAKER_CLOSED)
        enter(&p, BREAKER_CLOSED, 0);
    p.failures = 0;
    p.shuts = 0;
    return pack(p);
}

struct breaker mesh__breaker_record(struct breaker b, const struct breaker_config *config, uint16_t ticket,
                                    enum breaker_event event, mesh_nanos now, uint32_t random)
{
    struct parts p = unpack(b);
    if (!is_current(p, ticket))
        return b;
    if (event == BREAKER_NEUTRAL)
        return mesh__breaker_abandon(b, ticket);
    if (event == BREAKER_SUCCESS)
        return record_success(p);
    if (p.state == BREAKER_SHUT)
        return b;
    if (p.failures < FAILURES_MAX)
        p.failures++;
    if (event == BREAKER_SHUT_NOW || p.state == BREAKER_PROBE || p.failures >= config->failures)
        shut(&p, config, now, random);
    return pack(p);
}

struct breaker mesh__breaker_abandon(struct breaker b, uint16_t ticket)
{
    struct parts p = unpack(b);
    if (!is_current(p, ticket) || p.state != BREAKER_PROBE)
        return b;
    enter(&p, BREAKER_SHUT, 0);
    return pack(p);
}

struct breaker mesh__breaker_freeze(struct breaker b, const struct breaker_config *config, uint16_t ticket,
                                    mesh_nanos now, mesh_nanos pause)
{
    struct parts p = unpack(b);
    if (!is_current(p, ticket) || p.state == BREAKER_SHUT || pause <= 0)
        return b;
    enter(&p, BREAKER_SHUT, later_ms(now, mesh__nanos_min(pause, config->max_shut)));
    return pack(p);
}

struct breaker mesh__breaker_retire(struct breaker b)
{
    struct parts p = unpack(b);
    if (p.state == BREAKER_RETIRED)
        return b;
    enter(&p, BREAKER_RETIRED, 0);
    return pack(p);
}

enum breaker_state mesh__breaker_state(struct breaker b)
{
    return unpack(b).state;
}

uint32_t mesh__breaker_failures(struct breaker b)
{
    return unpack(b).failures;
}

bool mesh__breaker_healthy(struct breaker b)
{
    enum breaker_state state = unpack(b).state;
    return state == BREAKER_CLOSED || state == BREAKER_RETIRED;
}

mesh_nanos mesh__breaker_next(struct breaker b)
{
    struct parts p = unpack(b);
    bool waits = p.state == BREAKER_SHUT || p.state == BREAKER_PROBE;
    return waits ? (mesh_nanos)p.until_ms * NANOS_MS : NANOS_NEVER;
}
