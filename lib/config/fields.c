/* SPDX-License-Identifier: Apache-2.0 */
/* fields.c - the table, and how a field's text becomes its value. */
#include "config/fields.h"

#include "config/scan.h"
#include "config/units.h"

#include <stddef.h>

const struct word mesh__words_balancer[] = { { "peak-ewma", BALANCER_PEAK_EWMA, false },
                                             { "round-robin", BALANCER_ROUND_ROBIN, false },
                                             { "least-request", BALANCER_LEAST_REQUEST, false },
                                             { "weighted", 0, true },
                                             { "random", 0, true },
                                             { NULL, 0, false } };

const struct word mesh__words_protocol[] = { { "auto", PROTOCOL_AUTO, false },
                                             { "http1", PROTOCOL_HTTP1, false },
                                             { "http2", PROTOCOL_HTTP2, false },
                                             { NULL, 0, false } };

const struct word mesh__words_wait[] = {
    { "block", WAIT_BLOCK, false }, { "adaptive", 0, true }, { "spin", 0, true }, { NULL, 0, false }
};

const struct word mesh__words_retry[] = { { "connect-failure", RETRY_ON_CONNECT_FAILURE, false },
                                          { "refused", RETRY_ON_REFUSED, false },
                                          { "reset-before-request", RETRY_ON_RESET_BEFORE_REQUEST, false },
                                          { "reset", RETRY_ON_RESET, false },
                                          { "5xx", RETRY_ON_5XX, false },
                                          { "gateway-error", RETRY_ON_GATEWAY_ERROR, false },
                                          { "per-try-timeout", RETRY_ON_PER_TRY_TIMEOUT, false },
                                          { "cancelled", RETRY_ON_CANCELLED, false },
                                          { "deadline-exceeded", RETRY_ON_DEADLINE_EXCEEDED, false },
                                          { "internal", RETRY_ON_INTERNAL, false },
                                          { "resource-exhausted", RETRY_ON_RESOURCE_EXHAUSTED, false },
                                          { "unavailable", RETRY_ON_UNAVAILABLE, false },
                                          { NULL, 0, false } };

const struct word mesh__words_service_tls[] = { { "disable", TLS_MODE_DISABLE, false },
                                                { "simple", TLS_MODE_SIMPLE, false },
                                                { "mutual", TLS_MODE_MUTUAL, false },
                                                { NULL, 0, false } };

const struct word mesh__words_server_tls[] = { { "disable", TLS_MODE_DISABLE, false },
                                               { "simple", TLS_MODE_SIMPLE, false },
                                               { "mutual", TLS_MODE_MUTUAL, false },
                                               { "permissive", TLS_MODE_PERMISSIVE, false },
                                               { NULL, 0, false } };

const struct word mesh__words_verify[] = { { "spiffe", TLS_VERIFY_SPIFFE, false },
                                           { "name", TLS_VERIFY_NAME, false },
                                           { "none", TLS_VERIFY_NONE, false },
                                           { NULL, 0, false } };

const struct word mesh__words_action[] = { { "allow", ACCESS_ALLOW, false },
                                           { "deny", ACCESS_DENY, false },
                                           { NULL, 0, false } };

/* In parentheses, so that the comma stays inside while macros hand it on. */
#define AT(structure, member) (offsetof(struct structure, member), sizeof(((struct structure *)0)->member))
#define NOWHERE (0, 0)
#define OFFSET_AND_WIDTH(offset, width) offset, width
#define FIELD(object, id, key, kind, fallback, low, high, target, words, nested, flags, text)                          \
    { OBJECT_##object,         key,   KIND_##kind,     fallback, low, high,                                            \
      OFFSET_AND_WIDTH target, words, OBJECT_##nested, flags,    text },
const struct field mesh__fields[FIELD_COUNT] = {
#include "config/fields.def"
};

#define OBJECT(id, pointer, title, text) { pointer, title, text },
const struct object mesh__objects[OBJECT_COUNT] = {
#include "config/fields.def"
};

const struct field *mesh__field_find(enum object_id object, const char *key)
{
    for (size_t i = 0; i < FIELD_COUNT; i++)
        if (mesh__fields[i].object == object && strcmp(mesh__fields[i].key, key) == 0)
            return &mesh__fields[i];
    return NULL;
}

bool mesh__field_is_for(const struct field *field, bool in_defaults, bool of_connections)
{
    return !(in_defaults && field->flags & FIELD_NOT_IN_DEFAULTS) &&
           !(of_connections && field->flags & FIELD_OF_REQUESTS);
}

const struct word *mesh__word_find(const struct word *words, struct view text)
{
    for (; words->text != NULL; words++)
        if (mesh__view_equal(mesh__view_of(words->text), text))
            return words;
    return NULL;
}

const char *mesh__word_of(const struct word *words, uint32_t value)
{
    while (words->value != value || words->refused)
        words++;
    return words->text;
}

bool mesh__field_scalar(const struct field *field, struct view text, uint64_t *value)
{
    const struct word *word;
    *value = 0;
    switch (field->kind) {
    case KIND_DURATION_OR_NONE:
        return mesh__view_equal(text, VIEW_LITERAL("none")) || mesh__units_duration(text, value);
    case KIND_DURATION:
        return mesh__units_duration(text, value);
    case KIND_SIZE:
        return mesh__units_size(text, value);
    case KIND_COUNT_OR_UNLIMITED:
        *value = UINT32_MAX;
        return mesh__view_equal(text, VIEW_LITERAL("unlimited")) || mesh__units_count(text, value);
    case KIND_COUNT:
        return mesh__units_count(text, value);
    case KIND_BOOL:
        *value = mesh__view_equal(text, VIEW_LITERAL("true"));
        return *value == 1 || mesh__view_equal(text, VIEW_LITERAL("false"));
    case KIND_WORD:
        word = mesh__word_find(field->words, text);
        *value = word ? word->value : 0;
        return word != NULL && !word->refused;
    default:
        return false;
    }
}

void mesh__field_store(const struct field *field, void *base, uint64_t value)
{
    char *target = (char *)base + field->offset;
    uint8_t u8 = (uint8_t)value;
    uint32_t u32 = (uint32_t)value;
    if (field->width == sizeof(u8))
        memcpy(target, &u8, sizeof(u8));
    else if (field->width == sizeof(u32))
        memcpy(target, &u32, sizeof(u32));
    else if (field->width == sizeof(value))
        memcpy(target, &value, sizeof(value));
}

static void store_default_retry_on(const struct field *field, struct view text, struct retry_config *retry)
{
    while (text.size > 0) {
        const char *space = memchr(text.data, ' ', text.size);
        size_t size = space ? (size_t)(space - text.data) : text.size;
        const struct word *word = mesh__word_find(field->words, mesh__view(text.data, size));
        retry->on |= word ? word->value : 0;
        size += space ? 1 : 0;
        text = mesh__view(text.data + size, text.size - size);
    }
}

/* The default is one protocol: the table itself is the list. Without one it follows from the rest. */
static void store_default_alpn(const struct field *field, struct tls_settings *settings)
{
    if (field->fallback == NULL)
        return;
    settings->alpn = &field->fallback;
    settings->alpn_count = 1;
}

static void store_default(const struct field *field, void *base)
{
    uint64_t value;
    double ratio;
    struct view text = mesh__view_of(field->fallback);
    void *target = (char *)base + field->offset;
    if (field->kind == KIND_OBJECT) {
        mesh__fields_default(field->nested, base);
    } else if (field->kind == KIND_RETRY_ON) {
        store_default_retry_on(field, text, target);
    } else if (field->kind == KIND_ALPN) {
        store_default_alpn(field, target);
    } else if (field->kind == KIND_RATIO && mesh__scan_number(text, &ratio)) {
        memcpy(target, &ratio, sizeof(ratio));
    } else if (field->fallback != NULL && mesh__field_scalar(field, text, &value)) {
        mesh__field_store(field, base, value);
    }
}

void mesh__fields_default(enum object_id object, void *base)
{
    for (size_t i = 0; i < FIELD_COUNT; i++)
        if (mesh__fields[i].object == object)
            store_default(&mesh__fields[i], base);
}
