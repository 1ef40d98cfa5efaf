/* SPDX-License-Identifier: Apache-2.0 */
/* http1_response_fuzz.c - responses from a hostile peer. */
#define FUZZ_NAME "http1_response"
#define FUZZ_WORDS                                                                                                     \
    FUZZ_HTTP1_WORDS, "HTTP/1.1 200 OK\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 204 ", "HTTP/1.0 304 \r\n"
#include "http1_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_http1(HTTP1_RESPONSES, data, size);
    return 0;
}
