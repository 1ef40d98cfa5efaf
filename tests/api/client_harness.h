/* SPDX-License-Identifier: Apache-2.0 */
/* client_harness.h - a client in one cell of {protocol} x {security} x {driver} x {network} x {threads}, and calls made
 * on it.
 *
 * A test asks the harness to make calls and is not told how the client is driven, over what, or what else goes on. In a
 * cell of many threads others call a service of their own on the same client meanwhile. Each driver:
 *
 *   blocking    mesh_call(); what a test starts is a mesh_call() on a thread of its own
 *   next        mesh_call_start(); completions by mesh_client_next(): the waiting thread itself, or two threads for all
 *   external    mesh_call_start(); the program polls: the waiting thread itself, or a thread for each of two loops
 *   threads     mesh_call() on a client with two permanent drivers; what a test starts by mesh_call_start()
 *   dispatcher  mesh_call_start(); completions by on_completion
 *
 * In a secured cell client and peer prove to each other who they are. The awkward network is sockets for one thread and
 * memory for many; below TLS both ends of a connection are awkward. */
#ifndef TESTS_API_CLIENT_HARNESS_H
#define TESTS_API_CLIENT_HARNESS_H

#include "support/http_peer.h"
#include "support/inverting_stream.h"

#include <mesh/client.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif
#ifndef UNDER_TSAN
#define UNDER_TSAN 0
#endif

enum driver { DRIVER_BLOCKING, DRIVER_NEXT, DRIVER_EXTERNAL, DRIVER_THREADS, DRIVER_DISPATCHER, DRIVERS };
enum network { NETWORK_SOCKETS, NETWORK_MEMORY, NETWORK_INVERTING, NETWORKS };

struct cell {
    enum driver driver;
    enum network network;
    int threads;
    bool http2;
    bool secured;
};

#define HARNESS_ENDPOINTS 4 /* number 3 is the one of the other threads' service */
#define HARNESS_REFUSING 2
#define HARNESS_THREADS 32

struct harness {
    struct cell cell;
    struct http_script *script;
    struct http_peer *peer;        /* of sockets */
    struct memory_network *memory; /* of memory */
    struct http_memory_peer *memory_peer;
    struct tls_spec *spec; /* of the peer, in a secured cell */
    struct inverting_world inverting;
    const struct world *world;
    char endpoints[HARNESS_ENDPOINTS][PEER_TEXT];
    char refusing[HARNESS_REFUSING][PEER_TEXT];
    int refusing_fds[HARNESS_REFUSING];

    mesh_options options; /* for harness_open(); a test may set more */
    mesh_client *client;
    bool falls_back; /* from HTTP/2 to HTTP/1.1, as the test has it */
    pthread_t pumps[2], load[HARNESS_THREADS];
    int pump_count, load_count;
    atomic_bool load_stops;
    void (*on_callback)(struct harness *); /* in a completion callback, where there is one */

    pthread_mutex_t lock; /* of what follows */
    char message[1024];   /* what failed first; "" for nothing */
};

/* A call that has been started. Stays in place until harness_wait() has returned. */
struct ticket {
    struct harness *harness;
    const char *service;
    mesh_request request;
    mesh_token *token;
    mesh_call_id id; /* 0: made by mesh_call() */
    mesh_status started;
    mesh_result *result;
    _Atomic uint32_t completions; /* how often it has completed */
    sem_t done;
    pthread_t thread;
    bool has_thread;
};

/* Makes what secured cells need, before the first of them, and removes it: once in the process that runs all. */
void harness_make_certificates(void);
void harness_remove_certificates(void);

void harness_begin(struct harness *, const struct cell *);
void harness_end(struct harness *);

/* Opens the client. In `services` '@0' to '@3' stand for endpoints and '!0', '!1' for addresses that refuse; ' for ".
 */
void harness_open(struct harness *, const char *services);

/* The same without the other threads' calls. */
void harness_open_quiet(struct harness *, const char *services);

/* Has the client that is opened next give completions to a callback, whatever the driver. */
void harness_use_callback(struct harness *);

/* The same text as a config. */
mesh_config *harness_config(struct harness *, const char *services);

/* Closes and frees the client; nothing of the harness runs any more. harness_stop_load() ends the others' calls. */
void harness_stop_load(struct harness *);
void harness_close(struct harness *);

/* Makes a call and waits for its result, which is the caller's. */
mesh_result *harness_call(struct harness *, const char *service, const mesh_request *);
mesh_result *harness_get(struct harness *, const char *path);

/* Starts a call; its result belongs to the caller of harness_wait(). Cancels it by its id, or else by a token. */
void harness_start(struct harness *, struct ticket *, const char *service, const mesh_request *);
mesh_result *harness_wait(struct ticket *);
void harness_cancel(struct ticket *);

/* Lets the client go on, where this thread drives it, until the condition holds. */
void harness_until(struct harness *, bool (*condition)(void *), void *);

/* Takes completions without a ticket's help: only for clients that a test drives itself. */
void harness_take(const mesh_completion *);

/* Notes a failure; the first one counts. */
void harness_fail(struct harness *, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#define EXPECT(harness, condition, ...)                                                                                \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            harness_fail((harness), __FILE__, __LINE__, __VA_ARGS__);                                                  \
    } while (0)
#define EXPECT_INT(harness, is, wanted)                                                                                \
    do {                                                                                                               \
        long long is_ = (long long)(is), wanted_ = (long long)(wanted);                                                \
        EXPECT(harness, is_ == wanted_, "%s is %lld, not %lld", #is, is_, wanted_);                                    \
    } while (0)

/* EXPECTs a code and a status, and says what the result says otherwise. */
#define EXPECT_RESULT(harness, result, code, http)                                                                     \
    EXPECT(harness, mesh_result_code(result) == (code) && mesh_result_status(result) == (http),                        \
           "%s %d, not %s %d: %s", mesh_status_name(mesh_result_code(result)), (int)mesh_result_status(result),        \
           mesh_status_name(code), (int)(http), mesh_result_message(result))

#endif
