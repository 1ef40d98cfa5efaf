/* SPDX-License-Identifier: Apache-2.0 */
/* http2.h - HTTP/2 connections (RFC 9113), both sides: bytes in and events out, messages in and bytes out. No I/O.
 *
 * One connection carries many streams, each one request with its response. nghttp2 keeps the protocol's state and
 * HPACK's tables; the policy is ours: limits, flow control, floods, and what the end of a stream means to its caller.
 *
 * Nothing is sent by the functions that ask for something: mesh__http2_write() gives the frames of all streams at once,
 * so a loop turn costs one send. It is called after every turn in which anything was asked or read, until
 * mesh__http2_wants_write() is false. Events come from mesh__http2_read() and from mesh__http2_write(). From inside an
 * event everything may be called but read, write, lost and free of the same connection.
 *
 * A stream is the connection's. It ends, and its pointer with it, with the `closed` event, which comes exactly once for
 * each stream, or with mesh__http2_reset(), after which no event comes.
 *
 * Refused, each a broken stream that ends with MESH_PROTOCOL: names in upper case, connection-specific fields, TE other
 * than "trailers", pseudo-fields that are missing, doubled, unknown or late, characters that a name or value cannot
 * have, a Host that says something else than :authority, a path or authority that HTTP/1.1 would refuse, Content-Length
 * that is doubled or not what the DATA adds up to, a status outside 100..999, 101, a 1xx flood. Breaches of framing,
 * HPACK, SETTINGS or flow control, pushes and floods end the connection. CONNECT and extended CONNECT are refused.
 */
#ifndef MESH__WIRE_HTTP2_H
#define MESH__WIRE_HTTP2_H

#include "wire/http1.h"
#include "wire/http2_pool.h"

enum http2_role { HTTP2_CLIENT, HTTP2_SERVER };

/* Error codes that a caller uses or asks about; RFC 9113 7. */
enum http2_code {
    HTTP2_NO_ERROR = 0x0,
    HTTP2_PROTOCOL_ERROR = 0x1,
    HTTP2_INTERNAL_ERROR = 0x2,
    HTTP2_FLOW_CONTROL_ERROR = 0x3,
    HTTP2_SETTINGS_TIMEOUT = 0x4,
    HTTP2_STREAM_CLOSED = 0x5,
    HTTP2_FRAME_SIZE_ERROR = 0x6,
    HTTP2_REFUSED_STREAM = 0x7,
    HTTP2_CANCEL = 0x8,
    HTTP2_COMPRESSION_ERROR = 0x9,
    HTTP2_CONNECT_ERROR = 0xa,
    HTTP2_ENHANCE_YOUR_CALM = 0xb,
    HTTP2_INADEQUATE_SECURITY = 0xc,
    HTTP2_HTTP_1_1_REQUIRED = 0xd,
};

/* The code's name in RFC 9113, as "CANCEL"; "unknown" for a number that has none. Static. */
const char *mesh__http2_code_name(uint32_t code);

#define HTTP2_WINDOW_FIRST 65535                /* of a stream; it doubles with each windowful that was consumed */
#define HTTP2_WINDOW_MAX (1u << 20)             /* of a stream */
#define HTTP2_CONNECTION_WINDOW_MAX (16u << 20) /* a connection's is at least 4 of its widest stream's */
#define HTTP2_CONTINUATIONS_MAX 8
#define HTTP2_EMPTY_DATA_MAX 16 /* empty DATA frames in a row */
#define HTTP2_SPOILED_MAX 200   /* a server's streams that their client spoilt, beyond those that ended well */
#define HTTP2_DECODED_MAX 16    /* header blocks that decode to more than so many max_header are an attack */
#define HTTP2_SETTINGS_MAX 32   /* entries of one SETTINGS frame */
#define HTTP2_ACKS_MAX 1000     /* answers to PING and SETTINGS that wait to be written */

struct http2_conn;   /* opaque: nghttp2 stays inside http2*.c */
struct http2_stream; /* opaque */

struct http2_config {
    enum http2_role role;
    bool secure;                /* what a client says in :scheme: "https", else "http" */
    struct http1_limits limits; /* of requests to a server; of responses each request brings its own. max_header is the
                                   bytes of names and values, 4 more a field, pseudo-fields included */
    uint32_t max_streams;       /* a server's SETTINGS_MAX_CONCURRENT_STREAMS; a client opens no more than this (0: as
                                   the peer says) */
    bool apart;       /* only a stream's window waits for mesh__http2_consume(); the connection's is given back as
                         bytes come, so that streams which nobody reads do not hold up the others */
    int32_t first_id; /* a client's first stream; 0: 1 */
};

/* How a stream ended. */
struct http2_closed {
    mesh_status status;  /* MESH_OK: of a client's stream, the response is whole, else the response was sent whole.
                            MESH_REFUSED, MESH_RESET (before the head), MESH_PARTIAL_RESPONSE (behind it), MESH_PROTOCOL,
                            MESH_HEADER_TOO_LARGE, MESH_TOO_MANY_HEADERS, MESH_BODY_TOO_LARGE, MESH_NO_MEMORY, or what
                            mesh__http2_lost() was given */
    bool unprocessed;    /* provably: never sent, above GOAWAY's last stream, or REFUSED_STREAM before any response */
    bool http1_required; /* the peer wants this request over HTTP/1.1 */
    bool by_peer;        /* it sent RST_STREAM, with this code; else the code is ours */
    uint32_t code;
    const char *reason; /* words for a person, valid during the event */
};

struct http2_goaway {
    int32_t last; /* streams above it were not processed: each is closed so after this event */
    uint32_t code;
    struct view debug;
};

/* What happens, with `user` of the connection. Everything given is valid during the event only. False: memory is out,
 * which ends the stream. */
struct http2_events {
    /* The final response to a client, a request to a server. Said once, before everything else of a stream. */
    bool (*head)(void *user, struct http2_stream *, const struct http1_head *);

    /* Bytes of the body. They count against the stream's window until mesh__http2_consume(). */
    bool (*body)(void *user, struct http2_stream *, struct view bytes);

    /* Fields behind the body, counted and checked as those of the head are. */
    bool (*trailers)(void *user, struct http2_stream *, const mesh_header *headers, size_t count);

    /* The peer's message is whole. */
    bool (*end)(void *user, struct http2_stream *);

    /* To a server: a limit was passed; the request is not read further. It may be answered, or reset. NULL for a
     * client, whose stream is closed with the status. */
    void (*refused)(void *user, struct http2_stream *, mesh_status status);

    /* The last event of a stream. To a server also of a malformed request, of which no head was told. */
    void (*closed)(void *user, struct http2_stream *, const struct http2_closed *);

    /* SETTINGS came: so many streams may be open at once. */
    void (*settings)(void *user, uint32_t max_streams);

    /* The peer takes no more streams on this connection. May come twice: RFC 9113 6.8. */
    void (*goaway)(void *user, const struct http2_goaway *);

    /* The answer to mesh__http2_ping(). */
    void (*pong)(void *user);
};

/* NULL when memory is out. `pool` and `events` are borrowed. The first mesh__http2_write() gives the preface. */
struct http2_conn *mesh__http2_new(struct http2_pool *pool, const struct http2_config *config,
                                   const struct http2_events *events, void *user);

/* Its streams are forgotten, not told. NULL is fine. */
void mesh__http2_free(struct http2_conn *conn);

/* Takes all bytes. MESH_OK, or why the connection is broken, from then on for ever: all streams are closed, and what
 * mesh__http2_write() still gives (a GOAWAY) may be sent before closing. */
mesh_status mesh__http2_read(struct http2_conn *conn, const char *bytes, size_t size);

/* Appends frames until `out` has `most` bytes or there are none; the last frame may go beyond by 64 KiB, which the cap
 * of `out` must allow. The status is as in mesh__http2_read(). */
mesh_status mesh__http2_write(struct http2_conn *conn, struct buf *out, size_t most);

/* True while mesh__http2_write() would give bytes. */
bool mesh__http2_wants_write(const struct http2_conn *conn);

/* The bytes below are gone: each stream is closed, with `status` (MESH_RESET) or MESH_PARTIAL_RESPONSE behind a head.
 */
void mesh__http2_lost(struct http2_conn *conn, mesh_status status, const char *reason);

/* Why the connection is broken; words that live as long as it. */
const char *mesh__http2_reason(const struct http2_conn *conn);

/* True when what came first was an HTTP/1 status line: this peer does not speak HTTP/2. */
bool mesh__http2_peer_is_http1(const struct http2_conn *conn);

/* How many streams a client may open now: 0 when the peer's limit is reached, and for ever once mesh__http2_draining().
 * Before the peer's SETTINGS have come, the limit is taken to be 100. */
uint32_t mesh__http2_room(const struct http2_conn *conn);

/* True when no stream can be opened any more: GOAWAY was sent or received, the ids are used up, or it is broken. */
bool mesh__http2_draining(const struct http2_conn *conn);

/* Streams that have not been closed, reset ones included until that is written. */
uint32_t mesh__http2_open_streams(const struct http2_conn *conn);

/* Asks the peer for a sign of life. False when one is on its way, or memory is out. */
bool mesh__http2_ping(struct http2_conn *conn);
bool mesh__http2_ping_waiting(const struct http2_conn *conn);

/* Ends the connection gracefully. A server says that it takes no more streams after a round trip, so that none that is
 * on its way is lost; a client opens none. Then `done` once the last stream has ended and all is written. */
void mesh__http2_drain(struct http2_conn *conn);
bool mesh__http2_done(const struct http2_conn *conn);

/* BODY_BROKEN of a source resets the stream with INTERNAL_ERROR, then it is closed with MESH_EINTERNAL. Sources are
 * asked from mesh__http2_write(). */
struct http2_request {
    struct view method, path, authority;
    const struct http1_field_group *groups; /* copied; names in any case. Nothing is checked: see http1_check.h */
    size_t group_count;
    struct body_source body;    /* all zero: none */
    struct http1_limits limits; /* of the response */
};

/* Opens a stream. MESH_OK; MESH_OVERLOADED: no room now; MESH_ECLOSED: the connection is draining; MESH_NO_MEMORY.
 * After a failure there is no stream. "content-length" is added as mesh__http1_write_request() does. */
mesh_status mesh__http2_request(struct http2_conn *conn, const struct http2_request *request, void *user,
                                struct http2_stream **out);

struct http2_response {
    int32_t status;                         /* 200 to 999 */
    const struct http1_field_group *groups; /* copied */
    size_t group_count;
    const char *date; /* NULL: none */
    struct body_source body;
    bool no_body; /* the answer to HEAD: the body is not sent, its size is said */
    bool no_size; /* no "content-length": gRPC */
};

/* Answers, once, from `head` on. A request that is still coming is then cut off with NO_ERROR. False: no memory. */
bool mesh__http2_respond(struct http2_stream *stream, const struct http2_response *response);

/* 100 (Continue), before the answer. */
bool mesh__http2_continue(struct http2_stream *stream);

/* A source that said BODY_LATER has something now. Harmless at any other time. */
void mesh__http2_resume(struct http2_stream *stream);

/* So many bytes of body events are done with: the peer may send as many. */
void mesh__http2_consume(struct http2_stream *stream, size_t size);

/* Ends the stream at once, from this side. No event comes any more, nothing borrowed is read. */
void mesh__http2_reset(struct http2_stream *stream, uint32_t code);

void *mesh__http2_stream_user(const struct http2_stream *stream);
void mesh__http2_set_stream_user(struct http2_stream *stream, void *user);
int32_t mesh__http2_stream_id(const struct http2_stream *stream);

/* True once the head of the request was written (mesh__http2_write), and once all of the body was. */
bool mesh__http2_stream_sent(const struct http2_stream *stream);
bool mesh__http2_stream_finished(const struct http2_stream *stream);

#endif
