/* SPDX-License-Identifier: Apache-2.0 */
/* snapshot.c - building, publishing and dropping snapshots. */
#include "client/snapshot.h"

#include "base/error.h"
#include "client/futex.h"
#include "discover/identity_source.h"

#include <limits.h>
#include <string.h>

/* Of HTTP/2 connections on which calls wait: after so long without a byte the peer is asked for a sign of life. */
#define PING_INTERVAL (30 * NANOS_S)
#define PING_TIMEOUT (10 * NANOS_S)

static void service_unref(struct service *service)
{
    if (service == NULL || !mesh__refs_unref(&service->refs))
        return;
    struct mem mem = service->mem;
    for (uint32_t i = 0; i < service->count; i++)
        if (service->endpoints[i].endpoint)
            mesh__endpoint_unref(service->endpoints[i].endpoint);
    if (service->live)
        mesh__live_unref(service->live);
    mesh__tls_spec_unref(service->spec);
    mesh__tls_spec_unref(service->spec_http1);
    mesh__config_unref(service->config);
    mesh__mem_free(&mem, service->detail);
    mesh__mem_free(&mem, service);
}

static struct endpoint *find_endpoint(const struct service *service, const struct address *address)
{
    for (uint32_t i = 0; service && i < service->count; i++)
        if (strcmp(service->endpoints[i].endpoint->address.text, address->text) == 0)
            return service->endpoints[i].endpoint;
    return NULL;
}

/* Reuses the endpoint of the old service with the same address, found through `by_text` (of many) or by walking (few).
 */
static struct endpoint *take_endpoint(struct mesh_client *client, const struct service *old, const struct map *by_text,
                                      struct service_live *live, const struct address *address)
{
    struct endpoint *endpoint =
        by_text ? mesh__map_get(by_text, mesh__view_of(address->text)) : find_endpoint(old, address);
    if (endpoint == NULL)
        return mesh__endpoint_new(&client->mem, live, address);
    mesh__refs_ref(&endpoint->refs);
    return endpoint;
}

struct service_parts {
    struct config *config;
    struct tls_identity *identity; /* NULL: none */
    const struct service_config *policy;
    const struct service *old; /* the same service before; NULL: new */
    mesh_status status;
    const char *detail;
    const struct endpoint_config *endpoints;
    uint32_t count;
    struct tls_problem *problem; /* said why, when the identity lacks something; words are empty else */
};

static bool fill_endpoints(struct mesh_client *client, struct service *service, const struct service_parts *parts)
{
    const uint32_t many = 16;
    struct map by_text;
    mesh__map_init(&by_text, &client->mem);
    bool mapped = parts->old && parts->old->count > many;
    bool ok = true;
    for (uint32_t i = 0; mapped && ok && i < parts->old->count; i++) {
        struct endpoint *endpoint = parts->old->endpoints[i].endpoint;
        ok = mesh__map_set(&by_text, mesh__view_of(endpoint->address.text), endpoint);
    }
    for (uint32_t i = 0; ok && i < parts->count; i++) {
        const struct endpoint_config *from = &parts->endpoints[i];
        struct endpoint *endpoint =
            take_endpoint(client, parts->old, mapped ? &by_text : NULL, service->live, &from->address);
        service->endpoints[i] = (struct service_endpoint){ endpoint, from->weight };
        if (from->weight > service->max_weight)
            service->max_weight = from->weight;
        ok = endpoint != NULL;
    }
    mesh__map_fini(&by_text);
    return ok;
}

/* What hands are shaken by: the old one, with its sessions, unless something of it has changed. */
static bool take_spec(struct mesh_client *client, const struct service_parts *parts, struct tls_spec *old,
                      const struct tls_settings *settings, struct tls_spec **out)
{
    if (old && mesh__tls_spec_identity(old) == parts->identity &&
        mesh__tls_settings_equal(mesh__tls_spec_settings(old), settings)) {
        mesh__tls_spec_ref(old);
        *out = old;
        return true;
    }
    return mesh__tls_spec_new(&client->mem, parts->identity, TLS_CLIENT, settings, out, parts->problem) == MESH_OK;
}

/* The second is for endpoints that want HTTP/1.1 after all: HTTP/2 must not be offered to them again. */
static bool take_specs(struct mesh_client *client, struct service *service, const struct service_parts *parts)
{
    static const char *const http1 = "http/1.1";
    const struct tls_config *tls = &parts->policy->tls;
    const struct service *old = parts->old;
    if (tls->mode == TLS_MODE_DISABLE)
        return true;
    if (!take_spec(client, parts, old ? old->spec : NULL, &tls->settings, &service->spec))
        return false;
    if (parts->policy->protocol == PROTOCOL_HTTP1)
        return true;
    struct tls_settings settings = tls->settings;
    settings.alpn = &http1;
    settings.alpn_count = 1;
    return take_spec(client, parts, old ? old->spec_http1 : NULL, &settings, &service->spec_http1);
}

static struct service *build_service(struct mesh_client *client, const struct service_parts *parts)
{
    struct service *service =
        mesh__zalloc(&client->mem, sizeof(*service) + parts->count * sizeof(struct service_endpoint));
    if (service == NULL)
        return NULL;
    mesh__refs_init(&service->refs);
    service->mem = client->mem;
    service->config = parts->config;
    mesh__config_ref(parts->config);
    service->policy = parts->policy;
    service->status = parts->status;
    service->count = parts->count;
    mesh_nanos now = client->world->now(client->world) - client->opened_at;
    bool ok = true;
    if (parts->old) {
        service->live = parts->old->live;
        mesh__refs_ref(&service->live->refs);
    } else {
        service->live =
            mesh__live_new(&client->mem, parts->policy->name, client->shard_count, client, parts->policy, now);
        ok = service->live != NULL;
    }
    if (parts->detail)
        ok = ok && (service->detail = mesh__strndup(&client->mem, parts->detail, strlen(parts->detail))) != NULL;
    if (ok && take_specs(client, service, parts) && fill_endpoints(client, service, parts))
        return service;
    service_unref(service);
    return NULL;
}

void mesh__snapshot_unref(struct snapshot *snapshot)
{
    if (snapshot == NULL || !mesh__refs_unref(&snapshot->refs))
        return;
    struct mem mem = snapshot->mem;
    for (uint32_t i = 0; i < snapshot->count; i++)
        service_unref(snapshot->services[i]);
    mesh__map_fini(&snapshot->by_name);
    mesh__tls_identity_unref(snapshot->identity);
    mesh__config_unref(snapshot->config);
    mesh__mem_free(&mem, snapshot);
}

static struct snapshot *new_snapshot(struct mesh_client *client, struct config *config, struct tls_identity *identity)
{
    struct snapshot *snapshot =
        mesh__zalloc(&client->mem, sizeof(*snapshot) + config->service_count * sizeof(struct service *));
    if (snapshot == NULL)
        return NULL;
    mesh__refs_init(&snapshot->refs);
    snapshot->mem = client->mem;
    mesh__map_init(&snapshot->by_name, &snapshot->mem);
    snapshot->config = config;
    mesh__config_ref(config);
    snapshot->identity = identity;
    if (identity)
        mesh__tls_identity_ref(identity);
    return snapshot;
}

/* Adds the service, whose reference it takes; false when it is NULL or memory is out. */
static bool add_service(struct snapshot *snapshot, struct service *service)
{
    if (service == NULL)
        return false;
    snapshot->services[snapshot->count++] = service;
    return mesh__map_set(&snapshot->by_name, mesh__view_of(service->policy->name), service);
}

static bool same_discovery(const struct service_config *a, const struct service_config *b)
{
    if (a->discover.kind != b->discover.kind || a->discover.kind == DISCOVER_STATIC)
        return false;
    if (a->discover.kind == DISCOVER_FILE)
        return strcmp(a->discover.file, b->discover.file) == 0;
    return a->discover.port == b->discover.port && strcmp(a->discover.host, b->discover.host) == 0;
}

/* The endpoints that discovery found for the old service, as a list like a config's. NULL when memory is out. */
static struct endpoint_config *copy_endpoints(const struct mem *mem, const struct service *old)
{
    struct endpoint_config *copy = mesh__zalloc(mem, (old->count + 1) * sizeof(*copy));
    for (uint32_t i = 0; copy && i < old->count; i++)
        copy[i] = (struct endpoint_config){ old->endpoints[i].endpoint->address, old->endpoints[i].weight };
    return copy;
}

/* `parts` has what does not depend on discovery. */
static struct service *build_from_config(struct mesh_client *client, struct service_parts *parts)
{
    const struct service_config *policy = parts->policy;
    const struct service *old = parts->old;
    if (policy->discover.kind == DISCOVER_STATIC) {
        parts->endpoints = policy->endpoints;
        parts->count = policy->endpoint_count;
        return build_service(client, parts);
    }
    parts->status = MESH_DEADLINE;
    if (old == NULL || !same_discovery(policy, old->policy))
        return build_service(client, parts);
    struct endpoint_config *endpoints = copy_endpoints(&client->mem, old);
    if (endpoints == NULL)
        return NULL;
    parts->status = old->status;
    parts->detail = old->detail;
    parts->endpoints = endpoints;
    parts->count = old->count;
    struct service *service = build_service(client, parts);
    mesh__mem_free(&client->mem, endpoints);
    return service;
}

static mesh_status refuse(const struct service_config *policy, const struct tls_problem *problem, mesh_error **error)
{
    if (problem->words[0] == '\0')
        return mesh__error_set(error, MESH_NO_MEMORY, "memory ran out");
    return mesh__error_set(error, MESH_ECONFIG, "config: /services/%s/tls: %s", policy->name, problem->words);
}

mesh_status mesh__snapshot_build(struct mesh_client *client, struct config *config, struct tls_identity *or_null,
                                 struct snapshot *old, struct snapshot **out, mesh_error **error)
{
    struct snapshot *snapshot = new_snapshot(client, config, or_null);
    if (snapshot == NULL)
        return mesh__error_set(error, MESH_NO_MEMORY, "memory ran out");
    for (uint32_t i = 0; i < config->service_count; i++) {
        struct tls_problem problem = { 0 };
        struct service_parts parts = { .config = config,
                                       .identity = or_null,
                                       .policy = &config->services[i],
                                       .old = old ? mesh__snapshot_service(old, config->services[i].name) : NULL,
                                       .problem = &problem };
        if (!add_service(snapshot, build_from_config(client, &parts))) {
            mesh__snapshot_unref(snapshot);
            return refuse(&config->services[i], &problem, error);
        }
    }
    *out = snapshot;
    return MESH_OK;
}

mesh_status mesh__snapshot_load_identity(struct mesh_client *client, const struct config *config,
                                         struct tls_identity **out, mesh_error **error)
{
    char words[IDENTITY_WORDS_MAX];
    bool needed = false;
    for (uint32_t i = 0; i < config->service_count; i++)
        needed |= config->services[i].tls.mode != TLS_MODE_DISABLE;
    *out = NULL;
    if (!needed || config->identity == NULL)
        return MESH_OK;
    const struct world *world = client->world;
    mesh_status status = mesh__identity_load(&client->mem, config->identity, world->unix_now(world), out, words);
    if (status == MESH_OK)
        return MESH_OK;
    return mesh__error_set(error, status, "config: /identity: %s", words);
}

/* Marks the endpoints of the snapshot as listed in this version, so that those of the old one that are not stand out.
 */
static void mark_listed(const struct snapshot *snapshot, uint64_t version)
{
    for (uint32_t i = 0; i < snapshot->count; i++)
        for (uint32_t j = 0; j < snapshot->services[i]->count; j++)
            snapshot->services[i]->endpoints[j].endpoint->listed = version;
}

static void retire_unlisted(const struct snapshot *old, uint64_t version)
{
    for (uint32_t i = 0; i < old->count; i++)
        for (uint32_t j = 0; j < old->services[i]->count; j++)
            if (old->services[i]->endpoints[j].endpoint->listed != version)
                mesh__endpoint_retire(old->services[i]->endpoints[j].endpoint);
}

void mesh__snapshot_publish(struct mesh_client *client, struct snapshot *snapshot)
{
    struct snapshot *old = client->snapshot;
    for (uint32_t i = 0; i < snapshot->count; i++) {
        struct service *service = snapshot->services[i];
        const struct limits_config *limits = &service->policy->limits;
        atomic_store_explicit(&service->live->max_connections, limits->max_connections, memory_order_relaxed);
        atomic_store_explicit(&service->live->max_pending, limits->max_pending, memory_order_relaxed);
    }
    uint64_t version = atomic_load(&client->version) + 1;
    mark_listed(snapshot, version);
    if (old)
        retire_unlisted(old, version);
    client->snapshot = snapshot;
    atomic_store(&client->version, version);
    atomic_store(&client->version_word, (uint32_t)version);
    mesh__futex_wake(&client->version_word, INT_MAX);
    mesh__snapshot_unref(old);
}

/* The current snapshot but for one service. */
static struct snapshot *replace(struct mesh_client *client, const struct service *old, struct service *service)
{
    const struct snapshot *current = client->snapshot;
    struct snapshot *snapshot = new_snapshot(client, current->config, current->identity);
    bool ok = snapshot != NULL;
    for (uint32_t i = 0; ok && i < current->count; i++) {
        struct service *each = current->services[i] == old ? service : current->services[i];
        mesh__refs_ref(&each->refs);
        ok = add_service(snapshot, each);
    }
    if (!ok)
        mesh__snapshot_unref(snapshot);
    return ok ? snapshot : NULL;
}

mesh_status mesh__snapshot_update(struct mesh_client *client, const char *name, mesh_status status,
                                  const struct endpoint_config *endpoints, uint32_t count, const char *detail)
{
    mesh_status result = MESH_OK;
    pthread_mutex_lock(&client->publish);
    struct service *old = mesh__snapshot_service(client->snapshot, name);
    if (old) {
        struct tls_problem problem = { 0 };
        struct service_parts parts = { .config = client->snapshot->config,
                                       .identity = client->snapshot->identity,
                                       .problem = &problem,
                                       .policy = old->policy,
                                       .old = old,
                                       .status = status == MESH_OK && count == 0 ? MESH_NO_ENDPOINT : status,
                                       .detail = detail,
                                       .endpoints = endpoints,
                                       .count = status == MESH_OK ? count : 0 };
        struct service *service = build_service(client, &parts);
        struct snapshot *snapshot = service ? replace(client, old, service) : NULL;
        service_unref(service);
        if (snapshot)
            mesh__snapshot_publish(client, snapshot);
        else
            result = MESH_NO_MEMORY;
    }
    pthread_mutex_unlock(&client->publish);
    return result;
}

mesh_status mesh__snapshot_set_identity(struct mesh_client *client, const struct config *config,
                                        struct tls_identity *identity, mesh_error **error)
{
    struct snapshot *snapshot;
    mesh_status status = MESH_CANCELLED;
    pthread_mutex_lock(&client->publish);
    struct snapshot *old = client->snapshot;
    if (old->config == config) {
        status = mesh__snapshot_build(client, old->config, identity, old, &snapshot, error);
        if (status == MESH_OK)
            mesh__snapshot_publish(client, snapshot);
    }
    pthread_mutex_unlock(&client->publish);
    return status;
}

struct snapshot *mesh__snapshot_get(struct mesh_client *client)
{
    pthread_mutex_lock(&client->publish);
    struct snapshot *snapshot = client->snapshot;
    mesh__refs_ref(&snapshot->refs);
    pthread_mutex_unlock(&client->publish);
    return snapshot;
}

struct service *mesh__snapshot_service(const struct snapshot *snapshot, const char *name)
{
    return mesh__map_get(&snapshot->by_name, mesh__view_of(name));
}

struct pool_policy mesh__snapshot_pool_policy(const struct service_config *policy)
{
    return (struct pool_policy){ .connect_timeout = policy->connect_timeout,
                                 .idle_timeout = policy->idle_timeout,
                                 .max_age = policy->max_connection_age,
                                 .max_exchanges = policy->max_requests_per_connection,
                                 .ping_interval = PING_INTERVAL,
                                 .ping_timeout = PING_TIMEOUT,
                                 .limits = { policy->max_header, policy->max_headers, policy->max_body } };
}

enum pool_protocol mesh__snapshot_protocol(const struct service_config *policy)
{
    static const enum pool_protocol protocols[] = {
        [PROTOCOL_AUTO] = POOL_AUTO, [PROTOCOL_HTTP1] = POOL_HTTP1, [PROTOCOL_HTTP2] = POOL_HTTP2
    };
    return protocols[policy->protocol];
}

struct pool_security mesh__snapshot_security(const struct service *service)
{
    return (struct pool_security){ .spec = service->spec,
                                   .spec_http1 = service->spec_http1,
                                   .handshake_timeout = service->policy->tls.handshake_timeout,
                                   .access = service->policy->access };
}
