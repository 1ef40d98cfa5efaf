/* SPDX-License-Identifier: Apache-2.0 */
/* reference.c - the table as a page for people. */
#include "config/fields.h"
#include "config/schema.h"

static const char heading[] =
    "<!-- Made of lib/config/fields.def by tests/unit/config/generated_test, run with --write. -->\n"
    "# The configuration\n"
    "\n"
    "A configuration is one JSON document. It is read by `mesh_config_load()` and `mesh_client_open_file()`, or built "
    "by a\n"
    "program: everything that the document can say, `mesh_config_set_string()` and `mesh_config_set_json()` can say "
    "too, by\n"
    "the pointer of the value (RFC 6901), as `/services/payment/timeout`. A last token `-` appends to a list, and "
    "makes the\n"
    "list if there is none.\n"
    "\n"
    "- **Durations** are strings of a number and a unit: `ns`, `us`, `ms`, `s`, `m` or `h`, as `\"250ms\"` or "
    "`\"1.5s\"`.\n"
    "- **Sizes** are strings of a number and a unit: `B`, `KiB`, `MiB`, `GiB` (powers of 1024), `KB`, `MB` or `GB` "
    "(powers\n"
    "  of 1000).\n"
    "- What a program sets by `mesh_config_set_string()` is every string here; numbers, switches, lists and objects "
    "go\n"
    "  through `mesh_config_set_json()`.\n"
    "- Keys and words are compared with their case. An unknown key is an error, and so is one whose feature this "
    "version\n"
    "  does not have yet.\n"
    "- The text must be strict JSON (RFC 8259): UTF-8 without a byte order mark, no comments, no key twice in an "
    "object, at\n"
    "  most 64 levels and 16 MiB, no number that a double cannot hold without loss.\n"
    "- All that is wrong is told at once, a line each: `FILE:LINE:COLUMN: json: ...` where the text is not JSON, else\n"
    "  `FILE:LINE:COLUMN: config: POINTER: ...`. A value that a program set has no line and column.\n"
    "\n"
    "The JSON Schema of the document, for editors: [mesh.schema.json](../mesh.schema.json), or "
    "`mesh_config_schema()`.\n";

static void write_words(struct buf *out, const struct word *words)
{
    const char *separator = "";
    for (; words->text != NULL; words++) {
        if (!words->refused)
            mesh__buf_printf(out, "%s`\"%s\"`", separator, words->text);
        separator = ", ";
    }
}

static void write_not_built(struct buf *out, const struct word *words)
{
    const char *separator = " Not in this version yet: ";
    bool any = false;
    for (; words != NULL && words->text != NULL; words++) {
        if (!words->refused)
            continue;
        mesh__buf_printf(out, "%s`%s`", separator, words->text);
        separator = ", ";
        any = true;
    }
    if (any)
        mesh__buf_append_char(out, '.');
}

/* What is not here is a string. */
static const char *const types[KIND_COUNT_] = {
    [KIND_DURATION] = "duration",
    [KIND_DURATION_OR_NONE] = "duration",
    [KIND_SIZE] = "size",
    [KIND_COUNT] = "whole number",
    [KIND_COUNT_OR_UNLIMITED] = "whole number",
    [KIND_RATIO] = "number",
    [KIND_BOOL] = "`true` or `false`",
    [KIND_OBJECT] = "object",
    [KIND_DEFAULTS] = "object",
    [KIND_NAMED] = "object",
    [KIND_ENDPOINTS] = "list of addresses or objects",
    [KIND_RETRY_ON] = "list of words",
    [KIND_DNS_SERVERS] = "list of addresses",
    [KIND_HEADERS] = "object of strings",
    [KIND_ADDRESS] = "address",
    [KIND_TRUST] = "object of paths",
    [KIND_PEERS] = "list of SPIFFE ids",
    [KIND_ALPN] = "list of strings",
    [KIND_AUTHORIZE] = "object",
    [KIND_RULES] = "list of objects",
    [KIND_UNLESS] = "object",
    [KIND_RULE_PEERS] = "list of strings",
    [KIND_TRUST_DOMAINS] = "list of strings",
    [KIND_NAMESPACES] = "list of strings",
    [KIND_METHODS] = "list of strings",
    [KIND_PATHS] = "list of strings",
    [KIND_RULE_HEADERS] = "object of strings or lists of them",
    [KIND_PORTS] = "list of whole numbers, 1 to 65535",
};

static void write_type(struct buf *out, const struct field *field)
{
    if (field->kind == KIND_WORD) {
        write_words(out, field->words);
        return;
    }
    mesh__buf_append_text(out, types[field->kind] ? types[field->kind] : "string");
    if (field->low != NULL)
        mesh__buf_printf(out, ", %s to %s", field->low, field->high);
    if (field->kind == KIND_DURATION_OR_NONE)
        mesh__buf_append_text(out, ", or `\"none\"`");
    if (field->kind == KIND_COUNT_OR_UNLIMITED)
        mesh__buf_append_text(out, ", or `\"unlimited\"`");
    if (field->kind == KIND_RETRY_ON) {
        mesh__buf_append_text(out, ": ");
        write_words(out, field->words);
    }
}

static void write_default(struct buf *out, const struct field *field)
{
    bool bare = field->kind == KIND_COUNT || field->kind == KIND_RATIO || field->kind == KIND_BOOL;
    if (field->flags & FIELD_REQUIRED) {
        mesh__buf_append_text(out, "required");
    } else if (field->fallback == NULL) {
        mesh__buf_append_text(out, "");
    } else if (field->kind == KIND_RETRY_ON || field->kind == KIND_ALPN) {
        mesh__buf_append_text(out, "`\"");
        for (const char *at = field->fallback; *at != '\0'; at++)
            mesh__buf_append_text(out, *at == ' ' ? "\"`, `\"" : (const char[]){ *at, '\0' });
        mesh__buf_append_text(out, "\"`");
    } else {
        mesh__buf_printf(out, bare ? "`%s`" : "`\"%s\"`", field->fallback);
    }
}

static void write_field(struct buf *out, const struct field *field)
{
    if (field->kind == KIND_REFUSED) {
        mesh__buf_printf(out, "| `%s` | | | %s Not in this version yet. |\n", field->key, field->text);
        return;
    }
    mesh__buf_printf(out, "| `%s` | ", field->key);
    write_type(out, field);
    mesh__buf_append_text(out, " | ");
    write_default(out, field);
    mesh__buf_printf(out, " | %s", field->text);
    write_not_built(out, field->words);
    mesh__buf_append_text(out, " |\n");
}

bool mesh__config_write_reference(struct buf *out)
{
    mesh__buf_append_text(out, heading);
    for (size_t object = 0; object < OBJECT_COUNT; object++) {
        const struct object *about = &mesh__objects[object];
        mesh__buf_printf(out, "\n## %s", about->title);
        if (*about->pointer != '\0')
            mesh__buf_printf(out, ": `%s`", about->pointer);
        mesh__buf_printf(out, "\n\n%s%s", about->text, *about->text ? "\n\n" : "");
        mesh__buf_append_text(out, "| key | value | default | meaning |\n| --- | --- | --- | --- |\n");
        for (size_t i = 0; i < FIELD_COUNT; i++)
            if ((size_t)mesh__fields[i].object == object)
                write_field(out, &mesh__fields[i]);
    }
    return !out->failed;
}
