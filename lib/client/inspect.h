/* SPDX-License-Identifier: Apache-2.0 */
/* inspect.h - what holds right now, as numbers and as JSON. */
#ifndef MESH__CLIENT_INSPECT_H
#define MESH__CLIENT_INSPECT_H

#include "client/client.h"

/* Adds up a service's counters, or one endpoint's (not NULL). MESH_ESERVICE, MESH_NO_ENDPOINT. */
mesh_status mesh__inspect_counters(struct mesh_client *, const char *service, const char *endpoint, mesh_counters *out);

/* JSON in malloc; NULL for an unknown service or when memory is out. */
char *mesh__inspect_json(struct mesh_client *, const char *service);

#endif
