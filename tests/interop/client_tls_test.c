/* SPDX-License-Identifier: Apache-2.0 */
/* client_tls_test.c - the client over mutual TLS against servers that others wrote: OpenSSL's, GnuTLS's and nginx. */
/* label: threaded */
#include "api/server_papers.h"

#include "interop/foreign.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

static struct papers papers;
static struct foreign server;

static void setup(void)
{
    papers_make(&papers);
    papers_write(&papers, "payment", "spiffe://shop/payment", &papers.authority);
    papers_write(&papers, "order", "spiffe://shop/order", &papers.authority);
    papers_write(&papers, "stranger", "spiffe://shop/payment", &papers.stranger);
}

static void teardown(void)
{
    foreign_end(&server);
    papers_remove(&papers);
}

/* ---- servers ---- */

/* Tells in the body whether the client was verified, and whether a session was resumed ("r"). */
static void write_nginx_conf(unsigned port, const char *versions, const char *more)
{
    char text[1600];
    (void)snprintf(text, sizeof(text),
                   "daemon off; master_process off; pid nginx.pid; error_log stderr;\n"
                   "events { worker_connections 256; }\n"
                   "http { access_log off; client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f;\n"
                   "uwsgi_temp_path u; scgi_temp_path s; server { listen 127.0.0.1:%u ssl http2;\n"
                   "ssl_certificate payment.pem; ssl_certificate_key payment.key; ssl_client_certificate shop.ca;\n"
                   "ssl_verify_client on; ssl_protocols %s; %s\n"
                   "location / { return 200 \"$ssl_client_verify $ssl_session_reused\"; } } }\n",
                   port, versions, more);
    papers_put(&papers, "nginx.conf", text);
}

/* ---- calls ---- */

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
                   server.port, members);
    mesh_config *config = papers_config(&papers, name, rest);
    ck_assert_msg(mesh_client_open(config, &options, &client, &error) == MESH_OK, "%s", mesh_error_text(error));
    mesh_config_free(config);
    return client;
}

#define MUTUAL "\"tls\": {\"mode\": \"mutual\", \"peers\": [\"spiffe://shop/payment\"]}"
#define SIMPLE "\"tls\": {\"mode\": \"simple\", \"peers\": [\"spiffe://shop/payment\"]}"
#define ONE_EACH "\"max_requests_per_connection\": 1, \"protocol\": \"http1\", "
#define S_SERVER "openssl s_server -accept 127.0.0.1:$PORT -CAfile shop.ca -Verify 3 -verify_return_error -www "
#define AS_PAYMENT "-cert payment.pem -key payment.key "
#define GNUTLS "gnutls-serv --http --port $PORT --x509cafile shop.ca --require-client-cert --verify-client-cert "
#define GNUTLS_PAYMENT "--x509certfile payment.pem --x509keyfile payment.key "

/* A server is asked twice over connections of their own; the second may resume the first one's session. */
static const struct {
    const char *server;
    const char *client; /* certificate */
    const char *members;
    mesh_status status;
    const char *version; /* begins so; NULL: any */
    bool resumes;
} rows[] = {
    { S_SERVER AS_PAYMENT "-tls1_2", "order", ONE_EACH MUTUAL, MESH_OK, "TLSv1.2", true },
    { S_SERVER AS_PAYMENT "-tls1_2 -no_ticket", "order", ONE_EACH MUTUAL, MESH_OK, "TLSv1.2", true }, /* by its id */
    { S_SERVER AS_PAYMENT "-tls1_2 -no_ticket -no_cache", "order", ONE_EACH MUTUAL, MESH_OK, "TLSv1.2", false },
    { S_SERVER AS_PAYMENT, "order", ONE_EACH MUTUAL, MESH_OK, NULL, true },
    { S_SERVER AS_PAYMENT "-tls1_2 -cipher ECDHE-ECDSA-AES256-GCM-SHA384", "order", ONE_EACH MUTUAL, MESH_OK, NULL,
      true },
    { S_SERVER AS_PAYMENT "-tls1_2 -cipher ECDHE-ECDSA-CHACHA20-POLY1305 -groups X25519:P-256", "order",
      ONE_EACH MUTUAL, MESH_OK, NULL, true },
    { S_SERVER AS_PAYMENT "-tls1_2", "stranger", ONE_EACH MUTUAL, MESH_TLS_REFUSED_BY_PEER, NULL, false },
    { S_SERVER AS_PAYMENT "-tls1_2", "order", ONE_EACH SIMPLE, MESH_TLS_REFUSED_BY_PEER, NULL, false },
    { S_SERVER "-cert order.pem -key order.key", "order", ONE_EACH MUTUAL, MESH_TLS_WRONG_ID, NULL, false },
    { S_SERVER "-cert stranger.pem -key stranger.key", "order", ONE_EACH MUTUAL, MESH_TLS_UNKNOWN_AUTHORITY, NULL,
      false },
    { S_SERVER AS_PAYMENT "-tls1_1 -cipher DEFAULT@SECLEVEL=0", "order", ONE_EACH MUTUAL, MESH_TLS_REFUSED_BY_PEER,
      NULL, false },
    { S_SERVER AS_PAYMENT "-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA", "order", ONE_EACH MUTUAL, MESH_TLS_REFUSED_BY_PEER,
      NULL, false },
    { GNUTLS GNUTLS_PAYMENT "--priority NORMAL:-VERS-ALL:+VERS-TLS1.2", "order", ONE_EACH MUTUAL, MESH_OK, "TLSv1.2",
      true },
    { GNUTLS GNUTLS_PAYMENT, "order", ONE_EACH MUTUAL, MESH_OK, NULL, true },
    { GNUTLS GNUTLS_PAYMENT "--priority NORMAL:-VERS-ALL:+VERS-TLS1.2", "stranger", ONE_EACH MUTUAL,
      MESH_TLS_REFUSED_BY_PEER, NULL, false },
    { GNUTLS GNUTLS_PAYMENT "--priority NORMAL:-VERS-ALL:+VERS-TLS1.2", "order", ONE_EACH SIMPLE,
      MESH_TLS_REFUSED_BY_PEER, NULL, false },
    { GNUTLS "--x509certfile order.pem --x509keyfile order.key", "order", ONE_EACH MUTUAL, MESH_TLS_WRONG_ID, NULL,
      false },
};

static void check_attempt(const mesh_result *result, int row, int call)
{
    mesh_attempt attempt = MESH_ATTEMPT_INIT;
    ck_assert_int_eq(mesh_result_attempt(result, mesh_result_attempt_count(result) - 1, &attempt), MESH_OK);
    ck_assert_str_eq(attempt.peer_id, "spiffe://shop/payment");
    if (rows[row].version)
        ck_assert_str_eq(attempt.tls_version, rows[row].version);
    ck_assert_msg(attempt.tls_resumed == (call > 0 && rows[row].resumes), "%s: call %d", rows[row].server, call);
}

START_TEST(test_servers)
{
    foreign_start(&server, papers.folder, foreign_port(), rows[_i].server);
    mesh_client *client = open_client(rows[_i].client, rows[_i].members);
    for (int call = 0; call < 2; call++) {
        mesh_result *result;
        mesh_status status = mesh_call(client, "test", NULL, &result);
        ck_assert_msg(status == rows[_i].status, "%s, call %d: %s: %s", rows[_i].server, call, mesh_status_name(status),
                      mesh_result_message(result));
        if (status == MESH_OK)
            check_attempt(result, _i, call);
        mesh_result_free(result);
    }
    mesh_client_free(client);
}
END_TEST

/* nginx completes the handshake with a client whose certificate it does not like, and answers 400. */
static const struct {
    const char *client, *members, *versions, *more;
    int32_t http_status;
    const char *bodies[2]; /* begin so */
} nginxes[] = {
    { "order", ONE_EACH MUTUAL, "TLSv1.2", "", 200, { "SUCCESS .", "SUCCESS r" } },
    { "order",
      ONE_EACH MUTUAL,
      "TLSv1.2",
      "ssl_session_tickets off; ssl_session_cache builtin;",
      200,
      { "SUCCESS .", "SUCCESS r" } },
    { "order", ONE_EACH MUTUAL, "TLSv1.2", "ssl_session_tickets off;", 200, { "SUCCESS .", "SUCCESS ." } },
    { "order", ONE_EACH MUTUAL, "TLSv1.2 TLSv1.3", "", 200, { "SUCCESS .", "SUCCESS r" } },
    { "order", "\"protocol\": \"http2\", " MUTUAL, "TLSv1.2 TLSv1.3", "", 200, { "SUCCESS .", "SUCCESS ." } },
    { "stranger", ONE_EACH MUTUAL, "TLSv1.2", "", 400, { "", "" } },
    { "order", ONE_EACH SIMPLE, "TLSv1.2", "", 400, { "", "" } },
};

START_TEST(test_nginx)
{
    unsigned port = foreign_port();
    write_nginx_conf(port, nginxes[_i].versions, nginxes[_i].more);
    foreign_start(&server, papers.folder, port, "nginx -e stderr -p . -c nginx.conf");
    mesh_client *client = open_client(nginxes[_i].client, nginxes[_i].members);
    for (int call = 0; call < 2; call++) {
        mesh_result *result;
        mesh_status status = mesh_call(client, "test", NULL, &result);
        ck_assert_msg(status == MESH_OK, "%s: %s", mesh_status_name(status), mesh_result_message(result));
        ck_assert_int_eq(mesh_result_status(result), nginxes[_i].http_status);
        const char *expected = nginxes[_i].bodies[call];
        ck_assert_msg(strncmp(mesh_result_body(result), expected, strlen(expected)) == 0, "call %d: %s", call,
                      (const char *)mesh_result_body(result));
        mesh_result_free(result);
    }
    mesh_client_free(client);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client: TLS of other people's servers");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    suite_add_tcase(suite, tcase);
    tcase_add_loop_test(tcase, test_servers, 0, sizeof(rows) / sizeof(rows[0]));
    tcase_add_loop_test(tcase, test_nginx, 0, sizeof(nginxes) / sizeof(nginxes[0]));
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
