/* SPDX-License-Identifier: Apache-2.0 */
/* futex.c - the system call. */
#include "client/futex.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void mesh__futex_wait(_Atomic uint32_t *word, uint32_t expected, mesh_nanos timeout)
{
    struct timespec limit = { .tv_sec = timeout / NANOS_S, .tv_nsec = timeout % NANOS_S };
    if (timeout <= 0)
        return;
    (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, timeout == NANOS_NEVER ? NULL : &limit, NULL, 0);
}

void mesh__futex_wake(_Atomic uint32_t *word, int count)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}
