/* SPDX-License-Identifier: Apache-2.0 */
/* http2_scene.h - the scene with peers that speak HTTP/2: our own server's codec, or frames made by hand. */
#ifndef TEST_NET_HTTP2_SCENE_H
#define TEST_NET_HTTP2_SCENE_H

#include "scene.h"

#include "wire/http2.h"

enum { DATA = 0, HEADERS = 1, RST_STREAM = 3, SETTINGS = 4, PING = 6, GOAWAY = 7 };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4 };
enum { HELD = 200 };

/* One connection at its peer. */
struct end {
    struct memory_connection *connection; /* NULL once the client has closed */
    struct http2_conn *conn;              /* NULL: by hand */
    struct http2_stream *held[HELD];      /* requests that wait for an answer */
    uint32_t held_count, answered, cancelled;
    uint32_t reads;      /* how often bytes came */
    uint32_t counts[16]; /* frames by type, of what came */
    size_t skip;         /* of a frame whose rest is still to come */
    char head[9];
    size_t head_size;
    size_t preface;
    bool http1;
};

static struct {
    struct end ends[LINES];
    uint32_t count;
    uint32_t max_streams;
    bool by_hand, hold;
    struct http2_pool pool;
} peer;

static bool answer(struct end *end, struct http2_stream *stream)
{
    const struct http2_response response = { .status = 200, .body.bytes = VIEW_LITERAL("ok") };
    end->answered++;
    return mesh__http2_respond(stream, &response);
}

static bool peer_head(void *user, struct http2_stream *stream, const struct http1_head *head)
{
    struct end *end = user;
    (void)head;
    ck_assert_uint_lt(end->held_count, HELD);
    if (peer.hold)
        end->held[end->held_count++] = stream;
    return true;
}

static bool peer_body(void *user, struct http2_stream *stream, struct view bytes)
{
    (void)user;
    mesh__http2_consume(stream, bytes.size);
    return true;
}

static bool peer_trailers(void *user, struct http2_stream *stream, const mesh_header *headers, size_t count)
{
    (void)user;
    (void)stream;
    (void)headers;
    (void)count;
    return true;
}

static bool peer_end(void *user, struct http2_stream *stream)
{
    return peer.hold || answer(user, stream);
}

static void peer_stream_closed(void *user, struct http2_stream *stream, const struct http2_closed *closed)
{
    struct end *end = user;
    end->cancelled += closed->status != MESH_OK;
    for (uint32_t i = 0; i < end->held_count; i++)
        if (end->held[i] == stream)
            end->held[i] = NULL;
}

static void peer_goaway(void *user, const struct http2_goaway *goaway)
{
    (void)user;
    (void)goaway;
}

static void peer_settings(void *user, uint32_t max_streams)
{
    (void)user;
    (void)max_streams;
}

static void peer_pong(void *user)
{
    (void)user;
}

static const struct http2_events peer_events = { .head = peer_head,
                                                 .body = peer_body,
                                                 .trailers = peer_trailers,
                                                 .end = peer_end,
                                                 .closed = peer_stream_closed,
                                                 .settings = peer_settings,
                                                 .goaway = peer_goaway,
                                                 .pong = peer_pong };

/* Sends what the codec has to say. */
static void peer_flush(struct end *end)
{
    struct buf out;
    mesh__buf_init(&out, &mesh__mem_system, 1 << 24);
    while (mesh__http2_wants_write(end->conn)) {
        size_t before = out.size;
        (void)mesh__http2_write(end->conn, &out, SIZE_MAX);
        if (out.size == before)
            break;
    }
    if (out.size > 0)
        mesh__memory_send(end->connection, out.data, out.size, NANOS_MS);
    mesh__buf_fini(&out);
}

static void *end_opened(void *user, struct memory_connection *connection)
{
    (void)user;
    ck_assert_uint_lt(peer.count, LINES);
    struct end *end = &peer.ends[peer.count++];
    *end = (struct end){ .connection = connection };
    const struct http2_config config = { .role = HTTP2_SERVER,
                                         .limits = { 65536, 100, 1 << 20 },
                                         .max_streams = peer.max_streams };
    if (!peer.by_hand)
        end->conn = mesh__http2_new(&peer.pool, &config, &peer_events, end);
    return end;
}

/* Counts the frames that came. */
static void count_frames(struct end *end, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (end->preface < 24) {
            end->preface++;
        } else if (end->skip > 0) {
            end->skip--;
        } else {
            end->head[end->head_size++] = bytes[i];
            if (end->head_size < 9)
                continue;
            const unsigned char *head = (const unsigned char *)end->head;
            end->skip = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
            end->counts[head[3] & 15]++;
            end->head_size = 0;
        }
    }
}

static void end_received(void *state, struct memory_connection *connection, const char *bytes, size_t size)
{
    struct end *end = state;
    if (end->reads++ == 0 && memcmp(bytes, "GET", 3) == 0)
        end->http1 = true;
    if (end->http1) {
        mesh__memory_send(connection, OK_RESPONSE, strlen(OK_RESPONSE), NANOS_MS);
        return;
    }
    count_frames(end, bytes, size);
    if (end->conn == NULL)
        return;
    (void)mesh__http2_read(end->conn, bytes, size);
    peer_flush(end);
}

static void end_closed(void *state, struct memory_connection *connection)
{
    struct end *end = state;
    (void)connection;
    end->connection = NULL;
    mesh__http2_free(end->conn);
    end->conn = NULL;
}

static const struct memory_peer http2_peer = { end_opened, end_received, end_closed };

static inline void http2_setup(void)
{
    memset(&peer, 0, sizeof(peer));
    peer.max_streams = 100;
    mesh__http2_pool_init(&peer.pool, &mesh__mem_system, 1 << 20);
    scene_listens = &http2_peer;
    scene_setup();
    scene.group.protocol = POOL_HTTP2;
}

static inline void http2_teardown(void)
{
    scene_teardown();
    for (uint32_t i = 0; i < peer.count; i++)
        ck_assert_msg(peer.ends[i].connection == NULL, "connection %u was not closed", i);
    mesh__http2_pool_fini(&peer.pool);
}

/* A frame by hand, from the last connection's peer. */
static inline void say_frame(int type, int flags, uint32_t id, const char *payload, size_t size)
{
    char bytes[256] = { 0, (char)(size >> 8), (char)size, (char)type, (char)flags, 0, 0, (char)(id >> 8), (char)id };
    memcpy(bytes + 9, payload, size);
    mesh__memory_send(peer.ends[peer.count - 1].connection, bytes, 9 + size, 0);
}

static inline void say_reset(uint32_t id, uint32_t code)
{
    say_frame(RST_STREAM, 0, id, (const char[]){ 0, 0, 0, (char)code }, 4);
}

static inline void say_goaway(uint32_t last, uint32_t code)
{
    say_frame(GOAWAY, 0, 0, (const char[]){ 0, 0, 0, (char)last, 0, 0, 0, (char)code }, 8);
}

static inline void say_status_200(uint32_t id, bool end)
{
    say_frame(HEADERS, END_HEADERS | (end ? END_STREAM : 0), id, "\x88", 1);
}

static inline void pass_a_little(void)
{
    pass(4 * NANOS_MS);
}

/* So many exchanges begun on a connection whose peer is a hand's. */
static inline void ask_by_hand(struct talk *talks, int count)
{
    peer.by_hand = true;
    for (int i = 0; i < count; i++)
        ask(&talks[i], 0, "");
    pass(0);
    say_frame(SETTINGS, 0, 0, "", 0);
    pass(0);
    for (int i = 0; i < count; i++)
        ck_assert_str_eq(talks[i].story, "rs");
}

#endif
