/* SPDX-License-Identifier: Apache-2.0 */
/* retry_test.c - which outcome may be followed by another attempt, and after how long. */
#include "policy/retry.h"

#include <check.h>
#include <stdlib.h>

enum { DEFAULT = RETRY_ON_DEFAULT, NOTHING = 0, ALL = 4095 };

static struct retry_config config_of(uint32_t on)
{
    return (
        struct retry_config){ .attempts = 3, .on = on, .backoff_base = 25 * NANOS_MS, .backoff_max = 250 * NANOS_MS };
}

#define FAIL(code, ...)                                                                                                \
    {                                                                                                                  \
        .status = MESH_##code, .retry_after = -1, __VA_ARGS__                                                          \
    }
#define HTTP(code)                                                                                                     \
    {                                                                                                                  \
        .http_status = code, .sent = SENT_ALL, .retry_after = -1                                                       \
    }
#define GRPC(status, ...)                                                                                              \
    {                                                                                                                  \
        .http_status = 200, .grpc_status = MESH_GRPC_##status, .sent = SENT_ALL, .retry_after = -1, __VA_ARGS__        \
    }
#define USED .made = 1, .free_used = true
#define YES(word) .retry = MESH_RETRY_##word
#define NO(reason) .stop = MESH_STOP_##reason

static const struct row {
    uint32_t on;
    struct report report;
    bool idempotent, free_used, disabled;
    uint32_t made;
    enum mesh_retry retry;
    enum mesh_stop stop;
} rows[] = {
    /* Responses. */
    { DEFAULT, HTTP(200), .idempotent = true, .made = 1 },
    { ALL, HTTP(404), .idempotent = true, .made = 1 },
    { DEFAULT, HTTP(503), .idempotent = true, .made = 1 },
    { DEFAULT, HTTP(503), .disabled = true, .made = 1 },
    { RETRY_ON_5XX, HTTP(500), .idempotent = true, .made = 1, YES(5XX) },
    { RETRY_ON_5XX, HTTP(599), .idempotent = true, .made = 1, YES(5XX) },
    { RETRY_ON_5XX, HTTP(600), .idempotent = true, .made = 1 },
    { RETRY_ON_GATEWAY_ERROR, HTTP(500), .idempotent = true, .made = 1 },
    { RETRY_ON_GATEWAY_ERROR, HTTP(502), .idempotent = true, .made = 1, YES(GATEWAY_ERROR) },
    { RETRY_ON_GATEWAY_ERROR, HTTP(504), .idempotent = true, .made = 1, YES(GATEWAY_ERROR) },
    { RETRY_ON_GATEWAY_ERROR, HTTP(505), .idempotent = true, .made = 1 },
    { RETRY_ON_5XX, HTTP(503), .idempotent = false, .made = 1, NO(NOT_IDEMPOTENT) },
    { RETRY_ON_5XX, HTTP(503), .idempotent = true, .made = 3, NO(ATTEMPTS) },
    { RETRY_ON_5XX, HTTP(503), .idempotent = true, .made = 1, .disabled = true, NO(ASKED) },
    /* gRPC. */
    { RETRY_ON_CANCELLED, GRPC(CANCELLED, .pushed_back = false), .idempotent = true, .made = 1, YES(CANCELLED) },
    { ALL & ~RETRY_ON_CANCELLED, GRPC(CANCELLED, .pushed_back = false), .idempotent = true, .made = 1 },
    { RETRY_ON_DEADLINE_EXCEEDED, GRPC(DEADLINE_EXCEEDED, .pushed_back = false), .idempotent = true, .made = 1,
      YES(DEADLINE_EXCEEDED) },
    { ALL & ~RETRY_ON_DEADLINE_EXCEEDED, GRPC(DEADLINE_EXCEEDED, .pushed_back = false), .idempotent = true, .made = 1 },
    { RETRY_ON_INTERNAL, GRPC(INTERNAL, .pushed_back = false), .idempotent = true, .made = 1, YES(INTERNAL) },
    { ALL & ~RETRY_ON_INTERNAL, GRPC(INTERNAL, .pushed_back = false), .idempotent = true, .made = 1 },
    { RETRY_ON_RESOURCE_EXHAUSTED, GRPC(RESOURCE_EXHAUSTED, .pushed_back = false), .idempotent = true, .made = 1,
      YES(RESOURCE_EXHAUSTED) },
    { ALL & ~RETRY_ON_RESOURCE_EXHAUSTED, GRPC(RESOURCE_EXHAUSTED, .pushed_back = false), .idempotent = true,
      .made = 1 },
    { RETRY_ON_UNAVAILABLE, GRPC(UNAVAILABLE, .pushed_back = false), .idempotent = true, .made = 1, YES(UNAVAILABLE) },
    { ALL & ~RETRY_ON_UNAVAILABLE, GRPC(UNAVAILABLE, .pushed_back = false), .idempotent = true, .made = 1 },
    { ALL, GRPC(OK, .pushed_back = true), .idempotent = true, .made = 1 },
    { ALL, GRPC(ABORTED, .pushed_back = true), .idempotent = true, .made = 1 },
    { ALL, GRPC(UNKNOWN, .pushback = -1), .idempotent = true, .made = 1 },
    { RETRY_ON_5XX | RETRY_ON_GATEWAY_ERROR, GRPC(UNAVAILABLE, .pushback = -1), .idempotent = true, .made = 1 },
    { RETRY_ON_UNAVAILABLE, GRPC(UNAVAILABLE, .pushback = -1), .made = 1, NO(NOT_IDEMPOTENT) },
    { RETRY_ON_UNAVAILABLE, GRPC(UNAVAILABLE, .pushback = -1), .idempotent = true, .made = 3, NO(ATTEMPTS) },
    { RETRY_ON_UNAVAILABLE, GRPC(UNAVAILABLE, .pushback = -1), .idempotent = true, .made = 1, .disabled = true,
      NO(ASKED) },
    { RETRY_ON_UNAVAILABLE, GRPC(UNAVAILABLE, .pushed_back = true, .pushback = 0), .idempotent = true, .made = 1,
      YES(UNAVAILABLE) },
    { RETRY_ON_UNAVAILABLE, GRPC(UNAVAILABLE, .pushed_back = true, .pushback = -1), .idempotent = true, .made = 1,
      NO(PUSHBACK) },
    /* Connections that broke under a gRPC call: UNAVAILABLE to it. */
    { RETRY_ON_UNAVAILABLE, FAIL(RESET, .grpc_status = MESH_GRPC_UNAVAILABLE, .sent = SENT_ALL), .idempotent = true,
      .made = 1, YES(UNAVAILABLE) },
    { RETRY_ON_UNAVAILABLE, FAIL(RESET, .grpc_status = MESH_GRPC_UNAVAILABLE, .sent = SENT_ALL), .made = 1,
      NO(NOT_IDEMPOTENT) },
    { RETRY_ON_UNAVAILABLE, FAIL(CONNECT_REFUSED, .grpc_status = MESH_GRPC_UNAVAILABLE, .unsent = true), USED,
      YES(UNAVAILABLE) },
    { RETRY_ON_UNAVAILABLE, FAIL(RESET, .sent = SENT_ALL), .idempotent = true, .made = 1, NO(NOT_RETRYABLE) },
    { RETRY_ON_CANCELLED, FAIL(RESET, .grpc_status = MESH_GRPC_CANCELLED, .sent = SENT_ALL), .idempotent = true,
      .made = 1, YES(CANCELLED) },
    /* Connections that never opened: safe for every method, and free once. */
    { DEFAULT, FAIL(CONNECT_REFUSED, .unsent = true), .made = 1, YES(UNSENT) },
    { NOTHING, FAIL(CONNECT_REFUSED, .unsent = true), .made = 1, YES(UNSENT) },
    { DEFAULT, FAIL(CONNECT_REFUSED, .unsent = true), .made = 3, YES(UNSENT) },
    { DEFAULT, FAIL(CONNECT_REFUSED, .unsent = true), USED, YES(CONNECT_FAILURE) },
    { DEFAULT, FAIL(CONNECT_TIMEOUT, .unsent = true), USED, YES(CONNECT_FAILURE) },
    { DEFAULT, FAIL(CONNECT_UNREACHABLE, .unsent = true), USED, YES(CONNECT_FAILURE) },
    { RETRY_ON_5XX, FAIL(CONNECT_REFUSED, .unsent = true), USED, NO(NOT_RETRYABLE) },
    { DEFAULT, FAIL(CONNECT_REFUSED, .unsent = true), .free_used = true, .made = 3, NO(ATTEMPTS) },
    /* Hands that were refused: another endpoint may be right, repeating it for nothing is not. */
    { DEFAULT, FAIL(TLS_WRONG_ID, .unsent = true), .made = 1, YES(CONNECT_FAILURE) },
    { DEFAULT, FAIL(DENIED, .unsent = true), .made = 1, YES(CONNECT_FAILURE) },
    { NOTHING, FAIL(TLS_REFUSED_BY_PEER, .unsent = true), .made = 1, NO(NOT_RETRYABLE) },
    { DEFAULT, FAIL(CONNECT_REFUSED, .unsent = true), .disabled = true, .made = 1, NO(ASKED) },
    { DEFAULT, FAIL(REFUSED, .unsent = true, .sent = SENT_ALL), .made = 1, YES(UNSENT) },
    { DEFAULT, FAIL(REFUSED, .unsent = true, .sent = SENT_ALL), USED, YES(REFUSED) },
    { RETRY_ON_RESET, FAIL(REFUSED, .unsent = true), USED, NO(NOT_RETRYABLE) },
    /* One attempt: but not one at a connection that was about to close. */
    { DEFAULT, FAIL(REFUSED, .unsent = true), .disabled = true, .made = 1, NO(ASKED) },
    { DEFAULT, FAIL(REFUSED, .unsent = true, .stale = true), .disabled = true, .made = 1, YES(UNSENT) },
    { DEFAULT, FAIL(REFUSED, .unsent = true, .stale = true), .disabled = true, USED, NO(ASKED) },
    { DEFAULT, FAIL(RESET, .stale = true), .disabled = true, .idempotent = true, .made = 1, NO(ASKED) },
    /* Resets. */
    { DEFAULT, FAIL(RESET, .sent = SENT_NONE), .made = 1, YES(RESET_BEFORE_REQUEST) },
    { DEFAULT, FAIL(RESET, .sent = SENT_PART), .idempotent = true, .made = 1, NO(NOT_RETRYABLE) },
    { DEFAULT, FAIL(RESET, .sent = SENT_ALL), .made = 1, NO(NOT_RETRYABLE) },
    { RETRY_ON_RESET, FAIL(RESET, .sent = SENT_NONE), .made = 1, YES(RESET) },
    { RETRY_ON_RESET, FAIL(RESET, .sent = SENT_PART), .made = 1, NO(NOT_IDEMPOTENT) },
    { RETRY_ON_RESET, FAIL(RESET, .sent = SENT_ALL), .idempotent = true, .made = 1, YES(RESET) },
    { DEFAULT, FAIL(RESET, .sent = SENT_ALL, .stale = true), .idempotent = true, .made = 1, YES(UNSENT) },
    { DEFAULT, FAIL(RESET, .sent = SENT_ALL, .stale = true), .made = 1, NO(NOT_RETRYABLE) },
    { DEFAULT, FAIL(RESET, .sent = SENT_ALL, .stale = true), .idempotent = true, USED, NO(NOT_RETRYABLE) },
    { DEFAULT, FAIL(PARTIAL_RESPONSE, .sent = SENT_ALL, .http_status = 200), .idempotent = true, .made = 1,
      NO(NOT_RETRYABLE) },
    { RETRY_ON_RESET, FAIL(PARTIAL_RESPONSE, .sent = SENT_ALL, .http_status = 200), .idempotent = true, .made = 1,
      YES(RESET) },
    { RETRY_ON_RESET, FAIL(PARTIAL_RESPONSE, .sent = SENT_ALL, .http_status = 200), .made = 1, NO(NOT_IDEMPOTENT) },
    /* Time. */
    { DEFAULT, FAIL(PER_TRY_TIMEOUT, .sent = SENT_ALL), .idempotent = true, .made = 1, NO(NOT_RETRYABLE) },
    { RETRY_ON_PER_TRY_TIMEOUT, FAIL(PER_TRY_TIMEOUT, .sent = SENT_ALL), .idempotent = true, .made = 1,
      YES(PER_TRY_TIMEOUT) },
    { RETRY_ON_PER_TRY_TIMEOUT, FAIL(PER_TRY_TIMEOUT, .sent = SENT_ALL), .made = 1, NO(NOT_IDEMPOTENT) },
    { RETRY_ON_PER_TRY_TIMEOUT, FAIL(PER_TRY_TIMEOUT, .unsent = true), USED, YES(PER_TRY_TIMEOUT) },
    { ALL, FAIL(DEADLINE, .unsent = true), .idempotent = true, .made = 1, NO(DEADLINE) },
    { ALL, FAIL(CANCELLED, .unsent = true), .idempotent = true, .made = 1, NO(NOT_RETRYABLE) },
    /* What this side caused, and what cannot get better. */
    { ALL, FAIL(NO_MEMORY, .unsent = true), .idempotent = true, .made = 1, NO(NOT_RETRYABLE) },
    { ALL, FAIL(NO_DESCRIPTORS, .unsent = true), .idempotent = true, .made = 1, NO(NOT_RETRYABLE) },
    { ALL, FAIL(OVERLOADED, .unsent = true), .idempotent = true, .made = 1, NO(NOT_RETRYABLE) },
    { ALL, FAIL(PROTOCOL, .sent = SENT_ALL), .idempotent = true, .made = 1, NO(NOT_RETRYABLE) },
    { ALL, FAIL(BODY_TOO_LARGE, .sent = SENT_ALL), .idempotent = true, .made = 1, NO(NOT_RETRYABLE) },
};

START_TEST(decisions)
{
    const struct row *row = &rows[_i];
    struct retry_config config = config_of(row->on);
    struct retry_question question = { &row->report, row->made, row->free_used, row->idempotent, row->disabled };
    struct retry_answer answer = mesh__retry_decide(&config, &question);
    ck_assert_msg(answer.retry == row->retry && answer.stop == row->stop, "row %d: retry %d, stop %d", _i,
                  (int)answer.retry, (int)answer.stop);
    config.non_idempotent = true;
    answer = mesh__retry_decide(&config, &question);
    ck_assert_msg(answer.stop != MESH_STOP_NOT_IDEMPOTENT, "row %d: the service allows it", _i);
}
END_TEST

START_TEST(statuses_one_by_one)
{
    struct retry_config config = config_of(RETRY_ON_5XX | RETRY_ON_GATEWAY_ERROR);
    config.statuses[503 / 64] |= (uint64_t)1 << (503 % 64);
    config.statuses[0] |= 1;
    config.statuses[15] |= (uint64_t)1 << 63;
    struct report report = { .http_status = 503, .retry_after = -1 };
    struct retry_question question = { &report, 1, false, true, false };
    ck_assert_int_eq(mesh__retry_decide(&config, &question).retry, MESH_RETRY_STATUS);
    report.http_status = 502;
    ck_assert_int_eq(mesh__retry_decide(&config, &question).retry, MESH_RETRY_GATEWAY_ERROR);
    ck_assert(mesh__retry_wants_status(&config, 1023));
    ck_assert(mesh__retry_wants_status(&config, 500));
    ck_assert(!mesh__retry_wants_status(&config, 429));
    ck_assert(!mesh__retry_wants_status(&config, 1024));
    ck_assert(!mesh__retry_wants_status(&config, -1));
}
END_TEST

START_TEST(backoff)
{
    static const struct {
        uint32_t retry, random;
        mesh_nanos expected;
    } rows_of_backoff[] = {
        { 1, 0, 0 },
        { 1, UINT32_MAX, 25 * NANOS_MS },
        { 2, UINT32_MAX, 50 * NANOS_MS },
        { 4, UINT32_MAX, 200 * NANOS_MS },
        { 5, UINT32_MAX, 250 * NANOS_MS },
        { UINT32_MAX, UINT32_MAX, 250 * NANOS_MS },
        { 3, 0, 0 },
    };
    struct retry_config config = config_of(0);
    for (size_t i = 0; i < sizeof(rows_of_backoff) / sizeof(rows_of_backoff[0]); i++) {
        mesh_nanos pause = mesh__retry_backoff(&config, rows_of_backoff[i].retry, rows_of_backoff[i].random);
        ck_assert_msg(pause == rows_of_backoff[i].expected, "row %zu: %lld", i, (long long)pause);
    }
    mesh_nanos half = mesh__retry_backoff(&config, 1, 0x80000000u);
    ck_assert(half >= 12 * NANOS_MS && half <= 13 * NANOS_MS);
    config.backoff_base = NANOS_S;
    ck_assert_int_eq(mesh__retry_backoff(&config, 1, UINT32_MAX), 250 * NANOS_MS);
    config.backoff_base = NANOS_NEVER;
    config.backoff_max = NANOS_NEVER;
    ck_assert_int_ge(mesh__retry_backoff(&config, 9, UINT32_MAX), NANOS_S);
    config.backoff_base = 0;
    ck_assert_int_eq(mesh__retry_backoff(&config, 9, UINT32_MAX), 0);
    config.backoff_base = -5;
    ck_assert_int_eq(mesh__retry_backoff(&config, 9, UINT32_MAX), 0);
}
END_TEST

START_TEST(methods)
{
    static const char *const yes[] = { "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE" };
    static const char *const no[] = { "POST", "PATCH", "CONNECT", "get", "GETS", "", "GE" };
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
        ck_assert_msg(mesh__retry_idempotent_method(yes[i]), "%s", yes[i]);
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
        ck_assert_msg(!mesh__retry_idempotent_method(no[i]), "%s", no[i]);
    ck_assert_msg(mesh__retry_idempotent_method(NULL), "no method is GET");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("retry");
    TCase *tcase = tcase_create("retry");
    tcase_add_loop_test(tcase, decisions, 0, (int)(sizeof(rows) / sizeof(rows[0])));
    tcase_add_test(tcase, statuses_one_by_one);
    tcase_add_test(tcase, backoff);
    tcase_add_test(tcase, methods);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
