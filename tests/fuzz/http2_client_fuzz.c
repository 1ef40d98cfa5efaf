/* SPDX-License-Identifier: Apache-2.0 */
/* http2_client_fuzz.c - frames from a hostile server. */
#define FUZZ_NAME "http2_client"
#define FUZZ_ROUNDS 20000
#define FUZZ_WORDS FUZZ_HTTP2_WORDS
#include "http2_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_http2(HTTP2_CLIENT, data, size);
    return 0;
}
