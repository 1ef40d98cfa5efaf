/* SPDX-License-Identifier: Apache-2.0 */
/* mesh/call.h - requests, results, cancellation tokens and inbound context. */
#ifndef MESH_CALL_H
#define MESH_CALL_H

#include <mesh/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Flags of a request. */
enum mesh_request_flag {
    MESH_COPY_BODY = 1, /* copy the body at the start; else an asynchronous call borrows it until it completes */
    MESH_NO_RETRY = 2,  /* one attempt, whatever the service's configuration says; what never got to the peer, since its
                           connection was about to close, is sent once more */
    MESH_GRPC = 4       /* a gRPC call: `body` is one message, framed by the library; `method` is NULL or "POST" */
};

/* How a gRPC call ends (grpc/doc/statuscodes.md). X(name, number) */
#define MESH_GRPC_STATUS_MAP(X)                                                                                        \
    X(OK, 0)                                                                                                           \
    X(CANCELLED, 1)                                                                                                    \
    X(UNKNOWN, 2)                                                                                                      \
    X(INVALID_ARGUMENT, 3)                                                                                             \
    X(DEADLINE_EXCEEDED, 4)                                                                                            \
    X(NOT_FOUND, 5)                                                                                                    \
    X(ALREADY_EXISTS, 6)                                                                                               \
    X(PERMISSION_DENIED, 7)                                                                                            \
    X(RESOURCE_EXHAUSTED, 8)                                                                                           \
    X(FAILED_PRECONDITION, 9)                                                                                          \
    X(ABORTED, 10)                                                                                                     \
    X(OUT_OF_RANGE, 11)                                                                                                \
    X(UNIMPLEMENTED, 12)                                                                                               \
    X(INTERNAL, 13)                                                                                                    \
    X(UNAVAILABLE, 14)                                                                                                 \
    X(DATA_LOSS, 15)                                                                                                   \
    X(UNAUTHENTICATED, 16)

#define MESH_GRPC_STATUS_ENUM(name, number) MESH_GRPC_##name = number,
enum mesh_grpc_status { MESH_GRPC_STATUS_MAP(MESH_GRPC_STATUS_ENUM) MESH_GRPC_STATUS_LIMIT_ = 255 };
#undef MESH_GRPC_STATUS_ENUM

/* A choice that may be left to the configuration. */
enum mesh_choice { MESH_UNSET = 0, MESH_YES = 1, MESH_NO = 2 };

/* One request. Everything but the body (see MESH_COPY_BODY) is copied before the call that takes it returns. */
typedef struct mesh_request {
    uint32_t size;
    uint32_t flags;             /* enum mesh_request_flag, or-ed */
    const char *method;         /* an HTTP token; NULL means "GET" */
    const char *path;           /* origin form with query, as "/charge?x=1"; NULL means "/" */
    const char *authority;      /* Host; NULL means what the service says */
    const mesh_header *headers; /* sent after the service's own; not Host, Connection, Content-Length and the like */
    size_t header_count;
    const void *body;
    size_t body_size;
    int64_t timeout_ns;          /* 0: the service's; the least of all known deadlines holds */
    int32_t idempotent;          /* enum mesh_choice; MESH_UNSET: as the method says (RFC 9110, section 9.2.2) */
    int32_t reserved;            /* 0 */
    const mesh_inbound *inbound; /* trace, baggage and deadline of the caller; or NULL */
    mesh_token *token;           /* cancels this call; or NULL */
    const void *hash_key;        /* for balancers that hash; the others ignore it */
    size_t hash_key_size;
    const char *endpoint; /* "127.0.0.1:9001": only this endpoint of the service; or NULL */
    uint64_t tag;         /* yours: comes back with the result and in spans */
} mesh_request;

#define MESH_REQUEST_INIT                                                                                              \
    {                                                                                                                  \
        (uint32_t)sizeof(mesh_request), 0, NULL, NULL, NULL, NULL, 0, NULL, 0, 0, 0, 0, NULL, NULL, NULL, 0, NULL, 0   \
    }

/* Does what MESH_REQUEST_INIT does, for languages without macros. */
MESH_API void mesh_request_init(mesh_request *request);

/* Why an endpoint was picked. */
enum mesh_pick {
    MESH_PICK_NONE = 0,
    MESH_PICK_ONLY = 1,        /* there was no other */
    MESH_PICK_ROUND_ROBIN = 2, /* its turn */
    MESH_PICK_LEAST = 3,       /* the better of two candidates */
    MESH_PICK_TIE = 4,         /* two candidates as good as each other; chance decided */
    MESH_PICK_PROBE = 5,       /* it was shut and this call tries whether it is back */
    MESH_PICK_PANIC = 6,       /* too few endpoints are healthy, so all are used */
    MESH_PICK_PINNED = 7       /* the request asked for it */
};

/* Why an attempt was followed by another. */
enum mesh_retry {
    MESH_RETRY_NONE = 0,
    MESH_RETRY_UNSENT = 1,          /* the request provably never reached the peer: repeated at no cost, once */
    MESH_RETRY_CONNECT_FAILURE = 2, /* the rest: a word of retry.on */
    MESH_RETRY_REFUSED = 3,
    MESH_RETRY_RESET_BEFORE_REQUEST = 4,
    MESH_RETRY_RESET = 5,
    MESH_RETRY_5XX = 6,
    MESH_RETRY_GATEWAY_ERROR = 7,
    MESH_RETRY_STATUS = 8,
    MESH_RETRY_PER_TRY_TIMEOUT = 9,
    MESH_RETRY_CANCELLED = 10, /* from here on: that gRPC status */
    MESH_RETRY_DEADLINE_EXCEEDED = 11,
    MESH_RETRY_INTERNAL = 12,
    MESH_RETRY_RESOURCE_EXHAUSTED = 13,
    MESH_RETRY_UNAVAILABLE = 14
};

/* Why an attempt that failed was not followed by another. */
enum mesh_stop {
    MESH_STOP_NONE = 0,
    MESH_STOP_NOT_RETRYABLE = 1,  /* its outcome is not in retry.on */
    MESH_STOP_NOT_IDEMPOTENT = 2, /* it is, but the request may have had an effect and must not be repeated */
    MESH_STOP_ATTEMPTS = 3,       /* retry.attempts is used up */
    MESH_STOP_BUDGET = 4,         /* the retry budget or max_retries is used up */
    MESH_STOP_DEADLINE = 5,       /* the wait before the next attempt does not fit */
    MESH_STOP_ASKED = 6,          /* MESH_NO_RETRY */
    MESH_STOP_REPLAY = 7,         /* of a stream: more of the request had been written than retry.replay keeps, or more
                                     of the response had come than is held back */
    MESH_STOP_PUSHBACK = 8        /* the peer asked for it, by grpc-retry-pushback-ms */
};

/* What happened in one attempt. Set `size` before mesh_result_attempt(), best by MESH_ATTEMPT_INIT. */
typedef struct mesh_attempt {
    uint32_t size;
    mesh_status status;   /* MESH_OK when a whole response arrived */
    int32_t http_status;  /* 0 without one */
    int32_t pick;         /* enum mesh_pick */
    int32_t retry;        /* enum mesh_retry: why the next attempt was made */
    int32_t stop;         /* enum mesh_stop: why there was no next one, on the last */
    int32_t reused;       /* 1: over a connection that was open already */
    int32_t error_number; /* errno of the system call that failed, or 0 */
    const char *endpoint; /* as "127.0.0.1:9001"; lives as long as the result */
    uint64_t span_id;     /* sent to the peer in traceparent, big-endian there */
    int64_t start_ns;     /* since the call's start */
    int64_t dns_ns;       /* these are durations; 0 for what did not happen */
    int64_t connect_ns;   /* with the wait for a free connection */
    int64_t tls_ns;
    int64_t send_ns;
    int64_t wait_ns;    /* from the last byte sent to the first byte received */
    int64_t receive_ns; /* from the first byte received to the last */
    int64_t backoff_ns; /* the pause before this attempt */
    const char *reason; /* more about the outcome, as which certificate was refused why; NULL: nothing */
    /* What the connection is secured by; NULL in plain text. They live as long as the result. */
    const char *peer_id;     /* the endpoint's SPIFFE id; "" when its certificate has none */
    const char *tls_version; /* "TLSv1.2" */
    const char *tls_suite;
    const char *alpn;     /* what was agreed on; "" for nothing */
    int32_t tls_resumed;  /* 1: by a session of an earlier connection */
    int32_t http_version; /* 11: HTTP/1.1; 20: HTTP/2; 0: there was no connection */
    int32_t
        grpc_status;  /* enum mesh_grpc_status: what the response said, or what the failure amounts to; -1: no gRPC */
    int32_t reserved; /* 0 */
} mesh_attempt;

#define MESH_ATTEMPT_INIT                                                                                              \
    {                                                                                                                  \
        (uint32_t)sizeof(mesh_attempt), 0, 0, 0, 0, 0, 0, 0, NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL, NULL,  \
            NULL, 0, 0, 0, 0                                                                                           \
    }

/* Does what MESH_ATTEMPT_INIT does. */
MESH_API void mesh_attempt_init(mesh_attempt *attempt);

/* A result may be read from any thread, by several at once, and outlives its client. All strings and bytes that these
 * functions give live as long as the result. Each accepts NULL and answers as for a call that never was. */

/* MESH_OK when a response arrived, whatever its HTTP status; else why not. */
MESH_API mesh_status mesh_result_code(const mesh_result *result);

/* The HTTP status, 100 to 999; 0 without a response. */
MESH_API int32_t mesh_result_status(const mesh_result *result);

/* The response's body; never NULL. A NUL follows its last byte. */
MESH_API const void *mesh_result_body(const mesh_result *result);

/* Its size in bytes. */
MESH_API size_t mesh_result_body_size(const mesh_result *result);

/* How many header fields the response has, in the order received; trailers are not among them. */
MESH_API size_t mesh_result_header_count(const mesh_result *result);

/* Header field `index`; MESH_EINVAL when there is no such one. */
MESH_API mesh_status mesh_result_header(const mesh_result *result, size_t index, mesh_header *out);

/* The value of the first field of this name (any case), NUL-terminated; NULL when there is none. */
MESH_API const char *mesh_result_header_value(const mesh_result *result, const char *name);

/* The same for the trailer fields, which came behind the body. */
MESH_API size_t mesh_result_trailer_count(const mesh_result *result);
MESH_API mesh_status mesh_result_trailer(const mesh_result *result, size_t index, mesh_header *out);
MESH_API const char *mesh_result_trailer_value(const mesh_result *result, const char *name);

/* How a gRPC call ended: enum mesh_grpc_status. Whatever ended the call has one: the response's grpc-status, or what
 * its HTTP status, the code of RST_STREAM, or mesh_result_code() amounts to. -1: the request had no MESH_GRPC. */
MESH_API int32_t mesh_result_grpc_status(const mesh_result *result);

/* The words that belong to it, decoded: of the peer, or of this library when the call failed; "" for none. */
MESH_API const char *mesh_result_grpc_message(const mesh_result *result);

/* "UNAVAILABLE" for 14; "UNKNOWN" for a number that is none. Static. */
MESH_API const char *mesh_grpc_status_name(int32_t status);

/* Metadata whose name ends in "-bin" is base64 in its field. Encoding writes MESH_GRPC_ENCODED_SIZE(size) bytes at
 * most, a NUL with them, and returns the size without it. Decoding takes the text with padding or without, and writes
 * at most size + 1 bytes; MESH_EINVAL when it is no base64. */
#define MESH_GRPC_ENCODED_SIZE(size) (((size)*4 + 2) / 3 + 1)
MESH_API size_t mesh_grpc_binary_encode(const void *bytes, size_t size, char *out);
MESH_API MESH_NODISCARD mesh_status mesh_grpc_binary_decode(const char *text, size_t size, void *out, size_t *out_size);

/* One line for a person: what the call ended with; after a failure which endpoints were tried and why each failed. */
MESH_API const char *mesh_result_message(const mesh_result *result);

/* The id of the call, and the tag of its request. */
MESH_API mesh_call_id mesh_result_id(const mesh_result *result);
MESH_API uint64_t mesh_result_tag(const mesh_result *result);

/* How long the call took, from entry to completion. */
MESH_API int64_t mesh_result_duration_ns(const mesh_result *result);

/* The trace id, as 32 lower-case hex digits. */
MESH_API const char *mesh_result_trace_id(const mesh_result *result);

/* How many attempts were made; and what happened in attempt `index`, from 0: MESH_EINVAL when there is no such one. */
MESH_API size_t mesh_result_attempt_count(const mesh_result *result);
MESH_API mesh_status mesh_result_attempt(const mesh_result *result, size_t index, mesh_attempt *out);

/* The words for the numbers in mesh_attempt, as "probe", "connect-failure", "budget". Static; never NULL. */
MESH_API const char *mesh_pick_name(int32_t pick);
MESH_API const char *mesh_retry_name(int32_t retry);
MESH_API const char *mesh_stop_name(int32_t stop);

/* Gives the result back; legal from any thread, also after its client is gone. */
MESH_API void mesh_result_free(mesh_result *result);

/* A token cancels every call that was given it, from any thread: those under way end with MESH_CANCELLED, and so does
 * every later one. Calls keep a reference of their own; the token may be freed at any time. */
MESH_API MESH_NODISCARD mesh_status mesh_token_new(mesh_token **out);
MESH_API void mesh_token_cancel(mesh_token *token);
MESH_API void mesh_token_free(mesh_token *token);

/* Takes trace context (traceparent, tracestate), baggage and the deadline (x-envoy-expected-rq-timeout-ms,
 * grpc-timeout) out of the headers of a request that this process is serving. What is malformed is left out, as the
 * standards say; that is no error. The deadline counts from this call. An inbound never changes; any number of calls
 * may use it. */
MESH_API MESH_NODISCARD mesh_status mesh_inbound_parse(const mesh_header *headers, size_t header_count,
                                                       mesh_inbound **out);

/* What is left until the deadline that came in, at least 0; -1 without one. */
MESH_API int64_t mesh_inbound_remaining_ns(const mesh_inbound *inbound);

/* Gives the inbound back. One that belongs to an exchange is left alone. */
MESH_API void mesh_inbound_free(mesh_inbound *inbound);

#ifdef __cplusplus
}
#endif
#endif
