/* SPDX-License-Identifier: Apache-2.0 */
/* channel.c - one step of a connection: connect, write on, read on. */
#include "net/channel.h"

#include "net/pool.h"

#include <errno.h>
#include <stdio.h>

/* So much is read for one connection before the others get their turn. */
#define READS_PER_STEP 16

static struct loop *loop_of(const struct channel *channel)
{
    return channel->pool->group->loop;
}

static void destroy(struct channel *channel)
{
    const struct mem *mem = channel->mem;
    if (channel->stream)
        channel->stream->ops->close(channel->stream);
    mesh__http1_reader_free(channel->reader);
    mesh__mem_free(mem, channel);
}

void mesh__channel_close(struct channel *channel)
{
    if (channel->state == CHANNEL_CLOSED)
        return;
    mesh__loop_timer_cancel(loop_of(channel), &channel->timer);
    mesh__loop_cancel(&channel->again);
    mesh__list_remove(&channel->link);
    if (channel->exchange) {
        channel->exchange->channel = NULL;
        channel->exchange = NULL;
    }
    mesh__pool_closed(channel);
    channel->state = CHANNEL_CLOSED;
    if (!channel->stepping)
        destroy(channel);
}

static void arm(struct channel *channel)
{
    uint32_t interest = LOOP_READ;
    struct exchange *exchange = channel->exchange;
    if (exchange && channel->write_error == 0 && exchange->sent < exchange->head.size + exchange->body.size)
        interest |= LOOP_WRITE;
    mesh__stream_arm(channel->stream, interest);
}

/* Takes the exchange off, closes the channel, then tells. MESH_RESET is what ends before a byte of response. */
static void fail(struct channel *channel, mesh_status status, const char *reason, int error_number)
{
    struct exchange *exchange = channel->exchange;
    struct failure failure = { .status = status,
                               .reason = reason,
                               .error_number = error_number,
                               .unsent = exchange && (exchange->sent == 0 || status == MESH_TLS_REFUSED_BY_PEER),
                               .stale = channel->exchanges > 1 && status == MESH_RESET };
    mesh__channel_close(channel);
    if (exchange) {
        exchange->end_at = exchange->pool->group->loop->now;
        exchange->events->failed(exchange, &failure);
    }
}

/* The response is complete: the channel goes back to its pool, then the exchange is told. */
static void finish(struct channel *channel, bool reusable)
{
    struct exchange *exchange = channel->exchange;
    if (channel->ended || exchange->sent < exchange->head.size + exchange->body.size)
        reusable = false;
    exchange->end_at = loop_of(channel)->now;
    exchange->channel = NULL;
    channel->exchange = NULL;
    mesh__pool_put_back(channel, reusable);
    exchange->events->end(exchange);
}

static bool on_head(void *user, const struct http1_head *head)
{
    struct channel *channel = user;
    int64_t timeout = head->keep_alive_timeout_s;
    if (timeout >= 0 && timeout <= channel->idle_limit / NANOS_S + 1)
        channel->idle_limit = mesh__nanos_min(channel->idle_limit, mesh__nanos_max((timeout - 1) * NANOS_S, 0));
    struct exchange *exchange = channel->exchange;
    return exchange->events->head(exchange, head) && channel->exchange == exchange;
}

static bool on_body(void *user, struct view bytes)
{
    struct channel *channel = user;
    struct exchange *exchange = channel->exchange;
    return exchange->events->body(exchange, bytes) && channel->exchange == exchange;
}

static bool on_end(void *user, bool keep_alive)
{
    struct channel *channel = user;
    if (!keep_alive)
        channel->idle_limit = 0;
    return true;
}

static const struct http1_events reader_events = { on_head, on_body, on_end };

/* A peer may answer before it has read all, and close: what it said is read before the exchange fails. */
static void give_up_writing(struct channel *channel, int error)
{
    channel->write_error = error;
    mesh__loop_post(loop_of(channel), &channel->again);
}

/* Writes what the connection takes. */
static void flush(struct channel *channel)
{
    struct exchange *exchange = channel->exchange;
    size_t total = exchange->head.size + exchange->body.size;
    size_t before = exchange->sent;
    while (exchange->sent < total && channel->write_error == 0) {
        struct iovec vector[2];
        int count = 0;
        size_t sent = exchange->sent;
        if (sent < exchange->head.size)
            vector[count++] =
                (struct iovec){ (char *)(uintptr_t)exchange->head.data + sent, exchange->head.size - sent };
        size_t skip = sent > exchange->head.size ? sent - exchange->head.size : 0;
        if (exchange->body.size > skip)
            vector[count++] =
                (struct iovec){ (char *)(uintptr_t)exchange->body.data + skip, exchange->body.size - skip };
        ssize_t put = channel->stream->ops->write(channel->stream, vector, count);
        if (put == -EAGAIN)
            break;
        if (put < 0)
            give_up_writing(channel, (int)-put);
        else
            exchange->sent += (size_t)put;
    }
    if (exchange->sent == before)
        return;
    COUNTER_ADD(channel->pool->counters->bytes_sent, exchange->sent - before);
    exchange->sent_at = loop_of(channel)->now;
    exchange->events->sent(exchange, exchange->sent == total ? SENT_ALL : SENT_PART);
}

/* The peer has finished, or the connection broke (error < 0). A reset that a write was told of reads as an end. */
static void lost(struct channel *channel, int error)
{
    if (error == 0 && channel->write_error == ECONNRESET)
        error = -ECONNRESET;
    if (channel->exchange == NULL) {
        mesh__channel_close(channel);
        return;
    }
    bool started = mesh__http1_reader_started(channel->reader); /* before the reader is told of the end */
    mesh_nanos took;
    const struct tls_report *tls = mesh__channel_tls(channel, &took);
    if (tls && tls->status == MESH_TLS_REFUSED_BY_PEER && !started) {
        /* TLS 1.3: the peer judges our certificate after hands were shaken, and before it reads a request. */
        fail(channel, tls->status, tls->words, 0);
        return;
    }
    if (error == 0 && mesh__http1_read_eof(channel->reader).ended)
        finish(channel, false);
    else if (started)
        fail(channel, MESH_PARTIAL_RESPONSE, "the response is incomplete", -error);
    else
        fail(channel, MESH_RESET, error ? "the connection broke" : "the peer closed the connection", -error);
}

/* One piece of input. False when there is nothing more to do for now. */
static bool take_in(struct channel *channel, const char *bytes, size_t size)
{
    struct exchange *exchange = channel->exchange;
    if (exchange == NULL) {
        mesh__channel_close(channel); /* nobody asked for these bytes (RFC 9112, section 9.2) */
        return false;
    }
    if (exchange->first_at == 0)
        exchange->first_at = loop_of(channel)->now;
    COUNTER_ADD(channel->pool->counters->bytes_received, size);
    struct http1_progress progress = mesh__http1_read(channel->reader, bytes, size);
    if (channel->exchange != exchange)
        return false; /* cancelled by what it was told */
    if (progress.status != MESH_OK) {
        fail(channel, progress.status, progress.reason, 0);
        return false;
    }
    if (progress.ended) {
        finish(channel, progress.used == size && channel->idle_limit > 0);
        return false;
    }
    return true;
}

static void read_on(struct channel *channel)
{
    struct stream *stream = channel->stream;
    char *scratch = loop_of(channel)->scratch;
    bool more = true;
    for (int i = 0; more && i < READS_PER_STEP; i++) {
        ssize_t got = stream->ops->read(stream, scratch, LOOP_SCRATCH_SIZE);
        if (got == -EAGAIN && (channel->write_error == 0 || channel->exchange == NULL))
            return;
        if (got <= 0) {
            lost(channel, got == -EAGAIN ? -channel->write_error : (int)got);
            return;
        }
        more = take_in(channel, scratch, (size_t)got) && channel->state != CHANNEL_CLOSED;
        if (more && got < LOOP_SCRATCH_SIZE && !stream->ops->has_buffered_input(stream))
            return;
    }
    if (channel->state != CHANNEL_CLOSED && stream->ops->has_buffered_input(stream))
        mesh__loop_post(loop_of(channel), &channel->again);
}

/* NULL when the policy of this side lets it talk to the peer; else the words for why not. */
static const char *forbidden(const struct channel *channel, const struct tls_report *report, char *space, size_t size)
{
    const struct access_policy *access = channel->pool->group->security.access;
    if (access == NULL)
        return NULL;
    struct spiffe_id id = { 0 };
    struct access_request request = { .port = mesh__address_port(&channel->pool->address) };
    if (report && report->peer_id[0] && mesh__spiffe_parse(mesh__view_of(report->peer_id), &id) == NULL) {
        request.peer_id = id.text;
        request.trust_domain = id.trust_domain;
        request.namespace_name = mesh__spiffe_namespace(&id);
    }
    struct access_decision decision = mesh__authorize(access, &request);
    if (decision.allowed)
        return NULL;
    (void)snprintf(space, size, "%s%s%s", report && report->peer_id[0] ? report->peer_id : "a peer without an id",
                   decision.rule ? " is denied by the rule " : " is allowed by no rule",
                   decision.rule ? decision.rule : "");
    return space;
}

bool mesh__channel_allowed(struct channel *channel)
{
    char words[SPIFFE_ID_MAX + 128];
    const struct pool_group *group = channel->pool->group;
    if (channel->judged == group->secured)
        return true;
    mesh_nanos took;
    if (forbidden(channel, mesh__channel_tls(channel, &took), words, sizeof(words)))
        return false;
    channel->judged = group->secured;
    return true;
}

/* The stream is up: may this connection be used? */
static void connected(struct channel *channel)
{
    mesh_nanos took;
    char words[SPIFFE_ID_MAX + 128];
    const struct tls_report *report = mesh__channel_tls(channel, &took);
    const char *why = forbidden(channel, report, words, sizeof(words));
    if (why) {
        mesh__pool_dial_failed(channel, MESH_DENIED, why, 0);
        return;
    }
    channel->judged = channel->pool->group->secured;
    mesh__stream_arm(channel->stream, LOOP_READ);
    mesh__pool_dialed(channel);
}

static void connect_on(struct channel *channel)
{
    struct stream *stream = channel->stream;
    int error = stream->ops->connected(stream);
    struct tls_state tls;
    bool secured = mesh__tls_stream_state(stream, &tls);
    if (error == -EINPROGRESS) {
        if (secured && tls.shaking)
            mesh__loop_timer_cancel(loop_of(channel), &channel->timer); /* the handshake has a timer of its own */
        mesh__stream_arm(stream, LOOP_WRITE);
        return;
    }
    mesh__loop_timer_cancel(loop_of(channel), &channel->timer);
    if (error == 0) {
        connected(channel);
    } else if (secured && tls.status != MESH_OK) {
        mesh__pool_dial_failed(channel, tls.status, tls.words && tls.words[0] ? tls.words : NULL, 0);
    } else {
        mesh_status status = mesh__pool_dial_status(-error);
        /* The network can say more than is listed there, and all of it is about the way to the endpoint. */
        mesh__pool_dial_failed(channel, status == MESH_SYSTEM ? MESH_CONNECT_UNREACHABLE : status, NULL, -error);
    }
}

static void step(struct channel *channel, uint32_t events)
{
    channel->stepping = true;
    if (channel->state == CHANNEL_DIALING) {
        connect_on(channel);
    } else {
        struct exchange *exchange = channel->exchange;
        if ((events & LOOP_WRITE) && exchange && exchange->sent < exchange->head.size + exchange->body.size)
            flush(channel);
        if (channel->state != CHANNEL_CLOSED)
            read_on(channel);
    }
    channel->stepping = false;
    if (channel->state == CHANNEL_CLOSED)
        destroy(channel);
    else if (channel->state != CHANNEL_DIALING)
        arm(channel);
}

static void on_ready(void *user, uint32_t events)
{
    struct channel *channel = user;
    channel->ended |= (events & LOOP_END) != 0;
    step(channel, events);
}

static void on_again(struct loop_task *task)
{
    step(CONTAINER_OF(task, struct channel, again), LOOP_READ);
}

/* The dial took too long, or the channel was idle for long enough. */
static void on_timer(struct loop_timer *timer)
{
    struct channel *channel = CONTAINER_OF(timer, struct channel, timer);
    struct loop *loop = loop_of(channel);
    if (channel->state == CHANNEL_DIALING) {
        channel->stepping = true;
        mesh__pool_dial_failed(channel, MESH_CONNECT_TIMEOUT, NULL, 0);
        channel->stepping = false;
        if (channel->state == CHANNEL_CLOSED)
            destroy(channel);
    } else if (channel->state == CHANNEL_IDLE) {
        mesh_nanos due = mesh__nanos_add(channel->idle_since, channel->idle_limit);
        if (due <= loop->now || !mesh__loop_timer_set(loop, &channel->timer, due))
            mesh__channel_close(channel);
    }
}

const struct tls_report *mesh__channel_tls(const struct channel *channel, mesh_nanos *took)
{
    struct tls_state tls;
    if (!mesh__tls_stream_state(channel->stream, &tls))
        return NULL;
    *took = tls.took;
    return tls.report;
}

/* The stream, with TLS over it where the group says so. */
static int connect_stream(struct channel *channel, const struct address *address)
{
    const struct pool_group *group = channel->pool->group;
    struct loop *loop = group->loop;
    struct stream *below;
    int error = loop->world->connect(loop->world, loop, address, &below);
    if (error)
        return error;
    if (group->security.spec == NULL) {
        channel->stream = below;
        return 0;
    }
    channel->spec = group->security.spec;
    struct tls_plan plan = { .desk = group->desk,
                             .spec = channel->spec,
                             .side = TLS_CLIENT,
                             .peer = address->text,
                             .timeout = group->security.handshake_timeout };
    return mesh__tls_stream_new(&plan, below, &channel->stream);
}

int mesh__channel_dial(struct pool *pool, const struct address *address, mesh_nanos timeout, struct channel **out)
{
    struct loop *loop = pool->group->loop;
    struct channel *channel = mesh__zalloc(loop->mem, sizeof(*channel));
    if (channel == NULL)
        return -ENOMEM;
    channel->mem = loop->mem;
    channel->pool = pool;
    channel->timer.fire = on_timer;
    channel->again.run = on_again;
    channel->opened_at = loop->now;
    channel->idle_limit = pool->group->policy.idle_timeout;
    channel->reader = mesh__http1_reader_new(loop->mem, HTTP1_RESPONSES, &reader_events, channel);
    int error = channel->reader ? connect_stream(channel, address) : -ENOMEM;
    if (!error && !mesh__loop_timer_set(loop, &channel->timer, mesh__nanos_add(loop->now, timeout)))
        error = -ENOMEM;
    if (error) {
        destroy(channel);
        return error;
    }
    channel->stream->ready = on_ready;
    channel->stream->user = channel;
    mesh__stream_arm(channel->stream, LOOP_WRITE);
    *out = channel;
    return 0;
}

void mesh__channel_begin(struct channel *channel, struct exchange *exchange)
{
    struct loop *loop = loop_of(channel);
    bool was_stepping = channel->stepping;
    channel->stepping = true;
    channel->exchange = exchange;
    channel->exchanges++;
    channel->write_error = 0;
    exchange->channel = channel;
    exchange->reused = channel->exchanges > 1;
    exchange->sent = 0;
    exchange->first_at = 0;
    exchange->ready_at = loop->now;
    mesh__http1_reader_next(channel->reader, &exchange->limits, exchange->to_head);
    exchange->events->ready(exchange);
    if (channel->exchange == exchange)
        flush(channel);
    channel->stepping = was_stepping;
    if (was_stepping)
        return;
    if (channel->state == CHANNEL_CLOSED)
        destroy(channel);
    else
        arm(channel);
}
