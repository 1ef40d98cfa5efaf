/* SPDX-License-Identifier: Apache-2.0 */
/* operator.c - what happens to the shop during a round, on time, whatever becomes of the orders meanwhile. */
#include "driver.h"

#include <signal.h>
#include <unistd.h>

const struct phase phases[PHASES] = {
    { "calm", 4 },     /* three instances, 20 ms a charge */
    { "slow", 8 },     /* payment-1 takes 200 ms a charge, four at a time */
    { "killed", 6 },   /* and payment-2 is gone */
    { "back", 20 },    /* both are as before */
    { "moved", 5 },    /* payment-3 is replaced by payment-4, at another address */
    { "intruder", 3 }, /* three who may not call do */
    { "rotated", 12 }, /* all certificates are replaced, three times */
};

void operator_tell(const char *words)
{
    if (isatty(STDERR_FILENO))
        (void)fprintf(stderr, "  %s\n", words);
}

static void slow_down(struct round *round)
{
    operator_tell("payment-1 becomes slow");
    (void)files_set_delay(round, "payment-1", SLOW_MS);
    round->events.slowed = now_ns();
}

static void kill_one(struct round *round)
{
    operator_tell("payment-2 is killed");
    round->events.killed = now_ns();
    process_stop("payment-2", SIGKILL);
}

static void bring_back(struct round *round)
{
    operator_tell("both come back");
    round->events.back = now_ns();
    (void)files_set_delay(round, "payment-1", 0);
    (void)process_start(round->folder, "payment", "payment-2");
}

/* The new one serves before the list names it, and the old one for 2 s after. */
static void move_one(struct round *round)
{
    static const enum instance listed[] = { SLOWED, KILLED, MOVED };
    operator_tell("payment-3 moves");
    (void)process_start(round->folder, "payment", "payment-4");
    (void)files_list_payment(round, listed, sizeof(listed) / sizeof(listed[0]));
    round->events.moved = now_ns();
    sleep_until(round->events.moved + 2 * SECONDS);
    process_stop("payment-3", SIGTERM);
}

void *operator_run(void *user)
{
    static void (*const actions[PHASES])(struct round *) = { NULL,     slow_down,      kill_one,           bring_back,
                                                             move_one, intruders_call, certificates_rotate };
    struct round *round = user;
    for (int i = 1; i < round->phase_count; i++) {
        sleep_until(phase_start(round, i));
        actions[i](round);
    }
    return NULL;
}
