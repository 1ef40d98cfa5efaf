/* SPDX-License-Identifier: Apache-2.0 */
/* server_http2_peer.h - a blocking HTTP/2 client for tests of the server, on the library's own codec; and frames made
 * by hand. No wait is longer than PEER_PATIENCE_S; one that would be fails the test. */
#ifndef TESTS_API_SERVER_HTTP2_PEER_H
#define TESTS_API_SERVER_HTTP2_PEER_H

#include "api/server_peer.h"
#include "wire/http2.h"

#define CALL_FIELDS_MAX 8

/* A call, zero-initialised but for what is asked. It stays where it is until it is `closed`. */
struct call {
    const char *method, *path; /* NULL: GET, "/" */
    mesh_header headers[CALL_FIELDS_MAX];
    size_t header_count;
    const char *body;
    size_t body_size;
    body_next_fn *next; /* in place of the body */
    size_t given;       /* of a body by `next` */
    bool unending;      /* it never ends */

    struct http2_stream *stream; /* NULL once closed */
    int32_t status;              /* of the response's head; 0: none came */
    char fields[1024];           /* of it: "name: value\n" each */
    struct buf received;
    bool ended, closed;
    mesh_status outcome;
    uint32_t code;
    bool by_peer, unprocessed;
};

struct caller {
    int fd;
    struct http2_pool pool;
    struct http2_conn *conn;
    struct buf out;
    bool hold; /* no body is consumed, so no window opens */
    bool gone; /* the connection has ended */
    uint32_t goaways;
    uint32_t open; /* calls that are not closed */
};

/* The caller stays where it is. */
void caller_connect(struct caller *caller, const char *address);
void caller_close(struct caller *caller);

/* Adds a field that is a string. */
void call_field(struct call *call, const char *name, const char *value);

/* Starts a call: MESH_OK, or why not. */
mesh_status caller_start(struct caller *caller, struct call *call);

/* Sends and reads until `done` says so; the connection's end is no failure then. */
void caller_run(struct caller *caller, bool (*done)(void *user), void *user);

/* One call from beginning to end; its status, or 0. */
int caller_ask(struct caller *caller, struct call *call);

/* Until this call is closed; until all are; until the connection has ended. */
void caller_await(struct caller *caller, struct call *call);
void caller_finish(struct caller *caller);
void caller_until_gone(struct caller *caller);

/* Sends what there is, then reads what comes next. */
void caller_step(struct caller *caller);

/* Sends what there is to send. */
void caller_flush(struct caller *caller);

void call_free(struct call *call);

/* The value of a field of the response, into `out`; "" when there is none. */
const char *call_value(const struct call *call, const char *name, char out[128]);

/* ---- frames by hand, over a struct peer ---- */

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define GET_BLOCK "\x82\x84\x86\x41\x01x" /* GET / http x */

enum {
    FRAME_DATA,
    FRAME_HEADERS,
    FRAME_PRIORITY,
    FRAME_RST,
    FRAME_SETTINGS,
    FRAME_PUSH,
    FRAME_PING,
    FRAME_GOAWAY,
    FRAME_WINDOW,
    FRAME_CONTINUATION
};
enum { FLAG_END_STREAM = 1, FLAG_ACK = 1, FLAG_END_HEADERS = 4, FLAG_PADDED = 8 };

/* Appends a frame. */
void frame_put(struct buf *out, uint8_t type, uint8_t flags, uint32_t stream, const void *payload, size_t size);

/* The preface and empty SETTINGS. */
void frame_open(struct buf *out);

struct frame {
    uint8_t type, flags;
    uint32_t stream, size;
    uint32_t code; /* of RST_STREAM and GOAWAY */
    uint32_t last; /* stream of GOAWAY */
};

/* Reads frames until one of this type; false when the connection ends first. Other frames are passed over. */
bool frame_await(struct peer *peer, uint8_t type, struct frame *out);

#endif
