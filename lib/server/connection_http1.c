/* SPDX-License-Identifier: Apache-2.0 */
/* connection_http1.c - HTTP/1.1: requests in, answers out, one at a time; and, while it is not known what the peer
 * speaks, whether the first bytes are HTTP/2's preface. */
#include "server/access.h"
#include "server/connection.h"
#include "server/reply.h"
#include "server/workers.h"

#include <errno.h>

#define OUT_MAX (SIZE_MAX / 2)
#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" /* of HTTP/2, with prior knowledge */
#define PREFACE_SIZE (sizeof(PREFACE) - 1)
#define CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"

static void become_idle(struct connection *connection)
{
    const struct server_config *settings = connection->server->settings;
    struct http1_limits limits = { settings->max_header, settings->max_headers, settings->max_body };
    connection->state = CONNECTION_IDLE;
    mesh__http1_reader_next(connection->http1.reader, &limits, false);
    mesh__stream_arm(connection->stream, LOOP_READ);
    mesh__connection_wait(connection, mesh__connection_idle_time(connection));
}

/* The last answer is out. */
static void finish(struct connection *connection)
{
    const struct connection_http1 *http1 = &connection->http1;
    if (http1->linger || http1->in_at < http1->in.size || !mesh__connection_is_silent(connection))
        mesh__connection_linger(connection);
    else
        mesh__connection_close(connection);
}

static void write_more(struct connection *connection)
{
    int done = mesh__connection_write(connection);
    if (done < 0) {
        mesh__connection_close(connection);
    } else if (done == 0) {
        mesh__stream_arm(connection->stream, LOOP_WRITE);
        mesh__connection_wait(connection, connection->server->settings->idle_timeout);
    } else if (connection->http1.close_after) {
        finish(connection);
    } else {
        become_idle(connection);
    }
}

/* Sends the reply and frees the exchange. */
static void answer(struct connection *connection, mesh_exchange *exchange)
{
    connection->http1.exchange = NULL;
    connection->state = CONNECTION_WRITING;
    connection->http1.close_after |= exchange->close || connection->server->own.draining;
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
    mesh_exchange *exchange = connection->http1.exchange;
    mesh__connection_wait(connection, 0);
    connection->http1.close_after = connection->http1.linger = true;
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
    char text[REFUSAL_TEXT_MAX];
    mesh__connection_log_refusal(connection, status, reason, text);
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
        if (connection->http1.refusal == 417)
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
    mesh_exchange *exchange = mesh__exchange_new(connection->server, connection, NULL, connection->peer, head);
    connection->http1.exchange = exchange;
    if (exchange == NULL || !mesh__access_judge(exchange, &exchange->denied))
        return false;
    if (exchange->denied || expect == NULL || head->minor == 0) /* RFC 9110 10.1.1: of HTTP/1.0 it is ignored */
        return true;
    if (!mesh__view_equal_nocase(mesh__view(expect->value, expect->value_size), VIEW_LITERAL("100-continue"))) {
        connection->http1.refusal = 417;
        return false;
    }
    connection->http1.expects_continue = head->content_length != 0;
    return true;
}

static bool on_body(void *user, struct view bytes)
{
    struct connection *connection = user;
    connection->http1.expects_continue = false; /* it did not wait */
    return connection->http1.exchange->denied || mesh__buf_append_view(&connection->http1.exchange->body, bytes);
}

static bool on_end(void *user, bool keep_alive)
{
    struct connection *connection = user;
    connection->http1.exchange->close = !keep_alive;
    return true;
}

struct http1_reader *mesh__http1_side_reader(struct connection *connection)
{
    static const struct http1_events events = { .head = on_head, .body = on_body, .end = on_end };
    return mesh__http1_reader_new(&connection->server->mem, HTTP1_REQUESTS, &events, connection);
}

/* The request is complete. */
static void serve(struct connection *connection)
{
    mesh_server *server = connection->server;
    mesh_exchange *exchange = connection->http1.exchange;
    connection->state = CONNECTION_SERVING;
    connection->http1.expects_continue = false;
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
    if (connection->state == CONNECTION_IDLE && mesh__http1_reader_started(connection->http1.reader)) {
        connection->state = CONNECTION_READING;
        mesh__connection_wait(connection, connection->server->settings->request_timeout);
    }
    if (connection->state == CONNECTION_IDLE && connection->server->own.draining) {
        mesh__connection_close(connection); /* an empty line is no request */
        return;
    }
    if (connection->http1.exchange != NULL && connection->http1.exchange->denied) {
        cut_short(connection, 403, MESH_DENIED, ACCESS_DENIED_TEXT); /* its body is not waited for */
        return;
    }
    if (!connection->http1.expects_continue)
        return;
    connection->http1.expects_continue = false;
    if (!mesh__buf_append_text(&connection->out, CONTINUE) || mesh__connection_write(connection) < 0)
        mesh__connection_close(connection); /* a full socket is no failure: the rest goes out before the answer */
}

static bool is_reading(const struct connection *connection)
{
    return connection->state == CONNECTION_IDLE || connection->state == CONNECTION_READING;
}

/* Takes bytes while requests are answered at once; the number of those taken. */
static size_t take(struct connection *connection, const char *bytes, size_t size)
{
    size_t used = 0;
    while (used < size && is_reading(connection)) {
        struct http1_progress progress = mesh__http1_read(connection->http1.reader, bytes + used, size - used);
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

/* The same while it is not known what the peer speaks. Bytes that are the preface's so far are not kept: they are known
 * by their number. */
static size_t take_first(struct connection *connection, const char *bytes, size_t size)
{
    size_t before = connection->preface_size, at = 0;
    while (at < size && before + at < PREFACE_SIZE && bytes[at] == PREFACE[before + at])
        at++;
    connection->preface_size = before + at;
    if (connection->preface_size == PREFACE_SIZE) {
        connection->undecided = false;
        mesh__http2_side_begin(connection, PREFACE, PREFACE_SIZE);
        mesh__http2_side_take(connection, bytes + at, size - at);
        mesh__http2_side_ready(connection, LOOP_READ); /* what only the stream has */
        return size;
    }
    if (at == size) {
        if (connection->state == CONNECTION_IDLE)
            mesh__connection_wait(connection, connection->server->settings->request_timeout);
        connection->state = CONNECTION_READING;
        return size;
    }
    connection->undecided = false;
    (void)take(connection, PREFACE, before); /* no request ends in there */
    return take(connection, bytes, size);
}

static size_t consume(struct connection *connection, const char *bytes, size_t size)
{
    return connection->undecided ? take_first(connection, bytes, size) : take(connection, bytes, size);
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
            !mesh__buf_append(&connection->http1.in, scratch + used, (size_t)got - used))
            mesh__connection_close(connection);
    } while (is_reading(connection) && stream->ops->has_buffered_input(stream));
}

/* Goes on with bytes that were read behind an earlier request, then with those that only the stream has. */
static void resume(struct connection *connection)
{
    size_t left = connection->http1.in.size - connection->http1.in_at;
    if (left > 0 && is_reading(connection)) {
        connection->http1.in_at += consume(connection, connection->http1.in.data + connection->http1.in_at, left);
        if (connection->http1.in_at == connection->http1.in.size) {
            mesh__buf_fini(&connection->http1.in);
            connection->http1.in_at = 0;
        }
    }
    if (is_reading(connection) && connection->stream->ops->has_buffered_input(connection->stream))
        read_more(connection);
}

void mesh__http1_side_begin(struct connection *connection, bool undecided)
{
    connection->undecided = undecided;
    become_idle(connection);
    resume(connection);
    if (connection->server->own.draining)
        mesh__connection_drain(connection);
}

void mesh__http1_side_ready(struct connection *connection, uint32_t events)
{
    switch (connection->state) {
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
    default:
        break;
    }
}

void mesh__http1_side_timeout(struct connection *connection)
{
    refuse(connection, 408, MESH_DEADLINE, "the request took longer than request_timeout");
}

void mesh__http1_side_answer(struct connection *connection, mesh_exchange *exchange)
{
    answer(connection, exchange);
    resume(connection);
}
