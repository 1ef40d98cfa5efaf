/* SPDX-License-Identifier: Apache-2.0 */
/* http2_literals.c - the fields of a request that no other request repeats, written as plain literals.
 *
 * Such a field stays out of HPACK's table, and so has no part in its state: it may stand behind what nghttp2 has made
 * of the others, as it is. nghttp2 would copy it, look for it in its tables and code it by Huffman, which costs more
 * than all the rest of a head. It is left out where the head may not fit one frame, behind which nothing could be put.
 */
#include "wire/http2_inside.h"

#include <strings.h>

#define HEAD_MAX 16000    /* a head of no more bytes, reckoned as below, fits the least SETTINGS_MAX_FRAME_SIZE */
#define FIELD_MORE 16     /* what coding may add to a field: a byte and two lengths */
#define PSEUDO_FIELDS 5   /* with content-length */
#define LITERAL 0x00      /* RFC 7541 6.2.2: without indexing, with a new name */
#define LENGTH_PREFIX 127 /* RFC 7541 5.1: of 7 bits; Huffman's bit is 0 */

/* By their length: most names are of none of these. */
static bool may_be_volatile(size_t size)
{
    const uint32_t sizes = 1u << 7 | 1u << 10 | 1u << 11 | 1u << 12 | 1u << 15 | 1u << 30;
    return size < 32 && (sizes >> size & 1) != 0;
}

struct view mesh__http2_volatile_name(struct view name)
{
    static const struct view names[] = { { "baggage", 7 },
                                         { "tracestate", 10 },
                                         { "traceparent", 11 },
                                         { "grpc-timeout", 12 },
                                         { "x-request-id", 12 },
                                         { "idempotency-key", 15 },
                                         { "x-envoy-expected-rq-timeout-ms", 30 } };
    if (may_be_volatile(name.size))
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (name.size == names[i].size && strncasecmp(name.data, names[i].data, name.size) == 0)
                return names[i];
    return mesh__view(NULL, 0);
}

static char *put_length(char *at, size_t length)
{
    if (length < LENGTH_PREFIX) {
        *at++ = (char)length;
        return at;
    }
    *at++ = LENGTH_PREFIX;
    for (length -= LENGTH_PREFIX; length >= 128; length >>= 7)
        *at++ = (char)(length % 128 + 128);
    *at++ = (char)length;
    return at;
}

size_t mesh__http2_literals_room(const struct http2_request *request)
{
    size_t room = 0;
    size_t head = request->method.size + request->path.size + request->authority.size + PSEUDO_FIELDS * 2 * FIELD_MORE;
    for (size_t i = 0; i < request->group_count; i++)
        for (size_t j = 0; j < request->groups[i].count; j++) {
            const mesh_header *field = &request->groups[i].headers[j];
            size_t size = field->name_size + field->value_size + FIELD_MORE;
            head += size;
            if (may_be_volatile(field->name_size))
                room += size;
        }
    return head <= HEAD_MAX ? room : 0;
}

static char *put_text(char *at, struct view text)
{
    at = put_length(at, text.size);
    if (text.size > 0)
        memcpy(at, text.data, text.size);
    return at + text.size;
}

void mesh__http2_literals_put(struct http2_stream *stream, struct view name, struct view value)
{
    char *at = stream->literals + stream->literal_size;
    *at++ = LITERAL;
    at = put_text(put_text(at, name), value);
    stream->literal_size = (size_t)(at - stream->literals);
}

static size_t length_of(const uint8_t *head)
{
    return (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
}

/* The stream whose request has this frame for its head, and literals to go with it. */
static struct http2_stream *stream_of(struct http2_conn *conn, const uint8_t *head, size_t size)
{
    if (size < 9 || head[3] != NGHTTP2_HEADERS)
        return NULL;
    uint32_t id = (uint32_t)head[5] << 24 | (uint32_t)head[6] << 16 | (uint32_t)head[7] << 8 | head[8];
    struct http2_stream *stream = mesh__http2_find(conn, (int32_t)id);
    return stream != NULL && stream->literal_size > 0 ? stream : NULL;
}

bool mesh__http2_append_frame(struct http2_conn *conn, const uint8_t *bytes, size_t size)
{
    struct http2_stream *stream = stream_of(conn, bytes, size);
    if (stream == NULL)
        return mesh__buf_append(conn->out, bytes, size);
    size_t more = stream->literal_size, length = length_of(bytes);
    if (size != 9 + length || (bytes[4] & NGHTTP2_FLAG_END_HEADERS) == 0) {
        mesh__http2_fail(conn, MESH_EINTERNAL, "a head in more than one frame",
                         strlen("a head in more than one frame"));
        return true;
    }
    if (!mesh__buf_reserve(conn->out, size + more))
        return false;
    char *at = conn->out->data + conn->out->size;
    memcpy(at, bytes, size);
    memcpy(at + size, stream->literals, more);
    length += more;
    at[0] = (char)(length >> 16);
    at[1] = (char)(length >> 8);
    at[2] = (char)length;
    conn->out->size += size + more;
    stream->literal_size = 0;
    return true;
}
