/* SPDX-License-Identifier: Apache-2.0 */
/* connection.c - what every connection has, whatever it speaks: its end, its timer, its bytes out, its exchanges'. */
#include "server/connection.h"
#include "server/workers.h"

#include <errno.h>
#include <stdio.h>

#define LINGER (1 * NANOS_S)
#define OUTDATED_IDLE (1 * NANOS_S)

/* Places in the heap are reserved when a connection opens. */
void mesh__connection_wait(struct connection *connection, mesh_nanos timeout)
{
    struct loop *loop = &connection->server->own.loop;
    if (timeout > 0 && timeout != NANOS_NEVER)
        (void)mesh__loop_timer_set(loop, &connection->timer, mesh__nanos_add(loop->now, timeout));
    else
        mesh__loop_timer_cancel(loop, &connection->timer);
}

void mesh__connection_lose(mesh_exchange *exchange, mesh_status outcome)
{
    exchange->connection = NULL;
    mesh__exchange_report(exchange, outcome, exchange->started ? exchange->status : 0, exchange->server->own.loop.now);
    if (exchange->handed && !exchange->returned)
        mesh__flow_lose(exchange);
    mesh__exchange_unref(exchange);
}

bool mesh__connection_hand_over(mesh_exchange *exchange)
{
    struct workers *workers = exchange->server->workers;
    exchange->handed = true;
    mesh__refs_ref(&exchange->refs);
    if (workers == NULL) {
        mesh__server_handle(exchange);
    } else if (!mesh__workers_push(workers, exchange)) {
        exchange->handed = false;
        mesh__exchange_unref(exchange);
    }
    return exchange->handed;
}

void mesh__connection_close(struct connection *connection)
{
    mesh_server *server = connection->server;
    mesh_exchange *exchange = connection->http1.exchange;
    if (connection->state == CONNECTION_CLOSED)
        return;
    connection->state = CONNECTION_CLOSED;
    mesh__loop_timer_cancel(&server->own.loop, &connection->timer);
    mesh__loop_cancel(&connection->again);
    if (connection->stream != NULL && connection->http1.open_ended)
        mesh__http1_stream_abort(connection);
    if (connection->stream != NULL)
        connection->stream->ops->close(connection->stream);
    connection->stream = NULL;
    mesh__list_remove(&connection->link);
    mesh__list_push(&server->own.closed, &connection->link);
    server->own.connection_count--;
    connection->http1.exchange = NULL;
    if (exchange != NULL)
        mesh__connection_lose(exchange, MESH_CANCELLED);
    mesh__http2_side_lose(connection);
    mesh__listener_resume(server);
}

bool mesh__connection_is_silent(const struct connection *connection)
{
    char byte;
    return !connection->stream->ops->has_buffered_input(connection->stream) &&
           recv(connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EINTR);
}

bool mesh__connection_is_outdated(const struct connection *connection)
{
    return connection->peer->secure && connection->epoch != atomic_load(&connection->server->epoch);
}

mesh_nanos mesh__connection_idle_time(const struct connection *connection)
{
    mesh_nanos time = connection->server->settings->idle_timeout;
    return mesh__connection_is_outdated(connection) ? mesh__nanos_min(time, OUTDATED_IDLE) : time;
}

void mesh__connection_outdate(struct connection *connection)
{
    if (connection->state == CONNECTION_IDLE && connection->peer->secure)
        mesh__connection_wait(connection, mesh__connection_idle_time(connection));
    else if (connection->state == CONNECTION_SHARED && mesh__connection_is_outdated(connection))
        mesh__http2_side_drain(connection); /* which loses nothing */
}

void mesh__connection_again(struct connection *connection)
{
    if (connection->stream->ops->has_buffered_input(connection->stream))
        mesh__loop_post(&connection->server->own.loop, &connection->again);
}

void mesh__connection_read_on(struct loop_task *task)
{
    mesh__connection_ready(CONTAINER_OF(task, struct connection, again), LOOP_READ);
}

static void discard(struct connection *connection)
{
    struct stream *stream = connection->stream;
    ssize_t got = 1;
    for (int i = 0; i < READS_PER_TURN && got > 0 && (i == 0 || stream->ops->has_buffered_input(stream)); i++)
        got = stream->ops->read(stream, connection->server->own.loop.scratch, LOOP_SCRATCH_SIZE);
    if (got <= 0 && got != -EAGAIN) {
        mesh__connection_close(connection);
        return;
    }
    mesh__stream_arm(stream, LOOP_READ);
    mesh__connection_again(connection);
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

int mesh__connection_write(struct connection *connection)
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

int mesh__connection_send(struct connection *connection, const struct buf *frames)
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

struct http1_limits mesh__connection_limits(const struct connection *connection)
{
    const mesh_server *server = connection->server;
    const struct server_config *settings = server->settings;
    return (struct http1_limits){ settings->max_header, settings->max_headers,
                                  server->streams ? UINT64_MAX : settings->max_body };
}

void mesh__connection_log_refusal(const struct connection *connection, int32_t status, const char *reason,
                                  char text[REFUSAL_TEXT_MAX])
{
    mesh_server *server = connection->server;
    (void)snprintf(text, REFUSAL_TEXT_MAX, "%s\n", reason);
    SERVER_LOG(server, MESH_LOG_INFO, "server %s: a request from %s was refused with %d: %s", server->settings->name,
               mesh__peer_name(connection->peer), (int)status, reason);
}

void mesh__connection_ready(void *user, uint32_t events)
{
    struct connection *connection = user;
    switch (connection->state) {
    case CONNECTION_SNIFFING:
    case CONNECTION_SHAKING:
        mesh__connection_admit(connection);
        break;
    case CONNECTION_SHARED:
        mesh__http2_side_ready(connection, events);
        break;
    case CONNECTION_LINGERING:
        discard(connection);
        break;
    case CONNECTION_CLOSED:
        break;
    default:
        mesh__http1_side_ready(connection, events);
        break;
    }
}

void mesh__connection_timeout(struct loop_timer *timer)
{
    struct connection *connection = CONTAINER_OF(timer, struct connection, timer);
    if (connection->state == CONNECTION_READING || connection->state == CONNECTION_STREAMING)
        mesh__http1_side_timeout(connection);
    else if (connection->state == CONNECTION_SHARED)
        mesh__http2_side_timeout(connection);
    else
        mesh__connection_close(connection);
}

void mesh__connection_follow(mesh_exchange *exchange, uint32_t posts)
{
    struct connection *connection = exchange->connection;
    if (connection == NULL && !exchange->returned) /* it has gone; who asks only now is told, too */
        mesh__flow_tell(exchange);
    if (connection == NULL)
        return;
    if (connection->state == CONNECTION_SHARED)
        mesh__http2_side_follow(connection, exchange, posts);
    else
        mesh__http1_side_follow(connection, exchange, posts);
}

void mesh__connection_drain(struct connection *connection)
{
    bool waits = connection->state == CONNECTION_IDLE || connection->state == CONNECTION_SNIFFING;
    if (waits && connection->preface_size == 0 && mesh__connection_is_silent(connection))
        mesh__connection_close(connection);
    else if (connection->state == CONNECTION_SHARED)
        mesh__http2_side_drain(connection);
}

uint32_t mesh__connection_cut(struct connection *connection)
{
    bool cut = connection->http1.exchange != NULL || connection->state == CONNECTION_WRITING;
    uint32_t count = (cut ? 1 : 0) + mesh__http2_side_count(connection);
    mesh__connection_close(connection);
    return count;
}

void mesh__connection_flush(mesh_server *server)
{
    struct list *node;
    while ((node = mesh__list_pop(&server->own.dirty)) != NULL)
        mesh__http2_side_flush(CONTAINER_OF(node, struct connection, http2.link));
}

static void free_connection(struct connection *connection)
{
    const struct mem *mem = &connection->server->mem;
    mesh__http1_reader_free(connection->http1.reader);
    mesh__http2_free(connection->http2.conn);
    mesh__buf_fini(&connection->http1.in);
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
