/* SPDX-License-Identifier: Apache-2.0 */
/* channel_flow_test.c - HTTP/1.1 exchanges whose bodies come and go in pieces: chunks, trailers, early answers, and a
 * connection that is not read while nobody takes what came. */
#include "flow.h"

#include "net/socket.h"
#include "support/inverting_stream.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#define POST "POST / HTTP/1.1\r\nhost: s\r\n"
#define CHUNKED POST "transfer-encoding: chunked\r\n\r\n"
#define SIZED(n) POST "content-length: " #n "\r\n\r\n"
#define MIB ((size_t)1 << 20)

/* What the peer got, and the connection it came on. */
static struct {
    struct buf got;
    struct memory_connection *connection;
    uint32_t opened;
} told;

static void *told_opened(void *user, struct memory_connection *connection)
{
    (void)user;
    told.connection = connection;
    told.opened++;
    return connection;
}

static void told_received(void *state, struct memory_connection *connection, const char *bytes, size_t size)
{
    (void)state;
    (void)connection;
    ck_assert(mesh__buf_append(&told.got, bytes, size));
}

static void told_closed(void *state, struct memory_connection *connection)
{
    (void)state;
    if (told.connection == connection)
        told.connection = NULL;
}

static const struct memory_peer told_peer = { told_opened, told_received, told_closed };

static void setup(void)
{
    memset(&told, 0, sizeof(told));
    mesh__buf_init(&told.got, &mesh__mem_system, 4 * MIB);
    scene_listens = &told_peer;
    scene_setup();
}

static void teardown(void)
{
    scene_teardown();
    ck_assert_ptr_null(told.connection);
    mesh__buf_fini(&told.got);
}

static void say(const char *text)
{
    ck_assert_ptr_nonnull(told.connection);
    mesh__memory_send(told.connection, text, strlen(text), 0);
}

/* What came since the last time is this. */
static void expect_got(const char *text)
{
    ck_assert_str_eq(mesh__buf_text(&told.got), text);
    mesh__buf_clear(&told.got);
}

static void give(struct flow *flow, const char *text, bool last)
{
    flow_give(flow, text, last);
    mesh__exchange_resume(&flow->exchange);
    pass(0);
}

/* ---- requests ---- */

START_TEST(chunks_as_they_come)
{
    static const mesh_header trailers[] = { { "grpc-status", 11, "0", 1 }, { "x", 1, "", 0 } };
    struct flow flow = { .last_trailers = { trailers, 2 } };
    flow_begin(&flow, "POST", -1, false);
    pass(0);
    expect_got(CHUNKED);
    ck_assert_str_eq(flow.story, "rp");
    int asked = flow.asked;
    pass(10 * NANOS_MS);
    ck_assert_int_eq(flow.asked, asked); /* not asked again before it is resumed */
    mesh__exchange_resume(&flow.exchange);
    pass(0);
    ck_assert_int_eq(flow.asked, asked + 1);
    give(&flow, "hello", false);
    expect_got("5\r\nhello\r\n");
    give(&flow, "0123456789abcdef", false);
    expect_got("10\r\n0123456789abcdef\r\n");
    give(&flow, "", false); /* no bytes are no chunk: that would be the last one */
    expect_got("");
    ck_assert_str_eq(flow.story, "rp");
    give(&flow, "end", true);
    expect_got("3\r\nend\r\n0\r\ngrpc-status: 0\r\nx: \r\n\r\n");
    ck_assert_str_eq(flow.story, "rps");
    say(OK_RESPONSE);
    pass(0);
    ck_assert_str_eq(flow.story, "rpshbe");
    ck_assert_ptr_nonnull(told.connection); /* it can be used again */
    flow_over(&flow);
}
END_TEST

/* Whatever pieces the connection takes. */
START_TEST(chunks_bit_by_bit)
{
    static const mesh_header trailer = { "a", 1, "b", 1 };
    for (size_t step = 1; step < 12; step++) {
        struct flow flow = { .last_trailers = { &trailer, 1 } };
        flow_give(&flow, "hello", false);
        scene.write_room = 0;
        flow_begin(&flow, "POST", -1, false);
        for (int i = 0; i < 300; i++) {
            scene.write_room = step;
            pass(0);
            if (flow.ready == NULL && !flow.last) {
                flow_give(&flow, "x", true);
                mesh__exchange_resume(&flow.exchange);
            }
        }
        expect_got(CHUNKED "5\r\nhello\r\n1\r\nx\r\n0\r\na: b\r\n\r\n");
        ck_assert_str_eq(flow.story, "rps");
        scene.write_room = SIZE_MAX;
        say(OK_RESPONSE);
        pass(0);
        ck_assert_str_eq(flow.story, "rpshbe");
        flow_over(&flow);
    }
    ck_assert_uint_eq(told.opened, 1);
}
END_TEST

START_TEST(bodies_that_are_there_at_once)
{
    static const struct {
        const char *body;
        int64_t size;
        const char *expected, *story;
    } rows[] = {
        { "hello", -1, CHUNKED "5\r\nhello\r\n0\r\n\r\n", "rs" },
        { "", -1, CHUNKED "0\r\n\r\n", "rs" },
        { "hello", 5, SIZED(5) "hello", "rs" },
        { "", 0, SIZED(0), "rs" },
        { "hello", 4, "", "rf" },
        { "hello", 6, "", "rf" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct flow flow = { 0 };
        flow_give(&flow, rows[i].body, true);
        flow_begin(&flow, "POST", rows[i].size, false);
        pass(0);
        expect_got(rows[i].expected);
        ck_assert_str_eq(flow.story, rows[i].story);
        ck_assert_int_eq(flow.failure.status, rows[i].expected[0] ? MESH_OK : MESH_EINTERNAL);
        ck_assert_int_eq(flow.failure.unsent, rows[i].expected[0] == '\0');
        flow_over(&flow);
    }
}
END_TEST

START_TEST(a_size_that_is_known)
{
    struct flow flow = { 0 };
    flow_begin(&flow, "POST", 7, false);
    pass(0);
    give(&flow, "abc", false);
    give(&flow, "defg", false);
    expect_got(SIZED(7) "abcdefg");
    ck_assert_str_eq(flow.story, "rp");
    give(&flow, "", true);
    expect_got("");
    ck_assert_str_eq(flow.story, "rps");
    say(OK_RESPONSE);
    pass(0);
    ck_assert_str_eq(flow.story, "rpshbe");
    ck_assert_ptr_nonnull(told.connection);
    flow_over(&flow);
}
END_TEST

/* A body that breaks off is never taken for a whole one: neither the last chunk nor all bytes are sent. */
START_TEST(sources_that_break)
{
    static const int64_t sizes[] = { -1, 7 };
    for (int i = 0; i < 4; i++) {
        struct flow flow = { 0 };
        mesh__buf_clear(&told.got);
        flow_begin(&flow, "POST", sizes[i / 2], false);
        pass(0);
        give(&flow, "abc", false);
        flow.broken = i % 2 == 0;
        flow.cancel = !flow.broken;
        give(&flow, "defg", true);
        expect_got(i < 2 ? CHUNKED "3\r\nabc\r\n" : SIZED(7) "abc");
        ck_assert_str_eq(flow.story, flow.broken ? "rpf" : "rp");
        ck_assert(flow.cancel || (flow.failure.status == MESH_EINTERNAL && !flow.failure.unsent));
        ck_assert_ptr_null(told.connection);
        mesh__exchange_resume(&flow.exchange);
        mesh__exchange_consume(&flow.exchange, 1);
        flow_over(&flow);
    }
}
END_TEST

/* A source without end neither keeps the loop nor outruns the connection. */
START_TEST(much_to_send)
{
    static char bytes[2 << 20];
    struct flow flow = { .ready = bytes, .size = sizeof(bytes), .last = true };
    flow_begin(&flow, "POST", -1, false);
    mesh__loop_turn(&scene.loop, 0);
    ck_assert_uint_lt(told.got.size, sizeof(bytes));
    pass(0);
    ck_assert_uint_gt(told.got.size, sizeof(bytes));
    ck_assert_str_eq(flow.story, "rps");
    flow_over(&flow);
}
END_TEST

/* ---- responses ---- */

/* The peer answers while the request is still coming: it counts, and the connection goes. */
START_TEST(early_answer)
{
    for (int i = 0; i < 2; i++) {
        struct flow flow = { 0 };
        flow_begin(&flow, "POST", i ? -1 : 10, false);
        pass(0);
        give(&flow, "hello", false);
        say("HTTP/1.1 413 Content Too Large\r\ncontent-length: 2\r\n\r\nno");
        pass(0);
        ck_assert_str_eq(flow.story, "rphbe");
        ck_assert_ptr_null(told.connection);
        mesh__exchange_resume(&flow.exchange);
        pass(0);
        ck_assert_str_eq(flow.story, "rphbe");
        flow_over(&flow);
    }
}
END_TEST

START_TEST(both_ways_at_once)
{
    struct flow flow = { 0 };
    flow_begin(&flow, "POST", -1, false);
    pass(0);
    say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    pass(0);
    give(&flow, "ping", false);
    say("4\r\npong\r\n");
    pass(0);
    ck_assert_str_eq(flow.story, "rphb");
    give(&flow, "bye", true);
    expect_got(CHUNKED "4\r\nping\r\n3\r\nbye\r\n0\r\n\r\n");
    say("3\r\nbye\r\n0\r\nGrpc-Status: 0\r\nx: \r\n\r\n");
    pass(0);
    ck_assert_str_eq(flow.story, "rphbsbte");
    ck_assert_str_eq(flow.trailers, "[Grpc-Status: 0][x: ]");
    ck_assert_ptr_nonnull(told.connection);
    flow_over(&flow);
}
END_TEST

START_TEST(trailers_that_nobody_asks_for)
{
    struct talk talk = { 0 };
    ask(&talk, 0, "");
    pass(0);
    say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\na: b\r\n\r\n");
    pass(0);
    ck_assert_str_eq(talk.story, "rshe");
}
END_TEST

/* ---- credit ---- */

static void send_body(size_t size, size_t piece)
{
    static char bytes[MIB];
    char head[100];
    (void)snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\ncontent-length: %zu\r\n\r\n", size);
    say(head);
    for (size_t sent = 0; sent < size; sent += piece)
        mesh__memory_send(told.connection, bytes, piece, 0);
}

/* A TLS stream has taken from the socket more than it has given: here all there is, and no readiness tells of it. */
static struct {
    struct buf bytes;
} hoard;

static ssize_t hoard_read(struct stream *stream, void *bytes, size_t size)
{
    char space[4096];
    ssize_t got;
    while ((got = memory_stream_ops->read(stream, space, sizeof(space))) > 0)
        ck_assert(mesh__buf_append(&hoard.bytes, space, (size_t)got));
    if (hoard.bytes.size == 0)
        return got;
    size_t part = hoard.bytes.size < size ? hoard.bytes.size : size;
    memcpy(bytes, hoard.bytes.data, part);
    mesh__buf_consume(&hoard.bytes, part);
    return (ssize_t)part;
}

static bool hoard_has_input(const struct stream *stream)
{
    (void)stream;
    return hoard.bytes.size > 0;
}

/* So many turns that all that can come has come. */
static void settle(void)
{
    for (int i = 0; i < 300; i++)
        pass(0);
}

/* What has been told is never much more than what was consumed and 64 KiB; in the end all comes. */
static void check_credit(struct flow *flow, size_t size)
{
    uint64_t consumed = 0;
    settle();
    while (flow->received < size) {
        uint64_t held = flow->received - consumed;
        ck_assert_msg(held > HTTP1_UNREAD_MAX && held <= 2 * HTTP1_UNREAD_MAX, "%llu are held",
                      (unsigned long long)held);
        uint64_t before = flow->received;
        mesh__exchange_consume(&flow->exchange, held - HTTP1_UNREAD_MAX / 2);
        settle();
        ck_assert_uint_eq(flow->received, before); /* half of it may wait */
        mesh__exchange_consume(&flow->exchange, 1);
        settle();
        ck_assert_uint_gt(flow->received, before);
        consumed += held - HTTP1_UNREAD_MAX / 2 + 1;
    }
    ck_assert_uint_eq(flow->received, size);
    ck_assert_str_eq(flow->story, "rshbe");
    mesh__exchange_consume(&flow->exchange, 1000);
    ck_assert_ptr_nonnull(told.connection);
}

START_TEST(credit)
{
    static const size_t pieces[] = { 1000, 16384, 65536, MIB };
    struct flow flow = { 0 };
    flow_begin(&flow, "GET", 0, true);
    pass(0);
    size_t piece = pieces[_i % 4], size = MIB / piece * piece;
    bool hoards = _i >= 4;
    mesh__buf_init(&hoard.bytes, &mesh__mem_system, 2 * MIB);
    if (hoards) {
        narrow_ops.read = hoard_read;
        narrow_ops.has_buffered_input = hoard_has_input;
    }
    send_body(size, piece);
    check_credit(&flow, size);
    flow_over(&flow);
    mesh__buf_fini(&hoard.bytes);
}
END_TEST

START_TEST(credit_over_an_inverting_stream)
{
    struct inverting_world inverting;
    inverting_world_init(&inverting, &scene.world);
    scene.loop.world = &inverting.world;
    struct flow flow = { 0 };
    flow_begin(&flow, "GET", 0, true);
    pass(50 * NANOS_MS);
    send_body(MIB, 16384);
    settle(); /* it gives byte by byte at first */
    memset(flow.story, 0, sizeof(flow.story));
    (void)snprintf(flow.story, sizeof(flow.story), "rshb");
    check_credit(&flow, MIB);
    flow_over(&flow);
}
END_TEST

/* Without credit whatever comes is taken. */
START_TEST(no_credit)
{
    struct flow flow = { 0 };
    flow_begin(&flow, "GET", 0, false);
    pass(0);
    send_body(MIB, 16384);
    settle();
    ck_assert_uint_eq(flow.received, MIB);
    ck_assert_str_eq(flow.story, "rshbe");
    flow_over(&flow);
}
END_TEST

/* The next exchange on the connection begins with nothing held, and one that is held may be cancelled. */
START_TEST(credit_of_one_is_not_the_next_ones)
{
    for (int i = 0; i < 3; i++) {
        struct flow flow = { 0 };
        flow_begin(&flow, "GET", 0, true);
        pass(0);
        send_body(65536, 65536);
        pass(0);
        ck_assert_str_eq(flow.story, "rshbe");
        flow_over(&flow);
    }
    ck_assert_uint_eq(told.opened, 1);
    struct flow flow = { 0 };
    flow_begin(&flow, "GET", 0, true);
    pass(0);
    send_body(MIB, 65536);
    pass(0);
    ck_assert_str_eq(flow.story, "rshb");
    flow_over(&flow);
    ck_assert_ptr_null(told.connection);
}
END_TEST

/* ---- a socket that breaks while it is not read ---- */

static struct {
    int listener;
    struct address address;
} server;

static int socket_to_server(const struct world *world, struct loop *loop, const struct address *address,
                            struct stream **out)
{
    (void)world;
    (void)address;
    return mesh__socket_connect(loop, &server.address, out);
}

/* The loop neither spins on the error nor leaves the exchange alone with it. */
START_TEST(reset_while_it_is_not_read)
{
    static char bytes[200000];
    static const char head[] = "HTTP/1.1 200 OK\r\ncontent-length: 10000000\r\n\r\n";
    struct address any;
    ck_assert_int_eq(mesh__address_parse(VIEW_LITERAL("127.0.0.1:0"), true, &any), ADDRESS_OK);
    server.listener = mesh__socket_listen(&any, 5, &server.address);
    ck_assert_int_ge(server.listener, 0);
    scene.world.connect = socket_to_server;
    struct flow flow = { 0 };
    flow_begin(&flow, "GET", 0, true);
    int fd = -1;
    while (fd < 0 || flow.story[0] != 'r') {
        mesh__loop_turn(&scene.loop, 10 * NANOS_MS);
        fd = fd < 0 ? accept(server.listener, NULL, NULL) : fd;
    }
    ck_assert_int_eq(send(fd, head, strlen(head), MSG_NOSIGNAL), (ssize_t)strlen(head));
    for (size_t sent = 0; sent < sizeof(bytes);) {
        ssize_t put = send(fd, bytes + sent, sizeof(bytes) - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        sent += put > 0 ? (size_t)put : 0;
        mesh__loop_turn(&scene.loop, 0);
    }
    while (flow.received <= HTTP1_UNREAD_MAX)
        mesh__loop_turn(&scene.loop, 10 * NANOS_MS);
    uint64_t before = flow.received;
    mesh__loop_turn(&scene.loop, 0);
    ck_assert_uint_eq(flow.received, before);
    ck_assert_str_eq(flow.story, "rshb");
    struct linger linger = { 1, 0 };
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
    close(fd);
    while (flow.story[4] == '\0')
        mesh__loop_turn(&scene.loop, 10 * NANOS_MS);
    ck_assert_str_eq(flow.story, "rshbf");
    ck_assert_int_eq(flow.failure.status, MESH_PARTIAL_RESPONSE);
    close(server.listener);
    flow_over(&flow);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = { chunks_as_they_come,
                                   chunks_bit_by_bit,
                                   bodies_that_are_there_at_once,
                                   a_size_that_is_known,
                                   sources_that_break,
                                   much_to_send,
                                   early_answer,
                                   both_ways_at_once,
                                   trailers_that_nobody_asks_for,
                                   credit_over_an_inverting_stream,
                                   no_credit,
                                   credit_of_one_is_not_the_next_ones,
                                   reset_while_it_is_not_read };
    int failed = run_suite_in("flow", tests, sizeof(tests) / sizeof(tests[0]), setup, teardown);
    Suite *suite = suite_create("credit");
    TCase *tcase = tcase_create("credit");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, credit, 0, 8);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed += srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
