/* SPDX-License-Identifier: Apache-2.0 */
/* json_out.c - commas, escapes, UTF-8 and base64. */
#include "json_out.h"

#include <string.h>

static void quote(FILE *file, const char *bytes, size_t size)
{
    const unsigned char *at = (const unsigned char *)bytes;
    putc('"', file);
    while (size > 0) {
        size_t width = json_utf8(at, size);
        if (width == 0)
            fputs("\\ufffd", file);
        else if (*at == '"' || *at == '\\')
            fprintf(file, "\\%c", *at);
        else if (*at < 0x20 || *at == 0x7f)
            fprintf(file, "\\u%04x", *at);
        else
            fwrite(at, 1, width, file);
        width = width ? width : 1;
        at += width;
        size -= width;
    }
    putc('"', file);
}

static void key_of(struct json_out *out, const char *key)
{
    if (out->comma)
        fputs(", ", out->file);
    out->comma = true;
    if (key) {
        quote(out->file, key, strlen(key));
        fputs(": ", out->file);
    }
}

void json_open(struct json_out *out, const char *key, char bracket)
{
    key_of(out, key);
    putc(bracket, out->file);
    out->comma = false;
}

void json_close(struct json_out *out, char bracket)
{
    putc(bracket, out->file);
    out->comma = true;
}

void json_string(struct json_out *out, const char *key, const char *text)
{
    json_bytes(out, key, text, strlen(text));
}

void json_bytes(struct json_out *out, const char *key, const char *bytes, size_t size)
{
    key_of(out, key);
    quote(out->file, bytes, size);
}

void json_integer(struct json_out *out, const char *key, int64_t number)
{
    key_of(out, key);
    fprintf(out->file, "%lld", (long long)number);
}

void json_decimal(struct json_out *out, const char *key, double number)
{
    key_of(out, key);
    fprintf(out->file, "%.3f", number);
}

void json_boolean(struct json_out *out, const char *key, bool is)
{
    key_of(out, key);
    fputs(is ? "true" : "false", out->file);
}

void json_null(struct json_out *out, const char *key)
{
    key_of(out, key);
    fputs("null", out->file);
}

void json_base64(struct json_out *out, const char *key, const unsigned char *bytes, size_t size)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    key_of(out, key);
    putc('"', out->file);
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        uint32_t group = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                         (left > 2 ? (uint32_t)bytes[i + 2] : 0);
        putc(letters[group >> 18], out->file);
        putc(letters[group >> 12 & 63], out->file);
        putc(left > 1 ? letters[group >> 6 & 63] : '=', out->file);
        putc(left > 2 ? letters[group & 63] : '=', out->file);
    }
    putc('"', out->file);
}

size_t json_utf8(const unsigned char *bytes, size_t size)
{
    unsigned char first = bytes[0];
    size_t width = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
    if (width > size)
        return 0;
    for (size_t i = 1; i < width; i++)
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
    /* Overlong forms, surrogates, and what lies above U+10FFFF show in the second byte. */
    if ((first == 0xe0 && bytes[1] < 0xa0) || (first == 0xed && bytes[1] > 0x9f) ||
        (first == 0xf0 && bytes[1] < 0x90) || (first == 0xf4 && bytes[1] > 0x8f))
        return 0;
    return width;
}
