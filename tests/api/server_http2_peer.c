/* SPDX-License-Identifier: Apache-2.0 */
/* server_http2_peer.c - poll(), send() and recv() around the codec. */
#include "api/server_http2_peer.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TURN_BYTES ((size_t)256 << 10)
#define NO_LIMIT (SIZE_MAX / 2)

static void add_text(char *out, size_t room, const char *text, size_t size)
{
    size_t at = strlen(out);
    if (at + size < room)
        (void)snprintf(out + at, room - at, "%.*s", (int)size, text);
}

static void note_fields(struct call *call, const mesh_header *headers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        add_text(call->fields, sizeof(call->fields), headers[i].name, headers[i].name_size);
        add_text(call->fields, sizeof(call->fields), ": ", 2);
        add_text(call->fields, sizeof(call->fields), headers[i].value, headers[i].value_size);
        add_text(call->fields, sizeof(call->fields), "\n", 1);
    }
}

static bool on_head(void *user, struct http2_stream *stream, const struct http1_head *head)
{
    (void)user;
    struct call *call = mesh__http2_stream_user(stream);
    call->status = head->status;
    note_fields(call, head->headers, head->header_count);
    return true;
}

static bool on_body(void *user, struct http2_stream *stream, struct view bytes)
{
    struct caller *caller = user;
    struct call *call = mesh__http2_stream_user(stream);
    if (!caller->hold)
        mesh__http2_consume(stream, bytes.size);
    return mesh__buf_append_view(&call->received, bytes);
}

static bool on_trailers(void *user, struct http2_stream *stream, const mesh_header *headers, size_t count)
{
    (void)user;
    note_fields(mesh__http2_stream_user(stream), headers, count);
    return true;
}

static bool on_end(void *user, struct http2_stream *stream)
{
    (void)user;
    ((struct call *)mesh__http2_stream_user(stream))->ended = true;
    return true;
}

static void on_closed(void *user, struct http2_stream *stream, const struct http2_closed *closed)
{
    struct caller *caller = user;
    struct call *call = mesh__http2_stream_user(stream);
    call->closed = true;
    call->stream = NULL;
    call->outcome = closed->status;
    call->code = closed->code;
    call->by_peer = closed->by_peer;
    call->unprocessed = closed->unprocessed;
    caller->open--;
}

static void on_settings(void *user, uint32_t max_streams)
{
    (void)user;
    (void)max_streams;
}

static void on_goaway(void *user, const struct http2_goaway *goaway)
{
    (void)goaway;
    ((struct caller *)user)->goaways++;
}

static void on_pong(void *user)
{
    (void)user;
}

static const struct http2_events told = { on_head,   on_body,     on_trailers, on_end, NULL,
                                          on_closed, on_settings, on_goaway,   on_pong };

void caller_connect(struct caller *caller, const char *address)
{
    static const struct http2_config config = { .role = HTTP2_CLIENT };
    struct peer peer = peer_connect(address);
    *caller = (struct caller){ .fd = peer.fd };
    mesh__http2_pool_init(&caller->pool, &mesh__mem_system, 1 << 20);
    mesh__buf_init(&caller->out, &mesh__mem_system, NO_LIMIT);
    caller->conn = mesh__http2_new(&caller->pool, &config, &told, caller);
    ck_assert_ptr_nonnull(caller->conn);
}

void caller_close(struct caller *caller)
{
    close(caller->fd);
    mesh__http2_free(caller->conn);
    mesh__buf_fini(&caller->out);
    mesh__http2_pool_fini(&caller->pool);
}

void call_field(struct call *call, const char *name, const char *value)
{
    ck_assert_uint_lt(call->header_count, CALL_FIELDS_MAX);
    call->headers[call->header_count++] = (mesh_header){ name, strlen(name), value, strlen(value) };
}

mesh_status caller_start(struct caller *caller, struct call *call)
{
    const struct http1_field_group group = { call->headers, call->header_count };
    struct http2_request request = { .method = mesh__view_of(call->method != NULL ? call->method : "GET"),
                                     .path = mesh__view_of(call->path != NULL ? call->path : "/"),
                                     .authority = mesh__view_of("x"),
                                     .groups = &group,
                                     .group_count = 1,
                                     .limits = { 60 << 10, 100, NO_LIMIT } };
    request.body.bytes = mesh__view(call->body, call->body_size);
    request.body.next = call->next;
    request.body.next_user = call;
    request.body.size = -1;
    mesh__buf_init(&call->received, &mesh__mem_system, NO_LIMIT);
    mesh_status status = mesh__http2_request(caller->conn, &request, call, &call->stream);
    caller->open += status == MESH_OK ? 1 : 0;
    return status;
}

static void end(struct caller *caller)
{
    caller->gone = true;
    mesh__http2_lost(caller->conn, MESH_RESET, "the server has closed");
}

void caller_flush(struct caller *caller)
{
    (void)mesh__http2_write(caller->conn, &caller->out, TURN_BYTES);
    while (caller->out.size > 0) {
        ssize_t put = send(caller->fd, caller->out.data, caller->out.size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (put < 0 && errno != EAGAIN) /* what came before is still read */
            mesh__buf_clear(&caller->out);
        if (put <= 0)
            break;
        mesh__buf_consume(&caller->out, (size_t)put);
    }
}

static void wait_and_read(struct caller *caller)
{
    char bytes[65536];
    bool more = caller->out.size > 0 || mesh__http2_wants_write(caller->conn);
    struct pollfd poller = { caller->fd, (short)(POLLIN | (more ? POLLOUT : 0)), 0 };
    ck_assert_msg(poll(&poller, 1, PEER_PATIENCE_S * 1000) > 0, "nothing came for %d s", PEER_PATIENCE_S);
    ssize_t got = recv(caller->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN))
        end(caller);
    else if (got > 0)
        (void)mesh__http2_read(caller->conn, bytes, (size_t)got);
}

void caller_step(struct caller *caller)
{
    caller_flush(caller);
    wait_and_read(caller);
}

void caller_run(struct caller *caller, bool (*done)(void *user), void *user)
{
    for (;;) {
        caller_flush(caller);
        if (caller->gone || done(user))
            break;
        wait_and_read(caller);
    }
}

static bool is_closed(void *user)
{
    const struct call *call = user;
    return call->closed;
}

void caller_await(struct caller *caller, struct call *call)
{
    caller_run(caller, is_closed, call);
}

static bool none_open(void *user)
{
    const struct caller *caller = user;
    return caller->open == 0;
}

static bool never(void *user)
{
    (void)user;
    return false;
}

void caller_finish(struct caller *caller)
{
    caller_run(caller, none_open, caller);
}

void caller_until_gone(struct caller *caller)
{
    caller_run(caller, never, NULL);
}

int caller_ask(struct caller *caller, struct call *call)
{
    ck_assert_int_eq(caller_start(caller, call), MESH_OK);
    caller_finish(caller);
    ck_assert(call->closed);
    return call->status;
}

void call_free(struct call *call)
{
    mesh__buf_fini(&call->received);
}

const char *call_value(const struct call *call, const char *name, char out[128])
{
    size_t size = strlen(name);
    out[0] = '\0';
    for (const char *line = call->fields; *line != '\0'; line += strcspn(line, "\n") + 1)
        if (strncmp(line, name, size) == 0 && line[size] == ':')
            (void)snprintf(out, 128, "%.*s", (int)strcspn(line + size + 2, "\n"), line + size + 2);
    return out;
}

/* ---- frames by hand ---- */

void frame_put(struct buf *out, uint8_t type, uint8_t flags, uint32_t stream, const void *payload, size_t size)
{
    const unsigned char head[9] = { (unsigned char)(size >> 16),
                                    (unsigned char)(size >> 8),
                                    (unsigned char)size,
                                    type,
                                    flags,
                                    (unsigned char)(stream >> 24),
                                    (unsigned char)(stream >> 16),
                                    (unsigned char)(stream >> 8),
                                    (unsigned char)stream };
    ck_assert(mesh__buf_append(out, head, sizeof(head)));
    if (size > 0)
        ck_assert(mesh__buf_append(out, payload, size));
}

void frame_open(struct buf *out)
{
    mesh__buf_append_text(out, PREFACE);
    frame_put(out, FRAME_SETTINGS, 0, 0, NULL, 0);
}

/* False at the end of the connection, orderly or not. */
static bool read_exactly(struct peer *peer, unsigned char *out, size_t size)
{
    while (size > 0) {
        ssize_t got = recv(peer->fd, out, size, 0);
        ck_assert_msg(got >= 0 || errno != EAGAIN, "nothing came for %d s", PEER_PATIENCE_S);
        if (got <= 0)
            return false;
        out += got;
        size -= (size_t)got;
    }
    return true;
}

static uint32_t number(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

bool frame_await(struct peer *peer, uint8_t type, struct frame *out)
{
    unsigned char head[9], payload[16384];
    do {
        if (!read_exactly(peer, head, sizeof(head)))
            return false;
        *out = (struct frame){ .type = head[3], .flags = head[4], .stream = number(head + 5) };
        out->size = (uint32_t)head[0] << 16 | (uint32_t)head[1] << 8 | head[2];
        ck_assert_uint_le(out->size, sizeof(payload));
        if (!read_exactly(peer, payload, out->size))
            return false;
        if (out->type == FRAME_RST)
            out->code = number(payload);
        else if (out->type == FRAME_GOAWAY)
            out->last = number(payload), out->code = number(payload + 4);
    } while (out->type != type);
    return true;
}
