/* SPDX-License-Identifier: Apache-2.0 */
/* hostile.h - a peer on a loopback socket that misbehaves as a function says, and what opens a client for it. */
#ifndef TESTS_FAULT_HOSTILE_H
#define TESTS_FAULT_HOSTILE_H

#include <mesh/mesh.h>
#include <stdbool.h>

struct hostile;

/* One accepted connection; its script runs on a thread of its own and the connection is closed when that returns. */
struct hostile_connection {
    struct hostile *peer;
    void *user;
    int fd;
    uint32_t number; /* from 0, in the order accepted */
    char in[65536];  /* the last request's head, NUL-terminated, and what came behind it */
    size_t size;
};

typedef void (*hostile_script)(struct hostile_connection *);

/* Listens at a free port of 127.0.0.1; the test ends if that fails. */
struct hostile *hostile_start(hostile_script script, void *user);

/* Ends every connection and thread. */
void hostile_stop(struct hostile *);

const char *hostile_address(const struct hostile *); /* "127.0.0.1:PORT" */
uint32_t hostile_connections(const struct hostile *);
uint32_t hostile_requests(const struct hostile *); /* taken whole */

/* Waits until so many requests have been taken whole; more of them fail the test. */
void hostile_await_requests(const struct hostile *, uint32_t count);

/* For scripts. Takes one whole request (with Content-Length or without a body); false when the client has closed. */
bool hostile_request(struct hostile_connection *);
bool hostile_send(struct hostile_connection *, const void *bytes, size_t size);
bool hostile_say(struct hostile_connection *, const char *text);
void hostile_reset(struct hostile_connection *);     /* closes by RST; nothing may follow */
void hostile_await_end(struct hostile_connection *); /* until the client closes or the peer is stopped; reads nothing */
void hostile_drain(struct hostile_connection *);     /* likewise, and reads all that comes */

#define HOSTILE_OK "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

/* A client whose service "s" has these settings, JSON members with printf's conversions, and no backoff to speak of.
 * Without options it has one shard, so that calls one after the other share a connection if they may. */
__attribute__((format(printf, 2, 3))) mesh_client *fault_client(const mesh_options *options, const char *settings, ...);

/* One call of "s" with this method and no body. */
mesh_result *fault_call(mesh_client *client, const char *method);

/* The last attempt. */
mesh_attempt fault_last(const mesh_result *result);

/* Fails the test unless the call ended so; `words` is part of the message, or NULL. Frees the result. */
void fault_expect(mesh_result *result, mesh_status status, int32_t http_status, size_t attempts, const char *words);

/* What the client has counted for "s"; that every call has one outcome, and nothing is under way, is checked. */
mesh_counters fault_counters(mesh_client *client);

#endif
