/* SPDX-License-Identifier: Apache-2.0 */
/* service.c - the life of a service's process: open, serve until told to stop, let what is under way end. */
#include "service.h"
#include "spans.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { SECOND = 1000000000 };

const char *service_order_id(const mesh_exchange *exchange)
{
    const char *slash = strrchr(mesh_exchange_path(exchange), '/');
    size_t size = slash ? strlen(slash + 1) : 0;
    if (size == 0 || size >= SHOP_ID || strspn(slash + 1, "abcdefghijklmnopqrstuvwxyz0123456789-") != size)
        return NULL;
    return slash + 1;
}

void service_reply(mesh_exchange *exchange, int32_t status, const char *text)
{
    mesh_reply reply = MESH_REPLY_INIT;
    reply.status = status;
    reply.body = text;
    reply.body_size = strlen(text);
    mesh_exchange_reply(exchange, &reply); /* a caller that has gone meanwhile is no concern of ours */
}

FILE *service_open_log(const char *folder, const char *name)
{
    char path[SHOP_PATH];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "ae");
    if (file)
        (void)setvbuf(file, NULL, _IOLBF, 4096); /* each line is one write */
    else
        perror(path);
    return file;
}

/* Waits for SIGTERM, SIGINT or the end of standard input, which is a pipe that ends with the driver. */
static void wait_for_the_end(const sigset_t *signals)
{
    struct pollfd ends[] = { { .fd = signalfd(-1, signals, SFD_CLOEXEC), .events = POLLIN },
                             { .fd = STDIN_FILENO, .events = POLLIN } };
    char byte;
    for (;;) {
        if (poll(ends, 2, -1) < 0)
            continue;
        if (ends[0].revents != 0)
            return;
        if (ends[1].revents != 0 && read(STDIN_FILENO, &byte, 1) <= 0)
            return;
    }
}

static int refused(mesh_error *error)
{
    (void)fprintf(stderr, "%s\n", mesh_error_text(error));
    mesh_error_free(error);
    return 1;
}

static int serve(struct service *service, mesh_handler handler, int calls, const mesh_config *config,
                 const mesh_options *options, const sigset_t *signals)
{
    mesh_server *server;
    mesh_error *error;
    if (calls) {
        if (mesh_client_open(config, options, &service->client, &error) != MESH_OK)
            return refused(error);
        if (mesh_client_ready(service->client, NULL, 5LL * SECOND) != MESH_OK)
            (void)fprintf(stderr, "%s: some endpoints are not known yet\n", service->name);
    }
    if (mesh_server_open(config, service->name, options, handler, service, &server, &error) != MESH_OK)
        return refused(error);
    (void)printf("%s listens at %s\n", service->name, mesh_server_address(server));
    (void)fflush(stdout);

    wait_for_the_end(signals);
    mesh_server_close(server, 2LL * SECOND);
    mesh_server_free(server);
    if (service->client)
        mesh_client_close(service->client, SECOND);
    mesh_client_free(service->client);
    return 0;
}

/* Whom the server refused and why, and which identity is in force. */
static void write_log(int32_t level, const char *line, void *user)
{
    (void)user;
    (void)fprintf(stderr, "%s%s\n", level <= MESH_LOG_WARN ? "! " : "", line);
}

int service_run(struct service *service, mesh_handler handler, int calls)
{
    char path[SHOP_PATH];
    mesh_config *config;
    mesh_error *error;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL); /* before there are threads, so that they block them too */

    struct span_file *spans = spans_open(service->folder, service->name);
    (void)snprintf(path, sizeof(path), "%s/%s.json", service->folder, service->program);
    if (!spans)
        return 1;
    if (mesh_config_load(path, &config, &error) != MESH_OK)
        return refused(error);
    mesh_options options = MESH_OPTIONS_INIT;
    options.log_level = MESH_LOG_INFO;
    options.on_log = write_log;
    options.on_span = spans_write;
    options.user = spans;
    int code = serve(service, handler, calls, config, &options, &signals);
    mesh_config_free(config);
    spans_close(spans);
    return code;
}
