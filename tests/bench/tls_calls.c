/* SPDX-License-Identifier: Apache-2.0 */
/* tls_calls.c - calls on an open connection, alone and while 100 others are being made by the same loop: the time that
 * the calling thread, which drives the loop, spends on each. Arguments: a configuration with the services "kept" and
 * "new", of which the second takes a connection for each call. One JSON object; see tests/bench/tls.py. */
#include <mesh/mesh.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define CONNECTIONS 100
#define ALONE 20000
#define MOST 1000000

static int64_t samples[MOST];

static int64_t cpu_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int compare(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

static void print_quantiles(const char *name, size_t count, const char *after)
{
    qsort(samples, count, sizeof(samples[0]), compare);
    (void)printf("\"%s\": {\"calls\": %zu, \"p50_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f}%s", name, count,
                 (double)samples[count / 2] / 1e3, (double)samples[count * 99 / 100] / 1e3,
                 (double)samples[count - 1] / 1e3, after);
}

static void fail(const char *words)
{
    (void)fprintf(stderr, "%s\n", words);
    exit(1);
}

static int64_t call_once(mesh_client *client)
{
    mesh_request request = MESH_REQUEST_INIT;
    mesh_result *result;
    request.path = "/256";
    int64_t begun = cpu_now();
    mesh_status status = mesh_call(client, "kept", &request, &result);
    int64_t took = cpu_now() - begun;
    if (status != MESH_OK)
        fail(mesh_result_message(result));
    mesh_result_free(result);
    return took;
}

/* How many of the new connections' calls have ended. */
static uint32_t take_completions(mesh_client *client)
{
    mesh_completion completions[CONNECTIONS];
    uint32_t count = 0;
    completions[0].size = sizeof(completions[0]);
    if (mesh_client_next(client, completions, CONNECTIONS, 0, &count) != MESH_OK)
        return 0;
    for (uint32_t i = 0; i < count; i++) {
        if (completions[i].status != MESH_OK)
            fail(mesh_result_message(completions[i].result));
        mesh_result_free(completions[i].result);
    }
    return count;
}

int main(int count, char **arguments)
{
    mesh_options options = MESH_OPTIONS_INIT;
    mesh_client *client;
    mesh_error *error;
    size_t during = 0;
    options.shards = 1;
    if (count != 2 || mesh_client_open_file(arguments[1], &options, &client, &error) != MESH_OK)
        fail(count != 2 ? "usage: bench-tls_calls CONFIG" : mesh_error_text(error));
    for (int i = 0; i < 100; i++)
        (void)call_once(client);
    for (int i = 0; i < ALONE; i++)
        samples[i] = call_once(client);
    (void)printf("{");
    print_quantiles("alone", ALONE, ", ");
    for (int i = 0; i < CONNECTIONS; i++) {
        mesh_request request = MESH_REQUEST_INIT;
        request.path = "/256";
        if (mesh_call_start(client, "new", &request, NULL, NULL) != MESH_OK)
            fail("a call could not be started");
    }
    for (uint32_t ended = 0; ended < CONNECTIONS && during < MOST; ended += take_completions(client))
        samples[during++] = call_once(client);
    print_quantiles("while 100 connections are made", during, "}\n");
    mesh_client_free(client);
    return 0;
}
