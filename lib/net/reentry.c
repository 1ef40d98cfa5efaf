/* SPDX-License-Identifier: Apache-2.0 */
/* reentry.c - one counter per thread. */
#include "net/reentry.h"

static _Thread_local unsigned turns_entered;

bool mesh__in_turn(void)
{
    return turns_entered > 0;
}

void mesh__turn_enter(void)
{
    turns_entered++;
}

void mesh__turn_leave(void)
{
    turns_entered--;
}
