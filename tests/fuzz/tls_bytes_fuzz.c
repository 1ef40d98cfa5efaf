/* SPDX-License-Identifier: Apache-2.0 */
/* tls_bytes_fuzz.c - either side of a handshake that hears these bytes: it may answer, but it never opens, and it fails
 * when they end at the latest. */
#define FUZZ_NAME "tls_bytes"
#define FUZZ_ROUNDS 15000
#define FUZZ_WORDS                                                                                                     \
    "\x16\x03\x03", "\x16\x03\x01", "\x15\x03\x03", "\x14\x03\x03", "\x17\x03\x03", "\x01\x01", "\x02\x28",            \
        "\x03\x03", "\x03\x04", "\x03\x02", "\xcc\xa9", "\xc0\x2b", "\x13\x03", "\x13\x01", "\x0b\x01", "\x0e",        \
        "\x10", "\x17", "\x1d", "\x04\x03", "\x2b\x03\x02\x03\x04", "\xff\xff", "\x40"
#include "fuzz_main.h"

#include "tls_fuzz.h"

static ssize_t drop(void *user, const void *bytes, size_t size)
{
    (void)user;
    (void)bytes;
    return (ssize_t)size;
}

static const struct tls_io io = { fuzz_read, drop };

/* In pieces of `piece` bytes. */
static void hear(enum tls_side which, const uint8_t *data, size_t size, size_t piece)
{
    struct fuzz_side side;
    fuzz_side_open(&side, which, false, &io);
    for (size_t at = 0; at < size && side.want != TLS_FAILED; at += piece) {
        size_t part = size - at < piece ? size - at : piece;
        FUZZ_CHECK(mesh__buf_append(&side.in.bytes, data + at, part));
        fuzz_step(&side);
        FUZZ_CHECK(side.want == TLS_WANTS_READ || side.want == TLS_FAILED);
    }
    side.in.ended = true;
    fuzz_step(&side);
    FUZZ_CHECK(side.want == TLS_FAILED);
    fuzz_sides_close(&side, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_open_shop();
    size_t piece = size > 0 && data[size - 1] % 2 ? (size_t)data[size / 2] + 1 : size + 1;
    for (int side = 0; side < 2; side++)
        hear((enum tls_side)side, data, size, piece);
    return 0;
}
