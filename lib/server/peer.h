/* SPDX-License-Identifier: Apache-2.0 */
/* peer.h - who is at the other end of a connection: immutable, shared by the connection and its exchanges, which may
 * outlive it. */
#ifndef MESH__SERVER_PEER_H
#define MESH__SERVER_PEER_H

#include "base/mem.h"
#include "wire/address.h"
#include "wire/spiffe.h"

struct peer {
    struct refs refs;
    char address[ADDRESS_TEXT_MAX]; /* "" of a Unix socket */
    bool secure;                    /* it speaks TLS */
    uint32_t epoch;                 /* of the server's identity that it was met with */
    struct spiffe_id id;            /* verified as such; its text ends with a NUL; empty: none */
};

/* `id` is copied. NULL when memory is out. */
struct peer *mesh__peer_new(const struct mem *, const char *address, bool secure, uint32_t epoch, const char *id);

/* The same peer, once more. */
struct peer *mesh__peer_ref(struct peer *);

/* NULL is legal. */
void mesh__peer_unref(const struct mem *, struct peer *);

/* The address, or words where there is none. For log lines. */
const char *mesh__peer_name(const struct peer *);

#endif
