/* SPDX-License-Identifier: Apache-2.0 */
/* connection_http2.c - HTTP/2: many exchanges on one connection, each collected, handed over and answered by itself.
 *
 * Whatever happens in a turn only marks the connection as dirty; mesh__http2_side_flush() ends the turn: the frames of
 * all streams go out in one send, what is read and written next is said to the stream, and the timer is set. */
#include "server/access.h"
#include "server/connection.h"
#include "server/reply.h"
#include "server/workers.h"

#include <errno.h>

#define STREAMS_MAX 100
#define FAREWELL (1 * NANOS_S)         /* for the peer to acknowledge that no more streams are taken */
#define TURN_BYTES ((size_t)256 << 10) /* that one connection sends in a turn */
#define AHEAD_BYTES ((size_t)64 << 10) /* that wait for room in the socket while requests are still read */

static void touch(struct connection *connection)
{
    if (!mesh__list_linked(&connection->http2.link))
        mesh__list_push(&connection->server->own.dirty, &connection->http2.link);
}

static mesh_nanos now_of(const struct connection *connection)
{
    return connection->server->own.loop.now;
}

/* ---- exchanges and their lists ---- */

static bool has_exchanges(const struct connection_http2 *side)
{
    return !mesh__list_empty(&side->coming) || !mesh__list_empty(&side->serving) || !mesh__list_empty(&side->going);
}

static mesh_exchange *first(const struct list *list)
{
    return mesh__list_empty(list) ? NULL : CONTAINER_OF(list->next, mesh_exchange, here);
}

static void enter(struct connection *connection, mesh_exchange *exchange, enum exchange_stage stage)
{
    struct connection_http2 *side = &connection->http2;
    struct list *lists[] = { &side->coming, &side->serving, &side->going };
    mesh__list_remove(&exchange->here);
    mesh__list_push(lists[stage], &exchange->here);
    exchange->stage = stage;
}

static void leave(struct connection *connection, mesh_exchange *exchange)
{
    mesh__list_remove(&exchange->here);
    if (!has_exchanges(&connection->http2))
        connection->http2.idle_since = now_of(connection);
}

/* ---- answers ---- */

/* The answer got on: it is the one that stood still the shortest. */
static void mark_moved(struct connection *connection, mesh_exchange *exchange)
{
    exchange->moved = now_of(connection);
    enter(connection, exchange, EXCHANGE_GOING);
}

static enum http2_next next_bytes(void *user, size_t most, struct view *bytes, struct http1_field_group *trailers)
{
    mesh_exchange *exchange = user;
    size_t left = exchange->reply.size - exchange->body_sent;
    (void)trailers;
    *bytes = mesh__view(exchange->reply.data + exchange->body_sent, left < most ? left : most);
    exchange->body_sent += bytes->size;
    mark_moved(exchange->connection, exchange);
    return exchange->body_sent == exchange->reply.size ? HTTP2_LAST : HTTP2_MORE;
}

static bool respond(mesh_exchange *exchange)
{
    const struct http1_field_group group = { exchange->fields, exchange->field_count };
    struct http2_response response = { .status = exchange->status, .groups = &group, .group_count = 1 };
    response.no_body = exchange->is_head;
    response.no_size = exchange->trailers_only;
    if (exchange->reply.size > 0)
        response.body = (struct http2_body){ .next = next_bytes, .next_user = exchange };
    else
        response.body.bytes = mesh__view("", exchange->body_size); /* of HEAD: its size is said */
    response.body.size = (int64_t)exchange->body_size;
    return exchange->fields != NULL && mesh__http2_respond(exchange->stream, &response);
}

/* Gives up the stream of an exchange, which ends here. */
static void reset(struct connection *connection, mesh_exchange *exchange, uint32_t code)
{
    leave(connection, exchange);
    mesh__http2_reset(exchange->stream, code);
    mesh__exchange_free(exchange);
    touch(connection);
}

/* Of an exchange that has its reply. */
static void answer(struct connection *connection, mesh_exchange *exchange)
{
    mesh__exchange_report(exchange, exchange->outcome, exchange->status, exchange->answered);
    mesh__buf_fini(&exchange->body);
    mark_moved(connection, exchange);
    touch(connection);
    if (!respond(exchange))
        reset(connection, exchange, HTTP2_INTERNAL_ERROR);
}

static void answer_own(struct connection *connection, mesh_exchange *exchange, int32_t status, mesh_status outcome,
                       const char *text)
{
    mesh__reply_own(exchange, status, outcome, text);
    answer(connection, exchange);
}

static void refuse(struct connection *connection, mesh_exchange *exchange, int32_t status, mesh_status outcome,
                   const char *reason)
{
    char text[REFUSAL_TEXT_MAX];
    mesh__connection_log_refusal(connection, status, reason, text);
    answer_own(connection, exchange, status, outcome, text);
}

/* ---- requests ---- */

/* NULL once its request is complete or answered: what still comes of it is dropped. */
static mesh_exchange *coming(const struct http2_stream *stream)
{
    mesh_exchange *exchange = mesh__http2_stream_user(stream);
    return exchange != NULL && exchange->stage == EXCHANGE_COMING ? exchange : NULL;
}

static void expect(struct connection *connection, mesh_exchange *exchange, const struct http1_head *head)
{
    const mesh_header *field = mesh__exchange_find(head->headers, head->header_count, VIEW_LITERAL("expect"));
    if (field == NULL)
        return;
    if (!mesh__view_equal_nocase(mesh__view(field->value, field->value_size), VIEW_LITERAL("100-continue")))
        refuse(connection, exchange, 417, MESH_PROTOCOL, "an expectation other than 100-continue");
    else if (head->content_length != 0)
        (void)mesh__http2_continue(exchange->stream); /* without memory the peer waits a while, as it must */
}

static bool on_head(void *user, struct http2_stream *stream, const struct http1_head *head)
{
    struct connection *connection = user;
    mesh_exchange *exchange = mesh__exchange_new(connection->server, connection, stream, connection->peer, head);
    if (exchange == NULL)
        return false;
    mesh__http2_set_stream_user(stream, exchange);
    enter(connection, exchange, EXCHANGE_COMING);
    if (!mesh__access_judge(exchange, &exchange->denied))
        return false;
    if (exchange->denied)
        answer_own(connection, exchange, 403, MESH_DENIED, ACCESS_DENIED_TEXT); /* its body is not waited for */
    else
        expect(connection, exchange, head);
    return true;
}

static bool on_body(void *user, struct http2_stream *stream, struct view bytes)
{
    (void)user;
    mesh_exchange *exchange = coming(stream);
    if (exchange == NULL)
        return true;
    mesh__http2_consume(stream, bytes.size);
    return mesh__buf_append_view(&exchange->body, bytes);
}

static bool on_trailers(void *user, struct http2_stream *stream, const mesh_header *headers, size_t count)
{
    (void)user;
    (void)stream;
    (void)headers;
    (void)count;
    return true;
}

static bool on_end(void *user, struct http2_stream *stream)
{
    struct connection *connection = user;
    mesh_server *server = connection->server;
    mesh_exchange *exchange = coming(stream);
    if (exchange == NULL)
        return true;
    enter(connection, exchange, EXCHANGE_SERVING);
    if (server->workers == NULL)
        mesh__server_handle(exchange);
    else if (!mesh__workers_push(server->workers, exchange))
        answer_own(connection, exchange, 503, MESH_OVERLOADED, "too many requests wait\n");
    return true;
}

static const char *words_of(mesh_status limit)
{
    if (limit == MESH_BODY_TOO_LARGE)
        return "a body beyond max_body";
    return limit == MESH_HEADER_TOO_LARGE ? "a header beyond max_header" : "more header fields than max_headers";
}

/* There is no exchange where the head itself is too large. */
static void on_refused(void *user, struct http2_stream *stream, mesh_status status)
{
    struct connection *connection = user;
    static const mesh_header plain = { "content-type", 12, "text/plain", 10 };
    static const struct http1_field_group group = { &plain, 1 };
    const char *words = words_of(status);
    int32_t code = status == MESH_BODY_TOO_LARGE ? 413 : 431;
    char text[REFUSAL_TEXT_MAX];
    if (coming(stream) != NULL) {
        refuse(connection, coming(stream), code, status, words);
    } else if (mesh__http2_stream_user(stream) == NULL) {
        struct http2_response response = { .status = code, .groups = &group, .group_count = 1 };
        response.body.bytes = mesh__view_of(words);
        mesh__connection_log_refusal(connection, code, words, text);
        if (!mesh__http2_respond(stream, &response))
            mesh__http2_reset(stream, HTTP2_INTERNAL_ERROR);
    }
}

static void on_closed(void *user, struct http2_stream *stream, const struct http2_closed *closed)
{
    struct connection *connection = user;
    mesh_exchange *exchange = mesh__http2_stream_user(stream);
    char text[REFUSAL_TEXT_MAX];
    if (exchange == NULL)
        return;
    leave(connection, exchange);
    bool malformed = exchange->stage == EXCHANGE_COMING && closed->status == MESH_PROTOCOL && !closed->by_peer;
    if (malformed)
        mesh__connection_log_refusal(connection, 400, closed->reason, text);
    if (exchange->stage == EXCHANGE_GOING)
        mesh__exchange_free(exchange); /* told when it was answered */
    else
        mesh__connection_lose(exchange, malformed ? MESH_PROTOCOL : MESH_CANCELLED,
                              exchange->stage == EXCHANGE_SERVING);
}

static void on_settings(void *user, uint32_t max_streams)
{
    (void)user;
    (void)max_streams;
}

static void on_goaway(void *user, const struct http2_goaway *goaway)
{
    (void)user;
    (void)goaway;
}

static void on_pong(void *user)
{
    (void)user;
}

static const struct http2_events told = { on_head,   on_body,     on_trailers, on_end, on_refused,
                                          on_closed, on_settings, on_goaway,   on_pong };

/* ---- bytes ---- */

static size_t waiting(const struct connection *connection)
{
    return connection->out.size - connection->out_at;
}

/* A peer that does not take what it has caused to be sent may not cause more. */
static bool may_read(const struct connection *connection)
{
    return waiting(connection) < AHEAD_BYTES;
}

void mesh__http2_side_take(struct connection *connection, const char *bytes, size_t size)
{
    if (connection->state != CONNECTION_SHARED)
        return;
    if (size > 0)
        (void)mesh__http2_read(connection->http2.conn, bytes, size); /* a failure shows when it is flushed */
    touch(connection);
}

static void read_frames(struct connection *connection)
{
    struct stream *stream = connection->stream;
    char *scratch = connection->server->own.loop.scratch;
    do {
        ssize_t got = stream->ops->read(stream, scratch, LOOP_SCRATCH_SIZE);
        if (got == -EAGAIN)
            break;
        if (got <= 0) {
            mesh__connection_close(connection);
            return;
        }
        mesh__http2_side_take(connection, scratch, (size_t)got);
    } while (stream->ops->has_buffered_input(stream));
    touch(connection);
}

/* Sends what `frames` has, and keeps what finds no room: 0 or a negative errno. */
static int send_or_keep(struct connection *connection, const struct buf *frames)
{
    struct stream *stream = connection->stream;
    size_t at = 0;
    while (at < frames->size) {
        struct iovec rest = { frames->data + at, frames->size - at };
        ssize_t put = stream->ops->write(stream, &rest, 1);
        if (put == -EAGAIN)
            return mesh__buf_append(&connection->out, frames->data + at, frames->size - at) ? 0 : -ENOMEM;
        if (put < 0)
            return (int)put;
        at += (size_t)put;
    }
    return 0;
}

static void note_broken(struct connection *connection, mesh_status status)
{
    const mesh_server *server = connection->server;
    if (status == MESH_OK || connection->http2.broken)
        return;
    connection->http2.broken = true;
    SERVER_LOG(server, MESH_LOG_INFO, "server %s: the HTTP/2 connection from %s was ended: %s", server->settings->name,
               mesh__peer_name(connection->peer), mesh__http2_reason(connection->http2.conn));
}

/* One turn's frames, behind those that still wait: 0 or a negative errno. */
static int send_frames(struct connection *connection)
{
    struct buf *frames = &connection->server->own.frames;
    size_t before = waiting(connection);
    int done = before > 0 ? mesh__connection_write(connection) : 1;
    if (done > 0) {
        mesh__buf_clear(frames);
        note_broken(connection, mesh__http2_write(connection->http2.conn, frames, TURN_BYTES));
        done = frames->failed ? -ENOMEM : send_or_keep(connection, frames);
    }
    if (done == 0 && (before == 0 || waiting(connection) < before))
        connection->http2.stalled_since = now_of(connection);
    return done;
}

static bool is_finished(const struct connection *connection)
{
    const struct connection_http2 *side = &connection->http2;
    if (waiting(connection) > 0)
        return false;
    return mesh__http2_done(side->conn) || (side->broken && !mesh__http2_wants_write(side->conn));
}

/* ---- time ---- */

static mesh_nanos idle_due(const struct connection *connection)
{
    const struct connection_http2 *side = &connection->http2;
    if (has_exchanges(side))
        return NANOS_NEVER;
    if (side->drained != NANOS_NEVER)
        return mesh__nanos_add(mesh__nanos_max(side->drained, side->idle_since), FAREWELL);
    return mesh__nanos_add(side->idle_since, mesh__connection_idle_time(connection));
}

static mesh_nanos coming_due(const struct connection *connection)
{
    const mesh_exchange *oldest = first(&connection->http2.coming);
    mesh_nanos time = connection->server->settings->request_timeout;
    return oldest != NULL ? mesh__nanos_add(oldest->arrived, time) : NANOS_NEVER;
}

static mesh_nanos going_due(const struct connection *connection)
{
    const mesh_exchange *slowest = first(&connection->http2.going);
    mesh_nanos time = connection->server->settings->idle_timeout;
    return slowest != NULL ? mesh__nanos_add(slowest->moved, time) : NANOS_NEVER;
}

static mesh_nanos stalled_due(const struct connection *connection)
{
    mesh_nanos time = connection->server->settings->idle_timeout;
    return waiting(connection) > 0 ? mesh__nanos_add(connection->http2.stalled_since, time) : NANOS_NEVER;
}

/* A timer that is early finds nothing due, and is set anew then: most turns need not touch it. */
static void set_timer(struct connection *connection)
{
    mesh_nanos due = mesh__nanos_min(mesh__nanos_min(idle_due(connection), coming_due(connection)),
                                     mesh__nanos_min(going_due(connection), stalled_due(connection)));
    if (due < connection->http2.timer_due) {
        connection->http2.timer_due = due;
        (void)mesh__loop_timer_set(&connection->server->own.loop, &connection->timer, due);
    }
}

void mesh__http2_side_timeout(struct connection *connection)
{
    mesh_nanos now = now_of(connection);
    connection->http2.timer_due = NANOS_NEVER;
    if (stalled_due(connection) <= now) {
        mesh__connection_close(connection);
        return;
    }
    while (coming_due(connection) <= now)
        refuse(connection, first(&connection->http2.coming), 408, MESH_DEADLINE,
               "the request took longer than request_timeout");
    while (going_due(connection) <= now)
        reset(connection, first(&connection->http2.going), HTTP2_CANCEL);
    if (idle_due(connection) <= now && connection->http2.drained != NANOS_NEVER)
        mesh__connection_linger(connection);
    else if (idle_due(connection) <= now)
        mesh__http2_side_drain(connection);
    touch(connection);
}

/* ---- the connection ---- */

void mesh__http2_side_flush(struct connection *connection)
{
    if (connection->state != CONNECTION_SHARED)
        return;
    if (send_frames(connection) < 0) {
        mesh__connection_close(connection);
    } else if (is_finished(connection)) {
        mesh__connection_linger(connection);
    } else {
        bool more = waiting(connection) > 0 || mesh__http2_wants_write(connection->http2.conn);
        mesh__stream_arm(connection->stream, (may_read(connection) ? LOOP_READ : 0) | (more ? LOOP_WRITE : 0));
        set_timer(connection);
        if (may_read(connection) && connection->stream->ops->has_buffered_input(connection->stream))
            read_frames(connection);
    }
}

void mesh__http2_side_ready(struct connection *connection, uint32_t events)
{
    (void)events;
    if (connection->state != CONNECTION_SHARED)
        return;
    touch(connection); /* an error that only writing meets is met there */
    if (may_read(connection))
        read_frames(connection);
}

void mesh__http2_side_begin(struct connection *connection, const char *bytes, size_t size)
{
    mesh_server *server = connection->server;
    const struct server_config *settings = server->settings;
    struct connection_http2 *side = &connection->http2;
    struct http2_config config = { .role = HTTP2_SERVER, .max_streams = STREAMS_MAX };
    config.limits = (struct http1_limits){ settings->max_header, settings->max_headers, settings->max_body };
    side->conn = mesh__http2_new(&server->own.pool, &config, &told, connection);
    if (side->conn == NULL) {
        mesh__connection_close(connection);
        return;
    }
    mesh__http1_reader_free(connection->http1.reader);
    connection->http1.reader = NULL;
    connection->state = CONNECTION_SHARED;
    side->idle_since = now_of(connection);
    side->drained = side->timer_due = NANOS_NEVER;
    mesh__connection_wait(connection, 0);
    mesh__http2_side_take(connection, bytes, size);
    if (server->own.draining)
        mesh__http2_side_drain(connection);
}

void mesh__http2_side_answer(struct connection *connection, mesh_exchange *exchange)
{
    answer(connection, exchange);
}

void mesh__http2_side_drain(struct connection *connection)
{
    if (connection->http2.drained != NANOS_NEVER)
        return;
    connection->http2.drained = now_of(connection);
    mesh__http2_drain(connection->http2.conn);
    touch(connection);
}

static uint32_t count(const struct list *list)
{
    uint32_t number = 0;
    for (const struct list *node = list->next; node != list; node = node->next)
        number++;
    return number;
}

uint32_t mesh__http2_side_count(const struct connection *connection)
{
    const struct connection_http2 *side = &connection->http2;
    return count(&side->coming) + count(&side->serving) + count(&side->going);
}

void mesh__http2_side_lose(struct connection *connection)
{
    struct connection_http2 *side = &connection->http2;
    struct list *node;
    mesh__list_remove(&side->link);
    while ((node = mesh__list_pop(&side->coming)) != NULL)
        mesh__connection_lose(CONTAINER_OF(node, mesh_exchange, here), MESH_CANCELLED, false);
    while ((node = mesh__list_pop(&side->serving)) != NULL)
        mesh__connection_lose(CONTAINER_OF(node, mesh_exchange, here), MESH_CANCELLED, true);
    while ((node = mesh__list_pop(&side->going)) != NULL)
        mesh__exchange_free(CONTAINER_OF(node, mesh_exchange, here));
}
