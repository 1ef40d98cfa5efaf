/* SPDX-License-Identifier: Apache-2.0 */
/* client_ids_test.c - trace and span ids of a client's calls have nothing in common, from the very first call on. */
#include "api/client_rows.h"

#include "client/client.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define CALLS 200
#define WORDS (CALLS * 5)

/* Every 64 bits that a client made up. The lowest bit of an id's first byte is always set in some and not compared. */
struct words {
    pthread_mutex_t lock;
    uint64_t list[WORDS];
    size_t count;
};

static void note(struct words *words, const uint8_t bytes[8])
{
    uint64_t word;
    memcpy(&word, bytes, sizeof(word));
    uint8_t mask[8] = { 1 };
    uint64_t bit;
    memcpy(&bit, mask, sizeof(bit));
    ck_assert_uint_lt(words->count, WORDS);
    words->list[words->count++] = word & ~bit;
}

static void on_span(const mesh_span *span, void *user)
{
    struct words *words = user;
    pthread_mutex_lock(&words->lock);
    if (span->kind == MESH_SPAN_CALL) {
        note(words, span->trace_id);
        note(words, span->trace_id + 8);
    }
    note(words, span->span_id);
    pthread_mutex_unlock(&words->lock);
}

static int compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static void open_client(struct harness *harness, struct words *words, uint32_t shards, uint64_t seed,
                        mesh_client **client)
{
    mesh_config *config = harness_config(harness, "{'test': {'endpoints': ['@0', '@1']}}");
    mesh_options options = MESH_OPTIONS_INIT;
    options.mode = MESH_EXTERNAL;
    options.shards = shards;
    options.seed = seed;
    options.on_span = on_span;
    options.user = words;
    ck_assert_int_eq(mesh__client_open(harness->world, config, &options, client, NULL), MESH_OK);
    mesh_config_free(config);
}

/* Many calls at once, so that each has a slot of its own; and some in the place of others. */
static void make_calls(mesh_client *client)
{
    for (int made = 0, taken = 0; taken < CALLS;) {
        for (int i = 0; i < 40 && made < CALLS; i++, made++)
            ck_assert_int_eq(mesh_call_start(client, "test", NULL, NULL, NULL), MESH_OK);
        for (uint32_t i = 0; i < mesh_client_loops(client); i++)
            ck_assert_int_eq(mesh_loop_process(client, i), MESH_OK);
        mesh_completion completion = MESH_COMPLETION_INIT;
        uint32_t count;
        while (mesh_client_next(client, &completion, 1, 0, &count) == MESH_OK) {
            mesh_result_free(completion.result);
            taken++;
        }
    }
}

START_TEST(all_distinct)
{
    static struct words words;
    static const uint64_t seeds[] = { 1, 2, UINT64_MAX, 0x9e3779b97f4a7c15, 0 /* the system's */ };
    struct harness harness;
    struct cell cell = { DRIVER_EXTERNAL, NETWORK_MEMORY, 1, false, false };
    mesh_client *client;
    harness_begin(&harness, &cell);
    words = (struct words){ .lock = PTHREAD_MUTEX_INITIALIZER };
    open_client(&harness, &words, _i % 2 ? 4 : 1, seeds[_i / 2], &client);
    make_calls(client);
    mesh_client_free(client);
    ck_assert_uint_ge(words.count, CALLS * 4);
    qsort(words.list, words.count, sizeof(words.list[0]), compare);
    for (size_t i = 1; i < words.count; i++)
        ck_assert_msg(words.list[i] != words.list[i - 1], "%016llx came twice", (unsigned long long)words.list[i]);
    harness_end(&harness);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client, ids");
    TCase *tcase = tcase_create("all");
    tcase_add_loop_test(tcase, all_distinct, 0, 10);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
