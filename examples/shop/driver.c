/* SPDX-License-Identifier: Apache-2.0 */
/* driver.c - plays the round with Meshcall, then (if wanted) the same with the plain client, prints both and judges the
 * first. */
#include "driver.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * SECONDS + now.tv_nsec;
}

void sleep_until(int64_t when_ns)
{
    struct timespec when = { .tv_sec = (time_t)(when_ns / SECONDS), .tv_nsec = (long)(when_ns % SECONDS) };
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) == EINTR)
        continue;
}

static atomic_int interrupted;

/* Ends everything at the first SIGINT, SIGTERM or SIGHUP, whatever the other threads are doing. */
static void *wait_for_signals(void *user)
{
    int number = SIGTERM;
    (void)sigwait(user, &number);
    atomic_store(&interrupted, 1);
    process_kill_all();
    _exit(128 + number);
}

static int start_processes(const struct round *round)
{
    const char *folder = round->folder;
    return process_start(folder, "payment", "payment-1") && process_start(folder, "payment", "payment-2") &&
           process_start(folder, "payment", "payment-3") && process_start(folder, "inventory", "inventory") &&
           process_start(folder, "shipping", "shipping") && process_start(folder, round->order_part, "order");
}

static int play_round(struct round *round)
{
    pthread_t operator;
    int seconds = 0;
    for (int i = 0; i < round->phase_count; i++)
        seconds += phases[i].seconds;
    round->order_count = (size_t)(seconds * RATE);
    round->orders = calloc(round->order_count, sizeof(*round->orders));
    if (!round->orders || !files_prepare(round) || !start_processes(round))
        return 0;
    if (isatty(STDERR_FILENO))
        (void)fprintf(stderr, "%s: %zu orders in %d s\n", round->title, round->order_count, seconds);
    round->start_ns = now_ns() + SECONDS / 5;
    if (pthread_create(&operator, NULL, operator_run, round) != 0)
        return 0;
    int played = load_run(round);
    (void)pthread_join(operator, NULL);
    process_stop_all();
    if (round->tls)
        intruders_read_log(round);
    return played && measure_round(round);
}

static int play_both(struct round *mesh, struct round *plain)
{
    int64_t start = now_ns();
    if (!play_round(mesh) || (plain && !play_round(plain)))
        return 1;
    report(mesh, plain);
    waterfall(mesh);
    return judge(mesh, now_ns() - start) > 0;
}

int driver_main(const char *folder, const struct play *play)
{
    static struct round mesh = { .order_part = "order" };
    static struct round plain = { .title = "plain round robin, no retries, no TLS",
                                  .order_part = "plain-order",
                                  .phase_count = PLAIN_PHASES };
    static sigset_t signals;
    pthread_t waiter;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    if (pthread_create(&waiter, NULL, wait_for_signals, &signals) != 0)
        return 1;
    static const char *const titles[2][2] = { { "Meshcall, HTTP/2, no TLS", "Meshcall, HTTP/1.1, no TLS" },
                                              { "Meshcall, HTTP/2, mutual TLS", "Meshcall, HTTP/1.1, mutual TLS" } };
    mesh.title = titles[play->tls][play->http1];
    mesh.tls = play->tls;
    mesh.http1 = play->http1;
    mesh.phase_count = play->tls ? PHASES : PLAIN_PHASES;
    (void)snprintf(mesh.folder, sizeof(mesh.folder), "%s/meshcall", folder);
    (void)snprintf(plain.folder, sizeof(plain.folder), "%s/plain", folder);
    int code = play_both(&mesh, play->contrast ? &plain : NULL);
    while (atomic_load(&interrupted)) /* then what failed is of no interest, and the other thread ends the process */
        (void)pause();
    process_stop_all();
    free(mesh.orders);
    free(mesh.attempts);
    free(plain.orders);
    free(plain.attempts);
    return code;
}
