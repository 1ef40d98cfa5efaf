/* SPDX-License-Identifier: Apache-2.0 */
/* status.c - the lists of <mesh/status.h> laid out as tables that are indexed by number. */
#include "base/status.h"

#include <stddef.h>

#define ROW(name, number, category, retryable, flag, sentence)                                                         \
    [number] = { #name, flag, sentence, number, MESH_CATEGORY_##category, retryable },
static const struct status_row rows[] = { MESH_STATUS_MAP(ROW) };
#undef ROW

#define TEXT(name, number, text) [number] = text,
static const char *const categories[] = { MESH_CATEGORY_MAP(TEXT) };
#undef TEXT

const struct status_row *mesh__status_row(mesh_status status)
{
    if (status < 0 || (size_t)status >= sizeof(rows) / sizeof(rows[0]) || rows[status].name == NULL)
        return NULL;
    return &rows[status];
}

const char *mesh__category_text(int32_t category)
{
    if (category < 0 || (size_t)category >= sizeof(categories) / sizeof(categories[0]))
        return NULL;
    return categories[category];
}
