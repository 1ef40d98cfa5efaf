/* SPDX-License-Identifier: Apache-2.0 */
/* explain.h - what happened in a call: for people, and as members of a JSON object. */
#ifndef MESH_SHELL_EXPLAIN_H
#define MESH_SHELL_EXPLAIN_H

#include "json_out.h"

#include <mesh/mesh.h>

/* Writes to `file` the endpoints seen, each attempt with its timings and why it was made, breaker and budget. */
void explain(FILE *file, mesh_client *client, const char *service, const mesh_result *result);

/* Writes the result as one JSON object. */
void explain_json(struct json_out *out, const mesh_result *result);

#endif
