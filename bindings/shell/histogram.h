/* SPDX-License-Identifier: Apache-2.0 */
/* histogram.h - durations in buckets whose width grows with them: bounded memory, an error below 0.4 %. */
#ifndef MESH_SHELL_HISTOGRAM_H
#define MESH_SHELL_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BITS 7 /* each power of two has 2^7 buckets */
#define HISTOGRAM_BUCKETS ((65 - HISTOGRAM_BITS) << HISTOGRAM_BITS)

struct histogram {
    uint64_t count;
    int64_t least, most;
    double sum;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_init(struct histogram *histogram);
void histogram_add(struct histogram *histogram, int64_t ns);

/* The duration that `permille` of them do not exceed; 0 if there are none. */
int64_t histogram_quantile(const struct histogram *histogram, uint64_t permille);

#endif
