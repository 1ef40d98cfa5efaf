/* SPDX-License-Identifier: Apache-2.0 */
/* judge.c - what the round with Meshcall must have achieved, one line each. Shares are of the attempts in 3 s. */
#include "driver.h"

#include <stdarg.h>

#define WINDOW (3 * SECONDS)
#define STEP (100 * MS)

static int failed;

__attribute__((format(printf, 2, 3))) static void line(int passed, const char *format, ...)
{
    va_list values;
    (void)printf("%s  ", passed ? "PASS" : "FAIL");
    va_start(values, format);
    (void)vprintf(format, values);
    va_end(values);
    (void)printf("\n");
    failed += !passed;
}

static void judge_orders(const struct round *mesh)
{
    for (int phase = 0; phase < mesh->phase_count; phase++) {
        size_t accepted, count = orders_of(mesh, phase, &accepted);
        line(count > 0 && accepted == count, "%s: %zu of %zu orders succeeded", phases[phase].name, accepted, count);
    }
}

static void judge_ledger(const struct round *mesh)
{
    line(mesh->lost == 0 && mesh->charged == mesh->accepted && mesh->accepted > 0,
         "the ledger has the %zu accepted orders and no other: %zu charges, %zu orders missing", mesh->accepted,
         mesh->charged, mesh->lost);
    line(mesh->twice == 0, "no order was charged twice: %zu were", mesh->twice);
}

/* Every window from 2 s after it became slow until it is as before. */
static void judge_slow(const struct round *mesh)
{
    double most = 0;
    for (int64_t at = mesh->events.slowed + 2 * SECONDS; at + WINDOW <= mesh->events.back; at += STEP) {
        double part = share(mesh, at, at + WINDOW, SLOWED);
        most = part > most ? part : most;
    }
    line(most < 10, "the slow instance is below 10 %% of payment's attempts from 2 s on: at most %.1f %%", most);
}

static void judge_killed(const struct round *mesh)
{
    size_t probes = 0, others = 0;
    for (size_t i = 0; i < mesh->attempt_count; i++) {
        const struct attempt *attempt = &mesh->attempts[i];
        if (attempt->instance == KILLED && attempt->at_ns >= mesh->events.killed + SECONDS &&
            attempt->at_ns < mesh->events.back) {
            probes += (size_t)attempt->probe;
            others += (size_t)!attempt->probe;
        }
    }
    line(others == 0, "the killed instance gets only probes from 1 s on: %zu probes, %zu others", probes, others);
}

static void judge_back(const struct round *mesh, enum instance instance, const char *name)
{
    int64_t end = mesh->events.back + WINDOW, limit = mesh->events.back + 20 * SECONDS;
    while (end <= limit && share(mesh, end - WINDOW, end, instance) <= 25)
        end += STEP;
    if (end <= limit)
        line(1, "the %s instance is above 25 %% over 3 s again: %.1f s after its return", name,
             (double)(end - mesh->events.back) / 1e9);
    else
        line(0, "the %s instance is above 25 %% over 3 s again: not within 20 s of its return", name);
}

static void judge_moved(const struct round *mesh)
{
    size_t old = 0, new = 0;
    for (size_t i = 0; i < mesh->attempt_count; i++) {
        if (mesh->attempts[i].at_ns >= mesh->events.moved + SECONDS) {
            old += mesh->attempts[i].instance == MOVES;
            new += mesh->attempts[i].instance == MOVED;
        }
    }
    line(mesh->events.moved > 0 && old == 0 && new > 0,
         "the moved instance is called at its new address only, from 1 s on: %zu attempts there, %zu at the old", new,
         old);
}

/* An attempt that found no connection spoke nothing. */
static void judge_protocol(const struct round *mesh)
{
    int wanted = mesh->http1 ? 11 : 20;
    size_t right = 0, wrong = 0;
    for (size_t i = 0; i < mesh->attempt_count; i++) {
        right += mesh->attempts[i].version == wanted;
        wrong += mesh->attempts[i].version != wanted && mesh->attempts[i].version != 0;
    }
    line(right > 0 && wrong == 0, "payment is called over %s only: %zu attempts, %zu over the other version",
         mesh->http1 ? "HTTP/1.1" : "HTTP/2", right, wrong);
}

static void judge_intrusions(const struct round *mesh)
{
    for (int i = 0; i < INTRUDERS; i++) {
        const struct intrusion *intrusion = &mesh->intrusions[i];
        line(intrusion->tried > 0 && intrusion->refused == intrusion->tried,
             "%s: refused %s by %zu of %zu servers%s%s%s%s", intrusion->who ? intrusion->who : "an intruder",
             i == 0 ? "with 403, by policy," : "in the handshake", intrusion->refused, intrusion->tried,
             intrusion->where[0] ? "; " : "", intrusion->where, intrusion->where[0] ? " answered: " : "",
             intrusion->unexpected.words);
    }
    line(mesh->foreign == 0, "nothing in the ledger or its journal is an intruder's: %zu are", mesh->foreign);
}

/* The old connections must end and new ones be made while orders are under way. */
static void judge_rotations(const struct round *mesh)
{
    const struct renewal *renewal = &mesh->renewal;
    int64_t last = mesh->rotations[ROTATIONS - 1].shown_ns, end = phase_start(mesh, PHASES);
    size_t shown = 0, before = 0, after = 0, opened = 0;
    for (int i = 0; i < ROTATIONS; i++)
        shown += mesh->rotations[i].shown_ns != 0;
    for (size_t i = 0; i < mesh->attempt_count; i++) {
        const struct attempt *attempt = &mesh->attempts[i];
        int is_new = !attempt->reused && attempt->at_ns >= mesh->rotations[0].begun_ns;
        opened += (size_t)is_new;
        before += (size_t)(attempt->at_ns < last);
        after += (size_t)(attempt->at_ns >= last);
    }
    line(shown == ROTATIONS && before > 0 && end - last >= SECONDS && after > 0,
         "all certificates were replaced %zu times while orders came, the last time %.1f s before they ended", shown,
         last ? (double)(end - last) / 1e9 : 0.0);
    line(renewal->servers > 0 && renewal->former_name == renewal->servers && opened > 0,
         "new connections show the new certificates: the former one is seen at %zu of %zu servers; %zu were opened to "
         "payment",
         renewal->servers - renewal->former_name, renewal->servers, opened);
    line(renewal->servers > 0 && renewal->former_authority == renewal->servers &&
             renewal->former_certificate == renewal->servers,
         "nothing of the former authority is left: %zu of %zu servers show it no more, and %zu accept it no more",
         renewal->former_authority, renewal->servers, renewal->former_certificate);
}

int judge(const struct round *mesh, int64_t elapsed_ns)
{
    (void)printf("\n");
    judge_orders(mesh);
    judge_ledger(mesh);
    judge_slow(mesh);
    judge_killed(mesh);
    judge_back(mesh, SLOWED, "slow");
    judge_back(mesh, KILLED, "killed");
    judge_moved(mesh);
    judge_protocol(mesh);
    if (mesh->tls) {
        judge_intrusions(mesh);
        judge_rotations(mesh);
    }
    line(elapsed_ns <= 120 * SECONDS, "it took at most two minutes: %.0f s", (double)elapsed_ns / 1e9);
    return failed;
}
