/* SPDX-License-Identifier: Apache-2.0 */
/* http2_fields.c - one header block as it is read, and the head that it makes. */
#include "wire/http2_inside.h"

#include "wire/http1_check.h"

#define FIRST_FIELDS 16
#define FIELD_BYTES (sizeof(mesh_header) + 2 * sizeof(nghttp2_rcbuf *))

static struct view text_of(nghttp2_rcbuf *buffer)
{
    if (buffer == NULL)
        return mesh__view("", 0);
    nghttp2_vec vec = nghttp2_rcbuf_get_buf(buffer);
    return mesh__view((const char *)vec.base, vec.len);
}

void mesh__http2_fields_end(struct http2_conn *conn)
{
    struct http2_fields *fields = &conn->fields;
    for (size_t i = 0; i < 2 * fields->count; i++)
        nghttp2_rcbuf_decref(fields->held[i]);
    for (size_t i = 0; i < sizeof fields->pseudo / sizeof *fields->pseudo; i++)
        if (fields->pseudo[i] != NULL)
            nghttp2_rcbuf_decref(fields->pseudo[i]);
    mesh__http2_pool_give(conn->pool, fields->headers);
    *fields = (struct http2_fields){ 0 };
}

static bool grow(struct http2_conn *conn, size_t room)
{
    struct http2_fields *fields = &conn->fields;
    mesh_header *headers = mesh__http2_pool_take(conn->pool, room * FIELD_BYTES);
    if (headers == NULL)
        return false;
    nghttp2_rcbuf **held = (nghttp2_rcbuf **)(void *)(headers + room);
    if (fields->count > 0) {
        memcpy(headers, fields->headers, fields->count * sizeof *headers);
        memcpy(held, fields->held, 2 * fields->count * sizeof(nghttp2_rcbuf *));
    }
    mesh__http2_pool_give(conn->pool, fields->headers);
    fields->headers = headers;
    fields->held = held;
    fields->room = room;
    return true;
}

bool mesh__http2_fields_begin(struct http2_conn *conn, int32_t stream_id)
{
    mesh__http2_fields_end(conn);
    conn->fields.stream_id = stream_id;
    conn->fields.stream = mesh__http2_find(conn, stream_id);
    return grow(conn, FIRST_FIELDS);
}

/* Which pseudo-field it is; nghttp2 has refused all that are none. */
static enum http2_pseudo pseudo_of(const nghttp2_vec *name)
{
    switch (name->base[1]) {
    case 's':
        return name->base[2] == 't' ? PSEUDO_STATUS : PSEUDO_SCHEME;
    case 'm':
        return PSEUDO_METHOD;
    case 'a':
        return PSEUDO_AUTHORITY;
    default:
        return PSEUDO_PATH;
    }
}

bool mesh__http2_fields_add(struct http2_conn *conn, nghttp2_rcbuf *name, const nghttp2_vec *key, nghttp2_rcbuf *value,
                            const nghttp2_vec *text)
{
    struct http2_fields *fields = &conn->fields;
    if (key->len > 1 && key->base[0] == ':') {
        nghttp2_rcbuf **slot = &fields->pseudo[pseudo_of(key)];
        if (*slot == NULL) {
            nghttp2_rcbuf_incref(value);
            *slot = value;
        }
        return true;
    }
    if (fields->count == fields->room && !grow(conn, fields->room * 2))
        return false;
    nghttp2_rcbuf_incref(name);
    nghttp2_rcbuf_incref(value);
    fields->held[2 * fields->count] = name;
    fields->held[2 * fields->count + 1] = value;
    fields->headers[fields->count++] =
        (mesh_header){ (const char *)key->base, key->len, (const char *)text->base, text->len };
    return true;
}

/* The value of the first field of this name; NULL when there is none. */
static const mesh_header *field(const struct http2_fields *fields, struct view name)
{
    for (size_t i = 0; i < fields->count; i++)
        if (mesh__view_equal(mesh__view(fields->headers[i].name, fields->headers[i].name_size), name))
            return &fields->headers[i];
    return NULL;
}

static int64_t decimal(struct view text)
{
    int64_t number = 0;
    if (text.size == 0 || text.size > 18)
        return -1;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return -1;
        number = number * 10 + (text.data[i] - '0');
    }
    return number;
}

static const char *read_request(const struct http2_fields *fields, struct http1_head *head)
{
    head->method = text_of(fields->pseudo[PSEUDO_METHOD]);
    head->path = text_of(fields->pseudo[PSEUDO_PATH]);
    head->authority = text_of(fields->pseudo[PSEUDO_AUTHORITY]);
    struct view scheme = text_of(fields->pseudo[PSEUDO_SCHEME]);
    const mesh_header *host = field(fields, VIEW_LITERAL("host"));
    struct view hosted = host != NULL ? mesh__view(host->value, host->value_size) : head->authority;
    if (!mesh__http1_token(head->method))
        return "a method that is no token";
    if (mesh__view_equal(head->method, VIEW_LITERAL("CONNECT")))
        return "CONNECT, which is not served";
    if (!mesh__view_equal(scheme, VIEW_LITERAL("http")) && !mesh__view_equal(scheme, VIEW_LITERAL("https")))
        return "a scheme other than http and https";
    if (!mesh__http1_path(head->path) ||
        (head->path.data[0] == '*' && !mesh__view_equal(head->method, VIEW_LITERAL("OPTIONS"))))
        return "a path that is not in origin form";
    if (head->authority.size == 0)
        head->authority = hosted;
    if (!mesh__http1_authority(head->authority))
        return "an authority that is malformed";
    if (!mesh__view_equal_nocase(head->authority, hosted))
        return "a Host that says something else than :authority";
    return NULL;
}

const char *mesh__http2_fields_head(const struct http2_conn *conn, bool no_body, struct http1_head *head)
{
    const struct http2_fields *fields = &conn->fields;
    *head = (struct http1_head){ .minor = 1, .keep_alive = true, .keep_alive_timeout_s = -1 };
    head->headers = fields->headers;
    head->header_count = fields->count;
    if (conn->config.role == HTTP2_SERVER) {
        const char *reason = read_request(fields, head);
        if (reason != NULL)
            return reason;
    } else {
        head->status = (int32_t)decimal(text_of(fields->pseudo[PSEUDO_STATUS]));
        if (head->status < 100)
            return "a status outside 100..999";
    }
    const mesh_header *length = field(fields, VIEW_LITERAL("content-length"));
    head->content_length = length != NULL ? decimal(mesh__view(length->value, length->value_size)) : -1;
    if (length != NULL && head->content_length < 0)
        return "a Content-Length that is not one number";
    if (no_body)
        head->content_length = 0;
    return NULL;
}
