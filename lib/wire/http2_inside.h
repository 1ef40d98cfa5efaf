/* SPDX-License-Identifier: Apache-2.0 */
/* http2_inside.h - what the files http2*.c share. */
#ifndef MESH__WIRE_HTTP2_INSIDE_H
#define MESH__WIRE_HTTP2_INSIDE_H

#include "base/list.h"
#include "wire/http2.h"
#include "wire/http2_screen.h"

#include <nghttp2/nghttp2.h>

/* The fields of one header block, while it is read: names and values lie in nghttp2's counted buffers, which are held
 * until the event is over. One block, from the pool, with three arrays; there is at most one a connection. */
struct http2_fields {
    mesh_header *headers;
    nghttp2_rcbuf **held; /* name and value of each header */
    size_t count, room;
    nghttp2_rcbuf *pseudo[5];    /* the values of pseudo-fields, as enum http2_pseudo; NULL: not there */
    size_t size;                 /* as max_header counts */
    int32_t stream_id;           /* 0: no block is being read */
    struct http2_stream *stream; /* whose block it is; NULL: nobody asks about it */
};

enum http2_pseudo { PSEUDO_STATUS, PSEUDO_METHOD, PSEUDO_SCHEME, PSEUDO_AUTHORITY, PSEUDO_PATH };

struct http2_stream {
    struct http2_conn *conn;
    void *user;
    struct list link; /* in conn->streams */
    int32_t id;
    struct http1_limits limits;

    bool sent;          /* the head of our message was written */
    bool finished;      /* all of our message was written */
    bool headed;        /* the head event was told */
    bool ended;         /* the peer's message is whole */
    bool quiet;         /* nothing is told any more but the end */
    bool gone;          /* it was reset from inside its own event */
    bool answered;      /* mesh__http2_respond() was called */
    bool by_peer;       /* RST_STREAM came */
    mesh_status status; /* why we broke it, with words */
    const char *reason;
    uint32_t informational; /* 1xx responses so far */

    uint64_t received; /* bytes of body */
    uint64_t granted;  /* bytes of body that the peer was ever allowed to send */
    uint64_t limit;    /* it will never be allowed more */
    size_t held;       /* told and not yet consumed */
    size_t pending;    /* consumed and not yet granted again */
    size_t window;     /* how far the grant goes beyond what was consumed */
    uint64_t since;    /* consumed since the window grew */

    struct body_source body; /* what is left to send; bytes shrink */
    struct view out;         /* the payload of the DATA frame that is being written */

    size_t literal_size; /* of a request whose head waits to be written: see http2_literals.c */
    char literals[];
};

struct http2_conn {
    struct http2_pool *pool;
    const struct http2_events *events;
    void *user;
    struct http2_config config;
    nghttp2_session *session;
    struct list streams;
    struct http2_stream *current; /* whose event is being told */
    struct http2_fields fields;
    struct http2_screen screen;
    struct buf *out; /* during mesh__http2_write() */
    size_t out_most;
    bool out_paused;

    uint32_t open;          /* streams of ours that nghttp2 knows */
    uint32_t spoiled;       /* a server's: HTTP2_SPOILED_MAX */
    uint32_t empty;         /* DATA frames in a row */
    uint32_t continuations; /* frames of one header block */
    uint32_t greeting;      /* bytes that look like "HTTP/" so far; more than 5: they were not */
    uint32_t peer_streams;  /* so many the peer takes at once */
    bool goaway_received, drain_asked, goaway_sent;
    bool notice_waiting; /* the PING behind a shutdown notice is on its way */
    bool ping_waiting;
    bool doomed; /* mesh__http2_terminate() was called */
    uint32_t doom_code;
    const char *doom_reason; /* static */
    bool dead;               /* nghttp2 cannot or shall not go on: it is not called any more */
    bool unsaid;             /* the GOAWAY of a dead connection is still to be written */
    uint64_t ping_count;

    size_t window;  /* of the connection */
    uint64_t since; /* consumed since it grew */

    mesh_status status;
    mesh_status cut; /* while the streams of a broken or lost connection are told: why; MESH_OK: one of itself */
    char reason[128];
};

/* http2.c */

/* The connection is broken; the first reason stays. */
void mesh__http2_fail(struct http2_conn *conn, mesh_status status, const char *reason, size_t reason_size);

/* GOAWAY with this code goes out and nothing more is read; the connection is broken once it was written. `reason` is
 * static. */
void mesh__http2_terminate(struct http2_conn *conn, uint32_t code, const char *reason);

/* A draining client's last stream has ended: GOAWAY. */
void mesh__http2_farewell(struct http2_conn *conn);

/* http2_receive.c: nghttp2's callbacks for what is read. */
void mesh__http2_set_receivers(nghttp2_session_callbacks *callbacks);

/* http2_stream.c */

/* A stream in the connection's list, with room for literals; NULL when memory is out. */
struct http2_stream *mesh__http2_stream_new(struct http2_conn *conn, const struct http1_limits *limits, size_t room);
void mesh__http2_stream_free(struct http2_stream *stream);

/* The stream of this id that somebody still asks about; NULL when there is none. */
struct http2_stream *mesh__http2_find(struct http2_conn *conn, int32_t id);

/* Breaks the stream: RST_STREAM goes out, and its end tells the status. */
void mesh__http2_break(struct http2_stream *stream, mesh_status status, const char *reason, uint32_t code);

/* Tells the end of a stream that nghttp2 has closed or will never touch again, and frees it. */
void mesh__http2_tell_closed(struct http2_stream *stream, uint32_t code);

/* Counts a stream that has ended, well or not. Those that a client spoils cost a server work and its peer nothing: it
 * may not do so again and again. */
void mesh__http2_count_stream(struct http2_conn *conn, bool well);

/* Brackets around an event of a stream. The second is false when it must not be touched any more. */
static inline void mesh__http2_enter(struct http2_stream *stream)
{
    stream->conn->current = stream;
}
bool mesh__http2_leave(struct http2_stream *stream);

/* http2_fields.c */

/* A header block begins; false when memory is out. */
bool mesh__http2_fields_begin(struct http2_conn *conn, int32_t stream_id);

/* `key` and `text` are what lies in the two. */
bool mesh__http2_fields_add(struct http2_conn *conn, nghttp2_rcbuf *name, const nghttp2_vec *key, nghttp2_rcbuf *value,
                            const nghttp2_vec *text);
void mesh__http2_fields_end(struct http2_conn *conn);

/* Makes a head of the fields. NULL, or what is wrong with it. */
const char *mesh__http2_fields_head(const struct http2_conn *conn, bool no_body, struct http1_head *head);

/* http2_send.c: nghttp2's callbacks for what is written. */
void mesh__http2_set_senders(nghttp2_session_callbacks *callbacks);

/* http2_literals.c */

/* The name in lower case of a field that differs from request to request, which in HPACK's table would only push others
 * out; empty for all others. */
struct view mesh__http2_volatile_name(struct view name);

/* Room for the literals of such fields. 0: there are none, or the head may not fit one frame, and nghttp2 gets them. */
size_t mesh__http2_literals_room(const struct http2_request *request);

/* Adds one to a stream that was made with that room. */
void mesh__http2_literals_put(struct http2_stream *stream, struct view name, struct view value);

/* Appends what nghttp2 has written, and to the head of a request its literals. False: no memory. */
bool mesh__http2_append_frame(struct http2_conn *conn, const uint8_t *bytes, size_t size);

/* http2_window.c */

/* The first window of the connection; false when memory is out. */
bool mesh__http2_window_open(struct http2_conn *conn);

/* What a stream may still receive, once its head has come: `length` as in struct http1_head. */
void mesh__http2_window_limit(struct http2_stream *stream, int64_t length);

/* What was told of a stream that has ended, and not consumed, goes back to the connection's window. */
void mesh__http2_window_release(struct http2_stream *stream);

/* Body bytes of a stream that nobody will consume go back to the connection's window. */
void mesh__http2_window_return(struct http2_conn *conn, size_t size);

#endif
