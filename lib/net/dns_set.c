/* SPDX-License-Identifier: Apache-2.0 */
/* dns_set.c - a growing array, sorted once. */
#include "net/dns_set.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUTE_TRIES 4

void mesh__dns_set_init(struct dns_set *set, const struct mem *mem, uint16_t port)
{
    *set = (struct dns_set){ .mem = mem, .port = port };
}

void mesh__dns_set_fini(struct dns_set *set)
{
    mesh__mem_free(set->mem, set->addresses);
    set->addresses = NULL;
    set->count = set->capacity = 0;
}

bool mesh__dns_set_add(struct dns_set *set, const struct address *address)
{
    if (set->count == set->capacity) {
        uint32_t capacity = set->capacity ? set->capacity * 2 : 8;
        struct address *addresses =
            mesh__resize(set->mem, set->addresses, set->capacity * sizeof(*addresses), capacity * sizeof(*addresses));
        if (addresses == NULL)
            return false;
        set->addresses = addresses;
        set->capacity = capacity;
    }
    set->addresses[set->count++] = *address;
    return true;
}

bool mesh__dns_set_add_ip(struct dns_set *set, int family, const void *ip)
{
    struct address address;
    memset(&address, 0, sizeof(address));
    mesh__address_from_ip(family, ip, set->port, &address);
    return mesh__dns_set_add(set, &address);
}

static int compare(const void *left, const void *right)
{
    const struct address *a = left, *b = right;
    bool a6 = a->socket.any.sa_family == AF_INET6, b6 = b->socket.any.sa_family == AF_INET6;
    if (a6 != b6)
        return a6 ? 1 : -1;
    if (!a6)
        return memcmp(&a->socket.v4.sin_addr, &b->socket.v4.sin_addr, sizeof(struct in_addr));
    int order = memcmp(&a->socket.v6.sin6_addr, &b->socket.v6.sin6_addr, sizeof(struct in6_addr));
    if (order != 0 || a->socket.v6.sin6_scope_id == b->socket.v6.sin6_scope_id)
        return order;
    return a->socket.v6.sin6_scope_id < b->socket.v6.sin6_scope_id ? -1 : 1;
}

void mesh__dns_set_sort(struct dns_set *set)
{
    if (set->count < 2)
        return;
    qsort(set->addresses, set->count, sizeof(*set->addresses), compare);
    uint32_t kept = 1;
    for (uint32_t i = 1; i < set->count; i++)
        if (compare(&set->addresses[i], &set->addresses[kept - 1]) != 0)
            set->addresses[kept++] = set->addresses[i];
    set->count = kept;
}

static bool has_route(const struct address *address)
{
    int fd = socket(address->socket.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool reachable = connect(fd, &address->socket.any, address->socket_size) == 0;
    close(fd);
    return reachable;
}

void mesh__dns_set_drop_unroutable(struct dns_set *set)
{
    uint32_t first = 0;
    while (first < set->count && set->addresses[first].socket.any.sa_family == AF_INET)
        first++;
    if (first == 0)
        return;
    for (uint32_t i = first; i < set->count && i < first + ROUTE_TRIES; i++)
        if (has_route(&set->addresses[i]))
            return;
    set->count = first;
}
