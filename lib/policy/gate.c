/* SPDX-License-Identifier: Apache-2.0 */
/* gate.c - the cap, panic, and the gate word's bits. */
#include "policy/gate.h"

#define REASONS 0xffu
#define PLACE 0x100u

uint32_t mesh__gate_cap(uint32_t endpoints)
{
    return endpoints / 2;
}

bool mesh__gate_panic(uint32_t endpoints, uint32_t unhealthy)
{
    uint32_t healthy = unhealthy < endpoints ? endpoints - unhealthy : 0;
    return (uint64_t)healthy * 2 < endpoints;
}

bool mesh__gate_has_place(struct gate gate)
{
    return (gate.word & PLACE) != 0;
}

bool mesh__gate_has_reason(struct gate gate)
{
    return (gate.word & REASONS) != 0;
}

struct gate mesh__gate_with_reason(struct gate gate, enum gate_reason reason)
{
    return (struct gate){ gate.word | ((uint32_t)reason & REASONS) };
}

struct gate mesh__gate_without_reason(struct gate gate, enum gate_reason reason)
{
    struct gate next = { gate.word & ~((uint32_t)reason & REASONS) };
    return mesh__gate_has_reason(next) ? next : (struct gate){ 0 };
}

struct gate mesh__gate_with_place(struct gate gate)
{
    return mesh__gate_has_reason(gate) ? (struct gate){ gate.word | PLACE } : gate;
}
