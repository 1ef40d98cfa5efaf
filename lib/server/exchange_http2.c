/* SPDX-License-Identifier: Apache-2.0 */
/* exchange_http2.c - the exchanges of an HTTP/2 connection: collected from its codec's events, handed over, answered.
 */
#include "server/access.h"
#include "server/connection_http2.h"
#include "server/reply.h"
#include "server/workers.h"

void mesh__http2_side_touch(struct connection *connection)
{
    if (!mesh__list_linked(&connection->http2.link))
        mesh__list_push(&connection->server->own.dirty, &connection->http2.link);
}

static mesh_nanos now_of(const struct connection *connection)
{
    return connection->server->own.loop.now;
}

/* ---- exchanges and their lists ---- */

bool mesh__http2_side_has_exchanges(const struct connection_http2 *side)
{
    return !mesh__list_empty(&side->coming) || !mesh__list_empty(&side->serving) || !mesh__list_empty(&side->going);
}

mesh_exchange *mesh__http2_side_first(const struct list *list)
{
    return mesh__list_empty(list) ? NULL : CONTAINER_OF(list->next, mesh_exchange, here);
}

static void enter(struct connection *connection, mesh_exchange *exchange, enum exchange_stage stage)
{
    struct connection_http2 *side = &connection->http2;
    struct list *lists[] = { &side->coming, &side->serving, &side->going };
    mesh__list_remove(&exchange->here);
    mesh__list_push(lists[stage], &exchange->here);
    exchange->stage = stage;
}

static void leave(struct connection *connection, mesh_exchange *exchange)
{
    mesh__list_remove(&exchange->here);
    if (!mesh__http2_side_has_exchanges(&connection->http2))
        connection->http2.idle_since = now_of(connection);
}

/* ---- answers ---- */

/* The answer got on: it is the one that stood still the shortest. */
static void mark_moved(struct connection *connection, mesh_exchange *exchange)
{
    exchange->moved = now_of(connection);
    enter(connection, exchange, EXCHANGE_GOING);
}

static enum body_next next_bytes(void *user, size_t most, struct view *bytes, struct http1_field_group *trailers)
{
    mesh_exchange *exchange = user;
    size_t left = exchange->reply.size - exchange->body_sent;
    (void)trailers;
    *bytes = mesh__view(exchange->reply.data + exchange->body_sent, left < most ? left : most);
    exchange->body_sent += bytes->size;
    mark_moved(exchange->connection, exchange);
    return exchange->body_sent == exchange->reply.size ? BODY_LAST : BODY_MORE;
}

static bool respond(mesh_exchange *exchange)
{
    const struct http1_field_group group = { exchange->fields, exchange->field_count };
    struct http2_response response = { .status = exchange->status, .groups = &group, .group_count = 1 };
    response.no_body = exchange->is_head;
    response.no_size = exchange->trailers_only;
    if (exchange->reply.size > 0)
        response.body = (struct body_source){ .next = next_bytes, .next_user = exchange };
    else
        response.body.bytes = mesh__view("", exchange->body_size); /* of HEAD: its size is said */
    response.body.size = (int64_t)exchange->body_size;
    return exchange->fields != NULL && mesh__http2_respond(exchange->stream, &response);
}

void mesh__http2_side_reset(struct connection *connection, mesh_exchange *exchange, uint32_t code)
{
    leave(connection, exchange);
    mesh__http2_reset(exchange->stream, code);
    mesh__exchange_free(exchange);
    mesh__http2_side_touch(connection);
}

/* Of an exchange that has its reply. */
static void answer(struct connection *connection, mesh_exchange *exchange)
{
    mesh__exchange_report(exchange, exchange->outcome, exchange->status, exchange->answered);
    mesh__buf_fini(&exchange->body);
    mark_moved(connection, exchange);
    mesh__http2_side_touch(connection);
    if (!respond(exchange))
        mesh__http2_side_reset(connection, exchange, HTTP2_INTERNAL_ERROR);
}

static void answer_own(struct connection *connection, mesh_exchange *exchange, int32_t status, mesh_status outcome,
                       const char *text)
{
    mesh__reply_own(exchange, status, outcome, text);
    answer(connection, exchange);
}

void mesh__http2_side_refuse(struct connection *connection, mesh_exchange *exchange, int32_t status,
                             mesh_status outcome, const char *reason)
{
    char text[REFUSAL_TEXT_MAX];
    mesh__connection_log_refusal(connection, status, reason, text);
    answer_own(connection, exchange, status, outcome, text);
}

/* ---- requests ---- */

/* NULL once its request is complete or answered: what still comes of it is dropped. */
static mesh_exchange *coming(const struct http2_stream *stream)
{
    mesh_exchange *exchange = mesh__http2_stream_user(stream);
    return exchange != NULL && exchange->stage == EXCHANGE_COMING ? exchange : NULL;
}

static void expect(struct connection *connection, mesh_exchange *exchange, const struct http1_head *head)
{
    const mesh_header *field = mesh__exchange_find(head->headers, head->header_count, VIEW_LITERAL("expect"));
    if (field == NULL)
        return;
    if (!mesh__view_equal_nocase(mesh__view(field->value, field->value_size), VIEW_LITERAL("100-continue")))
        mesh__http2_side_refuse(connection, exchange, 417, MESH_PROTOCOL, "an expectation other than 100-continue");
    else if (head->content_length != 0)
        (void)mesh__http2_continue(exchange->stream); /* without memory the peer waits a while, as it must */
}

static bool on_head(void *user, struct http2_stream *stream, const struct http1_head *head)
{
    struct connection *connection = user;
    mesh_exchange *exchange = mesh__exchange_new(connection->server, connection, stream, connection->peer, head);
    if (exchange == NULL)
        return false;
    mesh__http2_set_stream_user(stream, exchange);
    enter(connection, exchange, EXCHANGE_COMING);
    if (!mesh__access_judge(exchange, &exchange->denied))
        return false;
    if (exchange->denied)
        answer_own(connection, exchange, 403, MESH_DENIED, ACCESS_DENIED_TEXT); /* its body is not waited for */
    else
        expect(connection, exchange, head);
    return true;
}

static bool on_body(void *user, struct http2_stream *stream, struct view bytes)
{
    (void)user;
    mesh_exchange *exchange = coming(stream);
    if (exchange == NULL)
        return true;
    mesh__http2_consume(stream, bytes.size);
    return mesh__buf_append_view(&exchange->body, bytes);
}

static bool on_trailers(void *user, struct http2_stream *stream, const mesh_header *headers, size_t count)
{
    (void)user;
    (void)stream;
    (void)headers;
    (void)count;
    return true;
}

static bool on_end(void *user, struct http2_stream *stream)
{
    struct connection *connection = user;
    mesh_server *server = connection->server;
    mesh_exchange *exchange = coming(stream);
    if (exchange == NULL)
        return true;
    enter(connection, exchange, EXCHANGE_SERVING);
    if (server->workers == NULL)
        mesh__server_handle(exchange);
    else if (!mesh__workers_push(server->workers, exchange))
        answer_own(connection, exchange, 503, MESH_OVERLOADED, "too many requests wait\n");
    return true;
}

static const char *words_of(mesh_status limit)
{
    if (limit == MESH_BODY_TOO_LARGE)
        return "a body beyond max_body";
    return limit == MESH_HEADER_TOO_LARGE ? "a header beyond max_header" : "more header fields than max_headers";
}

/* There is no exchange where the head itself is too large. */
static void on_refused(void *user, struct http2_stream *stream, mesh_status status)
{
    struct connection *connection = user;
    static const mesh_header plain = { "content-type", 12, "text/plain", 10 };
    static const struct http1_field_group group = { &plain, 1 };
    const char *words = words_of(status);
    int32_t code = status == MESH_BODY_TOO_LARGE ? 413 : 431;
    char text[REFUSAL_TEXT_MAX];
    if (coming(stream) != NULL) {
        mesh__http2_side_refuse(connection, coming(stream), code, status, words);
    } else if (mesh__http2_stream_user(stream) == NULL) {
        struct http2_response response = { .status = code, .groups = &group, .group_count = 1 };
        response.body.bytes = mesh__view_of(words);
        mesh__connection_log_refusal(connection, code, words, text);
        if (!mesh__http2_respond(stream, &response))
            mesh__http2_reset(stream, HTTP2_INTERNAL_ERROR);
    }
}

static void on_closed(void *user, struct http2_stream *stream, const struct http2_closed *closed)
{
    struct connection *connection = user;
    mesh_exchange *exchange = mesh__http2_stream_user(stream);
    char text[REFUSAL_TEXT_MAX];
    if (exchange == NULL)
        return;
    leave(connection, exchange);
    bool malformed = exchange->stage == EXCHANGE_COMING && closed->status == MESH_PROTOCOL && !closed->by_peer;
    if (malformed)
        mesh__connection_log_refusal(connection, 400, closed->reason, text);
    if (exchange->stage == EXCHANGE_GOING)
        mesh__exchange_free(exchange); /* told when it was answered */
    else
        mesh__connection_lose(exchange, malformed ? MESH_PROTOCOL : MESH_CANCELLED,
                              exchange->stage == EXCHANGE_SERVING);
}

static void on_settings(void *user, uint32_t max_streams)
{
    (void)user;
    (void)max_streams;
}

static void on_goaway(void *user, const struct http2_goaway *goaway)
{
    (void)user;
    (void)goaway;
}

static void on_pong(void *user)
{
    (void)user;
}

const struct http2_events mesh__http2_side_events = { on_head,   on_body,     on_trailers, on_end, on_refused,
                                                      on_closed, on_settings, on_goaway,   on_pong };

/* ---- of the connection ---- */

void mesh__http2_side_answer(struct connection *connection, mesh_exchange *exchange)
{
    answer(connection, exchange);
}

static uint32_t count(const struct list *list)
{
    uint32_t number = 0;
    for (const struct list *node = list->next; node != list; node = node->next)
        number++;
    return number;
}

uint32_t mesh__http2_side_count(const struct connection *connection)
{
    const struct connection_http2 *side = &connection->http2;
    return count(&side->coming) + count(&side->serving) + count(&side->going);
}

void mesh__http2_side_lose(struct connection *connection)
{
    struct connection_http2 *side = &connection->http2;
    struct list *node;
    mesh__list_remove(&side->link);
    while ((node = mesh__list_pop(&side->coming)) != NULL)
        mesh__connection_lose(CONTAINER_OF(node, mesh_exchange, here), MESH_CANCELLED, false);
    while ((node = mesh__list_pop(&side->serving)) != NULL)
        mesh__connection_lose(CONTAINER_OF(node, mesh_exchange, here), MESH_CANCELLED, true);
    while ((node = mesh__list_pop(&side->going)) != NULL)
        mesh__exchange_free(CONTAINER_OF(node, mesh_exchange, here));
}
