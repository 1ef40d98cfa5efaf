/* SPDX-License-Identifier: Apache-2.0 */
/* options.h - the command line of a verb. */
#ifndef MESH_SHELL_OPTIONS_H
#define MESH_SHELL_OPTIONS_H

#include "tool.h"

#include <stdbool.h>

/* Verbs, as bits: which of them an option belongs to. */
enum verb_bit { VERB_CHECK = 1, VERB_CALL = 2, VERB_BENCH = 4, VERB_CERTS = 8 };

struct options {
    const char *config; /* a path, "-" for standard input */
    const char *service, *method, *path;
    mesh_header *headers; /* what they name lies in the command line */
    size_t header_count;
    const char *body;
    size_t body_size;
    char *body_read; /* the body again, if it was read from a file */
    int64_t timeout_ns, duration_ns;
    const char *endpoint, *authority;
    uint64_t connections, requests;
    const char *trust_domain, *out;
    uint64_t days;
    const char **names; /* DNS names and IP addresses, pointers into the command line */
    size_t name_count;
    char **services; /* of certs: the rest of the command line */
    size_t service_count;
    bool body_given, grpc, idempotent, no_retry, verbose, fail, json, new_authority;
};

/* Takes the command line of `verb` apart. EXIT_GO_ON, or what the program is to exit with: after --help, or after a
 * complaint. The options are to be given back in each case. */
int options_parse(enum verb_bit verb, int argc, char **argv, struct options *out);
void options_free(struct options *options);

#endif
