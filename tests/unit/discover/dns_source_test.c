/* SPDX-License-Identifier: Apache-2.0 */
/* dns_source_test.c - what a DNS source publishes, keeps and asks again, and when: the clock is the test's. */
#include "discover/source_inside.h"
#include "net/dns.h"

#include "support/dns_server.h"

#include <check.h>
#include <mesh/client.h>
#include <stdio.h>

#define PATIENCE (5 * NANOS_S) /* a failure, not a wait */
#define BEGIN (1000 * NANOS_S)

struct bench {
    struct world world;
    mesh_nanos now;
    struct loop loop;
    struct dns_server *server;
    struct dns *dns;
    struct discover_config config;
    struct source *source;
    /* What the server says: addresses with blanks between, or the words of answer(). */
    const char *says;
    uint32_t ttl_s;
    bool v6_silent;
    uint32_t asked; /* questions for A */
    /* What came of it. */
    uint32_t updates, logs;
    mesh_status status;
    uint32_t count;
    char list[512], detail[512], line[512];
    int32_t level;
    bool stop_in_update, stop_in_log;
};

static mesh_nanos owned_now(const struct world *world)
{
    return ((const struct bench *)world->user)->now;
}

static void answer(void *user, struct dns_request *request)
{
    struct bench *bench = user;
    bool v4 = request->type == DNS_TYPE_A;
    bench->asked += v4;
    if (!v4 && bench->v6_silent)
        return;
    uint16_t rcode = 0;
    if (strcmp(bench->says, "servfail") == 0)
        rcode = 2;
    if (strcmp(bench->says, "nxdomain") == 0)
        rcode = 3;
    dns_begin(request, rcode);
    if (rcode == 3 || strcmp(bench->says, "empty") == 0) {
        dns_soa(request, bench->ttl_s, bench->ttl_s);
    } else if (rcode == 0) {
        char ip[64];
        int used, at = 0;
        while (sscanf(bench->says + at, "%63s%n", ip, &used) == 1) {
            if ((strchr(ip, ':') == NULL) == v4)
                dns_a(request, NULL, bench->ttl_s, ip);
            at += used;
        }
    }
}

static void stop(struct bench *bench)
{
    mesh__source_stop(bench->source);
    bench->source = NULL;
}

static void on_update(void *user, mesh_status status, const struct endpoint_config *endpoints, uint32_t count,
                      const char *detail)
{
    struct bench *bench = user;
    ck_assert_ptr_nonnull(bench->source); /* neither from inside start nor after stop */
    bench->updates++;
    bench->status = status;
    bench->count = count;
    bench->list[0] = '\0';
    for (uint32_t i = 0; i < count && i < 8; i++) {
        size_t used = strlen(bench->list);
        ck_assert_uint_eq(endpoints[i].weight, 1);
        snprintf(bench->list + used, sizeof(bench->list) - used, "%s ", endpoints[i].address.text);
    }
    snprintf(bench->detail, sizeof(bench->detail), "%s", detail);
    if (bench->stop_in_update)
        stop(bench);
}

static void on_log(void *user, int32_t level, const char *line)
{
    struct bench *bench = user;
    ck_assert_ptr_nonnull(bench->source);
    bench->logs++;
    bench->level = level;
    snprintf(bench->line, sizeof(bench->line), "%s", line);
    if (bench->stop_in_log)
        stop(bench);
}

static void set_up(struct bench *bench, const char *says, uint32_t ttl_s)
{
    memset(bench, 0, sizeof(*bench));
    bench->world = mesh__world_real;
    bench->world.now = owned_now;
    bench->world.user = bench;
    bench->now = BEGIN;
    bench->says = says;
    bench->ttl_s = ttl_s;
    ck_assert_int_eq(mesh__loop_init(&bench->loop, &mesh__mem_system, &bench->world), 0);
    struct dns_server_options server = { &bench->loop, answer, bench };
    bench->server = dns_server_start(&server);
    ck_assert_ptr_nonnull(bench->server);
    struct dns_options options = { .servers = dns_server_address(bench->server),
                                   .server_count = 1,
                                   .timeout = 60 * NANOS_S,
                                   .tries = 1,
                                   .resolv_conf = "/dev/null",
                                   .hosts = "/dev/null/none" };
    bench->dns = mesh__dns_new(&bench->loop, &options);
    ck_assert_ptr_nonnull(bench->dns);
    static const struct source_events events = { on_update, on_log };
    bench->config = (struct discover_config){ .kind = DISCOVER_DNS, .host = "web.test.", .port = 80 };
    struct source *source = mesh__source_start(&bench->loop, bench->dns, &bench->config, 42, &events, bench);
    ck_assert_ptr_nonnull(source);
    ck_assert_uint_eq(bench->updates, 0);
    bench->source = source;
}

static void tear_down(struct bench *bench)
{
    mesh__source_stop(bench->source);
    mesh__dns_free(bench->dns);
    dns_server_stop(bench->server);
    ck_assert_msg(mesh__loop_next(&bench->loop) == NANOS_NEVER, "a timer or task is left");
    mesh__loop_fini(&bench->loop);
}

/* Turns until the server was asked so often and everything that follows from it has happened. Only the machine's own
 * sockets are waited for: the clock stands still. */
static void settle(struct bench *bench, uint32_t asked)
{
    mesh_nanos end = mesh__world_real.now(&mesh__world_real) + PATIENCE;
    uint32_t quiet = 0;
    while (bench->asked < asked || quiet < 3) {
        ck_assert_msg(mesh__world_real.now(&mesh__world_real) < end, "asked %u times, not %u", bench->asked, asked);
        uint32_t before = bench->asked + bench->updates + bench->logs;
        mesh__loop_turn(&bench->loop, bench->asked < asked ? NANOS_MS : 0);
        bool waiting = bench->source != NULL && bench->source->timer.timer.due == NANOS_NEVER;
        quiet = before == bench->asked + bench->updates + bench->logs && !waiting ? quiet + 1 : 0;
    }
}

/* When the source asks next. While it waits for no answer, its timer is the only one. */
static mesh_nanos next_in(struct bench *bench)
{
    mesh_nanos next = mesh__loop_next(&bench->loop);
    ck_assert_int_gt(next, bench->now);
    return next - bench->now;
}

static void go(struct bench *bench, mesh_nanos length)
{
    bench->now += length;
}

START_TEST(test_publishes_sorted_once)
{
    struct bench bench;
    set_up(&bench, "10.0.0.2 10.0.0.1 10.0.0.2", 10);
    settle(&bench, 1);
    ck_assert_uint_eq(bench.updates, 1);
    ck_assert_int_eq(bench.status, MESH_OK);
    ck_assert_str_eq(bench.list, "10.0.0.1:80 10.0.0.2:80 ");
    bench.says = "10.0.0.1 10.0.0.2"; /* another order is no change */
    go(&bench, next_in(&bench));
    settle(&bench, 2);
    ck_assert_uint_eq(bench.updates, 1);
    tear_down(&bench);
}
END_TEST

struct pace_row {
    uint32_t ttl_s;
    mesh_nanos next;
};

static const struct pace_row pace_rows[] = {
    { 0, NANOS_S },          { 1, NANOS_S },          { 5, 4 * NANOS_S },           { 30, 24 * NANOS_S },
    { 375, 300 * NANOS_S },  { 3600, 300 * NANOS_S }, { INT32_MAX, 300 * NANOS_S }, { 0x80000000u, NANOS_S },
    { UINT32_MAX, NANOS_S },
};

/* Rows 6 and 7. */
START_TEST(test_refresh_pace)
{
    struct bench bench;
    set_up(&bench, "10.0.0.1", pace_rows[_i].ttl_s);
    settle(&bench, 1);
    ck_assert_int_eq(next_in(&bench), pace_rows[_i].next);
    go(&bench, next_in(&bench) - 1);
    mesh__loop_turn(&bench.loop, 0);
    ck_assert_uint_eq(bench.asked, 1);
    go(&bench, 1);
    settle(&bench, 2);
    tear_down(&bench);
}
END_TEST

/* Row 17. */
START_TEST(test_flapping)
{
    static const char *const lists[] = { "10.0.0.1 10.0.0.2", "10.0.0.1", "10.0.0.1 10.0.0.2" };
    struct bench bench;
    set_up(&bench, lists[0], 1);
    for (uint32_t i = 0; i < 3; i++) {
        bench.says = lists[i];
        settle(&bench, i + 1);
        ck_assert_uint_eq(bench.updates, i + 1);
        ck_assert_uint_eq(bench.count, i == 1 ? 1 : 2);
        go(&bench, next_in(&bench));
    }
    tear_down(&bench);
}
END_TEST

START_TEST(test_backoff)
{
    struct bench bench;
    set_up(&bench, "servfail", 0);
    mesh_nanos least = NANOS_S;
    uint32_t jittered = 0;
    for (uint32_t i = 1; i <= 10; i++) {
        settle(&bench, i);
        mesh_nanos next = next_in(&bench);
        ck_assert_int_ge(next, least);
        ck_assert_int_le(next, least / 4 * 5);
        ck_assert_int_le(next, 30 * NANOS_S);
        jittered += next % NANOS_S != 0;
        least = mesh__nanos_min(2 * least, 24 * NANOS_S);
        go(&bench, next);
    }
    ck_assert_msg(jittered > 0, "no jitter");
    ck_assert_uint_eq(bench.updates, 1); /* said once, not ten times */
    ck_assert_int_eq(bench.status, MESH_DISCOVERY);
    ck_assert_msg(strstr(bench.detail, "web.test.: SERVFAIL from 127.0.0.1:") != NULL, "%s", bench.detail);
    bench.says = "10.0.0.1";
    bench.ttl_s = 10;
    settle(&bench, 11);
    ck_assert_int_eq(bench.status, MESH_OK);
    ck_assert_int_eq(next_in(&bench), 8 * NANOS_S);
    go(&bench, 8 * NANOS_S);
    bench.says = "servfail";
    settle(&bench, 12);
    ck_assert_int_lt(next_in(&bench), 2 * NANOS_S); /* it begins anew */
    tear_down(&bench);
}
END_TEST

/* Rows 1, 3 and 4 with a live list: kept, said once, and again when it is over. */
START_TEST(test_keeps_last_good_list)
{
    const char *const bad = _i == 0 ? "servfail" : "nxdomain";
    struct bench bench;
    set_up(&bench, "10.0.0.1", 1);
    settle(&bench, 1);
    bench.says = bad;
    for (uint32_t i = 2; i < 6; i++) {
        go(&bench, next_in(&bench));
        settle(&bench, i);
    }
    ck_assert_uint_eq(bench.updates, 1);
    ck_assert_uint_eq(bench.logs, 1);
    ck_assert_int_eq(bench.level, MESH_LOG_WARN);
    ck_assert_msg(strstr(bench.line, "the last 1 endpoints stay") != NULL, "%s", bench.line);
    bench.says = "10.0.0.1";
    go(&bench, next_in(&bench));
    settle(&bench, 6);
    ck_assert_uint_eq(bench.updates, 1);
    ck_assert_uint_eq(bench.logs, 2);
    ck_assert_int_eq(bench.level, MESH_LOG_INFO);
    tear_down(&bench);
}
END_TEST

static const struct pace_row negative_rows[] = {
    { 0, NANOS_S }, { 1, NANOS_S }, { 7, 7 * NANOS_S }, { 30, 30 * NANOS_S }, { 3600, 30 * NANOS_S },
};

START_TEST(test_no_such_name)
{
    struct bench bench;
    set_up(&bench, "nxdomain", negative_rows[_i].ttl_s);
    settle(&bench, 1);
    ck_assert_int_eq(bench.status, MESH_NO_SUCH_NAME);
    ck_assert_int_eq(next_in(&bench), negative_rows[_i].next);
    bench.says = "10.0.0.1";
    go(&bench, next_in(&bench));
    settle(&bench, 2);
    ck_assert_int_eq(bench.status, MESH_OK);
    ck_assert_uint_eq(bench.updates, 2);
    tear_down(&bench);
}
END_TEST

/* Row 5: a name without addresses is news, not a failure. */
START_TEST(test_empty_answer_ends_the_list)
{
    struct bench bench;
    set_up(&bench, "10.0.0.1", 5);
    settle(&bench, 1);
    bench.says = "empty";
    go(&bench, next_in(&bench));
    settle(&bench, 2);
    ck_assert_uint_eq(bench.updates, 2);
    ck_assert_int_eq(bench.status, MESH_NO_ENDPOINT);
    ck_assert_uint_eq(bench.count, 0);
    ck_assert_int_eq(next_in(&bench), 5 * NANOS_S);
    go(&bench, next_in(&bench));
    settle(&bench, 3);
    ck_assert_uint_eq(bench.updates, 2);
    bench.says = "10.0.0.1";
    go(&bench, next_in(&bench));
    settle(&bench, 4);
    ck_assert_int_eq(bench.status, MESH_OK);
    ck_assert_uint_eq(bench.count, 1);
    tear_down(&bench);
}
END_TEST

/* Row 12: one family in silence costs 50 ms, and does not take away what is known of it. */
START_TEST(test_silent_family_is_kept)
{
    struct bench bench;
    set_up(&bench, "::1", 10); /* alone, it is used on any machine */
    settle(&bench, 1);
    ck_assert_str_eq(bench.list, "[::1]:80 ");
    go(&bench, next_in(&bench));
    bench.v6_silent = true;
    bench.says = "10.0.0.1";
    mesh_nanos end = mesh__world_real.now(&mesh__world_real) + PATIENCE;
    /* The grace is a timer of 50 ms; the source's own is set to never while it waits. */
    while (mesh__loop_next(&bench.loop) != bench.now + 50 * NANOS_MS) {
        ck_assert_msg(mesh__world_real.now(&mesh__world_real) < end, "no grace was given");
        mesh__loop_turn(&bench.loop, 0);
    }
    ck_assert_uint_eq(bench.updates, 1);
    go(&bench, 50 * NANOS_MS);
    mesh__loop_turn(&bench.loop, 0);
    ck_assert_uint_eq(bench.updates, 2);
    ck_assert_str_eq(bench.list, "10.0.0.1:80 [::1]:80 ");
    ck_assert_int_lt(next_in(&bench), 2 * NANOS_S); /* asked again soon */
    tear_down(&bench);
}
END_TEST

START_TEST(test_stop)
{
    struct bench bench;
    set_up(&bench, "10.0.0.1", 1);
    for (int i = 0; i < _i; i++) /* before it asked, while it asks, and so on */
        mesh__loop_turn(&bench.loop, 0);
    stop(&bench);
    uint32_t updates = bench.updates;
    go(&bench, 10 * NANOS_S);
    for (int i = 0; i < 5; i++)
        mesh__loop_turn(&bench.loop, 0);
    ck_assert_uint_eq(bench.updates, updates);
    tear_down(&bench);
}
END_TEST

START_TEST(test_stop_from_inside)
{
    struct bench bench;
    set_up(&bench, _i == 1 ? "servfail" : "10.0.0.1", 1);
    bench.stop_in_update = _i < 2;
    bench.stop_in_log = true;
    settle(&bench, 1);
    if (_i == 2) {
        bench.says = "servfail";
        go(&bench, next_in(&bench));
        settle(&bench, 2);
        ck_assert_uint_eq(bench.logs, 1);
    }
    ck_assert_uint_eq(bench.updates, 1);
    ck_assert_ptr_null(bench.source);
    tear_down(&bench);
}
END_TEST

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

int main(void)
{
    Suite *suite = suite_create("dns_source");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, test_publishes_sorted_once);
    tcase_add_loop_test(tcase, test_refresh_pace, 0, COUNT(pace_rows));
    tcase_add_test(tcase, test_flapping);
    tcase_add_test(tcase, test_backoff);
    tcase_add_loop_test(tcase, test_keeps_last_good_list, 0, 2);
    tcase_add_loop_test(tcase, test_no_such_name, 0, COUNT(negative_rows));
    tcase_add_test(tcase, test_empty_answer_ends_the_list);
    tcase_add_test(tcase, test_silent_family_is_kept);
    tcase_add_loop_test(tcase, test_stop, 0, 5);
    tcase_add_loop_test(tcase, test_stop_from_inside, 0, 3);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
