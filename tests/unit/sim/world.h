/* SPDX-License-Identifier: Apache-2.0 */
/* world.h - a service of a few endpoints in virtual time: the very machine, policies and balancers of the client, with
 * plain loads and stores instead of threads and sockets. Equal seeds give equal runs, which `trace` sums up.
 *
 * The world checks as it goes: a call ends once, the gate's cap holds and never the last endpoint is taken out, at most
 * one probe is out per endpoint, places are given back. */
#ifndef TEST_SIM_WORLD_H
#define TEST_SIM_WORLD_H

#include "balance/balance.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/rng.h"
#include "call/machine.h"
#include "policy/budget.h"
#include "policy/estimate.h"
#include "policy/gate.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* Unlike ck_assert() it costs nothing while it holds. */
#define WORLD_REQUIRE(condition)                                                                                       \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            ck_abort_msg("%s", #condition);                                                                            \
    } while (0)

enum { WORLD_ENDPOINTS = 16, WORLD_INPUTS = 4, WORLD_SECONDS = 128 };

/* What a server does with one request. */
struct reply {
    mesh_nanos after; /* NANOS_NEVER: nothing */
    mesh_status status;
    int32_t http_status;
    mesh_nanos retry_after;
};

struct world_endpoint {
    uint32_t active;
    struct estimate estimate;
    struct breaker breaker;
    struct gate gate;
    uint32_t probes_out;
    uint32_t attempts_in[WORLD_SECONDS], probes_in[WORLD_SECONDS]; /* begun in each second */
};

struct world {
    /* Set by the scenario. */
    uint32_t endpoint_count;
    enum balancer balancer;
    struct retry_config retry;
    mesh_nanos timeout, patience; /* a call is in time when it ends well within `patience` */
    double calls_per_second;
    mesh_nanos length;
    struct reply (*serve)(struct world *, uint32_t endpoint);
    void *script;

    struct rng rng;
    mesh_nanos now;
    struct heap heap;
    struct timer arrival;
    struct list calls, spare; /* under way; memory of ended ones */
    struct world_endpoint endpoints[WORLD_ENDPOINTS];
    struct budget budget;
    struct breaker_config breaker_config;
    uint64_t cursor;
    uint32_t unhealthy, places, active, retry_places;

    uint64_t trace;
    uint32_t begun, ended, ok, in_time, attempts, paid_retries, free_repeats, probes, most_places, panics;
};

/* Due in the heap: an arrival (no call), a reply, or a machine's timer. */
struct world_timer {
    struct timer timer; /* first */
    struct world_call *call;
    bool is_reply;
};

struct world_call {
    struct list link;
    struct world_timer timer, reply_timer;
    struct reply reply;
    struct machine machine;
    struct machine_config config;
    mesh_nanos started_at;
    uint32_t tried; /* a bit an endpoint */
    uint32_t at[MACHINE_ATTEMPTS];
    struct machine_input inputs[WORLD_INPUTS];
    uint32_t input_count;
};

static const struct budget_config world_budget = { .ratio = 0.2, .per_second = 10 };

static uint64_t world_random(struct world *w)
{
    return mesh__rng_next(&w->rng);
}

static double world_uniform(struct world *w)
{
    return (double)(world_random(w) >> 11) / 9007199254740992.0;
}

/* Exponential with mean 1, by runs of falling uniforms (von Neumann 1951): needs no logarithm. */
static double world_exponential(struct world *w)
{
    for (double whole = 0;; whole += 1) {
        double first = world_uniform(w), last = first, next;
        uint32_t run = 1;
        for (; (next = world_uniform(w)) < last; last = next)
            run++;
        if (run % 2 == 1)
            return whole + first;
    }
}

/* Nearly normal: the sum of twelve uniforms. */
static double world_normal(struct world *w, double mean, double deviation)
{
    double sum = -6;
    for (int i = 0; i < 12; i++)
        sum += world_uniform(w);
    return mean + deviation * sum;
}

static void world_trace(struct world *w, uint64_t what)
{
    w->trace = (w->trace ^ what ^ (uint64_t)w->now) * 0x100000001b3u;
    w->trace ^= w->trace >> 29;
}

/* ---- Live state: what client/live.c does with compare-and-swap ---- */

static void world_take_place(struct world *w, struct world_endpoint *e)
{
    e->gate = mesh__gate_with_reason(e->gate, GATE_BREAKER);
    if (mesh__gate_has_place(e->gate) || w->places >= mesh__gate_cap(w->endpoint_count))
        return;
    e->gate = mesh__gate_with_place(e->gate);
    w->places++;
    w->most_places = w->places > w->most_places ? w->places : w->most_places;
}

static void world_set_breaker(struct world *w, struct world_endpoint *e, struct breaker next, bool failed)
{
    bool was = mesh__breaker_healthy(e->breaker), is = mesh__breaker_healthy(next);
    e->breaker = next;
    w->unhealthy += (uint32_t)was - (uint32_t)is;
    if (!is && (was || failed)) {
        world_take_place(w, e);
    } else if (is && !was) {
        w->places -= mesh__gate_has_place(e->gate);
        e->gate = mesh__gate_without_reason(e->gate, GATE_BREAKER);
    }
    WORLD_REQUIRE(w->places <= mesh__gate_cap(w->endpoint_count));
    WORLD_REQUIRE(w->places < w->endpoint_count);
    WORLD_REQUIRE(w->unhealthy <= w->endpoint_count);
}

struct world_reader {
    const struct world *world;
    uint32_t tried;
};

static struct candidate world_read(const void *context, uint32_t index)
{
    const struct world_reader *reader = context;
    const struct world_endpoint *e = &reader->world->endpoints[index];
    return (struct candidate){
        .cost = mesh__estimate_fresh(e->estimate) ? -1
                                                  : mesh__estimate_read(e->estimate, e->active > 0, reader->world->now),
        .active = e->active,
        .weight = 1,
        .out = mesh__gate_has_place(e->gate),
        .probe_due = !mesh__breaker_healthy(e->breaker) && mesh__breaker_next(e->breaker) <= reader->world->now,
        .tried = (reader->tried >> index & 1) != 0,
    };
}

static struct machine_input world_pick(struct world *w, struct world_call *call, uint8_t attempt)
{
    struct world_reader reader = { w, call->tried };
    struct balance_view view = { .read = world_read,
                                 .context = &reader,
                                 .count = w->endpoint_count,
                                 .panic = mesh__gate_panic(w->endpoint_count, w->unhealthy),
                                 .look_for_probe = w->unhealthy > 0,
                                 .max_weight = 1 };
    struct choice choice = mesh__balance_choose(w->balancer, &view, &w->cursor, world_random(w));
    WORLD_REQUIRE(choice.index >= 0);
    w->panics += choice.reason == MESH_PICK_PANIC;
    struct world_endpoint *e = &w->endpoints[choice.index];
    struct breaker_ask ask = mesh__breaker_ask(e->breaker, &w->breaker_config, w->now);
    bool probe = ask.answer == BREAKER_TRY;
    if (probe)
        world_set_breaker(w, e, ask.next, false);
    call->at[attempt] = (uint32_t)choice.index;
    call->tried |= 1u << choice.index;
    e->active++;
    w->probes += probe;
    e->probes_out += probe;
    WORLD_REQUIRE(e->probes_out <= 1); /* two probes at once */
    e->attempts_in[w->now / NANOS_S]++;
    e->probes_in[w->now / NANOS_S] += probe;
    return (struct machine_input){ .event = EVENT_PICKED, .ticket = ask.ticket, .probe = probe };
}

static void world_report(struct world *w, struct world_call *call, uint8_t index)
{
    const struct machine_attempt *attempt = &call->machine.attempts[index];
    const struct verdict *verdict = &attempt->verdict;
    struct world_endpoint *e = &w->endpoints[call->at[index]];
    e->active--;
    e->probes_out -= attempt->report.probe;
    w->retry_places -= attempt->holds_retry;
    bool failed = verdict->breaker == BREAKER_FAILURE || verdict->breaker == BREAKER_SHUT_NOW;
    struct breaker next = e->breaker;
    if (verdict->freeze > 0)
        next = mesh__breaker_freeze(next, &w->breaker_config, attempt->ticket, w->now, verdict->freeze);
    next = mesh__breaker_record(next, &w->breaker_config, attempt->ticket, verdict->breaker, w->now,
                                (uint32_t)world_random(w));
    world_set_breaker(w, e, next, failed);
    if (verdict->sample == SAMPLE_RECORD)
        e->estimate = mesh__estimate_record(e->estimate, verdict->sample_ns, w->now);
    else if (verdict->sample == SAMPLE_RAISE)
        e->estimate = mesh__estimate_raise(e->estimate, verdict->sample_ns, w->now);
    else if (verdict->sample == SAMPLE_RESET)
        e->estimate = mesh__estimate_reset(e->estimate, verdict->sample_ns, w->now);
    world_trace(w, (uint64_t)attempt->report.status << 32 | e->breaker.word << 8 | call->at[index]);
}

/* ---- Calls: what client/call.c does with sockets ---- */

static void world_feed(struct world_call *call, struct machine_input input)
{
    WORLD_REQUIRE(call->input_count < WORLD_INPUTS);
    call->inputs[call->input_count++] = input;
}

static struct machine_input world_ask_retry(struct world *w)
{
    struct budget_answer answer = mesh__budget_withdraw(w->budget, &world_budget, w->now);
    w->budget = answer.next;
    w->paid_retries += answer.granted;
    w->retry_places += answer.granted;
    return (struct machine_input){ .event = EVENT_RETRY_ADMITTED,
                                   .status = answer.granted ? MESH_OK : MESH_OVERLOADED,
                                   .others = w->endpoint_count > 1,
                                   .random = (uint32_t)world_random(w) };
}

static void world_start(struct world *w, struct world_call *call, uint8_t attempt)
{
    w->attempts++;
    w->free_repeats += attempt > 0 && call->machine.attempts[attempt - 1].retry == MESH_RETRY_UNSENT;
    call->reply = w->serve(w, call->at[attempt]);
    if (call->reply.after != NANOS_NEVER)
        WORLD_REQUIRE(mesh__heap_set(&w->heap, &call->reply_timer.timer, w->now + call->reply.after));
    if (call->reply.status == MESH_CONNECT_REFUSED)
        return;
    world_feed(call, (struct machine_input){ .event = EVENT_READY, .attempt = attempt });
    world_feed(call, (struct machine_input){ .event = EVENT_SENT, .attempt = attempt, .sent = SENT_ALL });
}

static void world_done(struct world *w, struct world_call *call, mesh_status status)
{
    WORLD_REQUIRE(mesh__list_linked(&call->link)); /* a call ends once */
    mesh__list_remove(&call->link);
    mesh__heap_remove(&w->heap, &call->timer.timer);
    WORLD_REQUIRE(call->reply_timer.timer.place == 0); /* an attempt outlives its call */
    w->ended++;
    w->ok += status == MESH_OK;
    w->in_time += status == MESH_OK && w->now - call->started_at < w->patience;
    world_trace(w, (uint64_t)(uint32_t)status);
}

static void world_effect(struct world *w, struct world_call *call, const struct effect *effect)
{
    world_trace(w, (uint64_t)effect->kind << 8 | effect->attempt);
    switch (effect->kind) {
    case EFFECT_RESOLVE:
        world_feed(call, (struct machine_input){ .event = EVENT_RESOLVED });
        break;
    case EFFECT_ADMIT:
        w->active++;
        w->budget = mesh__budget_deposit(w->budget, &world_budget, 1, w->now);
        world_feed(call, (struct machine_input){ .event = EVENT_ADMITTED });
        break;
    case EFFECT_PICK:
        world_feed(call, world_pick(w, call, effect->attempt));
        break;
    case EFFECT_START:
        world_start(w, call, effect->attempt);
        break;
    case EFFECT_STOP:
        mesh__heap_remove(&w->heap, &call->reply_timer.timer);
        break;
    case EFFECT_REPORT:
        world_report(w, call, effect->attempt);
        break;
    case EFFECT_ASK_RETRY:
        world_feed(call, world_ask_retry(w));
        break;
    case EFFECT_ARM:
        WORLD_REQUIRE(mesh__heap_set(&w->heap, &call->timer.timer, effect->at));
        break;
    case EFFECT_JUDGE: /* calls here are no streams */
    case EFFECT_DELIVER:
        break;
    case EFFECT_RELEASE:
        w->active--;
        w->retry_places -= call->machine.holds_retry;
        break;
    case EFFECT_DONE:
        world_done(w, call, effect->status);
        break;
    }
}

/* Feeds what is queued, in order, until nothing is left; frees the call when it has ended. */
static void world_drive(struct world *w, struct world_call *call)
{
    while (call->input_count > 0) {
        struct machine_input input = call->inputs[0];
        memmove(call->inputs, call->inputs + 1, --call->input_count * sizeof(input));
        struct effects effects;
        mesh__machine_step(&call->machine, &call->config, &input, w->now, &effects);
        WORLD_REQUIRE(effects.count <= MACHINE_EFFECTS);
        for (uint32_t i = 0; i < effects.count; i++)
            world_effect(w, call, &effects.list[i]);
    }
    if (call->machine.state == MACHINE_DONE)
        mesh__list_push_front(&w->spare, &call->link);
}

static void world_begin_call(struct world *w)
{
    struct list *spare = mesh__list_pop(&w->spare);
    struct world_call *call = spare ? CONTAINER_OF(spare, struct world_call, link) : malloc(sizeof(*call));
    WORLD_REQUIRE(call != NULL);
    *call = (struct world_call){ 0 };
    call->timer.call = call->reply_timer.call = call;
    call->reply_timer.is_reply = true;
    call->started_at = w->now;
    call->config = (struct machine_config){ .retry = &w->retry,
                                            .deadline = mesh__deadline_of_call(w->now, 0, NANOS_NEVER, w->timeout),
                                            .resolve_timeout = 5 * NANOS_S,
                                            .idempotent = true };
    mesh__machine_init(&call->machine);
    mesh__list_push(&w->calls, &call->link);
    w->begun++;
    world_feed(call, (struct machine_input){ .event = EVENT_START });
    world_drive(w, call);
}

static void world_reply(struct world *w, struct world_call *call)
{
    uint8_t attempt = (uint8_t)(call->machine.count - 1);
    const struct reply *reply = &call->reply;
    if (reply->status == MESH_OK) {
        world_feed(call, (struct machine_input){ .event = EVENT_HEAD,
                                                 .attempt = attempt,
                                                 .http_status = reply->http_status,
                                                 .retry_after = reply->retry_after });
        world_feed(call, (struct machine_input){ .event = EVENT_END, .attempt = attempt });
    } else {
        world_feed(call, (struct machine_input){ .event = EVENT_FAILED,
                                                 .attempt = attempt,
                                                 .status = reply->status,
                                                 .unsent = reply->status == MESH_CONNECT_REFUSED });
    }
    world_drive(w, call);
}

/* ---- Time ---- */

static void world_init(struct world *w, uint64_t seed)
{
    memset(w, 0, sizeof(*w));
    mesh__rng_init(&w->rng, seed);
    mesh__heap_init(&w->heap, &mesh__mem_system);
    mesh__list_init(&w->calls);
    mesh__list_init(&w->spare);
    w->balancer = BALANCER_PEAK_EWMA;
    w->retry = (struct retry_config){
        .attempts = 2, .on = RETRY_ON_DEFAULT, .backoff_base = 25 * NANOS_MS, .backoff_max = 250 * NANOS_MS
    };
    w->timeout = 15 * NANOS_S;
    w->patience = NANOS_S;
    w->breaker_config = (struct breaker_config){
        .failures = 7, .shut = NANOS_S, .max_shut = 60 * NANOS_S, .jitter = 0.5, .lease = w->timeout
    };
    w->budget = mesh__budget_initial(&world_budget, 0);
}

static void world_next_arrival(struct world *w)
{
    mesh_nanos gap = (mesh_nanos)(1e9 / w->calls_per_second * world_exponential(w));
    if (w->now + gap < w->length)
        WORLD_REQUIRE(mesh__heap_set(&w->heap, &w->arrival, w->now + gap));
}

/* Runs until the last call has ended. */
static void world_run(struct world *w)
{
    struct timer *timer;
    world_next_arrival(w);
    while ((timer = mesh__heap_first(&w->heap)) != NULL) {
        WORLD_REQUIRE(timer->due >= w->now); /* time goes back */
        w->now = timer->due;
        mesh__heap_remove(&w->heap, timer);
        if (timer == &w->arrival) {
            world_next_arrival(w);
            world_begin_call(w);
            continue;
        }
        struct world_timer *due = (struct world_timer *)(void *)timer;
        if (due->is_reply) {
            world_reply(w, due->call);
        } else {
            world_feed(due->call, (struct machine_input){ .event = EVENT_TIMER });
            world_drive(w, due->call);
        }
    }
    WORLD_REQUIRE(mesh__list_empty(&w->calls) && w->begun == w->ended); /* a call never ended */
    WORLD_REQUIRE(w->active == 0 && w->retry_places == 0);              /* places are lost */
    for (uint32_t i = 0; i < w->endpoint_count; i++)
        WORLD_REQUIRE(w->endpoints[i].active == 0 && w->endpoints[i].probes_out == 0);
    for (struct list *link; (link = mesh__list_pop(&w->spare)) != NULL;)
        free(CONTAINER_OF(link, struct world_call, link));
    mesh__heap_fini(&w->heap);
}

#endif
