/* SPDX-License-Identifier: Apache-2.0 */
/* http_peer.h - endpoints that answer as http_script.h says: on loopback sockets, on one thread; and in memory, on the
 * loops of their clients. They speak HTTP/1.1 and HTTP/2, whichever a client begins with, and TLS where they are given
 * a spec. */
#ifndef TESTS_SUPPORT_HTTP_PEER_H
#define TESTS_SUPPORT_HTTP_PEER_H

#include "net/memory.h"
#include "support/http_script.h"
#include "tls/tls.h"

#define PEER_TEXT 64

/* What is between the endpoints and the bytes. */
struct http_layers {
    struct tls_spec *spec; /* of a server; NULL: plain text. Borrowed */
    bool awkward;          /* an inverting stream, below TLS if that is there */
};

struct http_peer;

/* Listens at `count` ports; endpoint i of the script is port i. The test ends if that fails. */
struct http_peer *http_peer_start(struct http_script *, const struct http_layers *, int count);
void http_peer_stop(struct http_peer *);

/* "127.0.0.1:PORT" of endpoint i. */
const char *http_peer_address(const struct http_peer *, int endpoint);

/* True on the thread of such a peer. */
bool http_peer_is_here(void);

/* An address at which nobody listens, and nobody will as long as the descriptor that it returns is open. */
int http_peer_refusing(char address[PEER_TEXT]);

struct http_memory_peer;

/* Has endpoints in a network in memory; to be freed after the last client in it. */
struct http_memory_peer *http_memory_peer_new(struct memory_network *, struct http_script *,
                                              const struct http_layers *);
void http_memory_peer_listen(struct http_memory_peer *, const char *address, int endpoint);
void http_memory_peer_free(struct http_memory_peer *);

#endif
