/* SPDX-License-Identifier: Apache-2.0 */
/* channel.h - a connection: a byte stream, plain or TLS, under a codec that carries exchanges over it.
 *
 * States: DIALING (the stream is connecting or shaking hands), IDLE (no exchange is on it), BUSY (one is: over HTTP/1.1
 * no other then, over HTTP/2 as many as the peer allows), CLOSED (waits for the end of the step that closed it, then is
 * freed). A channel belongs to a pool (pool.h), lives on one loop, and counts as one of its service's connections from
 * dial to close. What all channels share is in channel.c; a codec is a table of functions, chosen once the stream is up
 * (channel_http1.c, channel_http2.c). An exchange leaves its channel before it is told its end or failure. */
#ifndef MESH__NET_CHANNEL_H
#define MESH__NET_CHANNEL_H

#include "net/stream.h"
#include "policy/classify.h"
#include "wire/http1.h"

struct pool;
struct exchange;
struct http2_stream;
struct tls_report;
struct tls_spec;

/* Why an exchange failed. */
struct failure {
    mesh_status status;
    const char *reason; /* words that live as long as the call that tells, or NULL */
    int error_number;   /* errno, or 0 */
    bool unsent;        /* the peer provably did not act: no byte of the request was given to a connection, or the peer
                           said so (HTTP/2: REFUSED_STREAM, above GOAWAY) */
    bool stale;   /* it tells of the connection, not of the endpoint: a used one closed without a byte of response,
                     or one that the peer went away from in order */
    bool by_peer; /* HTTP/2: the peer sent RST_STREAM, with this code: */
    uint32_t code;
};

/* What an exchange is told, from the loop or from inside mesh__pool_acquire(); each may cancel the exchange. After
 * `end` and `failed` the pool has forgotten it. The response may come, and end, while the request is still being sent:
 * what is left of that is then not sent. */
struct exchange_events {
    void (*ready)(struct exchange *);           /* it has a connection; again, if that took nothing of it */
    void (*sent)(struct exchange *, enum sent); /* SENT_PART: some of it was given to the connection, SENT_ALL: all */
    bool (*head)(struct exchange *, const struct http1_head *); /* false: memory is out */
    bool (*body)(struct exchange *, struct view);
    bool (*trailers)(struct exchange *, const mesh_header *, size_t); /* behind the body; NULL: nobody asks */
    void (*end)(struct exchange *);
    void (*failed)(struct exchange *, const struct failure *);
};

/* How far an HTTP/1.1 request is written: part by part, each a piece of the body between two lots of its head's buffer.
 */
struct http1_sending {
    size_t lead;    /* bytes of that buffer before the piece */
    size_t given;   /* bytes of the part that the connection has taken */
    enum sent told; /* what was told of all this */
    bool chunked;
    bool later; /* the source has nothing now */
    bool whole; /* no part comes behind this one */
};

/* One request and its response on their way. Owned by the caller, zero-initialised; the first group is set before
 * mesh__pool_acquire() and stays valid until end, failure or cancel. */
struct exchange {
    const struct exchange_events *events;
    struct view method, path, authority;
    const struct http1_field_group *groups;
    size_t group_count;
    struct body_source body; /* used up as it is sent; its source is asked as events are told */
    bool to_head;            /* the request is HEAD */
    bool credit; /* bytes that `body` told count against what the peer may send until mesh__exchange_consume(), else
                    they are done with at once */
    struct buf *head; /* HTTP/1.1 writes the request's head here, and what frames the pieces of its body, so that its
                         memory can serve the next exchange too */
    struct http1_limits limits;

    struct pool *pool;       /* the rest is the pool's and the channel's */
    struct channel *channel; /* NULL while it waits */
    struct list waiting;     /* in pool.waiting */
    struct list starved;     /* in pool_group.starved */
    size_t sent;             /* HTTP/1.1: bytes; HTTP/2: not 0 once some may have been given to the connection */
    bool reused;
    struct http1_sending out;    /* HTTP/1.1 */
    size_t unread;               /* HTTP/1.1, with credit: bytes told and not yet consumed */
    bool stalled;                /* too many: nothing is read */
    bool moved;                  /* HTTP/2: it has changed its connection once */
    struct http2_stream *stream; /* HTTP/2 */
    struct list on;              /* in a list of its HTTP/2 channel */
    mesh_nanos shaking;          /* how long hands were shaken on its connection */
    mesh_nanos asked_at, ready_at, sent_at, first_at, end_at; /* 0: not yet */
};

enum channel_state { CHANNEL_DIALING, CHANNEL_IDLE, CHANNEL_BUSY, CHANNEL_CLOSED };

/* A protocol on a channel. All but `free` are called within a step, for a channel that is neither DIALING nor CLOSED.
 */
struct channel_codec {
    const char *name; /* as ALPN has it */
    bool multiplexed; /* it may carry several exchanges at once */

    bool (*open)(struct channel *); /* the stream is up; false: memory is out, and nothing remains */
    void (*begin)(struct channel *, struct exchange *);             /* puts the exchange on it */
    void (*cancel)(struct channel *, struct exchange *);            /* takes it off untold, or closes the channel */
    void (*resume)(struct channel *, struct exchange *);            /* its source has something now */
    void (*consume)(struct channel *, struct exchange *, size_t);   /* bytes told with credit are done with */
    void (*write)(struct channel *);                                /* the connection takes bytes */
    bool (*is_writing)(const struct channel *);                     /* there is something to write */
    bool (*is_reading)(const struct channel *);                     /* it takes input now; NULL: always */
    bool (*read)(struct channel *, const char *bytes, size_t size); /* false: nothing more to do for now */
    void (*lost)(struct channel *, int error);                      /* 0: the peer has finished; else -errno */
    void (*timer)(struct channel *);                                /* while BUSY */
    uint32_t (*room)(const struct channel *);                       /* for so many more exchanges */
    bool (*is_draining)(const struct channel *);                    /* it takes no more, for ever; NULL: never */
    void (*forget)(struct channel *);                               /* it closes: exchanges on it are not told */
    void (*free)(struct channel *);
};

extern const struct channel_codec mesh__codec_http1, mesh__codec_http2;

struct channel {
    const struct mem *mem;
    struct pool *pool; /* valid until CLOSED */
    struct list link;  /* in one of the pool's lists */
    struct stream *stream;
    const struct channel_codec *codec; /* NULL while DIALING */
    struct http1_reader *reader;       /* HTTP/1.1 */
    struct exchange *exchange;         /* HTTP/1.1 */
    struct channel_http2 *http2;       /* HTTP/2 */
    struct loop_timer timer;           /* of dialling, then of idling; left armed while busy */
    struct loop_task again;            /* reads on, when input is buffered */
    enum channel_state state;
    bool stepping;
    bool ended;            /* the peer has finished, maybe behind bytes that are still to be read */
    bool broken;           /* an error was announced while nothing was waited for: it is read, with all before it */
    int write_error;       /* errno of a failed write; nothing more is written */
    uint32_t exchanges;    /* begun */
    uint32_t active;       /* HTTP/2: exchanges on it */
    struct tls_spec *spec; /* the stream's, which holds it; NULL: plain text */
    uint64_t judged;       /* the group's `secured` when it was last found to be allowed */
    mesh_nanos opened_at, idle_since, idle_limit;
    uint64_t idle_turn;
};

/* What hands were shaken on, and how long that took; NULL for plain text. */
const struct tls_report *mesh__channel_tls(const struct channel *, mesh_nanos *took);

/* Whether what is in force, security, protocol and who may be talked to, has use for the channel: judged once for each
 * state of these. Once dialled. */
bool mesh__channel_allowed(struct channel *);

/* Begins to dial. 0 or a negative errno; then nothing remains. */
int mesh__channel_dial(struct pool *, const struct address *, mesh_nanos timeout, struct channel **out);

/* Puts the exchange on a channel with room and sends what the connection takes, or has it sent within this turn. */
void mesh__channel_begin(struct channel *, struct exchange *);

/* Takes the exchange off, untold; over HTTP/1.1 that costs the connection. */
void mesh__channel_cancel(struct channel *, struct exchange *);

/* The source of the exchange has something; bytes of its response are done with. What follows comes from the loop. */
void mesh__channel_resume(struct channel *, struct exchange *);
void mesh__channel_consume(struct channel *, struct exchange *, size_t);

/* Looks at an idle channel before it is used. Where the protocol lets the peer speak on its own, what it has said is
 * read first. False: the peer has finished, or said what nobody asked for, and the channel is closed. */
bool mesh__channel_look(struct channel *);

/* Closes; exchanges on it are forgotten, not told. */
void mesh__channel_close(struct channel *);

/* For codecs. Brackets around a step: the first says whether one was under way. The last is true when TLS tells that
 * the peer has refused this side after hands were shaken. */
bool mesh__channel_enter(struct channel *);
void mesh__channel_leave(struct channel *, bool was_stepping);
bool mesh__channel_refused(const struct channel *, struct failure *out);

#endif
