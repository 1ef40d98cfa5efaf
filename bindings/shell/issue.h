/* SPDX-License-Identifier: Apache-2.0 */
/* issue.h - writes certificates for development and tests: an authority, and leaves and intermediates that it signs.
 *
 * The only place besides lib/tls that knows mbedTLS, for its X.509 writer. Everything is PEM in memory. What a test
 * needs to be wrong can be made wrong; the defaults make a proper X509-SVID. */
#ifndef SHELL_ISSUE_H
#define SHELL_ISSUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum issue_key { ISSUE_P256, ISSUE_P384, ISSUE_RSA_2048, ISSUE_RSA_1024 };
enum issue_hash { ISSUE_SHA256, ISSUE_SHA384, ISSUE_SHA1 };

/* Bits of a key usage extension. */
enum issue_usage { ISSUE_DIGITAL_SIGNATURE = 1, ISSUE_CERT_SIGN = 2, ISSUE_CRL_SIGN = 4, ISSUE_KEY_AGREEMENT = 8 };

/* Bits of an extended key usage extension. */
enum issue_extended { ISSUE_FOR_SERVER = 1, ISSUE_FOR_CLIENT = 2, ISSUE_FOR_EMAIL = 4 };

/* What to write. All zero but `common_name` and the times is a leaf without names. */
struct issue_request {
    const char *common_name;
    const char *const *uris; /* subject alternative names, in this order: URIs, DNS names, addresses */
    size_t uri_count;
    const char *const *dns;
    size_t dns_count;
    const char *const *ips;
    size_t ip_count;
    bool is_ca;
    int path_length;               /* of a CA; -1: no limit */
    uint32_t usage;                /* enum issue_usage, or-ed; 0: no extension */
    uint32_t extended;             /* enum issue_extended, or-ed; 0: no extension */
    int64_t not_before, not_after; /* Unix seconds */
    enum issue_key key;
    enum issue_hash hash;
    const char *name_constraint; /* a critical name constraint that permits this DNS domain only; NULL: none */
};

/* A certificate and its key, each PEM and NUL-terminated. */
struct issued {
    char *certificate, *key;
};

/* Signed by `issuer`, by itself when NULL. False with words in `problem` (static). */
bool issue_certificate(const struct issue_request *, const struct issued *issuer, struct issued *out,
                       const char **problem);

/* A certificate revocation list of `issuer` that names the certificates `revoked`; PEM. */
bool issue_crl(const struct issued *issuer, const char *const *revoked, size_t count, int64_t this_update,
               int64_t next_update, char **out, const char **problem);

/* Whether the authority can sign certificates of the trust domain with this id ("spiffe://shop"), and until when. An
 * authority that names no trust domain may sign for each. False with words in `problem` (static). */
bool issue_check_authority(const struct issued *authority, const char *trust_domain_id, int64_t *not_after,
                           const char **problem);

void issued_free(struct issued *);

/* Proper requests: an authority of a trust domain, a SVID with id `id`, from an hour ago for `seconds`. */
struct issue_request issue_authority(const char *common_name, int64_t seconds);
struct issue_request issue_svid(const char *const *id, int64_t seconds); /* `id` outlives the request */

#endif
