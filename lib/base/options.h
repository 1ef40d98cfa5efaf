/* SPDX-License-Identifier: Apache-2.0 */
/* options.h - a caller's mesh_options, of whatever version, as this version's struct. */
#ifndef MESH__BASE_OPTIONS_H
#define MESH__BASE_OPTIONS_H

#include <mesh/client.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define OPTIONS_TOO_SMALL "options.size: too small; set it with MESH_OPTIONS_INIT or mesh_options_init()"

/* False when `given` is smaller than the first version of the struct: nobody has set its size. NULL: the defaults. */
static inline bool mesh__options_take(const mesh_options *given, mesh_options *out)
{
    *out = (mesh_options)MESH_OPTIONS_INIT;
    if (given == NULL)
        return true;
    if (given->size < offsetof(mesh_options, user) + sizeof(given->user))
        return false;
    memcpy(out, given, given->size < sizeof(*out) ? given->size : sizeof(*out));
    out->size = (uint32_t)sizeof(*out);
    return true;
}

#endif
