/* SPDX-License-Identifier: Apache-2.0 */
/* http2_window.c - how much a peer may send: credit is given back as it is consumed, and more of it the more is.
 *
 * A stream's window doubles with each windowful consumed, up to HTTP2_WINDOW_MAX; the connection's does likewise, and
 * is never below four times its widest stream's: so one stream that nobody consumes holds up at most a quarter. A
 * stream is never granted more than one byte beyond its limit, which that byte is needed to see passed.
 */
#include "wire/http2_inside.h"

#define CONNECTION_WINDOW_FIRST (4 * (size_t)HTTP2_WINDOW_FIRST)

static void widen_connection(struct http2_conn *conn, size_t window)
{
    if (window > HTTP2_CONNECTION_WINDOW_MAX)
        window = HTTP2_CONNECTION_WINDOW_MAX;
    if (window <= conn->window)
        return;
    /* Without memory the window stays as it is, which is slow and right. */
    if (nghttp2_session_set_local_window_size(conn->session, NGHTTP2_FLAG_NONE, 0, (int32_t)window) == 0)
        conn->window = window;
    conn->since = 0;
}

bool mesh__http2_window_open(struct http2_conn *conn)
{
    widen_connection(conn, CONNECTION_WINDOW_FIRST);
    return conn->window == CONNECTION_WINDOW_FIRST;
}

void mesh__http2_window_limit(struct http2_stream *stream, int64_t length)
{
    uint64_t most = stream->limits.max_body < UINT64_MAX / 2 ? stream->limits.max_body + 1 : UINT64_MAX / 2;
    stream->limit = length >= 0 && (uint64_t)length < most ? (uint64_t)length : most;
}

void mesh__http2_window_return(struct http2_conn *conn, size_t size)
{
    if (size == 0 || conn->status != MESH_OK)
        return;
    if (nghttp2_session_consume_connection(conn->session, size) != 0)
        mesh__http2_fail(conn, MESH_NO_MEMORY, NULL, 0);
    conn->since += size;
    if (conn->since >= conn->window)
        widen_connection(conn, conn->window * 2);
}

void mesh__http2_window_release(struct http2_stream *stream)
{
    if (!stream->conn->config.apart)
        mesh__http2_window_return(stream->conn, stream->held);
    stream->held = 0;
}

/* By how much a stream's window may grow now. */
static size_t growth(struct http2_stream *stream)
{
    if (stream->since < stream->window || stream->window >= HTTP2_WINDOW_MAX)
        return 0;
    stream->since = 0;
    return stream->window < HTTP2_WINDOW_MAX / 2 ? stream->window : HTTP2_WINDOW_MAX - stream->window;
}

void mesh__http2_consume(struct http2_stream *stream, size_t size)
{
    struct http2_conn *conn = stream->conn;
    if (size > stream->held)
        size = stream->held;
    stream->held -= size;
    if (!conn->config.apart)
        mesh__http2_window_return(conn, size);
    if (stream->ended || stream->quiet || stream->granted >= stream->limit || conn->status != MESH_OK)
        return;
    stream->since += size;
    size_t more = growth(stream);
    stream->window += more;
    stream->pending += size + more;
    uint64_t left = stream->limit - stream->granted;
    if (stream->pending >= left)
        stream->pending = (size_t)left; /* the last grant: it goes out whatever its size */
    else if (stream->pending < stream->window / 2)
        return;
    widen_connection(conn, 4 * stream->window);
    if (nghttp2_submit_window_update(conn->session, NGHTTP2_FLAG_NONE, stream->id, (int32_t)stream->pending) != 0)
        mesh__http2_fail(conn, MESH_NO_MEMORY, NULL, 0);
    stream->granted += stream->pending;
    stream->pending = 0;
}
