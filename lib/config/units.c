/* SPDX-License-Identifier: Apache-2.0 */
/* units.c - decimal arithmetic on integers; nothing is rounded. */
#include "config/units.h"

#include <stdint.h>
#include <stdio.h>

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit durations[] = { { "h", 3600000000000u }, { "m", 60000000000u }, { "s", 1000000000u },
                                         { "ms", 1000000u },      { "us", 1000u },       { "ns", 1u } };

static const struct unit sizes[] = { { "B", 1u },          { "KiB", 1u << 10 }, { "MiB", 1u << 20 },
                                     { "GiB", 1u << 30 },  { "KB", 1000u },     { "MB", 1000u * 1000u },
                                     { "GB", 1000000000u } };

/* The length of the digits at the start, their value; false when there are none or too many for a uint64_t. */
static bool digits(struct view text, size_t *length, uint64_t *value)
{
    *value = 0;
    size_t i = 0;
    for (; i < text.size && text.data[i] >= '0' && text.data[i] <= '9'; i++) {
        uint64_t digit = (uint64_t)(text.data[i] - '0');
        if (__builtin_mul_overflow(*value, 10u, value) || __builtin_add_overflow(*value, digit, value))
            return false;
    }
    *length = i;
    return i > 0;
}

static uint64_t greatest_common_divisor(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* What `fraction` / 10^`places` of `factor` is; false unless that is a whole number. */
static bool part_of(uint64_t fraction, size_t places, uint64_t factor, uint64_t *out)
{
    for (; places > 0 && fraction % 10 == 0; places--)
        fraction /= 10;
    if (places > 18)
        return false;
    uint64_t power = 1;
    while (places-- > 0)
        power *= 10;
    uint64_t common = greatest_common_divisor(power, factor);
    if (fraction % (power / common) != 0)
        return false;
    *out = fraction / (power / common) * (factor / common);
    return true;
}

static const struct unit *find_unit(const struct unit *units, size_t count, struct view name)
{
    for (size_t i = 0; i < count; i++)
        if (mesh__view_equal(name, mesh__view_of(units[i].name)))
            return &units[i];
    return NULL;
}

static bool parse(struct view text, const struct unit *units, size_t count, uint64_t *out)
{
    size_t length, places = 0;
    uint64_t whole, fraction = 0, part, value;
    if (!digits(text, &length, &whole))
        return false;
    text = mesh__view(text.data + length, text.size - length);
    if (text.size > 0 && text.data[0] == '.') {
        text = mesh__view(text.data + 1, text.size - 1);
        if (!digits(text, &places, &fraction))
            return false;
        text = mesh__view(text.data + places, text.size - places);
    }
    const struct unit *unit = find_unit(units, count, text);
    if (unit == NULL || !part_of(fraction, places, unit->factor, &part))
        return false;
    if (__builtin_mul_overflow(whole, unit->factor, &value) || __builtin_add_overflow(value, part, &value))
        return false;
    *out = value;
    return value <= INT64_MAX;
}

bool mesh__units_duration(struct view text, uint64_t *nanos)
{
    return parse(text, durations, sizeof(durations) / sizeof(durations[0]), nanos);
}

bool mesh__units_size(struct view text, uint64_t *bytes)
{
    return parse(text, sizes, sizeof(sizes) / sizeof(sizes[0]), bytes);
}

bool mesh__units_count(struct view text, uint64_t *value)
{
    size_t length;
    return digits(text, &length, value) && length == text.size;
}

const char *mesh__units_format_duration(mesh_nanos nanos, char out[UNITS_TEXT_MAX])
{
    if (nanos == 0)
        return "0s";
    const struct unit *unit = durations;
    while (nanos % (mesh_nanos)unit->factor != 0)
        unit++;
    (void)snprintf(out, UNITS_TEXT_MAX, "%lld%s", (long long)(nanos / (mesh_nanos)unit->factor), unit->name);
    return out;
}
