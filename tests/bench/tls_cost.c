/* SPDX-License-Identifier: Apache-2.0 */
/* tls_cost.c - what TLS costs without a network: handshakes and records between two sides in memory, each side's CPU
 * apart from the other's. Its arguments are sizes of messages. One JSON object; tests/bench/tls.py sets it beside
 * OpenSSL, curl and a real server. */
#include "unit/tls/pair.h"

#include <time.h>

#define SECONDS_EACH 1.0
#define MOST ((size_t)65536) /* bytes that are written before they are read, or one message */

static struct {
    struct issued root, intermediate, order, payment;
    struct tls_bench *bench;
    struct tls_identity *identities[2];
} shop;

static size_t sizes[16];
static int size_count;

static double cpu_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static struct tls_identity *identity_of(const struct issued *leaf)
{
    char *chain = join(leaf->certificate, shop.intermediate.certificate);
    struct tls_identity *identity =
        identity_at(&(struct papers){ chain, leaf->key, NULL, { "shop" }, { shop.root.certificate } }, T0);
    free(chain);
    return identity;
}

static void set_up(void)
{
    static const char *const order[] = { "spiffe://shop/order" }, *const payment[] = { "spiffe://shop/payment" };
    struct issue_request request = authority_request("shop root");
    issue(&request, NULL, &shop.root);
    request = authority_request("shop intermediate");
    request.path_length = 0;
    issue(&request, &shop.root, &shop.intermediate);
    request = svid_request(order);
    issue(&request, &shop.intermediate, &shop.order);
    request = svid_request(payment);
    issue(&request, &shop.intermediate, &shop.payment);
    shop.bench = mesh__tls_bench_new(&mesh__mem_system);
    shop.identities[TLS_CLIENT] = identity_of(&shop.order);
    shop.identities[TLS_SERVER] = identity_of(&shop.payment);
}

static void tear_down(void)
{
    mesh__tls_bench_free(shop.bench);
    mesh__tls_identity_unref(shop.identities[TLS_CLIENT]);
    mesh__tls_identity_unref(shop.identities[TLS_SERVER]);
    issued_free(&shop.root);
    issued_free(&shop.intermediate);
    issued_free(&shop.order);
    issued_free(&shop.payment);
}

static void make_specs(struct tls_spec *specs[2], bool mutual, bool resume)
{
    for (int side = 0; side < 2; side++) {
        struct tls_settings settings = { .with_certificate = mutual, .resume = resume };
        specs[side] = spec_of(shop.identities[side], (enum tls_side)side, &settings);
    }
}

/* Steps both sides until they are open; each one's seconds are added to `cost`. */
static void shake(struct pair *pair, double cost[2])
{
    while (pair->wants[TLS_CLIENT] != TLS_DONE || pair->wants[TLS_SERVER] != TLS_DONE)
        for (int side = 0; side < 2; side++) {
            if (pair->wants[side] == TLS_DONE)
                continue;
            double begun = cpu_now();
            pair_step(pair, side);
            cost[side] += cpu_now() - begun;
            ck_assert_int_ne(pair->wants[side], TLS_FAILED);
        }
}

/* With a session to resume, the first handshake only makes it. */
static void print_handshakes(const char *name, bool mutual, bool resume)
{
    struct tls_spec *specs[2];
    struct pair pair;
    double cost[2] = { 0, 0 }, unused[2] = { 0, 0 };
    size_t count = 0;
    make_specs(specs, mutual, resume);
    for (bool first = resume; first || cost[0] + cost[1] < SECONDS_EACH; first = false) {
        pair_init(&pair, shop.bench, specs[TLS_CLIENT], specs[TLS_SERVER], resume ? "peer" : NULL);
        shake(&pair, first ? unused : cost);
        exchange(&pair, name);
        ck_assert(mesh__tls_report(pair.sides[TLS_CLIENT])->resumed == (resume && !first));
        count += !first;
        pair_fini(&pair);
    }
    (void)printf("  \"%s\": {\"client_us\": %.1f, \"server_us\": %.1f},\n", name, 1e6 * cost[0] / (double)count,
                 1e6 * cost[1] / (double)count);
    mesh__tls_spec_unref(specs[TLS_CLIENT]);
    mesh__tls_spec_unref(specs[TLS_SERVER]);
}

/* One side writes `count` messages of `size` bytes, then the other reads them: so many that looking at the clock, which
 * is a system call, weighs little. */
static void pass_messages(struct pair *pair, size_t count, const char *bytes, size_t size, char *into, double cost[2])
{
    size_t left = count * size;
    double begun = cpu_now();
    for (size_t i = 0; i < count; i++)
        for (size_t sent = 0; sent < size;) {
            ssize_t moved = put(pair, TLS_SERVER, bytes + sent, size - sent);
            ck_assert_int_gt(moved, 0);
            sent += (size_t)moved;
        }
    double between = cpu_now();
    while (left > 0) {
        ssize_t got = mesh__tls_read(pair->sides[TLS_CLIENT], into, MOST);
        ck_assert_int_gt(got, 0);
        left -= (size_t)got;
    }
    cost[0] += between - begun;
    cost[1] += cpu_now() - between;
}

static void print_records(struct pair *pair, size_t size, bool last)
{
    char *bytes = calloc(1, size), *into = malloc(MOST);
    ck_assert(bytes && into);
    double cost[2] = { 0, 0 };
    size_t count = 0, at_once = size < MOST ? MOST / size : 1;
    for (; cost[0] + cost[1] < SECONDS_EACH / 2; count += at_once)
        pass_messages(pair, at_once, bytes, size, into, cost);
    (void)printf("    \"%zu\": {\"write_us\": %.2f, \"read_us\": %.2f}%s\n", size, 1e6 * cost[0] / (double)count,
                 1e6 * cost[1] / (double)count, last ? "" : ",");
    free(bytes);
    free(into);
}

START_TEST(measure)
{
    struct tls_spec *specs[2];
    struct pair pair;
    double unused[2];
    set_up();
    (void)printf("{\n  \"backend\": \"%s\",\n", mesh__tls_backend());
    print_handshakes("full_mutual", true, false);
    print_handshakes("full_simple", false, false);
    print_handshakes("resumed_mutual", true, true);
    make_specs(specs, true, false);
    pair_init(&pair, shop.bench, specs[TLS_CLIENT], specs[TLS_SERVER], NULL);
    shake(&pair, unused);
    (void)printf("  \"suite\": \"%s\",\n  \"records\": {\n", mesh__tls_report(pair.sides[TLS_CLIENT])->suite);
    for (int i = 0; i < size_count; i++)
        print_records(&pair, sizes[i], i + 1 == size_count);
    (void)printf("  }\n}\n");
    pair_fini(&pair);
    mesh__tls_spec_unref(specs[TLS_CLIENT]);
    mesh__tls_spec_unref(specs[TLS_SERVER]);
    tear_down();
}
END_TEST

/* In a suite, since the pairs of the unit tests assert as tests do. */
int main(int count, char **arguments)
{
    for (; size_count < count - 1 && size_count < 16; size_count++)
        sizes[size_count] = strtoul(arguments[size_count + 1], NULL, 10);
    Suite *suite = suite_create("tls_cost");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, measure);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
