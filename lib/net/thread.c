/* SPDX-License-Identifier: Apache-2.0 */
/* thread.c - the signal mask is inherited, so it is set around pthread_create(): no signal slips in between. */
#include "net/thread.h"

#include <signal.h>
#include <time.h>

int mesh__thread_start(pthread_t *thread, void *(*run)(void *), void *argument)
{
    sigset_t all, before;
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* fails only for a bad first argument */
    int error = pthread_create(thread, NULL, run, argument);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -error;
}

int mesh__thread_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    int error = pthread_condattr_init(&attributes);
    if (error)
        return -error;
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC); /* always there on Linux */
    error = pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
    return -error;
}
