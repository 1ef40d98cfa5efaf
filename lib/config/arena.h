/* SPDX-License-Identifier: Apache-2.0 */
/* arena.h - memory that is taken piece by piece and given back all at once; what a built config lives in.
 *
 * Pieces never move. After a failure `failed` stays set, so that a run of pieces is checked once at its end. */
#ifndef MESH__CONFIG_ARENA_H
#define MESH__CONFIG_ARENA_H

#include "base/mem.h"

struct config_arena_chunk;

struct config_arena {
    const struct mem *mem; /* borrowed */
    struct config_arena_chunk *chunks;
    char *at; /* free room in the newest chunk */
    size_t left;
    bool failed;
};

void mesh__config_arena_init(struct config_arena *arena, const struct mem *mem);
void mesh__config_arena_fini(struct config_arena *arena);

/* Zeroed and aligned for anything; NULL when memory is out. */
void *mesh__config_arena_alloc(struct config_arena *arena, size_t bytes);

/* A copy of `size` bytes with a NUL behind; NULL when memory is out. */
char *mesh__config_arena_copy(struct config_arena *arena, const char *text, size_t size);

/* Formatted text; NULL when memory is out. */
char *mesh__config_arena_printf(struct config_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
