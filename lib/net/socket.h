/* SPDX-License-Identifier: Apache-2.0 */
/* socket.h - TCP and Unix sockets as streams, and listening sockets. SIGPIPE is never raised. */
#ifndef MESH__NET_SOCKET_H
#define MESH__NET_SOCKET_H

#include "net/stream.h"

/* Begins to connect. 0 or a negative errno. A connection to itself (an ephemeral port that meets its own address)
 * counts as refused. */
int mesh__socket_connect(struct loop *, const struct address *, struct stream **out);

/* Makes a stream of a connected non-blocking descriptor, which it owns from then on also when this fails. */
int mesh__socket_adopt(struct loop *, int fd, struct stream **out);

/* A listening descriptor, non-blocking; `bound` says where, with the port that was chosen for 0. Negative errno. A Unix
 * path that nobody listens at any more is taken over. */
int mesh__socket_listen(const struct address *, int backlog, struct address *bound);

#endif
