/* SPDX-License-Identifier: Apache-2.0 */
/* client_grpc_memory_test.c - gRPC calls where memory is counted, and where it runs out. */
#include "api/grpc_scene.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static void open_client(const char *members)
{
    (void)grpc_scene_open("'10.0.0.1:80'", members);
}

START_TEST(steady_calls_take_no_memory)
{
    static const struct grpc_answer answers[][1] = { { OK }, { SAID("grpc-status: 5\ngrpc-message: no%20such") } };
    open_client(HTTP2);
    mesh_request request = grpc_scene_request("ask");
    size_t before = 0;
    for (int i = 0; i < 200; i++) {
        grpc_scene_answer(answers[i % 2], 1);
        mesh_result_free(grpc_scene_call(&request));
        if (i == 50)
            before = grpc_scene.allocations;
    }
    ck_assert_uint_gt(before, 0);
    ck_assert_uint_eq(grpc_scene.allocations, before);
}
END_TEST

/* A message and words that are larger than what a call has at hand, after a retry. */
static void live(void)
{
    enum { LARGE = 100000, WORDS = 6000 };
    static char large[5 + LARGE], words[WORDS + 64];
    static const struct grpc_answer unavailable = SAID("grpc-status: 14\ngrpc-message: try%20again");
    struct grpc_answer answers[] = { unavailable, { 200, GRPC, { large, sizeof(large) }, words, false, 0 } };
    mesh__grpc_frame_head(LARGE, large);
    memset(words, 'w', sizeof(words) - 1);
    memcpy(words, "grpc-status: 0\ngrpc-message: ", 29);
    if (grpc_scene_open("'10.0.0.1:80'", RETRY) != MESH_OK)
        return;
    for (int i = 0; i < 3; i++) {
        grpc_scene_answer(answers, 2);
        mesh_request request = grpc_scene_request("ask");
        mesh_result *result = grpc_scene_call(&request);
        if (result == NULL)
            continue;
        bool whole = mesh_result_code(result) == MESH_OK;
        ck_assert_int_eq(mesh_result_code(result), whole ? MESH_OK : MESH_NO_MEMORY);
        ck_assert_int_eq(mesh_result_grpc_status(result), whole ? MESH_GRPC_OK : MESH_GRPC_RESOURCE_EXHAUSTED);
        ck_assert_uint_eq(mesh_result_body_size(result), whole ? LARGE : 0);
        ck_assert_uint_eq(strlen(mesh_result_grpc_message(result)) == sizeof(words) - 1 - 29, whole);
        mesh_result_free(result);
    }
}

START_TEST(memory_runs_out)
{
    size_t all = 0;
    grpc_scene_end();
    for (size_t k = 0; k <= all; k++) {
        grpc_scene_begin();
        grpc_scene.fail_at = k;
        live();
        all = k == 0 ? grpc_scene.allocations : all;
        grpc_scene_end();
    }
    ck_assert_uint_gt(all, 50);
    grpc_scene_begin();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gRPC calls and memory");
    TCase *tcase = tcase_create("gRPC calls and memory");
    tcase_add_checked_fixture(tcase, grpc_scene_begin, grpc_scene_end);
    tcase_add_test(tcase, steady_calls_take_no_memory);
    tcase_add_test(tcase, memory_runs_out);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
