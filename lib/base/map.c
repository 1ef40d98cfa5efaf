/* SPDX-License-Identifier: Apache-2.0 */
/* map.c - open addressing with linear probing, at most half full. */
#include "base/map.h"

uint64_t mesh__hash(struct view bytes)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < bytes.size; i++)
        h = (h ^ (unsigned char)bytes.data[i]) * 0x100000001b3u;
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93u;
    return h ^ (h >> 32);
}

void mesh__map_init(struct map *map, const struct mem *mem)
{
    *map = (struct map){ .mem = mem };
}

void mesh__map_fini(struct map *map)
{
    mesh__mem_free(map->mem, map->slots);
    *map = (struct map){ .mem = map->mem };
}

static struct map_slot *find(struct map_slot *slots, size_t capacity, struct view key)
{
    size_t at = (size_t)mesh__hash(key) & (capacity - 1);
    while (slots[at].value != NULL && !mesh__view_equal(slots[at].key, key))
        at = (at + 1) & (capacity - 1);
    return &slots[at];
}

static bool grow(struct map *map)
{
    size_t capacity = map->capacity ? map->capacity * 2 : 16;
    struct map_slot *slots = mesh__zalloc(map->mem, capacity * sizeof(*slots));
    if (slots == NULL)
        return false;
    for (size_t i = 0; i < map->capacity; i++)
        if (map->slots[i].value != NULL)
            *find(slots, capacity, map->slots[i].key) = map->slots[i];
    mesh__mem_free(map->mem, map->slots);
    map->slots = slots;
    map->capacity = capacity;
    return true;
}

bool mesh__map_set(struct map *map, struct view key, void *value)
{
    struct map_slot *slot = map->capacity ? find(map->slots, map->capacity, key) : NULL;
    if (slot == NULL || slot->value == NULL) {
        if ((map->size + 1) * 2 > map->capacity && !grow(map))
            return false;
        slot = find(map->slots, map->capacity, key);
        slot->key = key;
        map->size++;
    }
    slot->value = value;
    return true;
}

void *mesh__map_get(const struct map *map, struct view key)
{
    return map->capacity ? find(map->slots, map->capacity, key)->value : NULL;
}
