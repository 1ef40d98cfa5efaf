/* SPDX-License-Identifier: Apache-2.0 */
/* buf_test.c - the cap holds to the byte, a failure is remembered and changes nothing. */
#include "base/buf.h"

#include "poor_mem.h"

#include <check.h>
#include <stdint.h>
#include <stdlib.h>

START_TEST(grows_and_keeps)
{
    struct buf buf;
    mesh__buf_init(&buf, &mesh__mem_system, 100000);
    for (int i = 0; i < 50000; i++)
        if (!mesh__buf_append_char(&buf, (char)i))
            ck_abort_msg("byte %d", i);
    for (int i = 0; i < 50000; i++)
        if (buf.data[i] != (char)i)
            ck_abort_msg("byte %d", i);
    ck_assert_uint_eq(buf.size, 50000);
    mesh__buf_consume(&buf, 49990);
    ck_assert_uint_eq(buf.size, 10);
    ck_assert_int_eq(buf.data[0], (char)49990);
    mesh__buf_consume(&buf, 11);
    ck_assert_uint_eq(buf.size, 0);
    mesh__buf_fini(&buf);
    mesh__buf_fini(&buf);
}
END_TEST

START_TEST(cap)
{
    static const size_t caps[] = { 0, 1, 7, 63, 64, 65, 1000 };
    for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
        struct poor_mem poor;
        struct buf buf;
        poor_init(&poor, 1000);
        mesh__buf_init(&buf, &poor.mem, caps[i]);
        for (size_t n = 0; n < caps[i]; n++)
            ck_assert(mesh__buf_append_char(&buf, 'x'));
        ck_assert_msg(!mesh__buf_append_char(&buf, 'y'), "cap %zu", caps[i]);
        ck_assert(buf.failed && !buf.no_memory);
        ck_assert_uint_eq(buf.size, caps[i]);
        ck_assert_uint_eq(strlen(mesh__buf_text(&buf)), caps[i]);
        ck_assert_msg(poor.largest <= (caps[i] > 63 ? caps[i] + 1 : 64), "cap %zu: %zu bytes", caps[i], poor.largest);
        ck_assert_msg(mesh__buf_append(&buf, NULL, 0) && buf.failed, "a failure is remembered");
        mesh__buf_clear(&buf);
        ck_assert(!buf.failed && buf.size == 0);
        mesh__buf_fini(&buf);
        ck_assert_int_eq(poor.blocks, 0);
    }
}
END_TEST

START_TEST(sizes_that_overflow)
{
    struct buf buf;
    mesh__buf_init(&buf, &mesh__mem_system, SIZE_MAX);
    ck_assert(mesh__buf_append_text(&buf, "abc"));
    static const size_t extras[] = { SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 2, SIZE_MAX - 3 };
    for (size_t i = 0; i < sizeof(extras) / sizeof(extras[0]); i++)
        ck_assert_msg(!mesh__buf_reserve(&buf, extras[i]), "row %zu", i);
    ck_assert_str_eq(mesh__buf_text(&buf), "abc");
    mesh__buf_fini(&buf);
}
END_TEST

START_TEST(without_memory)
{
    struct poor_mem poor;
    struct buf buf;
    poor_init(&poor, 0);
    mesh__buf_init(&buf, &poor.mem, 1000);
    ck_assert_str_eq(mesh__buf_text(&buf), "");
    ck_assert(buf.failed && buf.no_memory);
    mesh__buf_clear(&buf);
    poor.left = 1;
    ck_assert(mesh__buf_append_text(&buf, "kept"));
    ck_assert(!mesh__buf_printf(&buf, "%100d", 1));
    ck_assert(buf.failed && buf.no_memory);
    ck_assert_str_eq(mesh__buf_text(&buf), "kept");
    mesh__buf_fini(&buf);
    ck_assert_int_eq(poor.blocks, 0);
}
END_TEST

START_TEST(text)
{
    struct buf buf;
    mesh__buf_init(&buf, &mesh__mem_system, 20);
    ck_assert_str_eq(mesh__buf_text(&buf), "");
    ck_assert(mesh__buf_printf(&buf, "%s-%d", "a", 12));
    ck_assert(mesh__buf_append_view(&buf, VIEW_LITERAL("<>")));
    ck_assert_str_eq(mesh__buf_text(&buf), "a-12<>");
    ck_assert_uint_eq(buf.size, 6);
    ck_assert_msg(!mesh__buf_printf(&buf, "%s", "fifteen letters"), "past the cap");
    ck_assert_str_eq(mesh__buf_text(&buf), "a-12<>");
    mesh__buf_clear(&buf);
    ck_assert_str_eq(mesh__buf_text(&buf), "");
    mesh__buf_fini(&buf);
}
END_TEST

START_TEST(json)
{
    static const struct {
        const char *text;
        size_t size;
        const char *expected;
    } rows[] = {
        { "plain", 5, "plain" },
        { "\"\\/", 3, "\\\"\\\\/" },
        { "\0\n\x1f\x20\x7f", 5, "\\u0000\\u000a\\u001f \\u007f" },
        { "\xc3\xa9", 2, "\xc3\xa9" },
        { "", 0, "" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf buf;
        mesh__buf_init(&buf, &mesh__mem_system, 100);
        ck_assert(mesh__buf_append_json(&buf, mesh__view(rows[i].text, rows[i].size)));
        ck_assert_str_eq(mesh__buf_text(&buf), rows[i].expected);
        mesh__buf_fini(&buf);
    }
    struct buf small;
    mesh__buf_init(&small, &mesh__mem_system, 3);
    ck_assert(!mesh__buf_append_json(&small, VIEW_LITERAL("ab\n")));
    mesh__buf_fini(&small);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("buf");
    TCase *tcase = tcase_create("buf");
    tcase_add_test(tcase, grows_and_keeps);
    tcase_add_test(tcase, cap);
    tcase_add_test(tcase, sizes_that_overflow);
    tcase_add_test(tcase, without_memory);
    tcase_add_test(tcase, text);
    tcase_add_test(tcase, json);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
