/* SPDX-License-Identifier: Apache-2.0 */
/* loop.c - epoll, a timer heap, a task list. */
#include "net/loop.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define EVENTS_PER_TURN 64
#define WAKE_ID UINT64_MAX

int mesh__loop_init(struct loop *loop, const struct mem *mem, const struct world *world)
{
    *loop = (struct loop){ .mem = mem, .world = world, .epoll_fd = -1, .wake_fd = -1 };
    mesh__heap_init(&loop->timers, mem);
    mesh__list_init(&loop->tasks);
    loop->now = world->now(world);
    loop->scratch = mesh__alloc(mem, LOOP_SCRATCH_SIZE);
    int error = loop->scratch ? 0 : ENOMEM;
    if (!error && (loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC)) < 0)
        error = errno;
    if (!error && (loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) < 0)
        error = errno;
    struct epoll_event event = { .events = EPOLLIN, .data.u64 = WAKE_ID };
    if (!error && epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &event) != 0)
        error = errno;
    if (error)
        mesh__loop_fini(loop);
    return -error;
}

void mesh__loop_fini(struct loop *loop)
{
    if (loop->wake_fd >= 0)
        close(loop->wake_fd);
    if (loop->epoll_fd >= 0)
        close(loop->epoll_fd);
    loop->wake_fd = loop->epoll_fd = -1;
    mesh__heap_fini(&loop->timers);
    mesh__mem_free(loop->mem, loop->slots);
    mesh__mem_free(loop->mem, loop->scratch);
    loop->slots = NULL;
    loop->scratch = NULL;
}

void mesh__loop_abandon(struct loop *loop)
{
    for (uint32_t i = 0; i < loop->slot_count; i++)
        if (loop->slots[i].fd >= 0)
            close(loop->slots[i].fd);
    mesh__loop_fini(loop);
}

mesh_nanos mesh__loop_next(const struct loop *loop)
{
    if (!mesh__list_empty(&loop->tasks))
        return 0;
    struct timer *first = mesh__heap_first(&loop->timers);
    return first ? first->due : NANOS_NEVER;
}

mesh_nanos mesh__loop_timeout(const struct loop *loop)
{
    mesh_nanos next = mesh__loop_next(loop);
    if (next == 0 || next == NANOS_NEVER)
        return next;
    return mesh__nanos_max(0, mesh__nanos_sub(next, loop->world->now(loop->world)));
}

/* epoll counts in whole milliseconds: rounding up means never waking before a timer is due. */
static int to_epoll_timeout(mesh_nanos timeout)
{
    if (timeout >= (mesh_nanos)INT32_MAX * NANOS_MS)
        return timeout == NANOS_NEVER ? -1 : INT32_MAX;
    return timeout <= 0 ? 0 : (int)((timeout + NANOS_MS - 1) / NANOS_MS);
}

void mesh__loop_take_mail(struct loop *loop)
{
    struct loop_mail *newest = atomic_exchange(&loop->mail, NULL), *oldest = NULL;
    while (newest) {
        struct loop_mail *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        struct loop_mail *next = oldest->next;
        oldest->run(oldest);
        oldest = next;
    }
}

void mesh__loop_send(struct loop *loop, struct loop_mail *mail)
{
    struct loop_mail *head = atomic_load(&loop->mail);
    do
        mail->next = head;
    while (!atomic_compare_exchange_weak(&loop->mail, &head, mail));
    mesh__loop_kick(loop);
}

static void drain_wake(struct loop *loop)
{
    uint64_t count;
    ssize_t ignored = read(loop->wake_fd, &count, sizeof(count));
    (void)ignored; /* EAGAIN: another event of the same kick */
    mesh__loop_take_mail(loop);
}

static void dispatch(struct loop *loop, const struct epoll_event *event)
{
    if (event->data.u64 == WAKE_ID) {
        drain_wake(loop);
        return;
    }
    uint32_t index = (uint32_t)event->data.u64;
    struct watch_slot *slot = &loop->slots[index];
    if (slot->generation != (uint32_t)(event->data.u64 >> 32) || slot->watch == NULL)
        return;
    uint32_t ready = 0;
    if (event->events & EPOLLIN)
        ready |= LOOP_READ;
    if (event->events & EPOLLRDHUP)
        ready |= LOOP_READ | LOOP_END;
    if (event->events & EPOLLOUT)
        ready |= LOOP_WRITE;
    if (event->events & (EPOLLERR | EPOLLHUP))
        ready |= LOOP_READ | LOOP_WRITE;
    if (ready)
        slot->watch->ready(slot->watch, ready);
}

/* What is due leaves the heap first, so that a timer set by these callbacks waits for the next turn. Its place is kept
 * until its callback is over: whoever repeats itself needs no memory for that, whatever else was set in between. */
static void fire_timers(struct loop *loop)
{
    struct list batch;
    mesh__list_init(&batch);
    struct timer *first;
    while ((first = mesh__heap_first(&loop->timers)) != NULL && first->due <= loop->now) {
        mesh__heap_remove(&loop->timers, first);
        mesh__list_push(&batch, &CONTAINER_OF(first, struct loop_timer, timer)->firing);
        loop->firing++;
    }
    struct list *node;
    while ((node = mesh__list_pop(&batch)) != NULL) {
        struct loop_timer *timer = CONTAINER_OF(node, struct loop_timer, firing);
        loop->fired = timer;
        timer->fire(timer);
        loop->firing -= loop->fired != NULL;
        loop->fired = NULL;
    }
}

void mesh__loop_run_tasks(struct loop *loop)
{
    struct list batch;
    mesh__list_init(&batch);
    struct list *node;
    while ((node = mesh__list_pop(&loop->tasks)) != NULL)
        mesh__list_push(&batch, node);
    while ((node = mesh__list_pop(&batch)) != NULL) {
        struct loop_task *task = CONTAINER_OF(node, struct loop_task, link);
        task->run(task);
    }
}

void mesh__loop_refresh(struct loop *loop)
{
    loop->now = mesh__nanos_max(loop->now, loop->world->now(loop->world));
    loop->turns++;
}

void mesh__loop_turn(struct loop *loop, mesh_nanos timeout)
{
    struct epoll_event events[EVENTS_PER_TURN];
    if (timeout > 0)
        timeout = mesh__nanos_min(timeout, mesh__loop_timeout(loop));
    int count = epoll_wait(loop->epoll_fd, events, EVENTS_PER_TURN, to_epoll_timeout(timeout));
    mesh__loop_refresh(loop);
    for (int i = 0; i < count; i++) /* -1 on EINTR: a turn without events */
        dispatch(loop, &events[i]);
    fire_timers(loop);
    mesh__loop_run_tasks(loop);
}

void mesh__loop_kick(struct loop *loop)
{
    uint64_t one = 1;
    ssize_t ignored = write(loop->wake_fd, &one, sizeof(one));
    (void)ignored; /* EAGAIN: it is readable already */
}

static uint32_t to_epoll(uint32_t interest)
{
    uint32_t events = EPOLLRDHUP;
    if (interest & LOOP_READ)
        events |= EPOLLIN;
    if (interest & LOOP_WRITE)
        events |= EPOLLOUT;
    /* Without interest in reading, a half-closed peer would make every wait return at once. */
    return interest & LOOP_READ ? events : events & ~(uint32_t)EPOLLRDHUP;
}

/* The old table goes when the new one is in its place: a child that another thread forks just now finds one of them. */
static bool grow_slots(struct loop *loop)
{
    uint32_t before = loop->slot_count, count = before ? before * 2 : 64;
    struct watch_slot *slots = mesh__alloc(loop->mem, count * sizeof(*slots)), *old = loop->slots;
    if (slots == NULL)
        return false;
    if (before > 0)
        memcpy(slots, old, before * sizeof(*slots));
    for (uint32_t i = before; i < count; i++)
        slots[i] = (struct watch_slot){ .fd = -1, .next_free = i + 1 < count ? i + 2 : 0 };
    loop->free_slot = before + 1;
    loop->slots = slots;
    loop->slot_count = count;
    mesh__mem_free(loop->mem, old);
    return true;
}

int mesh__loop_watch(struct loop *loop, struct watch *watch, int fd, uint32_t interest)
{
    if (loop->free_slot == 0 && !grow_slots(loop))
        return -ENOMEM;
    uint32_t index = loop->free_slot - 1;
    struct watch_slot *slot = &loop->slots[index];
    struct epoll_event event = { .events = to_epoll(interest), .data.u64 = ((uint64_t)slot->generation << 32) | index };
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        return -errno;
    loop->free_slot = slot->next_free;
    slot->watch = watch;
    slot->fd = fd;
    watch->fd = fd;
    watch->interest = interest;
    watch->slot = index + 1;
    return 0;
}

void mesh__loop_rewatch(struct loop *loop, struct watch *watch, uint32_t interest)
{
    if (watch->slot == 0 || watch->interest == interest)
        return;
    struct watch_slot *slot = &loop->slots[watch->slot - 1];
    struct epoll_event event = { .events = to_epoll(interest),
                                 .data.u64 = ((uint64_t)slot->generation << 32) | (watch->slot - 1) };
    (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event); /* fails only for a descriptor not in the set */
    watch->interest = interest;
}

void mesh__loop_unwatch(struct loop *loop, struct watch *watch)
{
    if (watch->slot == 0)
        return;
    (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL); /* likewise */
    struct watch_slot *slot = &loop->slots[watch->slot - 1];
    slot->watch = NULL;
    slot->fd = -1;
    slot->generation++;
    slot->next_free = loop->free_slot;
    loop->free_slot = watch->slot;
    watch->slot = 0;
}

/* Takes the timer out of those that are still to fire, or whose callback runs; true when it was one of them. */
static bool leave_firing(struct loop *loop, struct loop_timer *timer)
{
    if (loop->fired == timer)
        loop->fired = NULL;
    else if (mesh__list_linked(&timer->firing))
        mesh__list_remove(&timer->firing);
    else
        return false;
    loop->firing--;
    return true;
}

bool mesh__loop_timer_set(struct loop *loop, struct loop_timer *timer, mesh_nanos due)
{
    if (!leave_firing(loop, timer) && timer->timer.place == 0 &&
        !mesh__heap_reserve(&loop->timers, loop->timers.size + loop->firing + 1))
        return false;
    return mesh__heap_set(&loop->timers, &timer->timer, due);
}

void mesh__loop_timer_cancel(struct loop *loop, struct loop_timer *timer)
{
    if (mesh__list_linked(&timer->firing))
        (void)leave_firing(loop, timer);
    mesh__heap_remove(&loop->timers, &timer->timer);
}

void mesh__loop_post(struct loop *loop, struct loop_task *task)
{
    if (!mesh__list_linked(&task->link))
        mesh__list_push(&loop->tasks, &task->link);
}

void mesh__loop_cancel(struct loop_task *task)
{
    mesh__list_remove(&task->link);
}
