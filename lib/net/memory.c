/* SPDX-License-Identifier: Apache-2.0 */
/* memory.c - connections as lists of segments that become due. */
#include "net/memory.h"

#include <errno.h>
#include <pthread.h>

enum segment_kind { SEGMENT_CONNECTED, SEGMENT_REFUSED, SEGMENT_BYTES, SEGMENT_END, SEGMENT_RESET };

struct segment {
    struct list link;
    enum segment_kind kind;
    mesh_nanos due;
    size_t size, used;
    char bytes[];
};

struct listener {
    struct list link;
    char address[ADDRESS_TEXT_MAX];
    const struct memory_peer *peer;
    void *user;
    enum memory_mood mood;
    mesh_nanos connect_delay;
};

struct memory_network {
    struct world world;
    const struct world *clock;
    pthread_mutex_t lock; /* of the list and what is in it */
    struct list listeners;
};

struct memory_connection {
    struct stream stream;
    struct loop *loop;
    struct listener *listener;
    void *state;
    struct list coming;  /* segments not yet due, in order of arrival */
    struct list arrived; /* bytes, end or reset to be read */
    struct loop_timer timer;
    struct loop_task notice;
    uint32_t armed;
    int status; /* -EINPROGRESS, 0 or a negative errno */
    mesh_nanos last_due;
};

static struct memory_connection *self_of(const struct stream *stream)
{
    return CONTAINER_OF(stream, struct memory_connection, stream);
}

static uint32_t readiness(const struct memory_connection *self)
{
    if (self->status == -EINPROGRESS)
        return 0;
    uint32_t ready = LOOP_WRITE;
    if (self->status != 0 || !mesh__list_empty(&self->arrived))
        ready |= LOOP_READ;
    return ready;
}

static bool has_ended(const struct memory_connection *self)
{
    return !mesh__list_empty(&self->arrived) &&
           CONTAINER_OF(self->arrived.prev, struct segment, link)->kind == SEGMENT_END;
}

static void notify_if_ready(struct memory_connection *self)
{
    if (self->armed & readiness(self))
        mesh__loop_post(self->loop, &self->notice);
}

static void on_notice(struct loop_task *task)
{
    struct memory_connection *self = CONTAINER_OF(task, struct memory_connection, notice);
    uint32_t ready = self->armed & readiness(self);
    if (ready == 0)
        return;
    mesh__loop_post(self->loop, &self->notice); /* level-triggered: again next turn, unless that changes */
    if ((ready & LOOP_READ) && has_ended(self))
        ready |= LOOP_END;
    self->stream.ready(self->stream.user, ready);
}

static void arrive(struct memory_connection *self, struct segment *segment)
{
    if (segment->kind == SEGMENT_CONNECTED || segment->kind == SEGMENT_REFUSED) {
        self->status = segment->kind == SEGMENT_CONNECTED ? 0 : -ECONNREFUSED;
        mesh__mem_free(&mesh__mem_system, segment);
        if (self->status == 0)
            self->state = self->listener->peer->opened(self->listener->user, self);
    } else {
        mesh__list_push(&self->arrived, &segment->link);
    }
}

static void on_due(struct loop_timer *timer)
{
    struct memory_connection *self = CONTAINER_OF(timer, struct memory_connection, timer);
    while (!mesh__list_empty(&self->coming)) {
        struct segment *segment = CONTAINER_OF(self->coming.next, struct segment, link);
        if (segment->due > self->loop->now) {
            (void)mesh__loop_timer_set(self->loop, &self->timer, segment->due); /* it has just left the heap: room */
            break;
        }
        mesh__list_remove(&segment->link);
        arrive(self, segment);
    }
    notify_if_ready(self);
}

/* What is under way is the network's own memory, so that no lack of the client's loses it; without a timer of the
 * client's loop the connection breaks. */
static void come(struct memory_connection *self, enum segment_kind kind, const char *bytes, size_t size,
                 mesh_nanos delay)
{
    struct segment *segment = mesh__zalloc(&mesh__mem_system, sizeof(*segment) + size);
    if (segment == NULL)
        return; /* lost, as a packet may be */
    segment->kind = kind;
    segment->size = size;
    if (size > 0)
        memcpy(segment->bytes, bytes, size);
    segment->due = mesh__nanos_max(self->last_due, mesh__nanos_add(self->loop->now, delay));
    self->last_due = segment->due;
    mesh__list_push(&self->coming, &segment->link);
    if (self->timer.timer.place == 0 && !mesh__loop_timer_set(self->loop, &self->timer, segment->due)) {
        self->status = -ENOMEM;
        notify_if_ready(self);
    }
}

void mesh__memory_send(struct memory_connection *self, const char *bytes, size_t size, mesh_nanos delay)
{
    if (size > 0)
        come(self, SEGMENT_BYTES, bytes, size, delay);
}

void mesh__memory_finish(struct memory_connection *self, mesh_nanos delay)
{
    come(self, SEGMENT_END, NULL, 0, delay);
}

void mesh__memory_reset(struct memory_connection *self, mesh_nanos delay)
{
    come(self, SEGMENT_RESET, NULL, 0, delay);
}

struct loop *mesh__memory_loop(struct memory_connection *self)
{
    return self->loop;
}

static ssize_t memory_read(struct stream *stream, void *bytes, size_t size)
{
    struct memory_connection *self = self_of(stream);
    if (self->status != 0)
        return self->status == -EINPROGRESS ? -EAGAIN : self->status;
    if (mesh__list_empty(&self->arrived))
        return -EAGAIN;
    struct segment *segment = CONTAINER_OF(self->arrived.next, struct segment, link);
    if (segment->kind == SEGMENT_END)
        return 0;
    if (segment->kind == SEGMENT_RESET) {
        self->status = -ECONNRESET;
        return self->status;
    }
    size_t part = segment->size - segment->used;
    part = part < size ? part : size;
    memcpy(bytes, segment->bytes + segment->used, part);
    segment->used += part;
    if (segment->used == segment->size) {
        mesh__list_remove(&segment->link);
        mesh__mem_free(&mesh__mem_system, segment);
    }
    return (ssize_t)part;
}

static ssize_t memory_write(struct stream *stream, const struct iovec *vector, int count)
{
    struct memory_connection *self = self_of(stream);
    if (self->status != 0)
        return self->status == -EINPROGRESS ? -EAGAIN : self->status;
    ssize_t put = 0;
    for (int i = 0; i < count; i++) {
        self->listener->peer->received(self->state, self, vector[i].iov_base, vector[i].iov_len);
        put += (ssize_t)vector[i].iov_len;
    }
    return put;
}

static int memory_connected(struct stream *stream)
{
    return self_of(stream)->status;
}

static uint32_t memory_wants(const struct stream *stream, uint32_t interest)
{
    (void)stream;
    return interest;
}

static void memory_arm(struct stream *stream, uint32_t events)
{
    struct memory_connection *self = self_of(stream);
    self->armed = events;
    notify_if_ready(self);
}

static bool memory_has_buffered_input(const struct stream *stream)
{
    (void)stream;
    return false;
}

static bool memory_is_quiet(struct stream *stream)
{
    const struct memory_connection *self = self_of(stream);
    return self->status == 0 && mesh__list_empty(&self->arrived);
}

/* Peers in memory see the close only. */
static int memory_finish(struct stream *stream)
{
    (void)stream;
    return -EOPNOTSUPP;
}

static void free_segments(struct list *segments)
{
    struct list *node;
    while ((node = mesh__list_pop(segments)) != NULL)
        mesh__mem_free(&mesh__mem_system, CONTAINER_OF(node, struct segment, link));
}

static void memory_close(struct stream *stream)
{
    struct memory_connection *self = self_of(stream);
    mesh__loop_timer_cancel(self->loop, &self->timer);
    mesh__loop_cancel(&self->notice);
    free_segments(&self->coming);
    free_segments(&self->arrived);
    if (self->state)
        self->listener->peer->closed(self->state, self);
    mesh__mem_free(self->loop->mem, self);
}

static const struct stream_ops memory_ops = {
    .read = memory_read,
    .write = memory_write,
    .connected = memory_connected,
    .wants = memory_wants,
    .arm = memory_arm,
    .has_buffered_input = memory_has_buffered_input,
    .is_quiet = memory_is_quiet,
    .finish = memory_finish,
    .close = memory_close,
};

/* With the lock held. */
static struct listener *find(struct memory_network *network, const char *address)
{
    for (struct list *node = network->listeners.next; node != &network->listeners; node = node->next) {
        struct listener *listener = CONTAINER_OF(node, struct listener, link);
        if (strcmp(listener->address, address) == 0)
            return listener;
    }
    return NULL;
}

static int memory_connect(const struct world *world, struct loop *loop, const struct address *address,
                          struct stream **out)
{
    struct memory_network *network = world->user;
    struct memory_connection *self = mesh__zalloc(loop->mem, sizeof(*self));
    if (self == NULL)
        return -ENOMEM;
    self->stream.ops = &memory_ops;
    self->loop = loop;
    self->timer.fire = on_due;
    self->notice.run = on_notice;
    self->status = -EINPROGRESS;
    mesh__list_init(&self->coming);
    mesh__list_init(&self->arrived);
    pthread_mutex_lock(&network->lock);
    struct listener *listener = find(network, address->text);
    enum memory_mood mood = listener ? listener->mood : MEMORY_REFUSE;
    mesh_nanos delay = listener ? listener->connect_delay : 0;
    pthread_mutex_unlock(&network->lock);
    self->listener = listener;
    if (mood != MEMORY_IGNORE)
        come(self, mood == MEMORY_ACCEPT ? SEGMENT_CONNECTED : SEGMENT_REFUSED, NULL, 0, delay);
    if (self->status == -ENOMEM) {
        memory_close(&self->stream);
        return -ENOMEM;
    }
    *out = &self->stream;
    return 0;
}

static mesh_nanos clock_now(const struct world *world)
{
    const struct memory_network *network = world->user;
    return network->clock->now(network->clock);
}

static int64_t clock_unix_now(const struct world *world)
{
    const struct memory_network *network = world->user;
    return network->clock->unix_now(network->clock);
}

static uint64_t clock_random(const struct world *world)
{
    const struct memory_network *network = world->user;
    return network->clock->random(network->clock);
}

struct memory_network *mesh__memory_new(const struct world *clock)
{
    struct memory_network *network = mesh__zalloc(&mesh__mem_system, sizeof(*network));
    if (network == NULL)
        return NULL;
    network->world = (struct world){ clock_now, clock_unix_now, clock_random, memory_connect, network };
    network->clock = clock;
    (void)pthread_mutex_init(&network->lock, NULL); /* cannot fail without attributes */
    mesh__list_init(&network->listeners);
    return network;
}

void mesh__memory_free(struct memory_network *network)
{
    if (network == NULL)
        return;
    struct list *node;
    while ((node = mesh__list_pop(&network->listeners)) != NULL)
        mesh__mem_free(&mesh__mem_system, CONTAINER_OF(node, struct listener, link));
    pthread_mutex_destroy(&network->lock);
    mesh__mem_free(&mesh__mem_system, network);
}

const struct world *mesh__memory_world(struct memory_network *network)
{
    return &network->world;
}

bool mesh__memory_listen(struct memory_network *network, const char *address, const struct memory_peer *peer,
                         void *user)
{
    struct address parsed;
    struct listener *listener = mesh__zalloc(&mesh__mem_system, sizeof(*listener));
    if (listener == NULL || mesh__address_parse(mesh__view_of(address), false, &parsed) != ADDRESS_OK) {
        mesh__mem_free(&mesh__mem_system, listener);
        return false;
    }
    memcpy(listener->address, parsed.text, sizeof(listener->address));
    listener->peer = peer;
    listener->user = user;
    pthread_mutex_lock(&network->lock);
    mesh__list_push(&network->listeners, &listener->link);
    pthread_mutex_unlock(&network->lock);
    return true;
}

void mesh__memory_set(struct memory_network *network, const char *address, enum memory_mood mood,
                      mesh_nanos connect_delay)
{
    pthread_mutex_lock(&network->lock);
    struct listener *listener = find(network, address);
    if (listener) {
        listener->mood = mood;
        listener->connect_delay = connect_delay;
    }
    pthread_mutex_unlock(&network->lock);
}
