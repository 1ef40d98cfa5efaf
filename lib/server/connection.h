/* SPDX-License-Identifier: Apache-2.0 */
/* connection.h - one connection of a server, and its states; docs/internals/server.md. All of it runs on the loop. */
#ifndef MESH__SERVER_CONNECTION_H
#define MESH__SERVER_CONNECTION_H

#include "net/stream.h"
#include "server/exchange.h"

enum connection_state {
    CONNECTION_SNIFFING,  /* nothing has come; the first byte says whether it is TLS */
    CONNECTION_SHAKING,   /* hands are being shaken */
    CONNECTION_IDLE,      /* no byte of a request has come */
    CONNECTION_READING,   /* a request is coming */
    CONNECTION_SERVING,   /* it is with its handler */
    CONNECTION_WRITING,   /* its answer is going out */
    CONNECTION_LINGERING, /* the last answer is out; what the peer still sends is discarded */
    CONNECTION_CLOSED
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
    struct http1_reader *reader;
    mesh_exchange *exchange; /* whose request is coming, or which is with its handler; else NULL */
    struct buf in;           /* bytes read that belong to later requests */
    size_t in_at;            /* of these used already */
    struct buf out;
    size_t out_at; /* of these written already */
    bool expects_continue;
    bool close_after; /* nothing follows what is in `out` */
    bool linger;      /* the peer may still be sending when that is out */
    int32_t refusal;  /* why the reader was told to stop: a status; 0: memory */
};

/* Takes the descriptor, also when it fails: a negative errno. */
int mesh__connection_open(mesh_server *, int fd, const struct sockaddr *peer, socklen_t peer_size);

/* Sends the reply of an exchange that has come back, if its connection is still there, and goes on with the next. */
void mesh__connection_answer(mesh_exchange *);

/* Closes the connection if no request is under way or has arrived. */
void mesh__connection_drain(struct connection *);

/* The server's identity has changed: a connection of an old one is closed after its next answer, or soon if it stays
 * idle. */
void mesh__connection_outdate(struct connection *);

/* Closes the connection; true when that cut an exchange. */
bool mesh__connection_cut(struct connection *);

/* Frees the connections that have closed. */
void mesh__connection_bury(mesh_server *);

/* Between connection.c and admission.c, which has the states before the first request. */
void mesh__connection_admit(struct connection *);                  /* something is ready in one of those */
struct http1_reader *mesh__connection_reader(struct connection *); /* a new one for it; NULL: no memory */
void mesh__connection_begin(struct connection *);                  /* from here on requests are awaited */
void mesh__connection_ready(void *connection, uint32_t events);    /* of its stream */
void mesh__connection_timeout(struct loop_timer *);                /* of its timer */
void mesh__connection_wait(struct connection *, mesh_nanos most);  /* sets the timer; 0: no limit */
void mesh__connection_linger(struct connection *); /* finishes the stream and waits for the peer's end */
void mesh__connection_close(struct connection *);

#endif
