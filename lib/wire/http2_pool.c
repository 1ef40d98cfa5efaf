/* SPDX-License-Identifier: Apache-2.0 */
/* http2_pool.c - a header before each block says which list it belongs to. */
#include "wire/http2_pool.h"

#include <string.h>

#define NO_CLASS HTTP2_POOL_CLASSES

/* Before the bytes that are given out. */
struct http2_block {
    struct http2_block *next; /* while it waits */
    uint32_t class;
    uint32_t size; /* of a block without a class, in 16s, rounded up */
};

static const uint32_t class_bytes[HTTP2_POOL_CLASSES] = { 32,   48,   64,   96,   128,  192,  256,   384,   512,  768,
                                                          1024, 1536, 2048, 3072, 4096, 8192, 17408, 24576, 32768 };

/* The least class that holds `bytes`; 17408 is made for a frame of the usual size with its head. */
static uint32_t class_of(size_t bytes)
{
    /* By 16s: what most blocks are asks for no search. */
    static const uint8_t small[] = { 0, 0, 0, 1, 2, 3, 3, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6 };
    size_t units = (bytes + 15) / 16;
    if (units < sizeof small)
        return small[units];
    uint32_t class = bytes <= 1024 ? 7 : 11;
    while (class < NO_CLASS && class_bytes[class] < bytes)
        class ++;
    return class;
}

static size_t size_of(const struct http2_block *block)
{
    return block->class == NO_CLASS ? (size_t)block->size * 16 : class_bytes[block->class];
}

void mesh__http2_pool_init(struct http2_pool *pool, const struct mem *mem, size_t max_kept)
{
    *pool = (struct http2_pool){ .mem = mem, .max_kept = max_kept };
}

void mesh__http2_pool_fini(struct http2_pool *pool)
{
    for (size_t i = 0; i < HTTP2_POOL_CLASSES; i++) {
        for (struct http2_block *block = pool->kept[i]; block != NULL;) {
            struct http2_block *next = block->next;
            mesh__mem_free(pool->mem, block);
            block = next;
        }
        pool->kept[i] = NULL;
    }
    pool->kept_bytes = 0;
}

void *mesh__http2_pool_take(struct http2_pool *pool, size_t bytes)
{
    if (bytes > SIZE_MAX / 2 || bytes / 16 >= UINT32_MAX)
        return NULL;
    uint32_t class = class_of(bytes);
    struct http2_block *block = class < NO_CLASS ? pool->kept[class] : NULL;
    if (block != NULL) {
        pool->kept[class] = block->next;
        pool->kept_bytes -= class_bytes[class];
    } else {
        size_t room = class < NO_CLASS ? class_bytes[class] : (bytes + 15) / 16 * 16;
        block = mesh__alloc(pool->mem, sizeof *block + room);
        if (block == NULL)
            return NULL;
        block->class = class;
        block->size = (uint32_t)(room / 16);
    }
    pool->used_bytes += size_of(block);
    return block + 1;
}

void *mesh__http2_pool_resize(struct http2_pool *pool, void *bytes, size_t size)
{
    if (bytes == NULL)
        return mesh__http2_pool_take(pool, size);
    size_t old = size_of((struct http2_block *)bytes - 1);
    if (size <= old && size * 2 > old)
        return bytes;
    void *moved = mesh__http2_pool_take(pool, size);
    if (moved == NULL)
        return NULL;
    memcpy(moved, bytes, size < old ? size : old);
    mesh__http2_pool_give(pool, bytes);
    return moved;
}

void mesh__http2_pool_give(struct http2_pool *pool, void *bytes)
{
    if (bytes == NULL)
        return;
    struct http2_block *block = (struct http2_block *)bytes - 1;
    size_t size = size_of(block);
    pool->used_bytes -= size;
    if (block->class == NO_CLASS || pool->kept_bytes + size > pool->max_kept) {
        mesh__mem_free(pool->mem, block);
        return;
    }
    block->next = pool->kept[block->class];
    pool->kept[block->class] = block;
    pool->kept_bytes += size;
}
