/* SPDX-License-Identifier: Apache-2.0 */
/* drivers_model_test.c - every interleaving of the driver protocol (driver.h) for a few threads, and what each of its
 * shortcuts would cost.
 *
 * One shard. Threads are small state machines whose steps are the atomic operations of driver.c, in its order; the
 * network is an event for each begun call that may come at any moment. The search visits every state that can be
 * reached. A state without a next step that is not the good end is a deadlock: somebody sleeps for ever. There are
 * no timeouts in the model: what only a timeout would end is found.
 *
 * Callers run mesh__driver_run(); the starter runs mesh__driver_start() for one asynchronous call; control waits for
 * the shard to be armed and readable, then runs mesh__driver_visit(). */
#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define THREADS 4 /* callers 0 to 2 or 0 to 1, the starter, control */
#define CALLS 3
#define NOBODY 7

enum word { WAITING, PROMOTED, DONE };

/* Where a thread stands: the step that it does next. */
enum at {
    AT_POST,      /* puts the call into the inbox */
    AT_TRY,       /* looks at the word */
    AT_LOCK,      /* tries the lock */
    AT_KICK,      /* could not get it: kicks who is asleep */
    AT_SLEEP,     /* futex wait while the word is WAITING */
    AT_PREPARE,   /* driving: takes the inbox */
    AT_LOOK_DONE, /* is its own call done? */
    AT_SAY_ASLEEP,
    AT_LOOK_AGAIN, /* at the inbox, having said so */
    AT_WAIT,       /* epoll_wait */
    AT_TURN,       /* asleep = false; events are handled */
    AT_LEAVE,      /* takes the inbox once more */
    AT_UNLOCK,
    AT_PROMOTE, /* or arms the shard */
    AT_INBOX_AFTER,
    AT_IDLE, /* control: waits until the shard is armed and readable */
    AT_VISIT,
    AT_VISIT_TURN,
    AT_END
};

struct state {
    uint8_t at[THREADS];
    uint8_t word[CALLS];
    uint8_t done[CALLS];            /* how often each call was completed */
    uint8_t begun;                  /* a bit for each call: taken out of the inbox */
    uint8_t inbox;                  /* a bit for each call */
    uint8_t order[CALLS], sleepers; /* the sleepers' list, oldest first */
    uint8_t locked, asleep, armed, kicked;
    uint8_t promote[THREADS]; /* what a thread that leaves has to do: a call to promote, or NOBODY */
    uint8_t arm[THREADS];
    uint8_t more[THREADS]; /* saw something in the inbox after it said asleep */
};

enum shortcut {
    NO_SHORTCUT,
    NO_LOOK_AFTER_UNLOCK,
    PROMOTE_BEFORE_UNLOCK,
    NO_LOOK_AFTER_ASLEEP,
    NO_KICK,
    NO_ARM,
    NO_PROMOTION,
    NO_LAST_INBOX_AND_NO_LOOK
};

struct model {
    int callers;  /* blocking; call i belongs to thread i */
    bool starter; /* thread `callers` starts call `callers` */
    bool control; /* thread THREADS - 1 */
    enum shortcut shortcut;
    bool first_waits; /* call 0 ends only when every other one has ended: nobody may count on the driver's leaving */
};

/* ---- steps ---- */

static void list_remove(struct state *s, int call)
{
    int kept = 0;
    for (int i = 0; i < s->sleepers; i++)
        if (s->order[i] != call)
            s->order[kept++] = s->order[i];
    for (int i = kept; i < CALLS; i++)
        s->order[i] = NOBODY;
    s->sleepers = (uint8_t)kept;
}

static bool is_live(const struct state *s, const struct model *model)
{
    int calls = model->callers + model->starter;
    for (int i = 0; i < calls; i++)
        if (s->done[i] == 0 && ((s->inbox | s->begun) >> i & 1))
            return true;
    return false;
}

static void drain(struct state *s, const struct model *model, int driver)
{
    for (int i = 0; i < CALLS; i++) {
        if ((s->inbox >> i & 1) == 0)
            continue;
        if (i < model->callers && i != driver) {
            s->order[s->sleepers] = (uint8_t)i;
            s->sleepers++;
        }
        s->begun = (uint8_t)(s->begun | 1 << i);
    }
    s->inbox = 0;
}

static void begin_driving(struct state *s, int thread)
{
    s->locked = 1;
    s->armed = 0;
    list_remove(s, thread);
}

/* A call that has begun ends: the network's step, taken by whoever drives when it handles events. */
static void finish_call(struct state *s, const struct model *model, int call)
{
    s->begun = (uint8_t)(s->begun & ~(1 << call));
    s->done[call]++;
    if (call < model->callers) {
        list_remove(s, call);
        s->word[call] = DONE;
    }
}

static bool may_end(const struct state *s, const struct model *model, int ended)
{
    if ((ended & s->begun) != ended)
        return false;
    for (int i = 1; model->first_waits && (ended & 1) && i < model->callers + model->starter; i++)
        if (s->done[i] == 0 && (ended >> i & 1) == 0)
            return false;
    return true;
}

/* Sets of next states. */
struct next {
    struct state states[16];
    int count;
};

static struct state *add(struct next *next, const struct state *s)
{
    next->states[next->count] = *s;
    return &next->states[next->count++];
}

/* Events are handled: any subset of the begun calls ends; `wait`: at least one of them, a kick or the inbox ended it.
 */
static void turn(struct next *next, const struct state *s, const struct model *model, int thread, enum at then,
                 bool wait)
{
    for (int ended = 0; ended < 1 << CALLS; ended++) {
        if (!may_end(s, model, ended) || (wait && ended == 0 && !s->kicked))
            continue;
        struct state *n = add(next, s);
        n->kicked = 0;
        n->asleep = 0;
        for (int i = 0; i < CALLS; i++)
            if (ended >> i & 1)
                finish_call(n, model, i);
        n->at[thread] = (uint8_t)then;
    }
}

static void step_caller(struct next *next, const struct state *s, const struct model *model, int t)
{
    struct state *n;
    switch ((enum at)s->at[t]) {
    case AT_POST:
        n = add(next, s);
        n->inbox = (uint8_t)(n->inbox | 1 << t);
        n->at[t] = AT_TRY;
        break;
    case AT_TRY:
        add(next, s)->at[t] = s->word[t] == DONE ? AT_END : AT_LOCK;
        break;
    case AT_LOCK:
        n = add(next, s);
        if (s->locked) {
            n->at[t] = AT_KICK;
        } else {
            begin_driving(n, t);
            n->at[t] = AT_PREPARE;
        }
        break;
    case AT_KICK:
        n = add(next, s);
        if (n->asleep && model->shortcut != NO_KICK)
            n->kicked = 1;
        n->asleep = 0;
        n->at[t] = AT_SLEEP;
        break;
    case AT_SLEEP:
        if (s->word[t] == WAITING)
            return;
        n = add(next, s);
        if (n->word[t] == PROMOTED)
            n->word[t] = WAITING;
        n->at[t] = AT_TRY;
        break;
    default:
        break;
    }
}

static void step_starter(struct next *next, const struct state *s, int t, int call)
{
    struct state *n = add(next, s);
    switch ((enum at)s->at[t]) {
    case AT_POST:
        n->inbox = (uint8_t)(n->inbox | 1 << call);
        n->at[t] = AT_TRY;
        break;
    case AT_TRY:
        if (s->locked) {
            n->at[t] = AT_KICK;
        } else {
            begin_driving(n, NOBODY);
            n->at[t] = AT_LEAVE;
        }
        break;
    default: /* AT_KICK */
        if (n->asleep)
            n->kicked = 1;
        n->asleep = 0;
        n->at[t] = AT_END;
        break;
    }
}

static void step_control(struct next *next, const struct state *s, const struct model *model, int t)
{
    if (s->at[t] == AT_VISIT_TURN) {
        turn(next, s, model, t, AT_LEAVE, false);
        return;
    }
    if (s->at[t] == AT_IDLE) {
        if (!s->armed || !(s->kicked || s->begun))
            return; /* no descriptor tells of the inbox */
        add(next, s)->at[t] = AT_VISIT;
        return;
    }
    struct state *n = add(next, s); /* AT_VISIT */
    if (s->locked) {
        n->at[t] = AT_IDLE;
    } else {
        begin_driving(n, NOBODY);
        drain(n, model, NOBODY);
        n->at[t] = AT_VISIT_TURN;
    }
}

/* Driving and leaving, which all do alike. */
static void step_driver(struct next *next, const struct state *s, const struct model *model, int t, enum at end)
{
    enum shortcut cut = model->shortcut;
    struct state *n;
    switch ((enum at)s->at[t]) {
    case AT_PREPARE:
        n = add(next, s);
        drain(n, model, t);
        n->at[t] = AT_LOOK_DONE;
        break;
    case AT_LOOK_DONE:
        n = add(next, s);
        n->at[t] = n->word[t] == DONE ? AT_LEAVE : AT_SAY_ASLEEP;
        break;
    case AT_SAY_ASLEEP:
        n = add(next, s);
        n->asleep = 1;
        n->at[t] = AT_LOOK_AGAIN;
        break;
    case AT_LOOK_AGAIN:
        n = add(next, s);
        n->more[t] = n->inbox != 0 && cut != NO_LOOK_AFTER_ASLEEP;
        n->at[t] = AT_WAIT;
        break;
    case AT_WAIT:
        turn(next, s, model, t, AT_PREPARE, !s->more[t]);
        break;
    case AT_LEAVE:
        n = add(next, s);
        if (cut != NO_LAST_INBOX_AND_NO_LOOK)
            drain(n, model, NOBODY);
        n->at[t] = AT_UNLOCK;
        break;
    case AT_UNLOCK:
        n = add(next, s);
        n->promote[t] = n->sleepers && cut != NO_PROMOTION ? n->order[0] : NOBODY;
        n->arm[t] = !n->sleepers && model->control && is_live(n, model) && cut != NO_ARM;
        if (cut == PROMOTE_BEFORE_UNLOCK && n->promote[t] != NOBODY && n->word[n->promote[t]] == WAITING) {
            n->word[n->promote[t]] = PROMOTED;
            n->promote[t] = NOBODY;
            n->at[t] = AT_TURN; /* here: unlocks afterwards */
        } else {
            n->locked = 0;
            n->at[t] = AT_PROMOTE;
        }
        break;
    case AT_TURN:
        n = add(next, s);
        n->locked = 0;
        n->at[t] = AT_PROMOTE;
        break;
    case AT_PROMOTE:
        n = add(next, s);
        if (n->promote[t] != NOBODY && n->word[n->promote[t]] == WAITING)
            n->word[n->promote[t]] = PROMOTED;
        if (n->arm[t])
            n->armed = 1;
        n->promote[t] = NOBODY;
        n->arm[t] = 0;
        n->at[t] = AT_INBOX_AFTER;
        break;
    case AT_INBOX_AFTER: {
        bool look = cut != NO_LOOK_AFTER_UNLOCK && cut != NO_LAST_INBOX_AND_NO_LOOK;
        n = add(next, s);
        if (look && s->inbox && !s->locked) {
            begin_driving(n, NOBODY);
            n->at[t] = AT_LEAVE;
        } else {
            n->at[t] = (uint8_t)end;
        }
        break;
    }
    default:
        break;
    }
}

static void step_thread(struct next *next, const struct state *s, const struct model *model, int t)
{
    enum at at = (enum at)s->at[t];
    bool is_control = model->control && t == THREADS - 1, is_starter = model->starter && t == model->callers;
    if (at == AT_END || (at >= AT_PREPARE && at <= AT_INBOX_AFTER))
        step_driver(next, s, model, t, is_control ? AT_IDLE : AT_END);
    else if (is_control)
        step_control(next, s, model, t);
    else if (is_starter)
        step_starter(next, s, t, model->callers);
    else
        step_caller(next, s, model, t);
}

/* ---- the search ---- */

struct visited {
    struct state *states; /* all met, in the order in which they were found */
    uint32_t *table;      /* index + 1 */
    size_t count, room, slots;
};

static uint64_t hash(const struct state *s)
{
    const uint8_t *bytes = (const uint8_t *)s;
    uint64_t h = 1469598103934665603u;
    for (size_t i = 0; i < sizeof(*s); i++)
        h = (h ^ bytes[i]) * 1099511628211u;
    return h ^ h >> 29;
}

static void insert(struct visited *v, uint32_t index)
{
    size_t at = hash(&v->states[index]) % v->slots;
    while (v->table[at])
        at = (at + 1) % v->slots;
    v->table[at] = index + 1;
}

static void grow(struct visited *v)
{
    v->room = v->room ? v->room * 2 : 1024;
    v->slots = v->room * 3 + 1;
    v->states = realloc(v->states, v->room * sizeof(*v->states));
    free(v->table);
    v->table = calloc(v->slots, sizeof(*v->table));
    ck_assert(v->states != NULL && v->table != NULL);
    for (size_t i = 0; i < v->count; i++)
        insert(v, (uint32_t)i);
}

static void meet(struct visited *v, const struct state *s)
{
    if (v->count == v->room)
        grow(v);
    for (size_t at = hash(s) % v->slots; v->table[at]; at = (at + 1) % v->slots)
        if (memcmp(&v->states[v->table[at] - 1], s, sizeof(*s)) == 0)
            return;
    v->states[v->count] = *s;
    insert(v, (uint32_t)v->count++);
}

static struct state first_state(const struct model *model)
{
    struct state s = { 0 };
    for (int t = 0; t < THREADS; t++) {
        bool used = t < model->callers + model->starter;
        s.at[t] = used ? AT_POST : model->control && t == THREADS - 1 ? AT_IDLE : AT_END;
        s.promote[t] = NOBODY;
    }
    memset(s.order, NOBODY, sizeof(s.order));
    return s;
}

/* Everything is done, once, and everyone has gone home. */
static bool is_good_end(const struct state *s, const struct model *model)
{
    for (int i = 0; i < model->callers + model->starter; i++)
        if (s->done[i] != 1)
            return false;
    for (int t = 0; t < THREADS; t++)
        if (s->at[t] != AT_END && !(model->control && t == THREADS - 1 && s->at[t] == AT_IDLE))
            return false;
    return !s->locked && s->inbox == 0 && s->begun == 0 && s->sleepers == 0;
}

struct finding {
    size_t states, ends, deadlocks, twice;
};

static struct finding search(const struct model *model)
{
    struct visited v = { 0 };
    struct finding found = { 0 };
    struct state first = first_state(model);
    meet(&v, &first);
    for (size_t i = 0; i < v.count; i++) {
        struct state s = v.states[i];
        bool moved = false;
        for (int t = 0; t < THREADS; t++) {
            struct next next = { .count = 0 };
            step_thread(&next, &s, model, t);
            for (int j = 0; j < next.count; j++)
                meet(&v, &next.states[j]);
            moved = moved || next.count > 0;
        }
        for (int j = 0; j < CALLS; j++)
            found.twice += s.done[j] > 1;
        found.ends += !moved && is_good_end(&s, model);
        found.deadlocks += !moved && !is_good_end(&s, model);
    }
    found.states = v.count;
    free(v.states);
    free(v.table);
    return found;
}

static const struct row {
    const char *name;
    struct model model;
    bool deadlocks;
} rows[] = {
    { "one caller", { 1, false, false, NO_SHORTCUT, false }, false },
    { "two callers", { 2, false, false, NO_SHORTCUT, true }, false },
    { "three callers", { 3, false, false, NO_SHORTCUT, false }, false },
    { "three callers, the first waits", { 3, false, false, NO_SHORTCUT, true }, false },
    { "an asynchronous call and control", { 0, true, true, NO_SHORTCUT, false }, false },
    { "a caller, an asynchronous call and control", { 1, true, true, NO_SHORTCUT, true }, false },
    { "two callers, an asynchronous call and control", { 2, true, true, NO_SHORTCUT, false }, false },
    { "the same, the first waits", { 2, true, true, NO_SHORTCUT, true }, false },
    { "the inbox is not looked at after unlocking", { 2, false, false, NO_LOOK_AFTER_UNLOCK, false }, true },
    { "the same, with control", { 1, true, true, NO_LOOK_AFTER_UNLOCK, false }, true },
    { "promoted before unlocking", { 3, false, false, PROMOTE_BEFORE_UNLOCK, false }, true },
    { "the inbox is not looked at once asleep is said", { 2, false, false, NO_LOOK_AFTER_ASLEEP, true }, true },
    { "nobody is kicked", { 2, false, false, NO_KICK, true }, true },
    { "nobody is promoted", { 2, false, false, NO_PROMOTION, false }, true },
    { "the shard is not armed", { 0, true, true, NO_ARM, false }, true },
    { "the inbox is not taken when leaving", { 2, false, false, NO_LAST_INBOX_AND_NO_LOOK, false }, true },
};

START_TEST(every_interleaving)
{
    const struct row *row = &rows[_i];
    struct finding found = search(&row->model);
    ck_assert_msg(found.twice == 0, "%s: a call was completed twice", row->name);
    ck_assert_msg(found.ends > 0 || row->deadlocks, "%s: it never ends well in %zu states", row->name, found.states);
    ck_assert_msg((found.deadlocks > 0) == row->deadlocks, "%s: %zu deadlocks in %zu states", row->name,
                  found.deadlocks, found.states);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("drivers, model");
    TCase *tcase = tcase_create("search");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, every_interleaving, 0, (int)(sizeof(rows) / sizeof(rows[0])));
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
