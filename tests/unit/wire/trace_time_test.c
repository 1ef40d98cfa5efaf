/* SPDX-License-Identifier: Apache-2.0 */
/* trace_time_test.c - timeouts and dates in fields. */
#include "wire/trace.h"

#include <check.h>
#include <time.h>

#define T(text) text, sizeof(text) - 1
#define S NANOS_S
#define NOV_1994 INT64_C(784111777) /* Sun, 06 Nov 1994 08:49:37 GMT */

struct row {
    const char *text;
    size_t size;
    mesh_nanos expected;
};

static const struct row envoy[] = {
    { T("0"), 0 },
    { T("1"), NANOS_MS },
    { T("0250"), 250 * NANOS_MS },
    { T("9999999999"), INT64_C(9999999999) * NANOS_MS },
    { T("10000000000"), -1 },
    { T(""), -1 },
    { T("-1"), -1 },
    { T("+1"), -1 },
    { T("1.5"), -1 },
    { T(" 1"), -1 },
    { T("1 "), -1 },
    { T("1s"), -1 },
    { T("0x1"), -1 },
    { T("1\0"), -1 },
};

START_TEST(envoy_timeouts)
{
    ck_assert_int_eq(mesh__envoy_timeout_parse(mesh__view(envoy[_i].text, envoy[_i].size)), envoy[_i].expected);
}
END_TEST

static const struct row grpc[] = {
    { T("1H"), 3600 * S },
    { T("2M"), 120 * S },
    { T("3S"), 3 * S },
    { T("4m"), 4 * NANOS_MS },
    { T("5u"), 5 * NANOS_US },
    { T("6n"), 6 },
    { T("0n"), 0 },
    { T("99999999n"), 99999999 },
    { T("99999999S"), 99999999 * S },
    { T("99999999H"), NANOS_NEVER },
    { T("100000000n"), -1 },
    { T("000000001n"), -1 },
    { T("1"), -1 },
    { T("n"), -1 },
    { T(""), -1 },
    { T("1h"), -1 },
    { T("1s"), -1 },
    { T("-1S"), -1 },
    { T("1.5S"), -1 },
    { T("1 S"), -1 },
    { T("1S "), -1 },
    { T(" 1S"), -1 },
    { T("1\0"), -1 },
};

START_TEST(grpc_timeouts)
{
    ck_assert_int_eq(mesh__grpc_timeout_parse(mesh__view(grpc[_i].text, grpc[_i].size)), grpc[_i].expected);
}
END_TEST

/* Read at 08:49:37 on 6 November 1994. */
static const struct row retry_after[] = {
    { T("0"), 0 },
    { T("1"), S },
    { T("007"), 7 * S },
    { T("300"), 300 * S },
    { T("301"), 300 * S },
    { T("1000000000"), 300 * S },
    { T("99999999999999999999999999999999"), 300 * S },
    { T("00000000000000000000000000000000"), 0 },
    { T("00000000000000000000000000000009"), 9 * S },
    { T(""), -1 },
    { T("-1"), -1 },
    { T("+1"), -1 },
    { T("1.5"), -1 },
    { T("1s"), -1 },
    { T(" 1"), -1 },
    { T("soon"), -1 },
    { T("Sun, 06 Nov 1994 08:49:37 GMT"), 0 },
    { T("Sun, 06 Nov 1994 08:49:47 GMT"), 10 * S },
    { T("Sun, 06 Nov 1994 08:49:36 GMT"), 0 },
    { T("Sun, 06 Nov 1994 08:54:37 GMT"), 300 * S },
    { T("Sun, 06 Nov 1994 08:54:38 GMT"), 300 * S },
    { T("Sun, 06 Nov 1994 08:50:60 GMT"), 83 * S },
    { T("Mon, 01 Jan 1900 00:00:00 GMT"), 0 },
    { T("Mon, 01 Jan 0001 00:00:00 GMT"), 0 },
    { T("Fri, 31 Dec 9999 23:59:59 GMT"), 300 * S },
    { T("Sunday, 06-Nov-94 08:49:47 GMT"), 10 * S },
    { T("Sunday, 06-Nov-44 08:49:47 GMT"), 300 * S },
    { T("Sunday, 06-Nov-45 08:49:47 GMT"), 0 },
    { T("Wednesday, 06-Nov-93 08:49:47 GMT"), 0 },
    { T("Sun Nov  6 08:49:47 1994"), 10 * S },
    { T("Sun Nov 06 08:49:47 1994"), 10 * S },
    { T("Sun Nov 16 08:49:47 1994"), 300 * S },
    { T("Mon, 29 Feb 1996 00:00:00 GMT"), 300 * S },
    { T("Mon, 29 Feb 1995 00:00:00 GMT"), -1 },
    { T("Mon, 29 Feb 1900 00:00:00 GMT"), -1 },
    { T("Mon, 29 Feb 2000 00:00:00 GMT"), 300 * S },
    { T("Mon, 31 Apr 1995 00:00:00 GMT"), -1 },
    { T("Mon, 00 Apr 1995 00:00:00 GMT"), -1 },
    { T("Mon, 01 Apr 0000 00:00:00 GMT"), -1 },
    { T("Sun, 06 Nov 1994 24:00:00 GMT"), -1 },
    { T("Sun, 06 Nov 1994 08:60:00 GMT"), -1 },
    { T("Sun, 06 Nov 1994 08:49:61 GMT"), -1 },
    { T("Sun, 06 Nov 1994 08:49:47 UTC"), -1 },
    { T("Sun, 06 Nov 1994 08:49:47 +0000"), -1 },
    { T("Sun, 06 Nov 1994 08:49:47"), -1 },
    { T("Sun, 06 Nov 1994 08:49:47 GMT "), -1 },
    { T("Sun, 6 Nov 1994 08:49:47 GMT"), -1 },
    { T("sun, 06 nov 1994 08:49:47 gmt"), -1 },
    { T("Sun, 06 Now 1994 08:49:47 GMT"), -1 },
    { T("Sum, 06 Nov 1994 08:49:47 GMT"), -1 },
    { T("Sunday, 06-Nov-1994 08:49:47 GMT"), -1 },
    { T("Someday, 06-Nov-94 08:49:47 GMT"), -1 },
    { T("Sun Nov  6 08:49:47 94"), -1 },
    { T("Sun, "), -1 },
    { T("Su"), -1 },
};

START_TEST(retry_afters)
{
    const struct row *row = &retry_after[_i];
    mesh_nanos got = mesh__retry_after_parse(mesh__view(row->text, row->size), NOV_1994);
    ck_assert_msg(got == row->expected, "\"%s\": %lld, not %lld", row->text, (long long)got, (long long)row->expected);
}
END_TEST

START_TEST(two_digit_years_lie_near_now)
{
    int64_t in_2080 = INT64_C(3471292800); /* 1 January 2080 */
    ck_assert_int_eq(mesh__retry_after_parse(VIEW_LITERAL("Friday, 01-Jan-10 00:00:00 GMT"), in_2080), 300 * S);
    ck_assert_int_eq(mesh__retry_after_parse(VIEW_LITERAL("Monday, 01-Jan-80 00:00:07 GMT"), in_2080), 7 * S);
    ck_assert_int_eq(mesh__retry_after_parse(VIEW_LITERAL("Friday, 01-Jan-40 00:00:00 GMT"), in_2080), 0);
}
END_TEST

START_TEST(strange_clocks)
{
    static const int64_t clocks[] = { INT64_MIN, -1, 0, INT64_MAX };
    for (size_t i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        mesh_nanos got = mesh__retry_after_parse(VIEW_LITERAL("Sun, 06 Nov 1994 08:49:37 GMT"), clocks[i]);
        ck_assert_int_eq(got, clocks[i] == INT64_MAX ? 0 : 300 * S);
        char date[30];
        mesh__http_date(clocks[i], date);
        ck_assert_str_eq(date,
                         clocks[i] == INT64_MAX ? "Fri, 31 Dec 9999 23:59:59 GMT" : "Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
END_TEST

START_TEST(dates_are_those_of_the_c_library)
{
    char date[30], expected[64];
    mesh__http_date(NOV_1994, date);
    ck_assert_str_eq(date, "Sun, 06 Nov 1994 08:49:37 GMT");
    /* Every day of 800 years, at changing times of day. */
    for (int64_t second = 0; second < INT64_C(800) * 366 * 86400; second += 86400 + 3607) {
        time_t at = (time_t)second;
        struct tm tm;
        ck_assert_ptr_nonnull(gmtime_r(&at, &tm));
        ck_assert_uint_eq(strftime(expected, sizeof expected, "%a, %d %b %Y %H:%M:%S GMT", &tm), 29);
        mesh__http_date(second, date);
        if (strcmp(date, expected) != 0)
            ck_abort_msg("%lld: %s, not %s", (long long)second, date, expected);
        if (mesh__retry_after_parse(mesh__view(date, 29), second - 9) != (second >= 9 ? 9 : second) * S)
            ck_abort_msg("%s is read as another time", date);
    }
}
END_TEST

#define COUNT(rows) ((int)(sizeof(rows) / sizeof *(rows)))

int main(void)
{
    Suite *suite = suite_create("trace_time");
    TCase *tcase = tcase_create("trace_time");
    tcase_add_loop_test(tcase, envoy_timeouts, 0, COUNT(envoy));
    tcase_add_loop_test(tcase, grpc_timeouts, 0, COUNT(grpc));
    tcase_add_loop_test(tcase, retry_afters, 0, COUNT(retry_after));
    tcase_add_test(tcase, two_digit_years_lie_near_now);
    tcase_add_test(tcase, strange_clocks);
    tcase_add_test(tcase, dates_are_those_of_the_c_library);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
