/* SPDX-License-Identifier: Apache-2.0 */
/* api_stream.c - the exported functions of streams. */
#include "client/driver.h"
#include "client/start.h"
#include "client/stream_user.h"
#include "net/reentry.h"
#include "wire/http1_check.h"

#include <stddef.h>
#include <string.h>

#define STREAM_FLAGS ((uint32_t)(MESH_STREAM_NOTIFY | MESH_STREAM_WHOLE))

/* Up to its last member: what the first version of the struct had. */
#define IO_SIZE_LEAST (offsetof(mesh_stream_io, consume) + sizeof(void (*)(void)))

#define PIECE ((size_t)16 * 1024)

void mesh_stream_io_init(mesh_stream_io *io)
{
    if (io)
        *io = (mesh_stream_io)MESH_STREAM_IO_INIT;
}

/* ---- opening ---- */

/* A call with its stream, not yet posted. */
static mesh_status begin(struct shard *shard, const char *service, const mesh_request *request, void *user,
                         struct call **out)
{
    mesh_request full = *request;
    bool whole = mesh__stream_is_whole(&full);
    full.flags = (full.flags & ~STREAM_FLAGS) | (whole ? (uint32_t)MESH_COPY_BODY : 0);
    if ((full.body == NULL && full.body_size > 0) || ((full.flags & MESH_GRPC) && full.body_size > UINT32_MAX))
        return MESH_EINVAL;
    if (!whole) { /* the stream has it */
        full.body = NULL;
        full.body_size = 0;
    }
    mesh_result *refused = NULL;
    mesh_status status = mesh__start_prepare(shard, service, &full, false, out, &refused);
    mesh__result_release(refused);
    if (status != MESH_OK)
        return status;
    if (mesh__stream_new(*out, request, user) != NULL)
        return MESH_OK;
    mesh__start_undo(*out);
    return MESH_NO_MEMORY;
}

mesh_status mesh_stream_open(mesh_client *client, const char *service, const mesh_request *request, void *user,
                             mesh_stream **out)
{
    if (out == NULL)
        return MESH_EINVAL;
    *out = NULL;
    mesh_status status = mesh__start_check(client);
    if (status != MESH_OK)
        return status;
    mesh_request full = MESH_REQUEST_INIT;
    if (request)
        memcpy(&full, request, request->size < sizeof(full) ? request->size : sizeof(full));
    struct shard *shard = mesh__driver_choose(client);
    struct call *call;
    status = mesh__start_begin(shard) ? begin(shard, service, &full, user, &call) : MESH_ECLOSED;
    if (status == MESH_OK) {
        *out = call->stream;
        mesh__start_attach(call);
        mesh__driver_start(call);
    } else {
        mesh__start_abandon(shard);
    }
    mesh__client_exit(shard);
    return status;
}

mesh_call_id mesh_stream_id(const mesh_stream *stream)
{
    return stream ? stream->id : 0;
}

/* ---- the request ---- */

mesh_status mesh_stream_write(mesh_stream *stream, const void *bytes, size_t size, int64_t timeout_ns, size_t *written)
{
    struct wish wish = { .from = bytes, .size = size };
    if (written)
        *written = 0;
    if (bytes == NULL && size > 0)
        return MESH_EINVAL;
    mesh_status status = mesh__stream_run(stream, mesh__stream_try_write, &wish, timeout_ns);
    if (written)
        *written = wish.done;
    bool must_not_wait = status == MESH_EAGAIN || status == MESH_EREENTRY;
    return must_not_wait && wish.done > 0 ? MESH_OK : status;
}

mesh_status mesh_stream_send(mesh_stream *stream, const void *message, size_t size, int64_t timeout_ns)
{
    struct wish wish = { .from = message, .size = size };
    if ((message == NULL && size > 0) || size > UINT32_MAX)
        return MESH_EINVAL;
    return mesh__stream_run(stream, mesh__stream_try_send, &wish, timeout_ns);
}

/* The fields and their texts in one block. */
static mesh_header *copy_fields(const struct mem *mem, const mesh_header *fields, size_t count)
{
    size_t size = count * sizeof(mesh_header);
    for (size_t i = 0; i < count; i++)
        size += fields[i].name_size + fields[i].value_size;
    mesh_header *copy = mesh__alloc(mem, size);
    if (copy == NULL)
        return NULL;
    char *at = (char *)(copy + count);
    for (size_t i = 0; i < count; i++) {
        copy[i] = (mesh_header){ at, fields[i].name_size, at + fields[i].name_size, fields[i].value_size };
        memcpy(at, fields[i].name, fields[i].name_size);
        at += fields[i].name_size;
        if (fields[i].value_size > 0)
            memcpy(at, fields[i].value, fields[i].value_size);
        at += fields[i].value_size;
    }
    return copy;
}

mesh_status mesh_stream_end(mesh_stream *stream, const mesh_header *trailers, size_t count)
{
    size_t wrong = 0;
    if (stream == NULL || (trailers == NULL && count > 0) || mesh__http1_check_fields(trailers, count, &wrong))
        return MESH_EINVAL;
    if (mesh__stream_forked(stream))
        return MESH_EFORKED;
    mesh_header *copy = NULL;
    if (count > 0 && (copy = copy_fields(&stream->mem, trailers, count)) == NULL)
        return MESH_NO_MEMORY;
    return mesh__stream_half_close(stream, copy, count);
}

/* ---- the response ---- */

mesh_status mesh_stream_head(mesh_stream *stream, int64_t timeout_ns, const mesh_result **head)
{
    struct wish wish = { .size = 0 };
    if (head == NULL)
        return MESH_EINVAL;
    mesh_status status = mesh__stream_run(stream, mesh__stream_try_head, &wish, timeout_ns);
    *head = status == MESH_OK ? wish.head : NULL;
    return status;
}

mesh_status mesh_stream_read(mesh_stream *stream, void *space, size_t size, int64_t timeout_ns, size_t *got)
{
    struct wish wish = { .space = space, .size = size };
    if (space == NULL || size == 0 || got == NULL)
        return MESH_EINVAL;
    mesh_status status = mesh__stream_run(stream, mesh__stream_try_read, &wish, timeout_ns);
    *got = wish.done;
    return status;
}

mesh_status mesh_stream_receive(mesh_stream *stream, int64_t timeout_ns, const void **message, size_t *size)
{
    struct wish wish = { .size = 0 };
    if (message == NULL || size == NULL)
        return MESH_EINVAL;
    mesh_status status = mesh__stream_run(stream, mesh__stream_try_message, &wish, timeout_ns);
    *message = NULL;
    *size = 0;
    if (status == MESH_OK && wish.found) {
        *message = stream->message.size > 0 ? stream->message.data : "";
        *size = stream->message.size;
    }
    return status;
}

/* ---- the end ---- */

void mesh_stream_cancel(mesh_stream *stream)
{
    if (stream && !mesh__stream_forked(stream))
        mesh__stream_cancel(stream);
}

static mesh_status give(mesh_result *result, mesh_result **out)
{
    mesh_status status = result->status;
    if (out)
        *out = result;
    else
        mesh__result_release(result);
    return status;
}

mesh_status mesh_stream_finish(mesh_stream *stream, mesh_result **out)
{
    if (stream == NULL)
        return give(mesh__result_static(MESH_EINVAL), out);
    if (mesh__stream_forked(stream)) {
        mesh__stream_abandon(stream);
        return give(mesh__result_static(MESH_EFORKED), out);
    }
    struct wish wish = { .size = 0 };
    mesh__stream_cancel(stream);
    (void)mesh__stream_run(stream, mesh__stream_try_over, &wish, -1); /* not over: MESH_EREENTRY */
    pthread_mutex_lock(&stream->lock);
    stream->finished = true;
    mesh_result *result = stream->call ? NULL : stream->result;
    if (result)
        stream->result = NULL;
    pthread_mutex_unlock(&stream->lock);
    if (result)
        mesh__stream_conclude(stream, result);
    mesh__stream_unref(stream);
    return give(result ? result : mesh__result_static(MESH_CANCELLED), out);
}

/* ---- with callbacks ---- */

/* A piece of the request's body that has been produced and not yet written whole. */
struct production {
    bool over; /* nothing is written any more */
    size_t size, written;
    char bytes[PIECE];
};

/* Produces and writes what can be written at once. False: the call is given up. */
static bool produce(mesh_stream *stream, const mesh_stream_io *io, struct production *made)
{
    mesh_status status = MESH_OK;
    while (!made->over && status == MESH_OK) {
        if (made->written == made->size) {
            int64_t size = io->produce(io->user, made->bytes, sizeof(made->bytes));
            if (size < 0 || size > (int64_t)sizeof(made->bytes))
                return false;
            made->size = (size_t)size;
            made->written = 0;
            made->over = size == 0;
        }
        size_t written;
        if (made->over)
            (void)mesh_stream_end(stream, NULL, 0);
        else if ((status = mesh_stream_write(stream, made->bytes + made->written, made->size - made->written, 0,
                                             &written)) == MESH_OK)
            made->written += written;
    }
    made->over = made->over || status != MESH_EAGAIN; /* the call has ended: why is read */
    return true;
}

/* Tells the head, once it is there. False: the call is given up. */
static bool tell_head(mesh_stream *stream, const mesh_stream_io *io, bool *told)
{
    const mesh_result *head;
    if (*told || mesh_stream_head(stream, 0, &head) != MESH_OK)
        return true;
    *told = true;
    return io->head == NULL || io->head(io->user, head) == 0;
}

/* Until the response has been read whole, the call has ended, or is given up. */
static void pump(mesh_stream *stream, const mesh_stream_io *io)
{
    char space[PIECE];
    struct production made = { .over = stream->whole };
    struct wish wish = { .size = 0 };
    bool told = false;
    for (;;) {
        size_t got = 0;
        if (!made.over && !produce(stream, io, &made))
            break;
        mesh_status status = mesh_stream_read(stream, space, sizeof(space), made.over ? -1 : 0, &got);
        if (!tell_head(stream, io, &told))
            break;
        if (status == MESH_EAGAIN)
            (void)mesh__stream_run(stream, mesh__stream_try_either, &wish, -1);
        else if (status != MESH_OK || got == 0)
            return;
        else if (io->consume && io->consume(io->user, space, got) != 0)
            break;
    }
    mesh__stream_give_up(stream, "a callback gave the call up");
}

mesh_status mesh_call_stream(mesh_client *client, const char *service, const mesh_request *request,
                             const mesh_stream_io *io, mesh_result **out)
{
    mesh_status status = mesh__start_check(client);
    if (status == MESH_OK && (io == NULL || io->size < IO_SIZE_LEAST))
        status = MESH_EINVAL;
    if (status == MESH_OK && (mesh__client_external(client) || mesh__in_turn()))
        status = MESH_EREENTRY;
    mesh_request full = MESH_REQUEST_INIT;
    if (request)
        memcpy(&full, request, request->size < sizeof(full) ? request->size : sizeof(full));
    mesh_stream *stream = NULL;
    if (status == MESH_OK && io->produce == NULL)
        full.flags |= MESH_STREAM_WHOLE;
    if (status == MESH_OK)
        status = mesh_stream_open(client, service, &full, NULL, &stream);
    if (status != MESH_OK)
        return give(mesh__result_static(status), out);
    pump(stream, io);
    return mesh_stream_finish(stream, out);
}
