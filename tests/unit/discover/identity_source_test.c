/* SPDX-License-Identifier: Apache-2.0 */
/* identity_source_test.c - certificates, keys and bundles that are replaced, linked, broken, removed, and run out; both
 * clocks are the test's. */
#include "identity_bench.h"

/* ---- replaced ---- */

START_TEST(replaced_by_rename)
{
    start();
    turns();
    expect("", NULL); /* what is in force is nothing new */
    certificates_write(bench.folder, "svid", &bench.next);
    turns();
    expect("", NULL); /* what belongs together is given a moment */
    later(SETTLE);
    expect("u", NULL);
    ck_assert_int_lt(bench.not_after, bench.unix_now + 20 * HOUR_NS);
    ck_assert_int_gt(bench.not_after, bench.unix_now + 19 * HOUR_NS);
    certificates_write(bench.folder, "svid", &bench.next); /* the same bytes again */
    settled();
    later(LOOK_EVERY);
    expect("u", NULL);
}
END_TEST

/* In one second, some time after the other: many times. */
START_TEST(replaced_many_times)
{
    start();
    turns();
    for (int i = 0; i < 30; i++) {
        certificates_write(bench.folder, "svid", i % 3 ? &bench.leaf : &bench.next);
        turns();
        later(SETTLE / 3);
    }
    later(SETTLE);
    ck_assert_uint_ge(bench.updates, 5); /* it does not wait for the folder to become quiet */
    ck_assert_int_gt(bench.not_after, bench.unix_now + 23 * HOUR_NS);
    ck_assert_uint_eq(bench.logs, 0);
}
END_TEST

/* As a volume of Kubernetes does it: the files are links through "..data", which is replaced. */
START_TEST(links_that_are_swapped)
{
    char path[200], target[200];
    for (int i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof(path), "%s/v%d", bench.folder, i);
        ck_assert_int_eq(mkdir(path, 0700), 0);
        certificates_write(path, "svid", i ? &bench.next : &bench.leaf);
    }
    (void)snprintf(path, sizeof(path), "%s/..data", bench.folder);
    ck_assert_int_eq(symlink("v0", path), 0);
    unlink(bench.certificate);
    unlink(bench.key);
    ck_assert_int_eq(symlink("..data/svid.pem", bench.certificate), 0);
    ck_assert_int_eq(symlink("..data/svid.key", bench.key), 0);
    start();
    turns();
    (void)snprintf(target, sizeof(target), "%s/..data_tmp", bench.folder);
    ck_assert_int_eq(symlink("v1", target), 0);
    ck_assert_int_eq(rename(target, path), 0);
    settled();
    expect("u", NULL);
}
END_TEST

/* The folder itself is a link: no event tells of it, the slow look finds it. */
START_TEST(folder_that_is_swapped)
{
    char path[200], next[200], certificate[220], key[220];
    for (int i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof(path), "%s/v%d", bench.folder, i);
        ck_assert_int_eq(mkdir(path, 0700), 0);
        certificates_write(path, "svid", i ? &bench.next : &bench.leaf);
    }
    (void)snprintf(path, sizeof(path), "%s/current", bench.folder);
    (void)snprintf(certificate, sizeof(certificate), "%s/svid.pem", path);
    (void)snprintf(key, sizeof(key), "%s/svid.key", path);
    bench.config.certificate = certificate;
    bench.config.key = key;
    bench.config.trust = &(struct trust_config){ "shop", bench.bundle };
    ck_assert_int_eq(symlink("v0", path), 0);
    start();
    turns();
    (void)snprintf(next, sizeof(next), "%s/next", bench.folder);
    ck_assert_int_eq(symlink("v1", next), 0);
    ck_assert_int_eq(rename(next, path), 0);
    turns();
    later(LOOK_EVERY);
    expect("u", NULL);
    mesh__identity_unwatch(bench.source);
    bench.source = NULL;
}
END_TEST

START_TEST(key_before_certificate)
{
    start();
    turns();
    put("svid.key", bench.next.key);
    turns();
    later(SETTLE); /* read once: it is not told yet */
    put("svid.pem", bench.next.certificate);
    settled();
    expect("u", NULL);
}
END_TEST

START_TEST(bundle_changes)
{
    char *both = NULL;
    start();
    turns();
    ck_assert_int_gt(asprintf(&both, "%s%s", bench.authority.certificate, bench.other_authority.certificate), 0);
    put("bundle.pem", both);
    settled();
    expect("u", NULL);
    put("bundle.pem", bench.other_authority.certificate);
    settled();
    expect("uu", NULL);
    free(both);
}
END_TEST

START_TEST(revocations_change)
{
    char *crls[2];
    const char *problem, *certificate = bench.leaf.certificate;
    int64_t now = bench.unix_now / NANOS_S;
    for (size_t i = 0; i < 2; i++)
        ck_assert(issue_crl(&bench.authority, &certificate, i, now - 10, now + 1000, &crls[i], &problem));
    put("revoked.pem", crls[0]);
    bench.config.crl = bench.crl;
    start();
    turns();
    put("revoked.pem", crls[1]);
    settled();
    expect("u", NULL);
    put("revoked.pem", bench.leaf.certificate);
    settled();
    expect("ul", bench.crl);
    free(crls[0]);
    free(crls[1]);
}
END_TEST

/* ---- wrong ---- */

enum wrong { WRONG_KEY, CUT, EMPTY, GONE, FOREIGN_TEXT, EMPTY_BUNDLE, NO_BUNDLE, EXPIRED, EARLY, WRONGS };

static const struct {
    const char *file, *words;
} wrongs[WRONGS] = {
    [WRONG_KEY] = { "svid.key", "the key does not belong to the certificate" },
    [CUT] = { "svid.pem", "" },
    [EMPTY] = { "svid.pem", "the private key has no certificate" },
    [GONE] = { "svid.pem", "No such file" },
    [FOREIGN_TEXT] = { "svid.key", "" },
    [EMPTY_BUNDLE] = { "bundle.pem", "the bundle is empty" },
    [NO_BUNDLE] = { "bundle.pem", "No such file" },
    [EXPIRED] = { "svid.pem", "expired at" },
    [EARLY] = { "svid.pem", "is not valid before" },
};

static void do_wrong(enum wrong wrong)
{
    static const char *const id = "spiffe://shop/order";
    char path[200], *text;
    struct issued issued = { NULL, NULL };
    struct issue_request request = issue_svid(&id, CERTIFICATE_HOUR);
    (void)snprintf(path, sizeof(path), "%s/%s", bench.folder, wrongs[wrong].file);
    switch (wrong) {
    case WRONG_KEY:
        put("svid.key", bench.next.key);
        break;
    case CUT:
        text = strdup(bench.next.certificate);
        text[strlen(text) / 2] = '\0';
        put("svid.pem", text);
        free(text);
        break;
    case EMPTY:
    case EMPTY_BUNDLE:
        put(wrongs[wrong].file, "");
        break;
    case GONE:
    case NO_BUNDLE:
        unlink(path);
        break;
    case FOREIGN_TEXT:
        put("svid.key", "no key at all\n");
        break;
    default:
        request.not_before = bench.unix_now / NANOS_S + (wrong == EXPIRED ? -200 : 100);
        request.not_after = request.not_before + 100;
        certificates_issue(&request, &bench.authority, &issued);
        certificates_write(bench.folder, "svid", &issued);
        issued_free(&issued);
    }
}

static void put_right(const struct issued *issued)
{
    put("bundle.pem", bench.authority.certificate);
    certificates_write(bench.folder, "svid", issued);
}

/* Told once, once it was read twice, with the file; then right again: silence for what is in force, an update for
 * another one. */
START_TEST(wrong_then_right)
{
    enum wrong wrong = (enum wrong)_i;
    char path[200];
    start();
    turns();
    (void)snprintf(path, sizeof(path), "%s/%s: ", bench.folder, wrongs[wrong].file);
    do_wrong(wrong);
    turns();
    later(SETTLE);
    expect("", NULL);
    later(SETTLE);
    expect("l", path);
    expect("l", wrongs[wrong].words);
    expect("l", "the one in force stays");
    ck_assert_int_eq(bench.level, MESH_LOG_ERROR);
    for (int i = 0; i < 3; i++)
        later(LOOK_EVERY);
    put("other", "of no interest"); /* another event in the folder does not make it news */
    settled();
    expect("l", NULL);
    put_right(&bench.leaf);
    settled();
    expect("l", NULL);
    do_wrong(wrong); /* it is news again */
    settled();
    expect("ll", wrongs[wrong].words);
    put_right(&bench.next);
    settled();
    expect("llu", NULL);
}
END_TEST

/* One wrong after the other, each told. */
START_TEST(wrong_then_wrong)
{
    start();
    turns();
    do_wrong(GONE);
    settled();
    expect("l", wrongs[GONE].words);
    put_right(&bench.leaf);
    do_wrong(WRONG_KEY);
    settled();
    expect("ll", wrongs[WRONG_KEY].words);
}
END_TEST

/* A folder in which something happens all the time. */
START_TEST(busy_folder)
{
    start();
    turns();
    do_wrong(WRONG_KEY);
    for (int i = 0; i < 50; i++) {
        put("journal", "a line\n");
        turns();
        later(SETTLE / 4);
    }
    expect("l", wrongs[WRONG_KEY].words);
    put_right(&bench.next);
    for (int i = 0; i < 10; i++) {
        put("journal", "a line\n");
        turns();
        later(SETTLE / 4);
    }
    expect("lu", NULL);
}
END_TEST

START_TEST(folder_comes_and_goes)
{
    char aside[100];
    start();
    turns();
    (void)snprintf(aside, sizeof(aside), "%s-aside", bench.folder);
    ck_assert_int_eq(rename(bench.folder, aside), 0);
    later(LOOK_EVERY);
    settled();
    expect("l", "No such file");
    ck_assert_int_eq(rename(aside, bench.folder), 0);
    later(LOOK_EVERY);
    certificates_write(bench.folder, "svid", &bench.next); /* and it is watched again */
    settled();
    expect("lu", NULL);
}
END_TEST

/* ---- running out ---- */

START_TEST(warns_and_tells)
{
    start();
    turns();
    bench.unix_now += 23 * HOUR_NS - 10 * NANOS_S;
    later(LOOK_EVERY);
    expect("", NULL);
    later(LOOK_EVERY);
    later(LOOK_EVERY);
    expect("l", "the certificate expires at 20");
    ck_assert_int_eq(bench.level, MESH_LOG_WARN);
    later(LOOK_EVERY);
    later(LOOK_EVERY);
    expect("l", NULL);
    bench.unix_now += HOUR_NS;
    later(LOOK_EVERY);
    /* Expired: said once of what is in force; and the file is refused from now on, once. */
    expect("ll", "the certificate expired at 20");
    ck_assert_int_eq(bench.level, MESH_LOG_ERROR);
    settled();
    expect("lll", "the one in force stays");
    for (int i = 0; i < 3; i++)
        later(LOOK_EVERY);
    expect("lll", NULL);
    issued_free(&bench.authority); /* it has run out, too: in a day and a half */
    bench.unix_now = certificates_now() * NANOS_S;
    certificates_authority(&bench.authority);
    make_leaf(&bench.authority, 24, &bench.next);
    put_right(&bench.next);
    settled();
    later(LOOK_EVERY);
    expect("lllu", NULL);
}
END_TEST

/* A new one that runs out soon: the change is told first, then the warning; nothing is said of the old one. */
START_TEST(new_one_runs_out_soon)
{
    start();
    turns();
    bench.unix_now += 22 * HOUR_NS;
    make_leaf(&bench.authority, 0, &bench.next);
    issued_free(&bench.next);
    static const char *const id = "spiffe://shop/order";
    struct issue_request request = issue_svid(&id, CERTIFICATE_HOUR);
    request.not_after = bench.unix_now / NANOS_S + CERTIFICATE_HOUR / 2;
    certificates_issue(&request, &bench.authority, &bench.next);
    certificates_write(bench.folder, "svid", &bench.next);
    settled();
    expect("ul", "the certificate expires at 20");
    later(LOOK_EVERY);
    expect("ul", NULL);
}
END_TEST

/* Trust alone has nothing to run out. */
START_TEST(trust_alone)
{
    bench.config.certificate = bench.config.key = NULL;
    start();
    turns();
    bench.unix_now += 40 * HOUR_NS;
    later(LOOK_EVERY);
    expect("", NULL);
    put("bundle.pem", bench.other_authority.certificate);
    settled();
    expect("u", NULL);
}
END_TEST

/* ---- ended from inside ---- */

START_TEST(stopped_from_inside)
{
    bench.stop = _i ? STOP_IN_LOG : STOP_IN_UPDATE;
    start();
    turns();
    if (_i == 2)
        bench.unix_now += 24 * HOUR_NS - HOUR_NS / 2;
    else if (_i == 1)
        do_wrong(GONE);
    else
        certificates_write(bench.folder, "svid", &bench.next);
    settled();
    later(LOOK_EVERY);
    ck_assert_ptr_null(bench.source);
    expect(_i ? "l" : "u", NULL);
}
END_TEST

START_TEST(load_tells_what_is_wrong)
{
    struct tls_identity *identity = NULL;
    char words[IDENTITY_WORDS_MAX];
    do_wrong((enum wrong)_i);
    ck_assert_int_eq(mesh__identity_load(&mesh__mem_system, &bench.config, bench.unix_now, &identity, words),
                     MESH_ECONFIG);
    ck_assert_ptr_null(identity);
    ck_assert_msg(strstr(words, wrongs[_i].words) && strstr(words, wrongs[_i].file), "%s", words);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("identity_source");
    TCase *tcase = tcase_create("all");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, replaced_by_rename);
    tcase_add_test(tcase, replaced_many_times);
    tcase_add_test(tcase, links_that_are_swapped);
    tcase_add_test(tcase, folder_that_is_swapped);
    tcase_add_test(tcase, key_before_certificate);
    tcase_add_test(tcase, bundle_changes);
    tcase_add_test(tcase, revocations_change);
    tcase_add_loop_test(tcase, wrong_then_right, 0, WRONGS);
    tcase_add_test(tcase, wrong_then_wrong);
    tcase_add_test(tcase, busy_folder);
    tcase_add_test(tcase, folder_comes_and_goes);
    tcase_add_test(tcase, warns_and_tells);
    tcase_add_test(tcase, new_one_runs_out_soon);
    tcase_add_test(tcase, trust_alone);
    tcase_add_loop_test(tcase, stopped_from_inside, 0, 3);
    tcase_add_loop_test(tcase, load_tells_what_is_wrong, 0, WRONGS);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
