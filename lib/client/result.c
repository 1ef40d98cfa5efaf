/* SPDX-License-Identifier: Apache-2.0 */
/* result.c - blocks, the store they come back to, and what is laid into them. */
#include "client/result.h"

#include <pthread.h>
#include <stdatomic.h>

struct chunk {
    struct chunk *next;
    max_align_t bytes[];
};

/* Who takes blocks has a list of its own, under a lock; who gives one back pushes it to a stack without any. When the
 * list is empty, the whole stack becomes the list, by one exchange: nobody ever takes a single block off the stack, so
 * no head that comes back means something else, and pointers are compared as they are. */
struct store {
    struct mem mem;
    pthread_mutex_t taking;                 /* of what follows */
    struct mesh_result *ready;              /* linked by `next` */
    _Atomic(struct mesh_result *) returned; /* a stack, linked by `next`; CLOSED when the store is */
    _Atomic uint32_t total;                 /* blocks that exist */
    _Atomic int64_t at_large;               /* after closing: blocks not yet freed, counted as they are */
};

static struct mesh_result closed_mark;
#define CLOSED (&closed_mark)

struct store *mesh__store_new(const struct mem *mem)
{
    struct store *store = mesh__zalloc(mem, sizeof(*store));
    if (store == NULL)
        return NULL;
    store->mem = *mem;
    (void)pthread_mutex_init(&store->taking, NULL); /* cannot fail without attributes */
    return store;
}

static void account(struct store *store, int64_t change)
{
    struct mem mem = store->mem;
    if (atomic_fetch_add(&store->at_large, change) + change != 0)
        return;
    pthread_mutex_destroy(&store->taking);
    mesh__mem_free(&mem, store);
}

static int64_t free_list(struct store *store, struct mesh_result *result)
{
    int64_t count = 0;
    while (result) {
        struct mesh_result *next = result->next;
        mesh__mem_free(&store->mem, result);
        result = next;
        count++;
    }
    return count;
}

void mesh__store_close(struct store *store)
{
    if (store == NULL)
        return;
    int64_t here = free_list(store, store->ready) + free_list(store, atomic_exchange(&store->returned, CLOSED));
    account(store, (int64_t)atomic_load(&store->total) - here);
}

static struct mesh_result *take_ready(struct store *store)
{
    pthread_mutex_lock(&store->taking);
    if (store->ready == NULL)
        store->ready = atomic_exchange(&store->returned, NULL);
    struct mesh_result *result = store->ready;
    if (result)
        store->ready = result->next;
    pthread_mutex_unlock(&store->taking);
    return result;
}

struct mesh_result *mesh__result_take(struct store *store)
{
    struct mesh_result *result = take_ready(store);
    if (result == NULL) {
        result = mesh__alloc(&store->mem, BLOCK_SIZE);
        if (result == NULL)
            return NULL;
        atomic_fetch_add(&store->total, 1);
        result->store = store;
    }
    result->queued = NULL;
    result->chunks = NULL;
    result->used = 0;
    result->status = MESH_EINTERNAL;
    result->grpc_status = -1;
    result->grpc_message = "";
    result->message = "";
    result->tag = 0;
    result->user = NULL;
    result->duration = 0;
    result->trace_id[0] = '\0';
    result->attempt_count = 0;
    mesh__result_drop_response(result);
    return result;
}

static void release_chunks(struct mesh_result *result)
{
    while (result->chunks) {
        struct chunk *next = result->chunks->next;
        mesh__mem_free(&result->store->mem, result->chunks);
        result->chunks = next;
    }
}

void mesh__result_release(struct mesh_result *result)
{
    if (result == NULL || result->store == NULL)
        return;
    struct store *store = result->store;
    release_chunks(result);
    struct mesh_result *head = atomic_load(&store->returned);
    do {
        if (head == CLOSED) {
            mesh__mem_free(&store->mem, result);
            account(store, -1);
            return;
        }
        result->next = head;
    } while (!atomic_compare_exchange_weak(&store->returned, &head, result));
}

#define STATIC_RESULT(name, number, category, retryable, flag, sentence)                                               \
    { .status = MESH_##name, .grpc_status = -1, .grpc_message = "", .body = "", .message = #name ": " sentence },
static struct mesh_result static_results[] = { MESH_STATUS_MAP(STATIC_RESULT) };
#undef STATIC_RESULT

struct mesh_result *mesh__result_static(mesh_status status)
{
    size_t count = sizeof(static_results) / sizeof(static_results[0]);
    for (size_t i = 0; i < count; i++)
        if (static_results[i].status == status)
            return &static_results[i];
    return &static_results[count - 1];
}

void *mesh__result_alloc(struct mesh_result *result, size_t bytes)
{
    size_t align = _Alignof(max_align_t);
    size_t base = sizeof(struct mesh_result);
    size_t at = (base + result->used + align - 1) & ~(align - 1);
    if (bytes <= BLOCK_SIZE && at + bytes <= BLOCK_SIZE) {
        result->used = at + bytes - base;
        return (char *)result + at;
    }
    struct chunk *chunk =
        bytes < SIZE_MAX - sizeof(*chunk) ? mesh__alloc(&result->store->mem, sizeof(*chunk) + bytes) : NULL;
    if (chunk == NULL)
        return NULL;
    chunk->next = result->chunks;
    result->chunks = chunk;
    return chunk->bytes;
}

char *mesh__result_copy(struct mesh_result *result, struct view text)
{
    char *copy = mesh__result_alloc(result, text.size + 1);
    if (copy == NULL)
        return NULL;
    if (text.size > 0)
        memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    return copy;
}

static bool move_body(struct mesh_result *result, size_t capacity)
{
    char *body = mesh__result_alloc(result, capacity + 1);
    if (body == NULL)
        return false;
    if (result->body_size > 0)
        memcpy(body, result->body, result->body_size);
    body[result->body_size] = '\0';
    result->body = body;
    result->body_capacity = capacity;
    return true;
}

bool mesh__result_start_body(struct mesh_result *result, size_t expected)
{
    result->body = "";
    result->body_size = 0;
    result->body_capacity = 0;
    return expected == 0 || move_body(result, expected);
}

/* The chunk that a body outgrew is of no use any more. */
static void release_chunk(struct mesh_result *result, const char *bytes)
{
    for (struct chunk **at = &result->chunks; *at; at = &(*at)->next) {
        struct chunk *chunk = *at;
        if ((const char *)chunk->bytes == bytes) {
            *at = chunk->next;
            mesh__mem_free(&result->store->mem, chunk);
            return;
        }
    }
}

bool mesh__result_append_body(struct mesh_result *result, struct view bytes)
{
    size_t needed = result->body_size + bytes.size;
    if (needed > result->body_capacity) {
        const char *old = result->body;
        size_t capacity = result->body_capacity ? result->body_capacity * 2 : 512;
        if (!move_body(result, capacity < needed ? needed : capacity))
            return false;
        release_chunk(result, old);
    }
    char *body = (char *)(uintptr_t)result->body;
    memcpy(body + result->body_size, bytes.data, bytes.size);
    result->body_size = needed;
    body[needed] = '\0';
    return true;
}

/* NULL when memory is out. */
static mesh_header *copy_fields(struct mesh_result *result, const mesh_header *fields, size_t count)
{
    size_t text = 0;
    for (size_t i = 0; i < count; i++)
        text += fields[i].name_size + fields[i].value_size + 2;
    mesh_header *copies = mesh__result_alloc(result, count * sizeof(mesh_header) + text);
    if (copies == NULL)
        return NULL;
    char *at = (char *)(copies + count);
    for (size_t i = 0; i < count; i++) {
        const mesh_header *from = &fields[i];
        copies[i] = (mesh_header){ at, from->name_size, at + from->name_size + 1, from->value_size };
        memcpy(at, from->name, from->name_size);
        at[from->name_size] = '\0';
        at += from->name_size + 1;
        if (from->value_size > 0)
            memcpy(at, from->value, from->value_size);
        at[from->value_size] = '\0';
        at += from->value_size + 1;
    }
    return copies;
}

bool mesh__result_set_headers(struct mesh_result *result, const mesh_header *headers, size_t count)
{
    result->headers = copy_fields(result, headers, count);
    result->header_count = result->headers ? count : 0;
    return result->headers != NULL;
}

bool mesh__result_set_trailers(struct mesh_result *result, const mesh_header *trailers, size_t count)
{
    result->trailers = copy_fields(result, trailers, count);
    result->trailer_count = result->trailers ? count : 0;
    return result->trailers != NULL;
}

void mesh__result_drop_response(struct mesh_result *result)
{
    result->http_status = 0;
    result->body = "";
    result->body_size = 0;
    result->body_capacity = 0;
    result->headers = result->trailers = NULL;
    result->header_count = result->trailer_count = 0;
}
