/* SPDX-License-Identifier: Apache-2.0 */
/* reply.c - checks, then one buffer with head and body. */
#include "server/reply.h"

#include "wire/http1_check.h"
#include "wire/trace.h"

#define DATE_SIZE 30

static const char *date_now(const struct world *world, char out[DATE_SIZE])
{
    mesh__http_date(world->unix_now(world) / NANOS_S, out);
    return out;
}

static bool is_fit(const mesh_reply *reply)
{
    size_t at;
    if (reply->status < 200 || reply->status > 599)
        return false;
    if ((reply->headers == NULL && reply->header_count > 0) || (reply->body == NULL && reply->body_size > 0))
        return false;
    return mesh__http1_check_fields(reply->headers, reply->header_count, &at) == NULL;
}

/* An HTTP/1.0 peer that asked to keep the connection believes it only when it is told. */
static bool write_head(mesh_exchange *exchange, const mesh_reply *reply, const char *date)
{
    struct buf *out = &exchange->reply;
    if (exchange->close || !exchange->keep_alive)
        return mesh__http1_write_response(out, reply->status, reply->headers, reply->header_count, reply->body_size,
                                          date, exchange->close);
    const struct mem *mem = &exchange->server->mem;
    mesh_header *headers = mesh__alloc(mem, (reply->header_count + 1) * sizeof(*headers));
    if (headers == NULL)
        return false;
    if (reply->header_count > 0)
        memcpy(headers, reply->headers, reply->header_count * sizeof(*headers));
    headers[reply->header_count] = (mesh_header){ "connection", 10, "keep-alive", 10 };
    bool ok =
        mesh__http1_write_response(out, reply->status, headers, reply->header_count + 1, reply->body_size, date, false);
    mesh__mem_free(mem, headers);
    return ok;
}

static bool write_reply(mesh_exchange *exchange, const mesh_reply *reply)
{
    const struct world *world = exchange->server->own.loop.world;
    char date[DATE_SIZE];
    bool dated = mesh__exchange_find(reply->headers, reply->header_count, VIEW_LITERAL("date")) != NULL;
    bool bodiless = exchange->is_head || reply->status == 204 || reply->status == 304;
    exchange->status = reply->status;
    exchange->answered = world->now(world);
    exchange->close |= mesh__server_is_draining(exchange->server) || mesh__exchange_is_outdated(exchange);
    mesh__buf_clear(&exchange->reply);
    if (write_head(exchange, reply, dated ? NULL : date_now(world, date)) &&
        (bodiless || mesh__buf_append(&exchange->reply, reply->body, reply->body_size)))
        return true;
    mesh__buf_clear(&exchange->reply);
    return false;
}

mesh_status mesh__reply_build(mesh_exchange *exchange, const mesh_reply *given)
{
    mesh_reply reply = MESH_REPLY_INIT;
    bool fit = given != NULL && given->size > 0;
    if (fit) {
        memcpy(&reply, given, given->size < sizeof(reply) ? given->size : sizeof(reply));
        fit = is_fit(&reply);
    }
    if (!fit) {
        mesh__reply_own(exchange, 500, MESH_EINVAL, "");
        return MESH_EINVAL;
    }
    exchange->outcome = MESH_OK;
    if (write_reply(exchange, &reply))
        return MESH_OK;
    exchange->outcome = MESH_NO_MEMORY;
    return MESH_NO_MEMORY;
}

void mesh__reply_own(mesh_exchange *exchange, int32_t status, mesh_status outcome, const char *text)
{
    static const mesh_header plain = { "content-type", 12, "text/plain", 10 };
    mesh_reply reply = MESH_REPLY_INIT;
    reply.status = status;
    reply.body = text;
    reply.body_size = strlen(text);
    reply.headers = &plain;
    reply.header_count = reply.body_size > 0 ? 1 : 0;
    exchange->outcome = outcome;
    (void)write_reply(exchange, &reply); /* without memory the connection is closed: the reply is empty */
}

bool mesh__reply_refusal(struct buf *out, const struct world *world, int32_t status, const char *text)
{
    static const mesh_header plain = { "content-type", 12, "text/plain", 10 };
    char date[DATE_SIZE];
    return mesh__http1_write_response(out, status, &plain, 1, strlen(text), date_now(world, date), true) &&
           mesh__buf_append_text(out, text);
}
