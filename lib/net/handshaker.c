/* SPDX-License-Identifier: Apache-2.0 */
/* handshaker.c - new jobs wait in one queue for any thread, others for their own; then the way back to the loops. */
#include "net/handshaker.h"

#include "net/thread.h"

struct handshake_thread {
    struct handshaker *handshaker;
    pthread_t id;
    struct list jobs; /* its own; under the lock */
};

struct handshaker {
    struct mem mem;
    uint32_t count, started;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    struct list jobs; /* new ones */
    bool stopping;
    struct handshake_thread threads[];
};

struct handshaker *mesh__handshaker_new(const struct mem *mem, uint32_t count)
{
    struct handshaker *handshaker = mesh__zalloc(mem, sizeof(*handshaker) + count * sizeof(struct handshake_thread));
    if (handshaker == NULL)
        return NULL;
    handshaker->mem = *mem;
    handshaker->count = count;
    mesh__list_init(&handshaker->jobs);
    for (uint32_t i = 0; i < count; i++) {
        handshaker->threads[i].handshaker = handshaker;
        mesh__list_init(&handshaker->threads[i].jobs);
    }
    if (mesh__thread_condition(&handshaker->changed) == 0) {
        pthread_mutex_init(&handshaker->lock, NULL);
        return handshaker;
    }
    mesh__mem_free(mem, handshaker);
    return NULL;
}

static void send_back(struct handshake_job *job)
{
    mesh__loop_send(job->loop, &job->mail);
}

/* With the lock held. What was begun goes before what is new. */
static struct handshake_job *pop(struct handshake_thread *thread)
{
    struct list *node = mesh__list_pop(&thread->jobs);
    if (node == NULL)
        node = mesh__list_pop(&thread->handshaker->jobs);
    return node ? CONTAINER_OF(node, struct handshake_job, link) : NULL;
}

/* The oldest job; NULL at the end. */
static struct handshake_job *take(struct handshake_thread *thread)
{
    struct handshaker *handshaker = thread->handshaker;
    struct handshake_job *job = NULL;
    pthread_mutex_lock(&handshaker->lock);
    while (!handshaker->stopping && (job = pop(thread)) == NULL)
        pthread_cond_wait(&handshaker->changed, &handshaker->lock);
    if (job != NULL)
        job->thread = thread;
    pthread_mutex_unlock(&handshaker->lock);
    return job;
}

static void *run(void *argument)
{
    struct handshake_thread *thread = argument;
    struct handshaker *handshaker = thread->handshaker;
    struct tls_bench *bench = mesh__tls_bench_new(&handshaker->mem);
    struct handshake_job *job;
    while ((job = take(thread)) != NULL) {
        if (bench == NULL)
            bench = mesh__tls_bench_new(&handshaker->mem);
        job->work(job, bench);
        send_back(job);
        if (bench)
            mesh__tls_bench_sweep(bench); /* little beside a step, so that nothing stays on a thread that never rests */
    }
    mesh__tls_bench_free(bench);
    return NULL;
}

static bool start_one(struct handshaker *handshaker)
{
    if (handshaker->started == handshaker->count)
        return true;
    struct handshake_thread *next = &handshaker->threads[handshaker->started];
    if (mesh__thread_start(&next->id, run, next) == 0)
        handshaker->started++;
    return handshaker->started > 0;
}

static bool post(struct handshaker *handshaker, struct handshake_job *job)
{
    pthread_mutex_lock(&handshaker->lock);
    bool ok = !handshaker->stopping && start_one(handshaker);
    if (ok) {
        mesh__list_push(job->thread ? &job->thread->jobs : &handshaker->jobs, &job->link);
        pthread_cond_broadcast(&handshaker->changed); /* it may be one thread's alone */
    }
    pthread_mutex_unlock(&handshaker->lock);
    return ok;
}

void mesh__handshaker_stop(struct handshaker *handshaker)
{
    if (handshaker == NULL)
        return;
    pthread_mutex_lock(&handshaker->lock);
    handshaker->stopping = true;
    pthread_cond_broadcast(&handshaker->changed);
    pthread_mutex_unlock(&handshaker->lock);
    for (uint32_t i = 0; i < handshaker->started; i++)
        pthread_join(handshaker->threads[i].id, NULL);
    handshaker->started = 0;
    struct handshake_job *job;
    for (uint32_t i = 0; i < handshaker->count; i++)
        while ((job = pop(&handshaker->threads[i])) != NULL)
            send_back(job);
}

void mesh__handshaker_free(struct handshaker *handshaker)
{
    if (handshaker == NULL)
        return;
    pthread_cond_destroy(&handshaker->changed);
    pthread_mutex_destroy(&handshaker->lock);
    struct mem mem = handshaker->mem;
    mesh__mem_free(&mem, handshaker);
}

void mesh__tls_desk_init(struct tls_desk *desk, struct loop *loop, struct handshaker *or_null)
{
    *desk = (struct tls_desk){ .loop = loop, .threads = or_null };
}

uint32_t mesh__tls_desk_width(const struct tls_desk *desk)
{
    return desk->threads ? desk->threads->count : 1;
}

void mesh__tls_desk_fini(struct tls_desk *desk)
{
    if (desk->loop)
        mesh__loop_take_mail(desk->loop);
    mesh__tls_bench_free(desk->bench);
    desk->bench = NULL;
}

static void on_mail(struct loop_mail *mail)
{
    struct handshake_job *job = CONTAINER_OF(mail, struct handshake_job, mail);
    job->back(job);
}

static void on_task(struct loop_task *task)
{
    struct handshake_job *job = CONTAINER_OF(task, struct handshake_job, task);
    struct tls_desk *desk = job->desk; /* the job may be gone when it is back */
    job->work(job, desk->bench);
    job->back(job);
    mesh__tls_bench_sweep(desk->bench);
}

bool mesh__tls_desk_post(struct tls_desk *desk, struct handshake_job *job)
{
    job->desk = desk;
    job->loop = desk->loop;
    if (desk->threads) {
        job->mail.run = on_mail;
        return post(desk->threads, job);
    }
    if (desk->bench == NULL && (desk->bench = mesh__tls_bench_new(desk->loop->mem)) == NULL)
        return false;
    job->task.run = on_task;
    mesh__loop_post(desk->loop, &job->task);
    return true;
}
