/* SPDX-License-Identifier: Apache-2.0 */
/* units.h - numbers as people write them. */
#ifndef MESH_SHELL_UNITS_H
#define MESH_SHELL_UNITS_H

#include <stdbool.h>
#include <stdint.h>

/* A duration as the configuration has it, "250ms" or "1.5s", above 0 and at most 24h; in ns. */
bool units_parse_duration(const char *text, int64_t *out);

/* A whole number from 1 to `most`. */
bool units_parse_count(const char *text, uint64_t most, uint64_t *out);

#endif
