/* SPDX-License-Identifier: Apache-2.0 */
/* leaf_mbedtls.c - facts of a certificate that mbedTLS parsed: names, usage and dates. */
#include "tls/tls_mbedtls.h"

#include <mbedtls/oid.h>
#include <stdio.h>

/* ---- dates ---- */

/* Days since 1970-01-01 of a date in the proleptic Gregorian calendar, counted in years that begin in March. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    int64_t y = month <= 2 ? year - 1 : year, m = month <= 2 ? month + 9 : month - 3;
    int64_t leaps = y / 4 - y / 100 + y / 400;
    return 365 * y + leaps + (153 * m + 2) / 5 + day - 1 - 719468;
}

int64_t mesh__tls_seconds(const mbedtls_x509_time *time)
{
    return days_of(time->year, time->mon, time->day) * 86400 + time->hour * 3600 + time->min * 60 + time->sec;
}

const char *mesh__tls_date(int64_t seconds, char text[32])
{
    int64_t days = seconds / 86400, rest = seconds % 86400;
    if (rest < 0) {
        rest += 86400;
        days--;
    }
    int64_t year = 1970 + days / 366; /* never too late */
    while (days_of(year + 1, 1, 1) <= days)
        year++;
    int64_t month = 1;
    while (month < 12 && days_of(year, month + 1, 1) <= days)
        month++;
    (void)snprintf(text, 32, "%04d-%02d-%02dT%02d:%02d:%02dZ", (int)year, (int)month,
                   (int)(days - days_of(year, month, 1) + 1), (int)(rest / 3600), (int)(rest / 60 % 60),
                   (int)(rest % 60));
    return text;
}

int64_t mesh__tls_nanos(int64_t seconds)
{
    int64_t most = INT64_MAX / 1000000000;
    return seconds > most ? INT64_MAX : seconds < -most ? INT64_MIN : seconds * 1000000000;
}

/* ---- names ---- */

#define CONTEXT_TAG(number) (MBEDTLS_ASN1_CONTEXT_SPECIFIC | (number))

/* Whether a name is of the three kinds; false for others. */
static bool read_san(const mbedtls_x509_buf *name, struct tls_san *san)
{
    san->value = mesh__view((const char *)name->p, name->len);
    switch (name->tag) {
    case CONTEXT_TAG(6):
        san->kind = TLS_SAN_URI;
        return true;
    case CONTEXT_TAG(2):
        san->kind = TLS_SAN_DNS;
        return true;
    case CONTEXT_TAG(7):
        san->kind = TLS_SAN_IP;
        return name->len == 4 || name->len == 16;
    default:
        return false;
    }
}

/* The names of a certificate without the extension are one empty buffer. */
static bool read_sans(struct tls_facts *facts, const struct mem *mem, const mbedtls_x509_crt *certificate)
{
    size_t most = 0;
    for (const mbedtls_x509_sequence *one = &certificate->subject_alt_names; one != NULL; one = one->next)
        most++;
    facts->sans = mesh__alloc(mem, most * sizeof(*facts->sans));
    if (facts->sans == NULL)
        return false;
    struct tls_leaf *leaf = &facts->leaf;
    leaf->sans = facts->sans;
    for (const mbedtls_x509_sequence *one = &certificate->subject_alt_names; one != NULL; one = one->next) {
        if (one->buf.p == NULL || !read_san(&one->buf, &facts->sans[leaf->san_count]))
            continue;
        leaf->uri_count += facts->sans[leaf->san_count].kind == TLS_SAN_URI;
        leaf->san_count++;
    }
    return true;
}

static bool has_extended(const mbedtls_x509_crt *certificate, const char *oid, size_t size)
{
    return mbedtls_x509_crt_check_extended_key_usage(certificate, oid, size) == 0;
}

bool mesh__tls_facts_init(struct tls_facts *facts, const struct mem *mem, const mbedtls_x509_crt *certificate)
{
    memset(facts, 0, sizeof(*facts));
    struct tls_leaf *leaf = &facts->leaf;
    leaf->is_ca = certificate->ca_istrue != 0;
    leaf->has_key_usage = (certificate->ext_types & MBEDTLS_X509_EXT_KEY_USAGE) != 0;
    leaf->digital_signature = (certificate->key_usage & MBEDTLS_X509_KU_DIGITAL_SIGNATURE) != 0;
    leaf->cert_sign = (certificate->key_usage & MBEDTLS_X509_KU_KEY_CERT_SIGN) != 0;
    leaf->crl_sign = (certificate->key_usage & MBEDTLS_X509_KU_CRL_SIGN) != 0;
    leaf->has_extended_key_usage = (certificate->ext_types & MBEDTLS_X509_EXT_EXTENDED_KEY_USAGE) != 0;
    leaf->for_server = has_extended(certificate, MBEDTLS_OID_SERVER_AUTH, MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH));
    leaf->for_client = has_extended(certificate, MBEDTLS_OID_CLIENT_AUTH, MBEDTLS_OID_SIZE(MBEDTLS_OID_CLIENT_AUTH));
    return read_sans(facts, mem, certificate);
}

void mesh__tls_facts_fini(struct tls_facts *facts, const struct mem *mem)
{
    mesh__mem_free(mem, facts->sans);
    facts->sans = NULL;
}

bool mesh__tls_facts_id(const struct tls_facts *facts, struct spiffe_id *id)
{
    memset(id, 0, sizeof(*id));
    if (facts->leaf.uri_count != 1)
        return false;
    for (size_t i = 0; i < facts->leaf.san_count; i++)
        if (facts->sans[i].kind == TLS_SAN_URI)
            return mesh__spiffe_parse(facts->sans[i].value, id) == NULL;
    return false;
}

const char *mesh__tls_subject(const mbedtls_x509_crt *certificate, char text[120])
{
    struct tls_san san;
    struct spiffe_id id;
    for (const mbedtls_x509_sequence *one = &certificate->subject_alt_names; one != NULL; one = one->next) {
        if (one->buf.p == NULL || !read_san(&one->buf, &san) || san.kind != TLS_SAN_URI ||
            mesh__spiffe_parse(san.value, &id) != NULL)
            continue;
        (void)snprintf(text, 120, "%.*s", (int)san.value.size, san.value.data);
        return text;
    }
    char name[256];
    int size = mbedtls_x509_dn_gets(name, sizeof(name), &certificate->subject);
    (void)snprintf(text, 120, "%.100s", size > 0 ? name : "an unnamed subject");
    return text;
}
