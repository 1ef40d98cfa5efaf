/* SPDX-License-Identifier: Apache-2.0 */
/* estimate.h - what a call to an endpoint costs now: a peak-sensitive moving average of latencies. Pure.
 *
 * A sample above the cost replaces it; one below pulls the cost down with weight 1 - e^(-elapsed/tau), where elapsed is
 * at least one unit of the clock, or all samples of one loop turn but the first would weigh nothing. The cost decays
 * towards 0 on reading, while nothing is in flight there. One 64-bit word: {float cost in ns, u32 stamp in ms since the
 * client opened}. Clocks of shards differ a little: elapsed = (uint32_t)(now - stamp), and a result within 60 s below
 * 2^32 counts as 0 and leaves the stamp. Stamp 0 with cost 0 is "no history". */
#ifndef MESH__POLICY_ESTIMATE_H
#define MESH__POLICY_ESTIMATE_H

#include "base/time.h"

#include <stdbool.h>

#define ESTIMATE_TAU_MS 2000.0

struct estimate {
    float cost; /* ns */
    uint32_t stamp;
};

struct estimate mesh__estimate_initial(void);

/* Takes in one sample, >= 0. */
struct estimate mesh__estimate_record(struct estimate, mesh_nanos sample, mesh_nanos now);

/* Takes in a sample only if it raises the cost. */
struct estimate mesh__estimate_raise(struct estimate, mesh_nanos sample, mesh_nanos now);

/* Forgets the past: the cost is the sample (a probe's own time). */
struct estimate mesh__estimate_reset(struct estimate, mesh_nanos sample, mesh_nanos now);

/* The cost in ns as of now. */
double mesh__estimate_read(struct estimate, bool in_flight, mesh_nanos now);

/* True before the first sample. */
bool mesh__estimate_fresh(struct estimate);

#endif
