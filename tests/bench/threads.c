/* SPDX-License-Identifier: Apache-2.0 */
/* threads.c - 1, 2, 4, 8, 16 and 32 threads making blocking calls over HTTP/2 to one endpoint: the CPU time of the
 * whole process for a call, which falls as threads share turns of a loop and writes. Arguments: the endpoint's address,
 * which speaks HTTP/2 in plain text ("nghttpd -n1 -d. --no-tls PORT"); the path; calls of one measurement (100000);
 * shards (0: as a client has by default). Each number of threads is measured five times, in turns; the median counts.
 * One JSON object a line. */
#include <mesh/mesh.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS 5
#define SIZES 6
#define THREADS_MAX 32

struct measure {
    double cpu_us, rate, latency_us;
    uint64_t connections;
};

static const char *path;
static mesh_client *client;
static long calls_each;

static double now_of(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void fail(const char *words)
{
    (void)fprintf(stderr, "%s\n", words);
    exit(1);
}

static void call_many(long count)
{
    mesh_request request = MESH_REQUEST_INIT;
    request.path = path;
    for (long i = 0; i < count; i++) {
        mesh_result *result;
        if (mesh_call(client, "s", &request, &result) != MESH_OK || mesh_result_status(result) != 200)
            fail(mesh_result_message(result));
        mesh_result_free(result);
    }
}

static void *run(void *unused)
{
    call_many(calls_each);
    return unused;
}

static mesh_client *open_client(const char *address, uint32_t shards)
{
    char text[300];
    mesh_config *config;
    mesh_client *out = NULL;
    mesh_error *error = NULL;
    mesh_options options = MESH_OPTIONS_INIT;
    options.shards = shards;
    int size =
        snprintf(text, sizeof(text),
                 "{\"services\":{\"s\":{\"endpoints\":[\"%s\"],\"protocol\":\"http2\",\"timeout\":\"60s\"}}}", address);
    if (mesh_config_parse(text, (size_t)size, NULL, &config, &error) != MESH_OK ||
        mesh_client_open(config, &options, &out, &error) != MESH_OK)
        fail(mesh_error_text(error));
    mesh_config_free(config);
    return out;
}

static struct measure measure(const char *address, uint32_t shards, int threads, long calls)
{
    pthread_t running[THREADS_MAX];
    client = open_client(address, shards);
    calls_each = calls / threads;
    call_many(1000);
    double cpu = now_of(CLOCK_PROCESS_CPUTIME_ID), began = now_of(CLOCK_MONOTONIC);
    for (int i = 0; i < threads; i++)
        if (pthread_create(&running[i], NULL, run, NULL) != 0)
            fail("no thread");
    for (int i = 0; i < threads; i++)
        (void)pthread_join(running[i], NULL);
    cpu = now_of(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    double took = now_of(CLOCK_MONOTONIC) - began, made = (double)(calls_each * threads);
    mesh_counters counters = MESH_COUNTERS_INIT;
    (void)mesh_client_counters(client, "s", NULL, &counters);
    mesh_client_free(client);
    return (struct measure){ cpu * 1e6 / made, made / took, took * 1e6 * threads / made, counters.connects };
}

static int compare(const void *left, const void *right)
{
    double a = ((const struct measure *)left)->cpu_us, b = ((const struct measure *)right)->cpu_us;
    return (a > b) - (a < b);
}

int main(int count, char **arguments)
{
    static const int threads[SIZES] = { 1, 2, 4, 8, 16, 32 };
    static struct measure measures[SIZES][ROUNDS];
    if (count < 3)
        fail("usage: bench-threads ADDRESS PATH [CALLS [SHARDS]]");
    path = arguments[2];
    long calls = count > 3 ? strtol(arguments[3], NULL, 10) : 100000;
    uint32_t shards = count > 4 ? (uint32_t)strtoul(arguments[4], NULL, 10) : 0;
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < SIZES; i++)
            measures[i][round] = measure(arguments[1], shards, threads[i], calls);
    for (int i = 0; i < SIZES; i++) {
        qsort(measures[i], ROUNDS, sizeof(measures[i][0]), compare);
        const struct measure *median = &measures[i][ROUNDS / 2];
        (void)printf("{\"threads\": %d, \"cpu_us\": %.2f, \"calls_per_s\": %.0f, \"latency_us\": %.1f, "
                     "\"connections\": %d}\n",
                     threads[i], median->cpu_us, median->rate, median->latency_us, (int)median->connections);
    }
    return 0;
}
