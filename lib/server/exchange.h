/* SPDX-License-Identifier: Apache-2.0 */
/* exchange.h - one request that was received, with everything it takes to answer it; outlives peer and server. */
#ifndef MESH__SERVER_EXCHANGE_H
#define MESH__SERVER_EXCHANGE_H

#include "base/buf.h"
#include "server/peer.h"
#include "server/server.h"
#include "telemetry/inbound.h"
#include "wire/http1.h"

struct connection;

struct mesh_exchange {
    mesh_server *server;           /* a reference */
    struct connection *connection; /* the loop's; NULL once it has closed */
    struct list link;              /* in the workers' queue or the inbox */
    atomic_bool gone;              /* the connection has closed, and the loop knows the exchange no more */
    struct peer *peer;             /* a reference */

    const char *method, *path, *authority;
    const mesh_header *headers; /* names and values are followed by a NUL */
    size_t header_count;
    struct buf body;
    struct mesh_inbound inbound;
    bool is_head;
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
    struct buf reply;    /* head and body as they go out; empty when memory was out */
};

/* Copies the head. NULL when memory is out. On the loop. */
mesh_exchange *mesh__exchange_new(mesh_server *, struct connection *, struct peer *, const struct http1_head *);

/* True once the connection's identity is no longer the server's: this answer is to be its last. Any thread. */
bool mesh__exchange_is_outdated(const mesh_exchange *);

/* Frees it and gives up its reference of the server. Any thread, by whoever has it. */
void mesh__exchange_free(mesh_exchange *);

/* Reports the span, once in an exchange's life; `status` 0: no reply. On the loop. */
void mesh__exchange_report(const mesh_exchange *, mesh_status outcome, int32_t status, mesh_nanos ended);

/* The first field of this name, in any case; NULL when there is none. */
const mesh_header *mesh__exchange_find(const mesh_header *headers, size_t count, struct view name);

#endif
