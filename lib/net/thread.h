/* SPDX-License-Identifier: Apache-2.0 */
/* thread.h - threads of the library: all signals are blocked in them, so that handlers run in the program's own. */
#ifndef MESH__NET_THREAD_H
#define MESH__NET_THREAD_H

#include <pthread.h>

/* 0 or a negative errno. */
int mesh__thread_start(pthread_t *thread, void *(*run)(void *), void *argument);

/* A condition variable that counts by CLOCK_MONOTONIC. 0 or a negative errno. */
int mesh__thread_condition(pthread_cond_t *condition);

#endif
