/* SPDX-License-Identifier: Apache-2.0 */
/* http2_server_fuzz.c - frames from a hostile client. */
#define FUZZ_NAME "http2_server"
#define FUZZ_ROUNDS 20000
#define FUZZ_WORDS FUZZ_HTTP2_WORDS
#include "http2_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_http2(HTTP2_SERVER, data, size);
    return 0;
}
