/* SPDX-License-Identifier: Apache-2.0 */
/* poor_mem.h - an allocator that runs out after so many calls; for the tests of lib/base. */
#ifndef TEST_BASE_POOR_MEM_H
#define TEST_BASE_POOR_MEM_H

#include "base/mem.h"

#include <stdlib.h>

struct poor_mem {
    struct mem mem;
    int left;       /* calls that will succeed */
    int blocks;     /* not yet released */
    size_t largest; /* the biggest block asked for */
};

static void *poor_resize(void *block, size_t old_bytes, size_t bytes, void *user)
{
    struct poor_mem *poor = user;
    (void)old_bytes;
    poor->largest = bytes > poor->largest ? bytes : poor->largest;
    if (poor->left-- <= 0)
        return NULL;
    void *result = realloc(block, bytes);
    poor->blocks += block == NULL && result != NULL;
    return result;
}

static void *poor_allocate(size_t bytes, void *user)
{
    return poor_resize(NULL, 0, bytes, user);
}

static void poor_release(void *block, void *user)
{
    ((struct poor_mem *)user)->blocks--;
    free(block);
}

static void poor_init(struct poor_mem *poor, int left)
{
    *poor = (struct poor_mem){ .mem = { poor_allocate, poor_resize, poor_release, poor }, .left = left };
}

#endif
