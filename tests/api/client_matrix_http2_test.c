/* SPDX-License-Identifier: Apache-2.0 */
/* client_matrix_http2_test.c - the matrix over HTTP/2 in plain text. */
/* long */
#include "api/client_matrix.h"

int main(int argc, char **argv)
{
    return client_matrix(true, false, argc, argv);
}
