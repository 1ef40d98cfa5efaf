/* SPDX-License-Identifier: Apache-2.0 */
/* http_script.c - requests in, answers out, by the table of words in http_script.h. */
#include "support/http_script.h"

#include "wire/http1.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY_MAX ((size_t)64 << 20)
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

struct script_reader {
    struct http_script *script;
    int endpoint;
    void (*answer)(void *user, const struct script_answer *);
    void *user;
    struct http1_reader *reader;
    bool to_head;
    unsigned count;
    char path[256];
    struct buf head, body, out;
};

/* An answer under construction. */
struct draft {
    struct script_reader *reader;
    int32_t status;
    mesh_header headers[200];
    size_t header_count;
    const char *body;
    size_t body_size;
    struct script_answer answer;
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

static void put_field(struct draft *draft, const char *name, const char *value)
{
    draft->headers[draft->header_count++] = (mesh_header){ name, strlen(name), value, strlen(value) };
}

/* "/seq/KEY/A,B" becomes "/A" or "/B". */
static void resolve_sequence(struct script_reader *reader)
{
    char key[40], word[64] = "";
    const char *rest = reader->path + 5;
    size_t size = strcspn(rest, "/");
    (void)snprintf(key, sizeof(key), "%.*s", (int)size, rest);
    unsigned nth = next_of(reader->script, key);
    for (const char *at = rest + size + 1;; at += strcspn(at, ",") + 1) {
        size = strcspn(at, ",");
        (void)snprintf(word, sizeof(word), "%.*s", (int)size, at);
        if (nth-- == 0 || at[size] == '\0')
            break;
    }
    bool number = word[0] >= '0' && word[0] <= '9';
    (void)snprintf(reader->path, sizeof(reader->path), "/%s%s", number ? "status/" : "", word);
}

static bool starts(const char *path, const char *word, const char **rest)
{
    size_t size = strlen(word);
    *rest = path + size;
    return strncmp(path, word, size) == 0;
}

static void fill_big(struct draft *draft, size_t size)
{
    struct buf *body = &draft->reader->body;
    mesh__buf_clear(body);
    if (!mesh__buf_reserve(body, size + 1))
        abort();
    memset(body->data, 'x', size);
    body->size = size;
    draft->body = body->data;
    draft->body_size = size;
}

/* What is not a plain response. True when it was one of these. */
static bool draft_odd(struct draft *draft, const char *path)
{
    static const struct {
        const char *path, *bytes;
        enum script_end end;
    } rows[] = {
        { "/never", "", SCRIPT_KEEP },
        { "/close", "", SCRIPT_FINISH },
        { "/reset", "", SCRIPT_RESET },
        { "/partial", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfour", SCRIPT_FINISH },
        { "/garbage", "this is no HTTP\r\n\r\n", SCRIPT_FINISH },
        { "/chunked",
          "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n1\r\nf\r\n0\r\nx-trailer: "
          "1\r\n\r\n",
          SCRIPT_KEEP },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (strcmp(path, rows[i].path) == 0) {
            draft->answer =
                (struct script_answer){ .bytes = rows[i].bytes, .size = strlen(rows[i].bytes), .end = rows[i].end };
            return true;
        }
    return false;
}

static void draft_plain(struct draft *draft, const char *path)
{
    struct script_reader *reader = draft->reader;
    const char *rest;
    draft->body = "";
    if (starts(path, "/echo", &rest)) {
        draft->body = reader->body.size ? reader->body.data : "";
        draft->body_size = reader->body.size;
    } else if (starts(path, "/headers", &rest)) {
        draft->body = mesh__buf_text(&reader->head);
        draft->body_size = reader->head.size;
    } else if (starts(path, "/status/", &rest) || starts(path, "/after/", &rest)) {
        draft->status = (int32_t)strtol(rest, NULL, 10);
        const char *seconds = strchr(rest, '/');
        if (seconds)
            put_field(draft, "retry-after", seconds + 1);
    } else if (starts(path, "/big/", &rest)) {
        fill_big(draft, strtoul(rest, NULL, 10));
    } else if (starts(path, "/fields/", &rest)) {
        for (long i = strtol(rest, NULL, 10); i > 0 && draft->header_count < 190; i--)
            put_field(draft, "x-one-more", "1");
    } else if (starts(path, "/two", &rest)) {
        put_field(draft, "X-Two", "one");
        put_field(draft, "x-two", "two");
    } else if (starts(path, "/delay/", &rest)) {
        draft->answer.delay = strtol(rest, NULL, 10) * NANOS_MS;
    } else if (starts(path, "/stale", &rest)) {
        draft->answer.end = SCRIPT_FINISH;
    } else {
        draft->status = 400;
    }
}

static void reply(struct script_reader *reader)
{
    struct draft draft = { .reader = reader, .status = 200 };
    char endpoint[12], count[12];
    reader->count++;
    add(reader->script, &reader->script->requests[reader->endpoint]);
    if (strncmp(reader->path, "/seq/", 5) == 0)
        resolve_sequence(reader);
    if (!draft_odd(&draft, reader->path)) {
        (void)snprintf(endpoint, sizeof(endpoint), "%d", reader->endpoint);
        (void)snprintf(count, sizeof(count), "%u", reader->count);
        put_field(&draft, "x-endpoint", endpoint);
        put_field(&draft, "x-request", count);
        draft_plain(&draft, reader->path);
        mesh__buf_clear(&reader->out);
        bool has_body = draft.status != 204 && draft.status != 304 && !reader->to_head;
        if (!mesh__http1_write_response(&reader->out, draft.status, draft.headers, draft.header_count, draft.body_size,
                                        NULL, false) ||
            (has_body && !mesh__buf_append(&reader->out, draft.body, draft.body_size)))
            abort();
        draft.answer.bytes = reader->out.data;
        draft.answer.size = reader->out.size;
    }
    reader->answer(reader->user, &draft.answer);
}

/* ---- reading ---- */

static bool on_head(void *user, const struct http1_head *head)
{
    struct script_reader *reader = user;
    (void)snprintf(reader->path, sizeof(reader->path), "%.*s", (int)head->path.size, head->path.data);
    reader->to_head = mesh__view_equal(head->method, VIEW_LITERAL("HEAD"));
    mesh__buf_clear(&reader->head);
    mesh__buf_clear(&reader->body);
    mesh__buf_printf(&reader->head, "%.*s %s\n", (int)head->method.size, head->method.data, reader->path);
    for (size_t i = 0; i < head->header_count; i++) {
        const mesh_header *field = &head->headers[i];
        mesh__buf_printf(&reader->head, "%.*s: %.*s\n", (int)field->name_size, field->name, (int)field->value_size,
                         field->value);
    }
    return true;
}

static bool on_body(void *user, struct view bytes)
{
    struct script_reader *reader = user;
    return mesh__buf_append_view(&reader->body, bytes);
}

static bool on_end(void *user, bool keep_alive)
{
    (void)user;
    (void)keep_alive;
    return true;
}

static const struct http1_events events = { .head = on_head, .body = on_body, .end = on_end };

static void expect_next(struct script_reader *reader)
{
    static const struct http1_limits limits = { 1 << 20, 1000, BODY_MAX };
    mesh__http1_reader_next(reader->reader, &limits, false);
}

struct script_reader *script_connect(struct http_script *script, int endpoint,
                                     void (*answer)(void *user, const struct script_answer *), void *user)
{
    struct script_reader *reader = calloc(1, sizeof(*reader));
    if (reader == NULL)
        abort();
    *reader = (struct script_reader){ .script = script, .endpoint = endpoint, .answer = answer, .user = user };
    reader->reader = mesh__http1_reader_new(&mesh__mem_system, HTTP1_REQUESTS, &events, reader);
    if (reader->reader == NULL)
        abort();
    mesh__buf_init(&reader->head, &mesh__mem_system, BODY_MAX);
    mesh__buf_init(&reader->body, &mesh__mem_system, BODY_MAX);
    mesh__buf_init(&reader->out, &mesh__mem_system, BODY_MAX);
    expect_next(reader);
    add(script, &script->opened[endpoint]);
    return reader;
}

void script_feed(struct script_reader *reader, const char *bytes, size_t size)
{
    while (size > 0) {
        struct http1_progress progress = mesh__http1_read(reader->reader, bytes, size);
        if (progress.status != MESH_OK) {
            (void)fprintf(stderr, "a client of the tests sends what is no HTTP: %s\n", progress.reason);
            abort();
        }
        bytes += progress.used;
        size -= progress.used;
        if (!progress.ended)
            return;
        reply(reader);
        expect_next(reader);
    }
}

void script_disconnect(struct script_reader *reader)
{
    add(reader->script, &reader->script->closed[reader->endpoint]);
    mesh__http1_reader_free(reader->reader);
    mesh__buf_fini(&reader->head);
    mesh__buf_fini(&reader->body);
    mesh__buf_fini(&reader->out);
    free(reader);
}
