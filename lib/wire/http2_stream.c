/* SPDX-License-Identifier: Apache-2.0 */
/* http2_stream.c - the life of a stream on our side: found by nghttp2's user data, ended exactly once. */
#include "wire/http2_inside.h"

struct http2_stream *mesh__http2_stream_new(struct http2_conn *conn, const struct http1_limits *limits, size_t room)
{
    struct http2_stream *stream = mesh__http2_pool_take(conn->pool, sizeof *stream + room);
    if (stream == NULL)
        return NULL;
    *stream = (struct http2_stream){ .conn = conn, .limits = *limits };
    stream->window = stream->granted = HTTP2_WINDOW_FIRST;
    mesh__http2_window_limit(stream, -1);
    mesh__list_push(&conn->streams, &stream->link);
    return stream;
}

/* A header block that is being read need not ask for its stream again and again. */
static void leave_fields(struct http2_stream *stream)
{
    if (stream->conn->fields.stream == stream)
        stream->conn->fields.stream = NULL;
}

void mesh__http2_stream_free(struct http2_stream *stream)
{
    leave_fields(stream);
    mesh__list_remove(&stream->link);
    mesh__http2_pool_give(stream->conn->pool, stream);
}

struct http2_stream *mesh__http2_find(struct http2_conn *conn, int32_t id)
{
    return nghttp2_session_get_stream_user_data(conn->session, id);
}

bool mesh__http2_leave(struct http2_stream *stream)
{
    stream->conn->current = NULL;
    if (!stream->gone)
        return true;
    mesh__http2_stream_free(stream);
    return false;
}

void mesh__http2_break(struct http2_stream *stream, mesh_status status, const char *reason, uint32_t code)
{
    if (stream->status == MESH_OK) {
        stream->status = status;
        stream->reason = reason;
    }
    stream->quiet = true;
    if (nghttp2_submit_rst_stream(stream->conn->session, NGHTTP2_FLAG_NONE, stream->id, code) != 0)
        mesh__http2_fail(stream->conn, MESH_NO_MEMORY, NULL, 0);
}

/* Of a stream that RST_STREAM, GOAWAY or the connection's end cut off. */
static mesh_status cut_status(const struct http2_stream *stream, const struct http2_closed *closed)
{
    const struct http2_conn *conn = stream->conn;
    mesh_status status = conn->cut;
    if (status == MESH_OK && closed->unprocessed && closed->code == NGHTTP2_REFUSED_STREAM)
        return MESH_REFUSED;
    if (status == MESH_OK && stream->sent && !stream->by_peer)
        return MESH_PROTOCOL;
    if (status == MESH_OK || status == MESH_RESET)
        return stream->headed && conn->config.role == HTTP2_CLIENT ? MESH_PARTIAL_RESPONSE : MESH_RESET;
    return status;
}

static const char *cut_reason(const struct http2_stream *stream, uint32_t code)
{
    if (stream->conn->cut != MESH_OK)
        return stream->conn->reason;
    if (stream->by_peer)
        return "the peer reset the stream";
    if (code == NGHTTP2_REFUSED_STREAM)
        return "the peer went away before this stream";
    return stream->sent ? "a malformed message, or a frame that does not belong there" : "the request was not sent";
}

static void judge(const struct http2_stream *stream, uint32_t code, struct http2_closed *closed)
{
    bool client = stream->conn->config.role == HTTP2_CLIENT;
    *closed = (struct http2_closed){ .code = code, .by_peer = stream->by_peer, .status = stream->status };
    closed->reason = stream->reason;
    if (closed->status != MESH_OK || (client ? stream->ended : stream->finished))
        return;
    /* nghttp2 says REFUSED_STREAM of streams above the last one of GOAWAY too. */
    closed->unprocessed = client && (!stream->sent || (code == NGHTTP2_REFUSED_STREAM && !stream->headed));
    closed->http1_required = client && stream->by_peer && code == NGHTTP2_HTTP_1_1_REQUIRED;
    closed->status = cut_status(stream, closed);
    closed->reason = cut_reason(stream, code);
}

void mesh__http2_count_stream(struct http2_conn *conn, bool well)
{
    if (conn->config.role != HTTP2_SERVER)
        return;
    if (well)
        conn->spoiled -= conn->spoiled > 0;
    else if (++conn->spoiled > HTTP2_SPOILED_MAX)
        mesh__http2_terminate(conn, NGHTTP2_ENHANCE_YOUR_CALM, "too many streams were reset, refused or malformed");
}

void mesh__http2_tell_closed(struct http2_stream *stream, uint32_t code)
{
    struct http2_conn *conn = stream->conn;
    struct http2_closed closed;
    judge(stream, code, &closed);
    leave_fields(stream);
    mesh__list_remove(&stream->link);
    mesh__http2_window_release(stream);
    conn->events->closed(conn->user, stream, &closed);
    mesh__http2_pool_give(conn->pool, stream);
    mesh__http2_count_stream(conn, closed.status == MESH_OK);
}

void mesh__http2_reset(struct http2_stream *stream, uint32_t code)
{
    struct http2_conn *conn = stream->conn;
    nghttp2_session_set_stream_user_data(conn->session, stream->id, NULL);
    leave_fields(stream);
    if (conn->status == MESH_OK && nghttp2_submit_rst_stream(conn->session, NGHTTP2_FLAG_NONE, stream->id, code) != 0)
        mesh__http2_fail(conn, MESH_NO_MEMORY, NULL, 0);
    mesh__http2_window_release(stream);
    if (conn->current == stream)
        stream->gone = stream->quiet = true;
    else
        mesh__http2_stream_free(stream);
}

void *mesh__http2_stream_user(const struct http2_stream *stream)
{
    return stream->user;
}

void mesh__http2_set_stream_user(struct http2_stream *stream, void *user)
{
    stream->user = user;
}

int32_t mesh__http2_stream_id(const struct http2_stream *stream)
{
    return stream->id;
}

bool mesh__http2_stream_sent(const struct http2_stream *stream)
{
    return stream->sent;
}

bool mesh__http2_stream_finished(const struct http2_stream *stream)
{
    return stream->finished;
}
