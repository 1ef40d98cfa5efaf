/* SPDX-License-Identifier: Apache-2.0 */
/* result.h - what a call ends with: one block that holds request, response and attempts, recycled through a store.
 *
 * Each shard has a store. A call takes a block when it starts and copies its request in; at its end the block becomes
 * the user's mesh_result. A freed block goes back to its own store by one compare-and-swap, from any thread, also in a
 * child after fork(). The store outlives its client: once closed, blocks freed go straight to the allocator, and the
 * last one takes the store along. Results for what needs no block (memory is out, NULL client, fork) are static, one
 * for each code. */
#ifndef MESH__CLIENT_RESULT_H
#define MESH__CLIENT_RESULT_H

#include "base/mem.h"
#include "base/view.h"
#include "call/machine.h"
#include "wire/trace.h"

#include <mesh/call.h>

#define BLOCK_SIZE 5120

struct store;

/* What an attempt's connection was secured by. */
struct attempt_security {
    const char *peer_id, *version, *suite, *alpn;
    bool resumed;
};

/* One attempt as the user will see it; endpoint texts are in the block. */
struct attempt_record {
    const char *endpoint;
    mesh_status status;
    int32_t http_status, pick, retry, stop, reused, error_number;
    uint8_t span_id[8];
    int32_t http_version;
    int32_t grpc_status; /* -1: no gRPC call */
    mesh_nanos start, connect, tls, send, wait, receive, backoff;
    const char *reason;                      /* words that say more than the status, or NULL */
    const struct attempt_security *security; /* in the block; NULL: plain text, or unknown */
};

struct chunk; /* memory beyond the block, freed with it */

struct mesh_result {
    struct store *store;        /* NULL: static */
    struct mesh_result *next;   /* in the store */
    struct mesh_result *queued; /* in the client's queue of completions */
    struct chunk *chunks;
    size_t used; /* of the block, behind this struct */
    mesh_status status;
    int32_t http_status;
    int32_t grpc_status; /* -1: no gRPC call */
    const char *grpc_message;
    const char *body; /* a NUL follows */
    size_t body_size, body_capacity;
    mesh_header *headers, *trailers; /* values are NUL-terminated */
    size_t header_count, trailer_count;
    const char *message;
    mesh_call_id id;
    uint64_t tag;
    void *user;
    mesh_nanos duration;
    char trace_id[33];
    uint8_t attempt_count;
    struct attempt_record attempts[MACHINE_ATTEMPTS];
};

/* NULL when memory is out. */
struct store *mesh__store_new(const struct mem *);

/* No block is taken any more; the store goes with its last block. NULL is legal. */
void mesh__store_close(struct store *);

/* An empty result; NULL when memory is out. Any thread. */
struct mesh_result *mesh__result_take(struct store *);

/* The static result of a code. Never NULL. */
struct mesh_result *mesh__result_static(mesh_status status);

/* Gives it back; NULL and static results are legal. */
void mesh__result_release(struct mesh_result *);

/* Memory that lives as long as the result, aligned for any type; NULL when memory is out. */
void *mesh__result_alloc(struct mesh_result *, size_t bytes);

/* A NUL-terminated copy in the result. */
char *mesh__result_copy(struct mesh_result *, struct view text);

/* Starts the response anew: `expected` bytes of body are likely (0: not known). False when memory is out. */
bool mesh__result_start_body(struct mesh_result *, size_t expected);
bool mesh__result_append_body(struct mesh_result *, struct view bytes);

/* Copies the fields. False when memory is out. */
bool mesh__result_set_headers(struct mesh_result *, const mesh_header *headers, size_t count);
bool mesh__result_set_trailers(struct mesh_result *, const mesh_header *trailers, size_t count);

/* Forgets the response, for a call that ended with an error. */
void mesh__result_drop_response(struct mesh_result *);

#endif
