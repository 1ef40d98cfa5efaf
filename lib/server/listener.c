/* SPDX-License-Identifier: Apache-2.0 */
/* listener.c - the listening socket: it is watched only while another connection can be taken. */
#include "net/socket.h"
#include "server/connection.h"

#include <errno.h>
#include <unistd.h>

#define BACKLOG 1024
#define ACCEPTS_PER_TURN 64
#define STARVED_PAUSE (100 * NANOS_MS)

static void update(mesh_server *server)
{
    struct listener *listener = &server->own.listener;
    bool watched = !listener->full && !listener->starved;
    mesh__loop_rewatch(&server->own.loop, &listener->watch, watched ? LOOP_READ : 0);
}

static void on_retry(struct loop_timer *timer)
{
    mesh_server *server = CONTAINER_OF(timer, mesh_server, own.listener.retry);
    server->own.listener.starved = false;
    update(server);
}

/* mesh__listener_accept() updates what is watched. */
static void pause_for_resources(mesh_server *server, int error)
{
    struct listener *listener = &server->own.listener;
    SERVER_LOG(server, MESH_LOG_WARN, "server %s: accepting is paused for 100 ms: %s", server->settings->name,
               strerrordesc_np(error));
    /* Room for this timer is reserved when the listener opens. */
    listener->starved = mesh__loop_timer_set(&server->own.loop, &listener->retry, server->own.loop.now + STARVED_PAUSE);
}

static bool is_starved(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* False when there is nothing more to accept for now. */
static bool accept_one(mesh_server *server)
{
    struct sockaddr_storage peer;
    socklen_t size = sizeof(peer);
    memset(&peer, 0, sizeof(peer));
    int fd = accept4(server->own.listener.fd, (struct sockaddr *)&peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        int error = mesh__connection_open(server, fd, (const struct sockaddr *)&peer, size);
        if (error)
            pause_for_resources(server, -error);
        return error == 0;
    }
    int error = errno;
    if (is_starved(error))
        pause_for_resources(server, error);
    return error != EAGAIN && !is_starved(error); /* anything else was about the one connection only */
}

void mesh__listener_accept(mesh_server *server)
{
    struct listener *listener = &server->own.listener;
    for (int i = 0; i < ACCEPTS_PER_TURN && listener->fd >= 0; i++) {
        listener->full = server->own.connection_count >= server->settings->max_connections;
        if (listener->full || !accept_one(server))
            break;
    }
    update(server);
}

static void on_ready(struct watch *watch, uint32_t events)
{
    (void)events;
    mesh__listener_accept(CONTAINER_OF(watch, mesh_server, own.listener.watch));
}

int mesh__listener_open(mesh_server *server)
{
    struct listener *listener = &server->own.listener;
    struct address bound;
    if (!mesh__heap_reserve(&server->own.loop.timers, SERVER_TIMERS))
        return -ENOMEM;
    int fd = mesh__socket_listen(&server->settings->listen, BACKLOG, &bound);
    if (fd < 0)
        return fd;
    listener->watch.ready = on_ready;
    listener->retry.fire = on_retry;
    listener->fd = fd;
    memcpy(server->address, bound.text, sizeof(bound.text));
    server->port = mesh__address_port(&bound);
    int error = mesh__loop_watch(&server->own.loop, &listener->watch, fd, LOOP_READ);
    if (error)
        mesh__listener_close(server);
    return error;
}

void mesh__listener_resume(mesh_server *server)
{
    struct listener *listener = &server->own.listener;
    if (!listener->full || listener->fd < 0)
        return;
    listener->full = false;
    update(server);
}

void mesh__listener_close(mesh_server *server)
{
    struct listener *listener = &server->own.listener;
    if (listener->fd < 0)
        return;
    mesh__loop_timer_cancel(&server->own.loop, &listener->retry);
    mesh__loop_unwatch(&server->own.loop, &listener->watch);
    const struct address *address = &server->settings->listen;
    if (address->socket.any.sa_family == AF_UNIX)
        (void)unlink(address->socket.local.sun_path); /* gone already: as good */
    close(listener->fd);
    listener->fd = -1;
}
