/* SPDX-License-Identifier: Apache-2.0 */
/* start.h - what a user's thread does before a call is posted, in this order: check, begin, prepare, attach; then
 * driver.h. */
#ifndef MESH__CLIENT_START_H
#define MESH__CLIENT_START_H

#include "client/shard.h"

/* Whether the client can take a call at all: MESH_EINVAL, MESH_EFORKED, MESH_ECLOSED. */
mesh_status mesh__start_check(const struct mesh_client *);

/* Enters the client and counts a call as live before it is posted, and only then looks whether the client is open:
 * either a closing client sees the count and waits for the call, or the call sees that the client is closing. False: it
 * is closed. */
bool mesh__start_begin(struct shard *);

/* The call was not posted: it counts no more. */
void mesh__start_abandon(struct shard *);

/* A slot with a result and the request in it; or a status, and in `*result` what may be given to the user. */
mesh_status mesh__start_prepare(struct shard *, const char *service, const mesh_request *, bool blocking,
                                struct call **out, struct mesh_result **result);

/* Gives back what was prepared and not attached. */
void mesh__start_undo(struct call *);

/* From here on the token may cancel the call. */
void mesh__start_attach(struct call *);

#endif
