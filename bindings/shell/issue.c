/* SPDX-License-Identifier: Apache-2.0 */
/* issue.c - certificates and revocation lists as DER (RFC 5280), written from their end to their beginning.
 *
 * They are put together from mbedTLS's ASN.1 writer, not from its writer of certificates: that one differs between
 * versions, takes the issuer's name as text, and gives ECDSA signatures parameters, which RFC 5758 forbids. */
#include "issue.h"

#include <arpa/inet.h>
#include <errno.h>
#include <mbedtls/asn1write.h>
#include <mbedtls/ecp.h>
#include <mbedtls/md.h>
#include <mbedtls/oid.h>
#include <mbedtls/pem.h>
#include <mbedtls/pk.h>
#include <mbedtls/rsa.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define SEQUENCE (MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE)
#define SET (MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SET)
#define CONTEXT(n) (MBEDTLS_ASN1_CONTEXT_SPECIFIC | (n))
#define CONTEXT_OF(n) (MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_CONTEXT_SPECIFIC | (n))
#define OID(name) name, sizeof(name) - 1

#define DER_BASE 8192   /* more than all that does not grow with the request */
#define DER_PER_ITEM 64 /* around each name or revoked certificate */
#define KEY_PEM_MAX 4096
#define SERIAL_SIZE 16
#define KEY_ID_SIZE 20
#define COMMON_NAME_MAX 64 /* RFC 5280, appendix A.1: ub-common-name */
#define HOUR 3600

/* What is written: from `at` to `end`. Once something did not fit or was refused, nothing counts. */
struct der {
    unsigned char *start, *end, *at;
    bool failed;
};

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

/* ---- randomness and hashes ---- */

static int random_bytes(void *unused, unsigned char *out, size_t size)
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

static size_t digest(mbedtls_md_type_t type, const unsigned char *bytes, size_t size,
                     unsigned char out[MBEDTLS_MD_MAX_SIZE])
{
    const mbedtls_md_info_t *md = mbedtls_md_info_from_type(type);
    return md && mbedtls_md(md, bytes, size, out) == 0 ? mbedtls_md_get_size(md) : 0;
}

/* ---- pieces of DER ---- */

static bool der_open(struct der *der, size_t room)
{
    *der = (struct der){ malloc(room), NULL, NULL, false };
    der->failed = der->start == NULL;
    der->at = der->end = der->failed ? NULL : der->start + room;
    return !der->failed;
}

/* Takes what a writer of mbedTLS gave. */
static void put(struct der *der, int result)
{
    der->failed = der->failed || result < 0;
}

static void put_bytes(struct der *der, const void *bytes, size_t size)
{
    if (!der->failed)
        put(der, mbedtls_asn1_write_raw_buffer(&der->at, der->start, bytes, size));
}

/* Puts length and tag before what was written since `end`. */
static void wrap(struct der *der, const unsigned char *end, int tag)
{
    if (!der->failed)
        put(der, mbedtls_asn1_write_len(&der->at, der->start, (size_t)(end - der->at)));
    if (!der->failed)
        put(der, mbedtls_asn1_write_tag(&der->at, der->start, (unsigned char)tag));
}

static void put_string(struct der *der, int tag, const void *bytes, size_t size)
{
    const unsigned char *end = der->at;
    put_bytes(der, bytes, size);
    wrap(der, end, tag);
}

static void put_oid(struct der *der, const char *oid, size_t size)
{
    put_string(der, MBEDTLS_ASN1_OID, oid, size);
}

static void put_integer(struct der *der, int value)
{
    if (!der->failed)
        put(der, mbedtls_asn1_write_int(&der->at, der->start, value));
}

/* UTCTime until 2049, GeneralizedTime before 1950 and from 2050 (RFC 5280, section 4.1.2.5). */
static void put_time(struct der *der, int64_t unix_seconds)
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
    put_string(der, utc ? MBEDTLS_ASN1_UTC_TIME : MBEDTLS_ASN1_GENERALIZED_TIME, from, strlen(from));
}

/* A name that has a common name only, or nothing. */
static void put_name(struct der *der, const char *common_name)
{
    const unsigned char *end = der->at;
    if (common_name && common_name[0]) {
        put_string(der, MBEDTLS_ASN1_UTF8_STRING, common_name, strlen(common_name));
        put_oid(der, OID(MBEDTLS_OID_AT_CN));
        wrap(der, end, SEQUENCE);
        wrap(der, end, SET);
    }
    wrap(der, end, SEQUENCE);
}

static void put_algorithm(struct der *der, const mbedtls_pk_context *key, enum issue_hash hash)
{
    const unsigned char *end = der->at;
    bool rsa = mbedtls_pk_get_type(key) == MBEDTLS_PK_RSA;
    if (rsa)
        put_string(der, MBEDTLS_ASN1_NULL, "", 0);
    if (hash == ISSUE_SHA1)
        rsa ? put_oid(der, OID(MBEDTLS_OID_PKCS1_SHA1)) : put_oid(der, OID(MBEDTLS_OID_ECDSA_SHA1));
    else if (hash == ISSUE_SHA384)
        rsa ? put_oid(der, OID(MBEDTLS_OID_PKCS1_SHA384)) : put_oid(der, OID(MBEDTLS_OID_ECDSA_SHA384));
    else
        rsa ? put_oid(der, OID(MBEDTLS_OID_PKCS1_SHA256)) : put_oid(der, OID(MBEDTLS_OID_ECDSA_SHA256));
    wrap(der, end, SEQUENCE);
}

static int sign_digest(mbedtls_pk_context *key, mbedtls_md_type_t md, const unsigned char *hash, size_t size,
                       unsigned char out[MBEDTLS_PK_SIGNATURE_MAX_SIZE], size_t *out_size)
{
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    return mbedtls_pk_sign(key, md, hash, size, out, MBEDTLS_PK_SIGNATURE_MAX_SIZE, out_size, random_bytes, NULL);
#else
    return mbedtls_pk_sign(key, md, hash, size, out, out_size, random_bytes, NULL);
#endif
}

/* Makes of what was written so far, which is to be signed, the whole: itself, the algorithm, the signature. */
static void put_signed(struct der *der, mbedtls_pk_context *key, enum issue_hash hash)
{
    unsigned char digested[MBEDTLS_MD_MAX_SIZE], signature[1 + MBEDTLS_PK_SIGNATURE_MAX_SIZE] = { 0 };
    if (der->failed)
        return;
    size_t content = (size_t)(der->end - der->at), size = 0;
    size_t digested_size = digest(md_of(hash), der->at, content, digested);
    if (digested_size == 0 || sign_digest(key, md_of(hash), digested, digested_size, signature + 1, &size) != 0) {
        der->failed = true;
        return;
    }
    struct der whole;
    if (der_open(&whole, content + DER_BASE)) {
        put_string(&whole, MBEDTLS_ASN1_BIT_STRING, signature, size + 1); /* its first byte: no bit is unused */
        put_algorithm(&whole, key, hash);
        put_bytes(&whole, der->at, content);
        wrap(&whole, whole.end, SEQUENCE);
    }
    free(der->start);
    *der = whole;
}

/* ---- extensions ---- */

/* Makes an extension of what was written since `end`. */
static void wrap_extension(struct der *der, const unsigned char *end, const char *oid, size_t size, bool critical)
{
    wrap(der, end, MBEDTLS_ASN1_OCTET_STRING);
    if (critical && !der->failed)
        put(der, mbedtls_asn1_write_bool(&der->at, der->start, 1));
    put_oid(der, oid, size);
    wrap(der, end, SEQUENCE);
}

static void put_subject_key_id(struct der *der, struct bytes id)
{
    const unsigned char *end = der->at;
    put_string(der, MBEDTLS_ASN1_OCTET_STRING, id.at, id.size);
    wrap_extension(der, end, OID(MBEDTLS_OID_SUBJECT_KEY_IDENTIFIER), false);
}

static void put_authority_key_id(struct der *der, struct bytes id)
{
    const unsigned char *end = der->at;
    if (id.size == 0)
        return;
    put_string(der, CONTEXT(0), id.at, id.size);
    wrap(der, end, SEQUENCE);
    wrap_extension(der, end, OID(MBEDTLS_OID_AUTHORITY_KEY_IDENTIFIER), false);
}

static void put_basic_constraints(struct der *der, const struct issue_request *request)
{
    const unsigned char *end = der->at;
    if (request->is_ca && request->path_length >= 0)
        put_integer(der, request->path_length);
    if (request->is_ca && !der->failed)
        put(der, mbedtls_asn1_write_bool(&der->at, der->start, 1));
    wrap(der, end, SEQUENCE);
    wrap_extension(der, end, OID(MBEDTLS_OID_BASIC_CONSTRAINTS), true);
}

static void put_usage(struct der *der, uint32_t usage)
{
    const unsigned char *end = der->at;
    unsigned bits = (usage & ISSUE_DIGITAL_SIGNATURE ? 0x80U : 0) | (usage & ISSUE_KEY_AGREEMENT ? 0x08U : 0) |
                    (usage & ISSUE_CERT_SIGN ? 0x04U : 0) | (usage & ISSUE_CRL_SIGN ? 0x02U : 0);
    unsigned char byte = (unsigned char)bits;
    if (usage == 0 || der->failed)
        return;
    put(der, mbedtls_asn1_write_named_bitstring(&der->at, der->start, &byte, 8));
    wrap_extension(der, end, OID(MBEDTLS_OID_KEY_USAGE), true);
}

static void put_extended(struct der *der, uint32_t extended)
{
    const unsigned char *end = der->at;
    if (extended == 0)
        return;
    if (extended & ISSUE_FOR_EMAIL)
        put_oid(der, OID(MBEDTLS_OID_EMAIL_PROTECTION));
    if (extended & ISSUE_FOR_CLIENT)
        put_oid(der, OID(MBEDTLS_OID_CLIENT_AUTH));
    if (extended & ISSUE_FOR_SERVER)
        put_oid(der, OID(MBEDTLS_OID_SERVER_AUTH));
    wrap(der, end, SEQUENCE);
    wrap_extension(der, end, OID(MBEDTLS_OID_EXTENDED_KEY_USAGE), false);
}

static void put_address(struct der *der, const char *text)
{
    unsigned char address[16];
    if (inet_pton(AF_INET, text, address) == 1)
        put_string(der, CONTEXT(7), address, 4);
    else if (inet_pton(AF_INET6, text, address) == 1)
        put_string(der, CONTEXT(7), address, 16);
    else
        der->failed = true;
}

/* Critical where there is no other name (RFC 5280, section 4.2.1.6). */
static void put_names(struct der *der, const struct issue_request *request)
{
    const unsigned char *end = der->at;
    bool alone = request->common_name == NULL || request->common_name[0] == '\0';
    if (request->uri_count + request->dns_count + request->ip_count == 0)
        return;
    for (size_t i = request->ip_count; i-- > 0;)
        put_address(der, request->ips[i]);
    for (size_t i = request->dns_count; i-- > 0;)
        put_string(der, CONTEXT(2), request->dns[i], strlen(request->dns[i]));
    for (size_t i = request->uri_count; i-- > 0;)
        put_string(der, CONTEXT(6), request->uris[i], strlen(request->uris[i]));
    wrap(der, end, SEQUENCE);
    wrap_extension(der, end, OID(MBEDTLS_OID_SUBJECT_ALT_NAME), alone);
}

static void put_name_constraint(struct der *der, const char *domain)
{
    const unsigned char *end = der->at;
    if (domain == NULL)
        return;
    put_string(der, CONTEXT(2), domain, strlen(domain));
    wrap(der, end, SEQUENCE);
    wrap(der, end, CONTEXT_OF(0));
    wrap(der, end, SEQUENCE);
    wrap_extension(der, end, OID(MBEDTLS_OID_NAME_CONSTRAINTS), true);
}

/* ---- keys ---- */

static bool make_key(mbedtls_pk_context *key, enum issue_key kind)
{
    bool rsa = kind == ISSUE_RSA_2048 || kind == ISSUE_RSA_1024;
    if (mbedtls_pk_setup(key, mbedtls_pk_info_from_type(rsa ? MBEDTLS_PK_RSA : MBEDTLS_PK_ECKEY)) != 0)
        return false;
    if (rsa)
        return mbedtls_rsa_gen_key(mbedtls_pk_rsa(*key), random_bytes, NULL, kind == ISSUE_RSA_1024 ? 1024 : 2048,
                                   65537) == 0;
    mbedtls_ecp_group_id curve = kind == ISSUE_P384 ? MBEDTLS_ECP_DP_SECP384R1 : MBEDTLS_ECP_DP_SECP256R1;
    return mbedtls_ecp_gen_key(curve, mbedtls_pk_ec(*key), random_bytes, NULL) == 0;
}

static int parse_key(mbedtls_pk_context *key, const char *pem)
{
    const unsigned char *bytes = (const unsigned char *)pem;
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    return mbedtls_pk_parse_key(key, bytes, strlen(pem) + 1, NULL, 0, random_bytes, NULL);
#else
    return mbedtls_pk_parse_key(key, bytes, strlen(pem) + 1, NULL, 0);
#endif
}

static void put_public_key(struct der *der, mbedtls_pk_context *key)
{
    unsigned char bytes[KEY_PEM_MAX];
    int size = mbedtls_pk_write_pubkey_der(key, bytes, sizeof(bytes)); /* at the end of the room */
    put(der, size);
    if (size > 0)
        put_bytes(der, bytes + sizeof(bytes) - size, (size_t)size);
}

/* What a key is called: the first 160 bits of a hash of it (RFC 7093, section 2). */
static struct bytes name_key(mbedtls_pk_context *key, unsigned char out[MBEDTLS_MD_MAX_SIZE])
{
    struct der der;
    size_t size = 0;
    if (der_open(&der, KEY_PEM_MAX)) {
        put_public_key(&der, key);
        size = der.failed ? 0 : digest(MBEDTLS_MD_SHA256, der.at, (size_t)(der.end - der.at), out);
    }
    free(der.start);
    return (struct bytes){ out, size ? KEY_ID_SIZE : 0 };
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

/* ---- certificates ---- */

static size_t room_for(const char *const *texts, size_t count)
{
    size_t room = DER_PER_ITEM * count;
    for (size_t i = 0; i < count; i++)
        room += strlen(texts[i]);
    return room;
}

static char *pem_of(const struct der *der, const char *header, const char *footer)
{
    size_t size = (size_t)(der->end - der->at), used = 0, room = size / 3 * 4 + size / 24 + 256;
    char *pem = der->failed ? NULL : malloc(room);
    if (pem && mbedtls_pem_write_buffer(header, footer, der->at, size, (unsigned char *)pem, room, &used) == 0)
        return pem;
    free(pem);
    return NULL;
}

static void put_serial(struct der *der)
{
    unsigned char serial[SERIAL_SIZE];
    put(der, random_bytes(NULL, serial, sizeof(serial)));
    serial[0] = (unsigned char)((serial[0] & 0x7f) | 0x40); /* positive, and of this length */
    put_string(der, MBEDTLS_ASN1_INTEGER, serial, sizeof(serial));
}

static void put_extensions(struct der *der, const struct issue_request *request, struct bytes key_id,
                           struct bytes issuer_key_id)
{
    const unsigned char *end = der->at;
    put_name_constraint(der, request->name_constraint);
    put_names(der, request);
    put_extended(der, request->extended);
    put_usage(der, request->usage);
    put_basic_constraints(der, request);
    put_authority_key_id(der, issuer_key_id);
    put_subject_key_id(der, key_id);
    wrap(der, end, SEQUENCE);
    wrap(der, end, CONTEXT_OF(3));
}

static void put_certificate(struct der *der, const struct issue_request *request, mbedtls_pk_context *key,
                            const struct signer *signer)
{
    unsigned char id[MBEDTLS_MD_MAX_SIZE];
    put_extensions(der, request, name_key(key, id), signer->key_id);
    put_public_key(der, key);
    put_name(der, request->common_name);
    const unsigned char *end = der->at;
    put_time(der, request->not_after);
    put_time(der, request->not_before);
    wrap(der, end, SEQUENCE);
    put_bytes(der, signer->name.at, signer->name.size);
    put_algorithm(der, signer->key, request->hash);
    put_serial(der);
    end = der->at;
    put_integer(der, 2); /* version 3 */
    wrap(der, end, CONTEXT_OF(0));
    wrap(der, der->end, SEQUENCE);
    put_signed(der, signer->key, request->hash);
}

/* Writes both, with the key that was made. */
static bool write_issued(const struct issue_request *request, mbedtls_pk_context *key, const struct signer *signer,
                         struct issued *out)
{
    struct der der;
    size_t room = DER_BASE + room_for(request->uris, request->uri_count) + room_for(request->dns, request->dns_count) +
                  room_for(request->ips, request->ip_count);
    if (der_open(&der, room))
        put_certificate(&der, request, key, signer);
    out->certificate = pem_of(&der, "-----BEGIN CERTIFICATE-----\n", "-----END CERTIFICATE-----\n");
    free(der.start);
    out->key = calloc(1, KEY_PEM_MAX);
    return out->certificate && out->key && mbedtls_pk_write_key_pem(key, (unsigned char *)out->key, KEY_PEM_MAX) == 0;
}

static bool issue_by_itself(const struct issue_request *request, mbedtls_pk_context *key, struct issued *out)
{
    unsigned char id[MBEDTLS_MD_MAX_SIZE];
    struct der name;
    if (!der_open(&name, DER_BASE))
        return false;
    put_name(&name, request->common_name);
    struct signer signer = { { name.at, (size_t)(name.end - name.at) }, name_key(key, id), key };
    bool done = !name.failed && write_issued(request, key, &signer, out);
    free(name.start);
    return done;
}

/* Certificate and key of an issuer; the signer lies in them. NULL, or why they cannot sign. */
static const char *read_signer(const struct issued *issuer, mbedtls_x509_crt *certificate, mbedtls_pk_context *key,
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

bool issue_certificate(const struct issue_request *request, const struct issued *issuer, struct issued *out,
                       const char **problem)
{
    mbedtls_x509_crt authority;
    mbedtls_pk_context key, authority_key;
    struct signer signer = { 0 };
    mbedtls_x509_crt_init(&authority);
    mbedtls_pk_init(&key);
    mbedtls_pk_init(&authority_key);
    *out = (struct issued){ NULL, NULL };
    *problem = issuer ? read_signer(issuer, &authority, &authority_key, &signer) : NULL;
    if (*problem == NULL && !make_key(&key, request->key))
        *problem = "no key could be made";
    if (*problem == NULL && !(issuer ? write_issued(request, &key, &signer, out) : issue_by_itself(request, &key, out)))
        *problem = "the certificate could not be written: a name or a time cannot be expressed, or memory ran out";
    if (*problem)
        issued_free(out);
    mbedtls_pk_free(&authority_key);
    mbedtls_pk_free(&key);
    mbedtls_x509_crt_free(&authority);
    return *problem == NULL;
}

void issued_free(struct issued *issued)
{
    if (issued->key)
        explicit_bzero(issued->key, strlen(issued->key));
    free(issued->key);
    free(issued->certificate);
    *issued = (struct issued){ NULL, NULL };
}

struct issue_request issue_authority(const char *common_name, int64_t seconds)
{
    int64_t now = (int64_t)time(NULL);
    return (struct issue_request){ .common_name = common_name,
                                   .is_ca = true,
                                   .path_length = -1,
                                   .usage = ISSUE_CERT_SIGN | ISSUE_CRL_SIGN,
                                   .not_before = now - HOUR,
                                   .not_after = now + seconds };
}

struct issue_request issue_svid(const char *const *id, int64_t seconds)
{
    int64_t now = (int64_t)time(NULL);
    const char *last = strrchr(*id, '/');
    return (struct issue_request){ .common_name = last && strlen(last + 1) <= COMMON_NAME_MAX ? last + 1 : NULL,
                                   .uris = id,
                                   .uri_count = 1,
                                   .usage = ISSUE_DIGITAL_SIGNATURE,
                                   .extended = ISSUE_FOR_SERVER | ISSUE_FOR_CLIENT,
                                   .not_before = now - HOUR,
                                   .not_after = now + seconds };
}

/* ---- revocation lists ---- */

/* NULL, or why the certificate cannot be revoked. */
static const char *put_revoked(struct der *der, const char *pem, int64_t when)
{
    mbedtls_x509_crt certificate;
    mbedtls_x509_crt_init(&certificate);
    const unsigned char *end = der->at;
    bool parsed = mbedtls_x509_crt_parse(&certificate, (const unsigned char *)pem, strlen(pem) + 1) == 0;
    if (parsed) {
        put_time(der, when);
        put_string(der, MBEDTLS_ASN1_INTEGER, certificate.serial.p, certificate.serial.len);
        wrap(der, end, SEQUENCE);
    }
    mbedtls_x509_crt_free(&certificate);
    return parsed ? NULL : "a certificate that is to be revoked cannot be parsed";
}

/* The number of a list is the second it was made in, so that later ones have larger numbers. */
static void put_list_extensions(struct der *der, const struct signer *signer, int64_t this_update)
{
    unsigned char number[8];
    const unsigned char *end = der->at;
    for (size_t i = 0; i < sizeof(number); i++)
        number[i] = (unsigned char)((uint64_t)(this_update < 1 ? 1 : this_update) >> 8 * (7 - i));
    put_authority_key_id(der, signer->key_id);
    size_t zeros = 0;
    while (number[zeros] == 0 && number[zeros + 1] < 0x80)
        zeros++;
    const unsigned char *extension = der->at;
    put_string(der, MBEDTLS_ASN1_INTEGER, number + zeros, sizeof(number) - zeros);
    wrap_extension(der, extension, OID(MBEDTLS_OID_CRL_NUMBER), false);
    wrap(der, end, SEQUENCE);
    wrap(der, end, CONTEXT_OF(0));
}

static const char *put_list(struct der *der, const struct signer *signer, const char *const *revoked, size_t count,
                            int64_t this_update, int64_t next_update)
{
    const char *problem = NULL;
    put_list_extensions(der, signer, this_update);
    const unsigned char *end = der->at;
    for (size_t i = count; i-- > 0 && problem == NULL;)
        problem = put_revoked(der, revoked[i], this_update);
    if (count > 0)
        wrap(der, end, SEQUENCE);
    put_time(der, next_update);
    put_time(der, this_update);
    put_bytes(der, signer->name.at, signer->name.size);
    put_algorithm(der, signer->key, ISSUE_SHA256);
    put_integer(der, 1); /* version 2 */
    wrap(der, der->end, SEQUENCE);
    put_signed(der, signer->key, ISSUE_SHA256);
    return problem;
}

bool issue_crl(const struct issued *issuer, const char *const *revoked, size_t count, int64_t this_update,
               int64_t next_update, char **out, const char **problem)
{
    mbedtls_x509_crt authority;
    mbedtls_pk_context key;
    struct signer signer = { 0 };
    struct der der = { 0 };
    mbedtls_x509_crt_init(&authority);
    mbedtls_pk_init(&key);
    *out = NULL;
    *problem = read_signer(issuer, &authority, &key, &signer);
    if (*problem == NULL && der_open(&der, DER_BASE + count * DER_PER_ITEM))
        *problem = put_list(&der, &signer, revoked, count, this_update, next_update);
    if (*problem == NULL)
        *out = pem_of(&der, "-----BEGIN X509 CRL-----\n", "-----END X509 CRL-----\n");
    if (*problem == NULL && *out == NULL)
        *problem = "the list could not be written: a time cannot be expressed, or memory ran out";
    free(der.start);
    mbedtls_pk_free(&key);
    mbedtls_x509_crt_free(&authority);
    return *problem == NULL;
}
