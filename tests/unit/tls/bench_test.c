/* SPDX-License-Identifier: Apache-2.0 */
/* bench_test.c - eight threads, each with its bench, shake hands as both sides on one identity, while what they opened
 * is used on other threads. Under ThreadSanitizer nothing that they share may be written without a lock. */
/* label: threaded */
#include "pair.h"

#include <pthread.h>

enum { THREADS = 8, ROUNDS = 6 };

static struct {
    struct issued root, intermediate, leaf;
    char *chain;
    struct tls_identity *identity;
    struct tls_spec *specs[2];
} shop;

/* Open pairs on their way from the thread that shook to the one that uses them. */
static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct pair *pairs[THREADS * ROUNDS];
    size_t count;
    bool over;
} belt = { .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static atomic_int resumed, used;

static void setup(void)
{
    static const char *const id[] = { "spiffe://shop/order" };
    struct issue_request request = authority_request("root");
    issue(&request, NULL, &shop.root);
    issue(&request, &shop.root, &shop.intermediate);
    request = svid_request(id);
    issue(&request, &shop.intermediate, &shop.leaf);
    shop.chain = join(shop.leaf.certificate, shop.intermediate.certificate);
    shop.identity = identity_at(
        &(struct papers){
            shop.chain, shop.leaf.key, NULL, { "shop", "bank" }, { shop.root.certificate, shop.root.certificate } },
        T0);
    struct tls_settings settings = { .with_certificate = true, .resume = true };
    shop.specs[TLS_CLIENT] = spec_of(shop.identity, TLS_CLIENT, &settings);
    shop.specs[TLS_SERVER] = spec_of(shop.identity, TLS_SERVER, &settings);
}

static void teardown(void)
{
    mesh__tls_identity_unref(shop.identity);
    issued_free(&shop.root);
    issued_free(&shop.intermediate);
    issued_free(&shop.leaf);
    free(shop.chain);
}

static void put_on_belt(struct pair *pair)
{
    pthread_mutex_lock(&belt.mutex);
    belt.pairs[belt.count++] = pair;
    pthread_cond_signal(&belt.changed);
    pthread_mutex_unlock(&belt.mutex);
}

static void *shake(void *thread)
{
    char peer[32];
    struct tls_bench *bench = mesh__tls_bench_new(&mesh__mem_system);
    for (int i = 0; i < ROUNDS; i++) {
        struct pair *pair = malloc(sizeof(*pair));
        (void)snprintf(peer, sizeof(peer), "peer %d", (int)((intptr_t)thread + i) % 3);
        pair_init(pair, bench, shop.specs[TLS_CLIENT], shop.specs[TLS_SERVER], peer);
        pair_shake(pair);
        assert_open(pair, "shake");
        atomic_fetch_add(&resumed, report_of(pair, TLS_SERVER)->resumed);
        put_on_belt(pair);
        mesh__tls_bench_sweep(bench);
    }
    mesh__tls_bench_free(bench);
    return NULL;
}

static void *use(void *unused)
{
    (void)unused;
    for (;;) {
        pthread_mutex_lock(&belt.mutex);
        while (belt.count == 0 && !belt.over)
            pthread_cond_wait(&belt.changed, &belt.mutex);
        struct pair *pair = belt.count > 0 ? belt.pairs[--belt.count] : NULL;
        pthread_mutex_unlock(&belt.mutex);
        if (pair == NULL)
            return NULL;
        for (int i = 0; i < 20; i++)
            exchange(pair, "use");
        atomic_fetch_add(&used, 1);
        pair_fini(pair);
        free(pair);
    }
}

START_TEST(threads_share_one_identity)
{
    pthread_t shakers[THREADS], users[2];
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&users[i], NULL, use, NULL), 0);
    for (intptr_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&shakers[i], NULL, shake, (void *)i), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(shakers[i], NULL);
    /* The specs go while pairs may still be open. */
    mesh__tls_spec_unref(shop.specs[TLS_CLIENT]);
    mesh__tls_spec_unref(shop.specs[TLS_SERVER]);
    pthread_mutex_lock(&belt.mutex);
    belt.over = true;
    pthread_cond_broadcast(&belt.changed);
    pthread_mutex_unlock(&belt.mutex);
    for (int i = 0; i < 2; i++)
        pthread_join(users[i], NULL);
    ck_assert_int_eq(atomic_load(&used), THREADS * ROUNDS);
    ck_assert_int_gt(atomic_load(&resumed), 0);
    ck_assert_int_lt(atomic_load(&resumed), THREADS * ROUNDS);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tls benches");
    TCase *tc = tcase_create("threads");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, threads_share_one_identity);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures > 0;
}
