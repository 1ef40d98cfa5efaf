/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_peer.c - our HTTP/2 codec as a server, with bodies and trailers out of a table. */
#include "support/grpc_peer.h"

#include <stdlib.h>

enum { FIELDS = 16, OUT_MAX = 64 << 20 };

struct line {
    struct grpc_peer *peer;
    struct memory_connection *connection;
    struct http2_conn *conn;
};

/* One answer on its way. */
struct reply {
    struct line *line;
    const struct grpc_answer *answer;
    struct http2_stream *stream;
    size_t given;
    mesh_header trailers[FIELDS];
};

static size_t parse(const char *text, mesh_header fields[FIELDS])
{
    size_t count = 0;
    while (text != NULL && *text != '\0') {
        size_t size = strcspn(text, "\n"), name = strcspn(text, ":");
        NEED(count < FIELDS);
        NEED(name + 1 < size);
        fields[count++] = (mesh_header){ text, name, text + name + 2, size - name - 2 };
        text += size + (text[size] == '\n');
    }
    return count;
}

static void send_all(struct line *line)
{
    struct buf out;
    mesh__buf_init(&out, &mesh__mem_system, OUT_MAX);
    while (mesh__http2_wants_write(line->conn)) {
        size_t before = out.size;
        (void)mesh__http2_write(line->conn, &out, OUT_MAX / 2);
        if (out.size == before)
            break;
    }
    if (out.size > 0 && line->connection)
        mesh__memory_send(line->connection, out.data, out.size, 0);
    mesh__buf_fini(&out);
}

static enum body_next next_piece(void *user, size_t most, struct view *bytes, struct http1_field_group *trailers)
{
    struct reply *reply = user;
    struct view body = reply->answer->body;
    size_t left = body.size - reply->given, piece = reply->line->peer->piece;
    size_t size = left < most ? left : most;
    size = piece > 0 && size > piece ? piece : size;
    *bytes = mesh__view(size > 0 ? body.data + reply->given : NULL, size);
    reply->given += size;
    if (reply->given < body.size)
        return BODY_MORE;
    if (reply->answer->reset)
        return BODY_BROKEN;
    if (reply->answer->code != 0)
        return BODY_LATER;
    *trailers = (struct http1_field_group){ reply->trailers, parse(reply->answer->trailers, reply->trailers) };
    return BODY_LAST;
}

static void give(struct reply *reply)
{
    const struct grpc_answer *answer = reply->answer;
    mesh_header fields[FIELDS];
    struct http1_field_group head = { fields, parse(answer->head, fields) };
    bool bare = answer->body.size == 0 && answer->trailers == NULL;
    struct http2_response response = { .status = answer->status, .groups = &head, .group_count = 1, .no_size = true };
    if (!bare)
        response.body = (struct body_source){ .next = next_piece, .next_user = reply, .size = -1 };
    NEED(mesh__http2_respond(reply->stream, &response));
}

static const struct grpc_answer *next_answer(struct grpc_peer *peer)
{
    size_t at = peer->requests < peer->count ? peer->requests : peer->count - 1;
    peer->requests++;
    return &peer->answers[at];
}

static bool on_head(void *user, struct http2_stream *stream, const struct http1_head *head)
{
    struct line *line = user;
    struct grpc_peer *peer = line->peer;
    (void)stream;
    struct buf text;
    mesh__buf_init(&text, &mesh__mem_system, sizeof(peer->fields) - 1);
    for (size_t i = 0; i < head->header_count; i++)
        mesh__buf_printf(&text, "%.*s: %.*s\n", (int)head->headers[i].name_size, head->headers[i].name,
                         (int)head->headers[i].value_size, head->headers[i].value);
    memcpy(peer->fields, mesh__buf_text(&text), text.size + 1);
    mesh__buf_fini(&text);
    NEED(head->path.size < sizeof(peer->path));
    memcpy(peer->path, head->path.data, head->path.size);
    peer->path[head->path.size] = '\0';
    mesh__buf_clear(&peer->body);
    return true;
}

static bool on_body(void *user, struct http2_stream *stream, struct view bytes)
{
    struct line *line = user;
    mesh__http2_consume(stream, bytes.size);
    return mesh__buf_append_view(&line->peer->body, bytes);
}

static bool on_trailers(void *user, struct http2_stream *stream, const mesh_header *headers, size_t count)
{
    (void)user;
    (void)stream;
    (void)headers;
    (void)count;
    return true;
}

static bool on_end(void *user, struct http2_stream *stream)
{
    struct line *line = user;
    const struct grpc_answer *answer = next_answer(line->peer);
    if (answer->status < 0) {
        if (answer->reset)
            mesh__http2_reset(stream, answer->code);
        return true;
    }
    struct reply *reply = calloc(1, sizeof(*reply));
    NEED(reply);
    *reply = (struct reply){ .line = line, .answer = answer, .stream = stream };
    mesh__http2_set_stream_user(stream, reply);
    give(reply);
    return true;
}

static void on_closed(void *user, struct http2_stream *stream, const struct http2_closed *closed)
{
    struct line *line = user;
    line->peer->cancelled += closed->by_peer;
    free(mesh__http2_stream_user(stream));
}

static void on_settings(void *user, uint32_t max_streams)
{
    (void)user;
    (void)max_streams;
}

static void on_goaway(void *user, const struct http2_goaway *goaway)
{
    (void)user;
    (void)goaway;
}

static void on_pong(void *user)
{
    (void)user;
}

static const struct http2_events events = { .head = on_head,
                                            .body = on_body,
                                            .trailers = on_trailers,
                                            .end = on_end,
                                            .closed = on_closed,
                                            .settings = on_settings,
                                            .goaway = on_goaway,
                                            .pong = on_pong };

static void *opened(void *user, struct memory_connection *connection)
{
    struct grpc_peer *peer = user;
    struct line *line = calloc(1, sizeof(*line));
    NEED(line);
    const struct http2_config config = { .role = HTTP2_SERVER,
                                         .limits = { 65536, 100, UINT64_C(1) << 30 },
                                         .max_streams = 100 };
    *line = (struct line){ .peer = peer, .connection = connection };
    line->conn = mesh__http2_new(&peer->pool, &config, &events, line);
    NEED(line->conn);
    peer->connections++;
    send_all(line);
    return line;
}

static void received(void *state, struct memory_connection *connection, const char *bytes, size_t size)
{
    struct line *line = state;
    (void)connection;
    (void)mesh__http2_read(line->conn, bytes, size);
    send_all(line);
}

static void closed(void *state, struct memory_connection *connection)
{
    struct line *line = state;
    (void)connection;
    line->connection = NULL;
    mesh__http2_lost(line->conn, MESH_RESET, "the client has closed");
    mesh__http2_free(line->conn);
    free(line);
}

static const struct memory_peer memory_peer = { opened, received, closed };

void grpc_peer_init(struct grpc_peer *peer)
{
    *peer = (struct grpc_peer){ .piece = 0 };
    mesh__buf_init(&peer->body, &mesh__mem_system, OUT_MAX);
    mesh__http2_pool_init(&peer->pool, &mesh__mem_system, 0);
}

void grpc_peer_fini(struct grpc_peer *peer)
{
    mesh__buf_fini(&peer->body);
    mesh__http2_pool_fini(&peer->pool);
}

void grpc_peer_listen(struct grpc_peer *peer, struct memory_network *network, const char *address)
{
    NEED(mesh__memory_listen(network, address, &memory_peer, peer));
}

bool grpc_peer_saw(const struct grpc_peer *peer, const char *field)
{
    const char *at = strstr(peer->fields, field);
    size_t size = strlen(field);
    while (at && !((at == peer->fields || at[-1] == '\n') && at[size] == '\n'))
        at = strstr(at + 1, field);
    return at != NULL;
}
