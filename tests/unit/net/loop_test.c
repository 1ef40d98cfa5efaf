/* SPDX-License-Identifier: Apache-2.0 */
/* loop_test.c - the order within a turn, events of watches that have gone, timers, tasks, kicks. */
/* label: threaded */
#include "net/loop.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* A clock that the test moves; 0: the machine's own. */
static mesh_nanos test_now;

static mesh_nanos now_of(const struct world *world)
{
    (void)world;
    return test_now ? test_now : mesh__world_real.now(&mesh__world_real);
}

static struct world world;
static struct loop loop;

static void setup(void)
{
    test_now = NANOS_S;
    world = mesh__world_real;
    world.now = now_of;
    ck_assert_int_eq(mesh__loop_init(&loop, &mesh__mem_system, &world), 0);
}

static void teardown(void)
{
    mesh__loop_fini(&loop);
}

/* What happened, in order, as letters. */
static char story[4096];
static size_t story_size;

static void note(char letter)
{
    ck_assert_uint_lt(story_size, sizeof(story) - 1);
    story[story_size++] = letter;
    story[story_size] = '\0';
}

struct actor {
    struct watch watch;
    struct loop_timer timer;
    struct loop_task task;
    char letter;
    void (*then)(struct actor *);
    struct actor *other;
    uint32_t events;
};

static void act(struct actor *actor)
{
    note(actor->letter);
    if (actor->then)
        actor->then(actor);
}

static void on_ready(struct watch *watch, uint32_t events)
{
    struct actor *actor = CONTAINER_OF(watch, struct actor, watch);
    actor->events = events;
    act(actor);
}

static void on_fire(struct loop_timer *timer)
{
    act(CONTAINER_OF(timer, struct actor, timer));
}

static void on_run(struct loop_task *task)
{
    act(CONTAINER_OF(task, struct actor, task));
}

static struct actor actor_of(char letter, void (*then)(struct actor *), struct actor *other)
{
    return (struct actor){ .watch.ready = on_ready,
                           .timer.fire = on_fire,
                           .task.run = on_run,
                           .letter = letter,
                           .then = then,
                           .other = other };
}

static void turn_and_expect(const char *expected)
{
    story_size = 0;
    story[0] = '\0';
    mesh__loop_turn(&loop, 0);
    ck_assert_str_eq(story, expected);
}

static int readable(void)
{
    int fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    return fd;
}

static void unwatch_self(struct actor *actor)
{
    int fd = actor->watch.fd;
    mesh__loop_unwatch(&loop, &actor->watch);
    close(fd);
}

static void post_self(struct actor *actor)
{
    mesh__loop_post(&loop, &actor->task);
}

START_TEST(a_turn_is_descriptors_then_timers_then_tasks)
{
    struct actor ready = actor_of('r', unwatch_self, NULL), late = actor_of('l', NULL, NULL);
    struct actor early = actor_of('e', NULL, NULL), task = actor_of('t', NULL, NULL);
    struct actor again = actor_of('a', post_self, NULL);
    mesh__loop_post(&loop, &task.task);
    mesh__loop_post(&loop, &task.task);
    mesh__loop_post(&loop, &again.task);
    ck_assert(mesh__loop_timer_set(&loop, &late.timer, NANOS_S));
    ck_assert(mesh__loop_timer_set(&loop, &early.timer, NANOS_S - 5));
    ck_assert_int_eq(mesh__loop_watch(&loop, &ready.watch, readable(), LOOP_READ), 0);
    ck_assert_int_eq(mesh__loop_timeout(&loop), 0);
    turn_and_expect("relta");
    turn_and_expect("a");
    mesh__loop_cancel(&again.task);
    mesh__loop_cancel(&again.task);
    turn_and_expect("");
    ck_assert_int_eq(mesh__loop_timeout(&loop), NANOS_NEVER);
    ck_assert_int_eq(mesh__loop_next(&loop), NANOS_NEVER);
}
END_TEST

static int reused_fd;

/* Whichever of two ready watches comes first closes both and gives the numbers of their descriptors to a third. */
static void close_both(struct actor *actor)
{
    struct actor *other = actor->other;
    int fd = other->watch.fd, spare = readable();
    unwatch_self(actor);
    unwatch_self(other);
    reused_fd = dup2(spare, fd);
    close(spare);
}

static struct actor newcomer;

static void close_both_and_watch(struct actor *actor)
{
    close_both(actor);
    ck_assert_int_eq(mesh__loop_watch(&loop, &newcomer.watch, reused_fd, 0), 0);
}

START_TEST(an_event_for_a_watch_that_has_gone_is_dropped)
{
    struct actor one = actor_of('x', close_both_and_watch, NULL), two = actor_of('x', close_both_and_watch, NULL);
    one.other = &two;
    two.other = &one;
    newcomer = actor_of('n', unwatch_self, NULL);
    ck_assert_int_eq(mesh__loop_watch(&loop, &one.watch, readable(), LOOP_READ), 0);
    ck_assert_int_eq(mesh__loop_watch(&loop, &two.watch, readable(), LOOP_READ), 0);
    turn_and_expect("x"); /* both were ready; the second event has the number of a descriptor that is now another's */
    ck_assert_uint_ne(newcomer.watch.slot, 0);
    turn_and_expect("");
    mesh__loop_rewatch(&loop, &newcomer.watch, LOOP_READ);
    turn_and_expect("n");
}
END_TEST

START_TEST(an_end_is_told_with_the_bytes_before_it)
{
    int pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    struct actor actor = actor_of('e', NULL, NULL);
    ck_assert_int_eq(mesh__loop_watch(&loop, &actor.watch, pair[0], LOOP_READ), 0);
    ck_assert_int_eq(write(pair[1], "x", 1), 1);
    turn_and_expect("e");
    ck_assert_uint_eq(actor.events, LOOP_READ);
    ck_assert_int_eq(shutdown(pair[1], SHUT_WR), 0);
    turn_and_expect("e");
    ck_assert_uint_eq(actor.events, LOOP_READ | LOOP_END);
    mesh__loop_unwatch(&loop, &actor.watch);
    close(pair[0]);
    close(pair[1]);
}
END_TEST

START_TEST(interest_decides_which_events_come)
{
    int pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    struct actor actor = actor_of('e', NULL, NULL);
    ck_assert_int_eq(mesh__loop_watch(&loop, &actor.watch, pair[0], LOOP_READ), 0);
    turn_and_expect("");
    mesh__loop_rewatch(&loop, &actor.watch, LOOP_READ | LOOP_WRITE);
    turn_and_expect("e");
    ck_assert_uint_eq(actor.events, LOOP_WRITE);
    mesh__loop_rewatch(&loop, &actor.watch, 0);
    ck_assert_int_eq(write(pair[1], "x", 1), 1);
    turn_and_expect("");
    ck_assert_int_eq(shutdown(pair[1], SHUT_WR), 0);
    turn_and_expect(""); /* a half-closed peer does not keep a loop busy that wants nothing */
    close(pair[1]);
    turn_and_expect("e"); /* errors and hang-ups always come, as both */
    ck_assert_uint_eq(actor.events, LOOP_READ | LOOP_WRITE);
    mesh__loop_unwatch(&loop, &actor.watch);
    mesh__loop_unwatch(&loop, &actor.watch);
    close(pair[0]);
    turn_and_expect("");
}
END_TEST

static void set_self(struct actor *actor)
{
    ck_assert(mesh__loop_timer_set(&loop, &actor->timer, 1)); /* long past */
}

static void cancel_other(struct actor *actor)
{
    mesh__loop_timer_cancel(&loop, &actor->other->timer);
}

static void put_off_other(struct actor *actor)
{
    ck_assert(mesh__loop_timer_set(&loop, &actor->other->timer, NANOS_S + NANOS_MS));
}

START_TEST(a_timer_set_to_the_past_keeps_no_other_from_firing)
{
    struct actor greedy = actor_of('g', set_self, NULL), other = actor_of('o', NULL, NULL);
    ck_assert(mesh__loop_timer_set(&loop, &greedy.timer, 1));
    ck_assert(mesh__loop_timer_set(&loop, &other.timer, 2));
    turn_and_expect("go");
    turn_and_expect("g");
    ck_assert_int_eq(mesh__loop_timeout(&loop), 0);
    mesh__loop_timer_cancel(&loop, &greedy.timer);
    turn_and_expect("");
}
END_TEST

START_TEST(a_due_timer_can_still_be_cancelled_or_moved)
{
    struct actor victim = actor_of('v', NULL, NULL), canceller = actor_of('c', cancel_other, &victim);
    struct actor mover = actor_of('m', put_off_other, &victim);
    ck_assert(mesh__loop_timer_set(&loop, &canceller.timer, 1));
    ck_assert(mesh__loop_timer_set(&loop, &victim.timer, 2));
    turn_and_expect("c");
    ck_assert(mesh__loop_timer_set(&loop, &mover.timer, 1));
    ck_assert(mesh__loop_timer_set(&loop, &victim.timer, 2));
    turn_and_expect("m");
    ck_assert_int_eq(mesh__loop_timeout(&loop), NANOS_MS);
    test_now += NANOS_MS - 1;
    turn_and_expect("");
    test_now += 1;
    turn_and_expect("v");
}
END_TEST

/* Memory that is out. */
static void *never_more(size_t bytes, void *user)
{
    (void)bytes;
    (void)user;
    return NULL;
}

static void set_others(struct actor *actor)
{
    struct actor *others = actor->other;
    uint32_t set = 0;
    while (mesh__loop_timer_set(&loop, &others[set].timer, 10 * NANOS_S))
        set++;
    actor->events = set;
}

static void repeat(struct actor *actor)
{
    ck_assert(mesh__loop_timer_set(&loop, &actor->timer, 20 * NANOS_S));
    mesh__loop_timer_cancel(&loop, &actor->timer);
}

/* Whoever is set, or is called by its timer, has a place: nobody who comes in between takes it. */
START_TEST(a_timer_that_repeats_itself_needs_no_memory)
{
    enum { ROOM = 64 };
    struct mem full = mesh__mem_system;
    struct actor others[ROOM];
    for (int i = 0; i < ROOM; i++)
        others[i] = actor_of('.', NULL, NULL);
    struct actor first = actor_of('f', set_others, others), again = actor_of('a', set_self, NULL);
    struct actor victim = actor_of('v', NULL, NULL), canceller = actor_of('c', cancel_other, &victim);
    struct actor last = actor_of('l', repeat, NULL);
    struct actor *due[] = { &canceller, &victim, &first, &again, &last };
    for (int i = 0; i < 5; i++)
        ck_assert(mesh__loop_timer_set(&loop, &due[i]->timer, i + 1));
    ck_assert_uint_eq(loop.timers.capacity, ROOM);
    full.allocate = never_more;
    loop.timers.mem = &full;
    turn_and_expect("cfal");
    ck_assert_uint_eq(first.events, ROOM - 3); /* all places but its own and those of the two behind it */
    ck_assert_uint_eq(loop.timers.size, ROOM - 2);
    ck_assert_uint_eq(loop.firing, 0);
    turn_and_expect("a");
    mesh__loop_timer_cancel(&loop, &again.timer);
    for (uint32_t i = 0; i < first.events; i++)
        mesh__loop_timer_cancel(&loop, &others[i].timer);
    loop.timers.mem = &mesh__mem_system;
}
END_TEST

START_TEST(many_timers_fire_in_order)
{
    enum { COUNT = 20000 };
    struct actor *actors = calloc(COUNT, sizeof(*actors));
    uint32_t state = 1;
    for (int i = 0; i < COUNT; i++) {
        actors[i] = actor_of('.', NULL, NULL);
        state = state * 1664525u + 1013904223u;
        ck_assert(mesh__loop_timer_set(&loop, &actors[i].timer, NANOS_S + (state >> 8) % NANOS_S));
    }
    for (int i = 0; i < COUNT; i += 3)
        mesh__loop_timer_cancel(&loop, &actors[i].timer);
    mesh_nanos before = 0;
    int fired = 0;
    for (mesh_nanos next; (next = mesh__loop_next(&loop)) != NANOS_NEVER; fired++) {
        ck_assert_int_ge(next, before);
        test_now = before = next;
        mesh__loop_turn(&loop, 0);
        fired += (int)story_size - 1;
        story_size = 0;
    }
    ck_assert_int_eq(fired, COUNT - (COUNT + 2) / 3);
    free(actors);
}
END_TEST

START_TEST(more_ready_descriptors_than_one_wait_returns)
{
    enum { COUNT = 200 };
    struct actor actors[COUNT];
    for (int i = 0; i < COUNT; i++) {
        actors[i] = actor_of('.', unwatch_self, NULL);
        ck_assert_int_eq(mesh__loop_watch(&loop, &actors[i].watch, readable(), LOOP_READ), 0);
    }
    story_size = 0;
    for (int i = 0; i < 10; i++)
        mesh__loop_turn(&loop, 0);
    ck_assert_uint_eq(story_size, COUNT);
    for (uint32_t i = 0; i < loop.slot_count; i++)
        ck_assert_int_eq(loop.slots[i].fd, -1);
}
END_TEST

START_TEST(a_descriptor_that_cannot_be_watched_is_refused)
{
    struct actor actor = actor_of('x', NULL, NULL);
    ck_assert_int_eq(mesh__loop_watch(&loop, &actor.watch, -1, LOOP_READ), -EBADF);
    ck_assert_uint_eq(actor.watch.slot, 0);
    mesh__loop_unwatch(&loop, &actor.watch);
    mesh__loop_rewatch(&loop, &actor.watch, LOOP_WRITE);
    int fd = readable();
    ck_assert_int_eq(mesh__loop_watch(&loop, &actor.watch, fd, LOOP_READ), 0);
    struct actor second = actor_of('y', NULL, NULL);
    ck_assert_int_eq(mesh__loop_watch(&loop, &second.watch, fd, LOOP_READ), -EEXIST);
    unwatch_self(&actor);
}
END_TEST

static void *kick(void *argument)
{
    for (int i = 0; i < 3; i++)
        mesh__loop_kick(argument);
    return NULL;
}

/* Would not return without the kick: there is neither timer nor task, and the wait has no limit. */
START_TEST(a_kick_from_another_thread_ends_the_wait)
{
    test_now = 0;
    for (int i = 0; i < 100; i++) {
        pthread_t thread;
        ck_assert_int_eq(pthread_create(&thread, NULL, kick, &loop), 0);
        mesh__loop_turn(&loop, NANOS_NEVER);
        pthread_join(thread, NULL);
        mesh__loop_turn(&loop, 0);
    }
}
END_TEST

START_TEST(a_wait_ends_no_sooner_than_its_timer)
{
    test_now = 0;
    struct actor actor = actor_of('f', NULL, NULL);
    mesh_nanos due = mesh__world_real.now(&mesh__world_real) + 1500 * NANOS_US;
    ck_assert(mesh__loop_timer_set(&loop, &actor.timer, due));
    story_size = 0;
    mesh__loop_turn(&loop, NANOS_NEVER); /* one wait is enough: it is rounded up */
    ck_assert_str_eq(story, "f");
    ck_assert_int_ge(loop.now, due);
}
END_TEST

START_TEST(time_never_runs_backwards)
{
    mesh_nanos before = loop.now;
    test_now -= NANOS_MS;
    uint64_t turns = loop.turns;
    mesh__loop_turn(&loop, 0);
    mesh__loop_refresh(&loop);
    ck_assert_int_eq(loop.now, before);
    ck_assert_uint_eq(loop.turns, turns + 2);
}
END_TEST

static int allocations_left;

static void *poor_resize(void *block, size_t old_bytes, size_t bytes, void *user)
{
    (void)old_bytes;
    (void)user;
    return allocations_left-- > 0 ? realloc(block, bytes) : NULL;
}

static void *poor_allocate(size_t bytes, void *user)
{
    return poor_resize(NULL, 0, bytes, user);
}

static void poor_release(void *block, void *user)
{
    (void)user;
    free(block);
}

START_TEST(lack_of_memory_changes_nothing)
{
    static const struct mem poor = { poor_allocate, poor_resize, poor_release, NULL };
    struct loop own;
    allocations_left = 0;
    ck_assert_int_eq(mesh__loop_init(&own, &poor, &world), -ENOMEM);
    allocations_left = 1;
    ck_assert_int_eq(mesh__loop_init(&own, &poor, &world), 0);
    struct actor actor = actor_of('x', NULL, NULL);
    ck_assert(!mesh__loop_timer_set(&own, &actor.timer, NANOS_S));
    int fd = readable();
    ck_assert_int_eq(mesh__loop_watch(&own, &actor.watch, fd, LOOP_READ), -ENOMEM);
    ck_assert_int_eq(mesh__loop_timeout(&own), NANOS_NEVER);
    close(fd);
    mesh__loop_fini(&own);
}
END_TEST

static int blocks; /* not yet given back */

static void *count_allocate(size_t bytes, void *user)
{
    (void)user;
    blocks++;
    return malloc(bytes);
}

static void *count_resize(void *block, size_t old_bytes, size_t bytes, void *user)
{
    (void)user;
    (void)old_bytes;
    blocks += block == NULL;
    return realloc(block, bytes);
}

static void count_release(void *block, void *user)
{
    (void)user;
    blocks--;
    free(block);
}

/* In a child: every descriptor is closed and every block given back, and the parent's loop goes on. */
START_TEST(a_child_abandons_the_loop)
{
    enum { COUNT = 100 };
    const struct mem mem = { count_allocate, count_resize, count_release, NULL };
    struct loop own;
    struct actor actors[COUNT];
    ck_assert_int_eq(mesh__loop_init(&own, &mem, &world), 0);
    for (int i = 0; i < COUNT; i++) {
        actors[i] = actor_of('x', NULL, NULL);
        ck_assert_int_eq(mesh__loop_watch(&own, &actors[i].watch, readable(), LOOP_READ), 0);
        ck_assert(mesh__loop_timer_set(&own, &actors[i].timer, NANOS_S * 100));
    }
    int own_fds[2] = { own.epoll_fd, own.wake_fd };
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        mesh__loop_abandon(&own);
        bool open = false;
        for (int i = 0; i < COUNT; i++)
            open = open || fcntl(actors[i].watch.fd, F_GETFD) >= 0;
        for (int i = 0; i < 2; i++)
            open = open || fcntl(own_fds[i], F_GETFD) >= 0;
        _exit(open ? 1 : blocks != 0 ? 2 : 0);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    story_size = 0;
    mesh__loop_turn(&own, 0);
    ck_assert_uint_gt(story_size, 0); /* the set still watches */
    for (int i = 0; i < COUNT; i++) {
        mesh__loop_timer_cancel(&own, &actors[i].timer);
        mesh__loop_unwatch(&own, &actors[i].watch);
        close(actors[i].watch.fd);
    }
    mesh__loop_fini(&own);
    ck_assert_int_eq(blocks, 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_turn_is_descriptors_then_timers_then_tasks,
        an_event_for_a_watch_that_has_gone_is_dropped,
        an_end_is_told_with_the_bytes_before_it,
        interest_decides_which_events_come,
        a_timer_set_to_the_past_keeps_no_other_from_firing,
        a_timer_that_repeats_itself_needs_no_memory,
        a_due_timer_can_still_be_cancelled_or_moved,
        many_timers_fire_in_order,
        more_ready_descriptors_than_one_wait_returns,
        a_descriptor_that_cannot_be_watched_is_refused,
        a_kick_from_another_thread_ends_the_wait,
        a_wait_ends_no_sooner_than_its_timer,
        time_never_runs_backwards,
        lack_of_memory_changes_nothing,
        a_child_abandons_the_loop,
    };
    Suite *suite = suite_create("loop");
    TCase *tcase = tcase_create("loop");
    tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
