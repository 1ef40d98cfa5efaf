/* SPDX-License-Identifier: Apache-2.0 */
/* channel_http2_test.c - many exchanges on one connection, through what its peer may do to them: over a network in
 * memory and in virtual time, against our own server's codec and against frames made by hand. */
#include "scene.h"

#include "wire/http2.h"

enum { DATA = 0, HEADERS = 1, RST_STREAM = 3, SETTINGS = 4, PING = 6, GOAWAY = 7 };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4 };
enum { HELD = 200 };

/* One connection at its peer. */
struct end {
    struct memory_connection *connection; /* NULL once the client has closed */
    struct http2_conn *conn;              /* NULL: by hand */
    struct http2_stream *held[HELD];      /* requests that wait for an answer */
    uint32_t held_count, answered, cancelled;
    uint32_t reads;      /* how often bytes came */
    uint32_t counts[16]; /* frames by type, of what came */
    size_t skip;         /* of a frame whose rest is still to come */
    char head[9];
    size_t head_size;
    size_t preface;
    bool http1;
};

static struct {
    struct end ends[LINES];
    uint32_t count;
    uint32_t max_streams;
    bool by_hand, hold;
    struct http2_pool pool;
} peer;

static bool answer(struct end *end, struct http2_stream *stream)
{
    const struct http2_response response = { .status = 200, .body.bytes = VIEW_LITERAL("ok") };
    end->answered++;
    return mesh__http2_respond(stream, &response);
}

static bool peer_head(void *user, struct http2_stream *stream, const struct http1_head *head)
{
    struct end *end = user;
    (void)head;
    ck_assert_uint_lt(end->held_count, HELD);
    if (peer.hold)
        end->held[end->held_count++] = stream;
    return true;
}

static bool peer_body(void *user, struct http2_stream *stream, struct view bytes)
{
    (void)user;
    mesh__http2_consume(stream, bytes.size);
    return true;
}

static bool peer_trailers(void *user, struct http2_stream *stream, const mesh_header *headers, size_t count)
{
    (void)user;
    (void)stream;
    (void)headers;
    (void)count;
    return true;
}

static bool peer_end(void *user, struct http2_stream *stream)
{
    return peer.hold || answer(user, stream);
}

static void peer_stream_closed(void *user, struct http2_stream *stream, const struct http2_closed *closed)
{
    struct end *end = user;
    end->cancelled += closed->status != MESH_OK;
    for (uint32_t i = 0; i < end->held_count; i++)
        if (end->held[i] == stream)
            end->held[i] = NULL;
}

static void peer_goaway(void *user, const struct http2_goaway *goaway)
{
    (void)user;
    (void)goaway;
}

static void peer_settings(void *user, uint32_t max_streams)
{
    (void)user;
    (void)max_streams;
}

static void peer_pong(void *user)
{
    (void)user;
}

static const struct http2_events peer_events = { .head = peer_head,
                                                 .body = peer_body,
                                                 .trailers = peer_trailers,
                                                 .end = peer_end,
                                                 .closed = peer_stream_closed,
                                                 .settings = peer_settings,
                                                 .goaway = peer_goaway,
                                                 .pong = peer_pong };

/* Sends what the codec has to say. */
static void peer_flush(struct end *end)
{
    struct buf out;
    mesh__buf_init(&out, &mesh__mem_system, 1 << 24);
    while (mesh__http2_wants_write(end->conn)) {
        size_t before = out.size;
        (void)mesh__http2_write(end->conn, &out, SIZE_MAX);
        if (out.size == before)
            break;
    }
    if (out.size > 0)
        mesh__memory_send(end->connection, out.data, out.size, NANOS_MS);
    mesh__buf_fini(&out);
}

static void *end_opened(void *user, struct memory_connection *connection)
{
    (void)user;
    ck_assert_uint_lt(peer.count, LINES);
    struct end *end = &peer.ends[peer.count++];
    *end = (struct end){ .connection = connection };
    const struct http2_config config = { .role = HTTP2_SERVER,
                                         .limits = { 65536, 100, 1 << 20 },
                                         .max_streams = peer.max_streams };
    if (!peer.by_hand)
        end->conn = mesh__http2_new(&peer.pool, &config, &peer_events, end);
    return end;
}

/* Counts the frames that came. */
static void count_frames(struct end *end, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (end->preface < 24) {
            end->preface++;
        } else if (end->skip > 0) {
            end->skip--;
        } else {
            end->head[end->head_size++] = bytes[i];
            if (end->head_size < 9)
                continue;
            const unsigned char *head = (const unsigned char *)end->head;
            end->skip = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
            end->counts[head[3] & 15]++;
            end->head_size = 0;
        }
    }
}

static void end_received(void *state, struct memory_connection *connection, const char *bytes, size_t size)
{
    struct end *end = state;
    if (end->reads++ == 0 && memcmp(bytes, "GET", 3) == 0)
        end->http1 = true;
    if (end->http1) {
        mesh__memory_send(connection, OK_RESPONSE, strlen(OK_RESPONSE), NANOS_MS);
        return;
    }
    count_frames(end, bytes, size);
    if (end->conn == NULL)
        return;
    (void)mesh__http2_read(end->conn, bytes, size);
    peer_flush(end);
}

static void end_closed(void *state, struct memory_connection *connection)
{
    struct end *end = state;
    (void)connection;
    end->connection = NULL;
    mesh__http2_free(end->conn);
    end->conn = NULL;
}

static const struct memory_peer http2_peer = { end_opened, end_received, end_closed };

static void setup(void)
{
    memset(&peer, 0, sizeof(peer));
    peer.max_streams = 100;
    mesh__http2_pool_init(&peer.pool, &mesh__mem_system, 1 << 20);
    scene_listens = &http2_peer;
    scene_setup();
    scene.group.protocol = POOL_HTTP2;
}

static void teardown(void)
{
    scene_teardown();
    for (uint32_t i = 0; i < peer.count; i++)
        ck_assert_msg(peer.ends[i].connection == NULL, "connection %u was not closed", i);
    mesh__http2_pool_fini(&peer.pool);
}

/* A frame by hand, from the last connection's peer. */
static void say_frame(int type, int flags, uint32_t id, const char *payload, size_t size)
{
    char bytes[256] = { 0, (char)(size >> 8), (char)size, (char)type, (char)flags, 0, 0, (char)(id >> 8), (char)id };
    memcpy(bytes + 9, payload, size);
    mesh__memory_send(peer.ends[peer.count - 1].connection, bytes, 9 + size, 0);
}

static void say_reset(uint32_t id, uint32_t code)
{
    say_frame(RST_STREAM, 0, id, (const char[]){ 0, 0, 0, (char)code }, 4);
}

static void say_goaway(uint32_t last, uint32_t code)
{
    say_frame(GOAWAY, 0, 0, (const char[]){ 0, 0, 0, (char)last, 0, 0, 0, (char)code }, 8);
}

static void say_status_200(uint32_t id, bool end)
{
    say_frame(HEADERS, END_HEADERS | (end ? END_STREAM : 0), id, "\x88", 1);
}

static void pass_a_little(void)
{
    pass(4 * NANOS_MS);
}

/* So many exchanges begun on a connection whose peer is a hand's. */
static void ask_by_hand(struct talk *talks, int count)
{
    peer.by_hand = true;
    for (int i = 0; i < count; i++)
        ask(&talks[i], 0, "");
    pass(0);
    say_frame(SETTINGS, 0, 0, "", 0);
    pass(0);
    for (int i = 0; i < count; i++)
        ck_assert_str_eq(talks[i].story, "rs");
}

START_TEST(exchanges_share_a_connection)
{
    struct talk talks[30] = { 0 };
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 30; i++)
            ask(&talks[i], 0, i % 2 ? "a body" : "");
        pass_a_little();
        for (int i = 0; i < 30; i++) {
            ck_assert_msg(strcmp(talks[i].story, "rshbe") == 0, "round %d, %d: %s", round, i, talks[i].story);
            ck_assert_int_eq(talks[i].http_status, 200);
            ck_assert_int_eq(talks[i].exchange.reused, round > 0 || i > 0);
        }
    }
    ck_assert_uint_eq(peer.count, 1);
    ck_assert_uint_eq(peer.ends[0].answered, 90);
    ck_assert_uint_eq(scene.counters[0].connects, 1);
    ck_assert_uint_eq(scene.pending, 0);
}
END_TEST

START_TEST(a_turn_is_one_send)
{
    struct talk talks[30] = { 0 };
    ask(&talks[0], 0, "");
    pass_a_little();
    uint32_t before = peer.ends[0].reads;
    for (int i = 0; i < 30; i++)
        ask(&talks[i], 0, "");
    pass(0);
    ck_assert_str_eq(talks[29].story, "rs");
    ck_assert_uint_eq(peer.ends[0].reads, before + 1);
    pass_a_little();
    ck_assert_str_eq(talks[29].story, "rshbe");
}
END_TEST

/* Row 66: the peer's limit. */
START_TEST(no_more_streams_than_the_peer_takes)
{
    struct talk first = { 0 }, talks[6] = { 0 };
    peer.max_streams = 1;
    ask(&first, 0, "");
    pass_a_little();
    scene.connections_max = 2;
    for (int i = 0; i < 6; i++)
        ask(&talks[i], 0, "");
    ck_assert_uint_eq(scene.pending, 5);
    for (int i = 0; i < 10; i++)
        pass_a_little();
    for (int i = 0; i < 6; i++)
        ck_assert_msg(strcmp(talks[i].story, "rshbe") == 0, "%d: %s", i, talks[i].story);
    ck_assert_uint_eq(peer.count, 2);
    ck_assert_uint_eq(peer.ends[0].cancelled + peer.ends[1].cancelled, 0);
    ck_assert_uint_eq(scene.pending, 0);
}
END_TEST

START_TEST(a_full_connection_and_no_place_for_another)
{
    struct talk first = { 0 }, talks[4] = { 0 };
    peer.max_streams = 2;
    scene.connections_max = 1;
    ask(&first, 0, "");
    pass_a_little();
    peer.hold = true;
    for (int i = 0; i < 4; i++)
        ask(&talks[i], 0, "");
    pass_a_little();
    ck_assert_str_eq(talks[1].story, "rs");
    ck_assert_str_eq(talks[2].story, "");
    mesh__exchange_cancel(&talks[0].exchange); /* the place of a stream that was reset is free once that is written */
    pass_a_little();
    ck_assert_str_eq(talks[2].story, "rs");
    ck_assert_str_eq(talks[3].story, "");
    (void)answer(&peer.ends[0], peer.ends[0].held[1]);
    peer_flush(&peer.ends[0]);
    pass_a_little();
    ck_assert_str_eq(talks[1].story, "rshbe");
    ck_assert_str_eq(talks[3].story, "rs");
    ck_assert_uint_eq(peer.count, 1);
    mesh__exchange_cancel(&talks[2].exchange);
    mesh__exchange_cancel(&talks[3].exchange);
    pass_a_little();
    ck_assert_uint_eq(scene.connections, 1);
}
END_TEST

/* Rows 63 and 64: what was above the last stream is unsent; what was not goes on; nothing new begins there. */
START_TEST(goaway_with_exchanges_in_flight)
{
    for (uint32_t code = 0; code < 2; code++) {
        struct talk talks[3] = { 0 }, next = { 0 };
        ask_by_hand(talks, 3);
        say_goaway(1, code);
        pass(0);
        ck_assert_str_eq(talks[0].story, "rs");
        for (int i = 1; i < 3; i++) {
            ck_assert_str_eq(talks[i].story, "rsf");
            ck_assert_int_eq(talks[i].failure.status, MESH_REFUSED);
            ck_assert(talks[i].failure.unsent);
            ck_assert_int_eq(talks[i].failure.stale, code == 0);
        }
        struct end *old = &peer.ends[peer.count - 1];
        uint32_t before = peer.count;
        ask(&next, 0, "");
        pass(0);
        ck_assert_uint_eq(peer.count, before + 1);
        mesh__exchange_cancel(&next.exchange);
        ck_assert_ptr_nonnull(old->connection);
        mesh__memory_send(old->connection, "\0\0\1\1\5\0\0\0\1\x88", 10, 0);
        pass(0);
        ck_assert_str_eq(talks[0].story, "rshe");
        ck_assert_ptr_null(old->connection); /* empty: it goes */
        mesh__pool_free(scene.pools[0]);
        scene.pools[0] = NULL;
        if (code == 1)
            return;
        struct address address;
        ck_assert_int_eq(mesh__address_parse(VIEW_LITERAL("10.0.0.1:80"), false, &address), ADDRESS_OK);
        scene.pools[0] = mesh__pool_new(&scene.group, &address, &scene.counters[0]);
    }
}
END_TEST

/* An idle connection's GOAWAY that has not been read yet is read before its use. */
START_TEST(goaway_on_an_idle_connection)
{
    struct talk talk = { 0 };
    ask(&talk, 0, "");
    pass_a_little();
    mesh__http2_drain(peer.ends[0].conn);
    peer_flush(&peer.ends[0]);
    pass_a_little();
    ck_assert_ptr_null(peer.ends[0].connection);
    ask(&talk, 0, "");
    pass_a_little();
    ck_assert_str_eq(talk.story, "rshbe");
    ck_assert_uint_eq(peer.count, 2);
}
END_TEST

START_TEST(how_streams_are_reset)
{
    static const struct {
        uint32_t code;
        bool headed;
        mesh_status status;
        bool unsent;
        const char *story;
    } rows[] = {
        { HTTP2_REFUSED_STREAM, false, MESH_REFUSED, true, "rsf" },
        { HTTP2_CANCEL, false, MESH_RESET, false, "rsf" },
        { HTTP2_INTERNAL_ERROR, false, MESH_RESET, false, "rsf" },
        { HTTP2_NO_ERROR, false, MESH_RESET, false, "rsf" },
        { HTTP2_ENHANCE_YOUR_CALM, false, MESH_RESET, false, "rsf" },
        { HTTP2_CANCEL, true, MESH_PARTIAL_RESPONSE, false, "rshf" },
        { HTTP2_REFUSED_STREAM, true, MESH_PARTIAL_RESPONSE, false, "rshf" },
    };
    for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct talk talk = { 0 };
        peer.by_hand = true;
        ask(&talk, 0, "");
        pass(0);
        if (i == 0)
            say_frame(SETTINGS, 0, 0, "", 0);
        if (rows[i].headed)
            say_status_200(2 * i + 1, false);
        say_reset(2 * i + 1, rows[i].code);
        pass(0);
        ck_assert_msg(strcmp(talk.story, rows[i].story) == 0, "row %u: %s", i, talk.story);
        ck_assert_msg(talk.failure.status == rows[i].status, "row %u: %s", i, mesh_status_name(talk.failure.status));
        ck_assert_msg(talk.failure.unsent == rows[i].unsent && !talk.failure.stale, "row %u", i);
    }
    ck_assert_uint_eq(peer.count, 1); /* each on the same connection */
    ck_assert_uint_eq(scene.connections, 1);
}
END_TEST

START_TEST(the_peer_wants_http1)
{
    struct talk talk = { 0 };
    ask_by_hand(&talk, 1);
    say_reset(1, HTTP2_HTTP_1_1_REQUIRED);
    pass(0);
    ck_assert_str_eq(talk.story, "rsf");
    ck_assert_int_eq(talk.failure.status, MESH_REFUSED);
    ck_assert(talk.failure.unsent);
    ck_assert_uint_eq(scene.connections, 0); /* the connection is of no use any more */
    ask(&talk, 0, "");
    pass_a_little();
    ck_assert_str_eq(talk.story, "rshbe");
    ck_assert(peer.ends[1].http1);
}
END_TEST

START_TEST(the_peer_speaks_http1_only)
{
    static const char *const greetings[] = { "HTTP/1.1 400 Bad Request\r\n\r\n", "SSH-2.0-x\r\nssssssssssssssssssss" };
    for (int i = 0; i < 2; i++) {
        struct talk talk = { 0 };
        peer.by_hand = true;
        ask(&talk, 0, "");
        pass(0);
        mesh__memory_send(peer.ends[peer.count - 1].connection, greetings[i], strlen(greetings[i]), 0);
        pass(0);
        ck_assert_str_eq(talk.story, "rsf");
        ck_assert_int_eq(talk.failure.status, MESH_PROTOCOL);
        ck_assert_uint_eq(scene.connections, 0);
    }
}
END_TEST

/* Rows 57 and 70: whatever it is told, an exchange may go; the connection stays, for it and the others. */
START_TEST(cancelled_from_inside_each_event)
{
    static const char *const stories[] = { "r!", "rs!", "rsh!", "rshb!", "rshbe!" };
    static const char on[] = "rshbe";
    for (int i = 0; i < 5; i++) {
        struct talk other = { 0 }, talk = { .cancel_on = on[i] };
        ask(&other, 0, "");
        ask(&talk, 0, "");
        pass_a_little();
        ck_assert_msg(strcmp(talk.story, stories[i]) == 0, "%c: %s", on[i], talk.story);
        ck_assert_str_eq(other.story, "rshbe");
        ck_assert_uint_eq(scene.connections, 1);
    }
    ck_assert_uint_eq(peer.count, 1);
}
END_TEST

START_TEST(cancelled_between_events)
{
    struct talk talks[2] = { 0 };
    ask_by_hand(talks, 2);
    mesh__exchange_cancel(&talks[0].exchange);
    pass(0);
    ck_assert_uint_eq(peer.ends[0].counts[RST_STREAM], 1);
    say_status_200(1, false); /* it crossed the reset: nobody is told */
    say_frame(DATA, END_STREAM, 1, "late", 4);
    say_status_200(3, true);
    pass(0);
    ck_assert_str_eq(talks[0].story, "rs");
    ck_assert_str_eq(talks[1].story, "rshe");
    ck_assert_uint_eq(scene.connections, 1);
    ask(&talks[0], 0, "");
    mesh__exchange_cancel(&talks[0].exchange); /* before it was written: it never is */
    pass(0);
    ck_assert_uint_eq(peer.ends[0].counts[HEADERS], 2);
}
END_TEST

/* Rows 68 and 69. */
START_TEST(a_peer_that_says_nothing_is_asked)
{
    struct talk talks[2] = { 0 };
    ask_by_hand(talks, 2);
    pass(29 * NANOS_MS);
    ck_assert_uint_eq(peer.ends[0].counts[PING], 0);
    pass(2 * NANOS_MS);
    ck_assert_uint_eq(peer.ends[0].counts[PING], 1);
    pass(8 * NANOS_MS);
    ck_assert_str_eq(talks[0].story, "rs");
    pass(2 * NANOS_MS);
    for (int i = 0; i < 2; i++) {
        ck_assert_str_eq(talks[i].story, "rsf");
        ck_assert_int_eq(talks[i].failure.status, MESH_RESET);
        ck_assert_int_eq(talks[i].failure.error_number, ETIMEDOUT);
        ck_assert(!talks[i].failure.unsent && !talks[i].failure.stale);
    }
    ck_assert_uint_eq(scene.connections, 0);
}
END_TEST

START_TEST(a_peer_that_answers_pings_is_waited_for)
{
    struct talk talk = { 0 };
    peer.hold = true;
    ask(&talk, 0, "");
    pass(300 * NANOS_MS);
    ck_assert_str_eq(talk.story, "rs");
    ck_assert_uint_ge(peer.ends[0].counts[PING], 8);
    ck_assert_uint_le(peer.ends[0].counts[PING], 10);
    (void)answer(&peer.ends[0], peer.ends[0].held[0]);
    peer_flush(&peer.ends[0]);
    pass_a_little();
    ck_assert_str_eq(talk.story, "rshbe");
    uint32_t before = peer.ends[0].counts[PING];
    pass(90 * NANOS_MS); /* idle: nobody is asked */
    ck_assert_uint_eq(peer.ends[0].counts[PING], before);
    pass(20 * NANOS_MS);
    ck_assert_uint_eq(scene.connections, 0); /* and it goes in time */
    ck_assert_uint_eq(peer.ends[0].counts[GOAWAY], 1);
}
END_TEST

/* ENHANCE_YOUR_CALM: who finds PINGs too many gets half as many. */
START_TEST(a_peer_that_wants_calm)
{
    struct talk talk = { 0 };
    ask_by_hand(&talk, 1);
    say_goaway(1, HTTP2_ENHANCE_YOUR_CALM);
    pass(0);
    mesh__exchange_cancel(&talk.exchange);
    ck_assert_uint_eq(scene.connections, 0);
    ask_by_hand(&talk, 1);
    pass(59 * NANOS_MS);
    ck_assert_uint_eq(peer.ends[1].counts[PING], 0);
    pass(2 * NANOS_MS);
    ck_assert_uint_eq(peer.ends[1].counts[PING], 1);
    mesh__exchange_cancel(&talk.exchange);
}
END_TEST

START_TEST(connections_that_end)
{
    static const struct {
        bool used, heard, headed, reset;
        mesh_status status;
        bool stale;
    } rows[] = {
        { false, false, false, false, MESH_RESET, false },
        { false, false, false, true, MESH_RESET, false },
        { true, false, false, false, MESH_RESET, true },
        { true, false, false, true, MESH_RESET, true },
        { true, true, false, false, MESH_RESET, false },
        { false, false, true, false, MESH_PARTIAL_RESPONSE, false },
        { true, false, true, true, MESH_PARTIAL_RESPONSE, false },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct talk first = { 0 }, talks[2] = { 0 };
        uint32_t id = 1;
        peer.by_hand = true;
        if (rows[i].used) {
            ask_by_hand(&first, 1);
            say_status_200(1, true);
            pass(0);
            id = 3;
        }
        ask(&talks[0], 0, "");
        ask(&talks[1], 0, "");
        pass(0);
        if (rows[i].headed) {
            say_frame(SETTINGS, 0, 0, "", 0);
            say_status_200(id, false);
            say_status_200(id + 2, false);
        } else if (rows[i].heard) {
            say_frame(PING, 0, 0, "12345678", 8);
        }
        struct memory_connection *connection = peer.ends[peer.count - 1].connection;
        if (rows[i].reset)
            mesh__memory_reset(connection, 0);
        else
            mesh__memory_finish(connection, 0);
        pass(0);
        for (int k = 0; k < 2; k++) {
            ck_assert_msg(talks[k].story[strlen(talks[k].story) - 1] == 'f', "row %zu: %s", i, talks[k].story);
            ck_assert_msg(talks[k].failure.status == rows[i].status, "row %zu: %s", i,
                          mesh_status_name(talks[k].failure.status));
            ck_assert_msg(talks[k].failure.stale == rows[i].stale && !talks[k].failure.unsent, "row %zu", i);
            ck_assert_msg(talks[k].failure.error_number == (rows[i].reset ? ECONNRESET : 0), "row %zu", i);
        }
        ck_assert_uint_eq(scene.connections, 0);
    }
}
END_TEST

START_TEST(a_connection_that_takes_little)
{
    struct talk first = { 0 }, talks[3] = { 0 };
    ask(&first, 0, "");
    pass_a_little();
    scene.write_room = 0;
    for (int i = 0; i < 3; i++)
        ask(&talks[i], 0, "some body");
    pass(0);
    ck_assert_str_eq(talks[0].story, "r");
    for (int i = 0; i < 200; i++) { /* a byte at a time */
        scene.write_room = 1;
        pass(0);
    }
    ck_assert_str_eq(talks[0].story, "rps");
    scene.write_room = SIZE_MAX;
    pass_a_little();
    for (int i = 0; i < 3; i++)
        ck_assert_msg(strcmp(talks[i].story, "rpshbe") == 0, "%d: %s", i, talks[i].story);
    /* And one that takes nothing any more. */
    for (int partly = 0; partly < 2; partly++) {
        ask(&first, 0, "");
        pass_a_little();
        scene.write_room = partly ? 5 : 0;
        scene.write_error = EPIPE;
        ask(&talks[0], 0, "some body");
        pass(0);
        ck_assert_str_eq(talks[0].story, partly ? "rpf" : "rf");
        ck_assert_int_eq(talks[0].failure.status, MESH_RESET);
        ck_assert_int_eq(talks[0].failure.unsent, !partly);
        ck_assert_uint_eq(scene.connections, 0);
        scene.write_room = SIZE_MAX;
        scene.write_error = 0;
    }
}
END_TEST

/* Row 67: the answer to a request that is still being sent ends both. */
START_TEST(an_answer_before_the_request_is_sent)
{
    static char body[200000];
    struct talk talk = { 0 }, next = { 0 };
    memset(body, 'x', sizeof(body) - 1);
    peer.by_hand = true;
    ask(&talk, 0, body);
    pass(0);
    say_frame(SETTINGS, 0, 0, "", 0);
    pass(0);
    ck_assert_str_eq(talk.story, "rp"); /* as much as the window takes */
    say_status_200(1, true);
    pass(0);
    ck_assert_str_eq(talk.story, "rphe");
    ck_assert_uint_eq(peer.ends[0].counts[RST_STREAM], 1);
    ask(&next, 0, "");
    pass(0);
    say_status_200(3, true);
    pass(0);
    ck_assert_str_eq(next.story, "rshe");
    ck_assert_uint_eq(peer.count, 1);
}
END_TEST

START_TEST(a_dial_that_fails_fails_all_that_wait)
{
    struct talk talks[5] = { 0 };
    mesh__memory_set(scene.network, "10.0.0.1:80", MEMORY_REFUSE, 0);
    talks[1].cancel_on = 'f';
    for (int i = 0; i < 5; i++)
        ask(&talks[i], 0, "");
    pass(0);
    for (int i = 0; i < 5; i++) {
        ck_assert_str_eq(talks[i].story, i == 1 ? "f!" : "f");
        ck_assert_int_eq(talks[i].failure.status, MESH_CONNECT_REFUSED);
        ck_assert(talks[i].failure.unsent);
    }
    ck_assert_uint_eq(scene.counters[0].connect_failures, 1);
    ck_assert_uint_eq(scene.pending, 0);
}
END_TEST

START_TEST(age_number_and_retirement)
{
    struct talk talks[8] = { 0 };
    scene.group.policy.max_exchanges = 3;
    for (int i = 0; i < 8; i++)
        ask(&talks[i], 0, "");
    for (int i = 0; i < 4; i++)
        pass_a_little();
    for (int i = 0; i < 8; i++)
        ck_assert_msg(strcmp(talks[i].story, "rshbe") == 0, "%d: %s", i, talks[i].story);
    ck_assert_uint_eq(peer.count, 3);
    scene.group.policy.max_exchanges = 0;
    scene.group.policy.max_age = 10 * NANOS_MS;
    pass(20 * NANOS_MS);
    ask(&talks[0], 0, "");
    pass_a_little();
    ck_assert_uint_eq(peer.count, 4);
    peer.hold = true;
    ask(&talks[0], 0, "");
    pass_a_little();
    mesh__pool_retire(scene.pools[0]);
    pass_a_little();
    ck_assert_str_eq(talks[0].story, "rs"); /* what is under way goes on */
    ck_assert_uint_eq(scene.connections, 1);
    struct end *end = &peer.ends[peer.count - 1];
    (void)answer(end, end->held[0]);
    peer_flush(end);
    pass_a_little();
    ck_assert_str_eq(talks[0].story, "rshbe");
    ck_assert_uint_eq(scene.connections, 0);
    ck_assert(mesh__pool_is_empty(scene.pools[0]));
}
END_TEST

START_TEST(an_idle_connection_makes_room)
{
    struct talk talk = { 0 };
    scene.connections_max = 1;
    ask(&talk, 0, "");
    pass_a_little();
    ask(&talk, 1, "");
    pass_a_little();
    ck_assert_str_eq(talk.story, "rshbe");
    ck_assert_uint_eq(peer.count, 2);
    ck_assert_ptr_null(peer.ends[0].connection);
}
END_TEST

START_TEST(no_memory_for_a_head_ends_the_exchange_only)
{
    struct talk talk = { .refuse_head = true }, other = { 0 };
    ask(&talk, 0, "");
    ask(&other, 0, "");
    pass_a_little();
    ck_assert_str_eq(talk.story, "rshf");
    ck_assert_int_eq(talk.failure.status, MESH_NO_MEMORY);
    ck_assert_str_eq(other.story, "rshbe");
    ck_assert_uint_eq(scene.connections, 1);
}
END_TEST

/* In the end of one exchange another begins, over and over: no memory is asked for by then. */
START_TEST(steady_exchanges_take_no_memory)
{
    struct talk talks[10] = { 0 };
    size_t used = 0, kept = 0;
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 10; i++)
            ask(&talks[i], 0, "a body");
        pass_a_little();
        if (round == 10) {
            used = scene.http2.pool.used_bytes;
            kept = scene.http2.pool.kept_bytes;
        }
    }
    ck_assert_uint_eq(scene.http2.pool.used_bytes, used);
    ck_assert_uint_eq(scene.http2.pool.kept_bytes, kept);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        exchanges_share_a_connection,
        a_turn_is_one_send,
        no_more_streams_than_the_peer_takes,
        a_full_connection_and_no_place_for_another,
        goaway_with_exchanges_in_flight,
        goaway_on_an_idle_connection,
        how_streams_are_reset,
        the_peer_wants_http1,
        the_peer_speaks_http1_only,
        cancelled_from_inside_each_event,
        cancelled_between_events,
        a_peer_that_says_nothing_is_asked,
        a_peer_that_answers_pings_is_waited_for,
        a_peer_that_wants_calm,
        connections_that_end,
        a_connection_that_takes_little,
        an_answer_before_the_request_is_sent,
        a_dial_that_fails_fails_all_that_wait,
        age_number_and_retirement,
        an_idle_connection_makes_room,
        no_memory_for_a_head_ends_the_exchange_only,
        steady_exchanges_take_no_memory,
    };
    return run_suite_in("channel, HTTP/2", tests, sizeof(tests) / sizeof(tests[0]), setup, teardown);
}
