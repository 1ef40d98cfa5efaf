/* SPDX-License-Identifier: Apache-2.0 */
/* server_grpc_test.c - gRPC exchanges: unary, streams of messages both ways, ends with and without a head, and what is
 * no message. */
/* label: threaded */
#include "api/server_stream_scene.h"
#include "wire/grpc.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* ---- the server ---- */

/* Each message comes back; the status tells how receiving ended. */
static void echo(mesh_exchange *exchange, bool drops)
{
    static const mesh_header more = { "x-more", 6, "a", 1 };
    const void *message = "";
    size_t size;
    char text[32];
    int count = 0;
    mesh_status status = MESH_OK;
    while (status == MESH_OK && message != NULL) {
        status = mesh_exchange_receive(exchange, -1, &message, &size);
        if (status == MESH_OK && message != NULL)
            status = mesh_exchange_send(exchange, message, size, -1);
        count += message != NULL;
    }
    if (drops && status != MESH_OK) {
        mesh_exchange_drop(exchange);
        return;
    }
    (void)snprintf(text, sizeof(text), "100%% of %d: %s", count, mesh_status_name(status));
    (void)mesh_exchange_end_grpc(exchange, 0, text, &more, 1);
}

static void handle(mesh_exchange *exchange, void *user)
{
    (void)user;
    const char *path = mesh_exchange_path(exchange);
    if (strcmp(path, "/echo") == 0)
        echo(exchange, false);
    else if (strcmp(path, "/strict") == 0)
        echo(exchange, true);
    else if (strcmp(path, "/none") == 0)
        (void)mesh_exchange_end_grpc(exchange, 5, "n\xc3\xb6 such thing", NULL, 0);
    else if (strcmp(path, "/drop") == 0)
        mesh_exchange_drop(exchange);
    else
        ck_assert_int_eq(mesh_exchange_end_grpc(exchange, 17, NULL, NULL, 0), MESH_EINVAL);
}

/* ---- calls ---- */

#define SMALL "\0\0\0\0\5hello"
#define EMPTY "\0\0\0\0\0"
#define SIZED(text) text, sizeof(text) - 1

static const struct {
    const char *path, *body;
    size_t size;
    const char *coding; /* grpc-encoding; NULL: none */
    const char *status, *message;
    size_t received; /* bytes of the response, which are the first of the request's */
} rows[] = {
    { "/echo", SIZED(SMALL), NULL, "0", "100%25 of 1: OK", 10 },
    { "/echo", SIZED(SMALL EMPTY SMALL), NULL, "0", "100%25 of 3: OK", 25 },
    { "/echo", SIZED(EMPTY), NULL, "0", "100%25 of 1: OK", 5 },
    { "/echo", "", 0, NULL, "0", "100%25 of 0: OK", 0 },
    { "/echo", SIZED(SMALL "\0\0\0\0\5hell"), NULL, "0", "100%25 of 1: PROTOCOL", 10 },
    { "/echo", SIZED("\0\0\0"), NULL, "0", "100%25 of 0: PROTOCOL", 0 },
    { "/echo", SIZED("\0\0\1\x86\xa1"), NULL, "0", "100%25 of 0: BODY_TOO_LARGE", 0 },
    { "/echo", SIZED("\1\0\0\0\1a"), "gzip", "0", "100%25 of 0: EUNSUPPORTED", 0 },
    { "/echo", SIZED("\1\0\0\0\1a"), "identity", "0", "100%25 of 0: PROTOCOL", 0 },
    { "/strict", SIZED("\0\0\1\x86\xa1"), NULL, "8", "", 0 },
    { "/strict", SIZED("\1\0\0\0\1a"), "gzip", "12", "", 0 },
    { "/strict", SIZED("\2\0\0\0\1a"), NULL, "13", "", 0 },
    { "/strict", SIZED("\0\0"), NULL, "13", "", 0 },
    { "/none", SIZED(SMALL), NULL, "5", "n%C3%B6 such thing", 0 },
    { "/drop", SIZED(SMALL), NULL, "2", "", 0 },
    { "/wrong", SIZED(SMALL), NULL, "2", "", 0 },
    { "/denied", SIZED(SMALL), NULL, "7", "denied by policy", 0 },
};

static const char settings[] =
    "{\"workers\": 2, \"max_body\": \"100000B\", \"authorize\": {\"rules\": [{\"name\": \"no\", "
    "\"action\": \"deny\", \"paths\": [\"/denied\"]}]}}";

static void check_row(struct caller *caller, size_t row)
{
    char text[128];
    struct call call = {
        .method = "POST", .path = rows[row].path, .body = rows[row].body, .body_size = rows[row].size
    };
    call_field(&call, "content-type", "application/grpc+proto");
    call_field(&call, "te", "trailers");
    if (rows[row].coding != NULL)
        call_field(&call, "grpc-encoding", rows[row].coding);
    ck_assert_int_eq(caller_ask(caller, &call), 200);
    ck_assert_str_eq(call_value(&call, "grpc-status", text), rows[row].status);
    ck_assert_str_eq(call_value(&call, "grpc-message", text), rows[row].message);
    ck_assert_uint_eq(call.received.size, rows[row].received);
    if (rows[row].received > 0)
        ck_assert_int_eq(memcmp(call.received.data, rows[row].body, rows[row].received), 0);
    ck_assert_str_eq(call_value(&call, "content-length", text), "");
    if (strcmp(rows[row].path, "/echo") == 0) {
        ck_assert_str_eq(call_value(&call, "x-more", text), "a");
        ck_assert_str_eq(call_value(&call, "content-type", text), "application/grpc+proto");
    }
    call_free(&call);
}

START_TEST(test_rows)
{
    mesh_options options = MESH_OPTIONS_INIT;
    struct caller caller;
    options.flags = _i ? MESH_STREAM_REQUESTS : 0;
    mesh_server *server = open_server(settings, &options, handle, NULL);
    caller_connect(&caller, mesh_server_address(server));
    for (size_t row = 0; row < LENGTH(rows); row++)
        check_row(&caller, row);
    caller_close(&caller);
    mesh_server_free(server);
}
END_TEST

/* ---- many messages, some larger than what may wait ---- */

#define MESSAGES 40
#define MESSAGE_SIZE ((size_t)90000)

enum { FRAME = GRPC_FRAME_HEAD + MESSAGE_SIZE };

static char frame[FRAME];

static enum body_next next_message(void *user, size_t most, struct view *bytes, struct http1_field_group *trailers)
{
    struct call *call = user;
    size_t at = call->given % FRAME, left = FRAME - at;
    (void)trailers;
    *bytes = mesh__view(frame + at, left < most ? left : most);
    call->given += bytes->size;
    return call->given == MESSAGES * FRAME ? BODY_LAST : BODY_MORE;
}

START_TEST(test_many_messages)
{
    mesh_options options = MESH_OPTIONS_INIT;
    struct caller caller;
    char text[128];
    struct call call = { .method = "POST", .path = "/echo", .next = next_message };
    call_field(&call, "content-type", "application/grpc");
    options.flags = MESH_STREAM_REQUESTS;
    mesh__grpc_frame_head(MESSAGE_SIZE, frame);
    for (size_t i = 0; i < MESSAGE_SIZE; i++)
        frame[GRPC_FRAME_HEAD + i] = stream_byte(i);
    mesh_server *server = open_server(settings, &options, handle, NULL);
    caller_connect(&caller, mesh_server_address(server));
    ck_assert_msg(caller_ask(&caller, &call) == 200 && call.outcome == 0, "%d %u %d", (int)call.outcome, call.code,
                  caller.gone);
    ck_assert_str_eq(call_value(&call, "grpc-message", text), "100%25 of 40: OK");
    ck_assert_uint_eq(call.received.size, MESSAGES * FRAME);
    for (size_t i = 0; i < MESSAGES; i++)
        ck_assert_int_eq(memcmp(call.received.data + i * FRAME, frame, FRAME), 0);
    call_free(&call);
    caller_close(&caller);
    mesh_server_free(server);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server: gRPC");
    TCase *all = tcase_create("all");
    tcase_add_loop_test(all, test_rows, 0, 2);
    tcase_add_test(all, test_many_messages);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
