/* SPDX-License-Identifier: Apache-2.0 */
/* http1_writer_test.c - the exact bytes of heads and chunks, and that the reader reads what the writer wrote. */
#include "http1_transcript.h"

#include "base/rng.h"
#include "wire/http1_check.h"
#include "wire/trace.h"

#include <check.h>

static const mesh_header two[] = { { "a", 1, "b", 1 }, { "c-d", 3, "", 0 } };
static const mesh_header three[] = { { "e", 1, "f g", 3 } };
static const struct http1_field_group groups[] = { { two, 2 }, { NULL, 0 }, { three, 1 } };

START_TEST(requests)
{
    static const struct {
        const char *method, *path;
        size_t group_count;
        int64_t body_size;
        const char *expected;
    } rows[] = {
        { "GET", "/", 0, 0, "GET / HTTP/1.1\r\nhost: h:80\r\n\r\n" },
        { "GET", "/a?b=c", 3, 0, "GET /a?b=c HTTP/1.1\r\nhost: h:80\r\na: b\r\nc-d: \r\ne: f g\r\n\r\n" },
        { "GET", "/", 0, 1, "GET / HTTP/1.1\r\nhost: h:80\r\ncontent-length: 1\r\n\r\n" },
        { "POST", "/", 0, 0, "POST / HTTP/1.1\r\nhost: h:80\r\ncontent-length: 0\r\n\r\n" },
        { "PUT", "/", 1, 0, "PUT / HTTP/1.1\r\nhost: h:80\r\na: b\r\nc-d: \r\ncontent-length: 0\r\n\r\n" },
        { "PATCH", "/", 0, 10, "PATCH / HTTP/1.1\r\nhost: h:80\r\ncontent-length: 10\r\n\r\n" },
        { "DELETE", "/", 0, 0, "DELETE / HTTP/1.1\r\nhost: h:80\r\n\r\n" },
        { "POST", "/", 0, INT64_MAX, "POST / HTTP/1.1\r\nhost: h:80\r\ncontent-length: 9223372036854775807\r\n\r\n" },
        { "POST", "/", 1, HTTP1_SIZE_CHUNKED,
          "POST / HTTP/1.1\r\nhost: h:80\r\na: b\r\nc-d: \r\ntransfer-encoding: chunked\r\n\r\n" },
        { "GET", "/", 0, HTTP1_SIZE_CHUNKED, "GET / HTTP/1.1\r\nhost: h:80\r\ntransfer-encoding: chunked\r\n\r\n" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out;
        mesh__buf_init(&out, &mesh__mem_system, 4 + strlen(rows[i].expected));
        mesh__buf_append_text(&out, "old ");
        ck_assert(mesh__http1_write_request(&out, mesh__view_of(rows[i].method), mesh__view_of(rows[i].path),
                                            VIEW_LITERAL("h:80"), groups, rows[i].group_count, rows[i].body_size));
        ck_assert_str_eq(mesh__buf_text(&out) + 4, rows[i].expected);
        ck_assert_uint_eq(out.size, out.cap);
        mesh__buf_clear(&out);
        out.cap = strlen(rows[i].expected) - 1;
        ck_assert(!mesh__http1_write_request(&out, mesh__view_of(rows[i].method), mesh__view_of(rows[i].path),
                                             VIEW_LITERAL("h:80"), groups, rows[i].group_count, rows[i].body_size));
        ck_assert_msg(out.size == 0 && out.failed, "a head that does not fit leaves nothing behind");
        mesh__buf_fini(&out);
    }
}
END_TEST

START_TEST(responses)
{
    static const struct {
        int32_t status;
        size_t header_count;
        int64_t body_size;
        const char *date;
        bool close;
        const char *expected;
    } rows[] = {
        { 200, 1, HTTP1_SIZE_CHUNKED, NULL, false, "HTTP/1.1 200 OK\r\na: b\r\ntransfer-encoding: chunked\r\n\r\n" },
        { 200, 0, HTTP1_SIZE_TO_CLOSE, "now", true, "HTTP/1.1 200 OK\r\ndate: now\r\nconnection: close\r\n\r\n" },
        { 204, 0, HTTP1_SIZE_CHUNKED, NULL, false, "HTTP/1.1 204 No Content\r\n\r\n" },
        { 200, 0, 0, NULL, false, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n" },
        { 200, 2, 42, "now", true,
          "HTTP/1.1 200 OK\r\na: b\r\nc-d: \r\ndate: now\r\ncontent-length: 42\r\nconnection: close\r\n\r\n" },
        { 204, 0, 7, NULL, false, "HTTP/1.1 204 No Content\r\n\r\n" },
        { 304, 0, 7, "now", true, "HTTP/1.1 304 Not Modified\r\ndate: now\r\nconnection: close\r\n\r\n" },
        { 503, 0, 0, NULL, false, "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n" },
        { 299, 0, 0, NULL, false, "HTTP/1.1 299 \r\ncontent-length: 0\r\n\r\n" },
        { 999, 0, 0, NULL, false, "HTTP/1.1 999 \r\ncontent-length: 0\r\n\r\n" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out;
        mesh__buf_init(&out, &mesh__mem_system, strlen(rows[i].expected));
        ck_assert(mesh__http1_write_response_open(&out, rows[i].status, two, rows[i].header_count, rows[i].body_size,
                                                  rows[i].date, rows[i].close));
        ck_assert_str_eq(mesh__buf_text(&out), rows[i].expected);
        ck_assert_uint_eq(out.size, out.cap);
        mesh__buf_clear(&out);
        out.cap--;
        ck_assert(!mesh__http1_write_response_open(&out, rows[i].status, two, rows[i].header_count, rows[i].body_size,
                                                   rows[i].date, rows[i].close));
        ck_assert(out.size == 0 && out.failed);
        mesh__buf_fini(&out);
    }
}
END_TEST

/* What the writer says of a body is read back, whatever pieces it was written in; a buffer that is too small takes
 * nothing of a line. */
START_TEST(chunks)
{
    static const size_t sizes[] = { 1, 9, 10, 15, 16, 17, 255, 256, 4096, 65535, 65536 };
    static const struct http1_limits limits = { 65536, 100, 1 << 20 };
    static char bytes[65536];
    struct buf out, expected;
    memset(bytes, 'x', sizeof bytes);
    mesh__buf_init(&out, &mesh__mem_system, 1 << 20);
    mesh__buf_init(&expected, &mesh__mem_system, 1 << 20);
    ck_assert(mesh__http1_write_response_open(&out, 200, NULL, 0, HTTP1_SIZE_CHUNKED, NULL, false));
    mesh__buf_append_text(&expected, "200 keep -1 [transfer-encoding: chunked] {");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        ck_assert(mesh__http1_write_chunk_start(&out, sizes[i]) && mesh__buf_append(&out, bytes, sizes[i]) &&
                  mesh__http1_write_chunk_end(&out));
        mesh__buf_append(&expected, bytes, sizes[i]);
    }
    ck_assert(mesh__http1_write_last_chunk(&out, &(struct http1_field_group){ two, 2 }));
    mesh__buf_append_text(&expected, "} + [a: b] [c-d: ] {} keep\n");
    struct transcript transcript;
    struct transcript_input input = { HTTP1_RESPONSES, false, false, limits, out.data, out.size };
    transcript_run(&transcript, &input, 0, 0);
    ck_assert_str_eq(mesh__buf_text(&transcript.text), mesh__buf_text(&expected));
    transcript_free(&transcript);
    mesh__buf_clear(&out);
    ck_assert(mesh__http1_write_last_chunk(&out, NULL));
    ck_assert_str_eq(mesh__buf_text(&out), "0\r\n\r\n");
    mesh__buf_clear(&out);
    out.cap = 4;
    ck_assert(!mesh__http1_write_last_chunk(&out, NULL) && !mesh__http1_write_chunk_start(&out, SIZE_MAX));
    ck_assert_uint_eq(out.size, 0);
    mesh__buf_fini(&out);
    mesh__buf_fini(&expected);
}
END_TEST

#define MAX_FIELDS 20
#define MAX_TEXT 40
#define MAX_BODY 200

/* A message of random legal parts, as what was meant. */
struct message {
    mesh_header headers[MAX_FIELDS];
    char texts[MAX_FIELDS][2][MAX_TEXT];
    size_t count;
    char path[MAX_TEXT];
    char body[MAX_BODY];
    size_t body_size;
};

static uint32_t below(struct rng *rng, uint32_t bound)
{
    return mesh__rng_below((uint32_t)mesh__rng_next(rng), bound);
}

/* Random bytes for which `legal` holds of the whole text. */
static size_t random_text(struct rng *rng, char *out, size_t start, bool (*legal)(struct view))
{
    size_t size = start;
    size_t wanted = start + below(rng, MAX_TEXT - (uint32_t)start);
    for (int tries = 0; size < wanted && tries < 1000; tries++) {
        out[size] = (char)below(rng, 256);
        if (legal(mesh__view(out, size + 1)))
            size++;
    }
    return size;
}

static void random_message(struct rng *rng, struct message *message)
{
    message->count = below(rng, MAX_FIELDS);
    for (size_t i = 0; i < message->count; i++) {
        char *name = message->texts[i][0], *value = message->texts[i][1];
        name[0] = 'x';
        name[1] = '-';
        message->headers[i].name = name;
        message->headers[i].name_size = random_text(rng, name, 2, mesh__http1_token);
        message->headers[i].value = value;
        message->headers[i].value_size = random_text(rng, value, 0, mesh__http1_value);
    }
    message->path[0] = '/';
    message->path[random_text(rng, message->path, 1, mesh__http1_path)] = '\0';
    message->body_size = below(rng, 3) == 0 ? 0 : below(rng, MAX_BODY);
    for (size_t i = 0; i < message->body_size; i++)
        message->body[i] = (char)below(rng, 256);
}

static void expect_fields(struct buf *expected, const struct message *message)
{
    for (size_t i = 0; i < message->count; i++) {
        mesh__buf_append_text(expected, "[");
        mesh__buf_append(expected, message->headers[i].name, message->headers[i].name_size);
        mesh__buf_append_text(expected, ": ");
        mesh__buf_append(expected, message->headers[i].value, message->headers[i].value_size);
        mesh__buf_append_text(expected, "] ");
    }
}

/* Reads the written bytes in several cuts and compares with what was meant. */
static void expect_read(enum http1_role role, const struct buf *written, struct buf *expected)
{
    static const size_t sizes[] = { 0, 1, 3, 64 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct transcript_input input = { role, false, false, { 61440, 100, MAX_BODY }, written->data, written->size };
        struct transcript out;
        transcript_run(&out, &input, sizes[i], sizes[i]);
        ck_assert_uint_eq(out.used, written->size);
        ck_assert_msg(out.text.size == expected->size && memcmp(out.text.data, expected->data, expected->size) == 0,
                      "read %s, not %s", mesh__buf_text(&out.text), mesh__buf_text(expected));
        transcript_free(&out);
    }
}

START_TEST(a_request_is_read_as_it_was_written)
{
    static const char *const methods[] = { "GET", "POST", "PUT", "DELETE" };
    struct rng rng;
    mesh__rng_init(&rng, (uint64_t)_i);
    struct message message;
    random_message(&rng, &message);
    const char *method = methods[below(&rng, 4)];
    struct http1_field_group group = { message.headers, message.count };
    struct buf written, expected;
    mesh__buf_init(&written, &mesh__mem_system, 65536);
    mesh__buf_init(&expected, &mesh__mem_system, 65536);
    ck_assert(mesh__http1_write_request(&written, mesh__view_of(method), mesh__view_of(message.path), VIEW_LITERAL("h"),
                                        &group, 1, (int64_t)message.body_size));
    mesh__buf_append(&written, message.body, message.body_size);
    mesh__buf_printf(&expected, "%s %s keep %zu [host: h] ", method, message.path, message.body_size);
    expect_fields(&expected, &message);
    if (message.body_size > 0 || method[0] == 'P')
        mesh__buf_printf(&expected, "[content-length: %zu] ", message.body_size);
    mesh__buf_append_text(&expected, "{");
    mesh__buf_append(&expected, message.body, message.body_size);
    mesh__buf_append_text(&expected, "} keep\n");
    expect_read(HTTP1_REQUESTS, &written, &expected);
    mesh__buf_fini(&written);
    mesh__buf_fini(&expected);
}
END_TEST

START_TEST(a_response_is_read_as_it_was_written)
{
    struct rng rng;
    mesh__rng_init(&rng, 1000 + (uint64_t)_i);
    struct message message;
    random_message(&rng, &message);
    int32_t status = 200 + (int32_t)below(&rng, 800);
    bool close = below(&rng, 2) == 0;
    char date[30];
    mesh__http_date((int64_t)below(&rng, UINT32_MAX), date);
    struct buf written, expected;
    mesh__buf_init(&written, &mesh__mem_system, 65536);
    mesh__buf_init(&expected, &mesh__mem_system, 65536);
    if (status == 204 || status == 304)
        message.body_size = 0;
    ck_assert(
        mesh__http1_write_response(&written, status, message.headers, message.count, message.body_size, date, close));
    mesh__buf_append(&written, message.body, message.body_size);
    mesh__buf_printf(&expected, "%d %s %zu ", status, close ? "close" : "keep", message.body_size);
    expect_fields(&expected, &message);
    mesh__buf_printf(&expected, "[date: %s] ", date);
    if (status != 204 && status != 304)
        mesh__buf_printf(&expected, "[content-length: %zu] ", message.body_size);
    mesh__buf_printf(&expected, "%s{", close ? "[connection: close] " : "");
    mesh__buf_append(&expected, message.body, message.body_size);
    mesh__buf_printf(&expected, "} %s\n", close ? "close" : "keep");
    expect_read(HTTP1_RESPONSES, &written, &expected);
    mesh__buf_fini(&written);
    mesh__buf_fini(&expected);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http1 writer");
    TCase *tcase = tcase_create("writer");
    tcase_add_test(tcase, requests);
    tcase_add_test(tcase, responses);
    tcase_add_test(tcase, chunks);
    tcase_add_loop_test(tcase, a_request_is_read_as_it_was_written, 0, 100);
    tcase_add_loop_test(tcase, a_response_is_read_as_it_was_written, 0, 100);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
