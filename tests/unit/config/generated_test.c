/* SPDX-License-Identifier: Apache-2.0 */
/* generated_test.c - the schema and the reference page are what the table of fields gives. Run with --write it makes
 * them: docs/mesh.schema.json and docs/guide/config-reference.md. */
#include "config/fields.h"
#include "config/schema.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static const struct generated {
    const char *path;
    bool (*write)(struct buf *out);
} files[] = {
    { MESH_SOURCE_DIR "/docs/mesh.schema.json", mesh__config_write_schema },
    { MESH_SOURCE_DIR "/docs/guide/config-reference.md", mesh__config_write_reference },
};

#define FILES (sizeof(files) / sizeof(files[0]))

static bool generate(const struct generated *file, struct buf *out)
{
    mesh__buf_init(out, &mesh__mem_system, (size_t)1 << 20);
    return file->write(out);
}

START_TEST(committed_files_are_what_the_table_gives)
{
    struct buf wanted, found;
    ck_assert(generate(&files[_i], &wanted));
    mesh__buf_init(&found, &mesh__mem_system, (size_t)1 << 20);
    FILE *stream = fopen(files[_i].path, "rb");
    ck_assert_msg(stream != NULL, "%s cannot be opened", files[_i].path);
    for (int c = fgetc(stream); c != EOF; c = fgetc(stream))
        ck_assert(mesh__buf_append_char(&found, (char)c));
    (void)fclose(stream);
    ck_assert_msg(wanted.size == found.size && memcmp(wanted.data, found.data, found.size) == 0,
                  "%s is not what fields.def gives: run this test with --write", files[_i].path);
    mesh__buf_fini(&wanted);
    mesh__buf_fini(&found);
}
END_TEST

START_TEST(exported_schema_is_the_committed_one)
{
    struct buf wanted;
    ck_assert(generate(&files[0], &wanted));
    ck_assert_str_eq(mesh_config_schema(), mesh__buf_text(&wanted));
    ck_assert_ptr_eq(mesh_config_schema(), mesh_config_schema());
    mesh__buf_fini(&wanted);
}
END_TEST

START_TEST(table_is_sound)
{
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        const struct field *field = &mesh__fields[i];
        uint64_t low = 0, high = 0, value;
        ck_assert_ptr_eq(mesh__field_find(field->object, field->key), field);
        ck_assert_msg(field->text[strlen(field->text) - 1] == '.', "%s: not a sentence", field->key);
        if (field->kind == KIND_RATIO || field->kind == KIND_RETRY_ON || field->kind == KIND_ALPN ||
            field->fallback == NULL)
            continue;
        ck_assert_msg(mesh__field_scalar(field, mesh__view_of(field->fallback), &value), "%s", field->key);
        if (field->low == NULL)
            continue;
        ck_assert_msg(mesh__field_scalar(field, mesh__view_of(field->low), &low), "%s", field->key);
        ck_assert_msg(mesh__field_scalar(field, mesh__view_of(field->high), &high), "%s", field->key);
        ck_assert_msg(low < high, "%s", field->key);
        bool word = strcmp(field->fallback, "none") == 0 || strcmp(field->fallback, "unlimited") == 0;
        ck_assert_msg(word || (low <= value && value <= high), "%s: the default is out of range", field->key);
        ck_assert_msg(field->width == 8 || high < (uint64_t)1 << (8 * field->width), "%s: too narrow", field->key);
    }
}
END_TEST

static int write_files(void)
{
    for (size_t i = 0; i < FILES; i++) {
        struct buf out;
        FILE *stream = generate(&files[i], &out) ? fopen(files[i].path, "wb") : NULL;
        bool ok = stream != NULL && fwrite(out.data, 1, out.size, stream) == out.size;
        ok = stream != NULL && fclose(stream) == 0 && ok;
        mesh__buf_fini(&out);
        if (!ok) {
            perror(files[i].path);
            return EXIT_FAILURE;
        }
    }
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--write") == 0)
        return write_files();
    Suite *suite = suite_create("config/generated");
    TCase *tcase = tcase_create("generated");
    tcase_add_loop_test(tcase, committed_files_are_what_the_table_gives, 0, FILES);
    tcase_add_test(tcase, exported_schema_is_the_committed_one);
    tcase_add_test(tcase, table_is_sound);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
