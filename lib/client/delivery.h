/* SPDX-License-Identifier: Apache-2.0 */
/* delivery.h - completions, spans and log lines on their way to the program's callbacks. Nothing is held while one
 * runs, and they never run at the same time. */
#ifndef MESH__CLIENT_DELIVERY_H
#define MESH__CLIENT_DELIVERY_H

#include "client/client.h"

/* Gives out as much as there is now, so that nobody who keeps adding some keeps this thread here for ever. `client` is
 * a struct mesh_client: this is the dispatcher's work. */
void mesh__delivery_run(void *client);

/* The outbox's `wake`. `client` is a struct mesh_client. */
void mesh__delivery_wake(void *client, bool urgent);

/* Whether callbacks are owed something. */
bool mesh__delivery_pending(struct mesh_client *);

/* Waits until what callbacks are owed right now has been given to them and they have returned. False when the time is
 * up first; it is not waited for in a callback, which would wait for itself, nor once a callback has freed the client.
 */
bool mesh__delivery_await(struct mesh_client *, mesh_nanos deadline);

/* External mode, after a turn of the shard's loop: delivers, unless another thread does. True: a callback has freed the
 * client, and this thread is to carry that out. */
bool mesh__delivery_alone(struct mesh_client *, struct shard *);

/* True in a callback. */
bool mesh__delivery_is_self(struct mesh_client *);

#endif
