/* SPDX-License-Identifier: Apache-2.0 */
/* call.c - the machine's effects carried out on a shard. */
#include "client/call.h"

#include "client/complete.h"
#include "client/request.h"
#include "client/shard.h"

#include <string.h>

static void feed(struct call *call, const struct machine_input *input);

mesh_call_id mesh__call_id(const struct call *call)
{
    uint32_t generation = atomic_load_explicit(&call->generation, memory_order_relaxed);
    return ((uint64_t)call->shard->index << 56) | ((uint64_t)call->slot << 32) | generation;
}

static struct service_shard *mine(const struct call *call)
{
    return call->service->live->shards[call->shard->index];
}

static mesh_nanos client_time(const struct call *call)
{
    return mesh__client_time(call->shard->client, call->shard->loop.now);
}

static const struct breaker_config *breaker_of(const struct service *service)
{
    return service->policy->breaker_enabled ? &service->policy->breaker : NULL;
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
    feed(call, &(struct machine_input){ .event = EVENT_RESOLVED, .status = status });
}

void mesh__call_resolve(struct call *call)
{
    struct service *now = mesh__map_get(&call->shard->pin->snapshot->by_name, mesh__view_of(call->service_name));
    if (now == NULL) {
        mesh__list_remove(&call->waiting);
        feed(call, &(struct machine_input){ .event = EVENT_RESOLVED, .status = MESH_ESERVICE });
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
    feed(call, &(struct machine_input){ .event = EVENT_RESOLVED, .status = now->status });
}

static void do_admit(struct call *call)
{
    const struct service_config *policy = call->service->policy;
    struct service_live *live = call->service->live;
    bool admitted = mesh__live_take(&live->active, policy->limits.max_requests);
    struct service_shard *shard = mine(call);
    if (!admitted)
        COUNTER_ADD(shard->overloaded, 1);
    else if (++shard->deposits >= 32) {
        mesh__live_deposit(live, &policy->budget, shard->deposits, client_time(call));
        shard->deposits = 0;
    }
    feed(call, &(struct machine_input){ .event = EVENT_ADMITTED, .status = admitted ? MESH_OK : MESH_OVERLOADED });
}

/* ---- PICK ---- */

struct look {
    struct call *call;
    mesh_nanos now;
};

static struct candidate read_candidate(const void *context, uint32_t index)
{
    const struct look *look = context;
    const struct call *call = look->call;
    const struct service_endpoint *at = &call->service->endpoints[index];
    struct candidate candidate = mesh__live_candidate(at->endpoint, at->weight, breaker_of(call->service), look->now);
    for (uint32_t i = 0; i < call->machine.count; i++)
        candidate.tried = candidate.tried || call->attempts[i].endpoint == at->endpoint;
    return candidate;
}

/* Is any endpoint due for a probe? Then the next time to ask is worked out anew: from nothing, so that what others note
 * while the breakers are read is not lost. */
static bool probe_may_be_due(const struct service *service, mesh_nanos now)
{
    struct service_live *live = service->live;
    if (atomic_load_explicit(&live->unhealthy, memory_order_relaxed) == 0 || now < atomic_load(&live->probe_at))
        return false;
    mesh_nanos next = NANOS_NEVER;
    atomic_store(&live->probe_at, NANOS_NEVER);
    for (uint32_t i = 0; i < service->count; i++) {
        struct breaker breaker = { atomic_load(&service->endpoints[i].endpoint->breaker) };
        next = mesh__nanos_min(next, mesh__breaker_next(breaker));
    }
    mesh__live_note_probe(live, next); /* may be in the past: then it is looked again until the probe is taken */
    return true;
}

static void note_panic(struct call *call, bool panic)
{
    struct service_live *live = call->service->live;
    if (atomic_load_explicit(&live->in_panic, memory_order_relaxed) == panic ||
        atomic_exchange(&live->in_panic, panic) == panic)
        return;
    mesh__outbox_log(call->shard->client->outbox, panic ? MESH_LOG_WARN : MESH_LOG_INFO,
                     panic ? "%s: fewer than half of the endpoints are healthy; all are used"
                           : "%s: at least half of the endpoints are healthy again",
                     live->name);
}

static struct choice choose(struct call *call, mesh_nanos now, bool may_probe, uint64_t random)
{
    const struct service *service = call->service;
    if (call->pinned_endpoint) {
        for (uint32_t i = 0; i < service->count; i++)
            if (strcmp(service->endpoints[i].endpoint->address.text, call->pinned_endpoint) == 0)
                return (struct choice){ (int32_t)i, MESH_PICK_PINNED };
        return (struct choice){ -1, MESH_PICK_NONE };
    }
    struct look look = { call, now };
    struct balance_view view = {
        .read = read_candidate,
        .context = &look,
        .count = service->count,
        .max_weight = service->max_weight,
        .panic = service->policy->breaker_enabled && mesh__live_panic(service->live, service->count),
        .look_for_probe = may_probe && service->policy->breaker_enabled && probe_may_be_due(service, now),
    };
    note_panic(call, view.panic);
    return mesh__balance_choose(service->policy->balancer, &view, &mine(call)->cursor, random);
}

/* MESH_OK, MESH_NO_MEMORY, or MESH_ESTALE: another shard has taken the probe that was chosen. */
static mesh_status take_endpoint(struct call *call, uint8_t attempt, const struct choice *choice,
                                 struct live_pick *pick)
{
    const struct service_endpoint *at = &call->service->endpoints[choice->index];
    mesh_nanos now = client_time(call);
    struct endpoint_shard *pool = mesh__shard_endpoint(call->shard, call->service, at->endpoint);
    if (pool == NULL)
        return MESH_NO_MEMORY;
    if (!mesh__live_pick(at->endpoint, breaker_of(call->service), choice->reason == MESH_PICK_PROBE, now, pick))
        return MESH_ESTALE;
    atomic_fetch_add(&at->endpoint->active, 1);
    call->attempts[attempt] = (struct call_attempt){ at->endpoint, pool, at->weight };
    COUNTER_ADD(pool->counters.attempts, 1);
    if (attempt > 0)
        COUNTER_ADD(pool->counters.retries, 1);
    if (pick->probe)
        COUNTER_ADD(pool->counters.probes, 1);
    if (choice->reason == MESH_PICK_PANIC)
        COUNTER_ADD(pool->counters.panics, 1);
    struct attempt_record *record = &call->result->attempts[attempt];
    enum mesh_pick reason = pick->probe ? MESH_PICK_PROBE : choice->reason;
    *record = (struct attempt_record){ .status = MESH_EINTERNAL, .pick = (int32_t)reason };
    record->endpoint = mesh__result_copy(call->result, mesh__view_of(at->endpoint->address.text));
    if (record->endpoint == NULL)
        record->endpoint = "";
    call->result->attempt_count = (uint8_t)(attempt + 1);
    return MESH_OK;
}

static void do_pick(struct call *call, uint8_t attempt)
{
    struct live_pick pick = { 0, false };
    struct machine_input input = { .event = EVENT_PICKED, .attempt = attempt, .status = MESH_ESTALE };
    /* Another shard may take the probe between choice and pick. A choice that is no probe always holds: so the last. */
    for (int left = 3; left >= 0 && input.status == MESH_ESTALE; left--) {
        struct choice choice = choose(call, client_time(call), left > 0, mesh__rng_next(&call->shard->rng));
        input.status = choice.index < 0 ? MESH_NO_ENDPOINT : take_endpoint(call, attempt, &choice, &pick);
    }
    input.ticket = pick.ticket;
    input.probe = pick.probe;
    feed(call, &input);
}

/* ---- START: the exchange and what it tells ---- */

static struct call *call_of(struct exchange *exchange)
{
    return CONTAINER_OF(exchange, struct call, exchange);
}

/* What the connection is secured by. Version, suite and ALPN are few and never freed; ids are copied. */
static void note_security(struct call *call, const struct tls_report *report)
{
    struct attempt_record *record = &call->result->attempts[call->trying];
    record->peer_id = mesh__result_copy(call->result, mesh__view_of(report->peer_id));
    record->tls_version = report->version;
    record->tls_suite = report->suite;
    record->alpn = mesh__result_copy(call->result, mesh__view_of(report->alpn));
    record->tls_resumed = report->resumed;
}

static void on_ready(struct exchange *exchange)
{
    struct call *call = call_of(exchange);
    const struct tls_report *report = mesh__channel_tls(exchange->channel, &exchange->shaking);
    if (report)
        note_security(call, report);
    feed(call, &(struct machine_input){ .event = EVENT_READY, .attempt = call->trying });
}

static void on_sent(struct exchange *exchange, enum sent sent)
{
    struct call *call = call_of(exchange);
    feed(call, &(struct machine_input){ .event = EVENT_SENT, .attempt = call->trying, .sent = sent });
}

static mesh_nanos retry_after_of(const struct call *call, const struct http1_head *head)
{
    if (head->status != 429 && head->status != 503)
        return -1;
    const struct world *world = call->shard->client->world;
    for (size_t i = 0; i < head->header_count; i++) {
        const mesh_header *header = &head->headers[i];
        if (mesh__view_equal_nocase(mesh__view(header->name, header->name_size), VIEW_LITERAL("retry-after")))
            return mesh__retry_after_parse(mesh__view(header->value, header->value_size),
                                           world->unix_now(world) / NANOS_S);
    }
    return -1;
}

static bool on_head(struct exchange *exchange, const struct http1_head *head)
{
    struct call *call = call_of(exchange);
    uint64_t expected = head->content_length > 0 && !exchange->to_head ? (uint64_t)head->content_length : 0;
    if (expected > call->service->policy->max_body)
        expected = 0; /* the reader refuses it anyway */
    call->result->http_status = head->status;
    if (!mesh__result_set_headers(call->result, head->headers, head->header_count) ||
        !mesh__result_start_body(call->result, (size_t)(expected > 65536 ? 65536 : expected)))
        return false;
    feed(call, &(struct machine_input){ .event = EVENT_HEAD,
                                        .attempt = call->trying,
                                        .http_status = head->status,
                                        .retry_after = retry_after_of(call, head) });
    return true;
}

static bool on_body(struct exchange *exchange, struct view bytes)
{
    return mesh__result_append_body(call_of(exchange)->result, bytes);
}

static void on_end(struct exchange *exchange)
{
    struct call *call = call_of(exchange);
    feed(call, &(struct machine_input){ .event = EVENT_END,
                                        .attempt = call->trying,
                                        .random = (uint32_t)mesh__rng_next(&call->shard->rng) });
}

static void on_failed(struct exchange *exchange, const struct failure *failure)
{
    struct call *call = call_of(exchange);
    struct attempt_record *record = &call->result->attempts[call->trying];
    record->reason = failure->reason ? mesh__result_copy(call->result, mesh__view_of(failure->reason)) : NULL;
    record->error_number = failure->error_number;
    feed(call, &(struct machine_input){ .event = EVENT_FAILED,
                                        .attempt = call->trying,
                                        .status = failure->status,
                                        .unsent = failure->unsent,
                                        .stale = failure->stale,
                                        .random = (uint32_t)mesh__rng_next(&call->shard->rng) });
}

static const struct exchange_events exchange_events = { on_ready, on_sent, on_head, on_body, on_end, on_failed };

static void do_start(struct call *call, uint8_t attempt)
{
    const struct service_config *policy = call->service->policy;
    struct attempt_record *record = &call->result->attempts[attempt];
    uint64_t span = mesh__rng_next(&call->shard->rng) | 1; /* never all zero */
    memcpy(record->span_id, &span, sizeof(record->span_id));
    call->trying = attempt;
    mesh__result_drop_response(call->result);
    call->exchange = (struct exchange){
        .events = &exchange_events,
        .body = call->body,
        .to_head = mesh__view_equal(call->method, VIEW_LITERAL("HEAD")),
        .limits = { policy->max_header, policy->max_headers, policy->max_body },
    };
    if (!mesh__request_write_head(call, record->span_id, call->machine.attempts[attempt].cut_at)) {
        feed(call, &(struct machine_input){
                       .event = EVENT_FAILED, .attempt = attempt, .status = MESH_NO_MEMORY, .unsent = true });
        return;
    }
    call->exchange.head = mesh__view(call->head.data, call->head.size);
    mesh__pool_acquire(call->attempts[attempt].at->pool, &call->exchange);
}

/* ---- REPORT ---- */

static mesh_nanos between(mesh_nanos from, mesh_nanos to)
{
    return from > 0 && to > from ? to - from : 0;
}

static void fill_record(struct call *call, uint8_t attempt)
{
    const struct machine_attempt *machine = &call->machine.attempts[attempt];
    const struct exchange *exchange = &call->exchange;
    mesh_nanos now = call->shard->loop.now;
    mesh_nanos end = exchange->end_at ? exchange->end_at : now;
    struct attempt_record *record = &call->result->attempts[attempt];
    record->status = machine->report.status;
    record->http_status = machine->report.http_status;
    record->reused = exchange->reused;
    record->start = machine->picked_at - call->start;
    record->backoff = machine->backoff;
    mesh_nanos shaking = exchange->reused ? 0 : exchange->shaking;
    record->connect =
        mesh__nanos_max(0, between(exchange->asked_at, exchange->ready_at ? exchange->ready_at : end) - shaking);
    record->tls = shaking;
    record->send = between(exchange->ready_at, exchange->sent_at);
    record->wait = between(exchange->sent_at, exchange->first_at ? exchange->first_at : end);
    record->receive = between(exchange->first_at, end);
}

static void do_report(struct call *call, uint8_t attempt)
{
    const struct machine_attempt *machine = &call->machine.attempts[attempt];
    const struct call_attempt *at = &call->attempts[attempt];
    struct shard *shard = call->shard;
    fill_record(call, attempt);
    atomic_fetch_sub(&at->endpoint->active, 1);
    if (machine->holds_retry)
        mesh__live_give(&call->service->live->retries);
    struct endpoint_counters *counters = &at->at->counters;
    if (machine->report.status != MESH_OK)
        COUNTER_ADD(counters->attempt_failures, 1);
    else if (machine->report.http_status >= 500)
        COUNTER_ADD(counters->responses_5xx, 1);
    bool shut = mesh__live_report(at->endpoint, breaker_of(call->service), call->service->count, machine->ticket,
                                  &machine->verdict, machine->report.probe, client_time(call),
                                  (uint32_t)mesh__rng_next(&shard->rng));
    if (shut) {
        COUNTER_ADD(counters->shuts, 1);
        mesh__outbox_log(shard->client->outbox, MESH_LOG_INFO, "%s: breaker of %s shut after %s",
                         call->service->live->name, at->endpoint->address.text,
                         mesh_status_name(machine->report.status));
    }
    mesh__complete_attempt_span(call, attempt);
}

static void do_ask_retry(struct call *call, uint8_t attempt)
{
    const struct service_config *policy = call->service->policy;
    struct service_live *live = call->service->live;
    struct service_shard *shard = mine(call);
    mesh__live_deposit(live, &policy->budget, shard->deposits, client_time(call));
    shard->deposits = 0;
    bool granted = mesh__live_take(&live->retries, policy->limits.max_retries);
    if (granted && !mesh__live_withdraw(live, &policy->budget, client_time(call))) {
        mesh__live_give(&live->retries);
        granted = false;
    }
    if (!granted)
        COUNTER_ADD(shard->retries_denied, 1);
    struct look look = { call, client_time(call) };
    bool others = false;
    for (uint32_t i = 0; i < call->service->count && !others; i++)
        others =
            call->service->endpoints[i].endpoint != call->attempts[attempt].endpoint && !read_candidate(&look, i).out;
    feed(call, &(struct machine_input){ .event = EVENT_RETRY_ADMITTED,
                                        .attempt = attempt,
                                        .status = granted ? MESH_OK : MESH_OVERLOADED,
                                        .others = others && call->pinned_endpoint == NULL,
                                        .random = (uint32_t)mesh__rng_next(&call->shard->rng) });
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
        feed(call, &(struct machine_input){ .event = EVENT_CANCEL });
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
        do_pick(call, effect->attempt);
        break;
    case EFFECT_START:
        do_start(call, effect->attempt);
        break;
    case EFFECT_STOP:
        mesh__exchange_cancel(&call->exchange);
        break;
    case EFFECT_REPORT:
        do_report(call, effect->attempt);
        break;
    case EFFECT_ASK_RETRY:
        do_ask_retry(call, effect->attempt);
        break;
    case EFFECT_ARM:
        call->due = effect->at;
        call->rearm = true;
        break;
    case EFFECT_DELIVER:
        break; /* buffered calls are handed on whole */
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

static void feed(struct call *call, const struct machine_input *input)
{
    if (call->done || call->input_count == CALL_INPUTS)
        return; /* BODY is not fed, so that few events can come within a step: far fewer than there are places */
    call->inputs[(call->input_first + call->input_count) % CALL_INPUTS] = *input;
    call->input_count++;
    if (!call->stepping)
        run(call);
}

static void on_timer(struct loop_timer *timer)
{
    struct call *call = CONTAINER_OF(timer, struct call, timer);
    feed(call, &(struct machine_input){ .event = EVENT_TIMER, .random = (uint32_t)mesh__rng_next(&call->shard->rng) });
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

static void begin(struct call *call)
{
    struct shard *shard = call->shard;
    const struct service_config *policy = call->service->policy;
    call->config = (struct machine_config){
        .retry = &policy->retry,
        .deadline = mesh__deadline_of_call(call->start, call->request_timeout, call->inbound_deadline, policy->timeout),
        .resolve_timeout = policy->discover.timeout,
        .idempotent = is_idempotent(call),
        .no_retry = (call->flags & MESH_NO_RETRY) != 0,
    };
    mesh__machine_init(&call->machine);
    mesh__list_push(&shard->calls, &call->link);
    COUNTER_ADD(mine(call)->calls, 1);
    /* Cancelled before it was begun: nothing is sent. */
    bool cancelled = atomic_load(&call->cancelled) == atomic_load(&call->generation);
    feed(call, &(struct machine_input){ .event = cancelled ? EVENT_CANCEL : EVENT_START });
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
        feed(call, &(struct machine_input){ .event = EVENT_CANCEL });
}
