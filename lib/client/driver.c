/* SPDX-License-Identifier: Apache-2.0 */
/* driver.c - lock, drive, leave. */
#include "client/driver.h"

#include "client/complete.h"
#include "client/control.h"
#include "client/futex.h"

#include <limits.h>
#include <sched.h>
#include <sys/epoll.h>

/* A thread that comes back to mesh_client_next() within RECENT is about to drive again: control leaves the shard to it
 * for GRACE, which saves both a wake-up for each completion. */
#define NEXT_RECENT (10 * NANOS_MS)
#define NEXT_GRACE NANOS_MS

static bool try_lock(struct shard *shard)
{
    if (atomic_load_explicit(&shard->locked, memory_order_relaxed) != 0 || atomic_exchange(&shard->locked, 1) != 0)
        return false;
    atomic_store(&shard->armed, false);
    atomic_store_explicit(&shard->driven, true, memory_order_relaxed);
    return true;
}

static void kick_if_asleep(struct shard *shard)
{
    if (atomic_exchange(&shard->asleep, false))
        mesh__loop_kick(&shard->loop);
}

/* What ends a wait. */
struct until {
    bool (*holds)(const struct until *);
    struct mesh_client *client;
    _Atomic uint32_t *word; /* of a stream, as it was `seen` */
    uint32_t seen;
};

/* `until`: does this hold, once `asleep` is said, there is no wait (NULL: never). */
static void wait_for_events(struct shard *shard, mesh_nanos timeout, const struct until *until)
{
    atomic_store(&shard->asleep, true);
    bool more =
        atomic_load(&shard->inbox) != NULL || atomic_load(&shard->feed_starved) || (until && until->holds(until));
    mesh__shard_turn(shard, more ? 0 : timeout);
    atomic_store(&shard->asleep, false);
}

static void arm(struct shard *shard, bool lazily)
{
    struct mesh_client *client = shard->client;
    atomic_store(&shard->armed, true);
    if (!lazily) {
        struct epoll_event event = { .events = EPOLLIN | EPOLLONESHOT, .data.u64 = shard->index };
        (void)epoll_ctl(client->undriven_fd, EPOLL_CTL_MOD, shard->loop.epoll_fd, &event); /* it was added at open */
    }
    mesh__control_wake_by(client->control, atomic_load(&shard->next_due));
}

/* What whoever leaves has to do after unlocking. */
struct leaving {
    struct call *sleeper;
    bool arm, lazily;
};

/* Will the thread in mesh_client_next() be back soon? */
static bool next_is_near(const struct shard *shard)
{
    return shard->loop.now - atomic_load(&shard->next_seen) < NEXT_RECENT;
}

static struct leaving unlock(struct shard *shard, bool is_control)
{
    struct mesh_client *client = shard->client;
    struct leaving leaving = { 0 };
    if (!mesh__list_empty(&shard->sleepers))
        leaving.sleeper = CONTAINER_OF(shard->sleepers.next, struct call, sleeping);
    else
        leaving.arm = client->undriven_fd >= 0 && atomic_load(&shard->live_calls) > 0;
    mesh_nanos now = shard->loop.now, due = mesh__loop_next(&shard->loop);
    leaving.lazily = leaving.arm && !is_control && next_is_near(shard);
    if (leaving
            .lazily) /* due 0: something is to be written, which that thread does, with all that it begins until then */
        due = due == 0 ? now + NEXT_GRACE : mesh__nanos_min(due, now + NEXT_GRACE);
    atomic_store(&shard->next_due, due);
    atomic_store(&shard->has_connections, !mesh__list_empty(&shard->pools));
    atomic_store(&shard->locked, 0);
    return leaving;
}

static void leave(struct shard *shard, bool is_control)
{
    do {
        mesh__shard_prepare(shard);
        if (is_control || !next_is_near(shard))
            mesh__shard_flush(shard);
        struct leaving leaving = unlock(shard, is_control);
        if (leaving.sleeper) {
            uint32_t waiting = CALL_WAITING;
            if (atomic_compare_exchange_strong(&leaving.sleeper->word, &waiting, CALL_PROMOTED))
                mesh__futex_wake(&leaving.sleeper->word, 1);
        } else if (leaving.arm) {
            arm(shard, leaving.lazily);
        }
    } while (atomic_load(&shard->inbox) != NULL && try_lock(shard));
    if (atomic_load(&shard->has_connections))
        mesh__control_note_connections(shard->client->control);
}

struct shard *mesh__driver_choose(struct mesh_client *client)
{
    int cpu = client->shard_count > 1 ? sched_getcpu() : 0;
    uint32_t home = cpu < 0 ? 0 : (uint32_t)cpu % client->shard_count;
    for (uint32_t i = 0; i < client->shard_count; i++) {
        struct shard *shard = client->shards[(home + i) % client->shard_count];
        if (atomic_load_explicit(&shard->locked, memory_order_relaxed) == 0)
            return shard;
    }
    return client->shards[home];
}

static void drive_own(struct call *own)
{
    struct shard *shard = own->shard;
    own->driven_here = true;
    mesh__list_remove(&own->sleeping);
    for (;;) {
        mesh__shard_prepare(shard);
        mesh__shard_flush(shard);
        if (atomic_load(&own->word) == CALL_DONE)
            break;
        wait_for_events(shard, NANOS_NEVER, NULL);
    }
    leave(shard, false);
}

void mesh__driver_run(struct call *own)
{
    struct shard *shard = own->shard;
    atomic_store(&own->word, CALL_WAITING);
    mesh__shard_post(own, POST_START);
    for (;;) {
        if (atomic_load(&own->word) == CALL_DONE)
            return;
        if (try_lock(shard)) {
            /* It may have been done between the look at its word and the lock: then its slot is still ours. */
            drive_own(own);
            return;
        }
        kick_if_asleep(shard);
        mesh__futex_wait(&own->word, CALL_WAITING, NANOS_S);
        uint32_t promoted = CALL_PROMOTED;
        (void)atomic_compare_exchange_strong(&own->word, &promoted, CALL_WAITING);
    }
}

void mesh__driver_stir(struct shard *shard)
{
    bool external = shard->client->undriven_fd < 0 && shard->client->thread_count == 0;
    if (!external && try_lock(shard))
        leave(shard, false);
    else
        kick_if_asleep(shard);
}

void mesh__driver_start(struct call *call)
{
    struct shard *shard = call->shard;
    mesh__shard_post(call, POST_START);
    mesh__driver_stir(shard);
}

mesh_status mesh__driver_cancel(struct mesh_client *client, mesh_call_id id)
{
    struct call *call = mesh__shard_find(client, id);
    uint32_t generation = (uint32_t)id;
    if (call == NULL || (generation & 1) == 0)
        return MESH_ESTALE;
    /* The slot may go to another call meanwhile. If that one has been cancelled, the word has changed, and stays so. */
    uint32_t before = atomic_load(&call->cancelled);
    do
        if (atomic_load(&call->generation) != generation)
            return MESH_ESTALE;
    while (!atomic_compare_exchange_strong(&call->cancelled, &before, generation));
    mesh__shard_post(call, POST_CANCEL);
    /* Whoever drives takes the inbox before it waits; if nobody does, control watches the loop's descriptor. */
    atomic_store(&call->shard->asleep, false);
    mesh__loop_kick(&call->shard->loop);
    return MESH_OK;
}

/* ---- completions ---- */

static bool has_completion_or_ends(struct mesh_client *client)
{
    return atomic_load(&client->completions_count) > 0 || atomic_load(&client->state) >= CLIENT_CLOSED;
}

static bool completed(const struct until *until)
{
    return has_completion_or_ends(until->client);
}

/* Drives until what is waited for holds, nothing is left to drive, a sleeper wants the shard, or time is up. */
static void drive_until(struct shard *shard, const struct until *until, mesh_nanos deadline)
{
    for (;;) {
        mesh__shard_prepare(shard);
        if (!until->holds(until))
            mesh__shard_flush(shard);
        mesh_nanos now = shard->loop.now;
        atomic_store(&shard->next_seen, now);
        if (until->holds(until) || atomic_load(&shard->live_calls) == 0 || !mesh__list_empty(&shard->sleepers) ||
            now >= deadline)
            break;
        /* Another shard may complete a call just now: that kicks who is asleep only. */
        wait_for_events(shard, deadline == NANOS_NEVER ? NANOS_NEVER : deadline - now, until);
    }
}

static bool drive_any(struct mesh_client *client, const struct until *until, mesh_nanos deadline)
{
    for (uint32_t i = 0; client->undriven_fd >= 0 && i < client->shard_count; i++) {
        struct shard *shard = client->shards[i];
        if (atomic_load(&shard->live_calls) == 0 || !try_lock(shard))
            continue;
        uint64_t bit = UINT64_C(1) << (shard->index % 64);
        atomic_fetch_or(&client->next_drivers, bit);
        drive_until(shard, until, deadline);
        atomic_fetch_and(&client->next_drivers, ~bit);
        leave(shard, false);
        return true;
    }
    return false;
}

void mesh__driver_await_completion(struct mesh_client *client, mesh_nanos deadline)
{
    struct until until = { .holds = completed, .client = client };
    atomic_fetch_add(&client->completions_waiters, 1);
    for (;;) {
        uint32_t word = atomic_load(&client->completions_word);
        mesh_nanos now = client->world->now(client->world);
        if (has_completion_or_ends(client) || now >= deadline)
            break;
        if (!drive_any(client, &until, deadline))
            mesh__futex_wait(&client->completions_word, word, deadline == NANOS_NEVER ? NANOS_NEVER : deadline - now);
    }
    atomic_fetch_sub(&client->completions_waiters, 1);
}

static bool word_changed(const struct until *until)
{
    return atomic_load(until->word) != until->seen;
}

/* Whoever drives changes the word, and no driver leaves but to another one, or to control: so a sleep ends, too. */
void mesh__driver_await_word(struct shard *shard, _Atomic uint32_t *word, uint32_t seen, mesh_nanos deadline)
{
    const struct world *world = shard->client->world;
    struct until until = { .holds = word_changed, .client = shard->client, .word = word, .seen = seen };
    mesh_nanos now = world->now(world);
    while (!word_changed(&until) && now < deadline) {
        mesh_nanos left = deadline == NANOS_NEVER ? NANOS_NEVER : deadline - now;
        if (shard->client->undriven_fd >= 0 && try_lock(shard)) {
            drive_until(shard, &until, deadline);
            bool wanted = !mesh__list_empty(&shard->sleepers);
            leave(shard, false);
            if (wanted) /* by a thread that is to get it now */
                mesh__futex_wait(word, seen, mesh__nanos_min(left, NANOS_MS));
        } else {
            mesh__futex_wait(word, seen, left);
        }
        now = world->now(world);
    }
}

void mesh__driver_completed(struct mesh_client *client, struct shard *from)
{
    atomic_fetch_add(&client->completions_word, 1);
    uint64_t own = UINT64_C(1) << (from->index % 64);
    uint64_t drivers = atomic_load(&client->next_drivers);
    if (atomic_load(&client->completions_waiters) > 0 && (drivers & own) == 0) {
        mesh__futex_wake(&client->completions_word, INT_MAX);
        for (uint32_t i = 0; i < client->shard_count; i++)
            if (drivers & (UINT64_C(1) << (i % 64)))
                kick_if_asleep(client->shards[i]);
    }
    if (client->dispatcher)
        mesh__dispatcher_wake(client->dispatcher, true);
}

/* A driver in mesh_client_next() wakes nobody for what it takes itself; what it leaves is for the others that wait. */
void mesh__driver_pass_on(struct mesh_client *client)
{
    if (atomic_load(&client->completions_count) == 0 || atomic_load(&client->completions_waiters) == 0)
        return;
    atomic_fetch_add(&client->completions_word, 1);
    mesh__futex_wake(&client->completions_word, INT_MAX);
    uint64_t drivers = atomic_load(&client->next_drivers);
    for (uint32_t i = 0; i < client->shard_count; i++)
        if (drivers & (UINT64_C(1) << (i % 64)))
            kick_if_asleep(client->shards[i]);
}

/* ---- the others ---- */

void mesh__driver_poke(struct shard *shard)
{
    bool external = shard->client->undriven_fd < 0;
    if (!external && try_lock(shard))
        leave(shard, false);
    else
        mesh__loop_kick(&shard->loop);
}

void mesh__driver_nudge(struct mesh_client *client)
{
    for (uint32_t i = 0; i < client->shard_count; i++) {
        struct shard *shard = client->shards[i];
        bool external = client->undriven_fd < 0 && client->thread_count == 0;
        if (!external && try_lock(shard)) {
            mesh__shard_prepare(shard);
            mesh__shard_turn(shard, 0);
            leave(shard, false);
        } else {
            atomic_store(&shard->asleep, false);
            mesh__loop_kick(&shard->loop);
        }
    }
}

void mesh__driver_visit(struct shard *shard)
{
    if (!try_lock(shard))
        return; /* whoever has it arms it again when it leaves */
    mesh__shard_prepare(shard);
    mesh__shard_turn(shard, 0);
    leave(shard, true);
}

bool mesh__driver_process(struct shard *shard)
{
    if (!try_lock(shard))
        return false;
    atomic_store(&shard->asleep, false);
    mesh__shard_prepare(shard);
    mesh__shard_turn(shard, 0);
    if (shard->index == 0 && shard->client->control)
        mesh__control_tick(shard->client->control);
    atomic_store(&shard->asleep, true);
    /* Posted since prepare: the descriptor must be readable, or the host would wait. */
    if (atomic_load(&shard->inbox) != NULL && atomic_exchange(&shard->asleep, false))
        mesh__loop_kick(&shard->loop);
    atomic_store(&shard->locked, 0);
    return true;
}

mesh_nanos mesh__driver_timeout(struct shard *shard)
{
    struct mesh_client *client = shard->client;
    if (atomic_load(&shard->inbox) != NULL)
        return 0;
    mesh_nanos timeout = mesh__loop_timeout(&shard->loop);
    if (atomic_load(&client->state) == CLIENT_CLOSING && atomic_load(&client->close_at) != NANOS_NEVER) {
        mesh_nanos left = mesh__nanos_sub(atomic_load(&client->close_at), client->world->now(client->world));
        timeout = mesh__nanos_min(timeout, mesh__nanos_max(0, left));
    }
    return timeout;
}

void mesh__driver_note_leave(struct mesh_client *client)
{
    atomic_fetch_add(&client->leave_word, 1);
    mesh__futex_wake(&client->leave_word, INT_MAX);
}

void mesh__driver_permanent(struct shard *shard)
{
    while (!try_lock(shard))
        sched_yield(); /* only a caller who came before this thread had started */
    while (!atomic_load(&shard->client->stopping)) {
        mesh__shard_prepare(shard);
        mesh__shard_flush(shard);
        wait_for_events(shard, atomic_load(&shard->client->stopping) ? 0 : NANOS_NEVER, NULL);
    }
    leave(shard, false);
}
