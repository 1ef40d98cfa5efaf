/* SPDX-License-Identifier: Apache-2.0 */
/* exchange.h - one request that was received, with everything it takes to answer it; outlives peer and server. */
#ifndef MESH__SERVER_EXCHANGE_H
#define MESH__SERVER_EXCHANGE_H

#include "base/buf.h"
#include "server/peer.h"
#include "server/server.h"
#include "telemetry/inbound.h"
#include "wire/http2.h"

struct connection;

/* Of HTTP/2, where the list that it is in says the same. */
enum exchange_stage { EXCHANGE_COMING, EXCHANGE_SERVING, EXCHANGE_GOING };

struct mesh_exchange {
    mesh_server *server;           /* a reference */
    struct connection *connection; /* the loop's; NULL once it has closed */
    struct list link;              /* in the workers' queue or the inbox */
    atomic_bool gone;              /* the connection has closed, and the loop knows the exchange no more */
    struct peer *peer;             /* a reference */
    bool is_http2;
    struct http2_stream *stream; /* of HTTP/2, the loop's; valid while `connection` is */
    struct list here;            /* of HTTP/2: in one of its connection's lists */
    enum exchange_stage stage;   /* the loop's */

    const char *method, *path, *authority;
    const mesh_header *headers; /* names and values are followed by a NUL */
    size_t header_count;
    struct buf body;
    struct mesh_inbound inbound;
    bool is_head;
    bool is_grpc;    /* what the server itself answers is a gRPC status */
    bool keep_alive; /* an HTTP/1.0 peer asked to keep the connection, and is to be told that it is kept */
    bool close;      /* it is to be closed after the answer */
    bool denied;     /* by the server's policy: no handler sees it */

    mesh_nanos arrived; /* the head; on the monotonic clock */
    int64_t arrived_unix;
    struct trace_context span;
    uint8_t parent_id[8];

    /* Of whoever has the exchange, until it comes back to the loop. */
    mesh_nanos answered;
    mesh_status outcome; /* of the span */
    int32_t status;      /* of the reply */
    struct buf reply;    /* HTTP/1.1: head and body as they go out; empty when memory was out. HTTP/2: the body */
    mesh_header *fields; /* HTTP/2: names and values in the same block; NULL when memory was out */
    size_t field_count;
    bool trailers_only; /* a gRPC status of the server's own, and nothing else */
    size_t body_size;   /* HTTP/2: as it is said, also where it is not sent */
    size_t body_sent;   /* the loop's */
    mesh_nanos moved;   /* the loop's: the answer last got on */
};

/* Copies the head. NULL when memory is out. On the loop. `stream` is NULL in HTTP/1.1. */
mesh_exchange *mesh__exchange_new(mesh_server *, struct connection *, struct http2_stream *, struct peer *,
                                  const struct http1_head *);

/* True once the connection's identity is no longer the server's: this answer is to be its last. Any thread. */
bool mesh__exchange_is_outdated(const mesh_exchange *);

/* Frees it and gives up its reference of the server. Any thread, by whoever has it. */
void mesh__exchange_free(mesh_exchange *);

/* Reports the span, once in an exchange's life; `status` 0: no reply. On the loop. */
void mesh__exchange_report(const mesh_exchange *, mesh_status outcome, int32_t status, mesh_nanos ended);

/* The first field of this name, in any case; NULL when there is none. */
const mesh_header *mesh__exchange_find(const mesh_header *headers, size_t count, struct view name);

#endif
