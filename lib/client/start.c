/* SPDX-License-Identifier: Apache-2.0 */
/* start.c - a slot, a result and the request in it. */
#include "client/start.h"

#include "client/request.h"
#include "client/token.h"

#include <stddef.h>
#include <string.h>

/* Up to `tag`: what the first version of the struct had. */
#define REQUEST_SIZE_LEAST (offsetof(mesh_request, tag) + sizeof(uint64_t))

mesh_status mesh__start_check(const mesh_client *client)
{
    if (client == NULL)
        return MESH_EINVAL;
    if (mesh__client_forked(client))
        return MESH_EFORKED;
    return atomic_load_explicit(&client->state, memory_order_relaxed) == CLIENT_OPEN ? MESH_OK : MESH_ECLOSED;
}

mesh_status mesh__start_prepare(struct shard *shard, const char *service, const mesh_request *request, bool blocking,
                                struct call **out, struct mesh_result **result)
{
    mesh_request full = MESH_REQUEST_INIT;
    if (request)
        memcpy(&full, request, request->size < sizeof(full) ? request->size : sizeof(full));
    if (request && request->size < REQUEST_SIZE_LEAST)
        full.size = 0; /* which mesh__request_take() refuses */
    const struct world *world = shard->client->world;
    struct call *call = mesh__shard_take_slot(shard);
    if (call == NULL)
        return MESH_NO_MEMORY;
    call->start = world->now(world);
    call->blocking = blocking;
    call->driven_here = false;
    call->result = mesh__result_take(shard->store);
    mesh_status status = MESH_NO_MEMORY;
    if (call->result) {
        call->result->id = mesh__call_id(call);
        status = mesh__request_take(call, service, &full, blocking);
        call->result->status = status;
    }
    if (status == MESH_OK) {
        *out = call;
        return MESH_OK;
    }
    if (status == MESH_EINVAL)
        *result = call->result;
    else
        mesh__result_release(call->result);
    mesh__shard_give_slot(call);
    return status;
}

void mesh__start_undo(struct call *call)
{
    mesh__token_unref(call->token);
    call->token = NULL;
    mesh__result_release(call->result);
    mesh__shard_give_slot(call);
}

void mesh__start_attach(struct call *call)
{
    if (call->token && !mesh__token_attach(call->token, call))
        atomic_store(&call->cancelled, atomic_load(&call->generation)); /* seen when it starts */
}

bool mesh__start_begin(struct shard *shard)
{
    mesh__client_enter(shard);
    atomic_fetch_add(&shard->live_calls, 1);
    return atomic_load(&shard->client->state) == CLIENT_OPEN;
}

void mesh__start_abandon(struct shard *shard)
{
    atomic_fetch_sub(&shard->live_calls, 1);
}
