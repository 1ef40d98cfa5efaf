/* SPDX-License-Identifier: Apache-2.0 */
/* payment.c - the service that charges: POST /charges/ORDER with Idempotency-Key. It runs as several instances.
 *
 * The instances share a ledger, a folder with a file per charged order. A charge is one exclusive create, so that a
 * request which comes a second time, to whichever instance, charges nothing and is answered "already". The create comes
 * before the wait for the bank: an instance that dies in between leaves charges that nobody was told about, and the
 * caller's retry finds them. */
#include "service.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CHARGE_MS = 20 };

struct payment {
    FILE *journal; /* FOLDER/charges.log: a line for each file that was created in the ledger */
};

/* How long the bank takes: 20 ms, or what FOLDER/NAME.delay says, which is how the driver makes an instance slow. */
static void wait_for_the_bank(const struct service *self)
{
    char path[SHOP_PATH];
    int ms = CHARGE_MS;
    (void)snprintf(path, sizeof(path), "%s/%s.delay", self->folder, self->name);
    FILE *file = fopen(path, "re");
    if (file) {
        if (fscanf(file, "%d", &ms) != 1)
            ms = CHARGE_MS;
        (void)fclose(file);
    }
    struct timespec wait = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };
    (void)nanosleep(&wait, NULL);
}

static void charge(mesh_exchange *exchange, void *user)
{
    struct service *self = user;
    struct payment *payment = self->state;
    const char *key = mesh_exchange_header_value(exchange, "idempotency-key");
    const char *id = service_order_id(exchange);
    char path[SHOP_PATH];
    if (!id || !key || strcmp(id, key) != 0) {
        service_reply(exchange, 400, "a charge needs the order's id as Idempotency-Key");
        return;
    }
    (void)snprintf(path, sizeof(path), "%s/ledger/%s", self->folder, id);
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0 && errno != EEXIST) {
        service_reply(exchange, 500, "the ledger cannot be written");
        return;
    }
    if (file >= 0) {
        (void)close(file);
        (void)fprintf(payment->journal, "%s %s\n", id, self->name);
    }
    wait_for_the_bank(self);
    service_reply(exchange, 200, file >= 0 ? "charged" : "already");
}

int payment_main(const char *folder, const char *name)
{
    struct payment payment = { .journal = service_open_log(folder, "charges.log") };
    struct service self = { .folder = folder, .program = "payment", .name = name, .state = &payment };
    return payment.journal ? service_run(&self, charge, 0) : 1;
}
