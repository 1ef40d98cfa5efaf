/* SPDX-License-Identifier: Apache-2.0 */
/* dns_test.c - look-ups and a live DNS source against dnsmasq (Debian package dnsmasq-base). */
#include "discover/source.h"
#include "net/dns.h"
#include "net/socket.h"

#include <check.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define DNSMASQ "/usr/sbin/dnsmasq"
#define PATIENCE (5 * NANOS_S) /* a failure, not a wait */

struct bench {
    struct world world;
    mesh_nanos ahead; /* of the machine's clock: what the test makes pass */
    struct loop loop;
    struct dns *dns;
    char folder[64], hosts[96];
    struct address address;
    pid_t pid;
    int output; /* what dnsmasq says */
    /* What the last look-up gave. */
    uint32_t answers;
    mesh_status status;
    uint32_t count, ttl_s;
    char first[ADDRESS_TEXT_MAX], last[ADDRESS_TEXT_MAX], detail[512];
    uint32_t updates, logs;
};

static mesh_nanos shifted_now(const struct world *world)
{
    return mesh__world_real.now(world) + ((const struct bench *)world->user)->ahead;
}

static mesh_nanos real_now(void)
{
    return mesh__world_real.now(&mesh__world_real);
}

static void write_hosts(struct bench *bench, const char *text)
{
    FILE *file = fopen(bench->hosts, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    for (int i = 0; i < 250; i++)
        fprintf(file, "10.2.0.%d huge.test%s\n", i, i < 50 ? " many.test" : "");
    ck_assert_int_eq(fclose(file), 0);
}

/* Reads what dnsmasq says until it says `words`. */
static void expect_output(struct bench *bench, const char *words)
{
    char text[16384];
    size_t used = 0;
    mesh_nanos end = real_now() + PATIENCE;
    text[0] = '\0';
    while (strstr(text, words) == NULL) {
        struct pollfd ready = { .fd = bench->output, .events = POLLIN };
        ck_assert_msg(real_now() < end && used + 1 < sizeof(text), "dnsmasq did not say \"%s\" but: %s", words, text);
        if (poll(&ready, 1, 100) <= 0)
            continue;
        ssize_t got = read(bench->output, text + used, sizeof(text) - used - 1);
        ck_assert_msg(got > 0, "dnsmasq ended: %s", text);
        used += (size_t)got;
        text[used] = '\0';
    }
}

static void run_dnsmasq(struct bench *bench, int output, const char *record)
{
    char port[32], hosts[128], host_record[128];
    snprintf(port, sizeof(port), "--port=%u", (unsigned)ntohs(bench->address.socket.v4.sin_port));
    snprintf(hosts, sizeof(hosts), "--addn-hosts=%s", bench->hosts);
    snprintf(host_record, sizeof(host_record), "--host-record=%s", record);
    const char *user = geteuid() == 0 ? "--user=root" : "--no-poll"; /* the hosts file is ours alone */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)dup2(output, STDERR_FILENO);
    (void)execl(DNSMASQ, DNSMASQ, "--no-daemon", "--conf-file=/dev/null", "--pid-file=", port, "--no-resolv",
                "--no-hosts", "--listen-address=127.0.0.1", "--bind-interfaces", "--local=/test/", "--local-ttl=9",
                "--cname=alias.test,both.test,4", "--host-record=both.test,10.1.0.1,::1,60",
                "--host-record=v6.test,2001:db8::6,60", host_record, user, hosts, (char *)NULL);
    _exit(127);
}

static void start_dnsmasq(struct bench *bench, const char *record)
{
    int ends[2];
    ck_assert_msg(access(DNSMASQ, X_OK) == 0, DNSMASQ " is not installed: install the package dnsmasq-base");
    ck_assert_int_eq(pipe(ends), 0);
    bench->pid = fork();
    ck_assert_int_ge(bench->pid, 0);
    if (bench->pid == 0)
        run_dnsmasq(bench, ends[1], record);
    close(ends[1]);
    bench->output = ends[0];
    expect_output(bench, "names"); /* its last words before it serves: the file is read */
}

static void stop_dnsmasq(struct bench *bench)
{
    ck_assert_int_eq(kill(bench->pid, SIGTERM), 0);
    ck_assert_int_eq(waitpid(bench->pid, NULL, 0), bench->pid);
    close(bench->output);
}

static void find_port(struct bench *bench)
{
    struct address any;
    const uint8_t loopback[4] = { 127, 0, 0, 1 };
    mesh__address_from_ip(AF_INET, loopback, 0, &any);
    int fd = mesh__socket_listen(&any, 1, &bench->address);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

static void set_up(struct bench *bench)
{
    memset(bench, 0, sizeof(*bench));
    bench->world = mesh__world_real;
    bench->world.now = shifted_now;
    bench->world.user = bench;
    ck_assert_int_eq(mesh__loop_init(&bench->loop, &mesh__mem_system, &bench->world), 0);
    snprintf(bench->folder, sizeof(bench->folder), "/tmp/mesh-dnsmasq-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(bench->folder));
    snprintf(bench->hosts, sizeof(bench->hosts), "%s/hosts", bench->folder);
    write_hosts(bench, "10.3.0.1 live.test\n");
    find_port(bench);
    start_dnsmasq(bench, "only.test,10.1.0.9,33");
    struct dns_options options = { .servers = &bench->address,
                                   .server_count = 1,
                                   .timeout = NANOS_S,
                                   .tries = 2,
                                   .resolv_conf = "/dev/null",
                                   .hosts = "/dev/null/none" };
    bench->dns = mesh__dns_new(&bench->loop, &options);
    ck_assert_ptr_nonnull(bench->dns);
}

static void tear_down(struct bench *bench)
{
    mesh__dns_free(bench->dns);
    mesh__loop_fini(&bench->loop);
    stop_dnsmasq(bench);
    unlink(bench->hosts);
    ck_assert_int_eq(rmdir(bench->folder), 0);
}

static void on_answer(void *user, const struct dns_answer *answer)
{
    struct bench *bench = user;
    bench->answers++;
    bench->status = answer->status;
    bench->count = answer->count;
    bench->ttl_s = answer->ttl_s;
    snprintf(bench->first, sizeof(bench->first), "%s", answer->count ? answer->addresses[0].text : "");
    snprintf(bench->last, sizeof(bench->last), "%s", answer->count ? answer->addresses[answer->count - 1].text : "");
    snprintf(bench->detail, sizeof(bench->detail), "%s", answer->detail);
}

static void turn_until(struct bench *bench, const uint32_t *counter, uint32_t value)
{
    mesh_nanos end = real_now() + PATIENCE;
    while (*counter < value) {
        ck_assert_msg(real_now() < end, "nothing came");
        mesh__loop_turn(&bench->loop, 100 * NANOS_MS);
    }
}

struct row {
    const char *host;
    mesh_status status;
    uint32_t count, ttl_s;
    const char *first;
};

static const struct row rows[] = {
    { "only.test.", MESH_OK, 1, 33, "10.1.0.9:80" },    { "ONLY.test.", MESH_OK, 1, 33, "10.1.0.9:80" },
    { "v6.test.", MESH_OK, 1, 60, "[2001:db8::6]:80" }, { "live.test.", MESH_OK, 1, 9, "10.3.0.1:80" },
    { "many.test.", MESH_OK, 50, 9, "10.2.0.0:80" },    { "huge.test.", MESH_OK, 250, 9, "10.2.0.0:80" },
    { "missing.test.", MESH_NO_SUCH_NAME, 0, 0, "" },   { "elsewhere.", MESH_DISCOVERY, 0, 0, "" },
};

START_TEST(test_look_up)
{
    const struct row *row = &rows[_i];
    struct bench bench;
    set_up(&bench);
    ck_assert_ptr_nonnull(mesh__dns_resolve(bench.dns, row->host, 80, on_answer, &bench));
    turn_until(&bench, &bench.answers, 1);
    ck_assert_msg(bench.status == row->status, "%s: %s (%s)", row->host, mesh_status_name(bench.status), bench.detail);
    ck_assert_msg(bench.count == row->count, "%s: %u addresses", row->host, bench.count);
    ck_assert_msg(bench.ttl_s == row->ttl_s, "%s: ttl %u", row->host, bench.ttl_s);
    ck_assert_str_eq(bench.first, row->first);
    tear_down(&bench);
}
END_TEST

/* An alias lives no longer than itself; both families are found where the machine has both. */
START_TEST(test_alias)
{
    struct bench bench;
    set_up(&bench);
    ck_assert_ptr_nonnull(mesh__dns_resolve(bench.dns, "alias.test.", 80, on_answer, &bench));
    turn_until(&bench, &bench.answers, 1);
    ck_assert_int_eq(bench.status, MESH_OK);
    ck_assert_uint_eq(bench.ttl_s, 4);
    ck_assert_str_eq(bench.first, "10.1.0.1:80");
    ck_assert_str_eq(bench.last, bench.count == 2 ? "[::1]:80" : "10.1.0.1:80");
    tear_down(&bench);
}
END_TEST

static void on_update(void *user, mesh_status status, const struct endpoint_config *endpoints, uint32_t count,
                      const char *detail)
{
    struct bench *bench = user;
    bench->status = status;
    bench->count = count;
    snprintf(bench->first, sizeof(bench->first), "%s", count ? endpoints[0].address.text : "");
    snprintf(bench->detail, sizeof(bench->detail), "%s", detail);
    bench->updates++;
}

static void on_log(void *user, int32_t level, const char *line)
{
    struct bench *bench = user;
    (void)level;
    snprintf(bench->detail, sizeof(bench->detail), "%s", line);
    bench->logs++;
}

/* Another address behind the same name, by a reread file, then by a server that went away and came back. */
START_TEST(test_live_source)
{
    struct bench bench;
    set_up(&bench);
    static const struct source_events events = { on_update, on_log };
    struct discover_config config = { .kind = DISCOVER_DNS, .host = "live.test.", .port = 80 };
    struct source *source = mesh__source_start(&bench.loop, bench.dns, &config, 1, &events, &bench);
    ck_assert_ptr_nonnull(source);
    turn_until(&bench, &bench.updates, 1);
    ck_assert_str_eq(bench.first, "10.3.0.1:80");
    write_hosts(&bench, "10.3.0.2 live.test\n");
    ck_assert_int_eq(kill(bench.pid, SIGHUP), 0);
    expect_output(&bench, "names");
    bench.ahead += 8 * NANOS_S; /* of 9 */
    turn_until(&bench, &bench.updates, 2);
    ck_assert_str_eq(bench.first, "10.3.0.2:80");
    stop_dnsmasq(&bench);
    bench.ahead += 8 * NANOS_S;
    turn_until(&bench, &bench.logs, 1);
    ck_assert_msg(strstr(bench.detail, "the last 1 endpoints stay") != NULL, "%s", bench.detail);
    ck_assert_uint_eq(bench.updates, 2);
    write_hosts(&bench, "10.3.0.3 live.test\n");
    start_dnsmasq(&bench, "only.test,10.1.0.9,33");
    bench.ahead += 30 * NANOS_S;
    turn_until(&bench, &bench.updates, 3);
    ck_assert_int_eq(bench.status, MESH_OK);
    ck_assert_str_eq(bench.first, "10.3.0.3:80");
    mesh__source_stop(source);
    tear_down(&bench);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dnsmasq");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 30);
    tcase_add_loop_test(tcase, test_look_up, 0, (int)(sizeof(rows) / sizeof(rows[0])));
    tcase_add_test(tcase, test_alias);
    tcase_add_test(tcase, test_live_source);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
