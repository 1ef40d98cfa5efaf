/* SPDX-License-Identifier: Apache-2.0 */
/* load.h - from the tree to structs, key by key as fields.def says; every fault is reported and loading goes on. */
#ifndef MESH__CONFIG_LOAD_H
#define MESH__CONFIG_LOAD_H

#include "config/fields.h"
#include "config/problems.h"

struct loader {
    const mesh_config *document;
    struct config_arena *arena; /* of everything that is kept; its `failed` means that memory is out */
    struct problems *problems;
    const struct cJSON **source; /* by field_id: the value that set it last; NULL: nobody asks */
    bool in_defaults;            /* the object is, or is inside of, "defaults" */
};

#define LOAD_ERROR(loader, value, ...) mesh__problem((loader)->problems, PROBLEM_ERROR, value, __VA_ARGS__)
#define LOAD_WARNING(loader, value, ...) mesh__problem((loader)->problems, PROBLEM_WARNING, value, __VA_ARGS__)
#define QUOTE(loader, value) mesh__problem_quote((loader)->problems, value)

/* Reads the members of an object into `base`, which has its defaults already. */
void mesh__load_object(struct loader *loader, enum object_id object, const struct cJSON *value, void *base);

/* What reads one value of a kind. `base` is what the object is built into. */
typedef void load_function(struct loader *loader, const struct field *field, const struct cJSON *value, void *base);

load_function mesh__load_endpoints, mesh__load_address, mesh__load_dns_servers, mesh__load_host_port; /* addresses */
load_function mesh__load_path, mesh__load_authority, mesh__load_headers, mesh__load_retry_on;

/* Reads a list with the grammar of "endpoints"; an empty one is a fault unless `may_be_empty`. */
void mesh__load_endpoint_list(struct loader *loader, const struct cJSON *list, bool may_be_empty,
                              struct endpoint_config **out, uint32_t *count);

/* The value's string; NULL, and reported, when it is none. */
const char *mesh__load_string(struct loader *loader, const struct cJSON *value, const char *expected);

#endif
