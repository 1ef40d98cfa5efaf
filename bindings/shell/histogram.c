/* SPDX-License-Identifier: Apache-2.0 */
/* histogram.c - log-linear buckets: exact below 2^(BITS+1) ns, then 2^BITS to each power of two. */
#include "histogram.h"

#include <string.h>

#define LINEAR (UINT64_C(2) << HISTOGRAM_BITS)

void histogram_init(struct histogram *histogram)
{
    memset(histogram, 0, sizeof(*histogram));
    histogram->least = INT64_MAX;
}

static uint64_t bucket_of(uint64_t value)
{
    if (value < LINEAR)
        return value;
    uint64_t shift = (uint64_t)(63 - __builtin_clzll(value)) - HISTOGRAM_BITS;
    return (shift << HISTOGRAM_BITS) + (value >> shift);
}

/* The middle of the bucket. */
static uint64_t value_of(uint64_t bucket)
{
    if (bucket < LINEAR)
        return bucket;
    uint64_t shift = (bucket >> HISTOGRAM_BITS) - 1;
    uint64_t lowest = (bucket - (shift << HISTOGRAM_BITS)) << shift;
    return lowest + (UINT64_C(1) << shift) / 2;
}

void histogram_add(struct histogram *histogram, int64_t ns)
{
    ns = ns < 0 ? 0 : ns;
    histogram->count++;
    histogram->sum += (double)ns;
    histogram->least = ns < histogram->least ? ns : histogram->least;
    histogram->most = ns > histogram->most ? ns : histogram->most;
    histogram->buckets[bucket_of((uint64_t)ns)]++;
}

int64_t histogram_quantile(const struct histogram *histogram, uint64_t permille)
{
    uint64_t rank = (histogram->count * permille + 999) / 1000, seen = 0;
    for (uint64_t i = 0; histogram->count > 0 && i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen < rank)
            continue;
        int64_t value = (int64_t)value_of(i);
        value = value < histogram->least ? histogram->least : value;
        return value > histogram->most ? histogram->most : value;
    }
    return 0;
}
