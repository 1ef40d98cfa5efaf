/* SPDX-License-Identifier: Apache-2.0 */
/* complete.h - a call's end: everything is unlinked, then the waiter or the queue of completions is told. */
#ifndef MESH__CLIENT_COMPLETE_H
#define MESH__CLIENT_COMPLETE_H

#include "client/call.h"

/* On the driver. The slot is free (asynchronous), or its caller's (blocking), when this returns. */
void mesh__complete_call(struct call *);

/* The span of one attempt that has been reported. */
void mesh__complete_attempt_span(struct call *, uint8_t attempt);

/* Puts the completions of this turn into the client's queue and wakes who waits for them. */
void mesh__complete_flush(struct shard *);

/* Takes the oldest completion, of a call or of a stream by turns, as far as `size` of `out` reaches; false when there
 * is none. Any thread. */
bool mesh__complete_take(struct mesh_client *, mesh_completion *out);

#endif
