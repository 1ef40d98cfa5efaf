/* SPDX-License-Identifier: Apache-2.0 */
/* workers.c - one lock, one condition, a list. */
#include "server/workers.h"

#include "net/thread.h"

#include <errno.h>

struct workers {
    mesh_server *server; /* borrowed: it outlives its workers */
    uint32_t count;
    uint32_t max_pending;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t pushed;
    struct list queue; /* struct mesh_exchange */
    uint32_t queued;
    uint32_t busy; /* workers that have an exchange */
    bool stopping;
    pthread_t threads[];
};

static mesh_exchange *pop(struct workers *workers)
{
    struct list *node = mesh__list_pop(&workers->queue);
    if (node == NULL)
        return NULL;
    workers->queued--;
    return CONTAINER_OF(node, mesh_exchange, link);
}

static void *run(void *argument)
{
    struct workers *workers = argument;
    pthread_mutex_lock(&workers->lock);
    for (;;) {
        while (!workers->stopping && mesh__list_empty(&workers->queue))
            pthread_cond_wait(&workers->pushed, &workers->lock);
        if (workers->stopping)
            break;
        mesh_exchange *exchange = pop(workers);
        workers->busy++;
        pthread_mutex_unlock(&workers->lock);
        mesh__server_handle(exchange);
        pthread_mutex_lock(&workers->lock);
        workers->busy--;
    }
    pthread_mutex_unlock(&workers->lock);
    return NULL;
}

static void stop(struct workers *workers)
{
    pthread_mutex_lock(&workers->lock);
    workers->stopping = true;
    pthread_cond_broadcast(&workers->pushed);
    pthread_mutex_unlock(&workers->lock);
    for (uint32_t i = 0; i < workers->count; i++)
        pthread_join(workers->threads[i], NULL);
}

int mesh__workers_new(mesh_server *server, uint32_t count, uint32_t max_pending, struct workers **out)
{
    struct workers *workers = mesh__zalloc(&server->mem, sizeof(*workers) + count * sizeof(workers->threads[0]));
    if (workers == NULL)
        return -ENOMEM;
    workers->server = server;
    workers->max_pending = max_pending;
    mesh__list_init(&workers->queue);
    pthread_mutex_init(&workers->lock, NULL); /* neither fails on Linux */
    pthread_cond_init(&workers->pushed, NULL);
    int error = 0;
    while (workers->count < count && error == 0) {
        error = mesh__thread_start(&workers->threads[workers->count], run, workers);
        workers->count += error == 0 ? 1 : 0;
    }
    if (error)
        mesh__workers_free(workers);
    else
        *out = workers;
    return error;
}

bool mesh__workers_push(struct workers *workers, mesh_exchange *exchange)
{
    pthread_mutex_lock(&workers->lock);
    bool fits = (uint64_t)workers->busy + workers->queued < (uint64_t)workers->count + workers->max_pending;
    if (fits) {
        mesh__list_push(&workers->queue, &exchange->link);
        workers->queued++;
    }
    pthread_mutex_unlock(&workers->lock);
    if (fits)
        pthread_cond_signal(&workers->pushed);
    return fits;
}

void mesh__workers_free(struct workers *workers)
{
    if (workers == NULL)
        return;
    stop(workers);
    mesh_exchange *exchange;
    while ((exchange = pop(workers)) != NULL)
        mesh__exchange_unref(exchange);
    pthread_cond_destroy(&workers->pushed);
    pthread_mutex_destroy(&workers->lock);
    mesh__mem_free(&workers->server->mem, workers);
}
