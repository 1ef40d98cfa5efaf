/* SPDX-License-Identifier: Apache-2.0 */
/* server.c - the loop thread, the inbox of answers, and the end of a server. */
#include "server/server.h"

#include "base/error.h"
#include "net/reentry.h"
#include "net/thread.h"
#include "server/connection.h"
#include "server/reply.h"
#include "server/security.h"
#include "server/workers.h"

#include <errno.h>

#define POOL_KEPT_MAX ((size_t)1 << 20)
#define POSTS_PER_TURN 1024

/* Whose handler this thread is running. */
static _Thread_local const mesh_server *handling;

bool mesh__server_is_handling(const mesh_server *server)
{
    return handling == server;
}

bool mesh__server_is_draining(const mesh_server *server)
{
    return atomic_load(&server->phase) >= SERVER_DRAINING;
}

void mesh__server_handle(mesh_exchange *exchange)
{
    mesh_server *server = exchange->server;
    const struct world *world = server->own.loop.world;
    if (atomic_load(&exchange->gone)) {
        mesh__exchange_unref(exchange);
        return;
    }
    if (exchange->inbound.deadline <= world->now(world)) {
        mesh__reply_own(exchange, 504, MESH_DEADLINE, "the deadline passed before the request was looked at\n");
        (void)mesh__server_answer(exchange); /* whether the peer is still there makes no difference */
        return;
    }
    const mesh_server *before = handling;
    handling = server;
    server->handler(exchange, server->user);
    handling = before;
}

void mesh__server_call(mesh_exchange *exchange, mesh_ready ready, void *user)
{
    const mesh_server *before = handling;
    handling = exchange->server;
    ready(exchange, user);
    handling = before;
}

bool mesh__server_post(mesh_exchange *exchange, uint32_t posts)
{
    mesh_server *server = exchange->server;
    bool on_loop = mesh__in_turn() && mesh__server_is_handling(server); /* it will look without a kick */
    pthread_mutex_lock(&server->lock);
    bool posted = !server->synced.gone;
    bool linked = mesh__list_linked(&exchange->link);
    if (posted && !linked) {
        if (!(posts & POST_FINAL))
            mesh__refs_ref(&exchange->refs);
        bool first = mesh__list_empty(&server->synced.inbox);
        mesh__list_push(&server->synced.inbox, &exchange->link);
        if (first && !on_loop)
            mesh__loop_kick(&server->own.loop); /* under the lock, since the loop ends under it */
    }
    exchange->posted |= posts;
    pthread_mutex_unlock(&server->lock);
    if ((posts & POST_FINAL) && (linked || !posted))
        mesh__exchange_unref(exchange);
    return posted;
}

mesh_status mesh__server_answer(mesh_exchange *exchange)
{
    bool gone = atomic_load(&exchange->gone);
    return mesh__server_post(exchange, POST_FINAL) && !gone ? MESH_OK : MESH_ECLOSED;
}

/* The next exchange of the inbox, with a reference, and what was posted; NULL: none. */
static mesh_exchange *take_posted(mesh_server *server, uint32_t *posts)
{
    pthread_mutex_lock(&server->lock);
    struct list *node = mesh__list_pop(&server->synced.inbox);
    mesh_exchange *exchange = node != NULL ? CONTAINER_OF(node, mesh_exchange, link) : NULL;
    if (exchange != NULL) {
        *posts = exchange->posted;
        exchange->posted = 0;
    }
    pthread_mutex_unlock(&server->lock);
    return exchange;
}

static bool is_inbox_empty(mesh_server *server)
{
    pthread_mutex_lock(&server->lock);
    bool empty = mesh__list_empty(&server->synced.inbox);
    pthread_mutex_unlock(&server->lock);
    return empty;
}

/* What is posted meanwhile waits for the next turn, if it is much. */
static void empty_inbox(mesh_server *server)
{
    uint32_t posts;
    mesh_exchange *exchange;
    for (uint32_t i = 0; i < POSTS_PER_TURN && (exchange = take_posted(server, &posts)) != NULL; i++) {
        if (posts & POST_FINAL) {
            exchange->returned = true;
            mesh__flow_finish(exchange);
        }
        mesh__connection_follow(exchange, posts);
        mesh__exchange_unref(exchange);
    }
}

/* What the kernel has accepted already is served: closing the socket would reset it. */
static void start_drain(mesh_server *server)
{
    server->own.draining = true;
    mesh__listener_accept(server);
    mesh__listener_close(server);
    struct list *next;
    for (struct list *node = server->own.connections.next; node != &server->own.connections; node = next) {
        next = node->next;
        mesh__connection_drain(CONTAINER_OF(node, struct connection, link));
    }
}

static void cut_all(mesh_server *server)
{
    uint32_t cut = 0;
    while (!mesh__list_empty(&server->own.connections))
        cut += mesh__connection_cut(CONTAINER_OF(server->own.connections.next, struct connection, link)) ? 1 : 0;
    pthread_mutex_lock(&server->lock);
    server->synced.cut += cut;
    pthread_mutex_unlock(&server->lock);
}

static void follow_phase(mesh_server *server)
{
    int phase = atomic_load(&server->phase);
    if (phase >= SERVER_DRAINING && !server->own.draining)
        start_drain(server);
    mesh__connection_flush(server);
    if (phase >= SERVER_CUTTING)
        cut_all(server);
    if (phase < SERVER_DRAINING || !mesh__list_empty(&server->own.connections))
        return;
    pthread_mutex_lock(&server->lock);
    server->synced.drained = true;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

static void *run_loop(void *argument)
{
    mesh_server *server = argument;
    while (atomic_load(&server->phase) < SERVER_ENDING) {
        mesh__turn_enter();
        mesh__loop_turn(&server->own.loop, is_inbox_empty(server) ? NANOS_NEVER : 0);
        empty_inbox(server);
        mesh__connection_flush(server);
        follow_phase(server);
        mesh__connection_bury(server);
        mesh__turn_leave();
    }
    follow_phase(server);
    mesh__connection_bury(server);
    return NULL;
}

static void raise_phase(mesh_server *server, int phase)
{
    int now = atomic_load(&server->phase);
    while (now < phase && !atomic_compare_exchange_weak(&server->phase, &now, phase))
        continue;
    mesh__loop_kick(&server->own.loop);
}

/* With the lock held; true when the server has drained by then. */
static bool await_drained(mesh_server *server, mesh_nanos due)
{
    struct timespec until = { .tv_sec = (time_t)(due / NANOS_S), .tv_nsec = (long)(due % NANOS_S) };
    int error = 0;
    while (!server->synced.drained && error == 0)
        error = due == NANOS_NEVER ? pthread_cond_wait(&server->changed, &server->lock)
                                   : pthread_cond_timedwait(&server->changed, &server->lock, &until);
    return server->synced.drained;
}

mesh_status mesh__server_close(mesh_server *server, mesh_nanos timeout)
{
    const struct world *world = server->own.loop.world;
    mesh_nanos due = timeout < 0 ? NANOS_NEVER : mesh__nanos_add(world->now(world), timeout);
    raise_phase(server, SERVER_DRAINING);
    pthread_mutex_lock(&server->lock);
    if (!await_drained(server, due)) {
        raise_phase(server, SERVER_CUTTING);
        (void)await_drained(server, NANOS_NEVER);
    }
    mesh_status status = server->synced.cut > 0 ? MESH_DEADLINE : MESH_OK;
    pthread_mutex_unlock(&server->lock);
    return status;
}

void mesh__server_unref(mesh_server *server)
{
    if (!mesh__refs_unref(&server->refs))
        return;
    struct mem mem = server->mem;
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->lock);
    mesh__mem_free(&mem, server);
}

/* The loop has ended, or never began: from here on answers come too late. Who waits to be called still is. */
static void forbid_inbox(mesh_server *server)
{
    mesh_exchange *exchange;
    uint32_t posts;
    pthread_mutex_lock(&server->lock);
    server->synced.gone = true;
    pthread_mutex_unlock(&server->lock);
    mesh__turn_enter();
    while ((exchange = take_posted(server, &posts)) != NULL) {
        if (!(posts & POST_FINAL))
            mesh__connection_follow(exchange, posts);
        mesh__exchange_unref(exchange);
    }
    mesh__turn_leave();
}

static void end_last(void *user)
{
    mesh_server *server = user;
    mesh__outbox_free(server->outbox);
    mesh__config_unref(server->config);
    mesh__server_unref(server);
}

/* Everything but the loop's thread, which is not or no longer there. */
static void end_rest(mesh_server *server)
{
    mesh__workers_free(server->workers);
    forbid_inbox(server);
    mesh__security_stop(server);
    if (server->own.loop.epoll_fd >= 0) {
        mesh__listener_close(server);
        mesh__loop_fini(&server->own.loop);
    }
    mesh__buf_fini(&server->own.frames);
    mesh__http2_pool_fini(&server->own.pool);
    bool deferred = server->dispatcher != NULL && mesh__dispatcher_is_self(server->dispatcher);
    mesh__dispatcher_stop(server->dispatcher, end_last);
    if (!deferred)
        end_last(server);
}

void mesh__server_end(mesh_server *server)
{
    raise_phase(server, SERVER_ENDING);
    pthread_join(server->thread, NULL);
    end_rest(server);
}

static void wake_dispatcher(void *user, bool urgent)
{
    mesh_server *server = user;
    mesh__dispatcher_wake(server->dispatcher, urgent);
}

static void dispatch(void *user)
{
    mesh_server *server = user;
    mesh__outbox_drain(server->outbox);
}

static bool start_telemetry(mesh_server *server, const mesh_options *options)
{
    server->outbox = mesh__outbox_new(&server->mem, options, wake_dispatcher, server);
    if (server->outbox == NULL)
        return false;
    if (options == NULL || (options->on_log == NULL && options->on_span == NULL && options->on_audit == NULL))
        return true;
    server->dispatcher = mesh__dispatcher_new(&server->mem, dispatch, server);
    return server->dispatcher != NULL;
}

static int start(mesh_server *server, const mesh_options *options)
{
    uint64_t seed = options != NULL ? options->seed : 0;
    const struct world *world = &mesh__world_real;
    mesh__rng_init(&server->own.rng, seed ? seed : world->random(world));
    if (!start_telemetry(server, options))
        return -ENOMEM;
    int error = mesh__loop_init(&server->own.loop, &server->mem, world);
    if (error == 0)
        error = mesh__security_start(server);
    if (error == 0)
        error = mesh__listener_open(server);
    if (error)
        return error;
    if (server->settings->workers > 0)
        error = mesh__workers_new(server, server->settings->workers, server->settings->max_pending, &server->workers);
    if (error)
        return error;
    return mesh__thread_start(&server->thread, run_loop, server);
}

static mesh_status fail(mesh_error **error, const struct server_config *settings, int number)
{
    mesh_status status = MESH_SYSTEM;
    if (number == ENOMEM)
        status = MESH_NO_MEMORY;
    else if (number == EMFILE || number == ENFILE)
        status = MESH_NO_DESCRIPTORS;
    return mesh__error_set(error, status, "server %s cannot start at %s: %s", settings->name, settings->listen.text,
                           strerrordesc_np(number));
}

static mesh_server *allocate(struct config *config, const struct server_config *settings, const struct mem *mem)
{
    mesh_server *server = mesh__zalloc(mem, sizeof(*server));
    if (server == NULL)
        return NULL;
    pthread_mutex_init(&server->lock, NULL); /* neither fails on Linux */
    (void)mesh__thread_condition(&server->changed);
    mesh__refs_init(&server->refs);
    server->mem = *mem;
    server->config = config;
    server->settings = settings;
    server->own.loop.epoll_fd = -1;
    server->own.listener.fd = -1;
    atomic_init(&server->phase, SERVER_SERVING);
    atomic_init(&server->epoch, 0);
    mesh__list_init(&server->own.connections);
    mesh__list_init(&server->own.closed);
    mesh__list_init(&server->own.dirty);
    mesh__http2_pool_init(&server->own.pool, &server->mem, POOL_KEPT_MAX);
    mesh__buf_init(&server->own.frames, &server->mem, SIZE_MAX / 2);
    mesh__list_init(&server->synced.inbox);
    mesh__config_ref(config);
    return server;
}

mesh_status mesh__server_new(struct config *config, const struct server_config *settings, const struct mem *mem,
                             const mesh_options *options, mesh_handler handler, void *user, mesh_server **out,
                             mesh_error **error)
{
    mesh_server *server = allocate(config, settings, mem);
    if (server == NULL)
        return fail(error, settings, ENOMEM);
    server->handler = handler;
    server->user = user;
    server->streams = (options->flags & MESH_STREAM_REQUESTS) != 0;
    mesh_status status = mesh__security_load(server, error);
    int number = status == MESH_OK ? start(server, options) : 0;
    if (number)
        status = fail(error, settings, -number);
    if (status != MESH_OK) {
        end_rest(server);
        return status;
    }
    SERVER_LOG(server, MESH_LOG_INFO, "server %s listens at %s", settings->name, server->address);
    *out = server;
    return MESH_OK;
}
