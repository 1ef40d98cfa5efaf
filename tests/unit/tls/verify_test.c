/* SPDX-License-Identifier: Apache-2.0 */
/* verify_test.c - the rules for a peer's leaf certificate: each defect alone makes a good one refused.
 *
 * Rows 92, 94, 95, 96 and 97 of the catalogue, below the backend: what certificates say comes as a struct tls_leaf. */
#include "tls/verify.h"

#include <check.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MAX_SANS 4
#define MAX_PEERS 3

static const struct tls_san no_san;

static struct tls_san uri(const char *text)
{
    return (struct tls_san){ TLS_SAN_URI, mesh__view_of(text) };
}

static struct tls_san dns(const char *text)
{
    return (struct tls_san){ TLS_SAN_DNS, mesh__view_of(text) };
}

static struct tls_san ip(const char *bytes, size_t size)
{
    return (struct tls_san){ TLS_SAN_IP, mesh__view(bytes, size) };
}

/* ---- a leaf, a demand and the verdict ---- */

struct scene {
    struct tls_san sans[MAX_SANS];
    struct tls_leaf leaf;
    struct spiffe_pattern peers[MAX_PEERS];
    struct tls_demand demand;
    struct spiffe_id id;
    const char *why;
};

static void add(struct scene *scene, struct tls_san san)
{
    ck_assert_uint_lt(scene->leaf.san_count, MAX_SANS);
    scene->sans[scene->leaf.san_count++] = san;
    scene->leaf.sans = scene->sans;
    scene->leaf.uri_count += san.kind == TLS_SAN_URI;
}

static void expect(struct scene *scene, const char *pattern)
{
    ck_assert_uint_lt(scene->demand.peer_count, MAX_PEERS);
    ck_assert_ptr_null(mesh__spiffe_parse_pattern(mesh__view_of(pattern), &scene->peers[scene->demand.peer_count++]));
    scene->demand.peers = scene->peers;
}

/* What the standard asks of a leaf, for both sides, with `san` as its first name. */
static void begin(struct scene *scene, enum tls_verify verify, struct tls_san san)
{
    memset(scene, 0, sizeof(*scene));
    scene->demand.verify = verify;
    scene->leaf.has_key_usage = scene->leaf.digital_signature = true;
    scene->leaf.has_extended_key_usage = scene->leaf.for_server = scene->leaf.for_client = true;
    if (san.value.data)
        add(scene, san);
}

static mesh_status judge(struct scene *scene, enum tls_side peer)
{
    memset(&scene->id, 0xa5, sizeof(scene->id));
    scene->why = "unset";
    mesh_status status = mesh__tls_verify_leaf(&scene->demand, &scene->leaf, peer, &scene->id, &scene->why);
    ck_assert_msg((scene->why == NULL) == (status == MESH_OK), "words just when it is refused");
    return status;
}

static void is_refused(struct scene *scene, enum tls_side peer, mesh_status status, const char *words)
{
    mesh_status got = judge(scene, peer);
    ck_assert_msg(got == status, "%s: status %d, %s", words, (int)got, scene->why ? scene->why : "accepted");
    ck_assert_msg(strstr(scene->why, words) != NULL, "%s: %s", words, scene->why);
}

static bool has_id(const struct scene *scene, const char *text)
{
    return mesh__view_equal(scene->id.text, mesh__view_of(text));
}

/* ---- X509-SVID ---- */

START_TEST(svid)
{
    struct scene scene;
    begin(&scene, TLS_VERIFY_SPIFFE, uri("spiffe://shop/order"));
    for (int peer = TLS_CLIENT; peer <= TLS_SERVER; peer++) {
        ck_assert_int_eq(judge(&scene, (enum tls_side)peer), MESH_OK);
        ck_assert(has_id(&scene, "spiffe://shop/order"));
        ck_assert(mesh__view_equal(scene.id.trust_domain, mesh__view_of("shop")));
        ck_assert(mesh__view_equal(scene.id.path, mesh__view_of("/order")));
    }
    add(&scene, dns("order.shop.example"));
    add(&scene, ip("\x7f\0\0\1", 4));
    ck_assert_msg(judge(&scene, TLS_SERVER) == MESH_OK, "other names are no matter");
    begin(&scene, TLS_VERIFY_SPIFFE, dns("order.shop.example"));
    add(&scene, uri("spiffe://shop/order"));
    ck_assert_msg(judge(&scene, TLS_SERVER) == MESH_OK, "nor is their order");
}
END_TEST

/* Row 96: a leaf that is an authority, or whose key is not for signing handshakes. Each flag alone decides. */
START_TEST(flags)
{
    static const struct {
        struct tls_leaf leaf;
        const char *words; /* NULL: accepted */
    } rows[] = {
        { { .has_key_usage = true, .digital_signature = true }, NULL },
        { { .has_key_usage = true, .digital_signature = true, .is_ca = true }, "authority's" },
        { { .has_key_usage = true, .digital_signature = true, .cert_sign = true }, "keyCertSign" },
        { { .has_key_usage = true, .digital_signature = true, .crl_sign = true }, "cRLSign" },
        { { .has_key_usage = true, .digital_signature = true, .cert_sign = true, .crl_sign = true }, "keyCertSign" },
        { { .has_key_usage = true }, "lacks digitalSignature" },
        { { .has_key_usage = false }, "no key usage" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct scene scene;
        begin(&scene, TLS_VERIFY_SPIFFE, no_san);
        scene.leaf = rows[i].leaf;
        add(&scene, uri("spiffe://shop/order"));
        for (int peer = TLS_CLIENT; peer <= TLS_SERVER; peer++) {
            if (rows[i].words == NULL) {
                ck_assert_int_eq(judge(&scene, (enum tls_side)peer), MESH_OK);
                continue;
            }
            is_refused(&scene, (enum tls_side)peer, MESH_TLS_BAD_CERTIFICATE, rows[i].words);
            ck_assert_msg(has_id(&scene, ""), "row %zu: a certificate that breaks a rule proves no id", i);
        }
    }
}
END_TEST

/* The extended key usage, if there, is for what the peer is; with an id as with a name. */
START_TEST(extended_key_usage)
{
    for (int bits = 0; bits < 16; bits++) {
        bool present = (bits & 1) != 0, server = (bits & 2) != 0, client = (bits & 4) != 0;
        struct scene scene;
        begin(&scene, bits & 8 ? TLS_VERIFY_NAME : TLS_VERIFY_SPIFFE, uri("spiffe://shop/order"));
        add(&scene, dns("shop.example"));
        scene.demand.name = "shop.example";
        scene.leaf.has_extended_key_usage = present;
        scene.leaf.for_server = server;
        scene.leaf.for_client = client;
        if (!present || server)
            ck_assert_msg(judge(&scene, TLS_SERVER) == MESH_OK, "case %d", bits);
        else
            is_refused(&scene, TLS_SERVER, MESH_TLS_BAD_CERTIFICATE, "lacks serverAuth");
        if (!present || client)
            ck_assert_msg(judge(&scene, TLS_CLIENT) == MESH_OK, "case %d", bits);
        else
            is_refused(&scene, TLS_CLIENT, MESH_TLS_BAD_CERTIFICATE, "lacks clientAuth");
    }
}
END_TEST

/* Row 95: two URIs, whatever they are and in whichever order; row 96: no URI, an empty one, one without a path. */
START_TEST(uris)
{
    static const struct {
        const char *first, *second;
        const char *words;
    } rows[] = {
        { "spiffe://shop/order", "spiffe://shop/stock", "several URIs" },
        { "spiffe://shop/order", "spiffe://shop/order", "several URIs" },
        { "spiffe://shop/order", "https://shop.example/", "several URIs" },
        { "https://shop.example/", "spiffe://shop/order", "several URIs" },
        { "spiffe://shop/order", "", "several URIs" },
        { "", "spiffe://shop/order", "several URIs" },
        { NULL, NULL, "no URI" },
        { "", NULL, "begins with" },
        { "spiffe://shop", NULL, "has no path" },
        { "spiffe://shop/", NULL, "end in a slash" },
        { "https://shop.example/order", NULL, "begins with" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct scene scene;
        begin(&scene, TLS_VERIFY_SPIFFE, dns("spiffe://shop/order"));
        if (rows[i].first)
            add(&scene, uri(rows[i].first));
        if (rows[i].second)
            add(&scene, uri(rows[i].second));
        is_refused(&scene, TLS_SERVER, MESH_TLS_BAD_CERTIFICATE, rows[i].words);
        ck_assert_msg(has_id(&scene, ""), "row %zu", i);
    }
}
END_TEST

/* Row 95: names beyond those that were handed over count, too. */
START_TEST(more_names_than_told)
{
    struct scene scene;
    begin(&scene, TLS_VERIFY_SPIFFE, uri("spiffe://shop/order"));
    scene.leaf.uri_count = 2;
    is_refused(&scene, TLS_SERVER, MESH_TLS_BAD_CERTIFICATE, "several URIs");
    begin(&scene, TLS_VERIFY_SPIFFE, dns("shop.example"));
    scene.leaf.uri_count = 1;
    is_refused(&scene, TLS_SERVER, MESH_TLS_BAD_CERTIFICATE, "too many names");
    begin(&scene, TLS_VERIFY_SPIFFE, uri("spiffe://shop/order"));
    add(&scene, uri("spiffe://shop/order"));
    scene.leaf.uri_count = 1;
    is_refused(&scene, TLS_SERVER, MESH_TLS_BAD_CERTIFICATE, "several URIs");
    begin(&scene, TLS_VERIFY_SPIFFE, uri("spiffe://shop/order"));
    scene.leaf.uri_count = 0;
    is_refused(&scene, TLS_SERVER, MESH_TLS_BAD_CERTIFICATE, "no URI");
}
END_TEST

/* Row 97: the grammar holds for what a certificate says, a NUL in its midst included. */
START_TEST(grammar)
{
    static const char *const rows[] = { "SPIFFE://shop/order",      "spiffe://Shop/order",    "spiffe://shop:443/order",
                                        "spiffe://user@shop/order", "spiffe://shop/%6frder",  "spiffe://shop//order",
                                        "spiffe://shop/./order",    "spiffe://shop/../order", "spiffe://shop/order/",
                                        "spiffe://shop/order?a=b",  "spiffe://shop/order#a" };
    struct scene scene;
    for (size_t i = 0; i < COUNT(rows); i++) {
        begin(&scene, TLS_VERIFY_SPIFFE, uri(rows[i]));
        ck_assert_msg(judge(&scene, TLS_SERVER) == MESH_TLS_BAD_CERTIFICATE, "%s", rows[i]);
    }
    static const char nul[] = "spiffe://shop/order\0.evil";
    begin(&scene, TLS_VERIFY_SPIFFE, (struct tls_san){ TLS_SAN_URI, mesh__view(nul, sizeof(nul) - 1) });
    expect(&scene, "spiffe://shop/order");
    is_refused(&scene, TLS_SERVER, MESH_TLS_BAD_CERTIFICATE, "path holds");
    static char text[SPIFFE_ID_MAX + 1];
    memset(text, 'a', sizeof(text));
    memcpy(text, "spiffe://shop/", 14);
    begin(&scene, TLS_VERIFY_SPIFFE, (struct tls_san){ TLS_SAN_URI, mesh__view(text, SPIFFE_ID_MAX) });
    ck_assert_int_eq(judge(&scene, TLS_SERVER), MESH_OK);
    begin(&scene, TLS_VERIFY_SPIFFE, (struct tls_san){ TLS_SAN_URI, mesh__view(text, SPIFFE_ID_MAX + 1) });
    is_refused(&scene, TLS_SERVER, MESH_TLS_BAD_CERTIFICATE, "at most 2048");
}
END_TEST

/* Row 94: who is expected, and which word says that it is somebody else. */
START_TEST(expected)
{
    static const struct {
        const char *peers[MAX_PEERS];
        const char *id;
        mesh_status status;
    } rows[] = {
        { { NULL }, "spiffe://shop/order", MESH_OK },
        { { "spiffe://shop/order" }, "spiffe://shop/order", MESH_OK },
        { { "spiffe://shop/*" }, "spiffe://shop/order", MESH_OK },
        { { "spiffe://bank/pay", "spiffe://shop/order" }, "spiffe://shop/order", MESH_OK },
        { { "spiffe://shop/order" }, "spiffe://shop/intruder", MESH_TLS_WRONG_ID },
        { { "spiffe://shop/order" }, "spiffe://shop/order/x", MESH_TLS_WRONG_ID },
        { { "spiffe://shop/ns/prod/*" }, "spiffe://shop/ns/production/x", MESH_TLS_WRONG_ID },
        { { "spiffe://bank/*", "spiffe://shop/order" }, "spiffe://shop/intruder", MESH_TLS_WRONG_ID },
        { { "spiffe://shop/order", "spiffe://bank/*" }, "spiffe://shop/intruder", MESH_TLS_WRONG_ID },
        { { "spiffe://shop/order" }, "spiffe://bank/order", MESH_TLS_WRONG_TRUST_DOMAIN },
        { { "spiffe://td.example/*" }, "spiffe://td.example.evil/a", MESH_TLS_WRONG_TRUST_DOMAIN },
        { { "spiffe://td.example/a" }, "spiffe://td.example.evil/a", MESH_TLS_WRONG_TRUST_DOMAIN },
        { { "spiffe://td.example.evil/*" }, "spiffe://td.example/a", MESH_TLS_WRONG_TRUST_DOMAIN },
        { { "spiffe://a/x", "spiffe://b/x", "spiffe://c/*" }, "spiffe://d/x", MESH_TLS_WRONG_TRUST_DOMAIN },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct scene scene;
        begin(&scene, TLS_VERIFY_SPIFFE, uri(rows[i].id));
        for (size_t p = 0; p < MAX_PEERS && rows[i].peers[p]; p++)
            expect(&scene, rows[i].peers[p]);
        mesh_status status = judge(&scene, TLS_SERVER);
        ck_assert_msg(status == rows[i].status, "row %zu: %d", i, (int)status);
        ck_assert_msg(has_id(&scene, rows[i].id), "row %zu: a refusal can tell who it was", i);
    }
}
END_TEST

/* ---- names ---- */

/* Row 92: by DNS name or address in the certificate. There is no field for a common name, so none can match. */
START_TEST(names)
{
    static const char v4[] = "\x7f\0\0\1", v6[] = "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1";
    static const char mapped[] = "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1";
    static const struct {
        const char *name;
        struct tls_san san;
        bool matches;
    } rows[] = {
        { "shop.example", { TLS_SAN_DNS, { "shop.example", 12 } }, true },
        { "Shop.Example", { TLS_SAN_DNS, { "shop.example", 12 } }, true },
        { "shop.example.", { TLS_SAN_DNS, { "shop.example", 12 } }, true },
        { "shop.example", { TLS_SAN_DNS, { "evil.example", 12 } }, false },
        { "shop.example", { TLS_SAN_DNS, { "shop.example\0.evil", 18 } }, false },
        { "shop.example", { TLS_SAN_URI, { "shop.example", 12 } }, false },
        { "shop.example", { TLS_SAN_IP, { "shop.example", 12 } }, false },
        { "127.0.0.1", { TLS_SAN_IP, { v4, 4 } }, true },
        { "127.0.0.2", { TLS_SAN_IP, { v4, 4 } }, false },
        { "127.0.0.1", { TLS_SAN_DNS, { "127.0.0.1", 9 } }, false },
        { "127.0.0.1", { TLS_SAN_DNS, { "*.0.0.1", 7 } }, false },
        { "127.0.0.1", { TLS_SAN_IP, { "127.0.0.1", 9 } }, false },
        { "127.0.0.1", { TLS_SAN_IP, { mapped, 16 } }, false },
        { "::ffff:127.0.0.1", { TLS_SAN_IP, { mapped, 16 } }, true },
        { "::ffff:127.0.0.1", { TLS_SAN_IP, { v4, 4 } }, false },
        { "::1", { TLS_SAN_IP, { v6, 16 } }, true },
        { "0:0::1", { TLS_SAN_IP, { v6, 16 } }, true },
        { "::2", { TLS_SAN_IP, { v6, 16 } }, false },
        { "::1", { TLS_SAN_IP, { v6, 4 } }, false },
        { "::1", { TLS_SAN_IP, { v6, 0 } }, false },
        { "::1", { TLS_SAN_DNS, { "::1", 3 } }, false },
        { "", { TLS_SAN_DNS, { "", 0 } }, false },
        { "", { TLS_SAN_IP, { v4, 0 } }, false },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct scene scene;
        begin(&scene, TLS_VERIFY_NAME, dns("other.example"));
        scene.demand.name = rows[i].name;
        is_refused(&scene, TLS_SERVER, MESH_TLS_WRONG_NAME, "expected name");
        add(&scene, rows[i].san);
        mesh_status status = judge(&scene, TLS_SERVER);
        ck_assert_msg(status == (rows[i].matches ? MESH_OK : MESH_TLS_WRONG_NAME), "row %zu: %d", i, (int)status);
    }
}
END_TEST

/* Row 92: without any name in the certificate there is nothing to fall back to. */
START_TEST(no_names)
{
    struct scene scene;
    begin(&scene, TLS_VERIFY_NAME, no_san);
    scene.demand.name = "shop.example";
    is_refused(&scene, TLS_SERVER, MESH_TLS_WRONG_NAME, "expected name");
    begin(&scene, TLS_VERIFY_SPIFFE, no_san);
    is_refused(&scene, TLS_SERVER, MESH_TLS_BAD_CERTIFICATE, "no URI");
}
END_TEST

/* Beyond SPIFFE a leaf need not be an X509-SVID, but its key must be for signing if the certificate says what for. */
START_TEST(usage_by_name)
{
    struct scene scene;
    begin(&scene, TLS_VERIFY_NAME, dns("shop.example"));
    scene.demand.name = "shop.example";
    scene.leaf.digital_signature = false;
    is_refused(&scene, TLS_SERVER, MESH_TLS_BAD_CERTIFICATE, "lacks digitalSignature");
    scene.leaf.has_key_usage = false;
    ck_assert_int_eq(judge(&scene, TLS_SERVER), MESH_OK);
    add(&scene, uri("https://a/"));
    add(&scene, uri("https://b/"));
    ck_assert_int_eq(judge(&scene, TLS_SERVER), MESH_OK);
    ck_assert(has_id(&scene, ""));
}
END_TEST

START_TEST(name_matches)
{
    static const struct {
        const char *pattern, *name;
        bool matches;
    } rows[] = {
        { "shop", "shop", true },
        { "a.b", "A.B", true },
        { "A.B", "a.b", true },
        { "a.b", "a.b.", true },
        { "a.b.", "a.b", false },
        { "a.b.", "a.b.", false },
        { "a.b", "a.b..", false },
        { "a.b", ".", false },
        { "", "", false },
        { ".", ".", false },
        { "a..b", "a..b", false },
        { ".a", ".a", false },
        { "a b", "a b", false },
        { "a_b.c", "a_b.c", true },
        { "xn--caf-dma.example", "xn--caf-dma.example", true },
        { "*.shop.example", "a.shop.example", true },
        { "*.shop.example", "A.Shop.Example.", true },
        { "*.shop.example", "xn--caf-dma.shop.example", true },
        { "*.shop.example", "shop.example", false },
        { "*.shop.example", ".shop.example", false },
        { "*.shop.example", "a.b.shop.example", false },
        { "*.shop.example", "a.shop.example.evil", false },
        { "*.shop.example", "a.shopxexample", false },
        { "*.shop.example", "*.shop.example", false },
        { "*.example", "shop.example", false },
        { "*.", "a.", false },
        { "*..", "a.", false },
        { "*", "shop", false },
        { "*", "shop.example", false },
        { "*.*", "shop.example", false },
        { "*.*.example", "a.b.example", false },
        { "a.*.example", "a.b.example", false },
        { "a*.shop.example", "ab.shop.example", false },
        { "*a.shop.example", "ba.shop.example", false },
        { "a*b.shop.example", "axb.shop.example", false },
        { "**.shop.example", "a.shop.example", false },
        { "127.0.0.1", "127.0.0.1", false },
        { "*.0.0.1", "127.0.0.1", false },
        { "256.1", "256.1", false },
        { "256", "256", false },
        { "1.a", "1.a", true },
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        ck_assert_msg(mesh__tls_name_matches(mesh__view_of(rows[i].pattern), mesh__view_of(rows[i].name)) ==
                          rows[i].matches,
                      "%s, %s", rows[i].pattern, rows[i].name);
    ck_assert_msg(!mesh__tls_name_matches(mesh__view("*.example.", 9), mesh__view_of("a.example")),
                  "a name ends where its view does");
}
END_TEST

/* 256 bytes at a place of the name, the certificate saying the same. */
START_TEST(name_sweep)
{
    for (int byte = 0; byte < 256; byte++) {
        char text[] = "a!b.example";
        text[1] = (char)byte;
        struct view name = mesh__view(text, sizeof(text) - 1);
        bool good = byte != 0 && strchr("0123456789-_.abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", byte);
        ck_assert_msg(mesh__tls_name_matches(name, name) == good, "0x%02x", (unsigned)byte);
    }
    char text[256];
    memset(text, 'a', sizeof(text));
    ck_assert(mesh__tls_name_matches(mesh__view(text, 63), mesh__view(text, 63)));
    ck_assert(!mesh__tls_name_matches(mesh__view(text, 64), mesh__view(text, 64)));
    for (size_t i = 1; i < sizeof(text); i += 2)
        text[i] = '.';
    ck_assert(mesh__tls_name_matches(mesh__view(text, 253), mesh__view(text, 253)));
    ck_assert(!mesh__tls_name_matches(mesh__view(text, 255), mesh__view(text, 255)));
}
END_TEST

/* ---- none ---- */

START_TEST(none)
{
    struct scene scene;
    begin(&scene, TLS_VERIFY_NONE, uri("spiffe://shop/order"));
    scene.leaf.is_ca = scene.leaf.cert_sign = true;
    scene.leaf.digital_signature = scene.leaf.for_server = false;
    ck_assert_int_eq(judge(&scene, TLS_SERVER), MESH_OK);
    ck_assert(has_id(&scene, "spiffe://shop/order"));
    add(&scene, uri("spiffe://shop/stock"));
    ck_assert_int_eq(judge(&scene, TLS_SERVER), MESH_OK);
    ck_assert_msg(has_id(&scene, ""), "of two ids none is the peer's");
    begin(&scene, TLS_VERIFY_NONE, no_san);
    ck_assert_int_eq(judge(&scene, TLS_CLIENT), MESH_OK);
    ck_assert(has_id(&scene, ""));
    scene.demand.verify = (enum tls_verify)7;
    is_refused(&scene, TLS_SERVER, MESH_TLS_BAD_CERTIFICATE, "no way of verification");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("verify");
    TCase *tcase = tcase_create("verify");
    tcase_add_test(tcase, svid);
    tcase_add_test(tcase, flags);
    tcase_add_test(tcase, extended_key_usage);
    tcase_add_test(tcase, uris);
    tcase_add_test(tcase, more_names_than_told);
    tcase_add_test(tcase, grammar);
    tcase_add_test(tcase, expected);
    tcase_add_test(tcase, names);
    tcase_add_test(tcase, no_names);
    tcase_add_test(tcase, usage_by_name);
    tcase_add_test(tcase, name_matches);
    tcase_add_test(tcase, name_sweep);
    tcase_add_test(tcase, none);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
