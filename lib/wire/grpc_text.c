/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_text.c - how gRPC writes messages, timeouts, numbers and bytes into header fields. */
#include "wire/grpc.h"

#include <stdio.h>

static const char hex_digits[] = "0123456789ABCDEF";
static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

bool mesh__grpc_message_encode(struct buf *out, struct view text)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c >= ' ' && c <= '~' && c != '%') {
            mesh__buf_append_char(out, (char)c);
        } else {
            const char escape[3] = { '%', hex_digits[c >> 4], hex_digits[c & 15] };
            mesh__buf_append(out, escape, sizeof escape);
        }
    }
    return !out->failed;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = mesh__ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool mesh__grpc_message_decode(struct buf *out, struct view text)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c == '%' && text.size - i > 2 && hex_value(text.data[i + 1]) >= 0 && hex_value(text.data[i + 2]) >= 0) {
            c = (char)(hex_value(text.data[i + 1]) << 4 | hex_value(text.data[i + 2]));
            i += 2;
        }
        mesh__buf_append_char(out, c);
    }
    return !out->failed;
}

size_t mesh__grpc_timeout_format(mesh_nanos timeout, char out[12])
{
    static const struct {
        char name;
        mesh_nanos nanos;
    } units[] = { { 'n', 1 },       { 'u', NANOS_US },     { 'm', NANOS_MS },
                  { 'S', NANOS_S }, { 'M', 60 * NANOS_S }, { 'H', 3600 * NANOS_S } };
    size_t i = 0;
    if (timeout < 0)
        timeout = 0;
    while (i + 1 < sizeof units / sizeof *units && timeout / units[i].nanos > 99999999)
        i++;
    return (size_t)snprintf(out, 12, "%lld%c", (long long)(timeout / units[i].nanos), units[i].name);
}

static int32_t digits(struct view text)
{
    int32_t number = 0;
    if (text.size == 0 || text.size > 9)
        return -1;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return -1;
        number = number * 10 + (text.data[i] - '0');
    }
    return number;
}

mesh_nanos mesh__grpc_pushback_parse(struct view text)
{
    int32_t ms = digits(text);
    return ms < 0 ? -1 : ms * NANOS_MS;
}

int32_t mesh__grpc_attempts_parse(struct view text)
{
    return digits(text);
}

bool mesh__grpc_binary_name(struct view name)
{
    return name.size > 4 && mesh__view_equal_nocase(mesh__view(name.data + name.size - 4, 4), VIEW_LITERAL("-bin"));
}

bool mesh__grpc_binary_encode(struct buf *out, struct view bytes)
{
    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t part = bytes.size - i < 3 ? bytes.size - i : 3;
        uint32_t word = 0;
        for (size_t j = 0; j < 3; j++)
            word = word << 8 | (j < part ? (unsigned char)bytes.data[i + j] : 0);
        for (size_t j = 0; j <= part; j++)
            mesh__buf_append_char(out, base64[word >> (18 - 6 * j) & 63]);
    }
    return !out->failed;
}

static int base64_value(char c)
{
    const char *at = c != '\0' ? strchr(base64, c) : NULL;
    return at != NULL ? (int)(at - base64) : -1;
}

bool mesh__grpc_binary_decode(struct buf *out, struct view text)
{
    size_t size = text.size;
    if (size % 4 == 0)
        for (int i = 0; i < 2 && size > 0 && text.data[size - 1] == '='; i++)
            size--;
    if (size % 4 == 1)
        return false;
    uint32_t word = 0;
    for (size_t i = 0; i < size; i++) {
        int value = base64_value(text.data[i]);
        if (value < 0)
            return false;
        word = word << 6 | (uint32_t)value;
        if (i % 4 > 0)
            mesh__buf_append_char(out, (char)(word >> (6 - 2 * (i % 4))));
    }
    return !out->failed;
}
