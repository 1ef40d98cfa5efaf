/* SPDX-License-Identifier: Apache-2.0 */
/* inspect.c - sums over shards, and a snapshot written out. */
#include "client/inspect.h"

#include "client/snapshot.h"

#include <string.h>

#define JSON_MAX (256 * 1024 * 1024)

/* Every field of mesh_counters after the head, in its order. */
#define ALL_COUNTERS(X)                                                                                                \
    X(calls)                                                                                                           \
    X(responses)                                                                                                       \
    X(failures)                                                                                                        \
    X(cancelled)                                                                                                       \
    X(deadlines)                                                                                                       \
    X(overloaded)                                                                                                      \
    X(attempts)                                                                                                        \
    X(retries)                                                                                                         \
    X(retries_denied)                                                                                                  \
    X(attempt_failures)                                                                                                \
    X(responses_5xx)                                                                                                   \
    X(connects)                                                                                                        \
    X(connect_failures)                                                                                                \
    X(disconnects)                                                                                                     \
    X(shuts)                                                                                                           \
    X(probes)                                                                                                          \
    X(panics)                                                                                                          \
    X(bytes_sent)                                                                                                      \
    X(bytes_received)                                                                                                  \
    X(active)                                                                                                          \
    X(pending)                                                                                                         \
    X(connections)

static void count_endpoint(struct endpoint *endpoint, mesh_counters *out)
{
    mesh__live_count_endpoint(endpoint, out);
    /* The two are read one after the other: never show fewer than none. */
    out->connections = out->connects > out->disconnects ? out->connects - out->disconnects : 0;
}

mesh_status mesh__inspect_counters(struct mesh_client *client, const char *name, const char *endpoint,
                                   mesh_counters *out)
{
    mesh_counters counters = MESH_COUNTERS_INIT;
    struct snapshot *snapshot = mesh__snapshot_get(client);
    const struct service *service = mesh__snapshot_service(snapshot, name);
    mesh_status status = service ? MESH_OK : MESH_ESERVICE;
    if (service && endpoint == NULL) {
        mesh__live_count_service(service->live, &counters);
    } else if (service) {
        status = MESH_NO_ENDPOINT;
        for (uint32_t i = 0; i < service->count && status != MESH_OK; i++)
            if (strcmp(service->endpoints[i].endpoint->address.text, endpoint) == 0) {
                count_endpoint(service->endpoints[i].endpoint, &counters);
                status = MESH_OK;
            }
    }
    mesh__snapshot_unref(snapshot);
    if (status == MESH_OK) {
        uint32_t size = out->size;
        memcpy(out, &counters, size < sizeof(counters) ? size : sizeof(counters));
        out->size = size;
    }
    return status;
}

static void write_counters(struct buf *out, const mesh_counters *counters)
{
    const char *comma = "";
    mesh__buf_append_text(out, "\"counters\":{");
#define WRITE(name)                                                                                                    \
    mesh__buf_printf(out, "%s\"" #name "\":%llu", comma, (unsigned long long)counters->name);                          \
    comma = ",";
    ALL_COUNTERS(WRITE)
#undef WRITE
    mesh__buf_append_char(out, '}');
}

static void write_endpoint(struct buf *out, const struct mesh_client *client, const struct service_endpoint *at)
{
    static const char *const states[] = { "closed", "shut", "probe", "retired" };
    struct endpoint *endpoint = at->endpoint;
    mesh_nanos now = mesh__client_time(client, client->world->now(client->world));
    struct breaker breaker = { atomic_load(&endpoint->breaker) };
    struct candidate candidate = mesh__live_candidate(endpoint, at->weight, NULL, now);
    mesh_counters counters = MESH_COUNTERS_INIT;
    count_endpoint(endpoint, &counters);
    mesh__buf_append_text(out, "{\"address\":\"");
    mesh__buf_append_json(out, mesh__view_of(endpoint->address.text));
    mesh__buf_printf(out, "\",\"weight\":%u,\"breaker\":\"%s\",\"failures\":%u", at->weight,
                     states[mesh__breaker_state(breaker)], mesh__breaker_failures(breaker));
    mesh_nanos next = mesh__breaker_next(breaker);
    if (next != NANOS_NEVER)
        mesh__buf_printf(out, ",\"next_probe_ms\":%lld", (long long)mesh__nanos_to_ms(mesh__nanos_max(0, next - now)));
    struct gate gate = { atomic_load(&endpoint->gate) };
    mesh__buf_printf(out, ",\"out\":%s,\"active\":%u,", mesh__gate_has_place(gate) ? "true" : "false",
                     candidate.active);
    if (candidate.cost >= 0)
        mesh__buf_printf(out, "\"estimate_ms\":%.3f,", candidate.cost / (double)NANOS_MS);
    write_counters(out, &counters);
    mesh__buf_append_char(out, '}');
}

static void write_service(struct buf *out, const struct mesh_client *client, const struct service *service)
{
    struct service_live *live = service->live;
    mesh_counters counters = MESH_COUNTERS_INIT;
    mesh__live_count_service(live, &counters);
    uint64_t word = atomic_load(&live->budget);
    struct budget budget;
    memcpy(&budget, &word, sizeof(word));
    mesh__buf_append_char(out, '"');
    mesh__buf_append_json(out, mesh__view_of(live->name));
    const char *state = service->status == MESH_OK         ? "ready"
                        : service->status == MESH_DEADLINE ? "pending"
                                                           : mesh_status_name(service->status);
    mesh__buf_printf(out, "\":{\"discovery\":\"%s\",\"detail\":\"", state);
    mesh__buf_append_json(out, mesh__view_of(service->detail));
    mesh__buf_printf(out, "\",\"retry_budget\":%u,\"unhealthy\":%u,\"out\":%u,\"panic\":%s,",
                     mesh__budget_balance(budget), atomic_load(&live->unhealthy), atomic_load(&live->places),
                     service->policy->breaker_enabled && mesh__live_panic(live, service->count) ? "true" : "false");
    write_counters(out, &counters);
    mesh__buf_append_text(out, ",\"endpoints\":[");
    for (uint32_t i = 0; i < service->count; i++) {
        if (i > 0)
            mesh__buf_append_char(out, ',');
        write_endpoint(out, client, &service->endpoints[i]);
    }
    mesh__buf_append_text(out, "]}");
}

/* Whom this client says that it is, and for how long it can: below 0 when its certificate has run out. */
static void write_identity(struct buf *out, const struct mesh_client *client, const struct tls_identity *identity)
{
    int64_t end = mesh__tls_identity_not_after(identity);
    mesh__buf_append_text(out, "\"identity\":{\"id\":\"");
    mesh__buf_append_json(out, mesh__view_of(mesh__tls_identity_id(identity)));
    mesh__buf_append_char(out, '"');
    if (end > 0)
        mesh__buf_printf(out, ",\"expires_unix_s\":%lld,\"expires_in_s\":%lld", (long long)(end / NANOS_S),
                         (long long)((end - client->world->unix_now(client->world)) / NANOS_S));
    mesh__buf_append_text(out, "},");
}

char *mesh__inspect_json(struct mesh_client *client, const char *name)
{
    struct snapshot *snapshot = mesh__snapshot_get(client);
    const struct service *only = name ? mesh__snapshot_service(snapshot, name) : NULL;
    struct buf out;
    mesh__buf_init(&out, &mesh__mem_system, JSON_MAX);
    if (name == NULL || only != NULL) {
        mesh__buf_printf(&out, "{\"version\":\"%s\",\"shards\":%u,\"snapshot\":%llu,\"config\":%s,", mesh_version(),
                         client->shard_count, (unsigned long long)atomic_load(&client->version),
                         snapshot->config->json);
        if (snapshot->identity)
            write_identity(&out, client, snapshot->identity);
        mesh__buf_append_text(&out, "\"services\":{");
        bool first = true;
        for (uint32_t i = 0; i < snapshot->count; i++) {
            if (only && snapshot->services[i] != only)
                continue;
            if (!first)
                mesh__buf_append_char(&out, ',');
            write_service(&out, client, snapshot->services[i]);
            first = false;
        }
        mesh__buf_append_text(&out, "}}");
        (void)mesh__buf_text(&out);
    }
    mesh__snapshot_unref(snapshot);
    if (out.failed || out.size == 0) {
        mesh__buf_fini(&out);
        return NULL;
    }
    return out.data;
}
