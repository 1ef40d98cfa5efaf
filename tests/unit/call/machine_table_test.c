/* SPDX-License-Identifier: Apache-2.0 */
/* machine_table_test.c - every (state, event) pair: the next state and the exact effects. */
#include "script.h"

#include <stdlib.h>

enum { STATES = 9, EVENTS = 14 };

static const char *const event_names[EVENTS] = { "START",          "RESOLVED", "ADMITTED", "PICKED", "READY",
                                                 "SENT",           "HEAD",     "BODY",     "END",    "FAILED",
                                                 "RETRY_ADMITTED", "TIMER",    "CANCEL",   "COMMIT" };

/* Each at 30 ms with status MESH_OK (FAILED: MESH_RESET, the request sent), about attempt 0. NULL: nothing changes. */
static const char *const table[STATES][EVENTS] = {
    [MACHINE_NEW] = { [EVENT_START] = "RESOLVING: ARM@230 RESOLVE", [EVENT_CANCEL] = "DONE: DONE0:20" },
    [MACHINE_RESOLVING] = { [EVENT_RESOLVED] = "ADMITTING: ARM@1000 ADMIT",
                            [EVENT_TIMER] = "RESOLVING: ARM@200",
                            [EVENT_CANCEL] = "DONE: DONE0:20" },
    [MACHINE_ADMITTING] = { [EVENT_ADMITTED] = "PICKING: PICK0",
                            [EVENT_TIMER] = "ADMITTING: ARM@1000",
                            [EVENT_CANCEL] = "DONE: DONE0:20" },
    [MACHINE_PICKING] = { [EVENT_PICKED] = "TRYING: ARM@430 START0",
                          [EVENT_TIMER] = "PICKING: ARM@1000",
                          [EVENT_CANCEL] = "DONE: RELEASE DONE0:20" },
    [MACHINE_TRYING] = { [EVENT_END] = "DONE: REPORT0 RELEASE DONE0:0",
                         [EVENT_FAILED] = "ASKING: REPORT0 ARM@1000 ASK_RETRY",
                         [EVENT_TIMER] = "TRYING: ARM@410",
                         [EVENT_CANCEL] = "DONE: STOP0 REPORT0 RELEASE DONE0:20" },
    [MACHINE_ASKING] = { [EVENT_RETRY_ADMITTED] = "BACKOFF: ARM@55",
                         [EVENT_TIMER] = "ASKING: ARM@1000",
                         [EVENT_CANCEL] = "DONE: RELEASE DONE0:20" },
    [MACHINE_BACKOFF] = { [EVENT_TIMER] = "BACKOFF: ARM@45", [EVENT_CANCEL] = "DONE: RELEASE DONE0:20" },
    [MACHINE_COMMITTED] = { [EVENT_END] = "DONE: REPORT0 RELEASE DONE0:0",
                            [EVENT_FAILED] = "DONE: REPORT0 RELEASE DONE0:80",
                            [EVENT_TIMER] = "COMMITTED: ARM@1000",
                            [EVENT_CANCEL] = "DONE: STOP0 REPORT0 RELEASE DONE0:20" },
    [MACHINE_DONE] = { NULL },
};

static void enter(struct script *s, enum machine_state state)
{
    script_init(s);
    s->config.commit_on_head = state == MACHINE_COMMITTED;
    if (state == MACHINE_NEW)
        return;
    FEED(s, 0, START, .status = MESH_OK);
    if (state >= MACHINE_ADMITTING)
        FEED(s, 10, RESOLVED, .status = MESH_OK);
    if (state >= MACHINE_PICKING)
        FEED(s, 10, ADMITTED, .status = MESH_OK);
    if (state >= MACHINE_TRYING)
        FEED(s, 10, PICKED, .status = MESH_OK);
    if (state == MACHINE_ASKING || state == MACHINE_BACKOFF)
        FEED(s, 20, FAILED, .status = MESH_RESET, .stale = false);
    if (state == MACHINE_BACKOFF)
        FEED(s, 20, RETRY_ADMITTED, .random = UINT32_MAX, .others = true);
    if (state == MACHINE_COMMITTED)
        FEED(s, 20, HEAD, .http_status = 200, .retry_after = -1);
    if (state == MACHINE_DONE)
        FEED(s, 20, CANCEL, .attempt = 0);
    ck_assert_int_eq(s->machine.state, state);
}

START_TEST(every_pair)
{
    enum machine_state state = (enum machine_state)(_i / EVENTS);
    enum machine_event event = (enum machine_event)(_i % EVENTS);
    struct script s;
    enter(&s, state);
    struct machine_input input = { .event = event, .http_status = 200, .retry_after = -1, .sent = SENT_ALL };
    input.random = UINT32_MAX;
    if (event == EVENT_FAILED)
        input.status = MESH_RESET;
    char unchanged[32];
    (void)snprintf(unchanged, sizeof(unchanged), "%s:", state_names[state]);
    const char *expected = table[state][event] ? table[state][event] : unchanged;
    const char *answer = script_feed(&s, 30, input);
    ck_assert_msg(strcmp(answer, expected) == 0, "%s in %s gives \"%s\", not \"%s\"", event_names[event],
                  state_names[state], answer, expected);
}
END_TEST

/* Answers that are not MESH_OK, times that have come, and attempts that are not the one under way. */
static const struct {
    enum machine_state state;
    int64_t ms;
    struct machine_input input;
    const char *answer;
} variants[] = {
    { MACHINE_NEW, 999, { .event = EVENT_START }, "RESOLVING: ARM@1000 RESOLVE" },
    { MACHINE_NEW, 1000, { .event = EVENT_START }, "DONE: DONE0:30" },
    { MACHINE_RESOLVING, 30, { .event = EVENT_RESOLVED, .status = MESH_NO_SUCH_NAME }, "DONE: DONE0:41" },
    { MACHINE_RESOLVING, 1000, { .event = EVENT_RESOLVED }, "DONE: DONE0:30" },
    { MACHINE_RESOLVING, 200, { .event = EVENT_TIMER }, "DONE: DONE0:42" },
    { MACHINE_ADMITTING, 30, { .event = EVENT_ADMITTED, .status = MESH_OVERLOADED }, "DONE: DONE0:50" },
    { MACHINE_ADMITTING, 1000, { .event = EVENT_ADMITTED }, "DONE: RELEASE DONE0:30" },
    { MACHINE_ADMITTING, 1000, { .event = EVENT_TIMER }, "DONE: DONE0:30" },
    { MACHINE_PICKING, 30, { .event = EVENT_PICKED, .status = MESH_NO_ENDPOINT }, "DONE: RELEASE DONE0:40" },
    { MACHINE_PICKING, 700, { .event = EVENT_PICKED }, "TRYING: START0" },
    { MACHINE_PICKING, 1000, { .event = EVENT_TIMER }, "DONE: RELEASE DONE0:30" },
    { MACHINE_TRYING, 30, { .event = EVENT_END, .attempt = 1 }, "TRYING:" },
    { MACHINE_TRYING, 30, { .event = EVENT_FAILED, .attempt = 1, .status = MESH_RESET }, "TRYING:" },
    { MACHINE_TRYING,
      30,
      { .event = EVENT_FAILED, .status = MESH_CONNECT_REFUSED, .unsent = true },
      "PICKING: REPORT0 ARM@1000 PICK1" },
    { MACHINE_TRYING, 30, { .event = EVENT_FAILED, .status = MESH_PROTOCOL }, "DONE: REPORT0 RELEASE DONE0:110" },
    { MACHINE_TRYING, 30, { .event = EVENT_FAILED, .status = MESH_OK }, "DONE: REPORT0 RELEASE DONE0:140" },
    { MACHINE_TRYING, 410, { .event = EVENT_TIMER }, "PICKING: STOP0 REPORT0 ARM@1000 PICK1" },
    { MACHINE_TRYING, 1000, { .event = EVENT_TIMER }, "DONE: STOP0 REPORT0 RELEASE DONE0:31" },
    { MACHINE_ASKING, 30, { .event = EVENT_RETRY_ADMITTED, .status = MESH_OVERLOADED }, "DONE: RELEASE DONE0:80" },
    { MACHINE_ASKING, 30, { .event = EVENT_RETRY_ADMITTED, .random = 0 }, "PICKING: PICK1" },
    { MACHINE_ASKING, 975, { .event = EVENT_RETRY_ADMITTED, .random = UINT32_MAX }, "DONE: RELEASE DONE0:80" },
    { MACHINE_ASKING, 1000, { .event = EVENT_TIMER }, "DONE: RELEASE DONE0:80" },
    { MACHINE_BACKOFF, 45, { .event = EVENT_TIMER }, "PICKING: ARM@1000 PICK1" },
    { MACHINE_BACKOFF, 1000, { .event = EVENT_TIMER }, "DONE: RELEASE DONE0:80" },
    { MACHINE_BACKOFF, 30, { .event = EVENT_END }, "BACKOFF:" },
    { MACHINE_COMMITTED, 410, { .event = EVENT_TIMER }, "COMMITTED: ARM@1000" },
    { MACHINE_COMMITTED, 1000, { .event = EVENT_TIMER }, "DONE: STOP0 REPORT0 RELEASE DONE0:30" },
    { MACHINE_COMMITTED, 30, { .event = EVENT_FAILED, .attempt = 3, .status = MESH_RESET }, "COMMITTED:" },
};

START_TEST(variant)
{
    struct script s;
    enter(&s, variants[_i].state);
    const char *answer = script_feed(&s, variants[_i].ms, variants[_i].input);
    ck_assert_msg(strcmp(answer, variants[_i].answer) == 0, "row %d gives \"%s\", not \"%s\"", _i, answer,
                  variants[_i].answer);
}
END_TEST

/* Of a stream: what COMMIT does by what had come before it, and what the attempt behind it ends with. Retried if it
 * could be. */
static const struct {
    int32_t head; /* before it; 0: none */
    const char *answer;
    int64_t ms;
    struct machine_input next;
    const char *next_answer;
    enum mesh_stop stop;
} commits[] = {
    { 0, "COMMITTED: ARM@1000", 410, { .event = EVENT_TIMER }, "COMMITTED: ARM@1000", MESH_STOP_NONE },
    { 0, "COMMITTED: ARM@1000", 30, { .event = EVENT_COMMIT }, "COMMITTED:", MESH_STOP_NONE },
    { 0,
      "COMMITTED: ARM@1000",
      30,
      { .event = EVENT_HEAD, .http_status = 503 },
      "COMMITTED: DELIVER0",
      MESH_STOP_NONE },
    { 0,
      "COMMITTED: ARM@1000",
      30,
      { .event = EVENT_FAILED, .status = MESH_RESET },
      "DONE: REPORT0 RELEASE DONE0:80",
      MESH_STOP_REPLAY },
    { 0,
      "COMMITTED: ARM@1000",
      30,
      { .event = EVENT_FAILED, .status = MESH_PROTOCOL },
      "DONE: REPORT0 RELEASE DONE0:110",
      MESH_STOP_NOT_RETRYABLE },
    { 0,
      "COMMITTED: ARM@1000",
      1000,
      { .event = EVENT_TIMER },
      "DONE: STOP0 REPORT0 RELEASE DONE0:30",
      MESH_STOP_DEADLINE },
    { 0, "COMMITTED: ARM@1000", 30, { .event = EVENT_CANCEL }, "DONE: STOP0 REPORT0 RELEASE DONE0:20", MESH_STOP_NONE },
    { 503,
      "COMMITTED: ARM@1000 DELIVER0",
      30,
      { .event = EVENT_END },
      "DONE: REPORT0 RELEASE DONE0:0",
      MESH_STOP_REPLAY },
    { 503,
      "COMMITTED: ARM@1000 DELIVER0",
      30,
      { .event = EVENT_FAILED, .status = MESH_RESET },
      "DONE: REPORT0 RELEASE DONE0:80",
      MESH_STOP_NOT_RETRYABLE },
};

START_TEST(commit_before_the_head)
{
    struct script s;
    enter(&s, MACHINE_TRYING);
    ck_assert_str_eq(FEED(&s, 20, COMMIT, .attempt = 0), "TRYING:"); /* a buffered call keeps everything */
    s.config.commit_on_head = true;
    ck_assert_str_eq(FEED(&s, 20, COMMIT, .attempt = 1), "TRYING:");
    if (commits[_i].head)
        ck_assert_str_eq(FEED(&s, 20, HEAD, .http_status = commits[_i].head, .retry_after = -1), "TRYING:");
    ck_assert_str_eq(FEED(&s, 20, COMMIT, .attempt = 0), commits[_i].answer);
    ck_assert_str_eq(script_feed(&s, commits[_i].ms, commits[_i].next), commits[_i].next_answer);
    ck_assert_int_eq(s.machine.attempts[0].stop, commits[_i].stop);
}
END_TEST

/* A retry whose pick fails ends with what the attempt before it came to. */
START_TEST(pick_of_a_retry_fails)
{
    static const struct {
        mesh_status status;
        enum mesh_stop stop;
    } rows[] = { { MESH_NO_ENDPOINT, MESH_STOP_NONE }, { MESH_OVERLOADED, MESH_STOP_BUDGET } };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct script s;
        enter(&s, MACHINE_BACKOFF);
        FEED(&s, 45, TIMER, .attempt = 0);
        ck_assert_str_eq(FEED(&s, 45, PICKED, .status = rows[i].status), "DONE: RELEASE DONE0:80");
        ck_assert_msg(s.machine.holds_retry, "RELEASE gives the retry's place back as well");
        ck_assert_int_eq(s.machine.attempts[0].stop, rows[i].stop);
        ck_assert_int_eq(s.machine.attempts[0].retry, MESH_RETRY_NONE);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("machine_table");
    TCase *tcase = tcase_create("machine_table");
    tcase_add_loop_test(tcase, every_pair, 0, STATES * EVENTS);
    tcase_add_loop_test(tcase, variant, 0, (int)(sizeof(variants) / sizeof(variants[0])));
    tcase_add_loop_test(tcase, commit_before_the_head, 0, (int)(sizeof(commits) / sizeof(commits[0])));
    tcase_add_test(tcase, pick_of_a_retry_fails);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
