/* SPDX-License-Identifier: Apache-2.0 */
/* security.c - each new identity makes a new spec for new connections; the old ones end when it is their turn. */
#include "server/security.h"

#include "base/error.h"
#include "server/connection.h"

#include <errno.h>

static mesh_status make_spec(mesh_server *server, struct tls_identity *identity, struct tls_spec **out,
                             struct tls_problem *problem)
{
    static const char *const spoken[] = { "h2", "http/1.1" };
    struct tls_settings settings = server->settings->tls.settings;
    if (settings.alpn == NULL) { /* the config leaves it to the server */
        settings.alpn = spoken;
        settings.alpn_count = sizeof(spoken) / sizeof(spoken[0]);
    }
    return mesh__tls_spec_new(&server->mem, identity, TLS_SERVER, &settings, out, problem);
}

mesh_status mesh__security_load(mesh_server *server, mesh_error **error)
{
    const struct world *world = &mesh__world_real;
    char words[IDENTITY_WORDS_MAX];
    struct tls_problem problem = { 0 };
    if (server->settings->tls.mode == TLS_MODE_DISABLE)
        return MESH_OK;
    mesh_status status = mesh__identity_load(&server->mem, server->config->identity, world->unix_now(world),
                                             &server->security.loaded, words);
    if (status != MESH_OK)
        return mesh__error_set(error, status, "config: /identity: %s", words[0] ? words : mesh_status_text(status));
    status = make_spec(server, server->security.loaded, &server->security.spec, &problem);
    if (status != MESH_OK)
        return mesh__error_set(error, status, "config: /servers/%s/tls: %s", server->settings->name,
                               problem.words[0] ? problem.words : mesh_status_text(status));
    return MESH_OK;
}

static void on_identity(void *user, struct tls_identity *identity)
{
    mesh_server *server = user;
    struct tls_problem problem = { 0 };
    struct tls_spec *spec;
    mesh_status status = make_spec(server, identity, &spec, &problem);
    if (status != MESH_OK) {
        SERVER_LOG(server, MESH_LOG_ERROR, "server %s: the new identity is not used: %s", server->settings->name,
                   problem.words[0] ? problem.words : mesh_status_text(status));
        return;
    }
    mesh__tls_spec_unref(server->security.spec);
    server->security.spec = spec;
    atomic_fetch_add(&server->epoch, 1);
    SERVER_LOG(server, MESH_LOG_INFO, "server %s: a new identity is in force", server->settings->name);
    for (struct list *node = server->own.connections.next; node != &server->own.connections; node = node->next)
        mesh__connection_outdate(CONTAINER_OF(node, struct connection, link));
}

static void on_log(void *user, int32_t level, const char *line)
{
    mesh_server *server = user;
    SERVER_LOG(server, level, "server %s: %s", server->settings->name, line);
}

int mesh__security_start(mesh_server *server)
{
    static const struct identity_events events = { on_identity, on_log };
    uint32_t threads = server->config->handshake_threads;
    struct security *security = &server->security;
    if (security->spec == NULL)
        return 0;
    security->threads = threads > 0 ? mesh__handshaker_new(&server->mem, threads) : NULL;
    if (threads > 0 && security->threads == NULL)
        return -ENOMEM;
    mesh__tls_desk_init(&security->desk, &server->own.loop, security->threads);
    security->source =
        mesh__identity_watch(&server->own.loop, server->config->identity, security->loaded, &events, server);
    return security->source ? 0 : -ENOMEM;
}

void mesh__security_stop(mesh_server *server)
{
    struct security *security = &server->security;
    mesh__handshaker_stop(security->threads);
    mesh__tls_desk_fini(&security->desk);
    mesh__handshaker_free(security->threads);
    mesh__identity_unwatch(security->source);
    mesh__tls_spec_unref(security->spec);
    mesh__tls_identity_unref(security->loaded);
}
