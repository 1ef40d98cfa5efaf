/* SPDX-License-Identifier: Apache-2.0 */
/* connection_http1.c - HTTP/1.1: requests in, answers out, one at a time; and, while it is not known what the peer
 * speaks, whether the first bytes are HTTP/2's preface. */
#include "server/connection_http1.h"
#include "server/access.h"
#include "server/reply.h"

#include <errno.h>

#define OUT_MAX (SIZE_MAX / 2)
#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" /* of HTTP/2, with prior knowledge */
#define TOO_MANY_TEXT "too many requests wait\n"
#define PREFACE_SIZE (sizeof(PREFACE) - 1)

static void become_idle(struct connection *connection)
{
    struct http1_limits limits = mesh__connection_limits(connection);
    connection->state = CONNECTION_IDLE;
    connection->http1.whole = connection->http1.held = false;
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

void mesh__http1_side_write(struct connection *connection)
{
    int done = mesh__connection_write(connection);
    if (done < 0) {
        mesh__connection_close(connection);
    } else if (done == 0) {
        mesh__stream_arm(connection->stream, LOOP_WRITE);
        mesh__connection_wait(connection, connection->server->settings->idle_timeout);
    } else if (connection->http1.close_after) {
        connection->http1.open_ended = false;
        finish(connection);
    } else {
        become_idle(connection);
    }
}

/* Sends the reply and lets go of the exchange. */
static void answer(struct connection *connection, mesh_exchange *exchange)
{
    connection->http1.exchange = NULL;
    connection->state = CONNECTION_WRITING;
    connection->http1.close_after |= exchange->close || exchange->coming || connection->server->own.draining;
    connection->http1.linger |= exchange->coming;
    mesh__exchange_report(exchange, exchange->outcome, exchange->status, exchange->answered);
    bool sent = exchange->reply.size > 0;
    if (connection->out.size == 0) {
        mesh__buf_fini(&connection->out);
        connection->out = exchange->reply;
        mesh__buf_init(&exchange->reply, connection->out.mem, OUT_MAX);
    } else {
        sent = sent && mesh__buf_append(&connection->out, exchange->reply.data, exchange->reply.size);
    }
    mesh__exchange_unref(exchange);
    if (sent)
        mesh__http1_side_write(connection);
    else
        mesh__connection_close(connection);
}

static void answer_own(struct connection *connection, mesh_exchange *exchange, int32_t status, mesh_status outcome,
                       const char *text)
{
    mesh__reply_own(exchange, status, outcome, text);
    exchange->returned = true; /* nobody else has it */
    answer(connection, exchange);
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
        answer_own(connection, exchange, status, outcome, text);
        return;
    }
    connection->state = CONNECTION_WRITING;
    if (mesh__reply_refusal(&connection->out, server->own.loop.world, status, text))
        mesh__http1_side_write(connection);
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
    exchange->in_pieces = connection->server->streams && head->content_length != 0 && !exchange->denied;
    if (exchange->denied || expect == NULL || head->minor == 0) /* RFC 9110 10.1.1: of HTTP/1.0 it is ignored */
        return true;
    if (!mesh__view_equal_nocase(mesh__view(expect->value, expect->value_size), VIEW_LITERAL("100-continue"))) {
        connection->http1.refusal = 417;
        return false;
    }
    connection->http1.expects_continue = head->content_length != 0 && !exchange->in_pieces;
    exchange->flow.expects_continue = exchange->in_pieces;
    return true;
}

static bool on_body(void *user, struct view bytes)
{
    struct connection *connection = user;
    mesh_exchange *exchange = connection->http1.exchange;
    connection->http1.expects_continue = false; /* it did not wait */
    if (exchange->in_pieces)
        return mesh__flow_put(exchange, bytes);
    return exchange->denied || mesh__buf_append_view(&exchange->body, bytes);
}

static bool on_trailers(void *user, const mesh_header *headers, size_t count)
{
    struct connection *connection = user;
    return mesh__flow_copy(&connection->server->mem, headers, count, &connection->http1.exchange->flow.trailers);
}

static bool on_end(void *user, bool keep_alive)
{
    struct connection *connection = user;
    (void)keep_alive; /* the head has said it */
    connection->http1.exchange->coming = false;
    mesh__flow_end(connection->http1.exchange, MESH_OK);
    return true;
}

struct http1_reader *mesh__http1_side_reader(struct connection *connection)
{
    static const struct http1_events events = {
        .head = on_head, .body = on_body, .trailers = on_trailers, .end = on_end
    };
    return mesh__http1_reader_new(&connection->server->mem, HTTP1_REQUESTS, &events, connection);
}

/* The request is complete. */
static void serve(struct connection *connection)
{
    mesh_exchange *exchange = connection->http1.exchange;
    connection->state = CONNECTION_SERVING;
    connection->http1.expects_continue = false;
    mesh__connection_wait(connection, 0);
    if (exchange->denied)
        answer_own(connection, exchange, 403, MESH_DENIED, ACCESS_DENIED_TEXT);
    else if (!mesh__connection_hand_over(exchange))
        answer_own(connection, exchange, 503, MESH_OVERLOADED, TOO_MANY_TEXT);
}

/* Its body comes, and is read in pieces. */
static void serve_early(struct connection *connection)
{
    connection->state = CONNECTION_STREAMING;
    if (mesh__connection_hand_over(connection->http1.exchange))
        mesh__http1_stream_read(connection, NULL);
    else
        cut_short(connection, 503, MESH_OVERLOADED, TOO_MANY_TEXT);
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
    if (!mesh__buf_append_text(&connection->out, HTTP1_CONTINUE) || mesh__connection_write(connection) < 0)
        mesh__connection_close(connection); /* a full socket is no failure: the rest goes out before the answer */
}

static bool is_reading(const struct connection *connection)
{
    const mesh_exchange *exchange = connection->http1.exchange;
    return connection->state == CONNECTION_IDLE || connection->state == CONNECTION_READING ||
           (connection->state == CONNECTION_STREAMING && exchange->coming);
}

/* A handler that does not read is not sent more. */
static bool wants_input(const struct connection *connection)
{
    return is_reading(connection) && !(connection->state == CONNECTION_STREAMING && connection->http1.held);
}

/* Takes bytes while requests are answered at once; the number of those taken. */
static size_t take(struct connection *connection, const char *bytes, size_t size)
{
    size_t used = 0;
    while (used < size && is_reading(connection)) {
        struct http1_progress progress = mesh__http1_read(connection->http1.reader, bytes + used, size - used);
        used += progress.used;
        const mesh_exchange *exchange = connection->http1.exchange;
        if (connection->state == CONNECTION_STREAMING)
            mesh__http1_stream_read(connection, &progress);
        else if (progress.status != MESH_OK)
            refuse_read(connection, &progress);
        else if (progress.ended)
            serve(connection);
        else if (exchange != NULL && exchange->in_pieces)
            serve_early(connection);
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

void mesh__http1_side_read(struct connection *connection)
{
    struct stream *stream = connection->stream;
    char *scratch = connection->server->own.loop.scratch;
    for (int i = 0; i < READS_PER_TURN; i++) {
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
        if (!wants_input(connection) || !stream->ops->has_buffered_input(stream))
            return;
    }
    mesh__connection_again(connection);
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
    if (wants_input(connection) && connection->stream->ops->has_buffered_input(connection->stream))
        mesh__http1_side_read(connection);
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
        mesh__http1_side_read(connection);
        break;
    case CONNECTION_SERVING:
        if (events & LOOP_WRITE) /* nobody waits for that: it stands for an error */
            mesh__connection_close(connection);
        else
            mesh__stream_arm(connection->stream, 0);
        break;
    case CONNECTION_STREAMING:
        mesh__http1_stream_ready(connection, events);
        resume(connection);
        break;
    case CONNECTION_WRITING:
        mesh__http1_side_write(connection);
        resume(connection);
        break;
    default:
        break;
    }
}

void mesh__http1_side_timeout(struct connection *connection)
{
    if (connection->state == CONNECTION_STREAMING)
        mesh__http1_stream_timeout(connection);
    else
        refuse(connection, 408, MESH_DEADLINE, "the request took longer than request_timeout");
}

void mesh__http1_side_follow(struct connection *connection, mesh_exchange *exchange, uint32_t posts)
{
    if (exchange->returned && !mesh__exchange_answers_in_pieces(exchange))
        answer(connection, exchange);
    else
        mesh__http1_stream_follow(connection, exchange, posts);
    if (!exchange->returned)
        mesh__flow_tell(exchange);
    resume(connection);
}
