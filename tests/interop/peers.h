/* SPDX-License-Identifier: Apache-2.0 */
/* peers.h - servers that others wrote, started in a folder of papers, and calls of a client over HTTP/2 to them. */
#ifndef TESTS_INTEROP_PEERS_H
#define TESTS_INTEROP_PEERS_H

#include "api/server_papers.h"

#include <sys/types.h>

#define PEER_LARGE ((size_t)3 << 20)
#define PEER_SMALL "a small answer"
#define PEER_MUTUAL ", \"tls\": {\"mode\": \"mutual\", \"peers\": [\"spiffe://shop/payment\"]}"

struct peer_server {
    pid_t pid; /* 0: none */
    unsigned port;
};

/* Papers of "payment" (servers) and "order" (clients), and what servers answer with: the files small and large. */
void peers_make(struct papers *papers);

/* Starts a server and waits until it listens; each serves /small and /large. The test ends if it does not. nghttpd
 * speaks HTTP/2 only. `listens` is what nginx has behind the address, as "ssl http2; keepalive_requests 9", and
 * haproxy, as "proto h2"; haproxy has its answers but /small from `behind`, an nghttpd in plain text. Both have a
 * master process, which takes signals. */
void peers_nghttpd(struct peer_server *server, const struct papers *papers, bool tls);
void peers_nginx(struct peer_server *server, const struct papers *papers, const char *listens);
void peers_haproxy(struct peer_server *server, const struct papers *papers, const char *listens,
                   const struct peer_server *behind);

/* Ends it, with all of its processes, if it runs. */
void peers_kill(struct peer_server *server);

/* A client of one shard of the service "s" at these endpoints, with these members beside them, as PEER_MUTUAL. */
mesh_client *peers_client(const struct papers *papers, const struct peer_server *servers, size_t count,
                          const mesh_allocator *allocator, const char *members);

mesh_request peers_request(const char *method, const char *path);

/* One call, answered with 200 over this version (11, 20); its body's size. */
size_t peers_call(mesh_client *client, const mesh_request *request, int32_t version);

/* So many calls in flight, each replaced as it ends while `going` says so; each must end with 200. Or until `all` of
 * them have ended. */
void peers_while(mesh_client *client, const char *path, uint32_t in_flight, bool (*going)(uint64_t started, void *user),
                 void *user);
void peers_many(mesh_client *client, const char *path, uint32_t in_flight, uint32_t all);

mesh_counters peers_counters(mesh_client *client);

#endif
