/* SPDX-License-Identifier: Apache-2.0 */
/* http_memory_peer.c - endpoints on the loops of their clients: where a loop first leads to one, it gets a desk. */
#include "support/http_connection.h"
#include "support/http_layers.h"
#include "support/memory_end.h"

#include <pthread.h>
#include <stdlib.h>

#define LOOPS_MAX 64

struct endpoint {
    struct memory_peer functions;
    struct http_memory_peer *peer;
    int number;
};

struct http_memory_peer {
    struct memory_network *network;
    struct http_script *script;
    struct http_layers layers;
    struct endpoint endpoints[SCRIPT_ENDPOINTS];
    pthread_mutex_t lock; /* of the desks' number */
    struct tls_desk desks[LOOPS_MAX];
    int desk_count;
};

struct connection {
    struct memory_end *end;
    struct http_place place;
    struct http_connection *http; /* NULL once it has ended */
};

/* What the bench takes is none of the client's memory, as the client may account for that. */
static struct tls_desk *desk_of(struct http_memory_peer *peer, struct loop *loop)
{
    pthread_mutex_lock(&peer->lock);
    int i = 0;
    while (i < peer->desk_count && peer->desks[i].loop != loop)
        i++;
    if (i == peer->desk_count) {
        http_connection_must(i < LOOPS_MAX, "too many loops");
        mesh__tls_desk_init(&peer->desks[i], loop, NULL);
        peer->desks[i].bench = mesh__tls_bench_new(&mesh__mem_system);
        peer->desk_count++;
    }
    pthread_mutex_unlock(&peer->lock);
    return &peer->desks[i];
}

static void on_cut(void *user)
{
    memory_end_cut(((struct connection *)user)->end);
}

static void on_gone(void *user)
{
    ((struct connection *)user)->http = NULL;
}

static void *on_opened(void *user, struct memory_connection *memory)
{
    const struct endpoint *endpoint = user;
    struct http_memory_peer *peer = endpoint->peer;
    struct loop *loop = mesh__memory_loop(memory);
    struct connection *connection = calloc(1, sizeof(*connection));
    http_connection_must(connection != NULL, "memory is out");
    connection->end = memory_end_new(memory);
    connection->place = (struct http_place){ loop, peer->script, endpoint->number, on_cut, on_gone, connection };
    struct tls_desk *desk = peer->layers.spec ? desk_of(peer, loop) : NULL;
    struct stream *stream = http_layers_over(&peer->layers, desk, memory_end_stream(connection->end));
    connection->http = http_connection_new(&connection->place, stream);
    return connection;
}

static void on_received(void *state, struct memory_connection *memory, const char *bytes, size_t size)
{
    (void)memory;
    memory_end_take(((struct connection *)state)->end, bytes, size);
}

static void on_closed(void *state, struct memory_connection *memory)
{
    struct connection *connection = state;
    (void)memory;
    memory_end_gone(connection->end);
    if (connection->http)
        http_connection_free(connection->http);
    memory_end_free(connection->end);
    free(connection);
}

struct http_memory_peer *http_memory_peer_new(struct memory_network *network, struct http_script *script,
                                              const struct http_layers *layers)
{
    struct http_memory_peer *peer = calloc(1, sizeof(*peer));
    http_connection_must(peer != NULL, "memory is out");
    peer->network = network;
    peer->script = script;
    peer->layers = *layers;
    pthread_mutex_init(&peer->lock, NULL);
    return peer;
}

void http_memory_peer_listen(struct http_memory_peer *peer, const char *address, int endpoint)
{
    struct endpoint *at = &peer->endpoints[endpoint];
    *at = (struct endpoint){ { on_opened, on_received, on_closed }, peer, endpoint };
    http_connection_must(mesh__memory_listen(peer->network, address, &at->functions, at), "listen in memory");
}

void http_memory_peer_free(struct http_memory_peer *peer)
{
    for (int i = 0; i < peer->desk_count; i++)
        mesh__tls_bench_free(peer->desks[i].bench);
    pthread_mutex_destroy(&peer->lock);
    free(peer);
}
