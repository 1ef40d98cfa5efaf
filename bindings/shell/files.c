/* SPDX-License-Identifier: Apache-2.0 */
/* files.c - reads files, makes folders, and writes files so that nobody sees half of one. */
#include "files.h"

#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int no_memory(const char *verb)
{
    complain(verb, "memory ran out; free some and try again");
    return EXIT_LOCAL;
}

int files_read(const char *verb, const char *path, char **out)
{
    char *bytes;
    size_t size;
    *out = NULL;
    int code = input_read(verb, path, &bytes, &size);
    if (code != EXIT_GO_ON)
        return code == EXIT_USAGE ? EXIT_REFUSED : code;
    *out = strndup(bytes, size);
    free(bytes);
    return *out ? EXIT_GO_ON : no_memory(verb);
}

bool files_exists(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0;
}

static int refuse(const char *verb, const char *path)
{
    complain(verb, "%s cannot be written (%s); choose a place that can", path, strerror(errno));
    return EXIT_LOCAL;
}

int files_make_folders(const char *verb, const char *path)
{
    char *folder = strdup(path);
    int code = folder ? EXIT_GO_ON : no_memory(verb);
    for (char *at = folder ? folder + 1 : NULL; at && *at && code == EXIT_GO_ON; at++) {
        char *slash = strchr(at, '/');
        if (slash == NULL)
            break;
        *slash = '\0';
        if (mkdir(folder, 0755) != 0 && errno != EEXIST)
            code = refuse(verb, folder);
        *slash = '/';
        at = slash;
    }
    free(folder);
    return code;
}

/* 0 or -1 with errno. */
static int write_all(int fd, const char *text, mode_t mode)
{
    for (size_t left = strlen(text); left > 0;) {
        ssize_t done = write(fd, text, left);
        if (done < 0 && errno != EINTR)
            return -1;
        text += done > 0 ? done : 0;
        left -= done > 0 ? (size_t)done : 0;
    }
    return fchmod(fd, mode) == 0 ? fsync(fd) : -1;
}

int files_write(const char *verb, const char *path, const char *text, enum files_access access)
{
    char *draft;
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    if (asprintf(&draft, "%.*s.%s.XXXXXX", (int)(name - path), path, name) < 0)
        return no_memory(verb);
    int code = EXIT_GO_ON, fd = mkostemp(draft, O_CLOEXEC);
    if (fd < 0) {
        code = refuse(verb, path);
    } else {
        bool done = write_all(fd, text, (mode_t)access) == 0;
        if (!done)
            code = refuse(verb, path);
        (void)close(fd);
        if (done && rename(draft, path) != 0)
            code = refuse(verb, path);
        if (code != EXIT_GO_ON)
            (void)unlink(draft);
    }
    free(draft);
    return code;
}
