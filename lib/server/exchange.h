/* SPDX-License-Identifier: Apache-2.0 */
/* exchange.h - one request that was received, with everything it takes to answer it; outlives peer and server. */
#ifndef MESH__SERVER_EXCHANGE_H
#define MESH__SERVER_EXCHANGE_H

#include "server/flow.h"
#include "server/peer.h"
#include "server/server.h"
#include "telemetry/inbound.h"
#include "wire/grpc.h"
#include "wire/http2.h"

struct connection;

/* Of HTTP/2, where the list that it is in says the same. */
enum exchange_stage { EXCHANGE_COMING, EXCHANGE_SERVING, EXCHANGE_GOING };

struct mesh_exchange {
    struct refs refs;              /* the connection's, that of whoever has it, and the inbox's */
    mesh_server *server;           /* a reference */
    struct connection *connection; /* the loop's; NULL once it has closed */
    struct list link;              /* in the workers' queue or the inbox */
    uint32_t posted;               /* enum server_post: why it is in the inbox; under the server's lock */
    atomic_bool gone;              /* the connection has closed, and the loop knows the exchange no more */
    struct peer *peer;             /* a reference */
    bool is_http2;
    struct http2_stream *stream; /* of HTTP/2, the loop's; valid while `connection` is */
    struct list here;            /* of HTTP/2: in one of its connection's lists */
    struct flow flow;

    /* The loop's own. */
    enum exchange_stage stage;
    bool handed;      /* over, to a worker or a handler */
    bool coming;      /* the request is not whole, and somebody still wants it */
    bool sending;     /* the response has bytes that are not sent, as far as is known */
    bool started;     /* the head of the response is on its way */
    bool returned;    /* whoever had it has ended it */
    bool reported;    /* its span */
    mesh_nanos moved; /* either half last got on */

    const char *method, *path, *authority;
    const mesh_header *headers; /* names and values are followed by a NUL */
    size_t header_count;
    struct mesh_inbound inbound;
    uint64_t max_body; /* of the server's settings, which it outlives */
    bool in_pieces;    /* handed over before the request was whole */
    struct buf body;   /* the request's: all of it, or a piece. The loop's until it is handed over */
    bool is_head;
    bool is_old;     /* HTTP/1.0 */
    bool is_grpc;    /* what the server itself answers is a gRPC status */
    bool keep_alive; /* an HTTP/1.0 peer asked to keep the connection, and is to be told that it is kept */
    bool close;      /* it is to be closed after the answer */
    bool denied;     /* by the server's policy: no handler sees it */

    mesh_nanos arrived; /* the head; on the monotonic clock */
    int64_t arrived_unix;
    struct trace_context span;
    uint8_t parent_id[8];

    /* Of whoever has the exchange, until it comes back to the loop. */
    size_t body_at;  /* so many bytes of `body` have been read */
    bool at_end;     /* it was told that nothing follows */
    int32_t refusal; /* what a drop is answered with: a status, for what was wrong with the request; 0: 500 */
    bool headed;     /* a head was made: what follows comes in pieces, */
    bool bodiless;   /* or not at all, and then the head waits for the end */
    bool broken;     /* the response will never be whole, though its head is out */
    bool decoding;   /* gRPC messages out of what comes */
    bool received;   /* the one in `message` was handed out */
    struct grpc_decoder decoder;
    struct buf message; /* the last one that was received, or as much as there is of the next */
    mesh_nanos answered;
    mesh_status outcome; /* of the span */
    int32_t status;      /* of the reply */
    struct buf reply;    /* HTTP/1.1: head and body as they go out; empty when memory was out. HTTP/2: the body. Of a
                            response in pieces, HTTP/1.1: the head, and then the loop's, as for HTTP/2: a piece */
    mesh_header *fields; /* HTTP/2: names and values in the same block; NULL when memory was out */
    size_t field_count;
    bool trailers_only; /* a gRPC status of the server's own, and nothing else */
    size_t body_size;   /* HTTP/2: as it is said, also where it is not sent */
    size_t body_sent;   /* of `reply`; the loop's */
};

/* Copies the head. NULL when memory is out. On the loop. `stream` is NULL in HTTP/1.1. */
mesh_exchange *mesh__exchange_new(mesh_server *, struct connection *, struct http2_stream *, struct peer *,
                                  const struct http1_head *);

/* What is in `body` and has not been read. */
static inline struct view mesh__exchange_unread(const mesh_exchange *exchange)
{
    size_t left = exchange->body.size - exchange->body_at;
    return mesh__view(left > 0 ? exchange->body.data + exchange->body_at : "", left);
}

/* The response comes in pieces, of which there may be any number. */
static inline bool mesh__exchange_answers_in_pieces(const mesh_exchange *exchange)
{
    return exchange->headed && !exchange->bodiless;
}

/* True once the connection's identity is no longer the server's: this answer is to be its last. Any thread. */
bool mesh__exchange_is_outdated(const mesh_exchange *);

/* Gives up a reference; with the last it is freed, and gives up its own of the server. Any thread. */
void mesh__exchange_unref(mesh_exchange *);

/* Reports the span, unless that has been done; `status` 0: no reply. On the loop. */
void mesh__exchange_report(mesh_exchange *, mesh_status outcome, int32_t status, mesh_nanos ended);

/* The first field of this name, in any case; NULL when there is none. */
const mesh_header *mesh__exchange_find(const mesh_header *headers, size_t count, struct view name);

#endif
