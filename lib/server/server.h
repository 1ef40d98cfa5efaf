/* SPDX-License-Identifier: Apache-2.0 */
/* server.h - what a server's threads share, and the functions between its files; docs/internals/server.md. */
#ifndef MESH__SERVER_SERVER_H
#define MESH__SERVER_SERVER_H

#include "base/rng.h"
#include "config/config.h"
#include "discover/identity_source.h"
#include "net/handshaker.h"
#include "telemetry/dispatcher.h"
#include "telemetry/outbox.h"
#include "wire/http2_pool.h"

#include <mesh/server.h>
#include <pthread.h>

struct workers;

/* Timers beside those of connections: the listener's, and the identity's. */
#define SERVER_TIMERS 2

/* It only grows. */
enum server_phase { SERVER_SERVING, SERVER_DRAINING, SERVER_CUTTING, SERVER_ENDING };

/* What the loop is told of an exchange. */
enum server_post {
    POST_NEWS = 1, /* it was read or written, or has something to be called */
    POST_HEAD = 2, /* the head of its response is there */
    POST_FINAL = 4 /* whoever had it has ended it: its reference is the inbox's */
};

struct listener {
    struct watch watch;
    int fd; /* -1: closed */
    struct loop_timer retry;
    bool full;    /* max_connections is reached */
    bool starved; /* out of descriptors or memory, until `retry` */
};

/* TLS, if the server does it; else all is empty. The loop thread's own, once that runs. */
struct security {
    struct tls_identity *loaded; /* what the first spec was made of */
    struct tls_spec *spec;       /* of new connections; NULL: plain text */
    struct handshaker *threads;  /* NULL: hands are shaken on the loop */
    struct tls_desk desk;
    struct identity_source *source;
};

struct mesh_server {
    struct refs refs; /* the user's, and one of each exchange */
    struct mem mem;

    /* Set before the threads start. */
    struct config *config;
    const struct server_config *settings; /* in `config` */
    mesh_handler handler;
    void *user;
    bool streams; /* MESH_STREAM_REQUESTS */
    struct outbox *outbox;
    struct dispatcher *dispatcher; /* NULL: nobody listens */
    struct workers *workers;       /* NULL: handlers run on the loop */
    char address[ADDRESS_TEXT_MAX];
    uint16_t port; /* listened at; 0 of a Unix socket */

    /* The loop thread's own. */
    struct {
        struct loop loop;
        struct listener listener;
        struct list connections; /* struct connection */
        uint32_t connection_count;
        struct list closed;     /* to be freed at the end of the turn */
        struct list dirty;      /* HTTP/2 connections that may have something to send at the end of the turn */
        struct http2_pool pool; /* of HTTP/2 connections */
        struct buf frames;      /* what one of them sends in this turn */
        struct rng rng;
        bool draining;
    } own;
    struct security security;
    pthread_t thread;

    atomic_uint epoch; /* counts identities; the loop raises it */
    atomic_int phase;  /* enum server_phase */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* `drained` became true */
    struct {                /* under the lock */
        struct list inbox;  /* struct mesh_exchange, for which something was posted */
        bool gone;          /* there is no loop any more */
        bool drained;       /* no connection is left, and none will come */
        uint32_t cut;       /* exchanges that were under way when their connections were closed */
    } synced;
};

/* Logs a line if anybody wants it. */
#define SERVER_LOG(server, level, ...)                                                                                 \
    do {                                                                                                               \
        if (mesh__outbox_wants_log((server)->outbox, level))                                                           \
            mesh__outbox_log((server)->outbox, level, __VA_ARGS__);                                                    \
    } while (0)

/* Listens and starts the threads; `options` as given by the user, checked. On failure there is nothing to undo. */
mesh_status mesh__server_new(struct config *config, const struct server_config *settings, const struct mem *mem,
                             const mesh_options *options, mesh_handler handler, void *user, mesh_server **out,
                             mesh_error **error);

/* Closes everything, joins the threads, and gives up the user's reference. */
void mesh__server_end(mesh_server *);

/* Gives up a reference. */
void mesh__server_unref(mesh_server *);

/* Drains for at most `timeout` (below 0: no limit); MESH_DEADLINE when exchanges were cut. */
mesh_status mesh__server_close(mesh_server *, mesh_nanos timeout);

/* True while this thread runs one of the server's handlers. */
bool mesh__server_is_handling(const mesh_server *);

bool mesh__server_is_draining(const mesh_server *);

/* Calls a function of the user's about an exchange that is handed over, as a handler is called; on the loop. */
void mesh__server_call(mesh_exchange *, mesh_ready, void *user);

/* Has the handler look at the exchange, unless its deadline has passed or its peer has gone; on a worker or the loop.
 */
void mesh__server_handle(mesh_exchange *);

/* Puts the exchange into the inbox, from any thread that has it; with POST_FINAL it has it no more. False when there is
 * no loop that could look into it. */
bool mesh__server_post(mesh_exchange *, uint32_t posts);

/* Takes an exchange that has the rest of its reply, from any thread, and brings it to its connection. MESH_ECLOSED when
 * that has gone. */
mesh_status mesh__server_answer(mesh_exchange *);

/* listener.c; on the loop, but for the first, which comes before it starts. 0 or a negative errno. */
int mesh__listener_open(mesh_server *);
void mesh__listener_accept(mesh_server *);
void mesh__listener_resume(mesh_server *); /* a connection has closed */
void mesh__listener_close(mesh_server *);

#endif
