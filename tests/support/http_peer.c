/* SPDX-License-Identifier: Apache-2.0 */
/* http_peer.c - a loop on a thread that accepts connections and answers. */
#include "support/http_peer.h"

#include "net/socket.h"
#include "net/thread.h"
#include "support/http_connection.h"
#include "support/http_layers.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct listening {
    struct watch watch;
    struct http_peer *peer;
    int endpoint;
    struct address address;
};

struct http_peer {
    struct http_script *script;
    struct http_layers layers;
    struct tls_desk desk; /* of its own loop */
    struct loop loop;
    pthread_t thread;
    atomic_bool stopping;
    struct listening listening[SCRIPT_ENDPOINTS];
    int count;
    struct list connections;
};

struct connection {
    struct list link;
    struct http_place place;
    struct http_connection *http;
    int fd;
};

static _Thread_local bool is_here;

bool http_peer_is_here(void)
{
    return is_here;
}

static void must(bool good, const char *what)
{
    http_connection_must(good, what);
}

/* Dissolving the association resets it at once, whatever is still said through the stream. */
static void on_cut(void *user)
{
    const struct connection *connection = user;
    struct sockaddr nowhere = { .sa_family = AF_UNSPEC };
    must(connect(connection->fd, &nowhere, sizeof(nowhere)) == 0, "reset");
}

static void on_gone(void *user)
{
    struct connection *connection = user;
    mesh__list_remove(&connection->link);
    free(connection);
}

static void accept_one(struct http_peer *peer, int endpoint, int fd)
{
    struct connection *connection = calloc(1, sizeof(*connection));
    struct stream *stream;
    must(connection != NULL, "memory is out");
    must(mesh__socket_adopt(&peer->loop, fd, &stream) == 0, "adopt");
    connection->fd = fd;
    connection->place = (struct http_place){ &peer->loop, peer->script, endpoint, on_cut, on_gone, connection };
    mesh__list_push(&peer->connections, &connection->link);
    stream = http_layers_over(&peer->layers, &peer->desk, stream);
    connection->http = http_connection_new(&connection->place, stream);
}

static void on_listening(struct watch *watch, uint32_t events)
{
    struct listening *listening = CONTAINER_OF(watch, struct listening, watch);
    (void)events;
    int fd;
    while ((fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
        accept_one(listening->peer, listening->endpoint, fd);
}

static void *run(void *argument)
{
    struct http_peer *peer = argument;
    is_here = true;
    while (!atomic_load(&peer->stopping))
        mesh__loop_turn(&peer->loop, NANOS_NEVER);
    return NULL;
}

static void listen_at(struct http_peer *peer, int endpoint)
{
    struct listening *listening = &peer->listening[endpoint];
    struct address address, bound;
    must(mesh__address_parse(mesh__view_of("127.0.0.1:0"), true, &address) == ADDRESS_OK, "address");
    int fd = mesh__socket_listen(&address, 1024, &bound);
    must(fd >= 0, "listen");
    listening->peer = peer;
    listening->endpoint = endpoint;
    listening->watch.ready = on_listening;
    listening->address = bound;
    must(mesh__loop_watch(&peer->loop, &listening->watch, fd, LOOP_READ) == 0, "watch");
}

struct http_peer *http_peer_start(struct http_script *script, const struct http_layers *layers, int count)
{
    struct http_peer *peer = calloc(1, sizeof(*peer));
    must(peer != NULL, "memory is out");
    peer->script = script;
    peer->layers = *layers;
    peer->count = count;
    mesh__list_init(&peer->connections);
    must(mesh__loop_init(&peer->loop, &mesh__mem_system, &mesh__world_real) == 0, "loop");
    mesh__tls_desk_init(&peer->desk, &peer->loop, NULL);
    for (int i = 0; i < count; i++)
        listen_at(peer, i);
    must(mesh__thread_start(&peer->thread, run, peer) == 0, "thread");
    return peer;
}

void http_peer_stop(struct http_peer *peer)
{
    atomic_store(&peer->stopping, true);
    mesh__loop_kick(&peer->loop);
    pthread_join(peer->thread, NULL);
    while (!mesh__list_empty(&peer->connections)) {
        struct connection *connection = CONTAINER_OF(peer->connections.next, struct connection, link);
        http_connection_free(connection->http);
        on_gone(connection);
    }
    for (int i = 0; i < peer->count; i++) {
        mesh__loop_unwatch(&peer->loop, &peer->listening[i].watch);
        close(peer->listening[i].watch.fd);
    }
    mesh__tls_desk_fini(&peer->desk);
    mesh__loop_fini(&peer->loop);
    free(peer);
}

const char *http_peer_address(const struct http_peer *peer, int endpoint)
{
    return peer->listening[endpoint].address.text;
}

int http_peer_refusing(char address[PEER_TEXT])
{
    struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof(here);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(fd >= 0 && bind(fd, (struct sockaddr *)&here, size) == 0 &&
             getsockname(fd, (struct sockaddr *)&here, &size) == 0,
         "bind");
    (void)snprintf(address, PEER_TEXT, "127.0.0.1:%u", ntohs(here.sin_port));
    return fd;
}
