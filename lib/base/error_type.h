/* SPDX-License-Identifier: Apache-2.0 */
/* error_type.h - what a mesh_error is; for error.c and the functions that read and free one. */
#ifndef MESH__BASE_ERROR_TYPE_H
#define MESH__BASE_ERROR_TYPE_H

#include <mesh/base.h>

struct mesh_error {
    mesh_status status;
    const char *text; /* behind the struct, in the same block */
};

/* NULL is legal. */
void mesh__error_release(mesh_error *error);

#endif
