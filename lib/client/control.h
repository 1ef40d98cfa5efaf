/* SPDX-License-Identifier: Apache-2.0 */
/* control.h - the client's own work: discovery, and the shards that nobody drives.
 *
 * In owned mode control is the client's one library thread, with all signals blocked. It waits on a loop of its own,
 * whose epoll set holds the set of the shards' descriptors; it visits a shard that is armed (driver.h) when the shard's
 * descriptor or its next timer says so, and every 250 ms those with connections that nobody has driven since. In
 * external mode there is no thread: discovery lives on loop 0, and mesh__control_tick() is called after its turns. */
#ifndef MESH__CLIENT_CONTROL_H
#define MESH__CLIENT_CONTROL_H

#include "client/client.h"

struct control;

/* Starts discovery for the published snapshot, and in owned mode the thread. NULL with a negative errno in `*error`. */
struct control *mesh__control_new(struct mesh_client *, int *error);

/* Stops discovery and joins the thread. */
void mesh__control_stop(struct control *);

/* Control has to look at the shards by `due` at the latest. Any thread. */
void mesh__control_wake_by(struct control *, mesh_nanos due);

/* A shard has connections. Any thread. */
void mesh__control_note_connections(struct control *);

/* A config was published: sources are to be started and stopped. Any thread. */
void mesh__control_config_changed(struct control *);

/* External mode: what is due, on loop 0's driver. */
void mesh__control_tick(struct control *);

/* In a child after fork(): closes descriptors and gives back what is control's own; sources and look-ups are left. */
void mesh__control_abandon(struct control *);

#endif
