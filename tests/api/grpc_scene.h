/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_scene.h - an external client of the service "test", whose clock the test moves, and grpc_peer at "10.0.0.1:80".
 */
#ifndef TESTS_API_GRPC_SCENE_H
#define TESTS_API_GRPC_SCENE_H

#include "client/client.h"
#include "support/grpc_peer.h"
#include "wire/grpc.h"

#define GRPC "content-type: application/grpc"
#define FRAME(size, text) "\0\0\0\0" size text
#define TEXT(text)                                                                                                     \
    {                                                                                                                  \
        text, sizeof(text) - 1                                                                                         \
    }
#define HELLO TEXT(FRAME("\5", "hello"))

/* Answers. */
#define BODY(text, trailers)                                                                                           \
    {                                                                                                                  \
        200, GRPC, TEXT(text), trailers, false, 0                                                                      \
    }
#define OK BODY(FRAME("\5", "hello"), "grpc-status: 0")
#define SAID(trailers) BODY("", trailers)
#define ONLY(fields) BARE(200, GRPC "\n" fields)
#define BARE(status, fields)                                                                                           \
    {                                                                                                                  \
        status, fields, TEXT(""), NULL, false, 0                                                                       \
    }
#define RESET(code)                                                                                                    \
    {                                                                                                                  \
        -1, NULL, TEXT(""), NULL, true, code                                                                           \
    }
#define OPEN                                                                                                           \
    {                                                                                                                  \
        200, GRPC, TEXT(""), "", false, 1                                                                              \
    }
#define SILENCE                                                                                                        \
    {                                                                                                                  \
        -1, NULL, TEXT(""), NULL, false, 0                                                                             \
    }

/* Further members of the service. */
#define HTTP2 ", 'protocol': 'http2'"
#define RETRY                                                                                                          \
    HTTP2 ", 'retry': {'attempts': 3, 'non_idempotent': true, 'backoff': {'base': '1ms', 'max': '1ms'}, "              \
          "'on': ['unavailable', 'resource-exhausted', 'internal', 'cancelled', 'deadline-exceeded']}"

struct grpc_scene {
    struct world world;
    mesh_nanos now;
    struct memory_network *memory;
    struct grpc_peer peer;
    mesh_client *client;
    void (*on_span)(const mesh_span *, void *); /* of the client that is opened next; or NULL */
    size_t allocations, fail_at;                /* of the client; the one that fails, and all behind it; 0: none */
};

extern struct grpc_scene grpc_scene;

/* Fixtures. */
void grpc_scene_begin(void);
void grpc_scene_end(void);

/* Opens the client with these endpoints, as "'10.0.0.1:80'", and members. */
mesh_status grpc_scene_open(const char *endpoints, const char *members);

/* From the first answer on; those of status 0 behind the last are none. */
void grpc_scene_answer(const struct grpc_answer *answers, size_t most);

/* Makes a call, and lets time pass until it has ended. NULL when it could not be started. */
mesh_result *grpc_scene_call(const mesh_request *request);

/* Lets time pass until a call that was started has ended. */
mesh_result *grpc_scene_next(void);

/* A gRPC request with this text as its message. */
mesh_request grpc_scene_request(const char *message);

#endif
