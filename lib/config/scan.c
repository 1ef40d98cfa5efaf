/* SPDX-License-Identifier: Apache-2.0 */
/* scan.c - a recursive descent over the grammar, bounded by the depth that is allowed. */
#include "config/scan.h"

#include "base/map.h"
#include "config/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

struct spot {
    uint32_t line, column;
};

struct scanner {
    const struct mem *mem;
    struct view text;
    size_t at;
    struct spot here;
    const char *name;
    uint32_t depth;
    uint32_t objects; /* begun so far; the number of an object keeps its keys apart from those of others */
    struct scan *out;
    struct buf *errors;
    bool refused, no_memory;
    struct config_arena keys; /* each key as {number of its object, unescaped bytes}, with its spot */
    struct map seen;
    struct buf key; /* the key that is being read */
};

static bool scan_value(struct scanner *s, struct spot key);

/* Notes a fault; always false. Scanning may go on after it where the text is still understood. */
static bool __attribute__((format(printf, 3, 4))) fault(struct scanner *s, struct spot where, const char *format, ...)
{
    s->refused = true;
    if (s->errors == NULL)
        return false;
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    mesh__buf_printf(s->errors, "%s:%u:%u: json: %s\n", s->name, where.line, where.column, text);
    s->no_memory = s->no_memory || s->errors->no_memory;
    return false;
}

static bool out_of_memory(struct scanner *s)
{
    s->no_memory = true;
    return false;
}

/* The byte at hand; -1 at the end. */
static int peek(const struct scanner *s)
{
    return s->at < s->text.size ? (unsigned char)s->text.data[s->at] : -1;
}

static struct view rest(const struct scanner *s)
{
    return mesh__view(s->text.data + s->at, s->text.size - s->at);
}

static void advance(struct scanner *s, size_t bytes)
{
    for (; bytes > 0; bytes--) {
        unsigned char c = (unsigned char)s->text.data[s->at++];
        if (c == '\n')
            s->here = (struct spot){ s->here.line + 1, 1 };
        else if ((c & 0xc0) != 0x80)
            s->here.column++;
    }
}

static void skip_space(struct scanner *s)
{
    for (int c = peek(s); c == ' ' || c == '\t' || c == '\n' || c == '\r'; c = peek(s))
        advance(s, 1);
}

/* The structure is not what it should be: says what was expected and what is there instead. */
static bool unexpected(struct scanner *s, const char *expected)
{
    int c = peek(s);
    if (c < 0)
        return fault(s, s->here, "the text ends here, expected %s", expected);
    if (c == '/' || c == '#')
        return fault(s, s->here, "a comment, which JSON has not; expected %s", expected);
    if (c == '\'')
        return fault(s, s->here, "a single quote, which JSON has not; expected %s", expected);
    if (c > 0x20 && c < 0x7f)
        return fault(s, s->here, "'%c' is out of place, expected %s", c, expected);
    return fault(s, s->here, "byte 0x%02x is out of place, expected %s", (unsigned)c, expected);
}

/* Four hexadecimal digits; -1 when they are not there. */
static int32_t hex4(struct view digits)
{
    if (digits.size < 4)
        return -1;
    int32_t value = 0;
    for (size_t i = 0; i < 4; i++) {
        char c = mesh__ascii_lower(digits.data[i]);
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return -1;
        value = value * 16 + (c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return value;
}

static void append_code_point(struct buf *out, uint32_t code)
{
    if (out == NULL)
        return;
    if (code < 0x80) {
        mesh__buf_append_char(out, (char)code);
        return;
    }
    if (code < 0x800) {
        mesh__buf_append_char(out, (char)(0xc0 | code >> 6));
    } else {
        if (code < 0x10000) {
            mesh__buf_append_char(out, (char)(0xe0 | code >> 12));
        } else {
            mesh__buf_append_char(out, (char)(0xf0 | code >> 18));
            mesh__buf_append_char(out, (char)(0x80 | (code >> 12 & 0x3f)));
        }
        mesh__buf_append_char(out, (char)(0x80 | (code >> 6 & 0x3f)));
    }
    mesh__buf_append_char(out, (char)(0x80 | (code & 0x3f)));
}

/* Behind "\u". A fault here leaves the string readable. */
static void scan_unicode_escape(struct scanner *s, struct spot start, struct buf *out)
{
    int32_t code = hex4(rest(s));
    if (code < 0) {
        fault(s, start, "\\u needs four hexadecimal digits");
        return;
    }
    advance(s, 4);
    if (code == 0) {
        fault(s, start, "\\u0000 is not allowed");
    } else if (code >= 0xdc00 && code <= 0xdfff) {
        fault(s, start, "\\u%04x is the second half of a surrogate pair without the first", (unsigned)code);
    } else if (code >= 0xd800 && code <= 0xdbff) {
        struct view next = rest(s);
        bool escape = next.size >= 2 && next.data[0] == '\\' && next.data[1] == 'u';
        int32_t low = escape ? hex4(mesh__view(next.data + 2, next.size - 2)) : -1;
        if (low < 0xdc00 || low > 0xdfff) {
            fault(s, start, "\\u%04x is the first half of a surrogate pair without the second", (unsigned)code);
            return;
        }
        advance(s, 6);
        append_code_point(out, 0x10000u + (((uint32_t)code - 0xd800u) << 10) + ((uint32_t)low - 0xdc00u));
    } else {
        append_code_point(out, (uint32_t)code);
    }
}

/* At a backslash. */
static void scan_escape(struct scanner *s, struct buf *out)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    struct spot start = s->here;
    advance(s, 1);
    int c = peek(s);
    if (c == 'u') {
        advance(s, 1);
        scan_unicode_escape(s, start, out);
        return;
    }
    const char *known = c > 0 ? strchr(names, c) : NULL;
    if (known == NULL) {
        fault(s, start, "an unknown escape, expected one of \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX");
        return;
    }
    advance(s, 1);
    append_code_point(out, (uint32_t)values[known - names]);
}

/* One character of a string that is no escape. False at a line's end, where the closing quote is missing. */
static bool scan_character(struct scanner *s, struct spot start, struct buf *out)
{
    int c = peek(s);
    if (c < 0 || c == '\n')
        return fault(s, start, "this string has no closing quote on its line");
    if (c < 0x20) {
        fault(s, s->here, "control character 0x%02x in a string, expected an escape such as \\t or \\u%04x",
              (unsigned)c, (unsigned)c);
        advance(s, 1);
        return true;
    }
    size_t size = mesh__scan_utf8(rest(s));
    if (size == 0) {
        fault(s, s->here, "byte 0x%02x is not UTF-8", (unsigned)c);
        size = 1;
        s->here.column += (c & 0xc0) == 0x80; /* what does not continue a character counts as one */
    } else if (out != NULL) {
        mesh__buf_append(out, rest(s).data, size);
    }
    advance(s, size);
    return true;
}

/* At a quote. The unescaped bytes go to `out`, unless that is NULL. */
static bool scan_string(struct scanner *s, struct buf *out)
{
    struct spot start = s->here;
    advance(s, 1);
    while (peek(s) != '"') {
        if (s->errors != NULL && s->errors->failed)
            return false;
        if (peek(s) == '\\')
            scan_escape(s, out);
        else if (!scan_character(s, start, out))
            return false;
    }
    advance(s, 1);
    return out == NULL || !out->failed || out_of_memory(s);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* What is wrong with the form of a number; NULL when nothing is. */
static const char *number_form(struct view word)
{
    const char *at = word.data, *end = word.data + word.size;
    if (at < end && *at == '+')
        return "a number does not begin with '+'";
    if (at < end && *at == '-')
        at++;
    if (at == end || !is_digit(*at))
        return "a number begins with a digit, or with '-' and a digit";
    if (*at == '0' && at + 1 < end && is_digit(at[1]))
        return "a number does not begin with a needless 0";
    while (at < end && is_digit(*at))
        at++;
    if (at < end && *at == '.') {
        at++;
        if (at == end || !is_digit(*at))
            return "digits must follow the point of a number";
        while (at < end && is_digit(*at))
            at++;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        if (at == end || !is_digit(*at))
            return "digits must follow the e of a number";
        while (at < end && is_digit(*at))
            at++;
    }
    return at == end ? NULL : "this is no number; a duration or a size is a string, as \"250ms\" or \"8MiB\"";
}

/* A number or a word: everything up to the next byte that cannot be part of one. */
static struct view take_word(struct scanner *s)
{
    size_t size = 0;
    for (; size < rest(s).size; size++) {
        char c = rest(s).data[size], lower = mesh__ascii_lower(c);
        if (!is_digit(c) && !(lower >= 'a' && lower <= 'z') && c != '+' && c != '-' && c != '.' && c != '_')
            break;
    }
    struct view word = mesh__view(rest(s).data, size);
    advance(s, size);
    return word;
}

static void scan_number(struct scanner *s)
{
    struct spot start = s->here;
    struct view word = take_word(s);
    int shown = word.size > 60 ? 60 : (int)word.size;
    const char *wrong = number_form(word);
    double value;
    if (mesh__view_equal(word, VIEW_LITERAL("-Infinity")))
        wrong = "JSON has no such number";
    if (wrong != NULL)
        fault(s, start, "%.*s: %s", shown, word.data, wrong);
    else if (!mesh__scan_number(word, &value))
        fault(s, start, "%.*s: a double cannot hold this number without loss", shown, word.data);
}

static bool scan_literal(struct scanner *s)
{
    struct spot start = s->here;
    struct view word = take_word(s);
    static const char *const literals[] = { "true", "false", "null" };
    for (size_t i = 0; i < 3; i++)
        if (mesh__view_equal(word, mesh__view_of(literals[i])))
            return true;
    int shown = word.size > 60 ? 60 : (int)word.size;
    fault(s, start, "%.*s is no JSON value, expected one (strings and keys stand in double quotes)", shown, word.data);
    return true;
}

/* Notes the key that was just read; a fault if its object has it already. */
static bool remember_key(struct scanner *s, struct spot where)
{
    struct view key = { s->key.data, s->key.size };
    const struct spot *first = mesh__map_get(&s->seen, key);
    if (first != NULL) {
        fault(s, where, "this key stands in its object twice, first in line %u, column %u", first->line, first->column);
        return true;
    }
    struct spot *copy = mesh__config_arena_alloc(&s->keys, sizeof(*copy) + key.size);
    if (copy == NULL)
        return out_of_memory(s);
    *copy = where;
    char *bytes = (char *)(copy + 1);
    memcpy(bytes, key.data, key.size);
    return mesh__map_set(&s->seen, mesh__view(bytes, key.size), copy) || out_of_memory(s);
}

static bool scan_member(struct scanner *s, uint32_t object)
{
    struct spot where = s->here;
    if (peek(s) != '"')
        return unexpected(s, "a key in double quotes");
    mesh__buf_clear(&s->key);
    mesh__buf_append(&s->key, &object, sizeof(object));
    if (!scan_string(s, &s->key) || !remember_key(s, where))
        return false;
    skip_space(s);
    if (peek(s) != ':')
        return unexpected(s, "':' behind the key");
    advance(s, 1);
    return scan_value(s, where);
}

/* At '{' or '['. */
static bool scan_container(struct scanner *s, char close)
{
    if (s->depth >= SCAN_DEPTH_MAX)
        return fault(s, s->here, "nested deeper than %d levels", SCAN_DEPTH_MAX);
    s->depth++;
    uint32_t object = s->objects++;
    advance(s, 1);
    skip_space(s);
    while (peek(s) != close) {
        if (!(close == '}' ? scan_member(s, object) : scan_value(s, (struct spot){ 0, 0 })))
            return false;
        skip_space(s);
        if (peek(s) == close)
            break;
        if (peek(s) != ',')
            return unexpected(s, close == '}' ? "',' or '}'" : "',' or ']'");
        struct spot comma = s->here;
        advance(s, 1);
        skip_space(s);
        if (peek(s) == close)
            return fault(s, comma, "a comma with nothing behind it");
    }
    advance(s, 1);
    s->depth--;
    return true;
}

static bool add_place(struct scanner *s, struct spot key)
{
    struct scan *out = s->out;
    if (out->count == out->capacity) {
        size_t capacity = out->capacity ? out->capacity * 2 : 64;
        struct scan_place *places =
            mesh__resize(s->mem, out->places, out->capacity * sizeof(*places), capacity * sizeof(*places));
        if (places == NULL)
            return out_of_memory(s);
        out->places = places;
        out->capacity = capacity;
    }
    out->places[out->count++] = (struct scan_place){ s->here.line, s->here.column, key.line, key.column };
    return true;
}

static bool scan_value(struct scanner *s, struct spot key)
{
    skip_space(s);
    if (!add_place(s, key) || (s->errors != NULL && s->errors->failed))
        return false;
    int c = peek(s);
    char lower = mesh__ascii_lower((char)c);
    if (c == '{')
        return scan_container(s, '}');
    if (c == '[')
        return scan_container(s, ']');
    if (c == '"')
        return scan_string(s, NULL);
    if (c == '-' || c == '+' || c == '.' || (c >= '0' && c <= '9'))
        return scan_number(s), true;
    if (c > 0 && c < 0x80 && lower >= 'a' && lower <= 'z')
        return scan_literal(s);
    return unexpected(s, "a value");
}

static void scan_document(struct scanner *s)
{
    if (s->text.size > SCAN_SIZE_MAX) {
        fault(s, s->here, "the text is larger than %zu MiB", SCAN_SIZE_MAX >> 20);
        return;
    }
    if (s->text.size >= 3 && memcmp(s->text.data, "\xef\xbb\xbf", 3) == 0) {
        fault(s, s->here, "the text begins with a byte order mark, which JSON has not");
        return;
    }
    if (!scan_value(s, (struct spot){ 0, 0 }))
        return;
    skip_space(s);
    if (s->at < s->text.size)
        (void)unexpected(s, "nothing behind the document");
}

enum scan_result mesh__scan(const struct mem *mem, struct view text, const char *name, uint32_t depth, struct scan *out,
                            struct buf *errors)
{
    struct scanner s = { .mem = mem, .text = text, .here = { 1, 1 }, .name = name, .depth = depth, .out = out };
    s.errors = errors;
    *out = (struct scan){ NULL, 0, 0 };
    mesh__config_arena_init(&s.keys, mem);
    mesh__map_init(&s.seen, mem);
    mesh__buf_init(&s.key, mem, SCAN_SIZE_MAX + sizeof(uint32_t));
    scan_document(&s);
    mesh__buf_fini(&s.key);
    mesh__map_fini(&s.seen);
    mesh__config_arena_fini(&s.keys);
    if (!s.refused && !s.no_memory)
        return SCAN_OK;
    mesh__mem_free(mem, out->places);
    *out = (struct scan){ NULL, 0, 0 };
    return s.no_memory ? SCAN_NO_MEMORY : SCAN_REFUSED;
}
