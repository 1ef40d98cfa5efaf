/* SPDX-License-Identifier: Apache-2.0 */
/* http1_limits_test.c - each limit at its edge, where reading stops, and what it takes from memory. */
#include "http1_transcript.h"

#include <check.h>
#include <stdio.h>

#define H "HTTP/1.1 200 OK\r\n"
#define LENGTH_5 H "Content-Length: 5\r\n\r\n"
#define CHUNKED H "Transfer-Encoding: chunked\r\n\r\n"
#define T(text) text, sizeof(text) - 1

struct row {
    const char *label;
    const char *bytes;
    size_t size;
    struct http1_limits fits; /* the message fits exactly; one less of it does not */
    mesh_status beyond;
    enum { IN_HEADER, IN_HEADERS, IN_BODY } limit;
};

static const struct row rows[] = {
    { "head", T(LENGTH_5 "hello"), { sizeof LENGTH_5 - 1, 9, 99 }, MESH_HEADER_TOO_LARGE, IN_HEADER },
    { "chunked head", T(CHUNKED "0\r\n\r\n"), { sizeof CHUNKED - 1, 9, 99 }, MESH_HEADER_TOO_LARGE, IN_HEADER },
    { "head with an extension",
      T(CHUNKED "1;abc\r\nx\r\n0;\r\n\r\n"),
      { sizeof CHUNKED - 1 + 5, 9, 99 },
      MESH_HEADER_TOO_LARGE,
      IN_HEADER },
    { "head with trailers",
      T(CHUNKED "0\r\nA: b\r\nC:\r\n\r\n"),
      { sizeof CHUNKED - 1 + 10, 9, 99 },
      MESH_HEADER_TOO_LARGE,
      IN_HEADER },
    { "fields",
      T(H "A: b\r\nC: d\r\nContent-Length: 5\r\n\r\nhello"),
      { 999, 3, 99 },
      MESH_TOO_MANY_HEADERS,
      IN_HEADERS },
    { "fields and trailers",
      T(CHUNKED "0\r\nA: b\r\nC: d\r\n\r\n"),
      { 999, 3, 99 },
      MESH_TOO_MANY_HEADERS,
      IN_HEADERS },
    { "body of a length", T(LENGTH_5 "hello"), { 999, 9, 5 }, MESH_BODY_TOO_LARGE, IN_BODY },
    { "body in chunks", T(CHUNKED "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"), { 999, 9, 5 }, MESH_BODY_TOO_LARGE, IN_BODY },
    { "body to the close", T(H "\r\nhello"), { 999, 9, 5 }, MESH_BODY_TOO_LARGE, IN_BODY },
};

#define ROW_COUNT ((int)(sizeof rows / sizeof *rows))

static void run_all_cuts(const struct row *row, const struct http1_limits *limits, mesh_status expected)
{
    struct transcript_input input = { HTTP1_RESPONSES, false, true, *limits, row->bytes, row->size };
    struct transcript whole;
    transcript_run(&whole, &input, 0, 0);
    char error[64] = "";
    if (expected != MESH_OK)
        (void)snprintf(error, sizeof error, "! %s\n", mesh_status_name(expected));
    const char *text = mesh__buf_text(&whole.text);
    const char *mark = strchr(text, '!');
    ck_assert_msg(strcmp(mark != NULL ? mark : "", error) == 0, "%s: %s, not %s", row->label, text, error);
    for (size_t first = 1; first <= row->size; first++) {
        for (size_t size = 0; size <= 2; size++) {
            struct transcript pieces;
            transcript_run(&pieces, &input, first, size);
            ck_assert_msg(transcript_equal(&whole, &pieces), "%s: cut at %zu, then %zu: %s, not %s", row->label, first,
                          size, mesh__buf_text(&pieces.text), text);
            transcript_free(&pieces);
        }
    }
    transcript_free(&whole);
}

START_TEST(each_limit_holds_at_its_edge)
{
    const struct row *row = &rows[_i];
    struct http1_limits limits = row->fits;
    run_all_cuts(row, &limits, MESH_OK);
    if (row->limit == IN_HEADER)
        limits.max_header--;
    else if (row->limit == IN_HEADERS)
        limits.max_headers--;
    else
        limits.max_body--;
    run_all_cuts(row, &limits, row->beyond);
}
END_TEST

/* `count` times the text, between a start and an end. */
static void repeat(struct buf *out, const char *start, const char *text, size_t count, const char *end)
{
    mesh__buf_init(out, &mesh__mem_system, 16 << 20);
    mesh__buf_append_text(out, start);
    for (size_t i = 0; i < count; i++)
        mesh__buf_append_text(out, text);
    mesh__buf_append_text(out, end);
    ck_assert(!out->failed);
}

START_TEST(floods_end_at_the_limit)
{
    static const struct {
        const char *label, *start, *text, *end;
        mesh_status expected;
    } floods[] = {
        { "one long value", H "A: ", "xxxxxxxxxxxxxxxx", "\r\n\r\n", MESH_HEADER_TOO_LARGE },
        { "one long name", H, "xxxxxxxxxxxxxxxx", ": a\r\n\r\n", MESH_HEADER_TOO_LARGE },
        { "one long reason", "HTTP/1.1 200 ", "xxxxxxxxxxxxxxxx", "\r\n\r\n", MESH_HEADER_TOO_LARGE },
        { "many fields", H, "A: b\r\n", "\r\n", MESH_TOO_MANY_HEADERS },
        { "a long extension", CHUNKED "1;", "xxxxxxxxxxxxxxxx", "\r\na\r\n0\r\n\r\n", MESH_HEADER_TOO_LARGE },
        { "many extensions", CHUNKED, "1;xxxxxxxxxxxxxxxx\r\na\r\n", "0\r\n\r\n", MESH_HEADER_TOO_LARGE },
        { "a long trailer", CHUNKED "0\r\nA: ", "xxxxxxxxxxxxxxxx", "\r\n\r\n", MESH_HEADER_TOO_LARGE },
        { "many trailers", CHUNKED "0\r\n", "A: b\r\n", "\r\n", MESH_TOO_MANY_HEADERS },
        { "many chunks are fine", CHUNKED, "10\r\nxxxxxxxxxxxxxxxx\r\n", "0\r\n\r\n", MESH_OK },
    };
    struct buf bytes;
    repeat(&bytes, floods[_i].start, floods[_i].text, 65536, floods[_i].end);
    static const size_t sizes[] = { 0, 1, 1460, 65536 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct transcript_input input = {
            HTTP1_RESPONSES, false, false, { 61440, 100, 8388608 }, bytes.data, bytes.size
        };
        struct transcript out;
        transcript_run(&out, &input, sizes[i], sizes[i]);
        const char *mark = strchr(mesh__buf_text(&out.text), '!');
        if (floods[_i].expected == MESH_OK)
            ck_assert_msg(mark == NULL, "%s: %s", floods[_i].label, mark);
        else
            ck_assert_msg(mark != NULL && strncmp(mark + 2, mesh_status_name(floods[_i].expected), 8) == 0,
                          "%s in pieces of %zu: %s", floods[_i].label, sizes[i], mark);
        transcript_free(&out);
    }
    mesh__buf_fini(&bytes);
}
END_TEST

/* Events that count, and refuse the one that is `refused`. */
struct counter {
    size_t events, refused;
};

static bool count_event(void *user)
{
    struct counter *counter = user;
    return ++counter->events != counter->refused;
}

static bool count_head(void *user, const struct http1_head *head)
{
    ck_assert_uint_gt(head->header_count, 0);
    return count_event(user);
}

static bool count_body(void *user, struct view bytes)
{
    ck_assert_uint_gt(bytes.size, 0);
    return count_event(user);
}

static bool count_trailers(void *user, const mesh_header *headers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ck_assert(mesh__view_equal(mesh__view(headers[i].value, headers[i].value_size), VIEW_LITERAL("b")));
    ck_assert_uint_eq(count, 60);
    return count_event(user);
}

static bool count_end(void *user, bool keep_alive)
{
    ck_assert(keep_alive);
    return count_event(user);
}

static const struct http1_events counting = { count_head, count_body, count_trailers, count_end };
static const struct http1_limits wide = { 61440, 100, 8388608 };

START_TEST(stops_behind_the_message)
{
    struct counter counter = { 0, 0 };
    struct http1_reader *reader = mesh__http1_reader_new(&mesh__mem_system, HTTP1_RESPONSES, &counting, &counter);
    struct http1_progress progress = mesh__http1_read(reader, "HTTP", 4);
    ck_assert_msg(progress.used == 0 && !mesh__http1_reader_started(reader), "nothing is read before next()");
    mesh__http1_reader_next(reader, &wide, false);
    ck_assert(!mesh__http1_reader_started(reader));
    progress = mesh__http1_read(reader, "H", 1);
    ck_assert(progress.used == 1 && !progress.ended && mesh__http1_reader_started(reader));
    static const char rest[] = "TTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1";
    progress = mesh__http1_read(reader, rest, sizeof rest - 1);
    ck_assert(progress.ended && progress.status == MESH_OK);
    ck_assert_uint_eq(progress.used, sizeof rest - 1 - 8);
    ck_assert_uint_eq(counter.events, 3);
    progress = mesh__http1_read(reader, "HTTP", 4);
    ck_assert_msg(progress.used == 0 && progress.ended, "an ended message stays ended");
    progress = mesh__http1_read_eof(reader);
    ck_assert_int_eq(progress.status, MESH_RESET);
    mesh__http1_reader_next(reader, &wide, false);
    ck_assert(!mesh__http1_reader_started(reader));
    ck_assert_int_eq(mesh__http1_read(reader, "x", 1).status, MESH_PROTOCOL);
    progress = mesh__http1_read(reader, rest, 4);
    ck_assert_msg(progress.used == 0 && progress.status == MESH_PROTOCOL, "an error stays");
    ck_assert_int_eq(mesh__http1_read_eof(reader).status, MESH_PROTOCOL);
    mesh__http1_reader_free(reader);
    mesh__http1_reader_free(NULL);
}
END_TEST

START_TEST(an_empty_line_does_not_start_a_request)
{
    struct counter counter = { 0, 0 };
    struct http1_reader *reader = mesh__http1_reader_new(&mesh__mem_system, HTTP1_REQUESTS, &counting, &counter);
    mesh__http1_reader_next(reader, &wide, false);
    ck_assert_uint_eq(mesh__http1_read(reader, "\r", 1).used, 1);
    ck_assert(!mesh__http1_reader_started(reader));
    ck_assert_uint_eq(mesh__http1_read(reader, "\n", 1).used, 1);
    ck_assert(!mesh__http1_reader_started(reader));
    ck_assert_uint_eq(mesh__http1_read(reader, "G", 1).used, 1);
    ck_assert(mesh__http1_reader_started(reader));
    mesh__http1_reader_free(reader);
}
END_TEST

/* An allocator that counts, and fails the call that is `fail_at`. */
struct tally {
    size_t calls, fail_at, blocks;
};

static void *tally_allocate(size_t bytes, void *user)
{
    struct tally *tally = user;
    if (++tally->calls == tally->fail_at)
        return NULL;
    tally->blocks++;
    return malloc(bytes);
}

static void *tally_resize(void *block, size_t old_bytes, size_t bytes, void *user)
{
    struct tally *tally = user;
    if (++tally->calls == tally->fail_at)
        return NULL;
    char *larger = malloc(bytes);
    ck_assert_ptr_nonnull(larger);
    memcpy(larger, block, old_bytes < bytes ? old_bytes : bytes);
    free(block);
    return larger;
}

static void tally_release(void *block, void *user)
{
    struct tally *tally = user;
    tally->blocks--;
    free(block);
}

/* More fields than fit at first, cut in the middle, with a body. */
static struct http1_progress read_large_head(struct http1_reader *reader)
{
    struct buf bytes;
    repeat(&bytes, H, "A: b\r\n", 60, "Content-Length: 2\r\n\r\nhi");
    mesh__http1_reader_next(reader, &wide, false);
    struct http1_progress progress = mesh__http1_read(reader, bytes.data, 100);
    if (progress.status == MESH_OK)
        progress = mesh__http1_read(reader, bytes.data + 100, bytes.size - 100);
    mesh__buf_fini(&bytes);
    return progress;
}

/* More trailers than there were fields, cut likewise. */
static struct http1_progress read_large(struct http1_reader *reader, bool trailers)
{
    struct buf bytes;
    if (!trailers)
        return read_large_head(reader);
    repeat(&bytes, CHUNKED "2\r\nhi\r\n0\r\n", "A: b\r\n", 60, "\r\n");
    mesh__http1_reader_next(reader, &wide, false);
    struct http1_progress progress = mesh__http1_read(reader, bytes.data, 200);
    if (progress.status == MESH_OK)
        progress = mesh__http1_read(reader, bytes.data + 200, bytes.size - 200);
    mesh__buf_fini(&bytes);
    return progress;
}

START_TEST(memory_that_runs_out_is_reported)
{
    size_t fail_at = 0;
    bool ended = false;
    while (!ended) {
        struct tally tally = { 0, ++fail_at, 0 };
        struct mem mem = { tally_allocate, tally_resize, tally_release, &tally };
        struct counter counter = { 0, 0 };
        struct http1_reader *reader = mesh__http1_reader_new(&mem, HTTP1_RESPONSES, &counting, &counter);
        if (reader != NULL) {
            struct http1_progress progress = read_large(reader, _i == 1);
            ended = progress.ended;
            ck_assert_int_eq(progress.status, ended ? MESH_OK : MESH_NO_MEMORY);
            tally.fail_at = 0;
            ck_assert_msg(read_large(reader, _i == 1).ended, "the reader is whole after failure %zu", fail_at);
        }
        mesh__http1_reader_free(reader);
        ck_assert_uint_eq(tally.blocks, 0);
    }
    ck_assert_uint_gt(fail_at, _i == 1 ? 5 : 4);
}
END_TEST

START_TEST(steady_state_takes_no_memory)
{
    struct tally tally = { 0, 0, 0 };
    struct mem mem = { tally_allocate, tally_resize, tally_release, &tally };
    struct counter counter = { 0, 0 };
    struct http1_reader *reader = mesh__http1_reader_new(&mem, HTTP1_RESPONSES, &counting, &counter);
    ck_assert(read_large(reader, _i == 1).ended);
    size_t calls = tally.calls;
    for (int i = 0; i < 100; i++)
        ck_assert(read_large(reader, _i == 1).ended);
    ck_assert_uint_eq(tally.calls, calls);
    mesh__http1_reader_free(reader);
}
END_TEST

START_TEST(each_event_may_stop_the_reader)
{
    for (size_t refused = 1; refused <= (_i == 1 ? 4u : 3u); refused++) {
        struct counter counter = { 0, refused };
        struct http1_reader *reader = mesh__http1_reader_new(&mesh__mem_system, HTTP1_RESPONSES, &counting, &counter);
        struct http1_progress progress = read_large(reader, _i == 1);
        ck_assert_int_eq(progress.status, MESH_NO_MEMORY);
        ck_assert(!progress.ended);
        ck_assert_uint_eq(counter.events, refused);
        mesh__http1_reader_free(reader);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http1 limits");
    TCase *tcase = tcase_create("limits");
    tcase_add_loop_test(tcase, each_limit_holds_at_its_edge, 0, ROW_COUNT);
    tcase_add_loop_test(tcase, floods_end_at_the_limit, 0, 9);
    tcase_add_test(tcase, stops_behind_the_message);
    tcase_add_test(tcase, an_empty_line_does_not_start_a_request);
    tcase_add_loop_test(tcase, memory_that_runs_out_is_reported, 0, 2);
    tcase_add_loop_test(tcase, steady_state_takes_no_memory, 0, 2);
    tcase_add_loop_test(tcase, each_event_may_stop_the_reader, 0, 2);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
