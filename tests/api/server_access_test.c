/* SPDX-License-Identifier: Apache-2.0 */
/* server_access_test.c - a server's policy: who may ask what, what the denied are told, and what is reported. */
/* label: threaded */
#include "api/server_papers.h"
#include "api/server_peer.h"
#include "api/server_scarce.h"

#include <check.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define GET(path) "GET " path " HTTP/1.1\r\nhost: x\r\n\r\n"

/* ---- what was audited ---- */

/* Whole once the server is freed, which gives out what still waits. */
struct audits {
    int count;
    char last[600]; /* "allowed would_deny rule peer_id method path" */
    char name[64], address[128];
    int64_t unix_ns;
    uint64_t dropped;
    struct lines lines;
};

static void on_audit(const mesh_audit *audit, void *user)
{
    struct audits *audits = user;
    ck_assert_uint_eq(audit->size, sizeof(*audit));
    ck_assert_int_eq(audit->kind, MESH_AUDIT_REQUEST);
    (void)snprintf(audits->last, sizeof(audits->last), "%d %d [%s] [%s] %s %s", (int)audit->allowed,
                   (int)audit->would_deny, audit->rule, audit->peer_id, audit->method, audit->path);
    (void)snprintf(audits->name, sizeof(audits->name), "%s", audit->name);
    (void)snprintf(audits->address, sizeof(audits->address), "%s", audit->peer_address);
    audits->unix_ns = audit->unix_ns;
    audits->dropped += audit->dropped;
    audits->count++;
}

static void on_log(int32_t level, const char *line, void *user)
{
    struct audits *audits = user;
    lines_log(level, line, &audits->lines);
}

static mesh_options listen_to(struct audits *audits)
{
    mesh_options options = MESH_OPTIONS_INIT;
    memset(audits, 0, sizeof(*audits));
    lines_init(&audits->lines);
    options.on_audit = on_audit;
    options.on_log = on_log;
    options.log_level = MESH_LOG_INFO;
    options.user = audits;
    return options;
}

static void handle(mesh_exchange *exchange, void *user)
{
    atomic_int *handled = user;
    mesh_reply reply = MESH_REPLY_INIT;
    if (handled != NULL)
        ++*handled;
    reply.body = mesh_exchange_path(exchange);
    reply.body_size = strlen(reply.body);
    (void)mesh_exchange_reply(exchange, &reply);
}

/* ---- decisions over plain text ---- */

#define ALLOW(name, conditions) "{\"action\": \"allow\", \"name\": \"" name "\", " conditions "}"
#define DENY(name, conditions) "{\"action\": \"deny\", \"name\": \"" name "\", " conditions "}"
#define RULES(rules) "{\"rules\": [" rules "]}"
#define PROTECTED RULES(DENY("no admin", "\"paths\": [\"/admin\", \"/admin/*\"]"))

static const struct {
    const char *policy, *request;
    int status;
    const char *audited;
} decisions[] = {
    /* paths */
    { PROTECTED, GET("/"), 200, "1 0 [] [] GET /" },
    { PROTECTED, GET("/admin"), 403, "0 1 [no admin] [] GET /admin" },
    { PROTECTED, GET("/admin?x"), 403, "0 1 [no admin] [] GET /admin" },
    { PROTECTED, GET("/admin/"), 403, "0 1 [no admin] [] GET /admin/" },
    { PROTECTED, GET("/administrator"), 200, "1 0 [] [] GET /administrator" },
    { PROTECTED, GET("//admin/x"), 403, "0 1 [no admin] [] GET /admin/x" },
    { PROTECTED, GET("/a/../admin/x"), 403, "0 1 [no admin] [] GET /admin/x" },
    { PROTECTED, GET("/a/%2e%2E/admin/x"), 403, "0 1 [no admin] [] GET /admin/x" },
    { PROTECTED, GET("/%61dmin/x"), 403, "0 1 [no admin] [] GET /admin/x" },
    { PROTECTED, GET("/./admin/./x"), 403, "0 1 [no admin] [] GET /admin/x" },
    { PROTECTED, GET("http://x/admin"), 403, "0 1 [no admin] [] GET /admin" },
    { PROTECTED, GET("/x%2fadmin"), 403, "0 1 [] [] GET /x%2fadmin" },
    { PROTECTED, GET("/x/..%5cadmin?q"), 403, "0 1 [] [] GET /x/..%5cadmin" },
    { PROTECTED, GET("/%zz"), 403, "0 1 [] [] GET /%zz" },
    { PROTECTED, GET("/a//../admin"), 403, "0 1 [] [] GET /a//../admin" },
    { PROTECTED, GET("/?/admin"), 200, "1 0 [] [] GET /" },
    { PROTECTED, "OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n", 200, "1 0 [] [] OPTIONS *" },
    /* methods, and allow makes deny the default */
    { RULES(ALLOW("read", "\"methods\": [\"GET\", \"HEAD\"]")), GET("/a"), 200, "1 0 [read] [] GET /a" },
    { RULES(ALLOW("read", "\"methods\": [\"GET\", \"HEAD\"]")), "HEAD / HTTP/1.1\r\nhost: x\r\n\r\n", 200,
      "1 0 [read] [] HEAD /" },
    { RULES(ALLOW("read", "\"methods\": [\"GET\", \"HEAD\"]")), "DELETE / HTTP/1.1\r\nhost: x\r\n\r\n", 403,
      "0 1 [] [] DELETE /" },
    { RULES(ALLOW("both", "\"methods\": [\"GET\"], \"paths\": [\"/a\"]")), GET("/b"), 403, "0 1 [] [] GET /b" },
    /* deny comes first, wherever it stands */
    { RULES(ALLOW("all", "\"paths\": [\"*\"]") ", " DENY("but", "\"paths\": [\"/b\"]")), GET("/b"), 403,
      "0 1 [but] [] GET /b" },
    { RULES(ALLOW("all", "\"paths\": [\"*\"]") ", " DENY("but", "\"paths\": [\"/b\"]")), GET("/c"), 200,
      "1 0 [all] [] GET /c" },
    { RULES(DENY("all but", "\"unless\": {\"paths\": [\"/open\"]}")), GET("/open"), 200, "1 0 [] [] GET /open" },
    { RULES(DENY("all but", "\"unless\": {\"paths\": [\"/open\"]}")), GET("/shut"), 403, "0 1 [all but] [] GET /shut" },
    /* header fields */
    { RULES(ALLOW("team", "\"headers\": {\"X-Team\": \"a\"}")), "GET / HTTP/1.1\r\nhost: x\r\nx-TEAM: a\r\n\r\n", 200,
      "1 0 [team] [] GET /" },
    { RULES(ALLOW("team", "\"headers\": {\"X-Team\": \"a\"}")), "GET / HTTP/1.1\r\nhost: x\r\nx-team: b\r\n\r\n", 403,
      "0 1 [] [] GET /" },
    { RULES(ALLOW("team", "\"headers\": {\"X-Team\": \"a\"}")), GET("/"), 403, "0 1 [] [] GET /" },
    { RULES(ALLOW("joined", "\"headers\": {\"x-team\": \"a,b,\"}")),
      "GET / HTTP/1.1\r\nx-team: a\r\nhost: x\r\nX-Team: b\r\nx-team:\r\n\r\n", 200, "1 0 [joined] [] GET /" },
    { RULES(DENY("first", "\"headers\": {\"x-team\": \"a\"}")),
      "GET / HTTP/1.1\r\nhost: x\r\nx-team: a\r\nx-team: a\r\n\r\n", 200, "1 0 [] [] GET /" },
    { RULES(ALLOW("host", "\"headers\": {\"host\": \"shop\"}")), "GET / HTTP/1.1\r\nhost: shop\r\n\r\n", 200,
      "1 0 [host] [] GET /" },
    /* ports: 1 is not the server's */
    { RULES(DENY("port", "\"ports\": [1]")), GET("/"), 200, "1 0 [] [] GET /" },
    { RULES(DENY("other ports", "\"unless\": {\"ports\": [1]}")), GET("/"), 403, "0 1 [other ports] [] GET /" },
    /* a dry run */
    { "{\"dry_run\": true, \"rules\": [" DENY("shut", "\"paths\": [\"/b\"]") "]}", GET("/b"), 200,
      "1 1 [shut] [] GET /b" },
    { "{\"dry_run\": true, \"rules\": [" DENY("shut", "\"paths\": [\"/b\"]") "]}", GET("/b%00"), 200,
      "1 1 [] [] GET /b%00" },
    { "{\"dry_run\": true, \"rules\": [" ALLOW("open", "\"paths\": [\"/b\"]") "]}", GET("/c"), 200,
      "1 1 [] [] GET /c" },
};

START_TEST(test_decisions)
{
    static const char *const workers[] = { "0", "2" };
    for (size_t i = 0; i < LENGTH(decisions); i++) {
        char settings[800], body[400];
        atomic_int handled = 0;
        struct audits audits;
        mesh_options options = listen_to(&audits);
        (void)snprintf(settings, sizeof(settings), "{\"workers\": %s, \"authorize\": %s}", workers[_i],
                       decisions[i].policy);
        mesh_server *server = open_server(settings, &options, handle, &handled);
        struct peer peer = peer_connect(mesh_server_address(server));
        bool denied = decisions[i].status == 403;
        for (int round = 1; round <= 2; round++) { /* a denial keeps the connection */
            int status = peer_ask(&peer, decisions[i].request, body, sizeof(body));
            ck_assert_msg(status == decisions[i].status, "row %zu: %d %s", i, status, body);
            if (denied)
                ck_assert_str_eq(body, "denied by policy\n");
            ck_assert_msg(handled == (denied ? 0 : round), "row %zu: %d", i, (int)handled);
        }
        peer_close(&peer);
        mesh_server_free(server);
        ck_assert_int_eq(audits.count, 2);
        ck_assert_uint_eq(audits.dropped, 0);
        ck_assert_msg(strcmp(audits.last, decisions[i].audited) == 0, "row %zu: %s", i, audits.last);
        ck_assert_str_eq(audits.name, "test");
        ck_assert_int_eq(strncmp(audits.address, "127.0.0.1:", 10), 0);
        ck_assert_int_gt(audits.unix_ns, INT64_C(1600000000000000000));
        lines_fini(&audits.lines);
    }
}
END_TEST

START_TEST(test_own_port)
{
    char settings[200];
    mesh_server *server = open_server("{}", NULL, handle, NULL);
    int port = atoi(strrchr(mesh_server_address(server), ':') + 1);
    mesh_server_free(server); /* the number is free again */
    (void)snprintf(settings, sizeof(settings),
                   "{\"listen\": \"127.0.0.1:%d\", \"authorize\": " RULES(DENY("port", "\"ports\": [%d]")) "}", port,
                   port);
    server = open_server(settings, NULL, handle, NULL);
    struct peer peer = peer_connect(mesh_server_address(server));
    ck_assert_int_eq(peer_ask(&peer, GET("/"), NULL, 0), 403);
    peer_close(&peer);
    mesh_server_free(server);
}
END_TEST

START_TEST(test_lines)
{
    struct audits audits;
    mesh_options options = listen_to(&audits);
    mesh_server *server = open_server(
        "{\"authorize\": " RULES(ALLOW("a", "\"paths\": [\"/a\"]") ", " DENY("b", "\"paths\": [\"/b\"]")) "}", &options,
        handle, NULL);
    struct peer peer = peer_connect(mesh_server_address(server));
    ck_assert_int_eq(peer_ask(&peer, GET("/b?secret"), NULL, 0), 403);
    ck_assert_int_eq(peer_ask(&peer, GET("/c"), NULL, 0), 403);
    ck_assert_int_eq(peer_ask(&peer, GET("/%00"), NULL, 0), 403);
    ck_assert_int_eq(peer_ask(&peer, GET("/a"), NULL, 0), 200);
    peer_close(&peer);
    mesh_server_free(server);
    lines_await(&audits.lines, ", without an id, was denied by \"b\": GET /b\n");
    lines_await(&audits.lines, ", without an id, was denied, since no rule allows it: GET /c\n");
    lines_await(&audits.lines, ", without an id, was denied: its path has no normal form: GET /%00\n");
    ck_assert(!lines_have(&audits.lines, "secret"));
    ck_assert(!lines_have(&audits.lines, "GET /a"));
    lines_fini(&audits.lines);
}
END_TEST

/* ---- bodies ---- */

static const struct {
    const char *request;
    bool kept;
} bodies[] = {
    { "POST /no HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nbody", true },
    { "POST /no HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", true },
    { "POST /no HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n", true },
    { "POST /no HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", false },
    { "POST /no HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nbo", false },
    { "POST /no HTTP/1.1\r\nhost: x\r\ncontent-length: 8000000\r\n\r\n", false },
    { "POST /no HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\n", false },
    { "POST /no HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n", false },
    { "POST /no HTTP/1.1\r\nhost: x\r\nexpect: something\r\ncontent-length: 4\r\n\r\nbody", true },
};

/* What is not there yet is not waited for; what is there does not spoil the connection. */
START_TEST(test_bodies)
{
    char value[40];
    struct answer answer;
    atomic_int handled = 0;
    mesh_server *server =
        open_server("{\"authorize\": " RULES(DENY("no", "\"paths\": [\"/no\"]")) "}", NULL, handle, &handled);
    struct peer peer = peer_connect(mesh_server_address(server));
    ck_assert(peer_say(&peer, bodies[_i].request));
    ck_assert(peer_read(&peer, false, &answer));
    ck_assert_int_eq(answer.status, 403);
    ck_assert_str_eq(answer.body, "denied by policy\n");
    ck_assert_int_eq(answer_field(&answer, "connection", value, sizeof(value)), !bodies[_i].kept);
    answer_free(&answer);
    ck_assert_int_eq(handled, 0);
    if (bodies[_i].kept)
        ck_assert_int_eq(peer_ask(&peer, GET("/"), NULL, 0), 200);
    else
        ck_assert(peer_at_end(&peer));
    peer_close(&peer);
    mesh_server_free(server);
}
END_TEST

START_TEST(test_pipelined)
{
    static const int statuses[] = { 403, 200, 403, 403, 200 };
    mesh_server *server =
        open_server("{\"authorize\": " RULES(DENY("no", "\"paths\": [\"/no\"]")) "}", NULL, handle, NULL);
    struct peer peer = peer_connect(mesh_server_address(server));
    ck_assert(peer_say(
        &peer, GET("/no") GET("/") "POST /no HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nab" GET("/no") GET("/")));
    for (size_t i = 0; i < LENGTH(statuses); i++) {
        struct answer answer;
        ck_assert(peer_read(&peer, false, &answer));
        ck_assert_int_eq(answer.status, statuses[i]);
        answer_free(&answer);
    }
    peer_close(&peer);
    mesh_server_free(server);
}
END_TEST

static void on_span(const mesh_span *span, void *user)
{
    struct lines *lines = user;
    char line[100];
    (void)snprintf(line, sizeof(line), "%s %d", mesh_status_name(span->status), (int)span->http_status);
    lines_log(0, line, lines);
}

START_TEST(test_span)
{
    struct lines lines;
    mesh_options options = MESH_OPTIONS_INIT;
    options.on_span = on_span;
    options.user = &lines;
    lines_init(&lines);
    mesh_server *server =
        open_server("{\"authorize\": " RULES(DENY("no", "\"paths\": [\"/no\"]")) "}", &options, handle, NULL);
    struct peer peer = peer_connect(mesh_server_address(server));
    ck_assert_int_eq(peer_ask(&peer, GET("/no"), NULL, 0), 403);
    peer_close(&peer);
    mesh_server_free(server);
    lines_await(&lines, "DENIED 403");
    lines_fini(&lines);
}
END_TEST

/* A program that was built before audits were there gives shorter options. */
START_TEST(test_older_options)
{
    struct audits audits;
    mesh_options options = listen_to(&audits);
    options.on_log = NULL;
    options.size = (uint32_t)offsetof(mesh_options, on_audit);
    mesh_server *server =
        open_server("{\"authorize\": " RULES(DENY("no", "\"paths\": [\"/no\"]")) "}", &options, handle, NULL);
    struct peer peer = peer_connect(mesh_server_address(server));
    ck_assert_int_eq(peer_ask(&peer, GET("/no"), NULL, 0), 403);
    peer_close(&peer);
    mesh_server_free(server);
    ck_assert_int_eq(audits.count, 0);
    lines_fini(&audits.lines);
}
END_TEST

/* ---- who asks ---- */

#define TLS_POLICY(rules) "\"tls\": {\"mode\": \"permissive\"}, \"authorize\": " rules

static const struct {
    const char *policy, *id; /* "": plain text */
    int status;
    const char *audited;
} peers[] = {
    { RULES(ALLOW("order", "\"peers\": [\"spiffe://shop/order\"]")), "spiffe://shop/order", 200,
      "1 0 [order] [spiffe://shop/order] GET /" },
    { RULES(ALLOW("order", "\"peers\": [\"spiffe://shop/order\"]")), "spiffe://shop/orders", 403,
      "0 1 [] [spiffe://shop/orders] GET /" },
    { RULES(ALLOW("order", "\"peers\": [\"spiffe://shop/order\"]")), "", 403, "0 1 [] [] GET /" },
    { RULES(ALLOW("any", "\"peers\": [\"*\"]")), "spiffe://shop/x", 200, "1 0 [any] [spiffe://shop/x] GET /" },
    { RULES(ALLOW("any", "\"peers\": [\"*\"]")), "", 403, "0 1 [] [] GET /" },
    { RULES(ALLOW("domain", "\"trust_domains\": [\"shop\"]")), "spiffe://shop/x", 200,
      "1 0 [domain] [spiffe://shop/x] GET /" },
    { RULES(ALLOW("domain", "\"trust_domains\": [\"shop\"]")), "", 403, "0 1 [] [] GET /" },
    { RULES(ALLOW("namespace", "\"namespaces\": [\"prod\"]")), "spiffe://shop/ns/prod/sa/x", 200,
      "1 0 [namespace] [spiffe://shop/ns/prod/sa/x] GET /" },
    { RULES(ALLOW("namespace", "\"namespaces\": [\"prod\"]")), "spiffe://shop/ns/test/sa/x", 403,
      "0 1 [] [spiffe://shop/ns/test/sa/x] GET /" },
    { RULES(ALLOW("namespace", "\"namespaces\": [\"prod\"]")), "spiffe://shop/prod", 403,
      "0 1 [] [spiffe://shop/prod] GET /" },
    { RULES(DENY("strangers", "\"unless\": {\"peers\": [\"spiffe://shop/*\"]}")), "spiffe://shop/x", 200,
      "1 0 [] [spiffe://shop/x] GET /" },
    { RULES(DENY("strangers", "\"unless\": {\"peers\": [\"spiffe://shop/*\"]}")), "", 403, "0 1 [strangers] [] GET /" },
};

START_TEST(test_peers)
{
    struct papers papers;
    papers_make(&papers);
    papers_write(&papers, "payment", "spiffe://shop/payment", &papers.authority);
    for (size_t i = 0; i < LENGTH(peers); i++) {
        char settings[600], text[400], expected[400];
        struct audits audits;
        mesh_options options = listen_to(&audits);
        bool secure = peers[i].id[0] != '\0';
        if (secure)
            papers_write(&papers, "peer", peers[i].id, &papers.authority);
        (void)snprintf(settings, sizeof(settings), TLS_POLICY("%s"), peers[i].policy);
        mesh_server *server = papers_server(&papers, "payment", settings, "", &options, handle, NULL);
        mesh_client *client =
            papers_client(&papers, secure ? "peer" : NULL, mesh_server_address(server),
                          secure ? "\"mode\": \"mutual\", \"peers\": [\"spiffe://shop/payment\"]" : "");
        ck_assert_msg(papers_call(client, "GET", "/", text) == MESH_OK, "row %zu: %s", i, text);
        (void)snprintf(expected, sizeof(expected), "%d %s", peers[i].status,
                       peers[i].status == 200 ? "/" : "denied by policy\n");
        ck_assert_msg(strcmp(text, expected) == 0, "row %zu: %s", i, text);
        mesh_client_free(client);
        mesh_server_free(server);
        ck_assert_int_eq(audits.count, 1);
        ck_assert_msg(strcmp(audits.last, peers[i].audited) == 0, "row %zu: %s", i, audits.last);
        lines_fini(&audits.lines);
    }
    papers_remove(&papers);
}
END_TEST

/* ---- memory ---- */

/* Whatever is missing, nobody who is denied gets through. */
START_TEST(test_memory_runs_out)
{
    struct scarce scarce;
    scarce_init(&scarce);
    mesh_options options = MESH_OPTIONS_INIT;
    options.allocator = &scarce.allocator;
    atomic_int handled = 0;
    mesh_server *server = open_server(
        "{\"authorize\": " RULES(DENY("joined", "\"headers\": {\"x-a\": \"1,2\"}, \"paths\": [\"/x*\"]")) "}", &options,
        handle, &handled);
    static char request[3000];
    char filler[2000];
    memset(filler, 'x', sizeof(filler) - 1);
    filler[sizeof(filler) - 1] = '\0';
    (void)snprintf(request, sizeof(request), "GET /%s HTTP/1.1\r\nhost: x\r\nx-a: 1\r\nx-a: 2\r\n\r\n", filler);
    int status = 0;
    long left = 0;
    for (; status != 403 && left < 100; left++) {
        struct answer answer;
        struct peer peer = peer_connect(mesh_server_address(server));
        ck_assert_int_eq(peer_ask(&peer, GET("/"), NULL, 0), 200); /* the connection is there */
        scarce.left = left;
        ck_assert(peer_say(&peer, request));
        bool answered = peer_read(&peer, false, &answer);
        scarce.left = -1;
        status = answered ? answer.status : 0;
        ck_assert_msg(status == 0 || status == 503 || status == 403, "%ld: %d", left, status);
        if (answered)
            answer_free(&answer);
        peer_close(&peer);
    }
    ck_assert_int_eq(status, 403);
    ck_assert_int_gt(left, 3);
    ck_assert_int_eq(handled, left);
    mesh_server_free(server);
    ck_assert_int_eq(scarce.live, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server: access");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    tcase_add_loop_test(tcase, test_decisions, 0, 2);
    tcase_add_test(tcase, test_own_port);
    tcase_add_test(tcase, test_lines);
    tcase_add_loop_test(tcase, test_bodies, 0, LENGTH(bodies));
    tcase_add_test(tcase, test_pipelined);
    tcase_add_test(tcase, test_span);
    tcase_add_test(tcase, test_older_options);
    tcase_add_test(tcase, test_peers);
    tcase_add_test(tcase, test_memory_runs_out);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
