/* SPDX-License-Identifier: Apache-2.0 */
/* trace_lists.c - tracestate (W3C trace context, level 2) and baggage: lists of members that are passed on or not. */
#include "wire/http1_check.h"
#include "wire/trace.h"

#define TRACESTATE_MEMBERS 32
#define TRACESTATE_KEY 256
#define TRACESTATE_VALUE 256
#define BAGGAGE_MEMBERS 64
#define BAGGAGE_SIZE 8192

/* Takes the text up to the next `separator` off `rest`, trimmed; false when nothing is left, not even an empty part. */
static bool next_part(struct view *rest, char separator, struct view *part)
{
    if (rest->data == NULL)
        return false;
    const char *end = rest->size > 0 ? memchr(rest->data, separator, rest->size) : NULL;
    size_t size = end != NULL ? (size_t)(end - rest->data) : rest->size;
    *part = mesh__view_trim(mesh__view(rest->data, size));
    *rest = end != NULL ? mesh__view(end + 1, rest->size - size - 1) : mesh__view(NULL, 0);
    return true;
}

/* Cuts "key=value" at the first '='. */
static bool cut_pair(struct view member, struct view *key, struct view *value)
{
    const char *equals = member.size > 0 ? memchr(member.data, '=', member.size) : NULL;
    if (equals == NULL)
        return false;
    *key = mesh__view(member.data, (size_t)(equals - member.data));
    *value = mesh__view(equals + 1, member.size - key->size - 1);
    return true;
}

static bool lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool tracestate_key(struct view key)
{
    if (key.size == 0 || key.size > TRACESTATE_KEY || !lower_or_digit(key.data[0]))
        return false;
    for (size_t i = 1; i < key.size; i++)
        if (!lower_or_digit(key.data[i]) && (key.data[i] == '\0' || strchr("_-*/@", key.data[i]) == NULL))
            return false;
    return true;
}

/* The member was trimmed, so that the value cannot end with a space. */
static bool tracestate_value(struct view value)
{
    if (value.size == 0 || value.size > TRACESTATE_VALUE)
        return false;
    for (size_t i = 0; i < value.size; i++)
        if (value.data[i] < ' ' || value.data[i] > '~' || value.data[i] == '=')
            return false;
    return true;
}

bool mesh__tracestate_valid(struct view text)
{
    struct view keys[TRACESTATE_MEMBERS];
    size_t count = 0;
    struct view member;
    while (next_part(&text, ',', &member)) {
        struct view value;
        if (member.size == 0)
            continue;
        if (count == TRACESTATE_MEMBERS || !cut_pair(member, &keys[count], &value))
            return false;
        if (!tracestate_key(keys[count]) || !tracestate_value(value))
            return false;
        for (size_t i = 0; i < count; i++)
            if (mesh__view_equal(keys[i], keys[count]))
                return false;
        count++;
    }
    return count > 0;
}

/* Visible ASCII without '"', ',', ';' and '\'. */
static bool baggage_value(struct view value)
{
    for (size_t i = 0; i < value.size; i++) {
        char c = value.data[i];
        if (c <= ' ' || c > '~' || c == '"' || c == ',' || c == ';' || c == '\\')
            return false;
    }
    return true;
}

static bool baggage_pair(struct view part)
{
    struct view key, value;
    return cut_pair(part, &key, &value) && mesh__http1_token(mesh__view_trim(key)) &&
           baggage_value(mesh__view_trim(value));
}

/* key=value, and properties that are key=value or key alone. */
static bool baggage_member(struct view member)
{
    struct view part;
    if (!next_part(&member, ';', &part) || !baggage_pair(part))
        return false;
    while (next_part(&member, ';', &part))
        if (!mesh__http1_token(part) && !baggage_pair(part))
            return false;
    return true;
}

bool mesh__baggage_valid(struct view text)
{
    if (text.size > BAGGAGE_SIZE)
        return false;
    size_t count = 0;
    struct view member;
    while (next_part(&text, ',', &member)) {
        if (member.size == 0)
            continue;
        if (count == BAGGAGE_MEMBERS || !baggage_member(member))
            return false;
        count++;
    }
    return count > 0;
}
