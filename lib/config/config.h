/* SPDX-License-Identifier: Apache-2.0 */
/* config.h - the validated document: immutable, reference-counted, every default filled in.
 *
 * Built by mesh__config_build() from a mesh_config; the document's text and cJSON stay inside lib/config. Strings and
 * arrays live as long as the config. One field table (fields.def) makes loader, defaults, JSON Schema and reference
 * page; whatever a field is called or defaults to is said there and nowhere else. */
#ifndef MESH__CONFIG_CONFIG_H
#define MESH__CONFIG_CONFIG_H

#include "balance/balance.h"
#include "base/map.h"
#include "base/mem.h"
#include "policy/authorize.h"
#include "policy/breaker.h"
#include "policy/budget.h"
#include "policy/retry.h"
#include "tls/tls.h"
#include "wire/address.h"

#include <mesh/config.h>

struct endpoint_config {
    struct address address;
    uint32_t weight; /* 1 to 1,000,000 */
};

enum discover_kind { DISCOVER_STATIC, DISCOVER_DNS, DISCOVER_FILE };

struct discover_config {
    enum discover_kind kind;
    const char *host; /* DISCOVER_DNS */
    uint16_t port;
    const char *file;   /* DISCOVER_FILE: resolved against the config's folder */
    mesh_nanos timeout; /* how long a first call waits for endpoints */
};

struct limits_config {
    uint32_t max_connections, max_pending, max_requests;
    uint32_t max_retries; /* UINT32_MAX: unlimited */
};

enum tls_mode {
    TLS_MODE_DISABLE,
    TLS_MODE_SIMPLE, /* only the server shows a certificate */
    TLS_MODE_MUTUAL,
    TLS_MODE_PERMISSIVE /* of a server: mutual, and plain text beside it */
};

/* The settings agree with the mode: what the way of verifying does not use is NULL. In a service `demand.name` is there
 * with TLS_VERIFY_NAME, and `bundle` too when the identity has several. */
struct tls_config {
    enum tls_mode mode;
    struct tls_settings settings;
    mesh_nanos handshake_timeout;
};

/* What is spoken to the endpoints. */
enum protocol {
    PROTOCOL_AUTO, /* over TLS what the peer chooses by ALPN; in plain text HTTP/1.1 */
    PROTOCOL_HTTP1,
    PROTOCOL_HTTP2, /* in plain text by prior knowledge */
};

/* How a thread waits for its call. */
enum wait_mode { WAIT_BLOCK };

struct service_config {
    const char *name;
    struct discover_config discover;
    const struct endpoint_config *endpoints; /* DISCOVER_STATIC */
    uint32_t endpoint_count;
    mesh_nanos timeout, connect_timeout, idle_timeout;
    mesh_nanos max_connection_age;        /* 0: unlimited */
    uint32_t max_requests_per_connection; /* 0: unlimited */
    uint64_t max_body;
    uint32_t max_header, max_headers;
    enum balancer balancer;
    enum protocol protocol;
    const char *authority;      /* never NULL: DNS name (with a port that is not the default), else service name */
    const mesh_header *headers; /* sent with every request; checked */
    size_t header_count;
    struct retry_config retry;
    struct budget_config budget;
    struct breaker_config breaker;
    bool breaker_enabled;
    struct limits_config limits;
    struct tls_config tls;              /* this side is the client */
    const struct access_policy *access; /* judged for each connection; NULL: none */
};

struct server_config {
    const char *name;
    struct address listen;
    uint32_t workers;     /* 0: handlers run on the loop */
    uint32_t max_pending; /* requests that wait for a worker */
    uint32_t max_connections;
    uint32_t max_streams; /* exchanges of one HTTP/2 connection at once */
    uint64_t max_body;
    uint32_t max_header, max_headers;
    mesh_nanos idle_timeout;    /* of a connection between requests */
    mesh_nanos request_timeout; /* from the first byte of a request to its last */
    struct tls_config tls;
    const struct access_policy *access; /* judged for each request; NULL: none */
};

struct dns_config {
    const struct address *servers; /* none: as /etc/resolv.conf says */
    uint32_t server_count;
    mesh_nanos timeout; /* of the first try of one query to one server */
    uint32_t tries;
};

/* Authorities in a file. */
struct trust_config {
    const char *name; /* the trust domain, or another name of that form */
    const char *file;
};

/* Files, which need not be there yet; paths are resolved against the config's folder. */
struct identity_config {
    const char *certificate, *key; /* both or neither; neither: trust only */
    const struct trust_config *trust;
    uint32_t trust_count; /* at least 1 */
    const char *crl;      /* NULL: none */
    mesh_nanos expiry_warning;
};

struct config {
    struct refs refs;
    struct mem mem;
    const struct service_config *services; /* in the order of the document */
    uint32_t service_count;
    const struct server_config *servers;
    uint32_t server_count;
    struct dns_config dns;
    const struct identity_config *identity; /* NULL: none, and then nobody does TLS */
    uint32_t handshake_threads;             /* 0: hands are shaken on the loops */
    enum wait_mode wait;
    struct map by_name; /* service name -> struct service_config */
    const char *json;   /* the document as it was judged, compact; for mesh_client_inspect() */
};

/* Judges the document and builds it. On MESH_ECONFIG `*error` has every error, one a line. `warnings` may be NULL. */
mesh_status mesh__config_build(const mesh_config *document, const struct mem *mem, struct config **out,
                               mesh_error **error, mesh_error **warnings);

void mesh__config_ref(struct config *config);
void mesh__config_unref(struct config *config); /* NULL is legal */

/* NULL when there is none. */
const struct service_config *mesh__config_service(const struct config *config, const char *name);
const struct server_config *mesh__config_server(const struct config *config, const char *name);

/* The name of the service that is most like `name`; NULL when none is near. For error messages. */
const char *mesh__config_nearest_service(const struct config *config, const char *name);

/* Reads an endpoints file (a JSON array with the grammar of "endpoints"; an empty one is legal here). On success `*out`
 * is one block from `mem` that the caller frees, or NULL for an empty list. */
mesh_status mesh__config_read_endpoints(const struct mem *mem, const char *text, size_t size, const char *name,
                                        struct endpoint_config **out, uint32_t *count, mesh_error **error);

#endif
