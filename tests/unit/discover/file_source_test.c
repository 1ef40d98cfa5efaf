/* SPDX-License-Identifier: Apache-2.0 */
/* file_source_test.c - an endpoints file that is written, replaced, broken, removed, linked; the clock is the test's.
 */
#include "discover/source_inside.h"

#include <check.h>
#include <fcntl.h>
#include <mesh/client.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ONE "[\"10.0.0.1:80\"]"
#define TWO "[\"10.0.0.2:80\", {\"address\": \"10.0.0.1:80\", \"weight\": 3}]"
#define SETTLE (100 * NANOS_MS)
#define LOOK_EVERY (5 * NANOS_S)

struct bench {
    struct world world;
    mesh_nanos now;
    struct loop loop;
    char folder[64], path[128], other[128];
    struct discover_config config;
    struct source *source;
    uint32_t updates, logs;
    mesh_status status;
    uint32_t count, weight; /* `weight` of the last one */
    char first[ADDRESS_TEXT_MAX], detail[512], line[512];
    bool stop_inside;
};

static mesh_nanos owned_now(const struct world *world)
{
    return ((const struct bench *)world->user)->now;
}

static void write_at(const char *path, const char *text, size_t size)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

static void write_text(const char *path, const char *text)
{
    write_at(path, text, strlen(text));
}

static void replace(struct bench *bench, const char *text)
{
    write_text(bench->other, text);
    ck_assert_int_eq(rename(bench->other, bench->path), 0);
}

static void on_update(void *user, mesh_status status, const struct endpoint_config *endpoints, uint32_t count,
                      const char *detail)
{
    struct bench *bench = user;
    ck_assert_ptr_nonnull(bench->source); /* neither from inside start nor after stop */
    bench->updates++;
    bench->status = status;
    bench->count = count;
    snprintf(bench->first, sizeof(bench->first), "%s", count ? endpoints[0].address.text : "");
    bench->weight = count ? endpoints[count - 1].weight : 0;
    snprintf(bench->detail, sizeof(bench->detail), "%s", detail);
    if (bench->stop_inside) {
        mesh__source_stop(bench->source);
        bench->source = NULL;
    }
}

static void on_log(void *user, int32_t level, const char *line)
{
    struct bench *bench = user;
    (void)level;
    bench->logs++;
    snprintf(bench->line, sizeof(bench->line), "%s", line);
}

static void start(struct bench *bench)
{
    static const struct source_events events = { on_update, on_log };
    bench->config = (struct discover_config){ .kind = DISCOVER_FILE, .file = bench->path };
    struct source *source = mesh__source_start(&bench->loop, NULL, &bench->config, 1, &events, bench);
    ck_assert_ptr_nonnull(source);
    bench->source = source;
}

static void set_up(struct bench *bench)
{
    memset(bench, 0, sizeof(*bench));
    bench->world = mesh__world_real;
    bench->world.now = owned_now;
    bench->world.user = bench;
    bench->now = 1000 * NANOS_S;
    ck_assert_int_eq(mesh__loop_init(&bench->loop, &mesh__mem_system, &bench->world), 0);
    snprintf(bench->folder, sizeof(bench->folder), "/tmp/mesh-file-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(bench->folder));
    snprintf(bench->path, sizeof(bench->path), "%s/endpoints.json", bench->folder);
    snprintf(bench->other, sizeof(bench->other), "%s/other", bench->folder);
}

static void tear_down(struct bench *bench)
{
    mesh__source_stop(bench->source);
    ck_assert_msg(mesh__loop_next(&bench->loop) == NANOS_NEVER, "a timer or task is left");
    for (uint32_t i = 0; i < bench->loop.slot_count; i++)
        ck_assert_msg(bench->loop.slots[i].watch == NULL, "a descriptor is still watched");
    mesh__loop_fini(&bench->loop);
    unlink(bench->path);
    unlink(bench->other);
    ck_assert_int_eq(rmdir(bench->folder), 0);
}

/* Events of inotify are there when the call that makes them returns: a few turns see everything. */
static void turns(struct bench *bench)
{
    for (int i = 0; i < 4; i++)
        mesh__loop_turn(&bench->loop, 0);
}

static void later(struct bench *bench, mesh_nanos length)
{
    bench->now += length;
    turns(bench);
}

/* Long enough for a refused text to be read twice. */
static void settled(struct bench *bench)
{
    turns(bench);
    later(bench, SETTLE);
}

START_TEST(test_reads_and_follows)
{
    struct bench bench;
    set_up(&bench);
    write_text(bench.path, ONE);
    start(&bench);
    ck_assert_uint_eq(bench.updates, 0);
    turns(&bench);
    ck_assert_uint_eq(bench.updates, 1);
    ck_assert_int_eq(bench.status, MESH_OK);
    ck_assert_str_eq(bench.first, "10.0.0.1:80");
    write_text(bench.path, TWO); /* in place */
    turns(&bench);
    ck_assert_uint_eq(bench.updates, 2);
    ck_assert_uint_eq(bench.count, 2);
    ck_assert_uint_eq(bench.weight, 3);
    replace(&bench, ONE);
    turns(&bench);
    ck_assert_uint_eq(bench.updates, 3);
    replace(&bench, " " ONE); /* the same list in other words */
    turns(&bench);
    ck_assert_uint_eq(bench.updates, 3);
    replace(&bench, "[]");
    turns(&bench);
    ck_assert_uint_eq(bench.updates, 4);
    ck_assert_int_eq(bench.status, MESH_OK);
    ck_assert_uint_eq(bench.count, 0);
    tear_down(&bench);
}
END_TEST

START_TEST(test_missing_at_start)
{
    struct bench bench;
    set_up(&bench);
    start(&bench);
    turns(&bench);
    ck_assert_uint_eq(bench.updates, 1);
    ck_assert_int_eq(bench.status, MESH_DISCOVERY);
    ck_assert_msg(strstr(bench.detail, bench.path) == bench.detail, "%s", bench.detail);
    ck_assert_msg(strstr(bench.detail, "No such file") != NULL, "%s", bench.detail);
    later(&bench, LOOK_EVERY);
    ck_assert_uint_eq(bench.updates, 1);
    write_text(bench.path, ONE);
    turns(&bench);
    ck_assert_uint_eq(bench.updates, 2);
    ck_assert_int_eq(bench.status, MESH_OK);
    tear_down(&bench);
}
END_TEST

static const char *const refused[] = { "", "[", "{}", "[\"nonsense\"]", "[\"10.0.0.1:80\"] x", "[1]", "\xff" };

START_TEST(test_refused_text)
{
    struct bench bench;
    set_up(&bench);
    write_text(bench.path, ONE);
    start(&bench);
    turns(&bench);
    replace(&bench, refused[_i]);
    turns(&bench);
    ck_assert_uint_eq(bench.logs, 0); /* it may be half written */
    later(&bench, SETTLE);
    ck_assert_uint_eq(bench.logs, 1);
    size_t size = strlen(bench.path);
    int line, column;
    ck_assert_msg(strncmp(bench.line, bench.path, size) == 0 &&
                      sscanf(bench.line + size, ":%d:%d: ", &line, &column) == 2,
                  "%s", bench.line);
    ck_assert_msg(strstr(bench.line, "the last 1 endpoints stay") != NULL, "%s", bench.line);
    later(&bench, LOOK_EVERY);
    later(&bench, SETTLE);
    ck_assert_uint_eq(bench.logs, 1); /* once */
    ck_assert_uint_eq(bench.updates, 1);
    replace(&bench, TWO);
    turns(&bench);
    ck_assert_uint_eq(bench.updates, 2);
    tear_down(&bench);
}
END_TEST

START_TEST(test_refused_at_start)
{
    struct bench bench;
    set_up(&bench);
    write_text(bench.path, "[nonsense]");
    start(&bench);
    settled(&bench);
    ck_assert_uint_eq(bench.updates, 1);
    ck_assert_int_eq(bench.status, MESH_DISCOVERY);
    ck_assert_msg(strstr(bench.detail, ":1:2: ") != NULL, "%s", bench.detail);
    tear_down(&bench);
}
END_TEST

START_TEST(test_partial_write)
{
    struct bench bench;
    set_up(&bench);
    start(&bench);
    turns(&bench);
    ck_assert_uint_eq(bench.updates, 1);
    int fd = open(bench.path, O_WRONLY | O_CREAT, 0600);
    ck_assert_int_ge(fd, 0);
    for (size_t i = 0; i < strlen(TWO); i++) {
        ck_assert_int_eq(write(fd, &TWO[i], 1), 1);
        mesh__loop_turn(&bench.loop, 0);
    }
    ck_assert_uint_eq(bench.updates, 1);
    close(fd);
    turns(&bench);
    ck_assert_uint_eq(bench.updates, 2);
    ck_assert_int_eq(bench.status, MESH_OK);
    ck_assert_uint_eq(bench.count, 2);
    tear_down(&bench);
}
END_TEST

START_TEST(test_removed_file_keeps_the_list)
{
    struct bench bench;
    set_up(&bench);
    write_text(bench.path, ONE);
    start(&bench);
    turns(&bench);
    ck_assert_int_eq(unlink(bench.path), 0);
    turns(&bench);
    ck_assert_uint_eq(bench.updates, 1);
    ck_assert_uint_eq(bench.logs, 1);
    ck_assert_msg(strstr(bench.line, "No such file") != NULL, "%s", bench.line);
    later(&bench, LOOK_EVERY);
    ck_assert_uint_eq(bench.logs, 1);
    write_text(bench.path, ONE);
    turns(&bench);
    ck_assert_uint_eq(bench.updates, 1);
    ck_assert_uint_eq(bench.logs, 2); /* well again */
    tear_down(&bench);
}
END_TEST

/* As a volume of Kubernetes: the file is a link into a folder that is itself a link, which is swapped. */
START_TEST(test_swapped_links)
{
    struct bench bench;
    char old[160], new[160], data[160], next[160], inside[192];
    set_up(&bench);
    snprintf(old, sizeof(old), "%s/..1", bench.folder);
    snprintf(new, sizeof(new), "%s/..2", bench.folder);
    snprintf(data, sizeof(data), "%s/..data", bench.folder);
    snprintf(next, sizeof(next), "%s/..next", bench.folder);
    ck_assert_int_eq(mkdir(old, 0700) | mkdir(new, 0700), 0);
    snprintf(inside, sizeof(inside), "%s/endpoints.json", old);
    write_text(inside, ONE);
    snprintf(inside, sizeof(inside), "%s/endpoints.json", new);
    write_text(inside, TWO);
    ck_assert_int_eq(symlink("..1", data) | symlink("..data/endpoints.json", bench.path), 0);
    start(&bench);
    turns(&bench);
    ck_assert_uint_eq(bench.count, 1);
    ck_assert_int_eq(symlink("..2", next) | rename(next, data), 0);
    turns(&bench);
    ck_assert_uint_eq(bench.updates, 2);
    ck_assert_uint_eq(bench.count, 2);
    unlink(inside);
    snprintf(inside, sizeof(inside), "%s/endpoints.json", old);
    unlink(inside);
    unlink(data);
    ck_assert_int_eq(rmdir(old) | rmdir(new), 0);
    tear_down(&bench);
}
END_TEST

/* A link into another folder: no event tells of a change there, the slow look does. */
START_TEST(test_slow_look)
{
    struct bench bench;
    char folder[] = "/tmp/mesh-far-XXXXXX", far[64];
    set_up(&bench);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(far, sizeof(far), "%s/list", folder);
    write_text(far, ONE);
    ck_assert_int_eq(symlink(far, bench.path), 0);
    start(&bench);
    turns(&bench);
    ck_assert_uint_eq(bench.updates, 1);
    /* The same size, and maybe within one tick of the file system's clock. */
    write_text(far, "[\"10.0.0.7:80\"]");
    later(&bench, LOOK_EVERY - 1);
    ck_assert_uint_eq(bench.updates, 1);
    later(&bench, 1);
    ck_assert_uint_eq(bench.updates, 2);
    ck_assert_str_eq(bench.first, "10.0.0.7:80");
    unlink(far);
    rmdir(folder);
    tear_down(&bench);
}
END_TEST

START_TEST(test_folder_comes_and_goes)
{
    struct bench bench;
    set_up(&bench);
    write_text(bench.path, ONE);
    start(&bench);
    turns(&bench);
    unlink(bench.path);
    ck_assert_int_eq(rmdir(bench.folder), 0);
    turns(&bench);
    later(&bench, LOOK_EVERY);
    ck_assert_uint_eq(bench.updates, 1);
    ck_assert_int_eq(mkdir(bench.folder, 0700), 0);
    write_text(bench.path, TWO);
    later(&bench, LOOK_EVERY);
    ck_assert_uint_eq(bench.updates, 2);
    replace(&bench, ONE); /* and the new folder is watched */
    turns(&bench);
    ck_assert_uint_eq(bench.updates, 3);
    tear_down(&bench);
}
END_TEST

/* Neither waits nor is read: a FIFO, a folder, a file that is too large. */
START_TEST(test_other_things)
{
    struct bench bench;
    set_up(&bench);
    if (_i == 0)
        ck_assert_int_eq(mkfifo(bench.path, 0600), 0);
    if (_i == 1)
        ck_assert_int_eq(mkdir(bench.path, 0700), 0);
    if (_i == 2) {
        write_text(bench.path, ONE);
        ck_assert_int_eq(truncate(bench.path, (4 << 20) + 1), 0);
    }
    start(&bench);
    turns(&bench);
    ck_assert_uint_eq(bench.updates, 1);
    ck_assert_int_eq(bench.status, MESH_DISCOVERY);
    const char *words = _i == 2 ? "too large" : "not a regular file";
    ck_assert_msg(strstr(bench.detail, words) != NULL, "%s", bench.detail);
    if (_i == 1)
        ck_assert_int_eq(rmdir(bench.path), 0);
    tear_down(&bench);
}
END_TEST

START_TEST(test_stop_from_inside)
{
    struct bench bench;
    set_up(&bench);
    if (_i == 0)
        write_text(bench.path, ONE);
    bench.stop_inside = true;
    start(&bench);
    turns(&bench);
    later(&bench, LOOK_EVERY);
    ck_assert_uint_eq(bench.updates, 1);
    ck_assert_ptr_null(bench.source);
    tear_down(&bench);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("file_source");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, test_reads_and_follows);
    tcase_add_test(tcase, test_missing_at_start);
    tcase_add_loop_test(tcase, test_refused_text, 0, (int)(sizeof(refused) / sizeof(refused[0])));
    tcase_add_test(tcase, test_refused_at_start);
    tcase_add_test(tcase, test_partial_write);
    tcase_add_test(tcase, test_removed_file_keeps_the_list);
    tcase_add_test(tcase, test_swapped_links);
    tcase_add_test(tcase, test_slow_look);
    tcase_add_test(tcase, test_folder_comes_and_goes);
    tcase_add_loop_test(tcase, test_other_things, 0, 3);
    tcase_add_loop_test(tcase, test_stop_from_inside, 0, 2);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
