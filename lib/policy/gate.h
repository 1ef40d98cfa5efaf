/* SPDX-License-Identifier: Apache-2.0 */
/* gate.h - how many endpoints may be out at once, and when taking any out stops: one cap for every reason. Pure.
 *
 * A verdict (breaker, later outlier detection and health checks) is a reason; being taken out needs a place. At most
 * half of the endpoints are out, at least one may be when there are two, never the last one. Panic: fewer than half are
 * healthy by verdict, then no place is enforced. The gate word of an endpoint is {reasons, place}; places taken are
 * counted per service. live.c reserves on the count, swaps the word, and gives the place back if that fails. */
#ifndef MESH__POLICY_GATE_H
#define MESH__POLICY_GATE_H

#include <stdbool.h>
#include <stdint.h>

enum gate_reason { GATE_BREAKER = 1 };

struct gate {
    uint32_t word; /* bits 0 to 7: reasons; bit 8: has a place */
};

/* How many of `endpoints` may be out. */
uint32_t mesh__gate_cap(uint32_t endpoints);

/* True when fewer than half of `endpoints` are healthy by verdict. False for 0 endpoints. */
bool mesh__gate_panic(uint32_t endpoints, uint32_t unhealthy);

bool mesh__gate_has_place(struct gate);
bool mesh__gate_has_reason(struct gate);

struct gate mesh__gate_with_reason(struct gate, enum gate_reason);

/* Clearing the last reason takes the place away too; the caller then gives it back to the service. */
struct gate mesh__gate_without_reason(struct gate, enum gate_reason);

/* Only with a reason; without one it is unchanged. */
struct gate mesh__gate_with_place(struct gate);

#endif
