/* SPDX-License-Identifier: Apache-2.0 */
/* client_stream_end_test.c - how streams end: retried or not, cancelled, cut by the deadline, broken, closed, freed
 * under their users' hands, forked; and each gives back all that it had. */
/* label: threaded */
#include "api/stream_scene.h"
#include "net/reentry.h"
#include "support/http_peer.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND INT64_C(1000000000)
#define PIECE ((size_t)1000)

static void open_with(struct stream_scene *scene, int index, const char *service)
{
    stream_scene_begin(scene, index);
    scene->service = service;
}

static mesh_result *finish(mesh_stream *stream)
{
    mesh_result *result = NULL;
    mesh_status status = mesh_stream_finish(stream, &result);
    ck_assert_ptr_nonnull(result);
    ck_assert_int_eq(mesh_result_code(result), status);
    return result;
}

static mesh_attempt last_attempt(const mesh_result *result)
{
    mesh_attempt attempt = MESH_ATTEMPT_INIT;
    ck_assert_uint_gt(mesh_result_attempt_count(result), 0);
    ck_assert_int_eq(mesh_result_attempt(result, mesh_result_attempt_count(result) - 1, &attempt), MESH_OK);
    return attempt;
}

/* ---- retries ---- */

#define RETRIED ", 'timeout': '30s', 'retry': {'on': ['503', 'reset'], 'non_idempotent': true%s}"

static const struct {
    const char *replay;
    size_t written, refusal;
    uint32_t flags;
    int attempts, status, stop;
    uint64_t size; /* of the body that is read */
} retries[] = {
    { "", 10000, 100, 0, 2, 200, MESH_STOP_NONE, 10000 },
    { "", 64 * 1024, 100, 0, 2, 200, MESH_STOP_NONE, 64 * 1024 },
    { "", 64 * 1024 + 1, 100, 0, 1, 503, MESH_STOP_REPLAY, 100 },
    { "", 500000, 100, 0, 1, 503, MESH_STOP_REPLAY, 100 },
    { ", 'replay': '1MiB'", 500000, 100, 0, 2, 200, MESH_STOP_NONE, 500000 },
    { ", 'replay': '0B'", 1, 100, 0, 1, 503, MESH_STOP_REPLAY, 100 },
    { ", 'replay': '0B'", 0, 100, 0, 2, 200, MESH_STOP_NONE, 0 },
    { "", 10000, 20000, 0, 2, 200, MESH_STOP_NONE, 10000 },
    { "", 10000, 200000, 0, 1, 503, MESH_STOP_REPLAY, 200000 }, /* too much of it to be held back */
    { "", 10000, 100, MESH_NO_RETRY, 1, 503, MESH_STOP_ASKED, 100 },
};

START_TEST(retried_as_long_as_the_request_is_kept)
{
    for (size_t i = 0; i < sizeof(retries) / sizeof(retries[0]); i++) {
        struct stream_scene scene;
        char service[200];
        (void)snprintf(service, sizeof(service), RETRIED, retries[i].replay);
        open_with(&scene, _i, service);
        scene.refusal = retries[i].refusal;
        stream_scene_open(&scene);
        mesh_request request = MESH_REQUEST_INIT;
        request.flags = retries[i].flags;
        mesh_stream *stream = scene_stream(&scene, "POST", "/once", &request);
        char *bytes = malloc(retries[i].written + 1);
        pattern(bytes, 0, retries[i].written);
        if (retries[i].written > 0)
            ck_assert_int_eq(scene_write(&scene, stream, bytes, retries[i].written), MESH_OK);
        ck_assert_int_eq(mesh_stream_end(stream, NULL, 0), MESH_OK);
        uint64_t size;
        ck_assert_int_eq(scene_drain(&scene, stream, &size), MESH_OK);
        mesh_result *result = finish(stream);
        mesh_attempt last = last_attempt(result);
        ck_assert_msg(mesh_result_attempt_count(result) == (size_t)retries[i].attempts &&
                          mesh_result_status(result) == retries[i].status && last.stop == retries[i].stop &&
                          size == retries[i].size,
                      "row %zu: %zu attempts, %d, stop %s, %llu bytes", i, mesh_result_attempt_count(result),
                      (int)mesh_result_status(result), mesh_stop_name(last.stop), (unsigned long long)size);
        mesh_result_free(result);
        free(bytes);
        stream_scene_close(&scene);
    }
}
END_TEST

/* The words say why there was no other attempt. */
START_TEST(what_went_out_is_not_repeated)
{
    struct stream_scene scene;
    char service[200];
    struct http_script *script = script_new();
    struct http_peer *peer = http_peer_start(script, &(struct http_layers){ .spec = NULL }, 1);
    (void)snprintf(service, sizeof(service), RETRIED, ", 'replay': '0B'");
    open_with(&scene, _i, service);
    scene.endpoint = http_peer_address(peer, 0);
    stream_scene_open(&scene);
    mesh_stream *stream = scene_stream(&scene, "POST", "/close", NULL);
    ck_assert_int_eq(scene_write(&scene, stream, "x", 1), MESH_OK);
    ck_assert_int_eq(mesh_stream_end(stream, NULL, 0), MESH_OK);
    const mesh_result *head;
    ck_assert_int_ne(scene_head(&scene, stream, &head), MESH_OK);
    ck_assert_ptr_null(head);
    mesh_result *result = finish(stream);
    ck_assert_int_eq(mesh_result_code(result), MESH_RESET);
    ck_assert_msg(strstr(mesh_result_message(result), "no further attempt: replay"), "%s", mesh_result_message(result));
    mesh_result_free(result);
    stream_scene_close(&scene);
    http_peer_stop(peer);
    script_free(script);
}
END_TEST

/* ---- the call ends under the stream ---- */

struct reader {
    struct stream_scene *scene;
    mesh_stream *stream;
    pthread_t thread;
    mesh_status status;
    uint64_t size;
};

static void *run_reader(void *user)
{
    struct reader *reader = user;
    char bytes[PIECE];
    size_t got = 1;
    while (reader->status == MESH_OK && got > 0) {
        reader->status = mesh_stream_read(reader->stream, bytes, sizeof(bytes), -1, &got);
        reader->size += got;
    }
    return NULL;
}

/* What is said once the call has ended with `status`. */
static void check_ended(struct stream_scene *scene, mesh_stream *stream, mesh_status status)
{
    char bytes[16];
    size_t size = 7;
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(scene_read(scene, stream, bytes, sizeof(bytes), &size), status);
        ck_assert_uint_eq(size, 0);
        ck_assert_int_eq(mesh_stream_write(stream, "x", 1, -1, &size), status);
        ck_assert_uint_eq(size, 0);
        ck_assert_int_eq(mesh_stream_end(stream, NULL, 0), status);
        mesh_stream_cancel(stream);
    }
}

static void wait_for_head(struct stream_scene *scene, mesh_stream *stream)
{
    const mesh_result *head;
    ck_assert_int_eq(scene_head(scene, stream, &head), MESH_OK);
    ck_assert_int_eq(mesh_result_status(head), 200);
}

enum { BY_STREAM, BY_ID, BY_TOKEN, BY_FINISH, CANCELS };

START_TEST(cancel_resets_and_wakes)
{
    struct stream_scene scene;
    open_with(&scene, _i, "");
    stream_scene_open(&scene);
    for (int how = 0; how < CANCELS; how++) {
        mesh_token *token;
        ck_assert_int_eq(mesh_token_new(&token), MESH_OK);
        mesh_request request = MESH_REQUEST_INIT;
        request.token = token;
        mesh_stream *stream = scene_stream(&scene, "POST", "/open", &request);
        wait_for_head(&scene, stream);
        struct reader reader = { .scene = &scene, .stream = stream };
        bool reads = scene.driver != STREAM_EXTERNAL && how != BY_FINISH;
        if (reads)
            ck_assert_int_eq(pthread_create(&reader.thread, NULL, run_reader, &reader), 0);
        if (how == BY_STREAM)
            mesh_stream_cancel(stream);
        else if (how == BY_ID)
            ck_assert_int_eq(mesh_cancel(scene.client, mesh_stream_id(stream)), MESH_OK);
        else if (how == BY_TOKEN)
            mesh_token_cancel(token);
        if (reads) {
            ck_assert_int_eq(pthread_join(reader.thread, NULL), 0);
            ck_assert_int_eq(reader.status, MESH_CANCELLED);
        }
        if (how != BY_FINISH)
            check_ended(&scene, stream, MESH_CANCELLED);
        mesh_result *result = finish(stream);
        ck_assert_int_eq(mesh_result_code(result), MESH_CANCELLED);
        mesh_result_free(result);
        mesh_token_free(token);
        scene_await(&scene, &scene.gone); /* the peer was told */
    }
    stream_scene_close(&scene);
}
END_TEST

START_TEST(deadline_covers_the_stream)
{
    struct stream_scene scene;
    open_with(&scene, _i, ", 'timeout': '30s'");
    stream_scene_open(&scene);
    mesh_request request = MESH_REQUEST_INIT;
    request.timeout_ns = SECOND / 5;
    mesh_stream *stream = scene_stream(&scene, "POST", "/deaf", &request);
    wait_for_head(&scene, stream);
    check_ended(&scene, stream, MESH_DEADLINE);
    mesh_result *result = finish(stream);
    ck_assert_int_eq(mesh_result_code(result), MESH_DEADLINE);
    ck_assert_int_eq(mesh_result_status(result), 200); /* the head that was handed on */
    mesh_result_free(result);
    sem_post(&scene.go);
    stream_scene_close(&scene);
}
END_TEST

/* The service's timeout holds where the request has none of its own; what ends an attempt without a head is not what
 * the peer is told. */
START_TEST(whose_timeout_holds)
{
    static const struct {
        int64_t timeout;
        long least, most;
    } rows[] = { { 0, 10001, 20000 }, { 3600 * SECOND, 3500000, 3600000 }, { SECOND * 9, 1, 9000 }, { -1, -1, -1 } };
    struct stream_scene scene;
    open_with(&scene, _i, ", 'timeout': '20s', 'retry': {'per_try_timeout': '8s'}");
    stream_scene_open(&scene);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        mesh_request request = MESH_REQUEST_INIT;
        const mesh_result *head;
        request.timeout_ns = rows[i].timeout;
        mesh_stream *stream = scene_stream(&scene, "GET", "/echo", &request);
        ck_assert_int_eq(scene_head(&scene, stream, &head), MESH_OK);
        const char *said = mesh_result_header_value(head, "x-timeout");
        long ms = strcmp(said, "none") == 0 ? -1 : strtol(said, NULL, 10);
        ck_assert_msg(ms >= rows[i].least && ms <= rows[i].most, "row %zu: %s", i, said);
        mesh_result_free(finish(stream));
    }
    stream_scene_close(&scene);
}
END_TEST

/* What came before the peer broke off is read first. */
START_TEST(a_response_that_breaks_off)
{
    struct stream_scene scene;
    open_with(&scene, _i, "");
    stream_scene_open(&scene);
    mesh_stream *stream = scene_stream(&scene, "GET", "/break", NULL);
    wait_for_head(&scene, stream);
    char bytes[100];
    size_t got;
    ck_assert_int_eq(scene_read(&scene, stream, bytes, sizeof(bytes), &got), MESH_OK);
    uint64_t size = got;
    sem_post(&scene.go);
    mesh_status status = MESH_OK;
    while (status == MESH_OK && got > 0) {
        status = scene_read(&scene, stream, bytes, sizeof(bytes), &got);
        ck_assert(is_pattern(bytes, size, got));
        size += got;
    }
    ck_assert_int_eq(status, MESH_PARTIAL_RESPONSE);
    ck_assert_uint_eq(size, 1000);
    mesh_result *result = finish(stream);
    ck_assert_int_eq(mesh_result_code(result), MESH_PARTIAL_RESPONSE);
    mesh_attempt last = last_attempt(result);
    ck_assert_int_eq(last.stop, MESH_STOP_NOT_RETRYABLE);
    mesh_result_free(result);
    stream_scene_close(&scene);
}
END_TEST

START_TEST(unknown_service_and_bad_requests)
{
    struct stream_scene scene;
    open_with(&scene, _i, "");
    stream_scene_open(&scene);
    mesh_request request = MESH_REQUEST_INIT;
    mesh_stream *stream;
    mesh_header wrong = { "content-length", 14, "5", 1 };
    char bytes[8];
    size_t got;
    if (scene.driver == STREAM_EXTERNAL)
        request.flags = MESH_STREAM_NOTIFY;
    ck_assert_int_eq(mesh_stream_open(scene.client, "nobody", &request, &scene, &stream), MESH_OK);
    ck_assert_int_eq(scene_read(&scene, stream, bytes, sizeof(bytes), &got), MESH_ESERVICE);
    mesh_result *result = finish(stream);
    ck_assert_int_eq(mesh_result_code(result), MESH_ESERVICE);
    mesh_result_free(result);
    ck_assert_int_eq(mesh_stream_open(NULL, "test", NULL, NULL, &stream), MESH_EINVAL);
    ck_assert_int_eq(mesh_stream_open(scene.client, "test", NULL, NULL, NULL), MESH_EINVAL);
    ck_assert_int_eq(mesh_stream_open(scene.client, NULL, NULL, NULL, &stream), MESH_EINVAL);
    request.body_size = 1;
    ck_assert_int_eq(mesh_stream_open(scene.client, "test", &request, NULL, &stream), MESH_EINVAL);
    ck_assert_ptr_null(stream);
    request.body_size = 0;
    request.flags = 0x8000;
    ck_assert_int_eq(mesh_stream_open(scene.client, "test", &request, NULL, &stream), MESH_EINVAL);
    stream = scene_stream(&scene, "POST", "/open", NULL);
    ck_assert_int_eq(mesh_stream_end(stream, &wrong, 1), MESH_EINVAL);
    ck_assert_int_eq(mesh_stream_end(stream, NULL, 1), MESH_EINVAL);
    ck_assert_int_eq(mesh_stream_read(stream, bytes, 0, 0, &got), MESH_EINVAL);
    ck_assert_int_eq(mesh_stream_read(stream, NULL, 1, 0, &got), MESH_EINVAL);
    ck_assert_int_eq(mesh_stream_write(stream, NULL, 1, 0, &got), MESH_EINVAL);
    ck_assert_int_eq(mesh_stream_write(NULL, "x", 1, 0, &got), MESH_EINVAL);
    ck_assert_int_eq(mesh_stream_head(NULL, 0, NULL), MESH_EINVAL);
    ck_assert_int_eq(mesh_stream_finish(NULL, NULL), MESH_EINVAL);
    ck_assert_uint_eq(mesh_stream_id(NULL), 0);
    mesh_stream_cancel(NULL);
    (void)mesh_stream_finish(stream, NULL);
    stream_scene_close(&scene);
}
END_TEST

/* ---- memory runs out ---- */

/* One stream with everything that takes memory; how it ended. */
static mesh_status make_stream(struct stream_scene *scene, const char *bytes, size_t size)
{
    mesh_request request = MESH_REQUEST_INIT;
    mesh_header trailer = { "x-sum", 5, "all", 3 };
    mesh_stream *stream;
    char back[8192];
    size_t got = 1;
    request.method = "POST";
    request.path = "/echo";
    request.flags = scene->driver == STREAM_EXTERNAL ? (uint32_t)MESH_STREAM_NOTIFY : 0;
    mesh_status status = mesh_stream_open(scene->client, "test", &request, scene, &stream);
    if (status != MESH_OK)
        return status;
    status = scene_write(scene, stream, bytes, size);
    if (status == MESH_OK)
        status = mesh_stream_end(stream, &trailer, 1);
    while (status == MESH_OK && got > 0)
        status = scene_read(scene, stream, back, sizeof(back), &got);
    mesh_status ended = mesh_stream_finish(stream, NULL);
    return ended == MESH_CANCELLED ? status : ended; /* which is why it was */
}

/* The k-th allocation fails, for each k until none is left to fail: the stream says so, or does without; the next one
 * works. */
START_TEST(memory_runs_out)
{
    struct stream_scene scene;
    static char bytes[40000];
    pattern(bytes, 0, sizeof(bytes));
    open_with(&scene, _i, "");
    stream_scene_open(&scene);
    uint32_t failed = 0;
    for (int64_t k = 1;; k++) {
        atomic_store(&scene.memory.countdown, k);
        mesh_status status = make_stream(&scene, bytes, sizeof(bytes));
        bool none = atomic_exchange(&scene.memory.countdown, 0) > 0;
        ck_assert_msg(status == MESH_OK || status == MESH_NO_MEMORY || !none, "%s", mesh_status_name(status));
        failed += status != MESH_OK;
        ck_assert_int_eq(make_stream(&scene, bytes, sizeof(bytes)), MESH_OK);
        if (none)
            break;
    }
    ck_assert_uint_gt(failed, 2);
    stream_scene_close(&scene);
}
END_TEST

/* ---- waits ---- */

START_TEST(who_may_wait)
{
    struct stream_scene scene;
    open_with(&scene, _i, "");
    stream_scene_open(&scene);
    mesh_stream *stream = scene_stream(&scene, "POST", "/open", NULL);
    wait_for_head(&scene, stream);
    bool external = scene.driver == STREAM_EXTERNAL;
    char bytes[8];
    size_t got;
    ck_assert_int_eq(mesh_stream_read(stream, bytes, sizeof(bytes), 0, &got), MESH_EAGAIN);
    ck_assert_int_eq(mesh_stream_read(stream, bytes, sizeof(bytes), 1000000, &got),
                     external ? MESH_EREENTRY : MESH_EAGAIN);
    /* Inside a turn, of whatever loop, nobody waits. */
    mesh_result *result;
    mesh__turn_enter();
    ck_assert_int_eq(mesh_stream_read(stream, bytes, sizeof(bytes), -1, &got), MESH_EREENTRY);
    ck_assert_int_eq(mesh_call_stream(scene.client, "test", NULL, &(mesh_stream_io)MESH_STREAM_IO_INIT, NULL),
                     MESH_EREENTRY);
    ck_assert_int_eq(mesh_stream_write(stream, "x", 1, -1, &got), MESH_OK);
    ck_assert_int_eq(mesh_stream_finish(stream, &result), MESH_CANCELLED);
    mesh__turn_leave();
    mesh_result_free(result);
    stream_scene_close(&scene);
}
END_TEST

/* ---- the client ends under the stream ---- */

START_TEST(close_waits_for_streams)
{
    struct stream_scene scene;
    open_with(&scene, _i, "");
    stream_scene_open(&scene);
    mesh_stream *stream = scene_stream(&scene, "POST", "/open", NULL), *late;
    wait_for_head(&scene, stream);
    mesh_status closed = mesh_client_close(scene.client, 1000000);
    ck_assert_int_eq(closed, scene.driver == STREAM_EXTERNAL ? MESH_OK : MESH_DEADLINE);
    ck_assert_int_eq(mesh_stream_open(scene.client, "test", NULL, NULL, &late), MESH_ECLOSED);
    check_ended(&scene, stream, MESH_CANCELLED);
    mesh_result *result = finish(stream);
    ck_assert_int_eq(mesh_result_code(result), MESH_CANCELLED);
    mesh_result_free(result);
    stream_scene_close(&scene);
}
END_TEST

START_TEST(free_ends_streams_which_outlive_it)
{
    struct stream_scene scene;
    open_with(&scene, _i, "");
    stream_scene_open(&scene);
    mesh_stream *stream = scene_stream(&scene, "POST", "/open", NULL);
    mesh_stream *idle = scene_stream(&scene, "POST", "/open", NULL);
    mesh_stream *done = scene_stream(&scene, "GET", "/echo", NULL);
    uint64_t size;
    wait_for_head(&scene, stream);
    ck_assert_int_eq(scene_drain(&scene, done, &size), MESH_OK);
    struct reader reader = { .scene = &scene, .stream = stream };
    bool reads = scene.driver != STREAM_EXTERNAL;
    if (reads)
        ck_assert_int_eq(pthread_create(&reader.thread, NULL, run_reader, &reader), 0);
    mesh_client_free(scene.client);
    scene.client = NULL;
    if (reads) {
        ck_assert_int_eq(pthread_join(reader.thread, NULL), 0);
        ck_assert_int_eq(reader.status, MESH_CANCELLED);
    }
    check_ended(&scene, stream, MESH_CANCELLED);
    check_ended(&scene, idle, MESH_CANCELLED);
    mesh_stream *streams[] = { stream, idle, done };
    for (int i = 0; i < 3; i++) {
        mesh_result *result = finish(streams[i]);
        ck_assert_int_eq(mesh_result_code(result), i < 2 ? MESH_CANCELLED : MESH_OK);
        mesh_result_free(result);
    }
    stream_scene_close(&scene);
}
END_TEST

/* In a child nothing of the parent's is touched. */
START_TEST(forked)
{
    struct stream_scene scene;
    open_with(&scene, _i, "");
    stream_scene_open(&scene);
    mesh_stream *stream = scene_stream(&scene, "POST", "/open", NULL);
    wait_for_head(&scene, stream);
    pid_t child = fork();
    if (child == 0) {
        char bytes[8];
        size_t got;
        const mesh_result *head;
        bool ok = mesh_stream_read(stream, bytes, sizeof(bytes), -1, &got) == MESH_EFORKED &&
                  mesh_stream_write(stream, "x", 1, -1, &got) == MESH_EFORKED &&
                  mesh_stream_head(stream, -1, &head) == MESH_EFORKED &&
                  mesh_stream_end(stream, NULL, 0) == MESH_EFORKED;
        mesh_stream_cancel(stream);
        mesh_client_free(scene.client);
        ok = ok && mesh_stream_finish(stream, NULL) == MESH_EFORKED;
        _exit(ok ? 0 : 1);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child was not told");
    ck_assert_int_eq(scene_write(&scene, stream, "x", 1), MESH_OK);
    mesh_stream_cancel(stream);
    check_ended(&scene, stream, MESH_CANCELLED);
    mesh_result_free(finish(stream));
    stream_scene_close(&scene);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client_stream_end");
    TCase *tcase = tcase_create("client_stream_end");
    tcase_add_loop_test(tcase, retried_as_long_as_the_request_is_kept, 0, STREAM_CELLS);
    tcase_add_loop_test(tcase, what_went_out_is_not_repeated, 0, STREAM_DRIVERS); /* over HTTP/1.1 */
    tcase_add_loop_test(tcase, cancel_resets_and_wakes, 0, STREAM_CELLS);
    tcase_add_loop_test(tcase, deadline_covers_the_stream, 0, STREAM_CELLS);
    tcase_add_loop_test(tcase, whose_timeout_holds, 0, STREAM_CELLS);
    tcase_add_loop_test(tcase, a_response_that_breaks_off, 0, STREAM_CELLS);
    tcase_add_loop_test(tcase, unknown_service_and_bad_requests, 0, STREAM_CELLS);
    tcase_add_loop_test(tcase, memory_runs_out, 0, STREAM_CELLS);
    tcase_add_loop_test(tcase, who_may_wait, 0, STREAM_CELLS);
    tcase_add_loop_test(tcase, close_waits_for_streams, 0, STREAM_CELLS);
    tcase_add_loop_test(tcase, free_ends_streams_which_outlive_it, 0, STREAM_CELLS);
    tcase_add_loop_test(tcase, forked, 0, STREAM_CELLS);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
