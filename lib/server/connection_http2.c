/* SPDX-License-Identifier: Apache-2.0 */
/* connection_http2.c - HTTP/2: the bytes and the time of a connection that carries many exchanges.
 *
 * Whatever happens in a turn only marks the connection as dirty; mesh__http2_side_flush() ends the turn: the frames of
 * all streams go out in one send, what is read and written next is said to the stream, and the timer is set. */
#include "server/connection_http2.h"

#include <errno.h>

#define FAREWELL (1 * NANOS_S)         /* for the peer to acknowledge that no more streams are taken */
#define TURN_BYTES ((size_t)256 << 10) /* that one connection sends in a turn */
#define AHEAD_BYTES ((size_t)64 << 10) /* that wait for room in the socket while requests are still read */

static mesh_nanos now_of(const struct connection *connection)
{
    return connection->server->own.loop.now;
}

/* ---- bytes ---- */

static size_t waiting(const struct connection *connection)
{
    return connection->out.size - connection->out_at;
}

/* A peer that does not take what it has caused to be sent may not cause more. */
static bool may_read(const struct connection *connection)
{
    return waiting(connection) < AHEAD_BYTES && !connection->http2.broken;
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

void mesh__http2_side_take(struct connection *connection, const char *bytes, size_t size)
{
    if (connection->state != CONNECTION_SHARED)
        return;
    if (size > 0)
        note_broken(connection, mesh__http2_read(connection->http2.conn, bytes, size));
    mesh__http2_side_touch(connection);
}

/* What is left is read on behind the flush. */
static void read_frames(struct connection *connection)
{
    struct stream *stream = connection->stream;
    char *scratch = connection->server->own.loop.scratch;
    for (int i = 0; i < READS_PER_TURN && may_read(connection); i++) {
        ssize_t got = stream->ops->read(stream, scratch, LOOP_SCRATCH_SIZE);
        if (got == -EAGAIN)
            break;
        if (got <= 0) {
            mesh__connection_close(connection);
            return;
        }
        mesh__http2_side_take(connection, scratch, (size_t)got);
        if (!stream->ops->has_buffered_input(stream))
            break;
    }
    mesh__http2_side_touch(connection);
}

/* Behind those that wait already. */
static int keep_frames(struct connection *connection, const struct buf *frames)
{
    struct buf *out = &connection->out;
    mesh__buf_consume(out, connection->out_at);
    connection->out_at = 0;
    return mesh__buf_append(out, frames->data, frames->size) ? 0 : -ENOMEM;
}

/* One turn's frames, behind those that still wait: 0 or a negative errno. While the socket is full they move all the
 * same, up to AHEAD_BYTES: what waits inside the codec is not seen by may_read(). */
static int send_frames(struct connection *connection)
{
    struct buf *frames = &connection->server->own.frames;
    size_t before = waiting(connection);
    int done = before > 0 ? mesh__connection_write(connection) : 1;
    size_t left = waiting(connection);
    if (done >= 0 && left < AHEAD_BYTES) {
        size_t most = left > 0 ? AHEAD_BYTES - left : TURN_BYTES;
        mesh__buf_clear(frames);
        note_broken(connection, mesh__http2_write(connection->http2.conn, frames, most));
        if (frames->failed)
            done = -ENOMEM;
        else
            done = left > 0 ? keep_frames(connection, frames) : mesh__connection_send(connection, frames);
    }
    if (done == 0 && (before == 0 || left < before))
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
    if (mesh__http2_side_has_exchanges(side))
        return NANOS_NEVER;
    if (side->drained != NANOS_NEVER)
        return mesh__nanos_add(mesh__nanos_max(side->drained, side->idle_since), FAREWELL);
    return mesh__nanos_add(side->idle_since, mesh__connection_idle_time(connection));
}

static mesh_nanos coming_due(const struct connection *connection)
{
    const mesh_exchange *oldest = mesh__http2_side_first(&connection->http2.coming);
    mesh_nanos time = connection->server->settings->request_timeout;
    return oldest != NULL ? mesh__nanos_add(oldest->arrived, time) : NANOS_NEVER;
}

static mesh_nanos going_due(const struct connection *connection)
{
    const mesh_exchange *slowest = mesh__http2_side_first(&connection->http2.going);
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
        mesh__http2_side_refuse(connection, mesh__http2_side_first(&connection->http2.coming), 408, MESH_DEADLINE,
                                "the request took longer than request_timeout");
    while (going_due(connection) <= now)
        mesh__http2_side_stand(connection, mesh__http2_side_first(&connection->http2.going));
    if (idle_due(connection) <= now && connection->http2.drained != NANOS_NEVER)
        mesh__connection_linger(connection);
    else if (idle_due(connection) <= now)
        mesh__http2_side_drain(connection);
    mesh__http2_side_touch(connection);
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
        if (may_read(connection))
            mesh__connection_again(connection);
    }
}

void mesh__http2_side_ready(struct connection *connection, uint32_t events)
{
    (void)events;
    if (connection->state != CONNECTION_SHARED)
        return;
    mesh__http2_side_touch(connection); /* an error that only writing meets is met there */
    if (may_read(connection))
        read_frames(connection);
}

void mesh__http2_side_begin(struct connection *connection, const char *bytes, size_t size)
{
    mesh_server *server = connection->server;
    const struct server_config *settings = server->settings;
    struct connection_http2 *side = &connection->http2;
    struct http2_config config = { .role = HTTP2_SERVER, .max_streams = settings->max_streams, .apart = true };
    config.limits = mesh__connection_limits(connection);
    side->conn = mesh__http2_new(&server->own.pool, &config, &mesh__http2_side_events, connection);
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
    if (server->own.draining || mesh__connection_is_outdated(connection))
        mesh__http2_side_drain(connection);
}

void mesh__http2_side_drain(struct connection *connection)
{
    if (connection->http2.drained != NANOS_NEVER)
        return;
    connection->http2.drained = now_of(connection);
    mesh__http2_drain(connection->http2.conn);
    mesh__http2_side_touch(connection);
}
