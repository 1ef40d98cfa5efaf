/* SPDX-License-Identifier: Apache-2.0 */
/* client_fork_test.c - a client in a child of fork(): answers at once, goes without a trace, and harms no parent. */
#include "api/client_rows.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL)
        return -1;
    int count = 0;
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

/* What a child finds is its exit status: the first row that is wrong. */
#define CHILD(number, condition)                                                                                       \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            _exit(number);                                                                                             \
    } while (0)

static void ask_everything(mesh_client *client, mesh_call_id id)
{
    mesh_result *result = NULL;
    mesh_completion completion = MESH_COMPLETION_INIT;
    mesh_counters counters = MESH_COUNTERS_INIT;
    mesh_config *config = NULL;
    uint32_t count;
    CHILD(1, mesh_call(client, "test", NULL, &result) == MESH_EFORKED && mesh_result_code(result) == MESH_EFORKED);
    mesh_result_free(result);
    CHILD(2, mesh_call_start(client, "test", NULL, NULL, NULL) == MESH_EFORKED);
    CHILD(3, mesh_cancel(client, id) == MESH_EFORKED);
    CHILD(4, mesh_client_next(client, &completion, 1, -1, &count) == MESH_EFORKED && count == 0);
    CHILD(5, mesh_client_next(client, &completion, 1, 0, &count) == MESH_EFORKED);
    CHILD(6, mesh_client_ready(client, NULL, -1) == MESH_EFORKED);
    CHILD(7, mesh_client_close(client, -1) == MESH_EFORKED);
    CHILD(8, mesh_client_counters(client, "test", NULL, &counters) == MESH_EFORKED);
    CHILD(9, mesh_client_inspect(client, NULL) == NULL);
    CHILD(10, mesh_loop_fd(client, 0) == -1);
    CHILD(11, mesh_loop_timeout(client, 0) == -1);
    CHILD(12, mesh_loop_process(client, 0) == MESH_EFORKED);
    CHILD(13, mesh_config_new(&config) == MESH_OK && mesh_client_reload(client, config, NULL) == MESH_EFORKED);
    mesh_config_free(config);
}

/* In the child: everything is refused, and free gives back every descriptor that opening had taken. */
static void be_the_child(struct harness *harness, int before)
{
    ask_everything(harness->client, 1);
    CHILD(20, count_descriptors() > before);
    mesh_client_free(harness->client);
    CHILD(21, count_descriptors() == before);
    _exit(0);
}

static int in_child(struct harness *harness, int before)
{
    (void)fflush(NULL);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        be_the_child(harness, before);
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

static void expect_echo(struct harness *harness)
{
    mesh_result *result = harness_get(harness, "/echo");
    EXPECT_RESULT(harness, result, MESH_OK, 200);
    mesh_result_free(result);
}

START_TEST(child_of_fork)
{
    struct cell cell = { (enum driver)_i, NETWORK_SOCKETS, 1, false, false };
    struct harness harness;
    harness_begin(&harness, &cell);
    harness.options.shards = cell.driver == DRIVER_EXTERNAL ? 1 : 2;
    int before = count_descriptors();
    harness_open(&harness, "{'test': {'endpoints': ['@0'], 'timeout': '60s'}}");
    expect_echo(&harness);
    expect_echo(&harness);
    uint64_t opened = script_opened(harness.script, 0);
    /* The peer's ends of connections are open in this process too, and not the client's. */
    ck_assert_int_eq(in_child(&harness, before + (int)opened), 0);
    ck_assert_uint_eq(script_open_now(harness.script, 0), opened); /* the child has closed none of the parent's */
    for (int i = 0; i < 4; i++)
        expect_echo(&harness);
    ck_assert_uint_le(script_opened(harness.script, 0), 2); /* one for each shard */
    harness_close(&harness);
    ck_assert_msg(harness.message[0] == '\0', "%s", harness.message);
    harness_end(&harness);
}
END_TEST

/* With calls under way on both sides of the fork; the parent's complete. */
START_TEST(calls_under_way)
{
    struct cell cell = { (enum driver)_i, NETWORK_SOCKETS, 1, false, false };
    struct harness harness;
    struct ticket tickets[4];
    harness_begin(&harness, &cell);
    harness_open(&harness, "{'test': {'endpoints': ['@0', '@1'], 'timeout': '60s'}}");
    mesh_request request = request_of("GET", "/delay/30", NULL);
    for (int i = 0; i < 4; i++)
        harness_start(&harness, &tickets[i], "test", &request);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        ask_everything(harness.client, tickets[0].id);
        mesh_client_free(harness.client);
        _exit(0);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child's status is %x", (unsigned)status);
    for (int i = 0; i < 4; i++) {
        mesh_result *result = harness_wait(&tickets[i]);
        EXPECT_RESULT(&harness, result, MESH_OK, 200);
        mesh_result_free(result);
    }
    harness_close(&harness);
    ck_assert_msg(harness.message[0] == '\0', "%s", harness.message);
    harness_end(&harness);
}
END_TEST

/* The child opens a client of its own. */
START_TEST(new_client_in_child)
{
    struct cell cell = { DRIVER_BLOCKING, NETWORK_SOCKETS, 1, false, false };
    struct harness harness;
    harness_begin(&harness, &cell);
    harness_open(&harness, "{'test': {'endpoints': ['@0']}}");
    expect_echo(&harness);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        mesh_client_free(harness.client);
        harness_open(&harness, "{'test': {'endpoints': ['@0']}}");
        expect_echo(&harness);
        harness_close(&harness);
        _exit(harness.message[0] != '\0');
    }
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    expect_echo(&harness);
    harness_close(&harness);
    ck_assert_msg(harness.message[0] == '\0', "%s", harness.message);
    harness_end(&harness);
}
END_TEST

/* Large blocks of memory: the queue for spans and log lines, shards, slots for calls, what loops read into. */
#define LARGE 8192
static _Atomic int64_t large_bytes;

static void *count_allocate(size_t bytes, void *user)
{
    (void)user;
    size_t *block = malloc(bytes + 16);
    if (block == NULL)
        return NULL;
    block[0] = bytes;
    atomic_fetch_add(&large_bytes, bytes >= LARGE ? (int64_t)bytes : 0);
    return block + 2;
}

static void count_release(void *block, void *user)
{
    (void)user;
    size_t *from = block ? (size_t *)block - 2 : NULL;
    if (from)
        atomic_fetch_sub(&large_bytes, from[0] >= LARGE ? (int64_t)from[0] : 0);
    free(from);
}

static void *count_resize(void *block, size_t old_bytes, size_t bytes, void *user)
{
    void *moved = count_allocate(bytes, user);
    if (moved && block)
        memcpy(moved, block, old_bytes < bytes ? old_bytes : bytes);
    if (moved)
        count_release(block, user);
    return moved;
}

static void ignore_log(int32_t level, const char *line, void *user)
{
    (void)level;
    (void)line;
    (void)user;
}

START_TEST(child_gives_memory_back)
{
    struct cell cell = { (enum driver)_i, NETWORK_SOCKETS, 1, false, false };
    mesh_allocator allocator = { sizeof(allocator), 0, count_allocate, count_resize, count_release, NULL };
    struct harness harness;
    harness_begin(&harness, &cell);
    harness.options.allocator = &allocator;
    harness.options.on_log = ignore_log;
    harness_open(&harness, "{'test': {'endpoints': ['@0']}}");
    expect_echo(&harness);
    ck_assert_int_gt(atomic_load(&large_bytes), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        mesh_client_free(harness.client);
        _exit(atomic_load(&large_bytes) != 0);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    harness_close(&harness);
    ck_assert_msg(harness.message[0] == '\0', "%s", harness.message);
    harness_end(&harness);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client, fork");
    TCase *tcase = tcase_create("fork");
    tcase_set_timeout(tcase, 20);
    tcase_add_loop_test(tcase, child_of_fork, 0, DRIVERS);
    tcase_add_loop_test(tcase, calls_under_way, 0, DRIVERS);
    tcase_add_test(tcase, new_client_in_child);
    tcase_add_loop_test(tcase, child_gives_memory_back, 0, DRIVERS);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
