/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_peer.c - a child with two pipes, and varints. */
#include "interop/grpc_peer.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void run_child(int input[2], int output[2], const char *certificate, const char *key)
{
    if (dup2(input[0], STDIN_FILENO) < 0 || dup2(output[1], STDOUT_FILENO) < 0)
        _exit(126);
    for (int i = 0; i < 2; i++) {
        close(input[i]);
        close(output[i]);
    }
    execl(MESH_BUILD_DIR "/tests/interop/grpc_go", "grpc_go", certificate, key, (char *)NULL);
    _exit(127);
}

void grpc_server_start(struct grpc_server *server, const char *certificate, const char *key)
{
    int input[2], output[2];
    size_t size = 0;
    ck_assert(pipe(input) == 0 && pipe(output) == 0);
    server->pid = fork();
    if (server->pid == 0)
        run_child(input, output, certificate, key);
    close(input[0]);
    close(output[1]);
    server->input = input[1];
    do {
        ssize_t got = read(output[0], server->address + size, sizeof(server->address) - 1 - size);
        ck_assert_msg(got > 0, "grpc_go did not start: is it built?");
        size += (size_t)got;
    } while (server->address[size - 1] != '\n');
    server->address[size - 1] = '\0';
    close(output[0]);
}

void grpc_server_stop(struct grpc_server *server)
{
    if (server->pid == 0)
        return;
    close(server->input);
    (void)waitpid(server->pid, NULL, 0);
    server->pid = 0;
}

struct message message_new(void)
{
    return (struct message){ NULL, 0, 0 };
}

void message_free(struct message *message)
{
    free(message->bytes);
}

static char *extend(struct message *message, size_t size)
{
    if (message->size + size > message->capacity) {
        message->capacity = 2 * message->capacity + size;
        message->bytes = realloc(message->bytes, message->capacity);
        ck_assert_ptr_nonnull(message->bytes);
    }
    message->size += size;
    return message->bytes + message->size - size;
}

static void add_varint(struct message *message, uint64_t value)
{
    for (; value >= 128; value >>= 7)
        *extend(message, 1) = (char)(value | 128);
    *extend(message, 1) = (char)value;
}

void message_number(struct message *message, uint32_t number, uint64_t value)
{
    add_varint(message, number << 3);
    add_varint(message, value);
}

void message_bytes(struct message *message, uint32_t number, const void *bytes, size_t size)
{
    add_varint(message, number << 3 | 2);
    add_varint(message, size);
    if (size > 0)
        memcpy(extend(message, size), bytes, size);
}

void message_add_payload(struct message *message, uint32_t number, size_t size)
{
    struct message payload = message_new();
    char *body = calloc(1, size + 1);
    ck_assert_ptr_nonnull(body);
    message_bytes(&payload, 2, body, size);
    message_bytes(message, number, payload.bytes, payload.size);
    message_free(&payload);
    free(body);
}

/* False at the end, and when it is malformed. */
static int take_varint(const unsigned char **at, size_t *left, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; *left > 0 && shift < 64; shift += 7) {
        unsigned char byte = *(*at)++;
        --*left;
        *value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            return 1;
    }
    return 0;
}

/* The bytes of field `number`; NULL when there is no such one. */
static const unsigned char *find(const unsigned char *at, size_t left, uint32_t number, size_t *size)
{
    uint64_t tag, value;
    while (take_varint(&at, &left, &tag) && take_varint(&at, &left, &value)) {
        if ((tag & 7) != 2)
            continue;
        if (value > left)
            return NULL;
        *size = (size_t)value;
        if (tag >> 3 == number)
            return at;
        at += value;
        left -= (size_t)value;
    }
    return NULL;
}

size_t message_payload(const void *message, size_t size, uint32_t number)
{
    size_t payload, body;
    const unsigned char *at = find(message, size, number, &payload);
    return at && find(at, payload, 2, &body) ? body : SIZE_MAX;
}
