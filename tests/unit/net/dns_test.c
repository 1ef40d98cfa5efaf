/* SPDX-License-Identifier: Apache-2.0 */
/* dns_test.c - look-ups against a server that answers well, badly, twice, or not at all. */
#include "net/dns.h"

#include "support/dns_server.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PATIENCE (5 * NANOS_S) /* a failure, not a wait */

struct bench {
    struct loop loop;
    struct dns_server *server;
    struct dns *dns;
    char folder[64], resolv_conf[96], hosts[96];
    char asked[512]; /* names asked for A, in order, a blank behind each */
    /* What the last look-up gave. */
    uint32_t answers;
    struct dns_answer answer; /* addresses and detail point to the copies below */
    struct address addresses[4];
    char detail[512];
    /* For those that end things from inside the callback. */
    struct dns_query *cancel;
    bool free_inside;
};

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

static bool begins(const struct dns_request *request, const char *label)
{
    size_t size = strlen(label);
    return strncmp(request->name, label, size) == 0 && (request->name[size] == '.' || request->name[size] == '\0');
}

static void put_chain(struct dns_request *request, int links)
{
    char from[32], to[32];
    dns_begin(request, 0);
    /* Last link first: the order of records means nothing. */
    snprintf(from, sizeof(from), "c%d.test", links);
    dns_a(request, from, 90, "10.0.0.9");
    for (int i = links - 1; i >= 0; i--) {
        snprintf(from, sizeof(from), "c%d.test", i);
        snprintf(to, sizeof(to), "c%d.test", i + 1);
        dns_cname(request, i == 0 ? NULL : from, i == 1 ? 5 : 60, to);
    }
}

static void put_malformed(struct dns_request *request)
{
    static const uint8_t to_itself[] = { 0xc0, 0x2c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 0, 1 };
    static const uint8_t past_end[] = { 0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0xff, 0xff, 10, 0, 0, 1 };
    dns_begin(request, 0);
    if (begins(request, "rdlength")) {
        mesh__buf_append(&request->reply, past_end, sizeof(past_end));
    } else if (begins(request, "pointer")) {
        size_t here = request->reply.size;
        mesh__buf_append(&request->reply, to_itself, sizeof(to_itself));
        request->reply.data[here + 1] = (char)here;
    } else if (begins(request, "longname")) {
        for (int i = 0; i < 5; i++) {
            mesh__buf_append_char(&request->reply, 63);
            for (int k = 0; k < 63; k++)
                mesh__buf_append_char(&request->reply, 'x');
        }
        mesh__buf_append(&request->reply, past_end, sizeof(past_end));
    } else {
        dns_record(request, 0, NULL, request->type, 60, "abc", 3);
        return;
    }
    request->reply.data[7] = 1; /* answers */
}

static void put_many(struct dns_request *request)
{
    dns_begin(request, request->tcp ? 0 : 0x0200);
    for (int i = 0; request->tcp && request->type == DNS_TYPE_A && i < 1000; i++) {
        /* Each address twice, in no order. */
        int n = i * 7 % 500;
        uint8_t ip[4] = { 10, 1, (uint8_t)(n >> 8), (uint8_t)n };
        dns_record(request, 0, NULL, DNS_TYPE_A, 60, ip, 4);
    }
}

/* A right answer behind all sorts of wrong ones. */
static void put_forgeries(struct dns_request *request)
{
    dns_begin(request, 0);
    dns_a(request, NULL, 60, "10.6.6.6");
    request->reply.data[1] ^= 1; /* the id */
    dns_send_now(request, false);
    request->reply.data[1] ^= 1;
    request->reply.data[13] ^= 1; /* the question */
    dns_send_now(request, false);
    request->reply.data[13] ^= 1;
    dns_send_now(request, true); /* the source */
    dns_begin(request, 0);
    if (request->type == DNS_TYPE_A)
        dns_a(request, NULL, 60, "10.0.0.1");
}

static void answer(void *user, struct dns_request *request)
{
    static const char *const rcodes[] = { "noerror", "formerr", "servfail", "nx", "notimp", "refused" };
    struct bench *bench = user;
    bool v4 = request->type == DNS_TYPE_A;
    size_t used = strlen(bench->asked);
    if (v4)
        snprintf(bench->asked + used, sizeof(bench->asked) - used, "%s ", request->name);
    if (begins(request, "silent") || (begins(request, "halfdead") && !v4))
        return;
    for (uint16_t i = 1; i < 6; i++)
        if (begins(request, rcodes[i])) {
            dns_begin(request, i);
            dns_soa(request, 100, 7);
            return;
        }
    if (begins(request, "malformed") || begins(request, "rdlength") || begins(request, "pointer") ||
        begins(request, "longname")) {
        put_malformed(request);
    } else if (begins(request, "many")) {
        put_many(request);
    } else if (begins(request, "forged")) {
        put_forgeries(request);
    } else if (v4 && begins(request, "chain")) {
        put_chain(request, 8);
    } else if (v4 && begins(request, "longchain")) {
        put_chain(request, 50);
    } else if (begins(request, "loop")) {
        dns_begin(request, 0);
        dns_cname(request, NULL, 60, "other.test");
        dns_cname(request, "other.test", 60, "loop.test");
    } else {
        dns_begin(request, begins(request, "nxbare") ? 3 : 0);
        if (begins(request, "empty"))
            dns_soa(request, 3, 900);
        else if (begins(request, "both") && !v4)
            dns_a(request, NULL, 20, "::1");
        else if (v4 && begins(request, "zero"))
            dns_a(request, NULL, 0, "10.0.0.1");
        else if (v4 && begins(request, "negative"))
            dns_a(request, NULL, 0x80000000u, "10.0.0.1");
        else if (v4 && !begins(request, "nxbare"))
            dns_a(request, NULL, 60, begins(request, "upper") ? "10.0.0.2" : "10.0.0.1");
    }
}

static void open_dns(struct bench *bench, mesh_nanos timeout)
{
    struct dns_options options = { .servers = dns_server_address(bench->server),
                                   .server_count = 1,
                                   .timeout = timeout,
                                   .tries = 2,
                                   .resolv_conf = bench->resolv_conf,
                                   .hosts = bench->hosts };
    bench->dns = mesh__dns_new(&bench->loop, &options);
    ck_assert_ptr_nonnull(bench->dns);
}

static void set_up(struct bench *bench, mesh_nanos timeout)
{
    memset(bench, 0, sizeof(*bench));
    ck_assert_int_eq(mesh__loop_init(&bench->loop, &mesh__mem_system, &mesh__world_real), 0);
    snprintf(bench->folder, sizeof(bench->folder), "/tmp/mesh-dns-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(bench->folder));
    snprintf(bench->resolv_conf, sizeof(bench->resolv_conf), "%s/resolv.conf", bench->folder);
    snprintf(bench->hosts, sizeof(bench->hosts), "%s/hosts", bench->folder);
    write_file(bench->resolv_conf, "search one.test two.test\noptions ndots:2\n");
    write_file(bench->hosts, "# nothing\n");
    struct dns_server_options options = { &bench->loop, answer, bench };
    bench->server = dns_server_start(&options);
    ck_assert_ptr_nonnull(bench->server);
    open_dns(bench, timeout);
}

static void tear_down(struct bench *bench)
{
    mesh__dns_free(bench->dns);
    dns_server_stop(bench->server);
    for (uint32_t i = 0; i < bench->loop.slot_count; i++)
        ck_assert_msg(bench->loop.slots[i].watch == NULL, "a socket is still watched");
    ck_assert_msg(mesh__loop_next(&bench->loop) == NANOS_NEVER, "a timer or task is left");
    mesh__loop_fini(&bench->loop);
    unlink(bench->resolv_conf);
    unlink(bench->hosts);
    ck_assert_int_eq(rmdir(bench->folder), 0);
}

static void note(void *user, const struct dns_answer *got)
{
    struct bench *bench = user;
    bench->answers++;
    bench->answer = *got;
    for (uint32_t i = 0; i < got->count && i < 4; i++)
        bench->addresses[i] = got->addresses[i];
    snprintf(bench->detail, sizeof(bench->detail), "%s", got->detail);
    bench->answer.addresses = NULL;
    if (bench->cancel != NULL)
        mesh__dns_cancel(bench->cancel);
    if (bench->free_inside) {
        mesh__dns_free(bench->dns);
        bench->dns = NULL;
    }
}

static void wait_for(struct bench *bench, uint32_t answers)
{
    mesh_nanos end = mesh__nanos_add(mesh__world_real.now(&mesh__world_real), PATIENCE);
    while (bench->answers < answers) {
        ck_assert_msg(mesh__world_real.now(&mesh__world_real) < end, "no answer came");
        mesh__loop_turn(&bench->loop, 100 * NANOS_MS);
    }
}

static struct dns_query *resolve(struct bench *bench, const char *host)
{
    uint32_t before = bench->answers;
    struct dns_query *query = mesh__dns_resolve(bench->dns, host, 80, note, bench);
    ck_assert_ptr_nonnull(query);
    ck_assert_uint_eq(bench->answers, before); /* never from inside */
    return query;
}

static void resolve_and_wait(struct bench *bench, const char *host)
{
    uint32_t before = bench->answers;
    bench->asked[0] = '\0';
    (void)resolve(bench, host);
    wait_for(bench, before + 1);
}

struct row {
    const char *host;
    mesh_status status;
    uint32_t count, ttl_s;
    const char *words; /* the first address, or part of the detail */
    int missing_family;
};

static const struct row rows[] = {
    { "plain.test.", MESH_OK, 1, 60, "10.0.0.1:80", 0 },
    { "PLAIN.Test.", MESH_OK, 1, 60, "10.0.0.1:80", 0 },
    { "chain.test.", MESH_OK, 1, 5, "10.0.0.9:80", 0 },
    { "zero.test.", MESH_OK, 1, 0, "10.0.0.1:80", 0 },                /* row 6 */
    { "negative.test.", MESH_OK, 1, 0, "10.0.0.1:80", 0 },            /* row 7 */
    { "halfdead.test.", MESH_OK, 1, 60, "10.0.0.1:80", AF_INET6 },    /* row 12 */
    { "forged.test.", MESH_OK, 1, 60, "10.0.0.1:80", 0 },             /* row 11 */
    { "many.test.", MESH_OK, 500, 60, "10.1.0.0:80", 0 },             /* rows 2 and 8 */
    { "nx.test.", MESH_NO_SUCH_NAME, 0, 7, "NXDOMAIN from 127.", 0 }, /* row 3 */
    { "nxbare.test.", MESH_NO_SUCH_NAME, 0, 0, "NXDOMAIN from 127.", 0 },
    { "empty.test.", MESH_NO_ENDPOINT, 0, 3, "has no address", 0 },      /* row 5 */
    { "servfail.test.", MESH_DISCOVERY, 0, 0, "SERVFAIL from 127.", 0 }, /* row 4 */
    { "refused.test.", MESH_DISCOVERY, 0, 0, "REFUSED from 127.", 0 },
    { "notimp.test.", MESH_DISCOVERY, 0, 0, "NOTIMP from 127.", 0 },
    { "formerr.test.", MESH_DISCOVERY, 0, 0, "FORMERR from 127.", 0 },
    { "loop.test.", MESH_DISCOVERY, 0, 0, "CNAMEs", 0 }, /* row 9 */
    { "longchain.test.", MESH_DISCOVERY, 0, 0, "CNAMEs", 0 },
    { "malformed.test.", MESH_DISCOVERY, 0, 0, "from 127.", 0 }, /* row 10 */
    { "pointer.test.", MESH_DISCOVERY, 0, 0, "from 127.", 0 },
    { "rdlength.test.", MESH_DISCOVERY, 0, 0, "from 127.", 0 },
    { "longname.test.", MESH_DISCOVERY, 0, 0, "from 127.", 0 },
    { "127.0.0.1", MESH_OK, 1, INT32_MAX, "127.0.0.1:80", 0 }, /* row 16 */
    { "::1", MESH_OK, 1, INT32_MAX, "[::1]:80", 0 },
    { "fe80::1%lo", MESH_OK, 1, INT32_MAX, "[fe80::1%1]:80", 0 },
    { "a..b", MESH_NO_SUCH_NAME, 0, 0, "not a host name", 0 },
    { "", MESH_NO_SUCH_NAME, 0, 0, "not a host name", 0 },
    { "white space", MESH_NO_SUCH_NAME, 0, 0, "not a host name", 0 },
};

START_TEST(test_answers)
{
    const struct row *row = &rows[_i];
    struct bench bench;
    set_up(&bench, NANOS_S);
    resolve_and_wait(&bench, row->host);
    ck_assert_msg(bench.answer.status == row->status, "%s: %s (%s)", row->host, mesh_status_name(bench.answer.status),
                  bench.detail);
    ck_assert_msg(bench.answer.count == row->count, "%s: %u addresses", row->host, bench.answer.count);
    ck_assert_msg(bench.answer.ttl_s == row->ttl_s, "%s: ttl %u", row->host, bench.answer.ttl_s);
    ck_assert_int_eq(bench.answer.missing_family, row->missing_family);
    const char *words = row->status == MESH_OK ? bench.addresses[0].text : bench.detail;
    ck_assert_msg(strstr(words, row->words) != NULL, "%s: %s", row->host, words);
    if (row->status != MESH_OK)
        ck_assert_uint_eq(bench.answer.count, 0);
    tear_down(&bench);
}
END_TEST

/* Row 1: our budget, not the library's 75 seconds. */
START_TEST(test_no_answer)
{
    struct bench bench;
    set_up(&bench, 10 * NANOS_MS);
    mesh_nanos begin = mesh__world_real.now(&mesh__world_real);
    resolve_and_wait(&bench, "silent.test.");
    mesh_nanos took = mesh__world_real.now(&mesh__world_real) - begin;
    ck_assert_int_eq(bench.answer.status, MESH_DISCOVERY);
    ck_assert_msg(strstr(bench.detail, "no answer in time from 127.0.0.1:") != NULL, "%s", bench.detail);
    ck_assert_int_ge(took, 25 * NANOS_MS); /* 10 ms, then 20 ms */
    ck_assert_str_eq(bench.asked, "silent.test silent.test ");
    tear_down(&bench);
}
END_TEST

START_TEST(test_truncated_comes_over_tcp)
{
    struct bench bench;
    set_up(&bench, NANOS_S);
    resolve_and_wait(&bench, "many.test.");
    ck_assert_int_eq(bench.answer.status, MESH_OK);
    ck_assert_uint_eq(dns_server_tcp_questions(bench.server), 2);
    ck_assert_str_eq(bench.addresses[1].text, "10.1.0.1:80"); /* sorted */
    resolve_and_wait(&bench, "plain.test.");
    ck_assert_uint_eq(dns_server_tcp_questions(bench.server), 2);
    tear_down(&bench);
}
END_TEST

START_TEST(test_both_families)
{
    struct bench bench;
    set_up(&bench, NANOS_S);
    resolve_and_wait(&bench, "both.test.");
    struct in6_addr loopback = IN6ADDR_LOOPBACK_INIT;
    struct address address;
    mesh__address_from_ip(AF_INET6, &loopback, 80, &address);
    int fd = socket(AF_INET6, SOCK_DGRAM, 0);
    bool routed = fd >= 0 && connect(fd, &address.socket.any, address.socket_size) == 0;
    if (fd >= 0)
        close(fd);
    ck_assert_uint_eq(bench.answer.count, routed ? 2 : 1);
    ck_assert_uint_eq(bench.answer.ttl_s, 20);
    ck_assert_str_eq(bench.addresses[0].text, "10.0.0.1:80");
    if (routed)
        ck_assert_str_eq(bench.addresses[1].text, "[::1]:80");
    tear_down(&bench);
}
END_TEST

struct search_row {
    const char *host;
    const char *asked;
    mesh_status status;
};

/* resolv.conf: search one.test two.test, ndots:2 */
static const struct search_row search_rows[] = {
    { "plain", "plain.one.test ", MESH_OK },
    { "a.b", "a.b.one.test ", MESH_OK },
    { "a.b.c", "a.b.c ", MESH_OK },
    { "plain.", "plain ", MESH_OK },
    { "nx", "nx.one.test nx.two.test nx ", MESH_NO_SUCH_NAME },
    { "nx.a.b", "nx.a.b nx.a.b.one.test nx.a.b.two.test ", MESH_NO_SUCH_NAME },
    { "nx.a.b.", "nx.a.b ", MESH_NO_SUCH_NAME },
    { "empty", "empty.one.test empty.two.test empty ", MESH_NO_ENDPOINT },
    { "servfail", "servfail.one.test servfail.one.test servfail.two.test servfail.two.test servfail servfail ",
      MESH_DISCOVERY },
};

START_TEST(test_search)
{
    const struct search_row *row = &search_rows[_i];
    struct bench bench;
    set_up(&bench, NANOS_S);
    resolve_and_wait(&bench, row->host);
    ck_assert_int_eq(bench.answer.status, row->status);
    ck_assert_str_eq(bench.asked, row->asked);
    tear_down(&bench);
}
END_TEST

START_TEST(test_hosts_file_comes_first)
{
    struct bench bench;
    set_up(&bench, NANOS_S);
    write_file(bench.hosts, "10.9.9.9 other plain.test # plain.test\n10.9.9.8\tPlain.Test\n::1 v6\n");
    resolve_and_wait(&bench, "plain.test.");
    ck_assert_uint_eq(bench.answer.count, 2);
    ck_assert_str_eq(bench.addresses[0].text, "10.9.9.8:80");
    ck_assert_str_eq(bench.addresses[1].text, "10.9.9.9:80");
    resolve_and_wait(&bench, "v6");
    ck_assert_str_eq(bench.addresses[0].text, "[::1]:80");
    resolve_and_wait(&bench, "localhost");
    ck_assert_str_eq(bench.addresses[0].text, "127.0.0.1:80");
    ck_assert_uint_eq(dns_server_questions(bench.server), 0);
    tear_down(&bench);
}
END_TEST

/* Row 15. */
START_TEST(test_resolv_conf_changes)
{
    struct bench bench;
    set_up(&bench, NANOS_S);
    resolve_and_wait(&bench, "plain");
    ck_assert_str_eq(bench.asked, "plain.one.test ");
    struct dns_query *old = resolve(&bench, "silent");
    mesh__loop_turn(&bench.loop, 0);
    write_file(bench.resolv_conf, "search elsewhere.test\n");
    resolve_and_wait(&bench, "plain");
    ck_assert_str_eq(bench.asked, "silent.one.test plain.elsewhere.test ");
    mesh__dns_cancel(old);
    tear_down(&bench);
}
END_TEST

static void ignore(void *user, const struct dns_answer *got)
{
    (void)user;
    (void)got;
    ck_abort_msg("called after it was cancelled");
}

/* Cancelled after so many turns: before it began, while it is under way, with the answer noted. */
START_TEST(test_cancel)
{
    struct bench bench;
    set_up(&bench, NANOS_S);
    struct dns_query *query = mesh__dns_resolve(bench.dns, _i % 2 ? "plain.test." : "silent.test.", 80, ignore, NULL);
    for (int i = 0; i < _i / 2 && !(_i % 2); i++)
        mesh__loop_turn(&bench.loop, 0);
    mesh__dns_cancel(query);
    resolve_and_wait(&bench, "plain.test.");
    ck_assert_int_eq(bench.answer.status, MESH_OK);
    tear_down(&bench);
}
END_TEST

START_TEST(test_end_from_inside)
{
    struct bench bench;
    set_up(&bench, NANOS_S);
    struct dns_query *other = mesh__dns_resolve(bench.dns, "silent.test.", 80, ignore, NULL);
    ck_assert_ptr_nonnull(mesh__dns_resolve(bench.dns, "silent.test.", 80, ignore, NULL));
    struct dns_query *query = resolve(&bench, "plain.test.");
    bench.cancel = _i == 0 ? query : _i == 1 ? other : NULL;
    bench.free_inside = true;
    wait_for(&bench, 1);
    ck_assert_ptr_null(bench.dns);
    mesh__loop_turn(&bench.loop, 0);
    ck_assert_uint_eq(bench.answers, 1);
    tear_down(&bench);
}
END_TEST

START_TEST(test_free_with_queries)
{
    struct bench bench;
    set_up(&bench, NANOS_S);
    for (int i = 0; i < 20; i++) {
        ck_assert_ptr_nonnull(mesh__dns_resolve(bench.dns, i % 2 ? "silent.test." : "many.test.", 80, ignore, NULL));
        if (i == 10)
            mesh__loop_turn(&bench.loop, 0);
    }
    tear_down(&bench);
}
END_TEST

START_TEST(test_many_at_once)
{
    struct bench bench;
    set_up(&bench, NANOS_S);
    for (int i = 0; i < 50; i++)
        (void)resolve(&bench, i % 2 ? "many.test." : "plain.test.");
    wait_for(&bench, 50);
    tear_down(&bench);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dns");
    TCase *answers = tcase_create("answers");
    tcase_add_loop_test(answers, test_answers, 0, (int)(sizeof(rows) / sizeof(rows[0])));
    tcase_add_test(answers, test_no_answer);
    tcase_add_test(answers, test_truncated_comes_over_tcp);
    tcase_add_test(answers, test_both_families);
    suite_add_tcase(suite, answers);
    TCase *system = tcase_create("system");
    tcase_add_loop_test(system, test_search, 0, (int)(sizeof(search_rows) / sizeof(search_rows[0])));
    tcase_add_test(system, test_hosts_file_comes_first);
    tcase_add_test(system, test_resolv_conf_changes);
    suite_add_tcase(suite, system);
    TCase *ends = tcase_create("ends");
    tcase_add_loop_test(ends, test_cancel, 0, 8);
    tcase_add_loop_test(ends, test_end_from_inside, 0, 3);
    tcase_add_test(ends, test_free_with_queries);
    tcase_add_test(ends, test_many_at_once);
    suite_add_tcase(suite, ends);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
