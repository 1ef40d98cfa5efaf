/* SPDX-License-Identifier: Apache-2.0 */
/* call.h - one user request in its slot: carries out the machine's effects and feeds it what happens.
 *
 * Ids are {shard 8, slot 24, generation 32}. The thread that starts a call fills the slot (request.h), posts it to its
 * shard and touches only the words marked shared until it is done. Everything else is the driver's. Events of pools,
 * timers and policies go through mesh__call_feed(), which never re-enters the machine: what happens inside a step is
 * queued. */
#ifndef MESH__CLIENT_CALL_H
#define MESH__CLIENT_CALL_H

#include "client/client.h"
#include "wire/grpc.h"

enum call_word { CALL_WAITING, CALL_PROMOTED, CALL_DONE };
enum call_post { POST_START = 1, POST_CANCEL = 2, POST_STREAM = 4 };

#define CALL_INPUTS 8
#define CALL_GROUPS 3                         /* of fields: the service's, the caller's, and what this library adds */
#define GRPC_OWN_FIELDS 4                     /* of those, what gRPC needs */
#define CALL_OWN_FIELDS (4 + GRPC_OWN_FIELDS) /* that it adds at most */
#define GRPC_LEAD 256                         /* of a message with its frame's head: goes out in one piece */

/* A token's link to a call. */
struct token_link {
    struct list link;
    struct mesh_client *client;
    mesh_call_id id;
};

struct call_attempt {
    struct endpoint *endpoint; /* the call's pinned snapshot holds it */
    struct endpoint_shard *at;
    uint32_t weight;
};

/* A gRPC call's attempt under way. */
struct grpc_call {
    char lead[GRPC_LEAD];
    size_t given; /* of frame and message, to the exchange */
    char timeout[13], retries[4];
    struct grpc_decoder decoder;
    struct grpc_outcome outcome; /* without its message, which is decoded in the result */
    bool framed;                 /* the response is one of gRPC: its body is messages */
    bool whole;                  /* one of them has come */
};

struct call {
    /* Shared. */
    struct call *inbox_next;     /* the poster's until posted, then the driver's */
    _Atomic uint32_t word;       /* enum call_word: a blocking call's futex */
    _Atomic uint32_t posted;     /* enum call_post, or-ed: in the inbox while not 0 */
    _Atomic uint32_t cancelled;  /* the generation that is to be cancelled */
    _Atomic uint32_t generation; /* of the slot's present call; odd while one is live */
    _Atomic uint32_t next_free;  /* index + 1, while free */
    struct shard *shard;         /* fixed */
    uint32_t slot;               /* fixed */

    /* Filled before posting. */
    struct rng rng; /* for ids; seeded with the slot */
    bool blocking;
    bool driven_here; /* its own thread drives the shard: no wake-up needed */
    struct mesh_result *result;
    const char *service_name; /* what follows is in the result's block */
    struct view method, path, authority;
    mesh_header *headers;
    size_t header_count;
    struct view body;
    const char *pinned_endpoint;        /* or NULL */
    const char *tracestate, *baggage;   /* "" for none */
    struct trace_context trace;         /* the call's own span */
    char traceparent[TRACEPARENT_SIZE]; /* of the attempt under way, but for its span before the first */
    uint8_t parent_id[8];               /* all zero: a root */
    uint32_t flags;
    int32_t idempotent; /* enum mesh_choice */
    mesh_nanos start, request_timeout, inbound_deadline;
    mesh_token *token; /* a reference, or NULL */
    struct token_link token_link;
    struct mesh_stream *stream; /* a reference; NULL: a buffered call */

    /* The driver's. */
    struct list link;     /* in shard.calls */
    struct list sleeping; /* in shard.sleepers */
    struct list waiting;  /* in shard.resolving */
    struct loop_timer timer;
    mesh_nanos due; /* what the timer is to be set to, if `rearm` */
    struct pin *pin;
    struct service *service;
    struct machine machine;
    struct machine_config config;
    struct machine_input inputs[CALL_INPUTS];
    uint8_t input_first, input_count;
    bool started, stepping, done, rearm;
    bool no_timer;  /* memory is out for the timer, which ends the call */
    uint8_t trying; /* the attempt that `exchange` is of */
    struct exchange exchange;
    struct http1_field_group groups[CALL_GROUPS]; /* of the attempt's request, as are the next two */
    mesh_header own[CALL_OWN_FIELDS];
    char left[20];                                  /* digits of the milliseconds that it has */
    struct grpc_call grpc;                          /* with MESH_GRPC */
    struct buf head;                                /* a request's head; its memory stays with the slot */
    struct call_attempt attempts[MACHINE_ATTEMPTS]; /* machine.count of them, and the one being picked */
};

/* The call's id. */
mesh_call_id mesh__call_id(const struct call *);

/* Begins the call, on its shard's driver. It may be done when this returns. */
void mesh__call_start(struct call *);

/* Feeds CANCEL if the call is live. */
void mesh__call_cancel(struct call *);

/* The service's endpoints may be known now. */
void mesh__call_resolve(struct call *);

/* Feeds the machine one event and carries out what it answers; within a step the event is queued. The call may be done,
 * and its slot another's, when this returns. */
void mesh__call_feed(struct call *, const struct machine_input *);

/* What its shard has of its service. */
static inline struct service_shard *mesh__call_service_shard(const struct call *call)
{
    return call->service->live->shards[call->shard->index];
}

/* The client's clock, as of this turn. */
static inline mesh_nanos mesh__call_time(const struct call *call)
{
    return mesh__client_time(call->shard->client, call->shard->loop.now);
}

#endif
