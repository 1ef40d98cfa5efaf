/* SPDX-License-Identifier: Apache-2.0 */
/* identity_mbedtls.c - one epoch of certificate, key and trust: checked whole when it is made, bytes from then on. */
#include "tls/tls_mbedtls.h"

#include <mbedtls/md.h>
#include <stdio.h>
#include <stdlib.h>

/* What the check parses; the identity keeps none of it. */
struct check {
    struct tls_identity *identity;
    struct tls_problem *problem;
    mbedtls_x509_crt chain;
    mbedtls_pk_context key;
    mbedtls_x509_crt *anchors; /* one for each bundle */
    mbedtls_x509_crl crl;
};

static mesh_status refuse(struct check *check, enum tls_part part, const char *words)
{
    check->problem->part = part;
    (void)snprintf(check->problem->words, sizeof(check->problem->words), "%s", words);
    return MESH_ECONFIG;
}

/* ---- bytes ---- */

static bool copy(const struct mem *mem, struct view from, struct view *to)
{
    if (from.size == 0)
        return true;
    char *text = mesh__strndup(mem, from.data, from.size);
    if (text == NULL)
        return false;
    *to = mesh__view(text, from.size);
    return true;
}

static void drop(const struct mem *mem, struct view text, bool wipe)
{
    if (text.size > 0 && wipe)
        explicit_bzero((char *)text.data, text.size);
    if (text.size > 0)
        mesh__mem_free(mem, (char *)text.data);
}

static bool copy_source(struct tls_identity *identity, const struct tls_identity_source *source)
{
    const struct mem *mem = &identity->mem;
    if (source->bundle_count > 0) {
        identity->bundles = mesh__zalloc(mem, source->bundle_count * sizeof(*identity->bundles));
        if (identity->bundles == NULL)
            return false;
    }
    identity->bundle_count = source->bundle_count;
    for (size_t i = 0; i < source->bundle_count; i++) {
        if (!copy(mem, source->bundles[i].name, &identity->bundles[i].name) ||
            !copy(mem, source->bundles[i].pem, &identity->bundles[i].pem))
            return false;
    }
    return copy(mem, source->certificate, &identity->certificate) && copy(mem, source->key, &identity->key) &&
           copy(mem, source->crl, &identity->crl);
}

/* ---- checks ---- */

static mesh_status check_bundle(struct check *check, size_t index)
{
    const struct tls_bundle *bundle = &check->identity->bundles[index];
    check->problem->part = TLS_PART_BUNDLE;
    check->problem->bundle = index;
    if (mesh__tls_find_bundle(check->identity, bundle->name) != (int)index)
        return refuse(check, TLS_PART_BUNDLE, "an earlier bundle has the same name");
    if (bundle->pem.size == 0)
        return refuse(check, TLS_PART_BUNDLE, "the bundle is empty: it must hold one certificate or more");
    return mesh__tls_parse_certificates(bundle->pem, &check->anchors[index], check->problem->words);
}

/* Whether an authority signed a revocation list. */
static bool signed_by(const mbedtls_x509_crl *crl, mbedtls_x509_crt *authority)
{
    unsigned char hash[MBEDTLS_MD_MAX_SIZE];
    const mbedtls_md_info_t *info = mbedtls_md_info_from_type(crl->sig_md);
    if (info == NULL || crl->issuer_raw.len != authority->subject_raw.len ||
        memcmp(crl->issuer_raw.p, authority->subject_raw.p, crl->issuer_raw.len) != 0)
        return false;
    return mbedtls_md(info, crl->tbs.p, crl->tbs.len, hash) == 0 &&
           mbedtls_pk_verify_ext(crl->sig_pk, crl->sig_opts, &authority->pk, crl->sig_md, hash,
                                 mbedtls_md_get_size(info), crl->sig.p, crl->sig.len) == 0;
}

static bool has_authority(struct check *check, const mbedtls_x509_crl *crl)
{
    for (size_t i = 0; i < check->identity->bundle_count; i++)
        for (mbedtls_x509_crt *one = &check->anchors[i]; one != NULL; one = one->next)
            if (signed_by(crl, one))
                return true;
    return false;
}

static mesh_status check_crl(struct check *check)
{
    check->problem->part = TLS_PART_CRL;
    if (check->identity->crl.size == 0)
        return MESH_OK;
    mesh_status status = mesh__tls_parse_revocations(check->identity->crl, &check->crl, check->problem->words);
    for (const mbedtls_x509_crl *one = &check->crl; status == MESH_OK && one != NULL; one = one->next)
        if (!has_authority(check, one))
            return refuse(check, TLS_PART_CRL, "no authority of the bundles signed the revocation list");
    return status;
}

/* Dates of each certificate of the chain, and the first that runs out. */
static mesh_status check_dates(struct check *check, int64_t now)
{
    char subject[120], date[32], words[200];
    int64_t first = INT64_MAX;
    for (const mbedtls_x509_crt *one = &check->chain; one != NULL; one = one->next) {
        int64_t from = mesh__tls_seconds(&one->valid_from), to = mesh__tls_seconds(&one->valid_to);
        if (to < now)
            (void)snprintf(words, sizeof(words), "the certificate of %s expired at %s", mesh__tls_subject(one, subject),
                           mesh__tls_date(to, date));
        else if (from > now)
            (void)snprintf(words, sizeof(words), "the certificate of %s is not valid before %s",
                           mesh__tls_subject(one, subject), mesh__tls_date(from, date));
        if (to < now || from > now)
            return refuse(check, TLS_PART_CERTIFICATE, words);
        first = to < first ? to : first;
    }
    check->identity->not_after = mesh__tls_nanos(first);
    return MESH_OK;
}

/* A chain that no handshake message can hold would fail every handshake later. */
static mesh_status check_size(struct check *check)
{
    char words[200];
    size_t size = 8; /* as TLS 1.3 has it: heads of message and list, then each certificate with 5 bytes around it */
    for (const mbedtls_x509_crt *one = &check->chain; one != NULL; one = one->next)
        size += one->raw.len + 5;
    if (size <= MBEDTLS_SSL_OUT_CONTENT_LEN)
        return MESH_OK;
    (void)snprintf(words, sizeof(words),
                   "the certificate and its intermediates have %zu bytes, and a handshake can "
                   "carry %d",
                   size, (int)MBEDTLS_SSL_OUT_CONTENT_LEN);
    return refuse(check, TLS_PART_CERTIFICATE, words);
}

static mesh_status check_strength(struct check *check)
{
    char subject[120], words[200];
    for (const mbedtls_x509_crt *one = &check->chain; one != NULL; one = one->next) {
        const char *weakness = mesh__tls_weakness(one);
        if (weakness == NULL)
            continue;
        (void)snprintf(words, sizeof(words), "the certificate of %s is too weak: %s", mesh__tls_subject(one, subject),
                       weakness);
        return refuse(check, TLS_PART_CERTIFICATE, words);
    }
    return MESH_OK;
}

/* Whether any URI speaks of SPIFFE: then the certificate must be an X509-SVID. */
static bool claims_spiffe(const struct tls_facts *facts)
{
    for (size_t i = 0; i < facts->leaf.san_count; i++) {
        struct view value = facts->sans[i].value;
        if (facts->sans[i].kind == TLS_SAN_URI && value.size >= 7 &&
            mesh__view_equal_nocase(mesh__view(value.data, 7), VIEW_LITERAL("spiffe:")))
            return true;
    }
    return false;
}

/* The rules for a leaf, for both sides that may show it; one that no side may show is refused. */
static mesh_status check_leaf(struct check *check)
{
    struct tls_identity *identity = check->identity;
    struct tls_facts facts;
    struct spiffe_id id = { { NULL, 0 }, { NULL, 0 }, { NULL, 0 } };
    if (!mesh__tls_facts_init(&facts, &identity->mem, &check->chain)) {
        mesh__tls_facts_fini(&facts, &identity->mem);
        return MESH_NO_MEMORY;
    }
    struct tls_demand demand = { .verify = TLS_VERIFY_SPIFFE };
    bool spiffe = claims_spiffe(&facts);
    for (int side = TLS_CLIENT; side <= TLS_SERVER; side++) {
        bool usage = side == TLS_CLIENT ? facts.leaf.for_client : facts.leaf.for_server;
        identity->why[side] = side == TLS_CLIENT ? "the certificate's extended key usage lacks clientAuth"
                                                 : "the certificate's extended key usage lacks serverAuth";
        identity->for_sides[side] = spiffe ? mesh__tls_verify_leaf(&demand, &facts.leaf, (enum tls_side)side, &id,
                                                                   &identity->why[side]) == MESH_OK
                                           : usage || !facts.leaf.has_extended_key_usage;
    }
    identity->id = mesh__strndup(&identity->mem, spiffe && id.text.size > 0 ? id.text.data : "", id.text.size);
    mesh__tls_facts_fini(&facts, &identity->mem);
    if (identity->id == NULL)
        return MESH_NO_MEMORY;
    if (!identity->for_sides[TLS_CLIENT] && !identity->for_sides[TLS_SERVER])
        return refuse(check, TLS_PART_CERTIFICATE, identity->why[TLS_CLIENT]);
    return MESH_OK;
}

static mesh_status check_certificate(struct check *check, int64_t now)
{
    struct tls_identity *identity = check->identity;
    bool certificate = identity->certificate.size > 0, key = identity->key.size > 0;
    if (!certificate && !key)
        return MESH_OK;
    if (!certificate || !key)
        return refuse(check, certificate ? TLS_PART_KEY : TLS_PART_CERTIFICATE,
                      certificate ? "the certificate has no private key" : "the private key has no certificate");
    check->problem->part = TLS_PART_CERTIFICATE;
    mesh_status status = mesh__tls_parse_certificates(identity->certificate, &check->chain, check->problem->words);
    if (status == MESH_OK) {
        check->problem->part = TLS_PART_KEY;
        status = mesh__tls_parse_key(identity->key, &check->key, check->problem->words);
    }
    if (status == MESH_OK && !mesh__tls_key_fits(&check->chain, &check->key))
        return refuse(check, TLS_PART_KEY, "the key does not belong to the certificate");
    if (status == MESH_OK)
        status = check_size(check);
    if (status == MESH_OK)
        status = check_strength(check);
    if (status == MESH_OK)
        status = check_dates(check, now);
    return status == MESH_OK ? check_leaf(check) : status;
}

static mesh_status run_check(struct check *check, int64_t unix_ns)
{
    const struct mem *mem = &check->identity->mem;
    size_t count = check->identity->bundle_count;
    mesh_status status = MESH_OK;
    check->anchors = mesh__zalloc(mem, (count + 1) * sizeof(*check->anchors));
    if (check->anchors == NULL)
        return MESH_NO_MEMORY;
    mbedtls_x509_crt_init(&check->chain);
    mbedtls_pk_init(&check->key);
    mbedtls_x509_crl_init(&check->crl);
    for (size_t i = 0; i < count; i++)
        mbedtls_x509_crt_init(&check->anchors[i]);
    for (size_t i = 0; i < count && status == MESH_OK; i++)
        status = check_bundle(check, i);
    if (status == MESH_OK)
        status = check_crl(check);
    if (status == MESH_OK)
        status = check_certificate(check, unix_ns / 1000000000);
    for (size_t i = 0; i < count; i++)
        mbedtls_x509_crt_free(&check->anchors[i]);
    mbedtls_x509_crl_free(&check->crl);
    mbedtls_pk_free(&check->key);
    mbedtls_x509_crt_free(&check->chain);
    mesh__mem_free(mem, check->anchors);
    return status;
}

/* ---- interface ---- */

mesh_status mesh__tls_identity_new(const struct mem *mem, const struct tls_identity_source *source, int64_t unix_ns,
                                   struct tls_identity **out, struct tls_problem *problem)
{
    memset(problem, 0, sizeof(*problem));
    *out = NULL;
    struct tls_identity *identity = mesh__zalloc(mem, sizeof(*identity));
    if (identity == NULL)
        return MESH_NO_MEMORY;
    identity->mem = *mem;
    mesh__refs_init(&identity->refs);
    struct check check = { .identity = identity, .problem = problem };
    mesh_status status = MESH_NO_MEMORY;
    if (mesh__tls_backend_ready() && copy_source(identity, source))
        status = run_check(&check, unix_ns);
    if (status != MESH_OK) {
        mesh__tls_identity_unref(identity);
        return status;
    }
    memset(problem, 0, sizeof(*problem));
    *out = identity;
    return MESH_OK;
}

void mesh__tls_identity_ref(struct tls_identity *identity)
{
    mesh__refs_ref(&identity->refs);
}

void mesh__tls_identity_unref(struct tls_identity *identity)
{
    if (identity == NULL || !mesh__refs_unref(&identity->refs))
        return;
    struct mem mem = identity->mem;
    drop(&mem, identity->certificate, false);
    drop(&mem, identity->key, true);
    drop(&mem, identity->crl, false);
    for (size_t i = 0; i < identity->bundle_count; i++) {
        drop(&mem, identity->bundles[i].name, false);
        drop(&mem, identity->bundles[i].pem, false);
    }
    mesh__mem_free(&mem, identity->bundles);
    mesh__mem_free(&mem, identity->id);
    mesh__mem_free(&mem, identity);
}

bool mesh__tls_identity_same(const struct tls_identity *a, const struct tls_identity *b)
{
    if (!mesh__view_equal(a->certificate, b->certificate) || !mesh__view_equal(a->key, b->key) ||
        !mesh__view_equal(a->crl, b->crl) || a->bundle_count != b->bundle_count)
        return false;
    for (size_t i = 0; i < a->bundle_count; i++)
        if (!mesh__view_equal(a->bundles[i].name, b->bundles[i].name) ||
            !mesh__view_equal(a->bundles[i].pem, b->bundles[i].pem))
            return false;
    return true;
}

bool mesh__tls_identity_has_certificate(const struct tls_identity *identity)
{
    return identity->certificate.size > 0;
}

const char *mesh__tls_identity_id(const struct tls_identity *identity)
{
    return identity->id ? identity->id : "";
}

int64_t mesh__tls_identity_not_after(const struct tls_identity *identity)
{
    return identity->not_after;
}

int mesh__tls_find_bundle(const struct tls_identity *identity, struct view name)
{
    for (size_t i = 0; i < identity->bundle_count; i++)
        if (mesh__view_equal(identity->bundles[i].name, name))
            return (int)i;
    return -1;
}

bool mesh__tls_identity_has_bundle(const struct tls_identity *identity, struct view name)
{
    return mesh__tls_find_bundle(identity, name) >= 0;
}
