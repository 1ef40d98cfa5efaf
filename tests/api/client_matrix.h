/* SPDX-License-Identifier: Apache-2.0 */
/* client_matrix.h - the rows of client_rows.h in cells of {driver} x {network} x {threads}, and the matrix printed: one
 * program for each of {HTTP/1.1, HTTP/2} x {plain text, mutual TLS}.
 *
 * Over HTTP/1.1 in plain text every cell is run; elsewhere each driver, each network, and one thread and many are met,
 * and with MESH_MATRIX=full in the environment every cell again. A row that makes no sense in a cell says why.
 *
 * Arguments, for whoever looks into a failure: a row and a cell, as "deadline" "next/memory/32". */
#ifndef TESTS_API_CLIENT_MATRIX_H
#define TESTS_API_CLIENT_MATRIX_H

#include "api/client_rows.h"

/* For main(). */
int client_matrix(bool http2, bool secured, int argc, char **argv);

#endif
