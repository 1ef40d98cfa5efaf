/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_peer.h - the program grpc_go as a child, and the protobuf messages of gRPC's interop tests. */
#ifndef TESTS_INTEROP_GRPC_PEER_H
#define TESTS_INTEROP_GRPC_PEER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct grpc_server {
    pid_t pid;
    int input;        /* the child ends when this is closed */
    char address[64]; /* "127.0.0.1:PORT" */
};

/* Starts it and waits until it listens. `certificate` and `key` are files; NULL: plain text. */
void grpc_server_start(struct grpc_server *, const char *certificate, const char *key);
void grpc_server_stop(struct grpc_server *);

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

/* How long the body of the Payload in field `number` is; SIZE_MAX when the message is malformed. */
size_t message_payload(const void *message, size_t size, uint32_t number);

#endif
