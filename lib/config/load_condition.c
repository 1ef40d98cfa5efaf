/* SPDX-License-Identifier: Apache-2.0 */
/* load_condition.c - the conditions of a rule: lists of texts, header fields, ports.
 *
 * A text that no request or peer can have is refused. */
#include "config/load.h"

#include "wire/http1_check.h"

#include <cjson/cJSON.h>
#include <stdint.h>

/* Judges what is around the star of one alternative; reports what is wrong. */
typedef void check_function(struct loader *loader, const cJSON *value, const struct text_match *match);

/* A list of texts. */
struct texts {
    const char *of; /* as messages name them */
    bool stars;     /* "x*", "*x" and "*" are more than exact texts */
    check_function *check;
};

/* A bundle is missing for peers of the trust domain: no such peer gets as far as the rules. */
static void check_bundle(struct loader *loader, const cJSON *value, struct view domain)
{
    if (mesh__load_lacks_bundle(loader, domain))
        LOAD_WARNING(loader, value, "has no effect: identity.trust has no bundle for trust domain \"%.*s\"",
                     (int)domain.size, domain.data);
}

static void check_peer(struct loader *loader, const cJSON *value, const struct text_match *match)
{
    struct view text = match->text;
    struct spiffe_id id;
    if (match->kind == TEXT_SUFFIX || match->kind == TEXT_ANY)
        return;
    bool slash = match->kind == TEXT_PREFIX && text.size > 0 && text.data[text.size - 1] == '/';
    const char *wrong = mesh__spiffe_parse(mesh__view(text.data, text.size - slash), &id);
    if (wrong != NULL)
        LOAD_ERROR(loader, value, "%s is no SPIFFE id: %s", QUOTE(loader, value), wrong);
    else if (match->kind == TEXT_PREFIX && id.path.size == 0 && !slash)
        LOAD_ERROR(loader, value, "%s matches other trust domains too, expected \"%.*s/*\"", QUOTE(loader, value),
                   (int)text.size, text.data);
    else if (match->kind == TEXT_EXACT && id.path.size == 0)
        LOAD_ERROR(loader, value, "%s is a trust domain's own id, which no peer has, expected a path behind it",
                   QUOTE(loader, value));
    else
        check_bundle(loader, value, id.trust_domain);
}

static void check_trust_domain(struct loader *loader, const cJSON *value, const struct text_match *match)
{
    const char *wrong = mesh__spiffe_check_domain(match->text);
    if (wrong != NULL)
        LOAD_ERROR(loader, value, "%s is no trust domain: %s", QUOTE(loader, value), wrong);
    else
        check_bundle(loader, value, match->text);
}

static void check_namespace(struct loader *loader, const cJSON *value, const struct text_match *match)
{
    for (size_t i = 0; i < match->text.size; i++) {
        char c = match->text.data[i], lower = mesh__ascii_lower(c);
        if ((lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_')
            continue;
        LOAD_ERROR(loader, value, "%s is no namespace, expected letters, digits, dots, hyphens or underscores",
                   QUOTE(loader, value));
        return;
    }
}

static void check_method(struct loader *loader, const cJSON *value, const struct text_match *match)
{
    bool lower = false;
    for (size_t i = 0; i < match->text.size; i++)
        lower = lower || (match->text.data[i] >= 'a' && match->text.data[i] <= 'z');
    if (match->kind != TEXT_ANY && !mesh__http1_token(match->text))
        LOAD_ERROR(loader, value, "%s is no method, expected one such as \"GET\"", QUOTE(loader, value));
    else if (lower)
        LOAD_WARNING(loader, value, "%s is in lower case, and methods are compared with their case",
                     QUOTE(loader, value));
}

/* Whether a path has it once slashes are merged and dot segments resolved; the last segment of a prefix may go on. */
static bool is_resolved(const struct text_match *match)
{
    struct view rest = match->text;
    for (bool first = true; rest.size > 0; first = false) {
        const char *slash = memchr(rest.data, '/', rest.size);
        struct view segment = mesh__view(rest.data, slash ? (size_t)(slash - rest.data) : rest.size);
        bool dots = mesh__view_equal(segment, VIEW_LITERAL(".")) || mesh__view_equal(segment, VIEW_LITERAL(".."));
        bool whole = slash ? !first : match->kind != TEXT_PREFIX && (!first || match->kind == TEXT_EXACT);
        if (whole && (dots || segment.size == 0))
            return false;
        size_t used = segment.size + (slash ? 1 : 0);
        rest = mesh__view(rest.data + used, rest.size - used);
    }
    return true;
}

static void check_path(struct loader *loader, const cJSON *value, const struct text_match *match)
{
    struct view text = match->text;
    if ((match->kind == TEXT_EXACT || match->kind == TEXT_PREFIX) && text.data[0] != '/')
        LOAD_ERROR(loader, value, "%s does not begin with a slash, as every path does, expected one",
                   QUOTE(loader, value));
    else if (memchr(text.data, '?', text.size) != NULL)
        LOAD_ERROR(loader, value, "%s has a query, which is not compared, expected the path alone",
                   QUOTE(loader, value));
    else if (!is_resolved(match))
        LOAD_ERROR(loader, value, "%s has an empty segment or one of dots, expected the path without",
                   QUOTE(loader, value));
}

static void check_header_value(struct loader *loader, const cJSON *value, const struct text_match *match)
{
    if (!mesh__http1_text(match->text))
        LOAD_ERROR(loader, value, "%s is no value of a header field, expected no control characters",
                   QUOTE(loader, value));
}

static const struct texts conditions[KIND_COUNT_] = {
    [KIND_RULE_PEERS] = { "SPIFFE ids such as \"spiffe://shop/order\"", true, check_peer },
    [KIND_TRUST_DOMAINS] = { "trust domains", false, check_trust_domain },
    [KIND_NAMESPACES] = { "namespaces", false, check_namespace },
    [KIND_METHODS] = { "methods such as \"GET\"", true, check_method },
    [KIND_PATHS] = { "paths such as \"/charge\"", true, check_path },
    [KIND_RULE_HEADERS] = { "texts", true, check_header_value },
};

/* One alternative. */
static void load_text(struct loader *loader, enum field_kind kind, const cJSON *value, struct text_match *out)
{
    const struct texts *about = &conditions[kind];
    const char *string = mesh__load_string(loader, value, "a text");
    if (string == NULL)
        return;
    struct view text = { NULL, strlen(string) };
    text.data = mesh__config_arena_copy(loader->arena, string, text.size);
    if (text.data == NULL)
        return;
    *out = (struct text_match){ TEXT_EXACT, text };
    const char *wrong = NULL;
    if (text.size == 0)
        wrong = "it is empty and would match nothing";
    else if (about->stars)
        wrong = mesh__text_parse(text, kind == KIND_PATHS, out);
    if (wrong == NULL)
        about->check(loader, value, out);
    else
        LOAD_ERROR(loader, value, "%s is no text to match: %s", QUOTE(loader, value), wrong);
}

static void load_texts(struct loader *loader, enum field_kind kind, const cJSON *value, struct text_matches *out)
{
    size_t size = mesh__load_list(loader, value, conditions[kind].of);
    struct text_match *list = mesh__config_arena_alloc(loader->arena, size * sizeof(*list));
    if (size == 0 || list == NULL)
        return;
    for (const cJSON *item = value->child; item != NULL; item = item->next)
        load_text(loader, kind, item, &list[out->count++]);
    out->list = list;
}

void mesh__load_matches(struct loader *loader, const struct field *field, const cJSON *value, void *base)
{
    struct text_matches *out = (void *)((char *)base + field->offset);
    load_texts(loader, field->kind, value, out);
}

/* The name in lower case; NULL when memory is out. Reports what is no name. */
static const char *load_header_name(struct loader *loader, const cJSON *value)
{
    size_t size = strlen(value->string);
    char *name = mesh__config_arena_copy(loader->arena, value->string, size);
    if (!mesh__http1_token(mesh__view(value->string, size)))
        mesh__problem_at_key(loader->problems, value, "this is no name of a header field, expected one such as \"%s\"",
                             "x-team");
    for (size_t i = 0; name != NULL && i < size; i++)
        name[i] = mesh__ascii_lower(name[i]);
    return name;
}

static void load_header(struct loader *loader, const cJSON *value, const struct access_match *before,
                        struct header_condition *out)
{
    out->name = mesh__view_of(load_header_name(loader, value));
    for (size_t i = 0; i < before->header_count; i++)
        if (mesh__view_equal(before->headers[i].name, out->name))
            mesh__problem_at_key(loader->problems, value, "this header field is named twice, expected it once");
    if (cJSON_IsArray(value)) {
        load_texts(loader, KIND_RULE_HEADERS, value, &out->values);
        return;
    }
    struct text_match *one = mesh__config_arena_alloc(loader->arena, sizeof(*one));
    if (one == NULL)
        return;
    load_text(loader, KIND_RULE_HEADERS, value, one);
    out->values = (struct text_matches){ one, 1 };
}

void mesh__load_rule_headers(struct loader *loader, const struct field *field, const cJSON *value, void *base)
{
    struct access_match *match = (void *)((char *)base + field->offset);
    if (!cJSON_IsObject(value)) {
        LOAD_ERROR(loader, value, "%s is no object, expected one of names and values", QUOTE(loader, value));
        return;
    }
    if (value->child == NULL) {
        LOAD_ERROR(loader, value, "the object is empty, expected at least one header field");
        return;
    }
    size_t size = (size_t)cJSON_GetArraySize(value);
    struct header_condition *headers = mesh__config_arena_alloc(loader->arena, size * sizeof(*headers));
    if (headers == NULL)
        return;
    match->headers = headers;
    for (const cJSON *member = value->child; member != NULL; member = member->next) {
        load_header(loader, member, match, &headers[match->header_count]);
        match->header_count++;
    }
}

void mesh__load_ports(struct loader *loader, const struct field *field, const cJSON *value, void *base)
{
    struct access_match *match = (void *)((char *)base + field->offset);
    size_t size = mesh__load_list(loader, value, "ports");
    uint16_t *ports = mesh__config_arena_alloc(loader->arena, size * sizeof(*ports));
    if (size == 0 || ports == NULL)
        return;
    for (const cJSON *item = value->child; item != NULL; item = item->next) {
        double port = cJSON_IsNumber(item) ? item->valuedouble : 0;
        if (port >= 1 && port <= UINT16_MAX && port - (uint16_t)port == 0)
            ports[match->port_count++] = (uint16_t)port;
        else
            LOAD_ERROR(loader, item, "%s is no port, expected 1 to %d", QUOTE(loader, item), UINT16_MAX);
    }
    match->ports = ports;
}
