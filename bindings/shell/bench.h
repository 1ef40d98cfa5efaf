/* SPDX-License-Identifier: Apache-2.0 */
/* bench.h - what `mesh bench` has measured. */
#ifndef MESH_SHELL_BENCH_H
#define MESH_SHELL_BENCH_H

#include "histogram.h"
#include "options.h"

#define BENCH_CODES 256     /* above every mesh_status */
#define BENCH_STATUSES 1000 /* above every HTTP status */

struct bench {
    uint64_t started, ended, responses;
    uint64_t by_code[BENCH_CODES];
    uint64_t by_status[BENCH_STATUSES]; /* HTTP; of gRPC calls theirs */
    struct histogram latency;   /* of calls with a response, from before the start until the result is at hand */
    int64_t elapsed_ns;         /* from before the first start until the last result */
    int64_t user_ns, system_ns; /* CPU time of the whole process meanwhile */
    mesh_counters counters;
    mesh_result *failed; /* the first call without a response; or NULL */
    bool refused;        /* it can never work, which ended the run */
    bool interrupted;
};

uint64_t bench_errors(const struct bench *bench);

/* Writes what was measured to standard output, for people or as one JSON object. */
void bench_report(const struct bench *bench, const struct options *options);

#endif
