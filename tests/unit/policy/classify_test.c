/* SPDX-License-Identifier: Apache-2.0 */
/* classify_test.c - one row an outcome: what it means to breaker and estimate. */
#include "policy/classify.h"

#include <check.h>
#include <stdlib.h>

#define MS NANOS_MS
#define S NANOS_S

#define GRPC(status)                                                                                                   \
    {                                                                                                                  \
        .http_status = 200, .grpc_status = status, .elapsed = 5 * MS, .retry_after = -1                                \
    }

static const struct {
    const char *name;
    struct report report;
    struct verdict verdict;
} rows[] = {
    { "200",
      { .http_status = 200, .elapsed = 5 * MS, .retry_after = -1 },
      { BREAKER_SUCCESS, 0, SAMPLE_RECORD, 5 * MS } },
    { "200 of a probe",
      { .http_status = 200, .elapsed = 5 * MS, .retry_after = -1, .probe = true },
      { BREAKER_SUCCESS, 0, SAMPLE_RESET, 5 * MS } },
    { "404",
      { .http_status = 404, .elapsed = 5 * MS, .retry_after = 9 * S },
      { BREAKER_SUCCESS, 0, SAMPLE_RECORD, 5 * MS } },
    { "499",
      { .http_status = 499, .elapsed = 5 * MS, .retry_after = -1 },
      { BREAKER_SUCCESS, 0, SAMPLE_RECORD, 5 * MS } },
    { "600",
      { .http_status = 600, .elapsed = 5 * MS, .retry_after = -1 },
      { BREAKER_SUCCESS, 0, SAMPLE_RECORD, 5 * MS } },
    { "500", { .http_status = 500, .elapsed = 5 * MS, .retry_after = -1 }, { BREAKER_FAILURE, 0, SAMPLE_RECORD, S } },
    { "599, slow",
      { .http_status = 599, .elapsed = 3 * S, .retry_after = -1 },
      { BREAKER_FAILURE, 0, SAMPLE_RECORD, 3 * S } },
    { "500 of a probe",
      { .http_status = 500, .elapsed = 5 * MS, .retry_after = -1, .probe = true },
      { BREAKER_FAILURE, 0, SAMPLE_RECORD, S } },
    { "503", { .http_status = 503, .elapsed = MS, .retry_after = -1 }, { BREAKER_FAILURE, 0, SAMPLE_RECORD, S } },
    { "503, Retry-After",
      { .http_status = 503, .elapsed = MS, .retry_after = 9 * S },
      { BREAKER_FAILURE, 9 * S, SAMPLE_RECORD, 9 * S } },
    { "502, Retry-After",
      { .http_status = 502, .elapsed = MS, .retry_after = 9 * S },
      { BREAKER_FAILURE, 0, SAMPLE_RECORD, 9 * S } },
    { "429", { .http_status = 429, .elapsed = MS, .retry_after = -1 }, { BREAKER_SUCCESS, 0, SAMPLE_RECORD, S } },
    { "429, Retry-After",
      { .http_status = 429, .elapsed = MS, .retry_after = 2 * S },
      { BREAKER_SUCCESS, 2 * S, SAMPLE_RECORD, 2 * S } },
    { "429, Retry-After: 0", { .http_status = 429, .elapsed = MS }, { BREAKER_SUCCESS, 0, SAMPLE_RECORD, S } },
    { "gRPC OK", GRPC(MESH_GRPC_OK), { BREAKER_SUCCESS, 0, SAMPLE_RECORD, 5 * MS } },
    { "gRPC CANCELLED", GRPC(MESH_GRPC_CANCELLED), { BREAKER_SUCCESS, 0, SAMPLE_RECORD, 5 * MS } },
    { "gRPC UNKNOWN", GRPC(MESH_GRPC_UNKNOWN), { BREAKER_FAILURE, 0, SAMPLE_RECORD, S } },
    { "gRPC INVALID_ARGUMENT", GRPC(MESH_GRPC_INVALID_ARGUMENT), { BREAKER_SUCCESS, 0, SAMPLE_RECORD, 5 * MS } },
    { "gRPC DEADLINE_EXCEEDED", GRPC(MESH_GRPC_DEADLINE_EXCEEDED), { BREAKER_FAILURE, 0, SAMPLE_RECORD, S } },
    { "gRPC NOT_FOUND", GRPC(MESH_GRPC_NOT_FOUND), { BREAKER_SUCCESS, 0, SAMPLE_RECORD, 5 * MS } },
    { "gRPC ALREADY_EXISTS", GRPC(MESH_GRPC_ALREADY_EXISTS), { BREAKER_SUCCESS, 0, SAMPLE_RECORD, 5 * MS } },
    { "gRPC PERMISSION_DENIED", GRPC(MESH_GRPC_PERMISSION_DENIED), { BREAKER_SUCCESS, 0, SAMPLE_RECORD, 5 * MS } },
    { "gRPC RESOURCE_EXHAUSTED", GRPC(MESH_GRPC_RESOURCE_EXHAUSTED), { BREAKER_SUCCESS, 0, SAMPLE_RECORD, S } },
    { "gRPC FAILED_PRECONDITION", GRPC(MESH_GRPC_FAILED_PRECONDITION), { BREAKER_SUCCESS, 0, SAMPLE_RECORD, 5 * MS } },
    { "gRPC ABORTED", GRPC(MESH_GRPC_ABORTED), { BREAKER_SUCCESS, 0, SAMPLE_RECORD, 5 * MS } },
    { "gRPC OUT_OF_RANGE", GRPC(MESH_GRPC_OUT_OF_RANGE), { BREAKER_SUCCESS, 0, SAMPLE_RECORD, 5 * MS } },
    { "gRPC UNIMPLEMENTED", GRPC(MESH_GRPC_UNIMPLEMENTED), { BREAKER_FAILURE, 0, SAMPLE_RECORD, S } },
    { "gRPC INTERNAL", GRPC(MESH_GRPC_INTERNAL), { BREAKER_FAILURE, 0, SAMPLE_RECORD, S } },
    { "gRPC UNAVAILABLE", GRPC(MESH_GRPC_UNAVAILABLE), { BREAKER_FAILURE, 0, SAMPLE_RECORD, S } },
    { "gRPC DATA_LOSS", GRPC(MESH_GRPC_DATA_LOSS), { BREAKER_FAILURE, 0, SAMPLE_RECORD, S } },
    { "gRPC UNAUTHENTICATED", GRPC(MESH_GRPC_UNAUTHENTICATED), { BREAKER_SUCCESS, 0, SAMPLE_RECORD, 5 * MS } },
    { "gRPC, a status that there is not", GRPC(17), { BREAKER_FAILURE, 0, SAMPLE_RECORD, S } },
    { "gRPC, a status below all", GRPC(-1), { BREAKER_FAILURE, 0, SAMPLE_RECORD, S } },
    { "gRPC UNAVAILABLE for a 404",
      { .http_status = 404, .grpc_status = MESH_GRPC_UNAVAILABLE, .elapsed = 5 * MS, .retry_after = -1 },
      { BREAKER_SUCCESS, 0, SAMPLE_RECORD, 5 * MS } },
    { "gRPC OK of a probe",
      { .http_status = 200, .elapsed = 5 * MS, .retry_after = -1, .probe = true },
      { BREAKER_SUCCESS, 0, SAMPLE_RESET, 5 * MS } },
    { "refused connection",
      { .status = MESH_CONNECT_REFUSED, .retry_after = -1 },
      { BREAKER_SHUT_NOW, 0, SAMPLE_RECORD, S } },
    { "unreachable",
      { .status = MESH_CONNECT_UNREACHABLE, .retry_after = -1 },
      { BREAKER_SHUT_NOW, 0, SAMPLE_RECORD, S } },
    { "connect timeout",
      { .status = MESH_CONNECT_TIMEOUT, .elapsed = S, .retry_after = -1 },
      { BREAKER_FAILURE, 0, SAMPLE_RECORD, S } },
    { "wrong id", { .status = MESH_TLS_WRONG_ID, .retry_after = -1 }, { BREAKER_SHUT_NOW, 0, SAMPLE_RECORD, S } },
    { "denied", { .status = MESH_DENIED, .retry_after = -1 }, { BREAKER_SHUT_NOW, 0, SAMPLE_RECORD, S } },
    { "handshake timeout",
      { .status = MESH_TLS_TIMEOUT, .elapsed = S, .retry_after = -1 },
      { BREAKER_FAILURE, 0, SAMPLE_RECORD, S } },
    { "no identity", { .status = MESH_TLS_NO_IDENTITY, .retry_after = -1 }, { BREAKER_NEUTRAL, 0, SAMPLE_NONE, 0 } },
    { "reset", { .status = MESH_RESET, .elapsed = MS, .retry_after = -1 }, { BREAKER_FAILURE, 0, SAMPLE_RECORD, S } },
    { "stale connection",
      { .status = MESH_RESET, .stale = true, .elapsed = MS, .retry_after = -1 },
      { BREAKER_NEUTRAL, 0, SAMPLE_RAISE, MS } },
    { "broke off",
      { .status = MESH_PARTIAL_RESPONSE, .http_status = 200, .elapsed = MS, .retry_after = -1 },
      { BREAKER_FAILURE, 0, SAMPLE_RECORD, S } },
    { "refused stream",
      { .status = MESH_REFUSED, .unsent = true, .elapsed = MS, .retry_after = -1 },
      { BREAKER_FAILURE, 0, SAMPLE_RECORD, S } },
    { "connection gone in order",
      { .status = MESH_REFUSED, .unsent = true, .stale = true, .elapsed = MS, .retry_after = -1 },
      { BREAKER_NEUTRAL, 0, SAMPLE_RAISE, MS } },
    { "protocol",
      { .status = MESH_PROTOCOL, .elapsed = MS, .retry_after = -1 },
      { BREAKER_FAILURE, 0, SAMPLE_RECORD, S } },
    { "per-try timeout",
      { .status = MESH_PER_TRY_TIMEOUT, .elapsed = 500 * MS, .retry_after = -1 },
      { BREAKER_FAILURE, 0, SAMPLE_RECORD, S } },
    { "deadline",
      { .status = MESH_DEADLINE, .elapsed = 15 * S, .retry_after = -1 },
      { BREAKER_FAILURE, 0, SAMPLE_RECORD, 15 * S } },
    { "short deadline",
      { .status = MESH_DEADLINE, .short_deadline = true, .elapsed = 20 * MS, .retry_after = -1 },
      { BREAKER_NEUTRAL, 0, SAMPLE_RAISE, 20 * MS } },
    { "cancelled",
      { .status = MESH_CANCELLED, .elapsed = 20 * MS, .retry_after = -1 },
      { BREAKER_NEUTRAL, 0, SAMPLE_RAISE, 20 * MS } },
    { "body too large",
      { .status = MESH_BODY_TOO_LARGE, .elapsed = MS, .retry_after = -1 },
      { BREAKER_NEUTRAL, 0, SAMPLE_RAISE, MS } },
    { "header too large",
      { .status = MESH_HEADER_TOO_LARGE, .elapsed = MS, .retry_after = -1 },
      { BREAKER_NEUTRAL, 0, SAMPLE_RAISE, MS } },
    { "too many headers",
      { .status = MESH_TOO_MANY_HEADERS, .elapsed = MS, .retry_after = -1 },
      { BREAKER_NEUTRAL, 0, SAMPLE_RAISE, MS } },
    { "deadline behind the head",
      { .status = MESH_DEADLINE, .http_status = 200, .delivered = true, .elapsed = MS, .retry_after = -1 },
      { BREAKER_SUCCESS, 0, SAMPLE_RECORD, MS } },
    { "cancelled behind the head",
      { .status = MESH_CANCELLED, .http_status = 200, .delivered = true, .elapsed = MS, .retry_after = -1 },
      { BREAKER_SUCCESS, 0, SAMPLE_RECORD, MS } },
    { "too large behind the head of a probe",
      { .status = MESH_BODY_TOO_LARGE,
        .http_status = 200,
        .delivered = true,
        .probe = true,
        .elapsed = MS,
        .retry_after = -1 },
      { BREAKER_SUCCESS, 0, SAMPLE_RESET, MS } },
    { "cancelled behind a 500",
      { .status = MESH_CANCELLED, .http_status = 500, .delivered = true, .elapsed = MS, .retry_after = -1 },
      { BREAKER_FAILURE, 0, SAMPLE_RECORD, S } },
    { "reset behind the head",
      { .status = MESH_RESET, .http_status = 200, .delivered = true, .elapsed = MS, .retry_after = -1 },
      { BREAKER_FAILURE, 0, SAMPLE_RECORD, S } },
    { "overloaded", { .status = MESH_OVERLOADED, .retry_after = -1 }, { BREAKER_NEUTRAL, 0, SAMPLE_NONE, 0 } },
    { "no memory", { .status = MESH_NO_MEMORY, .retry_after = -1 }, { BREAKER_NEUTRAL, 0, SAMPLE_NONE, 0 } },
    { "no descriptors", { .status = MESH_NO_DESCRIPTORS, .retry_after = -1 }, { BREAKER_NEUTRAL, 0, SAMPLE_NONE, 0 } },
    { "system", { .status = MESH_SYSTEM, .retry_after = -1 }, { BREAKER_NEUTRAL, 0, SAMPLE_NONE, 0 } },
    { "internal", { .status = MESH_EINTERNAL, .retry_after = -1 }, { BREAKER_NEUTRAL, 0, SAMPLE_NONE, 0 } },
};

START_TEST(verdicts)
{
    struct verdict v = mesh__classify(&rows[_i].report);
    const struct verdict *expected = &rows[_i].verdict;
    ck_assert_msg(v.breaker == expected->breaker, "%s: breaker %d", rows[_i].name, (int)v.breaker);
    ck_assert_msg(v.freeze == expected->freeze, "%s: freeze %lld", rows[_i].name, (long long)v.freeze);
    ck_assert_msg(v.sample == expected->sample, "%s: sample %d", rows[_i].name, (int)v.sample);
    ck_assert_msg(v.sample_ns == expected->sample_ns, "%s: %lld ns", rows[_i].name, (long long)v.sample_ns);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("classify");
    TCase *tcase = tcase_create("classify");
    tcase_add_loop_test(tcase, verdicts, 0, (int)(sizeof(rows) / sizeof(rows[0])));
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
