/* SPDX-License-Identifier: Apache-2.0 */
/* hostile_http2.h - HTTP/2 servers that are scripts of frames made by hand, and a client whose clock the test moves.
 *
 * There is one scene a test: a client in external mode over a network in memory, with two endpoints. Nothing waits. */
#ifndef TESTS_FAULT_HOSTILE_HTTP2_H
#define TESTS_FAULT_HOSTILE_HTTP2_H

#include "base/buf.h"
#include "net/memory.h"
#include "wire/http2.h"

#include <mesh/mesh.h>

enum { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4, PADDED = 8 };

#define HOSTILE_A "10.0.0.1:80"
#define HOSTILE_B "10.0.0.2:80"
#define HOSTILE_ENDS 64

/* A frame that the client sent; its payload is valid during the script. */
struct hostile_frame {
    uint8_t type, flags;
    uint32_t stream;
    const unsigned char *payload;
    size_t size;
};

/* The server's side of one connection. */
struct hostile_end {
    struct memory_connection *connection; /* NULL once the client has closed it */
    int endpoint;                         /* 0: HOSTILE_A */
    bool http1;                           /* the client spoke HTTP/1.1: answered with 200 */
    uint32_t counts[16];                  /* frames that came, by type; acknowledgements are left out */
    uint32_t acks;                        /* of SETTINGS and PING */
    uint32_t last;                        /* the last stream that was opened */
    uint32_t code;                        /* of the last RST_STREAM or GOAWAY that came */
    uint32_t code_stream;                 /* its stream, 0 for GOAWAY */
    uint64_t data;                        /* bytes of DATA that came */
    struct buf in;
    bool greeted;
};

typedef void hostile_http2_script(struct hostile_end *end, const struct hostile_frame *frame);

extern struct hostile_http2 {
    hostile_http2_script *script; /* told each frame but acknowledgements; NULL: nothing is answered */
    const char *settings;         /* what a connection is greeted with: entries of SETTINGS; NULL: nothing at all */
    size_t settings_size;
    struct hostile_end ends[HOSTILE_ENDS]; /* in the order opened */
    uint32_t count;
    mesh_client *client;
    mesh_nanos now;
} h2;

/* Opens the scene. `members` are those of the service "s" in JSON, with ' for "; its endpoints, protocol, timeout
 * (1 h) and balancer (round-robin) are given already. `endpoints` is 1 or 2. */
void hostile_http2_open(int endpoints, const char *members, hostile_http2_script *script);
void hostile_http2_close(void);

/* Has the next connections be greeted by such entries: { identifier, value }. */
void hostile_http2_set(const uint32_t (*entries)[2], size_t count);

/* Starts a call. Lets the client run until a result, which is the caller's, or for so long in its own time. */
void hostile_http2_start(const char *method, const char *body, size_t body_size);
mesh_result *hostile_http2_next(void);
void hostile_http2_pass(mesh_nanos time);
mesh_result *hostile_http2_call(const char *method);

/* How many results can be taken. They are freed; each must be a response with status 200. */
uint32_t hostile_http2_responses(void);

/* For scripts, and between runs. */
void say_frame(struct hostile_end *end, int type, int flags, uint32_t stream, const void *payload, size_t size);
void say_bytes(struct hostile_end *end, const void *bytes, size_t size);
void say_settings(struct hostile_end *end, uint32_t identifier, uint32_t value);
void say_reset(struct hostile_end *end, uint32_t stream, uint32_t code);
void say_goaway(struct hostile_end *end, uint32_t last, uint32_t code);
void say_window(struct hostile_end *end, uint32_t stream, uint32_t size);
void say_ok(struct hostile_end *end, uint32_t stream); /* a response that is whole */
void say_head(struct hostile_end *end, uint32_t stream);

/* The last frame of a request. */
bool is_request(const struct hostile_frame *frame);

/* A script: answers each request. */
void answer_all(struct hostile_end *end, const struct hostile_frame *frame);

#endif
