/* SPDX-License-Identifier: Apache-2.0 */
/* http2_receive.c - what nghttp2 found in the bytes that came, told as events.
 *
 * nghttp2 has checked each frame against the protocol and each field against RFC 9113 8 before it calls; our limits and
 * what HTTP/1.1 would refuse come after. A stream without user data is one that was reset here: it is read over.
 */
#include "wire/http2_inside.h"

#define MEMORY_WORDS "memory ran out while a message was read"

static void out_of_memory(struct http2_stream *stream)
{
    mesh__http2_break(stream, MESH_NO_MEMORY, MEMORY_WORDS, NGHTTP2_INTERNAL_ERROR);
}

/* A limit was passed: a client drops the stream, a server may answer. */
static void pass_limit(struct http2_stream *stream, mesh_status status, const char *reason)
{
    struct http2_conn *conn = stream->conn;
    if (conn->config.role == HTTP2_CLIENT || conn->events->refused == NULL) {
        mesh__http2_break(stream, status, reason, NGHTTP2_CANCEL);
        return;
    }
    stream->quiet = true;
    mesh__http2_enter(stream);
    conn->events->refused(conn->user, stream, status);
    (void)mesh__http2_leave(stream);
}

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *head, void *user)
{
    (void)session;
    struct http2_conn *conn = user;
    if (head->type == NGHTTP2_HEADERS)
        conn->continuations = 0;
    else if (head->type == NGHTTP2_CONTINUATION && ++conn->continuations == HTTP2_CONTINUATIONS_MAX + 1)
        mesh__http2_terminate(conn, NGHTTP2_ENHANCE_YOUR_CALM, "too many CONTINUATION frames");
    return 0;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct http2_conn *conn = user;
    int32_t id = frame->hd.stream_id;
    if (frame->hd.type != NGHTTP2_HEADERS || conn->doomed)
        return 0;
    conn->empty = 0;
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        struct http2_stream *stream = mesh__http2_stream_new(conn, &conn->config.limits, 0);
        if (stream == NULL)
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        stream->id = id;
        stream->sent = true;
        (void)nghttp2_session_set_stream_user_data(session, id, stream);
    }
    return mesh__http2_fields_begin(conn, id) ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name, nghttp2_rcbuf *value,
                     uint8_t flags, void *user)
{
    (void)session;
    (void)flags;
    struct http2_conn *conn = user;
    struct http2_fields *fields = &conn->fields;
    struct http2_stream *stream = fields->stream;
    if (frame->hd.type != NGHTTP2_HEADERS || fields->stream_id != frame->hd.stream_id)
        return 0;
    nghttp2_vec key = nghttp2_rcbuf_get_buf(name), text = nghttp2_rcbuf_get_buf(value);
    fields->size += key.len + text.len + 4;
    const struct http1_limits *limits = stream != NULL ? &stream->limits : &conn->config.limits;
    if (fields->size / HTTP2_DECODED_MAX > limits->max_header) {
        mesh__http2_terminate(conn, NGHTTP2_ENHANCE_YOUR_CALM, "a header block that decodes to far too much");
        return NGHTTP2_ERR_PAUSE;
    }
    /* Past a limit the rest of the block is only counted: HPACK must see it to its end. */
    if (stream == NULL || stream->quiet || fields->size > limits->max_header || fields->count > limits->max_headers)
        return 0;
    if (mesh__http2_fields_add(conn, name, &key, value, &text))
        return 0;
    out_of_memory(stream);
    return 0;
}

/* nghttp2 would leave a field with bad characters out: the message is malformed instead. */
static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name,
                             nghttp2_rcbuf *value, uint8_t flags, void *user)
{
    (void)session;
    (void)frame;
    (void)name;
    (void)value;
    (void)flags;
    (void)user;
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* False when the fields are beyond a limit, which has been acted on. */
static bool within_limits(struct http2_stream *stream)
{
    const struct http2_fields *fields = &stream->conn->fields;
    if (fields->size > stream->limits.max_header)
        pass_limit(stream, MESH_HEADER_TOO_LARGE, "a header beyond max_header");
    else if (fields->count > stream->limits.max_headers)
        pass_limit(stream, MESH_TOO_MANY_HEADERS, "more header fields than max_headers");
    else
        return true;
    return false;
}

static void read_head(struct http2_stream *stream, bool no_body)
{
    struct http2_conn *conn = stream->conn;
    struct http1_head head;
    const char *reason = mesh__http2_fields_head(conn, no_body, &head);
    if (reason != NULL) {
        mesh__http2_break(stream, MESH_PROTOCOL, reason, NGHTTP2_PROTOCOL_ERROR);
        return;
    }
    if (conn->config.role == HTTP2_CLIENT && head.status < 200) {
        if (++stream->informational > HTTP1_INFORMATIONAL_MAX)
            mesh__http2_break(stream, MESH_PROTOCOL, "too many 1xx responses", NGHTTP2_ENHANCE_YOUR_CALM);
        return;
    }
    stream->headed = true;
    if (head.content_length > 0 && (uint64_t)head.content_length > stream->limits.max_body) {
        pass_limit(stream, MESH_BODY_TOO_LARGE, "a Content-Length beyond max_body");
        return;
    }
    mesh__http2_window_limit(stream, head.content_length);
    mesh__http2_enter(stream);
    bool ok = conn->events->head(conn->user, stream, &head);
    if (mesh__http2_leave(stream) && !ok)
        out_of_memory(stream);
}

static void read_trailers(struct http2_stream *stream)
{
    struct http2_conn *conn = stream->conn;
    mesh__http2_enter(stream);
    bool ok = conn->events->trailers(conn->user, stream, conn->fields.headers, conn->fields.count);
    if (mesh__http2_leave(stream) && !ok)
        out_of_memory(stream);
}

/* END_STREAM came. What is left to send of a request whose response is whole is not sent: nobody reads it. Its end does
 * not wait until that could be said, since a peer that answers early may read no more. */
static void read_end(struct http2_stream *stream)
{
    struct http2_conn *conn = stream->conn;
    stream->ended = true;
    mesh__http2_enter(stream);
    bool ok = conn->events->end(conn->user, stream);
    if (!mesh__http2_leave(stream))
        return;
    if (!ok) {
        out_of_memory(stream);
    } else if (conn->config.role == HTTP2_CLIENT && !stream->finished) {
        if (nghttp2_submit_rst_stream(conn->session, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_CANCEL) != 0)
            mesh__http2_fail(conn, MESH_NO_MEMORY, NULL, 0);
        (void)nghttp2_session_set_stream_user_data(conn->session, stream->id, NULL);
        mesh__http2_tell_closed(stream, NGHTTP2_CANCEL);
    }
}

static void on_headers(struct http2_conn *conn, const nghttp2_frame *frame)
{
    struct http2_stream *stream = conn->fields.stream;
    bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (stream != NULL && !stream->quiet && within_limits(stream)) {
        if (!stream->headed)
            read_head(stream, end);
        else
            read_trailers(stream);
    }
    stream = conn->fields.stream; /* NULL where the event took it away */
    mesh__http2_fields_end(conn);
    if (stream != NULL && end && !stream->quiet)
        read_end(stream);
}

static void on_data(struct http2_conn *conn, const nghttp2_frame *frame)
{
    bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    conn->empty = end || frame->hd.length > frame->data.padlen + (frame->data.padlen > 0) ? 0 : conn->empty + 1;
    if (conn->empty > HTTP2_EMPTY_DATA_MAX)
        mesh__http2_terminate(conn, NGHTTP2_ENHANCE_YOUR_CALM, "too many empty DATA frames");
    struct http2_stream *stream = mesh__http2_find(conn, frame->hd.stream_id);
    if (stream != NULL && end && !stream->quiet)
        read_end(stream);
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes, size_t size,
                         void *user)
{
    (void)session;
    (void)flags;
    struct http2_conn *conn = user;
    struct http2_stream *stream = mesh__http2_find(conn, id);
    if (conn->doomed)
        return NGHTTP2_ERR_PAUSE;
    if (stream == NULL || stream->quiet) {
        mesh__http2_window_return(conn, size);
        return 0;
    }
    stream->received += size;
    stream->held += size;
    if (conn->config.apart)
        mesh__http2_window_return(conn, size);
    if (stream->received > stream->limits.max_body) {
        pass_limit(stream, MESH_BODY_TOO_LARGE, "a body beyond max_body");
        return 0;
    }
    mesh__http2_enter(stream);
    bool ok = conn->events->body(conn->user, stream, mesh__view((const char *)bytes, size));
    if (mesh__http2_leave(stream) && !ok)
        out_of_memory(stream);
    return 0;
}

static void on_ping(struct http2_conn *conn, const nghttp2_frame *frame)
{
    if ((frame->hd.flags & NGHTTP2_FLAG_ACK) == 0)
        return;
    uint64_t count;
    memcpy(&count, frame->ping.opaque_data, sizeof count);
    if (conn->notice_waiting && count == 0) {
        /* What was on its way when the notice went out has come: now the last stream is known. */
        conn->notice_waiting = false;
        int32_t last = nghttp2_session_get_last_proc_stream_id(conn->session);
        if (nghttp2_submit_goaway(conn->session, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, NULL, 0) != 0)
            mesh__http2_fail(conn, MESH_NO_MEMORY, NULL, 0);
    } else if (conn->ping_waiting && count == conn->ping_count) {
        conn->ping_waiting = false;
        conn->events->pong(conn->user);
    }
}

static void on_goaway(struct http2_conn *conn, const nghttp2_frame *frame)
{
    conn->goaway_received = true;
    struct http2_goaway goaway = { frame->goaway.last_stream_id, frame->goaway.error_code,
                                   mesh__view((const char *)frame->goaway.opaque_data, frame->goaway.opaque_data_len) };
    conn->events->goaway(conn->user, &goaway);
}

static void on_settings(struct http2_conn *conn)
{
    conn->peer_streams = nghttp2_session_get_remote_settings(conn->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    conn->events->settings(conn->user, conn->peer_streams);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    (void)session;
    struct http2_conn *conn = user;
    struct http2_stream *stream;
    if (conn->doomed)
        return 0;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        on_headers(conn, frame);
        break;
    case NGHTTP2_DATA:
        on_data(conn, frame);
        break;
    case NGHTTP2_RST_STREAM:
        stream = mesh__http2_find(conn, frame->hd.stream_id);
        if (stream != NULL)
            stream->by_peer = true;
        break;
    case NGHTTP2_SETTINGS:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) == 0)
            on_settings(conn);
        break;
    case NGHTTP2_PING:
        on_ping(conn, frame);
        break;
    case NGHTTP2_GOAWAY:
        on_goaway(conn, frame);
        break;
    default:
        break;
    }
    return 0;
}

static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int error, void *user)
{
    (void)session;
    struct http2_stream *stream = frame->hd.stream_id > 0 ? mesh__http2_find(user, frame->hd.stream_id) : NULL;
    if (stream == NULL && error == NGHTTP2_ERR_REFUSED_STREAM)
        mesh__http2_count_stream(user, false); /* it was never one */
    if (stream == NULL || stream->status != MESH_OK)
        return 0;
    stream->quiet = true;
    stream->status = MESH_PROTOCOL;
    stream->reason = error == NGHTTP2_ERR_HTTP_HEADER || error == NGHTTP2_ERR_HTTP_MESSAGING
                         ? "a malformed message (RFC 9113 8.1.1)"
                         : nghttp2_strerror(error);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
    (void)session;
    struct http2_conn *conn = user;
    if (conn->config.role == HTTP2_CLIENT) {
        conn->open--;
        mesh__http2_farewell(conn);
    }
    struct http2_stream *stream = mesh__http2_find(conn, id);
    /* On a connection that is about to break a stream ends with it, whatever comes behind the reason. */
    if (stream == NULL || conn->doomed)
        return 0;
    (void)nghttp2_session_set_stream_user_data(session, id, NULL);
    mesh__http2_tell_closed(stream, code);
    return 0;
}

void mesh__http2_set_receivers(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(callbacks, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback2(callbacks, on_invalid_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
}
