/* SPDX-License-Identifier: Apache-2.0 */
/* scan_test.c - what is JSON, where its values stand, and the exact words for what is not. */
#include "config/scan.h"

#include <check.h>
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

static enum scan_result scan(struct view text, uint32_t depth, struct scan *out, struct buf *errors)
{
    mesh__buf_init(errors, &mesh__mem_system, (size_t)1 << 20);
    return mesh__scan(&mesh__mem_system, text, "f", depth, out, errors);
}

/* Texts that are refused, and every line that is said about them. */
static const struct {
    struct view text;
    const char *errors;
} refused[] = {
#define ROW(text, errors)                                                                                              \
    {                                                                                                                  \
        { text, sizeof(text) - 1 }, errors                                                                             \
    }
    ROW("", "f:1:1: json: the text ends here, expected a value\n"),
    ROW(" \n ", "f:2:2: json: the text ends here, expected a value\n"),
    ROW("\xef\xbb\xbf{}", "f:1:1: json: the text begins with a byte order mark, which JSON has not\n"),
    ROW("\xff\xfe{\0}\0", "f:1:1: json: byte 0xff is out of place, expected a value\n"),
    ROW("{} // x", "f:1:4: json: a comment, which JSON has not; expected nothing behind the document\n"),
    ROW("/* x */ {}", "f:1:1: json: a comment, which JSON has not; expected a value\n"),
    ROW("{ # x\n}", "f:1:3: json: a comment, which JSON has not; expected a key in double quotes\n"),
    ROW("{}{}", "f:1:3: json: '{' is out of place, expected nothing behind the document\n"),
    ROW("{}\n\n]", "f:3:1: json: ']' is out of place, expected nothing behind the document\n"),
    ROW("{}\0", "f:1:3: json: byte 0x00 is out of place, expected nothing behind the document\n"),
    ROW("1 2", "f:1:3: json: '2' is out of place, expected nothing behind the document\n"),
    ROW("{", "f:1:2: json: the text ends here, expected a key in double quotes\n"),
    ROW("[", "f:1:2: json: the text ends here, expected a value\n"),
    ROW("[1", "f:1:3: json: the text ends here, expected ',' or ']'\n"),
    ROW("[1 2]", "f:1:4: json: '2' is out of place, expected ',' or ']'\n"),
    ROW("[1}", "f:1:3: json: '}' is out of place, expected ',' or ']'\n"),
    ROW("[1,]", "f:1:3: json: a comma with nothing behind it\n"),
    ROW("[,1]", "f:1:2: json: ',' is out of place, expected a value\n"),
    ROW("[1,,2]", "f:1:4: json: ',' is out of place, expected a value\n"),
    ROW("{\"a\":1,}", "f:1:7: json: a comma with nothing behind it\n"),
    ROW("{\"a\" 1}", "f:1:6: json: '1' is out of place, expected ':' behind the key\n"),
    ROW("{\"a\":}", "f:1:6: json: '}' is out of place, expected a value\n"),
    ROW("{\"a\":1 \"b\":2}", "f:1:8: json: '\"' is out of place, expected ',' or '}'\n"),
    ROW("{a:1}", "f:1:2: json: 'a' is out of place, expected a key in double quotes\n"),
    ROW("{1:1}", "f:1:2: json: '1' is out of place, expected a key in double quotes\n"),
    ROW("{'a':1}", "f:1:2: json: a single quote, which JSON has not; expected a key in double quotes\n"),
    ROW("\x0c[]", "f:1:1: json: byte 0x0c is out of place, expected a value\n"),
    ROW("[\xc2\xa0]", "f:1:2: json: byte 0xc2 is out of place, expected a value\n"),
    /* Words and numbers; scanning goes on behind them. */
    ROW("[NaN, Infinity, -Infinity, nan]",
        "f:1:2: json: NaN is no JSON value, expected one (strings and keys stand in double quotes)\n"
        "f:1:7: json: Infinity is no JSON value, expected one (strings and keys stand in double quotes)\n"
        "f:1:17: json: -Infinity: JSON has no such number\n"
        "f:1:28: json: nan is no JSON value, expected one (strings and keys stand in double quotes)\n"),
    ROW("[True, truefalse]",
        "f:1:2: json: True is no JSON value, expected one (strings and keys stand in double quotes)\n"
        "f:1:8: json: truefalse is no JSON value, expected one (strings and keys stand in double quotes)\n"),
    ROW("01", "f:1:1: json: 01: a number does not begin with a needless 0\n"),
    ROW("-00.5", "f:1:1: json: -00.5: a number does not begin with a needless 0\n"),
    ROW("+1", "f:1:1: json: +1: a number does not begin with '+'\n"),
    ROW(".5", "f:1:1: json: .5: a number begins with a digit, or with '-' and a digit\n"),
    ROW("-", "f:1:1: json: -: a number begins with a digit, or with '-' and a digit\n"),
    ROW("2.", "f:1:1: json: 2.: digits must follow the point of a number\n"),
    ROW("2.e3", "f:1:1: json: 2.e3: digits must follow the point of a number\n"),
    ROW("2e", "f:1:1: json: 2e: digits must follow the e of a number\n"),
    ROW("2e+", "f:1:1: json: 2e+: digits must follow the e of a number\n"),
    ROW("0x10", "f:1:1: json: 0x10: this is no number; a duration or a size is a string, as \"250ms\" or \"8MiB\"\n"),
    ROW("15s", "f:1:1: json: 15s: this is no number; a duration or a size is a string, as \"250ms\" or \"8MiB\"\n"),
    ROW("1.2.3", "f:1:1: json: 1.2.3: this is no number; a duration or a size is a string, as \"250ms\" or \"8MiB\"\n"),
    ROW("[1e999, -1e999]", "f:1:2: json: 1e999: a double cannot hold this number without loss\n"
                           "f:1:9: json: -1e999: a double cannot hold this number without loss\n"),
    ROW("9007199254740993", "f:1:1: json: 9007199254740993: a double cannot hold this number without loss\n"),
    ROW("1e-400", "f:1:1: json: 1e-400: a double cannot hold this number without loss\n"),
    ROW("0.12345678901234567891",
        "f:1:1: json: 0.12345678901234567891: a double cannot hold this number without loss\n"),
    /* Strings. */
    ROW("\"abc", "f:1:1: json: this string has no closing quote on its line\n"),
    ROW("[\"abc\n\", 1]", "f:1:2: json: this string has no closing quote on its line\n"),
    ROW("\"\\", "f:1:2: json: an unknown escape, expected one of \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX\n"
                "f:1:1: json: this string has no closing quote on its line\n"),
    ROW("\"\\x41\\'\"", "f:1:2: json: an unknown escape, expected one of \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX\n"
                        "f:1:6: json: an unknown escape, expected one of \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX\n"),
    ROW("\"\\u12g4\"", "f:1:2: json: \\u needs four hexadecimal digits\n"),
    ROW("\"a\\u0000\"", "f:1:3: json: \\u0000 is not allowed\n"),
    ROW("\"\\ud800\"", "f:1:2: json: \\ud800 is the first half of a surrogate pair without the second\n"),
    ROW("\"\\ud800\\u0041\"", "f:1:2: json: \\ud800 is the first half of a surrogate pair without the second\n"),
    ROW("\"\\ud800\\ud800\"", "f:1:2: json: \\ud800 is the first half of a surrogate pair without the second\n"
                              "f:1:8: json: \\ud800 is the first half of a surrogate pair without the second\n"),
    ROW("\"\\udc00\"", "f:1:2: json: \\udc00 is the second half of a surrogate pair without the first\n"),
    ROW("\"a\tb\x01\"", "f:1:3: json: control character 0x09 in a string, expected an escape such as \\t or \\u0009\n"
                        "f:1:5: json: control character 0x01 in a string, expected an escape such as \\t or \\u0001\n"),
    ROW("\"a\0b\"", "f:1:3: json: control character 0x00 in a string, expected an escape such as \\t or \\u0000\n"),
    ROW("\"\xff\"", "f:1:2: json: byte 0xff is not UTF-8\n"),
    ROW("\"a\x80z\xc3\"", "f:1:3: json: byte 0x80 is not UTF-8\nf:1:5: json: byte 0xc3 is not UTF-8\n"),
    ROW("\"\xc0\xaf\"", "f:1:2: json: byte 0xc0 is not UTF-8\nf:1:3: json: byte 0xaf is not UTF-8\n"),
    ROW("\"\xed\xa0\x80\"", "f:1:2: json: byte 0xed is not UTF-8\nf:1:3: json: byte 0xa0 is not UTF-8\n"
                            "f:1:4: json: byte 0x80 is not UTF-8\n"),
    ROW("{\"\xff\": 1}", "f:1:3: json: byte 0xff is not UTF-8\n"),
    /* A column is a character. */
    ROW("[\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\", x]",
        "f:1:9: json: x is no JSON value, expected one (strings and keys stand in double quotes)\n"),
    /* Keys that an object has twice, also under another spelling; each object for itself. */
    ROW("{\"a\":1,\n\"b\":{\"a\":1},\n \"a\":2}",
        "f:3:2: json: this key stands in its object twice, first in line 1, column 2\n"),
    ROW("{\"a\":1, \"\\u0061\":2, \"\\u0041\":3}",
        "f:1:9: json: this key stands in its object twice, first in line 1, column 2\n"),
    ROW("{\"\xf0\x9f\x98\x80\":1, \"\\ud83d\\ude00\":2}",
        "f:1:9: json: this key stands in its object twice, first in line 1, column 2\n"),
    ROW("{\"\":1, \"\":2}", "f:1:8: json: this key stands in its object twice, first in line 1, column 2\n"),
};

START_TEST(refused_texts)
{
    struct scan out;
    struct buf errors;
    ck_assert_int_eq(scan(refused[_i].text, 0, &out, &errors), SCAN_REFUSED);
    ck_assert_str_eq(mesh__buf_text(&errors), refused[_i].errors);
    ck_assert_ptr_null(out.places);
    ck_assert_uint_eq(out.count, 0);
    mesh__buf_fini(&errors);
    ck_assert_int_eq(mesh__scan(&mesh__mem_system, refused[_i].text, "f", 0, &out, NULL), SCAN_REFUSED);
}
END_TEST

/* Texts that are JSON, and the places of their values. */
static const struct {
    const char *text, *places; /* LINE:COLUMN of each value, with /LINE:COLUMN of its key */
} accepted[] = {
    { "null", "1:1" },
    { " \t\r\n-0 ", "2:1" },
    { "[]", "1:1" },
    { "{ }", "1:1" },
    { "[true, false,\n [0.2, -1.5E+3, 1e22], \"\"]", "1:1 1:2 1:8 2:2 2:3 2:8 2:17 2:24" },
    { "{\"a\": 1,\n \"b\":\n  {\"c\": []}}", "1:1 1:7/1:2 3:3/2:2 3:9/3:4" },
    { "[\"\xc3\xa4\", \"\\u00e4\\ud83d\\ude00\\\"\\\\\\/\\b\\f\\n\\r\\t\", 7]", "1:1 1:2 1:7 1:45" },
    { "[\"\x7f\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf\", 0]", "1:1 1:2 1:10" },
    { "[{\"a\":1},{\"a\":1}]", "1:1 1:2 1:7/1:3 1:10 1:15/1:11" },
    { "{\"a\":1,\"A\":1,\"a \":1}", "1:1 1:6/1:2 1:12/1:8 1:19/1:14" },
    { "[9007199254740992, 0.1, 123456789012345, 1.7976931348623157e308, 5e-324]", "1:1 1:2 1:20 1:25 1:42 1:66" },
    { "[0.10000000000000000000, 0.0e999, 0.1000000000000000055511151231257827]", "1:1 1:2 1:26 1:35" },
};

START_TEST(accepted_texts)
{
    struct scan out;
    struct buf errors, places;
    ck_assert_int_eq(scan(mesh__view_of(accepted[_i].text), 0, &out, &errors), SCAN_OK);
    ck_assert_uint_eq(errors.size, 0);
    mesh__buf_init(&places, &mesh__mem_system, 4096);
    for (size_t i = 0; i < out.count; i++) {
        const struct scan_place *place = &out.places[i];
        mesh__buf_printf(&places, "%s%u:%u", i ? " " : "", place->line, place->column);
        if (place->key_line > 0)
            mesh__buf_printf(&places, "/%u:%u", place->key_line, place->key_column);
    }
    ck_assert_str_eq(mesh__buf_text(&places), accepted[_i].places);
    cJSON *tree = cJSON_ParseWithLength(accepted[_i].text, strlen(accepted[_i].text));
    ck_assert_msg(tree != NULL, "the parser refuses %s", accepted[_i].text);
    cJSON_Delete(tree);
    free(out.places);
    mesh__buf_fini(&places);
}
END_TEST

START_TEST(depth_is_bounded)
{
    char text[200];
    for (uint32_t outer = 0; outer <= 64; outer += 32)
        for (uint32_t depth = 60; depth <= 70; depth++) {
            memset(text, '[', depth);
            memset(text + depth, ']', depth);
            struct scan out;
            struct buf errors;
            enum scan_result wanted = depth + outer <= SCAN_DEPTH_MAX ? SCAN_OK : SCAN_REFUSED;
            ck_assert_int_eq(scan(mesh__view(text, 2 * (size_t)depth), outer, &out, &errors), wanted);
            free(out.places);
            mesh__buf_fini(&errors);
        }
    struct scan out;
    struct buf errors;
    memset(text, '[', 70);
    ck_assert_int_eq(scan(mesh__view(text, 70), 0, &out, &errors), SCAN_REFUSED);
    ck_assert_str_eq(mesh__buf_text(&errors), "f:1:65: json: nested deeper than 64 levels\n");
    mesh__buf_fini(&errors);
}
END_TEST

START_TEST(size_is_bounded)
{
    char *text = malloc(SCAN_SIZE_MAX + 1);
    ck_assert_ptr_nonnull(text);
    memset(text, ' ', SCAN_SIZE_MAX + 1);
    text[0] = '7';
    struct scan out;
    struct buf errors;
    ck_assert_int_eq(scan(mesh__view(text, SCAN_SIZE_MAX), 0, &out, &errors), SCAN_OK);
    free(out.places);
    mesh__buf_fini(&errors);
    ck_assert_int_eq(scan(mesh__view(text, SCAN_SIZE_MAX + 1), 0, &out, &errors), SCAN_REFUSED);
    ck_assert_str_eq(mesh__buf_text(&errors), "f:1:1: json: the text is larger than 16 MiB\n");
    mesh__buf_fini(&errors);
    free(text);
}
END_TEST

START_TEST(a_full_list_of_errors_ends_the_scan)
{
    enum { FAULTS = 100000 };
    char *text = malloc(2 * FAULTS + 2);
    ck_assert_ptr_nonnull(text);
    text[0] = '[';
    for (size_t i = 0; i < FAULTS; i++)
        memcpy(text + 1 + 2 * i, i + 1 < FAULTS ? "x," : "x]", 2);
    struct scan out;
    struct buf errors;
    mesh__buf_init(&errors, &mesh__mem_system, 1000);
    ck_assert_int_eq(mesh__scan(&mesh__mem_system, mesh__view(text, 2 * FAULTS + 1), "f", 0, &out, &errors),
                     SCAN_REFUSED);
    ck_assert(errors.failed);
    ck_assert_uint_le(errors.size, 1000);
    mesh__buf_fini(&errors);
    free(text);
}
END_TEST

/* Every prefix of a document is refused, and so is every document with one byte replaced by a control character. */
START_TEST(prefixes_and_damage)
{
    static const char text[] = "{\"a\": [1.5e3, true, \"x\\u00e4\\n\"], \"b\": {\"c\": null}}";
    char copy[sizeof(text)];
    for (size_t i = 0; i + 1 < sizeof(text); i++) {
        struct scan out;
        struct buf errors;
        ck_assert_msg(scan(mesh__view(text, i), 0, &out, &errors) == SCAN_REFUSED, "%zu bytes", i);
        mesh__buf_fini(&errors);
        memcpy(copy, text, sizeof(text));
        copy[i] = '\x01';
        ck_assert_msg(scan(mesh__view(copy, sizeof(text) - 1), 0, &out, &errors) == SCAN_REFUSED, "byte %zu", i);
        mesh__buf_fini(&errors);
    }
}
END_TEST

static size_t count_values(const cJSON *value)
{
    size_t count = 0;
    for (; value != NULL; value = value->next)
        count += 1 + count_values(value->child);
    return count;
}

static uint32_t random_below(uint64_t *state, uint32_t bound)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33) % bound;
}

/* A random document. */
static void generate(struct buf *out, uint64_t *state, int depth)
{
    static const char *const leaves[] = { "1",    "-2.5", "0",     "1e5",          "true",           "false",
                                          "null", "\"\"", "\"x\"", "\"\xc3\xa4\"", "\"\\u0061\\n\"", " 7 " };
    uint32_t kind = depth > 4 ? 0 : random_below(state, 4), members = random_below(state, 4);
    if (kind < 2) {
        mesh__buf_append_text(out, leaves[random_below(state, sizeof(leaves) / sizeof(leaves[0]))]);
        return;
    }
    mesh__buf_append_char(out, kind == 2 ? '{' : '[');
    for (uint32_t i = 0; i < members; i++) {
        mesh__buf_append_text(out, i ? ",\n" : " ");
        if (kind == 2)
            mesh__buf_printf(out, "\"k%u\": ", i);
        generate(out, state, depth + 1);
    }
    mesh__buf_append_char(out, kind == 2 ? '}' : ']');
}

/* What the scan accepts the parser reads as the same number of values, and what the parser refuses the scan does too:
 * random documents, whole and with one byte changed. */
START_TEST(scan_and_parser_agree)
{
    static const char damage[] = "{}[],:\"\\ 0e-.x";
    uint64_t state = 0x9e3779b97f4a7c15u;
    size_t accepted_count = 0, refused_count = 0;
    struct buf text;
    mesh__buf_init(&text, &mesh__mem_system, (size_t)1 << 20);
    for (int round = 0; round < 20000; round++) {
        mesh__buf_clear(&text);
        generate(&text, &state, 0);
        if (round % 2 == 1)
            text.data[random_below(&state, (uint32_t)text.size)] = damage[random_below(&state, sizeof(damage) - 1)];
        const char *whole = mesh__buf_text(&text);
        struct scan out;
        enum scan_result result = mesh__scan(&mesh__mem_system, mesh__view_of(whole), "f", 0, &out, NULL);
        cJSON *tree = cJSON_ParseWithOpts(whole, NULL, 1);
        ck_assert_msg(result != SCAN_OK || (tree != NULL && count_values(tree) == out.count), "%s", whole);
        ck_assert_msg(result == SCAN_OK || round % 2 == 1, "%s", whole);
        accepted_count += result == SCAN_OK;
        refused_count += result != SCAN_OK;
        cJSON_Delete(tree);
        free(out.places);
    }
    mesh__buf_fini(&text);
    ck_assert_uint_gt(accepted_count, 1000);
    ck_assert_uint_gt(refused_count, 1000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config/scan");
    TCase *tcase = tcase_create("scan");
    tcase_add_loop_test(tcase, refused_texts, 0, sizeof(refused) / sizeof(refused[0]));
    tcase_add_loop_test(tcase, accepted_texts, 0, sizeof(accepted) / sizeof(accepted[0]));
    tcase_add_test(tcase, depth_is_bounded);
    tcase_add_test(tcase, size_is_bounded);
    tcase_add_test(tcase, a_full_list_of_errors_ends_the_scan);
    tcase_add_test(tcase, prefixes_and_damage);
    tcase_add_test(tcase, scan_and_parser_agree);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
