/* SPDX-License-Identifier: Apache-2.0 */
/* http1_chunked.h - the framing of a chunked body (RFC 9112 7.1): sizes, extensions and trailers. Pure.
 *
 * A size is 1 to 16 hex digits, directly followed by ';' or CR. Extensions are skipped; trailers are checked, and kept
 * where somebody wants them. Both use up the header bytes that were left, and trailers the fields that were left.
 */
#ifndef MESH__WIRE_HTTP1_CHUNKED_H
#define MESH__WIRE_HTTP1_CHUNKED_H

#include "base/buf.h"

#include <mesh/status.h>

enum http1_chunked_state {
    CHUNKED_SIZE,
    CHUNKED_EXTENSION,
    CHUNKED_SIZE_LF,
    CHUNKED_DATA, /* `left` bytes of data come next: the caller takes them, and says so */
    CHUNKED_DATA_CR,
    CHUNKED_DATA_LF,
    CHUNKED_TRAILER,
    CHUNKED_TRAILER_NAME,
    CHUNKED_TRAILER_VALUE,
    CHUNKED_TRAILER_LF,
    CHUNKED_LAST_LF,
    CHUNKED_ENDED,
    CHUNKED_FAILED, /* see `status` and `reason` */
};

struct http1_chunked {
    enum http1_chunked_state state;
    uint32_t digits;
    uint64_t left;
    size_t header_bytes; /* that extensions and trailers may still use */
    size_t fields;       /* that may still come as trailers */
    struct buf *kept;    /* the lines of trailers as they come, with their ends; NULL: they are dropped */
    mesh_status status;
    const char *reason; /* static */
};

void mesh__http1_chunked_init(struct http1_chunked *chunked, size_t header_bytes, size_t fields, struct buf *kept);

/* Reads framing until data comes next, the body ended or failed, or the bytes are used up; returns those used. */
size_t mesh__http1_chunked_read(struct http1_chunked *chunked, const char *bytes, size_t size);

/* The caller took `size` bytes of data, at most `left`. */
void mesh__http1_chunked_took(struct http1_chunked *chunked, size_t size);

#endif
