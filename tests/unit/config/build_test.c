/* SPDX-License-Identifier: Apache-2.0 */
/* build_test.c - what a document becomes: values, defaults, how both go together, and what lack of memory does. */
#include "config/config.h"
#include "config/document.h"

#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#define SAMPLES MESH_SOURCE_DIR "/tests/unit/config/samples/"

static struct config *load(const char *sample)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s%s", SAMPLES, sample);
    mesh_config *document;
    mesh_error *error, *warnings;
    mesh_status status = mesh_config_load(path, &document, &error);
    ck_assert_msg(status == MESH_OK, "%s", mesh_error_text(error));
    struct config *config;
    status = mesh__config_build(document, &mesh__mem_system, &config, &error, &warnings);
    ck_assert_msg(status == MESH_OK, "%s", mesh_error_text(error));
    ck_assert_ptr_null(error);
    ck_assert_msg(warnings == NULL, "%s", mesh_error_text(warnings));
    mesh_config_free(document); /* the config does not need it */
    return config;
}

static struct config *build(const char *text)
{
    mesh_config *document;
    mesh_error *error;
    mesh_status status = mesh_config_parse(text, strlen(text), NULL, &document, &error);
    ck_assert_msg(status == MESH_OK, "%s", mesh_error_text(error));
    struct config *config;
    status = mesh__config_build(document, &mesh__mem_system, &config, &error, NULL);
    ck_assert_msg(status == MESH_OK, "%s", mesh_error_text(error));
    mesh_config_free(document);
    return config;
}

static bool only_statuses(const struct retry_config *retry, const uint32_t *statuses, size_t count)
{
    uint64_t wanted[16] = { 0 };
    for (size_t i = 0; i < count; i++)
        wanted[statuses[i] / 64] |= (uint64_t)1 << (statuses[i] % 64);
    return memcmp(wanted, retry->statuses, sizeof(wanted)) == 0;
}

START_TEST(defaults)
{
    struct config *config = build("{\"services\":{\"s\":{\"endpoints\":[\"127.0.0.1:80\"]}},"
                                  "\"servers\":{\"v\":{\"listen\":\"[::1]:0\"}}}");
    const struct service_config *s = mesh__config_service(config, "s");
    ck_assert_str_eq(s->name, "s");
    ck_assert_int_eq(s->discover.kind, DISCOVER_STATIC);
    ck_assert_int_eq(s->discover.timeout, 5 * NANOS_S);
    ck_assert_uint_eq(s->endpoint_count, 1);
    ck_assert_uint_eq(s->endpoints[0].weight, 1);
    ck_assert_str_eq(s->endpoints[0].address.text, "127.0.0.1:80");
    ck_assert_int_eq(s->timeout, 15 * NANOS_S);
    ck_assert_int_eq(s->connect_timeout, NANOS_S);
    ck_assert_int_eq(s->idle_timeout, 30 * NANOS_S);
    ck_assert_int_eq(s->max_connection_age, 0);
    ck_assert_uint_eq(s->max_requests_per_connection, 0);
    ck_assert_uint_eq(s->max_body, 8 << 20);
    ck_assert_uint_eq(s->max_header, 60 << 10);
    ck_assert_uint_eq(s->max_headers, 100);
    ck_assert_int_eq(s->balancer, BALANCER_PEAK_EWMA);
    ck_assert_int_eq(s->protocol, PROTOCOL_AUTO);
    ck_assert_str_eq(s->authority, "s");
    ck_assert_uint_eq(s->header_count, 0);
    ck_assert_uint_eq(s->retry.attempts, 2);
    ck_assert_uint_eq(s->retry.on, RETRY_ON_DEFAULT);
    ck_assert(only_statuses(&s->retry, NULL, 0));
    ck_assert(!s->retry.non_idempotent);
    ck_assert_int_eq(s->retry.per_try_timeout, 0);
    ck_assert_int_eq(s->retry.backoff_base, 25 * NANOS_MS);
    ck_assert_int_eq(s->retry.backoff_max, 250 * NANOS_MS);
    ck_assert(s->budget.ratio == 0.2);
    ck_assert_uint_eq(s->budget.per_second, 10);
    ck_assert(s->breaker_enabled);
    ck_assert_uint_eq(s->breaker.failures, 7);
    ck_assert_int_eq(s->breaker.shut, NANOS_S);
    ck_assert_int_eq(s->breaker.max_shut, 60 * NANOS_S);
    ck_assert(s->breaker.jitter == 0.5);
    ck_assert_int_eq(s->breaker.lease, 15 * NANOS_S);
    ck_assert_uint_eq(s->limits.max_connections, 1024);
    ck_assert_uint_eq(s->limits.max_pending, 1024);
    ck_assert_uint_eq(s->limits.max_requests, 1024);
    ck_assert_uint_eq(s->limits.max_retries, UINT32_MAX);
    const struct server_config *v = mesh__config_server(config, "v");
    ck_assert_str_eq(v->name, "v");
    ck_assert_str_eq(v->listen.text, "[::1]:0");
    ck_assert_uint_eq(v->workers, 4);
    ck_assert_uint_eq(v->max_pending, 1024);
    ck_assert_uint_eq(v->max_connections, 1024);
    ck_assert_uint_eq(v->max_streams, 100);
    ck_assert_uint_eq(v->max_body, 8 << 20);
    ck_assert_uint_eq(v->max_header, 60 << 10);
    ck_assert_uint_eq(v->max_headers, 100);
    ck_assert_int_eq(v->idle_timeout, 60 * NANOS_S);
    ck_assert_int_eq(v->request_timeout, 30 * NANOS_S);
    ck_assert_uint_eq(config->dns.server_count, 0);
    ck_assert_int_eq(config->dns.timeout, NANOS_S);
    ck_assert_uint_eq(config->dns.tries, 2);
    ck_assert_int_eq(config->wait, WAIT_BLOCK);
    mesh__config_unref(config);
}
END_TEST

static void check_header(const struct service_config *service, size_t index, const char *name, const char *value)
{
    const mesh_header *header = &service->headers[index];
    ck_assert(mesh__view_equal(mesh__view(header->name, header->name_size), mesh__view_of(name)));
    ck_assert(mesh__view_equal(mesh__view(header->value, header->value_size), mesh__view_of(value)));
}

START_TEST(every_value_of_a_service)
{
    static const uint32_t statuses[] = { 429, 503 };
    struct config *config = load("full.json");
    const struct service_config *s = mesh__config_service(config, "payment");
    ck_assert_uint_eq(s->endpoint_count, 4);
    ck_assert_str_eq(s->endpoints[1].address.text, "127.0.0.1:9002");
    ck_assert_uint_eq(s->endpoints[1].weight, 2);
    ck_assert_str_eq(s->endpoints[2].address.text, "[::1]:9003");
    ck_assert_str_eq(s->endpoints[3].address.text, "unix:/run/payment.sock");
    ck_assert_uint_eq(s->endpoints[3].weight, 1);
    ck_assert_int_eq(s->timeout, 500 * NANOS_MS);
    ck_assert_int_eq(s->connect_timeout, 100 * NANOS_MS);
    ck_assert_int_eq(s->idle_timeout, 60 * NANOS_S);
    ck_assert_int_eq(s->max_connection_age, 3600 * NANOS_S);
    ck_assert_uint_eq(s->max_requests_per_connection, 1000);
    ck_assert_uint_eq(s->max_body, 1 << 20);
    ck_assert_uint_eq(s->max_header, 16 << 10);
    ck_assert_uint_eq(s->max_headers, 50);
    ck_assert_int_eq(s->balancer, BALANCER_ROUND_ROBIN);
    ck_assert_int_eq(s->protocol, PROTOCOL_HTTP1);
    ck_assert_str_eq(s->authority, "pay.example:8443");
    ck_assert_uint_eq(s->header_count, 3);
    check_header(s, 0, "x-team", "shop");
    check_header(s, 1, "X-Zone", "b");
    check_header(s, 2, "x-new", "");
    ck_assert_uint_eq(s->retry.attempts, 3);
    ck_assert_uint_eq(s->retry.on, RETRY_ON_CONNECT_FAILURE | RETRY_ON_RESET | RETRY_ON_PER_TRY_TIMEOUT);
    ck_assert(only_statuses(&s->retry, statuses, 2));
    ck_assert_int_eq(s->retry.per_try_timeout, 200 * NANOS_MS);
    ck_assert(s->retry.non_idempotent);
    ck_assert_int_eq(s->retry.backoff_base, 50 * NANOS_MS);
    ck_assert_uint_eq(s->budget.per_second, 20);
    ck_assert_int_eq(s->breaker.shut, 2 * NANOS_S);
    ck_assert_int_eq(s->breaker.max_shut, 30 * NANOS_S);
    ck_assert(s->breaker.jitter == 0.25);
    ck_assert_int_eq(s->breaker.lease, 500 * NANOS_MS);
    ck_assert_uint_eq(s->limits.max_connections, 1);
    ck_assert_uint_eq(s->limits.max_pending, 2);
    ck_assert_uint_eq(s->limits.max_retries, 5);
    /* From "defaults", in the same objects. */
    ck_assert_int_eq(s->retry.backoff_max, NANOS_S);
    ck_assert(s->budget.ratio == 0.5);
    ck_assert_uint_eq(s->breaker.failures, 3);
    ck_assert_uint_eq(s->limits.max_requests, 10);
    ck_assert_int_eq(s->discover.timeout, NANOS_S);
    mesh__config_unref(config);
}
END_TEST

START_TEST(defaults_of_the_document)
{
    struct config *config = load("full.json");
    const struct service_config *s = mesh__config_service(config, "search");
    ck_assert_int_eq(s->timeout, 2 * NANOS_S);
    ck_assert_int_eq(s->breaker.lease, 2 * NANOS_S);
    ck_assert_uint_eq(s->retry.attempts, 4);
    ck_assert_uint_eq(s->retry.on, RETRY_ON_DEFAULT);
    ck_assert_int_eq(s->retry.backoff_base, 25 * NANOS_MS);
    ck_assert_int_eq(s->retry.backoff_max, NANOS_S);
    ck_assert_uint_eq(s->header_count, 2);
    check_header(s, 0, "x-team", "shop");
    check_header(s, 1, "x-zone", "a");
    ck_assert_int_eq(s->discover.kind, DISCOVER_DNS);
    ck_assert_str_eq(s->discover.host, "search.internal");
    ck_assert_uint_eq(s->discover.port, 8080);
    ck_assert_int_eq(s->discover.timeout, NANOS_S);
    ck_assert_str_eq(s->authority, "search.internal:8080");
    ck_assert_uint_eq(s->endpoint_count, 0);
    s = mesh__config_service(config, "plain-dns");
    ck_assert_str_eq(s->discover.host, "search.internal.");
    ck_assert_str_eq(s->authority, "search.internal");
    ck_assert_int_eq(s->discover.timeout, 3 * NANOS_S);
    s = mesh__config_service(config, "rates.v2_b");
    ck_assert_int_eq(s->discover.kind, DISCOVER_FILE);
    ck_assert_str_eq(s->discover.file, SAMPLES "rates-endpoints.json");
    ck_assert_str_eq(s->authority, "rates.v2_b");
    ck_assert_int_eq(s->balancer, BALANCER_LEAST_REQUEST);
    ck_assert_uint_eq(s->retry.on, 0);
    ck_assert_int_eq(s->retry.per_try_timeout, 0);
    ck_assert_uint_eq(s->limits.max_retries, UINT32_MAX);
    mesh__config_unref(config);
}
END_TEST

START_TEST(servers_and_dns)
{
    struct config *config = load("full.json");
    ck_assert_uint_eq(config->server_count, 2);
    const struct server_config *v = mesh__config_server(config, "payment");
    ck_assert_str_eq(v->listen.text, "127.0.0.1:0");
    ck_assert_uint_eq(v->workers, 0);
    ck_assert_uint_eq(v->max_pending, 5);
    ck_assert_uint_eq(v->max_connections, 6);
    ck_assert_uint_eq(v->max_streams, 11);
    ck_assert_uint_eq(v->max_body, 1000);
    ck_assert_uint_eq(v->max_header, 2048);
    ck_assert_uint_eq(v->max_headers, 7);
    ck_assert_int_eq(v->idle_timeout, 8 * NANOS_S);
    ck_assert_int_eq(v->request_timeout, 9 * NANOS_S);
    ck_assert_str_eq(mesh__config_server(config, "plain")->listen.text, "unix:/run/plain.sock");
    ck_assert_ptr_null(mesh__config_server(config, "search"));
    ck_assert_uint_eq(config->dns.server_count, 4);
    ck_assert_str_eq(config->dns.servers[0].text, "127.0.0.1:5300");
    ck_assert_str_eq(config->dns.servers[1].text, "10.0.0.1:53");
    ck_assert_str_eq(config->dns.servers[2].text, "[fd00::1]:53");
    ck_assert_str_eq(config->dns.servers[3].text, "[fd00::2]:53");
    ck_assert_int_eq(config->dns.timeout, 500 * NANOS_MS);
    ck_assert_uint_eq(config->dns.tries, 3);
    mesh__config_unref(config);
}
END_TEST

START_TEST(look_ups)
{
    struct config *config = load("full.json");
    static const char *const order[] = { "payment", "search", "plain-dns", "rates.v2_b" };
    ck_assert_uint_eq(config->service_count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        ck_assert_str_eq(config->services[i].name, order[i]);
        ck_assert_ptr_eq(mesh__config_service(config, order[i]), &config->services[i]);
    }
    ck_assert_ptr_null(mesh__config_service(config, "Payment"));
    ck_assert_ptr_null(mesh__config_service(config, ""));
    ck_assert_str_eq(mesh__config_nearest_service(config, "paymnet"), "payment");
    ck_assert_str_eq(mesh__config_nearest_service(config, "Search"), "search");
    ck_assert_ptr_null(mesh__config_nearest_service(config, "billing"));
    mesh__config_unref(config);
}
END_TEST

START_TEST(references)
{
    struct config *config = build("{ \"services\" : { } , \"wait\" :\n\"block\" }");
    ck_assert_str_eq(config->json, "{\"services\":{},\"wait\":\"block\"}");
    mesh__config_ref(config);
    mesh__config_unref(config);
    ck_assert_uint_eq(config->service_count, 0);
    mesh__config_unref(config);
    mesh__config_unref(NULL);
}
END_TEST

START_TEST(samples)
{
    struct config *config = load("contract.json");
    ck_assert_uint_eq(config->service_count, 3);
    mesh__config_unref(config);
    static const char name[] = "refused-contract.json";
    char text[4096], expected[4096];
    FILE *stream = fopen(SAMPLES "refused-contract.json", "rb");
    ck_assert_ptr_nonnull(stream);
    size_t size = fread(text, 1, sizeof(text), stream);
    ck_assert_int_eq(fclose(stream), 0);
    stream = fopen(SAMPLES "refused-contract.txt", "rb");
    ck_assert_ptr_nonnull(stream);
    size_t expected_size = fread(expected, 1, sizeof(expected) - 1, stream);
    ck_assert_int_eq(fclose(stream), 0);
    ck_assert_uint_gt(expected_size, 0);
    expected[expected_size - 1] = '\0'; /* the line feed at the end */
    mesh_config *document;
    mesh_error *error;
    ck_assert_int_eq(mesh_config_parse(text, size, name, &document, &error), MESH_OK);
    ck_assert_int_eq(mesh_config_check(document, &error, NULL), MESH_ECONFIG);
    ck_assert_str_eq(mesh_error_text(error), expected);
    mesh_error_free(error);
    mesh_config_free(document);
}
END_TEST

/* What a program sets is what a document says. */
START_TEST(setters_say_everything)
{
    static const char *const values[][2] = {
        { "/services/a/endpoints", "[\"127.0.0.1:80\", \"127.0.0.1:81\"]" },
        { "/services/a/retry/attempts", "5" },
        { "/services/a/retry/on/-", "\"503\"" },
        { "/services/a/circuit_breaker/enabled", "false" },
        { "/services/a/retry/budget/ratio", "0.125" },
        { "/defaults/limits/max_retries", "9" },
    };
    mesh_config *document;
    ck_assert_int_eq(mesh_config_new(&document), MESH_OK);
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        ck_assert_int_eq(mesh_config_set_json(document, values[i][0], values[i][1]), MESH_OK);
    ck_assert_int_eq(mesh_config_set_string(document, "/services/a/timeout", "3s"), MESH_OK);
    ck_assert_int_eq(mesh_config_set_string(document, "/services/a/balancer", "least-request"), MESH_OK);
    struct config *config;
    ck_assert_int_eq(mesh__config_build(document, &mesh__mem_system, &config, NULL, NULL), MESH_OK);
    const struct service_config *a = mesh__config_service(config, "a");
    ck_assert_uint_eq(a->endpoint_count, 2);
    ck_assert_uint_eq(a->retry.attempts, 5);
    ck_assert_uint_eq(a->retry.on, 0);
    ck_assert(!a->breaker_enabled);
    ck_assert(a->budget.ratio == 0.125);
    ck_assert_uint_eq(a->limits.max_retries, 9);
    ck_assert_int_eq(a->timeout, 3 * NANOS_S);
    ck_assert_int_eq(a->balancer, BALANCER_LEAST_REQUEST);
    mesh__config_unref(config);
    mesh_config_free(document);
}
END_TEST

/* The document's folder goes before relative paths. */
START_TEST(folders)
{
    static const char *const rows[][2] = { { NULL, "x/y.json" },  { "", "x/y.json" },           { ".", "./x/y.json" },
                                           { "a", "a/x/y.json" }, { "/a/b/", "/a/b/x/y.json" }, { "/", "/x/y.json" } };
    static const char text[] = "{\"services\":{\"s\":{\"discover\":{\"file\":\"x/y.json\"}}}}";
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        mesh_config *document;
        struct config *config;
        ck_assert_int_eq(mesh__document_parse(&mesh__mem_system, VIEW_LITERAL(text), NULL, rows[i][0], &document, NULL),
                         MESH_OK);
        ck_assert_int_eq(mesh__config_build(document, &mesh__mem_system, &config, NULL, NULL), MESH_OK);
        ck_assert_str_eq(config->services[0].discover.file, rows[i][1]);
        mesh__config_unref(config);
        mesh_config_free(document);
    }
}
END_TEST

START_TEST(endpoint_files)
{
    static const struct {
        const char *text;
        uint32_t count;
        const char *error;
    } rows[] = {
        { "[]", 0, NULL },
        { "[\"127.0.0.1:80\", {\"address\": \"[::1]:81\", \"weight\": 3}]", 2, NULL },
        { "{}", 0, "e.json:1:1: config: (document): an object is no list, expected one of addresses" },
        { "[\"a:80\",\n {\"adress\": 1}]", 0,
          "e.json:1:2: config: /0: \"a:80\" is a host name, expected an IP address; names belong into discover.dns\n"
          "e.json:2:2: config: /1: address is missing, expected an address\n"
          "e.json:2:3: config: /1/adress: unknown key, did you mean \"address\"?" },
        { "[\"127.0.0.1:80\", \"127.0.0.1:80\"]", 0,
          "e.json:1:18: config: /1: 127.0.0.1:80 is in the list twice, expected each endpoint once" },
        { "[", 0, "e.json:1:2: json: the text ends here, expected a value" },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct endpoint_config *list = (struct endpoint_config *)(void *)&list;
        uint32_t count = 99;
        mesh_error *error = NULL;
        mesh_status status = mesh__config_read_endpoints(&mesh__mem_system, rows[i].text, strlen(rows[i].text),
                                                         "e.json", &list, &count, &error);
        ck_assert_msg(status == (rows[i].error ? MESH_ECONFIG : MESH_OK), "%s", rows[i].text);
        ck_assert_str_eq(mesh_error_text(error), rows[i].error ? rows[i].error : "");
        ck_assert_uint_eq(count, rows[i].count);
        ck_assert((list == NULL) == (count == 0));
        if (count == 2) {
            ck_assert_str_eq(list[0].address.text, "127.0.0.1:80");
            ck_assert_uint_eq(list[0].weight, 1);
            ck_assert_str_eq(list[1].address.text, "[::1]:81");
            ck_assert_uint_eq(list[1].weight, 3);
        }
        mesh__mem_free(&mesh__mem_system, list);
        mesh_error_free(error);
    }
}
END_TEST

/* An allocator that fails once, at the `fail_at`-th request, and counts what is out. */
struct failing {
    size_t requests, fail_at;
    long blocks;
};

static void *failing_allocate(size_t bytes, void *user)
{
    struct failing *failing = user;
    if (++failing->requests == failing->fail_at)
        return NULL;
    failing->blocks++;
    return malloc(bytes);
}

static void *failing_resize(void *block, size_t old_bytes, size_t bytes, void *user)
{
    struct failing *failing = user;
    (void)old_bytes;
    return ++failing->requests == failing->fail_at ? NULL : realloc(block, bytes);
}

static void failing_release(void *block, void *user)
{
    struct failing *failing = user;
    failing->blocks--;
    free(block);
}

/* Parses, sets, judges and builds, all from `mem`. */
static mesh_status whole_life(const struct mem *mem, struct view text, bool *built)
{
    mesh_config *document;
    mesh_error *error = NULL, *warnings = NULL;
    struct config *config = NULL;
    *built = false;
    mesh_status status = mesh__document_parse(mem, text, "f", "folder", &document, &error);
    if (status == MESH_OK)
        status = mesh__document_set_json(document, "/services/zz/discover/file", "\"x\"");
    if (status == MESH_OK)
        status = mesh__config_build(document, mem, &config, &error, &warnings);
    ck_assert((config != NULL) == (status == MESH_OK && document != NULL));
    ck_assert(status != MESH_ECONFIG || mesh_error_status(error) == MESH_ECONFIG);
    *built = config != NULL;
    mesh__config_unref(config);
    mesh__document_free(document);
    mesh_error_free(error);
    mesh_error_free(warnings);
    return status;
}

static void fail_each(struct view text, mesh_status wanted)
{
    struct failing failing = { .fail_at = 0 };
    const struct mem mem = { failing_allocate, failing_resize, failing_release, &failing };
    bool built;
    ck_assert_int_eq(whole_life(&mem, text, &built), wanted);
    ck_assert_int_eq(failing.blocks, 0);
    size_t requests = failing.requests;
    ck_assert_uint_gt(requests, 5);
    for (size_t k = 1; k <= requests; k++) {
        failing = (struct failing){ .fail_at = k };
        ck_assert_msg(whole_life(&mem, text, &built) == MESH_NO_MEMORY, "request %zu of %zu", k, requests);
        ck_assert_msg(failing.blocks == 0, "request %zu of %zu leaks %ld blocks", k, requests, failing.blocks);
        ck_assert(!built);
    }
}

START_TEST(memory_fails_at_each_request)
{
    static const char *const names[] = { "full.json", "tls.json", "refused-types.json", "refused-contract.json",
                                         "refused-tls.json" };
    char path[512], text[8192];
    (void)snprintf(path, sizeof(path), "%s%s", SAMPLES, names[_i]);
    FILE *stream = fopen(path, "rb");
    ck_assert_ptr_nonnull(stream);
    size_t size = fread(text, 1, sizeof(text), stream);
    ck_assert_int_eq(fclose(stream), 0);
    fail_each(mesh__view(text, size), _i < 2 ? MESH_OK : MESH_ECONFIG);
}
END_TEST

START_TEST(memory_fails_while_reading_endpoints)
{
    static const char text[] = "[\"127.0.0.1:80\", {\"address\": \"[::1]:81\", \"weight\": 3}]";
    struct failing failing = { .fail_at = 0 };
    const struct mem mem = { failing_allocate, failing_resize, failing_release, &failing };
    struct endpoint_config *list;
    uint32_t count;
    size_t requests = 1;
    for (size_t k = 0; k <= requests; k++) {
        failing = (struct failing){ .fail_at = k };
        mesh_error *error;
        mesh_status status = mesh__config_read_endpoints(&mem, text, sizeof(text) - 1, "e", &list, &count, &error);
        ck_assert_msg(status == (k ? MESH_NO_MEMORY : MESH_OK), "request %zu", k);
        requests = k ? requests : failing.requests;
        ck_assert_uint_eq(count, k ? 0 : 2);
        ck_assert(k == 0 || mesh_error_status(error) == MESH_NO_MEMORY);
        mesh__mem_free(&mem, list);
        mesh_error_free(error);
        ck_assert_int_eq(failing.blocks, 0);
    }
    ck_assert_uint_gt(requests, 5);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config/build");
    TCase *tcase = tcase_create("build");
    tcase_add_test(tcase, defaults);
    tcase_add_test(tcase, every_value_of_a_service);
    tcase_add_test(tcase, defaults_of_the_document);
    tcase_add_test(tcase, servers_and_dns);
    tcase_add_test(tcase, look_ups);
    tcase_add_test(tcase, references);
    tcase_add_test(tcase, samples);
    tcase_add_test(tcase, setters_say_everything);
    tcase_add_test(tcase, folders);
    tcase_add_test(tcase, endpoint_files);
    tcase_add_loop_test(tcase, memory_fails_at_each_request, 0, 5);
    tcase_add_test(tcase, memory_fails_while_reading_endpoints);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
