/* SPDX-License-Identifier: Apache-2.0 */
/* handshaker_test.c - jobs that are worked at on threads, or on the loop, and come back to the loop that posted them.
 */
/* label: threaded */
#include "net/handshaker.h"
#include "support/certificates.h"
#include "unit/base/poor_mem.h"

#include <check.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>

#define LOOPS 3
#define JOBS 300

struct test_job {
    struct handshake_job job;
    pthread_t worked_by, posted_by;
    struct tls_bench *bench;
    _Atomic uint32_t worked, back;
    int order; /* in which it came back on its loop */
    struct crowd *crowd;
};

/* A thread's loop and what it posts. */
struct crowd {
    struct loop loop;
    struct tls_desk desk;
    struct test_job jobs[JOBS];
    int back;
};

static sem_t at_gate, gate;

static void work(struct handshake_job *job, struct tls_bench *bench)
{
    struct test_job *own = CONTAINER_OF(job, struct test_job, job);
    own->worked_by = pthread_self();
    own->bench = bench;
    atomic_fetch_add(&own->worked, 1);
}

static void work_at_gate(struct handshake_job *job, struct tls_bench *bench)
{
    work(job, bench);
    sem_post(&at_gate);
    while (sem_wait(&gate) != 0)
        continue;
}

static void back(struct handshake_job *job)
{
    struct test_job *own = CONTAINER_OF(job, struct test_job, job);
    ck_assert(pthread_equal(pthread_self(), own->posted_by));
    own->order = own->crowd->back++;
    atomic_fetch_add(&own->back, 1);
}

static void crowd_begin_with(struct crowd *crowd, struct handshaker *handshaker, const struct mem *mem)
{
    memset(crowd, 0, sizeof(*crowd));
    ck_assert_int_eq(mesh__loop_init(&crowd->loop, mem, &mesh__world_real), 0);
    mesh__tls_desk_init(&crowd->desk, &crowd->loop, handshaker);
    for (int i = 0; i < JOBS; i++)
        crowd->jobs[i] = (struct test_job){ .job = { .work = work, .back = back }, .crowd = crowd };
}

static void crowd_begin(struct crowd *crowd, struct handshaker *handshaker)
{
    crowd_begin_with(crowd, handshaker, &mesh__mem_system);
}

static void crowd_end(struct crowd *crowd)
{
    mesh__tls_desk_fini(&crowd->desk);
    mesh__loop_fini(&crowd->loop);
}

static bool post(struct crowd *crowd, int job)
{
    crowd->jobs[job].posted_by = pthread_self();
    return mesh__tls_desk_post(&crowd->desk, &crowd->jobs[job].job);
}

static void *run_crowd(void *argument)
{
    struct crowd *crowd = argument;
    for (int i = 0; i < JOBS; i++) {
        ck_assert(post(crowd, i));
        if (i % 10 == 0)
            mesh__loop_turn(&crowd->loop, 0);
    }
    while (crowd->back < JOBS)
        mesh__loop_turn(&crowd->loop, NANOS_NEVER);
    return NULL;
}

START_TEST(each_job_once_and_home)
{
    static const uint32_t counts[] = { 1, 2, 16 };
    static struct crowd crowds[LOOPS];
    pthread_t threads[LOOPS];
    struct handshaker *handshaker = mesh__handshaker_new(&mesh__mem_system, counts[_i]);
    ck_assert_ptr_nonnull(handshaker);
    for (int i = 0; i < LOOPS; i++) {
        crowd_begin(&crowds[i], handshaker);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, run_crowd, &crowds[i]), 0);
    }
    for (int i = 0; i < LOOPS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < LOOPS; i++)
        for (int j = 0; j < JOBS; j++) {
            struct test_job *job = &crowds[i].jobs[j];
            ck_assert(job->worked == 1 && job->back == 1 && job->bench != NULL);
            ck_assert(!pthread_equal(job->worked_by, job->posted_by));
            ck_assert(counts[_i] > 1 || job->order == j); /* one thread keeps the order */
        }
    mesh__handshaker_stop(handshaker);
    for (int i = 0; i < LOOPS; i++)
        crowd_end(&crowds[i]);
    mesh__handshaker_free(handshaker);
}
END_TEST

static void *stop(void *handshaker)
{
    mesh__handshaker_stop(handshaker);
    return NULL;
}

/* Posts until that is refused, so the threads are being stopped: what was taken until then waits with the rest. Gives
 * the list of what was taken. */
struct probe {
    struct test_job job;
    struct probe *next;
};

static struct probe *probe_until_refused(struct crowd *prober)
{
    struct probe *first = NULL;
    for (;;) {
        struct probe *probe = calloc(1, sizeof(*probe));
        ck_assert_ptr_nonnull(probe);
        probe->job =
            (struct test_job){ .job = { .work = work, .back = back }, .posted_by = pthread_self(), .crowd = prober };
        if (!mesh__tls_desk_post(&prober->desk, &probe->job.job)) {
            free(probe);
            return first;
        }
        probe->next = first;
        first = probe;
        for (int i = 0; i < 1000; i++)
            sched_yield();
    }
}

/* What waits when the threads are stopped comes back unworked; what is under way is waited for; nothing is taken after.
 */
START_TEST(stopped_with_jobs_waiting)
{
    static struct crowd crowd, prober;
    pthread_t stopper;
    struct handshaker *handshaker = mesh__handshaker_new(&mesh__mem_system, 1);
    sem_init(&at_gate, 0, 0);
    sem_init(&gate, 0, 0);
    crowd_begin(&crowd, handshaker);
    crowd_begin(&prober, handshaker);
    crowd.jobs[0].job.work = work_at_gate;
    for (int i = 0; i < 20; i++)
        ck_assert(post(&crowd, i));
    while (sem_wait(&at_gate) != 0)
        continue;
    ck_assert_int_eq(pthread_create(&stopper, NULL, stop, handshaker), 0);
    struct probe *probes = probe_until_refused(&prober);
    ck_assert_uint_eq(crowd.jobs[0].back, 0);
    sem_post(&gate);
    pthread_join(stopper, NULL);
    crowd_end(&crowd);
    crowd_end(&prober);
    ck_assert_int_eq(crowd.back, 20);
    for (int i = 0; i < 20; i++) {
        ck_assert_uint_eq(crowd.jobs[i].worked, i == 0);
        ck_assert_uint_eq(crowd.jobs[i].back, 1);
    }
    for (struct probe *probe = probes, *next; probe; probe = next) {
        next = probe->next;
        ck_assert(probe->job.worked == 0 && probe->job.back == 1);
        free(probe);
    }
    mesh__handshaker_free(handshaker);
    sem_destroy(&at_gate);
    sem_destroy(&gate);
}
END_TEST

static void await_back(struct crowd *crowd, int job, uint32_t times)
{
    while (crowd->jobs[job].back < times)
        mesh__loop_turn(&crowd->loop, NANOS_NEVER);
}

static void hold_at_gate(struct crowd *crowd, int job)
{
    crowd->jobs[job].job.work = work_at_gate;
    ck_assert(post(crowd, job));
    while (sem_wait(&at_gate) != 0)
        continue;
}

/* What was made on a bench is its thread's alone: a job waits for its thread, though another is free. */
START_TEST(a_job_stays_with_its_thread)
{
    enum { OTHER, FIRST, SECOND, NEW };
    static struct crowd crowd;
    struct handshaker *handshaker = mesh__handshaker_new(&mesh__mem_system, 2);
    sem_init(&at_gate, 0, 0);
    sem_init(&gate, 0, 0);
    crowd_begin(&crowd, handshaker);
    hold_at_gate(&crowd, OTHER); /* so that one thread has both of the next */
    ck_assert(post(&crowd, FIRST) && post(&crowd, SECOND));
    await_back(&crowd, FIRST, 1);
    await_back(&crowd, SECOND, 1);
    pthread_t theirs = crowd.jobs[FIRST].worked_by;
    ck_assert(pthread_equal(crowd.jobs[SECOND].worked_by, theirs));
    sem_post(&gate);
    await_back(&crowd, OTHER, 1);
    hold_at_gate(&crowd, FIRST);
    ck_assert(post(&crowd, SECOND) && post(&crowd, NEW));
    await_back(&crowd, NEW, 1);
    ck_assert(!pthread_equal(crowd.jobs[NEW].worked_by, theirs));
    ck_assert_uint_eq(crowd.jobs[SECOND].worked, 1);
    sem_post(&gate);
    await_back(&crowd, SECOND, 2);
    ck_assert(pthread_equal(crowd.jobs[FIRST].worked_by, theirs));
    ck_assert(pthread_equal(crowd.jobs[SECOND].worked_by, theirs));
    mesh__handshaker_stop(handshaker);
    crowd_end(&crowd);
    mesh__handshaker_free(handshaker);
    sem_destroy(&at_gate);
    sem_destroy(&gate);
}
END_TEST

START_TEST(never_used)
{
    struct handshaker *handshaker = mesh__handshaker_new(&mesh__mem_system, 4);
    if (_i == 0)
        mesh__handshaker_stop(handshaker);
    mesh__handshaker_free(handshaker);
    mesh__handshaker_stop(NULL);
    mesh__handshaker_free(NULL);
}
END_TEST

/* A thread that cannot make a bench hands NULL to its jobs, and tries again for each. */
START_TEST(no_memory_for_a_bench)
{
    static struct crowd crowd;
    struct poor_mem poor;
    poor_init(&poor, 1);
    struct handshaker *handshaker = mesh__handshaker_new(&poor.mem, 1);
    ck_assert_ptr_nonnull(handshaker);
    ck_assert_ptr_null(mesh__handshaker_new(&poor.mem, 1));
    crowd_begin(&crowd, handshaker);
    for (int i = 0; i < 3; i++) {
        ck_assert(post(&crowd, i));
        while (crowd.back <= i)
            mesh__loop_turn(&crowd.loop, NANOS_NEVER);
        ck_assert(crowd.jobs[i].worked == 1 && crowd.jobs[i].bench == NULL);
    }
    mesh__handshaker_stop(handshaker);
    crowd_end(&crowd);
    mesh__handshaker_free(handshaker);
    ck_assert_int_eq(poor.blocks, 0);
}
END_TEST

/* ---- on the loop ---- */

START_TEST(on_the_loop)
{
    static struct crowd crowd;
    crowd_begin(&crowd, NULL);
    ck_assert(post(&crowd, 0) && post(&crowd, 1) && post(&crowd, 2));
    ck_assert_uint_eq(crowd.jobs[0].worked, 0); /* never from inside */
    mesh__loop_cancel(&crowd.jobs[1].job.task);
    mesh__loop_turn(&crowd.loop, 0);
    ck_assert_int_eq(crowd.back, 2);
    ck_assert_uint_eq(crowd.jobs[1].worked, 0);
    ck_assert_ptr_eq(crowd.jobs[0].bench, crowd.jobs[2].bench);
    ck_assert(pthread_equal(crowd.jobs[0].worked_by, pthread_self()));
    crowd_end(&crowd);
    struct poor_mem poor;
    poor_init(&poor, 100);
    ck_assert_int_eq(mesh__loop_init(&crowd.loop, &poor.mem, &mesh__world_real), 0);
    mesh__tls_desk_init(&crowd.desk, &crowd.loop, NULL);
    poor.left = 0;
    ck_assert(!post(&crowd, 3));
    mesh__loop_turn(&crowd.loop, 0);
    ck_assert_uint_eq(crowd.jobs[3].worked, 0);
    crowd_end(&crowd);
    ck_assert_int_eq(poor.blocks, 0);
}
END_TEST

/* ---- what was parsed for specs that have gone ---- */

static struct tls_spec *present;

/* Parses the present spec. */
static void work_with_spec(struct handshake_job *job, struct tls_bench *bench)
{
    work(job, bench);
    mesh__tls_close(mesh__tls_connect(bench, present, NULL));
}

/* Posts a job and waits until it is back. */
static void run_job(struct crowd *crowd, int index, void (*what)(struct handshake_job *, struct tls_bench *))
{
    crowd->jobs[index].job.work = what;
    ck_assert(post(crowd, index));
    while (crowd->jobs[index].back == 0)
        mesh__loop_turn(&crowd->loop, NANOS_NEVER);
}

/* Identity after identity: a bench keeps what is in use. `poor` counts blocks, which no thread allocates while the loop
 * looks. */
START_TEST(rotations_leave_nothing)
{
    static struct crowd crowd;
    struct poor_mem poor;
    struct issued authority, leaf;
    poor_init(&poor, 1000000);
    certificates_authority(&authority);
    certificates_svid(&authority, "order", &leaf);
    struct handshaker *handshaker = _i ? mesh__handshaker_new(&poor.mem, 1) : NULL;
    crowd_begin_with(&crowd, handshaker, &poor.mem);
    int after_some = 0;
    for (int i = 0; i < 12; i++) {
        struct tls_identity *identity = certificates_identity(&leaf, authority.certificate);
        present = certificates_spec(identity, TLS_CLIENT, NULL);
        mesh__tls_identity_unref(identity);
        run_job(&crowd, i, work_with_spec);
        mesh__tls_spec_unref(present);
        run_job(&crowd, i + 100, work); /* behind it what is held by nobody is swept */
        run_job(&crowd, i + 200, work); /* on a thread that is over when the next job is worked at */
        if (i == 5)
            after_some = poor.blocks;
    }
    ck_assert_msg(poor.blocks <= after_some, "%d blocks, not %d", poor.blocks, after_some);
    mesh__handshaker_stop(handshaker);
    crowd_end(&crowd);
    mesh__handshaker_free(handshaker);
    ck_assert_int_eq(poor.blocks, 0);
    issued_free(&authority);
    issued_free(&leaf);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("handshaker");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 30);
    tcase_add_loop_test(tcase, each_job_once_and_home, 0, 3);
    tcase_add_test(tcase, stopped_with_jobs_waiting);
    tcase_add_test(tcase, a_job_stays_with_its_thread);
    tcase_add_loop_test(tcase, never_used, 0, 2);
    tcase_add_test(tcase, no_memory_for_a_bench);
    tcase_add_test(tcase, on_the_loop);
    tcase_add_loop_test(tcase, rotations_leave_nothing, 0, 2);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
