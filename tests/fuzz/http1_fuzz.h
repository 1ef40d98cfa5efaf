/* SPDX-License-Identifier: Apache-2.0 */
/* http1_fuzz.h - what both HTTP/1.1 targets check: however the bytes are cut, they are the same events.
 *
 * The first byte of an input is its options: 1 the response is to HEAD, 2 the peer closes behind the last byte,
 * 4 the limits are tight. The digits '0' to '7' do.
 */
#ifndef MESH__TESTS_HTTP1_FUZZ_H
#define MESH__TESTS_HTTP1_FUZZ_H

#define FUZZ_HTTP1_WORDS                                                                                               \
    "\r\n", "\r\n\r\n", " HTTP/1.1\r\n", " HTTP/1.0\r\n", "Content-Length: ", "Content-Length: 5\r\n",                 \
        "Transfer-Encoding: ", "chunked", "identity", "Connection: close\r\n", "Connection: keep-alive\r\n",           \
        "Keep-Alive: timeout=5\r\n", "Upgrade: h2c\r\nConnection: upgrade\r\n", "0\r\n\r\n", "5\r\nhello\r\n",         \
        "5;a=\"b\"\r\n", "ffffffffffffffff", "18446744073709551616", "\r\n ", " :", "A: b\r\n"

#include "fuzz_main.h"

#include "../unit/wire/http1_transcript.h"

static inline uint32_t fuzz_hash(const uint8_t *data, size_t size)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ data[i]) * 16777619u;
    return hash;
}

static inline void fuzz_http1(enum http1_role role, const uint8_t *data, size_t size)
{
    if (size == 0)
        return;
    static const struct http1_limits wide = { 4096, 32, 65536 }, tight = { 100, 3, 8 };
    struct transcript_input input = {
        role,    (data[0] & 1) != 0, (data[0] & 2) != 0, (data[0] & 4) != 0 ? tight : wide, (const char *)data + 1,
        size - 1
    };
    struct transcript whole;
    transcript_run(&whole, &input, 0, 0);
    FUZZ_CHECK(whole.used <= input.size);
    uint32_t hash = fuzz_hash(data, size);
    const size_t firsts[] = { 1, 1 + hash % size, 1 + (hash >> 8) % size, 2 };
    const size_t sizes[] = { 1, 0, 1 + (hash >> 16) % 13, 3 };
    for (size_t i = 0; i < 4; i++) {
        struct transcript pieces;
        transcript_run(&pieces, &input, firsts[i], sizes[i]);
        FUZZ_CHECK(transcript_equal(&whole, &pieces));
        transcript_free(&pieces);
    }
    transcript_free(&whole);
}

#endif
