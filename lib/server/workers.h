/* SPDX-License-Identifier: Apache-2.0 */
/* workers.h - threads that run handlers, and the bounded queue of exchanges that wait for one. */
#ifndef MESH__SERVER_WORKERS_H
#define MESH__SERVER_WORKERS_H

#include "server/exchange.h"

struct workers;

/* 0, or a negative errno when memory is out or a thread cannot start. */
int mesh__workers_new(mesh_server *, uint32_t count, uint32_t max_pending, struct workers **out);

/* Hands the exchange over; false, and it stays the caller's, when all workers are busy and max_pending wait. */
bool mesh__workers_push(struct workers *, mesh_exchange *);

/* Waits for the handlers that are running, ends the threads, and frees the exchanges that still wait. NULL is legal. */
void mesh__workers_free(struct workers *);

#endif
