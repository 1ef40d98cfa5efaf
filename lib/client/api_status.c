/* SPDX-License-Identifier: Apache-2.0 */
/* api_status.c - what a status code means, and the version of the library. Constant answers; any thread. */
#include "base/status.h"

#include <stddef.h>

#define UNKNOWN_SENTENCE "a status that this version of the library does not know"

const char *mesh_version(void)
{
    return MESH_VERSION;
}

int32_t mesh_abi_version(void)
{
    return MESH_ABI;
}

const char *mesh_status_name(mesh_status status)
{
    const struct status_row *row = mesh__status_row(status);
    return row != NULL ? row->name : "UNKNOWN";
}

const char *mesh_status_text(mesh_status status)
{
    const struct status_row *row = mesh__status_row(status);
    return row != NULL ? row->sentence : UNKNOWN_SENTENCE;
}

int32_t mesh_status_category(mesh_status status)
{
    const struct status_row *row = mesh__status_row(status);
    return row != NULL ? row->category : MESH_CATEGORY_INTERNAL;
}

const char *mesh_category_name(int32_t category)
{
    const char *text = mesh__category_text(category);
    return text != NULL ? text : "unknown";
}

int32_t mesh_status_retryable(mesh_status status)
{
    const struct status_row *row = mesh__status_row(status);
    return row != NULL ? row->retryable : 0;
}

const char *mesh_status_flag(mesh_status status)
{
    const struct status_row *row = mesh__status_row(status);
    return row != NULL ? row->flag : "-";
}
