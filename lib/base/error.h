/* SPDX-License-Identifier: Apache-2.0 */
/* error.h - struct mesh_error as the library builds it: a status and lines of text. */
#ifndef MESH__BASE_ERROR_H
#define MESH__BASE_ERROR_H

#include <mesh/status.h>

/* A new error of printf-formatted text; a static one when memory is out. Never NULL. Owned by the receiver. */
mesh_error *mesh__error_new(mesh_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts a new error into `*out` unless `out` is NULL, and returns the status. */
mesh_status mesh__error_set(mesh_error **out, mesh_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
