/* SPDX-License-Identifier: Apache-2.0 */
/* server_stream_test.c - bodies in pieces: large ones in little memory, trailers, and who waits for whom. */
/* label: threaded */
#include "api/server_stream_scene.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define MANY 20
#define MEMORY_HTTP1 (700LL << 10)
#define MEMORY_HTTP2 (5LL << 20) /* a stream's window, twice, and what its buffers have room for beyond */

#define CHUNKED(path) "POST " path " HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n"

/* ---- a chunked request from a thread of its own ---- */

struct sender {
    struct peer *peer;
    pthread_t thread;
    bool ok;
};

/* STREAM_LARGE bytes in chunks, then a trailer. */
static void *send_chunks(void *user)
{
    struct sender *sender = user;
    char chunk[8 + 20000 + 2];
    size_t at = 0;
    sender->ok = true;
    while (sender->ok && at < STREAM_LARGE) {
        size_t size = STREAM_LARGE - at < 20000 ? STREAM_LARGE - at : 20000;
        int head = snprintf(chunk, sizeof(chunk), "%zx\r\n", size);
        for (size_t i = 0; i < size; i++)
            chunk[(size_t)head + i] = stream_byte(at + i);
        memcpy(chunk + head + size, "\r\n", 2);
        sender->ok = peer_send(sender->peer, chunk, (size_t)head + size + 2);
        at += size;
    }
    sender->ok = sender->ok && peer_say(sender->peer, "0\r\nx-end: yes\r\n\r\n");
    return NULL;
}

static void start_sending(struct sender *sender, struct peer *peer)
{
    sender->peer = peer;
    ck_assert_int_eq(pthread_create(&sender->thread, NULL, send_chunks, sender), 0);
}

/* ---- echoes ---- */

static const struct {
    const char *settings, *request, *path;
} echoes[] = {
    { "{\"workers\": 2}", CHUNKED("/echo") "\r\n", "/echo" },
    { "{\"workers\": 0}", CHUNKED("/ready") "\r\n", "/ready" },
};

START_TEST(test_echo_http1)
{
    struct stream_scene scene;
    struct sender sender;
    struct answer answer;
    stream_open(&scene, echoes[_i].settings, MESH_STREAM_REQUESTS);
    struct peer peer = peer_connect(mesh_server_address(scene.server));
    ck_assert(peer_say(&peer, echoes[_i].request));
    start_sending(&sender, &peer);
    ck_assert(peer_read(&peer, false, &answer));
    pthread_join(sender.thread, NULL);
    ck_assert(sender.ok);
    ck_assert_int_eq(answer.status, 200);
    ck_assert_uint_eq(answer.size, STREAM_LARGE);
    ck_assert(stream_is_right(answer.body, answer.size));
    ck_assert_str_eq(answer.trailers, "x-size: 10485760\nx-end: yes\n");
    ck_assert_int_lt(stream_memory_used(&scene), MEMORY_HTTP1);
    answer_free(&answer);
    ck_assert_int_eq(peer_ask(&peer, "GET /quick HTTP/1.1\r\nhost: x\r\n\r\n", NULL, 0), 200); /* it is still good */
    peer_close(&peer);
    stream_close(&scene);
}
END_TEST

START_TEST(test_echo_http2)
{
    struct stream_scene scene;
    struct caller caller;
    char text[128];
    struct call call = { .method = "POST", .path = echoes[_i].path, .next = stream_source };
    stream_open(&scene, echoes[_i].settings, MESH_STREAM_REQUESTS);
    caller_connect(&caller, mesh_server_address(scene.server));
    ck_assert_int_eq(caller_ask(&caller, &call), 200);
    ck_assert_int_eq(call.outcome, MESH_OK);
    ck_assert_uint_eq(call.received.size, STREAM_LARGE);
    ck_assert(stream_is_right(call.received.data, call.received.size));
    ck_assert_str_eq(call_value(&call, "x-size", text), "10485760");
    ck_assert_str_eq(call_value(&call, "x-end", text), "yes");
    ck_assert_str_eq(call_value(&call, "content-length", text), "");
    ck_assert_int_lt(stream_memory_used(&scene), MEMORY_HTTP2);
    call_free(&call);
    caller_close(&caller);
    stream_close(&scene);
}
END_TEST

/* ---- a handler that does not read ---- */

START_TEST(test_unread_holds_up_the_peer_http2)
{
    struct stream_scene scene;
    struct caller caller;
    struct call call = { .method = "POST", .path = "/hold", .next = stream_source };
    struct call quick = { .path = "/quick" };
    stream_open(&scene, "{\"workers\": 2}", MESH_STREAM_REQUESTS);
    caller_connect(&caller, mesh_server_address(scene.server));
    ck_assert_int_eq(caller_start(&caller, &call), MESH_OK);
    while (call.given < HTTP2_WINDOW_FIRST)
        caller_flush(&caller);
    await(&scene.entered);
    ck_assert_int_eq(caller_start(&caller, &quick), MESH_OK); /* what came before it has been seen by its end */
    caller_await(&caller, &quick);
    ck_assert_int_eq(quick.status, 200);
    ck_assert_uint_eq(call.given, HTTP2_WINDOW_FIRST);
    sem_post(&scene.go);
    caller_finish(&caller);
    ck_assert_uint_eq(call.received.size, STREAM_LARGE);
    call_free(&call);
    call_free(&quick);
    caller_close(&caller);
    stream_close(&scene);
}
END_TEST

/* Sends until the socket takes nothing for a while: then the server has stopped reading, or is slow, which does no harm
 * here. */
static size_t fill_socket(struct peer *peer)
{
    static const char chunk[] = "4000\r\n";
    char bytes[0x4000] = { 0 };
    struct pollfd poller = { peer->fd, POLLOUT, 0 };
    size_t sent = 0, at = 0;
    char part[sizeof(bytes) + 8];
    memcpy(part, chunk, 6);
    memcpy(part + 6, bytes, sizeof(bytes));
    memcpy(part + 6 + sizeof(bytes), "\r\n", 2);
    while (sent < 4 * STREAM_LARGE && poll(&poller, 1, 100) > 0) {
        ssize_t put = send(peer->fd, part + at, sizeof(part) - at, MSG_DONTWAIT | MSG_NOSIGNAL);
        ck_assert(put > 0 || errno == EAGAIN);
        at = (at + (put > 0 ? (size_t)put : 0)) % sizeof(part);
        sent += put > 0 ? (size_t)put : 0;
    }
    return sent;
}

START_TEST(test_unread_holds_up_the_peer_http1)
{
    struct stream_scene scene;
    stream_open(&scene, "{\"workers\": 2}", MESH_STREAM_REQUESTS);
    struct peer peer = peer_connect(mesh_server_address(scene.server));
    ck_assert(peer_say(&peer, CHUNKED("/hold") "\r\n"));
    await(&scene.entered);
    size_t sent = fill_socket(&peer);
    ck_assert_uint_gt(sent, 1 << 16);
    ck_assert_uint_lt(sent, 4 * STREAM_LARGE);
    ck_assert_int_lt(stream_memory_used(&scene), MEMORY_HTTP1);
    peer_reset(&peer);
    sem_post(&scene.go);
    stream_close(&scene);
    ck_assert_int_eq(scene.status, MESH_ECLOSED);
}
END_TEST

/* More requests than the connection's window has room for, and one worker: those that wait do not hold up the one that
 * is read. */
START_TEST(test_waiting_requests_hold_up_nobody)
{
    struct stream_scene scene;
    struct caller caller;
    struct call calls[MANY] = { { 0 } };
    stream_open(&scene, "{\"workers\": 1}", MESH_STREAM_REQUESTS);
    caller_connect(&caller, mesh_server_address(scene.server));
    for (size_t i = 0; i < MANY; i++) {
        calls[i] = (struct call){ .method = "POST", .path = "/count", .next = stream_source, .body_size = 200000 };
        ck_assert_int_eq(caller_start(&caller, &calls[i]), MESH_OK);
    }
    caller_finish(&caller);
    for (size_t i = 0; i < MANY; i++) {
        ck_assert_uint_eq(calls[i].received.size, 10);
        ck_assert_int_eq(memcmp(calls[i].received.data, "200000 yes", 10), 0);
        call_free(&calls[i]);
    }
    caller_close(&caller);
    stream_close(&scene);
}
END_TEST

/* ---- a peer that does not read ---- */

START_TEST(test_untaken_holds_up_the_handler_http2)
{
    struct stream_scene scene;
    struct caller caller;
    struct call call = { .path = "/stuck" };
    stream_open(&scene, "{\"workers\": 1}", _i ? MESH_STREAM_REQUESTS : 0);
    caller_connect(&caller, mesh_server_address(scene.server));
    caller.hold = true;
    ck_assert_int_eq(caller_start(&caller, &call), MESH_OK);
    caller_flush(&caller);
    await(&scene.entered);
    ck_assert_int_ge(scene.total, 65536);
    ck_assert_int_le(scene.total, 65535 + 65536);
    ck_assert_int_lt(stream_memory_used(&scene), MEMORY_HTTP1);
    caller.hold = false;
    while (call.received.size < 65535)
        caller_step(&caller);
    mesh__http2_consume(call.stream, call.received.size);
    caller_finish(&caller);
    ck_assert_uint_eq(call.received.size, STREAM_LARGE);
    ck_assert(stream_is_right(call.received.data, call.received.size));
    call_free(&call);
    caller_close(&caller);
    stream_close(&scene);
}
END_TEST

START_TEST(test_untaken_holds_up_the_handler_http1)
{
    static const char *const requests[] = { "GET /stuck HTTP/1.1\r\nhost: x\r\n\r\n",
                                            "POST /stuck HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello" };
    struct stream_scene scene;
    struct answer answer;
    stream_open(&scene, "{\"workers\": 1}", _i & 1 ? MESH_STREAM_REQUESTS : 0);
    struct peer peer = peer_connect(mesh_server_address(scene.server));
    ck_assert(peer_say(&peer, requests[_i / 2]));
    await(&scene.entered);
    ck_assert_int_lt(stream_memory_used(&scene), MEMORY_HTTP1);
    ck_assert(peer_read(&peer, false, &answer));
    ck_assert_uint_eq(answer.size, STREAM_LARGE);
    ck_assert(stream_is_right(answer.body, answer.size));
    answer_free(&answer);
    peer_close(&peer);
    stream_close(&scene);
}
END_TEST

/* ---- 100-continue ---- */

START_TEST(test_continue_is_said_when_the_handler_reads)
{
    struct stream_scene scene;
    struct answer answer;
    char none;
    stream_open(&scene, "{\"workers\": 1}", MESH_STREAM_REQUESTS);
    struct peer peer = peer_connect(mesh_server_address(scene.server));
    ck_assert(peer_say(&peer, "POST /hold HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n"));
    await(&scene.entered);
    ck_assert_int_lt(recv(peer.fd, &none, 1, MSG_DONTWAIT), 0);
    sem_post(&scene.go);
    ck_assert(peer_read(&peer, true, &answer)); /* its response begins: afterwards it would be too late to say it */
    ck_assert_int_eq(answer.status, 100);
    answer_free(&answer);
    ck_assert(peer_say(&peer, "body"));
    ck_assert(peer_read(&peer, false, &answer));
    ck_assert_int_eq(answer.status, 200);
    ck_assert_str_eq(answer.body, "body");
    answer_free(&answer);
    ck_assert(peer_say(&peer, "POST /count HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n"));
    ck_assert(peer_read(&peer, true, &answer));
    ck_assert_int_eq(answer.status, 100);
    answer_free(&answer);
    ck_assert(peer_say(&peer, "body"));
    ck_assert(peer_read(&peer, false, &answer));
    ck_assert_str_eq(answer.body, "4 none");
    answer_free(&answer);
    peer_close(&peer);
    stream_close(&scene);
}
END_TEST

/* Without a word about it the peer keeps its body, so the connection cannot go on. */
START_TEST(test_continue_is_not_said_by_those_who_do_not_read)
{
    struct stream_scene scene;
    struct answer answer;
    stream_open(&scene, "{\"workers\": 1}", MESH_STREAM_REQUESTS);
    struct peer peer = peer_connect(mesh_server_address(scene.server));
    ck_assert(peer_say(&peer, "POST /quick HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n"));
    ck_assert(peer_read(&peer, false, &answer));
    ck_assert_int_eq(answer.status, 200);
    ck_assert_ptr_nonnull(strstr(answer.head, "connection: close"));
    ck_assert(peer_at_end(&peer));
    answer_free(&answer);
    peer_close(&peer);
    stream_close(&scene);
}
END_TEST

/* ---- requests of all sizes, with the flag and without ---- */

static const struct {
    const char *request, *body;
} shapes[] = {
    { "GET /count HTTP/1.1\r\nhost: x\r\n\r\n", "0 none" },
    { "POST /count HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n", "0 none" },
    { "POST /count HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello", "5 none" },
    { CHUNKED("/count") "\r\n0\r\n\r\n", "0 none" },
    { CHUNKED("/count") "\r\n5\r\nhello\r\n0\r\nX-END: no\r\n\r\n", "5 no" },
};

/* Two behind each other, so that each way leaves the connection right. */
START_TEST(test_shapes)
{
    static const char *const by_workers[] = { "{\"workers\": 1}", "{\"workers\": 3}" };
    struct stream_scene scene;
    struct answer answer;
    stream_open(&scene, by_workers[_i / 2], _i & 1 ? MESH_STREAM_REQUESTS : 0);
    struct peer peer = peer_connect(mesh_server_address(scene.server));
    for (size_t row = 0; row < sizeof(shapes) / sizeof(*shapes); row++) {
        ck_assert(peer_say(&peer, shapes[row].request) && peer_say(&peer, shapes[row].request));
        for (int i = 0; i < 2; i++) {
            ck_assert_msg(peer_read(&peer, false, &answer), "%s", shapes[row].request);
            ck_assert_str_eq(answer.body, shapes[row].body);
            answer_free(&answer);
        }
    }
    peer_close(&peer);
    stream_close(&scene);
    ck_assert_int_eq(scene.spans, 2 * (int)(sizeof(shapes) / sizeof(*shapes)));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server: bodies in pieces");
    TCase *all = tcase_create("all");
    tcase_add_loop_test(all, test_echo_http1, 0, 2);
    tcase_add_loop_test(all, test_echo_http2, 0, 2);
    tcase_add_test(all, test_unread_holds_up_the_peer_http2);
    tcase_add_test(all, test_unread_holds_up_the_peer_http1);
    tcase_add_test(all, test_waiting_requests_hold_up_nobody);
    tcase_add_loop_test(all, test_untaken_holds_up_the_handler_http2, 0, 2);
    tcase_add_loop_test(all, test_untaken_holds_up_the_handler_http1, 0, 4);
    tcase_add_test(all, test_continue_is_said_when_the_handler_reads);
    tcase_add_test(all, test_continue_is_not_said_by_those_who_do_not_read);
    tcase_add_loop_test(all, test_shapes, 0, 4);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
