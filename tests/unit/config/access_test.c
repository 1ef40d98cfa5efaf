/* SPDX-License-Identifier: Apache-2.0 */
/* access_test.c - policies: what they become, and the exact words for those that are refused. */
#include "config/config.h"
#include "told.h"

/* Around what a server says, which begins in line 2, column 1, and around rules, in line 3, column 1. */
#define SERVER                                                                                                         \
    "{\"identity\":{\"certificate\":\"c\",\"key\":\"k\",\"trust\":{\"shop\":\"t\"}},\"servers\":{\"v\":{\"listen\":"   \
    "\"127.0.0.1:1\",\n"
#define RULES                                                                                                          \
    "{\"identity\":{\"certificate\":\"c\",\"key\":\"k\",\"trust\":{\"shop\":\"t\"}},\"servers\":{\"v\":{\"listen\":"   \
    "\"127.0.0.1:1\",\n\"tls\":{\"mode\":\"mutual\"},\"authorize\":{\"rules\":[\n"
#define CONNECTION_RULES                                                                                               \
    "{\"identity\":{\"certificate\":\"c\",\"key\":\"k\",\"trust\":{\"shop\":\"t\"}},\"services\":{\"s\":{"             \
    "\"endpoints\":[\"127.0.0.1:1\",\"127.0.0.1:2\"],\n\"tls\":{\"mode\":\"mutual\",\"peers\":[\"spiffe://shop/"       \
    "*\"]},\"authorize\":{\"rules\":[\n"

/* Policies. */
static const struct row policies[] = {
    { "\"authorize\":{\"rules\":[{\"action\":\"allow\",\"trust_domains\":[\"shop\"]}]}",
      "f:2:13: config: /servers/v/authorize: \"rule 1\" asks for the peer's id, which is known with TLS of mode "
      "\"mutual\" or \"permissive\" only" },
    { "\"authorize\":1", "f:2:13: config: /servers/v/authorize: 1 is no object, expected one" },
    { "\"authorize\":{}", "f:2:13: config: /servers/v/authorize: there are no rules, expected \"rules\"" },
    { "\"authorize\":{\"dry_run\":1,\"rules\":[]}",
      "f:2:24: config: /servers/v/authorize/dry_run: 1 is neither true nor false, expected one of them\n"
      "f:2:34: config: /servers/v/authorize/rules: the list is empty, expected rules" },
    { "\"authorize\":{\"rules\":{}}",
      "f:2:22: config: /servers/v/authorize/rules: an object is no list, expected one of rules" },
    { "\"authorize\":{\"rules\":[1,{}]}",
      "f:2:23: config: /servers/v/authorize/rules/0: 1 is no object, expected one\n"
      "f:2:25: config: /servers/v/authorize/rules/1: action is missing, expected \"allow\" or \"deny\"" },
};

/* Rules of a server. */
static const struct row rules[] = {
    { "{\"action\":\"audit\"}",
      "f:3:11: config: /servers/v/authorize/rules/0/action: \"audit\" is unknown, expected \"allow\" or \"deny\"" },
    { "{\"action\":\"allow\",\"name\":\"\"}", "f:3:26: config: /servers/v/authorize/rules/0/name: \"\" is no name of a "
                                              "rule, expected 1 to 100 bytes without control characters" },
    { "{\"action\":\"allow\",\"name\":\"a\\u0001\"},{\"action\":\"allow\",\"name\":7}",
      "f:3:26: config: /servers/v/authorize/rules/0/name: \"a\\u0001\" is no name of a rule, expected 1 to 100 bytes "
      "without control characters\n"
      "f:3:62: config: /servers/v/authorize/rules/1/name: 7 is no string, expected a name" },
    { "{\"action\":\"allow\",\"name\":\"a\"},{\"action\":\"deny\",\"name\":\"a\"},{\"action\":\"deny\",\"name\":\"rule "
      "4\"},{\"action\":\"deny\"}",
      "f:3:55: config: /servers/v/authorize/rules/1/name: another rule is called \"a\" too, expected a name of its "
      "own\n"
      "f:3:94: config: /servers/v/authorize/rules/3: another rule is called \"rule 4\" too, expected a name of its "
      "own" },
    { "{\"action\":\"allow\",\"peer\":[]}",
      "f:3:19: config: /servers/v/authorize/rules/0/peer: unknown key, did you mean \"peers\"?" },
    { "{\"action\":\"allow\",\"peers\":[]}", "f:3:27: config: /servers/v/authorize/rules/0/peers: the list is empty, "
                                             "expected SPIFFE ids such as \"spiffe://shop/order\"" },
    { "{\"action\":\"allow\",\"peers\":\"*\"}", "f:3:27: config: /servers/v/authorize/rules/0/peers: \"*\" is no list, "
                                                "expected one of SPIFFE ids such as \"spiffe://shop/order\"" },
    { "{\"action\":\"allow\",\"peers\":[\"\",1,\"shop/x\",\"a*b\",\"**\",\"spiffe://shop*\",\"spiffe://"
      "shop\",\"spiffe://Shop/*\",\"spiffe://shop/x*\"]}",
      "f:3:28: config: /servers/v/authorize/rules/0/peers/0: \"\" is no text to match: it is empty and would match "
      "nothing\n"
      "f:3:31: config: /servers/v/authorize/rules/0/peers/1: 1 is no string, expected a text\n"
      "f:3:33: config: /servers/v/authorize/rules/0/peers/2: \"shop/x\" is no SPIFFE id: a SPIFFE id begins with "
      "\"spiffe://\", in lower case\n"
      "f:3:42: config: /servers/v/authorize/rules/0/peers/3: \"a*b\" is no text to match: a star is the first or the "
      "last character, and the only star\n"
      "f:3:48: config: /servers/v/authorize/rules/0/peers/4: \"**\" is no text to match: a star is the first or the "
      "last character, and the only star\n"
      "f:3:53: config: /servers/v/authorize/rules/0/peers/5: \"spiffe://shop*\" matches other trust domains too, "
      "expected \"spiffe://shop/*\"\n"
      "f:3:70: config: /servers/v/authorize/rules/0/peers/6: \"spiffe://shop\" is a trust domain's own id, which no "
      "peer has, expected a path behind it\n"
      "f:3:86: config: /servers/v/authorize/rules/0/peers/7: \"spiffe://Shop/*\" is no SPIFFE id: a trust domain holds "
      "only a-z, 0-9, '.', '-' and '_'" },
    { "{\"action\":\"allow\",\"trust_domains\":[\"Shop\",\"sh*\",\"\"]}",
      "f:3:36: config: /servers/v/authorize/rules/0/trust_domains/0: \"Shop\" is no trust domain: a trust domain holds "
      "only a-z, 0-9, '.', '-' and '_'\n"
      "f:3:43: config: /servers/v/authorize/rules/0/trust_domains/1: \"sh*\" is no trust domain: a trust domain holds "
      "only a-z, 0-9, '.', '-' and '_'\n"
      "f:3:49: config: /servers/v/authorize/rules/0/trust_domains/2: \"\" is no text to match: it is empty and would "
      "match nothing" },
    { "{\"action\":\"allow\",\"trust_domains\":[]}",
      "f:3:35: config: /servers/v/authorize/rules/0/trust_domains: the list is empty, expected trust domains" },
    { "{\"action\":\"allow\",\"namespaces\":[\"a*\",\"a/b\",1]}",
      "f:3:33: config: /servers/v/authorize/rules/0/namespaces/0: \"a*\" is no namespace, expected letters, digits, "
      "dots, hyphens or underscores\n"
      "f:3:38: config: /servers/v/authorize/rules/0/namespaces/1: \"a/b\" is no namespace, expected letters, digits, "
      "dots, hyphens or underscores\n"
      "f:3:44: config: /servers/v/authorize/rules/0/namespaces/2: 1 is no string, expected a text" },
    { "{\"action\":\"allow\",\"namespaces\":[]}",
      "f:3:32: config: /servers/v/authorize/rules/0/namespaces: the list is empty, expected namespaces" },
    { "{\"action\":\"allow\",\"methods\":[\"G ET\",\"(*\",\"\"]}",
      "f:3:30: config: /servers/v/authorize/rules/0/methods/0: \"G ET\" is no method, expected one such as \"GET\"\n"
      "f:3:37: config: /servers/v/authorize/rules/0/methods/1: \"(*\" is no method, expected one such as \"GET\"\n"
      "f:3:42: config: /servers/v/authorize/rules/0/methods/2: \"\" is no text to match: it is empty and would match "
      "nothing" },
    { "{\"action\":\"allow\",\"methods\":[]}",
      "f:3:29: config: /servers/v/authorize/rules/0/methods: the list is empty, expected methods such as \"GET\"" },
    { "{\"action\":\"allow\",\"methods\":\"GET\"}", "f:3:29: config: /servers/v/authorize/rules/0/methods: \"GET\" is "
                                                    "no list, expected one of methods such as \"GET\"" },
    { "{\"action\":\"allow\",\"paths\":[\"charge\",\"/a*b\",\"/a?b=c\",\"\",\"charge*\",\"{*}/x\"]}",
      "f:3:28: config: /servers/v/authorize/rules/0/paths/0: \"charge\" does not begin with a slash, as every path "
      "does, expected one\n"
      "f:3:37: config: /servers/v/authorize/rules/0/paths/1: \"/a*b\" is no text to match: a star is the first or the "
      "last character, and the only star\n"
      "f:3:44: config: /servers/v/authorize/rules/0/paths/2: \"/a?b=c\" has a query, which is not compared, expected "
      "the path alone\n"
      "f:3:53: config: /servers/v/authorize/rules/0/paths/3: \"\" is no text to match: it is empty and would match "
      "nothing\n"
      "f:3:56: config: /servers/v/authorize/rules/0/paths/4: \"charge*\" does not begin with a slash, as every path "
      "does, expected one\n"
      "f:3:66: config: /servers/v/authorize/rules/0/paths/5: \"{*}/x\" is no text to match: a path template begins "
      "with a slash" },
    { "{\"action\":\"allow\",\"paths\":[]}",
      "f:3:27: config: /servers/v/authorize/rules/0/paths: the list is empty, expected paths such as \"/charge\"" },
    { "{\"action\":\"allow\",\"paths\":[\"/a/{\",\"/a/}\",\"/{x}\",\"/a{*}\",\"/{*}*\",\"/{***}\",\"/{*}/*\",\"/{**}/"
      "{*}\"]}",
      "f:3:28: config: /servers/v/authorize/rules/0/paths/0: \"/a/{\" is no text to match: in a path template, braces "
      "and stars are whole segments: {*} or {**}\n"
      "f:3:35: config: /servers/v/authorize/rules/0/paths/1: \"/a/}\" is no text to match: in a path template, braces "
      "and stars are whole segments: {*} or {**}\n"
      "f:3:42: config: /servers/v/authorize/rules/0/paths/2: \"/{x}\" is no text to match: in a path template, braces "
      "and stars are whole segments: {*} or {**}\n"
      "f:3:49: config: /servers/v/authorize/rules/0/paths/3: \"/a{*}\" is no text to match: in a path template, braces "
      "and stars are whole segments: {*} or {**}\n"
      "f:3:57: config: /servers/v/authorize/rules/0/paths/4: \"/{*}*\" is no text to match: in a path template, braces "
      "and stars are whole segments: {*} or {**}\n"
      "f:3:65: config: /servers/v/authorize/rules/0/paths/5: \"/{***}\" is no text to match: in a path template, "
      "braces and stars are whole segments: {*} or {**}\n"
      "f:3:74: config: /servers/v/authorize/rules/0/paths/6: \"/{*}/*\" is no text to match: in a path template, "
      "braces and stars are whole segments: {*} or {**}\n"
      "f:3:83: config: /servers/v/authorize/rules/0/paths/7: \"/{**}/{*}\" is no text to match: in a path template, "
      "{**} is the last of the operators" },
    { "{\"action\":\"allow\",\"paths\":[\"/a//b\",\"/a/../b\",\"/a/.\",\"/./a*\",\"*/../a\",\"/a//{*}\"]}",
      "f:3:28: config: /servers/v/authorize/rules/0/paths/0: \"/a//b\" has an empty segment or one of dots, expected "
      "the path without\n"
      "f:3:36: config: /servers/v/authorize/rules/0/paths/1: \"/a/../b\" has an empty segment or one of dots, expected "
      "the path without\n"
      "f:3:46: config: /servers/v/authorize/rules/0/paths/2: \"/a/.\" has an empty segment or one of dots, expected "
      "the path without\n"
      "f:3:53: config: /servers/v/authorize/rules/0/paths/3: \"/./a*\" has an empty segment or one of dots, expected "
      "the path without\n"
      "f:3:61: config: /servers/v/authorize/rules/0/paths/4: \"*/../a\" has an empty segment or one of dots, expected "
      "the path without\n"
      "f:3:70: config: /servers/v/authorize/rules/0/paths/5: \"/a//{*}\" has an empty segment or one of dots, expected "
      "the path without" },
    { "{\"action\":\"allow\",\"headers\":[]}",
      "f:3:29: config: /servers/v/authorize/rules/0/headers: a list is no object, expected one of names and values" },
    { "{\"action\":\"allow\",\"headers\":{}}",
      "f:3:29: config: /servers/v/authorize/rules/0/headers: the object is empty, expected at least one header field" },
    { "{\"action\":\"allow\",\"headers\":{\"a "
      "b\":\"x\",\"X-A\":\"1\",\"x-a\":[\"2\"],\"c\":[],\"d\":1,\"e\":\"a*b\",\"f\":\"\\u0001\",\"g\":\"\"}}",
      "f:3:30: config: /servers/v/authorize/rules/0/headers/a b: this is no name of a header field, expected one such "
      "as \"x-team\"\n"
      "f:3:50: config: /servers/v/authorize/rules/0/headers/x-a: this header field is named twice, expected it once\n"
      "f:3:66: config: /servers/v/authorize/rules/0/headers/c: the list is empty, expected texts\n"
      "f:3:73: config: /servers/v/authorize/rules/0/headers/d: 1 is no string, expected a text\n"
      "f:3:79: config: /servers/v/authorize/rules/0/headers/e: \"a*b\" is no text to match: a star is the first or the "
      "last character, and the only star\n"
      "f:3:89: config: /servers/v/authorize/rules/0/headers/f: \"\\u0001\" is no value of a header field, expected no "
      "control characters\n"
      "f:3:102: config: /servers/v/authorize/rules/0/headers/g: \"\" is no text to match: it is empty and would match "
      "nothing" },
    { "{\"action\":\"allow\",\"ports\":[]}",
      "f:3:27: config: /servers/v/authorize/rules/0/ports: the list is empty, expected ports" },
    { "{\"action\":\"allow\",\"ports\":80}",
      "f:3:27: config: /servers/v/authorize/rules/0/ports: 80 is no list, expected one of ports" },
    { "{\"action\":\"allow\",\"ports\":[0,65536,1.5,\"80\",-1,1e300]}",
      "f:3:28: config: /servers/v/authorize/rules/0/ports/0: 0 is no port, expected 1 to 65535\n"
      "f:3:30: config: /servers/v/authorize/rules/0/ports/1: 65536 is no port, expected 1 to 65535\n"
      "f:3:36: config: /servers/v/authorize/rules/0/ports/2: 1.5 is no port, expected 1 to 65535\n"
      "f:3:40: config: /servers/v/authorize/rules/0/ports/3: \"80\" is no port, expected 1 to 65535\n"
      "f:3:45: config: /servers/v/authorize/rules/0/ports/4: -1 is no port, expected 1 to 65535\n"
      "f:3:48: config: /servers/v/authorize/rules/0/ports/5: 1e+300 is no port, expected 1 to 65535" },
    { "{\"action\":\"allow\",\"unless\":{}}",
      "f:3:28: config: /servers/v/authorize/rules/0/unless: the object is empty, expected at least one condition" },
    { "{\"action\":\"allow\",\"unless\":[]}",
      "f:3:28: config: /servers/v/authorize/rules/0/unless: a list is no object, expected one" },
    { "{\"action\":\"allow\",\"unless\":{\"action\":\"deny\",\"paths\":[\"x\"]}}",
      "f:3:29: config: /servers/v/authorize/rules/0/unless/action: unknown key, expected one of peers, trust_domains, "
      "namespaces, methods, paths, headers, ports\n"
      "f:3:54: config: /servers/v/authorize/rules/0/unless/paths/0: \"x\" does not begin with a slash, as every path "
      "does, expected one" },
};

/* Rules of a service. */
static const struct row connection_rules[] = {
    { "{\"action\":\"allow\",\"methods\":[\"GET\"],\"paths\":[\"/"
      "\"],\"headers\":{\"a\":\"b\"},\"unless\":{\"methods\":[\"x\"]}}",
      "f:3:19: config: /services/s/authorize/rules/0/methods: a service's rules are judged for connections, which have "
      "no methods, expected it in a server\n"
      "f:3:37: config: /services/s/authorize/rules/0/paths: a service's rules are judged for connections, which have "
      "no paths, expected it in a server\n"
      "f:3:51: config: /services/s/authorize/rules/0/headers: a service's rules are judged for connections, which have "
      "no headers, expected it in a server\n"
      "f:3:81: config: /services/s/authorize/rules/0/unless/methods: a service's rules are judged for connections, "
      "which have no methods, expected it in a server" },
    { "{\"action\":\"allow\",\"bananas\":[\"GET\"]}",
      "f:3:19: config: /services/s/authorize/rules/0/bananas: unknown key, expected one of name, action, peers, "
      "trust_domains, namespaces, ports, unless" },
};

/* Policies that are accepted. */
static const struct row warned_rules[] = {
    { "\"tls\":{\"mode\":\"permissive\"},\"authorize\":{\"rules\":[{\"action\":\"deny\",\"methods\":[\"delete\",\"GET*"
      "\",\"*\"],\"paths\":[\"*\",\"/\",\"/a/\",\"/a/.*\",\"*.b\",\"*/a/\",\"*a/b\",\"/{*}/x/{**}\"]}]}",
      "f:2:79: config: /servers/v/authorize/rules/0/methods/0: \"delete\" is in lower case, and methods are compared "
      "with their case" },
};

static const struct group {
    const char *head, *tail;
    const struct row *rows;
    size_t count;
    bool error;
} groups[] = {
    { SERVER, "}}}", policies, COUNT(policies), true },
    { RULES, "]}}}}", rules, COUNT(rules), true },
    { CONNECTION_RULES, "]}}}}", connection_rules, COUNT(connection_rules), true },
    { SERVER, "}}}", warned_rules, COUNT(warned_rules), false },
};

START_TEST(exact_words)
{
    const struct group *group = &groups[_i];
    for (size_t i = 0; i < group->count; i++)
        check_row(group->head, &group->rows[i], group->tail, group->error);
}
END_TEST

static struct config *load(void)
{
    mesh_config *document;
    struct config *config;
    mesh_error *error;
    mesh_status status = mesh_config_load(MESH_SOURCE_DIR "/tests/unit/config/samples/tls.json", &document, &error);
    ck_assert_msg(status == MESH_OK, "%s", mesh_error_text(error));
    status = mesh__config_build(document, &mesh__mem_system, &config, &error, NULL);
    ck_assert_msg(status == MESH_OK, "%s", mesh_error_text(error));
    mesh_config_free(document); /* the config does not need it */
    return config;
}

struct alternative {
    enum text_match_kind kind;
    const char *text;
};

#define CHECK_TEXTS(texts, ...)                                                                                        \
    check_texts(&(texts), (const struct alternative[]){ __VA_ARGS__ },                                                 \
                sizeof((const struct alternative[]){ __VA_ARGS__ }) / sizeof(struct alternative))

static void check_texts(const struct text_matches *texts, const struct alternative *wanted, size_t count)
{
    ck_assert_uint_eq(texts->count, count);
    for (size_t i = 0; i < count; i++) {
        ck_assert_msg(texts->list[i].kind == wanted[i].kind, "\"%s\": kind %d", wanted[i].text, texts->list[i].kind);
        ck_assert_msg(mesh__view_equal(texts->list[i].text, mesh__view_of(wanted[i].text)), "\"%s\": \"%.*s\"",
                      wanted[i].text, (int)texts->list[i].text.size, texts->list[i].text.data);
    }
}

static void check_header(const struct header_condition *header, const char *name)
{
    ck_assert_msg(mesh__view_equal(header->name, mesh__view_of(name)), "%.*s", (int)header->name.size,
                  header->name.data);
}

START_TEST(every_condition)
{
    struct config *config = load();
    const struct access_policy *policy = mesh__config_server(config, "strict")->access;
    ck_assert(!policy->dry_run);
    ck_assert_uint_eq(policy->rule_count, 2);
    const struct access_rule *rule = policy->rules;
    const struct access_match *when = &rule->when, *unless = &rule->unless;
    ck_assert_str_eq(rule->name, "order charges");
    ck_assert_int_eq(rule->action, ACCESS_ALLOW);
    CHECK_TEXTS(when->peers, { TEXT_EXACT, "spiffe://shop/order" }, { TEXT_PREFIX, "spiffe://shop/ns/prod/" },
                { TEXT_SUFFIX, "/sa/order" }, { TEXT_ANY, "" });
    CHECK_TEXTS(when->trust_domains, { TEXT_EXACT, "shop" }, { TEXT_EXACT, "pay.example" });
    CHECK_TEXTS(when->namespaces, { TEXT_EXACT, "prod" });
    CHECK_TEXTS(when->methods, { TEXT_EXACT, "GET" }, { TEXT_PREFIX, "P" }, { TEXT_SUFFIX, "T" }, { TEXT_ANY, "" });
    CHECK_TEXTS(when->paths, { TEXT_EXACT, "/charge" }, { TEXT_PREFIX, "/v1" }, { TEXT_SUFFIX, ".json" },
                { TEXT_ANY, "" }, { TEXT_TEMPLATE, "/shops/{*}/orders/{**}" });
    ck_assert_uint_eq(when->header_count, 2);
    check_header(&when->headers[0], "x-team");
    CHECK_TEXTS(when->headers[0].values, { TEXT_EXACT, "shop" });
    check_header(&when->headers[1], "x-zone");
    CHECK_TEXTS(when->headers[1].values, { TEXT_PREFIX, "a" }, { TEXT_ANY, "" });
    ck_assert_uint_eq(when->port_count, 2);
    ck_assert_uint_eq(when->ports[0], 8443);
    ck_assert_uint_eq(when->ports[1], 65535);
    CHECK_TEXTS(unless->peers, { TEXT_PREFIX, "spiffe://shop/ns/prod/sa/intern" });
    CHECK_TEXTS(unless->methods, { TEXT_EXACT, "DELETE" });
    check_header(&unless->headers[0], "x-test");
    ck_assert_uint_eq(unless->header_count, 1);
    ck_assert_uint_eq(unless->trust_domains.count + unless->namespaces.count + unless->paths.count, 0);
    ck_assert_uint_eq(unless->port_count, 0);
    rule = &policy->rules[1];
    ck_assert_str_eq(rule->name, "rule 2");
    ck_assert_int_eq(rule->action, ACCESS_DENY);
    CHECK_TEXTS(rule->when.namespaces, { TEXT_EXACT, "dev" });
    ck_assert_ptr_null(mesh__config_server(config, "plain")->access);
    mesh__config_unref(config);
}
END_TEST

/* A service's own keys go over those of the defaults, one by one. */
START_TEST(policies_of_services)
{
    static const struct {
        const char *service, *rule;
        bool dry_run;
        size_t ports;
    } rows[] = { { "inherits", "no billing", true, 0 },
                 { "own", "no billing", false, 0 },
                 { "by-name", "rule 1", true, 1 },
                 { "by-ip", "rule 1", true, 0 },
                 { "plain", "rule 1", true, 1 } };
    struct config *config = load();
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct access_policy *policy = mesh__config_service(config, rows[i].service)->access;
        ck_assert_msg(policy->rule_count == 1, "%s", rows[i].service);
        ck_assert_str_eq(policy->rules[0].name, rows[i].rule);
        ck_assert_msg(policy->dry_run == rows[i].dry_run, "%s", rows[i].service);
        ck_assert_msg(policy->rules[0].when.port_count == rows[i].ports, "%s", rows[i].service);
    }
    mesh__config_unref(config);
}
END_TEST

/* What the defaults say about rules is no policy without any. */
START_TEST(no_rules)
{
    static const char text[] = "{\"defaults\":{\"authorize\":{\"dry_run\":true}},"
                               "\"services\":{\"s\":{\"endpoints\":[\"127.0.0.1:1\"]}}}";
    mesh_config *document;
    struct config *config;
    ck_assert_int_eq(mesh_config_parse(text, sizeof(text) - 1, NULL, &document, NULL), MESH_OK);
    ck_assert_int_eq(mesh__config_build(document, &mesh__mem_system, &config, NULL, NULL), MESH_OK);
    ck_assert_ptr_null(mesh__config_service(config, "s")->access);
    mesh__config_unref(config);
    mesh_config_free(document);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config/access");
    TCase *tcase = tcase_create("access");
    tcase_add_loop_test(tcase, exact_words, 0, COUNT(groups));
    tcase_add_test(tcase, every_condition);
    tcase_add_test(tcase, policies_of_services);
    tcase_add_test(tcase, no_rules);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
