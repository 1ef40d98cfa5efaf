/* SPDX-License-Identifier: Apache-2.0 */
/* channel.h - a connection: a byte stream, plain or TLS, under an HTTP/1.1 codec, carrying one exchange at a time.
 *
 * States: DIALING (the stream is connecting or shaking hands), IDLE (in its pool), BUSY (an exchange is on it), CLOSED
 * (waits for the end of the step that closed it, then is freed). A channel belongs to a pool (pool.h), lives on one
 * loop, and counts as one of its service's connections from dial to close. An exchange leaves its channel before it is
 * told its end or failure. */
#ifndef MESH__NET_CHANNEL_H
#define MESH__NET_CHANNEL_H

#include "net/stream.h"
#include "policy/classify.h"
#include "wire/http1.h"

struct pool;
struct exchange;
struct tls_report;
struct tls_spec;

/* Why an exchange failed. */
struct failure {
    mesh_status status;
    const char *reason; /* words that live as long as the call that tells, or NULL */
    int error_number;   /* errno, or 0 */
    bool unsent;        /* no byte of the request was given to a connection */
    bool stale;         /* a used connection closed without a byte of response */
};

/* What an exchange is told, from the loop or from inside mesh__pool_acquire(); each may cancel the exchange. After
 * `end` and `failed` the pool has forgotten it. */
struct exchange_events {
    void (*ready)(struct exchange *);           /* it has a connection */
    void (*sent)(struct exchange *, enum sent); /* SENT_PART, SENT_ALL: given to the connection so far */
    bool (*head)(struct exchange *, const struct http1_head *); /* false: memory is out */
    bool (*body)(struct exchange *, struct view);
    void (*end)(struct exchange *);
    void (*failed)(struct exchange *, const struct failure *);
};

/* One request and its response on their way. Owned by the caller, zero-initialised; the first group is set before
 * mesh__pool_acquire() and stays valid until end, failure or cancel. */
struct exchange {
    const struct exchange_events *events;
    struct view head, body; /* the bytes to send */
    bool to_head;           /* the request is HEAD */
    struct http1_limits limits;

    struct pool *pool;       /* the rest is the pool's and the channel's */
    struct channel *channel; /* NULL while it waits */
    struct list waiting;     /* in pool.waiting */
    struct list starved;     /* in pool_group.starved */
    size_t sent;
    bool reused;
    mesh_nanos shaking;                                       /* how long hands were shaken on its connection */
    mesh_nanos asked_at, ready_at, sent_at, first_at, end_at; /* 0: not yet */
};

enum channel_state { CHANNEL_DIALING, CHANNEL_IDLE, CHANNEL_BUSY, CHANNEL_CLOSED };

struct channel {
    const struct mem *mem;
    struct pool *pool; /* valid until CLOSED */
    struct list link;  /* in one of the pool's lists */
    struct stream *stream;
    struct http1_reader *reader;
    struct exchange *exchange;
    struct loop_timer timer; /* of dialling, then of idling; left armed while busy */
    struct loop_task again;  /* reads on, when input is buffered */
    enum channel_state state;
    bool stepping;
    bool ended;            /* the peer has finished, maybe behind bytes that are still to be read */
    int write_error;       /* errno of a failed write; nothing more is written */
    uint32_t exchanges;    /* begun */
    struct tls_spec *spec; /* the stream's, which holds it; NULL: plain text */
    uint64_t judged;       /* the group's `secured` when its policy let this channel talk to the peer */
    mesh_nanos opened_at, idle_since, idle_limit;
    uint64_t idle_turn;
};

/* What hands were shaken on, and how long that took; NULL for plain text. */
const struct tls_report *mesh__channel_tls(const struct channel *, mesh_nanos *took);

/* Whether the policy in force lets this side talk to the peer: judged once for each policy. Once dialled. */
bool mesh__channel_allowed(struct channel *);

/* Begins to dial. 0 or a negative errno; then nothing remains. */
int mesh__channel_dial(struct pool *, const struct address *, mesh_nanos timeout, struct channel **out);

/* Puts the exchange on an idle channel and sends what the connection takes. */
void mesh__channel_begin(struct channel *, struct exchange *);

/* Closes; an exchange on it is forgotten, not told. */
void mesh__channel_close(struct channel *);

#endif
