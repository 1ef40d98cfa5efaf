/* SPDX-License-Identifier: Apache-2.0 */
/* futex.h - waiting for a word to change, with a deadline; private to the process. */
#ifndef MESH__CLIENT_FUTEX_H
#define MESH__CLIENT_FUTEX_H

#include "base/time.h"

#include <stdatomic.h>

/* Waits while the word is `expected`, until woken or for `timeout` (NANOS_NEVER: no limit). May return early. */
void mesh__futex_wait(_Atomic uint32_t *word, uint32_t expected, mesh_nanos timeout);

/* Wakes up to `count` waiters. */
void mesh__futex_wake(_Atomic uint32_t *word, int count);

#endif
