/* SPDX-License-Identifier: Apache-2.0 */
/* dns_source.c - a name's addresses, asked for again ahead of their expiry, or with growing pauses while DNS fails. */
#include "base/rng.h"
#include "discover/source_inside.h"
#include "net/dns.h"

#include <stdio.h>

#define REFRESH_LEAST NANOS_S
#define REFRESH_MOST (300 * NANOS_S)
#define NEGATIVE_LEAST NANOS_S
#define NEGATIVE_MOST (30 * NANOS_S)
#define BACKOFF_FIRST NANOS_S
#define BACKOFF_MOST (30 * NANOS_S)
#define DETAIL_MAX 640

struct dns_source {
    struct source base;
    struct dns *dns;
    struct rng rng;
    struct dns_query *query; /* NULL: none under way */
    uint32_t failures;       /* in a row */
};

static struct dns_source *self_of(struct source *source)
{
    return CONTAINER_OF(source, struct dns_source, base);
}

static mesh_nanos clamp(mesh_nanos length, mesh_nanos least, mesh_nanos most)
{
    return mesh__nanos_max(least, mesh__nanos_min(length, most));
}

/* At four fifths of its life a list is asked for again, so that a slow answer still comes in time. */
static mesh_nanos refresh_after(uint32_t ttl_s)
{
    return clamp((mesh_nanos)ttl_s * NANOS_S / 5 * 4, REFRESH_LEAST, REFRESH_MOST);
}

static mesh_nanos negative_after(uint32_t ttl_s)
{
    return clamp((mesh_nanos)ttl_s * NANOS_S, NEGATIVE_LEAST, NEGATIVE_MOST);
}

/* 1 s, doubling, and up to a quarter more at random, so that a fleet does not come back as one. */
static mesh_nanos backoff_after(struct dns_source *self)
{
    mesh_nanos step = BACKOFF_FIRST << (self->failures < 5 ? self->failures : 5);
    self->failures++;
    step = mesh__nanos_min(step, BACKOFF_MOST / 5 * 4);
    uint32_t random = (uint32_t)(mesh__rng_next(&self->rng) >> 32);
    return step + (mesh_nanos)mesh__rng_below(random, 1000) * (step / 4000);
}

static bool is_family(const struct endpoint_config *endpoint, int family)
{
    return endpoint->address.socket.any.sa_family == family;
}

/* The answer as a list. While one family's question got no answer, what is known of it stays. NULL without memory. */
static struct endpoint_config *make_list(const struct source *source, const struct dns_answer *answer, uint32_t *count)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < source->count; i++)
        kept += is_family(&source->endpoints[i], answer->missing_family);
    struct endpoint_config *list = mesh__alloc(source->mem, (kept + answer->count) * sizeof(*list));
    if (list == NULL)
        return NULL;
    uint32_t n = 0;
    for (uint32_t i = 0; answer->missing_family == AF_INET && i < source->count; i++)
        if (is_family(&source->endpoints[i], AF_INET))
            list[n++] = source->endpoints[i];
    for (uint32_t i = 0; i < answer->count; i++)
        if (!is_family(&(struct endpoint_config){ .address = answer->addresses[i] }, answer->missing_family))
            list[n++] = (struct endpoint_config){ .address = answer->addresses[i], .weight = 1 };
    for (uint32_t i = 0; answer->missing_family == AF_INET6 && i < source->count; i++)
        if (is_family(&source->endpoints[i], AF_INET6))
            list[n++] = source->endpoints[i];
    *count = n;
    return list;
}

static void fail(struct dns_source *self, const char *why)
{
    char detail[DETAIL_MAX];
    (void)snprintf(detail, sizeof(detail), "%s: %s", self->base.config->host, why);
    mesh__source_wait(&self->base, backoff_after(self));
    mesh__source_complain(&self->base, MESH_DISCOVERY, detail);
}

static void succeed(struct dns_source *self, const struct dns_answer *answer)
{
    uint32_t count = 0;
    struct endpoint_config *list = make_list(&self->base, answer, &count);
    if (list == NULL) {
        fail(self, "memory ran out");
        return;
    }
    mesh_nanos wait = refresh_after(answer->ttl_s);
    if (answer->missing_family != 0)
        wait = mesh__nanos_min(wait, backoff_after(self));
    else
        self->failures = 0;
    mesh__source_wait(&self->base, wait);
    mesh__source_publish(&self->base, list, count);
}

static void on_answer(void *user, const struct dns_answer *answer)
{
    struct dns_source *self = user;
    char detail[DETAIL_MAX];
    self->query = NULL;
    mesh__source_enter(&self->base);
    switch (answer->status) {
    case MESH_OK:
        succeed(self, answer);
        break;
    case MESH_NO_SUCH_NAME:
    case MESH_NO_ENDPOINT:
        self->failures = 0;
        (void)snprintf(detail, sizeof(detail), "%s: %s", self->base.config->host, answer->detail);
        mesh__source_wait(&self->base, negative_after(answer->ttl_s));
        mesh__source_complain(&self->base, answer->status, detail);
        break;
    default:
        fail(self, answer->detail);
        break;
    }
    mesh__source_leave(&self->base);
}

static void ask(struct loop_timer *timer)
{
    struct dns_source *self = self_of(CONTAINER_OF(timer, struct source, timer));
    const struct discover_config *config = self->base.config;
    mesh__source_enter(&self->base);
    mesh__source_wait(&self->base, NANOS_NEVER); /* the answer decides */
    self->query = mesh__dns_resolve(self->dns, config->host, config->port, on_answer, self);
    if (self->query == NULL)
        fail(self, "memory ran out");
    mesh__source_leave(&self->base);
}

static void release(struct source *source)
{
    struct dns_source *self = self_of(source);
    if (self->query != NULL)
        mesh__dns_cancel(self->query);
    self->query = NULL;
}

struct source *mesh__dns_source_start(struct loop *loop, struct dns *dns, const struct discover_config *config,
                                      uint64_t random, const struct source_events *events, void *user)
{
    struct dns_source *self = mesh__zalloc(loop->mem, sizeof(*self));
    if (self == NULL)
        return NULL;
    self->dns = dns;
    self->base.release = release;
    self->base.timer.fire = ask;
    mesh__rng_init(&self->rng, random);
    if (mesh__source_init(&self->base, loop, config, events, user))
        return &self->base;
    mesh__mem_free(loop->mem, self);
    return NULL;
}
