/* SPDX-License-Identifier: Apache-2.0 */
/* client.c - opening, reloading, closing and freeing a client. */
#include "client/client.h"

#include "base/error.h"
#include "client/complete.h"
#include "client/control.h"
#include "client/driver.h"
#include "client/futex.h"
#include "client/snapshot.h"
#include "net/reentry.h"
#include "net/thread.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#define SHARDS_DEFAULT_MAX 8
#define PAGE 4096

static bool is_external(const struct mesh_client *client)
{
    return client->options.mode == MESH_EXTERNAL;
}

/* ---- callbacks ---- */

/* Gives completions, spans and log lines to the user: as many as there are now, so that nobody who keeps adding some
 * keeps this thread here for ever. Nothing is held. */
static void deliver(void *user)
{
    struct mesh_client *client = user;
    struct mesh_result *result;
    uint32_t left = client->options.on_completion ? atomic_load(&client->completions_count) : 0;
    while (left-- > 0 && !atomic_load(&client->free_wanted) && (result = mesh__complete_take(client)) != NULL) {
        mesh_completion completion = MESH_COMPLETION_INIT;
        mesh__complete_fill(result, &completion);
        client->options.on_completion(&completion, client->options.user);
    }
    mesh__outbox_drain(client->outbox);
}

static void on_outbox(void *user, bool urgent)
{
    struct mesh_client *client = user;
    if (client->dispatcher)
        mesh__dispatcher_wake(client->dispatcher, urgent);
    else if (is_external(client) && client->shards_made > 0 && !mesh__in_turn())
        mesh__loop_kick(&client->shards[0]->loop); /* inside of a turn, its process delivers at its end */
}

static bool has_to_deliver(struct mesh_client *client)
{
    return (client->options.on_completion && atomic_load(&client->completions_count) > 0) ||
           mesh__outbox_pending(client->outbox);
}

/* Waits until what callbacks are owed right now has been given to them and they have returned. False when the time is
 * up first; it is not waited for in a callback, which would wait for itself, nor once a callback has freed the client.
 */
static bool await_delivery(struct mesh_client *client, mesh_nanos deadline)
{
    struct dispatcher *dispatcher = client->dispatcher;
    if (dispatcher == NULL || mesh__dispatcher_is_self(dispatcher))
        return true;
    if (!has_to_deliver(client) && !mesh__dispatcher_is_working(dispatcher)) /* in this order: what it took, it is at */
        return true;
    mesh_nanos left = deadline;
    if (deadline != NANOS_NEVER)
        left = mesh__nanos_sub(deadline, client->world->now(client->world));
    return mesh__dispatcher_flush(dispatcher, left);
}

/* ---- opening ---- */

static uint32_t allowed_cpus(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) != 0)
        return 1;
    int count = CPU_COUNT(&set);
    return count < 1 ? 1 : (uint32_t)count;
}

static mesh_status take_options(struct mesh_client *client, const mesh_options *options, mesh_error **error)
{
    client->options = (mesh_options)MESH_OPTIONS_INIT;
    if (options) {
        size_t size = options->size < sizeof(*options) ? options->size : sizeof(*options);
        memcpy(&client->options, options, size);
        client->options.size = sizeof(*options);
    }
    mesh_options *own = &client->options;
    if (own->mode != MESH_OWNED && own->mode != MESH_EXTERNAL)
        return mesh__error_set(error, MESH_EINVAL, "options.mode: MESH_OWNED or MESH_EXTERNAL was expected");
    if (own->shards > SHARDS_MAX)
        return mesh__error_set(error, MESH_EINVAL, "options.shards: %u, at most %d was expected", own->shards,
                               SHARDS_MAX);
    if (own->threads > SHARDS_MAX || (own->shards > 0 && own->threads > own->shards))
        return mesh__error_set(error, MESH_EINVAL, "options.threads: %u, at most as many as shards was expected",
                               own->threads);
    if (own->mode == MESH_EXTERNAL && own->threads > 0)
        return mesh__error_set(error, MESH_EINVAL, "options.threads: an external client has no threads of its own");
    uint32_t cpus = allowed_cpus();
    if (own->threads > 0)
        own->shards = own->threads; /* each permanent driver has one shard, and each shard one */
    if (own->shards == 0)
        own->shards = own->mode == MESH_EXTERNAL ? 1 : cpus < SHARDS_DEFAULT_MAX ? cpus : SHARDS_DEFAULT_MAX;
    if (own->seed == 0)
        own->seed = client->world->random(client->world);
    own->allocator = NULL;
    return MESH_OK;
}

static mesh_status make_fork_page(struct mesh_client *client, mesh_error **error)
{
    void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return mesh__error_set(error, MESH_NO_MEMORY, "memory ran out");
    client->fork_page = page;
    if (madvise(page, PAGE, MADV_WIPEONFORK) != 0)
        return mesh__error_set(error, MESH_EUNSUPPORTED, "the kernel lacks MADV_WIPEONFORK: Linux 4.14 is needed");
    client->fork_page[0] = 1;
    return MESH_OK;
}

static int make_undriven_set(struct mesh_client *client)
{
    client->undriven_fd = epoll_create1(EPOLL_CLOEXEC);
    if (client->undriven_fd < 0)
        return -errno;
    for (uint32_t i = 0; i < client->shard_count; i++) {
        struct epoll_event event = { .events = EPOLLONESHOT, .data.u64 = i };
        if (epoll_ctl(client->undriven_fd, EPOLL_CTL_ADD, client->shards[i]->loop.epoll_fd, &event) != 0)
            return -errno;
    }
    return 0;
}

static int make_shards(struct mesh_client *client)
{
    client->shards = mesh__zalloc(&client->mem, client->options.shards * sizeof(struct shard *));
    if (client->shards == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < client->options.shards; i++) {
        int error;
        client->shards[i] = mesh__shard_new(client, i, &error);
        if (client->shards[i] == NULL)
            return error;
        atomic_store(&client->shards[i]->asleep, is_external(client));
        client->shards_made = i + 1;
    }
    return 0;
}

static void *run_permanent(void *argument)
{
    mesh__driver_permanent(argument);
    return NULL;
}

static int start_threads(struct mesh_client *client)
{
    if (client->options.threads == 0)
        return 0;
    client->threads = mesh__zalloc(&client->mem, client->options.threads * sizeof(pthread_t));
    if (client->threads == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < client->options.threads; i++) {
        int error = mesh__thread_start(&client->threads[i], run_permanent, client->shards[i]);
        if (error)
            return error;
        client->thread_count = i + 1;
    }
    return 0;
}

static bool has_callbacks(const struct mesh_client *client)
{
    const mesh_options *options = &client->options;
    return options->on_log || options->on_span || options->on_completion;
}

/* Everything that runs. 0 or a negative errno. */
static int start(struct mesh_client *client)
{
    client->outbox = mesh__outbox_new(&client->mem, &client->options, on_outbox, client);
    int error = client->outbox ? make_shards(client) : -ENOMEM;
    if (!error && !is_external(client))
        error = make_undriven_set(client);
    if (!error && !is_external(client) && has_callbacks(client)) {
        client->dispatcher = mesh__dispatcher_new(&client->mem, deliver, client);
        error = client->dispatcher ? 0 : -errno;
    }
    if (!error)
        client->control = mesh__control_new(client, &error);
    return error ? error : start_threads(client);
}

static void join_threads(struct mesh_client *client)
{
    atomic_store(&client->stopping, true);
    for (uint32_t i = 0; i < client->thread_count; i++) {
        mesh__loop_kick(&client->shards[i]->loop);
        pthread_join(client->threads[i], NULL);
    }
    mesh__control_stop(client->control);
    client->control = NULL;
}

/* Gives everything back; no thread is inside, no call is live. Also of a client that was not opened wholly. */
static void destroy(void *user)
{
    struct mesh_client *client = user;
    struct mem mem = client->mem;
    client->dispatcher = NULL; /* it has gone: what is told from here on is told to nobody */
    for (uint32_t i = 0; i < client->shards_made; i++)
        mesh__shard_free(client->shards[i]);
    mesh__mem_free(&mem, client->shards);
    mesh__mem_free(&mem, client->threads);
    if (client->undriven_fd >= 0)
        close(client->undriven_fd);
    struct mesh_result *result;
    while ((result = mesh__complete_take(client)) != NULL)
        mesh__result_release(result);
    mesh__snapshot_unref(client->snapshot);
    if (client->outbox)
        mesh__outbox_free(client->outbox);
    if (client->fork_page)
        (void)munmap(client->fork_page, PAGE);
    pthread_mutex_destroy(&client->publish);
    pthread_mutex_destroy(&client->completions_lock);
    mesh__mem_free(&mem, client);
}

static mesh_status status_of(int error)
{
    return error == -ENOMEM ? MESH_NO_MEMORY : error == -EMFILE || error == -ENFILE ? MESH_NO_DESCRIPTORS : MESH_SYSTEM;
}

static mesh_status publish_first(struct mesh_client *client, const mesh_config *config, mesh_error **error)
{
    struct config *built;
    mesh_status status = mesh__config_build(config, &client->mem, &built, error, NULL);
    if (status != MESH_OK)
        return status;
    client->shard_count = client->options.shards;
    struct snapshot *snapshot = mesh__snapshot_build(client, built, NULL);
    mesh__config_unref(built);
    if (snapshot == NULL)
        return mesh__error_set(error, MESH_NO_MEMORY, "memory ran out");
    mesh__snapshot_publish(client, snapshot);
    return MESH_OK;
}

static mesh_status open_parts(struct mesh_client *client, const mesh_config *config, const mesh_options *options,
                              mesh_error **error)
{
    mesh_status status = take_options(client, options, error);
    if (status == MESH_OK)
        status = make_fork_page(client, error);
    client->opened_at = client->world->now(client->world);
    if (status == MESH_OK)
        status = publish_first(client, config, error);
    if (status != MESH_OK)
        return status;
    int failed = start(client);
    char words[80];
    if (failed)
        return mesh__error_set(error, status_of(failed), "the client cannot start: %s",
                               strerror_r(-failed, words, sizeof(words)));
    return MESH_OK;
}

mesh_status mesh__client_open(const struct world *world, const mesh_config *config, const mesh_options *options,
                              mesh_client **out, mesh_error **error)
{
    struct mem mem;
    *out = NULL;
    if (!mesh__mem_from_user(options ? options->allocator : NULL, &mem))
        return mesh__error_set(error, MESH_EINVAL, "options.allocator: all three functions or none were expected");
    struct mesh_client *client = mesh__zalloc(&mem, sizeof(*client));
    if (client == NULL)
        return mesh__error_set(error, MESH_NO_MEMORY, "memory ran out");
    client->mem = mem;
    client->world = world;
    client->undriven_fd = -1;
    atomic_init(&client->close_at, NANOS_NEVER);
    (void)pthread_mutex_init(&client->publish, NULL); /* these cannot fail without attributes */
    (void)pthread_mutex_init(&client->completions_lock, NULL);
    mesh_status status = open_parts(client, config, options, error);
    if (status != MESH_OK) {
        join_threads(client);
        mesh__dispatcher_stop(client->dispatcher, NULL);
        destroy(client);
        return status;
    }
    *out = client;
    return MESH_OK;
}

/* ---- reload ---- */

mesh_status mesh__client_reload(mesh_client *client, const mesh_config *config, mesh_error **error)
{
    struct config *built;
    mesh_status status = mesh__config_build(config, &client->mem, &built, error, NULL);
    if (status != MESH_OK)
        return status;
    pthread_mutex_lock(&client->publish);
    struct snapshot *snapshot = mesh__snapshot_build(client, built, client->snapshot);
    if (snapshot)
        mesh__snapshot_publish(client, snapshot);
    pthread_mutex_unlock(&client->publish);
    mesh__config_unref(built);
    if (snapshot == NULL)
        return mesh__error_set(error, MESH_NO_MEMORY, "memory ran out; the old configuration stays in force");
    mesh__control_config_changed(client->control);
    mesh__driver_nudge(client);
    return MESH_OK;
}

/* ---- external mode ---- */

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

/* One thread at a time delivers; callbacks may call anything that does not wait. Whoever finds another thread at it
 * leaves what there is to that one, which looks again after it has said that it is done: what is left then makes its
 * loop's descriptor readable. True: a callback has freed the client, and this thread is to carry that out. */
static bool deliver_alone(struct mesh_client *client, struct shard *shard)
{
    if (atomic_exchange(&client->delivering, true))
        return false;
    client->deliverer = pthread_self();
    deliver(client);
    if (atomic_load(&client->free_wanted))
        return true; /* and stays the one that delivers, so that nobody else does */
    atomic_store(&client->delivering, false);
    if (has_to_deliver(client))
        mesh__loop_kick(&shard->loop);
    return false;
}

static void end(struct mesh_client *client);

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
        free_now = deliver_alone(client, shard);
    }
    atomic_fetch_sub(&shard->inside, 1); /* the client may be gone after that, unless it is for this thread to free */
    if (free_now) {
        end(client);
        destroy(client);
    }
    return driven ? MESH_OK : MESH_EREENTRY;
}

/* ---- closing and freeing ---- */

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
        for (uint32_t i = 0; is_external(client) && i < client->shard_count; i++)
            (void)mesh__driver_process(client->shards[i]);
        /* Whoever leaves says so before its count falls, since the client may be gone after that: so look again soon.
         */
        mesh_nanos limit = NANOS_MS;
        mesh__futex_wait(&client->leave_word, word, mesh__nanos_min(limit, mesh__nanos_sub(deadline, now)));
    }
}

static bool is_in_callback(struct mesh_client *client)
{
    if (client->dispatcher)
        return mesh__dispatcher_is_self(client->dispatcher);
    return atomic_load(&client->delivering) && pthread_equal(pthread_self(), client->deliverer);
}

mesh_status mesh__client_close(mesh_client *client, mesh_nanos timeout)
{
    uint32_t open = CLIENT_OPEN;
    bool first = atomic_compare_exchange_strong(&client->state, &open, CLIENT_CLOSING);
    mesh_nanos now = client->world->now(client->world);
    mesh_nanos deadline = timeout < 0 ? NANOS_NEVER : mesh__nanos_add(now, timeout);
    if (is_external(client)) {
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
    return await_delivery(client, deadline) && in_time ? MESH_OK : MESH_DEADLINE;
}

/* A child of fork() owns copies of everything and must touch nothing that the parent shares. */
static void abandon(struct mesh_client *client)
{
    struct mem mem = client->mem;
    for (uint32_t i = 0; i < client->shard_count; i++)
        mesh__shard_abandon(client->shards[i]);
    mesh__control_abandon(client->control); /* which watches undriven_fd, and closes what it watches */
    mesh__dispatcher_forget(client->dispatcher);
    mesh__outbox_free(client->outbox);
    mesh__mem_free(&mem, client->threads);
    (void)munmap(client->fork_page, PAGE);
    mesh__mem_free(&mem, client->shards);
    mesh__mem_free(&mem, client);
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
    join_threads(client);
}

/* Gives what is left to callbacks while all of the client is still there for them; none runs or comes after this. */
static void deliver_last(struct mesh_client *client)
{
    if (client->dispatcher) {
        (void)await_delivery(client, NANOS_NEVER);
        mesh__outbox_mute(client->outbox);
        (void)mesh__dispatcher_flush(client->dispatcher, NANOS_NEVER); /* whatever runs ends before this does */
    } else if (is_external(client)) {
        (void)wait_until(client, empty_of_threads, NANOS_NEVER); /* one of which may deliver */
        client->deliverer = pthread_self();
        atomic_store(&client->delivering, true); /* for good */
        deliver(client);
    }
}

void mesh__client_free(mesh_client *client)
{
    if (mesh__client_forked(client)) {
        abandon(client);
        return;
    }
    if (!is_in_callback(client)) {
        end_calls(client);
        deliver_last(client);
        end(client);
        mesh__dispatcher_stop(client->dispatcher, NULL);
        destroy(client);
        return;
    }
    mesh__outbox_mute(client->outbox); /* no callback comes after this one */
    atomic_store(&client->free_wanted, true);
    if (client->dispatcher == NULL)
        return; /* mesh_loop_process() does the rest when the callback has returned */
    mesh__dispatcher_stop(client->dispatcher, destroy); /* likewise */
    end(client); /* after the stop, since a close in another thread may wait for this callback until then */
}
