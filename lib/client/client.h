/* SPDX-License-Identifier: Apache-2.0 */
/* client.h - what a client is made of: shards, calls, the published snapshot, control; who owns what and under which
 * lock.
 *
 * client    what the user holds. Owns everything here; goes in mesh__client_free().
 * snapshot  immutable, reference-counted: the config in force and each service's endpoints. Published under `publish`.
 * shard     one loop with its calls, pools and pins. Its fields belong to whoever holds `lock`, but for those marked
 * shared. call      a slot of a shard, never unmapped while the client lives; see call.h. Belongs to the shard's driver
 * from the moment it is posted until its word says DONE (blocking) or its completion is queued (asynchronous). */
#ifndef MESH__CLIENT_CLIENT_H
#define MESH__CLIENT_CLIENT_H

#include "base/rng.h"
#include "client/live.h"
#include "client/result.h"
#include "config/config.h"
#include "net/handshaker.h"
#include "telemetry/dispatcher.h"
#include "telemetry/outbox.h"

#include <mesh/client.h>
#include <pthread.h>

struct call;
struct control;

/* One service as a snapshot has it. Immutable. */
struct service_endpoint {
    struct endpoint *endpoint; /* a reference */
    uint32_t weight;
};

struct service {
    struct refs refs;
    struct mem mem;
    struct config *config;               /* a reference */
    const struct service_config *policy; /* in it */
    struct service_live *live;           /* a reference */
    struct tls_spec *spec;               /* a reference; NULL: in plain text */
    struct tls_spec *spec_http1;         /* a reference; the same, but HTTP/1.1 only; NULL: no other is spoken */
    mesh_status status; /* MESH_OK: the endpoints are known; MESH_DEADLINE: not yet; else why there are none */
    char *detail;       /* words for status, or NULL */
    uint32_t count, max_weight;
    struct service_endpoint endpoints[];
};

struct snapshot {
    struct refs refs;
    struct mem mem;
    struct config *config;         /* a reference */
    struct tls_identity *identity; /* a reference; NULL: no service needs one */
    struct map by_name;            /* service name -> struct service */
    uint32_t count;
    struct service *services[]; /* references, in the order of the config */
};

/* A snapshot that a shard has adopted; `pins` calls of the shard use it. Plain numbers: only the driver counts. */
struct pin {
    struct list link;
    struct snapshot *snapshot; /* a reference */
    uint32_t pins;
};

#define SLOTS_PER_CHUNK 16
#define CHUNKS_MAX 4096

struct shard {
    struct mesh_client *client;
    uint32_t index;
    struct store *store; /* of its calls' results */

    /* Shared: any thread. */
    alignas(CACHE_LINE) _Atomic uint32_t locked;
    _Atomic uint32_t inside;                          /* threads in a public function; mesh__client_enter() */
    alignas(CACHE_LINE) _Atomic(struct call *) inbox; /* newest first */
    _Atomic uint32_t live_calls;                      /* being posted, or posted and not yet completed */
    _Atomic bool asleep;                              /* the driver waits, or is about to: kick it */
    _Atomic bool armed;                               /* control watches the loop's descriptor */
    _Atomic bool feed_starved; /* a place among a service's connections was given back elsewhere */
    _Atomic bool cancel_all;
    _Atomic bool has_connections;                    /* as of the last turn */
    _Atomic bool driven;                             /* by anyone since control looked */
    _Atomic int64_t next_due;                        /* when control has to look at it at the latest, if armed */
    _Atomic int64_t next_seen;                       /* when a thread in mesh_client_next() drove it last */
    alignas(CACHE_LINE) _Atomic uint64_t free_slots; /* {tag 32, index + 1 32} */
    _Atomic uint32_t chunk_count;
    _Atomic(struct call *) chunks[CHUNKS_MAX];

    /* The driver's. */
    alignas(CACHE_LINE) struct loop loop;
    struct tls_desk desk;
    struct http2_desk http2;
    struct rng rng;
    struct pin *pin; /* the current one */
    struct list pins;
    uint64_t version;                             /* of the snapshot that `pin` is */
    struct list sleepers;                         /* blocking calls whose threads sleep, oldest first */
    struct list calls;                            /* all that are live */
    struct list resolving;                        /* calls that wait for endpoints */
    struct list pools;                            /* struct endpoint_shard */
    struct mesh_result *done_first, *done_last;   /* completions of this turn, in the order in which calls ended */
    struct mesh_stream *notes_first, *notes_last; /* streams that can go on, likewise */
    uint32_t streams_ended;                       /* calls of streams that ended in this turn */
    uint32_t retiring;                            /* pools of endpoints that have left, not yet empty */
};

enum client_state { CLIENT_OPEN, CLIENT_CLOSING, CLIENT_CLOSED, CLIENT_FREEING };

struct mesh_client {
    struct mem mem;
    const struct world *world;
    struct mesh_options options; /* a copy; its allocator is not used */
    mesh_nanos opened_at;        /* live words count from here */
    uint8_t *fork_page;          /* MADV_WIPEONFORK: 1 in the process that opened, 0 in a child */
    uint32_t shard_count, shards_made;
    struct shard **shards;
    _Atomic uint32_t state; /* enum client_state */

    /* Snapshots. */
    pthread_mutex_t publish; /* of what follows, and of reload against discovery */
    struct snapshot *snapshot;
    _Atomic uint64_t version;
    _Atomic uint32_t version_word; /* its low half, a futex for mesh_client_ready() */

    /* Completions; complete.h. */
    pthread_mutex_t completions_lock;
    struct mesh_result *completions_first, *completions_last;
    struct mesh_stream *notes_first, *notes_last; /* references; beside them, since a stream may come again and again */
    bool note_taken;                              /* the last completion taken was a note: the next one is a call */
    _Atomic uint32_t completions_count;           /* of both */
    _Atomic uint32_t completions_word;            /* a futex: changes with each completion and at the end */
    _Atomic uint32_t completions_waiters;
    _Atomic uint64_t next_drivers; /* shards that a thread in mesh_client_next() drives */
    _Atomic uint32_t leave_word;   /* a futex: changes when a thread leaves or a call ends, while closing */

    struct outbox *outbox;
    struct dispatcher *dispatcher; /* NULL without callbacks, and in external mode */
    struct control *control;
    struct handshaker *handshaker; /* NULL: hands are shaken on the loops */
    int undriven_fd;               /* an epoll set of the shards' loops; -1 in external mode */
    uint32_t thread_count;
    pthread_t *threads; /* permanent drivers */
    _Atomic bool stopping;

    _Atomic bool free_wanted; /* by a callback, the last; in external mode mesh_loop_process() frees at its end */

    /* External mode. */
    _Atomic bool delivering; /* a thread gives out completions: `deliverer` */
    _Atomic pthread_t deliverer;
    _Atomic int64_t close_at;
};

/* The client's clock: nanoseconds since it opened, by a loop's `now`. */
static inline mesh_nanos mesh__client_time(const struct mesh_client *client, mesh_nanos loop_now)
{
    return mesh__nanos_max(0, loop_now - client->opened_at);
}

static inline bool mesh__client_external(const struct mesh_client *client)
{
    return client->options.mode == MESH_EXTERNAL;
}

/* MESH_EFORKED in a child of the process that opened the client. */
static inline bool mesh__client_forked(const struct mesh_client *client)
{
    return *(volatile const uint8_t *)client->fork_page == 0;
}

/* Opens in a world of the caller's: tests and simulation. mesh_client_open() opens in the real one. */
mesh_status mesh__client_open(const struct world *, const mesh_config *, const mesh_options *, mesh_client **out,
                              mesh_error **error);

/* Around every function that a thread may be in while another one frees the client, which waits for the exit. */
void mesh__client_enter(struct shard *);
void mesh__client_exit(struct shard *);

mesh_status mesh__client_close(mesh_client *, mesh_nanos timeout);
void mesh__client_free(mesh_client *);

/* External mode: one turn of a loop, then callbacks. MESH_EREENTRY from inside a turn, or while another thread drives
 * it. */
mesh_status mesh__client_process(mesh_client *, uint32_t index);

/* Judges the config and publishes it. */
mesh_status mesh__client_reload(mesh_client *, const mesh_config *, mesh_error **error);

#endif
