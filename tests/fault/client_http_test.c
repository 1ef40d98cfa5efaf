/* SPDX-License-Identifier: Apache-2.0 */
/* client_http_test.c - what peers do to HTTP/1.1: rows 34 to 61 of the fault catalogue, at the public API. */
/* label: threaded */
#include "fault/hostile.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static mesh_client *client;
static struct hostile *peer;

static void end(void)
{
    mesh_client_free(client);
    if (peer)
        hostile_stop(peer);
    client = NULL;
    peer = NULL;
}

/* Answers every request with these bytes, and leaves the connection open. */
static void answer(struct hostile_connection *connection)
{
    while (hostile_request(connection) && hostile_say(connection, connection->user))
        ;
}

#define OK_HEAD "HTTP/1.1 200 OK\r\n"

struct row {
    const char *name, *method, *response;
    mesh_status status;
    int32_t http_status;
    const char *words; /* of the message; or the body of a response */
    bool reused;       /* a second call goes over the same connection */
};

static const struct row rows[] = {
    { "34 length beside coding", "GET", OK_HEAD "content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
      MESH_PROTOCOL, 0, "Transfer-Encoding", false },
    { "35 two lengths", "GET", OK_HEAD "content-length: 2\r\ncontent-length: 3\r\n\r\nok", MESH_PROTOCOL, 0,
      "Content-Length", false },
    { "35 equal lengths", "GET", OK_HEAD "content-length: 2\r\ncontent-length: 2\r\n\r\nok", MESH_PROTOCOL, 0,
      "Content-Length", false },
    { "36 a list of lengths", "GET", OK_HEAD "content-length: 2, 2\r\n\r\nok", MESH_PROTOCOL, 0, "Content-Length",
      false },
    { "37 a negative length", "GET", OK_HEAD "content-length: -1\r\n\r\n", MESH_PROTOCOL, 0, NULL, false },
    { "37 a huge length", "GET", OK_HEAD "content-length: 18446744073709551616\r\n\r\n", MESH_PROTOCOL, 0, NULL,
      false },
    { "37 a length beyond max_body", "GET", OK_HEAD "content-length: 999999999999\r\n\r\n", MESH_BODY_TOO_LARGE, 0,
      "max_body", false },
    { "38 an unknown coding", "GET", OK_HEAD "transfer-encoding: xchunked\r\n\r\n0\r\n\r\n", MESH_PROTOCOL, 0, NULL,
      false },
    { "39 a coding in HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", MESH_PROTOCOL,
      0, NULL, false },
    { "40 a chunk of no size", "GET", OK_HEAD "transfer-encoding: chunked\r\n\r\n\r\n", MESH_PROTOCOL, 0, NULL, false },
    { "40 a chunk of 17 digits", "GET", OK_HEAD "transfer-encoding: chunked\r\n\r\n10000000000000000\r\n",
      MESH_PROTOCOL, 0, NULL, false },
    { "42 no line end behind a chunk", "GET", OK_HEAD "transfer-encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
      MESH_PROTOCOL, 0, NULL, false },
    { "45 a folded field", "GET", OK_HEAD "a: b\r\n c\r\ncontent-length: 0\r\n\r\n", MESH_PROTOCOL, 0, NULL, false },
    { "46 bare line feeds", "GET", "HTTP/1.1 200 OK\ncontent-length: 0\n\n", MESH_PROTOCOL, 0, NULL, false },
    { "48 a space before the colon", "GET", OK_HEAD "a : b\r\ncontent-length: 0\r\n\r\n", MESH_PROTOCOL, 0, NULL,
      false },
    { "50 no HTTP", "GET", "SSH-2.0-OpenSSH_9.2\r\n\r\n", MESH_PROTOCOL, 0, NULL, false },
    { "50 another version", "GET", "HTTP/3.0 200 OK\r\ncontent-length: 0\r\n\r\n", MESH_PROTOCOL, 0, NULL, false },
    { "50 a status of two digits", "GET", "HTTP/1.1 20\r\ncontent-length: 0\r\n\r\n", MESH_PROTOCOL, 0, NULL, false },
    { "50 a status beyond 599", "GET", "HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n", MESH_OK, 999, "", true },
    { "51 informational responses", "GET",
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\na: b\r\n\r\n" HOSTILE_OK, MESH_OK, 200, "ok", true },
    { "52 an upgrade nobody asked for", "GET", "HTTP/1.1 101 Switching\r\nupgrade: x\r\n\r\n", MESH_PROTOCOL, 0, "101",
      false },
    { "53 HEAD with a length", "HEAD", OK_HEAD "content-length: 10\r\n\r\n", MESH_OK, 200, "", true },
    { "53 HEAD with a body", "HEAD", OK_HEAD "content-length: 2\r\n\r\nok", MESH_OK, 200, "", false },
    { "53 204 with a length", "GET", "HTTP/1.1 204 No\r\ncontent-length: 10\r\n\r\n", MESH_OK, 204, "", true },
    { "53 304 with a body", "GET", "HTTP/1.1 304 Not\r\ncontent-length: 2\r\n\r\nok", MESH_OK, 304, "", false },
    { "55 a second response", "GET", HOSTILE_OK HOSTILE_OK, MESH_OK, 200, "ok", false },
    { "55 an extra byte", "GET", HOSTILE_OK "\n", MESH_OK, 200, "ok", false },
    { "58 421", "GET", "HTTP/1.1 421 Misdirected\r\ncontent-length: 0\r\n\r\n", MESH_OK, 421, "", true },
    { "58 425", "GET", "HTTP/1.1 425 Early\r\ncontent-length: 0\r\n\r\n", MESH_OK, 425, "", true },
    { "61 Connection: close", "GET", OK_HEAD "connection: close\r\ncontent-length: 2\r\n\r\nok", MESH_OK, 200, "ok",
      false },
    { "61 close in a list", "GET", OK_HEAD "connection: x, Close\r\ncontent-length: 2\r\n\r\nok", MESH_OK, 200, "ok",
      false },
    { "61 Keep-Alive of none", "GET", OK_HEAD "keep-alive: timeout=0\r\ncontent-length: 2\r\n\r\nok", MESH_OK, 200,
      "ok", false },
    { "61 Keep-Alive of a second", "GET", OK_HEAD "keep-alive: timeout=1\r\ncontent-length: 2\r\n\r\nok", MESH_OK, 200,
      "ok", false },
    { "61 Keep-Alive of ages", "GET", OK_HEAD "keep-alive: timeout=999999999999999999\r\ncontent-length: 2\r\n\r\nok",
      MESH_OK, 200, "ok", true },
    { "61 HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", MESH_OK, 200, "ok", false },
    { "61 HTTP/1.0 kept alive", "GET", "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok",
      MESH_OK, 200, "ok", true },
};

START_TEST(responses)
{
    const struct row *row = &rows[_i];
    peer = hostile_start(answer, (void *)(uintptr_t)row->response);
    client = fault_client(NULL, "\"endpoints\":[\"%s\"],\"retry\":{\"on\":[\"reset\",\"5xx\"]}", hostile_address(peer));
    for (int i = 0; i < 2; i++) {
        mesh_result *result = fault_call(client, row->method);
        ck_assert_msg(fault_last(result).reused == (i == 1 && row->reused), "%s: reused %d", row->name,
                      fault_last(result).reused);
        if (row->status == MESH_OK)
            ck_assert_msg(strcmp(mesh_result_body(result), row->words) == 0, "%s", row->name);
        ck_assert_msg(mesh_result_code(result) == row->status, "%s: %s", row->name, mesh_result_message(result));
        fault_expect(result, row->status, row->http_status, 1, row->status == MESH_OK ? NULL : row->words);
    }
    ck_assert_uint_eq(hostile_requests(peer), 2); /* no retry: what breaks the protocol once does so again */
    mesh_counters counters = fault_counters(client);
    ck_assert_uint_eq(counters.attempts, 2);
    ck_assert_uint_eq(counters.attempt_failures, row->status == MESH_OK ? 0 : 2);
    ck_assert_uint_eq(counters.connections, row->status == MESH_OK && row->reused ? 1 : 0);
}
END_TEST

/* Row 49: heads beyond each limit, told apart; and what is just within them. */
static void large_head(struct hostile_connection *connection)
{
    const int *shape = connection->user; /* fields, bytes in each */
    char *value = malloc((size_t)shape[1] + 1);
    memset(value, 'v', (size_t)shape[1]);
    value[shape[1]] = '\0';
    while (hostile_request(connection) && hostile_say(connection, OK_HEAD "content-length: 0\r\n")) {
        bool whole = true;
        for (int i = 0; i < shape[0] && whole; i++) {
            char name[32];
            (void)snprintf(name, sizeof(name), "f%d: ", i);
            whole = hostile_say(connection, name) && hostile_say(connection, value) && hostile_say(connection, "\r\n");
        }
        if (!whole || !hostile_say(connection, "\r\n"))
            break;
    }
    free(value);
}

START_TEST(row_49_large_heads)
{
    static const struct {
        int shape[2];
        mesh_status status;
        const char *words;
    } table[] = {
        { { 1, 1024 * 1024 }, MESH_HEADER_TOO_LARGE, "max_header" },
        { { 10000, 1 }, MESH_TOO_MANY_HEADERS, "max_headers" },
        { { 99, 500 }, MESH_OK, NULL },
        { { 100, 1 }, MESH_TOO_MANY_HEADERS, "max_headers" },
        { { 1, 60 * 1024 }, MESH_HEADER_TOO_LARGE, "max_header" },
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        peer = hostile_start(large_head, (void *)(uintptr_t)table[i].shape);
        client = fault_client(NULL, "\"endpoints\":[\"%s\"]", hostile_address(peer));
        mesh_result *result = fault_call(client, "GET");
        ck_assert_msg(mesh_result_code(result) == table[i].status, "row %zu: %s", i, mesh_result_message(result));
        fault_expect(result, table[i].status, table[i].status == MESH_OK ? 200 : 0, 1, table[i].words);
        ck_assert_uint_le(fault_counters(client).bytes_received, 256 * 1024);
        end();
    }
}
END_TEST

/* Row 51: as many 1xx as there are allowed, and then for ever. */
static void informational(struct hostile_connection *connection)
{
    const int *count = connection->user;
    while (hostile_request(connection)) {
        for (int i = 0; *count < 0 || i < *count; i++)
            if (!hostile_say(connection, "HTTP/1.1 100 Continue\r\n\r\n"))
                return;
        if (!hostile_say(connection, HOSTILE_OK))
            return;
    }
}

START_TEST(row_51_many_informational_responses)
{
    for (int count = 100; count >= -1; count = count == 100 ? -1 : -2) {
        peer = hostile_start(informational, &count);
        client = fault_client(NULL, "\"endpoints\":[\"%s\"]", hostile_address(peer));
        if (count == 100)
            fault_expect(fault_call(client, "GET"), MESH_OK, 200, 1, NULL);
        else
            fault_expect(fault_call(client, "GET"), MESH_PROTOCOL, 0, 1, "1xx");
        end();
    }
}
END_TEST

/* Row 57: an answer before the body has arrived, then the end; by FIN, and by the reset that unread bytes cause. */
static void refuse_early(struct hostile_connection *connection)
{
    (void)hostile_say(connection, "HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 3\r\n\r\nbig");
}

static void refuse_early_and_stay(struct hostile_connection *connection)
{
    (void)hostile_say(connection, "HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig");
    hostile_await_end(connection);
}

/* Takes what comes, so that all of the body may have been sent when the answer is seen. */
static void refuse_early_and_drain(struct hostile_connection *connection)
{
    (void)hostile_say(connection, "HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 3\r\n\r\nbig");
    hostile_drain(connection);
}

START_TEST(row_57_an_answer_while_the_body_is_sent)
{
    static const hostile_script scripts[] = { refuse_early, refuse_early_and_stay, refuse_early_and_drain };
    enum { SIZE = 16 * 1024 * 1024 };
    char *body = calloc(1, SIZE);
    for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
        peer = hostile_start(scripts[i], NULL);
        client = fault_client(NULL, "\"endpoints\":[\"%s\"]", hostile_address(peer));
        mesh_request request = MESH_REQUEST_INIT;
        request.method = "POST";
        request.body = body;
        request.body_size = SIZE;
        for (int call = 0; call < 3; call++) {
            mesh_result *result;
            (void)mesh_call(client, "s", &request, &result);
            /* Unread bytes make the peer's close a reset, which can overtake the answer. */
            bool overtaken = i == 0 && mesh_result_code(result) == MESH_RESET;
            ck_assert_int_eq(fault_last(result).reused, 0);
            fault_expect(result, overtaken ? MESH_RESET : MESH_OK, overtaken ? 0 : 413,
                         mesh_result_attempt_count(result), NULL);
        }
        ck_assert_msg(fault_counters(client).connections == 0,
                      "script %zu: a request half sent is no connection to keep", i);
        end();
    }
    free(body);
}
END_TEST

/* Row 58: Retry-After is honoured within the deadline: one that does not fit ends the call at once with the answer. */
static void unavailable(struct hostile_connection *connection)
{
    const char *value = connection->user;
    while (hostile_request(connection)) {
        char text[256];
        (void)snprintf(text, sizeof(text), "HTTP/1.1 503 No\r\nretry-after: %s\r\ncontent-length: 0\r\n\r\n", value);
        if (!hostile_say(connection, text))
            return;
    }
}

START_TEST(row_58_retry_after)
{
    char date[64];
    time_t later = time(NULL) + 100;
    struct tm parts;
    (void)strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&later, &parts));
    const struct {
        const char *value;
        size_t attempts;
        int32_t stop;
    } table[] = {
        { "0", 3, MESH_STOP_ATTEMPTS },
        { "-5", 3, MESH_STOP_ATTEMPTS },
        { "soon", 3, MESH_STOP_ATTEMPTS },
        { "Wed, 21 Oct 2015 07:28:00 GMT", 3, MESH_STOP_ATTEMPTS },
        { "100", 1, MESH_STOP_DEADLINE },
        { "1000000000", 1, MESH_STOP_DEADLINE },
        { "99999999999999999999999", 1, MESH_STOP_DEADLINE },
        { date, 1, MESH_STOP_DEADLINE },
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        peer = hostile_start(unavailable, (void *)(uintptr_t)table[i].value);
        client = fault_client(NULL, "\"endpoints\":[\"%s\"],\"retry\":{\"attempts\":3,\"on\":[\"503\"]}",
                              hostile_address(peer));
        mesh_result *result = fault_call(client, "GET");
        ck_assert_msg(mesh_result_attempt_count(result) == table[i].attempts, "%s: %zu attempts", table[i].value,
                      mesh_result_attempt_count(result));
        ck_assert_int_eq(fault_last(result).stop, table[i].stop);
        fault_expect(result, MESH_OK, 503, table[i].attempts, NULL);
        ck_assert_uint_eq(fault_counters(client).responses_5xx, table[i].attempts);
        end();
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        row_49_large_heads,
        row_51_many_informational_responses,
        row_57_an_answer_while_the_body_is_sent,
        row_58_retry_after,
    };
    Suite *suite = suite_create("client_http");
    TCase *tcase = tcase_create("client_http");
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, NULL, end);
    tcase_add_loop_test(tcase, responses, 0, sizeof(rows) / sizeof(rows[0]));
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
