/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_stream_test.c - the streaming ones of gRPC's interop tests (doc/interop-test-descriptions.md) as a client of
 * grpc-go, in plain text and over TLS. */
/* label: threaded */
#include "interop/grpc_peer.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define SERVICE INTEROP_SERVICE
#define EVER (-1) /* as long as the stream lasts */

enum { MESSAGES = 4 };
static const size_t asked[MESSAGES] = { 27182, 8, 1828, 45904 };
static const size_t answered[MESSAGES] = { 31415, 9, 2653, 58979 };

static mesh_stream *open_stream(const char *path)
{
    mesh_stream *stream;
    mesh_request request = interop_request(path, NULL);
    ck_assert_int_eq(mesh_stream_open(interop.client, "s", &request, NULL, &stream), MESH_OK);
    return stream;
}

static void add_response(struct message *message, size_t size, uint64_t interval_us)
{
    struct message parameters = message_new();
    message_number(&parameters, 1, size);
    message_number(&parameters, 2, interval_us);
    message_bytes(message, 2, parameters.bytes, parameters.size);
    message_free(&parameters);
}

/* A StreamingOutputCallRequest: so many bytes, and so many asked for. */
static struct message question(size_t size, size_t response)
{
    struct message message = message_new();
    add_response(&message, response, 0);
    message_add_payload(&message, 3, size);
    return message;
}

static void send_message(mesh_stream *stream, struct message message)
{
    ck_assert_int_eq(mesh_stream_send(stream, message.bytes, message.size, EVER), MESH_OK);
    message_free(&message);
}

/* The payload of the next message is so long. */
static void expect_payload(mesh_stream *stream, size_t expected)
{
    const void *message;
    size_t size;
    ck_assert_int_eq(mesh_stream_receive(stream, EVER, &message, &size), MESH_OK);
    ck_assert_ptr_nonnull(message);
    ck_assert_uint_eq(message_payload(message, size, 1), expected);
}

static void expect_end(mesh_stream *stream, mesh_status code, int32_t grpc_status)
{
    const void *message = "";
    size_t size = 1;
    mesh_result *result;
    ck_assert_int_eq(mesh_stream_receive(stream, EVER, &message, &size), code);
    if (code == MESH_OK)
        ck_assert_ptr_null(message);
    ck_assert_int_eq(mesh_stream_finish(stream, &result), code);
    ck_assert_msg(mesh_result_grpc_status(result) == grpc_status, "%s", mesh_result_message(result));
    mesh_result_free(result);
}

START_TEST(client_streaming)
{
    interop_begin(_i, "");
    mesh_stream *stream = open_stream(SERVICE "StreamingInputCall");
    for (int i = 0; i < MESSAGES; i++) {
        struct message message = message_new();
        message_add_payload(&message, 1, asked[i]);
        send_message(stream, message);
    }
    ck_assert_int_eq(mesh_stream_end(stream, NULL, 0), MESH_OK);
    const void *message;
    size_t size;
    ck_assert_int_eq(mesh_stream_receive(stream, EVER, &message, &size), MESH_OK);
    ck_assert_ptr_nonnull(message);
    ck_assert_uint_eq(message_find_number(message, size, 1), 74922);
    expect_end(stream, MESH_OK, MESH_GRPC_OK);
}
END_TEST

START_TEST(server_streaming)
{
    interop_begin(_i, "");
    mesh_stream *stream = open_stream(SERVICE "StreamingOutputCall");
    struct message message = message_new();
    for (int i = 0; i < MESSAGES; i++)
        add_response(&message, answered[i], 0);
    send_message(stream, message);
    ck_assert_int_eq(mesh_stream_end(stream, NULL, 0), MESH_OK);
    for (int i = 0; i < MESSAGES; i++)
        expect_payload(stream, answered[i]);
    expect_end(stream, MESH_OK, MESH_GRPC_OK);
}
END_TEST

START_TEST(ping_pong)
{
    interop_begin(_i, "");
    mesh_stream *stream = open_stream(SERVICE "FullDuplexCall");
    for (int i = 0; i < MESSAGES; i++) {
        send_message(stream, question(asked[i], answered[i]));
        expect_payload(stream, answered[i]);
    }
    ck_assert_int_eq(mesh_stream_end(stream, NULL, 0), MESH_OK);
    expect_end(stream, MESH_OK, MESH_GRPC_OK);
}
END_TEST

START_TEST(empty_stream)
{
    interop_begin(_i, "");
    mesh_stream *stream = open_stream(SERVICE "FullDuplexCall");
    ck_assert_int_eq(mesh_stream_end(stream, NULL, 0), MESH_OK);
    expect_end(stream, MESH_OK, MESH_GRPC_OK);
}
END_TEST

START_TEST(cancel_after_begin)
{
    interop_begin(_i, "");
    mesh_stream *stream = open_stream(SERVICE "StreamingInputCall");
    mesh_stream_cancel(stream);
    expect_end(stream, MESH_CANCELLED, MESH_GRPC_CANCELLED);
}
END_TEST

START_TEST(cancel_after_first_response)
{
    interop_begin(_i, "");
    mesh_stream *stream = open_stream(SERVICE "FullDuplexCall");
    send_message(stream, question(asked[0], answered[0]));
    expect_payload(stream, answered[0]);
    mesh_stream_cancel(stream);
    expect_end(stream, MESH_CANCELLED, MESH_GRPC_CANCELLED);
}
END_TEST

START_TEST(timeout_on_sleeping_server)
{
    mesh_stream *stream;
    interop_begin(_i, "");
    mesh_request request = interop_request(SERVICE "FullDuplexCall", NULL);
    request.timeout_ns = 100 * (PAPERS_SECOND / 1000);
    ck_assert_int_eq(mesh_stream_open(interop.client, "s", &request, NULL, &stream), MESH_OK);
    struct message message = message_new();
    add_response(&message, 1, 10000000);
    message_add_payload(&message, 3, 27182);
    send_message(stream, message);
    mesh_result *result;
    const void *bytes;
    size_t size;
    mesh_status status = mesh_stream_receive(stream, EVER, &bytes, &size); /* the server may be the first to say so */
    ck_assert(status == MESH_DEADLINE || (status == MESH_OK && bytes == NULL));
    (void)mesh_stream_finish(stream, &result);
    ck_assert_int_eq(mesh_result_grpc_status(result), MESH_GRPC_DEADLINE_EXCEEDED);
    mesh_result_free(result);
}
END_TEST

/* On a stream, too: the first with the head, the other with the trailers. */
START_TEST(custom_metadata)
{
    static const mesh_header fields[] = { { "x-grpc-test-echo-initial", 24, "test_initial_metadata_value", 27 },
                                          { "x-grpc-test-echo-trailing-bin", 29, "q6ur", 4 } };
    mesh_stream *stream;
    const mesh_result *head;
    mesh_result *result;
    const void *message;
    size_t size;
    interop_begin(_i, "");
    mesh_request request = interop_request(SERVICE "FullDuplexCall", NULL);
    request.headers = fields;
    request.header_count = 2;
    ck_assert_int_eq(mesh_stream_open(interop.client, "s", &request, NULL, &stream), MESH_OK);
    send_message(stream, question(asked[0], answered[0]));
    ck_assert_int_eq(mesh_stream_head(stream, EVER, &head), MESH_OK);
    ck_assert_str_eq(mesh_result_header_value(head, "x-grpc-test-echo-initial"), "test_initial_metadata_value");
    expect_payload(stream, answered[0]);
    ck_assert_int_eq(mesh_stream_end(stream, NULL, 0), MESH_OK);
    ck_assert_int_eq(mesh_stream_receive(stream, EVER, &message, &size), MESH_OK);
    ck_assert_ptr_null(message);
    ck_assert_int_eq(mesh_stream_finish(stream, &result), MESH_OK);
    ck_assert_str_eq(mesh_result_trailer_value(result, "x-grpc-test-echo-trailing-bin"), "q6ur");
    mesh_result_free(result);
}
END_TEST

START_TEST(status_code_and_message)
{
    mesh_stream *stream = NULL;
    mesh_result *result;
    const void *bytes = "";
    size_t size;
    interop_begin(_i, "");
    struct message message = message_new(), status = message_new();
    message_number(&status, 1, MESH_GRPC_UNKNOWN);
    message_bytes(&status, 2, "test status message", 19);
    message_bytes(&message, 7, status.bytes, status.size);
    stream = open_stream(SERVICE "FullDuplexCall");
    send_message(stream, message);
    message_free(&status);
    ck_assert_int_eq(mesh_stream_receive(stream, EVER, &bytes, &size), MESH_OK);
    ck_assert_ptr_null(bytes);
    ck_assert_int_eq(mesh_stream_finish(stream, &result), MESH_OK);
    ck_assert_int_eq(mesh_result_grpc_status(result), MESH_GRPC_UNKNOWN);
    ck_assert_str_eq(mesh_result_grpc_message(result), "test status message");
    mesh_result_free(result);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        client_streaming,
        server_streaming,
        ping_pong,
        empty_stream,
        cancel_after_begin,
        cancel_after_first_response,
        timeout_on_sleeping_server,
        custom_metadata,
        status_code_and_message,
    };
    Suite *suite = suite_create("grpc-go, streams");
    TCase *tcase = tcase_create("grpc-go, streams");
    tcase_add_checked_fixture(tcase, interop_setup, interop_teardown);
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        tcase_add_loop_test(tcase, tests[i], 0, INTEROP_WAYS);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
