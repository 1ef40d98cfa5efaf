/* SPDX-License-Identifier: Apache-2.0 */
/* document.c - from text to a tree whose values know their places. */
#include "config/document.h"

#include "base/error.h"

#include <cjson/cJSON.h>

#define ERRORS_MAX ((size_t)64 << 10)

static mesh_config *new_document(const struct mem *mem, const char *name, const char *folder)
{
    mesh_config *document = mesh__zalloc(mem, sizeof(*document));
    if (document == NULL)
        return NULL;
    name = name ? name : "config";
    folder = folder ? folder : "";
    document->mem = mem;
    document->name = mesh__strndup(mem, name, strlen(name));
    document->folder = mesh__strndup(mem, folder, strlen(folder));
    if (document->name != NULL && document->folder != NULL)
        return document;
    mesh__document_free(document);
    return NULL;
}

void mesh__document_free(mesh_config *document)
{
    if (document == NULL)
        return;
    const struct mem *mem = document->mem;
    cJSON_Delete(document->root);
    mesh__mem_free(mem, document->places);
    mesh__mem_free(mem, document->name);
    mesh__mem_free(mem, document->folder);
    mesh__mem_free(mem, document);
}

mesh_status mesh__document_new(const struct mem *mem, mesh_config **out)
{
    *out = new_document(mem, NULL, NULL);
    if (*out == NULL)
        return MESH_NO_MEMORY;
    (*out)->root = cJSON_CreateObject();
    if ((*out)->root != NULL)
        return MESH_OK;
    mesh__document_free(*out);
    *out = NULL;
    return MESH_NO_MEMORY;
}

/* Numbers the values in the order in which they begin, which is the scan's. */
static void number_values(cJSON *value, int *count)
{
    for (; value != NULL; value = value->next) {
        value->valueint = ++*count;
        number_values(value->child, count);
    }
}

/* Scans and parses; `errors` gets what is wrong with the text. */
static mesh_status read_text(mesh_config *document, struct view text, struct buf *errors)
{
    struct scan scan;
    enum scan_result result = mesh__scan(document->mem, text, document->name, 0, &scan, errors);
    if (result != SCAN_OK)
        return result == SCAN_NO_MEMORY ? MESH_NO_MEMORY : MESH_ECONFIG;
    document->places = scan.places;
    document->place_count = scan.count;
    document->root = cJSON_ParseWithLengthOpts(text.data, text.size, NULL, 0);
    if (document->root == NULL)
        return MESH_NO_MEMORY; /* the scan is stricter than the parser: nothing else is left to go wrong */
    int count = 0;
    number_values(document->root, &count);
    return MESH_OK;
}

static mesh_status set_error(mesh_error **error, mesh_status status, const mesh_config *document, struct buf *errors)
{
    if (status == MESH_NO_MEMORY || errors->no_memory)
        return mesh__error_set(error, MESH_NO_MEMORY, "%s", mesh_status_text(MESH_NO_MEMORY));
    if (errors->failed)
        return mesh__error_set(error, status, "%s%s: json: too many faults to list", mesh__buf_text(errors),
                               document->name);
    if (errors->size > 0)
        errors->size--; /* the line feed at the end */
    return mesh__error_set(error, status, "%s", mesh__buf_text(errors));
}

mesh_status mesh__document_parse(const struct mem *mem, struct view text, const char *name, const char *folder,
                                 mesh_config **out, mesh_error **error)
{
    *out = NULL;
    mesh_config *document = new_document(mem, name, folder);
    if (document == NULL)
        return mesh__error_set(error, MESH_NO_MEMORY, "%s", mesh_status_text(MESH_NO_MEMORY));
    struct buf errors;
    mesh__buf_init(&errors, mem, ERRORS_MAX);
    mesh_status status = read_text(document, text, &errors);
    if (status == MESH_OK) {
        *out = document;
    } else {
        status = set_error(error, status, document, &errors);
        mesh__document_free(document);
    }
    mesh__buf_fini(&errors);
    return status;
}

const struct scan_place *mesh__document_place(const mesh_config *document, const struct cJSON *value)
{
    size_t number = value->valueint > 0 ? (size_t)value->valueint : 0;
    return number > 0 && number <= document->place_count ? &document->places[number - 1] : NULL;
}
