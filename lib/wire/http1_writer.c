/* SPDX-License-Identifier: Apache-2.0 */
/* http1_writer.c - heads of requests and responses, and chunks: the size of each is counted first, so that one
 * reservation will do. */
#include "wire/http1.h"

#define VERSION "HTTP/1.1 "
#define REQUEST_LINE_END " HTTP/1.1\r\n"
#define HOST "host: "
#define DATE "date: "
#define CONTENT_LENGTH "content-length: "
#define CHUNKED "transfer-encoding: chunked\r\n"
#define LAST_CHUNK "0\r\n"
#define CONNECTION_CLOSE "connection: close\r\n"
#define LINE_END "\r\n"
#define LITERAL_SIZE(text) (sizeof(text) - 1)

static char *put(char *at, const char *data, size_t size)
{
    if (size > 0)
        memcpy(at, data, size);
    return at + size;
}

static char *put_view(char *at, struct view view)
{
    return put(at, view.data, view.size);
}

#define PUT_LITERAL(at, text) put(at, text, LITERAL_SIZE(text))

static size_t digit_count(uint64_t number)
{
    size_t count = 1;
    while (number >= 10) {
        number /= 10;
        count++;
    }
    return count;
}

static char *put_number(char *at, uint64_t number)
{
    size_t count = digit_count(number);
    for (size_t i = count; i > 0; i--) {
        at[i - 1] = (char)('0' + number % 10);
        number /= 10;
    }
    return at + count;
}

static size_t fields_size(const mesh_header *headers, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += headers[i].name_size + headers[i].value_size + LITERAL_SIZE(": \r\n");
    return size;
}

static char *put_fields(char *at, const mesh_header *headers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        at = put(at, headers[i].name, headers[i].name_size);
        at = PUT_LITERAL(at, ": ");
        at = put(at, headers[i].value, headers[i].value_size);
        at = PUT_LITERAL(at, LINE_END);
    }
    return at;
}

/* The field that says where the body ends. */
static size_t framing_size(int64_t body_size)
{
    if (body_size < 0)
        return body_size == HTTP1_SIZE_CHUNKED ? LITERAL_SIZE(CHUNKED) : 0;
    return LITERAL_SIZE(CONTENT_LENGTH) + digit_count((uint64_t)body_size) + LITERAL_SIZE(LINE_END);
}

static char *put_framing(char *at, int64_t body_size)
{
    if (body_size < 0)
        return put(at, CHUNKED, framing_size(body_size));
    at = PUT_LITERAL(at, CONTENT_LENGTH);
    at = put_number(at, (uint64_t)body_size);
    return PUT_LITERAL(at, LINE_END);
}

/* RFC 9110 8.6: a method whose body means something says so also when there is none. */
static bool expects_body(struct view method)
{
    return mesh__view_equal(method, VIEW_LITERAL("POST")) || mesh__view_equal(method, VIEW_LITERAL("PUT")) ||
           mesh__view_equal(method, VIEW_LITERAL("PATCH"));
}

bool mesh__http1_write_request(struct buf *out, struct view method, struct view path, struct view authority,
                               const struct http1_field_group *groups, size_t group_count, int64_t body_size)
{
    bool framed = body_size != 0 || expects_body(method);
    size_t size = method.size + 1 + path.size + LITERAL_SIZE(REQUEST_LINE_END HOST) + authority.size +
                  LITERAL_SIZE(LINE_END) + (framed ? framing_size(body_size) : 0) + LITERAL_SIZE(LINE_END);
    for (size_t i = 0; i < group_count; i++)
        size += fields_size(groups[i].headers, groups[i].count);
    if (!mesh__buf_reserve(out, size))
        return false;
    char *at = put_view(out->data + out->size, method);
    at = PUT_LITERAL(at, " ");
    at = put_view(at, path);
    at = PUT_LITERAL(at, REQUEST_LINE_END HOST);
    at = put_view(at, authority);
    at = PUT_LITERAL(at, LINE_END);
    for (size_t i = 0; i < group_count; i++)
        at = put_fields(at, groups[i].headers, groups[i].count);
    if (framed)
        at = put_framing(at, body_size);
    PUT_LITERAL(at, LINE_END);
    out->size += size;
    return true;
}

/* RFC 9110 15; empty for a status that has no registered phrase. */
static struct view reason_phrase(int32_t status)
{
    static const struct {
        int32_t status;
        const char *phrase;
    } phrases[] = {
        { 200, "OK" },
        { 201, "Created" },
        { 202, "Accepted" },
        { 203, "Non-Authoritative Information" },
        { 204, "No Content" },
        { 205, "Reset Content" },
        { 206, "Partial Content" },
        { 300, "Multiple Choices" },
        { 301, "Moved Permanently" },
        { 302, "Found" },
        { 303, "See Other" },
        { 304, "Not Modified" },
        { 307, "Temporary Redirect" },
        { 308, "Permanent Redirect" },
        { 400, "Bad Request" },
        { 401, "Unauthorized" },
        { 402, "Payment Required" },
        { 403, "Forbidden" },
        { 404, "Not Found" },
        { 405, "Method Not Allowed" },
        { 406, "Not Acceptable" },
        { 407, "Proxy Authentication Required" },
        { 408, "Request Timeout" },
        { 409, "Conflict" },
        { 410, "Gone" },
        { 411, "Length Required" },
        { 412, "Precondition Failed" },
        { 413, "Content Too Large" },
        { 414, "URI Too Long" },
        { 415, "Unsupported Media Type" },
        { 416, "Range Not Satisfiable" },
        { 417, "Expectation Failed" },
        { 421, "Misdirected Request" },
        { 422, "Unprocessable Content" },
        { 423, "Locked" },
        { 424, "Failed Dependency" },
        { 425, "Too Early" },
        { 426, "Upgrade Required" },
        { 428, "Precondition Required" },
        { 429, "Too Many Requests" },
        { 431, "Request Header Fields Too Large" },
        { 451, "Unavailable For Legal Reasons" },
        { 500, "Internal Server Error" },
        { 501, "Not Implemented" },
        { 502, "Bad Gateway" },
        { 503, "Service Unavailable" },
        { 504, "Gateway Timeout" },
        { 505, "HTTP Version Not Supported" },
        { 507, "Insufficient Storage" },
    };
    for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++)
        if (phrases[i].status == status)
            return mesh__view_of(phrases[i].phrase);
    return mesh__view("", 0);
}

bool mesh__http1_write_response(struct buf *out, int32_t status, const mesh_header *headers, size_t header_count,
                                size_t body_size, const char *date, bool close)
{
    return mesh__http1_write_response_open(out, status, headers, header_count, (int64_t)body_size, date, close);
}

bool mesh__http1_write_response_open(struct buf *out, int32_t status, const mesh_header *headers, size_t header_count,
                                     int64_t body_size, const char *date, bool close)
{
    bool framed = status != 204 && status != 304;
    struct view phrase = reason_phrase(status);
    struct view date_value = mesh__view_of(date);
    size_t size =
        LITERAL_SIZE(VERSION "200 ") + phrase.size + LITERAL_SIZE(LINE_END) + fields_size(headers, header_count) +
        (date != NULL ? LITERAL_SIZE(DATE LINE_END) + date_value.size : 0) + (framed ? framing_size(body_size) : 0) +
        (close ? LITERAL_SIZE(CONNECTION_CLOSE) : 0) + LITERAL_SIZE(LINE_END);
    if (!mesh__buf_reserve(out, size))
        return false;
    char *at = PUT_LITERAL(out->data + out->size, VERSION);
    for (int32_t unit = 100; unit > 0; unit /= 10)
        *at++ = (char)('0' + status / unit % 10);
    at = PUT_LITERAL(at, " ");
    at = put_view(at, phrase);
    at = PUT_LITERAL(at, LINE_END);
    at = put_fields(at, headers, header_count);
    if (date != NULL) {
        at = PUT_LITERAL(at, DATE);
        at = put_view(at, date_value);
        at = PUT_LITERAL(at, LINE_END);
    }
    if (framed)
        at = put_framing(at, body_size);
    if (close)
        at = PUT_LITERAL(at, CONNECTION_CLOSE);
    PUT_LITERAL(at, LINE_END);
    out->size += size;
    return true;
}

bool mesh__http1_write_chunk_start(struct buf *out, size_t size)
{
    char line[2 * sizeof size + LITERAL_SIZE(LINE_END)], *end = line + sizeof line, *at = end - LITERAL_SIZE(LINE_END);
    memcpy(at, LINE_END, LITERAL_SIZE(LINE_END));
    do
        *--at = "0123456789abcdef"[size & 15];
    while ((size >>= 4) > 0);
    return mesh__buf_append(out, at, (size_t)(end - at));
}

bool mesh__http1_write_chunk_end(struct buf *out)
{
    return mesh__buf_append(out, LINE_END, LITERAL_SIZE(LINE_END));
}

bool mesh__http1_write_last_chunk(struct buf *out, const struct http1_field_group *trailers)
{
    size_t size = LITERAL_SIZE(LAST_CHUNK LINE_END);
    if (trailers != NULL)
        size += fields_size(trailers->headers, trailers->count);
    if (!mesh__buf_reserve(out, size))
        return false;
    char *at = PUT_LITERAL(out->data + out->size, LAST_CHUNK);
    if (trailers != NULL)
        at = put_fields(at, trailers->headers, trailers->count);
    PUT_LITERAL(at, LINE_END);
    out->size += size;
    return true;
}
