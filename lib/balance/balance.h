/* SPDX-License-Identifier: Apache-2.0 */
/* balance.h - which endpoint gets the next attempt? Pure: sees endpoints as values only.
 *
 * Order of preference, whatever the algorithm: an endpoint that is due for a probe and that this call has not tried;
 * then the algorithm among those in use that it has not tried; then among those in use that it has; then among all. In
 * panic every endpoint counts as in use. */
#ifndef MESH__BALANCE_BALANCE_H
#define MESH__BALANCE_BALANCE_H

#include <mesh/call.h>
#include <stdbool.h>
#include <stdint.h>

enum balancer { BALANCER_PEAK_EWMA, BALANCER_ROUND_ROBIN, BALANCER_LEAST_REQUEST };

/* One endpoint as it is now. */
struct candidate {
    double cost;     /* estimate.h, in ns; < 0: no history */
    uint32_t active; /* attempts under way there */
    uint32_t weight; /* >= 1 */
    bool out;        /* taken out by the gate, with a place that is enforced */
    bool probe_due;  /* shut, and its time is over */
    bool tried;      /* this call has been there */
};

/* What `read` gives may differ from one time to the next, since other threads change endpoints meanwhile. */
struct balance_view {
    struct candidate (*read)(const void *context, uint32_t index);
    const void *context;
    uint32_t count;
    bool panic;          /* `out` does not count */
    bool look_for_probe; /* some endpoint may be due for a probe; else none is, and nothing is searched */
    uint32_t max_weight; /* the highest weight; 0: not known, and round robin reads all to find it */
};

struct choice {
    int32_t index; /* -1: there is no endpoint at all */
    enum mesh_pick reason;
};

/* `cursor` is round robin's, in and out; `random` decides the rest. Constant time unless endpoints are out or tried, or
 * round robin meets weights that differ. */
struct choice mesh__balance_choose(enum balancer, const struct balance_view *, uint64_t *cursor, uint64_t random);

#endif
