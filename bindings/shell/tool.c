/* SPDX-License-Identifier: Apache-2.0 */
/* tool.c - what all verbs share: complaints, exit codes, remedies and the nearest word. */
#include "tool.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define WORD_MAX 32

void complain(const char *verb, const char *format, ...)
{
    va_list arguments;
    fprintf(stderr, verb ? "mesh %s: " : "mesh: ", verb);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

int finish_output(const char *verb, int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    complain(verb, "standard output cannot be written (%s): is the disk full, or has its reader gone?",
             strerror(errno));
    return EXIT_LOCAL;
}

int exit_code_of(mesh_status status)
{
    if (status == MESH_OK)
        return EXIT_DONE;
    if (status == MESH_ECONFIG)
        return EXIT_REFUSED;
    switch (mesh_status_category(status)) {
    case MESH_CATEGORY_USAGE:
        return EXIT_USAGE;
    case MESH_CATEGORY_RESOURCE:
        return EXIT_LOCAL;
    default:
        return EXIT_NO_RESPONSE;
    }
}

const char *remedy_for(mesh_status status)
{
    switch (mesh_status_category(status)) {
    case MESH_CATEGORY_USAGE:
        return status == MESH_ESERVICE ? "name a service of the configuration" : "correct the command line";
    case MESH_CATEGORY_DEADLINE:
        return "allow more by --timeout, or by timeout and per_try_timeout in the configuration";
    case MESH_CATEGORY_NO_ENDPOINT:
        return "look at endpoints or discover of the service in the configuration";
    case MESH_CATEGORY_OVERLOADED:
        return "lower --connections, or raise limits of the service in the configuration";
    case MESH_CATEGORY_LIMIT:
        return "raise max_body, max_header or max_headers of the service in the configuration";
    case MESH_CATEGORY_CONNECT:
        return "check that the service listens there, or correct its endpoints in the configuration";
    case MESH_CATEGORY_RESET:
        return "look into the log of the service: it closed the connection";
    case MESH_CATEGORY_PROTOCOL:
        return "check that the endpoint speaks HTTP/1.1";
    case MESH_CATEGORY_RESOURCE:
        return "free memory, or raise the limit of open files (ulimit -n)";
    default:
        return "try again";
    }
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* How many letters to insert, remove, replace or swap with their neighbour make `a` into `b`. */
static size_t distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b), table[WORD_MAX + 1][WORD_MAX + 1];
    if (n > WORD_MAX || m > WORD_MAX)
        return SIZE_MAX;
    for (size_t i = 0; i <= n; i++) {
        for (size_t j = 0; j <= m; j++) {
            if (i == 0 || j == 0) {
                table[i][j] = i + j;
                continue;
            }
            size_t replaced = table[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            table[i][j] = least(replaced, least(table[i - 1][j], table[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                table[i][j] = least(table[i][j], table[i - 2][j - 2] + 1);
        }
    }
    return table[n][m];
}

const char *nearest_word(const char *word, const char *const *known, size_t count)
{
    const char *best = NULL;
    size_t bound = (strlen(word) + 2) / 3 + 1; /* farther is not like it */
    for (size_t i = 0; i < count; i++) {
        size_t far = distance(word, known[i]);
        if (far < bound) {
            best = known[i];
            bound = far;
        }
    }
    return best;
}
