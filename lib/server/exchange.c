/* SPDX-License-Identifier: Apache-2.0 */
/* exchange.c - a head is copied into one block: the struct, the fields, then all texts. */
#include "server/exchange.h"

#define NO_LIMIT (SIZE_MAX / 2)

const mesh_header *mesh__exchange_find(const mesh_header *headers, size_t count, struct view name)
{
    for (size_t i = 0; i < count; i++)
        if (mesh__view_equal_nocase(mesh__view(headers[i].name, headers[i].name_size), name))
            return &headers[i];
    return NULL;
}

/* The reader's limits bound the sum. */
static size_t size_of(const struct http1_head *head)
{
    size_t size = sizeof(mesh_exchange) + head->header_count * sizeof(mesh_header);
    size += head->method.size + 1 + 1 + head->path.size + 1 + head->authority.size + 1;
    for (size_t i = 0; i < head->header_count; i++)
        size += head->headers[i].name_size + 1 + head->headers[i].value_size + 1;
    return size;
}

static const char *put(char **at, const char *text, size_t size)
{
    char *start = *at;
    if (size > 0)
        memcpy(start, text, size);
    start[size] = '\0';
    *at += size + 1;
    return start;
}

static bool is_cookie(const mesh_header *header)
{
    return mesh__view_equal(mesh__view(header->name, header->name_size), VIEW_LITERAL("cookie"));
}

/* RFC 9113 8.2.3: the pieces from the first one on, joined. It takes no more room than they had apart. */
static mesh_header put_cookies(char **at, const struct http1_head *head, size_t first)
{
    mesh_header out = { .name_size = head->headers[first].name_size };
    out.name = put(at, head->headers[first].name, out.name_size);
    out.value = *at;
    for (size_t i = first; i < head->header_count; i++) {
        const mesh_header *from = &head->headers[i];
        if (!is_cookie(from))
            continue;
        if (i > first) {
            (*at)[-1] = ';'; /* in place of the NUL */
            *(*at)++ = ' ';
        }
        (void)put(at, from->value, from->value_size);
    }
    out.value_size = (size_t)(*at - out.value) - 1;
    return out;
}

static void copy_head(mesh_exchange *exchange, const struct http1_head *head, bool is_http2)
{
    mesh_header *headers = (mesh_header *)(exchange + 1);
    char *at = (char *)(headers + head->header_count);
    exchange->method = put(&at, head->method.data, head->method.size);
    exchange->path = at;
    if (head->path.size > 0 && head->path.data[0] == '?') /* of a URL without a path */
        *at++ = '/';
    (void)put(&at, head->path.data, head->path.size);
    exchange->authority = put(&at, head->authority.data, head->authority.size);
    bool joined = false;
    for (size_t i = 0; i < head->header_count; i++) {
        const mesh_header *from = &head->headers[i];
        bool cookie = is_http2 && is_cookie(from);
        if (cookie && joined)
            continue;
        joined |= cookie;
        headers[exchange->header_count++] =
            cookie ? put_cookies(&at, head, i)
                   : (mesh_header){ put(&at, from->name, from->name_size), from->name_size,
                                    put(&at, from->value, from->value_size), from->value_size };
    }
    exchange->headers = headers;
}

static void random_bytes(struct rng *rng, uint8_t *out, size_t size)
{
    for (size_t i = 0; i < size; i += 8) {
        uint64_t bits = mesh__rng_next(rng) | 1; /* no id is all zero */
        memcpy(out + i, &bits, size - i < 8 ? size - i : 8);
    }
}

/* The server's span becomes the parent of what the handler calls. */
static void start_span(mesh_exchange *exchange)
{
    struct mesh_inbound *inbound = &exchange->inbound;
    struct rng *rng = &exchange->server->own.rng;
    if (!mesh__outbox_wants_spans(exchange->server->outbox))
        return;
    if (inbound->has_trace) {
        memcpy(exchange->parent_id, inbound->trace.span_id, sizeof(exchange->parent_id));
    } else {
        random_bytes(rng, inbound->trace.trace_id, sizeof(inbound->trace.trace_id));
        inbound->trace.flags = TRACE_SAMPLED | TRACE_RANDOM;
        inbound->has_trace = true;
    }
    random_bytes(rng, inbound->trace.span_id, sizeof(inbound->trace.span_id));
    exchange->span = inbound->trace;
}

static void set_kind(mesh_exchange *exchange, struct http2_stream *stream, const struct http1_head *head)
{
    exchange->stream = stream;
    exchange->is_http2 = stream != NULL;
    exchange->is_head = strcmp(exchange->method, "HEAD") == 0;
    exchange->is_old = stream == NULL && head->minor == 0;
    exchange->keep_alive = head->minor == 0 && head->keep_alive;
    exchange->close = !head->keep_alive;
    const mesh_header *type =
        mesh__exchange_find(exchange->headers, exchange->header_count, VIEW_LITERAL("content-type"));
    exchange->is_grpc =
        stream != NULL && type != NULL && mesh__grpc_content_type(mesh__view(type->value, type->value_size));
}

mesh_exchange *mesh__exchange_new(mesh_server *server, struct connection *connection, struct http2_stream *stream,
                                  struct peer *peer, const struct http1_head *head)
{
    const struct world *world = server->own.loop.world;
    mesh_exchange *exchange = mesh__alloc(&server->mem, size_of(head));
    if (exchange == NULL)
        return NULL;
    memset(exchange, 0, sizeof(*exchange));
    exchange->arrived = server->own.loop.now;
    if (!mesh__inbound_init(&exchange->inbound, &server->mem, head->headers, head->header_count, exchange->arrived)) {
        mesh__mem_free(&server->mem, exchange);
        return NULL;
    }
    exchange->inbound.borrowed = true;
    mesh__refs_init(&exchange->refs);
    exchange->server = server;
    mesh__refs_ref(&server->refs);
    exchange->connection = connection;
    exchange->coming = true;
    exchange->max_body = server->settings->max_body;
    exchange->peer = mesh__peer_ref(peer);
    atomic_init(&exchange->gone, false);
    copy_head(exchange, head, stream != NULL);
    mesh__buf_init(&exchange->body, &server->mem, server->streams ? NO_LIMIT : (size_t)server->settings->max_body);
    mesh__buf_init(&exchange->reply, &server->mem, NO_LIMIT);
    mesh__buf_init(&exchange->message, &server->mem, NO_LIMIT);
    mesh__flow_init(&exchange->flow, &server->mem);
    set_kind(exchange, stream, head);
    exchange->arrived_unix = world->unix_now(world);
    start_span(exchange);
    return exchange;
}

void mesh__exchange_unref(mesh_exchange *exchange)
{
    mesh_server *server = exchange->server;
    if (!mesh__refs_unref(&exchange->refs))
        return;
    mesh__flow_fini(&exchange->flow);
    mesh__buf_fini(&exchange->message);
    mesh__buf_fini(&exchange->body);
    mesh__buf_fini(&exchange->reply);
    mesh__mem_free(&server->mem, exchange->fields);
    mesh__inbound_fini(&exchange->inbound);
    mesh__peer_unref(&server->mem, exchange->peer);
    mesh__mem_free(&server->mem, exchange);
    mesh__server_unref(server);
}

bool mesh__exchange_is_outdated(const mesh_exchange *exchange)
{
    return exchange->peer->secure && exchange->peer->epoch != atomic_load(&exchange->server->epoch);
}

static void copy_text(char *out, size_t room, const char *text, size_t size)
{
    if (size > room - 1)
        size = room - 1;
    memcpy(out, text, size);
    out[size] = '\0';
}

void mesh__exchange_report(mesh_exchange *exchange, mesh_status outcome, int32_t status, mesh_nanos ended)
{
    mesh_server *server = exchange->server;
    if (exchange->reported || !mesh__outbox_wants_spans(server->outbox))
        return;
    exchange->reported = true;
    struct span_record record = {
        .kind = MESH_SPAN_SERVER,
        .context = exchange->span,
        .start_unix_ns = exchange->arrived_unix,
        .duration_ns = mesh__nanos_max(0, mesh__nanos_sub(ended, exchange->arrived)),
        .status = outcome,
        .http_status = status,
        .grpc_status = -1,
    };
    memcpy(record.parent_id, exchange->parent_id, sizeof(record.parent_id));
    const char *path = exchange->path;
    copy_text(record.service, sizeof(record.service), server->settings->name, strlen(server->settings->name));
    copy_text(record.endpoint, sizeof(record.endpoint), server->address, strlen(server->address));
    copy_text(record.method, sizeof(record.method), exchange->method, strlen(exchange->method));
    copy_text(record.path, sizeof(record.path), path, strcspn(path, "?"));
    mesh__outbox_span(server->outbox, &record);
}
