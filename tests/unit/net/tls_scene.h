/* SPDX-License-Identifier: Apache-2.0 */
/* tls_scene.h - two TLS streams on one loop whose clock the test moves, over halves of a pipe that do what a test asks,
 * with hands shaken on the loop or on threads. All that the library allocates is counted. */
#ifndef TEST_NET_TLS_SCENE_H
#define TEST_NET_TLS_SCENE_H

#include "net/tls_stream.h"
#include "support/certificates.h"

#include <check.h>
#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>

#define TIMEOUT (5 * NANOS_S)
#define UNUSED __attribute__((unused))

/* ---- the stream below ---- */

struct half {
    struct stream stream;
    struct loop *loop;
    struct half *other;
    struct buf in; /* what can be read here */
    bool ended;    /* behind `in` there is the end */
    int read_error, write_error;
    int status;      /* what `connected` says */
    size_t most;     /* bytes that one read gives; 0: all */
    size_t room;     /* bytes that writes take */
    bool hoards;     /* bytes count as having left the socket once the first of them was read */
    bool news;       /* hoards: something came since the last read */
    uint32_t events; /* armed */
    struct loop_task notice;
    uint32_t closed;
    size_t received; /* bytes that came */
    bool finished;
};

static inline struct half *half_of(const struct stream *stream)
{
    return CONTAINER_OF(stream, struct half, stream);
}

UNUSED static uint32_t half_ready(const struct half *half)
{
    uint32_t ready = 0;
    if (half->status == -EINPROGRESS)
        return 0;
    if ((half->hoards ? half->news : half->in.size > 0) || half->ended || half->read_error || half->status)
        ready |= LOOP_READ;
    if (half->ended)
        ready |= LOOP_END;
    if (half->room > 0 || half->write_error || half->status)
        ready |= LOOP_WRITE;
    return ready;
}

UNUSED static void half_notice(struct half *half)
{
    if (!half->closed && (half->events & half_ready(half)))
        mesh__loop_post(half->loop, &half->notice);
}

static void half_run(struct loop_task *task)
{
    struct half *half = CONTAINER_OF(task, struct half, notice);
    uint32_t ready = half_ready(half) & (half->events | ((half->events & LOOP_READ) ? (uint32_t)LOOP_END : 0));
    if ((half->events & half_ready(half)) == 0)
        return;
    mesh__loop_post(half->loop, &half->notice); /* level-triggered */
    half->stream.ready(half->stream.user, ready);
}

static ssize_t half_read(struct stream *stream, void *bytes, size_t size)
{
    struct half *half = half_of(stream);
    half->news = false;
    size_t part = half->in.size < size ? half->in.size : size;
    if (half->most > 0 && part > half->most)
        part = half->most;
    if (part == 0)
        return half->read_error ? half->read_error : half->ended ? 0 : -EAGAIN;
    memcpy(bytes, half->in.data, part);
    mesh__buf_consume(&half->in, part);
    return (ssize_t)part;
}

/* Bytes reach a half. */
UNUSED static void half_bring(struct half *half, const void *bytes, size_t size)
{
    if (half->closed)
        return;
    ck_assert(mesh__buf_append(&half->in, bytes, size));
    half->received += size;
    half->news = true;
    half_notice(half);
}

UNUSED static void half_end(struct half *half)
{
    half->ended = true;
    half_notice(half);
}

static ssize_t half_write(struct stream *stream, const struct iovec *vector, int count)
{
    struct half *half = half_of(stream);
    size_t put = 0;
    if (half->write_error)
        return half->write_error;
    for (int i = 0; i < count && half->room > 0; i++) {
        size_t part = vector[i].iov_len < half->room ? vector[i].iov_len : half->room;
        half_bring(half->other, vector[i].iov_base, part);
        half->room -= part;
        put += part;
    }
    return put > 0 ? (ssize_t)put : -EAGAIN;
}

static int half_connected(struct stream *stream)
{
    return half_of(stream)->status;
}

static uint32_t half_wants(const struct stream *stream, uint32_t interest)
{
    (void)stream;
    return interest;
}

static void half_arm(struct stream *stream, uint32_t events)
{
    half_of(stream)->events = events;
    half_notice(half_of(stream));
}

static bool half_has_buffered_input(const struct stream *stream)
{
    const struct half *half = half_of(stream);
    return half->hoards && half->in.size > 0;
}

static bool half_is_quiet(struct stream *stream)
{
    struct half *half = half_of(stream);
    return half->in.size == 0 && !half->ended && half->status == 0;
}

static int half_finish(struct stream *stream)
{
    half_of(stream)->finished = true;
    half_end(half_of(stream)->other);
    return 0;
}

static void half_close(struct stream *stream)
{
    struct half *half = half_of(stream);
    half->closed++;
    mesh__loop_cancel(&half->notice);
    mesh__buf_clear(&half->in);
    half_end(half->other);
}

static const struct stream_ops half_ops = {
    .read = half_read,
    .write = half_write,
    .connected = half_connected,
    .wants = half_wants,
    .arm = half_arm,
    .has_buffered_input = half_has_buffered_input,
    .is_quiet = half_is_quiet,
    .finish = half_finish,
    .close = half_close,
};

/* ---- the scene ---- */

struct side {
    struct stream *stream; /* NULL: closed */
    uint32_t calls;        /* of `ready` */
    uint32_t events;       /* of the last one */
    bool close_inside;     /* closes at the next `ready` */
};

static struct {
    struct mem mem;
    _Atomic int64_t blocks;
    mesh_nanos now;
    struct world world;
    struct loop loop;
    struct handshaker *threads; /* NULL: on the loop */
    struct tls_desk desk;
    struct half halves[2]; /* by enum tls_side */
    struct side sides[2];
    struct issued authority, stranger, leaves[2];
    struct tls_spec *specs[2];
    sem_t gate, at_gate;
    bool gated;
} scene;

UNUSED static void *scene_allocate(size_t bytes, void *user)
{
    (void)user;
    void *block = malloc(bytes);
    atomic_fetch_add(&scene.blocks, block != NULL);
    return block;
}

UNUSED static void *scene_resize(void *block, size_t old_bytes, size_t bytes, void *user)
{
    (void)old_bytes;
    (void)user;
    void *moved = realloc(block, bytes);
    atomic_fetch_add(&scene.blocks, block == NULL && moved != NULL);
    return moved;
}

UNUSED static void scene_release(void *block, void *user)
{
    (void)user;
    atomic_fetch_sub(&scene.blocks, block != NULL);
    free(block);
}

static mesh_nanos scene_now(const struct world *world)
{
    (void)world;
    return scene.now;
}

UNUSED static void side_ready(void *user, uint32_t events)
{
    struct side *side = user;
    side->calls++;
    side->events = events;
    if (side->close_inside) {
        struct stream *stream = side->stream;
        side->stream = NULL;
        stream->ops->close(stream);
    }
}

/* Threads that shake hands; 0: the loop does. */
UNUSED static void scene_begin(int threads)
{
    memset(&scene, 0, sizeof(scene));
    scene.mem = (struct mem){ scene_allocate, scene_resize, scene_release, NULL };
    scene.now = NANOS_S;
    scene.world = mesh__world_real;
    scene.world.now = scene_now;
    ck_assert_int_eq(mesh__loop_init(&scene.loop, &scene.mem, &scene.world), 0);
    if (threads > 0)
        scene.threads = mesh__handshaker_new(&scene.mem, (uint32_t)threads);
    mesh__tls_desk_init(&scene.desk, &scene.loop, scene.threads);
    sem_init(&scene.gate, 0, 0);
    sem_init(&scene.at_gate, 0, 0);
    certificates_authority(&scene.authority);
    certificates_authority(&scene.stranger);
    for (int i = 0; i < 2; i++) {
        certificates_svid(&scene.authority, i == TLS_CLIENT ? "order" : "payment", &scene.leaves[i]);
        struct tls_identity *identity = certificates_identity(&scene.leaves[i], scene.authority.certificate);
        scene.specs[i] = certificates_spec(identity, (enum tls_side)i, NULL);
        mesh__tls_identity_unref(identity);
        scene.halves[i] = (struct half){ .stream.ops = &half_ops,
                                         .loop = &scene.loop,
                                         .other = &scene.halves[1 - i],
                                         .room = SIZE_MAX,
                                         .notice.run = half_run };
        mesh__buf_init(&scene.halves[i].in, &mesh__mem_system, (size_t)1 << 20);
    }
}

/* Opens a side's TLS stream; as the user of a stream does, it asks to write. */
UNUSED static void side_open(enum tls_side side)
{
    struct tls_plan plan = { &scene.desk, scene.specs[side], side, "10.0.0.1:443", TIMEOUT };
    struct side *at = &scene.sides[side];
    ck_assert_int_eq(mesh__tls_stream_new(&plan, &scene.halves[side].stream, &at->stream), 0);
    at->stream->ready = side_ready;
    at->stream->user = at;
    mesh__stream_arm(at->stream, LOOP_WRITE);
}

UNUSED static void side_close(enum tls_side side)
{
    struct side *at = &scene.sides[side];
    if (at->stream)
        at->stream->ops->close(at->stream);
    at->stream = NULL;
}

UNUSED static int side_connected(enum tls_side side)
{
    return scene.sides[side].stream->ops->connected(scene.sides[side].stream);
}

UNUSED static struct tls_state side_state(enum tls_side side)
{
    struct tls_state state;
    ck_assert(mesh__tls_stream_state(scene.sides[side].stream, &state));
    return state;
}

/* As a user does after each `ready` until it is connected. */
UNUSED static void side_arm(enum tls_side side)
{
    if (scene.sides[side].stream && side_connected(side) == -EINPROGRESS)
        mesh__stream_arm(scene.sides[side].stream, LOOP_WRITE);
}

/* One turn; waits for the threads where hands are shaken there and nothing else is to be done. */
UNUSED static void turn(void)
{
    mesh__loop_turn(&scene.loop, scene.threads && !scene.gated ? NANOS_MS : 0);
    side_arm(TLS_CLIENT);
    side_arm(TLS_SERVER);
}

UNUSED static bool is_settled(enum tls_side side)
{
    return scene.sides[side].stream == NULL || side_connected(side) != -EINPROGRESS;
}

/* Turns until both sides are open or broken. */
UNUSED static void shake(void)
{
    for (int turns = 0; !is_settled(TLS_CLIENT) || !is_settled(TLS_SERVER); turns++) {
        ck_assert_msg(turns < 60000, "hands are not shaken: client %d, server %d", side_connected(TLS_CLIENT),
                      side_connected(TLS_SERVER));
        turn();
    }
}

/* ---- a thread that is held ---- */

struct gate_job {
    struct handshake_job job;
};

UNUSED static void gate_work(struct handshake_job *job, struct tls_bench *bench)
{
    (void)job;
    (void)bench;
    sem_post(&scene.at_gate);
    sem_wait(&scene.gate);
}

UNUSED static void gate_back(struct handshake_job *job)
{
    free(CONTAINER_OF(job, struct gate_job, job));
}

/* Holds the only thread, so that what is posted waits. */
UNUSED static void hold_thread(void)
{
    struct gate_job *gate = calloc(1, sizeof(*gate));
    ck_assert_ptr_nonnull(gate);
    gate->job.work = gate_work;
    gate->job.back = gate_back;
    ck_assert(mesh__tls_desk_post(&scene.desk, &gate->job));
    sem_wait(&scene.at_gate);
    scene.gated = true;
}

UNUSED static void release_thread(void)
{
    scene.gated = false;
    sem_post(&scene.gate);
}

/* Closes what is open; each half was closed once, and nothing is left. */
UNUSED static void scene_end(void)
{
    bool opened[2];
    for (int i = 0; i < 2; i++) {
        opened[i] = scene.halves[i].stream.ready != NULL;
        side_close((enum tls_side)i);
    }
    ck_assert_uint_eq(scene.loop.timers.size, 0);
    mesh__handshaker_stop(scene.threads);
    mesh__tls_desk_fini(&scene.desk);
    mesh__handshaker_free(scene.threads);
    for (int i = 0; i < 2; i++) {
        ck_assert_msg(scene.halves[i].closed == (opened[i] ? 1 : 0), "half %d was closed %u times", i,
                      scene.halves[i].closed);
        mesh__buf_fini(&scene.halves[i].in);
        mesh__tls_spec_unref(scene.specs[i]);
        issued_free(&scene.leaves[i]);
    }
    ck_assert(mesh__list_empty(&scene.loop.tasks));
    mesh__loop_fini(&scene.loop);
    ck_assert_msg(scene.blocks == 0, "%lld blocks leak", (long long)scene.blocks);
    issued_free(&scene.authority);
    issued_free(&scene.stranger);
    sem_destroy(&scene.gate);
    sem_destroy(&scene.at_gate);
}

#endif
