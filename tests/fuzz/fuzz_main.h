/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_main.h - the main() of a fuzz target where no fuzzing engine brings one (build with -DFUZZ_ENGINE if one does).
 *
 * With arguments it runs the target on each file or each file of a directory. Without, it runs the target on its corpus
 * and on FUZZ_ROUNDS mutations of it, from a fixed seed: the same inputs each time, in a second or two; with
 * FUZZ_SECONDS in the environment it goes on with further ones for so long. A target defines FUZZ_NAME (its folder in
 * tests/fuzz/corpus) and FUZZ_WORDS (a list of strings that mean something to it) before it includes this file.
 */
#ifndef MESH__TESTS_FUZZ_MAIN_H
#define MESH__TESTS_FUZZ_MAIN_H

#include "base/buf.h"
#include "base/rng.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Where the target is: for the words of a failed check. */
static const uint8_t *fuzz_data;
static size_t fuzz_size;

#define FUZZ_CHECK(condition) ((condition) ? (void)0 : fuzz_fail(#condition, __LINE__))

static inline void fuzz_fail(const char *condition, int line)
{
    fprintf(stderr, "%s: line %d: %s does not hold for\n\"", FUZZ_NAME, line, condition);
    for (size_t i = 0; i < fuzz_size; i++)
        fprintf(stderr, fuzz_data[i] >= ' ' && fuzz_data[i] < 0x7f && fuzz_data[i] != '\\' ? "%c" : "\\x%02x",
                fuzz_data[i]);
    fprintf(stderr, "\"\n");
    abort();
}

#ifndef FUZZ_ENGINE

#include <dirent.h>
#include <time.h>

#ifndef FUZZ_ROUNDS
#define FUZZ_ROUNDS 60000
#endif
#define FUZZ_MAX_SEEDS 256
#ifndef FUZZ_MAX_SIZE
#define FUZZ_MAX_SIZE 2048
#endif

struct fuzz_corpus {
    struct buf seeds[FUZZ_MAX_SEEDS];
    size_t count;
};

static void fuzz_load_file(struct fuzz_corpus *corpus, const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL || corpus->count == FUZZ_MAX_SEEDS) {
        fprintf(stderr, "%s: cannot be read\n", path);
        exit(1);
    }
    struct buf *seed = &corpus->seeds[corpus->count++];
    mesh__buf_init(seed, &mesh__mem_system, 1 << 24);
    mesh__buf_reserve(seed, 1); /* also an empty one has an address */
    char block[4096];
    for (size_t size = fread(block, 1, sizeof block, file); size > 0; size = fread(block, 1, sizeof block, file))
        mesh__buf_append(seed, block, size);
    fclose(file);
}

static int fuzz_by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int fuzz_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* A file, or the files of a directory in the order of their names. */
static void fuzz_load(struct fuzz_corpus *corpus, const char *path)
{
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, fuzz_visible, fuzz_by_name);
    if (count < 0) {
        fuzz_load_file(corpus, path);
        return;
    }
    for (int i = 0; i < count; i++) {
        char file[4096];
        (void)snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
        fuzz_load_file(corpus, file);
        free(entries[i]);
    }
    free(entries);
}

static void fuzz_run(const void *data, size_t size)
{
    /* A block of the exact size, so that a read behind the end is seen. */
    uint8_t *copy = malloc(size > 0 ? size : 1);
    if (copy == NULL)
        abort();
    if (size > 0)
        memcpy(copy, data, size);
    fuzz_data = copy;
    fuzz_size = size;
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static size_t fuzz_below(struct rng *rng, size_t bound)
{
    return mesh__rng_below((uint32_t)mesh__rng_next(rng), (uint32_t)bound);
}

/* Replaces `remove` bytes at `at` by `size` others. */
static void fuzz_splice(struct buf *input, size_t at, size_t remove, const char *bytes, size_t size)
{
    struct buf out;
    mesh__buf_init(&out, &mesh__mem_system, FUZZ_MAX_SIZE);
    mesh__buf_append(&out, input->data, at);
    mesh__buf_append(&out, bytes, size);
    mesh__buf_append(&out, input->data + at + remove, input->size - at - remove);
    if (!out.failed) {
        mesh__buf_clear(input);
        mesh__buf_append(input, out.data, out.size);
    }
    mesh__buf_fini(&out);
}

static void fuzz_mutate(struct buf *input, const struct fuzz_corpus *corpus, struct rng *rng)
{
    static const char *const words[] = { FUZZ_WORDS };
    static const char bytes[] = "\0\t\n\r !\",-/059:;=@AFazx\x7f\x80\xff";
    size_t at = fuzz_below(rng, input->size + 1);
    size_t rest = input->size - at;
    size_t length = fuzz_below(rng, (rest < 16 ? rest : 16) + 1);
    const struct buf *other = &corpus->seeds[fuzz_below(rng, corpus->count)];
    size_t from = fuzz_below(rng, other->size + 1);
    const char *word = words[fuzz_below(rng, sizeof words / sizeof *words)];
    char flipped = rest > 0 ? (char)(input->data[at] ^ (1 << fuzz_below(rng, 8))) : 0;
    switch (fuzz_below(rng, 7)) {
    case 0:
        fuzz_splice(input, at, rest > 0, &flipped, rest > 0);
        break;
    case 1:
        fuzz_splice(input, at, rest > 0, &bytes[fuzz_below(rng, sizeof bytes - 1)], 1);
        break;
    case 2:
        fuzz_splice(input, at, 0, &bytes[fuzz_below(rng, sizeof bytes - 1)], 1);
        break;
    case 3:
        fuzz_splice(input, at, length, "", 0);
        break;
    case 4:
        fuzz_splice(input, at, length, word, strlen(word));
        break;
    case 5:
        fuzz_splice(input, at, 0, word, strlen(word));
        break;
    default:
        fuzz_splice(input, at, length, other->data + from, other->size - from);
        break;
    }
}

/* How many. */
static long fuzz_rounds(const struct fuzz_corpus *corpus)
{
    const char *seconds = getenv("FUZZ_SECONDS");
    time_t end = time(NULL) + (seconds ? atol(seconds) : 0);
    long round = 0;
    struct rng rng;
    struct buf input;
    mesh__rng_init(&rng, 1);
    mesh__buf_init(&input, &mesh__mem_system, FUZZ_MAX_SIZE);
    for (; round < FUZZ_ROUNDS || time(NULL) < end; round++) {
        const struct buf *seed = &corpus->seeds[fuzz_below(&rng, corpus->count)];
        mesh__buf_clear(&input);
        mesh__buf_append(&input, seed->data, seed->size);
        mesh__buf_reserve(&input, 1);
        for (size_t left = 1 + fuzz_below(&rng, 3); left > 0; left--)
            fuzz_mutate(&input, corpus, &rng);
        fuzz_run(input.data, input.size);
    }
    mesh__buf_fini(&input);
    return round;
}

int main(int argc, char **argv)
{
    static struct fuzz_corpus corpus;
    for (int i = 1; i < argc; i++)
        fuzz_load(&corpus, argv[i]);
    if (argc == 1) {
        static const char here[] = __FILE__;
        char path[4096];
        (void)snprintf(path, sizeof path, "%.*scorpus/%s", (int)(sizeof here - sizeof "fuzz_main.h"), here, FUZZ_NAME);
        fuzz_load(&corpus, path);
    }
    if (corpus.count == 0) {
        fprintf(stderr, "%s: no inputs\n", FUZZ_NAME);
        return 1;
    }
    for (size_t i = 0; i < corpus.count; i++)
        fuzz_run(corpus.seeds[i].data, corpus.seeds[i].size);
    long rounds = argc == 1 ? fuzz_rounds(&corpus) : 0;
    printf("%s: %zu inputs and %ld mutations\n", FUZZ_NAME, corpus.count, rounds);
    for (size_t i = 0; i < corpus.count; i++)
        mesh__buf_fini(&corpus.seeds[i]);
    return 0;
}

#endif
#endif
