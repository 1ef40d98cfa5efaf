/* SPDX-License-Identifier: Apache-2.0 */
/* mem.c - the default allocator and the thin checks around a user's one. */
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static void *system_allocate(size_t bytes, void *user)
{
    (void)user;
    return malloc(bytes);
}

static void *system_resize(void *block, size_t old_bytes, size_t bytes, void *user)
{
    (void)user;
    (void)old_bytes;
    return realloc(block, bytes);
}

static void system_release(void *block, void *user)
{
    (void)user;
    free(block);
}

const struct mem mesh__mem_system = { system_allocate, system_resize, system_release, NULL };

bool mesh__mem_from_user(const mesh_allocator *user, struct mem *out)
{
    *out = mesh__mem_system;
    if (user == NULL || (user->allocate == NULL && user->resize == NULL && user->release == NULL))
        return true;
    if (user->allocate == NULL || user->resize == NULL || user->release == NULL)
        return false;
    *out = (struct mem){ user->allocate, user->resize, user->release, user->user };
    return true;
}

void *mesh__alloc(const struct mem *mem, size_t bytes)
{
    return mem->allocate(bytes ? bytes : 1, mem->user);
}

void *mesh__zalloc(const struct mem *mem, size_t bytes)
{
    void *block = mesh__alloc(mem, bytes);
    if (block != NULL)
        memset(block, 0, bytes);
    return block;
}

void *mesh__resize(const struct mem *mem, void *block, size_t old_bytes, size_t bytes)
{
    return block == NULL ? mesh__alloc(mem, bytes) : mem->resize(block, old_bytes, bytes ? bytes : 1, mem->user);
}

void mesh__mem_free(const struct mem *mem, void *block)
{
    if (block != NULL)
        mem->release(block, mem->user);
}

void *mesh__zalloc_line(const struct mem *mem, size_t bytes)
{
    /* The pointer that the allocator gave lies just before the line. */
    char *raw = mesh__zalloc(mem, bytes + CACHE_LINE + sizeof(void *));
    if (raw == NULL)
        return NULL;
    uintptr_t at = ((uintptr_t)raw + sizeof(void *) + CACHE_LINE - 1) & ~(uintptr_t)(CACHE_LINE - 1);
    char *line = raw + (at - (uintptr_t)raw);
    memcpy(line - sizeof(void *), &raw, sizeof(raw));
    return line;
}

void mesh__free_line(const struct mem *mem, void *block)
{
    if (block == NULL)
        return;
    char *raw;
    memcpy(&raw, (char *)block - sizeof(void *), sizeof(raw));
    mesh__mem_free(mem, raw);
}

char *mesh__strndup(const struct mem *mem, const char *text, size_t size)
{
    char *copy = mesh__alloc(mem, size + 1);
    if (copy == NULL)
        return NULL;
    if (size > 0)
        memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}
