/* SPDX-License-Identifier: Apache-2.0 */
/* nearest.h - which known word did somebody mean? By edit distance; for messages. Pure. */
#ifndef MESH__CONFIG_NEAREST_H
#define MESH__CONFIG_NEAREST_H

#include <stddef.h>
#include <stdint.h>

/* Start with { word, NULL, 0 }, offer each known word, read `best`: NULL when none is near. The first of equals wins.
 */
struct nearest {
    const char *word;
    const char *best; /* borrowed from the offer */
    size_t distance;
};

void mesh__nearest_offer(struct nearest *nearest, const char *known);

/* Insertions, deletions, replacements and swaps of neighbours between two words of at most 64 bytes; the case of
 * letters, and '-' for '_', cost nothing. SIZE_MAX for longer ones. */
size_t mesh__edit_distance(const char *a, const char *b);

#endif
