/* SPDX-License-Identifier: Apache-2.0 */
/* shard.h - one loop with its slots, its inbox, its pins on snapshots and its pools.
 *
 * take_slot, give_slot, find and post may be called by any thread; everything else by the driver only. */
#ifndef MESH__CLIENT_SHARD_H
#define MESH__CLIENT_SHARD_H

#include "client/call.h"

/* NULL with a negative errno in `*error`. */
struct shard *mesh__shard_new(struct mesh_client *, uint32_t index, int *error);

/* Drops pools, pins and slots; no call is live. */
void mesh__shard_free(struct shard *);

/* In a child after fork(): closes the descriptors in the loop's table and gives back slots; walks no list. */
void mesh__shard_abandon(struct shard *);

/* A slot with a new generation; NULL when memory or slots are out. */
struct call *mesh__shard_take_slot(struct shard *);
void mesh__shard_give_slot(struct call *);

/* The slot that an id is of, live or not; NULL when it is no id of this client. */
struct call *mesh__shard_find(struct mesh_client *, mesh_call_id);

/* Puts the call into its shard's inbox, unless it is there, with one more thing to do (enum call_post). */
void mesh__shard_post(struct call *, uint32_t what);

/* What comes before each wait: takes `now`, the inbox, a new snapshot, and what other shards asked for. */
void mesh__shard_prepare(struct shard *);

/* Has written what was begun since the last turn: once for all of it, before the wait. */
void mesh__shard_flush(struct shard *);

/* One turn of the loop, and what comes after it. */
void mesh__shard_turn(struct shard *, mesh_nanos timeout);

/* Pins the current snapshot for a call; and lets it go. */
struct pin *mesh__shard_pin(struct shard *);
void mesh__shard_unpin(struct shard *, struct pin *);

/* What this shard has of the endpoint, with a pool; made if need be. NULL when memory is out. */
struct endpoint_shard *mesh__shard_endpoint(struct shard *, const struct service *, struct endpoint *);

#endif
