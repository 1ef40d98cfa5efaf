/* SPDX-License-Identifier: Apache-2.0 */
/* dns_set.h - the addresses that a look-up found: collected in any order, then sorted and without duplicates. */
#ifndef MESH__NET_DNS_SET_H
#define MESH__NET_DNS_SET_H

#include "base/mem.h"
#include "wire/address.h"

#include <stdint.h>

struct dns_set {
    const struct mem *mem;
    uint16_t port; /* of every address */
    struct address *addresses;
    uint32_t count, capacity;
};

void mesh__dns_set_init(struct dns_set *, const struct mem *, uint16_t port);
void mesh__dns_set_fini(struct dns_set *);

/* Adds a copy. False when memory is out. */
bool mesh__dns_set_add(struct dns_set *, const struct address *);

/* Adds an IP address in network order. False when memory is out. */
bool mesh__dns_set_add_ip(struct dns_set *, int family, const void *ip);

/* IPv4 before IPv6, each by its bytes; equal ones once. */
void mesh__dns_set_sort(struct dns_set *);

/* Takes the IPv6 addresses out of a sorted set that has IPv4 ones too, if the machine has no route to the first few of
 * them: a name with both kinds is then usable on a machine with one. Sends nothing. */
void mesh__dns_set_drop_unroutable(struct dns_set *);

#endif
