/* SPDX-License-Identifier: Apache-2.0 */
/* map_test.c - what was set is found, what was not is not, and want of memory loses nothing. */
#include "base/map.h"

#include "poor_mem.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

enum { KEYS = 5000 };

static char names[KEYS][16];

static struct view key(int i)
{
    return mesh__view(names[i], (size_t)snprintf(names[i], sizeof(names[i]), "key-%d", i));
}

START_TEST(set_and_get)
{
    struct map map;
    mesh__map_init(&map, &mesh__mem_system);
    ck_assert_ptr_null(mesh__map_get(&map, VIEW_LITERAL("nothing")));
    for (int i = 0; i < KEYS; i++)
        ck_assert(mesh__map_set(&map, key(i), names[i]));
    ck_assert_uint_eq(map.size, KEYS);
    for (int i = 0; i < KEYS; i++)
        ck_assert_ptr_eq(mesh__map_get(&map, key(i)), names[i]);
    ck_assert_ptr_null(mesh__map_get(&map, VIEW_LITERAL("key-")));
    ck_assert_ptr_null(mesh__map_get(&map, VIEW_LITERAL("key-5000")));
    ck_assert(mesh__map_set(&map, key(7), &map));
    ck_assert_uint_eq(map.size, KEYS);
    ck_assert_ptr_eq(mesh__map_get(&map, key(7)), &map);
    mesh__map_fini(&map);
    ck_assert_ptr_null(mesh__map_get(&map, key(7)));
}
END_TEST

START_TEST(keys_are_bytes)
{
    struct map map;
    int values[4];
    mesh__map_init(&map, &mesh__mem_system);
    const struct view keys[] = { VIEW_LITERAL(""), VIEW_LITERAL("\0"), VIEW_LITERAL("\0\0"), VIEW_LITERAL("\xff") };
    for (int i = 0; i < 4; i++)
        ck_assert(mesh__map_set(&map, keys[i], &values[i]));
    for (int i = 0; i < 4; i++)
        ck_assert_ptr_eq(mesh__map_get(&map, keys[i]), &values[i]);
    ck_assert_ptr_eq(mesh__map_get(&map, mesh__view(NULL, 0)), &values[0]);
    mesh__map_fini(&map);
}
END_TEST

START_TEST(without_memory)
{
    struct poor_mem poor;
    struct map map;
    poor_init(&poor, 1);
    mesh__map_init(&map, &poor.mem);
    int in = 0;
    while (mesh__map_set(&map, key(in), names[in]))
        ck_assert_int_lt(++in, 100);
    ck_assert_int_eq(in, 8);
    for (int i = 0; i < in; i++)
        ck_assert_ptr_eq(mesh__map_get(&map, key(i)), names[i]);
    ck_assert_ptr_null(mesh__map_get(&map, key(in)));
    ck_assert_msg(mesh__map_set(&map, key(0), &map), "replacing needs no memory");
    ck_assert_ptr_eq(mesh__map_get(&map, key(0)), &map);
    mesh__map_fini(&map);
    ck_assert_int_eq(poor.blocks, 0);
}
END_TEST

START_TEST(hash_is_the_same_everywhere)
{
    ck_assert_uint_eq(mesh__hash(VIEW_LITERAL("")), 0xfdbdf6ac4fc52e7fu);
    ck_assert_uint_eq(mesh__hash(VIEW_LITERAL("payment\xff")), 0x7741f6324cceac74u);
    ck_assert_uint_ne(mesh__hash(VIEW_LITERAL("\xff")), mesh__hash(VIEW_LITERAL("\x7f")));
    int low[16] = { 0 };
    for (int i = 0; i < KEYS; i++)
        low[mesh__hash(key(i)) & 15]++;
    for (int i = 0; i < 16; i++)
        ck_assert_msg(low[i] > 230 && low[i] < 400, "%d of %d keys fall on %d", low[i], KEYS, i);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("map");
    TCase *tcase = tcase_create("map");
    tcase_add_test(tcase, set_and_get);
    tcase_add_test(tcase, keys_are_bytes);
    tcase_add_test(tcase, without_memory);
    tcase_add_test(tcase, hash_is_the_same_everywhere);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
