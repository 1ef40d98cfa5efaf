/* SPDX-License-Identifier: Apache-2.0 */
/* reply.c - checks, then one buffer with head and body. */
#include "server/reply.h"

#include "wire/grpc.h"
#include "wire/http1_check.h"
#include "wire/trace.h"

#include <stdio.h>

#define DATE_SIZE 30
#define MESSAGE_MAX 400

/* nghttp2 puts no header block into frames that could pass 64 KiB; it reckons with 12 bytes more a field. */
#define HTTP2_HEAD_MAX 65536
#define HTTP2_HEAD_OWN 512 /* status, date and content-length */
#define HTTP2_FIELD_MORE 12

static const char *date_now(const struct world *world, char out[DATE_SIZE])
{
    mesh__http_date(world->unix_now(world) / NANOS_S, out);
    return out;
}

static size_t text_size(const mesh_header *headers, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += headers[i].name_size + headers[i].value_size;
    return size;
}

bool mesh__reply_fit(const mesh_exchange *exchange, const mesh_header *headers, size_t count)
{
    size_t at;
    if ((headers == NULL && count > 0) || mesh__http1_check_fields(headers, count, &at) != NULL)
        return false;
    size_t size = text_size(headers, count) + count * HTTP2_FIELD_MORE;
    return !exchange->is_http2 || size < HTTP2_HEAD_MAX - HTTP2_HEAD_OWN;
}

static bool is_fit(const mesh_exchange *exchange, const mesh_reply *reply)
{
    return reply->status >= 200 && reply->status <= 599 && (reply->body != NULL || reply->body_size == 0) &&
           mesh__reply_fit(exchange, reply->headers, reply->header_count);
}

/* How much follows, as the writer wants to know it. */
static int64_t size_said(const mesh_exchange *exchange, const mesh_reply *reply)
{
    if (!exchange->headed)
        return (int64_t)reply->body_size;
    return exchange->is_old || exchange->bodiless ? HTTP1_SIZE_TO_CLOSE : HTTP1_SIZE_CHUNKED;
}

/* An HTTP/1.0 peer that asked to keep the connection believes it only when it is told. */
static bool write_head(mesh_exchange *exchange, const mesh_reply *reply, const char *date)
{
    struct buf *out = &exchange->reply;
    int64_t size = size_said(exchange, reply);
    if (exchange->close || !exchange->keep_alive)
        return mesh__http1_write_response_open(out, reply->status, reply->headers, reply->header_count, size, date,
                                               exchange->close);
    const struct mem *mem = &exchange->server->mem;
    mesh_header *headers = mesh__alloc(mem, (reply->header_count + 1) * sizeof(*headers));
    if (headers == NULL)
        return false;
    if (reply->header_count > 0)
        memcpy(headers, reply->headers, reply->header_count * sizeof(*headers));
    headers[reply->header_count] = (mesh_header){ "connection", 10, "keep-alive", 10 };
    bool ok = mesh__http1_write_response_open(out, reply->status, headers, reply->header_count + 1, size, date, false);
    mesh__mem_free(mem, headers);
    return ok;
}

static const char *put(char **at, const char *text, size_t size)
{
    const char *start = *at;
    if (size > 0)
        memcpy(*at, text, size);
    *at += size;
    return start;
}

/* Copies the fields, and `date` unless that is NULL, into one block. */
static bool copy_fields(mesh_exchange *exchange, const mesh_reply *reply, const char *date)
{
    const struct mem *mem = &exchange->server->mem;
    size_t room = (reply->header_count + 1) * sizeof(mesh_header);
    size_t size = room + text_size(reply->headers, reply->header_count) + DATE_SIZE;
    mesh__mem_free(mem, exchange->fields);
    exchange->field_count = 0;
    exchange->fields = mesh__alloc(mem, size);
    if (exchange->fields == NULL)
        return false;
    char *at = (char *)exchange->fields + room;
    if (date != NULL)
        exchange->fields[exchange->field_count++] =
            (mesh_header){ "date", 4, put(&at, date, strlen(date)), strlen(date) };
    for (size_t i = 0; i < reply->header_count; i++) {
        const mesh_header *from = &reply->headers[i];
        mesh_header *to = &exchange->fields[exchange->field_count++];
        to->name = put(&at, from->name, from->name_size);
        to->value = put(&at, from->value, from->value_size);
        to->name_size = from->name_size;
        to->value_size = from->value_size;
    }
    return true;
}

static bool write_http2(mesh_exchange *exchange, const mesh_reply *reply, bool bodiless, const char *date)
{
    exchange->body_size = reply->body_size;
    if (copy_fields(exchange, reply, date) &&
        (bodiless || mesh__buf_append(&exchange->reply, reply->body, reply->body_size)))
        return true;
    mesh__mem_free(&exchange->server->mem, exchange->fields);
    exchange->fields = NULL;
    return false;
}

/* Whether this answer is the last of its connection. What comes in pieces may outlast the request, which is not judged
 * before both have ended. */
static bool is_last(mesh_exchange *exchange)
{
    bool pieces = mesh__exchange_answers_in_pieces(exchange);
    return mesh__server_is_draining(exchange->server) || mesh__exchange_is_outdated(exchange) ||
           (pieces ? exchange->is_old : mesh__flow_is_open(exchange));
}

static bool write_http1(mesh_exchange *exchange, const mesh_reply *reply, bool bodiless, const char *date)
{
    exchange->close |= is_last(exchange);
    if (write_head(exchange, reply, date) &&
        (bodiless || mesh__buf_append(&exchange->reply, reply->body, reply->body_size)))
        return true;
    mesh__buf_clear(&exchange->reply);
    return false;
}

static bool has_no_body(const mesh_exchange *exchange, const mesh_reply *reply)
{
    return exchange->is_head || reply->status == 204 || reply->status == 304;
}

static bool write_reply(mesh_exchange *exchange, const mesh_reply *reply)
{
    const struct world *world = exchange->server->own.loop.world;
    char date[DATE_SIZE];
    bool dated = mesh__exchange_find(reply->headers, reply->header_count, VIEW_LITERAL("date")) != NULL;
    bool bodiless = has_no_body(exchange, reply);
    exchange->status = reply->status;
    exchange->answered = world->now(world);
    mesh__buf_clear(&exchange->reply);
    const char *when = dated ? NULL : date_now(world, date);
    return (exchange->is_http2 ? write_http2 : write_http1)(exchange, reply, bodiless, when);
}

/* Takes what was given, of whatever version. False when it cannot be sent. */
static bool take(const mesh_exchange *exchange, const mesh_reply *given, mesh_reply *reply)
{
    *reply = (mesh_reply)MESH_REPLY_INIT;
    if (given == NULL || given->size == 0)
        return false;
    memcpy(reply, given, given->size < sizeof(*reply) ? given->size : sizeof(*reply));
    return is_fit(exchange, reply);
}

mesh_status mesh__reply_build(mesh_exchange *exchange, const mesh_reply *given)
{
    mesh_reply reply;
    if (!take(exchange, given, &reply)) {
        mesh__reply_own(exchange, 500, MESH_EINVAL, "");
        return MESH_EINVAL;
    }
    exchange->outcome = MESH_OK;
    if (write_reply(exchange, &reply))
        return MESH_OK;
    exchange->outcome = MESH_NO_MEMORY;
    return MESH_NO_MEMORY;
}

mesh_status mesh__reply_begin(mesh_exchange *exchange, const mesh_reply *given)
{
    mesh_reply reply, head;
    if (!take(exchange, given, &reply))
        return MESH_EINVAL;
    head = reply;
    head.body_size = 0;
    exchange->headed = true;
    exchange->bodiless = has_no_body(exchange, &reply);
    if (write_reply(exchange, &head) &&
        (exchange->bodiless || mesh__flow_write_whole(exchange, mesh__view(NULL, 0),
                                                      mesh__view(reply.body, reply.body_size), 0) != MESH_NO_MEMORY))
        return MESH_OK;
    exchange->headed = exchange->bodiless = false;
    return MESH_NO_MEMORY;
}

void mesh__reply_note_refusal(mesh_exchange *exchange, mesh_status status)
{
    const struct world *world = exchange->server->own.loop.world;
    switch (status) {
    case MESH_DEADLINE:
        exchange->refusal = exchange->inbound.deadline <= world->now(world) ? 504 : 408;
        break;
    case MESH_PROTOCOL:
        exchange->refusal = 400;
        break;
    case MESH_BODY_TOO_LARGE:
        exchange->refusal = 413;
        break;
    case MESH_HEADER_TOO_LARGE:
    case MESH_TOO_MANY_HEADERS:
        exchange->refusal = 431;
        break;
    default:
        break;
    }
}

void mesh__reply_drop(mesh_exchange *exchange)
{
    const struct world *world = exchange->server->own.loop.world;
    exchange->broken = mesh__exchange_answers_in_pieces(exchange);
    if (!exchange->broken) {
        exchange->headed = false;
        mesh__reply_own(exchange, exchange->refusal ? exchange->refusal : 500, MESH_OK, "");
        return;
    }
    exchange->outcome = MESH_PARTIAL_RESPONSE;
    exchange->answered = world->now(world);
}

static enum grpc_status grpc_status_of(int32_t status)
{
    switch (status) {
    case 408:
    case 504:
        return GRPC_DEADLINE_EXCEEDED;
    case 413:
    case 431:
        return GRPC_RESOURCE_EXHAUSTED;
    case 404:
    case 501:
        return GRPC_UNIMPLEMENTED;
    default:
        return mesh__grpc_from_http(status);
    }
}

/* A response that has nothing but trailers, which are its head. */
static void write_grpc(mesh_exchange *exchange, int32_t status, const char *text)
{
    char number[12];
    struct buf message;
    mesh__buf_init(&message, &exchange->server->mem, MESSAGE_MAX);
    (void)mesh__grpc_message_encode(&message, mesh__view(text, strcspn(text, "\n"))); /* cut, or none without memory */
    size_t digits = (size_t)snprintf(number, sizeof(number), "%d", (int)grpc_status_of(status));
    const mesh_header fields[] = { { "content-type", 12, "application/grpc", 16 },
                                   { "grpc-status", 11, number, digits },
                                   { "grpc-message", 12, message.data, message.size } };
    mesh_reply reply = MESH_REPLY_INIT;
    reply.headers = fields;
    reply.header_count = message.size > 0 ? 3 : 2;
    (void)write_reply(exchange, &reply);
    mesh__buf_fini(&message);
}

void mesh__reply_own(mesh_exchange *exchange, int32_t status, mesh_status outcome, const char *text)
{
    static const mesh_header plain = { "content-type", 12, "text/plain", 10 };
    mesh_reply reply = MESH_REPLY_INIT;
    exchange->outcome = outcome;
    exchange->trailers_only = exchange->is_grpc;
    if (exchange->is_grpc) {
        write_grpc(exchange, status, text);
        return;
    }
    reply.status = status;
    reply.body = text;
    reply.body_size = strlen(text);
    reply.headers = &plain;
    reply.header_count = reply.body_size > 0 ? 1 : 0;
    (void)write_reply(exchange, &reply); /* without memory nothing is sent: see mesh_exchange */
}

bool mesh__reply_refusal(struct buf *out, const struct world *world, int32_t status, const char *text)
{
    static const mesh_header plain = { "content-type", 12, "text/plain", 10 };
    char date[DATE_SIZE];
    return mesh__http1_write_response(out, status, &plain, 1, strlen(text), date_now(world, date), true) &&
           mesh__buf_append_text(out, text);
}
