/* SPDX-License-Identifier: Apache-2.0 */
/* script.h - drives a machine by hand and says in words what it answered; for the tests of lib/call. */
#ifndef TEST_CALL_SCRIPT_H
#define TEST_CALL_SCRIPT_H

#include "call/machine.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const state_names[] = { "NEW",    "RESOLVING", "ADMITTING", "PICKING", "TRYING",
                                           "ASKING", "BACKOFF",   "COMMITTED", "DONE" };

struct script {
    struct machine machine;
    struct machine_config config;
    struct retry_config retry;
    struct effects effects;
    char text[512];
};

/* Deadline 1000 ms, 400 ms a try, 200 ms for resolving, two attempts, every word of retry.on, idempotent. */
static inline void script_init(struct script *s)
{
    memset(s, 0, sizeof(*s));
    s->retry = (struct retry_config){ .attempts = 2,
                                      .on = RETRY_ON_DEFAULT | RETRY_ON_RESET | RETRY_ON_5XX | RETRY_ON_PER_TRY_TIMEOUT,
                                      .per_try_timeout = 400 * NANOS_MS,
                                      .backoff_base = 25 * NANOS_MS,
                                      .backoff_max = 250 * NANOS_MS };
    s->config = (struct machine_config){ .deadline = { 1000 * NANOS_MS, false },
                                         .resolve_timeout = 200 * NANOS_MS,
                                         .idempotent = true };
    s->config.retry = &s->retry;
    mesh__machine_init(&s->machine);
}

static inline void script_add(struct script *s, const char *format, ...)
{
    size_t used = strlen(s->text);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(s->text + used, sizeof(s->text) - used, format, arguments);
    va_end(arguments);
}

static inline void script_add_effect(struct script *s, const struct effect *e)
{
    static const char *const names[] = { "RESOLVE", "ADMIT",     "PICK", "START",   "STOP",    "REPORT",
                                         "JUDGE",   "ASK_RETRY", "ARM",  "DELIVER", "RELEASE", "DONE" };
    script_add(s, " %s", names[e->kind]);
    if (e->kind == EFFECT_PICK || e->kind == EFFECT_START || e->kind == EFFECT_STOP || e->kind == EFFECT_REPORT ||
        e->kind == EFFECT_JUDGE || e->kind == EFFECT_DELIVER)
        script_add(s, "%u", e->attempt);
    if (e->kind == EFFECT_ARM)
        script_add(s, "@%lld", e->at == NANOS_NEVER ? -1LL : (long long)(e->at / NANOS_MS));
    if (e->kind == EFFECT_DONE)
        script_add(s, "%u:%d", e->attempt, e->status);
}

/* Feeds one event; the answer as "STATE: EFFECT EFFECT", ARM@ms, PICK, START, STOP, REPORT, JUDGE and DELIVER with
 * their attempt, DONE with attempt:status. */
static inline const char *script_feed(struct script *s, int64_t ms, struct machine_input input)
{
    mesh__machine_step(&s->machine, &s->config, &input, ms * NANOS_MS, &s->effects);
    ck_assert_uint_le(s->effects.count, MACHINE_EFFECTS);
    s->text[0] = '\0';
    script_add(s, "%s:", state_names[s->machine.state]);
    for (uint32_t i = 0; i < s->effects.count; i++)
        script_add_effect(s, &s->effects.list[i]);
    return s->text;
}

/* Whole milliseconds; further fields of the input may follow the event. */
#define FEED(s, ms, name, ...) script_feed(s, ms, (struct machine_input){ .event = EVENT_##name, __VA_ARGS__ })

/* Into the first attempt, under way since `ms`. */
static inline void script_try(struct script *s, int64_t ms)
{
    FEED(s, ms, START, .status = MESH_OK);
    FEED(s, ms, RESOLVED, .status = MESH_OK);
    FEED(s, ms, ADMITTED, .status = MESH_OK);
    FEED(s, ms, PICKED, .status = MESH_OK);
    ck_assert_int_eq(s->machine.state, MACHINE_TRYING);
}

/* The attempt answers with this status and, if not negative, this Retry-After in ms. */
static inline const char *script_respond(struct script *s, int64_t ms, uint8_t attempt, int32_t status,
                                         int64_t retry_after_ms)
{
    FEED(s, ms, READY, .attempt = attempt);
    FEED(s, ms, SENT, .attempt = attempt, .sent = SENT_ALL);
    FEED(s, ms, HEAD, .attempt = attempt, .http_status = status,
         .retry_after = retry_after_ms < 0 ? -1 : retry_after_ms * NANOS_MS);
    return FEED(s, ms, END, .attempt = attempt);
}

#endif
