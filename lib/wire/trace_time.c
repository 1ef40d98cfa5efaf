/* SPDX-License-Identifier: Apache-2.0 */
/* trace_time.c - timeouts and dates in header fields, with integers only: no locale, no time zone, no libc calendar. */
#include "wire/trace.h"

#define DAY_S 86400
#define MAX_RETRY_AFTER_S 300
#define LAST_SECOND INT64_C(253402300799) /* of the year 9999 */

static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char day_names[] = "SunMonTueWedThuFriSat";

/* The number of `size` digits, at most 18; -1 when a character is none, or there is none. */
static int64_t digits(const char *text, size_t size)
{
    int64_t number = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        number = number * 10 + (text[i] - '0');
    }
    return size > 0 ? number : -1;
}

mesh_nanos mesh__envoy_timeout_parse(struct view text)
{
    if (text.size > 10)
        return -1;
    int64_t ms = digits(text.data, text.size);
    return ms < 0 ? -1 : ms * NANOS_MS;
}

static mesh_nanos unit_nanos(char unit)
{
    switch (unit) {
    case 'H':
        return 3600 * NANOS_S;
    case 'M':
        return 60 * NANOS_S;
    case 'S':
        return NANOS_S;
    case 'm':
        return NANOS_MS;
    case 'u':
        return NANOS_US;
    case 'n':
        return 1;
    default:
        return -1;
    }
}

mesh_nanos mesh__grpc_timeout_parse(struct view text)
{
    if (text.size < 2 || text.size > 9)
        return -1;
    int64_t count = digits(text.data, text.size - 1);
    mesh_nanos unit = unit_nanos(text.data[text.size - 1]);
    if (count < 0 || unit < 0)
        return -1;
    return count > INT64_MAX / unit ? NANOS_NEVER : count * unit;
}

/* A date of the proleptic Gregorian calendar, as it is read and written. */
struct civil {
    int64_t year, month, day; /* month 1 to 12 */
    int64_t hour, minute, second;
};

/* Days of 400 years, with each year taken to begin in March: the leap day is then a year's last. */
#define ERA_DAYS 146097
#define ERA_YEARS 400
#define EPOCH_FROM_ERA 719468 /* days from 1 March of the year 0 to 1 January 1970 */

/* Days before a month in a year that begins in March; month 0 is March. */
static int64_t days_before_month(int64_t month)
{
    return (153 * month + 2) / 5;
}

/* Days since 1970 of a date from the year 0 on. */
static int64_t days_from_civil(int64_t year, int64_t month, int64_t day)
{
    if (month <= 2)
        year--;
    int64_t year_of_era = year % ERA_YEARS;
    int64_t day_of_year = days_before_month((month + 9) % 12) + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return year / ERA_YEARS * ERA_DAYS + day_of_era - EPOCH_FROM_ERA;
}

/* The inverse, for days from 1970 on. */
static struct civil civil_from_days(int64_t days)
{
    days += EPOCH_FROM_ERA;
    int64_t day_of_era = days % ERA_DAYS;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (year_of_era * 365 + year_of_era / 4 - year_of_era / 100);
    int64_t march_month = (5 * day_of_year + 2) / 153;
    struct civil date = { 0 };
    date.day = day_of_year - days_before_month(march_month) + 1;
    date.month = march_month < 10 ? march_month + 3 : march_month - 9;
    date.year = days / ERA_DAYS * ERA_YEARS + year_of_era + (date.month <= 2);
    return date;
}

/* The index of a name of three letters in a row of such names; -1 when it is none. */
static int64_t name_index(const char *names, size_t names_size, const char *text)
{
    for (size_t i = 0; i < names_size; i += 3)
        if (memcmp(names + i, text, 3) == 0)
            return (int64_t)(i / 3);
    return -1;
}

/* Reads one part of a date pattern: 'D' day name, 'd' day of the month, 'e' the same with a space for a zero,
 * 'm' month name, 'Y' year, 'y' its last two digits, 'h' hour, 'i' minute, 's' second; all else stands for itself. */
static bool match_part(char kind, const char *text, struct civil *date)
{
    switch (kind) {
    case 'D':
        return name_index(day_names, sizeof day_names - 1, text) >= 0;
    case 'm':
        date->month = name_index(month_names, sizeof month_names - 1, text) + 1;
        return date->month > 0;
    case 'd':
        return (date->day = digits(text, 2)) >= 0;
    case 'e':
        return (date->day = text[0] == ' ' ? digits(text + 1, 1) : digits(text, 2)) >= 0;
    case 'Y':
        return (date->year = digits(text, 4)) >= 0;
    case 'y':
        return (date->year = digits(text, 2)) >= 0;
    case 'h':
        return (date->hour = digits(text, 2)) >= 0;
    case 'i':
        return (date->minute = digits(text, 2)) >= 0;
    case 's':
        return (date->second = digits(text, 2)) >= 0;
    default:
        return *text == kind;
    }
}

static size_t part_width(char kind)
{
    if (kind == 'D' || kind == 'm')
        return 3;
    if (kind == 'Y')
        return 4;
    return strchr("deyhis", kind) != NULL ? 2 : 1;
}

/* True when all of `text` matches all of the pattern. */
static bool match(struct view text, const char *pattern, struct civil *date)
{
    for (; *pattern != '\0'; pattern++) {
        size_t width = part_width(*pattern);
        if (text.size < width || !match_part(*pattern, text.data, date))
            return false;
        text = mesh__view(text.data + width, text.size - width);
    }
    return text.size == 0;
}

/* The date of RFC 850 has the day's full name and a year of two digits, which lies within 50 years of now. */
static bool match_rfc850(struct view text, int64_t unix_now_s, struct civil *date)
{
    static const char *const days[] = { "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday" };
    for (size_t i = 0; i < sizeof days / sizeof *days; i++) {
        size_t size = strlen(days[i]);
        if (text.size < size || memcmp(text.data, days[i], size) != 0)
            continue;
        if (!match(mesh__view(text.data + size, text.size - size), ", d-m-y h:i:s GMT", date))
            return false;
        int64_t this_year = civil_from_days(unix_now_s / DAY_S).year;
        date->year += this_year - this_year % 100;
        if (date->year > this_year + 50)
            date->year -= 100;
        else if (date->year <= this_year - 50)
            date->year += 100;
        return true;
    }
    return false;
}

static bool leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static bool plausible(const struct civil *date)
{
    static const int64_t month_days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    if (date->year < 1 || date->day < 1 || date->hour > 23 || date->minute > 59 || date->second > 60)
        return false;
    return date->day <= month_days[date->month - 1] + (date->month == 2 && leap(date->year));
}

static int64_t clamp(int64_t number, int64_t low, int64_t high)
{
    return number < low ? low : number > high ? high : number;
}

mesh_nanos mesh__retry_after_parse(struct view text, int64_t unix_now_s)
{
    bool number = text.size > 0;
    for (size_t i = 0; i < text.size; i++)
        number &= text.data[i] >= '0' && text.data[i] <= '9';
    if (number) {
        while (text.size > 1 && text.data[0] == '0')
            text = mesh__view(text.data + 1, text.size - 1);
        int64_t delay = text.size > 9 ? MAX_RETRY_AFTER_S : digits(text.data, text.size);
        return clamp(delay, 0, MAX_RETRY_AFTER_S) * NANOS_S;
    }
    struct civil date = { 0 };
    int64_t now = clamp(unix_now_s, 0, LAST_SECOND);
    if (!match(text, "D, d m Y h:i:s GMT", &date) && !match_rfc850(text, now, &date) &&
        !match(text, "D m e h:i:s Y", &date))
        return -1;
    if (!plausible(&date))
        return -1;
    int64_t at =
        days_from_civil(date.year, date.month, date.day) * DAY_S + date.hour * 3600 + date.minute * 60 + date.second;
    return clamp(at - now, 0, MAX_RETRY_AFTER_S) * NANOS_S;
}

static char *put_digits(char *out, int64_t number, size_t size)
{
    for (size_t i = size; i > 0; i--) {
        out[i - 1] = (char)('0' + number % 10);
        number /= 10;
    }
    return out + size;
}

static char *put_name(char *out, const char *names, int64_t index)
{
    memcpy(out, names + 3 * index, 3);
    return out + 3;
}

static char *put_char(char *out, char c)
{
    *out = c;
    return out + 1;
}

void mesh__http_date(int64_t unix_s, char out[30])
{
    unix_s = clamp(unix_s, 0, LAST_SECOND);
    int64_t days = unix_s / DAY_S, second = unix_s % DAY_S;
    struct civil date = civil_from_days(days);
    out = put_name(out, day_names, (days + 4) % 7);
    memcpy(out, ", ", 2);
    out = put_char(put_digits(out + 2, date.day, 2), ' ');
    out = put_char(put_name(out, month_names, date.month - 1), ' ');
    out = put_char(put_digits(out, date.year, 4), ' ');
    out = put_char(put_digits(out, second / 3600, 2), ':');
    out = put_char(put_digits(out, second / 60 % 60, 2), ':');
    out = put_digits(out, second % 60, 2);
    memcpy(out, " GMT", sizeof " GMT");
}
