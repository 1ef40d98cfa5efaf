/* SPDX-License-Identifier: Apache-2.0 */
/* client_rows.h - the tests of the client that run in every cell: the rows of the matrix. */
#ifndef TESTS_API_CLIENT_ROWS_H
#define TESTS_API_CLIENT_ROWS_H

#include "api/client_harness.h"

struct row {
    const char *name;
    const char *services; /* for harness_open(), before `each` */
    /* Either: run by every thread of the cell at once, on one client. */
    void (*each)(struct harness *, int thread);
    /* Or: run by one thread, which opens the client itself, while the others make calls of their own. */
    void (*whole)(struct harness *);
    /* Why the row makes no sense in a cell; NULL: it does. */
    const char *(*not_applicable)(const struct cell *);
};

/* Each ends with a row without a name. */
extern const struct row exchange_rows[];
extern const struct row retry_rows[];
extern const struct row end_rows[];
extern const struct row watch_rows[];
extern const struct row life_rows[];
extern const struct row stream_rows[];

/* A service "test" on endpoints 0 to 2, without what would let calls influence one another. */
#define CALM "'circuit_breaker': {'enabled': false}, 'retry': {'budget': {'per_second': 100000}"
#define TEST_SERVICE "{'test': {'endpoints': ['@0', '@1', '@2'], " CALM "}}}"

/* The attempt; all zero when there is no such one. */
mesh_attempt attempt_of(const mesh_result *, size_t index);

/* EXPECTs so many attempts, the last of which ended for `stop`, those before by `retry`. */
void expect_attempts(struct harness *, const mesh_result *, size_t count, enum mesh_retry retry, enum mesh_stop stop);

/* A request, with a body that is text or NULL. */
mesh_request request_of(const char *method, const char *path, const char *body);

#endif
