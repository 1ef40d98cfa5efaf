/* SPDX-License-Identifier: Apache-2.0 */
/* stream_user.c - tries under the lock, and the loop around them. */
#include "client/stream_user.h"

#include "client/driver.h"
#include "net/reentry.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- writing ---- */

/* Whether anything can still be written. */
static mesh_status may_write(const struct mesh_stream *stream)
{
    if (stream->out_ended)
        return MESH_EINVAL;
    if (stream->call == NULL)
        return stream->status == MESH_OK ? MESH_ESTALE : stream->status;
    return MESH_OK;
}

/* There is no room. The driver commits if it has given something away that it keeps. */
static mesh_status wait_for_room(struct mesh_stream *stream, struct wish *wish, uint32_t wanted)
{
    stream->wanted |= wanted;
    wish->tell = wish->tell || (!stream->committed && stream->lent > 0);
    return MESH_EAGAIN;
}

static size_t room_in(const struct mesh_stream *stream)
{
    size_t kept = mesh__pipe_size(&stream->out);
    return kept < stream->limit ? stream->limit - kept : 0;
}

mesh_status mesh__stream_try_write(struct mesh_stream *stream, struct wish *wish)
{
    mesh_status status = may_write(stream);
    if (status != MESH_OK)
        return status;
    size_t left = wish->size - wish->done, room = room_in(stream);
    size_t part = left < room ? left : room;
    if (!mesh__pipe_append(&stream->out, wish->from + wish->done, part))
        return MESH_NO_MEMORY;
    wish->done += part;
    wish->tell = part > 0 && stream->source_waits;
    return part == left ? MESH_OK : wait_for_room(stream, wish, STREAM_WANTS_WRITE);
}

mesh_status mesh__stream_try_send(struct mesh_stream *stream, struct wish *wish)
{
    char head[GRPC_FRAME_HEAD];
    mesh_status status = may_write(stream);
    if (status != MESH_OK)
        return status;
    if (room_in(stream) == 0)
        return wait_for_room(stream, wish, STREAM_WANTS_WRITE);
    if (!mesh__pipe_reserve(&stream->out, sizeof(head) + wish->size))
        return MESH_NO_MEMORY;
    mesh__grpc_frame_head((uint32_t)wish->size, head);
    (void)mesh__pipe_append(&stream->out, head, sizeof(head)); /* neither can fail now */
    (void)mesh__pipe_append(&stream->out, wish->from, wish->size);
    wish->tell = stream->source_waits;
    return MESH_OK;
}

/* ---- reading ---- */

/* What there is to read. Before the head was handed on there is nothing; behind a failure that came first neither. */
static struct view readable(const struct mesh_stream *stream)
{
    return stream->answered ? mesh__pipe_at(&stream->in, stream->in.begin, PIPE_CHUNK) : mesh__view(NULL, 0);
}

static void note_consumed(struct mesh_stream *stream, struct wish *wish, size_t size)
{
    stream->consumed += size;
    wish->tell = wish->tell || stream->consumed >= STREAM_CREDIT_MIN;
}

static mesh_status wait_to_read(struct mesh_stream *stream)
{
    if (stream->call == NULL)
        return stream->status;
    stream->wanted |= STREAM_WANTS_READ;
    return MESH_EAGAIN;
}

mesh_status mesh__stream_try_read(struct mesh_stream *stream, struct wish *wish)
{
    if (readable(stream).size == 0)
        return wait_to_read(stream);
    wish->done = mesh__pipe_take(&stream->in, wish->space, wish->size);
    note_consumed(stream, wish, wish->done);
    return MESH_OK;
}

mesh_status mesh__stream_try_head(struct mesh_stream *stream, struct wish *wish)
{
    wish->head = stream->answered ? stream->result : NULL;
    if (stream->answered || stream->call == NULL)
        return stream->answered ? MESH_OK : stream->status;
    stream->wanted |= STREAM_WANTS_HEAD;
    return MESH_EAGAIN;
}

mesh_status mesh__stream_try_either(struct mesh_stream *stream, struct wish *wish)
{
    if (stream->call == NULL || readable(stream).size > 0 || room_in(stream) > 0)
        return MESH_OK;
    return wait_for_room(stream, wish, STREAM_WANTS_WRITE | STREAM_WANTS_READ);
}

mesh_status mesh__stream_try_over(struct mesh_stream *stream, struct wish *wish)
{
    (void)wish;
    if (stream->call == NULL)
        return MESH_OK;
    stream->wanted |= STREAM_WANTS_END;
    return MESH_EAGAIN;
}

/* ---- messages ---- */

static const char *value_of(const struct mesh_stream *stream, const char *name)
{
    return mesh_result_header_value(stream->result, name);
}

/* The head tells whether messages follow, and whether they may be compressed. */
static void begin_decoding(struct mesh_stream *stream)
{
    const char *type = value_of(stream, "content-type"), *encoding = value_of(stream, "grpc-encoding");
    size_t most = stream->max_message;
    mesh__grpc_decoder_init(&stream->decoder, most < UINT32_MAX ? (uint32_t)most : UINT32_MAX);
    stream->decoder.encoded = encoding && strcmp(encoding, "identity") != 0;
    stream->no_messages =
        mesh_result_status(stream->result) != 200 || type == NULL || !mesh__grpc_content_type(mesh__view_of(type));
    stream->decoding = true;
}

/* What came is no message: from now on that is the answer, and the call ends with it. */
static mesh_status find_fault(struct mesh_stream *stream, struct wish *wish, mesh_status status, const char *reason)
{
    stream->broken = stream->fault = status;
    stream->fault_grpc = stream->decoder.status == GRPC_OK ? mesh__grpc_from_mesh(status) : stream->decoder.status;
    stream->fault_reason = reason;
    wish->tell = true;
    return status;
}

/* One step of the decoder over what there is. MESH_EAGAIN: nothing more can be had from it. */
static mesh_status decode(struct mesh_stream *stream, struct wish *wish)
{
    struct view piece = readable(stream);
    struct grpc_step step = { .event = GRPC_MORE, .used = piece.size };
    if (!stream->no_messages)
        step = mesh__grpc_decode(&stream->decoder, piece.data, piece.size);
    mesh_status status = MESH_OK;
    if (step.event == GRPC_BEGIN)
        mesh__buf_clear(&stream->message);
    else if (step.event == GRPC_BYTES && !mesh__buf_append_view(&stream->message, step.bytes))
        status = find_fault(stream, wish, MESH_NO_MEMORY, NULL);
    else if (step.event == GRPC_END)
        wish->found = true;
    else if (step.event == GRPC_FAILED)
        status = find_fault(stream, wish,
                            stream->decoder.status == GRPC_RESOURCE_EXHAUSTED ? MESH_BODY_TOO_LARGE : MESH_PROTOCOL,
                            stream->decoder.reason);
    else if (piece.size == 0)
        status = MESH_EAGAIN;
    mesh__pipe_release(&stream->in, stream->in.begin + step.used);
    note_consumed(stream, wish, step.used);
    return status;
}

mesh_status mesh__stream_try_message(struct mesh_stream *stream, struct wish *wish)
{
    if (stream->broken != MESH_OK)
        return stream->broken;
    mesh_status status = MESH_EAGAIN;
    if (stream->answered && !stream->decoding)
        begin_decoding(stream);
    if (stream->answered)
        do
            status = decode(stream, wish);
        while (status == MESH_OK && !wish->found);
    if (status != MESH_EAGAIN)
        return status;
    status = wait_to_read(stream);
    if (status == MESH_OK && !mesh__grpc_between(&stream->decoder))
        status = find_fault(stream, wish, MESH_PROTOCOL, "the response ends within a message");
    return status;
}

/* ---- the loop ---- */

bool mesh__stream_forked(const struct mesh_stream *stream)
{
    return getpid() != stream->opener;
}

/* Tells the driver. Under the lock, while the call lives; true when it has not been told yet. */
static bool post(struct mesh_stream *stream)
{
    if (stream->posted)
        return false;
    stream->posted = true;
    mesh__shard_post(stream->call, POST_STREAM);
    return true;
}

/* One try; the last one notes that a note is wanted. `*inside`: the client was entered, for a wait on `*seen`. */
static mesh_status try_once(struct mesh_stream *stream, stream_try *attempt, struct wish *wish, bool last,
                            uint32_t *seen, struct shard **inside)
{
    wish->tell = false;
    *inside = NULL;
    pthread_mutex_lock(&stream->lock);
    mesh_status status = attempt(stream, wish);
    if (status == MESH_EAGAIN && last && stream->notify)
        stream->note_wanted |= stream->wanted;
    *seen = atomic_load(&stream->word);
    bool live = stream->call != NULL;
    bool stir = live && wish->tell && post(stream);
    if (live && (stir || status == MESH_EAGAIN)) {
        *inside = stream->shard;
        mesh__client_enter(*inside);
    }
    pthread_mutex_unlock(&stream->lock);
    if (stir)
        mesh__driver_stir(*inside);
    return status;
}

mesh_status mesh__stream_run(struct mesh_stream *stream, stream_try *attempt, struct wish *wish, int64_t timeout_ns)
{
    if (stream == NULL)
        return MESH_EINVAL;
    if (mesh__stream_forked(stream))
        return MESH_EFORKED;
    mesh_nanos deadline = -1;
    bool last = timeout_ns == 0;
    for (;;) {
        uint32_t seen;
        struct shard *shard;
        mesh_status status = try_once(stream, attempt, wish, last, &seen, &shard);
        bool again = status == MESH_EAGAIN && !last;
        if (again && (!stream->may_wait || mesh__in_turn())) {
            again = false;
            status = MESH_EREENTRY;
        }
        if (again) {
            const struct world *world = shard->client->world;
            mesh_nanos now = world->now(world);
            if (deadline < 0)
                deadline = timeout_ns < 0 ? NANOS_NEVER : mesh__nanos_add(now, timeout_ns);
            atomic_fetch_add(&stream->waiters, 1);
            mesh__driver_await_word(shard, &stream->word, seen, deadline);
            atomic_fetch_sub(&stream->waiters, 1);
            last = world->now(world) >= deadline;
        }
        if (shard)
            mesh__client_exit(shard);
        if (!again)
            return status;
    }
}

/* ---- without waiting ---- */

void mesh__stream_give_up(struct mesh_stream *stream, const char *reason)
{
    stream->broken = MESH_CANCELLED;
    stream->fault_grpc = GRPC_CANCELLED;
    stream->fault_reason = reason;
    mesh__stream_cancel(stream);
}

void mesh__stream_conclude(const struct mesh_stream *stream, struct mesh_result *result)
{
    if (stream->broken == MESH_OK || result->status != MESH_OK)
        return;
    char text[200];
    const char *reason = stream->fault_reason;
    int size = snprintf(text, sizeof(text), "%s: %s%s%s", mesh_status_name(stream->broken),
                        mesh_status_text(stream->broken), reason ? ": " : "", reason ? reason : "");
    size_t most = size < (int)sizeof(text) ? (size_t)size : sizeof(text) - 1;
    const char *copy = mesh__result_copy(result, mesh__view(text, most));
    result->status = stream->broken;
    result->message = copy ? copy : mesh_status_text(result->status);
    if (result->grpc_status < 0)
        return;
    result->grpc_status = (int32_t)stream->fault_grpc;
    result->grpc_message = result->message;
}

mesh_status mesh__stream_half_close(struct mesh_stream *stream, mesh_header *trailers, size_t count)
{
    struct shard *shard = NULL;
    pthread_mutex_lock(&stream->lock);
    mesh_status status = stream->out_ended ? MESH_EINVAL : stream->call == NULL ? stream->status : MESH_OK;
    stream->out_ended = stream->out_ended || status == MESH_OK;
    if (status == MESH_OK && stream->call) {
        stream->trailers = trailers;
        stream->trailer_count = count;
        trailers = NULL;
        if (stream->source_waits && post(stream)) {
            shard = stream->shard;
            mesh__client_enter(shard);
        }
    }
    pthread_mutex_unlock(&stream->lock);
    mesh__mem_free(&stream->mem, trailers);
    if (shard) {
        mesh__driver_stir(shard);
        mesh__client_exit(shard);
    }
    return status;
}

void mesh__stream_cancel(struct mesh_stream *stream)
{
    struct shard *shard = NULL;
    pthread_mutex_lock(&stream->lock);
    if (stream->call) {
        shard = stream->shard;
        mesh__client_enter(shard);
    }
    pthread_mutex_unlock(&stream->lock);
    if (shard == NULL)
        return;
    (void)mesh__driver_cancel(shard->client, stream->id); /* ESTALE when it is just ending */
    mesh__client_exit(shard);
}
