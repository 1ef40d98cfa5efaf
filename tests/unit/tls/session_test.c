/* SPDX-License-Identifier: Apache-2.0 */
/* session_test.c - clients that take no tickets resume by their session's id (TLS 1.2), under the rules of tickets; and
 * tickets that come at an awkward time (TLS 1.3).
 *
 * A client without tickets is a connection of the backend whose configuration is changed from the inside. */
#include "pair.h"

#include "tls/tls_mbedtls.h"

static struct {
    struct issued root, leaf;
    struct tls_identity *identity;
    struct tls_bench *bench;
    struct tls_spec *specs[2];
} shop;

static const char *const order_id[] = { "spiffe://shop/order" };

static void setup(void)
{
    struct issue_request request = authority_request("root");
    issue(&request, NULL, &shop.root);
    request = svid_request(order_id);
    issue(&request, &shop.root, &shop.leaf);
    shop.identity = identity_at(
        &(struct papers){ shop.leaf.certificate, shop.leaf.key, NULL, { "shop" }, { shop.root.certificate } }, T0);
    shop.bench = mesh__tls_bench_new(&mesh__mem_system);
    struct tls_settings settings = { .with_certificate = true, .resume = true };
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

/* TLS 1.2, and no tickets. */
static void without_tickets(struct tls_spec *spec)
{
    struct tls_setup *setup_of = mesh__tls_setup_get(shop.bench, spec);
    ck_assert_ptr_nonnull(setup_of);
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    mbedtls_ssl_conf_max_tls_version(&setup_of->config, MBEDTLS_SSL_VERSION_TLS1_2);
#endif
    mbedtls_ssl_conf_session_tickets(&setup_of->config, MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
    mesh__tls_setup_unref(setup_of);
}

/* Whether a session is resumed between the two, which know each other either way. */
static bool resumes(struct tls_spec *client, struct tls_spec *server, int64_t now)
{
    struct pair pair;
    pair_init(&pair, shop.bench, client, server, "peer");
    pair.now = now;
    pair_shake(&pair);
    assert_open(&pair, "session id");
    exchange(&pair, "session id");
    bool resumed = report_of(&pair, TLS_CLIENT)->resumed;
    ck_assert_int_eq(report_of(&pair, TLS_SERVER)->resumed, resumed);
    ck_assert_str_eq(report_of(&pair, TLS_CLIENT)->version, "TLSv1.2");
    bool mutual = mesh__tls_spec_settings(server)->with_certificate;
    ck_assert_str_eq(report_of(&pair, TLS_SERVER)->peer_id, mutual ? "spiffe://shop/order" : "");
    pair_fini(&pair);
    return resumed;
}

START_TEST(sessions_are_resumed_by_id)
{
    struct tls_settings simple = { .resume = true };
    struct tls_spec *server = shop.specs[TLS_SERVER];
    if (_i == 1)
        server = spec_of(shop.identity, TLS_SERVER, &simple);
    else
        mesh__tls_spec_ref(server);
    without_tickets(shop.specs[TLS_CLIENT]);
    ck_assert(!resumes(shop.specs[TLS_CLIENT], server, T0));
    for (int i = 1; i < 5; i++)
        ck_assert(resumes(shop.specs[TLS_CLIENT], server, T0 + i));
    ck_assert(!resumes(shop.specs[TLS_CLIENT], server, T0 + 3600)); /* as long as a ticket is good */
    ck_assert(resumes(shop.specs[TLS_CLIENT], server, T0 + 3600));
    mesh__tls_spec_unref(server);
}
END_TEST

/* Row 113: another spec knows none of them. */
START_TEST(ids_are_the_specs_own)
{
    struct tls_settings settings = { .with_certificate = true, .resume = true }, off = { .with_certificate = true };
    struct tls_spec *other = spec_of(shop.identity, TLS_SERVER, &settings);
    struct tls_spec *without = spec_of(shop.identity, TLS_SERVER, &off);
    without_tickets(shop.specs[TLS_CLIENT]);
    ck_assert(!resumes(shop.specs[TLS_CLIENT], shop.specs[TLS_SERVER], T0));
    ck_assert(!resumes(shop.specs[TLS_CLIENT], other, T0));
    ck_assert(resumes(shop.specs[TLS_CLIENT], other, T0));
    ck_assert(!resumes(shop.specs[TLS_CLIENT], without, T0));
    ck_assert(!resumes(shop.specs[TLS_CLIENT], without, T0));
    mesh__tls_spec_unref(other);
    mesh__tls_spec_unref(without);
}
END_TEST

/* What was verified then is judged as of now: a certificate that has run out opens nothing. */
START_TEST(no_id_outlives_its_certificate)
{
    struct pair pair;
    without_tickets(shop.specs[TLS_CLIENT]);
    struct issue_request request = svid_request(order_id);
    struct issued leaf;
    request.not_after = T0 + 10;
    issue(&request, &shop.root, &leaf);
    struct tls_identity *identity =
        identity_at(&(struct papers){ leaf.certificate, leaf.key, NULL, { "shop" }, { shop.root.certificate } }, T0);
    struct tls_settings settings = { .with_certificate = true, .resume = true };
    struct tls_spec *client = spec_of(identity, TLS_CLIENT, &settings);
    without_tickets(client);
    ck_assert(!resumes(client, shop.specs[TLS_SERVER], T0));
    ck_assert(resumes(client, shop.specs[TLS_SERVER], T0 + 10));
    pair_init(&pair, shop.bench, client, shop.specs[TLS_SERVER], "peer");
    pair.now = T0 + 11;
    pair_shake(&pair);
    ck_assert_int_eq(report_of(&pair, TLS_SERVER)->status, MESH_TLS_EXPIRED);
    pair_fini(&pair);
    mesh__tls_spec_unref(client);
    mesh__tls_identity_unref(identity);
    issued_free(&leaf);
}
END_TEST

/* TLS 1.3's tickets come behind the handshake, perhaps while a write is held back: it goes out once and whole. */
START_TEST(a_ticket_behind_a_write_that_waits)
{
    struct pair pair;
    char bytes[1000], got[1000];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)i;
    pair_init(&pair, shop.bench, shop.specs[TLS_CLIENT], shop.specs[TLS_SERVER], "peer");
    for (int rounds = 0; pair.wants[TLS_CLIENT] != TLS_DONE || pair.wants[TLS_SERVER] != TLS_DONE; rounds++) {
        ck_assert_int_lt(rounds, 1000);
        for (int side = 0; side < 2; side++)
            if (pair.wants[side] != TLS_DONE)
                pair_step(&pair, side);
    }
    pair.up.capacity = pair.up.end - pair.up.begin + 1;
    ck_assert_int_eq(put(&pair, TLS_CLIENT, bytes, sizeof(bytes)), -EAGAIN);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(mesh__tls_read(pair.sides[TLS_CLIENT], got, sizeof(got)), -EAGAIN);
        pair.up.capacity += 10;
        ck_assert_int_eq(put(&pair, TLS_CLIENT, bytes, sizeof(bytes)), -EAGAIN);
    }
    pair.up.capacity = 0;
    ck_assert_int_eq(put(&pair, TLS_CLIENT, bytes, sizeof(bytes)), sizeof(bytes));
    ck_assert_int_eq(mesh__tls_read(pair.sides[TLS_SERVER], got, sizeof(got)), sizeof(bytes));
    ck_assert_mem_eq(got, bytes, sizeof(bytes));
    ck_assert_int_eq(mesh__tls_read(pair.sides[TLS_SERVER], got, sizeof(got)), -EAGAIN);
    ck_assert_int_eq(mesh__tls_wants(pair.sides[TLS_CLIENT], false), TLS_WANTS_READ);
    exchange(&pair, "behind the ticket");
    pair_fini(&pair);
    pair_init(&pair, shop.bench, shop.specs[TLS_CLIENT], shop.specs[TLS_SERVER], "peer");
    pair_shake(&pair);
    assert_open(&pair, "resumed");
    ck_assert(report_of(&pair, TLS_CLIENT)->resumed);
    pair_fini(&pair);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tls sessions");
    TCase *tc = tcase_create("sessions");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, sessions_are_resumed_by_id, 0, 2);
    tcase_add_test(tc, ids_are_the_specs_own);
    tcase_add_test(tc, no_id_outlives_its_certificate);
    tcase_add_test(tc, a_ticket_behind_a_write_that_waits);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures > 0;
}
