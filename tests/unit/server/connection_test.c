/* SPDX-License-Identifier: Apache-2.0 */
/* connection_test.c - connections over a stream of the test's: what one of them may take of a turn, and how one ends.
 */
#include "server/connection.h"

#include "net/world.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

#define FRAME_OF_NO_USE "\0\0\x5b\x20\0\0\0\0\0" /* 91 bytes of an unknown type */
#define PIECE 100
#define ENOUGH 1000 /* reads without an end to them */

/* What comes is in the buffer of the stream, whatever may come behind it. */
struct source {
    struct stream stream;
    char bytes[40000];
    size_t size; /* of each read */
    int reads;
    int pieces; /* so many come; then `last` */
    ssize_t last;
    bool closed;
};

static struct source source;
static mesh_server *server;
static mesh_exchange *handled;

static ssize_t source_read(struct stream *stream, void *bytes, size_t size)
{
    (void)stream;
    if (source.reads >= source.pieces)
        return source.last;
    source.reads++;
    ck_assert_uint_ge(size, source.size);
    memcpy(bytes, source.bytes, source.size);
    return (ssize_t)source.size;
}

static ssize_t source_write(struct stream *stream, const struct iovec *vector, int count)
{
    (void)stream;
    ck_assert_int_eq(count, 1);
    return (ssize_t)vector->iov_len;
}

static uint32_t source_wants(const struct stream *stream, uint32_t interest)
{
    (void)stream;
    return interest;
}

static void source_arm(struct stream *stream, uint32_t events)
{
    (void)stream;
    (void)events;
}

static bool source_has_input(const struct stream *stream)
{
    (void)stream;
    return source.reads < source.pieces || source.last == 0;
}

static int source_finish(struct stream *stream)
{
    (void)stream;
    return 0;
}

static void source_close(struct stream *stream)
{
    (void)stream;
    source.closed = true;
}

static const struct stream_ops source_ops = { .read = source_read,
                                              .write = source_write,
                                              .wants = source_wants,
                                              .arm = source_arm,
                                              .has_buffered_input = source_has_input,
                                              .finish = source_finish,
                                              .close = source_close };

static void keep(mesh_exchange *exchange, void *user)
{
    (void)user;
    handled = exchange;
}

/* Only what a connection looks at; there is no inbox. */
static void setup(void)
{
    static const struct server_config settings = { .name = "test",
                                                   .max_body = 1 << 20,
                                                   .max_header = 1000,
                                                   .max_headers = 10,
                                                   .max_streams = 10,
                                                   .idle_timeout = NANOS_S,
                                                   .request_timeout = NANOS_S };
    mesh_options options = MESH_OPTIONS_INIT;
    server = calloc(1, sizeof(*server));
    ck_assert_ptr_nonnull(server);
    mesh__refs_init(&server->refs);
    server->mem = mesh__mem_system;
    server->settings = &settings;
    server->handler = keep;
    server->streams = true;
    server->synced.gone = true;
    server->own.listener.fd = -1;
    ck_assert_int_eq(mesh__loop_init(&server->own.loop, &server->mem, &mesh__world_real), 0);
    mesh__list_init(&server->own.connections);
    mesh__list_init(&server->own.closed);
    mesh__list_init(&server->own.dirty);
    mesh__http2_pool_init(&server->own.pool, &server->mem, 1 << 20);
    mesh__buf_init(&server->own.frames, &server->mem, 1 << 20);
    server->outbox = mesh__outbox_new(&server->mem, &options, NULL, NULL);
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->changed, NULL);
    mesh__rng_init(&server->own.rng, 1);
    source = (struct source){ .stream = { .ops = &source_ops }, .size = PIECE, .pieces = ENOUGH, .last = -EAGAIN };
}

static void teardown(void)
{
    mesh__loop_fini(&server->own.loop);
    mesh__buf_fini(&server->own.frames);
    mesh__http2_pool_fini(&server->own.pool);
    mesh__outbox_free(server->outbox);
    ck_assert_uint_eq(server->refs.count, 1);
    mesh__server_unref(server);
}

static struct connection *open_connection(void)
{
    struct connection *connection = mesh__zalloc(&server->mem, sizeof(*connection));
    ck_assert_ptr_nonnull(connection);
    connection->server = server;
    connection->stream = &source.stream;
    connection->fd = -1;
    connection->timer.fire = mesh__connection_timeout;
    connection->again.run = mesh__connection_read_on;
    mesh__list_init(&connection->http2.coming);
    mesh__list_init(&connection->http2.serving);
    mesh__list_init(&connection->http2.going);
    mesh__buf_init(&connection->http1.in, &server->mem, 1 << 20);
    mesh__buf_init(&connection->out, &server->mem, 1 << 20);
    connection->http1.reader = mesh__http1_side_reader(connection);
    connection->peer = mesh__peer_new(&server->mem, "", false, 0, "");
    mesh__list_push(&server->own.connections, &connection->link);
    server->own.connection_count = 1;
    return connection;
}

static void close_connection(struct connection *connection)
{
    mesh__connection_close(connection);
    ck_assert(source.closed);
    mesh__connection_bury(server);
}

/* ---- what one connection may take of a turn ---- */

static void begin_http1(struct connection *connection, const char *head)
{
    source.pieces = 1;
    source.size = strlen(head);
    memcpy(source.bytes, head, source.size);
    mesh__http1_side_begin(connection, false);
    ck_assert_int_eq(source.reads, 1);
    source.reads = 0;
}

static void collect(struct connection *connection)
{
    server->streams = false;
    begin_http1(connection, "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 900000\r\n\r\n");
}

static void share(struct connection *connection)
{
    static const char hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";
    source.pieces = 0;
    mesh__http2_side_begin(connection, hello, sizeof(hello)); /* with the NUL the stream's id is whole */
    mesh__connection_flush(server);
    memcpy(source.bytes, FRAME_OF_NO_USE, sizeof(FRAME_OF_NO_USE));
}

static void linger(struct connection *connection)
{
    source.pieces = 0;
    mesh__connection_linger(connection);
}

static void (*const begin[])(struct connection *) = { collect, share, linger };

START_TEST(test_peer_that_always_has_more)
{
    struct connection *connection = open_connection();
    struct loop *loop = &server->own.loop;
    begin[_i](connection);
    source.pieces = ENOUGH;
    source.size = PIECE;
    mesh__connection_ready(connection, LOOP_READ);
    mesh__connection_flush(server);
    ck_assert_int_eq(source.reads, READS_PER_TURN);
    for (int turn = 2; turn < 5; turn++) {
        ck_assert_int_eq(mesh__loop_next(loop), 0);
        mesh__loop_turn(loop, NANOS_NEVER); /* nothing else wakes it */
        mesh__connection_flush(server);
        ck_assert_int_eq(source.reads, turn * READS_PER_TURN);
    }
    ck_assert(!source.closed);
    close_connection(connection);
    ck_assert_int_ne(mesh__loop_next(loop), 0);
}
END_TEST

/* A connection that is broken is not read on. */
START_TEST(test_peer_that_breaks_the_protocol)
{
    struct connection *connection = open_connection();
    source.pieces = 0;
    mesh__http2_side_begin(connection, NULL, 0);
    source.pieces = ENOUGH; /* of what is no preface */
    mesh__connection_ready(connection, LOOP_READ);
    ck_assert_int_eq(source.reads, 1);
    close_connection(connection);
}
END_TEST

/* ---- a request that is whole ---- */

/* Behind it the peer's half is closed: that is no reason not to answer it. */
START_TEST(test_nothing_is_read_behind_a_request)
{
    struct connection *connection = open_connection();
    char bytes[10000];
    size_t got = 1;
    begin_http1(connection, "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 80000\r\n\r\n");
    source.pieces = 2;
    source.size = 40000;
    source.last = 0;
    mesh__connection_ready(connection, LOOP_READ);
    ck_assert(connection->http1.held && !handled->coming);
    while (got > 0)
        ck_assert_int_eq(mesh_exchange_read(handled, bytes, sizeof(bytes), 0, &got), MESH_OK);
    mesh__connection_follow(handled, POST_NEWS);
    ck_assert(!connection->http1.held);
    ck_assert_int_eq(connection->state, CONNECTION_STREAMING);
    close_connection(connection);
    mesh_exchange_drop(handled);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("connection");
    TCase *tcase = tcase_create("all");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, test_peer_that_always_has_more, 0, sizeof(begin) / sizeof(begin[0]));
    tcase_add_test(tcase, test_peer_that_breaks_the_protocol);
    tcase_add_test(tcase, test_nothing_is_read_behind_a_request);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
