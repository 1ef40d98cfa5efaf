/* SPDX-License-Identifier: Apache-2.0 */
/* api_result.c - the exported functions that read results and handle tokens. */
#include "client/result.h"
#include "client/token.h"

#include <stddef.h>
#include <string.h>

/* Up to its last member: what the first version of the struct had. */
#define ATTEMPT_SIZE_LEAST (offsetof(mesh_attempt, backoff_ns) + sizeof(int64_t))

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const char *name_of(const char *const *names, size_t count, int32_t number)
{
    return number >= 0 && (size_t)number < count ? names[number] : "unknown";
}

const char *mesh_pick_name(int32_t pick)
{
    static const char *const names[] = { "none", "only", "round-robin", "least", "tie", "probe", "panic", "pinned" };
    return name_of(names, COUNT_OF(names), pick);
}

const char *mesh_retry_name(int32_t retry)
{
    static const char *const names[] = { "none",
                                         "unsent",
                                         "connect-failure",
                                         "refused",
                                         "reset-before-request",
                                         "reset",
                                         "5xx",
                                         "gateway-error",
                                         "status",
                                         "per-try-timeout",
                                         "cancelled",
                                         "deadline-exceeded",
                                         "internal",
                                         "resource-exhausted",
                                         "unavailable" };
    return name_of(names, COUNT_OF(names), retry);
}

const char *mesh_stop_name(int32_t stop)
{
    static const char *const names[] = { "none",     "not-retryable", "not-idempotent", "attempts", "budget",
                                         "deadline", "asked",         "replay",         "push-back" };
    return name_of(names, COUNT_OF(names), stop);
}

void mesh_attempt_init(mesh_attempt *attempt)
{
    if (attempt)
        *attempt = (mesh_attempt)MESH_ATTEMPT_INIT;
}

mesh_status mesh_result_code(const mesh_result *result)
{
    return result ? result->status : MESH_EINVAL;
}

int32_t mesh_result_status(const mesh_result *result)
{
    return result ? result->http_status : 0;
}

const void *mesh_result_body(const mesh_result *result)
{
    return result ? result->body : "";
}

size_t mesh_result_body_size(const mesh_result *result)
{
    return result ? result->body_size : 0;
}

size_t mesh_result_header_count(const mesh_result *result)
{
    return result ? result->header_count : 0;
}

static mesh_status field_at(const mesh_header *fields, size_t count, size_t index, mesh_header *out)
{
    if (out == NULL || index >= count)
        return MESH_EINVAL;
    *out = fields[index];
    return MESH_OK;
}

static const char *value_of(const mesh_header *fields, size_t count, const char *name)
{
    struct view wanted = mesh__view_of(name);
    for (size_t i = 0; name && i < count; i++)
        if (mesh__view_equal_nocase(mesh__view(fields[i].name, fields[i].name_size), wanted))
            return fields[i].value;
    return NULL;
}

mesh_status mesh_result_header(const mesh_result *result, size_t index, mesh_header *out)
{
    return result ? field_at(result->headers, result->header_count, index, out) : MESH_EINVAL;
}

const char *mesh_result_header_value(const mesh_result *result, const char *name)
{
    return result ? value_of(result->headers, result->header_count, name) : NULL;
}

size_t mesh_result_trailer_count(const mesh_result *result)
{
    return result ? result->trailer_count : 0;
}

mesh_status mesh_result_trailer(const mesh_result *result, size_t index, mesh_header *out)
{
    return result ? field_at(result->trailers, result->trailer_count, index, out) : MESH_EINVAL;
}

const char *mesh_result_trailer_value(const mesh_result *result, const char *name)
{
    return result ? value_of(result->trailers, result->trailer_count, name) : NULL;
}

int32_t mesh_result_grpc_status(const mesh_result *result)
{
    return result ? result->grpc_status : -1;
}

const char *mesh_result_grpc_message(const mesh_result *result)
{
    return result ? result->grpc_message : "";
}

const char *mesh_result_message(const mesh_result *result)
{
    return result ? result->message : "EINVAL: no result";
}

mesh_call_id mesh_result_id(const mesh_result *result)
{
    return result ? result->id : 0;
}

uint64_t mesh_result_tag(const mesh_result *result)
{
    return result ? result->tag : 0;
}

int64_t mesh_result_duration_ns(const mesh_result *result)
{
    return result ? result->duration : 0;
}

const char *mesh_result_trace_id(const mesh_result *result)
{
    return result && result->trace_id[0] ? result->trace_id : "00000000000000000000000000000000";
}

size_t mesh_result_attempt_count(const mesh_result *result)
{
    return result ? result->attempt_count : 0;
}

mesh_status mesh_result_attempt(const mesh_result *result, size_t index, mesh_attempt *out)
{
    if (result == NULL || out == NULL || index >= result->attempt_count || out->size < ATTEMPT_SIZE_LEAST)
        return MESH_EINVAL;
    const struct attempt_record *from = &result->attempts[index];
    static const struct attempt_security none;
    const struct attempt_security *security = from->security ? from->security : &none;
    uint64_t span = 0;
    for (size_t i = 0; i < sizeof(from->span_id); i++)
        span = span << 8 | from->span_id[i];
    mesh_attempt full = {
        .size = out->size,
        .status = from->status,
        .http_status = from->http_status,
        .pick = from->pick,
        .retry = from->retry,
        .stop = from->stop,
        .reused = from->reused,
        .error_number = from->error_number,
        .endpoint = from->endpoint,
        .span_id = span,
        .start_ns = from->start,
        .connect_ns = from->connect,
        .send_ns = from->send,
        .wait_ns = from->wait,
        .receive_ns = from->receive,
        .backoff_ns = from->backoff,
        .tls_ns = from->tls,
        .reason = from->reason,
        .peer_id = security->peer_id,
        .tls_version = security->version,
        .tls_suite = security->suite,
        .alpn = security->alpn,
        .tls_resumed = security->resumed,
        .http_version = from->http_version,
        .grpc_status = from->grpc_status,
    };
    memcpy(out, &full, out->size < sizeof(full) ? out->size : sizeof(full));
    return MESH_OK;
}

void mesh_result_free(mesh_result *result)
{
    mesh__result_release(result);
}

mesh_status mesh_token_new(mesh_token **out)
{
    if (out == NULL)
        return MESH_EINVAL;
    *out = mesh__token_new();
    return *out ? MESH_OK : MESH_NO_MEMORY;
}

void mesh_token_cancel(mesh_token *token)
{
    if (token)
        mesh__token_cancel(token);
}

void mesh_token_free(mesh_token *token)
{
    mesh__token_unref(token);
}
