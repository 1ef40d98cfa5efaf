/* SPDX-License-Identifier: Apache-2.0 */
/* http_script.c - what is answered, by the table of words in http_script.h; and what has been asked. */
#include "support/http_script.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEQUENCES 4096

struct sequence {
    char key[40];
    unsigned count;
};

struct http_script {
    pthread_mutex_t lock;
    uint64_t requests[SCRIPT_ENDPOINTS], opened[SCRIPT_ENDPOINTS], closed[SCRIPT_ENDPOINTS];
    struct sequence sequences[SEQUENCES];
};

struct http_script *script_new(void)
{
    struct http_script *script = calloc(1, sizeof(*script));
    if (script == NULL)
        abort();
    pthread_mutex_init(&script->lock, NULL);
    return script;
}

void script_free(struct http_script *script)
{
    pthread_mutex_destroy(&script->lock);
    free(script);
}

static uint64_t read_count(struct http_script *script, const uint64_t *count)
{
    pthread_mutex_lock(&script->lock);
    uint64_t value = *count;
    pthread_mutex_unlock(&script->lock);
    return value;
}

static void add(struct http_script *script, uint64_t *count)
{
    pthread_mutex_lock(&script->lock);
    ++*count;
    pthread_mutex_unlock(&script->lock);
}

uint64_t script_requests(struct http_script *script, int endpoint)
{
    return read_count(script, &script->requests[endpoint]);
}

uint64_t script_opened(struct http_script *script, int endpoint)
{
    return read_count(script, &script->opened[endpoint]);
}

uint64_t script_open_now(struct http_script *script, int endpoint)
{
    return script_opened(script, endpoint) - read_count(script, &script->closed[endpoint]);
}

/* How often this key has been asked for before; more keys than places end the test. */
static unsigned next_of(struct http_script *script, const char *key)
{
    pthread_mutex_lock(&script->lock);
    uint32_t hash = 2166136261u;
    for (const char *at = key; *at; at++)
        hash = (hash ^ (uint8_t)*at) * 16777619u;
    struct sequence *found = NULL;
    for (uint32_t i = 0; i < SEQUENCES && found == NULL; i++) {
        struct sequence *each = &script->sequences[(hash + i) % SEQUENCES];
        if (each->key[0] == '\0')
            (void)snprintf(each->key, sizeof(each->key), "%s", key);
        if (strcmp(each->key, key) == 0)
            found = each;
    }
    if (found == NULL)
        abort();
    unsigned count = found->count++;
    pthread_mutex_unlock(&script->lock);
    return count;
}

void script_connect(struct http_script *script, int endpoint)
{
    add(script, &script->opened[endpoint]);
}

void script_disconnect(struct http_script *script, int endpoint)
{
    add(script, &script->closed[endpoint]);
}

/* ---- the request ---- */

static void must(bool good)
{
    if (!good)
        abort();
}

void script_begin(struct script_exchange *exchange)
{
    memset(exchange, 0, sizeof(*exchange));
    mesh__buf_init(&exchange->head, &mesh__mem_system, SCRIPT_BODY_MAX);
    mesh__buf_init(&exchange->body, &mesh__mem_system, SCRIPT_BODY_MAX);
}

void script_end(struct script_exchange *exchange)
{
    mesh__buf_fini(&exchange->head);
    mesh__buf_fini(&exchange->body);
}

void script_head(struct script_exchange *exchange, const struct http1_head *head)
{
    struct buf *out = &exchange->head;
    (void)snprintf(exchange->path, sizeof(exchange->path), "%.*s", (int)head->path.size, head->path.data);
    exchange->to_head = mesh__view_equal(head->method, VIEW_LITERAL("HEAD"));
    mesh__buf_printf(out, "%.*s %s\n", (int)head->method.size, head->method.data, exchange->path);
    mesh__buf_printf(out, "authority: %.*s\n", (int)head->authority.size, head->authority.data);
    for (size_t i = 0; i < head->header_count; i++) {
        const mesh_header *field = &head->headers[i];
        mesh__buf_printf(out, "%.*s: %.*s\n", (int)field->name_size, field->name, (int)field->value_size, field->value);
    }
    must(!out->failed);
}

void script_body(struct script_exchange *exchange, struct view bytes)
{
    must(mesh__buf_append_view(&exchange->body, bytes));
}

/* ---- the answer ---- */

static void put_field(struct script_exchange *exchange, const char *name, const char *value)
{
    must(exchange->header_count < SCRIPT_FIELDS);
    exchange->headers[exchange->header_count++] = (mesh_header){ name, strlen(name), value, strlen(value) };
}

/* "/seq/KEY/A,B" becomes "/A" or "/B". */
static void resolve_sequence(struct http_script *script, struct script_exchange *exchange)
{
    char key[40], word[64] = "";
    const char *rest = exchange->path + 5;
    size_t size = strcspn(rest, "/");
    (void)snprintf(key, sizeof(key), "%.*s", (int)size, rest);
    unsigned nth = next_of(script, key);
    for (const char *at = rest + size + 1;; at += strcspn(at, ",") + 1) {
        size = strcspn(at, ",");
        (void)snprintf(word, sizeof(word), "%.*s", (int)size, at);
        if (nth-- == 0 || at[size] == '\0')
            break;
    }
    bool number = word[0] >= '0' && word[0] <= '9';
    (void)snprintf(exchange->path, sizeof(exchange->path), "/%s%s", number ? "status/" : "", word);
}

static bool starts(const char *path, const char *word, const char **rest)
{
    size_t size = strlen(word);
    *rest = path + size;
    return strncmp(path, word, size) == 0;
}

/* The request's body has been told before, so its place can be had. */
static void fill_big(struct script_exchange *exchange, size_t size)
{
    struct buf *body = &exchange->body;
    mesh__buf_clear(body);
    must(mesh__buf_reserve(body, size + 1));
    memset(body->data, 'x', size);
    body->size = size;
    exchange->answer = mesh__view(body->data, size);
}

/* What is not a plain response, or not only. */
static enum script_kind kind_of(const char *path)
{
    static const struct {
        const char *path;
        enum script_kind kind;
    } rows[] = {
        { "/never", SCRIPT_NEVER },     { "/close", SCRIPT_CLOSE },     { "/reset", SCRIPT_RESET },
        { "/partial", SCRIPT_PARTIAL }, { "/garbage", SCRIPT_GARBAGE }, { "/chunked", SCRIPT_CHUNKED },
        { "/cut", SCRIPT_CUT },         { "/stale", SCRIPT_STALE },     { "/refuse", SCRIPT_REFUSE },
        { "/leave", SCRIPT_LEAVE },     { "/http1", SCRIPT_HTTP1 },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (strcmp(path, rows[i].path) == 0)
            return rows[i].kind;
    return SCRIPT_WHOLE;
}

static void answer_plain(struct script_exchange *exchange)
{
    const char *rest, *path = exchange->path;
    if (starts(path, "/echo", &rest)) {
        exchange->answer = mesh__view(exchange->body.data, exchange->body.size);
    } else if (starts(path, "/headers", &rest)) {
        exchange->answer = mesh__view(exchange->head.data, exchange->head.size);
    } else if (starts(path, "/status/", &rest) || starts(path, "/after/", &rest)) {
        exchange->status = (int32_t)strtol(rest, NULL, 10);
        const char *seconds = strchr(rest, '/');
        if (seconds)
            put_field(exchange, "retry-after", seconds + 1);
    } else if (starts(path, "/big/", &rest)) {
        fill_big(exchange, strtoul(rest, NULL, 10));
    } else if (starts(path, "/fields/", &rest)) {
        for (long i = strtol(rest, NULL, 10); i > 0 && exchange->header_count < SCRIPT_FIELDS - 10; i--)
            put_field(exchange, "x-one-more", "1");
    } else if (starts(path, "/two", &rest)) {
        put_field(exchange, "X-Two", "one");
        put_field(exchange, "x-two", "two");
    } else if (starts(path, "/delay/", &rest)) {
        exchange->delay = strtol(rest, NULL, 10) * NANOS_MS;
    } else if (exchange->kind == SCRIPT_WHOLE) {
        exchange->status = 400;
    }
}

void script_answer(struct http_script *script, int endpoint, unsigned nth, struct script_exchange *exchange)
{
    add(script, &script->requests[endpoint]);
    if (strncmp(exchange->path, "/seq/", 5) == 0)
        resolve_sequence(script, exchange);
    (void)snprintf(exchange->endpoint, sizeof(exchange->endpoint), "%d", endpoint);
    (void)snprintf(exchange->count, sizeof(exchange->count), "%u", nth);
    put_field(exchange, "x-endpoint", exchange->endpoint);
    put_field(exchange, "x-request", exchange->count);
    exchange->status = 200;
    exchange->kind = kind_of(exchange->path);
    answer_plain(exchange);
}
