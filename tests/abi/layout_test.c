/* SPDX-License-Identifier: Apache-2.0 */
/* layout_test.c - the binary interface of 0.x on 64-bit Linux: where each public member lies, and what each number is.
 *
 * Written out, so that a change of include/mesh which would break a program that was built before shows here. A member
 * that is added at the end of a struct is added here too; nothing else in these tables ever changes. */
#include <mesh/mesh.h>

#include <check.h>
#include <stdbool.h>
#include <string.h>

struct field {
    const char *owner, *name;
    size_t offset, size, expected_offset, expected_size, owner_size;
};
struct number {
    const char *name;
    size_t actual, expected;
};

#define FIELD(owner, name, offset, size)                                                                               \
    {                                                                                                                  \
#owner, #name, offsetof(owner, name), sizeof(((owner *)NULL)->name), offset, size, sizeof(owner)               \
    }
#define SIZE(name, expected)                                                                                           \
    {                                                                                                                  \
#name, sizeof(name), expected                                                                                  \
    }
#define NUMBER(name, expected)                                                                                         \
    {                                                                                                                  \
#name, (size_t)(name), expected                                                                                \
    }

/* clang-format off */
static const struct field fields[] = {
    FIELD(mesh_header, name, 0, 8),
    FIELD(mesh_header, name_size, 8, 8),
    FIELD(mesh_header, value, 16, 8),
    FIELD(mesh_header, value_size, 24, 8),
    FIELD(mesh_allocator, size, 0, 4),
    FIELD(mesh_allocator, reserved, 4, 4),
    FIELD(mesh_allocator, allocate, 8, 8),
    FIELD(mesh_allocator, resize, 16, 8),
    FIELD(mesh_allocator, release, 24, 8),
    FIELD(mesh_allocator, user, 32, 8),
    FIELD(mesh_request, size, 0, 4),
    FIELD(mesh_request, flags, 4, 4),
    FIELD(mesh_request, method, 8, 8),
    FIELD(mesh_request, path, 16, 8),
    FIELD(mesh_request, authority, 24, 8),
    FIELD(mesh_request, headers, 32, 8),
    FIELD(mesh_request, header_count, 40, 8),
    FIELD(mesh_request, body, 48, 8),
    FIELD(mesh_request, body_size, 56, 8),
    FIELD(mesh_request, timeout_ns, 64, 8),
    FIELD(mesh_request, idempotent, 72, 4),
    FIELD(mesh_request, reserved, 76, 4),
    FIELD(mesh_request, inbound, 80, 8),
    FIELD(mesh_request, token, 88, 8),
    FIELD(mesh_request, hash_key, 96, 8),
    FIELD(mesh_request, hash_key_size, 104, 8),
    FIELD(mesh_request, endpoint, 112, 8),
    FIELD(mesh_request, tag, 120, 8),
    FIELD(mesh_attempt, size, 0, 4),
    FIELD(mesh_attempt, status, 4, 4),
    FIELD(mesh_attempt, http_status, 8, 4),
    FIELD(mesh_attempt, pick, 12, 4),
    FIELD(mesh_attempt, retry, 16, 4),
    FIELD(mesh_attempt, stop, 20, 4),
    FIELD(mesh_attempt, reused, 24, 4),
    FIELD(mesh_attempt, error_number, 28, 4),
    FIELD(mesh_attempt, endpoint, 32, 8),
    FIELD(mesh_attempt, span_id, 40, 8),
    FIELD(mesh_attempt, start_ns, 48, 8),
    FIELD(mesh_attempt, dns_ns, 56, 8),
    FIELD(mesh_attempt, connect_ns, 64, 8),
    FIELD(mesh_attempt, tls_ns, 72, 8),
    FIELD(mesh_attempt, send_ns, 80, 8),
    FIELD(mesh_attempt, wait_ns, 88, 8),
    FIELD(mesh_attempt, receive_ns, 96, 8),
    FIELD(mesh_attempt, backoff_ns, 104, 8),
    FIELD(mesh_attempt, reason, 112, 8),
    FIELD(mesh_attempt, peer_id, 120, 8),
    FIELD(mesh_attempt, tls_version, 128, 8),
    FIELD(mesh_attempt, tls_suite, 136, 8),
    FIELD(mesh_attempt, alpn, 144, 8),
    FIELD(mesh_attempt, tls_resumed, 152, 4),
    FIELD(mesh_attempt, http_version, 156, 4),
    FIELD(mesh_attempt, grpc_status, 160, 4),
    FIELD(mesh_attempt, reserved, 164, 4),
    FIELD(mesh_completion, size, 0, 4),
    FIELD(mesh_completion, kind, 4, 4),
    FIELD(mesh_completion, status, 8, 4),
    FIELD(mesh_completion, reserved, 12, 4),
    FIELD(mesh_completion, id, 16, 8),
    FIELD(mesh_completion, user, 24, 8),
    FIELD(mesh_completion, result, 32, 8),
    FIELD(mesh_completion, stream, 40, 8),
    FIELD(mesh_span, size, 0, 4),
    FIELD(mesh_span, kind, 4, 4),
    FIELD(mesh_span, trace_id, 8, 16),
    FIELD(mesh_span, span_id, 24, 8),
    FIELD(mesh_span, parent_id, 32, 8),
    FIELD(mesh_span, sampled, 40, 4),
    FIELD(mesh_span, attempt, 44, 4),
    FIELD(mesh_span, start_unix_ns, 48, 8),
    FIELD(mesh_span, duration_ns, 56, 8),
    FIELD(mesh_span, status, 64, 4),
    FIELD(mesh_span, http_status, 68, 4),
    FIELD(mesh_span, service, 72, 8),
    FIELD(mesh_span, endpoint, 80, 8),
    FIELD(mesh_span, method, 88, 8),
    FIELD(mesh_span, path, 96, 8),
    FIELD(mesh_span, tag, 104, 8),
    FIELD(mesh_span, grpc_status, 112, 4),
    FIELD(mesh_span, reserved, 116, 4),
    FIELD(mesh_audit, size, 0, 4),
    FIELD(mesh_audit, kind, 4, 4),
    FIELD(mesh_audit, allowed, 8, 4),
    FIELD(mesh_audit, would_deny, 12, 4),
    FIELD(mesh_audit, unix_ns, 16, 8),
    FIELD(mesh_audit, dropped, 24, 8),
    FIELD(mesh_audit, name, 32, 8),
    FIELD(mesh_audit, rule, 40, 8),
    FIELD(mesh_audit, peer_id, 48, 8),
    FIELD(mesh_audit, peer_address, 56, 8),
    FIELD(mesh_audit, method, 64, 8),
    FIELD(mesh_audit, path, 72, 8),
    FIELD(mesh_options, size, 0, 4),
    FIELD(mesh_options, mode, 4, 4),
    FIELD(mesh_options, allocator, 8, 8),
    FIELD(mesh_options, shards, 16, 4),
    FIELD(mesh_options, threads, 20, 4),
    FIELD(mesh_options, seed, 24, 8),
    FIELD(mesh_options, log_level, 32, 4),
    FIELD(mesh_options, flags, 36, 4),
    FIELD(mesh_options, on_log, 40, 8),
    FIELD(mesh_options, on_span, 48, 8),
    FIELD(mesh_options, on_completion, 56, 8),
    FIELD(mesh_options, user, 64, 8),
    FIELD(mesh_options, on_audit, 72, 8),
    FIELD(mesh_counters, size, 0, 4),
    FIELD(mesh_counters, reserved, 4, 4),
    FIELD(mesh_counters, calls, 8, 8),
    FIELD(mesh_counters, responses, 16, 8),
    FIELD(mesh_counters, failures, 24, 8),
    FIELD(mesh_counters, cancelled, 32, 8),
    FIELD(mesh_counters, deadlines, 40, 8),
    FIELD(mesh_counters, overloaded, 48, 8),
    FIELD(mesh_counters, attempts, 56, 8),
    FIELD(mesh_counters, retries, 64, 8),
    FIELD(mesh_counters, retries_denied, 72, 8),
    FIELD(mesh_counters, attempt_failures, 80, 8),
    FIELD(mesh_counters, responses_5xx, 88, 8),
    FIELD(mesh_counters, connects, 96, 8),
    FIELD(mesh_counters, connect_failures, 104, 8),
    FIELD(mesh_counters, disconnects, 112, 8),
    FIELD(mesh_counters, shuts, 120, 8),
    FIELD(mesh_counters, probes, 128, 8),
    FIELD(mesh_counters, panics, 136, 8),
    FIELD(mesh_counters, bytes_sent, 144, 8),
    FIELD(mesh_counters, bytes_received, 152, 8),
    FIELD(mesh_counters, active, 160, 8),
    FIELD(mesh_counters, pending, 168, 8),
    FIELD(mesh_counters, connections, 176, 8),
    FIELD(mesh_stream_io, size, 0, 4),
    FIELD(mesh_stream_io, reserved, 4, 4),
    FIELD(mesh_stream_io, user, 8, 8),
    FIELD(mesh_stream_io, produce, 16, 8),
    FIELD(mesh_stream_io, head, 24, 8),
    FIELD(mesh_stream_io, consume, 32, 8),
    FIELD(mesh_reply, size, 0, 4),
    FIELD(mesh_reply, status, 4, 4),
    FIELD(mesh_reply, headers, 8, 8),
    FIELD(mesh_reply, header_count, 16, 8),
    FIELD(mesh_reply, body, 24, 8),
    FIELD(mesh_reply, body_size, 32, 8),
};

static const struct number sizes[] = {
    SIZE(mesh_header, 32),
    SIZE(mesh_allocator, 40),
    SIZE(mesh_request, 128),
    SIZE(mesh_attempt, 168),
    SIZE(mesh_completion, 48),
    SIZE(mesh_span, 120),
    SIZE(mesh_audit, 80),
    SIZE(mesh_options, 80),
    SIZE(mesh_counters, 184),
    SIZE(mesh_stream_io, 40),
    SIZE(mesh_reply, 40),
};

static const struct number numbers[] = {
    NUMBER(MESH_COPY_BODY, 1),
    NUMBER(MESH_NO_RETRY, 2),
    NUMBER(MESH_GRPC, 4),
    NUMBER(MESH_STREAM_NOTIFY, 256),
    NUMBER(MESH_STREAM_WHOLE, 512),
    NUMBER(MESH_GRPC_OK, 0),
    NUMBER(MESH_GRPC_CANCELLED, 1),
    NUMBER(MESH_GRPC_UNKNOWN, 2),
    NUMBER(MESH_GRPC_INVALID_ARGUMENT, 3),
    NUMBER(MESH_GRPC_DEADLINE_EXCEEDED, 4),
    NUMBER(MESH_GRPC_NOT_FOUND, 5),
    NUMBER(MESH_GRPC_ALREADY_EXISTS, 6),
    NUMBER(MESH_GRPC_PERMISSION_DENIED, 7),
    NUMBER(MESH_GRPC_RESOURCE_EXHAUSTED, 8),
    NUMBER(MESH_GRPC_FAILED_PRECONDITION, 9),
    NUMBER(MESH_GRPC_ABORTED, 10),
    NUMBER(MESH_GRPC_OUT_OF_RANGE, 11),
    NUMBER(MESH_GRPC_UNIMPLEMENTED, 12),
    NUMBER(MESH_GRPC_INTERNAL, 13),
    NUMBER(MESH_GRPC_UNAVAILABLE, 14),
    NUMBER(MESH_GRPC_DATA_LOSS, 15),
    NUMBER(MESH_GRPC_UNAUTHENTICATED, 16),
    NUMBER(MESH_UNSET, 0),
    NUMBER(MESH_YES, 1),
    NUMBER(MESH_NO, 2),
    NUMBER(MESH_PICK_NONE, 0),
    NUMBER(MESH_PICK_ONLY, 1),
    NUMBER(MESH_PICK_ROUND_ROBIN, 2),
    NUMBER(MESH_PICK_LEAST, 3),
    NUMBER(MESH_PICK_TIE, 4),
    NUMBER(MESH_PICK_PROBE, 5),
    NUMBER(MESH_PICK_PANIC, 6),
    NUMBER(MESH_PICK_PINNED, 7),
    NUMBER(MESH_RETRY_NONE, 0),
    NUMBER(MESH_RETRY_UNSENT, 1),
    NUMBER(MESH_RETRY_CONNECT_FAILURE, 2),
    NUMBER(MESH_RETRY_REFUSED, 3),
    NUMBER(MESH_RETRY_RESET_BEFORE_REQUEST, 4),
    NUMBER(MESH_RETRY_RESET, 5),
    NUMBER(MESH_RETRY_5XX, 6),
    NUMBER(MESH_RETRY_GATEWAY_ERROR, 7),
    NUMBER(MESH_RETRY_STATUS, 8),
    NUMBER(MESH_RETRY_PER_TRY_TIMEOUT, 9),
    NUMBER(MESH_RETRY_CANCELLED, 10),
    NUMBER(MESH_RETRY_DEADLINE_EXCEEDED, 11),
    NUMBER(MESH_RETRY_INTERNAL, 12),
    NUMBER(MESH_RETRY_RESOURCE_EXHAUSTED, 13),
    NUMBER(MESH_RETRY_UNAVAILABLE, 14),
    NUMBER(MESH_STOP_NONE, 0),
    NUMBER(MESH_STOP_NOT_RETRYABLE, 1),
    NUMBER(MESH_STOP_NOT_IDEMPOTENT, 2),
    NUMBER(MESH_STOP_ATTEMPTS, 3),
    NUMBER(MESH_STOP_BUDGET, 4),
    NUMBER(MESH_STOP_DEADLINE, 5),
    NUMBER(MESH_STOP_ASKED, 6),
    NUMBER(MESH_STOP_REPLAY, 7),
    NUMBER(MESH_STOP_PUSHBACK, 8),
    NUMBER(MESH_OWNED, 0),
    NUMBER(MESH_EXTERNAL, 1),
    NUMBER(MESH_STREAM_REQUESTS, 1),
    NUMBER(MESH_LOG_ERROR, 0),
    NUMBER(MESH_LOG_WARN, 1),
    NUMBER(MESH_LOG_INFO, 2),
    NUMBER(MESH_LOG_DEBUG, 3),
    NUMBER(MESH_COMPLETION_DONE, 1),
    NUMBER(MESH_COMPLETION_STREAM, 2),
    NUMBER(MESH_SPAN_CALL, 1),
    NUMBER(MESH_SPAN_ATTEMPT, 2),
    NUMBER(MESH_SPAN_SERVER, 3),
    NUMBER(MESH_AUDIT_REQUEST, 1),
};
/* clang-format on */
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

START_TEST(each_member_is_in_its_place)
{
    for (size_t i = 0; i < COUNT(fields); i++) {
        const struct field *f = &fields[i];
        ck_assert_msg(f->offset == f->expected_offset && f->size == f->expected_size,
                      "%s.%s lies at %zu with %zu bytes", f->owner, f->name, f->offset, f->size);
    }
}
END_TEST

/* Neither a hole nor a member that is not in the table: bytes that nobody sets would go over the interface. */
START_TEST(members_fill_their_structs)
{
    for (size_t i = 0; i < COUNT(fields); i++) {
        const struct field *f = &fields[i];
        bool last = i + 1 == COUNT(fields) || strcmp(f[1].owner, f->owner) != 0;
        size_t next = last ? f->owner_size : f[1].offset;
        ck_assert_msg(f->offset + f->size == next, "after %s.%s: %zu, not %zu", f->owner, f->name, f->offset + f->size,
                      next);
    }
}
END_TEST

START_TEST(structs_have_their_sizes)
{
    for (size_t i = 0; i < COUNT(sizes); i++)
        ck_assert_msg(sizes[i].actual == sizes[i].expected, "%s has %zu bytes", sizes[i].name, sizes[i].actual);
}
END_TEST

START_TEST(constants_have_their_numbers)
{
    for (size_t i = 0; i < COUNT(numbers); i++)
        ck_assert_msg(numbers[i].actual == numbers[i].expected, "%s is %zu", numbers[i].name, numbers[i].actual);
}
END_TEST

/* What grows begins with its size, so that a library can tell which members a caller knows. */
START_TEST(structs_that_grow_begin_with_their_size)
{
    size_t frozen = 0;
    for (size_t i = 0; i < COUNT(fields); i++) {
        const struct field *f = &fields[i];
        if (f->offset != 0)
            continue;
        if (strcmp(f->owner, "mesh_header") == 0)
            frozen++;
        else
            ck_assert_msg(strcmp(f->name, "size") == 0 && f->size == sizeof(uint32_t), "%s", f->owner);
    }
    ck_assert_uint_eq(frozen, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("layout");
    TCase *layout = tcase_create("layout");
    tcase_add_test(layout, each_member_is_in_its_place);
    tcase_add_test(layout, members_fill_their_structs);
    tcase_add_test(layout, structs_have_their_sizes);
    tcase_add_test(layout, constants_have_their_numbers);
    tcase_add_test(layout, structs_that_grow_begin_with_their_size);
    suite_add_tcase(suite, layout);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
