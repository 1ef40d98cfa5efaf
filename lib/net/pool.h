/* SPDX-License-Identifier: Apache-2.0 */
/* pool.h - the connections of one shard to one endpoint, and the exchanges that wait for one.
 *
 * An exchange takes a connection with room: one that carries others already (HTTP/2), or the idle one used last, if it
 * is still good. Else it waits, and a connection is dialled for it; whichever comes first, that one or another that has
 * room again, serves it. Over HTTP/2, and while the peer has not yet said what it speaks, one dial at a time serves all
 * that wait. The pools of a service on one shard form a
 * group, with one policy and one count of connections, which is kept client-wide behind the hooks: at its limit an
 * idle connection to another endpoint of the group makes room, else the exchange is starved until a place is free.
 * A pool is keyed by its endpoint and by the group, so by everything that affects a connection. */
#ifndef MESH__NET_POOL_H
#define MESH__NET_POOL_H

#include "net/channel.h"
#include "net/channel_http2.h"
#include "net/tls_stream.h"
#include "policy/authorize.h"

/* Written by the shard's driver only, read by anyone. */
struct pool_counters {
    _Atomic uint64_t connects, connect_failures, disconnects, bytes_sent, bytes_received;
};

/* The single writer's way to add: no read-modify-write on the bus. */
#define COUNTER_ADD(counter, n)                                                                                        \
    atomic_store_explicit(&(counter), atomic_load_explicit(&(counter), memory_order_relaxed) + (uint64_t)(n),          \
                          memory_order_relaxed)

struct pool_policy {
    mesh_nanos connect_timeout, idle_timeout, max_age; /* max_age 0: unlimited */
    uint32_t max_exchanges;                            /* per connection; 0: unlimited */
    mesh_nanos ping_interval, ping_timeout; /* HTTP/2: so long without a byte while exchanges wait; 0: never */
    struct http1_limits limits;             /* HTTP/2: what a peer is told of max_header */
    int32_t first_id;                       /* HTTP/2: a connection's first stream; 0: 1 */
};

/* What is spoken: over TLS ALPN has the last word. */
enum pool_protocol { POOL_AUTO /* in plain text HTTP/1.1 */, POOL_HTTP1, POOL_HTTP2 };

/* The client-wide counts of a service. The take functions say whether there was a place. */
struct pool_hooks {
    bool (*take_connection)(void *user);
    void (*give_connection)(void *user);
    bool (*take_pending)(void *user);
    void (*give_pending)(void *user);
    bool (*wanted_elsewhere)(void *user); /* other groups wait for a place; NULL: never */
    void (*unverified)(void *user,
                       const struct address *); /* hands were shaken with who was not verified; NULL: mute */
};

/* How the connections of a group are secured. */
struct pool_security {
    struct tls_spec *spec;       /* NULL: in plain text */
    struct tls_spec *spec_http1; /* offers HTTP/1.1 only, for endpoints that want that; NULL: there is none */
    mesh_nanos handshake_timeout;
    const struct access_policy *access; /* which peers may be talked to; NULL: any */
};

struct pool_group {
    struct loop *loop;
    struct tls_desk *desk;    /* NULL: never secured */
    struct http2_desk *http2; /* NULL: HTTP/2 is never spoken */
    enum pool_protocol protocol;
    struct pool_security security; /* the specs are references */
    uint64_t secured;              /* how often it was set, or an endpoint fell back to HTTP/1.1 */
    const struct pool_hooks *hooks;
    void *user;
    struct pool_policy policy;
    struct list pools;
    struct list starved;  /* exchanges that wait for a place among the connections */
    uint32_t connections; /* of this shard */
};

struct pool {
    struct pool_group *group;
    struct list link; /* in group.pools */
    struct address address;
    struct pool_counters *counters; /* borrowed */
    struct list waiting;            /* exchanges, oldest first */
    struct list shared;             /* channels that carry exchanges and have room for more */
    struct list idle;               /* channels, used last first */
    struct list rest;               /* channels that dial, or are busy and take no more */
    uint32_t channels, dialing, waiters;
    bool retired;
    bool spoke_http1; /* the peer of the last dial chose HTTP/1.1 */
    bool http1_only;  /* a peer has asked for it (HTTP_1_1_REQUIRED) */
    uint32_t streams; /* HTTP/2: as many a connection took, when its peer said so last; 0: none has said */
    uint8_t calm;     /* how often the interval between PINGs was doubled, since the peer had too many */
};

void mesh__pool_group_init(struct pool_group *, struct loop *, const struct pool_hooks *, void *user,
                           const struct pool_policy *);

/* From now on connections are dialled so; those that were dialled otherwise, or whose peer the policy forbids now,
 * carry no further exchange. */
void mesh__pool_group_secure(struct pool_group *, const struct pool_security *);

/* Gives back what the group holds, when its pools have gone. */
void mesh__pool_group_fini(struct pool_group *);

/* Dials for starved exchanges as long as there are places: to be called when other shards may have given some back. */
void mesh__pool_group_feed(struct pool_group *);

/* Gives up one idle connection, if there is any: another shard needs its place. */
void mesh__pool_group_yield(struct pool_group *);

/* NULL when memory is out. */
struct pool *mesh__pool_new(struct pool_group *, const struct address *, struct pool_counters *);

/* Gives the exchange a connection, now or later: see struct exchange_events. */
void mesh__pool_acquire(struct pool *, struct exchange *);

/* Takes the exchange back wherever it is; it is told nothing more. Over HTTP/1.1, one that was begun costs its
 * connection. */
void mesh__exchange_cancel(struct exchange *);

/* The source of its body said BODY_LATER and has something now. Harmless at any other time. */
void mesh__exchange_resume(struct exchange *);

/* So many more bytes of `body` events are done with: with `credit`, the peer may send as many. Over HTTP/1.1 the
 * connection is not read while more than HTTP1_UNREAD_MAX are not; over HTTP/2 it is the stream's window. Harmless
 * once the exchange has ended. */
#define HTTP1_UNREAD_MAX ((size_t)64 * 1024)
void mesh__exchange_consume(struct exchange *, size_t);

/* Takes no more exchanges from now on: closes idle connections at once and busy ones as they end. */
void mesh__pool_retire(struct pool *);

/* True when no connection and no exchange is left in it. */
bool mesh__pool_is_empty(const struct pool *);

/* Closes everything at once and frees the pool; exchanges are forgotten. */
void mesh__pool_free(struct pool *);

/* What an errno of a dial means; MESH_SYSTEM for one that is not known. */
mesh_status mesh__pool_dial_status(int error_number);

/* From now on connections to it speak HTTP/1.1: a peer has asked for it. */
void mesh__pool_fall_back(struct pool *);

/* What connections to it are secured by. */
struct tls_spec *mesh__pool_spec(const struct pool *);

/* For channels: a dial came through; a dial failed; an exchange ended and left an HTTP/1.1 channel good or not; a
 * channel closed. */
void mesh__pool_dialed(struct channel *);
void mesh__pool_dial_failed(struct channel *, mesh_status, const char *reason, int error_number);
void mesh__pool_put_back(struct channel *, bool reusable);
void mesh__pool_closed(struct channel *);

/* For HTTP/2 channels, within a step. `place` puts one where it belongs by what is on it and what it takes, or closes
 * it; `settle` gives its room to those who wait before that. The channel may be CLOSED then. */
void mesh__pool_place(struct channel *);
void mesh__pool_settle(struct channel *);

#endif
