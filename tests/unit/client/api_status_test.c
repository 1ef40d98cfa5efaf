/* SPDX-License-Identifier: Apache-2.0 */
/* api_status_test.c - every status code says what it is; numbers that are not in the list get the documented answers.
 */
#include <mesh/status.h>

#include <check.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct expected {
    const char *constant, *category, *flag, *sentence;
    int32_t number, retryable;
};

/* Written out, not made from the list: numbers, categories and flags are frozen, and a change must show here. */
static const struct expected table[] = {
    { "OK", "ok", "-", "success", 0, 0 },
    { "EINVAL", "usage", "-", "an argument is not valid", 1, 0 },
    { "ECONFIG", "usage", "-", "the configuration was refused", 2, 0 },
    { "ESERVICE", "usage", "NR", "the configuration has no such service", 3, 0 },
    { "EREENTRY", "usage", "-", "this would wait inside a loop that must not wait", 4, 0 },
    { "ESTALE", "usage", "-", "the call has already ended", 5, 0 },
    { "ECLOSED", "usage", "-", "the client or server was closed", 6, 0 },
    { "EUNSUPPORTED", "usage", "-", "this build does not have the feature", 7, 0 },
    { "EAGAIN", "usage", "-", "nothing could be done without waiting", 8, 0 },
    { "CANCELLED", "cancelled", "DC", "the call was cancelled", 20, 0 },
    { "DEADLINE", "deadline", "UT", "the deadline passed", 30, 1 },
    { "PER_TRY_TIMEOUT", "deadline", "UT", "the attempt took longer than per_try_timeout", 31, 1 },
    { "NO_ENDPOINT", "no-endpoint", "UH", "the service has no endpoint", 40, 1 },
    { "NO_SUCH_NAME", "no-endpoint", "UH", "the service's name does not exist in DNS", 41, 1 },
    { "DISCOVERY", "no-endpoint", "UH", "the service's endpoints could not be discovered", 42, 1 },
    { "OVERLOADED", "overloaded", "UO", "a limit of the service was reached", 50, 1 },
    { "BODY_TOO_LARGE", "limit", "-", "the response body is larger than max_body", 60, 0 },
    { "HEADER_TOO_LARGE", "limit", "-", "the response header is larger than max_header", 61, 0 },
    { "TOO_MANY_HEADERS", "limit", "-", "the response has more header fields than max_headers", 62, 0 },
    { "CONNECT_REFUSED", "connect", "UF", "the endpoint refused the connection", 70, 1 },
    { "CONNECT_TIMEOUT", "connect", "UF", "connecting took longer than connect_timeout", 71, 1 },
    { "CONNECT_UNREACHABLE", "connect", "UF", "the endpoint cannot be reached", 72, 1 },
    { "RESET", "reset", "UC", "the connection closed before a response", 80, 1 },
    { "PARTIAL_RESPONSE", "reset", "UC", "the connection closed in the middle of the response", 81, 1 },
    { "REFUSED", "reset", "UR", "the peer refused the request before processing it", 82, 1 },
    { "TLS_EXPIRED", "tls", "UF", "the peer's certificate has expired", 90, 0 },
    { "TLS_NOT_YET_VALID", "tls", "UF", "the peer's certificate is not valid yet", 91, 0 },
    { "TLS_UNKNOWN_AUTHORITY", "tls", "UF", "the peer's certificate comes from no authority that is trusted", 92, 0 },
    { "TLS_WRONG_ID", "tls", "UF", "the peer is not one of the expected peers", 93, 0 },
    { "TLS_WRONG_TRUST_DOMAIN", "tls", "UF", "the peer's trust domain is not trusted", 94, 0 },
    { "TLS_WRONG_NAME", "tls", "UF", "the peer's certificate is for another name", 95, 0 },
    { "TLS_BAD_CERTIFICATE", "tls", "UF", "the peer's certificate breaks a rule", 96, 0 },
    { "TLS_REVOKED", "tls", "UF", "the peer's certificate was revoked", 97, 0 },
    { "TLS_NO_CERTIFICATE", "tls", "UF", "the peer showed no certificate", 98, 0 },
    { "TLS_REFUSED_BY_PEER", "tls", "UF", "the peer refused the handshake", 99, 0 },
    { "TLS_PROTOCOL", "tls", "UF", "the TLS handshake failed", 100, 0 },
    { "TLS_TIMEOUT", "tls", "UF", "the TLS handshake took too long", 101, 1 },
    { "TLS_NO_IDENTITY", "tls", "UF", "this program has no certificate or trust to shake hands with", 102, 1 },
    { "DENIED", "denied", "UAEX", "a policy forbids it", 105, 0 },
    { "PROTOCOL", "protocol", "UPE", "the peer broke the protocol", 110, 0 },
    { "NO_MEMORY", "resource", "-", "memory ran out", 120, 1 },
    { "NO_DESCRIPTORS", "resource", "-", "file descriptors or ports ran out", 121, 1 },
    { "SYSTEM", "resource", "-", "the operating system reported an error", 122, 1 },
    { "EFORKED", "forked", "-", "this client belongs to the parent process; open a new one after fork", 130, 0 },
    { "EINTERNAL", "internal", "-", "a defect of the library", 140, 0 },
};
#define ROWS (sizeof(table) / sizeof(table[0]))

static const char *const category_names[] = { "ok",         "usage",    "cancelled", "deadline", "no-endpoint",
                                              "overloaded", "limit",    "connect",   "reset",    "tls",
                                              "denied",     "protocol", "resource",  "forked",   "internal" };
#define CATEGORIES ((int32_t)(sizeof(category_names) / sizeof(category_names[0])))

START_TEST(each_code_says_what_it_is)
{
    const struct expected *row = &table[_i];
    ck_assert_str_eq(mesh_status_name(row->number), row->constant);
    ck_assert_str_eq(mesh_status_text(row->number), row->sentence);
    ck_assert_str_eq(mesh_status_flag(row->number), row->flag);
    ck_assert_str_eq(mesh_category_name(mesh_status_category(row->number)), row->category);
    ck_assert_int_eq(mesh_status_retryable(row->number), row->retryable);
}
END_TEST

START_TEST(the_constants_have_these_numbers)
{
#define CONSTANT(name, number, category, retryable, flag, sentence) { #name, "", "", "", MESH_##name, retryable },
    static const struct expected constants[] = { MESH_STATUS_MAP(CONSTANT) };
#undef CONSTANT
    ck_assert_uint_eq(sizeof(constants) / sizeof(constants[0]), ROWS);
    for (size_t i = 0; i < ROWS; i++) {
        ck_assert_str_eq(constants[i].constant, table[i].constant);
        ck_assert_int_eq(constants[i].number, table[i].number);
    }
}
END_TEST

START_TEST(numbers_names_and_sentences_are_unique)
{
    for (size_t i = 0; i < ROWS; i++)
        for (size_t j = 0; j < i; j++) {
            int32_t a = table[i].number, b = table[j].number;
            ck_assert_int_ne(a, b);
            ck_assert_str_ne(mesh_status_name(a), mesh_status_name(b));
            ck_assert_str_ne(mesh_status_text(a), mesh_status_text(b));
        }
}
END_TEST

/* A sentence goes behind a colon in a line of text: it starts small, ends without a full stop, and is one line. */
START_TEST(sentences_fit_into_a_line)
{
    const char *text = mesh_status_text(table[_i].number);
    size_t size = strlen(text);
    ck_assert_msg(size >= 5 && size <= 80, "%s has %zu bytes", table[_i].constant, size);
    ck_assert_msg(islower((unsigned char)text[0]), "\"%s\" starts with a capital", text);
    ck_assert_msg(isalnum((unsigned char)text[size - 1]), "\"%s\" ends with a mark", text);
    ck_assert_ptr_null(strchr(text, '\n'));
}
END_TEST

START_TEST(every_other_number_is_unknown)
{
    for (int32_t number = -300; number <= 300; number++) {
        bool listed = false;
        for (size_t i = 0; i < ROWS; i++)
            listed = listed || table[i].number == number;
        ck_assert_msg(listed == (strcmp(mesh_status_name(number), "UNKNOWN") != 0), "%d", number);
    }
    static const int32_t strangers[] = { -1, 9, 255, 256, INT32_MAX, INT32_MIN };
    for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++) {
        ck_assert_str_eq(mesh_status_name(strangers[i]), "UNKNOWN");
        ck_assert_str_ne(mesh_status_text(strangers[i]), "");
        ck_assert_str_eq(mesh_status_flag(strangers[i]), "-");
        ck_assert_int_eq(mesh_status_category(strangers[i]), MESH_CATEGORY_INTERNAL);
        ck_assert_int_eq(mesh_status_retryable(strangers[i]), 0);
    }
}
END_TEST

START_TEST(categories_have_names)
{
    for (int32_t category = 0; category < CATEGORIES; category++)
        ck_assert_str_eq(mesh_category_name(category), category_names[category]);
    static const int32_t strangers[] = { -1, CATEGORIES, 255, INT32_MAX, INT32_MIN };
    for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++)
        ck_assert_str_eq(mesh_category_name(strangers[i]), "unknown");
}
END_TEST

/* Reads `NAME VALUE` of the build's main file, up to a blank or a closing parenthesis. */
static void build_file_value(const char *name, char value[32])
{
    FILE *file = fopen(MESH_SOURCE_DIR "/CMakeLists.txt", "r");
    ck_assert_ptr_nonnull(file);
    char line[256];
    value[0] = '\0';
    while (value[0] == '\0' && fgets(line, sizeof(line), file) != NULL) {
        const char *at = strstr(line, name);
        if (at != NULL)
            (void)sscanf(at + strlen(name), "%31[^ )]", value);
    }
    (void)fclose(file);
}

START_TEST(versions_are_those_of_the_build)
{
    char expected[32];
    build_file_value("project(Meshcall VERSION ", expected);
    ck_assert_str_eq(mesh_version(), expected);
    build_file_value("set(MESH_ABI ", expected);
    ck_assert_int_eq(mesh_abi_version(), atoi(expected));
    ck_assert_uint_eq(strspn(expected, "0123456789"), strlen(expected));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("api_status");
    TCase *codes = tcase_create("codes");
    tcase_add_loop_test(codes, each_code_says_what_it_is, 0, (int)ROWS);
    tcase_add_loop_test(codes, sentences_fit_into_a_line, 0, (int)ROWS);
    tcase_add_test(codes, the_constants_have_these_numbers);
    tcase_add_test(codes, numbers_names_and_sentences_are_unique);
    tcase_add_test(codes, every_other_number_is_unknown);
    tcase_add_test(codes, categories_have_names);
    tcase_add_test(codes, versions_are_those_of_the_build);
    suite_add_tcase(suite, codes);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
