/* SPDX-License-Identifier: Apache-2.0 */
/* dns.h - A and AAAA look-ups through c-ares on a loop, with times to live.
 *
 * DNS as Kubernetes has it: the hosts file, search domains and ndots are honoured; a trailing dot makes a name
 * absolute. IP literals are answered without a look-up. The time budget is ours: `timeout` for the first try at a
 * server, doubling, for `tries` tries over all servers. Truncated answers are asked again over TCP. resolv.conf is read
 * anew when it changed. Nothing is cached here: whoever asks keeps what it got for as long as its time to live says. */
#ifndef MESH__NET_DNS_H
#define MESH__NET_DNS_H

#include "net/loop.h"

#include <mesh/status.h>

struct dns;
struct dns_query;

struct dns_options {
    const struct address *servers; /* none: resolv.conf; copied */
    uint32_t server_count;
    mesh_nanos timeout;
    uint32_t tries;
    const char *resolv_conf; /* NULL: /etc/resolv.conf; copied */
    const char *hosts;       /* NULL: /etc/hosts; copied */
};

struct dns_answer {
    mesh_status status; /* MESH_OK: at least one address; MESH_NO_SUCH_NAME; MESH_NO_ENDPOINT: the name has none;
                         * MESH_DISCOVERY: no answer, or a server's failure */
    const struct address *addresses; /* with the port asked for; IPv4 before IPv6, sorted; without duplicates */
    uint32_t count;
    uint32_t ttl_s;     /* the least of all records, CNAMEs included; of a negative answer what the SOA says, or 0 */
    int missing_family; /* MESH_OK, yet this one's question (AF_INET or AF_INET6) got no answer; 0: both did */
    const char *detail; /* words for a person when status is not MESH_OK, as "SERVFAIL from 127.0.0.1:5300"; else "" */
};

/* NULL when memory is out or c-ares cannot start. */
struct dns *mesh__dns_new(struct loop *, const struct dns_options *);
void mesh__dns_free(struct dns *); /* NULL is legal; outstanding queries end without their callbacks */

/* Asks. `done` is called once from the loop, never from inside this function; what it is given lives until it returns.
 * NULL when memory is out. */
struct dns_query *mesh__dns_resolve(struct dns *, const char *host, uint16_t port,
                                    void (*done)(void *user, const struct dns_answer *), void *user);

/* No callback comes after it. A query is gone once its callback has returned; until then this may be called, and
 * mesh__dns_free() too, from inside the callback as well. */
void mesh__dns_cancel(struct dns_query *);

#endif
