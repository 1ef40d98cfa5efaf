/* SPDX-License-Identifier: Apache-2.0 */
/* buf.h - bytes that grow up to a hard cap; an append that would pass it fails and changes nothing.
 *
 * After a failure `failed` stays set until the buffer is cleared, so that a run of appends is checked once at its end.
 */
#ifndef MESH__BASE_BUF_H
#define MESH__BASE_BUF_H

#include "base/mem.h"
#include "base/view.h"

#include <stdarg.h>

struct buf {
    const struct mem *mem; /* borrowed */
    char *data;            /* owned; NULL while nothing was appended */
    size_t size;
    size_t capacity;
    size_t cap; /* `size` never passes this */
    bool failed;
    bool no_memory; /* the failure was memory, not the cap */
};

void mesh__buf_init(struct buf *buf, const struct mem *mem, size_t cap);
void mesh__buf_fini(struct buf *buf);

/* Empties the buffer and keeps its memory. */
void mesh__buf_clear(struct buf *buf);

/* Room for `extra` more bytes; false, and nothing changed, past the cap or without memory. */
bool mesh__buf_reserve(struct buf *buf, size_t extra);

bool mesh__buf_append(struct buf *buf, const void *data, size_t size);
bool mesh__buf_append_view(struct buf *buf, struct view view);
bool mesh__buf_append_text(struct buf *buf, const char *text);
bool mesh__buf_append_char(struct buf *buf, char c);
bool mesh__buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends `text` as the inside of a JSON string, without the quotes. */
bool mesh__buf_append_json(struct buf *buf, struct view text);

/* Drops the first `size` bytes. */
void mesh__buf_consume(struct buf *buf, size_t size);

/* Puts a NUL behind the last byte (not counted in size) and gives the text; "" after a failure to find room. */
const char *mesh__buf_text(struct buf *buf);

#endif
