/* SPDX-License-Identifier: Apache-2.0 */
/* security.h - a server's TLS: the identity in force, watched; and where hands are shaken. */
#ifndef MESH__SERVER_SECURITY_H
#define MESH__SERVER_SECURITY_H

#include "server/server.h"

/* Reads the identity's files if the server does TLS. Before the loop starts. MESH_OK, or a status with `error`. */
mesh_status mesh__security_load(mesh_server *, mesh_error **error);

/* Watches them from now on. The loop is there and does not run yet. 0 or -ENOMEM. */
int mesh__security_start(mesh_server *);

/* Ends handshakes and gives everything back; the loop is there, if it ever was, and has stopped. */
void mesh__security_stop(mesh_server *);

#endif
