/* SPDX-License-Identifier: Apache-2.0 */
/* dispatcher_test.c - work happens after a wake, in its own thread, and once more at the end. */
/* label: threaded */
#include "telemetry/dispatcher.h"

#include "base/time.h"
#include "net/world.h"

#include <check.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

struct scene {
    struct dispatcher *dispatcher;
    sem_t worked, ended;
    atomic_int runs;
    atomic_bool self, signals_blocked, stop_inside;
    sem_t may_end; /* of runs that are held */
    atomic_bool held;
};

static void wait_for(sem_t *event)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 10;
    ck_assert_msg(sem_timedwait(event, &until) == 0, "the event did not come");
}

static void on_end(void *user)
{
    struct scene *scene = user;
    sem_post(&scene->ended);
}

static void work(void *user)
{
    struct scene *scene = user;
    scene->runs++;
    scene->self = mesh__dispatcher_is_self(scene->dispatcher);
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    scene->signals_blocked = sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGUSR1) == 1;
    if (scene->held) {
        sem_post(&scene->worked);
        wait_for(&scene->may_end);
    }
    if (scene->stop_inside)
        mesh__dispatcher_stop(scene->dispatcher, on_end);
    sem_post(&scene->worked);
}

static void begin(struct scene *scene)
{
    *scene = (struct scene){ 0 };
    sem_init(&scene->worked, 0, 0);
    sem_init(&scene->ended, 0, 0);
    sem_init(&scene->may_end, 0, 0);
    scene->dispatcher = mesh__dispatcher_new(&mesh__mem_system, work, scene);
    ck_assert_ptr_nonnull(scene->dispatcher);
}

START_TEST(test_wake)
{
    struct scene scene;
    begin(&scene);
    bool urgent = _i == 1;
    ck_assert(!mesh__dispatcher_is_self(scene.dispatcher));
    for (int i = 0; i < 2; i++) {
        mesh_nanos start = mesh__world_real.now(&mesh__world_real);
        mesh__dispatcher_wake(scene.dispatcher, urgent);
        mesh__dispatcher_wake(scene.dispatcher, false);
        wait_for(&scene.worked);
        mesh_nanos took = mesh__world_real.now(&mesh__world_real) - start;
        if (!urgent)
            ck_assert_msg(took >= 90 * NANOS_MS, "after %lld ns", (long long)took); /* entries are given together */
    }
    ck_assert(scene.self);
    ck_assert(scene.signals_blocked);
    mesh__dispatcher_stop(scene.dispatcher, on_end);
    ck_assert_int_ge(scene.runs, 3); /* once more at the end */
    ck_assert_int_eq(sem_trywait(&scene.ended), -1);
}
END_TEST

START_TEST(test_stop_without_work)
{
    struct scene scene;
    begin(&scene);
    mesh__dispatcher_stop(scene.dispatcher, NULL);
    ck_assert_int_eq(scene.runs, 1);
    mesh__dispatcher_stop(NULL, NULL);
    mesh__dispatcher_forget(NULL);
}
END_TEST

START_TEST(test_stop_does_not_wait_for_the_delay)
{
    struct scene scene;
    begin(&scene);
    mesh__dispatcher_wake(scene.dispatcher, false);
    mesh__dispatcher_stop(scene.dispatcher, NULL);
    ck_assert_int_ge(scene.runs, 1);
}
END_TEST

START_TEST(test_urgent_overtakes)
{
    struct scene scene;
    begin(&scene);
    mesh__dispatcher_wake(scene.dispatcher, false);
    mesh__dispatcher_wake(scene.dispatcher, true);
    wait_for(&scene.worked);
    mesh__dispatcher_stop(scene.dispatcher, NULL);
}
END_TEST

START_TEST(test_stop_from_inside)
{
    struct scene scene;
    begin(&scene);
    scene.stop_inside = true;
    mesh__dispatcher_wake(scene.dispatcher, true);
    wait_for(&scene.ended);
    ck_assert_int_eq(scene.runs, 1);
}
END_TEST

START_TEST(test_flush)
{
    static const mesh_nanos timeouts[] = { NANOS_NEVER, 10 * NANOS_S };
    struct scene scene;
    begin(&scene);
    for (int i = 1; i <= 100; i++) {
        ck_assert(mesh__dispatcher_flush(scene.dispatcher, timeouts[_i]));
        ck_assert_int_eq(scene.runs, i);
    }
    ck_assert(!mesh__dispatcher_is_working(scene.dispatcher));
    mesh__dispatcher_stop(scene.dispatcher, NULL);
}
END_TEST

static void *flush(void *argument)
{
    struct scene *scene = argument;
    bool done = mesh__dispatcher_flush(scene->dispatcher, NANOS_NEVER);
    return done ? scene : NULL;
}

/* A run that is under way does not count: it may have looked at its work already. */
START_TEST(test_flush_under_way)
{
    struct scene scene;
    begin(&scene);
    scene.held = true;
    mesh__dispatcher_wake(scene.dispatcher, true);
    wait_for(&scene.worked);
    ck_assert(mesh__dispatcher_is_working(scene.dispatcher));
    ck_assert(!mesh__dispatcher_flush(scene.dispatcher, 0));
    ck_assert(!mesh__dispatcher_flush(scene.dispatcher, NANOS_MS));
    ck_assert_int_eq(scene.runs, 1);
    scene.held = false;
    sem_post(&scene.may_end);
    ck_assert(mesh__dispatcher_flush(scene.dispatcher, NANOS_NEVER));
    ck_assert_int_ge(scene.runs, 2);
    mesh__dispatcher_stop(scene.dispatcher, NULL);
}
END_TEST

static void stop_and_join(void *user)
{
    struct scene *scene = user;
    sem_post(&scene->worked);
    wait_for(&scene->may_end);
    mesh__dispatcher_stop(scene->dispatcher, on_end);
    sem_post(&scene->worked);
    wait_for(&scene->may_end); /* the flusher has returned */
}

START_TEST(test_stop_from_inside_ends_a_flush)
{
    struct scene scene = { 0 };
    sem_init(&scene.worked, 0, 0);
    sem_init(&scene.ended, 0, 0);
    sem_init(&scene.may_end, 0, 0);
    scene.dispatcher = mesh__dispatcher_new(&mesh__mem_system, stop_and_join, &scene);
    ck_assert_ptr_nonnull(scene.dispatcher);
    mesh__dispatcher_wake(scene.dispatcher, true);
    wait_for(&scene.worked);
    pthread_t flusher;
    ck_assert_int_eq(pthread_create(&flusher, NULL, flush, &scene), 0);
    sem_post(&scene.may_end);
    void *done;
    ck_assert_int_eq(pthread_join(flusher, &done), 0);
    ck_assert_ptr_eq(done, &scene);
    sem_post(&scene.may_end);
    wait_for(&scene.ended);
}
END_TEST

static _Atomic int64_t blocks;

static void *count_allocate(size_t bytes, void *user)
{
    (void)user;
    atomic_fetch_add(&blocks, 1);
    return malloc(bytes);
}

static void *no_resize(void *block, size_t old_bytes, size_t bytes, void *user)
{
    (void)block;
    (void)old_bytes;
    (void)bytes;
    (void)user;
    return NULL;
}

static void count_release(void *block, void *user)
{
    (void)user;
    atomic_fetch_sub(&blocks, 1);
    free(block);
}

static void on_end_count(void *user)
{
    struct scene *scene = user;
    scene->runs = (int)atomic_load(&blocks);
    sem_post(&scene->ended);
}

static void stop_and_count(void *user)
{
    struct scene *scene = user;
    mesh__dispatcher_stop(scene->dispatcher, on_end_count);
    sem_post(&scene->worked);
}

/* Whatever `last` frees may be all that there is: the dispatcher has gone before. */
START_TEST(test_nothing_is_left_for_after_last)
{
    static const struct mem mem = { count_allocate, no_resize, count_release, NULL };
    struct scene scene = { 0 };
    sem_init(&scene.worked, 0, 0);
    sem_init(&scene.ended, 0, 0);
    scene.dispatcher = mesh__dispatcher_new(&mem, stop_and_count, &scene);
    ck_assert_ptr_nonnull(scene.dispatcher);
    ck_assert_int_eq(atomic_load(&blocks), 1);
    scene.runs = -1;
    mesh__dispatcher_wake(scene.dispatcher, true);
    wait_for(&scene.ended);
    ck_assert_int_eq(scene.runs, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dispatcher");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    tcase_add_loop_test(tcase, test_wake, 0, 2);
    tcase_add_test(tcase, test_stop_without_work);
    tcase_add_test(tcase, test_stop_does_not_wait_for_the_delay);
    tcase_add_test(tcase, test_urgent_overtakes);
    tcase_add_test(tcase, test_stop_from_inside);
    tcase_add_loop_test(tcase, test_flush, 0, 2);
    tcase_add_test(tcase, test_flush_under_way);
    tcase_add_test(tcase, test_stop_from_inside_ends_a_flush);
    tcase_add_test(tcase, test_nothing_is_left_for_after_last);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
