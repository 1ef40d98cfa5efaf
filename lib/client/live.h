/* SPDX-License-Identifier: Apache-2.0 */
/* live.h - the live state of services and endpoints, shared by all shards; the only place with compare-and-swap loops.
 *
 * Each piece is one word, changed by a pure function of policy/. A service_live survives reload as long as a snapshot
 * names its service; an endpoint as long as a snapshot lists it, a call holds such a snapshot, or a shard has its pool.
 * What is written for each call (endpoint.active and .estimate, service_live.active) has cache lines of its own;
 * counters are kept per shard, with one writer each. Times are on the client's clock: since it opened. */
#ifndef MESH__CLIENT_LIVE_H
#define MESH__CLIENT_LIVE_H

#include "config/config.h"
#include "net/pool.h"
#include "policy/budget.h"
#include "policy/estimate.h"
#include "policy/gate.h"

#include <mesh/client.h>
#include <pthread.h>
#include <stdalign.h>

#define SHARDS_MAX 64

/* One writer (the shard's driver), any reader. X(name) */
#define SERVICE_COUNTERS(X) X(calls) X(responses) X(failures) X(cancelled) X(deadlines) X(overloaded) X(retries_denied)
#define ENDPOINT_COUNTERS(X) X(attempts) X(retries) X(attempt_failures) X(responses_5xx) X(shuts) X(probes) X(panics)
#define POOL_COUNTERS(X) X(connects) X(connect_failures) X(disconnects) X(bytes_sent) X(bytes_received)
#define COUNTER_FIELD(name) _Atomic uint64_t name;

struct endpoint_counters {
    ENDPOINT_COUNTERS(COUNTER_FIELD)
};

/* What one shard has of a service. */
struct service_shard {
    SERVICE_COUNTERS(COUNTER_FIELD)
    struct service_live *live; /* whose shard this is; not a reference */
    void *shard;               /* struct shard; set with the group */
    struct pool_group group;
    uint64_t cursor;       /* round robin's */
    uint32_t deposits;     /* requests not yet told to the budget */
    struct config *config; /* a reference, with the group: what its security points into */
    bool has_group;
};

struct service_live {
    struct refs refs;
    struct mem mem;
    const char *name;                            /* owned */
    alignas(CACHE_LINE) _Atomic uint32_t active; /* calls admitted */
    alignas(CACHE_LINE) _Atomic uint32_t connections, pending, retries;
    _Atomic uint64_t starved; /* a bit for each shard with exchanges that wait for a place */
    alignas(CACHE_LINE) _Atomic uint32_t places, unhealthy; /* endpoints taken out; endpoints with a shut breaker */
    _Atomic int64_t probe_at;                               /* no endpoint is due for a probe before this */
    _Atomic uint64_t budget;
    _Atomic bool in_panic;                         /* as logged last */
    _Atomic uint32_t max_connections, max_pending; /* of the config in force */
    pthread_mutex_t lock;                          /* of what follows, up to `client`; nothing is locked inside it */
    struct list endpoints;                         /* all that exist, listed or not */
    mesh_counters gone;                            /* what those counted that exist no more */
    void *client;                                  /* for hooks: struct mesh_client */
    struct service_shard *shards[SHARDS_MAX];      /* made with the service_live */
    uint32_t shard_count;
};

/* What one shard has of an endpoint; made when the shard first picks it. */
struct endpoint_shard {
    struct list link;          /* in the shard's list */
    struct endpoint *endpoint; /* a reference */
    struct pool *pool;         /* NULL once it has gone */
    struct endpoint_counters counters;
    struct pool_counters pool_counters;
};

struct endpoint {
    struct refs refs;
    struct mem mem;
    struct service_live *live; /* a reference */
    struct address address;
    struct list link;     /* in live->endpoints */
    uint64_t listed;      /* the publisher's: the last version that lists it */
    _Atomic bool retired; /* no snapshot lists it any more */
    alignas(CACHE_LINE) _Atomic uint32_t active;
    _Atomic uint64_t estimate;
    alignas(CACHE_LINE) _Atomic uint64_t breaker;
    _Atomic uint32_t gate;
    alignas(CACHE_LINE) _Atomic(struct endpoint_shard *) shards[SHARDS_MAX];
};

struct service_live *mesh__live_new(const struct mem *, const char *name, uint32_t shard_count, void *client,
                                    const struct service_config *, mesh_nanos now);
void mesh__live_unref(struct service_live *);

struct endpoint *mesh__endpoint_new(const struct mem *, struct service_live *, const struct address *);
void mesh__endpoint_unref(struct endpoint *);

/* The endpoint has left its service: no verdict about it counts from now on, and its place is free. Once, by the
 * publisher. */
void mesh__endpoint_retire(struct endpoint *);

/* The endpoint as a candidate. `tried` is left false. */
struct candidate mesh__live_candidate(struct endpoint *, uint32_t weight, const struct breaker_config *or_null,
                                      mesh_nanos now);

/* What the pick of this endpoint gives the attempt. `probe`: this attempt is the probe. False: another call took the
 * probe in between, choose again. */
struct live_pick {
    uint16_t ticket;
    bool probe;
};
bool mesh__live_pick(struct endpoint *, const struct breaker_config *or_null, bool as_probe, mesh_nanos now,
                     struct live_pick *out);

/* An attempt has ended. True when this shut the breaker. */
bool mesh__live_report(struct endpoint *, const struct breaker_config *or_null, uint32_t endpoint_count,
                       uint16_t ticket, const struct verdict *, bool probe, mesh_nanos now, uint32_t random);

/* The earliest time at which an endpoint may be due for a probe is `at`, unless it is earlier. */
void mesh__live_note_probe(struct service_live *, mesh_nanos at);

/* Counts with limits. */
bool mesh__live_take(_Atomic uint32_t *count, uint32_t limit);
void mesh__live_give(_Atomic uint32_t *count);

/* Tells the budget of requests; takes a token for a retry. */
void mesh__live_deposit(struct service_live *, const struct budget_config *, uint32_t requests, mesh_nanos now);
bool mesh__live_withdraw(struct service_live *, const struct budget_config *, mesh_nanos now);

/* True in panic: fewer than half of the endpoints are healthy by verdict. */
bool mesh__live_panic(const struct service_live *, uint32_t endpoint_count);

/* Adds up what has been counted for an endpoint; and for a service with all endpoints that it has or had. No counter of
 * a service ever falls, whatever is listed: an endpoint's counts are its service's from the first to after the last. */
void mesh__live_count_endpoint(struct endpoint *, mesh_counters *);
void mesh__live_count_service(struct service_live *, mesh_counters *);

#endif
