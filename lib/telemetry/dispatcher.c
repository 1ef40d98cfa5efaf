/* SPDX-License-Identifier: Apache-2.0 */
/* dispatcher.c - a thread, a condition, and how soon its work is wanted. */
#include "telemetry/dispatcher.h"

#include "base/time.h"
#include "net/thread.h"
#include "net/world.h"

#include <errno.h>
#include <time.h>

#define DELAY (100 * NANOS_MS)

/* In the order of urgency: a wake only ever raises it, the thread alone takes it back to IDLE. */
enum wanted { IDLE, SOON, NOW };

struct dispatcher {
    struct mem mem; /* a copy */
    void (*work)(void *user);
    void *user;
    void (*last)(void *user); /* set by a stop from inside `work` */
    pthread_t thread;
    atomic_int wanted;
    pthread_mutex_t lock; /* guards what follows, and every change of `wanted` */
    pthread_cond_t changed;
    pthread_cond_t worked;    /* `finished` or `self_stopped` has changed */
    uint64_t begun, finished; /* runs of `work` */
    bool stopping;
    bool self_stopped; /* by its own thread, which then frees */
};

static void release(struct dispatcher *dispatcher)
{
    pthread_cond_destroy(&dispatcher->worked);
    pthread_cond_destroy(&dispatcher->changed);
    pthread_mutex_destroy(&dispatcher->lock);
    mesh__dispatcher_forget(dispatcher);
}

/* With the lock held. True when there is work, false when there is none and the thread shall end. */
static bool wait_for_work(struct dispatcher *dispatcher)
{
    while (!dispatcher->stopping && dispatcher->wanted == IDLE)
        pthread_cond_wait(&dispatcher->changed, &dispatcher->lock);
    mesh_nanos due = mesh__world_real.now(&mesh__world_real) + DELAY;
    struct timespec until = { .tv_sec = (time_t)(due / NANOS_S), .tv_nsec = (long)(due % NANOS_S) };
    int timed_out = 0;
    while (!dispatcher->stopping && dispatcher->wanted == SOON && !timed_out)
        timed_out = pthread_cond_timedwait(&dispatcher->changed, &dispatcher->lock, &until);
    return !dispatcher->self_stopped;
}

static void *run(void *argument)
{
    struct dispatcher *dispatcher = argument;
    bool stopping = false;
    pthread_mutex_lock(&dispatcher->lock);
    while (!stopping && wait_for_work(dispatcher)) {
        stopping = dispatcher->stopping; /* seen before the work: so it is done once more after a stop */
        dispatcher->wanted = IDLE;
        dispatcher->begun++;
        pthread_mutex_unlock(&dispatcher->lock);
        dispatcher->work(dispatcher->user);
        pthread_mutex_lock(&dispatcher->lock);
        dispatcher->finished = dispatcher->begun;
        pthread_cond_broadcast(&dispatcher->worked);
    }
    bool self_stopped = dispatcher->self_stopped;
    void (*last)(void *user) = dispatcher->last;
    void *user = dispatcher->user;
    pthread_mutex_unlock(&dispatcher->lock);
    if (self_stopped) {
        release(dispatcher); /* before `last`, whose end is the end of everything */
        if (last != NULL)
            last(user);
    }
    return NULL;
}

static struct dispatcher *fail_with(struct dispatcher *dispatcher, const struct mem *mem, int error)
{
    mesh__mem_free(mem, dispatcher);
    errno = error;
    return NULL;
}

/* 0 or an error number. */
static int make_conditions(struct dispatcher *dispatcher)
{
    int error = -mesh__thread_condition(&dispatcher->changed);
    if (error)
        return error;
    error = -mesh__thread_condition(&dispatcher->worked);
    if (error)
        pthread_cond_destroy(&dispatcher->changed);
    return error;
}

struct dispatcher *mesh__dispatcher_new(const struct mem *mem, void (*work)(void *user), void *user)
{
    struct dispatcher *dispatcher = mesh__zalloc(mem, sizeof(*dispatcher));
    if (dispatcher == NULL)
        return fail_with(NULL, mem, ENOMEM);
    dispatcher->mem = *mem;
    dispatcher->work = work;
    dispatcher->user = user;
    atomic_init(&dispatcher->wanted, IDLE);
    int error = pthread_mutex_init(&dispatcher->lock, NULL);
    if (error)
        return fail_with(dispatcher, mem, error);
    error = make_conditions(dispatcher);
    if (error) {
        pthread_mutex_destroy(&dispatcher->lock);
        return fail_with(dispatcher, mem, error);
    }
    pthread_mutex_lock(&dispatcher->lock); /* the thread waits until `thread` is set */
    error = -mesh__thread_start(&dispatcher->thread, run, dispatcher);
    pthread_mutex_unlock(&dispatcher->lock);
    if (error) {
        release(dispatcher);
        errno = error;
        return NULL;
    }
    return dispatcher;
}

void mesh__dispatcher_wake(struct dispatcher *dispatcher, bool urgent)
{
    int wanted = urgent ? NOW : SOON;
    if (dispatcher->wanted >= wanted)
        return;
    pthread_mutex_lock(&dispatcher->lock);
    if (dispatcher->wanted < wanted)
        dispatcher->wanted = wanted;
    pthread_cond_signal(&dispatcher->changed);
    pthread_mutex_unlock(&dispatcher->lock);
}

bool mesh__dispatcher_flush(struct dispatcher *dispatcher, mesh_nanos timeout)
{
    struct timespec until = { 0 };
    if (timeout != NANOS_NEVER) {
        mesh_nanos due = mesh__nanos_add(mesh__world_real.now(&mesh__world_real), mesh__nanos_max(0, timeout));
        until = (struct timespec){ .tv_sec = (time_t)(due / NANOS_S), .tv_nsec = (long)(due % NANOS_S) };
    }
    pthread_mutex_lock(&dispatcher->lock);
    uint64_t wanted = dispatcher->begun + 1; /* what runs now has looked at its work before */
    dispatcher->wanted = NOW;
    pthread_cond_signal(&dispatcher->changed);
    bool in_time = true;
    while (in_time && dispatcher->finished < wanted && !dispatcher->self_stopped) {
        if (timeout == NANOS_NEVER)
            pthread_cond_wait(&dispatcher->worked, &dispatcher->lock);
        else
            in_time = pthread_cond_timedwait(&dispatcher->worked, &dispatcher->lock, &until) == 0;
    }
    bool done = dispatcher->finished >= wanted || dispatcher->self_stopped;
    pthread_mutex_unlock(&dispatcher->lock);
    return done;
}

bool mesh__dispatcher_is_working(struct dispatcher *dispatcher)
{
    pthread_mutex_lock(&dispatcher->lock);
    bool working = dispatcher->begun != dispatcher->finished;
    pthread_mutex_unlock(&dispatcher->lock);
    return working;
}

bool mesh__dispatcher_is_self(const struct dispatcher *dispatcher)
{
    return pthread_equal(pthread_self(), dispatcher->thread) != 0;
}

void mesh__dispatcher_stop(struct dispatcher *dispatcher, void (*last)(void *user))
{
    if (dispatcher == NULL)
        return;
    bool self = mesh__dispatcher_is_self(dispatcher);
    pthread_mutex_lock(&dispatcher->lock);
    dispatcher->stopping = true;
    if (self) {
        dispatcher->self_stopped = true;
        dispatcher->last = last;
        pthread_cond_broadcast(&dispatcher->worked);
    }
    pthread_cond_signal(&dispatcher->changed);
    pthread_mutex_unlock(&dispatcher->lock);
    if (self) {
        pthread_detach(dispatcher->thread);
        return;
    }
    pthread_join(dispatcher->thread, NULL);
    release(dispatcher);
}

void mesh__dispatcher_forget(struct dispatcher *dispatcher)
{
    if (dispatcher == NULL)
        return;
    struct mem mem = dispatcher->mem;
    mesh__mem_free(&mem, dispatcher);
}
