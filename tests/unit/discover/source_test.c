/* SPDX-License-Identifier: Apache-2.0 */
/* source_test.c - what holds for every kind of source: which kinds there are, and that each one outlives any single
 * allocation that fails, without losing a byte. */
#include "discover/source.h"
#include "net/dns.h"

#include "support/dns_server.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PATIENCE (10 * NANOS_S) /* a failure, not a wait */

struct bench {
    struct world world;
    mesh_nanos ahead; /* of the machine's clock: what the test makes pass */
    struct mem mem;
    int64_t left; /* allocations until one fails; negative: none does */
    int64_t live;
    bool failed;
    struct loop loop;
    uint32_t good; /* updates with the list */
};

static bool may_allocate(struct bench *bench)
{
    if (bench->left < 0 || bench->left-- > 0)
        return true;
    bench->failed = true;
    return false;
}

static void *allocate(size_t bytes, void *user)
{
    struct bench *bench = user;
    void *block = may_allocate(bench) ? malloc(bytes) : NULL;
    bench->live += block != NULL;
    return block;
}

static void *resize(void *block, size_t old_bytes, size_t bytes, void *user)
{
    (void)old_bytes;
    return may_allocate(user) ? realloc(block, bytes) : NULL;
}

static void release(void *block, void *user)
{
    ((struct bench *)user)->live--;
    free(block);
}

static mesh_nanos shifted_now(const struct world *world)
{
    return mesh__world_real.now(world) + ((const struct bench *)world->user)->ahead;
}

static void answer(void *user, struct dns_request *request)
{
    (void)user;
    dns_begin(request, 0);
    for (uint8_t i = 1; request->type == DNS_TYPE_A && i <= 20; i++) {
        uint8_t ip[4] = { 10, 0, 0, i };
        dns_record(request, 0, NULL, DNS_TYPE_A, 60, ip, 4);
    }
}

static void on_update(void *user, mesh_status status, const struct endpoint_config *endpoints, uint32_t count,
                      const char *detail)
{
    struct bench *bench = user;
    (void)endpoints;
    ck_assert(status == MESH_OK || status == MESH_DISCOVERY);
    ck_assert_msg(status == MESH_OK || detail[0] != '\0', "a failure without words");
    bench->good += status == MESH_OK && count == 20;
}

static void on_log(void *user, int32_t level, const char *line)
{
    (void)user;
    (void)level;
    (void)line;
}

static const struct source_events events = { on_update, on_log };

static void set_up(struct bench *bench)
{
    memset(bench, 0, sizeof(*bench));
    bench->world = mesh__world_real;
    bench->world.now = shifted_now;
    bench->world.user = bench;
    bench->left = -1;
    bench->mem = (struct mem){ allocate, resize, release, bench };
    ck_assert_int_eq(mesh__loop_init(&bench->loop, &bench->mem, &bench->world), 0);
}

static void tear_down(struct bench *bench)
{
    mesh__loop_fini(&bench->loop);
    ck_assert_int_eq(bench->live, 0);
}

/* Turns until the list is there; whatever waits meanwhile has its time made to pass. */
static void turn_until_good(struct bench *bench, int64_t failing)
{
    mesh_nanos end = mesh__world_real.now(&mesh__world_real) + PATIENCE;
    for (int i = 1; bench->good == 0; i++) {
        ck_assert_msg(mesh__world_real.now(&mesh__world_real) < end, "no list once allocation %d had failed",
                      (int)failing);
        mesh__loop_turn(&bench->loop, NANOS_MS);
        if (i % 8 == 0)
            bench->ahead += 2 * NANOS_S;
    }
}

/* True while there was an allocation to fail. */
static bool run_dns(int64_t failing)
{
    struct bench bench;
    set_up(&bench);
    struct dns_server_options server_options = { &bench.loop, answer, NULL };
    struct dns_server *server = dns_server_start(&server_options);
    ck_assert_ptr_nonnull(server);
    struct dns_options options = { .servers = dns_server_address(server),
                                   .server_count = 1,
                                   .timeout = 20 * NANOS_MS,
                                   .tries = 2,
                                   .resolv_conf = "/dev/null",
                                   .hosts = "/dev/null/none" };
    struct discover_config config = { .kind = DISCOVER_DNS, .host = "web.test", .port = 80 };
    bench.left = failing;
    struct dns *dns = mesh__dns_new(&bench.loop, &options);
    struct source *source = dns ? mesh__source_start(&bench.loop, dns, &config, 1, &events, &bench) : NULL;
    ck_assert(source != NULL || bench.failed);
    if (source != NULL)
        turn_until_good(&bench, failing);
    bench.left = -1;
    mesh__source_stop(source);
    mesh__dns_free(dns);
    dns_server_stop(server);
    tear_down(&bench);
    return bench.failed;
}

static bool run_file(int64_t failing)
{
    struct bench bench;
    char folder[] = "/tmp/mesh-source-XXXXXX", path[64];
    set_up(&bench);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/list", folder);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    for (int i = 0; i < 20; i++)
        fprintf(file, "%c\"10.0.0.%d:80\"\n", i ? ',' : '[', i);
    fputs("]", file);
    ck_assert_int_eq(fclose(file), 0);
    struct discover_config config = { .kind = DISCOVER_FILE, .file = path };
    bench.left = failing;
    struct source *source = mesh__source_start(&bench.loop, NULL, &config, 1, &events, &bench);
    ck_assert(source != NULL || bench.failed);
    if (source != NULL)
        turn_until_good(&bench, failing);
    bench.left = -1;
    mesh__source_stop(source);
    unlink(path);
    rmdir(folder);
    tear_down(&bench);
    return bench.failed;
}

START_TEST(test_memory)
{
    bool (*const run)(int64_t) = _i == 0 ? run_dns : run_file;
    int64_t failing = 0;
    while (run(failing))
        failing++;
    ck_assert_int_gt(failing, 5);
}
END_TEST

START_TEST(test_kinds)
{
    struct bench bench;
    set_up(&bench);
    struct discover_config config = { .kind = DISCOVER_STATIC };
    ck_assert_ptr_null(mesh__source_start(&bench.loop, NULL, &config, 1, &events, &bench));
    mesh__source_stop(NULL);
    tear_down(&bench);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("source");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_kinds);
    tcase_add_loop_test(tcase, test_memory, 0, 2);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
