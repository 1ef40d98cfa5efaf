/* SPDX-License-Identifier: Apache-2.0 */
/* stream.h - a call whose bodies come and go in pieces: what crosses between its user's threads and its shard's driver.
 *
 * States, each for good: OPEN (`call` is its slot; the call lives), ENDED (`call` is NULL, `status` and `result` are
 * the stream's), and apart from that FINISHED (the user has given it back).
 *
 * References  one is the user's, until mesh_stream_finish(); one the call's, until it has ended; one a note's, while
 * that is in the client's queue. The last one frees. The stream's memory comes from the client's allocator and outlives
 * the client. `lock`      is for what is marked so below. It is held for copying only; nothing is locked inside it, no
 * event is fed and nobody is woken. client      A user's thread touches the client only between enter and exit. It
 * enters under `lock` while `call` is there: the call lives, so the client does, and whoever frees it waits for the
 * exit. posts       A user's thread tells the driver by POST_STREAM, under `lock` too, so that it never posts a slot
 * that is another's; one that is taken out of the inbox late finds no stream there, or another one's nothing to do. out
 * The request's bytes. [out.begin, given) were given to a connection and are kept for another attempt until the call is
 * committed; [given, lent) lie with the codec; the rest waits. in          The response's bytes that have not been
 * read. While the head is withheld they wait for END or COMMIT. */
#ifndef MESH__CLIENT_STREAM_H
#define MESH__CLIENT_STREAM_H

#include "base/pipe.h"
#include "client/call.h"
#include "wire/grpc.h"

#include <mesh/stream.h>
#include <sys/types.h>

#define STREAM_WAITING_MAX ((size_t)64 * 1024) /* of written bytes; more if the service keeps more for a replay */
#define STREAM_HELD_MAX ((size_t)32 * 1024)    /* of a response that may be replaced: less than any window */
#define STREAM_CREDIT_MIN ((size_t)32 * 1024)  /* bytes read are told to the driver in lots of this */

/* What a user's thread waits for. */
enum stream_want { STREAM_WANTS_WRITE = 1, STREAM_WANTS_READ = 2, STREAM_WANTS_HEAD = 4, STREAM_WANTS_END = 8 };

struct mesh_stream {
    struct refs refs;
    struct mem mem;
    pid_t opener;
    struct mesh_client *client; /* while OPEN */
    struct shard *shard;        /* while OPEN */
    void *user;
    mesh_call_id id;
    bool notify;       /* MESH_STREAM_NOTIFY */
    bool whole;        /* MESH_STREAM_WHOLE: the request is the call's body */
    bool endless;      /* request.timeout_ns was below 0 */
    bool may_wait;     /* the client is not an external one */
    bool committed;    /* the driver's */
    bool commit_asked; /* the driver's: of this attempt */

    /* A futex for waiters: changes when something that was wanted has come. */
    _Atomic uint32_t word, waiters;

    pthread_mutex_t lock; /* of what follows, but what is said to be somebody's */
    struct call *call;
    mesh_status status;
    struct mesh_result *result; /* the driver's while OPEN, but for the head once it was handed on */
    bool answered;              /* the head was handed on */
    bool finished;
    uint32_t wanted;             /* enum stream_want, or-ed */
    bool posted;                 /* the driver has been told and has not looked */
    mesh_status fault;           /* what the reader found wrong with the response; MESH_OK: nothing */
    enum grpc_status fault_grpc; /* of `fault`, or `broken` */
    const char *fault_reason;    /* static, or NULL */

    /* The request. */
    struct pipe out;
    uint64_t given, lent;
    size_t replay, limit; /* bytes; `limit` is what may be in `out` */
    bool out_ended;
    bool source_waits; /* the codec was told BODY_LATER */
    mesh_header *trailers;
    size_t trailer_count;

    /* The response. */
    struct pipe in;
    size_t consumed;    /* read, and not yet told to the exchange */
    size_t max_message; /* max_body */

    /* Notes; under the client's lock of completions. */
    struct mesh_stream *next_note;

    /* Notes; under `lock`. */
    uint32_t note_wanted; /* enum stream_want, or-ed: of what MESH_EAGAIN was answered to */
    bool note_queued;

    /* The reader's: the message that is being received. */
    struct grpc_decoder decoder;
    bool decoding;
    bool no_messages; /* the response is not gRPC: what comes is dropped */
    struct buf message;
    mesh_status broken; /* what receiving answers from now on, and a call ends with that ended well; or MESH_OK */
};

/* ---- life ---- */

/* Whether request.body is all that is ever sent: by flag, or by method. */
bool mesh__stream_is_whole(const mesh_request *);

/* For a call that is about to be posted, which it then belongs to. NULL when memory is out. */
struct mesh_stream *mesh__stream_new(struct call *, const mesh_request *, void *user);
void mesh__stream_unref(struct mesh_stream *);

/* In a child after fork(): returns the memory, as far as no other thread was at it. */
void mesh__stream_abandon(struct mesh_stream *);

/* ---- the driver's side; what concerns the machine is fed to it ---- */

/* The call has begun: what its service says about streams. */
void mesh__stream_begin(struct call *);

/* An attempt begins: its exchange's body, from the first byte on. */
void mesh__stream_attempt(struct call *);

/* Bytes of the response. False: memory is out. */
bool mesh__stream_receive(struct call *, struct view bytes);

/* DELIVER: the head is there. */
void mesh__stream_deliver(struct call *);

/* The machine has committed: what is kept for another attempt is let go of. Harmless when it was told before. */
void mesh__stream_commit(struct call *);

/* POST_STREAM: there may be bytes to send, credit to give, or a fault to tell. The call may be done. */
void mesh__stream_serve(struct call *);

/* The call has ended with its result, which is the stream's from now on. Drops the call's reference. */
void mesh__stream_ended(struct call *);

/* ---- notes: streams in the client's queue of completions ---- */

/* Puts the notes of this turn into the queue, under its lock. Returns how many. */
uint32_t mesh__stream_flush_notes(struct shard *);

/* Makes a completion of a note that was taken out of the queue, and drops its reference. False: the user has given the
 * stream back. */
bool mesh__stream_fill(struct mesh_stream *, mesh_completion *out);

#endif
