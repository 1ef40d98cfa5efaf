/* SPDX-License-Identifier: Apache-2.0 */
/* inverting_stream.c - a buffer between two streams, with wants that are not what is being done. */
#include "support/inverting_stream.h"

#include <errno.h>
#include <stdlib.h>

#define AWKWARD 400 /* so many bytes of each message go the hard way */
#define STALLS 3    /* turns between the lower stream's being connected and ours */

struct inverting {
    struct stream stream;
    struct stream *lower;
    char ahead[16384]; /* read, not yet given */
    size_t from, to;
    size_t read_bytes, written_bytes; /* of the present message */
    int stalled;
    bool read_needs_write;  /* no reading before the lower stream was writable */
    bool write_needs_event; /* no writing before the next event */
};

static struct inverting *self_of(const struct stream *stream)
{
    return CONTAINER_OF(stream, struct inverting, stream);
}

/* Fills the buffer. 0, or what reading from below said. */
static ssize_t read_ahead(struct inverting *self)
{
    if (self->read_needs_write)
        return -EAGAIN;
    ssize_t got = self->lower->ops->read(self->lower, self->ahead, sizeof(self->ahead));
    if (got <= 0)
        return got == 0 ? 1 : got;
    self->from = 0;
    self->to = (size_t)got;
    self->read_needs_write = true;
    return 0;
}

static ssize_t inverting_read(struct stream *stream, void *bytes, size_t size)
{
    struct inverting *self = self_of(stream);
    if (self->from == self->to) {
        ssize_t failed = read_ahead(self);
        if (failed)
            return failed == 1 ? 0 : failed;
    }
    size_t part = self->read_bytes < AWKWARD ? 1 : self->to - self->from;
    part = part < size ? part : size;
    memcpy(bytes, self->ahead + self->from, part);
    self->from += part;
    self->read_bytes += part;
    self->written_bytes = 0;
    return (ssize_t)part;
}

static ssize_t inverting_write(struct stream *stream, const struct iovec *vector, int count)
{
    struct inverting *self = self_of(stream);
    if (count == 0 || self->write_needs_event)
        return -EAGAIN;
    struct iovec first = vector[0];
    bool awkward = self->written_bytes < AWKWARD;
    size_t most = awkward ? 1 + self->written_bytes % 7 : 65536;
    first.iov_len = first.iov_len < most ? first.iov_len : most;
    ssize_t put = self->lower->ops->write(self->lower, &first, 1);
    if (put > 0) {
        self->written_bytes += (size_t)put;
        self->read_bytes = 0;
        self->write_needs_event = awkward && self->written_bytes % 3 == 0;
    }
    return put;
}

static int inverting_connected(struct stream *stream)
{
    struct inverting *self = self_of(stream);
    int error = self->lower->ops->connected(self->lower);
    return error == 0 && self->stalled++ < STALLS ? -EINPROGRESS : error;
}

static uint32_t inverting_wants(const struct stream *stream, uint32_t interest)
{
    const struct inverting *self = self_of(stream);
    uint32_t events = interest;
    if ((interest & LOOP_READ) && self->read_needs_write)
        events |= LOOP_WRITE;
    if ((interest & LOOP_WRITE) && self->write_needs_event)
        events |= LOOP_READ;
    return self->lower->ops->wants(self->lower, events);
}

static void inverting_arm(struct stream *stream, uint32_t events)
{
    struct inverting *self = self_of(stream);
    self->lower->ops->arm(self->lower, events);
}

static bool inverting_has_buffered_input(const struct stream *stream)
{
    const struct inverting *self = self_of(stream);
    return self->from < self->to || self->lower->ops->has_buffered_input(self->lower);
}

static bool inverting_is_quiet(struct stream *stream)
{
    struct inverting *self = self_of(stream);
    return self->from == self->to && self->lower->ops->is_quiet(self->lower);
}

static int inverting_finish(struct stream *stream)
{
    struct inverting *self = self_of(stream);
    return self->lower->ops->finish(self->lower);
}

static void inverting_close(struct stream *stream)
{
    struct inverting *self = self_of(stream);
    self->lower->ops->close(self->lower);
    free(self);
}

static const struct stream_ops inverting_ops = {
    .read = inverting_read,
    .write = inverting_write,
    .connected = inverting_connected,
    .wants = inverting_wants,
    .arm = inverting_arm,
    .has_buffered_input = inverting_has_buffered_input,
    .is_quiet = inverting_is_quiet,
    .finish = inverting_finish,
    .close = inverting_close,
};

static void on_lower_ready(void *user, uint32_t events)
{
    struct inverting *self = user;
    if (events & LOOP_WRITE)
        self->read_needs_write = false;
    self->write_needs_event = false;
    self->stream.ready(self->stream.user, events);
}

struct stream *inverting_stream_new(struct stream *lower)
{
    struct inverting *self = calloc(1, sizeof(*self));
    if (self == NULL)
        abort();
    self->stream.ops = &inverting_ops;
    self->read_needs_write = true;
    self->write_needs_event = true;
    self->lower = lower;
    lower->ready = on_lower_ready;
    lower->user = self;
    return &self->stream;
}

static int inverting_connect(const struct world *world, struct loop *loop, const struct address *address,
                             struct stream **out)
{
    const struct inverting_world *own = world->user;
    struct stream *lower;
    int error = own->lower->connect(own->lower, loop, address, &lower);
    if (error == 0)
        *out = inverting_stream_new(lower);
    return error;
}

static mesh_nanos inverting_now(const struct world *world)
{
    const struct inverting_world *own = world->user;
    return own->lower->now(own->lower);
}

static int64_t inverting_unix_now(const struct world *world)
{
    const struct inverting_world *own = world->user;
    return own->lower->unix_now(own->lower);
}

static uint64_t inverting_random(const struct world *world)
{
    const struct inverting_world *own = world->user;
    return own->lower->random(own->lower);
}

void inverting_world_init(struct inverting_world *own, const struct world *lower)
{
    own->world = (struct world){ inverting_now, inverting_unix_now, inverting_random, inverting_connect, own };
    own->lower = lower;
}
