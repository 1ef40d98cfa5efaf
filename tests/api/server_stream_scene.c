/* SPDX-License-Identifier: Apache-2.0 */
/* server_stream_scene.c - handlers in pieces, blocking and not, and an allocator that counts bytes. */
#include "api/server_stream_scene.h"

#include <check.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE 10000
#define PATTERN 251

char stream_byte(size_t at)
{
    return (char)(at % PATTERN);
}

bool stream_is_right(const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != stream_byte(i))
            return false;
    return true;
}

/* Any run of the pattern that is not longer than PIECE. */
static const char *pattern_at(size_t at)
{
    static _Thread_local char bytes[PIECE + PATTERN];
    if (bytes[1] == 0)
        for (size_t i = 0; i < sizeof(bytes); i++)
            bytes[i] = stream_byte(i);
    return bytes + at % PATTERN;
}

enum body_next stream_source(void *user, size_t most, struct view *bytes, struct http1_field_group *trailers)
{
    static const mesh_header end = { "x-end", 5, "yes", 3 };
    struct call *call = user;
    size_t whole = call->body_size > 0 ? call->body_size : STREAM_LARGE;
    size_t left = whole - call->given;
    size_t size = left < most ? left : most;
    size = size < PIECE ? size : PIECE;
    *bytes = mesh__view(pattern_at(call->given), size);
    call->given += size;
    if (call->given < whole || call->unending)
        return size > 0 ? BODY_MORE : BODY_LATER;
    *trailers = (struct http1_field_group){ &end, 1 };
    return BODY_LAST;
}

/* ---- memory ---- */

static void count(struct stream_memory *memory, long long change)
{
    long long live = atomic_fetch_add(&memory->live, change) + change;
    long long peak = memory->peak;
    while (peak < live && !atomic_compare_exchange_weak(&memory->peak, &peak, live))
        continue;
}

static bool may_allocate(struct stream_memory *memory)
{
    long left = memory->left;
    while (left > 0 && !atomic_compare_exchange_weak(&memory->left, &left, left - 1))
        continue;
    return left != 0;
}

static void *allocate(size_t bytes, void *user)
{
    void *block = may_allocate(user) ? malloc(bytes) : NULL;
    if (block != NULL)
        count(user, (long long)malloc_usable_size(block));
    return block;
}

static void *resize(void *block, size_t old_bytes, size_t bytes, void *user)
{
    (void)old_bytes;
    if (!may_allocate(user))
        return NULL;
    long long before = (long long)malloc_usable_size(block);
    void *moved = realloc(block, bytes);
    ck_assert_ptr_nonnull(moved);
    count(user, (long long)malloc_usable_size(moved) - before);
    return moved;
}

static void release(void *block, void *user)
{
    count(user, -(long long)malloc_usable_size(block));
    free(block);
}

/* ---- handlers that wait ---- */

static void respond(mesh_exchange *exchange)
{
    mesh_reply reply = MESH_REPLY_INIT;
    (void)mesh_exchange_respond(exchange, &reply);
}

static void end_echo(mesh_exchange *exchange, size_t total)
{
    char size[24];
    mesh_header trailers[4] = { { "x-size", 6, size, (size_t)snprintf(size, sizeof(size), "%zu", total) } };
    size_t number = 1;
    while (number < 4 && mesh_exchange_trailer(exchange, number - 1, &trailers[number]) == MESH_OK)
        number++;
    (void)mesh_exchange_end(exchange, trailers, number);
}

static void echo(mesh_exchange *exchange, struct stream_scene *scene)
{
    char bytes[PIECE];
    size_t got = 1, total = 0;
    mesh_status status = MESH_OK;
    respond(exchange);
    while (status == MESH_OK && got > 0) {
        status = mesh_exchange_read(exchange, bytes, sizeof(bytes), -1, &got);
        total += got;
        if (status == MESH_OK && got > 0)
            status = mesh_exchange_write(exchange, bytes, got, -1, NULL);
    }
    scene->status = status;
    scene->gone = mesh_exchange_is_gone(exchange);
    if (status == MESH_OK)
        end_echo(exchange, total);
    else
        mesh_exchange_drop(exchange);
}

static void tell(struct stream_scene *scene, mesh_exchange *exchange, mesh_status status)
{
    scene->status = status;
    scene->gone = mesh_exchange_is_gone(exchange);
    mesh_exchange_drop(exchange);
    sem_post(&scene->left);
}

static void read_all(mesh_exchange *exchange, struct stream_scene *scene, bool answers)
{
    char bytes[PIECE], text[64];
    size_t got = 1, total = 0;
    mesh_status status = MESH_OK;
    while (status == MESH_OK && got > 0) {
        status = mesh_exchange_read(exchange, bytes, sizeof(bytes), -1, &got);
        total += got;
    }
    if (status != MESH_OK || !answers) {
        tell(scene, exchange, status);
        return;
    }
    mesh_reply reply = MESH_REPLY_INIT;
    reply.body = text;
    const char *end = mesh_exchange_trailer_value(exchange, "X-End");
    reply.body_size = (size_t)snprintf(text, sizeof(text), "%zu %s", total, end ? end : "none");
    (void)mesh_exchange_reply(exchange, &reply);
}

static void wait_for_more(mesh_exchange *exchange, struct stream_scene *scene)
{
    sem_post(&scene->entered);
    read_all(exchange, scene, false);
}

static void flood(mesh_exchange *exchange, struct stream_scene *scene)
{
    mesh_status status;
    sem_post(&scene->entered);
    respond(exchange);
    do
        status = mesh_exchange_write(exchange, pattern_at(0), PIECE, -1, NULL);
    while (status == MESH_OK);
    tell(scene, exchange, status);
}

/* What finds no room at once is tried again without a limit. */
static void get_stuck(mesh_exchange *exchange, struct stream_scene *scene)
{
    size_t total = 0;
    bool told = false;
    respond(exchange);
    while (total < STREAM_LARGE) {
        size_t left = STREAM_LARGE - total, written;
        size_t size = left < PIECE ? left : PIECE;
        mesh_status status = mesh_exchange_write(exchange, pattern_at(total), size, told ? -1 : 100000000, &written);
        total += written;
        if (status == MESH_EAGAIN && !told) {
            told = true;
            scene->total = (long long)total;
            sem_post(&scene->entered);
        } else if (status != MESH_OK) {
            tell(scene, exchange, status);
            return;
        }
    }
    (void)mesh_exchange_end(exchange, NULL, 0);
}

static void break_off(mesh_exchange *exchange)
{
    mesh_reply reply = MESH_REPLY_INIT;
    reply.body = "half";
    reply.body_size = 4;
    ck_assert_int_eq(mesh_exchange_respond(exchange, &reply), MESH_OK);
    mesh_exchange_drop(exchange);
}

/* Each of these is refused, and changes nothing, but for the last. */
static void do_wrong(mesh_exchange *exchange)
{
    const mesh_header bad = { "x", 1, "a\nb", 3 };
    mesh_reply reply = MESH_REPLY_INIT;
    size_t size = 1;
    char byte;
    ck_assert_int_eq(mesh_exchange_write(exchange, "a", 1, 0, &size), MESH_EINVAL);
    ck_assert_uint_eq(size, 0);
    ck_assert_int_eq(mesh_exchange_read(exchange, &byte, 0, 0, &size), MESH_EINVAL);
    ck_assert_int_eq(mesh_exchange_on_ready(exchange, NULL, NULL), MESH_EINVAL);
    ck_assert_int_eq(mesh_exchange_respond(exchange, NULL), MESH_EINVAL);
    reply.headers = &bad;
    reply.header_count = 1;
    ck_assert_int_eq(mesh_exchange_respond(exchange, &reply), MESH_EINVAL);
    reply.header_count = 0;
    ck_assert_int_eq(mesh_exchange_respond(exchange, &reply), MESH_OK);
    ck_assert_int_eq(mesh_exchange_respond(exchange, &reply), MESH_EINVAL);
    ck_assert_int_eq(mesh_exchange_reply(exchange, &reply), MESH_EINVAL);
}

static void answer(mesh_exchange *exchange, const char *text)
{
    mesh_reply reply = MESH_REPLY_INIT;
    reply.body = text;
    reply.body_size = strlen(text);
    (void)mesh_exchange_reply(exchange, &reply);
}

static void hold(mesh_exchange *exchange, struct stream_scene *scene)
{
    sem_post(&scene->entered);
    await(&scene->go);
    echo(exchange, scene);
}

static void answer_early(mesh_exchange *exchange)
{
    respond(exchange);
    ck_assert_int_eq(mesh_exchange_write(exchange, "early", 5, 0, NULL), MESH_OK);
    (void)mesh_exchange_end(exchange, NULL, 0);
}

/* ---- the echo that does not wait ---- */

struct echoing {
    char bytes[PIECE];
    size_t have, at, total;
};

static void go_on(mesh_exchange *exchange, void *user)
{
    struct echoing *state = user;
    mesh_status status = MESH_OK;
    do {
        size_t done = 0;
        if (state->at < state->have) {
            status = mesh_exchange_write(exchange, state->bytes + state->at, state->have - state->at, 0, &done);
            state->at += done;
            continue;
        }
        state->at = 0;
        status = mesh_exchange_read(exchange, state->bytes, sizeof(state->bytes), 0, &state->have);
        state->total += state->have;
        if (status == MESH_OK && state->have == 0) {
            end_echo(exchange, state->total);
            free(state);
            return;
        }
    } while (status == MESH_OK);
    if (status == MESH_EAGAIN) {
        ck_assert_int_eq(mesh_exchange_on_ready(exchange, go_on, state), MESH_OK);
        return;
    }
    mesh_exchange_drop(exchange);
    free(state);
}

static void echo_without_waiting(mesh_exchange *exchange)
{
    struct echoing *state = calloc(1, sizeof(*state));
    size_t got;
    ck_assert_ptr_nonnull(state);
    ck_assert_int_eq(mesh_exchange_read(exchange, state->bytes, 1, -1, &got), MESH_EREENTRY);
    respond(exchange);
    ck_assert_int_eq(mesh_exchange_write(exchange, "", 1, -1, NULL), MESH_EREENTRY);
    go_on(exchange, state);
}

static void handle(mesh_exchange *exchange, void *user)
{
    struct stream_scene *scene = user;
    const char *path = mesh_exchange_path(exchange);
    if (strcmp(path, "/echo") == 0)
        echo(exchange, scene);
    else if (strcmp(path, "/ready") == 0)
        echo_without_waiting(exchange);
    else if (strcmp(path, "/hold") == 0)
        hold(exchange, scene);
    else if (strcmp(path, "/count") == 0)
        read_all(exchange, scene, true);
    else if (strcmp(path, "/silent") == 0)
        wait_for_more(exchange, scene);
    else if (strcmp(path, "/flood") == 0)
        flood(exchange, scene);
    else if (strcmp(path, "/stuck") == 0)
        get_stuck(exchange, scene);
    else if (strcmp(path, "/half") == 0)
        break_off(exchange);
    else if (strcmp(path, "/twice") == 0)
        do_wrong(exchange);
    else if (strcmp(path, "/early") == 0)
        answer_early(exchange);
    else if (strcmp(path, "/headless") == 0)
        ck_assert_int_eq(mesh_exchange_end(exchange, NULL, 0), MESH_EINVAL);
    else
        answer(exchange, "quick");
}

static void on_span(const mesh_span *span, void *user)
{
    struct stream_scene *scene = user;
    scene->outcome = span->status;
    scene->spans++;
}

void stream_open(struct stream_scene *scene, const char *settings, int32_t flags)
{
    mesh_allocator allocator = { sizeof(allocator), 0, allocate, resize, release, &scene->memory };
    mesh_options options = MESH_OPTIONS_INIT;
    *scene = (struct stream_scene){ .status = -1, .memory = { .left = -1 } };
    sem_init(&scene->entered, 0, 0);
    sem_init(&scene->go, 0, 0);
    sem_init(&scene->left, 0, 0);
    options.allocator = &allocator;
    options.flags = flags;
    options.on_span = on_span;
    options.user = scene;
    scene->server = open_server(settings, &options, handle, scene);
    scene->memory.before = scene->memory.live;
}

long long stream_memory_used(const struct stream_scene *scene)
{
    return scene->memory.peak - scene->memory.before;
}

void stream_close(struct stream_scene *scene)
{
    mesh_server_free(scene->server);
    ck_assert_int_eq(scene->memory.live, 0);
    sem_destroy(&scene->entered);
    sem_destroy(&scene->go);
    sem_destroy(&scene->left);
}
