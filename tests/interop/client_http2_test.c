/* SPDX-License-Identifier: Apache-2.0 */
/* client_http2_test.c - the client over HTTP/2 against servers that others wrote: nghttpd and nginx, in plain text and
 * over TLS, as `protocol` and ALPN say. */
/* label: threaded */
/* long */
#include "api/server_papers.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LARGE ((size_t)3 << 20)
#define MUTUAL ", \"tls\": {\"mode\": \"mutual\", \"peers\": [\"spiffe://shop/payment\"]}"

static struct papers papers;
static pid_t server_pid;
static unsigned port;

static struct sockaddr_in loopback(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static void choose_port(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    port = 0;
    struct sockaddr_in address = loopback();
    socklen_t size = sizeof(address);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    port = ntohs(address.sin_port);
    close(fd);
}

/* Waits until somebody listens there. */
static void await_server(void)
{
    for (int i = 0; i < 2000; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_in address = loopback();
        int error = connect(fd, (struct sockaddr *)&address, sizeof(address));
        close(fd);
        if (error == 0)
            return;
        ck_assert_int_eq(waitpid(server_pid, NULL, WNOHANG), 0);
        usleep(5000); /* there is nothing to wait for but the port itself */
    }
    ck_abort_msg("the server did not listen");
}

static void start(const char *const *arguments)
{
    server_pid = fork();
    if (server_pid == 0) {
        if (chdir(papers.folder) != 0 || freopen("server.log", "w", stdout) == NULL ||
            dup2(fileno(stdout), STDERR_FILENO) < 0)
            _exit(126);
        execvp(arguments[0], (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
    await_server();
}

static void start_nghttpd(bool tls)
{
    char text[16];
    choose_port();
    (void)snprintf(text, sizeof(text), "%u", port);
    const char *secure[] = { "nghttpd", "-n1", "-d.", text, "payment.key", "payment.pem", NULL };
    const char *plain[] = { "nghttpd", "-n1", "-d.", "--no-tls", text, NULL };
    start(tls ? secure : plain);
}

/* `listens` is what follows the address: "ssl http2". */
static void start_nginx(const char *listens)
{
    char text[1200];
    choose_port();
    (void)snprintf(text, sizeof(text),
                   "daemon off; master_process off; pid nginx.pid; error_log stderr;\n"
                   "events { worker_connections 256; }\n"
                   "http { access_log off; client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f;\n"
                   "uwsgi_temp_path u; scgi_temp_path s; keepalive_requests 100; server {\n"
                   "listen 127.0.0.1:%u %s; root %s; ssl_certificate payment.pem; ssl_certificate_key payment.key;\n"
                   "location /small { return 200 \"a small answer\"; } } }\n",
                   port, listens, papers.folder);
    papers_put(&papers, "nginx.conf", text);
    char conf[128];
    (void)snprintf(conf, sizeof(conf), "%s/nginx.conf", papers.folder);
    const char *arguments[] = { "nginx", "-e", "stderr", "-p", papers.folder, "-c", conf, NULL };
    start(arguments);
}

static void setup(void)
{
    static char large[LARGE + 1];
    papers_make(&papers);
    papers_write(&papers, "payment", "spiffe://shop/payment", &papers.authority);
    papers_write(&papers, "order", "spiffe://shop/order", &papers.authority);
    memset(large, 'x', LARGE);
    papers_put(&papers, "large", large);
    papers_put(&papers, "small", "a small answer");
}

static void teardown(void)
{
    if (server_pid > 0) {
        kill(server_pid, SIGKILL);
        (void)waitpid(server_pid, NULL, 0);
    }
    papers_remove(&papers);
}

static atomic_ullong allocations;

static void *take(size_t bytes, void *user)
{
    (void)user;
    atomic_fetch_add(&allocations, 1);
    return malloc(bytes);
}

static void *resize(void *block, size_t old_bytes, size_t bytes, void *user)
{
    (void)old_bytes;
    (void)user;
    atomic_fetch_add(&allocations, 1);
    return realloc(block, bytes);
}

static void give(void *block, void *user)
{
    (void)user;
    free(block);
}

/* A client of one shard of the service "s", with these members beside its endpoint. */
static mesh_client *open_client(const char *members)
{
    static mesh_allocator allocator = { sizeof(allocator), 0, take, resize, give, NULL };
    char text[400];
    mesh_client *client;
    mesh_error *error;
    mesh_options options = MESH_OPTIONS_INIT;
    options.shards = 1;
    options.allocator = &allocator;
    (void)snprintf(text, sizeof(text),
                   "\"services\": {\"s\": {\"endpoints\": [\"127.0.0.1:%u\"], \"timeout\": \"20s\"%s}}", port, members);
    mesh_config *config = papers_config(&papers, "order", text);
    ck_assert_msg(mesh_client_open(config, &options, &client, &error) == MESH_OK, "%s", mesh_error_text(error));
    mesh_config_free(config);
    return client;
}

static mesh_request request_of(const char *method, const char *path)
{
    mesh_request request = MESH_REQUEST_INIT;
    request.method = method;
    request.path = path;
    return request;
}

/* One call; its body's size. The version is checked. */
static size_t call(mesh_client *client, const mesh_request *request, int32_t version)
{
    mesh_result *result;
    mesh_status status = mesh_call(client, "s", request, &result);
    ck_assert_msg(status == MESH_OK, "%s", mesh_result_message(result));
    ck_assert_int_eq(mesh_result_status(result), 200);
    mesh_attempt attempt = MESH_ATTEMPT_INIT;
    ck_assert_int_eq(mesh_result_attempt(result, mesh_result_attempt_count(result) - 1, &attempt), MESH_OK);
    ck_assert_int_eq(attempt.http_version, version);
    size_t size = mesh_result_body_size(result);
    mesh_result_free(result);
    return size;
}

/* So many calls in flight, each replaced as it ends. */
static void many(mesh_client *client, const char *path, uint32_t in_flight, uint32_t all)
{
    mesh_request request = request_of("GET", path);
    uint32_t started = 0, done = 0;
    while (done < all) {
        for (; started < all && started - done < in_flight; started++)
            ck_assert_int_eq(mesh_call_start(client, "s", &request, NULL, NULL), MESH_OK);
        mesh_completion completions[16];
        uint32_t count = 0;
        for (size_t i = 0; i < 16; i++)
            completions[i].size = sizeof(completions[i]);
        ck_assert_int_eq(mesh_client_next(client, completions, 16, PAPERS_SECOND * 20, &count), MESH_OK);
        for (uint32_t i = 0; i < count; i++) {
            ck_assert_msg(completions[i].status == MESH_OK, "%s", mesh_result_message(completions[i].result));
            ck_assert_int_eq(mesh_result_status(completions[i].result), 200);
            mesh_result_free(completions[i].result);
        }
        done += count;
    }
}

static mesh_counters counters_of(mesh_client *client)
{
    mesh_counters counters = MESH_COUNTERS_INIT;
    ck_assert_int_eq(mesh_client_counters(client, "s", NULL, &counters), MESH_OK);
    return counters;
}

enum server { NGHTTPD, NGHTTPD_TLS, NGINX_PLAIN, NGINX_TLS, NGINX_H2C, NGINX_H2 };

static void start_server(enum server server)
{
    static const char *const listens[] = {
        [NGINX_PLAIN] = "", [NGINX_TLS] = "ssl", [NGINX_H2C] = "http2", [NGINX_H2] = "ssl http2"
    };
    if (server == NGHTTPD || server == NGHTTPD_TLS)
        start_nghttpd(server == NGHTTPD_TLS);
    else
        start_nginx(listens[server]);
}

static const struct {
    enum server server;
    const char *members;
    int32_t version;
} works[] = {
    { NGHTTPD, ", \"protocol\": \"http2\"", 20 },
    { NGHTTPD_TLS, MUTUAL, 20 },
    { NGHTTPD_TLS, ", \"protocol\": \"http2\"" MUTUAL, 20 },
    { NGINX_PLAIN, "", 11 },
    { NGINX_TLS, MUTUAL, 11 },
    { NGINX_H2C, ", \"protocol\": \"http2\"", 20 },
    { NGINX_H2, MUTUAL, 20 },
    { NGINX_H2, ", \"protocol\": \"http1\"" MUTUAL, 11 },
};

START_TEST(calls_as_the_protocol_says)
{
    start_server(works[_i].server);
    mesh_client *client = open_client(works[_i].members);
    mesh_request request = request_of("GET", "/small");
    ck_assert_uint_eq(call(client, &request, works[_i].version), strlen("a small answer"));
    request = request_of("GET", "/large");
    ck_assert_uint_eq(call(client, &request, works[_i].version), LARGE);
    many(client, "/small", 50, 1000);
    many(client, "/large", 10, 20);
    mesh_counters counters = counters_of(client);
    ck_assert_uint_eq(counters.attempt_failures, counters.retries);
    if (works[_i].server == NGHTTPD || works[_i].server == NGHTTPD_TLS)
        ck_assert_uint_eq(counters.connects, 1);
    mesh_client_free(client);
}
END_TEST

static const struct {
    enum server server;
    const char *members;
    mesh_status status;
} refuses[] = {
    { NGINX_PLAIN, ", \"protocol\": \"http2\"", MESH_PROTOCOL },
    { NGINX_TLS, ", \"protocol\": \"http2\"" MUTUAL, MESH_TLS_REFUSED_BY_PEER },
    { NGHTTPD, "", MESH_PROTOCOL },
};

START_TEST(a_peer_that_speaks_something_else)
{
    start_server(refuses[_i].server);
    mesh_client *client = open_client(refuses[_i].members);
    mesh_request request = request_of("GET", "/small");
    mesh_result *result;
    mesh_status status = mesh_call(client, "s", &request, &result);
    /* Over TLS it says no_application_protocol, or, as older ones, goes on without a choice. */
    bool silent = refuses[_i].server == NGINX_TLS && status == MESH_PROTOCOL;
    ck_assert_msg(status == refuses[_i].status || silent, "%s: %s", mesh_status_name(status),
                  mesh_result_message(result));
    mesh_result_free(result);
    mesh_client_free(client);
}
END_TEST

/* nghttpd takes 100 streams a connection: what is beyond gets a second one. */
START_TEST(more_calls_than_streams)
{
    start_nghttpd(false);
    mesh_client *client = open_client(", \"protocol\": \"http2\"");
    many(client, "/small", 90, 2000);
    ck_assert_uint_eq(counters_of(client).connects, 1);
    many(client, "/small", 190, 4000);
    ck_assert_uint_eq(counters_of(client).connects, 2);
    ck_assert_uint_eq(counters_of(client).attempt_failures, 0);
    mesh_client_free(client);
}
END_TEST

/* But for what the peer has kept: each second brings another "date", of which the header table keeps the latest, two
 * blocks each, until its 4 KiB are full. */
START_TEST(steady_calls_take_no_memory)
{
    start_nghttpd(_i == 1);
    mesh_client *client = open_client(_i == 1 ? MUTUAL : ", \"protocol\": \"http2\"");
    many(client, "/small", 80, 4000); /* more at once than later, so that no peak is a new one */
    unsigned long long before = atomic_load(&allocations);
    ck_assert_uint_gt(before, 0);
    time_t began = time(NULL);
    many(client, "/small", 20, 2000);
    unsigned long long dates = (unsigned long long)(time(NULL) - began) + 1;
    ck_assert_uint_le(atomic_load(&allocations) - before, 2 * dates);
    mesh_client_free(client);
}
END_TEST

static void *caller(void *user)
{
    mesh_request request = request_of("GET", "/small");
    for (int i = 0; i < 200; i++)
        ck_assert_uint_eq(call(user, &request, 20), strlen("a small answer"));
    return NULL;
}

START_TEST(threads_share_a_connection)
{
    pthread_t threads[8];
    start_nghttpd(false);
    mesh_client *client = open_client(", \"protocol\": \"http2\"");
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, caller, client), 0);
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    mesh_counters counters = counters_of(client);
    ck_assert_uint_eq(counters.responses, 1600);
    ck_assert_uint_eq(counters.connects, 1);
    mesh_client_free(client);
}
END_TEST

/* nginx goes away from a connection after 100 requests, with a GOAWAY: no call is lost by it, none repeated in vain. */
START_TEST(connections_that_end_in_order)
{
    start_nginx("http2");
    mesh_client *client = open_client(", \"protocol\": \"http2\"");
    many(client, "/small", 20, 3000);
    mesh_counters counters = counters_of(client);
    ck_assert_uint_eq(counters.responses, 3000);
    ck_assert_uint_ge(counters.connects, 20);
    ck_assert_uint_eq(counters.shuts, 0);
    mesh_client_free(client);
}
END_TEST

/* What is cancelled, or has no time left, ends its stream only. */
START_TEST(deadlines_and_cancelled_calls)
{
    start_nghttpd(false);
    mesh_client *client = open_client(", \"protocol\": \"http2\"");
    mesh_request request = request_of("GET", "/large"), small = request_of("GET", "/small");
    ck_assert_uint_gt(call(client, &small, 20), 0);
    for (int i = 0; i < 20; i++) {
        mesh_call_id id;
        mesh_completion completion = { .size = sizeof(completion) };
        uint32_t count;
        ck_assert_int_eq(mesh_call_start(client, "s", &request, NULL, &id), MESH_OK);
        ck_assert_int_eq(mesh_cancel(client, id), MESH_OK);
        ck_assert_int_eq(mesh_client_next(client, &completion, 1, PAPERS_SECOND * 20, &count), MESH_OK);
        ck_assert_int_eq(completion.status, MESH_CANCELLED);
        mesh_result_free(completion.result);
        request.timeout_ns = 1000;
        mesh_result *result;
        ck_assert_int_eq(mesh_call(client, "s", &request, &result), MESH_DEADLINE);
        mesh_result_free(result);
        request.timeout_ns = 0;
        ck_assert_uint_gt(call(client, &small, 20), 0);
    }
    ck_assert_uint_eq(counters_of(client).connects, 1);
    mesh_client_free(client);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client, HTTP/2");
    TCase *tcase = tcase_create("http2");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, calls_as_the_protocol_says, 0, sizeof(works) / sizeof(works[0]));
    tcase_add_loop_test(tcase, a_peer_that_speaks_something_else, 0, sizeof(refuses) / sizeof(refuses[0]));
    tcase_add_test(tcase, more_calls_than_streams);
    tcase_add_loop_test(tcase, steady_calls_take_no_memory, 0, 2);
    tcase_add_test(tcase, threads_share_a_connection);
    tcase_add_test(tcase, connections_that_end_in_order);
    tcase_add_test(tcase, deadlines_and_cancelled_calls);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
