/* SPDX-License-Identifier: Apache-2.0 */
/* dns_system_test.c - hosts files, resolv.conf, literals, and the set that addresses are collected in. */
#include "net/dns_system.h"

#include <arpa/inet.h>
#include <check.h>
#include <stdlib.h>

struct names_row {
    const char *resolv_conf, *host_name, *host;
    const char *names; /* with a blank behind each */
};

static const struct names_row names_rows[] = {
    { "", "box", "a", "a " },
    { "", "box.corp.test", "a", "a.corp.test a " },
    { "search\n", "box.corp.test", "a", "a " },
    { "search x.test y.test\n", "box", "a", "a.x.test a.y.test a " },
    { "search x.test y.test", "box", "a.b", "a.b a.b.x.test a.b.y.test " },
    { "search x.test\n", "box", "a.", "a " },
    { "search x.test\noptions ndots:5 timeout:1\n", "box", "a.b.c", "a.b.c.x.test a.b.c " },
    { "search x.test\noptions ndots:0\n", "box", "a", "a a.x.test " },
    { "search x.test\noptions ndots:99999999999\n", "box", "a.b", "a.b.x.test a.b " },
    { "search x.test\ndomain y.test z.test\n", "box", "a", "a.y.test a " },
    { "domain y.test\nsearch x.test\n", "box", "a", "a.x.test a " },
    { "search x.test. . bad..test\r\n", "box", "a", "a.x.test a " },
    { "# search x.test\n; search x.test\n", "box", "a", "a " },
    { "\tsearch\tx.test\n", "box", "a", "a.x.test a " },
    { "nameserver 10.0.0.1\nsearchx y.test\n", "box", "a", "a " },
};

START_TEST(test_names)
{
    const struct names_row *row = &names_rows[_i];
    struct buf names;
    mesh__buf_init(&names, &mesh__mem_system, 4096);
    ck_assert(mesh__dns_names(mesh__view_of(row->resolv_conf), row->host_name, mesh__view_of(row->host), &names));
    for (size_t i = 0; i < names.size; i++)
        if (names.data[i] == '\0')
            names.data[i] = ' ';
    ck_assert_str_eq(mesh__buf_text(&names), row->names);
    mesh__buf_fini(&names);
}
END_TEST

START_TEST(test_search_list_is_bounded)
{
    struct buf text, names;
    mesh__buf_init(&text, &mesh__mem_system, 65536);
    mesh__buf_init(&names, &mesh__mem_system, 65536);
    mesh__buf_append_text(&text, "search");
    for (int i = 0; i < 1000; i++)
        mesh__buf_printf(&text, " d%d.test", i);
    ck_assert(mesh__dns_names(mesh__view(text.data, text.size), "box", mesh__view_of("a"), &names));
    size_t count = 0;
    for (size_t i = 0; i < names.size; i++)
        count += names.data[i] == '\0';
    ck_assert_uint_eq(count, DNS_SEARCH_MAX + 1);
    mesh__buf_fini(&text);
    mesh__buf_fini(&names);
}
END_TEST

START_TEST(test_hosts)
{
    static const char text[] = "127.0.0.1 localhost\n"
                               "#10.0.0.9 web\n"
                               "10.0.0.2\tWEB web2 # web3\r\n"
                               "::1 web\n"
                               "not-an-ip web\n"
                               "10.0.0.3\n"
                               "10.0.0.1 a b c d web";
    static const struct {
        const char *host;
        uint32_t count;
    } rows[] = { { "web", 3 }, { "Web.", 3 }, { "web2", 1 }, { "web3", 0 }, { "we", 0 }, { "10.0.0.3", 0 } };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct dns_set set;
        mesh__dns_set_init(&set, &mesh__mem_system, 80);
        ck_assert_int_eq(mesh__dns_hosts_find(mesh__view_of(text), mesh__view_of(rows[i].host), &set), 0);
        ck_assert_msg(set.count == rows[i].count, "%s: %u", rows[i].host, set.count);
        mesh__dns_set_sort(&set);
        if (set.count == 3) {
            ck_assert_str_eq(set.addresses[0].text, "10.0.0.1:80");
            ck_assert_str_eq(set.addresses[1].text, "10.0.0.2:80");
            ck_assert_str_eq(set.addresses[2].text, "[::1]:80");
        }
        mesh__dns_set_fini(&set);
    }
}
END_TEST

START_TEST(test_literals)
{
    static const struct {
        const char *host, *text; /* NULL: none */
    } rows[] = {
        { "1.2.3.4", "1.2.3.4:80" },
        { "::1", "[::1]:80" },
        { "2001:DB8::1", "[2001:db8::1]:80" },
        { "fe80::1%lo", "[fe80::1%1]:80" },
        { "fe80::1%7", "[fe80::1%7]:80" },
        { "fe80::1%nosuchif", NULL },
        { "fe80::1%", NULL },
        { "1.2.3", NULL },
        { "1.2.3.4.5", NULL },
        { "web", NULL },
        { "", NULL },
        { "[::1]", NULL },
        { ":::", NULL },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct address address;
        bool is = mesh__dns_literal(mesh__view_of(rows[i].host), 80, &address);
        ck_assert_msg(is == (rows[i].text != NULL), "%s", rows[i].host);
        if (is)
            ck_assert_str_eq(address.text, rows[i].text);
    }
}
END_TEST

START_TEST(test_host_names)
{
    char longest[260];
    for (size_t i = 0; i < sizeof(longest); i++)
        longest[i] = i % 64 == 63 ? '.' : 'a';
    ck_assert(mesh__dns_is_host_name(mesh__view(longest, 253)));
    ck_assert(!mesh__dns_is_host_name(mesh__view(longest, 254)));
    longest[63] = 'a';
    ck_assert(!mesh__dns_is_host_name(mesh__view(longest, 100)));
    static const char *const good[] = { "a", "a.", "a.b", "_http._tcp.a", "1a", "x--y" };
    static const char *const bad[] = { "", ".", "..", ".a", "a..b", "a b", "a\tb", "a\\b", "a\x7f" };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        ck_assert_msg(mesh__dns_is_host_name(mesh__view_of(good[i])), "%s", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(!mesh__dns_is_host_name(mesh__view_of(bad[i])), "%s", bad[i]);
}
END_TEST

START_TEST(test_set)
{
    static const char *const ips[] = { "10.0.0.2", "::2", "10.0.0.1", "::1", "10.0.0.2", "::2", "9.0.0.1" };
    static const char *const sorted[] = { "9.0.0.1:7", "10.0.0.1:7", "10.0.0.2:7", "[::1]:7", "[::2]:7" };
    struct dns_set set;
    mesh__dns_set_init(&set, &mesh__mem_system, 7);
    mesh__dns_set_sort(&set);
    ck_assert_uint_eq(set.count, 0);
    for (int round = 0; round < 10; round++)
        for (size_t i = 0; i < sizeof(ips) / sizeof(ips[0]); i++) {
            uint8_t ip[16];
            int family = strchr(ips[i], ':') ? AF_INET6 : AF_INET;
            ck_assert_int_eq(inet_pton(family, ips[i], ip), 1);
            ck_assert(mesh__dns_set_add_ip(&set, family, ip));
        }
    mesh__dns_set_sort(&set);
    ck_assert_uint_eq(set.count, 5);
    for (uint32_t i = 0; i < 5; i++)
        ck_assert_str_eq(set.addresses[i].text, sorted[i]);
    mesh__dns_set_fini(&set);
}
END_TEST

/* A zone that is no interface has no route, on any machine. */
START_TEST(test_unroutable)
{
    for (int with_v4 = 0; with_v4 < 2; with_v4++) {
        struct dns_set set;
        struct address address;
        const uint8_t v4[4] = { 127, 0, 0, 1 };
        mesh__dns_set_init(&set, &mesh__mem_system, 7);
        ck_assert(mesh__dns_literal(mesh__view_of("fe80::1%65000"), 7, &address));
        ck_assert(mesh__dns_set_add(&set, &address));
        if (with_v4)
            ck_assert(mesh__dns_set_add_ip(&set, AF_INET, v4));
        mesh__dns_set_sort(&set);
        mesh__dns_set_drop_unroutable(&set);
        ck_assert_uint_eq(set.count, 1);
        ck_assert_int_eq(set.addresses[0].socket.any.sa_family, with_v4 ? AF_INET : AF_INET6);
        mesh__dns_set_fini(&set);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dns_system");
    TCase *tcase = tcase_create("all");
    tcase_add_loop_test(tcase, test_names, 0, (int)(sizeof(names_rows) / sizeof(names_rows[0])));
    tcase_add_test(tcase, test_search_list_is_bounded);
    tcase_add_test(tcase, test_hosts);
    tcase_add_test(tcase, test_literals);
    tcase_add_test(tcase, test_host_names);
    tcase_add_test(tcase, test_set);
    tcase_add_test(tcase, test_unroutable);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
