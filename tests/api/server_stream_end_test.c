/* SPDX-License-Identifier: Apache-2.0 */
/* server_stream_end_test.c - exchanges in pieces that end early, badly, or because somebody has gone. */
/* label: threaded */
#include "api/server_stream_scene.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define OPEN_REQUEST(path) "POST " path " HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"
#define WORKERS "{\"workers\": 2}"
#define IMPATIENT "{\"workers\": 2, \"idle_timeout\": \"50ms\"}"

static void ignore(mesh_exchange *exchange, void *user)
{
    (void)user;
    mesh_exchange_drop(exchange);
}

/* ---- answers before the request is complete ---- */

START_TEST(test_early_answer_http1)
{
    static const char *const requests[] = { OPEN_REQUEST("/early"), OPEN_REQUEST("/quick") };
    static const char *const bodies[] = { "early", "quick" };
    struct stream_scene scene;
    struct answer answer;
    stream_open(&scene, WORKERS, MESH_STREAM_REQUESTS);
    struct peer peer = peer_connect(mesh_server_address(scene.server));
    ck_assert(peer_say(&peer, requests[_i]));
    ck_assert(peer_read(&peer, false, &answer));
    ck_assert_str_eq(answer.body, bodies[_i]);
    ck_assert(peer_at_end(&peer)); /* where the next request would begin is not known */
    answer_free(&answer);
    peer_close(&peer);
    stream_close(&scene);
}
END_TEST

START_TEST(test_early_answer_http2)
{
    static const char *const paths[] = { "/early", "/quick" };
    struct stream_scene scene;
    struct caller caller;
    struct call call = { .method = "POST", .path = paths[_i], .next = stream_source, .body_size = 5, .unending = true };
    stream_open(&scene, WORKERS, MESH_STREAM_REQUESTS);
    caller_connect(&caller, mesh_server_address(scene.server));
    ck_assert_int_eq(caller_ask(&caller, &call), 200);
    ck_assert_int_eq(call.outcome, MESH_OK);
    ck_assert_uint_eq(call.received.size, 5);
    ck_assert_int_eq(memcmp(call.received.data, paths[_i] + 1, 5), 0);
    call_free(&call);
    caller_close(&caller);
    stream_close(&scene);
}
END_TEST

/* ---- responses that are given up ---- */

static const struct {
    const char *request;
    bool chunked;
    int32_t flags;
} halves[] = {
    { "GET /half HTTP/1.1\r\nhost: x\r\n\r\n", true, 0 },
    { "GET /half HTTP/1.0\r\nhost: x\r\n\r\n", false, 0 },
    { "GET /twice HTTP/1.1\r\nhost: x\r\n\r\n", true, 0 },
    { "GET /half HTTP/1.1\r\nhost: x\r\n\r\n", true, MESH_STREAM_REQUESTS },
    { OPEN_REQUEST("/half"), true, MESH_STREAM_REQUESTS },
};

/* Of HTTP/1.0 an orderly end would look like the body's. */
START_TEST(test_half_a_response_http1)
{
    struct stream_scene scene;
    struct answer answer;
    char bytes[1000];
    ssize_t got;
    stream_open(&scene, WORKERS, halves[_i].flags);
    struct peer peer = peer_connect(mesh_server_address(scene.server));
    ck_assert(peer_say(&peer, halves[_i].request));
    if (halves[_i].chunked) {
        ck_assert(!peer_read(&peer, false, &answer));
        answer_free(&answer);
    } else {
        while ((got = recv(peer.fd, bytes, sizeof(bytes), 0)) > 0)
            continue;
        ck_assert(got < 0 && errno == ECONNRESET);
    }
    peer_close(&peer);
    stream_close(&scene);
    ck_assert_int_eq(scene.spans, 1);
    ck_assert_int_eq(scene.outcome, MESH_PARTIAL_RESPONSE);
}
END_TEST

/* The same however else such a response is cut off. */
START_TEST(test_cut_off_http10)
{
    struct stream_scene scene;
    char bytes[10000];
    ssize_t got;
    stream_open(&scene, _i == 0 ? IMPATIENT : WORKERS, 0);
    struct peer peer = peer_connect(mesh_server_address(scene.server));
    ck_assert(peer_say(&peer, "GET /flood HTTP/1.0\r\nhost: x\r\n\r\n"));
    await(&scene.entered);
    ck_assert_int_gt(recv(peer.fd, bytes, sizeof(bytes), 0), 0); /* it has begun */
    if (_i == 0)
        await(&scene.left); /* the peer takes nothing for too long */
    else if (_i == 1)
        ck_assert_int_eq(mesh_server_close(scene.server, 0), MESH_DEADLINE);
    stream_close(&scene);
    while ((got = recv(peer.fd, bytes, sizeof(bytes), 0)) > 0)
        continue;
    ck_assert(got < 0 && errno == ECONNRESET);
    peer_close(&peer);
}
END_TEST

START_TEST(test_half_a_response_http2)
{
    static const char *const paths[] = { "/half", "/twice" };
    struct stream_scene scene;
    struct caller caller;
    struct call call = { .path = paths[_i] };
    struct call quick = { .path = "/quick" };
    stream_open(&scene, WORKERS, 0);
    caller_connect(&caller, mesh_server_address(scene.server));
    (void)caller_ask(&caller, &call);
    ck_assert(call.outcome == MESH_PARTIAL_RESPONSE || call.outcome == MESH_RESET); /* the head may not have got out */
    ck_assert(call.by_peer && !call.ended);
    ck_assert_uint_eq(call.code, HTTP2_INTERNAL_ERROR);
    ck_assert_int_eq(caller_ask(&caller, &quick), 200);
    call_free(&call);
    call_free(&quick);
    caller_close(&caller);
    stream_close(&scene);
}
END_TEST

START_TEST(test_end_without_a_head)
{
    struct stream_scene scene;
    stream_open(&scene, WORKERS, 0);
    struct peer peer = peer_connect(mesh_server_address(scene.server));
    ck_assert_int_eq(peer_ask(&peer, "GET /headless HTTP/1.1\r\nhost: x\r\n\r\n", NULL, 0), 500);
    peer_close(&peer);
    stream_close(&scene);
}
END_TEST

/* ---- no body, and no chunks ---- */

START_TEST(test_head_and_old_peers)
{
    struct stream_scene scene;
    struct answer answer;
    char bytes[1000] = "", value[32];
    stream_open(&scene, WORKERS, _i ? MESH_STREAM_REQUESTS : 0);
    struct peer peer = peer_connect(mesh_server_address(scene.server));
    ck_assert(peer_say(&peer, "HEAD /early HTTP/1.1\r\nhost: x\r\n\r\n"));
    ck_assert(peer_read(&peer, true, &answer));
    ck_assert_int_eq(answer.status, 200);
    ck_assert(!answer_field(&answer, "content-length", value, sizeof(value)));
    ck_assert(!answer_field(&answer, "transfer-encoding", value, sizeof(value)));
    answer_free(&answer);
    ck_assert_int_eq(peer_ask(&peer, "GET /quick HTTP/1.1\r\nhost: x\r\n\r\n", NULL, 0), 200);
    peer_close(&peer);
    peer = peer_connect(mesh_server_address(scene.server));
    ck_assert(peer_say(&peer, "GET /early HTTP/1.0\r\nhost: x\r\nconnection: keep-alive\r\n\r\n"));
    size_t size = 0;
    for (ssize_t got; (got = recv(peer.fd, bytes + size, sizeof(bytes) - 1 - size, 0)) > 0;)
        size += (size_t)got;
    ck_assert_ptr_nonnull(strstr(bytes, "connection: close\r\n"));
    ck_assert_ptr_nonnull(strstr(bytes, "\r\n\r\nearly"));
    peer_close(&peer);
    stream_close(&scene);
}
END_TEST

START_TEST(test_head_http2)
{
    struct stream_scene scene;
    struct caller caller;
    char text[128];
    struct call call = { .method = "HEAD", .path = "/early" };
    stream_open(&scene, WORKERS, 0);
    caller_connect(&caller, mesh_server_address(scene.server));
    ck_assert_int_eq(caller_ask(&caller, &call), 200);
    ck_assert_int_eq(call.outcome, MESH_OK);
    ck_assert_str_eq(call_value(&call, "content-length", text), "");
    call_free(&call);
    caller_close(&caller);
    stream_close(&scene);
}
END_TEST

/* ---- peers and servers that go ---- */

static const char *const waits[] = { "/silent", "/flood" };

START_TEST(test_peer_goes_http1)
{
    static const char *const requests[] = { OPEN_REQUEST("/silent"), OPEN_REQUEST("/flood") };
    struct stream_scene scene;
    stream_open(&scene, WORKERS, MESH_STREAM_REQUESTS);
    struct peer peer = peer_connect(mesh_server_address(scene.server));
    ck_assert(peer_say(&peer, requests[_i]));
    await(&scene.entered);
    peer_reset(&peer);
    await(&scene.left);
    ck_assert_int_eq(scene.status, MESH_ECLOSED);
    ck_assert_int_eq(scene.gone, 1);
    stream_close(&scene);
    ck_assert_int_eq(scene.outcome, MESH_CANCELLED);
}
END_TEST

static bool has_given(void *user)
{
    const struct call *call = user;
    return call->given == 5;
}

START_TEST(test_peer_resets_http2)
{
    struct stream_scene scene;
    struct caller caller;
    struct call call = { .method = "POST", .path = waits[_i], .next = stream_source, .body_size = 5, .unending = true };
    struct call quick = { .path = "/quick" };
    stream_open(&scene, WORKERS, MESH_STREAM_REQUESTS);
    caller_connect(&caller, mesh_server_address(scene.server));
    ck_assert_int_eq(caller_start(&caller, &call), MESH_OK);
    caller_run(&caller, has_given, &call);
    await(&scene.entered);
    mesh__http2_reset(call.stream, HTTP2_CANCEL);
    caller.open--;
    ck_assert_int_eq(caller_ask(&caller, &quick), 200);
    await(&scene.left);
    ck_assert_int_eq(scene.status, MESH_ECLOSED);
    ck_assert_int_eq(scene.gone, 1);
    call_free(&call);
    call_free(&quick);
    caller_close(&caller);
    stream_close(&scene);
}
END_TEST

/* Closed, and freed, while a handler waits. */
START_TEST(test_server_goes)
{
    struct stream_scene scene;
    stream_open(&scene, WORKERS, MESH_STREAM_REQUESTS);
    struct peer peer = peer_connect(mesh_server_address(scene.server));
    ck_assert(peer_say(&peer, OPEN_REQUEST("/hold")));
    await(&scene.entered);
    sem_post(&scene.go);
    if (_i == 0)
        ck_assert_int_eq(mesh_server_close(scene.server, 0), MESH_DEADLINE);
    stream_close(&scene);
    ck_assert_int_eq(scene.status, MESH_ECLOSED);
    peer_close(&peer);
}
END_TEST

/* What is under way when the server drains ends well. */
START_TEST(test_server_drains)
{
    struct stream_scene scene;
    struct answer answer;
    stream_open(&scene, WORKERS, MESH_STREAM_REQUESTS);
    struct peer peer = peer_connect(mesh_server_address(scene.server));
    ck_assert(peer_say(&peer, "GET /hold HTTP/1.1\r\nhost: x\r\n\r\n"));
    await(&scene.entered);
    sem_post(&scene.go);
    ck_assert_int_eq(mesh_server_close(scene.server, -1), MESH_OK);
    ck_assert(peer_read(&peer, false, &answer));
    ck_assert_int_eq(answer.status, 200);
    answer_free(&answer);
    ck_assert(peer_at_end(&peer));
    peer_close(&peer);
    stream_close(&scene);
}
END_TEST

/* ---- peers that stand still ---- */

START_TEST(test_silent_peer_http1)
{
    struct stream_scene scene;
    struct answer answer;
    stream_open(&scene, IMPATIENT, MESH_STREAM_REQUESTS);
    struct peer peer = peer_connect(mesh_server_address(scene.server));
    ck_assert(peer_say(&peer, OPEN_REQUEST("/silent")));
    ck_assert(peer_read(&peer, false, &answer));
    ck_assert_int_eq(answer.status, 408);
    ck_assert(peer_at_end(&peer));
    await(&scene.left);
    ck_assert_int_eq(scene.status, MESH_DEADLINE);
    answer_free(&answer);
    peer_close(&peer);
    stream_close(&scene);
}
END_TEST

START_TEST(test_silent_peer_http2)
{
    struct stream_scene scene;
    struct caller caller;
    struct call call = { .method = "POST", .path = "/silent", .next = stream_source, .body_size = 5, .unending = true };
    stream_open(&scene, IMPATIENT, MESH_STREAM_REQUESTS);
    caller_connect(&caller, mesh_server_address(scene.server));
    ck_assert_int_eq(caller_ask(&caller, &call), 408);
    await(&scene.left);
    ck_assert_int_eq(scene.status, MESH_DEADLINE);
    call_free(&call);
    caller_close(&caller);
    stream_close(&scene);
}
END_TEST

/* No wait outlasts the request's deadline. */
START_TEST(test_deadline)
{
    static const char request[] = "POST /silent HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n"
                                  "x-envoy-expected-rq-timeout-ms: 100\r\n\r\n";
    struct stream_scene scene;
    struct peer peer;
    stream_open(&scene, WORKERS, MESH_STREAM_REQUESTS);
    peer = peer_connect(mesh_server_address(scene.server));
    ck_assert_int_eq(peer_ask(&peer, request, NULL, 0), 504);
    peer_close(&peer);
    stream_close(&scene);
}
END_TEST

START_TEST(test_unknown_flags)
{
    mesh_config *config;
    mesh_server *server;
    mesh_error *error;
    mesh_options options = MESH_OPTIONS_INIT;
    options.flags = 2;
    ck_assert_int_eq(mesh_config_new(&config), MESH_OK);
    ck_assert_int_eq(mesh_config_set_string(config, "/servers/test/listen", "127.0.0.1:0"), MESH_OK);
    ck_assert_int_eq(mesh_server_open(config, "test", &options, ignore, NULL, &server, &error), MESH_EINVAL);
    ck_assert_str_eq(mesh_error_text(error), "options.flags: only MESH_STREAM_REQUESTS is known");
    mesh_error_free(error);
    mesh_config_free(config);
}
END_TEST

/* A peer that takes nothing is ended, and its handler told so. */
START_TEST(test_peer_that_takes_nothing)
{
    struct stream_scene scene;
    struct caller caller;
    struct call call = { .path = "/flood" };
    stream_open(&scene, IMPATIENT, 0);
    struct peer peer = { -1, NULL, 0 };
    if (_i == 0) {
        peer = peer_connect(mesh_server_address(scene.server));
        ck_assert(peer_say(&peer, "GET /flood HTTP/1.1\r\nhost: x\r\n\r\n"));
    } else {
        caller_connect(&caller, mesh_server_address(scene.server));
        caller.hold = true;
        ck_assert_int_eq(caller_start(&caller, &call), MESH_OK);
        caller_flush(&caller);
    }
    await(&scene.left);
    ck_assert_int_eq(scene.status, MESH_ECLOSED);
    if (_i == 0) {
        peer_close(&peer);
    } else {
        call_free(&call);
        caller_close(&caller);
    }
    stream_close(&scene);
}
END_TEST

/* Three peers stand still, one after the other, for as long as that is borne, while another waits for its handler and
 * is left alone. */
START_TEST(test_peer_that_waits_for_its_handler)
{
    struct stream_scene scene;
    struct caller caller;
    struct call call = { .method = "POST", .path = "/hold", .next = stream_source, .body_size = 5, .unending = true };
    stream_open(&scene, IMPATIENT, MESH_STREAM_REQUESTS);
    caller_connect(&caller, mesh_server_address(scene.server));
    ck_assert_int_eq(caller_start(&caller, &call), MESH_OK);
    caller_run(&caller, has_given, &call);
    caller_flush(&caller);
    await(&scene.entered);
    for (int i = 0; i < 3; i++) {
        struct answer answer;
        struct peer peer = peer_connect(mesh_server_address(scene.server));
        ck_assert(peer_say(&peer, OPEN_REQUEST("/silent")));
        ck_assert(peer_read(&peer, false, &answer));
        ck_assert_int_eq(answer.status, 408);
        answer_free(&answer);
        peer_close(&peer);
    }
    sem_post(&scene.go);
    call.unending = false;
    call.given = 0;
    mesh__http2_resume(call.stream);
    caller_finish(&caller);
    ck_assert_int_eq(call.outcome, MESH_OK);
    ck_assert_uint_eq(call.received.size, 10);
    call_free(&call);
    caller_close(&caller);
    stream_close(&scene);
}
END_TEST

/* ---- what is wrong with a request ---- */

static const struct {
    const char *rest;
    int status;
} wrongs[] = {
    { "zzz\r\n", 400 },
    { "0\r\nbad trailer\r\n\r\n", 400 },
    { "0\r\na: b\r\nb: b\r\nc: b\r\nd: b\r\n\r\n", 431 },
};

START_TEST(test_malformed_rest)
{
    struct stream_scene scene;
    struct answer answer;
    stream_open(&scene, "{\"workers\": 2, \"max_headers\": 4}", MESH_STREAM_REQUESTS);
    struct peer peer = peer_connect(mesh_server_address(scene.server));
    ck_assert(peer_say(&peer, OPEN_REQUEST("/hold")));
    await(&scene.entered);
    ck_assert(peer_say(&peer, wrongs[_i].rest));
    sem_post(&scene.go);
    ck_assert(!peer_read(&peer, false, &answer)); /* its response had begun */
    answer_free(&answer);
    peer_close(&peer);
    peer = peer_connect(mesh_server_address(scene.server));
    ck_assert(peer_say(&peer, OPEN_REQUEST("/count")) && peer_say(&peer, wrongs[_i].rest));
    ck_assert(peer_read(&peer, false, &answer));
    ck_assert_int_eq(answer.status, wrongs[_i].status);
    answer_free(&answer);
    ck_assert(peer_at_end(&peer));
    peer_close(&peer);
    stream_close(&scene);
}
END_TEST

/* ---- memory that runs out ---- */

static bool echo_once(struct stream_scene *scene, bool http2, long left)
{
    bool ok;
    if (http2) {
        struct caller caller;
        struct call call = { .method = "POST", .path = "/echo", .next = stream_source, .body_size = 100000 };
        caller_connect(&caller, mesh_server_address(scene->server));
        scene->memory.left = left;
        (void)caller_ask(&caller, &call);
        ok = call.outcome == MESH_OK && call.received.size == 100000;
        call_free(&call);
        caller_close(&caller);
    } else {
        struct answer answer = { 0 };
        struct peer peer = peer_connect(mesh_server_address(scene->server));
        scene->memory.left = left;
        ok = peer_say(&peer, OPEN_REQUEST("/echo")) && peer_say(&peer, "0\r\nx: y\r\n\r\n") &&
             peer_read(&peer, false, &answer) && answer.size == 5;
        answer_free(&answer);
        peer_close(&peer);
    }
    scene->memory.left = -1;
    return ok;
}

START_TEST(test_memory_runs_out)
{
    struct stream_scene scene;
    long left = 0;
    stream_open(&scene, WORKERS, MESH_STREAM_REQUESTS);
    while (!echo_once(&scene, _i == 1, left) && left < 400)
        left++;
    ck_assert_int_gt(left, 4);
    ck_assert_int_lt(left, 400);
    ck_assert(echo_once(&scene, _i == 1, -1));
    stream_close(&scene);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server: the end of bodies in pieces");
    TCase *all = tcase_create("all");
    tcase_add_loop_test(all, test_early_answer_http1, 0, 2);
    tcase_add_loop_test(all, test_early_answer_http2, 0, 2);
    tcase_add_loop_test(all, test_half_a_response_http1, 0, (int)LENGTH(halves));
    tcase_add_loop_test(all, test_cut_off_http10, 0, 3);
    tcase_add_loop_test(all, test_half_a_response_http2, 0, 2);
    tcase_add_test(all, test_end_without_a_head);
    tcase_add_loop_test(all, test_head_and_old_peers, 0, 2);
    tcase_add_test(all, test_head_http2);
    tcase_add_loop_test(all, test_peer_goes_http1, 0, 2);
    tcase_add_loop_test(all, test_peer_resets_http2, 0, 2);
    tcase_add_loop_test(all, test_server_goes, 0, 2);
    tcase_add_test(all, test_server_drains);
    tcase_add_test(all, test_silent_peer_http1);
    tcase_add_test(all, test_silent_peer_http2);
    tcase_add_test(all, test_deadline);
    tcase_add_test(all, test_unknown_flags);
    tcase_add_loop_test(all, test_peer_that_takes_nothing, 0, 2);
    tcase_add_test(all, test_peer_that_waits_for_its_handler);
    tcase_add_loop_test(all, test_malformed_rest, 0, (int)LENGTH(wrongs));
    tcase_add_loop_test(all, test_memory_runs_out, 0, 2);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
