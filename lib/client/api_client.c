/* SPDX-License-Identifier: Apache-2.0 */
/* api_client.c - the exported functions that open, watch, reload and end a client. */
#include "base/error.h"
#include "base/options.h"
#include "client/control.h"
#include "client/driver.h"
#include "client/futex.h"
#include "client/inspect.h"
#include "client/snapshot.h"
#include "net/reentry.h"

#include <limits.h>
#include <stddef.h>

/* Up to its last member: what the first version of the struct had. */
#define COUNTERS_SIZE_LEAST (offsetof(mesh_counters, connections) + sizeof(uint64_t))

void mesh_options_init(mesh_options *options)
{
    if (options)
        *options = (mesh_options)MESH_OPTIONS_INIT;
}

void mesh_counters_init(mesh_counters *counters)
{
    if (counters)
        *counters = (mesh_counters)MESH_COUNTERS_INIT;
}

mesh_status mesh_client_open(const mesh_config *config, const mesh_options *options, mesh_client **out,
                             mesh_error **error)
{
    if (error)
        *error = NULL;
    if (out == NULL)
        return mesh__error_set(error, MESH_EINVAL, "mesh_client_open: out is NULL");
    *out = NULL;
    if (config == NULL)
        return mesh__error_set(error, MESH_EINVAL, "mesh_client_open: config is NULL");
    mesh_options known;
    if (!mesh__options_take(options, &known))
        return mesh__error_set(error, MESH_EINVAL, OPTIONS_TOO_SMALL);
    return mesh__client_open(&mesh__world_real, config, &known, out, error);
}

mesh_status mesh_client_open_file(const char *path, const mesh_options *options, mesh_client **out, mesh_error **error)
{
    mesh_config *config;
    if (out)
        *out = NULL;
    mesh_status status = mesh_config_load(path, &config, error);
    if (status != MESH_OK)
        return status;
    status = mesh_client_open(config, options, out, error);
    mesh_config_free(config);
    return status;
}

/* MESH_OK when known, MESH_DEADLINE while not, else what failed. */
static mesh_status state_of(struct mesh_client *client, const char *name)
{
    struct snapshot *snapshot = mesh__snapshot_get(client);
    mesh_status status = MESH_OK;
    for (uint32_t i = 0; name == NULL && i < snapshot->count; i++) {
        mesh_status each = snapshot->services[i]->status;
        if (each != MESH_OK && status != MESH_OK)
            status = each == MESH_DEADLINE ? status : each; /* what has failed for good counts more */
        else if (each != MESH_OK)
            status = each;
    }
    if (name) {
        const struct service *service = mesh__snapshot_service(snapshot, name);
        status = service ? service->status : MESH_ESERVICE;
    }
    mesh__snapshot_unref(snapshot);
    return status;
}

mesh_status mesh_client_ready(mesh_client *client, const char *service, int64_t timeout_ns)
{
    if (client == NULL)
        return MESH_EINVAL;
    if (mesh__client_forked(client))
        return MESH_EFORKED;
    if (client->options.mode == MESH_EXTERNAL ? timeout_ns != 0 : mesh__in_turn())
        return MESH_EREENTRY;
    mesh_nanos now = client->world->now(client->world);
    mesh_nanos deadline = timeout_ns < 0 ? NANOS_NEVER : mesh__nanos_add(now, timeout_ns);
    mesh_status status;
    struct shard *shard = client->shards[0];
    mesh__client_enter(shard);
    for (;;) {
        uint32_t word = atomic_load(&client->version_word);
        status = atomic_load(&client->state) == CLIENT_OPEN ? state_of(client, service) : MESH_ECLOSED;
        now = client->world->now(client->world);
        if (status != MESH_DEADLINE || now >= deadline)
            break;
        mesh_nanos limit = mesh__nanos_min(100 * NANOS_MS, mesh__nanos_sub(deadline, now)); /* to notice a close */
        mesh__futex_wait(&client->version_word, word, limit);
    }
    mesh__client_exit(shard);
    return status;
}

mesh_status mesh_client_reload(mesh_client *client, const mesh_config *config, mesh_error **error)
{
    if (error)
        *error = NULL;
    if (client == NULL || config == NULL)
        return mesh__error_set(error, MESH_EINVAL, "mesh_client_reload: NULL");
    if (mesh__client_forked(client))
        return mesh__error_set(error, MESH_EFORKED, "%s", mesh_status_text(MESH_EFORKED));
    if (atomic_load(&client->state) != CLIENT_OPEN)
        return mesh__error_set(error, MESH_ECLOSED, "%s", mesh_status_text(MESH_ECLOSED));
    mesh__client_enter(client->shards[0]);
    mesh_status status = mesh__client_reload(client, config, error);
    mesh__client_exit(client->shards[0]);
    return status;
}

mesh_status mesh_client_reload_file(mesh_client *client, const char *path, mesh_error **error)
{
    mesh_config *config;
    mesh_status status = mesh_config_load(path, &config, error);
    if (status != MESH_OK)
        return status;
    status = mesh_client_reload(client, config, error);
    mesh_config_free(config);
    return status;
}

char *mesh_client_inspect(mesh_client *client, const char *service)
{
    if (client == NULL || mesh__client_forked(client))
        return NULL;
    mesh__client_enter(client->shards[0]);
    char *json = mesh__inspect_json(client, service);
    mesh__client_exit(client->shards[0]);
    return json;
}

mesh_status mesh_client_counters(mesh_client *client, const char *service, const char *endpoint, mesh_counters *out)
{
    if (client == NULL || service == NULL || out == NULL || out->size < COUNTERS_SIZE_LEAST)
        return MESH_EINVAL;
    if (mesh__client_forked(client))
        return MESH_EFORKED;
    mesh__client_enter(client->shards[0]);
    mesh_status status = mesh__inspect_counters(client, service, endpoint, out);
    mesh__client_exit(client->shards[0]);
    return status;
}

mesh_status mesh_client_close(mesh_client *client, int64_t timeout_ns)
{
    if (client == NULL)
        return MESH_EINVAL;
    if (mesh__client_forked(client))
        return MESH_EFORKED;
    if (mesh__in_turn())
        return MESH_EREENTRY;
    mesh__client_enter(client->shards[0]);
    mesh_status status = mesh__client_close(client, timeout_ns);
    mesh__client_exit(client->shards[0]);
    return status;
}

void mesh_client_free(mesh_client *client)
{
    if (client)
        mesh__client_free(client);
}

/* ---- external mode ---- */

static bool is_loop(const mesh_client *client, uint32_t loop)
{
    return client != NULL && client->options.mode == MESH_EXTERNAL && loop < client->shard_count &&
           !mesh__client_forked(client);
}

uint32_t mesh_client_loops(const mesh_client *client)
{
    return client != NULL && client->options.mode == MESH_EXTERNAL ? client->shard_count : 0;
}

int mesh_loop_fd(mesh_client *client, uint32_t loop)
{
    return is_loop(client, loop) ? client->shards[loop]->loop.epoll_fd : -1;
}

int64_t mesh_loop_timeout(mesh_client *client, uint32_t loop)
{
    if (!is_loop(client, loop))
        return -1;
    mesh_nanos timeout = mesh__driver_timeout(client->shards[loop]);
    return timeout == NANOS_NEVER ? -1 : timeout;
}

mesh_status mesh_loop_process(mesh_client *client, uint32_t loop)
{
    if (client != NULL && mesh__client_forked(client))
        return MESH_EFORKED;
    return is_loop(client, loop) ? mesh__client_process(client, loop) : MESH_EINVAL;
}
