/* SPDX-License-Identifier: Apache-2.0 */
/* verify.c - the rules for a peer's leaf certificate: X509-SVID (sections 2, 3.1, 4 and 5.2), the expected ids, names.
 */
#include "tls/verify.h"

#include <arpa/inet.h>

#define NAME_MAX_SIZE 253
#define LABEL_MAX_SIZE 63

/* ---- names ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_label_byte(char c)
{
    char lower = mesh__ascii_lower(c);
    return (lower >= 'a' && lower <= 'z') || is_digit(c) || c == '-' || c == '_';
}

/* Labels of letters, digits, '-' and '_' between dots. A name whose last label is a number is an address, or one gone
 * wrong, and no DNS name. */
static bool is_dns_name(struct view name)
{
    size_t label = 0;
    bool numeric = true;
    if (name.size > NAME_MAX_SIZE)
        return false;
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        if (c == '.') {
            if (label == 0)
                return false;
            label = 0;
            numeric = true;
            continue;
        }
        if (!is_label_byte(c) || ++label > LABEL_MAX_SIZE)
            return false;
        numeric = numeric && is_digit(c);
    }
    return label > 0 && !numeric;
}

/* From the first dot to the end, with the dot; empty without one. */
static struct view after_label(struct view name)
{
    const char *dot = memchr(name.data, '.', name.size);
    size_t label = dot ? (size_t)(dot - name.data) : name.size;
    return mesh__view(name.data + label, name.size - label);
}

bool mesh__tls_name_matches(struct view pattern, struct view name)
{
    if (name.size > 0 && name.data[name.size - 1] == '.')
        name.size--;
    if (!is_dns_name(name))
        return false;
    if (pattern.size < 2 || memcmp(pattern.data, "*.", 2) != 0)
        return mesh__view_equal_nocase(pattern, name);
    struct view rest = mesh__view(pattern.data + 1, pattern.size - 1);
    return memchr(rest.data + 1, '.', rest.size - 1) != NULL && mesh__view_equal_nocase(rest, after_label(name));
}

/* The bytes of an address, as a certificate has them; 0 when `name` is no address. */
static size_t address_bytes(const char *name, unsigned char bytes[16])
{
    if (inet_pton(AF_INET, name, bytes) == 1)
        return 4;
    return inet_pton(AF_INET6, name, bytes) == 1 ? 16 : 0;
}

static bool has_name(const struct tls_leaf *leaf, const char *name)
{
    unsigned char bytes[16];
    size_t size = address_bytes(name, bytes);
    struct view address = mesh__view((const char *)bytes, size);
    for (size_t i = 0; i < leaf->san_count; i++) {
        const struct tls_san *san = &leaf->sans[i];
        if (size > 0 ? san->kind == TLS_SAN_IP && mesh__view_equal(san->value, address)
                     : san->kind == TLS_SAN_DNS && mesh__tls_name_matches(san->value, mesh__view_of(name)))
            return true;
    }
    return false;
}

/* ---- rules ---- */

/* What holds for every leaf, also beyond SPIFFE: its key signs handshakes, and it is for its side. NULL: all is well.
 */
static const char *check_usage(const struct tls_leaf *leaf, enum tls_side peer)
{
    if (leaf->has_key_usage && !leaf->digital_signature)
        return "the certificate's key usage lacks digitalSignature";
    if (leaf->has_extended_key_usage && peer == TLS_SERVER && !leaf->for_server)
        return "the certificate's extended key usage lacks serverAuth";
    if (leaf->has_extended_key_usage && peer == TLS_CLIENT && !leaf->for_client)
        return "the certificate's extended key usage lacks clientAuth";
    return NULL;
}

/* The id in the leaf's only URI, which is a workload's. NULL when it is there; else why not. */
static const char *find_id(const struct tls_leaf *leaf, struct spiffe_id *id)
{
    const struct tls_san *uri = NULL;
    uint32_t count = 0;
    for (size_t i = 0; i < leaf->san_count; i++) {
        if (leaf->sans[i].kind == TLS_SAN_URI) {
            uri = &leaf->sans[i];
            count++;
        }
    }
    if (leaf->uri_count > 1 || count > 1)
        return "the certificate has several URIs: an X509-SVID has exactly one";
    if (leaf->uri_count == 0)
        return "the certificate has no URI: an X509-SVID has its SPIFFE id there";
    if (uri == NULL)
        return "the certificate has too many names";
    struct spiffe_id parsed;
    const char *problem = mesh__spiffe_parse(uri->value, &parsed);
    if (!problem && parsed.path.size == 0)
        problem = "the certificate's SPIFFE id has no path: it is a trust domain's, not a workload's";
    if (!problem)
        *id = parsed;
    return problem;
}

static const char *check_svid(const struct tls_leaf *leaf)
{
    if (leaf->is_ca)
        return "the certificate is a certificate authority's: an X509-SVID leaf is not";
    if (!leaf->has_key_usage)
        return "the certificate has no key usage: an X509-SVID has one";
    if (leaf->cert_sign)
        return "the certificate's key usage has keyCertSign: an X509-SVID leaf does not";
    if (leaf->crl_sign)
        return "the certificate's key usage has cRLSign: an X509-SVID leaf does not";
    return NULL;
}

static mesh_status check_expected(const struct tls_demand *demand, const struct spiffe_id *id, const char **why)
{
    bool domain = false;
    for (size_t i = 0; i < demand->peer_count; i++) {
        if (mesh__spiffe_matches(&demand->peers[i], id))
            return MESH_OK;
        domain = domain || mesh__view_equal(demand->peers[i].id.trust_domain, id->trust_domain);
    }
    if (demand->peer_count == 0)
        return MESH_OK;
    *why = domain ? "the certificate's SPIFFE id is none of the expected ones"
                  : "the certificate's SPIFFE id is in a trust domain in which no peer is expected";
    return domain ? MESH_TLS_WRONG_ID : MESH_TLS_WRONG_TRUST_DOMAIN;
}

static mesh_status verify_spiffe(const struct tls_demand *demand, const struct tls_leaf *leaf, enum tls_side peer,
                                 struct spiffe_id *id, const char **why)
{
    struct spiffe_id found;
    *why = find_id(leaf, &found);
    if (*why == NULL)
        *why = check_svid(leaf);
    if (*why == NULL)
        *why = check_usage(leaf, peer);
    if (*why != NULL)
        return MESH_TLS_BAD_CERTIFICATE;
    *id = found;
    return check_expected(demand, id, why);
}

static mesh_status verify_name(const struct tls_demand *demand, const struct tls_leaf *leaf, enum tls_side peer,
                               struct spiffe_id *id, const char **why)
{
    *why = check_usage(leaf, peer);
    if (*why != NULL)
        return MESH_TLS_BAD_CERTIFICATE;
    (void)find_id(leaf, id);
    if (has_name(leaf, demand->name))
        return MESH_OK;
    *why = "none of the certificate's DNS names and IP addresses is the expected name";
    return MESH_TLS_WRONG_NAME;
}

mesh_status mesh__tls_verify_leaf(const struct tls_demand *demand, const struct tls_leaf *leaf, enum tls_side peer,
                                  struct spiffe_id *id, const char **why)
{
    memset(id, 0, sizeof(*id));
    *why = NULL;
    switch (demand->verify) {
    case TLS_VERIFY_SPIFFE:
        return verify_spiffe(demand, leaf, peer, id, why);
    case TLS_VERIFY_NAME:
        return verify_name(demand, leaf, peer, id, why);
    case TLS_VERIFY_NONE:
        (void)find_id(leaf, id);
        return MESH_OK;
    }
    *why = "no way of verification was chosen";
    return MESH_TLS_BAD_CERTIFICATE;
}
