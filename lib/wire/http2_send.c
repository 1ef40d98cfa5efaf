/* SPDX-License-Identifier: Apache-2.0 */
/* http2_send.c - requests and responses on their way out.
 *
 * nghttp2 copies and compresses heads. Payload goes from where it lies straight behind its frame's head in the output,
 * and is copied nowhere else.
 */
#include "wire/http2_inside.h"

#define STACK_FIELDS 48

/* Fields to be given to nghttp2: on the stack, or from the pool where there are many. */
struct field_list {
    struct http2_pool *pool;
    nghttp2_nv stack[STACK_FIELDS];
    nghttp2_nv *fields;
    size_t count;
};

static bool list_open(struct field_list *list, struct http2_pool *pool, const struct http1_field_group *groups,
                      size_t group_count, size_t extra)
{
    size_t count = extra;
    for (size_t i = 0; i < group_count; i++)
        count += groups[i].count;
    list->pool = pool;
    list->count = 0;
    list->fields = list->stack;
    if (count > STACK_FIELDS)
        list->fields = mesh__http2_pool_take(pool, count * sizeof(nghttp2_nv));
    return list->fields != NULL;
}

static void list_close(struct field_list *list)
{
    if (list->fields != list->stack)
        mesh__http2_pool_give(list->pool, list->fields);
}

static void list_add_with(struct field_list *list, struct view name, struct view value, uint8_t flags)
{
    /* nghttp2 reads these bytes only, but its struct has no const. */
    list->fields[list->count++] =
        (nghttp2_nv){ (uint8_t *)(uintptr_t)name.data, (uint8_t *)(uintptr_t)value.data, name.size, value.size, flags };
}

/* A name that is a literal here, in lower case, need not be copied. */
static void list_add(struct field_list *list, struct view name, struct view value)
{
    list_add_with(list, name, value, NGHTTP2_NV_FLAG_NO_COPY_NAME);
}

/* Volatile fields go to the stream's literals where it is given. */
static void list_add_groups(struct field_list *list, const struct http1_field_group *groups, size_t group_count,
                            struct http2_stream *literals)
{
    for (size_t i = 0; i < group_count; i++)
        for (size_t j = 0; j < groups[i].count; j++) {
            const mesh_header *header = &groups[i].headers[j];
            struct view name = mesh__view(header->name, header->name_size);
            struct view value = mesh__view(header->value, header->value_size);
            struct view volatile_name = mesh__http2_volatile_name(name);
            if (volatile_name.size == 0)
                list_add_with(list, name, value, NGHTTP2_NV_FLAG_NONE);
            else if (literals != NULL)
                mesh__http2_literals_put(literals, volatile_name, value);
            else
                list_add_with(list, name, value, NGHTTP2_NV_FLAG_NO_INDEX);
        }
}

/* Room for the digits of a number. */
struct number {
    char digits[24];
};

/* Of a number that is not negative. */
static struct view number_text(int64_t value, struct number *number)
{
    char *end = number->digits + sizeof number->digits, *at = end;
    do
        *--at = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    return mesh__view(at, (size_t)(end - at));
}

static int64_t body_size(const struct body_source *body)
{
    return body->next != NULL ? body->size : (int64_t)body->bytes.size;
}

/* RFC 9110 8.6: of methods that mean a body, an empty one is said too. */
static bool says_size(struct view method, int64_t size)
{
    return size > 0 || (size == 0 && (mesh__view_equal(method, VIEW_LITERAL("POST")) ||
                                      mesh__view_equal(method, VIEW_LITERAL("PUT")) ||
                                      mesh__view_equal(method, VIEW_LITERAL("PATCH"))));
}

/* Fills `out` for one DATA frame; the number of its bytes, or an nghttp2 error. */
static ssize_t next_bytes(struct http2_stream *stream, size_t most, uint32_t *flags)
{
    struct body_source *body = &stream->body;
    size_t size = body->bytes.size < most ? body->bytes.size : most;
    stream->out = mesh__view(body->bytes.data, size);
    body->bytes = mesh__view(size > 0 ? body->bytes.data + size : NULL, body->bytes.size - size);
    if (body->bytes.size == 0)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)size;
}

static bool submit_trailers(struct http2_stream *stream, const struct http1_field_group *trailers)
{
    struct field_list list;
    if (!list_open(&list, stream->conn->pool, trailers, 1, 0))
        return false;
    list_add_groups(&list, trailers, 1, NULL);
    int error = nghttp2_submit_trailer(stream->conn->session, stream->id, list.fields, list.count);
    list_close(&list);
    return error == 0;
}

/* The same, from the source. */
static ssize_t next_from_source(struct http2_stream *stream, size_t most, uint32_t *flags)
{
    struct http1_field_group trailers = { NULL, 0 };
    stream->out = mesh__view(NULL, 0);
    mesh__http2_enter(stream);
    enum body_next next = stream->body.next(stream->body.next_user, most, &stream->out, &trailers);
    if (!mesh__http2_leave(stream))
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (next == BODY_LATER || (next == BODY_MORE && stream->out.size == 0))
        return NGHTTP2_ERR_DEFERRED;
    if (next == BODY_BROKEN || stream->out.size > most || !mesh__body_count(&stream->body, next, stream->out.size)) {
        stream->status = MESH_EINTERNAL;
        stream->reason = "the body to send came to no end";
        stream->quiet = true;
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    if (next == BODY_LAST) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (trailers.count > 0) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            if (!submit_trailers(stream, &trailers))
                return NGHTTP2_ERR_CALLBACK_FAILURE;
        }
    }
    return (ssize_t)stream->out.size;
}

static ssize_t on_read_body(nghttp2_session *session, int32_t id, uint8_t *bytes, size_t most, uint32_t *flags,
                            nghttp2_data_source *source, void *user)
{
    (void)session;
    (void)bytes;
    (void)source;
    struct http2_stream *stream = mesh__http2_find(user, id);
    if (stream == NULL || stream->status != MESH_OK)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    return stream->body.next != NULL ? next_from_source(stream, most, flags) : next_bytes(stream, most, flags);
}

static int on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head, size_t size,
                        nghttp2_data_source *source, void *user)
{
    (void)session;
    (void)source;
    struct http2_conn *conn = user;
    struct http2_stream *stream = mesh__http2_find(conn, frame->hd.stream_id);
    if (stream == NULL || stream->out.size != size)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (!mesh__buf_reserve(conn->out, size + 9))
        return NGHTTP2_ERR_NOMEM;
    mesh__buf_append(conn->out, head, 9);
    mesh__buf_append_view(conn->out, stream->out);
    stream->out = mesh__view(NULL, 0);
    conn->out_paused = conn->out->size >= conn->out_most;
    return conn->out_paused ? NGHTTP2_ERR_PAUSE : 0;
}

/* Our message is whole: a request that still comes in while its answer is out is cut off (RFC 9113 8.1). */
static void finish(struct http2_conn *conn, struct http2_stream *stream)
{
    stream->finished = true;
    if (conn->config.role == HTTP2_SERVER && !stream->ended &&
        nghttp2_submit_rst_stream(conn->session, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_NO_ERROR) != 0)
        mesh__http2_fail(conn, MESH_NO_MEMORY, NULL, 0);
}

/* GOAWAY with an error breaks the connection, with our words for it, or nghttp2's, or the code's name. */
static void on_goaway_sent(struct http2_conn *conn, const nghttp2_goaway *goaway)
{
    conn->goaway_sent = true;
    if (goaway->error_code == NGHTTP2_NO_ERROR)
        return;
    struct view words = mesh__view((const char *)goaway->opaque_data, goaway->opaque_data_len);
    if (words.size == 0)
        words = mesh__view_of(mesh__http2_code_name(goaway->error_code));
    mesh__http2_fail(conn, MESH_PROTOCOL, words.data, words.size);
}

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    (void)session;
    struct http2_conn *conn = user;
    if (frame->hd.type == NGHTTP2_GOAWAY)
        on_goaway_sent(conn, &frame->goaway);
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    struct http2_stream *stream = mesh__http2_find(conn, frame->hd.stream_id);
    if (stream == NULL)
        return 0;
    stream->sent = true;
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
        finish(conn, stream);
    return 0;
}

/* A request that cannot be put into a frame, because it is too large, will be no smaller elsewhere. */
static int on_frame_not_sent(nghttp2_session *session, const nghttp2_frame *frame, int error, void *user)
{
    (void)session;
    struct http2_stream *stream = mesh__http2_find(user, frame->hd.stream_id);
    if (frame->hd.type != NGHTTP2_HEADERS || stream == NULL || stream->status != MESH_OK ||
        error != NGHTTP2_ERR_FRAME_SIZE_ERROR)
        return 0;
    stream->status = MESH_EINVAL;
    stream->reason = "the header to send is too large";
    return 0;
}

void mesh__http2_set_senders(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_send_data_callback(callbacks, on_send_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_frame_not_sent);
}

static void set_body(struct http2_stream *stream, const struct body_source *body)
{
    stream->body = *body;
    if (body->next != NULL)
        stream->body.bytes = mesh__view(NULL, 0);
}

static int32_t submit_request(struct http2_conn *conn, const struct http2_request *request, struct http2_stream *stream,
                              size_t room)
{
    struct field_list list;
    struct number number;
    int64_t size = body_size(&request->body);
    if (!list_open(&list, conn->pool, request->groups, request->group_count, 5))
        return NGHTTP2_ERR_NOMEM;
    list_add(&list, VIEW_LITERAL(":method"), request->method);
    list_add(&list, VIEW_LITERAL(":scheme"), conn->config.secure ? VIEW_LITERAL("https") : VIEW_LITERAL("http"));
    list_add(&list, VIEW_LITERAL(":authority"), request->authority);
    list_add(&list, VIEW_LITERAL(":path"), request->path);
    list_add_groups(&list, request->groups, request->group_count, room > 0 ? stream : NULL);
    if (says_size(request->method, size))
        list_add(&list, VIEW_LITERAL("content-length"), number_text(size, &number));
    const nghttp2_data_provider provider = { { .ptr = NULL }, on_read_body };
    bool body = request->body.next != NULL || size > 0;
    int32_t id = nghttp2_submit_request(conn->session, NULL, list.fields, list.count, body ? &provider : NULL, stream);
    list_close(&list);
    return id;
}

mesh_status mesh__http2_request(struct http2_conn *conn, const struct http2_request *request, void *user,
                                struct http2_stream **out)
{
    *out = NULL;
    if (mesh__http2_draining(conn))
        return MESH_ECLOSED;
    if (mesh__http2_room(conn) == 0)
        return MESH_OVERLOADED;
    size_t room = mesh__http2_literals_room(request);
    struct http2_stream *stream = mesh__http2_stream_new(conn, &request->limits, room);
    if (stream == NULL)
        return MESH_NO_MEMORY;
    stream->user = user;
    set_body(stream, &request->body);
    stream->id = submit_request(conn, request, stream, room);
    if (stream->id < 0) {
        mesh__http2_stream_free(stream);
        return MESH_NO_MEMORY;
    }
    conn->open++;
    *out = stream;
    return MESH_OK;
}

bool mesh__http2_respond(struct http2_stream *stream, const struct http2_response *response)
{
    struct http2_conn *conn = stream->conn;
    struct field_list list;
    struct number status, number;
    int64_t size = body_size(&response->body);
    bool bodiless = response->status == 204 || response->status == 304;
    if (!list_open(&list, conn->pool, response->groups, response->group_count, 3))
        return false;
    list_add(&list, VIEW_LITERAL(":status"), number_text(response->status, &status));
    if (response->date != NULL)
        list_add(&list, VIEW_LITERAL("date"), mesh__view_of(response->date));
    list_add_groups(&list, response->groups, response->group_count, NULL);
    if (!bodiless && !response->no_size && size >= 0)
        list_add(&list, VIEW_LITERAL("content-length"), number_text(size, &number));
    const nghttp2_data_provider provider = { { .ptr = NULL }, on_read_body };
    bool body = !bodiless && !response->no_body && (response->body.next != NULL || size > 0);
    set_body(stream, &response->body);
    stream->answered = true;
    int error = nghttp2_submit_response(conn->session, stream->id, list.fields, list.count, body ? &provider : NULL);
    list_close(&list);
    return error == 0;
}

bool mesh__http2_continue(struct http2_stream *stream)
{
    struct field_list list;
    if (!list_open(&list, stream->conn->pool, NULL, 0, 1))
        return false;
    list_add(&list, VIEW_LITERAL(":status"), VIEW_LITERAL("100"));
    return nghttp2_submit_headers(stream->conn->session, NGHTTP2_FLAG_NONE, stream->id, NULL, list.fields, list.count,
                                  NULL) == 0;
}

void mesh__http2_resume(struct http2_stream *stream)
{
    int error = nghttp2_session_resume_data(stream->conn->session, stream->id);
    if (error == NGHTTP2_ERR_NOMEM)
        mesh__http2_fail(stream->conn, MESH_NO_MEMORY, NULL, 0);
}

const char *mesh__http2_code_name(uint32_t code)
{
    return nghttp2_http2_strerror(code);
}
