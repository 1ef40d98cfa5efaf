/* SPDX-License-Identifier: Apache-2.0 */
/* dispatcher.h - the one thread that runs a user's callbacks in owned mode.
 *
 * It sleeps until woken; an urgent wake runs `work` at once, another one after at most 100 ms, so that many entries are
 * given out together. All signals are blocked in it. */
#ifndef MESH__TELEMETRY_DISPATCHER_H
#define MESH__TELEMETRY_DISPATCHER_H

#include "base/mem.h"
#include "base/time.h"

#include <stdbool.h>

struct dispatcher;

/* Starts the thread; NULL with errno set when that fails. `work` is called with no lock held. */
struct dispatcher *mesh__dispatcher_new(const struct mem *, void (*work)(void *user), void *user);

/* Any thread; cheap when a wake is pending already. */
void mesh__dispatcher_wake(struct dispatcher *, bool urgent);

/* Waits until `work` has run from its beginning to its end once more, for at most `timeout` (NANOS_NEVER: as long as it
 * takes). False when the time is up first. A stop from inside `work` ends the wait too, since the thread may wait there
 * for whoever waits here. Not from inside `work`, and not once a stop from elsewhere may have begun. */
bool mesh__dispatcher_flush(struct dispatcher *, mesh_nanos timeout);

/* True while `work` runs. Any thread. */
bool mesh__dispatcher_is_working(struct dispatcher *);

/* True in the dispatcher's own thread. */
bool mesh__dispatcher_is_self(const struct dispatcher *);

/* Runs `work` once more, ends the thread, joins it and frees. From inside `work` it only marks: the thread then frees
 * the dispatcher after `work` has returned, and then calls `last` (which may be NULL) with `work`'s user; nothing of
 * the dispatcher, nor its allocator, is used after that. From elsewhere `last` is not called: whatever it does, the
 * caller does after this returns. NULL is legal. */
void mesh__dispatcher_stop(struct dispatcher *, void (*last)(void *user));

/* Frees without a thread to end: in a child after fork(). NULL is legal. */
void mesh__dispatcher_forget(struct dispatcher *);

#endif
