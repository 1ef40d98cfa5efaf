/* SPDX-License-Identifier: Apache-2.0 */
/* api_server.c - the exported functions of a server: arguments are checked, then server.c does it. */
#include "base/error.h"
#include "base/options.h"
#include "net/reentry.h"
#include "server/server.h"

static mesh_status build_config(const mesh_config *document, const struct mem *mem, struct config **out,
                                mesh_error **error)
{
    mesh_error *why = NULL;
    mesh_status status = mesh__config_build(document, mem, out, &why, NULL);
    if (error != NULL)
        *error = why;
    else
        mesh_error_free(why);
    return status;
}

static mesh_status check_arguments(const mesh_config *config, const char *name, mesh_handler handler,
                                   mesh_error **error)
{
    if (config == NULL || name == NULL || handler == NULL)
        return mesh__error_set(error, MESH_EINVAL, "a server needs a config, a name and a handler");
    return MESH_OK;
}

mesh_status mesh_server_open(const mesh_config *config, const char *name, const mesh_options *options,
                             mesh_handler handler, void *user, mesh_server **out, mesh_error **error)
{
    if (error != NULL)
        *error = NULL;
    if (out == NULL)
        return mesh__error_set(error, MESH_EINVAL, "mesh_server_open() needs a place for the server");
    *out = NULL;
    mesh_status status = check_arguments(config, name, handler, error);
    if (status != MESH_OK)
        return status;
    mesh_options known;
    if (!mesh__options_take(options, &known))
        return mesh__error_set(error, MESH_EINVAL, OPTIONS_TOO_SMALL);
    if ((known.flags & ~MESH_STREAM_REQUESTS) != 0)
        return mesh__error_set(error, MESH_EINVAL, "options.flags: only MESH_STREAM_REQUESTS is known");
    struct mem mem;
    if (!mesh__mem_from_user(known.allocator, &mem))
        return mesh__error_set(error, MESH_EINVAL, "an allocator needs all of its three functions");
    struct config *built = NULL;
    status = build_config(config, &mem, &built, error);
    if (status != MESH_OK)
        return status;
    const struct server_config *settings = mesh__config_server(built, name);
    if (settings == NULL)
        status = mesh__error_set(error, MESH_ESERVICE, "the config has no server \"%s\"", name);
    else
        status = mesh__server_new(built, settings, &mem, &known, handler, user, out, error);
    mesh__config_unref(built); /* the server has a reference of its own */
    return status;
}

const char *mesh_server_address(const mesh_server *server)
{
    return server ? server->address : "";
}

mesh_status mesh_server_close(mesh_server *server, int64_t timeout_ns)
{
    if (server == NULL)
        return MESH_EINVAL;
    if (mesh__server_is_handling(server) || mesh__in_turn())
        return MESH_EREENTRY;
    return mesh__server_close(server, timeout_ns);
}

void mesh_server_free(mesh_server *server)
{
    if (server == NULL)
        return;
    if (mesh__server_is_handling(server)) { /* it would wait for the handler that called */
        SERVER_LOG(server, MESH_LOG_ERROR, "server %s: mesh_server_free() in a handler was ignored",
                   server->settings->name);
        return;
    }
    mesh__server_end(server);
}
