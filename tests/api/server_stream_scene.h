/* SPDX-License-Identifier: Apache-2.0 */
/* server_stream_scene.h - a server whose handler reads and writes in pieces, as the path says, and what it met. */
#ifndef TESTS_API_SERVER_STREAM_SCENE_H
#define TESTS_API_SERVER_STREAM_SCENE_H

#include "api/server_http2_peer.h"

#include <stdatomic.h>

#define STREAM_LARGE ((size_t)10 << 20)

/* What of the server's memory is there, and how much there ever was. */
struct stream_memory {
    atomic_llong live, peak;
    long long before; /* live when the server was open */
    atomic_long left; /* allocations that still succeed; below 0: all do */
};

/* Stays where it is while its server lives.
 *
 * GET or POST /quick     a plain reply, "quick", without reading
 *      /echo             what is read is written; behind it the trailers of the request, and x-size
 *      /hold             says `entered`, waits for `go`, then as /echo
 *      /count            reads all, then replies how much it was
 *      /early            a response in pieces that does not wait for the request
 *      /silent           says `entered` and reads on; `status` is what it was told, `left` is said, then it drops
 *      /flood            writes without end until that fails, likewise
 *      /stuck            writes STREAM_LARGE bytes; says `entered` when there is no room at once
 *      /half             a head, a piece, a drop
 *      /twice            what must not be done, done
 *
 *      /headless         an end without a head
 *      /ready            as /echo, for workers 0: it goes on by mesh_exchange_on_ready() */
struct stream_scene {
    mesh_server *server;
    struct stream_memory memory;
    sem_t entered, go, left;
    atomic_int status;
    atomic_int gone;
    atomic_llong total; /* bytes that were taken at once by /stuck, before there was no room */
    atomic_int spans;
    atomic_int outcome; /* of the last span */
};

/* Opens it with these settings and flags. */
void stream_open(struct stream_scene *scene, const char *settings, int32_t flags);
void stream_close(struct stream_scene *scene);

/* The most that was used at a time beyond what an open server takes. */
long long stream_memory_used(const struct stream_scene *scene);

/* The byte at a place of all large bodies, and whether these are so many of them. */
char stream_byte(size_t at);
bool stream_is_right(const char *bytes, size_t size);

/* Of a call's request: STREAM_LARGE bytes, or call->body_size if that is set, then the trailer x-end: yes. */
body_next_fn stream_source;

#endif
