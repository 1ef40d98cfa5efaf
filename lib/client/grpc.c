/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.c - the message's way out and in, and one gRPC status from whatever ended a call. */
#include "client/grpc.h"

#include "client/request.h"

#include <stdio.h>
#include <string.h>

/* Of a message at once: more is allocated as it comes. */
#define FIRST_MAX 65536

/* ---- the request ---- */

const char *mesh__grpc_problem(const mesh_request *request)
{
    if (!(request->flags & MESH_GRPC))
        return NULL;
    if (request->method && strcmp(request->method, "POST") != 0)
        return "request.method: a gRPC call is a POST; NULL was expected";
    if (request->path == NULL)
        return "request.path: \"/package.Service/Method\" was expected";
    if (request->body_size > UINT32_MAX)
        return "request.body: a gRPC message has less than 4 GiB";
    for (size_t i = 0; i < request->header_count; i++) {
        const mesh_header *field = &request->headers[i];
        if (mesh__view_equal_nocase(mesh__view(field->name, field->name_size), VIEW_LITERAL("content-type")) &&
            !mesh__grpc_content_type(mesh__view(field->value, field->value_size)))
            return "request.headers: the content-type of a gRPC call is \"application/grpc\"";
    }
    return NULL;
}

static size_t add_unless_set(const struct call *call, const char *name, const char *value, mesh_header *out)
{
    if (mesh__request_has(call, mesh__view_of(name)))
        return 0;
    *out = (mesh_header){ name, strlen(name), value, strlen(value) };
    return 1;
}

size_t mesh__grpc_fields(struct call *call, mesh_nanos until, mesh_header *out)
{
    struct grpc_call *grpc = &call->grpc;
    size_t count = add_unless_set(call, "te", "trailers", out);
    count += add_unless_set(call, "content-type", "application/grpc", out + count);
    if (until != NANOS_NEVER) {
        grpc->timeout[mesh__grpc_timeout_format(mesh__nanos_sub(until, call->shard->loop.now), grpc->timeout)] = '\0';
        count += add_unless_set(call, "grpc-timeout", grpc->timeout, out + count);
    }
    if (call->machine.counted > 1) {
        (void)snprintf(grpc->retries, sizeof(grpc->retries), "%u", call->machine.counted - 1u);
        count += add_unless_set(call, "grpc-previous-rpc-attempts", grpc->retries, out + count);
    }
    return count;
}

/* Small messages go out in one piece with their frame's head. */
static enum body_next next_piece(void *user, size_t most, struct view *bytes, struct http1_field_group *trailers)
{
    struct call *call = user;
    struct grpc_call *grpc = &call->grpc;
    (void)trailers;
    size_t whole = GRPC_FRAME_HEAD + call->body.size;
    size_t lead = whole < sizeof(grpc->lead) ? whole : sizeof(grpc->lead);
    bool leading = grpc->given < lead;
    size_t left = (leading ? lead : whole) - grpc->given;
    const char *at = leading ? grpc->lead + grpc->given : call->body.data + (grpc->given - GRPC_FRAME_HEAD);
    *bytes = mesh__view(at, left < most ? left : most);
    grpc->given += bytes->size;
    return grpc->given == whole ? BODY_LAST : BODY_MORE;
}

void mesh__grpc_begin(struct call *call)
{
    struct grpc_call *grpc = &call->grpc;
    size_t room = sizeof(grpc->lead) - GRPC_FRAME_HEAD;
    size_t first = call->body.size < room ? call->body.size : room;
    mesh__grpc_frame_head((uint32_t)call->body.size, grpc->lead);
    if (first > 0)
        memcpy(grpc->lead + GRPC_FRAME_HEAD, call->body.data, first);
    grpc->given = 0;
    grpc->framed = grpc->whole = false;
    grpc->outcome = (struct grpc_outcome){ .status = GRPC_UNKNOWN };
    call->exchange.body = (struct body_source){ .next = next_piece, .next_user = call, .size = -1 };
    call->exchange.limits.max_body += GRPC_FRAME_HEAD;
}

/* ---- the response ---- */

static const mesh_header *find(const mesh_header *fields, size_t count, struct view name)
{
    for (size_t i = 0; i < count; i++)
        if (mesh__view_equal_nocase(mesh__view(fields[i].name, fields[i].name_size), name))
            return &fields[i];
    return NULL;
}

/* Decoding makes nothing longer. */
static bool take_message(struct call *call, struct view encoded)
{
    struct mesh_result *result = call->result;
    result->grpc_message = "";
    if (encoded.size == 0)
        return true;
    struct buf text = { .data = mesh__result_alloc(result, encoded.size + 1),
                        .capacity = encoded.size + 1,
                        .cap = encoded.size };
    if (text.data == NULL)
        return false;
    (void)mesh__grpc_message_decode(&text, encoded);
    result->grpc_message = mesh__buf_text(&text);
    return true;
}

static bool take_outcome(struct call *call, const mesh_header *fields, size_t count)
{
    struct grpc_outcome *outcome = &call->grpc.outcome;
    mesh__grpc_outcome(call->result->http_status, fields, count, outcome);
    bool ok = take_message(call, outcome->message);
    outcome->message = mesh__view(NULL, 0);
    return ok;
}

bool mesh__grpc_take_head(struct call *call, const struct http1_head *head)
{
    struct grpc_call *grpc = &call->grpc;
    uint64_t most = call->service->policy->max_body;
    const mesh_header *type = find(head->headers, head->header_count, VIEW_LITERAL("content-type"));
    const mesh_header *encoding = find(head->headers, head->header_count, VIEW_LITERAL("grpc-encoding"));
    grpc->framed = head->status == 200 && type && mesh__grpc_content_type(mesh__view(type->value, type->value_size));
    mesh__grpc_decoder_init(&grpc->decoder, most < UINT32_MAX ? (uint32_t)most : UINT32_MAX);
    grpc->decoder.encoded = encoding && !mesh__view_equal_nocase(mesh__view(encoding->value, encoding->value_size),
                                                                 VIEW_LITERAL("identity"));
    return take_outcome(call, head->headers, head->header_count);
}

bool mesh__grpc_take_trailers(struct call *call, const mesh_header *trailers, size_t count)
{
    return take_outcome(call, trailers, count);
}

enum grpc_event mesh__grpc_take_body(struct call *call, struct view bytes, bool *memory)
{
    struct grpc_call *grpc = &call->grpc;
    struct grpc_step step = { GRPC_MORE, 0, { NULL, 0 } };
    if (!grpc->framed)
        return GRPC_MORE; /* a page of some proxy: its status and type say what there is to know */
    do {
        step = mesh__grpc_decode(&grpc->decoder, bytes.data, bytes.size);
        bytes = mesh__view(bytes.data + step.used, bytes.size - step.used);
        if (step.event == GRPC_BEGIN && grpc->whole)
            step = mesh__grpc_fail(&grpc->decoder, GRPC_INTERNAL, "a second message where one was expected");
        else if (step.event == GRPC_BEGIN)
            *memory =
                mesh__result_start_body(call->result, grpc->decoder.left < FIRST_MAX ? grpc->decoder.left : FIRST_MAX);
        else if (step.event == GRPC_BYTES)
            *memory = mesh__result_append_body(call->result, step.bytes);
        else if (step.event == GRPC_END)
            grpc->whole = true;
    } while (*memory && step.event != GRPC_MORE && step.event != GRPC_FAILED);
    return step.event;
}

/* What there is to say about a response that says nothing about itself. */
static void explain_silence(struct call *call)
{
    struct mesh_result *result = call->result;
    const mesh_header *type = find(result->headers, result->header_count, VIEW_LITERAL("content-type"));
    char text[120];
    if (result->http_status != 200)
        (void)snprintf(text, sizeof(text), "the response has HTTP status %d and no grpc-status",
                       (int)result->http_status);
    else if (!call->grpc.framed)
        (void)snprintf(text, sizeof(text), "the response is no gRPC: its content-type is \"%.50s\"",
                       type ? type->value : "");
    else
        (void)snprintf(text, sizeof(text), "the response has no grpc-status");
    const char *copy = mesh__result_copy(result, mesh__view_of(text));
    result->grpc_message = copy ? copy : "";
}

const char *mesh__grpc_finish(struct call *call)
{
    struct grpc_call *grpc = &call->grpc;
    struct mesh_result *result = call->result;
    bool between = !grpc->framed || mesh__grpc_between(&grpc->decoder);
    result->grpc_status = (int32_t)grpc->outcome.status;
    if (!grpc->outcome.said)
        explain_silence(call);
    if (result->trailer_count == 0) { /* a response that is nothing but a head: its fields are trailers */
        result->trailers = result->headers;
        result->trailer_count = result->header_count;
    }
    if (call->stream)
        return NULL; /* its reader takes the messages */
    if (grpc->outcome.status != GRPC_OK) {
        (void)mesh__result_start_body(result, 0);
        return NULL;
    }
    if (grpc->whole && between)
        return NULL;
    return between ? "a response without a message" : "a response that ends within a message";
}

/* ---- failures ---- */

int32_t mesh__grpc_of_failure(mesh_status status, int64_t http2_code)
{
    return (int32_t)(http2_code < 0 ? mesh__grpc_from_mesh(status) : mesh__grpc_from_http2((uint32_t)http2_code));
}

void mesh__grpc_conclude(struct call *call)
{
    struct mesh_result *result = call->result;
    const struct attempt_record *last = result->attempt_count ? &result->attempts[result->attempt_count - 1] : NULL;
    result->grpc_status =
        last && last->status == result->status ? last->grpc_status : mesh__grpc_of_failure(result->status, -1);
}
