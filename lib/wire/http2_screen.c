/* SPDX-License-Identifier: Apache-2.0 */
/* http2_screen.c - from frame to frame by their lengths; only the head of one that is cut is copied. */
#include "wire/http2_screen.h"

#define HEAD_SIZE 9
#define UPDATE_SIZE 13 /* a WINDOW_UPDATE, whole */

enum { TYPE_HEADERS = 1, TYPE_PUSH_PROMISE = 5, TYPE_WINDOW_UPDATE = 8, TYPE_CONTINUATION = 9, END_HEADERS = 4 };

static uint32_t number(const unsigned char *at, size_t size)
{
    uint32_t value = 0;
    for (size_t i = 0; i < size; i++)
        value = value << 8 | at[i];
    return value;
}

static uint32_t stream_of(const unsigned char *head)
{
    return number(head + 5, 4) & INT32_MAX;
}

/* How many bytes of a frame decide whether it is one: its head, of which so many are there, or more. */
static size_t needed(const struct http2_screen *screen, const unsigned char *head, size_t there)
{
    if (there < HEAD_SIZE || head[3] != TYPE_WINDOW_UPDATE || screen->block ||
        number(head, 3) != UPDATE_SIZE - HEAD_SIZE)
        return HEAD_SIZE;
    return stream_of(head) != 0 ? UPDATE_SIZE : HEAD_SIZE;
}

/* A frame that goes on. */
static void enter(struct http2_screen *screen, const unsigned char *head)
{
    screen->skip = HEAD_SIZE + number(head, 3);
    if (head[3] == TYPE_HEADERS || head[3] == TYPE_PUSH_PROMISE || head[3] == TYPE_CONTINUATION)
        screen->block = (head[4] & END_HEADERS) == 0;
}

/* The frame whose head was cut. */
static struct http2_screened complete(struct http2_screen *screen, const char *bytes, size_t size)
{
    struct http2_screened found = { 0 };
    while (found.used < size && screen->held < needed(screen, screen->head, screen->held))
        screen->head[screen->held++] = (unsigned char)bytes[found.used++];
    size_t whole = needed(screen, screen->head, screen->held);
    if (screen->held < whole)
        return found;
    struct view frame = mesh__view((const char *)screen->head, screen->held);
    screen->held = 0;
    if (whole == UPDATE_SIZE && number(screen->head + HEAD_SIZE, 4) << 1 == 0) {
        found.stream = stream_of(screen->head);
        found.frame = frame;
        return found;
    }
    enter(screen, screen->head);
    screen->skip -= (uint32_t)frame.size;
    found.pass = frame;
    return found;
}

struct http2_screened mesh__http2_screen(struct http2_screen *screen, const char *bytes, size_t size)
{
    size_t at = 0;
    if (screen->held > 0)
        return complete(screen, bytes, size);
    while (at < size) {
        size_t left = size - at;
        if (screen->skip > 0) {
            uint32_t part = left < screen->skip ? (uint32_t)left : screen->skip;
            screen->skip -= part;
            at += part;
            continue;
        }
        const unsigned char *head = (const unsigned char *)bytes + at;
        size_t whole = needed(screen, head, left);
        if (left < whole) {
            memcpy(screen->head, head, left);
            screen->held = (uint32_t)left;
            return (struct http2_screened){ .pass = mesh__view(bytes, at), .used = size };
        }
        if (whole == UPDATE_SIZE && number(head + HEAD_SIZE, 4) << 1 == 0)
            return (struct http2_screened){ .pass = mesh__view(bytes, at),
                                            .used = at + UPDATE_SIZE,
                                            .stream = stream_of(head),
                                            .frame = mesh__view(bytes + at, UPDATE_SIZE) };
        enter(screen, head);
    }
    return (struct http2_screened){ .pass = mesh__view(bytes, size), .used = size };
}
