/* SPDX-License-Identifier: Apache-2.0 */
/* shard.c - slots and inbox for every thread; snapshots and pools for the driver. */
#include "client/shard.h"

#include "client/complete.h"
#include "client/driver.h"
#include "client/request.h"
#include "client/snapshot.h"
#include "client/stream.h"
#include "net/reentry.h"

#include <errno.h>

/* ---- random streams ---- */

/* A seed for each stream of the client: different streams have different seeds, and neighbours have nothing in common
 * (two rounds of xor-shift and multiply, each step a bijection). */
static uint64_t stream_seed(const struct mesh_client *client, uint64_t stream)
{
    uint64_t z = client->options.seed + stream * 0xd1342543de82ef95u;
    z = (z ^ (z >> 32)) * 0xdaba0b6eb09322e3u;
    z = (z ^ (z >> 29)) * 0xdaba0b6eb09322e3u;
    return z ^ (z >> 32);
}

static uint64_t shard_stream(uint32_t index)
{
    return UINT64_C(1) << 63 | index;
}

static uint64_t slot_stream(uint32_t index, uint32_t slot)
{
    return (uint64_t)index << 32 | slot;
}

/* ---- slots: a stack of free indexes; the tag keeps a stale head from being taken for the present one ---- */

static struct call *slot_at(struct shard *shard, uint32_t index)
{
    struct call *chunk = atomic_load_explicit(&shard->chunks[index / SLOTS_PER_CHUNK], memory_order_acquire);
    return &chunk[index % SLOTS_PER_CHUNK];
}

static void push_free(struct shard *shard, struct call *call)
{
    uint64_t head = atomic_load(&shard->free_slots);
    uint64_t next;
    do {
        atomic_store_explicit(&call->next_free, (uint32_t)head, memory_order_relaxed);
        next = (((head >> 32) + 1) << 32) | (call->slot + 1);
    } while (!atomic_compare_exchange_weak(&shard->free_slots, &head, next));
}

static struct call *pop_free(struct shard *shard)
{
    uint64_t head = atomic_load(&shard->free_slots);
    uint64_t next;
    struct call *call;
    do {
        if ((uint32_t)head == 0)
            return NULL;
        call = slot_at(shard, (uint32_t)head - 1);
        next = (((head >> 32) + 1) << 32) | atomic_load_explicit(&call->next_free, memory_order_relaxed);
    } while (!atomic_compare_exchange_weak(&shard->free_slots, &head, next));
    return call;
}

static struct call *add_chunk(struct shard *shard)
{
    struct mesh_client *client = shard->client;
    struct call *first = NULL;
    pthread_mutex_lock(&client->publish);
    uint32_t at = atomic_load(&shard->chunk_count);
    struct call *chunk = at < CHUNKS_MAX ? mesh__zalloc(&client->mem, SLOTS_PER_CHUNK * sizeof(*chunk)) : NULL;
    if (chunk) {
        for (uint32_t i = 0; i < SLOTS_PER_CHUNK; i++) {
            chunk[i].shard = shard;
            chunk[i].slot = at * SLOTS_PER_CHUNK + i;
            mesh__buf_init(&chunk[i].head, &client->mem, CALL_HEAD_MAX);
            mesh__rng_init(&chunk[i].rng, stream_seed(client, slot_stream(shard->index, chunk[i].slot)));
        }
        atomic_store_explicit(&shard->chunks[at], chunk, memory_order_release);
        atomic_store(&shard->chunk_count, at + 1);
        for (uint32_t i = 1; i < SLOTS_PER_CHUNK; i++)
            push_free(shard, &chunk[i]);
        first = &chunk[0];
    }
    pthread_mutex_unlock(&client->publish);
    return first;
}

struct call *mesh__shard_take_slot(struct shard *shard)
{
    struct call *call = pop_free(shard);
    if (call == NULL && (call = add_chunk(shard)) == NULL)
        return NULL;
    atomic_fetch_add(&call->generation, 1);
    return call;
}

void mesh__shard_give_slot(struct call *call)
{
    atomic_fetch_add(&call->generation, 1);
    push_free(call->shard, call);
}

struct call *mesh__shard_find(struct mesh_client *client, mesh_call_id id)
{
    uint32_t index = (uint32_t)(id >> 56), slot = (uint32_t)(id >> 32) & 0xffffff;
    if (index >= client->shard_count)
        return NULL;
    struct shard *shard = client->shards[index];
    return slot / SLOTS_PER_CHUNK < atomic_load(&shard->chunk_count) ? slot_at(shard, slot) : NULL;
}

/* ---- the inbox ---- */

void mesh__shard_post(struct call *call, uint32_t what)
{
    struct shard *shard = call->shard;
    if (atomic_fetch_or(&call->posted, what) != 0)
        return; /* it is in the inbox: whoever takes it out sees this too */
    struct call *head = atomic_load(&shard->inbox);
    do
        call->inbox_next = head;
    while (!atomic_compare_exchange_weak(&shard->inbox, &head, call));
}

static void take(struct call *call)
{
    uint32_t what = atomic_exchange(&call->posted, 0);
    if (what & POST_START) {
        if (call->blocking && !call->driven_here)
            mesh__list_push(&call->shard->sleepers, &call->sleeping);
        mesh__call_start(call);
    }
    if ((what & POST_STREAM) && call->started && call->stream)
        mesh__stream_serve(call);
    /* A cancellation may have come before the start; it is of this call if it names its generation. */
    if (atomic_load(&call->cancelled) == atomic_load(&call->generation))
        mesh__call_cancel(call);
}

static void adopt(struct shard *shard);

/* Takes what has been posted. The snapshot is looked at in between, so that a call which began after a reload had
 * returned, and is therefore behind it in the inbox, finds the new one. */
static void drain(struct shard *shard)
{
    struct call *newest = atomic_exchange(&shard->inbox, NULL), *oldest = NULL;
    if (newest)
        mesh__loop_refresh(&shard->loop); /* no call began after `now` */
    adopt(shard);
    while (newest) {
        struct call *next = newest->inbox_next;
        newest->inbox_next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        struct call *next = oldest->inbox_next; /* taken out, it may be posted again at once */
        take(oldest);
        oldest = next;
    }
}

/* ---- snapshots ---- */

struct pin *mesh__shard_pin(struct shard *shard)
{
    shard->pin->pins++;
    return shard->pin;
}

static void drop_pin(struct shard *shard, struct pin *pin)
{
    mesh__list_remove(&pin->link);
    mesh__snapshot_unref(pin->snapshot);
    mesh__mem_free(&shard->client->mem, pin);
}

void mesh__shard_unpin(struct shard *shard, struct pin *pin)
{
    if (--pin->pins == 0 && pin != shard->pin)
        drop_pin(shard, pin);
}

static void follow_policy(struct service_shard *mine, const struct service *service)
{
    struct pool_security security = mesh__snapshot_security(service);
    mine->group.policy = mesh__snapshot_pool_policy(service->policy);
    mine->group.protocol = mesh__snapshot_protocol(service->policy);
    mesh__pool_group_secure(&mine->group, &security);
    struct config *old = mine->config;
    mesh__config_ref(service->config);
    mine->config = service->config;
    mesh__config_unref(old);
}

static void update_group(struct shard *shard, const struct service *service)
{
    struct service_shard *mine = service->live->shards[shard->index];
    if (mine->has_group)
        follow_policy(mine, service);
}

/* Pools of endpoints that have left close as they become idle, and go when they are empty. */
static void sweep_pools(struct shard *shard)
{
    shard->retiring = 0;
    for (struct list *node = shard->pools.next, *next; node != &shard->pools; node = next) {
        next = node->next;
        struct endpoint_shard *at = CONTAINER_OF(node, struct endpoint_shard, link);
        if (!atomic_load(&at->endpoint->retired))
            continue;
        mesh__pool_retire(at->pool);
        if (!mesh__pool_is_empty(at->pool)) {
            shard->retiring++;
            continue;
        }
        mesh__pool_free(at->pool);
        at->pool = NULL;
        mesh__list_remove(&at->link);
        mesh__endpoint_unref(at->endpoint);
    }
}

static void resolve_waiting(struct shard *shard)
{
    struct list batch;
    mesh__list_init(&batch);
    struct list *node;
    while ((node = mesh__list_pop(&shard->resolving)) != NULL)
        mesh__list_push(&batch, node);
    while ((node = mesh__list_pop(&batch)) != NULL) {
        /* Back in its list first: the call takes itself out if it may go on. */
        mesh__list_push(&shard->resolving, node);
        mesh__call_resolve(CONTAINER_OF(node, struct call, waiting));
    }
}

static void adopt(struct shard *shard)
{
    struct mesh_client *client = shard->client;
    if (atomic_load_explicit(&client->version, memory_order_acquire) == shard->version)
        return;
    struct pin *pin = mesh__zalloc(&client->mem, sizeof(*pin));
    if (pin == NULL)
        return; /* the old one still holds; tried again next turn */
    pthread_mutex_lock(&client->publish);
    pin->snapshot = client->snapshot;
    mesh__refs_ref(&pin->snapshot->refs);
    shard->version = atomic_load(&client->version);
    pthread_mutex_unlock(&client->publish);
    struct pin *old = shard->pin;
    shard->pin = pin;
    mesh__list_push(&shard->pins, &pin->link);
    if (old && old->pins == 0)
        drop_pin(shard, old);
    for (uint32_t i = 0; i < pin->snapshot->count; i++)
        update_group(shard, pin->snapshot->services[i]);
    sweep_pools(shard);
    resolve_waiting(shard);
}

/* ---- pools ---- */

static uint64_t bit_of(const struct service_shard *mine)
{
    return UINT64_C(1) << (((const struct shard *)mine->shard)->index % 64);
}

/* Every place is taken: has the other shards give up what they do not use. */
static void ask_others(struct service_shard *mine)
{
    struct mesh_client *client = mine->live->client;
    for (uint32_t i = 0; i < client->shard_count; i++) {
        struct shard *other = client->shards[i];
        if (other == mine->shard)
            continue;
        atomic_store(&other->feed_starved, true);
        mesh__driver_poke(other);
    }
}

static bool take_connection(void *user)
{
    struct service_shard *mine = user;
    struct service_live *live = mine->live;
    uint32_t limit = atomic_load_explicit(&live->max_connections, memory_order_relaxed);
    if (mesh__live_take(&live->connections, limit))
        return true;
    /* Said before looking again: whoever gives a place back in between sees it. */
    bool said = atomic_fetch_or(&live->starved, bit_of(mine)) & bit_of(mine);
    if (mesh__live_take(&live->connections, limit))
        return true;
    if (!said)
        ask_others(mine);
    return false;
}

static void give_connection(void *user)
{
    struct service_shard *mine = user;
    struct mesh_client *client = mine->live->client;
    mesh__live_give(&mine->live->connections);
    uint64_t starved = atomic_load(&mine->live->starved);
    if (starved == 0)
        return;
    starved = atomic_exchange(&mine->live->starved, 0) & ~bit_of(mine);
    for (uint32_t i = 0; i < client->shard_count; i++)
        if (starved & (UINT64_C(1) << i)) {
            atomic_store(&client->shards[i]->feed_starved, true);
            mesh__loop_kick(&client->shards[i]->loop); /* it has live calls: driven, or armed for control */
        }
}

static bool take_pending(void *user)
{
    struct service_shard *mine = user;
    return mesh__live_take(&mine->live->pending, atomic_load_explicit(&mine->live->max_pending, memory_order_relaxed));
}

static void give_pending(void *user)
{
    struct service_shard *mine = user;
    mesh__live_give(&mine->live->pending);
}

static bool wanted_elsewhere(void *user)
{
    const struct service_shard *mine = user;
    return (atomic_load_explicit(&mine->live->starved, memory_order_relaxed) & ~bit_of(mine)) != 0;
}

static void unverified(void *user, const struct address *address)
{
    const struct service_shard *mine = user;
    const struct mesh_client *client = mine->live->client;
    mesh__outbox_log(client->outbox, MESH_LOG_WARN, "%s: %s was not verified, since tls.verify is \"none\"",
                     mine->live->name, address->text);
}

static const struct pool_hooks hooks = { take_connection, give_connection,  take_pending,
                                         give_pending,    wanted_elsewhere, unverified };

static struct pool_group *group_of(struct shard *shard, const struct service *service)
{
    struct service_shard *mine = service->live->shards[shard->index];
    if (!mine->has_group) {
        struct pool_policy policy = mesh__snapshot_pool_policy(service->policy);
        mine->live = service->live;
        mine->shard = shard;
        mesh__pool_group_init(&mine->group, &shard->loop, &hooks, mine, &policy);
        mine->group.desk = &shard->desk;
        mine->group.http2 = &shard->http2;
        mine->has_group = true;
        follow_policy(mine, service);
    }
    return &mine->group;
}

struct endpoint_shard *mesh__shard_endpoint(struct shard *shard, const struct service *service,
                                            struct endpoint *endpoint)
{
    struct endpoint_shard *at = atomic_load_explicit(&endpoint->shards[shard->index], memory_order_relaxed);
    if (at && at->pool)
        return at;
    if (at == NULL) {
        at = mesh__zalloc(&endpoint->mem, sizeof(*at));
        if (at == NULL)
            return NULL;
        at->endpoint = endpoint;
        atomic_store_explicit(&endpoint->shards[shard->index], at, memory_order_release);
    }
    at->pool = mesh__pool_new(group_of(shard, service), &endpoint->address, &at->pool_counters);
    if (at->pool == NULL)
        return NULL;
    mesh__refs_ref(&endpoint->refs);
    mesh__list_push(&shard->pools, &at->link);
    if (atomic_load(&endpoint->retired))
        shard->retiring++; /* a call that still holds the old snapshot; swept when it is done */
    return at;
}

/* ---- turns ---- */

/* Places were given back elsewhere, or are wanted there. */
static void feed_starved(struct shard *shard)
{
    const struct snapshot *snapshot = shard->pin->snapshot;
    for (uint32_t i = 0; i < snapshot->count; i++) {
        struct service_live *live = snapshot->services[i]->live;
        struct service_shard *mine = live->shards[shard->index];
        if (!mine->has_group)
            continue;
        mesh__pool_group_feed(&mine->group);
        if (atomic_load(&live->starved) & ~bit_of(mine))
            mesh__pool_group_yield(&mine->group);
    }
}

static void cancel_all(struct shard *shard)
{
    struct list batch;
    mesh__list_init(&batch);
    struct list *node;
    while ((node = mesh__list_pop(&shard->calls)) != NULL)
        mesh__list_push(&batch, node);
    /* Ending one call gives up its connection, which may end others: those leave whichever list they are in. */
    while ((node = mesh__list_pop(&batch)) != NULL) {
        mesh__list_push(&shard->calls, node);
        mesh__call_cancel(CONTAINER_OF(node, struct call, link));
    }
}

void mesh__shard_prepare(struct shard *shard)
{
    mesh__turn_enter();
    mesh__loop_refresh(&shard->loop);
    drain(shard);
    if (atomic_load_explicit(&shard->feed_starved, memory_order_relaxed) &&
        atomic_exchange(&shard->feed_starved, false))
        feed_starved(shard);
    if (atomic_load_explicit(&shard->cancel_all, memory_order_relaxed))
        cancel_all(shard);
    mesh__complete_flush(shard);
    mesh__turn_leave();
}

void mesh__shard_flush(struct shard *shard)
{
    if (mesh__list_empty(&shard->loop.tasks))
        return;
    mesh__turn_enter();
    mesh__loop_run_tasks(&shard->loop);
    mesh__complete_flush(shard);
    mesh__turn_leave();
}

void mesh__shard_turn(struct shard *shard, mesh_nanos timeout)
{
    mesh__turn_enter();
    mesh__loop_turn(&shard->loop, timeout);
    if (shard->retiring > 0)
        sweep_pools(shard);
    mesh__complete_flush(shard);
    mesh__turn_leave();
}

/* ---- life ---- */

struct shard *mesh__shard_new(struct mesh_client *client, uint32_t index, int *error)
{
    *error = -ENOMEM;
    struct shard *shard = mesh__zalloc_line(&client->mem, sizeof(*shard));
    if (shard == NULL)
        return NULL;
    shard->client = client;
    shard->index = index;
    mesh__list_init(&shard->pins);
    mesh__list_init(&shard->sleepers);
    mesh__list_init(&shard->calls);
    mesh__list_init(&shard->resolving);
    mesh__list_init(&shard->pools);
    mesh__rng_init(&shard->rng, stream_seed(client, shard_stream(index)));
    atomic_init(&shard->next_due, NANOS_NEVER);
    *error = mesh__loop_init(&shard->loop, &client->mem, client->world);
    if (*error) {
        mesh__free_line(&client->mem, shard);
        return NULL;
    }
    mesh__tls_desk_init(&shard->desk, &shard->loop, client->handshaker);
    mesh__http2_desk_init(&shard->http2, &client->mem);
    shard->store = mesh__store_new(&client->mem);
    if (shard->store)
        adopt(shard);
    if (shard->pin == NULL) {
        *error = -ENOMEM;
        mesh__store_close(shard->store);
        mesh__loop_fini(&shard->loop);
        mesh__free_line(&client->mem, shard);
        return NULL;
    }
    return shard;
}

static void free_slots(struct shard *shard, bool heads)
{
    for (uint32_t i = 0; i < atomic_load(&shard->chunk_count); i++) {
        struct call *chunk = atomic_load(&shard->chunks[i]);
        for (uint32_t j = 0; heads && j < SLOTS_PER_CHUNK; j++)
            mesh__buf_fini(&chunk[j].head);
        mesh__mem_free(&shard->client->mem, chunk);
    }
}

void mesh__shard_free(struct shard *shard)
{
    const struct mem *mem = &shard->client->mem;
    while (!mesh__list_empty(&shard->pools)) {
        struct endpoint_shard *at = CONTAINER_OF(shard->pools.next, struct endpoint_shard, link);
        mesh__pool_free(at->pool);
        at->pool = NULL;
        mesh__list_remove(&at->link);
        mesh__endpoint_unref(at->endpoint);
    }
    while (!mesh__list_empty(&shard->pins))
        drop_pin(shard, CONTAINER_OF(shard->pins.next, struct pin, link));
    mesh__http2_desk_fini(&shard->http2);
    mesh__tls_desk_fini(&shard->desk);
    mesh__loop_fini(&shard->loop);
    mesh__store_close(shard->store);
    free_slots(shard, true);
    mesh__free_line(mem, shard);
}

void mesh__shard_abandon(struct shard *shard)
{
    mesh__loop_abandon(&shard->loop);
    free_slots(shard, false);
    mesh__free_line(&shard->client->mem, shard);
}
