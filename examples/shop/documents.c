/* SPDX-License-Identifier: Apache-2.0 */
/* documents.c - the configurations of a round, one for each program: who it is, whom it calls, whom it serves.
 *
 * FOLDER/PROGRAM.json, for order, inventory, payment (one for all its instances), shipping, and frontdoor, who sends
 * the customers' orders. */
#include "driver.h"

static FILE *begin(const struct round *round, const char *program)
{
    char name[64];
    (void)snprintf(name, sizeof(name), "%s.json", program);
    FILE *file = files_create(round, name);
    if (file && round->tls)
        (void)fprintf(file,
                      "{ \"identity\": { \"certificate\": \"certs/%s.pem\", \"key\": \"certs/%s.key\",\n"
                      "                \"trust\": { \"shop\": \"certs/bundle.pem\" } },\n",
                      program, program);
    else if (file)
        (void)fprintf(file, "{\n");
    return file;
}

/* The last part of a service: the endpoints must be that program, and see who calls. */
static void end_service(FILE *file, const struct round *round, const char *program, const char *after)
{
    if (round->tls)
        (void)fprintf(file, ",\n      \"tls\": { \"mode\": \"mutual\", \"peers\": [\"spiffe://shop/%s\"] }", program);
    (void)fprintf(file, " }%s\n", after);
}

/* A server, which one peer may ask for one thing. */
static void put_server(FILE *file, const struct round *round, const char *name, const char *address, int workers,
                       const char *peer, const char *collection)
{
    (void)fprintf(file, "    \"%s\": { \"listen\": \"%s\", \"workers\": %d", name, address, workers);
    if (round->tls)
        (void)fprintf(file,
                      ",\n      \"tls\": { \"mode\": \"mutual\" },\n"
                      "      \"authorize\": { \"rules\": [\n"
                      "        { \"name\": \"%s of %s\", \"action\": \"allow\", \"peers\": [\"spiffe://shop/%s\"],\n"
                      "          \"methods\": [\"POST\"], \"paths\": [\"/%s/{*}\"] }] }",
                      collection, peer, peer, collection);
    (void)fprintf(file, " }");
}

/* What clients speak. Servers speak both, on one port. */
static const char *protocol_of(const struct round *round)
{
    return round->http1 ? "http1" : "http2";
}

static int write_frontdoor(const struct round *round)
{
    FILE *file = begin(round, "frontdoor");
    if (!file)
        return 0;
    (void)fprintf(file,
                  "  \"defaults\": { \"protocol\": \"%s\" },\n"
                  "  \"services\": {\n"
                  "    \"order\": { \"endpoints\": [\"%s\"], \"timeout\": \"10s\",\n"
                  "      \"circuit_breaker\": { \"enabled\": false }",
                  protocol_of(round), round->addresses.order);
    end_service(file, round, "order", " } }");
    return fclose(file) == 0;
}

static int write_order(const struct round *round)
{
    FILE *file = begin(round, "order");
    if (!file)
        return 0;
    (void)fprintf(file,
                  "  \"defaults\": { \"protocol\": \"%s\" },\n"
                  "  \"services\": {\n"
                  "    \"inventory\": { \"endpoints\": [\"%s\"], \"timeout\": \"2s\"",
                  protocol_of(round), round->addresses.inventory);
    end_service(file, round, "inventory", ",");
    (void)fprintf(file, "    \"shipping\": { \"endpoints\": [\"%s\"], \"timeout\": \"2s\"", round->addresses.shipping);
    end_service(file, round, "shipping", ",");
    (void)fprintf(file, "    \"payment\": {\n"
                        "      \"discover\": { \"file\": \"payment-instances.json\" },\n"
                        "      \"timeout\": \"3s\",\n"
                        "      \"retry\": { \"attempts\": 3, \"per_try_timeout\": \"500ms\",\n"
                        "                 \"on\": [\"connect-failure\", \"reset\", \"503\", \"per-try-timeout\"] }");
    end_service(file, round, "payment", " },");
    (void)fprintf(file, "  \"servers\": {\n");
    put_server(file, round, "order", round->addresses.order, 16, "frontdoor", "orders");
    (void)fprintf(file, " } }\n");
    return fclose(file) == 0;
}

static int write_payment(const struct round *round)
{
    char name[32];
    FILE *file = begin(round, "payment");
    if (!file)
        return 0;
    (void)fprintf(file, "  \"servers\": {\n");
    for (int i = 0; i < INSTANCES; i++) {
        (void)snprintf(name, sizeof(name), "payment-%d", i + 1);
        put_server(file, round, name, round->addresses.payment[i], 4, "order", "charges");
        (void)fprintf(file, "%s\n", i + 1 < INSTANCES ? "," : " } }");
    }
    return fclose(file) == 0;
}

static int write_simple(const struct round *round, const char *program, const char *address, const char *collection)
{
    FILE *file = begin(round, program);
    if (!file)
        return 0;
    (void)fprintf(file, "  \"servers\": {\n");
    put_server(file, round, program, address, 4, "order", collection);
    (void)fprintf(file, " } }\n");
    return fclose(file) == 0;
}

int documents_write(const struct round *round)
{
    const struct addresses *at = &round->addresses;
    return write_frontdoor(round) && write_order(round) && write_payment(round) &&
           write_simple(round, "inventory", at->inventory, "reservations") &&
           write_simple(round, "shipping", at->shipping, "parcels");
}
