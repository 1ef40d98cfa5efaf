/* SPDX-License-Identifier: Apache-2.0 */
/* schema.h - the JSON Schema and the reference page, made of fields.def. */
#ifndef MESH__CONFIG_SCHEMA_H
#define MESH__CONFIG_SCHEMA_H

#include "base/buf.h"

/* Appends the schema (draft-07) of the document, with a line feed at its end. */
bool mesh__config_write_schema(struct buf *out);

/* Appends the reference page in Markdown. */
bool mesh__config_write_reference(struct buf *out);

#endif
