/* SPDX-License-Identifier: Apache-2.0 */
/* authorize_test.c - alternatives, conditions, the order of decisions, and random policies against a slow reference. */
#include "policy/authorize.h"

#include "base/rng.h"

#include <check.h>
#include <stdlib.h>

#define MODEL_CHECK(condition) ((condition) ? (void)0 : ck_abort_msg(#condition)) /* says nothing while all is well */
#include "fuzz/authorize_model.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- alternatives ---- */

START_TEST(texts)
{
    static const struct {
        const char *written;
        bool path;
        const char *text;
        bool matches;
    } rows[] = {
        { "/charge", true, "/charge", true },
        { "/charge", true, "/charge/", false },
        { "/charge", true, "/Charge", false },
        { "/charge", true, "/charg", false },
        { "/charge*", true, "/charge", true },
        { "/charge*", true, "/charge/7", true },
        { "/charge*", true, "/charges", true },
        { "/charge*", true, "/charg", false },
        { "/charge*", true, "x/charge", false },
        { "*.json", true, "/a.json", true },
        { "*.json", true, ".json", true },
        { "*.json", true, "/a.json/b", false },
        { "*.json", true, "json", false },
        { "*", true, "/", true },
        { "*", true, "", false },
        { "*", false, "x", true },
        { "*", false, "", false },
        { "GET", false, "GET", true },
        { "GET", false, "get", false },
        { "GET", false, "", false },
        { "{a}*", false, "{a}b", true }, /* beyond paths braces are letters */
        { "/shops/{*}/orders", true, "/shops/7/orders", true },
        { "/shops/{*}/orders", true, "/shops//orders", false },
        { "/shops/{*}/orders", true, "/shops/orders", false },
        { "/shops/{*}/orders", true, "/shops/7/8/orders", false },
        { "/shops/{*}/orders", true, "/shops/7/orders/", false },
        { "/shops/{*}/orders", true, "/shops/7/order", false },
        { "/shops/{*}/orders", true, "/shops/7/orderss", false },
        { "/foo/{*}", true, "/foo/bar", true },
        { "/foo/{*}", true, "/foo/", false },
        { "/foo/{*}", true, "/foo", false },
        { "/foo/{*}", true, "/foo/bar/baz", false },
        { "/foo/{*}", true, "/foo/bar/", false },
        { "/foo/{*}", true, "/foo/a b\xc3\xa9", true },
        { "/{*}", true, "/", false },
        { "/{*}", true, "", false },
        { "/{*}/{*}", true, "/a/b", true },
        { "/{*}/{*}", true, "/a/b/c", false },
        { "/{*}/{*}/", true, "/a/b/", true },
        { "/{**}", true, "/", true },
        { "/{**}", true, "/a/b/c", true },
        { "/{**}", true, "", false },
        { "/{**}", true, "a", false },
        { "/foo/{**}", true, "/foo/", true },
        { "/foo/{**}", true, "/foo/bar/baz", true },
        { "/foo/{**}", true, "/foo", false },
        { "/foo/{**}", true, "/foobar", false },
        { "/foo/{**}/bar", true, "/foo/x/bar", true },
        { "/foo/{**}/bar", true, "/foo/x/y/bar", true },
        { "/foo/{**}/bar", true, "/foo//bar", true },
        { "/foo/{**}/bar", true, "/foo/bar", false },
        { "/foo/{**}/bar", true, "/foo/bar/bar", true },
        { "/foo/{**}/bar", true, "/foo/x/bar/y", false },
        { "/foo/{**}/bar", true, "/foo/xbar", false },
        { "/foo/{**}/", true, "/foo/bar/", true },
        { "/foo/{**}/", true, "/foo//", true },
        { "/foo/{**}/", true, "/foo/bar", false },
        { "/{*}/bar/{**}", true, "/foo/bar/", true },
        { "/{*}/bar/{**}", true, "/foo/bar/buzz/x", true },
        { "/{*}/bar/{**}", true, "/bar/buzz", false },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct text_match match;
        ck_assert_ptr_null(mesh__text_parse(mesh__view_of(rows[i].written), rows[i].path, &match));
        ck_assert_msg(mesh__text_matches(&match, mesh__view_of(rows[i].text)) == rows[i].matches, "%s, %s",
                      rows[i].written, rows[i].text);
        ck_assert_msg(!mesh__text_matches(&match, mesh__view(NULL, 0)), "%s: nothing matches nothing", rows[i].written);
    }
}
END_TEST

START_TEST(no_texts)
{
    static const struct {
        const char *written;
        bool path;
        const char *words;
    } rows[] = {
        { "", false, "not empty" },
        { "**", false, "only star" },
        { "a*b", false, "only star" },
        { "*a*", false, "only star" },
        { "{*}", false, "only star" },
        { "/a/*/b", true, "only star" },
        { "{*}", true, "begins with a slash" },
        { "a/{*}", true, "begins with a slash" },
        { "/{}", true, "whole segments" },
        { "/{a}", true, "whole segments" },
        { "/{", true, "whole segments" },
        { "/}", true, "whole segments" },
        { "/{***}", true, "whole segments" },
        { "/a{*}", true, "whole segments" },
        { "/{*}a", true, "whole segments" },
        { "/{**}a", true, "whole segments" },
        { "/{*}{*}", true, "whole segments" },
        { "/{*}/*", true, "whole segments" },
        { "/{*}/a*", true, "whole segments" },
        { "/{**}/{*}", true, "last of the operators" },
        { "/{**}/{**}", true, "last of the operators" },
        { "/{**}/a/{*}", true, "last of the operators" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct text_match match;
        const char *problem = mesh__text_parse(mesh__view_of(rows[i].written), rows[i].path, &match);
        ck_assert_msg(problem && strstr(problem, rows[i].words), "%s: %s", rows[i].written, problem);
    }
}
END_TEST

/* ---- rules ---- */

#define EXACT(array)                                                                                                   \
    {                                                                                                                  \
        array, COUNT(array)                                                                                            \
    }
#define RULE(word, verb, ...)                                                                                          \
    {                                                                                                                  \
        .name = word, .action = ACCESS_##verb, __VA_ARGS__                                                             \
    }

static const struct text_match order[] = { { TEXT_EXACT, { "spiffe://shop/order", 19 } } };
static const struct text_match shop[] = { { TEXT_PREFIX, { "spiffe://td.example/", 20 } } };
static const struct text_match shop_domain[] = { { TEXT_EXACT, { "td.example", 10 } } };
static const struct text_match get[] = { { TEXT_EXACT, { "GET", 3 } } };
static const struct text_match get_or_post[] = { { TEXT_EXACT, { "GET", 3 } }, { TEXT_EXACT, { "POST", 4 } } };
static const struct text_match charge[] = { { TEXT_PREFIX, { "/charge", 7 } } };
static const struct text_match admin[] = { { TEXT_TEMPLATE, { "/admin/{**}", 11 } } };

static struct access_request request(const char *peer, const char *method, const char *path)
{
    return (struct access_request){
        .peer_id = mesh__view_of(peer), .method = mesh__view_of(method), .path = mesh__view_of(path), .port = 8080
    };
}

static void decides(const struct access_rule *rules, size_t count, struct access_request asked, bool allowed,
                    const char *rule)
{
    for (int dry = 0; dry < 2; dry++) {
        struct access_policy policy = { rules, count, dry == 1 };
        struct access_decision got = mesh__authorize(&policy, &asked);
        ck_assert_int_eq(got.would_deny, !allowed);
        ck_assert_int_eq(got.allowed, allowed || dry);
        if (rule)
            ck_assert_str_eq(got.rule, rule);
        else
            ck_assert_ptr_null(got.rule);
    }
}

START_TEST(decisions)
{
    struct access_request asked = request("spiffe://shop/order", "GET", "/charge");
    static const struct access_rule allow[] = { RULE("order", ALLOW, .when.peers = EXACT(order)) };
    static const struct access_rule deny[] = { RULE("no-get", DENY, .when.methods = EXACT(get)) };
    static const struct access_rule both[] = { RULE("order", ALLOW, .when.peers = EXACT(order)),
                                               RULE("no-get", DENY, .when.methods = EXACT(get)),
                                               RULE("order again", ALLOW, .when.peers = EXACT(order)),
                                               RULE("never again", DENY, .when.methods = EXACT(get)) };
    decides(NULL, 0, asked, true, NULL);
    decides(allow, 1, asked, true, "order");
    decides(deny, 1, asked, false, "no-get");
    decides(both, COUNT(both), asked, false, "no-get");
    asked.method = mesh__view_of("POST");
    decides(deny, 1, asked, true, NULL);
    decides(both, COUNT(both), asked, true, "order");
    asked.peer_id = mesh__view_of("spiffe://shop/intruder");
    decides(allow, 1, asked, false, NULL);
    decides(both, COUNT(both), asked, false, NULL);
    decides(deny, 1, asked, true, NULL);
}
END_TEST

/* A rule without conditions applies to everything, also to somebody unknown. */
START_TEST(without_conditions)
{
    static const struct access_rule allow[] = { { .name = "all", .action = ACCESS_ALLOW } };
    static const struct access_rule deny[] = { { .name = "none", .action = ACCESS_DENY } };
    static const struct access_rule but[] = { RULE("but order", DENY, .unless.peers = EXACT(order)) };
    struct access_request nothing = { .port = 0 };
    decides(allow, 1, nothing, true, "all");
    decides(deny, 1, nothing, false, "none");
    decides(but, 1, nothing, false, "but order");
    decides(but, 1, request("spiffe://shop/order", "", ""), true, NULL);
}
END_TEST

/* Conditions hold together, alternatives one by one. */
START_TEST(together)
{
    static const uint16_t ports[] = { 8080, 9090 };
    static const struct access_rule rules[] = { RULE("charge", ALLOW,
                                                     .when = { .peers = EXACT(order),
                                                               .methods = EXACT(get_or_post),
                                                               .paths = EXACT(charge),
                                                               .ports = ports,
                                                               .port_count = COUNT(ports) }) };
    decides(rules, 1, request("spiffe://shop/order", "GET", "/charge"), true, "charge");
    decides(rules, 1, request("spiffe://shop/order", "POST", "/charge/7"), true, "charge");
    decides(rules, 1, request("spiffe://shop/orders", "GET", "/charge"), false, NULL);
    decides(rules, 1, request("spiffe://shop/order", "PUT", "/charge"), false, NULL);
    decides(rules, 1, request("spiffe://shop/order", "GET", "/refund"), false, NULL);
    decides(rules, 1, request("", "GET", "/charge"), false, NULL);
    struct access_request asked = request("spiffe://shop/order", "GET", "/charge");
    asked.port = 9090;
    decides(rules, 1, asked, true, "charge");
    asked.port = 80;
    decides(rules, 1, asked, false, NULL);
    asked.port = 0;
    decides(rules, 1, asked, false, NULL);
}
END_TEST

/* Each condition of `unless` keeps the rule back by itself, as each of Istio's not-lists does. */
START_TEST(exceptions)
{
    static const struct access_rule rules[] = { RULE("guard", DENY, .when.paths = EXACT(admin),
                                                     .unless = { .peers = EXACT(order), .methods = EXACT(get) }) };
    decides(rules, 1, request("spiffe://shop/stock", "POST", "/admin/x"), false, "guard");
    decides(rules, 1, request("spiffe://shop/order", "POST", "/admin/x"), true, NULL);
    decides(rules, 1, request("spiffe://shop/stock", "GET", "/admin/x"), true, NULL);
    decides(rules, 1, request("spiffe://shop/order", "GET", "/admin/x"), true, NULL);
    decides(rules, 1, request("spiffe://shop/stock", "POST", "/shop"), true, NULL);
    decides(rules, 1, request("", "", "/admin/x"), false, "guard");
}
END_TEST

/* Row 94: neither the prefix of an id with its slash, nor the trust domain's name, is met by one that begins alike. */
START_TEST(prefix_trick)
{
    static const struct access_rule prefix[] = { RULE("shop", ALLOW, .when.peers = EXACT(shop)) };
    static const struct access_rule domain[] = { RULE("shop", ALLOW, .when.trust_domains = EXACT(shop_domain)) };
    decides(prefix, 1, request("spiffe://td.example/a", "GET", "/"), true, "shop");
    decides(prefix, 1, request("spiffe://td.example.evil/a", "GET", "/"), false, NULL);
    struct access_request asked = request("spiffe://td.example.evil/a", "GET", "/");
    asked.trust_domain = mesh__view_of("td.example.evil");
    decides(domain, 1, asked, false, NULL);
    asked.trust_domain = mesh__view_of("td.example");
    decides(domain, 1, asked, true, "shop");
}
END_TEST

struct fields {
    const char *value;
    int asked;
};

static bool one_field(void *user, struct view name, struct view *value)
{
    struct fields *fields = user;
    fields->asked++;
    ck_assert(mesh__view_equal(name, mesh__view_of("x-team")));
    *value = mesh__view_of(fields->value);
    return fields->value != NULL;
}

START_TEST(headers)
{
    static const struct text_match shop_text[] = { { TEXT_EXACT, { "shop", 4 } } }, any[] = { { TEXT_ANY, { "", 0 } } };
    static const struct header_condition value = { { "x-team", 6 }, EXACT(shop_text) };
    static const struct header_condition there = { { "x-team", 6 }, { NULL, 0 } };
    static const struct header_condition filled = { { "x-team", 6 }, EXACT(any) };
    static const struct {
        const struct header_condition *condition;
        const char *value;
        bool holds;
    } rows[] = { { &value, "shop", true }, { &value, "Shop", false }, { &value, "shop,shop", false },
                 { &value, "", false },    { &value, NULL, false },   { &there, "shop", true },
                 { &there, "", true },     { &there, NULL, false },   { &filled, "shop", true },
                 { &filled, "", false },   { &filled, NULL, false } };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct access_rule when[] = { RULE("team", ALLOW, .when.headers = rows[i].condition,
                                                 .when.header_count = 1) };
        const struct access_rule unless[] = { RULE("team", ALLOW, .unless.headers = rows[i].condition,
                                                   .unless.header_count = 1) };
        struct fields fields = { rows[i].value, 0 };
        struct access_request asked = request("", "GET", "/");
        decides(when, 1, asked, false, NULL);
        decides(unless, 1, asked, true, "team");
        asked.header = one_field;
        asked.user = &fields;
        decides(when, 1, asked, rows[i].holds, rows[i].holds ? "team" : NULL);
        decides(unless, 1, asked, !rows[i].holds, rows[i].holds ? NULL : "team");
        ck_assert_msg(fields.asked == 4, "row %zu: once a decision", i);
    }
}
END_TEST

/* Random policies: each of the four ends is met often, and always as the reference has it. */
START_TEST(reference)
{
    size_t met[MODEL_VERDICTS] = { 0 };
    struct rng rng;
    mesh__rng_init(&rng, 20);
    for (int round = 0; round < 100000; round++) {
        uint8_t data[256];
        for (size_t i = 0; i < sizeof(data); i += 8) {
            uint64_t bits = mesh__rng_next(&rng);
            memcpy(data + i, &bits, 8);
        }
        met[model_run(data, sizeof(data))]++;
    }
    for (int verdict = 0; verdict < MODEL_VERDICTS; verdict++)
        ck_assert_msg(met[verdict] > 5000, "verdict %d was met %zu times", verdict, met[verdict]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("authorize");
    TCase *tcase = tcase_create("authorize");
    tcase_add_test(tcase, texts);
    tcase_add_test(tcase, no_texts);
    tcase_add_test(tcase, decisions);
    tcase_add_test(tcase, without_conditions);
    tcase_add_test(tcase, together);
    tcase_add_test(tcase, exceptions);
    tcase_add_test(tcase, prefix_trick);
    tcase_add_test(tcase, headers);
    tcase_add_test(tcase, reference);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
