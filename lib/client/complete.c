/* SPDX-License-Identifier: Apache-2.0 */
/* complete.c - results, counters, spans and wake-ups at the end of a call. */
#include "client/complete.h"

#include "client/driver.h"
#include "client/futex.h"
#include "client/grpc.h"
#include "client/request.h"
#include "client/shard.h"
#include "client/stream.h"
#include "client/token.h"

#include <stdio.h>
#include <string.h>

#define MESSAGE_MAX 2000
#define PEER_WORDS_MAX 400 /* of a grpc-message in a message: all of it is in the result */

static void describe_attempt(struct buf *text, const struct attempt_record *attempt)
{
    mesh__buf_printf(text, "%s ", attempt->endpoint[0] ? attempt->endpoint : "?");
    if (attempt->status == MESH_OK)
        mesh__buf_printf(text, "answered %d", (int)attempt->http_status);
    else
        mesh__buf_printf(text, "%s", mesh_status_name(attempt->status));
    if (attempt->status == MESH_OK && attempt->grpc_status >= 0)
        mesh__buf_printf(text, " %s", mesh__grpc_status_name(attempt->grpc_status));
    if (attempt->reason)
        mesh__buf_printf(text, " (%s)", attempt->reason);
    else if (attempt->error_number) {
        char words[80];
        mesh__buf_printf(text, " (%s)", strerror_r(attempt->error_number, words, sizeof(words)));
    }
    mesh_nanos took = attempt->connect + attempt->send + attempt->wait + attempt->receive;
    mesh__buf_printf(text, " after %lld.%03lld ms", (long long)(took / NANOS_MS),
                     (long long)(took % NANOS_MS / NANOS_US));
}

static void describe_unknown_service(struct call *call, struct buf *text)
{
    const struct config *config = call->pin->snapshot->config;
    const char *nearest = mesh__config_nearest_service(config, call->service_name);
    mesh__buf_printf(text, "; there is no \"%s\"", call->service_name);
    if (nearest)
        mesh__buf_printf(text, ", did you mean \"%s\"?", nearest);
}

/* The peer's words, on one line. */
static void append_words(struct buf *text, const char *words)
{
    for (size_t i = 0; i < PEER_WORDS_MAX && words[i]; i++)
        mesh__buf_append_char(text, (unsigned char)words[i] < ' ' ? ' ' : words[i]);
}

/* What it ended with: "CONNECT_REFUSED: the endpoint refused the connection", and before that, or alone where a
 * response said so, "grpc-status 14 UNAVAILABLE: no backend". */
static void describe_end(const struct mesh_result *result, struct buf *text)
{
    if (result->grpc_status >= 0)
        mesh__buf_printf(text, "grpc-status %d %s: ", (int)result->grpc_status,
                         mesh__grpc_status_name(result->grpc_status));
    if (result->status == MESH_OK)
        append_words(text, result->grpc_message);
    else
        mesh__buf_printf(text, "%s: %s", mesh_status_name(result->status), mesh_status_text(result->status));
}

/* "payment: CONNECT_REFUSED: the endpoint refused the connection; tried A .., then B ..; not retried: budget". */
static void describe(struct call *call)
{
    struct mesh_result *result = call->result;
    char space[MESSAGE_MAX + 1];
    struct buf text = {
        .mem = &call->shard->client->mem, .data = space, .capacity = sizeof(space), .cap = MESSAGE_MAX
    };
    mesh__buf_printf(&text, "%s: ", call->service_name);
    describe_end(result, &text);
    if (call->service == NULL)
        describe_unknown_service(call, &text);
    else if (result->attempt_count == 0 && call->service->detail)
        mesh__buf_printf(&text, ": %s", call->service->detail);
    if (call->service && result->attempt_count == 0 && call->pinned_endpoint && result->status == MESH_NO_ENDPOINT)
        mesh__buf_printf(&text, ": %s, which the request asks for, is none of them", call->pinned_endpoint);
    for (uint8_t i = 0; i < result->attempt_count; i++) {
        mesh__buf_append_text(&text, i == 0 ? "; tried " : ", then ");
        describe_attempt(&text, &result->attempts[i]);
    }
    int32_t stop = result->attempt_count ? result->attempts[result->attempt_count - 1].stop : MESH_STOP_NONE;
    if (stop != MESH_STOP_NONE)
        mesh__buf_printf(&text, "; no further attempt: %s", mesh_stop_name(stop));
    const char *copy = mesh__result_copy(result, mesh__view(text.data, text.size));
    result->message = copy ? copy : mesh_status_text(result->status);
}

static void count(struct call *call)
{
    struct service_shard *mine = call->service->live->shards[call->shard->index];
    mesh_status status = call->result->status;
    if (status == MESH_OK)
        COUNTER_ADD(mine->responses, 1);
    else
        COUNTER_ADD(mine->failures, 1);
    if (status == MESH_CANCELLED)
        COUNTER_ADD(mine->cancelled, 1);
    if (status == MESH_DEADLINE)
        COUNTER_ADD(mine->deadlines, 1);
}

/* ---- spans ---- */

static void set_text(char *to, size_t size, struct view from)
{
    size_t part = from.size < size - 1 ? from.size : size - 1;
    if (part > 0)
        memcpy(to, from.data, part);
    to[part] = '\0';
}

static void fill_span(const struct call *call, struct span_record *span, mesh_nanos start, mesh_nanos duration)
{
    const struct mesh_client *client = call->shard->client;
    mesh_nanos now = call->shard->loop.now;
    memset(span, 0, sizeof(*span));
    span->context = call->trace;
    span->start_unix_ns = client->world->unix_now(client->world) - (now - start);
    span->duration_ns = duration;
    span->tag = call->result->tag;
    const char *query = memchr(call->path.data, '?', call->path.size);
    set_text(span->service, sizeof(span->service), mesh__view_of(call->service_name));
    set_text(span->method, sizeof(span->method), call->method);
    set_text(span->path, sizeof(span->path),
             mesh__view(call->path.data, query ? (size_t)(query - call->path.data) : call->path.size));
}

void mesh__complete_attempt_span(struct call *call, uint8_t attempt)
{
    struct outbox *outbox = call->shard->client->outbox;
    if (!mesh__outbox_wants_spans(outbox))
        return;
    const struct attempt_record *record = &call->result->attempts[attempt];
    struct span_record span;
    mesh_nanos start = call->start + record->start;
    fill_span(call, &span, start, call->shard->loop.now - start);
    span.kind = MESH_SPAN_ATTEMPT;
    span.attempt = attempt;
    memcpy(span.context.span_id, record->span_id, sizeof(span.context.span_id));
    memcpy(span.parent_id, call->trace.span_id, sizeof(span.parent_id));
    span.status = record->status;
    span.http_status = record->http_status;
    span.grpc_status = record->grpc_status;
    set_text(span.endpoint, sizeof(span.endpoint), mesh__view_of(record->endpoint));
    mesh__outbox_span(outbox, &span);
}

static void send_call_span(struct call *call)
{
    struct outbox *outbox = call->shard->client->outbox;
    if (!mesh__outbox_wants_spans(outbox))
        return;
    const struct mesh_result *result = call->result;
    struct span_record span;
    fill_span(call, &span, call->start, result->duration);
    span.kind = MESH_SPAN_CALL;
    memcpy(span.parent_id, call->parent_id, sizeof(span.parent_id));
    span.status = result->status;
    span.http_status = result->http_status;
    span.grpc_status = result->grpc_status;
    if (result->attempt_count)
        set_text(span.endpoint, sizeof(span.endpoint),
                 mesh__view_of(result->attempts[result->attempt_count - 1].endpoint));
    mesh__outbox_span(outbox, &span);
}

/* ---- the end ---- */

static void take_reasons(struct call *call)
{
    for (uint8_t i = 0; i < call->result->attempt_count; i++) {
        call->result->attempts[i].retry = (int32_t)call->machine.attempts[i].retry;
        call->result->attempts[i].stop = (int32_t)call->machine.attempts[i].stop;
    }
}

static void unlink_all(struct call *call)
{
    struct shard *shard = call->shard;
    mesh__list_remove(&call->link);
    mesh__list_remove(&call->sleeping);
    mesh__list_remove(&call->waiting);
    mesh__loop_timer_cancel(&shard->loop, &call->timer);
    if (call->token) {
        mesh__token_detach(call->token, call);
        mesh__token_unref(call->token);
        call->token = NULL;
    }
    if (call->head.capacity > CALL_HEAD_KEPT)
        mesh__buf_fini(&call->head);
    mesh__shard_unpin(shard, call->pin);
    call->started = false;
    call->pin = NULL;
    call->service = NULL;
}

static void tell(struct call *call)
{
    struct shard *shard = call->shard;
    if (call->blocking) {
        bool asleep = !call->driven_here;
        atomic_fetch_sub(&shard->live_calls, 1);
        atomic_store(&call->word, CALL_DONE); /* from here on the slot is the caller's */
        if (asleep)
            mesh__futex_wake(&call->word, 1);
        return;
    }
    if (call->stream) {
        shard->streams_ended++;
        mesh__stream_ended(call);
        mesh__shard_give_slot(call);
        return;
    }
    struct mesh_result *result = call->result;
    call->result = NULL;
    result->queued = NULL;
    if (shard->done_last)
        shard->done_last->queued = result;
    else
        shard->done_first = result;
    shard->done_last = result;
    mesh__shard_give_slot(call);
}

void mesh__complete_call(struct call *call)
{
    struct mesh_result *result = call->result;
    result->id = mesh__call_id(call);
    result->duration = mesh__nanos_max(0, call->shard->loop.now - call->start);
    if (call->service) {
        take_reasons(call);
        count(call);
    }
    if (result->status != MESH_OK) {
        if (call->stream == NULL || !call->stream->answered)
            mesh__result_drop_response(result); /* else its head has been handed on */
        if (mesh__grpc_is(call))
            mesh__grpc_conclude(call);
    }
    if (result->status != MESH_OK || result->grpc_status > MESH_GRPC_OK)
        describe(call);
    else
        result->message = "a response arrived";
    if (result->status != MESH_OK && mesh__grpc_is(call))
        result->grpc_message = result->message;
    if (call->service)
        send_call_span(call);
    struct mesh_client *client = call->shard->client;
    unlink_all(call);
    tell(call);
    if (atomic_load_explicit(&client->state, memory_order_relaxed) != CLIENT_OPEN)
        mesh__driver_note_leave(client);
}

/* Under the lock of completions. */
static uint32_t queue_results(struct shard *shard)
{
    struct mesh_client *client = shard->client;
    uint32_t count = 0;
    for (struct mesh_result *result = shard->done_first; result; result = result->queued)
        count++;
    if (count == 0)
        return 0;
    if (client->completions_last)
        client->completions_last->queued = shard->done_first;
    else
        client->completions_first = shard->done_first;
    client->completions_last = shard->done_last;
    shard->done_first = shard->done_last = NULL;
    return count;
}

void mesh__complete_flush(struct shard *shard)
{
    struct mesh_client *client = shard->client;
    uint32_t ended = shard->streams_ended;
    if (shard->done_first || shard->notes_first) {
        pthread_mutex_lock(&client->completions_lock);
        uint32_t results = queue_results(shard), notes = mesh__stream_flush_notes(shard);
        pthread_mutex_unlock(&client->completions_lock);
        atomic_fetch_add(&client->completions_count, results + notes);
        ended += results;
        mesh__driver_completed(client, shard);
    }
    if (ended == 0)
        return;
    /* They were live until they could be taken: a client that is being closed waits for them. */
    shard->streams_ended = 0;
    atomic_fetch_sub(&shard->live_calls, ended);
    if (atomic_load_explicit(&client->state, memory_order_relaxed) != CLIENT_OPEN)
        mesh__driver_note_leave(client);
}

static void fill(struct mesh_result *result, mesh_completion *out)
{
    mesh_completion full = { .size = out->size,
                             .kind = MESH_COMPLETION_DONE,
                             .status = result->status,
                             .id = result->id,
                             .user = result->user,
                             .result = result };
    memcpy(out, &full, out->size < sizeof(full) ? out->size : sizeof(full));
}

static struct mesh_result *pop_result(struct mesh_client *client)
{
    struct mesh_result *result = client->completions_first;
    if (result == NULL)
        return NULL;
    client->completions_first = result->queued;
    if (client->completions_first == NULL)
        client->completions_last = NULL;
    return result;
}

static struct mesh_stream *pop_note(struct mesh_client *client)
{
    struct mesh_stream *stream = client->notes_first;
    if (stream == NULL)
        return NULL;
    client->notes_first = stream->next_note;
    if (client->notes_first == NULL)
        client->notes_last = NULL;
    return stream;
}

/* One of the two, by turns; false when there is neither. */
static bool pop(struct mesh_client *client, struct mesh_result **result, struct mesh_stream **note)
{
    pthread_mutex_lock(&client->completions_lock);
    *note = client->note_taken && client->completions_first ? NULL : pop_note(client);
    *result = *note ? NULL : pop_result(client);
    client->note_taken = *note != NULL;
    if (*note || *result)
        atomic_fetch_sub(&client->completions_count, 1);
    pthread_mutex_unlock(&client->completions_lock);
    return *note || *result;
}

bool mesh__complete_take(struct mesh_client *client, mesh_completion *out)
{
    struct mesh_result *result;
    struct mesh_stream *note;
    while (atomic_load(&client->completions_count) > 0 && pop(client, &result, &note)) {
        if (note && !mesh__stream_fill(note, out))
            continue;
        if (result)
            fill(result, out);
        return true;
    }
    return false;
}
