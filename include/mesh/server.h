/* SPDX-License-Identifier: Apache-2.0 */
/* mesh/server.h - the inbound half: a server that hands requests to a handler, with their trace and deadline. */
#ifndef MESH_SERVER_H
#define MESH_SERVER_H

#include <mesh/client.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Called for each request, on a worker thread (`workers` >= 1), where it may block and make calls, or on the server's
 * loop (`workers` 0), where waiting functions answer MESH_EREENTRY. The exchange is the handler's until it ends it by
 * mesh_exchange_reply() or mesh_exchange_drop(), now or later, from any thread, exactly once. */
typedef void (*mesh_handler)(mesh_exchange *exchange, void *user);

/* Called once by a server's loop, which must not wait; see mesh_exchange_on_ready(). */
typedef void (*mesh_ready)(mesh_exchange *exchange, void *user);

/* What to answer. Date, Content-Length and Connection are the server's business. Copied before the function returns. */
typedef struct mesh_reply {
    uint32_t size;
    int32_t status; /* 200 to 599 */
    const mesh_header *headers;
    size_t header_count;
    const void *body;
    size_t body_size;
} mesh_reply;

#define MESH_REPLY_INIT                                                                                                \
    {                                                                                                                  \
        (uint32_t)sizeof(mesh_reply), 200, NULL, 0, NULL, 0                                                            \
    }

/* Does what MESH_REPLY_INIT does. */
MESH_API void mesh_reply_init(mesh_reply *reply);

/* Listens as "servers"/`name` of the config says and serves until closed. Of `options` the allocator, the flags,
 * the log, the span and the audit callback are used; its threads are its own. Where the server does TLS, the files of
 * the config's identity are read now: MESH_ECONFIG names the file that is wrong. From then on they are watched. */
MESH_API MESH_NODISCARD mesh_status mesh_server_open(const mesh_config *config, const char *name,
                                                     const mesh_options *options, mesh_handler handler, void *user,
                                                     mesh_server **out, mesh_error **error);

/* The address listened at, as "127.0.0.1:9001", with the real port where the config says 0. Lives as the server. */
MESH_API const char *mesh_server_address(const mesh_server *server);

/* Stops listening and lets exchanges under way end, for at most `timeout_ns`; then the connections are closed.
 * MESH_DEADLINE if exchanges were cut. MESH_EREENTRY from a handler. */
MESH_API mesh_status mesh_server_close(mesh_server *server, int64_t timeout_ns);

/* Closes at once and gives the server back. Exchanges not yet ended stay valid until they are. Not from a handler. */
MESH_API void mesh_server_free(mesh_server *server);

/* The request. All of it lives until the exchange ends. */
MESH_API const char *mesh_exchange_method(const mesh_exchange *exchange);
MESH_API const char *mesh_exchange_path(const mesh_exchange *exchange);      /* with the query */
MESH_API const char *mesh_exchange_authority(const mesh_exchange *exchange); /* an http:// target's, else Host; or "" */
MESH_API size_t mesh_exchange_header_count(const mesh_exchange *exchange);
MESH_API mesh_status mesh_exchange_header(const mesh_exchange *exchange, size_t index, mesh_header *out);
MESH_API const char *mesh_exchange_header_value(const mesh_exchange *exchange, const char *name); /* NULL: none */
MESH_API const void *mesh_exchange_body(const mesh_exchange *exchange);
MESH_API size_t mesh_exchange_body_size(const mesh_exchange *exchange);

/* Who asks. The id is the SPIFFE id that the peer's certificate proved, as "spiffe://shop/order", and "" where none was
 * proved: without TLS, and in mode "simple", where no client is asked. The address is "127.0.0.1:40312", and "" of a
 * Unix socket. Secure is 1 over TLS and 0 over plain text. Each thread that has the exchange may ask; texts live until
 * it ends, whatever has become of the connection. */
MESH_API const char *mesh_exchange_peer_id(const mesh_exchange *exchange);
MESH_API const char *mesh_exchange_peer_address(const mesh_exchange *exchange);
MESH_API int32_t mesh_exchange_is_secure(const mesh_exchange *exchange);

/* Trace, baggage and deadline of the request, to be handed on in mesh_request.inbound. Lives until the exchange ends.
 */
MESH_API const mesh_inbound *mesh_exchange_inbound(const mesh_exchange *exchange);

/* Answers and ends the exchange, whatever it returns. MESH_ECLOSED when the peer or the server has gone meanwhile,
 * MESH_EINVAL for a reply that cannot be sent (the peer gets 500). */
MESH_API mesh_status mesh_exchange_reply(mesh_exchange *exchange, const mesh_reply *reply);

/* Ends the exchange without an answer of the handler's: the peer gets 500. */
MESH_API void mesh_exchange_drop(mesh_exchange *exchange);

/* ---- bodies in pieces ----
 *
 * A server that is opened with MESH_STREAM_REQUESTS calls its handler when the head of a request has come; its body, of
 * any length, is read by mesh_exchange_read() or _receive(), and mesh_exchange_body() has nothing. A response may go in
 * pieces at any server: mesh_exchange_respond(), then any number of writes, then mesh_exchange_end(). One thread may
 * read while another writes; each function else, and the end of the exchange, comes when neither does.
 *
 * `timeout_ns` is how long to wait: 0 not at all, below 0 as long as it takes, but never beyond the request's deadline
 * (MESH_DEADLINE). MESH_EAGAIN when nothing could be done in time. On the server's loop (`workers` 0) waiting is
 * MESH_EREENTRY: use 0 and mesh_exchange_on_ready(). MESH_ECLOSED, also of a wait, when the peer has reset the request
 * or has gone, or the server is closed: the exchange still has to be ended. */

/* Takes what has come of the body, at most `size` (> 0) bytes. MESH_OK with *got 0: the end; the trailers are there.
 * When it cannot come to its end: MESH_PROTOCOL of a malformed rest, MESH_DEADLINE of a peer that sent nothing for
 * `idle_timeout` while this waited, MESH_HEADER_TOO_LARGE or MESH_TOO_MANY_HEADERS of trailers. A drop then answers
 * with the status that says so. A peer that waits for it is told to go on (100) when this first finds nothing, or a
 * response in pieces begins with 2xx. */
MESH_API MESH_NODISCARD mesh_status mesh_exchange_read(mesh_exchange *exchange, void *space, size_t size,
                                                       int64_t timeout_ns, size_t *got);

/* The fields behind the request's body, once its end was read. They live until the exchange ends. */
MESH_API size_t mesh_exchange_trailer_count(const mesh_exchange *exchange);
MESH_API mesh_status mesh_exchange_trailer(const mesh_exchange *exchange, size_t index, mesh_header *out);
MESH_API const char *mesh_exchange_trailer_value(const mesh_exchange *exchange, const char *name); /* NULL: none */

/* 1 once the peer has reset the request or has gone, so that nobody waits for the answer. Any thread that has it. */
MESH_API int32_t mesh_exchange_is_gone(const mesh_exchange *exchange);

/* Sends the head of the reply, and its body as the first piece; the exchange goes on. Never waits. MESH_EINVAL for what
 * cannot be sent, or the second time; MESH_NO_MEMORY; then nothing was sent. */
MESH_API mesh_status mesh_exchange_respond(mesh_exchange *exchange, const mesh_reply *reply);

/* Sends the next piece, copied: all of it (MESH_OK), or *written (may be NULL) bytes of it, since at most 64 KiB wait
 * for the peer to take them. To HEAD, 204 and 304 it goes nowhere. MESH_EINVAL before mesh_exchange_respond(). */
MESH_API MESH_NODISCARD mesh_status mesh_exchange_write(mesh_exchange *exchange, const void *bytes, size_t size,
                                                        int64_t timeout_ns, size_t *written);

/* Ends the response, with trailers (copied) behind its body, and with it the exchange, whatever it returns; what was
 * written still goes out. A request of which not all has come is cut off. A response that is dropped instead, or ends
 * with MESH_EINVAL (trailers that cannot be sent) or MESH_NO_MEMORY, is never taken for whole by its peer: over HTTP/2
 * the stream is reset with INTERNAL_ERROR, over HTTP/1.1 the connection is. HTTP/1.0 knows no trailers: they go
 * nowhere; and over a Unix socket, which knows no reset, a peer that speaks it cannot tell. */
MESH_API mesh_status mesh_exchange_end(mesh_exchange *exchange, const mesh_header *trailers, size_t count);

/* Has `ready` called by the server's loop, once, when what last answered MESH_EAGAIN is worth trying again, or the peer
 * has gone; never from inside this. It may end the exchange; another thread must not while it is still to come.
 * MESH_ECLOSED, and no call, once the server has been freed; what is still to come then is called before
 * mesh_server_free() returns. */
MESH_API mesh_status mesh_exchange_on_ready(mesh_exchange *exchange, mesh_ready ready, void *user);

/* gRPC: the next message of the request, which lives until the next is asked for; MESH_OK with *message NULL: the end.
 * `max_body` bounds each: MESH_BODY_TOO_LARGE. MESH_PROTOCOL of what is no message, MESH_EUNSUPPORTED of one that is
 * compressed; else as mesh_exchange_read(). A drop then answers with the status that says so. */
MESH_API MESH_NODISCARD mesh_status mesh_exchange_receive(mesh_exchange *exchange, int64_t timeout_ns,
                                                          const void **message, size_t *size);

/* gRPC: sends one message, copied, whole or not at all; before the first, a head, unless there was a
 * mesh_exchange_respond(). One of more than 64 KiB waits until nothing else does. */
MESH_API MESH_NODISCARD mesh_status mesh_exchange_send(mesh_exchange *exchange, const void *message, size_t size,
                                                       int64_t timeout_ns);

/* gRPC: ends the exchange with a status (0 to 16), a message in UTF-8 (NULL or "": none; it is percent-encoded) and
 * more trailers; in a head that ends the stream if none was sent before. As mesh_exchange_end(). */
MESH_API mesh_status mesh_exchange_end_grpc(mesh_exchange *exchange, int32_t status, const char *message,
                                            const mesh_header *trailers, size_t count);

#ifdef __cplusplus
}
#endif
#endif
