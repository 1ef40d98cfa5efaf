/* SPDX-License-Identifier: Apache-2.0 */
/* dns_message_test.c - answers read byte by byte: what they say, and that no damage makes the reader leave them. */
#include "net/dns_message.h"

#include "base/mem.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct writer {
    uint8_t bytes[4096];
    size_t size;
};

static void put(struct writer *w, const void *bytes, size_t size)
{
    ck_assert_uint_le(w->size + size, sizeof(w->bytes));
    memcpy(w->bytes + w->size, bytes, size);
    w->size += size;
}

#define PUT(w, literal) put(w, literal, sizeof(literal) - 1)

static void put16(struct writer *w, unsigned value)
{
    uint8_t bytes[2] = { (uint8_t)(value >> 8), (uint8_t)value };
    put(w, bytes, 2);
}

/* Header and the question "x.test" (at offset 12) for A. */
static void begin(struct writer *w, unsigned flags, unsigned answers, unsigned authorities)
{
    w->size = 0;
    put16(w, 7);
    put16(w, flags);
    put16(w, 1);
    put16(w, answers);
    put16(w, authorities);
    put16(w, 0);
    PUT(w, "\1x\4test\0\0\1\0\1");
}

#define QNAME "\xc0\x0c"
#define A_60 "\0\1\0\1\0\0\0\x3c\0\4"
#define CNAME_9 "\0\5\0\1\0\0\0\x09"

static bool count_it(void *user, const uint8_t *ip)
{
    uint32_t *sum = user;
    *sum += ip[3]; /* reads the last byte of an A: the sanitizer sees one that lies outside */
    return true;
}

static struct dns_reply read_copy(const struct writer *w, size_t size, uint32_t *sum)
{
    /* A block of the very size, so that a byte read beyond it is seen. */
    uint8_t *copy = malloc(size ? size : 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, w->bytes, size);
    *sum = 0;
    struct dns_reply reply = mesh__dns_message_read(copy, size, AF_INET, count_it, sum);
    free(copy);
    return reply;
}

static void write_alias(struct writer *w)
{
    begin(w, 0x8180, 3, 0);
    PUT(w, QNAME CNAME_9 "\0\4\1Y\xc0\x0e"); /* x.test is y.test */
    PUT(w, "\1y\4TEST\0" A_60 "\1\2\3\4");
    PUT(w, "\1z\4test\0" A_60 "\1\2\3\5"); /* somebody else's */
}

static void write_nul_label(struct writer *w)
{
    begin(w, 0x8180, 3, 0);
    PUT(w, QNAME CNAME_9 "\0\6\3a\0b\xc0\x0e");
    PUT(w, "\3a\0c\4test\0" A_60 "\1\2\3\5"); /* equal up to the NUL only */
    PUT(w, "\3a\0b\4test\0" A_60 "\1\2\3\4");
}

static void write_soa(struct writer *w)
{
    begin(w, 0x8183, 0, 1);
    PUT(w, "\4test\0\0\6\0\1\0\0\0\x64\0\x1a\2ns\xc0\x0e\0\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\x07");
}

static void write_long_chain(struct writer *w, unsigned links)
{
    begin(w, 0x8180, links, 0);
    for (unsigned i = 0; i < links; i++) {
        uint8_t from[3] = { 1, (uint8_t)(i == 0 ? 'x' : 128 + i), 0xc0 };
        uint8_t to[4] = { 1, (uint8_t)(129 + i), 0xc0, 0x0e };
        put(w, from, 3);
        PUT(w, "\x0e" CNAME_9 "\0\4");
        put(w, to, 4);
    }
}

START_TEST(test_meaning)
{
    struct writer w;
    uint32_t sum;
    write_alias(&w);
    struct dns_reply reply = read_copy(&w, w.size, &sum);
    ck_assert_int_eq(reply.kind, DNS_KIND_ADDRESSES);
    ck_assert_uint_eq(reply.ttl_s, 9);
    ck_assert_uint_eq(sum, 4);
    write_nul_label(&w);
    reply = read_copy(&w, w.size, &sum);
    ck_assert_int_eq(reply.kind, DNS_KIND_ADDRESSES);
    ck_assert_uint_eq(sum, 4);
    write_soa(&w);
    reply = read_copy(&w, w.size, &sum);
    ck_assert_int_eq(reply.kind, DNS_KIND_NO_NAME);
    ck_assert_uint_eq(reply.ttl_s, 7);
    w.bytes[w.size - 27]--; /* the RDLENGTH, so that the minimum lies outside */
    reply = read_copy(&w, w.size, &sum);
    ck_assert_int_eq(reply.kind, DNS_KIND_NO_NAME);
    ck_assert_uint_eq(reply.ttl_s, 0);
}
END_TEST

START_TEST(test_chain_is_bounded)
{
    struct writer w;
    uint32_t sum;
    write_long_chain(&w, DNS_CHAIN_MAX);
    ck_assert_int_eq(read_copy(&w, w.size, &sum).kind, DNS_KIND_EMPTY);
    write_long_chain(&w, DNS_CHAIN_MAX + 1);
    ck_assert_int_eq(read_copy(&w, w.size, &sum).kind, DNS_KIND_MALFORMED);
}
END_TEST

struct row {
    const char *what;
    const char *bytes; /* one answer record */
    size_t size;
};

#define ROW(what, literal)                                                                                             \
    {                                                                                                                  \
        what, literal, sizeof(literal) - 1                                                                             \
    }

static const struct row malformed_rows[] = {
    ROW("a pointer to itself", "\xc0\x18" A_60 "\1\2\3\4"),
    ROW("a pointer ahead", "\xc0\xff" A_60 "\1\2\3\4"),
    ROW("half a pointer", "\xc0"),
    ROW("a label of a reserved kind", "\x41z" A_60 "\1\2\3\4"),
    ROW("a label past the end", "\x3fz"),
    ROW("RDLENGTH past the end", QNAME "\0\1\0\1\0\0\0\x3c\0\5\1\2\3\4"),
    ROW("RDLENGTH of 65535", QNAME "\0\1\0\1\0\0\0\x3c\xff\xff\1\2\3\4"),
    ROW("an A of 3 bytes", QNAME "\0\1\0\1\0\0\0\x3c\0\3\1\2\3"),
    ROW("an A of 5 bytes", QNAME "\0\1\0\1\0\0\0\x3c\0\5\1\2\3\4\5"),
    ROW("an empty CNAME", QNAME CNAME_9 "\0\0"),
    ROW("a CNAME with bytes behind it", QNAME CNAME_9 "\0\5\1y\xc0\x0e!"),
    ROW("a CNAME to itself", QNAME CNAME_9 "\0\2" QNAME),
    ROW("no record at all", ""),
    ROW("a cut record", QNAME "\0\1\0\1\0\0"),
};

START_TEST(test_malformed)
{
    const struct row *row = &malformed_rows[_i];
    struct writer w;
    uint32_t sum;
    begin(&w, 0x8180, 1, 0);
    put(&w, row->bytes, row->size);
    struct dns_reply reply = read_copy(&w, w.size, &sum);
    ck_assert_msg(reply.kind == DNS_KIND_MALFORMED, "%s: kind %d", row->what, (int)reply.kind);
    ck_assert_ptr_nonnull(reply.problem);
}
END_TEST

/* Names of 255 bytes are legal, longer ones are not, however they are put together. */
START_TEST(test_name_length)
{
    for (size_t last = 59; last <= 63; last++) {
        struct writer w;
        uint32_t sum;
        uint8_t label[64];
        memset(label, 'n', sizeof(label));
        begin(&w, 0x8180, 1, 0);
        for (int i = 0; i < 3; i++) {
            label[0] = 63;
            put(&w, label, 64);
        }
        label[0] = (uint8_t)(last - 5); /* "test" and the root follow: 6 bytes */
        put(&w, label, last - 4);
        PUT(&w, "\xc0\x0e" A_60 "\1\2\3\4");
        bool fits = 3 * 64 + (last - 4) + 6 <= 255;
        ck_assert_int_eq(read_copy(&w, w.size, &sum).kind, fits ? DNS_KIND_EMPTY : DNS_KIND_MALFORMED);
    }
    struct writer w;
    uint32_t sum;
    begin(&w, 0x8180, 1, 0);
    for (int i = 0; i < 4; i++) {
        uint8_t label[64];
        memset(label, 'n', sizeof(label));
        label[0] = 63;
        put(&w, label, 64);
    }
    PUT(&w, "\0" A_60 "\1\2\3\4");
    ck_assert_int_eq(read_copy(&w, w.size, &sum).kind, DNS_KIND_MALFORMED);
}
END_TEST

/* Every truncation and every changed byte of good messages: any verdict will do, as long as it stays inside. */
START_TEST(test_damage)
{
    void (*const writers[])(struct writer *) = { write_alias, write_nul_label, write_soa };
    uint32_t sum, kinds[DNS_KIND_MALFORMED + 1] = { 0 };
    for (size_t m = 0; m < 3; m++) {
        struct writer w;
        writers[m](&w);
        for (size_t size = 0; size < w.size; size++)
            kinds[read_copy(&w, size, &sum).kind]++;
        for (size_t at = 0; at < w.size; at++) {
            uint8_t was = w.bytes[at];
            for (int value = 0; value < 256; value++) {
                w.bytes[at] = (uint8_t)value;
                kinds[read_copy(&w, w.size, &sum).kind]++;
            }
            w.bytes[at] = was;
        }
    }
    for (int kind = 0; kind <= DNS_KIND_MALFORMED; kind++)
        ck_assert_msg(kinds[kind] > 0, "no damage led to kind %d", kind);
}
END_TEST

START_TEST(test_rcode_names)
{
    char space[16];
    ck_assert_str_eq(mesh__dns_rcode_name(DNS_SERVFAIL, space), "SERVFAIL");
    ck_assert_str_eq(mesh__dns_rcode_name(DNS_REFUSED, space), "REFUSED");
    ck_assert_str_eq(mesh__dns_rcode_name(9, space), "error 9");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dns_message");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, test_meaning);
    tcase_add_test(tcase, test_chain_is_bounded);
    tcase_add_loop_test(tcase, test_malformed, 0, (int)(sizeof(malformed_rows) / sizeof(malformed_rows[0])));
    tcase_add_test(tcase, test_name_length);
    tcase_add_test(tcase, test_damage);
    tcase_add_test(tcase, test_rcode_names);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
