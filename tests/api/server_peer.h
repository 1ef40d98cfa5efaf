/* SPDX-License-Identifier: Apache-2.0 */
/* server_peer.h - a small blocking HTTP/1.1 peer for tests of the server, and what opens a server for one. No wait is
 * longer than PEER_PATIENCE_S; one that would be fails the test. */
#ifndef TESTS_API_SERVER_PEER_H
#define TESTS_API_SERVER_PEER_H

#include <mesh/server.h>
#include <semaphore.h>
#include <stdbool.h>

#define PEER_PATIENCE_S 5

struct peer {
    int fd;
    char *in; /* read, and not yet taken */
    size_t size;
};

struct answer {
    int status;
    char head[4096]; /* NUL-terminated, with the empty line */
    char *body;      /* NUL-terminated */
    size_t size;
    char trailers[512]; /* of a chunked body: as they came */
};

/* Connects to "127.0.0.1:80" or "unix:/path". */
struct peer peer_connect(const char *address);
void peer_close(struct peer *peer);
void peer_reset(struct peer *peer); /* closes by RST */

/* Sends all of it; false when the connection is broken. */
bool peer_send(struct peer *peer, const char *bytes, size_t size);
bool peer_say(struct peer *peer, const char *text);

/* Takes one response, whole or in chunks. `bodiless` for HEAD. False when the connection ended before its last byte. */
bool peer_read(struct peer *peer, bool bodiless, struct answer *out);
void answer_free(struct answer *answer);

/* The value of a field of the head, up to its line's end; false when there is none. */
bool answer_field(const struct answer *answer, const char *name, char *out, size_t room);

/* Nothing more comes, and the peer has closed, orderly or not. */
bool peer_at_end(struct peer *peer);

/* One request and its answer's status; the body goes into `body` unless that is NULL. */
int peer_ask(struct peer *peer, const char *request, char *body, size_t room);

/* Opens server "test" with these settings in JSON; "listen" is 127.0.0.1:0 unless it is among them. */
mesh_server *open_server(const char *settings, const mesh_options *options, mesh_handler handler, void *user);

/* Waits for a post; fails the test when none comes. */
void await(sem_t *event);

#endif
