/* SPDX-License-Identifier: Apache-2.0 */
/* pipe.h - bytes on their way from a writer to a reader, in chunks that never move while a byte of them is kept.
 *
 * Every byte has a position, counted from 0. [begin, end) are kept: a reader looks at any of them, as often as it
 * likes, and lets go of the oldest. Memory is for what is kept; chunks let go of serve again, so a pipe that has once
 * held as much as it ever will allocates nothing more. Knows no threads: whoever shares a pipe locks it. */
#ifndef MESH__BASE_PIPE_H
#define MESH__BASE_PIPE_H

#include "base/mem.h"
#include "base/view.h"

#define PIPE_CHUNK ((size_t)16 * 1024)

struct pipe_chunk;

struct pipe {
    const struct mem *mem;           /* borrowed */
    struct pipe_chunk *first, *last; /* the first holds the byte at `begin`, or will */
    struct pipe_chunk *spare;
    uint64_t begin, end;
};

void mesh__pipe_init(struct pipe *pipe, const struct mem *mem);
void mesh__pipe_fini(struct pipe *pipe);

/* How many bytes are kept. */
static inline size_t mesh__pipe_size(const struct pipe *pipe)
{
    return (size_t)(pipe->end - pipe->begin);
}

/* Memory for `size` more bytes: so many can then be appended without fail. False when it is out. */
bool mesh__pipe_reserve(struct pipe *pipe, size_t size);

/* All of them, or none when memory is out. */
bool mesh__pipe_append(struct pipe *pipe, const void *data, size_t size);

/* At most `most` of the bytes from position `at` on that lie side by side; none at the end. They stay where they are
 * until they are let go of. */
struct view mesh__pipe_at(const struct pipe *pipe, uint64_t at, size_t most);

/* Lets go of the bytes before position `to`, which is at most `end`. */
void mesh__pipe_release(struct pipe *pipe, uint64_t to);

/* Copies up to `size` of the oldest bytes and lets go of them. Returns how many. */
size_t mesh__pipe_take(struct pipe *pipe, void *space, size_t size);

#endif
