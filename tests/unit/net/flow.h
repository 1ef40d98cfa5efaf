/* SPDX-License-Identifier: Apache-2.0 */
/* flow.h - exchanges whose bodies come and go in pieces: a source that gives what the test puts there, and notes of
 * what was told, in which runs of body are one letter. */
#ifndef TEST_NET_FLOW_H
#define TEST_NET_FLOW_H

#include "scene.h"

struct flow {
    struct exchange exchange;
    struct buf head;
    char story[128]; /* r(eady), p(art sent), s(ent), h(ead), b(ody), t(railers), e(nd), f(ailed) */
    char trailers[128];
    uint64_t received;
    struct failure failure;
    const char *ready; /* what the source gives next; NULL: nothing yet */
    size_t size;       /* of it */
    bool last, broken, cancel;
    struct http1_field_group last_trailers;
    int asked;
};

static struct flow *flow_of(struct exchange *exchange)
{
    return CONTAINER_OF(exchange, struct flow, exchange);
}

static void flow_note(struct exchange *exchange, char letter)
{
    struct flow *flow = flow_of(exchange);
    size_t size = strlen(flow->story);
    ck_assert_uint_lt(size, sizeof(flow->story) - 1);
    if (letter != 'b' || size == 0 || flow->story[size - 1] != 'b')
        flow->story[size] = letter;
}

static void flow_ready(struct exchange *exchange)
{
    flow_note(exchange, 'r');
}

static void flow_sent(struct exchange *exchange, enum sent sent)
{
    flow_note(exchange, sent == SENT_ALL ? 's' : 'p');
}

static bool flow_head(struct exchange *exchange, const struct http1_head *head)
{
    (void)head;
    flow_note(exchange, 'h');
    return true;
}

static bool flow_body(struct exchange *exchange, struct view bytes)
{
    flow_of(exchange)->received += bytes.size;
    flow_note(exchange, 'b');
    return true;
}

static bool flow_trailers(struct exchange *exchange, const mesh_header *headers, size_t count)
{
    struct flow *flow = flow_of(exchange);
    size_t at = 0;
    flow_note(exchange, 't');
    for (size_t i = 0; i < count; i++)
        at +=
            (size_t)snprintf(flow->trailers + at, sizeof(flow->trailers) - at, "[%.*s: %.*s]",
                             (int)headers[i].name_size, headers[i].name, (int)headers[i].value_size, headers[i].value);
    return true;
}

static void flow_end(struct exchange *exchange)
{
    ck_assert_ptr_null(exchange->channel);
    flow_note(exchange, 'e');
}

static void flow_failed(struct exchange *exchange, const struct failure *failure)
{
    ck_assert_ptr_null(exchange->channel);
    flow_of(exchange)->failure = *failure;
    flow_note(exchange, 'f');
}

static const struct exchange_events flow_events = { .ready = flow_ready,
                                                    .sent = flow_sent,
                                                    .head = flow_head,
                                                    .body = flow_body,
                                                    .trailers = flow_trailers,
                                                    .end = flow_end,
                                                    .failed = flow_failed };

static enum body_next flow_next(void *user, size_t most, struct view *bytes, struct http1_field_group *trailers)
{
    struct flow *flow = user;
    flow->asked++;
    if (flow->cancel) {
        mesh__exchange_cancel(&flow->exchange);
        return BODY_LATER;
    }
    if (flow->broken)
        return BODY_BROKEN;
    if (flow->ready == NULL && !flow->last)
        return BODY_LATER;
    *bytes = mesh__view(flow->ready, flow->size < most ? flow->size : most);
    flow->size -= bytes->size;
    flow->ready = flow->size > 0 ? flow->ready + bytes->size : NULL;
    if (flow->size > 0 || !flow->last)
        return BODY_MORE;
    *trailers = flow->last_trailers;
    return BODY_LAST;
}

static inline void flow_give(struct flow *flow, const char *text, bool last)
{
    flow->ready = text;
    flow->size = text ? strlen(text) : 0;
    flow->last = last;
}

/* Begins an exchange in the first pool; `size` as in struct body_source. */
static inline void flow_begin(struct flow *flow, const char *method, int64_t size, bool credit)
{
    mesh__buf_init(&flow->head, &mesh__mem_system, 65536);
    flow->exchange = (struct exchange){ .events = &flow_events,
                                        .method = mesh__view_of(method),
                                        .path = VIEW_LITERAL("/"),
                                        .authority = VIEW_LITERAL("s"),
                                        .credit = credit,
                                        .head = &flow->head,
                                        .limits = { 65536, 100, UINT64_MAX } };
    if (method[0] == 'P')
        flow->exchange.body = (struct body_source){ .next = flow_next, .next_user = flow, .size = size };
    mesh__pool_acquire(scene.pools[0], &flow->exchange);
}

static inline void flow_over(struct flow *flow)
{
    mesh__exchange_cancel(&flow->exchange);
    mesh__buf_fini(&flow->head);
}

#endif
