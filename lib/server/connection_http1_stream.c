/* SPDX-License-Identifier: Apache-2.0 */
/* connection_http1_stream.c - an HTTP/1.1 exchange whose request is still coming, or whose answer is going out, while
 * its handler has it. */
#include "server/connection_http1.h"

#include "net/tls_stream.h"

#include <errno.h>

#define PIECE_MAX FLOW_WAITING_MAX

/* Says what is waited for, and for how long: nothing that the handler has to do has a limit. */
static void settle(struct connection *connection)
{
    const mesh_exchange *exchange = connection->http1.exchange;
    if (connection->state != CONNECTION_STREAMING)
        return;
    bool in = exchange->coming && !connection->http1.held, out = connection->out.size > 0;
    mesh__stream_arm(connection->stream, (in ? LOOP_READ : 0) | (out ? LOOP_WRITE : 0));
    mesh__connection_wait(connection, in || out ? connection->server->settings->idle_timeout : 0);
}

/* ---- the request ---- */

/* The rest of the request will never be known, so the answer is the last. */
static void break_request(struct connection *connection, mesh_status status)
{
    connection->http1.exchange->coming = false;
    connection->http1.close_after = connection->http1.linger = true;
    mesh__flow_end(connection->http1.exchange, status);
}

/* How much is unread decides whether more is read. */
static void weigh(struct connection *connection, size_t unread)
{
    if (unread > FLOW_UNREAD_MAX)
        connection->http1.held = true;
    else if (unread < FLOW_UNREAD_MAX / 2)
        connection->http1.held = false;
}

void mesh__http1_stream_read(struct connection *connection, const struct http1_progress *progress)
{
    mesh_exchange *exchange = connection->http1.exchange;
    if (progress != NULL && progress->status != MESH_OK) {
        char text[REFUSAL_TEXT_MAX];
        mesh__connection_log_refusal(connection, 400, progress->reason, text);
        break_request(connection, progress->status);
    }
    weigh(connection, mesh__flow_unread(exchange));
    settle(connection);
}

/* ---- the response ---- */

/* One piece as it goes out; false: memory is out. */
static bool frame(const mesh_exchange *exchange, struct buf *out, struct view bytes, bool last,
                  const struct http1_field_group *trailers)
{
    if (exchange->is_old)
        return mesh__buf_append_view(out, bytes);
    if (bytes.size > 0 && !(mesh__http1_write_chunk_start(out, bytes.size) && mesh__buf_append_view(out, bytes) &&
                            mesh__http1_write_chunk_end(out)))
        return false;
    return !last || mesh__http1_write_last_chunk(out, trailers);
}

/* Sends the next piece: 1, 0 when there is none now, or a negative errno. */
static int send_piece(struct connection *connection, mesh_exchange *exchange)
{
    struct buf *piece = &connection->server->own.frames;
    struct http1_field_group trailers = { NULL, 0 };
    struct view bytes;
    enum body_next next = mesh__flow_next(exchange, PIECE_MAX, &bytes, &trailers);
    exchange->sending = next != BODY_LATER;
    if (next == BODY_LATER)
        return 0;
    mesh__buf_clear(piece);
    if (!frame(exchange, piece, bytes, next == BODY_LAST, &trailers))
        return -ENOMEM;
    connection->http1.whole = next == BODY_LAST;
    int error = mesh__connection_send(connection, piece);
    return error ? error : 1;
}

/* 0 or a negative errno. */
static int write_out(struct connection *connection, mesh_exchange *exchange)
{
    int done = connection->out.size > 0 ? mesh__connection_write(connection) : 1;
    while (done > 0 && exchange->started && !connection->http1.whole && connection->out.size == 0)
        done = send_piece(connection, exchange);
    return done < 0 ? done : 0;
}

/* The last piece is in `out`, or out. */
static void end_response(struct connection *connection, mesh_exchange *exchange)
{
    struct connection_http1 *http1 = &connection->http1;
    http1->close_after |= exchange->close || exchange->coming || connection->server->own.draining;
    http1->linger |= exchange->coming;
    http1->exchange = NULL;
    connection->state = CONNECTION_WRITING;
    mesh__connection_wait(connection, 0);
    exchange->connection = NULL;
    mesh__exchange_unref(exchange);
    mesh__http1_side_write(connection);
}

/* Writes what there is, and sees what comes next. */
static void move(struct connection *connection, mesh_exchange *exchange)
{
    if (write_out(connection, exchange) < 0)
        mesh__connection_close(connection);
    else if (connection->http1.whole)
        end_response(connection, exchange);
    else
        settle(connection);
}

/* Over TLS it is close_notify that must not come. A Unix socket knows no reset. */
void mesh__http1_stream_abort(struct connection *connection)
{
    const struct linger at_once = { 1, 0 };
    (void)setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    mesh__tls_stream_silence(connection->stream);
}

/* The peer must not take what it has for a whole answer, whichever way that ends. */
static void cut(struct connection *connection)
{
    mesh__http1_stream_abort(connection);
    mesh__connection_close(connection);
}

static void start(struct connection *connection, mesh_exchange *exchange)
{
    connection->state = CONNECTION_STREAMING;
    exchange->started = true;
    connection->http1.open_ended = exchange->is_old;
    bool ok = !mesh__flow_take_continue(exchange) || mesh__buf_append_text(&connection->out, HTTP1_CONTINUE);
    if (!ok || exchange->reply.size == 0 ||
        !mesh__buf_append(&connection->out, exchange->reply.data, exchange->reply.size))
        mesh__connection_close(connection);
    exchange->body_sent = exchange->reply.size; /* what is written next takes its place */
}

static void look_at_news(struct connection *connection, mesh_exchange *exchange)
{
    struct flow_news news = mesh__flow_news(exchange);
    bool was_held = connection->http1.held;
    weigh(connection, news.unread);
    if (news.say_continue && !exchange->started && !mesh__buf_append_text(&connection->out, HTTP1_CONTINUE))
        mesh__connection_close(connection);
    if (was_held && connection->state == CONNECTION_STREAMING && exchange->coming && !connection->http1.held &&
        connection->stream->ops->has_buffered_input(connection->stream))
        mesh__http1_side_read(connection);
}

void mesh__http1_stream_follow(struct connection *connection, mesh_exchange *exchange, uint32_t posts)
{
    if (exchange->returned)
        mesh__exchange_report(exchange, exchange->outcome, exchange->status, exchange->answered);
    if (exchange->returned && exchange->broken) {
        cut(connection);
        return;
    }
    if (!exchange->started && (posts & (POST_HEAD | POST_FINAL)))
        start(connection, exchange);
    if (connection->state == CONNECTION_STREAMING)
        look_at_news(connection, exchange);
    if (connection->state == CONNECTION_STREAMING)
        move(connection, exchange);
}

/* ---- events ---- */

void mesh__http1_stream_ready(struct connection *connection, uint32_t events)
{
    mesh_exchange *exchange = connection->http1.exchange;
    bool in = exchange->coming && !connection->http1.held;
    if (connection->out.size == 0 && !in && (events & LOOP_WRITE)) { /* nobody waits for that: it stands for an error */
        mesh__connection_close(connection);
        return;
    }
    if (in && (events & LOOP_READ))
        mesh__http1_side_read(connection);
    if (connection->state == CONNECTION_STREAMING)
        move(connection, connection->http1.exchange);
}

void mesh__http1_stream_timeout(struct connection *connection)
{
    mesh_exchange *exchange = connection->http1.exchange;
    mesh_nanos time = connection->server->settings->idle_timeout;
    mesh_nanos since = mesh__flow_reading_since(exchange);
    if (connection->out.size > 0) {
        mesh__connection_close(connection);
        return;
    }
    if (since != NANOS_NEVER && mesh__nanos_add(since, time) <= connection->server->own.loop.now)
        break_request(connection, MESH_DEADLINE);
    settle(connection);
}
