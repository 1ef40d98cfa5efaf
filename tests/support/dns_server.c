/* SPDX-License-Identifier: Apache-2.0 */
/* dns_server.c - sockets and message building of the DNS server for tests. */
#include "support/dns_server.h"

#include "net/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define MESSAGE_MAX 65535
#define PORT_TRIES 20

/* A TCP connection: one message in, one out, as often as the client likes. */
struct connection {
    struct list link;
    struct dns_server *server;
    struct watch watch;
    struct buf in, out;
};

struct dns_server {
    struct loop *loop;
    void (*answer)(void *user, struct dns_request *);
    void *user;
    struct address address;
    struct watch udp, listener;
    struct list connections;
    uint32_t questions, tcp_questions;
};

static void close_connection(struct connection *connection)
{
    mesh__loop_unwatch(connection->server->loop, &connection->watch);
    close(connection->watch.fd);
    mesh__list_remove(&connection->link);
    mesh__buf_fini(&connection->in);
    mesh__buf_fini(&connection->out);
    mesh__mem_free(&mesh__mem_system, connection);
}

/* Reads the question. False when there is none. */
static bool read_request(struct dns_request *request, const uint8_t *bytes, size_t size)
{
    size_t at = 12, used = 0;
    if (size < 12)
        return false;
    request->bytes = bytes;
    request->id = (uint16_t)(bytes[0] << 8 | bytes[1]);
    while (at < size && bytes[at] != 0) {
        size_t length = bytes[at];
        if (length > 63 || at + length + 1 >= size || used + length + 1 >= sizeof(request->name))
            return false;
        if (used > 0)
            request->name[used++] = '.';
        memcpy(request->name + used, bytes + at + 1, length);
        used += length;
        at += length + 1;
    }
    if (at + 5 > size)
        return false;
    request->name[used] = '\0';
    request->type = (uint16_t)(bytes[at + 1] << 8 | bytes[at + 2]);
    request->question_end = at + 5;
    return true;
}

static bool ask(struct dns_server *server, struct dns_request *request, const uint8_t *bytes, size_t size, bool tcp)
{
    request->server = server;
    request->tcp = tcp;
    mesh__buf_init(&request->reply, &mesh__mem_system, MESSAGE_MAX);
    if (!read_request(request, bytes, size))
        return false;
    server->questions++;
    server->tcp_questions += tcp;
    server->answer(server->user, request);
    return request->reply.size > 0;
}

static void udp_ready(struct watch *watch, uint32_t events)
{
    (void)events;
    struct dns_server *server = CONTAINER_OF(watch, struct dns_server, udp);
    uint8_t bytes[2048];
    for (;;) {
        struct dns_request request = { 0 };
        socklen_t from_size = sizeof(request.from);
        ssize_t got = recvfrom(watch->fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&request.from, &from_size);
        if (got < 0)
            return;
        if (ask(server, &request, bytes, (size_t)got, false))
            dns_send_now(&request, false);
        mesh__buf_fini(&request.reply);
    }
}

static void flush(struct connection *connection)
{
    struct buf *out = &connection->out;
    ssize_t put = out->size ? send(connection->watch.fd, out->data, out->size, MSG_NOSIGNAL) : 0;
    if (put > 0)
        mesh__buf_consume(out, (size_t)put);
    mesh__loop_rewatch(connection->server->loop, &connection->watch, LOOP_READ | (out->size ? LOOP_WRITE : 0u));
}

/* Answers the first complete question that was read; false when there is none. */
static bool answer_first(struct connection *connection)
{
    const uint8_t *in = (const uint8_t *)connection->in.data;
    size_t size = connection->in.size >= 2 ? (size_t)(in[0] << 8 | in[1]) : SIZE_MAX;
    if (size == SIZE_MAX || connection->in.size < size + 2)
        return false;
    struct dns_request request = { 0 };
    if (ask(connection->server, &request, in + 2, size, true)) {
        size_t reply = request.reply.size;
        mesh__buf_append_char(&connection->out, (char)(reply >> 8));
        mesh__buf_append_char(&connection->out, (char)reply);
        mesh__buf_append(&connection->out, request.reply.data, reply);
    }
    mesh__buf_fini(&request.reply);
    mesh__buf_consume(&connection->in, size + 2);
    return true;
}

static void tcp_ready(struct watch *watch, uint32_t events)
{
    struct connection *connection = CONTAINER_OF(watch, struct connection, watch);
    char bytes[4096];
    ssize_t got = events & LOOP_READ ? recv(watch->fd, bytes, sizeof(bytes), 0) : -1;
    if (got == 0 || (got < 0 && (events & LOOP_READ) && errno != EAGAIN)) {
        close_connection(connection);
        return;
    }
    if (got > 0)
        mesh__buf_append(&connection->in, bytes, (size_t)got);
    while (answer_first(connection))
        continue;
    flush(connection);
}

static void listener_ready(struct watch *watch, uint32_t events)
{
    (void)events;
    struct dns_server *server = CONTAINER_OF(watch, struct dns_server, listener);
    int fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct connection *connection = fd >= 0 ? mesh__zalloc(&mesh__mem_system, sizeof(*connection)) : NULL;
    if (connection == NULL)
        return;
    connection->server = server;
    connection->watch.ready = tcp_ready;
    mesh__buf_init(&connection->in, &mesh__mem_system, MESSAGE_MAX + 2);
    mesh__buf_init(&connection->out, &mesh__mem_system, (size_t)1 << 20);
    mesh__list_push(&server->connections, &connection->link);
    mesh__loop_watch(server->loop, &connection->watch, fd, LOOP_READ);
}

/* TCP first, then the same port for UDP, which may be taken. */
static bool open_sockets(struct dns_server *server, int *tcp, int *udp)
{
    struct address any;
    const uint8_t loopback[4] = { 127, 0, 0, 1 };
    for (int i = 0; i < PORT_TRIES; i++) {
        mesh__address_from_ip(AF_INET, loopback, 0, &any);
        *tcp = mesh__socket_listen(&any, 16, &server->address);
        if (*tcp < 0)
            return false;
        *udp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (*udp >= 0 && bind(*udp, &server->address.socket.any, server->address.socket_size) == 0)
            return true;
        close(*tcp);
        if (*udp >= 0)
            close(*udp);
    }
    return false;
}

struct dns_server *dns_server_start(const struct dns_server_options *options)
{
    struct dns_server *server = mesh__zalloc(&mesh__mem_system, sizeof(*server));
    int tcp, udp;
    if (server == NULL || !open_sockets(server, &tcp, &udp)) {
        mesh__mem_free(&mesh__mem_system, server);
        return NULL;
    }
    server->loop = options->loop;
    server->answer = options->answer;
    server->user = options->user;
    server->udp.ready = udp_ready;
    server->listener.ready = listener_ready;
    mesh__list_init(&server->connections);
    mesh__loop_watch(server->loop, &server->listener, tcp, LOOP_READ);
    mesh__loop_watch(server->loop, &server->udp, udp, LOOP_READ);
    return server;
}

void dns_server_stop(struct dns_server *server)
{
    struct list *node;
    while ((node = server->connections.next) != &server->connections)
        close_connection(CONTAINER_OF(node, struct connection, link));
    mesh__loop_unwatch(server->loop, &server->udp);
    mesh__loop_unwatch(server->loop, &server->listener);
    close(server->udp.fd);
    close(server->listener.fd);
    mesh__mem_free(&mesh__mem_system, server);
}

const struct address *dns_server_address(const struct dns_server *server)
{
    return &server->address;
}

uint32_t dns_server_tcp_questions(const struct dns_server *server)
{
    return server->tcp_questions;
}

uint32_t dns_server_questions(const struct dns_server *server)
{
    return server->questions;
}

static void put16(struct buf *out, uint16_t value)
{
    mesh__buf_append_char(out, (char)(value >> 8));
    mesh__buf_append_char(out, (char)value);
}

static void put32(struct buf *out, uint32_t value)
{
    put16(out, (uint16_t)(value >> 16));
    put16(out, (uint16_t)value);
}

void dns_begin(struct dns_request *request, uint16_t flags)
{
    struct buf *out = &request->reply;
    mesh__buf_clear(out);
    put16(out, request->id);
    put16(out, 0x8180 | flags);
    put16(out, 1);
    for (int i = 0; i < 3; i++)
        put16(out, 0);
    mesh__buf_append(out, request->bytes + 12, request->question_end - 12);
}

size_t dns_encode(const char *name, uint8_t *out)
{
    size_t used = 0;
    while (*name != '\0') {
        size_t length = strcspn(name, ".");
        out[used++] = (uint8_t)length;
        memcpy(out + used, name, length);
        used += length;
        name += length + (name[length] == '.');
    }
    out[used++] = 0;
    return used;
}

void dns_record(struct dns_request *request, int section, const char *owner, uint16_t type, uint32_t ttl_s,
                const void *data, size_t size)
{
    struct buf *out = &request->reply;
    uint8_t name[256];
    if (owner == NULL)
        put16(out, 0xc00c);
    else
        mesh__buf_append(out, name, dns_encode(owner, name));
    put16(out, type);
    put16(out, 1);
    put32(out, ttl_s);
    put16(out, (uint16_t)size);
    mesh__buf_append(out, data, size);
    uint8_t *count = (uint8_t *)out->data + 6 + 2 * section;
    uint16_t records = (uint16_t)((count[0] << 8 | count[1]) + 1);
    count[0] = (uint8_t)(records >> 8);
    count[1] = (uint8_t)records;
}

void dns_a(struct dns_request *request, const char *owner, uint32_t ttl_s, const char *ip)
{
    uint8_t bytes[16];
    if (inet_pton(AF_INET, ip, bytes) == 1)
        dns_record(request, 0, owner, DNS_TYPE_A, ttl_s, bytes, 4);
    else if (inet_pton(AF_INET6, ip, bytes) == 1)
        dns_record(request, 0, owner, DNS_TYPE_AAAA, ttl_s, bytes, 16);
}

void dns_cname(struct dns_request *request, const char *owner, uint32_t ttl_s, const char *target)
{
    uint8_t name[256];
    dns_record(request, 0, owner, DNS_TYPE_CNAME, ttl_s, name, dns_encode(target, name));
}

void dns_soa(struct dns_request *request, uint32_t ttl_s, uint32_t minimum_s)
{
    struct buf data;
    uint8_t name[256];
    mesh__buf_init(&data, &mesh__mem_system, 1024);
    mesh__buf_append(&data, name, dns_encode("ns.test", name));
    mesh__buf_append(&data, name, dns_encode("admin.test", name));
    for (uint32_t i = 1; i <= 4; i++)
        put32(&data, i);
    put32(&data, minimum_s);
    dns_record(request, 1, "test", DNS_TYPE_SOA, ttl_s, data.data, data.size);
    mesh__buf_fini(&data);
}

void dns_send_now(struct dns_request *request, bool from_another_port)
{
    int fd = request->server->udp.fd;
    if (from_another_port)
        fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    (void)!sendto(fd, request->reply.data, request->reply.size, 0, (struct sockaddr *)&request->from,
                  sizeof(request->from));
    if (from_another_port)
        close(fd);
}
