/* SPDX-License-Identifier: Apache-2.0 */
/* bench.c - `mesh bench`: a closed loop. Each of N places holds one call; as one ends, the next begins in its place. */
#include "bench.h"

#include "input.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64                      /* completions taken at a time */
#define GLANCE INT64_C(100000000)     /* how long to wait at most before looking whether to stop, in ns */
#define SHOW_EVERY INT64_C(200000000) /* between two lines of progress */

struct place {
    int64_t started;
};

struct run {
    const struct options *options;
    mesh_client *client;
    mesh_request request;
    struct place *places;
    uint64_t flying;
    int64_t begin, stop_at, shown;
    bool progress;
    struct bench bench;
};

static volatile sig_atomic_t stop_asked;

static void ask_to_stop(int number)
{
    (void)number;
    stop_asked = 1;
}

static int64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t ns_of(struct timeval time)
{
    return (int64_t)time.tv_sec * 1000000000 + (int64_t)time.tv_usec * 1000;
}

static bool may_start(const struct run *run, int64_t now)
{
    return run->bench.started < run->options->requests && now < run->stop_at && !stop_asked && !run->bench.refused;
}

/* Counts a call that has ended, and keeps or frees its result. */
static void end_call(struct run *run, mesh_result *result, int64_t took)
{
    struct bench *bench = &run->bench;
    mesh_status code = mesh_result_code(result);
    bench->ended++;
    bench->by_code[code >= 0 && code < BENCH_CODES ? code : MESH_EINTERNAL]++;
    if (code == MESH_OK) {
        int32_t status = run->options->grpc ? mesh_result_grpc_status(result) : mesh_result_status(result);
        bench->responses++;
        bench->by_status[status > 0 && status < BENCH_STATUSES ? status : 0]++;
        histogram_add(&bench->latency, took);
    } else if (bench->failed == NULL) {
        bench->failed = result;
        bench->refused = mesh_status_category(code) == MESH_CATEGORY_USAGE;
        return;
    }
    mesh_result_free(result);
}

static void show_progress(struct run *run, int64_t now)
{
    if (!run->progress || now - run->shown < SHOW_EVERY)
        return;
    double rate = (double)run->bench.ended * 1e9 / (double)(now - run->begin);
    fprintf(stderr, "\r%llu calls, %.0f/s, %llu errors ", (unsigned long long)run->bench.ended, rate,
            (unsigned long long)bench_errors(&run->bench));
    run->shown = now;
}

static void fly_one(struct run *run)
{
    int64_t now = run->begin;
    while (may_start(run, now)) {
        mesh_result *result;
        int64_t started = now;
        run->bench.started++;
        (void)mesh_call(run->client, run->options->service, &run->request, &result);
        now = now_ns();
        end_call(run, result, now - started);
        show_progress(run, now);
    }
}

/* Begins a call in the place. One that cannot even begin is made again and waited for, which tells why. */
static void start_call(struct run *run, struct place *place)
{
    place->started = now_ns();
    while (may_start(run, place->started)) {
        run->bench.started++;
        if (mesh_call_start(run->client, run->options->service, &run->request, place, NULL) == MESH_OK) {
            run->flying++;
            return;
        }
        mesh_result *result;
        (void)mesh_call(run->client, run->options->service, &run->request, &result);
        int64_t now = now_ns();
        end_call(run, result, now - place->started);
        place->started = now;
    }
}

static void fly_many(struct run *run)
{
    mesh_completion completions[BATCH];
    for (uint64_t i = 0; i < run->options->connections; i++)
        start_call(run, &run->places[i]);
    while (run->flying > 0) {
        uint32_t count = 0;
        mesh_completion_init(&completions[0]);
        mesh_status status = mesh_client_next(run->client, completions, BATCH, GLANCE, &count);
        if (status != MESH_OK && status != MESH_DEADLINE)
            break; /* the client is gone, and what it held with it */
        int64_t now = now_ns();
        for (uint32_t i = 0; i < count; i++) {
            struct place *place = completions[i].user;
            run->flying--;
            end_call(run, completions[i].result, now - place->started);
            start_call(run, place);
        }
        show_progress(run, now);
    }
}

static void measure(struct run *run)
{
    struct rusage before, after;
    struct bench *bench = &run->bench;
    (void)getrusage(RUSAGE_SELF, &before);
    run->begin = run->shown = now_ns();
    run->stop_at = run->options->duration_ns > 0 ? run->begin + run->options->duration_ns : INT64_MAX;
    if (run->options->connections == 1)
        fly_one(run);
    else
        fly_many(run);
    bench->elapsed_ns = now_ns() - run->begin;
    (void)getrusage(RUSAGE_SELF, &after);
    bench->user_ns = ns_of(after.ru_utime) - ns_of(before.ru_utime);
    bench->system_ns = ns_of(after.ru_stime) - ns_of(before.ru_stime);
    bench->interrupted = stop_asked != 0;
    mesh_counters_init(&bench->counters);
    (void)mesh_client_counters(run->client, run->options->service, NULL, &bench->counters);
    if (run->progress)
        fputs("\r\033[K", stderr);
}

static int end_of(const struct run *run)
{
    const struct bench *bench = &run->bench;
    mesh_status status = mesh_result_code(bench->failed);
    if (bench->refused) {
        complain("bench", "%s; %s", mesh_result_message(bench->failed), remedy_for(status));
        return exit_code_of(status);
    }
    bench_report(bench, run->options);
    if (bench->failed)
        complain("bench", "%llu of %llu calls ended without a response; the first: %s; %s",
                 (unsigned long long)bench_errors(bench), (unsigned long long)bench->ended,
                 mesh_result_message(bench->failed), remedy_for(status));
    if (bench->interrupted || bench->failed)
        return finish_output("bench", bench->interrupted ? EXIT_INTERRUPTED : EXIT_NO_RESPONSE);
    uint64_t failing = 0;
    for (int i = run->options->grpc ? 1 : 400; i < BENCH_STATUSES; i++)
        failing += bench->by_status[i];
    if (!run->options->fail || failing == 0)
        return finish_output("bench", EXIT_DONE);
    complain("bench", "%llu responses have %s, which --fail makes a failure; mesh call -v shows one",
             (unsigned long long)failing, run->options->grpc ? "another status than OK" : "status 400 or more");
    return finish_output("bench", EXIT_STATUS);
}

static int fly(const struct options *options)
{
    struct run *run = calloc(1, sizeof(*run));
    struct place *places = calloc(options->connections, sizeof(*places));
    int code = EXIT_LOCAL;
    if (run && places) {
        run->options = options;
        run->places = places;
        run->progress = isatty(STDERR_FILENO) == 1;
        histogram_init(&run->bench.latency);
        code = input_client("bench", options, &run->client);
    } else {
        complain("bench", "memory ran out; lower --connections");
    }
    if (code == EXIT_GO_ON) {
        /* The second interrupt ends the program at once. */
        struct sigaction action = { .sa_handler = ask_to_stop, .sa_flags = (int)SA_RESETHAND };
        (void)sigaction(SIGINT, &action, NULL);
        input_request(options, &run->request);
        measure(run);
        code = end_of(run);
    }
    if (run) {
        mesh_result_free(run->bench.failed);
        mesh_client_free(run->client);
    }
    free(places);
    free(run);
    return code;
}

int run_bench(int argc, char **argv)
{
    struct options options;
    int code = options_parse(VERB_BENCH, argc, argv, &options);
    if (code == EXIT_GO_ON)
        code = fly(&options);
    options_free(&options);
    return code;
}
