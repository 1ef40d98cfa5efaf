/* SPDX-License-Identifier: Apache-2.0 */
/* http1_check_test.c - every byte in every place, and the fields that an application may not send. */
#include "wire/http1_check.h"

#include <check.h>

#define T(text)                                                                                                        \
    {                                                                                                                  \
        text, sizeof(text) - 1                                                                                         \
    }

static bool in(const char *set, char c)
{
    return c != '\0' && strchr(set, c) != NULL;
}

static bool alphanumeric(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

START_TEST(each_byte_has_its_places)
{
    char c = (char)_i;
    bool visible = _i > ' ' && _i < 0x7f;
    bool tchar = alphanumeric(c) || in("!#$%&'*+-.^_`|~", c);
    char middle[] = { 'a', c, 'a' };
    char path[] = { '/', c, 'a' };
    ck_assert_int_eq(mesh__http1_tchar(c), tchar);
    ck_assert_int_eq(mesh__http1_token(mesh__view(middle, 3)), tchar);
    ck_assert_int_eq(mesh__http1_token(mesh__view(&c, 1)), tchar);
    bool text = c == '\t' || (_i >= ' ' && _i != 0x7f);
    ck_assert_int_eq(mesh__http1_value(mesh__view(middle, 3)), text);
    ck_assert_int_eq(mesh__http1_text(mesh__view(&c, 1)), text);
    ck_assert_int_eq(mesh__http1_value(mesh__view(&c, 1)), text && c != ' ' && c != '\t');
    ck_assert_int_eq(mesh__http1_path(mesh__view(path, 3)), visible && c != '#');
    ck_assert_int_eq(mesh__http1_path(mesh__view(&c, 1)), c == '/' || c == '*');
    ck_assert_int_eq(mesh__http1_authority(mesh__view(middle, 3)), visible && !in("/@?#\\", c));
}
END_TEST

START_TEST(empty_texts)
{
    struct view empty = { NULL, 0 };
    ck_assert(!mesh__http1_token(empty));
    ck_assert(mesh__http1_value(empty));
    ck_assert(mesh__http1_text(empty));
    ck_assert(!mesh__http1_path(empty));
    ck_assert(!mesh__http1_authority(empty));
    ck_assert(!mesh__http1_reserved_field(empty));
    ck_assert(!mesh__http1_path(VIEW_LITERAL("*a")));
    ck_assert(!mesh__http1_path(VIEW_LITERAL("a/")));
    ck_assert(!mesh__http1_value(VIEW_LITERAL("a ")));
    ck_assert(!mesh__http1_value(VIEW_LITERAL("\ta")));
    ck_assert(mesh__http1_authority(VIEW_LITERAL("[::1]:80")));
}
END_TEST

START_TEST(reserved_fields)
{
    static const char *const reserved[] = { "Host", "connection", "CONTENT-LENGTH",    "Keep-Alive", "Proxy-Connection",
                                            "TE",   "Trailer",    "Transfer-Encoding", "upgrade",    "eXpect" };
    static const char *const free_names[] = { "Hosts", "Hos", "Content-Type", "TEx", "X-Host", "Date", "Trailers" };
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        ck_assert_msg(mesh__http1_reserved_field(mesh__view_of(reserved[i])), "%s", reserved[i]);
    for (size_t i = 0; i < sizeof free_names / sizeof *free_names; i++)
        ck_assert_msg(!mesh__http1_reserved_field(mesh__view_of(free_names[i])), "%s", free_names[i]);
}
END_TEST

START_TEST(fields_are_checked_in_order)
{
    static const struct {
        struct view name, value;
        const char *expected; /* a word of the reason; NULL: fine */
    } rows[] = {
        { T("a"), T("b"), NULL },         { T("a"), T(""), NULL },
        { T("a"), T("b\tc \xff"), NULL }, { T(""), T("b"), "token" },
        { T("a:"), T("b"), "token" },     { T("a\r\nb"), T("c"), "token" },
        { T("host"), T("b"), "library" }, { T("a"), T("b\r\nc: d"), "control" },
        { T("a"), T("b\nc"), "control" }, { T("a"), T("b\0c"), "control" },
        { T("a"), T(" b"), "space" },     { T("a"), T("b\t"), "space" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        mesh_header headers[] = { { "x", 1, "y", 1 },
                                  { rows[i].name.data, rows[i].name.size, rows[i].value.data, rows[i].value.size },
                                  { "", 0, "", 0 } };
        size_t at = 9;
        const char *reason = mesh__http1_check_fields(headers, 2, &at);
        if (rows[i].expected == NULL)
            ck_assert_msg(reason == NULL, "row %zu: %s", i, reason);
        else
            ck_assert_msg(reason != NULL && strstr(reason, rows[i].expected) != NULL && at == 1, "row %zu: %s at %zu",
                          i, reason, at);
    }
    size_t at = 0;
    ck_assert_ptr_null(mesh__http1_check_fields(NULL, 0, &at));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http1_check");
    TCase *tcase = tcase_create("check");
    tcase_add_loop_test(tcase, each_byte_has_its_places, 0, 256);
    tcase_add_test(tcase, empty_texts);
    tcase_add_test(tcase, reserved_fields);
    tcase_add_test(tcase, fields_are_checked_in_order);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
