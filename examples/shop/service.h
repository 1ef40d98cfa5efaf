/* SPDX-License-Identifier: Apache-2.0 */
/* service.h - what the shop's services have in common: each is a process that serves, may call others, and writes
 * spans. */
#ifndef SHOP_SERVICE_H
#define SHOP_SERVICE_H

#include <mesh/mesh.h>
#include <stdio.h>

enum { SHOP_PATH = 512, SHOP_ID = 32 };

/* One service, as its handler sees it. */
struct service {
    const char *folder;  /* of this run: the configurations, the ledger, and what the services write */
    const char *program; /* whose configuration it has, and whose identity, as "payment" */
    const char *name;    /* by whose settings there it serves, as "payment-2" */
    mesh_client *client; /* NULL for a service that calls nobody */
    void *state;         /* the handler's own */
};

/* Serves as "servers"/NAME of FOLDER/PROGRAM.json says, until SIGTERM, SIGINT or the end of standard input; says on
 * standard output when it listens, and writes the library's log to standard error. With `calls` the service has a
 * client for the services in the same document. The exit code of the process. */
int service_run(struct service *service, mesh_handler handler, int calls);

/* The last part of the request's path, which is the order's id. NULL when it cannot be one. */
const char *service_order_id(const mesh_exchange *exchange);

/* Answers with a line of text. */
void service_reply(mesh_exchange *exchange, int32_t status, const char *text);

/* Opens FOLDER/NAME for appending whole lines, from several threads and processes. NULL after a message. */
FILE *service_open_log(const char *folder, const char *name);

/* The parts that the program can play; each returns the exit code of its process. */
int order_main(const char *folder);
int plain_order_main(const char *folder);
int inventory_main(const char *folder);
int payment_main(const char *folder, const char *name);
int shipping_main(const char *folder);

/* What the driver plays. */
struct play {
    int tls, http1;
    int contrast; /* also the round with the plain client */
};
int driver_main(const char *folder, const struct play *play);

#endif
