/* SPDX-License-Identifier: Apache-2.0 */
/* client_matrix_test.c - the matrix over HTTP/1.1 in plain text. */
/* label: threaded */
/* long */
#include "api/client_matrix.h"

int main(int argc, char **argv)
{
    return client_matrix(false, false, argc, argv);
}
