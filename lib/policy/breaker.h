/* SPDX-License-Identifier: Apache-2.0 */
/* breaker.h - may this endpoint be tried now? Pure: value in, value out.
 *
 * Three states and an end: CLOSED (in use), SHUT (until `until_ms`), PROBE (one real call tries it; `until_ms` is the
 * probe's lease, after which another may try), RETIRED (the endpoint left the service; nothing changes it any more).
 * Each change of state takes a new generation. An attempt carries the generation of its pick as its ticket; a record or
 * an abandonment with another ticket changes nothing, so that late failures do not shut an endpoint that has recovered.
 * The breaker gives a verdict; whether a verdict is enforced is gate.h's business. A success under a valid ticket
 * closes the breaker in any state (it is proof of life); a failure under a valid ticket in SHUT changes nothing. One
 * 64-bit word, so that threads share it by compare-and-swap (client/live.c). `now` counts from when the client opened;
 * times in the word are milliseconds, saturating at 2^38 - 1. A time that lies further ahead than it can have been set
 * (the clock went back) counts as over. */
#ifndef MESH__POLICY_BREAKER_H
#define MESH__POLICY_BREAKER_H

#include "base/time.h"

#include <stdbool.h>

/* Shards' clocks differ by less than this: so much further ahead is no sign that the clock went back. */
#define BREAKER_SKEW_MS 1000u

enum breaker_state { BREAKER_CLOSED, BREAKER_SHUT, BREAKER_PROBE, BREAKER_RETIRED };

/* state 2, failures 8, shuts 6, generation 10, until_ms 38 bits, from the lowest. */
struct breaker {
    uint64_t word;
};

struct breaker_config {
    uint8_t failures;    /* in a row, that shut it; 1 to 255 */
    mesh_nanos shut;     /* the first time for this long, */
    mesh_nanos max_shut; /* doubling up to this long, */
    double jitter;       /* each drawn from [1 - jitter, 1 + jitter] of it, capped by max_shut again; 0 to 1 */
    mesh_nanos lease;    /* how long a probe may take before another one may start */
};

enum breaker_answer { BREAKER_ADMIT, BREAKER_TRY, BREAKER_REJECT };

/* What an attempt's end means to the breaker. */
enum breaker_event { BREAKER_NEUTRAL, BREAKER_SUCCESS, BREAKER_FAILURE, BREAKER_SHUT_NOW };

/* BREAKER_TRY: the endpoint is due for a probe; publish `next` by compare-and-swap before trying, or ask again.
 * In the other answers `next` is the breaker as it was. `ticket` is for the attempt that follows, also where REJECT is
 * not enforced; while a probe is out it is one that changes nothing, since the probe alone decides. */
struct breaker_ask {
    enum breaker_answer answer;
    uint16_t ticket;
    struct breaker next;
};

struct breaker mesh__breaker_initial(void);
struct breaker_ask mesh__breaker_ask(struct breaker, const struct breaker_config *, mesh_nanos now);

/* NEUTRAL from a probe gives its place back, as abandon does. `random` jitters the time it stays shut. */
struct breaker mesh__breaker_record(struct breaker, const struct breaker_config *, uint16_t ticket, enum breaker_event,
                                    mesh_nanos now, uint32_t random);

/* A probe that came to nothing (cancelled) gives its place back: the next ask may probe at once. */
struct breaker mesh__breaker_abandon(struct breaker, uint16_t ticket);

/* Shuts it for `pause` (a Retry-After), at most max_shut, without counting a failure; only from CLOSED or PROBE. Comes
 * before the record of the same attempt, which then changes nothing: the other way round a probe's record would make
 * the ticket stale and the pause would be lost. */
struct breaker mesh__breaker_freeze(struct breaker, const struct breaker_config *, uint16_t ticket, mesh_nanos now,
                                    mesh_nanos pause);

struct breaker mesh__breaker_retire(struct breaker);

enum breaker_state mesh__breaker_state(struct breaker);
uint32_t mesh__breaker_failures(struct breaker);

/* False in SHUT and PROBE: counts against the endpoint's service being healthy. True in RETIRED. */
bool mesh__breaker_healthy(struct breaker);

/* When a new answer is possible: the end of SHUT or of a probe's lease; NANOS_NEVER otherwise. */
mesh_nanos mesh__breaker_next(struct breaker);

#endif
