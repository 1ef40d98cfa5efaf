/* SPDX-License-Identifier: Apache-2.0 */
/* client_matrix_tls_test.c - the matrix over HTTP/1.1 and mutual TLS. */
/* long */
#include "api/client_matrix.h"

int main(int argc, char **argv)
{
    return client_matrix(false, true, argc, argv);
}
