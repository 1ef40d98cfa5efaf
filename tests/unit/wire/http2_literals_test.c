/* SPDX-License-Identifier: Apache-2.0 */
/* http2_literals_test.c - fields that no other request repeats arrive like all others, whatever their names' case and
 * their values' length, and leave HPACK's tables in step. */
#include "http2_pair.h"

#include <check.h>
#include <stdio.h>

static struct peer client, server;

static void open_pair(void)
{
    peer_open(&client, HTTP2_CLIENT);
    peer_open(&server, HTTP2_SERVER);
    pair_run(&client, &server, SIZE_MAX);
    peer_told(&client);
    peer_told(&server);
}

static void close_pair(void)
{
    peer_close(&client);
    peer_close(&server);
}

static struct http2_stream *request(const mesh_header *headers, size_t count)
{
    const struct http1_field_group groups[] = { { NULL, 0 }, { headers, count } };
    struct http2_request asked = { .method = VIEW_LITERAL("GET"),
                                   .path = VIEW_LITERAL("/"),
                                   .authority = VIEW_LITERAL("a.test"),
                                   .groups = groups,
                                   .group_count = 2,
                                   .limits = peer_limits };
    struct http2_stream *stream = NULL;
    ck_assert_int_eq(mesh__http2_request(client.conn, &asked, &client, &stream), MESH_OK);
    return stream;
}

static void expect(const char *text)
{
    pair_run(&client, &server, SIZE_MAX);
    const char *told = peer_told(&server);
    ck_assert_msg(strcmp(told, text) == 0, "%s", told);
}

START_TEST(names)
{
    static const mesh_header fields[] = {
        { "TraceParent", 11, "t", 1 },
        { "x-one", 5, "1", 1 },
        { "baggage", 7, "", 0 },
        { "tracestate", 10, "s", 1 },
        { "grpc-timeout", 12, "1S", 2 },
        { "X-Request-ID", 12, "r", 1 },
        { "Idempotency-Key", 15, "i", 1 },
        { "x-envoy-expected-rq-timeout-ms", 30, "250", 3 },
        { "x-envoy-expected-rq-timeout-mS", 30, "2", 1 },
        { "baggagf", 7, "no", 2 },
    };
    open_pair();
    for (uint32_t i = 0; i < 3; i++) { /* the same again: the others come from the table now */
        char text[1000];
        (void)snprintf(
            text, sizeof(text),
            "%u head GET /@a.test len=0 [x-one: 1] [baggagf: no] [traceparent: t] [baggage: ] [tracestate: s] "
            "[grpc-timeout: 1S] [x-request-id: r] [idempotency-key: i] "
            "[x-envoy-expected-rq-timeout-ms: 250] [x-envoy-expected-rq-timeout-ms: 2]\n%u end\n",
            2 * i + 1, 2 * i + 1);
        ck_assert_ptr_nonnull(request(fields, sizeof fields / sizeof *fields));
        expect(text);
    }
    close_pair();
}
END_TEST

/* At each border of a length's coding; together they are beyond what one frame may have, and are told apart all the
 * same. */
START_TEST(lengths)
{
    static const size_t sizes[] = { 0, 1, 126, 127, 128, 254, 255, 256, 1000, 3000 };
    static char value[20000], text[4096];
    memset(value, '~', sizeof value); /* Huffman's code makes it no shorter */
    open_pair();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const mesh_header field = { "tracestate", 10, value, sizes[i] };
        ck_assert_ptr_nonnull(request(&field, 1));
        (void)snprintf(text, sizeof text, "%zu head GET /@a.test len=0 [tracestate: %.*s]\n%zu end\n", 2 * i + 1,
                       (int)sizes[i], value, 2 * i + 1);
        expect(text);
    }
    close_pair();
    static const size_t large[] = { 4100, 15700, 15800, 16000, 16383, 16384, 16500, 20000 };
    for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
        for (int plain = 0; plain < 2; plain++) {
            const mesh_header fields[] = { { plain ? "a" : "tracestate", plain ? 1 : 10, value, large[i] },
                                           { "traceparent", 11, "t", 1 } };
            open_pair();
            ck_assert_ptr_nonnull(request(fields, 2));
            expect("1 refused HEADER_TOO_LARGE\n");
            ck_assert_ptr_nonnull(request(fields + 1, 1));
            expect("3 head GET /@a.test len=0 [traceparent: t]\n3 end\n");
            close_pair();
        }
    }
}
END_TEST

/* A request that is taken back before it was written takes its literals with it. */
START_TEST(taken_back)
{
    static const mesh_header fields[] = { { "traceparent", 11, "one", 3 }, { "traceparent", 11, "two", 3 } };
    open_pair();
    struct http2_stream *first = request(fields, 1);
    ck_assert_ptr_nonnull(request(fields + 1, 1));
    mesh__http2_reset(first, HTTP2_CANCEL);
    expect("3 head GET /@a.test len=0 [traceparent: two]\n3 end\n");
    ck_assert_ptr_nonnull(request(fields, 1));
    mesh__http2_lost(client.conn, MESH_RESET, "the peer closed");
    close_pair();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http2_literals");
    TCase *tcase = tcase_create("literals");
    tcase_add_test(tcase, names);
    tcase_add_test(tcase, lengths);
    tcase_add_test(tcase, taken_back);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
