/* SPDX-License-Identifier: Apache-2.0 */
/* identity_test.c - what an identity is made of is read whole or refused; specs refuse what their identity lacks.
 *
 * Rows 99, 102, 105 and 106 of the catalogue. */
#include "pair.h"

static const char *const order_id[] = { "spiffe://shop/order" };

static struct {
    struct issued root, other_root, intermediate, order, other;
    char *chain, *list, *other_list, *two_roots;
} certs;

static void setup(void)
{
    const char *problem = NULL;
    struct issue_request request = authority_request("root");
    issue(&request, NULL, &certs.root);
    issue(&request, NULL, &certs.other_root);
    issue(&request, &certs.root, &certs.intermediate);
    request = svid_request(order_id);
    issue(&request, &certs.intermediate, &certs.order);
    issue(&request, &certs.root, &certs.other);
    certs.chain = join(certs.order.certificate, certs.intermediate.certificate);
    certs.two_roots = join(certs.root.certificate, certs.other_root.certificate);
    const char *none[] = { NULL };
    ck_assert_msg(issue_crl(&certs.root, none, 0, T0 - HOUR, T0 + HOUR, &certs.list, &problem), "%s", problem);
    ck_assert_msg(issue_crl(&certs.other_root, none, 0, T0 - HOUR, T0 + HOUR, &certs.other_list, &problem), "%s",
                  problem);
}

static void teardown(void)
{
    issued_free(&certs.root);
    issued_free(&certs.other_root);
    issued_free(&certs.intermediate);
    issued_free(&certs.order);
    issued_free(&certs.other);
    free(certs.chain);
    free(certs.list);
    free(certs.other_list);
    free(certs.two_roots);
}

static struct papers good_papers(void)
{
    return (struct papers){ certs.chain, certs.order.key, certs.list, { "shop" }, { certs.root.certificate } };
}

static void refused(const struct papers *papers, int64_t now, enum tls_part part, size_t bundle, const char *words)
{
    struct tls_identity *identity = NULL;
    struct tls_problem problem;
    mesh_status status = try_identity_at(papers, now, &identity, &problem);
    ck_assert_msg(status == MESH_ECONFIG, "%s: status %d, %s", words, (int)status, problem.words);
    ck_assert_ptr_null(identity);
    ck_assert_msg(problem.part == part && problem.bundle == bundle, "%s: part %d %zu, %s", words, (int)problem.part,
                  problem.bundle, problem.words);
    ck_assert_msg(strstr(problem.words, words) != NULL, "\"%s\" is not in \"%s\"", words, problem.words);
}

static void accepted(const struct papers *papers)
{
    struct tls_identity *identity = identity_at(papers, T0);
    mesh__tls_identity_unref(identity);
}

/* The text with the `occurrence`-th `what` (from 1) replaced by `by`; freed by the caller. */
static char *changed(const char *text, const char *what, int occurrence, const char *by)
{
    const char *at = text;
    for (int i = 1; (at = strstr(at, what)) != NULL && i < occurrence; i++)
        at++;
    ck_assert_ptr_nonnull(at);
    char *result = NULL;
    ck_assert_int_gt(asprintf(&result, "%.*s%s%s", (int)(at - text), text, by, at + strlen(what)), 0);
    return result;
}

START_TEST(a_good_identity_is_known)
{
    struct papers papers = good_papers();
    struct tls_identity *identity = identity_at(&papers, T0), *again = identity_at(&papers, T0 + 1);
    ck_assert_str_eq(mesh__tls_identity_id(identity), "spiffe://shop/order");
    ck_assert(mesh__tls_identity_has_certificate(identity));
    ck_assert_int_eq(mesh__tls_identity_not_after(identity), (T0 + HOUR) * NS);
    ck_assert(mesh__tls_identity_has_bundle(identity, VIEW_LITERAL("shop")));
    ck_assert(!mesh__tls_identity_has_bundle(identity, VIEW_LITERAL("sho")));
    ck_assert(mesh__tls_identity_same(identity, again));
    mesh__tls_identity_unref(again);
    papers.crl = NULL;
    again = identity_at(&papers, T0);
    ck_assert(!mesh__tls_identity_same(identity, again));
    mesh__tls_identity_unref(again);
    mesh__tls_identity_ref(identity);
    mesh__tls_identity_unref(identity);
    ck_assert_str_eq(mesh__tls_identity_id(identity), "spiffe://shop/order");
    mesh__tls_identity_unref(identity);
    mesh__tls_identity_unref(NULL);
    papers = (struct papers){ NULL, NULL, NULL, { "shop" }, { certs.root.certificate } };
    identity = identity_at(&papers, T0);
    ck_assert(!mesh__tls_identity_has_certificate(identity));
    ck_assert_str_eq(mesh__tls_identity_id(identity), "");
    ck_assert_int_eq(mesh__tls_identity_not_after(identity), 0);
    mesh__tls_identity_unref(identity);
}
END_TEST

/* Row 105: key and certificate. */
START_TEST(key_and_certificate_belong_together)
{
    struct papers papers = good_papers();
    accepted(&papers);
    papers.key = certs.other.key;
    refused(&papers, T0, TLS_PART_KEY, 0, "the key does not belong to the certificate");
    papers.key = "";
    refused(&papers, T0, TLS_PART_KEY, 0, "no private key");
    papers.key = "hello";
    refused(&papers, T0, TLS_PART_KEY, 0, "cannot be read");
    papers = good_papers();
    papers.certificate = NULL;
    refused(&papers, T0, TLS_PART_CERTIFICATE, 0, "has no certificate");
    papers.certificate = certs.intermediate.certificate; /* reversed or wrong: not the leaf's */
    refused(&papers, T0, TLS_PART_KEY, 0, "the key does not belong");
    char *combined = join(certs.chain, certs.order.key);
    papers.certificate = combined;
    refused(&papers, T0, TLS_PART_CERTIFICATE, 0, "of another kind");
    free(combined);
}
END_TEST

START_TEST(dates_are_judged_when_it_is_made)
{
    struct papers papers = good_papers();
    refused(&papers, T0 + HOUR + 1, TLS_PART_CERTIFICATE, 0, "expired at 2027-01-15T09:00:00Z");
    refused(&papers, T0 - HOUR - 1, TLS_PART_CERTIFICATE, 0, "is not valid before 2027-01-15T07:00:00Z");
    mesh__tls_identity_unref(identity_at(&papers, T0 + HOUR));
    mesh__tls_identity_unref(identity_at(&papers, T0 - HOUR));
}
END_TEST

/* Row 105: a chain of which any byte was lost is not half a chain. */
START_TEST(corrupt_pem_is_refused)
{
    static const struct {
        const char *what;
        int occurrence;
        const char *by, *words;
    } cases[] = {
        { "-----BEGIN CERTIFICATE-----\n", 2, "", "damaged" },
        { "-----END CERTIFICATE-----\n", 1, "", "damaged" },
        { "-----END CERTIFICATE-----\n", 2, "", "has no end" },
        { "-----BEGIN", 2, "----BEGIN", "damaged" },
        { "-----BEGIN CERTIFICATE", 1, "-----BEGIN CERTIFICATE REQUEST", "another kind" },
        { "MII", 1, "MIJ", "certificate 1 of 2" },
        { "MII", 2, "MIJ", "certificate 2 of 2" },
        { "MII", 2, "M!I", "certificate 2 of 2" },
        { "MII", 2, "", "certificate 2 of 2" },
    };
    struct papers papers = good_papers();
    for (size_t i = 0; i < COUNT(cases); i++) {

        char *text = changed(certs.chain, cases[i].what, cases[i].occurrence, cases[i].by);
        papers.certificate = text;
        refused(&papers, T0, TLS_PART_CERTIFICATE, 0, cases[i].words);
        free(text);
    }
    char *text = join("Here is our chain:\n\n", certs.chain);
    papers.certificate = text; /* words around blocks are usual */
    accepted(&papers);
    free(text);
}
END_TEST

/* Every prefix of the PEM but the whole is refused, at every tenth byte. */
START_TEST(no_prefix_of_a_chain_is_a_chain)
{
    struct papers papers = good_papers();
    size_t size = strlen(certs.chain), first = strlen(certs.order.certificate);
    for (size_t kept = 0; kept + 1 < size; kept += 10) {
        struct tls_identity *identity = NULL;
        struct tls_problem problem;
        char *text = strndup(certs.chain, kept);
        papers.certificate = text;
        mesh_status status = try_identity_at(&papers, T0, &identity, &problem);
        bool whole = kept + 1 >= first && kept <= first + 4; /* four dashes are no block */
        ck_assert_msg(status == (whole ? MESH_OK : MESH_ECONFIG), "%zu of %zu bytes: %d", kept, size, (int)status);
        mesh__tls_identity_unref(identity);
        free(text);
    }
}
END_TEST

/* Row 106: one bad authority among good ones, and bundles that hold none. */
START_TEST(bundles_are_read_whole)
{
    struct papers papers = good_papers();
    papers.bundles[0] = certs.two_roots;
    accepted(&papers);
    char *text = changed(certs.two_roots, "MII", 2, "MIJ");
    papers.bundles[0] = text;
    refused(&papers, T0, TLS_PART_BUNDLE, 0, "certificate 2 of 2");
    papers = good_papers();
    papers.names[1] = "bank";
    papers.bundles[1] = text;
    refused(&papers, T0, TLS_PART_BUNDLE, 1, "certificate 2 of 2");
    free(text);
    papers.bundles[1] = "";
    refused(&papers, T0, TLS_PART_BUNDLE, 1, "empty");
    papers.bundles[1] = "no certificates today\n";
    refused(&papers, T0, TLS_PART_BUNDLE, 1, "no block");
    papers.bundles[1] = certs.order.key;
    refused(&papers, T0, TLS_PART_BUNDLE, 1, "another kind");
    papers.bundles[1] = certs.other_root.certificate;
    accepted(&papers);
    papers.names[1] = "shop";
    refused(&papers, T0, TLS_PART_BUNDLE, 1, "same name");
}
END_TEST

START_TEST(revocation_lists_come_from_an_authority)
{
    struct papers papers = good_papers();
    papers.crl = certs.other_list; /* the issuer's name is right, its key is not */
    refused(&papers, T0, TLS_PART_CRL, 0, "no authority of the bundles signed");
    papers.bundles[0] = certs.two_roots;
    accepted(&papers);
    char *both = join(certs.list, certs.other_list);
    papers.crl = both;
    accepted(&papers);
    papers.bundles[0] = certs.root.certificate;
    refused(&papers, T0, TLS_PART_CRL, 0, "no authority");
    free(both);
    char *text = changed(certs.list, "CRL-----\nM", 1, "CRL-----\nN");
    papers.crl = text;
    refused(&papers, T0, TLS_PART_CRL, 0, "cannot be read");
    free(text);
    papers.crl = certs.root.certificate;
    refused(&papers, T0, TLS_PART_CRL, 0, "another kind");
}
END_TEST

/* Row 102, and what an X509-SVID is; the first row is accepted. */
START_TEST(weak_and_odd_certificates_are_refused)
{
    static const struct {
        enum issue_key key;
        enum issue_hash hash;
        bool is_ca;
        uint32_t usage, extended;
        const char *words;
    } cases[] = {
        { ISSUE_P256, ISSUE_SHA256, false, ISSUE_DIGITAL_SIGNATURE, 0, NULL },
        { ISSUE_P384, ISSUE_SHA384, false, ISSUE_DIGITAL_SIGNATURE, ISSUE_FOR_SERVER, NULL },
        { ISSUE_RSA_2048, ISSUE_SHA256, false, ISSUE_DIGITAL_SIGNATURE, ISSUE_FOR_CLIENT, NULL },
        { ISSUE_RSA_1024, ISSUE_SHA256, false, ISSUE_DIGITAL_SIGNATURE, 0, "too weak: its RSA key" },
        { ISSUE_P256, ISSUE_SHA1, false, ISSUE_DIGITAL_SIGNATURE, 0, "too weak: it is signed" },
        { ISSUE_P256, ISSUE_SHA256, true, ISSUE_DIGITAL_SIGNATURE, 0, "authority" },
        { ISSUE_P256, ISSUE_SHA256, false, ISSUE_DIGITAL_SIGNATURE | ISSUE_CERT_SIGN, 0, "keyCertSign" },
        { ISSUE_P256, ISSUE_SHA256, false, ISSUE_KEY_AGREEMENT, 0, "digitalSignature" },
        { ISSUE_P256, ISSUE_SHA256, false, 0, 0, "key usage" },
        { ISSUE_P256, ISSUE_SHA256, false, ISSUE_DIGITAL_SIGNATURE, ISSUE_FOR_EMAIL, "extended key usage" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct issue_request request = svid_request(order_id);
        struct issued leaf;
        struct papers papers = good_papers();
        request.key = cases[i].key;
        request.hash = cases[i].hash;
        request.is_ca = cases[i].is_ca;
        request.usage = cases[i].usage;
        request.extended = cases[i].extended;
        issue(&request, &certs.root, &leaf);
        papers.certificate = leaf.certificate;
        papers.key = leaf.key;
        if (cases[i].words == NULL)
            accepted(&papers);
        else
            refused(&papers, T0, TLS_PART_CERTIFICATE, 0, cases[i].words);
        issued_free(&leaf);
    }
}
END_TEST

/* Row 99: mbedTLS cannot read critical name constraints, so it never passes over them. */
START_TEST(name_constraints_are_never_passed_over)
{
    struct issue_request request = authority_request("constrained");
    struct issued constrained;
    struct papers papers = good_papers();
    request.name_constraint = "other.example";
    issue(&request, &certs.root, &constrained);
    papers.bundles[0] = constrained.certificate;
    papers.crl = NULL;
    refused(&papers, T0, TLS_PART_BUNDLE, 0, "certificate 1 of 1");
    char *chain = join(certs.order.certificate, constrained.certificate);
    papers = good_papers();
    papers.certificate = chain;
    refused(&papers, T0, TLS_PART_CERTIFICATE, 0, "certificate 2 of 2");
    free(chain);
    issued_free(&constrained);
}
END_TEST

/* ---- specs ---- */

static void spec_is(const struct papers *papers, enum tls_side side, const struct tls_settings *settings,
                    enum tls_part part, const char *words)
{
    struct tls_identity *identity = identity_at(papers, T0);
    struct tls_spec *spec = NULL;
    struct tls_problem problem;
    mesh_status status = mesh__tls_spec_new(&mesh__mem_system, identity, side, settings, &spec, &problem);
    ck_assert_msg(status == (words ? MESH_ECONFIG : MESH_OK), "%s: %d %s", words, (int)status, problem.words);
    ck_assert_msg(!words || (problem.part == part && strstr(problem.words, words)), "%s: part %d, %s", words,
                  (int)problem.part, problem.words);
    if (spec)
        ck_assert_ptr_eq(mesh__tls_spec_identity(spec), identity);
    mesh__tls_spec_unref(spec);
    mesh__tls_identity_unref(identity);
}

START_TEST(specs_need_what_their_settings_need)
{
    struct papers trust = { NULL, NULL, NULL, { "shop" }, { certs.root.certificate } };
    struct papers none = { certs.chain, certs.order.key, NULL, { NULL }, { NULL } };
    struct papers two = good_papers(), good = good_papers();
    two.names[1] = "bank";
    two.bundles[1] = certs.other_root.certificate;
    struct tls_settings mutual = { .with_certificate = true }, simple = { .with_certificate = false };
    struct tls_settings blind = { .demand.verify = TLS_VERIFY_NONE };
    struct tls_settings named = { .demand = { .verify = TLS_VERIFY_NAME, .name = "a.example" } };
    struct tls_settings from_bank = named, from_moon = named, nameless = named;
    from_bank.bundle = "bank";
    from_moon.bundle = "moon";
    nameless.demand.name = NULL;
    for (int side = 0; side < 2; side++) {
        spec_is(&good, (enum tls_side)side, &mutual, TLS_PART_NONE, NULL);
        spec_is(&trust, (enum tls_side)side, &mutual, TLS_PART_CERTIFICATE, "needs a certificate");
        spec_is(&none, (enum tls_side)side, &mutual, TLS_PART_BUNDLE, "a bundle of authorities is needed");
    }
    spec_is(&trust, TLS_SERVER, &simple, TLS_PART_CERTIFICATE, "needs a certificate");
    spec_is(&none, TLS_SERVER, &simple, TLS_PART_NONE, NULL);
    spec_is(&trust, TLS_CLIENT, &simple, TLS_PART_NONE, NULL);
    spec_is(&none, TLS_CLIENT, &simple, TLS_PART_BUNDLE, "a bundle of authorities is needed");
    spec_is(&none, TLS_CLIENT, &blind, TLS_PART_NONE, NULL);
    spec_is(&good, TLS_CLIENT, &named, TLS_PART_NONE, NULL);
    spec_is(&good, TLS_CLIENT, &nameless, TLS_PART_NONE, "a name is needed");
    spec_is(&two, TLS_CLIENT, &named, TLS_PART_BUNDLE, "one must be named");
    spec_is(&two, TLS_CLIENT, &from_bank, TLS_PART_NONE, NULL);
    spec_is(&two, TLS_CLIENT, &from_moon, TLS_PART_BUNDLE, "there is no bundle \"moon\"");
}
END_TEST

START_TEST(a_certificate_for_one_side_serves_that_side)
{
    struct tls_settings mutual = { .with_certificate = true };
    for (int side = 0; side < 2; side++) {
        struct issue_request request = svid_request(order_id);
        struct issued leaf;
        struct papers papers = good_papers();
        request.extended = side == TLS_CLIENT ? ISSUE_FOR_CLIENT : ISSUE_FOR_SERVER;
        issue(&request, &certs.root, &leaf);
        papers.certificate = leaf.certificate;
        papers.key = leaf.key;
        spec_is(&papers, (enum tls_side)side, &mutual, TLS_PART_NONE, NULL);
        spec_is(&papers, (enum tls_side) !side, &mutual, TLS_PART_CERTIFICATE, "extended key usage lacks");
        issued_free(&leaf);
    }
}
END_TEST

/* A spec's settings are its own: what they were made from may go. */
START_TEST(settings_are_copied)
{
    struct papers papers = good_papers();
    struct tls_identity *identity = identity_at(&papers, T0);
    char pattern[] = "spiffe://shop/pay/*", name[] = "a.example", alpn_name[] = "http/1.1";
    struct spiffe_pattern peers[1];
    const char *alpn[] = { alpn_name };
    ck_assert_ptr_null(mesh__spiffe_parse_pattern(mesh__view_of(pattern), &peers[0]));
    struct tls_settings settings = { .with_certificate = true, .server_name = name, .alpn = alpn, .alpn_count = 1 };
    settings.demand.peers = peers;
    settings.demand.peer_count = 1;
    struct tls_spec *spec = spec_of(identity, TLS_CLIENT, &settings);
    memset(pattern, 'x', sizeof(pattern) - 1);
    memset(name, 'x', sizeof(name) - 1);
    memset(alpn_name, 'x', sizeof(alpn_name) - 1);
    memset(peers, 0, sizeof(peers));
    const struct tls_settings *kept = mesh__tls_spec_settings(spec);
    struct spiffe_id id;
    ck_assert_ptr_null(mesh__spiffe_parse(VIEW_LITERAL("spiffe://shop/pay/eu"), &id));
    ck_assert(mesh__spiffe_matches(&kept->demand.peers[0], &id));
    ck_assert_ptr_null(mesh__spiffe_parse(VIEW_LITERAL("spiffe://shop/order"), &id));
    ck_assert(!mesh__spiffe_matches(&kept->demand.peers[0], &id));
    ck_assert_str_eq(kept->server_name, "a.example");
    ck_assert_str_eq(kept->alpn[0], "http/1.1");
    mesh__tls_spec_unref(spec);
    mesh__tls_identity_unref(identity);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tls identity");
    TCase *tc = tcase_create("identities");
    tcase_set_timeout(tc, 60);
    tcase_add_unchecked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_good_identity_is_known);
    tcase_add_test(tc, key_and_certificate_belong_together);
    tcase_add_test(tc, dates_are_judged_when_it_is_made);
    tcase_add_test(tc, corrupt_pem_is_refused);
    tcase_add_test(tc, no_prefix_of_a_chain_is_a_chain);
    tcase_add_test(tc, bundles_are_read_whole);
    tcase_add_test(tc, revocation_lists_come_from_an_authority);
    tcase_add_test(tc, weak_and_odd_certificates_are_refused);
    tcase_add_test(tc, name_constraints_are_never_passed_over);
    tcase_add_test(tc, specs_need_what_their_settings_need);
    tcase_add_test(tc, a_certificate_for_one_side_serves_that_side);
    tcase_add_test(tc, settings_are_copied);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures > 0;
}
