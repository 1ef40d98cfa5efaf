/* SPDX-License-Identifier: Apache-2.0 */
/* error.c - errors live in malloc, whatever allocator a client has: they may precede and outlive every client. */
#include "base/error.h"

#include "base/error_type.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static struct mesh_error no_memory = { MESH_NO_MEMORY, "memory ran out" };

static mesh_error *new_error(mesh_status status, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    mesh_error *error = size < 0 ? NULL : malloc(sizeof(*error) + (size_t)size + 1);
    if (error != NULL) {
        char *text = (char *)(error + 1);
        (void)vsnprintf(text, (size_t)size + 1, format, again);
        error->status = status;
        error->text = text;
    }
    va_end(again);
    return error ? error : &no_memory;
}

mesh_error *mesh__error_new(mesh_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    mesh_error *error = new_error(status, format, arguments);
    va_end(arguments);
    return error;
}

mesh_status mesh__error_set(mesh_error **out, mesh_status status, const char *format, ...)
{
    if (out == NULL)
        return status;
    va_list arguments;
    va_start(arguments, format);
    *out = new_error(status, format, arguments);
    va_end(arguments);
    return status;
}

void mesh__error_release(mesh_error *error)
{
    if (error != &no_memory)
        free(error);
}
