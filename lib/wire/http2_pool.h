/* SPDX-License-Identifier: Apache-2.0 */
/* http2_pool.h - where HTTP/2 connections get their memory: blocks that were given back wait in lists by size.
 *
 * A request costs a dozen small blocks of the same few sizes as the one before it. A pool is its owner's, a shard's or
 * a loop's, and knows no lock; it outlives every connection made with it. What waits in it is bounded by `max_kept`;
 * blocks beyond that, and those above HTTP2_POOL_LARGEST, go straight to and from the allocator.
 */
#ifndef MESH__WIRE_HTTP2_POOL_H
#define MESH__WIRE_HTTP2_POOL_H

#include "base/mem.h"

#define HTTP2_POOL_LARGEST 32768
#define HTTP2_POOL_CLASSES 19 /* 32, 48, 64, 96, 128, .. 16384: powers of two and their halves between; then 32768 */

struct http2_block;

struct http2_pool {
    const struct mem *mem; /* borrowed */
    struct http2_block *kept[HTTP2_POOL_CLASSES];
    size_t kept_bytes, max_kept;
    size_t used_bytes; /* in blocks that are out, as their sizes were rounded */
};

void mesh__http2_pool_init(struct http2_pool *pool, const struct mem *mem, size_t max_kept);

/* Gives the blocks that wait back to the allocator; none may be out. */
void mesh__http2_pool_fini(struct http2_pool *pool);

/* As malloc, realloc and free; NULL when memory is out. Blocks are aligned to 16 bytes if the allocator's are. */
void *mesh__http2_pool_take(struct http2_pool *pool, size_t bytes);
void *mesh__http2_pool_resize(struct http2_pool *pool, void *block, size_t bytes);
void mesh__http2_pool_give(struct http2_pool *pool, void *block);

#endif
