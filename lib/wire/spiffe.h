/* SPDX-License-Identifier: Apache-2.0 */
/* spiffe.h - SPIFFE ids (SPIFFE-ID, section 2): "spiffe://trust-domain/path", taken apart, never changed. */
#ifndef MESH__WIRE_SPIFFE_H
#define MESH__WIRE_SPIFFE_H

#include "base/view.h"

#include <stdbool.h>

#define SPIFFE_ID_MAX 2048
#define SPIFFE_DOMAIN_MAX 255

/* Views into the text that was parsed. */
struct spiffe_id {
    struct view text;
    struct view trust_domain; /* "shop" */
    struct view path;         /* "/ns/prod/sa/order", with its first slash; empty for the id of a trust domain */
};

/* NULL when `text` is a SPIFFE id; else what is wrong with it, in words (static), and `out` is empty. Both forms, with
 * and without a path, are ids; a workload's has a path. The scheme is in lower case, as go-spiffe has it, though URIs
 * may have it otherwise: an id has one text, and ids are equal when their bytes are. */
const char *mesh__spiffe_parse(struct view text, struct spiffe_id *out);

/* NULL when `name` is a trust domain's name; else what is wrong with it. */
const char *mesh__spiffe_check_domain(struct view name);

/* The namespace of an id whose path is "/ns/NAMESPACE/sa/ACCOUNT"; empty for others. */
struct view mesh__spiffe_namespace(const struct spiffe_id *);

/* What a peer's id is held against. */
enum spiffe_pattern_kind {
    SPIFFE_EXACT, /* "spiffe://shop/order" */
    SPIFFE_BELOW, /* a text that ends in slash and star: every id whose path has more after that slash */
};

struct spiffe_pattern {
    enum spiffe_pattern_kind kind;
    struct spiffe_id id; /* without the slash and star; its text outlives the pattern */
};

/* NULL when `text` is a pattern; else what is wrong with it. The id of a trust domain alone is none: no peer has it. */
const char *mesh__spiffe_parse_pattern(struct view text, struct spiffe_pattern *out);

bool mesh__spiffe_matches(const struct spiffe_pattern *, const struct spiffe_id *);

#endif
