/* SPDX-License-Identifier: Apache-2.0 */
/* foreign.h - a server that others wrote, in a process of its own. */
#ifndef TESTS_INTEROP_FOREIGN_H
#define TESTS_INTEROP_FOREIGN_H

#include <sys/types.h>

struct foreign {
    pid_t pid; /* 0: none */
    unsigned port;
};

/* A port of 127.0.0.1 that was free a moment ago. */
unsigned foreign_port(void);

/* Runs a command of the shell in the folder, with $PORT in its environment and its output in server.log there, and
 * waits until it listens at `port`. */
void foreign_start(struct foreign *, const char *folder, unsigned port, const char *command);

/* Ends it at once, if it runs. */
void foreign_end(struct foreign *);

#endif
