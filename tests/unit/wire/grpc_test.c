/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_test.c - message frames in any pieces, statuses from whatever ended a call, and metadata. */
#include "wire/grpc.h"
#include "wire/trace.h"

#include <check.h>
#include <stdlib.h>

/* What a decoder says of bytes in pieces: "<5>hello|<0>|" for two messages, "!13" for a fault. */
static void transcript(struct buf *out, struct view bytes, size_t piece, uint32_t max, bool encoded)
{
    struct grpc_decoder decoder;
    mesh__grpc_decoder_init(&decoder, max);
    decoder.encoded = encoded;
    struct grpc_step step = { GRPC_MORE, 0, { NULL, 0 } };
    for (size_t at = 0; at < bytes.size && step.event != GRPC_FAILED; at += piece) {
        size_t left = bytes.size - at < piece ? bytes.size - at : piece;
        char *block = malloc(left), *from = block;
        ck_assert_ptr_nonnull(block);
        memcpy(block, bytes.data + at, left);
        do {
            step = mesh__grpc_decode(&decoder, from, left);
            ck_assert_uint_le(step.used, left);
            from += step.used;
            left -= step.used;
            if (step.event == GRPC_BEGIN)
                mesh__buf_printf(out, "<%u>", decoder.left);
            else if (step.event == GRPC_BYTES)
                mesh__buf_append_view(out, step.bytes);
            else if (step.event == GRPC_END)
                mesh__buf_append_char(out, '|');
        } while (step.event != GRPC_MORE && step.event != GRPC_FAILED);
        ck_assert(step.event == GRPC_FAILED || left == 0);
        free(block);
    }
    if (step.event == GRPC_FAILED) {
        ck_assert_ptr_nonnull(decoder.reason);
        ck_assert_int_eq(mesh__grpc_decode(&decoder, "x", 1).event, GRPC_FAILED);
        mesh__buf_printf(out, "!%d", decoder.status);
    } else if (!mesh__grpc_between(&decoder)) {
        mesh__buf_append_text(out, "..");
    }
}

static const struct frame_row {
    struct view bytes;
    bool encoded;
    const char *text;
} frame_rows[] = {
    { { "", 0 }, false, "" },
    { { "\0\0\0\0\5hello", 10 }, false, "<5>hello|" },
    { { "\0\0\0\0\0", 5 }, false, "<0>|" },
    { { "\0\0\0\0\0\0\0\0\0\1x\0\0\0\0\0", 16 }, false, "<0>|<1>x|<0>|" },
    { { "\0\0\0\0", 4 }, false, ".." },
    { { "\0\0\0\0\5hel", 8 }, false, "<5>hel.." },
    { { "\0\0\0\0\x10"
        "0123456789abcdef",
        21 },
      false,
      "<16>0123456789abcdef|" },
    { { "\0\0\0\0\x11", 5 }, false, "!8" },
    { { "\0\xff\xff\xff\xff", 5 }, false, "!8" },
    { { "\1\0\0\0\1x", 6 }, false, "!13" },
    { { "\1\0\0\0\1x", 6 }, true, "!12" },
    { { "\2\0\0\0\1x", 6 }, true, "!13" },
    { { "\0\0\0\0\1x\1\0\0\0\1x", 12 }, false, "<1>x|!13" },
};

START_TEST(frames)
{
    const struct frame_row *row = &frame_rows[_i];
    for (size_t piece = 1; piece < 24; piece++) {
        struct buf out;
        mesh__buf_init(&out, &mesh__mem_system, 1000);
        transcript(&out, row->bytes, piece, 16, row->encoded);
        ck_assert_str_eq(mesh__buf_text(&out), row->text);
        mesh__buf_fini(&out);
    }
}
END_TEST

START_TEST(frame_head)
{
    char head[GRPC_FRAME_HEAD];
    mesh__grpc_frame_head(0x01020304, head);
    ck_assert_mem_eq(head, "\0\1\2\3\4", 5);
}
END_TEST

START_TEST(statuses)
{
    static const struct {
        const char *text;
        int32_t parsed, found;
    } rows[] = { { "0", 0, 0 },          { "14", 14, 14 },        { "16", 16, 16 },          { "17", 2, -1 },
                 { "00", 0, 0 },         { "", -1, -1 },          { "-1", -1, -1 },          { "1x", -1, -1 },
                 { " 1", -1, -1 },       { "OK", -1, 0 },         { "UNAVAILABLE", -1, 14 }, { "unavailable", -1, -1 },
                 { "999999999", 2, -1 }, { "9999999999", -1, -1 } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ck_assert_int_eq(mesh__grpc_status_parse(mesh__view_of(rows[i].text)), rows[i].parsed);
        ck_assert_int_eq(mesh__grpc_status_find(mesh__view_of(rows[i].text)), rows[i].found);
    }
    for (int32_t i = 0; i <= 16; i++)
        ck_assert_int_eq(mesh__grpc_status_find(mesh__view_of(mesh__grpc_status_name(i))), i);
    ck_assert_str_eq(mesh__grpc_status_name(17), "UNKNOWN");
    ck_assert_str_eq(mesh__grpc_status_name(-1), "UNKNOWN");
}
END_TEST

START_TEST(mappings)
{
    static const int http[][2] = { { 400, 13 }, { 401, 16 }, { 403, 7 }, { 404, 12 }, { 429, 14 }, { 502, 14 },
                                   { 503, 14 }, { 504, 14 }, { 200, 2 }, { 500, 2 },  { 302, 2 },  { 999, 2 } };
    for (size_t i = 0; i < sizeof http / sizeof *http; i++)
        ck_assert_int_eq(mesh__grpc_from_http(http[i][0]), http[i][1]);
    static const unsigned codes[][2] = { { 0, 13 }, { 1, 13 }, { 2, 13 },  { 3, 13 }, { 4, 13 }, { 6, 13 }, { 7, 14 },
                                         { 8, 1 },  { 9, 13 }, { 10, 13 }, { 11, 8 }, { 12, 7 }, { 13, 13 } };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        ck_assert_uint_eq(mesh__grpc_from_http2(codes[i][0]), codes[i][1]);
    static const int calls[][2] = { { MESH_CANCELLED, 1 },        { MESH_DEADLINE, 4 },    { MESH_PER_TRY_TIMEOUT, 4 },
                                    { MESH_NO_ENDPOINT, 14 },     { MESH_OVERLOADED, 14 }, { MESH_BODY_TOO_LARGE, 8 },
                                    { MESH_CONNECT_REFUSED, 14 }, { MESH_RESET, 14 },      { MESH_PROTOCOL, 13 },
                                    { MESH_NO_MEMORY, 8 },        { MESH_EINVAL, 13 } };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        ck_assert_int_eq(mesh__grpc_from_mesh(calls[i][0]), calls[i][1]);
}
END_TEST

static const struct outcome_row {
    int32_t http;
    const char *status, *message, *pushback, *again;
    struct grpc_outcome out;
} outcome_rows[] = {
    { 200, "0", NULL, NULL, NULL, { GRPC_OK, { NULL, 0 }, true, false, 0 } },
    { 200, "14", "busy%21", "20", NULL, { GRPC_UNAVAILABLE, { "busy%21", 7 }, true, true, 20 * NANOS_MS } },
    { 503, "5", NULL, NULL, NULL, { GRPC_NOT_FOUND, { NULL, 0 }, true, false, 0 } },
    { 503, NULL, NULL, NULL, NULL, { GRPC_UNAVAILABLE, { NULL, 0 }, false, false, 0 } },
    { 200, NULL, NULL, NULL, NULL, { GRPC_UNKNOWN, { NULL, 0 }, false, false, 0 } },
    { 200, "x", NULL, "-1", NULL, { GRPC_UNKNOWN, { NULL, 0 }, false, true, -1 } },
    { 200, "8", NULL, "soon", NULL, { GRPC_RESOURCE_EXHAUSTED, { NULL, 0 }, true, true, -1 } },
    { 200, "8", NULL, "1", "2", { GRPC_RESOURCE_EXHAUSTED, { NULL, 0 }, true, true, -1 } },
    { 200, "99", NULL, "0", NULL, { GRPC_UNKNOWN, { NULL, 0 }, true, true, 0 } },
};

START_TEST(outcomes)
{
    const struct outcome_row *row = &outcome_rows[_i];
    const char *const names[] = { "grpc-status", "grpc-message", "Grpc-Retry-Pushback-Ms", "grpc-retry-pushback-ms" };
    const char *const values[] = { row->status, row->message, row->pushback, row->again };
    mesh_header headers[5] = { { "other", 5, "1", 1 } };
    size_t count = 1;
    for (size_t i = 0; i < 4; i++)
        if (values[i] != NULL)
            headers[count++] = (mesh_header){ names[i], strlen(names[i]), values[i], strlen(values[i]) };
    struct grpc_outcome out;
    mesh__grpc_outcome(row->http, headers, count, &out);
    ck_assert_int_eq(out.status, row->out.status);
    ck_assert(mesh__view_equal(out.message, row->out.message));
    ck_assert_int_eq(out.said, row->out.said);
    ck_assert_int_eq(out.pushback, row->out.pushback);
    ck_assert_int_eq(out.delay, row->out.delay);
}
END_TEST

START_TEST(content_types)
{
    static const struct {
        const char *text;
        bool yes;
    } rows[] = { { "application/grpc", true },
                 { "application/grpc+proto", true },
                 { "Application/GRPC;charset=x", true },
                 { "application/grpc-web", false },
                 { "application/json", false },
                 { "application/grp", false },
                 { "", false } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        ck_assert_int_eq(mesh__grpc_content_type(mesh__view_of(rows[i].text)), rows[i].yes);
}
END_TEST

static const struct text_row {
    struct view plain;
    const char *coded;
} message_rows[] = {
    { { "", 0 }, "" },
    { { "plain words!", 12 }, "plain words!" },
    { { "100%", 4 }, "100%25" },
    { { "\t\ntest with whitespace\r\nand Unicode BMP \xe2\x98\xba and non-BMP \xf0\x9f\x98\x88\t\n", 62 },
      "%09%0Atest with whitespace%0D%0Aand Unicode BMP %E2%98%BA and non-BMP %F0%9F%98%88%09%0A" },
    { { "\0\x7f\xff", 3 }, "%00%7F%FF" },
}, binary_rows[] = {
    { { "", 0 }, "" },
    { { "f", 1 }, "Zg" },
    { { "fo", 2 }, "Zm8" },
    { { "foo", 3 }, "Zm9v" },
    { { "foob", 4 }, "Zm9vYg" },
    { { "fooba", 5 }, "Zm9vYmE" },
    { { "foobar", 6 }, "Zm9vYmFy" },
    { { "\0\xff\xfe\x3e", 4 }, "AP/+Pg" },
};

static void both_ways(const struct text_row *row, bool (*encode)(struct buf *, struct view),
                      bool (*decode)(struct buf *, struct view))
{
    struct buf out;
    mesh__buf_init(&out, &mesh__mem_system, 1000);
    ck_assert(encode(&out, row->plain));
    ck_assert_str_eq(mesh__buf_text(&out), row->coded);
    mesh__buf_clear(&out);
    ck_assert(decode(&out, mesh__view_of(row->coded)));
    ck_assert(mesh__view_equal(mesh__view(out.data, out.size), row->plain));
    mesh__buf_fini(&out);
}

START_TEST(messages)
{
    for (size_t i = 0; i < sizeof message_rows / sizeof *message_rows; i++)
        both_ways(&message_rows[i], mesh__grpc_message_encode, mesh__grpc_message_decode);
    static const char *const lenient[][2] = {
        { "%", "%" }, { "%4", "%4" }, { "a%zz%41", "a%zzA" }, { "%%41", "%A" }, { "%e2%98%ba", "\xe2\x98\xba" }
    };
    for (size_t i = 0; i < sizeof lenient / sizeof *lenient; i++) {
        struct buf out;
        mesh__buf_init(&out, &mesh__mem_system, 100);
        ck_assert(mesh__grpc_message_decode(&out, mesh__view_of(lenient[i][0])));
        ck_assert_str_eq(mesh__buf_text(&out), lenient[i][1]);
        mesh__buf_fini(&out);
    }
    struct buf small;
    mesh__buf_init(&small, &mesh__mem_system, 4);
    ck_assert(!mesh__grpc_message_encode(&small, VIEW_LITERAL("%%")));
    mesh__buf_fini(&small);
}
END_TEST

START_TEST(binary)
{
    for (size_t i = 0; i < sizeof binary_rows / sizeof *binary_rows; i++)
        both_ways(&binary_rows[i], mesh__grpc_binary_encode, mesh__grpc_binary_decode);
    static const struct {
        const char *text, *plain; /* NULL: malformed */
    } rows[] = { { "Zg==", "f" },   { "Zm8=", "fo" }, { "Zg=", NULL }, { "Z", NULL },    { "Zm9vY", NULL },
                 { "Zg===", NULL }, { "====", NULL }, { "Z g", NULL }, { "Zm-_", NULL }, { "Zg,Zg", NULL } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out;
        mesh__buf_init(&out, &mesh__mem_system, 100);
        bool ok = mesh__grpc_binary_decode(&out, mesh__view_of(rows[i].text));
        ck_assert_msg(ok == (rows[i].plain != NULL), "%s", rows[i].text);
        if (ok)
            ck_assert_str_eq(mesh__buf_text(&out), rows[i].plain);
        mesh__buf_fini(&out);
    }
    ck_assert(mesh__grpc_binary_name(VIEW_LITERAL("x-Bin")) && !mesh__grpc_binary_name(VIEW_LITERAL("-bin")));
    ck_assert(!mesh__grpc_binary_name(VIEW_LITERAL("x-bin2")) && !mesh__grpc_binary_name(VIEW_LITERAL("")));
}
END_TEST

START_TEST(numbers)
{
    static const struct {
        mesh_nanos nanos;
        const char *text;
    } rows[] = { { 0, "0n" },
                 { -5, "0n" },
                 { 99999999, "99999999n" },
                 { 100000000, "100000u" },
                 { 100000999, "100000u" },
                 { 15 * NANOS_S, "15000000u" },
                 { 100 * NANOS_S, "100000m" },
                 { 100000 * NANOS_S, "100000S" },
                 { INT64_MAX, "2562047H" } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[12];
        size_t size = mesh__grpc_timeout_format(rows[i].nanos, text);
        ck_assert_uint_eq(size, strlen(text));
        if (rows[i].nanos != INT64_MAX)
            ck_assert_str_eq(text, rows[i].text);
        mesh_nanos parsed = mesh__grpc_timeout_parse(mesh__view(text, size));
        ck_assert_int_ge(parsed, 0);
        ck_assert_int_le(parsed, rows[i].nanos > 0 ? rows[i].nanos : 0);
    }
    ck_assert_int_eq(mesh__grpc_pushback_parse(VIEW_LITERAL("15")), 15 * NANOS_MS);
    ck_assert_int_eq(mesh__grpc_pushback_parse(VIEW_LITERAL("0")), 0);
    ck_assert_int_eq(mesh__grpc_pushback_parse(VIEW_LITERAL("-1")), -1);
    ck_assert_int_eq(mesh__grpc_pushback_parse(VIEW_LITERAL("")), -1);
    ck_assert_int_eq(mesh__grpc_pushback_parse(VIEW_LITERAL("1e3")), -1);
    ck_assert_int_eq(mesh__grpc_attempts_parse(VIEW_LITERAL("3")), 3);
    ck_assert_int_eq(mesh__grpc_attempts_parse(VIEW_LITERAL("x")), -1);
    ck_assert_int_eq(mesh__grpc_attempts_parse(VIEW_LITERAL("9999999999")), -1);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("grpc");
    TCase *tcase = tcase_create("grpc");
    tcase_add_loop_test(tcase, frames, 0, (int)(sizeof frame_rows / sizeof *frame_rows));
    tcase_add_test(tcase, frame_head);
    tcase_add_test(tcase, statuses);
    tcase_add_test(tcase, mappings);
    tcase_add_loop_test(tcase, outcomes, 0, (int)(sizeof outcome_rows / sizeof *outcome_rows));
    tcase_add_test(tcase, content_types);
    tcase_add_test(tcase, messages);
    tcase_add_test(tcase, binary);
    tcase_add_test(tcase, numbers);
    suite_add_tcase(s, tcase);
    return s;
}

int main(void)
{
    SRunner *runner = srunner_create(suite());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
