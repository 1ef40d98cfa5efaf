/* SPDX-License-Identifier: Apache-2.0 */
/* path.c - decodes into the room that was given, then resolves segments in place, where they never grow. */
#include "server/path.h"

struct view mesh__path_of(struct view target)
{
    const char *query = target.size > 0 ? memchr(target.data, '?', target.size) : NULL;
    return mesh__view(target.data, query ? (size_t)(query - target.data) : target.size);
}

static int digit(char c)
{
    char lower = mesh__ascii_lower(c);
    if (c >= '0' && c <= '9')
        return c - '0';
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static bool is_control(char c)
{
    return (unsigned char)c < ' ' || c == 0x7f;
}

static bool decode(struct view path, char *out, size_t *size)
{
    size_t to = 0;
    for (size_t at = 0; at < path.size; at++) {
        char c = path.data[at];
        if (c == '%') {
            int high = at + 2 < path.size ? digit(path.data[at + 1]) : -1;
            int low = high >= 0 ? digit(path.data[at + 2]) : -1;
            if (low < 0)
                return false;
            c = (char)(high * 16 + low);
            if (c == '/')
                return false;
            at += 2;
        } else if (c == '#') {
            return false;
        }
        if (c == '\\' || is_control(c))
            return false;
        out[to++] = c;
    }
    *size = to;
    return true;
}

/* The path's size without its last segment and the slash before that. */
static size_t parent(const char *path, size_t size)
{
    while (size > 0 && path[size - 1] != '/')
        size--;
    return size > 0 ? size - 1 : 0;
}

static bool resolve(char *path, size_t *size)
{
    size_t to = 0, next;
    bool merged = false, folder = false;
    for (size_t at = 1; at <= *size; at = next + 1) {
        const char *slash = at < *size ? memchr(path + at, '/', *size - at) : NULL;
        next = slash ? (size_t)(slash - path) : *size;
        struct view segment = mesh__view(path + at, next - at);
        bool up = mesh__view_equal(segment, VIEW_LITERAL(".."));
        folder = segment.size == 0 || up || mesh__view_equal(segment, VIEW_LITERAL("."));
        if (up && merged)
            return false;
        merged |= segment.size == 0;
        if (up)
            to = parent(path, to);
        if (folder)
            continue;
        path[to++] = '/';
        memmove(path + to, segment.data, segment.size);
        to += segment.size;
    }
    if (folder || to == 0)
        path[to++] = '/';
    *size = to;
    return true;
}

bool mesh__path_normalize(struct view target, char *out, size_t *size)
{
    struct view path = mesh__path_of(target);
    if (mesh__view_equal(path, VIEW_LITERAL("*"))) {
        out[0] = '*';
        *size = 1;
        return true;
    }
    return path.size > 0 && path.data[0] == '/' && decode(path, out, size) && resolve(out, size);
}
