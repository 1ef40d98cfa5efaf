/* SPDX-License-Identifier: Apache-2.0 */
/* spans.c - spans as lines of JSON: writing one's own, reading everybody's. */
#include "spans.h"
#include "service.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

struct span_file {
    FILE *file;
    char process[32];
};

struct span_file *spans_open(const char *folder, const char *process)
{
    char name[64];
    struct span_file *self = calloc(1, sizeof(*self));
    if (!self)
        return NULL;
    (void)snprintf(self->process, sizeof(self->process), "%s", process);
    (void)snprintf(name, sizeof(name), "spans-%s.jsonl", process);
    self->file = service_open_log(folder, name);
    if (self->file)
        return self;
    free(self);
    return NULL;
}

void spans_close(struct span_file *self)
{
    (void)fclose(self->file);
    free(self);
}

static const char *hex(char *out, const uint8_t *bytes, size_t count)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * count] = '\0';
    return out;
}

static const char *kind_name(int32_t kind)
{
    return kind == MESH_SPAN_CALL ? "call" : kind == MESH_SPAN_ATTEMPT ? "attempt" : "server";
}

/* Empty texts are written as "-": the reader below wants a character or more. */
static const char *text(const char *string)
{
    return string && *string ? string : "-";
}

void spans_write(const mesh_span *span, void *user)
{
    struct span_file *self = user;
    char trace[33], id[17], parent[17];
    (void)fprintf(self->file,
                  "{\"trace\":\"%s\",\"span\":\"%s\",\"parent\":\"%s\",\"process\":\"%s\",\"kind\":\"%s\","
                  "\"service\":\"%s\",\"endpoint\":\"%s\",\"status\":\"%s\",\"attempt\":%d,\"http\":%d,"
                  "\"start_ns\":%lld,\"duration_ns\":%lld}\n",
                  hex(trace, span->trace_id, 16), hex(id, span->span_id, 8), hex(parent, span->parent_id, 8),
                  self->process, kind_name(span->kind), text(span->service), text(span->endpoint),
                  mesh_status_name(span->status), (int)span->attempt, (int)span->http_status,
                  (long long)span->start_unix_ns, (long long)span->duration_ns);
}

static int parse(const char *line, struct span_line *out)
{
    return sscanf(line,
                  "{\"trace\":\"%32[0-9a-f]\",\"span\":\"%16[0-9a-f]\",\"parent\":\"%16[0-9a-f]\","
                  "\"process\":\"%31[^\"]\",\"kind\":\"%7[^\"]\",\"service\":\"%63[^\"]\",\"endpoint\":\"%63[^\"]\","
                  "\"status\":\"%31[^\"]\",\"attempt\":%d,\"http\":%d,\"start_ns\":%lld,\"duration_ns\":%lld}",
                  out->trace, out->id, out->parent, out->process, out->kind, out->service, out->endpoint, out->status,
                  &out->attempt, &out->http, &out->start_ns, &out->duration_ns) == 12;
}

static size_t read_file(const char *path, int (*wanted)(const struct span_line *, void *), void *user,
                        struct span_line *out, size_t capacity)
{
    size_t count = 0;
    char line[1024];
    FILE *file = fopen(path, "re");
    while (file && count < capacity && fgets(line, sizeof(line), file)) {
        struct span_line span;
        if (parse(line, &span) && (!wanted || wanted(&span, user)))
            out[count++] = span;
    }
    if (file)
        (void)fclose(file);
    return count;
}

size_t spans_read(const char *folder, int (*wanted)(const struct span_line *, void *user), void *user,
                  struct span_line *out, size_t capacity)
{
    size_t count = 0;
    DIR *directory = opendir(folder);
    struct dirent *entry;
    while (directory && (entry = readdir(directory)) != NULL) {
        char path[SHOP_PATH];
        if (strncmp(entry->d_name, "spans-", strlen("spans-")) != 0)
            continue;
        if (snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name) < (int)sizeof(path))
            count += read_file(path, wanted, user, out + count, capacity - count);
    }
    if (directory)
        (void)closedir(directory);
    return count;
}
