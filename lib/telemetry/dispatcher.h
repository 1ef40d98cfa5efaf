/* SPDX-License-Identifier: Apache-2.0 */
/* dispatcher.h - the one thread that runs a user's callbacks in owned mode.
 *
 * It sleeps until woken; an urgent wake runs `work` at once, another one after at most 100 ms, so that many entries are
 * given out together. All signals are blocked in it. */
#ifndef MESH__TELEMETRY_DISPATCHER_H
#define MESH__TELEMETRY_DISPATCHER_H

#include "base/mem.h"

#include <stdbool.h>

struct dispatcher;

/* Starts the thread; NULL with errno set when that fails. `work` is called with no lock held. */
struct dispatcher *mesh__dispatcher_new(const struct mem *, void (*work)(void *user), void *user);

/* Any thread; cheap when a wake is pending already. */
void mesh__dispatcher_wake(struct dispatcher *, bool urgent);

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
