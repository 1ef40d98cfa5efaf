/* SPDX-License-Identifier: Apache-2.0 */
/* retry.c - from an outcome to a word of retry.on, and whether that word holds for this request. */
#include "policy/retry.h"

#include <string.h>

/* A word of retry.on that covers an outcome. `safe`: the peer has not acted on the request, whatever its method. */
struct match {
    enum mesh_retry retry;
    bool safe;
};

static const struct match no_match = { MESH_RETRY_NONE, false };

static bool names_status(const struct retry_config *config, int32_t status)
{
    return status >= 0 && status < 1024 && (config->statuses[status / 64] >> (status % 64) & 1) != 0;
}

static struct match match_grpc(const struct retry_config *config, const struct report *report)
{
    bool safe = report->status != MESH_OK && (report->unsent || report->sent == SENT_NONE);
    static const struct {
        enum mesh_grpc_status status;
        enum retry_word word;
        enum mesh_retry retry;
    } rows[] = { { MESH_GRPC_CANCELLED, RETRY_ON_CANCELLED, MESH_RETRY_CANCELLED },
                 { MESH_GRPC_DEADLINE_EXCEEDED, RETRY_ON_DEADLINE_EXCEEDED, MESH_RETRY_DEADLINE_EXCEEDED },
                 { MESH_GRPC_INTERNAL, RETRY_ON_INTERNAL, MESH_RETRY_INTERNAL },
                 { MESH_GRPC_RESOURCE_EXHAUSTED, RETRY_ON_RESOURCE_EXHAUSTED, MESH_RETRY_RESOURCE_EXHAUSTED },
                 { MESH_GRPC_UNAVAILABLE, RETRY_ON_UNAVAILABLE, MESH_RETRY_UNAVAILABLE } };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (report->grpc_status == (int32_t)rows[i].status && (config->on & rows[i].word))
            return (struct match){ rows[i].retry, safe };
    return no_match;
}

static struct match match_response(const struct retry_config *config, int32_t status)
{
    if (names_status(config, status))
        return (struct match){ MESH_RETRY_STATUS, false };
    if ((config->on & RETRY_ON_GATEWAY_ERROR) && status >= 502 && status <= 504)
        return (struct match){ MESH_RETRY_GATEWAY_ERROR, false };
    if ((config->on & RETRY_ON_5XX) && status >= 500 && status <= 599)
        return (struct match){ MESH_RETRY_5XX, false };
    return no_match;
}

static struct match match_reset(const struct retry_config *config, const struct report *report)
{
    bool safe = report->unsent || report->sent == SENT_NONE;
    if (safe && (config->on & RETRY_ON_RESET_BEFORE_REQUEST))
        return (struct match){ MESH_RETRY_RESET_BEFORE_REQUEST, true };
    if (config->on & RETRY_ON_RESET)
        return (struct match){ MESH_RETRY_RESET, safe };
    return no_match;
}

/* What befell the attempt, by every word but those of gRPC. */
static struct match match_outcome(const struct retry_config *config, const struct report *report)
{
    switch (report->status) {
    case MESH_OK:
        return match_response(config, report->http_status);
    case MESH_CONNECT_REFUSED:
    case MESH_CONNECT_TIMEOUT:
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
    case MESH_TLS_TIMEOUT:
    case MESH_DENIED:
        return config->on & RETRY_ON_CONNECT_FAILURE ? (struct match){ MESH_RETRY_CONNECT_FAILURE, true } : no_match;
    case MESH_REFUSED:
        return config->on & RETRY_ON_REFUSED ? (struct match){ MESH_RETRY_REFUSED, true } : no_match;
    case MESH_RESET:
    case MESH_PARTIAL_RESPONSE:
        return match_reset(config, report);
    case MESH_PER_TRY_TIMEOUT:
        return config->on & RETRY_ON_PER_TRY_TIMEOUT ? (struct match){ MESH_RETRY_PER_TRY_TIMEOUT, report->unsent }
                                                     : no_match;
    default:
        return no_match;
    }
}

static struct match match(const struct retry_config *config, const struct report *report)
{
    struct match found = match_outcome(config, report);
    return found.retry == MESH_RETRY_NONE ? match_grpc(config, report) : found;
}

/* Only what happened at the connection or beyond: repeating what this side ran out of would not help, and hands that
 * were refused are refused again until somebody changes something. */
static bool is_free(const struct retry_question *question)
{
    const struct report *report = question->report;
    switch (report->status) {
    case MESH_CONNECT_REFUSED:
    case MESH_CONNECT_TIMEOUT:
    case MESH_CONNECT_UNREACHABLE:
    case MESH_REFUSED:
    case MESH_RESET:
    case MESH_PER_TRY_TIMEOUT:
        return !question->free_used && (report->unsent || (report->stale && question->idempotent));
    default:
        return false;
    }
}

static struct retry_answer refuse(enum mesh_stop stop)
{
    return (struct retry_answer){ MESH_RETRY_NONE, stop };
}

static struct retry_answer repeat(enum mesh_retry retry)
{
    return (struct retry_answer){ retry, MESH_STOP_NONE };
}

struct retry_answer mesh__retry_decide(const struct retry_config *config, const struct retry_question *question)
{
    const struct report *report = question->report;
    struct match found = match(config, report);
    if (report->status == MESH_OK && found.retry == MESH_RETRY_NONE)
        return refuse(MESH_STOP_NONE);
    /* A connection that was about to close is not where the one attempt was meant to go. */
    if (question->disabled && !(report->unsent && report->stale && is_free(question)))
        return refuse(MESH_STOP_ASKED);
    if (report->status == MESH_DEADLINE)
        return refuse(MESH_STOP_DEADLINE);
    if (is_free(question))
        return repeat(MESH_RETRY_UNSENT);
    if (found.retry == MESH_RETRY_NONE)
        return refuse(MESH_STOP_NOT_RETRYABLE);
    if (report->pushed_back && report->pushback < 0)
        return refuse(MESH_STOP_PUSHBACK);
    if (!found.safe && !question->idempotent && !config->non_idempotent)
        return refuse(MESH_STOP_NOT_IDEMPOTENT);
    if (question->attempts_made >= config->attempts)
        return refuse(MESH_STOP_ATTEMPTS);
    return repeat(found.retry);
}

bool mesh__retry_wants_status(const struct retry_config *config, int32_t http_status)
{
    return match_response(config, http_status).retry != MESH_RETRY_NONE;
}

mesh_nanos mesh__retry_backoff(const struct retry_config *config, uint32_t retry, uint32_t random)
{
    mesh_nanos max = mesh__nanos_max(config->backoff_max, 0);
    mesh_nanos cap = mesh__nanos_min(mesh__nanos_max(config->backoff_base, 0), max);
    for (uint32_t i = 1; i < retry && cap > 0 && cap < max; i++)
        cap = cap > max / 2 ? max : cap * 2;
    double drawn = (double)cap * ((double)random / (double)UINT32_MAX);
    return drawn < (double)cap ? (mesh_nanos)drawn : cap;
}

bool mesh__retry_idempotent_method(const char *method)
{
    static const char methods[][8] = { "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE" };
    if (method == NULL)
        return true;
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        if (strcmp(method, methods[i]) == 0)
            return true;
    return false;
}
