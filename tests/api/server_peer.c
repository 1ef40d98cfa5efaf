/* SPDX-License-Identifier: Apache-2.0 */
/* server_peer.c - plain sockets with SO_RCVTIMEO and SO_SNDTIMEO. */
#include "api/server_peer.h"

#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static void set_patience(int fd)
{
    struct timeval patience = { PEER_PATIENCE_S, 0 };
    int on = 1;
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)), 0);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* not on a Unix socket */
}

static int connect_local(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static int connect_inet(const char *text)
{
    const char *colon = strrchr(text, ':');
    ck_assert_ptr_nonnull(colon);
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(colon + 1)) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_msg(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0, "%s: %s", text, strerror(errno));
    return fd;
}

struct peer peer_connect(const char *address)
{
    bool local = strncmp(address, "unix:", 5) == 0;
    struct peer peer = { local ? connect_local(address + 5) : connect_inet(address), NULL, 0 };
    set_patience(peer.fd);
    return peer;
}

void peer_close(struct peer *peer)
{
    close(peer->fd);
    free(peer->in);
    *peer = (struct peer){ -1, NULL, 0 };
}

void peer_reset(struct peer *peer)
{
    struct linger at_once = { 1, 0 };
    ck_assert_int_eq(setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    peer_close(peer);
}

bool peer_send(struct peer *peer, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t put = send(peer->fd, bytes, size, MSG_NOSIGNAL);
        if (put < 0) {
            ck_assert_msg(errno != EAGAIN, "the server does not read");
            return false;
        }
        bytes += put;
        size -= (size_t)put;
    }
    return true;
}

bool peer_say(struct peer *peer, const char *text)
{
    return peer_send(peer, text, strlen(text));
}

/* Reads more; false at the end of the connection. */
static bool more(struct peer *peer)
{
    static const size_t step = 65536;
    peer->in = realloc(peer->in, peer->size + step + 1);
    ck_assert_ptr_nonnull(peer->in);
    ssize_t got = recv(peer->fd, peer->in + peer->size, step, 0);
    ck_assert_msg(got >= 0 || errno != EAGAIN, "nothing came for %d s", PEER_PATIENCE_S);
    if (got <= 0)
        return false;
    peer->size += (size_t)got;
    peer->in[peer->size] = '\0';
    return true;
}

static void take(struct peer *peer, size_t size)
{
    memmove(peer->in, peer->in + size, peer->size - size);
    peer->size -= size;
    peer->in[peer->size] = '\0';
}

static bool read_head(struct peer *peer, struct answer *out)
{
    const char *end;
    while (peer->size == 0 || (end = strstr(peer->in, "\r\n\r\n")) == NULL)
        if (!more(peer))
            return false;
    size_t size = (size_t)(end - peer->in) + 4;
    ck_assert_uint_lt(size, sizeof(out->head));
    memcpy(out->head, peer->in, size);
    out->head[size] = '\0';
    take(peer, size);
    ck_assert_msg(strncmp(out->head, "HTTP/1.1 ", 9) == 0, "no status line: %s", out->head);
    out->status = atoi(out->head + 9);
    return true;
}

bool answer_field(const struct answer *answer, const char *name, char *out, size_t room)
{
    size_t size = strlen(name);
    for (const char *line = strstr(answer->head, "\r\n") + 2; *line != '\r'; line = strstr(line, "\r\n") + 2) {
        if (strncasecmp(line, name, size) != 0 || line[size] != ':')
            continue;
        const char *value = line + size + 1;
        value += strspn(value, " ");
        (void)snprintf(out, room, "%.*s", (int)strcspn(value, "\r"), value);
        return true;
    }
    return false;
}

/* Moves the next bytes to the body. */
static bool read_part(struct peer *peer, size_t size, struct answer *out)
{
    while (peer->size < size)
        if (!more(peer))
            return false;
    out->body = realloc(out->body, out->size + size + 1);
    ck_assert_ptr_nonnull(out->body);
    memcpy(out->body + out->size, peer->in, size);
    out->size += size;
    out->body[out->size] = '\0';
    take(peer, size);
    return true;
}

/* Copies the next line, without its end. */
static bool read_line(struct peer *peer, char *out, size_t room)
{
    const char *end;
    while (peer->size == 0 || (end = strstr(peer->in, "\r\n")) == NULL)
        if (!more(peer))
            return false;
    (void)snprintf(out, room, "%.*s", (int)(end - peer->in), peer->in);
    take(peer, (size_t)(end - peer->in) + 2);
    return true;
}

static bool read_chunks(struct peer *peer, struct answer *out)
{
    char line[512];
    size_t size;
    do {
        if (!read_line(peer, line, sizeof(line)))
            return false;
        size = (size_t)strtoull(line, NULL, 16);
        if (size > 0 && !(read_part(peer, size, out) && read_line(peer, line, sizeof(line))))
            return false;
    } while (size > 0);
    while (read_line(peer, line, sizeof(line))) {
        if (line[0] == '\0')
            return true;
        size_t at = strlen(out->trailers);
        (void)snprintf(out->trailers + at, sizeof(out->trailers) - at, "%s\n", line);
    }
    return false;
}

bool peer_read(struct peer *peer, bool bodiless, struct answer *out)
{
    char length[32] = "0", coding[32] = "";
    *out = (struct answer){ 0 };
    if (!read_head(peer, out) || !read_part(peer, 0, out))
        return false;
    if (bodiless)
        return true;
    if (answer_field(out, "transfer-encoding", coding, sizeof(coding)))
        return read_chunks(peer, out);
    (void)answer_field(out, "content-length", length, sizeof(length));
    return read_part(peer, (size_t)strtoull(length, NULL, 10), out);
}

void answer_free(struct answer *answer)
{
    free(answer->body);
    answer->body = NULL;
}

bool peer_at_end(struct peer *peer)
{
    return peer->size == 0 && !more(peer);
}

int peer_ask(struct peer *peer, const char *request, char *body, size_t room)
{
    struct answer answer;
    ck_assert_msg(peer_say(peer, request), "the connection is broken");
    ck_assert_msg(peer_read(peer, strncmp(request, "HEAD ", 5) == 0, &answer), "no answer to: %s", request);
    if (body != NULL)
        (void)snprintf(body, room, "%s", answer.body);
    answer_free(&answer);
    return answer.status;
}

mesh_server *open_server(const char *settings, const mesh_options *options, mesh_handler handler, void *user)
{
    mesh_config *config;
    mesh_error *error = NULL;
    mesh_server *server = NULL;
    ck_assert_int_eq(mesh_config_new(&config), MESH_OK);
    ck_assert_int_eq(mesh_config_set_json(config, "/servers/test", settings), MESH_OK);
    if (strstr(settings, "\"listen\"") == NULL)
        ck_assert_int_eq(mesh_config_set_string(config, "/servers/test/listen", "127.0.0.1:0"), MESH_OK);
    mesh_status status = mesh_server_open(config, "test", options, handler, user, &server, &error);
    ck_assert_msg(status == MESH_OK, "%s", mesh_error_text(error));
    mesh_config_free(config);
    return server;
}

void await(sem_t *event)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PEER_PATIENCE_S;
    int error;
    do
        error = sem_timedwait(event, &until);
    while (error != 0 && errno == EINTR);
    ck_assert_msg(error == 0, "the event did not come in %d s", PEER_PATIENCE_S);
}
