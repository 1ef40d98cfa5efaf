/* SPDX-License-Identifier: Apache-2.0 */
/* json_in.h - looks values up in the JSON that mesh_client_inspect() gives. */
#ifndef MESH_SHELL_JSON_IN_H
#define MESH_SHELL_JSON_IN_H

#include <stdbool.h>
#include <stddef.h>

/* A value inside of a text; `at` is NULL for one that is not there, and then so is everything inside of it. */
struct json {
    const char *at, *end;
};

/* The value that begins the text. */
struct json json_whole(const char *text);

/* The member of an object. */
struct json json_member(struct json object, const char *name);

/* The element of an array after `*element`, which begins as { NULL, NULL }. False after the last. */
bool json_next(struct json array, struct json *element);

/* The string, without its escapes, cut to the room; `otherwise` when it is none. */
const char *json_text(struct json value, char *room, size_t size, const char *otherwise);

/* The number; `otherwise` when it is none. */
double json_number(struct json value, double otherwise);

bool json_is_true(struct json value);

#endif
