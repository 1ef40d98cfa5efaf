/* SPDX-License-Identifier: Apache-2.0 */
/* issue_der.h - inside of the issuer: reads who signs, and writes DER from its end, so that what comes last is put
 * first. */
#ifndef SHELL_ISSUE_DER_H
#define SHELL_ISSUE_DER_H

#include "issue.h"

#include <mbedtls/asn1.h>
#include <mbedtls/md.h>
#include <mbedtls/oid.h>
#include <mbedtls/pk.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>

#define DER_SEQUENCE (MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE)
#define DER_CONTEXT(n) (MBEDTLS_ASN1_CONTEXT_SPECIFIC | (n))
#define DER_CONTEXT_OF(n) (MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_CONTEXT_SPECIFIC | (n))
#define OID(name) name, sizeof(name) - 1

#define DER_BASE 8192 /* more than all that does not grow with the request */

/* What is written: from `at` to `end`. Once something did not fit or was refused, nothing counts. */
struct der {
    unsigned char *start, *end, *at;
    bool failed;
};

/* Memory for `room` bytes, given back by free(start). False, and failed, when there is none. */
bool der_open(struct der *der, size_t room);

/* Takes what a writer of mbedTLS gave: a negative number is a failure. */
void der_put(struct der *der, int result);

void der_bytes(struct der *der, const void *bytes, size_t size);
void der_string(struct der *der, int tag, const void *bytes, size_t size);
void der_oid(struct der *der, const char *oid, size_t size);
void der_integer(struct der *der, int value);
void der_true(struct der *der);
void der_time(struct der *der, int64_t unix_seconds);

/* A name that has a common name only, or nothing. */
void der_name(struct der *der, const char *common_name);

/* Puts length and tag before what was written since `end`. */
void der_wrap(struct der *der, const unsigned char *end, int tag);

/* Makes an extension of what was written since `end`. */
void der_wrap_extension(struct der *der, const unsigned char *end, const char *oid, size_t size, bool critical);

/* The algorithm by which `key` signs. */
void der_algorithm(struct der *der, const mbedtls_pk_context *key, enum issue_hash hash);

/* Makes of what was written so far, which is to be signed, the whole: itself, the algorithm, the signature. */
void der_signed(struct der *der, mbedtls_pk_context *key, enum issue_hash hash);

/* All of it between header and footer, from malloc(); NULL when it failed or memory is out. */
char *der_pem(const struct der *der, const char *header, const char *footer);

/* The hash's size; 0 when it cannot be had. */
size_t der_digest(mbedtls_md_type_t type, const unsigned char *bytes, size_t size,
                  unsigned char out[MBEDTLS_MD_MAX_SIZE]);

struct bytes {
    const unsigned char *at;
    size_t size;
};

/* Who signs: its name and key, and what to call that key. */
struct signer {
    struct bytes name; /* DER */
    struct bytes key_id;
    mbedtls_pk_context *key;
};

/* Reads certificate and key of an issuer; the signer lies in them. NULL, or why they cannot sign. */
const char *issue_read_signer(const struct issued *issuer, mbedtls_x509_crt *certificate, mbedtls_pk_context *key,
                              struct signer *out);

/* What mbedTLS calls for randomness: the kernel's. */
int issue_random(void *unused, unsigned char *out, size_t size);

#endif
