/* SPDX-License-Identifier: Apache-2.0 */
/* server_tls_test.c - the server's TLS against clients that others wrote: curl, OpenSSL and GnuTLS. */
#include "api/server_papers.h"
#include "api/server_peer.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct papers papers;
static struct lines lines;

static void setup(void)
{
    papers_make(&papers);
    lines_init(&lines);
    papers_write(&papers, "payment", "spiffe://shop/payment", &papers.authority);
    papers_write(&papers, "order", "spiffe://shop/order", &papers.authority);
    papers_write(&papers, "stranger", "spiffe://shop/order", &papers.stranger);
}

static void teardown(void)
{
    lines_fini(&lines);
    papers_remove(&papers);
}

/* Who asks is in a field: "SECURE;ID". */
static void echo(mesh_exchange *exchange, void *user)
{
    char who[200];
    (void)user;
    mesh_header header = { "x-peer", 6, who, 0 };
    mesh_reply reply = MESH_REPLY_INIT;
    header.value_size = (size_t)snprintf(who, sizeof(who), "%d;%s", (int)mesh_exchange_is_secure(exchange),
                                         mesh_exchange_peer_id(exchange));
    reply.headers = &header;
    reply.header_count = 1;
    reply.body = mesh_exchange_body(exchange);
    reply.body_size = mesh_exchange_body_size(exchange);
    (void)mesh_exchange_reply(exchange, &reply);
}

static mesh_server *open_mode(const char *mode)
{
    char settings[100];
    mesh_options options = MESH_OPTIONS_INIT;
    options.on_log = lines_log;
    options.log_level = MESH_LOG_DEBUG;
    options.user = &lines;
    (void)snprintf(settings, sizeof(settings), "\"tls\": {\"mode\": \"%s\"}", mode);
    return papers_server(&papers, "payment", settings, "", &options, echo, NULL);
}

/* curl does not know SPIFFE, and so not who the server is; that is the client's business. */
#define CURL "curl --silent --show-error --max-time 20 --noproxy '*' --insecure "
#define OURS "--cert order.pem --key order.key "
#define PEER "--output /dev/null --write-out '%header{x-peer}' "

static const struct {
    const char *mode, *arguments; /* before "://ADDRESS/" */
    bool works;
    const char *printed;
} curls[] = {
    { "mutual", OURS PEER "https", true, "1;spiffe://shop/order" },
    { "mutual", OURS "--data hello https", true, "hello" },
    { "mutual", OURS "--tls-max 1.2 " PEER "https", true, "1;spiffe://shop/order" },
    { "mutual", OURS "--http2 " PEER "https", true, "1;spiffe://shop/order" }, /* of h2 and http/1.1 it takes one */
    { "mutual", OURS "--no-alpn " PEER "https", true, "1;spiffe://shop/order" },
    { "mutual", OURS "--http1.0 --no-alpn --data hello https", true, "hello" },
    { "mutual", OURS "--data @large --output back https", true, "" },
    { "mutual", OURS "--header 'Expect: 100-continue' --data hello https", true, "hello" },
    { "mutual", "https", false, "alert" },
    { "mutual", "--cert stranger.pem --key stranger.key https", false, "alert" },
    { "mutual", "--tls-max 1.1 --ciphers DEFAULT@SECLEVEL=0 " OURS "https", false, "" },
    { "mutual", "http", false, "" },
    { "simple", PEER "https", true, "1;" },
    { "permissive", PEER "http", true, "0;" },
    { "permissive", OURS PEER "https", true, "1;spiffe://shop/order" },
    { "permissive", "https", false, "alert" },
};

START_TEST(test_curl)
{
    char out[8000];
    mesh_server *server = open_mode(curls[_i].mode);
    ck_assert_int_eq(papers_run(&papers, out, sizeof(out), "seq 1 500000 | tr -d '\\n' > large"), 0);
    const char *command = curls[_i].arguments;
    int status = papers_run(&papers, out, sizeof(out), CURL "%s://%s/", command, mesh_server_address(server));
    ck_assert_msg((status == 0) == curls[_i].works, "%s: %d: %s", command, status, out);
    ck_assert_msg(strstr(out, curls[_i].printed) != NULL, "%s: %s", command, out);
    if (curls[_i].works)
        ck_assert_msg(strlen(out) == strlen(curls[_i].printed), "%s: %s", command, out);
    else
        lines_await(&lines, "was refused");
    if (strstr(curls[_i].arguments, "large") != NULL)
        ck_assert_int_eq(papers_run(&papers, out, sizeof(out), "cmp large back"), 0);
    mesh_server_free(server);
}
END_TEST

#define REQUEST "printf 'GET / HTTP/1.1\\r\\nhost: x\\r\\nconnection: close\\r\\n\\r\\n'"

/* How OpenSSL and GnuTLS are told who they are, and which version and suites they may use. */
static const struct {
    const char *arguments;
    bool works;
} openssls[] = {
    { "-cert order.pem -key order.key", true },
    { "-cert order.pem -key order.key -tls1_2", true },
    { "-cert order.pem -key order.key -tls1_2 -cipher ECDHE-ECDSA-AES256-GCM-SHA384", true },
    { "-cert order.pem -key order.key -tls1_2 -cipher ECDHE-ECDSA-CHACHA20-POLY1305", true },
    { "-cert order.pem -key order.key -alpn http/1.1", true },
    { "-cert order.pem -key order.key -servername payment.shop", true },
    { "-cert order.pem -key order.key -groups P-384:P-256", true },
    { "-cert order.pem -key order.key -alpn spdy/3", false },
    { "-cert order.pem -key order.key -tls1_1 -cipher DEFAULT@SECLEVEL=0", false },
    { "-cert order.pem -key order.key -tls1_2 -cipher ECDHE-ECDSA-AES128-SHA", false }, /* no AEAD */
    { "-cert order.pem -key order.key -tls1_2 -cipher AES128-GCM-SHA256", false },      /* no forward secrecy */
    { "-cert stranger.pem -key stranger.key", false },
    { "", false },
};

START_TEST(test_openssl)
{
    char out[8000];
    mesh_server *server = open_mode("mutual");
    (void)papers_run(&papers, out, sizeof(out), REQUEST " | timeout 20 openssl s_client -connect %s -quiet %s",
                     mesh_server_address(server), openssls[_i].arguments);
    ck_assert_msg((strstr(out, "x-peer: 1;spiffe://shop/order") != NULL) == openssls[_i].works, "%s: %s",
                  openssls[_i].arguments, out);
    lines_await(&lines, openssls[_i].works ? "and is spiffe://shop/order" : "was refused");
    mesh_server_free(server);
}
END_TEST

/* Who resumes a session shows no certificate again, and is known all the same. */
START_TEST(test_openssl_resumes)
{
    char out[16000];
    mesh_server *server = open_mode("mutual");
    for (int i = 0; i < 2; i++) {
        (void)papers_run(&papers, out, sizeof(out),
                         REQUEST " | timeout 20 openssl s_client -connect %s -ign_eof -tls1_2 %s %s -cert order.pem "
                                 "-key order.key",
                         mesh_server_address(server), _i == 0 ? "" : "-no_ticket",
                         i == 0 ? "-sess_out session" : "-sess_in session");
        ck_assert_msg(strstr(out, i == 0 ? "\nNew, TLSv1.2" : "\nReused, TLSv1.2") != NULL, "%s", out);
        ck_assert_msg(strstr(out, "x-peer: 1;spiffe://shop/order") != NULL, "%s", out);
    }
    mesh_server_free(server);
}
END_TEST

static const struct {
    const char *arguments;
    bool works;
} gnutls[] = {
    { "--x509certfile=order.pem --x509keyfile=order.key", true },
    { "--x509certfile=order.pem --x509keyfile=order.key --priority NORMAL:-VERS-ALL:+VERS-TLS1.2", true },
    { "--x509certfile=order.pem --x509keyfile=order.key --alpn=http/1.1", true },
    { "--x509certfile=stranger.pem --x509keyfile=stranger.key", false },
    { "", false },
};

START_TEST(test_gnutls)
{
    char out[16000];
    mesh_server *server = open_mode("mutual");
    const char *port = strrchr(mesh_server_address(server), ':') + 1;
    (void)papers_run(&papers, out, sizeof(out), REQUEST " | timeout 20 gnutls-cli --insecure --port %s %s 127.0.0.1",
                     port, gnutls[_i].arguments);
    lines_await(&lines, gnutls[_i].works ? "and is spiffe://shop/order" : "was refused");
    ck_assert_msg((strstr(out, "x-peer: 1;spiffe://shop/order") != NULL) == gnutls[_i].works, "%s: %s",
                  gnutls[_i].arguments, out);
    mesh_server_free(server);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server: TLS of other people's clients");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    suite_add_tcase(suite, tcase);
    tcase_add_loop_test(tcase, test_curl, 0, sizeof(curls) / sizeof(curls[0]));
    tcase_add_loop_test(tcase, test_openssl, 0, sizeof(openssls) / sizeof(openssls[0]));
    tcase_add_loop_test(tcase, test_openssl_resumes, 0, 2); /* by a ticket, and by an id */
    tcase_add_loop_test(tcase, test_gnutls, 0, sizeof(gnutls) / sizeof(gnutls[0]));
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
