/* SPDX-License-Identifier: Apache-2.0 */
/* channel_http1.c - HTTP/1.1 on a channel: one exchange at a time, its bytes written as far as the connection takes
 * them. */
#include "net/pool.h"

#include <errno.h>

static struct loop *loop_of(const struct channel *channel)
{
    return channel->pool->group->loop;
}

static size_t size_of(const struct exchange *exchange)
{
    return exchange->head->size + exchange->body.size;
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
    if (channel->ended || exchange->sent < size_of(exchange))
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

/* What is left to send, in pieces. */
static int gather(const struct exchange *exchange, struct iovec vector[2])
{
    int count = 0;
    size_t sent = exchange->sent;
    const struct buf *head = exchange->head;
    if (sent < head->size)
        vector[count++] = (struct iovec){ head->data + sent, head->size - sent };
    size_t skip = sent > head->size ? sent - head->size : 0;
    if (exchange->body.size > skip)
        vector[count++] = (struct iovec){ (char *)(uintptr_t)exchange->body.data + skip, exchange->body.size - skip };
    return count;
}

static void write_on(struct channel *channel)
{
    struct exchange *exchange = channel->exchange;
    size_t total = size_of(exchange);
    size_t before = exchange->sent;
    while (exchange->sent < total && channel->write_error == 0) {
        struct iovec vector[2];
        int count = gather(exchange, vector);
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
    struct failure refused;
    if (!started && mesh__channel_refused(channel, &refused)) {
        /* TLS 1.3: the peer judges our certificate after hands were shaken, and before it reads a request. */
        fail(channel, refused.status, refused.reason, 0);
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
static bool read_bytes(struct channel *channel, const char *bytes, size_t size)
{
    struct exchange *exchange = channel->exchange;
    if (exchange == NULL) {
        mesh__channel_close(channel); /* nobody asked for these bytes (RFC 9112, section 9.2) */
        return false;
    }
    if (exchange->first_at == 0)
        exchange->first_at = loop_of(channel)->now;
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

static bool open_codec(struct channel *channel)
{
    channel->reader = mesh__http1_reader_new(channel->mem, HTTP1_RESPONSES, &reader_events, channel);
    return channel->reader != NULL;
}

static void begin(struct channel *channel, struct exchange *exchange)
{
    channel->exchange = exchange;
    channel->write_error = 0;
    mesh__buf_clear(exchange->head);
    if (!mesh__http1_write_request(exchange->head, exchange->method, exchange->path, exchange->authority,
                                   exchange->groups, exchange->group_count, exchange->body.size)) {
        fail(channel, MESH_NO_MEMORY, NULL, 0);
        return;
    }
    mesh__http1_reader_next(channel->reader, &exchange->limits, exchange->to_head);
    exchange->events->ready(exchange);
    if (channel->exchange == exchange)
        write_on(channel);
}

static void forget(struct channel *channel)
{
    if (channel->exchange)
        channel->exchange->channel = NULL;
    channel->exchange = NULL;
}

/* What was asked cannot be taken back, so its connection goes. */
static void cancel(struct channel *channel, struct exchange *exchange)
{
    (void)exchange;
    mesh__channel_close(channel);
}

static bool is_writing(const struct channel *channel)
{
    const struct exchange *exchange = channel->exchange;
    return exchange && channel->write_error == 0 && exchange->sent < size_of(exchange);
}

/* Set anew when the channel is idle. */
static void on_timer(struct channel *channel)
{
    (void)channel;
}

static uint32_t room(const struct channel *channel)
{
    return channel->exchange == NULL;
}

static void free_codec(struct channel *channel)
{
    mesh__http1_reader_free(channel->reader);
}

const struct channel_codec mesh__codec_http1 = {
    .name = "http/1.1",
    .open = open_codec,
    .begin = begin,
    .cancel = cancel,
    .write = write_on,
    .is_writing = is_writing,
    .read = read_bytes,
    .lost = lost,
    .timer = on_timer,
    .room = room,
    .forget = forget,
    .free = free_codec,
};
