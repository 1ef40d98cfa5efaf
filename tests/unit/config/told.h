/* SPDX-License-Identifier: Apache-2.0 */
/* told.h - documents, and the exact words that are said about them. */
#ifndef TESTS_UNIT_CONFIG_TOLD_H
#define TESTS_UNIT_CONFIG_TOLD_H

#include <mesh/config.h>

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(rows) (sizeof(rows) / sizeof(rows[0]))

struct row {
    const char *text, *told;
};

/* The errors of a document that must have some, else the warnings of one that must have none; the caller frees. */
static inline char *check(const char *text, bool want_error)
{
    mesh_config *document;
    mesh_error *error, *warnings;
    mesh_status status = mesh_config_parse(text, strlen(text), "f", &document, &error);
    ck_assert_msg(status == MESH_OK, "%s\n%s", text, mesh_error_text(error));
    status = mesh_config_check(document, &error, &warnings);
    ck_assert_msg(status == (want_error ? MESH_ECONFIG : MESH_OK), "%s\n%s", text, mesh_error_text(error));
    ck_assert_int_eq(mesh_error_status(error), status);
    ck_assert_int_eq(mesh_config_check(document, NULL, NULL), status);
    char *told = strdup(mesh_error_text(want_error ? error : warnings));
    mesh_error_free(error);
    mesh_error_free(warnings);
    mesh_config_free(document);
    ck_assert_ptr_nonnull(told);
    return told;
}

static inline void check_row(const char *head, const struct row *row, const char *tail, bool want_error)
{
    char text[2048];
    ck_assert_int_lt(snprintf(text, sizeof(text), "%s%s%s", head, row->text, tail), (int)sizeof(text));
    char *told = check(text, want_error);
    ck_assert_msg(strcmp(told, row->told) == 0, "%s\nsaid:\n%s\nexpected:\n%s", row->text, told, row->told);
    free(told);
}

#endif
