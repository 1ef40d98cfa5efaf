/* SPDX-License-Identifier: Apache-2.0 */
/* tls_fuzz.h - what the targets of TLS share: a program on each side, made once, and pipes with an end. */
#ifndef MESH__TESTS_TLS_FUZZ_H
#define MESH__TESTS_TLS_FUZZ_H

#include "support/certificates.h"

#include <errno.h>
#include <string.h>

#define FUZZ_PIPE_MAX ((size_t)1 << 20) /* no handshake fills it */

static struct {
    bool made;
    struct issued authority, leaves[2]; /* by enum tls_side */
    struct tls_bench *bench;
    struct tls_spec *specs[2][2]; /* by side, and whether sessions are resumed */
} fuzz_shop;

static const char *const fuzz_names[2] = { "order", "payment" };

static void fuzz_open_shop(void)
{
    if (fuzz_shop.made)
        return;
    fuzz_shop.made = true;
    certificates_authority(&fuzz_shop.authority);
    fuzz_shop.bench = mesh__tls_bench_new(&mesh__mem_system);
    for (int side = 0; side < 2; side++) {
        certificates_svid(&fuzz_shop.authority, fuzz_names[side], &fuzz_shop.leaves[side]);
        struct tls_identity *identity = certificates_identity(&fuzz_shop.leaves[side], fuzz_shop.authority.certificate);
        for (int resume = 0; resume < 2; resume++) {
            struct tls_settings settings = { .with_certificate = true, .resume = resume };
            fuzz_shop.specs[side][resume] = certificates_spec(identity, (enum tls_side)side, &settings);
        }
        mesh__tls_identity_unref(identity);
    }
}

struct fuzz_pipe {
    struct buf bytes;
    bool ended;
};

struct fuzz_side {
    struct fuzz_pipe in;
    struct tls_connection *connection;
    enum tls_want want;
};

static ssize_t fuzz_read(void *user, void *bytes, size_t size)
{
    struct fuzz_side *side = user;
    struct buf *in = &side->in.bytes;
    if (in->size == 0)
        return side->in.ended ? 0 : -EAGAIN;
    size = size < in->size ? size : in->size;
    memcpy(bytes, in->data, size);
    mesh__buf_consume(in, size);
    return (ssize_t)size;
}

static void fuzz_side_open(struct fuzz_side *self, enum tls_side side, bool resume, const struct tls_io *io)
{
    struct tls_spec *spec = fuzz_shop.specs[side][resume];
    memset(self, 0, sizeof(*self));
    mesh__buf_init(&self->in.bytes, &mesh__mem_system, FUZZ_PIPE_MAX);
    self->connection =
        side == TLS_CLIENT ? mesh__tls_connect(fuzz_shop.bench, spec, "peer") : mesh__tls_accept(fuzz_shop.bench, spec);
    FUZZ_CHECK(self->connection != NULL);
    mesh__tls_set_io(self->connection, io, self);
    self->want = TLS_WANTS_READ;
}

/* Sides that write to each other: all connections first. */
static void fuzz_sides_close(struct fuzz_side *sides, int count)
{
    for (int i = 0; i < count; i++)
        mesh__tls_close(sides[i].connection);
    for (int i = 0; i < count; i++)
        mesh__buf_fini(&sides[i].in.bytes);
}

/* One step; what its report says is in order at each moment. */
static void fuzz_step(struct fuzz_side *self)
{
    self->want = mesh__tls_handshake(self->connection, certificates_now() * 1000000000);
    const struct tls_report *report = mesh__tls_report(self->connection);
    FUZZ_CHECK(self->want != TLS_DONE || (report->status == MESH_OK && report->words[0] == '\0'));
    FUZZ_CHECK(self->want != TLS_FAILED || (report->status != MESH_OK && report->words[0] != '\0'));
    FUZZ_CHECK(self->want != TLS_FAILED || self->want == mesh__tls_handshake(self->connection, 0));
}

#endif
