/* SPDX-License-Identifier: Apache-2.0 */
/* scan_value.c - single numbers and characters: does a double hold it, is it UTF-8? */
#include "config/scan.h"

#include <locale.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define NUMBER_MAX 60

/* The significant digits of a decimal number, without zeros at either end. */
static size_t significant(struct view text, char out[NUMBER_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < text.size && text.data[i] != 'e' && text.data[i] != 'E'; i++) {
        char c = text.data[i];
        if (c >= '0' && c <= '9' && (count > 0 || c != '0') && count < NUMBER_MAX)
            out[count++] = c;
    }
    while (count > 0 && out[count - 1] == '0')
        count--;
    return count;
}

/* strtod() without the locale's decimal point. */
static bool convert(const char *text, double *out)
{
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (plain == (locale_t)0)
        return false;
    *out = strtod_l(text, NULL, plain);
    freelocale(plain);
    return *out - *out == 0; /* neither infinite nor NaN */
}

bool mesh__scan_number(struct view text, double *out)
{
    char copy[NUMBER_MAX + 1], written[NUMBER_MAX], held[NUMBER_MAX], printed[NUMBER_MAX * 2];
    if (text.size > NUMBER_MAX)
        return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    if (!convert(copy, out))
        return false;
    size_t count = significant(text, written);
    if (count == 0)
        return true;
    /* It is held if the double, printed with as many digits as were written, gives those digits. */
    (void)snprintf(printed, sizeof(printed), "%.*e", (int)count - 1, *out);
    return significant(mesh__view_of(printed), held) == count && memcmp(written, held, count) == 0;
}

size_t mesh__scan_utf8(struct view text)
{
    if (text.size == 0)
        return 0;
    const unsigned char *s = (const unsigned char *)text.data;
    if (s[0] < 0x80)
        return 1;
    size_t size = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || text.size < size)
        return 0;
    /* The second byte rules out overlong forms, surrogates, and what is past U+10FFFF. */
    unsigned char low = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80;
    unsigned char high = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;
    if (s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < size; i++)
        if (s[i] < 0x80 || s[i] > 0xbf)
            return 0;
    return size;
}
