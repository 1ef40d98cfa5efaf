/* SPDX-License-Identifier: Apache-2.0 */
/* trace_fuzz.c - trace, deadline and Retry-After fields from a hostile peer.
 *
 * What is accepted is read the same when it is written again; a list that is accepted is accepted in parts; times stay
 * in their range. */
#define FUZZ_NAME "trace"
#define FUZZ_ROUNDS 200000
#define FUZZ_WORDS                                                                                                     \
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "ff-", "-", "00", "foo=1", "a@b=c", ",", ";", "=",      \
        "10m", "99999999H", "9999999999", "Sun, ", "06 Nov 1994", " 08:49:37 GMT", "Sunday, 06-Nov-94",                \
        "Sun Nov  6 08:49:37 1994"
#include "fuzz_main.h"

#include "wire/trace.h"

#define NOW INT64_C(784111777)

static void check_traceparent(struct view text)
{
    struct trace_context context, again;
    if (!mesh__trace_parse(text, &context))
        return;
    char out[TRACEPARENT_SIZE];
    mesh__trace_format(&context, out);
    FUZZ_CHECK(text.size >= sizeof out && memcmp(text.data + 3, out + 3, 50) == 0);
    FUZZ_CHECK(mesh__trace_parse(mesh__view(out, sizeof out), &again));
    FUZZ_CHECK(memcmp(&context, &again, sizeof context) == 0);
}

static bool blank(struct view text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] != ',' && text.data[i] != ' ' && text.data[i] != '\t')
            return false;
    return true;
}

/* Both sides of each comma of a valid list are valid lists or empty ones. */
static void check_list(struct view text, bool (*valid)(struct view))
{
    if (!valid(text))
        return;
    for (size_t i = 0; i < text.size; i++) {
        struct view left = { text.data, i }, right = { text.data + i + 1, text.size - i - 1 };
        if (text.data[i] != ',')
            continue;
        FUZZ_CHECK(blank(left) || valid(left));
        FUZZ_CHECK(blank(right) || valid(right));
    }
}

static void check_times(struct view text)
{
    FUZZ_CHECK(mesh__envoy_timeout_parse(text) >= -1);
    FUZZ_CHECK(mesh__grpc_timeout_parse(text) >= -1);
    mesh_nanos delay = mesh__retry_after_parse(text, NOW);
    FUZZ_CHECK(delay >= -1 && delay <= 300 * NANOS_S);
    int64_t at = 0;
    memcpy(&at, text.data, text.size < sizeof at ? text.size : sizeof at);
    at = (int64_t)((uint64_t)at % UINT64_C(253402300799));
    char date[30];
    mesh__http_date(at, date);
    FUZZ_CHECK(mesh__retry_after_parse(mesh__view(date, 29), at) == 0);
    FUZZ_CHECK(at < 100 || mesh__retry_after_parse(mesh__view(date, 29), at - 100) == 100 * NANOS_S);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view text = { (const char *)data, size };
    check_traceparent(text);
    check_list(text, mesh__tracestate_valid);
    check_list(text, mesh__baggage_valid);
    check_times(text);
    return 0;
}
