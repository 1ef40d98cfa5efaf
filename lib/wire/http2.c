/* SPDX-License-Identifier: Apache-2.0 */
/* http2.c - a connection: nghttp2 set up with our limits and memory, bytes through it, and its end. */
#include "wire/http2_inside.h"

/* nghttp2's own limits on CONTINUATION and RST_STREAM, behind ours: it must not pass one in the middle of the very read
 * in which ours was passed, since it would say something else, or nothing, for the reason. */
#define NO_LIMIT (1 << 30)
#define STREAMS_FIRST 100 /* so many the peer is taken to allow before it has said how many */
/* Of HPACK's table for what we send; the one for what we receive has the default 4096, since not every peer follows a
 * smaller one. An entry costs nghttp2 three times what it counts, and what calls of one service repeat fits here. */
#define TABLE_SIZE 1024

static void *take(size_t size, void *user)
{
    return mesh__http2_pool_take(user, size);
}

static void give(void *block, void *user)
{
    mesh__http2_pool_give(user, block);
}

static void *take_zeroed(size_t count, size_t size, void *user)
{
    if (size > 0 && count > SIZE_MAX / size)
        return NULL;
    void *block = mesh__http2_pool_take(user, count * size);
    if (block != NULL)
        memset(block, 0, count * size);
    return block;
}

static void *resize(void *block, size_t size, void *user)
{
    return mesh__http2_pool_resize(user, block, size);
}

static void set_options(nghttp2_option *option)
{
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_peer_max_concurrent_streams(option, STREAMS_FIRST);
    nghttp2_option_set_max_deflate_dynamic_table_size(option, TABLE_SIZE);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_max_outbound_ack(option, HTTP2_ACKS_MAX);
    nghttp2_option_set_max_settings(option, HTTP2_SETTINGS_MAX);
    nghttp2_option_set_max_continuations(option, NO_LIMIT);
    nghttp2_option_set_stream_reset_rate_limit(option, NO_LIMIT, NO_LIMIT);
}

static bool open_session(struct http2_conn *conn)
{
    nghttp2_mem mem = { conn->pool, take, give, take_zeroed, resize };
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    bool ok = nghttp2_session_callbacks_new(&callbacks) == 0 && nghttp2_option_new(&option) == 0;
    if (ok) {
        mesh__http2_set_receivers(callbacks);
        mesh__http2_set_senders(callbacks);
        set_options(option);
        if (conn->config.role == HTTP2_CLIENT)
            ok = nghttp2_session_client_new3(&conn->session, callbacks, conn, option, &mem) == 0;
        else
            ok = nghttp2_session_server_new3(&conn->session, callbacks, conn, option, &mem) == 0;
    }
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return ok;
}

static bool submit_settings(struct http2_conn *conn)
{
    const struct http2_config *config = &conn->config;
    uint32_t header = config->limits.max_header < INT32_MAX ? (uint32_t)config->limits.max_header : INT32_MAX;
    nghttp2_settings_entry server[] = { { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, config->max_streams },
                                        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, header },
                                        { NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1 } };
    nghttp2_settings_entry client[] = { { NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
                                        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, header },
                                        { NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1 } };
    nghttp2_settings_entry *entries = config->role == HTTP2_CLIENT ? client : server;
    if (nghttp2_submit_settings(conn->session, NGHTTP2_FLAG_NONE, entries, 3) != 0)
        return false;
    return config->first_id == 0 || nghttp2_session_set_next_stream_id(conn->session, config->first_id) == 0;
}

struct http2_conn *mesh__http2_new(struct http2_pool *pool, const struct http2_config *config,
                                   const struct http2_events *events, void *user)
{
    struct http2_conn *conn = mesh__http2_pool_take(pool, sizeof *conn);
    if (conn == NULL)
        return NULL;
    *conn = (struct http2_conn){ .pool = pool, .config = *config, .events = events, .user = user };
    conn->peer_streams = STREAMS_FIRST;
    conn->screen.skip = config->role == HTTP2_SERVER ? NGHTTP2_CLIENT_MAGIC_LEN : 0;
    mesh__list_init(&conn->streams);
    if (!open_session(conn) || !submit_settings(conn) || !mesh__http2_window_open(conn)) {
        mesh__http2_free(conn);
        return NULL;
    }
    return conn;
}

void mesh__http2_free(struct http2_conn *conn)
{
    if (conn == NULL)
        return;
    for (struct list *link = mesh__list_pop(&conn->streams); link != NULL; link = mesh__list_pop(&conn->streams))
        mesh__http2_pool_give(conn->pool, CONTAINER_OF(link, struct http2_stream, link));
    mesh__http2_fields_end(conn);
    nghttp2_session_del(conn->session);
    mesh__http2_pool_give(conn->pool, conn);
}

void mesh__http2_fail(struct http2_conn *conn, mesh_status status, const char *reason, size_t reason_size)
{
    if (conn->status != MESH_OK)
        return;
    conn->status = status;
    if (reason == NULL) {
        reason = status == MESH_NO_MEMORY ? "memory ran out" : "the connection broke";
        reason_size = strlen(reason);
    }
    if (reason_size >= sizeof conn->reason)
        reason_size = sizeof conn->reason - 1;
    memcpy(conn->reason, reason, reason_size);
    conn->reason[reason_size] = '\0';
}

void mesh__http2_terminate(struct http2_conn *conn, uint32_t code, const char *reason)
{
    if (conn->doomed || conn->status != MESH_OK)
        return;
    conn->doomed = true;
    conn->doom_code = code;
    conn->doom_reason = reason;
}

/* nghttp2 is not called any more; the GOAWAY is ours. The first reason stays. */
static void end_session(struct http2_conn *conn, mesh_status status, uint32_t code, const char *reason)
{
    conn->dead = conn->unsaid = true;
    if (!conn->doomed)
        conn->doom_code = code;
    mesh__http2_fail(conn, status, reason, strlen(reason));
}

/* What mesh__http2_terminate() asked for. nghttp2 is not told: within a frame it would go on, and stop the whole
 * process by an assertion at the next error; and behind it, it may have words of its own by then. */
static void terminate(struct http2_conn *conn)
{
    if (conn->doomed && !conn->dead)
        end_session(conn, MESH_PROTOCOL, conn->doom_code, conn->doom_reason);
}

static void tell_all(struct http2_conn *conn, mesh_status status)
{
    conn->cut = status;
    while (!mesh__list_empty(&conn->streams)) {
        struct http2_stream *stream = CONTAINER_OF(conn->streams.next, struct http2_stream, link);
        (void)nghttp2_session_set_stream_user_data(conn->session, stream->id, NULL);
        mesh__http2_tell_closed(stream, NGHTTP2_INTERNAL_ERROR);
    }
}

void mesh__http2_lost(struct http2_conn *conn, mesh_status status, const char *reason)
{
    mesh__http2_fail(conn, status, reason, strlen(reason));
    tell_all(conn, status);
}

/* What nghttp2 says when it cannot go on. */
static void fail_session(struct http2_conn *conn, int error)
{
    terminate(conn);
    if (conn->dead)
        return;
    if (error == NGHTTP2_ERR_NOMEM)
        end_session(conn, MESH_NO_MEMORY, NGHTTP2_INTERNAL_ERROR, nghttp2_strerror(error));
    else
        end_session(conn, MESH_PROTOCOL,
                    error == NGHTTP2_ERR_FLOODED ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_PROTOCOL_ERROR,
                    nghttp2_strerror(error));
}

/* The GOAWAY of a connection that nghttp2 does not write for any more (RFC 9113 6.8). */
static void say_last_words(struct http2_conn *conn, struct buf *out)
{
    uint32_t last = (uint32_t)nghttp2_session_get_last_proc_stream_id(conn->session), code = conn->doom_code;
    unsigned char frame[17] = { [2] = 8, [3] = NGHTTP2_GOAWAY };
    for (int i = 0; i < 4; i++) {
        frame[9 + i] = (unsigned char)(last >> (24 - 8 * i));
        frame[13 + i] = (unsigned char)(code >> (24 - 8 * i));
    }
    conn->unsaid = false;
    conn->goaway_sent = true;
    (void)mesh__buf_append(out, frame, sizeof frame);
}

/* Looks whether a server's first bytes are those of an HTTP/1 response. */
static void watch_greeting(struct http2_conn *conn, const char *bytes, size_t size)
{
    static const char http1[5] = { 'H', 'T', 'T', 'P', '/' };
    for (size_t i = 0; i < size && conn->greeting < sizeof http1; i++)
        conn->greeting = bytes[i] == http1[conn->greeting] ? conn->greeting + 1 : UINT32_MAX;
    if (conn->greeting == sizeof http1)
        mesh__http2_fail(conn, MESH_PROTOCOL, "the peer speaks HTTP/1", strlen("the peer speaks HTTP/1"));
}

static void take_in(struct http2_conn *conn, struct view bytes)
{
    if (bytes.size == 0 || conn->status != MESH_OK || conn->doomed)
        return;
    ssize_t used = nghttp2_session_mem_recv(conn->session, (const uint8_t *)bytes.data, bytes.size);
    if (used < 0)
        fail_session(conn, (int)used);
}

/* No stream of this id has begun: what comes of one is an error of the connection. */
static bool is_idle(const struct http2_conn *conn, uint32_t id)
{
    if (conn->config.role == HTTP2_CLIENT)
        return id % 2 == 0 || id >= nghttp2_session_get_next_stream_id(conn->session);
    return id % 2 == 0 || (int32_t)id > nghttp2_session_get_last_proc_stream_id(conn->session);
}

/* A window that was opened by nothing: RFC 9113 6.9. Of a stream that is over, nothing is said. */
static void refuse_update(struct http2_conn *conn, const struct http2_screened *found)
{
    if (conn->status != MESH_OK || conn->doomed)
        return;
    struct http2_stream *stream = mesh__http2_find(conn, (int32_t)found->stream);
    if (stream != NULL)
        mesh__http2_break(stream, MESH_PROTOCOL, "a WINDOW_UPDATE of 0", NGHTTP2_PROTOCOL_ERROR);
    else if (is_idle(conn, found->stream))
        take_in(conn, found->frame);
}

static void read_on(struct http2_conn *conn, const char *bytes, size_t size)
{
    for (size_t at = 0; at < size && conn->status == MESH_OK && !conn->doomed;) {
        struct http2_screened found = mesh__http2_screen(&conn->screen, bytes + at, size - at);
        take_in(conn, found.pass);
        if (found.stream != 0)
            refuse_update(conn, &found);
        at += found.used;
    }
    terminate(conn);
}

mesh_status mesh__http2_read(struct http2_conn *conn, const char *bytes, size_t size)
{
    if (conn->status == MESH_OK && conn->config.role == HTTP2_CLIENT)
        watch_greeting(conn, bytes, size);
    if (conn->status == MESH_OK && !conn->doomed)
        read_on(conn, bytes, size);
    if (conn->status != MESH_OK)
        tell_all(conn, conn->status);
    return conn->status;
}

mesh_status mesh__http2_write(struct http2_conn *conn, struct buf *out, size_t most)
{
    conn->out = out;
    conn->out_most = most;
    terminate(conn);
    while (out->size < most && !conn->dead) {
        const uint8_t *bytes;
        conn->out_paused = false;
        ssize_t size = nghttp2_session_mem_send(conn->session, &bytes);
        if (size < 0)
            fail_session(conn, (int)size);
        else if (size > 0 && !mesh__http2_append_frame(conn, bytes, (size_t)size))
            mesh__http2_fail(conn, MESH_NO_MEMORY, NULL, 0);
        terminate(conn);
        if ((size <= 0 && !conn->out_paused) || out->failed)
            break;
    }
    if (conn->unsaid)
        say_last_words(conn, out);
    conn->out = NULL;
    if (conn->status != MESH_OK)
        tell_all(conn, conn->status);
    return conn->status;
}

bool mesh__http2_wants_write(const struct http2_conn *conn)
{
    return conn->dead ? conn->unsaid : conn->doomed || nghttp2_session_want_write(conn->session) != 0;
}

const char *mesh__http2_reason(const struct http2_conn *conn)
{
    return conn->reason;
}

bool mesh__http2_peer_is_http1(const struct http2_conn *conn)
{
    return conn->greeting == 5;
}

bool mesh__http2_draining(const struct http2_conn *conn)
{
    return conn->status != MESH_OK || conn->goaway_received || conn->goaway_sent || conn->drain_asked || conn->doomed ||
           nghttp2_session_get_next_stream_id(conn->session) > INT32_MAX;
}

uint32_t mesh__http2_room(const struct http2_conn *conn)
{
    if (mesh__http2_draining(conn))
        return 0;
    uint32_t most = conn->peer_streams;
    if (conn->config.max_streams > 0 && conn->config.max_streams < most)
        most = conn->config.max_streams;
    return conn->open < most ? most - conn->open : 0;
}

uint32_t mesh__http2_open_streams(const struct http2_conn *conn)
{
    return conn->open;
}

static bool send_ping(struct http2_conn *conn, uint64_t count)
{
    uint8_t opaque[8];
    memcpy(opaque, &count, sizeof opaque);
    return nghttp2_submit_ping(conn->session, NGHTTP2_FLAG_NONE, opaque) == 0;
}

bool mesh__http2_ping(struct http2_conn *conn)
{
    if (conn->ping_waiting || conn->status != MESH_OK || !send_ping(conn, conn->ping_count + 1))
        return false;
    conn->ping_count++;
    conn->ping_waiting = true;
    return true;
}

bool mesh__http2_ping_waiting(const struct http2_conn *conn)
{
    return conn->ping_waiting;
}

void mesh__http2_drain(struct http2_conn *conn)
{
    if (conn->drain_asked || conn->status != MESH_OK)
        return;
    conn->drain_asked = true;
    if (conn->config.role == HTTP2_CLIENT) {
        mesh__http2_farewell(conn);
        return;
    }
    conn->notice_waiting = true;
    if (nghttp2_submit_shutdown_notice(conn->session) != 0 || !send_ping(conn, 0))
        mesh__http2_fail(conn, MESH_NO_MEMORY, NULL, 0);
}

void mesh__http2_farewell(struct http2_conn *conn)
{
    if (conn->drain_asked && conn->open == 0 && conn->status == MESH_OK &&
        nghttp2_submit_goaway(conn->session, NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, NULL, 0) != 0)
        mesh__http2_fail(conn, MESH_NO_MEMORY, NULL, 0);
}

bool mesh__http2_done(const struct http2_conn *conn)
{
    return conn->dead
               ? !conn->unsaid
               : (nghttp2_session_want_read(conn->session) == 0 && nghttp2_session_want_write(conn->session) == 0);
}
