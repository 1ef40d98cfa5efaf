/* SPDX-License-Identifier: Apache-2.0 */
/* identity_source.h - the program's certificate, key and trust, read from their files and watched for ever.
 *
 * Each change that is right as a whole is a new identity; one that is not (a key without its certificate, a text that
 * does not parse) leaves the old one in force and is told once it has stayed wrong for a moment, since files that
 * belong together change one after the other. */
#ifndef MESH__DISCOVER_IDENTITY_SOURCE_H
#define MESH__DISCOVER_IDENTITY_SOURCE_H

#include "config/config.h"
#include "net/loop.h"
#include "tls/tls.h"

#define IDENTITY_WORDS_MAX 640

struct identity_source;

/* On the loop, never from inside mesh__identity_watch(). */
struct identity_events {
    void (*update)(void *user, struct tls_identity *); /* a new one; the callee takes a reference if it keeps it */
    void (*log)(void *user, int32_t level, const char *line); /* what was refused; that the certificate runs out */
};

/* Reads the files now. MESH_OK with an identity; else MESH_ECONFIG or MESH_NO_MEMORY with words that name the file. */
mesh_status mesh__identity_load(const struct mem *, const struct identity_config *, int64_t unix_ns,
                                struct tls_identity **out, char words[IDENTITY_WORDS_MAX]);

/* `config` is borrowed and outlives the source; `in_force` is the identity that was loaded last. NULL: no memory. */
struct identity_source *mesh__identity_watch(struct loop *, const struct identity_config *config,
                                             struct tls_identity *in_force, const struct identity_events *, void *user);

/* NULL is legal. No callback comes after it; it may be called from inside one. */
void mesh__identity_unwatch(struct identity_source *);

#endif
