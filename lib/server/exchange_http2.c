/* SPDX-License-Identifier: Apache-2.0 */
/* exchange_http2.c - the exchanges of an HTTP/2 connection: collected from its codec's events, handed over, answered.
 */
#include "server/access.h"
#include "server/connection_http2.h"
#include "server/reply.h"

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

/* Something got on: of those that wait for their peer it is the one that stood still the shortest. */
static void mark_moved(struct connection *connection, mesh_exchange *exchange)
{
    bool waits = exchange->sending || (exchange->coming && !exchange->returned);
    exchange->moved = now_of(connection);
    enter(connection, exchange, waits ? EXCHANGE_GOING : EXCHANGE_SERVING);
}

static enum body_next next_bytes(void *user, size_t most, struct view *bytes, struct http1_field_group *trailers)
{
    mesh_exchange *exchange = user;
    enum body_next next = mesh__flow_next(exchange, most, bytes, trailers);
    exchange->sending = next != BODY_LATER;
    mark_moved(exchange->connection, exchange);
    return next;
}

static bool respond(mesh_exchange *exchange)
{
    const struct http1_field_group group = { exchange->fields, exchange->field_count };
    struct http2_response response = { .status = exchange->status, .groups = &group, .group_count = 1 };
    bool pieces = mesh__exchange_answers_in_pieces(exchange);
    response.no_body = exchange->is_head;
    response.no_size = exchange->trailers_only || exchange->headed;
    if (pieces || exchange->reply.size > 0)
        response.body = (struct body_source){ .next = next_bytes, .next_user = exchange };
    else
        response.body.bytes = mesh__view("", exchange->body_size); /* of HEAD: its size is said */
    response.body.size = pieces ? -1 : (int64_t)exchange->body_size;
    return exchange->fields != NULL && mesh__http2_respond(exchange->stream, &response);
}

void mesh__http2_side_reset(struct connection *connection, mesh_exchange *exchange, uint32_t code)
{
    leave(connection, exchange);
    mesh__http2_reset(exchange->stream, code);
    mesh__connection_lose(exchange, MESH_CANCELLED);
    mesh__http2_side_touch(connection);
}

static void report(mesh_exchange *exchange)
{
    if (exchange->returned)
        mesh__exchange_report(exchange, exchange->outcome, exchange->status, exchange->answered);
}

/* Of an exchange that has its reply, or the head of it. */
static void answer(struct connection *connection, mesh_exchange *exchange)
{
    if (mesh__flow_take_continue(exchange))
        (void)mesh__http2_continue(exchange->stream);
    if (exchange->returned)
        mesh__buf_fini(&exchange->body);
    exchange->started = true;
    exchange->sending = exchange->returned;
    mark_moved(connection, exchange);
    mesh__http2_side_touch(connection);
    if (!respond(exchange))
        mesh__http2_side_reset(connection, exchange, HTTP2_INTERNAL_ERROR);
}

static void answer_own(struct connection *connection, mesh_exchange *exchange, int32_t status, mesh_status outcome,
                       const char *text)
{
    mesh__reply_own(exchange, status, outcome, text);
    exchange->returned = true; /* nobody else has it */
    mesh__flow_finish(exchange);
    report(exchange);
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

/* NULL once its request is complete, or nobody wants it any more: what still comes of it is dropped. */
static mesh_exchange *coming(const struct http2_stream *stream)
{
    mesh_exchange *exchange = mesh__http2_stream_user(stream);
    return exchange != NULL && exchange->coming && !exchange->returned ? exchange : NULL;
}

/* False: it was answered. */
static bool expect(struct connection *connection, mesh_exchange *exchange, const struct http1_head *head)
{
    const mesh_header *field = mesh__exchange_find(head->headers, head->header_count, VIEW_LITERAL("expect"));
    if (field == NULL)
        return true;
    if (!mesh__view_equal_nocase(mesh__view(field->value, field->value_size), VIEW_LITERAL("100-continue"))) {
        mesh__http2_side_refuse(connection, exchange, 417, MESH_PROTOCOL, "an expectation other than 100-continue");
        return false;
    }
    if (exchange->in_pieces)
        exchange->flow.expects_continue = true;
    else if (head->content_length != 0)
        (void)mesh__http2_continue(exchange->stream); /* without memory the peer waits a while, as it must */
    return true;
}

static void serve(struct connection *connection, mesh_exchange *exchange)
{
    mark_moved(connection, exchange);
    if (!mesh__connection_hand_over(exchange))
        answer_own(connection, exchange, 503, MESH_OVERLOADED, "too many requests wait\n");
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
    exchange->in_pieces = connection->server->streams && head->content_length != 0;
    if (exchange->denied)
        answer_own(connection, exchange, 403, MESH_DENIED, ACCESS_DENIED_TEXT); /* its body is not waited for */
    else if (expect(connection, exchange, head) && exchange->in_pieces)
        serve(connection, exchange);
    return true;
}

static bool on_body(void *user, struct http2_stream *stream, struct view bytes)
{
    struct connection *connection = user;
    mesh_exchange *exchange = coming(stream);
    if (exchange == NULL)
        return true;
    if (exchange->handed) {
        mark_moved(connection, exchange);
        return mesh__flow_put(exchange, bytes);
    }
    mesh__http2_consume(stream, bytes.size);
    return mesh__buf_append_view(&exchange->body, bytes);
}

static bool on_trailers(void *user, struct http2_stream *stream, const mesh_header *headers, size_t count)
{
    struct connection *connection = user;
    mesh_exchange *exchange = coming(stream);
    return exchange == NULL || mesh__flow_copy(&connection->server->mem, headers, count, &exchange->flow.trailers);
}

static bool on_end(void *user, struct http2_stream *stream)
{
    struct connection *connection = user;
    mesh_exchange *exchange = coming(stream);
    if (exchange == NULL)
        return true;
    exchange->coming = false;
    mesh__flow_end(exchange, MESH_OK);
    if (exchange->handed)
        mark_moved(connection, exchange);
    else
        serve(connection, exchange);
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
    mesh_exchange *exchange = coming(stream);
    if (exchange != NULL && exchange->handed) {
        exchange->coming = false;
        mesh__flow_end(exchange, status);
    } else if (exchange != NULL) {
        mesh__http2_side_refuse(connection, exchange, code, status, words);
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
    bool malformed = !exchange->handed && closed->status == MESH_PROTOCOL && !closed->by_peer;
    if (malformed)
        mesh__connection_log_refusal(connection, 400, closed->reason, text);
    mesh__connection_lose(exchange, malformed ? MESH_PROTOCOL : MESH_CANCELLED);
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

/* What whoever has it has read and written since. */
static void go_on(struct connection *connection, mesh_exchange *exchange)
{
    struct flow_news news = mesh__flow_news(exchange);
    if (exchange->started && news.waiting) {
        if (!exchange->sending) {
            exchange->sending = true;
            mark_moved(connection, exchange);
        }
        mesh__http2_resume(exchange->stream);
    }
    if (news.credit > 0 && exchange->coming)
        mesh__http2_consume(exchange->stream, news.credit);
    if (news.say_continue && !exchange->started)
        (void)mesh__http2_continue(exchange->stream);
    mesh__http2_side_touch(connection);
}

void mesh__http2_side_follow(struct connection *connection, mesh_exchange *exchange, uint32_t posts)
{
    report(exchange);
    if (exchange->returned && exchange->broken)
        mesh__http2_side_reset(connection, exchange, HTTP2_INTERNAL_ERROR);
    else if (!exchange->started && (posts & (POST_HEAD | POST_FINAL)))
        answer(connection, exchange);
    if (exchange->connection != NULL)
        go_on(connection, exchange);
    if (!exchange->returned)
        mesh__flow_tell(exchange);
}

void mesh__http2_side_stand(struct connection *connection, mesh_exchange *exchange)
{
    mesh_nanos time = connection->server->settings->idle_timeout;
    if (exchange->sending) {
        mesh__http2_side_reset(connection, exchange, HTTP2_CANCEL);
        return;
    }
    mesh_nanos since = mesh__flow_reading_since(exchange);
    if (since != NANOS_NEVER && mesh__nanos_add(since, time) <= now_of(connection)) {
        exchange->coming = false;
        mesh__flow_end(exchange, MESH_DEADLINE);
    }
    mark_moved(connection, exchange);
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
    struct list *lists[] = { &side->coming, &side->serving, &side->going };
    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++)
        while ((node = mesh__list_pop(lists[i])) != NULL)
            mesh__connection_lose(CONTAINER_OF(node, mesh_exchange, here), MESH_CANCELLED);
}
