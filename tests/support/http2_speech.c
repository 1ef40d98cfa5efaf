/* SPDX-License-Identifier: Apache-2.0 */
/* http2_speech.c - http_script.h over HTTP/2: each request is a stream, and ends without the others. */
#include "support/http_connection.h"

#include "net/loop.h"
#include "wire/http2.h"

#include <stdlib.h>
#include <string.h>

#define AT_ONCE 65536 /* bytes of frames that are made before they are sent */

struct speech {
    struct http_connection *connection;
    struct http2_pool pool;
    struct http2_conn *conn;
    struct list requests;
    bool leaves;
};

struct request {
    struct list link;
    struct speech *speech;
    struct http2_stream *stream;
    struct script_exchange exchange;
    struct loop_timer timer; /* of a delayed answer */
    int part;                /* of a body in parts: the next one */
    bool spoils;             /* a head without a status is to be sent */
};

static void must(bool good, const char *what)
{
    http_connection_must(good, what);
}

static void request_free(struct request *request)
{
    mesh__loop_timer_cancel(http_connection_place(request->speech->connection)->loop, &request->timer);
    mesh__list_remove(&request->link);
    script_end(&request->exchange);
    free(request);
}

/* ---- answers ---- */

static enum body_next next_chunk(void *user, size_t most, struct view *bytes, struct http1_field_group *trailers)
{
    static const struct view chunks[] = { { "abc", 3 }, { "de", 2 }, { "f", 1 } };
    static const mesh_header trailer = { "x-trailer", 9, "1", 1 };
    struct request *request = user;
    must(most >= 3, "a smaller window than any");
    *bytes = chunks[request->part++];
    if (request->part < 3)
        return BODY_MORE;
    *trailers = (struct http1_field_group){ &trailer, 1 };
    return BODY_LAST;
}

static enum body_next next_of_half(void *user, size_t most, struct view *bytes, struct http1_field_group *trailers)
{
    struct request *request = user;
    (void)most;
    (void)trailers;
    *bytes = VIEW_LITERAL("four");
    return request->part++ == 0 ? BODY_MORE : BODY_BROKEN;
}

static void respond(struct request *request)
{
    const struct script_exchange *exchange = &request->exchange;
    const struct http1_field_group group = { exchange->headers, exchange->header_count };
    struct http2_response response = {
        .status = exchange->status, .groups = &group, .group_count = 1, .no_body = exchange->to_head
    };
    response.body.next_user = request;
    if (exchange->kind == SCRIPT_CHUNKED) {
        response.body.next = next_chunk;
        response.body.size = -1;
    } else if (exchange->kind == SCRIPT_PARTIAL) {
        response.body.next = next_of_half;
        response.body.size = 10;
    } else {
        response.body.bytes = exchange->answer;
    }
    must(mesh__http2_respond(request->stream, &response), "an answer");
}

static void reset(struct request *request, enum http2_code code)
{
    mesh__http2_reset(request->stream, code);
    request_free(request);
}

static void answer(struct request *request)
{
    struct speech *speech = request->speech;
    switch (request->exchange.kind) {
    case SCRIPT_NEVER:
        break;
    case SCRIPT_CLOSE:
        reset(request, HTTP2_CANCEL);
        break;
    case SCRIPT_RESET:
        reset(request, HTTP2_INTERNAL_ERROR);
        break;
    case SCRIPT_REFUSE:
        reset(request, HTTP2_REFUSED_STREAM);
        break;
    case SCRIPT_HTTP1:
        reset(request, HTTP2_HTTP_1_1_REQUIRED);
        break;
    case SCRIPT_CUT:
        http_connection_end(speech->connection, HTTP_FINISHES);
        break;
    case SCRIPT_GARBAGE:
        request->spoils = true;
        break;
    case SCRIPT_LEAVE:
        speech->leaves = true;
        mesh__http2_drain(speech->conn);
        respond(request);
        break;
    default:
        respond(request);
    }
}

static void on_delay(struct loop_timer *timer)
{
    struct request *request = CONTAINER_OF(timer, struct request, timer);
    struct http_connection *connection = request->speech->connection;
    answer(request);
    http_connection_flush(connection);
}

/* ---- what the codec tells ---- */

static bool on_head(void *user, struct http2_stream *stream, const struct http1_head *head)
{
    struct speech *speech = user;
    struct request *request = calloc(1, sizeof(*request));
    must(request != NULL, "memory is out");
    request->speech = speech;
    request->stream = stream;
    request->timer.fire = on_delay;
    script_begin(&request->exchange);
    script_head(&request->exchange, head);
    mesh__http2_set_stream_user(stream, request);
    mesh__list_push(&speech->requests, &request->link);
    return true;
}

static bool on_body(void *user, struct http2_stream *stream, struct view bytes)
{
    struct request *request = mesh__http2_stream_user(stream);
    (void)user;
    script_body(&request->exchange, bytes);
    mesh__http2_consume(stream, bytes.size);
    return true;
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
    struct speech *speech = user;
    struct request *request = mesh__http2_stream_user(stream);
    const struct http_place *place = http_connection_place(speech->connection);
    script_answer(place->script, place->endpoint, http_connection_count(speech->connection), &request->exchange);
    if (request->exchange.delay == 0)
        answer(request);
    else
        must(mesh__loop_timer_set(place->loop, &request->timer, place->loop->now + request->exchange.delay), "a timer");
    return true;
}

static void on_refused(void *user, struct http2_stream *stream, mesh_status status)
{
    (void)user;
    (void)stream;
    (void)status;
    must(false, "a client of the tests passes a limit");
}

static void on_closed(void *user, struct http2_stream *stream, const struct http2_closed *closed)
{
    struct speech *speech = user;
    struct request *request = mesh__http2_stream_user(stream);
    (void)closed;
    must(request != NULL, "a client of the tests sends what is no HTTP");
    if (request->exchange.kind == SCRIPT_STALE)
        http_connection_end(speech->connection, HTTP_FINISHES);
    request_free(request);
}

static void on_settings(void *user, uint32_t max_streams)
{
    (void)user;
    (void)max_streams;
}

static void on_goaway(void *user, const struct http2_goaway *goaway)
{
    (void)user;
    must(goaway->code == HTTP2_NO_ERROR, "the client goes away for an error");
}

static void on_pong(void *user)
{
    (void)user;
}

static const struct http2_events events = { on_head,   on_body,     on_trailers, on_end, on_refused,
                                            on_closed, on_settings, on_goaway,   on_pong };

/* ---- the connection's side ---- */

static void *open_speech(struct http_connection *connection)
{
    static const struct http2_config config = { .role = HTTP2_SERVER,
                                                .limits = { 60 << 10, 1000, SCRIPT_BODY_MAX },
                                                .max_streams = 100 };
    struct speech *speech = calloc(1, sizeof(*speech));
    must(speech != NULL, "memory is out");
    speech->connection = connection;
    mesh__list_init(&speech->requests);
    mesh__http2_pool_init(&speech->pool, &mesh__mem_system, 1 << 20);
    speech->conn = mesh__http2_new(&speech->pool, &config, &events, speech);
    must(speech->conn != NULL, "memory is out");
    return speech;
}

static void read_bytes(void *state, const char *bytes, size_t size)
{
    struct speech *speech = state;
    if (mesh__http2_read(speech->conn, bytes, size) != MESH_OK)
        must(false, mesh__http2_reason(speech->conn));
}

/* A head without a status; behind whole frames only, and no state of the codec takes part in it. */
static void spoil(struct speech *speech, struct buf *out)
{
    for (struct list *node = speech->requests.next; node != &speech->requests; node = node->next) {
        struct request *request = CONTAINER_OF(node, struct request, link);
        if (!request->spoils)
            continue;
        int32_t id = mesh__http2_stream_id(request->stream);
        const char frame[] = { 0,
                               0,
                               5,
                               1 /* HEADERS */,
                               5 /* END_STREAM, END_HEADERS */,
                               (char)(id >> 24),
                               (char)(id >> 16),
                               (char)(id >> 8),
                               (char)id,
                               0 /* a literal */,
                               1,
                               'x',
                               1,
                               'y' };
        request->spoils = false;
        must(mesh__buf_append(out, frame, sizeof(frame)), "a frame");
    }
}

static bool fill(void *state, struct buf *out)
{
    struct speech *speech = state;
    (void)mesh__http2_write(speech->conn, out, AT_ONCE);
    if (mesh__http2_wants_write(speech->conn))
        return true;
    spoil(speech, out);
    if (speech->leaves && mesh__http2_done(speech->conn))
        http_connection_end(speech->connection, HTTP_FINISHES);
    return false;
}

static void close_speech(void *state)
{
    struct speech *speech = state;
    mesh__http2_free(speech->conn);
    while (!mesh__list_empty(&speech->requests))
        request_free(CONTAINER_OF(speech->requests.next, struct request, link));
    mesh__http2_pool_fini(&speech->pool);
    free(speech);
}

const struct http_speech http2_speech = { "h2", open_speech, read_bytes, fill, close_speech };
