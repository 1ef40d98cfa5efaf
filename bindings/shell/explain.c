/* SPDX-License-Identifier: Apache-2.0 */
/* explain.c - what happened in a call, in words: each line begins with '*'. */
#include "explain.h"

#include "json_in.h"

#include <string.h>

static double ms(int64_t ns)
{
    return (double)ns / 1e6;
}

static const char *pick_words(int32_t pick)
{
    switch (pick) {
    case MESH_PICK_ONLY:
        return "there was no other";
    case MESH_PICK_ROUND_ROBIN:
        return "it was its turn";
    case MESH_PICK_LEAST:
        return "the better of two candidates";
    case MESH_PICK_TIE:
        return "two candidates were as good as each other, chance decided";
    case MESH_PICK_PROBE:
        return "it was shut, and this call tried whether it is back";
    case MESH_PICK_PANIC:
        return "too few endpoints are healthy, so all are used";
    case MESH_PICK_PINNED:
        return "the request asked for it";
    default:
        return "none could be picked";
    }
}

static const char *retry_words(int32_t retry)
{
    switch (retry) {
    case MESH_RETRY_UNSENT:
        return "the request provably never reached the peer, so repeating it once costs nothing";
    case MESH_RETRY_STATUS:
        return "retry.on names this status";
    default:
        return "retry.on has this word";
    }
}

static const char *stop_words(int32_t stop)
{
    switch (stop) {
    case MESH_STOP_NOT_RETRYABLE:
        return "retry.on does not name this outcome";
    case MESH_STOP_NOT_IDEMPOTENT:
        return "the request may have had an effect; --idempotent allows it";
    case MESH_STOP_ATTEMPTS:
        return "retry.attempts is used up";
    case MESH_STOP_BUDGET:
        return "the retry budget or max_retries is used up";
    case MESH_STOP_DEADLINE:
        return "the wait before it does not fit into the deadline";
    case MESH_STOP_REPLAY:
        return "more was written than is kept for repeating it";
    case MESH_STOP_PUSHBACK:
        return "the peer asked for it, by grpc-retry-pushback-ms";
    default:
        return "the request asked for one attempt";
    }
}

static void explain_timings(FILE *file, const mesh_attempt *attempt)
{
    const struct {
        const char *name;
        int64_t ns;
    } rows[] = { { "dns", attempt->dns_ns },   { "connect", attempt->connect_ns }, { "tls", attempt->tls_ns },
                 { "send", attempt->send_ns }, { "wait", attempt->wait_ns },       { "receive", attempt->receive_ns } };
    const char *separator = "*   timings: ";
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].ns == 0)
            continue;
        fprintf(file, "%s%s %.3f ms", separator, rows[i].name, ms(rows[i].ns));
        separator = ", ";
    }
    fputs(separator[0] == '*' ? "*   timings: nothing took measurable time\n" : "\n", file);
}

static void explain_security(FILE *file, const mesh_attempt *attempt)
{
    if (attempt->tls_version == NULL)
        return;
    fprintf(file, "*   secured by %s, %s%s%s, %s handshake; the peer is %s\n", attempt->tls_version, attempt->tls_suite,
            attempt->alpn && attempt->alpn[0] ? ", " : "", attempt->alpn ? attempt->alpn : "",
            attempt->tls_resumed ? "resumed" : "full",
            attempt->peer_id && attempt->peer_id[0] ? attempt->peer_id : "without a SPIFFE id");
}

static void explain_outcome(FILE *file, const mesh_attempt *attempt)
{
    char room[128];
    if (attempt->status == MESH_OK) {
        fprintf(file, "*   outcome: status %d", (int)attempt->http_status);
        if (attempt->grpc_status >= 0)
            fprintf(file, ", grpc-status %d %s", (int)attempt->grpc_status,
                    mesh_grpc_status_name(attempt->grpc_status));
        fputc('\n', file);
    } else {
        fprintf(file, "*   outcome: %s, %s", mesh_status_name(attempt->status), mesh_status_text(attempt->status));
        if (attempt->reason)
            fprintf(file, " (%s)", attempt->reason);
        else if (attempt->error_number != 0)
            fprintf(file, " (%s)", strerror_r(attempt->error_number, room, sizeof(room)));
        fputc('\n', file);
    }
    if (attempt->retry != MESH_RETRY_NONE)
        fprintf(file, "*   retried: %s, %s\n", mesh_retry_name(attempt->retry), retry_words(attempt->retry));
    if (attempt->stop != MESH_STOP_NONE)
        fprintf(file, "*   not retried: %s, %s\n", mesh_stop_name(attempt->stop), stop_words(attempt->stop));
}

static void explain_attempt(FILE *file, size_t index, const mesh_attempt *attempt)
{
    fprintf(file, "* attempt %zu, at %.3f ms", index + 1, ms(attempt->start_ns));
    if (attempt->backoff_ns > 0)
        fprintf(file, " after a backoff of %.3f ms", ms(attempt->backoff_ns));
    fprintf(file, ": picked %s (%s: %s), %s connection%s, span %016llx\n",
            attempt->endpoint ? attempt->endpoint : "none", mesh_pick_name(attempt->pick), pick_words(attempt->pick),
            attempt->reused ? "reused" : "new", attempt->http_version == 20 ? " over HTTP/2" : "",
            (unsigned long long)attempt->span_id);
    explain_timings(file, attempt);
    explain_security(file, attempt);
    explain_outcome(file, attempt);
}

static void explain_endpoint(FILE *file, struct json endpoint)
{
    char address[128], state[32];
    double estimate = json_number(json_member(endpoint, "estimate_ms"), -1);
    double probe = json_number(json_member(endpoint, "next_probe_ms"), -1);
    fprintf(file, "*   %s: weight %.0f, breaker %s, failures in a row %.0f",
            json_text(json_member(endpoint, "address"), address, sizeof(address), "?"),
            json_number(json_member(endpoint, "weight"), 1),
            json_text(json_member(endpoint, "breaker"), state, sizeof(state), "?"),
            json_number(json_member(endpoint, "failures"), 0));
    if (probe >= 0)
        fprintf(file, ", next probe in %.0f ms", probe);
    if (json_is_true(json_member(endpoint, "out")))
        fputs(", taken out", file);
    if (estimate >= 0)
        fprintf(file, ", estimate %.3f ms", estimate);
    fputc('\n', file);
}

static void explain_service(FILE *file, const char *name, struct json service)
{
    char state[64], room[256];
    struct json endpoints = json_member(service, "endpoints"), endpoint = { NULL, NULL };
    size_t count = 0;
    while (json_next(endpoints, &endpoint))
        count++;
    const char *detail = json_text(json_member(service, "detail"), room, sizeof(room), "");
    fprintf(file, "* service %s: %zu endpoint%s seen, discovery %s%s%s\n", name, count, count == 1 ? "" : "s",
            json_text(json_member(service, "discovery"), state, sizeof(state), "?"), detail[0] ? ": " : "", detail);
    while (json_next(endpoints, &endpoint))
        explain_endpoint(file, endpoint);
}

static void explain_budget(FILE *file, struct json service)
{
    struct json counters = json_member(service, "counters");
    fprintf(file, "* retry budget: %.0f left; retries made %.0f, denied %.0f%s\n",
            json_number(json_member(service, "retry_budget"), 0), json_number(json_member(counters, "retries"), 0),
            json_number(json_member(counters, "retries_denied"), 0),
            json_is_true(json_member(service, "panic")) ? "; in panic: too few endpoints are healthy" : "");
}

void explain(FILE *file, mesh_client *client, const char *service, const mesh_result *result)
{
    char *text = mesh_client_inspect(client, service);
    struct json state = json_member(json_member(json_whole(text), "services"), service);
    if (state.at)
        explain_service(file, service, state);
    for (size_t i = 0; i < mesh_result_attempt_count(result); i++) {
        mesh_attempt attempt = MESH_ATTEMPT_INIT;
        if (mesh_result_attempt(result, i, &attempt) == MESH_OK)
            explain_attempt(file, i, &attempt);
    }
    if (state.at)
        explain_budget(file, state);
    fprintf(file, "* result: %s, status %d", mesh_status_name(mesh_result_code(result)),
            (int)mesh_result_status(result));
    if (mesh_result_grpc_status(result) >= 0)
        fprintf(file, ", grpc-status %d %s", (int)mesh_result_grpc_status(result),
                mesh_grpc_status_name(mesh_result_grpc_status(result)));
    fprintf(file, ", %zu bytes of body, after %.3f ms, trace %s\n", mesh_result_body_size(result),
            ms(mesh_result_duration_ns(result)), mesh_result_trace_id(result));
    mesh_string_free(text);
}
