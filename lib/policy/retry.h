/* SPDX-License-Identifier: Apache-2.0 */
/* retry.h - may this attempt be followed by another, and after how long? Pure.
 *
 * Without `on`, only what is safe for every method is repeated: connect-failure, refused, reset-before-request. Other
 * words hold for idempotent requests, and for others when the service says `non_idempotent`. An attempt that provably
 * never reached the peer is repeated once at no cost, and so is an idempotent one that met a stale connection. A peer
 * that says grpc-retry-pushback-ms names the pause, or forbids the retry (gRPC A6). */
#ifndef MESH__POLICY_RETRY_H
#define MESH__POLICY_RETRY_H

#include "policy/classify.h"

/* Bits of retry_config.on. */
enum retry_word {
    RETRY_ON_CONNECT_FAILURE = 1,
    RETRY_ON_REFUSED = 2,
    RETRY_ON_RESET_BEFORE_REQUEST = 4,
    RETRY_ON_RESET = 8,
    RETRY_ON_5XX = 16,
    RETRY_ON_GATEWAY_ERROR = 32, /* 502, 503, 504 */
    RETRY_ON_PER_TRY_TIMEOUT = 64,
    RETRY_ON_CANCELLED = 128, /* from here on: that gRPC status */
    RETRY_ON_DEADLINE_EXCEEDED = 256,
    RETRY_ON_INTERNAL = 512,
    RETRY_ON_RESOURCE_EXHAUSTED = 1024,
    RETRY_ON_UNAVAILABLE = 2048
};

#define RETRY_ON_DEFAULT (RETRY_ON_CONNECT_FAILURE | RETRY_ON_REFUSED | RETRY_ON_RESET_BEFORE_REQUEST)
#define RETRY_ATTEMPTS_MAX 10

struct retry_config {
    uint32_t attempts;     /* in all, the first included; 1 to RETRY_ATTEMPTS_MAX */
    uint32_t on;           /* enum retry_word, or-ed */
    uint64_t statuses[16]; /* bit (status - 0) of 1024: the statuses named one by one */
    bool non_idempotent;
    mesh_nanos per_try_timeout; /* 0: none */
    mesh_nanos backoff_base;    /* 25 ms */
    mesh_nanos backoff_max;     /* 250 ms */
    uint64_t replay;            /* 64 KiB: so much of a stream's request is kept for another attempt */
};

/* What is asked about one attempt that has ended. */
struct retry_question {
    const struct report *report;
    uint32_t attempts_made; /* that count, this one included */
    bool free_used;         /* the one free repeat has been made */
    bool idempotent;        /* by method, by the request, or by Idempotency-Key */
    bool disabled;          /* MESH_NO_RETRY */
};

struct retry_answer {
    enum mesh_retry retry; /* MESH_RETRY_NONE: no; MESH_RETRY_UNSENT: a free repeat; else ask the budget */
    enum mesh_stop stop;   /* why not; MESH_STOP_NONE when it may, and for a response that nobody wants repeated */
};

struct retry_answer mesh__retry_decide(const struct retry_config *, const struct retry_question *);

/* True when a response of this status would be repeated if everything else allowed it. */
bool mesh__retry_wants_status(const struct retry_config *, int32_t http_status);

/* Full jitter: uniform in [0, min(max, base * 2^(retry - 1))] for the retry-th retry, from 1. */
mesh_nanos mesh__retry_backoff(const struct retry_config *, uint32_t retry, uint32_t random);

/* GET, HEAD, OPTIONS, TRACE, PUT, DELETE (RFC 9110, section 9.2.2); names are case-sensitive. */
bool mesh__retry_idempotent_method(const char *method);

#endif
