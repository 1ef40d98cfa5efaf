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

/* Listens as "servers"/`name` of the config says and serves until closed. Of `options` the allocator, the log, the span
 * and the audit callback are used; its threads are its own. Where the server does TLS, the files of the config's
 * identity are read now: MESH_ECONFIG names the file that is wrong. From then on they are watched. */
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

#ifdef __cplusplus
}
#endif
#endif
