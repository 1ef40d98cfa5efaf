/* SPDX-License-Identifier: Apache-2.0 */
/* envoy_test.c - Envoy over mutual TLS: as a server of ours, and as a client of ours. */
/* label: threaded */
#include "api/server_papers.h"
#include "interop/foreign.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct papers papers;
static struct foreign envoy;
static char path[300];

static void setup(void)
{
    papers_make(&papers);
    papers_write(&papers, "payment", "spiffe://shop/payment", &papers.authority);
    papers_write(&papers, "order", "spiffe://shop/order", &papers.authority);
    papers_write(&papers, "stranger", "spiffe://shop/order", &papers.stranger);
    FILE *tool = popen(MESH_SOURCE_DIR "/tests/tools/envoy.sh", "r");
    ck_assert_ptr_nonnull(tool);
    ck_assert_msg(fgets(path, sizeof(path), tool) != NULL, "there is no Envoy");
    ck_assert_int_eq(pclose(tool), 0);
    path[strcspn(path, "\n")] = '\0';
}

static void teardown(void)
{
    foreign_end(&envoy);
    papers_remove(&papers);
}

/* ---- Envoy's configuration ---- */

#define TYPE "\"@type\": \"type.googleapis.com/envoy.extensions."

/* One listener at a port: its security or "", and what it does with each request. */
#define LISTENER                                                                                                       \
    "{\"static_resources\": {\"listeners\": [{\"address\": {\"socket_address\": {\"address\": \"127.0.0.1\", "         \
    "\"port_value\": %u}}, \"filter_chains\": [{%s\"filters\": [{\"name\": \"http\", \"typed_config\": {" TYPE         \
    "filters.network.http_connection_manager.v3.HttpConnectionManager\", \"stat_prefix\": \"in\", "                    \
    "\"route_config\": {\"virtual_hosts\": [{\"name\": \"all\", \"domains\": [\"*\"], \"routes\": [{\"match\": "       \
    "{\"prefix\": \"/\"}, %s}]}]}, \"http_filters\": [{\"name\": \"router\", \"typed_config\": {" TYPE                 \
    "filters.http.router.v3.Router\"}}]}}]}]}]%s}}"

/* Whose certificate it shows, and whom it expects. */
#define PAPERS                                                                                                         \
    "\"tls_certificates\": [{\"certificate_chain\": {\"filename\": \"%s.pem\"}, \"private_key\": {\"filename\": "      \
    "\"%s.key\"}}], \"validation_context\": {\"trusted_ca\": {\"filename\": \"shop.ca\"}, "                            \
    "\"match_typed_subject_alt_names\": [{\"san_type\": \"URI\", \"matcher\": {\"exact\": \"%s\"}}]}"

static unsigned start_envoy(const char *security, const char *action, const char *clusters)
{
    char text[6000], command[400];
    unsigned port = foreign_port();
    int size = snprintf(text, sizeof(text), LISTENER, port, security, action, clusters);
    ck_assert_int_lt(size, (int)sizeof(text));
    papers_put(&papers, "envoy.json", text);
    (void)snprintf(command, sizeof(command), "%s -c envoy.json --concurrency 1 --disable-hot-restart", path);
    foreign_start(&envoy, papers.folder, port, command);
    return port;
}

static void start_as_server(const char *name)
{
    char security[1500];
    (void)snprintf(security, sizeof(security),
                   "\"transport_socket\": {\"name\": \"tls\", \"typed_config\": {" TYPE
                   "transport_sockets.tls.v3.DownstreamTlsContext\", \"require_client_certificate\": true, "
                   "\"common_tls_context\": {\"alpn_protocols\": [\"h2\", \"http/1.1\"], " PAPERS "}}}, ",
                   name, name, "spiffe://shop/order");
    (void)start_envoy(security,
                      "\"direct_response\": {\"status\": 200, \"body\": {\"inline_string\": \"hello\"}}, "
                      "\"response_headers_to_add\": [{\"header\": {\"key\": \"x-peer\", \"value\": "
                      "\"%DOWNSTREAM_PEER_URI_SAN% %PROTOCOL%\"}}]",
                      "");
}

/* ---- as a server ---- */

#define MUTUAL "\"tls\": {\"mode\": \"mutual\", \"peers\": [\"spiffe://shop/payment\"]}"
#define SIMPLE "\"tls\": {\"mode\": \"simple\", \"peers\": [\"spiffe://shop/payment\"]}"

static const struct {
    const char *server, *client, *members;
    mesh_status status;
    const char *peer; /* what Envoy saw */
    bool resumes;
} servers[] = {
    { "payment", "order", "\"max_requests_per_connection\": 1, \"protocol\": \"http1\", " MUTUAL, MESH_OK,
      "spiffe://shop/order HTTP/1.1", true },
    { "payment", "order", "\"max_requests_per_connection\": 1, \"protocol\": \"http2\", " MUTUAL, MESH_OK,
      "spiffe://shop/order HTTP/2", true },
    { "payment", "order", "\"protocol\": \"auto\", " MUTUAL, MESH_OK, "spiffe://shop/order HTTP/2", false },
    { "payment", "payment", MUTUAL, MESH_TLS_REFUSED_BY_PEER, NULL, false },
    { "payment", "stranger", MUTUAL, MESH_TLS_REFUSED_BY_PEER, NULL, false },
    { "payment", "order", SIMPLE, MESH_TLS_REFUSED_BY_PEER, NULL, false },
    { "order", "order", MUTUAL, MESH_TLS_WRONG_ID, NULL, false },
    { "stranger", "order", MUTUAL, MESH_TLS_UNKNOWN_AUTHORITY, NULL, false },
};

static mesh_client *open_client(const char *name, const char *members)
{
    char rest[700];
    mesh_error *error = NULL;
    mesh_client *client = NULL;
    mesh_options options = MESH_OPTIONS_INIT;
    options.shards = 1;
    (void)snprintf(rest, sizeof(rest),
                   "\"services\": {\"test\": {\"endpoints\": [\"127.0.0.1:%u\"], \"timeout\": \"30s\", "
                   "\"connect_timeout\": \"10s\", \"retry\": {\"attempts\": 1}, %s}}",
                   envoy.port, members);
    mesh_config *config = papers_config(&papers, name, rest);
    ck_assert_msg(mesh_client_open(config, &options, &client, &error) == MESH_OK, "%s", mesh_error_text(error));
    mesh_config_free(config);
    return client;
}

START_TEST(test_server)
{
    start_as_server(servers[_i].server);
    mesh_client *client = open_client(servers[_i].client, servers[_i].members);
    for (int call = 0; call < 2; call++) {
        mesh_result *result;
        mesh_attempt attempt = MESH_ATTEMPT_INIT;
        mesh_status status = mesh_call(client, "test", NULL, &result);
        ck_assert_msg(status == servers[_i].status, "row %d: %s: %s", _i, mesh_status_name(status),
                      mesh_result_message(result));
        if (status == MESH_OK) {
            ck_assert_int_eq(mesh_result_attempt(result, 0, &attempt), MESH_OK);
            ck_assert_str_eq(attempt.peer_id, "spiffe://shop/payment");
            ck_assert_str_eq(mesh_result_header_value(result, "x-peer"), servers[_i].peer);
            ck_assert_int_eq(attempt.tls_resumed, call > 0 && servers[_i].resumes);
        }
        mesh_result_free(result);
    }
    mesh_client_free(client);
}
END_TEST

/* ---- as a client ---- */

/* The body is who asks. */
static void tell_peer(mesh_exchange *exchange, void *user)
{
    mesh_reply reply = MESH_REPLY_INIT;
    (void)user;
    reply.body = mesh_exchange_peer_id(exchange);
    reply.body_size = strlen(mesh_exchange_peer_id(exchange));
    (void)mesh_exchange_reply(exchange, &reply);
}

static const struct {
    const char *name, *expected; /* Envoy's certificate, and whom it expects */
    bool http2;
    int32_t http_status;
} clients[] = {
    { "order", "spiffe://shop/payment", false, 200 },   { "order", "spiffe://shop/payment", true, 200 },
    { "order", "spiffe://shop/stock", false, 503 },     { "stranger", "spiffe://shop/payment", false, 503 },
    { "stranger", "spiffe://shop/payment", true, 503 },
};

static void start_as_client(int row, const char *address)
{
    char clusters[3000];
    const char *name = clients[row].name;
    (void)snprintf(clusters, sizeof(clusters),
                   ", \"clusters\": [{\"name\": \"mesh\", \"type\": \"STATIC\", \"connect_timeout\": \"20s\", %s"
                   "\"load_assignment\": {\"cluster_name\": \"mesh\", \"endpoints\": [{\"lb_endpoints\": "
                   "[{\"endpoint\": {\"address\": {\"socket_address\": {\"address\": \"127.0.0.1\", "
                   "\"port_value\": %s}}}}]}]}, \"transport_socket\": {\"name\": \"tls\", \"typed_config\": {" TYPE
                   "transport_sockets.tls.v3.UpstreamTlsContext\", \"common_tls_context\": {\"alpn_protocols\": "
                   "[\"%s\"], " PAPERS "}}}}]",
                   clients[row].http2 ? "\"typed_extension_protocol_options\": {\"envoy.extensions.upstreams.http.v3."
                                        "HttpProtocolOptions\": {" TYPE "upstreams.http.v3.HttpProtocolOptions\", "
                                        "\"explicit_http_config\": {\"http2_protocol_options\": {}}}}, "
                                      : "",
                   strrchr(address, ':') + 1, clients[row].http2 ? "h2" : "http/1.1", name, name,
                   clients[row].expected);
    (void)start_envoy("", "\"route\": {\"cluster\": \"mesh\"}", clusters);
}

START_TEST(test_client)
{
    char body[100];
    mesh_server *server =
        papers_server(&papers, "payment", "\"tls\": {\"mode\": \"mutual\"}", "", NULL, tell_peer, NULL);
    start_as_client(_i, mesh_server_address(server));
    mesh_client *client = open_client("order", "\"tls\": {\"mode\": \"disable\"}");
    for (int call = 0; call < 2; call++) {
        mesh_result *result;
        mesh_status status = mesh_call(client, "test", NULL, &result);
        ck_assert_msg(status == MESH_OK, "%s", mesh_result_message(result));
        (void)snprintf(body, sizeof(body), "%.*s", (int)mesh_result_body_size(result),
                       (const char *)mesh_result_body(result));
        ck_assert_msg(mesh_result_status(result) == clients[_i].http_status, "%d: %s", mesh_result_status(result),
                      body);
        if (clients[_i].http_status == 200)
            ck_assert_str_eq(body, "spiffe://shop/order");
        mesh_result_free(result);
    }
    mesh_client_free(client);
    mesh_server_free(server);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("Envoy: mutual TLS");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    suite_add_tcase(suite, tcase);
    tcase_add_loop_test(tcase, test_server, 0, sizeof(servers) / sizeof(servers[0]));
    tcase_add_loop_test(tcase, test_client, 0, sizeof(clients) / sizeof(clients[0]));
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
