/* SPDX-License-Identifier: Apache-2.0 */
/* http_peer.h - endpoints that answer as http_script.h says: on loopback sockets, on one thread; and in memory. */
#ifndef TESTS_SUPPORT_HTTP_PEER_H
#define TESTS_SUPPORT_HTTP_PEER_H

#include "net/memory.h"
#include "support/http_script.h"

#define PEER_TEXT 64

struct http_peer;

/* Listens at `count` ports; endpoint i of the script is port i. The test ends if that fails. */
struct http_peer *http_peer_start(struct http_script *, int count);
void http_peer_stop(struct http_peer *);

/* "127.0.0.1:PORT" of endpoint i. */
const char *http_peer_address(const struct http_peer *, int endpoint);

/* An address at which nobody listens, and nobody will as long as the descriptor that it returns is open. */
int http_peer_refusing(char address[PEER_TEXT]);

/* Has endpoint i answer at this address of a network in memory. */
void http_peer_in_memory(struct memory_network *, const char *address, struct http_script *, int endpoint);

#endif
