/* SPDX-License-Identifier: Apache-2.0 */
/* document.h - a mesh_config: the JSON tree, where each value stands in the text, the text's name and folder.
 *
 * The tree is cJSON's and lives in malloc; everything else comes from `mem`. Keys are compared with their case. */
#ifndef MESH__CONFIG_DOCUMENT_H
#define MESH__CONFIG_DOCUMENT_H

#include "config/scan.h"

#include <mesh/config.h>

struct cJSON;

struct mesh_config {
    const struct mem *mem; /* borrowed */
    struct cJSON *root;    /* never NULL; `valueint` of a value is its place's index + 1, 0 where the program set it */
    struct scan_place *places;
    size_t place_count;
    char *name;   /* stands for the document in messages */
    char *folder; /* of relative paths; "" is the working folder */
};

/* An empty object. */
mesh_status mesh__document_new(const struct mem *mem, mesh_config **out);

/* `name` NULL is "config"; `folder` NULL is "". On failure `*out` is NULL and `*error` says why. */
mesh_status mesh__document_parse(const struct mem *mem, struct view text, const char *name, const char *folder,
                                 mesh_config **out, mesh_error **error);

/* NULL is legal. */
void mesh__document_free(mesh_config *document);

/* As mesh_config_set_string() and mesh_config_set_json(). On failure the document is as it was. */
mesh_status mesh__document_set_string(mesh_config *document, const char *pointer, const char *value);
mesh_status mesh__document_set_json(mesh_config *document, const char *pointer, const char *json);

/* Where the value stands; NULL for one that the program set. */
const struct scan_place *mesh__document_place(const mesh_config *document, const struct cJSON *value);

#endif
