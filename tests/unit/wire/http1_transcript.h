/* SPDX-License-Identifier: Apache-2.0 */
/* http1_transcript.h - reads bytes in pieces of a chosen size and writes down every event as text, so that two ways of
 * cutting the same bytes can be compared. For tests and fuzz targets.
 *
 * A response reads "200 keep 5 [a: b] {hello} keep\n", a request "GET /x keep 0 [host: a] {} keep\n": status or request
 * line, what the head says of the connection, the body's size or -1, fields, body, "+ [a: b] {}" for trailers, and what
 * the end says of the connection; behind the path comes "@authority" where Host does not say the same, and "1.0" for
 * that version. An error reads "! PROTOCOL\n", or "! PROTOCOL 501\n" with an answer of its own. Each piece is a block
 * of its own, gone when it has been read.
 */
#ifndef MESH__TESTS_HTTP1_TRANSCRIPT_H
#define MESH__TESTS_HTTP1_TRANSCRIPT_H

#include "wire/http1.h"

#include <stdlib.h>

struct transcript {
    struct buf text;
    const char *reason; /* of the last error */
    size_t used;        /* bytes that were taken */
};

struct transcript_input {
    enum http1_role role;
    bool to_head;
    bool eof; /* the peer closes behind the last byte */
    struct http1_limits limits;
    const char *bytes;
    size_t size;
};

static inline bool transcript_is_host(const struct http1_head *head)
{
    for (size_t i = 0; i < head->header_count; i++)
        if (mesh__view_equal_nocase(mesh__view(head->headers[i].name, head->headers[i].name_size),
                                    VIEW_LITERAL("host")))
            return mesh__view_equal(mesh__view(head->headers[i].value, head->headers[i].value_size), head->authority);
    return head->authority.size == 0;
}

static inline void transcript_fields(struct buf *text, const mesh_header *headers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        mesh__buf_append_char(text, '[');
        mesh__buf_append(text, headers[i].name, headers[i].name_size);
        mesh__buf_append_text(text, ": ");
        mesh__buf_append(text, headers[i].value, headers[i].value_size);
        mesh__buf_append_text(text, "] ");
    }
}

static inline bool transcript_head(void *user, const struct http1_head *head)
{
    struct buf *text = user;
    if (head->status != 0)
        mesh__buf_printf(text, "%d", head->status);
    else
        mesh__buf_printf(text, "%.*s %.*s", (int)head->method.size, head->method.data, (int)head->path.size,
                         head->path.data);
    if (head->status == 0 && !transcript_is_host(head))
        mesh__buf_printf(text, " @%.*s", (int)head->authority.size, head->authority.data);
    if (head->status == 0 && head->minor == 0)
        mesh__buf_append_text(text, " 1.0");
    mesh__buf_printf(text, " %s %lld ", head->keep_alive ? "keep" : "close", (long long)head->content_length);
    if (head->keep_alive_timeout_s >= 0)
        mesh__buf_printf(text, "timeout=%lld ", (long long)head->keep_alive_timeout_s);
    transcript_fields(text, head->headers, head->header_count);
    return mesh__buf_append_char(text, '{');
}

static inline bool transcript_body(void *user, struct view bytes)
{
    return mesh__buf_append_view(user, bytes);
}

static inline bool transcript_trailers(void *user, const mesh_header *headers, size_t count)
{
    mesh__buf_append_text(user, "} + ");
    transcript_fields(user, headers, count);
    return mesh__buf_append_char(user, '{');
}

static inline bool transcript_end(void *user, bool keep_alive)
{
    return mesh__buf_printf(user, "} %s\n", keep_alive ? "keep" : "close");
}

static inline struct http1_progress transcript_piece(struct http1_reader *reader, const char *bytes, size_t size)
{
    char *piece = malloc(size);
    if (piece == NULL)
        abort();
    memcpy(piece, bytes, size);
    struct http1_progress progress = mesh__http1_read(reader, piece, size);
    free(piece);
    return progress;
}

/* Reads as many messages as there are: first a piece of `first` bytes, then pieces of `size` bytes; 0 is all. */
static inline void transcript_run(struct transcript *out, const struct transcript_input *input, size_t first,
                                  size_t size)
{
    static const struct http1_events events = { transcript_head, transcript_body, transcript_trailers, transcript_end };
    *out = (struct transcript){ 0 };
    mesh__buf_init(&out->text, &mesh__mem_system, SIZE_MAX / 2);
    struct http1_reader *reader = mesh__http1_reader_new(&mesh__mem_system, input->role, &events, &out->text);
    if (reader == NULL)
        abort();
    mesh__http1_reader_next(reader, &input->limits, input->to_head);
    struct http1_progress progress = { 0 };
    size_t piece_end = first;
    while (out->used < input->size && progress.status == MESH_OK) {
        if (piece_end == 0 || piece_end > input->size)
            piece_end = input->size;
        progress = transcript_piece(reader, input->bytes + out->used, piece_end - out->used);
        if (progress.used == 0 && !progress.ended && progress.status == MESH_OK)
            abort(); /* it would never go on */
        out->used += progress.used;
        if (out->used == piece_end)
            piece_end = size > 0 ? piece_end + size : 0;
        if (progress.ended && out->used < input->size)
            mesh__http1_reader_next(reader, &input->limits, input->to_head);
    }
    if (input->eof && progress.status == MESH_OK && !progress.ended)
        progress = mesh__http1_read_eof(reader);
    if (progress.status != MESH_OK) {
        mesh__buf_printf(&out->text, "! %s", mesh_status_name(progress.status));
        if (progress.answer != 0)
            mesh__buf_printf(&out->text, " %d", progress.answer);
        mesh__buf_append_char(&out->text, '\n');
        out->reason = progress.reason;
    }
    mesh__http1_reader_free(reader);
}

/* True when both ways of cutting gave the same events, status and words. */
static inline bool transcript_equal(struct transcript *a, struct transcript *b)
{
    if (strcmp(mesh__buf_text(&a->text), mesh__buf_text(&b->text)) != 0 || a->text.size != b->text.size)
        return false;
    return (a->reason == NULL) == (b->reason == NULL) && (a->reason == NULL || strcmp(a->reason, b->reason) == 0);
}

static inline void transcript_free(struct transcript *transcript)
{
    mesh__buf_fini(&transcript->text);
}

#endif
