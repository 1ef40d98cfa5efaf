/* SPDX-License-Identifier: Apache-2.0 */
/* memory.h - a network in memory, for tests and simulation: addresses, connections and delays without sockets.
 *
 * Peers are scripts: they are told what a connection receives, and say what it answers and when. A connection lives
 * wholly on the loop that opened it; its peer's functions run there, never from inside the functions below, and must be
 * safe on several threads if several loops use the network. Delays are timers of that loop, so they follow the world's
 * clock, which may be one that a test moves. */
#ifndef MESH__NET_MEMORY_H
#define MESH__NET_MEMORY_H

#include "net/stream.h"

struct memory_network;
struct memory_connection;

enum memory_mood { MEMORY_ACCEPT, MEMORY_REFUSE, MEMORY_IGNORE /* a black hole */ };

struct memory_peer {
    void *(*opened)(void *user, struct memory_connection *); /* gives the connection's state */
    void (*received)(void *state, struct memory_connection *, const char *bytes, size_t size);
    void (*closed)(void *state, struct memory_connection *); /* by the client; frees the state */
};

/* `clock` is borrowed: its now, unix_now and random are used. NULL when memory is out. */
struct memory_network *mesh__memory_new(const struct world *clock);
void mesh__memory_free(struct memory_network *); /* after the last loop that used it */

/* The world whose connections lead into this network. */
const struct world *mesh__memory_world(struct memory_network *);

/* Something listens at the address, as "10.0.0.1:80"; other addresses refuse. Setting a mood takes effect on the next
 * connection; both from any thread. False when memory is out or the address is malformed. */
bool mesh__memory_listen(struct memory_network *, const char *address, const struct memory_peer *peer, void *user);
void mesh__memory_set(struct memory_network *, const char *address, enum memory_mood mood, mesh_nanos connect_delay);

/* From a peer's functions: bytes, an orderly end, or a reset reach the client after `delay`, in the order said. */
void mesh__memory_send(struct memory_connection *, const char *bytes, size_t size, mesh_nanos delay);
void mesh__memory_finish(struct memory_connection *, mesh_nanos delay);
void mesh__memory_reset(struct memory_connection *, mesh_nanos delay);

/* The loop that the connection lives on. */
struct loop *mesh__memory_loop(struct memory_connection *);

#endif
