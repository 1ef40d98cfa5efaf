/* SPDX-License-Identifier: Apache-2.0 */
/* memory_end.c - what the client writes waits in a buffer; what is written here is the network's at once. */
#include "support/memory_end.h"

#include "base/buf.h"

#include <errno.h>
#include <stdlib.h>

struct memory_end {
    struct stream stream;
    struct memory_connection *connection;
    struct loop *loop;
    struct loop_task notice;
    struct buf in;
    uint32_t armed;
    bool over;   /* finished or reset */
    bool closed; /* by whoever uses the stream */
};

static struct memory_end *self_of(const struct stream *stream)
{
    return CONTAINER_OF(stream, struct memory_end, stream);
}

static uint32_t readiness(const struct memory_end *self)
{
    return self->armed & (LOOP_WRITE | (self->in.size > 0 ? LOOP_READ : 0));
}

static void notify_if_ready(struct memory_end *self)
{
    if (readiness(self))
        mesh__loop_post(self->loop, &self->notice);
}

static void on_notice(struct loop_task *task)
{
    struct memory_end *self = CONTAINER_OF(task, struct memory_end, notice);
    uint32_t ready = readiness(self);
    if (ready == 0)
        return;
    mesh__loop_post(self->loop, &self->notice); /* level-triggered, as descriptors are */
    self->stream.ready(self->stream.user, ready);
}

static ssize_t end_read(struct stream *stream, void *bytes, size_t size)
{
    struct memory_end *self = self_of(stream);
    size_t part = size < self->in.size ? size : self->in.size;
    if (part == 0)
        return -EAGAIN;
    memcpy(bytes, self->in.data, part);
    mesh__buf_consume(&self->in, part);
    return (ssize_t)part;
}

static ssize_t end_write(struct stream *stream, const struct iovec *vector, int count)
{
    struct memory_end *self = self_of(stream);
    ssize_t put = 0;
    if (self->over)
        return -EPIPE;
    for (int i = 0; i < count; i++) {
        mesh__memory_send(self->connection, vector[i].iov_base, vector[i].iov_len, 0);
        put += (ssize_t)vector[i].iov_len;
    }
    return put;
}

static int end_connected(struct stream *stream)
{
    (void)stream;
    return 0;
}

static uint32_t end_wants(const struct stream *stream, uint32_t interest)
{
    (void)stream;
    return interest;
}

static void end_arm(struct stream *stream, uint32_t events)
{
    struct memory_end *self = self_of(stream);
    self->armed = events;
    notify_if_ready(self);
}

static bool end_has_buffered_input(const struct stream *stream)
{
    (void)stream;
    return false;
}

static bool end_is_quiet(struct stream *stream)
{
    return self_of(stream)->in.size == 0;
}

static int end_finish(struct stream *stream)
{
    struct memory_end *self = self_of(stream);
    if (!self->over)
        mesh__memory_finish(self->connection, 0);
    self->over = true;
    return 0;
}

static void end_close(struct stream *stream)
{
    struct memory_end *self = self_of(stream);
    (void)end_finish(stream);
    mesh__loop_cancel(&self->notice);
    self->armed = 0;
    self->closed = true;
}

static const struct stream_ops end_ops = {
    .read = end_read,
    .write = end_write,
    .connected = end_connected,
    .wants = end_wants,
    .arm = end_arm,
    .has_buffered_input = end_has_buffered_input,
    .is_quiet = end_is_quiet,
    .finish = end_finish,
    .close = end_close,
};

struct memory_end *memory_end_new(struct memory_connection *connection)
{
    struct memory_end *self = calloc(1, sizeof(*self));
    if (self == NULL)
        abort();
    self->stream.ops = &end_ops;
    self->connection = connection;
    self->loop = mesh__memory_loop(connection);
    self->notice.run = on_notice;
    mesh__buf_init(&self->in, &mesh__mem_system, SIZE_MAX / 2);
    return self;
}

void memory_end_take(struct memory_end *self, const char *bytes, size_t size)
{
    if (self->closed)
        return;
    if (!mesh__buf_append(&self->in, bytes, size))
        abort();
    notify_if_ready(self);
}

void memory_end_gone(struct memory_end *self)
{
    self->over = true;
}

void memory_end_free(struct memory_end *self)
{
    mesh__buf_fini(&self->in);
    free(self);
}

struct stream *memory_end_stream(struct memory_end *self)
{
    return &self->stream;
}

void memory_end_cut(struct memory_end *self)
{
    if (!self->over)
        mesh__memory_reset(self->connection, 0);
    self->over = true;
}
