/* SPDX-License-Identifier: Apache-2.0 */
/* mesh/mesh.h - all of Meshcall: the service mesh as a C library. */
#ifndef MESH_MESH_H
#define MESH_MESH_H

#include <mesh/call.h>
#include <mesh/client.h>
#include <mesh/config.h>
#include <mesh/server.h>
#include <mesh/status.h>
#include <mesh/stream.h>

#endif
