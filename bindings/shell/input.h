/* SPDX-License-Identifier: Apache-2.0 */
/* input.h - what a verb reads: files, standard input, configurations; and the client and request made of them. */
#ifndef MESH_SHELL_INPUT_H
#define MESH_SHELL_INPUT_H

#include "options.h"

/* Reads the file, or standard input for "-", to its end, into memory from malloc(). EXIT_GO_ON, or an exit code after a
 * complaint; `*out` is NULL then. */
int input_read(const char *verb, const char *path, char **out, size_t *size);

/* Whether standard input has been read: it can be read only once. */
bool input_was_taken(void);

/* Loads the document at `path`, or standard input for "-". On failure `*error` says why, or it has been said. */
mesh_status input_config(const char *verb, const char *path, mesh_config **out, mesh_error **error);

/* Opens a client with one loop for the configuration in the options. EXIT_GO_ON, or an exit code after a complaint. */
int input_client(const char *verb, const struct options *options, mesh_client **out);

/* The request that the options ask for; it borrows from them. */
void input_request(const struct options *options, mesh_request *out);

#endif
