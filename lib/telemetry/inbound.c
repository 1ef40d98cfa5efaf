/* SPDX-License-Identifier: Apache-2.0 */
/* inbound.c - reads W3C trace context, baggage and the two deadline fields out of header fields. */
#include "telemetry/inbound.h"

#include "base/buf.h"

static const char no_text[] = "";

/* A header block has a limit of its own; this one only bounds what is joined. */
#define JOINED_MAX 65536

static bool is_named(const mesh_header *header, struct view name)
{
    return mesh__view_equal_nocase(mesh__view(header->name, header->name_size), name);
}

static struct view value_of(const mesh_header *header)
{
    return mesh__view_trim(mesh__view(header->value, header->value_size));
}

static bool read_trace(struct trace_context *out, const mesh_header *headers, size_t count)
{
    bool valid = false;
    size_t seen = 0;
    for (size_t i = 0; i < count; i++)
        if (is_named(&headers[i], VIEW_LITERAL("traceparent")) && ++seen == 1)
            valid = mesh__trace_parse(value_of(&headers[i]), out);
    return valid && seen == 1;
}

/* Of any number of deadlines the least holds; a malformed one is none. */
static mesh_nanos read_deadline(const mesh_header *headers, size_t count, mesh_nanos now)
{
    mesh_nanos least = NANOS_NEVER;
    for (size_t i = 0; i < count; i++) {
        mesh_nanos left = -1;
        if (is_named(&headers[i], VIEW_LITERAL("x-envoy-expected-rq-timeout-ms")))
            left = mesh__envoy_timeout_parse(value_of(&headers[i]));
        else if (is_named(&headers[i], VIEW_LITERAL("grpc-timeout")))
            left = mesh__grpc_timeout_parse(value_of(&headers[i]));
        if (left >= 0)
            least = mesh__nanos_min(least, mesh__nanos_add(now, left));
    }
    return least;
}

/* The fields of this name as one, joined by commas, if that is valid; "" if not. NULL when memory is out. */
static const char *read_joined(const struct mem *mem, const mesh_header *headers, size_t count, struct view name,
                               bool (*is_valid)(struct view))
{
    struct buf joined;
    mesh__buf_init(&joined, mem, JOINED_MAX);
    size_t seen = 0;
    for (size_t i = 0; i < count; i++) {
        if (!is_named(&headers[i], name))
            continue;
        if (seen++ > 0)
            mesh__buf_append_char(&joined, ',');
        mesh__buf_append_view(&joined, value_of(&headers[i]));
    }
    const char *text = no_text;
    if (joined.no_memory)
        text = NULL;
    else if (!joined.failed && joined.size > 0 && is_valid(mesh__view(joined.data, joined.size)))
        text = mesh__strndup(mem, joined.data, joined.size);
    mesh__buf_fini(&joined);
    return text;
}

static void free_text(const struct mem *mem, const char *text)
{
    if (text != no_text)
        mesh__mem_free(mem, (void *)(uintptr_t)text);
}

bool mesh__inbound_init(struct mesh_inbound *out, const struct mem *mem, const mesh_header *headers, size_t count,
                        mesh_nanos now)
{
    out->mem = *mem;
    out->has_trace = read_trace(&out->trace, headers, count);
    if (!out->has_trace)
        memset(&out->trace, 0, sizeof(out->trace));
    out->deadline = read_deadline(headers, count, now);
    out->tracestate = no_text;
    if (out->has_trace)
        out->tracestate = read_joined(mem, headers, count, VIEW_LITERAL("tracestate"), mesh__tracestate_valid);
    out->baggage = read_joined(mem, headers, count, VIEW_LITERAL("baggage"), mesh__baggage_valid);
    if (out->tracestate != NULL && out->baggage != NULL)
        return true;
    mesh__inbound_fini(out);
    return false;
}

void mesh__inbound_fini(struct mesh_inbound *inbound)
{
    free_text(&inbound->mem, inbound->tracestate);
    free_text(&inbound->mem, inbound->baggage);
    inbound->tracestate = inbound->baggage = no_text;
}
