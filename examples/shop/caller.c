/* SPDX-License-Identifier: Apache-2.0 */
/* caller.c - somebody who makes one call at one server of the shop, by a client of its own: so always over a new
 * connection, whose handshake resumes nothing. */
#include "driver.h"

#include <string.h>

size_t servers_of(const struct round *round, struct server out[PHASES])
{
    const struct addresses *at = &round->addresses;
    const struct server all[] = {
        { "payment", "payment-1", at->payment[SLOWED], "charges" },
        { "payment", "payment-2", at->payment[KILLED], "charges" },
        { "payment", "payment-4", at->payment[MOVED], "charges" },
        { "order", "order", at->order, "orders" },
        { "inventory", "inventory", at->inventory, "reservations" },
        { "shipping", "shipping", at->shipping, "parcels" },
    };
    memcpy(out, all, sizeof(all));
    return sizeof(all) / sizeof(all[0]);
}

/* The caller's configuration: its identity, and the server as its only service. */
static void write_document(const struct round *round, const struct caller *caller, const struct server *server,
                           char *out, size_t room)
{
    char own[2 * SHOP_PATH] = "", expected[128];
    if (caller->certificate)
        (void)snprintf(own, sizeof(own), "\"certificate\": \"%s/%s.pem\", \"key\": \"%s/%s.key\", ", round->folder,
                       caller->certificate, round->folder, caller->certificate);
    if (caller->dns_name)
        (void)snprintf(expected, sizeof(expected), "\"verify\": \"name\", \"name\": \"%s\"", caller->dns_name);
    else
        (void)snprintf(expected, sizeof(expected), "\"peers\": [\"spiffe://shop/%s\"]", server->program);
    (void)snprintf(out, room,
                   "{ \"identity\": { %s\"trust\": { \"shop\": \"%s/%s\" } },\n"
                   "  \"services\": { \"%s\": { \"endpoints\": [\"%s\"], \"timeout\": \"5s\",\n"
                   "    \"tls\": { \"mode\": \"%s\", %s } } } }\n",
                   own, round->folder, caller->trust, server->program, server->address,
                   caller->certificate ? "mutual" : "simple", expected);
}

static mesh_client *open_client(const char *document, struct answer *out)
{
    mesh_config *config = NULL;
    mesh_client *client = NULL;
    mesh_error *error = NULL;
    mesh_options options = MESH_OPTIONS_INIT;
    options.shards = 1;
    out->code = mesh_config_parse(document, strlen(document), "caller", &config, &error);
    if (out->code == MESH_OK)
        out->code = mesh_client_open(config, &options, &client, &error);
    if (!client)
        (void)snprintf(out->words, sizeof(out->words), "%s", mesh_error_text(error));
    mesh_error_free(error);
    mesh_config_free(config);
    return client;
}

static void tell(const mesh_result *result, struct answer *out)
{
    mesh_attempt attempt = MESH_ATTEMPT_INIT;
    const char *words = mesh_result_message(result);
    out->http = mesh_result_status(result);
    if (out->http)
        words = mesh_result_body(result);
    else if (mesh_result_attempt(result, 0, &attempt) == MESH_OK && attempt.reason)
        words = attempt.reason;
    (void)snprintf(out->words, sizeof(out->words), "%.*s", (int)strcspn(words, "\r\n"), words);
}

void caller_ask(const struct round *round, const struct caller *caller, const struct server *server, const char *path,
                struct answer *out)
{
    char document[4 * SHOP_PATH];
    const char *id = strrchr(path, '/') + 1;
    const mesh_header key = { "idempotency-key", strlen("idempotency-key"), id, strlen(id) };
    mesh_request request = MESH_REQUEST_INIT;
    mesh_result *result;
    *out = (struct answer){ .http = 0 };
    write_document(round, caller, server, document, sizeof(document));
    mesh_client *client = open_client(document, out);
    if (!client)
        return;
    request.method = "POST";
    request.path = path;
    request.headers = &key;
    request.header_count = 1;
    request.flags = MESH_NO_RETRY;
    out->code = mesh_call(client, server->program, &request, &result);
    tell(result, out);
    mesh_result_free(result);
    mesh_client_free(client);
}
