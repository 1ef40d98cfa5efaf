/* SPDX-License-Identifier: Apache-2.0 */
/* spans.h - spans as lines of JSON: every process appends to a file of its own, the driver reads them all. */
#ifndef SHOP_SPANS_H
#define SHOP_SPANS_H

#include <mesh/client.h>

/* One line of such a file. */
struct span_line {
    char trace[33], id[17], parent[17];
    char process[32], kind[8], service[64], endpoint[64], status[32];
    int attempt, http;
    long long start_ns, duration_ns;
};

struct span_file;

/* FOLDER/spans-PROCESS.jsonl, to append to. NULL after a message. */
struct span_file *spans_open(const char *folder, const char *process);
void spans_close(struct span_file *file);

/* An on_span callback; `user` is the struct span_file. */
void spans_write(const mesh_span *span, void *user);

/* Reads all span files of a folder, at most `capacity` lines for which `wanted` (NULL: any) says yes. How many. */
size_t spans_read(const char *folder, int (*wanted)(const struct span_line *, void *user), void *user,
                  struct span_line *out, size_t capacity);

#endif
