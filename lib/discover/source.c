/* SPDX-License-Identifier: Apache-2.0 */
/* source.c - starting, stopping and telling, whatever the kind. */
#include "discover/source_inside.h"

#include <mesh/client.h>
#include <stdio.h>

#define LINE_MAX_BYTES 1024

struct source *mesh__source_start(struct loop *loop, struct dns *dns, const struct discover_config *config,
                                  uint64_t random, const struct source_events *events, void *user)
{
    switch (config->kind) {
    case DISCOVER_DNS:
        return mesh__dns_source_start(loop, dns, config, random, events, user);
    case DISCOVER_FILE:
        return mesh__file_source_start(loop, config, events, user);
    case DISCOVER_STATIC:
        break;
    }
    return NULL;
}

bool mesh__source_init(struct source *source, struct loop *loop, const struct discover_config *config,
                       const struct source_events *events, void *user)
{
    source->loop = loop;
    source->mem = loop->mem;
    source->config = config;
    source->events = *events;
    source->user = user;
    return mesh__loop_timer_set(loop, &source->timer, loop->now);
}

void mesh__source_fini(struct source *source)
{
    mesh__loop_timer_cancel(source->loop, &source->timer);
    mesh__mem_free(source->mem, source->endpoints);
    mesh__mem_free(source->mem, source->detail);
    mesh__mem_free(source->mem, source->logged);
}

static void end(struct source *source)
{
    mesh__source_fini(source);
    mesh__mem_free(source->mem, source);
}

void mesh__source_stop(struct source *source)
{
    if (source == NULL || source->stopped)
        return;
    source->stopped = true;
    source->release(source);
    if (source->entered == 0)
        end(source);
}

void mesh__source_enter(struct source *source)
{
    source->entered++;
}

void mesh__source_leave(struct source *source)
{
    source->entered--;
    if (source->entered == 0 && source->stopped)
        end(source);
}

void mesh__source_wait(struct source *source, mesh_nanos length)
{
    if (!source->stopped) /* cannot fail: see `timer` */
        (void)mesh__loop_timer_set(source->loop, &source->timer, mesh__nanos_add(source->loop->now, length));
}

static bool is_text(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

/* Without memory nothing is remembered, and the same may be said again. */
static void keep_text(struct source *source, char **place, const char *text)
{
    mesh__mem_free(source->mem, *place);
    *place = text ? mesh__strndup(source->mem, text, strlen(text)) : NULL;
}

static void update(struct source *source, mesh_status status, const char *detail)
{
    source->told = true;
    source->status = status;
    keep_text(source, &source->detail, detail[0] ? detail : NULL);
    if (!source->stopped)
        source->events.update(source->user, status, source->endpoints, source->count, detail);
}

static void say(struct source *source, int32_t level, const char *line)
{
    if (!source->stopped && source->events.log != NULL)
        source->events.log(source->user, level, line);
}

static bool is_same_list(const struct source *source, const struct endpoint_config *endpoints, uint32_t count)
{
    if (!source->has_list || source->count != count)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (source->endpoints[i].weight != endpoints[i].weight ||
            strcmp(source->endpoints[i].address.text, endpoints[i].address.text) != 0)
            return false;
    return true;
}

static const char *name_of(const struct source *source)
{
    return source->config->kind == DISCOVER_DNS ? source->config->host : source->config->file;
}

void mesh__source_publish(struct source *source, struct endpoint_config *endpoints, uint32_t count)
{
    bool changed = !is_same_list(source, endpoints, count);
    mesh__mem_free(source->mem, source->endpoints);
    source->endpoints = endpoints;
    source->count = count;
    source->has_list = true;
    if (source->logged != NULL) {
        char line[LINE_MAX_BYTES];
        keep_text(source, &source->logged, NULL);
        (void)snprintf(line, sizeof(line), "%s: endpoints can be discovered again", name_of(source));
        say(source, MESH_LOG_INFO, line);
    }
    if (changed)
        update(source, MESH_OK, "");
}

static void complain_to_operator(struct source *source, const char *detail)
{
    char line[LINE_MAX_BYTES];
    if (source->logged != NULL && is_text(source->logged, detail))
        return;
    keep_text(source, &source->logged, detail);
    (void)snprintf(line, sizeof(line), "%s; the last %u endpoints stay in use", detail, source->count);
    say(source, MESH_LOG_WARN, line);
}

void mesh__source_complain(struct source *source, mesh_status status, const char *detail)
{
    if (status == MESH_NO_ENDPOINT) {
        mesh__mem_free(source->mem, source->endpoints);
        source->endpoints = NULL;
        source->count = 0;
        source->has_list = false;
    }
    if (source->has_list)
        complain_to_operator(source, detail);
    else if (!source->told || source->status != status || !is_text(source->detail, detail))
        update(source, status, detail);
}
