/* SPDX-License-Identifier: Apache-2.0 */
/* body.h - the body of a message to send: bytes in memory, or a source that is asked for them piece by piece. */
#ifndef MESH__WIRE_BODY_H
#define MESH__WIRE_BODY_H

#include "base/view.h"

#include <mesh/base.h>

struct http1_field_group {
    const mesh_header *headers;
    size_t count;
};

enum body_next {
    BODY_MORE,  /* `bytes` were given; none is as BODY_LATER */
    BODY_LATER, /* nothing yet: asked again once the codec is told to resume, not before */
    BODY_LAST,  /* `bytes`, maybe none, are the last; then come the trailers, if any were given */
    BODY_BROKEN /* there will be no end: the message is cut off so that its receiver sees it */
};

/* Gives at most `most` bytes, which stay valid until it is asked again or the message is over; `trailers` are copied.
 * It runs in the middle of writing: of its message it may do nothing but cancel it. */
typedef enum body_next body_next_fn(void *user, size_t most, struct view *bytes, struct http1_field_group *trailers);

struct body_source {
    struct view bytes;  /* borrowed until the message is over */
    body_next_fn *next; /* when not NULL it is asked instead */
    void *next_user;
    int64_t size; /* with next: what Content-Length says, and as many bytes must come; -1: not known. Else not looked
                     at, since it is that of `bytes` */
};

/* Counts what the source gave off `size`, where that is known. False: it is more, or ends with less. */
static inline bool mesh__body_count(struct body_source *source, enum body_next next, size_t given)
{
    if (source->size < 0)
        return true;
    if (given > (uint64_t)source->size)
        return false;
    source->size -= (int64_t)given;
    return next != BODY_LAST || source->size == 0;
}

#endif
