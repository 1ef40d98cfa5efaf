/* SPDX-License-Identifier: Apache-2.0 */
/* mem.h - the allocator that a client was given, and the reference count that shared objects carry. */
#ifndef MESH__BASE_MEM_H
#define MESH__BASE_MEM_H

#include <mesh/base.h>
#include <stdatomic.h>
#include <stdbool.h>

#define CACHE_LINE 64

/* Always complete: `allocate` and its companions are never NULL. Passed by pointer, owned by the client or server. */
struct mem {
    void *(*allocate)(size_t bytes, void *user);
    void *(*resize)(void *block, size_t old_bytes, size_t bytes, void *user);
    void (*release)(void *block, void *user);
    void *user;
};

/* malloc and free. */
extern const struct mem mesh__mem_system;

/* Makes a struct mem of what the user gave (NULL: malloc). False when only some of the functions are set. */
bool mesh__mem_from_user(const mesh_allocator *user, struct mem *out);

/* NULL when memory is out. mesh__zalloc gives zeroed memory. mesh__mem_free accepts NULL. */
void *mesh__alloc(const struct mem *mem, size_t bytes);
void *mesh__zalloc(const struct mem *mem, size_t bytes);
void *mesh__resize(const struct mem *mem, void *block, size_t old_bytes, size_t bytes);
void mesh__mem_free(const struct mem *mem, void *block);

/* Zeroed memory that starts at a cache line, whatever the allocator gives; freed by mesh__free_line(), which accepts
 * NULL. */
void *mesh__zalloc_line(const struct mem *mem, size_t bytes);
void mesh__free_line(const struct mem *mem, void *block);

/* A NUL-terminated copy of `size` bytes; NULL when memory is out. */
char *mesh__strndup(const struct mem *mem, const char *text, size_t size);

/* A reference count. The last unref returns true, after every other holder's writes are visible. */
struct refs {
    atomic_uint count;
};

static inline void mesh__refs_init(struct refs *refs)
{
    atomic_init(&refs->count, 1);
}

static inline void mesh__refs_ref(struct refs *refs)
{
    atomic_fetch_add_explicit(&refs->count, 1, memory_order_relaxed);
}

static inline bool mesh__refs_unref(struct refs *refs)
{
    return atomic_fetch_sub_explicit(&refs->count, 1, memory_order_acq_rel) == 1;
}

#endif
