/* SPDX-License-Identifier: Apache-2.0 */
/* http_connection.c - the stream's side: hands are shaken, bytes come and go, the protocol shows. */
#include "support/http_connection.h"

#include "net/tls_stream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFACE "PRI"

struct http_connection {
    const struct http_place *place;
    struct stream *stream;
    const struct http_speech *speech; /* NULL: not known yet */
    void *state;                      /* of the speech */
    char first[sizeof(PREFACE) - 1];  /* bytes, until it is known */
    size_t first_size;
    unsigned count;
    struct buf out;
    enum http_end end;
    bool open;
};

void http_connection_must(bool good, const char *what)
{
    if (good)
        return;
    (void)fprintf(stderr, "http_peer: %s\n", what);
    abort();
}

const struct http_place *http_connection_place(const struct http_connection *connection)
{
    return connection->place;
}

unsigned http_connection_count(struct http_connection *connection)
{
    return ++connection->count;
}

struct buf *http_connection_out(struct http_connection *connection)
{
    return &connection->out;
}

void http_connection_end(struct http_connection *connection, enum http_end end)
{
    connection->end = end;
}

void http_connection_free(struct http_connection *connection)
{
    connection->stream->ops->close(connection->stream);
    if (connection->speech)
        connection->speech->close(connection->state);
    script_disconnect(connection->place->script, connection->place->endpoint);
    mesh__buf_fini(&connection->out);
    free(connection);
}

static void end(struct http_connection *connection)
{
    const struct http_place *place = connection->place;
    http_connection_free(connection);
    place->gone(place->user);
}

/* Writes what is in `out`: 1 when that was all, 0 when the stream takes no more now, else a negative errno. */
static int write_out(struct http_connection *connection)
{
    struct buf *out = &connection->out;
    while (out->size > 0) {
        struct iovec piece = { out->data, out->size };
        ssize_t put = connection->stream->ops->write(connection->stream, &piece, 1);
        if (put < 0)
            return put == -EAGAIN ? 0 : (int)put;
        mesh__buf_consume(out, (size_t)put);
    }
    return 1;
}

void http_connection_flush(struct http_connection *connection)
{
    bool more = true;
    int written = 1;
    while (written == 1 && more) {
        more = connection->speech && connection->speech->fill(connection->state, &connection->out);
        written = write_out(connection);
    }
    if (connection->end == HTTP_IS_CUT)
        connection->place->cut(connection->place->user);
    if (written < 0 || connection->end == HTTP_IS_CUT || (written == 1 && connection->end == HTTP_FINISHES))
        end(connection);
    else
        mesh__stream_arm(connection->stream, written == 1 ? LOOP_READ : LOOP_READ | LOOP_WRITE);
}

/* What was chosen by ALPN, where that was, is what is spoken. */
static void begin(struct http_connection *connection, const struct http_speech *speech)
{
    struct tls_state tls;
    if (mesh__tls_stream_state(connection->stream, &tls))
        http_connection_must(tls.report && strcmp(tls.report->alpn, speech->alpn) == 0, "another protocol than ALPN's");
    connection->speech = speech;
    connection->state = speech->open(connection);
    speech->read(connection->state, connection->first, connection->first_size);
}

static void take(struct http_connection *connection, const char *bytes, size_t size)
{
    while (connection->speech == NULL && size > 0) {
        connection->first[connection->first_size++] = *bytes++;
        size--;
        bool alike = memcmp(connection->first, PREFACE, connection->first_size) == 0;
        if (!alike || connection->first_size == sizeof(connection->first))
            begin(connection, alike ? &http2_speech : &http1_speech);
    }
    if (size > 0)
        connection->speech->read(connection->state, bytes, size);
}

/* Whether it is connected, and hands are shaken; it may be gone when not. */
static bool is_open(struct http_connection *connection)
{
    struct stream *stream = connection->stream;
    int error = connection->open ? 0 : stream->ops->connected(stream);
    if (error == -EINPROGRESS)
        mesh__stream_arm(stream, LOOP_READ | LOOP_WRITE);
    else if (error)
        end(connection);
    else
        connection->open = true;
    return error == 0;
}

static void on_ready(void *user, uint32_t events)
{
    struct http_connection *connection = user;
    struct stream *stream = connection->stream;
    char bytes[16384];
    ssize_t got;
    (void)events;
    if (!is_open(connection))
        return;
    while ((got = stream->ops->read(stream, bytes, sizeof(bytes))) > 0)
        take(connection, bytes, (size_t)got);
    if (got != -EAGAIN)
        end(connection);
    else
        http_connection_flush(connection);
}

struct http_connection *http_connection_new(const struct http_place *place, struct stream *stream)
{
    struct http_connection *connection = calloc(1, sizeof(*connection));
    http_connection_must(connection != NULL, "memory is out");
    connection->place = place;
    connection->stream = stream;
    mesh__buf_init(&connection->out, &mesh__mem_system, SIZE_MAX / 2);
    stream->ready = on_ready;
    stream->user = connection;
    script_connect(place->script, place->endpoint);
    mesh__stream_arm(stream, LOOP_READ);
    return connection;
}
