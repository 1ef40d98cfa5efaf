/* SPDX-License-Identifier: Apache-2.0 */
/* allocation_test.c - whole lives of clients in which the k-th allocation fails, for each k until none is left to fail:
 * every failure is a proper status, nothing leaks, and the client goes on. */
/* label: threaded */
/* long */
#include "client/client.h"
#include "net/memory.h"

#include <check.h>
#include <fcntl.h>
#include <mesh/mesh.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- an allocator that fails once, or from then on ---- */

static _Atomic int64_t countdown; /* the allocation that brings it to 0 fails */
static bool for_good;             /* and all that follow */
static _Atomic int64_t blocks, failures;

static bool fails(void)
{
    int64_t left = atomic_fetch_sub(&countdown, 1) - 1;
    bool failed = left == 0 || (for_good && left < 0);
    if (failed)
        atomic_fetch_add(&failures, 1);
    return failed;
}

static void *poor_resize(void *block, size_t old_bytes, size_t bytes, void *user)
{
    (void)old_bytes;
    (void)user;
    void *moved = fails() ? NULL : realloc(block, bytes);
    if (block == NULL && moved != NULL)
        atomic_fetch_add(&blocks, 1);
    return moved;
}

static void *poor_allocate(size_t bytes, void *user)
{
    return poor_resize(NULL, 0, bytes, user);
}

static void poor_release(void *block, void *user)
{
    (void)user;
    atomic_fetch_sub(&blocks, 1);
    free(block);
}

static const mesh_allocator poor = { sizeof(mesh_allocator), 0, poor_allocate, poor_resize, poor_release, NULL };

/* ---- the peers: one answers 503 to every first request of a connection, one always answers ---- */

static mesh_nanos clock_now = NANOS_S;

static mesh_nanos test_now(const struct world *world)
{
    (void)world;
    return clock_now;
}

static int64_t test_unix_now(const struct world *world)
{
    (void)world;
    return 1700000000 * NANOS_S + clock_now;
}

static uint64_t test_random(const struct world *world)
{
    (void)world;
    return 42;
}

static void *opened(void *user, struct memory_connection *connection)
{
    (void)connection;
    return user;
}

static void received(void *state, struct memory_connection *connection, const char *bytes, size_t size)
{
    if (size < 4 || memcmp(bytes + size - 4, "\r\n\r\n", 4) != 0)
        return; /* the body, which follows the head in a piece of its own */
    mesh__memory_send(connection, state, strlen(state), 0);
}

static void closed(void *state, struct memory_connection *connection)
{
    (void)state;
    (void)connection;
}

static const struct memory_peer memory_peer = { opened, received, closed };

static char busy[] = "HTTP/1.1 503 No\r\nx: y\r\ncontent-length: 2\r\n\r\nno";
static char fine[] = "HTTP/1.1 200 OK\r\nx: y\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";

/* ---- one life ---- */

static char file[64];

static void write_file(const char *text)
{
    int fd = open(file, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static mesh_config *config_of(const char *timeout)
{
    char json[1024];
    (void)snprintf(json, sizeof(json),
                   "{\"defaults\":{\"timeout\":\"%s\"},\"services\":{"
                   "\"s\":{\"endpoints\":[\"10.0.0.1:80\",\"10.0.0.2:80\"],\"balancer\":\"round-robin\","
                   "\"headers\":{\"x-team\":\"t\"},\"retry\":{\"on\":[\"503\",\"connect-failure\",\"reset\"],"
                   "\"attempts\":3,\"backoff\":{\"base\":\"1ms\",\"max\":\"1ms\"}}},"
                   "\"f\":{\"discover\":{\"file\":\"%s\"}}}}",
                   timeout, file);
    mesh_config *config;
    ck_assert_int_eq(mesh_config_parse(json, strlen(json), NULL, &config, NULL), MESH_OK);
    return config;
}

/* What a call may come to for lack of memory. */
static bool is_proper(mesh_status status)
{
    return status == MESH_OK || status == MESH_NO_MEMORY;
}

static void drive(mesh_client *client, uint32_t rounds)
{
    for (uint32_t i = 0; i < rounds; i++) {
        int64_t wait = mesh_loop_timeout(client, 0);
        if (wait > 0)
            clock_now += wait;
        ck_assert_int_eq(mesh_loop_process(client, 0), MESH_OK);
    }
}

/* Starts a call and drives until it has completed. */
static mesh_status call(mesh_client *client, const char *service, bool with_body)
{
    static const char body[3000];
    mesh_request request = MESH_REQUEST_INIT;
    mesh_header header = { "x-a", 3, "b", 1 };
    request.method = "PUT";
    request.headers = &header;
    request.header_count = 1;
    request.body = body;
    request.body_size = with_body ? sizeof(body) : 0;
    request.flags = MESH_COPY_BODY;
    mesh_call_id id;
    mesh_status status = mesh_call_start(client, service, &request, NULL, &id);
    if (status != MESH_OK)
        return status;
    for (int i = 0; i < 10000; i++) {
        mesh_completion completion = MESH_COMPLETION_INIT;
        uint32_t count;
        if (mesh_client_next(client, &completion, 1, 0, &count) == MESH_OK) {
            status = completion.status;
            ck_assert_int_eq(mesh_result_code(completion.result), status);
            ck_assert_msg(completion.id == id, "another call completed");
            ck_assert_msg(mesh_result_message(completion.result)[0] != '\0', "no message");
            if (status == MESH_OK && mesh_result_status(completion.result) == 200)
                ck_assert_str_eq(mesh_result_body(completion.result), "abc");
            mesh_result_free(completion.result);
            return status;
        }
        drive(client, 1);
    }
    ck_abort_msg("a call never completed");
    return MESH_EINTERNAL;
}

static void expect_proper(const char *what, mesh_status status, bool more)
{
    ck_assert_msg(is_proper(status) || more, "%s: %s", what, mesh_status_name(status));
}

/* Everything that a client does, from open to free, in external mode: so the k-th allocation is the same one in each
 * run. */
static void live(const struct world *world, const mesh_config *first, const mesh_config *second)
{
    mesh_options options = MESH_OPTIONS_INIT;
    options.mode = MESH_EXTERNAL;
    options.allocator = &poor;
    options.seed = 7;
    mesh_client *client = NULL;
    mesh_error *error = NULL;
    mesh_status status = mesh__client_open(world, first, &options, &client, &error);
    ck_assert_msg((status == MESH_OK) == (client != NULL) && (status == MESH_OK) == (error == NULL), "open: %s",
                  mesh_status_name(status));
    expect_proper("open", status, false);
    mesh_error_free(error);
    if (client == NULL)
        return;
    for (int i = 0; i < 3; i++)
        expect_proper("call", call(client, "s", i == 1), false);
    status = call(client, "f", false);
    expect_proper("discovered", status, status == MESH_DISCOVERY || status == MESH_DEADLINE);
    if (status != MESH_OK)
        drive(client, 10); /* what could not be read or published is looked at again */
    if (!for_good)
        expect_proper("discovered again", call(client, "f", false), false);
    error = NULL;
    status = mesh_client_reload(client, second, &error);
    ck_assert_msg((status == MESH_OK) == (error == NULL), "reload: %s", mesh_status_name(status));
    expect_proper("reload", status, false);
    mesh_error_free(error);
    expect_proper("after reload", call(client, "s", false), false);
    mesh_counters counters = MESH_COUNTERS_INIT;
    ck_assert_int_eq(mesh_client_counters(client, "s", NULL, &counters), MESH_OK);
    ck_assert_uint_eq(counters.calls, counters.responses + counters.failures);
    ck_assert_uint_eq(counters.active, 0);
    mesh_string_free(mesh_client_inspect(client, NULL));
    if (!for_good)
        expect_proper("the last", call(client, "s", true), false);
    ck_assert_int_eq(mesh_client_close(client, 0), MESH_OK);
    drive(client, 5);
    mesh_client_free(client);
}

static void on_completion(const mesh_completion *completion, void *user)
{
    expect_proper("completion", completion->status, false);
    atomic_fetch_add((_Atomic int *)user, 1);
    mesh_result_free(completion->result);
}

static void on_span(const mesh_span *span, void *user)
{
    (void)span;
    (void)user;
}

/* The same with the client's own threads, blocking calls and callbacks. */
static void live_owned(const struct world *world, const mesh_config *first, const mesh_config *second)
{
    _Atomic int completed = 0;
    mesh_options options = MESH_OPTIONS_INIT;
    options.allocator = &poor;
    options.shards = 1;
    options.on_completion = on_completion;
    options.on_span = on_span;
    options.user = &completed;
    mesh_client *client = NULL;
    mesh_error *error = NULL;
    mesh_status status = mesh__client_open(world, first, &options, &client, &error);
    expect_proper("open", status, false);
    ck_assert((status == MESH_OK) == (client != NULL));
    mesh_error_free(error);
    if (client == NULL)
        return;
    int started = 0;
    for (int i = 0; i < 4; i++) {
        mesh_request request = MESH_REQUEST_INIT;
        mesh_result *result = NULL;
        status = mesh_call(client, "s", &request, &result);
        ck_assert_int_eq(mesh_result_code(result), status);
        ck_assert_str_ne(mesh_result_message(result), "");
        expect_proper("call", status, false);
        mesh_result_free(result);
        status = mesh_call_start(client, "s", &request, NULL, NULL);
        expect_proper("start", status, false);
        started += status == MESH_OK;
        if (i == 1)
            expect_proper("reload", mesh_client_reload(client, second, NULL), false);
    }
    ck_assert_int_eq(mesh_client_close(client, -1), MESH_OK);
    while (atomic_load(&completed) < started)
        sched_yield();
    mesh_client_free(client);
}

static void torture(void (*life)(const struct world *, const mesh_config *, const mesh_config *), bool every_later)
{
    struct world world = { test_now, test_unix_now, test_random, NULL, NULL };
    if (life == live_owned)
        world = mesh__world_real;
    char name[] = "/tmp/mesh-torture-XXXXXX";
    int fd = mkstemp(name);
    ck_assert_int_ge(fd, 0);
    close(fd);
    (void)snprintf(file, sizeof(file), "%s", name);
    write_file("[\"10.0.0.3:80\"]");
    struct memory_network *network = mesh__memory_new(&world);
    ck_assert(mesh__memory_listen(network, "10.0.0.1:80", &memory_peer, busy));
    ck_assert(mesh__memory_listen(network, "10.0.0.2:80", &memory_peer, fine));
    ck_assert(mesh__memory_listen(network, "10.0.0.3:80", &memory_peer, fine));
    mesh_config *first = config_of("5s"), *second = config_of("4s");
    for_good = every_later;
    int64_t k = 0;
    do {
        atomic_store(&blocks, 0);
        atomic_store(&failures, 0);
        atomic_store(&countdown, ++k);
        life(mesh__memory_world(network), first, second);
        ck_assert_msg(atomic_load(&blocks) == 0, "allocation %lld failed: %lld blocks leak", (long long)k,
                      (long long)atomic_load(&blocks));
    } while (atomic_load(&failures) > 0);
    ck_assert_int_gt(k, 50);
    (void)printf("%lld allocations\n", (long long)k - 1);
    mesh_config_free(first);
    mesh_config_free(second);
    mesh__memory_free(network);
    (void)unlink(file);
}

START_TEST(one_allocation_fails)
{
    torture(live, false);
}
END_TEST

START_TEST(all_fail_from_one_on)
{
    torture(live, true);
}
END_TEST

START_TEST(one_fails_with_threads)
{
    torture(live_owned, false);
}
END_TEST

START_TEST(all_fail_with_threads)
{
    torture(live_owned, true);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("allocation");
    TCase *tcase = tcase_create("allocation");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, one_allocation_fails);
    tcase_add_test(tcase, all_fail_from_one_on);
    tcase_add_test(tcase, one_fails_with_threads);
    tcase_add_test(tcase, all_fail_with_threads);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
