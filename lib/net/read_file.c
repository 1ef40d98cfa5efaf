/* SPDX-License-Identifier: Apache-2.0 */
/* read_file.c - open with O_NONBLOCK, look at what it is, read to the end. */
#include "net/read_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK 16384

static int64_t to_ns(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static struct file_stamp stamp_of(const struct stat *s)
{
    return (struct file_stamp){ .device = (uint64_t)s->st_dev,
                                .inode = (uint64_t)s->st_ino,
                                .size = (uint64_t)s->st_size,
                                .modified_ns = to_ns(s->st_mtim),
                                .changed_ns = to_ns(s->st_ctim) };
}

int mesh__file_stamp(const char *path, struct file_stamp *out)
{
    struct stat s;
    *out = (struct file_stamp){ 0 };
    if (stat(path, &s) != 0)
        return -errno;
    *out = stamp_of(&s);
    return 0;
}

bool mesh__file_stamp_equal(const struct file_stamp *a, const struct file_stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size && a->modified_ns == b->modified_ns &&
           a->changed_ns == b->changed_ns;
}

static int read_to_end(int fd, struct buf *out)
{
    char chunk[CHUNK];
    int error = 0;
    for (bool more = true; more;) {
        ssize_t got = read(fd, chunk, sizeof(chunk));
        more = got > 0 || (got < 0 && errno == EINTR);
        if (got < 0 && errno != EINTR)
            error = -errno;
        if (got > 0 && !mesh__buf_append(out, chunk, (size_t)got)) {
            error = out->no_memory ? -ENOMEM : -EFBIG;
            more = false;
        }
    }
    explicit_bzero(chunk, sizeof(chunk)); /* it may have been a key */
    return error;
}

int mesh__file_read(const char *path, struct buf *out, struct file_stamp *stamp)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return -errno;
    struct stat s;
    int error = fstat(fd, &s) == 0 ? 0 : -errno;
    if (!error && !S_ISREG(s.st_mode))
        error = -EINVAL;
    if (!error && stamp != NULL)
        *stamp = stamp_of(&s);
    if (!error)
        error = read_to_end(fd, out);
    close(fd);
    return error;
}

const char *mesh__file_problem(int negative_errno, char *space, size_t size)
{
    if (negative_errno == -EINVAL)
        return "not a regular file";
    if (negative_errno == -EFBIG)
        return "too large";
    return strerror_r(-negative_errno, space, size);
}
