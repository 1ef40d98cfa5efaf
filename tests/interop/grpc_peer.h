/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_peer.h - the program grpc_go as a child, a client of it, and the protobuf messages of gRPC's interop tests. */
#ifndef TESTS_INTEROP_GRPC_PEER_H
#define TESTS_INTEROP_GRPC_PEER_H

#include "api/server_papers.h"

#include <mesh/mesh.h>
#include <sys/types.h>

#define INTEROP_SERVICE "/grpc.testing.TestService/"

enum { INTEROP_PLAIN, INTEROP_TLS, INTEROP_WAYS };

/* One test's. */
struct interop {
    struct papers papers;
    pid_t pid;
    int input;        /* the child ends when this is closed */
    char address[64]; /* "127.0.0.1:PORT" */
    mesh_client *client;
};

extern struct interop interop;

/* Fixtures around each test. */
void interop_setup(void);
void interop_teardown(void);

/* Starts the server and opens a client of it, with the service "s" and these members more. */
void interop_begin(int way, const char *members);

/* A request of this method with MESH_GRPC and a timeout of 20 s; `message` may be NULL. */
struct message;
mesh_request interop_request(const char *path, const struct message *message);

/* A protobuf message as it grows. */
struct message {
    char *bytes;
    size_t size, capacity;
};

struct message message_new(void);
void message_free(struct message *);

/* Field `number`: a number, or bytes. */
void message_number(struct message *, uint32_t number, uint64_t value);
void message_bytes(struct message *, uint32_t number, const void *bytes, size_t size);

/* Field `number`: a Payload with a body of so many zero bytes. */
void message_add_payload(struct message *, uint32_t number, size_t size);

/* The number in field `number`; 0 when there is none. */
uint64_t message_find_number(const void *message, size_t size, uint32_t number);

/* How long the body of the Payload in field `number` is; SIZE_MAX when there is none. */
size_t message_payload(const void *message, size_t size, uint32_t number);

#endif
