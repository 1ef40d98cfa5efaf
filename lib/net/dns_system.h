/* SPDX-License-Identifier: Apache-2.0 */
/* dns_system.h - what the machine's own files say about names: the hosts file, and resolv.conf's search and ndots. */
#ifndef MESH__NET_DNS_SYSTEM_H
#define MESH__NET_DNS_SYSTEM_H

#include "base/buf.h"
#include "net/dns_set.h"

#define DNS_NAME_MAX 253 /* characters of a host name, without a trailing dot */
#define DNS_SEARCH_MAX 16

/* The names to ask for in turn: each ends with a NUL, in `names`. The resolv.conf that says so is given as text. A name
 * with a trailing dot is asked as it is; one with at least ndots dots (1 unless said) first as it is, then with each
 * search domain behind it; any other the other way round. `host_name` (the machine's) gives the search domain when
 * there is neither a "search" nor a "domain" line. False when memory is out. */
bool mesh__dns_names(struct view resolv_conf, const char *host_name, struct view host, struct buf *names);

/* True when `host` is an IP address itself: "1.2.3.4", "::1", "fe80::1%2" or "fe80::1%eth0". */
bool mesh__dns_literal(struct view host, uint16_t port, struct address *out);

/* Adds the addresses of `host` in the text of a hosts file. 0, or ENOMEM. */
int mesh__dns_hosts_find(struct view hosts, struct view host, struct dns_set *set);

/* Whether a resolver may ask for it at all: length, no empty label, no blank, control character or backslash. */
bool mesh__dns_is_host_name(struct view host);

#endif
