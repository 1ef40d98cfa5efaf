/* SPDX-License-Identifier: Apache-2.0 */
/* spec_mbedtls.c - an identity under one side's settings: their copy, and whether they fit each other. */
#include "tls/tls_mbedtls.h"

#include <stdio.h>

/* ---- the copy of the settings: one block of patterns, pointers and texts ---- */

struct writer {
    char *at;
};

static size_t text_size(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

static size_t block_size(const struct tls_settings *s)
{
    size_t size = s->demand.peer_count * sizeof(struct spiffe_pattern) + (s->alpn_count + 1) * sizeof(char *);
    for (size_t i = 0; i < s->demand.peer_count; i++)
        size += s->demand.peers[i].id.text.size;
    for (size_t i = 0; i < s->alpn_count; i++)
        size += text_size(s->alpn[i]);
    return size + text_size(s->demand.name) + text_size(s->bundle) + text_size(s->server_name);
}

static const char *put(struct writer *writer, const char *bytes, size_t size)
{
    if (bytes == NULL)
        return NULL;
    char *start = writer->at;
    memcpy(start, bytes, size);
    writer->at += size;
    return start;
}

/* A view into a text, moved to the text's copy. */
static struct view moved(struct view part, struct view text, const char *copy)
{
    return part.size == 0 ? mesh__view(copy + text.size, 0) : mesh__view(copy + (part.data - text.data), part.size);
}

static void copy_pattern(struct writer *writer, const struct spiffe_pattern *from, struct spiffe_pattern *to)
{
    struct view text = from->id.text;
    const char *start = put(writer, text.data, text.size);
    to->kind = from->kind;
    to->id.text = mesh__view(start, text.size);
    to->id.trust_domain = moved(from->id.trust_domain, text, start);
    to->id.path = moved(from->id.path, text, start);
}

static bool copy_settings(struct tls_spec *spec, const struct tls_settings *from)
{
    spec->block = mesh__zalloc(&spec->mem, block_size(from));
    if (spec->block == NULL)
        return false;
    struct tls_settings *to = &spec->settings;
    *to = *from;
    struct spiffe_pattern *peers = (struct spiffe_pattern *)(void *)spec->block;
    const char **alpn = (const char **)(void *)(peers + from->demand.peer_count);
    struct writer writer = { (char *)(alpn + from->alpn_count + 1) };
    for (size_t i = 0; i < from->demand.peer_count; i++)
        copy_pattern(&writer, &from->demand.peers[i], &peers[i]);
    for (size_t i = 0; i < from->alpn_count; i++)
        alpn[i] = put(&writer, from->alpn[i], text_size(from->alpn[i]));
    to->demand.peers = peers;
    to->alpn = alpn;
    to->demand.name = put(&writer, from->demand.name, text_size(from->demand.name));
    to->bundle = put(&writer, from->bundle, text_size(from->bundle));
    to->server_name = put(&writer, from->server_name, text_size(from->server_name));
    spec->alpn = from->alpn_count > 0 ? alpn : NULL;
    return true;
}

/* ---- checks ---- */

static mesh_status refuse(struct tls_problem *problem, enum tls_part part, const char *words, const char *name)
{
    problem->part = part;
    (void)snprintf(problem->words, sizeof(problem->words), words, name ? name : "");
    return MESH_ECONFIG;
}

static mesh_status check_own(const struct tls_spec *spec, struct tls_problem *problem)
{
    if (spec->side == TLS_CLIENT && !spec->settings.with_certificate)
        return MESH_OK;
    if (!mesh__tls_identity_has_certificate(spec->identity))
        return refuse(problem, TLS_PART_CERTIFICATE,
                      spec->side == TLS_SERVER ? "a server needs a certificate and its key"
                                               : "mutual TLS needs a certificate and its key",
                      NULL);
    if (!spec->identity->for_sides[spec->side])
        return refuse(problem, TLS_PART_CERTIFICATE, "%s", spec->identity->why[spec->side]);
    return MESH_OK;
}

static mesh_status check_trust(struct tls_spec *spec, struct tls_problem *problem)
{
    const struct tls_identity *identity = spec->identity;
    const struct tls_settings *settings = &spec->settings;
    spec->bundle = -1;
    if (settings->demand.verify == TLS_VERIFY_NONE || (spec->side == TLS_SERVER && !settings->with_certificate))
        return MESH_OK;
    if (identity->bundle_count == 0)
        return refuse(problem, TLS_PART_BUNDLE, "a bundle of authorities is needed to verify the peer", NULL);
    if (identity->bundle_count == 1)
        spec->bundle = 0;
    if (settings->demand.verify == TLS_VERIFY_SPIFFE)
        return MESH_OK;
    if (settings->demand.name == NULL)
        return refuse(problem, TLS_PART_NONE, "a name is needed to verify the peer by name", NULL);
    if (settings->bundle != NULL)
        spec->bundle = mesh__tls_find_bundle(identity, mesh__view_of(settings->bundle));
    if (spec->bundle >= 0)
        return MESH_OK;
    return settings->bundle ? refuse(problem, TLS_PART_BUNDLE, "there is no bundle \"%s\"", settings->bundle)
                            : refuse(problem, TLS_PART_BUNDLE, "there are several bundles: one must be named", NULL);
}

/* ---- interface ---- */

static void spec_free(struct tls_spec *spec)
{
    struct mem mem = spec->mem;
    mesh__tls_sessions_fini(&spec->sessions, &mem);
    mesh__tls_tickets_fini(&spec->tickets);
    mesh__tls_identity_unref(spec->identity);
    mesh__mem_free(&mem, spec->block);
    mesh__mem_free(&mem, spec);
}

mesh_status mesh__tls_spec_new(const struct mem *mem, struct tls_identity *identity, enum tls_side side,
                               const struct tls_settings *settings, struct tls_spec **out, struct tls_problem *problem)
{
    memset(problem, 0, sizeof(*problem));
    *out = NULL;
    struct tls_spec *spec = mesh__zalloc(mem, sizeof(*spec));
    if (spec == NULL)
        return MESH_NO_MEMORY;
    spec->mem = *mem;
    mesh__refs_init(&spec->refs);
    mesh__refs_init(&spec->holders);
    mesh__tls_identity_ref(identity);
    spec->identity = identity;
    spec->side = side;
    mesh__tls_sessions_init(&spec->sessions);
    mesh__tls_tickets_init(&spec->tickets);
    mesh_status status = copy_settings(spec, settings) ? check_own(spec, problem) : MESH_NO_MEMORY;
    if (status == MESH_OK)
        status = check_trust(spec, problem);
    if (status == MESH_OK)
        *out = spec;
    else
        spec_free(spec);
    return status;
}

void mesh__tls_spec_release(struct tls_spec *spec)
{
    if (mesh__refs_unref(&spec->refs))
        spec_free(spec);
}

void mesh__tls_spec_ref(struct tls_spec *spec)
{
    mesh__refs_ref(&spec->holders);
}

void mesh__tls_spec_unref(struct tls_spec *spec)
{
    if (spec != NULL && mesh__refs_unref(&spec->holders))
        mesh__tls_spec_release(spec);
}

bool mesh__tls_spec_held(struct tls_spec *spec)
{
    return atomic_load_explicit(&spec->holders.count, memory_order_acquire) > 0;
}

const struct tls_identity *mesh__tls_spec_identity(const struct tls_spec *spec)
{
    return spec->identity;
}

const struct tls_settings *mesh__tls_spec_settings(const struct tls_spec *spec)
{
    return &spec->settings;
}
