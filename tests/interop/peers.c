/* SPDX-License-Identifier: Apache-2.0 */
/* peers.c - each server with its words in a file of the folder. What a test that failed leaves behind ends with its
 * process group. */
#include "interop/peers.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

void peers_make(struct papers *papers)
{
    static char large[PEER_LARGE + 1];
    papers_make(papers);
    papers_write(papers, "payment", "spiffe://shop/payment", &papers->authority);
    papers_write(papers, "order", "spiffe://shop/order", &papers->authority);
    memset(large, 'x', PEER_LARGE);
    papers_put(papers, "large", large);
    papers_put(papers, "small", PEER_SMALL);
}

static struct sockaddr_in loopback(unsigned port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static unsigned free_port(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof(address);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    close(fd);
    return ntohs(address.sin_port);
}

static void await_server(const struct peer_server *server, const char *name)
{
    for (int i = 0; i < 4000; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_in address = loopback(server->port);
        int error = connect(fd, (struct sockaddr *)&address, sizeof(address));
        close(fd);
        if (error == 0)
            return;
        ck_assert_msg(waitpid(server->pid, NULL, WNOHANG) == 0, "%s did not start", name);
        usleep(5000); /* there is nothing to wait for but the port itself */
    }
    ck_abort_msg("%s did not listen", name);
}

static void start(struct peer_server *server, const struct papers *papers, const char *const *arguments)
{
    char log[100];
    (void)snprintf(log, sizeof(log), "%s-%u.log", arguments[0], server->port);
    server->pid = fork();
    ck_assert_int_ge(server->pid, 0);
    if (server->pid == 0) {
        if (chdir(papers->folder) != 0 || freopen(log, "w", stdout) == NULL || dup2(fileno(stdout), STDERR_FILENO) < 0)
            _exit(126);
        execvp(arguments[0], (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
    await_server(server, arguments[0]);
}

void peers_kill(struct peer_server *server)
{
    if (server->pid <= 0)
        return;
    kill(server->pid, SIGTERM); /* masters take their workers along */
    (void)waitpid(server->pid, NULL, 0);
    server->pid = 0;
}

void peers_nghttpd(struct peer_server *server, const struct papers *papers, bool tls)
{
    char port[16];
    server->port = free_port();
    (void)snprintf(port, sizeof(port), "%u", server->port);
    const char *secure[] = { "nghttpd", "-n1", "-d.", port, "payment.key", "payment.pem", NULL };
    const char *plain[] = { "nghttpd", "-n1", "-d.", "--no-tls", port, NULL };
    start(server, papers, tls ? secure : plain);
}

/* Puts the text into a file of the server's; its path. */
static const char *put(const struct papers *papers, const struct peer_server *server, const char *text)
{
    static char path[200];
    char name[32];
    (void)snprintf(name, sizeof(name), "%u.conf", server->port);
    papers_put(papers, name, text);
    (void)snprintf(path, sizeof(path), "%s/%s", papers->folder, name);
    return path;
}

void peers_nginx(struct peer_server *server, const struct papers *papers, const char *listens)
{
    char text[1400];
    server->port = free_port();
    (void)snprintf(text, sizeof(text),
                   "daemon off; worker_processes 1; pid nginx-%u.pid; error_log stderr;\n%s"
                   "events { worker_connections 256; }\n"
                   "http { access_log off; client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f;\n"
                   "uwsgi_temp_path u; scgi_temp_path s; server {\n"
                   "listen 127.0.0.1:%u %s; root %s; ssl_certificate payment.pem; ssl_certificate_key payment.key;\n"
                   "location /small { return 200 \"" PEER_SMALL "\"; } } }\n",
                   server->port, getuid() == 0 ? "user root;\n" : "", server->port, listens, papers->folder);
    const char *arguments[] = { "nginx", "-e", "stderr", "-p", papers->folder, "-c", put(papers, server, text), NULL };
    start(server, papers, arguments);
}

void peers_haproxy(struct peer_server *server, const struct papers *papers, const char *listens,
                   const struct peer_server *behind)
{
    char text[1400], both[16];
    server->port = free_port();
    (void)snprintf(text, sizeof(text),
                   "global\n  hard-stop-after 20s\n"
                   "defaults\n  mode http\n  timeout connect 20s\n  timeout client 20s\n  timeout server 20s\n"
                   "frontend front\n  bind 127.0.0.1:%u %s\n"
                   "  http-request return status 200 content-type text/plain string \"" PEER_SMALL
                   "\" if { path /small }\n  default_backend back\n"
                   "backend back\n  server nghttpd 127.0.0.1:%u proto h2\n",
                   server->port, listens, behind->port);
    /* It has a key beside its certificate in one file. */
    ck_assert_int_eq(papers_run(papers, both, sizeof(both), "cat payment.pem payment.key > both.pem"), 0);
    const char *arguments[] = { "haproxy", "-W", "-f", put(papers, server, text), NULL };
    start(server, papers, arguments);
}

mesh_client *peers_client(const struct papers *papers, const struct peer_server *servers, size_t count,
                          const mesh_allocator *allocator, const char *members)
{
    char text[1000];
    mesh_client *client;
    mesh_error *error;
    mesh_options options = MESH_OPTIONS_INIT;
    options.shards = 1;
    options.allocator = allocator;
    int size = snprintf(text, sizeof(text), "\"services\": {\"s\": {\"timeout\": \"20s\", \"endpoints\": [");
    for (size_t i = 0; i < count; i++)
        size += snprintf(text + size, sizeof(text) - (size_t)size, "%s\"127.0.0.1:%u\"", i > 0 ? ", " : "",
                         servers[i].port);
    (void)snprintf(text + size, sizeof(text) - (size_t)size, "]%s}}", members);
    mesh_config *config = papers_config(papers, "order", text);
    ck_assert_msg(mesh_client_open(config, &options, &client, &error) == MESH_OK, "%s", mesh_error_text(error));
    mesh_config_free(config);
    return client;
}

mesh_request peers_request(const char *method, const char *path)
{
    mesh_request request = MESH_REQUEST_INIT;
    request.method = method;
    request.path = path;
    return request;
}

size_t peers_call(mesh_client *client, const mesh_request *request, int32_t version)
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

void peers_while(mesh_client *client, const char *path, uint32_t in_flight, bool (*going)(uint64_t started, void *user),
                 void *user)
{
    mesh_request request = peers_request("GET", path);
    uint64_t started = 0, done = 0;
    do {
        for (; started - done < in_flight && going(started, user); started++)
            ck_assert_int_eq(mesh_call_start(client, "s", &request, NULL, NULL), MESH_OK);
        if (started == done)
            return;
        mesh_completion completions[16];
        uint32_t count = 0;
        for (size_t i = 0; i < 16; i++)
            completions[i].size = sizeof(completions[i]);
        ck_assert_int_eq(mesh_client_next(client, completions, 16, PAPERS_SECOND * 30, &count), MESH_OK);
        for (uint32_t i = 0; i < count; i++) {
            ck_assert_msg(completions[i].status == MESH_OK, "%s", mesh_result_message(completions[i].result));
            ck_assert_int_eq(mesh_result_status(completions[i].result), 200);
            mesh_result_free(completions[i].result);
        }
        done += count;
    } while (true);
}

static bool is_below(uint64_t started, void *all)
{
    return started < *(uint32_t *)all;
}

void peers_many(mesh_client *client, const char *path, uint32_t in_flight, uint32_t all)
{
    peers_while(client, path, in_flight, is_below, &all);
}

mesh_counters peers_counters(mesh_client *client)
{
    mesh_counters counters = MESH_COUNTERS_INIT;
    ck_assert_int_eq(mesh_client_counters(client, "s", NULL, &counters), MESH_OK);
    return counters;
}
