/* SPDX-License-Identifier: Apache-2.0 */
/* pool.c - idle connections, waiting exchanges, and dials that bring them together. */
#include "net/pool.h"

#include <errno.h>

void mesh__pool_group_init(struct pool_group *group, struct loop *loop, const struct pool_hooks *hooks, void *user,
                           const struct pool_policy *policy)
{
    *group = (struct pool_group){ .loop = loop, .hooks = hooks, .user = user, .policy = *policy };
    mesh__list_init(&group->pools);
    mesh__list_init(&group->starved);
}

void mesh__pool_group_fini(struct pool_group *group)
{
    mesh__tls_spec_unref(group->security.spec);
    group->security.spec = NULL;
}

struct pool *mesh__pool_new(struct pool_group *group, const struct address *address, struct pool_counters *counters)
{
    struct pool *pool = mesh__zalloc(group->loop->mem, sizeof(*pool));
    if (pool == NULL)
        return NULL;
    pool->group = group;
    pool->address = *address;
    pool->counters = counters;
    mesh__list_init(&pool->waiting);
    mesh__list_init(&pool->idle);
    mesh__list_init(&pool->rest);
    mesh__list_push(&group->pools, &pool->link);
    return pool;
}

/* Takes the exchange out of every list; it counted as pending. */
static void stop_waiting(struct exchange *exchange)
{
    mesh__list_remove(&exchange->waiting);
    mesh__list_remove(&exchange->starved);
    exchange->pool->waiters--;
    exchange->pool->group->hooks->give_pending(exchange->pool->group->user);
}

static struct exchange *first_waiting(struct pool *pool)
{
    return mesh__list_empty(&pool->waiting) ? NULL : CONTAINER_OF(pool->waiting.next, struct exchange, waiting);
}

static void tell_failed(struct exchange *exchange, mesh_status status, const char *reason, int error_number)
{
    struct failure failure = { .status = status, .reason = reason, .error_number = error_number, .unsent = true };
    exchange->end_at = exchange->pool->group->loop->now;
    exchange->events->failed(exchange, &failure);
}

/* The local causes of a failed dial are not the endpoint's fault. */
mesh_status mesh__pool_dial_status(int error)
{
    switch (error) {
    case ENOMEM:
        return MESH_NO_MEMORY;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case EADDRNOTAVAIL:
    case EAGAIN:
        return MESH_NO_DESCRIPTORS;
    case ECONNREFUSED:
    case ECONNRESET:
    case ENOENT: /* a Unix socket that is not there */
        return MESH_CONNECT_REFUSED;
    case ETIMEDOUT:
        return MESH_CONNECT_TIMEOUT;
    case EACCES:
    case EPERM:
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
    case EAFNOSUPPORT:
        return MESH_CONNECT_UNREACHABLE;
    default:
        return MESH_SYSTEM;
    }
}

/* Closes the connection of the group that has been idle for longest, to make room for another. */
static bool evict_idle(struct pool_group *group)
{
    struct channel *oldest = NULL;
    for (struct list *node = group->pools.next; node != &group->pools; node = node->next) {
        struct pool *pool = CONTAINER_OF(node, struct pool, link);
        if (mesh__list_empty(&pool->idle))
            continue;
        struct channel *channel = CONTAINER_OF(pool->idle.prev, struct channel, link);
        if (oldest == NULL || channel->idle_since < oldest->idle_since)
            oldest = channel;
    }
    if (oldest)
        mesh__channel_close(oldest);
    return oldest != NULL;
}

void mesh__pool_group_yield(struct pool_group *group)
{
    (void)evict_idle(group);
}

static bool take_connection(struct pool_group *group)
{
    return group->hooks->take_connection(group->user) ||
           (evict_idle(group) && group->hooks->take_connection(group->user));
}

/* Dials once for the pool; the place among the connections is taken already. */
static void dial(struct pool *pool)
{
    struct channel *channel;
    struct pool_group *group = pool->group;
    int error = mesh__channel_dial(pool, &pool->address, group->policy.connect_timeout, &channel);
    if (error == 0) {
        mesh__list_push(&pool->rest, &channel->link);
        pool->channels++;
        pool->dialing++;
        group->connections++;
        return;
    }
    group->hooks->give_connection(group->user);
    COUNTER_ADD(pool->counters->connect_failures, 1);
    struct exchange *exchange = first_waiting(pool);
    if (exchange) {
        stop_waiting(exchange);
        tell_failed(exchange, mesh__pool_dial_status(-error), NULL, -error);
    }
}

void mesh__pool_group_feed(struct pool_group *group)
{
    while (!mesh__list_empty(&group->starved) && take_connection(group)) {
        struct list *node = mesh__list_pop(&group->starved);
        if (node == NULL) { /* the connection that made room has fed it already */
            group->hooks->give_connection(group->user);
            return;
        }
        dial(CONTAINER_OF(node, struct exchange, starved)->pool);
    }
}

/* May this channel carry one more exchange? */
static bool is_good(struct channel *channel)
{
    const struct pool_policy *policy = &channel->pool->group->policy;
    mesh_nanos now = channel->pool->group->loop->now;
    return !channel->pool->retired && channel->spec == channel->pool->group->security.spec &&
           (policy->max_exchanges == 0 || channel->exchanges < policy->max_exchanges) &&
           (policy->max_age == 0 || mesh__nanos_sub(now, channel->opened_at) < policy->max_age) &&
           mesh__channel_allowed(channel);
}

/* The idle channel used last that is still good; the others met on the way are closed. */
static struct channel *take_idle(struct pool *pool)
{
    while (!mesh__list_empty(&pool->idle)) {
        struct channel *channel = CONTAINER_OF(pool->idle.next, struct channel, link);
        bool just_used = channel->idle_turn == pool->group->loop->turns;
        if (is_good(channel) && (just_used || channel->stream->ops->is_quiet(channel->stream))) {
            mesh__list_remove(&channel->link);
            mesh__list_push(&pool->rest, &channel->link);
            channel->state = CHANNEL_BUSY;
            return channel;
        }
        mesh__channel_close(channel);
    }
    return NULL;
}

void mesh__pool_acquire(struct pool *pool, struct exchange *exchange)
{
    struct pool_group *group = pool->group;
    exchange->pool = pool;
    exchange->channel = NULL;
    exchange->sent = 0;
    exchange->asked_at = group->loop->now;
    exchange->ready_at = exchange->sent_at = exchange->first_at = exchange->end_at = 0;
    struct channel *channel = take_idle(pool);
    if (channel) {
        mesh__channel_begin(channel, exchange);
        return;
    }
    if (!group->hooks->take_pending(group->user)) {
        tell_failed(exchange, MESH_OVERLOADED, "limits.max_pending is reached", 0);
        return;
    }
    mesh__list_push(&pool->waiting, &exchange->waiting);
    pool->waiters++;
    if (take_connection(group))
        dial(pool);
    else
        mesh__list_push(&group->starved, &exchange->starved);
}

void mesh__exchange_cancel(struct exchange *exchange)
{
    if (exchange->channel) {
        mesh__channel_close(exchange->channel);
        exchange->channel = NULL;
    } else if (mesh__list_linked(&exchange->waiting)) {
        stop_waiting(exchange);
    }
}

/* A place became free in this shard: starved exchanges come first. */
static void place_freed(struct pool_group *group)
{
    group->connections--;
    group->hooks->give_connection(group->user);
    mesh__pool_group_feed(group);
}

static void go_idle(struct channel *channel)
{
    struct pool *pool = channel->pool;
    struct loop *loop = pool->group->loop;
    channel->state = CHANNEL_IDLE;
    channel->idle_since = loop->now;
    channel->idle_turn = loop->turns;
    mesh__list_remove(&channel->link);
    mesh__list_push_front(&pool->idle, &channel->link);
    mesh_nanos due = mesh__nanos_add(loop->now, channel->idle_limit);
    if ((channel->timer.timer.place == 0 || channel->timer.timer.due > due) &&
        !mesh__loop_timer_set(loop, &channel->timer, due))
        mesh__channel_close(channel);
}

/* A channel is free: the oldest exchange that waits takes it; else a starved one of another pool takes its place. */
static void offer(struct channel *channel)
{
    struct pool *pool = channel->pool;
    struct exchange *exchange = first_waiting(pool);
    if (exchange) {
        stop_waiting(exchange);
        channel->state = CHANNEL_BUSY;
        mesh__channel_begin(channel, exchange);
        return;
    }
    const struct pool_hooks *hooks = pool->group->hooks;
    if (mesh__list_empty(&pool->group->starved) && hooks->wanted_elsewhere &&
        hooks->wanted_elsewhere(pool->group->user)) {
        mesh__channel_close(channel); /* its place is worth more than the connection */
        return;
    }
    go_idle(channel);
    mesh__pool_group_feed(pool->group);
}

/* Another dial for whoever waits beyond the dials that are under way: it is starved until the place is free. */
static void dial_again(struct pool *pool)
{
    uint32_t dials = pool->dialing;
    for (struct list *node = pool->waiting.next; node != &pool->waiting; node = node->next) {
        struct exchange *exchange = CONTAINER_OF(node, struct exchange, waiting);
        if (mesh__list_linked(&exchange->starved) || dials-- > 0)
            continue;
        mesh__list_push_front(&pool->group->starved, &exchange->starved);
        return;
    }
}

void mesh__pool_dialed(struct channel *channel)
{
    struct pool *pool = channel->pool;
    pool->dialing--;
    COUNTER_ADD(pool->counters->connects, 1);
    channel->state = CHANNEL_IDLE;
    if (channel->spec != pool->group->security.spec) {
        /* Hands were shaken under what is not in force any more. */
        dial_again(pool);
        mesh__channel_close(channel);
    } else if (is_good(channel) || first_waiting(pool)) {
        /* Also of a retired pool: who waited for this connection came before. */
        offer(channel);
    } else {
        mesh__channel_close(channel);
    }
}

void mesh__pool_dial_failed(struct channel *channel, mesh_status status, const char *reason, int error_number)
{
    struct pool *pool = channel->pool;
    COUNTER_ADD(pool->counters->connect_failures, 1);
    /* One dial, one exchange: but not while enough other dials are under way for all that wait. */
    struct exchange *exchange = pool->waiters >= pool->dialing ? first_waiting(pool) : NULL;
    if (exchange)
        stop_waiting(exchange);
    mesh__channel_close(channel); /* `reason` lives on: whoever tells of a failed dial is in the channel's step */
    if (exchange)
        tell_failed(exchange, status, reason, error_number);
}

void mesh__pool_put_back(struct channel *channel, bool reusable)
{
    if (!reusable || !is_good(channel)) {
        mesh__channel_close(channel);
        return;
    }
    offer(channel);
}

static void close_all(struct list *channels)
{
    while (!mesh__list_empty(channels))
        mesh__channel_close(CONTAINER_OF(channels->next, struct channel, link));
}

void mesh__pool_group_secure(struct pool_group *group, const struct pool_security *security)
{
    struct tls_spec *old = group->security.spec;
    if (security->spec)
        mesh__tls_spec_ref(security->spec);
    group->security = *security;
    group->secured++;
    for (struct list *node = group->pools.next; old != security->spec && node != &group->pools; node = node->next)
        close_all(&CONTAINER_OF(node, struct pool, link)->idle);
    mesh__tls_spec_unref(old);
}

void mesh__pool_retire(struct pool *pool)
{
    pool->retired = true;
    close_all(&pool->idle);
}

bool mesh__pool_is_empty(const struct pool *pool)
{
    return pool->channels == 0 && pool->waiters == 0;
}

void mesh__pool_free(struct pool *pool)
{
    while (!mesh__list_empty(&pool->waiting))
        stop_waiting(first_waiting(pool));
    mesh__pool_retire(pool);
    close_all(&pool->rest);
    mesh__list_remove(&pool->link);
    mesh__mem_free(pool->group->loop->mem, pool);
}

void mesh__pool_closed(struct channel *channel)
{
    struct pool *pool = channel->pool;
    if (channel->state == CHANNEL_DIALING)
        pool->dialing--;
    else
        COUNTER_ADD(pool->counters->disconnects, 1);
    pool->channels--;
    place_freed(pool->group);
}
