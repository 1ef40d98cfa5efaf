/* SPDX-License-Identifier: Apache-2.0 */
/* stream_user.h - the user's side of a stream: what can be done at once, and the wait for what cannot.
 *
 * A try does what can be done under the stream's lock. MESH_EAGAIN: nothing, and `wanted` says what has to come. */
#ifndef MESH__CLIENT_STREAM_USER_H
#define MESH__CLIENT_STREAM_USER_H

#include "client/stream.h"

/* What is asked of a try, and what came of it. */
struct wish {
    const char *from; /* bytes to write */
    char *space;      /* where bytes that are read go */
    size_t size;
    size_t done; /* bytes written or read */
    const mesh_result *head;
    bool found; /* a message is in stream.message */
    bool tell;  /* the driver has something to do */
};

typedef mesh_status stream_try(struct mesh_stream *, struct wish *);

stream_try mesh__stream_try_write;   /* `size` bytes; those already `done` are not written again */
stream_try mesh__stream_try_send;    /* one message */
stream_try mesh__stream_try_head;    /* the head is there */
stream_try mesh__stream_try_read;    /* at most `size` bytes; `done` 0: the end */
stream_try mesh__stream_try_message; /* one message, or the end */
stream_try mesh__stream_try_either;  /* something can be written or read */
stream_try mesh__stream_try_over;    /* the call has ended */

/* Tries until something could be done, the call has ended or the time is up. Waits as mesh/stream.h says. */
mesh_status mesh__stream_run(struct mesh_stream *, stream_try *, struct wish *, int64_t timeout_ns);

/* The request is complete. Takes over `trailers`, whatever it returns: they are in one block of the stream's memory, or
 * NULL. */
mesh_status mesh__stream_half_close(struct mesh_stream *, mesh_header *trailers, size_t count);

/* Asks the call to end, if it has not. */
void mesh__stream_cancel(struct mesh_stream *);

/* The user gives the call up. What it ends with is MESH_CANCELLED, also where a response had come whole before. */
void mesh__stream_give_up(struct mesh_stream *, const char *reason);

/* The stream has ended with this result: what the user's side found wrong with a response that had come whole is put
 * there. */
void mesh__stream_conclude(const struct mesh_stream *, struct mesh_result *);

/* True in a child of the process that opened the stream. */
bool mesh__stream_forked(const struct mesh_stream *);

#endif
