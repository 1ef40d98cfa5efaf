/* SPDX-License-Identifier: Apache-2.0 */
/* snapshot.h - what is in force: built from a config and the endpoints known so far, published whole. */
#ifndef MESH__CLIENT_SNAPSHOT_H
#define MESH__CLIENT_SNAPSHOT_H

#include "client/client.h"

/* Reads what the config's services need to shake hands with: `*out` stays NULL when none does. */
mesh_status mesh__snapshot_load_identity(struct mesh_client *, const struct config *, struct tls_identity **out,
                                         mesh_error **error);

/* A snapshot of the config; live state and endpoints of `old` (NULL: none) are taken over by name and address. Services
 * with discovery keep what was discovered if they still ask for the same. MESH_NO_MEMORY, or MESH_ECONFIG when the
 * identity lacks what a service needs. */
mesh_status mesh__snapshot_build(struct mesh_client *, struct config *, struct tls_identity *or_null,
                                 struct snapshot *old, struct snapshot **out, mesh_error **error);

void mesh__snapshot_unref(struct snapshot *); /* NULL is legal */

/* Publishes under client->publish, which the caller holds; takes over the reference. Endpoints that left are retired.
 */
void mesh__snapshot_publish(struct mesh_client *, struct snapshot *);

/* Publishes new endpoints (status MESH_OK) of one service, or why there are none. Any thread; locks client->publish. */
mesh_status mesh__snapshot_update(struct mesh_client *, const char *service, mesh_status status,
                                  const struct endpoint_config *endpoints, uint32_t count, const char *detail);

/* Publishes the services with another identity, which was read as `config` says; MESH_CANCELLED when that is not in
 * force any more. Any thread; locks client->publish. On failure the old one stays. */
mesh_status mesh__snapshot_set_identity(struct mesh_client *, const struct config *config, struct tls_identity *,
                                        mesh_error **error);

/* The current snapshot, with a reference. Any thread. */
struct snapshot *mesh__snapshot_get(struct mesh_client *);

struct service *mesh__snapshot_service(const struct snapshot *, const char *name); /* NULL: none */

struct pool_policy mesh__snapshot_pool_policy(const struct service_config *);
enum pool_protocol mesh__snapshot_protocol(const struct service_config *);
struct pool_security mesh__snapshot_security(const struct service *);

#endif
