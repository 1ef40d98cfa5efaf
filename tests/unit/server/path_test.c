/* SPDX-License-Identifier: Apache-2.0 */
/* path_test.c - the normal form of paths, and which have none; against a slow reader of segments for random ones. */
#include "server/path.h"

#include "base/rng.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *target, *normal; /* NULL: none */
} rows[] = {
    { "/", "/" },
    { "/a", "/a" },
    { "/a/", "/a/" },
    { "/a?b=/../c", "/a" },
    { "/?", "/" },
    { "*", "*" },
    { "*?x", "*" },
    { "//", "/" },
    { "//a", "/a" },
    { "/a//b///c//", "/a/b/c/" },
    { "/.", "/" },
    { "/..", "/" },
    { "/../../a", "/a" },
    { "/a/.", "/a/" },
    { "/a/..", "/" },
    { "/a/../", "/" },
    { "/a/./b", "/a/b" },
    { "/a/b/../../c", "/c" },
    { "/a/b/..", "/a/" },
    { "/.a", "/.a" },
    { "/..a/...", "/..a/..." },
    { "/%61", "/a" },
    { "/%61%2e", "/a." },
    { "/a/%2e%2E/b", "/b" },
    { "/a/.%2e/b", "/b" },
    { "/a/%2e/b", "/a/b" },
    { "/%2561", "/%61" }, /* once */
    { "/a%3fb", "/a?b" },
    { "/a%23b", "/a#b" },
    { "/%c3%A9", "/\xc3\xa9" },
    { "/a;b=c", "/a;b=c" },
    { "/a b", "/a b" },
    { "/a+b", "/a+b" },
    { "", NULL },
    { "a", NULL },
    { "?a", NULL },
    { "**", NULL },
    { "%2fa", NULL },
    { "/%", NULL },
    { "/%6", NULL },
    { "/%6?1", NULL },
    { "/%g1", NULL },
    { "/%1g", NULL },
    { "/a%2fb", NULL },
    { "/a%2Fb", NULL },
    { "/a%5cb", NULL },
    { "/a\\b", NULL },
    { "/a%00", NULL },
    { "/a%0a", NULL },
    { "/a%7f", NULL },
    { "/a\x01", NULL },
    { "/a#b", NULL },
    { "/a//../b", NULL },
    { "//..", NULL },
    { "/a//b/../../c", NULL },
};

START_TEST(test_rows)
{
    const char *target = rows[_i].target, *normal = rows[_i].normal;
    size_t size = strlen(target), got = 0;
    char *out = malloc(size + (size == 0)); /* as small as it may be, so that a sanitizer sees a step too far */
    ck_assert_ptr_nonnull(out);
    bool ok = mesh__path_normalize(mesh__view(target, size), out, &got);
    ck_assert_msg(ok == (normal != NULL), "%s: %.*s", target, ok ? (int)got : 0, out);
    if (ok)
        ck_assert_msg(got == strlen(normal) && memcmp(out, normal, got) == 0, "%s: %.*s", target, (int)got, out);
    free(out);
}
END_TEST

/* What a file system makes of a path, segment by segment, by a stack of copies. */
static void walk(const char *path, char out[100])
{
    char stack[50][50];
    size_t depth = 0;
    bool folder = true;
    for (const char *at = path; *at; at += strcspn(at, "/")) {
        at += strspn(at, "/");
        int size = (int)strcspn(at, "/");
        char segment[50];
        (void)snprintf(segment, sizeof(segment), "%.*s", size, at);
        folder = size == 0 || strcmp(segment, ".") == 0 || strcmp(segment, "..") == 0;
        if (strcmp(segment, "..") == 0)
            depth -= depth > 0;
        else if (!folder)
            memcpy(stack[depth++], segment, sizeof(segment));
    }
    char *end = out;
    for (size_t i = 0; i < depth; i++) {
        *end++ = '/';
        size_t length = strlen(stack[i]);
        memcpy(end, stack[i], length);
        end += length;
    }
    memcpy(end, folder ? "/" : "", folder ? 2 : 1);
}

START_TEST(test_random_segments)
{
    static const char letters[] = "/./.ab";
    struct rng rng;
    int judged = 0;
    mesh__rng_init(&rng, 7);
    for (int round = 0; round < 100000; round++) {
        char path[40] = "/", out[40], expected[100];
        size_t size = 1 + (size_t)(mesh__rng_next(&rng) % 20), got = 0;
        for (size_t i = 1; i < size; i++)
            path[i] = letters[mesh__rng_next(&rng) % (sizeof(letters) - 1)];
        path[size] = '\0';
        if (!mesh__path_normalize(mesh__view(path, size), out, &got)) {
            ck_assert_msg(strstr(path, "//") && strstr(path, ".."), "%s", path);
            continue;
        }
        walk(path, expected);
        judged++;
        ck_assert_msg(got == strlen(expected) && memcmp(out, expected, got) == 0, "%s: %.*s, not %s", path, (int)got,
                      out, expected);
        size_t again = 0;
        char twice[40];
        ck_assert(mesh__path_normalize(mesh__view(out, got), twice, &again));
        ck_assert_msg(again == got && memcmp(out, twice, got) == 0, "%s", path); /* a normal form is its own */
    }
    ck_assert_int_gt(judged, 50000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("path");
    TCase *tcase = tcase_create("all");
    suite_add_tcase(suite, tcase);
    tcase_add_loop_test(tcase, test_rows, 0, sizeof(rows) / sizeof(rows[0]));
    tcase_add_test(tcase, test_random_segments);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
