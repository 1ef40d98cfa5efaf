/* SPDX-License-Identifier: Apache-2.0 */
/* load.c - the customers: one order every 1/70 s, sent by asynchronous calls under the identity of
 * spiffe://shop/frontdoor.
 *
 * The load is open: an order is sent at its time even if those before it wait, and its latency counts from that time.
 * Else a slow shop would slow its customers down and look faster than it is. */
#include "driver.h"
#include "spans.h"

#include <pthread.h>
#include <string.h>

struct load {
    struct round *round;
    mesh_client *client;
};

/* Takes answers until the client is closed. */
static void *receive(void *user)
{
    struct load *load = user;
    mesh_completion done[32];
    uint32_t count;
    for (size_t i = 0; i < sizeof(done) / sizeof(done[0]); i++)
        mesh_completion_init(&done[i]);
    while (mesh_client_next(load->client, done, sizeof(done) / sizeof(done[0]), -1, &count) == MESH_OK) {
        int64_t now = now_ns();
        for (uint32_t i = 0; i < count; i++) {
            struct order *order = done[i].user;
            const char *body = mesh_result_body(done[i].result);
            order->ended_ns = now;
            order->accepted = mesh_result_status(done[i].result) == 200;
            if (order->accepted && strstr(body, "already"))
                load->round->already++;
            if (!order->accepted && load->round->first_failure[0] == '\0')
                (void)snprintf(load->round->first_failure, sizeof(load->round->first_failure), "%s: %s", order->id,
                               *body ? body : mesh_result_message(done[i].result));
            mesh_result_free(done[i].result);
        }
    }
    return NULL;
}

static void send_order(struct load *load, struct order *order)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/orders/%s", order->id);
    mesh_request request = MESH_REQUEST_INIT;
    request.method = "POST";
    request.path = path;
    request.flags = MESH_NO_RETRY; /* the shop is judged, not the customer's patience */
    order->ended_ns = order->intended_ns;
    if (mesh_call_start(load->client, "order", &request, order, NULL) != MESH_OK)
        (void)fprintf(stderr, "%s could not be sent\n", order->id);
}

static void send_all(struct load *load)
{
    struct round *round = load->round;
    for (size_t i = 0; i < round->order_count; i++) {
        struct order *order = &round->orders[i];
        (void)snprintf(order->id, sizeof(order->id), "order-%05zu", i + 1);
        order->intended_ns = round->start_ns + (int64_t)i * SECONDS / RATE;
        sleep_until(order->intended_ns);
        send_order(load, order);
    }
}

static mesh_client *open_client(const struct round *round, struct span_file *spans)
{
    char path[SHOP_PATH];
    mesh_client *client = NULL;
    mesh_error *error = NULL;
    mesh_options options = MESH_OPTIONS_INIT;
    options.on_span = spans_write;
    options.user = spans;
    (void)snprintf(path, sizeof(path), "%s/frontdoor.json", round->folder);
    if (mesh_client_open_file(path, &options, &client, &error) != MESH_OK)
        (void)fprintf(stderr, "the customers' client: %s\n", mesh_error_text(error));
    mesh_error_free(error);
    return client;
}

int load_run(struct round *round)
{
    struct load load = { .round = round };
    pthread_t receiver;
    struct span_file *spans = spans_open(round->folder, "frontdoor");
    load.client = spans ? open_client(round, spans) : NULL;
    if (!load.client || pthread_create(&receiver, NULL, receive, &load) != 0)
        return 0;
    send_all(&load);
    (void)mesh_client_close(load.client, 15 * SECONDS); /* every order ends by then: its timeout is 10 s */
    (void)pthread_join(receiver, NULL);
    mesh_client_free(load.client);
    spans_close(spans);
    return 1;
}
