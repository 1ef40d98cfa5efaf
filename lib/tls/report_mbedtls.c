/* SPDX-License-Identifier: Apache-2.0 */
/* report_mbedtls.c - what is told of a connection: the peer's alerts, errors as statuses and words, what was agreed. */
#include "tls/tls_mbedtls.h"

#include <mbedtls/error.h>
#include <stdio.h>

static const struct alert {
    unsigned char number;
    bool certificate; /* it speaks of our certificate */
    const char *name;
} alerts[] = {
    { 0, false, "close_notify" },
    { 10, false, "unexpected_message" },
    { 20, false, "bad_record_mac" },
    { 21, false, "decryption_failed" },
    { 22, false, "record_overflow" },
    { 30, false, "decompression_failure" },
    { 40, false, "handshake_failure" },
    { 41, true, "no_certificate" },
    { 42, true, "bad_certificate" },
    { 43, true, "unsupported_certificate" },
    { 44, true, "certificate_revoked" },
    { 45, true, "certificate_expired" },
    { 46, true, "certificate_unknown" },
    { 47, false, "illegal_parameter" },
    { 48, true, "unknown_ca" },
    { 49, true, "access_denied" },
    { 50, false, "decode_error" },
    { 51, false, "decrypt_error" },
    { 60, false, "export_restriction" },
    { 70, false, "protocol_version" },
    { 71, false, "insufficient_security" },
    { 80, false, "internal_error" },
    { 86, false, "inappropriate_fallback" },
    { 90, false, "user_canceled" },
    { 100, false, "no_renegotiation" },
    { 109, false, "missing_extension" },
    { 110, false, "unsupported_extension" },
    { 111, true, "certificate_unobtainable" },
    { 112, false, "unrecognized_name" },
    { 113, true, "bad_certificate_status_response" },
    { 114, true, "bad_certificate_hash_value" },
    { 115, false, "unknown_psk_identity" },
    { 116, true, "certificate_required" },
    { 120, false, "no_application_protocol" },
};

static const struct alert *find_alert(unsigned char number)
{
    static const struct alert other = { 255, false, "unknown_alert" };
    for (size_t i = 0; i < sizeof(alerts) / sizeof(alerts[0]); i++)
        if (alerts[i].number == number)
            return &alerts[i];
    return &other;
}

const char *mesh__tls_alert_name(unsigned char description)
{
    return find_alert(description)->name;
}

void mesh__tls_report_alert(struct tls_connection *connection, unsigned char description)
{
    const struct alert *alert = find_alert(description);
    struct tls_report *report = &connection->report;
    report->status = MESH_TLS_REFUSED_BY_PEER;
    report->alert = alert->name;
    (void)snprintf(report->words, sizeof(report->words), "the peer refused %s: %s",
                   alert->certificate ? "our certificate" : "the handshake", alert->name);
}

static void say(struct tls_report *report, mesh_status status, const char *words)
{
    report->status = status;
    (void)snprintf(report->words, sizeof(report->words), "%s", words);
}

static void say_error(struct tls_report *report, mesh_status status, const char *words, int error)
{
    char text[120];
    mbedtls_strerror(error, text, sizeof(text));
    report->status = status;
    (void)snprintf(report->words, sizeof(report->words), "%s: %s", words, text);
}

/* Below: an end, or an error of the system. */
static void report_io(struct tls_connection *connection)
{
    struct tls_report *report = &connection->report;
    if (connection->write_broken && mesh__tls_io_find_alert(connection))
        return;
    if (connection->ended)
        say(report, MESH_TLS_PROTOCOL, "the peer closed the connection during the handshake");
    else
        (void)snprintf(report->words, sizeof(report->words), "the connection broke during the handshake: %s",
                       strerrordesc_np(connection->io_error));
    report->status = MESH_TLS_PROTOCOL;
}

static bool is_certificate_error(int error)
{
    int high = -(-error & ~0x7F);
    return (high <= MBEDTLS_ERR_X509_FEATURE_UNAVAILABLE && high >= MBEDTLS_ERR_X509_FATAL_ERROR) ||
           error == MBEDTLS_ERR_X509_FATAL_ERROR || high == MBEDTLS_ERR_PK_KEY_INVALID_FORMAT ||
           high == MBEDTLS_ERR_PK_UNKNOWN_PK_ALG || high == MBEDTLS_ERR_PK_UNKNOWN_NAMED_CURVE ||
           high == MBEDTLS_ERR_PK_INVALID_PUBKEY;
}

void mesh__tls_report_error(struct tls_connection *connection, int error)
{
    struct tls_report *report = &connection->report;
    const struct tls_verdict *verdict = &connection->verdict;
    if (verdict->judged && verdict->status != MESH_OK)
        report->status = verdict->status; /* its words are there */
    else if (error == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE)
        mesh__tls_report_alert(connection, connection->ssl.in_msg[1]);
    else if (error == MBEDTLS_ERR_SSL_CONN_EOF)
        report_io(connection);
    else if (mesh__tls_is_memory_error(error))
        say(report, MESH_NO_MEMORY, "memory ran out");
    else if (error == MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE)
        say(report, MESH_TLS_NO_CERTIFICATE, "the peer showed no certificate");
    else if (verdict->judged && mbedtls_ssl_get_verify_result(&connection->ssl) != 0)
        say(report, MESH_TLS_BAD_CERTIFICATE, "the certificate's key or usage does not serve this handshake");
    else if (is_certificate_error(error))
        say_error(report, MESH_TLS_BAD_CERTIFICATE, "the peer's certificate cannot be read", error);
    else
        say_error(report, MESH_TLS_PROTOCOL, "the handshake failed", error);
}

void mesh__tls_report_open(struct tls_connection *connection)
{
    struct tls_report *report = &connection->report;
    const struct tls_verdict *verdict = &connection->verdict;
    const char *suite = mbedtls_ssl_get_ciphersuite(&connection->ssl);
    const char *alpn = mbedtls_ssl_get_alpn_protocol(&connection->ssl);
    report->status = MESH_OK;
    report->words[0] = '\0';
    report->version = mbedtls_ssl_get_version(&connection->ssl);
    report->suite = suite ? suite : "";
    report->alpn = alpn ? alpn : "";
    report->peer_id = verdict->peer_id ? verdict->peer_id : "";
    report->peer_name = verdict->peer_name ? verdict->peer_name : "";
    report->resumed = connection->offered && !verdict->judged;
}
