/* SPDX-License-Identifier: Apache-2.0 */
/* client_tls_test.c - a client's side of TLS: sessions, reloads, new identities, policies, and peers that are wrong. */
/* label: threaded */
#include "api/server_papers.h"

#include <arpa/inet.h>
#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TLS "\"tls\": {\"mode\": \"mutual\", \"peers\": [\"spiffe://shop/payment\"]}"
#define ONE_EACH "\"max_requests_per_connection\": 1, \"protocol\": \"http1\", "

static struct papers papers;
static struct lines lines;
static mesh_options options;

static void setup(void)
{
    papers_make(&papers);
    lines_init(&lines);
    papers_write(&papers, "payment", "spiffe://shop/payment", &papers.authority);
    papers_write(&papers, "order", "spiffe://shop/order", &papers.authority);
    options = (mesh_options)MESH_OPTIONS_INIT;
    options.shards = 1; /* else a call may find no connection where it runs */
    options.on_log = lines_log;
    options.log_level = MESH_LOG_INFO;
    options.user = &lines;
}

static void teardown(void)
{
    lines_fini(&lines);
    papers_remove(&papers);
}

static void answer(mesh_exchange *exchange, void *user)
{
    (void)user;
    mesh_reply reply = MESH_REPLY_INIT;
    (void)mesh_exchange_reply(exchange, &reply);
}

static mesh_server *open_server(const char *name)
{
    return papers_server(&papers, name, "\"tls\": {\"mode\": \"mutual\"}", "", NULL, answer, NULL);
}

/* The service "test" at these endpoints, in JSON, with these further members. */
static mesh_config *config_of(const char *endpoints, const char *members)
{
    char rest[1200];
    (void)snprintf(rest, sizeof(rest),
                   "\"services\": {\"test\": {\"endpoints\": [%s], \"timeout\": \"20s\", \"connect_timeout\": \"10s\", "
                   "%s}}",
                   endpoints, members);
    return papers_config(&papers, "order", rest);
}

static mesh_client *open_client(const char *endpoints, const char *members)
{
    mesh_error *error = NULL;
    mesh_client *client = NULL;
    mesh_config *config = config_of(endpoints, members);
    ck_assert_msg(mesh_client_open(config, &options, &client, &error) == MESH_OK, "%s", mesh_error_text(error));
    mesh_config_free(config);
    return client;
}

static void reload(mesh_client *client, const char *endpoints, const char *members)
{
    mesh_error *error = NULL;
    mesh_config *config = config_of(endpoints, members);
    ck_assert_msg(mesh_client_reload(client, config, &error) == MESH_OK, "%s", mesh_error_text(error));
    mesh_config_free(config);
}

static const char *quoted(const mesh_server *server, char text[64])
{
    (void)snprintf(text, 64, "\"%s\"", mesh_server_address(server));
    return text;
}

/* Makes a call that succeeds; what its last attempt tells. Its texts are gone. */
static mesh_attempt attempt_of_call(mesh_client *client)
{
    mesh_result *result;
    mesh_attempt attempt = MESH_ATTEMPT_INIT;
    mesh_status status = mesh_call(client, "test", NULL, &result);
    ck_assert_msg(status == MESH_OK, "%s", mesh_result_message(result));
    ck_assert_int_eq(mesh_result_status(result), 200);
    ck_assert_int_eq(mesh_result_attempt(result, mesh_result_attempt_count(result) - 1, &attempt), MESH_OK);
    ck_assert_str_eq(attempt.peer_id, "spiffe://shop/payment");
    ck_assert_int_eq(strncmp(attempt.tls_version, "TLSv1.", 6), 0);
    mesh_result_free(result);
    return attempt;
}

/* Row 113: a session is resumed under the same settings and identity, and under no others. */
START_TEST(test_sessions)
{
    char at[64];
    mesh_server *server = open_server("payment");
    quoted(server, at);
    mesh_client *client = open_client(at, ONE_EACH TLS);
    mesh_attempt attempt = attempt_of_call(client);
    ck_assert_int_eq(attempt.tls_resumed, 0);
    ck_assert_int_gt(attempt.tls_ns, 0);
    attempt = attempt_of_call(client);
    ck_assert_int_eq(attempt.reused, 0);
    ck_assert_int_eq(attempt.tls_resumed, 1);
    reload(client, at, ONE_EACH TLS); /* nothing has changed */
    ck_assert_int_eq(attempt_of_call(client).tls_resumed, 1);
    reload(client, at, ONE_EACH "\"tls\": {\"mode\": \"mutual\", \"peers\": [\"spiffe://shop/*\"]}");
    ck_assert_int_eq(attempt_of_call(client).tls_resumed, 0);
    ck_assert_int_eq(attempt_of_call(client).tls_resumed, 1);
    papers_write(&papers, "order", "spiffe://shop/order", &papers.authority);
    lines_await(&lines, "a new one is in force: spiffe://shop/order");
    ck_assert_int_eq(attempt_of_call(client).tls_resumed, 0);
    mesh_client_free(client);
    mesh_server_free(server);
}
END_TEST

/* Connections of an identity that was replaced carry no further request; files that are wrong change nothing. */
START_TEST(test_identities)
{
    char at[64], words[400];
    mesh_server *server = open_server("payment");
    mesh_client *client = open_client(quoted(server, at), TLS);
    (void)attempt_of_call(client);
    ck_assert_int_eq(attempt_of_call(client).reused, 1);
    char *json = mesh_client_inspect(client, "test");
    ck_assert_ptr_nonnull(strstr(json, "\"identity\":{\"id\":\"spiffe://shop/order\",\"expires_unix_s\":"));
    mesh_string_free(json);
    papers_put(&papers, "order.pem", "no certificate");
    lines_await(&lines, "the one in force stays");
    ck_assert_int_eq(attempt_of_call(client).reused, 1);
    papers_write(&papers, "order", "spiffe://shop/order", &papers.authority);
    lines_await(&lines, "a new one is in force");
    ck_assert_int_eq(attempt_of_call(client).reused, 0);
    ck_assert_int_eq(attempt_of_call(client).reused, 1);
    /* Trust is pruned: what was made under the old trust is not used again. */
    papers_put(&papers, "shop.ca", papers.stranger.certificate);
    papers_write(&papers, "order", "spiffe://shop/order", &papers.stranger);
    lines_await(&lines, "a new one is in force");
    mesh_status status = papers_call(client, "GET", "/", words);
    ck_assert_msg(status == MESH_TLS_UNKNOWN_AUTHORITY || status == MESH_TLS_REFUSED_BY_PEER, "%s", words);
    mesh_client_free(client);
    mesh_server_free(server);
}
END_TEST

/* Judged for each connection, also for those that are open when the policy changes. */
START_TEST(test_policy)
{
    char at[64], words[400];
    mesh_server *server = open_server("payment");
    mesh_client *client = open_client(quoted(server, at), TLS);
    (void)attempt_of_call(client);
    reload(client, at,
           TLS ", \"authorize\": {\"rules\": [{\"name\": \"no money\", \"action\": \"deny\", \"peers\": "
               "[\"spiffe://shop/payment\"]}]}");
    ck_assert_int_eq(papers_call(client, "GET", "/", words), MESH_DENIED);
    ck_assert_ptr_nonnull(strstr(words, "no money"));
    ck_assert_ptr_nonnull(strstr(words, "spiffe://shop/payment"));
    mesh_client_free(client);
    mesh_server_free(server);
}
END_TEST

/* An endpoint that shows a wrong certificate is left alone, and no call fails. */
START_TEST(test_one_wrong_endpoint)
{
    char both[140], a[64], b[64];
    mesh_server *server = open_server("payment");
    mesh_server *wrong = open_server("order");
    (void)snprintf(both, sizeof(both), "%s, %s", quoted(wrong, a), quoted(server, b));
    mesh_client *client = open_client(both, "\"balancer\": \"round-robin\", " TLS);
    for (int i = 0; i < 30; i++)
        (void)attempt_of_call(client);
    mesh_counters counters = MESH_COUNTERS_INIT;
    ck_assert_int_eq(mesh_client_counters(client, "test", mesh_server_address(wrong), &counters), MESH_OK);
    ck_assert_uint_ge(counters.attempt_failures, 1);
    ck_assert_uint_le(counters.attempts, 4); /* one, and probes if the machine is slow */
    mesh_client_free(client);
    mesh_server_free(wrong);
    mesh_server_free(server);
}
END_TEST

static uint32_t lines_with(const char *word)
{
    uint32_t count = 0;
    pthread_mutex_lock(&lines.lock);
    for (const char *at = lines.text; (at = strstr(at, word)) != NULL; at++)
        count++;
    pthread_mutex_unlock(&lines.lock);
    return count;
}

/* Verification that was turned off by name is logged as a warning at every connect, and only then. */
START_TEST(test_verify_none)
{
    static const char none[] = "\"tls\": {\"mode\": \"simple\", \"verify\": \"none\"}";
    char at[64], line[200], words[400];
    struct papers thief; /* whom the client does not trust */
    papers_make(&thief);
    papers_write(&thief, "payment", "spiffe://elsewhere/thief", &thief.authority);
    mesh_server *server = papers_server(&thief, "payment", "\"tls\": {\"mode\": \"simple\"}", "", NULL, answer, NULL);
    quoted(server, at);
    (void)snprintf(line, sizeof(line), "test: %s was not verified, since tls.verify is \"none\"",
                   mesh_server_address(server));
    options.log_level = MESH_LOG_WARN;
    mesh_client *client = open_client(at, none);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(papers_call(client, "GET", "/", words), MESH_OK); /* on one connection */
    reload(client, at,
           "\"max_requests_per_connection\": 1, \"protocol\": \"http1\", "
           "\"tls\": {\"mode\": \"simple\", \"verify\": \"none\"}");
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(papers_call(client, "GET", "/", words), MESH_OK); /* on one each */
    for (int i = 0; i < 4; i++)
        lines_await(&lines, line);
    ck_assert_uint_eq(lines_with("was not verified"), 4);
    reload(client, at, "\"tls\": {\"mode\": \"simple\", \"peers\": [\"spiffe://shop/payment\"]}");
    ck_assert_int_ne(papers_call(client, "GET", "/", words), MESH_OK);
    reload(client, at, none);
    ck_assert_int_eq(papers_call(client, "GET", "/", words), MESH_OK);
    lines_await(&lines, line);
    ck_assert_uint_eq(lines_with("was not verified"), 5); /* the refused one was verified */
    mesh_client_free(client);
    mesh_server_free(server);
    papers_remove(&thief);
}
END_TEST

/* A socket that takes connections and never says a word. */
static int silent_at(char text[64])
{
    struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof(here);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert(fd >= 0 && bind(fd, (struct sockaddr *)&here, size) == 0 && listen(fd, 64) == 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&here, &size), 0);
    (void)snprintf(text, 64, "\"127.0.0.1:%u\"", ntohs(here.sin_port));
    return fd;
}

/* The only attempt of a call that fails with `status`. */
static mesh_attempt failed_attempt(mesh_client *client, mesh_status status)
{
    mesh_result *result;
    mesh_attempt attempt = MESH_ATTEMPT_INIT;
    ck_assert_int_eq(mesh_call(client, "test", NULL, &result), status);
    ck_assert_uint_eq(mesh_result_attempt_count(result), 1);
    ck_assert_int_eq(mesh_result_attempt(result, 0, &attempt), MESH_OK);
    mesh_result_free(result);
    return attempt;
}

/* Row 109: a handshake that stalls has a time of its own. */
START_TEST(test_stalled_handshake)
{
    char at[64];
    int fd = silent_at(at);
    mesh_client *client = open_client(at, "\"retry\": {\"attempts\": 1}, \"tls\": {\"mode\": \"mutual\", \"peers\": "
                                          "[\"spiffe://shop/payment\"], \"handshake_timeout\": \"30ms\"}");
    ck_assert_int_ge(failed_attempt(client, MESH_TLS_TIMEOUT).tls_ns, 30 * 1000000);
    mesh_client_free(client);
    close(fd);
}
END_TEST

/* The time of a handshake is the handshake's, also when it ends in a refusal. */
START_TEST(test_time_of_a_refusal)
{
    char at[64];
    mesh_server *server = open_server("order");
    mesh_client *client = open_client(quoted(server, at), "\"retry\": {\"attempts\": 1}, " TLS);
    ck_assert_int_gt(failed_attempt(client, MESH_TLS_WRONG_ID).tls_ns, 0);
    mesh_client_free(client);
    mesh_server_free(server);
}
END_TEST

/* Row 104: a server that refuses this side's certificate has its own code, with the alert's name, at the first call and
 * at those that follow; it is asked as often as the configuration says, and not for ever. */
START_TEST(test_refused_by_peer)
{
    static const char *const protocols[] = { "http1", "http2", "auto" };
    char at[64], members[300];
    mesh_server *server =
        papers_server(&papers, "payment", "\"tls\": {\"mode\": \"mutual\", \"peers\": [\"spiffe://shop/payment\"]}", "",
                      NULL, answer, NULL);
    (void)snprintf(
        members, sizeof(members),
        "\"protocol\": \"%s\", \"circuit_breaker\": {\"enabled\": false}, \"retry\": {\"attempts\": 3}, " TLS,
        protocols[_i]);
    mesh_client *client = open_client(quoted(server, at), members);
    for (int call = 0; call < 3; call++) {
        mesh_result *result;
        ck_assert_int_eq(mesh_call(client, "test", NULL, &result), MESH_TLS_REFUSED_BY_PEER);
        size_t count = mesh_result_attempt_count(result);
        ck_assert_msg(count >= 1 && count <= 3, "%zu attempts", count);
        for (size_t i = 0; i < count; i++) {
            mesh_attempt attempt = MESH_ATTEMPT_INIT;
            ck_assert_int_eq(mesh_result_attempt(result, i, &attempt), MESH_OK);
            ck_assert_int_eq(attempt.status, MESH_TLS_REFUSED_BY_PEER);
            ck_assert_ptr_nonnull(strstr(attempt.reason, "access_denied"));
            ck_assert_int_gt(attempt.tls_ns, 0);
        }
        mesh_result_free(result);
    }
    mesh_client_free(client);
    mesh_server_free(server);
}
END_TEST

/* Freed while hands are being shaken: each call ends once. */
START_TEST(test_free_while_shaking)
{
    char at[64];
    int fd = silent_at(at);
    mesh_client *client = open_client(at, TLS);
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(mesh_call_start(client, "test", NULL, NULL, NULL), MESH_OK);
    struct pollfd arrived = { fd, POLLIN, 0 };
    ck_assert_int_eq(poll(&arrived, 1, 30000), 1);
    mesh_client_free(client);
    close(fd);
}
END_TEST

START_TEST(test_plain_peer)
{
    char at[64], words[400];
    mesh_server *server = papers_server(&papers, "payment", "\"workers\": 1", "", NULL, answer, NULL);
    mesh_client *client = open_client(quoted(server, at), "\"retry\": {\"attempts\": 1}, " TLS);
    ck_assert_int_eq(papers_call(client, "GET", "/", words), MESH_TLS_PROTOCOL);
    mesh_client_free(client);
    mesh_server_free(server);
}
END_TEST

/* In external mode hands are shaken on the loop. */
START_TEST(test_external)
{
    char at[64];
    mesh_server *server = open_server("payment");
    options.mode = MESH_EXTERNAL;
    mesh_client *client = open_client(quoted(server, at), TLS);
    mesh_completion completion = MESH_COMPLETION_INIT;
    uint32_t count = 0;
    ck_assert_int_eq(mesh_call_start(client, "test", NULL, NULL, NULL), MESH_OK);
    while (mesh_client_next(client, &completion, 1, 0, &count) == MESH_DEADLINE) {
        struct pollfd ready = { mesh_loop_fd(client, 0), POLLIN, 0 };
        int64_t timeout = mesh_loop_timeout(client, 0);
        (void)poll(&ready, 1, timeout < 0 ? -1 : (int)(timeout / 1000000 + 1));
        ck_assert_int_eq(mesh_loop_process(client, 0), MESH_OK);
    }
    ck_assert_uint_eq(count, 1);
    ck_assert_msg(completion.status == MESH_OK, "%s", mesh_result_message(completion.result));
    mesh_result_free(completion.result);
    mesh_client_free(client);
    mesh_server_free(server);
}
END_TEST

/* A file that is wrong at the opening is named. */
START_TEST(test_bad_files_at_open)
{
    mesh_error *error = NULL;
    mesh_client *client = NULL;
    papers_put(&papers, "order.key", "no key");
    mesh_config *config = config_of("\"127.0.0.1:1\"", TLS);
    ck_assert_int_eq(mesh_client_open(config, NULL, &client, &error), MESH_ECONFIG);
    ck_assert_ptr_nonnull(strstr(mesh_error_text(error), "order.key"));
    mesh_error_free(error);
    mesh_config_free(config);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client: TLS");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    suite_add_tcase(suite, tcase);
    tcase_add_test(tcase, test_sessions);
    tcase_add_test(tcase, test_identities);
    tcase_add_test(tcase, test_policy);
    tcase_add_test(tcase, test_one_wrong_endpoint);
    tcase_add_test(tcase, test_verify_none);
    tcase_add_test(tcase, test_stalled_handshake);
    tcase_add_test(tcase, test_time_of_a_refusal);
    tcase_add_loop_test(tcase, test_refused_by_peer, 0, 3);
    tcase_add_test(tcase, test_free_while_shaking);
    tcase_add_test(tcase, test_plain_peer);
    tcase_add_test(tcase, test_external);
    tcase_add_test(tcase, test_bad_files_at_open);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
