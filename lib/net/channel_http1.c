/* SPDX-License-Identifier: Apache-2.0 */
/* channel_http1.c - HTTP/1.1 on a channel: one exchange at a time, its bytes written as far as the connection takes
 * them. */
#include "net/pool.h"

#include <errno.h>

#define PIECE_MAX ((size_t)64 * 1024) /* of a body that comes in pieces */
#define WRITES_PER_STEP 16

static struct loop *loop_of(const struct channel *channel)
{
    return channel->pool->group->loop;
}

/* Of the part of the request that is being written. */
static size_t part_size(const struct exchange *exchange)
{
    return exchange->head->size + exchange->body.bytes.size;
}

static bool is_sent(const struct exchange *exchange)
{
    return exchange->out.whole && exchange->out.given == part_size(exchange);
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
    if (channel->ended || !is_sent(exchange))
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
    if (exchange->credit)
        exchange->unread += bytes.size;
    return exchange->events->body(exchange, bytes) && channel->exchange == exchange;
}

static bool on_trailers(void *user, const mesh_header *headers, size_t count)
{
    struct channel *channel = user;
    struct exchange *exchange = channel->exchange;
    if (exchange->events->trailers == NULL)
        return true;
    return exchange->events->trailers(exchange, headers, count) && channel->exchange == exchange;
}

static bool on_end(void *user, bool keep_alive)
{
    struct channel *channel = user;
    if (!keep_alive)
        channel->idle_limit = 0;
    return true;
}

static const struct http1_events reader_events = { on_head, on_body, on_trailers, on_end };

/* A peer may answer before it has read all, and close: what it said is read before the exchange fails. */
static void give_up_writing(struct channel *channel, int error)
{
    channel->write_error = error;
    mesh__loop_post(loop_of(channel), &channel->again);
}

/* What is left to send of a part. */
static int gather(const struct exchange *exchange, struct iovec vector[3])
{
    const struct buf *head = exchange->head;
    size_t lead = exchange->out.lead, skip = exchange->out.given;
    const struct view views[] = { { head->data, lead },
                                  exchange->body.bytes,
                                  { head->data + lead, head->size - lead } };
    int count = 0;
    for (size_t i = 0; i < sizeof(views) / sizeof(*views); i++) {
        size_t done = skip < views[i].size ? skip : views[i].size;
        skip -= done;
        if (views[i].size > done)
            vector[count++] = (struct iovec){ (char *)(uintptr_t)views[i].data + done, views[i].size - done };
    }
    return count;
}

/* Puts around the piece what frames it. False: no memory. */
static bool frame_piece(struct exchange *exchange, const struct http1_field_group *trailers)
{
    struct buf *head = exchange->head;
    size_t size = exchange->body.bytes.size;
    bool ok = !exchange->out.chunked || size == 0 || mesh__http1_write_chunk_start(head, size);
    exchange->out.lead = head->size;
    if (!exchange->out.chunked)
        return ok;
    return ok && (size == 0 || mesh__http1_write_chunk_end(head)) &&
           (!exchange->out.whole || mesh__http1_write_last_chunk(head, trailers));
}

/* Asks the source for the next part, which goes behind the request's head while that waits, or in its place. False:
 * nothing more is there to write, and the exchange may have left. */
static bool next_part(struct channel *channel)
{
    struct exchange *exchange = channel->exchange;
    struct body_source *body = &exchange->body;
    struct http1_field_group trailers = { NULL, 0 };
    struct view bytes = { NULL, 0 };
    enum body_next next = body->next(body->next_user, PIECE_MAX, &bytes, &trailers);
    if (channel->exchange != exchange)
        return false;
    if (next == BODY_BROKEN || bytes.size > PIECE_MAX ||
        (next != BODY_LATER && !mesh__body_count(body, next, bytes.size))) {
        fail(channel, MESH_EINTERNAL, "the body to send came to no end", 0);
        return false;
    }
    exchange->out.later = next == BODY_LATER || (next == BODY_MORE && bytes.size == 0);
    if (exchange->out.later)
        return false;
    if (exchange->out.given > 0)
        mesh__buf_clear(exchange->head);
    exchange->out.given = 0;
    exchange->out.whole = next == BODY_LAST;
    body->bytes = bytes;
    if (!frame_piece(exchange, &trailers)) {
        fail(channel, MESH_NO_MEMORY, NULL, 0);
        return false;
    }
    return true;
}

/* Is there something to write now? The exchange may have left. */
static bool has_part(struct channel *channel)
{
    const struct exchange *exchange = channel->exchange;
    if (exchange->out.given < part_size(exchange))
        return true;
    return !exchange->out.whole && !exchange->out.later && next_part(channel);
}

static void tell_sent(struct exchange *exchange)
{
    enum sent sent = is_sent(exchange) ? SENT_ALL : exchange->sent > 0 ? SENT_PART : SENT_NONE;
    if (sent == exchange->out.told)
        return;
    exchange->out.told = sent;
    exchange->events->sent(exchange, sent);
}

static void write_on(struct channel *channel)
{
    struct exchange *exchange = channel->exchange;
    for (int i = 0; i < WRITES_PER_STEP && channel->write_error == 0 && has_part(channel); i++) {
        struct iovec vector[3];
        int count = gather(exchange, vector);
        if (count == 0)
            continue; /* the source ended with no bytes, and nothing frames that */
        ssize_t put = channel->stream->ops->write(channel->stream, vector, count);
        if (put == -EAGAIN)
            break;
        if (put < 0) {
            give_up_writing(channel, (int)-put);
            break;
        }
        exchange->out.given += (size_t)put;
        exchange->sent += (size_t)put;
        exchange->sent_at = loop_of(channel)->now;
        COUNTER_ADD(channel->pool->counters->bytes_sent, put);
    }
    if (channel->exchange == exchange)
        tell_sent(exchange);
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
    exchange->stalled = exchange->unread > HTTP1_UNREAD_MAX;
    return true;
}

static bool open_codec(struct channel *channel)
{
    channel->reader = mesh__http1_reader_new(channel->mem, HTTP1_RESPONSES, &reader_events, channel);
    return channel->reader != NULL;
}

static void begin(struct channel *channel, struct exchange *exchange)
{
    const struct body_source *body = &exchange->body;
    int64_t size = body->next == NULL ? (int64_t)body->bytes.size : body->size >= 0 ? body->size : HTTP1_SIZE_CHUNKED;
    channel->exchange = exchange;
    channel->write_error = 0;
    mesh__buf_clear(exchange->head);
    if (!mesh__http1_write_request(exchange->head, exchange->method, exchange->path, exchange->authority,
                                   exchange->groups, exchange->group_count, size)) {
        fail(channel, MESH_NO_MEMORY, NULL, 0);
        return;
    }
    exchange->out.lead = exchange->head->size;
    exchange->out.whole = body->next == NULL;
    exchange->out.chunked = size == HTTP1_SIZE_CHUNKED;
    mesh__http1_reader_next(channel->reader, &exchange->limits, exchange->to_head);
    exchange->events->ready(exchange);
    if (channel->exchange == exchange && body->next != NULL)
        (void)next_part(channel); /* its first bytes go with the head */
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

static void resume(struct channel *channel, struct exchange *exchange)
{
    exchange->out.later = false;
    mesh__loop_post(loop_of(channel), &channel->again);
}

static void consume(struct channel *channel, struct exchange *exchange, size_t size)
{
    exchange->unread -= size < exchange->unread ? size : exchange->unread;
    if (exchange->stalled && exchange->unread < HTTP1_UNREAD_MAX / 2) {
        exchange->stalled = false;
        mesh__loop_post(loop_of(channel), &channel->again); /* no readiness tells of what is in a buffer */
    }
}

static bool is_writing(const struct channel *channel)
{
    const struct exchange *exchange = channel->exchange;
    return exchange && channel->write_error == 0 &&
           (exchange->out.given < part_size(exchange) || (!exchange->out.whole && !exchange->out.later));
}

static bool is_reading(const struct channel *channel)
{
    return channel->exchange == NULL || !channel->exchange->stalled;
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
    .resume = resume,
    .consume = consume,
    .write = write_on,
    .is_writing = is_writing,
    .is_reading = is_reading,
    .read = read_bytes,
    .lost = lost,
    .timer = on_timer,
    .room = room,
    .forget = forget,
    .free = free_codec,
};
