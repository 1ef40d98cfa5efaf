/* SPDX-License-Identifier: Apache-2.0 */
/* problems.c - one walk over the tree finds each problem's pointer and puts the problems into the document's order. */
#include "config/problems.h"

#include "base/error.h"
#include "base/error_type.h"

#include <cjson/cJSON.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define MESSAGE_MAX 512
#define QUOTE_MAX 60

static void add(struct problems *problems, struct problem problem, const char *format, va_list arguments)
{
    char text[MESSAGE_MAX];
    problems->errors += problem.kind == PROBLEM_ERROR;
    if (problems->count == PROBLEMS_MAX) {
        problems->dropped[problem.kind]++;
        return;
    }
    (void)vsnprintf(text, sizeof(text), format, arguments);
    problem.text = mesh__config_arena_copy(problems->arena, text, strlen(text));
    if (problems->count == problems->capacity) {
        uint32_t capacity = problems->capacity ? problems->capacity * 2 : 8;
        struct problem *list = mesh__config_arena_alloc(problems->arena, capacity * sizeof(*list));
        if (list != NULL && problems->count > 0)
            memcpy(list, problems->list, problems->count * sizeof(*list));
        problems->capacity = list ? capacity : problems->capacity;
        problems->list = list ? list : problems->list;
    }
    problem.order = problems->count;
    if (problems->count < problems->capacity && problem.text != NULL)
        problems->list[problems->count++] = problem;
}

void mesh__problem(struct problems *problems, enum problem_kind kind, const struct cJSON *value, const char *format,
                   ...)
{
    va_list arguments;
    va_start(arguments, format);
    add(problems, (struct problem){ value, kind, false, 0, NULL }, format, arguments);
    va_end(arguments);
}

void mesh__problem_at_key(struct problems *problems, const struct cJSON *value, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add(problems, (struct problem){ value, PROBLEM_ERROR, true, 0, NULL }, format, arguments);
    va_end(arguments);
}

/* The first characters of a text, as the inside of a JSON string. */
static const char *quote_text(struct problems *problems, const char *text)
{
    struct view all = mesh__view_of(text);
    size_t size = 0;
    while (size < all.size) {
        size_t next = mesh__scan_utf8(mesh__view(text + size, all.size - size));
        if (next == 0 || size + next > QUOTE_MAX)
            break;
        size += next;
    }
    struct buf out;
    mesh__buf_init(&out, problems->arena->mem, MESSAGE_MAX);
    mesh__buf_append_char(&out, '"');
    mesh__buf_append_json(&out, mesh__view(text, size));
    mesh__buf_append_text(&out, size < all.size ? "..\"" : "\"");
    const char *copy = out.no_memory ? NULL : mesh__config_arena_copy(problems->arena, out.data, out.size);
    problems->arena->failed = problems->arena->failed || copy == NULL;
    mesh__buf_fini(&out);
    return copy ? copy : "?";
}

const char *mesh__problem_quote(struct problems *problems, const struct cJSON *value)
{
    if (problems->count == PROBLEMS_MAX)
        return "?"; /* nobody will read it */
    if (cJSON_IsString(value))
        return quote_text(problems, value->valuestring);
    if (cJSON_IsBool(value))
        return cJSON_IsTrue(value) ? "true" : "false";
    if (cJSON_IsNull(value))
        return "null";
    if (!cJSON_IsNumber(value))
        return cJSON_IsArray(value) ? "a list" : "an object";
    char *text = cJSON_PrintUnformatted(value);
    const char *copy = text ? mesh__config_arena_copy(problems->arena, text, strlen(text)) : NULL;
    problems->arena->failed = problems->arena->failed || copy == NULL;
    cJSON_free(text);
    return copy ? copy : "?";
}

/* A walk: the way to the value at hand, and what it writes. */
struct walk {
    const mesh_config *document;
    const struct problems *problems; /* its problems are sorted */
    struct {
        const cJSON *value;
        size_t index; /* in an array */
    } way[SCAN_DEPTH_MAX + 2];
    size_t depth;      /* of the value at hand; the root has 0 */
    struct buf out[2]; /* by kind */
};

/* By value, as they were noted for each. */
static int compare(const void *a, const void *b)
{
    const struct problem *x = a, *y = b;
    uintptr_t p = (uintptr_t)x->value, q = (uintptr_t)y->value;
    if (p != q)
        return p < q ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

/* The first problem of the value at hand; the count of problems when it has none. */
static uint32_t find_first(const struct problems *problems, const cJSON *value)
{
    uint32_t low = 0, high = problems->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if ((uintptr_t)problems->list[middle].value < (uintptr_t)value)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* One token of a pointer, printable and not too long. */
static void write_token(struct buf *out, const char *key)
{
    struct view all = mesh__view_of(key);
    size_t size, taken = 0;
    for (; taken < all.size && taken < 2 * (size_t)QUOTE_MAX; taken += size) {
        struct view rest = { key + taken, all.size - taken };
        size = mesh__scan_utf8(rest);
        size = size ? size : 1;
        if (*rest.data == '~' || *rest.data == '/')
            mesh__buf_append_text(out, *rest.data == '~' ? "~0" : "~1");
        else
            mesh__buf_append_json(out, mesh__view(rest.data, size));
    }
    if (taken < all.size)
        mesh__buf_append_text(out, "..");
}

static void write_pointer(const struct walk *walk, struct buf *out)
{
    if (walk->depth == 0)
        mesh__buf_append_text(out, "(document)");
    for (size_t i = 1; i <= walk->depth; i++) {
        mesh__buf_append_char(out, '/');
        if (walk->way[i].value->string != NULL)
            write_token(out, walk->way[i].value->string);
        else
            mesh__buf_printf(out, "%zu", walk->way[i].index);
    }
}

static void write_problem(struct walk *walk, const struct problem *problem)
{
    struct buf *out = &walk->out[problem->kind];
    const struct scan_place *place = mesh__document_place(walk->document, problem->value);
    mesh__buf_printf(out, "%s%s:", out->size > 0 ? "\n" : "", walk->document->name);
    if (place != NULL && problem->at_key && place->key_line > 0)
        mesh__buf_printf(out, "%u:%u:", place->key_line, place->key_column);
    else if (place != NULL)
        mesh__buf_printf(out, "%u:%u:", place->line, place->column);
    mesh__buf_append_text(out, " config: ");
    write_pointer(walk, out);
    mesh__buf_printf(out, ": %s", problem->text);
}

/* Visits a value and those inside of it. */
static void visit(struct walk *walk, const cJSON *value, size_t index)
{
    walk->way[walk->depth].value = value;
    walk->way[walk->depth].index = index;
    const struct problems *problems = walk->problems;
    for (uint32_t i = find_first(problems, value); i < problems->count && problems->list[i].value == value; i++)
        write_problem(walk, &problems->list[i]);
    if (value->child == NULL)
        return;
    walk->depth++;
    size_t child_index = 0;
    for (const cJSON *child = value->child; child != NULL; child = child->next)
        visit(walk, child, child_index++);
    walk->depth--;
}

static bool make_error(struct walk *walk, enum problem_kind kind, mesh_error **error)
{
    struct buf *out = &walk->out[kind];
    if (walk->problems->dropped[kind] > 0)
        mesh__buf_printf(out, "\n%s: config: and %zu more", walk->document->name, walk->problems->dropped[kind]);
    bool ok = !out->failed;
    if (ok && out->size > 0)
        (void)mesh__error_set(error, kind == PROBLEM_ERROR ? MESH_ECONFIG : MESH_OK, "%s", mesh__buf_text(out));
    mesh__buf_fini(out);
    return ok;
}

static void forget(mesh_error **error)
{
    if (error == NULL)
        return;
    mesh__error_release(*error);
    *error = NULL;
}

bool mesh__problems_tell(struct problems *problems, const mesh_config *document, mesh_error **errors,
                         mesh_error **warnings)
{
    if (errors != NULL)
        *errors = NULL;
    if (warnings != NULL)
        *warnings = NULL;
    if (problems->count == 0)
        return true;
    qsort(problems->list, problems->count, sizeof(*problems->list), compare);
    struct walk walk = { .document = document, .problems = problems };
    for (size_t i = 0; i < 2; i++)
        mesh__buf_init(&walk.out[i], problems->arena->mem, SIZE_MAX / 2);
    visit(&walk, document->root, 0);
    bool told = make_error(&walk, PROBLEM_ERROR, errors);
    if (make_error(&walk, PROBLEM_WARNING, warnings) && told)
        return true;
    forget(errors);
    forget(warnings);
    return false;
}
