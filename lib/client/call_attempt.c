/* SPDX-License-Identifier: Apache-2.0 */
/* call_attempt.c - an endpoint picked, the exchange with it and what that tells, the report, and whether there may be
 * another attempt. */
#include "client/call_attempt.h"

#include "client/complete.h"
#include "client/grpc.h"
#include "client/request.h"
#include "client/shard.h"
#include "client/stream.h"

#include <string.h>

static const struct breaker_config *breaker_of(const struct service *service)
{
    return service->policy->breaker_enabled ? &service->policy->breaker : NULL;
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
    return mesh__balance_choose(service->policy->balancer, &view, &mesh__call_service_shard(call)->cursor, random);
}

/* MESH_OK, MESH_NO_MEMORY, or MESH_ESTALE: another shard has taken the probe that was chosen. */
static mesh_status take_endpoint(struct call *call, uint8_t attempt, const struct choice *choice,
                                 struct live_pick *pick)
{
    const struct service_endpoint *at = &call->service->endpoints[choice->index];
    mesh_nanos now = mesh__call_time(call);
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

void mesh__attempt_pick(struct call *call, uint8_t attempt)
{
    struct live_pick pick = { 0, false };
    struct machine_input input = { .event = EVENT_PICKED, .attempt = attempt, .status = MESH_ESTALE };
    /* Another shard may take the probe between choice and pick. A choice that is no probe always holds: so the last. */
    for (int left = 3; left >= 0 && input.status == MESH_ESTALE; left--) {
        struct choice choice = choose(call, mesh__call_time(call), left > 0, mesh__rng_next(&call->shard->rng));
        input.status = choice.index < 0 ? MESH_NO_ENDPOINT : take_endpoint(call, attempt, &choice, &pick);
    }
    input.ticket = pick.ticket;
    input.probe = pick.probe;
    mesh__call_feed(call, &input);
}

/* ---- START: the exchange and what it tells ---- */

static struct call *call_of(struct exchange *exchange)
{
    return CONTAINER_OF(exchange, struct call, exchange);
}

/* What the connection is secured by. Version, suite and ALPN are few and never freed; ids are copied. */
static void note_security(struct call *call, const struct tls_report *report)
{
    struct attempt_security *security = mesh__result_alloc(call->result, sizeof(*security));
    if (security == NULL)
        return;
    *security = (struct attempt_security){
        .peer_id = mesh__result_copy(call->result, mesh__view_of(report->peer_id)),
        .version = report->version,
        .suite = report->suite,
        .alpn = mesh__result_copy(call->result, mesh__view_of(report->alpn)),
        .resumed = report->resumed,
    };
    call->result->attempts[call->trying].security = security;
}

void mesh__attempt_give_up(struct call *call, mesh_status status, enum grpc_status grpc_status, const char *reason)
{
    call->result->attempts[call->trying].reason = reason;
    mesh__exchange_cancel(&call->exchange);
    mesh__call_feed(call, &(struct machine_input){ .event = EVENT_FAILED,
                                                   .attempt = call->trying,
                                                   .status = status,
                                                   .grpc_status = (int32_t)grpc_status,
                                                   .random = (uint32_t)mesh__rng_next(&call->shard->rng) });
}

static void on_ready(struct exchange *exchange)
{
    struct call *call = call_of(exchange);
    if (mesh__grpc_is(call) && !exchange->channel->codec->multiplexed) {
        mesh__attempt_give_up(call, MESH_EUNSUPPORTED, GRPC_INTERNAL, "gRPC needs HTTP/2: \"protocol\": \"http2\"");
        return;
    }
    const struct tls_report *report = mesh__channel_tls(exchange->channel, &exchange->shaking);
    call->result->attempts[call->trying].http_version = exchange->channel->codec->multiplexed ? 20 : 11;
    if (report)
        note_security(call, report);
    mesh__call_feed(call, &(struct machine_input){ .event = EVENT_READY, .attempt = call->trying });
}

static void on_sent(struct exchange *exchange, enum sent sent)
{
    struct call *call = call_of(exchange);
    mesh__call_feed(call, &(struct machine_input){ .event = EVENT_SENT, .attempt = call->trying, .sent = sent });
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

/* What a gRPC response has said so far; `whole`: it says no more. */
static void note_grpc(const struct call *call, bool whole, struct machine_input *input)
{
    const struct grpc_outcome *outcome = &call->grpc.outcome;
    if (!mesh__grpc_is(call))
        return;
    input->grpc_status = whole || outcome->said || !call->grpc.framed ? (int32_t)outcome->status : MESH_GRPC_OK;
    input->pushed_back = outcome->pushback;
    input->pushback = outcome->delay;
}

static bool on_head(struct exchange *exchange, const struct http1_head *head)
{
    struct call *call = call_of(exchange);
    uint64_t expected = head->content_length > 0 && !exchange->to_head ? (uint64_t)head->content_length : 0;
    if (expected > call->service->policy->max_body || call->stream)
        expected = 0; /* the reader refuses it anyway; or it does not stay here */
    call->result->http_status = head->status;
    if (!mesh__result_set_headers(call->result, head->headers, head->header_count) ||
        !mesh__result_start_body(call->result, (size_t)(expected > 65536 ? 65536 : expected)))
        return false;
    struct machine_input input = { .event = EVENT_HEAD,
                                   .attempt = call->trying,
                                   .http_status = head->status,
                                   .retry_after = retry_after_of(call, head) };
    if (mesh__grpc_is(call) && !mesh__grpc_take_head(call, head))
        return false;
    note_grpc(call, false, &input);
    mesh__call_feed(call, &input);
    return true;
}

static bool take_message(struct call *call, struct view bytes)
{
    const struct grpc_decoder *decoder = &call->grpc.decoder;
    bool memory = true;
    if (mesh__grpc_take_body(call, bytes, &memory) == GRPC_FAILED)
        mesh__attempt_give_up(call, decoder->status == GRPC_RESOURCE_EXHAUSTED ? MESH_BODY_TOO_LARGE : MESH_PROTOCOL,
                              decoder->status, decoder->reason);
    return memory;
}

static bool on_body(struct exchange *exchange, struct view bytes)
{
    struct call *call = call_of(exchange);
    if (call->stream)
        return mesh__stream_receive(call, bytes);
    return mesh__grpc_is(call) ? take_message(call, bytes) : mesh__result_append_body(call->result, bytes);
}

static bool on_trailers(struct exchange *exchange, const mesh_header *trailers, size_t count)
{
    struct call *call = call_of(exchange);
    return mesh__result_set_trailers(call->result, trailers, count) &&
           (!mesh__grpc_is(call) || mesh__grpc_take_trailers(call, trailers, count));
}

static void on_end(struct exchange *exchange)
{
    struct call *call = call_of(exchange);
    const char *problem = mesh__grpc_is(call) ? mesh__grpc_finish(call) : NULL;
    if (problem) {
        mesh__attempt_give_up(call, MESH_PROTOCOL, GRPC_INTERNAL, problem);
        return;
    }
    struct machine_input input = { .event = EVENT_END,
                                   .attempt = call->trying,
                                   .random = (uint32_t)mesh__rng_next(&call->shard->rng) };
    note_grpc(call, true, &input);
    mesh__call_feed(call, &input);
}

/* For retry.on: what the peer said, or that it could not be reached. What this side ran out of, or its own limit turned
 * away, is nobody's status. */
static int32_t grpc_status_of(const struct call *call, const struct failure *failure)
{
    if (!mesh__grpc_is(call))
        return MESH_GRPC_OK;
    int32_t status = mesh__grpc_of_failure(failure->status, failure->by_peer ? (int64_t)failure->code : -1);
    bool unreachable = status == MESH_GRPC_UNAVAILABLE && failure->status != MESH_OVERLOADED;
    return failure->by_peer || unreachable ? status : MESH_GRPC_OK;
}

static void on_failed(struct exchange *exchange, const struct failure *failure)
{
    struct call *call = call_of(exchange);
    struct attempt_record *record = &call->result->attempts[call->trying];
    record->reason = failure->reason ? mesh__result_copy(call->result, mesh__view_of(failure->reason)) : NULL;
    record->error_number = failure->error_number;
    mesh__call_feed(call, &(struct machine_input){ .event = EVENT_FAILED,
                                                   .attempt = call->trying,
                                                   .status = failure->status,
                                                   .grpc_status = grpc_status_of(call, failure),
                                                   .unsent = failure->unsent,
                                                   .stale = failure->stale,
                                                   .random = (uint32_t)mesh__rng_next(&call->shard->rng) });
}

static const struct exchange_events exchange_events = { .ready = on_ready,
                                                        .sent = on_sent,
                                                        .head = on_head,
                                                        .body = on_body,
                                                        .trailers = on_trailers,
                                                        .end = on_end,
                                                        .failed = on_failed };

void mesh__attempt_start(struct call *call, uint8_t attempt)
{
    const struct service_config *policy = call->service->policy;
    struct attempt_record *record = &call->result->attempts[attempt];
    uint64_t span = mesh__rng_next(&call->shard->rng) | 1; /* never all zero */
    memcpy(record->span_id, &span, sizeof(record->span_id));
    call->trying = attempt;
    mesh__result_drop_response(call->result);
    call->exchange = (struct exchange){
        .events = &exchange_events,
        .to_head = mesh__view_equal(call->method, VIEW_LITERAL("HEAD")),
        .limits = { policy->max_header, policy->max_headers, policy->max_body },
    };
    /* A stream's attempt is cut at its own time only as long as no head has come: the peer has until the deadline. */
    mesh_nanos until = call->stream ? call->config.deadline.at : call->machine.attempts[attempt].cut_at;
    mesh__request_prepare(call, record->span_id, until);
    if (mesh__grpc_is(call))
        mesh__grpc_begin(call);
    if (call->stream)
        mesh__stream_attempt(call);
    mesh__pool_acquire(call->attempts[attempt].at->pool, &call->exchange);
}

/* ---- REPORT ---- */

static mesh_nanos between(mesh_nanos from, mesh_nanos to)
{
    return from > 0 && to > from ? to - from : 0;
}

/* 0 says of a failure only that the peer has said nothing. */
static int32_t grpc_status_of_report(const struct call *call, const struct report *report)
{
    if (!mesh__grpc_is(call))
        return -1;
    bool said = report->status == MESH_OK || report->grpc_status != MESH_GRPC_OK;
    return said ? report->grpc_status : mesh__grpc_of_failure(report->status, -1);
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
    record->grpc_status = grpc_status_of_report(call, &machine->report);
    record->reused = exchange->reused;
    record->start = machine->picked_at - call->start;
    record->backoff = machine->backoff;
    mesh_nanos waited = between(exchange->asked_at, exchange->ready_at ? exchange->ready_at : end);
    record->tls = exchange->reused ? 0 : mesh__nanos_min(exchange->shaking, waited); /* it may have begun before */
    record->connect = waited - record->tls;
    record->send = between(exchange->ready_at, exchange->sent_at);
    record->wait = between(exchange->sent_at, exchange->first_at ? exchange->first_at : end);
    record->receive = between(exchange->first_at, end);
}

void mesh__attempt_judge(struct call *call, uint8_t attempt)
{
    const struct machine_attempt *machine = &call->machine.attempts[attempt];
    const struct call_attempt *at = &call->attempts[attempt];
    bool shut = mesh__live_report(at->endpoint, breaker_of(call->service), call->service->count, machine->ticket,
                                  &machine->verdict, machine->report.probe, mesh__call_time(call),
                                  (uint32_t)mesh__rng_next(&call->shard->rng));
    if (shut) {
        COUNTER_ADD(at->at->counters.shuts, 1);
        mesh__outbox_log(call->shard->client->outbox, MESH_LOG_INFO, "%s: breaker of %s shut after %s",
                         call->service->live->name, at->endpoint->address.text,
                         mesh_status_name(machine->report.status));
    }
}

void mesh__attempt_report(struct call *call, uint8_t attempt)
{
    const struct machine_attempt *machine = &call->machine.attempts[attempt];
    const struct call_attempt *at = &call->attempts[attempt];
    fill_record(call, attempt);
    atomic_fetch_sub(&at->endpoint->active, 1);
    if (machine->holds_retry)
        mesh__live_give(&call->service->live->retries);
    struct endpoint_counters *counters = &at->at->counters;
    if (machine->report.status != MESH_OK)
        COUNTER_ADD(counters->attempt_failures, 1);
    else if (machine->report.http_status >= 500)
        COUNTER_ADD(counters->responses_5xx, 1);
    mesh__attempt_judge(call, attempt);
    mesh__complete_attempt_span(call, attempt);
}

void mesh__attempt_ask_another(struct call *call, uint8_t attempt)
{
    const struct service_config *policy = call->service->policy;
    struct service_live *live = call->service->live;
    struct service_shard *shard = mesh__call_service_shard(call);
    mesh__live_deposit(live, &policy->budget, shard->deposits, mesh__call_time(call));
    shard->deposits = 0;
    bool granted = mesh__live_take(&live->retries, policy->limits.max_retries);
    if (granted && !mesh__live_withdraw(live, &policy->budget, mesh__call_time(call))) {
        mesh__live_give(&live->retries);
        granted = false;
    }
    if (!granted)
        COUNTER_ADD(shard->retries_denied, 1);
    struct look look = { call, mesh__call_time(call) };
    bool others = false;
    for (uint32_t i = 0; i < call->service->count && !others; i++)
        others =
            call->service->endpoints[i].endpoint != call->attempts[attempt].endpoint && !read_candidate(&look, i).out;
    mesh__call_feed(call, &(struct machine_input){ .event = EVENT_RETRY_ADMITTED,
                                                   .attempt = attempt,
                                                   .status = granted ? MESH_OK : MESH_OVERLOADED,
                                                   .others = others && call->pinned_endpoint == NULL,
                                                   .random = (uint32_t)mesh__rng_next(&call->shard->rng) });
}
