/* SPDX-License-Identifier: Apache-2.0 */
/* connection_test.c - handshakes, resumption, reading, writing, ends, and what a connection costs in memory.
 *
 * Rows 104, 107, 108, 109, 110, 111 and 113 of the catalogue, over pipes. */
/* long */
#include "pair.h"

#include <malloc.h>

/* The sanitizers have allocators of their own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif

static const char *const order_id[] = { "spiffe://shop/order" }, *const payment_id[] = { "spiffe://shop/payment" };

/* A trust domain with a client and a server, each certificate below an intermediate. */
static struct {
    struct issued root, intermediate, order, payment;
    char *order_chain, *payment_chain;
    struct tls_bench *bench;
    struct tls_identity *client, *server;
    struct tls_settings settings;
} shop;

static void setup(void)
{
    struct issue_request request = authority_request("shop root");
    issue(&request, NULL, &shop.root);
    request = authority_request("shop intermediate");
    request.path_length = 0;
    issue(&request, &shop.root, &shop.intermediate);
    request = svid_request(order_id);
    issue(&request, &shop.intermediate, &shop.order);
    request = svid_request(payment_id);
    issue(&request, &shop.intermediate, &shop.payment);
    shop.order_chain = join(shop.order.certificate, shop.intermediate.certificate);
    shop.payment_chain = join(shop.payment.certificate, shop.intermediate.certificate);
    shop.bench = mesh__tls_bench_new(&mesh__mem_system);
    shop.client = identity_at(
        &(struct papers){ shop.order_chain, shop.order.key, NULL, { "shop" }, { shop.root.certificate } }, T0);
    shop.server = identity_at(
        &(struct papers){ shop.payment_chain, shop.payment.key, NULL, { "shop" }, { shop.root.certificate } }, T0);
    shop.settings = (struct tls_settings){ .with_certificate = true, .resume = true };
}

static void teardown(void)
{
    mesh__tls_bench_free(shop.bench);
    mesh__tls_identity_unref(shop.client);
    mesh__tls_identity_unref(shop.server);
    free(shop.order_chain);
    free(shop.payment_chain);
    issued_free(&shop.root);
    issued_free(&shop.intermediate);
    issued_free(&shop.order);
    issued_free(&shop.payment);
}

static struct tls_spec *shop_spec(enum tls_side side)
{
    return spec_of(side == TLS_CLIENT ? shop.client : shop.server, side, &shop.settings);
}

/* An open pair of the shop. */
static void open_pair(struct pair *pair, struct tls_spec *client, struct tls_spec *server, const char *peer)
{
    pair_init(pair, shop.bench, client, server, peer);
    pair_shake(pair);
    assert_open(pair, "open_pair");
}

static struct tls_spec *specs[2];

static void setup_specs(void)
{
    setup();
    specs[TLS_CLIENT] = shop_spec(TLS_CLIENT);
    specs[TLS_SERVER] = shop_spec(TLS_SERVER);
}

static void teardown_specs(void)
{
    mesh__tls_spec_unref(specs[TLS_CLIENT]);
    mesh__tls_spec_unref(specs[TLS_SERVER]);
    teardown();
}

/* ---- handshakes ---- */

START_TEST(both_sides_know_each_other)
{
    struct pair pair;
    open_pair(&pair, specs[0], specs[1], NULL);
    ck_assert_str_eq(report_of(&pair, TLS_CLIENT)->peer_id, "spiffe://shop/payment");
    ck_assert_str_eq(report_of(&pair, TLS_SERVER)->peer_id, "spiffe://shop/order");
    for (int i = 0; i < 2; i++) {
        const struct tls_report *report = report_of(&pair, (enum tls_side)i);
        ck_assert_int_eq(report->status, MESH_OK);
        ck_assert_str_eq(report->words, "");
        ck_assert_msg(strstr(report->suite, "CHACHA20-POLY1305") != NULL, "%s", report->suite);
        ck_assert_msg(strcmp(report->version, strstr(mesh__tls_backend(), " 2.") ? "TLSv1.2" : "TLSv1.3") == 0, "%s",
                      report->version);
        ck_assert(!report->resumed);
    }
    exchange(&pair, "open");
    pair_fini(&pair);
}
END_TEST

/* Row 109: records that come byte by byte. */
START_TEST(one_byte_at_a_time)
{
    struct pair pair;
    char bytes[64];
    pair_init(&pair, shop.bench, specs[0], specs[1], NULL);
    pair.up.most = pair.down.most = 1;
    pair.up.capacity = pair.down.capacity = 1;
    pair_shake(&pair);
    assert_open(&pair, "byte by byte");
    ssize_t wrote = -EAGAIN, got = -EAGAIN;
    for (int i = 0; i < 1000 && (wrote < 0 || got < 0); i++) {
        if (wrote < 0)
            wrote = put(&pair, TLS_CLIENT, "a request", 9);
        if (got < 0)
            got = mesh__tls_read(pair.sides[TLS_SERVER], bytes, sizeof(bytes));
        ck_assert(wrote == 9 || wrote == -EAGAIN);
        ck_assert(got == 9 || got == -EAGAIN);
    }
    ck_assert_int_eq(got, 9);
    ck_assert(memcmp(bytes, "a request", 9) == 0);
    pair_fini(&pair);
}
END_TEST

static const struct {
    const char *client[3], *server[3], *chosen;
} alpn[] = {
    { { NULL }, { NULL }, "" },
    { { "http/1.1" }, { NULL }, "" },
    { { NULL }, { "http/1.1" }, "" },
    { { "http/1.1" }, { "http/1.1" }, "http/1.1" },
    { { "h2", "http/1.1" }, { "http/1.1" }, "http/1.1" },
    { { "http/1.1", "h2" }, { "h2", "http/1.1" }, "h2" },
    { { "h2" }, { "http/1.1" }, NULL },
};

static size_t count_names(const char *const *names)
{
    size_t count = 0;
    while (count < 3 && names[count] != NULL)
        count++;
    return count;
}

/* Row 111; the server's order decides, and a name in common is needed where both speak of any. */
START_TEST(alpn_is_agreed)
{
    struct pair pair;
    struct tls_settings settings = shop.settings;
    settings.server_name = "payment.example";
    settings.alpn = alpn[_i].client;
    settings.alpn_count = count_names(alpn[_i].client);
    struct tls_spec *client = spec_of(shop.client, TLS_CLIENT, &settings);
    settings.alpn = alpn[_i].server;
    settings.alpn_count = count_names(alpn[_i].server);
    struct tls_spec *server = spec_of(shop.server, TLS_SERVER, &settings);
    pair_init(&pair, shop.bench, client, server, NULL);
    pair.up.capacity = 4096;
    ck_assert_int_eq(mesh__tls_handshake(pair.sides[TLS_CLIENT], T0 * NS), TLS_WANTS_READ);
    ck_assert_ptr_nonnull(memmem(pair.up.bytes, pair.up.end, "payment.example", 15)); /* SNI */
    pair_shake(&pair);
    if (alpn[_i].chosen == NULL) {
        ck_assert_int_eq(report_of(&pair, TLS_CLIENT)->status, MESH_TLS_REFUSED_BY_PEER);
        ck_assert_str_eq(report_of(&pair, TLS_CLIENT)->alert, "no_application_protocol");
        ck_assert_int_eq(report_of(&pair, TLS_SERVER)->status, MESH_TLS_PROTOCOL);
    } else {
        assert_open(&pair, "alpn");
        ck_assert_str_eq(report_of(&pair, TLS_CLIENT)->alpn, alpn[_i].chosen);
        ck_assert_str_eq(report_of(&pair, TLS_SERVER)->alpn, alpn[_i].chosen);
    }
    pair_fini(&pair);
    mesh__tls_spec_unref(client);
    mesh__tls_spec_unref(server);
}
END_TEST

/* ---- resumption ---- */

static bool shakes_resumed(struct tls_spec *client, struct tls_spec *server, const char *peer, int64_t now)
{
    struct pair pair;
    pair_init(&pair, shop.bench, client, server, peer);
    pair.now = now;
    pair_shake(&pair);
    assert_open(&pair, "shakes_resumed");
    exchange(&pair, "shakes_resumed");
    bool resumed = report_of(&pair, TLS_CLIENT)->resumed;
    ck_assert_int_eq(report_of(&pair, TLS_SERVER)->resumed, resumed);
    ck_assert_str_eq(report_of(&pair, TLS_CLIENT)->peer_id, "spiffe://shop/payment");
    ck_assert_str_eq(report_of(&pair, TLS_SERVER)->peer_id,
                     mesh__tls_spec_settings(server)->with_certificate ? "spiffe://shop/order" : "");
    pair_fini(&pair);
    return resumed;
}

START_TEST(sessions_are_resumed_with_the_same_peer)
{
    ck_assert(!shakes_resumed(specs[0], specs[1], "10.0.0.1:443", T0));
    ck_assert(shakes_resumed(specs[0], specs[1], "10.0.0.1:443", T0 + 1));
    ck_assert(shakes_resumed(specs[0], specs[1], "10.0.0.1:443", T0 + 2));
    ck_assert(!shakes_resumed(specs[0], specs[1], "10.0.0.2:443", T0 + 3));
    ck_assert(!shakes_resumed(specs[0], specs[1], NULL, T0 + 3));
}
END_TEST

/* Rows 110 and 113: a change of the identity or of the settings is another spec, and ends its sessions. */
START_TEST(no_session_outlives_its_spec)
{
    struct tls_spec *client = shop_spec(TLS_CLIENT), *server = shop_spec(TLS_SERVER);
    ck_assert(!shakes_resumed(specs[0], specs[1], "a", T0));
    ck_assert(!shakes_resumed(specs[0], server, "a", T0)); /* the server's keys are new */
    ck_assert(shakes_resumed(specs[0], server, "a", T0));
    ck_assert(!shakes_resumed(client, server, "a", T0)); /* the client's cache is */
    mesh__tls_spec_unref(client);
    mesh__tls_spec_unref(server);
}
END_TEST

START_TEST(sessions_of_simple_tls_are_resumed)
{
    struct tls_settings settings = { .resume = true };
    struct tls_spec *client = spec_of(shop.client, TLS_CLIENT, &settings);
    struct tls_spec *server = spec_of(shop.server, TLS_SERVER, &settings);
    ck_assert(!shakes_resumed(client, server, "a", T0));
    ck_assert(shakes_resumed(client, server, "a", T0));
    mesh__tls_spec_unref(client);
    mesh__tls_spec_unref(server);
}
END_TEST

START_TEST(resumption_can_be_off)
{
    struct tls_settings settings = shop.settings;
    settings.resume = false;
    struct tls_spec *client = spec_of(shop.client, TLS_CLIENT, &settings);
    struct tls_spec *server = spec_of(shop.server, TLS_SERVER, &settings);
    for (int i = 0; i < 2; i++) {
        ck_assert(!shakes_resumed(client, specs[1], "a", T0));
        ck_assert(!shakes_resumed(specs[0], server, "a", T0));
    }
    mesh__tls_spec_unref(client);
    mesh__tls_spec_unref(server);
}
END_TEST

/* ---- reading and writing ---- */

static unsigned char large[100000], received[200000];

/* Whatever room the pipe has at each moment, the bytes come whole, in order, and are counted once. */
static void pump(size_t capacity, size_t most, const size_t *pieces, int count)
{
    struct pair pair;
    size_t total = 0, wrote = 0, got = 0;
    for (int i = 0; i < count; i++)
        total += pieces[i];
    open_pair(&pair, specs[0], specs[1], NULL);
    pair.up.capacity = capacity;
    pair.up.most = most;
    while (got < total) {
        struct iovec vector[8];
        size_t at = 0;
        int used = 0;
        for (int i = 0; i < count; i++) { /* what is left of each piece */
            size_t skip = wrote > at ? wrote - at : 0;
            if (skip < pieces[i])
                vector[used++] = (struct iovec){ large + at + skip, pieces[i] - skip };
            at += pieces[i];
        }
        ssize_t result = wrote < total ? mesh__tls_write(pair.sides[TLS_CLIENT], vector, used) : 0;
        ck_assert_msg(result >= 0 || result == -EAGAIN, "write: %zd", result);
        wrote += result > 0 ? (size_t)result : 0;
        ck_assert_uint_le(wrote, total);
        result = mesh__tls_read(pair.sides[TLS_SERVER], received + got, sizeof(received) - got);
        ck_assert_msg(result > 0 || result == -EAGAIN, "read: %zd", result);
        got += result > 0 ? (size_t)result : 0;
        ck_assert_msg(got <= total, "capacity %zu: %zu of %zu bytes", capacity, got, total);
    }
    ck_assert_uint_eq(wrote, total);
    ck_assert(memcmp(large, received, total) == 0);
    pair_fini(&pair);
}

START_TEST(large_writes_wait_at_every_point)
{
    static const size_t pieces[] = { 300, 16384, 1, 40000, 0, 77 };
    for (size_t i = 0; i < sizeof(large); i++)
        large[i] = (unsigned char)(i * 7 + i / 251);
    pump(0, 0, pieces, 6);
    for (size_t capacity = 1; capacity < 40; capacity++)
        pump(capacity, 0, (const size_t[]){ 3, 20, 0, 9 }, 4);
    pump(1, 1, (const size_t[]){ 100, 200 }, 2);
    pump(1000, 7, pieces, 6);
    pump(16384 + 29, 0, pieces, 6);
    pump(5000, 0, (const size_t[]){ 100000 }, 1);
}
END_TEST

/* A record that is held back keeps its length, whatever more is given when it goes on. */
START_TEST(a_held_record_keeps_its_length)
{
    for (size_t i = 0; i < 60; i++)
        large[i] = (unsigned char)(i + 1);
    for (size_t capacity = 1; capacity < 26; capacity++) {
        struct pair pair;
        size_t wrote = 0, got = 0;
        open_pair(&pair, specs[0], specs[1], NULL);
        pair.up.capacity = capacity;
        ck_assert_int_eq(put(&pair, TLS_CLIENT, large, 5), -EAGAIN);
        for (int i = 0; i < 2000 && got < 60; i++) {
            ssize_t result = wrote < 60 ? put(&pair, TLS_CLIENT, large + wrote, 60 - wrote) : -EAGAIN;
            ck_assert(result > 0 || result == -EAGAIN);
            wrote += result > 0 ? (size_t)result : 0;
            result = mesh__tls_read(pair.sides[TLS_SERVER], received + got, 100);
            ck_assert(result > 0 || result == -EAGAIN);
            got += result > 0 ? (size_t)result : 0;
        }
        ck_assert_uint_eq(wrote, 60);
        ck_assert_uint_eq(got, 60);
        ck_assert(memcmp(large, received, 60) == 0);
        pair_fini(&pair);
    }
}
END_TEST

/* Head and body leave in one record as long as it holds them, and a record takes at most two reads below. */
START_TEST(small_pieces_share_a_record)
{
    struct pair pair;
    unsigned char bytes[20000];
    open_pair(&pair, specs[0], specs[1], NULL);
    exchange(&pair, "first");
    struct iovec vector[] = { { large, 200 }, { large + 200, 0 }, { large + 200, 16000 } };
    ck_assert_int_eq(mesh__tls_write(pair.sides[TLS_CLIENT], vector, 3), 16200);
    ck_assert_uint_lt(pair.up.end, 16200 + 40);
    pair.up.calls = 0;
    ck_assert_int_eq(mesh__tls_read(pair.sides[TLS_SERVER], bytes, 100), 100);
    ck_assert(mesh__tls_has_input(pair.sides[TLS_SERVER]));
    ck_assert_int_eq(mesh__tls_read(pair.sides[TLS_SERVER], bytes + 100, sizeof(bytes) - 100), 16100);
    ck_assert(!mesh__tls_has_input(pair.sides[TLS_SERVER]));
    ck_assert_uint_eq(pair.up.calls, 2);
    ck_assert(memcmp(bytes, large, 16200) == 0);
    pair.up.calls = 0;
    vector[2].iov_len = 300;
    ck_assert_int_eq(mesh__tls_write(pair.sides[TLS_CLIENT], vector, 3), 500);
    ck_assert_int_eq(mesh__tls_write(pair.sides[TLS_CLIENT], vector, 3), 500);
    ck_assert_int_eq(mesh__tls_read(pair.sides[TLS_SERVER], bytes, sizeof(bytes)), 500);
    ck_assert(mesh__tls_has_input(pair.sides[TLS_SERVER])); /* read ahead, still encrypted */
    ck_assert_int_eq(mesh__tls_read(pair.sides[TLS_SERVER], bytes, sizeof(bytes)), 500);
    ck_assert_uint_eq(pair.up.calls, 1);
    ck_assert(!mesh__tls_has_input(pair.sides[TLS_SERVER]));
    ck_assert_int_eq(mesh__tls_read(pair.sides[TLS_SERVER], bytes, sizeof(bytes)), -EAGAIN);
    ck_assert_int_eq(mesh__tls_wants(pair.sides[TLS_SERVER], false), TLS_WANTS_READ);
    pair_fini(&pair);
}
END_TEST

/* ---- ends ---- */

/* Row 108: an end is close_notify; less is a break, wherever it comes. */
START_TEST(only_close_notify_is_an_end)
{
    struct pair pair;
    char bytes[16];
    open_pair(&pair, specs[0], specs[1], NULL);
    exchange(&pair, "close");
    ck_assert_int_eq(put(&pair, TLS_CLIENT, "last", 4), 4);
    mesh__tls_close(pair.sides[TLS_CLIENT]);
    pair.sides[TLS_CLIENT] = NULL;
    pair.up.shut = true;
    ck_assert_int_eq(mesh__tls_read(pair.sides[TLS_SERVER], bytes, sizeof(bytes)), 4);
    ck_assert_int_eq(mesh__tls_read(pair.sides[TLS_SERVER], bytes, sizeof(bytes)), 0);
    ck_assert_int_eq(mesh__tls_read(pair.sides[TLS_SERVER], bytes, sizeof(bytes)), 0);
    pair_fini(&pair);

    open_pair(&pair, specs[0], specs[1], NULL);
    exchange(&pair, "record");
    ck_assert_int_eq(put(&pair, TLS_CLIENT, "last", 4), 4);
    size_t record = pair.up.end;
    pair_fini(&pair);

    for (size_t kept = 0; kept <= record; kept++) {
        open_pair(&pair, specs[0], specs[1], NULL);
        exchange(&pair, "truncation");
        ck_assert_int_eq(put(&pair, TLS_CLIENT, "last", 4), 4);
        pair.up.end = kept;
        pair.up.shut = true;
        if (kept == record)
            ck_assert_int_eq(mesh__tls_read(pair.sides[TLS_SERVER], bytes, sizeof(bytes)), 4);
        ck_assert_int_eq(mesh__tls_read(pair.sides[TLS_SERVER], bytes, sizeof(bytes)), -ECONNRESET);
        ck_assert_int_eq(mesh__tls_read(pair.sides[TLS_SERVER], bytes, sizeof(bytes)), -ECONNRESET);
        pair_fini(&pair);
    }
}
END_TEST

START_TEST(a_changed_byte_breaks_the_connection)
{
    struct pair pair;
    char bytes[16];
    for (size_t at = 0; at < 20; at++) {
        open_pair(&pair, specs[0], specs[1], NULL);
        exchange(&pair, "change");
        ck_assert_int_eq(put(&pair, TLS_CLIENT, "last", 4), 4);
        pair.up.bytes[pair.up.begin + at] ^= 1;
        pair.up.shut = true;
        ck_assert_msg(mesh__tls_read(pair.sides[TLS_SERVER], bytes, sizeof(bytes)) == -ECONNRESET, "byte %zu", at);
        ck_assert_int_eq(put(&pair, TLS_SERVER, "more", 4), -ECONNRESET);
        pair_fini(&pair);
    }
}
END_TEST

START_TEST(an_end_in_the_handshake_is_no_success)
{
    struct pair pair;
    pair_init(&pair, shop.bench, specs[0], specs[1], NULL);
    pair.down.shut = true;
    ck_assert_int_eq(mesh__tls_handshake(pair.sides[TLS_CLIENT], T0 * NS), TLS_FAILED);
    ck_assert_int_eq(report_of(&pair, TLS_CLIENT)->status, MESH_TLS_PROTOCOL);
    ck_assert_ptr_nonnull(strstr(report_of(&pair, TLS_CLIENT)->words, "closed the connection"));
    ck_assert_int_eq(mesh__tls_handshake(pair.sides[TLS_CLIENT], T0 * NS), TLS_FAILED);
    ck_assert_int_eq(put(&pair, TLS_CLIENT, "more", 4), -ECONNRESET);
    pair_fini(&pair);
    pair_init(&pair, shop.bench, specs[0], specs[1], NULL);
    pair.up.dead = true;
    ck_assert_int_eq(mesh__tls_handshake(pair.sides[TLS_CLIENT], T0 * NS), TLS_FAILED);
    ck_assert_int_eq(report_of(&pair, TLS_CLIENT)->status, MESH_TLS_PROTOCOL);
    ck_assert_ptr_nonnull(strstr(report_of(&pair, TLS_CLIENT)->words, "broke"));
    pair_fini(&pair);
    /* The peer's alert is found although the write failed. */
    pair_init(&pair, shop.bench, specs[0], specs[1], NULL);
    ck_assert_int_eq(pipe_write(&pair.ends[TLS_SERVER], "\x15\x03\x03\x00\x02\x02\x28", 7), 7);
    pair.up.dead = true;
    ck_assert_int_eq(mesh__tls_handshake(pair.sides[TLS_CLIENT], T0 * NS), TLS_FAILED);
    ck_assert_int_eq(report_of(&pair, TLS_CLIENT)->status, MESH_TLS_REFUSED_BY_PEER);
    ck_assert_str_eq(report_of(&pair, TLS_CLIENT)->alert, "handshake_failure");
    pair_fini(&pair);
}
END_TEST

/* ---- benches and memory ---- */

START_TEST(an_open_connection_outlives_bench_and_spec)
{
    struct pair pair;
    struct tls_bench *bench = mesh__tls_bench_new(&mesh__mem_system);
    struct tls_spec *client = shop_spec(TLS_CLIENT), *server = shop_spec(TLS_SERVER);
    pair_init(&pair, bench, client, server, "a");
    pair_shake(&pair);
    assert_open(&pair, "outlive");
    mesh__tls_bench_sweep(bench); /* drops nothing: the specs are held */
    exchange(&pair, "swept");
    mesh__tls_spec_unref(client);
    mesh__tls_bench_sweep(bench);
    exchange(&pair, "client's spec dropped");
    mesh__tls_spec_unref(server);
    mesh__tls_bench_free(bench);
    exchange(&pair, "bench gone");
    pair_fini(&pair);
}
END_TEST

/* Sanitizers have allocators of their own: there the same calls are made, and nothing is measured. */
#ifdef SANITIZED
static const bool measured = false;
static size_t requests;

static size_t heap_used(void)
{
    return 0;
}
#else
static const bool measured = true;

/* The C library's own; malloc and calloc count what is asked for. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
static size_t requests;

void *malloc(size_t size)
{
    requests++;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    requests++;
    return __libc_calloc(count, size);
}

static size_t heap_used(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}
#endif

/* At most 40 KiB for an idle side of a mutual connection whose chains have two certificates; in TLS 1.3 mbedTLS keeps
 * 5.5 KiB of the handshake for tickets to come. */
START_TEST(an_idle_connection_is_small)
{
    enum { PAIRS = 16 };
    static struct pair pairs[PAIRS];
    struct pair first;
    open_pair(&first, specs[0], specs[1], "a");
    exchange(&first, "first");
    size_t before = heap_used();
    for (int i = 0; i < PAIRS; i++) {
        open_pair(&pairs[i], specs[0], specs[1], "a");
        exchange(&pairs[i], "idle");
        free(pairs[i].up.bytes);
        free(pairs[i].down.bytes);
        memset(&pairs[i].up, 0, sizeof(pairs[i].up));
        memset(&pairs[i].down, 0, sizeof(pairs[i].down));
    }
    size_t each = (heap_used() - before) / PAIRS / 2;
    fprintf(stderr, "heap of an idle side: %zu bytes\n", each);
    ck_assert_uint_lt(each, (strstr(mesh__tls_backend(), " 2.") ? 40 : 44) * 1024);
    ck_assert(!measured || each > 1024);
    for (int i = 0; i < PAIRS; i++)
        pair_fini(&pairs[i]);
    pair_fini(&first);
}
END_TEST

/* Calls on an open connection ask for no memory. */
START_TEST(calls_take_no_memory)
{
    struct pair pair;
    open_pair(&pair, specs[0], specs[1], "a");
    for (int i = 0; i < 3; i++)
        exchange(&pair, "warm");
    ck_assert(!measured || requests > 0);
    size_t before = heap_used(), asked = requests;
    for (int i = 0; i < 1000; i++) {
        for (int side = 0; side < 2; side++) {
            char bytes[8];
            if (put(&pair, (enum tls_side) !side, "ping", 4) != 4 ||
                mesh__tls_read(pair.sides[side], bytes, sizeof(bytes)) != 4)
                ck_abort_msg("call %d failed", i);
        }
    }
    asked = requests - asked;
    ck_assert_uint_eq(asked, 0);
    ck_assert_uint_eq(heap_used(), before);
    pair_fini(&pair);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tls connection");
    TCase *tc = tcase_create("connections");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup_specs, teardown_specs);
    tcase_add_test(tc, both_sides_know_each_other);
    tcase_add_test(tc, one_byte_at_a_time);
    tcase_add_loop_test(tc, alpn_is_agreed, 0, (int)COUNT(alpn));
    tcase_add_test(tc, sessions_are_resumed_with_the_same_peer);
    tcase_add_test(tc, no_session_outlives_its_spec);
    tcase_add_test(tc, sessions_of_simple_tls_are_resumed);
    tcase_add_test(tc, resumption_can_be_off);
    tcase_add_test(tc, large_writes_wait_at_every_point);
    tcase_add_test(tc, a_held_record_keeps_its_length);
    tcase_add_test(tc, small_pieces_share_a_record);
    tcase_add_test(tc, only_close_notify_is_an_end);
    tcase_add_test(tc, a_changed_byte_breaks_the_connection);
    tcase_add_test(tc, an_end_in_the_handshake_is_no_success);
    tcase_add_test(tc, an_open_connection_outlives_bench_and_spec);
    tcase_add_test(tc, an_idle_connection_is_small);
    tcase_add_test(tc, calls_take_no_memory);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures > 0;
}
