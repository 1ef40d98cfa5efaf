/* SPDX-License-Identifier: Apache-2.0 */
/* flow.h - the bodies of an exchange, which come and go in pieces between the loop and whoever has it; the halves and
 * their states are in docs/internals/server.md. */
#ifndef MESH__SERVER_FLOW_H
#define MESH__SERVER_FLOW_H

#include "base/buf.h"
#include "base/time.h"
#include "wire/body.h"

#include <mesh/server.h>
#include <pthread.h>

#define FLOW_WAITING_MAX ((size_t)64 << 10) /* bytes of a response that were written and are not sent */
#define FLOW_UNREAD_MAX ((size_t)64 << 10)  /* HTTP/1.1: bytes of a request that are unread, for more to be read */
#define FLOW_CREDIT_MIN ((size_t)16 << 10)  /* bytes that are read before the loop is told, unless it is all */

/* Fields in one block of memory; names and values are followed by a NUL. */
struct flow_fields {
    mesh_header *headers; /* NULL: none */
    size_t count;
};

/* All of it is the loop's until the exchange is handed over. From then on it is under the lock, but for `trailers`,
 * which do not change once `ended` is true. */
struct flow {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool gone; /* as in mesh_exchange */

    struct buf in;     /* what came since whoever has the exchange last took all of it into `body` */
    size_t lent;       /* bytes of `body` */
    bool ended;        /* nothing more will come */
    mesh_status fault; /* MESH_OK, or why the rest will never come */
    struct flow_fields trailers;
    size_t credit;            /* bytes read that the loop has not been told of */
    bool expects_continue;    /* the peer waits for 100 (Continue) */
    bool reading;             /* what was asked for last had not come */
    mesh_nanos reading_since; /* since then, less the times at which nobody waited for it */
    mesh_nanos reading_until; /* somebody waited for it; NANOS_NEVER: somebody does */

    struct buf out; /* written since the loop last took all of it into `reply` */
    size_t sending; /* bytes of that which are not sent */
    bool finished;  /* nothing more will be written */
    bool starved;   /* the loop found nothing to send, and is to be told of the next byte */
    struct flow_fields last;
    size_t wanted; /* bytes for which there was no room; 0: there was */

    mesh_ready ready; /* to be called once; NULL: nothing */
    void *ready_user;
};

void mesh__flow_init(struct flow *, const struct mem *);
void mesh__flow_fini(struct flow *);

/* Copies fields. False when memory is out. `out` has none before. */
bool mesh__flow_copy(const struct mem *, const mesh_header *headers, size_t count, struct flow_fields *out);

/* ---- the loop's side ---- */

/* Bytes of the request have come. False when memory is out. */
bool mesh__flow_put(mesh_exchange *, struct view bytes);

/* The request is whole (MESH_OK), or will never be. */
void mesh__flow_end(mesh_exchange *, mesh_status fault);

/* Nothing more will be written. */
void mesh__flow_finish(mesh_exchange *);

/* The peer has gone, or was given up. */
void mesh__flow_lose(mesh_exchange *);

struct flow_news {
    size_t credit;     /* bytes were read since it was last asked */
    size_t unread;     /* bytes are there */
    bool waiting;      /* something is to be sent */
    bool say_continue; /* the handler reads, and the peer waits for leave to send */
};
struct flow_news mesh__flow_news(mesh_exchange *);

/* Bytes that came and are unread. */
size_t mesh__flow_unread(mesh_exchange *);

/* The response begins, well, though the request has not come: a peer that waits for leave to send it is to get that
 * first. True once. */
bool mesh__flow_take_continue(mesh_exchange *);

/* Since when nothing has come of what the handler waits to read, not counting when it did not wait; NANOS_NEVER when it
 * does not. */
mesh_nanos mesh__flow_reading_since(mesh_exchange *);

/* What is to be sent next, at most `most` bytes, valid until it is asked again; with the last ones the trailers. */
enum body_next mesh__flow_next(mesh_exchange *, size_t most, struct view *bytes, struct http1_field_group *trailers);

/* Calls what mesh__flow_ask() was given, if that is due. */
void mesh__flow_tell(mesh_exchange *);

/* ---- the side of whoever has the exchange; statuses are as those of mesh_exchange_read() and _write() ---- */

/* Waits until something can be read: it is in `body`, from `body_at` on. MESH_OK with nothing there: the end. */
mesh_status mesh__flow_fill(mesh_exchange *, mesh_nanos timeout);

/* Appends as much of the bytes as finds room and says how much. */
mesh_status mesh__flow_write(mesh_exchange *, struct view bytes, mesh_nanos timeout, size_t *written);

/* Appends all of both, or nothing. */
mesh_status mesh__flow_write_whole(mesh_exchange *, struct view head, struct view bytes, mesh_nanos timeout);

/* The request is not whole: how it goes on is not known, or it never will. */
bool mesh__flow_is_open(mesh_exchange *);

/* Has `ready` called once by the loop when what last answered MESH_EAGAIN is worth trying again. False: there is no
 * loop any more, and it will not be called. */
bool mesh__flow_ask(mesh_exchange *, mesh_ready ready, void *user);

#endif
