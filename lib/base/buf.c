/* SPDX-License-Identifier: Apache-2.0 */
/* buf.c - growth by doubling, bounded by the cap and one byte for a NUL. */
#include "base/buf.h"

#include <stdio.h>

void mesh__buf_init(struct buf *buf, const struct mem *mem, size_t cap)
{
    *buf = (struct buf){ .mem = mem, .cap = cap };
}

void mesh__buf_fini(struct buf *buf)
{
    mesh__mem_free(buf->mem, buf->data);
    *buf = (struct buf){ .mem = buf->mem, .cap = buf->cap };
}

void mesh__buf_clear(struct buf *buf)
{
    buf->size = 0;
    buf->failed = false;
    buf->no_memory = false;
}

static bool grow(struct buf *buf, size_t needed)
{
    size_t capacity = buf->capacity ? buf->capacity : 64;
    while (capacity < needed)
        capacity = capacity > SIZE_MAX / 2 ? needed : capacity * 2;
    if (capacity - 1 > buf->cap)
        capacity = needed - 1 < buf->cap ? buf->cap + 1 : needed;
    char *data = mesh__resize(buf->mem, buf->data, buf->capacity, capacity);
    if (data == NULL)
        return false;
    buf->data = data;
    buf->capacity = capacity;
    return true;
}

bool mesh__buf_reserve(struct buf *buf, size_t extra)
{
    if (extra > buf->cap || buf->size > buf->cap - extra || extra == SIZE_MAX - buf->size) {
        buf->failed = true;
        return false;
    }
    /* One byte more than asked, so that mesh__buf_text() finds room for its NUL. */
    if (buf->capacity < buf->size + extra + 1 && !grow(buf, buf->size + extra + 1)) {
        buf->failed = true;
        buf->no_memory = true;
        return false;
    }
    return true;
}

bool mesh__buf_append(struct buf *buf, const void *data, size_t size)
{
    if (!mesh__buf_reserve(buf, size))
        return false;
    if (size > 0)
        memcpy(buf->data + buf->size, data, size);
    buf->size += size;
    return true;
}

bool mesh__buf_append_view(struct buf *buf, struct view view)
{
    return mesh__buf_append(buf, view.data, view.size);
}

bool mesh__buf_append_text(struct buf *buf, const char *text)
{
    return mesh__buf_append(buf, text, strlen(text));
}

bool mesh__buf_append_char(struct buf *buf, char c)
{
    return mesh__buf_append(buf, &c, 1);
}

bool mesh__buf_printf(struct buf *buf, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    bool ok = size >= 0 && mesh__buf_reserve(buf, (size_t)size);
    if (ok) {
        (void)vsnprintf(buf->data + buf->size, (size_t)size + 1, format, again);
        buf->size += (size_t)size;
    }
    va_end(again);
    return ok;
}

bool mesh__buf_append_json(struct buf *buf, struct view text)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c == '"' || c == '\\')
            mesh__buf_append_char(buf, '\\');
        if (c < 0x20 || c == 0x7f)
            mesh__buf_printf(buf, "\\u%04x", c);
        else
            mesh__buf_append_char(buf, (char)c);
    }
    return !buf->failed;
}

void mesh__buf_consume(struct buf *buf, size_t size)
{
    if (size >= buf->size) {
        buf->size = 0;
        return;
    }
    memmove(buf->data, buf->data + size, buf->size - size);
    buf->size -= size;
}

const char *mesh__buf_text(struct buf *buf)
{
    if (buf->data == NULL && !mesh__buf_reserve(buf, 0))
        return "";
    buf->data[buf->size] = '\0';
    return buf->data;
}
