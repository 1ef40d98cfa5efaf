/* SPDX-License-Identifier: Apache-2.0 */
/* plain.c - the contrast: the order service as it is often written first, with a client of its own instead of Meshcall.
 *
 * It takes payment's instances in turn from a list that it read when it started, opens a connection for each request,
 * waits for at most 2 s, and tries once, in plain text. Only its server half is the library's. */
#include "service.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { ENDPOINTS = 8, TIMEOUT_S = 2, LINE = 256 };

struct plain {
    FILE *attempts;
    char inventory[32], shipping[32];
    char payment[ENDPOINTS][32]; /* "127.0.0.1:9001" */
    unsigned payments;
    atomic_uint turn;
};

static int dial(const char *address)
{
    struct sockaddr_in to = { .sin_family = AF_INET };
    struct timeval timeout = { .tv_sec = TIMEOUT_S };
    char host[32];
    (void)snprintf(host, sizeof(host), "%.*s", (int)strcspn(address, ":"), address);
    to.sin_port = htons((uint16_t)atoi(address + strcspn(address, ":") + 1));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    if (inet_pton(AF_INET, host, &to.sin_addr) == 1 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

/* The HTTP status of the answer to one POST; 0 when there was none in time. */
static int post(const char *address, const char *collection, const char *id)
{
    char text[4096];
    size_t size = 0;
    ssize_t got = 1;
    int status = 0, fd = dial(address);
    if (fd < 0)
        return 0;
    int length = snprintf(text, sizeof(text),
                          "POST /%s/%s HTTP/1.1\r\nhost: %s\r\nidempotency-key: %s\r\ncontent-length: 0\r\n"
                          "connection: close\r\n\r\n",
                          collection, id, address, id);
    if (send(fd, text, (size_t)length, MSG_NOSIGNAL) == length) {
        while (size < sizeof(text) - 1 && (got = recv(fd, text + size, sizeof(text) - 1 - size, 0)) > 0)
            size += (size_t)got;
        text[size] = '\0';
        if (got < 0 || sscanf(text, "HTTP/1.1 %d", &status) != 1)
            status = 0;
    }
    (void)close(fd);
    return status;
}

static int charge(struct plain *plain, const char *id)
{
    const char *address = plain->payment[atomic_fetch_add(&plain->turn, 1) % plain->payments];
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    (void)fprintf(plain->attempts, "%lld %s round-robin 0 11\n", (long long)now.tv_sec * 1000000000 + now.tv_nsec,
                  address);
    return post(address, "charges", id);
}

static void take_order(mesh_exchange *exchange, void *user)
{
    struct service *self = user;
    struct plain *plain = self->state;
    const char *id = service_order_id(exchange);
    if (!id)
        service_reply(exchange, 400, "which order?");
    else if (post(plain->inventory, "reservations", id) != 200)
        service_reply(exchange, 502, "no reservation");
    else if (charge(plain, id) != 200)
        service_reply(exchange, 502, "no charge");
    else if (post(plain->shipping, "parcels", id) != 200)
        service_reply(exchange, 502, "no parcel");
    else
        service_reply(exchange, 200, "reserved, charged, booked");
}

/* FOLDER/plain.txt has a line SERVICE ADDRESS for each endpoint. */
static int read_endpoints(struct plain *plain, const char *folder)
{
    char path[SHOP_PATH], line[LINE], service[32], address[32];
    (void)snprintf(path, sizeof(path), "%s/plain.txt", folder);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof(line), file)) {
        if (sscanf(line, "%31s %31s", service, address) != 2)
            continue;
        if (strcmp(service, "inventory") == 0)
            (void)snprintf(plain->inventory, sizeof(plain->inventory), "%s", address);
        else if (strcmp(service, "shipping") == 0)
            (void)snprintf(plain->shipping, sizeof(plain->shipping), "%s", address);
        else if (plain->payments < ENDPOINTS)
            (void)snprintf(plain->payment[plain->payments++], sizeof(plain->payment[0]), "%s", address);
    }
    if (file)
        (void)fclose(file);
    return plain->payments > 0;
}

int plain_order_main(const char *folder)
{
    struct plain plain = { .attempts = service_open_log(folder, "attempts.log") };
    struct service self = { .folder = folder, .program = "order", .name = "order", .state = &plain };
    if (!plain.attempts || !read_endpoints(&plain, folder))
        return 1;
    return service_run(&self, take_order, 0);
}
