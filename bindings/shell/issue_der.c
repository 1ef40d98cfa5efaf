/* SPDX-License-Identifier: Apache-2.0 */
/* issue_der.c - the pieces that certificates and revocation lists are made of, their signature, and PEM around them. */
#include "issue_der.h"

#include <errno.h>
#include <mbedtls/asn1write.h>
#include <mbedtls/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

/* ---- randomness and hashes ---- */

int issue_random(void *unused, unsigned char *out, size_t size)
{
    (void)unused;
    for (size_t done = 0; done < size;) {
        ssize_t got = getrandom(out + done, size - done, 0);
        if (got > 0)
            done += (size_t)got;
        else if (errno != EINTR)
            return MBEDTLS_ERR_PK_ALLOC_FAILED;
    }
    return 0;
}

static mbedtls_md_type_t md_of(enum issue_hash hash)
{
    return hash == ISSUE_SHA1 ? MBEDTLS_MD_SHA1 : hash == ISSUE_SHA384 ? MBEDTLS_MD_SHA384 : MBEDTLS_MD_SHA256;
}

size_t der_digest(mbedtls_md_type_t type, const unsigned char *bytes, size_t size,
                  unsigned char out[MBEDTLS_MD_MAX_SIZE])
{
    const mbedtls_md_info_t *md = mbedtls_md_info_from_type(type);
    return md && mbedtls_md(md, bytes, size, out) == 0 ? mbedtls_md_get_size(md) : 0;
}

/* ---- pieces of DER ---- */

bool der_open(struct der *der, size_t room)
{
    *der = (struct der){ malloc(room), NULL, NULL, false };
    der->failed = der->start == NULL;
    der->at = der->end = der->failed ? NULL : der->start + room;
    return !der->failed;
}

void der_put(struct der *der, int result)
{
    der->failed = der->failed || result < 0;
}

void der_bytes(struct der *der, const void *bytes, size_t size)
{
    if (!der->failed)
        der_put(der, mbedtls_asn1_write_raw_buffer(&der->at, der->start, bytes, size));
}

void der_wrap(struct der *der, const unsigned char *end, int tag)
{
    if (!der->failed)
        der_put(der, mbedtls_asn1_write_len(&der->at, der->start, (size_t)(end - der->at)));
    if (!der->failed)
        der_put(der, mbedtls_asn1_write_tag(&der->at, der->start, (unsigned char)tag));
}

void der_string(struct der *der, int tag, const void *bytes, size_t size)
{
    const unsigned char *end = der->at;
    der_bytes(der, bytes, size);
    der_wrap(der, end, tag);
}

void der_oid(struct der *der, const char *oid, size_t size)
{
    der_string(der, MBEDTLS_ASN1_OID, oid, size);
}

void der_integer(struct der *der, int value)
{
    if (!der->failed)
        der_put(der, mbedtls_asn1_write_int(&der->at, der->start, value));
}

void der_true(struct der *der)
{
    if (!der->failed)
        der_put(der, mbedtls_asn1_write_bool(&der->at, der->start, 1));
}

/* UTCTime until 2049, GeneralizedTime before 1950 and from 2050 (RFC 5280, section 4.1.2.5). */
void der_time(struct der *der, int64_t unix_seconds)
{
    time_t seconds = (time_t)unix_seconds;
    struct tm tm;
    char text[96];
    if (gmtime_r(&seconds, &tm) == NULL || tm.tm_year < -1900 || tm.tm_year > 9999 - 1900) {
        der->failed = true;
        return;
    }
    bool utc = tm.tm_year >= 50 && tm.tm_year < 150;
    (void)snprintf(text, sizeof(text), "%04d%02d%02d%02d%02d%02dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
                   tm.tm_hour, tm.tm_min, tm.tm_sec);
    const char *from = text + (utc ? 2 : 0);
    der_string(der, utc ? MBEDTLS_ASN1_UTC_TIME : MBEDTLS_ASN1_GENERALIZED_TIME, from, strlen(from));
}

void der_name(struct der *der, const char *common_name)
{
    const unsigned char *end = der->at;
    if (common_name && common_name[0]) {
        der_string(der, MBEDTLS_ASN1_UTF8_STRING, common_name, strlen(common_name));
        der_oid(der, OID(MBEDTLS_OID_AT_CN));
        der_wrap(der, end, DER_SEQUENCE);
        der_wrap(der, end, MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SET);
    }
    der_wrap(der, end, DER_SEQUENCE);
}

void der_algorithm(struct der *der, const mbedtls_pk_context *key, enum issue_hash hash)
{
    const unsigned char *end = der->at;
    bool rsa = mbedtls_pk_get_type(key) == MBEDTLS_PK_RSA;
    if (rsa)
        der_string(der, MBEDTLS_ASN1_NULL, "", 0);
    if (hash == ISSUE_SHA1)
        rsa ? der_oid(der, OID(MBEDTLS_OID_PKCS1_SHA1)) : der_oid(der, OID(MBEDTLS_OID_ECDSA_SHA1));
    else if (hash == ISSUE_SHA384)
        rsa ? der_oid(der, OID(MBEDTLS_OID_PKCS1_SHA384)) : der_oid(der, OID(MBEDTLS_OID_ECDSA_SHA384));
    else
        rsa ? der_oid(der, OID(MBEDTLS_OID_PKCS1_SHA256)) : der_oid(der, OID(MBEDTLS_OID_ECDSA_SHA256));
    der_wrap(der, end, DER_SEQUENCE);
}

static int sign_digest(mbedtls_pk_context *key, mbedtls_md_type_t md, const unsigned char *hash, size_t size,
                       unsigned char out[MBEDTLS_PK_SIGNATURE_MAX_SIZE], size_t *out_size)
{
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    return mbedtls_pk_sign(key, md, hash, size, out, MBEDTLS_PK_SIGNATURE_MAX_SIZE, out_size, issue_random, NULL);
#else
    return mbedtls_pk_sign(key, md, hash, size, out, out_size, issue_random, NULL);
#endif
}

void der_signed(struct der *der, mbedtls_pk_context *key, enum issue_hash hash)
{
    unsigned char digested[MBEDTLS_MD_MAX_SIZE], signature[1 + MBEDTLS_PK_SIGNATURE_MAX_SIZE] = { 0 };
    if (der->failed)
        return;
    size_t content = (size_t)(der->end - der->at), size = 0;
    size_t digested_size = der_digest(md_of(hash), der->at, content, digested);
    if (digested_size == 0 || sign_digest(key, md_of(hash), digested, digested_size, signature + 1, &size) != 0) {
        der->failed = true;
        return;
    }
    struct der whole;
    if (der_open(&whole, content + DER_BASE)) {
        der_string(&whole, MBEDTLS_ASN1_BIT_STRING, signature, size + 1); /* its first byte: no bit is unused */
        der_algorithm(&whole, key, hash);
        der_bytes(&whole, der->at, content);
        der_wrap(&whole, whole.end, DER_SEQUENCE);
    }
    free(der->start);
    *der = whole;
}

/* ---- wholes ---- */

void der_wrap_extension(struct der *der, const unsigned char *end, const char *oid, size_t size, bool critical)
{
    der_wrap(der, end, MBEDTLS_ASN1_OCTET_STRING);
    if (critical)
        der_true(der);
    der_oid(der, oid, size);
    der_wrap(der, end, DER_SEQUENCE);
}

char *der_pem(const struct der *der, const char *header, const char *footer)
{
    size_t size = (size_t)(der->end - der->at), used = 0, room = size / 3 * 4 + size / 24 + 256;
    char *pem = der->failed ? NULL : malloc(room);
    if (pem && mbedtls_pem_write_buffer(header, footer, der->at, size, (unsigned char *)pem, room, &used) == 0)
        return pem;
    free(pem);
    return NULL;
}
