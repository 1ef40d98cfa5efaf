/* SPDX-License-Identifier: Apache-2.0 */
/* stream_scene.c - the handlers, and waits for each driver. */
#include "api/stream_scene.h"

#include "api/server_peer.h"

#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE 10007

/* ---- bodies ---- */

void pattern(char *space, uint64_t at, size_t size)
{
    for (size_t i = 0; i < size; i++)
        space[i] = (char)((at + i) * 7 + (at + i) / 253);
}

bool is_pattern(const char *bytes, uint64_t at, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != (char)((at + i) * 7 + (at + i) / 253))
            return false;
    return true;
}

/* ---- the server ---- */

static mesh_header field(const char *name, const char *value)
{
    return (mesh_header){ name, strlen(name), value, strlen(value) };
}

static void respond(mesh_exchange *exchange, int status, const mesh_header *headers, size_t count)
{
    mesh_reply reply = MESH_REPLY_INIT;
    reply.status = status;
    reply.headers = headers;
    reply.header_count = count;
    (void)mesh_exchange_respond(exchange, &reply);
}

static const char *value_or(mesh_exchange *exchange, const char *name)
{
    const char *value = mesh_exchange_header_value(exchange, name);
    return value ? value : "none";
}

static void echo(mesh_exchange *exchange)
{
    char bytes[PIECE];
    size_t got = 1;
    mesh_header head[] = { field("x-length", value_or(exchange, "content-length")),
                           field("x-timeout", value_or(exchange, "x-envoy-expected-rq-timeout-ms")) };
    respond(exchange, 200, head, 2);
    mesh_status status = MESH_OK;
    while (status == MESH_OK && got > 0) {
        status = mesh_exchange_read(exchange, bytes, sizeof(bytes), -1, &got);
        if (status == MESH_OK && got > 0)
            status = mesh_exchange_write(exchange, bytes, got, -1, NULL);
    }
    if (status != MESH_OK) {
        mesh_exchange_drop(exchange);
        return;
    }
    mesh_header trailers[4];
    size_t count = 0;
    while (count < 4 && mesh_exchange_trailer(exchange, count, &trailers[count]) == MESH_OK)
        count++;
    (void)mesh_exchange_end(exchange, trailers, count);
}

static uint64_t read_all(mesh_exchange *exchange)
{
    char bytes[PIECE];
    uint64_t size = 0;
    size_t got = 1;
    while (got > 0 && mesh_exchange_read(exchange, bytes, sizeof(bytes), -1, &got) == MESH_OK)
        size += is_pattern(bytes, size, got) ? got : 0;
    return size;
}

static void reply_with(mesh_exchange *exchange, int status, const char *body, size_t size)
{
    mesh_reply reply = MESH_REPLY_INIT;
    reply.status = status;
    reply.body = body;
    reply.body_size = size;
    (void)mesh_exchange_reply(exchange, &reply);
}

static void tell_count(struct stream_scene *scene, mesh_exchange *exchange)
{
    char text[32];
    uint64_t size = read_all(exchange);
    atomic_store(&scene->counted, size);
    int length = snprintf(text, sizeof(text), "%llu", (unsigned long long)size);
    reply_with(exchange, 200, text, (size_t)length);
}

static void pour(struct stream_scene *scene, mesh_exchange *exchange)
{
    char bytes[PIECE];
    respond(exchange, 200, NULL, 0);
    for (uint64_t at = 0; at < POURED;) {
        size_t size = POURED - at < sizeof(bytes) ? (size_t)(POURED - at) : sizeof(bytes);
        pattern(bytes, at, size);
        if (mesh_exchange_write(exchange, bytes, size, -1, NULL) != MESH_OK)
            break;
        at += size;
        atomic_store(&scene->poured, at);
    }
    (void)mesh_exchange_end(exchange, NULL, 0);
}

static void deaf(struct stream_scene *scene, mesh_exchange *exchange)
{
    respond(exchange, 200, NULL, 0);
    await(&scene->go);
    atomic_store(&scene->counted, read_all(exchange));
    (void)mesh_exchange_end(exchange, NULL, 0);
}

static void stay_open(struct stream_scene *scene, mesh_exchange *exchange)
{
    char bytes[64];
    size_t got = 1;
    respond(exchange, 200, NULL, 0);
    mesh_status status = MESH_OK;
    while (status == MESH_OK && got > 0)
        status = mesh_exchange_read(exchange, bytes, sizeof(bytes), -1, &got);
    if (status == MESH_ECLOSED)
        sem_post(&scene->gone);
    mesh_exchange_drop(exchange);
}

static void break_off(struct stream_scene *scene, mesh_exchange *exchange)
{
    char bytes[1000];
    respond(exchange, 200, NULL, 0);
    pattern(bytes, 0, sizeof(bytes));
    if (mesh_exchange_write(exchange, bytes, sizeof(bytes), -1, NULL) == MESH_OK)
        sem_wait(&scene->go); /* until the client has read them */
    mesh_exchange_drop(exchange);
}

static void refuse_once(struct stream_scene *scene, mesh_exchange *exchange)
{
    if (atomic_fetch_add(&scene->refused, 1) > 0) {
        echo(exchange);
        return;
    }
    char *body = malloc(scene->refusal + 1);
    pattern(body, 0, scene->refusal);
    (void)read_all(exchange);
    reply_with(exchange, 503, body, scene->refusal);
    free(body);
}

static void echo_messages(mesh_exchange *exchange)
{
    const void *message = "";
    size_t size;
    mesh_status status = MESH_OK;
    while (status == MESH_OK && message) {
        status = mesh_exchange_receive(exchange, -1, &message, &size);
        if (status == MESH_OK && message)
            status = mesh_exchange_send(exchange, message, size, -1);
    }
    const char *wanted = mesh_exchange_header_value(exchange, "x-status");
    if (status == MESH_OK)
        (void)mesh_exchange_end_grpc(exchange, wanted ? (int32_t)strtol(wanted, NULL, 10) : 0, "as asked", NULL, 0);
    else
        mesh_exchange_drop(exchange);
}

static void send_rubbish(mesh_exchange *exchange)
{
    mesh_header type = field("content-type", "application/grpc");
    respond(exchange, 200, &type, 1);
    if (mesh_exchange_write(exchange, "\x07 this is no message", 20, -1, NULL) == MESH_OK)
        (void)mesh_exchange_end(exchange, NULL, 0);
    else
        mesh_exchange_drop(exchange);
}

static void handle(mesh_exchange *exchange, void *user)
{
    struct stream_scene *scene = user;
    const char *path = mesh_exchange_path(exchange);
    atomic_fetch_add(&scene->requests, 1);
    if (strcmp(path, "/echo") == 0)
        echo(exchange);
    else if (strcmp(path, "/count") == 0)
        tell_count(scene, exchange);
    else if (strcmp(path, "/pour") == 0)
        pour(scene, exchange);
    else if (strcmp(path, "/deaf") == 0)
        deaf(scene, exchange);
    else if (strcmp(path, "/early") == 0)
        reply_with(exchange, 403, "no", 2);
    else if (strcmp(path, "/open") == 0)
        stay_open(scene, exchange);
    else if (strcmp(path, "/break") == 0)
        break_off(scene, exchange);
    else if (strcmp(path, "/empty") == 0)
        reply_with(exchange, 204, NULL, 0);
    else if (strcmp(path, "/once") == 0)
        refuse_once(scene, exchange);
    else if (strcmp(path, "/messages") == 0)
        echo_messages(exchange);
    else if (strcmp(path, "/rubbish") == 0)
        send_rubbish(exchange);
    else
        reply_with(exchange, 404, NULL, 0);
}

/* ---- the client ---- */

/* Each block has its size in front, in as much as any alignment needs. */
#define LEAD ((size_t)16)

static void count_bytes(struct memory_count *memory, int64_t change)
{
    int64_t now = atomic_fetch_add(&memory->bytes, change) + change;
    int64_t most = atomic_load(&memory->most);
    while (now > most && !atomic_compare_exchange_weak(&memory->most, &most, now))
        ;
}

static void *count_resize(void *block, size_t old_bytes, size_t bytes, void *user)
{
    struct memory_count *memory = user;
    if (atomic_load(&memory->countdown) > 0 && atomic_fetch_sub(&memory->countdown, 1) == 1)
        return NULL;
    char *base = realloc(block ? (char *)block - LEAD : NULL, bytes + LEAD);
    if (base == NULL)
        return NULL;
    memcpy(base, &bytes, sizeof(bytes));
    count_bytes(memory, (int64_t)bytes - (int64_t)(block ? old_bytes : 0));
    atomic_fetch_add(&memory->allocations, 1);
    atomic_fetch_add(&memory->blocks, block ? 0 : 1);
    return base + LEAD;
}

static void *count_allocate(size_t bytes, void *user)
{
    return count_resize(NULL, 0, bytes, user);
}

static void count_release(void *block, void *user)
{
    struct memory_count *memory = user;
    size_t bytes;
    char *base = (char *)block - LEAD;
    memcpy(&bytes, base, sizeof(bytes));
    count_bytes(memory, -(int64_t)bytes);
    atomic_fetch_sub(&memory->blocks, 1);
    free(base);
}

void stream_scene_begin(struct stream_scene *scene, int index)
{
    memset(scene, 0, sizeof(*scene));
    scene->http2 = index / STREAM_DRIVERS == 1;
    scene->driver = (enum stream_driver)(index % STREAM_DRIVERS);
    scene->service = "";
    sem_init(&scene->go, 0, 0);
    sem_init(&scene->gone, 0, 0);
}

void stream_scene_open(struct stream_scene *scene)
{
    mesh_options options = MESH_OPTIONS_INIT;
    options.flags = MESH_STREAM_REQUESTS;
    scene->server = open_server("{\"workers\": 16, \"max_body\": \"1GiB\"}", &options, handle, scene);
    char text[1024];
    (void)snprintf(text, sizeof(text), "{'services': {'test': {'endpoints': ['%s'], 'protocol': '%s'%s}}}",
                   scene->endpoint ? scene->endpoint : mesh_server_address(scene->server),
                   scene->http2 ? "http2" : "http1", scene->service);
    for (char *at = text; *at; at++)
        *at = *at == '\'' ? '"' : *at;
    mesh_config *config;
    mesh_error *error = NULL;
    ck_assert_msg(mesh_config_parse(text, strlen(text), "test", &config, &error) == MESH_OK, "%s",
                  mesh_error_text(error));
    mesh_allocator allocator = { sizeof(allocator), 0, count_allocate, count_resize, count_release, &scene->memory };
    mesh_options own = MESH_OPTIONS_INIT;
    own.allocator = &allocator;
    own.mode = scene->driver == STREAM_EXTERNAL ? MESH_EXTERNAL : MESH_OWNED;
    own.shards = 1;
    own.on_completion = scene->on_completion;
    own.user = scene->user;
    own.threads = scene->driver == STREAM_THREADS ? 1 : 0;
    ck_assert_msg(mesh_client_open(config, &own, &scene->client, &error) == MESH_OK, "%s", mesh_error_text(error));
    mesh_config_free(config);
}

void stream_scene_close(struct stream_scene *scene)
{
    if (scene->client)
        mesh_client_free(scene->client);
    scene->client = NULL;
    mesh_server_free(scene->server);
    ck_assert_int_eq(atomic_load(&scene->memory.blocks), 0);
    ck_assert_int_eq(atomic_load(&scene->memory.bytes), 0);
    sem_destroy(&scene->go);
    sem_destroy(&scene->gone);
}

mesh_stream *scene_stream(struct stream_scene *scene, const char *method, const char *path, const mesh_request *more)
{
    mesh_request request = MESH_REQUEST_INIT;
    mesh_stream *stream;
    if (more)
        request = *more;
    request.method = method;
    request.path = path;
    if (scene->driver == STREAM_EXTERNAL)
        request.flags |= MESH_STREAM_NOTIFY;
    ck_assert_int_eq(mesh_stream_open(scene->client, "test", &request, scene, &stream), MESH_OK);
    return stream;
}

/* ---- waits ---- */

/* One turn of an external client; true when a stream can go on. */
static bool turn(struct stream_scene *scene, int most_ms)
{
    mesh_completion completion = MESH_COMPLETION_INIT;
    uint32_t count = 0;
    int64_t timeout = mesh_loop_timeout(scene->client, 0);
    int ms = timeout < 0 ? -1 : (int)((timeout + 999999) / 1000000);
    struct pollfd poller = { mesh_loop_fd(scene->client, 0), POLLIN, 0 };
    (void)poll(&poller, 1, most_ms >= 0 && (ms < 0 || ms > most_ms) ? most_ms : ms);
    ck_assert_int_eq(mesh_loop_process(scene->client, 0), MESH_OK);
    bool noted = false;
    while (mesh_client_next(scene->client, &completion, 1, 0, &count) == MESH_OK) {
        ck_assert_int_eq(completion.kind, MESH_COMPLETION_STREAM);
        ck_assert_ptr_nonnull(completion.stream);
        ck_assert_ptr_null(completion.result);
        ck_assert_ptr_eq(completion.user, scene);
        ck_assert_uint_eq(completion.id, mesh_stream_id(completion.stream));
        atomic_fetch_add(&scene->notes, 1);
        noted = true;
    }
    return noted;
}

void scene_await_note(struct stream_scene *scene)
{
    while (!turn(scene, -1))
        ;
}

/* True when it is to be tried again: the operation answered MESH_EAGAIN, and a note has come since. */
static bool again(struct stream_scene *scene, mesh_status status)
{
    if (scene->driver != STREAM_EXTERNAL || status != MESH_EAGAIN)
        return false;
    scene_await_note(scene);
    return true;
}

static int64_t patience(const struct stream_scene *scene)
{
    return scene->driver == STREAM_EXTERNAL ? 0 : -1;
}

mesh_status scene_write(struct stream_scene *scene, mesh_stream *stream, const void *bytes, size_t size)
{
    const char *at = bytes;
    mesh_status status;
    do {
        size_t written;
        status = mesh_stream_write(stream, at, size, patience(scene), &written);
        at += written;
        size -= written;
    } while ((status == MESH_OK && size > 0) || again(scene, status));
    return status;
}

mesh_status scene_read(struct stream_scene *scene, mesh_stream *stream, void *space, size_t size, size_t *got)
{
    mesh_status status;
    do
        status = mesh_stream_read(stream, space, size, patience(scene), got);
    while (again(scene, status));
    return status;
}

mesh_status scene_head(struct stream_scene *scene, mesh_stream *stream, const mesh_result **head)
{
    mesh_status status;
    do
        status = mesh_stream_head(stream, patience(scene), head);
    while (again(scene, status));
    return status;
}

mesh_status scene_send(struct stream_scene *scene, mesh_stream *stream, const void *message, size_t size)
{
    mesh_status status;
    do
        status = mesh_stream_send(stream, message, size, patience(scene));
    while (again(scene, status));
    return status;
}

mesh_status scene_receive(struct stream_scene *scene, mesh_stream *stream, const void **message, size_t *size)
{
    mesh_status status;
    do
        status = mesh_stream_receive(stream, patience(scene), message, size);
    while (again(scene, status));
    return status;
}

mesh_status scene_drain(struct stream_scene *scene, mesh_stream *stream, uint64_t *size)
{
    static char bytes[65536];
    size_t got = 0;
    mesh_status status;
    *size = 0;
    while ((status = scene_read(scene, stream, bytes, sizeof(bytes), &got)) == MESH_OK && got > 0) {
        ck_assert_msg(is_pattern(bytes, *size, got), "wrong bytes behind %llu", (unsigned long long)*size);
        *size += got;
    }
    return status;
}

void scene_await_end(struct stream_scene *scene, mesh_stream *stream)
{
    while (scene->driver == STREAM_EXTERNAL && mesh_stream_write(stream, "", 0, 0, NULL) == MESH_OK)
        (void)turn(scene, 10);
}

void scene_await(struct stream_scene *scene, sem_t *event)
{
    if (scene->driver != STREAM_EXTERNAL) {
        await(event);
        return;
    }
    while (sem_trywait(event) != 0)
        (void)turn(scene, 10);
}

int scene_call(struct stream_scene *scene, const char *path)
{
    mesh_stream *stream = scene_stream(scene, "GET", path, NULL);
    mesh_result *result;
    uint64_t size;
    (void)scene_drain(scene, stream, &size);
    (void)mesh_stream_finish(stream, &result);
    int status = mesh_result_status(result);
    mesh_result_free(result);
    return status;
}
