/* SPDX-License-Identifier: Apache-2.0 */
/* mesh/status.h - every status code: number, name, category, whether a retry may help, Envoy response flag, sentence.
 */
#ifndef MESH_STATUS_H
#define MESH_STATUS_H

#include <mesh/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* X(name, number, category, retryable, Envoy response flag, sentence). Numbers are never reused or changed.
 * "Retryable" says whether the same request, sent again later, can succeed without anybody changing the program. */
#define MESH_STATUS_MAP(X)                                                                                             \
    X(OK, 0, OK, 0, "-", "success")                                                                                    \
    X(EINVAL, 1, USAGE, 0, "-", "an argument is not valid")                                                            \
    X(ECONFIG, 2, USAGE, 0, "-", "the configuration was refused")                                                      \
    X(ESERVICE, 3, USAGE, 0, "NR", "the configuration has no such service")                                            \
    X(EREENTRY, 4, USAGE, 0, "-", "this would wait inside a loop that must not wait")                                  \
    X(ESTALE, 5, USAGE, 0, "-", "the call has already ended")                                                          \
    X(ECLOSED, 6, USAGE, 0, "-", "the client or server was closed")                                                    \
    X(EUNSUPPORTED, 7, USAGE, 0, "-", "this build does not have the feature")                                          \
    X(EAGAIN, 8, USAGE, 0, "-", "nothing could be done without waiting")                                               \
    X(CANCELLED, 20, CANCELLED, 0, "DC", "the call was cancelled")                                                     \
    X(DEADLINE, 30, DEADLINE, 1, "UT", "the deadline passed")                                                          \
    X(PER_TRY_TIMEOUT, 31, DEADLINE, 1, "UT", "the attempt took longer than per_try_timeout")                          \
    X(NO_ENDPOINT, 40, NO_ENDPOINT, 1, "UH", "the service has no endpoint")                                            \
    X(NO_SUCH_NAME, 41, NO_ENDPOINT, 1, "UH", "the service's name does not exist in DNS")                              \
    X(DISCOVERY, 42, NO_ENDPOINT, 1, "UH", "the service's endpoints could not be discovered")                          \
    X(OVERLOADED, 50, OVERLOADED, 1, "UO", "a limit of the service was reached")                                       \
    X(BODY_TOO_LARGE, 60, LIMIT, 0, "-", "the response body is larger than max_body")                                  \
    X(HEADER_TOO_LARGE, 61, LIMIT, 0, "-", "the response header is larger than max_header")                            \
    X(TOO_MANY_HEADERS, 62, LIMIT, 0, "-", "the response has more header fields than max_headers")                     \
    X(CONNECT_REFUSED, 70, CONNECT, 1, "UF", "the endpoint refused the connection")                                    \
    X(CONNECT_TIMEOUT, 71, CONNECT, 1, "UF", "connecting took longer than connect_timeout")                            \
    X(CONNECT_UNREACHABLE, 72, CONNECT, 1, "UF", "the endpoint cannot be reached")                                     \
    X(RESET, 80, RESET, 1, "UC", "the connection closed before a response")                                            \
    X(PARTIAL_RESPONSE, 81, RESET, 1, "UC", "the connection closed in the middle of the response")                     \
    X(REFUSED, 82, RESET, 1, "UR", "the peer refused the request before processing it")                                \
    X(TLS_EXPIRED, 90, TLS, 0, "UF", "the peer's certificate has expired")                                             \
    X(TLS_NOT_YET_VALID, 91, TLS, 0, "UF", "the peer's certificate is not valid yet")                                  \
    X(TLS_UNKNOWN_AUTHORITY, 92, TLS, 0, "UF", "the peer's certificate comes from no authority that is trusted")       \
    X(TLS_WRONG_ID, 93, TLS, 0, "UF", "the peer is not one of the expected peers")                                     \
    X(TLS_WRONG_TRUST_DOMAIN, 94, TLS, 0, "UF", "the peer's trust domain is not trusted")                              \
    X(TLS_WRONG_NAME, 95, TLS, 0, "UF", "the peer's certificate is for another name")                                  \
    X(TLS_BAD_CERTIFICATE, 96, TLS, 0, "UF", "the peer's certificate breaks a rule")                                   \
    X(TLS_REVOKED, 97, TLS, 0, "UF", "the peer's certificate was revoked")                                             \
    X(TLS_NO_CERTIFICATE, 98, TLS, 0, "UF", "the peer showed no certificate")                                          \
    X(TLS_REFUSED_BY_PEER, 99, TLS, 0, "UF", "the peer refused the handshake")                                         \
    X(TLS_PROTOCOL, 100, TLS, 0, "UF", "the TLS handshake failed")                                                     \
    X(TLS_TIMEOUT, 101, TLS, 1, "UF", "the TLS handshake took too long")                                               \
    X(TLS_NO_IDENTITY, 102, TLS, 1, "UF", "this program has no certificate or trust to shake hands with")              \
    X(DENIED, 105, DENIED, 0, "UAEX", "a policy forbids it")                                                           \
    X(PROTOCOL, 110, PROTOCOL, 0, "UPE", "the peer broke the protocol")                                                \
    X(NO_MEMORY, 120, RESOURCE, 1, "-", "memory ran out")                                                              \
    X(NO_DESCRIPTORS, 121, RESOURCE, 1, "-", "file descriptors or ports ran out")                                      \
    X(SYSTEM, 122, RESOURCE, 1, "-", "the operating system reported an error")                                         \
    X(EFORKED, 130, FORKED, 0, "-", "this client belongs to the parent process; open a new one after fork")            \
    X(EINTERNAL, 140, INTERNAL, 0, "-", "a defect of the library")

/* X(name, number, text). Categories are what a caller switches on: codes may be added, categories rarely are. */
#define MESH_CATEGORY_MAP(X)                                                                                           \
    X(OK, 0, "ok")                                                                                                     \
    X(USAGE, 1, "usage")                                                                                               \
    X(CANCELLED, 2, "cancelled")                                                                                       \
    X(DEADLINE, 3, "deadline")                                                                                         \
    X(NO_ENDPOINT, 4, "no-endpoint")                                                                                   \
    X(OVERLOADED, 5, "overloaded")                                                                                     \
    X(LIMIT, 6, "limit")                                                                                               \
    X(CONNECT, 7, "connect")                                                                                           \
    X(RESET, 8, "reset")                                                                                               \
    X(TLS, 9, "tls")                                                                                                   \
    X(DENIED, 10, "denied")                                                                                            \
    X(PROTOCOL, 11, "protocol")                                                                                        \
    X(RESOURCE, 12, "resource")                                                                                        \
    X(FORKED, 13, "forked")                                                                                            \
    X(INTERNAL, 14, "internal")

#define MESH_STATUS_ENUM(name, number, category, retryable, flag, sentence) MESH_##name = number,
enum mesh_status_code { MESH_STATUS_MAP(MESH_STATUS_ENUM) MESH_STATUS_LIMIT_ = 255 };
#undef MESH_STATUS_ENUM

#define MESH_CATEGORY_ENUM(name, number, text) MESH_CATEGORY_##name = number,
enum mesh_category { MESH_CATEGORY_MAP(MESH_CATEGORY_ENUM) MESH_CATEGORY_LIMIT_ = 255 };
#undef MESH_CATEGORY_ENUM

/* The code's name without the prefix, as "CONNECT_REFUSED"; "UNKNOWN" for a number that is not in the list. Static. */
MESH_API const char *mesh_status_name(mesh_status status);

/* The code's sentence, as "the endpoint refused the connection". Static; never NULL. */
MESH_API const char *mesh_status_text(mesh_status status);

/* An enum mesh_category; MESH_CATEGORY_INTERNAL for a number that is not in the list. */
MESH_API int32_t mesh_status_category(mesh_status status);

/* The category's text, as "no-endpoint". Static; "unknown" for a number that is not in the list. */
MESH_API const char *mesh_category_name(int32_t category);

/* 1 when the same request may succeed later, else 0. */
MESH_API int32_t mesh_status_retryable(mesh_status status);

/* Envoy's response flag for the code, as "UF"; "-" where Envoy has none. Static. */
MESH_API const char *mesh_status_flag(mesh_status status);

#ifdef __cplusplus
}
#endif
#endif
