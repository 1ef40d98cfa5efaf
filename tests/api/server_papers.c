/* SPDX-License-Identifier: Apache-2.0 */
/* server_papers.c - files are written beside their place and renamed, as whoever rotates certificates does it. */
#include "api/server_papers.h"

#include "api/server_peer.h"

#include <check.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HOUR 3600

static void make_authority(struct issued *out)
{
    static const char *const id = "spiffe://shop";
    const char *problem;
    struct issue_request request = issue_authority("shop", HOUR);
    request.uris = &id;
    request.uri_count = 1;
    ck_assert_msg(issue_certificate(&request, NULL, out, &problem), "%s", problem);
}

void papers_make(struct papers *papers)
{
    (void)snprintf(papers->folder, sizeof(papers->folder), "/tmp/mesh-papers-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(papers->folder));
    make_authority(&papers->authority);
    make_authority(&papers->stranger);
    papers_put(papers, "shop.ca", papers->authority.certificate);
}

void papers_remove(struct papers *papers)
{
    char command[100];
    (void)snprintf(command, sizeof(command), "rm -rf %s", papers->folder);
    ck_assert_int_eq(system(command), 0);
    issued_free(&papers->authority);
    issued_free(&papers->stranger);
}

void papers_put(const struct papers *papers, const char *file, const char *text)
{
    char path[128], beside[140];
    (void)snprintf(path, sizeof(path), "%s/%s", papers->folder, file);
    (void)snprintf(beside, sizeof(beside), "%s.new", path);
    FILE *out = fopen(beside, "w");
    ck_assert_ptr_nonnull(out);
    ck_assert_int_ge(fputs(text, out), 0);
    ck_assert_int_eq(fclose(out), 0);
    ck_assert_int_eq(rename(beside, path), 0);
}

static void write_issued(const struct papers *papers, const char *name, const struct issued *issued)
{
    char file[80];
    (void)snprintf(file, sizeof(file), "%s.key", name);
    papers_put(papers, file, issued->key);
    (void)snprintf(file, sizeof(file), "%s.pem", name);
    papers_put(papers, file, issued->certificate);
}

void papers_write_between(const struct papers *papers, const char *name, const char *id, const struct issued *issuer,
                          int64_t from, int64_t to)
{
    const char *problem;
    struct issued issued;
    struct issue_request request = issue_svid(&id, HOUR);
    request.not_before = from;
    request.not_after = to;
    ck_assert_msg(issue_certificate(&request, issuer, &issued, &problem), "%s", problem);
    write_issued(papers, name, &issued);
    issued_free(&issued);
}

void papers_write(const struct papers *papers, const char *name, const char *id, const struct issued *issuer)
{
    int64_t now = (int64_t)time(NULL);
    papers_write_between(papers, name, id, issuer, now - HOUR, now + HOUR);
}

mesh_config *papers_config(const struct papers *papers, const char *name, const char *rest)
{
    char text[4000], own[400] = "";
    mesh_config *config;
    mesh_error *error = NULL;
    if (name != NULL)
        (void)snprintf(own, sizeof(own), "\"certificate\": \"%s/%s.pem\", \"key\": \"%s/%s.key\", ", papers->folder,
                       name, papers->folder, name);
    (void)snprintf(text, sizeof(text),
                   "{\"identity\": {%s\"expiry_warning\": \"1s\", \"trust\": {\"shop\": \"%s/shop.ca\"}}, %s}", own,
                   papers->folder, rest);
    if (name == NULL) /* it would have no effect */
        (void)snprintf(text, sizeof(text), "{\"identity\": {\"trust\": {\"shop\": \"%s/shop.ca\"}}, %s}",
                       papers->folder, rest);
    mesh_status status = mesh_config_parse(text, strlen(text), "test", &config, &error);
    ck_assert_msg(status == MESH_OK, "%s", mesh_error_text(error));
    return config;
}

mesh_server *papers_server(const struct papers *papers, const char *name, const char *settings, const char *more,
                           const mesh_options *options, mesh_handler handler, void *user)
{
    char rest[3000];
    mesh_error *error = NULL;
    mesh_server *server = NULL;
    (void)snprintf(rest, sizeof(rest), "\"servers\": {\"test\": {\"listen\": \"127.0.0.1:0\", %s}}%s", settings, more);
    mesh_config *config = papers_config(papers, name, rest);
    mesh_status status = mesh_server_open(config, "test", options, handler, user, &server, &error);
    ck_assert_msg(status == MESH_OK, "%s", mesh_error_text(error));
    mesh_config_free(config);
    return server;
}

mesh_client *papers_client(const struct papers *papers, const char *name, const char *address, const char *tls)
{
    char rest[1000];
    mesh_error *error = NULL;
    mesh_client *client = NULL;
    (void)snprintf(rest, sizeof(rest),
                   "\"services\": {\"test\": {\"endpoints\": [\"%s\"], \"timeout\": \"5s\", \"retry\": {\"attempts\": "
                   "1}, \"tls\": {%s}}}",
                   address, tls);
    mesh_config *config = papers_config(papers, name, rest);
    mesh_status status = mesh_client_open(config, NULL, &client, &error);
    ck_assert_msg(status == MESH_OK, "%s", mesh_error_text(error));
    mesh_config_free(config);
    return client;
}

mesh_status papers_call(mesh_client *client, const char *method, const char *path, char *text)
{
    mesh_request request = MESH_REQUEST_INIT;
    mesh_result *result = NULL;
    request.method = method;
    request.path = path;
    mesh_status status = mesh_call(client, "test", &request, &result);
    if (status == MESH_OK)
        (void)snprintf(text, 400, "%d %.*s", (int)mesh_result_status(result), (int)mesh_result_body_size(result),
                       (const char *)mesh_result_body(result));
    else
        (void)snprintf(text, 400, "%s", mesh_result_message(result));
    mesh_result_free(result);
    return status;
}

int papers_run(const struct papers *papers, char *out, size_t room, const char *format, ...)
{
    char command[2000];
    int size = snprintf(command, sizeof(command), "cd %s && exec </dev/null 2>&1; ", papers->folder);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(command + size, sizeof(command) - (size_t)size, format, arguments);
    va_end(arguments);
    FILE *pipe = popen(command, "r");
    ck_assert_ptr_nonnull(pipe);
    size_t got = fread(out, 1, room - 1, pipe);
    out[got] = '\0';
    int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void lines_init(struct lines *lines)
{
    *lines = (struct lines){ .text = calloc(1, 1) };
    ck_assert_ptr_nonnull(lines->text);
    pthread_mutex_init(&lines->lock, NULL);
    pthread_cond_init(&lines->came, NULL);
}

void lines_fini(struct lines *lines)
{
    pthread_cond_destroy(&lines->came);
    pthread_mutex_destroy(&lines->lock);
    free(lines->text);
}

void lines_log(int32_t level, const char *line, void *user)
{
    struct lines *lines = user;
    size_t size = strlen(line);
    (void)level;
    pthread_mutex_lock(&lines->lock);
    char *text = realloc(lines->text, lines->size + size + 2);
    if (text != NULL) {
        lines->text = text;
        memcpy(text + lines->size, line, size);
        memcpy(text + lines->size + size, "\n", 2);
        lines->size += size + 1;
    }
    pthread_cond_broadcast(&lines->came);
    pthread_mutex_unlock(&lines->lock);
}

void lines_await(struct lines *lines, const char *word)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 4 * PEER_PATIENCE_S;
    const char *found;
    int error = 0;
    pthread_mutex_lock(&lines->lock);
    while ((found = strstr(lines->text + lines->read, word)) == NULL && error == 0)
        error = pthread_cond_timedwait(&lines->came, &lines->lock, &until);
    if (found == NULL)
        ck_abort_msg("no line with \"%s\" in:\n%s", word, lines->text + lines->read);
    lines->read = (size_t)(found - lines->text) + strcspn(found, "\n");
    pthread_mutex_unlock(&lines->lock);
}

bool lines_have(struct lines *lines, const char *word)
{
    pthread_mutex_lock(&lines->lock);
    bool have = strstr(lines->text, word) != NULL;
    pthread_mutex_unlock(&lines->lock);
    return have;
}
