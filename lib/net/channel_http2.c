/* SPDX-License-Identifier: Apache-2.0 */
/* channel_http2.c - HTTP/2 on a channel: many exchanges, each a stream, and one send for all of them a loop turn.
 *
 * An exchange is told its end from the codec's `closed`, which comes once for each stream, and so leaves in one place
 * only. Whatever streams have to say is written by a posted task, after everything else of the turn. */
#include "net/channel_http2.h"

#include "net/pool.h"
#include "wire/http2.h"

#include <errno.h>

#define POOL_KEPT_MAX ((size_t)4 * 1024 * 1024)
#define WRITE_AT_ONCE ((size_t)64 * 1024) /* frames made before they are sent; the last one may be as long again */
#define WRITES_PER_STEP 16
#define FAREWELL_MAX ((size_t)256 * 1024)
#define CALM_MAX 5 /* how often the interval of keepalive doubles at a peer's wish */

struct channel_http2 {
    struct channel *channel;
    struct http2_conn *conn;
    struct http2_pool *memory;
    struct list sending;    /* exchanges whose request has not been given to the connection whole */
    struct list receiving;  /* the others */
    struct buf unsent;      /* frames that the connection has not taken; nothing is written behind them */
    struct loop_task write; /* writes on, later in this turn */
    mesh_nanos busy_since, heard_at, ping_at;
    bool settled;    /* the peer has said how many streams it takes */
    bool heard;      /* something came since it was idle */
    bool used;       /* it was idle after an exchange, and no other had begun */
    bool cut;        /* the connection below has ended: nothing more is said */
    bool go_in_time; /* the peer went away in order: streams it did not process tell nothing about it */
    int error_number;
};

void mesh__http2_desk_init(struct http2_desk *desk, const struct mem *mem)
{
    mesh__http2_pool_init(&desk->pool, mem, POOL_KEPT_MAX);
    mesh__buf_init(&desk->out, mem, 4 * WRITE_AT_ONCE);
}

void mesh__http2_desk_fini(struct http2_desk *desk)
{
    mesh__buf_fini(&desk->out);
    mesh__http2_pool_fini(&desk->pool);
}

static struct loop *loop_of(const struct channel *channel)
{
    return channel->pool->group->loop;
}

static struct exchange *exchange_at(struct list *node)
{
    return CONTAINER_OF(node, struct exchange, on);
}

/* Takes the exchange off the channel. */
static void take_off(struct channel_http2 *self, struct exchange *exchange)
{
    mesh__list_remove(&exchange->on);
    exchange->channel = NULL;
    exchange->stream = NULL;
    self->channel->active--;
}

/* ---- what the codec tells ---- */

/* NULL when nobody asks about the stream any more. */
static struct exchange *exchange_of(const struct channel_http2 *self, const struct http2_stream *stream)
{
    return self->channel->state == CHANNEL_CLOSED ? NULL : mesh__http2_stream_user(stream);
}

static bool on_head(void *user, struct http2_stream *stream, const struct http1_head *head)
{
    struct channel_http2 *self = user;
    struct exchange *exchange = exchange_of(self, stream);
    if (exchange == NULL)
        return true;
    exchange->first_at = loop_of(self->channel)->now;
    return exchange->events->head(exchange, head) || exchange_of(self, stream) == NULL;
}

/* Without credit, whoever collects a body has room for it, and what is taken is at once done with. */
static bool on_body(void *user, struct http2_stream *stream, struct view bytes)
{
    struct channel_http2 *self = user;
    struct exchange *exchange = exchange_of(self, stream);
    if (exchange == NULL)
        return true;
    bool ok = exchange->events->body(exchange, bytes);
    if (exchange_of(self, stream) == NULL)
        return true;
    if (!exchange->credit)
        mesh__http2_consume(stream, bytes.size);
    return ok;
}

static bool on_trailers(void *user, struct http2_stream *stream, const mesh_header *headers, size_t count)
{
    struct channel_http2 *self = user;
    struct exchange *exchange = exchange_of(self, stream);
    if (exchange == NULL || exchange->events->trailers == NULL)
        return true;
    return exchange->events->trailers(exchange, headers, count) || exchange_of(self, stream) == NULL;
}

static bool on_end(void *user, struct http2_stream *stream)
{
    (void)user;
    (void)stream;
    return true;
}

static struct failure failure_of(const struct channel_http2 *self, const struct exchange *exchange,
                                 const struct http2_closed *closed)
{
    struct failure failure = { .status = closed->status,
                               .reason = closed->reason,
                               .error_number = self->error_number,
                               .unsent = closed->unprocessed || exchange->sent == 0,
                               .by_peer = closed->by_peer,
                               .code = closed->code };
    if (closed->http1_required) {
        failure.status = MESH_REFUSED;
        failure.reason = "the peer wants this request over HTTP/1.1";
        failure.unsent = failure.stale = true;
    } else if (closed->status == MESH_REFUSED) {
        failure.stale = self->go_in_time && !closed->by_peer;
    } else if (closed->status == MESH_RESET) {
        failure.stale = self->cut && self->used && !self->heard;
    } else if (closed->status == MESH_TLS_REFUSED_BY_PEER) {
        failure.unsent = true;
    }
    return failure;
}

/* The connection went away in order before anything of the exchange was written: nothing has been tried, and its source
 * has not been asked. Once, since whatever makes connections go away may do so for ever. */
static bool may_move(const struct channel_http2 *self, const struct exchange *exchange, const struct failure *failure)
{
    return failure->status == MESH_REFUSED && failure->stale && !mesh__http2_stream_sent(exchange->stream) &&
           !exchange->moved && !self->channel->pool->retired;
}

static void on_closed(void *user, struct http2_stream *stream, const struct http2_closed *closed)
{
    struct channel_http2 *self = user;
    struct exchange *exchange = exchange_of(self, stream);
    if (exchange == NULL)
        return;
    struct failure failure = failure_of(self, exchange, closed);
    struct channel *channel = self->channel;
    if (closed->http1_required)
        mesh__pool_fall_back(channel->pool);
    exchange->end_at = loop_of(channel)->now;
    bool moves = may_move(self, exchange, &failure);
    take_off(self, exchange);
    mesh__pool_settle(channel);
    if (moves) {
        exchange->moved = true;
        mesh__pool_acquire(exchange->pool, exchange);
    } else if (closed->status == MESH_OK) {
        exchange->events->end(exchange);
    } else {
        exchange->events->failed(exchange, &failure);
    }
}

static void on_settings(void *user, uint32_t max_streams)
{
    struct channel_http2 *self = user;
    if (self->channel->state == CHANNEL_CLOSED)
        return;
    self->settled = true;
    self->channel->pool->streams = max_streams > 0 ? max_streams : 1;
    mesh__pool_settle(self->channel);
}

static void on_goaway(void *user, const struct http2_goaway *goaway)
{
    struct channel_http2 *self = user;
    struct channel *channel = self->channel;
    if (channel->state == CHANNEL_CLOSED)
        return;
    bool http1_required = goaway->code == HTTP2_HTTP_1_1_REQUIRED;
    self->go_in_time = goaway->code == HTTP2_NO_ERROR || http1_required;
    if (http1_required)
        mesh__pool_fall_back(channel->pool);
    if (goaway->code == HTTP2_ENHANCE_YOUR_CALM && channel->pool->calm < CALM_MAX)
        channel->pool->calm++;
    mesh__pool_settle(channel);
}

static void on_pong(void *user)
{
    (void)user; /* that something came is noted for all bytes */
}

static const struct http2_events http2_events = {
    .head = on_head,
    .body = on_body,
    .trailers = on_trailers,
    .end = on_end,
    .closed = on_closed,
    .settings = on_settings,
    .goaway = on_goaway,
    .pong = on_pong,
};

/* ---- writing ---- */

static void write_soon(struct channel_http2 *self)
{
    mesh__loop_post(loop_of(self->channel), &self->write);
}

/* The connection takes no more. What the peer has said is read before its exchanges fail. */
static void give_up_writing(struct channel_http2 *self, int error)
{
    struct channel *channel = self->channel;
    channel->write_error = error;
    if (channel->active == 0)
        mesh__channel_close(channel);
    else
        mesh__loop_post(loop_of(channel), &channel->again);
}

/* Bytes that the connection took. */
static size_t put(struct channel_http2 *self, const char *bytes, size_t size)
{
    struct channel *channel = self->channel;
    size_t sent = 0;
    while (sent < size) {
        struct iovec vector = { (char *)(uintptr_t)bytes + sent, size - sent };
        ssize_t got = channel->stream->ops->write(channel->stream, &vector, 1);
        if (got < 0 && got != -EAGAIN)
            give_up_writing(self, (int)-got);
        if (got < 0)
            break;
        sent += (size_t)got;
    }
    if (channel->state != CHANNEL_CLOSED)
        COUNTER_ADD(channel->pool->counters->bytes_sent, sent);
    return sent;
}

/* Tells exchanges how much of them the connection has been given: `whole`, all that was written. Any of them may leave,
 * and others come, meanwhile. */
static void tell_sent(struct channel_http2 *self, bool whole)
{
    size_t left = 0;
    for (struct list *node = self->sending.next; node != &self->sending; node = node->next)
        left++;
    for (; left > 0 && !mesh__list_empty(&self->sending); left--) {
        struct exchange *exchange = exchange_at(mesh__list_pop(&self->sending));
        bool all = whole && mesh__http2_stream_finished(exchange->stream);
        mesh__list_push(all ? &self->receiving : &self->sending, &exchange->on);
        bool first = exchange->sent == 0;
        if (!mesh__http2_stream_sent(exchange->stream) || (!all && !first))
            continue;
        exchange->sent = 1;
        exchange->sent_at = loop_of(self->channel)->now;
        exchange->events->sent(exchange, all ? SENT_ALL : SENT_PART);
        if (self->channel->state == CHANNEL_CLOSED)
            return;
    }
}

/* What was kept goes first. True when nothing of it is left. */
static bool write_unsent(struct channel_http2 *self)
{
    if (self->unsent.size == 0)
        return true;
    size_t sent = put(self, self->unsent.data, self->unsent.size);
    if (self->channel->state == CHANNEL_CLOSED)
        return false;
    mesh__buf_consume(&self->unsent, sent);
    if (self->unsent.size == 0)
        mesh__buf_fini(&self->unsent);
    if (sent > 0)
        tell_sent(self, self->unsent.size == 0);
    return self->channel->state != CHANNEL_CLOSED && self->unsent.size == 0;
}

/* Makes frames and sends them. False when there is nothing more to do for now. */
static bool write_frames(struct channel_http2 *self, struct buf *out)
{
    struct channel *channel = self->channel;
    mesh__buf_clear(out);
    mesh_status status = mesh__http2_write(self->conn, out, WRITE_AT_ONCE);
    if (channel->state == CHANNEL_CLOSED && status == MESH_OK)
        return false; /* else it closed since it is broken, and its last words say why */
    size_t sent = out->size > 0 ? put(self, out->data, out->size) : 0;
    if (channel->state == CHANNEL_CLOSED)
        return false;
    if (status != MESH_OK) {
        mesh__channel_close(channel); /* the codec has told all streams */
        return false;
    }
    if (sent < out->size && channel->write_error == 0 &&
        !mesh__buf_append(&self->unsent, out->data + sent, out->size - sent)) {
        give_up_writing(self, ENOMEM);
        return false;
    }
    if (sent > 0)
        tell_sent(self, sent == out->size);
    return channel->state != CHANNEL_CLOSED && sent > 0 && sent == out->size;
}

static void write_on(struct channel *channel)
{
    struct channel_http2 *self = channel->http2;
    struct buf *out = &channel->pool->group->http2->out;
    if (channel->write_error != 0 || !write_unsent(self))
        return;
    bool more = true;
    for (int i = 0; more && i < WRITES_PER_STEP; i++)
        more = mesh__http2_wants_write(self->conn) && write_frames(self, out);
    if (channel->state == CHANNEL_CLOSED)
        return;
    if (more)
        write_soon(self);
    mesh__pool_settle(channel); /* streams that were reset have made room */
}

static void on_write(struct loop_task *task)
{
    struct channel *channel = CONTAINER_OF(task, struct channel_http2, write)->channel;
    bool was_stepping = mesh__channel_enter(channel);
    write_on(channel);
    mesh__channel_leave(channel, was_stepping);
}

/* Said for the last time when the channel closes in order, without waiting. Nothing is told from here. */
static void say_farewell(struct channel_http2 *self)
{
    struct channel *channel = self->channel;
    struct buf out;
    mesh__buf_init(&out, channel->mem, FAREWELL_MAX);
    mesh__http2_drain(self->conn);
    (void)mesh__http2_write(self->conn, &out, WRITE_AT_ONCE);
    struct iovec vector = { out.data, out.size };
    if (out.size > 0)
        (void)channel->stream->ops->write(channel->stream, &vector, 1);
    mesh__buf_fini(&out);
}

/* ---- the channel's side ---- */

static bool open_codec(struct channel *channel)
{
    struct http2_pool *memory = &channel->pool->group->http2->pool;
    struct channel_http2 *self = mesh__http2_pool_take(memory, sizeof(*self));
    if (self == NULL)
        return false;
    *self = (struct channel_http2){ .channel = channel, .memory = memory, .write.run = on_write };
    struct http2_config config = { .role = HTTP2_CLIENT,
                                   .secure = channel->spec != NULL,
                                   .apart = true, /* a stream that nobody reads holds up itself only */
                                   .limits = channel->pool->group->policy.limits,
                                   .first_id = channel->pool->group->policy.first_id };
    self->conn = mesh__http2_new(memory, &config, &http2_events, self);
    if (self->conn == NULL) {
        mesh__http2_pool_give(memory, self);
        return false;
    }
    mesh__list_init(&self->sending);
    mesh__list_init(&self->receiving);
    mesh__buf_init(&self->unsent, channel->mem, 4 * WRITE_AT_ONCE);
    channel->http2 = self;
    write_soon(self);
    return true;
}

/* The timer fires no later than the next PING may be due. */
static void watch_over(struct channel_http2 *self, mesh_nanos due)
{
    struct channel *channel = self->channel;
    if (channel->timer.timer.place == 0 || channel->timer.timer.due > due)
        (void)mesh__loop_timer_set(loop_of(channel), &channel->timer, due);
}

static mesh_nanos ping_interval(const struct channel *channel)
{
    return channel->pool->group->policy.ping_interval << channel->pool->calm;
}

static void wake(struct channel_http2 *self)
{
    struct channel *channel = self->channel;
    self->busy_since = loop_of(channel)->now;
    self->used = channel->exchanges > 1;
    self->heard = false;
    if (channel->pool->group->policy.ping_interval > 0)
        watch_over(self, mesh__nanos_add(self->busy_since, ping_interval(channel)));
}

static void begin(struct channel *channel, struct exchange *exchange)
{
    struct channel_http2 *self = channel->http2;
    const struct http2_request request = { .method = exchange->method,
                                           .path = exchange->path,
                                           .authority = exchange->authority,
                                           .groups = exchange->groups,
                                           .group_count = exchange->group_count,
                                           .body = exchange->body,
                                           .limits = exchange->limits };
    if (channel->active++ == 0)
        wake(self);
    mesh__list_push(&self->sending, &exchange->on);
    mesh_status status = mesh__http2_request(self->conn, &request, exchange, &exchange->stream);
    if (status == MESH_OK) {
        write_soon(self);
        exchange->events->ready(exchange);
        return;
    }
    struct failure failure = { .status = status, .unsent = true };
    exchange->end_at = loop_of(channel)->now;
    take_off(self, exchange);
    exchange->events->failed(exchange, &failure);
}

static void cancel(struct channel *channel, struct exchange *exchange)
{
    struct channel_http2 *self = channel->http2;
    struct http2_stream *stream = exchange->stream;
    take_off(self, exchange);
    mesh__http2_set_stream_user(stream, NULL);
    mesh__http2_reset(stream, HTTP2_CANCEL);
    write_soon(self);
    mesh__pool_settle(channel);
}

static void resume(struct channel *channel, struct exchange *exchange)
{
    mesh__http2_resume(exchange->stream);
    write_soon(channel->http2);
}

static void consume(struct channel *channel, struct exchange *exchange, size_t size)
{
    mesh__http2_consume(exchange->stream, size);
    if (mesh__http2_wants_write(channel->http2->conn))
        write_soon(channel->http2);
}

static bool is_writing(const struct channel *channel)
{
    return channel->http2->unsent.size > 0 && channel->write_error == 0;
}

static bool read_bytes(struct channel *channel, const char *bytes, size_t size)
{
    struct channel_http2 *self = channel->http2;
    self->heard = true;
    self->heard_at = loop_of(channel)->now;
    mesh_status status = mesh__http2_read(self->conn, bytes, size);
    if (channel->state == CHANNEL_CLOSED)
        return false;
    if (status != MESH_OK) {
        mesh__channel_close(channel); /* the codec has told all streams */
        return false;
    }
    if (mesh__http2_wants_write(self->conn))
        write_soon(self);
    return true;
}

/* The connection below has ended: every exchange fails, then the channel closes. */
static void cut_off(struct channel *channel, mesh_status status, const char *reason, int error)
{
    struct channel_http2 *self = channel->http2;
    self->cut = true;
    self->error_number = error;
    mesh__http2_lost(self->conn, status, reason);
    mesh__channel_close(channel);
}

static void lost(struct channel *channel, int error)
{
    struct failure refused;
    if (error == 0 && channel->write_error == ECONNRESET)
        error = -ECONNRESET;
    if (channel->http2->heard_at == 0 && mesh__channel_refused(channel, &refused))
        cut_off(channel, refused.status, refused.reason, 0);
    else
        cut_off(channel, MESH_RESET, error ? "the connection broke" : "the peer closed the connection", -error);
}

/* PING where exchanges wait and nothing has come for some time; no answer to it, and the connection is given up. */
static void on_timer(struct channel *channel)
{
    struct channel_http2 *self = channel->http2;
    const struct pool_policy *policy = &channel->pool->group->policy;
    mesh_nanos now = loop_of(channel)->now;
    mesh_nanos due = mesh__nanos_add(mesh__nanos_max(self->heard_at, self->busy_since), ping_interval(channel));
    if (policy->ping_interval == 0)
        return;
    if (mesh__http2_ping_waiting(self->conn) && self->heard_at < self->ping_at)
        due = mesh__nanos_add(self->ping_at, policy->ping_timeout);
    if (due > now) {
        watch_over(self, due);
    } else if (mesh__http2_ping_waiting(self->conn) && self->heard_at < self->ping_at) {
        cut_off(channel, MESH_RESET, "the peer has not answered a PING in time", ETIMEDOUT);
    } else {
        self->ping_at = now;
        (void)mesh__http2_ping(self->conn);
        write_soon(self);
        watch_over(self, mesh__nanos_add(now, policy->ping_timeout));
    }
}

static uint32_t room(const struct channel *channel)
{
    const struct channel_http2 *self = channel->http2;
    uint32_t most = channel->pool->streams, room = mesh__http2_room(self->conn);
    if (self->settled || most == 0)
        return room;
    /* Until this connection's peer has said it: what another one said. */
    uint32_t left = channel->active < most ? most - channel->active : 0;
    return left < room ? left : room;
}

static bool is_draining(const struct channel *channel)
{
    const struct channel_http2 *self = channel->http2;
    return self->cut || channel->ended || channel->write_error != 0 || mesh__http2_draining(self->conn);
}

static void forget_all(struct channel_http2 *self, struct list *exchanges)
{
    while (!mesh__list_empty(exchanges)) {
        struct exchange *exchange = exchange_at(exchanges->next);
        mesh__http2_set_stream_user(exchange->stream, NULL);
        take_off(self, exchange);
        self->cut = true; /* what they would still say must not be said */
    }
}

static void forget(struct channel *channel)
{
    struct channel_http2 *self = channel->http2;
    forget_all(self, &self->sending);
    forget_all(self, &self->receiving);
    mesh__loop_cancel(&self->write);
}

static void free_codec(struct channel *channel)
{
    struct channel_http2 *self = channel->http2;
    if (!self->cut && channel->write_error == 0 && self->unsent.size == 0)
        say_farewell(self);
    mesh__http2_free(self->conn);
    mesh__buf_fini(&self->unsent);
    mesh__http2_pool_give(self->memory, self);
}

const struct channel_codec mesh__codec_http2 = {
    .name = "h2",
    .multiplexed = true,
    .open = open_codec,
    .begin = begin,
    .cancel = cancel,
    .resume = resume,
    .consume = consume,
    .write = write_on,
    .is_writing = is_writing,
    .read = read_bytes,
    .lost = lost,
    .timer = on_timer,
    .room = room,
    .is_draining = is_draining,
    .forget = forget,
    .free = free_codec,
};
