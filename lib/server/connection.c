/* SPDX-License-Identifier: Apache-2.0 */
/* connection.c - requests in, answers out, one at a time; every change of state is in one of these functions. */
#include "server/connection.h"

#include "server/access.h"
#include "server/reply.h"
#include "server/workers.h"

#include <errno.h>
#include <stdio.h>

#define LINGER (1 * NANOS_S)
#define OUTDATED_IDLE (1 * NANOS_S)
#define OUT_MAX (SIZE_MAX / 2)
#define CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"

/* 0: no limit. Places in the heap are reserved when a connection opens. */
void mesh__connection_wait(struct connection *connection, mesh_nanos timeout)
{
    struct loop *loop = &connection->server->own.loop;
    if (timeout > 0 && timeout != NANOS_NEVER)
        (void)mesh__loop_timer_set(loop, &connection->timer, mesh__nanos_add(loop->now, timeout));
    else
        mesh__loop_timer_cancel(loop, &connection->timer);
}

/* Lets go of the exchange: one that a handler has stays valid, one that was still coming ends here. */
static void lose_exchange(struct connection *connection, bool handed_over)
{
    mesh_exchange *exchange = connection->exchange;
    if (exchange == NULL)
        return;
    connection->exchange = NULL;
    exchange->connection = NULL;
    mesh__exchange_report(exchange, MESH_CANCELLED, 0, connection->server->own.loop.now);
    if (handed_over)
        atomic_store(&exchange->gone, true); /* from here on it is not ours */
    else
        mesh__exchange_free(exchange);
}

void mesh__connection_close(struct connection *connection)
{
    mesh_server *server = connection->server;
    if (connection->state == CONNECTION_CLOSED)
        return;
    bool handed_over = connection->state == CONNECTION_SERVING;
    connection->state = CONNECTION_CLOSED;
    mesh__loop_timer_cancel(&server->own.loop, &connection->timer);
    if (connection->stream != NULL)
        connection->stream->ops->close(connection->stream);
    connection->stream = NULL;
    mesh__list_remove(&connection->link);
    mesh__list_push(&server->own.closed, &connection->link);
    server->own.connection_count--;
    lose_exchange(connection, handed_over);
    mesh__listener_resume(server);
}

/* Nothing has come that was not taken. Unlike the stream's is_quiet() it takes nothing from a TLS stream. */
static bool is_silent(const struct connection *connection)
{
    char byte;
    return !connection->stream->ops->has_buffered_input(connection->stream) &&
           recv(connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EINTR);
}

/* A peer whose connection was met with an old identity is told so with its next answer. Closing an idle connection at
 * once could meet a request under way, which would be lost; one that was silent for a while will hardly be used. */
static mesh_nanos idle_time(const struct connection *connection)
{
    const mesh_server *server = connection->server;
    mesh_nanos time = server->settings->idle_timeout;
    bool outdated = connection->peer->secure && connection->epoch != atomic_load(&server->epoch);
    return outdated ? mesh__nanos_min(time, OUTDATED_IDLE) : time;
}

static void become_idle(struct connection *connection)
{
    const struct server_config *settings = connection->server->settings;
    struct http1_limits limits = { settings->max_header, settings->max_headers, settings->max_body };
    connection->state = CONNECTION_IDLE;
    mesh__http1_reader_next(connection->reader, &limits, false);
    mesh__stream_arm(connection->stream, LOOP_READ);
    mesh__connection_wait(connection, idle_time(connection));
}

void mesh__connection_outdate(struct connection *connection)
{
    if (connection->state == CONNECTION_IDLE && connection->peer->secure)
        mesh__connection_wait(connection, idle_time(connection));
}

static void discard(struct connection *connection)
{
    struct stream *stream = connection->stream;
    ssize_t got;
    do
        got = stream->ops->read(stream, connection->server->own.loop.scratch, LOOP_SCRATCH_SIZE);
    while (got > 0 && stream->ops->has_buffered_input(stream));
    if (got > 0 || got == -EAGAIN)
        mesh__stream_arm(stream, LOOP_READ);
    else
        mesh__connection_close(connection);
}

void mesh__connection_linger(struct connection *connection)
{
    struct stream *stream = connection->stream;
    if (stream->ops->finish(stream) != 0) {
        mesh__connection_close(connection);
        return;
    }
    connection->state = CONNECTION_LINGERING;
    mesh__connection_wait(connection, LINGER);
    discard(connection);
}

/* The last answer is out. */
static void finish(struct connection *connection)
{
    if (connection->linger || connection->in_at < connection->in.size || !is_silent(connection))
        mesh__connection_linger(connection);
    else
        mesh__connection_close(connection);
}

/* Writes what is in `out`: 1 when all of it is out, 0 when the socket is full, or a negative errno. */
static int flush(struct connection *connection)
{
    struct stream *stream = connection->stream;
    while (connection->out_at < connection->out.size) {
        struct iovec rest = { connection->out.data + connection->out_at, connection->out.size - connection->out_at };
        ssize_t put = stream->ops->write(stream, &rest, 1);
        if (put < 0)
            return put == -EAGAIN ? 0 : (int)put;
        connection->out_at += (size_t)put;
    }
    mesh__buf_fini(&connection->out);
    connection->out_at = 0;
    return 1;
}

static void write_more(struct connection *connection)
{
    int done = flush(connection);
    if (done < 0) {
        mesh__connection_close(connection);
    } else if (done == 0) {
        mesh__stream_arm(connection->stream, LOOP_WRITE);
        mesh__connection_wait(connection, connection->server->settings->idle_timeout);
    } else if (connection->close_after) {
        finish(connection);
    } else {
        become_idle(connection);
    }
}

/* Sends the reply and frees the exchange. */
static void answer(struct connection *connection, mesh_exchange *exchange)
{
    connection->exchange = NULL;
    connection->state = CONNECTION_WRITING;
    connection->close_after |= exchange->close || connection->server->own.draining;
    mesh__exchange_report(exchange, exchange->outcome, exchange->status, exchange->answered);
    bool sent = exchange->reply.size > 0;
    if (connection->out.size == 0) {
        mesh__buf_fini(&connection->out);
        connection->out = exchange->reply;
        mesh__buf_init(&exchange->reply, connection->out.mem, OUT_MAX);
    } else {
        sent = sent && mesh__buf_append(&connection->out, exchange->reply.data, exchange->reply.size);
    }
    mesh__exchange_free(exchange);
    if (sent)
        write_more(connection);
    else
        mesh__connection_close(connection);
}

/* Answers before the request is complete; where it ends is not known, so it is the last answer. */
static void cut_short(struct connection *connection, int32_t status, mesh_status outcome, const char *text)
{
    mesh_server *server = connection->server;
    mesh_exchange *exchange = connection->exchange;
    mesh__connection_wait(connection, 0);
    connection->close_after = connection->linger = true;
    if (exchange != NULL) {
        exchange->close = true;
        mesh__reply_own(exchange, status, outcome, text);
        answer(connection, exchange);
        return;
    }
    connection->state = CONNECTION_WRITING;
    if (mesh__reply_refusal(&connection->out, server->own.loop.world, status, text))
        write_more(connection);
    else
        mesh__connection_close(connection);
}

static void refuse(struct connection *connection, int32_t status, mesh_status outcome, const char *reason)
{
    mesh_server *server = connection->server;
    char text[128];
    (void)snprintf(text, sizeof(text), "%s\n", reason);
    SERVER_LOG(server, MESH_LOG_INFO, "server %s: a request from %s was refused with %d: %s", server->settings->name,
               mesh__peer_name(connection->peer), (int)status, reason);
    cut_short(connection, status, outcome, text);
}

static void refuse_read(struct connection *connection, const struct http1_progress *progress)
{
    switch (progress->status) {
    case MESH_BODY_TOO_LARGE:
        refuse(connection, 413, progress->status, progress->reason);
        break;
    case MESH_HEADER_TOO_LARGE:
    case MESH_TOO_MANY_HEADERS:
        refuse(connection, 431, progress->status, progress->reason);
        break;
    case MESH_NO_MEMORY:
        if (connection->refusal == 417)
            refuse(connection, 417, MESH_PROTOCOL, "an expectation other than 100-continue");
        else
            refuse(connection, 503, progress->status, "memory ran out");
        break;
    default:
        refuse(connection, progress->answer ? progress->answer : 400, progress->status, progress->reason);
        break;
    }
}

static bool on_head(void *user, const struct http1_head *head)
{
    struct connection *connection = user;
    const mesh_header *expect = mesh__exchange_find(head->headers, head->header_count, VIEW_LITERAL("expect"));
    mesh_exchange *exchange = mesh__exchange_new(connection->server, connection, connection->peer, head);
    connection->exchange = exchange;
    if (exchange == NULL || !mesh__access_judge(exchange, &exchange->denied))
        return false;
    if (exchange->denied || expect == NULL || head->minor == 0) /* RFC 9110 10.1.1: of HTTP/1.0 it is ignored */
        return true;
    if (!mesh__view_equal_nocase(mesh__view(expect->value, expect->value_size), VIEW_LITERAL("100-continue"))) {
        connection->refusal = 417;
        return false;
    }
    connection->expects_continue = head->content_length != 0;
    return true;
}

static bool on_body(void *user, struct view bytes)
{
    struct connection *connection = user;
    connection->expects_continue = false; /* it did not wait */
    return connection->exchange->denied || mesh__buf_append_view(&connection->exchange->body, bytes);
}

static bool on_end(void *user, bool keep_alive)
{
    struct connection *connection = user;
    connection->exchange->close = !keep_alive;
    return true;
}

struct http1_reader *mesh__connection_reader(struct connection *connection)
{
    static const struct http1_events events = { on_head, on_body, on_end };
    return mesh__http1_reader_new(&connection->server->mem, HTTP1_REQUESTS, &events, connection);
}

/* The request is complete. */
static void serve(struct connection *connection)
{
    mesh_server *server = connection->server;
    mesh_exchange *exchange = connection->exchange;
    connection->state = CONNECTION_SERVING;
    connection->expects_continue = false;
    mesh__connection_wait(connection, 0);
    if (exchange->denied) {
        mesh__reply_own(exchange, 403, MESH_DENIED, ACCESS_DENIED_TEXT);
        answer(connection, exchange);
    } else if (server->workers == NULL) {
        mesh__server_handle(exchange);
    } else if (!mesh__workers_push(server->workers, exchange)) {
        mesh__reply_own(exchange, 503, MESH_OVERLOADED, "too many requests wait\n");
        answer(connection, exchange);
    }
}

/* Something of a request has come, but not all of it. */
static void await_rest(struct connection *connection)
{
    if (connection->state == CONNECTION_IDLE && mesh__http1_reader_started(connection->reader)) {
        connection->state = CONNECTION_READING;
        mesh__connection_wait(connection, connection->server->settings->request_timeout);
    }
    if (connection->state == CONNECTION_IDLE && connection->server->own.draining) {
        mesh__connection_close(connection); /* an empty line is no request */
        return;
    }
    if (connection->exchange != NULL && connection->exchange->denied) {
        cut_short(connection, 403, MESH_DENIED, ACCESS_DENIED_TEXT); /* its body is not waited for */
        return;
    }
    if (!connection->expects_continue)
        return;
    connection->expects_continue = false;
    if (!mesh__buf_append_text(&connection->out, CONTINUE) || flush(connection) < 0)
        mesh__connection_close(connection); /* a full socket is no failure: the rest goes out before the answer */
}

static bool is_reading(const struct connection *connection)
{
    return connection->state == CONNECTION_IDLE || connection->state == CONNECTION_READING;
}

/* Takes bytes while requests are answered at once; the number of those taken. */
static size_t consume(struct connection *connection, const char *bytes, size_t size)
{
    size_t used = 0;
    while (used < size && is_reading(connection)) {
        struct http1_progress progress = mesh__http1_read(connection->reader, bytes + used, size - used);
        used += progress.used;
        if (progress.status != MESH_OK)
            refuse_read(connection, &progress);
        else if (progress.ended)
            serve(connection);
        else
            await_rest(connection);
    }
    return used;
}

static void read_more(struct connection *connection)
{
    struct stream *stream = connection->stream;
    char *scratch = connection->server->own.loop.scratch;
    do {
        ssize_t got = stream->ops->read(stream, scratch, LOOP_SCRATCH_SIZE);
        if (got == -EAGAIN) {
            mesh__stream_arm(stream, LOOP_READ);
            if (connection->server->own.draining)
                mesh__connection_drain(connection);
            return;
        }
        if (got <= 0) {
            mesh__connection_close(connection);
            return;
        }
        size_t used = consume(connection, scratch, (size_t)got);
        if (used < (size_t)got && connection->state != CONNECTION_CLOSED &&
            !mesh__buf_append(&connection->in, scratch + used, (size_t)got - used))
            mesh__connection_close(connection);
    } while (is_reading(connection) && stream->ops->has_buffered_input(stream));
}

/* Goes on with bytes that were read behind an earlier request, then with those that only the stream has. */
static void resume(struct connection *connection)
{
    size_t left = connection->in.size - connection->in_at;
    if (left > 0 && is_reading(connection)) {
        connection->in_at += consume(connection, connection->in.data + connection->in_at, left);
        if (connection->in_at == connection->in.size) {
            mesh__buf_fini(&connection->in);
            connection->in_at = 0;
        }
    }
    if (is_reading(connection) && connection->stream->ops->has_buffered_input(connection->stream))
        read_more(connection);
}

void mesh__connection_begin(struct connection *connection)
{
    become_idle(connection);
    resume(connection);
    if (connection->server->own.draining)
        mesh__connection_drain(connection);
}

void mesh__connection_ready(void *user, uint32_t events)
{
    struct connection *connection = user;
    switch (connection->state) {
    case CONNECTION_SNIFFING:
    case CONNECTION_SHAKING:
        mesh__connection_admit(connection);
        break;
    case CONNECTION_IDLE:
    case CONNECTION_READING:
        read_more(connection);
        break;
    case CONNECTION_SERVING:
        if (events & LOOP_WRITE) /* nobody waits for that: it stands for an error */
            mesh__connection_close(connection);
        else
            mesh__stream_arm(connection->stream, 0);
        break;
    case CONNECTION_WRITING:
        write_more(connection);
        resume(connection);
        break;
    case CONNECTION_LINGERING:
        discard(connection);
        break;
    case CONNECTION_CLOSED:
        break;
    }
}

void mesh__connection_timeout(struct loop_timer *timer)
{
    struct connection *connection = CONTAINER_OF(timer, struct connection, timer);
    if (connection->state == CONNECTION_READING)
        refuse(connection, 408, MESH_DEADLINE, "the request took longer than request_timeout");
    else
        mesh__connection_close(connection);
}

void mesh__connection_answer(mesh_exchange *exchange)
{
    struct connection *connection = exchange->connection;
    if (connection == NULL) { /* closed while the answer was in the inbox */
        mesh__exchange_free(exchange);
        return;
    }
    answer(connection, exchange);
    resume(connection);
}

void mesh__connection_drain(struct connection *connection)
{
    bool waits = connection->state == CONNECTION_IDLE || connection->state == CONNECTION_SNIFFING;
    if (waits && is_silent(connection))
        mesh__connection_close(connection);
}

bool mesh__connection_cut(struct connection *connection)
{
    bool cut = connection->exchange != NULL || connection->state == CONNECTION_WRITING;
    mesh__connection_close(connection);
    return cut;
}

static void free_connection(struct connection *connection)
{
    const struct mem *mem = &connection->server->mem;
    mesh__http1_reader_free(connection->reader);
    mesh__buf_fini(&connection->in);
    mesh__buf_fini(&connection->out);
    mesh__peer_unref(mem, connection->peer);
    mesh__mem_free(mem, connection);
}

void mesh__connection_bury(mesh_server *server)
{
    struct list *node;
    while ((node = mesh__list_pop(&server->own.closed)) != NULL)
        free_connection(CONTAINER_OF(node, struct connection, link));
}
