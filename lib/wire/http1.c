/* SPDX-License-Identifier: Apache-2.0 */
/* http1.c - the reader of messages: lines are scanned, llhttp takes heads apart, and bodies are counted off.
 *
 * A head that comes in one piece is read where it lies; one that comes in pieces is collected first, so that names and
 * values are contiguous either way. Every verdict belongs to one byte of the input, whatever pieces it comes in: the
 * scan decides how many bytes are right, llhttp sees no more than those, and the limits come last.
 */
#include "wire/http1.h"

#include "wire/http1_check.h"
#include "wire/http1_chunked.h"
#include "wire/http1_framing.h"
#include "wire/http1_lines.h"

#include <llhttp.h>

#define FIRST_FIELDS 16

enum phase { IDLE, HEAD, BODY, ENDED, FAILED };

/* Where a field lies, counted from the first byte of the head. */
struct field {
    uint32_t name, name_size;
    uint32_t value, value_size;
};

struct http1_reader {
    const struct mem *mem;
    const struct http1_events *events;
    void *user;
    enum http1_role role;
    enum phase phase;
    struct http1_limits limits;
    bool to_head;
    uint32_t informational; /* 1xx responses before this one */

    struct http1_lines lines;
    llhttp_t parser;
    bool parsed;        /* llhttp has seen the end of the head */
    bool odd_method;    /* llhttp knows the method not: the rest of the request line is awaited, to say so */
    struct buf pieces;  /* the head so far, when it did not come at once */
    const char *base;   /* the first byte of the head, while bytes are read */
    size_t head_size;   /* bytes of the head so far */
    struct field field; /* the one that is being read */
    struct field *fields;
    mesh_header *headers; /* made of the fields at the end of the head */
    size_t field_count, field_room, header_room;

    bool keep_alive;
    enum http1_body body;
    uint64_t body_size; /* bytes of body so far */
    uint64_t left;      /* of a body of known length */
    struct http1_chunked chunked;

    mesh_status status;
    const char *reason;
    int32_t answer;
};

static void fail(struct http1_reader *reader, mesh_status status, const char *reason)
{
    reader->phase = FAILED;
    reader->status = status;
    reader->reason = reason;
}

static void fail_memory(struct http1_reader *reader)
{
    fail(reader, MESH_NO_MEMORY, "memory ran out while a message was read");
}

static bool grow_fields(struct http1_reader *reader)
{
    size_t room = reader->field_room ? reader->field_room * 2 : FIRST_FIELDS;
    struct field *fields =
        mesh__resize(reader->mem, reader->fields, reader->field_room * sizeof *fields, room * sizeof *fields);
    if (fields == NULL)
        return false;
    reader->fields = fields;
    reader->field_room = room;
    return true;
}

/* Room for as many headers as fields. */
static bool grow_headers(struct http1_reader *reader)
{
    if (reader->header_room == reader->field_room)
        return true;
    mesh__mem_free(reader->mem, reader->headers);
    reader->header_room = 0;
    reader->headers = mesh__alloc(reader->mem, reader->field_room * sizeof *reader->headers);
    if (reader->headers == NULL)
        return false;
    reader->header_room = reader->field_room;
    return true;
}

static int on_name(llhttp_t *parser, const char *at, size_t size)
{
    struct http1_reader *reader = parser->data;
    if (reader->field.name_size == 0)
        reader->field.name = (uint32_t)(at - reader->base);
    reader->field.name_size += (uint32_t)size;
    return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t size)
{
    struct http1_reader *reader = parser->data;
    if (reader->field.value_size == 0)
        reader->field.value = (uint32_t)(at - reader->base);
    reader->field.value_size += (uint32_t)size;
    return 0;
}

static int on_value_complete(llhttp_t *parser)
{
    struct http1_reader *reader = parser->data;
    if (reader->field_count >= reader->limits.max_headers) {
        fail(reader, MESH_TOO_MANY_HEADERS, "more header fields than max_headers");
        return -1;
    }
    if (reader->field_count == reader->field_room && !grow_fields(reader)) {
        fail_memory(reader);
        return -1;
    }
    reader->fields[reader->field_count++] = reader->field;
    reader->field = (struct field){ 0 };
    return 0;
}

static int on_headers_complete(llhttp_t *parser)
{
    struct http1_reader *reader = parser->data;
    reader->parsed = true;
    return 0;
}

static const llhttp_settings_t settings = {
    .on_header_field = on_name,
    .on_header_value = on_value,
    .on_header_value_complete = on_value_complete,
    .on_headers_complete = on_headers_complete,
};

struct http1_reader *mesh__http1_reader_new(const struct mem *mem, enum http1_role role,
                                            const struct http1_events *events, void *user)
{
    struct http1_reader *reader = mesh__zalloc(mem, sizeof *reader);
    if (reader == NULL)
        return NULL;
    reader->mem = mem;
    reader->role = role;
    reader->events = events;
    reader->user = user;
    mesh__buf_init(&reader->pieces, mem, 0);
    llhttp_init(&reader->parser, role == HTTP1_RESPONSES ? HTTP_RESPONSE : HTTP_REQUEST, &settings);
    reader->parser.data = reader;
    return reader;
}

void mesh__http1_reader_free(struct http1_reader *reader)
{
    if (reader == NULL)
        return;
    mesh__buf_fini(&reader->pieces);
    mesh__mem_free(reader->mem, reader->fields);
    mesh__mem_free(reader->mem, reader->headers);
    mesh__mem_free(reader->mem, reader);
}

static void start_head(struct http1_reader *reader)
{
    llhttp_reset(&reader->parser);
    reader->phase = HEAD;
    reader->lines = (struct http1_lines){ .may_lead = reader->role == HTTP1_REQUESTS };
    reader->parsed = reader->odd_method = false;
    mesh__buf_clear(&reader->pieces);
    reader->head_size = 0;
    reader->field = (struct field){ 0 };
    reader->field_count = 0;
}

void mesh__http1_reader_next(struct http1_reader *reader, const struct http1_limits *limits, bool to_head)
{
    reader->limits = *limits;
    if (reader->limits.max_header > UINT32_MAX)
        reader->limits.max_header = UINT32_MAX;
    reader->pieces.cap = reader->limits.max_header;
    reader->to_head = to_head;
    reader->informational = 0;
    reader->body_size = 0;
    reader->status = MESH_OK;
    reader->reason = NULL;
    reader->answer = 0;
    start_head(reader);
}

/* The start line, behind an empty line that may have come first, without its end; empty until it has come whole. */
static struct view start_line(const struct http1_reader *reader)
{
    const char *start = reader->base, *end = reader->base + reader->head_size;
    if (end - start >= 2 && start[0] == '\r')
        start += 2;
    const char *lf = memchr(start, '\n', (size_t)(end - start));
    return lf != NULL ? mesh__view(start, (size_t)(lf - start) - 1) : mesh__view("", 0);
}

/* RFC 9110 9.1: where all is well but that nobody knows the method, the answer is 501. */
static void judge_odd_method(struct http1_reader *reader)
{
    struct http1_head head = { 0 };
    struct view line = start_line(reader);
    if (line.size == 0)
        return;
    const char *reason = mesh__http1_read_request_line(line, &head);
    reader->answer = reason == NULL ? 501 : 0;
    fail(reader, MESH_PROTOCOL, reason != NULL ? reason : "a method that is not known");
}

/* A method that goes on or ends otherwise than those that llhttp knows, or one of another protocol, which shows at the
 * version. Where a byte comes that no method can have, there is no line to wait for. */
static bool is_odd_method(const struct http1_reader *reader, llhttp_errno_t error, const char *end)
{
    const char *at = llhttp_get_error_pos(&reader->parser);
    if (reader->role != HTTP1_REQUESTS)
        return false;
    return error == HPE_INVALID_CONSTANT ||
           (error == HPE_INVALID_METHOD && at != NULL && at < end && (*at == ' ' || mesh__http1_tchar(*at)));
}

/* Gives the bytes of a head to llhttp, where they will stay until the head event. */
static void parse_head(struct http1_reader *reader, const char *bytes, size_t size)
{
    reader->base = bytes;
    bool pieces = reader->head_size > 0 || !reader->lines.ended;
    if (pieces) {
        if (!mesh__buf_append(&reader->pieces, bytes, size)) {
            fail_memory(reader);
            return;
        }
        reader->base = reader->pieces.data;
        bytes = reader->base + reader->head_size;
    }
    reader->head_size += size;
    llhttp_errno_t error = HPE_OK;
    if (!reader->odd_method)
        error = llhttp_execute(&reader->parser, bytes, size);
    reader->odd_method |= is_odd_method(reader, error, bytes + size);
    if (reader->odd_method)
        judge_odd_method(reader);
    else if (error != HPE_OK && error != HPE_PAUSED_UPGRADE && reader->phase != FAILED)
        fail(reader, MESH_PROTOCOL, llhttp_get_error_reason(&reader->parser));
}

static void end_message(struct http1_reader *reader)
{
    reader->phase = ENDED;
    if (!reader->events->end(reader->user, reader->keep_alive))
        fail_memory(reader);
}

/* The headers of the head event, or of the trailers. */
static void lay_out_head(struct http1_reader *reader, struct http1_head *head)
{
    const char *base = reader->base;
    for (size_t i = 0; i < reader->field_count; i++) {
        const struct field *field = &reader->fields[i];
        struct view value = mesh__view_trim(mesh__view(base + field->value, field->value_size));
        reader->headers[i] = (mesh_header){ base + field->name, field->name_size, value.data, value.size };
    }
    head->headers = reader->headers;
    head->header_count = reader->field_count;
}

static void skip_informational(struct http1_reader *reader)
{
    if (++reader->informational > HTTP1_INFORMATIONAL_MAX)
        fail(reader, MESH_PROTOCOL, "too many 1xx responses");
    else
        start_head(reader);
}

static void start_body(struct http1_reader *reader, const struct http1_head *head)
{
    reader->keep_alive = head->keep_alive;
    reader->phase = BODY;
    reader->left = head->content_length > 0 ? (uint64_t)head->content_length : 0;
    if (reader->left > reader->limits.max_body) {
        fail(reader, MESH_BODY_TOO_LARGE, "a Content-Length beyond max_body");
        return;
    }
    if (reader->body == BODY_CHUNKED)
        mesh__http1_chunked_init(&reader->chunked, reader->limits.max_header - reader->head_size,
                                 reader->limits.max_headers - reader->field_count,
                                 reader->events->trailers != NULL ? &reader->pieces : NULL);
    bool told = reader->events->head(reader->user, head);
    mesh__buf_clear(&reader->pieces);
    if (!told)
        fail_memory(reader);
    else if (reader->body == BODY_NONE)
        end_message(reader);
}

static void finish_head(struct http1_reader *reader)
{
    if (!reader->parsed) {
        fail(reader, MESH_PROTOCOL, "a head whose end is not clear");
        return;
    }
    if (!grow_headers(reader)) {
        fail_memory(reader);
        return;
    }
    struct http1_head head = { 0 };
    lay_out_head(reader, &head);
    const char *reason = mesh__http1_frame(reader->role, reader->to_head, start_line(reader), &head, &reader->body);
    if (reason != NULL)
        fail(reader, MESH_PROTOCOL, reason);
    else if (reader->role == HTTP1_RESPONSES && head.status < 200)
        skip_informational(reader);
    else
        start_body(reader, &head);
}

static size_t read_head(struct http1_reader *reader, const char *bytes, size_t size)
{
    size_t room = reader->limits.max_header - reader->head_size;
    size_t allowed = size < room ? size : room;
    size_t right = mesh__http1_lines_scan(&reader->lines, bytes, allowed);
    if (right > 0)
        parse_head(reader, bytes, right);
    if (reader->phase == FAILED)
        return right;
    if (reader->lines.ended)
        finish_head(reader);
    else if (reader->lines.fault != NULL)
        fail(reader, MESH_PROTOCOL, reader->lines.fault);
    else if (allowed < size)
        fail(reader, MESH_HEADER_TOO_LARGE, "a header beyond max_header");
    return right;
}

static void body_event(struct http1_reader *reader, const char *bytes, size_t size)
{
    reader->body_size += size;
    if (size > 0 && !reader->events->body(reader->user, mesh__view(bytes, size)))
        fail_memory(reader);
}

static size_t read_length(struct http1_reader *reader, const char *bytes, size_t size)
{
    size_t taken = size < reader->left ? size : (size_t)reader->left;
    reader->left -= taken;
    body_event(reader, bytes, taken);
    if (reader->phase != FAILED && reader->left == 0)
        end_message(reader);
    return taken;
}

static size_t read_to_close(struct http1_reader *reader, const char *bytes, size_t size)
{
    uint64_t room = reader->limits.max_body - reader->body_size;
    size_t taken = size < room ? size : (size_t)room;
    body_event(reader, bytes, taken);
    if (reader->phase != FAILED && taken < size)
        fail(reader, MESH_BODY_TOO_LARGE, "a body beyond max_body");
    return taken;
}

/* The fields of the trailers, which were checked as they came: each line has a colon, and ends with CR LF. */
static size_t lay_out_trailers(struct http1_reader *reader)
{
    size_t count = 0;
    const char *end = reader->pieces.data + reader->pieces.size;
    for (const char *line = reader->pieces.data; line < end;) {
        if (count == reader->field_room && !grow_fields(reader))
            return 0;
        const char *colon = memchr(line, ':', (size_t)(end - line));
        const char *cr = memchr(colon, '\r', (size_t)(end - colon));
        reader->fields[count++] =
            (struct field){ (uint32_t)(line - reader->pieces.data), (uint32_t)(colon - line),
                            (uint32_t)(colon + 1 - reader->pieces.data), (uint32_t)(cr - colon - 1) };
        line = cr + 2;
    }
    return count;
}

static void end_chunked(struct http1_reader *reader)
{
    struct http1_head trailers;
    if (reader->pieces.size == 0) {
        end_message(reader);
        return;
    }
    reader->base = reader->pieces.data;
    reader->field_count = lay_out_trailers(reader);
    if (reader->field_count == 0 || !grow_headers(reader)) {
        fail_memory(reader);
        return;
    }
    lay_out_head(reader, &trailers);
    if (reader->events->trailers(reader->user, trailers.headers, trailers.header_count))
        end_message(reader);
    else
        fail_memory(reader);
}

static size_t read_chunked(struct http1_reader *reader, const char *bytes, size_t size)
{
    struct http1_chunked *chunked = &reader->chunked;
    if (chunked->state == CHUNKED_DATA) {
        size_t taken = size < chunked->left ? size : (size_t)chunked->left;
        mesh__http1_chunked_took(chunked, taken);
        body_event(reader, bytes, taken);
        return taken;
    }
    size_t used = mesh__http1_chunked_read(chunked, bytes, size);
    if (chunked->state == CHUNKED_FAILED)
        fail(reader, chunked->status, chunked->reason);
    else if (chunked->state == CHUNKED_ENDED)
        end_chunked(reader);
    else if (chunked->state == CHUNKED_DATA && chunked->left > reader->limits.max_body - reader->body_size)
        fail(reader, MESH_BODY_TOO_LARGE, "a body beyond max_body");
    return used;
}

static size_t read_some(struct http1_reader *reader, const char *bytes, size_t size)
{
    if (reader->phase == HEAD)
        return read_head(reader, bytes, size);
    if (reader->body == BODY_LENGTH)
        return read_length(reader, bytes, size);
    if (reader->body == BODY_CHUNKED)
        return read_chunked(reader, bytes, size);
    return read_to_close(reader, bytes, size);
}

static struct http1_progress progress(const struct http1_reader *reader, size_t used)
{
    return (struct http1_progress){ used, reader->phase == ENDED, reader->status, reader->reason, reader->answer };
}

struct http1_progress mesh__http1_read(struct http1_reader *reader, const char *bytes, size_t size)
{
    size_t used = 0;
    while (used < size && (reader->phase == HEAD || reader->phase == BODY))
        used += read_some(reader, bytes + used, size - used);
    return progress(reader, used);
}

struct http1_progress mesh__http1_read_eof(struct http1_reader *reader)
{
    if (reader->phase == BODY && reader->body == BODY_TO_CLOSE)
        end_message(reader);
    else if (reader->phase == BODY || (reader->phase == HEAD && mesh__http1_reader_started(reader)))
        fail(reader, MESH_PARTIAL_RESPONSE, "the connection closed in the middle of a message");
    else if (reader->phase != FAILED)
        fail(reader, MESH_RESET, "the connection closed between messages");
    return progress(reader, 0);
}

bool mesh__http1_reader_started(const struct http1_reader *reader)
{
    if (reader->phase != HEAD)
        return reader->phase != IDLE;
    return reader->informational > 0 || reader->lines.any;
}
