/* SPDX-License-Identifier: Apache-2.0 */
/* server_tools_test.c - the server against clients that others wrote: curl for each feature, wrk for many at once. */
#include "api/server_peer.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void echo(mesh_exchange *exchange, void *user)
{
    (void)user;
    const mesh_header header = { "x-method", 8, mesh_exchange_method(exchange),
                                 strlen(mesh_exchange_method(exchange)) };
    mesh_reply reply = MESH_REPLY_INIT;
    reply.headers = &header;
    reply.header_count = 1;
    reply.body = mesh_exchange_body(exchange);
    reply.body_size = mesh_exchange_body_size(exchange);
    (void)mesh_exchange_reply(exchange, &reply);
}

/* The same in pieces. */
static void echo_in_pieces(mesh_exchange *exchange, void *user)
{
    (void)user;
    char bytes[5000];
    size_t got = 1;
    const mesh_header header = { "x-method", 8, mesh_exchange_method(exchange),
                                 strlen(mesh_exchange_method(exchange)) };
    mesh_reply reply = MESH_REPLY_INIT;
    reply.headers = &header;
    reply.header_count = 1;
    mesh_status status = mesh_exchange_read(exchange, bytes, sizeof(bytes), -1, &got);
    reply.body = bytes;
    reply.body_size = got;
    if (status == MESH_OK)
        status = mesh_exchange_respond(exchange, &reply);
    while (status == MESH_OK && got > 0) {
        status = mesh_exchange_read(exchange, bytes, sizeof(bytes), -1, &got);
        if (status == MESH_OK)
            status = mesh_exchange_write(exchange, bytes, got, -1, NULL);
    }
    if (status == MESH_OK)
        (void)mesh_exchange_end(exchange, NULL, 0);
    else
        mesh_exchange_drop(exchange);
}

/* What the command prints, cut to the room; its exit status must be 0. */
static void run(const char *command, char *out, size_t room)
{
    FILE *pipe = popen(command, "r");
    ck_assert_ptr_nonnull(pipe);
    size_t size = fread(out, 1, room - 1, pipe);
    out[size] = '\0';
    int status = pclose(pipe);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s: %d: %s", command, status, out);
}

struct row {
    const char *arguments; /* before the URL */
    const char *printed;
};

#define CURL "curl --silent --show-error --max-time 20 --noproxy '*' "

/* %{num_connects} of the last transfer is 0 when its connection was reused. */
static const struct row rows[] = {
    { "--write-out '%{http_code} %{num_connects}'", "200 1" },
    { "--output /dev/null --write-out '%{http_code} %{num_connects}\\n' URL", "200 1\n200 0\n" },
    { "--data hello", "hello" },
    { "--data hello --header 'Transfer-Encoding: chunked'", "hello" },
    { "--data hello --header 'Expect: 100-continue' --expect100-timeout 19", "hello" },
    { "--http1.0 --data hello", "hello" },
    { "--http1.0 --header 'Connection: keep-alive' --data hello", "hello" },
    { "--head --write-out '%{http_code} %header{x-method}' --output /dev/null", "200 HEAD" },
    { "--request DELETE --write-out '%header{x-method}'", "DELETE" },
    { "--http2 --data hello", "hello" }, /* an upgrade that is not taken */
    { "--data-binary @FILE --output FILE.back --write-out '%{http_code} %{size_download}'", "200 3000000" },
    { "--data-binary @FILE --header 'Expect: 100-continue' --output FILE.back --write-out '%{size_download}'",
      "3000000" },
    { "--http2-prior-knowledge --data-binary @FILE --output FILE.back --write-out '%{size_download}'", "3000000" },
    { "--http2-prior-knowledge --data hello --header 'Expect: 100-continue' --expect100-timeout 19", "hello" },
    { "--header 'X-Long: LONG' --output /dev/null --write-out '%{http_code}'", "431" },
};

/* Puts `value` in place of each `word`. */
static void fill(char *text, size_t room, const char *word, const char *value)
{
    char *at;
    while ((at = strstr(text, word)) != NULL) {
        char rest[20000];
        (void)snprintf(rest, sizeof(rest), "%s", at + strlen(word));
        (void)snprintf(at, room - (size_t)(at - text), "%s%s", value, rest);
    }
}

static void make_file(const char *path)
{
    enum { SIZE = 3000000 };
    char *bytes = malloc(SIZE);
    FILE *file = fopen(path, "w");
    ck_assert(bytes != NULL && file != NULL);
    for (int i = 0; i < SIZE; i++)
        bytes[i] = (char)(i % 251);
    ck_assert_uint_eq(fwrite(bytes, 1, SIZE, file), SIZE);
    ck_assert_int_eq(fclose(file), 0);
    free(bytes);
}

START_TEST(test_curl)
{
    char command[24000], out[4096], url[160], path[64], back[80], large[9000];
    const struct row *row = &rows[_i / 2];
    mesh_options options = MESH_OPTIONS_INIT;
    options.flags = _i & 1 ? MESH_STREAM_REQUESTS : 0;
    mesh_server *server = open_server("{\"max_header\": \"8KiB\"}", &options, _i & 1 ? echo_in_pieces : echo, NULL);
    (void)snprintf(url, sizeof(url), "http://%s/path", mesh_server_address(server));
    (void)snprintf(path, sizeof(path), "/tmp/mesh-server-tools-%d", (int)getpid());
    (void)snprintf(back, sizeof(back), "%s.back", path);
    memset(large, 'a', sizeof(large));
    large[sizeof(large) - 1] = '\0';
    make_file(path);
    (void)snprintf(command, sizeof(command), CURL "%s URL", row->arguments);
    fill(command, sizeof(command), "URL", url);
    fill(command, sizeof(command), "FILE", path);
    fill(command, sizeof(command), "LONG", large);
    run(command, out, sizeof(out));
    ck_assert_msg(strcmp(out, row->printed) == 0, "%s: %s", row->arguments, out);
    if (access(back, F_OK) == 0) {
        (void)snprintf(command, sizeof(command), "cmp %s %s", path, back);
        run(command, out, sizeof(out));
        unlink(back);
    }
    unlink(path);
    mesh_server_free(server);
}
END_TEST

START_TEST(test_curl_over_a_unix_socket)
{
    char command[400], out[64], settings[160];
    (void)snprintf(settings, sizeof(settings), "{\"listen\": \"unix:/tmp/mesh-server-tools-%d\"}", (int)getpid());
    mesh_server *server = open_server(settings, NULL, echo, NULL);
    (void)snprintf(command, sizeof(command), CURL "--unix-socket %s --data hello http://localhost/",
                   mesh_server_address(server) + strlen("unix:"));
    run(command, out, sizeof(out));
    ck_assert_str_eq(out, "hello");
    mesh_server_free(server);
}
END_TEST

START_TEST(test_wrk)
{
    static const char *const settings[] = { "{\"workers\": 0}", "{\"workers\": 4}" };
    char command[200], out[4096];
    mesh_server *server = open_server(settings[_i], NULL, echo, NULL);
    (void)snprintf(command, sizeof(command), "wrk -t 2 -c 32 -d 1s http://%s/", mesh_server_address(server));
    run(command, out, sizeof(out));
    const char *rate = strstr(out, "Requests/sec:");
    ck_assert_ptr_nonnull(rate);
    ck_assert_msg(strtod(rate + strlen("Requests/sec:"), NULL) > 100, "%s", out);
    ck_assert_msg(strstr(out, "Non-2xx") == NULL && strstr(out, "Socket errors") == NULL, "%s", out);
    (void)printf("workers %d: %.*s\n", _i * 4, (int)strcspn(rate, "\n"), rate);
    mesh_server_free(server);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server: other people's clients");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    tcase_add_loop_test(tcase, test_curl, 0, 2 * sizeof(rows) / sizeof(rows[0]));
    tcase_add_test(tcase, test_curl_over_a_unix_socket);
    tcase_add_loop_test(tcase, test_wrk, 0, 2);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
