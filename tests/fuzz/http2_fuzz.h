/* SPDX-License-Identifier: Apache-2.0 */
/* http2_fuzz.h - what both HTTP/2 targets check: however the bytes are cut, they are the same events; each stream ends
 * once; no block of memory is lost, and no more than a bound is held.
 *
 * An input is the frames that the peer sends, behind the preface and SETTINGS, which the target adds. What the
 * connection answers is written out in the middle of the input and at its end.
 */
#ifndef MESH__TESTS_HTTP2_FUZZ_H
#define MESH__TESTS_HTTP2_FUZZ_H

#define FUZZ_HTTP2_WORDS                                                                                               \
    "\x82", "\x84\x86", "\x88", "\x8d", "\x40", "\x3f\xe1\x1f", "\x01\x05", "\x01\x04", "\x04\x01", "\x09\x04",        \
        "\x7f\xff\xff\xff", "\xff\xff\xff\xff", ":status", ":path", ":authority", "content-length", "te", "trailers"

#include "fuzz_main.h"

#include "../unit/wire/http2_pair.h"

#define FUZZ_STREAMS 64
#define FUZZ_MEMORY (1 << 20)

/* The bodies by stream, whatever pieces they came in; of one that is cut short it does matter. */
static uint32_t fuzz_bodies[FUZZ_STREAMS];
static uint32_t fuzz_opened;

static bool fuzz_body(void *user, struct http2_stream *stream, struct view bytes)
{
    (void)user;
    uint32_t *hash = &fuzz_bodies[mesh__http2_stream_id(stream) / 2 % FUZZ_STREAMS];
    for (size_t i = 0; i < bytes.size; i++)
        *hash = (*hash ^ (unsigned char)bytes.data[i]) * 16777619u;
    mesh__http2_consume(stream, bytes.size);
    return true;
}

static bool fuzz_head(void *user, struct http2_stream *stream, const struct http1_head *head)
{
    struct peer *peer = user;
    fuzz_opened += head->status == 0;
    return peer_head(user, stream, head) && (head->status != 0 || peer_answer(peer->last, 200, "answer"));
}

static bool fuzz_end(void *user, struct http2_stream *stream)
{
    struct peer *peer = user;
    mesh__buf_printf(&peer->log, "body %u ", fuzz_bodies[mesh__http2_stream_id(stream) / 2 % FUZZ_STREAMS]);
    return peer_end(user, stream);
}

static void fuzz_refused(void *user, struct http2_stream *stream, mesh_status status)
{
    peer_refused(user, stream, status);
    (void)peer_answer(stream, 431, "");
}

static const struct http2_events fuzz_events = { fuzz_head,   fuzz_body,     peer_trailers, fuzz_end, fuzz_refused,
                                                 peer_closed, peer_settings, peer_goaway,   peer_pong };

static void fuzz_open(struct peer *peer, enum http2_role role)
{
    static const struct http1_limits limits = { 1000, 8, 1 << 20 };
    struct http2_config config = { .role = role, .limits = limits, .max_streams = role == HTTP2_SERVER ? 8 : 0 };
    struct body_source body = body_of("a body that is sent");
    *peer = (struct peer){ 0 };
    mesh__http2_pool_init(&peer->pool, &mesh__mem_system, 1 << 20);
    mesh__buf_init(&peer->log, &mesh__mem_system, 1 << 24);
    mesh__buf_init(&peer->out, &mesh__mem_system, 1 << 24);
    peer->conn = mesh__http2_new(&peer->pool, &config, &fuzz_events, peer);
    FUZZ_CHECK(peer->conn != NULL);
    memset(fuzz_bodies, 0, sizeof fuzz_bodies);
    fuzz_opened = 0;
    if (role == HTTP2_CLIENT) {
        FUZZ_CHECK(peer_request(peer, "GET", "/", NULL) != NULL);
        FUZZ_CHECK(peer_request(peer, "POST", "/", &body) != NULL);
        FUZZ_CHECK(peer_request(peer, "HEAD", "/", NULL) != NULL);
        fuzz_opened = 3;
    }
    peer_write(peer);
    struct buf hello;
    mesh__buf_init(&hello, &mesh__mem_system, 1000);
    if (role == HTTP2_SERVER)
        mesh__buf_append_text(&hello, PREFACE);
    frame(&hello, SETTINGS, 0, 0, NULL, 0);
    frame(&hello, SETTINGS, ACK, 0, NULL, 0);
    peer_read(peer, hello.data, hello.size, SIZE_MAX);
    mesh__buf_fini(&hello);
}

/* The whole life of a connection that is sent these bytes in pieces; its events as text. */
static void fuzz_life(enum http2_role role, const char *bytes, size_t size, size_t piece, struct buf *told)
{
    struct peer peer;
    fuzz_open(&peer, role);
    size_t half = size / 2;
    peer_read(&peer, bytes, half, piece);
    peer_write(&peer);
    peer_read(&peer, bytes + half, size - half, piece);
    FUZZ_CHECK(peer.pool.used_bytes < FUZZ_MEMORY);
    mesh_status status = peer_write(&peer);
    FUZZ_CHECK(peer.out.size < FUZZ_MEMORY);
    mesh__http2_lost(peer.conn, MESH_RESET, "the end");
    FUZZ_CHECK(role == HTTP2_SERVER ? peer.closed >= fuzz_opened : peer.closed == fuzz_opened);
    /* Behind its end, or an error, nghttp2 looks at what comes in the same piece, and at nothing else. */
    const char *text = mesh__buf_text(&peer.log), *goaway = strstr(text, "goaway");
    mesh__buf_append(told, text, goaway != NULL ? (size_t)(goaway - text) : strlen(text));
    if (goaway == NULL)
        mesh__buf_printf(told, "status %d, %zu written", status, status == MESH_OK ? peer.out.size : 0);
    peer_close(&peer);
}

static void fuzz_http2(enum http2_role role, const uint8_t *data, size_t size)
{
    struct buf whole, cut;
    mesh__buf_init(&whole, &mesh__mem_system, 1 << 24);
    mesh__buf_init(&cut, &mesh__mem_system, 1 << 24);
    fuzz_life(role, (const char *)data, size, SIZE_MAX, &whole);
    fuzz_life(role, (const char *)data, size, 1 + (size > 0 ? data[size / 3] % 11 : 0), &cut);
    FUZZ_CHECK(mesh__view_equal(mesh__view(whole.data, whole.size), mesh__view(cut.data, cut.size)));
    mesh__buf_fini(&whole);
    mesh__buf_fini(&cut);
}

#endif
