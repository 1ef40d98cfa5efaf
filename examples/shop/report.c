/* SPDX-License-Identifier: Apache-2.0 */
/* report.c - the table of both rounds, phase by phase, side by side. */
#include "driver.h"

static void print_ms(int64_t ns)
{
    if (ns < 0)
        (void)printf("       -");
    else
        (void)printf("%8.1f", (double)ns / 1e6);
}

static void print_phase(const struct round *round, int phase)
{
    size_t accepted, count = orders_of(round, phase, &accepted);
    (void)printf(" |%7.2f%%", count > 0 ? 100.0 * (double)accepted / (double)count : 0);
    print_ms(latency(round, phase, 50));
    print_ms(latency(round, phase, 99));
    (void)printf(" ");
    for (int i = 0; i < INSTANCES; i++)
        (void)printf("%5.0f%%",
                     share(round, phase_start(round, phase), phase_start(round, phase + 1), (enum instance)i));
}

static void print_ledger(const struct round *round)
{
    (void)printf("%-34s %zu orders, %zu accepted, %zu charged; %zu attempts at payment, %zu found charged already\n",
                 round->title, round->order_count, round->accepted, round->charged, round->attempt_count,
                 round->already);
    if (round->first_failure[0])
        (void)printf("%-34s first failure: %s\n", "", round->first_failure);
}

void report(const struct round *mesh, const struct round *plain)
{
    (void)printf("\n%d orders/s. slow: payment-1 takes %d ms instead of 20, four at a time. killed: payment-2 is gone "
                 "too.\nback: both are as before. moved: payment-3 is replaced by payment-4 at another address.\n\n",
                 RATE, SLOW_MS);
    (void)printf("%-14s | %-49s | %s\n", "", mesh->title, plain->title);
    (void)printf("%-7s%7s", "phase", "orders");
    for (int i = 0; i < 2; i++)
        (void)printf(" | success     p50     p99   pay-1 pay-2 pay-3 pay-4");
    (void)printf("\n");
    for (int phase = 0; phase < PHASES; phase++) {
        size_t accepted;
        (void)printf("%-7s%7zu", phases[phase].name, orders_of(mesh, phase, &accepted));
        print_phase(mesh, phase);
        print_phase(plain, phase);
        (void)printf("\n");
    }
    (void)printf("Times in ms, from when an order was due, of accepted orders. pay-N: share of the attempts.\n\n");
    print_ledger(mesh);
    print_ledger(plain);
}
