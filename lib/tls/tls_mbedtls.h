/* SPDX-License-Identifier: Apache-2.0 */
/* tls_mbedtls.h - what the files of the mbedTLS backend share. Nothing else includes it.
 *
 * An identity and a spec hold bytes and settings and are read by all threads (what of a spec changes is under its
 * mutex). A setup is what one bench parsed for one spec: mbedTLS computes tables inside keys and authorities when it
 * first uses them, so a setup's are touched on its bench's thread only; open connections read the configuration alone,
 * which nobody writes. The last of bench and connections frees it. */
#ifndef MESH__TLS_TLS_MBEDTLS_H
#define MESH__TLS_TLS_MBEDTLS_H

/* Reads the peer's alert, the leaf's key usage and the session, for which there are no functions in both versions. */
#define MBEDTLS_ALLOW_PRIVATE_ACCESS

#include "tls/tls.h"

#include <mbedtls/platform.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crl.h>
#include <mbedtls/x509_crt.h>
#include <pthread.h>

/* What reading gives when a session of TLS 1.3 came, which 2.28 never does. */
#if defined(MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET)
#define TLS_TICKET_CAME MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET
#else
#define TLS_TICKET_CAME (-0x7FFFFFFF)
#endif

/* ---- identity_mbedtls.c ---- */

struct tls_bundle {
    struct view name, pem;
};

/* Texts end with a NUL behind their last byte, as mbedTLS's PEM reader wants it. */
struct tls_identity {
    struct mem mem;
    struct refs refs;
    struct view certificate, key, crl; /* empty: none */
    struct tls_bundle *bundles;
    size_t bundle_count;
    char *id;           /* "" without one */
    int64_t not_after;  /* Unix ns */
    bool for_sides[2];  /* by enum tls_side: the certificate may be shown there */
    const char *why[2]; /* why not; static */
};

/* Index of a bundle; -1: none of that name. */
int mesh__tls_find_bundle(const struct tls_identity *, struct view name);

/* ---- pem_mbedtls.c ---- */

/* Parse whole or fail with what is wrong in `words`. MESH_OK, MESH_NO_MEMORY or MESH_ECONFIG. */
mesh_status mesh__tls_parse_certificates(struct view pem, mbedtls_x509_crt *out, char words[200]);
mesh_status mesh__tls_parse_revocations(struct view pem, mbedtls_x509_crl *out, char words[200]);
mesh_status mesh__tls_parse_key(struct view pem, mbedtls_pk_context *out, char words[200]);

/* ---- version_mbedtls.c: what 2.28 and 3.6 write differently, and the algorithms that are allowed ---- */

int mesh__tls_random(void *unused, unsigned char *bytes, size_t size);
int mesh__tls_read_key(mbedtls_pk_context *, struct view pem);
bool mesh__tls_key_fits(mbedtls_x509_crt *, mbedtls_pk_context *);
bool mesh__tls_backend_ready(void); /* false: what it needs before its first use failed */
void mesh__tls_allow_algorithms(mbedtls_ssl_config *);
struct tls_setup;
void mesh__tls_keep_ids(mbedtls_ssl_config *, struct tls_setup *);
bool mesh__tls_is_memory_error(int error);

/* Called when a handshake asks for input: all that was written has left mbedTLS. */
void mesh__tls_flight_sent(mbedtls_ssl_context *);

/* A session of TLS 1.3 has come that has not been taken yet: whatever is asked of mbedTLS next takes it, and first
 * writes what a write holds back. */
bool mesh__tls_ticket_waits(const mbedtls_ssl_context *);

/* Called before mbedTLS sends the alert that refuses the peer's certificate. */
void mesh__tls_before_refusal(mbedtls_ssl_context *);
extern const mbedtls_x509_crt_profile mesh__tls_profile;

/* What is too weak in a certificate that is no anchor; NULL: nothing. Static. */
const char *mesh__tls_weakness(const mbedtls_x509_crt *);

/* ---- leaf_mbedtls.c ---- */

/* Views into the certificate; `sans` is owned. */
struct tls_facts {
    struct tls_leaf leaf;
    struct tls_san *sans;
};

bool mesh__tls_facts_init(struct tls_facts *, const struct mem *, const mbedtls_x509_crt *); /* false: no memory */
void mesh__tls_facts_fini(struct tls_facts *, const struct mem *);

/* The id in the only URI; false when there is none. */
bool mesh__tls_facts_id(const struct tls_facts *, struct spiffe_id *);

int64_t mesh__tls_seconds(const mbedtls_x509_time *);               /* Unix; as UTC */
const char *mesh__tls_date(int64_t seconds, char text[32]);         /* "2026-11-20T10:00:00Z" */
int64_t mesh__tls_nanos(int64_t seconds);                           /* saturates */
const char *mesh__tls_subject(const mbedtls_x509_crt *, char[120]); /* its SPIFFE id or distinguished name, cut */

/* ---- spec_mbedtls.c, session_mbedtls.c ---- */

/* What was verified when a session began, and is judged again when it is resumed. */
struct tls_record {
    struct view leaf;              /* DER; empty: the peer needs no certificate */
    int64_t not_before, not_after; /* Unix seconds, of the whole chain */
};

#define TLS_LEAF_MAX 6144 /* bytes of DER; sessions with larger leaves are not resumed */

struct tls_session_entry {
    struct tls_session_entry *next;
    char *peer;
    unsigned char *bytes; /* of mbedTLS's session, the leaf behind them */
    size_t size;
    struct tls_record record;
};

struct tls_sessions {
    pthread_mutex_t mutex;
    struct tls_session_entry *first; /* latest first */
    size_t count;
};

struct tls_ticket_key {
    unsigned char name[16], key[32];
    int64_t born; /* Unix seconds */
    bool live;
};

struct tls_ticket_keys {
    pthread_mutex_t mutex;
    struct tls_ticket_key keys[2];
    int active;
};

struct tls_spec {
    struct mem mem;
    struct refs refs;    /* what keeps the memory: all holders together, and each setup */
    struct refs holders; /* the references of users */
    struct tls_identity *identity;
    enum tls_side side;
    struct tls_settings settings; /* arrays and texts in `block` */
    char *block;
    const char **alpn; /* NULL at its end; NULL: none */
    int bundle;        /* the only one that counts; -1: the peer's trust domain picks it, or none counts */
    struct tls_sessions sessions;
    struct tls_ticket_keys tickets;
};

bool mesh__tls_spec_held(struct tls_spec *);    /* by anybody but setups */
void mesh__tls_spec_release(struct tls_spec *); /* a setup's reference */

void mesh__tls_sessions_init(struct tls_sessions *);
void mesh__tls_sessions_fini(struct tls_sessions *, const struct mem *);
void mesh__tls_tickets_init(struct tls_ticket_keys *);
void mesh__tls_tickets_fini(struct tls_ticket_keys *);

struct tls_connection;

/* Client: offers what is known for the connection's peer; keeps what the connection has now; drops what is known. */
void mesh__tls_session_offer(struct tls_connection *);
void mesh__tls_session_keep(struct tls_connection *);
void mesh__tls_session_forget(struct tls_connection *);

/* Server: mbedTLS's callbacks for tickets; `setup` is a struct tls_setup. */
int mesh__tls_ticket_write(void *setup, const mbedtls_ssl_session *, unsigned char *start, const unsigned char *end,
                           size_t *size, uint32_t *lifetime);
int mesh__tls_ticket_parse(void *setup, mbedtls_ssl_session *, unsigned char *bytes, size_t size);

/* Server: sessions by their ids, of clients that take no tickets. */
void mesh__tls_id_keep(struct tls_setup *, const unsigned char *id, size_t id_size, const mbedtls_ssl_session *);
bool mesh__tls_id_find(struct tls_setup *, const unsigned char *id, size_t id_size, mbedtls_ssl_session *out);

/* ---- bench_mbedtls.c ---- */

struct tls_setup {
    struct mem mem;
    struct refs refs;
    struct tls_setup *next; /* in its bench */
    struct tls_spec *spec;
    struct tls_connection *current; /* whose handshake step runs */
    mbedtls_ssl_config config;
    mbedtls_x509_crt chain;
    mbedtls_pk_context key;
    mbedtls_x509_crt *anchors; /* one for each bundle of the identity; parsed where the settings need them */
    mbedtls_x509_crl crl;
};

/* The bench's setup for a spec, referenced for the caller; NULL when memory is out. */
struct tls_setup *mesh__tls_setup_get(struct tls_bench *, struct tls_spec *);
void mesh__tls_setup_unref(struct tls_setup *);

/* ---- judge_mbedtls.c ---- */

/* What mbedTLS found in a chain, from its anchor down to the leaf. Dates are judged here, by the time of the handshake.
 */
struct tls_chain {
    uint32_t flags;                /* but those of dates and of the common name */
    int64_t not_before, not_after; /* Unix seconds; what all certificates and revocation lists share */
    mesh_status dated;             /* MESH_OK, or what is wrong with a date; of the certificate nearest to the leaf */
    char words[160];
};

/* What was found out about the peer's certificate in this handshake. */
struct tls_verdict {
    bool begun;                /* the chain has its first certificate */
    bool judged;               /* a chain was shown and judged in this handshake */
    bool from_session;         /* a session's record was judged */
    mesh_status status;        /* words in the report */
    char *peer_id, *peer_name; /* owned; NULL: none, or unverified */
    unsigned char *leaf;       /* owned copy, where a session may be kept; NULL: none */
    struct tls_record record;  /* `leaf` in it is that copy */
};

/* mbedTLS's callback for each certificate of the peer's chain, the leaf last. `connection` is a struct tls_connection.
 */
int mesh__tls_judge_step(void *connection, mbedtls_x509_crt *, int depth, uint32_t *flags);

/* Judges a session's record as if its chain were shown now, without its signatures. */
bool mesh__tls_judge_record(struct tls_connection *, const struct tls_record *);

void mesh__tls_verdict_fini(struct tls_verdict *, const struct mem *);

/* ---- connection_mbedtls.c, io_mbedtls.c ---- */

#define TLS_AHEAD 1536

struct tls_connection {
    struct tls_setup *setup;
    mbedtls_ssl_context ssl;
    const struct tls_io *io;
    void *user;
    char *peer;  /* owned; NULL: sessions are not kept */
    int64_t now; /* Unix ns of the handshake step */
    struct tls_verdict verdict;
    struct tls_report report;
    struct tls_chain chain; /* of the check that mbedTLS makes in this handshake */
    size_t held;            /* bytes of the record that waits below */
    size_t record_max;      /* payload of one record */
    enum tls_want blocked;  /* what the callbacks below last waited for, in this call */
    int io_error;           /* errno of the callbacks below; 0: none */
    bool started, open, failing;
    bool offered; /* a session */
    bool wrote;   /* the write callback was called in this call */
    bool ended;   /* below: the end was read */
    bool closed;  /* close_notify was read */
    bool broken, write_broken;
    uint16_t ahead_begin, ahead_end;
    unsigned char ahead[TLS_AHEAD];
};

int mesh__tls_io_write(void *connection, const unsigned char *bytes, size_t size);
int mesh__tls_io_read(void *connection, unsigned char *bytes, size_t size);

/* After a write below failed: whether the peer had sent an alert in the clear, which the report then has. */
bool mesh__tls_io_find_alert(struct tls_connection *);

/* ---- report_mbedtls.c ---- */

const char *mesh__tls_alert_name(unsigned char description);
void mesh__tls_report_alert(struct tls_connection *, unsigned char description);
void mesh__tls_report_error(struct tls_connection *, int error); /* of a handshake */
void mesh__tls_report_open(struct tls_connection *);

#endif
