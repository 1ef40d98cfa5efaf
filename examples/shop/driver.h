/* SPDX-License-Identifier: Apache-2.0 */
/* driver.h - a round of the shop: its processes, its load, what is done to it on the way, and what came of it. */
#ifndef SHOP_DRIVER_H
#define SHOP_DRIVER_H

#include "service.h"

enum { RATE = 70, PHASES = 7, PLAIN_PHASES = 5, INSTANCES = 4, SLOW_MS = 200, INTRUDERS = 3, ROTATIONS = 3 };
#define MS ((int64_t)1000000)
#define SECONDS ((int64_t)1000000000)

/* Payment's instances by what happens to them. The last one is the third after it has moved. */
enum instance { SLOWED, KILLED, MOVES, MOVED };

/* The last two are of certificates, so only a round with TLS has them. */
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
    int reused;   /* over a connection that was open already */
    int version;  /* 20: over HTTP/2, 11: over HTTP/1.1, 0: without a connection */
};

/* When things were done to payment, of CLOCK_MONOTONIC. */
struct events {
    int64_t slowed, killed, back, moved;
};

/* What somebody was answered who is no part of the shop. */
struct answer {
    mesh_status code;
    int http;
    char words[600]; /* the body, or why there is none */
};

/* One intruder at every server. */
struct intrusion {
    const char *who;
    size_t tried, refused;    /* refused: as was expected */
    struct answer first;      /* of payment-1 */
    struct answer unexpected; /* the first that was not as expected, and where */
    char where[32];
    char said[600]; /* what payment-1 wrote in its log */
};

/* One replacement of all certificates. */
struct rotation {
    const char *what;
    int64_t begun_ns, shown_ns; /* shown: every server shows the new certificate to a new connection; 0: not in time */
};

/* What is refused at every server when all is replaced. */
struct renewal {
    size_t servers;
    size_t former_name;        /* a client that looks for the name in the former certificate */
    size_t former_authority;   /* a client that trusts the former authority only */
    size_t former_certificate; /* a client with a certificate of the former authority */
    char words[3][700];        /* of payment-1, in this order */
};

struct round {
    const char *title;
    const char *order_part; /* "order", or "plain-order" */
    int tls;                /* all speak mutual TLS */
    int http1;              /* clients speak HTTP/1.1 instead of HTTP/2 */
    int phase_count;
    char folder[SHOP_PATH / 2];
    struct addresses addresses;
    int64_t start_ns;
    struct order *orders;
    size_t order_count;
    struct attempt *attempts;
    size_t attempt_count;
    struct events events;
    int generation; /* how often all certificates were made */
    struct intrusion intrusions[INTRUDERS];
    struct rotation rotations[ROTATIONS];
    struct renewal renewal;
    size_t charged;          /* files in the ledger */
    size_t accepted;         /* orders that were answered 200 */
    size_t lost;             /* of these, not in the ledger */
    size_t twice;            /* created twice in the ledger */
    size_t foreign;          /* in the ledger or its journal, but no order of a customer */
    size_t already;          /* orders that a retry found charged */
    char first_failure[600]; /* what order said about the first order that failed */
};

int64_t now_ns(void);
void sleep_until(int64_t when_ns);

/* files.c and documents.c: what the processes of a round read. 0 after a message. */
int files_prepare(struct round *round);
FILE *files_create(const struct round *round, const char *name);
int files_copy(const struct round *round, const char *from, const char *to);
int files_list_payment(const struct round *round, const enum instance *listed, size_t count);
int files_set_delay(const struct round *round, const char *name, int ms); /* 0: none */
int documents_write(const struct round *round);

/* processes.c: every process that the driver started, and no other. */
int process_start(const char *folder, const char *part, const char *name); /* when it listens; 0 after a message */
int process_run_mesh(const char *log, char *const arguments[]); /* `mesh ...`, to its end; 0 after a message */
void process_stop(const char *name, int signal);                /* and waits for its end */
void process_stop_all(void);                                    /* kindly, then not */
void process_kill_all(void);                                    /* at once, and none is started afterwards */

/* operator.c: does to the shop what the schedule says, from `round->start_ns` on. A thread's function. */
void *operator_run(void *round);
void operator_tell(const char *words); /* a line on a terminal, since a round takes a while */

/* certificates.c: made by `mesh certs`, at first and anew. */
int certificates_prepare(struct round *round); /* 0 after a message */
void certificates_rotate(struct round *round);

/* One server of the shop, and what is asked of it. */
struct server {
    const char *program, *name, *address, *collection;
};
size_t servers_of(const struct round *round, struct server out[PHASES]); /* those that run once payment has moved */

/* Somebody who posts one order's step, over a connection of its own. Files are below the round's folder. */
struct caller {
    const char *certificate; /* "certs/intruder", without its ending; NULL: none */
    const char *trust;       /* "certs/bundle.pem" */
    const char *dns_name;    /* what the server's certificate must hold; NULL: the SPIFFE id of its program */
};

/* caller.c and intruder.c */
void caller_ask(const struct round *round, const struct caller *caller, const struct server *server, const char *path,
                struct answer *out);
void intruders_call(struct round *round);
void intruders_read_log(struct round *round);

/* load.c: sends the orders on time, whatever becomes of those before, and waits for all answers. 0 after a message. */
int load_run(struct round *round);

/* measure.c: what came of a round. 0 after a message. */
int measure_round(struct round *round);
int64_t phase_start(const struct round *round, int phase);
double share(const struct round *round, int64_t from_ns, int64_t to_ns, enum instance instance); /* percent */
int64_t latency(const struct round *round, int phase, int percent); /* of accepted orders; -1: none */
size_t orders_of(const struct round *round, int phase, size_t *accepted);

/* report.c, judge.c and waterfall.c: what is printed. judge: how many of the lines failed. */
void report(const struct round *mesh, const struct round *plain); /* plain: NULL when it was not played */
int judge(const struct round *mesh, int64_t elapsed_ns);
void waterfall(const struct round *round);

#endif
