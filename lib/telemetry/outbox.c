/* SPDX-License-Identifier: Apache-2.0 */
/* outbox.c - a ring of fixed entries under one short lock; callbacks and wakes run outside of it.
 *
 * An entry is read in place: it counts as in until its callback has returned, so nobody overwrites it meanwhile. */
#include "telemetry/outbox.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define OUTBOX_CAPACITY 1024
#define LINE_MAX_SIZE 500

enum entry_kind { ENTRY_LINE, ENTRY_SPAN, ENTRY_AUDIT };

struct entry {
    enum entry_kind kind;
    int32_t level;    /* of a line */
    uint64_t dropped; /* of an audit: those just before it */
    union {
        struct span_record span;
        struct audit_record audit;
        char line[LINE_MAX_SIZE + 1];
    } is;
};

struct outbox {
    const struct mem *mem; /* borrowed */
    mesh_options options;  /* callbacks, level, user */
    void (*wake)(void *user, bool urgent);
    void *wake_user;
    atomic_uint_fast64_t dropped;
    atomic_bool muted;
    pthread_mutex_t lock;    /* guards what follows */
    uint64_t audits_dropped; /* since the last one that is in */
    size_t head, count;
    struct entry *entries; /* NULL: nobody listens */
};

static void copy_options(mesh_options *out, const mesh_options *given)
{
    *out = (mesh_options)MESH_OPTIONS_INIT;
    if (given != NULL)
        memcpy(out, given, given->size < sizeof(*out) ? given->size : sizeof(*out));
}

struct outbox *mesh__outbox_new(const struct mem *mem, const mesh_options *options,
                                void (*wake)(void *user, bool urgent), void *wake_user)
{
    struct outbox *outbox = mesh__zalloc(mem, sizeof(*outbox));
    if (outbox == NULL)
        return NULL;
    outbox->mem = mem;
    outbox->wake = wake;
    outbox->wake_user = wake_user;
    copy_options(&outbox->options, options);
    atomic_init(&outbox->dropped, 0);
    atomic_init(&outbox->muted, false);
    bool heard = outbox->options.on_span != NULL || outbox->options.on_log != NULL || outbox->options.on_audit != NULL;
    if (heard)
        outbox->entries = mesh__alloc(mem, OUTBOX_CAPACITY * sizeof(*outbox->entries));
    if ((heard && outbox->entries == NULL) || pthread_mutex_init(&outbox->lock, NULL) != 0) {
        mesh__mem_free(mem, outbox->entries);
        mesh__mem_free(mem, outbox);
        return NULL;
    }
    return outbox;
}

void mesh__outbox_free(struct outbox *outbox)
{
    if (outbox == NULL)
        return;
    pthread_mutex_destroy(&outbox->lock);
    mesh__mem_free(outbox->mem, outbox->entries);
    mesh__mem_free(outbox->mem, outbox);
}

void mesh__outbox_mute(struct outbox *outbox)
{
    atomic_store(&outbox->muted, true);
}

bool mesh__outbox_pending(struct outbox *outbox)
{
    if (outbox->entries == NULL || atomic_load(&outbox->muted))
        return false;
    pthread_mutex_lock(&outbox->lock);
    bool pending = outbox->count > 0;
    pthread_mutex_unlock(&outbox->lock);
    return pending;
}

static bool is_muted(const struct outbox *outbox)
{
    return atomic_load_explicit(&outbox->muted, memory_order_relaxed);
}

bool mesh__outbox_wants_spans(const struct outbox *outbox)
{
    return outbox->options.on_span != NULL && !is_muted(outbox);
}

bool mesh__outbox_wants_audits(const struct outbox *outbox)
{
    return outbox->options.on_audit != NULL && !is_muted(outbox);
}

bool mesh__outbox_wants_log(const struct outbox *outbox, int32_t level)
{
    return outbox->options.on_log != NULL && level <= outbox->options.log_level && !is_muted(outbox);
}

/* The lock is held until publish(); NULL, and the lock not held, when the ring is full. */
static struct entry *reserve(struct outbox *outbox, enum entry_kind kind)
{
    pthread_mutex_lock(&outbox->lock);
    if (outbox->count < OUTBOX_CAPACITY) {
        struct entry *entry = &outbox->entries[(outbox->head + outbox->count) % OUTBOX_CAPACITY];
        entry->kind = kind;
        return entry;
    }
    outbox->audits_dropped += kind == ENTRY_AUDIT ? 1 : 0;
    pthread_mutex_unlock(&outbox->lock);
    atomic_fetch_add_explicit(&outbox->dropped, 1, memory_order_relaxed);
    return NULL;
}

static void publish(struct outbox *outbox)
{
    size_t count = ++outbox->count;
    pthread_mutex_unlock(&outbox->lock);
    if (outbox->wake != NULL && (count == 1 || count == OUTBOX_CAPACITY / 2))
        outbox->wake(outbox->wake_user, count != 1);
}

void mesh__outbox_span(struct outbox *outbox, const struct span_record *span)
{
    if (!mesh__outbox_wants_spans(outbox))
        return;
    struct entry *entry = reserve(outbox, ENTRY_SPAN);
    if (entry == NULL)
        return;
    entry->is.span = *span;
    publish(outbox);
}

void mesh__outbox_audit(struct outbox *outbox, const struct audit_record *audit)
{
    if (!mesh__outbox_wants_audits(outbox))
        return;
    struct entry *entry = reserve(outbox, ENTRY_AUDIT);
    if (entry == NULL)
        return;
    entry->is.audit = *audit;
    entry->dropped = outbox->audits_dropped;
    outbox->audits_dropped = 0;
    publish(outbox);
}

void mesh__outbox_log(struct outbox *outbox, int32_t level, const char *format, ...)
{
    if (!mesh__outbox_wants_log(outbox, level))
        return;
    char line[LINE_MAX_SIZE + 1];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    struct entry *entry = size < 0 ? NULL : reserve(outbox, ENTRY_LINE);
    if (entry == NULL)
        return;
    entry->level = level;
    memcpy(entry->is.line, line, strlen(line) + 1);
    publish(outbox);
}

static void give_span(const struct outbox *outbox, const struct span_record *record)
{
    mesh_span span = {
        .size = (uint32_t)sizeof(span),
        .kind = record->kind,
        .sampled = record->context.flags & TRACE_SAMPLED ? 1 : 0,
        .attempt = record->attempt,
        .start_unix_ns = record->start_unix_ns,
        .duration_ns = record->duration_ns,
        .status = record->status,
        .http_status = record->http_status,
        .service = record->service,
        .endpoint = record->endpoint,
        .method = record->method,
        .path = record->path,
        .tag = record->tag,
        .grpc_status = record->grpc_status,
    };
    memcpy(span.trace_id, record->context.trace_id, sizeof(span.trace_id));
    memcpy(span.span_id, record->context.span_id, sizeof(span.span_id));
    memcpy(span.parent_id, record->parent_id, sizeof(span.parent_id));
    outbox->options.on_span(&span, outbox->options.user);
}

static void give_audit(const struct outbox *outbox, const struct audit_record *record, uint64_t dropped)
{
    const mesh_audit audit = {
        .size = (uint32_t)sizeof(audit),
        .kind = record->kind,
        .allowed = record->allowed,
        .would_deny = record->would_deny,
        .unix_ns = record->unix_ns,
        .dropped = dropped,
        .name = record->name,
        .rule = record->rule,
        .peer_id = record->peer_id,
        .peer_address = record->peer_address,
        .method = record->method,
        .path = record->path,
    };
    outbox->options.on_audit(&audit, outbox->options.user);
}

static void give(const struct outbox *outbox, const struct entry *entry)
{
    if (entry->kind == ENTRY_SPAN)
        give_span(outbox, &entry->is.span);
    else if (entry->kind == ENTRY_AUDIT)
        give_audit(outbox, &entry->is.audit, entry->dropped);
    else
        outbox->options.on_log(entry->level, entry->is.line, outbox->options.user);
}

void mesh__outbox_drain(struct outbox *outbox)
{
    if (outbox->entries == NULL)
        return;
    pthread_mutex_lock(&outbox->lock);
    size_t left = outbox->count; /* no more: a callback that causes entries must not keep its thread here for ever */
    while (left-- > 0 && !is_muted(outbox)) {
        const struct entry *entry = &outbox->entries[outbox->head];
        pthread_mutex_unlock(&outbox->lock);
        give(outbox, entry);
        pthread_mutex_lock(&outbox->lock);
        outbox->head = (outbox->head + 1) % OUTBOX_CAPACITY;
        outbox->count--;
    }
    size_t rest = outbox->count;
    pthread_mutex_unlock(&outbox->lock);
    if (rest > 0 && outbox->wake != NULL &&
        !is_muted(outbox)) /* these came while the outbox was not empty, so nobody was woken for them */
        outbox->wake(outbox->wake_user, rest >= OUTBOX_CAPACITY / 2);
}

uint64_t mesh__outbox_dropped(const struct outbox *outbox)
{
    return atomic_load_explicit(&outbox->dropped, memory_order_relaxed);
}
