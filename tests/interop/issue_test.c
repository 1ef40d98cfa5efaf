/* SPDX-License-Identifier: Apache-2.0 */
/* issue_test.c - what the issuer writes is what OpenSSL reads: keys, hashes, extensions, chains and revocation. */
#include "shell/issue.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DAY 86400
#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static char folder[] = "/tmp/mesh-issue-XXXXXX";
static char printed[65536];

static void save(const char *name, const char *text)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

/* Runs `openssl ARGUMENTS` in the folder; what it printed is in `printed`. Gives whether it was content. */
static bool openssl(const char *arguments)
{
    char command[512];
    (void)snprintf(command, sizeof(command), "cd %s && openssl %s 2>&1", folder, arguments);
    FILE *pipe = popen(command, "r");
    ck_assert_ptr_nonnull(pipe);
    size_t size = fread(printed, 1, sizeof(printed) - 1, pipe);
    printed[size] = '\0';
    return pclose(pipe) == 0;
}

static void issue(const struct issue_request *request, const struct issued *issuer, struct issued *out)
{
    const char *problem;
    ck_assert_msg(issue_certificate(request, issuer, out, &problem), "%s", problem);
}

static void setup(void)
{
    memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void teardown(void)
{
    char command[64];
    (void)snprintf(command, sizeof(command), "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static const char *const key_words[] = { "prime256v1", "secp384r1", "(2048 bit)", "(1024 bit)" };
static const char *const hash_words[2][3] = { { "ecdsa-with-SHA256", "ecdsa-with-SHA384", "ecdsa-with-SHA1" },
                                              { "sha256WithRSAEncryption", "sha384WithRSAEncryption",
                                                "sha1WithRSAEncryption" } };

/* Authority, intermediate and leaf, with each kind of key and hash. OpenSSL refuses SHA-1 and short keys unless told.
 */
START_TEST(a_chain_of_three)
{
    enum issue_key kind = (enum issue_key)(_i % 4);
    enum issue_hash hash = (enum issue_hash)(_i / 4);
    const char *id = "spiffe://shop/ns/prod/sa/order";
    struct issued authority, middle, leaf;
    struct issue_request request = issue_authority("authority", DAY);
    request.key = kind;
    request.hash = hash;
    issue(&request, NULL, &authority);
    request.common_name = "middle";
    request.path_length = 0;
    issue(&request, &authority, &middle);
    request = issue_svid(&id, DAY);
    request.key = kind;
    request.hash = hash;
    issue(&request, &middle, &leaf);
    save("authority.pem", authority.certificate);
    save("middle.pem", middle.certificate);
    save("leaf.pem", leaf.certificate);
    save("leaf.key", leaf.key);
    ck_assert_msg(openssl("verify -x509_strict -auth_level 0 -CAfile authority.pem -untrusted middle.pem leaf.pem"),
                  "%s", printed);
    ck_assert(!openssl("verify -x509_strict -auth_level 0 -CAfile authority.pem leaf.pem"));
    ck_assert(openssl("x509 -in leaf.pem -noout -text"));
    ck_assert_msg(strstr(printed, key_words[kind]) && strstr(printed, hash_words[kind >= ISSUE_RSA_2048][hash]), "%s",
                  printed);
    ck_assert(openssl("pkey -in leaf.key -pubout -out from-key.pem") &&
              openssl("x509 -in leaf.pem -noout -pubkey -out from-certificate.pem"));
    char command[128];
    (void)snprintf(command, sizeof(command), "cmp -s %s/from-key.pem %s/from-certificate.pem", folder, folder);
    ck_assert_int_eq(system(command), 0);
    issued_free(&leaf);
    issued_free(&middle);
    issued_free(&authority);
}
END_TEST

/* What the text of a certificate has, for each request. */
static void check_text(const struct issue_request *request, const char *const *words, size_t count)
{
    struct issued issued;
    issue(request, NULL, &issued);
    save("one.pem", issued.certificate);
    issued_free(&issued);
    ck_assert_msg(openssl("x509 -in one.pem -noout -text -certopt no_pubkey,no_sigdump"), "%s", printed);
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(words[i][0] == '!' ? !strstr(printed, words[i] + 1) : strstr(printed, words[i]) != NULL,
                      "\"%s\" in %s", words[i], printed);
}

START_TEST(extensions)
{
    static const char *const uris[] = { "spiffe://shop/a", "spiffe://shop/b" }, *const dns[] = { "a.test", "*.b.test" },
                             *const ips[] = { "127.0.0.1", "::1" };
    struct issue_request request = issue_svid(uris, DAY);
    static const char *const svid[] = { "CA:FALSE",
                                        "Key Usage: critical\n                Digital Signature\n",
                                        "TLS Web Server Authentication, TLS Web Client Authentication\n",
                                        "Alternative Name: \n",
                                        "URI:spiffe://shop/a\n",
                                        "!CRL Sign" };

    check_text(&request, svid, LENGTH(svid));
    request = (struct issue_request){ .uris = uris,
                                      .uri_count = 2,
                                      .dns = dns,
                                      .dns_count = 2,
                                      .ips = ips,
                                      .ip_count = 2,
                                      .not_after = 4102444800,
                                      .usage = ISSUE_KEY_AGREEMENT | ISSUE_CRL_SIGN,
                                      .extended = ISSUE_FOR_EMAIL };
    static const char *const names[] = { ("URI:spiffe://shop/a, URI:spiffe://shop/b, DNS:a.test, DNS:*.b.test, "
                                          "IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1\n"),
                                         "Alternative Name: critical",
                                         "Key Agreement, CRL Sign\n",
                                         "E-mail Protection",
                                         "Jan  1 00:00:00 1970",
                                         "Jan  1 00:00:00 2100",
                                         "!Web Server" };
    check_text(&request, names, LENGTH(names));
    request = issue_authority("nothing, \"quoted\"", DAY);
    request.path_length = 3;
    request.name_constraint = "shop.test";
    static const char *const authority[] = { "CA:TRUE, pathlen:3\n", "Certificate Sign, CRL Sign\n",
                                             "Name Constraints: critical", "DNS:shop.test\n", "!Extended" };
    check_text(&request, authority, LENGTH(authority));
    request = (struct issue_request){ .common_name = "bare", .not_before = -1, .not_after = 2524608000 };
    static const char *const bare[] = { "CA:FALSE", "!Key Usage", "!Alternative", "Dec 31 23:59:59 1969",
                                        "Jan  1 00:00:00 2050" };
    check_text(&request, bare, LENGTH(bare));
}
END_TEST

START_TEST(revocation)
{
    const char *id = "spiffe://shop/order", *problem;
    struct issued authority, other, leaves[3];
    char *list;
    int64_t now = (int64_t)time(NULL);
    struct issue_request request = issue_authority("authority", DAY);
    issue(&request, NULL, &authority);
    issue(&request, NULL, &other);
    request = issue_svid(&id, DAY);
    save("authority.pem", authority.certificate);
    save("other.pem", other.certificate);
    for (int i = 0; i < 3; i++) {
        char name[] = "0.pem";
        name[0] = (char)('0' + i);
        issue(&request, &authority, &leaves[i]);
        save(name, leaves[i].certificate);
    }
    const char *const revoked[] = { leaves[0].certificate, leaves[2].certificate };
    ck_assert_msg(issue_crl(&authority, revoked, (size_t)_i, now - 60, now + DAY, &list, &problem), "%s", problem);
    save("list.pem", list);
    free(list);
    ck_assert_msg(openssl("crl -in list.pem -noout -CAfile authority.pem"), "%s", printed);
    ck_assert_msg(strstr(printed, "verify OK"), "%s", printed);
    ck_assert(!openssl("crl -in list.pem -noout -CAfile other.pem") || !strstr(printed, "verify OK"));
    static const char check[] = "verify -x509_strict -crl_check -CRLfile list.pem -CAfile authority.pem ";
    char command[128];
    for (int i = 0; i < 3; i++) {
        bool is_revoked = (i == 0 && _i > 0) || (i == 2 && _i > 1);
        (void)snprintf(command, sizeof(command), "%s%d.pem", check, i);
        ck_assert_msg(openssl(command) == !is_revoked, "%d of %d: %s", i, _i, printed);
        ck_assert_msg((strstr(printed, "certificate revoked") != NULL) == is_revoked, "%d of %d: %s", i, _i, printed);
        issued_free(&leaves[i]);
    }
    issued_free(&other);
    issued_free(&authority);
}
END_TEST

START_TEST(what_cannot_be_written)
{
    static const char *const ips[] = { "localhost" };
    struct issued issued, authority;
    const char *problem;
    char *list = NULL;
    int64_t until;
    struct issue_request good = issue_authority("authority", DAY), request = good;
    issue(&good, NULL, &authority);
    request.ips = ips;
    request.ip_count = 1;
    ck_assert(!issue_certificate(&request, NULL, &issued, &problem) && problem && !issued.certificate && !issued.key);
    request = good;
    request.not_after = INT64_MAX;
    ck_assert(!issue_certificate(&request, NULL, &issued, &problem) && problem && !issued.certificate && !issued.key);
    struct issued broken = { authority.key, authority.key };
    ck_assert(!issue_certificate(&good, &broken, &issued, &problem));
    ck_assert_str_eq(problem, "the issuer's certificate cannot be parsed");
    broken = (struct issued){ authority.certificate, authority.certificate };
    ck_assert(!issue_certificate(&good, &broken, &issued, &problem));
    ck_assert_str_eq(problem, "the issuer's key cannot be parsed");
    const char *const revoked[] = { authority.key };
    ck_assert(!issue_crl(&authority, revoked, 1, 0, 1, &list, &problem) && problem && !list);
    ck_assert(!issue_crl(&authority, NULL, 0, 0, INT64_MAX, &list, &problem) && problem && !list);
    ck_assert(issue_check_authority(&authority, "spiffe://shop", &until, &problem));
    ck_assert_int_eq(until, good.not_after);
    issued_free(&authority);
}
END_TEST

/* An authority may sign for a trust domain unless it speaks for others only. */
START_TEST(who_may_sign)
{
    char domain[300] = "spiffe://";
    memset(domain + strlen(domain), 'a', 255);
    const struct {
        const char *uri, *asked;
        bool may;
    } rows[] = { { "spiffe://shop", "spiffe://shop", true },
                 { "spiffe://shop", "spiffe://shops", false },
                 { "spiffe://shops", "spiffe://shop", false },
                 { "https://shop", "spiffe://shop", true },
                 { NULL, "spiffe://shop", true },
                 { domain, domain, true },
                 { domain, "spiffe://a", false },
                 { "spiffe://shop/x", "spiffe://shop", false } };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct issued authority;
        const char *problem;
        int64_t until;
        struct issue_request request = issue_authority("authority", DAY);
        request.uris = &rows[i].uri;
        request.uri_count = rows[i].uri != NULL;
        issue(&request, NULL, &authority);
        ck_assert_msg(issue_check_authority(&authority, rows[i].asked, &until, &problem) == rows[i].may, "row %zu", i);
        issued_free(&authority);
        request.usage = ISSUE_DIGITAL_SIGNATURE;
        issue(&request, NULL, &authority);
        ck_assert_msg(!issue_check_authority(&authority, rows[i].asked, &until, &problem), "row %zu", i);
        issued_free(&authority);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("issue");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_set_timeout(all, 60);
    tcase_add_loop_test(all, a_chain_of_three, 0, 12);
    tcase_add_test(all, extensions);
    tcase_add_loop_test(all, revocation, 0, 3);
    tcase_add_test(all, what_cannot_be_written);
    tcase_add_test(all, who_may_sign);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
