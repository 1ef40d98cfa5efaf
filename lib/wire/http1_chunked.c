/* SPDX-License-Identifier: Apache-2.0 */
/* http1_chunked.c - one step a byte; data never passes through here. */
#include "wire/http1_chunked.h"

#include "wire/http1_check.h"

#define MAX_SIZE_DIGITS 16

void mesh__http1_chunked_init(struct http1_chunked *chunked, size_t header_bytes, size_t fields, struct buf *kept)
{
    *chunked =
        (struct http1_chunked){ .state = CHUNKED_SIZE, .header_bytes = header_bytes, .fields = fields, .kept = kept };
}

static void fail(struct http1_chunked *chunked, mesh_status status, const char *reason)
{
    chunked->state = CHUNKED_FAILED;
    chunked->status = status;
    chunked->reason = reason;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = mesh__ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void read_size(struct http1_chunked *chunked, char c)
{
    int digit = hex_value(c);
    if (digit >= 0 && chunked->digits < MAX_SIZE_DIGITS) {
        chunked->left = chunked->left << 4 | (uint64_t)digit;
        chunked->digits++;
    } else if (digit >= 0 || chunked->digits == 0) {
        fail(chunked, MESH_PROTOCOL, digit >= 0 ? "a chunk size of too many digits" : "a chunk without a size");
    } else if (c == '\r') {
        chunked->state = CHUNKED_SIZE_LF;
    } else if (c == ';') {
        chunked->state = CHUNKED_EXTENSION;
    } else {
        fail(chunked, MESH_PROTOCOL, "a chunk size with a character that is no hex digit");
    }
}

static void expect(struct http1_chunked *chunked, char c, char expected, enum http1_chunked_state next)
{
    if (c == expected)
        chunked->state = next;
    else
        fail(chunked, MESH_PROTOCOL, "a line end that is missing in a chunked body");
}

/* Text up to CR, in an extension or a trailer's value. */
static void read_text(struct http1_chunked *chunked, char c, enum http1_chunked_state next)
{
    if (c == '\r')
        chunked->state = next;
    else if (!mesh__http1_text(mesh__view(&c, 1)))
        fail(chunked, MESH_PROTOCOL, "a control character in a chunk extension or trailer");
}

static void read_trailer_start(struct http1_chunked *chunked, char c)
{
    if (c == '\r')
        chunked->state = CHUNKED_LAST_LF;
    else if (!mesh__http1_tchar(c))
        fail(chunked, MESH_PROTOCOL, "a trailer whose name is no token");
    else if (chunked->fields == 0)
        fail(chunked, MESH_TOO_MANY_HEADERS, "more header fields and trailers than max_headers");
    else {
        chunked->fields--;
        chunked->state = CHUNKED_TRAILER_NAME;
    }
}

static void read_trailer_name(struct http1_chunked *chunked, char c)
{
    if (c == ':')
        chunked->state = CHUNKED_TRAILER_VALUE;
    else if (!mesh__http1_tchar(c))
        fail(chunked, MESH_PROTOCOL, "a trailer whose name is no token");
}

/* The empty line that ends the trailers is framing, like the sizes and the line ends of data. */
static bool counts_as_header(const struct http1_chunked *chunked, char c)
{
    switch (chunked->state) {
    case CHUNKED_EXTENSION:
    case CHUNKED_TRAILER_NAME:
    case CHUNKED_TRAILER_VALUE:
    case CHUNKED_TRAILER_LF:
        return true;
    case CHUNKED_TRAILER:
        return c != '\r';
    default:
        return false;
    }
}

static void read_byte(struct http1_chunked *chunked, char c)
{
    switch (chunked->state) {
    case CHUNKED_SIZE:
        read_size(chunked, c);
        break;
    case CHUNKED_EXTENSION:
        read_text(chunked, c, CHUNKED_SIZE_LF);
        break;
    case CHUNKED_SIZE_LF:
        expect(chunked, c, '\n', chunked->left > 0 ? CHUNKED_DATA : CHUNKED_TRAILER);
        break;
    case CHUNKED_DATA_CR:
        expect(chunked, c, '\r', CHUNKED_DATA_LF);
        break;
    case CHUNKED_DATA_LF:
        expect(chunked, c, '\n', CHUNKED_SIZE);
        break;
    case CHUNKED_TRAILER:
        read_trailer_start(chunked, c);
        break;
    case CHUNKED_TRAILER_NAME:
        read_trailer_name(chunked, c);
        break;
    case CHUNKED_TRAILER_VALUE:
        read_text(chunked, c, CHUNKED_TRAILER_LF);
        break;
    case CHUNKED_TRAILER_LF:
        expect(chunked, c, '\n', CHUNKED_TRAILER);
        break;
    case CHUNKED_LAST_LF:
        expect(chunked, c, '\n', CHUNKED_ENDED);
        break;
    case CHUNKED_DATA:
    case CHUNKED_ENDED:
    case CHUNKED_FAILED:
        break;
    }
}

static bool wants_framing(const struct http1_chunked *chunked)
{
    return chunked->state != CHUNKED_DATA && chunked->state < CHUNKED_ENDED;
}

size_t mesh__http1_chunked_read(struct http1_chunked *chunked, const char *bytes, size_t size)
{
    size_t at = 0;
    while (at < size && wants_framing(chunked)) {
        bool counts = counts_as_header(chunked, bytes[at]);
        if (counts && chunked->header_bytes == 0) {
            fail(chunked, MESH_HEADER_TOO_LARGE, "chunk extensions and trailers beyond max_header");
            break;
        }
        chunked->header_bytes -= counts;
        if (counts && chunked->state != CHUNKED_EXTENSION && chunked->kept != NULL &&
            !mesh__buf_append_char(chunked->kept, bytes[at])) {
            fail(chunked, MESH_NO_MEMORY, "memory ran out while a message was read");
            break;
        }
        read_byte(chunked, bytes[at++]);
    }
    return at;
}

void mesh__http1_chunked_took(struct http1_chunked *chunked, size_t size)
{
    chunked->left -= size;
    if (chunked->left == 0) {
        chunked->digits = 0;
        chunked->state = CHUNKED_DATA_CR;
    }
}
