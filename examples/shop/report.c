/* SPDX-License-Identifier: Apache-2.0 */
/* report.c - the table of both rounds, phase by phase, side by side; who else called; how certificates were replaced.
 */
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
    if (phase >= round->phase_count) {
        (void)printf(" |");
        return;
    }
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
    (void)printf("%-38s %zu orders, %zu accepted, %zu charged; %zu attempts at payment, %zu found charged already\n",
                 round->title, round->order_count, round->accepted, round->charged, round->attempt_count,
                 round->already);
    if (round->first_failure[0])
        (void)printf("%-38s first failure: %s\n", "", round->first_failure);
}

static void print_words(const struct round *mesh, const struct round *plain)
{
    (void)printf("\n%d orders/s. slow: payment-1 takes %d ms instead of 20, four at a time. killed: payment-2 is gone "
                 "too.\nback: both are as before. moved: payment-3 is replaced by payment-4 at another address.\n",
                 RATE, SLOW_MS);
    if (mesh->tls)
        (void)printf(
            "intruder: three who may not call do. rotated: all certificates are replaced, three times.\n"
            "With Meshcall every connection is mutual TLS, and each server lets one program ask for one kind of "
            "path.\n%s",
            plain ? "The plain client and its servers speak plain text: they are spared the handshakes, and these two "
                    "phases.\n"
                  : "");
    else
        (void)printf("Without TLS: everybody speaks plain text, and may call whom they like.\n");
    (void)printf("\n");
}

static void print_intrusions(const struct round *mesh)
{
    (void)printf("\nIntruders: what each was answered by payment-1, and what payment-1 logged\n");
    for (int i = 0; i < INTRUDERS; i++) {
        const struct intrusion *intrusion = &mesh->intrusions[i];
        (void)printf("  %s\n    answer  ", intrusion->who ? intrusion->who : "-");
        if (intrusion->first.http)
            (void)printf("%d: %s\n", intrusion->first.http, intrusion->first.words);
        else
            (void)printf("%s: %s\n", mesh_status_name(intrusion->first.code), intrusion->first.words);
        (void)printf("    log     %s\n", intrusion->said);
    }
}

static void print_rotations(const struct round *mesh)
{
    const struct renewal *renewal = &mesh->renewal;
    int64_t start = phase_start(mesh, PHASES - 1);
    (void)printf("\nRotation, in seconds of its phase: begun, and when every server showed the new certificate\n");
    for (int i = 0; i < ROTATIONS; i++) {
        const struct rotation *rotation = &mesh->rotations[i];
        (void)printf("  %5.1f", (double)(rotation->begun_ns - start) / 1e9);
        if (rotation->shown_ns)
            (void)printf("  %5.1f", (double)(rotation->shown_ns - start) / 1e9);
        else
            (void)printf("  never");
        (void)printf("  %s\n", rotation->what ? rotation->what : "-");
    }
    (void)printf("Afterwards, at payment-1, a client that\n"
                 "  looks for the former certificate    %s\n"
                 "  trusts the former authority only    %s\n"
                 "  has one of the former certificates  %s\n",
                 renewal->words[0], renewal->words[1], renewal->words[2]);
}

void report(const struct round *mesh, const struct round *plain)
{
    print_words(mesh, plain);
    (void)printf("%-15s | %-49s%s%s\n", "", mesh->title, plain ? " | " : "", plain ? plain->title : "");
    (void)printf("%-8s%7s", "phase", "orders");
    for (int i = 0; i < (plain ? 2 : 1); i++)
        (void)printf(" | success     p50     p99   pay-1 pay-2 pay-3 pay-4");
    (void)printf("\n");
    for (int phase = 0; phase < mesh->phase_count; phase++) {
        size_t accepted;
        (void)printf("%-8s%7zu", phases[phase].name, orders_of(mesh, phase, &accepted));
        print_phase(mesh, phase);
        if (plain)
            print_phase(plain, phase);
        (void)printf("\n");
    }
    (void)printf("Times in ms, from when an order was due, of accepted orders. pay-N: share of the attempts.\n\n");
    print_ledger(mesh);
    if (plain)
        print_ledger(plain);
    if (mesh->tls) {
        print_intrusions(mesh);
        print_rotations(mesh);
    }
}
