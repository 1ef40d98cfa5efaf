/* SPDX-License-Identifier: Apache-2.0 */
/* reentry.h - is this thread inside a loop's turn? Whatever would wait there answers MESH_EREENTRY instead.
 *
 * The only thing that the library keeps per thread for its loops; callers never see it. Turns may nest. */
#ifndef MESH__NET_REENTRY_H
#define MESH__NET_REENTRY_H

#include <stdbool.h>

bool mesh__in_turn(void);

/* Around each turn, and around whatever runs on a loop beside one. Every enter has its leave in the same thread. */
void mesh__turn_enter(void);
void mesh__turn_leave(void);

#endif
