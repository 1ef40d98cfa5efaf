/* SPDX-License-Identifier: Apache-2.0 */
/* issue_read.c - reads what was issued: who signs, and whether an authority can still be used. */
#include "issue_der.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static int parse_key(mbedtls_pk_context *key, const char *pem)
{
    const unsigned char *bytes = (const unsigned char *)pem;
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    return mbedtls_pk_parse_key(key, bytes, strlen(pem) + 1, NULL, 0, issue_random, NULL);
#else
    return mbedtls_pk_parse_key(key, bytes, strlen(pem) + 1, NULL, 0);
#endif
}

/* The key's name in a certificate; empty if it has none. */
static struct bytes key_id_of(const mbedtls_x509_crt *certificate)
{
    static const char oid[] = "\x06\x03" MBEDTLS_OID_SUBJECT_KEY_IDENTIFIER;
    const mbedtls_x509_buf *all = &certificate->v3_ext;
    unsigned char *at = all->p ? memmem(all->p, all->len, oid, sizeof(oid) - 1) : NULL;
    size_t size = 0;
    if (at == NULL)
        return (struct bytes){ NULL, 0 };
    const unsigned char *end = all->p + all->len;
    at += sizeof(oid) - 1;
    if (mbedtls_asn1_get_tag(&at, end, &size, MBEDTLS_ASN1_OCTET_STRING) != 0 ||
        mbedtls_asn1_get_tag(&at, end, &size, MBEDTLS_ASN1_OCTET_STRING) != 0)
        return (struct bytes){ NULL, 0 };
    return (struct bytes){ at, size };
}

const char *issue_read_signer(const struct issued *issuer, mbedtls_x509_crt *certificate, mbedtls_pk_context *key,
                              struct signer *out)
{
    const unsigned char *pem = (const unsigned char *)issuer->certificate;
    if (mbedtls_x509_crt_parse(certificate, pem, strlen(issuer->certificate) + 1) != 0)
        return "the issuer's certificate cannot be parsed";
    if (parse_key(key, issuer->key) != 0)
        return "the issuer's key cannot be parsed";
    *out = (struct signer){ { certificate->subject_raw.p, certificate->subject_raw.len }, key_id_of(certificate), key };
    return NULL;
}

/* Whether the names in the certificate have this URI, or have no SPIFFE id at all. */
static bool speaks_for(const mbedtls_x509_crt *certificate, const char *uri)
{
    static const char scheme[] = "spiffe://";
    const mbedtls_x509_buf *all = &certificate->v3_ext;
    struct der name;
    if (all->p == NULL || memmem(all->p, all->len, scheme, sizeof(scheme) - 1) == NULL)
        return true;
    if (!der_open(&name, DER_BASE))
        return false;
    der_string(&name, DER_CONTEXT(6), uri, strlen(uri));
    bool found = !name.failed && memmem(all->p, all->len, name.at, (size_t)(name.end - name.at)) != NULL;
    free(name.start);
    return found;
}

static bool belongs(mbedtls_x509_crt *certificate, mbedtls_pk_context *key)
{
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    return mbedtls_pk_check_pair(&certificate->pk, key, issue_random, NULL) == 0;
#else
    return mbedtls_pk_check_pair(&certificate->pk, key) == 0;
#endif
}

bool issue_check_authority(const struct issued *authority, const char *trust_domain_id, int64_t *not_after,
                           const char **problem)
{
    mbedtls_x509_crt certificate;
    mbedtls_pk_context key;
    struct signer signer;
    mbedtls_x509_crt_init(&certificate);
    mbedtls_pk_init(&key);
    *problem = issue_read_signer(authority, &certificate, &key, &signer);
    if (*problem == NULL && !belongs(&certificate, &key))
        *problem = "the key does not belong to the certificate";
    if (*problem == NULL && mbedtls_x509_crt_check_key_usage(&certificate, MBEDTLS_X509_KU_KEY_CERT_SIGN) != 0)
        *problem = "it may not sign certificates";
    if (*problem == NULL && !speaks_for(&certificate, trust_domain_id))
        *problem = "it is one of another trust domain";
    const mbedtls_x509_time *end = &certificate.valid_to;
    struct tm tm = { .tm_year = end->year - 1900,
                     .tm_mon = end->mon - 1,
                     .tm_mday = end->day,
                     .tm_hour = end->hour,
                     .tm_min = end->min,
                     .tm_sec = end->sec };
    *not_after = *problem == NULL ? (int64_t)timegm(&tm) : 0;
    mbedtls_pk_free(&key);
    mbedtls_x509_crt_free(&certificate);
    return *problem == NULL;
}
