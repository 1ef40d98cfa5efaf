/* SPDX-License-Identifier: Apache-2.0 */
/* build.c - the whole document to a struct config, in one arena that dies with the last reference. */
#include "config/config.h"

#include "base/error.h"
#include "config/judge.h"
#include "config/nearest.h"

#include <cjson/cJSON.h>
#include <stdio.h>

#define NAME_MAX_BYTES 63

/* The config and the memory that it lives in. */
struct holder {
    struct config config; /* first, so that a pointer to it is one to the holder */
    struct config_arena arena;
};

static void free_holder(struct holder *holder)
{
    struct mem mem = holder->config.mem;
    mesh__map_fini(&holder->config.by_name);
    mesh__config_arena_fini(&holder->arena);
    mesh__mem_free(&mem, holder);
}

static struct holder *new_holder(const struct mem *mem)
{
    struct holder *holder = mesh__zalloc(mem, sizeof(*holder));
    if (holder == NULL)
        return NULL;
    mesh__refs_init(&holder->config.refs);
    holder->config.mem = *mem;
    mesh__config_arena_init(&holder->arena, &holder->config.mem);
    mesh__map_init(&holder->config.by_name, &holder->config.mem);
    return holder;
}

static bool is_name(const char *name)
{
    size_t size = strlen(name);
    static const char others[] = "._-";
    for (size_t i = 0; i < size; i++) {
        char lower = mesh__ascii_lower(name[i]);
        if (!(lower >= 'a' && lower <= 'z') && !(lower >= '0' && lower <= '9') && strchr(others, lower) == NULL)
            return false;
    }
    return size > 0 && size <= NAME_MAX_BYTES;
}

static const char *copy_name(struct loader *loader, const cJSON *value, const char *what)
{
    if (!is_name(value->string))
        mesh__problem_at_key(loader->problems, value,
                             "this is no name of a %s, expected 1 to %d letters, digits, dots, hyphens or underscores",
                             what, NAME_MAX_BYTES);
    return mesh__config_arena_copy(loader->arena, value->string, strlen(value->string));
}

/* The name in DNS as the peer knows it: without a dot at the end, which says where DNS looks. NULL without one. */
static const char *dns_name(struct loader *loader, const struct service_config *service)
{
    const struct discover_config *discover = &service->discover;
    if (discover->kind != DISCOVER_DNS || discover->host == NULL)
        return NULL;
    size_t size = strlen(discover->host);
    return mesh__config_arena_copy(loader->arena, discover->host, size - (discover->host[size - 1] == '.'));
}

/* Host as it is without "authority": the DNS name, with its port unless that is HTTP's; else the service's name. */
static const char *default_authority(struct loader *loader, const struct service_config *service)
{
    const char *host = dns_name(loader, service);
    uint16_t port = service->tls.mode == TLS_MODE_DISABLE ? 80 : 443;
    if (host == NULL || service->discover.port == port)
        return host ? host : service->name;
    return mesh__config_arena_printf(loader->arena, "%s:%u", host, (unsigned)service->discover.port);
}

/* What is offered by ALPN where the service does not say it itself. */
static void offer_protocols(struct service_config *service)
{
    static const char *const names[] = { "h2", "http/1.1" };
    struct tls_settings *settings = &service->tls.settings;
    if (settings->alpn != NULL)
        return;
    settings->alpn = service->protocol == PROTOCOL_HTTP1 ? &names[1] : names;
    settings->alpn_count = service->protocol == PROTOCOL_AUTO ? 2 : 1;
}

/* What of the TLS settings follows from the rest. Keys of the defaults that the service's way of verifying does not use
 * are dropped; its own are errors then. */
static void complete_tls(struct loader *loader, struct service_config *service)
{
    struct tls_settings *settings = &service->tls.settings;
    struct tls_demand *demand = &settings->demand;
    settings->with_certificate = service->tls.mode == TLS_MODE_MUTUAL;
    offer_protocols(service);
    if (demand->verify != TLS_VERIFY_SPIFFE) {
        demand->peers = NULL;
        demand->peer_count = 0;
    }
    if (demand->verify != TLS_VERIFY_NAME)
        demand->name = settings->bundle = NULL;
    else if (demand->name == NULL)
        demand->name = dns_name(loader, service);
    if (settings->server_name == NULL && demand->name == NULL)
        settings->server_name = dns_name(loader, service);
    else if (settings->server_name == NULL && !mesh__load_is_ip(demand->name))
        settings->server_name = demand->name;
}

/* What every service starts with: the table's defaults, and what the document sets for all. */
static void load_defaults(struct loader *loader, const cJSON *value, struct draft *draft)
{
    mesh__fields_default(OBJECT_SERVICE, &draft->service);
    if (value == NULL)
        return;
    draft->value = value;
    loader->source = draft->source;
    loader->in_defaults = true;
    mesh__load_object(loader, OBJECT_SERVICE, value, &draft->service);
    mesh__judge_service(loader, draft, true);
    loader->in_defaults = false;
    loader->source = NULL;
}

static void load_service(struct loader *loader, const cJSON *value, struct draft *draft)
{
    memset(draft->source, 0, sizeof(draft->source));
    struct service_config *service = &draft->service;
    draft->value = value;
    service->name = copy_name(loader, value, "service");
    if (!cJSON_IsObject(value)) {
        LOAD_ERROR(loader, value, "%s is no service, expected an object", QUOTE(loader, value));
        return;
    }
    loader->source = draft->source;
    mesh__load_object(loader, OBJECT_SERVICE, value, service);
    loader->source = NULL;
    complete_tls(loader, service);
    if (service->access != NULL && service->access->rule_count == 0)
        service->access = NULL;
    if (service->authority == NULL)
        service->authority = default_authority(loader, service);
    service->breaker.lease = service->timeout; /* a probe is a call and may take as long as one */
    mesh__judge_service(loader, draft, false);
}

static void load_services(struct loader *loader, const struct document_parts *parts, struct config *config)
{
    struct draft defaults = { .value = NULL }, draft;
    load_defaults(loader, parts->defaults, &defaults);
    if (parts->services == NULL || parts->services->child == NULL)
        return;
    size_t count = (size_t)cJSON_GetArraySize(parts->services);
    struct service_config *services = mesh__config_arena_alloc(loader->arena, count * sizeof(*services));
    if (services == NULL)
        return;
    config->services = services;
    for (const cJSON *value = parts->services->child; value != NULL; value = value->next) {
        draft.service = defaults.service;
        load_service(loader, value, &draft);
        struct service_config *service = &services[config->service_count++];
        *service = draft.service;
        if (!mesh__map_set(&config->by_name, mesh__view_of(service->name), service))
            loader->arena->failed = true;
    }
}

/* Two servers cannot listen at one address, unless each takes a free port of it. */
static void check_listen(struct loader *loader, const struct config *config, const cJSON *value)
{
    const struct server_config *last = &config->servers[config->server_count - 1];
    const char *text = last->listen.text;
    size_t size = strlen(text);
    if (size < 2 || strcmp(text + size - 2, ":0") == 0)
        return;
    for (const struct server_config *server = config->servers; server < last; server++)
        if (strcmp(server->listen.text, text) == 0)
            LOAD_ERROR(loader, cJSON_GetObjectItemCaseSensitive(value, "listen"),
                       "%s is where server %s listens, expected another address", text, server->name);
}

static void load_server(struct loader *loader, const cJSON *value, struct server_config *server)
{
    const cJSON *source[FIELD_COUNT] = { NULL };
    mesh__fields_default(OBJECT_SERVER, server);
    server->name = copy_name(loader, value, "server");
    loader->source = source;
    mesh__load_object(loader, OBJECT_SERVER, value, server);
    loader->source = NULL;
    server->tls.settings.with_certificate =
        server->tls.mode == TLS_MODE_MUTUAL || server->tls.mode == TLS_MODE_PERMISSIVE;
    mesh__judge_server(loader, server, source);
}

static void load_servers(struct loader *loader, const struct document_parts *parts, struct config *config)
{
    if (parts->servers == NULL || parts->servers->child == NULL)
        return;
    size_t count = (size_t)cJSON_GetArraySize(parts->servers);
    struct server_config *servers = mesh__config_arena_alloc(loader->arena, count * sizeof(*servers));
    if (servers == NULL)
        return;
    config->servers = servers;
    for (const cJSON *value = parts->servers->child; value != NULL; value = value->next) {
        struct server_config *server = &servers[config->server_count++];
        load_server(loader, value, server);
        check_listen(loader, config, value);
    }
}

static void load_identity(struct loader *loader, const struct document_parts *parts, struct config *config)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(loader->document->root, mesh__fields[F_TOP_identity].key);
    struct identity_config *identity = value ? mesh__config_arena_alloc(loader->arena, sizeof(*identity)) : NULL;
    if (identity == NULL)
        return;
    *identity = parts->identity;
    config->identity = loader->identity = identity;
    mesh__judge_identity(loader, value, identity);
}

static void load_document(struct loader *loader, struct config *config)
{
    struct document_parts parts = { .defaults = NULL };
    const cJSON *root = loader->document->root;
    mesh__fields_default(OBJECT_TOP, &parts);
    mesh__load_object(loader, OBJECT_TOP, root, &parts);
    config->dns = parts.dns;
    config->handshake_threads = parts.handshake_threads;
    load_identity(loader, &parts, config);
    config->wait = parts.wait;
    load_services(loader, &parts, config);
    load_servers(loader, &parts, config);
    if (loader->problems->errors == 0 && config->service_count + config->server_count == 0)
        LOAD_WARNING(loader, root, "there are neither services nor servers, so there is nothing to do");
    else if (loader->problems->errors == 0)
        mesh__judge_use(loader, config);
}

static const char *print_document(struct loader *loader)
{
    char *text = cJSON_PrintUnformatted(loader->document->root);
    const char *copy = text ? mesh__config_arena_copy(loader->arena, text, strlen(text)) : NULL;
    cJSON_free(text);
    loader->arena->failed = loader->arena->failed || copy == NULL;
    return copy;
}

static mesh_status out_of_memory(mesh_error **error)
{
    return mesh__error_set(error, MESH_NO_MEMORY, "%s", mesh_status_text(MESH_NO_MEMORY));
}

mesh_status mesh__config_build(const mesh_config *document, const struct mem *mem, struct config **out,
                               mesh_error **error, mesh_error **warnings)
{
    *out = NULL;
    if (warnings != NULL)
        *warnings = NULL;
    struct holder *holder = new_holder(mem);
    if (holder == NULL)
        return out_of_memory(error);
    struct config_arena scratch;
    mesh__config_arena_init(&scratch, mem);
    struct problems problems = { .arena = &scratch };
    struct loader loader = { .document = document, .arena = &holder->arena, .problems = &problems };
    load_document(&loader, &holder->config);
    holder->config.json = print_document(&loader);
    bool ok = !holder->arena.failed && !scratch.failed && mesh__problems_tell(&problems, document, error, warnings);
    mesh__config_arena_fini(&scratch);
    if (ok && problems.errors == 0) {
        *out = &holder->config;
        return MESH_OK;
    }
    free_holder(holder);
    return ok ? MESH_ECONFIG : out_of_memory(error);
}

/* The list in one block of its own. */
static mesh_status copy_endpoints(const struct mem *mem, const struct endpoint_config *list, uint32_t count,
                                  struct endpoint_config **out, mesh_error **error)
{
    if (count == 0)
        return MESH_OK;
    *out = mesh__alloc(mem, count * sizeof(*list));
    if (*out == NULL)
        return out_of_memory(error);
    memcpy(*out, list, count * sizeof(*list));
    return MESH_OK;
}

mesh_status mesh__config_read_endpoints(const struct mem *mem, const char *text, size_t size, const char *name,
                                        struct endpoint_config **out, uint32_t *count, mesh_error **error)
{
    mesh_config *document;
    *out = NULL;
    *count = 0;
    mesh_status status = mesh__document_parse(mem, mesh__view(text, size), name, NULL, &document, error);
    if (status != MESH_OK)
        return status;
    struct config_arena arena;
    mesh__config_arena_init(&arena, mem);
    struct problems problems = { .arena = &arena };
    struct loader loader = { .document = document, .arena = &arena, .problems = &problems };
    struct endpoint_config *list;
    uint32_t length;
    mesh__load_endpoint_list(&loader, document->root, true, &list, &length);
    if (arena.failed || !mesh__problems_tell(&problems, document, error, NULL))
        status = out_of_memory(error);
    else if (problems.errors > 0)
        status = MESH_ECONFIG;
    else
        status = copy_endpoints(mem, list, length, out, error);
    *count = *out ? length : 0;
    mesh__config_arena_fini(&arena);
    mesh__document_free(document);
    return status;
}

void mesh__config_ref(struct config *config)
{
    mesh__refs_ref(&config->refs);
}

void mesh__config_unref(struct config *config)
{
    if (config != NULL && mesh__refs_unref(&config->refs))
        free_holder((struct holder *)(void *)config);
}

const struct service_config *mesh__config_service(const struct config *config, const char *name)
{
    return mesh__map_get(&config->by_name, mesh__view_of(name));
}

const struct server_config *mesh__config_server(const struct config *config, const char *name)
{
    for (uint32_t i = 0; i < config->server_count; i++)
        if (strcmp(config->servers[i].name, name) == 0)
            return &config->servers[i];
    return NULL;
}

const char *mesh__config_nearest_service(const struct config *config, const char *name)
{
    struct nearest nearest = { name, NULL, 0 };
    for (uint32_t i = 0; i < config->service_count; i++)
        mesh__nearest_offer(&nearest, config->services[i].name);
    return nearest.best;
}
