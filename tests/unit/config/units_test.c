/* SPDX-License-Identifier: Apache-2.0 */
/* units_test.c - durations and sizes are exact or refused; the nearest word is the one that was meant. */
#include "config/nearest.h"
#include "config/units.h"

#include <check.h>
#include <stdint.h>
#include <stdlib.h>

#define BAD UINT64_MAX

struct row {
    const char *text;
    uint64_t value;
};

static const struct row durations[] = {
    { "0s", 0 },
    { "1ns", 1 },
    { "25us", 25000 },
    { "250ms", 250000000 },
    { "15s", 15000000000 },
    { "2m", 120000000000 },
    { "24h", 86400000000000 },
    { "0.5s", 500000000 },
    { "1.5h", 5400000000000 },
    { "0.1h", 360000000000 },
    { "0.000000001s", 1 },
    { "0.500000000000s", 500000000 },
    { "0.001us", 1 },
    { "9223372036854775807ns", INT64_MAX },
    { "0007s", 7000000000 },
    { "9223372036854775808ns", BAD },
    { "0.0001us", BAD },
    { "0.5ns", BAD },
    { "0.0000000001s", BAD },
    { "2562048h", BAD },
    { "99999999999999999999s", BAD },
    { "", BAD },
    { "s", BAD },
    { "15", BAD },
    { "15 s", BAD },
    { " 15s", BAD },
    { "15s ", BAD },
    { "15S", BAD },
    { "15sec", BAD },
    { "-1s", BAD },
    { "+1s", BAD },
    { ".5s", BAD },
    { "5.s", BAD },
    { "1e3ms", BAD },
    { "1m30s", BAD },
    { "1,5s", BAD },
    { "8MiB", BAD },
};

static const struct row sizes[] = {
    { "0B", 0 },
    { "1B", 1 },
    { "60KiB", 61440 },
    { "8MiB", 8388608 },
    { "64GiB", 68719476736 },
    { "1KB", 1000 },
    { "1MB", 1000000 },
    { "2GB", 2000000000 },
    { "0.5KiB", 512 },
    { "1.5MB", 1500000 },
    { "8589934591GiB", 9223372035781033984 },
    { "8589934592GiB", BAD },
    { "0.1KiB", BAD },
    { "0.5B", BAD },
    { "8", BAD },
    { "8M", BAD },
    { "8mib", BAD },
    { "8 MiB", BAD },
    { "8b", BAD },
    { "10s", BAD },
};

static const struct row counts[] = {
    { "0", 0 },
    { "1024", 1024 },
    { "18446744073709551614", UINT64_MAX - 1 },
    { "18446744073709551616", BAD },
    { "", BAD },
    { "1.0", BAD },
    { "-1", BAD },
    { "1x", BAD },
};

static void check(bool (*parse)(struct view, uint64_t *), const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value = 0;
        bool ok = parse(mesh__view_of(rows[i].text), &value);
        ck_assert_msg(ok == (rows[i].value != BAD), "\"%s\"", rows[i].text);
        ck_assert_msg(!ok || value == rows[i].value, "\"%s\" is %llu", rows[i].text, (unsigned long long)value);
    }
}

START_TEST(parse)
{
    check(mesh__units_duration, durations, sizeof(durations) / sizeof(durations[0]));
    check(mesh__units_size, sizes, sizeof(sizes) / sizeof(sizes[0]));
    check(mesh__units_count, counts, sizeof(counts) / sizeof(counts[0]));
}
END_TEST

START_TEST(format)
{
    static const struct row rows[] = {
        { "0s", 0 },           { "1ns", 1 },           { "1500ms", 1500000000 },  { "15s", 15000000000 },
        { "1m", 60000000000 }, { "90s", 90000000000 }, { "24h", 86400000000000 }, { "1001us", 1001000 },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[UNITS_TEXT_MAX];
        uint64_t again;
        ck_assert_str_eq(mesh__units_format_duration((mesh_nanos)rows[i].value, text), rows[i].text);
        ck_assert(mesh__units_duration(mesh__view_of(rows[i].text), &again));
        ck_assert_uint_eq(again, rows[i].value);
    }
}
END_TEST

START_TEST(distance)
{
    static const struct {
        const char *a, *b;
        size_t distance;
    } rows[] = {
        { "", "", 0 },
        { "abc", "", 3 },
        { "", "abc", 3 },
        { "timeout", "timeout", 0 },
        { "tmeout", "timeout", 1 },
        { "timeuot", "timeout", 1 },
        { "Timeout", "timeout", 0 },
        { "peak_ewma", "peak-ewma", 0 },
        { "kitten", "sitting", 3 },
        { "ca", "abc", 3 },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_msg(mesh__edit_distance(rows[i].a, rows[i].b) == rows[i].distance, "%s, %s", rows[i].a, rows[i].b);
        ck_assert_msg(mesh__edit_distance(rows[i].b, rows[i].a) == rows[i].distance, "%s, %s", rows[i].b, rows[i].a);
    }
    char longest[66] = "";
    memset(longest, 'x', 64);
    ck_assert_uint_eq(mesh__edit_distance(longest, longest), 0);
    ck_assert_uint_eq(mesh__edit_distance(longest, ""), 64);
    longest[64] = 'x';
    ck_assert_uint_eq(mesh__edit_distance(longest, "x"), SIZE_MAX);
}
END_TEST

START_TEST(nearest_word)
{
    static const struct {
        const char *word, *best;
    } rows[] = {
        { "tiemout", "timeout" },
        { "timeouts", "timeout" },
        { "Retry", "retry" },
        { "rety", "retry" },
        { "connectTimeout", "connect_timeout" },
        { "bananas", NULL },
        { "", NULL },
        { "x", NULL },
        { "timeout", "timeout" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct nearest nearest = { rows[i].word, NULL, 0 };
        mesh__nearest_offer(&nearest, "retry");
        mesh__nearest_offer(&nearest, "connect_timeout");
        mesh__nearest_offer(&nearest, "timeout");
        mesh__nearest_offer(&nearest, "balancer");
        ck_assert_msg((nearest.best == NULL) == (rows[i].best == NULL), "%s", rows[i].word);
        if (nearest.best != NULL)
            ck_assert_str_eq(nearest.best, rows[i].best);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config/units");
    TCase *tcase = tcase_create("units");
    tcase_add_test(tcase, parse);
    tcase_add_test(tcase, format);
    tcase_add_test(tcase, distance);
    tcase_add_test(tcase, nearest_word);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
