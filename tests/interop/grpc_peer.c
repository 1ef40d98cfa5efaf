/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_peer.c - a child with two pipes, a client, and varints. */
#include "interop/grpc_peer.h"

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct interop interop;

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

static void start(const char *certificate, const char *key)
{
    int input[2], output[2];
    size_t size = 0;
    ck_assert(pipe(input) == 0 && pipe(output) == 0);
    interop.pid = fork();
    if (interop.pid == 0)
        run_child(input, output, certificate, key);
    close(input[0]);
    close(output[1]);
    interop.input = input[1];
    do {
        ssize_t got = read(output[0], interop.address + size, sizeof(interop.address) - 1 - size);
        ck_assert_msg(got > 0, "grpc_go did not start: is it built?");
        size += (size_t)got;
    } while (interop.address[size - 1] != '\n');
    interop.address[size - 1] = '\0';
    close(output[0]);
}

void interop_setup(void)
{
    papers_make(&interop.papers);
    papers_write(&interop.papers, "payment", "spiffe://shop/payment", &interop.papers.authority);
    papers_write(&interop.papers, "order", "spiffe://shop/order", &interop.papers.authority);
}

void interop_teardown(void)
{
    mesh_client_free(interop.client);
    if (interop.pid > 0) {
        close(interop.input);
        (void)waitpid(interop.pid, NULL, 0);
    }
    papers_remove(&interop.papers);
}

void interop_begin(int way, const char *members)
{
    static const char *const security[INTEROP_WAYS] = {
        ", \"protocol\": \"http2\"", ", \"tls\": {\"mode\": \"mutual\", \"peers\": [\"spiffe://shop/payment\"]}"
    };
    char text[700], certificate[300], key[300];
    mesh_error *error;
    (void)snprintf(certificate, sizeof(certificate), "%s/payment.pem", interop.papers.folder);
    (void)snprintf(key, sizeof(key), "%s/payment.key", interop.papers.folder);
    start(way == INTEROP_TLS ? certificate : NULL, way == INTEROP_TLS ? key : NULL);
    (void)snprintf(text, sizeof(text), "\"services\": {\"s\": {\"endpoints\": [\"%s\"], \"timeout\": \"20s\"%s%s}}",
                   interop.address, security[way], members);
    mesh_config *config = papers_config(&interop.papers, "order", text);
    ck_assert_msg(mesh_client_open(config, NULL, &interop.client, &error) == MESH_OK, "%s", mesh_error_text(error));
    mesh_config_free(config);
}

mesh_request interop_request(const char *path, const struct message *message)
{
    mesh_request request = MESH_REQUEST_INIT;
    request.path = path;
    request.flags = MESH_GRPC;
    request.body = message ? message->bytes : NULL;
    request.body_size = message ? message->size : 0;
    return request;
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
static bool take_varint(const unsigned char **at, size_t *left, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; *left > 0 && shift < 64; shift += 7) {
        unsigned char byte = *(*at)++;
        --*left;
        *value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            return true;
    }
    return false;
}

/* The value of field `number`: a number, or the bytes at the return value. NULL when there is no such one. */
static const unsigned char *find(const unsigned char *at, size_t left, uint32_t number, uint64_t *value)
{
    uint64_t tag;
    while (take_varint(&at, &left, &tag) && take_varint(&at, &left, value)) {
        bool is_bytes = (tag & 7) == 2;
        if (is_bytes && *value > left)
            return NULL;
        if (tag >> 3 == number)
            return at;
        at += is_bytes ? *value : 0;
        left -= is_bytes ? (size_t)*value : 0;
    }
    return NULL;
}

uint64_t message_find_number(const void *message, size_t size, uint32_t number)
{
    uint64_t value;
    return find(message, size, number, &value) ? value : 0;
}

size_t message_payload(const void *message, size_t size, uint32_t number)
{
    uint64_t payload, body;
    const unsigned char *at = find(message, size, number, &payload);
    return at && find(at, (size_t)payload, 2, &body) ? (size_t)body : SIZE_MAX;
}
