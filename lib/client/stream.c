/* SPDX-License-Identifier: Apache-2.0 */
/* stream.c - the driver's side of streams: pieces into the exchange and out of it, and their end. */
#include "client/stream.h"

#include "client/call_attempt.h"
#include "client/futex.h"
#include "client/shard.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

/* ---- life ---- */

bool mesh__stream_is_whole(const mesh_request *request)
{
    const char *method = request->method ? request->method : request->flags & MESH_GRPC ? "POST" : "GET";
    return (request->flags & MESH_STREAM_WHOLE) || strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

/* What the request begins with: of a gRPC call one message. */
static bool take_body(struct mesh_stream *stream, const mesh_request *request)
{
    char head[GRPC_FRAME_HEAD];
    mesh__grpc_frame_head((uint32_t)request->body_size, head); /* more was refused */
    if ((request->flags & MESH_GRPC) && request->body && !mesh__pipe_append(&stream->out, head, sizeof(head)))
        return false;
    return mesh__pipe_append(&stream->out, request->body, request->body_size);
}

struct mesh_stream *mesh__stream_new(struct call *call, const mesh_request *request, void *user)
{
    struct mesh_client *client = call->shard->client;
    struct mesh_stream *stream = mesh__zalloc(&client->mem, sizeof(*stream));
    if (stream == NULL)
        return NULL;
    mesh__refs_init(&stream->refs); /* the user's */
    mesh__refs_ref(&stream->refs);  /* the call's */
    stream->mem = client->mem;
    (void)pthread_mutex_init(&stream->lock, NULL); /* cannot fail without attributes */
    mesh__pipe_init(&stream->out, &stream->mem);
    mesh__pipe_init(&stream->in, &stream->mem);
    mesh__buf_init(&stream->message, &stream->mem, SIZE_MAX);
    stream->opener = getpid();
    stream->client = client;
    stream->shard = call->shard;
    stream->call = call;
    stream->id = mesh__call_id(call);
    stream->user = user;
    stream->notify = (request->flags & MESH_STREAM_NOTIFY) != 0;
    stream->whole = stream->out_ended = mesh__stream_is_whole(request);
    stream->endless = request->timeout_ns < 0;
    stream->may_wait = !mesh__client_external(client);
    stream->replay = stream->limit = STREAM_WAITING_MAX;
    if (!stream->whole && !take_body(stream, request)) {
        mesh__stream_unref(stream);
        mesh__stream_unref(stream);
        return NULL;
    }
    call->stream = stream;
    return stream;
}

static void free_parts(struct mesh_stream *stream)
{
    mesh__pipe_fini(&stream->out);
    mesh__pipe_fini(&stream->in);
    mesh__buf_fini(&stream->message);
    mesh__mem_free(&stream->mem, stream->trailers);
}

void mesh__stream_unref(struct mesh_stream *stream)
{
    if (!mesh__refs_unref(&stream->refs))
        return;
    struct mem mem = stream->mem;
    free_parts(stream);
    mesh__result_release(stream->result);
    pthread_mutex_destroy(&stream->lock);
    mesh__mem_free(&mem, stream);
}

void mesh__stream_abandon(struct mesh_stream *stream)
{
    struct mem mem = stream->mem;
    if (pthread_mutex_trylock(&stream->lock) == 0) /* else a driver was at it, and will never be done */
        free_parts(stream);
    if (stream->call == NULL)
        mesh__result_release(stream->result);
    mesh__mem_free(&mem, stream);
}

/* ---- what has come ---- */

/* Under the lock, on the driver: `what` has come. True when somebody wants it, who is then to be woken. */
static bool has_come(struct mesh_stream *stream, uint32_t what)
{
    if ((stream->wanted & what) == 0)
        return false;
    stream->wanted &= ~what;
    atomic_fetch_add(&stream->word, 1);
    bool note = (stream->note_wanted & what) != 0;
    stream->note_wanted &= ~what; /* one that is queued tells of it, too */
    if (note && !stream->note_queued) {
        struct shard *shard = stream->shard;
        stream->note_queued = true;
        mesh__refs_ref(&stream->refs);
        stream->next_note = NULL;
        if (shard->notes_last)
            shard->notes_last->next_note = stream;
        else
            shard->notes_first = stream;
        shard->notes_last = stream;
    }
    return true;
}

static void wake(struct mesh_stream *stream, bool wanted)
{
    if (wanted && atomic_load(&stream->waiters) > 0)
        mesh__futex_wake(&stream->word, INT_MAX);
}

/* ---- the request ---- */

/* Under the lock: lets go of what no attempt needs any more. */
static bool make_room(struct mesh_stream *stream)
{
    if (!stream->committed)
        return false;
    mesh__pipe_release(&stream->out, stream->given);
    return mesh__pipe_size(&stream->out) <= stream->limit / 2 && has_come(stream, STREAM_WANTS_WRITE);
}

/* Under the lock: more was written, or is about to be, than is kept, and some of it has been given away. */
static bool must_commit(const struct mesh_stream *stream)
{
    bool full = (stream->wanted & STREAM_WANTS_WRITE) && mesh__pipe_size(&stream->out) >= stream->limit;
    return !stream->committed && stream->lent > 0 && (full || stream->out.end > stream->replay);
}

/* Once for each attempt: a step in which many pieces are taken would fill the call's queue of events. */
static void ask_for_commit(struct call *call)
{
    if (call->stream->commit_asked)
        return;
    call->stream->commit_asked = true;
    mesh__call_feed(call, &(struct machine_input){ .event = EVENT_COMMIT, .attempt = call->trying });
}

/* The exchange's source. What it was given before has been taken. */
static enum body_next next_piece(void *user, size_t most, struct view *bytes, struct http1_field_group *trailers)
{
    struct call *call = user;
    struct mesh_stream *stream = call->stream;
    pthread_mutex_lock(&stream->lock);
    stream->given = stream->lent;
    bool wanted = make_room(stream);
    *bytes = mesh__pipe_at(&stream->out, stream->given, most);
    stream->lent += bytes->size;
    bool last = stream->out_ended && stream->lent == stream->out.end;
    stream->source_waits = bytes->size == 0 && !last;
    if (last)
        *trailers = (struct http1_field_group){ stream->trailers, stream->trailer_count };
    enum body_next next = last ? BODY_LAST : stream->source_waits ? BODY_LATER : BODY_MORE;
    bool commit = must_commit(stream);
    pthread_mutex_unlock(&stream->lock);
    wake(stream, wanted);
    if (commit)
        ask_for_commit(call);
    return next;
}

void mesh__stream_begin(struct call *call)
{
    struct mesh_stream *stream = call->stream;
    const struct service_config *policy = call->service->policy;
    pthread_mutex_lock(&stream->lock);
    stream->replay = policy->retry.replay;
    stream->limit = stream->replay > STREAM_WAITING_MAX ? stream->replay : STREAM_WAITING_MAX;
    stream->max_message = policy->max_body;
    bool wanted = mesh__pipe_size(&stream->out) < stream->limit && has_come(stream, STREAM_WANTS_WRITE);
    pthread_mutex_unlock(&stream->lock);
    wake(stream, wanted);
}

void mesh__stream_attempt(struct call *call)
{
    struct mesh_stream *stream = call->stream;
    pthread_mutex_lock(&stream->lock);
    stream->given = stream->lent = 0; /* all of it is there: nothing was committed */
    stream->commit_asked = false;
    stream->source_waits = false;
    stream->consumed = 0;
    mesh__pipe_release(&stream->in, stream->in.end);
    pthread_mutex_unlock(&stream->lock);
    call->exchange.credit = true;
    call->exchange.limits.max_body = UINT64_MAX;
    if (!stream->whole)
        call->exchange.body = (struct body_source){ .next = next_piece, .next_user = call, .size = -1 };
}

void mesh__stream_commit(struct call *call)
{
    struct mesh_stream *stream = call->stream;
    if (stream->committed)
        return;
    pthread_mutex_lock(&stream->lock);
    stream->committed = true;
    bool wanted = make_room(stream);
    pthread_mutex_unlock(&stream->lock);
    wake(stream, wanted);
}

/* ---- the response ---- */

bool mesh__stream_receive(struct call *call, struct view bytes)
{
    struct mesh_stream *stream = call->stream;
    pthread_mutex_lock(&stream->lock);
    bool ok = mesh__pipe_append(&stream->in, bytes.data, bytes.size);
    bool wanted = ok && stream->answered && has_come(stream, STREAM_WANTS_READ);
    bool commit = !stream->answered && mesh__pipe_size(&stream->in) > STREAM_HELD_MAX;
    pthread_mutex_unlock(&stream->lock);
    wake(stream, wanted);
    if (commit)
        ask_for_commit(call);
    return ok;
}

void mesh__stream_deliver(struct call *call)
{
    struct mesh_stream *stream = call->stream;
    pthread_mutex_lock(&stream->lock);
    stream->answered = true;
    stream->result = call->result;
    uint32_t what = STREAM_WANTS_HEAD | (mesh__pipe_size(&stream->in) > 0 ? STREAM_WANTS_READ : 0);
    bool wanted = has_come(stream, what);
    pthread_mutex_unlock(&stream->lock);
    wake(stream, wanted);
}

/* ---- posts ---- */

void mesh__stream_serve(struct call *call)
{
    struct mesh_stream *stream = call->stream;
    pthread_mutex_lock(&stream->lock);
    stream->posted = false;
    bool live = call->machine.state == MACHINE_TRYING || call->machine.state == MACHINE_COMMITTED;
    size_t consumed = stream->consumed;
    stream->consumed = 0;
    bool more = stream->source_waits && (stream->lent < stream->out.end || stream->out_ended);
    bool commit = must_commit(stream);
    mesh_status fault = stream->fault;
    pthread_mutex_unlock(&stream->lock);
    if (!live)
        return; /* an attempt that begins asks for everything from the start */
    if (fault != MESH_OK) {
        mesh__attempt_give_up(call, fault, stream->fault_grpc, stream->fault_reason);
        return;
    }
    if (consumed > 0)
        mesh__exchange_consume(&call->exchange, consumed);
    if (more)
        mesh__exchange_resume(&call->exchange);
    if (commit)
        ask_for_commit(call);
}

/* ---- the end ---- */

void mesh__stream_ended(struct call *call)
{
    struct mesh_stream *stream = call->stream;
    struct mesh_result *result = call->result;
    call->stream = NULL;
    call->result = NULL;
    pthread_mutex_lock(&stream->lock);
    stream->call = NULL;
    stream->status = result->status;
    stream->result = result;
    stream->answered = stream->answered || result->status == MESH_OK;
    if (!stream->answered)
        mesh__pipe_release(&stream->in, stream->in.end); /* what was withheld is told to nobody */
    mesh__pipe_fini(&stream->out);
    bool wanted = has_come(stream, UINT32_MAX);
    pthread_mutex_unlock(&stream->lock);
    wake(stream, wanted);
    mesh__stream_unref(stream);
}

/* ---- notes ---- */

uint32_t mesh__stream_flush_notes(struct shard *shard)
{
    struct mesh_client *client = shard->client;
    uint32_t count = 0;
    for (struct mesh_stream *stream = shard->notes_first; stream; stream = stream->next_note)
        count++;
    if (count == 0)
        return 0;
    if (client->notes_last)
        client->notes_last->next_note = shard->notes_first;
    else
        client->notes_first = shard->notes_first;
    client->notes_last = shard->notes_last;
    shard->notes_first = shard->notes_last = NULL;
    return count;
}

bool mesh__stream_fill(struct mesh_stream *stream, mesh_completion *out)
{
    pthread_mutex_lock(&stream->lock);
    stream->note_queued = false;
    bool finished = stream->finished;
    pthread_mutex_unlock(&stream->lock);
    mesh_completion full = {
        .size = out->size, .kind = MESH_COMPLETION_STREAM, .id = stream->id, .user = stream->user, .stream = stream
    };
    if (!finished)
        memcpy(out, &full, out->size < sizeof(full) ? out->size : sizeof(full));
    mesh__stream_unref(stream);
    return !finished;
}
