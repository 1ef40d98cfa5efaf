/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_test.c - gRPC's interop tests (doc/interop-test-descriptions.md) as a client of grpc-go, in plain text and over
 * TLS. The few protobuf messages that they need are made by hand. */
/* label: threaded */
#include "interop/grpc_peer.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVICE INTEROP_SERVICE
#define LARGE_REQUEST 271828
#define LARGE_RESPONSE 314159

/* The call's result, with this gRPC status. */
static mesh_result *call(const mesh_request *request, int32_t grpc_status)
{
    mesh_result *result;
    mesh_status status = mesh_call(interop.client, "s", request, &result);
    ck_assert_msg(mesh_result_grpc_status(result) == grpc_status, "%s: grpc-status %d: %s", mesh_status_name(status),
                  (int)mesh_result_grpc_status(result), mesh_result_message(result));
    return result;
}

static size_t payload_of(const mesh_result *result)
{
    return message_payload(mesh_result_body(result), mesh_result_body_size(result), 1);
}

START_TEST(empty_unary)
{
    interop_begin(_i, "");
    mesh_request request = interop_request(SERVICE "EmptyCall", NULL);
    mesh_result *result = call(&request, MESH_GRPC_OK);
    ck_assert_int_eq(mesh_result_code(result), MESH_OK);
    ck_assert_uint_eq(mesh_result_body_size(result), 0);
    mesh_result_free(result);
}
END_TEST

static struct message large_request(void)
{
    struct message message = message_new();
    message_number(&message, 2, LARGE_RESPONSE);
    message_add_payload(&message, 3, LARGE_REQUEST);
    return message;
}

START_TEST(large_unary)
{
    interop_begin(_i, "");
    struct message message = large_request();
    mesh_request request = interop_request(SERVICE "UnaryCall", &message);
    for (int i = 0; i < 5; i++) {
        mesh_result *result = call(&request, MESH_GRPC_OK);
        ck_assert_uint_eq(payload_of(result), LARGE_RESPONSE);
        mesh_result_free(result);
    }
    message_free(&message);
}
END_TEST

START_TEST(custom_metadata)
{
    static const unsigned char bytes[] = { 0xab, 0xab, 0xab };
    char text[MESH_GRPC_ENCODED_SIZE(sizeof(bytes))], back[8];
    size_t size = mesh_grpc_binary_encode(bytes, sizeof(bytes), text);
    const mesh_header fields[] = { { "x-grpc-test-echo-initial", 24, "test_initial_metadata_value", 27 },
                                   { "x-grpc-test-echo-trailing-bin", 29, text, size } };
    interop_begin(_i, "");
    struct message message = large_request();
    mesh_request request = interop_request(SERVICE "UnaryCall", &message);
    request.headers = fields;
    request.header_count = 2;
    mesh_result *result = call(&request, MESH_GRPC_OK);
    ck_assert_str_eq(mesh_result_header_value(result, "x-grpc-test-echo-initial"), "test_initial_metadata_value");
    const char *trailer = mesh_result_trailer_value(result, "x-grpc-test-echo-trailing-bin");
    ck_assert_ptr_nonnull(trailer);
    ck_assert_int_eq(mesh_grpc_binary_decode(trailer, strlen(trailer), back, &size), MESH_OK);
    ck_assert_uint_eq(size, sizeof(bytes));
    ck_assert_mem_eq(back, bytes, size);
    mesh_result_free(result);
    message_free(&message);
}
END_TEST

static void expect_words(int tls, const char *words)
{
    interop_begin(tls, "");
    struct message message = message_new(), status = message_new();
    message_number(&status, 1, MESH_GRPC_UNKNOWN);
    message_bytes(&status, 2, words, strlen(words));
    message_bytes(&message, 7, status.bytes, status.size);
    mesh_request request = interop_request(SERVICE "UnaryCall", &message);
    mesh_result *result = call(&request, MESH_GRPC_UNKNOWN);
    ck_assert_int_eq(mesh_result_code(result), MESH_OK);
    ck_assert_str_eq(mesh_result_grpc_message(result), words);
    mesh_result_free(result);
    message_free(&status);
    message_free(&message);
}

START_TEST(status_code_and_message)
{
    expect_words(_i, "test status message");
}
END_TEST

START_TEST(special_status_message)
{
    expect_words(_i, "\t\ntest with whitespace\r\nand Unicode BMP \xe2\x98\xba and non-BMP \xf0\x9f\x98\x88\t\n");
}
END_TEST

START_TEST(unimplemented_method_and_service)
{
    static const char *const paths[] = { SERVICE "UnimplementedCall",
                                         "/grpc.testing.UnimplementedService/UnimplementedCall" };
    interop_begin(_i, "");
    for (size_t i = 0; i < 2; i++) {
        mesh_request request = interop_request(paths[i], NULL);
        mesh_result *result = call(&request, MESH_GRPC_UNIMPLEMENTED);
        ck_assert_int_eq(mesh_result_code(result), MESH_OK);
        ck_assert_str_ne(mesh_result_grpc_message(result), "");
        mesh_result_free(result);
    }
}
END_TEST

/* The server would take ten seconds: it is the client, or the server by grpc-timeout, that ends the call. */
START_TEST(timeout_on_sleeping_server)
{
    interop_begin(_i, "");
    struct message message = message_new(), response = message_new();
    message_number(&response, 1, 31415);
    message_number(&response, 2, 10000000);
    message_bytes(&message, 2, response.bytes, response.size);
    message_add_payload(&message, 3, 27182);
    mesh_request request = interop_request(SERVICE "FullDuplexCall", &message);
    request.timeout_ns = 100 * (PAPERS_SECOND / 1000);
    mesh_result_free(call(&request, MESH_GRPC_DEADLINE_EXCEEDED));
    message_free(&response);
    message_free(&message);
    request = interop_request(SERVICE "EmptyCall", NULL);
    mesh_result_free(call(&request, MESH_GRPC_OK));
}
END_TEST

#define RETRY ", \"retry\": {\"attempts\": 4, \"non_idempotent\": true, \"on\": [\"unavailable\"]}"

static const struct {
    const char *first, *pushback, *members;
    int32_t status;
    size_t attempts;
    int32_t stop;
} retries[] = {
    { "2", NULL, RETRY, MESH_GRPC_OK, 3, MESH_STOP_NONE },
    { "2", "1", RETRY, MESH_GRPC_OK, 3, MESH_STOP_NONE },
    { "9", NULL, RETRY, MESH_GRPC_UNAVAILABLE, 4, MESH_STOP_ATTEMPTS },
    { "2", "-1", RETRY, MESH_GRPC_UNAVAILABLE, 1, MESH_STOP_PUSHBACK },
    { "2", NULL, "", MESH_GRPC_UNAVAILABLE, 1, MESH_STOP_NONE },
};

/* The server counts by grpc-previous-rpc-attempts. */
START_TEST(retried_as_configured_and_pushed_back)
{
    mesh_header fields[] = { { "x-fail-first", 12, retries[_i].first, strlen(retries[_i].first) },
                             { "x-pushback", 10, NULL, 0 } };
    interop_begin(0, retries[_i].members);
    mesh_request request = interop_request(SERVICE "EmptyCall", NULL);
    request.headers = fields;
    request.header_count = 1;
    if (retries[_i].pushback) {
        fields[1].value = retries[_i].pushback;
        fields[1].value_size = strlen(retries[_i].pushback);
        request.header_count = 2;
    }
    mesh_result *result = call(&request, retries[_i].status);
    mesh_attempt last = MESH_ATTEMPT_INIT;
    ck_assert_uint_eq(mesh_result_attempt_count(result), retries[_i].attempts);
    ck_assert_int_eq(mesh_result_attempt(result, retries[_i].attempts - 1, &last), MESH_OK);
    ck_assert_int_eq(last.stop, retries[_i].stop);
    ck_assert_int_eq(last.grpc_status, retries[_i].status);
    mesh_result_free(result);
}
END_TEST

enum { THREADS = 4, CALLS = 200 };

static void *caller(void *user)
{
    mesh_request request = interop_request(SERVICE "EmptyCall", NULL);
    for (int i = 0; i < CALLS; i++)
        mesh_result_free(call(&request, MESH_GRPC_OK));
    return user;
}

START_TEST(threads_share_a_connection)
{
    pthread_t threads[THREADS];
    interop_begin(_i, "");
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, caller, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    mesh_counters counters = MESH_COUNTERS_INIT;
    ck_assert_int_eq(mesh_client_counters(interop.client, "s", NULL, &counters), MESH_OK);
    ck_assert_uint_eq(counters.attempt_failures, 0);
    ck_assert_uint_eq(counters.responses, (uint64_t)THREADS * CALLS);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        empty_unary,
        large_unary,
        custom_metadata,
        status_code_and_message,
        special_status_message,
        unimplemented_method_and_service,
        timeout_on_sleeping_server,
        threads_share_a_connection,
    };
    Suite *suite = suite_create("grpc-go");
    TCase *tcase = tcase_create("grpc-go");
    tcase_add_checked_fixture(tcase, interop_setup, interop_teardown);
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        tcase_add_loop_test(tcase, tests[i], 0, INTEROP_WAYS);
    tcase_add_loop_test(tcase, retried_as_configured_and_pushed_back, 0, (int)(sizeof(retries) / sizeof(retries[0])));
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
