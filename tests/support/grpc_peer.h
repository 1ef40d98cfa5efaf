/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_peer.h - a gRPC server on a network in memory that answers each request as the next row of a script says, and
 * keeps what the last one brought. */
#ifndef TESTS_SUPPORT_GRPC_PEER_H
#define TESTS_SUPPORT_GRPC_PEER_H

#include "net/memory.h"
#include "wire/http2.h"

#include <stdio.h>
#include <stdlib.h>

#define GRPC_PEER_TEXT 4096

/* What a test cannot go on without; also where no test runner is. */
#define NEED(condition)                                                                                                \
    ((condition) ? (void)0 : (void)(fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition), abort()))

/* Fields are lines: "content-type: application/grpc\ngrpc-status: 0". */
struct grpc_answer {
    int32_t status;       /* HTTP; below 0: no answer, ever */
    const char *head;     /* fields */
    struct view body;     /* frames as they are, in pieces of grpc_peer.piece */
    const char *trailers; /* fields; NULL: none */
    bool reset;           /* RST_STREAM with this code: instead of an answer, or behind the body, if there is one */
    uint32_t code;        /* without `reset`, and not 0: the response stays open behind the body */
};

struct grpc_peer {
    const struct grpc_answer *answers; /* the last one is given to all that follow */
    size_t count;
    size_t piece; /* 0: all of a body at once */

    size_t requests, cancelled, connections;
    char fields[GRPC_PEER_TEXT]; /* of the last request: "name: value\n" */
    char path[256];
    struct buf body;
    struct http2_pool pool;
};

/* Both around the network's life. */
void grpc_peer_init(struct grpc_peer *);
void grpc_peer_fini(struct grpc_peer *);

/* Has the peer answer at this address. */
void grpc_peer_listen(struct grpc_peer *, struct memory_network *, const char *address);

/* True when the last request had this field, as "te: trailers". */
bool grpc_peer_saw(const struct grpc_peer *, const char *field);

#endif
