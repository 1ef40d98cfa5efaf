/* SPDX-License-Identifier: Apache-2.0 */
/* authorize_model.h - random policies and requests, drawn from bytes, and a slow reference that judges them.
 *
 * The reference reads alternatives as they were written and tries every way in which an operator could take bytes; it
 * decides by Istio's four sentences. Whoever includes this defines MODEL_CHECK(condition). */
#ifndef MESH__TESTS_AUTHORIZE_MODEL_H
#define MESH__TESTS_AUTHORIZE_MODEL_H

#include "policy/authorize.h"

#include <stdio.h>

enum { PEERS, DOMAINS, NAMESPACES, METHODS, PATHS, HEADERS, LISTS = HEADERS + 2 };
enum { MAX_RULES = 4, MAX_ALTERNATIVES = 3, MAX_PORTS = 2, MAX_HEADERS = LISTS - HEADERS, TEXT_SIZE = 48 };

/* ---- the reference ---- */

static bool ref_begins(struct view text, const char *prefix)
{
    size_t size = strlen(prefix);
    return text.size >= size && memcmp(text.data, prefix, size) == 0;
}

static struct view ref_behind(struct view text, size_t size)
{
    return mesh__view(text.data + size, text.size - size);
}

/* `operators`: {*} and {**}; else "*" is an operator that takes any bytes. */
static bool ref_match(struct view pattern, struct view text, bool operators)
{
    if (pattern.size == 0)
        return text.size == 0;
    bool any = ref_begins(pattern, operators ? "{**}" : "*");
    bool one = operators && ref_begins(pattern, "{*}");
    if (!any && !one)
        return text.size > 0 && text.data[0] == pattern.data[0] &&
               ref_match(ref_behind(pattern, 1), ref_behind(text, 1), operators);
    struct view rest = ref_behind(pattern, operators ? (any ? 4 : 3) : 1);
    for (size_t taken = any ? 0 : 1; taken <= text.size; taken++) {
        if (one && text.data[taken - 1] == '/')
            return false;
        if (ref_match(rest, ref_behind(text, taken), operators))
            return true;
    }
    return false;
}

static bool ref_has_brace(struct view text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] == '{' || text.data[i] == '}')
            return true;
    return false;
}

static bool ref_text(struct view written, bool path, struct view text)
{
    return text.size > 0 && ref_match(written, text, path && ref_has_brace(written));
}

/* Takes the operators out where each is a whole segment; what is left must be plain. */
static bool ref_is_template(struct view written)
{
    bool ended = false;
    for (size_t i = 0; i < written.size; i++) {
        struct view rest = ref_behind(written, i);
        bool any = ref_begins(rest, "{**}"), one = ref_begins(rest, "{*}");
        size_t size = any ? 4 : one ? 3 : 1;
        if (!any && !one && strchr("{}*", rest.data[0]) != NULL && rest.data[0] != '\0')
            return false;
        if (!any && !one)
            continue;
        if (ended || i == 0 || written.data[i - 1] != '/' || (rest.size > size && rest.data[size] != '/'))
            return false;
        ended = any;
        i += size - 1;
    }
    return written.data[0] == '/';
}

static bool ref_is_alternative(struct view written, bool path)
{
    size_t stars = 0, inside = 0;
    if (written.size == 0)
        return false;
    if (path && ref_has_brace(written))
        return ref_is_template(written);
    for (size_t i = 0; i < written.size; i++) {
        stars += written.data[i] == '*';
        inside += written.data[i] == '*' && i > 0 && i + 1 < written.size;
    }
    return stars <= 1 && inside == 0;
}

/* ---- policies and requests ---- */

struct model_match {
    char written[LISTS][MAX_ALTERNATIVES][TEXT_SIZE];
    struct text_match lists[LISTS][MAX_ALTERNATIVES];
    struct header_condition headers[MAX_HEADERS];
    uint16_t ports[MAX_PORTS];
};

struct model {
    struct model_match whens[MAX_RULES], unlesses[MAX_RULES];
    char names[MAX_RULES][8];
    struct access_rule rules[MAX_RULES];
    struct access_policy policy;
    char path[TEXT_SIZE];
    const char *header[MAX_HEADERS]; /* NULL: the request does not have it */
    struct access_request request;
};

struct model_bytes {
    const uint8_t *data;
    size_t size, at;
};

/* Below `bound`; 0 when there are no bytes left. */
static size_t model_draw(struct model_bytes *bytes, size_t bound)
{
    return bytes->at < bytes->size ? bytes->data[bytes->at++] % bound : 0;
}

#define MODEL_PICK(bytes, array) ((array)[model_draw(bytes, sizeof(array) / sizeof((array)[0]))])

static void model_compose(struct model_bytes *bytes, const char *const pieces[8], char out[TEXT_SIZE])
{
    size_t size = 0;
    for (size_t left = 1 + model_draw(bytes, 6); left > 0; left--) {
        const char *piece = pieces[model_draw(bytes, 8)];
        memcpy(out + size, piece, strlen(piece));
        size += strlen(piece);
    }
    out[size] = '\0';
}

static void model_write(struct model_bytes *bytes, int list, char out[TEXT_SIZE])
{
    static const char *const words[LISTS][6] = {
        [PEERS] = { "spiffe://shop/order", "spiffe://shop/*", "*/order", "*", "spiffe://td.example/*", "*vil/a" },
        [DOMAINS] = { "shop", "td.example", "td.example.evil", "*", "td.*", "*evil" },
        [NAMESPACES] = { "prod", "test", "*", "pro*", "*t", "production" },
        [METHODS] = { "GET", "POST", "*", "P*", "*T", "get" },
        [HEADERS] = { "x", "y", "*", "x*", "*y", "xy" },
        [HEADERS + 1] = { "x", "y", "*", "x*", "*y", "x*y" },
    };
    static const char *const pieces[8] = { "/", "a", "b", "/{*}", "/{**}", "{*}", "*", "/a" };
    if (list == PATHS)
        model_compose(bytes, pieces, out);
    else
        (void)snprintf(out, TEXT_SIZE, "%s", words[list][model_draw(bytes, 6)]);
}

/* Alternatives that are none are left out, on both sides. */
static struct text_matches model_list(struct model_bytes *bytes, struct model_match *match, int list)
{
    size_t count = 0;
    for (size_t left = model_draw(bytes, MAX_ALTERNATIVES + 1); left > 0; left--) {
        char *written = match->written[list][count];
        model_write(bytes, list, written);
        struct view text = mesh__view_of(written);
        bool good = mesh__text_parse(text, list == PATHS, &match->lists[list][count]) == NULL;
        MODEL_CHECK(good == ref_is_alternative(text, list == PATHS));
        count += good;
    }
    return (struct text_matches){ match->lists[list], count };
}

/* A bit of a byte says for each list whether it is there. */
static struct access_match model_match(struct model_bytes *bytes, struct model_match *match)
{
    struct access_match out = { .headers = match->headers, .ports = match->ports };
    struct text_matches *const lists[HEADERS] = { &out.peers, &out.trust_domains, &out.namespaces, &out.methods,
                                                  &out.paths };
    static const uint16_t ports[] = { 80, 443, 0, 8080 };
    size_t present = model_draw(bytes, 256) & model_draw(bytes, 256);
    for (int list = 0; list < HEADERS; list++)
        if (present >> list & 1)
            *lists[list] = model_list(bytes, match, list);
    if (present >> 5 & 1)
        out.header_count = 1 + model_draw(bytes, MAX_HEADERS);
    for (size_t i = 0; i < out.header_count; i++)
        match->headers[i] = (struct header_condition){ model_draw(bytes, 2) ? VIEW_LITERAL("h1") : VIEW_LITERAL("h0"),
                                                       model_list(bytes, match, HEADERS + (int)i) };
    if (present >> 6 & 1)
        out.port_count = 1 + model_draw(bytes, MAX_PORTS);
    for (size_t i = 0; i < out.port_count; i++)
        match->ports[i] = MODEL_PICK(bytes, ports);
    return out;
}

static bool model_header(void *user, struct view name, struct view *value)
{
    const struct model *model = user;
    MODEL_CHECK(name.size == 2 && name.data[0] == 'h');
    const char *text = model->header[name.data[1] - '0'];
    *value = mesh__view_of(text);
    return text != NULL;
}

static void model_request(struct model_bytes *bytes, struct model *model)
{
    static const char *const peers[] = { "", "spiffe://shop/order", "spiffe://td.example.evil/a",
                                         "spiffe://td.example/a" };
    static const char *const domains[] = { "", "shop", "td.example.evil", "td.example" };
    static const char *const names[] = { "", "prod", "test", "production" };
    static const char *const methods[] = { "", "GET", "POST", "PUT" };
    static const char *const values[] = { NULL, "", "x", "y", "xy", "xyy" };
    static const char *const pieces[8] = { "/", "a", "b", "/a", "/b", "/ab", "/a/b", "//" };
    static const uint16_t ports[] = { 80, 443, 0, 22 };
    struct access_request *request = &model->request;
    request->peer_id = mesh__view_of(MODEL_PICK(bytes, peers));
    request->trust_domain = mesh__view_of(MODEL_PICK(bytes, domains));
    request->namespace_name = mesh__view_of(MODEL_PICK(bytes, names));
    request->method = mesh__view_of(MODEL_PICK(bytes, methods));
    request->port = MODEL_PICK(bytes, ports);
    model_compose(bytes, pieces, model->path);
    request->path = model_draw(bytes, 8) == 7 ? mesh__view(NULL, 0) : mesh__view_of(model->path);
    for (size_t i = 0; i < MAX_HEADERS; i++)
        model->header[i] = MODEL_PICK(bytes, values);
    request->header = model_draw(bytes, 8) == 7 ? NULL : model_header;
    request->user = model;
}

static void model_make(struct model_bytes *bytes, struct model *model)
{
    memset(model, 0, sizeof(*model));
    model->policy.rules = model->rules;
    model->policy.rule_count = model_draw(bytes, MAX_RULES + 1);
    model->policy.dry_run = model_draw(bytes, 4) == 3;
    model_request(bytes, model);
    for (size_t i = 0; i < model->policy.rule_count; i++) {
        struct access_rule *rule = &model->rules[i];
        (void)snprintf(model->names[i], sizeof(model->names[i]), "rule %d", (int)i);
        rule->name = model->names[i];
        rule->action = model_draw(bytes, 2) ? ACCESS_DENY : ACCESS_ALLOW;
        rule->when = model_match(bytes, &model->whens[i]);
        rule->unless = model_match(bytes, &model->unlesses[i]);
    }
}

/* ---- the reference's verdict ---- */

static bool ref_list(const struct model_match *match, int list, size_t count, struct view text)
{
    for (size_t i = 0; i < count; i++)
        if (ref_text(mesh__view_of(match->written[list][i]), list == PATHS, text))
            return true;
    return false;
}

static bool ref_header(const struct model *model, const struct model_match *match, size_t i)
{
    const struct header_condition *condition = &match->headers[i];
    const char *value = model->header[condition->name.data[1] - '0'];
    if (model->request.header == NULL || value == NULL)
        return false;
    return condition->values.count == 0 ||
           ref_list(match, HEADERS + (int)i, condition->values.count, mesh__view_of(value));
}

/* The conditions that are there, each by itself. */
static size_t ref_conditions(const struct model *model, const struct access_match *access,
                             const struct model_match *match, bool out[HEADERS + MAX_HEADERS + 1])
{
    const struct access_request *request = &model->request;
    size_t counts[HEADERS] = { access->peers.count, access->trust_domains.count, access->namespaces.count,
                               access->methods.count, access->paths.count };
    struct view texts[HEADERS] = { request->peer_id, request->trust_domain, request->namespace_name, request->method,
                                   request->path };
    size_t count = 0;
    for (int list = 0; list < HEADERS; list++)
        if (counts[list] > 0)
            out[count++] = ref_list(match, list, counts[list], texts[list]);
    for (size_t i = 0; i < access->header_count; i++)
        out[count++] = ref_header(model, match, i);
    if (access->port_count > 0) {
        bool found = false;
        for (size_t i = 0; i < access->port_count; i++)
            found = found || (access->ports[i] != 0 && access->ports[i] == request->port);
        out[count++] = found;
    }
    return count;
}

static bool ref_applies(const struct model *model, size_t rule)
{
    bool whens[HEADERS + MAX_HEADERS + 1], unlesses[HEADERS + MAX_HEADERS + 1], applies = true;
    size_t when = ref_conditions(model, &model->rules[rule].when, &model->whens[rule], whens);
    size_t unless = ref_conditions(model, &model->rules[rule].unless, &model->unlesses[rule], unlesses);
    for (size_t i = 0; i < when; i++)
        applies = applies && whens[i];
    for (size_t i = 0; i < unless; i++)
        applies = applies && !unlesses[i];
    return applies;
}

enum model_verdict {
    DENIED_BY_RULE,
    ALLOWED_AS_NO_RULE_ALLOWS,
    ALLOWED_BY_RULE,
    DENIED_AS_NONE_ALLOWS,
    MODEL_VERDICTS
};

/* "If there are any deny policies that match the request, deny it. If there are no allow policies, allow it. If any of
 * the allow policies match, allow it. Deny it." */
static enum model_verdict ref_judge(const struct model *model, const char **name)
{
    size_t allows = 0;
    *name = NULL;
    for (size_t i = 0; i < model->policy.rule_count; i++) {
        *name = model->names[i];
        if (model->rules[i].action == ACCESS_DENY && ref_applies(model, i))
            return DENIED_BY_RULE;
        allows += model->rules[i].action == ACCESS_ALLOW;
    }
    for (size_t i = 0; i < model->policy.rule_count; i++) {
        *name = model->names[i];
        if (model->rules[i].action == ACCESS_ALLOW && ref_applies(model, i))
            return ALLOWED_BY_RULE;
    }
    *name = NULL;
    return allows == 0 ? ALLOWED_AS_NO_RULE_ALLOWS : DENIED_AS_NONE_ALLOWS;
}

/* Draws a policy and a request, has both sides judge, and gives the verdict. */
static enum model_verdict model_run(const uint8_t *data, size_t size)
{
    static struct model model;
    struct model_bytes bytes = { data, size, 0 };
    const char *name;
    model_make(&bytes, &model);
    enum model_verdict verdict = ref_judge(&model, &name);
    bool denied = verdict == DENIED_BY_RULE || verdict == DENIED_AS_NONE_ALLOWS;
    struct access_decision decision = mesh__authorize(&model.policy, &model.request);
    MODEL_CHECK(decision.would_deny == denied);
    MODEL_CHECK(decision.allowed == (model.policy.dry_run || !denied));
    MODEL_CHECK(decision.rule == name);
    return verdict;
}

#endif
