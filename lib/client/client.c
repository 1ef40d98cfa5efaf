/* SPDX-License-Identifier: Apache-2.0 */
/* client.c - opening a client, reloading it, and giving back what it is made of. */
#include "client/client_inside.h"

#include "base/error.h"
#include "base/options.h"
#include "client/complete.h"
#include "client/control.h"
#include "client/delivery.h"
#include "client/driver.h"
#include "client/snapshot.h"
#include "net/thread.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#define SHARDS_DEFAULT_MAX 8
#define PAGE 4096

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
    mesh_options *own = &client->options;
    if (!mesh__options_take(options, own))
        return mesh__error_set(error, MESH_EINVAL, OPTIONS_TOO_SMALL);
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
        atomic_store(&client->shards[i]->asleep, mesh__client_external(client));
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

/* In external mode there is no thread of the library. */
static int make_handshaker(struct mesh_client *client)
{
    uint32_t count = mesh__client_external(client) ? 0 : client->snapshot->config->handshake_threads;
    if (count > 0)
        client->handshaker = mesh__handshaker_new(&client->mem, count);
    return count == 0 || client->handshaker ? 0 : -ENOMEM;
}

/* Everything that runs. 0 or a negative errno. */
static int start(struct mesh_client *client)
{
    client->outbox = mesh__outbox_new(&client->mem, &client->options, mesh__delivery_wake, client);
    int error = client->outbox ? make_handshaker(client) : -ENOMEM;
    if (!error)
        error = make_shards(client);
    if (!error && !mesh__client_external(client))
        error = make_undriven_set(client);
    if (!error && !mesh__client_external(client) && has_callbacks(client)) {
        client->dispatcher = mesh__dispatcher_new(&client->mem, mesh__delivery_run, client);
        error = client->dispatcher ? 0 : -errno;
    }
    if (!error)
        client->control = mesh__control_new(client, &error);
    return error ? error : start_threads(client);
}

void mesh__client_join(struct mesh_client *client)
{
    atomic_store(&client->stopping, true);
    for (uint32_t i = 0; i < client->thread_count; i++) {
        mesh__loop_kick(&client->shards[i]->loop);
        pthread_join(client->threads[i], NULL);
    }
    mesh__control_stop(client->control);
    client->control = NULL;
}

void mesh__client_destroy(void *user)
{
    struct mesh_client *client = user;
    struct mem mem = client->mem;
    client->dispatcher = NULL; /* it has gone: what is told from here on is told to nobody */
    mesh__handshaker_stop(client->handshaker);
    for (uint32_t i = 0; i < client->shards_made; i++)
        mesh__shard_free(client->shards[i]);
    mesh__handshaker_free(client->handshaker);
    mesh__mem_free(&mem, client->shards);
    mesh__mem_free(&mem, client->threads);
    if (client->undriven_fd >= 0)
        close(client->undriven_fd);
    mesh_completion left = MESH_COMPLETION_INIT;
    while (mesh__complete_take(client, &left))
        mesh__result_release(left.result);
    mesh__snapshot_unref(client->snapshot);
    if (client->outbox)
        mesh__outbox_free(client->outbox);
    if (client->fork_page)
        (void)munmap(client->fork_page, PAGE);
    pthread_mutex_destroy(&client->publish);
    pthread_mutex_destroy(&client->completions_lock);
    mesh__mem_free(&mem, client);
}

void mesh__client_abandon(struct mesh_client *client)
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
    struct snapshot *snapshot;
    struct tls_identity *identity;
    status = mesh__snapshot_load_identity(client, built, &identity, error);
    if (status == MESH_OK)
        status = mesh__snapshot_build(client, built, identity, NULL, &snapshot, error);
    if (status == MESH_OK)
        mesh__snapshot_publish(client, snapshot);
    mesh__tls_identity_unref(identity);
    mesh__config_unref(built);
    return status;
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
        mesh__client_join(client);
        mesh__dispatcher_stop(client->dispatcher, NULL);
        mesh__client_destroy(client);
        return status;
    }
    *out = client;
    return MESH_OK;
}

/* ---- reload ---- */

/* The old one if the new one has the same bytes, so that connections and sessions stay. Takes and gives a reference. */
static struct tls_identity *keep_identity(struct tls_identity *old, struct tls_identity *identity)
{
    if (old == NULL || identity == NULL || !mesh__tls_identity_same(old, identity))
        return identity;
    mesh__tls_identity_unref(identity);
    mesh__tls_identity_ref(old);
    return old;
}

mesh_status mesh__client_reload(mesh_client *client, const mesh_config *config, mesh_error **error)
{
    struct config *built;
    mesh_status status = mesh__config_build(config, &client->mem, &built, error, NULL);
    if (status != MESH_OK)
        return status;
    struct snapshot *snapshot;
    struct tls_identity *identity;
    status = mesh__snapshot_load_identity(client, built, &identity, error);
    if (status == MESH_OK) {
        pthread_mutex_lock(&client->publish);
        identity = keep_identity(client->snapshot->identity, identity);
        status = mesh__snapshot_build(client, built, identity, client->snapshot, &snapshot, error);
        if (status == MESH_OK)
            mesh__snapshot_publish(client, snapshot);
        pthread_mutex_unlock(&client->publish);
    }
    mesh__tls_identity_unref(identity);
    mesh__config_unref(built);
    if (status != MESH_OK)
        return status;
    mesh__control_config_changed(client->control);
    mesh__driver_nudge(client);
    return MESH_OK;
}
