/* SPDX-License-Identifier: Apache-2.0 */
/* request.c - from struct mesh_request to what an exchange brings. */
#include "client/request.h"

#include "client/grpc.h"
#include "client/token.h"
#include "telemetry/inbound.h"
#include "wire/http1_check.h"

#include <stdio.h>
#include <string.h>

/* Where the ids stand in a traceparent, "00-TRACE-SPAN-FLAGS". */
enum { TRACE_ID_AT = 3, SPAN_ID_AT = 36 };

static mesh_status refuse(struct call *call, const char *what, uint32_t flags)
{
    char text[200];
    int size = snprintf(text, sizeof(text), "EINVAL: %s", what);
    const char *copy = mesh__result_copy(call->result, mesh__view(text, (size_t)size));
    call->result->message = copy ? copy : "EINVAL: an argument is not valid";
    if (flags & MESH_GRPC) {
        call->result->grpc_status = mesh__grpc_of_failure(MESH_EINVAL, -1);
        call->result->grpc_message = call->result->message;
    }
    return MESH_EINVAL;
}

static bool is_too_large(const mesh_request *request)
{
    struct view texts[] = { mesh__view_of(request->method), mesh__view_of(request->path),
                            mesh__view_of(request->authority) };
    size_t left = REQUEST_HEAD_MAX;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (texts[i].size > left)
            return true;
        left -= texts[i].size;
    }
    for (size_t i = 0; i < request->header_count; i++) {
        const mesh_header *header = &request->headers[i];
        if (header->name_size > left || header->value_size > left - header->name_size)
            return true;
        left -= header->name_size + header->value_size;
    }
    return false;
}

/* NULL when everything may be sent. */
static const char *problem_of(const mesh_request *request, char *text, size_t size)
{
    size_t at = 0;
    const char *wrong;
    if (request->size == 0)
        return "request.size: too small; set it with MESH_REQUEST_INIT or mesh_request_init()";
    if (request->method && !mesh__http1_token(mesh__view_of(request->method)))
        return "request.method: an HTTP token was expected, as \"GET\"";
    if (request->method && strcmp(request->method, "CONNECT") == 0)
        return "request.method: CONNECT makes a tunnel and is no request to a service";
    if (request->path && !mesh__http1_path(mesh__view_of(request->path)))
        return "request.path: '/' and visible ASCII without spaces and '#' were expected; percent-encode the rest";
    if (request->authority && !mesh__http1_authority(mesh__view_of(request->authority)))
        return "request.authority: a host was expected, as \"payment.example:8080\"";
    if (request->flags & ~(uint32_t)(MESH_COPY_BODY | MESH_NO_RETRY | MESH_GRPC))
        return "request.flags: an unknown flag is set";
    if (request->idempotent < MESH_UNSET || request->idempotent > MESH_NO)
        return "request.idempotent: MESH_UNSET, MESH_YES or MESH_NO was expected";
    if ((request->body == NULL && request->body_size > 0) || (request->headers == NULL && request->header_count > 0))
        return "request: a size is given without what it is the size of";
    if (is_too_large(request))
        return "request.headers: with the path they are larger than 1 MiB";
    if ((wrong = mesh__http1_check_fields(request->headers, request->header_count, &at)) != NULL) {
        (void)snprintf(text, size, "request.headers[%zu]: %s", at, wrong);
        return text;
    }
    return mesh__grpc_problem(request);
}

static bool is_trace_field(const mesh_header *header)
{
    struct view name = mesh__view(header->name, header->name_size);
    return mesh__view_equal_nocase(name, VIEW_LITERAL("traceparent")) ||
           mesh__view_equal_nocase(name, VIEW_LITERAL("tracestate")) ||
           mesh__view_equal_nocase(name, VIEW_LITERAL("baggage"));
}

/* Copies the fields but those of trace context, which this library writes itself. */
static bool take_headers(struct call *call, const mesh_request *request)
{
    size_t text = 0;
    for (size_t i = 0; i < request->header_count; i++)
        text += request->headers[i].name_size + request->headers[i].value_size;
    call->header_count = 0;
    call->headers = NULL;
    if (request->header_count == 0)
        return true;
    call->headers = mesh__result_alloc(call->result, request->header_count * sizeof(mesh_header) + text);
    if (call->headers == NULL)
        return false;
    char *at = (char *)(call->headers + request->header_count);
    for (size_t i = 0; i < request->header_count; i++) {
        const mesh_header *from = &request->headers[i];
        if (is_trace_field(from))
            continue;
        call->headers[call->header_count++] =
            (mesh_header){ at, from->name_size, at + from->name_size, from->value_size };
        memcpy(at, from->name, from->name_size);
        if (from->value_size > 0)
            memcpy(at + from->name_size, from->value, from->value_size);
        at += from->name_size + from->value_size;
    }
    return true;
}

static uint64_t random_bits(struct call *call)
{
    /* The shard's own generator belongs to its driver: this one is the slot's, which is ours until it is posted. */
    return mesh__rng_next(&call->rng);
}

static bool take_context(struct call *call, const mesh_inbound *inbound)
{
    bool has_trace = inbound && inbound->has_trace;
    memset(call->parent_id, 0, sizeof(call->parent_id));
    if (has_trace) {
        call->trace = inbound->trace;
        memcpy(call->parent_id, inbound->trace.span_id, sizeof(call->parent_id));
    } else {
        uint64_t id[2] = { random_bits(call), random_bits(call) | 1 };
        memcpy(call->trace.trace_id, id, sizeof(id));
        call->trace.flags = TRACE_SAMPLED | TRACE_RANDOM;
    }
    uint64_t span = random_bits(call) | 1;
    memcpy(call->trace.span_id, &span, sizeof(span));
    mesh__trace_format(&call->trace, call->traceparent);
    memcpy(call->result->trace_id, call->traceparent + TRACE_ID_AT, 32);
    call->result->trace_id[32] = '\0';
    call->inbound_deadline = inbound ? inbound->deadline : NANOS_NEVER;
    call->tracestate = call->baggage = "";
    if (has_trace && inbound->tracestate[0] != '\0')
        call->tracestate = mesh__result_copy(call->result, mesh__view_of(inbound->tracestate));
    if (inbound && inbound->baggage[0] != '\0')
        call->baggage = mesh__result_copy(call->result, mesh__view_of(inbound->baggage));
    return call->tracestate && call->baggage;
}

/* Context comes from request.inbound, or else from trace fields among the headers, as programs pass them on by hand. */
static bool take_inbound(struct call *call, const mesh_request *request)
{
    bool by_hand = false;
    for (size_t i = 0; request->inbound == NULL && i < request->header_count; i++)
        by_hand = by_hand || is_trace_field(&request->headers[i]);
    if (!by_hand)
        return take_context(call, request->inbound);
    struct mesh_inbound inbound;
    if (!mesh__inbound_init(&inbound, &call->shard->client->mem, request->headers, request->header_count, call->start))
        return false;
    inbound.deadline = NANOS_NEVER; /* a deadline among the headers is for the callee */
    bool taken = take_context(call, &inbound);
    mesh__inbound_fini(&inbound);
    return taken;
}

static bool take_text(struct call *call, const char *text, const char *otherwise, struct view *out)
{
    if (text == NULL) {
        *out = mesh__view_of(otherwise);
        return true;
    }
    *out = mesh__view_of(text);
    out->data = mesh__result_copy(call->result, *out);
    return out->data != NULL;
}

static bool take_body(struct call *call, const mesh_request *request, bool blocking)
{
    call->body = mesh__view(request->body, request->body_size);
    if (blocking || !(request->flags & MESH_COPY_BODY) || request->body_size == 0)
        return true;
    call->body.data = mesh__result_copy(call->result, call->body);
    return call->body.data != NULL;
}

mesh_status mesh__request_take(struct call *call, const char *service, const mesh_request *request, bool blocking)
{
    char text[160];
    if (service == NULL)
        return refuse(call, "service: NULL", request ? request->flags : 0);
    const char *problem = problem_of(request, text, sizeof(text));
    if (problem)
        return refuse(call, problem, request->flags);
    call->flags = request->flags;
    call->idempotent = request->idempotent;
    call->request_timeout = request->timeout_ns > 0 ? request->timeout_ns : 0;
    call->result->tag = request->tag;
    struct view name, pin;
    bool ok = take_text(call, service, "", &name) &&
              take_text(call, request->method, mesh__grpc_is(call) ? "POST" : "GET", &call->method) &&
              take_text(call, request->path, "/", &call->path) &&
              take_text(call, request->authority, NULL, &call->authority) &&
              take_text(call, request->endpoint, NULL, &pin) && take_headers(call, request) &&
              take_inbound(call, request) && take_body(call, request, blocking);
    if (!ok)
        return MESH_NO_MEMORY;
    call->service_name = name.data;
    call->pinned_endpoint = pin.data;
    call->token = mesh__token_ref(request->token);
    return MESH_OK;
}

bool mesh__request_has(const struct call *call, struct view name)
{
    for (size_t i = 0; i < call->header_count; i++)
        if (mesh__view_equal_nocase(mesh__view(call->headers[i].name, call->headers[i].name_size), name))
            return true;
    return false;
}

static size_t write_decimal(char *out, uint64_t number)
{
    char digits[20];
    size_t count = 0;
    do
        digits[count++] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    for (size_t i = 0; i < count; i++)
        out[i] = digits[count - 1 - i];
    return count;
}

static mesh_header field(const char *name, const char *value, size_t size)
{
    return (mesh_header){ name, strlen(name), value, size };
}

void mesh__request_prepare(struct call *call, const uint8_t span_id[8], mesh_nanos until)
{
    const struct service_config *policy = call->service->policy;
    struct exchange *exchange = &call->exchange;
    mesh__hex(span_id, 8, call->traceparent + SPAN_ID_AT); /* the rest is the same in every attempt */
    mesh_header *own = call->own;
    size_t count = 0;
    own[count++] = field("traceparent", call->traceparent, sizeof(call->traceparent));
    if (call->tracestate[0] != '\0')
        own[count++] = field("tracestate", call->tracestate, strlen(call->tracestate));
    if (call->baggage[0] != '\0')
        own[count++] = field("baggage", call->baggage, strlen(call->baggage));
    int64_t ms = mesh__deadline_left_ms(until, call->shard->loop.now);
    if (mesh__grpc_is(call))
        count += mesh__grpc_fields(call, until, own + count);
    else if (ms >= 0 && !mesh__request_has(call, VIEW_LITERAL("x-envoy-expected-rq-timeout-ms")))
        own[count++] = field("x-envoy-expected-rq-timeout-ms", call->left, write_decimal(call->left, (uint64_t)ms));
    call->groups[0] = (struct http1_field_group){ policy->headers, policy->header_count };
    call->groups[1] = (struct http1_field_group){ call->headers, call->header_count };
    call->groups[2] = (struct http1_field_group){ own, count };
    exchange->method = call->method;
    exchange->path = call->path;
    exchange->authority = call->authority.data ? call->authority : mesh__view_of(policy->authority);
    exchange->groups = call->groups;
    exchange->group_count = CALL_GROUPS;
    exchange->body.bytes = call->body;
    exchange->head = &call->head;
}
