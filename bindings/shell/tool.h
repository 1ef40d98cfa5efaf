/* SPDX-License-Identifier: Apache-2.0 */
/* tool.h - the verbs of `mesh`, what it exits with, and how it complains. */
#ifndef MESH_SHELL_TOOL_H
#define MESH_SHELL_TOOL_H

#include <mesh/mesh.h>

/* X(name, code, what it means): the one list of exit codes, which --help prints too. */
#define EXIT_CODE_MAP(X)                                                                                               \
    X(DONE, 0, "done: a response arrived, the configuration is good, or the certificates were written")                \
    X(REFUSED, 1, "the configuration or the authority was refused or cannot be read")                                  \
    X(USAGE, 2, "the command line, the service's name or the request is not valid")                                    \
    X(NO_RESPONSE, 3, "a call ended without a response")                                                               \
    X(STATUS, 4, "with --fail: a response had status 400 or more; a gRPC call ended with another status than OK")      \
    X(LOCAL, 5, "output cannot be written, or memory or descriptors ran out")                                          \
    X(INTERRUPTED, 130, "bench was interrupted; it still says what was measured by then")

#define EXIT_CODE_ENUM(name, code, meaning) EXIT_##name = code,
enum exit_code { EXIT_CODE_MAP(EXIT_CODE_ENUM) EXIT_GO_ON = -1 };
#undef EXIT_CODE_ENUM

/* Each is given its own name as argv[0], and gives what the program exits with. */
int run_check(int argc, char **argv);
int run_call(int argc, char **argv);
int run_bench(int argc, char **argv);
int run_certs(int argc, char **argv);

/* Writes "mesh VERB: " and the sentence to standard error, on one line; "mesh: " where `verb` is NULL. */
__attribute__((format(printf, 2, 3))) void complain(const char *verb, const char *format, ...);

/* Flushes standard output: `code`, or EXIT_LOCAL and a complaint if not all of it could be written. */
int finish_output(const char *verb, int code);

/* What a call that ended with `status` makes the program exit with. */
int exit_code_of(mesh_status status);

/* What a person may do about it, as half a sentence; never NULL. */
const char *remedy_for(mesh_status status);

/* The one of `count` words that `word` is most like; NULL when it is like none. */
const char *nearest_word(const char *word, const char *const *known, size_t count);

#endif
