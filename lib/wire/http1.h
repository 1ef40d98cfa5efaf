/* SPDX-License-Identifier: Apache-2.0 */
/* http1.h - HTTP/1.1 messages (RFC 9112): bytes in and events out, messages in and bytes out. No I/O, no clock.
 *
 * llhttp takes heads apart, in strict mode; around it our framing policy holds. A message is refused, and so its
 * connection must close, for: Content-Length beside Transfer-Encoding, two Content-Lengths (also equal ones, also as a
 * list), any transfer coding but one "chunked", Transfer-Encoding in HTTP/1.0, obs-fold, bare CR or LF, space before a
 * colon, an empty name, a status outside 100..999, an HTTP version other than 1.0 and 1.1, 101, a 1xx flood; of
 * requests, a Host that is missing (in HTTP/1.1), doubled or malformed, a method that llhttp does not know, and a
 * target that is neither in origin form nor in absolute form with "http" (nor OPTIONS *). Expect and Upgrade are not
 * acted on. Trailers are checked, counted against the header limits and told as they are, whatever their names are.
 * Chunk extensions are ignored and counted against max_header. The result does not depend on the pieces in which the
 * bytes come.
 */
#ifndef MESH__WIRE_HTTP1_H
#define MESH__WIRE_HTTP1_H

#include "base/buf.h"
#include "wire/body.h"

#include <mesh/status.h>

enum http1_role { HTTP1_RESPONSES, HTTP1_REQUESTS };

struct http1_limits {
    size_t max_header;    /* bytes of the head as it came, chunk extensions and trailers together */
    uint32_t max_headers; /* fields, trailers included */
    uint64_t max_body;
};

/* The head of a message; everything is valid during the event only. */
struct http1_head {
    int32_t status;        /* of a response */
    int32_t minor;         /* of the version: 0 for HTTP/1.0, 1 for HTTP/1.1 */
    struct view method;    /* of a request */
    struct view path;      /* in origin form, or "*"; only of "http://host?query" it is "?query" */
    struct view authority; /* of an absolute target, else of Host; may be empty */
    const mesh_header *headers;
    size_t header_count;
    bool keep_alive;              /* as far as the head says; false also for Keep-Alive: timeout=0 */
    int64_t content_length;       /* of the body that follows, 0 for none; -1: not known beforehand */
    int64_t keep_alive_timeout_s; /* Keep-Alive: timeout=N; -1: not said */
};

/* Each returns false to stop reading; mesh__http1_read() then reports MESH_NO_MEMORY. None may call the reader. 1xx
 * responses are not reported. Without a body there is no body event; nothing but an end follows the last one. */
struct http1_events {
    bool (*head)(void *user, const struct http1_head *head);
    bool (*body)(void *user, struct view bytes);
    bool (*trailers)(void *user, const mesh_header *headers, size_t count); /* at least one; NULL: they are dropped */
    bool (*end)(void *user, bool keep_alive);
};

struct http1_reader; /* opaque: llhttp stays inside http1.c */

/* NULL when memory is out. `events` is borrowed. Nothing is read before the first mesh__http1_reader_next(). */
struct http1_reader *mesh__http1_reader_new(const struct mem *mem, enum http1_role role,
                                            const struct http1_events *events, void *user);
void mesh__http1_reader_free(struct http1_reader *reader);

/* Gets ready for the next message on the same connection. For responses, `to_head` says that the request was HEAD,
 * whose response has no body whatever its fields say. */
void mesh__http1_reader_next(struct http1_reader *reader, const struct http1_limits *limits, bool to_head);

struct http1_progress {
    size_t used;        /* bytes taken; fewer than given only after an end or an error */
    bool ended;         /* one message is complete; what follows is not part of it */
    mesh_status status; /* MESH_OK; MESH_PROTOCOL, MESH_BODY_TOO_LARGE, ..: the connection is done */
    const char *reason; /* static words for a person, with status */
    int32_t answer;     /* a status for the peer that says more of MESH_PROTOCOL than 400 does; else 0 */
};

/* Reads up to the end of one message. After an end, or an error, it takes nothing and says the same again. */
struct http1_progress mesh__http1_read(struct http1_reader *reader, const char *bytes, size_t size);

/* The peer closed. A response that is delimited by that ends now (ended); anything else half-way is
 * MESH_PARTIAL_RESPONSE; between messages it is MESH_RESET with nothing read. */
struct http1_progress mesh__http1_read_eof(struct http1_reader *reader);

/* True once any byte of the current message has come, 1xx responses included; an empty line before a request is none.
 */
bool mesh__http1_reader_started(const struct http1_reader *reader);

/* Of a body whose size is not known when its head is written. */
#define HTTP1_SIZE_CHUNKED ((int64_t)-1) /* "transfer-encoding: chunked" is said: chunks follow, and trailers may */
#define HTTP1_SIZE_TO_CLOSE                                                                                            \
    ((int64_t)-2) /* of a response: nothing is said. The body ends with the connection, or does                        \
                     not come, as the answer to HEAD */

/* Appends the head of a request: the request line and Host, then the fields of each group in turn, then
 * "content-length" if `body_size` > 0 or the method is POST, PUT or PATCH, then the empty line. Nothing is checked
 * here: see http1_check.h. False past the cap of `out` or without memory. */
bool mesh__http1_write_request(struct buf *out, struct view method, struct view path, struct view authority,
                               const struct http1_field_group *groups, size_t group_count, int64_t body_size);

/* Appends the head of a response (status 200 to 999): the status line with its reason phrase, the fields, "date" (when
 * not NULL), "content-length" (not for 204 and 304) and "connection: close" when the connection will be closed. */
bool mesh__http1_write_response(struct buf *out, int32_t status, const mesh_header *headers, size_t header_count,
                                size_t body_size, const char *date, bool close);

/* The same with a size that is not known. */
bool mesh__http1_write_response_open(struct buf *out, int32_t status, const mesh_header *headers, size_t header_count,
                                     int64_t body_size, const char *date, bool close);

/* Around the bytes of a chunk, of which there is at least one; then the last chunk with the trailers, NULL for none. */
bool mesh__http1_write_chunk_start(struct buf *out, size_t size);
bool mesh__http1_write_chunk_end(struct buf *out);
bool mesh__http1_write_last_chunk(struct buf *out, const struct http1_field_group *trailers);

/* As many 1xx responses are skipped for one request; each may be as large as a head may be. */
#define HTTP1_INFORMATIONAL_MAX 100

#endif
