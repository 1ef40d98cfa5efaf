/* SPDX-License-Identifier: Apache-2.0 */
/* driver.h - a round of the shop: its processes, its load, what is done to it on the way, and what came of it. */
#ifndef SHOP_DRIVER_H
#define SHOP_DRIVER_H

#include "service.h"

enum { RATE = 70, PHASES = 5, INSTANCES = 4, SLOW_MS = 200 };
#define MS ((int64_t)1000000)
#define SECONDS ((int64_t)1000000000)

/* Payment's instances by what happens to them. The last one is the third after it has moved. */
enum instance { SLOWED, KILLED, MOVES, MOVED };

struct phase {
    const char *name;
    int seconds;
};
extern const struct phase phases[PHASES];

/* Free ports of 127.0.0.1, as "127.0.0.1:21000". */
struct addresses {
    char order[32], inventory[32], shipping[32];
    char payment[INSTANCES][32];
};

struct order {
    char id[SHOP_ID];
    int64_t intended_ns; /* when it was to be sent, which is what its latency counts from; of CLOCK_MONOTONIC */
    int64_t ended_ns;
    int accepted; /* order answered 200 */
};

/* One attempt to reach payment, as the order service saw it. */
struct attempt {
    int64_t at_ns;
    int instance; /* enum instance */
    int probe;    /* Meshcall tried whether the instance is back */
};

/* When things were done to payment, of CLOCK_MONOTONIC. */
struct events {
    int64_t slowed, killed, back, moved;
};

struct round {
    const char *title;
    const char *order_part; /* "order", or "plain-order" */
    char folder[SHOP_PATH / 2];
    struct addresses addresses;
    int64_t start_ns;
    struct order *orders;
    size_t order_count;
    struct attempt *attempts;
    size_t attempt_count;
    struct events events;
    size_t charged;          /* files in the ledger */
    size_t accepted;         /* orders that were answered 200 */
    size_t lost;             /* of these, not in the ledger */
    size_t twice;            /* created twice in the ledger */
    size_t already;          /* orders that a retry found charged */
    char first_failure[600]; /* what order said about the first order that failed */
};

int64_t now_ns(void);
void sleep_until(int64_t when_ns);

/* files.c: what the processes of a round read. 0 after a message. */
int files_prepare(struct round *round);
int files_list_payment(const struct round *round, const enum instance *listed, size_t count);
int files_set_delay(const struct round *round, const char *name, int ms); /* 0: none */

/* processes.c: every process that the driver started, and no other. */
int process_start(const char *folder, const char *part, const char *name); /* when it listens; 0 after a message */
void process_stop(const char *name, int signal);                           /* and waits for its end */
void process_stop_all(void);                                               /* kindly, then not */
void process_kill_all(void);                                               /* at once, and none is started afterwards */

/* operator.c: does to payment what the schedule says, from `round->start_ns` on. A thread's function. */
void *operator_run(void *round);

/* load.c: sends the orders on time, whatever becomes of those before, and waits for all answers. 0 after a message. */
int load_run(struct round *round);

/* measure.c: what came of a round. 0 after a message. */
int measure_round(struct round *round);
int64_t phase_start(const struct round *round, int phase);
double share(const struct round *round, int64_t from_ns, int64_t to_ns, enum instance instance); /* percent */
int64_t latency(const struct round *round, int phase, int percent); /* of accepted orders; -1: none */
size_t orders_of(const struct round *round, int phase, size_t *accepted);

/* report.c, judge.c and waterfall.c: what is printed. judge: how many of the lines failed. */
void report(const struct round *mesh, const struct round *plain);
int judge(const struct round *mesh, int64_t elapsed_ns);
void waterfall(const struct round *round);

#endif
