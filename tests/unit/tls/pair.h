/* SPDX-License-Identifier: Apache-2.0 */
/* pair.h - two TLS connections over pipes in memory, a time of their own, and the certificates that they show. */
#ifndef TESTS_UNIT_TLS_PAIR_H
#define TESTS_UNIT_TLS_PAIR_H

#include "base/status.h"
#include "shell/issue.h"
#include "tls/tls.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define T0 ((int64_t)1800000000) /* Unix seconds; the time of every test */
#define HOUR ((int64_t)3600)
#define NS ((int64_t)1000000000)
#define UNUSED __attribute__((unused))

/* ---- pipes ---- */

struct pipe {
    unsigned char *bytes;
    size_t begin, end, room;
    size_t most;     /* bytes that one call moves; 0: all */
    size_t capacity; /* bytes that lie in it; 0: any number */
    bool shut;       /* the writer has closed */
    bool dead;       /* writing gives -EPIPE */
    size_t calls;    /* reads */
    size_t moved;    /* bytes in and out */
};

struct end {
    struct pipe *in, *out;
};

UNUSED static ssize_t pipe_read(void *user, void *bytes, size_t size)
{
    struct pipe *pipe = ((struct end *)user)->in;
    size_t there = pipe->end - pipe->begin;
    pipe->calls++;
    if (there == 0)
        return pipe->shut ? 0 : -EAGAIN;
    if (pipe->most > 0 && size > pipe->most)
        size = pipe->most;
    size = there < size ? there : size;
    memcpy(bytes, pipe->bytes + pipe->begin, size);
    pipe->begin += size;
    pipe->moved += size;
    if (pipe->begin == pipe->end)
        pipe->begin = pipe->end = 0;
    return (ssize_t)size;
}

UNUSED static ssize_t pipe_write(void *user, const void *bytes, size_t size)
{
    struct pipe *pipe = ((struct end *)user)->out;
    size_t there = pipe->end - pipe->begin;
    if (pipe->dead)
        return -EPIPE;
    if (pipe->most > 0 && size > pipe->most)
        size = pipe->most;
    if (pipe->capacity > 0 && size > pipe->capacity - there)
        size = pipe->capacity - there;
    if (size == 0)
        return -EAGAIN;
    if (pipe->end + size > pipe->room) {
        pipe->room = 2 * (pipe->end + size);
        pipe->bytes = realloc(pipe->bytes, pipe->room);
        ck_assert_ptr_nonnull(pipe->bytes);
    }
    memcpy(pipe->bytes + pipe->end, bytes, size);
    pipe->end += size;
    pipe->moved += size;
    return (ssize_t)size;
}

static const struct tls_io pipe_io = { pipe_read, pipe_write };

/* ---- identities ---- */

/* What a side shows and trusts. Texts are borrowed. */
struct papers {
    const char *certificate, *key, *crl;
    const char *names[4], *bundles[4];
};

UNUSED static mesh_status try_identity_at(const struct papers *papers, int64_t seconds, struct tls_identity **out,
                                          struct tls_problem *problem)
{
    struct tls_bundle_source bundles[4];
    size_t count = 0;
    for (; count < 4 && papers->names[count] != NULL; count++) {
        bundles[count].name = mesh__view_of(papers->names[count]);
        bundles[count].pem = mesh__view_of(papers->bundles[count]);
    }
    struct tls_identity_source source = { mesh__view_of(papers->certificate), mesh__view_of(papers->key), bundles,
                                          count, mesh__view_of(papers->crl) };
    return mesh__tls_identity_new(&mesh__mem_system, &source, seconds * NS, out, problem);
}

/* At the time when `papers` were good: those of a test run out, are refused or are early later on. */
UNUSED static struct tls_identity *identity_at(const struct papers *papers, int64_t seconds)
{
    struct tls_identity *identity;
    struct tls_problem problem;
    mesh_status status = try_identity_at(papers, seconds, &identity, &problem);
    ck_assert_msg(status == MESH_OK, "identity: %d, part %d: %s", (int)status, (int)problem.part, problem.words);
    return identity;
}

UNUSED static struct tls_spec *spec_of(struct tls_identity *identity, enum tls_side side,
                                       const struct tls_settings *settings)
{
    struct tls_spec *spec;
    struct tls_problem problem;
    mesh_status status = mesh__tls_spec_new(&mesh__mem_system, identity, side, settings, &spec, &problem);
    ck_assert_msg(status == MESH_OK, "spec: %d: %s", (int)status, problem.words);
    return spec;
}

/* Chain of two texts; freed by the caller. */
UNUSED static char *join(const char *first, const char *second)
{
    char *text = NULL;
    ck_assert_int_gt(asprintf(&text, "%s%s", first, second), 0);
    return text;
}

UNUSED static void issue(const struct issue_request *request, const struct issued *issuer, struct issued *out)
{
    const char *problem = NULL;
    ck_assert_msg(issue_certificate(request, issuer, out, &problem), "issue: %s", problem);
}

UNUSED static struct issue_request authority_request(const char *name)
{
    struct issue_request request = issue_authority(name, HOUR);
    request.not_before = T0 - 1000 * HOUR;
    request.not_after = T0 + 1000 * HOUR;
    return request;
}

UNUSED static struct issue_request svid_request(const char *const *id)
{
    struct issue_request request = issue_svid(id, HOUR);
    request.not_before = T0 - HOUR;
    request.not_after = T0 + HOUR;
    return request;
}

/* ---- pairs ---- */

struct pair {
    struct pipe up, down; /* from client to server, and back */
    struct end ends[2];   /* by enum tls_side */
    struct tls_bench *bench;
    struct tls_connection *sides[2];
    enum tls_want wants[2];
    int64_t now; /* Unix seconds */
};

UNUSED static void pair_init(struct pair *pair, struct tls_bench *bench, struct tls_spec *client,
                             struct tls_spec *server, const char *peer)
{
    memset(pair, 0, sizeof(*pair));
    pair->now = T0;
    pair->bench = bench;
    pair->ends[TLS_CLIENT] = (struct end){ &pair->down, &pair->up };
    pair->ends[TLS_SERVER] = (struct end){ &pair->up, &pair->down };
    pair->sides[TLS_CLIENT] = mesh__tls_connect(bench, client, peer);
    pair->sides[TLS_SERVER] = mesh__tls_accept(bench, server);
    for (int i = 0; i < 2; i++) {
        ck_assert_ptr_nonnull(pair->sides[i]);
        mesh__tls_set_io(pair->sides[i], &pipe_io, &pair->ends[i]);
        pair->wants[i] = TLS_WANTS_WRITE;
    }
}

UNUSED static void pair_fini(struct pair *pair)
{
    for (int i = 0; i < 2; i++)
        mesh__tls_close(pair->sides[i]);
    free(pair->up.bytes);
    free(pair->down.bytes);
}

/* One step of a side. One that is done reads on: in TLS 1.3 tickets come then, and the refusal of its certificate. A
 * side that has failed closes its pipe, as a program would. */
UNUSED static void pair_step(struct pair *pair, int side)
{
    char byte;
    if (pair->wants[side] == TLS_FAILED)
        return;
    if (pair->wants[side] != TLS_DONE)
        pair->wants[side] = mesh__tls_handshake(pair->sides[side], pair->now * NS);
    else if (mesh__tls_read(pair->sides[side], &byte, 1) != -EAGAIN)
        pair->wants[side] = TLS_FAILED;
    if (pair->wants[side] == TLS_FAILED)
        pair->ends[side].out->shut = true;
}

/* Steps both sides until nothing moves. */
UNUSED static void pair_shake(struct pair *pair)
{
    for (int idle = 0, rounds = 0; idle < 3; rounds++) {
        size_t before = pair->up.moved + pair->down.moved;
        ck_assert_int_lt(rounds, 200000);
        pair_step(pair, TLS_CLIENT);
        pair_step(pair, TLS_SERVER);
        idle = before == pair->up.moved + pair->down.moved ? idle + 1 : 0;
    }
}

UNUSED static const struct tls_report *report_of(const struct pair *pair, enum tls_side side)
{
    return mesh__tls_report(pair->sides[side]);
}

UNUSED static void assert_open(const struct pair *pair, const char *what)
{
    for (int i = 0; i < 2; i++)
        ck_assert_msg(pair->wants[i] == TLS_DONE, "%s: side %d is not open: %d %s", what, i,
                      (int)report_of(pair, (enum tls_side)i)->status, report_of(pair, (enum tls_side)i)->words);
}

UNUSED static ssize_t put(struct pair *pair, enum tls_side side, const void *bytes, size_t size)
{
    struct iovec one = { (void *)(uintptr_t)bytes, size };
    return mesh__tls_write(pair->sides[side], &one, 1);
}

/* A few bytes each way; TLS 1.3's tickets come with them. */
UNUSED static void exchange(struct pair *pair, const char *what)
{
    char bytes[8];
    for (int side = 0; side < 2; side++) {
        ck_assert_msg(put(pair, (enum tls_side) !side, "ping", 4) == 4, "%s: write", what);
        ssize_t got = mesh__tls_read(pair->sides[side], bytes, sizeof(bytes));
        ck_assert_msg(got == 4 && memcmp(bytes, "ping", 4) == 0, "%s: read gave %zd", what, got);
    }
}

#endif
