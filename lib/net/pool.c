/* SPDX-License-Identifier: Apache-2.0 */
/* pool.c - connections with room, waiting exchanges, and dials that bring them together. */
#include "net/pool.h"

#include <errno.h>

/* Secured dials under way to one endpoint, for each thread that shakes hands: four keep it busy while peers answer. A
 * handshake takes such a thread milliseconds and a call usually less, so further dials would only hold up those that
 * are under way; whoever waits is served sooner by a connection that has become free. */
#define DIALS_PER_THREAD 4

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
    mesh__tls_spec_unref(group->security.spec_http1);
    group->security.spec = group->security.spec_http1 = NULL;
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
    mesh__list_init(&pool->shared);
    mesh__list_init(&pool->idle);
    mesh__list_init(&pool->rest);
    mesh__list_push(&group->pools, &pool->link);
    return pool;
}

struct tls_spec *mesh__pool_spec(const struct pool *pool)
{
    const struct pool_security *security = &pool->group->security;
    return pool->http1_only && security->spec_http1 ? security->spec_http1 : security->spec;
}

void mesh__pool_fall_back(struct pool *pool)
{
    pool->http1_only = true;
    pool->group->secured++; /* its channels are judged anew */
}

/* One dial serves all that wait: the peer speaks HTTP/2, or may do so. */
static bool is_sharing(const struct pool *pool)
{
    const struct pool_group *group = pool->group;
    if (pool->http1_only || group->protocol == POOL_HTTP1)
        return false;
    return group->protocol == POOL_HTTP2 || (group->security.spec != NULL && !pool->spoke_http1);
}

/* How many dials may be under way. Where that is limited, it is not one for each that waits: while any wait, a dial is
 * under way or one of them is starved, and a dial that comes through is followed by others. */
static uint32_t dials_most(const struct pool *pool)
{
    const struct pool_group *group = pool->group;
    if (is_sharing(pool))
        return 1;
    return group->security.spec ? DIALS_PER_THREAD * mesh__tls_desk_width(group->desk) : UINT32_MAX;
}

static bool is_limited(const struct pool *pool)
{
    return dials_most(pool) < UINT32_MAX;
}

static bool dials_enough(const struct pool *pool)
{
    return pool->dialing >= dials_most(pool);
}

/* The first of those who wait that no dial is under way for are starved: they get the next places. */
static void starve_beyond(struct pool *pool)
{
    uint32_t dials = pool->dialing, left = dials_most(pool);
    for (struct list *node = pool->waiting.next; node != &pool->waiting && left > 0; node = node->next, left--) {
        struct exchange *exchange = CONTAINER_OF(node, struct exchange, waiting);
        bool starved = mesh__list_linked(&exchange->starved);
        if (!starved && dials == 0)
            mesh__list_push_front(&pool->group->starved, &exchange->starved);
        dials -= !starved && dials > 0;
    }
}

/* Takes the exchange out of every list; it counted as pending. If it was starved for others too, they are now. */
static void stop_waiting(struct exchange *exchange)
{
    struct pool *pool = exchange->pool;
    bool was_starved = mesh__list_linked(&exchange->starved);
    mesh__list_remove(&exchange->waiting);
    mesh__list_remove(&exchange->starved);
    pool->waiters--;
    if (was_starved && is_limited(pool))
        starve_beyond(pool);
    pool->group->hooks->give_pending(pool->group->user);
}

static struct exchange *first_waiting(struct pool *pool)
{
    return mesh__list_empty(&pool->waiting) ? NULL : CONTAINER_OF(pool->waiting.next, struct exchange, waiting);
}

static void tell_failed(struct exchange *exchange, const struct failure *failure)
{
    exchange->end_at = exchange->pool->group->loop->now;
    exchange->events->failed(exchange, failure);
}

/* How many of those who wait fail with one of so many dials: its part of all, where it was not for one of them alone;
 * nobody, while the other dials are enough for all. */
static uint32_t share(const struct pool *pool, uint32_t dials)
{
    if (pool->waiters < dials)
        return 0;
    return is_limited(pool) ? (pool->waiters - 1) / dials + 1 : 1;
}

/* Those who have waited longest, at most so many: they still wait, and may be cancelled, but nobody serves them. */
static void set_apart(struct pool *pool, struct list *doomed, uint32_t most)
{
    struct list *node;
    for (; most > 0 && (node = mesh__list_pop(&pool->waiting)) != NULL; most--) {
        mesh__list_remove(&CONTAINER_OF(node, struct exchange, waiting)->starved);
        mesh__list_push(doomed, node);
    }
}

/* `shaking`: so long hands were shaken in vain. */
static void fail_all(struct list *doomed, const struct failure *failure, mesh_nanos shaking)
{
    while (!mesh__list_empty(doomed)) {
        struct exchange *exchange = CONTAINER_OF(doomed->next, struct exchange, waiting);
        stop_waiting(exchange);
        exchange->shaking = shaking;
        tell_failed(exchange, failure);
    }
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
    struct failure failure = { .status = mesh__pool_dial_status(-error), .error_number = -error, .unsent = true };
    struct list doomed;
    mesh__list_init(&doomed);
    set_apart(pool, &doomed, share(pool, pool->dialing + 1));
    fail_all(&doomed, &failure, 0);
}

/* The first of those who starve, but for those of pools that dial enough meanwhile. */
static struct exchange *first_starved(struct pool_group *group)
{
    while (!mesh__list_empty(&group->starved)) {
        struct exchange *exchange = CONTAINER_OF(group->starved.next, struct exchange, starved);
        if (!dials_enough(exchange->pool))
            return exchange;
        mesh__list_remove(&exchange->starved);
    }
    return NULL;
}

void mesh__pool_group_feed(struct pool_group *group)
{
    struct exchange *exchange;
    while ((exchange = first_starved(group)) != NULL) {
        if (!take_connection(group))
            return;
        exchange = first_starved(group); /* the connection that made room may have fed them already */
        if (exchange == NULL) {
            group->hooks->give_connection(group->user);
            return;
        }
        mesh__list_remove(&exchange->starved);
        dial(exchange->pool);
    }
}

static bool is_used_up(const struct channel *channel)
{
    uint32_t most = channel->pool->group->policy.max_exchanges;
    return most > 0 && channel->exchanges >= most;
}

/* May this channel carry one more exchange? */
static bool is_good(struct channel *channel)
{
    const struct pool_policy *policy = &channel->pool->group->policy;
    mesh_nanos now = channel->pool->group->loop->now;
    return !channel->pool->retired && !is_used_up(channel) &&
           (policy->max_age == 0 || mesh__nanos_sub(now, channel->opened_at) < policy->max_age) &&
           (channel->judged == channel->pool->group->secured || mesh__channel_allowed(channel)) &&
           (channel->codec->is_draining == NULL || !channel->codec->is_draining(channel));
}

static void move(struct channel *channel, struct list *to)
{
    mesh__list_remove(&channel->link);
    mesh__list_push_front(to, &channel->link);
}

/* A channel that carries exchanges and takes one more. */
static struct channel *take_shared(struct pool *pool)
{
    while (!mesh__list_empty(&pool->shared)) {
        struct channel *channel = CONTAINER_OF(pool->shared.next, struct channel, link);
        if (channel->codec->room(channel) > 0 && is_good(channel))
            return channel;
        move(channel, &pool->rest); /* what is on it goes on */
    }
    return NULL;
}

/* The idle channel used last that is still good; the others met on the way are closed. */
static struct channel *take_idle(struct pool *pool)
{
    while (!mesh__list_empty(&pool->idle)) {
        struct channel *channel = CONTAINER_OF(pool->idle.next, struct channel, link);
        bool just_used = channel->idle_turn == pool->group->loop->turns;
        if (!is_good(channel) || channel->codec->room(channel) == 0) {
            mesh__channel_close(channel); /* without room: its peer takes no streams, and may on another one */
        } else if (just_used || mesh__channel_look(channel)) {
            move(channel, &pool->rest);
            channel->state = CHANNEL_BUSY;
            return channel;
        }
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
    struct channel *channel = take_shared(pool);
    if (channel == NULL)
        channel = take_idle(pool);
    if (channel) {
        mesh__channel_begin(channel, exchange);
        return;
    }
    if (!group->hooks->take_pending(group->user)) {
        struct failure failure = { .status = MESH_OVERLOADED,
                                   .reason = "limits.max_pending is reached",
                                   .unsent = true };
        tell_failed(exchange, &failure);
        return;
    }
    mesh__list_push(&pool->waiting, &exchange->waiting);
    pool->waiters++;
    if (dials_enough(pool))
        return;
    if (take_connection(group))
        dial(pool);
    else
        mesh__list_push(&group->starved, &exchange->starved);
}

void mesh__exchange_cancel(struct exchange *exchange)
{
    if (exchange->channel) {
        mesh__channel_cancel(exchange->channel, exchange);
    } else if (mesh__list_linked(&exchange->waiting)) {
        stop_waiting(exchange);
    }
}

void mesh__exchange_resume(struct exchange *exchange)
{
    if (exchange->channel)
        mesh__channel_resume(exchange->channel, exchange);
}

void mesh__exchange_consume(struct exchange *exchange, size_t size)
{
    if (exchange->channel && exchange->credit)
        mesh__channel_consume(exchange->channel, exchange, size);
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

/* Nobody of this pool needs the channel now: a starved exchange of another pool may take its place. */
static void rest_or_yield(struct channel *channel)
{
    struct pool_group *group = channel->pool->group;
    const struct pool_hooks *hooks = group->hooks;
    if (mesh__list_empty(&group->starved) && hooks->wanted_elsewhere && hooks->wanted_elsewhere(group->user)) {
        mesh__channel_close(channel); /* its place is worth more than the connection */
        return;
    }
    go_idle(channel);
    mesh__pool_group_feed(group);
}

/* A channel is free: the oldest exchange that waits takes it. */
static void offer(struct channel *channel)
{
    struct exchange *exchange = first_waiting(channel->pool);
    if (exchange == NULL) {
        rest_or_yield(channel);
        return;
    }
    stop_waiting(exchange);
    channel->state = CHANNEL_BUSY;
    mesh__channel_begin(channel, exchange);
}

static void dial_on(struct pool *pool)
{
    starve_beyond(pool);
    mesh__pool_group_feed(pool->group);
}

void mesh__pool_place(struct channel *channel)
{
    struct pool *pool = channel->pool;
    bool good = is_good(channel);
    if (channel->active > 0) {
        struct list *to = good && channel->codec->room(channel) > 0 ? &pool->shared : &pool->rest;
        if (pool->shared.next != &channel->link || to != &pool->shared)
            move(channel, to);
    } else if (!good) {
        mesh__channel_close(channel);
    } else {
        rest_or_yield(channel);
    }
}

/* Whoever waits gets room. `anyway`: also on a channel that is not good any more, to be told what is wrong with it. */
static void serve(struct channel *channel, bool anyway)
{
    struct pool *pool = channel->pool;
    struct exchange *exchange;
    while (channel->state != CHANNEL_CLOSED && (exchange = first_waiting(pool)) != NULL &&
           (is_good(channel) || (anyway && !is_used_up(channel))) && channel->codec->room(channel) > 0) {
        stop_waiting(exchange);
        channel->state = CHANNEL_BUSY;
        mesh__channel_begin(channel, exchange);
    }
}

void mesh__pool_settle(struct channel *channel)
{
    struct pool *pool = channel->pool;
    serve(channel, false);
    if (channel->state == CHANNEL_BUSY)
        mesh__pool_place(channel);
    else if (channel->state == CHANNEL_IDLE && !is_good(channel))
        mesh__channel_close(channel);
    if (pool->waiters > 0)
        dial_on(pool);
}

void mesh__pool_dialed(struct channel *channel)
{
    struct pool *pool = channel->pool;
    bool was_limited = is_limited(pool);
    pool->dialing--;
    COUNTER_ADD(pool->counters->connects, 1);
    channel->state = CHANNEL_IDLE;
    pool->spoke_http1 = !channel->codec->multiplexed;
    if (channel->spec != mesh__pool_spec(pool)) {
        /* Hands were shaken under what is not in force any more. Feeding comes with the place that closing gives. */
        starve_beyond(pool);
        mesh__channel_close(channel);
        return;
    }
    /* Also of a retired pool: who waited for this connection came before. */
    if (channel->codec->multiplexed)
        serve(channel, true);
    else if (is_good(channel) || first_waiting(pool))
        offer(channel);
    else
        mesh__channel_close(channel);
    if (channel->state == CHANNEL_IDLE && channel->codec->multiplexed)
        mesh__pool_place(channel);
    if (was_limited && pool->waiters > 0)
        dial_on(pool);
}

void mesh__pool_dial_failed(struct channel *channel, mesh_status status, const char *reason, int error_number)
{
    struct pool *pool = channel->pool;
    struct failure failure = { .status = status, .reason = reason, .error_number = error_number, .unsent = true };
    mesh_nanos shaking = 0;
    struct list doomed;
    COUNTER_ADD(pool->counters->connect_failures, 1);
    mesh__list_init(&doomed);
    (void)mesh__channel_tls(channel, &shaking);
    bool outdated = channel->spec != mesh__pool_spec(pool); /* what is in force now has not been tried yet */
    set_apart(pool, &doomed, outdated ? 0 : share(pool, pool->dialing));
    mesh__channel_close(channel); /* `reason` lives on: whoever tells of a failed dial is in the channel's step */
    fail_all(&doomed, &failure, shaking);
    if (outdated && pool->waiters > 0)
        dial_on(pool);
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
    struct pool_security old = group->security;
    if (security->spec)
        mesh__tls_spec_ref(security->spec);
    if (security->spec_http1)
        mesh__tls_spec_ref(security->spec_http1);
    group->security = *security;
    group->secured++;
    for (struct list *node = group->pools.next; old.spec != security->spec && node != &group->pools;
         node = node->next) {
        struct pool *pool = CONTAINER_OF(node, struct pool, link);
        pool->spoke_http1 = false;
        close_all(&pool->idle);
    }
    mesh__tls_spec_unref(old.spec);
    mesh__tls_spec_unref(old.spec_http1);
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
    close_all(&pool->shared);
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
