/* SPDX-License-Identifier: Apache-2.0 */
/* authorize.c - texts held against alternatives, conditions, rules, and the decision. */
#include "policy/authorize.h"

static const struct view one_segment = { "{*}", 3 }, any_segments = { "{**}", 4 };

static struct view from(struct view text, size_t at)
{
    return mesh__view(text.data + at, text.size - at);
}

static bool begins_with(struct view text, struct view prefix)
{
    return text.size >= prefix.size && (prefix.size == 0 || memcmp(text.data, prefix.data, prefix.size) == 0);
}

static bool ends_with(struct view text, struct view suffix)
{
    return text.size >= suffix.size && begins_with(from(text, text.size - suffix.size), suffix);
}

/* Bytes up to the next slash or the end. */
static size_t segment_size(struct view path)
{
    size_t size = 0;
    while (size < path.size && path.data[size] != '/')
        size++;
    return size;
}

/* Without going back: {*} takes its whole segment, and behind {**}, which comes last, the end of the path is fixed. */
static bool template_matches(struct view pattern, struct view path)
{
    while (pattern.size > 0) {
        if (begins_with(pattern, any_segments))
            return ends_with(path, from(pattern, any_segments.size));
        size_t taken = 1;
        if (begins_with(pattern, one_segment)) {
            taken = segment_size(path);
            pattern = from(pattern, one_segment.size);
        } else if (path.size > 0 && path.data[0] == pattern.data[0]) {
            pattern = from(pattern, 1);
        } else {
            return false;
        }
        if (taken == 0)
            return false;
        path = from(path, taken);
    }
    return path.size == 0;
}

bool mesh__text_matches(const struct text_match *match, struct view text)
{
    if (text.size == 0)
        return false;
    switch (match->kind) {
    case TEXT_EXACT:
        return mesh__view_equal(text, match->text);
    case TEXT_PREFIX:
        return begins_with(text, match->text);
    case TEXT_SUFFIX:
        return ends_with(text, match->text);
    case TEXT_ANY:
        return true;
    case TEXT_TEMPLATE:
        return template_matches(match->text, text);
    }
    return false;
}

/* ---- reading alternatives ---- */

static bool has_byte(struct view text, char byte)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] == byte)
            return true;
    return false;
}

static const char *check_template(struct view text)
{
    bool last = false; /* {**} was there */
    if (text.data[0] != '/')
        return "a path template begins with a slash";
    while (text.size > 0) {
        text = from(text, 1);
        struct view segment = mesh__view(text.data, segment_size(text));
        text = from(text, segment.size);
        bool any = mesh__view_equal(segment, any_segments);
        if (!any && !mesh__view_equal(segment, one_segment)) {
            if (has_byte(segment, '{') || has_byte(segment, '}') || has_byte(segment, '*'))
                return "in a path template, braces and stars are whole segments: {*} or {**}";
            continue;
        }
        if (last)
            return "in a path template, {**} is the last of the operators";
        last = any;
    }
    return NULL;
}

const char *mesh__text_parse(struct view text, bool path, struct text_match *out)
{
    memset(out, 0, sizeof(*out));
    if (text.size == 0)
        return "a text to match is not empty";
    if (path && (has_byte(text, '{') || has_byte(text, '}'))) {
        *out = (struct text_match){ TEXT_TEMPLATE, text };
        return check_template(text);
    }
    bool first = text.data[0] == '*', last = text.data[text.size - 1] == '*';
    struct view rest = mesh__view(text.data + (first ? 1 : 0), text.size - (first || last ? 1 : 0));
    if (has_byte(rest, '*'))
        return "a star is the first or the last character, and the only star";
    *out = (struct text_match){ first ? TEXT_SUFFIX : last ? TEXT_PREFIX : TEXT_EXACT, rest };
    if (rest.size == 0)
        out->kind = TEXT_ANY;
    return NULL;
}

/* ---- rules ---- */

static bool any_matches(const struct text_matches *matches, struct view text)
{
    for (size_t i = 0; i < matches->count; i++)
        if (mesh__text_matches(&matches->list[i], text))
            return true;
    return false;
}

static bool has_header(const struct header_condition *condition, const struct access_request *request)
{
    struct view value;
    if (request->header == NULL || !request->header(request->user, condition->name, &value))
        return false;
    return condition->values.count == 0 || any_matches(&condition->values, value);
}

static bool has_port(const struct access_match *match, uint16_t port)
{
    for (size_t i = 0; i < match->port_count; i++)
        if (match->ports[i] == port)
            return port != 0;
    return false;
}

/* What the lists of texts are held against. */
#define TEXT_CONDITIONS 5
struct text_condition {
    const struct text_matches *alternatives;
    struct view text;
};

static void list_texts(const struct access_match *match, const struct access_request *request,
                       struct text_condition out[TEXT_CONDITIONS])
{
    out[0] = (struct text_condition){ &match->methods, request->method };
    out[1] = (struct text_condition){ &match->trust_domains, request->trust_domain };
    out[2] = (struct text_condition){ &match->namespaces, request->namespace_name };
    out[3] = (struct text_condition){ &match->paths, request->path };
    out[4] = (struct text_condition){ &match->peers, request->peer_id };
}

static bool all_hold(const struct access_match *match, const struct access_request *request)
{
    struct text_condition texts[TEXT_CONDITIONS];
    list_texts(match, request, texts);
    for (size_t i = 0; i < TEXT_CONDITIONS; i++)
        if (texts[i].alternatives->count > 0 && !any_matches(texts[i].alternatives, texts[i].text))
            return false;
    if (match->port_count > 0 && !has_port(match, request->port))
        return false;
    for (size_t i = 0; i < match->header_count; i++)
        if (!has_header(&match->headers[i], request))
            return false;
    return true;
}

static bool one_holds(const struct access_match *match, const struct access_request *request)
{
    struct text_condition texts[TEXT_CONDITIONS];
    list_texts(match, request, texts);
    for (size_t i = 0; i < TEXT_CONDITIONS; i++)
        if (any_matches(texts[i].alternatives, texts[i].text))
            return true;
    if (has_port(match, request->port))
        return true;
    for (size_t i = 0; i < match->header_count; i++)
        if (has_header(&match->headers[i], request))
            return true;
    return false;
}

static bool applies(const struct access_rule *rule, const struct access_request *request)
{
    return all_hold(&rule->when, request) && !one_holds(&rule->unless, request);
}

struct access_decision mesh__authorize(const struct access_policy *policy, const struct access_request *request)
{
    const struct access_rule *allowing = NULL;
    bool must_be_allowed = false;
    for (size_t i = 0; i < policy->rule_count; i++) {
        const struct access_rule *rule = &policy->rules[i];
        if (rule->action == ACCESS_DENY) {
            if (applies(rule, request))
                return (struct access_decision){ .allowed = policy->dry_run, .would_deny = true, .rule = rule->name };
            continue;
        }
        must_be_allowed = true;
        if (allowing == NULL && applies(rule, request))
            allowing = rule;
    }
    bool deny = must_be_allowed && allowing == NULL;
    return (struct access_decision){ .allowed = !deny || policy->dry_run,
                                     .would_deny = deny,
                                     .rule = allowing ? allowing->name : NULL };
}
