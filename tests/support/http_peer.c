/* SPDX-License-Identifier: Apache-2.0 */
/* http_peer.c - a loop on a thread that accepts, reads and answers; and a peer for memory.h. */
#include "support/http_peer.h"

#include "base/buf.h"
#include "net/socket.h"
#include "net/thread.h"

#include <arpa/inet.h>
#include <errno.h>
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
    struct loop loop;
    pthread_t thread;
    atomic_bool stopping;
    int count;
    struct listening listening[SCRIPT_ENDPOINTS];
    struct list connections;
};

struct connection {
    struct list link;
    struct http_peer *peer;
    struct watch watch;
    struct loop_timer timer; /* of a delayed answer; requests come one at a time */
    struct script_reader *reader;
    struct buf out;
    enum script_end end;
    bool dead;
};

static void must(bool good, const char *what)
{
    if (good)
        return;
    perror(what);
    abort();
}

static void connection_close(struct connection *connection)
{
    mesh__loop_timer_cancel(&connection->peer->loop, &connection->timer);
    mesh__loop_unwatch(&connection->peer->loop, &connection->watch);
    if (connection->end == SCRIPT_RESET) {
        struct linger at_once = { 1, 0 };
        (void)setsockopt(connection->watch.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    }
    close(connection->watch.fd);
    mesh__list_remove(&connection->link);
    script_disconnect(connection->reader);
    mesh__buf_fini(&connection->out);
    free(connection);
}

/* Sends what there is; closes when that was all and the connection ends. False when it has gone. */
static bool flush(struct connection *connection)
{
    while (connection->out.size > 0) {
        ssize_t put = send(connection->watch.fd, connection->out.data, connection->out.size, MSG_NOSIGNAL);
        if (put < 0 && errno == EAGAIN)
            break;
        if (put < 0) {
            connection_close(connection);
            return false;
        }
        mesh__buf_consume(&connection->out, (size_t)put);
    }
    if (connection->out.size == 0 && connection->end != SCRIPT_KEEP) {
        connection_close(connection);
        return false;
    }
    mesh__loop_rewatch(&connection->peer->loop, &connection->watch,
                       connection->out.size > 0 ? LOOP_READ | LOOP_WRITE : LOOP_READ);
    return true;
}

static void on_delay(struct loop_timer *timer)
{
    (void)flush(CONTAINER_OF(timer, struct connection, timer));
}

static void on_answer(void *user, const struct script_answer *answer)
{
    struct connection *connection = user;
    struct loop *loop = &connection->peer->loop;
    if (!mesh__buf_append(&connection->out, answer->bytes, answer->size))
        abort();
    connection->end = answer->end;
    if (answer->delay > 0)
        must(mesh__loop_timer_set(loop, &connection->timer, loop->now + answer->delay), "timer");
}

static void on_connection(struct watch *watch, uint32_t events)
{
    struct connection *connection = CONTAINER_OF(watch, struct connection, watch);
    (void)events;
    char bytes[65536];
    ssize_t got = recv(watch->fd, bytes, sizeof(bytes), 0);
    if (got == 0 || (got < 0 && errno != EAGAIN)) {
        connection_close(connection);
        return;
    }
    if (got > 0)
        script_feed(connection->reader, bytes, (size_t)got);
    if (connection->timer.timer.place == 0)
        (void)flush(connection);
}

static void on_listening(struct watch *watch, uint32_t events)
{
    struct listening *listening = CONTAINER_OF(watch, struct listening, watch);
    struct http_peer *peer = listening->peer;
    (void)events;
    int fd;
    while ((fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct connection *connection = calloc(1, sizeof(*connection));
        must(connection != NULL, "calloc");
        connection->peer = peer;
        connection->watch.ready = on_connection;
        connection->timer.fire = on_delay;
        mesh__buf_init(&connection->out, &mesh__mem_system, (size_t)64 << 20);
        connection->reader = script_connect(peer->script, listening->endpoint, on_answer, connection);
        must(mesh__loop_watch(&peer->loop, &connection->watch, fd, LOOP_READ) == 0, "watch");
        mesh__list_push(&peer->connections, &connection->link);
    }
}

static void *run(void *argument)
{
    struct http_peer *peer = argument;
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

struct http_peer *http_peer_start(struct http_script *script, int count)
{
    struct http_peer *peer = calloc(1, sizeof(*peer));
    must(peer != NULL, "calloc");
    peer->script = script;
    peer->count = count;
    mesh__list_init(&peer->connections);
    must(mesh__loop_init(&peer->loop, &mesh__mem_system, &mesh__world_real) == 0, "loop");
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
    while (!mesh__list_empty(&peer->connections))
        connection_close(CONTAINER_OF(peer->connections.next, struct connection, link));
    for (int i = 0; i < peer->count; i++) {
        mesh__loop_unwatch(&peer->loop, &peer->listening[i].watch);
        close(peer->listening[i].watch.fd);
    }
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

/* ---- in memory ---- */

struct memory_endpoint {
    struct memory_peer peer;
    struct http_script *script;
    int endpoint;
};

static void on_memory_answer(void *user, const struct script_answer *answer)
{
    struct memory_connection *connection = user;
    if (answer->size > 0)
        mesh__memory_send(connection, answer->bytes, answer->size, answer->delay);
    if (answer->end == SCRIPT_FINISH)
        mesh__memory_finish(connection, answer->delay);
    else if (answer->end == SCRIPT_RESET)
        mesh__memory_reset(connection, answer->delay);
}

static void *on_memory_opened(void *user, struct memory_connection *connection)
{
    const struct memory_endpoint *endpoint = user;
    return script_connect(endpoint->script, endpoint->endpoint, on_memory_answer, connection);
}

static void on_memory_received(void *state, struct memory_connection *connection, const char *bytes, size_t size)
{
    (void)connection;
    script_feed(state, bytes, size);
}

static void on_memory_closed(void *state, struct memory_connection *connection)
{
    (void)connection;
    script_disconnect(state);
}

void http_peer_in_memory(struct memory_network *network, const char *address, struct http_script *script, int endpoint)
{
    /* One of each for as long as the process runs: a network has no function that gives them back. */
    static struct memory_endpoint endpoints[SCRIPT_ENDPOINTS];
    endpoints[endpoint] =
        (struct memory_endpoint){ { on_memory_opened, on_memory_received, on_memory_closed }, script, endpoint };
    must(mesh__memory_listen(network, address, &endpoints[endpoint].peer, &endpoints[endpoint]), "listen in memory");
}
