/* SPDX-License-Identifier: Apache-2.0 */
/* server_papers.h - certificates in a folder of their own, configurations that name them, and lines of a log to wait
 * for. */
#ifndef TESTS_API_SERVER_PAPERS_H
#define TESTS_API_SERVER_PAPERS_H

#include "shell/issue.h"

#include <mesh/mesh.h>
#include <pthread.h>
#include <stdbool.h>

#define PAPERS_SECOND INT64_C(1000000000)

struct papers {
    char folder[64];
    struct issued authority; /* of the trust domain "shop"; its certificate is in shop.ca */
    struct issued stranger;  /* an authority of the same name, which nobody trusts */
};

void papers_make(struct papers *papers);
void papers_remove(struct papers *papers);

/* Writes NAME.pem and NAME.key, each in one step: an X509-SVID of `id`, in force from a while ago. */
void papers_write(const struct papers *papers, const char *name, const char *id, const struct issued *issuer);

/* The same, in force between these Unix seconds. */
void papers_write_between(const struct papers *papers, const char *name, const char *id, const struct issued *issuer,
                          int64_t from, int64_t to);

/* Replaces a file of the folder in one step. */
void papers_put(const struct papers *papers, const char *file, const char *text);

/* A configuration with the identity NAME and `rest`, the members after it; `NULL`: trust alone. */
mesh_config *papers_config(const struct papers *papers, const char *name, const char *rest);

/* Opens the server "test" at a free port as `name` with these further settings in JSON: "\"tls\": {...}". */
mesh_server *papers_server(const struct papers *papers, const char *name, const char *settings, const char *more,
                           const mesh_options *options, mesh_handler handler, void *user);

/* Opens a client of the service "test" at `address`; `tls` is its member of that name. */
mesh_client *papers_client(const struct papers *papers, const char *name, const char *address, const char *tls);

/* A call's code; the body of the response, or why there is none, is in `text` (room for 400), cut. */
mesh_status papers_call(mesh_client *client, const char *method, const char *path, char *text);

/* Runs a command in the folder, with its input closed; what it printed is in `out`. Its exit status. */
int papers_run(const struct papers *papers, char *out, size_t room, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Lines that a server logged. */
struct lines {
    pthread_mutex_t lock;
    pthread_cond_t came;
    char *text; /* each ends with a line end */
    size_t size, read;
};

void lines_init(struct lines *lines);
void lines_fini(struct lines *lines);
void lines_log(int32_t level, const char *line, void *lines); /* for mesh_options.on_log */

/* Waits for a line that has `word` behind those that were awaited before; fails the test when none comes. */
void lines_await(struct lines *lines, const char *word);

/* Whether a line has it. */
bool lines_have(struct lines *lines, const char *word);

#endif
