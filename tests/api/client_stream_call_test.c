/* SPDX-License-Identifier: Apache-2.0 */
/* client_stream_call_test.c - messages over streams, streams with callbacks, and many streams at once. */
/* label: threaded */
#include "api/stream_scene.h"
#include "base/rng.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static mesh_result *finish(mesh_stream *stream)
{
    mesh_result *result = NULL;
    mesh_status status = mesh_stream_finish(stream, &result);
    ck_assert_ptr_nonnull(result);
    ck_assert_int_eq(mesh_result_code(result), status);
    return result;
}

/* ---- messages ---- */

static const size_t message_sizes[] = { 0, 1, 1000, 16384, 65536, 300000, 0, 7 };

enum { MESSAGES = (int)(sizeof(message_sizes) / sizeof(message_sizes[0])) };

static mesh_stream *open_grpc(struct stream_scene *scene, const char *path, const mesh_header *headers, size_t count)
{
    mesh_request request = MESH_REQUEST_INIT;
    request.flags = MESH_GRPC;
    request.headers = headers;
    request.header_count = count;
    return scene_stream(scene, NULL, path, &request);
}

START_TEST(messages_there_and_back)
{
    struct stream_scene scene;
    static char bytes[300000];
    mesh_header wanted = { "x-status", 8, "5", 1 };
    stream_scene_begin(&scene, STREAM_DRIVERS + _i);
    stream_scene_open(&scene);
    mesh_stream *stream = open_grpc(&scene, "/messages", &wanted, 1);
    const void *message;
    size_t size;
    for (int i = 0; i < MESSAGES; i++) {
        pattern(bytes, (uint64_t)i, message_sizes[i]);
        ck_assert_int_eq(scene_send(&scene, stream, bytes, message_sizes[i]), MESH_OK);
        ck_assert_int_eq(scene_receive(&scene, stream, &message, &size), MESH_OK);
        ck_assert_ptr_nonnull(message);
        ck_assert_uint_eq(size, message_sizes[i]);
        ck_assert(is_pattern(message, (uint64_t)i, size));
    }
    ck_assert_int_eq(mesh_stream_end(stream, NULL, 0), MESH_OK);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(scene_receive(&scene, stream, &message, &size), MESH_OK);
        ck_assert_ptr_null(message);
        ck_assert_uint_eq(size, 0);
    }
    ck_assert_int_eq(scene_send(&scene, stream, "x", 1), MESH_EINVAL);
    mesh_result *result = finish(stream);
    ck_assert_int_eq(mesh_result_code(result), MESH_OK);
    ck_assert_int_eq(mesh_result_grpc_status(result), 5);
    ck_assert_str_eq(mesh_result_grpc_message(result), "as asked");
    mesh_result_free(result);
    stream_scene_close(&scene);
}
END_TEST

/* request.body is the first message. */
START_TEST(the_first_message_may_come_with_the_request)
{
    struct stream_scene scene;
    stream_scene_begin(&scene, STREAM_DRIVERS + _i);
    stream_scene_open(&scene);
    for (int whole = 0; whole < 2; whole++) {
        mesh_request request = MESH_REQUEST_INIT;
        request.flags = MESH_GRPC | (whole ? (uint32_t)MESH_STREAM_WHOLE : 0);
        request.body = "first";
        request.body_size = 5;
        mesh_stream *stream = scene_stream(&scene, NULL, "/messages", &request);
        const void *message;
        size_t size;
        ck_assert_int_eq(scene_receive(&scene, stream, &message, &size), MESH_OK);
        ck_assert_uint_eq(size, 5);
        ck_assert(memcmp(message, "first", 5) == 0);
        if (!whole)
            ck_assert_int_eq(mesh_stream_end(stream, NULL, 0), MESH_OK);
        ck_assert_int_eq(scene_receive(&scene, stream, &message, &size), MESH_OK);
        ck_assert_ptr_null(message);
        mesh_result *result = finish(stream);
        ck_assert_int_eq(mesh_result_grpc_status(result), 0);
        mesh_result_free(result);
    }
    stream_scene_close(&scene);
}
END_TEST

/* What is received where there is no message: a body that is none, one that is too long, a response that is no gRPC. */
static const struct {
    const char *path;
    size_t sent;
    mesh_status status;
    int grpc_status;
} odd[] = {
    { "/rubbish", 0, MESH_PROTOCOL, 13 },
    { "/messages", 5000, MESH_BODY_TOO_LARGE, 8 },
    { "/early", 0, MESH_OK, 7 },
    { "/nowhere", 0, MESH_OK, 12 },
};

START_TEST(no_messages)
{
    struct stream_scene scene;
    static char bytes[5000];
    stream_scene_begin(&scene, STREAM_DRIVERS + _i);
    scene.service = ", 'max_body': '4000B'";
    stream_scene_open(&scene);
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        mesh_stream *stream = open_grpc(&scene, odd[i].path, NULL, 0);
        const void *message = "";
        size_t size = 1;
        if (odd[i].sent > 0)
            ck_assert_int_eq(scene_send(&scene, stream, bytes, odd[i].sent), MESH_OK);
        for (int round = 0; round < 2; round++) {
            ck_assert_int_eq(scene_receive(&scene, stream, &message, &size), odd[i].status);
            ck_assert_ptr_null(message);
            ck_assert_uint_eq(size, 0);
        }
        if (odd[i].status != MESH_OK)
            scene_await_end(&scene, stream);
        /* The call ends with it, also where the response was whole before it was looked at. */
        mesh_result *result = finish(stream);
        ck_assert_msg(mesh_result_code(result) == odd[i].status &&
                          mesh_result_grpc_status(result) == odd[i].grpc_status,
                      "row %zu: %d, %s", i, (int)mesh_result_grpc_status(result), mesh_result_message(result));
        ck_assert(odd[i].status == MESH_OK || strcmp(mesh_result_message(result), "a response arrived") != 0);
        mesh_result_free(result);
    }
    stream_scene_close(&scene);
}
END_TEST

/* ---- with callbacks ---- */

struct transfer {
    mesh_client *client;
    uint64_t size, produced, consumed;
    int64_t give_up_at; /* of what is produced or, below 0, consumed; 0: never */
    int heads, status;
};

static int64_t produce(void *user, void *space, size_t size)
{
    struct transfer *transfer = user;
    uint64_t left = transfer->size - transfer->produced;
    size_t part = left < size ? (size_t)left : size;
    if (transfer->give_up_at > 0 && transfer->produced > (uint64_t)transfer->give_up_at)
        return -1;
    pattern(space, transfer->produced, part);
    transfer->produced += part;
    return (int64_t)part;
}

static int32_t take_head(void *user, const mesh_result *head)
{
    struct transfer *transfer = user;
    mesh_result *result;
    transfer->heads++;
    transfer->status = mesh_result_status(head);
    mesh_request request = MESH_REQUEST_INIT;
    request.path = "/empty"; /* nothing is held: the client may be called */
    mesh_status status = mesh_call(transfer->client, "test", &request, &result);
    mesh_result_free(result);
    return status == MESH_OK ? 0 : 1;
}

static int32_t consume(void *user, const void *bytes, size_t size)
{
    struct transfer *transfer = user;
    if (!is_pattern(bytes, transfer->consumed, size))
        return 2;
    transfer->consumed += size;
    return transfer->give_up_at < 0 && transfer->consumed > (uint64_t)-transfer->give_up_at;
}

static const struct {
    const char *method, *path;
    uint64_t size;
    int64_t give_up_at;
    mesh_status code;
    int status;
} transfers[] = {
    { "POST", "/echo", 3000000, 0, MESH_OK, 200 },          { "POST", "/echo", 0, 0, MESH_OK, 200 },
    { "POST", "/echo", 3000000, 1000, MESH_CANCELLED, -1 }, { "POST", "/echo", 3000000, -1000, MESH_CANCELLED, 200 },
    { "POST", "/empty", 3000000, 0, MESH_OK, 204 },         { "GET", "/empty", 0, 0, MESH_OK, 204 },
    { "GET", "/early", 0, -1, MESH_CANCELLED, 403 }, /* what came is not what was asked for, and all there is */
};

START_TEST(callbacks)
{
    struct stream_scene scene;
    stream_scene_begin(&scene, _i);
    stream_scene_open(&scene);
    for (size_t i = 0; i < sizeof(transfers) / sizeof(transfers[0]); i++) {
        struct transfer transfer = { .client = scene.client,
                                     .size = transfers[i].size,
                                     .give_up_at = transfers[i].give_up_at };
        mesh_stream_io io = MESH_STREAM_IO_INIT;
        io.user = &transfer;
        io.produce = produce;
        io.head = take_head;
        io.consume = consume;
        mesh_request request = MESH_REQUEST_INIT;
        request.method = transfers[i].method;
        request.path = transfers[i].path;
        mesh_result *result;
        mesh_status status = mesh_call_stream(scene.client, "test", &request, &io, &result);
        ck_assert_int_eq(status, mesh_result_code(result));
        if (scene.driver == STREAM_EXTERNAL) {
            ck_assert_int_eq(status, MESH_EREENTRY);
        } else {
            ck_assert_msg(status == transfers[i].code, "row %zu: %s", i, mesh_result_message(result));
            if (transfers[i].status > 0)
                ck_assert_int_eq(transfer.status, transfers[i].status);
            ck_assert_int_le(transfer.heads, 1);
            if (status == MESH_OK && transfers[i].status == 200)
                ck_assert_uint_eq(transfer.consumed, transfers[i].size);
        }
        mesh_result_free(result);
    }
    ck_assert_int_eq(mesh_call_stream(scene.client, "test", NULL, NULL, NULL), MESH_EINVAL);
    stream_scene_close(&scene);
}
END_TEST

/* ---- notes where the library drives ---- */

struct notes {
    mesh_client *client;
    mesh_stream *stream;
    uint64_t size;
    sem_t over;
};

/* Reads what there is; MESH_EAGAIN: another note will come. */
static mesh_status read_on(struct notes *notes)
{
    char bytes[5000];
    size_t got = 1;
    mesh_status status = MESH_OK;
    while (status == MESH_OK && got > 0) {
        status = mesh_stream_read(notes->stream, bytes, sizeof(bytes), 0, &got);
        notes->size += is_pattern(bytes, notes->size, got) ? got : 0;
    }
    return status;
}

static void on_completion(const mesh_completion *completion, void *user)
{
    struct notes *notes = user;
    if (completion->kind != MESH_COMPLETION_STREAM || completion->user != notes)
        return;
    if (read_on(notes) != MESH_EAGAIN)
        sem_post(&notes->over);
}

static mesh_stream *open_noted(mesh_client *client, const char *body, size_t size, void *user)
{
    mesh_stream *stream;
    mesh_request request = MESH_REQUEST_INIT;
    request.method = "POST";
    request.path = "/echo";
    request.flags = MESH_STREAM_NOTIFY | MESH_STREAM_WHOLE;
    request.body = body;
    request.body_size = size;
    ck_assert_int_eq(mesh_stream_open(client, "test", &request, user, &stream), MESH_OK);
    return stream;
}

enum { NOTED = 400000 };

/* By mesh_client_next(), beside a call that ends; and one note is all that an MESH_EAGAIN brings. */
START_TEST(notes_by_next)
{
    static char body[NOTED];
    struct stream_scene scene;
    struct notes notes = { .size = 0 };
    pattern(body, 0, sizeof(body));
    stream_scene_begin(&scene, _i);
    stream_scene_open(&scene);
    mesh_request request = MESH_REQUEST_INIT;
    request.path = "/empty";
    notes.stream = open_noted(scene.client, body, sizeof(body), &notes);
    ck_assert_int_eq(mesh_call_start(scene.client, "test", &request, &notes, NULL), MESH_OK);
    mesh_status status = read_on(&notes);
    bool ended = false;
    while (status == MESH_EAGAIN || !ended) {
        mesh_completion completion = MESH_COMPLETION_INIT;
        uint32_t count;
        ck_assert_int_eq(mesh_client_next(scene.client, &completion, 1, -1, &count), MESH_OK);
        ck_assert_ptr_eq(completion.user, &notes);
        if (completion.kind == MESH_COMPLETION_DONE) {
            ck_assert_ptr_null(completion.stream);
            mesh_result_free(completion.result);
            ended = true;
        } else {
            ck_assert_ptr_eq(completion.stream, notes.stream);
            status = read_on(&notes);
        }
    }
    ck_assert_int_eq(status, MESH_OK);
    ck_assert_uint_eq(notes.size, NOTED);
    mesh_completion none = MESH_COMPLETION_INIT;
    uint32_t count;
    ck_assert_int_eq(mesh_client_next(scene.client, &none, 1, 0, &count), MESH_DEADLINE);
    mesh_result_free(finish(notes.stream));
    /* One that waits in the queue goes with its stream. */
    notes.stream = open_noted(scene.client, body, sizeof(body), &notes);
    size_t got;
    (void)(mesh_stream_read(notes.stream, body, 1, 0, &got) == MESH_EAGAIN);
    mesh_result_free(finish(notes.stream));
    ck_assert_int_eq(mesh_client_next(scene.client, &none, 1, 0, &count), MESH_DEADLINE);
    stream_scene_close(&scene);
}
END_TEST

/* Waits for one note of this stream, and for nothing else. */
static void await_note(const struct stream_scene *scene, const mesh_stream *stream)
{
    mesh_completion completion = MESH_COMPLETION_INIT;
    uint32_t count;
    ck_assert_int_eq(mesh_client_next(scene->client, &completion, 1, -1, &count), MESH_OK);
    ck_assert_int_eq(completion.kind, MESH_COMPLETION_STREAM);
    ck_assert_ptr_eq(completion.stream, stream);
}

/* Both directions answered MESH_EAGAIN: what comes of one does not use up the other's note. */
START_TEST(notes_of_two_directions)
{
    static char bytes[65536];
    struct stream_scene scene;
    mesh_request request = MESH_REQUEST_INIT;
    mesh_stream *stream;
    size_t sent = 0, read = 0, moved;
    stream_scene_begin(&scene, _i);
    stream_scene_open(&scene);
    request.method = "POST";
    request.path = "/echo";
    request.flags = MESH_STREAM_NOTIFY;
    ck_assert_int_eq(mesh_stream_open(scene.client, "test", &request, NULL, &stream), MESH_OK);
    ck_assert_int_eq(mesh_stream_read(stream, bytes, sizeof(bytes), 0, &moved), MESH_EAGAIN);
    while (mesh_stream_write(stream, bytes, sizeof(bytes), 0, &moved) == MESH_OK)
        sent += moved;
    await_note(&scene, stream);
    for (; read < sent; read += moved)
        ck_assert_int_eq(mesh_stream_read(stream, bytes, sizeof(bytes), -1, &moved), MESH_OK);
    while (mesh_stream_write(stream, bytes, 1, 0, &moved) == MESH_EAGAIN)
        await_note(&scene, stream);
    ck_assert_uint_eq(moved, 1);
    mesh_result_free(finish(stream));
    stream_scene_close(&scene);
}
END_TEST

START_TEST(notes_by_callback)
{
    static char body[NOTED];
    struct stream_scene scene;
    struct notes notes = { .size = 0 };
    pattern(body, 0, sizeof(body));
    sem_init(&notes.over, 0, 0);
    stream_scene_begin(&scene, _i);
    scene.on_completion = on_completion;
    scene.user = &notes;
    stream_scene_open(&scene);
    notes.stream = open_noted(scene.client, body, sizeof(body), &notes);
    if (read_on(&notes) != MESH_EAGAIN) /* else the rest is the callback's */
        sem_post(&notes.over);
    scene_await(&scene, &notes.over);
    ck_assert_uint_eq(notes.size, NOTED);
    mesh_result_free(finish(notes.stream));
    stream_scene_close(&scene);
    sem_destroy(&notes.over);
}
END_TEST

/* ---- many at once ---- */

enum { THREADS = 4, ROUNDS = 60 };

struct player {
    struct stream_scene *scene;
    uint64_t seed;
    pthread_t thread;
    uint32_t wrong;
};

static void *cancel_it(void *user)
{
    mesh_stream_cancel(user);
    return NULL;
}

/* One stream, ended in one of many ways at some point. */
static void play(struct player *player, struct rng *rng)
{
    static const char *const paths[] = { "/echo", "/count", "/early", "/open", "/nowhere" };
    uint32_t dice = mesh__rng_below((uint32_t)(mesh__rng_next(rng) >> 32), 1000);
    char bytes[3000];
    mesh_stream *stream = scene_stream(player->scene, "POST", paths[dice % 5], NULL);
    pthread_t canceller;
    bool cancels = dice % 7 == 0;
    uint64_t written = 0;
    size_t got = 1;
    mesh_status status = MESH_OK;
    if (cancels)
        ck_assert_int_eq(pthread_create(&canceller, NULL, cancel_it, stream), 0);
    for (uint32_t i = 0; i < dice % 11 && status == MESH_OK; i++) {
        size_t part = 0;
        pattern(bytes, written, sizeof(bytes));
        status = mesh_stream_write(stream, bytes, sizeof(bytes), -1, &part);
        written += part;
    }
    if (dice % 3 > 0)
        (void)mesh_stream_end(stream, NULL, 0);
    uint64_t read = 0;
    while (dice % 3 > 0 && status == MESH_OK && got > 0) {
        status = mesh_stream_read(stream, bytes, sizeof(bytes), -1, &got);
        if (dice % 5 == 0)
            player->wrong += !is_pattern(bytes, read, got);
        read += got;
    }
    if (dice % 5 == 0 && dice % 3 > 0 && status == MESH_OK)
        player->wrong += read != written;
    if (cancels)
        ck_assert_int_eq(pthread_join(canceller, NULL), 0);
    (void)mesh_stream_finish(stream, NULL);
}

static void *run_player(void *user)
{
    struct player *player = user;
    struct rng rng;
    mesh__rng_init(&rng, player->seed);
    for (int i = 0; i < ROUNDS; i++)
        play(player, &rng);
    return NULL;
}

START_TEST(many_streams)
{
    struct stream_scene scene;
    struct player players[THREADS];
    stream_scene_begin(&scene, _i);
    stream_scene_open(&scene);
    if (scene.driver != STREAM_EXTERNAL) {
        for (int i = 0; i < THREADS; i++) {
            players[i] = (struct player){ .scene = &scene, .seed = (uint64_t)i };
            ck_assert_int_eq(pthread_create(&players[i].thread, NULL, run_player, &players[i]), 0);
        }
        for (int i = 0; i < THREADS; i++) {
            ck_assert_int_eq(pthread_join(players[i].thread, NULL), 0);
            ck_assert_uint_eq(players[i].wrong, 0);
        }
    }
    mesh_counters counters = MESH_COUNTERS_INIT;
    ck_assert_int_eq(mesh_client_counters(scene.client, "test", NULL, &counters), MESH_OK);
    ck_assert_uint_eq(counters.active, 0);
    ck_assert_uint_eq(counters.calls, counters.responses + counters.failures);
    ck_assert_uint_eq(counters.calls, scene.driver == STREAM_EXTERNAL ? 0 : THREADS * ROUNDS);
    stream_scene_close(&scene);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client_stream_call");
    TCase *tcase = tcase_create("client_stream_call");
    tcase_add_loop_test(tcase, messages_there_and_back, 0, STREAM_DRIVERS); /* over HTTP/2 */
    tcase_add_loop_test(tcase, the_first_message_may_come_with_the_request, 0, STREAM_DRIVERS);
    tcase_add_loop_test(tcase, no_messages, 0, STREAM_DRIVERS);
    tcase_add_loop_test(tcase, callbacks, 0, STREAM_CELLS);
    tcase_add_loop_test(tcase, notes_by_next, 0, STREAM_EXTERNAL);
    tcase_add_loop_test(tcase, notes_of_two_directions, 0, STREAM_EXTERNAL);
    tcase_add_loop_test(tcase, notes_by_callback, 0, STREAM_CELLS);
    tcase_add_loop_test(tcase, many_streams, 0, STREAM_CELLS);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
