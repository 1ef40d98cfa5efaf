/* SPDX-License-Identifier: Apache-2.0 */
/* document_test.c - values set by pointer: what is made on the way, what is refused, and that refusal changes nothing.
 */
#include "config/config.h"
#include "config/document.h"

#include <check.h>
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

static mesh_config *parse(const char *text)
{
    mesh_config *document;
    mesh_error *error;
    mesh_status status = mesh_config_parse(text, strlen(text), NULL, &document, &error);
    ck_assert_msg(status == MESH_OK, "%s", mesh_error_text(error));
    return document;
}

static void check_text(const mesh_config *document, const char *wanted)
{
    char *text = cJSON_PrintUnformatted(document->root);
    ck_assert_str_eq(text, wanted);
    cJSON_free(text);
}

static const struct {
    const char *before, *pointer, *json; /* json: as given to set_json */
    mesh_status status;
    const char *after;
} rows[] = {
    { "{}", "/a", "1", MESH_OK, "{\"a\":1}" },
    { "{}", "/a/b/c", "[1]", MESH_OK, "{\"a\":{\"b\":{\"c\":[1]}}}" },
    { "{\"a\":1,\"b\":2,\"c\":3}", "/b", "null", MESH_OK, "{\"a\":1,\"b\":null,\"c\":3}" },
    { "{\"a\":1}", "/a", "{\"x\":true}", MESH_OK, "{\"a\":{\"x\":true}}" },
    { "{\"a\":1}", "/A", "2", MESH_OK, "{\"a\":1,\"A\":2}" },
    { "{}", "/", "1", MESH_OK, "{\"\":1}" },
    { "{}", "/a//b", "1", MESH_OK, "{\"a\":{\"\":{\"b\":1}}}" },
    { "{}", "/a~1b~0c~01", "1", MESH_OK, "{\"a/b~c~1\":1}" },
    { "{\"a/b\":{\"x\":1}}", "/a~1b/x", "2", MESH_OK, "{\"a/b\":{\"x\":2}}" },
    { "{\"a\":[1,2]}", "/a/0", "9", MESH_OK, "{\"a\":[9,2]}" },
    { "{\"a\":[1,2]}", "/a/1", "9", MESH_OK, "{\"a\":[1,9]}" },
    { "{\"a\":[1,2]}", "/a/-", "9", MESH_OK, "{\"a\":[1,2,9]}" },
    { "{\"a\":[{}]}", "/a/0/b/c", "9", MESH_OK, "{\"a\":[{\"b\":{\"c\":9}}]}" },
    { "{\"a\":[]}", "/a/-/b", "9", MESH_OK, "{\"a\":[{\"b\":9}]}" },
    { "{}", "/a/-", "9", MESH_OK, "{\"a\":[9]}" },
    { "{\"a\":{}}", "/a/-", "9", MESH_OK, "{\"a\":{\"-\":9}}" },
    { "{}", "", "[1]", MESH_OK, "[1]" },
    { "{}", "/a", " 1.5 ", MESH_OK, "{\"a\":1.5}" },
    { "{\"a\":[1,2]}", "/a/2", "9", MESH_EINVAL, NULL },
    { "{\"a\":[1,2]}", "/a/01", "9", MESH_EINVAL, NULL },
    { "{\"a\":[1,2]}", "/a/+1", "9", MESH_EINVAL, NULL },
    { "{\"a\":[1,2]}", "/a/x", "9", MESH_EINVAL, NULL },
    { "{\"a\":[1,2]}", "/a/", "9", MESH_EINVAL, NULL },
    { "{\"a\":[1,2]}", "/a/4294967296", "9", MESH_EINVAL, NULL },
    { "{\"a\":1}", "/a/b", "9", MESH_EINVAL, NULL },
    { "{\"a\":\"x\"}", "/a/b/c", "9", MESH_EINVAL, NULL },
    { "{\"a\":[1]}", "/a/0/b", "9", MESH_EINVAL, NULL },
    { "{}", "a", "9", MESH_EINVAL, NULL },
    { "{}", "/~", "9", MESH_EINVAL, NULL },
    { "{}", "/~2", "9", MESH_EINVAL, NULL },
    { "{}", "/a~", "9", MESH_EINVAL, NULL },
    { "{}", "/\xff", "9", MESH_EINVAL, NULL },
    { "{}", "/a", "", MESH_EINVAL, NULL },
    { "{}", "/a", "{", MESH_EINVAL, NULL },
    { "{}", "/a", "1 2", MESH_EINVAL, NULL },
    { "{}", "/a", "{\"x\":1,\"x\":2}", MESH_EINVAL, NULL },
    { "{}", "/a", "abc", MESH_EINVAL, NULL },
};

START_TEST(set_json)
{
    mesh_config *document = parse(rows[_i].before);
    ck_assert_int_eq(mesh_config_set_json(document, rows[_i].pointer, rows[_i].json), rows[_i].status);
    check_text(document, rows[_i].after ? rows[_i].after : rows[_i].before);
    mesh_config_free(document);
}
END_TEST

START_TEST(set_string)
{
    mesh_config *document;
    ck_assert_int_eq(mesh_config_new(&document), MESH_OK);
    check_text(document, "{}");
    ck_assert_int_eq(mesh_config_set_string(document, "/services/payment/timeout", "2s"), MESH_OK);
    ck_assert_int_eq(mesh_config_set_string(document, "/services/payment/endpoints/-", "127.0.0.1:1"), MESH_OK);
    ck_assert_int_eq(mesh_config_set_string(document, "/services/payment/endpoints/-", "127.0.0.1:2"), MESH_OK);
    ck_assert_int_eq(mesh_config_set_string(document, "/services/payment/timeout", "\"\xc3\xa4"), MESH_OK);
    ck_assert_int_eq(mesh_config_set_string(document, "/services/payment/timeout", "\xff"), MESH_EINVAL);
    ck_assert_int_eq(mesh_config_set_string(document, "/services/payment/timeout/x", "1"), MESH_EINVAL);
    check_text(document, "{\"services\":{\"payment\":{\"timeout\":\"\\\"\xc3\xa4\",\"endpoints\":[\"127.0.0.1:1\","
                         "\"127.0.0.1:2\"]}}}");
    mesh_config_free(document);
}
END_TEST

START_TEST(depth_is_bounded)
{
    mesh_config *document;
    char pointer[2 * 66 + 1] = "", json[] = "[[1]]";
    ck_assert_int_eq(mesh_config_new(&document), MESH_OK);
    for (size_t i = 0; i < 64; i++)
        memcpy(pointer + 2 * i, "/a", 3);
    ck_assert_int_eq(mesh_config_set_json(document, pointer, json), MESH_EINVAL);
    ck_assert_int_eq(mesh_config_set_json(document, pointer, "[]"), MESH_EINVAL);
    ck_assert_int_eq(mesh_config_set_json(document, pointer, "1"), MESH_OK);
    memcpy(pointer + 2 * 64, "/a", 3);
    ck_assert_int_eq(mesh_config_set_json(document, pointer, "1"), MESH_EINVAL);
    ck_assert_int_eq(mesh_config_set_string(document, pointer, "1"), MESH_EINVAL);
    pointer[2 * 62] = '\0';
    ck_assert_int_eq(mesh_config_set_json(document, pointer, "[[[1]]]"), MESH_EINVAL);
    ck_assert_int_eq(mesh_config_set_json(document, pointer, json), MESH_OK);
    mesh_error *error;
    ck_assert_int_eq(mesh_config_check(document, &error, NULL), MESH_ECONFIG);
    ck_assert_str_eq(
        mesh_error_text(error),
        "config: config: /a: unknown key, expected one of $schema, defaults, services, servers, dns, wait, "
        "identity, tls");
    mesh_error_free(error);
    mesh_config_free(document);
}
END_TEST

START_TEST(places_go_with_the_values_that_were_read)
{
    mesh_config *document = parse("{\"services\": {\"a\": {\n\"timeout\": 1, \"x\": 2,\n\"endpoints\": 3}}}");
    mesh_error *error;
    ck_assert_int_eq(mesh_config_set_json(document, "/services/a/timeout", "5"), MESH_OK);
    ck_assert_int_eq(mesh_config_set_json(document, "/services/b", "6"), MESH_OK);
    ck_assert_int_eq(mesh_config_check(document, &error, NULL), MESH_ECONFIG);
    ck_assert_int_eq(mesh_error_status(error), MESH_ECONFIG);
    ck_assert_str_eq(mesh_error_text(error),
                     "config: config: /services/a/timeout: 5 is no duration, expected a string such as \"250ms\" or "
                     "\"10s\"\n"
                     "config:2:15: config: /services/a/x: unknown key, expected one of endpoints, discover, timeout, "
                     "connect_timeout, idle_timeout, max_connection_age, max_requests_per_connection, max_body, "
                     "max_header, max_headers, balancer, protocol, authority, headers, retry, circuit_breaker, limits, "
                     "tls, authorize\n"
                     "config:3:14: config: /services/a/endpoints: 3 is no list, expected one of addresses\n"
                     "config: config: /services/b: 6 is no service, expected an object");
    mesh_error_free(error);
    mesh_config_free(document);
}
END_TEST

START_TEST(arguments_are_checked)
{
    mesh_config *document = parse("{}");
    mesh_error *error = NULL;
    ck_assert_int_eq(mesh_config_new(NULL), MESH_EINVAL);
    ck_assert_int_eq(mesh_config_parse("{}", 2, NULL, NULL, NULL), MESH_EINVAL);
    ck_assert_int_eq(mesh_config_set_string(NULL, "/a", "1"), MESH_EINVAL);
    ck_assert_int_eq(mesh_config_set_string(document, NULL, "1"), MESH_EINVAL);
    ck_assert_int_eq(mesh_config_set_string(document, "/a", NULL), MESH_EINVAL);
    ck_assert_int_eq(mesh_config_set_json(NULL, "/a", "1"), MESH_EINVAL);
    ck_assert_int_eq(mesh_config_set_json(document, NULL, "1"), MESH_EINVAL);
    ck_assert_int_eq(mesh_config_set_json(document, "/a", NULL), MESH_EINVAL);
    ck_assert_int_eq(mesh_config_check(NULL, &error, NULL), MESH_EINVAL);
    ck_assert_str_eq(mesh_error_text(error), "an argument is not valid");
    mesh_error_free(error);
    mesh_config_free(document);
    document = (mesh_config *)&error;
    ck_assert_int_eq(mesh_config_parse(NULL, 1, NULL, &document, &error), MESH_EINVAL);
    ck_assert_ptr_null(document);
    mesh_error_free(error);
    ck_assert_int_eq(mesh_config_load(NULL, &document, &error), MESH_EINVAL);
    mesh_error_free(error);
    mesh_config_free(NULL);
    mesh_error_free(NULL);
    mesh_string_free(NULL);
    ck_assert_int_eq(mesh_error_status(NULL), MESH_OK);
    ck_assert_str_eq(mesh_error_text(NULL), "");
}
END_TEST

START_TEST(errors_of_the_text)
{
    mesh_config *document;
    mesh_error *error;
    ck_assert_int_eq(mesh_config_parse("[01,\n NaN]", 10, "x.json", &document, &error), MESH_ECONFIG);
    ck_assert_ptr_null(document);
    ck_assert_int_eq(mesh_error_status(error), MESH_ECONFIG);
    ck_assert_str_eq(mesh_error_text(error),
                     "x.json:1:2: json: 01: a number does not begin with a needless 0\n"
                     "x.json:2:2: json: NaN is no JSON value, expected one (strings and keys stand in double quotes)");
    mesh_error_free(error);
    ck_assert_int_eq(mesh_config_parse(NULL, 0, NULL, &document, &error), MESH_ECONFIG);
    ck_assert_str_eq(mesh_error_text(error), "config:1:1: json: the text ends here, expected a value");
    mesh_error_free(error);
    ck_assert_int_eq(mesh_config_parse("?", 1, NULL, &document, NULL), MESH_ECONFIG);
    enum { SIZE = 40000 };
    char *text = malloc(SIZE);
    ck_assert_ptr_nonnull(text);
    for (size_t i = 0; i < SIZE; i++)
        text[i] = "x,"[i % 2];
    text[0] = '[';
    text[1] = '+';
    ck_assert_int_eq(mesh_config_parse(text, SIZE, NULL, &document, &error), MESH_ECONFIG);
    const char *told = mesh_error_text(error), *last = strrchr(told, '\n');
    ck_assert_ptr_nonnull(last);
    ck_assert_str_eq(last, "\nconfig: json: too many faults to list");
    ck_assert_uint_lt(strlen(told), 66000);
    mesh_error_free(error);
    free(text);
}
END_TEST

START_TEST(load_from_a_file)
{
    char folder[] = "/tmp/mesh-config-XXXXXX", path[64], text[256];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/mesh.json", folder);
    FILE *stream = fopen(path, "wb");
    ck_assert_ptr_nonnull(stream);
    (void)fputs("{\"services\": {\"a\": {\"discover\": {\"file\": \"eps.json\"}},\n"
                "\"b\": {\"discover\": {\"file\": \"/etc/eps.json\"}}, \"c\": {}}}\n",
                stream);
    ck_assert_int_eq(fclose(stream), 0);
    mesh_config *document;
    mesh_error *error;
    ck_assert_int_eq(mesh_config_load(path, &document, &error), MESH_OK);
    ck_assert_ptr_null(error);
    ck_assert_int_eq(mesh_config_check(document, &error, NULL), MESH_ECONFIG);
    (void)snprintf(text, sizeof(text),
                   "%s:2:52: config: /services/c: there are no endpoints, expected \"endpoints\" or \"discover\"",
                   path);
    ck_assert_str_eq(mesh_error_text(error), text);
    mesh_error_free(error);
    ck_assert_int_eq(mesh_config_set_json(document, "/services/c/endpoints", "[\"127.0.0.1:1\"]"), MESH_OK);
    struct config *config;
    ck_assert_int_eq(mesh__config_build(document, &mesh__mem_system, &config, NULL, NULL), MESH_OK);
    (void)snprintf(text, sizeof(text), "%s/eps.json", folder);
    ck_assert_str_eq(mesh__config_service(config, "a")->discover.file, text);
    ck_assert_str_eq(mesh__config_service(config, "b")->discover.file, "/etc/eps.json");
    mesh__config_unref(config);
    mesh_config_free(document);
    ck_assert_int_eq(remove(path), 0);
    ck_assert_int_eq(mesh_config_load(path, &document, &error), MESH_ECONFIG);
    ck_assert_ptr_null(document);
    (void)snprintf(text, sizeof(text), "%s: cannot be read: No such file or directory", path);
    ck_assert_str_eq(mesh_error_text(error), text);
    mesh_error_free(error);
    ck_assert_int_eq(mesh_config_load(folder, &document, &error), MESH_ECONFIG);
    mesh_error_free(error);
    ck_assert_int_eq(remove(folder), 0);
}
END_TEST

/* The tree is the parser's and takes memory from malloc: here one request of it fails. */
static size_t requests, fail_at;

static void *failing_malloc(size_t size)
{
    return ++requests == fail_at ? NULL : malloc(size);
}

static mesh_status change(mesh_config *document, int kind)
{
    struct config *config;
    mesh_status status;
    switch (kind) {
    case 0:
        return mesh_config_set_json(document, "/a/b", "{\"x\":[1,\"y\"]}");
    case 1:
        return mesh_config_set_string(document, "/new/b~1/-", "text");
    case 2:
        return mesh_config_set_string(document, "/list/-", "text");
    case 3:
        return mesh_config_set_json(document, "/list/0", "null");
    case 4:
        return mesh_config_set_json(document, "", "{\"x\":[1,\"y\"]}");
    default:
        status = mesh__config_build(document, &mesh__mem_system, &config, NULL, NULL);
        return status == MESH_ECONFIG ? MESH_OK : status;
    }
}

START_TEST(memory_fails_in_the_tree)
{
    static const char before[] = "{\"a\":{\"b\":1,\"c\":2},\"list\":[1,2],\"services\":{\"s\":{\"timeout\":7}}}";
    size_t total = 1;
    for (size_t k = 0; k <= total; k++) {
        mesh_config *document = parse(before);
        fail_at = k;
        requests = 0;
        cJSON_Hooks hooks = { failing_malloc, free };
        cJSON_InitHooks(&hooks);
        mesh_status status = change(document, _i);
        cJSON_InitHooks(NULL);
        total = k ? total : requests;
        ck_assert_msg(status == (k ? MESH_NO_MEMORY : MESH_OK), "request %zu", k);
        if (k > 0)
            check_text(document, before);
        mesh_config_free(document);
    }
    ck_assert_uint_gt(total, 0);
    for (size_t k = 1; k <= 8; k++) {
        mesh_config *document;
        fail_at = k;
        requests = 0;
        cJSON_Hooks hooks = { failing_malloc, free };
        cJSON_InitHooks(&hooks);
        mesh_status status = mesh_config_parse(before, strlen(before), NULL, &document, NULL);
        cJSON_InitHooks(NULL);
        ck_assert_int_eq(status, MESH_NO_MEMORY);
        ck_assert_ptr_null(document);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config/document");
    TCase *tcase = tcase_create("document");
    tcase_add_loop_test(tcase, set_json, 0, sizeof(rows) / sizeof(rows[0]));
    tcase_add_test(tcase, set_string);
    tcase_add_test(tcase, depth_is_bounded);
    tcase_add_test(tcase, places_go_with_the_values_that_were_read);
    tcase_add_test(tcase, arguments_are_checked);
    tcase_add_test(tcase, errors_of_the_text);
    tcase_add_test(tcase, load_from_a_file);
    tcase_add_loop_test(tcase, memory_fails_in_the_tree, 0, 6);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
