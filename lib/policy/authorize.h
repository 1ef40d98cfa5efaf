/* SPDX-License-Identifier: Apache-2.0 */
/* authorize.h - who may call what: rules that allow and deny, judged for one request or one connection. Pure.
 *
 * As Istio and Envoy have it: a deny rule that applies denies; else, when there is any allow rule, one must apply; else
 * all is allowed. A rule applies when each of its conditions holds; a condition holds when one of its alternatives
 * does. */
#ifndef MESH__POLICY_AUTHORIZE_H
#define MESH__POLICY_AUTHORIZE_H

#include "base/view.h"

#include <stdint.h>

/* How a text is held against an alternative. */
enum text_match_kind {
    TEXT_EXACT,
    TEXT_PREFIX,  /* "/charge*" */
    TEXT_SUFFIX,  /* "*.json" */
    TEXT_ANY,     /* "*": there, and not empty */
    TEXT_TEMPLATE /* paths: {*} is one segment, {**} any number of them, as "/shops/{*}/orders" */
};

struct text_match {
    enum text_match_kind kind;
    struct view text; /* without the star; a template whole */
};

struct text_matches {
    const struct text_match *list; /* alternatives; none: no condition */
    size_t count;
};

struct header_condition {
    struct view name; /* lower case */
    struct text_matches values;
};

/* Conditions that must hold together. */
struct access_match {
    struct text_matches peers;         /* SPIFFE ids */
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
    struct access_match unless; /* conditions of which none may hold on its own; empty: none */
};

struct access_policy {
    const struct access_rule *rules;
    size_t rule_count;
    bool dry_run; /* only report what would be denied */
};

/* What is judged. Texts that are unknown are empty; an empty text meets no alternative but a denial's absence. */
struct access_request {
    struct view peer_id, trust_domain, namespace_name; /* empty: no verified SPIFFE id */
    struct view method, path;                          /* the path decoded and without dot segments, no query */
    uint16_t port;
    /* The value of a header field (several joined by ","); false without one. NULL: there are no headers. */
    bool (*header)(void *user, struct view name, struct view *value);
    void *user;
};

struct access_decision {
    bool allowed;     /* true in a dry run, too */
    bool would_deny;  /* what the rules say */
    const char *rule; /* the rule that made it; NULL: no rule applied */
};

struct access_decision mesh__authorize(const struct access_policy *, const struct access_request *);

bool mesh__text_matches(const struct text_match *, struct view text);

#endif
