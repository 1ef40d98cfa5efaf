/* SPDX-License-Identifier: Apache-2.0 */
/* server_scarce.c - malloc behind a count. */
#include "api/server_scarce.h"

#include <stdbool.h>
#include <stdlib.h>

static bool may_allocate(struct scarce *scarce)
{
    long left = scarce->left;
    while (left > 0 && !atomic_compare_exchange_weak(&scarce->left, &left, left - 1))
        continue;
    return left != 0;
}

static void *scarce_allocate(size_t bytes, void *user)
{
    struct scarce *scarce = user;
    void *block = may_allocate(scarce) ? malloc(bytes) : NULL;
    scarce->live += block != NULL;
    return block;
}

static void *scarce_resize(void *block, size_t old_bytes, size_t bytes, void *user)
{
    (void)old_bytes;
    return may_allocate(user) ? realloc(block, bytes) : NULL;
}

static void scarce_release(void *block, void *user)
{
    struct scarce *scarce = user;
    scarce->live--;
    free(block);
}

void scarce_init(struct scarce *scarce)
{
    scarce->allocator =
        (mesh_allocator){ (uint32_t)sizeof(mesh_allocator), 0, scarce_allocate, scarce_resize, scarce_release, scarce };
    atomic_init(&scarce->live, 0);
    atomic_init(&scarce->left, -1);
}
