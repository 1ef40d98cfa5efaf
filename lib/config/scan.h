/* SPDX-License-Identifier: Apache-2.0 */
/* scan.h - is this text JSON, to the letter of RFC 8259, and where does each value stand?
 *
 * Stricter than the parser behind it where the RFC leaves a choice, so that a document means the same to every reader:
 * UTF-8 without a byte order mark, no lone surrogates, no U+0000, no duplicate keys (compared after unescaping),
 * nesting to 64, at most 16 MiB, and only numbers that a double holds with every digit that was written. Allocates
 * only. */
#ifndef MESH__CONFIG_SCAN_H
#define MESH__CONFIG_SCAN_H

#include "base/buf.h"

#define SCAN_DEPTH_MAX 64
#define SCAN_SIZE_MAX ((size_t)16 << 20)

/* Lines and columns count from 1; a column is a character, not a byte. The key's are 0 where a value has no key. */
struct scan_place {
    uint32_t line, column;
    uint32_t key_line, key_column;
};

/* One place for each value, in the order in which the values begin. */
struct scan {
    struct scan_place *places; /* owned, from `mem` of mesh__scan() */
    size_t count, capacity;
};

enum scan_result { SCAN_OK, SCAN_REFUSED, SCAN_NO_MEMORY };

/* Scans the text, which will be `depth` levels inside of another. Appends one line "NAME:LINE:COLUMN: json: what is
 * wrong" for each fault to `errors` (NULL: unwanted); a fault in the structure ends the scan. `out` is empty unless
 * SCAN_OK is returned; the caller frees out->places. */
enum scan_result mesh__scan(const struct mem *mem, struct view text, const char *name, uint32_t depth, struct scan *out,
                            struct buf *errors);

/* The double that the number says, whatever the locale. False when it does not hold every digit. `text` is a number by
 * the grammar of JSON. */
bool mesh__scan_number(struct view text, double *out);

/* The length of the UTF-8 character at the start of the text; 0 when it is not well-formed (RFC 3629). */
size_t mesh__scan_utf8(struct view text);

#endif
