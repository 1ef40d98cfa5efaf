/* SPDX-License-Identifier: Apache-2.0 */
/* outbox.h - spans, audits and log lines on their way to the user's callbacks: a bounded ring that never makes anyone
 * wait.
 *
 * Any thread puts in; one thread at a time takes out, with no lock held, and calls the callbacks. What does not fit is
 * dropped and counted. In owned mode a dispatcher (dispatcher.h) drains it, in external mode mesh_loop_process() does.
 */
#ifndef MESH__TELEMETRY_OUTBOX_H
#define MESH__TELEMETRY_OUTBOX_H

#include "base/mem.h"
#include "base/time.h"
#include "wire/trace.h"

#include <mesh/client.h>

/* A finished span, self-contained; texts longer than their place are cut. */
struct span_record {
    int32_t kind; /* enum mesh_span_kind */
    struct trace_context context;
    uint8_t parent_id[8];
    int32_t attempt;
    int64_t start_unix_ns;
    int64_t duration_ns;
    mesh_status status;
    int32_t http_status;
    int32_t grpc_status; /* -1: none */
    uint64_t tag;
    char service[64];
    char endpoint[64];
    char method[16];
    char path[96]; /* without the query */
};

/* A decision of a policy, likewise. */
struct audit_record {
    int32_t kind; /* enum mesh_audit_kind */
    bool allowed, would_deny;
    int64_t unix_ns;
    char name[64];
    char rule[104];
    char peer_id[256];
    char peer_address[128];
    char method[16];
    char path[192]; /* without the query */
};

struct outbox;

/* Callbacks, level and user come from `options` (NULL: none). NULL when memory is out. `wake` is called, by the thread
 * that puts in, with no lock held, when an empty outbox gets its first entry (urgent false) and when it becomes half
 * full (urgent true); and at the end of a drain, by the thread that drains, when entries came in meanwhile. */
struct outbox *mesh__outbox_new(const struct mem *, const mesh_options *options, void (*wake)(void *user, bool urgent),
                                void *wake_user);

/* Drops what is in. Takes no lock, so that a child after fork() may call it. NULL is legal. */
void mesh__outbox_free(struct outbox *);

/* Whether anyone listens: spans, audits, and log lines of this level (enum mesh_log_level). */
bool mesh__outbox_wants_spans(const struct outbox *);
bool mesh__outbox_wants_audits(const struct outbox *);
bool mesh__outbox_wants_log(const struct outbox *, int32_t level);

/* Copies the span, audit or line in, or drops it. Lines are cut at 500 bytes. */
void mesh__outbox_span(struct outbox *, const struct span_record *);
void mesh__outbox_audit(struct outbox *, const struct audit_record *);
void mesh__outbox_log(struct outbox *, int32_t level, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Gives everything that is in when it begins to the callbacks, in order. One thread at a time. */
void mesh__outbox_drain(struct outbox *);

/* From now on nothing is given out any more, and what is put in is dropped, uncounted. Any thread; in a callback it
 * holds from that callback's return. */
void mesh__outbox_mute(struct outbox *);

/* True when something is in. Any thread. */
bool mesh__outbox_pending(struct outbox *);

/* How many entries found no room. */
uint64_t mesh__outbox_dropped(const struct outbox *);

#endif
