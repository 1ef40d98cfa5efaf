/* SPDX-License-Identifier: Apache-2.0 */
/* json_in.c - walks over JSON without building anything. The text comes from the library and is well formed; one that
 * is not ends the walk early, never outside of the text. */
#include "json_in.h"

#include <stdlib.h>
#include <string.h>

static const char *skip_blanks(const char *at)
{
    return at + strspn(at, " \t\r\n");
}

/* Behind the string that begins at `at`. */
static const char *skip_string(const char *at)
{
    for (at++; *at && *at != '"'; at++)
        if (*at == '\\' && at[1])
            at++;
    return *at ? at + 1 : at;
}

/* Behind the value that begins at `at`. */
static const char *skip_value(const char *at)
{
    size_t depth = 0;
    do {
        if (*at == '"') {
            at = skip_string(at);
        } else if (*at == '{' || *at == '[') {
            depth++;
            at++;
        } else if (*at == '}' || *at == ']') {
            depth--;
            at++;
        } else if (depth > 0) {
            at++;
        } else {
            return at + strcspn(at, ",]} \t\r\n");
        }
    } while (*at && depth > 0);
    return at;
}

static struct json value_at(const char *at)
{
    at = skip_blanks(at);
    struct json value = { at, skip_value(at) };
    return value.end > value.at ? value : (struct json){ NULL, NULL };
}

struct json json_whole(const char *text)
{
    return text ? value_at(text) : (struct json){ NULL, NULL };
}

/* The first thing inside of an object or array, or behind the comma that follows `after`; NULL at its end. */
static const char *inside(struct json outer, const char *after)
{
    const char *at = skip_blanks(after ? after : outer.at + 1);
    if (after && *at == ',')
        at = skip_blanks(at + 1);
    return at < outer.end - 1 ? at : NULL;
}

struct json json_member(struct json object, const char *name)
{
    struct json none = { NULL, NULL };
    if (object.at == NULL || *object.at != '{')
        return none;
    for (const char *at = inside(object, NULL); at && *at == '"';) {
        const char *end = skip_string(at), *colon = skip_blanks(end);
        if (*colon != ':')
            return none;
        struct json value = value_at(colon + 1);
        if (value.at == NULL)
            return none;
        if ((size_t)(end - at) == strlen(name) + 2 && memcmp(at + 1, name, strlen(name)) == 0)
            return value;
        at = inside(object, value.end);
    }
    return none;
}

bool json_next(struct json array, struct json *element)
{
    if (array.at == NULL || *array.at != '[')
        return false;
    const char *at = inside(array, element->at ? element->end : NULL);
    *element = at ? value_at(at) : (struct json){ NULL, NULL };
    return element->at != NULL;
}

const char *json_text(struct json value, char *room, size_t size, const char *otherwise)
{
    if (value.at == NULL || *value.at != '"' || size == 0)
        return otherwise;
    size_t count = 0;
    for (const char *at = value.at + 1; at < value.end - 1 && count + 1 < size; at++) {
        if (*at != '\\') {
            room[count++] = *at;
        } else if (*++at == 'u') {
            at += 4; /* a control character */
            room[count++] = ' ';
        } else {
            room[count++] = strchr("bfnrt", *at) ? ' ' : *at;
        }
    }
    room[count] = '\0';
    return room;
}

double json_number(struct json value, double otherwise)
{
    return value.at && strchr("-0123456789", *value.at) ? strtod(value.at, NULL) : otherwise;
}

bool json_is_true(struct json value)
{
    return value.at && value.end - value.at == 4 && memcmp(value.at, "true", 4) == 0;
}
