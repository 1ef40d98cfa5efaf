/* SPDX-License-Identifier: Apache-2.0 */
/* status.h - the table of all status codes, as <mesh/status.h> lists them. Constant; any thread. */
#ifndef MESH__BASE_STATUS_H
#define MESH__BASE_STATUS_H

#include <mesh/status.h>

struct status_row {
    const char *name, *flag, *sentence;
    mesh_status status;
    int32_t category;
    int32_t retryable; /* 0 or 1 */
};

/* The row of a code; NULL for a number that is not in the list. */
const struct status_row *mesh__status_row(mesh_status status);

/* The text of a category; NULL for a number that is not in the list. */
const char *mesh__category_text(int32_t category);

#endif
