/* SPDX-License-Identifier: Apache-2.0 */
/* control.c - sources started and stopped as the config says, and visits to shards that nobody drives. */
#include "client/control.h"

#include "base/error.h"
#include "base/error_type.h"

#include "client/driver.h"
#include "client/snapshot.h"
#include "discover/identity_source.h"
#include "discover/source.h"
#include "net/dns.h"
#include "net/thread.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#define VISIT_PERIOD (250 * NANOS_MS)
#define NEXT_RECENT (10 * NANOS_MS)
#define SOON NANOS_MS

struct entry {
    struct list link;
    struct control *control;
    struct config *config; /* a reference: the source borrows from it */
    const struct service_config *policy;
    struct source *source;
    struct loop_timer again; /* set while what the source told could not be published */
};

struct control {
    struct mesh_client *client;
    struct loop own;   /* in owned mode */
    struct loop *loop; /* `own`, or loop 0 */
    bool has_thread;
    pthread_t thread;
    struct watch undriven;
    struct dns *dns;
    struct config *dns_config; /* a reference: whose "dns" holds */
    struct list entries;
    struct identity_source *identity;
    struct config *identity_config;   /* a reference: whose "identity" is watched */
    struct loop_timer identity_again; /* set while what the files say could not be published */
    mesh_nanos next_visit;
    _Atomic int64_t wake_at; /* when the thread looks at the shards by itself */
    _Atomic bool changed, connections;
};

/* ---- discovery ---- */

static void on_update(void *user, mesh_status status, const struct endpoint_config *endpoints, uint32_t count,
                      const char *detail)
{
    struct entry *entry = user;
    struct mesh_client *client = entry->control->client;
    const char *name = entry->policy->name;
    if (status == MESH_OK)
        mesh__outbox_log(client->outbox, MESH_LOG_INFO, "%s: %u endpoints", name, count);
    else
        mesh__outbox_log(client->outbox, MESH_LOG_WARN, "%s: %s: %s", name, mesh_status_name(status),
                         detail ? detail : mesh_status_text(status));
    if (mesh__snapshot_update(client, name, status, endpoints, count, detail) != MESH_OK) {
        struct loop *loop = entry->control->loop;
        mesh__outbox_log(client->outbox, MESH_LOG_ERROR, "%s: memory ran out; the old endpoints stay", name);
        (void)mesh__loop_timer_set(loop, &entry->again, mesh__nanos_add(loop->now, VISIT_PERIOD)); /* or never */
    }
    mesh__driver_nudge(client);
}

static void on_source_log(void *user, int32_t level, const char *line)
{
    struct entry *entry = user;
    mesh__outbox_log(entry->control->client->outbox, level, "%s: %s", entry->policy->name, line);
}

static void drop(struct control *control, struct entry *entry)
{
    mesh__source_stop(entry->source);
    mesh__loop_timer_cancel(control->loop, &entry->again);
    mesh__list_remove(&entry->link);
    mesh__config_unref(entry->config);
    mesh__mem_free(&control->client->mem, entry);
}

static bool is_same(const struct service_config *a, const struct service_config *b)
{
    if (strcmp(a->name, b->name) != 0 || a->discover.kind != b->discover.kind)
        return false;
    if (a->discover.kind == DISCOVER_FILE)
        return strcmp(a->discover.file, b->discover.file) == 0;
    return a->discover.port == b->discover.port && strcmp(a->discover.host, b->discover.host) == 0;
}

static struct entry *find(struct control *control, const struct service_config *policy)
{
    for (struct list *node = control->entries.next; node != &control->entries; node = node->next) {
        struct entry *entry = CONTAINER_OF(node, struct entry, link);
        if (is_same(entry->policy, policy))
            return entry;
    }
    return NULL;
}

static void on_again(struct loop_timer *timer);

static bool start(struct control *control, struct config *config, const struct service_config *policy)
{
    static const struct source_events events = { on_update, on_source_log };
    struct mesh_client *client = control->client;
    struct entry *entry = mesh__zalloc(&client->mem, sizeof(*entry));
    if (entry == NULL)
        return false;
    entry->control = control;
    entry->config = config;
    entry->policy = policy;
    entry->again.fire = on_again;
    mesh__config_ref(config);
    mesh__list_push(&control->entries, &entry->link);
    entry->source = mesh__source_start(control->loop, control->dns, &policy->discover,
                                       client->options.seed ^ mesh__hash(mesh__view_of(policy->name)), &events, entry);
    if (entry->source != NULL)
        return true;
    drop(control, entry);
    return false;
}

/* A source tells only what is new to it: one that starts afresh tells again. */
static void on_again(struct loop_timer *timer)
{
    struct entry *entry = CONTAINER_OF(timer, struct entry, again);
    struct control *control = entry->control;
    struct config *config = entry->config;
    const struct service_config *policy = entry->policy;
    mesh__config_ref(config);
    drop(control, entry);
    if (!start(control, config, policy))
        atomic_store(&control->changed, true);
    mesh__config_unref(config);
}

static bool same_dns(const struct dns_config *a, const struct dns_config *b)
{
    if (a->server_count != b->server_count || a->timeout != b->timeout || a->tries != b->tries)
        return false;
    for (uint32_t i = 0; i < a->server_count; i++)
        if (strcmp(a->servers[i].text, b->servers[i].text) != 0)
            return false;
    return true;
}

static bool uses_dns(const struct config *config)
{
    for (uint32_t i = 0; i < config->service_count; i++)
        if (config->services[i].discover.kind == DISCOVER_DNS)
            return true;
    return false;
}

/* Sources that ask by other rules than the config's are dropped, and what they ask with. */
static bool take_dns(struct control *control, struct config *config)
{
    if (control->dns && !same_dns(&control->dns_config->dns, &config->dns)) {
        for (struct list *node = control->entries.next, *next; node != &control->entries; node = next) {
            next = node->next;
            struct entry *entry = CONTAINER_OF(node, struct entry, link);
            if (entry->policy->discover.kind == DISCOVER_DNS)
                drop(control, entry);
        }
        mesh__dns_free(control->dns);
        control->dns = NULL;
    }
    if (control->dns || !uses_dns(config))
        return true;
    struct dns_options options = { .servers = config->dns.servers,
                                   .server_count = config->dns.server_count,
                                   .timeout = config->dns.timeout,
                                   .tries = config->dns.tries };
    control->dns = mesh__dns_new(control->loop, &options);
    if (control->dns == NULL)
        return false;
    mesh__config_unref(control->dns_config);
    control->dns_config = config;
    mesh__config_ref(config);
    return true;
}

static void reconcile_if_changed(struct control *control);

static void on_identity(void *user, struct tls_identity *identity)
{
    struct control *control = user;
    struct mesh_client *client = control->client;
    mesh_error *error = NULL;
    mesh_status status = mesh__snapshot_set_identity(client, control->identity_config, identity, &error);
    if (status == MESH_OK) {
        const char *id = mesh__tls_identity_id(identity);
        mesh__outbox_log(client->outbox, MESH_LOG_INFO, "identity: a new one is in force%s%s", id[0] ? ": " : "", id);
    } else if (status != MESH_CANCELLED) {
        struct loop *loop = control->loop;
        mesh__outbox_log(client->outbox, MESH_LOG_ERROR, "identity: %s; the one in force stays",
                         error ? error->text : "memory ran out");
        if (status == MESH_NO_MEMORY)
            (void)mesh__loop_timer_set(loop, &control->identity_again, mesh__nanos_add(loop->now, VISIT_PERIOD));
    }
    if (error)
        mesh__error_release(error);
    mesh__driver_nudge(client);
}

static void on_identity_log(void *user, int32_t level, const char *line)
{
    struct control *control = user;
    mesh__outbox_log(control->client->outbox, level, "%s", line);
}

static void forget_identity(struct control *control)
{
    mesh__loop_timer_cancel(control->loop, &control->identity_again);
    mesh__identity_unwatch(control->identity);
    mesh__config_unref(control->identity_config);
    control->identity = NULL;
    control->identity_config = NULL;
}

/* A source tells only what is new to it: one that starts afresh tells again. */
static void on_identity_again(struct loop_timer *timer)
{
    struct control *control = CONTAINER_OF(timer, struct control, identity_again);
    forget_identity(control);
    atomic_store(&control->changed, true);
    reconcile_if_changed(control);
}

/* Watches the files that the config in force names. */
static bool take_identity(struct control *control, const struct snapshot *snapshot)
{
    static const struct identity_events events = { on_identity, on_identity_log };
    if (control->identity_config == snapshot->config)
        return true;
    forget_identity(control);
    if (snapshot->identity == NULL)
        return true;
    control->identity =
        mesh__identity_watch(control->loop, snapshot->config->identity, snapshot->identity, &events, control);
    if (control->identity == NULL)
        return false;
    control->identity_config = snapshot->config;
    mesh__config_ref(snapshot->config);
    return true;
}

/* Stops what the config does not ask for any more, starts what it asks for anew. */
static bool reconcile(struct control *control)
{
    struct snapshot *snapshot = mesh__snapshot_get(control->client);
    struct config *config = snapshot->config;
    bool ok = take_identity(control, snapshot) && take_dns(control, config);
    for (struct list *node = control->entries.next, *next; node != &control->entries; node = next) {
        next = node->next;
        struct entry *entry = CONTAINER_OF(node, struct entry, link);
        const struct service_config *now = mesh__config_service(config, entry->policy->name);
        if (now == NULL || !is_same(now, entry->policy))
            drop(control, entry);
    }
    for (uint32_t i = 0; ok && i < config->service_count; i++) {
        const struct service_config *policy = &config->services[i];
        if (policy->discover.kind != DISCOVER_STATIC && find(control, policy) == NULL)
            ok = start(control, config, policy);
    }
    mesh__snapshot_unref(snapshot);
    return ok;
}

static void reconcile_if_changed(struct control *control)
{
    if (atomic_exchange(&control->changed, false) && !reconcile(control))
        mesh__outbox_log(control->client->outbox, MESH_LOG_ERROR,
                         "memory ran out: some services are not discovered; reload to try again");
}

void mesh__control_tick(struct control *control)
{
    reconcile_if_changed(control);
}

/* ---- the thread ---- */

/* The set of the shards' descriptors is readable: visits those that made it so. */
static void on_undriven(struct watch *watch, uint32_t events)
{
    struct control *control = CONTAINER_OF(watch, struct control, undriven);
    struct epoll_event ready[16];
    (void)events;
    int count = epoll_wait(control->client->undriven_fd, ready, 16, 0);
    for (int i = 0; i < count; i++)
        mesh__driver_visit(control->client->shards[ready[i].data.u64]);
}

static void visit_due(struct control *control)
{
    struct mesh_client *client = control->client;
    mesh_nanos now = control->loop->now;
    for (uint32_t i = 0; i < client->shard_count; i++)
        if (atomic_load(&client->shards[i]->armed) && atomic_load(&client->shards[i]->next_due) <= now)
            mesh__driver_visit(client->shards[i]);
    if (!atomic_load(&control->connections) || control->next_visit > now)
        return;
    control->next_visit = now + VISIT_PERIOD;
    /* Cleared before the shards are read: who leaves one with its first connection meanwhile says so again. */
    atomic_store(&control->connections, false);
    bool any = false;
    for (uint32_t i = 0; i < client->shard_count; i++) {
        struct shard *shard = client->shards[i];
        if (!atomic_load(&shard->has_connections))
            continue;
        any = true;
        if (!atomic_exchange(&shard->driven, false) && atomic_load(&shard->live_calls) == 0) {
            mesh__driver_visit(shard);
            atomic_store(&shard->driven, false);
        }
    }
    if (any)
        atomic_store(&control->connections, true);
}

/* When to look at the shards again. Whoever arms one meanwhile compares with what is stored here: first NEVER, so that
 * nobody is missed while the shards are read. */
static mesh_nanos plan(struct control *control)
{
    struct mesh_client *client = control->client;
    atomic_store(&control->wake_at, NANOS_NEVER);
    mesh_nanos now = client->world->now(client->world), due = NANOS_NEVER;
    for (uint32_t i = 0; i < client->shard_count; i++) {
        const struct shard *shard = client->shards[i];
        if (atomic_load(&shard->armed))
            due = mesh__nanos_min(due, atomic_load(&shard->next_due));
        if (now - atomic_load(&shard->next_seen) < NEXT_RECENT)
            due = mesh__nanos_min(due, now + SOON);
    }
    if (atomic_load(&control->connections))
        due = mesh__nanos_min(due, control->next_visit);
    atomic_store(&control->wake_at, due);
    return due == NANOS_NEVER ? due : mesh__nanos_max(0, due - now);
}

static void *run(void *argument)
{
    struct control *control = argument;
    while (!atomic_load(&control->client->stopping)) {
        reconcile_if_changed(control);
        mesh__loop_turn(control->loop, plan(control));
        visit_due(control);
    }
    return NULL;
}

void mesh__control_wake_by(struct control *control, mesh_nanos due)
{
    if (control->has_thread && due < atomic_load(&control->wake_at))
        mesh__loop_kick(&control->own);
}

void mesh__control_note_connections(struct control *control)
{
    if (!control->has_thread || atomic_load_explicit(&control->connections, memory_order_relaxed) ||
        atomic_exchange(&control->connections, true))
        return;
    mesh__loop_kick(&control->own);
}

void mesh__control_config_changed(struct control *control)
{
    atomic_store(&control->changed, true);
    if (control->has_thread)
        mesh__loop_kick(&control->own);
}

/* ---- life ---- */

static int start_thread(struct control *control)
{
    struct mesh_client *client = control->client;
    control->undriven.ready = on_undriven;
    int error = mesh__loop_watch(control->loop, &control->undriven, client->undriven_fd, LOOP_READ);
    control->has_thread = true;
    return error ? error : mesh__thread_start(&control->thread, run, control);
}

struct control *mesh__control_new(struct mesh_client *client, int *error)
{
    *error = -ENOMEM;
    struct control *control = mesh__zalloc(&client->mem, sizeof(*control));
    if (control == NULL)
        return NULL;
    control->client = client;
    control->identity_again.fire = on_identity_again;
    mesh__list_init(&control->entries);
    atomic_init(&control->wake_at, NANOS_NEVER);
    bool owned = client->options.mode == MESH_OWNED;
    control->loop = owned ? &control->own : &client->shards[0]->loop;
    *error = owned ? mesh__loop_init(&control->own, &client->mem, client->world) : 0;
    if (*error == 0) {
        if (!reconcile(control))
            *error = -ENOMEM;
        if (*error == 0 && owned)
            *error = start_thread(control);
        if (*error == 0)
            return control;
        control->has_thread = false;
        mesh__control_stop(control);
        return NULL;
    }
    mesh__mem_free(&client->mem, control);
    return NULL;
}

void mesh__control_stop(struct control *control)
{
    if (control == NULL)
        return;
    if (control->has_thread) {
        mesh__loop_kick(&control->own);
        pthread_join(control->thread, NULL);
    }
    while (!mesh__list_empty(&control->entries))
        drop(control, CONTAINER_OF(control->entries.next, struct entry, link));
    mesh__dns_free(control->dns);
    mesh__config_unref(control->dns_config);
    forget_identity(control);
    if (control->loop == &control->own) {
        mesh__loop_unwatch(control->loop, &control->undriven);
        mesh__loop_fini(control->loop);
    }
    mesh__mem_free(&control->client->mem, control);
}

void mesh__control_abandon(struct control *control)
{
    if (control->loop == &control->own)
        mesh__loop_abandon(&control->own);
    mesh__mem_free(&control->client->mem, control);
}
