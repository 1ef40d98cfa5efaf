/* SPDX-License-Identifier: Apache-2.0 */
/* bench_mbedtls.c - what one thread has parsed of the specs that it shakes hands for. */
#include "tls/tls_mbedtls.h"

struct tls_bench {
    struct mem mem;
    struct tls_setup *first; /* latest used first */
};

/* ---- setups ---- */

static void setup_free(struct tls_setup *setup)
{
    struct mem mem = setup->mem;
    mbedtls_ssl_config_free(&setup->config);
    mbedtls_x509_crt_free(&setup->chain);
    mbedtls_pk_free(&setup->key);
    mbedtls_x509_crl_free(&setup->crl);
    for (size_t i = 0; setup->anchors != NULL && i < setup->spec->identity->bundle_count; i++)
        mbedtls_x509_crt_free(&setup->anchors[i]);
    mesh__mem_free(&mem, setup->anchors);
    mesh__tls_spec_release(setup->spec);
    mesh__mem_free(&mem, setup);
}

void mesh__tls_setup_unref(struct tls_setup *setup)
{
    if (setup != NULL && mesh__refs_unref(&setup->refs))
        setup_free(setup);
}

static struct tls_setup *setup_new(const struct mem *mem, struct tls_spec *spec)
{
    struct tls_setup *setup = mesh__zalloc(mem, sizeof(*setup));
    if (setup == NULL)
        return NULL;
    setup->mem = *mem;
    mesh__refs_init(&setup->refs);
    mesh__refs_ref(&spec->refs);
    setup->spec = spec;
    mbedtls_ssl_config_init(&setup->config);
    mbedtls_x509_crt_init(&setup->chain);
    mbedtls_pk_init(&setup->key);
    mbedtls_x509_crl_init(&setup->crl);
    return setup;
}

/* The bytes were parsed when the identity was made, so what can fail is memory. */
static bool parse_trust(struct tls_setup *setup)
{
    const struct tls_spec *spec = setup->spec;
    const struct tls_identity *identity = spec->identity;
    char words[200];
    setup->anchors = mesh__zalloc(&setup->mem, (identity->bundle_count + 1) * sizeof(*setup->anchors));
    if (setup->anchors == NULL)
        return false;
    for (size_t i = 0; i < identity->bundle_count; i++)
        mbedtls_x509_crt_init(&setup->anchors[i]);
    if (spec->settings.demand.verify == TLS_VERIFY_NONE)
        return true;
    for (size_t i = 0; i < identity->bundle_count; i++) {
        bool needed = spec->bundle < 0 || spec->bundle == (int)i;
        if (needed && mesh__tls_parse_certificates(identity->bundles[i].pem, &setup->anchors[i], words) != MESH_OK)
            return false;
    }
    return identity->crl.size == 0 || mesh__tls_parse_revocations(identity->crl, &setup->crl, words) == MESH_OK;
}

static bool parse_own(struct tls_setup *setup)
{
    const struct tls_spec *spec = setup->spec;
    char words[200];
    if (spec->side == TLS_CLIENT && !spec->settings.with_certificate)
        return true;
    return mesh__tls_parse_certificates(spec->identity->certificate, &setup->chain, words) == MESH_OK &&
           mesh__tls_parse_key(spec->identity->key, &setup->key, words) == MESH_OK &&
           mbedtls_ssl_conf_own_cert(&setup->config, &setup->chain, &setup->key) == 0;
}

/* ---- configuration ---- */

/* Without a demand for verification any certificate will do, and judge_mbedtls.c accepts it. Where several bundles may
 * count, the first serves mbedTLS's own check, whose verdict is then not asked. */
static void configure_verification(struct tls_setup *setup)
{
    const struct tls_spec *spec = setup->spec;
    mbedtls_ssl_config *config = &setup->config;
    bool none = spec->settings.demand.verify == TLS_VERIFY_NONE;
    if (spec->side == TLS_SERVER && !spec->settings.with_certificate) {
        mbedtls_ssl_conf_authmode(config, MBEDTLS_SSL_VERIFY_NONE);
        return;
    }
    mbedtls_ssl_conf_authmode(config, none ? MBEDTLS_SSL_VERIFY_OPTIONAL : MBEDTLS_SSL_VERIFY_REQUIRED);
    if (!none)
        mbedtls_ssl_conf_ca_chain(config, &setup->anchors[spec->bundle < 0 ? 0 : spec->bundle],
                                  spec->identity->crl.size > 0 ? &setup->crl : NULL);
}

static bool configure(struct tls_setup *setup)
{
    const struct tls_spec *spec = setup->spec;
    mbedtls_ssl_config *config = &setup->config;
    int endpoint = spec->side == TLS_CLIENT ? MBEDTLS_SSL_IS_CLIENT : MBEDTLS_SSL_IS_SERVER;
    if (mbedtls_ssl_config_defaults(config, endpoint, MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT) != 0)
        return false;
    mesh__tls_allow_algorithms(config);
    configure_verification(setup);
    if (spec->alpn != NULL && mbedtls_ssl_conf_alpn_protocols(config, (const char **)spec->alpn) != 0)
        return false;
    if (spec->side == TLS_CLIENT) {
        mbedtls_ssl_conf_session_tickets(config, spec->settings.resume ? MBEDTLS_SSL_SESSION_TICKETS_ENABLED
                                                                       : MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
        return true;
    }
    mbedtls_ssl_conf_cert_req_ca_list(config, MBEDTLS_SSL_CERT_REQ_CA_LIST_DISABLED);
    if (spec->settings.resume) {
        mbedtls_ssl_conf_session_tickets_cb(config, mesh__tls_ticket_write, mesh__tls_ticket_parse, setup);
        mesh__tls_keep_ids(config, setup);
    }
    return true;
}

/* ---- bench ---- */

struct tls_setup *mesh__tls_setup_get(struct tls_bench *bench, struct tls_spec *spec)
{
    struct tls_setup **at = &bench->first;
    while (*at != NULL && (*at)->spec != spec)
        at = &(*at)->next;
    struct tls_setup *setup = *at;
    if (setup != NULL) {
        *at = setup->next;
    } else {
        setup = mesh__tls_backend_ready() ? setup_new(&bench->mem, spec) : NULL;
        if (setup == NULL)
            return NULL;
        if (!parse_trust(setup) || !configure(setup) || !parse_own(setup)) {
            mesh__tls_setup_unref(setup);
            return NULL;
        }
    }
    setup->next = bench->first;
    bench->first = setup;
    mesh__refs_ref(&setup->refs);
    return setup;
}

struct tls_bench *mesh__tls_bench_new(const struct mem *mem)
{
    struct tls_bench *bench = mesh__zalloc(mem, sizeof(*bench));
    if (bench != NULL)
        bench->mem = *mem;
    return bench;
}

void mesh__tls_bench_free(struct tls_bench *bench)
{
    if (bench == NULL)
        return;
    while (bench->first != NULL) {
        struct tls_setup *setup = bench->first;
        bench->first = setup->next;
        mesh__tls_setup_unref(setup);
    }
    struct mem mem = bench->mem;
    mesh__mem_free(&mem, bench);
}

void mesh__tls_bench_sweep(struct tls_bench *bench)
{
    for (struct tls_setup **at = &bench->first; *at != NULL;) {
        struct tls_setup *setup = *at;
        if (mesh__tls_spec_held(setup->spec)) {
            at = &setup->next;
            continue;
        }
        *at = setup->next;
        mesh__tls_setup_unref(setup);
    }
}
