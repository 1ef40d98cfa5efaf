/* SPDX-License-Identifier: Apache-2.0 */
/* judge_test.c - the exact words for documents that are refused, or accepted with a warning. */
#include "told.h"

/* Around what a service says, which begins in line 2, column 1. */
#define HEAD "{\"services\":{\"s\":{\"endpoints\":[\"127.0.0.1:1\",\"127.0.0.1:2\"],\n"
#define TAIL "}}}"
#define EXPECTED_DURATION "expected a string such as \"250ms\" or \"10s\""
#define EXPECTED_ADDRESS "expected \"1.2.3.4:80\", \"[::1]:80\" or \"unix:/path\""
#define EXPECTED_NAME "expected 1 to 63 letters, digits, dots, hyphens or underscores"

/* Whole documents that are refused. */
static const struct row documents[] = {
    { "[]", "f:1:1: config: (document): a list is no object, expected one" },
    { "\"x\"", "f:1:1: config: (document): \"x\" is no object, expected one" },
    { "{\"Services\":{}}", "f:1:2: config: /Services: unknown key, did you mean \"services\"?" },
    { "{\"foo~/\\n\":1}",
      "f:1:2: config: /foo~0~1\\u000a: unknown key, expected one of $schema, defaults, services, servers, dns, wait, "
      "identity, tls" },
    { "{\"$schema\":1}", "f:1:12: config: /$schema: 1 is no string, expected one" },
    { "{\"services\":[]}", "f:1:13: config: /services: a list is no object, expected one" },
    { "{\"services\":{\"s\":{}}}",
      "f:1:18: config: /services/s: there are no endpoints, expected \"endpoints\" or \"discover\"" },
    { "{\"services\":{\"s\":{\"endpoints\":[\"1.2.3.4:5\"],\"discover\":{\"dns\":\"a:1\"}}}}",
      "f:1:56: config: /services/s/discover: discover stands beside endpoints, expected one of them" },
    { "{\"services\":{\"\":{\"endpoints\":[\"1.2.3.4:5\"]},\"a b\":1}}",
      "f:1:14: config: /services/: this is no name of a service, " EXPECTED_NAME "\n"
      "f:1:45: config: /services/a b: this is no name of a service, " EXPECTED_NAME "\n"
      "f:1:51: config: /services/a b: 1 is no service, expected an object" },
    { "{\"wait\":\"adaptive\",\"services\":{}}",
      "f:1:9: config: /wait: adaptive: not in this version of Meshcall yet" },
    { "{\"wait\":{\"spin\":\"50us\"}}", "f:1:9: config: /wait: spin: not in this version of Meshcall yet" },
    { "{\"wait\":\"blok\"}", "f:1:9: config: /wait: \"blok\" is unknown, did you mean \"block\"? Expected \"block\"" },
    { "{\"wait\":true}", "f:1:9: config: /wait: true is unknown, expected \"block\"" },
    { "{\"defaults\":1}", "f:1:13: config: /defaults: 1 is no object, expected one" },
    { "{\"defaults\":{\"endpoints\":[],\"discover\":{\"dns\":\"a:1\",\"file\":\"x\",\"timeout\":\"x\"}}}",
      "f:1:14: config: /defaults/endpoints: endpoints cannot be a default, expected it in a service\n"
      "f:1:41: config: /defaults/discover/dns: dns cannot be a default, expected it in a service\n"
      "f:1:53: config: /defaults/discover/file: file cannot be a default, expected it in a service\n"
      "f:1:74: config: /defaults/discover/timeout: \"x\" is no duration, " EXPECTED_DURATION },
    { "{\"services\":{\"s\":{\"endpoints\":[\"127.0.0.1:1\"]}},\"defaults\":{\"retry\":{\"backoff\":{\"base\":\"1s\"}}}"
      "}",
      "f:1:88: config: /defaults/retry/backoff/base: 1s is more than max, which is 250ms, expected at most that" },
    { "{\"servers\":{\"a\":{},\"b\":{\"listen\":\"localhost:80\"},\"c\":{\"listen\":\"1.2.3.4\",\"workers\":257},\n"
      "\"d\":{\"listen\":\"127.0.0.1:65536\"},\"!\":[]}}",
      "f:1:17: config: /servers/a: listen is missing, expected an address\n"
      "f:1:34: config: /servers/b/listen: \"localhost:80\" is a host name, expected an IP address\n"
      "f:1:64: config: /servers/c/listen: \"1.2.3.4\" has no port, expected one behind a colon\n"
      "f:1:84: config: /servers/c/workers: 257 is out of range, expected 0 to 256\n"
      "f:2:15: config: /servers/d/listen: \"127.0.0.1:65536\" has a bad port, expected 0 to 65535\n"
      "f:2:34: config: /servers/!: this is no name of a server, " EXPECTED_NAME "\n"
      "f:2:38: config: /servers/!: a list is no object, expected one" },
    { "{\"servers\":{\"a\":{\"listen\":\"127.0.0.1:80\"},\"b\":{\"listen\":\"127.0.0.1:80\"},\n"
      "\"c\":{\"listen\":\"127.0.0.1:0\"},\"d\":{\"listen\":\"127.0.0.1:0\"}}}",
      "f:1:57: config: /servers/b/listen: 127.0.0.1:80 is where server a listens, expected another address" },
    { "{\"dns\":{\"servers\":[\"a\",1,\"unix:/x\",\"1.2.3.4:0\"],\"timeout\":\"2h\",\"tries\":0}}",
      "f:1:20: config: /dns/servers/0: \"a\" is no address of a name server, expected \"1.2.3.4:53\" or \"[::1]:53\"\n"
      "f:1:24: config: /dns/servers/1: 1 is no string, expected an address such as \"1.2.3.4:53\"\n"
      "f:1:26: config: /dns/servers/2: \"unix:/x\" is no address of a name server, expected \"1.2.3.4:53\" or "
      "\"[::1]:53\"\n"
      "f:1:36: config: /dns/servers/3: \"1.2.3.4:0\" is no address of a name server, expected \"1.2.3.4:53\" or "
      "\"[::1]:53\"\n"
      "f:1:59: config: /dns/timeout: \"2h\" is out of range, expected \"1ms\" to \"1h\"\n"
      "f:1:72: config: /dns/tries: 0 is out of range, expected 1 to 10" },
    { "{\"dns\":{\"servers\":[]}}",
      "f:1:19: config: /dns/servers: the list is empty, expected addresses such as \"1.2.3.4:53\"" },
    { "{\"dns\":{\"servers\":\"1.2.3.4\"}}",
      "f:1:19: config: /dns/servers: this is no list, expected addresses such as \"1.2.3.4:53\"" },
};

/* Services whose endpoints are wrong. */
static const struct row endpoints[] = {
    { "\"endpoints\":\"127.0.0.1:1\"",
      "f:2:13: config: /services/s/endpoints: \"127.0.0.1:1\" is no list, expected one of addresses" },
    { "\"endpoints\":[]", "f:2:13: config: /services/s/endpoints: the list is empty, expected at least one endpoint" },
    { "\"endpoints\":[\"payment:80\",\"1.2.3.4\",\"1.2.3.4:0\",\"x y\",7]",
      "f:2:14: config: /services/s/endpoints/0: \"payment:80\" is a host name, expected an IP address; names belong "
      "into "
      "discover.dns\n"
      "f:2:27: config: /services/s/endpoints/1: \"1.2.3.4\" has no port, expected one behind a colon\n"
      "f:2:37: config: /services/s/endpoints/2: \"1.2.3.4:0\" has a bad port, expected 1 to 65535\n"
      "f:2:49: config: /services/s/endpoints/3: \"x y\" is no address, " EXPECTED_ADDRESS "\n"
      "f:2:55: config: /services/s/endpoints/4: 7 is no endpoint, expected an address or an object" },
    { "\"endpoints\":[{\"address\":\"a:1\"},{\"weight\":0},{\"address\":1,\"wieght\":2},{\"address\":\"[::1]:1\","
      "\"weight\":1.5}]",
      "f:2:25: config: /services/s/endpoints/0/address: \"a:1\" is a host name, expected an IP address; names belong "
      "into "
      "discover.dns\n"
      "f:2:32: config: /services/s/endpoints/1: address is missing, expected an address\n"
      "f:2:42: config: /services/s/endpoints/1/weight: 0 is out of range, expected 1 to 1000000\n"
      "f:2:56: config: /services/s/endpoints/2/address: 1 is no string, expected an address: \"1.2.3.4:80\", "
      "\"[::1]:80\" or \"unix:/path\"\n"
      "f:2:58: config: /services/s/endpoints/2/wieght: unknown key, did you mean \"weight\"?\n"
      "f:2:100: config: /services/s/endpoints/3/weight: 1.5 is no whole number, expected 1 to 1000000" },
    { "\"endpoints\":[\"[::1]:1\",\"127.0.0.1:1\",{\"address\":\"[0::1]:1\"},\"127.0.0.1:1\"]",
      "f:2:38: config: /services/s/endpoints/2: [::1]:1 is in the list twice, expected each endpoint once\n"
      "f:2:61: config: /services/s/endpoints/3: 127.0.0.1:1 is in the list twice, expected each endpoint once" },
    { "\"discover\":1", "f:2:12: config: /services/s/discover: 1 is no object, expected one" },
    { "\"discover\":{}", "f:2:12: config: /services/s/discover: says nowhere to look, expected \"dns\" or \"file\"" },
    { "\"discover\":{\"dns\":\"a:1\",\"file\":\"b\"}",
      "f:2:12: config: /services/s/discover: dns stands beside file, expected one of them" },
    { "\"discover\":{\"srv\":\"_http._tcp.stock\"}",
      "f:2:13: config: /services/s/discover/srv: srv: not in this version of Meshcall yet" },
    { "\"discover\":{\"dns\":\"1.2.3.4:80\"}",
      "f:2:19: config: /services/s/discover/dns: \"1.2.3.4:80\" is an address, expected a name; addresses belong into "
      "endpoints" },
    { "\"discover\":{\"dns\":\"search\"}",
      "f:2:19: config: /services/s/discover/dns: \"search\" has no port, expected one behind a colon" },
    { "\"discover\":{\"dns\":\"search:0\"}",
      "f:2:19: config: /services/s/discover/dns: \"search:0\" has a bad port, expected 1 to 65535" },
    { "\"discover\":{\"dns\":\"http://search:80\"}",
      "f:2:19: config: /services/s/discover/dns: \"http://search:80\" is no name with a port, expected \"name:port\"" },
    { "\"discover\":{\"dns\":[]}",
      "f:2:19: config: /services/s/discover/dns: a list is no string, expected a name and a port: \"name:port\"" },
    { "\"discover\":{\"file\":\"\"}",
      "f:2:20: config: /services/s/discover/file: the path is empty, expected that of a file" },
    { "\"discover\":{\"file\":null}",
      "f:2:20: config: /services/s/discover/file: null is no string, expected the path of a file" },
};

/* Services whose endpoints are right and whose rest is wrong. */
static const struct row services[] = {
    { "\"timeout\":15", "f:2:11: config: /services/s/timeout: 15 is no duration, " EXPECTED_DURATION },
    { "\"timeout\":\"15\"", "f:2:11: config: /services/s/timeout: \"15\" is no duration, " EXPECTED_DURATION },
    { "\"timeout\":\"none\"", "f:2:11: config: /services/s/timeout: \"none\" is no duration, " EXPECTED_DURATION },
    { "\"timeout\":\"0s\"",
      "f:2:11: config: /services/s/timeout: \"0s\" is out of range, expected \"1ms\" to \"24h\"" },
    { "\"timeout\":\"25h\"",
      "f:2:11: config: /services/s/timeout: \"25h\" is out of range, expected \"1ms\" to \"24h\"" },
    { "\"tiemout\":\"1s\"", "f:2:1: config: /services/s/tiemout: unknown key, did you mean \"timeout\"?" },
    { "\"Retry\":{}", "f:2:1: config: /services/s/Retry: unknown key, did you mean \"retry\"?" },
    { "\"max_connection_age\":\"forever\"",
      "f:2:22: config: /services/s/max_connection_age: \"forever\" is no duration, " EXPECTED_DURATION " or \"none\"" },
    { "\"max_connection_age\":\"0s\"", "f:2:22: config: /services/s/max_connection_age: \"0s\" is out of range, "
                                       "expected \"1ms\" to \"24h\" or \"none\"" },
    { "\"max_body\":8388608",
      "f:2:12: config: /services/s/max_body: 8388608 is no size, expected a string such as \"64KiB\" or \"8MiB\"" },
    { "\"max_header\":\"1B\"",
      "f:2:14: config: /services/s/max_header: \"1B\" is out of range, expected \"1KiB\" to \"16MiB\"" },
    { "\"max_headers\":\"100\"",
      "f:2:15: config: /services/s/max_headers: \"100\" is no whole number, expected 1 to 10000" },
    { "\"max_headers\":-1", "f:2:15: config: /services/s/max_headers: -1 is out of range, expected 1 to 10000" },
    { "\"max_headers\":0.5", "f:2:15: config: /services/s/max_headers: 0.5 is no whole number, expected 1 to 10000" },
    { "\"max_headers\":1e300", "f:2:15: config: /services/s/max_headers: 1e+300 is out of range, expected 1 to 10000" },
    { "\"balancer\":\"weighted\"",
      "f:2:12: config: /services/s/balancer: weighted: not in this version of Meshcall yet" },
    { "\"balancer\":\"random\"", "f:2:12: config: /services/s/balancer: random: not in this version of Meshcall yet" },
    { "\"balancer\":\"roundrobin\"",
      "f:2:12: config: /services/s/balancer: \"roundrobin\" is unknown, did you mean \"round-robin\"? Expected "
      "\"peak-ewma\", \"round-robin\" or \"least-request\"" },
    { "\"balancer\":\"x\"",
      "f:2:12: config: /services/s/balancer: \"x\" is unknown, expected \"peak-ewma\", \"round-robin\" or "
      "\"least-request\"" },
    { "\"protocol\":\"HTTP1\"",
      "f:2:12: config: /services/s/protocol: \"HTTP1\" is unknown, did you mean \"http1\"? Expected \"auto\", "
      "\"http1\" or \"http2\"" },
    { "\"url\":\"https://x\",\"transport\":\"curl\"",
      "f:2:1: config: /services/s/url: url: not in this version of Meshcall yet\n"
      "f:2:19: config: /services/s/transport: transport: not in this version of Meshcall yet" },
    { "\"authority\":\"a b\"",
      "f:2:13: config: /services/s/authority: \"a b\" cannot be sent as Host, expected a host, or a host and a port" },
    { "\"headers\":[]", "f:2:11: config: /services/s/headers: a list is no object, expected one of names and values" },
    { "\"headers\":{\"x-a\":1}",
      "f:2:18: config: /services/s/headers/x-a: 1 is no string, expected the value of a header field" },
    { "\"headers\":{\"X-A\":\"1\",\"x-a\":\"2\"}",
      "f:2:22: config: /services/s/headers/x-a: this header field is named twice, expected it once" },
    { "\"retry\":{\"attempts\":0}", "f:2:21: config: /services/s/retry/attempts: 0 is out of range, expected 1 to 10" },
    { "\"retry\":{\"attempts\":11,\"on\":\"5xx\"}",
      "f:2:21: config: /services/s/retry/attempts: 11 is out of range, expected 1 to 10\n"
      "f:2:29: config: /services/s/retry/on: \"5xx\" is no list, expected one of words and statuses" },
    { "\"retry\":{\"on\":[\"resett\",\"399\",\"600\",503,\"bananas\"]}",
      "f:2:16: config: /services/s/retry/on/0: \"resett\" is unknown, did you mean \"reset\"? Expected "
      "\"connect-failure\", \"refused\", \"reset-before-request\", \"reset\", \"5xx\", \"gateway-error\", "
      "\"per-try-timeout\" or a status, \"400\" to \"599\"\n"
      "f:2:25: config: /services/s/retry/on/1: \"399\" is unknown, expected \"connect-failure\", \"refused\", "
      "\"reset-before-request\", \"reset\", \"5xx\", \"gateway-error\", \"per-try-timeout\" or a status, \"400\" to "
      "\"599\"\n"
      "f:2:31: config: /services/s/retry/on/2: \"600\" is unknown, expected \"connect-failure\", \"refused\", "
      "\"reset-before-request\", \"reset\", \"5xx\", \"gateway-error\", \"per-try-timeout\" or a status, \"400\" to "
      "\"599\"\n"
      "f:2:37: config: /services/s/retry/on/3: 503 is unknown, expected \"connect-failure\", \"refused\", "
      "\"reset-before-request\", \"reset\", \"5xx\", \"gateway-error\", \"per-try-timeout\" or a status, \"400\" to "
      "\"599\"\n"
      "f:2:41: config: /services/s/retry/on/4: \"bananas\" is unknown, expected \"connect-failure\", \"refused\", "
      "\"reset-before-request\", \"reset\", \"5xx\", \"gateway-error\", \"per-try-timeout\" or a status, \"400\" to "
      "\"599\"" },
    { "\"retry\":{\"non_idempotent\":\"yes\"}",
      "f:2:27: config: /services/s/retry/non_idempotent: \"yes\" is neither true nor false, expected one of them" },
    { "\"retry\":{\"backoff\":{\"base\":\"300ms\"}}",
      "f:2:28: config: /services/s/retry/backoff/base: 300ms is more than max, which is 250ms, expected at most that" },
    { "\"retry\":{\"backoff\":{\"max\":\"10ms\"}}",
      "f:2:27: config: /services/s/retry/backoff/max: 10ms is less than base, which is 25ms, expected at least that" },
    { "\"retry\":{\"budget\":{\"ratio\":11,\"per_second\":-1}}",
      "f:2:28: config: /services/s/retry/budget/ratio: 11 is out of range, expected a number from 0 to 10\n"
      "f:2:44: config: /services/s/retry/budget/per_second: -1 is out of range, expected 0 to 100000" },
    { "\"retry\":{\"budget\":{\"ratio\":\"20%\"}}",
      "f:2:28: config: /services/s/retry/budget/ratio: \"20%\" is no number, expected a number from 0 to 10" },
    { "\"circuit_breaker\":{\"failures\":256,\"shut\":\"2m\",\"jitter\":1.1}",
      "f:2:31: config: /services/s/circuit_breaker/failures: 256 is out of range, expected 1 to 255\n"
      "f:2:42: config: /services/s/circuit_breaker/shut: 2m is more than max_shut, which is 1m, expected at most that\n"
      "f:2:56: config: /services/s/circuit_breaker/jitter: 1.1 is out of range, expected a number from 0 to 1" },
    { "\"limits\":{\"max_requests\":0,\"max_retries\":\"none\"}",
      "f:2:26: config: /services/s/limits/max_requests: 0 is out of range, expected 1 to 1000000\n"
      "f:2:42: config: /services/s/limits/max_retries: \"none\" is no whole number, expected 0 to 1000000 or "
      "\"unlimited\"" },
    { "\"limits\":{\"max_connections\":\"unlimited\"}",
      "f:2:29: config: /services/s/limits/max_connections: \"unlimited\" is no whole number, expected 1 to 1000000" },
};

/* Services that are accepted, and what is pointless in them. */
static const struct row warned[] = {
    { "\"timeout\":\"1s\"", "" },
    { "\"retry\":{\"attempts\":1}", "" },
    { "\"retry\":{\"attempts\":1,\"on\":[\"5xx\"],\"backoff\":{\"base\":\"1ms\"}}",
      "f:2:28: config: /services/s/retry/on: has no effect: attempts is 1, so nothing is tried again\n"
      "f:2:46: config: /services/s/retry/backoff: has no effect: attempts is 1, so nothing is tried again" },
    { "\"retry\":{\"per_try_timeout\":\"15s\"}",
      "f:2:28: config: /services/s/retry/per_try_timeout: has no effect: the service's timeout, 15s, comes first" },
    { "\"timeout\":\"500ms\",\"connect_timeout\":\"1s\"",
      "f:2:37: config: /services/s/connect_timeout: has no effect: the service's timeout, 500ms, comes first" },
    { "\"timeout\":\"500ms\",\"connect_timeout\":\"500ms\"", "" },
    { "\"retry\":{\"on\":[\"per-try-timeout\"]}",
      "f:2:15: config: /services/s/retry/on: \"per-try-timeout\" has no effect: there is no per_try_timeout" },
    { "\"retry\":{\"on\":[\"503\",\"5xx\",\"503\",\"5xx\"]}",
      "f:2:28: config: /services/s/retry/on/2: \"503\" is in the list twice\n"
      "f:2:34: config: /services/s/retry/on/3: \"5xx\" is in the list twice" },
    { "\"retry\":{\"non_idempotent\":true}",
      "f:2:27: config: /services/s/retry/non_idempotent: has no effect: what is in \"on\" is safe for every request "
      "anyway" },
    { "\"retry\":{\"non_idempotent\":true,\"on\":[\"503\"]}", "" },
    { "\"circuit_breaker\":{\"enabled\":false,\"failures\":3,\"jitter\":0}",
      "f:2:47: config: /services/s/circuit_breaker/failures: has no effect: the circuit breaker is not enabled\n"
      "f:2:58: config: /services/s/circuit_breaker/jitter: has no effect: the circuit breaker is not enabled" },
    { "\"balancer\":\"round-robin\"", "" },
};

static const struct row warned_documents[] = {
    { "{}", "f:1:1: config: (document): there are neither services nor servers, so there is nothing to do" },
    { "{\"defaults\":{\"balancer\":\"round-robin\"},\"services\":{\"s\":{\"endpoints\":[\"127.0.0.1:1\"]}}}", "" },
    { "{\"services\":{\"s\":{\"endpoints\":[\"127.0.0.1:1\"],\"balancer\":\"round-robin\"}}}",
      "f:1:58: config: /services/s/balancer: has no effect: there is one endpoint only" },
    { "{\"defaults\":{\"retry\":{\"per_try_timeout\":\"20s\"}},\"services\":{\"s\":{\"endpoints\":[\"127.0.0.1:1\"]},"
      "\"t\":{\"endpoints\":[\"127.0.0.1:1\"]}}}",
      "f:1:41: config: /defaults/retry/per_try_timeout: has no effect: the service's timeout, 15s, comes first" },
    { "{\"services\":{\"s\":{\"discover\":{\"dns\":\"a:1\",\"timeout\":\"6s\"},\"timeout\":\"5s\"}}}",
      "f:1:53: config: /services/s/discover/timeout: has no effect: the service's timeout, 5s, comes first" },
};

START_TEST(refused_documents)
{
    check_row("", &documents[_i], "", true);
}
END_TEST

START_TEST(refused_endpoints)
{
    check_row("{\"services\":{\"s\":{\n", &endpoints[_i], TAIL, true);
}
END_TEST

START_TEST(refused_services)
{
    check_row(HEAD, &services[_i], TAIL, true);
}
END_TEST

START_TEST(warnings)
{
    check_row(HEAD, &warned[_i], TAIL, false);
}
END_TEST

START_TEST(warnings_about_documents)
{
    check_row("", &warned_documents[_i], "", false);
}
END_TEST

/* Every field that http1_check.h refuses is refused here, in its words. */
START_TEST(headers_that_cannot_be_sent)
{
    static const char *const fields[] = { "\"\":\"x\"",          "\"a b\":\"x\"",  "\"x-a\":\"a\\nb\"",
                                          "\"x-a\":\" a\"",      "\"Host\":\"x\"", "\"content-length\":\"0\"",
                                          "\"x-\xc3\xa4\":\"x\"" };
    for (size_t i = 0; i < COUNT(fields); i++) {
        char text[512];
        (void)snprintf(text, sizeof(text), "%s\"headers\":{%s}%s", HEAD, fields[i], TAIL);
        char *told = check(text, true);
        ck_assert_msg(strstr(told, ": this field cannot be sent: ") != NULL, "%s: %s", fields[i], told);
        ck_assert_msg(strchr(told, '\n') == NULL, "%s: %s", fields[i], told);
        free(told);
    }
}
END_TEST

/* Past a number of lines only the number of the rest is told. */
START_TEST(many_errors)
{
    enum { ERRORS = 1500, ROOM = ERRORS * 16 + 100 };
    char *text = malloc(ROOM);
    ck_assert_ptr_nonnull(text);
    size_t size = (size_t)snprintf(text, ROOM, "{\"services\":{\"s\":{\"endpoints\":[");
    for (int i = 0; i < ERRORS; i++)
        size += (size_t)snprintf(text + size, ROOM - size, "%s%d", i ? "," : "", i);
    (void)snprintf(text + size, ROOM - size, "]}}}");
    char *told = check(text, true);
    size_t lines = 1;
    for (const char *at = told; *at != '\0'; at++)
        lines += *at == '\n';
    ck_assert_uint_eq(lines, 1001);
    ck_assert_str_eq(strrchr(told, '\n'), "\nf: config: and 500 more");
    ck_assert_int_eq(strncmp(told, "f:1:32: config: /services/s/endpoints/0: 0 is no endpoint", 57), 0);
    free(told);
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config/judge");
    TCase *tcase = tcase_create("judge");
    tcase_add_loop_test(tcase, refused_documents, 0, COUNT(documents));
    tcase_add_loop_test(tcase, refused_endpoints, 0, COUNT(endpoints));
    tcase_add_loop_test(tcase, refused_services, 0, COUNT(services));
    tcase_add_loop_test(tcase, warnings, 0, COUNT(warned));
    tcase_add_loop_test(tcase, warnings_about_documents, 0, COUNT(warned_documents));
    tcase_add_test(tcase, headers_that_cannot_be_sent);
    tcase_add_test(tcase, many_errors);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
