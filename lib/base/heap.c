/* SPDX-License-Identifier: Apache-2.0 */
/* heap.c - sift up, sift down. */
#include "base/heap.h"

#include <string.h>

void mesh__heap_init(struct heap *heap, const struct mem *mem)
{
    *heap = (struct heap){ .mem = mem };
}

void mesh__heap_fini(struct heap *heap)
{
    mesh__mem_free(heap->mem, heap->slots);
    *heap = (struct heap){ .mem = heap->mem };
}

bool mesh__heap_reserve(struct heap *heap, size_t count)
{
    if (count <= heap->capacity)
        return true;
    size_t capacity = heap->capacity ? heap->capacity : 64;
    while (capacity < count)
        capacity *= 2;
    struct timer **slots = mesh__alloc(heap->mem, capacity * sizeof(*slots)), **old = heap->slots;
    if (slots == NULL)
        return false;
    if (heap->size > 0)
        memcpy(slots, old, heap->size * sizeof(*slots));
    heap->slots = slots;
    heap->capacity = capacity;
    mesh__mem_free(heap->mem, old); /* after that: a child that another thread forks just now finds one of them */
    return true;
}

static void put(struct heap *heap, size_t at, struct timer *timer)
{
    heap->slots[at] = timer;
    timer->place = at + 1;
}

static void sift(struct heap *heap, size_t at)
{
    struct timer *timer = heap->slots[at];
    while (at > 0) {
        size_t parent = (at - 1) / 2;
        if (heap->slots[parent]->due <= timer->due)
            break;
        put(heap, at, heap->slots[parent]);
        at = parent;
    }
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= heap->size)
            break;
        if (child + 1 < heap->size && heap->slots[child + 1]->due < heap->slots[child]->due)
            child++;
        if (timer->due <= heap->slots[child]->due)
            break;
        put(heap, at, heap->slots[child]);
        at = child;
    }
    put(heap, at, timer);
}

bool mesh__heap_set(struct heap *heap, struct timer *timer, mesh_nanos due)
{
    if (timer->place == 0) {
        if (!mesh__heap_reserve(heap, heap->size + 1))
            return false;
        put(heap, heap->size++, timer);
    }
    timer->due = due;
    sift(heap, timer->place - 1);
    return true;
}

void mesh__heap_remove(struct heap *heap, struct timer *timer)
{
    if (timer->place == 0)
        return;
    size_t at = timer->place - 1;
    timer->place = 0;
    struct timer *last = heap->slots[--heap->size];
    if (last != timer) {
        put(heap, at, last);
        sift(heap, at);
    }
}

struct timer *mesh__heap_first(const struct heap *heap)
{
    return heap->size ? heap->slots[0] : NULL;
}
