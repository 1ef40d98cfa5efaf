/* SPDX-License-Identifier: Apache-2.0 */
/* connection.h - one connection of a server, and its states; docs/internals/server.md. All of it runs on the loop. */
#ifndef MESH__SERVER_CONNECTION_H
#define MESH__SERVER_CONNECTION_H

#include "net/stream.h"
#include "server/exchange.h"
#include "wire/http2.h"

enum connection_state {
    CONNECTION_SNIFFING,  /* nothing has come; the first byte says whether it is TLS */
    CONNECTION_SHAKING,   /* hands are being shaken */
    CONNECTION_IDLE,      /* HTTP/1.1, or not known yet: no byte of a request has come */
    CONNECTION_READING,   /* a request is coming */
    CONNECTION_SERVING,   /* it is with its handler */
    CONNECTION_STREAMING, /* the same, and the request is still coming, or the answer going out already */
    CONNECTION_WRITING,   /* its answer is going out */
    CONNECTION_SHARED,    /* HTTP/2: any number of exchanges, each in a state of its own */
    CONNECTION_LINGERING, /* the last answer is out; what the peer still sends is discarded */
    CONNECTION_CLOSED
};

/* HTTP/1.1's half: one exchange at a time. */
struct connection_http1 {
    struct http1_reader *reader;
    mesh_exchange *exchange; /* whose request is coming, or which is with its handler; else NULL */
    struct buf in;           /* bytes read that belong to later requests */
    size_t in_at;            /* of these used already */
    bool expects_continue;
    bool whole;       /* STREAMING: the last piece of the answer has been taken */
    bool held;        /* STREAMING: too much of the request is unread for more to be read */
    bool open_ended;  /* the answer ends with the connection, and is not all out: an orderly end would look like its own
                       */
    bool close_after; /* nothing follows what is in `out` */
    bool linger;      /* the peer may still be sending when that is out */
    int32_t refusal;  /* why the reader was told to stop: a status; 0: memory */
};

/* HTTP/2's half. An exchange is in one of the lists, by `here`, for as long as its stream is known. */
struct connection_http2 {
    struct http2_conn *conn;  /* NULL: the connection speaks HTTP/1.1 */
    struct list coming;       /* exchanges whose requests are not complete, the oldest first */
    struct list serving;      /* with a handler */
    struct list going;        /* answered, and the answer is not all out; the one that has stood still longest first */
    struct list link;         /* in the server's `dirty`: frames may have to go out, and the timer to be set */
    mesh_nanos idle_since;    /* the last exchange ended */
    mesh_nanos stalled_since; /* with bytes in `out`: the peer last took any */
    mesh_nanos timer_due;     /* NANOS_NEVER: it is not set */
    mesh_nanos drained;       /* NANOS_NEVER: not draining; else since when */
    bool broken;              /* what is in `out` is the last, and has been logged */
};

struct connection {
    mesh_server *server;
    struct list link; /* in the server's connections, or in its closed ones */
    enum connection_state state;
    struct stream *stream; /* NULL once closed */
    int fd;                /* of the socket at the bottom; to look at what has come, never to take it */
    struct peer *peer;
    uint32_t epoch; /* of the server's identity that hands are shaken with */
    struct loop_timer timer;
    struct loop_task again; /* reading goes on */
    struct buf out;
    size_t out_at;       /* of these written already */
    bool undecided;      /* the first bytes say whether it is HTTP/2 */
    size_t preface_size; /* so many of them are those of HTTP/2's preface */
    struct connection_http1 http1;
    struct connection_http2 http2;
};

/* Takes the descriptor, also when it fails: a negative errno. */
int mesh__connection_open(mesh_server *, int fd, const struct sockaddr *peer, socklen_t peer_size);

/* Does what was posted (enum server_post) of an exchange, if its connection is still there. */
void mesh__connection_follow(mesh_exchange *, uint32_t posts);

/* Gives the exchange to a worker, or to the handler. False when too many wait: it is not handed over then. */
bool mesh__connection_hand_over(mesh_exchange *);

/* Closes the connection if no request is under way or has arrived; HTTP/2 takes leave first. */
void mesh__connection_drain(struct connection *);

/* The server's identity has changed: a connection of an old one is closed after its next answer, or soon if it stays
 * idle. */
void mesh__connection_outdate(struct connection *);

/* Closes the connection; how many exchanges that cut. */
uint32_t mesh__connection_cut(struct connection *);

/* At the end of a turn: sends what the turn has left to send on HTTP/2 connections, */
void mesh__connection_flush(mesh_server *);

/* and frees the connections that have closed. */
void mesh__connection_bury(mesh_server *);

/* Between connection.c, its two halves, and admission.c, which has the states before the first request. */
void mesh__connection_admit(struct connection *);                 /* something is ready in one of those */
void mesh__connection_ready(void *connection, uint32_t events);   /* of its stream */
void mesh__connection_timeout(struct loop_timer *);               /* of its timer */
void mesh__connection_wait(struct connection *, mesh_nanos most); /* sets the timer; 0: no limit */
void mesh__connection_linger(struct connection *);                /* finishes the stream and waits for the peer's end */
void mesh__connection_close(struct connection *);

/* Nothing has come that was not taken. Unlike the stream's is_quiet() it takes nothing from a TLS stream. */
bool mesh__connection_is_silent(const struct connection *);

/* It speaks TLS, and was met with an identity that is not in force any more. */
bool mesh__connection_is_outdated(const struct connection *);

/* How long it may be idle. A peer whose connection was met with an old identity is told so with its next answer.
 * Closing an idle connection at once could meet a request under way, which would be lost; one that was silent for a
 * while will hardly be used. */
mesh_nanos mesh__connection_idle_time(const struct connection *);

/* Reads at most so often for one connection before the others get their turn. What is buffered then is read on in the
 * next turn: nothing else announces it. */
#define READS_PER_TURN 16
void mesh__connection_again(struct connection *);
void mesh__connection_read_on(struct loop_task *); /* its task */

/* Writes what is in `out`: 1 when all of it is out, 0 when the socket is full, or a negative errno. */
int mesh__connection_write(struct connection *);

/* Sends the bytes, with nothing in `out` before them, and keeps there what finds no room: 0 or a negative errno. */
int mesh__connection_send(struct connection *, const struct buf *bytes);

/* Reports that the exchange's connection has gone and lets go of it: one that somebody has stays valid. */
void mesh__connection_lose(mesh_exchange *, mesh_status outcome);

/* The limits of a request. One that is read in pieces may have any size. */
struct http1_limits mesh__connection_limits(const struct connection *);

/* Logs that a request is answered with a refusal, and writes the words of it with a line end into `text`. */
#define REFUSAL_TEXT_MAX 128
void mesh__connection_log_refusal(const struct connection *, int32_t status, const char *reason,
                                  char text[REFUSAL_TEXT_MAX]);

/* HTTP/1.1's half. `abort` has the connection that closes next be taken for broken. */
void mesh__http1_stream_abort(struct connection *);
struct http1_reader *mesh__http1_side_reader(struct connection *); /* a new one for it; NULL: no memory */
void mesh__http1_side_begin(struct connection *, bool undecided);  /* from here on requests are awaited */
void mesh__http1_side_ready(struct connection *, uint32_t events);
void mesh__http1_side_timeout(struct connection *); /* in READING */
void mesh__http1_side_follow(struct connection *, mesh_exchange *, uint32_t posts);

/* HTTP/2's half. `begin` takes what has been read already, `take` what is read next; `lose` lets go of all exchanges of
 * a connection that closes; `drain` says that no more streams are taken. */
void mesh__http2_side_begin(struct connection *, const char *bytes, size_t size);
void mesh__http2_side_take(struct connection *, const char *bytes, size_t size);
void mesh__http2_side_ready(struct connection *, uint32_t events);
void mesh__http2_side_timeout(struct connection *);
void mesh__http2_side_follow(struct connection *, mesh_exchange *, uint32_t posts);
void mesh__http2_side_drain(struct connection *);
void mesh__http2_side_flush(struct connection *);
uint32_t mesh__http2_side_count(const struct connection *); /* exchanges under way */
void mesh__http2_side_lose(struct connection *);

#endif
