/* SPDX-License-Identifier: Apache-2.0 */
/* heap.h - timers ordered by due time: a binary heap of pointers to nodes that know their place.
 *
 * Adding may allocate; moving and removing never do. */
#ifndef MESH__BASE_HEAP_H
#define MESH__BASE_HEAP_H

#include "base/mem.h"
#include "base/time.h"

struct timer {
    mesh_nanos due;
    size_t place; /* index + 1 in the heap; 0: not in it */
};

struct heap {
    const struct mem *mem;
    struct timer **slots;
    size_t size, capacity;
};

void mesh__heap_init(struct heap *heap, const struct mem *mem);
void mesh__heap_fini(struct heap *heap);

/* Makes sure that `count` timers fit, so that no mesh__heap_set() up to there can fail. */
bool mesh__heap_reserve(struct heap *heap, size_t count);

/* Adds the timer, or moves it if it is in. False when memory is out. */
bool mesh__heap_set(struct heap *heap, struct timer *timer, mesh_nanos due);

/* Takes the timer out, if it is in. */
void mesh__heap_remove(struct heap *heap, struct timer *timer);

/* The earliest timer; NULL when there is none. */
struct timer *mesh__heap_first(const struct heap *heap);

#endif
