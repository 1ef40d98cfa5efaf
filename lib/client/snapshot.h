/* SPDX-License-Identifier: Apache-2.0 */
/* snapshot.h - what is in force: built from a config and the endpoints known so far, published whole. */
#ifndef MESH__CLIENT_SNAPSHOT_H
#define MESH__CLIENT_SNAPSHOT_H

#include "client/client.h"

/* A snapshot of the config; live state and endpoints of `old` (NULL: none) are taken over by name and address. Services
 * with discovery keep what was discovered if they still ask for the same. NULL when memory is out. */
struct snapshot *mesh__snapshot_build(struct mesh_client *, struct config *, struct snapshot *old);

void mesh__snapshot_unref(struct snapshot *); /* NULL is legal */

/* Publishes under client->publish, which the caller holds; takes over the reference. Endpoints that left are retired.
 */
void mesh__snapshot_publish(struct mesh_client *, struct snapshot *);

/* Publishes new endpoints (status MESH_OK) of one service, or why there are none. Any thread; locks client->publish. */
mesh_status mesh__snapshot_update(struct mesh_client *, const char *service, mesh_status status,
                                  const struct endpoint_config *endpoints, uint32_t count, const char *detail);

/* The current snapshot, with a reference. Any thread. */
struct snapshot *mesh__snapshot_get(struct mesh_client *);

struct service *mesh__snapshot_service(const struct snapshot *, const char *name); /* NULL: none */

struct pool_policy mesh__snapshot_pool_policy(const struct service_config *);

#endif
