/* SPDX-License-Identifier: Apache-2.0 */
/* api_exchange.c - the exported functions of an exchange: what a handler sees, and how it answers. */
#include "server/reply.h"

void mesh_reply_init(mesh_reply *reply)
{
    if (reply != NULL)
        *reply = (mesh_reply)MESH_REPLY_INIT;
}

const char *mesh_exchange_method(const mesh_exchange *exchange)
{
    return exchange->method;
}

const char *mesh_exchange_path(const mesh_exchange *exchange)
{
    return exchange->path;
}

const char *mesh_exchange_authority(const mesh_exchange *exchange)
{
    return exchange->authority;
}

size_t mesh_exchange_header_count(const mesh_exchange *exchange)
{
    return exchange->header_count;
}

mesh_status mesh_exchange_header(const mesh_exchange *exchange, size_t index, mesh_header *out)
{
    if (out == NULL || index >= exchange->header_count)
        return MESH_EINVAL;
    *out = exchange->headers[index];
    return MESH_OK;
}

const char *mesh_exchange_header_value(const mesh_exchange *exchange, const char *name)
{
    if (name == NULL)
        return NULL;
    const mesh_header *header = mesh__exchange_find(exchange->headers, exchange->header_count, mesh__view_of(name));
    return header ? header->value : NULL;
}

const void *mesh_exchange_body(const mesh_exchange *exchange)
{
    return exchange->body.data && !exchange->in_pieces ? exchange->body.data : "";
}

size_t mesh_exchange_body_size(const mesh_exchange *exchange)
{
    return exchange->in_pieces ? 0 : exchange->body.size;
}

const char *mesh_exchange_peer_id(const mesh_exchange *exchange)
{
    return exchange->peer->id.text.data;
}

const char *mesh_exchange_peer_address(const mesh_exchange *exchange)
{
    return exchange->peer->address;
}

int32_t mesh_exchange_is_secure(const mesh_exchange *exchange)
{
    return exchange->peer->secure ? 1 : 0;
}

const mesh_inbound *mesh_exchange_inbound(const mesh_exchange *exchange)
{
    return &exchange->inbound;
}

mesh_status mesh_exchange_reply(mesh_exchange *exchange, const mesh_reply *reply)
{
    if (exchange == NULL)
        return MESH_EINVAL;
    mesh_status built = MESH_EINVAL;
    if (exchange->headed)
        mesh__reply_drop(exchange);
    else
        built = mesh__reply_build(exchange, reply);
    mesh_status answered = mesh__server_answer(exchange);
    return built != MESH_OK ? built : answered;
}

void mesh_exchange_drop(mesh_exchange *exchange)
{
    if (exchange == NULL)
        return;
    mesh__reply_drop(exchange);
    (void)mesh__server_answer(exchange); /* whether the peer is still there makes no difference */
}
