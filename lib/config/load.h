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
    const struct cJSON **source;            /* by field_id: the value that set it last; NULL: nobody asks */
    const struct identity_config *identity; /* once the top of the document is read; NULL: none */
    bool in_defaults;                       /* the object is, or is inside of, "defaults" */
    bool of_connections;                    /* the object is inside of the rules of a service */
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
load_function mesh__load_trust, mesh__load_peers, mesh__load_peer_name, mesh__load_bundle, mesh__load_server_name,
    mesh__load_alpn;
load_function mesh__load_authorize, mesh__load_rules, mesh__load_rule_name, mesh__load_unless;
load_function mesh__load_matches, mesh__load_rule_headers, mesh__load_ports; /* conditions of a rule */

/* Reads a list with the grammar of "endpoints"; an empty one is a fault unless `may_be_empty`. */
void mesh__load_endpoint_list(struct loader *loader, const struct cJSON *list, bool may_be_empty,
                              struct endpoint_config **out, uint32_t *count);

/* The path of a file, resolved against the document's folder; NULL, and reported, when the value is none. */
const char *mesh__load_file(struct loader *loader, const struct cJSON *value);

/* The number of values in a list; 0, and reported, when it is none or empty. `of` is as "methods". */
size_t mesh__load_list(struct loader *loader, const struct cJSON *value, const char *of);

/* IPv4 or IPv6, without brackets. */
bool mesh__load_is_ip(const char *text);

/* Whether the identity has bundles, but none of that name. */
bool mesh__load_lacks_bundle(const struct loader *loader, struct view name);

/* The value's string; NULL, and reported, when it is none. */
const char *mesh__load_string(struct loader *loader, const struct cJSON *value, const char *expected);

#endif
