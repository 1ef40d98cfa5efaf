/* SPDX-License-Identifier: Apache-2.0 */
/* socket.c - non-blocking sockets; every write says MSG_NOSIGNAL. */
#include "net/socket.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <unistd.h>

struct socket_stream {
    struct stream stream;
    struct loop *loop;
    struct watch watch;
    bool connecting;
};

static struct socket_stream *self_of(const struct stream *stream)
{
    return CONTAINER_OF(stream, struct socket_stream, stream);
}

static ssize_t socket_read(struct stream *stream, void *bytes, size_t size)
{
    ssize_t got;
    do
        got = recv(self_of(stream)->watch.fd, bytes, size, 0);
    while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

static ssize_t socket_write(struct stream *stream, const struct iovec *vector, int count)
{
    int fd = self_of(stream)->watch.fd;
    struct msghdr message = { .msg_iov = (struct iovec *)vector, .msg_iovlen = (size_t)count };
    ssize_t put;
    do /* one piece is sent the shorter way: the kernel need not copy a message and its vector in */
        put = count == 1 ? send(fd, vector->iov_base, vector->iov_len, MSG_NOSIGNAL)
                         : sendmsg(fd, &message, MSG_NOSIGNAL);
    while (put < 0 && errno == EINTR);
    return put < 0 ? -errno : put;
}

static bool is_connected_to_itself(int fd)
{
    struct sockaddr_storage here, there;
    memset(&here, 0, sizeof(here));
    memset(&there, 0, sizeof(there));
    socklen_t here_size = sizeof(here), there_size = sizeof(there);
    if (getsockname(fd, (struct sockaddr *)&here, &here_size) != 0 || here.ss_family == AF_UNIX ||
        getpeername(fd, (struct sockaddr *)&there, &there_size) != 0)
        return false;
    return here_size == there_size && memcmp(&here, &there, here_size) == 0;
}

static int socket_connected(struct stream *stream)
{
    struct socket_stream *self = self_of(stream);
    if (!self->connecting)
        return 0;
    int error = 0;
    socklen_t size = sizeof(error);
    if (getsockopt(self->watch.fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        return -errno;
    if (error != 0)
        return -error;
    struct sockaddr_storage peer;
    size = sizeof(peer);
    if (getpeername(self->watch.fd, (struct sockaddr *)&peer, &size) != 0)
        return errno == ENOTCONN ? -EINPROGRESS : -errno;
    if (is_connected_to_itself(self->watch.fd))
        return -ECONNREFUSED;
    self->connecting = false;
    return 0;
}

static uint32_t socket_wants(const struct stream *stream, uint32_t interest)
{
    (void)stream;
    return interest;
}

static void socket_arm(struct stream *stream, uint32_t events)
{
    struct socket_stream *self = self_of(stream);
    mesh__loop_rewatch(self->loop, &self->watch, events);
}

static bool socket_has_buffered_input(const struct stream *stream)
{
    (void)stream;
    return false;
}

/* A look costs 0.2 us more than an empty system call. No other look is both as sure and cheaper: poll() costs the same,
 * and epoll_wait() answers for all of the set, so that it says nothing while any other connection is ready. */
static bool socket_is_quiet(struct stream *stream)
{
    char byte;
    ssize_t got = recv(self_of(stream)->watch.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got < 0 && (errno == EAGAIN || errno == EINTR);
}

static int socket_finish(struct stream *stream)
{
    return shutdown(self_of(stream)->watch.fd, SHUT_WR) == 0 ? 0 : -errno;
}

static void socket_close(struct stream *stream)
{
    struct socket_stream *self = self_of(stream);
    mesh__loop_unwatch(self->loop, &self->watch);
    close(self->watch.fd);
    mesh__mem_free(self->loop->mem, self);
}

static const struct stream_ops socket_ops = {
    .read = socket_read,
    .write = socket_write,
    .connected = socket_connected,
    .wants = socket_wants,
    .arm = socket_arm,
    .has_buffered_input = socket_has_buffered_input,
    .is_quiet = socket_is_quiet,
    .finish = socket_finish,
    .close = socket_close,
};

static void socket_ready(struct watch *watch, uint32_t events)
{
    struct socket_stream *self = CONTAINER_OF(watch, struct socket_stream, watch);
    self->stream.ready(self->stream.user, events);
}

static int adopt(struct loop *loop, int fd, bool connecting, struct stream **out)
{
    struct socket_stream *self = mesh__zalloc(loop->mem, sizeof(*self));
    if (self == NULL) {
        close(fd);
        return -ENOMEM;
    }
    self->stream.ops = &socket_ops;
    self->loop = loop;
    self->watch.ready = socket_ready;
    self->connecting = connecting;
    int error = mesh__loop_watch(loop, &self->watch, fd, connecting ? LOOP_WRITE : LOOP_READ);
    if (error) {
        close(fd);
        mesh__mem_free(loop->mem, self);
        return error;
    }
    *out = &self->stream;
    return 0;
}

static void send_at_once(int fd, int family)
{
    int on = 1;
    if (family != AF_UNIX)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* slower without, still right */
}

int mesh__socket_adopt(struct loop *loop, int fd, struct stream **out)
{
    struct sockaddr_storage local;
    socklen_t size = sizeof(local);
    if (getsockname(fd, (struct sockaddr *)&local, &size) == 0)
        send_at_once(fd, local.ss_family);
    return adopt(loop, fd, false, out);
}

int mesh__socket_connect(struct loop *loop, const struct address *address, struct stream **out)
{
    int family = address->socket.any.sa_family;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    send_at_once(fd, family);
    int error;
    do
        error = connect(fd, &address->socket.any, address->socket_size) == 0 ? 0 : errno;
    while (error == EINTR);
    /* A Unix socket whose backlog is full answers EAGAIN: nothing is under way then. */
    if (error != 0 && error != EINPROGRESS && error != EALREADY) {
        close(fd);
        return error == EAGAIN ? -ECONNREFUSED : -error;
    }
    return adopt(loop, fd, true, out);
}

/* A socket in the file system that refuses: whoever listened there has gone. Files of other kinds refuse, too. */
static bool is_abandoned(const struct address *address)
{
    struct stat about;
    if (lstat(address->socket.local.sun_path, &about) != 0 || !S_ISSOCK(about.st_mode))
        return false;
    /* Non-blocking: connecting waits while a live listener's backlog is full. */
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool refused = connect(fd, &address->socket.any, address->socket_size) != 0 && errno == ECONNREFUSED;
    close(fd);
    return refused;
}

int mesh__socket_listen(const struct address *address, int backlog, struct address *bound)
{
    int family = address->socket.any.sa_family;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)); /* bind() says if it mattered */
    int error = bind(fd, &address->socket.any, address->socket_size) != 0 ? errno : 0;
    if (error == EADDRINUSE && family == AF_UNIX && is_abandoned(address)) {
        (void)unlink(address->socket.local.sun_path);
        error = bind(fd, &address->socket.any, address->socket_size) != 0 ? errno : 0;
    }
    struct sockaddr_storage local;
    socklen_t size = sizeof(local);
    if (!error && (listen(fd, backlog) != 0 || getsockname(fd, (struct sockaddr *)&local, &size) != 0))
        error = errno;
    if (error) {
        close(fd);
        return -error;
    }
    mesh__address_from_socket((struct sockaddr *)&local, size, bound);
    return fd;
}
