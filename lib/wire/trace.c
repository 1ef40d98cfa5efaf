/* SPDX-License-Identifier: Apache-2.0 */
/* trace.c - traceparent, by the positions of its four parts. */
#include "wire/trace.h"

enum { VERSION_AT = 0, TRACE_ID_AT = 3, SPAN_ID_AT = 36, FLAGS_AT = 53 };

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* False when one of 2 * size characters is no lower-case hex digit. */
static bool parse_hex(const char *text, uint8_t *out, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        int high = hex_digit(text[2 * i]);
        int low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool all_zero(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

static bool right_size(struct view text, uint8_t version)
{
    if (text.size == TRACEPARENT_SIZE)
        return true;
    return version > 0 && text.data[TRACEPARENT_SIZE] == '-';
}

bool mesh__trace_parse(struct view text, struct trace_context *out)
{
    uint8_t version = 0;
    struct trace_context context;
    if (text.size < TRACEPARENT_SIZE || !parse_hex(text.data + VERSION_AT, &version, 1) || version == 0xff)
        return false;
    if (!right_size(text, version))
        return false;
    if (text.data[TRACE_ID_AT - 1] != '-' || text.data[SPAN_ID_AT - 1] != '-' || text.data[FLAGS_AT - 1] != '-')
        return false;
    if (!parse_hex(text.data + TRACE_ID_AT, context.trace_id, sizeof context.trace_id) ||
        !parse_hex(text.data + SPAN_ID_AT, context.span_id, sizeof context.span_id) ||
        !parse_hex(text.data + FLAGS_AT, &context.flags, 1))
        return false;
    if (all_zero(context.trace_id, sizeof context.trace_id) || all_zero(context.span_id, sizeof context.span_id))
        return false;
    context.flags &= TRACE_SAMPLED | TRACE_RANDOM;
    *out = context;
    return true;
}

void mesh__hex(const uint8_t *bytes, size_t size, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
}

void mesh__trace_format(const struct trace_context *context, char out[TRACEPARENT_SIZE])
{
    static const uint8_t version = 0;
    uint8_t flags = context->flags & (TRACE_SAMPLED | TRACE_RANDOM);
    mesh__hex(&version, 1, out + VERSION_AT);
    out[TRACE_ID_AT - 1] = '-';
    mesh__hex(context->trace_id, sizeof context->trace_id, out + TRACE_ID_AT);
    out[SPAN_ID_AT - 1] = '-';
    mesh__hex(context->span_id, sizeof context->span_id, out + SPAN_ID_AT);
    out[FLAGS_AT - 1] = '-';
    mesh__hex(&flags, 1, out + FLAGS_AT);
}
