/* SPDX-License-Identifier: Apache-2.0 */
/* map.h - from a byte string to a pointer: a hash table that is built, read, and freed; entries cannot be removed.
 *
 * Keys are borrowed and must outlive the map. Readers need no lock once it is built. */
#ifndef MESH__BASE_MAP_H
#define MESH__BASE_MAP_H

#include "base/mem.h"
#include "base/view.h"

struct map_slot {
    struct view key;
    void *value; /* NULL: an empty slot */
};

struct map {
    const struct mem *mem;
    struct map_slot *slots;
    size_t size, capacity;
};

void mesh__map_init(struct map *map, const struct mem *mem);
void mesh__map_fini(struct map *map);

/* Adds, or replaces the value and keeps the key that is in; `value` is not NULL. False when memory is out, which
 * replacing never needs. */
bool mesh__map_set(struct map *map, struct view key, void *value);

/* NULL when there is no such key. */
void *mesh__map_get(const struct map *map, struct view key);

/* FNV-1a with a final mix; equal on every machine. */
uint64_t mesh__hash(struct view bytes);

#endif
