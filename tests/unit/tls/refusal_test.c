/* SPDX-License-Identifier: Apache-2.0 */
/* refusal_test.c - no wrong peer is accepted: each defect, shown by each side, in each mode, with and without a session
 * to resume. The defect alone is what differs from a certificate that is accepted.
 *
 * Rows 91 to 104 and 113 of the catalogue, through the backend. */
/* long */
#include "pair.h"

#include "tls/tls_mbedtls.h"

/* ---- certificates with one defect ---- */

struct bill {
    struct issue_request leaf, intermediate;
    bool other_root, no_intermediate, self_signed, revoked, reversed, stale_list;
    const char *uris[3], *dns[2];
};

enum mode { BY_ID = 1, BY_NAME = 2, BOTH = 3 };

/* Where a defect is none. */
enum except {
    ALWAYS = 0,
    NO_SERVER = 1, /* a server with it does not get as far */
    NO_SESSION = 2 /* nobody begins one with it */
};

struct defect {
    const char *name;
    void (*make)(struct bill *);
    mesh_status status;
    const char *alert;
    enum mode modes; /* in which it is one */
    uint32_t except; /* enum except, or-ed */
};

static void none(struct bill *bill)
{
    (void)bill;
}

static void expired(struct bill *bill)
{
    bill->leaf.not_after = T0 - 1;
}

static void early(struct bill *bill)
{
    bill->leaf.not_before = T0 + 1;
}

static void expired_intermediate(struct bill *bill)
{
    bill->intermediate.not_after = T0 - 1;
}

static void other_root(struct bill *bill)
{
    bill->other_root = true;
}

static void no_intermediate(struct bill *bill)
{
    bill->no_intermediate = true;
}

static void reversed(struct bill *bill)
{
    bill->reversed = true;
}

static void self_signed(struct bill *bill)
{
    bill->self_signed = true;
}

static void no_authority(struct bill *bill)
{
    bill->intermediate.is_ca = false;
}

static void too_long(struct bill *bill)
{
    bill->leaf.is_ca = false;
    bill->intermediate.path_length = -1;
    bill->intermediate.usage = ISSUE_DIGITAL_SIGNATURE;
}

static void revoked(struct bill *bill)
{
    bill->revoked = true;
}

static void stale_list(struct bill *bill)
{
    bill->stale_list = true;
}

static void sha1(struct bill *bill)
{
    bill->leaf.hash = ISSUE_SHA1;
}

static void rsa_1024(struct bill *bill)
{
    bill->leaf.key = ISSUE_RSA_1024;
}

static void weak_intermediate(struct bill *bill)
{
    bill->intermediate.key = ISSUE_RSA_1024;
}

static void wrong_id(struct bill *bill)
{
    bill->uris[0] = "spiffe://shop/intruder";
}

static void wrong_domain(struct bill *bill)
{
    bill->uris[0] = "spiffe://shop.evil/service";
}

static void two_uris(struct bill *bill)
{
    bill->uris[1] = "spiffe://shop/other";
    bill->leaf.uri_count = 2;
}

static void no_uri(struct bill *bill)
{
    bill->leaf.uri_count = 0;
}

static void no_path(struct bill *bill)
{
    bill->uris[0] = "spiffe://shop";
}

static void bad_id(struct bill *bill)
{
    bill->uris[0] = "spiffe://shop/a//service";
}

static void is_authority(struct bill *bill)
{
    bill->leaf.is_ca = true;
    bill->leaf.path_length = -1;
}

static void signs_certificates(struct bill *bill)
{
    bill->leaf.usage |= ISSUE_CERT_SIGN;
}

static void no_usage(struct bill *bill)
{
    bill->leaf.usage = 0;
}

static void no_signature(struct bill *bill)
{
    bill->leaf.usage = ISSUE_KEY_AGREEMENT;
}

static void for_email(struct bill *bill)
{
    bill->leaf.extended = ISSUE_FOR_EMAIL;
}

static void wrong_name(struct bill *bill)
{
    bill->dns[0] = "else.example";
}

static void name_in_cn(struct bill *bill)
{
    bill->leaf.dns_count = 0;
    bill->leaf.common_name = "service.example";
}

static const struct defect defects[] = {
    { "expired", expired, MESH_TLS_EXPIRED, "certificate_expired", BOTH, ALWAYS },
    { "not yet valid", early, MESH_TLS_NOT_YET_VALID, "certificate_expired", BOTH, ALWAYS },
    { "expired intermediate", expired_intermediate, MESH_TLS_EXPIRED, "certificate_expired", BOTH, ALWAYS },
    { "other authority", other_root, MESH_TLS_UNKNOWN_AUTHORITY, "unknown_ca", BOTH, ALWAYS },
    { "no intermediate", no_intermediate, MESH_TLS_UNKNOWN_AUTHORITY, "unknown_ca", BOTH, ALWAYS },
    { "reversed chain", reversed, MESH_TLS_BAD_CERTIFICATE, "bad_certificate", BY_ID, NO_SERVER | NO_SESSION },
    { "self-signed", self_signed, MESH_TLS_UNKNOWN_AUTHORITY, "unknown_ca", BOTH, ALWAYS },
    { "below a leaf", no_authority, MESH_TLS_UNKNOWN_AUTHORITY, "unknown_ca", BOTH, ALWAYS },
    { "intermediate may not sign", too_long, MESH_TLS_UNKNOWN_AUTHORITY, "unknown_ca", BOTH, ALWAYS },
    { "revoked", revoked, MESH_TLS_REVOKED, "certificate_revoked", BOTH, ALWAYS },
    { "stale revocation list", stale_list, MESH_TLS_REVOKED, "certificate_revoked", BOTH, ALWAYS },
    { "SHA-1", sha1, MESH_TLS_BAD_CERTIFICATE, "bad_certificate", BOTH, ALWAYS },
    { "RSA-1024", rsa_1024, MESH_TLS_BAD_CERTIFICATE, "bad_certificate", BOTH, ALWAYS },
    { "RSA-1024 intermediate", weak_intermediate, MESH_TLS_BAD_CERTIFICATE, "bad_certificate", BOTH, ALWAYS },
    { "wrong id", wrong_id, MESH_TLS_WRONG_ID, "access_denied", BY_ID, ALWAYS },
    { "wrong trust domain", wrong_domain, MESH_TLS_WRONG_TRUST_DOMAIN, "unknown_ca", BY_ID, ALWAYS },
    { "two URIs", two_uris, MESH_TLS_BAD_CERTIFICATE, "bad_certificate", BY_ID, ALWAYS },
    { "no URI", no_uri, MESH_TLS_BAD_CERTIFICATE, "bad_certificate", BY_ID, ALWAYS },
    { "id without path", no_path, MESH_TLS_BAD_CERTIFICATE, "bad_certificate", BY_ID, ALWAYS },
    { "id with an empty segment", bad_id, MESH_TLS_BAD_CERTIFICATE, "bad_certificate", BY_ID, ALWAYS },
    { "leaf is an authority", is_authority, MESH_TLS_BAD_CERTIFICATE, "bad_certificate", BY_ID, ALWAYS },
    { "keyCertSign", signs_certificates, MESH_TLS_BAD_CERTIFICATE, "bad_certificate", BY_ID, ALWAYS },
    { "no key usage", no_usage, MESH_TLS_BAD_CERTIFICATE, "bad_certificate", BY_ID, ALWAYS },
    { "no digitalSignature", no_signature, MESH_TLS_BAD_CERTIFICATE, "bad_certificate", BOTH, NO_SERVER },
    { "for e-mail", for_email, MESH_TLS_BAD_CERTIFICATE, "bad_certificate", BOTH, NO_SERVER },
    { "wrong name", wrong_name, MESH_TLS_WRONG_NAME, "bad_certificate", BY_NAME, ALWAYS },
    { "name in CN only", name_in_cn, MESH_TLS_WRONG_NAME, "bad_certificate", BY_NAME, ALWAYS },
};

/* ---- offenders ---- */

static struct {
    struct issued root, other_root, good_intermediate, good;
    char *good_chain;
} certs;

struct offender {
    struct issued intermediate, leaf;
    char *chain, *list;
    struct tls_identity *identity;
};

static struct view text_of(const char *text)
{
    return mesh__view(mesh__strndup(&mesh__mem_system, text, strlen(text)), strlen(text));
}

/* An identity without the checks that would refuse it: what a peer of another make may show. */
static struct tls_identity *unchecked_identity(const char *chain, const char *key, const char *bundle)
{
    struct tls_identity *identity = calloc(1, sizeof(*identity));
    identity->mem = mesh__mem_system;
    mesh__refs_init(&identity->refs);
    identity->certificate = text_of(chain);
    identity->key = text_of(key);
    identity->bundles = calloc(1, sizeof(*identity->bundles));
    identity->bundles[0].name = text_of("shop");
    identity->bundles[0].pem = text_of(bundle);
    identity->bundle_count = 1;
    identity->for_sides[0] = identity->for_sides[1] = true;
    ck_assert(mesh__tls_backend_ready());
    return identity;
}

static void make_offender(struct offender *offender, const struct defect *defect)
{
    static const char *const empty[] = { "" };
    struct bill bill = { .leaf = svid_request(empty), .intermediate = authority_request("intermediate") };
    const char *problem = NULL;
    memset(offender, 0, sizeof(*offender));
    bill.leaf.common_name = "leaf";
    bill.uris[0] = "spiffe://shop/service";
    bill.dns[0] = "service.example";
    bill.leaf.dns_count = 1;
    defect->make(&bill);
    bill.leaf.uris = bill.uris;
    bill.leaf.dns = bill.dns;
    issue(&bill.intermediate, bill.other_root ? &certs.other_root : &certs.root, &offender->intermediate);
    issue(&bill.leaf, bill.self_signed ? NULL : &offender->intermediate, &offender->leaf);
    const char *list[] = { bill.revoked ? offender->leaf.certificate : certs.good.certificate };
    ck_assert_msg(issue_crl(&offender->intermediate, list, bill.revoked ? 1 : 0, T0 - HOUR,
                            bill.stale_list ? T0 - 1 : T0 + HOUR, &offender->list, &problem) ||
                      !bill.revoked,
                  "%s", problem);
    const char *leaf = offender->leaf.certificate, *intermediate = offender->intermediate.certificate;
    offender->chain = join(bill.reversed ? intermediate : leaf, bill.reversed          ? leaf
                                                                : bill.no_intermediate ? ""
                                                                                       : intermediate);
    offender->identity = unchecked_identity(offender->chain, offender->leaf.key, certs.root.certificate);
}

static void free_offender(struct offender *offender)
{
    mesh__tls_identity_unref(offender->identity);
    issued_free(&offender->intermediate);
    issued_free(&offender->leaf);
    free(offender->chain);
    free(offender->list);
}

/* Trust in the root, and the offender's revocation list. */
static struct tls_identity *refuser_identity(const struct offender *offender)
{
    struct tls_identity *identity = unchecked_identity(certs.good_chain, certs.good.key, certs.root.certificate);
    identity->crl = offender->list ? text_of(offender->list) : identity->crl;
    return identity;
}

static void setup(void)
{
    static const char *const id[] = { "spiffe://shop/judge" };
    struct issue_request request = authority_request("root");
    issue(&request, NULL, &certs.root);
    issue(&request, NULL, &certs.other_root);
    request = authority_request("good intermediate");
    issue(&request, &certs.root, &certs.good_intermediate);
    request = svid_request(id);
    issue(&request, &certs.good_intermediate, &certs.good);
    certs.good_chain = join(certs.good.certificate, certs.good_intermediate.certificate);
}

static void teardown(void)
{
    issued_free(&certs.root);
    issued_free(&certs.other_root);
    issued_free(&certs.good_intermediate);
    issued_free(&certs.good);
    free(certs.good_chain);
}

/* ---- the matrix ---- */

struct cell {
    const struct defect *defect;
    enum tls_side offender_side;
    enum mode mode;
    bool resume;
    char name[160];
};

/* What the refusing side demands; `lenient`: of anybody. */
static struct tls_settings demand(const struct cell *cell, bool lenient, struct spiffe_pattern *pattern)
{
    struct tls_settings settings = { .with_certificate = true, .resume = true };
    ck_assert_ptr_null(mesh__spiffe_parse_pattern(VIEW_LITERAL("spiffe://shop/service"), pattern));
    settings.demand.verify = lenient ? TLS_VERIFY_NONE : cell->mode == BY_ID ? TLS_VERIFY_SPIFFE : TLS_VERIFY_NAME;
    if (lenient)
        return settings;
    settings.demand.peers = pattern;
    settings.demand.peer_count = cell->mode == BY_ID;
    settings.demand.name = cell->mode == BY_NAME ? "service.example" : NULL;
    return settings;
}

static void shake(struct pair *pair, struct tls_bench *bench, const struct cell *cell, struct tls_spec *offender,
                  struct tls_spec *refuser)
{
    bool client = cell->offender_side == TLS_CLIENT;
    pair_init(pair, bench, client ? offender : refuser, client ? refuser : offender, "the peer");
    pair_shake(pair);
}

/* With nothing demanded, the same certificate gets through, and the client has a session then. */
static void shake_lenient(struct tls_bench *bench, const struct cell *cell, struct tls_spec *offender,
                          struct tls_identity *refuser)
{
    struct pair pair;
    struct spiffe_pattern pattern;
    struct tls_settings settings = demand(cell, true, &pattern);
    struct tls_spec *lenient = spec_of(refuser, (enum tls_side) !cell->offender_side, &settings);
    shake(&pair, bench, cell, offender, lenient);
    assert_open(&pair, cell->name);
    exchange(&pair, cell->name);
    pair_fini(&pair);
    shake(&pair, bench, cell, offender, lenient);
    assert_open(&pair, cell->name);
    ck_assert_msg(report_of(&pair, TLS_CLIENT)->resumed, "%s: the lenient session is not resumed", cell->name);
    pair_fini(&pair);
    mesh__tls_spec_unref(lenient);
}

static void check_refused(const struct pair *pair, const struct cell *cell)
{
    enum tls_side refusing = (enum tls_side) !cell->offender_side;
    const struct tls_report *judge = report_of(pair, refusing), *refused = report_of(pair, cell->offender_side);
    ck_assert_msg(pair->wants[refusing] == TLS_FAILED, "%s: ACCEPTED", cell->name);
    ck_assert_msg(judge->status == cell->defect->status, "%s: status %d, %s", cell->name, (int)judge->status,
                  judge->words);
    ck_assert_msg(strlen(judge->words) > 10, "%s: \"%s\"", cell->name, judge->words);
    ck_assert_msg(refused->status == MESH_TLS_REFUSED_BY_PEER, "%s: the other side's status is %d, %s", cell->name,
                  (int)refused->status, refused->words);
    ck_assert_msg(strcmp(refused->alert, cell->defect->alert) == 0, "%s: alert %s", cell->name, refused->alert);
    ck_assert_msg(strstr(refused->words, refused->alert) != NULL, "%s: %s", cell->name, refused->words);
}

static void run_cell(const struct cell *cell, bool control)
{
    struct offender offender;
    struct pair pair;
    struct spiffe_pattern pattern;
    static const struct defect no_defect = { .name = "none", .make = none };
    struct tls_bench *bench = mesh__tls_bench_new(&mesh__mem_system);
    struct tls_settings mutual = { .with_certificate = true, .resume = true, .demand.verify = TLS_VERIFY_NONE };
    struct tls_settings settings = demand(cell, false, &pattern);
    make_offender(&offender, control ? &no_defect : cell->defect);
    struct tls_identity *identity = refuser_identity(&offender);
    struct tls_spec *shown = spec_of(offender.identity, cell->offender_side, &mutual);
    struct tls_spec *refuser = spec_of(identity, (enum tls_side) !cell->offender_side, &settings);
    if (cell->resume)
        shake_lenient(bench, cell, shown, identity);
    shake(&pair, bench, cell, shown, refuser);
    if (control)
        assert_open(&pair, cell->name);
    else
        check_refused(&pair, cell);
    pair_fini(&pair);
    mesh__tls_spec_unref(shown);
    mesh__tls_spec_unref(refuser);
    mesh__tls_identity_unref(identity);
    mesh__tls_bench_free(bench);
    free_offender(&offender);
}

START_TEST(each_defect_is_refused)
{
    for (int bits = 0; bits < 8; bits++) {
        struct cell cell = { .defect = &defects[_i], .offender_side = (enum tls_side)(bits & 1) };
        cell.mode = bits & 2 ? BY_NAME : BY_ID;
        cell.resume = (bits & 4) != 0;
        if (!(cell.defect->modes & cell.mode) ||
            ((cell.defect->except & NO_SERVER) && cell.offender_side == TLS_SERVER) ||
            ((cell.defect->except & NO_SESSION) && cell.resume))
            continue;
        (void)snprintf(cell.name, sizeof(cell.name), "%s of the %s by %s%s", cell.defect->name,
                       cell.offender_side == TLS_CLIENT ? "client" : "server", cell.mode == BY_ID ? "id" : "name",
                       cell.resume ? ", with a session" : "");
        run_cell(&cell, false);
    }
}
END_TEST

START_TEST(without_the_defect_each_is_accepted)
{
    struct cell cell = { .defect = &defects[0], .offender_side = (enum tls_side)(_i & 1), .name = "control" };
    cell.mode = _i & 2 ? BY_NAME : BY_ID;
    cell.resume = (_i & 4) != 0;
    run_cell(&cell, true);
}
END_TEST

/* ---- what changes while a session lives ---- */

static struct tls_spec *strict_spec(struct tls_identity *identity, enum tls_side side, struct spiffe_pattern *pattern)
{
    struct cell cell = { .mode = BY_ID };
    struct tls_settings settings = demand(&cell, false, pattern);
    return spec_of(identity, side, &settings);
}

/* A session ends with the certificate that began it: `longer` is the side whose certificate stays good. */
START_TEST(no_session_outlives_its_certificate)
{
    struct offender sides[2];
    struct tls_spec *specs[2];
    struct spiffe_pattern patterns[2];
    struct pair pair;
    enum tls_side longer = (enum tls_side)_i;
    struct tls_bench *bench = mesh__tls_bench_new(&mesh__mem_system);
    static const struct defect no_defect = { .make = none }, soon = { .make = expired };
    make_offender(&sides[longer], &no_defect);
    make_offender(&sides[!longer], &soon);
    for (int i = 0; i < 2; i++)
        specs[i] = strict_spec(sides[i].identity, (enum tls_side)i, &patterns[i]);
    for (int64_t now = T0 - 10; now < T0 + 2; now++) {
        bool good = now < T0;
        pair_init(&pair, bench, specs[TLS_CLIENT], specs[TLS_SERVER], "peer");
        pair.now = now;
        pair_shake(&pair);
        if (good) {
            assert_open(&pair, "before the end");
            exchange(&pair, "before the end");
            ck_assert_int_eq(report_of(&pair, TLS_CLIENT)->resumed, now > T0 - 10);
            ck_assert_str_eq(report_of(&pair, TLS_SERVER)->peer_id, "spiffe://shop/service");
        } else {
            ck_assert_int_eq(report_of(&pair, longer)->status, MESH_TLS_EXPIRED);
            ck_assert_int_eq(report_of(&pair, (enum tls_side) !longer)->status, MESH_TLS_REFUSED_BY_PEER);
        }
        pair_fini(&pair);
    }
    for (int i = 0; i < 2; i++) {
        mesh__tls_spec_unref(specs[i]);
        free_offender(&sides[i]);
    }
    mesh__tls_bench_free(bench);
}
END_TEST

/* ---- federation, and clients without a certificate ---- */

static void federate(const char *peer_domain, bool own_authority, mesh_status expected)
{
    struct issued authority = { NULL, NULL }, leaf;
    char uri[64];
    const char *const id[] = { uri };
    struct issue_request request = authority_request("root"); /* the same name on purpose */
    struct pair pair;
    struct tls_bench *bench = mesh__tls_bench_new(&mesh__mem_system);
    struct tls_settings settings = { .with_certificate = true, .resume = true };
    issue(&request, NULL, &authority);
    (void)snprintf(uri, sizeof(uri), "spiffe://%s/service", peer_domain);
    request = svid_request(id);
    issue(&request, own_authority ? &authority : &certs.root, &leaf);
    struct tls_identity *peer = unchecked_identity(leaf.certificate, leaf.key, certs.root.certificate);
    struct tls_identity *judge = identity_at(&(struct papers){ certs.good_chain,
                                                               certs.good.key,
                                                               NULL,
                                                               { "shop", "bank" },
                                                               { certs.root.certificate, authority.certificate } },
                                             T0);
    for (int side = 0; side < 2; side++) {
        struct tls_settings offered = settings;
        offered.demand.verify = TLS_VERIFY_NONE;
        struct tls_spec *shown = spec_of(peer, (enum tls_side)side, &offered);
        struct tls_spec *strict = spec_of(judge, (enum tls_side) !side, &settings);
        for (int again = 0; again < 2; again++) {
            pair_init(&pair, bench, side == TLS_CLIENT ? shown : strict, side == TLS_CLIENT ? strict : shown, "peer");
            pair_shake(&pair);
            const struct tls_report *report = report_of(&pair, (enum tls_side) !side);
            ck_assert_msg(report->status == expected, "%s, side %d: %d %s", uri, side, (int)report->status,
                          report->words);
            if (expected == MESH_OK) {
                ck_assert_str_eq(report->peer_id, uri);
                ck_assert_int_eq(report->resumed, again);
                exchange(&pair, uri);
            }
            pair_fini(&pair);
        }
        mesh__tls_spec_unref(shown);
        mesh__tls_spec_unref(strict);
    }
    mesh__tls_identity_unref(peer);
    mesh__tls_identity_unref(judge);
    mesh__tls_bench_free(bench);
    issued_free(&authority);
    issued_free(&leaf);
}

/* Row 94: an authority speaks for its own trust domain only, although the other is trusted, too. */
START_TEST(the_peers_trust_domain_picks_the_bundle)
{
    federate("bank", true, MESH_OK);
    federate("shop", false, MESH_OK);
    federate("bank", false, MESH_TLS_UNKNOWN_AUTHORITY);
    federate("shop", true, MESH_TLS_UNKNOWN_AUTHORITY);
    federate("bank.example", true, MESH_TLS_WRONG_TRUST_DOMAIN);
}
END_TEST

START_TEST(a_client_without_certificate_is_refused)
{
    struct tls_identity *identity = identity_at(
        &(struct papers){ certs.good_chain, certs.good.key, NULL, { "shop" }, { certs.root.certificate } }, T0);
    struct tls_bench *bench = mesh__tls_bench_new(&mesh__mem_system);
    for (int verify = TLS_VERIFY_SPIFFE; verify <= TLS_VERIFY_NONE; verify++) {
        struct pair pair;
        struct tls_settings simple = { .resume = true };
        struct tls_settings mutual = { .with_certificate = true, .resume = true };
        mutual.demand.verify = (enum tls_verify)verify;
        mutual.demand.name = "service.example";
        struct tls_spec *client = spec_of(identity, TLS_CLIENT, &simple);
        struct tls_spec *server = spec_of(identity, TLS_SERVER, &mutual);
        struct tls_spec *open = spec_of(identity, TLS_SERVER, &simple);
        for (int i = 0; i < 2; i++) { /* then with a session of a server that asked for none */
            pair_init(&pair, bench, client, server, "peer");
            pair_shake(&pair);
            ck_assert_msg(report_of(&pair, TLS_SERVER)->status == MESH_TLS_NO_CERTIFICATE, "%d %s",
                          (int)report_of(&pair, TLS_SERVER)->status, report_of(&pair, TLS_SERVER)->words);
            ck_assert_msg(report_of(&pair, TLS_CLIENT)->status == MESH_TLS_REFUSED_BY_PEER, "verify %d: %d %s", verify,
                          (int)report_of(&pair, TLS_CLIENT)->status, report_of(&pair, TLS_CLIENT)->words);
            pair_fini(&pair);
            pair_init(&pair, bench, client, open, "peer");
            pair_shake(&pair);
            assert_open(&pair, "simple");
            exchange(&pair, "simple");
            pair_fini(&pair);
        }
        mesh__tls_spec_unref(client);
        mesh__tls_spec_unref(server);
        mesh__tls_spec_unref(open);
    }
    mesh__tls_bench_free(bench);
    mesh__tls_identity_unref(identity);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tls refusals");
    TCase *tc = tcase_create("matrix");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, each_defect_is_refused, 0, (int)COUNT(defects));
    tcase_add_loop_test(tc, without_the_defect_each_is_accepted, 0, 8);
    tcase_add_loop_test(tc, no_session_outlives_its_certificate, 0, 2);
    tcase_add_test(tc, the_peers_trust_domain_picks_the_bundle);
    tcase_add_test(tc, a_client_without_certificate_is_refused);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures > 0;
}
