/* SPDX-License-Identifier: Apache-2.0 */
/* socket_test.c - connecting, refusals, connections to oneself, Unix paths, partial writes, ends and resets. */
#include "net/socket.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct loop loop;
static char folder[] = "/tmp/mesh-socket-XXXXXX", path[64];

static void setup(void)
{
    ck_assert_int_eq(mesh__loop_init(&loop, &mesh__mem_system, &mesh__world_real), 0);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/s", folder);
}

static void teardown(void)
{
    (void)unlink(path);
    (void)rmdir(folder);
    mesh__loop_fini(&loop);
}

static struct address address_of(const char *text)
{
    struct address address;
    ck_assert_int_eq(mesh__address_parse(mesh__view_of(text), true, &address), ADDRESS_OK);
    return address;
}

static struct address unix_address(void)
{
    char text[80];
    (void)snprintf(text, sizeof(text), "unix:%s", path);
    return address_of(text);
}

static int listen_at(const struct address *address, struct address *bound)
{
    int fd = mesh__socket_listen(address, 8, bound);
    ck_assert_msg(fd >= 0, "%s: %s", address->text, strerror(-fd));
    return fd;
}

static void on_ready(void *user, uint32_t events)
{
    *(uint32_t *)user |= events;
}

/* Turns until the stream has one of these events. */
static void await(struct stream *stream, uint32_t interest)
{
    uint32_t events = 0;
    stream->ready = on_ready;
    stream->user = &events;
    mesh__stream_arm(stream, interest);
    while ((events & interest) == 0)
        mesh__loop_turn(&loop, NANOS_NEVER);
    mesh__stream_arm(stream, 0);
}

/* What connecting comes to, at once or later. */
static int connect_to(const struct address *address, struct stream **out)
{
    int error = mesh__socket_connect(&loop, address, out);
    if (error)
        return error;
    await(*out, LOOP_WRITE);
    error = (*out)->ops->connected(*out);
    if (error)
        (*out)->ops->close(*out);
    return error;
}

/* The descriptor of the only stream. */
static int only_fd(void)
{
    for (uint32_t i = 0; i < loop.slot_count; i++)
        if (loop.slots[i].fd >= 0)
            return loop.slots[i].fd;
    return -1;
}

static int accept_from(int listener)
{
    struct pollfd event = { .fd = listener, .events = POLLIN };
    ck_assert_int_eq(poll(&event, 1, -1), 1);
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    return fd;
}

static struct stream *connected_pair(int *peer)
{
    struct address any = address_of("127.0.0.1:0"), bound;
    int listener = listen_at(&any, &bound);
    struct stream *stream;
    ck_assert_int_eq(connect_to(&bound, &stream), 0);
    *peer = accept_from(listener);
    close(listener);
    return stream;
}

START_TEST(addresses_of_every_family_connect)
{
    struct address addresses[] = { address_of("127.0.0.1:0"), unix_address() };
    for (int i = 0; i < 2; i++) {
        struct address bound;
        int listener = listen_at(&addresses[i], &bound);
        ck_assert_msg(i == 1 || strcmp(bound.text, "127.0.0.1:0") != 0, "the port chosen is told");
        struct stream *stream;
        ck_assert_int_eq(connect_to(&bound, &stream), 0);
        ck_assert_int_eq(stream->ops->connected(stream), 0);
        ck_assert(stream->ops->is_quiet(stream));
        ck_assert(!stream->ops->has_buffered_input(stream));
        int peer = accept_from(listener);
        struct iovec vector[] = { { "ab", 2 }, { "cd", 2 } };
        ck_assert_int_eq(stream->ops->write(stream, vector, 2), 4);
        char bytes[8];
        ck_assert_int_eq(read(peer, bytes, sizeof(bytes)), 4);
        ck_assert_int_eq(memcmp(bytes, "abcd", 4), 0);
        ck_assert_int_eq(stream->ops->read(stream, bytes, sizeof(bytes)), -EAGAIN);
        ck_assert_int_eq(write(peer, "xyz", 3), 3);
        await(stream, LOOP_READ);
        ck_assert(!stream->ops->is_quiet(stream));
        ck_assert_int_eq(stream->ops->read(stream, bytes, 2), 2);
        ck_assert_int_eq(stream->ops->read(stream, bytes, 2), 1);
        stream->ops->close(stream);
        ck_assert_int_eq(read(peer, bytes, 1), 0);
        close(peer);
        close(listener);
    }
}
END_TEST

START_TEST(nobody_listens)
{
    struct address any = address_of("127.0.0.1:0"), bound, at = unix_address();
    close(listen_at(&any, &bound));
    struct stream *stream;
    ck_assert_int_eq(connect_to(&bound, &stream), -ECONNREFUSED);
    ck_assert_int_eq(connect_to(&at, &stream), -ENOENT);
    close(listen_at(&at, &bound));
    ck_assert_int_eq(connect_to(&at, &stream), -ECONNREFUSED);
}
END_TEST

START_TEST(a_full_backlog_of_a_unix_socket_refuses)
{
    struct address at = unix_address(), bound;
    int listener = mesh__socket_listen(&at, 0, &bound);
    ck_assert_int_ge(listener, 0);
    struct stream *streams[16];
    int error = 0, count = 0;
    while (count < 16 && (error = connect_to(&at, &streams[count])) == 0)
        count++;
    ck_assert_int_eq(error, -ECONNREFUSED);
    /* A live listener is not taken over, however busy it is. */
    ck_assert_int_eq(mesh__socket_listen(&at, 1, &bound), -EADDRINUSE);
    while (count > 0) {
        count--;
        streams[count]->ops->close(streams[count]);
    }
    close(listener);
}
END_TEST

/* Chance decides which port a connection comes from, so ports nobody listens at are tried until one meets itself; what
 * the caller sees never differs from a refusal. */
START_TEST(a_connection_to_itself_counts_as_refused)
{
    struct address any = address_of("127.0.0.1:0"), bound;
    close(listen_at(&any, &bound));
    struct stream *stream;
    for (int i = 0; i < 3000; i++) {
        int error = connect_to(&bound, &stream);
        ck_assert_msg(error == -ECONNREFUSED, "try %d: %d", i, error);
    }
    /* A descriptor that is certain to meet itself, put in the place of the one that connects. */
    ck_assert_int_eq(mesh__socket_connect(&loop, &bound, &stream), 0);
    int fd = only_fd();
    int own = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(own, &bound.socket.any, bound.socket_size), 0);
    ck_assert_int_eq(connect(own, &bound.socket.any, bound.socket_size), 0);
    ck_assert_int_eq(dup2(own, fd), fd);
    close(own);
    ck_assert_int_eq(stream->ops->connected(stream), -ECONNREFUSED);
    stream->ops->close(stream);
}
END_TEST

START_TEST(an_abandoned_path_is_taken_over_and_nothing_else)
{
    struct address at = unix_address(), bound;
    close(listen_at(&at, &bound));
    int listener = listen_at(&at, &bound);
    ck_assert_int_eq(mesh__socket_listen(&at, 8, &bound), -EADDRINUSE);
    close(listener);
    ck_assert_int_eq(unlink(path), 0);
    int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    ck_assert_int_eq(write(file, "precious", 8), 8);
    close(file);
    ck_assert_int_eq(mesh__socket_listen(&at, 8, &bound), -EADDRINUSE);
    struct stat about;
    ck_assert_int_eq(stat(path, &about), 0);
    ck_assert_int_eq(about.st_size, 8);
}
END_TEST

START_TEST(writing_goes_on_where_a_full_socket_stopped)
{
    int peer;
    struct stream *stream = connected_pair(&peer);
    enum { SIZE = 4 * 1024 * 1024 };
    unsigned char *bytes = malloc(SIZE), *got = malloc(SIZE);
    for (int i = 0; i < SIZE; i++)
        bytes[i] = (unsigned char)(i * 7 + i / 251);
    int fd = only_fd(), small = 1;
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
    ck_assert_int_eq(fcntl(peer, F_SETFL, O_NONBLOCK), 0);
    size_t sent = 0, received = 0, refusals = 0;
    while (received < SIZE) {
        struct iovec vector[] = { { bytes + sent, (SIZE - sent) / 2 },
                                  { bytes + sent + (SIZE - sent) / 2, SIZE - sent - (SIZE - sent) / 2 } };
        ssize_t put = sent < SIZE ? stream->ops->write(stream, vector, 2) : 0;
        ck_assert_msg(put >= 0 || put == -EAGAIN, "%s", strerror((int)-put));
        refusals += put == -EAGAIN || put < (ssize_t)(SIZE - sent);
        sent += put > 0 ? (size_t)put : 0;
        ssize_t part = read(peer, got + received, SIZE - received);
        received += part > 0 ? (size_t)part : 0;
    }
    ck_assert_int_eq(memcmp(bytes, got, SIZE), 0);
    ck_assert_uint_gt(refusals, 1);
    free(bytes);
    free(got);
    stream->ops->close(stream);
    close(peer);
}
END_TEST

START_TEST(the_peers_end)
{
    int peer;
    struct stream *stream = connected_pair(&peer);
    char bytes[8];
    ck_assert_int_eq(write(peer, "last", 4), 4);
    close(peer);
    await(stream, LOOP_READ);
    ck_assert(!stream->ops->is_quiet(stream));
    ck_assert_int_eq(stream->ops->read(stream, bytes, sizeof(bytes)), 4);
    await(stream, LOOP_READ);
    ck_assert_int_eq(stream->ops->read(stream, bytes, sizeof(bytes)), 0);
    ck_assert_int_eq(stream->ops->read(stream, bytes, sizeof(bytes)), 0);
    ck_assert(!stream->ops->is_quiet(stream));
    stream->ops->close(stream);
}
END_TEST

static volatile sig_atomic_t pipes;

static void on_pipe(int number)
{
    (void)number;
    pipes = pipes + 1;
}

START_TEST(the_peers_reset_and_no_sigpipe)
{
    struct sigaction action = { .sa_handler = on_pipe };
    ck_assert_int_eq(sigaction(SIGPIPE, &action, NULL), 0);
    int peer;
    struct stream *stream = connected_pair(&peer);
    struct linger now = { 1, 0 };
    ck_assert_int_eq(setsockopt(peer, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    close(peer);
    await(stream, LOOP_READ);
    struct iovec vector = { "x", 1 };
    ck_assert_int_eq(stream->ops->write(stream, &vector, 1), -ECONNRESET);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(stream->ops->write(stream, &vector, 1), -EPIPE);
    stream->ops->close(stream);
    ck_assert_int_eq(pipes, 0);
}
END_TEST

START_TEST(an_adopted_descriptor_is_owned_also_on_failure)
{
    struct stream *stream;
    int pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    ck_assert_int_eq(mesh__socket_adopt(&loop, pair[0], &stream), 0);
    stream->ops->close(stream);
    ck_assert_int_eq(fcntl(pair[0], F_GETFD), -1);
    close(pair[1]);
    int file = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600); /* epoll takes no files */
    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(mesh__socket_adopt(&loop, file, &stream), -EPERM);
    ck_assert_int_eq(fcntl(file, F_GETFD), -1);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        addresses_of_every_family_connect,
        nobody_listens,
        a_full_backlog_of_a_unix_socket_refuses,
        a_connection_to_itself_counts_as_refused,
        an_abandoned_path_is_taken_over_and_nothing_else,
        writing_goes_on_where_a_full_socket_stopped,
        the_peers_end,
        the_peers_reset_and_no_sigpipe,
        an_adopted_descriptor_is_owned_also_on_failure,
    };
    Suite *suite = suite_create("socket");
    TCase *tcase = tcase_create("socket");
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
