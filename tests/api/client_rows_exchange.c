/* SPDX-License-Identifier: Apache-2.0 */
/* client_rows_exchange.c - what goes out and what comes back: methods, bodies, fields, statuses, trace context. */
#include "api/client_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

mesh_request request_of(const char *method, const char *path, const char *body)
{
    mesh_request request = MESH_REQUEST_INIT;
    request.method = method;
    request.path = path;
    request.body = body;
    request.body_size = body ? strlen(body) : 0;
    return request;
}

static char *make_body(size_t size)
{
    char *body = malloc(size + 1);
    if (body == NULL)
        abort();
    for (size_t i = 0; i < size; i++)
        body[i] = (char)(i * 7 + i / 251);
    return body;
}

static void echo(struct harness *harness, const char *method, size_t size, uint32_t flags)
{
    char *body = make_body(size);
    mesh_request request = request_of(method, "/echo", NULL);
    request.body = body;
    request.body_size = size;
    request.flags = flags;
    mesh_result *result = harness_call(harness, "test", &request);
    EXPECT_RESULT(harness, result, MESH_OK, 200);
    EXPECT_INT(harness, mesh_result_body_size(result), size);
    EXPECT(harness, mesh_result_body_size(result) == size && memcmp(mesh_result_body(result), body, size) == 0,
           "another body of %zu bytes came back", size);
    EXPECT_INT(harness, ((const char *)mesh_result_body(result))[mesh_result_body_size(result)], 0);
    EXPECT_INT(harness, mesh_result_attempt_count(result), 1);
    EXPECT(harness, mesh_result_id(result) != 0 && strlen(mesh_result_trace_id(result)) == 32, "no id");
    mesh_result_free(result);
    free(body);
}

static void get_empty(struct harness *harness, int thread)
{
    (void)thread;
    mesh_result *result = harness_get(harness, "/echo");
    EXPECT_RESULT(harness, result, MESH_OK, 200);
    EXPECT_INT(harness, mesh_result_body_size(result), 0);
    mesh_result_free(result);
}

static void post_bodies(struct harness *harness, int thread)
{
    (void)thread;
    echo(harness, "POST", 0, 0);
    echo(harness, "POST", 66, 0);
    echo(harness, "PUT", 66, MESH_COPY_BODY);
    echo(harness, "GET", 66, 0);
}

static void post_large(struct harness *harness, int thread)
{
    size_t size = (size_t)1 << (thread == 0 ? 20 : UNDER_TSAN ? 12 : 15);
    echo(harness, "POST", size, thread % 2 ? MESH_COPY_BODY : 0);
}

static void head_request(struct harness *harness, int thread)
{
    (void)thread;
    for (int i = 0; i < 2; i++) { /* the second over the same connection */
        mesh_request request = request_of("HEAD", "/big/1000", NULL);
        mesh_result *result = harness_call(harness, "test", &request);
        EXPECT_RESULT(harness, result, MESH_OK, 200);
        EXPECT_INT(harness, mesh_result_body_size(result), 0);
        const char *length = mesh_result_header_value(result, "Content-Length");
        EXPECT(harness, length && strcmp(length, "1000") == 0, "content-length %s", length ? length : "(none)");
        mesh_result_free(result);
    }
}

static void no_content(struct harness *harness, int thread)
{
    (void)thread;
    for (int i = 0; i < 2; i++) {
        mesh_result *result = harness_get(harness, "/status/204");
        EXPECT_RESULT(harness, result, MESH_OK, 204);
        EXPECT_INT(harness, mesh_result_body_size(result), 0);
        mesh_result_free(result);
    }
}

static void chunked(struct harness *harness, int thread)
{
    (void)thread;
    for (int i = 0; i < 2; i++) {
        mesh_result *result = harness_get(harness, "/chunked");
        EXPECT_RESULT(harness, result, MESH_OK, 200);
        EXPECT(harness, strcmp(mesh_result_body(result), "abcdef") == 0, "%s", (const char *)mesh_result_body(result));
        EXPECT(harness, mesh_result_header_value(result, "x-trailer") == NULL, "a trailer among the header fields");
        mesh_result_free(result);
    }
}

static void large_answers(struct harness *harness, int thread)
{
    mesh_result *result = harness_get(harness, thread == 0 ? "/big/1000000" : "/big/100000");
    EXPECT_RESULT(harness, result, MESH_OK, 200);
    EXPECT_INT(harness, mesh_result_body_size(result), thread == 0 ? 1000000 : 100000);
    mesh_result_free(result);
}

static mesh_header header_of(const char *name, const char *value)
{
    return (mesh_header){ name, strlen(name), value, strlen(value) };
}

static void headers_out(struct harness *harness, int thread)
{
    char value[20], line[40];
    (void)snprintf(value, sizeof(value), "thread-%d", thread);
    const char *name = harness->cell.http2 ? "x-mine" : "X-Mine";
    (void)snprintf(line, sizeof(line), "%s: %s\n", name, value);
    const mesh_header headers[] = { header_of("X-Mine", value), header_of("x-two", "a"), header_of("x-two", "b") };
    mesh_request request = request_of("DELETE", "/headers?q=1", NULL);
    request.headers = headers;
    request.header_count = 3;
    request.authority = "shop.example:81";
    mesh_result *result = harness_call(harness, "test", &request);
    EXPECT_RESULT(harness, result, MESH_OK, 200);
    const char *body = mesh_result_body(result);
    EXPECT(harness, strncmp(body, "DELETE /headers?q=1\n", 20) == 0, "%s", body);
    const char *const wanted[] = { line, "x-two: a\nx-two: b\n", "shop.example:81\n", "x-team: shop\n" };
    for (size_t i = 0; i < 4; i++)
        EXPECT(harness, strstr(body, wanted[i]) != NULL, "no %s in %s", wanted[i], body);
    mesh_result_free(result);
}

static void headers_in(struct harness *harness, int thread)
{
    (void)thread;
    mesh_result *result = harness_get(harness, "/two");
    EXPECT_RESULT(harness, result, MESH_OK, 200);
    const char *first = mesh_result_header_value(result, "X-TWO");
    EXPECT(harness, first && strcmp(first, "one") == 0, "x-two: %s", first ? first : "(none)");
    int found = 0;
    size_t count = mesh_result_header_count(result);
    for (size_t i = 0; i < count; i++) {
        mesh_header header;
        EXPECT_INT(harness, mesh_result_header(result, i, &header), MESH_OK);
        if (header.name_size == 5 && strncasecmp(header.name, "x-two", 5) == 0)
            EXPECT(harness, strcmp(header.value, found++ == 0 ? "one" : "two") == 0, "%s in this place", header.value);
    }
    EXPECT_INT(harness, found, 2);
    mesh_header none;
    EXPECT_INT(harness, mesh_result_header(result, count, &none), MESH_EINVAL);
    mesh_result_free(result);
}

static void statuses(struct harness *harness, int thread)
{
    (void)thread;
    static const int rows[] = { 200, 201, 301, 404, 418, 500, 503 };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char path[20];
        (void)snprintf(path, sizeof(path), "/status/%d", rows[i]);
        mesh_result *result = harness_get(harness, path);
        EXPECT_RESULT(harness, result, MESH_OK, rows[i]);
        EXPECT_INT(harness, mesh_result_attempt_count(result), 1);
        mesh_attempt attempt = attempt_of(result, 0);
        EXPECT_INT(harness, attempt.http_status, rows[i]);
        EXPECT_INT(harness, attempt.status, MESH_OK);
        EXPECT_INT(harness, attempt.stop, MESH_STOP_NONE);
        EXPECT(harness, attempt.start_ns >= 0 && attempt.start_ns <= mesh_result_duration_ns(result),
               "an attempt from %lld ns on in a call of %lld ns", (long long)attempt.start_ns,
               (long long)mesh_result_duration_ns(result));
        mesh_result_free(result);
    }
}

/* The value of a field in what /headers answers; false when it has none. */
static bool echoed(const mesh_result *result, const char *name, char *out, size_t room)
{
    const char *at = strstr(mesh_result_body(result), name);
    if (at == NULL)
        return false;
    at += strlen(name);
    (void)snprintf(out, room, "%.*s", (int)strcspn(at, "\n"), at);
    return true;
}

static void fresh_trace(struct harness *harness, int thread)
{
    (void)thread;
    char parent[80] = "", again[80] = "", left[20] = "";
    for (int i = 0; i < 2; i++) {
        mesh_request request = request_of("GET", "/headers", NULL);
        request.timeout_ns = 20 * NANOS_S;
        mesh_result *result = harness_call(harness, "test", &request);
        EXPECT(harness, echoed(result, "\ntraceparent: ", i == 0 ? parent : again, sizeof(parent)), "no traceparent");
        const char *sent = i == 0 ? parent : again;
        EXPECT(harness, strlen(sent) == 55 && strncmp(sent + 3, mesh_result_trace_id(result), 32) == 0,
               "%s of trace %s", sent, mesh_result_trace_id(result));
        char span[17];
        mesh_attempt attempt = attempt_of(result, 0);
        uint8_t bytes[8];
        memcpy(bytes, &attempt.span_id, sizeof(bytes));
        for (int j = 0; j < 8; j++)
            (void)snprintf(span + j * 2, 3, "%02x", (unsigned)(attempt.span_id >> (56 - 8 * j)) & 0xff);
        EXPECT(harness, strncmp(sent + 36, span, 16) == 0, "%s, but span_id is %s", sent, span);
        EXPECT(harness, !echoed(result, "\ntracestate: ", left, sizeof(left)), "a tracestate from nowhere");
        EXPECT(harness, echoed(result, "\nx-envoy-expected-rq-timeout-ms: ", left, sizeof(left)), "no timeout told");
        EXPECT(harness, atoi(left) > 0 && atoi(left) <= 15000, "%s ms are told, the service's 15 s hold", left);
        mesh_result_free(result);
    }
    EXPECT(harness, strncmp(parent, again, 35) != 0, "two calls in one trace: %s", parent);
}

#define TRACE "00-0af7651916cd43dd8448eb211c80319c-"

static void inbound_trace(struct harness *harness, int thread)
{
    (void)thread;
    const mesh_header headers[] = { header_of("traceparent", TRACE "b7ad6b7169203331-01"),
                                    header_of("tracestate", "a=1,b=2"), header_of("baggage", "k=v"),
                                    header_of("x-envoy-expected-rq-timeout-ms", "5000") };
    mesh_inbound *inbound;
    EXPECT_INT(harness, mesh_inbound_parse(headers, 4, &inbound), MESH_OK);
    char spans[2][80] = { "", "" }, text[80] = "";
    for (int i = 0; i < 2; i++) {
        mesh_request request = request_of("GET", "/headers", NULL);
        request.inbound = inbound;
        mesh_result *result = harness_call(harness, "test", &request);
        EXPECT_RESULT(harness, result, MESH_OK, 200);
        EXPECT(harness, echoed(result, "\ntraceparent: " TRACE, spans[i], sizeof(spans[i])), "another trace");
        EXPECT(harness, echoed(result, "\ntracestate: ", text, sizeof(text)) && strcmp(text, "a=1,b=2") == 0, "%s",
               text);
        EXPECT(harness, echoed(result, "\nbaggage: ", text, sizeof(text)) && strcmp(text, "k=v") == 0, "%s", text);
        EXPECT(harness, echoed(result, "\nx-envoy-expected-rq-timeout-ms: ", text, sizeof(text)) && atoi(text) <= 5000,
               "%s ms", text);
        mesh_result_free(result);
    }
    mesh_inbound_free(inbound);
    EXPECT(harness, strncmp(spans[0], "b7ad6b7169203331", 16) != 0 && strncmp(spans[0], spans[1], 16) != 0,
           "not a span of its own: %s, %s", spans[0], spans[1]);
}

const struct row exchange_rows[] = {
    { "get, empty", TEST_SERVICE, get_empty, NULL, NULL },
    { "bodies of 0 and 66 bytes", TEST_SERVICE, post_bodies, NULL, NULL },
    { "body of 1 MiB", TEST_SERVICE, post_large, NULL, NULL },
    { "large answers", TEST_SERVICE, large_answers, NULL, NULL },
    { "HEAD", TEST_SERVICE, head_request, NULL, NULL },
    { "204", TEST_SERVICE, no_content, NULL, NULL },
    { "chunked", TEST_SERVICE, chunked, NULL, NULL },
    { "headers out", "{'test': {'endpoints': ['@0'], 'headers': {'x-team': 'shop'}}}", headers_out, NULL, NULL },
    { "headers in, two of a name", TEST_SERVICE, headers_in, NULL, NULL },
    { "statuses are no errors", TEST_SERVICE, statuses, NULL, NULL },
    { "a fresh trace", TEST_SERVICE, fresh_trace, NULL, NULL },
    { "inbound trace and deadline", TEST_SERVICE, inbound_trace, NULL, NULL },
    { NULL, NULL, NULL, NULL, NULL },
};
