/* SPDX-License-Identifier: Apache-2.0 */
/* source_inside.h - what every kind of source has: the last good list, and the way to its owner.
 *
 * A callback may stop the source. So whatever the loop calls first enters the source and at its end leaves it; a source
 * that was stopped in between is freed by the leaving, says nothing any more, and sets no timer. */
#ifndef MESH__DISCOVER_SOURCE_INSIDE_H
#define MESH__DISCOVER_SOURCE_INSIDE_H

#include "discover/source.h"

struct source {
    struct loop *loop;
    const struct mem *mem;
    const struct discover_config *config;
    struct source_events events;
    void *user;
    void (*release)(struct source *); /* ends what the kind has under way; called once */
    struct loop_timer timer;          /* of the kind; always set, but in its own callback before that sets it */
    struct endpoint_config *endpoints;
    uint32_t count;
    bool has_list;      /* `endpoints` is the last good list, maybe an empty one */
    mesh_status status; /* of the last update; only meaningful with `told` */
    char *detail;       /* likewise; NULL for "" */
    char *logged;       /* the last complaint, not to be repeated; NULL: all was well */
    bool told;
    bool stopped;
    uint32_t entered;
};

/* False when memory is out; nothing is to be undone then. The timer is due at once. */
bool mesh__source_init(struct source *, struct loop *, const struct discover_config *, const struct source_events *,
                       void *user);

void mesh__source_enter(struct source *);
void mesh__source_leave(struct source *); /* may free it */

/* Sets the kind's timer to so long from now, unless the source was stopped. */
void mesh__source_wait(struct source *, mesh_nanos length);

/* Makes the list the current one, and tells so if it differs. Takes over `endpoints`, which may be NULL for none. */
void mesh__source_publish(struct source *, struct endpoint_config *endpoints, uint32_t count);

/* Tells why there is no list. With one it is kept and the operator told, but for MESH_NO_ENDPOINT, which ends it. The
 * same thing is not said twice in a row. */
void mesh__source_complain(struct source *, mesh_status status, const char *detail);

/* Frees what mesh__source_init() made. */
void mesh__source_fini(struct source *);

/* The kinds. NULL when memory is out. */
struct source *mesh__dns_source_start(struct loop *, struct dns *, const struct discover_config *, uint64_t random,
                                      const struct source_events *, void *user);
struct source *mesh__file_source_start(struct loop *, const struct discover_config *, const struct source_events *,
                                       void *user);

#endif
