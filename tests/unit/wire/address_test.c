/* SPDX-License-Identifier: Apache-2.0 */
/* address_test.c - addresses from text and from sockets, and what is refused. */
#include "wire/address.h"

#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

struct row {
    const char *text;
    bool port_zero;
    enum address_problem problem;
    const char *canonical; /* with ADDRESS_OK */
};

#define X50 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X63 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct row rows[] = {
    { "127.0.0.1:80", false, ADDRESS_OK, "127.0.0.1:80" },
    { "0.0.0.0:65535", false, ADDRESS_OK, "0.0.0.0:65535" },
    { "[::1]:80", false, ADDRESS_OK, "[::1]:80" },
    { "[0:0:0:0:0:0:0:1]:8080", false, ADDRESS_OK, "[::1]:8080" },
    { "[2001:DB8:0:0::00ff]:443", false, ADDRESS_OK, "[2001:db8::ff]:443" },
    { "[::ffff:10.0.0.1]:1", false, ADDRESS_OK, "[::ffff:10.0.0.1]:1" },
    { "[fe80::1%2]:80", false, ADDRESS_OK, "[fe80::1%2]:80" },
    { "127.0.0.1:0", true, ADDRESS_OK, "127.0.0.1:0" },
    { "[::1]:0", true, ADDRESS_OK, "[::1]:0" },
    { "unix:/run/app.sock", false, ADDRESS_OK, "unix:/run/app.sock" },
    { "unix:/" X50 X50 "xxxxxx", false, ADDRESS_OK, "unix:/" X50 X50 "xxxxxx" },
    { "unix:/" X50 X50 "xxxxxxx", false, ADDRESS_BAD, NULL },
    { "localhost:80", false, ADDRESS_IS_NAME, NULL },
    { "unix:80", false, ADDRESS_IS_NAME, NULL },
    { "payment_v2.shop-1.svc.cluster.local.:8080", false, ADDRESS_IS_NAME, NULL },
    { X63 ":1", false, ADDRESS_IS_NAME, NULL },
    { X63 "x:1", false, ADDRESS_BAD, NULL },
    { X63 "." X63 "." X63 "." X63 ":1", false, ADDRESS_BAD, NULL },
    { "a:0", true, ADDRESS_IS_NAME, NULL },
    { "localhost", false, ADDRESS_NO_PORT, NULL },
    { "127.0.0.1", false, ADDRESS_NO_PORT, NULL },
    { "[::1]", false, ADDRESS_NO_PORT, NULL },
    { "127.0.0.1:", false, ADDRESS_BAD_PORT, NULL },
    { "127.0.0.1:0", false, ADDRESS_BAD_PORT, NULL },
    { "127.0.0.1:65536", false, ADDRESS_BAD_PORT, NULL },
    { "127.0.0.1:080", false, ADDRESS_BAD_PORT, NULL },
    { "127.0.0.1:+80", false, ADDRESS_BAD_PORT, NULL },
    { "127.0.0.1:80 ", false, ADDRESS_BAD_PORT, NULL },
    { "localhost:http", false, ADDRESS_BAD_PORT, NULL },
    { "", false, ADDRESS_BAD, NULL },
    { ":80", false, ADDRESS_BAD, NULL },
    { "[]:80", false, ADDRESS_BAD, NULL },
    { "[::1:80", false, ADDRESS_BAD, NULL },
    { "[::1]80", false, ADDRESS_BAD, NULL },
    { "[[::1]]:80", false, ADDRESS_BAD, NULL },
    { "[127.0.0.1]:80", false, ADDRESS_BAD, NULL },
    { "[::1%2]:80", false, ADDRESS_BAD, NULL },
    { "[fe80::1%]:80", false, ADDRESS_BAD, NULL },
    { "[fe80::1%0]:80", false, ADDRESS_BAD, NULL },
    { "[fe80::1%eth0]:80", false, ADDRESS_BAD, NULL },
    { "::1:80", false, ADDRESS_BAD, NULL },
    { "http://localhost:80", false, ADDRESS_BAD, NULL },
    { "256.1.1.1:80", false, ADDRESS_BAD, NULL },
    { "127.1:80", false, ADDRESS_BAD, NULL },
    { "127.0.0.01:80", false, ADDRESS_BAD, NULL },
    { "a..b:80", false, ADDRESS_BAD, NULL },
    { ".:80", false, ADDRESS_BAD, NULL },
    { "user@host:80", false, ADDRESS_BAD, NULL },
    { "host/path:80", false, ADDRESS_BAD, NULL },
    { "unix:relative", false, ADDRESS_BAD, NULL },
    { "unix:/", false, ADDRESS_BAD, NULL },
    { "unix:/a\nb", false, ADDRESS_BAD, NULL },
};

START_TEST(parse)
{
    const struct row *row = &rows[_i];
    struct address address;
    memset(&address, 0xa5, sizeof(address));
    enum address_problem got = mesh__address_parse(mesh__view_of(row->text), row->port_zero, &address);
    ck_assert_msg(got == row->problem, "%s: %d, expected %d", row->text, (int)got, (int)row->problem);
    if (got != ADDRESS_OK)
        return;
    ck_assert_str_eq(address.text, row->canonical);
    struct address again;
    mesh__address_from_socket(&address.socket.any, address.socket_size, &again);
    ck_assert_msg(strcmp(again.text, address.text) == 0, "%s became %s", address.text, again.text);
    ck_assert_uint_eq(again.socket_size, address.socket_size);
    ck_assert_int_eq(memcmp(&again.socket, &address.socket, address.socket_size), 0);
    ck_assert_int_eq(mesh__address_parse(mesh__view_of(again.text), row->port_zero, &address), ADDRESS_OK);
    ck_assert_str_eq(again.text, address.text);
}
END_TEST

START_TEST(embedded_nul_is_refused)
{
    struct address address;
    ck_assert_int_eq(mesh__address_parse(VIEW_LITERAL("127.0.0.1\0:80"), false, &address), ADDRESS_BAD);
    ck_assert_int_eq(mesh__address_parse(VIEW_LITERAL("[::1\0]:80"), false, &address), ADDRESS_BAD);
    ck_assert_int_eq(mesh__address_parse(VIEW_LITERAL("unix:/a\0b"), false, &address), ADDRESS_BAD);
    ck_assert_int_eq(mesh__address_parse(mesh__view(NULL, 0), false, &address), ADDRESS_BAD);
}
END_TEST

START_TEST(parts_of_the_socket)
{
    struct address a;
    ck_assert_int_eq(mesh__address_parse(VIEW_LITERAL("[fe80::7%3]:99"), false, &a), ADDRESS_OK);
    ck_assert_int_eq(a.socket.any.sa_family, AF_INET6);
    ck_assert_uint_eq(ntohs(a.socket.v6.sin6_port), 99);
    ck_assert_uint_eq(a.socket.v6.sin6_scope_id, 3);
    ck_assert_int_eq(mesh__address_parse(VIEW_LITERAL("10.1.2.3:99"), false, &a), ADDRESS_OK);
    ck_assert_uint_eq(ntohl(a.socket.v4.sin_addr.s_addr), 0x0a010203);
    ck_assert_int_eq(mesh__address_parse(VIEW_LITERAL("unix:/x"), false, &a), ADDRESS_OK);
    ck_assert_str_eq(a.socket.local.sun_path, "/x");
    ck_assert_uint_eq(a.socket_size, offsetof(struct sockaddr_un, sun_path) + 3);
}
END_TEST

START_TEST(from_ip)
{
    struct address a;
    unsigned char v4[4] = { 10, 0, 0, 9 }, v6[16] = { 0xfd, 0 };
    v6[15] = 1;
    mesh__address_from_ip(AF_INET, v4, 53, &a);
    ck_assert_str_eq(a.text, "10.0.0.9:53");
    mesh__address_from_ip(AF_INET6, v6, 53, &a);
    ck_assert_str_eq(a.text, "[fd00::1]:53");
    ck_assert_uint_eq(a.socket_size, sizeof(struct sockaddr_in6));
}
END_TEST

START_TEST(unix_sockets_without_a_path)
{
    struct sockaddr_un local = { .sun_family = AF_UNIX };
    struct address a;
    mesh__address_from_socket((const struct sockaddr *)&local, sizeof(local.sun_family), &a);
    ck_assert_str_eq(a.text, "unix:");
    memcpy(local.sun_path, "\0name", 5);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 5);
    mesh__address_from_socket((const struct sockaddr *)&local, size, &a);
    ck_assert_str_eq(a.text, "unix:@name");
    memset(local.sun_path, 'y', sizeof(local.sun_path));
    mesh__address_from_socket((const struct sockaddr *)&local, sizeof(local), &a);
    ck_assert_uint_eq(strlen(a.text), 5 + sizeof(local.sun_path));
}
END_TEST

START_TEST(split)
{
    static const struct {
        const char *text;
        enum address_problem problem;
        const char *host;
        uint16_t port;
    } cases[] = {
        { "search.internal:8080", ADDRESS_OK, "search.internal", 8080 },
        { "127.0.0.1:1", ADDRESS_OK, "127.0.0.1", 1 },
        { "[::1]:65535", ADDRESS_OK, "::1", 65535 },
        { "what ever!:5", ADDRESS_OK, "what ever!", 5 },
        { "x:0", ADDRESS_BAD_PORT, NULL, 0 },
        { "x:", ADDRESS_BAD_PORT, NULL, 0 },
        { "x:65536", ADDRESS_BAD_PORT, NULL, 0 },
        { "x", ADDRESS_NO_PORT, NULL, 0 },
        { "", ADDRESS_BAD, NULL, 0 },
        { ":1", ADDRESS_BAD, NULL, 0 },
        { "::1:1", ADDRESS_BAD, NULL, 0 },
        { "a]b:1", ADDRESS_BAD, NULL, 0 },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct view host = { NULL, 0 };
        uint16_t port = 0;
        enum address_problem got = mesh__address_split(mesh__view_of(cases[i].text), &host, &port);
        ck_assert_msg(got == cases[i].problem, "%s: %d", cases[i].text, (int)got);
        if (got != ADDRESS_OK)
            continue;
        ck_assert_msg(mesh__view_equal(host, mesh__view_of(cases[i].host)), "%s", cases[i].text);
        ck_assert_uint_eq(port, cases[i].port);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wire/address");
    TCase *tcase = tcase_create("address");
    tcase_add_loop_test(tcase, parse, 0, sizeof(rows) / sizeof(rows[0]));
    tcase_add_test(tcase, embedded_nul_is_refused);
    tcase_add_test(tcase, parts_of_the_socket);
    tcase_add_test(tcase, from_ip);
    tcase_add_test(tcase, unix_sockets_without_a_path);
    tcase_add_test(tcase, split);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
