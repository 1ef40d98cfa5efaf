/* SPDX-License-Identifier: Apache-2.0 */
/* judge_mbedtls.c - whether the peer's certificates are accepted: mbedTLS checks the chain's signatures, authorities
 * and revocation; here are the dates, the bundle that counts, the rules for the leaf, and the words for what is wrong.
 */
#include "tls/tls_mbedtls.h"

#include <arpa/inet.h>
#include <stdio.h>

#define DATE_FLAGS                                                                                                     \
    (MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE | MBEDTLS_X509_BADCRL_EXPIRED |                        \
     MBEDTLS_X509_BADCRL_FUTURE)
#define WEAK_FLAGS (MBEDTLS_X509_BADCERT_BAD_MD | MBEDTLS_X509_BADCERT_BAD_PK | MBEDTLS_X509_BADCERT_BAD_KEY)
#define LIST_FLAGS                                                                                                     \
    (MBEDTLS_X509_BADCRL_NOT_TRUSTED | MBEDTLS_X509_BADCRL_BAD_MD | MBEDTLS_X509_BADCRL_BAD_PK |                       \
     MBEDTLS_X509_BADCRL_BAD_KEY)

/* What one judgement looks at. */
struct look {
    struct tls_connection *connection;
    const struct tls_demand *demand;
    mbedtls_x509_crt *certificate; /* the leaf; its intermediates follow */
    struct tls_facts facts;
    const struct tls_chain *chain; /* NULL: a session's record, whose signatures were checked when it began */
    char subject[120];
};

static mesh_status say(struct tls_connection *connection, mesh_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static mesh_status say(struct tls_connection *connection, mesh_status status, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    (void)vsnprintf(connection->report.words, sizeof(connection->report.words), format, list);
    va_end(list);
    return status;
}

/* ---- chains ---- */

static void chain_init(struct tls_chain *chain)
{
    memset(chain, 0, sizeof(*chain));
    chain->not_before = INT64_MIN;
    chain->not_after = INT64_MAX;
}

static void narrow(struct tls_chain *chain, int64_t from, int64_t to)
{
    chain->not_before = from > chain->not_before ? from : chain->not_before;
    chain->not_after = to < chain->not_after ? to : chain->not_after;
}

static void date_certificate(struct tls_chain *chain, const mbedtls_x509_crt *certificate, int64_t now)
{
    char subject[120], date[32];
    int64_t from = mesh__tls_seconds(&certificate->valid_from), to = mesh__tls_seconds(&certificate->valid_to);
    narrow(chain, from, to);
    if (to >= now && from <= now)
        return;
    chain->dated = to < now ? MESH_TLS_EXPIRED : MESH_TLS_NOT_YET_VALID;
    (void)snprintf(chain->words, sizeof(chain->words), "the certificate of %s %s %s",
                   mesh__tls_subject(certificate, subject), to < now ? "expired at" : "is not valid before",
                   mesh__tls_date(to < now ? to : from, date));
}

/* A revocation list out of date proves nothing, so it revokes all that its authority issued. */
static void date_lists(struct tls_chain *chain, const mbedtls_x509_crt *certificate, const mbedtls_x509_crl *lists,
                       int64_t now)
{
    char date[32];
    for (const mbedtls_x509_crl *list = lists; list != NULL && list->raw.p != NULL; list = list->next) {
        if (list->issuer_raw.len != certificate->issuer_raw.len ||
            memcmp(list->issuer_raw.p, certificate->issuer_raw.p, list->issuer_raw.len) != 0)
            continue;
        int64_t from = mesh__tls_seconds(&list->this_update);
        int64_t to = list->next_update.year == 0 ? INT64_MAX : mesh__tls_seconds(&list->next_update);
        narrow(chain, from, to);
        if (to >= now && from <= now)
            continue;
        chain->dated = MESH_TLS_REVOKED;
        (void)snprintf(chain->words, sizeof(chain->words), "the revocation list of the peer's authority %s %s",
                       to < now ? "ran out at" : "is not valid before", mesh__tls_date(to < now ? to : from, date));
    }
}

static void chain_step(struct tls_chain *chain, const struct tls_connection *connection,
                       const mbedtls_x509_crt *certificate, uint32_t flags)
{
    int64_t now = connection->now / 1000000000;
    const struct tls_setup *setup = connection->setup;
    chain->flags |= flags & ~(uint32_t)(DATE_FLAGS | MBEDTLS_X509_BADCERT_CN_MISMATCH);
    date_certificate(chain, certificate, now);
    if (setup->spec->identity->crl.size > 0)
        date_lists(chain, certificate, &setup->crl, now);
}

/* mbedTLS's callback in a check of our own; it takes no verdict but the chain's. */
struct own_check {
    struct tls_connection *connection;
    struct tls_chain *chain;
};

static int own_step(void *user, mbedtls_x509_crt *certificate, int depth, uint32_t *flags)
{
    (void)depth;
    struct own_check *check = user;
    chain_step(check->chain, check->connection, certificate, *flags);
    *flags = 0;
    return 0;
}

/* Checks the chain against one bundle only. */
static void check_against(struct look *look, int bundle, struct tls_chain *chain)
{
    struct tls_setup *setup = look->connection->setup;
    struct own_check check = { look->connection, chain };
    uint32_t flags = 0;
    chain_init(chain);
    int error = mbedtls_x509_crt_verify_with_profile(look->certificate, &setup->anchors[bundle],
                                                     setup->spec->identity->crl.size > 0 ? &setup->crl : NULL,
                                                     &mesh__tls_profile, NULL, &flags, own_step, &check);
    if (error != 0)
        chain->flags |= MBEDTLS_X509_BADCERT_OTHER;
}

static mesh_status judge_flags(struct look *look, const struct tls_chain *chain)
{
    struct tls_connection *connection = look->connection;
    char issuer[200];
    if (chain->flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) {
        int size = mbedtls_x509_dn_gets(issuer, sizeof(issuer), &look->certificate->issuer);
        return say(connection, MESH_TLS_UNKNOWN_AUTHORITY,
                   "the certificate of %.70s comes from no authority that is trusted here; its issuer is %.50s",
                   look->subject, size > 0 ? issuer : "unnamed");
    }
    if (chain->flags & WEAK_FLAGS) {
        const char *weakness = mesh__tls_weakness(look->certificate);
        return say(connection, MESH_TLS_BAD_CERTIFICATE, "the certificate of %s is too weak: %s", look->subject,
                   weakness ? weakness : "an authority of its chain is");
    }
    if (chain->flags & MBEDTLS_X509_BADCERT_REVOKED)
        return say(connection, MESH_TLS_REVOKED, "the certificate of %s, or one of its chain, was revoked",
                   look->subject);
    if (chain->flags & LIST_FLAGS)
        return say(connection, MESH_TLS_REVOKED,
                   "whether the certificate of %s was revoked is unknown: the revocation list is not its authority's",
                   look->subject);
    if (chain->dated != MESH_OK)
        return say(connection, chain->dated, "%s", chain->words);
    if (chain->flags != 0)
        return say(connection, MESH_TLS_BAD_CERTIFICATE, "the certificate of %s breaks a rule of X.509 (flags 0x%x)",
                   look->subject, (unsigned)chain->flags);
    return MESH_OK;
}

/* ---- the leaf ---- */

static size_t append(char *text, size_t size, size_t at, const char *more, size_t count)
{
    size_t fits = at + count < size ? count : size - 1 - at;
    memcpy(text + at, more, fits);
    text[at + fits] = '\0';
    return at + fits;
}

/* "spiffe://shop/order, spiffe://shop/pay/" with a star where the pattern has it, and how many more. */
static void list_expected(const struct tls_demand *demand, char *text, size_t size)
{
    size_t at = 0, i = 0;
    text[0] = '\0';
    for (; i < demand->peer_count && i < 3; i++) {
        const struct spiffe_pattern *one = &demand->peers[i];
        if (i > 0)
            at = append(text, size, at, ", ", 2);
        at = append(text, size, at, one->id.text.data, one->id.text.size);
        if (one->kind == SPIFFE_BELOW)
            at = append(text, size, at, "/*", 2);
    }
    if (i < demand->peer_count)
        (void)snprintf(text + at, size - at, " or %zu more", demand->peer_count - i);
}

/* The rules found something: it is said with the peer's names where they help. */
static mesh_status explain_leaf(struct look *look, mesh_status status, const char *why)
{
    char expected[120];
    if (status == MESH_TLS_WRONG_ID || status == MESH_TLS_WRONG_TRUST_DOMAIN) {
        list_expected(look->demand, expected, sizeof(expected));
        return say(look->connection, status, "the peer is %.80s, expected %s", look->subject, expected);
    }
    if (status == MESH_TLS_WRONG_NAME)
        return say(look->connection, status, "the certificate is for %.60s, expected %.80s",
                   look->connection->verdict.peer_name ? look->connection->verdict.peer_name : look->subject,
                   look->demand->name);
    return say(look->connection, status, "%s", why);
}

static char *printable(const struct mem *mem, struct view text)
{
    char *copy = mesh__strndup(mem, text.data, text.size);
    for (size_t i = 0; copy != NULL && i < text.size; i++)
        if (copy[i] < 0x20 || copy[i] > 0x7E)
            copy[i] = '?';
    return copy;
}

/* The peer's names for the report; without memory they are missing. */
static void note_names(struct look *look, const struct spiffe_id *id)
{
    struct tls_verdict *verdict = &look->connection->verdict;
    const struct mem *mem = &look->connection->setup->mem;
    char address[INET6_ADDRSTRLEN];
    mesh__mem_free(mem, verdict->peer_id);
    mesh__mem_free(mem, verdict->peer_name);
    verdict->peer_id = id->text.size > 0 ? printable(mem, id->text) : NULL;
    verdict->peer_name = NULL;
    for (size_t i = 0; i < look->facts.leaf.san_count && verdict->peer_name == NULL; i++) {
        const struct tls_san *san = &look->facts.sans[i];
        if (san->kind == TLS_SAN_DNS)
            verdict->peer_name = printable(mem, san->value);
        else if (san->kind == TLS_SAN_IP && inet_ntop(san->value.size == 4 ? AF_INET : AF_INET6, san->value.data,
                                                      address, sizeof(address)) != NULL)
            verdict->peer_name = printable(mem, mesh__view_of(address));
    }
}

static mesh_status judge_leaf(struct look *look)
{
    struct tls_connection *connection = look->connection;
    enum tls_side peer = connection->setup->spec->side == TLS_CLIENT ? TLS_SERVER : TLS_CLIENT;
    struct spiffe_id id, accepted;
    const char *why = NULL;
    (void)mesh__tls_facts_id(&look->facts, &id);
    note_names(look, &id);
    mesh_status status = mesh__tls_verify_leaf(look->demand, &look->facts.leaf, peer, &accepted, &why);
    /* Nobody may pass without the id that others judge by. */
    if (status == MESH_OK && id.text.size > 0 && connection->verdict.peer_id == NULL)
        return say(connection, MESH_NO_MEMORY, "memory ran out");
    return status == MESH_OK ? MESH_OK : explain_leaf(look, status, why);
}

/* ---- judgement ---- */

/* The bundle that a SPIFFE peer's chain must come from; -1 when its domain has none; -2 when it names no domain. */
static int domain_bundle(struct look *look)
{
    struct spiffe_id id;
    if (!mesh__tls_facts_id(&look->facts, &id))
        return -2;
    return mesh__tls_find_bundle(look->connection->setup->spec->identity, id.trust_domain);
}

static mesh_status judge_spiffe(struct look *look, struct tls_chain *own)
{
    const struct tls_spec *spec = look->connection->setup->spec;
    int bundle = domain_bundle(look);
    if (bundle == -1)
        return say(look->connection, MESH_TLS_WRONG_TRUST_DOMAIN,
                   "the peer is %.100s, and there is no bundle of authorities for its trust domain", look->subject);
    if (bundle == -2 && spec->bundle < 0)
        return judge_leaf(look);
    if (look->chain != NULL && spec->bundle < 0) {
        check_against(look, bundle, own);
        look->chain = own;
    }
    mesh_status status = look->chain ? judge_flags(look, look->chain) : MESH_OK;
    return status == MESH_OK ? judge_leaf(look) : status;
}

static mesh_status judge(struct look *look, struct tls_chain *own)
{
    mesh_status status;
    const struct mem *mem = &look->connection->setup->mem;
    look->demand = &look->connection->setup->spec->settings.demand;
    (void)mesh__tls_subject(look->certificate, look->subject);
    if (!mesh__tls_facts_init(&look->facts, mem, look->certificate)) {
        status = say(look->connection, MESH_NO_MEMORY, "memory ran out");
    } else if (look->demand->verify == TLS_VERIFY_SPIFFE) {
        status = judge_spiffe(look, own);
    } else {
        status = look->demand->verify == TLS_VERIFY_NAME && look->chain ? judge_flags(look, look->chain) : MESH_OK;
        status = status == MESH_OK ? judge_leaf(look) : status;
    }
    mesh__tls_facts_fini(&look->facts, mem);
    return status;
}

/* The flag that makes mbedTLS send the alert for a status. */
static uint32_t flag_of(mesh_status status)
{
    switch (status) {
    case MESH_OK:
        return 0;
    case MESH_TLS_EXPIRED:
    case MESH_TLS_NOT_YET_VALID:
        return MBEDTLS_X509_BADCERT_EXPIRED; /* certificate_expired: "or not currently valid" */
    case MESH_TLS_REVOKED:
        return MBEDTLS_X509_BADCERT_REVOKED;
    case MESH_TLS_UNKNOWN_AUTHORITY:
    case MESH_TLS_WRONG_TRUST_DOMAIN:
        return MBEDTLS_X509_BADCERT_NOT_TRUSTED; /* unknown_ca */
    case MESH_TLS_WRONG_ID:
        return MBEDTLS_X509_BADCERT_OTHER; /* access_denied */
    default:
        return MBEDTLS_X509_BADCERT_CN_MISMATCH; /* bad_certificate */
    }
}

/* A copy of the leaf for the session's record, where a session may be kept. */
static void note_leaf(struct tls_connection *connection, const mbedtls_x509_crt *leaf, const struct tls_chain *chain)
{
    struct tls_verdict *verdict = &connection->verdict;
    const struct tls_spec *spec = connection->setup->spec;
    const struct mem *mem = &connection->setup->mem;
    if (!spec->settings.resume || leaf->raw.len > TLS_LEAF_MAX || (spec->side == TLS_CLIENT && !connection->peer))
        return;
    mesh__mem_free(mem, verdict->leaf);
    verdict->leaf = mesh__alloc(mem, leaf->raw.len);
    if (verdict->leaf == NULL)
        return;
    memcpy(verdict->leaf, leaf->raw.p, leaf->raw.len);
    verdict->record.leaf = mesh__view((const char *)verdict->leaf, leaf->raw.len);
    verdict->record.not_before = chain->not_before;
    verdict->record.not_after = chain->not_after;
}

int mesh__tls_judge_step(void *user, mbedtls_x509_crt *certificate, int depth, uint32_t *flags)
{
    struct tls_connection *connection = user;
    struct tls_verdict *verdict = &connection->verdict;
    if (!verdict->begun) {
        chain_init(&connection->chain);
        verdict->begun = true;
    }
    chain_step(&connection->chain, connection, certificate, *flags);
    *flags = 0;
    if (depth > 0)
        return 0;
    struct tls_chain own;
    struct look look = { .connection = connection, .certificate = certificate, .chain = &connection->chain };
    verdict->judged = true;
    verdict->from_session = false;
    connection->report.words[0] = '\0';
    verdict->status = judge(&look, &own);
    if (verdict->status == MESH_OK)
        note_leaf(connection, certificate, look.chain);
    else
        mesh__tls_before_refusal(&connection->ssl);
    *flags = flag_of(verdict->status);
    return 0;
}

static mesh_status judge_dates(struct tls_connection *connection, const struct tls_record *record)
{
    char date[32];
    int64_t now = connection->now / 1000000000;
    if (connection->setup->spec->settings.demand.verify == TLS_VERIFY_NONE)
        return MESH_OK;
    if (now > record->not_after)
        return say(connection, MESH_TLS_EXPIRED, "a certificate of the resumed session expired at %s",
                   mesh__tls_date(record->not_after, date));
    if (now < record->not_before)
        return say(connection, MESH_TLS_NOT_YET_VALID, "a certificate of the resumed session is not valid before %s",
                   mesh__tls_date(record->not_before, date));
    return MESH_OK;
}

bool mesh__tls_judge_record(struct tls_connection *connection, const struct tls_record *record)
{
    struct tls_verdict *verdict = &connection->verdict;
    struct look look = { .connection = connection };
    struct tls_chain chain = { .not_before = record->not_before, .not_after = record->not_after };
    mbedtls_x509_crt leaf;
    mbedtls_x509_crt_init(&leaf);
    mesh_status status = judge_dates(connection, record);
    if (status == MESH_OK &&
        mbedtls_x509_crt_parse_der(&leaf, (const unsigned char *)record->leaf.data, record->leaf.size) != 0)
        status = MESH_NO_MEMORY; /* it was parsed when the session began */
    look.certificate = &leaf;
    if (status == MESH_OK)
        status = judge(&look, NULL);
    if (status == MESH_OK) {
        note_leaf(connection, &leaf, &chain);
        verdict->from_session = true;
        verdict->status = MESH_OK;
    }
    connection->report.words[0] = '\0';
    mbedtls_x509_crt_free(&leaf);
    return status == MESH_OK;
}

void mesh__tls_verdict_fini(struct tls_verdict *verdict, const struct mem *mem)
{
    mesh__mem_free(mem, verdict->peer_id);
    mesh__mem_free(mem, verdict->peer_name);
    mesh__mem_free(mem, verdict->leaf);
    memset(verdict, 0, sizeof(*verdict));
}
