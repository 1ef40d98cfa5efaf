/* SPDX-License-Identifier: Apache-2.0 */
/* flow.c - two halves, one lock, and three things that are waited for: bytes, room, and the end of it all. */
#include "server/flow.h"

#include "net/reentry.h"
#include "net/thread.h"
#include "server/exchange.h"

#include <errno.h>

#define NO_LIMIT (SIZE_MAX / 2)

void mesh__flow_init(struct flow *flow, const struct mem *mem)
{
    pthread_mutex_init(&flow->lock, NULL); /* neither fails on Linux */
    (void)mesh__thread_condition(&flow->changed);
    mesh__buf_init(&flow->in, mem, NO_LIMIT); /* the peer's window bounds it */
    mesh__buf_init(&flow->out, mem, NO_LIMIT);
}

void mesh__flow_fini(struct flow *flow)
{
    const struct mem *mem = flow->in.mem;
    mesh__buf_fini(&flow->in);
    mesh__buf_fini(&flow->out);
    mesh__mem_free(mem, flow->trailers.headers);
    mesh__mem_free(mem, flow->last.headers);
    pthread_cond_destroy(&flow->changed);
    pthread_mutex_destroy(&flow->lock);
}

static const char *put(char **at, const char *text, size_t size)
{
    char *start = *at;
    if (size > 0)
        memcpy(start, text, size);
    start[size] = '\0';
    *at += size + 1;
    return start;
}

bool mesh__flow_copy(const struct mem *mem, const mesh_header *headers, size_t count, struct flow_fields *out)
{
    size_t size = count * sizeof(*headers);
    for (size_t i = 0; i < count; i++)
        size += headers[i].name_size + 1 + headers[i].value_size + 1;
    if (count == 0)
        return true;
    out->headers = mesh__alloc(mem, size);
    if (out->headers == NULL)
        return false;
    char *at = (char *)(out->headers + count);
    for (size_t i = 0; i < count; i++) {
        const mesh_header *from = &headers[i];
        out->headers[i] = (mesh_header){ put(&at, from->name, from->name_size), from->name_size,
                                         put(&at, from->value, from->value_size), from->value_size };
    }
    out->count = count;
    return true;
}

/* ---- what is waited for; with the lock held ---- */

static bool can_read(const struct flow *flow)
{
    return flow->gone || flow->in.size > 0 || flow->ended || flow->fault != MESH_OK;
}

/* A message that is larger than all of the room goes in where nothing else waits. */
static bool can_write(const struct flow *flow, size_t size)
{
    size_t waiting = flow->out.size + flow->sending;
    return flow->gone || waiting == 0 || waiting + size <= FLOW_WAITING_MAX;
}

static bool is_due(const struct flow *flow)
{
    bool idle = !flow->reading && flow->wanted == 0;
    return flow->ready != NULL && (idle || (flow->reading && can_read(flow)) ||
                                   (flow->wanted > 0 && can_write(flow, flow->wanted)) || flow->gone);
}

/* Behind each change by the loop. */
static void unlock_and_tell(mesh_exchange *exchange)
{
    struct flow *flow = &exchange->flow;
    mesh_ready ready = is_due(flow) ? flow->ready : NULL;
    if (ready != NULL) { /* what it tries again and does not get is noted anew */
        flow->ready = NULL;
        flow->reading = false;
        flow->wanted = 0;
    }
    void *user = flow->ready_user;
    pthread_cond_broadcast(&flow->changed);
    pthread_mutex_unlock(&flow->lock);
    if (ready != NULL)
        mesh__server_call(exchange, ready, user);
}

/* MESH_OK: something has changed, and it is to be looked at again. */
static mesh_status wait_for_change(mesh_exchange *exchange, mesh_nanos due)
{
    const struct world *world = exchange->server->own.loop.world;
    mesh_nanos deadline = exchange->inbound.deadline;
    mesh_nanos until = mesh__nanos_min(due, deadline), now = world->now(world);
    if (until <= now)
        return deadline <= now ? MESH_DEADLINE : MESH_EAGAIN;
    struct timespec time = { .tv_sec = (time_t)(until / NANOS_S), .tv_nsec = (long)(until % NANOS_S) };
    if (until == NANOS_NEVER)
        pthread_cond_wait(&exchange->flow.changed, &exchange->flow.lock);
    else
        (void)pthread_cond_timedwait(&exchange->flow.changed, &exchange->flow.lock, &time);
    return MESH_OK;
}

/* When a wait that may take `timeout` is over; a thread that must not wait does not. */
static mesh_status due_of(const mesh_exchange *exchange, mesh_nanos timeout, mesh_nanos *due)
{
    const struct world *world = exchange->server->own.loop.world;
    if (timeout != 0 && mesh__in_turn())
        return MESH_EREENTRY;
    *due = timeout < 0 ? NANOS_NEVER : timeout == 0 ? 0 : mesh__nanos_add(world->now(world), timeout);
    return MESH_OK;
}

/* ---- the loop's side ---- */

bool mesh__flow_put(mesh_exchange *exchange, struct view bytes)
{
    struct flow *flow = &exchange->flow;
    pthread_mutex_lock(&flow->lock);
    bool ok = mesh__buf_append_view(&flow->in, bytes);
    flow->expects_continue = false; /* it did not wait */
    unlock_and_tell(exchange);
    return ok;
}

void mesh__flow_end(mesh_exchange *exchange, mesh_status fault)
{
    struct flow *flow = &exchange->flow;
    pthread_mutex_lock(&flow->lock);
    flow->ended = fault == MESH_OK;
    flow->fault = fault;
    flow->expects_continue = false;
    unlock_and_tell(exchange);
}

void mesh__flow_finish(mesh_exchange *exchange)
{
    pthread_mutex_lock(&exchange->flow.lock);
    exchange->flow.finished = true;
    pthread_mutex_unlock(&exchange->flow.lock);
}

void mesh__flow_lose(mesh_exchange *exchange)
{
    struct flow *flow = &exchange->flow;
    pthread_mutex_lock(&flow->lock);
    flow->gone = true;
    atomic_store(&exchange->gone, true);
    unlock_and_tell(exchange);
}

struct flow_news mesh__flow_news(mesh_exchange *exchange)
{
    struct flow *flow = &exchange->flow;
    pthread_mutex_lock(&flow->lock);
    struct flow_news news = { .credit = flow->credit, .unread = flow->in.size + flow->lent };
    news.waiting = flow->out.size + flow->sending > 0 || flow->finished;
    news.say_continue = flow->expects_continue && flow->reading;
    flow->credit = 0;
    flow->expects_continue &= !news.say_continue;
    pthread_mutex_unlock(&flow->lock);
    return news;
}

size_t mesh__flow_unread(mesh_exchange *exchange)
{
    struct flow *flow = &exchange->flow;
    pthread_mutex_lock(&flow->lock);
    size_t unread = flow->in.size + flow->lent;
    pthread_mutex_unlock(&flow->lock);
    return unread;
}

bool mesh__flow_take_continue(mesh_exchange *exchange)
{
    struct flow *flow = &exchange->flow;
    pthread_mutex_lock(&flow->lock);
    bool expected = flow->expects_continue && !exchange->returned && exchange->status < 300;
    flow->expects_continue &= !expected;
    pthread_mutex_unlock(&flow->lock);
    return expected;
}

mesh_nanos mesh__flow_reading_since(mesh_exchange *exchange)
{
    struct flow *flow = &exchange->flow;
    pthread_mutex_lock(&flow->lock);
    bool waits = flow->reading && flow->reading_until == NANOS_NEVER;
    mesh_nanos since = waits && !can_read(flow) ? flow->reading_since : NANOS_NEVER;
    pthread_mutex_unlock(&flow->lock);
    return since;
}

static void take_written(mesh_exchange *exchange)
{
    struct flow *flow = &exchange->flow;
    struct buf sent = exchange->reply;
    mesh__buf_clear(&sent);
    exchange->reply = flow->out;
    exchange->body_sent = 0;
    flow->out = sent;
}

enum body_next mesh__flow_next(mesh_exchange *exchange, size_t most, struct view *bytes,
                               struct http1_field_group *trailers)
{
    struct flow *flow = &exchange->flow;
    pthread_mutex_lock(&flow->lock);
    if (exchange->body_sent == exchange->reply.size && flow->out.size > 0)
        take_written(exchange);
    size_t left = exchange->reply.size - exchange->body_sent;
    *bytes = mesh__view(left > 0 ? exchange->reply.data + exchange->body_sent : NULL, left < most ? left : most);
    exchange->body_sent += bytes->size;
    flow->sending = left - bytes->size;
    bool empty = flow->sending == 0 && flow->out.size == 0;
    enum body_next next = BODY_MORE;
    if (empty && flow->finished)
        next = BODY_LAST;
    else if (bytes->size == 0)
        next = BODY_LATER;
    flow->starved = next == BODY_LATER;
    if (next == BODY_LAST)
        *trailers = (struct http1_field_group){ flow->last.headers, flow->last.count };
    unlock_and_tell(exchange);
    return next;
}

void mesh__flow_tell(mesh_exchange *exchange)
{
    pthread_mutex_lock(&exchange->flow.lock);
    unlock_and_tell(exchange);
}

/* ---- the side of whoever has the exchange ---- */

/* All of `body` has been read. */
static void give_back(mesh_exchange *exchange)
{
    exchange->flow.credit += exchange->flow.lent;
    exchange->flow.lent = 0;
    mesh__buf_clear(&exchange->body);
    exchange->body_at = 0;
}

static void take_in(mesh_exchange *exchange)
{
    struct flow *flow = &exchange->flow;
    struct buf read = exchange->body;
    exchange->body = flow->in;
    flow->in = read;
    flow->lent = exchange->body.size;
    flow->reading = false;
    exchange->at_end = flow->lent == 0;
}

/* From now on somebody waits to read. */
static void start_waiting(mesh_exchange *exchange)
{
    struct flow *flow = &exchange->flow;
    const struct world *world = exchange->server->own.loop.world;
    mesh_nanos now = world->now(world);
    if (!flow->reading)
        flow->reading_since = now;
    else if (flow->reading_until != NANOS_NEVER)
        flow->reading_since = mesh__nanos_add(flow->reading_since, mesh__nanos_sub(now, flow->reading_until));
    flow->reading = true;
    flow->reading_until = NANOS_NEVER;
}

static void stop_waiting(mesh_exchange *exchange)
{
    const struct world *world = exchange->server->own.loop.world;
    exchange->flow.reading_until = world->now(world);
}

/* Nothing is there to read: whoever waits for that had better be known to the loop. */
static void note_reading(mesh_exchange *exchange)
{
    struct flow *flow = &exchange->flow;
    start_waiting(exchange);
    if (flow->credit > 0 || flow->expects_continue)
        mesh__server_post(exchange, POST_NEWS);
}

mesh_status mesh__flow_fill(mesh_exchange *exchange, mesh_nanos timeout)
{
    struct flow *flow = &exchange->flow;
    mesh_nanos due;
    mesh_status status = due_of(exchange, timeout, &due);
    if (status != MESH_OK || exchange->body_at < exchange->body.size || !exchange->in_pieces)
        return status;
    pthread_mutex_lock(&flow->lock);
    give_back(exchange);
    while (status == MESH_OK && !can_read(flow)) {
        note_reading(exchange);
        status = wait_for_change(exchange, due);
    }
    if (can_read(flow))
        status = flow->gone ? MESH_ECLOSED : flow->in.size > 0 ? MESH_OK : flow->fault;
    if (status == MESH_OK)
        take_in(exchange);
    else if (flow->reading)
        stop_waiting(exchange);
    if (flow->credit >= FLOW_CREDIT_MIN)
        mesh__server_post(exchange, POST_NEWS);
    pthread_mutex_unlock(&flow->lock);
    return status;
}

/* With the lock held: waits for room for so many bytes. */
static mesh_status await_room(mesh_exchange *exchange, size_t size, mesh_nanos due)
{
    struct flow *flow = &exchange->flow;
    mesh_status status = MESH_OK;
    while (status == MESH_OK && !can_write(flow, size)) {
        flow->wanted = size;
        status = wait_for_change(exchange, due);
    }
    if (flow->gone)
        return MESH_ECLOSED;
    if (status == MESH_OK)
        flow->wanted = 0;
    return status;
}

static void note_written(mesh_exchange *exchange)
{
    if (exchange->flow.starved)
        mesh__server_post(exchange, POST_NEWS);
    exchange->flow.starved = false;
}

mesh_status mesh__flow_write(mesh_exchange *exchange, struct view bytes, mesh_nanos timeout, size_t *written)
{
    struct flow *flow = &exchange->flow;
    mesh_nanos due;
    *written = 0;
    mesh_status status = due_of(exchange, timeout, &due);
    if (status != MESH_OK)
        return status;
    pthread_mutex_lock(&flow->lock);
    while (status == MESH_OK && *written < bytes.size) {
        size_t left = bytes.size - *written;
        /* A writer of more is woken for half of the room, not for each byte of it. */
        status = await_room(exchange, left < FLOW_WAITING_MAX / 2 ? left : FLOW_WAITING_MAX / 2, due);
        size_t room = FLOW_WAITING_MAX - flow->out.size - flow->sending;
        size_t part = left < room ? left : room;
        if (status == MESH_OK && !mesh__buf_append(&flow->out, bytes.data + *written, part))
            status = MESH_NO_MEMORY;
        if (status == MESH_OK) {
            *written += part;
            note_written(exchange);
        }
    }
    if (flow->gone)
        status = MESH_ECLOSED;
    pthread_mutex_unlock(&flow->lock);
    return status;
}

mesh_status mesh__flow_write_whole(mesh_exchange *exchange, struct view head, struct view bytes, mesh_nanos timeout)
{
    struct flow *flow = &exchange->flow;
    mesh_nanos due;
    mesh_status status = due_of(exchange, timeout, &due);
    if (status != MESH_OK)
        return status;
    pthread_mutex_lock(&flow->lock);
    status = await_room(exchange, head.size + bytes.size, due);
    if (status == MESH_OK && !mesh__buf_reserve(&flow->out, head.size + bytes.size))
        status = MESH_NO_MEMORY;
    if (status == MESH_OK) {
        (void)mesh__buf_append_view(&flow->out, head);
        (void)mesh__buf_append_view(&flow->out, bytes);
        note_written(exchange);
    }
    pthread_mutex_unlock(&flow->lock);
    return status;
}

bool mesh__flow_is_open(mesh_exchange *exchange)
{
    pthread_mutex_lock(&exchange->flow.lock);
    bool open = exchange->in_pieces && !exchange->flow.ended;
    pthread_mutex_unlock(&exchange->flow.lock);
    return open;
}

bool mesh__flow_ask(mesh_exchange *exchange, mesh_ready ready, void *user)
{
    struct flow *flow = &exchange->flow;
    pthread_mutex_lock(&flow->lock);
    flow->ready = ready;
    flow->ready_user = user;
    if (flow->reading)
        start_waiting(exchange);
    bool ok = !is_due(flow) || mesh__server_post(exchange, POST_NEWS);
    if (!ok)
        flow->ready = NULL;
    pthread_mutex_unlock(&flow->lock);
    return ok;
}
