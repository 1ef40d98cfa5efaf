/* SPDX-License-Identifier: Apache-2.0 */
/* input.c - reads files whole, loads configurations, opens the client. */
#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_ROOM 65536

static bool taken;

bool input_was_taken(void)
{
    return taken;
}

/* Reads to the end; 0 or an errno. */
static int read_to_end(int fd, char **out, size_t *size)
{
    size_t room = 0;
    for (;;) {
        if (*size == room) {
            room = room ? room * 2 : FIRST_ROOM;
            char *larger = realloc(*out, room);
            if (larger == NULL)
                return ENOMEM;
            *out = larger;
        }
        ssize_t got = read(fd, *out + *size, room - *size);
        if (got == 0)
            return 0;
        if (got > 0)
            *size += (size_t)got;
        else if (errno != EINTR)
            return errno;
    }
}

/* 0 or an errno. */
static int read_path(const char *path, char **out, size_t *size)
{
    bool standard = strcmp(path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    *out = NULL;
    *size = 0;
    if (fd < 0)
        return errno;
    int failed = read_to_end(fd, out, size);
    if (standard)
        taken = true;
    else
        (void)close(fd);
    if (failed != 0) {
        free(*out);
        *out = NULL;
    }
    return failed;
}

int input_read(const char *verb, const char *path, char **out, size_t *size)
{
    int failed = read_path(path, out, size);
    if (failed == 0)
        return EXIT_GO_ON;
    complain(verb, "%s cannot be read (%s); name a file that can", path[0] ? path : "the file \"\"", strerror(failed));
    return failed == ENOMEM ? EXIT_LOCAL : EXIT_USAGE;
}

mesh_status input_config(const char *verb, const char *path, mesh_config **out, mesh_error **error)
{
    if (strcmp(path, "-") != 0)
        return mesh_config_load(path, out, error);
    char *text;
    size_t size;
    *error = NULL;
    int failed = read_path(path, &text, &size);
    if (failed != 0) {
        complain(verb, "standard input cannot be read (%s); name a file that can", strerror(failed));
        return MESH_ECONFIG;
    }
    mesh_status status = mesh_config_parse(text, size, "<stdin>", out, error);
    free(text);
    return status;
}

int input_client(const char *verb, const struct options *options, mesh_client **out)
{
    mesh_config *config = NULL;
    mesh_error *error = NULL;
    mesh_options open = MESH_OPTIONS_INIT;
    open.shards = 1;
    mesh_status status = input_config(verb, options->config, &config, &error);
    if (status == MESH_OK)
        status = mesh_client_open(config, &open, out, &error);
    if (status != MESH_OK && error)
        fprintf(stderr, "%s\n", mesh_error_text(error));
    if (status == MESH_ECONFIG)
        complain(verb, "the configuration was refused; correct the lines above");
    else if (status != MESH_OK)
        complain(verb, "the client cannot be opened: %s; %s", mesh_status_text(status), remedy_for(status));
    mesh_error_free(error);
    mesh_config_free(config);
    return status == MESH_OK ? EXIT_GO_ON : exit_code_of(status);
}

void input_request(const struct options *options, mesh_request *out)
{
    mesh_request_init(out);
    out->method = options->method;
    out->path = options->path;
    out->authority = options->authority;
    out->headers = options->headers;
    out->header_count = options->header_count;
    out->body = options->body;
    out->body_size = options->body_size;
    out->timeout_ns = options->timeout_ns;
    out->idempotent = options->idempotent ? MESH_YES : MESH_UNSET;
    out->flags = (options->no_retry ? MESH_NO_RETRY : 0u) | (options->grpc ? MESH_GRPC : 0u);
    out->endpoint = options->endpoint;
}
