/* SPDX-License-Identifier: Apache-2.0 */
/* json_out.h - writes one JSON object to a stream, in UTF-8, on one line. */
#ifndef MESH_SHELL_JSON_OUT_H
#define MESH_SHELL_JSON_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct json_out {
    FILE *file;
    bool comma; /* something precedes what is written next in its object or array */
};

/* `key` is NULL for the elements of an array and for the outermost value. */
void json_open(struct json_out *out, const char *key, char bracket);
void json_close(struct json_out *out, char bracket);
void json_string(struct json_out *out, const char *key, const char *text);
void json_integer(struct json_out *out, const char *key, int64_t number);
void json_decimal(struct json_out *out, const char *key, double number);
void json_boolean(struct json_out *out, const char *key, bool is);
void json_null(struct json_out *out, const char *key);

/* A string of `size` bytes; those that are no UTF-8 become U+FFFD. */
void json_bytes(struct json_out *out, const char *key, const char *bytes, size_t size);

/* The bytes as base64, with padding. */
void json_base64(struct json_out *out, const char *key, const unsigned char *bytes, size_t size);

/* How many bytes the UTF-8 character at `bytes` has; 0 if it is none, by RFC 3629. */
size_t json_utf8(const unsigned char *bytes, size_t size);

#endif
