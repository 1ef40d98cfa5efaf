/* SPDX-License-Identifier: Apache-2.0 */
/* inbound_test.c - which header fields count, what malformed ones do, and memory that runs out. */
#include "telemetry/inbound.h"

#include <check.h>
#include <stdlib.h>

#define TRACE "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

struct field {
    const char *name, *value;
};

struct row {
    const char *what;
    struct field fields[5];
    bool has_trace;
    mesh_nanos left; /* -1: no deadline */
    const char *tracestate, *baggage;
};

static const struct row rows[] = {
    { "nothing", { { 0 } }, false, -1, "", "" },
    { "a trace", { { "traceparent", TRACE } }, true, -1, "", "" },
    { "any case, spaces around", { { "TraceParent", " " TRACE "\t" } }, true, -1, "", "" },
    { "malformed trace", { { "traceparent", "00-xyz" }, { "tracestate", "a=1" } }, false, -1, "", "" },
    { "two traces", { { "traceparent", TRACE }, { "traceparent", TRACE } }, false, -1, "", "" },
    { "state", { { "traceparent", TRACE }, { "tracestate", "a=1,b=2" } }, true, -1, "a=1,b=2", "" },
    { "two states",
      { { "tracestate", "a=1" }, { "traceparent", TRACE }, { "tracestate", "b=2" } },
      true,
      -1,
      "a=1,b=2",
      "" },
    { "a key twice", { { "traceparent", TRACE }, { "tracestate", "a=1" }, { "tracestate", "a=2" } }, true, -1, "", "" },
    { "state without a trace", { { "tracestate", "a=1" } }, false, -1, "", "" },
    { "baggage alone", { { "baggage", "user=7" } }, false, -1, "", "user=7" },
    { "two baggages", { { "baggage", "user=7" }, { "Baggage", "x=y" } }, false, -1, "", "user=7,x=y" },
    { "bad baggage", { { "baggage", "a b=\x01" } }, false, -1, "", "" },
    { "envoy", { { "x-envoy-expected-rq-timeout-ms", "250" } }, false, 250 * NANOS_MS, "", "" },
    { "grpc", { { "grpc-timeout", "2S" } }, false, 2 * NANOS_S, "", "" },
    { "the least",
      { { "x-envoy-expected-rq-timeout-ms", "250" }, { "grpc-timeout", "100m" } },
      false,
      100 * NANOS_MS,
      "",
      "" },
    { "the least of one name",
      { { "x-envoy-expected-rq-timeout-ms", "250" }, { "x-envoy-expected-rq-timeout-ms", "90" } },
      false,
      90 * NANOS_MS,
      "",
      "" },
    { "one malformed",
      { { "x-envoy-expected-rq-timeout-ms", "-5" }, { "grpc-timeout", "1S" } },
      false,
      NANOS_S,
      "",
      "" },
    { "zero", { { "x-envoy-expected-rq-timeout-ms", "0" } }, false, 0, "", "" },
    { "malformed", { { "grpc-timeout", "123456789S" } }, false, -1, "", "" },
};

static size_t headers_of(const struct row *row, mesh_header out[5])
{
    size_t count = 0;
    for (; count < 5 && row->fields[count].name; count++)
        out[count] = (mesh_header){ row->fields[count].name, strlen(row->fields[count].name), row->fields[count].value,
                                    strlen(row->fields[count].value) };
    return count;
}

START_TEST(test_rows)
{
    const struct row *row = &rows[_i];
    mesh_header headers[5];
    size_t count = headers_of(row, headers);
    struct mesh_inbound inbound;
    mesh_nanos now = 1000;
    ck_assert_msg(mesh__inbound_init(&inbound, &mesh__mem_system, headers, count, now), "%s", row->what);
    ck_assert_msg(inbound.has_trace == row->has_trace, "%s: trace", row->what);
    if (row->has_trace)
        ck_assert_msg(inbound.trace.trace_id[0] == 0x0a && inbound.trace.span_id[7] == 0x31 &&
                          inbound.trace.flags == TRACE_SAMPLED,
                      "%s: ids", row->what);
    mesh_nanos deadline = row->left < 0 ? NANOS_NEVER : now + row->left;
    ck_assert_msg(inbound.deadline == deadline, "%s: deadline %lld", row->what, (long long)inbound.deadline);
    ck_assert_msg(strcmp(inbound.tracestate, row->tracestate) == 0, "%s: tracestate '%s'", row->what,
                  inbound.tracestate);
    ck_assert_msg(strcmp(inbound.baggage, row->baggage) == 0, "%s: baggage '%s'", row->what, inbound.baggage);
    mesh__inbound_fini(&inbound);
}
END_TEST

/* Gives `left` blocks, then none. */
static void *scarce_allocate(size_t bytes, void *user)
{
    int *left = user;
    return (*left)-- > 0 ? malloc(bytes) : NULL;
}

static void *scarce_resize(void *block, size_t old_bytes, size_t bytes, void *user)
{
    (void)old_bytes;
    int *left = user;
    return (*left)-- > 0 ? realloc(block, bytes) : NULL;
}

static void scarce_release(void *block, void *user)
{
    (void)user;
    free(block);
}

START_TEST(test_memory_runs_out)
{
    const struct row row = { "full", { { "traceparent", TRACE }, { "tracestate", "a=1" }, { "baggage", "b=2" } },
                             true,   -1,
                             "",     "" };
    mesh_header headers[5];
    size_t count = headers_of(&row, headers);
    bool ok = false;
    int blocks = 0;
    for (; !ok && blocks < 100; blocks++) {
        int left = blocks;
        struct mem mem = { scarce_allocate, scarce_resize, scarce_release, &left };
        struct mesh_inbound inbound;
        ok = mesh__inbound_init(&inbound, &mem, headers, count, 1);
        if (ok)
            mesh__inbound_fini(&inbound);
    }
    ck_assert(ok);
    ck_assert_int_gt(blocks, 2); /* it failed on the way */
}
END_TEST

START_TEST(test_exported)
{
    mesh_inbound *inbound;
    mesh_header deadline = { "grpc-timeout", 12, "1H", 2 };
    ck_assert_int_eq(mesh_inbound_parse(&deadline, 1, NULL), MESH_EINVAL);
    ck_assert_int_eq(mesh_inbound_parse(NULL, 1, &inbound), MESH_EINVAL);
    ck_assert_int_eq(mesh_inbound_parse(&deadline, 1, &inbound), MESH_OK);
    int64_t left = mesh_inbound_remaining_ns(inbound);
    ck_assert(left > 3500 * NANOS_S && left <= 3600 * NANOS_S);
    mesh_inbound_free(inbound);

    ck_assert_int_eq(mesh_inbound_parse(NULL, 0, &inbound), MESH_OK);
    ck_assert_int_eq(mesh_inbound_remaining_ns(inbound), -1);
    mesh_inbound_free(inbound);

    mesh_header passed = { "grpc-timeout", 12, "0n", 2 };
    ck_assert_int_eq(mesh_inbound_parse(&passed, 1, &inbound), MESH_OK);
    ck_assert_int_eq(mesh_inbound_remaining_ns(inbound), 0);
    mesh_inbound_free(inbound);

    ck_assert_int_eq(mesh_inbound_remaining_ns(NULL), -1);
    mesh_inbound_free(NULL);
    struct mesh_inbound borrowed = { .borrowed = true };
    mesh_inbound_free(&borrowed);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("inbound");
    TCase *tcase = tcase_create("all");
    suite_add_tcase(suite, tcase);
    tcase_add_loop_test(tcase, test_rows, 0, sizeof(rows) / sizeof(rows[0]));
    tcase_add_test(tcase, test_memory_runs_out);
    tcase_add_test(tcase, test_exported);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
