/* SPDX-License-Identifier: Apache-2.0 */
/* client_inside.h - what client.c (made of what) and client_end.c (when it goes) share. */
#ifndef MESH__CLIENT_CLIENT_INSIDE_H
#define MESH__CLIENT_CLIENT_INSIDE_H

#include "client/client.h"

/* Ends permanent drivers and control, and joins them. */
void mesh__client_join(struct mesh_client *);

/* Gives everything back; no thread is inside, no call is live. Also of a client that was not opened wholly. `client` is
 * a struct mesh_client: a dispatcher calls this last. */
void mesh__client_destroy(void *client);

/* A child of fork() owns copies of everything and must touch nothing that the parent shares. */
void mesh__client_abandon(struct mesh_client *);

#endif
