/* SPDX-License-Identifier: Apache-2.0 */
/* loop.h - one event loop: descriptors, timers and posted tasks, driven turn by turn by at most one thread at a time.
 *
 * A turn waits, takes `now` once, then runs the callbacks of ready descriptors, of due timers, and of tasks posted
 * until then, in this order. A callback may watch, unwatch, set, cancel and post anything, itself included; a timer
 * that is set while timers fire waits for the next turn, also when it is due already, so that no turn lasts for ever
 * and no timer keeps others from firing. epoll events carry {generation, slot} of a watch, never a descriptor or a
 * pointer, so an event for a watch that has gone is dropped. Only mesh__loop_kick() may be called by a thread that does
 * not drive the loop. */
#ifndef MESH__NET_LOOP_H
#define MESH__NET_LOOP_H

#include "base/heap.h"
#include "base/list.h"
#include "net/world.h"

#define LOOP_SCRATCH_SIZE 65536

/* LOOP_END is never asked for. It comes with LOOP_READ where the peer is known to have finished: behind the bytes that
 * are there no more will come. */
enum loop_events { LOOP_READ = 1, LOOP_WRITE = 2, LOOP_END = 4 };

/* A descriptor that a loop watches. Embedded in its owner; zero-initialised before first use. */
struct watch {
    void (*ready)(struct watch *, uint32_t events); /* enum loop_events; errors and hang-ups count as both */
    int fd;
    uint32_t interest;
    uint32_t slot; /* index + 1; 0: not watched */
};

/* A timer of a loop. Embedded in its owner; zero-initialised but for `fire`. */
struct loop_timer {
    struct timer timer;
    struct list firing; /* while it is due in this turn and others fire before it */
    void (*fire)(struct loop_timer *);
};

/* Something to do later in this turn, or in the next. Embedded; zero-initialised but for `run`. */
struct loop_task {
    struct list link;
    void (*run)(struct loop_task *);
};

/* Something that another thread has this loop do. Embedded; `run` is set, and nobody touches it until it ran. */
struct loop_mail {
    struct loop_mail *next;
    void (*run)(struct loop_mail *);
};

struct watch_slot {
    int fd; /* -1: free; so that a child after fork() can close what it has without looking anywhere else */
    uint32_t generation;
    uint32_t next_free; /* index + 1 */
    struct watch *watch;
};

struct loop {
    const struct mem *mem;     /* borrowed */
    const struct world *world; /* borrowed */
    int epoll_fd;
    int wake_fd;    /* an eventfd in the epoll set */
    mesh_nanos now; /* of this turn */
    uint64_t turns; /* how often `now` was taken: turns, and what began between them */
    struct heap timers;
    size_t firing;            /* timers that have left the heap and whose places there are kept for them */
    struct loop_timer *fired; /* the one whose callback runs, while its place is kept */
    struct list tasks;
    _Atomic(struct loop_mail *) mail; /* newest first */
    struct watch_slot *slots;
    uint32_t slot_count, free_slot;
    char *scratch; /* LOOP_SCRATCH_SIZE bytes for whoever reads, until it returns */
};

/* 0 or a negative errno; after a failure there is nothing to undo. */
int mesh__loop_init(struct loop *, const struct mem *, const struct world *);

/* Closes the loop's own descriptors. Nothing may be watched any more. */
void mesh__loop_fini(struct loop *);

/* In a child after fork(): closes what it watches and its own descriptors, and gives back its memory; touches no epoll
 * set and walks no list. */
void mesh__loop_abandon(struct loop *);

/* One turn. Waits for at most `timeout` (0: not at all, NANOS_NEVER: no limit), less where a timer is due or a task
 * posted. */
void mesh__loop_turn(struct loop *, mesh_nanos timeout);

/* Takes `now` anew, for work that begins between turns. */
void mesh__loop_refresh(struct loop *);

/* How long a wait may take now: 0 with tasks posted, NANOS_NEVER without timers. Reads the clock. */
mesh_nanos mesh__loop_timeout(const struct loop *);

/* When the next timer is due (0: a task is posted; NANOS_NEVER: nothing). */
mesh_nanos mesh__loop_next(const struct loop *);

/* Makes the current or the next turn's wait end. Any thread. */
void mesh__loop_kick(struct loop *);

/* Watches `fd` for `interest` (enum loop_events, or-ed; 0: errors only). 0 or a negative errno. */
int mesh__loop_watch(struct loop *, struct watch *, int fd, uint32_t interest);

/* Changes the interest of a watched descriptor; costs nothing if it is the same. */
void mesh__loop_rewatch(struct loop *, struct watch *, uint32_t interest);

/* Stops watching, if it is watched; to be called before the descriptor is closed. */
void mesh__loop_unwatch(struct loop *, struct watch *);

/* Sets or moves the timer to a point in time. False when memory is out, which never happens to a timer that is set, nor
 * the first time in its own callback. */
bool mesh__loop_timer_set(struct loop *, struct loop_timer *, mesh_nanos due);
void mesh__loop_timer_cancel(struct loop *, struct loop_timer *);

/* Posts the task unless it is posted already; cancel takes it back. */
void mesh__loop_post(struct loop *, struct loop_task *);
void mesh__loop_cancel(struct loop_task *);

/* Runs what has been posted by now, between turns: what was begun there need not wait for the next one's end. */
void mesh__loop_run_tasks(struct loop *);

/* Has the loop run the mail in a turn soon, after what was sent before it. Any thread, while the loop lives. */
void mesh__loop_send(struct loop *, struct loop_mail *);

/* Runs the mail that has come: before the loop ends, when nobody sends any more. */
void mesh__loop_take_mail(struct loop *);

#endif
