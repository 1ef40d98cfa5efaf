/* SPDX-License-Identifier: Apache-2.0 */
/* connection_mbedtls.c - connections: the handshake step by step, then bytes in and out, and the close. */
#include "tls/tls_mbedtls.h"

#include <errno.h>

#define RECORD_MAX 16384
#define TLS_ALERT_CERTIFICATE_REQUIRED 116
#define EMPTY_MAX 64 /* records without data in one read */

/* ---- life ---- */

static void connection_free(struct tls_connection *connection)
{
    struct tls_setup *setup = connection->setup;
    struct mem mem = setup->mem;
    mbedtls_ssl_free(&connection->ssl);
    mesh__tls_verdict_fini(&connection->verdict, &mem);
    mesh__mem_free(&mem, connection->peer);
    explicit_bzero(connection->ahead, sizeof(connection->ahead));
    mesh__mem_free(&mem, connection);
    mesh__tls_setup_unref(setup);
}

static bool prepare(struct tls_connection *connection)
{
    const struct tls_spec *spec = connection->setup->spec;
    mbedtls_ssl_context *ssl = &connection->ssl;
    if (mbedtls_ssl_setup(ssl, &connection->setup->config) != 0)
        return false;
    mbedtls_ssl_set_bio(ssl, connection, mesh__tls_io_write, mesh__tls_io_read, NULL);
    mbedtls_ssl_set_verify(ssl, mesh__tls_judge_step, connection);
    return spec->side == TLS_SERVER || mbedtls_ssl_set_hostname(ssl, spec->settings.server_name) == 0;
}

static struct tls_connection *connection_new(struct tls_bench *bench, struct tls_spec *spec, const char *peer)
{
    struct tls_setup *setup = mesh__tls_setup_get(bench, spec);
    if (setup == NULL)
        return NULL;
    struct tls_connection *connection = mesh__zalloc(&setup->mem, sizeof(*connection));
    if (connection == NULL) {
        mesh__tls_setup_unref(setup);
        return NULL;
    }
    connection->setup = setup;
    mbedtls_ssl_init(&connection->ssl);
    struct tls_report *report = &connection->report;
    report->version = report->suite = report->alpn = report->peer_id = report->peer_name = report->alert = "";
    bool keep = peer != NULL && spec->settings.resume;
    if (keep)
        connection->peer = mesh__strndup(&setup->mem, peer, strlen(peer));
    if ((keep && connection->peer == NULL) || !prepare(connection)) {
        connection_free(connection);
        return NULL;
    }
    return connection;
}

struct tls_connection *mesh__tls_connect(struct tls_bench *bench, struct tls_spec *spec, const char *peer)
{
    return connection_new(bench, spec, peer);
}

struct tls_connection *mesh__tls_accept(struct tls_bench *bench, struct tls_spec *spec)
{
    return connection_new(bench, spec, NULL);
}

void mesh__tls_set_io(struct tls_connection *connection, const struct tls_io *io, void *user)
{
    connection->io = io;
    connection->user = user;
}

/* ---- handshake ---- */

/* Frees the session's ticket and the leaf, which were kept or never will be. */
static void drop_session(struct tls_connection *connection)
{
    mbedtls_ssl_session *session = connection->ssl.session;
    const struct mem *mem = &connection->setup->mem;
    if (session != NULL && session->ticket != NULL) {
        mbedtls_platform_zeroize(session->ticket, session->ticket_len);
        mbedtls_free(session->ticket);
        session->ticket = NULL;
        session->ticket_len = 0;
    }
    mesh__mem_free(mem, connection->verdict.leaf);
    connection->verdict.leaf = NULL;
    mesh__mem_free(mem, connection->peer);
    connection->peer = NULL;
}

/* Frees what only the handshake needed. In TLS 1.3 the client's tickets are yet to come, and the leaf waits for them.
 */
static void slim(struct tls_connection *connection)
{
    mbedtls_ssl_session *session = connection->ssl.session;
    if (session != NULL && session->peer_cert != NULL) {
        mbedtls_x509_crt_free(session->peer_cert);
        mbedtls_free(session->peer_cert);
        session->peer_cert = NULL;
    }
    if (connection->peer == NULL || strcmp(connection->report.version, "TLSv1.3") != 0)
        drop_session(connection);
}

/* Sends what is held back of an alert; TLS_FAILED once nothing is. */
static enum tls_want flush_alert(struct tls_connection *connection)
{
    connection->failing = true;
    if (connection->ssl.out_left == 0 || connection->write_broken)
        return TLS_FAILED;
    /* With output left this only writes that. */
    return mbedtls_ssl_close_notify(&connection->ssl) == MBEDTLS_ERR_SSL_WANT_WRITE ? TLS_WANTS_WRITE : TLS_FAILED;
}

static enum tls_want fail(struct tls_connection *connection, int error)
{
    struct tls_verdict *verdict = &connection->verdict;
    mesh__tls_report_error(connection, error);
    if (verdict->judged) {
        connection->report.peer_id = verdict->peer_id ? verdict->peer_id : "";
        connection->report.peer_name = verdict->peer_name ? verdict->peer_name : "";
    }
    connection->broken = true;
    mesh__tls_session_forget(connection);
    return flush_alert(connection);
}

/* Whether the peer has been judged, by its chain or by a session's record. */
static bool is_verified(const struct tls_connection *connection)
{
    const struct tls_spec *spec = connection->setup->spec;
    const struct tls_verdict *verdict = &connection->verdict;
    if (spec->side == TLS_SERVER && !spec->settings.with_certificate)
        return true;
    if (verdict->judged)
        return verdict->status == MESH_OK;
    return connection->offered && verdict->from_session && verdict->status == MESH_OK;
}

/* The alert for a peer without certificate. */
static void say_missing(mbedtls_ssl_context *ssl)
{
    bool is_13 = strcmp(mbedtls_ssl_get_version(ssl), "TLSv1.3") == 0;
    (void)mbedtls_ssl_send_alert_message(ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL,
                                         is_13 ? TLS_ALERT_CERTIFICATE_REQUIRED
                                               : MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE);
}

static enum tls_want finish(struct tls_connection *connection)
{
    mbedtls_ssl_context *ssl = &connection->ssl;
    if (!is_verified(connection)) {
        say_missing(ssl);
        return fail(connection, MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE);
    }
    mesh__tls_report_open(connection);
    int most = mbedtls_ssl_get_max_out_record_payload(ssl);
    connection->record_max = most > 0 && most < RECORD_MAX ? (size_t)most : RECORD_MAX;
    connection->open = true;
    mesh__tls_session_keep(connection);
    slim(connection);
    return TLS_DONE;
}

static void begin_call(struct tls_connection *connection)
{
    connection->blocked = TLS_DONE;
    connection->wrote = false;
}

enum tls_want mesh__tls_handshake(struct tls_connection *connection, int64_t unix_ns)
{
    if (connection->open)
        return TLS_DONE;
    begin_call(connection);
    if (connection->broken)
        return connection->failing ? flush_alert(connection) : TLS_FAILED;
    connection->now = unix_ns;
    if (!connection->started)
        mesh__tls_session_offer(connection);
    connection->started = true;
    connection->setup->current = connection;
    int error = mbedtls_ssl_handshake(&connection->ssl);
    connection->setup->current = NULL;
    if (error == 0)
        return finish(connection);
    if (error == MBEDTLS_ERR_SSL_WANT_READ)
        return TLS_WANTS_READ;
    if (error == MBEDTLS_ERR_SSL_WANT_WRITE)
        return TLS_WANTS_WRITE;
    if (error == MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE && !connection->wrote) /* in TLS 1.2 mbedTLS sends no alert */
        say_missing(&connection->ssl);
    return fail(connection, error);
}

const struct tls_report *mesh__tls_report(const struct tls_connection *connection)
{
    return &connection->report;
}

/* ---- reading ---- */

static ssize_t break_reading(struct tls_connection *connection, int error)
{
    if (error == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE)
        mesh__tls_report_alert(connection, connection->ssl.in_msg[1]);
    connection->broken = true;
    return -ECONNRESET;
}

/* One is enough. */
static void take_ticket(struct tls_connection *connection)
{
    mesh__tls_session_keep(connection);
    drop_session(connection);
}

/* mbedTLS would write what is held back while it takes the ticket, and not know that when the write is tried again. So
 * that write takes the ticket, and no other read comes before it. */
static bool waits_for_write(const struct tls_connection *connection)
{
    return connection->held > 0 && mesh__tls_ticket_waits(&connection->ssl);
}

/* Whether mbedTLS gave back control for something that is no data, and more input may be there. */
static bool goes_on(struct tls_connection *connection, int result)
{
    if (result == TLS_TICKET_CAME) {
        take_ticket(connection);
        return true;
    }
    return connection->blocked == TLS_DONE &&
           ((result == 0 && !connection->ended) || result == MBEDTLS_ERR_SSL_WANT_READ);
}

/* All that mbedTLS ever writes while it reads is an alert: it refuses a renegotiation or a broken record, and both end
 * the connection here. */
ssize_t mesh__tls_read(struct tls_connection *connection, void *bytes, size_t size)
{
    if (connection->closed)
        return 0;
    if (!connection->open || connection->broken)
        return -ECONNRESET;
    begin_call(connection);
    int result = 0;
    for (int i = 0; i < EMPTY_MAX; i++) {
        if (waits_for_write(connection))
            return -EAGAIN;
        result = mbedtls_ssl_read(&connection->ssl, bytes, size);
        if (connection->wrote || result > 0 || !goes_on(connection, result))
            break;
    }
    if (connection->wrote)
        return break_reading(connection, result);
    if (result > 0)
        return result;
    if (result == MBEDTLS_ERR_SSL_WANT_READ && connection->blocked == TLS_WANTS_READ)
        return -EAGAIN;
    if (result == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) {
        connection->closed = true;
        return 0;
    }
    return break_reading(connection, result);
}

bool mesh__tls_has_input(const struct tls_connection *connection)
{
    return connection->ahead_begin < connection->ahead_end || mbedtls_ssl_check_pending(&connection->ssl) != 0;
}

/* ---- writing ---- */

/* A place in what the caller gave. */
struct cursor {
    const struct iovec *at, *end;
    size_t offset;
};

static void skip_empty(struct cursor *cursor)
{
    while (cursor->at < cursor->end && cursor->offset >= cursor->at->iov_len) {
        cursor->offset = 0;
        cursor->at++;
    }
}

static void advance(struct cursor *cursor, size_t size)
{
    for (skip_empty(cursor); size > 0 && cursor->at < cursor->end; skip_empty(cursor)) {
        size_t there = cursor->at->iov_len - cursor->offset, taken = there < size ? there : size;
        cursor->offset += taken;
        size -= taken;
    }
}

/* The bytes of the next record: in place when they lie together, else gathered into `room`. */
static const unsigned char *next_record(struct cursor from, size_t most, unsigned char room[RECORD_MAX], size_t *size)
{
    skip_empty(&from);
    *size = 0;
    if (from.at == from.end)
        return NULL;
    size_t there = from.at->iov_len - from.offset;
    if (there >= most || from.at + 1 == from.end) {
        *size = there < most ? there : most;
        return (const unsigned char *)from.at->iov_base + from.offset;
    }
    while (from.at < from.end && *size < most) {
        there = from.at->iov_len - from.offset;
        size_t taken = there < most - *size ? there : most - *size;
        memcpy(room + *size, (const unsigned char *)from.at->iov_base + from.offset, taken);
        *size += taken;
        advance(&from, taken);
    }
    return room;
}

/* Writes what is held back, then takes the ticket. As mbedtls_ssl_write(). */
static int write_before_ticket(struct tls_connection *connection)
{
    int result = mbedtls_ssl_handshake(&connection->ssl);
    if (result == TLS_TICKET_CAME)
        take_ticket(connection);
    return result == TLS_TICKET_CAME || result == 0 ? (int)connection->held : result;
}

/* One record, or the rest of the one that is held back, which mbedTLS has encrypted already: only its length counts. */
static int write_record(struct tls_connection *connection, const struct cursor *cursor, unsigned char room[RECORD_MAX],
                        size_t *size)
{
    const unsigned char *bytes = room;
    room[0] = 0;
    *size = connection->held;
    if (waits_for_write(connection))
        return write_before_ticket(connection);
    if (connection->held == 0)
        bytes = next_record(*cursor, connection->record_max, room, size);
    return *size > 0 ? mbedtls_ssl_write(&connection->ssl, bytes, *size) : 0;
}

ssize_t mesh__tls_write(struct tls_connection *connection, const struct iovec *vector, int count)
{
    unsigned char room[RECORD_MAX];
    struct cursor cursor = { vector, vector + count, 0 };
    ssize_t done = 0;
    if (!connection->open || connection->broken || connection->write_broken)
        return -ECONNRESET;
    begin_call(connection);
    for (;;) {
        size_t size;
        int result = write_record(connection, &cursor, room, &size);
        if (size == 0)
            return done;
        if (result == TLS_TICKET_CAME) {
            take_ticket(connection);
            continue;
        }
        if (result == MBEDTLS_ERR_SSL_WANT_WRITE || result == MBEDTLS_ERR_SSL_WANT_READ) {
            connection->held = size;
            return done > 0 ? done : -EAGAIN;
        }
        if (result <= 0) {
            connection->write_broken = true;
            return done > 0 ? done : -ECONNRESET;
        }
        connection->held = 0;
        advance(&cursor, (size_t)result);
        done += result;
    }
}

/* Without renegotiation, reading waits for input and writing for room; but for a ticket behind a write. */
enum tls_want mesh__tls_wants(const struct tls_connection *connection, bool writing)
{
    return writing || waits_for_write(connection) ? TLS_WANTS_WRITE : TLS_WANTS_READ;
}

/* ---- end ---- */

void mesh__tls_finish(struct tls_connection *connection)
{
    if (connection->open && !connection->broken && !connection->write_broken && connection->io != NULL)
        (void)mbedtls_ssl_close_notify(&connection->ssl);
    connection->write_broken = true; /* nothing may follow */
}

void mesh__tls_close(struct tls_connection *connection)
{
    if (connection == NULL)
        return;
    mesh__tls_finish(connection);
    connection_free(connection);
}
