/* SPDX-License-Identifier: Apache-2.0 */
/* issue.c - certificates and revocation lists as DER (RFC 5280), written from their end to their beginning.
 *
 * They are put together from mbedTLS's ASN.1 writer, not from its writer of certificates: that one differs between
 * versions, takes the issuer's name as text, and gives ECDSA signatures parameters, which RFC 5758 forbids. */
#include "issue.h"

#include "issue_der.h"

#include <arpa/inet.h>
#include <mbedtls/asn1write.h>
#include <mbedtls/ecp.h>
#include <mbedtls/rsa.h>
#include <mbedtls/x509_crt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DER_PER_ITEM 64 /* around each name or revoked certificate */
#define KEY_PEM_MAX 4096
#define SERIAL_SIZE 16
#define KEY_ID_SIZE 20
#define COMMON_NAME_MAX 64 /* RFC 5280, appendix A.1: ub-common-name */
#define HOUR 3600

/* ---- extensions ---- */

static void put_subject_key_id(struct der *der, struct bytes id)
{
    const unsigned char *end = der->at;
    der_string(der, MBEDTLS_ASN1_OCTET_STRING, id.at, id.size);
    der_wrap_extension(der, end, OID(MBEDTLS_OID_SUBJECT_KEY_IDENTIFIER), false);
}

static void put_authority_key_id(struct der *der, struct bytes id)
{
    const unsigned char *end = der->at;
    if (id.size == 0)
        return;
    der_string(der, DER_CONTEXT(0), id.at, id.size);
    der_wrap(der, end, DER_SEQUENCE);
    der_wrap_extension(der, end, OID(MBEDTLS_OID_AUTHORITY_KEY_IDENTIFIER), false);
}

static void put_basic_constraints(struct der *der, const struct issue_request *request)
{
    const unsigned char *end = der->at;
    if (request->is_ca && request->path_length >= 0)
        der_integer(der, request->path_length);
    if (request->is_ca)
        der_true(der);
    der_wrap(der, end, DER_SEQUENCE);
    der_wrap_extension(der, end, OID(MBEDTLS_OID_BASIC_CONSTRAINTS), true);
}

static void put_usage(struct der *der, uint32_t usage)
{
    const unsigned char *end = der->at;
    unsigned bits = (usage & ISSUE_DIGITAL_SIGNATURE ? 0x80U : 0) | (usage & ISSUE_KEY_AGREEMENT ? 0x08U : 0) |
                    (usage & ISSUE_CERT_SIGN ? 0x04U : 0) | (usage & ISSUE_CRL_SIGN ? 0x02U : 0);
    unsigned char byte = (unsigned char)bits;
    if (usage == 0 || der->failed)
        return;
    der_put(der, mbedtls_asn1_write_named_bitstring(&der->at, der->start, &byte, 8));
    der_wrap_extension(der, end, OID(MBEDTLS_OID_KEY_USAGE), true);
}

static void put_extended(struct der *der, uint32_t extended)
{
    const unsigned char *end = der->at;
    if (extended == 0)
        return;
    if (extended & ISSUE_FOR_EMAIL)
        der_oid(der, OID(MBEDTLS_OID_EMAIL_PROTECTION));
    if (extended & ISSUE_FOR_CLIENT)
        der_oid(der, OID(MBEDTLS_OID_CLIENT_AUTH));
    if (extended & ISSUE_FOR_SERVER)
        der_oid(der, OID(MBEDTLS_OID_SERVER_AUTH));
    der_wrap(der, end, DER_SEQUENCE);
    der_wrap_extension(der, end, OID(MBEDTLS_OID_EXTENDED_KEY_USAGE), false);
}

static void put_address(struct der *der, const char *text)
{
    unsigned char address[16];
    if (inet_pton(AF_INET, text, address) == 1)
        der_string(der, DER_CONTEXT(7), address, 4);
    else if (inet_pton(AF_INET6, text, address) == 1)
        der_string(der, DER_CONTEXT(7), address, 16);
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
        der_string(der, DER_CONTEXT(2), request->dns[i], strlen(request->dns[i]));
    for (size_t i = request->uri_count; i-- > 0;)
        der_string(der, DER_CONTEXT(6), request->uris[i], strlen(request->uris[i]));
    der_wrap(der, end, DER_SEQUENCE);
    der_wrap_extension(der, end, OID(MBEDTLS_OID_SUBJECT_ALT_NAME), alone);
}

static void put_name_constraint(struct der *der, const char *domain)
{
    const unsigned char *end = der->at;
    if (domain == NULL)
        return;
    der_string(der, DER_CONTEXT(2), domain, strlen(domain));
    der_wrap(der, end, DER_SEQUENCE);
    der_wrap(der, end, DER_CONTEXT_OF(0));
    der_wrap(der, end, DER_SEQUENCE);
    der_wrap_extension(der, end, OID(MBEDTLS_OID_NAME_CONSTRAINTS), true);
}

/* ---- keys ---- */

static bool make_key(mbedtls_pk_context *key, enum issue_key kind)
{
    bool rsa = kind == ISSUE_RSA_2048 || kind == ISSUE_RSA_1024;
    if (mbedtls_pk_setup(key, mbedtls_pk_info_from_type(rsa ? MBEDTLS_PK_RSA : MBEDTLS_PK_ECKEY)) != 0)
        return false;
    if (rsa)
        return mbedtls_rsa_gen_key(mbedtls_pk_rsa(*key), issue_random, NULL, kind == ISSUE_RSA_1024 ? 1024 : 2048,
                                   65537) == 0;
    mbedtls_ecp_group_id curve = kind == ISSUE_P384 ? MBEDTLS_ECP_DP_SECP384R1 : MBEDTLS_ECP_DP_SECP256R1;
    return mbedtls_ecp_gen_key(curve, mbedtls_pk_ec(*key), issue_random, NULL) == 0;
}

static void put_public_key(struct der *der, mbedtls_pk_context *key)
{
    unsigned char bytes[KEY_PEM_MAX];
    int size = mbedtls_pk_write_pubkey_der(key, bytes, sizeof(bytes)); /* at the end of the room */
    der_put(der, size);
    if (size > 0)
        der_bytes(der, bytes + sizeof(bytes) - size, (size_t)size);
}

/* What a key is called: the first 160 bits of a hash of it (RFC 7093, section 2). */
static struct bytes name_key(mbedtls_pk_context *key, unsigned char out[MBEDTLS_MD_MAX_SIZE])
{
    struct der der;
    size_t size = 0;
    if (der_open(&der, KEY_PEM_MAX)) {
        put_public_key(&der, key);
        size = der.failed ? 0 : der_digest(MBEDTLS_MD_SHA256, der.at, (size_t)(der.end - der.at), out);
    }
    free(der.start);
    return (struct bytes){ out, size ? KEY_ID_SIZE : 0 };
}

/* ---- certificates ---- */

static size_t room_for(const char *const *texts, size_t count)
{
    size_t room = DER_PER_ITEM * count;
    for (size_t i = 0; i < count; i++)
        room += strlen(texts[i]);
    return room;
}

static void put_serial(struct der *der)
{
    unsigned char serial[SERIAL_SIZE];
    der_put(der, issue_random(NULL, serial, sizeof(serial)));
    serial[0] = (unsigned char)((serial[0] & 0x7f) | 0x40); /* positive, and of this length */
    der_string(der, MBEDTLS_ASN1_INTEGER, serial, sizeof(serial));
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
    der_wrap(der, end, DER_SEQUENCE);
    der_wrap(der, end, DER_CONTEXT_OF(3));
}

static void put_certificate(struct der *der, const struct issue_request *request, mbedtls_pk_context *key,
                            const struct signer *signer)
{
    unsigned char id[MBEDTLS_MD_MAX_SIZE];
    put_extensions(der, request, name_key(key, id), signer->key_id);
    put_public_key(der, key);
    der_name(der, request->common_name);
    const unsigned char *end = der->at;
    der_time(der, request->not_after);
    der_time(der, request->not_before);
    der_wrap(der, end, DER_SEQUENCE);
    der_bytes(der, signer->name.at, signer->name.size);
    der_algorithm(der, signer->key, request->hash);
    put_serial(der);
    end = der->at;
    der_integer(der, 2); /* version 3 */
    der_wrap(der, end, DER_CONTEXT_OF(0));
    der_wrap(der, der->end, DER_SEQUENCE);
    der_signed(der, signer->key, request->hash);
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
    out->certificate = der_pem(&der, "-----BEGIN CERTIFICATE-----\n", "-----END CERTIFICATE-----\n");
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
    der_name(&name, request->common_name);
    struct signer signer = { { name.at, (size_t)(name.end - name.at) }, name_key(key, id), key };
    bool done = !name.failed && write_issued(request, key, &signer, out);
    free(name.start);
    return done;
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
    *problem = issuer ? issue_read_signer(issuer, &authority, &authority_key, &signer) : NULL;
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
        der_time(der, when);
        der_string(der, MBEDTLS_ASN1_INTEGER, certificate.serial.p, certificate.serial.len);
        der_wrap(der, end, DER_SEQUENCE);
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
    der_string(der, MBEDTLS_ASN1_INTEGER, number + zeros, sizeof(number) - zeros);
    der_wrap_extension(der, extension, OID(MBEDTLS_OID_CRL_NUMBER), false);
    der_wrap(der, end, DER_SEQUENCE);
    der_wrap(der, end, DER_CONTEXT_OF(0));
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
        der_wrap(der, end, DER_SEQUENCE);
    der_time(der, next_update);
    der_time(der, this_update);
    der_bytes(der, signer->name.at, signer->name.size);
    der_algorithm(der, signer->key, ISSUE_SHA256);
    der_integer(der, 1); /* version 2 */
    der_wrap(der, der->end, DER_SEQUENCE);
    der_signed(der, signer->key, ISSUE_SHA256);
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
    *problem = issue_read_signer(issuer, &authority, &key, &signer);
    if (*problem == NULL && der_open(&der, DER_BASE + count * DER_PER_ITEM))
        *problem = put_list(&der, &signer, revoked, count, this_update, next_update);
    if (*problem == NULL)
        *out = der_pem(&der, "-----BEGIN X509 CRL-----\n", "-----END X509 CRL-----\n");
    if (*problem == NULL && *out == NULL)
        *problem = "the list could not be written: a time cannot be expressed, or memory ran out";
    free(der.start);
    mbedtls_pk_free(&key);
    mbedtls_x509_crt_free(&authority);
    return *problem == NULL;
}
