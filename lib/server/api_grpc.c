/* SPDX-License-Identifier: Apache-2.0 */
/* api_grpc.c - the exported functions of a gRPC exchange: messages in the bodies, and how it ends. */
#include "server/reply.h"

#include <stdio.h>

#define NUMBER_ROOM 12
#define MESSAGE_MAX 4096 /* percent-encoded; what is longer is cut */

static const mesh_header *find(const mesh_exchange *exchange, struct view name)
{
    return mesh__exchange_find(exchange->headers, exchange->header_count, name);
}

/* ---- messages in ---- */

static void start_decoder(mesh_exchange *exchange)
{
    uint64_t most = exchange->max_body; /* the server may have gone */
    const mesh_header *coding = find(exchange, VIEW_LITERAL("grpc-encoding"));
    mesh__grpc_decoder_init(&exchange->decoder, most < UINT32_MAX ? (uint32_t)most : UINT32_MAX);
    exchange->decoder.encoded =
        coding != NULL && !mesh__view_equal(mesh__view(coding->value, coding->value_size), VIEW_LITERAL("identity"));
    exchange->decoding = true;
}

static mesh_status fail(mesh_exchange *exchange)
{
    switch (exchange->decoder.status) {
    case GRPC_RESOURCE_EXHAUSTED:
        exchange->refusal = 413;
        return MESH_BODY_TOO_LARGE;
    case GRPC_UNIMPLEMENTED:
        exchange->refusal = 501;
        return MESH_EUNSUPPORTED;
    default:
        exchange->refusal = 400;
        return MESH_PROTOCOL;
    }
}

/* Reads on. `*ended`: there is nothing more, and no message has begun. */
static mesh_status fill(mesh_exchange *exchange, mesh_nanos timeout, bool *ended)
{
    mesh_status status = mesh__flow_fill(exchange, timeout);
    mesh__reply_note_refusal(exchange, status);
    if (status != MESH_OK || mesh__exchange_unread(exchange).size > 0)
        return status;
    *ended = mesh__grpc_between(&exchange->decoder);
    exchange->refusal = *ended ? exchange->refusal : 400;
    return *ended ? MESH_OK : MESH_PROTOCOL;
}

/* Decodes until a message is whole, or the end. */
static mesh_status collect(mesh_exchange *exchange, mesh_nanos timeout, bool *ended)
{
    const struct world *world = exchange->server->own.loop.world;
    mesh_nanos due = timeout > 0 ? mesh__nanos_add(world->now(world), timeout) : 0;
    for (;;) {
        struct view rest = mesh__exchange_unread(exchange);
        struct grpc_step step = mesh__grpc_decode(&exchange->decoder, rest.data, rest.size);
        mesh_status status = MESH_OK;
        exchange->body_at += step.used;
        if (step.event == GRPC_END)
            return MESH_OK;
        if (step.event == GRPC_FAILED)
            return fail(exchange);
        if (step.event == GRPC_BYTES && !mesh__buf_append_view(&exchange->message, step.bytes)) {
            exchange->decoder.state = GRPC_AT_FAULT; /* what has been lost cannot be read again */
            exchange->decoder.status = GRPC_INTERNAL;
            return MESH_NO_MEMORY;
        }
        if (step.event == GRPC_MORE)
            status = fill(exchange, timeout > 0 ? mesh__nanos_max(0, due - world->now(world)) : timeout, ended);
        if (status != MESH_OK || *ended)
            return status;
    }
}

mesh_status mesh_exchange_receive(mesh_exchange *exchange, int64_t timeout_ns, const void **message, size_t *size)
{
    bool ended = false;
    if (exchange == NULL || message == NULL || size == NULL)
        return MESH_EINVAL;
    *message = NULL;
    *size = 0;
    if (!exchange->decoding)
        start_decoder(exchange);
    if (exchange->received)
        mesh__buf_clear(&exchange->message);
    exchange->received = false;
    mesh_status status = collect(exchange, timeout_ns, &ended);
    if (status != MESH_OK || ended)
        return status;
    exchange->received = true;
    *message = exchange->message.data ? exchange->message.data : "";
    *size = exchange->message.size;
    return MESH_OK;
}

/* ---- messages out, and the end ---- */

/* What kind of gRPC the request is, so is the response. */
static mesh_header content_type(const mesh_exchange *exchange)
{
    const mesh_header *type = exchange->is_grpc ? find(exchange, VIEW_LITERAL("content-type")) : NULL;
    mesh_header header = { "content-type", 12, "application/grpc", 16 };
    if (type != NULL) {
        header.value = type->value;
        header.value_size = type->value_size;
    }
    return header;
}

mesh_status mesh_exchange_send(mesh_exchange *exchange, const void *message, size_t size, int64_t timeout_ns)
{
    char head[GRPC_FRAME_HEAD];
    if (exchange == NULL || (message == NULL && size > 0) || size > UINT32_MAX)
        return MESH_EINVAL;
    if (!exchange->headed) {
        const mesh_header type = content_type(exchange);
        mesh_reply reply = MESH_REPLY_INIT;
        reply.headers = &type;
        reply.header_count = 1;
        mesh_status status = mesh_exchange_respond(exchange, &reply);
        if (status != MESH_OK)
            return status;
    }
    if (exchange->bodiless)
        return atomic_load(&exchange->gone) ? MESH_ECLOSED : MESH_OK;
    mesh__grpc_frame_head((uint32_t)size, head);
    return mesh__flow_write_whole(exchange, mesh__view(head, sizeof(head)), mesh__view(message, size), timeout_ns);
}

/* The end as fields: behind the messages, or, where there were none, all that is said. */
static mesh_status end_with(mesh_exchange *exchange, const mesh_header *fields, size_t count)
{
    if (exchange->headed)
        return mesh_exchange_end(exchange, fields + 1, count - 1);
    mesh_reply reply = MESH_REPLY_INIT;
    reply.headers = fields;
    reply.header_count = count;
    exchange->trailers_only = true;
    return mesh_exchange_reply(exchange, &reply);
}

/* `fields` has room for three more than the trailers. */
static mesh_status end_grpc(mesh_exchange *exchange, int32_t status, struct view message, const mesh_header *trailers,
                            size_t count, mesh_header *fields)
{
    char number[NUMBER_ROOM];
    size_t size = 0;
    fields[size++] = content_type(exchange);
    fields[size++] =
        (mesh_header){ "grpc-status", 11, number, (size_t)snprintf(number, sizeof(number), "%d", (int)status) };
    if (message.size > 0)
        fields[size++] = (mesh_header){ "grpc-message", 12, message.data, message.size };
    for (size_t i = 0; i < count; i++)
        fields[size++] = trailers[i];
    return end_with(exchange, fields, size);
}

mesh_status mesh_exchange_end_grpc(mesh_exchange *exchange, int32_t status, const char *message,
                                   const mesh_header *trailers, size_t count)
{
    struct buf text;
    if (exchange == NULL)
        return MESH_EINVAL;
    mesh_server *server = exchange->server;
    mesh__refs_ref(&server->refs); /* the memory is its, and the exchange may be the last that keeps it */
    mesh__buf_init(&text, &server->mem, MESSAGE_MAX);
    (void)mesh__grpc_message_encode(&text, mesh__view_of(message ? message : "")); /* cut, or none without memory */
    bool fit = status >= 0 && status <= GRPC_UNAUTHENTICATED && (trailers != NULL || count == 0);
    mesh_header *fields = fit ? mesh__alloc(&server->mem, (count + 3) * sizeof(*fields)) : NULL;
    mesh_status ended = fit ? MESH_NO_MEMORY : MESH_EINVAL;
    if (fields != NULL)
        ended = end_grpc(exchange, status, mesh__view(text.data, text.size), trailers, count, fields);
    else
        mesh_exchange_drop(exchange);
    mesh__mem_free(&server->mem, fields);
    mesh__buf_fini(&text);
    mesh__server_unref(server);
    return ended;
}
