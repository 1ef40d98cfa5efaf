/* SPDX-License-Identifier: Apache-2.0 */
/* scene.h - a loop whose clock the test moves, a network in memory, a group of pools with limits, and exchanges that
 * write down what they are told. */
#ifndef TEST_NET_SCENE_H
#define TEST_NET_SCENE_H

#include "net/memory.h"
#include "net/pool.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OK_RESPONSE "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
#define HEAD "GET / HTTP/1.1\r\nhost: s\r\n\r\n"
#define HEAD_WITH(size) "GET / HTTP/1.1\r\nhost: s\r\ncontent-length: " #size "\r\n\r\n"

enum { LINES = 64 };

/* One connection as its peer has it. */
struct line {
    struct memory_connection *connection; /* NULL once the client has closed */
    size_t received;
    uint32_t answered;
};

static struct {
    mesh_nanos now;
    struct world clock, world;
    struct loop loop;
    struct memory_network *network;
    struct pool_group group;
    struct http2_desk http2;
    struct pool_counters counters[2];
    struct pool *pools[2];                 /* "10.0.0.1:80" and "10.0.0.2:80" */
    uint32_t connections, connections_max; /* places taken */
    uint32_t pending, pending_max;
    bool wanted_elsewhere;
    struct line lines[LINES];
    uint32_t line_count;
    const char *answer;   /* to each head that comes; NULL: none */
    int connect_error[2]; /* of a pool's address: connecting fails at once */
    int connected_error;  /* it fails when the network answers */
    int turns;            /* in which all is done that can be done at a time */
    size_t write_room;    /* bytes that streams take; then they say EAGAIN */
    int write_error;      /* and this instead, once that is not 0 */
} scene;

static mesh_nanos scene_now(const struct world *world)
{
    (void)world;
    return scene.now;
}

static bool scene_take_connection(void *user)
{
    (void)user;
    if (scene.connections >= scene.connections_max)
        return false;
    scene.connections++;
    return true;
}

static void scene_give_connection(void *user)
{
    (void)user;
    ck_assert_uint_gt(scene.connections, 0);
    scene.connections--;
}

static bool scene_take_pending(void *user)
{
    (void)user;
    if (scene.pending >= scene.pending_max)
        return false;
    scene.pending++;
    return true;
}

static void scene_give_pending(void *user)
{
    (void)user;
    ck_assert_uint_gt(scene.pending, 0);
    scene.pending--;
}

static bool scene_wanted_elsewhere(void *user)
{
    (void)user;
    return scene.wanted_elsewhere;
}

static const struct pool_hooks scene_hooks = { .take_connection = scene_take_connection,
                                               .give_connection = scene_give_connection,
                                               .take_pending = scene_take_pending,
                                               .give_pending = scene_give_pending,
                                               .wanted_elsewhere = scene_wanted_elsewhere };

static void *line_opened(void *user, struct memory_connection *connection)
{
    (void)user;
    ck_assert_uint_lt(scene.line_count, LINES);
    struct line *line = &scene.lines[scene.line_count++];
    line->connection = connection;
    return line;
}

static void line_received(void *state, struct memory_connection *connection, const char *bytes, size_t size)
{
    struct line *line = state;
    line->received += size;
    if (scene.answer == NULL || size < 4 || memcmp(bytes + size - 4, "\r\n\r\n", 4) != 0)
        return;
    line->answered++;
    mesh__memory_send(connection, scene.answer, strlen(scene.answer), NANOS_MS);
}

static void line_closed(void *state, struct memory_connection *connection)
{
    (void)connection;
    ((struct line *)state)->connection = NULL;
}

static const struct memory_peer scene_peer = { line_opened, line_received, line_closed };

static const struct memory_peer *scene_listens = &scene_peer; /* a test file may set another one first */

static const struct stream_ops *memory_stream_ops;
static struct stream_ops narrow_ops;

static ssize_t narrow_write(struct stream *stream, const struct iovec *vector, int count)
{
    if (scene.write_room == 0)
        return scene.write_error ? -scene.write_error : -EAGAIN;
    struct iovec part = vector[0];
    part.iov_len = part.iov_len < scene.write_room ? part.iov_len : scene.write_room;
    (void)count;
    ssize_t put = memory_stream_ops->write(stream, &part, 1);
    if (put > 0)
        scene.write_room -= (size_t)put;
    return put;
}

static int narrow_connected(struct stream *stream)
{
    int error = memory_stream_ops->connected(stream);
    return error == 0 ? -scene.connected_error : error;
}

static int scene_connect(const struct world *world, struct loop *loop, const struct address *address,
                         struct stream **out)
{
    const struct world *below = mesh__memory_world(scene.network);
    (void)world;
    for (int i = 0; i < 2; i++)
        if (scene.connect_error[i] && strcmp(address->text, scene.pools[i]->address.text) == 0)
            return -scene.connect_error[i];
    int error = below->connect(below, loop, address, out);
    if (error)
        return error;
    memory_stream_ops = (*out)->ops;
    narrow_ops = *memory_stream_ops;
    narrow_ops.write = narrow_write;
    narrow_ops.connected = narrow_connected;
    (*out)->ops = &narrow_ops;
    return 0;
}

static void scene_setup(void)
{
    memset(&scene, 0, sizeof(scene));
    scene.now = NANOS_S;
    scene.connections_max = scene.pending_max = 1000;
    scene.turns = 4;
    scene.answer = OK_RESPONSE;
    scene.write_room = SIZE_MAX;
    scene.clock = mesh__world_real;
    scene.clock.now = scene_now;
    scene.network = mesh__memory_new(&scene.clock);
    ck_assert_ptr_nonnull(scene.network);
    scene.world = *mesh__memory_world(scene.network);
    scene.world.connect = scene_connect;
    scene.world.now = scene_now;
    ck_assert_int_eq(mesh__loop_init(&scene.loop, &mesh__mem_system, &scene.world), 0);
    struct pool_policy policy = { .connect_timeout = 5 * NANOS_MS,
                                  .idle_timeout = 100 * NANOS_MS,
                                  .ping_interval = 30 * NANOS_MS,
                                  .ping_timeout = 10 * NANOS_MS,
                                  .limits = { 65536, 100, 65536 } };
    mesh__pool_group_init(&scene.group, &scene.loop, &scene_hooks, NULL, &policy);
    mesh__http2_desk_init(&scene.http2, &mesh__mem_system);
    scene.group.http2 = &scene.http2;
    for (int i = 0; i < 2; i++) {
        char text[32];
        struct address address;
        (void)snprintf(text, sizeof(text), "10.0.0.%d:80", i + 1);
        ck_assert_int_eq(mesh__address_parse(mesh__view_of(text), false, &address), ADDRESS_OK);
        ck_assert(mesh__memory_listen(scene.network, text, scene_listens, NULL));
        scene.pools[i] = mesh__pool_new(&scene.group, &address, &scene.counters[i]);
        ck_assert_ptr_nonnull(scene.pools[i]);
    }
}

/* Whatever a test has left: everything is given back. */
static void scene_teardown(void)
{
    for (int i = 0; i < 2; i++)
        if (scene.pools[i])
            mesh__pool_free(scene.pools[i]);
    ck_assert_uint_eq(scene.connections, 0);
    ck_assert_uint_eq(scene.pending, 0);
    ck_assert_uint_eq(scene.group.connections, 0);
    for (uint32_t i = 0; i < scene.line_count; i++)
        ck_assert_msg(scene.lines[i].connection == NULL, "connection %u was not closed", i);
    ck_assert_uint_eq(scene.loop.timers.size, 0);
    ck_assert_uint_eq(scene.http2.pool.used_bytes, 0);
    mesh__http2_desk_fini(&scene.http2);
    mesh__loop_fini(&scene.loop);
    mesh__memory_free(scene.network);
}

/* Lets so much time pass, stopping at each timer. */
static void pass(mesh_nanos time)
{
    mesh_nanos end = scene.now + time;
    for (;;) {
        for (int i = 0; i < scene.turns; i++)
            mesh__loop_turn(&scene.loop, 0);
        struct timer *first = mesh__heap_first(&scene.loop.timers);
        if (first == NULL || first->due > end)
            break;
        scene.now = first->due > scene.now ? first->due : scene.now;
    }
    scene.now = end;
    for (int i = 0; i < scene.turns; i++)
        mesh__loop_turn(&scene.loop, 0);
}

/* An exchange and what it was told: r(eady), p(art sent), s(ent), h(ead), b(ody), e(nd), f(ailed). */
struct talk {
    struct exchange exchange;
    struct buf head; /* in `space`, and no larger */
    char space[256];
    char story[128];
    char cancel_on; /* cancels itself when told this */
    bool refuse_head;
    int32_t http_status;
    struct failure failure;
};

static void talk_note(struct exchange *exchange, char letter)
{
    struct talk *talk = CONTAINER_OF(exchange, struct talk, exchange);
    size_t size = strlen(talk->story);
    ck_assert_uint_lt(size, sizeof(talk->story) - 1);
    talk->story[size] = letter;
    if (talk->cancel_on == letter) {
        talk->story[size + 1] = '!';
        mesh__exchange_cancel(exchange);
    }
}

static void talk_ready(struct exchange *exchange)
{
    talk_note(exchange, 'r');
}

static void talk_sent(struct exchange *exchange, enum sent sent)
{
    talk_note(exchange, sent == SENT_ALL ? 's' : 'p');
}

static bool talk_head(struct exchange *exchange, const struct http1_head *head)
{
    struct talk *talk = CONTAINER_OF(exchange, struct talk, exchange);
    talk->http_status = head->status;
    talk_note(exchange, 'h');
    return !talk->refuse_head;
}

static bool talk_body(struct exchange *exchange, struct view bytes)
{
    (void)bytes;
    talk_note(exchange, 'b');
    return true;
}

static void talk_end(struct exchange *exchange)
{
    ck_assert_ptr_null(exchange->channel); /* it has left its channel before it is told */
    talk_note(exchange, 'e');
}

static void talk_failed(struct exchange *exchange, const struct failure *failure)
{
    struct talk *talk = CONTAINER_OF(exchange, struct talk, exchange);
    ck_assert_ptr_null(exchange->channel);
    talk->failure = *failure;
    talk_note(exchange, 'f');
}

static const struct exchange_events talk_events = {
    .ready = talk_ready, .sent = talk_sent, .head = talk_head, .body = talk_body, .end = talk_end, .failed = talk_failed
};

/* Begins an exchange in a pool. */
static inline void ask(struct talk *talk, int pool, const char *body)
{
    talk->head = (struct buf){
        .mem = &mesh__mem_system, .data = talk->space, .capacity = sizeof(talk->space), .cap = sizeof(talk->space)
    };
    talk->exchange = (struct exchange){ .events = &talk_events,
                                        .method = VIEW_LITERAL("GET"),
                                        .path = VIEW_LITERAL("/"),
                                        .authority = VIEW_LITERAL("s"),
                                        .body.bytes = mesh__view_of(body),
                                        .head = &talk->head,
                                        .limits = { 65536, 100, 65536 } };
    memset(talk->story, 0, sizeof(talk->story));
    mesh__pool_acquire(scene.pools[pool], &talk->exchange);
}

static int run_suite_in(const char *name, const TTest *const *tests, size_t count, SFun setup, SFun teardown)
{
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < count; i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}

static inline int run_suite(const char *name, const TTest *const *tests, size_t count)
{
    return run_suite_in(name, tests, count, scene_setup, scene_teardown);
}

#endif
