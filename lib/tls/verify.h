/* SPDX-License-Identifier: Apache-2.0 */
/* verify.h - whether a peer's certificate, whose chain has been checked, is one that this side accepts. Pure.
 *
 * The backend reads the facts out of the leaf certificate; the rules are here: X509-SVID, the expected ids, and names.
 * A common name is never a name. */
#ifndef MESH__TLS_VERIFY_H
#define MESH__TLS_VERIFY_H

#include "base/view.h"
#include "wire/spiffe.h"

#include <mesh/status.h>
#include <stddef.h>
#include <stdint.h>

enum tls_verify {
    TLS_VERIFY_SPIFFE, /* by the URI in the certificate, against patterns */
    TLS_VERIFY_NAME,   /* by DNS name or IP address, against the server's name */
    TLS_VERIFY_NONE    /* not at all: asked for by name, and logged at every connect */
};

/* What a side demands of the other's certificate. */
struct tls_demand {
    enum tls_verify verify;
    const struct spiffe_pattern *peers; /* any of them; none: every id in a trust domain that has a bundle */
    size_t peer_count;
    const char *name; /* TLS_VERIFY_NAME: DNS name or IP address; never NULL then */
};

enum tls_san_kind { TLS_SAN_URI, TLS_SAN_DNS, TLS_SAN_IP };

struct tls_san {
    enum tls_san_kind kind;
    struct view value; /* IP: 4 or 16 bytes as in the certificate */
};

/* Of the leaf. `sans` are those of the three kinds, in order; `uri_count` counts all URIs, also beyond `san_count`. */
struct tls_leaf {
    const struct tls_san *sans;
    size_t san_count;
    uint32_t uri_count;
    bool is_ca;         /* basicConstraints says CA */
    bool has_key_usage; /* the extension is there; the next three are its bits */
    bool digital_signature, cert_sign, crl_sign;
    bool has_extended_key_usage;
    bool for_server, for_client; /* its bits, or any */
};

enum tls_side { TLS_CLIENT, TLS_SERVER };

/* MESH_OK; else the status that names the defect, and words for it in `why` (static; NULL with MESH_OK). `peer` is the
 * side that showed the certificate.
 *
 * TLS_VERIFY_SPIFFE: the leaf is an X509-SVID, whole: one URI, which is a workload's id; no authority; a key usage with
 * digitalSignature, without keyCertSign and cRLSign; an extended key usage, if any, for the peer's side
 * (TLS_BAD_CERTIFICATE). Its id is one of `peers`: else TLS_WRONG_TRUST_DOMAIN when none of them is in its trust
 * domain, TLS_WRONG_ID when one is. TLS_VERIFY_NAME: the usages, if any, allow what the peer does with its key
 * (TLS_BAD_CERTIFICATE), and a DNS name or an IP address is `name` (TLS_WRONG_NAME). TLS_VERIFY_NONE: no rule.
 *
 * `id` is the peer's, in views into the leaf, whenever its only URI is a workload's SPIFFE id (with TLS_VERIFY_SPIFFE:
 * and the leaf breaks no rule), so that a refusal can tell it; else empty. Only MESH_OK under TLS_VERIFY_SPIFFE makes
 * it an id to decide by: under the others no bundle of its trust domain stands behind it. */
mesh_status mesh__tls_verify_leaf(const struct tls_demand *, const struct tls_leaf *, enum tls_side peer,
                                  struct spiffe_id *id, const char **why);

/* A DNS name of a certificate against the name asked for: letter case aside, one whole left-most label may be a star
 * (RFC 6125, section 6.4.3), never across dots and never for the last two labels. A dot at the end of `name` is not
 * looked at. An address is not a DNS name. */
bool mesh__tls_name_matches(struct view pattern, struct view name);

#endif
