/* SPDX-License-Identifier: Apache-2.0 */
/* machine.c - one function an event; what an event means in a state is the table in docs/internals/call-machine.md. */
#include "call/machine.h"

#include <stddef.h>
#include <string.h>

/* Longer than any peer can sensibly ask for. */
#define RETRY_AFTER_MAX (300 * NANOS_S)

/* What every function below needs. */
struct step {
    struct machine *machine;
    const struct machine_config *config;
    const struct machine_input *input;
    mesh_nanos now;
    struct effects *out;
};

static struct effect *emit(struct step *step, enum machine_effect kind)
{
    struct effect *effect = &step->out->list[step->out->count++];
    *effect = (struct effect){ .kind = kind, .at = NANOS_NEVER };
    return effect;
}

static void emit_for(struct step *step, enum machine_effect kind, uint8_t attempt)
{
    emit(step, kind)->attempt = attempt;
}

static void arm(struct step *step, mesh_nanos at)
{
    if (step->machine->armed == at)
        return;
    step->machine->armed = at;
    emit(step, EFFECT_ARM)->at = at;
}

static uint8_t last_index(const struct machine *machine)
{
    return machine->count ? (uint8_t)(machine->count - 1) : 0;
}

static struct machine_attempt *last_attempt(struct machine *machine)
{
    return &machine->attempts[last_index(machine)];
}

static bool fits(const struct step *step, mesh_nanos pause)
{
    return mesh__deadline_fits(step->config->deadline.at, step->now, pause);
}

static void finish(struct step *step, mesh_status status)
{
    struct machine *machine = step->machine;
    if (machine->admitted)
        emit(step, EFFECT_RELEASE);
    struct effect *done = emit(step, EFFECT_DONE);
    done->status = status;
    done->attempt = last_index(machine);
    machine->state = MACHINE_DONE;
}

/* Ends the call with what its last attempt came to. */
static void finish_with_last(struct step *step, enum mesh_stop stop)
{
    struct machine_attempt *attempt = last_attempt(step->machine);
    attempt->retry = MESH_RETRY_NONE;
    attempt->stop = stop;
    finish(step, attempt->has_response ? MESH_OK : attempt->report.status);
}

static void pick(struct step *step)
{
    step->machine->state = MACHINE_PICKING;
    arm(step, step->config->deadline.at);
    emit_for(step, EFFECT_PICK, step->machine->count);
}

/* An attempt that had less than half of the call's time proves nothing by not having answered. */
static bool had_little_time(const struct step *step, const struct machine_attempt *attempt)
{
    const struct deadline *deadline = &step->config->deadline;
    mesh_nanos had = mesh__nanos_sub(attempt->cut_at, attempt->picked_at);
    return deadline->is_short || had < mesh__nanos_sub(deadline->at, step->machine->started_at) / 2;
}

static mesh_nanos time_until(const struct machine_attempt *attempt, mesh_nanos at)
{
    return mesh__nanos_max(mesh__nanos_sub(at, attempt->picked_at), 0);
}

static void end_attempt(struct step *step, mesh_status status)
{
    struct machine_attempt *attempt = last_attempt(step->machine);
    attempt->phase = ATTEMPT_ENDED;
    attempt->report.status = status;
    /* How long a stream stays open says nothing about its endpoint: it has answered. */
    if (!attempt->report.delivered)
        attempt->report.elapsed = time_until(attempt, step->now);
    attempt->report.short_deadline = status == MESH_DEADLINE && had_little_time(step, attempt);
    attempt->has_response = status == MESH_OK;
    attempt->verdict = mesh__classify(&attempt->report);
    if (attempt->judged && attempt->verdict.breaker < BREAKER_FAILURE)
        attempt->verdict = (struct verdict){ .breaker = BREAKER_NEUTRAL, .sample = SAMPLE_NONE };
    emit_for(step, EFFECT_REPORT, last_index(step->machine));
}

static struct retry_answer may_retry(const struct step *step, const struct report *report)
{
    const struct retry_question question = {
        .report = report,
        .attempts_made = step->machine->counted,
        .free_used = step->machine->free_used,
        .idempotent = step->config->idempotent,
        .disabled = step->config->no_retry,
    };
    return mesh__retry_decide(step->config->retry, &question);
}

/* The last attempt has been reported: another one, or the end. */
static void go_on(struct step *step)
{
    struct machine *machine = step->machine;
    struct machine_attempt *attempt = last_attempt(machine);
    struct retry_answer answer = may_retry(step, &attempt->report);
    if (answer.retry == MESH_RETRY_NONE) {
        finish_with_last(step, answer.stop);
    } else if (machine->count == MACHINE_ATTEMPTS) {
        finish_with_last(step, MESH_STOP_ATTEMPTS);
    } else if (!fits(step, 0)) {
        finish_with_last(step, MESH_STOP_DEADLINE);
    } else if (answer.retry == MESH_RETRY_UNSENT) {
        attempt->retry = answer.retry;
        machine->free_used = machine->free_next = true;
        pick(step);
    } else {
        attempt->retry = answer.retry;
        machine->state = MACHINE_ASKING;
        arm(step, step->config->deadline.at);
        emit(step, EFFECT_ASK_RETRY);
    }
}

/* The last attempt, which can have no other behind it, has been reported: says whether that is why there is none. */
static void finish_committed(struct step *step)
{
    const struct machine_attempt *attempt = last_attempt(step->machine);
    struct retry_answer answer = may_retry(step, &attempt->report);
    if (attempt->report.delivered && !attempt->has_response)
        finish_with_last(step, MESH_STOP_NOT_RETRYABLE);
    else
        finish_with_last(step, answer.retry == MESH_RETRY_NONE ? answer.stop : MESH_STOP_REPLAY);
}

static void end_attempt_and_go_on(struct step *step, mesh_status status)
{
    bool committed = step->machine->state == MACHINE_COMMITTED;
    end_attempt(step, status);
    if (committed)
        finish_committed(step);
    else
        go_on(step);
}

static void on_start(struct step *step)
{
    struct machine *machine = step->machine;
    if (machine->state != MACHINE_NEW)
        return;
    machine->started_at = step->now;
    if (!fits(step, 0)) {
        finish(step, MESH_DEADLINE);
        return;
    }
    machine->state = MACHINE_RESOLVING;
    mesh_nanos patience = mesh__nanos_add(step->now, mesh__nanos_max(step->config->resolve_timeout, 0));
    arm(step, mesh__nanos_min(patience, step->config->deadline.at));
    emit(step, EFFECT_RESOLVE);
}

static void on_resolved(struct step *step)
{
    if (step->machine->state != MACHINE_RESOLVING)
        return;
    if (step->input->status != MESH_OK) {
        finish(step, step->input->status);
    } else if (!fits(step, 0)) {
        finish(step, MESH_DEADLINE);
    } else {
        step->machine->state = MACHINE_ADMITTING;
        arm(step, step->config->deadline.at);
        emit(step, EFFECT_ADMIT);
    }
}

static void on_admitted(struct step *step)
{
    if (step->machine->state != MACHINE_ADMITTING)
        return;
    step->machine->admitted = step->input->status == MESH_OK;
    if (!step->machine->admitted)
        finish(step, step->input->status);
    else if (!fits(step, 0))
        finish(step, MESH_DEADLINE);
    else
        pick(step);
}

static void begin_attempt(struct step *step)
{
    struct machine *machine = step->machine;
    struct machine_attempt *attempt = &machine->attempts[machine->count++];
    *attempt = (struct machine_attempt){
        .phase = ATTEMPT_WAITING,
        .report = { .probe = step->input->probe, .retry_after = -1 },
        .ticket = step->input->ticket,
        .holds_retry = machine->holds_retry,
        .picked_at = step->now,
        .cut_at = mesh__deadline_of_attempt(step->config->deadline.at, step->config->retry->per_try_timeout, step->now),
        .backoff = machine->backoff,
    };
    machine->backoff = 0;
    machine->holds_retry = false;
    machine->counted = (uint8_t)(machine->counted + !machine->free_next);
    machine->free_next = false;
    machine->state = MACHINE_TRYING;
    arm(step, attempt->cut_at);
    emit_for(step, EFFECT_START, last_index(machine));
}

static void on_picked(struct step *step)
{
    mesh_status status = step->input->status;
    if (step->machine->state != MACHINE_PICKING)
        return;
    if (status == MESH_OK)
        begin_attempt(step);
    else if (step->machine->count == 0)
        finish(step, status);
    else
        finish_with_last(step, status == MESH_OVERLOADED ? MESH_STOP_BUDGET : MESH_STOP_NONE);
}

/* The attempt that the event is about, if it is the one under way. */
static struct machine_attempt *live_attempt(const struct step *step)
{
    struct machine *machine = step->machine;
    bool trying = machine->state == MACHINE_TRYING || machine->state == MACHINE_COMMITTED;
    return trying && step->input->attempt == last_index(machine) ? last_attempt(machine) : NULL;
}

static void on_ready(struct step *step)
{
    struct machine_attempt *attempt = live_attempt(step);
    if (attempt != NULL)
        attempt->phase = ATTEMPT_OPEN;
}

static void on_sent(struct step *step)
{
    struct machine_attempt *attempt = live_attempt(step);
    if (attempt == NULL)
        return;
    attempt->phase = ATTEMPT_OPEN;
    if (step->input->sent > attempt->report.sent)
        attempt->report.sent = step->input->sent;
}

static mesh_nanos clamp(mesh_nanos pause)
{
    return mesh__nanos_min(mesh__nanos_max(pause, -1), RETRY_AFTER_MAX);
}

static void note_grpc(const struct step *step, struct report *report)
{
    report->grpc_status = step->input->grpc_status;
    report->pushed_back = step->input->pushed_back;
    report->pushback = clamp(step->input->pushback);
}

/* A probe that has answered well says so at once: its stream may be open for longer than the endpoint can wait. */
static void judge_probe(struct step *step)
{
    struct machine_attempt *attempt = last_attempt(step->machine);
    struct report whole = attempt->report;
    whole.status = MESH_OK;
    struct verdict verdict = mesh__classify(&whole);
    if (!whole.probe || verdict.breaker != BREAKER_SUCCESS)
        return;
    attempt->judged = true;
    attempt->verdict = verdict;
    emit_for(step, EFFECT_JUDGE, last_index(step->machine));
}

/* There will be no other attempt, so this one has all the time that is left; its head is handed on once it is there. */
static void commit(struct step *step)
{
    struct machine *machine = step->machine;
    struct machine_attempt *attempt = last_attempt(machine);
    machine->state = MACHINE_COMMITTED;
    attempt->cut_at = step->config->deadline.at;
    arm(step, attempt->cut_at);
    if (attempt->report.http_status == 0)
        return;
    attempt->report.delivered = true;
    attempt->report.elapsed = time_until(attempt, step->now);
    judge_probe(step);
    emit_for(step, EFFECT_DELIVER, last_index(machine));
}

static void on_commit(struct step *step)
{
    if (step->config->commit_on_head && step->machine->state == MACHINE_TRYING && live_attempt(step) != NULL)
        commit(step);
}

/* A response that may yet be replaced by a better one is withheld, whether it streams or not. */
static void on_head(struct step *step)
{
    struct machine_attempt *attempt = live_attempt(step);
    if (attempt == NULL || attempt->report.delivered)
        return;
    attempt->phase = ATTEMPT_OPEN;
    attempt->report.http_status = step->input->http_status;
    attempt->report.retry_after = clamp(step->input->retry_after);
    note_grpc(step, &attempt->report);
    if (!step->config->commit_on_head)
        return;
    struct report whole = attempt->report;
    whole.status = MESH_OK;
    if (step->machine->state == MACHINE_COMMITTED || may_retry(step, &whole).retry == MESH_RETRY_NONE)
        commit(step);
}

static void on_end(struct step *step)
{
    struct machine_attempt *attempt = live_attempt(step);
    if (attempt == NULL)
        return;
    note_grpc(step, &attempt->report);
    end_attempt_and_go_on(step, MESH_OK);
}

static void on_failed(struct step *step)
{
    struct machine_attempt *attempt = live_attempt(step);
    if (attempt == NULL)
        return;
    /* A peer that has begun to answer has acted, whatever the connection looks like. */
    bool silent = attempt->report.http_status == 0;
    attempt->report.unsent = silent && step->input->unsent;
    attempt->report.stale = silent && step->input->stale;
    note_grpc(step, &attempt->report);
    end_attempt_and_go_on(step, step->input->status != MESH_OK ? step->input->status : MESH_EINTERNAL);
}

/* A peer that pushes back names the pause, and backing off begins anew behind it. */
static mesh_nanos next_pause(struct step *step)
{
    struct machine *machine = step->machine;
    const struct report *report = &last_attempt(machine)->report;
    if (report->pushed_back) {
        machine->retries = 0;
        return report->pushback;
    }
    machine->retries++;
    mesh_nanos pause = mesh__retry_backoff(step->config->retry, machine->retries, step->input->random);
    return step->input->others ? pause : mesh__nanos_max(pause, report->retry_after);
}

static void on_retry_admitted(struct step *step)
{
    struct machine *machine = step->machine;
    if (machine->state != MACHINE_ASKING)
        return;
    if (step->input->status != MESH_OK) {
        finish_with_last(step, MESH_STOP_BUDGET);
        return;
    }
    machine->holds_retry = true;
    mesh_nanos pause = next_pause(step);
    if (!fits(step, pause)) {
        finish_with_last(step, MESH_STOP_DEADLINE);
        return;
    }
    machine->backoff = pause;
    if (pause == 0) {
        pick(step);
        return;
    }
    machine->state = MACHINE_BACKOFF;
    arm(step, mesh__nanos_add(step->now, pause));
}

static void cut_attempt(struct step *step)
{
    struct machine_attempt *attempt = last_attempt(step->machine);
    attempt->report.unsent = attempt->phase == ATTEMPT_WAITING;
    note_grpc(step, &attempt->report); /* whatever the head said: the response is not whole */
    emit_for(step, EFFECT_STOP, last_index(step->machine));
    end_attempt_and_go_on(step, attempt->cut_at < step->config->deadline.at ? MESH_PER_TRY_TIMEOUT : MESH_DEADLINE);
}

static void on_timer(struct step *step)
{
    struct machine *machine = step->machine;
    if (machine->state == MACHINE_NEW || machine->state == MACHINE_DONE)
        return;
    mesh_nanos armed = machine->armed;
    machine->armed = NANOS_NEVER;
    if (step->now < armed) {
        arm(step, armed);
    } else if (machine->state == MACHINE_RESOLVING) {
        finish(step, armed < step->config->deadline.at ? MESH_DISCOVERY : MESH_DEADLINE);
    } else if (machine->state == MACHINE_TRYING || machine->state == MACHINE_COMMITTED) {
        cut_attempt(step);
    } else if (machine->state == MACHINE_BACKOFF && fits(step, 0)) {
        pick(step);
    } else if (machine->count > 0) {
        finish_with_last(step, MESH_STOP_DEADLINE);
    } else {
        finish(step, MESH_DEADLINE);
    }
}

static void on_cancel(struct step *step)
{
    struct machine *machine = step->machine;
    if (machine->state == MACHINE_DONE)
        return;
    if (machine->state == MACHINE_TRYING || machine->state == MACHINE_COMMITTED) {
        emit_for(step, EFFECT_STOP, last_index(machine));
        note_grpc(step, &last_attempt(machine)->report);
        end_attempt(step, MESH_CANCELLED);
    }
    if (machine->count > 0)
        last_attempt(machine)->retry = MESH_RETRY_NONE;
    finish(step, MESH_CANCELLED);
}

void mesh__machine_init(struct machine *machine)
{
    memset(machine, 0, offsetof(struct machine, attempts));
    machine->armed = NANOS_NEVER;
}

void mesh__machine_step(struct machine *machine, const struct machine_config *config, const struct machine_input *input,
                        mesh_nanos now, struct effects *out)
{
    struct step step = { machine, config, input, now, out };
    out->count = 0;
    switch (input->event) {
    case EVENT_START:
        on_start(&step);
        break;
    case EVENT_RESOLVED:
        on_resolved(&step);
        break;
    case EVENT_ADMITTED:
        on_admitted(&step);
        break;
    case EVENT_PICKED:
        on_picked(&step);
        break;
    case EVENT_READY:
        on_ready(&step);
        break;
    case EVENT_SENT:
        on_sent(&step);
        break;
    case EVENT_HEAD:
        on_head(&step);
        break;
    case EVENT_BODY:
        break;
    case EVENT_END:
        on_end(&step);
        break;
    case EVENT_FAILED:
        on_failed(&step);
        break;
    case EVENT_RETRY_ADMITTED:
        on_retry_admitted(&step);
        break;
    case EVENT_TIMER:
        on_timer(&step);
        break;
    case EVENT_CANCEL:
        on_cancel(&step);
        break;
    case EVENT_COMMIT:
        on_commit(&step);
        break;
    }
}
