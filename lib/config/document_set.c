/* SPDX-License-Identifier: Apache-2.0 */
/* document_set.c - values set by JSON pointer (RFC 6901): wholly or not at all. */
#include "config/document.h"

#include <cjson/cJSON.h>
#include <stdint.h>

static bool is_utf8(struct view text)
{
    while (text.size > 0) {
        size_t size = mesh__scan_utf8(text);
        if (size == 0)
            return false;
        text = mesh__view(text.data + size, text.size - size);
    }
    return true;
}

/* How many tokens the pointer has; -1 when it is malformed or leads deeper than documents go. */
static int32_t count_tokens(const char *pointer)
{
    if ((*pointer != '\0' && *pointer != '/') || !is_utf8(mesh__view_of(pointer)))
        return -1;
    int32_t count = 0;
    for (const char *at = pointer; *at != '\0'; at++) {
        if (*at == '~' && at[1] != '0' && at[1] != '1')
            return -1;
        if (*at == '/' && ++count > SCAN_DEPTH_MAX)
            return -1;
    }
    return count;
}

/* Takes the first token, which is not longer than the pointer, unescaped into `out`; gives what follows it. */
static const char *take_token(const char *pointer, char *out)
{
    for (pointer++; *pointer != '\0' && *pointer != '/'; pointer++) {
        char c = *pointer;
        if (c == '~')
            c = *++pointer == '0' ? '~' : '/';
        *out++ = c;
    }
    *out = '\0';
    return pointer;
}

/* The element of an array: found, to be appended (NULL, true), or none (false). */
static bool find_element(const cJSON *array, const char *token, cJSON **found)
{
    *found = NULL;
    if (strcmp(token, "-") == 0)
        return true;
    size_t size = strlen(token), index = 0;
    if (size == 0 || size > 9 || (size > 1 && token[0] == '0'))
        return false;
    for (size_t i = 0; i < size; i++) {
        if (token[i] < '0' || token[i] > '9')
            return false;
        index = index * 10 + (size_t)(token[i] - '0');
    }
    *found = cJSON_GetArrayItem(array, (int)index);
    return *found != NULL;
}

static bool find_child(const cJSON *parent, const char *token, cJSON **found)
{
    if (cJSON_IsArray(parent))
        return find_element(parent, token, found);
    *found = cJSON_GetObjectItemCaseSensitive(parent, token);
    return cJSON_IsObject(parent);
}

/* Puts `child` into `parent`; it is deleted where memory is out. */
static bool attach(cJSON *parent, const char *key, cJSON *child)
{
    bool done = cJSON_IsArray(parent) ? cJSON_AddItemToArray(parent, child) : cJSON_AddItemToObject(parent, key, child);
    if (!done)
        cJSON_Delete(child);
    return done;
}

/* Makes the containers that `pointer` leads through, with `value` in the innermost: an array for a last token "-",
 * objects for the rest. Takes the value; NULL when memory is out. */
static cJSON *wrap(const char *pointer, cJSON *value, char *token)
{
    if (*pointer == '\0')
        return value;
    const char *after = take_token(pointer, token);
    value = wrap(after, value, token);
    if (value == NULL)
        return NULL;
    (void)take_token(pointer, token);
    cJSON *container = *after == '\0' && strcmp(token, "-") == 0 ? cJSON_CreateArray() : cJSON_CreateObject();
    if (container == NULL) {
        cJSON_Delete(value);
        return NULL;
    }
    if (attach(container, token, value))
        return container;
    cJSON_Delete(container);
    return NULL;
}

/* Replaces `old` by `value`, which it takes. */
static bool replace(cJSON *parent, const char *key, cJSON *old, cJSON *value)
{
    cJSON *holder = cJSON_CreateObject(); /* gives the value its key, before anything is changed */
    if (holder == NULL) {
        cJSON_Delete(value);
        return false;
    }
    bool done = attach(holder, key, value);
    if (done) {
        (void)cJSON_DetachItemViaPointer(holder, value);
        (void)cJSON_ReplaceItemViaPointer(parent, old, value);
    }
    cJSON_Delete(holder);
    return done;
}

/* Takes the value. The pointer is well-formed; `token` has room for it. */
static mesh_status place(mesh_config *document, const char *pointer, cJSON *value, char *token)
{
    if (*pointer == '\0') {
        cJSON_Delete(document->root);
        document->root = value;
        return MESH_OK;
    }
    cJSON *parent = document->root, *child;
    for (;;) {
        pointer = take_token(pointer, token);
        if (!find_child(parent, token, &child)) {
            cJSON_Delete(value);
            return MESH_EINVAL;
        }
        if (child == NULL || *pointer == '\0')
            break;
        parent = child;
    }
    bool done;
    if (child != NULL) {
        done = replace(parent, token, child, value);
    } else {
        char *key = mesh__strndup(document->mem, token, strlen(token));
        value = key ? wrap(pointer, value, token) : (cJSON_Delete(value), NULL);
        done = value != NULL && attach(parent, key, value);
        mesh__mem_free(document->mem, key);
    }
    return done ? MESH_OK : MESH_NO_MEMORY;
}

static mesh_status set(mesh_config *document, const char *pointer, cJSON *value)
{
    char *token = value ? mesh__alloc(document->mem, strlen(pointer) + 1) : NULL;
    if (token == NULL) {
        cJSON_Delete(value);
        return MESH_NO_MEMORY;
    }
    mesh_status status = place(document, pointer, value, token);
    mesh__mem_free(document->mem, token);
    return status;
}

mesh_status mesh__document_set_string(mesh_config *document, const char *pointer, const char *value)
{
    if (count_tokens(pointer) < 0 || !is_utf8(mesh__view_of(value)))
        return MESH_EINVAL;
    return set(document, pointer, cJSON_CreateString(value));
}

/* What the program sets has no place. */
static void forget_numbers(cJSON *value)
{
    for (; value != NULL; value = value->next) {
        value->valueint = 0;
        forget_numbers(value->child);
    }
}

mesh_status mesh__document_set_json(mesh_config *document, const char *pointer, const char *json)
{
    int32_t depth = count_tokens(pointer);
    if (depth < 0)
        return MESH_EINVAL;
    struct scan scan;
    enum scan_result result =
        mesh__scan(document->mem, mesh__view_of(json), document->name, (uint32_t)depth, &scan, NULL);
    mesh__mem_free(document->mem, scan.places);
    if (result != SCAN_OK)
        return result == SCAN_REFUSED ? MESH_EINVAL : MESH_NO_MEMORY;
    cJSON *value = cJSON_Parse(json);
    forget_numbers(value);
    return set(document, pointer, value);
}
