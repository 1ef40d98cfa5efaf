/* SPDX-License-Identifier: Apache-2.0 */
/* spiffe_test.c - SPIFFE ids: every byte at every kind of place, the limits, namespaces, and patterns.
 *
 * Row 97: what SPIFFE-ID section 2 forbids is refused. Row 94: no id of a trust domain whose name begins alike. */
#include "wire/spiffe.h"

#include <check.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct view of(const char *text)
{
    return mesh__view_of(text);
}

START_TEST(accepted)
{
    static const struct {
        const char *text, *domain, *path;
    } rows[] = {
        { "spiffe://shop", "shop", "" },
        { "spiffe://shop/order", "shop", "/order" },
        { "spiffe://shop/ns/prod/sa/order", "shop", "/ns/prod/sa/order" },
        { "spiffe://a.b-c_d.9/Z", "a.b-c_d.9", "/Z" },
        { "spiffe://1.2.3.4/a", "1.2.3.4", "/a" },
        { "spiffe://-/-", "-", "/-" },
        { "spiffe://_/_", "_", "/_" },
        { "spiffe://xn--caf-dma/a", "xn--caf-dma", "/a" },
        { "spiffe://shop/...", "shop", "/..." },
        { "spiffe://shop/.a/b./..c", "shop", "/.a/b./..c" },
        { "spiffe://shop/a.b/c-d/e_f/09AZaz", "shop", "/a.b/c-d/e_f/09AZaz" },
        { "spiffe://spiffe/spiffe", "spiffe", "/spiffe" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct spiffe_id id;
        const char *problem = mesh__spiffe_parse(of(rows[i].text), &id);
        ck_assert_msg(problem == NULL, "%s: %s", rows[i].text, problem);
        ck_assert_msg(id.text.data == rows[i].text && id.text.size == strlen(rows[i].text), "%s", rows[i].text);
        ck_assert_msg(mesh__view_equal(id.trust_domain, of(rows[i].domain)), "%s", rows[i].text);
        ck_assert_msg(mesh__view_equal(id.path, of(rows[i].path)), "%s", rows[i].text);
    }
}
END_TEST

/* Row 97. Each text is refused in the words that name its defect. */
START_TEST(refused)
{
    static const struct {
        const char *text, *words;
    } rows[] = {
        { "", "begins with" },
        { "s", "begins with" },
        { "shop/order", "begins with" },
        { "spiffe", "begins with" },
        { "spiffe:/", "begins with" },
        { "spiffe:shop/order", "begins with" },
        { "spiffe:/shop/order", "begins with" },
        { "//shop/order", "begins with" },
        { "http://shop/order", "begins with" },
        { "https://shop/order", "begins with" },
        { "SPIFFE://shop/order", "begins with" },
        { "Spiffe://shop/order", "begins with" },
        { "spiffes://shop/order", "begins with" },
        { "xspiffe://shop/order", "begins with" },
        { " spiffe://shop/order", "begins with" },
        { "spiffe://", "needs a trust domain" },
        { "spiffe:///", "needs a trust domain" },
        { "spiffe:///order", "needs a trust domain" },
        { "spiffe://Shop/order", "trust domain holds" },
        { "spiffe://shop:80/order", "trust domain holds" },
        { "spiffe://shop:/order", "trust domain holds" },
        { "spiffe://user@shop/order", "trust domain holds" },
        { "spiffe://user:word@shop/order", "trust domain holds" },
        { "spiffe://@shop/order", "trust domain holds" },
        { "spiffe://sh%6fp/order", "trust domain holds" },
        { "spiffe://[::1]/order", "trust domain holds" },
        { "spiffe://shop?query", "trust domain holds" },
        { "spiffe://shop#fragment", "trust domain holds" },
        { "spiffe://caf\xc3\xa9/order", "trust domain holds" },
        { "spiffe://shop*/order", "trust domain holds" },
        { "spiffe://shop ", "trust domain holds" },
        { "spiffe://shop\\order", "trust domain holds" },
        { "spiffe://shop/", "end in a slash" },
        { "spiffe://shop/order/", "end in a slash" },
        { "spiffe://shop//", "empty segment" },
        { "spiffe://shop//order", "empty segment" },
        { "spiffe://shop/a//b", "empty segment" },
        { "spiffe://shop/.", "no segment" },
        { "spiffe://shop/..", "no segment" },
        { "spiffe://shop/./a", "no segment" },
        { "spiffe://shop/../a", "no segment" },
        { "spiffe://shop/a/.", "no segment" },
        { "spiffe://shop/a/..", "no segment" },
        { "spiffe://shop/a/../b", "no segment" },
        { "spiffe://shop/a/./b", "no segment" },
        { "spiffe://shop/%61", "path holds" },
        { "spiffe://shop/a%2fb", "path holds" },
        { "spiffe://shop/a?query", "path holds" },
        { "spiffe://shop/a#fragment", "path holds" },
        { "spiffe://shop/a;b", "path holds" },
        { "spiffe://shop/a:b", "path holds" },
        { "spiffe://shop/a@b", "path holds" },
        { "spiffe://shop/a b", "path holds" },
        { "spiffe://shop/*", "path holds" },
        { "spiffe://shop/a\n", "path holds" },
        { "spiffe://shop/caf\xc3\xa9", "path holds" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct spiffe_id id;
        const char *problem = mesh__spiffe_parse(of(rows[i].text), &id);
        ck_assert_msg(problem != NULL, "%s was accepted", rows[i].text);
        ck_assert_msg(strstr(problem, rows[i].words) != NULL, "%s: %s", rows[i].text, problem);
        ck_assert_msg(id.text.size == 0 && id.trust_domain.size == 0 && id.path.size == 0, "%s", rows[i].text);
    }
}
END_TEST

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define OTHERS "0123456789.-_"

/* Row 97. All 256 bytes at each place: what is listed is accepted there, and nothing else. */
START_TEST(sweep)
{
    static const struct {
        const char *text; /* the byte goes where the '!' is */
        const char *good;
    } rows[] = {
        { "!piffe://shop/order", "s" },
        { "spiff!://shop/order", "e" },
        { "spiffe!//shop/order", ":" },
        { "spiffe:!/shop/order", "/" },
        { "spiffe:/!shop/order", "/" },
        { "spiffe://!", LOWER OTHERS },
        { "spiffe://!hop", LOWER OTHERS },
        { "spiffe://s!p", LOWER OTHERS "/" },
        { "spiffe://sho!", LOWER OTHERS },
        { "spiffe://sho!/order", LOWER OTHERS },
        { "spiffe://shop!order", LOWER OTHERS "/" },
        { "spiffe://shop!/order", LOWER OTHERS },
        { "spiffe://shop/!", LOWER UPPER "0123456789-_" },
        { "spiffe://shop/.!", LOWER UPPER "0123456789-_" },
        { "spiffe://shop/..!", LOWER UPPER OTHERS },
        { "spiffe://shop/!a", LOWER UPPER OTHERS },
        { "spiffe://shop/a!b", LOWER UPPER OTHERS "/" },
        { "spiffe://shop/a!", LOWER UPPER OTHERS },
        { "spiffe://shop/a/!/b", LOWER UPPER "0123456789-_" },
        { "spiffe://shop/a!/b", LOWER UPPER OTHERS },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t at = strcspn(rows[i].text, "!"), size = strlen(rows[i].text);
        for (int byte = 0; byte < 256; byte++) {
            char text[64];
            memcpy(text, rows[i].text, size);
            text[at] = (char)byte;
            struct spiffe_id id;
            bool good = mesh__spiffe_parse(mesh__view(text, size), &id) == NULL;
            bool expected = byte != 0 && strchr(rows[i].good, byte) != NULL;
            ck_assert_msg(good == expected, "%s with 0x%02x: %s", rows[i].text, (unsigned)byte,
                          good ? "accepted" : "refused");
        }
    }
}
END_TEST

/* Row 97. 2048 bytes and a trust domain of 255 are accepted, and not one more. */
START_TEST(lengths)
{
    static char text[SPIFFE_ID_MAX + 2];
    memset(text, 'a', sizeof(text));
    memcpy(text, "spiffe://shop/", 14);
    struct spiffe_id id;
    for (size_t size = 15; size <= SPIFFE_ID_MAX; size++)
        ck_assert_msg(mesh__spiffe_parse(mesh__view(text, size), &id) == NULL, "%zu bytes", size);
    ck_assert_uint_eq(id.path.size, SPIFFE_ID_MAX - 13);
    ck_assert_str_eq(mesh__spiffe_parse(mesh__view(text, SPIFFE_ID_MAX + 1), &id),
                     "a SPIFFE id is at most 2048 bytes long");
    for (size_t domain = 1; domain <= SPIFFE_DOMAIN_MAX + 1; domain++) {
        bool good = domain <= SPIFFE_DOMAIN_MAX;
        memset(text, 'a', sizeof(text));
        memcpy(text, "spiffe://", 9);
        ck_assert_msg((mesh__spiffe_parse(mesh__view(text, 9 + domain), &id) == NULL) == good, "%zu bytes", domain);
        memcpy(text + 9 + domain, "/b", 2);
        ck_assert_msg((mesh__spiffe_parse(mesh__view(text, 11 + domain), &id) == NULL) == good, "%zu bytes", domain);
        ck_assert_uint_eq(id.trust_domain.size, good ? domain : 0);
        ck_assert_msg((mesh__spiffe_check_domain(mesh__view(text + 9, domain)) == NULL) == good, "%zu bytes", domain);
    }
}
END_TEST

START_TEST(domains)
{
    static const char *const good[] = { "shop", "shop.example", "a", "0", "a_b-c.d" };
    static const char *const bad[] = { "", "Shop", "shop/", "shop:80", "spiffe://shop", "sh op", "sh%6fp", "*", "a@b" };
    for (size_t i = 0; i < COUNT(good); i++)
        ck_assert_msg(mesh__spiffe_check_domain(of(good[i])) == NULL, "%s", good[i]);
    for (size_t i = 0; i < COUNT(bad); i++)
        ck_assert_msg(mesh__spiffe_check_domain(of(bad[i])) != NULL, "%s", bad[i]);
    ck_assert_ptr_nonnull(mesh__spiffe_check_domain(mesh__view("shop\0", 5)));
}
END_TEST

START_TEST(namespaces)
{
    static const struct {
        const char *text, *name;
    } rows[] = {
        { "spiffe://shop/ns/prod/sa/order", "prod" },
        { "spiffe://shop/ns/ns/sa/sa", "ns" },
        { "spiffe://shop/ns/sa/sa/ns", "sa" },
        { "spiffe://shop", "" },
        { "spiffe://shop/order", "" },
        { "spiffe://shop/ns", "" },
        { "spiffe://shop/ns/prod", "" },
        { "spiffe://shop/ns/prod/sa", "" },
        { "spiffe://shop/ns/prod/sb/order", "" },
        { "spiffe://shop/ns/prod/sa/order/x", "" },
        { "spiffe://shop/ns/prod/x/sa/order", "" },
        { "spiffe://shop/x/ns/prod/sa/order", "" },
        { "spiffe://shop/NS/prod/sa/order", "" },
        { "spiffe://shop/ns/prod/saorder", "" },
        { "spiffe://shop/nsx/prod/sa/order", "" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct spiffe_id id;
        ck_assert_ptr_null(mesh__spiffe_parse(of(rows[i].text), &id));
        ck_assert_msg(mesh__view_equal(mesh__spiffe_namespace(&id), of(rows[i].name)), "%s", rows[i].text);
    }
}
END_TEST

/* Row 94. Below the pattern's slash, in exactly its trust domain. */
START_TEST(patterns)
{
    static const struct {
        const char *pattern, *id;
        bool matches;
    } rows[] = {
        { "spiffe://shop/order", "spiffe://shop/order", true },
        { "spiffe://shop/order", "spiffe://shop/orders", false },
        { "spiffe://shop/order", "spiffe://shop/orde", false },
        { "spiffe://shop/order", "spiffe://shop/order/a", false },
        { "spiffe://shop/order", "spiffe://shop/Order", false },
        { "spiffe://shop/order", "spiffe://shop", false },
        { "spiffe://shop/order", "spiffe://shoq/order", false },
        { "spiffe://td.example/a", "spiffe://td.example.evil/a", false },
        { "spiffe://td.example/*", "spiffe://td.example/a", true },
        { "spiffe://td.example/*", "spiffe://td.example/a/b", true },
        { "spiffe://td.example/*", "spiffe://td.example", false },
        { "spiffe://td.example/*", "spiffe://td.example.evil", false },
        { "spiffe://td.example/*", "spiffe://td.example.evil/a", false },
        { "spiffe://td.example/*", "spiffe://td.example-evil/a", false },
        { "spiffe://td.example/*", "spiffe://td.exampl/e/a", false },
        { "spiffe://td.example/*", "spiffe://evil.td.example/a", false },
        { "spiffe://td.example/*", "spiffe://evil/td.example/a", false },
        { "spiffe://shop/ns/prod/*", "spiffe://shop/ns/prod/sa/order", true },
        { "spiffe://shop/ns/prod/*", "spiffe://shop/ns/prod/x", true },
        { "spiffe://shop/ns/prod/*", "spiffe://shop/ns/prod", false },
        { "spiffe://shop/ns/prod/*", "spiffe://shop/ns/production/sa/order", false },
        { "spiffe://shop/ns/prod/*", "spiffe://shop/ns/proe/sa/order", false },
        { "spiffe://shop/ns/prod/*", "spiffe://shop/ns", false },
        { "spiffe://shop/ns/prod/*", "spiffe://shop/x/ns/prod/sa/order", false },
        { "spiffe://shop/ns/prod/*", "spiffe://shoq/ns/prod/sa/order", false },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct spiffe_pattern pattern;
        struct spiffe_id id;
        ck_assert_ptr_null(mesh__spiffe_parse_pattern(of(rows[i].pattern), &pattern));
        ck_assert_ptr_null(mesh__spiffe_parse(of(rows[i].id), &id));
        ck_assert_msg(mesh__spiffe_matches(&pattern, &id) == rows[i].matches, "%s, %s", rows[i].pattern, rows[i].id);
    }
}
END_TEST

/* An id ends where its view does, whatever comes then. */
START_TEST(ends)
{
    static const char text[] = "spiffe://shop/ns/prod/sa/order";
    struct spiffe_pattern pattern;
    struct spiffe_id id;
    ck_assert_ptr_null(mesh__spiffe_parse_pattern(of("spiffe://shop/ns/prod/*"), &pattern));
    for (size_t size = 13; size < sizeof(text); size++) {
        bool good = text[size - 1] != '/';
        ck_assert_msg((mesh__spiffe_parse(mesh__view(text, size), &id) == NULL) == good, "%zu bytes", size);
        ck_assert_msg(!good || mesh__spiffe_matches(&pattern, &id) == (size > 22), "%zu bytes", size);
        ck_assert_msg(!good || mesh__spiffe_namespace(&id).size == (size > 25 ? 4 : 0), "%zu bytes", size);
    }
}
END_TEST

START_TEST(no_patterns)
{
    static const char *const rows[] = { "",
                                        "*",
                                        "/*",
                                        "shop/*",
                                        "spiffe://*",
                                        "spiffe:///*",
                                        "spiffe://shop",
                                        "spiffe://shop*",
                                        "spiffe://*/order",
                                        "spiffe://*.example/*",
                                        "spiffe://shop/",
                                        "spiffe://shop//*",
                                        "spiffe://shop/**",
                                        "spiffe://shop/*/*",
                                        "spiffe://shop/ns*",
                                        "spiffe://shop/ns/*/sa",
                                        "spiffe://shop/../*",
                                        "spiffe://Shop/*",
                                        "spiffe://shop/{*}" };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct spiffe_pattern pattern;
        ck_assert_msg(mesh__spiffe_parse_pattern(of(rows[i]), &pattern) != NULL, "%s", rows[i]);
        ck_assert_msg(pattern.id.text.size == 0, "%s", rows[i]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("spiffe");
    TCase *tcase = tcase_create("spiffe");
    tcase_add_test(tcase, accepted);
    tcase_add_test(tcase, refused);
    tcase_add_test(tcase, sweep);
    tcase_add_test(tcase, lengths);
    tcase_add_test(tcase, domains);
    tcase_add_test(tcase, namespaces);
    tcase_add_test(tcase, patterns);
    tcase_add_test(tcase, ends);
    tcase_add_test(tcase, no_patterns);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
