/* SPDX-License-Identifier: Apache-2.0 */
/* mesh/client.h - opening a client, calling services, driving the client from a loop of one's own. */
#ifndef MESH_CLIENT_H
#define MESH_CLIENT_H

#include <mesh/call.h>
#include <mesh/config.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Who drives the client. */
enum mesh_mode {
    MESH_OWNED = 0,   /* calling threads and one library thread; nothing to do for the program */
    MESH_EXTERNAL = 1 /* the program's own loops, by mesh_loop_fd(), _timeout() and _process(); no library thread */
};

/* Flags of mesh_options; they are or-ed. */
enum mesh_options_flag {
    MESH_STREAM_REQUESTS = 1 /* of a server: handlers are called when a request's head has come, and read its body */
};

/* How much a log callback is told; each level includes those above. */
enum mesh_log_level { MESH_LOG_ERROR = 0, MESH_LOG_WARN = 1, MESH_LOG_INFO = 2, MESH_LOG_DEBUG = 3 };

/* What a completion is about. */
enum mesh_completion_kind {
    MESH_COMPLETION_DONE = 1,  /* a call that mesh_call_start() started has ended */
    MESH_COMPLETION_STREAM = 2 /* a stream of flag MESH_STREAM_NOTIFY that had answered MESH_EAGAIN is worth a try */
};

/* One asynchronous call that has ended, or one stream that can go on. The result is the receiver's, who frees it. */
typedef struct mesh_completion {
    uint32_t size;
    int32_t kind;       /* enum mesh_completion_kind */
    mesh_status status; /* as mesh_result_code(result); of a stream MESH_OK */
    int32_t reserved;
    mesh_call_id id;
    void *user;          /* as given to mesh_call_start() or mesh_stream_open() */
    mesh_result *result; /* NULL of a stream */
    /* NULL of a call. None is queued for a stream that mesh_stream_finish() has taken; who finishes streams sees to it
     * that no completion that was taken before is still to be looked at. */
    mesh_stream *stream;
} mesh_completion;

#define MESH_COMPLETION_INIT                                                                                           \
    {                                                                                                                  \
        (uint32_t)sizeof(mesh_completion), 0, 0, 0, 0, NULL, NULL, NULL                                                \
    }

/* What a span is about. */
enum mesh_span_kind {
    MESH_SPAN_CALL = 1,    /* one call, from entry to completion */
    MESH_SPAN_ATTEMPT = 2, /* one attempt of it; its span id is the one the peer saw */
    MESH_SPAN_SERVER = 3   /* one exchange of a server */
};

/* One finished span. Everything it points to is valid during the callback only. */
typedef struct mesh_span {
    uint32_t size;
    int32_t kind; /* enum mesh_span_kind */
    uint8_t trace_id[16];
    uint8_t span_id[8];
    uint8_t parent_id[8]; /* all zero for a root */
    int32_t sampled;      /* 1 when the trace is sampled */
    int32_t attempt;      /* from 0; of attempt spans */
    int64_t start_unix_ns;
    int64_t duration_ns;
    mesh_status status;
    int32_t http_status;  /* 0 without one */
    const char *service;  /* the service called, or the server's own name */
    const char *endpoint; /* "" where there is none */
    const char *method;
    const char *path; /* without the query */
    uint64_t tag;
    int32_t grpc_status; /* enum mesh_grpc_status of a gRPC call or attempt; -1: none, or not known */
    int32_t reserved;    /* 0 */
} mesh_span;

/* What an audit is about. */
enum mesh_audit_kind { MESH_AUDIT_REQUEST = 1 /* a server's decision about one request */ };

/* One decision of a policy ("authorize" in the config). Everything it points to is valid during the callback only; no
 * text is NULL, and longer ones are cut: names, rules and addresses at 63, 103 and 127 bytes, ids at 255, methods at
 * 15, paths at 191. */
typedef struct mesh_audit {
    uint32_t size;
    int32_t kind;             /* enum mesh_audit_kind */
    int32_t allowed;          /* 1: it was let through, in a dry run whatever the rules say */
    int32_t would_deny;       /* 1: the rules deny it */
    int64_t unix_ns;          /* when it was decided */
    uint64_t dropped;         /* decisions just before this one that found no room and are told to nobody */
    const char *name;         /* the server's, as in the config */
    const char *rule;         /* the name of the rule that decided; "": none applied */
    const char *peer_id;      /* the peer's verified SPIFFE id; "" without one */
    const char *peer_address; /* "127.0.0.1:9001"; "" of a Unix socket */
    const char *method;
    const char *path; /* as it was judged; as it came, without the query, where it has no normal form */
} mesh_audit;

/* How to open a client or a server. Callbacks never run inside mesh_call() or mesh_call_start(), and no lock is held
 * while one runs: in owned mode one dispatcher thread runs them all (it exists only if a callback is set), in external
 * mode mesh_loop_process() does, at its end. Log lines, spans and audits wait for it in a queue of 1024; what comes
 * while that is full is dropped, since nobody waits for a callback. mesh_client_close() and mesh_client_free() say what
 * callbacks get then. */
typedef struct mesh_options {
    uint32_t size;
    int32_t mode;                    /* enum mesh_mode */
    const mesh_allocator *allocator; /* copied; NULL: malloc */
    uint32_t shards;                 /* loops; 0: the CPUs allowed, at most 8 (owned) or 1 (external) */
    uint32_t threads;                /* permanent driver threads in owned mode, at most `shards`; 0: none */
    uint64_t seed;                   /* of all random choices; 0: from the system */
    int32_t log_level;               /* enum mesh_log_level */
    int32_t flags;                   /* enum mesh_options_flag, or-ed; a client has none */
    void (*on_log)(int32_t level, const char *line, void *user);
    void (*on_span)(const mesh_span *span, void *user);
    void (*on_completion)(const mesh_completion *completion, void *user); /* instead of mesh_client_next() */
    void *user;                                                           /* given to each of them */
    void (*on_audit)(const mesh_audit *audit, void *user);                /* of a server: each decision of its policy */
} mesh_options;

#define MESH_OPTIONS_INIT                                                                                              \
    {                                                                                                                  \
        (uint32_t)sizeof(mesh_options), 0, NULL, 0, 0, 0, 0, 0, NULL, NULL, NULL, NULL, NULL                           \
    }

/* Do what MESH_COMPLETION_INIT and MESH_OPTIONS_INIT do. */
MESH_API void mesh_completion_init(mesh_completion *completion);
MESH_API void mesh_options_init(mesh_options *options);

/* Opens a client. Both `config` and `options` (NULL: the defaults) are copied. Does not wait for the network. On
 * failure
 * `*out` is NULL and `*error`, unless `error` is NULL, says why: every config error on a line of its own. */
MESH_API MESH_NODISCARD mesh_status mesh_client_open(const mesh_config *config, const mesh_options *options,
                                                     mesh_client **out, mesh_error **error);

/* The same with the config in a file. */
MESH_API MESH_NODISCARD mesh_status mesh_client_open_file(const char *path, const mesh_options *options,
                                                          mesh_client **out, mesh_error **error);

/* Waits until the endpoints of `service` (NULL: of every service) are known. MESH_DEADLINE when they are not by then,
 * MESH_NO_SUCH_NAME or MESH_DISCOVERY at once when that has failed for good, MESH_EREENTRY in external mode. */
MESH_API MESH_NODISCARD mesh_status mesh_client_ready(mesh_client *client, const char *service, int64_t timeout_ns);

/* Calls a service and waits for the answer. MESH_OK whenever a response arrived. `*out` is set in every case and is the
 * caller's to free: the response, or why there is none. MESH_EREENTRY in external mode and from inside a loop. */
MESH_API mesh_status mesh_call(mesh_client *client, const char *service, const mesh_request *request,
                               mesh_result **out);

/* Starts a call. When this returns MESH_OK the call completes exactly once, by mesh_client_next() or on_completion,
 * possibly before this returns; on any other status it never does. `id` may be NULL. */
MESH_API MESH_NODISCARD mesh_status mesh_call_start(mesh_client *client, const char *service,
                                                    const mesh_request *request, void *user, mesh_call_id *id);

/* Asks the call to end with MESH_CANCELLED. It still completes; if it is just ending, with what it ended with.
 * MESH_ESTALE when it has completed. Any thread. */
MESH_API mesh_status mesh_cancel(mesh_client *client, mesh_call_id id);

/* Takes up to `capacity` completions; those of calls in the order in which they ended. Waits up to `timeout_ns` (0: not
 * at all, below 0: as long as it takes) for the first one. MESH_OK with `*count` >= 1, or MESH_DEADLINE with 0;
 * MESH_ECLOSED when the client is closed and there will be none; MESH_EREENTRY for a wait in external mode. Any number
 * of threads. */
MESH_API MESH_NODISCARD mesh_status mesh_client_next(mesh_client *client, mesh_completion *completions,
                                                     uint32_t capacity, int64_t timeout_ns, uint32_t *count);

/* Takes a new config, wholly or not at all: on MESH_ECONFIG the old one stays in force and `*error` says why. Calls
 * under way end as they began; what is known about endpoints that stay is kept. */
MESH_API MESH_NODISCARD mesh_status mesh_client_reload(mesh_client *client, const mesh_config *config,
                                                       mesh_error **error);
MESH_API MESH_NODISCARD mesh_status mesh_client_reload_file(mesh_client *client, const char *path, mesh_error **error);

/* What holds right now as JSON: config and identity in force, endpoints with their live state, counters; of one service
 * or (NULL) of all. Give the string back with mesh_string_free(). NULL for an unknown service or when memory is out. */
MESH_API MESH_NODISCARD char *mesh_client_inspect(mesh_client *client, const char *service);

/* What has been counted since the client opened (a service: since it is in the config). */
typedef struct mesh_counters {
    uint32_t size;
    uint32_t reserved;
    uint64_t calls;            /* started */
    uint64_t responses;        /* calls that ended with a response */
    uint64_t failures;         /* calls that ended with an error, cancelled ones included */
    uint64_t cancelled;        /* calls that ended with MESH_CANCELLED */
    uint64_t deadlines;        /* calls that ended with MESH_DEADLINE */
    uint64_t overloaded;       /* calls that a limit turned away */
    uint64_t attempts;         /* made */
    uint64_t retries;          /* attempts after the first */
    uint64_t retries_denied;   /* by the budget or max_retries */
    uint64_t attempt_failures; /* attempts without a whole response */
    uint64_t responses_5xx;    /* attempts answered with 500 to 599 */
    uint64_t connects;         /* connections opened */
    uint64_t connect_failures; /* connections that could not be opened */
    uint64_t disconnects;      /* connections closed, by either side */
    uint64_t shuts;            /* times a breaker shut */
    uint64_t probes;           /* attempts that tried a shut endpoint */
    uint64_t panics;           /* picks made in panic */
    uint64_t bytes_sent;
    uint64_t bytes_received;
    uint64_t active;      /* right now: attempts (endpoint) or calls (service) under way */
    uint64_t pending;     /* right now: attempts that wait for a connection */
    uint64_t connections; /* right now: open connections */
} mesh_counters;

#define MESH_COUNTERS_INIT                                                                                             \
    {                                                                                                                  \
        (uint32_t)sizeof(mesh_counters), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0           \
    }

/* Does what MESH_COUNTERS_INIT does. */
MESH_API void mesh_counters_init(mesh_counters *counters);

/* Adds up the counters of a service, or of one of its endpoints ("127.0.0.1:9001"). MESH_ESERVICE, MESH_NO_ENDPOINT. */
MESH_API mesh_status mesh_client_counters(mesh_client *client, const char *service, const char *endpoint,
                                          mesh_counters *out);

/* External mode. Each loop is one pollable descriptor, one timeout and one function; different threads may drive
 * different loops. Read the timeout just before each wait: a start from another thread makes the descriptor readable.
 */
MESH_API uint32_t mesh_client_loops(const mesh_client *client);
MESH_API int mesh_loop_fd(mesh_client *client, uint32_t loop);              /* poll it for input; -1: no such loop */
MESH_API int64_t mesh_loop_timeout(mesh_client *client, uint32_t loop);     /* ns to wait at most; -1: no limit */
MESH_API mesh_status mesh_loop_process(mesh_client *client, uint32_t loop); /* one turn; never waits */

/* Lets calls under way end, for at most `timeout_ns` (below 0: as long as they take), then cancels the rest. New calls
 * answer MESH_ECLOSED; completions not yet taken can still be taken. Within the same time it waits until callbacks have
 * been given every completion, with the spans and log lines that are there by then, and have returned. MESH_DEADLINE if
 * calls had to be cancelled or callbacks were not done in time: they get the rest later, at the latest in
 * mesh_client_free(). In external mode it only starts the drain, and mesh_loop_process() ends it.
 *
 * From a callback it waits for the calls alone, since no callback runs inside another: the rest is told when that
 * callback has returned. */
MESH_API mesh_status mesh_client_close(mesh_client *client, int64_t timeout_ns);

/* Ends everything: live calls with MESH_CANCELLED, waiters in mesh_client_next() with MESH_ECLOSED; no borrowed body is
 * touched afterwards. Callbacks get all that they have not got yet, before this returns: from the dispatcher, in
 * external mode from this function itself; they may call the client, which is closed to new calls. Without
 * on_completion untaken completions are dropped. Threads that are inside a function of the client are waited for, but
 * none may begin while or after this runs. In a child after fork() it returns descriptors and memory, sends nothing and
 * tells nobody.
 *
 * From a callback it ends calls and threads as far as it can there; no callback comes after the one that it was called
 * from, and what was still to be told is dropped. The rest of the client goes when that callback has returned, in the
 * thread that ran it, so the allocator is used for a while longer: its last use, if no result is left, is to release
 * the client's last block. */
MESH_API void mesh_client_free(mesh_client *client);

#ifdef __cplusplus
}
#endif
#endif
