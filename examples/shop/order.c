/* SPDX-License-Identifier: Apache-2.0 */
/* order.c - the service that takes orders: POST /orders/ORDER calls inventory, payment and shipping by Meshcall.
 *
 * Everything that keeps an order from failing, or from being read on its way, stands in order.json: nothing here knows
 * of instances, retries, deadlines or certificates. */
#include "service.h"

#include <string.h>
#include <time.h>

enum { LINE = 1024 };

/* For the driver: one line for each attempt at payment, when it began, where, why there, whether over a connection that
 * was open already, and which version of HTTP it spoke (20: HTTP/2; 0: there was none). */
static void note_attempts(FILE *log, int64_t start_ns, const mesh_result *result)
{
    for (size_t i = 0; i < mesh_result_attempt_count(result); i++) {
        mesh_attempt attempt = MESH_ATTEMPT_INIT;
        if (mesh_result_attempt(result, i, &attempt) == MESH_OK)
            (void)fprintf(log, "%lld %s %s %d %d\n", (long long)(start_ns + attempt.start_ns), attempt.endpoint,
                          mesh_pick_name(attempt.pick), (int)attempt.reused, (int)attempt.http_version);
    }
}

static int64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* One step of an order. Its words go into `text`: the answer, or why there is none. Whether it was done. */
static int step(const struct service *self, const mesh_exchange *exchange, const char *callee, const char *collection,
                char *text, size_t room)
{
    const char *id = service_order_id(exchange);
    const mesh_header key = { "idempotency-key", strlen("idempotency-key"), id, strlen(id) };
    char path[128];
    mesh_result *result;
    (void)snprintf(path, sizeof(path), "/%s/%s", collection, id);

    mesh_request request = MESH_REQUEST_INIT;
    request.method = "POST";
    request.path = path;
    request.headers = &key; /* says that the request may be repeated */
    request.header_count = 1;
    request.inbound = mesh_exchange_inbound(exchange); /* same trace, and never later than our caller's deadline */
    int64_t start = now_ns();
    mesh_call(self->client, callee, &request, &result);
    int done = mesh_result_status(result) == 200;
    (void)snprintf(text, room, "%s", done ? (const char *)mesh_result_body(result) : mesh_result_message(result));
    if (strcmp(callee, "payment") == 0)
        note_attempts(self->state, start, result);
    mesh_result_free(result);
    return done;
}

static void take_order(mesh_exchange *exchange, void *user)
{
    struct service *self = user;
    char reserved[LINE], charged[LINE], booked[LINE], text[3 * LINE + 8];
    if (!service_order_id(exchange)) {
        service_reply(exchange, 400, "which order?");
    } else if (!step(self, exchange, "inventory", "reservations", reserved, sizeof(reserved))) {
        service_reply(exchange, 502, reserved);
    } else if (!step(self, exchange, "payment", "charges", charged, sizeof(charged))) {
        service_reply(exchange, 502, charged);
    } else if (!step(self, exchange, "shipping", "parcels", booked, sizeof(booked))) {
        service_reply(exchange, 502, booked);
    } else {
        (void)snprintf(text, sizeof(text), "%s, %s, %s", reserved, charged, booked);
        service_reply(exchange, 200, text);
    }
}

int order_main(const char *folder)
{
    FILE *attempts = service_open_log(folder, "attempts.log");
    struct service self = { .folder = folder, .program = "order", .name = "order", .state = attempts };
    return attempts ? service_run(&self, take_order, 1) : 1;
}
