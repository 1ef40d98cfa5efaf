/* SPDX-License-Identifier: Apache-2.0 */
/* client_stream_test.c - bodies in pieces, both ways, over both protocols and whoever drives: all bytes come, in
 * bounded memory; who does not read holds up who writes, and nobody else. */
/* label: threaded */
#include "api/stream_scene.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define MIB ((size_t)1024 * 1024)
#define BULK (10 * MIB)
#define WRITTEN (32 * MIB)
#define UNREAD 10
#define PIECE 30011 /* of what a writer writes at once */

static mesh_header field(const char *name, const char *value)
{
    return (mesh_header){ name, strlen(name), value, strlen(value) };
}

/* ---- a writer: a thread, but for an external client, whose writes and reads take turns ---- */

struct writer {
    struct stream_scene *scene;
    mesh_stream *stream;
    uint64_t size, at;
    pthread_t thread;
    mesh_status status;
};

/* One piece; the last one ends the request. */
static mesh_status write_piece(struct writer *writer, int64_t timeout)
{
    char bytes[PIECE];
    size_t written = 0;
    uint64_t left = writer->size - writer->at;
    size_t size = left < sizeof(bytes) ? (size_t)left : sizeof(bytes);
    pattern(bytes, writer->at, size);
    mesh_status status = mesh_stream_write(writer->stream, bytes, size, timeout, &written);
    writer->at += written;
    if (status == MESH_OK && writer->at == writer->size) {
        mesh_header trailer = field("x-sum", "all of it");
        status = mesh_stream_end(writer->stream, &trailer, 1);
    }
    return status;
}

static void *run_writer(void *user)
{
    struct writer *writer = user;
    while (writer->status == MESH_OK && writer->at < writer->size)
        writer->status = write_piece(writer, -1);
    return NULL;
}

static void writer_start(struct writer *writer)
{
    if (writer->scene->driver != STREAM_EXTERNAL)
        ck_assert_int_eq(pthread_create(&writer->thread, NULL, run_writer, writer), 0);
}

static void writer_join(struct writer *writer)
{
    if (writer->scene->driver != STREAM_EXTERNAL)
        ck_assert_int_eq(pthread_join(writer->thread, NULL), 0);
    ck_assert_int_eq(writer->status, MESH_OK);
}

/* Reads to the end, and in an external client writes meanwhile: a note says that one of the two can go on. */
static uint64_t read_while_writing(struct writer *writer)
{
    static char bytes[65536];
    bool external = writer->scene->driver == STREAM_EXTERNAL;
    uint64_t size = 0;
    for (;;) {
        size_t got = 0;
        mesh_status wrote = MESH_OK;
        while (external && writer->at < writer->size && wrote == MESH_OK)
            wrote = write_piece(writer, 0);
        ck_assert(wrote == MESH_OK || wrote == MESH_EAGAIN);
        mesh_status status = mesh_stream_read(writer->stream, bytes, sizeof(bytes), external ? 0 : -1, &got);
        if (external && status == MESH_EAGAIN) {
            scene_await_note(writer->scene);
            continue;
        }
        ck_assert_int_eq(status, MESH_OK);
        ck_assert_msg(is_pattern(bytes, size, got), "wrong bytes behind %llu", (unsigned long long)size);
        size += got;
        if (got == 0)
            return size;
    }
}

static void finish_with(mesh_stream *stream, int status)
{
    mesh_result *result;
    mesh_status code = mesh_stream_finish(stream, &result);
    ck_assert_msg(code == MESH_OK && mesh_result_status(result) == status, "%s", mesh_result_message(result));
    ck_assert_int_eq(mesh_result_code(result), code);
    ck_assert_uint_eq(mesh_result_body_size(result), 0);
    mesh_result_free(result);
}

/* ---- all bytes, both ways ---- */

START_TEST(echo_of_much)
{
    struct stream_scene scene;
    stream_scene_begin(&scene, _i);
    stream_scene_open(&scene);
    ck_assert_int_eq(scene_call(&scene, "/empty"), 204); /* connected, and all that a first call makes is made */
    int64_t before = atomic_load(&scene.memory.bytes);
    atomic_store(&scene.memory.most, before);
    mesh_stream *stream = scene_stream(&scene, "POST", "/echo", NULL);
    struct writer writer = { .scene = &scene, .stream = stream, .size = BULK };
    writer_start(&writer);
    ck_assert_uint_eq(read_while_writing(&writer), BULK);
    writer_join(&writer);
    mesh_result *result;
    ck_assert_int_eq(mesh_stream_finish(stream, &result), MESH_OK);
    ck_assert_int_eq(mesh_result_status(result), 200);
    ck_assert_str_eq(mesh_result_header_value(result, "x-length"), "none");
    ck_assert_str_eq(mesh_result_trailer_value(result, "x-sum"), "all of it");
    ck_assert_uint_eq(mesh_result_attempt_count(result), 1);
    mesh_result_free(result);
    int64_t growth = atomic_load(&scene.memory.most) - before;
    /* A window of 1 MiB, if the peer is faster than the reader, and what waits to be sent. */
    ck_assert_msg(growth <= (int64_t)(MIB + MIB / 2), "%lld bytes for one stream", (long long)growth);
    stream_scene_close(&scene);
}
END_TEST

/* Question and answer by turns, one thread: the request goes on behind the response's head. */
START_TEST(conversation)
{
    struct stream_scene scene;
    stream_scene_begin(&scene, _i);
    stream_scene_open(&scene);
    mesh_stream *stream = scene_stream(&scene, "POST", "/echo", NULL);
    const mesh_result *head;
    ck_assert_int_eq(scene_write(&scene, stream, "0", 1), MESH_OK);
    ck_assert_int_eq(scene_head(&scene, stream, &head), MESH_OK);
    ck_assert_int_eq(mesh_result_status(head), 200);
    ck_assert_str_eq(mesh_result_header_value(head, "x-length"), "none");
    for (int i = 0; i < 200; i++) {
        char bytes[8];
        size_t got = 0;
        ck_assert_int_eq(scene_read(&scene, stream, bytes, sizeof(bytes), &got), MESH_OK);
        ck_assert_uint_eq(got, 1);
        ck_assert_int_eq(bytes[0], (char)('0' + i % 10));
        char next = (char)('0' + (i + 1) % 10);
        ck_assert_int_eq(scene_write(&scene, stream, &next, 1), MESH_OK);
    }
    ck_assert_int_eq(mesh_stream_end(stream, NULL, 0), MESH_OK);
    ck_assert_int_eq(mesh_stream_end(stream, NULL, 0), MESH_EINVAL);
    ck_assert_int_eq(scene_write(&scene, stream, "x", 1), MESH_EINVAL);
    char bytes[8];
    size_t got;
    ck_assert_int_eq(scene_read(&scene, stream, bytes, sizeof(bytes), &got), MESH_OK);
    for (int i = 0; i < 3; i++) { /* the end, again and again */
        ck_assert_int_eq(scene_read(&scene, stream, bytes, sizeof(bytes), &got), MESH_OK);
        ck_assert_uint_eq(got, 0);
    }
    ck_assert_int_eq(scene_write(&scene, stream, "x", 1), MESH_EINVAL);
    ck_assert_int_eq(mesh_stream_end(stream, NULL, 0), MESH_EINVAL);
    finish_with(stream, 200);
    stream_scene_close(&scene);
}
END_TEST

/* What is sent when the body is there from the start; and responses without one. */
static const struct {
    const char *method, *path, *body;
    uint32_t flags;
    int status;
    const char *length; /* that the peer was told; NULL: not asked */
    uint64_t size;
} wholes[] = {
    { "GET", "/echo", NULL, 0, 200, "none", 0 },
    { "HEAD", "/echo", NULL, 0, 200, "none", 0 },
    { "GET", "/empty", NULL, 0, 204, NULL, 0 },
    { "POST", "/empty", NULL, 0, 204, NULL, 0 },
    { "POST", "/echo", "\x00\x07\x0e", MESH_STREAM_WHOLE, 200, "3", 3 },
    { "PUT", "/echo", NULL, MESH_STREAM_WHOLE, 200, "0", 0 },
    { "POST", "/echo", "\x00\x07\x0e", 0, 200, "none", 3 },
    { "GET", "/nowhere", NULL, 0, 404, NULL, 0 },
};

START_TEST(whole_requests)
{
    struct stream_scene scene;
    stream_scene_begin(&scene, _i);
    stream_scene_open(&scene);
    for (size_t i = 0; i < sizeof(wholes) / sizeof(wholes[0]); i++) {
        mesh_request request = MESH_REQUEST_INIT;
        request.flags = wholes[i].flags;
        request.body = wholes[i].body;
        request.body_size = wholes[i].body ? 3 : 0;
        mesh_stream *stream = scene_stream(&scene, wholes[i].method, wholes[i].path, &request);
        const mesh_result *head;
        uint64_t size;
        if (wholes[i].method[0] == 'P' && !wholes[i].flags)
            ck_assert_int_eq(mesh_stream_end(stream, NULL, 0), MESH_OK);
        else
            ck_assert_int_ne(mesh_stream_write(stream, "x", 1, 0, NULL), MESH_OK);
        ck_assert_int_eq(scene_head(&scene, stream, &head), MESH_OK);
        if (wholes[i].length && strcmp(wholes[i].method, "PUT") != 0) {
            const char *length = mesh_result_header_value(head, "x-length");
            ck_assert_msg(strcmp(length, wholes[i].length) == 0, "row %zu: %s", i, length);
        }
        ck_assert_int_eq(scene_drain(&scene, stream, &size), MESH_OK);
        ck_assert_uint_eq(size, wholes[i].size);
        finish_with(stream, wholes[i].status);
    }
    stream_scene_close(&scene);
}
END_TEST

/* ---- who does not read ---- */

/* Others go on meanwhile, over the same connection where that can be. */
static void make_calls(struct stream_scene *scene)
{
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(scene_call(scene, "/empty"), 204);
}

START_TEST(a_reader_that_does_not_read_stops_the_peer)
{
    struct stream_scene scene;
    stream_scene_begin(&scene, _i);
    stream_scene_open(&scene);
    make_calls(&scene);
    int64_t before = atomic_load(&scene.memory.bytes);
    atomic_store(&scene.memory.most, before);
    mesh_stream *stream = scene_stream(&scene, "GET", "/pour", NULL);
    const mesh_result *head;
    uint64_t size;
    ck_assert_int_eq(scene_head(&scene, stream, &head), MESH_OK);
    make_calls(&scene);
    ck_assert_uint_lt(atomic_load(&scene.poured), POURED);
    ck_assert_int_eq(scene_drain(&scene, stream, &size), MESH_OK);
    ck_assert_uint_eq(size, POURED);
    finish_with(stream, 200);
    int64_t growth = atomic_load(&scene.memory.most) - before;
    ck_assert_msg(growth <= (int64_t)(MIB + MIB / 2), "%lld bytes for a reader that was slow", (long long)growth);
    stream_scene_close(&scene);
}
END_TEST

/* More of them than a connection's window would have room for. */
START_TEST(readers_that_do_not_read_stop_nobody_else)
{
    struct stream_scene scene;
    mesh_stream *streams[UNREAD];
    const mesh_result *head;
    stream_scene_begin(&scene, _i);
    stream_scene_open(&scene);
    for (int i = 0; i < UNREAD; i++)
        streams[i] = scene_stream(&scene, "GET", "/pour", NULL);
    for (int i = 0; i < UNREAD; i++)
        ck_assert_int_eq(scene_head(&scene, streams[i], &head), MESH_OK);
    mesh_stream *other = scene_stream(&scene, "POST", "/echo", NULL);
    struct writer writer = { .scene = &scene, .stream = other, .size = MIB };
    writer_start(&writer);
    ck_assert_uint_eq(read_while_writing(&writer), MIB);
    writer_join(&writer);
    finish_with(other, 200);
    for (int i = 0; i < UNREAD; i++)
        (void)mesh_stream_finish(streams[i], NULL);
    stream_scene_close(&scene);
}
END_TEST

START_TEST(a_peer_that_does_not_read_stops_writes)
{
    struct stream_scene scene;
    stream_scene_begin(&scene, _i);
    stream_scene_open(&scene);
    make_calls(&scene);
    int64_t before = atomic_load(&scene.memory.bytes);
    atomic_store(&scene.memory.most, before);
    mesh_stream *stream = scene_stream(&scene, "POST", "/deaf", NULL);
    struct writer writer = { .scene = &scene, .stream = stream, .size = WRITTEN };
    const mesh_result *head;
    ck_assert_int_eq(scene_head(&scene, stream, &head), MESH_OK);
    while (writer.status == MESH_OK)
        writer.status = write_piece(&writer, 0);
    ck_assert_int_eq(writer.status, MESH_EAGAIN);
    ck_assert_uint_lt(writer.at, WRITTEN);
    writer.status = MESH_OK;
    writer_start(&writer);
    make_calls(&scene);
    sem_post(&scene.go);
    ck_assert_uint_eq(read_while_writing(&writer), 0);
    writer_join(&writer);
    finish_with(stream, 200);
    ck_assert_uint_eq(atomic_load(&scene.counted), WRITTEN);
    int64_t growth = atomic_load(&scene.memory.most) - before;
    ck_assert_msg(growth <= (int64_t)MIB, "%lld bytes for a writer", (long long)growth);
    stream_scene_close(&scene);
}
END_TEST

/* The peer has answered and wants no more: the response is read, and writing says that it is over. */
START_TEST(early_response)
{
    struct stream_scene scene;
    stream_scene_begin(&scene, _i);
    stream_scene_open(&scene);
    mesh_stream *stream = scene_stream(&scene, "POST", "/early", NULL);
    struct writer writer = { .scene = &scene, .stream = stream, .size = UINT64_MAX };
    char bytes[8] = "";
    size_t got = 0;
    writer.status = write_piece(&writer, 0);
    ck_assert_int_eq(scene_read(&scene, stream, bytes, sizeof(bytes), &got), MESH_OK);
    ck_assert_msg(got == 2 && memcmp(bytes, "no", 2) == 0, "%zu bytes", got);
    ck_assert_int_eq(scene_read(&scene, stream, bytes, sizeof(bytes), &got), MESH_OK);
    ck_assert_uint_eq(got, 0);
    ck_assert_int_eq(mesh_stream_write(stream, "x", 1, -1, &got), MESH_ESTALE);
    mesh_header late = field("x-sum", "too late for anybody");
    ck_assert_int_eq(mesh_stream_end(stream, &late, 1), MESH_OK);
    ck_assert_int_eq(mesh_stream_end(stream, &late, 1), MESH_EINVAL);
    finish_with(stream, 403);
    stream_scene_close(&scene);
}
END_TEST

/* Once a stream runs, its pieces take no memory. */
START_TEST(pieces_take_no_memory)
{
    struct stream_scene scene;
    stream_scene_begin(&scene, _i);
    stream_scene_open(&scene);
    mesh_stream *stream = scene_stream(&scene, "POST", "/echo", NULL);
    uint64_t allocations = 0;
    char piece[1000], back[1000];
    for (int i = 0; i < 3000; i++) {
        pattern(piece, (uint64_t)i * 1000, sizeof(piece));
        ck_assert_int_eq(scene_write(&scene, stream, piece, sizeof(piece)), MESH_OK);
        for (size_t have = 0, got = 0; have < sizeof(back); have += got)
            ck_assert_int_eq(scene_read(&scene, stream, back + have, sizeof(back) - have, &got), MESH_OK);
        ck_assert(is_pattern(back, (uint64_t)i * 1000, sizeof(back)));
        if (i == 1000)
            allocations = atomic_load(&scene.memory.allocations);
    }
    allocations = atomic_load(&scene.memory.allocations) - allocations;
    ck_assert_msg(allocations < 20, "%llu allocations for 2000 pieces", (unsigned long long)allocations);
    mesh_stream_cancel(stream);
    ck_assert_int_eq(mesh_stream_finish(stream, NULL), MESH_CANCELLED);
    stream_scene_close(&scene);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client_stream");
    TCase *tcase = tcase_create("client_stream");
    tcase_add_loop_test(tcase, echo_of_much, 0, STREAM_CELLS);
    tcase_add_loop_test(tcase, conversation, 0, STREAM_CELLS);
    tcase_add_loop_test(tcase, whole_requests, 0, STREAM_CELLS);
    tcase_add_loop_test(tcase, a_reader_that_does_not_read_stops_the_peer, 0, STREAM_CELLS);
    tcase_add_loop_test(tcase, readers_that_do_not_read_stop_nobody_else, 0, STREAM_CELLS);
    tcase_add_loop_test(tcase, a_peer_that_does_not_read_stops_writes, 0, STREAM_CELLS);
    tcase_add_loop_test(tcase, early_response, 0, STREAM_CELLS);
    tcase_add_loop_test(tcase, pieces_take_no_memory, 0, STREAM_CELLS);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
