/* SPDX-License-Identifier: Apache-2.0 */
/* driver.h - who drives a shard, and how everyone else is woken: the protocol.
 *
 *  caller    posts its call to the inbox, then tries the lock. Got it: drives until its own call is done. Else it kicks
 *            the driver if that is asleep, and sleeps on its call's word.
 *  driver    takes the inbox; turns; before each wait says `asleep`, then looks at the inbox once more.
 *  leaving   takes the inbox once more; unlocks; then promotes the oldest sleeper, or, when only asynchronous calls are
 * live, arms the shard for control; then looks at the inbox again, and tries the lock if it is not empty. sleeper DONE:
 * returns. PROMOTED: back to WAITING and tries the lock; if that fails it sleeps on, since every driver promotes when
 * it leaves.
 *
 * Only a driver completes a call and lets go of its body. Slots stay mapped while the client lives, so a late promotion
 * or wake-up does no harm. All operations on the shared words are sequentially consistent. docs/internals/drivers.md.
 */
#ifndef MESH__CLIENT_DRIVER_H
#define MESH__CLIENT_DRIVER_H

#include "client/shard.h"

/* The shard that the calling thread should use: its CPU's, or another one that nobody drives. */
struct shard *mesh__driver_choose(struct mesh_client *);

/* Posts a blocking call and returns when it is done. */
void mesh__driver_run(struct call *);

/* Posts an asynchronous call and sees to it that somebody drives it. */
void mesh__driver_start(struct call *);

/* Something was posted to the shard: sees to it that somebody looks, if need be this thread. */
void mesh__driver_stir(struct shard *);

/* Posts a cancellation; MESH_ESTALE when the call has ended. Takes no lock. */
mesh_status mesh__driver_cancel(struct mesh_client *, mesh_call_id);

/* Waits until there is a completion, until `deadline` on the world's clock, or until the client ends; drives a shard
 * meanwhile if nobody else does. */
void mesh__driver_await_completion(struct mesh_client *, mesh_nanos deadline);

/* Waits while `*word`, which this shard's driver changes and wakes, is `seen`, or until `deadline`; drives the shard
 * meanwhile if nobody else does. May return early. Not in external mode. */
void mesh__driver_await_word(struct shard *, _Atomic uint32_t *word, uint32_t seen, mesh_nanos deadline);

/* Completions have been queued by this shard's driver: wakes who waits for them. */
void mesh__driver_completed(struct mesh_client *, struct shard *);

/* A thread in mesh_client_next() has taken what it wanted: if there is more, the others that wait there are woken. */
void mesh__driver_pass_on(struct mesh_client *);

/* Has every shard look at the snapshot and its flags: undriven ones at once, here. */
void mesh__driver_nudge(struct mesh_client *);

/* Has another shard look at its flags: here and now if nobody drives it. Also from inside a turn of one's own shard. */
void mesh__driver_poke(struct shard *);

/* For control: one turn of an armed shard, if nobody drives it. */
void mesh__driver_visit(struct shard *);

/* One turn in external mode. False when another thread is inside. */
bool mesh__driver_process(struct shard *);

/* External mode: how long the host may wait for this loop's descriptor. The loop's driver, or nobody, is inside. */
mesh_nanos mesh__driver_timeout(struct shard *);

/* A call ended or a thread left while the client is being closed: whoever waits for that looks again. */
void mesh__driver_note_leave(struct mesh_client *);

/* The body of a permanent driver's thread; drives until the client stops. */
void mesh__driver_permanent(struct shard *);

#endif
