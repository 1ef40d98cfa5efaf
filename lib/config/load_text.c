/* SPDX-License-Identifier: Apache-2.0 */
/* load_text.c - the values that are names, paths, header fields, or words of a list. */
#include "config/load.h"

#include "config/nearest.h"
#include "config/units.h"
#include "wire/http1_check.h"

#include <cjson/cJSON.h>

#define HEADERS_MAX 100

const char *mesh__load_file(struct loader *loader, const cJSON *value)
{
    const char *text = mesh__load_string(loader, value, "the path of a file");
    if (text == NULL)
        return NULL;
    if (*text == '\0') {
        LOAD_ERROR(loader, value, "the path is empty, expected that of a file");
        return NULL;
    }
    const char *folder = loader->document->folder;
    bool as_it_is = *text == '/' || *folder == '\0';
    const char *slash = as_it_is || folder[strlen(folder) - 1] == '/' ? "" : "/";
    return mesh__config_arena_printf(loader->arena, "%s%s%s", as_it_is ? "" : folder, slash, text);
}

void mesh__load_path(struct loader *loader, const struct field *field, const cJSON *value, void *base)
{
    const char *path = mesh__load_file(loader, value);
    memcpy((char *)base + field->offset, &path, sizeof(path));
    if (path != NULL && field == &mesh__fields[F_DISCOVER_file])
        ((struct service_config *)base)->discover.kind = DISCOVER_FILE;
}

size_t mesh__load_list(struct loader *loader, const cJSON *value, const char *of)
{
    if (!cJSON_IsArray(value))
        LOAD_ERROR(loader, value, "%s is no list, expected one of %s", QUOTE(loader, value), of);
    else if (value->child == NULL)
        LOAD_ERROR(loader, value, "the list is empty, expected %s", of);
    return cJSON_IsArray(value) ? (size_t)cJSON_GetArraySize(value) : 0;
}

void mesh__load_authority(struct loader *loader, const struct field *field, const cJSON *value, void *base)
{
    const char *text = mesh__load_string(loader, value, "a host, or a host and a port");
    if (text == NULL)
        return;
    struct view view = mesh__view_of(text);
    const char *copy = mesh__config_arena_copy(loader->arena, view.data, view.size);
    if (mesh__http1_authority(view))
        memcpy((char *)base + field->offset, &copy, sizeof(copy));
    else
        LOAD_ERROR(loader, value, "%s cannot be sent as Host, expected a host, or a host and a port",
                   QUOTE(loader, value));
}

/* One field; false, and reported, when it cannot be sent. */
static bool load_header(struct loader *loader, const cJSON *value, mesh_header *out)
{
    const char *text = mesh__load_string(loader, value, "the value of a header field");
    if (text == NULL)
        return false;
    size_t name_size = strlen(value->string), value_size = strlen(text), at;
    *out = (mesh_header){ mesh__config_arena_copy(loader->arena, value->string, name_size), name_size,
                          mesh__config_arena_copy(loader->arena, text, value_size), value_size };
    if (out->name == NULL || out->value == NULL)
        return false;
    const char *wrong = mesh__http1_check_fields(out, 1, &at);
    if (wrong != NULL)
        LOAD_ERROR(loader, value, "this field cannot be sent: %s", wrong);
    return wrong == NULL;
}

static size_t find_header(const mesh_header *headers, size_t count, const mesh_header *wanted)
{
    struct view name = { wanted->name, wanted->name_size };
    size_t i = 0;
    while (i < count && !mesh__view_equal_nocase(mesh__view(headers[i].name, headers[i].name_size), name))
        i++;
    return i;
}

/* Fields of the defaults, which are in the service already, stay unless they are named here. */
void mesh__load_headers(struct loader *loader, const struct field *field, const cJSON *value, void *base)
{
    (void)field;
    struct service_config *service = base;
    if (!cJSON_IsObject(value)) {
        LOAD_ERROR(loader, value, "%s is no object, expected one of names and values", QUOTE(loader, value));
        return;
    }
    size_t inherited = service->header_count, own = (size_t)cJSON_GetArraySize(value);
    if (own > HEADERS_MAX) {
        LOAD_ERROR(loader, value, "%zu header fields are too many, expected at most %d", own, HEADERS_MAX);
        return;
    }
    mesh_header *headers = mesh__config_arena_alloc(loader->arena, (inherited + own) * sizeof(*headers));
    uint8_t *named = mesh__config_arena_alloc(loader->arena, inherited + own);
    if (headers == NULL || named == NULL)
        return;
    size_t count = inherited;
    if (count > 0)
        memcpy(headers, service->headers, count * sizeof(*headers));
    for (const cJSON *member = value->child; member != NULL; member = member->next) {
        mesh_header header;
        if (!load_header(loader, member, &header))
            continue;
        size_t at = find_header(headers, count, &header);
        if (named[at])
            mesh__problem_at_key(loader->problems, member, "this header field is named twice, expected it once");
        named[at] = 1;
        headers[at] = header;
        count += at == count;
    }
    service->headers = headers;
    service->header_count = count;
}

/* A status as a word; 0 for anything else. */
static uint32_t status_of(const char *text)
{
    uint64_t status;
    bool number = strlen(text) == 3 && mesh__units_count(mesh__view_of(text), &status);
    return number && status >= 400 && status <= 599 ? (uint32_t)status : 0;
}

static void report_retry_word(struct loader *loader, const struct field *field, const cJSON *value)
{
    static const char expected[] = "expected \"connect-failure\", \"refused\", \"reset-before-request\", \"reset\", "
                                   "\"5xx\", \"gateway-error\", \"per-try-timeout\" or a status, \"400\" to \"599\"";
    const char *text = cJSON_IsString(value) ? value->valuestring : "", *quoted = QUOTE(loader, value);
    struct nearest nearest = { text, NULL, 0 };
    for (const struct word *word = field->words; word->text != NULL; word++)
        mesh__nearest_offer(&nearest, word->text);
    if (nearest.best != NULL)
        LOAD_ERROR(loader, value, "%s is unknown, did you mean \"%s\"? E%s", quoted, nearest.best, expected + 1);
    else
        LOAD_ERROR(loader, value, "%s is unknown, %s", quoted, expected);
}

static void add_retry_word(struct loader *loader, const struct field *field, const cJSON *value,
                           struct retry_config *retry)
{
    const char *text = cJSON_IsString(value) ? value->valuestring : "";
    const struct word *word = mesh__word_find(field->words, mesh__view_of(text));
    uint32_t status = status_of(text);
    uint64_t bit = (uint64_t)1 << (status % 64);
    bool twice = false;
    if (word != NULL) {
        twice = (retry->on & word->value) != 0;
        retry->on |= word->value;
    } else if (status > 0) {
        twice = (retry->statuses[status / 64] & bit) != 0;
        retry->statuses[status / 64] |= bit;
    } else {
        report_retry_word(loader, field, value);
    }
    if (twice)
        LOAD_WARNING(loader, value, "%s is in the list twice", QUOTE(loader, value));
}

void mesh__load_retry_on(struct loader *loader, const struct field *field, const cJSON *value, void *base)
{
    struct retry_config *retry = (struct retry_config *)(void *)((char *)base + field->offset);
    if (!cJSON_IsArray(value)) {
        LOAD_ERROR(loader, value, "%s is no list, expected one of words and statuses", QUOTE(loader, value));
        return;
    }
    retry->on = 0;
    memset(retry->statuses, 0, sizeof(retry->statuses));
    for (const cJSON *item = value->child; item != NULL; item = item->next)
        add_retry_word(loader, field, item, retry);
}
