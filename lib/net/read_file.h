/* SPDX-License-Identifier: Apache-2.0 */
/* read_file.h - a small file as a whole: regular files only, never waiting, up to a cap. */
#ifndef MESH__NET_READ_FILE_H
#define MESH__NET_READ_FILE_H

#include "base/buf.h"

#include <stdint.h>

/* Tells one content of a file from the next without reading it. All zero: no such file. */
struct file_stamp {
    uint64_t device, inode, size;
    int64_t modified_ns, changed_ns; /* since 1970 */
};

/* The stamp of what `path` leads to; 0 or a negative errno, with an all-zero stamp. */
int mesh__file_stamp(const char *path, struct file_stamp *out);

bool mesh__file_stamp_equal(const struct file_stamp *a, const struct file_stamp *b);

/* Appends the file to `out`, whose cap bounds it. 0 or a negative errno: EFBIG past the cap, EINVAL when it is not a
 * regular file (a FIFO is not opened for long enough to matter). `stamp` is that of the opened file; may be NULL. */
int mesh__file_read(const char *path, struct buf *out, struct file_stamp *stamp);

/* Words for an error of these functions, as "No such file or directory". `space` may be used for them. */
const char *mesh__file_problem(int negative_errno, char *space, size_t size);

#endif
