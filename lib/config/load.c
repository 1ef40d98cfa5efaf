/* SPDX-License-Identifier: Apache-2.0 */
/* load.c - objects, and the values of one number, word or switch. */
#include "config/load.h"

#include "config/nearest.h"

#include <cjson/cJSON.h>
#include <stdint.h>

#define NOT_BUILT "%s: not in this version of Meshcall yet"

const char *mesh__load_string(struct loader *loader, const cJSON *value, const char *expected)
{
    if (cJSON_IsString(value))
        return value->valuestring;
    LOAD_ERROR(loader, value, "%s is no string, expected %s", QUOTE(loader, value), expected);
    return NULL;
}

/* Too small or too large for any field, whole or not. */
static bool is_far(const cJSON *value)
{
    return cJSON_IsNumber(value) && !(value->valuedouble >= 0 && value->valuedouble < 9007199254740992.0);
}

/* The text of a string, a switch or a whole number as mesh__field_scalar() takes it; false when the value has none. */
static bool scalar_of(const struct field *field, const cJSON *value, uint64_t *out)
{
    bool number = field->kind == KIND_COUNT || field->kind == KIND_COUNT_OR_UNLIMITED;
    if (field->kind == KIND_BOOL) {
        *out = cJSON_IsTrue(value) ? 1 : 0;
        return cJSON_IsBool(value);
    }
    if (number && cJSON_IsNumber(value)) {
        double d = value->valuedouble;
        if (is_far(value))
            return false;
        *out = (uint64_t)d;
        return (double)*out - d == 0;
    }
    if (!cJSON_IsString(value) || field->kind == KIND_COUNT)
        return false;
    if (number && strcmp(value->valuestring, "unlimited") != 0)
        return false;
    return mesh__field_scalar(field, mesh__view_of(value->valuestring), out);
}

static bool in_range(const struct field *field, const cJSON *value, uint64_t scalar)
{
    uint64_t low, high;
    if (cJSON_IsString(value) && mesh__view_equal(mesh__view_of(value->valuestring), VIEW_LITERAL("none")))
        return true;
    if (cJSON_IsString(value) && mesh__view_equal(mesh__view_of(value->valuestring), VIEW_LITERAL("unlimited")))
        return true;
    return field->low == NULL || (mesh__field_scalar(field, mesh__view_of(field->low), &low) && scalar >= low &&
                                  mesh__field_scalar(field, mesh__view_of(field->high), &high) && scalar <= high);
}

static void report_scalar(struct loader *loader, const struct field *field, const cJSON *value, bool range)
{
    const char *quoted = QUOTE(loader, value), *low = field->low, *high = field->high;
    const char *also = field->kind == KIND_DURATION_OR_NONE     ? " or \"none\""
                       : field->kind == KIND_COUNT_OR_UNLIMITED ? " or \"unlimited\""
                                                                : "";
    if (field->kind == KIND_BOOL)
        LOAD_ERROR(loader, value, "%s is neither true nor false, expected one of them", quoted);
    else if (field->kind == KIND_COUNT || field->kind == KIND_COUNT_OR_UNLIMITED)
        LOAD_ERROR(loader, value, "%s is %s, expected %s to %s%s", quoted,
                   range || is_far(value) ? "out of range" : "no whole number", low, high, also);
    else if (range)
        LOAD_ERROR(loader, value, "%s is out of range, expected \"%s\" to \"%s\"%s", quoted, low, high, also);
    else if (field->kind == KIND_SIZE)
        LOAD_ERROR(loader, value, "%s is no size, expected a string such as \"64KiB\" or \"8MiB\"", quoted);
    else
        LOAD_ERROR(loader, value, "%s is no duration, expected a string such as \"250ms\" or \"10s\"%s", quoted, also);
}

static void load_scalar(struct loader *loader, const struct field *field, const cJSON *value, void *base)
{
    uint64_t scalar;
    bool understood = scalar_of(field, value, &scalar);
    if (understood && in_range(field, value, scalar))
        mesh__field_store(field, base, scalar);
    else
        report_scalar(loader, field, value, understood);
}

static void load_ratio(struct loader *loader, const struct field *field, const cJSON *value, void *base)
{
    double low, high;
    if (mesh__scan_number(mesh__view_of(field->low), &low) && mesh__scan_number(mesh__view_of(field->high), &high) &&
        cJSON_IsNumber(value) && value->valuedouble >= low && value->valuedouble <= high)
        memcpy((char *)base + field->offset, &value->valuedouble, sizeof(double));
    else
        LOAD_ERROR(loader, value, "%s is %s, expected a number from %s to %s", QUOTE(loader, value),
                   cJSON_IsNumber(value) ? "out of range" : "no number", field->low, field->high);
}

/* Words as a message lists them: "a", "b" or "c". */
static const char *list_words(struct loader *loader, const struct word *words)
{
    const char *list = "";
    for (; words->text != NULL && list != NULL; words++) {
        if (words->refused)
            continue;
        const char *separator = *list == '\0' ? "" : words[1].text == NULL || words[1].refused ? " or " : ", ";
        list = mesh__config_arena_printf(loader->problems->arena, "%s%s\"%s\"", list, separator, words->text);
    }
    return list ? list : "";
}

static void load_word(struct loader *loader, const struct field *field, const cJSON *value, void *base)
{
    /* A feature that is chosen by an object, as {"spin": ..}, is a word of the list too. */
    const char *text = cJSON_IsString(value)                   ? value->valuestring
                       : cJSON_IsObject(value) && value->child ? value->child->string
                                                               : NULL;
    const struct word *word = text ? mesh__word_find(field->words, mesh__view_of(text)) : NULL;
    if (word != NULL && word->refused) {
        LOAD_ERROR(loader, value, NOT_BUILT, text);
        return;
    }
    if (word != NULL && cJSON_IsString(value)) {
        mesh__field_store(field, base, word->value);
        return;
    }
    struct nearest nearest = { cJSON_IsString(value) ? text : "", NULL, 0 };
    for (word = field->words; word->text != NULL; word++)
        mesh__nearest_offer(&nearest, word->text);
    const char *list = list_words(loader, field->words);
    if (nearest.best != NULL)
        LOAD_ERROR(loader, value, "%s is unknown, did you mean \"%s\"? Expected %s", QUOTE(loader, value), nearest.best,
                   list);
    else
        LOAD_ERROR(loader, value, "%s is unknown, expected %s", QUOTE(loader, value), list);
}

static void load_text(struct loader *loader, const struct field *field, const cJSON *value, void *base)
{
    (void)field;
    (void)base;
    (void)mesh__load_string(loader, value, "one");
}

static void load_nested(struct loader *loader, const struct field *field, const cJSON *value, void *base)
{
    mesh__load_object(loader, field->nested, value, base);
}

/* Objects of services and servers are built later, when "defaults" has been read. */
static void load_later(struct loader *loader, const struct field *field, const cJSON *value, void *base)
{
    if (cJSON_IsObject(value))
        memcpy((char *)base + field->offset, &value, sizeof(value));
    else
        LOAD_ERROR(loader, value, "%s is no object, expected one", QUOTE(loader, value));
}

static void load_refused(struct loader *loader, const struct field *field, const cJSON *value, void *base)
{
    (void)base;
    mesh__problem_at_key(loader->problems, value, NOT_BUILT, field->key);
}

static load_function *const load_functions[KIND_COUNT_] = {
    [KIND_DURATION] = load_scalar,
    [KIND_DURATION_OR_NONE] = load_scalar,
    [KIND_SIZE] = load_scalar,
    [KIND_COUNT] = load_scalar,
    [KIND_COUNT_OR_UNLIMITED] = load_scalar,
    [KIND_RATIO] = load_ratio,
    [KIND_BOOL] = load_scalar,
    [KIND_WORD] = load_word,
    [KIND_TEXT] = load_text,
    [KIND_OBJECT] = load_nested,
    [KIND_NAMED] = load_later,
    [KIND_DEFAULTS] = load_later,
    [KIND_ENDPOINTS] = mesh__load_endpoints,
    [KIND_ADDRESS] = mesh__load_address,
    [KIND_HOST_PORT] = mesh__load_host_port,
    [KIND_PATH] = mesh__load_path,
    [KIND_AUTHORITY] = mesh__load_authority,
    [KIND_HEADERS] = mesh__load_headers,
    [KIND_RETRY_ON] = mesh__load_retry_on,
    [KIND_DNS_SERVERS] = mesh__load_dns_servers,
    [KIND_TRUST] = mesh__load_trust,
    [KIND_PEERS] = mesh__load_peers,
    [KIND_PEER_NAME] = mesh__load_peer_name,
    [KIND_BUNDLE] = mesh__load_bundle,
    [KIND_SERVER_NAME] = mesh__load_server_name,
    [KIND_ALPN] = mesh__load_alpn,
    [KIND_AUTHORIZE] = mesh__load_authorize,
    [KIND_RULES] = mesh__load_rules,
    [KIND_RULE_NAME] = mesh__load_rule_name,
    [KIND_UNLESS] = mesh__load_unless,
    [KIND_RULE_PEERS] = mesh__load_matches,
    [KIND_TRUST_DOMAINS] = mesh__load_matches,
    [KIND_NAMESPACES] = mesh__load_matches,
    [KIND_METHODS] = mesh__load_matches,
    [KIND_PATHS] = mesh__load_matches,
    [KIND_RULE_HEADERS] = mesh__load_rule_headers,
    [KIND_PORTS] = mesh__load_ports,
    [KIND_REFUSED] = load_refused,
};

/* The keys that are known, as a message lists them. */
static const char *list_keys(struct loader *loader, enum object_id object)
{
    const char *list = "";
    for (size_t i = 0; i < FIELD_COUNT && list != NULL; i++) {
        const struct field *field = &mesh__fields[i];
        bool known =
            field->kind != KIND_REFUSED && mesh__field_is_for(field, loader->in_defaults, loader->of_connections);
        if (field->object == object && known)
            list = mesh__config_arena_printf(loader->problems->arena, "%s%s%s", list, *list ? ", " : "", field->key);
    }
    return list ? list : "";
}

static void report_unknown(struct loader *loader, enum object_id object, const cJSON *value)
{
    struct nearest nearest = { value->string, NULL, 0 };
    for (size_t i = 0; i < FIELD_COUNT; i++)
        if (mesh__fields[i].object == object)
            mesh__nearest_offer(&nearest, mesh__fields[i].key);
    if (nearest.best != NULL)
        mesh__problem_at_key(loader->problems, value, "unknown key, did you mean \"%s\"?", nearest.best);
    else
        mesh__problem_at_key(loader->problems, value, "unknown key, expected one of %s",
                             loader->problems->count < PROBLEMS_MAX ? list_keys(loader, object) : "");
}

static void load_member(struct loader *loader, enum object_id object, const cJSON *member, void *base)
{
    const struct field *field = mesh__field_find(object, member->string);
    if (field == NULL) {
        report_unknown(loader, object, member);
    } else if (loader->in_defaults && field->flags & FIELD_NOT_IN_DEFAULTS) {
        mesh__problem_at_key(loader->problems, member, "%s cannot be a default, expected it in a service", field->key);
    } else if (loader->of_connections && field->flags & FIELD_OF_REQUESTS) {
        mesh__problem_at_key(loader->problems, member,
                             "a service's rules are judged for connections, which have no %s, expected it in a server",
                             field->key);
    } else {
        if (loader->source != NULL)
            loader->source[field - mesh__fields] = member;
        load_functions[field->kind](loader, field, member, base);
    }
}

/* What a required field should be, for a message. */
static const char *wanted(struct loader *loader, const struct field *field)
{
    if (field->kind == KIND_WORD)
        return list_words(loader, field->words);
    return field->kind == KIND_TRUST ? "the file of at least one trust domain" : "an address";
}

void mesh__load_object(struct loader *loader, enum object_id object, const cJSON *value, void *base)
{
    if (!cJSON_IsObject(value)) {
        LOAD_ERROR(loader, value, "%s is no object, expected one", QUOTE(loader, value));
        return;
    }
    for (const cJSON *member = value->child; member != NULL; member = member->next)
        load_member(loader, object, member, base);
    for (size_t i = 0; i < FIELD_COUNT; i++)
        if (mesh__fields[i].object == object && mesh__fields[i].flags & FIELD_REQUIRED &&
            cJSON_GetObjectItemCaseSensitive(value, mesh__fields[i].key) == NULL)
            LOAD_ERROR(loader, value, "%s is missing, expected %s", mesh__fields[i].key,
                       wanted(loader, &mesh__fields[i]));
}
