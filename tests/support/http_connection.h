/* SPDX-License-Identifier: Apache-2.0 */
/* http_connection.h - one connection to an endpoint of http_script.h, over any stream, in the protocol that its client
 * begins with: HTTP/2 where the first bytes are its preface, else HTTP/1.1. */
#ifndef TESTS_SUPPORT_HTTP_CONNECTION_H
#define TESTS_SUPPORT_HTTP_CONNECTION_H

#include "net/stream.h"
#include "support/http_script.h"

struct http_connection;

/* Where a connection lives. Borrowed. */
struct http_place {
    struct loop *loop;
    struct http_script *script;
    int endpoint;
    void (*cut)(void *user);  /* has what lies below the stream reset */
    void (*gone)(void *user); /* the connection has ended, and is freed */
    void *user;
};

/* Owns the stream. */
struct http_connection *http_connection_new(const struct http_place *, struct stream *);

/* Ends it from outside: `gone` is not called. */
void http_connection_free(struct http_connection *);

/* ---- for the protocols ---- */

enum http_end { HTTP_STAYS, HTTP_FINISHES /* once all is sent */, HTTP_IS_CUT /* reset at once */ };

struct http_speech {
    const char *alpn;
    void *(*open)(struct http_connection *);
    void (*read)(void *state, const char *bytes, size_t size);
    bool (*fill)(void *state, struct buf *out); /* more to send, if there is any; false: that was all for now */
    void (*close)(void *state);
};

extern const struct http_speech http1_speech, http2_speech;

const struct http_place *http_connection_place(const struct http_connection *);
unsigned http_connection_count(struct http_connection *); /* of requests, with one more */
struct buf *http_connection_out(struct http_connection *);
void http_connection_end(struct http_connection *, enum http_end);

/* Something is to be sent, or it ends. Not from inside the functions above; the connection may be gone then. */
void http_connection_flush(struct http_connection *);

/* Ends the program where something must not be. */
void http_connection_must(bool good, const char *what);

#endif
