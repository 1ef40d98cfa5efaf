/* SPDX-License-Identifier: Apache-2.0 */
/* hostile_test.c - peers that are no TLS library: too old, too weak, too large; what they send is put together here.
 *
 * Rows 98, 100, 101, 102 and 112 of the catalogue. */
#include "pair.h"

#define RECORD 16384
#define ENOUGH ((size_t)64 * 1024) /* no side reads more than that of a message that is too large */

static struct {
    struct issued root, leaf;
    struct tls_identity *identity;
    struct tls_bench *bench;
    struct tls_spec *specs[2];
} shop;

static const char *const order_id[] = { "spiffe://shop/order" };

static void setup(void)
{
    struct issue_request request = authority_request("root");
    issue(&request, NULL, &shop.root);
    request = svid_request(order_id);
    issue(&request, &shop.root, &shop.leaf);
    shop.identity = identity_at(
        &(struct papers){ shop.leaf.certificate, shop.leaf.key, NULL, { "shop" }, { shop.root.certificate } }, T0);
    shop.bench = mesh__tls_bench_new(&mesh__mem_system);
    struct tls_settings settings = { .with_certificate = true };
    for (int side = 0; side < 2; side++)
        shop.specs[side] = spec_of(shop.identity, (enum tls_side)side, &settings);
}

static void teardown(void)
{
    mesh__tls_spec_unref(shop.specs[TLS_CLIENT]);
    mesh__tls_spec_unref(shop.specs[TLS_SERVER]);
    mesh__tls_identity_unref(shop.identity);
    mesh__tls_bench_free(shop.bench);
    issued_free(&shop.root);
    issued_free(&shop.leaf);
}

/* ---- one side, and bytes for it ---- */

struct lone {
    struct pipe in, out;
    struct end end;
    struct tls_connection *connection;
    enum tls_want want;
};

static void lone_init(struct lone *lone, enum tls_side side)
{
    memset(lone, 0, sizeof(*lone));
    lone->end = (struct end){ &lone->in, &lone->out };
    lone->connection = side == TLS_CLIENT ? mesh__tls_connect(shop.bench, shop.specs[side], NULL)
                                          : mesh__tls_accept(shop.bench, shop.specs[side]);
    ck_assert_ptr_nonnull(lone->connection);
    mesh__tls_set_io(lone->connection, &pipe_io, &lone->end);
    lone->want = TLS_WANTS_READ;
    if (side == TLS_CLIENT)
        lone->want = mesh__tls_handshake(lone->connection, T0 * NS);
    lone->out.begin = lone->out.end = 0; /* its hello */
}

static void lone_fini(struct lone *lone)
{
    mesh__tls_close(lone->connection);
    free(lone->in.bytes);
    free(lone->out.bytes);
}

/* Gives it bytes, and steps until it wants more or has failed. */
static void lone_hear(struct lone *lone, const void *bytes, size_t size)
{
    struct end peer = { NULL, &lone->in };
    ck_assert_int_eq(pipe_write(&peer, bytes, size), (ssize_t)size);
    while (lone->want != TLS_FAILED) {
        size_t before = lone->in.moved + lone->out.moved;
        lone->want = mesh__tls_handshake(lone->connection, T0 * NS);
        if (lone->in.moved + lone->out.moved == before)
            return;
    }
}

/* The last alert that it sent in the clear. */
static int alert_of(const struct lone *lone)
{
    const unsigned char *at = lone->out.bytes + lone->out.end - 7;
    if (lone->out.end < 7 || at[0] != 0x15 || at[4] != 2 || at[5] != 2)
        return -1;
    return at[6];
}

/* ---- messages ---- */

struct message {
    unsigned char bytes[512];
    size_t size;
};

static void add(struct message *message, const char *bytes, size_t size)
{
    ck_assert_uint_le(message->size + size, sizeof(message->bytes));
    memcpy(message->bytes + message->size, bytes, size);
    message->size += size;
}

#define ADD(message, literal) add(message, literal, sizeof(literal) - 1)

/* The head of a record and of the message that it holds, once the rest is there. */
static void close_message(struct message *message)
{
    size_t size = message->size - 5;
    message->bytes[3] = (unsigned char)(size >> 8);
    message->bytes[4] = (unsigned char)size;
    message->bytes[7] = (unsigned char)((size - 4) >> 8);
    message->bytes[8] = (unsigned char)(size - 4);
}

/* A client's first words, without the extension that says which versions it speaks beyond `version`. */
static void make_client_hello(struct message *out, const char version[2], const char *suites, size_t suites_size)
{
    const char size[2] = { 0, (char)(suites_size + 2) };
    out->size = 0;
    ADD(out, "\x16\x03\x01..\x01\x00..");
    add(out, version, 2);
    ADD(out, "0123456789abcdef0123456789abcdef\x00");
    add(out, size, 2);
    add(out, suites, suites_size);
    ADD(out, "\x00\xff");                                         /* renegotiation as RFC 5746 has it */
    ADD(out, "\x01\x00\x00\x1a"                                   /* no compression; 26 bytes of extensions */
             "\x00\x0a\x00\x04\x00\x02\x00\x17"                   /* the group P-256 */
             "\x00\x0b\x00\x02\x01\x00"                           /* uncompressed points */
             "\x00\x0d\x00\x08\x00\x06\x04\x03\x04\x01\x02\x03"); /* ECDSA and RSA with SHA-256, ECDSA with SHA-1 */
    close_message(out);
}

static void make_server_hello(struct message *out, const char version[2], const char suite[2])
{
    out->size = 0;
    ADD(out, "\x16\x03\x03..\x02\x00..");
    add(out, version, 2);
    ADD(out, "0123456789abcdef0123456789abcdef\x00");
    add(out, suite, 2);
    ADD(out, "\x00\x00\x05\xff\x01\x00\x01\x00"); /* no compression; renegotiation as RFC 5746 has it */
    close_message(out);
}

#define V10 "\x03\x01"
#define V11 "\x03\x02"
#define V12 "\x03\x03"
#define GOOD_SUITES "\xcc\xa9\xc0\x2b"

#define PROTOCOL_VERSION 70
#define HANDSHAKE_FAILURE 40
#define ILLEGAL_PARAMETER 47

/* Row 101: TLS 1.0 and 1.1 are spoken with nobody. Row 102: neither are suites without forward secrecy, authenticated
 * encryption, or a certificate. The first row is heard out. */
START_TEST(old_versions_and_weak_suites_of_a_client)
{
    static const struct {
        const char *name, *version, *suites;
        size_t size;
        int alert; /* 0: none */
    } rows[] = {
        { "as it should be", V12, GOOD_SUITES, 4, 0 },
        { "SSL 3", "\x03\x00", GOOD_SUITES, 4, PROTOCOL_VERSION },
        { "TLS 1.0", V10, GOOD_SUITES, 4, PROTOCOL_VERSION },
        { "TLS 1.1", V11, GOOD_SUITES, 4, PROTOCOL_VERSION },
        { "no encryption, ECDHE", V12, "\xc0\x06", 2, HANDSHAKE_FAILURE },
        { "no encryption", V12, "\x00\x02\x00\x3b", 4, HANDSHAKE_FAILURE },
        { "RC4", V12, "\x00\x05\xc0\x07\xc0\x11", 6, HANDSHAKE_FAILURE },
        { "3DES", V12, "\x00\x0a\xc0\x08", 4, HANDSHAKE_FAILURE },
        { "anonymous", V12, "\x00\x34\xc0\x18\x00\xa6", 6, HANDSHAKE_FAILURE },
        { "CBC", V12, "\xc0\x09\xc0\x23\xc0\x24", 6, HANDSHAKE_FAILURE },
        { "no forward secrecy", V12, "\x00\x9c\x00\x2f\xc0\x9c", 6, HANDSHAKE_FAILURE },
        { "static ECDH", V12, "\xc0\x2d\xc0\x31", 4, HANDSHAKE_FAILURE },
        { "pre-shared key", V12, "\x00\xa8\x00\xae", 4, HANDSHAKE_FAILURE },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct lone lone;
        struct message hello;
        make_client_hello(&hello, rows[i].version, rows[i].suites, rows[i].size);
        lone_init(&lone, TLS_SERVER);
        lone_hear(&lone, hello.bytes, hello.size);
        const struct tls_report *report = mesh__tls_report(lone.connection);
        ck_assert_msg((lone.want == TLS_FAILED) == (rows[i].alert != 0), "%s: %s", rows[i].name, report->words);
        if (rows[i].alert) {
            ck_assert_msg(report->status == MESH_TLS_PROTOCOL, "%s: %d %s", rows[i].name, (int)report->status,
                          report->words);
            ck_assert_msg(alert_of(&lone) == rows[i].alert, "%s: alert %d", rows[i].name, alert_of(&lone));
        }
        lone_fini(&lone);
    }
}
END_TEST

START_TEST(old_versions_and_weak_suites_of_a_server)
{
    static const struct {
        const char *name, *version, *suite;
        bool good;
    } rows[] = {
        { "as it should be", V12, "\xcc\xa9", true },
        { "TLS 1.0", V10, "\xcc\xa9", false },
        { "TLS 1.1", V11, "\xcc\xa9", false },
        { "SSL 3", "\x03\x00", "\xcc\xa9", false },
        { "no encryption", V12, "\xc0\x06", false },
        { "RC4", V12, "\x00\x05", false },
        { "anonymous", V12, "\x00\xa6", false },
        { "CBC", V12, "\xc0\x09", false },
        { "no forward secrecy", V12, "\x00\x9c", false },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct lone lone;
        struct message hello;
        make_server_hello(&hello, rows[i].version, rows[i].suite);
        lone_init(&lone, TLS_CLIENT);
        lone_hear(&lone, hello.bytes, hello.size);
        const struct tls_report *report = mesh__tls_report(lone.connection);
        ck_assert_msg((lone.want == TLS_FAILED) == !rows[i].good, "%s: %s", rows[i].name, report->words);
        if (!rows[i].good)
            ck_assert_msg(report->status == MESH_TLS_PROTOCOL && alert_of(&lone) > 0, "%s: %d %s", rows[i].name,
                          (int)report->status, report->words);
        lone_fini(&lone);
    }
}
END_TEST

/* ---- messages that are too large ---- */

/* Says that `size` bytes of a message of this kind follow, and gives them, record by record, as long as they are heard.
 * What was heard. */
static size_t hear_large(struct lone *lone, unsigned char kind, size_t size, const unsigned char *body)
{
    static unsigned char record[5 + RECORD];
    size_t given = 0, heard = lone->in.moved;
    while (given < size && lone->want != TLS_FAILED) {
        size_t head = given == 0 ? 4 : 0, part = size - given < RECORD - head ? size - given : RECORD - head;
        memcpy(record, "\x16\x03\x03", 3);
        record[3] = (unsigned char)((part + head) >> 8);
        record[4] = (unsigned char)(part + head);
        if (head > 0) {
            const unsigned char start[] = { kind, (unsigned char)(size >> 16), (unsigned char)(size >> 8),
                                            (unsigned char)size };
            memcpy(record + 5, start, 4);
        }
        if (body)
            memcpy(record + 5 + head, body + given, part);
        else
            memset(record + 5 + head, 0, part);
        given += part;
        lone_hear(lone, record, 5 + head + part);
    }
    return (lone->in.moved - heard) / 2; /* in and out */
}

/* Row 112: a handshake message of 16 MB ends the handshake long before all of it has come, at each of its points. */
START_TEST(a_message_of_16_mb)
{
    static const struct {
        enum tls_side side;
        unsigned char kind;
        bool after_hello;
    } rows[] = {
        { TLS_CLIENT, 2, false },                            /* ServerHello */
        { TLS_CLIENT, 11, false }, { TLS_CLIENT, 11, true }, /* Certificate */
        { TLS_CLIENT, 12, true },                            /* ServerKeyExchange */
        { TLS_SERVER, 1, false },                            /* ClientHello */
        { TLS_SERVER, 11, true },  { TLS_SERVER, 16, true }, /* Certificate, ClientKeyExchange */
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct lone lone;
        struct message hello;
        lone_init(&lone, rows[i].side);
        if (rows[i].side == TLS_CLIENT)
            make_server_hello(&hello, V12, "\xcc\xa9");
        else
            make_client_hello(&hello, V12, GOOD_SUITES, 4);
        if (rows[i].after_hello)
            lone_hear(&lone, hello.bytes, hello.size);
        ck_assert_msg(lone.want != TLS_FAILED, "row %zu: %s", i, mesh__tls_report(lone.connection)->words);
        size_t heard = hear_large(&lone, rows[i].kind, 0xffffff, NULL);
        ck_assert_msg(lone.want == TLS_FAILED && heard <= ENOUGH, "row %zu: %zu bytes were heard", i, heard);
        ck_assert_int_eq(mesh__tls_report(lone.connection)->status, MESH_TLS_PROTOCOL);
        lone_fini(&lone);
    }
}
END_TEST

/* A record above what a record may have. */
START_TEST(a_record_that_is_too_long)
{
    static unsigned char bytes[5 + 65535] = { 0x16, 3, 3, 0xff, 0xff, 1 };
    for (int side = 0; side < 2; side++) {
        struct lone lone;
        lone_init(&lone, (enum tls_side)side);
        lone_hear(&lone, bytes, sizeof(bytes));
        ck_assert_int_eq(lone.want, TLS_FAILED);
        ck_assert_int_eq(mesh__tls_report(lone.connection)->status, MESH_TLS_PROTOCOL);
        ck_assert_uint_le(lone.in.begin, ENOUGH);
        lone_fini(&lone);
    }
}
END_TEST

/* ---- certificates that are too large ---- */

static const char **many_ids(size_t count)
{
    const char **ids = calloc(count, sizeof(*ids));
    ck_assert_ptr_nonnull(ids);
    for (size_t i = 0; i < count; i++)
        ck_assert_int_gt(asprintf((char **)(uintptr_t)&ids[i], "spiffe://shop/order/%zu", i), 0);
    return ids;
}

static void free_ids(const char **ids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free((void *)(uintptr_t)ids[i]);
    free((void *)(uintptr_t)ids);
}

static void issue_with_names(size_t count, bool ids, struct issued *out)
{
    const char **names = many_ids(count);
    struct issue_request request = svid_request(ids ? names : order_id);
    request.uri_count = ids ? count : 1;
    request.dns = names;
    request.dns_count = ids ? 0 : count;
    issue(&request, &shop.root, out);
    free_ids(names, count);
}

/* Bytes of PEM. */
static size_t decode(const char *pem, unsigned char *out)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0;
    size_t size = 0;
    int count = 0;
    for (const char *at = strchr(pem, '\n'); *at != '-' && *at != '='; at++) {
        const char *letter = strchr(letters, *at);
        if (letter == NULL || *letter == '\0')
            continue;
        bits = bits << 6 | (uint32_t)(letter - letters);
        if ((count += 6) >= 8)
            out[size++] = (unsigned char)(bits >> (count -= 8));
    }
    return size;
}

/* Row 112: a peer shows a certificate of ten thousand names, whole and well-formed. */
START_TEST(a_certificate_of_ten_thousand_names)
{
    static unsigned char body[1 << 20];
    struct issued large;
    issue_with_names(10000, _i == 0, &large);
    size_t size = decode(large.certificate, body + 6);
    ck_assert_uint_gt(size, 200000);
    for (int i = 0; i < 2; i++) {
        size_t length = i == 0 ? size + 3 : size;
        body[3 * i] = (unsigned char)(length >> 16);
        body[3 * i + 1] = (unsigned char)(length >> 8);
        body[3 * i + 2] = (unsigned char)length;
    }
    for (int side = 0; side < 2; side++) {
        struct lone lone;
        struct message hello;
        lone_init(&lone, (enum tls_side)side);
        if (side == TLS_CLIENT)
            make_server_hello(&hello, V12, "\xcc\xa9");
        else
            make_client_hello(&hello, V12, GOOD_SUITES, 4);
        lone_hear(&lone, hello.bytes, hello.size);
        ck_assert_int_ne(lone.want, TLS_FAILED);
        size_t heard = hear_large(&lone, 11, size + 6, body);
        ck_assert_msg(lone.want == TLS_FAILED && heard <= ENOUGH, "%zu bytes were heard", heard);
        ck_assert_int_eq(mesh__tls_report(lone.connection)->status, MESH_TLS_PROTOCOL);
        lone_fini(&lone);
    }
    issued_free(&large);
}
END_TEST

/* As our own it is refused when it is read, since no handshake could carry it. An authority may be as large. */
START_TEST(ten_thousand_names_of_our_own)
{
    struct issued large;
    struct tls_identity *identity;
    struct tls_problem problem;
    issue_with_names(10000, _i == 0, &large);
    struct papers papers = { large.certificate, large.key, NULL, { "shop" }, { shop.root.certificate } };
    mesh_status status = try_identity_at(&papers, T0, &identity, &problem);
    ck_assert_int_eq(status, MESH_ECONFIG);
    ck_assert_int_eq(problem.part, TLS_PART_CERTIFICATE);
    ck_assert_msg(strstr(problem.words, "a handshake can carry 16384") != NULL, "%s", problem.words);
    papers = (struct papers){ shop.leaf.certificate, shop.leaf.key, NULL, { "shop" }, { large.certificate } };
    status = try_identity_at(&papers, T0, &identity, &problem);
    ck_assert_msg(status == MESH_OK, "%s", problem.words);
    mesh__tls_identity_unref(identity);
    issued_free(&large);
}
END_TEST

/* ---- chains ---- */

struct chain {
    struct issued links[12], leaf;
    char *text;
};

/* A leaf below so many intermediates; `extended` is theirs. `reversed`: shown from the root's end. */
static void make_chain(struct chain *chain, int count, uint32_t extended, bool reversed)
{
    memset(chain, 0, sizeof(*chain));
    const struct issued *issuer = &shop.root;
    for (int i = 0; i < count; i++) {
        char name[20];
        (void)snprintf(name, sizeof(name), "link %d", i);
        struct issue_request request = authority_request(name);
        request.extended = extended;
        issue(&request, issuer, &chain->links[i]);
        issuer = &chain->links[i];
    }
    struct issue_request request = svid_request(order_id);
    issue(&request, issuer, &chain->leaf);
    chain->text = join("", chain->leaf.certificate);
    for (int i = 0; i < count; i++) {
        const char *next = chain->links[reversed ? i : count - 1 - i].certificate;
        char *longer = join(chain->text, next);
        free(chain->text);
        chain->text = longer;
    }
}

static void free_chain(struct chain *chain)
{
    for (size_t i = 0; i < COUNT(chain->links); i++)
        issued_free(&chain->links[i]);
    issued_free(&chain->leaf);
    free(chain->text);
}

/* What a side thinks of a peer that shows the chain. */
static mesh_status judgement_of(const struct chain *chain, enum tls_side peer, char words[200])
{
    struct pair pair;
    struct tls_settings settings = { .with_certificate = true };
    struct tls_identity *identity =
        identity_at(&(struct papers){ chain->text, chain->leaf.key, NULL, { "shop" }, { shop.root.certificate } }, T0);
    struct tls_spec *shown = spec_of(identity, peer, &settings);
    pair_init(&pair, shop.bench, peer == TLS_CLIENT ? shown : shop.specs[TLS_CLIENT],
              peer == TLS_CLIENT ? shop.specs[TLS_SERVER] : shown, NULL);
    pair_shake(&pair);
    const struct tls_report *report = report_of(&pair, (enum tls_side) !peer);
    mesh_status status = report->status;
    (void)snprintf(words, 200, "%s", report->words);
    ck_assert_int_eq(pair.wants[!peer] == TLS_DONE, status == MESH_OK);
    pair_fini(&pair);
    mesh__tls_spec_unref(shown);
    mesh__tls_identity_unref(identity);
    return status;
}

/* Row 112: so many intermediates are followed, and no more. Row 98: each must come before the one that issued it, and
 * none may be missing (refusal_test.c). */
START_TEST(long_chains)
{
    static const struct {
        int links;
        bool reversed;
        mesh_status status;
    } rows[] = {
        { 1, false, MESH_OK },
        { 3, true, MESH_TLS_UNKNOWN_AUTHORITY },
        { 8, false, MESH_OK },
        { 9, false, MESH_TLS_BAD_CERTIFICATE },
        { 12, false, MESH_TLS_BAD_CERTIFICATE },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct chain chain;
        char words[200];
        make_chain(&chain, rows[i].links, 0, rows[i].reversed);
        for (int side = 0; side < 2; side++) {
            mesh_status status = judgement_of(&chain, (enum tls_side)side, words);
            ck_assert_msg(status == rows[i].status, "%d links, side %d: %d %s", rows[i].links, side, (int)status,
                          words);
        }
        free_chain(&chain);
    }
}
END_TEST

/* Row 98: a chain that begins with its intermediate is nobody's; the key is another's. */
START_TEST(a_reversed_chain_is_refused_when_it_is_read)
{
    struct chain chain;
    struct tls_identity *identity;
    struct tls_problem problem;
    make_chain(&chain, 1, 0, false);
    char *reversed = join(chain.links[0].certificate, chain.leaf.certificate);
    struct papers papers = { reversed, chain.leaf.key, NULL, { "shop" }, { shop.root.certificate } };
    ck_assert_int_eq(try_identity_at(&papers, T0, &identity, &problem), MESH_ECONFIG);
    ck_assert_msg(strstr(problem.words, "does not belong") != NULL, "%s", problem.words);
    free(reversed);
    free_chain(&chain);
}
END_TEST

/* Row 100: RFC 5280 says nothing of it, so the extended key usage of intermediates is not looked at; that of the leaf
 * is (refusal_test.c). */
START_TEST(usages_of_intermediates)
{
    struct chain chain;
    char words[200];
    make_chain(&chain, 1, ISSUE_FOR_EMAIL, false);
    for (int side = 0; side < 2; side++)
        ck_assert_msg(judgement_of(&chain, (enum tls_side)side, words) == MESH_OK, "%s", words);
    free_chain(&chain);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tls hostile");
    TCase *tc = tcase_create("hostile");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, old_versions_and_weak_suites_of_a_client);
    tcase_add_test(tc, old_versions_and_weak_suites_of_a_server);
    tcase_add_test(tc, a_message_of_16_mb);
    tcase_add_test(tc, a_record_that_is_too_long);
    tcase_add_loop_test(tc, a_certificate_of_ten_thousand_names, 0, 2);
    tcase_add_loop_test(tc, ten_thousand_names_of_our_own, 0, 2);
    tcase_add_test(tc, long_chains);
    tcase_add_test(tc, a_reversed_chain_is_refused_when_it_is_read);
    tcase_add_test(tc, usages_of_intermediates);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures > 0;
}
