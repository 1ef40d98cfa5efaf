/* SPDX-License-Identifier: Apache-2.0 */
/* hostile.c - one thread that accepts, and one for each connection. */
#include "fault/hostile.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 4096 };

struct slot {
    pthread_t thread;
    struct hostile_connection connection;
};

struct hostile {
    int listener;
    pthread_t thread;
    hostile_script script;
    void *user;
    char address[32];
    _Atomic uint32_t requests;
    pthread_mutex_t lock; /* of what follows */
    uint32_t count;
    bool stopping;
    struct slot *slots[CONNECTIONS_MAX];
};

static void close_connection(struct hostile_connection *connection)
{
    pthread_mutex_lock(&connection->peer->lock);
    if (connection->fd >= 0)
        close(connection->fd);
    connection->fd = -1;
    pthread_mutex_unlock(&connection->peer->lock);
}

static void *run_connection(void *argument)
{
    struct hostile_connection *connection = argument;
    connection->peer->script(connection);
    close_connection(connection);
    return NULL;
}

/* A thread that no signal of the test interrupts. */
static int start_thread(pthread_t *thread, void *(*run)(void *), void *argument)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 256 * 1024);
    int error = pthread_create(thread, &attributes, run, argument);
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

static bool take_in(struct hostile *peer, int fd)
{
    pthread_mutex_lock(&peer->lock);
    bool fits = !peer->stopping && peer->count < CONNECTIONS_MAX;
    struct slot *slot = fits ? calloc(1, sizeof(*slot)) : NULL;
    if (slot) {
        slot->connection.peer = peer;
        slot->connection.user = peer->user;
        slot->connection.fd = fd;
        slot->connection.number = peer->count;
        if (start_thread(&slot->thread, run_connection, &slot->connection) == 0)
            peer->slots[peer->count++] = slot;
        else
            abort();
    }
    pthread_mutex_unlock(&peer->lock);
    return slot != NULL;
}

static void *run_listener(void *argument)
{
    struct hostile *peer = argument;
    for (;;) {
        int fd = accept4(peer->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 && errno == EMFILE) {
            sched_yield(); /* a test has taken all descriptors, for a while */
            continue;
        }
        if (fd >= 0 && take_in(peer, fd))
            continue;
        if (fd >= 0)
            close(fd);
        return NULL;
    }
}

struct hostile *hostile_start(hostile_script script, void *user)
{
    struct hostile *peer = calloc(1, sizeof(*peer));
    ck_assert_ptr_nonnull(peer);
    peer->script = script;
    peer->user = user;
    pthread_mutex_init(&peer->lock, NULL);
    peer->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof(at);
    ck_assert_int_eq(bind(peer->listener, (struct sockaddr *)&at, sizeof(at)), 0);
    ck_assert_int_eq(listen(peer->listener, 1024), 0);
    ck_assert_int_eq(getsockname(peer->listener, (struct sockaddr *)&at, &size), 0);
    (void)snprintf(peer->address, sizeof(peer->address), "127.0.0.1:%d", ntohs(at.sin_port));
    ck_assert_int_eq(start_thread(&peer->thread, run_listener, peer), 0);
    return peer;
}

void hostile_stop(struct hostile *peer)
{
    pthread_mutex_lock(&peer->lock);
    peer->stopping = true;
    for (uint32_t i = 0; i < peer->count; i++)
        if (peer->slots[i]->connection.fd >= 0)
            (void)shutdown(peer->slots[i]->connection.fd, SHUT_RDWR);
    pthread_mutex_unlock(&peer->lock);
    (void)shutdown(peer->listener, SHUT_RDWR);
    pthread_join(peer->thread, NULL);
    close(peer->listener);
    for (uint32_t i = 0; i < peer->count; i++) {
        pthread_join(peer->slots[i]->thread, NULL);
        free(peer->slots[i]);
    }
    pthread_mutex_destroy(&peer->lock);
    free(peer);
}

const char *hostile_address(const struct hostile *peer)
{
    return peer->address;
}

uint32_t hostile_connections(const struct hostile *peer)
{
    struct hostile *own = (struct hostile *)(uintptr_t)peer;
    pthread_mutex_lock(&own->lock);
    uint32_t count = own->count;
    pthread_mutex_unlock(&own->lock);
    return count;
}

uint32_t hostile_requests(const struct hostile *peer)
{
    return atomic_load(&peer->requests);
}

void hostile_await_requests(const struct hostile *peer, uint32_t count)
{
    while (hostile_requests(peer) < count)
        sched_yield();
    ck_assert_uint_eq(hostile_requests(peer), count);
}

static size_t body_size(const char *head)
{
    for (const char *line = head; line; line = strchr(line + 1, '\n'))
        if (strncasecmp(line, "\ncontent-length:", 16) == 0)
            return (size_t)strtoull(line + 16, NULL, 10);
    return 0;
}

static bool read_more(struct hostile_connection *connection)
{
    ssize_t got =
        recv(connection->fd, connection->in + connection->size, sizeof(connection->in) - 1 - connection->size, 0);
    if (got <= 0)
        return false;
    connection->size += (size_t)got;
    connection->in[connection->size] = '\0';
    return true;
}

bool hostile_request(struct hostile_connection *connection)
{
    char *end;
    connection->size = 0;
    connection->in[0] = '\0';
    while ((end = strstr(connection->in, "\r\n\r\n")) == NULL)
        if (!read_more(connection))
            return false;
    size_t left = body_size(connection->in);
    size_t head = (size_t)(end - connection->in) + 4, here = connection->size - head;
    left -= here < left ? here : left;
    while (left > 0) {
        char rest[16384];
        ssize_t got = recv(connection->fd, rest, left < sizeof(rest) ? left : sizeof(rest), 0);
        if (got <= 0)
            return false;
        left -= (size_t)got;
    }
    atomic_fetch_add(&connection->peer->requests, 1);
    return true;
}

bool hostile_send(struct hostile_connection *connection, const void *bytes, size_t size)
{
    const char *at = bytes;
    while (size > 0) {
        ssize_t put = send(connection->fd, at, size, MSG_NOSIGNAL);
        if (put <= 0)
            return false;
        at += put;
        size -= (size_t)put;
    }
    return true;
}

bool hostile_say(struct hostile_connection *connection, const char *text)
{
    return hostile_send(connection, text, strlen(text));
}

void hostile_reset(struct hostile_connection *connection)
{
    struct linger now = { 1, 0 };
    (void)setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close_connection(connection);
}

void hostile_await_end(struct hostile_connection *connection)
{
    struct pollfd event = { .fd = connection->fd, .events = POLLRDHUP };
    while (poll(&event, 1, -1) < 1)
        ;
}

void hostile_drain(struct hostile_connection *connection)
{
    char bytes[16384];
    while (recv(connection->fd, bytes, sizeof(bytes), 0) > 0)
        ;
}

mesh_client *fault_client(const mesh_options *options, const char *settings, ...)
{
    size_t room = 128 * 1024;
    char *members = malloc(room), *json = malloc(room);
    ck_assert(members != NULL && json != NULL);
    va_list arguments;
    va_start(arguments, settings);
    ck_assert_int_lt(vsnprintf(members, room, settings, arguments), (int)room);
    va_end(arguments);
    (void)snprintf(json, room,
                   "{\"defaults\":{\"timeout\":\"20s\",\"retry\":{\"backoff\":{\"base\":\"1ms\",\"max\":\"1ms\"}}},"
                   "\"services\":{\"s\":{%s}}}",
                   members);
    mesh_config *config;
    mesh_error *error = NULL;
    ck_assert_msg(mesh_config_parse(json, strlen(json), NULL, &config, &error) == MESH_OK, "%s",
                  mesh_error_text(error));
    mesh_client *client;
    mesh_options one = MESH_OPTIONS_INIT;
    one.shards = 1;
    ck_assert_msg(mesh_client_open(config, options ? options : &one, &client, &error) == MESH_OK, "%s",
                  mesh_error_text(error));
    mesh_config_free(config);
    free(members);
    free(json);
    return client;
}

mesh_result *fault_call(mesh_client *client, const char *method)
{
    mesh_request request = MESH_REQUEST_INIT;
    request.method = method;
    request.path = "/x";
    mesh_result *result = NULL;
    mesh_status status = mesh_call(client, "s", &request, &result);
    ck_assert_int_eq(status, mesh_result_code(result));
    return result;
}

mesh_attempt fault_last(const mesh_result *result)
{
    mesh_attempt attempt = MESH_ATTEMPT_INIT;
    size_t count = mesh_result_attempt_count(result);
    if (count > 0)
        ck_assert_int_eq(mesh_result_attempt(result, count - 1, &attempt), MESH_OK);
    return attempt;
}

void fault_expect(mesh_result *result, mesh_status status, int32_t http_status, size_t attempts, const char *words)
{
    const char *message = mesh_result_message(result);
    ck_assert_msg(mesh_result_code(result) == status, "%s was expected: %s", mesh_status_name(status), message);
    ck_assert_msg(mesh_result_status(result) == http_status, "%d was expected: %d", http_status,
                  mesh_result_status(result));
    ck_assert_msg(mesh_result_attempt_count(result) == attempts, "%zu attempts were expected: %zu; %s", attempts,
                  mesh_result_attempt_count(result), message);
    ck_assert_msg(words == NULL || strstr(message, words) != NULL, "\"%s\" was expected: %s", words, message);
    mesh_result_free(result);
}

mesh_counters fault_counters(mesh_client *client)
{
    mesh_counters counters = MESH_COUNTERS_INIT;
    ck_assert_int_eq(mesh_client_counters(client, "s", NULL, &counters), MESH_OK);
    ck_assert_uint_eq(counters.calls, counters.responses + counters.failures);
    ck_assert_uint_eq(counters.active, 0);
    ck_assert_uint_eq(counters.pending, 0);
    ck_assert_uint_le(counters.attempt_failures, counters.attempts);
    return counters;
}
