/* SPDX-License-Identifier: Apache-2.0 */
/* authorize.h - who may call what: rules that allow and deny, judged for one request or one connection. Pure.
 *
 * As Istio and Envoy have it: a deny rule that applies denies; else, when there is any allow rule, one must apply; else
 * all is allowed. A rule applies when each condition in `when` holds and none in `unless` does; a condition holds when
 * one of its alternatives does. Each list is a condition of its own, and each header.
 *
 * So `unless` is what Istio's notPrincipals, notPaths, notValues and the like are: with two lists in it, either alone
 * keeps the rule from applying. A rule whose `when` and `unless` are empty applies to everything.
 *
 * Texts are compared byte by byte, and letter case counts. What is judged must be in its normal form: the caller has
 * decoded the path's percent-encoding once, merged its slashes, resolved its dot segments and cut its query off, as
 * whoever serves the path will read it. What is not known is in no list: a rule that asks for a method or a path never
 * applies to a connection, and one that has them in `unless` is not kept back by them. */
#ifndef MESH__POLICY_AUTHORIZE_H
#define MESH__POLICY_AUTHORIZE_H

#include "base/view.h"

#include <stdint.h>

/* How a text is held against an alternative. None holds for an empty text. */
enum text_match_kind {
    TEXT_EXACT,
    TEXT_PREFIX,  /* "/charge*" */
    TEXT_SUFFIX,  /* "*.json" */
    TEXT_ANY,     /* "*": there, and not empty */
    TEXT_TEMPLATE /* of a path, "/shops/{*}/orders" */
};

/* A template is Envoy's: {*} is one segment, one byte at least, {**} whatever there is, slashes and nothing included.
 * The slashes that the template has must be there: "/a/{**}" is "/a/" and all below, but not "/a", and "/a/{**}/b" is
 * not "/a/b". Unlike Envoy's, an operator takes any byte, for the path is decoded. */
struct text_match {
    enum text_match_kind kind;
    struct view text; /* without the star; a template whole */
};

struct text_matches {
    const struct text_match *list; /* alternatives; none: no condition */
    size_t count;
};

struct header_condition {
    struct view name;           /* lower case */
    struct text_matches values; /* none: the field is there, whatever its value */
};

/* Conditions that must hold together. */
struct access_match {
    struct text_matches peers;         /* SPIFFE ids; a prefix should reach beyond the trust domain's slash */
    struct text_matches trust_domains; /* exact */
    struct text_matches namespaces;    /* exact */
    struct text_matches methods;
    struct text_matches paths; /* without the query */
    const struct header_condition *headers;
    size_t header_count;
    const uint16_t *ports; /* of this side's socket */
    size_t port_count;
};

enum access_action { ACCESS_ALLOW, ACCESS_DENY };

struct access_rule {
    const char *name; /* never NULL: what a decision names */
    enum access_action action;
    struct access_match when;
    struct access_match unless;
};

struct access_policy {
    const struct access_rule *rules;
    size_t rule_count;
    bool dry_run; /* only report what would be denied */
};

/* What is judged. Texts that are unknown are empty. */
struct access_request {
    struct view peer_id, trust_domain, namespace_name; /* empty: no verified SPIFFE id */
    struct view method, path;                          /* the path decoded and without dot segments, no query */
    uint16_t port;                                     /* 0: unknown */
    /* The value of a header field (several joined by ","); false without one. NULL: there are no headers. */
    bool (*header)(void *user, struct view name, struct view *value);
    void *user;
};

struct access_decision {
    bool allowed;     /* true in a dry run, too */
    bool would_deny;  /* what the rules say */
    const char *rule; /* the first rule that made it; NULL: no rule applied */
};

struct access_decision mesh__authorize(const struct access_policy *, const struct access_request *);

bool mesh__text_matches(const struct text_match *, struct view text);

/* Reads an alternative as people write it: a star alone, at the beginning or at the end, or, if `path`, a template: a
 * text that begins with a slash, whose operators are whole segments, {**} at most once and after all {*}. NULL when
 * `text` is one; else what is wrong with it, in words (static). */
const char *mesh__text_parse(struct view text, bool path, struct text_match *out);

#endif
