/* SPDX-License-Identifier: Apache-2.0 */
/* outbox_test.c - order, bounds, wakes and many threads. */
/* label: threaded */
#include "telemetry/outbox.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct heard {
    int lines, spans, soft_wakes, urgent_wakes;
    char last[600];
    int32_t last_level;
    struct span_record span;
    char service[80], path[120];
    int sampled;
    struct outbox *relog; /* a callback that logs in turn */
};

static void on_log(int32_t level, const char *line, void *user)
{
    struct heard *heard = user;
    heard->lines++;
    heard->last_level = level;
    (void)snprintf(heard->last, sizeof(heard->last), "%s", line);
    if (heard->relog)
        mesh__outbox_log(heard->relog, MESH_LOG_ERROR, "again");
}

static void on_span(const mesh_span *span, void *user)
{
    struct heard *heard = user;
    heard->spans++;
    heard->sampled = span->sampled;
    heard->span.kind = span->kind;
    heard->span.attempt = span->attempt;
    heard->span.start_unix_ns = span->start_unix_ns;
    heard->span.duration_ns = span->duration_ns;
    heard->span.status = span->status;
    heard->span.http_status = span->http_status;
    heard->span.grpc_status = span->grpc_status;
    heard->span.tag = span->tag;
    memcpy(heard->span.context.trace_id, span->trace_id, 16);
    memcpy(heard->span.context.span_id, span->span_id, 8);
    memcpy(heard->span.parent_id, span->parent_id, 8);
    (void)snprintf(heard->service, sizeof(heard->service), "%s", span->service);
    (void)snprintf(heard->path, sizeof(heard->path), "%s", span->path);
}

struct audited {
    int count;
    uint64_t dropped;
    mesh_audit last;
    char texts[6][260];
};

static void on_audit(const mesh_audit *audit, void *user)
{
    struct audited *audited = user;
    const char *const texts[] = { audit->name,         audit->rule,   audit->peer_id,
                                  audit->peer_address, audit->method, audit->path };
    audited->count++;
    audited->dropped += audit->dropped;
    audited->last = *audit;
    for (size_t i = 0; i < 6; i++)
        (void)snprintf(audited->texts[i], sizeof(audited->texts[i]), "%s", texts[i]);
}

static struct outbox *open_audits(struct audited *audited)
{
    mesh_options options = MESH_OPTIONS_INIT;
    options.on_audit = on_audit;
    options.user = audited;
    memset(audited, 0, sizeof(*audited));
    struct outbox *outbox = mesh__outbox_new(&mesh__mem_system, &options, NULL, NULL);
    ck_assert_ptr_nonnull(outbox);
    return outbox;
}

START_TEST(test_audit_arrives_whole)
{
    struct audited audited;
    struct outbox *outbox = open_audits(&audited);
    struct audit_record audit = { .kind = MESH_AUDIT_REQUEST,
                                  .would_deny = true,
                                  .unix_ns = 7,
                                  .name = "payment",
                                  .rule = "no",
                                  .peer_id = "spiffe://shop/order",
                                  .peer_address = "127.0.0.1:1",
                                  .method = "GET",
                                  .path = "/charge" };
    ck_assert(mesh__outbox_wants_audits(outbox));
    ck_assert(!mesh__outbox_wants_spans(outbox) && !mesh__outbox_wants_log(outbox, MESH_LOG_ERROR));
    mesh__outbox_audit(outbox, &audit);
    memset(&audit, 'x', sizeof(audit)); /* it was copied */
    ck_assert_int_eq(audited.count, 0);
    mesh__outbox_drain(outbox);
    ck_assert_int_eq(audited.count, 1);
    ck_assert_uint_eq(audited.last.size, sizeof(mesh_audit));
    ck_assert_int_eq(audited.last.kind, MESH_AUDIT_REQUEST);
    ck_assert(audited.last.allowed == 0 && audited.last.would_deny == 1);
    ck_assert_int_eq(audited.last.unix_ns, 7);
    ck_assert_uint_eq(audited.last.dropped, 0);
    static const char *const expected[] = { "payment", "no", "spiffe://shop/order", "127.0.0.1:1", "GET", "/charge" };
    for (size_t i = 0; i < 6; i++)
        ck_assert_str_eq(audited.texts[i], expected[i]);
    mesh__outbox_free(outbox);
}
END_TEST

/* The decision that comes next says how many are missing before it. */
START_TEST(test_dropped_audits_are_told)
{
    struct audited audited;
    struct outbox *outbox = open_audits(&audited);
    const struct audit_record audit = { .kind = MESH_AUDIT_REQUEST };
    int put = 0;
    for (; mesh__outbox_dropped(outbox) < 5; put++)
        mesh__outbox_audit(outbox, &audit);
    mesh__outbox_drain(outbox);
    ck_assert_int_eq(audited.count, put - 5);
    ck_assert_uint_eq(audited.dropped, 0);
    for (int i = 0; i < 2; i++) {
        mesh__outbox_audit(outbox, &audit);
        mesh__outbox_drain(outbox);
        ck_assert_uint_eq(audited.last.dropped, i == 0 ? 5 : 0);
    }
    mesh__outbox_free(outbox);
}
END_TEST

static void on_wake(void *user, bool urgent)
{
    struct heard *heard = user;
    *(urgent ? &heard->urgent_wakes : &heard->soft_wakes) += 1;
}

static struct outbox *open_outbox(struct heard *heard, int32_t level)
{
    mesh_options options = MESH_OPTIONS_INIT;
    options.on_log = on_log;
    options.on_span = on_span;
    options.log_level = level;
    options.user = heard;
    memset(heard, 0, sizeof(*heard));
    struct outbox *outbox = mesh__outbox_new(&mesh__mem_system, &options, on_wake, heard);
    ck_assert_ptr_nonnull(outbox);
    return outbox;
}

START_TEST(test_nobody_listens)
{
    struct heard heard = { 0 };
    struct outbox *outbox = mesh__outbox_new(&mesh__mem_system, NULL, on_wake, &heard);
    ck_assert(!mesh__outbox_wants_spans(outbox) && !mesh__outbox_wants_audits(outbox));
    ck_assert(!mesh__outbox_wants_log(outbox, MESH_LOG_ERROR));
    mesh__outbox_audit(outbox, &(struct audit_record){ .kind = MESH_AUDIT_REQUEST });
    struct span_record span = { 0 };
    mesh__outbox_span(outbox, &span);
    mesh__outbox_log(outbox, MESH_LOG_ERROR, "x");
    mesh__outbox_drain(outbox);
    ck_assert_uint_eq(mesh__outbox_dropped(outbox), 0);
    ck_assert_int_eq(heard.soft_wakes + heard.urgent_wakes, 0);
    mesh__outbox_free(outbox);
    mesh__outbox_free(NULL);
}
END_TEST

START_TEST(test_levels)
{
    struct heard heard;
    struct outbox *outbox = open_outbox(&heard, MESH_LOG_WARN);
    ck_assert(mesh__outbox_wants_log(outbox, MESH_LOG_ERROR));
    ck_assert(mesh__outbox_wants_log(outbox, MESH_LOG_WARN));
    ck_assert(!mesh__outbox_wants_log(outbox, MESH_LOG_INFO));
    mesh__outbox_log(outbox, MESH_LOG_INFO, "not wanted");
    mesh__outbox_log(outbox, MESH_LOG_WARN, "%s %d", "wanted", 7);
    ck_assert_int_eq(heard.lines, 0); /* never from inside the function that puts in */
    mesh__outbox_drain(outbox);
    ck_assert_int_eq(heard.lines, 1);
    ck_assert_str_eq(heard.last, "wanted 7");
    ck_assert_int_eq(heard.last_level, MESH_LOG_WARN);
    mesh__outbox_free(outbox);
}
END_TEST

START_TEST(test_span_arrives_whole)
{
    struct heard heard;
    struct outbox *outbox = open_outbox(&heard, MESH_LOG_ERROR);
    struct span_record span = { .kind = MESH_SPAN_SERVER,
                                .context = { { 1, 2 }, { 3, 4 }, TRACE_SAMPLED },
                                .parent_id = { 5, 6 },
                                .attempt = 2,
                                .start_unix_ns = 11,
                                .duration_ns = 12,
                                .status = MESH_RESET,
                                .http_status = 503,
                                .grpc_status = 14,
                                .tag = 99,
                                .service = "payment",
                                .path = "/charge" };
    mesh__outbox_span(outbox, &span);
    memset(&span.service, 'x', sizeof(span.service) - 1); /* it was copied */
    mesh__outbox_drain(outbox);
    ck_assert_int_eq(heard.spans, 1);
    ck_assert_int_eq(heard.sampled, 1);
    ck_assert_int_eq(heard.span.kind, MESH_SPAN_SERVER);
    ck_assert_int_eq(heard.span.attempt, 2);
    ck_assert_int_eq(heard.span.start_unix_ns, 11);
    ck_assert_int_eq(heard.span.duration_ns, 12);
    ck_assert_int_eq(heard.span.status, MESH_RESET);
    ck_assert_int_eq(heard.span.http_status, 503);
    ck_assert_int_eq(heard.span.grpc_status, 14);
    ck_assert_uint_eq(heard.span.tag, 99);
    ck_assert_mem_eq(heard.span.context.trace_id, span.context.trace_id, 16);
    ck_assert_mem_eq(heard.span.context.span_id, span.context.span_id, 8);
    ck_assert_mem_eq(heard.span.parent_id, span.parent_id, 8);
    ck_assert_str_eq(heard.service, "payment");
    ck_assert_str_eq(heard.path, "/charge");
    mesh__outbox_free(outbox);
}
END_TEST

START_TEST(test_line_is_cut)
{
    struct heard heard;
    struct outbox *outbox = open_outbox(&heard, MESH_LOG_ERROR);
    char text[2000];
    memset(text, 'a', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    mesh__outbox_log(outbox, MESH_LOG_ERROR, "%s", text);
    mesh__outbox_drain(outbox);
    ck_assert_uint_eq(strlen(heard.last), 500);
    mesh__outbox_free(outbox);
}
END_TEST

START_TEST(test_wakes_and_overflow)
{
    struct heard heard;
    struct outbox *outbox = open_outbox(&heard, MESH_LOG_ERROR);
    int put = 0, half = 0;
    while (mesh__outbox_dropped(outbox) == 0) {
        mesh__outbox_log(outbox, MESH_LOG_ERROR, "%d", put++);
        if (heard.urgent_wakes == 1 && half == 0)
            half = put;
        ck_assert_int_lt(put, 1000000);
    }
    int capacity = put - 1;
    ck_assert_int_eq(heard.soft_wakes, 1);
    ck_assert_int_eq(heard.urgent_wakes, 1);
    ck_assert_int_eq(half, capacity / 2);
    mesh__outbox_log(outbox, MESH_LOG_ERROR, "no room either");
    ck_assert_uint_eq(mesh__outbox_dropped(outbox), 2);
    mesh__outbox_drain(outbox);
    ck_assert_int_eq(heard.lines, capacity);
    ck_assert_int_eq(atoi(heard.last), capacity - 1); /* the oldest stay, the newest are dropped */
    ck_assert_int_eq(heard.soft_wakes, 1);
    mesh__outbox_log(outbox, MESH_LOG_ERROR, "room again");
    ck_assert_int_eq(heard.soft_wakes, 2);
    mesh__outbox_drain(outbox);
    ck_assert_str_eq(heard.last, "room again");
    mesh__outbox_free(outbox);
}
END_TEST

START_TEST(test_a_callback_that_logs)
{
    struct heard heard;
    struct outbox *outbox = open_outbox(&heard, MESH_LOG_ERROR);
    heard.relog = outbox;
    mesh__outbox_log(outbox, MESH_LOG_ERROR, "first");
    ck_assert_int_eq(heard.soft_wakes, 1);
    mesh__outbox_drain(outbox);
    ck_assert_int_eq(heard.lines, 1); /* the drain ends */
    ck_assert_int_eq(heard.soft_wakes, 2);
    heard.relog = NULL;
    mesh__outbox_drain(outbox);
    ck_assert_int_eq(heard.lines, 2);
    ck_assert_str_eq(heard.last, "again");
    mesh__outbox_free(outbox);
}
END_TEST

static void on_log_mute(int32_t level, const char *line, void *user)
{
    struct heard *heard = user;
    on_log(level, line, user);
    mesh__outbox_mute(heard->relog);
}

/* A callback that mutes is the last one. */
START_TEST(test_mute)
{
    struct heard heard;
    mesh_options options = MESH_OPTIONS_INIT;
    options.on_log = on_log_mute;
    options.on_span = on_span;
    options.user = &heard;
    memset(&heard, 0, sizeof(heard));
    struct outbox *outbox = mesh__outbox_new(&mesh__mem_system, &options, on_wake, &heard);
    ck_assert_ptr_nonnull(outbox);
    heard.relog = outbox;
    ck_assert(!mesh__outbox_pending(outbox));
    for (int i = 0; i < 3; i++)
        mesh__outbox_log(outbox, MESH_LOG_ERROR, "line");
    ck_assert(mesh__outbox_pending(outbox));
    mesh__outbox_drain(outbox);
    ck_assert_int_eq(heard.lines, 1);
    ck_assert(!mesh__outbox_pending(outbox));
    ck_assert(!mesh__outbox_wants_spans(outbox));
    ck_assert(!mesh__outbox_wants_log(outbox, MESH_LOG_ERROR));
    mesh__outbox_log(outbox, MESH_LOG_ERROR, "into the void");
    mesh__outbox_drain(outbox);
    ck_assert_int_eq(heard.lines, 1);
    ck_assert_int_eq(heard.soft_wakes, 1);
    ck_assert_uint_eq(mesh__outbox_dropped(outbox), 0);
    mesh__outbox_free(outbox);
}
END_TEST

#define PUTTERS 4
#define PUTS 2000

struct crowd {
    struct outbox *outbox;
    atomic_int done;
    int next[PUTTERS];
    int heard;
    int out_of_order;
};

struct putter {
    struct crowd *crowd;
    int index;
};

static void on_crowd_log(int32_t level, const char *line, void *user)
{
    struct crowd *crowd = user;
    int at = atoi(line);
    if (at < crowd->next[level])
        crowd->out_of_order++;
    crowd->next[level] = at + 1;
    crowd->heard++;
}

static void *put_many(void *argument)
{
    struct putter *putter = argument;
    for (int i = 0; i < PUTS; i++)
        mesh__outbox_log(putter->crowd->outbox, putter->index, "%d", i);
    putter->crowd->done++;
    return NULL;
}

START_TEST(test_many_threads)
{
    struct crowd crowd = { 0 };
    mesh_options options = MESH_OPTIONS_INIT;
    options.on_log = on_crowd_log;
    options.log_level = MESH_LOG_DEBUG;
    options.user = &crowd;
    crowd.outbox = mesh__outbox_new(&mesh__mem_system, &options, NULL, NULL);
    pthread_t threads[PUTTERS];
    struct putter putters[PUTTERS];
    for (int i = 0; i < PUTTERS; i++) {
        putters[i] = (struct putter){ &crowd, i };
        ck_assert_int_eq(pthread_create(&threads[i], NULL, put_many, &putters[i]), 0);
    }
    while (crowd.done < PUTTERS)
        mesh__outbox_drain(crowd.outbox);
    mesh__outbox_drain(crowd.outbox);
    for (int i = 0; i < PUTTERS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(crowd.out_of_order, 0);
    ck_assert_uint_eq((uint64_t)crowd.heard + mesh__outbox_dropped(crowd.outbox), PUTTERS * PUTS);
    mesh__outbox_free(crowd.outbox);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("outbox");
    TCase *tcase = tcase_create("all");
    suite_add_tcase(suite, tcase);
    tcase_add_test(tcase, test_nobody_listens);
    tcase_add_test(tcase, test_levels);
    tcase_add_test(tcase, test_span_arrives_whole);
    tcase_add_test(tcase, test_audit_arrives_whole);
    tcase_add_test(tcase, test_dropped_audits_are_told);
    tcase_add_test(tcase, test_line_is_cut);
    tcase_add_test(tcase, test_wakes_and_overflow);
    tcase_add_test(tcase, test_a_callback_that_logs);
    tcase_add_test(tcase, test_mute);
    tcase_add_test(tcase, test_many_threads);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
