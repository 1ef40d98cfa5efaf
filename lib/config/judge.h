/* SPDX-License-Identifier: Apache-2.0 */
/* judge.h - do the values of a service agree with each other? Errors for what contradicts itself, warnings for what is
 * pointless. Called when all of its values are in. */
#ifndef MESH__CONFIG_JUDGE_H
#define MESH__CONFIG_JUDGE_H

#include "config/load.h"

/* A service under construction. */
struct draft {
    struct service_config service;
    const struct cJSON *value;               /* its object; NULL for the defaults of a document without any */
    const struct cJSON *source[FIELD_COUNT]; /* what its own object sets; defaults do not count */
};

void mesh__judge_service(struct loader *loader, const struct draft *draft, bool is_defaults);
void mesh__judge_service_tls(struct loader *loader, const struct draft *draft, bool is_defaults);

/* `source`: what the server's object sets, by field_id. */
void mesh__judge_server(struct loader *loader, const struct server_config *server, const struct cJSON *const *source);

void mesh__judge_identity(struct loader *loader, const struct cJSON *value, const struct identity_config *identity);

/* Does anybody use what the document has for all? */
void mesh__judge_use(struct loader *loader, const struct config *config);

#endif
