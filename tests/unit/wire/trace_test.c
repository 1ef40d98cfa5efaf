/* SPDX-License-Identifier: Apache-2.0 */
/* trace_test.c - traceparent, tracestate and baggage, after the tables of the W3C's texts and test suite. */
#include "wire/trace.h"

#include <check.h>
#include <stdlib.h>

#define IDS "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7"
#define T(text) text, sizeof(text) - 1

static const struct {
    const char *text;
    size_t size;
    int flags; /* -1: malformed */
} parents[] = {
    { T("00-" IDS "-01"), 1 },
    { T("00-" IDS "-00"), 0 },
    { T("00-" IDS "-02"), 2 },
    { T("00-" IDS "-03"), 3 },
    { T("00-" IDS "-ff"), 3 },
    { T("00-" IDS "-fc"), 0 },
    { T("00-" IDS "-01-"), -1 },
    { T("00-" IDS "-01-what"), -1 },
    { T("00-" IDS "-011"), -1 },
    { T("00-" IDS "-0"), -1 },
    { T("00-" IDS "-"), -1 },
    { T("00-" IDS), -1 },
    { T("00-" IDS "-0x"), -1 },
    { T("00-" IDS "-0A"), -1 },
    { T("00-" IDS "_01"), -1 },
    { T("00_" IDS "-01"), -1 },
    { T("01-" IDS "-01"), 1 },
    { T("cc-" IDS "-01"), 1 },
    { T("fe-" IDS "-01-"), 1 },
    { T("cc-" IDS "-01-what-the-future-will-be-like"), 1 },
    { T("cc-" IDS "-01.what"), -1 },
    { T("cc-" IDS "-011"), -1 },
    { T("ff-" IDS "-01"), -1 },
    { T("FE-" IDS "-01"), -1 },
    { T(".0-" IDS "-01"), -1 },
    { T("0-" IDS "-01"), -1 },
    { T("000-" IDS "-01"), -1 },
    { T("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01"), -1 },
    { T("00-4bf92f3577b34da6a3ce929d0e0e4736-00F067AA0BA902B7-01"), -1 },
    { T("00-00000000000000000000000000000000-00f067aa0ba902b7-01"), -1 },
    { T("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"), -1 },
    { T("00-.bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), -1 },
    { T("00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01x"), -1 },
    { T("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7 01"), -1 },
    { T(" 00-" IDS "-01"), -1 },
    { T(""), -1 },
    { T("-"), -1 },
};

START_TEST(traceparents)
{
    /* A block of the exact size: nothing behind it may be looked at. */
    char *text = malloc(parents[_i].size + 1);
    memcpy(text, parents[_i].text, parents[_i].size);
    struct trace_context context = { .flags = 99 };
    bool parsed = mesh__trace_parse(mesh__view(text, parents[_i].size), &context);
    ck_assert_msg(parsed == (parents[_i].flags >= 0), "%s", parents[_i].text);
    ck_assert_msg(context.flags == (parsed ? parents[_i].flags : 99), "%s: flags %d", parents[_i].text, context.flags);
    if (parsed) {
        char out[TRACEPARENT_SIZE + 1] = { 0 };
        char expected[TRACEPARENT_SIZE + 1] = "00-" IDS "-00";
        expected[TRACEPARENT_SIZE - 1] = (char)('0' + parents[_i].flags);
        mesh__trace_format(&context, out);
        ck_assert_str_eq(out, expected);
    }
    free(text);
}
END_TEST

START_TEST(formats_only_known_flags)
{
    struct trace_context context = { { 1 }, { 2 }, 0xff };
    char out[TRACEPARENT_SIZE + 1] = { 0 };
    mesh__trace_format(&context, out);
    ck_assert_str_eq(out, "00-01000000000000000000000000000000-0200000000000000-03");
    char hex[9] = "........";
    mesh__hex((const uint8_t[]){ 0x00, 0x9a, 0xff }, 3, hex);
    ck_assert_str_eq(hex, "009aff..");
}
END_TEST

/* `count` times "k<number>=" and `value_size` times 'v', joined by `separator`. */
static size_t members(char *out, size_t count, size_t value_size, const char *separator)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            for (const char *c = separator; *c != '\0'; c++)
                out[size++] = *c;
        out[size++] = 'k';
        out[size++] = (char)('0' + i / 10);
        out[size++] = (char)('0' + i % 10);
        out[size++] = '=';
        memset(out + size, 'v', value_size);
        size += value_size;
    }
    return size;
}

static const struct {
    const char *text;
    size_t size;
    bool valid;
} states[] = {
    { T("foo=1"), true },
    { T("foo=1,bar=2"), true },
    { T("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"), true },
    { T("foo=1 \t , \t bar=2, \t baz=3"), true },
    { T("foo=1,,,"), true },
    { T(",foo=1"), true },
    { T("fw529a3039@dt=FfffffffX"), true },
    { T("0a=1"), true },
    { T("a_-*/@9=1"), true },
    { T("foo=a b"), true },
    { T("foo=!\"#$%&'()*+-./:;<>?@[\\]^_`{|}~"), true },
    { T("foo=  a"), true },
    { T(""), false },
    { T(","), false },
    { T(" "), false },
    { T("foo"), false },
    { T("foo="), false },
    { T("foo= "), false },
    { T("=1"), false },
    { T("foo@=1,bar=2,=3"), false },
    { T("@foo=1"), false },
    { T("_foo=1"), false },
    { T("Foo=1"), false },
    { T("foO=1"), false },
    { T("foo =1"), false },
    { T("foo.bar=1"), false },
    { T("f\0o=1"), false },
    { T("foo=1=2"), false },
    { T("foo=1;bar=2"), false },
    { T("foo=1,foo=1"), false },
    { T("foo=1,foo=2"), false },
    { T("foo=1,bar=2,baz=3,bar=4"), false },
    { T("foo=a\tb"), false },
    { T("foo=\x7f"), false },
    { T("foo=\xc3\xa4"), false },
    { T("foo=a\0b"), false },
    { T("foo=1 bar=2"), false },
};

START_TEST(tracestates)
{
    ck_assert_msg(mesh__tracestate_valid(mesh__view(states[_i].text, states[_i].size)) == states[_i].valid, "\"%s\"",
                  states[_i].text);
}
END_TEST

START_TEST(tracestate_limits)
{
    char text[16384];
    ck_assert(mesh__tracestate_valid(mesh__view(text, members(text, 32, 1, ","))));
    ck_assert(!mesh__tracestate_valid(mesh__view(text, members(text, 33, 1, ","))));
    ck_assert(mesh__tracestate_valid(mesh__view(text, members(text, 32, 1, ",,"))));
    size_t size = members(text, 32, 256, ",");
    ck_assert_msg(size > 512 && mesh__tracestate_valid(mesh__view(text, size)), "more than 512 characters");
    ck_assert(!mesh__tracestate_valid(mesh__view(text, members(text, 32, 257, ","))));
    memset(text, 'k', 300);
    text[256] = '=';
    ck_assert(mesh__tracestate_valid(mesh__view(text, 258)));
    text[256] = 'k';
    text[257] = '=';
    ck_assert(!mesh__tracestate_valid(mesh__view(text, 259)));
    ck_assert(!mesh__tracestate_valid(mesh__view(NULL, 0)));
}
END_TEST

static const struct {
    const char *text;
    size_t size;
    bool valid;
} baggages[] = {
    { T("key1=value1"), true },
    { T("key1=value1;property1;property2, key2 = value2, key3=value3; propertyKey=propertyValue"), true },
    { T("key1=value1 \t ; \t a \t = b \t,\tkey2=c"), true },
    { T("key="), true },
    { T("key=a=b"), true },
    { T("key=%20%C3%A4"), true },
    { T("!#$%&'*+-.^_`|~=!#$%&'()*+-./:<=>?@[]^_`{|}~"), true },
    { T("a=1,a=1"), true },
    { T("a=1,,b=2,"), true },
    { T(""), false },
    { T(" , "), false },
    { T("key"), false },
    { T("=value"), false },
    { T(";a=b"), false },
    { T("key;a=b"), false },
    { T("key=value;"), false },
    { T("key=value;=b"), false },
    { T("key=value;a b"), false },
    { T("k y=value"), false },
    { T("k(y=value"), false },
    { T("key=a b"), false },
    { T("key=\"a\""), false },
    { T("key=a\\b"), false },
    { T("key=\xc3\xa4"), false },
    { T("key=a\tb"), false },
    { T("key=a\x7f"), false },
    { T("key=a\0b"), false },
    { T("key=value;a=b c"), false },
};

START_TEST(baggage_texts)
{
    ck_assert_msg(mesh__baggage_valid(mesh__view(baggages[_i].text, baggages[_i].size)) == baggages[_i].valid, "\"%s\"",
                  baggages[_i].text);
}
END_TEST

START_TEST(baggage_limits)
{
    char text[16384];
    ck_assert(mesh__baggage_valid(mesh__view(text, members(text, 64, 1, ","))));
    ck_assert(!mesh__baggage_valid(mesh__view(text, members(text, 65, 1, ","))));
    ck_assert(mesh__baggage_valid(mesh__view(text, members(text, 64, 1, ",, "))));
    ck_assert_uint_eq(members(text, 1, 8192 - 4, ","), 8192);
    ck_assert(mesh__baggage_valid(mesh__view(text, 8192)));
    ck_assert_uint_eq(members(text, 1, 8193 - 4, ","), 8193);
    ck_assert(!mesh__baggage_valid(mesh__view(text, 8193)));
    ck_assert(!mesh__baggage_valid(mesh__view(NULL, 0)));
}
END_TEST

#define COUNT(rows) ((int)(sizeof(rows) / sizeof *(rows)))

int main(void)
{
    Suite *suite = suite_create("trace");
    TCase *tcase = tcase_create("trace");
    tcase_add_loop_test(tcase, traceparents, 0, COUNT(parents));
    tcase_add_test(tcase, formats_only_known_flags);
    tcase_add_loop_test(tcase, tracestates, 0, COUNT(states));
    tcase_add_test(tcase, tracestate_limits);
    tcase_add_loop_test(tcase, baggage_texts, 0, COUNT(baggages));
    tcase_add_test(tcase, baggage_limits);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
