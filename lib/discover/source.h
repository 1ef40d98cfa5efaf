/* SPDX-License-Identifier: Apache-2.0 */
/* source.h - where a service's endpoints come from when they are not in the config: DNS or a file, watched for ever.
 *
 * A source lives on one loop and calls back there, never from inside mesh__source_start(). It keeps the last good list:
 * an update with a status other than MESH_OK says why there is (still) none, and is only sent while there never was a
 * list, or when the name exists but has no address any more (MESH_NO_ENDPOINT). */
#ifndef MESH__DISCOVER_SOURCE_H
#define MESH__DISCOVER_SOURCE_H

#include "config/config.h"
#include "net/loop.h"

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

/* NULL when memory is out. `config` and `dns` are borrowed and outlive the source; `random` seeds its jitter. */
struct source *mesh__source_start(struct loop *, struct dns *dns, const struct discover_config *config, uint64_t random,
                                  const struct source_events *events, void *user);
void mesh__source_stop(struct source *); /* NULL is legal; no callback comes after it */

#endif
