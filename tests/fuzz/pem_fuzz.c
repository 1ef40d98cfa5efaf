/* SPDX-License-Identifier: Apache-2.0 */
/* pem_fuzz.c - PEM texts as bundle, certificate, key and revocation list: taken whole or refused with words; what is
 * wrong alone is as wrong beside what is right. */
#define FUZZ_NAME "pem"
#define FUZZ_ROUNDS 10000
#define FUZZ_MAX_SIZE 8192
#define FUZZ_WORDS                                                                                                     \
    "-----BEGIN CERTIFICATE-----\n", "-----END CERTIFICATE-----\n", "-----BEGIN X509 CRL-----\n",                      \
        "-----END X509 CRL-----\n", "-----BEGIN EC PRIVATE KEY-----\n", "-----END EC PRIVATE KEY-----\n", "-----",     \
        "\r\n", "BEGIN", "END", "====", "MIIB", "Proc-Type: 4,ENCRYPTED\n", "# a comment\n", "\n\n"
#include "fuzz_main.h"

#include "support/certificates.h"

static struct issued authority, leaf;

static mesh_status load(const struct tls_identity_source *source, enum tls_part blamed)
{
    struct tls_identity *identity = NULL;
    struct tls_problem problem = { TLS_PART_NONE, 0, "" };
    mesh_status status =
        mesh__tls_identity_new(&mesh__mem_system, source, certificates_now() * 1000000000, &identity, &problem);
    FUZZ_CHECK(status == MESH_OK || status == MESH_ECONFIG);
    FUZZ_CHECK((status == MESH_OK) == (identity != NULL));
    if (status != MESH_OK)
        FUZZ_CHECK(problem.words[0] != '\0' && memchr(problem.words, '\0', sizeof(problem.words)) != NULL);
    if (status != MESH_OK && blamed != TLS_PART_NONE)
        FUZZ_CHECK(problem.part == blamed);
    mesh__tls_identity_unref(identity);
    return status;
}

static mesh_status load_bundle(struct view pem)
{
    struct tls_bundle_source bundle = { VIEW_LITERAL("shop"), pem };
    return load(&(struct tls_identity_source){ .bundles = &bundle, .bundle_count = 1 }, TLS_PART_BUNDLE);
}

/* Is there nothing but words between blocks? Then it holds none, which is wrong alone and nothing beside others. */
static bool is_blank(struct view text)
{
    return text.size == 0 ||
           (memmem(text.data, text.size, "-----", 5) == NULL && memchr(text.data, '\0', text.size) == NULL);
}

static mesh_status load_beside(struct view pem, bool before)
{
    struct view good = mesh__view_of(authority.certificate);
    struct buf text;
    mesh__buf_init(&text, &mesh__mem_system, 1 << 20);
    struct view parts[] = { before ? pem : good, VIEW_LITERAL("\n"), before ? good : pem };
    for (size_t i = 0; i < 3; i++)
        FUZZ_CHECK(mesh__buf_append(&text, parts[i].data, parts[i].size));
    mesh_status status = load_bundle(mesh__view(text.data, text.size));
    mesh__buf_fini(&text);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view pem = { (const char *)data, size };
    if (authority.certificate == NULL) {
        certificates_authority(&authority);
        certificates_svid(&authority, "order", &leaf);
    }
    bool good = load_bundle(pem) == MESH_OK;
    for (int before = 0; before < 2; before++)
        FUZZ_CHECK((load_beside(pem, before) == MESH_OK) == (good || is_blank(pem)));
    struct tls_bundle_source bundle = { VIEW_LITERAL("shop"), mesh__view_of(authority.certificate) };
    struct tls_identity_source source = { .bundles = &bundle, .bundle_count = 1 };
    source.certificate = pem;
    source.key = mesh__view_of(leaf.key);
    (void)load(&source, TLS_PART_NONE); /* another's certificate is the key's fault */
    source.certificate = mesh__view_of(leaf.certificate);
    source.key = pem;
    FUZZ_CHECK(load(&source, TLS_PART_KEY) != MESH_OK || size == 0);
    source.key = mesh__view_of(leaf.key);
    source.crl = pem;
    (void)load(&source, TLS_PART_CRL);
    return 0;
}
