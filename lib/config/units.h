/* SPDX-License-Identifier: Apache-2.0 */
/* units.h - durations and sizes as a config says them: a number with a unit, exact or refused. Pure. */
#ifndef MESH__CONFIG_UNITS_H
#define MESH__CONFIG_UNITS_H

#include "base/time.h"
#include "base/view.h"

/* "250ms", "1.5s": ns, us, ms, s, m, h. False for anything else, for what is no whole number of nanoseconds, and past
 * the range of the type. */
bool mesh__units_duration(struct view text, uint64_t *nanos);

/* "8MiB", "0.5GB": B, KiB, MiB, GiB (powers of 1024), KB, MB, GB (powers of 1000). */
bool mesh__units_size(struct view text, uint64_t *bytes);

/* Digits only. */
bool mesh__units_count(struct view text, uint64_t *value);

#define UNITS_TEXT_MAX 32

/* The shortest exact text of a duration: "1500ms". Returns `out` or a literal. */
const char *mesh__units_format_duration(mesh_nanos nanos, char out[UNITS_TEXT_MAX]);

#endif
