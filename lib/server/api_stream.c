/* SPDX-License-Identifier: Apache-2.0 */
/* api_stream.c - the exported functions of an exchange whose bodies come and go in pieces. */
#include "server/reply.h"

mesh_status mesh_exchange_read(mesh_exchange *exchange, void *space, size_t size, int64_t timeout_ns, size_t *got)
{
    if (got != NULL)
        *got = 0;
    if (exchange == NULL || space == NULL || size == 0 || got == NULL)
        return MESH_EINVAL;
    mesh_status status = mesh__flow_fill(exchange, timeout_ns);
    struct view rest = mesh__exchange_unread(exchange);
    mesh__reply_note_refusal(exchange, status);
    if (status != MESH_OK)
        return status;
    *got = rest.size < size ? rest.size : size;
    memcpy(space, rest.data, *got);
    exchange->body_at += *got;
    return MESH_OK;
}

/* Of a request that was collected they are there from the start; else once its end was read. */
static const struct flow_fields *trailers_of(const mesh_exchange *exchange)
{
    static const struct flow_fields none;
    return exchange->at_end || !exchange->in_pieces ? &exchange->flow.trailers : &none;
}

size_t mesh_exchange_trailer_count(const mesh_exchange *exchange)
{
    return trailers_of(exchange)->count;
}

mesh_status mesh_exchange_trailer(const mesh_exchange *exchange, size_t index, mesh_header *out)
{
    const struct flow_fields *trailers = trailers_of(exchange);
    if (out == NULL || index >= trailers->count)
        return MESH_EINVAL;
    *out = trailers->headers[index];
    return MESH_OK;
}

const char *mesh_exchange_trailer_value(const mesh_exchange *exchange, const char *name)
{
    const struct flow_fields *trailers = trailers_of(exchange);
    if (name == NULL)
        return NULL;
    const mesh_header *header = mesh__exchange_find(trailers->headers, trailers->count, mesh__view_of(name));
    return header ? header->value : NULL;
}

int32_t mesh_exchange_is_gone(const mesh_exchange *exchange)
{
    return atomic_load(&exchange->gone) ? 1 : 0;
}

/* A head without a body is sent with the end: nothing can come between. */
mesh_status mesh_exchange_respond(mesh_exchange *exchange, const mesh_reply *reply)
{
    if (exchange == NULL || exchange->headed)
        return MESH_EINVAL;
    mesh_status status = mesh__reply_begin(exchange, reply);
    if (status == MESH_OK && !exchange->bodiless)
        (void)mesh__server_post(exchange, POST_HEAD);
    return status == MESH_OK && atomic_load(&exchange->gone) ? MESH_ECLOSED : status;
}

mesh_status mesh_exchange_write(mesh_exchange *exchange, const void *bytes, size_t size, int64_t timeout_ns,
                                size_t *written)
{
    size_t done = 0;
    mesh_status status = MESH_EINVAL;
    if (exchange != NULL && exchange->headed && (bytes != NULL || size == 0)) {
        if (!exchange->bodiless)
            status = mesh__flow_write(exchange, mesh__view(bytes, size), timeout_ns, &done);
        else
            status = atomic_load(&exchange->gone) ? MESH_ECLOSED : MESH_OK;
        if (exchange->bodiless && status == MESH_OK)
            done = size;
    }
    if (written != NULL)
        *written = done;
    return status;
}

mesh_status mesh_exchange_end(mesh_exchange *exchange, const mesh_header *trailers, size_t count)
{
    mesh_status status = MESH_OK;
    if (exchange == NULL)
        return MESH_EINVAL;
    const struct world *world = exchange->server->own.loop.world;
    if (!exchange->headed || !mesh__reply_fit(exchange, trailers, count))
        status = MESH_EINVAL;
    else if (!mesh__flow_copy(&exchange->server->mem, trailers, count, &exchange->flow.last))
        status = MESH_NO_MEMORY;
    exchange->outcome = MESH_OK;
    exchange->answered = world->now(world);
    if (status != MESH_OK)
        mesh__reply_drop(exchange);
    mesh_status answered = mesh__server_answer(exchange);
    return status != MESH_OK ? status : answered;
}

mesh_status mesh_exchange_on_ready(mesh_exchange *exchange, mesh_ready ready, void *user)
{
    if (exchange == NULL || ready == NULL)
        return MESH_EINVAL;
    return mesh__flow_ask(exchange, ready, user) ? MESH_OK : MESH_ECLOSED;
}
