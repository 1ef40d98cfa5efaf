/* SPDX-License-Identifier: Apache-2.0 */
/* renegotiation_test.c - a peer that asks for renegotiation ends the connection, whichever side it is (row 107).
 *
 * The peer that asks is a connection of the backend whose configuration is opened up from the inside. */
#include "pair.h"

#include "tls/tls_mbedtls.h"

static struct {
    struct issued root, leaf;
    struct tls_identity *identity;
    struct tls_bench *bench;
    struct tls_spec *specs[2];
} shop;

static void setup(void)
{
    static const char *const id[] = { "spiffe://shop/order" };
    struct issue_request request = authority_request("root");
    issue(&request, NULL, &shop.root);
    request = svid_request(id);
    issue(&request, &shop.root, &shop.leaf);
    shop.identity = identity_at(
        &(struct papers){ shop.leaf.certificate, shop.leaf.key, NULL, { "shop" }, { shop.root.certificate } }, T0);
    shop.bench = mesh__tls_bench_new(&mesh__mem_system);
    struct tls_settings settings = { .with_certificate = true };
    shop.specs[TLS_CLIENT] = spec_of(shop.identity, TLS_CLIENT, &settings);
    shop.specs[TLS_SERVER] = spec_of(shop.identity, TLS_SERVER, &settings);
}

static void teardown(void)
{
    mesh__tls_spec_unref(shop.specs[TLS_CLIENT]);
    mesh__tls_spec_unref(shop.specs[TLS_SERVER]);
    mesh__tls_identity_unref(shop.identity);
    mesh__tls_bench_free(shop.bench);
    issued_free(&shop.root);
    issued_free(&shop.leaf);
}

/* TLS 1.2, with renegotiation on the side that asks for it. */
static void open_up(struct tls_spec *spec, bool asks)
{
    struct tls_setup *setup_of = mesh__tls_setup_get(shop.bench, spec);
    ck_assert_ptr_nonnull(setup_of);
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    mbedtls_ssl_conf_max_tls_version(&setup_of->config, MBEDTLS_SSL_VERSION_TLS1_2);
#endif
    if (asks)
        mbedtls_ssl_conf_renegotiation(&setup_of->config, MBEDTLS_SSL_RENEGOTIATION_ENABLED);
    mesh__tls_setup_unref(setup_of);
}

START_TEST(a_request_for_renegotiation_ends_the_connection)
{
    enum tls_side asking = (enum tls_side)_i;
    struct pair pair;
    char bytes[8];
    open_up(shop.specs[TLS_CLIENT], asking == TLS_CLIENT);
    open_up(shop.specs[TLS_SERVER], asking == TLS_SERVER);
    pair_init(&pair, shop.bench, shop.specs[TLS_CLIENT], shop.specs[TLS_SERVER], NULL);
    pair_shake(&pair);
    assert_open(&pair, "renegotiation");
    ck_assert_str_eq(report_of(&pair, TLS_CLIENT)->version, "TLSv1.2");
    exchange(&pair, "before");
    struct pipe *pipe = pair.ends[asking].out;
    ck_assert_uint_eq(pipe->end - pipe->begin, 0);
    (void)mbedtls_ssl_renegotiate(&pair.sides[asking]->ssl);
    ck_assert_uint_gt(pipe->end - pipe->begin, 0); /* the request is on its way */
    ck_assert_int_eq(mesh__tls_read(pair.sides[!asking], bytes, sizeof(bytes)), -ECONNRESET);
    ck_assert_int_eq(mesh__tls_read(pair.sides[!asking], bytes, sizeof(bytes)), -ECONNRESET);
    ck_assert_int_eq(put(&pair, (enum tls_side) !asking, "more", 4), -ECONNRESET);
    pair_fini(&pair);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tls renegotiation");
    TCase *tc = tcase_create("renegotiation");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, a_request_for_renegotiation_ends_the_connection, 0, 2);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures > 0;
}
