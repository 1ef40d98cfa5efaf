/* SPDX-License-Identifier: Apache-2.0 */
/* inventory.c - the service that puts an article aside: POST /reservations/ORDER. */
#include "service.h"

#include <stdatomic.h>

static void reserve(mesh_exchange *exchange, void *user)
{
    struct service *self = user;
    atomic_int *stock = self->state;
    if (!service_order_id(exchange)) {
        service_reply(exchange, 400, "which order?");
    } else if (atomic_fetch_sub(stock, 1) <= 0) {
        service_reply(exchange, 409, "sold out");
    } else {
        service_reply(exchange, 200, "reserved");
    }
}

int inventory_main(const char *folder)
{
    atomic_int stock = 1000000;
    struct service self = { .folder = folder, .program = "inventory", .name = "inventory", .state = &stock };
    return service_run(&self, reserve, 0);
}
