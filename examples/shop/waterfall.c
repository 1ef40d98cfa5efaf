/* SPDX-License-Identifier: Apache-2.0 */
/* waterfall.c - one order's trace across the processes: a line for each span, indented below its parent. */
#include "driver.h"
#include "spans.h"

#include <string.h>

enum { SPANS = 64, LABEL = 67, BAR = 40, MARGIN_NS = 1000 };

/* An order whose first attempt at payment failed shows more than one without: it is taken if there is any. */
static int is_second_attempt(const struct span_line *span, void *user)
{
    (void)user;
    return strcmp(span->kind, "attempt") == 0 && strcmp(span->service, "payment") == 0 && span->attempt == 1;
}

static int is_of_trace(const struct span_line *span, void *user)
{
    return strcmp(span->trace, user) == 0;
}

static void print_bar(const struct span_line *root, const struct span_line *span)
{
    char bar[BAR + 1];
    double scale = (double)BAR / (double)(root->duration_ns + MARGIN_NS);
    int from = (int)((double)(span->start_ns - root->start_ns) * scale);
    int to = (int)((double)(span->start_ns + span->duration_ns - root->start_ns) * scale);
    for (int i = 0; i < BAR; i++)
        bar[i] = i >= from && i <= to ? '=' : ' ';
    bar[BAR] = '\0';
    (void)printf("|%s| %7.2f ms\n", bar, (double)span->duration_ns / 1e6);
}

/* "payment-2" for the address of one of payment's instances; the service's name for any other. */
static void name_endpoint(const struct round *round, const struct span_line *span, char *out, size_t room)
{
    (void)snprintf(out, room, "%s", span->service);
    for (int i = 0; i < INSTANCES; i++) {
        if (strcmp(round->addresses.payment[i], span->endpoint) == 0)
            (void)snprintf(out, room, "payment-%d", i + 1);
    }
}

static void print_span(const struct round *round, const struct span_line *root, const struct span_line *span, int depth)
{
    char label[256], name[64], outcome[48] = "";
    name_endpoint(round, span, name, sizeof(name));
    if (strcmp(span->status, "OK") != 0)
        (void)snprintf(outcome, sizeof(outcome), ": %s", span->status);
    else if (span->http != 0)
        (void)snprintf(outcome, sizeof(outcome), ": %d", span->http);
    if (strcmp(span->kind, "call") == 0)
        (void)snprintf(label, sizeof(label), "%s calls %s%s", span->process, span->service, outcome);
    else if (strcmp(span->kind, "attempt") == 0)
        (void)snprintf(label, sizeof(label), "attempt %d at %s (%s)%s", span->attempt + 1, name, span->endpoint,
                       outcome);
    else
        (void)snprintf(label, sizeof(label), "%s serves%s", span->process, outcome);
    (void)printf("%*s%-*s ", 2 * depth, "", LABEL - 2 * depth, label);
    print_bar(root, span);
}

/* Prints the spans below `parent`, the earliest first. Each is printed once: its parent's id is taken from it. */
static void print_below(const struct round *round, const struct span_line *root, struct span_line *spans, size_t count,
                        const char *parent, int depth)
{
    for (;;) {
        struct span_line *next = NULL;
        for (size_t i = 0; i < count; i++) {
            if (strcmp(spans[i].parent, parent) == 0 && (!next || spans[i].start_ns < next->start_ns))
                next = &spans[i];
        }
        if (!next)
            return;
        next->parent[0] = '\0';
        print_span(round, root, next, depth);
        print_below(round, root, spans, count, next->id, depth + 1);
    }
}

void waterfall(const struct round *round)
{
    static const char no_parent[] = "0000000000000000";
    static struct span_line spans[SPANS];
    struct span_line chosen, root;
    size_t count = spans_read(round->folder, is_second_attempt, NULL, &chosen, 1);
    if (count == 0)
        count = spans_read(round->folder, NULL, NULL, &chosen, 1);
    if (count == 0)
        return;
    count = spans_read(round->folder, is_of_trace, chosen.trace, spans, SPANS);
    (void)printf("\nOne order's trace, %s:\n", chosen.trace);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(spans[i].parent, no_parent) == 0) {
            root = spans[i];
            print_below(round, &root, spans, count, no_parent, 0);
            return;
        }
    }
}
