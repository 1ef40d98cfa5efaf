/* SPDX-License-Identifier: Apache-2.0 */
/* clock.c - the real world: the only place that reads a clock or asks the system for random bits. */
#include "net/socket.h"
#include "net/world.h"

#include <sys/random.h>
#include <time.h>

static mesh_nanos read_clock(clockid_t id)
{
    struct timespec t;
    (void)clock_gettime(id, &t); /* cannot fail for these clocks */
    return (mesh_nanos)t.tv_sec * NANOS_S + t.tv_nsec;
}

static mesh_nanos real_now(const struct world *world)
{
    (void)world;
    return read_clock(CLOCK_MONOTONIC);
}

static int64_t real_unix_now(const struct world *world)
{
    (void)world;
    return read_clock(CLOCK_REALTIME);
}

static uint64_t real_random(const struct world *world)
{
    uint64_t bits;
    if (getrandom(&bits, sizeof(bits), GRND_NONBLOCK) != (ssize_t)sizeof(bits))
        bits = (uint64_t)real_now(world) * 0x9e3779b97f4a7c15u; /* early boot: choices only, never keys */
    return bits;
}

static int real_connect(const struct world *world, struct loop *loop, const struct address *address,
                        struct stream **out)
{
    (void)world;
    return mesh__socket_connect(loop, address, out);
}

const struct world mesh__world_real = { real_now, real_unix_now, real_random, real_connect, NULL };
