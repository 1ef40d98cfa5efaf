/* SPDX-License-Identifier: Apache-2.0 */
/* http1_request_fuzz.c - requests from a hostile peer. */
#define FUZZ_NAME "http1_request"
#define FUZZ_WORDS                                                                                                     \
    FUZZ_HTTP1_WORDS, "GET / HTTP/1.1\r\n", "POST /a HTTP/1.1\r\n", "OPTIONS * HTTP/1.1\r\n", "Host: a\r\n",           \
        "Expect: 100-continue\r\n"
#include "http1_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_http1(HTTP1_REQUESTS, data, size);
    return 0;
}
