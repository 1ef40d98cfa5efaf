/* SPDX-License-Identifier: Apache-2.0 */
/* http2_tools_test.c - the HTTP/2 codec against programs that others wrote: its client against nghttpd, its server
 * against nghttp, h2load and curl; over a plain socket, with prior knowledge. */
#include "support/http2_pump.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LARGE ((size_t)10 << 20)

static const struct http1_limits limits = { 60 << 10, 100, 2 * LARGE };

/* A call as the events see it. */
struct exchange {
    int32_t status;
    uint64_t received;
    uint32_t hash;
    bool ended;
    struct http2_closed closed;
};

static struct {
    struct http2_pool pool;
    struct http2_conn *conn;
    uint32_t closed, wanted;
    uint32_t max_streams;
    bool pong;
    const char *body; /* of the server's answers */
    size_t body_size;
} state;

static uint32_t hash_more(uint32_t hash, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)bytes[i]) * 16777619u;
    return hash;
}

static bool on_head(void *user, struct http2_stream *stream, const struct http1_head *head)
{
    (void)user;
    struct exchange *exchange = mesh__http2_stream_user(stream);
    if (exchange != NULL)
        exchange->status = head->status;
    return true;
}

static bool on_body(void *user, struct http2_stream *stream, struct view bytes)
{
    (void)user;
    struct exchange *exchange = mesh__http2_stream_user(stream);
    mesh__http2_consume(stream, bytes.size);
    if (exchange != NULL) {
        exchange->received += bytes.size;
        exchange->hash = hash_more(exchange->hash, bytes.data, bytes.size);
    }
    return true;
}

static bool on_trailers(void *user, struct http2_stream *stream, const mesh_header *headers, size_t count)
{
    (void)user;
    (void)stream;
    (void)headers;
    (void)count;
    return true;
}

static bool on_end(void *user, struct http2_stream *stream)
{
    (void)user;
    struct exchange *exchange = mesh__http2_stream_user(stream);
    if (exchange != NULL) {
        exchange->ended = true;
        return true;
    }
    struct http2_response response = { .status = 200, .body = { .bytes = { state.body, state.body_size } } };
    return mesh__http2_respond(stream, &response);
}

static void on_closed(void *user, struct http2_stream *stream, const struct http2_closed *closed)
{
    (void)user;
    struct exchange *exchange = mesh__http2_stream_user(stream);
    state.closed++;
    if (exchange != NULL)
        exchange->closed = *closed;
}

static void on_settings(void *user, uint32_t max_streams)
{
    (void)user;
    state.max_streams = max_streams;
}

static void on_goaway(void *user, const struct http2_goaway *goaway)
{
    (void)user;
    (void)goaway;
}

static void on_pong(void *user)
{
    (void)user;
    state.pong = true;
}

static const struct http2_events events = { on_head,   on_body,     on_trailers, on_end, NULL,
                                            on_closed, on_settings, on_goaway,   on_pong };

static struct sockaddr_in loopback(uint16_t port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/* A socket that listens, or is only bound, at a port that the system chose. */
static int bound_socket(uint16_t *port, bool listening)
{
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    ck_assert_int_eq(bind(descriptor, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(getsockname(descriptor, (struct sockaddr *)&address, &size), 0);
    if (listening)
        ck_assert_int_eq(listen(descriptor, 16), 0);
    *port = ntohs(address.sin_port);
    return descriptor;
}

static pid_t child;

/* Starts nghttpd and waits for the line in which it says that it listens. */
static uint16_t start_nghttpd(const char *directory)
{
    uint16_t port;
    int ends[2];
    close(bound_socket(&port, false));
    ck_assert_int_eq(pipe(ends), 0);
    char text[8];
    (void)snprintf(text, sizeof text, "%u", port);
    child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        execlp("nghttpd", "nghttpd", "--no-tls", "--echo-upload", "-a", "127.0.0.1", "-d", directory, "-v", text,
               (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    FILE *said = fdopen(ends[0], "r");
    char line[256] = "";
    ck_assert_ptr_nonnull(said);
    while (strstr(line, "listen") == NULL)
        ck_assert_msg(fgets(line, sizeof line, said) != NULL, "nghttpd did not start");
    /* What it says from now on is read by nobody: a writer of its own keeps the pipe from filling up. */
    pid_t reader = fork();
    if (reader == 0) {
        while (fgets(line, sizeof line, said) != NULL)
            ;
        _exit(0);
    }
    fclose(said);
    return port;
}

static void open_conn(enum http2_role role)
{
    struct http2_config config = { .role = role, .limits = limits, .max_streams = role == HTTP2_SERVER ? 128 : 0 };
    memset(&state, 0, sizeof state);
    mesh__http2_pool_init(&state.pool, &mesh__mem_system, 1 << 20);
    state.conn = mesh__http2_new(&state.pool, &config, &events, NULL);
    ck_assert_ptr_nonnull(state.conn);
}

static void close_conn(int descriptor)
{
    close(descriptor);
    mesh__http2_free(state.conn);
    ck_assert_uint_eq(state.pool.used_bytes, 0);
    mesh__http2_pool_fini(&state.pool);
}

static bool all_closed(void *user)
{
    (void)user;
    return state.closed >= state.wanted;
}

static void request(const char *method, const char *path, struct view body, struct exchange *exchange)
{
    struct http2_request asked = { .method = mesh__view_of(method),
                                   .path = mesh__view_of(path),
                                   .authority = VIEW_LITERAL("localhost"),
                                   .body = { .bytes = body },
                                   .limits = limits };
    struct http2_stream *stream;
    *exchange = (struct exchange){ .hash = 2166136261u };
    ck_assert_int_eq(mesh__http2_request(state.conn, &asked, exchange, &stream), MESH_OK);
    state.wanted++;
}

static void check(const struct exchange *exchange, int32_t status, const char *bytes, size_t size)
{
    ck_assert_msg(exchange->closed.status == MESH_OK, "%s", exchange->closed.reason);
    ck_assert_int_eq(exchange->status, status);
    ck_assert(exchange->ended);
    ck_assert_uint_eq(exchange->received, size);
    ck_assert_uint_eq(exchange->hash, hash_more(2166136261u, bytes, size));
}

/* A directory with "small" (5 bytes) and "large". */
static char directory[] = "/tmp/http2-test-XXXXXX";
static char *large;

static void write_file(const char *name, const char *bytes, size_t size)
{
    char path[64];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

static void remove_files(void)
{
    char path[64];
    (void)snprintf(path, sizeof path, "%s/small", directory);
    unlink(path);
    (void)snprintf(path, sizeof path, "%s/large", directory);
    unlink(path);
    rmdir(directory);
    free(large);
}

static void make_files(void)
{
    ck_assert_ptr_nonnull(mkdtemp(directory));
    large = malloc(LARGE);
    ck_assert_ptr_nonnull(large);
    for (size_t i = 0; i < LARGE; i++)
        large[i] = (char)(i * 31 >> 4);
    write_file("small", "hello", 5);
    write_file("large", large, LARGE);
}

START_TEST(client_against_nghttpd)
{
    static struct exchange many[100], one;
    make_files();
    uint16_t port = start_nghttpd(directory);
    struct sockaddr_in address = loopback(port);
    int descriptor = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(descriptor, (struct sockaddr *)&address, sizeof address), 0);
    open_conn(HTTP2_CLIENT);

    request("GET", "/small", mesh__view(NULL, 0), &one);
    ck_assert_int_eq(http2_pump(state.conn, descriptor, all_closed, NULL, NULL), PUMP_DONE);
    check(&one, 200, "hello", 5);
    ck_assert_uint_eq(state.max_streams, 100);

    request("GET", "/none", mesh__view(NULL, 0), &one);
    ck_assert_int_eq(http2_pump(state.conn, descriptor, all_closed, NULL, NULL), PUMP_DONE);
    ck_assert_int_eq(one.status, 404);

    request("POST", "/echo", mesh__view("a body", 6), &one);
    ck_assert_int_eq(http2_pump(state.conn, descriptor, all_closed, NULL, NULL), PUMP_DONE);
    check(&one, 200, "a body", 6);

    size_t sends = 0;
    for (int i = 0; i < 100; i++)
        request("GET", "/small", mesh__view(NULL, 0), &many[i]);
    ck_assert_uint_eq(mesh__http2_room(state.conn), 0);
    ck_assert_int_eq(http2_pump(state.conn, descriptor, all_closed, NULL, &sends), PUMP_DONE);
    for (int i = 0; i < 100; i++)
        check(&many[i], 200, "hello", 5);
    ck_assert_uint_le(sends, 10); /* not one for each request */

    request("GET", "/large", mesh__view(NULL, 0), &one);
    ck_assert_int_eq(http2_pump(state.conn, descriptor, all_closed, NULL, NULL), PUMP_DONE);
    check(&one, 200, large, LARGE);
    request("POST", "/echo", mesh__view(large, LARGE), &one);
    ck_assert_int_eq(http2_pump(state.conn, descriptor, all_closed, NULL, NULL), PUMP_DONE);
    check(&one, 200, large, LARGE);

    ck_assert(mesh__http2_ping(state.conn));
    request("HEAD", "/large", mesh__view(NULL, 0), &one);
    ck_assert_int_eq(http2_pump(state.conn, descriptor, all_closed, NULL, NULL), PUMP_DONE);
    check(&one, 200, "", 0);
    ck_assert(state.pong);
    close_conn(descriptor);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    remove_files();
}
END_TEST

/* Each command's requests to our server, which answers with 100 bytes; all of them are on one connection. */
static const struct command_row {
    const char *command;
    uint32_t requests;
} commands[] = {
    { "nghttp --no-verify-peer -y -n -s http://127.0.0.1:%u/a http://127.0.0.1:%u/b 2>&1 | grep -c ' 200 '", 2 },
    { "h2load -n 2000 -c 1 -m 100 http://127.0.0.1:%u/ 2>&1 | grep '2000 succeeded, 0 failed, 0 errored'", 2000 },
    { "h2load -n 100 -c 1 -m 10 -d README.md http://127.0.0.1:%u/ 2>&1 | grep '100 succeeded, 0 failed'", 100 },
    { "curl -s --http2-prior-knowledge --noproxy '*' -d hello http://127.0.0.1:%u/ | grep -q xxx", 1 },
};

static bool never(void *user)
{
    (void)user;
    return false;
}

START_TEST(server_against_clients)
{
    char body[100], command[512];
    uint16_t port;
    memset(body, 'x', sizeof body);
    int listener = bound_socket(&port, true);
    child = fork();
    if (child == 0) {
        /* One port number or two: what is too much is not looked at. */
        _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wformat-nonliteral\"");
        (void)snprintf(command, sizeof command, commands[_i].command, port, port);
        _Pragma("GCC diagnostic pop");
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    int descriptor = accept(listener, NULL, NULL);
    ck_assert_int_ge(descriptor, 0);
    open_conn(HTTP2_SERVER);
    state.body = body;
    state.body_size = sizeof body;
    ck_assert_int_eq(http2_pump(state.conn, descriptor, never, NULL, NULL), PUMP_CLOSED);
    ck_assert_uint_eq(state.closed, commands[_i].requests);
    close_conn(descriptor);
    close(listener);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s", commands[_i].command);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("http2_tools");
    TCase *tcase = tcase_create("tools");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, client_against_nghttpd);
    tcase_add_loop_test(tcase, server_against_clients, 0, (int)(sizeof commands / sizeof *commands));
    suite_add_tcase(s, tcase);
    return s;
}

int main(void)
{
    if (chdir(MESH_SOURCE_DIR) != 0)
        return 1;
    SRunner *runner = srunner_create(suite());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
