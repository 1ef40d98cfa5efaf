/* SPDX-License-Identifier: Apache-2.0 */
/* view.h - bytes borrowed from somebody else: a pointer and a length, no terminating NUL. */
#ifndef MESH__BASE_VIEW_H
#define MESH__BASE_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct view {
    const char *data;
    size_t size;
};

#define VIEW_LITERAL(text) ((struct view){ text, sizeof(text) - 1 })

static inline struct view mesh__view(const char *data, size_t size)
{
    return (struct view){ data, size };
}

/* The view of a C string; empty for NULL. */
static inline struct view mesh__view_of(const char *text)
{
    return (struct view){ text, text ? strlen(text) : 0 };
}

static inline bool mesh__view_equal(struct view a, struct view b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline char mesh__ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* Equal but for the case of ASCII letters, whatever the locale. */
static inline bool mesh__view_equal_nocase(struct view a, struct view b)
{
    if (a.size != b.size)
        return false;
    for (size_t i = 0; i < a.size; i++)
        if (mesh__ascii_lower(a.data[i]) != mesh__ascii_lower(b.data[i]))
            return false;
    return true;
}

/* Without spaces and tabs at both ends. */
static inline struct view mesh__view_trim(struct view v)
{
    while (v.size > 0 && (v.data[0] == ' ' || v.data[0] == '\t')) {
        v.data++;
        v.size--;
    }
    while (v.size > 0 && (v.data[v.size - 1] == ' ' || v.data[v.size - 1] == '\t'))
        v.size--;
    return v;
}

#endif
