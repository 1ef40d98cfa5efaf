/* SPDX-License-Identifier: Apache-2.0 */
/* shipping.c - the service that books a parcel: POST /parcels/ORDER. */
#include "service.h"

#include <stdatomic.h>

static void book(mesh_exchange *exchange, void *user)
{
    struct service *self = user;
    atomic_int *parcels = self->state;
    char text[32];
    if (!service_order_id(exchange)) {
        service_reply(exchange, 400, "which order?");
        return;
    }
    (void)snprintf(text, sizeof(text), "parcel %d", atomic_fetch_add(parcels, 1) + 1);
    service_reply(exchange, 200, text);
}

int shipping_main(const char *folder)
{
    atomic_int parcels = 0;
    struct service self = { .folder = folder, .program = "shipping", .name = "shipping", .state = &parcels };
    return service_run(&self, book, 0);
}
