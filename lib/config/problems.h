/* SPDX-License-Identifier: Apache-2.0 */
/* problems.h - what is wrong with a document: noted in any order, told in the document's. */
#ifndef MESH__CONFIG_PROBLEMS_H
#define MESH__CONFIG_PROBLEMS_H

#include "config/arena.h"
#include "config/document.h"

enum problem_kind { PROBLEM_ERROR, PROBLEM_WARNING };

/* So many are kept; of the rest only the number is told. */
#define PROBLEMS_MAX 1000

struct problem {
    const struct cJSON *value;
    enum problem_kind kind;
    bool at_key;    /* the key of the value is meant, not the value */
    uint32_t order; /* of noting */
    const char *text;
};

struct problems {
    struct config_arena *arena; /* borrowed; of the texts */
    struct problem *list;       /* in the arena too */
    uint32_t count, capacity;
    size_t errors;     /* among all that were noted */
    size_t dropped[2]; /* by kind */
};

/* Notes a problem with a value of the document. When memory is out the arena's `failed` says so. */
void mesh__problem(struct problems *problems, enum problem_kind kind, const struct cJSON *value, const char *format,
                   ...) __attribute__((format(printf, 4, 5)));

/* Notes an error about the value's key. */
void mesh__problem_at_key(struct problems *problems, const struct cJSON *value, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The value as a message names it: "15 sec", 15, true, an object. Lives in the arena; never NULL. */
const char *mesh__problem_quote(struct problems *problems, const struct cJSON *value);

/* Makes the texts, one problem a line, as NAME:LINE:COLUMN: config: POINTER: TEXT. Either may be NULL; one without
 * problems of its kind is set to NULL. False when memory is out. */
bool mesh__problems_tell(struct problems *problems, const mesh_config *document, mesh_error **errors,
                         mesh_error **warnings);

#endif
