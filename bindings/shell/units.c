/* SPDX-License-Identifier: Apache-2.0 */
/* units.c - durations and counts. */
#include "units.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    double ns;
} units[] = { { "ns", 1 }, { "us", 1e3 }, { "ms", 1e6 }, { "s", 1e9 }, { "m", 60e9 }, { "h", 3600e9 } };

#define LONGEST (24 * 3600e9)
#define DIGITS "0123456789"

bool units_parse_duration(const char *text, int64_t *out)
{
    size_t whole = strspn(text, DIGITS);
    size_t fraction = text[whole] == '.' ? strspn(text + whole + 1, DIGITS) : 0;
    if (whole == 0 || (text[whole] == '.' && fraction == 0))
        return false;
    const char *unit = text + whole + (fraction ? fraction + 1 : 0);
    double number = strtod(text, NULL); /* in the "C" locale, which the tool never leaves */
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        double ns = number * units[i].ns;
        if (strcmp(unit, units[i].name) != 0)
            continue;
        if (!(ns >= 1 && ns <= LONGEST))
            return false;
        *out = (int64_t)ns;
        return true;
    }
    return false;
}

bool units_parse_count(const char *text, uint64_t most, uint64_t *out)
{
    uint64_t number = 0;
    if (text[0] == '\0')
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        number = number * 10 + (uint64_t)(*text - '0');
        if (number > most)
            return false;
    }
    *out = number;
    return number > 0;
}
