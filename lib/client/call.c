/* SPDX-License-Identifier: Apache-2.0 */
/* call.c - events into the machine, and its effects carried out on a shard; those on one attempt are in call_attempt.c.
 */
#include "client/call_attempt.h"
#include "client/complete.h"
#include "client/shard.h"
#include "client/stream.h"

mesh_call_id mesh__call_id(const struct call *call)
{
    uint32_t generation = atomic_load_explicit(&call->generation, memory_order_relaxed);
    return ((uint64_t)call->shard->index << 56) | ((uint64_t)call->slot << 32) | generation;
}

/* ---- RESOLVE and ADMIT ---- */

static void do_resolve(struct call *call)
{
    mesh_status status = call->service->status;
    if (status == MESH_DEADLINE) {
        if (!mesh__list_linked(&call->waiting))
            mesh__list_push(&call->shard->resolving, &call->waiting);
        return;
    }
    mesh__call_feed(call, &(struct machine_input){ .event = EVENT_RESOLVED, .status = status });
}

void mesh__call_resolve(struct call *call)
{
    struct service *now = mesh__map_get(&call->shard->pin->snapshot->by_name, mesh__view_of(call->service_name));
    if (now == NULL) {
        mesh__list_remove(&call->waiting);
        mesh__call_feed(call, &(struct machine_input){ .event = EVENT_RESOLVED, .status = MESH_ESERVICE });
        return;
    }
    if (now->status == MESH_DEADLINE)
        return;
    /* Nothing of the old snapshot is in use yet: the call moves to the new one. */
    mesh__list_remove(&call->waiting);
    mesh__shard_unpin(call->shard, call->pin);
    call->pin = mesh__shard_pin(call->shard);
    call->service = now;
    call->config.retry = &now->policy->retry;
    mesh__call_feed(call, &(struct machine_input){ .event = EVENT_RESOLVED, .status = now->status });
}

static void do_admit(struct call *call)
{
    const struct service_config *policy = call->service->policy;
    struct service_live *live = call->service->live;
    bool admitted = mesh__live_take(&live->active, policy->limits.max_requests);
    struct service_shard *shard = mesh__call_service_shard(call);
    if (!admitted)
        COUNTER_ADD(shard->overloaded, 1);
    else if (++shard->deposits >= 32) {
        mesh__live_deposit(live, &policy->budget, shard->deposits, mesh__call_time(call));
        shard->deposits = 0;
    }
    mesh__call_feed(call,
                    &(struct machine_input){ .event = EVENT_ADMITTED, .status = admitted ? MESH_OK : MESH_OVERLOADED });
}

/* ---- the loop of events and effects ---- */

/* Moves the timer to where the last ARM wants it: once for all that happens in a row, and not for a call that is done.
 */
static void set_timer(struct call *call)
{
    call->rearm = false;
    if (call->due == NANOS_NEVER) {
        mesh__loop_timer_cancel(&call->shard->loop, &call->timer);
        return;
    }
    /* Without memory for its place in the heap the call would have no deadline: it ends. */
    call->no_timer = !mesh__loop_timer_set(&call->shard->loop, &call->timer, call->due);
    if (call->no_timer)
        mesh__call_feed(call, &(struct machine_input){ .event = EVENT_CANCEL });
}

static void carry_out(struct call *call, const struct effect *effect)
{
    switch (effect->kind) {
    case EFFECT_RESOLVE:
        do_resolve(call);
        break;
    case EFFECT_ADMIT:
        do_admit(call);
        break;
    case EFFECT_PICK:
        mesh__attempt_pick(call, effect->attempt);
        break;
    case EFFECT_START:
        mesh__attempt_start(call, effect->attempt);
        break;
    case EFFECT_STOP:
        mesh__exchange_cancel(&call->exchange);
        break;
    case EFFECT_REPORT:
        mesh__attempt_report(call, effect->attempt);
        break;
    case EFFECT_JUDGE:
        mesh__attempt_judge(call, effect->attempt);
        break;
    case EFFECT_ASK_RETRY:
        mesh__attempt_ask_another(call, effect->attempt);
        break;
    case EFFECT_ARM:
        call->due = effect->at;
        call->rearm = true;
        break;
    case EFFECT_DELIVER:
        mesh__stream_deliver(call); /* buffered calls are handed on whole */
        break;
    case EFFECT_RELEASE:
        mesh__live_give(&call->service->live->active);
        if (call->machine.holds_retry)
            mesh__live_give(&call->service->live->retries);
        break;
    case EFFECT_DONE:
        call->done = true;
        call->result->status = call->no_timer && effect->status == MESH_CANCELLED ? MESH_NO_MEMORY : effect->status;
        break;
    }
}

static void step(struct call *call)
{
    struct effects effects;
    const struct machine_input *input = &call->inputs[call->input_first];
    mesh__machine_step(&call->machine, &call->config, input, call->shard->loop.now, &effects);
    call->input_first = (uint8_t)((call->input_first + 1) % CALL_INPUTS);
    call->input_count--;
    for (uint32_t i = 0; i < effects.count; i++)
        carry_out(call, &effects.list[i]);
    if (call->stream && call->machine.state == MACHINE_COMMITTED)
        mesh__stream_commit(call);
}

static void run(struct call *call)
{
    call->stepping = true;
    while (!call->done && (call->input_count > 0 || call->rearm)) {
        if (call->input_count > 0)
            step(call);
        else
            set_timer(call);
    }
    call->stepping = false;
    if (call->done)
        mesh__complete_call(call);
}

void mesh__call_feed(struct call *call, const struct machine_input *input)
{
    if (call->done || call->input_count == CALL_INPUTS)
        return; /* BODY is not fed, so that few events can come within a step: far fewer than there are places */
    if (call->input_count == 0)
        call->input_first = 0; /* its memory is at hand, which that of the other places is not */
    call->inputs[(call->input_first + call->input_count) % CALL_INPUTS] = *input;
    call->input_count++;
    if (!call->stepping)
        run(call);
}

static void on_timer(struct loop_timer *timer)
{
    struct call *call = CONTAINER_OF(timer, struct call, timer);
    mesh__call_feed(
        call, &(struct machine_input){ .event = EVENT_TIMER, .random = (uint32_t)mesh__rng_next(&call->shard->rng) });
}

static bool is_idempotent(const struct call *call)
{
    if (call->idempotent != MESH_UNSET)
        return call->idempotent == MESH_YES;
    for (size_t i = 0; i < call->header_count; i++)
        if (mesh__view_equal_nocase(mesh__view(call->headers[i].name, call->headers[i].name_size),
                                    VIEW_LITERAL("idempotency-key")))
            return true;
    return mesh__retry_idempotent_method(call->method.data);
}

/* A stream may last longer than its service's calls do, if its request says so. */
static mesh_nanos service_timeout(const struct call *call)
{
    bool own = call->stream && (call->stream->endless || call->request_timeout > 0);
    return own ? 0 : call->service->policy->timeout;
}

static void begin(struct call *call)
{
    struct shard *shard = call->shard;
    const struct service_config *policy = call->service->policy;
    call->config = (struct machine_config){
        .retry = &policy->retry,
        .deadline =
            mesh__deadline_of_call(call->start, call->request_timeout, call->inbound_deadline, service_timeout(call)),
        .resolve_timeout = policy->discover.timeout,
        .idempotent = is_idempotent(call),
        .no_retry = (call->flags & MESH_NO_RETRY) != 0,
        .commit_on_head = call->stream != NULL,
    };
    if (call->stream)
        mesh__stream_begin(call);
    mesh__machine_init(&call->machine);
    mesh__list_push(&shard->calls, &call->link);
    COUNTER_ADD(mesh__call_service_shard(call)->calls, 1);
    /* Cancelled before it was begun: nothing is sent. */
    bool cancelled = atomic_load(&call->cancelled) == atomic_load(&call->generation);
    mesh__call_feed(call, &(struct machine_input){ .event = cancelled ? EVENT_CANCEL : EVENT_START });
}

void mesh__call_start(struct call *call)
{
    struct shard *shard = call->shard;
    call->timer.fire = on_timer;
    call->input_first = call->input_count = 0;
    call->started = true;
    call->stepping = call->done = call->no_timer = call->rearm = false;
    call->pin = mesh__shard_pin(shard);
    call->service = mesh__map_get(&call->pin->snapshot->by_name, mesh__view_of(call->service_name));
    if (call->service == NULL) {
        call->done = true; /* nothing of a call but its result */
        call->result->status = MESH_ESERVICE;
        mesh__complete_call(call);
        return;
    }
    begin(call);
}

void mesh__call_cancel(struct call *call)
{
    if (call->started)
        mesh__call_feed(call, &(struct machine_input){ .event = EVENT_CANCEL });
}
