/* SPDX-License-Identifier: Apache-2.0 */
/* bodies.c - bodies that do not fit in memory, sent and received in pieces; see tests/bench/bodies.py.
 *
 *   bench-bodies serve CONFIG           serves "bodies" until its input ends: GET /SIZE, and POST, which is counted
 *   bench-bodies down|up CONFIG SIZE    one call of the service "bodies"; its figures as JSON */
#include <mesh/mesh.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PIECE ((size_t)64 * 1024)

static void fail(const char *words)
{
    (void)fprintf(stderr, "%s\n", words);
    exit(1);
}

/* ---- the server ---- */

static void send_body(mesh_exchange *exchange, uint64_t size)
{
    static const char piece[PIECE];
    mesh_reply reply = MESH_REPLY_INIT;
    mesh_status status = mesh_exchange_respond(exchange, &reply);
    while (status == MESH_OK && size > 0) {
        size_t written = 0;
        status = mesh_exchange_write(exchange, piece, size < PIECE ? (size_t)size : PIECE, -1, &written);
        size -= written;
    }
    if (status == MESH_OK)
        (void)mesh_exchange_end(exchange, NULL, 0);
    else
        mesh_exchange_drop(exchange);
}

static void count_body(mesh_exchange *exchange)
{
    char piece[PIECE], text[32];
    uint64_t size = 0;
    size_t got = 0;
    mesh_status status;
    while ((status = mesh_exchange_read(exchange, piece, sizeof(piece), -1, &got)) == MESH_OK && got > 0)
        size += got;
    mesh_reply reply = MESH_REPLY_INIT;
    reply.body = text;
    reply.body_size = (size_t)snprintf(text, sizeof(text), "%llu", (unsigned long long)size);
    if (status == MESH_OK)
        (void)mesh_exchange_reply(exchange, &reply);
    else
        mesh_exchange_drop(exchange);
}

static void serve_one(mesh_exchange *exchange, void *user)
{
    (void)user;
    if (strcmp(mesh_exchange_method(exchange), "GET") == 0)
        send_body(exchange, strtoull(mesh_exchange_path(exchange) + 1, NULL, 10));
    else
        count_body(exchange);
}

static int serve(const char *path)
{
    mesh_config *config;
    mesh_error *error;
    mesh_server *server;
    mesh_options options = MESH_OPTIONS_INIT;
    options.flags = MESH_STREAM_REQUESTS;
    if (mesh_config_load(path, &config, &error) != MESH_OK ||
        mesh_server_open(config, "bodies", &options, serve_one, NULL, &server, &error) != MESH_OK)
        fail(mesh_error_text(error));
    (void)printf("%s\n", mesh_server_address(server));
    (void)fflush(stdout);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
    mesh_server_free(server);
    mesh_config_free(config);
    return 0;
}

/* ---- the client ---- */

static double now(clockid_t clock)
{
    struct timespec time;
    (void)clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* The most that was resident since mark_memory(), or ever. */
static long resident_peak_kb(void)
{
    char line[128];
    long kb = 0;
    FILE *file = fopen("/proc/self/status", "re");
    while (file && fgets(line, sizeof(line), file))
        (void)sscanf(line, "VmHWM: %ld", &kb);
    if (file)
        (void)fclose(file);
    return kb;
}

static void mark_memory(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "we");
    if (file) {
        (void)fputs("5", file);
        (void)fclose(file);
    }
}

struct transfer {
    uint64_t left, received;
};

static int64_t produce(void *user, void *space, size_t size)
{
    struct transfer *transfer = user;
    (void)space; /* what is in it goes */
    size = transfer->left < size ? (size_t)transfer->left : size;
    transfer->left -= size;
    return (int64_t)size;
}

static int32_t consume(void *user, const void *bytes, size_t size)
{
    (void)bytes;
    ((struct transfer *)user)->received += size;
    return 0;
}

static void transfer(mesh_client *client, int up, uint64_t size)
{
    char path[32];
    struct transfer transfer = { up ? size : 0, 0 };
    mesh_request request = MESH_REQUEST_INIT;
    mesh_stream_io io = MESH_STREAM_IO_INIT;
    mesh_result *result;
    (void)snprintf(path, sizeof(path), "/%llu", (unsigned long long)size);
    request.method = up ? "POST" : "GET";
    request.path = path;
    request.timeout_ns = -1;
    io.user = &transfer;
    io.produce = up ? produce : NULL;
    io.consume = consume;
    if (mesh_call_stream(client, "bodies", &request, &io, &result) != MESH_OK)
        fail(mesh_result_message(result));
    if (mesh_result_status(result) != 200 || transfer.left > 0 || (!up && transfer.received != size))
        fail("not all of it arrived");
    mesh_result_free(result);
}

static int call(const char *path, int up, uint64_t size)
{
    mesh_client *client;
    mesh_error *error;
    if (mesh_client_open_file(path, NULL, &client, &error) != MESH_OK)
        fail(mesh_error_text(error));
    transfer(client, up, 1000); /* the connection */
    mark_memory();
    long before = resident_peak_kb();
    double wall = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
    transfer(client, up, size);
    wall = now(CLOCK_MONOTONIC) - wall;
    cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    (void)printf("{\"mb_per_s\": %.1f, \"cpu_s\": %.3f, \"grown_kb\": %ld}\n", (double)size / 1e6 / wall, cpu,
                 resident_peak_kb() - before);
    mesh_client_free(client);
    return 0;
}

int main(int count, char **arguments)
{
    if (count == 3 && strcmp(arguments[1], "serve") == 0)
        return serve(arguments[2]);
    if (count == 4 && (strcmp(arguments[1], "up") == 0 || strcmp(arguments[1], "down") == 0))
        return call(arguments[2], strcmp(arguments[1], "up") == 0, strtoull(arguments[3], NULL, 10));
    fail("usage: bench-bodies serve CONFIG | up|down CONFIG SIZE");
    return 2;
}
