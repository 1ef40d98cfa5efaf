/* SPDX-License-Identifier: Apache-2.0 */
/* identity_bench.h - a source of identities on a loop whose clocks are the test's, with files in a folder of its own.
 */
#ifndef TESTS_UNIT_DISCOVER_IDENTITY_BENCH_H
#define TESTS_UNIT_DISCOVER_IDENTITY_BENCH_H

#include "discover/identity_source.h"
#include "support/certificates.h"

#include <check.h>
#include <mesh/client.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SETTLE (100 * NANOS_MS)
#define LOOK_EVERY (5 * NANOS_S)
#define HOUR_NS (CERTIFICATE_HOUR * NANOS_S)

enum stop { STOP_NOT, STOP_IN_UPDATE, STOP_IN_LOG };

static struct {
    struct world world;
    mesh_nanos now;
    int64_t unix_now;
    struct loop loop;
    char folder[64], certificate[100], key[100], bundle[100], crl[100];
    struct trust_config trust;
    struct identity_config config;
    struct issued authority, other_authority, leaf, next;
    struct identity_source *source;
    uint32_t updates, logs;
    int64_t not_after; /* of the identity told last */
    int32_t level;
    char line[IDENTITY_WORDS_MAX + 100], story[64];
    enum stop stop;
} bench;

static mesh_nanos owned_now(const struct world *world)
{
    (void)world;
    return bench.now;
}

static int64_t owned_unix_now(const struct world *world)
{
    (void)world;
    return bench.unix_now;
}

static void note(char letter, enum stop stop)
{
    ck_assert_ptr_nonnull(bench.source); /* neither from inside watch nor after the end */
    size_t size = strlen(bench.story);
    ck_assert_uint_lt(size, sizeof(bench.story) - 1);
    bench.story[size] = letter;
    if (bench.stop != stop)
        return;
    mesh__identity_unwatch(bench.source);
    bench.source = NULL;
}

static void on_update(void *user, struct tls_identity *identity)
{
    (void)user;
    bench.updates++;
    bench.not_after = mesh__tls_identity_not_after(identity);
    note('u', STOP_IN_UPDATE);
}

static void on_log(void *user, int32_t level, const char *line)
{
    (void)user;
    bench.logs++;
    bench.level = level;
    (void)snprintf(bench.line, sizeof(bench.line), "%s", line);
    note('l', STOP_IN_LOG);
}

/* A leaf that differs from others by its key, and runs out after so many hours. */
static void make_leaf(const struct issued *authority, int64_t hours, struct issued *out)
{
    static const char *const id = "spiffe://shop/order";
    struct issue_request request = issue_svid(&id, CERTIFICATE_HOUR);
    request.not_after = bench.unix_now / NANOS_S + hours * CERTIFICATE_HOUR;
    issued_free(out);
    certificates_issue(&request, authority, out);
}

static void put(const char *file, const char *text)
{
    certificates_put(bench.folder, file, text);
}

static void start(void)
{
    static const struct identity_events events = { on_update, on_log };
    struct tls_identity *identity = NULL;
    char words[IDENTITY_WORDS_MAX];
    ck_assert_msg(mesh__identity_load(&mesh__mem_system, &bench.config, bench.unix_now, &identity, words) == MESH_OK,
                  "%s", words);
    struct identity_source *source = mesh__identity_watch(&bench.loop, &bench.config, identity, &events, NULL);
    ck_assert_ptr_nonnull(source);
    bench.source = source;
    mesh__tls_identity_unref(identity);
}

/* Events of inotify are there when the call that makes them returns: a few turns see everything. */
static void turns(void)
{
    for (int i = 0; i < 4; i++)
        mesh__loop_turn(&bench.loop, 0);
}

static void later(mesh_nanos length)
{
    bench.now += length;
    bench.unix_now += length;
    turns();
}

/* What has changed is seen, and read; and read once more where it was wrong. */
static void settled(void)
{
    turns();
    later(SETTLE);
    later(SETTLE);
}

static void set_up(void)
{
    memset(&bench, 0, sizeof(bench));
    bench.world = mesh__world_real;
    bench.world.now = owned_now;
    bench.world.unix_now = owned_unix_now;
    bench.now = 1000 * NANOS_S;
    bench.unix_now = certificates_now() * NANOS_S;
    ck_assert_int_eq(mesh__loop_init(&bench.loop, &mesh__mem_system, &bench.world), 0);
    certificates_folder(bench.folder);
    (void)snprintf(bench.certificate, sizeof(bench.certificate), "%s/svid.pem", bench.folder);
    (void)snprintf(bench.key, sizeof(bench.key), "%s/svid.key", bench.folder);
    (void)snprintf(bench.bundle, sizeof(bench.bundle), "%s/bundle.pem", bench.folder);
    (void)snprintf(bench.crl, sizeof(bench.crl), "%s/revoked.pem", bench.folder);
    bench.trust = (struct trust_config){ "shop", bench.bundle };
    bench.config = (struct identity_config){ .certificate = bench.certificate,
                                             .key = bench.key,
                                             .trust = &bench.trust,
                                             .trust_count = 1,
                                             .expiry_warning = HOUR_NS };
    certificates_authority(&bench.authority);
    certificates_authority(&bench.other_authority);
    make_leaf(&bench.authority, 24, &bench.leaf);
    make_leaf(&bench.authority, 20, &bench.next);
    put("bundle.pem", bench.authority.certificate);
    certificates_write(bench.folder, "svid", &bench.leaf);
}

static void tear_down(void)
{
    mesh__identity_unwatch(bench.source);
    ck_assert_msg(mesh__loop_next(&bench.loop) == NANOS_NEVER, "a timer or task is left");
    for (uint32_t i = 0; i < bench.loop.slot_count; i++)
        ck_assert_msg(bench.loop.slots[i].watch == NULL, "a descriptor is still watched");
    mesh__loop_fini(&bench.loop);
    certificates_remove(bench.folder);
    issued_free(&bench.authority);
    issued_free(&bench.other_authority);
    issued_free(&bench.leaf);
    issued_free(&bench.next);
}

static void expect(const char *story, const char *words)
{
    ck_assert_msg(strcmp(bench.story, story) == 0, "\"%s\", not \"%s\": %s", bench.story, story, bench.line);
    ck_assert_msg(words == NULL || strstr(bench.line, words) != NULL, "%s", bench.line);
}

#endif
