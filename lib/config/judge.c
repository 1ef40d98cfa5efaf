/* SPDX-License-Identifier: Apache-2.0 */
/* judge.c - one function for each group of values that must agree.
 *
 * A pair is judged where one of the two is set: in the service, or in the defaults for all services that set neither.
 */
#include "config/judge.h"

#include "config/units.h"

#include <cjson/cJSON.h>

/* The value that set the first of two fields that is set; NULL when neither is set here. */
static const struct cJSON *either(const struct draft *draft, enum field_id a, enum field_id b)
{
    return draft->source[a] ? draft->source[a] : draft->source[b];
}

/* An error unless a <= b, where either is set. */
static void order(struct loader *loader, const struct draft *draft, enum field_id a_id, mesh_nanos a,
                  enum field_id b_id, mesh_nanos b)
{
    char a_text[UNITS_TEXT_MAX], b_text[UNITS_TEXT_MAX];
    const struct cJSON *value = either(draft, a_id, b_id);
    if (value == NULL || a <= b)
        return;
    const char *a_words = mesh__units_format_duration(a, a_text), *b_words = mesh__units_format_duration(b, b_text);
    if (value == draft->source[a_id])
        LOAD_ERROR(loader, value, "%s is more than %s, which is %s, expected at most that", a_words,
                   mesh__fields[b_id].key, b_words);
    else
        LOAD_ERROR(loader, value, "%s is less than %s, which is %s, expected at least that", b_words,
                   mesh__fields[a_id].key, a_words);
}

/* A warning that `shorter` never ends anything, where it is set itself. */
static void warn_never(struct loader *loader, const struct draft *draft, enum field_id id, mesh_nanos shorter)
{
    char text[UNITS_TEXT_MAX];
    mesh_nanos timeout = draft->service.timeout;
    if (draft->source[id] != NULL && shorter >= timeout)
        LOAD_WARNING(loader, draft->source[id], "has no effect: the service's timeout, %s, comes first",
                     mesh__units_format_duration(timeout, text));
}

static void judge_times(struct loader *loader, const struct draft *draft)
{
    const struct service_config *service = &draft->service;
    warn_never(loader, draft, F_RETRY_per_try_timeout, service->retry.per_try_timeout);
    if (service->connect_timeout > service->timeout)
        warn_never(loader, draft, F_SERVICE_connect_timeout, service->connect_timeout);
    if (service->tls.handshake_timeout > service->timeout)
        warn_never(loader, draft, F_SERVICE_TLS_handshake_timeout, service->tls.handshake_timeout);
    if (service->discover.timeout > service->timeout)
        warn_never(loader, draft, F_DISCOVER_timeout, service->discover.timeout);
    order(loader, draft, F_BACKOFF_base, service->retry.backoff_base, F_BACKOFF_max, service->retry.backoff_max);
    order(loader, draft, F_BREAKER_shut, service->breaker.shut, F_BREAKER_max_shut, service->breaker.max_shut);
}

static bool names_statuses(const struct retry_config *retry)
{
    for (size_t i = 0; i < sizeof(retry->statuses) / sizeof(retry->statuses[0]); i++)
        if (retry->statuses[i] != 0)
            return true;
    return false;
}

static void judge_retry(struct loader *loader, const struct draft *draft)
{
    const struct retry_config *retry = &draft->service.retry;
    const struct cJSON *on = draft->source[F_RETRY_on], *backoff = draft->source[F_RETRY_backoff];
    const struct cJSON *unsafe = draft->source[F_RETRY_non_idempotent];
    if (on != NULL && retry->attempts == 1)
        LOAD_WARNING(loader, on, "has no effect: attempts is 1, so nothing is tried again");
    if (backoff != NULL && retry->attempts == 1)
        LOAD_WARNING(loader, backoff, "has no effect: attempts is 1, so nothing is tried again");
    if (on != NULL && retry->on & RETRY_ON_PER_TRY_TIMEOUT && retry->per_try_timeout == 0)
        LOAD_WARNING(loader, on, "\"per-try-timeout\" has no effect: there is no per_try_timeout");
    if (unsafe != NULL && retry->non_idempotent && (retry->on & ~(uint32_t)RETRY_ON_DEFAULT) == 0 &&
        !names_statuses(retry))
        LOAD_WARNING(loader, unsafe, "has no effect: what is in \"on\" is safe for every request anyway");
}

static void judge_breaker(struct loader *loader, const struct draft *draft)
{
    static const enum field_id fields[] = { F_BREAKER_failures, F_BREAKER_shut, F_BREAKER_max_shut, F_BREAKER_jitter };
    if (draft->service.breaker_enabled)
        return;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        if (draft->source[fields[i]] != NULL)
            LOAD_WARNING(loader, draft->source[fields[i]], "has no effect: the circuit breaker is not enabled");
}

static void judge_endpoints(struct loader *loader, const struct draft *draft)
{
    const struct cJSON *endpoints = draft->source[F_SERVICE_endpoints], *discover = draft->source[F_SERVICE_discover];
    const struct cJSON *dns = draft->source[F_DISCOVER_dns], *file = draft->source[F_DISCOVER_file];
    if (endpoints != NULL && discover != NULL)
        LOAD_ERROR(loader, discover, "discover stands beside endpoints, expected one of them");
    else if (endpoints == NULL && discover == NULL && draft->source[F_SERVICE_url] == NULL)
        LOAD_ERROR(loader, draft->value, "there are no endpoints, expected \"endpoints\" or \"discover\"");
    else if (dns != NULL && file != NULL)
        LOAD_ERROR(loader, discover, "dns stands beside file, expected one of them");
    else if (cJSON_IsObject(discover) && dns == NULL && file == NULL && draft->source[F_DISCOVER_srv] == NULL)
        LOAD_ERROR(loader, discover, "says nowhere to look, expected \"dns\" or \"file\"");
    if (endpoints != NULL && draft->service.endpoint_count == 1 && draft->source[F_SERVICE_balancer] != NULL)
        LOAD_WARNING(loader, draft->source[F_SERVICE_balancer], "has no effect: there is one endpoint only");
}

void mesh__judge_service(struct loader *loader, const struct draft *draft, bool is_defaults)
{
    judge_times(loader, draft);
    judge_retry(loader, draft);
    judge_breaker(loader, draft);
    mesh__judge_service_tls(loader, draft, is_defaults);
    if (!is_defaults)
        judge_endpoints(loader, draft);
}
