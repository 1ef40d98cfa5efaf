/* SPDX-License-Identifier: Apache-2.0 */
/* classify.c - one switch over the statuses. */
#include "policy/classify.h"

#include <stddef.h>

/* What a failure weighs in the estimate at least, so that an endpoint that fails fast attracts nothing. */
#define PENALTY NANOS_S

static mesh_nanos penalty(const struct report *report)
{
    return mesh__nanos_max(mesh__nanos_max(report->elapsed, PENALTY), report->retry_after);
}

static struct verdict failure(const struct report *report, enum breaker_event event)
{
    return (struct verdict){ .breaker = event, .sample = SAMPLE_RECORD, .sample_ns = penalty(report) };
}

/* Says nothing about the endpoint but that it took at least so long. */
static struct verdict cut_short(const struct report *report)
{
    return (struct verdict){ .breaker = BREAKER_NEUTRAL, .sample = SAMPLE_RAISE, .sample_ns = report->elapsed };
}

/* What a response counts as: with status 200 its gRPC status decides. */
static int32_t weighed_status(const struct report *report)
{
    static const int16_t of_grpc[] = {
        [MESH_GRPC_OK] = 200,
        [MESH_GRPC_CANCELLED] = 499,
        [MESH_GRPC_UNKNOWN] = 500,
        [MESH_GRPC_INVALID_ARGUMENT] = 400,
        [MESH_GRPC_DEADLINE_EXCEEDED] = 504,
        [MESH_GRPC_NOT_FOUND] = 404,
        [MESH_GRPC_ALREADY_EXISTS] = 409,
        [MESH_GRPC_PERMISSION_DENIED] = 403,
        [MESH_GRPC_RESOURCE_EXHAUSTED] = 429,
        [MESH_GRPC_FAILED_PRECONDITION] = 400,
        [MESH_GRPC_ABORTED] = 409,
        [MESH_GRPC_OUT_OF_RANGE] = 400,
        [MESH_GRPC_UNIMPLEMENTED] = 501,
        [MESH_GRPC_INTERNAL] = 500,
        [MESH_GRPC_UNAVAILABLE] = 503,
        [MESH_GRPC_DATA_LOSS] = 500,
        [MESH_GRPC_UNAUTHENTICATED] = 401,
    };
    size_t number = (size_t)report->grpc_status;
    if (report->http_status != 200)
        return report->http_status;
    return number < sizeof(of_grpc) / sizeof(of_grpc[0]) ? of_grpc[number] : 500;
}

static struct verdict of_response(const struct report *report)
{
    int32_t status = weighed_status(report);
    struct verdict verdict = failure(report, status == 429 ? BREAKER_SUCCESS : BREAKER_FAILURE);
    if (status != 429 && (status < 500 || status > 599))
        return (struct verdict){ .breaker = BREAKER_SUCCESS,
                                 .sample = report->probe ? SAMPLE_RESET : SAMPLE_RECORD,
                                 .sample_ns = report->elapsed };
    if (status == 429 || status == 503)
        verdict.freeze = mesh__nanos_max(report->retry_after, 0);
    return verdict;
}

/* Ended by this side. */
static struct verdict of_our_end(const struct report *report)
{
    return report->delivered ? of_response(report) : cut_short(report);
}

struct verdict mesh__classify(const struct report *report)
{
    switch (report->status) {
    case MESH_OK:
        return of_response(report);
    case MESH_CONNECT_REFUSED:
    case MESH_CONNECT_UNREACHABLE:
    case MESH_TLS_EXPIRED:
    case MESH_TLS_NOT_YET_VALID:
    case MESH_TLS_UNKNOWN_AUTHORITY:
    case MESH_TLS_WRONG_ID:
    case MESH_TLS_WRONG_TRUST_DOMAIN:
    case MESH_TLS_WRONG_NAME:
    case MESH_TLS_BAD_CERTIFICATE:
    case MESH_TLS_REVOKED:
    case MESH_TLS_NO_CERTIFICATE:
    case MESH_TLS_REFUSED_BY_PEER:
    case MESH_TLS_PROTOCOL:
    case MESH_DENIED:
        /* No request can get through before somebody changes something. */
        return failure(report, BREAKER_SHUT_NOW);
    case MESH_RESET:
    case MESH_REFUSED:
        /* A connection that the peer has closed, or went away from in order, tells of itself, not of the endpoint. */
        return report->stale ? cut_short(report) : failure(report, BREAKER_FAILURE);
    case MESH_DEADLINE:
        return report->delivered || report->short_deadline ? of_our_end(report) : failure(report, BREAKER_FAILURE);
    case MESH_CONNECT_TIMEOUT:
    case MESH_TLS_TIMEOUT:
    case MESH_PER_TRY_TIMEOUT:
    case MESH_PARTIAL_RESPONSE:
    case MESH_PROTOCOL:
        return failure(report, BREAKER_FAILURE);
    case MESH_CANCELLED:
    case MESH_BODY_TOO_LARGE:
    case MESH_HEADER_TOO_LARGE:
    case MESH_TOO_MANY_HEADERS:
        return of_our_end(report);
    default:
        return (struct verdict){ .breaker = BREAKER_NEUTRAL, .sample = SAMPLE_NONE };
    }
}
