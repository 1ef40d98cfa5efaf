/* SPDX-License-Identifier: Apache-2.0 */
/* world.h - what surrounds a client: clocks, randomness and the network; the real one, or one that a test owns. */
#ifndef MESH__NET_WORLD_H
#define MESH__NET_WORLD_H

#include "base/time.h"
#include "wire/address.h"

struct loop;
struct stream;

struct world {
    mesh_nanos (*now)(const struct world *);   /* monotonic, any origin above 0 */
    int64_t (*unix_now)(const struct world *); /* ns since 1970; for spans and dates only */
    uint64_t (*random)(const struct world *);  /* a seed */
    /* Begins to connect without waiting. 0 and a stream that is connected or connecting, or a negative errno. */
    int (*connect)(const struct world *, struct loop *, const struct address *, struct stream **out);
    void *user;
};

/* The machine's own clocks and sockets. */
extern const struct world mesh__world_real;

#endif
