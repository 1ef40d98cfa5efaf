/* SPDX-License-Identifier: Apache-2.0 */
/* load_access.c - policies and their rules; what the conditions of a rule hold is in load_condition.c. */
#include "config/load.h"

#include "base/map.h"

#include <cjson/cJSON.h>
#include <stdint.h>

#define RULE_NAME_MAX_BYTES 100

/* Whether the member is there at all; what is wrong with it has been reported. */
static bool has(const cJSON *object, enum field_id id)
{
    return cJSON_GetObjectItemCaseSensitive(object, mesh__fields[id].key) != NULL;
}

/* A service's own keys go over those of the defaults. */
void mesh__load_authorize(struct loader *loader, const struct field *field, const cJSON *value, void *base)
{
    const struct access_policy *inherited;
    struct access_policy *policy = mesh__config_arena_alloc(loader->arena, sizeof(*policy));
    if (policy == NULL)
        return;
    memcpy(&inherited, (char *)base + field->offset, sizeof(inherited));
    mesh__fields_default(field->nested, policy);
    if (inherited != NULL)
        *policy = *inherited;
    const cJSON **source = loader->source;
    loader->source = NULL; /* the fields of a rule are not those of the service */
    loader->of_connections = field->object == OBJECT_SERVICE;
    mesh__load_object(loader, field->nested, value, policy);
    loader->of_connections = false;
    loader->source = source;
    if (cJSON_IsObject(value) && !loader->in_defaults && policy->rule_count == 0 && !has(value, F_AUTHORIZE_rules))
        LOAD_ERROR(loader, value, "there are no rules, expected \"rules\"");
    memcpy((char *)base + field->offset, &policy, sizeof(policy));
}

/* Each rule is reported by its name alone. */
static void check_name(struct loader *loader, struct map *seen, const cJSON *value, struct access_rule *rule)
{
    struct view name = mesh__view_of(rule->name);
    const cJSON *at = cJSON_GetObjectItemCaseSensitive(value, mesh__fields[F_RULE_name].key);
    if (mesh__map_get(seen, name) != NULL)
        LOAD_ERROR(loader, at ? at : value, "another rule is called \"%s\" too, expected a name of its own",
                   rule->name);
    else if (!mesh__map_set(seen, name, rule))
        loader->arena->failed = true;
}

void mesh__load_rules(struct loader *loader, const struct field *field, const cJSON *value, void *base)
{
    (void)field;
    struct access_policy *policy = base;
    size_t size = mesh__load_list(loader, value, "rules");
    struct access_rule *rules = mesh__config_arena_alloc(loader->arena, size * sizeof(*rules));
    if (size == 0 || rules == NULL)
        return;
    policy->rules = rules;
    policy->rule_count = 0;
    struct map seen;
    mesh__map_init(&seen, loader->arena->mem);
    for (const cJSON *item = value->child; item != NULL; item = item->next) {
        struct access_rule *rule = &rules[policy->rule_count++];
        mesh__fields_default(OBJECT_RULE, rule);
        mesh__load_object(loader, OBJECT_RULE, item, rule);
        if (rule->name == NULL)
            rule->name = mesh__config_arena_printf(loader->arena, "rule %zu", policy->rule_count);
        if (rule->name != NULL)
            check_name(loader, &seen, item, rule);
    }
    mesh__map_fini(&seen);
}

void mesh__load_rule_name(struct loader *loader, const struct field *field, const cJSON *value, void *base)
{
    (void)field;
    struct access_rule *rule = base;
    const char *text = mesh__load_string(loader, value, "a name");
    if (text == NULL)
        return;
    size_t size = strlen(text), printable = 0;
    while (printable < size && (unsigned char)text[printable] >= ' ' && text[printable] != 0x7f)
        printable++;
    if (size > 0 && size <= RULE_NAME_MAX_BYTES && printable == size)
        rule->name = mesh__config_arena_copy(loader->arena, text, size);
    else
        LOAD_ERROR(loader, value, "%s is no name of a rule, expected 1 to %d bytes without control characters",
                   QUOTE(loader, value), RULE_NAME_MAX_BYTES);
}

void mesh__load_unless(struct loader *loader, const struct field *field, const cJSON *value, void *base)
{
    (void)field;
    if (cJSON_IsObject(value) && value->child == NULL)
        LOAD_ERROR(loader, value, "the object is empty, expected at least one condition");
    else
        mesh__load_object(loader, OBJECT_UNLESS, value, base);
}
