/* SPDX-License-Identifier: Apache-2.0 */
/* tls_stream.c - the handshake's bytes moved between the stream below and whoever works at it; then straight through.
 */
#include "net/tls_stream.h"

#include <errno.h>

#define HANDSHAKE_BYTES_MAX (256 * 1024)
#define READ_AT_ONCE 4096
#define DROPS_AT_ONCE 16

enum phase { PHASE_BELOW, PHASE_SHAKING, PHASE_OPEN, PHASE_BROKEN };

struct tls_stream {
    struct stream stream;
    struct handshake_job job;
    struct tls_desk *desk;
    struct stream *below; /* NULL once closed */
    struct tls_spec *spec;
    struct loop_timer timer;
    struct loop_task read_on; /* a write that reading waited for is out */
    mesh_nanos timeout, began_at, took;
    enum phase phase;
    enum tls_side side;
    int error;          /* PHASE_BROKEN: a negative errno */
    mesh_status status; /* and what it is in words of TLS */
    const char *words;
    bool at_work; /* a step is posted: what follows is the worker's until it has come back */
    bool closed;  /* while at work */
    struct tls_connection *connection;
    enum tls_want want; /* what the last step gave */
    struct buf in, out; /* of the handshake */
    int in_error;       /* 0; 1: the stream below has ended; a negative errno */
    char peer[ADDRESS_TEXT_MAX];
};

static struct tls_stream *self_of(const struct stream *stream)
{
    return CONTAINER_OF(stream, struct tls_stream, stream);
}

/* ---- the bytes below ---- */

static ssize_t take_in(struct tls_stream *self, void *bytes, size_t size)
{
    size_t part = size < self->in.size ? size : self->in.size;
    memcpy(bytes, self->in.data, part);
    mesh__buf_consume(&self->in, part);
    return (ssize_t)part;
}

/* While a step is worked at: from and to the buffers. */
static ssize_t read_buffered(void *user, void *bytes, size_t size)
{
    struct tls_stream *self = user;
    if (self->in.size > 0)
        return take_in(self, bytes, size);
    return self->in_error == 0 ? -EAGAIN : self->in_error > 0 ? 0 : self->in_error;
}

static ssize_t write_buffered(void *user, const void *bytes, size_t size)
{
    struct tls_stream *self = user;
    return mesh__buf_append(&self->out, bytes, size) ? (ssize_t)size : -ENOMEM;
}

static const struct tls_io buffered_io = { read_buffered, write_buffered };

/* Once open: straight through. What was read too much during the handshake comes first. */
static ssize_t read_below(void *user, void *bytes, size_t size)
{
    struct tls_stream *self = user;
    if (self->in.size == 0)
        return self->below->ops->read(self->below, bytes, size);
    ssize_t got = take_in(self, bytes, size);
    if (self->in.size == 0)
        mesh__buf_fini(&self->in);
    return got;
}

static ssize_t write_below(void *user, const void *bytes, size_t size)
{
    struct tls_stream *self = user;
    struct iovec piece = { (char *)(uintptr_t)bytes, size };
    return self->below->ops->write(self->below, &piece, 1);
}

static const struct tls_io straight_io = { read_below, write_below };

/* ---- the handshake ---- */

static void destroy(struct tls_stream *self)
{
    mesh__tls_close(self->connection);
    if (self->below)
        self->below->ops->close(self->below);
    mesh__tls_spec_unref(self->spec);
    mesh__buf_fini(&self->in);
    mesh__buf_fini(&self->out);
    mesh__mem_free(self->desk->loop->mem, self);
}

static void tell(struct tls_stream *self)
{
    self->stream.ready(self->stream.user, LOOP_READ | LOOP_WRITE);
}

/* Tells last: the stream may be gone then. */
static void break_off(struct tls_stream *self, int error, mesh_status status, const char *words)
{
    mesh__loop_timer_cancel(self->desk->loop, &self->timer);
    if (self->phase == PHASE_SHAKING)
        self->took = self->desk->loop->now - self->began_at;
    self->phase = PHASE_BROKEN;
    self->error = error;
    self->status = status;
    self->words = words;
    mesh__stream_arm(self->below, 0);
    tell(self);
}

/* On a bench's thread. */
static void work(struct handshake_job *job, struct tls_bench *bench)
{
    struct tls_stream *self = CONTAINER_OF(job, struct tls_stream, job);
    if (self->connection == NULL && bench) {
        self->connection = self->side == TLS_CLIENT ? mesh__tls_connect(bench, self->spec, self->peer)
                                                    : mesh__tls_accept(bench, self->spec);
        if (self->connection)
            mesh__tls_set_io(self->connection, &buffered_io, self);
    }
    const struct world *world = self->desk->loop->world;
    self->want = self->connection ? mesh__tls_handshake(self->connection, world->unix_now(world)) : TLS_FAILED;
}

/* What the handshake waits for below, between steps. */
static uint32_t awaited(const struct tls_stream *self)
{
    if (self->at_work)
        return 0;
    return self->out.size > 0 ? LOOP_WRITE : LOOP_READ;
}

static void arm_below(struct tls_stream *self)
{
    mesh__stream_arm(self->below, awaited(self));
}

/* False when it broke, and the stream may be gone. */
static bool post_step(struct tls_stream *self)
{
    self->at_work = mesh__tls_desk_post(self->desk, &self->job);
    if (self->at_work)
        return true;
    break_off(self, -ENOMEM, MESH_NO_MEMORY, "");
    return false;
}

static void open_up(struct tls_stream *self)
{
    struct loop *loop = self->desk->loop;
    mesh__loop_timer_cancel(loop, &self->timer);
    mesh__buf_fini(&self->out);
    if (self->in.size == 0)
        mesh__buf_fini(&self->in);
    mesh__tls_set_io(self->connection, &straight_io, self);
    self->took = loop->now - self->began_at;
    self->phase = PHASE_OPEN;
    tell(self);
}

static void refuse(struct tls_stream *self)
{
    if (self->connection == NULL) {
        break_off(self, -ENOMEM, MESH_NO_MEMORY, "");
        return;
    }
    const struct tls_report *report = mesh__tls_report(self->connection);
    int error = self->in_error < 0 ? self->in_error : -EPROTO;
    break_off(self, error, report->status == MESH_OK ? MESH_TLS_PROTOCOL : report->status, report->words);
}

/* Sends what the last step wrote. 0, -EAGAIN, or another negative errno, after which there is nothing to send. */
static int send_out(struct tls_stream *self)
{
    while (self->out.size > 0) {
        ssize_t put = write_below(self, self->out.data, self->out.size);
        if (put < 0 && put != -EAGAIN)
            mesh__buf_clear(&self->out);
        if (put < 0)
            return (int)put;
        mesh__buf_consume(&self->out, (size_t)put);
    }
    return 0;
}

/* After a step, and when the stream below takes more. */
static void go_on(struct tls_stream *self)
{
    int error = send_out(self);
    if (error == -EAGAIN)
        arm_below(self);
    else if (self->want == TLS_FAILED)
        refuse(self);
    else if (error && self->in_error == 0 && self->want == TLS_WANTS_READ)
        arm_below(self); /* what the peer said before it closed tells more than the failed write */
    else if (error)
        break_off(self, error, MESH_TLS_PROTOCOL, "the connection broke during the handshake");
    else if (self->want == TLS_DONE)
        open_up(self);
    else if (self->want == TLS_WANTS_READ)
        arm_below(self);
    else
        break_off(self, -ENOMEM, MESH_NO_MEMORY, "");
}

static void back(struct handshake_job *job)
{
    struct tls_stream *self = CONTAINER_OF(job, struct tls_stream, job);
    self->at_work = false;
    if (self->closed)
        destroy(self);
    else if (self->phase == PHASE_SHAKING)
        go_on(self);
}

/* Takes in a piece of what is there, and what has left the socket already. False when there was nothing. */
static bool fill(struct tls_stream *self)
{
    char bytes[READ_AT_ONCE];
    struct stream *below = self->below;
    bool any = false;
    do {
        ssize_t got = below->ops->read(below, bytes, sizeof(bytes));
        if (got == -EAGAIN)
            return any;
        if (got > 0 && !mesh__buf_append(&self->in, bytes, (size_t)got))
            got = self->in.no_memory ? -ENOMEM : -EMSGSIZE;
        if (got <= 0)
            self->in_error = got == 0 ? 1 : (int)got;
        any = true;
    } while (self->in_error == 0 && below->ops->has_buffered_input(below));
    return true;
}

static void on_timer(struct loop_timer *timer)
{
    struct tls_stream *self = CONTAINER_OF(timer, struct tls_stream, timer);
    break_off(self, -ETIMEDOUT, MESH_TLS_TIMEOUT, "");
}

/* The stream below is up. False when it broke, and the stream may be gone. */
static bool start_shaking(struct tls_stream *self)
{
    struct loop *loop = self->desk->loop;
    self->phase = PHASE_SHAKING;
    self->began_at = loop->now;
    if (!mesh__loop_timer_set(loop, &self->timer, mesh__nanos_add(loop->now, self->timeout))) {
        break_off(self, -ENOMEM, MESH_NO_MEMORY, "");
        return false;
    }
    if (self->side == TLS_CLIENT)
        return post_step(self);
    arm_below(self); /* it is the client who begins */
    return true;
}

/* A read may wait for a write below, and the other way round. */
static uint32_t translate(const struct tls_stream *self, uint32_t events)
{
    bool read_writes = mesh__tls_wants(self->connection, false) == TLS_WANTS_WRITE;
    bool write_reads = mesh__tls_wants(self->connection, true) == TLS_WANTS_READ;
    uint32_t out = events & (LOOP_END | LOOP_READ);
    if (events & LOOP_WRITE)
        out |= LOOP_WRITE | (read_writes ? LOOP_READ : 0);
    if ((events & LOOP_READ) && write_reads)
        out |= LOOP_WRITE;
    return out;
}

static void on_below(void *user, uint32_t events)
{
    struct tls_stream *self = user;
    if (self->phase == PHASE_OPEN) {
        self->stream.ready(self->stream.user, translate(self, events));
    } else if (self->phase == PHASE_BROKEN) {
        self->stream.ready(self->stream.user, events);
    } else if (self->phase == PHASE_BELOW) {
        int error = self->below->ops->connected(self->below);
        if (error == -EINPROGRESS)
            mesh__stream_arm(self->below, LOOP_WRITE);
        else if (error)
            break_off(self, error, MESH_OK, NULL);
        else if (start_shaking(self))
            tell(self);
    } else if (self->phase == PHASE_SHAKING && !self->at_work) {
        if (self->out.size > 0)
            go_on(self);
        else if (fill(self)) {
            if (post_step(self))
                arm_below(self);
        } else {
            arm_below(self);
        }
    }
}

/* ---- the stream ---- */

/* What comes after a refusal; if much, the rest in the next turn. */
static ssize_t drop_below(struct tls_stream *self, void *space, size_t size)
{
    ssize_t got = 1;
    for (int i = 0; i < DROPS_AT_ONCE && got > 0; i++)
        got = self->below->ops->read(self->below, space, size);
    return got > 0 ? -EAGAIN : got;
}

static ssize_t tls_read(struct stream *stream, void *bytes, size_t size)
{
    struct tls_stream *self = self_of(stream);
    return self->phase == PHASE_BROKEN ? drop_below(self, bytes, size) : mesh__tls_read(self->connection, bytes, size);
}

static void on_read_on(struct loop_task *task)
{
    struct tls_stream *self = CONTAINER_OF(task, struct tls_stream, read_on);
    self->stream.ready(self->stream.user, LOOP_READ);
}

/* What reading left alone until this write was out may have left the socket already: no event below tells of it. */
static ssize_t tls_write(struct stream *stream, const struct iovec *vector, int count)
{
    struct tls_stream *self = self_of(stream);
    bool read_waits = mesh__tls_wants(self->connection, false) == TLS_WANTS_WRITE;
    ssize_t moved = mesh__tls_write(self->connection, vector, count);
    if (read_waits && mesh__tls_wants(self->connection, false) == TLS_WANTS_READ)
        mesh__loop_post(self->desk->loop, &self->read_on);
    return moved;
}

static int tls_connected(struct stream *stream)
{
    struct tls_stream *self = self_of(stream);
    return self->phase == PHASE_OPEN ? 0 : self->phase == PHASE_BROKEN ? self->error : -EINPROGRESS;
}

static uint32_t tls_wants(const struct stream *stream, uint32_t interest)
{
    struct tls_stream *self = self_of(stream);
    uint32_t events = 0;
    if (self->phase == PHASE_BELOW)
        events = LOOP_WRITE;
    else if (self->phase == PHASE_SHAKING)
        events = awaited(self);
    else if (self->phase == PHASE_BROKEN)
        events = interest & LOOP_READ;
    else {
        if (interest & LOOP_READ)
            events |= mesh__tls_wants(self->connection, false) == TLS_WANTS_WRITE ? LOOP_WRITE : LOOP_READ;
        if (interest & LOOP_WRITE)
            events |= mesh__tls_wants(self->connection, true) == TLS_WANTS_READ ? LOOP_READ : LOOP_WRITE;
    }
    return self->below->ops->wants(self->below, events);
}

static void tls_arm(struct stream *stream, uint32_t events)
{
    struct tls_stream *self = self_of(stream);
    self->below->ops->arm(self->below, events);
}

static bool tls_has_buffered_input(const struct stream *stream)
{
    struct tls_stream *self = self_of(stream);
    return self->phase == PHASE_OPEN && (self->in.size > 0 || mesh__tls_has_input(self->connection) ||
                                         self->below->ops->has_buffered_input(self->below));
}

/* What has come may be for TLS only, as a ticket: then reading it finds nothing for us. */
static bool tls_is_quiet(struct stream *stream)
{
    struct tls_stream *self = self_of(stream);
    if (!tls_has_buffered_input(stream) && self->below->ops->is_quiet(self->below))
        return true;
    char byte;
    return mesh__tls_read(self->connection, &byte, 1) == -EAGAIN && !tls_has_buffered_input(stream);
}

static int tls_finish(struct stream *stream)
{
    struct tls_stream *self = self_of(stream);
    if (self->phase == PHASE_OPEN)
        mesh__tls_finish(self->connection);
    return self->below->ops->finish(self->below);
}

static void tls_close(struct stream *stream)
{
    struct tls_stream *self = self_of(stream);
    mesh__loop_timer_cancel(self->desk->loop, &self->timer);
    mesh__loop_cancel(&self->read_on);
    if (self->at_work && !self->desk->threads) {
        mesh__loop_cancel(&self->job.task);
        self->at_work = false;
    }
    if (!self->at_work) {
        destroy(self);
        return;
    }
    self->closed = true;
    self->below->ops->close(self->below);
    self->below = NULL;
}

static const struct stream_ops tls_ops = {
    .read = tls_read,
    .write = tls_write,
    .connected = tls_connected,
    .wants = tls_wants,
    .arm = tls_arm,
    .has_buffered_input = tls_has_buffered_input,
    .is_quiet = tls_is_quiet,
    .finish = tls_finish,
    .close = tls_close,
};

int mesh__tls_stream_new(const struct tls_plan *plan, struct stream *below, struct stream **out)
{
    const struct mem *mem = plan->desk->loop->mem;
    struct tls_stream *self = mesh__zalloc(mem, sizeof(*self));
    if (self == NULL) {
        below->ops->close(below);
        return -ENOMEM;
    }
    self->stream.ops = &tls_ops;
    self->desk = plan->desk;
    self->below = below;
    self->spec = plan->spec;
    mesh__tls_spec_ref(plan->spec);
    self->side = plan->side;
    self->timeout = plan->timeout;
    self->timer.fire = on_timer;
    self->read_on.run = on_read_on;
    self->want = TLS_WANTS_READ; /* also after a step that was never worked at */
    self->job.work = work;
    self->job.back = back;
    mesh__buf_init(&self->in, mem, HANDSHAKE_BYTES_MAX);
    mesh__buf_init(&self->out, mem, HANDSHAKE_BYTES_MAX);
    size_t length = plan->peer ? strlen(plan->peer) : 0;
    if (length < sizeof(self->peer))
        memcpy(self->peer, plan->peer ? plan->peer : "", length + 1);
    below->ready = on_below;
    below->user = self;
    *out = &self->stream;
    return 0;
}

void mesh__tls_stream_silence(struct stream *stream)
{
    struct tls_stream *self = self_of(stream);
    if (stream->ops == &tls_ops && self->phase == PHASE_OPEN)
        mesh__tls_set_io(self->connection, NULL, NULL);
}

bool mesh__tls_stream_state(const struct stream *stream, struct tls_state *out)
{
    if (stream->ops != &tls_ops)
        return false;
    const struct tls_stream *self = self_of(stream);
    bool known = (self->phase == PHASE_OPEN || self->phase == PHASE_BROKEN) && self->connection && !self->at_work;
    const struct tls_report *report = known ? mesh__tls_report(self->connection) : NULL;
    *out = (struct tls_state){ .shaking = self->phase == PHASE_SHAKING,
                               .status = self->status,
                               .words = self->words,
                               .took = self->took,
                               .report = report };
    return true;
}
