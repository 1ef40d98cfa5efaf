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

/* MESH_OK, with the peer's id in `id` when it is a SPIFFE id (views into the leaf); else the status that names the
 * defect, and words for it in `why` (static, never NULL then). `peer` is the side that showed the certificate.
 * TLS_VERIFY_NONE accepts everything and gives the id if there is one. */
mesh_status mesh__tls_verify_leaf(const struct tls_demand *, const struct tls_leaf *, enum tls_side peer,
                                  struct spiffe_id *id, const char **why);

/* A DNS name of a certificate against the name asked for: letter case aside, one whole left-most label may be a star
 * (RFC 6125, section 6.4.3), never across dots and never for the last two labels. */
bool mesh__tls_name_matches(struct view pattern, struct view name);

#endif
