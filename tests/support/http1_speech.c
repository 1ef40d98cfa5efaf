/* SPDX-License-Identifier: Apache-2.0 */
/* http1_speech.c - http_script.h over HTTP/1.1: requests come one at a time. */
#include "support/http_connection.h"

#include "net/loop.h"

#include <stdio.h>
#include <stdlib.h>

struct speech {
    struct http_connection *connection;
    struct http1_reader *reader;
    struct script_exchange exchange;
    struct loop_timer timer; /* of a delayed answer */
};

static bool on_head(void *user, const struct http1_head *head)
{
    script_head(&((struct speech *)user)->exchange, head);
    return true;
}

static bool on_body(void *user, struct view bytes)
{
    script_body(&((struct speech *)user)->exchange, bytes);
    return true;
}

static bool on_end(void *user, bool keep_alive)
{
    (void)user;
    (void)keep_alive;
    return true;
}

static const struct http1_events events = { .head = on_head, .body = on_body, .end = on_end };

static void expect_next(struct speech *speech)
{
    static const struct http1_limits limits = { 1 << 20, 1000, SCRIPT_BODY_MAX };
    script_begin(&speech->exchange);
    mesh__http1_reader_next(speech->reader, &limits, false);
}

static void put_whole(struct script_exchange *exchange, struct buf *out)
{
    bool has_body = exchange->status != 204 && exchange->status != 304 && !exchange->to_head;
    bool ok = mesh__http1_write_response(out, exchange->status, exchange->headers, exchange->header_count,
                                         exchange->answer.size, NULL, false) &&
              (!has_body || mesh__buf_append_view(out, exchange->answer));
    http_connection_must(ok, "an answer");
}

/* Answers, and expects the next request. */
static void answer(struct speech *speech)
{
    static const struct {
        const char *bytes; /* NULL: the whole answer */
        enum http_end end;
    } rows[] = {
        [SCRIPT_WHOLE] = { NULL, HTTP_STAYS },
        [SCRIPT_CHUNKED] = { "HTTP/1.1 200 OK\r\ntransfer-encoding: "
                             "chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n1\r\nf\r\n0\r\n"
                             "x-trailer: 1\r\n\r\n",
                             HTTP_STAYS },
        [SCRIPT_PARTIAL] = { "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfour", HTTP_FINISHES },
        [SCRIPT_GARBAGE] = { "this is no HTTP\r\n\r\n", HTTP_FINISHES },
        [SCRIPT_NEVER] = { "", HTTP_STAYS },
        [SCRIPT_CLOSE] = { "", HTTP_FINISHES },
        [SCRIPT_RESET] = { "", HTTP_IS_CUT },
        [SCRIPT_CUT] = { "", HTTP_FINISHES },
        [SCRIPT_STALE] = { NULL, HTTP_FINISHES },
        [SCRIPT_REFUSE] = { NULL, HTTP_STAYS },
        [SCRIPT_LEAVE] = { NULL, HTTP_STAYS },
        [SCRIPT_HTTP1] = { NULL, HTTP_STAYS },
    };
    struct script_exchange *exchange = &speech->exchange;
    struct buf *out = http_connection_out(speech->connection);
    if (exchange->kind == SCRIPT_REFUSE || exchange->kind == SCRIPT_LEAVE)
        exchange->status = 400;
    if (rows[exchange->kind].bytes)
        http_connection_must(mesh__buf_append_text(out, rows[exchange->kind].bytes), "an answer");
    else
        put_whole(exchange, out);
    http_connection_end(speech->connection, rows[exchange->kind].end);
    script_end(exchange);
    expect_next(speech);
}

static void on_delay(struct loop_timer *timer)
{
    struct speech *speech = CONTAINER_OF(timer, struct speech, timer);
    answer(speech);
    http_connection_flush(speech->connection);
}

static void on_request(struct speech *speech)
{
    const struct http_place *place = http_connection_place(speech->connection);
    script_answer(place->script, place->endpoint, http_connection_count(speech->connection), &speech->exchange);
    if (speech->exchange.delay == 0)
        answer(speech);
    else
        http_connection_must(
            mesh__loop_timer_set(place->loop, &speech->timer, place->loop->now + speech->exchange.delay), "a timer");
}

static void *open_speech(struct http_connection *connection)
{
    struct speech *speech = calloc(1, sizeof(*speech));
    http_connection_must(speech != NULL, "memory is out");
    speech->connection = connection;
    speech->timer.fire = on_delay;
    speech->reader = mesh__http1_reader_new(&mesh__mem_system, HTTP1_REQUESTS, &events, speech);
    http_connection_must(speech->reader != NULL, "memory is out");
    expect_next(speech);
    return speech;
}

static void read_bytes(void *state, const char *bytes, size_t size)
{
    struct speech *speech = state;
    while (size > 0) {
        http_connection_must(speech->timer.timer.place == 0, "a request before the answer to the one before it");
        struct http1_progress progress = mesh__http1_read(speech->reader, bytes, size);
        http_connection_must(progress.status == MESH_OK, progress.reason);
        bytes += progress.used;
        size -= progress.used;
        if (!progress.ended)
            return;
        on_request(speech);
    }
}

static bool fill(void *state, struct buf *out)
{
    (void)state;
    (void)out;
    return false; /* answers are put where they are made */
}

static void close_speech(void *state)
{
    struct speech *speech = state;
    mesh__loop_timer_cancel(http_connection_place(speech->connection)->loop, &speech->timer);
    mesh__http1_reader_free(speech->reader);
    script_end(&speech->exchange);
    free(speech);
}

const struct http_speech http1_speech = { "http/1.1", open_speech, read_bytes, fill, close_speech };
