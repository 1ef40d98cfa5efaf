/* SPDX-License-Identifier: Apache-2.0 */
/* load_address.c - the values that are addresses, or lists of them. */
#include "config/load.h"

#include <cjson/cJSON.h>
#include <stdint.h>
#include <stdio.h>

#define FORMS "\"1.2.3.4:80\", \"[::1]:80\" or \"unix:/path\""

static void report_address(struct loader *loader, const cJSON *value, enum address_problem problem, bool endpoint)
{
    const char *quoted = QUOTE(loader, value);
    if (problem == ADDRESS_IS_NAME && endpoint)
        LOAD_ERROR(loader, value, "%s is a host name, expected an IP address; names belong into discover.dns", quoted);
    else if (problem == ADDRESS_IS_NAME)
        LOAD_ERROR(loader, value, "%s is a host name, expected an IP address", quoted);
    else if (problem == ADDRESS_NO_PORT)
        LOAD_ERROR(loader, value, "%s has no port, expected one behind a colon", quoted);
    else if (problem == ADDRESS_BAD_PORT)
        LOAD_ERROR(loader, value, "%s has a bad port, expected %d to 65535", quoted, endpoint ? 1 : 0);
    else
        LOAD_ERROR(loader, value, "%s is no address, expected " FORMS, quoted);
}

void mesh__load_address(struct loader *loader, const struct field *field, const cJSON *value, void *base)
{
    const char *text = mesh__load_string(loader, value, "an address: " FORMS);
    if (text == NULL)
        return;
    bool port_zero = (field->flags & FIELD_PORT_ZERO) != 0;
    struct address *out = (struct address *)(void *)((char *)base + field->offset);
    enum address_problem problem = mesh__address_parse(mesh__view_of(text), port_zero, out);
    if (problem != ADDRESS_OK)
        report_address(loader, value, problem, !port_zero);
}

static void load_endpoint(struct loader *loader, const cJSON *value, struct endpoint_config *out)
{
    mesh__fields_default(OBJECT_ENDPOINT, out);
    if (cJSON_IsString(value))
        mesh__load_address(loader, &mesh__fields[F_ENDPOINT_address], value, out);
    else if (cJSON_IsObject(value))
        mesh__load_object(loader, OBJECT_ENDPOINT, value, out);
    else
        LOAD_ERROR(loader, value, "%s is no endpoint, expected an address or an object", QUOTE(loader, value));
}

static void check_duplicate(struct loader *loader, struct map *seen, const cJSON *value,
                            struct endpoint_config *endpoint)
{
    struct view key = mesh__view_of(endpoint->address.text);
    if (key.size == 0)
        return;
    if (mesh__map_get(seen, key) != NULL)
        LOAD_ERROR(loader, value, "%s is in the list twice, expected each endpoint once", key.data);
    else if (!mesh__map_set(seen, key, endpoint))
        loader->arena->failed = true;
}

void mesh__load_endpoint_list(struct loader *loader, const cJSON *list, bool may_be_empty, struct endpoint_config **out,
                              uint32_t *count)
{
    *out = NULL;
    *count = 0;
    if (!cJSON_IsArray(list)) {
        LOAD_ERROR(loader, list, "%s is no list, expected one of addresses", QUOTE(loader, list));
        return;
    }
    if (list->child == NULL) {
        if (!may_be_empty)
            LOAD_ERROR(loader, list, "the list is empty, expected at least one endpoint");
        return;
    }
    size_t size = (size_t)cJSON_GetArraySize(list);
    *out = mesh__config_arena_alloc(loader->arena, size * sizeof(**out));
    if (*out == NULL)
        return;
    const cJSON **source = loader->source;
    loader->source = NULL; /* the fields of an endpoint are not those of the service */
    struct map seen;
    mesh__map_init(&seen, loader->arena->mem);
    for (const cJSON *value = list->child; value != NULL; value = value->next) {
        struct endpoint_config *endpoint = &(*out)[(*count)++];
        load_endpoint(loader, value, endpoint);
        check_duplicate(loader, &seen, value, endpoint);
    }
    mesh__map_fini(&seen);
    loader->source = source;
}

void mesh__load_endpoints(struct loader *loader, const struct field *field, const cJSON *value, void *base)
{
    (void)field;
    struct service_config *service = base;
    struct endpoint_config *endpoints;
    mesh__load_endpoint_list(loader, value, false, &endpoints, &service->endpoint_count);
    service->endpoints = endpoints;
    service->discover.kind = DISCOVER_STATIC;
}

/* A name server may leave its port out, and its brackets with it. */
static bool parse_name_server(const char *text, struct address *out)
{
    char with_port[ADDRESS_TEXT_MAX], with_brackets[ADDRESS_TEXT_MAX];
    if (strlen(text) >= INET6_ADDRSTRLEN)
        return false;
    (void)snprintf(with_port, sizeof(with_port), "%s:53", text);
    (void)snprintf(with_brackets, sizeof(with_brackets), "[%s]:53", text);
    const char *const forms[] = { text, with_port, with_brackets };
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
        if (mesh__address_parse(mesh__view_of(forms[i]), false, out) == ADDRESS_OK)
            return out->socket.any.sa_family != AF_UNIX;
    return false;
}

void mesh__load_dns_servers(struct loader *loader, const struct field *field, const cJSON *value, void *base)
{
    struct dns_config *dns = (struct dns_config *)(void *)((char *)base + field->offset);
    if (!cJSON_IsArray(value) || value->child == NULL) {
        LOAD_ERROR(loader, value, "%s, expected addresses such as \"1.2.3.4:53\"",
                   cJSON_IsArray(value) ? "the list is empty" : "this is no list");
        return;
    }
    size_t size = (size_t)cJSON_GetArraySize(value);
    struct address *servers = mesh__config_arena_alloc(loader->arena, size * sizeof(*servers));
    if (servers == NULL)
        return;
    dns->servers = servers;
    for (const cJSON *item = value->child; item != NULL; item = item->next) {
        const char *text = mesh__load_string(loader, item, "an address such as \"1.2.3.4:53\"");
        if (text != NULL && !parse_name_server(text, &servers[dns->server_count++]))
            LOAD_ERROR(loader, item, "%s is no address of a name server, expected \"1.2.3.4:53\" or \"[::1]:53\"",
                       QUOTE(loader, item));
    }
}

void mesh__load_host_port(struct loader *loader, const struct field *field, const cJSON *value, void *base)
{
    (void)field;
    struct discover_config *discover = &((struct service_config *)base)->discover;
    const char *text = mesh__load_string(loader, value, "a name and a port: \"name:port\"");
    if (text == NULL)
        return;
    struct address address;
    struct view host;
    enum address_problem problem = mesh__address_parse(mesh__view_of(text), false, &address);
    if (problem == ADDRESS_OK) {
        LOAD_ERROR(loader, value, "%s is an address, expected a name; addresses belong into endpoints",
                   QUOTE(loader, value));
    } else if (problem == ADDRESS_NO_PORT || problem == ADDRESS_BAD_PORT) {
        report_address(loader, value, problem, true);
    } else if (problem != ADDRESS_IS_NAME ||
               mesh__address_split(mesh__view_of(text), &host, &discover->port) != ADDRESS_OK) {
        LOAD_ERROR(loader, value, "%s is no name with a port, expected \"name:port\"", QUOTE(loader, value));
    } else {
        discover->kind = DISCOVER_DNS;
        discover->host = mesh__config_arena_copy(loader->arena, host.data, host.size);
    }
}
