/* SPDX-License-Identifier: Apache-2.0 */
/* client_end.c - closing and freeing, and the turns of an external client, which end a close too. */
#include "client/client_inside.h"
#include "client/delivery.h"
#include "client/driver.h"
#include "client/futex.h"
#include "net/reentry.h"

#include <limits.h>

static uint32_t count_live(const struct mesh_client *client)
{
    uint32_t live = 0;
    for (uint32_t i = 0; i < client->shard_count; i++)
        live += atomic_load(&client->shards[i]->live_calls);
    return live;
}

static void cancel_everything(struct mesh_client *client)
{
    for (uint32_t i = 0; i < client->shard_count; i++)
        atomic_store(&client->shards[i]->cancel_all, true);
    mesh__driver_nudge(client);
}

static void set_closed(struct mesh_client *client)
{
    uint32_t closing = CLIENT_CLOSING;
    (void)atomic_compare_exchange_strong(&client->state, &closing, CLIENT_CLOSED);
    atomic_fetch_add(&client->completions_word, 1);
    mesh__futex_wake(&client->completions_word, INT_MAX);
    mesh__driver_nudge(client);
}

void mesh__client_enter(struct shard *shard)
{
    atomic_fetch_add(&shard->inside, 1);
}

void mesh__client_exit(struct shard *shard)
{
    struct mesh_client *client = shard->client;
    if (atomic_load_explicit(&client->state, memory_order_relaxed) != CLIENT_OPEN)
        mesh__driver_note_leave(client); /* before the count falls: the client may be gone after that */
    atomic_fetch_sub(&shard->inside, 1);
}

static bool drained(const struct mesh_client *client)
{
    return count_live(client) == 0;
}

static bool empty_of_threads(const struct mesh_client *client)
{
    uint32_t inside = atomic_load(&client->completions_waiters);
    for (uint32_t i = 0; i < client->shard_count; i++)
        inside += atomic_load(&client->shards[i]->inside);
    return inside == 0 && count_live(client) == 0;
}

/* Waits until `done`, woken by mesh__driver_note_leave(). False when the time is up. In external mode the caller
 * drives. */
static bool wait_until(struct mesh_client *client, bool (*done)(const struct mesh_client *), mesh_nanos deadline)
{
    for (;;) {
        uint32_t word = atomic_load(&client->leave_word);
        if (done(client))
            return true;
        mesh_nanos now = client->world->now(client->world);
        if (now >= deadline)
            return false;
        for (uint32_t i = 0; mesh__client_external(client) && i < client->shard_count; i++)
            (void)mesh__driver_process(client->shards[i]);
        /* Whoever leaves says so before its count falls, since the client may be gone after that: so look again soon.
         */
        mesh_nanos limit = NANOS_MS;
        mesh__futex_wait(&client->leave_word, word, mesh__nanos_min(limit, mesh__nanos_sub(deadline, now)));
    }
}

mesh_status mesh__client_close(mesh_client *client, mesh_nanos timeout)
{
    uint32_t open = CLIENT_OPEN;
    bool first = atomic_compare_exchange_strong(&client->state, &open, CLIENT_CLOSING);
    mesh_nanos now = client->world->now(client->world);
    mesh_nanos deadline = timeout < 0 ? NANOS_NEVER : mesh__nanos_add(now, timeout);
    if (mesh__client_external(client)) {
        if (first)
            atomic_store(&client->close_at, deadline);
        mesh__driver_nudge(client);
        return MESH_OK;
    }
    bool in_time = wait_until(client, drained, deadline);
    if (!in_time) {
        cancel_everything(client);
        (void)wait_until(client, drained, NANOS_NEVER);
    }
    set_closed(client);
    return mesh__delivery_await(client, deadline) && in_time ? MESH_OK : MESH_DEADLINE;
}

static void end_calls(struct mesh_client *client)
{
    atomic_store(&client->state, CLIENT_FREEING);
    cancel_everything(client);
    atomic_fetch_add(&client->completions_word, 1);
    mesh__futex_wake(&client->completions_word, INT_MAX);
    (void)wait_until(client, drained, NANOS_NEVER);
}

/* Ends all calls and every thread but the dispatcher, and waits for whoever is inside. */
static void end(struct mesh_client *client)
{
    end_calls(client);
    (void)wait_until(client, empty_of_threads, NANOS_NEVER);
    mesh__client_join(client);
}

/* Gives what is left to callbacks while all of the client is still there for them; none runs or comes after this. */
static void deliver_last(struct mesh_client *client)
{
    if (client->dispatcher) {
        (void)mesh__delivery_await(client, NANOS_NEVER);
        mesh__outbox_mute(client->outbox);
        (void)mesh__dispatcher_flush(client->dispatcher, NANOS_NEVER); /* whatever runs ends before this does */
    } else if (mesh__client_external(client)) {
        (void)wait_until(client, empty_of_threads, NANOS_NEVER); /* one of which may deliver */
        client->deliverer = pthread_self();
        atomic_store(&client->delivering, true); /* for good */
        mesh__delivery_run(client);
    }
}

void mesh__client_free(mesh_client *client)
{
    if (mesh__client_forked(client)) {
        mesh__client_abandon(client);
        return;
    }
    if (!mesh__delivery_is_self(client)) {
        end_calls(client);
        deliver_last(client);
        end(client);
        mesh__dispatcher_stop(client->dispatcher, NULL);
        mesh__client_destroy(client);
        return;
    }
    mesh__outbox_mute(client->outbox); /* no callback comes after this one */
    atomic_store(&client->free_wanted, true);
    if (client->dispatcher == NULL)
        return; /* mesh_loop_process() does the rest when the callback has returned */
    mesh__dispatcher_stop(client->dispatcher, mesh__client_destroy); /* likewise */
    end(client); /* after the stop, since a close in another thread may wait for this callback until then */
}

/* ---- external mode ---- */

/* In external mode a close ends here. */
static void close_on(struct mesh_client *client)
{
    if (atomic_load(&client->state) != CLIENT_CLOSING)
        return;
    if (count_live(client) == 0)
        set_closed(client);
    else if (client->world->now(client->world) >= atomic_load(&client->close_at) &&
             !atomic_load(&client->shards[0]->cancel_all))
        cancel_everything(client);
}

mesh_status mesh__client_process(mesh_client *client, uint32_t index)
{
    if (mesh__in_turn())
        return MESH_EREENTRY;
    struct shard *shard = client->shards[index];
    atomic_fetch_add(&shard->inside, 1);
    bool driven = mesh__driver_process(shard);
    bool free_now = false;
    if (driven) {
        close_on(client);
        free_now = mesh__delivery_alone(client, shard);
    }
    atomic_fetch_sub(&shard->inside, 1); /* the client may be gone after that, unless it is for this thread to free */
    if (free_now) {
        end(client);
        mesh__client_destroy(client);
    }
    return driven ? MESH_OK : MESH_EREENTRY;
}
