/* SPDX-License-Identifier: Apache-2.0 */
/* memory_test.c - the network in memory keeps what it promises: order, delays, moods, and no callback from inside. */
#include "scene.h"

/* A bare connection: no pool. */
struct end {
    struct stream *stream;
    uint32_t events;
    bool inside;
};

static void on_ready(void *user, uint32_t events)
{
    struct end *end = user;
    ck_assert(!end->inside);
    end->events |= events;
}

static int open_end(struct end *end, const char *text)
{
    struct address address;
    ck_assert_int_eq(mesh__address_parse(mesh__view_of(text), false, &address), ADDRESS_OK);
    *end = (struct end){ 0 };
    const struct world *world = mesh__memory_world(scene.network);
    int error = world->connect(world, &scene.loop, &address, &end->stream);
    if (error == 0) {
        end->stream->ready = on_ready;
        end->stream->user = end;
    }
    return error;
}

static void arm(struct end *end, uint32_t interest)
{
    end->events = 0;
    end->inside = true;
    mesh__stream_arm(end->stream, interest);
    end->inside = false;
}

START_TEST(moods)
{
    static const struct {
        const char *address;
        enum memory_mood mood;
        mesh_nanos delay;
        int before, after; /* the delay has passed */
    } rows[] = {
        { "10.0.0.1:80", MEMORY_ACCEPT, 0, 0, 0 },
        { "10.0.0.1:80", MEMORY_ACCEPT, 5, -EINPROGRESS, 0 },
        { "10.0.0.1:80", MEMORY_REFUSE, 5, -EINPROGRESS, -ECONNREFUSED },
        { "10.0.0.1:80", MEMORY_IGNORE, 0, -EINPROGRESS, -EINPROGRESS },
        { "10.0.0.9:80", MEMORY_ACCEPT, 0, -ECONNREFUSED, -ECONNREFUSED },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct end end;
        mesh__memory_set(scene.network, rows[i].address, rows[i].mood, rows[i].delay * NANOS_MS);
        ck_assert_int_eq(open_end(&end, rows[i].address), 0);
        ck_assert_int_eq(end.stream->ops->connected(end.stream), -EINPROGRESS); /* never at once */
        arm(&end, LOOP_WRITE);
        pass(rows[i].delay > 0 ? rows[i].delay * NANOS_MS - 1 : 0);
        ck_assert_msg(end.stream->ops->connected(end.stream) == rows[i].before, "row %zu", i);
        pass(1);
        ck_assert_msg(end.stream->ops->connected(end.stream) == rows[i].after, "row %zu", i);
        ck_assert_msg((end.events != 0) == (rows[i].after != -EINPROGRESS), "row %zu", i);
        end.stream->ops->close(end.stream);
    }
}
END_TEST

START_TEST(what_is_said_comes_in_order_and_in_time)
{
    struct end end;
    ck_assert_int_eq(open_end(&end, "10.0.0.1:80"), 0);
    pass(0);
    struct memory_connection *connection = scene.lines[0].connection;
    ck_assert_ptr_eq(mesh__memory_loop(connection), &scene.loop);
    mesh__memory_send(connection, "abc", 3, 5 * NANOS_MS);
    mesh__memory_send(connection, "d", 1, NANOS_MS); /* not before what was said before it */
    mesh__memory_send(connection, "", 0, 0);
    mesh__memory_finish(connection, 7 * NANOS_MS);
    arm(&end, LOOP_READ);
    char bytes[8];
    pass(5 * NANOS_MS - 1);
    ck_assert_uint_eq(end.events, 0);
    ck_assert(end.stream->ops->is_quiet(end.stream));
    ck_assert_int_eq(end.stream->ops->read(end.stream, bytes, sizeof(bytes)), -EAGAIN);
    pass(1);
    ck_assert_uint_eq(end.events, LOOP_READ);
    ck_assert(!end.stream->ops->is_quiet(end.stream));
    ck_assert_int_eq(end.stream->ops->read(end.stream, bytes, 2), 2);
    ck_assert_int_eq(end.stream->ops->read(end.stream, bytes + 2, 6), 1);
    ck_assert_int_eq(end.stream->ops->read(end.stream, bytes + 3, 5), 1);
    ck_assert_int_eq(memcmp(bytes, "abcd", 4), 0);
    ck_assert_int_eq(end.stream->ops->read(end.stream, bytes, sizeof(bytes)), -EAGAIN);
    pass(2 * NANOS_MS);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(end.stream->ops->read(end.stream, bytes, sizeof(bytes)), 0);
    end.stream->ops->close(end.stream);
    ck_assert_ptr_null(scene.lines[0].connection); /* its peer was told */
}
END_TEST

START_TEST(a_reset_breaks_both_directions)
{
    struct end end;
    ck_assert_int_eq(open_end(&end, "10.0.0.1:80"), 0);
    pass(0);
    mesh__memory_send(scene.lines[0].connection, "x", 1, 0);
    mesh__memory_reset(scene.lines[0].connection, 0);
    pass(0);
    char byte;
    struct iovec vector = { "y", 1 };
    ck_assert_int_eq(end.stream->ops->read(end.stream, &byte, 1), 1);
    ck_assert_int_eq(end.stream->ops->read(end.stream, &byte, 1), -ECONNRESET);
    ck_assert_int_eq(end.stream->ops->write(end.stream, &vector, 1), -ECONNRESET);
    end.stream->ops->close(end.stream);
}
END_TEST

START_TEST(readiness_is_told_as_long_as_it_lasts)
{
    struct end end;
    ck_assert_int_eq(open_end(&end, "10.0.0.1:80"), 0);
    pass(0);
    mesh__memory_send(scene.lines[0].connection, "x", 1, 0);
    pass(0);
    arm(&end, LOOP_READ);
    ck_assert_uint_eq(end.events, 0); /* never from inside */
    for (int i = 0; i < 3; i++) {
        end.events = 0;
        mesh__loop_turn(&scene.loop, 0);
        ck_assert_uint_eq(end.events, LOOP_READ);
    }
    arm(&end, 0);
    pass(0);
    ck_assert_uint_eq(end.events, 0);
    char byte;
    ck_assert_int_eq(end.stream->ops->read(end.stream, &byte, 1), 1);
    arm(&end, LOOP_READ);
    pass(0);
    ck_assert_uint_eq(end.events, 0);
    end.stream->ops->close(end.stream);
}
END_TEST

START_TEST(closing_takes_back_what_is_under_way)
{
    struct end end;
    ck_assert_int_eq(open_end(&end, "10.0.0.1:80"), 0);
    pass(0);
    mesh__memory_send(scene.lines[0].connection, "x", 1, NANOS_S);
    mesh__memory_finish(scene.lines[0].connection, NANOS_S);
    end.stream->ops->close(end.stream);
    ck_assert_uint_eq(scene.loop.timers.size, 0);
    ck_assert(!mesh__memory_listen(scene.network, "not an address", &scene_peer, NULL));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        moods,
        what_is_said_comes_in_order_and_in_time,
        a_reset_breaks_both_directions,
        readiness_is_told_as_long_as_it_lasts,
        closing_takes_back_what_is_under_way,
    };
    return run_suite("memory", tests, sizeof(tests) / sizeof(tests[0]));
}
