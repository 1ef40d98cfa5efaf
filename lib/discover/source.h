/* SPDX-License-Identifier: Apache-2.0 */
/* source.h - where a service's endpoints come from when they are not in the config: DNS or a file, watched for ever.
 *
 * A source lives on one loop and calls back there, never from inside mesh__source_start(). It keeps the last good list:
 * an update with a status other than MESH_OK says why there is (still) none, and is only sent while there is no list,
 * or when the name exists but has no address any more (MESH_NO_ENDPOINT). */
#ifndef MESH__DISCOVER_SOURCE_H
#define MESH__DISCOVER_SOURCE_H

#include "config/config.h"
#include "net/loop.h"

#include <mesh/status.h>

struct dns; /* net/dns.h */
struct source;

struct source_events {
    /* MESH_OK: `endpoints` (borrowed for the length of the call; may be 0 of them) replace what there was; it is called
     * only when something changed. Else MESH_NO_SUCH_NAME (final until it changes), MESH_DISCOVERY or MESH_NO_ENDPOINT;
     * `detail` then says why in words. */
    void (*update)(void *user, mesh_status status, const struct endpoint_config *endpoints, uint32_t count,
                   const char *detail);
    /* Something to tell the operator, as a refused file while the old list stays (enum mesh_log_level). */
    void (*log)(void *user, int32_t level, const char *line);
};

/* `config->kind` is not DISCOVER_STATIC. NULL when memory is out. `config` and `dns` (unused for a file) are borrowed
 * and outlive the source; `events` is copied; `random` seeds its jitter. */
struct source *mesh__source_start(struct loop *, struct dns *dns, const struct discover_config *config, uint64_t random,
                                  const struct source_events *events, void *user);

/* NULL is legal. No callback comes after it; it may be called from inside one. */
void mesh__source_stop(struct source *);

#endif
