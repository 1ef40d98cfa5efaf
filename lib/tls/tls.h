/* SPDX-License-Identifier: Apache-2.0 */
/* tls.h - TLS without I/O: identities, what a side demands, and connections that read and write through callbacks.
 *
 * An identity is one epoch of a program's certificate, key and trust: bytes that never change, shared by all threads. A
 * spec is an identity under one side's settings; whatever may be resumed was begun under the same spec, so no session
 * outlives a change of either. The backend's objects are not for several threads: each thread that shakes hands has a
 * bench, which parses a spec's bytes when it first meets it. A connection is made and shaken on a bench's thread; once
 * open it may move to another thread, used by one at a time, and it may outlive its bench.
 *
 * Behind this header is mbedTLS (2.28: TLS 1.2; 3.6: TLS 1.2 and 1.3), none of whose types appear here. */
#ifndef MESH__TLS_TLS_H
#define MESH__TLS_TLS_H

#include "base/buf.h"
#include "base/mem.h"
#include "tls/verify.h"

#include <sys/types.h>
#include <sys/uio.h>

/* ---- identity ---- */

struct tls_identity;

/* A trust domain's authorities. `name`: the trust domain, or any word for authorities of peers that are not SPIFFE. */
struct tls_bundle_source {
    struct view name, pem;
};

/* What an identity is made of; PEM. Without certificate and key: trust only, for modes that need no certificate. */
struct tls_identity_source {
    struct view certificate; /* the leaf, then its intermediates */
    struct view key;
    const struct tls_bundle_source *bundles;
    size_t bundle_count;
    struct view crl; /* empty: none */
};

enum tls_part { TLS_PART_NONE, TLS_PART_CERTIFICATE, TLS_PART_KEY, TLS_PART_BUNDLE, TLS_PART_CRL };

/* Why an identity was refused. */
struct tls_problem {
    enum tls_part part;
    size_t bundle;   /* index, with TLS_PART_BUNDLE */
    char words[200]; /* what is wrong and what was expected, as "the key does not belong to the certificate" */
};

/* MESH_OK, MESH_NO_MEMORY, or MESH_ECONFIG with `problem`: nothing that does not parse whole is accepted, not even one
 * bad certificate among good ones; the key must be the certificate's, the certificate must be in force at `unix_ns`
 * (one that has run out is refused), strong enough, and an X509-SVID if it has a SPIFFE id. Bytes are copied. */
mesh_status mesh__tls_identity_new(const struct mem *, const struct tls_identity_source *, int64_t unix_ns,
                                   struct tls_identity **out, struct tls_problem *problem);
void mesh__tls_identity_ref(struct tls_identity *);
void mesh__tls_identity_unref(struct tls_identity *); /* NULL is legal; the key is wiped */

bool mesh__tls_identity_same(const struct tls_identity *, const struct tls_identity *); /* the same bytes */
bool mesh__tls_identity_has_certificate(const struct tls_identity *);
const char *mesh__tls_identity_id(const struct tls_identity *);    /* its SPIFFE id; "" without one */
int64_t mesh__tls_identity_not_after(const struct tls_identity *); /* Unix ns; of the earliest in the chain; 0: none */
bool mesh__tls_identity_has_bundle(const struct tls_identity *, struct view name);

/* ---- settings and specs ---- */

/* How a side speaks TLS. Strings and arrays are borrowed where it is given, and copied into a spec. */
struct tls_settings {
    bool with_certificate;    /* client: shows its certificate (mutual); server: demands the client's */
    struct tls_demand demand; /* server without with_certificate: unused */
    const char *bundle;       /* TLS_VERIFY_NAME: the bundle that holds the peer's authority; NULL: the only one */
    const char *server_name;  /* client: sent as SNI; NULL: none */
    const char *const *alpn;  /* offered or accepted, best first; `alpn_count` of them; none: no ALPN */
    size_t alpn_count;
    bool resume; /* sessions may be resumed */
};

struct tls_spec;

/* Value by value. */
bool mesh__tls_settings_equal(const struct tls_settings *, const struct tls_settings *);

/* `side` is this side's. MESH_ECONFIG with words when the identity lacks what the settings need. Any thread. */
mesh_status mesh__tls_spec_new(const struct mem *, struct tls_identity *, enum tls_side side,
                               const struct tls_settings *, struct tls_spec **out, struct tls_problem *problem);
void mesh__tls_spec_ref(struct tls_spec *);
void mesh__tls_spec_unref(struct tls_spec *); /* NULL is legal */
const struct tls_identity *mesh__tls_spec_identity(const struct tls_spec *);
const struct tls_settings *mesh__tls_spec_settings(const struct tls_spec *);

/* ---- connections ---- */

/* What one thread shakes hands on. */
struct tls_bench;
struct tls_bench *mesh__tls_bench_new(const struct mem *); /* NULL: no memory */
void mesh__tls_bench_free(struct tls_bench *);             /* NULL is legal */

/* Drops what it has parsed for specs that nobody else holds any more. */
void mesh__tls_bench_sweep(struct tls_bench *);

/* The bytes below. Each gives what was moved, -EAGAIN, or another negative errno; read gives 0 at the end. */
struct tls_io {
    ssize_t (*read)(void *user, void *bytes, size_t size);
    ssize_t (*write)(void *user, const void *bytes, size_t size);
};

struct tls_connection;

/* What is known once hands are shaken, or were refused. Strings live as long as the connection. */
struct tls_report {
    mesh_status status;    /* MESH_OK; else why not: a code of category tls, or MESH_NO_MEMORY */
    char words[200];       /* as "the certificate expired at 2026-11-20T10:00:00Z"; "" when all is well */
    const char *version;   /* "TLSv1.2", "TLSv1.3"; "" until known, likewise below */
    const char *suite;     /* "TLS-ECDHE-ECDSA-WITH-CHACHA20-POLY1305-SHA256" */
    const char *alpn;      /* what was chosen; "" for none */
    const char *peer_id;   /* the peer's SPIFFE id; "" without one */
    const char *peer_name; /* for a person: its first DNS name or IP address; "" without one */
    const char *alert;     /* the peer's alert, as "unknown_ca"; "" without one */
    bool resumed;
};

/* `peer` keys the client's session cache within the spec (an address's text; NULL: neither kept nor resumed). The
 * connection refers to the spec. NULL when memory is out. */
struct tls_connection *mesh__tls_connect(struct tls_bench *, struct tls_spec *, const char *peer);
struct tls_connection *mesh__tls_accept(struct tls_bench *, struct tls_spec *);

/* The bytes below, from now on; between handshake steps and later it may be changed. */
void mesh__tls_set_io(struct tls_connection *, const struct tls_io *, void *user);

enum tls_want { TLS_DONE, TLS_WANTS_READ, TLS_WANTS_WRITE, TLS_FAILED };

/* A step of the handshake, on the bench's thread, with the time for what runs out. After TLS_FAILED (the alert has been
 * written if there is one) the report says why. */
enum tls_want mesh__tls_handshake(struct tls_connection *, int64_t unix_ns);
const struct tls_report *mesh__tls_report(const struct tls_connection *);

/* Once open. Bytes moved; -EAGAIN, and then mesh__tls_wants() says for which event below; 0 from read: close_notify;
 * -ECONNRESET: it ended without one, or broke (renegotiation, a bad record, an alert). A write that gave -EAGAIN holds
 * a record back: its bytes count as not written, and the next write must begin with the same bytes; it may be longer.
 */
ssize_t mesh__tls_read(struct tls_connection *, void *bytes, size_t size);
ssize_t mesh__tls_write(struct tls_connection *, const struct iovec *, int count);
enum tls_want mesh__tls_wants(const struct tls_connection *, bool writing);

/* Decrypted or still encrypted bytes that a read could take without asking below. */
bool mesh__tls_has_input(const struct tls_connection *);

/* Says that nothing more will be written: sends close_notify if it fits. Reading goes on. */
void mesh__tls_finish(struct tls_connection *);

/* Sends close_notify, unless that was sent, if it fits; frees. NULL is legal. Any thread that may use the connection.
 */
void mesh__tls_close(struct tls_connection *);

/* The backend, as "mbedTLS 2.28.3". Static. */
const char *mesh__tls_backend(void);

#endif
