/* SPDX-License-Identifier: Apache-2.0 */
/* certificates.c - what bindings/shell/issue.h writes, with dates around the present. */
#include "support/certificates.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void must(bool good, const char *what)
{
    if (good)
        return;
    (void)fprintf(stderr, "certificates: %s\n", what);
    abort();
}

int64_t certificates_now(void)
{
    return (int64_t)time(NULL);
}

void certificates_issue(const struct issue_request *request, const struct issued *authority, struct issued *out)
{
    const char *problem = NULL;
    struct issue_request dated = *request;
    if (dated.not_after == 0) {
        dated.not_before = certificates_now() - CERTIFICATE_HOUR;
        dated.not_after = certificates_now() + 24 * CERTIFICATE_HOUR;
    }
    must(issue_certificate(&dated, authority, out, &problem), problem);
}

void certificates_authority(struct issued *out)
{
    static const char *const id = "spiffe://shop";
    struct issue_request request = issue_authority("shop", 48 * CERTIFICATE_HOUR);
    request.uris = &id;
    request.uri_count = 1;
    certificates_issue(&request, NULL, out);
}

void certificates_svid(const struct issued *authority, const char *name, struct issued *out)
{
    char text[128];
    const char *id = text;
    (void)snprintf(text, sizeof(text), "spiffe://shop/%s", name);
    struct issue_request request = issue_svid(&id, 24 * CERTIFICATE_HOUR);
    certificates_issue(&request, authority, out);
}

struct tls_identity *certificates_identity(const struct issued *leaf, const char *authority)
{
    struct tls_bundle_source bundle = { VIEW_LITERAL("shop"), mesh__view_of(authority) };
    struct tls_identity_source source = { .bundles = &bundle, .bundle_count = 1 };
    struct tls_identity *identity = NULL;
    struct tls_problem problem;
    if (leaf) {
        source.certificate = mesh__view_of(leaf->certificate);
        source.key = mesh__view_of(leaf->key);
    }
    must(mesh__tls_identity_new(&mesh__mem_system, &source, certificates_now() * 1000000000, &identity, &problem) ==
             MESH_OK,
         problem.words);
    return identity;
}

struct tls_spec *certificates_spec(struct tls_identity *identity, enum tls_side side,
                                   const struct tls_settings *or_null)
{
    struct tls_settings usual = { .with_certificate = true, .resume = true };
    struct tls_spec *spec = NULL;
    struct tls_problem problem;
    must(mesh__tls_spec_new(&mesh__mem_system, identity, side, or_null ? or_null : &usual, &spec, &problem) == MESH_OK,
         problem.words);
    return spec;
}

void certificates_folder(char path[64])
{
    (void)snprintf(path, 64, "/tmp/mesh-certificates-XXXXXX");
    must(mkdtemp(path) != NULL, "mkdtemp");
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *position)
{
    (void)status;
    (void)type;
    (void)position;
    return remove(path);
}

void certificates_remove(const char *folder)
{
    must(nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0, "nftw");
}

void certificates_put(const char *folder, const char *file, const char *text)
{
    char path[200], beside[220];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, file);
    (void)snprintf(beside, sizeof(beside), "%s.new", path);
    FILE *out = fopen(beside, "w");
    must(out != NULL && fputs(text, out) >= 0, "write");
    must(fclose(out) == 0 && rename(beside, path) == 0, "rename");
}

void certificates_write(const char *folder, const char *name, const struct issued *issued)
{
    char file[80];
    (void)snprintf(file, sizeof(file), "%s.key", name);
    certificates_put(folder, file, issued->key);
    (void)snprintf(file, sizeof(file), "%s.pem", name);
    certificates_put(folder, file, issued->certificate);
}
