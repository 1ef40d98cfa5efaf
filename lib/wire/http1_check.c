/* SPDX-License-Identifier: Apache-2.0 */
/* http1_check.c - one table of bytes, and a walk over the text for each question. */
#include "wire/http1_check.h"

enum byte_class { TOKEN = 1, VALUE = 2, PATH = 4, AUTHORITY = 8 };

/* What each byte may be part of. RFC 9110 5.6.2 and 5.5, RFC 3986 3.3. Bytes from 0x80 on occur in values only. */
static const uint8_t ascii_classes[128] = {
    0,  0,  0,  0,  0,  0,  0,  0,  0,  2,  0,  0,  0,  0,  0,  0,  /* 00 */
    0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  /* 10 */
    2,  15, 14, 3,  15, 15, 15, 15, 14, 14, 15, 15, 14, 15, 15, 6,  /* 20 */
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 14, 14, 14, 14, 14, 6,  /* 30 */
    6,  15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, /* 40 */
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 14, 6,  14, 15, 15, /* 50 */
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, /* 60 */
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 14, 15, 14, 15, 0,  /* 70 */
};

static inline bool is(char c, enum byte_class class)
{
    unsigned char byte = (unsigned char)c;
    return ((byte < 128 ? ascii_classes[byte] : VALUE) & class) != 0;
}

static bool all(struct view text, enum byte_class class)
{
    for (size_t i = 0; i < text.size; i++)
        if (!is(text.data[i], class))
            return false;
    return true;
}

bool mesh__http1_tchar(char c)
{
    return is(c, TOKEN);
}

bool mesh__http1_token(struct view text)
{
    return text.size > 0 && all(text, TOKEN);
}

bool mesh__http1_text(struct view text)
{
    return all(text, VALUE);
}

static bool blank(char c)
{
    return c == ' ' || c == '\t';
}

bool mesh__http1_value(struct view text)
{
    if (text.size > 0 && (blank(text.data[0]) || blank(text.data[text.size - 1])))
        return false;
    return all(text, VALUE);
}

bool mesh__http1_path(struct view text)
{
    if (text.size == 0)
        return false;
    if (text.data[0] == '*')
        return text.size == 1;
    return text.data[0] == '/' && all(text, PATH);
}

bool mesh__http1_authority(struct view text)
{
    return text.size > 0 && all(text, AUTHORITY);
}

bool mesh__http1_reserved_field(struct view name)
{
    static const struct view reserved[] = {
        { "host", 4 },        { "connection", 10 },        { "content-length", 14 },
        { "keep-alive", 10 }, { "proxy-connection", 16 },  { "te", 2 },
        { "trailer", 7 },     { "transfer-encoding", 17 }, { "upgrade", 7 },
        { "expect", 6 },
    };
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (mesh__view_equal_nocase(name, reserved[i]))
            return true;
    return false;
}

const char *mesh__http1_check_fields(const mesh_header *headers, size_t count, size_t *at)
{
    for (size_t i = 0; i < count; i++) {
        struct view name = mesh__view(headers[i].name, headers[i].name_size);
        *at = i;
        if (!mesh__http1_token(name))
            return "the name of a header field must be a token";
        if (mesh__http1_reserved_field(name))
            return "this header field is written by the library";
        if (!mesh__http1_value(mesh__view(headers[i].value, headers[i].value_size)))
            return "the value of a header field has a control character, or a space at an end";
    }
    return NULL;
}
