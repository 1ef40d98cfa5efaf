/* SPDX-License-Identifier: Apache-2.0 */
/* arena.c - a list of chunks, each the room for many pieces or one large one. */
#include "config/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CHUNK_BYTES ((size_t)4096)
#define ALIGNMENT (_Alignof(max_align_t))

struct config_arena_chunk {
    struct config_arena_chunk *next;
    max_align_t pieces[];
};

void mesh__config_arena_init(struct config_arena *arena, const struct mem *mem)
{
    *arena = (struct config_arena){ .mem = mem };
}

void mesh__config_arena_fini(struct config_arena *arena)
{
    while (arena->chunks != NULL) {
        struct config_arena_chunk *chunk = arena->chunks;
        arena->chunks = chunk->next;
        mesh__mem_free(arena->mem, chunk);
    }
    mesh__config_arena_init(arena, arena->mem);
}

static bool add_chunk(struct config_arena *arena, size_t bytes)
{
    size_t size = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
    struct config_arena_chunk *chunk = mesh__alloc(arena->mem, sizeof(*chunk) + size);
    if (chunk == NULL)
        return false;
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    arena->at = (char *)chunk->pieces;
    arena->left = size;
    return true;
}

void *mesh__config_arena_alloc(struct config_arena *arena, size_t bytes)
{
    if (bytes > SIZE_MAX / 2) {
        arena->failed = true;
        return NULL;
    }
    size_t rounded = ((bytes ? bytes : 1) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (rounded > arena->left && !add_chunk(arena, rounded)) {
        arena->failed = true;
        return NULL;
    }
    void *piece = arena->at;
    arena->at += rounded;
    arena->left -= rounded;
    return memset(piece, 0, rounded);
}

char *mesh__config_arena_copy(struct config_arena *arena, const char *text, size_t size)
{
    char *copy = mesh__config_arena_alloc(arena, size + 1);
    if (copy != NULL && size > 0)
        memcpy(copy, text, size);
    return copy;
}

char *mesh__config_arena_printf(struct config_arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    char *text = size < 0 ? NULL : mesh__config_arena_alloc(arena, (size_t)size + 1);
    if (text != NULL)
        (void)vsnprintf(text, (size_t)size + 1, format, again);
    va_end(again);
    va_end(arguments);
    return text;
}
