/* SPDX-License-Identifier: Apache-2.0 */
/* pem_mbedtls.c - PEM texts that are parsed whole or refused. mbedTLS skips what it cannot read between blocks that it
 * can, so the blocks are counted here first: each must be of the kind, closed, and come out of the parser. */
#include "tls/tls_mbedtls.h"

#include <mbedtls/error.h>
#include <stdio.h>

#define DASHES "-----"

/* Takes the line at `*at`, without its end; false at the end of the text. */
static bool next_line(struct view text, size_t *at, struct view *line)
{
    if (*at >= text.size)
        return false;
    const char *start = text.data + *at, *end = memchr(start, '\n', text.size - *at);
    size_t size = end ? (size_t)(end - start) : text.size - *at;
    *at += size + (end ? 1 : 0);
    while (size > 0 && (start[size - 1] == '\r' || start[size - 1] == ' ' || start[size - 1] == '\t'))
        size--;
    *line = mesh__view(start, size);
    return true;
}

static bool has_dashes(struct view line)
{
    return memmem(line.data, line.size, DASHES, sizeof(DASHES) - 1) != NULL;
}

/* How many blocks of a kind the text has; -1 with words when it has anything else, or one that does not close. */
static int count_blocks(struct view text, const char *kind, char words[200])
{
    char begin[64], end[64];
    (void)snprintf(begin, sizeof(begin), DASHES "BEGIN %s" DASHES, kind);
    (void)snprintf(end, sizeof(end), DASHES "END %s" DASHES, kind);
    int count = 0;
    bool inside = false;
    struct view line;
    if (memchr(text.data, '\0', text.size) != NULL) {
        (void)snprintf(words, 200, "it is not PEM: it has a zero byte");
        return -1;
    }
    for (size_t at = 0; next_line(text, &at, &line);) {
        if (!has_dashes(line))
            continue;
        if (!mesh__view_equal(line, mesh__view_of(inside ? end : begin))) {
            (void)snprintf(
                words, 200, "block %d of the PEM is damaged or of another kind: \"%.*s\" where \"%s\" was expected",
                inside ? count : count + 1, (int)(line.size < 60 ? line.size : 60), line.data, inside ? end : begin);
            return -1;
        }
        inside = !inside;
        count += inside;
    }
    if (inside)
        (void)snprintf(words, 200, "block %d of the PEM has no end: \"%s\" was expected", count, end);
    else if (count == 0)
        (void)snprintf(words, 200, "it has no block \"%s\"", begin);
    return inside || count == 0 ? -1 : count;
}

static mesh_status explain(int error, const char *what, char words[200])
{
    char text[100];
    if (mesh__tls_is_memory_error(error))
        return MESH_NO_MEMORY;
    mbedtls_strerror(error, text, sizeof(text));
    (void)snprintf(words, 200, "%s cannot be read: %s", what, text);
    return MESH_ECONFIG;
}

/* The error is no more than a count where one of several failed; the first of them is parsed again for its error. */
static mesh_status explain_certificate(struct view pem, int parsed, int blocks, char words[200])
{
    char what[64];
    int number = 0;
    for (const char *at = pem.data; (at = strstr(at, DASHES "BEGIN")) != NULL; at++) {
        const char *end = strstr(at + sizeof(DASHES), DASHES "END");
        end = end ? strchr(end, '\n') : NULL;
        size_t size = end ? (size_t)(end - at) : strlen(at);
        char *one = strndup(at, size);
        if (one == NULL)
            return MESH_NO_MEMORY;
        mbedtls_x509_crt single;
        mbedtls_x509_crt_init(&single);
        int error = mbedtls_x509_crt_parse(&single, (const unsigned char *)one, size + 1);
        mbedtls_x509_crt_free(&single);
        free(one);
        number++;
        (void)snprintf(what, sizeof(what), "certificate %d of %d", number, blocks);
        if (error != 0)
            return explain(error, what, words);
    }
    (void)snprintf(words, 200, "only %d of its %d certificates can be read", parsed, blocks);
    return MESH_ECONFIG;
}

mesh_status mesh__tls_parse_certificates(struct view pem, mbedtls_x509_crt *out, char words[200])
{
    int blocks = count_blocks(pem, "CERTIFICATE", words);
    if (blocks < 0)
        return MESH_ECONFIG;
    int error = mbedtls_x509_crt_parse(out, (const unsigned char *)pem.data, pem.size + 1);
    int parsed = 0;
    for (const mbedtls_x509_crt *one = out; one != NULL && one->raw.p != NULL; one = one->next)
        parsed++;
    if (error == 0 && parsed == blocks)
        return MESH_OK;
    if (mesh__tls_is_memory_error(error))
        return MESH_NO_MEMORY;
    return explain_certificate(pem, parsed, blocks, words);
}

mesh_status mesh__tls_parse_revocations(struct view pem, mbedtls_x509_crl *out, char words[200])
{
    int blocks = count_blocks(pem, "X509 CRL", words);
    if (blocks < 0)
        return MESH_ECONFIG;
    int error = mbedtls_x509_crl_parse(out, (const unsigned char *)pem.data, pem.size + 1);
    int parsed = 0;
    for (const mbedtls_x509_crl *one = out; one != NULL && one->raw.p != NULL; one = one->next)
        parsed++;
    if (error != 0)
        return explain(error, "the revocation list", words);
    if (parsed == blocks)
        return MESH_OK;
    (void)snprintf(words, 200, "only %d of its %d revocation lists can be read", parsed, blocks);
    return MESH_ECONFIG;
}

mesh_status mesh__tls_parse_key(struct view pem, mbedtls_pk_context *out, char words[200])
{
    int error = mesh__tls_read_key(out, pem);
    return error == 0 ? MESH_OK : explain(error, "the private key", words);
}
