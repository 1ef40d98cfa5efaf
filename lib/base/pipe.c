/* SPDX-License-Identifier: Apache-2.0 */
/* pipe.c - a list of chunks: the n-th of all that ever were has the positions from n times their size on. */
#include "base/pipe.h"

#include <string.h>

struct pipe_chunk {
    struct pipe_chunk *next;
    char bytes[PIPE_CHUNK];
};

void mesh__pipe_init(struct pipe *pipe, const struct mem *mem)
{
    *pipe = (struct pipe){ .mem = mem };
}

static void free_chunks(struct pipe *pipe, struct pipe_chunk *chunk)
{
    while (chunk) {
        struct pipe_chunk *next = chunk->next;
        mesh__mem_free(pipe->mem, chunk);
        chunk = next;
    }
}

void mesh__pipe_fini(struct pipe *pipe)
{
    free_chunks(pipe, pipe->first);
    free_chunks(pipe, pipe->spare);
    mesh__pipe_init(pipe, pipe->mem);
}

/* How much of the last chunk is free. */
static size_t room(const struct pipe *pipe)
{
    size_t used = (size_t)(pipe->end % PIPE_CHUNK);
    return pipe->last && used > 0 ? PIPE_CHUNK - used : 0;
}

bool mesh__pipe_reserve(struct pipe *pipe, size_t size)
{
    size_t have = room(pipe);
    for (const struct pipe_chunk *chunk = pipe->spare; chunk && have < size; chunk = chunk->next)
        have += PIPE_CHUNK;
    while (have < size) {
        struct pipe_chunk *chunk = mesh__alloc(pipe->mem, sizeof(*chunk));
        if (chunk == NULL)
            return false;
        chunk->next = pipe->spare;
        pipe->spare = chunk;
        have += PIPE_CHUNK;
    }
    return true;
}

static void add_chunk(struct pipe *pipe)
{
    struct pipe_chunk *chunk = pipe->spare;
    pipe->spare = chunk->next;
    chunk->next = NULL;
    if (pipe->last)
        pipe->last->next = chunk;
    else
        pipe->first = chunk;
    pipe->last = chunk;
}

bool mesh__pipe_append(struct pipe *pipe, const void *data, size_t size)
{
    if (!mesh__pipe_reserve(pipe, size))
        return false;
    for (const char *from = data; size > 0;) {
        if (room(pipe) == 0)
            add_chunk(pipe);
        size_t used = (size_t)(pipe->end % PIPE_CHUNK);
        size_t part = size < PIPE_CHUNK - used ? size : PIPE_CHUNK - used;
        memcpy(pipe->last->bytes + used, from, part);
        pipe->end += part;
        from += part;
        size -= part;
    }
    return true;
}

struct view mesh__pipe_at(const struct pipe *pipe, uint64_t at, size_t most)
{
    if (at >= pipe->end)
        return mesh__view(NULL, 0);
    const struct pipe_chunk *chunk = pipe->first;
    for (uint64_t skip = at / PIPE_CHUNK - pipe->begin / PIPE_CHUNK; skip > 0; skip--)
        chunk = chunk->next;
    size_t offset = (size_t)(at % PIPE_CHUNK);
    size_t size = PIPE_CHUNK - offset;
    if (size > pipe->end - at)
        size = (size_t)(pipe->end - at);
    return mesh__view(chunk->bytes + offset, size < most ? size : most);
}

void mesh__pipe_release(struct pipe *pipe, uint64_t to)
{
    for (uint64_t gone = to / PIPE_CHUNK - pipe->begin / PIPE_CHUNK; gone > 0; gone--) {
        struct pipe_chunk *chunk = pipe->first;
        pipe->first = chunk->next;
        if (pipe->first == NULL)
            pipe->last = NULL;
        chunk->next = pipe->spare;
        pipe->spare = chunk;
    }
    pipe->begin = to;
}

size_t mesh__pipe_take(struct pipe *pipe, void *space, size_t size)
{
    size_t taken = 0;
    while (taken < size && pipe->begin < pipe->end) {
        struct view piece = mesh__pipe_at(pipe, pipe->begin, size - taken);
        memcpy((char *)space + taken, piece.data, piece.size);
        taken += piece.size;
        mesh__pipe_release(pipe, pipe->begin + piece.size);
    }
    return taken;
}
