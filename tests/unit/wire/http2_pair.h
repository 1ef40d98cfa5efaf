/* SPDX-License-Identifier: Apache-2.0 */
/* http2_pair.h - HTTP/2 connections for tests: one writes down its events as text, two talk to each other in memory,
 * and frames can be made by hand.
 *
 * Events read "1 head 200 len=5 [a: b]", "1 head GET http path@authority ..", "1 {hello}", "1 trailers [a: b]",
 * "1 end", "1 refused NAME", "1 closed NAME code ..", "settings 100", "goaway 3 0 text", "pong", one a line.
 */
#ifndef MESH__TESTS_HTTP2_PAIR_H
#define MESH__TESTS_HTTP2_PAIR_H

#include "base/status.h"
#include "wire/http2.h"

#include <stdint.h>
#include <stdlib.h>

struct peer {
    struct http2_pool pool;
    struct http2_conn *conn;
    struct buf log;
    struct buf out;            /* written and not yet taken by the other one */
    struct http2_stream *last; /* the one that head or refused was told of last; NULL once it is closed */
    bool hold;                 /* body events are not consumed */
    bool quiet;                /* body events are counted only */
    bool (*on_head)(struct peer *, struct http2_stream *, const struct http1_head *);
    void (*on_end)(struct peer *, struct http2_stream *);
    uint64_t received;
    uint32_t ended, closed;
    struct http2_closed last_closed;
    size_t refuse_body; /* that many body events are taken; 0: all */
};

static const struct http1_limits peer_limits = { 4096, 16, 1 << 20 };

static inline void peer_log_fields(struct peer *peer, const mesh_header *headers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        mesh__buf_printf(&peer->log, " [%.*s: %.*s]", (int)headers[i].name_size, headers[i].name,
                         (int)headers[i].value_size, headers[i].value);
    mesh__buf_append_char(&peer->log, '\n');
}

static inline bool peer_head(void *user, struct http2_stream *stream, const struct http1_head *head)
{
    struct peer *peer = user;
    mesh__buf_printf(&peer->log, "%d head ", mesh__http2_stream_id(stream));
    if (head->status != 0)
        mesh__buf_printf(&peer->log, "%d", head->status);
    else
        mesh__buf_printf(&peer->log, "%.*s %.*s@%.*s", (int)head->method.size, head->method.data, (int)head->path.size,
                         head->path.data, (int)head->authority.size, head->authority.data);
    mesh__buf_printf(&peer->log, " len=%lld", (long long)head->content_length);
    peer_log_fields(peer, head->headers, head->header_count);
    peer->last = stream;
    return peer->on_head == NULL || peer->on_head(peer, stream, head);
}

static inline bool peer_body(void *user, struct http2_stream *stream, struct view bytes)
{
    struct peer *peer = user;
    peer->received += bytes.size;
    if (!peer->quiet)
        mesh__buf_printf(&peer->log, "%d {%.*s}\n", mesh__http2_stream_id(stream), (int)bytes.size, bytes.data);
    if (!peer->hold)
        mesh__http2_consume(stream, bytes.size);
    return peer->refuse_body == 0 || --peer->refuse_body > 0;
}

static inline bool peer_trailers(void *user, struct http2_stream *stream, const mesh_header *headers, size_t count)
{
    struct peer *peer = user;
    mesh__buf_printf(&peer->log, "%d trailers", mesh__http2_stream_id(stream));
    peer_log_fields(peer, headers, count);
    return true;
}

static inline bool peer_end(void *user, struct http2_stream *stream)
{
    struct peer *peer = user;
    peer->ended++;
    if (!peer->quiet)
        mesh__buf_printf(&peer->log, "%d end\n", mesh__http2_stream_id(stream));
    if (peer->on_end != NULL)
        peer->on_end(peer, stream);
    return true;
}

static inline void peer_refused(void *user, struct http2_stream *stream, mesh_status status)
{
    struct peer *peer = user;
    peer->last = stream;
    mesh__buf_printf(&peer->log, "%d refused %s\n", mesh__http2_stream_id(stream), mesh__status_row(status)->name);
}

static inline void peer_closed(void *user, struct http2_stream *stream, const struct http2_closed *closed)
{
    struct peer *peer = user;
    peer->closed++;
    peer->last_closed = *closed;
    if (stream == peer->last)
        peer->last = NULL;
    if (peer->quiet && closed->status == MESH_OK)
        return;
    mesh__buf_printf(&peer->log, "%d closed %s %s%s%s%s\n", mesh__http2_stream_id(stream),
                     mesh__status_row(closed->status)->name, mesh__http2_code_name(closed->code),
                     closed->by_peer ? " by-peer" : "", closed->unprocessed ? " unprocessed" : "",
                     closed->http1_required ? " http1" : "");
}

static inline void peer_settings(void *user, uint32_t max_streams)
{
    struct peer *peer = user;
    mesh__buf_printf(&peer->log, "settings %u\n", max_streams);
}

static inline void peer_goaway(void *user, const struct http2_goaway *goaway)
{
    struct peer *peer = user;
    mesh__buf_printf(&peer->log, "goaway %d %s %.*s\n", goaway->last, mesh__http2_code_name(goaway->code),
                     (int)goaway->debug.size, goaway->debug.data);
}

static inline void peer_pong(void *user)
{
    struct peer *peer = user;
    mesh__buf_append_text(&peer->log, "pong\n");
}

static const struct http2_events peer_events = { peer_head,   peer_body,     peer_trailers, peer_end, peer_refused,
                                                 peer_closed, peer_settings, peer_goaway,   peer_pong };

/* False when memory is out. */
static inline bool peer_open_with(struct peer *peer, const struct mem *mem, const struct http2_config *config)
{
    *peer = (struct peer){ 0 };
    mesh__http2_pool_init(&peer->pool, mem, 1 << 20);
    mesh__buf_init(&peer->log, &mesh__mem_system, 1 << 24);
    mesh__buf_init(&peer->out, mem, 1 << 24);
    peer->conn = mesh__http2_new(&peer->pool, config, &peer_events, peer);
    return peer->conn != NULL;
}

static inline void peer_open(struct peer *peer, enum http2_role role)
{
    struct http2_config config = { .role = role, .limits = peer_limits, .max_streams = role == HTTP2_SERVER ? 100 : 0 };
    if (!peer_open_with(peer, &mesh__mem_system, &config))
        abort();
}

static inline void peer_close(struct peer *peer)
{
    mesh__http2_free(peer->conn);
    if (peer->pool.used_bytes != 0)
        abort(); /* a block was lost */
    mesh__http2_pool_fini(&peer->pool);
    mesh__buf_fini(&peer->log);
    mesh__buf_fini(&peer->out);
}

/* What was told since last asked. */
static inline const char *peer_told(struct peer *peer)
{
    const char *text = mesh__buf_text(&peer->log);
    mesh__buf_clear(&peer->log);
    return text;
}

/* Gives bytes to a peer in pieces of a size, each a block of its own. */
static inline mesh_status peer_read(struct peer *peer, const char *bytes, size_t size, size_t piece)
{
    mesh_status status = MESH_OK;
    for (size_t at = 0; at < size; at += piece) {
        size_t part = size - at < piece ? size - at : piece;
        char *copy = malloc(part);
        if (copy == NULL)
            abort();
        memcpy(copy, bytes + at, part);
        status = mesh__http2_read(peer->conn, copy, part);
        free(copy);
    }
    return status;
}

static inline mesh_status peer_write(struct peer *peer)
{
    return mesh__http2_write(peer->conn, &peer->out, SIZE_MAX);
}

/* Moves what one wrote to the other. */
static inline void peer_pass(struct peer *from, struct peer *to, size_t piece)
{
    struct buf moved = from->out;
    mesh__buf_init(&from->out, from->out.mem, 1 << 24);
    peer_read(to, moved.data, moved.size, piece);
    mesh__buf_fini(&moved);
}

/* Until both have nothing more to say. */
static inline void pair_run(struct peer *a, struct peer *b, size_t piece)
{
    do {
        peer_write(a);
        peer_pass(a, b, piece);
        peer_write(b);
        peer_pass(b, a, piece);
    } while (mesh__http2_wants_write(a->conn) || mesh__http2_wants_write(b->conn));
}

static inline struct http2_stream *peer_request(struct peer *peer, const char *method, const char *path,
                                                const struct body_source *body)
{
    struct http2_request request = { .method = mesh__view_of(method),
                                     .path = mesh__view_of(path),
                                     .authority = VIEW_LITERAL("a.test"),
                                     .limits = peer_limits };
    if (body != NULL)
        request.body = *body;
    struct http2_stream *stream = NULL;
    if (mesh__http2_request(peer->conn, &request, peer, &stream) != MESH_OK)
        return NULL;
    return stream;
}

static inline struct body_source body_of(const char *text)
{
    return (struct body_source){ .bytes = mesh__view_of(text) };
}

static inline bool peer_answer(struct http2_stream *stream, int32_t status, const char *body)
{
    struct http2_response response = { .status = status, .body = body_of(body) };
    return mesh__http2_respond(stream, &response);
}

/* Frames by hand. */
enum { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4, PADDED = 8 };

static inline void frame_head(struct buf *out, size_t size, int type, int flags, uint32_t id)
{
    const unsigned char head[9] = { (unsigned char)(size >> 16), (unsigned char)(size >> 8), (unsigned char)size,
                                    (unsigned char)type,         (unsigned char)flags,       (unsigned char)(id >> 24),
                                    (unsigned char)(id >> 16),   (unsigned char)(id >> 8),   (unsigned char)id };
    mesh__buf_append(out, head, sizeof head);
}

static inline void frame(struct buf *out, int type, int flags, uint32_t id, const void *payload, size_t size)
{
    frame_head(out, size, type, flags, id);
    mesh__buf_append(out, payload, size);
}

static inline void number32(struct buf *out, uint32_t value)
{
    const unsigned char bytes[4] = { (unsigned char)(value >> 24), (unsigned char)(value >> 16),
                                     (unsigned char)(value >> 8), (unsigned char)value };
    mesh__buf_append(out, bytes, sizeof bytes);
}

static inline void frame32(struct buf *out, int type, uint32_t id, uint32_t value)
{
    frame_head(out, 4, type, 0, id);
    number32(out, value);
}

static inline void frame_goaway(struct buf *out, uint32_t last, uint32_t code, const char *debug)
{
    frame_head(out, 8 + strlen(debug), GOAWAY, 0, 0);
    number32(out, last);
    number32(out, code);
    mesh__buf_append_text(out, debug);
}

static inline void frame_setting(struct buf *out, int id, uint32_t value)
{
    frame_head(out, 6, SETTINGS, 0, 0);
    mesh__buf_append_char(out, 0);
    mesh__buf_append_char(out, (char)id);
    number32(out, value);
}

/* One field as a literal that is not indexed; names and values below 127 bytes in one byte of length. */
static inline void hpack_string(struct buf *out, struct view text)
{
    if (text.size < 127) {
        mesh__buf_append_char(out, (char)text.size);
    } else {
        size_t rest = text.size - 127;
        mesh__buf_append_char(out, 127);
        for (; rest >= 128; rest >>= 7)
            mesh__buf_append_char(out, (char)(rest | 128));
        mesh__buf_append_char(out, (char)rest);
    }
    mesh__buf_append_view(out, text);
}

static inline void hpack_field(struct buf *out, const char *name, const char *value)
{
    mesh__buf_append_char(out, 0);
    hpack_string(out, mesh__view_of(name));
    hpack_string(out, mesh__view_of(value));
}

/* A HEADERS frame of lines "name=value\n"; an empty name or value is fine. */
static inline void frame_headers(struct buf *out, uint32_t id, int flags, const char *lines)
{
    struct buf block;
    mesh__buf_init(&block, &mesh__mem_system, 1 << 20);
    while (*lines != '\0') {
        const char *end = strchr(lines, '\n'), *equals = strchr(lines, '=');
        mesh__buf_append_char(&block, 0);
        hpack_string(&block, mesh__view(lines, (size_t)(equals - lines)));
        hpack_string(&block, mesh__view(equals + 1, (size_t)(end - equals - 1)));
        lines = end + 1;
    }
    frame(out, HEADERS, flags | END_HEADERS, id, block.data, block.size);
    mesh__buf_fini(&block);
}

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

#endif
