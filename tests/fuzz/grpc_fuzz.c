/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_fuzz.c - message frames in pieces, and the texts of fields, which survive being written and read again. */
#define FUZZ_NAME "grpc"
#define FUZZ_WORDS "%41", "%", "%zz", "Zm9v", "Zg==", "=", "99999999H", "-1", "1S"
#include "fuzz_main.h"

#include "wire/grpc.h"
#include "wire/trace.h"

/* Messages and their bytes, in whatever pieces these come. */
static void decode(const char *bytes, size_t size, size_t piece, struct buf *out)
{
    struct grpc_decoder decoder;
    mesh__grpc_decoder_init(&decoder, 300);
    enum grpc_event event = GRPC_MORE;
    for (size_t at = 0; at < size && event != GRPC_FAILED; at += piece) {
        size_t end = size - at < piece ? size : at + piece, from = at;
        do {
            struct grpc_step step = mesh__grpc_decode(&decoder, bytes + from, end - from);
            event = step.event;
            FUZZ_CHECK(step.used <= end - from);
            from += step.used;
            if (event == GRPC_BYTES)
                mesh__buf_append_view(out, step.bytes);
            else if (event != GRPC_MORE)
                mesh__buf_printf(out, "<%d %u>", event, event == GRPC_BEGIN ? decoder.left : 0);
        } while (event != GRPC_MORE && event != GRPC_FAILED);
        FUZZ_CHECK(event == GRPC_FAILED || from == end);
    }
    mesh__buf_printf(out, "<%d %d>", mesh__grpc_between(&decoder), decoder.status);
}

static void survive(struct view text, bool (*encode)(struct buf *, struct view),
                    bool (*read)(struct buf *, struct view))
{
    struct buf coded, plain;
    mesh__buf_init(&coded, &mesh__mem_system, 1 << 20);
    mesh__buf_init(&plain, &mesh__mem_system, 1 << 20);
    FUZZ_CHECK(encode(&coded, text));
    FUZZ_CHECK(read(&plain, mesh__view(coded.data, coded.size)));
    FUZZ_CHECK(mesh__view_equal(text, mesh__view(plain.data, plain.size)));
    mesh__buf_clear(&plain);
    (void)read(&plain, text);
    FUZZ_CHECK(plain.size <= text.size);
    mesh__buf_fini(&coded);
    mesh__buf_fini(&plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view text = { (const char *)data, size };
    struct buf whole, cut;
    mesh__buf_init(&whole, &mesh__mem_system, 1 << 20);
    mesh__buf_init(&cut, &mesh__mem_system, 1 << 20);
    decode(text.data, size, SIZE_MAX, &whole);
    decode(text.data, size, 1 + (size > 0 ? data[size / 2] % 7 : 0), &cut);
    FUZZ_CHECK(mesh__view_equal(mesh__view(whole.data, whole.size), mesh__view(cut.data, cut.size)));
    mesh__buf_fini(&whole);
    mesh__buf_fini(&cut);
    survive(text, mesh__grpc_message_encode, mesh__grpc_message_decode);
    survive(text, mesh__grpc_binary_encode, mesh__grpc_binary_decode);
    mesh_nanos timeout = mesh__grpc_timeout_parse(text);
    char again[12];
    if (timeout >= 0)
        FUZZ_CHECK(mesh__grpc_timeout_parse(mesh__view(again, mesh__grpc_timeout_format(timeout, again))) <= timeout);
    FUZZ_CHECK(mesh__grpc_status_parse(text) <= 16 && mesh__grpc_pushback_parse(text) >= -1);
    return 0;
}
