/* SPDX-License-Identifier: Apache-2.0 */
/* schema.c - the table as a JSON Schema. The schema accepts no less than the loader does; what it cannot say (that the
 * values agree with each other, that an endpoint is listed once) is the loader's. */
#include "config/schema.h"

#include "config/fields.h"

#define NAME_PATTERN "^[A-Za-z0-9._-]{1,63}$"
#define DURATION_PATTERN "[0-9]+(\\\\.[0-9]+)?(ns|us|ms|s|m|h)"
#define SIZE_PATTERN "^[0-9]+(\\\\.[0-9]+)?(B|[KMG]i?B)$"
#define ADDRESS_PATTERN "^([0-9.]+:[0-9]+|\\\\[[0-9A-Fa-f:.]+(%[0-9]+)?\\\\]:[0-9]+|unix:/.+)$"

struct writer {
    struct buf *out;
    int depth;
    bool first; /* nothing was written into the innermost object or array yet */
    bool in_defaults;
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

static void write_default(struct writer *w, const struct field *field)
{
    struct view rest = mesh__view_of(field->fallback);
    if (field->fallback == NULL)
        return;
    if (field->kind == KIND_RETRY_ON) {
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
    case KIND_DURATION:
        raw(w, "type", "\"string\"");
        raw(w, "pattern", "\"^" DURATION_PATTERN "$\"");
        break;
    case KIND_DURATION_OR_NONE:
        raw(w, "type", "\"string\"");
        raw(w, "pattern", "\"^(none|" DURATION_PATTERN ")$\"");
        break;
    case KIND_SIZE:
        raw(w, "type", "\"string\"");
        raw(w, "pattern", "\"" SIZE_PATTERN "\"");
        break;
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
    case KIND_ADDRESS:
        raw(w, "type", "\"string\"");
        raw(w, "pattern", "\"" ADDRESS_PATTERN "\"");
        break;
    case KIND_HOST_PORT:
        raw(w, "type", "\"string\"");
        raw(w, "pattern", "\"^[A-Za-z0-9._-]+:[0-9]+$\"");
        break;
    case KIND_HEADERS:
        raw(w, "type", "\"object\"");
        raw(w, "maxProperties", "100");
        raw(w, "additionalProperties", "{ \"type\": \"string\" }");
        break;
    case KIND_RETRY_ON:
        write_retry_on(w, field);
        break;
    case KIND_DNS_SERVERS:
        raw(w, "type", "\"array\"");
        raw(w, "minItems", "1");
        raw(w, "items", "{ \"type\": \"string\" }");
        break;
    case KIND_REFUSED:
        raw(w, "not", "{}");
        break;
    case KIND_TEXT:
    case KIND_PATH:
    case KIND_AUTHORITY:
    case KIND_COUNT_:
        raw(w, "type", "\"string\"");
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
    write_type(w, field);
    close(w, '}');
}

static void write_object(struct writer *w, enum object_id object)
{
    raw(w, "type", "\"object\"");
    raw(w, "additionalProperties", "false");
    open(w, "properties", '{');
    for (size_t i = 0; i < FIELD_COUNT; i++)
        if (mesh__fields[i].object == object && !(w->in_defaults && mesh__fields[i].flags & FIELD_NOT_IN_DEFAULTS))
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
