/* SPDX-License-Identifier: Apache-2.0 */
/* tls_peer.h - peers of the network in memory that speak TLS, or plain text to who begins so, and a group of pools that
 * can be secured. */
#ifndef TEST_NET_TLS_PEER_H
#define TEST_NET_TLS_PEER_H

#include "scene.h"
#include "support/certificates.h"

#define FLIGHT NANOS_MS        /* so long a peer takes to say anything */
#define PATIENCE (20 * FLIGHT) /* of the client with a handshake */

/* A line as its peer has it. */
struct tls_line {
    struct line *line;
    struct memory_connection *connection; /* NULL once the client has closed */
    struct tls_connection *tls;           /* NULL: nothing has come yet, or plain text */
    enum tls_want want;
    struct buf in;
};

static struct {
    struct tls_desk desk;
    struct tls_bench *bench; /* the peers' */
    struct issued authority, leaf, own[2];
    struct tls_spec *accepts;            /* what peers demand */
    struct tls_spec *old, *new, *choosy; /* before and after a rotation; expects another peer */
    bool silent;                         /* peers never say a word */
    bool says_end;                       /* peers say close_notify behind an answer */
    bool then_leave;                     /* peers leave behind an answer */
} secured;

static ssize_t tls_line_read(void *user, void *bytes, size_t size)
{
    struct tls_line *at = user;
    size_t part = at->in.size < size ? at->in.size : size;
    if (part == 0)
        return -EAGAIN;
    memcpy(bytes, at->in.data, part);
    mesh__buf_consume(&at->in, part);
    return (ssize_t)part;
}

static ssize_t tls_line_write(void *user, const void *bytes, size_t size)
{
    struct tls_line *at = user;
    if (at->connection == NULL)
        return -EPIPE;
    mesh__memory_send(at->connection, bytes, size, FLIGHT);
    return (ssize_t)size;
}

static void *tls_line_opened(void *user, struct memory_connection *connection)
{
    struct tls_line *at = calloc(1, sizeof(*at));
    ck_assert_ptr_nonnull(at);
    at->line = line_opened(user, connection);
    at->connection = connection;
    at->want = TLS_WANTS_READ;
    mesh__buf_init(&at->in, &mesh__mem_system, (size_t)1 << 20);
    return at;
}

/* Hands are shaken, then each head that comes is answered. */
static void tls_line_go_on(struct tls_line *at)
{
    char bytes[1024];
    if (at->want == TLS_WANTS_READ)
        at->want = mesh__tls_handshake(at->tls, certificates_now() * NANOS_S);
    if (at->want == TLS_FAILED)
        mesh__memory_finish(at->connection, FLIGHT);
    if (at->want != TLS_DONE)
        return;
    ssize_t got = mesh__tls_read(at->tls, bytes, sizeof(bytes));
    if (got < 4 || scene.answer == NULL || memcmp(bytes + got - 4, "\r\n\r\n", 4) != 0)
        return;
    struct iovec answer = { (char *)(uintptr_t)scene.answer, strlen(scene.answer) };
    at->line->answered++;
    ck_assert_int_eq(mesh__tls_write(at->tls, &answer, 1), (ssize_t)answer.iov_len);
    if (secured.says_end)
        mesh__tls_finish(at->tls);
    if (secured.then_leave)
        mesh__memory_finish(at->connection, FLIGHT);
}

static void tls_line_received(void *state, struct memory_connection *connection, const char *bytes, size_t size)
{
    static const struct tls_io io = { tls_line_read, tls_line_write };
    struct tls_line *at = state;
    if (secured.silent)
        return;
    if (at->tls == NULL && bytes[0] != 0x16) { /* it does not begin as a handshake does */
        line_received(at->line, connection, bytes, size);
        return;
    }
    if (at->tls == NULL) {
        at->tls = mesh__tls_accept(secured.bench, secured.accepts);
        ck_assert_ptr_nonnull(at->tls);
        mesh__tls_set_io(at->tls, &io, at);
    }
    ck_assert(mesh__buf_append(&at->in, bytes, size));
    tls_line_go_on(at);
}

static void tls_line_closed(void *state, struct memory_connection *connection)
{
    struct tls_line *at = state;
    line_closed(at->line, connection);
    at->connection = NULL;
    mesh__tls_close(at->tls);
    mesh__buf_fini(&at->in);
    free(at);
}

static const struct memory_peer tls_peer = { tls_line_opened, tls_line_received, tls_line_closed };

static struct tls_spec *client_spec(const struct issued *own, const char *peer)
{
    struct spiffe_pattern expected;
    if (peer)
        ck_assert_ptr_null(mesh__spiffe_parse_pattern(mesh__view_of(peer), &expected));
    struct tls_settings settings = { .with_certificate = true,
                                     .demand = { .peers = &expected, .peer_count = peer != NULL } };
    struct tls_identity *identity = certificates_identity(own, secured.authority.certificate);
    struct tls_spec *spec = certificates_spec(identity, TLS_CLIENT, &settings);
    mesh__tls_identity_unref(identity);
    return spec;
}

/* Connections are made so from now on. */
static void secure(struct tls_spec *spec)
{
    struct pool_security security = { .spec = spec, .handshake_timeout = PATIENCE };
    mesh__pool_group_secure(&scene.group, &security);
}

static void tls_setup(void)
{
    scene_listens = &tls_peer;
    scene_setup();
    scene.turns = 16;
    memset(&secured, 0, sizeof(secured));
    mesh__tls_desk_init(&secured.desk, &scene.loop, NULL);
    scene.group.desk = &secured.desk;
    secured.bench = mesh__tls_bench_new(&mesh__mem_system);
    certificates_authority(&secured.authority);
    certificates_svid(&secured.authority, "payment", &secured.leaf);
    struct tls_identity *identity = certificates_identity(&secured.leaf, secured.authority.certificate);
    secured.accepts = certificates_spec(identity, TLS_SERVER, NULL);
    mesh__tls_identity_unref(identity);
    for (int i = 0; i < 2; i++)
        certificates_svid(&secured.authority, "order", &secured.own[i]);
    secured.old = client_spec(&secured.own[0], NULL);
    secured.new = client_spec(&secured.own[1], NULL);
    secured.choosy = client_spec(&secured.own[0], "spiffe://shop/stock");
}

static void tls_teardown(void)
{
    for (int i = 0; i < 2; i++) {
        if (scene.pools[i])
            mesh__pool_free(scene.pools[i]);
        scene.pools[i] = NULL;
        issued_free(&secured.own[i]);
    }
    mesh__pool_group_fini(&scene.group);
    mesh__tls_desk_fini(&secured.desk);
    mesh__tls_bench_free(secured.bench);
    struct tls_spec *specs[] = { secured.accepts, secured.old, secured.new, secured.choosy };
    for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++)
        mesh__tls_spec_unref(specs[i]);
    issued_free(&secured.authority);
    issued_free(&secured.leaf);
    scene_teardown();
}

#endif
