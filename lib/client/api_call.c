/* SPDX-License-Identifier: Apache-2.0 */
/* api_call.c - the exported functions that make, start, cancel and await calls. */
#include "client/complete.h"
#include "client/driver.h"
#include "client/start.h"
#include "net/reentry.h"

#include <stddef.h>
#include <string.h>

void mesh_request_init(mesh_request *request)
{
    if (request)
        *request = (mesh_request)MESH_REQUEST_INIT;
}

void mesh_completion_init(mesh_completion *completion)
{
    if (completion)
        *completion = (mesh_completion)MESH_COMPLETION_INIT;
}

static mesh_status give(mesh_result *result, mesh_result **out)
{
    mesh_status status = result->status;
    if (out)
        *out = result;
    else
        mesh__result_release(result);
    return status;
}

mesh_status mesh_call(mesh_client *client, const char *service, const mesh_request *request, mesh_result **out)
{
    mesh_status status = mesh__start_check(client);
    if (status == MESH_OK && (client->options.mode == MESH_EXTERNAL || mesh__in_turn()))
        status = MESH_EREENTRY;
    if (status != MESH_OK)
        return give(mesh__result_static(status), out);
    struct shard *shard = mesh__driver_choose(client);
    struct call *call;
    mesh_result *result = NULL;
    status =
        mesh__start_begin(shard) ? mesh__start_prepare(shard, service, request, true, &call, &result) : MESH_ECLOSED;
    if (status == MESH_OK) {
        mesh__start_attach(call);
        mesh__driver_run(call);
        result = call->result;
        mesh__shard_give_slot(call);
    } else {
        mesh__start_abandon(shard);
    }
    mesh__client_exit(shard);
    return give(result ? result : mesh__result_static(status), out);
}

mesh_status mesh_call_start(mesh_client *client, const char *service, const mesh_request *request, void *user,
                            mesh_call_id *id)
{
    if (id)
        *id = 0;
    mesh_status status = mesh__start_check(client);
    if (status != MESH_OK)
        return status;
    struct shard *shard = mesh__driver_choose(client);
    struct call *call;
    mesh_result *result = NULL;
    status =
        mesh__start_begin(shard) ? mesh__start_prepare(shard, service, request, false, &call, &result) : MESH_ECLOSED;
    if (status == MESH_OK) {
        call->result->user = user;
        if (id)
            *id = mesh__call_id(call);
        mesh__start_attach(call);
        mesh__driver_start(call);
    } else {
        mesh__start_abandon(shard);
    }
    mesh__client_exit(shard);
    mesh__result_release(result);
    return status;
}

mesh_status mesh_cancel(mesh_client *client, mesh_call_id id)
{
    if (client == NULL)
        return MESH_EINVAL;
    if (mesh__client_forked(client))
        return MESH_EFORKED;
    struct shard *shard = client->shards[(id >> 56) % client->shard_count];
    mesh__client_enter(shard);
    mesh_status status = mesh__driver_cancel(client, id);
    mesh__client_exit(shard);
    return status;
}

static uint32_t take_completions(mesh_client *client, mesh_completion *completions, uint32_t capacity)
{
    uint32_t stride = completions->size, taken = 0;
    while (taken < capacity) {
        mesh_completion *at = (mesh_completion *)(void *)((char *)completions + (size_t)taken * stride);
        at->size = stride;
        if (!mesh__complete_take(client, at))
            break;
        taken++;
    }
    return taken;
}

static mesh_status take_or_wait(mesh_client *client, mesh_completion *completions, uint32_t capacity,
                                int64_t timeout_ns, uint32_t *count)
{
    mesh_nanos deadline = NANOS_NEVER;
    if (timeout_ns >= 0)
        deadline = mesh__nanos_add(client->world->now(client->world), timeout_ns);
    bool ended, in_time;
    do { /* again when another thread took what had come */
        if (timeout_ns != 0)
            mesh__driver_await_completion(client, deadline);
        ended = atomic_load(&client->state) >= CLIENT_CLOSED;
        *count = take_completions(client, completions, capacity);
        in_time = timeout_ns < 0 || (timeout_ns > 0 && client->world->now(client->world) < deadline);
    } while (*count == 0 && !ended && in_time);
    mesh__driver_pass_on(client);
    return *count > 0 ? MESH_OK : ended ? MESH_ECLOSED : MESH_DEADLINE;
}

mesh_status mesh_client_next(mesh_client *client, mesh_completion *completions, uint32_t capacity, int64_t timeout_ns,
                             uint32_t *count)
{
    if (client == NULL || completions == NULL || capacity == 0 || count == NULL ||
        completions->size < offsetof(mesh_completion, result) + sizeof(mesh_result *) ||
        completions->size % _Alignof(mesh_completion) != 0)
        return MESH_EINVAL;
    *count = 0;
    if (mesh__client_forked(client))
        return MESH_EFORKED;
    if (timeout_ns != 0 && (client->options.mode == MESH_EXTERNAL || mesh__in_turn()) &&
        atomic_load(&client->completions_count) == 0)
        return MESH_EREENTRY;
    mesh__client_enter(client->shards[0]);
    mesh_status status = take_or_wait(client, completions, capacity, timeout_ns, count);
    mesh__client_exit(client->shards[0]);
    return status;
}
