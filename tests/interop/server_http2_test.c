/* SPDX-License-Identifier: Apache-2.0 */
/* server_http2_test.c - the server's HTTP/2 against clients that others wrote: curl, nghttp and h2load; plain text and
 * mutual TLS. */
#include "api/server_papers.h"
#include "api/server_peer.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct papers papers;

static void setup(void)
{
    char out[100];
    papers_make(&papers);
    papers_write(&papers, "payment", "spiffe://shop/payment", &papers.authority);
    papers_write(&papers, "order", "spiffe://shop/order", &papers.authority);
    ck_assert_int_eq(papers_run(&papers, out, sizeof(out), "seq 1 500000 | tr -d '\\n' > large"), 0);
}

static void teardown(void)
{
    papers_remove(&papers);
}

/* Who asks is in a field: "SECURE;ID". */
static void echo(mesh_exchange *exchange, void *user)
{
    char who[200];
    sem_t *came = user;
    mesh_header header = { "x-peer", 6, who, 0 };
    mesh_reply reply = MESH_REPLY_INIT;
    header.value_size = (size_t)snprintf(who, sizeof(who), "%d;%s", (int)mesh_exchange_is_secure(exchange),
                                         mesh_exchange_peer_id(exchange));
    reply.headers = &header;
    reply.header_count = 1;
    reply.body = mesh_exchange_body(exchange);
    reply.body_size = mesh_exchange_body_size(exchange);
    (void)mesh_exchange_reply(exchange, &reply);
    if (came != NULL)
        sem_post(came);
}

static mesh_server *open_mode(const char *mode, const char *more, sem_t *came)
{
    char settings[300];
    (void)snprintf(
        settings, sizeof(settings),
        "\"tls\": {\"mode\": \"%s\"%s}, \"authorize\": {\"rules\": [{\"name\": \"no\", \"action\": \"deny\", "
        "\"paths\": [\"/secret\"]}]}",
        mode, more);
    return papers_server(&papers, "payment", settings, "", NULL, echo, came);
}

#define CURL "curl --silent --show-error --max-time 20 --noproxy '*' --insecure "
#define OURS "--cert order.pem --key order.key "
#define PRINT "--output /dev/null --write-out '%%{http_version} %%{http_code} %%header{x-peer}' "
#define PRIOR "--http2-prior-knowledge "
#define HTTP1_ONLY ", \"alpn\": [\"http/1.1\"]"
#define HTTP2_ONLY ", \"alpn\": [\"h2\"]"

static const struct {
    const char *mode, *more, *arguments; /* before "://ADDRESS" */
    const char *path, *printed;
} curls[] = {
    { "disable", "", PRIOR PRINT "http", "/", "2 200 0;" },
    { "disable", "", PRINT "http", "/", "1.1 200 0;" },
    { "disable", "", PRIOR "--data hello http", "/", "hello" },
    { "disable", "", PRIOR PRINT "http", "/secret", "2 403 " },
    { "disable", "",
      PRIOR "--header 'content-type: application/grpc' --request POST --output /dev/null --write-out "
            "'%%{http_code} %%header{grpc-status} %%header{grpc-message}' http",
      "/secret", "200 7 denied by policy" },
    { "disable", "", PRIOR "--data @large --output back http", "/", "" },
    { "disable", "", PRIOR "--header 'Expect: 100-continue' --expect100-timeout 19 --data hello http", "/", "hello" },
    { "disable", "", PRIOR "--head " PRINT "http", "/", "2 200 0;" },
    { "mutual", "", OURS PRINT "--http2 https", "/", "2 200 1;spiffe://shop/order" },
    { "mutual", "", OURS PRINT "--http1.1 https", "/", "1.1 200 1;spiffe://shop/order" },
    { "mutual", "", OURS PRINT "--no-alpn https", "/", "1.1 200 1;spiffe://shop/order" },
    { "mutual", "", OURS "--http2 --data @large --output back https", "/", "" },
    { "mutual", "", OURS "--http2 " PRINT "https", "/secret", "2 403 " },
    { "mutual", HTTP1_ONLY, OURS PRINT "--http2 https", "/", "1.1 200 1;spiffe://shop/order" },
    { "mutual", HTTP2_ONLY, OURS PRINT "--http2 https", "/", "2 200 1;spiffe://shop/order" },
    { "simple", "", PRINT "--http2 https", "/", "2 200 1;" },
    { "permissive", "", OURS PRINT "--http2 https", "/", "2 200 1;spiffe://shop/order" },
    { "permissive", "", PRIOR PRINT "http", "/", "2 200 0;" },
    { "permissive", "", PRINT "http", "/", "1.1 200 0;" },
};

START_TEST(test_curl)
{
    char out[8000], format[1000];
    mesh_server *server = open_mode(curls[_i].mode, curls[_i].more, NULL);
    const char *command = curls[_i].arguments;
    (void)snprintf(format, sizeof(format), CURL "%s://%%s%s", command, curls[_i].path);
    int status = papers_run(&papers, out, sizeof(out), format, mesh_server_address(server));
    ck_assert_msg(status == 0 && strcmp(out, curls[_i].printed) == 0, "%s: %d: %s", command, status, out);
    if (strstr(command, "large") != NULL)
        ck_assert_int_eq(papers_run(&papers, out, sizeof(out), "cmp large back"), 0);
    mesh_server_free(server);
}
END_TEST

static const struct {
    const char *mode, *scheme, *arguments;
} secured[] = { { "disable", "http", "" }, { "mutual", "https", "--cert=order.pem --key=order.key" } };

/* It says each frame; what it uploads comes back. */
START_TEST(test_nghttp)
{
    char out[20000];
    mesh_server *server = open_mode(secured[_i].mode, "", NULL);
    int status = papers_run(&papers, out, sizeof(out), "timeout 20 nghttp %s --data=large %s://%s/ > back",
                            secured[_i].arguments, secured[_i].scheme, mesh_server_address(server));
    ck_assert_msg(status == 0, "%s", out);
    ck_assert_int_eq(papers_run(&papers, out, sizeof(out), "cmp large back"), 0);
    mesh_server_free(server);
}
END_TEST

/* Its client certificate is said by long options only in nghttp, and not at all in h2load: there the server is
 * "simple". */
START_TEST(test_h2load)
{
    char out[8000];
    mesh_server *server = open_mode(_i % 2 ? "simple" : "disable", "", NULL);
    int status = papers_run(&papers, out, sizeof(out), "timeout 60 h2load -n 20000 -c 4 -m 100 %s %s://%s/",
                            _i >= 2 ? "--data=order.key" : "", _i % 2 ? "https" : "http", mesh_server_address(server));
    ck_assert_msg(status == 0, "%s", out);
    ck_assert_msg(strstr(out, "20000 succeeded, 0 failed, 0 errored, 0 timeout") != NULL, "%s", out);
    ck_assert_msg(strstr(out, "20000 2xx") != NULL, "%s", out);
    const char *line = strstr(out, "finished in");
    (void)printf("%s%s: %.*s\n", _i % 2 ? "TLS" : "plain text", _i >= 2 ? ", with a body" : "",
                 (int)strcspn(line ? line : "", "\n"), line ? line : "");
    mesh_server_free(server);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server: other people's HTTP/2 clients");
    TCase *tcase = tcase_create("all");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    tcase_add_loop_test(tcase, test_curl, 0, sizeof(curls) / sizeof(curls[0]));
    tcase_add_loop_test(tcase, test_nghttp, 0, 2);
    tcase_add_loop_test(tcase, test_h2load, 0, 4);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
