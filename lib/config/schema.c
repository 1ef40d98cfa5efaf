/* SPDX-License-Identifier: Apache-2.0 */
/* schema.c - the table as a JSON Schema. The schema accepts no less than the loader does; what it cannot say (that the
 * values agree with each other, that an endpoint is listed once) is the loader's. */
#include "config/schema.h"

#include "config/fields.h"

#define NAME_PATTERN "^[A-Za-z0-9._-]{1,63}$"
#define DOMAIN_PATTERN "^[a-z0-9._-]{1,255}$"
#define DURATION_PATTERN "[0-9]+(\\\\.[0-9]+)?(ns|us|ms|s|m|h)"
#define SIZE_PATTERN "^[0-9]+(\\\\.[0-9]+)?(B|[KMG]i?B)$"
#define ADDRESS_PATTERN "^([0-9.]+:[0-9]+|\\\\[[0-9A-Fa-f:.]+(%[0-9]+)?\\\\]:[0-9]+|unix:/.+)$"

/* Kinds whose values are strings of one form. */
static const char *const patterns[KIND_COUNT_] = {
    [KIND_DURATION] = "^" DURATION_PATTERN "$",
    [KIND_DURATION_OR_NONE] = "^(none|" DURATION_PATTERN ")$",
    [KIND_SIZE] = SIZE_PATTERN,
    [KIND_ADDRESS] = ADDRESS_PATTERN,
    [KIND_HOST_PORT] = "^[A-Za-z0-9._-]+:[0-9]+$",
    [KIND_PATH] = ".",
    [KIND_PEER_NAME] = "^([A-Za-z0-9._-]+|[0-9A-Fa-f:.]+)$",
    [KIND_SERVER_NAME] = "^[A-Za-z0-9._-]+$",
    [KIND_RULE_NAME] = ".",
};

#define TEXT_ITEM "{ \"type\": \"string\", \"minLength\": 1 }"
#define PEER_PATTERN "^spiffe://[a-z0-9._-]+(/[A-Za-z0-9._-]+)*(/[*])?$"

/* Kinds whose values are lists, as what is in them. But for ALPN they are not empty. */
static const char *const lists[KIND_COUNT_] = {
    [KIND_DNS_SERVERS] = "{ \"type\": \"string\" }",
    [KIND_PEERS] = "{ \"type\": \"string\", \"pattern\": \"" PEER_PATTERN "\" }",
    [KIND_ALPN] = "{ \"type\": \"string\", \"pattern\": \"^[!-~]{1,255}$\" }",
    [KIND_RULE_PEERS] = TEXT_ITEM,
    [KIND_TRUST_DOMAINS] = "{ \"type\": \"string\", \"pattern\": \"" DOMAIN_PATTERN "\" }",
    [KIND_NAMESPACES] = "{ \"type\": \"string\", \"pattern\": \"^[A-Za-z0-9._-]+$\" }",
    [KIND_METHODS] = TEXT_ITEM,
    [KIND_PATHS] = TEXT_ITEM,
    [KIND_PORTS] = "{ \"type\": \"integer\", \"minimum\": 1, \"maximum\": 65535 }",
};

struct writer {
    struct buf *out;
    int depth;
    bool first; /* nothing was written into the innermost object or array yet */
    bool in_defaults;
    bool of_connections; /* inside of the rules of a service */
};

static void write_object(struct writer *w, enum object_id object);

/* The start of a line: comma, indentation and the key (NULL in an array). */
static void start(struct writer *w, const char *key)
{
    if (w->depth > 0)
        mesh__buf_printf(w->out, "%s\n%*s", w->first ? "" : ",", 2 * w->depth, "");
    if (key != NULL)
        mesh__buf_printf(w->out, "\"%s\": ", key);
    w->first = false;
}

static void open(struct writer *w, const char *key, char bracket)
{
    start(w, key);
    mesh__buf_append_char(w->out, bracket);
    w->depth++;
    w->first = true;
}

static void close(struct writer *w, char bracket)
{
    w->depth--;
    if (!w->first)
        mesh__buf_printf(w->out, "\n%*s", 2 * w->depth, "");
    mesh__buf_append_char(w->out, bracket);
    w->first = false;
}

static void text(struct writer *w, const char *key, const char *value)
{
    start(w, key);
    mesh__buf_append_char(w->out, '"');
    mesh__buf_append_json(w->out, mesh__view_of(value));
    mesh__buf_append_char(w->out, '"');
}

/* JSON as it is. */
static void raw(struct writer *w, const char *key, const char *value)
{
    start(w, key);
    mesh__buf_append_text(w->out, value);
}

static void write_words(struct writer *w, const struct word *words)
{
    open(w, "enum", '[');
    for (; words->text != NULL; words++)
        if (!words->refused)
            text(w, NULL, words->text);
    close(w, ']');
}

static void write_range(struct writer *w, const char *type, const struct field *field)
{
    text(w, "type", type);
    raw(w, "minimum", field->low);
    raw(w, "maximum", field->high);
}

static void write_count_or_unlimited(struct writer *w, const struct field *field)
{
    open(w, "oneOf", '[');
    open(w, NULL, '{');
    write_range(w, "integer", field);
    close(w, '}');
    raw(w, NULL, "{ \"const\": \"unlimited\" }");
    close(w, ']');
}

static void write_endpoints(struct writer *w)
{
    raw(w, "type", "\"array\"");
    raw(w, "minItems", "1");
    open(w, "items", '{');
    open(w, "oneOf", '[');
    raw(w, NULL, "{ \"type\": \"string\", \"pattern\": \"" ADDRESS_PATTERN "\" }");
    open(w, NULL, '{');
    write_object(w, OBJECT_ENDPOINT);
    close(w, '}');
    close(w, ']');
    close(w, '}');
}

static void write_retry_on(struct writer *w, const struct field *field)
{
    raw(w, "type", "\"array\"");
    open(w, "items", '{');
    open(w, "oneOf", '[');
    open(w, NULL, '{');
    write_words(w, field->words);
    close(w, '}');
    raw(w, NULL, "{ \"type\": \"string\", \"pattern\": \"^[45][0-9][0-9]$\" }");
    close(w, ']');
    close(w, '}');
}

static void write_named(struct writer *w, const struct field *field)
{
    raw(w, "type", "\"object\"");
    raw(w, "propertyNames", "{ \"pattern\": \"" NAME_PATTERN "\" }");
    open(w, "additionalProperties", '{');
    write_object(w, field->nested);
    if (field->nested == OBJECT_SERVICE)
        raw(w, "oneOf", "[{ \"required\": [\"endpoints\"] }, { \"required\": [\"discover\"] }]");
    close(w, '}');
}

static void write_defaults(struct writer *w, const struct field *field)
{
    w->in_defaults = true;
    write_object(w, field->nested);
    w->in_defaults = false;
}

static void write_trust(struct writer *w)
{
    raw(w, "type", "\"object\"");
    raw(w, "minProperties", "1");
    raw(w, "propertyNames", "{ \"pattern\": \"" DOMAIN_PATTERN "\" }");
    raw(w, "additionalProperties", TEXT_ITEM);
}

static void write_rule_headers(struct writer *w)
{
    raw(w, "type", "\"object\"");
    raw(w, "minProperties", "1");
    open(w, "additionalProperties", '{');
    open(w, "oneOf", '[');
    raw(w, NULL, TEXT_ITEM);
    raw(w, NULL, "{ \"type\": \"array\", \"minItems\": 1, \"items\": " TEXT_ITEM " }");
    close(w, ']');
    close(w, '}');
}

static void write_pattern(struct writer *w, const char *pattern)
{
    start(w, "pattern");
    mesh__buf_printf(w->out, "\"%s\"", pattern);
}

static void write_list(struct writer *w, const struct field *field)
{
    raw(w, "type", "\"array\"");
    if (field->kind != KIND_ALPN)
        raw(w, "minItems", "1");
    raw(w, "items", lists[field->kind]);
}

/* Objects that are not built into what is around them. */
static void write_policy(struct writer *w, const struct field *field)
{
    switch (field->kind) {
    case KIND_AUTHORIZE:
        w->of_connections = field->object == OBJECT_SERVICE;
        write_object(w, field->nested);
        w->of_connections = false;
        break;
    case KIND_RULES:
        raw(w, "type", "\"array\"");
        raw(w, "minItems", "1");
        open(w, "items", '{');
        write_object(w, OBJECT_RULE);
        close(w, '}');
        break;
    default:
        raw(w, "minProperties", "1");
        write_object(w, OBJECT_UNLESS);
        break;
    }
}

static void write_default(struct writer *w, const struct field *field)
{
    struct view rest = mesh__view_of(field->fallback);
    if (field->fallback == NULL)
        return;
    if (field->kind == KIND_RETRY_ON || field->kind == KIND_ALPN) {
        raw(w, "default", "[\"");
        for (; rest.size > 0; rest = mesh__view(rest.data + 1, rest.size - 1))
            mesh__buf_append_text(w->out, *rest.data == ' ' ? "\", \"" : (const char[]){ *rest.data, '\0' });
        mesh__buf_append_text(w->out, "\"]");
    } else if (field->kind == KIND_COUNT || field->kind == KIND_RATIO || field->kind == KIND_BOOL) {
        raw(w, "default", field->fallback);
    } else {
        text(w, "default", field->fallback);
    }
}

static void write_type(struct writer *w, const struct field *field)
{
    switch (field->kind) {
    case KIND_COUNT:
        write_range(w, "integer", field);
        break;
    case KIND_COUNT_OR_UNLIMITED:
        write_count_or_unlimited(w, field);
        break;
    case KIND_RATIO:
        write_range(w, "number", field);
        break;
    case KIND_BOOL:
        raw(w, "type", "\"boolean\"");
        break;
    case KIND_WORD:
        write_words(w, field->words);
        break;
    case KIND_OBJECT:
        write_object(w, field->nested);
        break;
    case KIND_NAMED:
        write_named(w, field);
        break;
    case KIND_DEFAULTS:
        write_defaults(w, field);
        break;
    case KIND_ENDPOINTS:
        write_endpoints(w);
        break;
    case KIND_HEADERS:
        raw(w, "type", "\"object\"");
        raw(w, "maxProperties", "100");
        raw(w, "additionalProperties", "{ \"type\": \"string\" }");
        break;
    case KIND_RETRY_ON:
        write_retry_on(w, field);
        break;
    case KIND_TRUST:
        write_trust(w);
        break;
    case KIND_AUTHORIZE:
    case KIND_RULES:
    case KIND_UNLESS:
        write_policy(w, field);
        break;
    case KIND_RULE_HEADERS:
        write_rule_headers(w);
        break;
    case KIND_REFUSED:
        raw(w, "not", "{}");
        break;
    default:
        raw(w, "type", "\"string\"");
        if (patterns[field->kind] != NULL)
            write_pattern(w, patterns[field->kind]);
        break;
    }
}

static void write_field(struct writer *w, const struct field *field)
{
    open(w, field->key, '{');
    if (field->kind == KIND_REFUSED) {
        start(w, "description");
        mesh__buf_printf(w->out, "\"%s Not in this version of Meshcall yet.\"", field->text);
    } else {
        text(w, "description", field->text);
    }
    write_default(w, field);
    if (lists[field->kind] != NULL)
        write_list(w, field);
    else
        write_type(w, field);
    close(w, '}');
}

static void write_object(struct writer *w, enum object_id object)
{
    raw(w, "type", "\"object\"");
    raw(w, "additionalProperties", "false");
    open(w, "properties", '{');
    for (size_t i = 0; i < FIELD_COUNT; i++)
        if (mesh__fields[i].object == object && mesh__field_is_for(&mesh__fields[i], w->in_defaults, w->of_connections))
            write_field(w, &mesh__fields[i]);
    close(w, '}');
    bool any = false;
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        if (mesh__fields[i].object != object || !(mesh__fields[i].flags & FIELD_REQUIRED))
            continue;
        if (!any)
            open(w, "required", '[');
        any = true;
        text(w, NULL, mesh__fields[i].key);
    }
    if (any)
        close(w, ']');
    if (object == OBJECT_IDENTITY)
        raw(w, "dependencies", "{ \"certificate\": [\"key\"], \"key\": [\"certificate\"] }");
    if (object == OBJECT_AUTHORIZE && !w->of_connections) /* those of a service may come from the defaults */
        raw(w, "required", "[\"rules\"]");
    if (object == OBJECT_DISCOVER && !w->in_defaults)
        raw(w, "oneOf", "[{ \"required\": [\"dns\"] }, { \"required\": [\"file\"] }]");
}

bool mesh__config_write_schema(struct buf *out)
{
    struct writer w = { .out = out };
    open(&w, NULL, '{');
    text(&w, "$schema", "http://json-schema.org/draft-07/schema#");
    text(&w, "title", "Meshcall configuration");
    write_object(&w, OBJECT_TOP);
    close(&w, '}');
    return mesh__buf_append_char(out, '\n');
}
