/* SPDX-License-Identifier: Apache-2.0 */
/* version_mbedtls.c - what mbedTLS 2.28 and 3.6 write differently, and the algorithms that are allowed: AEAD suites
 * with forward secrecy, TLS 1.2 and later, and no key, curve or hash below 112 bits. */
#include "tls/tls_mbedtls.h"

#include <errno.h>
#include <mbedtls/ecp.h>
#include <mbedtls/error.h>
#include <mbedtls/gcm.h>
#include <mbedtls/pem.h>
#include <sys/random.h>
#include <unistd.h>

#if MBEDTLS_VERSION_NUMBER >= 0x03000000
#include <psa/crypto.h>
#endif

/* Random bytes are the kernel's: no state that a fork would double, no lock. */
int mesh__tls_random(void *unused, unsigned char *bytes, size_t size)
{
    (void)unused;
    while (size > 0) {
        ssize_t got = getrandom(bytes, size, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return MBEDTLS_ERR_SSL_HW_ACCEL_FAILED;
        bytes += got;
        size -= (size_t)got;
    }
    return 0;
}

/* ---- algorithms ---- */

/* ChaCha20-Poly1305 is the fastest suite of this library on processors with and without AES instructions. */
static const int suites[] = {
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
    MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
#endif
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    0,
};

const mbedtls_x509_crt_profile mesh__tls_profile = {
    .allowed_mds = MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA256) | MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA384) |
                   MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA512),
    .allowed_pks = 0xFFFFFFF, /* every kind of key: what counts is its size */
    .allowed_curves = MBEDTLS_X509_ID_FLAG(MBEDTLS_ECP_DP_SECP256R1) | MBEDTLS_X509_ID_FLAG(MBEDTLS_ECP_DP_SECP384R1),
    .rsa_min_bitlen = 2048,
};

#if MBEDTLS_VERSION_NUMBER >= 0x03000000

static const uint16_t groups[] = { MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1, MBEDTLS_SSL_IANA_TLS_GROUP_X25519,
                                   MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1, 0 };
static const uint16_t signatures[] = { MBEDTLS_TLS1_3_SIG_ECDSA_SECP256R1_SHA256,
                                       MBEDTLS_TLS1_3_SIG_ECDSA_SECP384R1_SHA384,
                                       MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA256,
                                       MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA384,
                                       MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA512,
                                       MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA256,
                                       MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA384,
                                       MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA512,
                                       MBEDTLS_TLS1_3_SIG_NONE };

/* TLS 1.3 takes its randomness from PSA's generator, which a child would share with its parent: in a process forked
 * from the one that set it up, connections are TLS 1.2, whose randomness is the kernel's. */
static pid_t psa_process;

static bool start_psa(void)
{
    psa_process = getpid();
    return psa_crypto_init() == PSA_SUCCESS;
}

static void allow_versions(mbedtls_ssl_config *config)
{
    mbedtls_ssl_conf_min_tls_version(config, MBEDTLS_SSL_VERSION_TLS1_2);
    mbedtls_ssl_conf_max_tls_version(config,
                                     psa_process == getpid() ? MBEDTLS_SSL_VERSION_TLS1_3 : MBEDTLS_SSL_VERSION_TLS1_2);
    mbedtls_ssl_conf_tls13_key_exchange_modes(config, MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL_ALL);
    mbedtls_ssl_conf_tls13_enable_signal_new_session_tickets(config,
                                                             MBEDTLS_SSL_TLS1_3_SIGNAL_NEW_SESSION_TICKETS_ENABLED);
    mbedtls_ssl_conf_groups(config, groups);
    mbedtls_ssl_conf_sig_algs(config, signatures);
}

int mesh__tls_read_key(mbedtls_pk_context *key, struct view pem)
{
    return mbedtls_pk_parse_key(key, (const unsigned char *)pem.data, pem.size + 1, NULL, 0, mesh__tls_random, NULL);
}

bool mesh__tls_key_fits(mbedtls_x509_crt *certificate, mbedtls_pk_context *key)
{
    return mbedtls_pk_check_pair(&certificate->pk, key, mesh__tls_random, NULL) == 0;
}

/* Behind its Finished a server of TLS 1.3 writes with the application's keys (RFC 8446, section 2): mbedTLS takes them
 * up only at the end of the handshake, so that clients could not read an alert about their certificate. */
void mesh__tls_flight_sent(mbedtls_ssl_context *ssl)
{
    if (ssl->conf->endpoint != MBEDTLS_SSL_IS_SERVER || ssl->tls_version != MBEDTLS_SSL_VERSION_TLS1_3 ||
        ssl->transform_application == NULL || ssl->transform_out == ssl->transform_application || ssl->out_left > 0)
        return;
    ssl->transform_out = ssl->transform_application;
    memset(ssl->cur_out_ctr, 0, sizeof(ssl->cur_out_ctr));
}

bool mesh__tls_ticket_waits(const mbedtls_ssl_context *ssl)
{
    return ssl->conf->endpoint == MBEDTLS_SSL_IS_CLIENT && ssl->state == MBEDTLS_SSL_TLS1_3_NEW_SESSION_TICKET;
}

/* A client of TLS 1.3 that refuses the server's certificate says so with the handshake's keys, with which it reads
 * already: mbedTLS would write in the clear, and its own servers could not read that. */
void mesh__tls_before_refusal(mbedtls_ssl_context *ssl)
{
    if (ssl->conf->endpoint != MBEDTLS_SSL_IS_CLIENT || ssl->tls_version != MBEDTLS_SSL_VERSION_TLS1_3 ||
        ssl->transform_out != NULL || ssl->transform_in == NULL)
        return;
    ssl->transform_out = ssl->transform_in;
    memset(ssl->cur_out_ctr, 0, sizeof(ssl->cur_out_ctr));
}

#else

static const mbedtls_ecp_group_id groups[] = { MBEDTLS_ECP_DP_SECP256R1, MBEDTLS_ECP_DP_CURVE25519,
                                               MBEDTLS_ECP_DP_SECP384R1, MBEDTLS_ECP_DP_NONE };
static const int signatures[] = { MBEDTLS_MD_SHA256, MBEDTLS_MD_SHA384, MBEDTLS_MD_SHA512, MBEDTLS_MD_NONE };

static bool start_psa(void)
{
    return true;
}

static void allow_versions(mbedtls_ssl_config *config)
{
    mbedtls_ssl_conf_min_version(config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
    mbedtls_ssl_conf_max_version(config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
    mbedtls_ssl_conf_curves(config, groups);
    mbedtls_ssl_conf_sig_hashes(config, signatures);
}

int mesh__tls_read_key(mbedtls_pk_context *key, struct view pem)
{
    return mbedtls_pk_parse_key(key, (const unsigned char *)pem.data, pem.size + 1, NULL, 0);
}

bool mesh__tls_key_fits(mbedtls_x509_crt *certificate, mbedtls_pk_context *key)
{
    return mbedtls_pk_check_pair(&certificate->pk, key) == 0;
}

void mesh__tls_flight_sent(mbedtls_ssl_context *ssl)
{
    (void)ssl;
}

bool mesh__tls_ticket_waits(const mbedtls_ssl_context *ssl)
{
    (void)ssl;
    return false;
}

void mesh__tls_before_refusal(mbedtls_ssl_context *ssl)
{
    (void)ssl;
}

#endif

/* mbedTLS makes its lists of suites and curves and the tables of AES when it first needs them, without a lock. */
static bool make_tables(void)
{
    static const unsigned char key[16];
    mbedtls_gcm_context cipher;
    mbedtls_gcm_init(&cipher);
    bool ok = mbedtls_gcm_setkey(&cipher, MBEDTLS_CIPHER_ID_AES, key, 128) == 0;
    mbedtls_gcm_free(&cipher);
    return ok && mbedtls_ssl_list_ciphersuites() != NULL && mbedtls_ecp_grp_id_list() != NULL;
}

static pthread_once_t backend_once = PTHREAD_ONCE_INIT;
static bool backend_ready;

static void start_backend(void)
{
    backend_ready = make_tables() && start_psa();
}

bool mesh__tls_backend_ready(void)
{
    return pthread_once(&backend_once, start_backend) == 0 && backend_ready;
}

void mesh__tls_allow_algorithms(mbedtls_ssl_config *config)
{
    allow_versions(config);
    mbedtls_ssl_conf_ciphersuites(config, suites);
    mbedtls_ssl_conf_cert_profile(config, &mesh__tls_profile);
    mbedtls_ssl_conf_rng(config, mesh__tls_random, NULL);
    mbedtls_ssl_conf_renegotiation(config, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
    mbedtls_ssl_conf_legacy_renegotiation(config, MBEDTLS_SSL_LEGACY_BREAK_HANDSHAKE);
    mbedtls_ssl_conf_extended_master_secret(config, MBEDTLS_SSL_EXTENDED_MS_ENABLED);
}

const char *mesh__tls_weakness(const mbedtls_x509_crt *certificate)
{
    if (!(mesh__tls_profile.allowed_mds & MBEDTLS_X509_ID_FLAG(certificate->sig_md)))
        return "it is signed with a hash weaker than SHA-256";
    const mbedtls_pk_context *key = &certificate->pk;
    if (mbedtls_pk_can_do(key, MBEDTLS_PK_RSA))
        return mbedtls_pk_get_bitlen(key) < 2048 ? "its RSA key is shorter than 2048 bits" : NULL;
    if (!mbedtls_pk_can_do(key, MBEDTLS_PK_ECKEY) ||
        !(mesh__tls_profile.allowed_curves & MBEDTLS_X509_ID_FLAG(mbedtls_pk_ec(*key)->grp.id)))
        return "its key is neither RSA nor on P-256 or P-384";
    return NULL;
}

/* ---- errors ---- */

/* An error is a module's number in the bits from 7 on, with a lower module's in the rest. */
bool mesh__tls_is_memory_error(int error)
{
    int high = -(-error & ~0x7F), low = -(-error & 0x7F);
    return high == MBEDTLS_ERR_SSL_ALLOC_FAILED || high == MBEDTLS_ERR_X509_ALLOC_FAILED ||
           high == MBEDTLS_ERR_PK_ALLOC_FAILED || high == MBEDTLS_ERR_ECP_ALLOC_FAILED ||
           high == MBEDTLS_ERR_MD_ALLOC_FAILED || high == MBEDTLS_ERR_CIPHER_ALLOC_FAILED ||
           high == MBEDTLS_ERR_PEM_ALLOC_FAILED || low == MBEDTLS_ERR_ASN1_ALLOC_FAILED ||
           low == MBEDTLS_ERR_MPI_ALLOC_FAILED;
}

const char *mesh__tls_backend(void)
{
    return "mbedTLS " MBEDTLS_VERSION_STRING;
}

/* ---- sessions by their ids ---- */

#if MBEDTLS_VERSION_NUMBER >= 0x03000000

static int find_id(void *setup, const unsigned char *id, size_t size, mbedtls_ssl_session *out)
{
    return mesh__tls_id_find(setup, id, size, out) ? 0 : MBEDTLS_ERR_SSL_BAD_INPUT_DATA;
}

static int keep_id(void *setup, const unsigned char *id, size_t size, const mbedtls_ssl_session *session)
{
    mesh__tls_id_keep(setup, id, size, session);
    return 0;
}

#else

static int find_id(void *setup, mbedtls_ssl_session *session)
{
    return mesh__tls_id_find(setup, session->id, session->id_len, session) ? 0 : MBEDTLS_ERR_SSL_BAD_INPUT_DATA;
}

static int keep_id(void *setup, const mbedtls_ssl_session *session)
{
    mesh__tls_id_keep(setup, session->id, session->id_len, session);
    return 0;
}

#endif

void mesh__tls_keep_ids(mbedtls_ssl_config *config, struct tls_setup *setup)
{
    mbedtls_ssl_conf_session_cache(config, setup, find_id, keep_id);
}
