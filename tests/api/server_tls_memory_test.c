/* SPDX-License-Identifier: Apache-2.0 */
/* server_tls_memory_test.c - memory runs out while a server that speaks TLS opens, and while hands are shaken. */
#include "api/server_scarce.h"
#include "api/server_tls_scene.h"

/* ---- memory ---- */

START_TEST(test_memory_runs_out_while_opening)
{
    struct scarce scarce;
    mesh_server *server = NULL;
    mesh_status status = MESH_NO_MEMORY;
    long left = 0;
    scarce_init(&scarce);
    options.allocator = &scarce.allocator;
    mesh_config *config = papers_config(
        &papers, "payment", "\"servers\": {\"test\": {\"listen\": \"127.0.0.1:0\", \"tls\": {\"mode\": \"mutual\"}}}");
    for (; status != MESH_OK && left < 5000; left++) {
        scarce.left = left;
        status = mesh_server_open(config, "test", &options, tell_peer, NULL, &server, NULL);
        ck_assert_msg(status == MESH_OK || status == MESH_NO_MEMORY, "%ld: %s", left, mesh_status_name(status));
        if (status != MESH_OK)
            ck_assert_msg(scarce.live == 0, "%ld blocks are lost after %ld", (long)scarce.live, left);
    }
    ck_assert_int_eq(status, MESH_OK);
    ck_assert_int_gt(left, 20);
    scarce.left = -1;
    mesh_server_free(server);
    mesh_config_free(config);
    ck_assert_int_eq(scarce.live, 0);
}
END_TEST

/* Whatever is missing for a connection, nobody gets through unproved, and the next connection is as good as ever. */
START_TEST(test_memory_runs_out_while_shaking)
{
    struct scarce scarce;
    char text[400];
    mesh_status status = MESH_NO_MEMORY;
    long left = 0;
    scarce_init(&scarce);
    options.allocator = &scarce.allocator;
    options.on_log = NULL;
    mesh_server *server =
        papers_server(&papers, "payment", "\"tls\": {\"mode\": \"mutual\"}", handshakes[_i], &options, tell_peer, NULL);
    for (; status != MESH_OK && left < 300; left++) {
        mesh_client *client = papers_client(&papers, "order", mesh_server_address(server), MUTUAL);
        scarce.left = left;
        status = papers_call(client, "GET", "/", text);
        scarce.left = -1;
        ck_assert(status != MESH_OK || strcmp(text, "200 1 spiffe://shop/order") == 0 || strncmp(text, "503", 3) == 0);
        if (status == MESH_OK && text[0] == '5')
            status = MESH_NO_MEMORY;
        mesh_client_free(client);
    }
    ck_assert_int_eq(status, MESH_OK);
    ck_assert_int_gt(left, 5);
    mesh_client *client = papers_client(&papers, "order", mesh_server_address(server), MUTUAL);
    ck_assert_int_eq(papers_call(client, "GET", "/", text), MESH_OK);
    mesh_client_free(client);
    mesh_server_free(server);
    ck_assert_int_eq(scarce.live, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server: TLS, memory");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    suite_add_tcase(suite, tcase);
    tcase_add_test(tcase, test_memory_runs_out_while_opening);
    tcase_add_loop_test(tcase, test_memory_runs_out_while_shaking, 0, 2);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
