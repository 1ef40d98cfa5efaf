/* SPDX-License-Identifier: Apache-2.0 */
/* client_tcp_test.c - what goes wrong below HTTP: rows 18 to 33 of the fault catalogue, at the public API. */
/* label: threaded */
#include "fault/hostile.h"

#include <arpa/inet.h>
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static mesh_client *client;
static struct hostile *peer, *good;

/* A port that refuses for as long as the descriptor is open: bound, and nobody listens. */
static int refusing(char address[32])
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof(at);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, size), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    (void)snprintf(address, 32, "127.0.0.1:%d", ntohs(at.sin_port));
    return fd;
}

static void serve(struct hostile_connection *connection)
{
    while (hostile_request(connection) && hostile_say(connection, HOSTILE_OK))
        ;
}

static void end(void)
{
    mesh_client_free(client);
    if (peer)
        hostile_stop(peer);
    if (good)
        hostile_stop(good);
    client = NULL;
    peer = good = NULL;
}

START_TEST(row_18_refused)
{
    char address[32];
    int fd = refusing(address);
    client = fault_client(NULL, "\"endpoints\":[\"%s\"]", address);
    fault_expect(fault_call(client, "POST"), MESH_CONNECT_REFUSED, 0, 3, "Connection refused");
    mesh_counters counters = fault_counters(client);
    ck_assert_uint_eq(counters.attempts, 3); /* two that count, and the free repeat of what was provably unsent */
    ck_assert_uint_eq(counters.attempt_failures, 3);
    ck_assert_uint_eq(counters.connect_failures, 3);
    ck_assert_uint_eq(counters.connects, 0);
    ck_assert_uint_eq(counters.failures, 1);
    close(fd);
}
END_TEST

START_TEST(row_18_refused_and_another_answers)
{
    char address[32];
    int fd = refusing(address);
    good = hostile_start(serve, NULL);
    client = fault_client(NULL, "\"endpoints\":[\"%s\",\"%s\"],\"balancer\":\"round-robin\"", address,
                          hostile_address(good));
    for (int i = 0; i < 50; i++) {
        mesh_result *result = fault_call(client, "POST");
        ck_assert_str_eq(fault_last(result).endpoint, hostile_address(good));
        fault_expect(result, MESH_OK, 200, mesh_result_attempt_count(result), NULL);
    }
    mesh_counters counters = fault_counters(client);
    ck_assert_uint_eq(counters.responses, 50);
    ck_assert_uint_eq(counters.attempts - counters.attempt_failures, 50);
    ck_assert_uint_ge(counters.shuts, 1);
    ck_assert_uint_lt(counters.connect_failures, 25); /* the breaker keeps calls away from it */
    close(fd);
}
END_TEST

/* A listener whose backlog is full drops SYNs: nothing answers. */
static int black_hole(char address[32], int fillers[4])
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof(at);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, size), 0);
    ck_assert_int_eq(listen(fd, 0), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    (void)snprintf(address, 32, "127.0.0.1:%d", ntohs(at.sin_port));
    for (int i = 0; i < 4; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(fillers[i], (struct sockaddr *)&at, size);
    }
    return fd;
}

START_TEST(row_19_black_hole)
{
    char address[32];
    int fillers[4], fd = black_hole(address, fillers);
    good = hostile_start(serve, NULL);
    client = fault_client(NULL, "\"endpoints\":[\"%s\"],\"connect_timeout\":\"5ms\"", address);
    mesh_result *result = fault_call(client, "GET");
    ck_assert_int_eq(fault_last(result).stop, MESH_STOP_ATTEMPTS);
    fault_expect(result, MESH_CONNECT_TIMEOUT, 0, 3, "connect_timeout");
    mesh_client_free(client);
    client = fault_client(NULL, "\"endpoints\":[\"%s\"],\"connect_timeout\":\"10s\",\"timeout\":\"100ms\"", address);
    fault_expect(fault_call(client, "GET"), MESH_DEADLINE, 0, 1, NULL);
    ck_assert_uint_eq(fault_counters(client).deadlines, 1);
    mesh_client_free(client);
    client =
        fault_client(NULL, "\"endpoints\":[\"%s\",\"%s\"],\"connect_timeout\":\"50ms\",\"balancer\":\"round-robin\"",
                     address, hostile_address(good));
    for (int i = 0; i < 4; i++) {
        result = fault_call(client, "POST");
        fault_expect(result, MESH_OK, 200, mesh_result_attempt_count(result), NULL);
    }
    for (int i = 0; i < 4; i++)
        close(fillers[i]);
    close(fd);
}
END_TEST

static void reset_after_request(struct hostile_connection *connection)
{
    if (hostile_request(connection))
        hostile_reset(connection);
}

static void close_after_request(struct hostile_connection *connection)
{
    (void)hostile_request(connection);
}

START_TEST(row_20_reset_before_any_byte)
{
    static const struct {
        const char *method, *on;
        size_t attempts;
        int32_t stop;
    } rows[] = {
        { "GET", "\"connect-failure\"", 1, MESH_STOP_NOT_RETRYABLE },
        { "POST", "\"reset\"", 1, MESH_STOP_NOT_IDEMPOTENT },
        { "GET", "\"reset\"", 2, MESH_STOP_ATTEMPTS },
        { "GET", "\"reset-before-request\"", 1, MESH_STOP_NOT_RETRYABLE },
    };
    static const hostile_script scripts[] = { reset_after_request, close_after_request };
    for (int s = 0; s < 2; s++)
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            peer = hostile_start(scripts[s], NULL);
            client =
                fault_client(NULL, "\"endpoints\":[\"%s\"],\"retry\":{\"on\":[%s]}", hostile_address(peer), rows[i].on);
            mesh_result *result = fault_call(client, rows[i].method);
            ck_assert_msg(fault_last(result).stop == rows[i].stop, "row %zu: %s", i, mesh_result_message(result));
            fault_expect(result, MESH_RESET, 0, rows[i].attempts, s ? "closed the connection" : "connection broke");
            ck_assert_uint_eq(hostile_requests(peer), rows[i].attempts);
            ck_assert_uint_eq(fault_counters(client).attempt_failures, rows[i].attempts);
            end();
        }
}
END_TEST

struct cut {
    const char *bytes;
    bool reset;
};

static void say_and_cut(struct hostile_connection *connection)
{
    const struct cut *cut = connection->user;
    if (hostile_request(connection) && hostile_say(connection, cut->bytes) && cut->reset)
        hostile_reset(connection);
}

START_TEST(rows_21_22_43_end_within_the_response)
{
    static const char *const begun[] = {
        "H",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n123456789",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n12345\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof(begun) / sizeof(begun[0]) * 2; i++) {
        struct cut cut = { begun[i / 2], i % 2 == 1 };
        peer = hostile_start(say_and_cut, &cut);
        client = fault_client(NULL, "\"endpoints\":[\"%s\"]", hostile_address(peer));
        mesh_result *result = fault_call(client, "GET");
        mesh_status status = mesh_result_code(result);
        /* A reset may overtake what was sent before it. */
        ck_assert_msg(status == MESH_PARTIAL_RESPONSE || (cut.reset && status == MESH_RESET), "row %zu: %s", i,
                      mesh_result_message(result));
        ck_assert_msg(mesh_result_body_size(result) == 0 && mesh_result_header_count(result) == 0, "row %zu", i);
        fault_expect(result, status, 0, 1, NULL);
        ck_assert_uint_eq(fault_counters(client).disconnects, 1);
        end();
    }
}
END_TEST

START_TEST(a_body_to_the_end_of_a_connection_that_is_reset_is_partial)
{
    struct cut cut = { "HTTP/1.1 200 OK\r\n\r\nabc", true };
    peer = hostile_start(say_and_cut, &cut);
    client = fault_client(NULL, "\"endpoints\":[\"%s\"]", hostile_address(peer));
    mesh_result *result = fault_call(client, "GET");
    ck_assert_int_ne(mesh_result_code(result), MESH_OK);
    fault_expect(result, mesh_result_code(result), 0, 1, NULL);
    end();
    cut.reset = false;
    peer = hostile_start(say_and_cut, &cut);
    client = fault_client(NULL, "\"endpoints\":[\"%s\"]", hostile_address(peer));
    result = fault_call(client, "GET");
    ck_assert_str_eq(mesh_result_body(result), "abc");
    fault_expect(result, MESH_OK, 200, 1, NULL);
}
END_TEST

static void stall(struct hostile_connection *connection)
{
    if (hostile_request(connection))
        hostile_await_end(connection);
}

/* Row 23: a peer that is there and says nothing; nor does it hold up later calls, since its connection is given up. */
START_TEST(row_23_half_open)
{
    peer = hostile_start(stall, NULL);
    client = fault_client(NULL, "\"endpoints\":[\"%s\"],\"timeout\":\"100ms\"", hostile_address(peer));
    for (int i = 0; i < 3; i++) {
        mesh_result *result = fault_call(client, "GET");
        ck_assert_int_eq(fault_last(result).reused, 0);
        fault_expect(result, MESH_DEADLINE, 0, 1, NULL);
    }
    mesh_counters counters = fault_counters(client);
    ck_assert_uint_eq(counters.deadlines, 3);
    ck_assert_uint_eq(counters.connections, 0);
    end();
    peer = hostile_start(stall, NULL);
    client = fault_client(NULL,
                          "\"endpoints\":[\"%s\"],\"retry\":{\"attempts\":3,\"on\":[\"per-try-timeout\"],"
                          "\"per_try_timeout\":\"30ms\"}",
                          hostile_address(peer));
    fault_expect(fault_call(client, "GET"), MESH_PER_TRY_TIMEOUT, 0, 3, NULL);
    fault_expect(fault_call(client, "POST"), MESH_PER_TRY_TIMEOUT, 0, 1, "not-idempotent");
    ck_assert_uint_eq(fault_counters(client).connects, 4);
    hostile_await_requests(peer, 4); /* which may still lie in its sockets */
    end();
}
END_TEST

static void slices(struct hostile_connection *connection)
{
    static const char response[] = "HTTP/1.1 200 OK\r\nX-A:  b \r\nTransfer-Encoding: chunked\r\n\r\n"
                                   "3;ext=\"q\"\r\nabc\r\n04\r\ndefg\r\n0\r\nTrailer: t\r\n\r\n";
    while (hostile_request(connection))
        for (size_t i = 0; i < sizeof(response) - 1; i++)
            if (!hostile_send(connection, response + i, 1))
                return;
}

START_TEST(row_25_one_byte_slices)
{
    peer = hostile_start(slices, NULL);
    client = fault_client(NULL, "\"endpoints\":[\"%s\"]", hostile_address(peer));
    for (int i = 0; i < 20; i++) {
        mesh_result *result = fault_call(client, "GET");
        ck_assert_str_eq(mesh_result_body(result), "abcdefg");
        ck_assert_str_eq(mesh_result_header_value(result, "x-a"), "b");
        ck_assert_ptr_null(mesh_result_header_value(result, "trailer"));
        fault_expect(result, MESH_OK, 200, 1, NULL);
    }
    ck_assert_uint_eq(hostile_connections(peer), 1);
}
END_TEST

/* Sends bytes of a body that never ends, as long as the client takes them. */
static void endless(struct hostile_connection *connection)
{
    if (!hostile_request(connection) || !hostile_say(connection, "HTTP/1.1 200 OK\r\n\r\n"))
        return;
    static const char bytes[4096];
    size_t piece = *(const size_t *)connection->user;
    while (hostile_send(connection, bytes, piece))
        sched_yield();
}

START_TEST(row_26_slow_body_against_the_deadline)
{
    size_t piece = 1;
    peer = hostile_start(endless, &piece);
    client = fault_client(NULL, "\"endpoints\":[\"%s\"],\"timeout\":\"100ms\"", hostile_address(peer));
    fault_expect(fault_call(client, "GET"), MESH_DEADLINE, 0, 1, NULL);
    ck_assert_uint_eq(fault_counters(client).connections, 0);
}
END_TEST

static void never_read(struct hostile_connection *connection)
{
    struct hostile_connection *c = connection;
    int small = 1;
    (void)setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    hostile_await_end(c);
}

START_TEST(row_27_the_server_never_reads)
{
    enum { SIZE = 64 * 1024 * 1024 }; /* beyond what both sockets hold, however large the system lets them grow */
    char *body = calloc(1, SIZE);
    peer = hostile_start(never_read, NULL);
    client = fault_client(NULL, "\"endpoints\":[\"%s\"],\"timeout\":\"150ms\"", hostile_address(peer));
    mesh_request request = MESH_REQUEST_INIT;
    request.method = "PUT";
    request.body = body;
    request.body_size = SIZE;
    mesh_result *result;
    ck_assert_int_eq(mesh_call(client, "s", &request, &result), MESH_DEADLINE);
    free(body); /* nothing touches it any more */
    fault_expect(result, MESH_DEADLINE, 0, 1, NULL);
    mesh_counters counters = fault_counters(client);
    ck_assert_uint_lt(counters.bytes_sent, SIZE);
    ck_assert_uint_eq(counters.connections, 0);
}
END_TEST

/* A body beyond what sockets hold: the client's writes are partial ones. */
static void answer_once(struct hostile_connection *connection)
{
    if (!hostile_request(connection))
        return;
    (void)hostile_say(connection, HOSTILE_OK);
}

START_TEST(row_28_large_body_in_partial_writes)
{
    enum { SIZE = 4 * 1024 * 1024 };
    char *body = calloc(1, SIZE);
    peer = hostile_start(answer_once, NULL);
    client = fault_client(NULL, "\"endpoints\":[\"%s\"]", hostile_address(peer));
    mesh_request request = MESH_REQUEST_INIT;
    request.method = "PUT";
    request.body = body;
    request.body_size = SIZE;
    mesh_result *result;
    (void)mesh_call(client, "s", &request, &result);
    fault_expect(result, MESH_OK, 200, 1, NULL);
    free(body);
    ck_assert_uint_gt(fault_counters(client).bytes_sent, SIZE);
    ck_assert_uint_eq(hostile_requests(peer), 1);
}
END_TEST

START_TEST(row_29_endless_body)
{
    size_t piece = 4096;
    peer = hostile_start(endless, &piece);
    client = fault_client(NULL, "\"endpoints\":[\"%s\"],\"max_body\":\"256KiB\"", hostile_address(peer));
    fault_expect(fault_call(client, "GET"), MESH_BODY_TOO_LARGE, 0, 1, "max_body");
    mesh_counters counters = fault_counters(client);
    ck_assert_uint_le(counters.bytes_received, 256 * 1024 + 2 * 65536);
    ck_assert_uint_eq(counters.connections, 0);
}
END_TEST

/* Row 31: a network that is down, in a namespace of its own, where there is no loopback even. */
START_TEST(row_31_no_network)
{
    (void)fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
            _exit(77);
        client = fault_client(NULL, "\"endpoints\":[\"10.9.9.9:80\"]");
        mesh_result *result = fault_call(client, "GET");
        bool right = mesh_result_code(result) == MESH_CONNECT_UNREACHABLE && mesh_result_attempt_count(result) == 3 &&
                     strstr(mesh_result_message(result), "unreachable") != NULL;
        if (!right)
            (void)fprintf(stderr, "%s\n", mesh_result_message(result));
        _exit(right ? 0 : 1);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        (void)printf("row 31 is skipped: no user and network namespaces here\n");
    else
        ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

/* Row 32: a client of a port in the ephemeral range where nobody listens never meets itself. */
START_TEST(row_32_connection_to_itself)
{
    char address[32];
    close(refusing(address));
    client = fault_client(NULL, "\"endpoints\":[\"%s\"],\"circuit_breaker\":{\"enabled\":false}", address);
    for (int i = 0; i < 300; i++) {
        mesh_result *result = fault_call(client, "GET");
        fault_expect(result, MESH_CONNECT_REFUSED, 0, mesh_result_attempt_count(result), NULL);
    }
}
END_TEST

/* Row 33: a peer that neither reads nor closes holds up neither close nor free. */
START_TEST(row_33_free_never_waits_for_a_peer)
{
    peer = hostile_start(stall, NULL);
    client = fault_client(NULL, "\"endpoints\":[\"%s\"]", hostile_address(peer));
    mesh_request request = MESH_REQUEST_INIT;
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(mesh_call_start(client, "s", &request, NULL, NULL), MESH_OK);
    while (hostile_requests(peer) < 8)
        sched_yield();
    ck_assert_int_eq(mesh_client_close(client, 1000000), MESH_DEADLINE);
    for (int i = 0; i < 8; i++) {
        mesh_completion completion = MESH_COMPLETION_INIT;
        uint32_t count;
        ck_assert_int_eq(mesh_client_next(client, &completion, 1, -1, &count), MESH_OK);
        ck_assert_int_eq(completion.status, MESH_CANCELLED);
        mesh_result_free(completion.result);
    }
}
END_TEST

/* A process that is stopped keeps its connections: only the deadline tells. */
START_TEST(a_stopped_peer)
{
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof(at);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&at, size), 0);
    ck_assert_int_eq(listen(listener, 16), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&at, &size), 0);
    pid_t child = fork();
    if (child == 0) {
        for (int fd; (fd = accept(listener, NULL, NULL)) >= 0; close(fd)) {
            char bytes[1024];
            while (recv(fd, bytes, sizeof(bytes), 0) > 0 && send(fd, HOSTILE_OK, strlen(HOSTILE_OK), MSG_NOSIGNAL) > 0)
                ;
        }
        _exit(0);
    }
    client = fault_client(NULL, "\"endpoints\":[\"127.0.0.1:%d\"]", ntohs(at.sin_port));
    fault_expect(fault_call(client, "GET"), MESH_OK, 200, 1, NULL);
    int status;
    ck_assert_int_eq(kill(child, SIGSTOP), 0);
    ck_assert_int_eq(waitpid(child, &status, WUNTRACED), child);
    mesh_request request = MESH_REQUEST_INIT;
    request.timeout_ns = 100 * 1000000;
    for (int i = 0; i < 3; i++) { /* over the open connection, then over new ones that the kernel accepts for it */
        mesh_result *result;
        (void)mesh_call(client, "s", &request, &result);
        ck_assert_int_eq(fault_last(result).reused, i == 0);
        fault_expect(result, MESH_DEADLINE, 0, 1, NULL);
    }
    ck_assert_int_eq(kill(child, SIGCONT), 0);
    fault_expect(fault_call(client, "GET"), MESH_OK, 200, 1, NULL);
    mesh_client_free(client);
    client = NULL;
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    close(listener);
}
END_TEST

START_TEST(a_thousand_endpoints_that_refuse)
{
    enum { COUNT = 1000 };
    char address[32], *list = malloc(COUNT * 24);
    int fd = refusing(address);
    size_t used = 0;
    for (int i = 0; i < COUNT; i++) /* 127.0.0.0/8 is all loopback: as many addresses with the one port */
        used += (size_t)snprintf(list + used, COUNT * 24 - used, "%s\"127.0.%d.%d:%s\"", i ? "," : "", 1 + i / 250,
                                 1 + i % 250, strchr(address, ':') + 1);
    client = fault_client(NULL, "\"endpoints\":[%s],\"retry\":{\"attempts\":10}", list);
    for (int i = 0; i < 100; i++) {
        mesh_result *result = fault_call(client, "GET");
        size_t attempts = mesh_result_attempt_count(result);
        fault_expect(result, MESH_CONNECT_REFUSED, 0, attempts, NULL);
    }
    mesh_counters counters = fault_counters(client);
    ck_assert_uint_eq(counters.failures, 100);
    ck_assert_uint_eq(counters.attempts, counters.attempt_failures);
    ck_assert_uint_eq(counters.connections, 0);
    free(list);
    close(fd);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        row_18_refused,
        row_18_refused_and_another_answers,
        row_19_black_hole,
        row_20_reset_before_any_byte,
        rows_21_22_43_end_within_the_response,
        a_body_to_the_end_of_a_connection_that_is_reset_is_partial,
        row_23_half_open,
        row_25_one_byte_slices,
        row_26_slow_body_against_the_deadline,
        row_27_the_server_never_reads,
        row_28_large_body_in_partial_writes,
        row_29_endless_body,
        row_31_no_network,
        row_32_connection_to_itself,
        row_33_free_never_waits_for_a_peer,
        a_stopped_peer,
        a_thousand_endpoints_that_refuse,
    };
    Suite *suite = suite_create("client_tcp");
    TCase *tcase = tcase_create("client_tcp");
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, NULL, end);
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
