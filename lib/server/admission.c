/* SPDX-License-Identifier: Apache-2.0 */
/* admission.c - how a connection begins: its peer is named, its first byte looked at, hands are shaken. */
#include "net/socket.h"
#include "net/tls_stream.h"
#include "server/connection.h"

#include <errno.h>
#include <unistd.h>

#define IN_MAX LOOP_SCRATCH_SIZE /* one read */
#define OUT_MAX (SIZE_MAX / 2)
#define FIRST_BYTE_OF_TLS 0x16 /* a record of the handshake; no method of HTTP begins so */

static void use_stream(struct connection *connection, struct stream *stream)
{
    connection->stream = stream;
    stream->ready = mesh__connection_ready;
    stream->user = connection;
    mesh__stream_arm(stream, LOOP_READ);
}

/* From here on the TLS stream has the timer. */
static void shake(struct connection *connection)
{
    mesh_server *server = connection->server;
    const struct tls_plan plan = { .desk = &server->security.desk,
                                   .spec = server->security.spec,
                                   .side = TLS_SERVER,
                                   .timeout = server->settings->tls.handshake_timeout };
    struct stream *stream = NULL;
    int error = mesh__tls_stream_new(&plan, connection->stream, &stream);
    connection->stream = stream;
    if (error) {
        mesh__connection_close(connection);
        return;
    }
    connection->state = CONNECTION_SHAKING;
    connection->epoch = atomic_load(&server->epoch);
    mesh__connection_wait(connection, 0);
    use_stream(connection, stream);
}

static void sniff(struct connection *connection)
{
    unsigned char first;
    ssize_t got = recv(connection->fd, &first, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        mesh__connection_close(connection);
    } else if (first == FIRST_BYTE_OF_TLS) {
        shake(connection);
    } else {
        mesh__http1_side_begin(connection, true);
        mesh__connection_ready(connection, LOOP_READ);
    }
}

/* Hands are shaken: ALPN says what is spoken; without it the first bytes do. */
static void begin_secure(struct connection *connection, const struct tls_report *report)
{
    if (strcmp(report->alpn, "h2") == 0 || strcmp(report->alpn, "istio-h2") == 0)
        mesh__http2_side_begin(connection, NULL, 0);
    else
        mesh__http1_side_begin(connection, report->alpn[0] == '\0');
}

/* Who the peer is, now that it is known. False when memory is out. */
static bool meet(struct connection *connection, const struct tls_report *report)
{
    const struct mem *mem = &connection->server->mem;
    const struct tls_settings *settings = &connection->server->settings->tls.settings;
    bool proved = settings->with_certificate && settings->demand.verify == TLS_VERIFY_SPIFFE;
    struct peer *peer =
        mesh__peer_new(mem, connection->peer->address, true, connection->epoch, proved ? report->peer_id : "");
    if (peer == NULL)
        return false;
    mesh__peer_unref(mem, connection->peer);
    connection->peer = peer;
    return true;
}

/* An alert has been sent where there is one, and must not be lost to a reset. */
static void turn_away(struct connection *connection, const struct tls_state *state, int error)
{
    const mesh_server *server = connection->server;
    const struct tls_report *report = state->report;
    const char *text = state->status != MESH_OK ? mesh_status_text(state->status) : strerrordesc_np(-error);
    bool words = state->words != NULL && state->words[0] != '\0' && strcmp(state->words, text) != 0;
    bool id = report != NULL && report->peer_id[0] != '\0';
    SERVER_LOG(server, MESH_LOG_INFO, "server %s: a connection from %s%s%s was refused: %s%s%s", server->settings->name,
               mesh__peer_name(connection->peer), id ? ", " : "", id ? report->peer_id : "", text, words ? ": " : "",
               words ? state->words : "");
    if (report != NULL && connection->state == CONNECTION_SHAKING)
        mesh__connection_linger(connection);
    else
        mesh__connection_close(connection);
}

static void go_on_shaking(struct connection *connection)
{
    const mesh_server *server = connection->server;
    struct stream *stream = connection->stream;
    struct tls_state state;
    int error = stream->ops->connected(stream);
    if (error == -EINPROGRESS) {
        mesh__stream_arm(stream, LOOP_READ);
        return;
    }
    (void)mesh__tls_stream_state(stream, &state); /* it is one */
    if (error) {
        turn_away(connection, &state, error);
    } else if (!meet(connection, state.report)) {
        mesh__connection_close(connection);
    } else {
        SERVER_LOG(server, MESH_LOG_DEBUG, "server %s: a connection from %s speaks %s, %s%s%s", server->settings->name,
                   mesh__peer_name(connection->peer), state.report->version, state.report->suite,
                   connection->peer->id.text.size > 0 ? ", and is " : "", connection->peer->id.text.data);
        begin_secure(connection, state.report);
    }
}

void mesh__connection_admit(struct connection *connection)
{
    if (connection->state == CONNECTION_SNIFFING)
        sniff(connection);
    else
        go_on_shaking(connection);
}

static void start(struct connection *connection)
{
    const struct server_config *settings = connection->server->settings;
    switch (settings->tls.mode) {
    case TLS_MODE_DISABLE:
        mesh__http1_side_begin(connection, true);
        break;
    case TLS_MODE_PERMISSIVE:
        connection->state = CONNECTION_SNIFFING;
        mesh__connection_wait(connection, settings->idle_timeout);
        break;
    default:
        shake(connection);
        break;
    }
}

static struct peer *name_peer(const struct mem *mem, const struct sockaddr *peer, socklen_t size)
{
    struct address address;
    if (peer->sa_family == AF_UNIX)
        return mesh__peer_new(mem, "", false, 0, "");
    mesh__address_from_socket(peer, size, &address);
    return mesh__peer_new(mem, address.text, false, 0, "");
}

static void free_parts(struct connection *connection, const struct mem *mem)
{
    mesh__http1_reader_free(connection->http1.reader);
    mesh__peer_unref(mem, connection->peer);
    mesh__mem_free(mem, connection);
}

/* What needs memory only. */
static struct connection *make(mesh_server *server, const struct sockaddr *peer, socklen_t peer_size)
{
    struct connection *connection = mesh__zalloc(&server->mem, sizeof(*connection));
    if (connection == NULL)
        return NULL;
    connection->server = server;
    connection->timer.fire = mesh__connection_timeout;
    connection->again.run = mesh__connection_read_on;
    mesh__list_init(&connection->http2.coming);
    mesh__list_init(&connection->http2.serving);
    mesh__list_init(&connection->http2.going);
    mesh__buf_init(&connection->http1.in, &server->mem, IN_MAX);
    mesh__buf_init(&connection->out, &server->mem, OUT_MAX);
    connection->http1.reader = mesh__http1_side_reader(connection);
    connection->peer = name_peer(&server->mem, peer, peer_size);
    /* At any time a connection has one timer, its own or that of its handshake. */
    if (connection->http1.reader != NULL && connection->peer != NULL &&
        mesh__heap_reserve(&server->own.loop.timers, server->own.connection_count + 1 + SERVER_TIMERS))
        return connection;
    free_parts(connection, &server->mem);
    return NULL;
}

int mesh__connection_open(mesh_server *server, int fd, const struct sockaddr *peer, socklen_t peer_size)
{
    struct connection *connection = make(server, peer, peer_size);
    if (connection == NULL) {
        close(fd);
        return -ENOMEM;
    }
    struct stream *stream = NULL;
    int error = mesh__socket_adopt(&server->own.loop, fd, &stream);
    if (error) {
        free_parts(connection, &server->mem);
        return error;
    }
    connection->fd = fd;
    mesh__list_push(&server->own.connections, &connection->link);
    server->own.connection_count++;
    use_stream(connection, stream);
    start(connection);
    return 0;
}
