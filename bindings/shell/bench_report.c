/* SPDX-License-Identifier: Apache-2.0 */
/* bench_report.c - what was measured, in words and as JSON. */
#include "bench.h"

#include "json_out.h"

#include <stdio.h>

static const struct {
    const char *name, *key;
    uint64_t permille;
} quantiles[] = { { "p50", "p50_us", 500 }, { "p90", "p90_us", 900 }, { "p99", "p99_us", 990 } };
#define QUANTILES (sizeof(quantiles) / sizeof(quantiles[0]))

static double us(int64_t ns)
{
    return (double)ns / 1e3;
}

static double mean(const struct bench *bench)
{
    return bench->latency.count > 0 ? bench->latency.sum / (double)bench->latency.count : 0;
}

static double rate(const struct bench *bench)
{
    return bench->elapsed_ns > 0 ? (double)bench->responses * 1e9 / (double)bench->elapsed_ns : 0;
}

static double each(const struct bench *bench, int64_t ns)
{
    return bench->ended > 0 ? us(ns) / (double)bench->ended : 0;
}

uint64_t bench_errors(const struct bench *bench)
{
    return bench->ended - bench->responses;
}

static void write_latency(struct json_out *out, const struct bench *bench)
{
    bool any = bench->latency.count > 0;
    for (size_t i = 0; i < QUANTILES; i++) {
        if (any)
            json_decimal(out, quantiles[i].key, us(histogram_quantile(&bench->latency, quantiles[i].permille)));
        else
            json_null(out, quantiles[i].key);
    }
    if (any) {
        json_decimal(out, "mean_us", mean(bench) / 1e3);
        json_decimal(out, "max_us", us(bench->latency.most));
    } else {
        json_null(out, "mean_us");
        json_null(out, "max_us");
    }
}

static void write_outcomes(struct json_out *out, const struct bench *bench)
{
    char status[8];
    json_integer(out, "errors", (int64_t)bench_errors(bench));
    json_open(out, "errors_by_kind", '{');
    for (int i = 0; i < BENCH_CODES; i++)
        if (i != MESH_OK && bench->by_code[i] > 0)
            json_integer(out, mesh_status_name(i), (int64_t)bench->by_code[i]);
    json_close(out, '}');
    json_open(out, "statuses", '{');
    for (int i = 0; i < BENCH_STATUSES; i++) {
        if (bench->by_status[i] == 0)
            continue;
        (void)snprintf(status, sizeof(status), "%d", i);
        json_integer(out, status, (int64_t)bench->by_status[i]);
    }
    json_close(out, '}');
}

static void report_json(const struct bench *bench, const struct options *options)
{
    struct json_out out = { stdout, false };
    json_open(&out, NULL, '{');
    json_integer(&out, "connections", (int64_t)options->connections);
    json_integer(&out, "requests", (int64_t)bench->ended);
    json_integer(&out, "responses", (int64_t)bench->responses);
    json_decimal(&out, "duration_us", us(bench->elapsed_ns));
    json_decimal(&out, "rps", rate(bench));
    json_decimal(&out, "cpu_us", each(bench, bench->user_ns + bench->system_ns));
    json_decimal(&out, "cpu_user_us", each(bench, bench->user_ns));
    json_decimal(&out, "cpu_system_us", each(bench, bench->system_ns));
    write_latency(&out, bench);
    write_outcomes(&out, bench);
    json_integer(&out, "attempts", (int64_t)bench->counters.attempts);
    json_integer(&out, "retries", (int64_t)bench->counters.retries);
    json_integer(&out, "connects", (int64_t)bench->counters.connects);
    json_boolean(&out, "interrupted", bench->interrupted);
    json_close(&out, '}');
    printf("\n");
}

static void report_latency(const struct bench *bench)
{
    if (bench->latency.count == 0) {
        printf("latency     none\n");
        return;
    }
    printf("latency    ");
    for (size_t i = 0; i < QUANTILES; i++)
        printf(" %s %.1f us,", quantiles[i].name, us(histogram_quantile(&bench->latency, quantiles[i].permille)));
    printf(" mean %.1f us, max %.1f us\n", mean(bench) / 1e3, us(bench->latency.most));
}

static void report_outcomes(const struct bench *bench)
{
    const char *separator = " ";
    printf("statuses   ");
    for (int i = 0; i < BENCH_STATUSES; i++) {
        if (bench->by_status[i] == 0)
            continue;
        printf("%s%d: %llu", separator, i, (unsigned long long)bench->by_status[i]);
        separator = ", ";
    }
    printf(bench->responses ? "\n" : " none\n");
    printf("errors      %llu", (unsigned long long)bench_errors(bench));
    separator = ": ";
    for (int i = 0; i < BENCH_CODES; i++) {
        if (i == MESH_OK || bench->by_code[i] == 0)
            continue;
        printf("%s%s %llu", separator, mesh_status_name(i), (unsigned long long)bench->by_code[i]);
        separator = ", ";
    }
    printf("\n");
}

void bench_report(const struct bench *bench, const struct options *options)
{
    if (options->json) {
        report_json(bench, options);
        return;
    }
    printf("requests    %llu in %.3f s, %llu in flight%s\n", (unsigned long long)bench->ended,
           (double)bench->elapsed_ns / 1e9, (unsigned long long)options->connections,
           bench->interrupted ? ", interrupted" : "");
    printf("rate        %.0f responses/s\n", rate(bench));
    report_latency(bench);
    printf("CPU         %.2f us a request (user %.2f, system %.2f)\n", each(bench, bench->user_ns + bench->system_ns),
           each(bench, bench->user_ns), each(bench, bench->system_ns));
    report_outcomes(bench);
    printf("attempts    %llu, %llu retries, %llu connections opened\n", (unsigned long long)bench->counters.attempts,
           (unsigned long long)bench->counters.retries, (unsigned long long)bench->counters.connects);
}
