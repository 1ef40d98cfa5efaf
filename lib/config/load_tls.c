/* SPDX-License-Identifier: Apache-2.0 */
/* load_tls.c - the values that say who this program is, whom it trusts, and who a peer must be. */
#include "config/load.h"

#include "config/nearest.h"

#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <stdint.h>

#define ALPN_MAX_BYTES 255

bool mesh__load_lacks_bundle(const struct loader *loader, struct view name)
{
    const struct identity_config *identity = loader->identity;
    if (identity == NULL || identity->trust_count == 0)
        return false;
    for (uint32_t i = 0; i < identity->trust_count; i++)
        if (mesh__view_equal(mesh__view_of(identity->trust[i].name), name))
            return false;
    return true;
}

static void load_bundle_file(struct loader *loader, const cJSON *value, struct trust_config *out)
{
    struct view name = mesh__view_of(value->string);
    const char *wrong = mesh__spiffe_check_domain(name);
    if (wrong != NULL)
        mesh__problem_at_key(loader->problems, value, "this is no name of a trust domain: %s", wrong);
    *out = (struct trust_config){ mesh__config_arena_copy(loader->arena, name.data, name.size),
                                  mesh__load_file(loader, value) };
}

void mesh__load_trust(struct loader *loader, const struct field *field, const cJSON *value, void *base)
{
    struct identity_config *identity = (void *)((char *)base + field->offset);
    if (!cJSON_IsObject(value)) {
        LOAD_ERROR(loader, value, "%s is no object, expected one of trust domains and files", QUOTE(loader, value));
        return;
    }
    if (value->child == NULL) {
        LOAD_ERROR(loader, value, "the object is empty, expected the file of at least one trust domain");
        return;
    }
    size_t size = (size_t)cJSON_GetArraySize(value);
    struct trust_config *trust = mesh__config_arena_alloc(loader->arena, size * sizeof(*trust));
    if (trust == NULL)
        return;
    identity->trust = trust;
    for (const cJSON *member = value->child; member != NULL; member = member->next)
        load_bundle_file(loader, member, &trust[identity->trust_count++]);
}

/* Names as a message lists them. */
static const char *list_bundles(struct loader *loader)
{
    const char *list = "";
    const struct identity_config *identity = loader->identity;
    for (uint32_t i = 0; i < identity->trust_count && list != NULL; i++)
        list = mesh__config_arena_printf(loader->problems->arena, "%s%s\"%s\"", list, i > 0 ? ", " : "",
                                         identity->trust[i].name);
    return list ? list : "";
}

/* One pattern; false, and reported, when it is none. */
static bool load_peer(struct loader *loader, const cJSON *value, struct spiffe_pattern *out)
{
    const char *text = mesh__load_string(loader, value, "a SPIFFE id such as \"spiffe://shop/order\"");
    char *copy = text ? mesh__config_arena_copy(loader->arena, text, strlen(text)) : NULL;
    if (copy == NULL)
        return false;
    const char *wrong = mesh__spiffe_parse_pattern(mesh__view_of(copy), out);
    struct view domain = out->id.trust_domain;
    if (wrong != NULL)
        LOAD_ERROR(loader, value, "%s is no SPIFFE id: %s", QUOTE(loader, value), wrong);
    else if (mesh__load_lacks_bundle(loader, domain))
        LOAD_ERROR(loader, value, "identity.trust has no bundle for trust domain \"%.*s\", expected one out of %s",
                   (int)domain.size, domain.data, list_bundles(loader));
    return wrong == NULL;
}

static bool is_listed(const struct spiffe_pattern *patterns, size_t count, const struct spiffe_pattern *wanted)
{
    for (size_t i = 0; i < count; i++)
        if (patterns[i].kind == wanted->kind && mesh__view_equal(patterns[i].id.text, wanted->id.text))
            return true;
    return false;
}

void mesh__load_peers(struct loader *loader, const struct field *field, const cJSON *value, void *base)
{
    struct tls_demand *demand = (void *)((char *)base + field->offset);
    size_t size = mesh__load_list(loader, value, "SPIFFE ids such as \"spiffe://shop/order\"");
    struct spiffe_pattern *peers = mesh__config_arena_alloc(loader->arena, size * sizeof(*peers));
    if (size == 0 || peers == NULL)
        return;
    demand->peers = peers;
    demand->peer_count = 0;
    for (const cJSON *item = value->child; item != NULL; item = item->next) {
        struct spiffe_pattern *peer = &peers[demand->peer_count];
        if (!load_peer(loader, item, peer))
            continue;
        if (is_listed(peers, demand->peer_count, peer))
            LOAD_WARNING(loader, item, "%s is in the list twice", QUOTE(loader, item));
        demand->peer_count++;
    }
}

bool mesh__load_is_ip(const char *text)
{
    struct in6_addr space;
    return inet_pton(AF_INET, text, &space) == 1 || inet_pton(AF_INET6, text, &space) == 1;
}

/* The grammar of a host in an address. */
static bool is_dns_name(struct loader *loader, const char *text)
{
    struct address address;
    const char *with_port = mesh__config_arena_printf(loader->problems->arena, "%s:1", text);
    return with_port != NULL && mesh__address_parse(mesh__view_of(with_port), false, &address) == ADDRESS_IS_NAME;
}

/* Without a dot at the end, which certificates and SNI never have. */
static void store_name(struct loader *loader, const struct field *field, const char *text, void *base)
{
    size_t size = strlen(text);
    const char *copy = mesh__config_arena_copy(loader->arena, text, size - (text[size - 1] == '.'));
    memcpy((char *)base + field->offset, &copy, sizeof(copy));
}

void mesh__load_peer_name(struct loader *loader, const struct field *field, const cJSON *value, void *base)
{
    const char *text = mesh__load_string(loader, value, "a DNS name or an IP address");
    if (text != NULL && (mesh__load_is_ip(text) || is_dns_name(loader, text)))
        store_name(loader, field, text, base);
    else if (text != NULL)
        LOAD_ERROR(loader, value, "%s is neither a DNS name nor an IP address, expected one without port or star",
                   QUOTE(loader, value));
}

void mesh__load_server_name(struct loader *loader, const struct field *field, const cJSON *value, void *base)
{
    const char *text = mesh__load_string(loader, value, "a DNS name");
    if (text != NULL && mesh__load_is_ip(text))
        LOAD_ERROR(loader, value, "%s is an IP address, which cannot be sent as SNI, expected a DNS name",
                   QUOTE(loader, value));
    else if (text != NULL && !is_dns_name(loader, text))
        LOAD_ERROR(loader, value, "%s is no DNS name, expected one without port or star", QUOTE(loader, value));
    else if (text != NULL)
        store_name(loader, field, text, base);
}

void mesh__load_bundle(struct loader *loader, const struct field *field, const cJSON *value, void *base)
{
    const char *text = mesh__load_string(loader, value, "a name out of identity.trust");
    if (text == NULL)
        return;
    struct view name = mesh__view_of(text);
    if (!mesh__load_lacks_bundle(loader, name)) {
        const char *copy = mesh__config_arena_copy(loader->arena, name.data, name.size);
        memcpy((char *)base + field->offset, &copy, sizeof(copy));
        return;
    }
    struct nearest nearest = { text, NULL, 0 };
    for (uint32_t i = 0; i < loader->identity->trust_count; i++)
        mesh__nearest_offer(&nearest, loader->identity->trust[i].name);
    if (nearest.best != NULL)
        LOAD_ERROR(loader, value, "identity.trust has no %s, did you mean \"%s\"?", QUOTE(loader, value), nearest.best);
    else
        LOAD_ERROR(loader, value, "identity.trust has no %s, expected one out of %s", QUOTE(loader, value),
                   list_bundles(loader));
}

/* A protocol's name as it is offered; NULL, and reported, when it is none. */
static const char *load_protocol(struct loader *loader, const cJSON *value)
{
    const char *text = mesh__load_string(loader, value, "a protocol such as \"http/1.1\"");
    if (text == NULL)
        return NULL;
    size_t size = strlen(text), visible = 0;
    while (visible < size && text[visible] > ' ' && text[visible] < 0x7f)
        visible++;
    if (size == 0 || visible < size || size > ALPN_MAX_BYTES) {
        LOAD_ERROR(loader, value, "%s is no protocol, expected 1 to %d visible characters, as \"http/1.1\"",
                   QUOTE(loader, value), ALPN_MAX_BYTES);
        return NULL;
    }
    return mesh__config_arena_copy(loader->arena, text, size);
}

static bool has_protocol(const char *const *list, size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i], text) == 0)
            return true;
    return false;
}

void mesh__load_alpn(struct loader *loader, const struct field *field, const cJSON *value, void *base)
{
    struct tls_settings *settings = (void *)((char *)base + field->offset);
    if (!cJSON_IsArray(value)) {
        LOAD_ERROR(loader, value, "%s is no list, expected one of protocols such as \"http/1.1\"",
                   QUOTE(loader, value));
        return;
    }
    size_t size = (size_t)cJSON_GetArraySize(value);
    const char **list = mesh__config_arena_alloc(loader->arena, (size + 1) * sizeof(*list));
    if (list == NULL)
        return;
    settings->alpn = list;
    settings->alpn_count = 0;
    for (const cJSON *item = value->child; item != NULL; item = item->next) {
        const char *text = load_protocol(loader, item);
        if (text == NULL)
            continue;
        if (has_protocol(list, settings->alpn_count, text))
            LOAD_ERROR(loader, item, "%s is in the list twice, expected each protocol once", QUOTE(loader, item));
        list[settings->alpn_count++] = text;
    }
}
