/* SPDX-License-Identifier: Apache-2.0 */
/* tls_pair_fuzz.c - two sides whose bytes are changed on the way: whoever opens knows the right peer, and what is read
 * was written.
 *
 * An input's first byte says whether a session is resumed. Behind it are edits of five bytes: direction and kind, two
 * of place among the bytes of that direction (the next edit's counts from there), two of what and how much. */
#define FUZZ_NAME "tls_pair"
#define FUZZ_ROUNDS 300
#define FUZZ_WORDS "\x01\x00", "\x02\x00", "\x04\x00", "\x08\x00", "\x10\x00", "\x16\x03", "\x00\x05", "\x01\x80"
#include "fuzz_main.h"

#include "tls_fuzz.h"

#define EDIT_SIZE 5
#define ROUNDS_MAX 100000

enum edit { EDIT_FLIP, EDIT_DROP, EDIT_INSERT, EDIT_END, EDITS };

static struct {
    const uint8_t *edits;
    size_t size;
    struct fuzz_side sides[2];
    size_t next[2], wait[2]; /* by the side that writes: the next edit, and bytes until there */
    size_t moved;
} wire;

/* Finds the next edit of a direction. */
static void seek_edit(int from)
{
    size_t at = wire.next[from];
    while (at + EDIT_SIZE <= wire.size && wire.edits[at] % 2 != from)
        at += EDIT_SIZE;
    wire.next[from] = at;
    wire.wait[from] = at + EDIT_SIZE <= wire.size ? (size_t)wire.edits[at + 1] << 8 | wire.edits[at + 2] : SIZE_MAX;
}

/* Applies an edit in front of these bytes; how many of them it took. */
static size_t apply(int from, const uint8_t *bytes, size_t size)
{
    const uint8_t *edit = wire.edits + wire.next[from];
    struct fuzz_pipe *pipe = &wire.sides[!from].in;
    uint8_t flipped = bytes[0] ^ (edit[3] ? edit[3] : 1);
    size_t taken = 0;
    switch (edit[0] / 2 % EDITS) {
    case EDIT_FLIP:
        FUZZ_CHECK(mesh__buf_append(&pipe->bytes, &flipped, 1));
        taken = 1;
        break;
    case EDIT_DROP:
        taken = (size_t)edit[4] + 1 < size ? (size_t)edit[4] + 1 : size;
        break;
    case EDIT_INSERT:
        FUZZ_CHECK(mesh__buf_append(&pipe->bytes, edit, 1 + edit[4] % EDIT_SIZE));
        break;
    default:
        pipe->ended = true;
        break;
    }
    wire.next[from] += EDIT_SIZE;
    seek_edit(from);
    return taken;
}

static ssize_t send_on(void *user, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    int from = user == &wire.sides[1];
    struct fuzz_pipe *pipe = &wire.sides[!from].in;
    for (size_t at = 0; at < size && !pipe->ended;) {
        size_t part = wire.wait[from] < size - at ? wire.wait[from] : size - at;
        FUZZ_CHECK(mesh__buf_append(&pipe->bytes, bytes + at, part));
        at += part;
        wire.wait[from] -= wire.wait[from] == SIZE_MAX ? 0 : part;
        if (wire.wait[from] == 0 && at < size)
            at += apply(from, bytes + at, size - at);
    }
    wire.moved += size;
    return (ssize_t)size;
}

static const struct tls_io io = { fuzz_read, send_on };

static void step(int which)
{
    struct fuzz_side *side = &wire.sides[which];
    if (side->want == TLS_DONE || side->want == TLS_FAILED)
        return;
    fuzz_step(side);
    if (side->want == TLS_FAILED)
        wire.sides[!which].in.ended = true;
}

static void shake(void)
{
    for (int idle = 0, rounds = 0; idle < 3; rounds++) {
        size_t before = wire.moved + wire.sides[0].in.bytes.size + wire.sides[1].in.bytes.size;
        step(0);
        step(1);
        FUZZ_CHECK(rounds < ROUNDS_MAX);
        idle = before == wire.moved + wire.sides[0].in.bytes.size + wire.sides[1].in.bytes.size ? idle + 1 : 0;
    }
}

/* What one side writes the other reads, or it reads nothing. */
static void check_exchange(void)
{
    static const char text[] = "what was written";
    char bytes[64];
    struct iovec one = { (char *)(uintptr_t)text, sizeof(text) };
    for (int from = 0; from < 2; from++) {
        if (wire.sides[from].want != TLS_DONE || wire.sides[!from].want != TLS_DONE)
            return;
        ssize_t put = mesh__tls_write(wire.sides[from].connection, &one, 1);
        ssize_t got = mesh__tls_read(wire.sides[!from].connection, bytes, sizeof(bytes));
        FUZZ_CHECK(put == (ssize_t)sizeof(text) || put < 0);
        FUZZ_CHECK(got <= 0 || (got == (ssize_t)sizeof(text) && memcmp(bytes, text, sizeof(text)) == 0));
        FUZZ_CHECK(got > 0 || got == -EAGAIN || got == -ECONNRESET);
    }
}

/* True when both sides opened. */
static bool meet(const uint8_t *edits, size_t size, bool resume)
{
    wire.edits = edits;
    wire.size = size;
    wire.next[0] = wire.next[1] = wire.moved = 0;
    for (int side = 0; side < 2; side++) {
        fuzz_side_open(&wire.sides[side], (enum tls_side)side, resume, &io);
        seek_edit(side);
    }
    shake();
    for (int side = 0; side < 2; side++) {
        const struct tls_report *report = mesh__tls_report(wire.sides[side].connection);
        char id[64];
        (void)snprintf(id, sizeof(id), "spiffe://shop/%s", fuzz_names[!side]);
        FUZZ_CHECK(wire.sides[side].want != TLS_DONE || strcmp(report->peer_id, id) == 0);
    }
    bool open = wire.sides[0].want == TLS_DONE && wire.sides[1].want == TLS_DONE;
    check_exchange();
    fuzz_sides_close(wire.sides, 2);
    return open;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool resume = size > 0 && data[0] % 2;
    fuzz_open_shop();
    if (resume)
        FUZZ_CHECK(meet(NULL, 0, true)); /* so that there is a session */
    bool open = meet(size > 0 ? data + 1 : data, size > 0 ? size - 1 : 0, resume);
    FUZZ_CHECK(open || size > EDIT_SIZE);
    return 0;
}
