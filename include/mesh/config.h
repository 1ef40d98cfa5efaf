/* SPDX-License-Identifier: Apache-2.0 */
/* mesh/config.h - the document that says which services there are and how to call them.
 *
 * A mesh_config is a JSON document under construction: load or parse it, or start with an empty one, and set values.
 * Nothing is judged before it is used: mesh_config_check(), mesh_client_open() and mesh_client_reload() judge the
 * whole document and report every error at once. A config is not changed by them and may be used again; it is not
 * to be used from two threads at once. The keys, types and defaults: docs/guide/config-reference.md. */
#ifndef MESH_CONFIG_H
#define MESH_CONFIG_H

#include <mesh/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An empty document, {}. MESH_NO_MEMORY when memory is out. */
MESH_API MESH_NODISCARD mesh_status mesh_config_new(mesh_config **out);

/* Reads `size` bytes of JSON (strict RFC 8259: UTF-8 without a byte order mark, no duplicate keys, nesting to 64, no
 * number that a double cannot hold). `name` stands for the file in messages; NULL means "config". On MESH_ECONFIG
 * `*out` is NULL and `*error` (which may be NULL if unwanted) names each place as NAME:LINE:COLUMN. */
MESH_API MESH_NODISCARD mesh_status mesh_config_parse(const char *text, size_t size, const char *name,
                                                      mesh_config **out, mesh_error **error);

/* Reads the file at `path`. Paths inside of it are relative to its folder. MESH_ECONFIG also when it cannot be read. */
MESH_API MESH_NODISCARD mesh_status mesh_config_load(const char *path, mesh_config **out, mesh_error **error);

/* Sets the member at `pointer` (RFC 6901, as "/services/payment/timeout") to a string, making objects on the way as
 * needed; an element of an array is named by its index, "-" appends. MESH_EINVAL when the pointer is malformed or
 * leads through something that is neither object nor array. */
MESH_API MESH_NODISCARD mesh_status mesh_config_set_string(mesh_config *config, const char *pointer, const char *value);

/* The same with any JSON value, as "[\"127.0.0.1:9001\"]" or "3". */
MESH_API MESH_NODISCARD mesh_status mesh_config_set_json(mesh_config *config, const char *pointer, const char *json);

/* Judges the document. MESH_OK, or MESH_ECONFIG with every error in `*error`, one a line:
 * FILE:LINE:COLUMN: config: POINTER: what is wrong, what was expected. `*warnings`, if asked for, says what is
 * accepted but pointless in the same form, or is NULL when there is nothing to say. Either may be NULL. */
MESH_API MESH_NODISCARD mesh_status mesh_config_check(const mesh_config *config, mesh_error **error,
                                                      mesh_error **warnings);

/* The JSON Schema (draft-07) of the document. Static. */
MESH_API const char *mesh_config_schema(void);

/* Gives the document back. */
MESH_API void mesh_config_free(mesh_config *config);

#ifdef __cplusplus
}
#endif
#endif
