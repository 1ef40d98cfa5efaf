/* SPDX-License-Identifier: Apache-2.0 */
/* path.h - the path of a request in the one form that rules are held against. Pure. */
#ifndef MESH__SERVER_PATH_H
#define MESH__SERVER_PATH_H

#include "base/view.h"

#include <stdbool.h>

/* Writes the path of a request target into `out`, which has room for target.size bytes: without the query, its
 * percent-encoding decoded once, runs of slashes merged, dot segments resolved (".." at the root stays there); "*" as
 * it is.
 *
 * False for a path that readers could understand in different ways, so that no form of it is safe to judge: one that
 * does not begin with a slash; with a "%" that no two hexadecimal digits follow; with a slash that is encoded, a
 * backslash or a control character, encoded or not; with "#"; with ".." behind an empty segment, which some merge with
 * its neighbour before, and others resolve. */
bool mesh__path_normalize(struct view target, char *out, size_t *size);

/* The target without its query. */
struct view mesh__path_of(struct view target);

#endif
