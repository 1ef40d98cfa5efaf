/* SPDX-License-Identifier: Apache-2.0 */
/* live.c - words that several shards change: load, compute the next value, compare and swap. */
#include "client/live.h"

#include <string.h>

#define RETIRED_GATE UINT32_MAX

struct service_live *mesh__live_new(const struct mem *mem, const char *name, uint32_t shard_count, void *client,
                                    const struct service_config *config, mesh_nanos now)
{
    struct service_live *live = mesh__zalloc_line(mem, sizeof(*live));
    if (live == NULL)
        return NULL;
    mesh__refs_init(&live->refs);
    live->mem = *mem;
    live->client = client;
    live->shard_count = shard_count;
    (void)pthread_mutex_init(&live->lock, NULL); /* cannot fail without attributes */
    mesh__list_init(&live->endpoints);
    live->name = mesh__strndup(mem, name, strlen(name));
    bool ok = live->name != NULL;
    for (uint32_t i = 0; ok && i < shard_count; i++)
        ok = (live->shards[i] = mesh__zalloc(mem, sizeof(struct service_shard))) != NULL;
    if (!ok) {
        mesh__live_unref(live);
        return NULL;
    }
    struct budget budget = mesh__budget_initial(&config->budget, now);
    uint64_t word;
    memcpy(&word, &budget, sizeof(word));
    atomic_init(&live->budget, word);
    return live;
}

static void free_shard(const struct mem *mem, struct service_shard *shard)
{
    if (shard && shard->has_group) {
        mesh__pool_group_fini(&shard->group);
        mesh__config_unref(shard->config);
    }
    mesh__mem_free(mem, shard);
}

void mesh__live_unref(struct service_live *live)
{
    if (!mesh__refs_unref(&live->refs))
        return;
    struct mem mem = live->mem;
    for (uint32_t i = 0; i < live->shard_count; i++)
        free_shard(&mem, live->shards[i]);
    mesh__mem_free(&mem, (char *)(uintptr_t)live->name);
    pthread_mutex_destroy(&live->lock);
    mesh__free_line(&mem, live);
}

struct endpoint *mesh__endpoint_new(const struct mem *mem, struct service_live *live, const struct address *address)
{
    struct endpoint *endpoint = mesh__zalloc_line(mem, sizeof(*endpoint));
    if (endpoint == NULL)
        return NULL;
    mesh__refs_init(&endpoint->refs);
    endpoint->mem = *mem;
    endpoint->address = *address;
    endpoint->live = live;
    mesh__refs_ref(&live->refs);
    struct estimate estimate = mesh__estimate_initial();
    uint64_t word;
    memcpy(&word, &estimate, sizeof(word));
    atomic_init(&endpoint->estimate, word);
    atomic_init(&endpoint->breaker, mesh__breaker_initial().word);
    pthread_mutex_lock(&live->lock);
    mesh__list_push(&live->endpoints, &endpoint->link);
    pthread_mutex_unlock(&live->lock);
    return endpoint;
}

/* What the endpoint counted stays with its service. */
static void bequeath(struct endpoint *endpoint)
{
    struct service_live *live = endpoint->live;
    pthread_mutex_lock(&live->lock);
    mesh__list_remove(&endpoint->link);
    mesh__live_count_endpoint(endpoint, &live->gone);
    pthread_mutex_unlock(&live->lock);
}

void mesh__endpoint_unref(struct endpoint *endpoint)
{
    if (!mesh__refs_unref(&endpoint->refs))
        return;
    struct mem mem = endpoint->mem;
    bequeath(endpoint);
    for (uint32_t i = 0; i < endpoint->live->shard_count; i++)
        mesh__mem_free(&mem, atomic_load_explicit(&endpoint->shards[i], memory_order_relaxed));
    mesh__live_unref(endpoint->live);
    mesh__free_line(&mem, endpoint);
}

void mesh__endpoint_retire(struct endpoint *endpoint)
{
    struct breaker before = { atomic_load(&endpoint->breaker) };
    while (!atomic_compare_exchange_weak(&endpoint->breaker, &before.word, mesh__breaker_retire(before).word))
        ;
    if (!mesh__breaker_healthy(before))
        atomic_fetch_sub(&endpoint->live->unhealthy, 1);
    struct gate gate = { atomic_exchange(&endpoint->gate, RETIRED_GATE) };
    if (gate.word != RETIRED_GATE && mesh__gate_has_place(gate))
        atomic_fetch_sub(&endpoint->live->places, 1);
    atomic_store(&endpoint->retired, true);
}

static struct estimate load_estimate(struct endpoint *endpoint)
{
    uint64_t word = atomic_load_explicit(&endpoint->estimate, memory_order_relaxed);
    struct estimate estimate;
    memcpy(&estimate, &word, sizeof(word));
    return estimate;
}

struct candidate mesh__live_candidate(struct endpoint *endpoint, uint32_t weight, const struct breaker_config *config,
                                      mesh_nanos now)
{
    uint32_t active = atomic_load_explicit(&endpoint->active, memory_order_relaxed);
    struct estimate estimate = load_estimate(endpoint);
    struct candidate candidate = {
        .cost = mesh__estimate_fresh(estimate) ? -1.0 : mesh__estimate_read(estimate, active > 0, now),
        .active = active,
        .weight = weight,
    };
    uint64_t word = atomic_load_explicit(&endpoint->breaker, memory_order_relaxed);
    if (config == NULL || mesh__breaker_healthy((struct breaker){ word }))
        return candidate;
    struct gate gate = { atomic_load_explicit(&endpoint->gate, memory_order_relaxed) };
    struct breaker_ask ask = mesh__breaker_ask((struct breaker){ word }, config, now);
    candidate.probe_due = ask.answer == BREAKER_TRY;
    candidate.out = gate.word != RETIRED_GATE && mesh__gate_has_place(gate);
    return candidate;
}

void mesh__live_note_probe(struct service_live *live, mesh_nanos at)
{
    int64_t before = atomic_load(&live->probe_at);
    while (at < before && !atomic_compare_exchange_weak(&live->probe_at, &before, at))
        ;
}

bool mesh__live_pick(struct endpoint *endpoint, const struct breaker_config *config, bool as_probe, mesh_nanos now,
                     struct live_pick *out)
{
    struct breaker breaker = { atomic_load(&endpoint->breaker) };
    *out = (struct live_pick){ 0, false };
    if (config == NULL)
        return true;
    for (;;) {
        struct breaker_ask ask = mesh__breaker_ask(breaker, config, now);
        out->ticket = ask.ticket;
        if (ask.answer != BREAKER_TRY)
            return !as_probe;
        if (atomic_compare_exchange_weak(&endpoint->breaker, &breaker.word, ask.next.word)) {
            out->probe = true;
            mesh__live_note_probe(endpoint->live, mesh__breaker_next(ask.next));
            return true;
        }
    }
}

/* Takes the endpoint out, if there is a place for it. */
static void enforce(struct endpoint *endpoint, uint32_t endpoint_count)
{
    struct service_live *live = endpoint->live;
    struct gate gate = { atomic_load(&endpoint->gate) };
    if (gate.word == RETIRED_GATE || mesh__gate_has_place(gate) ||
        !mesh__live_take(&live->places, mesh__gate_cap(endpoint_count)))
        return;
    while (gate.word != RETIRED_GATE && !mesh__gate_has_place(gate)) {
        struct gate next = mesh__gate_with_place(mesh__gate_with_reason(gate, GATE_BREAKER));
        if (atomic_compare_exchange_weak(&endpoint->gate, &gate.word, next.word))
            return;
    }
    mesh__live_give(&live->places);
}

/* Brings the endpoint back in. */
static void readmit(struct endpoint *endpoint)
{
    struct gate gate = { atomic_load(&endpoint->gate) };
    while (gate.word != RETIRED_GATE && gate.word != 0) {
        struct gate next = mesh__gate_without_reason(gate, GATE_BREAKER);
        if (atomic_compare_exchange_weak(&endpoint->gate, &gate.word, next.word)) {
            if (mesh__gate_has_place(gate) && !mesh__gate_has_place(next))
                mesh__live_give(&endpoint->live->places);
            return;
        }
    }
}

static struct breaker next_breaker(struct breaker breaker, const struct breaker_config *config, uint16_t ticket,
                                   const struct verdict *verdict, bool probe, mesh_nanos now, uint32_t random)
{
    if (verdict->freeze > 0)
        return mesh__breaker_freeze(breaker, config, ticket, now, verdict->freeze);
    if (probe && verdict->breaker == BREAKER_NEUTRAL)
        return mesh__breaker_abandon(breaker, ticket);
    return mesh__breaker_record(breaker, config, ticket, verdict->breaker, now, random);
}

static bool report_to_breaker(struct endpoint *endpoint, const struct breaker_config *config, uint32_t endpoint_count,
                              uint16_t ticket, const struct verdict *verdict, bool probe, mesh_nanos now,
                              uint32_t random)
{
    struct breaker before = { atomic_load(&endpoint->breaker) };
    struct breaker after;
    do
        after = next_breaker(before, config, ticket, verdict, probe, now, random);
    while (after.word != before.word && !atomic_compare_exchange_weak(&endpoint->breaker, &before.word, after.word));
    bool was_healthy = mesh__breaker_healthy(before), is_healthy = mesh__breaker_healthy(after);
    if (was_healthy && !is_healthy)
        atomic_fetch_add(&endpoint->live->unhealthy, 1);
    if (!was_healthy && is_healthy) {
        atomic_fetch_sub(&endpoint->live->unhealthy, 1);
        readmit(endpoint);
    }
    if (!is_healthy && (after.word != before.word || verdict->breaker >= BREAKER_FAILURE)) {
        mesh__live_note_probe(endpoint->live, mesh__breaker_next(after));
        enforce(endpoint, endpoint_count);
        /* Another shard may have closed the breaker in between: then the place must not stay taken. */
        if (mesh__breaker_healthy((struct breaker){ atomic_load(&endpoint->breaker) }))
            readmit(endpoint);
    }
    return mesh__breaker_state(after) == BREAKER_SHUT && after.word != before.word;
}

static void report_to_estimate(struct endpoint *endpoint, const struct verdict *verdict, mesh_nanos now)
{
    if (verdict->sample == SAMPLE_NONE)
        return;
    uint64_t before = atomic_load_explicit(&endpoint->estimate, memory_order_relaxed);
    uint64_t word;
    do {
        struct estimate estimate;
        memcpy(&estimate, &before, sizeof(before));
        estimate = verdict->sample == SAMPLE_RECORD  ? mesh__estimate_record(estimate, verdict->sample_ns, now)
                   : verdict->sample == SAMPLE_RAISE ? mesh__estimate_raise(estimate, verdict->sample_ns, now)
                                                     : mesh__estimate_reset(estimate, verdict->sample_ns, now);
        memcpy(&word, &estimate, sizeof(word));
    } while (!atomic_compare_exchange_weak_explicit(&endpoint->estimate, &before, word, memory_order_relaxed,
                                                    memory_order_relaxed));
}

bool mesh__live_report(struct endpoint *endpoint, const struct breaker_config *config, uint32_t endpoint_count,
                       uint16_t ticket, const struct verdict *verdict, bool probe, mesh_nanos now, uint32_t random)
{
    report_to_estimate(endpoint, verdict, now);
    /* The common case: a success while the breaker is closed without failures has nothing to change. */
    struct breaker breaker = { atomic_load_explicit(&endpoint->breaker, memory_order_relaxed) };
    if (config == NULL || (verdict->breaker == BREAKER_SUCCESS && verdict->freeze == 0 &&
                           mesh__breaker_state(breaker) == BREAKER_CLOSED && mesh__breaker_failures(breaker) == 0))
        return false;
    return report_to_breaker(endpoint, config, endpoint_count, ticket, verdict, probe, now, random);
}

bool mesh__live_take(_Atomic uint32_t *count, uint32_t limit)
{
    uint32_t before = atomic_load_explicit(count, memory_order_relaxed);
    do
        if (before >= limit)
            return false;
    while (!atomic_compare_exchange_weak(count, &before, before + 1));
    return true;
}

void mesh__live_give(_Atomic uint32_t *count)
{
    atomic_fetch_sub(count, 1);
}

void mesh__live_deposit(struct service_live *live, const struct budget_config *config, uint32_t requests,
                        mesh_nanos now)
{
    uint64_t before = atomic_load_explicit(&live->budget, memory_order_relaxed), word;
    do {
        struct budget budget;
        memcpy(&budget, &before, sizeof(before));
        budget = mesh__budget_deposit(budget, config, requests, now);
        memcpy(&word, &budget, sizeof(word));
    } while (!atomic_compare_exchange_weak(&live->budget, &before, word));
}

bool mesh__live_withdraw(struct service_live *live, const struct budget_config *config, mesh_nanos now)
{
    uint64_t before = atomic_load_explicit(&live->budget, memory_order_relaxed), word;
    struct budget_answer answer;
    do {
        struct budget budget;
        memcpy(&budget, &before, sizeof(before));
        answer = mesh__budget_withdraw(budget, config, now);
        memcpy(&word, &answer.next, sizeof(word));
    } while (!atomic_compare_exchange_weak(&live->budget, &before, word));
    return answer.granted;
}

bool mesh__live_panic(const struct service_live *live, uint32_t endpoint_count)
{
    return mesh__gate_panic(endpoint_count, atomic_load_explicit(&live->unhealthy, memory_order_relaxed));
}

#define SUM(from, name) out->name += atomic_load_explicit(&(from)->name, memory_order_relaxed);

void mesh__live_count_endpoint(struct endpoint *endpoint, mesh_counters *out)
{
    for (uint32_t i = 0; i < endpoint->live->shard_count; i++) {
        struct endpoint_shard *shard = atomic_load_explicit(&endpoint->shards[i], memory_order_acquire);
        if (shard == NULL)
            continue;
#define ADD(name) SUM(&shard->counters, name)
        ENDPOINT_COUNTERS(ADD)
#undef ADD
#define ADD(name) SUM(&shard->pool_counters, name)
        POOL_COUNTERS(ADD)
#undef ADD
    }
    out->active += atomic_load_explicit(&endpoint->active, memory_order_relaxed);
}

void mesh__live_count_service(struct service_live *live, mesh_counters *out)
{
    for (uint32_t i = 0; i < live->shard_count; i++) {
#define ADD(name) SUM(live->shards[i], name)
        SERVICE_COUNTERS(ADD)
#undef ADD
    }
    pthread_mutex_lock(&live->lock);
#define ADD(name) out->name += live->gone.name;
    ENDPOINT_COUNTERS(ADD)
    POOL_COUNTERS(ADD)
#undef ADD
    for (struct list *node = live->endpoints.next; node != &live->endpoints; node = node->next)
        mesh__live_count_endpoint(CONTAINER_OF(node, struct endpoint, link), out);
    pthread_mutex_unlock(&live->lock);
    out->active = atomic_load_explicit(&live->active, memory_order_relaxed);
    out->pending = atomic_load_explicit(&live->pending, memory_order_relaxed);
    out->connections = atomic_load_explicit(&live->connections, memory_order_relaxed);
}
