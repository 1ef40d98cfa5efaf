/* SPDX-License-Identifier: Apache-2.0 */
/* client_matrix_http2_tls_test.c - the matrix over HTTP/2 and mutual TLS. */
/* label: threaded */
/* long */
#include "api/client_matrix.h"

int main(int argc, char **argv)
{
    return client_matrix(true, true, argc, argv);
}
