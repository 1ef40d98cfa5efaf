/* SPDX-License-Identifier: Apache-2.0 */
/* init_test.c - each _init() function sets every byte of its struct to what the _INIT macro sets it to. */
#include <mesh/mesh.h>

#include <check.h>
#include <string.h>

/* layout_test.c makes sure that no struct has a hole, so bytes can be compared. */
#define TEST_INIT(type, MACRO)                                                                                         \
    START_TEST(type##_is_set_up_alike)                                                                                 \
    {                                                                                                                  \
        const type expected = MACRO;                                                                                   \
        type value;                                                                                                    \
        memset(&value, 0xa5, sizeof(value));                                                                           \
        type##_init(&value);                                                                                           \
        ck_assert_mem_eq(&value, &expected, sizeof(value));                                                            \
        ck_assert_uint_eq(expected.size, sizeof(value));                                                               \
    }                                                                                                                  \
    END_TEST

TEST_INIT(mesh_request, MESH_REQUEST_INIT)
TEST_INIT(mesh_attempt, MESH_ATTEMPT_INIT)
TEST_INIT(mesh_completion, MESH_COMPLETION_INIT)
TEST_INIT(mesh_options, MESH_OPTIONS_INIT)
TEST_INIT(mesh_counters, MESH_COUNTERS_INIT)
TEST_INIT(mesh_stream_io, MESH_STREAM_IO_INIT)
TEST_INIT(mesh_reply, MESH_REPLY_INIT)

int main(void)
{
    Suite *suite = suite_create("init");
    TCase *init = tcase_create("init");
    tcase_add_test(init, mesh_request_is_set_up_alike);
    tcase_add_test(init, mesh_attempt_is_set_up_alike);
    tcase_add_test(init, mesh_completion_is_set_up_alike);
    tcase_add_test(init, mesh_options_is_set_up_alike);
    tcase_add_test(init, mesh_counters_is_set_up_alike);
    tcase_add_test(init, mesh_stream_io_is_set_up_alike);
    tcase_add_test(init, mesh_reply_is_set_up_alike);
    suite_add_tcase(suite, init);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
