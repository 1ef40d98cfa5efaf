/* SPDX-License-Identifier: Apache-2.0 */
/* server_call_test.c - a handler that calls another service: blocking on a worker, asynchronously on the server's loop,
 * where whatever would wait is refused. */
/* label: threaded */
#include "api/server_peer.h"

#include <check.h>
#include <mesh/mesh.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND INT64_C(1000000000)
#define GET(path) "GET " path " HTTP/1.1\r\nhost: x\r\n\r\n"

static void answer_back(mesh_exchange *exchange, void *user)
{
    (void)user;
    mesh_reply reply = MESH_REPLY_INIT;
    reply.body = "from the back";
    reply.body_size = 13;
    (void)mesh_exchange_reply(exchange, &reply);
}

static mesh_client *open_client(const char *address)
{
    char endpoints[64];
    mesh_config *config;
    mesh_client *client;
    mesh_error *error = NULL;
    (void)snprintf(endpoints, sizeof(endpoints), "[\"%s\"]", address);
    ck_assert_int_eq(mesh_config_new(&config), MESH_OK);
    ck_assert_int_eq(mesh_config_set_json(config, "/services/back/endpoints", endpoints), MESH_OK);
    mesh_status status = mesh_client_open(config, NULL, &client, &error);
    ck_assert_msg(status == MESH_OK, "%s", mesh_error_text(error));
    mesh_config_free(config);
    return client;
}

struct scene {
    mesh_client *client;
    mesh_server *server; /* that runs the handler */
};

static void reply_text(mesh_exchange *exchange, const char *text)
{
    mesh_reply reply = MESH_REPLY_INIT;
    reply.body = text;
    reply.body_size = strlen(text);
    ck_assert_int_eq(mesh_exchange_reply(exchange, &reply), MESH_OK);
}

/* What each function that waits says here, by name; of a call that worked its body too. */
static void handle_by_waiting(mesh_exchange *exchange, void *user)
{
    struct scene *scene = user;
    mesh_request request = MESH_REQUEST_INIT;
    mesh_result *result = NULL;
    mesh_completion completion = MESH_COMPLETION_INIT;
    uint32_t count = 1;
    char text[200];
    request.inbound = mesh_exchange_inbound(exchange);
    mesh_status status = mesh_call(scene->client, "back", &request, &result);
    ck_assert_ptr_nonnull(result);
    ck_assert_int_eq(mesh_result_code(result), status);
    mesh_status ready = mesh_client_ready(scene->client, "back", SECOND);
    mesh_status next = mesh_client_next(scene->client, &completion, 1, 1, &count);
    (void)snprintf(text, sizeof(text), "%s %.*s %s %s %s", mesh_status_name(status), (int)mesh_result_body_size(result),
                   (const char *)mesh_result_body(result), mesh_status_name(ready), mesh_status_name(next),
                   mesh_status_name(mesh_server_close(scene->server, 0)));
    ck_assert_uint_eq(count, 0);
    mesh_result_free(result);
    reply_text(exchange, text);
}

/* Never waits: whoever takes the completion answers. */
static void handle_by_starting(mesh_exchange *exchange, void *user)
{
    struct scene *scene = user;
    mesh_request request = MESH_REQUEST_INIT;
    mesh_call_id id;
    request.inbound = mesh_exchange_inbound(exchange);
    ck_assert_int_eq(mesh_call_start(scene->client, "back", &request, exchange, &id), MESH_OK);
}

static const struct {
    const char *workers, *said;
} rows[] = {
    { "{\"workers\": 0}", "EREENTRY  EREENTRY EREENTRY EREENTRY" },
    { "{\"workers\": 2}", "OK from the back OK DEADLINE EREENTRY" },
};

START_TEST(test_what_waits_in_a_handler)
{
    struct scene scene;
    mesh_server *back = open_server("{\"workers\": 0}", NULL, answer_back, NULL);
    scene.client = open_client(mesh_server_address(back));
    scene.server = open_server(rows[_i].workers, NULL, handle_by_waiting, &scene);
    struct peer peer = peer_connect(mesh_server_address(scene.server));
    char said[200];
    for (int i = 0; i < 3; i++) { /* the loop is as good as before */
        ck_assert_int_eq(peer_ask(&peer, GET("/"), said, sizeof(said)), 200);
        ck_assert_str_eq(said, rows[_i].said);
    }
    peer_close(&peer);
    mesh_server_free(scene.server);
    mesh_client_free(scene.client);
    mesh_server_free(back);
}
END_TEST

START_TEST(test_calls_that_a_handler_starts)
{
    enum { REQUESTS = 20 };
    struct scene scene;
    mesh_server *back = open_server("{\"workers\": 0}", NULL, answer_back, NULL);
    scene.client = open_client(mesh_server_address(back));
    scene.server = open_server(rows[_i].workers, NULL, handle_by_starting, &scene);
    struct peer peers[REQUESTS];
    for (int i = 0; i < REQUESTS; i++) {
        peers[i] = peer_connect(mesh_server_address(scene.server));
        ck_assert(peer_say(&peers[i], GET("/")));
    }
    for (int i = 0; i < REQUESTS;) {
        mesh_completion completion = MESH_COMPLETION_INIT;
        uint32_t count = 0;
        ck_assert_int_eq(mesh_client_next(scene.client, &completion, 1, PEER_PATIENCE_S * SECOND, &count), MESH_OK);
        ck_assert_uint_eq(count, 1);
        ck_assert_int_eq(mesh_result_status(completion.result), 200);
        reply_text(completion.user, "answered later");
        mesh_result_free(completion.result);
        i++;
    }
    for (int i = 0; i < REQUESTS; i++) {
        struct answer answer;
        ck_assert(peer_read(&peers[i], false, &answer));
        ck_assert_str_eq(answer.body, "answered later");
        answer_free(&answer);
        peer_close(&peers[i]);
    }
    mesh_server_free(scene.server);
    mesh_client_free(scene.client);
    mesh_server_free(back);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server and client");
    TCase *tcase = tcase_create("all");
    suite_add_tcase(suite, tcase);
    tcase_add_loop_test(tcase, test_what_waits_in_a_handler, 0, 2);
    tcase_add_loop_test(tcase, test_calls_that_a_handler_starts, 0, 2);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
